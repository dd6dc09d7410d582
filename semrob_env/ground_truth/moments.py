"""True mean and variance of a score function over any region: the judge that makes no estimate."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidRegionError, NoGroundTruthError, ShapeMismatchError, UnknownNameError
from semrob_env.functions import Complement, ScoreFunction, Stack
from semrob_env.recorded import RecordedMaps
from semrob_env.recorded.integrals import exact_moments as moments_of_maps
from semrob_env.regions import Regions
from semrob_env.synthetic.function import Optimum
from semrob_env.types import FloatArray, IntArray


@runtime_checkable
class KnowsTruth(Protocol):
    """A function with one member that knows its own exact answers, like `SyntheticFunction`."""

    def exact_moments(self, regions: Regions) -> tuple[FloatArray, FloatArray]:
        """True mean (B,) and variance (B,) over regions, after clipping to the space."""

    def optimum(self, start: npt.ArrayLike, epsilon_m: float = 0.5, epsilon_v: float = 0.25) -> Optimum:
        """The largest feasible region that contains start (n,)."""


def exact_moments(
    function: ScoreFunction, regions: Regions, member: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """True mean (B,) and variance (B,) of a function over regions, in its own scores, after clipping to the space.

    Known for `RecordedMaps` and `SyntheticFunction` (anything that `KnowsTruth`), and for `Complement` and `Stack` of
    these. No query, no sampling; a row has the same bits whatever the batch around it.

    Raises:
        NoGroundTruthError: Nobody knows them for this function; `judge_regions` estimates them.
        InvalidRegionError: The regions are of another space.
        ShapeMismatchError: Not one member a region.
        UnknownNameError: No such member.
    """
    rows = members_of(function, regions, member)
    if isinstance(function, RecordedMaps):
        return moments_of_maps(function.maps, regions, rows)
    if isinstance(function, Complement):
        inner = function.function
        if isinstance(inner, Complement):  # to the last bit what is within: 1 - (1 - f) may be rounded
            return exact_moments(inner.function, regions, rows)
        mean, variance = exact_moments(inner, regions, rows)
        return sum(function.score_range) - mean, variance
    if isinstance(function, Stack):
        mean, variance = np.empty(len(rows)), np.empty(len(rows))
        first = 0
        for part in function.functions:
            own = np.flatnonzero((rows >= first) & (rows < first + part.members))
            if len(own):
                mean[own], variance[own] = exact_moments(part, regions[own], rows[own] - first)
            first += part.members
        return mean, variance
    if isinstance(function, KnowsTruth):
        return function.exact_moments(regions)
    raise NoGroundTruthError(
        f"the exact moments of {function.id} are not known, only those of recorded and synthetic functions, their "
        "complements and stacks; judge_regions estimates them"
    )


def members_of(function: ScoreFunction, regions: Regions, member: npt.ArrayLike | None) -> IntArray:
    """The member of a function that each region belongs to, (B,); None: all 0.

    Raises:
        InvalidRegionError: The regions are of another space.
        ShapeMismatchError: Not one member a region.
        UnknownNameError: No such member.
    """
    if regions.space != function.space:
        raise InvalidRegionError(
            f"regions over {', '.join(regions.space.names)} for {function.id} over {', '.join(function.space.names)}"
        )
    count = len(regions)
    rows = np.zeros(count, dtype=np.int64) if member is None else np.asarray(member, dtype=np.int64)
    if rows.shape != (count,):
        raise ShapeMismatchError(f"member has shape {rows.shape}, must be ({count},): one a region")
    if count and not (rows.min() >= 0 and rows.max() < function.members):
        raise UnknownNameError(f"member {rows.min()}..{rows.max()}: this family has members 0..{function.members - 1}")
    return rows


def unit_moments(
    mean: FloatArray, variance: FloatArray, score_range: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance (B,) with scores mapped to [0, 1] by the score range: what thresholds speak of."""
    low, high = score_range
    return (mean - low) / (high - low), variance / (high - low) ** 2
