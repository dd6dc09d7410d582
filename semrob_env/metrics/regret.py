"""Regret: how far a region falls short of the best one that is known (method section 5)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semrob_env.errors import ShapeMismatchError
from semrob_env.functions import ScoreFunction
from semrob_env.ground_truth import exact_moments, optimum
from semrob_env.questions import Goal, MeanGoal
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
    goal: Goal | None = None,
) -> FloatArray:
    """Regret (B,) of regions against the best region around their start points; exact, no query.

    Exact moments over the region, clipped to the space, decide whether it is feasible. A region counts as volume 0,
    regret 1, if it is infeasible, and also if it does not contain its start: it answers another question.

    Args:
        function: A function whose truth is known, see `semrob_env.ground_truth`.
        regions: B regions of its space.
        starts: Their start points (B, n), or one (n,) for all.
        member: Member (B,) of each region, None: all 0.
        goal: What makes a region feasible, None: `MeanGoal()`.

    Raises:
        NoGroundTruthError: Nobody knows the truth about this function.
        InvalidRegionError: The regions are of another space.
        OutOfSpaceError: A start outside the space.
        ShapeMismatchError: Not one start or member a region.
        UnknownNameError: No such member.
    """
    wanted = MeanGoal() if goal is None else goal
    is_met = wanted.is_met(*exact_moments(function, regions, member, wanted))
    points = function.space.require(starts, "start")
    if points.shape not in {(function.space.n,), regions.lower.shape}:
        raise ShapeMismatchError(f"starts have shape {points.shape}, must be {regions.lower.shape} or one point")
    members = np.zeros(len(regions), dtype=np.int64) if member is None else np.asarray(member, dtype=np.int64)
    points = np.broadcast_to(points, regions.lower.shape)
    counts = is_met & regions.contains(points)
    best = [optimum(function, point, wanted, int(row)).share for point, row in zip(points, members, strict=True)]
    return regret(np.where(counts, regions.share(), 0.0), np.array(best))
