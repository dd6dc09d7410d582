"""The best region around a start point, of any function whose answer is known."""

from __future__ import annotations

from functools import lru_cache

import numpy.typing as npt

from semrob_env.errors import NoGroundTruthError, UnknownNameError
from semrob_env.functions import Complement, ScoreFunction, Stack
from semrob_env.ground_truth.grid import GroundTruth
from semrob_env.ground_truth.moments import KnowsTruth
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.synthetic.function import Optimum


def optimum(
    function: ScoreFunction, start: npt.ArrayLike, epsilon_m: float = 0.5, epsilon_v: float = 0.25, member: int = 0
) -> Optimum:
    """The largest region that contains start (n,) with E_D[f] >= 1 - epsilon_m and Var_D[f] <= epsilon_v.

    Of `RecordedMaps` the best grid-aligned rectangle (`GroundTruth.optimum`; the last few stacks of maps keep their
    tables and answers), of `SyntheticFunction` the best of all boxes; known also for a `Complement` of recorded maps
    and for a `Stack` of all these.

    Raises:
        NoGroundTruthError: Nobody knows it for this function.
        InvalidParameterError: A threshold outside its range.
        OutOfSpaceError, ShapeMismatchError: start is not a point (n,) of the space.
        UnknownNameError: No such member.
    """
    if not 0 <= member < function.members:
        raise UnknownNameError(f"member {member}: this family has members 0..{function.members - 1}")
    leaf, is_complement = function, False
    while isinstance(leaf, Complement | Stack):
        if isinstance(leaf, Complement):
            leaf, is_complement = leaf.function, not is_complement
            continue
        for part in leaf.functions:
            if member < part.members:
                leaf = part
                break
            member -= part.members
    if isinstance(leaf, RecordedMaps):
        return ground_truth(leaf.maps).optimum(start, epsilon_m, epsilon_v, member, complement=is_complement)
    if isinstance(leaf, KnowsTruth) and not is_complement:
        return leaf.optimum(start, epsilon_m, epsilon_v)
    raise NoGroundTruthError(
        f"the best region of {function.id} is not known, only those of recorded and synthetic functions, of stacks "
        "of these and of complements of recorded ones"
    )


@lru_cache(maxsize=4)
def ground_truth(maps: ScoreMaps) -> GroundTruth:
    """The `GroundTruth` of maps; that of the same maps (not: equal ones) is kept for the last few."""
    return GroundTruth(maps)
