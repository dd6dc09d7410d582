"""The largest of some boxes nested in a region, around its start point, that surely meets the goal.

A method that looks for the largest region ends at the goal's bound, where no certificate of affordable size says yes. A
part of the region often can have one. Boxes are tried from the largest on, each with points of its own; the first one
that is certified is the answer. As each of K could be wrong, each is tried at (1 - level) / K, so that the answer is
wrong with chance 1 - level at most, however the boxes depend on each other (Bonferroni).

Measured on the even ones of the 160 recorded maps of objects 0-3, from all start points that reach the goal's level:
regions by box quadrature with 150 queries, 5 seeds of the points. Volume that is certified as it is / after shrinking,
as a share of the volume that the method found; mean bill of shrinking; 0.1 % of the answers were wrong, or fewer.

| points a box            | 64              | 128             | 256             | 512              |
|-------------------------|-----------------|-----------------|-----------------|------------------|
| mean >= .5              | .17 / .41, 250  | .13 / .58, 397  | .21 / .72, 618  | .41 / .81, 1043  |
| mean >= .7              | .03 / .39, 267  | .11 / .54, 441  | .16 / .66, 706  | .18 / .77, 1116  |
| score >= .5 in 90 %     | .22 / .59, 176  | .17 / .68, 293  | .40 / .76, 484  | .41 / .82, 832   |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError
from semrob_env.functions import ScoreFunction
from semrob_env.ground_truth import members_of
from semrob_env.metrics.certificates import CONFIDENCE, certify_by_points
from semrob_env.questions import MOST_VARIANCE, Goal
from semrob_env.regions import Regions
from semrob_env.types import BoolArray, FloatArray, IntArray

VOLUMES: Final = (1.0, 0.8, 0.6, 0.4, 0.2)
"""Parts of a region's volume that are tried, unless told otherwise."""

SHRINK_POINTS: Final = 128
"""Points of each box that is tried, unless told otherwise."""


@final
@dataclass(frozen=True, eq=False)
class Shrunk:
    """The largest box that surely meets the goal, for each of B regions.

    Attributes:
        regions: The boxes, cut to the space; the start point alone where none was certified.
        volume: Share of the region's volume that each has, (B,); 0 where there is none.
        certified: Whether there is one, (B,).
        goal_lower: Lower bound of the mean of what the goal counts in it, (B,); 0 where there is none.
        goal_variance_upper: Upper bound of its variance, (B,).
        queries: Points that all boxes cost that were tried, (B,).
        tried: Lower bounds of the mean of what the goal counts in each of K boxes, the largest first, (B, K): all of
            them hold at once with the level; NaN of boxes that were not tried.
    """

    regions: Regions
    volume: FloatArray
    certified: BoolArray
    goal_lower: FloatArray
    goal_variance_upper: FloatArray
    queries: IntArray
    tried: FloatArray


def shrink(
    function: ScoreFunction,
    regions: Regions,
    start: npt.ArrayLike,
    goal: Goal,
    member: npt.ArrayLike | None = None,
    *,
    points: int = SHRINK_POINTS,
    volumes: Sequence[float] = VOLUMES,
    level: float = CONFIDENCE,
    seed: int = 0,
) -> Shrunk:
    """Shrink regions towards their start points until they surely meet a goal.

    Points are asked whether the truth is known or not: what is offered is what a method could offer itself.

    Args:
        function: The function; it is asked directly, beside any oracle.
        regions: B regions of its space; they are clipped to it first.
        start: Start points (n,) or (B, n); one outside its region counts as the nearest point of it.
        goal: What the boxes should meet.
        member: Member (B,) of each region, None: all 0.
        points: Points of each box.
        volumes: Parts of a region's volume to try, falling, in (0, 1]; each costs points and confidence.
        level: Confidence of each region's answer, in (0, 1).
        seed: Of the points.

    Raises:
        InvalidParameterError: volumes that do not fall, or are not in (0, 1]; or as `certify`.
        OutOfSpaceError: A start point outside the space.
        InvalidRegionError, ShapeMismatchError, UnknownNameError: As `judge_regions`.
    """
    parts = [float(volume) for volume in volumes]
    if not parts or parts != sorted(set(parts), reverse=True) or not 0 < parts[-1] <= parts[0] <= 1:
        raise InvalidParameterError(f"volumes {parts}: give shares of the region's volume in (0, 1], falling")
    members, cut = members_of(function, regions, member), regions.clip()
    anchor = np.broadcast_to(function.space.require(start, "start point"), cut.lower.shape)
    # In the turn that the region is in, then inside it.
    turn = np.where(function.space.is_periodic & (anchor < cut.lower), function.space.width, 0.0)
    anchor = np.clip(anchor + turn, cut.lower, cut.upper)
    # A full turn has no ends to shrink from: half of it lies to either side of the start point, as `reach` has it.
    is_turn = function.space.is_periodic & (cut.width >= function.space.width * (1 - 1e-9))
    cut = Regions(
        function.space,
        np.where(is_turn, anchor - function.space.width / 2, cut.lower),
        np.where(is_turn, anchor + function.space.width / 2, cut.upper),
    )
    count = len(cut)
    lower, upper, kept = anchor.copy(), anchor.copy(), np.zeros(count)
    mean, variance, queries = np.zeros(count), np.full(count, MOST_VARIANCE), np.zeros(count, dtype=np.int64)
    tried = np.full((count, len(parts)), np.nan)
    for place, part in enumerate(parts):
        rows = np.flatnonzero(kept == 0)
        side = part ** (1 / function.space.n)
        low, high = (anchor + side * (bound - anchor) for bound in (cut.lower, cut.upper))
        # Rounding must not lift a bound over the region's own.
        boxes = Regions(function.space, np.maximum(low, cut.lower)[rows], np.minimum(high, cut.upper)[rows])
        own_level = 1 - (1 - level) / len(parts)
        found = certify_by_points(function, boxes, goal, members[rows], points=points, level=own_level, seed=seed)
        queries[rows] += found.points
        tried[rows, place] = found.goal_lower
        good = rows[found.certified]
        lower[good], upper[good], kept[good] = boxes.lower[found.certified], boxes.upper[found.certified], part
        mean[good], variance[good] = found.goal_lower[found.certified], found.goal_variance_upper[found.certified]
    return Shrunk(Regions(function.space, lower, upper).clip(), kept, kept > 0, mean, variance, queries, tried)
