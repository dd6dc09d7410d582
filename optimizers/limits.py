"""What a hyperparameter may be: one declaration that settings enforce and tables print.

A field of a settings class declares its limits as metadata, `field(default=0.1, metadata=number(above=0))`;
`optimizers.base.Settings` checks every value against them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, final

from semrob_env.errors import InvalidParameterError

LIMITS, SYMBOL, DRAWS = "limits", "symbol", "draws"
"""Keys of metadata: `Limits`; the letter that formulas have for it; whether a value that is not None draws numbers."""

Metadata = Mapping[str, Any]

_HEADS = ("a finite number ", "a number ", "a ", "an ")


@final
@dataclass(frozen=True)
class Limits:
    """What one hyperparameter may be.

    Attributes:
        least: Least number.
        most: Largest number.
        is_open: Whether `least` itself is not allowed.
        is_whole: Whether it is a whole number.
        is_even: Whether it is an even one.
        is_each: Whether it may be a tuple of such numbers as well.
        words: Words, one of which it is; then nothing else counts.
        none: What None stands for; empty: it may not be None.
        below: Function of n, the number of parameters in the formulas, which it must stay below; None: none.
        below_text: That function as a formula.
    """

    least: float = -math.inf
    most: float = math.inf
    is_open: bool = False
    is_whole: bool = False
    is_even: bool = False
    is_each: bool = False
    words: tuple[str, ...] = ()
    none: str = ""
    below: Callable[[int], float] | None = None
    below_text: str = ""

    def check(self, name: str, value: object) -> None:
        """Nothing, if the value is allowed for some n.

        Raises:
            InvalidParameterError: It is not.
        """
        if value is None and self.none:
            return
        if self.words:
            if value not in self.words:
                raise InvalidParameterError(f"{name} {value!r}: choose {_either(self.words)}")
            return
        each = value if self.is_each and isinstance(value, tuple) else (value,)
        if not each or not all(map(self._allows, each)):
            raise InvalidParameterError(f"{name} {value!r}: give {self._asked()}")

    def text(self, symbol: str = "", sizes: Sequence[int] = ()) -> str:
        """The limits in words; those that depend on n as a formula and at some n."""
        if self.words:
            return _either(self.words)
        if self.below is None:
            asked = self._asked()
            return next((asked.removeprefix(head) for head in _HEADS if asked.startswith(head)), asked)
        least = "" if self.least == -math.inf else f"{self.least:g} {'<' if self.is_open else '<='} "
        told = ", ".join(f"{self.below(n):.4g}" for n in sizes)
        return f"{least}{symbol or 'value'} < {self.below_text} ({told} for n = {', '.join(map(str, sizes))})"

    def _allows(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.is_whole else int | float):
            return False
        is_finite = -math.inf < value < math.inf  # of whole numbers too large for a float as well
        within = is_finite and self.least <= value <= self.most and not (self.is_open and value <= self.least)
        return within and not (self.is_even and value % 2)

    def _asked(self) -> str:
        kind = "an even number" if self.is_even else "a whole number" if self.is_whole else "a number"
        kind += ", or none for " + self.none if self.none else ""
        if math.isfinite(self.most):
            return f"{kind} in {'(' if self.is_open else '['}{self.least:g}, {self.most:g}]"
        if self.is_whole:
            return kind.replace("number", f"number, {self.least:g} or above", 1)
        return f"a finite number above {self.least:g}" if self.is_open else f"a finite number {self.least:g} or above"


def number(
    least: float = 0.0,
    most: float = math.inf,
    *,
    above: float | None = None,
    symbol: str = "",
    is_each: bool = False,
    below: tuple[Callable[[int], float], str] | None = None,
) -> Metadata:
    """Metadata of a number.

    Args:
        least: Least value.
        most: Largest value.
        above: Given in place of `least`: what it must be larger than.
        symbol: The letter that formulas have for it.
        is_each: Whether it may be a tuple, a number for each parameter.
        below: A function of n that it must stay below, and that function as a formula.
    """
    limits = Limits(
        least if above is None else above,
        most,
        is_open=above is not None,
        is_each=is_each,
        below=below[0] if below else None,
        below_text=below[1] if below else "",
    )
    return MappingProxyType({LIMITS: limits, SYMBOL: symbol})


def whole_number(least: int, most: float = math.inf, *, even: bool = False, none: str = "") -> Metadata:
    """Metadata of a whole number; `none` is what None stands for where it is allowed, and `even` asks for even ones."""
    return MappingProxyType({LIMITS: Limits(least, most, is_whole=True, is_even=even, none=none)})


def one_of(*words: str) -> Metadata:
    """Metadata of a hyperparameter that is one of some words."""
    return MappingProxyType({LIMITS: Limits(words=words)})


def limits_of(metadata: Metadata) -> Limits | None:
    """The limits that a field declares, if it does."""
    found: Limits | None = metadata.get(LIMITS)
    return found


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
