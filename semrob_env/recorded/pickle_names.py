"""The only names that may stand in a release file, and the one fixed reading that each has.

A name is a token here, never the thing that it names: nothing is imported, looked up or called. Refusals say what was
found; `pickles` adds where.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType, NoneType
from typing import Any, Final, TypeAlias, TypeGuard, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import RefusedFileError
from semrob_env.types import FloatArray

MOST_ELEMENTS, MOST_DIMENSIONS = 2**23, 8
"""Largest product of the lengths of an array (a length of 0 counts as 1), and most dimensions."""

MOST_PARTS = 16  # most parts of an interval; those of the release have one

Array = npt.NDArray[Any]

_NUMERIC = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))
_TYPE_STATE = (int, str, NoneType, NoneType, NoneType, int, int, int)
_TYPE_FIELDS = [None, None, None, -1, -1, 0]


@final
@dataclass(frozen=True, eq=False)
class Box:
    """Bounds of a region, all that is kept of a `scale_robustness.n_interval`.

    Attributes:
        lower: (n,) as recorded: may be NaN or infinite.
        upper: (n,) likewise.
    """

    lower: FloatArray
    upper: FloatArray


@final
class Name(Enum):
    """A name of a program."""

    RECONSTRUCT = "_reconstruct"
    SCALAR = "scalar"
    ARRAY = "ndarray"
    TYPE = "dtype"
    ENCODE = "encode"
    BYTES = "bytes"
    BOX = "n_interval"
    INTERVAL = "interval"


NAMES: Final[Mapping[tuple[str, str], Name]] = MappingProxyType({
    ("numpy.core.multiarray", "_reconstruct"): Name.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): Name.RECONSTRUCT,
    ("numpy.core.multiarray", "scalar"): Name.SCALAR,
    ("numpy._core.multiarray", "scalar"): Name.SCALAR,
    ("numpy", "ndarray"): Name.ARRAY,
    ("numpy", "dtype"): Name.TYPE,
    ("_codecs", "encode"): Name.ENCODE,
    ("__builtin__", "bytes"): Name.BYTES,
    ("scale_robustness", "n_interval"): Name.BOX,
    ("interval", "interval"): Name.INTERVAL,
})
"""Module and name as files write them."""


Built: TypeAlias = Array | np.dtype[Any] | Box


@final
class Unbuilt:
    """An array, type or box before BUILD fills it: `made` is then what a memo entry of it stands for."""

    __slots__ = ("code", "made", "name")

    def __init__(self, name: Name, code: str = "") -> None:
        self.name, self.code = name, code
        self.made: Built | None = None


def reduced(name: object, args: object) -> object:
    """What REDUCE makes of a name and its arguments.

    Raises:
        RefusedFileError: Another name, or arguments that NumPy does not write.
    """
    if type(args) is tuple:
        if name is Name.RECONSTRUCT and len(args) == 3 and args[0] is Name.ARRAY:
            return Unbuilt(Name.ARRAY)
        if name is Name.ENCODE and [type(arg) for arg in args] == [str, str] and args[1] == "latin1":
            return bytes(args[0], "latin1")
        if name is Name.BYTES and not args:
            return b""  # how protocol 2 writes no bytes
        if name is Name.SCALAR and len(args) == 2:
            return _array((), args[0], args[1], False).item()
        if name is Name.TYPE and len(args) == 3 and type(args[0]) is str:
            if args[0] in _NUMERIC:
                return Unbuilt(Name.TYPE, args[0])
            raise RefusedFileError(f"dtype {args[0]!a:.20} is not read; only numbers and truth values are")
    raise RefusedFileError(f"REDUCE of {_told(name)} in a form that is not read")


def new_object(name: object, args: object) -> object:
    """What NEWOBJ makes: an unbuilt box, or the (low, high) pairs of an interval.

    Raises:
        RefusedFileError: Anything else.
    """
    if type(args) is tuple:
        if name is Name.BOX and not args:
            return Unbuilt(Name.BOX)
        if name is Name.INTERVAL and len(args) <= MOST_PARTS and all(map(_is_pair, args)):
            return args
    raise RefusedFileError(f"NEWOBJ of {_told(name)} in a form that is not read")


def built(target: object, state: object) -> Built:
    """What BUILD makes of an unbuilt array, type or box and its state; also kept as its `made`.

    Raises:
        RefusedFileError: Another target, or a state that does not fit.
    """
    made: Built | None = None
    if type(target) is Unbuilt:
        if target.name is Name.BOX and type(state) is dict:
            lower, upper = state.get("a"), state.get("b")
            if _is_bound(lower) and _is_bound(upper) and lower.shape == upper.shape:
                with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
                    made = Box(lower.astype(np.float64), upper.astype(np.float64))
        elif target.name is Name.ARRAY and type(state) is tuple and len(state) == 5:
            version, shape, dtype, is_fortran, data = state
            if type(version) is int and version == 1 and type(shape) is tuple and type(is_fortran) is bool:
                made = _array(shape, dtype, data, is_fortran)
        elif target.name is Name.TYPE and type(state) is tuple and tuple(map(type, state)) == _TYPE_STATE:
            version, order, *fields = state
            if version == 3 and order in {"<", ">", "|", "="} and fields == _TYPE_FIELDS:
                made = np.dtype(f"{order}{target.code}")
        if made is not None:
            target.made = made
            return made
    raise RefusedFileError(f"BUILD of {_told(target)} in a form that is not read")


def _is_pair(part: object) -> bool:
    return type(part) is tuple and len(part) == 2 and type(part[0]) is type(part[1]) is float


def _is_bound(values: object) -> TypeGuard[Array]:
    return isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fiu"


def _array(shape: tuple[Any, ...], dtype: object, data: object, is_fortran: bool) -> Array:
    """An array that shares the memory of `data`, read-only and of native byte order."""
    if not isinstance(dtype, np.dtype) or type(data) is not bytes:
        raise RefusedFileError("an array in a form that is not read")
    lengths = [length for length in shape if type(length) is int and length >= 0]
    count = math.prod(lengths)
    is_small = len(shape) <= MOST_DIMENSIONS and (count or math.prod(filter(None, lengths))) <= MOST_ELEMENTS
    if len(lengths) != len(shape) or not is_small or count * dtype.itemsize != len(data):
        raise RefusedFileError(f"an array whose shape does not fit its {len(data)} bytes")
    if dtype.kind == "b" and data.strip(b"\x00\x01"):
        raise RefusedFileError("truth values that are neither true nor false")
    array: Array = np.ndarray(lengths, dtype, buffer=data, order="F" if is_fortran else "C")
    if not dtype.isnative:
        array = array.astype(dtype.newbyteorder("="))
        array.setflags(write=False)
    return array


def _told(value: object) -> str:
    if isinstance(value, Unbuilt):
        value = value.name
    return value.value if isinstance(value, Name) else f"a {type(value).__name__}"
