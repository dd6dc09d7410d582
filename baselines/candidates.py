"""What every region baseline maximises, estimated in the same way for all: a goal as a black-box objective.

The largest region D around theta0 that meets the question's goal: bounds on mean and variance of what it counts of the
scores, as in Phi_robust of Hamdi & Ghanem, arXiv 1904.04621.

**Candidates** are points u of the unit cube [0, 1]^(2n): the bounds are theta0_k - u_k * down_k and theta0_k + u_(n+k)
* up_k. Along a plain parameter down_k and up_k reach from theta0 to the bounds of the space. Along a periodic one both
are a whole turn, and sides that would pass each other meet, in proportion.

**Estimate.** A candidate is asked at m points (`points`), a Latin hypercube drawn afresh inside it: the mean is
unbiased, and no candidate can hide behind points known beforehand. Variance: the unbiased one, at most 0.25.

**Loss**, to be minimised: -s if the estimates meet both thresholds, with s = (prod_k width_k / range_k)^(1/n), the
mean side: it orders boxes as volume does, and does not vanish with n. Else the goal's shortfall, which is never below a
feasible one (the rule of Deb, *An efficient constraint handling method for genetic algorithms*, CMAME 186, 2000: no
penalty weight to tune).

**Recommendation.** The largest of many estimates would be a lucky one. So a candidate larger than the box recommended
so far is asked again, at m fresh points up to `checks` times, from the same budget; it is given up as soon as the
estimates from all its points together miss a threshold. It takes over only if the fresh points alone meet them, the
mean by `confidence` standard errors. What is told of a candidate that is given up is the shortfall of all its points.

Defaults chosen on recorded maps (two shapes of each class and network, mean >= 0.4) by random search and differential
evolution: with `confidence` 0, a third of the regions after 600 queries were infeasible, with 1 one in twenty.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from optimizers.base import Settings
from optimizers.limits import number, whole_number
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MOST_VARIANCE, Goal
from semrob_env.types import BoolArray, FloatArray

FIRST = 0.25
"""Every coordinate of the candidate that solvers with a first guess begin at."""


@dataclass(frozen=True)
class SearchSettings(Settings):
    """Hyperparameters that all searches share; see the module.

    Attributes:
        points: m, fresh points of one estimate, at least 2.
        checks: Most further estimates of a candidate that would be recommended, at least 1.
        confidence: Standard errors by which the mean of a recommended region must exceed its threshold, 0 or above.
    """

    points: int = field(default=4, metadata=whole_number(2))
    checks: int = field(default=4, metadata=whole_number(1))
    confidence: float = field(default=1.0, metadata=number(0, 10))


def bounds(space: SemanticSpace, start: FloatArray, candidate: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower and upper bounds (B, n), unwrapped around start (B, n), of candidates (B, 2n)."""
    n, turn = space.n, space.width
    down, up = candidate[:, :n], candidate[:, n:]
    together = np.where(space.is_periodic, np.maximum(down + up, 1.0), 1.0)
    lower = start - down / together * np.where(space.is_periodic, turn, start - space.low)
    upper = start + up / together * np.where(space.is_periodic, turn, space.high - start)
    return np.minimum(lower, start), np.maximum(upper, start)


def mean_side(space: SemanticSpace, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """The geometric mean (B,) of the sides of regions (B, n), as shares of the range: s."""
    share = np.ones(len(lower))
    for k in range(space.n):  # by columns: the same bits in any batch
        share = share * np.minimum((upper[:, k] - lower[:, k]) / space.width[k], 1.0)
    # Row by row: a vectorised power may round by where a row stands.
    return np.array([float(row) ** (1 / space.n) for row in share])


def latin_hypercube(points: int, n: int, rng: np.random.Generator) -> FloatArray:
    """Fractions (points, n) in [0, 1): each axis has one point in each of as many equal parts."""
    part = np.argsort(rng.random((points, n)), axis=0)
    return np.asarray((part + rng.random((points, n))) / points)


def moments(count: FloatArray, total: FloatArray, square: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and unbiased variance (B,) from numbers of points (B,), sums of scores and sums of their squares."""
    mean = total / count
    spread = np.maximum(square - total * mean, 0.0) / np.maximum(count - 1, 1)
    return mean, np.minimum(spread, MOST_VARIANCE)


def is_confirmed(goal: Goal, confidence: float, count: FloatArray, mean: FloatArray, variance: FloatArray) -> BoolArray:
    """Whether estimates (B,) from `count` points meet a goal, the mean by `confidence` standard errors."""
    return np.asarray(goal.shortfall(mean - confidence * np.sqrt(variance / count), variance) == 0)
