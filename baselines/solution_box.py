"""Solution boxes: grow a box from the start point, sample it, trim off what is bad.

Zimmermann & von Hoessle, *Computing solution spaces for robust design*, International Journal for Numerical Methods in
Engineering 94, 2013, the published n-dimensional algorithm. Phase I, until half of the budget: every side moves out by
`growth` of its range (at a wall: less), `points` are drawn in the box (a Latin hypercube), and bad points are trimmed
off, the worst first, each by the side that loses the fewest good points and never the start point, half-way to the
nearest good one. The growth follows the purity p of what was drawn: times ((1 - a) / (1 - p))^(1 / n), a = 0.7, at most
0.25, as published; if nothing good was drawn, the box rolls back. Phase II only samples and trims.

For fair use at budgets of some hundred queries, points that still lie inside are kept and count (published: 100 fresh
ones a step). What is bad: with a goal on a share, scores below its level, until the share is met; with a mean, the
lowest scores in order until the mean of what is left reaches it.

Tuned on recorded objects 0 and 1 (ResNet50, three classes, mean >= 0.4, 100 queries): `points` among 5,
10, `margin` among 0, 0.05.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from baselines.candidates import latin_hypercube
from optimizers.base import RegionOptimizer, Settings, State
from optimizers.limits import number, whole_number
from optimizers.registry import register
from optimizers.surrogate.boxes import native_bounds
from semrob_env.oracle import Answers
from semrob_env.questions import Goal
from semrob_env.types import BoolArray, FloatArray

_WANTED_PURITY, _MOST_GROWTH = 0.7, 0.25


@final
@dataclass(frozen=True)
class SolutionBoxSettings(Settings):
    """Hyperparameters.

    Attributes:
        points: Points drawn a step.
        growth: First growth of a side as a share of its range.
        margin: By how much the goal is tightened.
        most_queries: Scores that a trajectory takes before it ends as converged.
    """

    points: int = field(default=5, metadata=whole_number(2, 1000))
    growth: float = field(default=0.2, metadata=number(above=0, most=1))
    margin: float = field(default=0.05, metadata=number(0, 1))
    most_queries: int = field(default=2000, metadata=whole_number(30, 20000))


@final
@register
class SolutionBox(RegionOptimizer[SolutionBoxSettings]):
    """Stochastic solution space optimization; see the module."""

    name = "solution_box"
    version = 2
    title = "Solution box (Zimmermann & von Hoessle 2013)"
    paradigm = "bottom-up"
    finds = "a box without bad points"
    is_stochastic = True
    plans_by_budget = True
    settings_class = SolutionBoxSettings

    def _start(self) -> State:
        count, n = len(self), self.space.n
        most = min(int(min(self.questions.budget, self.settings.most_queries)), self.settings.most_queries)
        state: State = {
            "box": np.zeros((count, 2, n)),  # how far its sides are from the start point, in ranges
            "drawn": np.zeros((count, 2, n)),  # the grown box that is sampled
            "growth": np.full(count, self.settings.growth),
            "points": np.zeros((count, most + self.settings.points, n)),  # relative to the start point
            "scores": np.zeros((count, most + self.settings.points)),
            "told": np.zeros(count, dtype=np.int64),
            "upcoming": np.zeros((count, self.settings.points, n)),
            "converged": np.zeros(count, dtype=np.bool_),
        }
        for row in range(count):
            state["drawn"][row] = self._grown(row, state["box"][row], self.settings.growth)
            state["upcoming"][row] = self._sampled(row, state["drawn"][row])
        lower, upper = self._bounds(state["box"])
        return state | {"lower": lower, "upper": upper}

    def _ask(self, state: State) -> FloatArray:
        return np.asarray(self.start[:, None] + state["upcoming"] * self.space.width)

    def _tell(self, state: State, answers: Answers) -> State:
        after, size = {name: value.copy() for name, value in state.items()}, self.settings.points
        goal = self.questions.goal.tightened(self.settings.margin)
        for row in np.flatnonzero(self.running & answers.active.all(axis=1)):
            told = int(state["told"][row])
            after["points"][row, told : told + size] = state["upcoming"][row]
            after["scores"][row, told : told + size] = answers.values[row]
            after["told"][row] = told = told + size
            points, counted = after["points"][row, :told], goal.counted(after["scores"][row, :told])
            box, purity = trimmed(points, counted, state["drawn"][row], goal)
            growth = float(state["growth"][row])
            if purity > 0:
                after["box"][row] = box
                factor = (1 - _WANTED_PURITY) / max(1 - purity, 1e-9)
                growth = min(growth * factor ** (1 / self.space.n), _MOST_GROWTH)
            else:
                growth = growth / 2
            after["growth"][row] = growth
            is_growing = 2 * told < self.questions.budget
            box = after["box"][row]
            after["drawn"][row] = self._grown(row, box, growth) if is_growing or not box.any() else box
            after["upcoming"][row] = self._sampled(row, after["drawn"][row])
            after["converged"][row] = told + size > min(self.questions.budget, self.settings.most_queries)
        after["lower"], after["upper"] = self._bounds(after["box"])
        return after

    def _grown(self, row: int, box: FloatArray, growth: float) -> FloatArray:
        """A box (2, n) with all sides moved out by `growth`, within the walls and a turn."""
        own = self.space.to_unit(self.start[row])
        walls = np.where(self.space.is_periodic, 0.5, np.stack([own, 1 - own]))
        return np.asarray(np.minimum(box + growth, walls))

    def _sampled(self, row: int, box: FloatArray) -> FloatArray:
        """Points (m, n) in a box, relative to the start point in ranges."""
        fractions = latin_hypercube(self.settings.points, self.space.n, self.rngs[row])
        return np.asarray(fractions * (box[0] + box[1]) - box[0])

    def _bounds(self, boxes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Bounds (B, n) in native units of boxes (B, 2, n)."""
        center = np.where(self.space.is_periodic, 0.0, self.space.to_unit(self.start))
        return native_bounds(self.space, self.start, center - boxes[:, 0], center + boxes[:, 1])


def trimmed(points: FloatArray, counted: FloatArray, box: FloatArray, goal: Goal) -> tuple[FloatArray, float]:
    """The box (2, n) around 0 without the points that are bad for a goal, and the share of good ones that were in it.

    Args:
        points: Points (N, n).
        counted: What the goal counts of their scores (N,).
        box: How far its sides are from 0 (2, n).
        goal: What the points inside must meet.
    """
    box = box.copy()

    def within() -> BoolArray:
        return np.asarray(((points >= -box[0]) & (points <= box[1])).all(axis=1))

    inside = within()
    if not inside.any():
        return box, 0.0
    order = np.flatnonzero(inside)[np.argsort(counted[inside], kind="stable")]
    bad = np.zeros(len(points), dtype=np.bool_)
    for dropped in range(len(order) + 1):
        left = counted[order[dropped:]]
        if not len(left) or goal.is_met(left.mean(), left.var()):
            break
        bad[order[dropped]] = True
    purity = 1 - dropped / len(order)
    for point in order:
        inside = within()
        if goal.is_met(counted[inside].mean(), counted[inside].var()) if inside.any() else True:
            break
        if not (bad[point] and inside[point]):
            continue
        good = inside & ~bad
        best: tuple[int, float, int, int, float] | None = None
        for k, away in enumerate(points[point].tolist()):
            side = int(away > 0)
            reach = abs(away)
            along = points[good, k] * (1 if side else -1)
            nearest = max(float(along[along < reach].max(initial=0.0)), 0.0)
            lost = int((along >= reach).sum())
            kept = (reach + nearest) / 2
            worth = (lost, -kept / max(box[side, k], 1e-300), k, side, kept)
            best = worth if best is None or worth < best else best
        assert best is not None
        _, _, k, side, kept = best
        box[side, k] = kept
    return box, purity
