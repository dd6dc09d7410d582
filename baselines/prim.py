"""PRIM: peel the whole space down to the start point's bump, then paste back what still fits; with REDS as an option.

Friedman & Fisher, *Bump hunting in high-dimensional data*, Statistics and Computing 9, 1999. From all points asked so
far: peel off, of all faces, the share `peel` of the points inside that lessens the goal's shortfall most for each point
lost, and never the start point, until the goal is met or fewer than `mass` of all points are left; then move faces out
by as many points as long as the goal stays met, the largest gain in volume first. Faces lie midway between points;
where none is left, at the wall. Periodic parameters are rolled so that the start point is in the middle.

REDS (Arzamasov & Boehm, SIGMOD 2021): first label many evenly spread points by a surrogate, here a plain Gaussian
process, and let PRIM look at these (`labels`).

Points are the Sobol' points of `baselines.sobol_box`, so one set of samples serves every start point.

Tuned on recorded objects 0 and 1 (ResNet50, three classes, mean >= 0.4, 100 queries): `margin` among 0,
0.02, 0.05, 0.1; peel and mass as published.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from baselines.sobol_box import sobol_points
from optimizers.base import RegionOptimizer, Settings, State
from optimizers.limits import number, whole_number
from optimizers.registry import register
from optimizers.surrogate.boxes import native_bounds
from optimizers.surrogate.method import EVERY
from optimizers.surrogate.process import Lattice, Process, fit, generic_prior
from semrob_env.oracle import Answers
from semrob_env.questions import Goal
from semrob_env.types import BoolArray, FloatArray

_FIRST, _BATCH, _LEAST_INSIDE = 8, 8, 3


@final
@dataclass(frozen=True)
class PrimSettings(Settings):
    """Hyperparameters.

    Attributes:
        peel: Share of the points inside that a peel takes off, in (0, 0.5].
        mass: Share of all points below which nothing is peeled any more.
        margin: By how much the goal is tightened.
        labels: Points that a surrogate labels (REDS); 0: PRIM looks at the scores themselves.
        most_queries: Scores that a trajectory takes before it ends as converged.
    """

    peel: float = field(default=0.05, metadata=number(above=0, most=0.5))
    mass: float = field(default=0.05, metadata=number(0, 1))
    margin: float = field(default=0.02, metadata=number(0, 1))
    labels: int = field(default=0, metadata=whole_number(0))
    most_queries: int = field(default=600, metadata=whole_number(30, 5000))


@final
@register
class Prim(RegionOptimizer[PrimSettings]):
    """The patient rule induction method; see the module."""

    name = "prim"
    version = 2
    title = "PRIM (Friedman & Fisher 1999)"
    paradigm = "top-down"
    finds = "the largest box on its way down that meets the goal"
    shares_samples = True
    settings_class = PrimSettings

    def _start(self) -> State:
        count = len(self)
        return {
            "lower": self.start.copy(),
            "upper": self.start.copy(),
            "scores": np.zeros((count, self.settings.most_queries + _BATCH)),
            "told": np.zeros(count, dtype=np.int64),
            "converged": np.zeros(count, dtype=np.bool_),
        }

    def _ask(self, state: State) -> FloatArray:
        told = int(state["told"].max(initial=0))  # of all that run: they go in step
        points = sobol_points(self.space.n, told + _size(told))[told:]
        return np.repeat((self.space.low + points * self.space.width)[None], len(self), axis=0)

    def _tell(self, state: State, answers: Answers) -> State:
        after = {name: value.copy() for name, value in state.items()}
        for row in np.flatnonzero(self.running & answers.active.all(axis=1)):
            told = int(state["told"][row])
            size = _size(told)
            after["scores"][row, told : told + size] = answers.values[row]
            after["told"][row] = told = told + size
            after["lower"][row], after["upper"][row] = self._box(row, after["scores"][row, :told])
            after["converged"][row] = told + _size(told) > self.settings.most_queries
        return after

    def _box(self, row: int, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Bounds (n,) in native units of the answer from the scores (N,) of the first points."""
        space, chosen, start = self.space, self.settings, self.start[row]
        periodic, own = np.array(space.is_periodic), space.to_unit(start)
        center = np.where(periodic, 0.0, own)

        def rolled(points: FloatArray) -> FloatArray:
            return np.asarray(np.where(periodic, np.mod(points - own + 0.5, 1.0) - 0.5, points))

        points = rolled(sobol_points(space.n, len(scores)))
        if chosen.labels:
            prior = generic_prior(space.n)
            logs = fit(prior[0], points, scores, periodic, None, prior)
            process = Process(logs, points, scores, Lattice.around(center, periodic, 1), None)
            points = rolled(sobol_points(space.n, chosen.labels))
            scores = np.clip(
                process.marginals(np.zeros(len(points)), process.cross(points, np.zeros(len(points))))[0], 0, 1
            )
        goal, low = self.questions.goal.tightened(chosen.margin), np.where(periodic, -0.5, 0.0)
        box = bump(points, goal.counted(scores), center, low, goal, chosen.peel, chosen.mass)
        lower, upper = native_bounds(space, start[None], box[0][None], box[1][None])
        return lower[0], upper[0]


def bump(
    points: FloatArray, counted: FloatArray, center: FloatArray, low: FloatArray, goal: Goal, peel: float, mass: float
) -> tuple[FloatArray, FloatArray]:
    """Bounds (n,) of PRIM's box around a center (n,) in the unit cube from `low` (n,); the center if none meets a goal.

    Args:
        points: In that cube (N, n).
        counted: What the goal counts of their scores (N,).
        center: The point that must stay.
        low: Lower bounds of the cube.
        goal: What the points inside must meet.
        peel: Share of the points inside that a step takes off or on.
        mass: Share of all points below which nothing is peeled.
    """
    lower, upper = low.copy(), low + 1.0
    inside: BoolArray = np.ones(len(points), dtype=np.bool_)

    def missed(chosen: BoolArray) -> float:
        own = counted[chosen]
        return float(goal.shortfall(own.mean(), own.var())) if len(own) else np.inf

    while missed(inside) > 0:
        best: tuple[float, int, int, float, BoolArray] | None = None
        now, count = missed(inside), int(inside.sum())
        if count <= max(mass * len(points), _LEAST_INSIDE):
            return center, center
        for k in range(len(center)):
            ordered, cut = np.sort(points[inside, k]), max(int(peel * count), 1)
            for side, bound in enumerate((
                float(ordered[cut - 1] + ordered[cut]) / 2,
                float(ordered[-cut] + ordered[-cut - 1]) / 2,
            )):
                if (bound > center[k]) if side == 0 else (bound < center[k]):
                    continue
                left = inside.copy()
                left[points[:, k] < bound if side == 0 else points[:, k] > bound] = False
                lost = count - int(left.sum())
                if lost and left.any() and (best is None or (now - missed(left)) / lost > best[0]):
                    best = ((now - missed(left)) / lost, k, side, bound, left)
        if best is None:
            return center, center
        _, k, side, bound, inside = best
        (lower if side == 0 else upper)[k] = bound
    while True:
        widened = [
            (lower_upper, within)
            for k in range(len(center))
            for side in (0, 1)
            for lower_upper in [_pasted(points, (lower, upper), low, k, side, max(int(peel * inside.sum()), 1))]
            for within in [_inside(points, *lower_upper)]
            if (lower_upper[side][k] != (lower, upper)[side][k]) and missed(within) == 0
        ]
        if not widened:
            return lower, upper
        (lower, upper), inside = max(widened, key=lambda one: float(np.log(one[0][1] - one[0][0]).sum()))


def _pasted(
    points: FloatArray, box: tuple[FloatArray, FloatArray], low: FloatArray, k: int, side: int, count: int
) -> tuple[FloatArray, FloatArray]:
    """The box with one face moved out over so many points, to midway before the next one or to the wall."""
    lower, upper = box[0].copy(), box[1].copy()
    others = np.arange(len(lower)) != k
    beside = _inside(points[:, others], lower[others], upper[others])
    if side == 0:
        beyond = np.sort(points[beside & (points[:, k] < lower[k]), k])[::-1]
        lower[k] = (beyond[count - 1] + beyond[count]) / 2 if len(beyond) > count else low[k]
    else:
        beyond = np.sort(points[beside & (points[:, k] > upper[k]), k])
        upper[k] = (beyond[count - 1] + beyond[count]) / 2 if len(beyond) > count else low[k] + 1.0
    return lower, upper


def _inside(points: FloatArray, lower: FloatArray, upper: FloatArray) -> BoolArray:
    """Which points (N, n) are within bounds (n,)."""
    inside: BoolArray = np.ones(len(points), dtype=np.bool_)
    for k in range(points.shape[1]):
        inside[(points[:, k] < lower[k]) | (points[:, k] > upper[k])] = False
    return inside


def _size(told: int) -> int:
    """Points asked after so many scores."""
    return min(max(told // EVERY, 1), _BATCH) if told else _FIRST
