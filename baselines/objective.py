"""What every search over bounds minimises: the loss of a candidate box, valued by all scores that were paid for.

The largest region D around theta0 that meets the question's goal: bounds on mean and variance of what it counts of the
scores, as in Phi_robust of Hamdi & Ghanem, arXiv 1904.04621.

**Candidates** are points u of the unit cube [0, 1]^(2n): the bounds are theta0_k - u_k * down_k and theta0_k + u_(n+k)
* up_k. Along a plain parameter down_k and up_k reach from theta0 to the bounds of the space. Along a periodic one both
are a whole turn, and sides that would pass each other meet, in proportion.

**Value.** A candidate is asked at m fresh points (`points`), a Latin hypercube inside it; then its mean, or its share
of good views, is what a plain Gaussian process says of it that was told all scores of the run so far
(`optimizers.surrogate.method`). So nothing that was paid for is thrown away, and a candidate inside ones that are known
is valued by more than its own points.

**Loss**, to be minimised: -s if the value meets the goal, with s = (prod_k width_k / range_k)^(1/n), the mean side: it
orders boxes as volume does, and does not vanish with n. Else the goal's shortfall, which is never below a feasible one
(the rule of Deb, *An efficient constraint handling method for genetic algorithms*, CMAME 186, 2000: no penalty weight).

**Recommendation.** The largest safe box of the same process, not the best candidate: the search decides where is asked.

Minimisers with a first guess begin at a small box, `FIRST` of the way to the walls: large ones are infeasible from four
parameters on, and tell them nothing of where to go.

Tuned with `bayesian` on recorded objects 0 and 1 (ResNet50, three classes, mean >= 0.4, 100 queries): `points` among 1,
2, 4 and `caution` among 1, 2; `FIRST` is what lifted OnePlusOne from 47 to 96 % feasible for n = 4 in an earlier study.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from optimizers.limits import number, whole_number
from optimizers.surrogate.method import SurrogateSettings
from semrob_env.parameters import SemanticSpace
from semrob_env.types import FloatArray

FIRST = 0.05
"""Every coordinate of the candidate that solvers with a first guess begin at."""


@dataclass(frozen=True)
class SearchSettings(SurrogateSettings):
    """Hyperparameters that all searches share; see the module.

    Attributes:
        points: m, fresh points of one candidate, at least 1.
    """

    points: int = field(default=2, metadata=whole_number(1, 1000))
    caution: float = field(default=2.0, metadata=number(0, 10))


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
