"""Regret: how far a region falls short of the best one that is known (method section 5)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semrob_env.errors import ShapeMismatchError
from semrob_env.functions import ScoreFunction
from semrob_env.ground_truth import exact_moments, optimum, unit_moments
from semrob_env.metrics.judge import Thresholds
from semrob_env.regions import Regions
from semrob_env.types import FloatArray


def regret(feasible: npt.ArrayLike, best: npt.ArrayLike) -> FloatArray:
    """1 - feasible / best, (...,): 0 is as good as the best, 1 is nothing found.

    Not clipped: on maps the best is the best grid-aligned rectangle, which a continuous region may beat by a little,
    so regret may be slightly negative. NaN where the best is 0: there was nothing to find.

    Args:
        feasible: Volumes or shares (...,) of what was found, clipped to the space; 0 for an infeasible region.
        best: Those of the optima (...,), in the same unit.
    """
    found, most = np.broadcast_arrays(np.asarray(feasible, dtype=np.float64), np.asarray(best, dtype=np.float64))
    return np.asarray(1 - np.divide(found, most, out=np.full(most.shape, np.nan), where=most > 0))


def regrets(
    function: ScoreFunction,
    regions: Regions,
    starts: npt.ArrayLike,
    member: npt.ArrayLike | None = None,
    thresholds: Thresholds | None = None,
) -> FloatArray:
    """Regret (B,) of regions against the best region around their start points; exact, no query.

    The exact moments over the region, clipped to the space and mapped to [0, 1] by the score range, decide whether it
    is feasible. A region counts as volume 0, regret 1, if it is infeasible, and also if it does not contain its
    start: it answers another question.

    Args:
        function: A function whose truth is known, see `semrob_env.ground_truth`.
        regions: B regions of its space.
        starts: Their start points (B, n), or one (n,) for all.
        member: Member (B,) of each region, None: all 0.
        thresholds: What makes a region feasible, None: `Thresholds()`.

    Raises:
        NoGroundTruthError: Nobody knows the truth about this function.
        InvalidRegionError: The regions are of another space.
        OutOfSpaceError: A start outside the space.
        ShapeMismatchError: Not one start or member a region.
        UnknownNameError: No such member.
    """
    limits = Thresholds() if thresholds is None else thresholds
    mean, variance = exact_moments(function, regions, member)
    points = function.space.require(starts, "start")
    if points.shape not in {(function.space.n,), regions.lower.shape}:
        raise ShapeMismatchError(f"starts have shape {points.shape}, must be {regions.lower.shape} or one point")
    members = np.zeros(len(regions), dtype=np.int64) if member is None else np.asarray(member, dtype=np.int64)
    points = np.broadcast_to(points, regions.lower.shape)
    counts = limits.feasible(*unit_moments(mean, variance, function.score_range)) & regions.contains(points)
    best = [
        optimum(function, point, limits.epsilon_m, limits.epsilon_v, int(row)).share
        for point, row in zip(points, members, strict=True)
    ]
    return regret(np.where(counts, regions.share(), 0.0), np.array(best))
