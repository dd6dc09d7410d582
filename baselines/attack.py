"""What point attacks share: they look for one theta near theta0 with a low score, and recommend the lowest one seen.

A point is recommended as a region without volume, so that runs, rows and judges take it as they are: the judged mean is
the score at the point, and an attack on a goal succeeds where the point does not meet it. With `seeks="high"` they
look for a high score, and succeed where it does.

*Near* is the box theta0 -+ `radius` times the range of each parameter, within the space (around the seam of a periodic
one). Attacks by gradients ask the oracle for them: exact ones, or, with `FiniteDifferences`, central differences that
are billed as forward queries, which makes them black-box attacks.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeVar, final

import numpy as np

from optimizers.base import Optimizer, Settings, State
from optimizers.limits import number, one_of
from semrob_env.oracle import Answers
from semrob_env.regions import Regions
from semrob_env.types import BoolArray, FloatArray


@dataclass(frozen=True)
class AttackSettings(Settings):
    """Hyper-parameters of every attack.

    Attributes:
        radius: Reach of the box around theta0 as a share of each range, above 0, at most 1.
        seeks: Which score to look for, `low` or `high`.

    Raises:
        InvalidParameterError: A number out of its limits, or something else to seek.
    """

    radius: float = field(default=0.1, metadata=number(above=0, most=1))
    seeks: Literal["low", "high"] = field(default="low", metadata=one_of("low", "high"))


AttackSettingsT = TypeVar("AttackSettingsT", bound=AttackSettings)


class PointAttack(Optimizer[AttackSettingsT]):
    """An attack that asks one point a step; a method says which one is next."""

    recommends = "points"
    paradigm = "point attack"
    finds = "a point of low score near theta0"
    uses_goal = False

    @abstractmethod
    def _first(self) -> FloatArray:
        """The first points to ask, (B, n), in the box; along periodic parameters unwrapped around theta0."""

    @abstractmethod
    def _next(self, rows: BoolArray, theta: FloatArray, slope: FloatArray) -> tuple[FloatArray, BoolArray]:
        """The points to ask next, (B, n), and which trajectories have ended instead, (B,).

        Args:
            rows: Which trajectories move (B,); only of these may random numbers be drawn.
            theta: The points just told, (B, n).
            slope: Gradients there of what is minimised, the score or its negative (B, n); 0 for black-box attacks.
        """

    @final
    def recommend(self) -> Regions:
        """The best point of each trajectory, as regions without volume; theta0 before any tell."""
        return Regions(self.space, self._state["best"], self._state["best"]).clip()

    @final
    def _start(self) -> State:
        count = len(self)
        return {
            "theta": self._first(),
            "best": self.start.copy(),
            "least": np.full(count, np.inf),
            "converged": np.zeros(count, dtype=np.bool_),
        }

    @final
    def _ask(self, state: State) -> FloatArray:
        return np.array(state["theta"][:, None, :])

    @final
    def _tell(self, state: State, answers: Answers) -> State:
        sign = 1.0 if self.settings.seeks == "low" else -1.0
        loss = sign * answers.values[:, 0]
        is_better = loss < state["least"]
        slope = np.zeros_like(self.start) if answers.gradients is None else sign * answers.gradients[:, 0]
        theta, converged = self._next(self.running & answers.active.all(axis=1), state["theta"], slope)
        return {
            "theta": theta,
            "best": np.where(is_better[:, None], state["theta"], state["best"]),
            "least": np.where(is_better, loss, state["least"]),
            "converged": converged,
        }

    @final
    @cached_property
    def _box(self) -> tuple[FloatArray, FloatArray]:
        """Bounds (B, n) of the points that may be asked."""
        space, reach = self.space, self.settings.radius * self.space.width
        lower, upper = self.start - reach, self.start + reach
        lower = np.where(space.is_periodic, lower, np.maximum(lower, space.low))
        return lower, np.where(space.is_periodic, upper, np.minimum(upper, space.high))

    @final
    def _boxed(self, theta: FloatArray) -> FloatArray:
        """The nearest points (B, n) of the box."""
        return np.asarray(np.clip(theta, *self._box))

    @final
    def _drawn(self, rows: BoolArray) -> FloatArray:
        """Uniform points (B, n) of the box for some trajectories (B,), theta0 for the others."""
        (lower, upper), theta = self._box, self.start.copy()
        for row in np.flatnonzero(rows):
            theta[row] = lower[row] + self.rngs[row].random(self.space.n) * (upper[row] - lower[row])
        return self._boxed(theta)
