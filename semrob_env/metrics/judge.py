"""Judging regions on points no optimizer saw: does it meet the goal, surely so, mean, variance, purity, share.

Everything is measured in unit scores, so it means the same for every function. Source: Hamdi & Ghanem, arXiv
1904.04621 (the operators Phi_robust and Phi_adv).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.checks import instance_of, number, shown, whole_number
from semrob_env.errors import InvalidParameterError, NoGroundTruthError
from semrob_env.functions import ScoreFunction
from semrob_env.ground_truth import members_of, truth
from semrob_env.metrics.certificates import (
    CERTIFICATE_POINTS,
    CONFIDENCE,
    Certificate,
    certify_by_points,
)
from semrob_env.metrics.measures import Measures
from semrob_env.questions import MOST_VARIANCE, Goal, MeanGoal, Moments
from semrob_env.regions import Regions
from semrob_env.types import BoolArray, FloatArray, IntArray

MOST_POINTS = 2**20
PURE_SCORE = 0.5
_LARGEST_SEED = 2**256
_BITS = 30
_CHUNK_NUMBERS = 2**22
"""Most numbers in the theta of one call to the function: 32 MiB."""


@final
@dataclass(frozen=True)
class Judge:
    """How regions are judged; part of every run's key.

    Attributes:
        goal: What makes a region feasible.
        points: Points a region, a power of two from 2 to 2^20.
        seed: Seed of the points, 0 or above.
        certificate_points: More points a region, independent ones, for its certificate, from 0 to 2^20.
        confidence: Of each certificate, in (0, 1).

    Raises:
        InvalidParameterError: One of them not as above.
    """

    goal: Goal = field(default_factory=MeanGoal)
    points: int = 64
    seed: int = 0
    certificate_points: int = CERTIFICATE_POINTS
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        instance_of("goal", self.goal, Goal)
        if whole_number("judge points", self.points, 2, MOST_POINTS) & (self.points - 1):
            raise InvalidParameterError(
                f"{self.points} judge points: give a power of two from 2 to {MOST_POINTS}, for example 64"
            )
        whole_number("judge seed", self.seed, 0, _LARGEST_SEED)
        whole_number("certificate points", self.certificate_points, 0, MOST_POINTS)
        if not 0 < number(self.confidence) < 1:
            raise InvalidParameterError(f"confidence {shown(self.confidence)}: give a number in (0, 1)")


@final
@dataclass(frozen=True, eq=False)
class Judgement:
    """What a judge found for B regions: the fields of `Measures`, which says what each means, as arrays (B,).

    `is_exact` is one for all.
    """

    share: FloatArray
    feasible: BoolArray
    certified: BoolArray
    goal_mean: FloatArray
    goal_variance: FloatArray
    goal_lower: FloatArray
    goal_variance_upper: FloatArray
    mean: FloatArray
    variance: FloatArray
    purity: FloatArray
    quantile_05: FloatArray
    minimum: FloatArray
    least_half_width: FloatArray
    judge_queries: IntArray
    certificate_queries: IntArray
    is_exact: bool = False

    def measures(self, row: int) -> Measures:
        """The measures of one region."""
        values = {field.name: np.asarray(getattr(self, field.name)) for field in fields(Measures)}
        return Measures(**{name: (value[row] if value.ndim else value).item() for name, value in values.items()})

    def with_certificate(self, own: Certificate) -> Judgement:
        """The same with another certificate of the B regions."""
        return replace(
            self,
            certified=own.certified,
            goal_lower=own.goal_lower,
            goal_variance_upper=own.goal_variance_upper,
            certificate_queries=own.points,
        )

    def standard_error(self) -> FloatArray:
        """Standard error of `mean` (B,) as if the points were independent: cautious, for scrambled points do better."""
        if self.is_exact:
            return np.zeros_like(self.mean)
        return np.asarray(np.sqrt(self.variance / self.judge_queries))


def judge_regions(
    function: ScoreFunction, regions: Regions, member: npt.ArrayLike | None = None, judge: Judge | None = None
) -> Judgement:
    """Judge B regions by held-out points: a scrambled Sobol set in each, of its own.

    The random numbers of a region come from a hash of its bounds, the member's id and the judge's seed and size, so the
    answer depends neither on the batch nor on its order, and no optimizer has asked these points. Regions are clipped
    to the space first; a side without width is judged at its one value. A NaN score counts as the worst score.

    Mean and variance, and whether the goal is met, are exact where the truth about the function is known
    (`semrob_env.ground_truth`: recorded and synthetic functions). Else they are estimates: the standard error of a mean
    is at most sqrt(variance / points), 0.0625 at 64 points in the worst case and often less; a region whose true mean
    lies that close to the goal's bound, as the largest feasible one does, is called feasible or not nearly by chance.
    Whether it surely meets the goal is said by a certificate, from independent points beside those; where the truth is
    known, that is the certificate and costs no query. The other measures always come from the points: holes of a share
    well below 1 / points go unseen by `minimum` and `purity`, and `quantile_05` rests on about 3 points out of 64. Give
    more points where a query is cheap.

    Args:
        function: The function; it is asked directly, beside any oracle.
        regions: B regions of its space, feasible or not.
        member: Member (B,) of each region, None: all 0.
        judge: Goal, points and seed; None: `Judge()`.

    Raises:
        InvalidRegionError: The regions are of another space.
        ShapeMismatchError: Not one member a region.
        UnknownNameError: No such member.
    """
    judge = Judge() if judge is None else instance_of("judge", judge, Judge)
    members, count = members_of(function, regions, member), len(regions)
    cut = regions.clip()
    scores = np.empty((count, judge.points))
    step = max(1, _CHUNK_NUMBERS // (judge.points * function.space.n))
    for first in range(0, count, step):
        rows = slice(first, first + step)
        theta = cut[rows].from_fractions(_fractions(function, cut[rows], members[rows], judge))
        scores[rows] = function.scale.unit(function.values(theta, members[rows]))
    counted = judge.goal.counted(scores)
    moments, of_goal, is_exact = _moments(scores), _moments(counted), False
    try:
        known = truth(function, cut, members)
        moments = known.moments()
        of_goal, is_exact = judge.goal.exact(known), True
    except NoGroundTruthError:
        pass
    # Rounding must not lift a variance above what scores in [0, 1] can have.
    (mean, variance), (goal_mean, goal_variance) = (
        (mean, np.minimum(variance, MOST_VARIANCE)) for mean, variance in (moments, of_goal)
    )
    if is_exact:
        certificate = Certificate.of_truth(judge.goal, goal_mean, goal_variance)
    else:
        certificate = certify_by_points(
            function,
            cut,
            judge.goal,
            members,
            points=judge.certificate_points,
            level=judge.confidence,
            seed=judge.seed,
        )
    return Judgement(
        share=cut.share(),
        feasible=judge.goal.is_met(goal_mean, goal_variance),
        certified=certificate.certified,
        goal_mean=goal_mean,
        goal_variance=goal_variance,
        goal_lower=certificate.goal_lower,
        goal_variance_upper=certificate.goal_variance_upper,
        mean=mean,
        variance=variance,
        purity=(scores >= PURE_SCORE).mean(axis=1),
        quantile_05=np.quantile(scores, 0.05, axis=1),
        minimum=scores.min(axis=1),
        least_half_width=(cut.width / function.space.width).min(axis=1) / 2,
        judge_queries=np.full(count, judge.points, dtype=np.int64),
        certificate_queries=certificate.points,
        is_exact=is_exact,
    )


def _moments(scores: FloatArray) -> Moments:
    """Mean and variance (B,) of scores (B, points)."""
    return scores.mean(axis=1), scores.var(axis=1)


def _fractions(function: ScoreFunction, regions: Regions, members: IntArray, judge: Judge) -> FloatArray:
    """Points (B, points, n) in (0, 1): one scrambled net a judge, shifted digitally by each region's hash."""
    n = function.space.n
    shift = np.empty((len(regions), n), dtype=np.uint32)
    # + 0.0 makes -0.0 the same bytes as 0.0.
    bounds = np.concatenate([regions.lower, regions.upper], axis=1) + 0.0
    for row, (member, ends) in enumerate(zip(members, bounds, strict=True)):
        name = f"{judge.seed}/{judge.points}/{function.member_ids[member]}/".encode(errors="surrogatepass")
        key = name + ends.astype("<f8").tobytes()
        shift[row] = np.frombuffer(hashlib.shake_128(key).digest(4 * n), dtype="<u4") >> np.uint32(32 - _BITS)
    digits = _scrambled_net(n, judge.points, judge.seed) ^ shift[:, None, :]
    return np.asarray((digits + 0.5) * 2.0**-_BITS)


@lru_cache(maxsize=16)
def _scrambled_net(n: int, points: int, seed: int) -> npt.NDArray[np.uint32]:
    """Sobol points (points, n) as 30-bit integers after a random linear scrambling (Matousek 1998)."""
    from scipy.stats import qmc  # here, for it takes most of a second to import

    plain = np.asarray(qmc.Sobol(n, scramble=False, bits=_BITS).random(points) * 2**_BITS, dtype=np.uint32)
    stream = hashlib.shake_128(f"judge net/{seed}".encode()).digest(4 * n * _BITS)
    random = np.frombuffer(stream, dtype="<u4").reshape(n, _BITS)
    result = np.zeros_like(plain)
    for bit in range(_BITS):  # counted from the most significant one
        own = np.uint32(1 << (_BITS - 1 - bit))
        above = np.uint32(2**_BITS - 2 * int(own))  # the more significant bits mix in at random
        parity = plain & ((random[:, bit] & above) | own)
        for half in (16, 8, 4, 2, 1):
            parity = parity ^ (parity >> np.uint32(half))
        result |= (parity & np.uint32(1)) * own
    result.setflags(write=False)
    return result
