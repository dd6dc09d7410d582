"""The truth about a score function, in unit scores: moments of any region, and the best one around a point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from semrob_env.checks import instance_of, whole_array, whole_number
from semrob_env.errors import InvalidRegionError, NoGroundTruthError, ShapeMismatchError, UnknownNameError
from semrob_env.functions import ScoreFunction
from semrob_env.ground_truth.grid import GroundTruth
from semrob_env.questions import Goal, MeanGoal, Moments, Truth
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.regions import Regions
from semrob_env.synthetic.function import Known, Optimum
from semrob_env.types import IntArray


@runtime_checkable
class KnowsTruth(Protocol):
    """What knows exact answers about a function, in unit scores: `GroundTruth` of maps, or a function itself."""

    def truth(
        self, regions: Regions, member: npt.ArrayLike | None = None, *, complement: bool = False
    ) -> Truth[Moments]:
        """Exact moments (B,) over regions, after clipping to the space; complement: of 1 - f."""

    def optimum(
        self, start: npt.ArrayLike, goal: Goal | None = None, member: int = 0, *, complement: bool = False
    ) -> Optimum:
        """The largest region that contains start (n,) and meets a goal."""

    def optima(
        self, start: npt.ArrayLike, goals: Sequence[Goal], member: int = 0, *, complement: bool = False
    ) -> tuple[Optimum, ...]:
        """`optimum` for each of G goals."""


def exact_moments(
    function: ScoreFunction, regions: Regions, member: npt.ArrayLike | None = None, goal: Goal | None = None
) -> Moments:
    """True mean (B,) and variance (B,) of what a goal counts of unit scores, over regions after clipping to the space.

    Known for `RecordedMaps` and `SyntheticFunction` (anything that `KnowsTruth`), and for complements and stacks of
    these; shares of good views on maps of 1 or 2 parameters, and on synthetic functions with as many active ones. No
    query, no sampling; a row has the same bits whatever the batch around it.

    Args:
        function: The function.
        regions: B regions of its space.
        member: Member (B,) of each region, None: all 0.
        goal: None: `MeanGoal()`, so of the scores themselves.

    Raises:
        NoGroundTruthError: Nobody knows them for this function; `judge_regions` estimates them.
        InvalidRegionError: The regions are of another space.
        ShapeMismatchError: Not one member a region.
        UnknownNameError: No such member.
    """
    return (MeanGoal() if goal is None else goal).exact(truth(function, regions, member))


def truth(function: ScoreFunction, regions: Regions, member: npt.ArrayLike | None = None) -> Truth[Moments]:
    """What is known exactly of regions; arguments and errors as in `exact_moments`, where goals ask it."""
    rows = members_of(function, regions, member)
    used, place = np.unique(rows, return_inverse=True)
    parts: dict[tuple[int, bool], tuple[KnowsTruth, list[int]]] = {}
    own = np.zeros(len(used), dtype=np.int64)
    for i, name in enumerate(used.tolist()):
        leaf = function.leaf(name)
        own[i] = leaf.member
        _, chosen = parts.setdefault((id(leaf.function), leaf.is_complement), (knower(function, name), []))
        chosen.append(i)
    found = []
    for (_, is_complement), (known, chosen) in parts.items():
        mask = np.isin(place, chosen)
        found.append((mask, known.truth(regions[mask], own[place[mask]], complement=is_complement)))

    def joined(ask: Callable[[Truth[Moments]], Moments]) -> Moments:
        mean, variance = np.empty(len(rows)), np.empty(len(rows))
        for mask, part in found:
            mean[mask], variance[mask] = ask(part)
        return mean, variance

    return Known(cache(lambda: joined(lambda part: part.moments())), lambda level: joined(lambda p: p.above(level)))


def knower(function: ScoreFunction, member: int) -> KnowsTruth:
    """Who knows the truth about a member of a function, once complements and stacks are seen through.

    Raises:
        NoGroundTruthError: Nobody.
        UnknownNameError: No such member.
    """
    leaf = function.leaf(member).function
    if not leaf.scale.is_logistic:  # what is known of margins does not tell the mean of their unit scores
        if isinstance(leaf, RecordedMaps):
            return ground_truth(leaf.maps)
        if isinstance(leaf, KnowsTruth):
            return leaf
    raise NoGroundTruthError(
        f"exact answers about {function.id} are not known, only those of recorded and synthetic functions whose unit "
        "scores are linear, their complements and stacks; judge_regions estimates them"
    )


@lru_cache(maxsize=4)
def ground_truth(maps: ScoreMaps) -> GroundTruth:
    """The `GroundTruth` of maps; that of the same maps (not: equal ones) is kept for the last few."""
    return GroundTruth(maps)


def members_of(function: ScoreFunction, regions: Regions, member: npt.ArrayLike | None) -> IntArray:
    """The member of a function that each region belongs to, (B,); None: all 0.

    Raises:
        InvalidRegionError: The regions are of another space.
        ShapeMismatchError: Not one member a region.
        UnknownNameError: No such member.
    """
    instance_of("function", function, ScoreFunction)
    instance_of("regions", regions, Regions, InvalidRegionError)
    if regions.space != function.space:
        raise InvalidRegionError(
            f"regions over {', '.join(regions.space.names)} for {function.id} over {', '.join(function.space.names)}"
        )
    count = len(regions)
    rows = np.zeros(count, dtype=np.int64) if member is None else whole_array("member", member)
    if rows.shape != (count,):
        raise ShapeMismatchError(f"member has shape {rows.shape}, must be ({count},): one a region")
    if count and not (rows.min() >= 0 and rows.max() < function.members):
        raise UnknownNameError(f"member {rows.min()}..{rows.max()}: this family has members 0..{function.members - 1}")
    return rows


def optimum(function: ScoreFunction, start: npt.ArrayLike, goal: Goal | None = None, member: int = 0) -> Optimum:
    """The largest region that contains start (n,) and meets a goal; None: `MeanGoal()`.

    Of `RecordedMaps` the best grid-aligned rectangle (`GroundTruth.optimum`; the last few stacks of maps keep their
    tables and answers), of `SyntheticFunction` the best of all boxes; known also for complements of recorded maps and
    for stacks of all these.

    Raises:
        NoGroundTruthError: Nobody knows it for this function and goal.
        OutOfSpaceError, ShapeMismatchError: start is not a point (n,) of the space.
        UnknownNameError: No such member.
    """
    instance_of("function", function, ScoreFunction)
    if goal is not None:
        instance_of("goal", goal, Goal)
    member = whole_number("member", member, 0, function.members - 1, UnknownNameError)
    known, leaf = knower(function, member), function.leaf(member)
    return known.optimum(start, goal, leaf.member, complement=leaf.is_complement)


def optima(
    function: ScoreFunction, start: npt.ArrayLike, goals: Sequence[Goal], member: int = 0
) -> tuple[Optimum, ...]:
    """`optimum` for each of G goals, the very same; on maps two to five times as fast (`GroundTruth.optima`).

    Raises:
        NoGroundTruthError, OutOfSpaceError, ShapeMismatchError, UnknownNameError: As `optimum`.
    """
    known, leaf = knower(function, member), function.leaf(member)
    return known.optima(start, goals, leaf.member, complement=leaf.is_complement)
