"""A coarse global search over boxes with ends on a list of places per parameter: starts for the local search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.synthetic.bumps import Bumps
from semrob_env.synthetic.landscape import product
from semrob_env.synthetic.problem import Box, BoxProblem
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
        centre = start - bumps.distance(problem.start)[k]
        for reach in (bumps.half[k], bumps.reach[k]):
            marks = np.array([centre - reach, centre + reach])
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
    return Bumps(bumps.centre[one], bumps.half[one], bumps.flank[one], bumps.period[one], bumps.smooth)


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
