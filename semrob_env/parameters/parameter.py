"""One semantic parameter: a name, a unit, bounds, maybe a period, a default and a sense of rotation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from semrob_env.errors import InvalidParameterError


@final
@dataclass(frozen=True)
class Parameter:
    """One semantic parameter of a scene.

    Attributes:
        name: Lower-case word by which users name it, e.g. `azimuth`.
        unit: Native unit, e.g. `deg`; empty for a number without one.
        low: Lower bound, in the native unit.
        high: Upper bound; of a periodic parameter it is the same scene as `low` and not itself in the range.
        period: None, or the length of one turn, which must be `high - low`.
        default: Value taken when a point or a space does not name the parameter.
        sense: What zero means and which way growth turns.

    Raises:
        InvalidParameterError: Bounds not finite or upside down, default outside, period not `high - low`.
    """

    name: str
    unit: str
    low: float
    high: float
    period: float | None
    default: float
    sense: str

    def __post_init__(self) -> None:
        if not self.name.replace("_", "").isalnum() or self.name != self.name.lower():
            raise InvalidParameterError(f"parameter name {self.name!r}: use lower-case letters, digits and _")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InvalidParameterError(f"{self.name}: low {self.low} must be finite and below high {self.high}")
        if self.period is not None and self.period != self.high - self.low:
            raise InvalidParameterError(
                f"{self.name}: period {self.period} must equal high - low = {self.high - self.low}; "
                "for a part of a turn use period=None"
            )
        if not self.contains(self.default):
            raise InvalidParameterError(f"{self.name}: default {self.default} is outside {self.interval}")

    @property
    def interval(self) -> str:
        """Allowed range as text, half open where the parameter is periodic."""
        return f"[{self.low:g}, {self.high:g}{')' if self.period is not None else ']'}"

    def contains(self, value: float) -> bool:
        """Whether a value in native units is allowed (NaN is not)."""
        return self.low <= value < self.high if self.period is not None else self.low <= value <= self.high
