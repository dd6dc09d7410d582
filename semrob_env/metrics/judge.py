"""The judge of Phi_robust: is a returned region what was asked for, on points that no optimizer has seen?

Phi_robust(f, theta0) returns a region D around theta0 with E_D[f] >= 1 - epsilon_m and Var_D[f] <= epsilon_v, mean and
variance uniform over D; Phi_adv(f) = Phi_robust(complement of f) (method section 2). Both are estimated here from m
held-out points: a scrambled Sobol sequence of its own for each region. The standard error of the mean is at most
0.5 / sqrt(m) (0.06 at 64 points, for a score that is 0 or 1; Sobol points do better on smooth scores), so a region
whose true mean is within that of the threshold may be judged either way. Below 20 points the 5 % quantile is little
more than the minimum.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.functions import ScoreFunction
from semrob_env.regions import Regions
from semrob_env.types import BoolArray, FloatArray, IntArray

PURE = 0.5
"""A point counts towards purity if its score is at least this share of the score range."""


@final
@dataclass(frozen=True)
class Thresholds:
    """What makes a region feasible: exactly, without a tolerance.

    Scores are first mapped to [0, 1] by the function's score range; a softmax score stays as it is.

    Attributes:
        epsilon_m: The mean must be at least 1 - epsilon_m; in [0, 1].
        epsilon_v: The variance must be at most epsilon_v; 0.25 bounds nothing, as scores lie in [0, 1].

    Raises:
        InvalidParameterError: epsilon_m outside [0, 1], or epsilon_v negative.
    """

    epsilon_m: float = 0.5
    epsilon_v: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon_m <= 1 or not 0 <= self.epsilon_v < np.inf:
            raise InvalidParameterError(
                f"epsilon_m {self.epsilon_m} must lie in [0, 1] and epsilon_v {self.epsilon_v} at 0 or above"
            )

    def feasible(self, mean: FloatArray, variance: FloatArray) -> BoolArray:
        """Which regions meet both thresholds, for mean and variance (B,) of scores in [0, 1]."""
        return np.asarray((mean >= 1 - self.epsilon_m) & (variance <= self.epsilon_v))


@final
@dataclass(frozen=True, eq=False)
class Judgement:
    """What the judge says of B regions; every array is (B,), scores are mapped to [0, 1] by the score range.

    Attributes:
        feasible: Whether the region meets the thresholds.
        mean: Mean score in the region.
        variance: Variance of the score in the region.
        purity: Share of the region with a score of at least 0.5.
        quantile_05: 5 % quantile of the score: a high mean can hide a hole.
        minimum: Lowest score that was seen.
        share: Volume of the region inside the space over the volume of the space.
        queries: Forward queries of the judge, charged to nobody.
    """

    feasible: BoolArray
    mean: FloatArray
    variance: FloatArray
    purity: FloatArray
    quantile_05: FloatArray
    minimum: FloatArray
    share: FloatArray
    queries: IntArray


def judge_regions(
    function: ScoreFunction,
    regions: Regions,
    member: npt.ArrayLike | None = None,
    thresholds: Thresholds | None = None,
    *,
    points: int = 64,
    seed: int = 0,
) -> Judgement:
    """Judge regions on held-out points.

    The points of a region depend on its bounds and the seed alone, not on the regions beside it. NaN counts as the
    worst score. A region without volume is judged by its one point.

    Args:
        function: The function that the regions are for.
        regions: B regions; what lies outside the space is cut off.
        member: Member of the function's family for each region, (B,); None: all 0.
        thresholds: None: the defaults.
        points: Held-out points a region; a power of two keeps the Sobol points balanced.
        seed: Seed of the points.

    Raises:
        InvalidBudgetError: Fewer than one point.
    """
    if points < 1:
        raise InvalidBudgetError(f"{points} judge points: give at least 1")
    limits = Thresholds() if thresholds is None else thresholds
    inside = regions.clip()
    rows = np.zeros(len(regions), dtype=np.int64) if member is None else np.asarray(member, dtype=np.int64)
    fractions = np.stack([_fractions(inside, row, points, seed) for row in range(len(regions))])
    low, high = function.score_range
    raw = function.values(inside.from_fractions(fractions), rows)
    scores = (np.where(np.isnan(raw), low, raw) - low) / (high - low)
    mean, variance = scores.mean(axis=1), scores.var(axis=1)
    return Judgement(
        feasible=limits.feasible(mean, variance),
        mean=mean,
        variance=variance,
        purity=(scores >= PURE).mean(axis=1),
        quantile_05=np.quantile(scores, 0.05, axis=1),
        minimum=scores.min(axis=1),
        share=inside.share(),
        queries=np.full(len(regions), points),
    )


def _fractions(regions: Regions, row: int, points: int, seed: int) -> FloatArray:
    """Scrambled Sobol points (points, n) whose scrambling hangs on the region's bounds and the seed."""
    text = regions.lower[row].tobytes() + regions.upper[row].tobytes()
    own = int.from_bytes(hashlib.sha256(text).digest()[:8], "little")
    rng = np.random.default_rng([seed, own])
    # Drawn up to a power of two and cut, for scipy warns about other lengths.
    sequence = qmc.Sobol(regions.space.n, rng=rng)
    return np.asarray(sequence.random_base2(int(points - 1).bit_length())[:points])
