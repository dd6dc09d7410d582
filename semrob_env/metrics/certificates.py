"""Certificates: confidence bounds of a region's goal from points drawn after the region was fixed.

An estimate of a mean says how good a region looks; a certificate says how good it is at least, with a confidence that
is told, whatever the function: points are independent and uniform in the region, from a stream that no method and no
estimate has seen. Scrambled Sobol points, as the estimates of `judge_regions` have them, are not independent, so no
such statement follows from them.

What a goal counts decides the bound: 0/1 answers the exact one of the binomial distribution, all else the betting
bound. Each bound holds for one region; of K regions together, give each (1 - level) / K (README, "What is certified?").
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError, NoGroundTruthError
from semrob_env.functions import ScoreFunction
from semrob_env.ground_truth import exact_moments, members_of
from semrob_env.questions import MOST_VARIANCE, Goal
from semrob_env.regions import Regions
from semrob_env.sequences import hashed_uniform
from semrob_env.types import BoolArray, FloatArray, IntArray

CONFIDENCE = 0.95
"""Of a certificate, unless told otherwise."""

CERTIFICATE_POINTS = 64
"""Points of a certificate, unless told otherwise: 59 without a failure are the fewest that show a share of 95 %."""

_BISECTIONS = 40
_CHUNK_NUMBERS = 2**20
"""Most numbers in one step of a bound or in one call to the function: 8 MiB."""


@final
@dataclass(frozen=True, eq=False)
class Certificate:
    """What is certain, at one confidence each, of B regions; arrays (B,).

    Attributes:
        goal_lower: Lower bound of the mean of what the goal counts.
        goal_variance_upper: Upper bound of its variance; `MOST_VARIANCE` where the goal bounds none.
        certified: Whether these bounds meet the goal.
        points: Points that they cost, one query each; 0: they are the truth.
    """

    goal_lower: FloatArray
    goal_variance_upper: FloatArray
    certified: BoolArray
    points: IntArray

    @classmethod
    def of_truth(cls, goal: Goal, mean: FloatArray, variance: FloatArray) -> Certificate:
        """Where mean and variance (B,) of what the goal counts are known, they are their own bounds, free of charge."""
        return cls(mean, variance, goal.is_met(mean, variance), np.zeros(len(mean), dtype=np.int64))


def certify(
    function: ScoreFunction,
    regions: Regions,
    goal: Goal,
    member: npt.ArrayLike | None = None,
    *,
    points: int = CERTIFICATE_POINTS,
    level: float = CONFIDENCE,
    seed: int = 0,
) -> Certificate:
    """Which of B regions surely meet a goal: exactly where the truth is known, else by `certify_by_points`.

    Args:
        function: The function; it is asked directly, beside any oracle.
        regions: B regions of its space; they are clipped to it first.
        goal: What they should meet.
        member: Member (B,) of each region, None: all 0.
        points: Points a region, 0 or above; 0 certifies nothing.
        level: Confidence of each region's certificate, in (0, 1).
        seed: Of the points, 0 or above.

    Raises:
        InvalidParameterError: points, level or seed not as above.
        InvalidRegionError, ShapeMismatchError, UnknownNameError: As `judge_regions`.
    """
    require_certificate(points, level, seed)
    try:
        mean, variance = exact_moments(function, regions, member, goal)
    except NoGroundTruthError:
        return certify_by_points(function, regions, goal, member, points=points, level=level, seed=seed)
    return Certificate.of_truth(goal, mean, np.minimum(variance, MOST_VARIANCE))


def certify_by_points(
    function: ScoreFunction,
    regions: Regions,
    goal: Goal,
    member: npt.ArrayLike | None = None,
    *,
    points: int = CERTIFICATE_POINTS,
    level: float = CONFIDENCE,
    seed: int = 0,
) -> Certificate:
    """Which of B regions surely meet a goal, by independent uniform points in each; arguments as in `certify`.

    The points of a region come from a hash of its bounds, the member's id and the seed: its answer depends neither on
    the batch nor on its order, and more points begin with the same ones. A NaN score counts as the worst score. Asking
    again with other seeds until a region passes is no certificate; give more points instead.
    """
    require_certificate(points, level, seed)
    members, cut = members_of(function, regions, member), regions.clip()
    lower, upper = np.zeros(len(cut)), np.full(len(cut), MOST_VARIANCE)
    step = max(1, _CHUNK_NUMBERS // max(points * function.space.n, 1))
    for first in range(0, len(cut) if points else 0, step):
        rows = slice(first, first + step)
        theta = cut[rows].from_fractions(_fractions(function, cut[rows], members[rows], points, seed))
        scores = function.scale.unit(function.values(theta, members[rows]))
        lower[rows], upper[rows] = goal_bounds(goal, goal.counted(scores), 1 - level)
    return Certificate(lower, upper, goal.is_met(lower, upper), np.full(len(cut), points, dtype=np.int64))


def goal_bounds(goal: Goal, counted: FloatArray, alpha: float) -> tuple[FloatArray, FloatArray]:
    """Lower bound of the mean (B,) and upper bound of the variance (B,) of what a goal counts, both at once.

    Both hold with probability 1 - alpha at least; where the goal bounds no variance, all of alpha goes to the mean.

    Args:
        goal: The goal.
        counted: What it counts (B, N) at independent uniform points of each region.
        alpha: In (0, 1).
    """
    own = alpha / 2 if goal.bounds_variance else alpha
    bound = variance_upper_bound(counted, own) if goal.bounds_variance else np.full(len(counted), MOST_VARIANCE)
    if goal.threshold is not None:  # ones and zeros
        return share_lower_bound(counted.sum(axis=-1), counted.shape[-1], own), bound
    return mean_lower_bound(counted, own), bound


def share_lower_bound(successes: npt.ArrayLike, n: npt.ArrayLike, alpha: float) -> FloatArray:
    """Lower bound (...,) of a probability from successes (...,) in n trials (...,); too high with chance <= alpha.

    Source: Clopper & Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26. Without a failure, 29 trials show 90 % at alpha = 0.05, 59 show 95 % and 299 show 99 %.
    """
    from scipy.special import betaincinv  # here, so that the room is light to enter

    found = np.asarray(successes, dtype=np.float64)
    # No success says nothing: Beta(0, .) is 0.
    return np.asarray(np.where(found > 0, betaincinv(np.maximum(found, 1.0), np.asarray(n) - found + 1, alpha), 0.0))


def mean_lower_bound(samples: npt.ArrayLike, alpha: float) -> FloatArray:
    """Lower bound (...,) of the mean of independent samples (..., N) in [0, 1]; too high with chance <= alpha.

    The betting bound: a gambler who bets that the mean is above m, K_t(m) = prod_i (1 + lambda_i (X_i - m)), is never
    rich, max_t K_t(m) >= 1 / alpha, but with chance alpha if the mean is m (Ville's inequality). K_t falls with m, so
    the bound is where the gambler stops being rich. It needs no assumption beyond the range, adapts to the variance,
    and a normal interval at N = 64 does not hold its level.

    Source: Waudby-Smith & Ramdas, JRSSB 2024, arXiv 2010.09686: predictable plug-in bets, cut at
    c / m with c = 1/2, for N that is fixed ahead.
    """
    values = np.asarray(samples, dtype=np.float64)
    shape, count = values.shape[:-1], values.shape[-1]
    if not count:
        return np.zeros(shape)
    rows = values.reshape(-1, count)
    step = max(1, _CHUNK_NUMBERS // count)
    parts = [_betting_bound(rows[at : at + step], alpha) for at in range(0, len(rows), step)]
    return np.asarray(np.concatenate([*parts, np.zeros(0)]).reshape(shape))


def _betting_bound(samples: FloatArray, alpha: float) -> FloatArray:
    """`mean_lower_bound` of samples (B, N), all at once."""
    count, rich = samples.shape[-1], np.log(1 / alpha)
    number = np.arange(1, count + 1)
    center = (0.5 + samples.cumsum(axis=-1)) / (number + 1)
    spread = (0.25 + ((samples - center) ** 2).cumsum(axis=-1)) / (number + 1)
    known = np.concatenate([np.full((len(samples), 1), 0.25), spread[:, :-1]], axis=-1)  # before each sample
    bet = np.sqrt(2 * rich / (count * known))
    low, high = np.zeros((len(samples), 1)), np.ones((len(samples), 1))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        worth = np.log1p(np.minimum(bet, 0.5 / middle) * (samples - middle)).cumsum(axis=-1).max(axis=-1, keepdims=True)
        low, high = np.where(worth >= rich, middle, low), np.where(worth >= rich, high, middle)
    return np.asarray(low[:, 0])


def variance_upper_bound(samples: npt.ArrayLike, alpha: float) -> FloatArray:
    """Upper bound (...,) of the variance of independent samples (..., N) in [0, 1]; too low with chance <= alpha.

    (X - X')^2 / 2 of a pair lies in [0, 1/2] and has the variance as its mean: the betting bound from above, over
    N // 2 pairs.
    """
    values = np.asarray(samples, dtype=np.float64)
    pairs = values.shape[-1] // 2
    twice = (values[..., 0 : 2 * pairs : 2] - values[..., 1 : 2 * pairs : 2]) ** 2
    return np.asarray(np.minimum((1 - mean_lower_bound(1 - twice, alpha)) / 2, MOST_VARIANCE))


def require_certificate(points: int, level: float, seed: int) -> None:
    """Refuse what makes no certificate.

    Raises:
        InvalidParameterError: Fewer than 0 points, more than 2^20, a level not in (0, 1), or a seed below 0.
    """
    if not 0 <= points <= 2**20:
        raise InvalidParameterError(f"{points} certificate points: give a whole number from 0 to 2^20, for example 64")
    require_confidence(level)
    if seed < 0:
        raise InvalidParameterError(f"certificate seed {seed}: give a whole number, 0 or above")


def require_confidence(level: float) -> float:
    """A confidence, if it is one.

    Raises:
        InvalidParameterError: It is not in (0, 1).
    """
    if not 0 < level < 1:
        raise InvalidParameterError(f"confidence {level}: give a number in (0, 1), for example 0.95")
    return level


def _fractions(function: ScoreFunction, regions: Regions, members: IntArray, points: int, seed: int) -> FloatArray:
    """Points (B, points, n) in (0, 1), independent and uniform."""
    fractions = np.empty((len(regions), points, function.space.n))
    # + 0.0 makes -0.0 the same bytes as 0.0.
    bounds = np.concatenate([regions.lower, regions.upper], axis=1) + 0.0
    for row, (member, ends) in enumerate(zip(members, bounds, strict=True)):
        name = f"certificate/{seed}/{function.member_ids[member]}/".encode(errors="surrogatepass")
        fractions[row] = hashed_uniform(name + ends.astype("<f8").tobytes(), fractions[row].shape)
    return fractions


@lru_cache
def least_points(goal: Goal, most: int, alpha: float) -> int:
    """How many points, all of them perfect, certify a region; most + 1 where as many do not.

    Args:
        goal: What the region is to meet.
        most: Up to how many are tried, at least 2.
        alpha: One less the confidence.
    """

    def is_enough(points: int) -> bool:
        return bool(goal.is_met(*goal_bounds(goal, np.ones((1, points)), alpha))[0])

    return 2 + bisect_left(range(2, most + 1), True, key=is_enough)
