"""The largest feasible box where nothing is exact, for traps and for a variance constraint that binds.

A coarse global search over boxes with ends on a list of places per parameter gives starts for local searches.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from semrob_env.synthetic.landscape import Box, BoxProblem, Bumps, log_volume, product
from semrob_env.types import FloatArray

_EVENLY = {1: 80, 2: 12, 3: 3}
"""Evenly spaced places on each side of start, by the number of parameters, besides those the bumps suggest."""
_EVENLY_FOR_MANY = 3
_CLIMBERS, _SWEEPS = 64, 3
_SAME = 0.5  # of candidates that overlap by more than this (intersection over union), only the largest is kept


@final
@dataclass(frozen=True, eq=False)
class Sides:
    """Candidate intervals of one parameter, and what a box needs to know of each; all arrays (O,)."""

    lower: FloatArray  # lower ends
    upper: FloatArray  # upper ends
    factors: FloatArray  # (O, 5): width, E[p], E[p^2], E[t], E[t^2]


def coarse_candidates(problem: BoxProblem, count: int) -> list[Box]:
    """Up to `count` boxes that differ from one another, the best first.

    Best means the largest among the feasible ones, then the least infeasible. Up to 3 parameters all combinations of
    the places are tried; beyond, coordinate ascent from random combinations (a fixed Generator, so that the same
    problem has the same answer).
    """
    sides = [_sides_of(problem, k) for k in range(len(problem.start))]
    if len(sides) in _EVENLY:
        choices = np.indices([len(side.lower) for side in sides]).reshape(len(sides), -1).T
    else:
        choices = _climb(problem, sides)
    scores = _score(problem, _gather(sides, choices))
    kept: list[Box] = []
    for row in choices[np.argsort(-scores, kind="stable")[:2000]]:
        lower = np.array([side.lower[option] for side, option in zip(sides, row, strict=True)])
        upper = np.array([side.upper[option] for side, option in zip(sides, row, strict=True)])
        if all(_overlap(lower, upper, box) < _SAME for box in kept):
            kept.append((lower, upper))
        if len(kept) == count:
            break
    return kept


def _sides_of(problem: BoxProblem, k: int) -> Sides:
    """Intervals of parameter k between places left and right of start."""
    room, start, periodic = problem.room[k], problem.start[k], problem.periodic[k]
    wall_low, wall_high = problem.walls[0][k], problem.walls[1][k]
    evenly = _EVENLY.get(len(problem.start), _EVENLY_FOR_MANY)
    places = [np.linspace(wall_low, start, evenly + 1), np.linspace(start, wall_high, evenly + 1)]
    both = problem.landscape.bumps, problem.landscape.trap
    for bumps in filter(None, both):
        center = start - bumps.distance(problem.start)[k]
        for reach in (bumps.half[k], bumps.reach[k]):
            marks = np.array([center - reach, center + reach])
            places.append(np.concatenate([marks + turn * room for turn in (-1, 0, 1)]) if periodic else marks)
    every = np.unique(np.concatenate(places))
    lower, upper = np.meshgrid(
        every[(every >= wall_low) & (every <= start)], every[(every >= start) & (every <= wall_high)]
    )
    fits = (upper > lower) & (upper - lower <= room)
    lower, upper = lower[fits], upper[fits]
    factors = [upper - lower]
    for chosen in both:
        mean, square = np.ones_like(lower), np.ones_like(lower)
        if chosen is not None:
            mean, variance = (array[:, 0] for array in _only(chosen, k).box_moments(lower[:, None], upper[:, None]))
            square = mean * mean + variance
        factors += [mean, square]
    return Sides(lower, upper, np.stack(factors, axis=-1))


def _only(bumps: Bumps, k: int) -> Bumps:
    one = slice(k, k + 1)
    return Bumps(bumps.center[one], bumps.half[one], bumps.flank[one], bumps.period[one], bumps.smooth)


def _gather(sides: list[Sides], choices: npt.NDArray[np.int64]) -> FloatArray:
    """Products (N, 5) of the factors over the parameters."""
    return product(np.stack([side.factors[choices[:, k]] for k, side in enumerate(sides)], axis=-1))


def _score(problem: BoxProblem, products: FloatArray) -> FloatArray:
    """Log volume (...,) of feasible boxes; far below that, minus the violation, of the others: products (..., 5)."""
    landscape = problem.landscape
    height, depth = landscape.high - landscape.low, landscape.depth
    volume, mean_p, square_p, mean_t, square_t = (products[..., j] for j in range(5))
    mean = height * mean_p - depth * mean_t
    variance = height**2 * square_p + depth**2 * square_t - 2 * height * depth * mean_t - mean * mean
    violation = np.maximum(problem.least - landscape.low - mean, 0.0)
    violation = violation + np.maximum(variance - problem.most_variance, 0.0)
    return np.where(violation > 0, -1e3 * (1 + violation), np.log(volume))


def _climb(problem: BoxProblem, sides: list[Sides]) -> npt.NDArray[np.int64]:
    """Combinations (climbers, A) that no change of a single parameter improves, or nearly so."""
    rng = np.random.default_rng(0)
    choices = np.stack([rng.integers(len(side.lower), size=_CLIMBERS) for side in sides], axis=-1)
    for _ in range(_SWEEPS):
        for k in rng.permutation(len(sides)):
            rest = [j for j in range(len(sides)) if j != k]
            others = _gather([sides[j] for j in rest], choices[:, rest])
            scores = _score(problem, others[:, None] * sides[k].factors)
            choices[:, k] = scores.argmax(axis=1)
    return choices


def _overlap(lower: FloatArray, upper: FloatArray, box: Box) -> float:
    shared = np.prod(np.maximum(np.minimum(upper, box[1]) - np.maximum(lower, box[0]), 0.0))
    return float(shared / (np.prod(upper - lower) + np.prod(box[1] - box[0]) - shared))


_MARGIN = 1e-10  # constraints are tightened by this share, so that what SLSQP calls satisfied is satisfied
_CLOSE = 1e-7  # two log volumes this close are the same: the search stops there
_TINY = 1e-9
_RADII = 0.1, 0.005  # first and last radius of a local search, in shares of each range
_RESTARTS = 12
_COARSE = 4  # candidates of each coarse search
_REFINED = 6  # local searches from the largest feasible candidates, besides those from candidates that are not feasible


def search(problem: BoxProblem, boxes: Sequence[Box]) -> Box | None:
    """Largest feasible box found.

    Args:
        problem: What is asked.
        boxes: Candidates that contain start, feasible or not; the first is an upper bound on the volume.
    """
    bound = log_volume(boxes[0])
    candidates = [*boxes, *_shrunken(problem, boxes[0])]
    # Places are coarse, so a box near the best one may break a constraint a little: look there as well.
    for easier, looser in ((0.0, 1.0), (0.04, 1.3)):
        limits = problem.with_limits(problem.least - easier, looser * problem.most_variance)
        candidates += coarse_candidates(limits, _COARSE)
    feasible = sorted(filter(problem.is_feasible, candidates), key=log_volume, reverse=True)
    others = [box for box in candidates if not problem.is_feasible(box)]
    best = feasible[0] if feasible else None
    for box in [*feasible[:_REFINED], *others]:
        if best is not None and log_volume(best) >= bound - _CLOSE:
            break
        climbed = _climb_from(problem, box)
        if climbed is not None and (best is None or log_volume(climbed) > log_volume(best)):
            best = climbed
    return best


def _shrunken(problem: BoxProblem, box: Box) -> Iterator[Box]:
    """Copies of a box shrunk towards start: the largest feasible one, and a feasible speck."""
    start = problem.start
    for ladder in (np.geomspace(1.0, 1e-4, 60), np.geomspace(1e-4, 1e-8, 9)):
        for scale in ladder:
            smaller = start + scale * (box[0] - start), start + scale * (box[1] - start)
            if problem.is_feasible(smaller):
                yield smaller
                break


def _climb_from(problem: BoxProblem, box: Box) -> Box | None:
    """Repeated local searches within a radius, smaller after each failure: without it SLSQP's first steps are wild."""
    radius, best = _RADII[0], None
    volume = log_volume(box) if problem.is_feasible(box) else -np.inf
    for _ in range(_RESTARTS):
        found = _refine(problem, box, radius)
        gain = -np.inf if found is None else log_volume(found) - volume
        if found is not None and gain > 0:
            box, best, volume = found, found, log_volume(found)
        if gain < _CLOSE:
            if radius <= _RADII[1]:
                break
            radius /= 4
    return best


def _refine(problem: BoxProblem, box: Box, radius: float) -> Box | None:
    """SLSQP on the extents left and right of start, as shares of the range; None if it ends infeasible.

    No extent moves by more than radius.
    """
    landscape, start, room, count = problem.landscape, problem.start, problem.room, len(problem.start)
    both = np.tile(room, 2)
    most = np.concatenate([start - problem.walls[0], problem.walls[1] - start]) / both

    def box_of(extents: FloatArray) -> Box:
        left, right = extents[:count], extents[count:]
        return start - room * left, start + room * np.maximum(right, _TINY - left)

    def slack(extents: FloatArray) -> FloatArray:
        mean, variance = landscape.moments(*box_of(extents))
        turn = (1 - extents[:count] - extents[count:])[problem.periodic]
        limits = [mean - problem.least - _MARGIN, 1 - variance / problem.most_variance - _MARGIN]
        return np.concatenate([limits, turn])

    def slack_slopes(extents: FloatArray) -> FloatArray:
        mean, variance = (
            np.concatenate([-slope[0] * room, slope[1] * room]) for slope in landscape.moment_slopes(*box_of(extents))
        )
        turn = -np.tile(np.eye(count), 2)[problem.periodic]
        return np.vstack([mean, -variance / problem.most_variance, turn])

    def objective(extents: FloatArray) -> tuple[float, FloatArray]:
        # Times radius: SLSQP begins with a unit Hessian, and its first step should be about that long.
        width = np.maximum(extents[:count] + extents[count:], _TINY)
        return -radius * float(np.log(width).sum()), np.tile(-radius / width, 2)

    begin = np.clip(np.concatenate([start - box[0], box[1] - start]) / both, 0, most)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy tells of steps it clips to the bounds
        found = minimize(
            objective,
            begin,
            jac=True,
            bounds=list(zip(np.maximum(begin - radius, 0.0), np.minimum(begin + radius, most), strict=True)),
            constraints={"type": "ineq", "fun": slack, "jac": slack_slopes},
            method="SLSQP",
            options={"maxiter": 50, "ftol": 1e-12},
        )
    extents = np.clip(np.asarray(found.x, dtype=np.float64), 0, most)
    if not np.isfinite(extents).all():
        return None
    for shrink in (0.0, 1e-12, 1e-10, 1e-8, 1e-6):
        lower, upper = box_of(extents * (1 - shrink))
        lower, upper = np.maximum(lower, problem.walls[0]), np.minimum(upper, problem.walls[1])
        if (upper - lower <= room).all() and problem.is_feasible((lower, upper)):
            return lower, upper
    return None
