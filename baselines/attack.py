"""What point attacks share: they look for one theta near theta0 with a low score, and recommend the lowest one seen.

A point is recommended as a region without volume, so that runs, rows and judges take it as they are: the judged mean is
the score at the point, and an attack on a goal succeeds where the point does not meet it. With `seeks="high"` they
look for a high score, and succeed where it does.

*Near* is the box theta0 -+ `radius` times the range of each parameter, within the space (around the seam of a periodic
one, half a turn at most): with a radius of 1, it is the whole space. Attacks by gradients ask the oracle for them:
exact ones, or, with `FiniteDifferences`, central differences that are billed as forward queries, which makes them
black-box attacks.
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
    """Hyperparameters of every attack.

    Attributes:
        radius: Reach of the box around theta0 as a share of each range, above 0, at most 1.
        seeks: Which score to look for, `low` or `high`.

    Raises:
        InvalidParameterError: A number out of its limits, or something else to seek.
    """

    radius: float = field(default=0.1, metadata=number(above=0, most=1))
    seeks: Literal["low", "high"] = field(default="low", metadata=one_of("low", "high"))


AttackSettingsT = TypeVar("AttackSettingsT", bound=AttackSettings)


class Attack(Optimizer[AttackSettingsT]):
    """An attack that asks one point a step and recommends the best one."""

    recommends = "points"
    paradigm = "point attack"
    finds = "a point of low score near theta0"
    uses_goal = False

    @classmethod
    def points_of_start(cls, settings: AttackSettingsT) -> int | None:
        """Points after which a start point is done with: a search of the whole space takes many; None: never."""
        del settings
        return None

    @abstractmethod
    def _first(self) -> State:
        """What the method keeps of each trajectory, before its first point."""

    @abstractmethod
    def _theta(self, state: State) -> FloatArray:
        """The points to ask, (B, n), in the box; along periodic parameters unwrapped around theta0."""

    @abstractmethod
    def _after(self, state: State, loss: FloatArray, rows: BoolArray, answers: Answers) -> State:
        """What it keeps next, and which trajectories have ended, `converged` (B,).

        Args:
            state: With the points just told.
            loss: What is minimized, the score or its negative, (B,).
            rows: Which trajectories move (B,); only of these may random numbers be drawn.
            answers: What the oracle said.
        """

    @final
    def _recommend(self) -> Regions:
        """The best point of each trajectory, as regions without volume; theta0 before any tell."""
        return Regions(self.space, self._state["best"], self._state["best"]).clip()

    def _start(self) -> State:
        least, converged = np.full(len(self), np.inf), np.zeros(len(self), dtype=np.bool_)
        return {**self._first(), "best": self.start.copy(), "least": least, "converged": converged}

    def _ask(self, state: State) -> FloatArray:
        return np.array(self._theta(state)[:, None, :])

    def _tell(self, state: State, answers: Answers) -> State:
        loss = self._sign * answers.values[:, 0]
        is_better = loss < state["least"]
        return {
            **self._after(state, loss, self.running & answers.active.all(axis=1), answers),
            "best": np.where(is_better[:, None], self._theta(state), state["best"]),
            "least": np.where(is_better, loss, state["least"]),
        }

    @property
    def _sign(self) -> float:
        return 1.0 if self.settings.seeks == "low" else -1.0

    @cached_property
    def _box(self) -> tuple[FloatArray, FloatArray]:
        """Bounds (B, n) of the points that may be asked."""
        space = self.space
        reach = np.where(space.is_periodic, min(self.settings.radius, 0.5), self.settings.radius) * space.width
        lower, upper = self.start - reach, self.start + reach
        lower = np.where(space.is_periodic, lower, np.maximum(lower, space.low))
        return lower, np.where(space.is_periodic, upper, np.minimum(upper, space.high))

    def _boxed(self, theta: FloatArray) -> FloatArray:
        """The nearest points (B, n) of the box."""
        return np.asarray(np.clip(theta, *self._box))


class PointAttack(Attack[AttackSettingsT]):
    """An attack whose next point follows from the last one and the gradient there."""

    @abstractmethod
    def _next(self, rows: BoolArray, theta: FloatArray, slope: FloatArray) -> tuple[FloatArray, BoolArray]:
        """The points to ask next, (B, n), and which trajectories have ended instead, (B,).

        Args:
            rows: Which trajectories move (B,); only of these may random numbers be drawn.
            theta: The points just told, (B, n).
            slope: Gradients there of what is minimized (B, n); 0 for black-box attacks.
        """

    def _first(self) -> State:
        return {"theta": self._drawn(self.running)}

    def _theta(self, state: State) -> FloatArray:
        return state["theta"]

    def _after(self, state: State, loss: FloatArray, rows: BoolArray, answers: Answers) -> State:
        slope = np.zeros_like(self.start) if answers.gradients is None else self._sign * answers.gradients[:, 0]
        theta, converged = self._next(rows, state["theta"], slope)
        return {"theta": theta, "converged": converged}

    def _drawn(self, rows: BoolArray) -> FloatArray:
        """Uniform points (B, n) of the box for some trajectories (B,), theta0 for the others."""
        (lower, upper), theta = self._box, self.start.copy()
        for row in np.flatnonzero(rows):
            theta[row] = lower[row] + self.rngs[row].random(self.space.n) * (upper[row] - lower[row])
        return self._boxed(theta)
