"""What callers give, as what is needed of it: numbers, arrays of real ones, objects of a kind; else an error of ours.

NumPy drops imaginary parts, masks and fractions and takes dates for numbers, with a warning at most; here all of that
is refused, for it would be a wrong answer.
"""

from __future__ import annotations

import math
import operator
import reprlib
import warnings
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from semrob_env.errors import InvalidParameterError, SemrobError
from semrob_env.types import FloatArray, IntArray

_LONG = 10**20
T = TypeVar("T")
ErrorType = type[SemrobError]


def instance_of(
    what: str, given: object, kind: type[T] | tuple[type[Any], ...], error: ErrorType = InvalidParameterError
) -> T:
    """An object, if it is of a kind.

    Args:
        what: What it is called in the message.
        given: The object.
        kind: Its class, or one of several.
        error: What is raised.

    Raises:
        InvalidParameterError: It is of another kind; or what `error` says.
    """
    if not isinstance(given, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise error(f"{what} is {shown(given)}: give {' or '.join(own.__name__ for own in kinds)}")
    return given


def callable_of(what: str, given: Callable[..., Any]) -> Callable[..., Any]:
    """A function, if it can be called.

    Raises:
        InvalidParameterError: It cannot.
    """
    if not callable(given):
        raise InvalidParameterError(f"{what} is {shown(given)}: give what can be called")
    return given


def number(given: Any) -> float:
    """A number as a float, -0.0 as 0.0; NaN for what is none, complex ones too."""
    if isinstance(given, complex | np.complexfloating) or (
        isinstance(given, np.ndarray | np.generic)
        and (given.dtype.kind not in "fiubSUO" or (isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given)))
    ):
        return math.nan
    try:
        return float(given) + 0.0
    except (TypeError, ValueError, OverflowError):
        return math.nan


def whole_number(
    what: str, given: object, least: int, most: int = 2**63 - 1, error: ErrorType = InvalidParameterError
) -> int:
    """A whole number from `least` to `most`; True and 3.0 are none.

    Raises:
        InvalidParameterError: It is none; or what `error` says.
    """
    if type(given) is int and least <= given <= most:  # before every query
        return given
    try:
        found = least - 1 if isinstance(given, bool | np.bool_) else operator.index(given)  # type: ignore[arg-type]
    except TypeError:
        found = least - 1
    if not least <= found <= most:
        bound = f"{least} or above" if most >= 2**63 - 1 else f"of {least} to {most}"
        raise error(f"{what} {shown(given)}: give a whole number, {bound}")
    return found


def real_array(what: str, given: Any, error: ErrorType = InvalidParameterError) -> FloatArray:
    """Real numbers as an array of float64, which may be the array that was given.

    Raises:
        InvalidParameterError: Rows of several lengths, complex numbers, dates, masked or missing entries, what is no
            number; or what `error` says.
    """
    if type(given) is np.ndarray and given.dtype == np.float64:
        return given
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise error(f"{what} has masked entries: fill them in, or leave them out")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = np.asarray(given)
            if found.dtype.kind == "O" and not all(isinstance(item, Real) for item in found.flat):
                raise ValueError("not all are numbers")
            if found.dtype.kind not in "fiubOSU":
                raise ValueError(f"they are of {found.dtype}")
            return np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError, OverflowError, Warning) as wrong:
        reason = " ".join(str(wrong).split())[:100]
        raise error(f"{what} is no array of real numbers of float64 ({reason}): {shown(given)}") from wrong


def whole_array(
    what: str, given: Any, error: ErrorType = InvalidParameterError, allowed: str = "whole numbers"
) -> IntArray:
    """Whole numbers as an array of int64; an empty one of any type.

    Raises:
        InvalidParameterError: Fractions, booleans, numbers beyond int64, what is no number; or what `error` says.
    """
    if type(given) is np.ndarray and given.dtype == np.int64:
        return given
    try:
        found = np.asarray(given)
        if (found.dtype.kind not in "iu" and found.size) or found.max(initial=0) > np.iinfo(np.int64).max:
            raise ValueError(f"they are of {found.dtype}")
        return found.astype(np.int64, copy=False)
    except (TypeError, ValueError, OverflowError) as wrong:
        raise error(f"{what} {shown(given)}: give {allowed}") from wrong


def items(what: str, given: object, error: ErrorType = InvalidParameterError) -> tuple[Any, ...]:
    """What a list, tuple or array holds; a text is none.

    Raises:
        InvalidParameterError: It is none; or what `error` says.
    """
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise error(f"{what} is {shown(given)}: give a tuple")
    try:
        return tuple(given)
    except TypeError as wrong:  # an array without axes
        raise error(f"{what} is {shown(given)}: give a tuple") from wrong


def shown(given: object) -> str:
    """An object in a few words of one line; of what is no plain number, its type too."""
    if given is None or (isinstance(given, int | float) and not abs(given) >= _LONG):
        return repr(given)
    try:
        text = " ".join(reprlib.repr(given).split())
    except Exception:  # a stranger's
        text = "something"
    kind = type(given).__name__
    return text[:60].encode("ascii", "backslashreplace").decode() + f" of {kind}"
