"""Readers of values on command lines, and the types of options that use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Annotated, Any

from cyclopts import Parameter, Token

from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.questions import Goal, read_goal

MOST_NUMBERS, MOST_DIGITS = 10_000, 15
"""Longest range of `numbers`, and longest number in it."""

MOST_REPEATS = 10_000
"""Most repeats of a timing."""


def names(text: str) -> tuple[str, ...]:
    """A comma-separated list; empty parts and repetitions are dropped.

    Raises:
        InvalidParameterError: Nothing is left.
    """
    parts = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise InvalidParameterError(f"empty list {text!r}; write names with commas between them")
    return parts


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers and ranges with commas between them: `0-4,7` is 0, 1, 2, 3, 4, 7.

    Raises:
        InvalidParameterError: Something else is between the commas, or a range runs downwards.
    """
    chosen: list[int] = []
    for part in names(text):
        first, dash, last = part.partition("-")
        ends = (first, last if dash else first)
        readable = all(end.isascii() and end.isdigit() and len(end) <= MOST_DIGITS for end in ends)
        if not readable or int(ends[0]) > int(ends[1]):
            raise InvalidParameterError(f"cannot read {part[:40]!r}; write numbers and ranges, e.g. 0-4,7")
        if int(ends[1]) - int(ends[0]) >= MOST_NUMBERS:
            raise InvalidParameterError(f"{part!r} is a long range; give at most {MOST_NUMBERS} numbers")
        chosen += range(int(ends[0]), int(ends[1]) + 1)
    return tuple(dict.fromkeys(chosen))


def counts(text: str) -> tuple[int, ...]:
    """As `numbers`, each at least 1.

    Raises:
        InvalidBudgetError: One is 0.
    """
    chosen = numbers(text)
    if 0 in chosen:
        raise InvalidBudgetError("give numbers of at least 1")
    return chosen


def reals(text: str) -> tuple[float, ...]:
    """Numbers with commas between them.

    Raises:
        InvalidParameterError: Something else is between the commas.
    """
    try:
        return tuple(float(part) for part in names(text))
    except ValueError as error:
        raise InvalidParameterError("give numbers with commas between them") from error


def count(text: str) -> int:
    """A whole number of at least 1.

    Raises:
        InvalidBudgetError: It is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and 1 <= int(text) < 2**53):
        raise InvalidBudgetError("give a whole number of at least 1 (and below 2^53)")
    return int(text)


def repeats(text: str) -> int:
    """As `count`, at most `MOST_REPEATS`.

    Raises:
        InvalidBudgetError: It is none, or more.
    """
    chosen = count(text)
    if chosen > MOST_REPEATS:
        raise InvalidBudgetError(f"give at most {MOST_REPEATS}")
    return chosen


def seed(text: str) -> int:
    """A seed: a whole number of 0 to 2^63 - 1.

    Raises:
        InvalidParameterError: It is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) < 2**63):
        raise InvalidParameterError("give a whole number from 0 to 2^63 - 1")
    return int(text)


def grid_counts(text: str) -> tuple[int, int]:
    """Numbers of azimuths and elevations, as in `12x7`.

    Raises:
        InvalidParameterError: It cannot be read, or one is not in 2..1000.
    """
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and int(part[:6]) >= 2 for part in parts):
        raise InvalidParameterError("write azimuths x elevations, at least 2 of each, e.g. 12x7")
    first, second = (int(part[:6]) for part in parts)
    if max(first, second) > 1000:
        raise InvalidParameterError("give at most 1000 of each")
    return first, second


def by(read: Callable[[str], object], metavar: str) -> Parameter:
    """An option whose value is read by a function that raises a SemrobError with what is allowed."""

    def convert(_: Any, tokens: Sequence[Token]) -> object:
        return read(tokens[-1].value)

    return Parameter(converter=convert, n_tokens=1, **_shown_as(metavar))


def _shown_as(metavar: str) -> dict[str, Any]:
    """What help calls a value, where cyclopts can say it: from 5.0 on, which has no release for Python 3.10."""
    return {"metavar": metavar} if "metavar" in signature(Parameter).parameters else {}


def _default(value: object) -> Any:
    """A default as `--help` shows it, and as it may be written; None for what is left away."""
    if value is None or value is False or value in ((), ""):
        return None
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


DEFAULTS = Parameter(
    negative_bool=(), negative_iterable=(), negative_none=(), allow_repeating=True, show_default=_default
)
"""How options are unless they say otherwise: a switch has no --no- form, of an option given twice the last one
counts, and defaults read as they are written."""

Names = Annotated[tuple[str, ...], by(names, "A,B,...")]
NamesOrNone = Annotated[tuple[str, ...], by(lambda text: names(text) if text else (), "A,B,...")]
Numbers = Annotated[tuple[int, ...], by(numbers, "0-4,7")]
Counts = Annotated[tuple[int, ...], by(counts, "1-4,7")]
Reals = Annotated[tuple[float, ...], by(reals, "X,Y,...")]
Count = Annotated[int, by(count, "N")]
Repeats = Annotated[int, by(repeats, "N")]
OptionalCount = Annotated[int | None, by(count, "N")]
GridCounts = Annotated[
    tuple[int, int], by(grid_counts, "12x7"), Parameter(show_default=lambda value: "x".join(map(str, value)))
]
GoalValue = Annotated[Goal, by(read_goal, "GOAL")]
Texts = Annotated[
    tuple[str, ...],
    Parameter(converter=lambda _, tokens: tuple(token.value for token in tokens), n_tokens=1, **_shown_as("TEXT")),
]
GoalValues = Annotated[
    tuple[Goal, ...],
    Parameter(
        converter=lambda _, tokens: tuple(read_goal(token.value) for token in tokens), n_tokens=1, **_shown_as("GOAL")
    ),
]
