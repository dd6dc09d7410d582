"""Lines, their product and a regression: the short answer to "the functions are products anyway".

Points on the lines through the start point, halving in on where the score falls to half (2n a round, `rounds` rounds),
make one profile a parameter; f is taken to be a + b prod_k h_k(x_k) (cut high dimensional model representation, Rabitz
& Alis 1999), a and b by least squares on all points asked. Then points evenly spread in the box that the product holds
for the largest, for the regression. The answer is the largest box of the model with a margin of `caution` times the
root mean square of what the regression leaves. From three parameters on it is a rival; below it runs, too.

Not tuned: `rounds` is that of `box_quadrature`, `caution` a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np

from optimizers.base import RegionOptimizer, Settings, State
from optimizers.limits import number, whole_number
from optimizers.registry import register
from optimizers.surrogate.boxes import native_bounds, widest
from optimizers.surrogate.method import STEPS
from optimizers.surrogate.plan import halved, line_reach, points_on_lines
from optimizers.surrogate.process import Lattice
from optimizers.surrogate.separable import Profiles
from semrob_env.oracle import Answers
from semrob_env.questions import MOST_VARIANCE, Goal
from semrob_env.sequences import evenly_spread
from semrob_env.types import BoolArray, FloatArray, IntArray

_BATCH = 5
_HALF = 0.5
_RIDGE = 1e-3


@final
@dataclass(frozen=True)
class LinesProductSettings(Settings):
    """Hyperparameters.

    Attributes:
        rounds: Rounds of points on lines; 1 or more.
        caution: Root mean squares of the regression's errors by which the mean over the box exceeds its bound.
        most_queries: Scores that a trajectory takes before it ends as converged.
    """

    rounds: int = field(default=4, metadata=whole_number(1, 20))
    caution: float = field(default=0.5, metadata=number(0, 10))
    most_queries: int = field(default=400, metadata=whole_number(30, 5000))


@final
@register
class LinesProduct(RegionOptimizer[LinesProductSettings]):
    """Lines, product, regression; see the module."""

    name = "lines_product"
    title = "Points on lines, product of profiles, regression"
    paradigm = "surrogate"
    finds = "the largest box of a product of profiles"
    settings_class = LinesProductSettings

    @property
    def _center(self) -> FloatArray:
        return np.where(self.space.is_periodic, 0.0, self.space.to_unit(self.start))

    @property
    def _in_lines(self) -> int:
        """Scores told once all points on lines are."""
        return 1 + 2 * self.space.n * self.settings.rounds

    def _size(self, told: int) -> int:
        if not told:
            return 1 + 2 * self.space.n
        return 2 * self.space.n if told < self._in_lines else _BATCH

    def _start(self) -> State:
        count, n = len(self), self.space.n
        most, widest_ask = self.settings.most_queries + 2 * n + _BATCH, self._size(0) + _BATCH
        brackets, upcoming = np.tile([0.0, 1.0], (count, n, 2, 1)), np.zeros((count, widest_ask, n))
        for row, center in enumerate(self._center):
            others = points_on_lines(center, np.array(self.space.is_periodic), line_reach(brackets[row]))
            upcoming[row, : 1 + 2 * n] = np.concatenate([center[None], others])
        return {
            "lower": self.start.copy(),
            "upper": self.start.copy(),
            "points": np.zeros((count, most, n)),
            "scores": np.zeros((count, most)),
            "told": np.zeros(count, dtype=np.int64),
            "brackets": brackets,
            "upcoming": upcoming,
            "converged": np.zeros(count, dtype=np.bool_),
        }

    def _ask(self, state: State) -> FloatArray:
        size = self._size(int(state["told"].max(initial=0)))  # of all that run: they go in step
        origin = np.where(self.space.is_periodic, self.start, self.space.low)
        return np.asarray(origin[:, None] + state["upcoming"][:, :size] * self.space.width)

    def _tell(self, state: State, answers: Answers) -> State:
        after = {name: value.copy() for name, value in state.items()}
        n, periodic, goal = self.space.n, np.array(self.space.is_periodic), self.questions.goal
        for row in np.flatnonzero(self.running & answers.active.all(axis=1)):
            told, center = int(state["told"][row]), self._center[row]
            size = self._size(told)
            after["points"][row, told : told + size] = state["upcoming"][row, :size]
            after["scores"][row, told : told + size] = answers.values[row]
            after["told"][row] = total = told + size
            points, scores = after["points"][row, :total], goal.smoothed(after["scores"][row, :total])
            if told < self._in_lines:
                is_high = answers.values[row, -2 * n :] >= _HALF * after["scores"][row, 0]
                after["brackets"][row] = halved(state["brackets"][row], is_high)
            model = ProductModel(Profiles(center, periodic, points, scores), points, scores, center, periodic, goal)
            best = model.best(self.settings.caution)
            sides = (center[None], center[None]) if best is None else model.process.lattice.bounds(best[None])
            lower, upper = native_bounds(self.space, self.start[row][None], *sides)
            after["lower"][row], after["upper"][row] = lower[0], upper[0]
            following = self._size(total)
            after["converged"][row] = total + following > self.settings.most_queries
            if total < self._in_lines:
                upcoming = points_on_lines(center, periodic, line_reach(after["brackets"][row]))
            else:
                hopeful = model.best(0.0)
                box = np.full((n, 2), STEPS // 8) if hopeful is None else hopeful
                low, high = model.process.lattice.bounds(box[None])
                inside = low + evenly_spread(n, total, following) * (high - low)
                upcoming = np.where(periodic, np.mod(inside + 0.5, 1.0) - 0.5, inside)
            after["upcoming"][row, :following] = upcoming
        return after


@final
class ProductModel:
    """a + b phi, phi a product of profiles, as the search for boxes sees it; it is its own `process`.

    Args:
        profiles: phi.
        points: Points told (N, n), relative to the start point along periodic parameters.
        scores: What the goal counts of their scores, smoothed (N,).
        center: The start point (n,).
        periodic: Which parameters are periodic (n,).
        goal: What a box must meet.
    """

    def __init__(
        self,
        profiles: Profiles,
        points: FloatArray,
        scores: FloatArray,
        center: FloatArray,
        periodic: BoolArray,
        goal: Goal,
    ) -> None:
        self._profiles, self._goal = profiles, goal
        self.lattice = Lattice.around(center, periodic, STEPS)
        phi = profiles.at_points
        centered = phi - phi.mean()
        # Towards b = the score at the start point, where phi is 1, as long as little is known.
        first = float(scores[0])
        self._slope = float((centered @ (scores - scores.mean()) + _RIDGE * first) / (centered @ centered + _RIDGE))
        self._offset = float(scores.mean() - self._slope * phi.mean())
        self._error = float(np.sqrt(np.mean((scores - self._offset - self._slope * phi) ** 2)))

    @property
    def process(self) -> ProductModel:
        """What knows the lattice."""
        return self

    @cached_property
    def _tables(self) -> FloatArray:
        """Integrals of h_k and its square from the start point to each place of the lattice, (2, n, 2, L + 1)."""
        sides = self.lattice.sides
        heights = np.stack([
            self._profiles.along(k, _turned(sides[k], self.lattice.periodic[k])) for k in range(len(sides))
        ])
        steps = np.diff(sides, axis=2)
        out = np.zeros((2, *sides.shape))
        for power, values in enumerate((heights, heights**2)):
            out[power, ..., 1:] = np.cumsum((values[..., 1:] + values[..., :-1]) / 2 * steps, axis=2)
        return out

    def margins(self, boxes: IntArray, caution: FloatArray) -> FloatArray:
        """E_D[f] - k error - least and, where it is bounded, most - Var_D[f] - k error."""
        lower, upper = self.lattice.bounds(boxes)
        each, width = np.arange(len(self.lattice.sides)), upper - lower
        tables = self._tables
        high, low = tables[:, each, 1, boxes[..., 1]], tables[:, each, 0, boxes[..., 0]]
        mean, square = ((high - low) / width).prod(axis=-1)
        margin = self._offset + self._slope * mean - caution * self._error - self._goal.least
        if self._goal.most_variance >= MOST_VARIANCE:
            return np.asarray(margin[:, None])
        variance = self._slope**2 * np.maximum(square - mean**2, 0.0) + self._error**2
        return np.stack([margin, self._goal.most_variance - variance], axis=1)

    def best(self, caution: float) -> IntArray | None:
        """The largest box (n, 2) that the model holds for feasible; None without any."""
        starts = np.zeros((1, len(self.lattice.sides), 2), dtype=np.int64)
        found, fits = widest(self, np.array([caution]), starts)
        return found[0] if fits[0] else None


def _turned(places: FloatArray, is_periodic: bool) -> FloatArray:
    """Places within half a turn of the start point, where profiles were told."""
    return np.asarray(np.mod(places + 0.5, 1.0) - 0.5 if is_periodic else places)
