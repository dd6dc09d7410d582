"""The best region around a start point, of any function whose answer is known."""

from __future__ import annotations

import numpy.typing as npt

from semrob_env.functions import ScoreFunction
from semrob_env.ground_truth.moments import knower
from semrob_env.questions import Goal
from semrob_env.synthetic.function import Optimum


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
    known, leaf = knower(function, member), function.leaf(member)
    return known.optimum(start, goal, leaf.member, complement=leaf.is_complement)
