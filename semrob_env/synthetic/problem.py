"""The problem an optimum solves, as a value that the exact method and the searches share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np

from semrob_env.synthetic.landscape import Landscape
from semrob_env.types import BoolArray, FloatArray

Box = tuple[FloatArray, FloatArray]  # lower and upper bounds, both (A,), unwrapped on periodic parameters


@final
@dataclass(frozen=True, eq=False)
class BoxProblem:
    """Which box with a mean >= least and a variance <= most_variance that contains start is the largest?"""

    landscape: Landscape  # the formula over A parameters
    start: FloatArray  # point (A,) that the box must contain
    low: FloatArray  # lower bounds (A,) of the space
    high: FloatArray  # upper bounds (A,) of the space
    least: float  # smallest mean allowed
    most_variance: float  # largest variance allowed

    @cached_property
    def room(self) -> FloatArray:
        """Widths (A,) of the space."""
        return self.high - self.low

    @cached_property
    def periodic(self) -> BoolArray:
        """Which parameters are periodic, (A,)."""
        return np.isfinite(self.landscape.bumps.period)

    @cached_property
    def walls(self) -> Box:
        """Farthest ends (A,) of a box: the space's, or one turn from start where periodic."""
        return (
            np.where(self.periodic, self.start - self.room, self.low),
            np.where(self.periodic, self.start + self.room, self.high),
        )

    def with_limits(self, least: float, most_variance: float) -> BoxProblem:
        """The same problem with other limits."""
        return replace(self, least=least, most_variance=most_variance)

    def is_feasible(self, box: Box) -> bool:
        """Whether a box meets both limits, exactly."""
        mean, variance = self.landscape.moments(*box)
        return bool(mean >= self.least and variance <= self.most_variance)


def log_volume(box: Box) -> float:
    """Logarithm of a box's volume; minus infinity without a volume."""
    width = box[1] - box[0]
    return float(np.log(width).sum()) if (width > 0).all() else -np.inf
