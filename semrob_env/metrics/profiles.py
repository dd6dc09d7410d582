"""Robustness profiles: the largest region by what is asked of it, their means, their area, and where two cross.

A profile V(t) is the share of the space of the largest region around a start point that meets a goal at level t: mean
score at least t, or a score of at least t in so many of the views (`Goal.at`). It needs no threshold, and shows where
the order of two networks depends on one. Method section 6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError, ShapeMismatchError
from semrob_env.functions import ScoreFunction
from semrob_env.ground_truth import optima
from semrob_env.metrics.srvr import RegionRecords, SrvrRow, paired_difference, srvr
from semrob_env.questions import Goal
from semrob_env.types import FloatArray

LEVELS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Levels of a profile, unless told otherwise."""


def checked_levels(levels: npt.ArrayLike) -> FloatArray:
    """Levels (L,) of a profile as an array.

    Raises:
        InvalidParameterError: None, or they do not rise within [0, 1].
    """
    array = np.array(levels, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not (array[0] >= 0 and array[-1] <= 1 and (np.diff(array) > 0).all()):
        raise InvalidParameterError(
            f"levels {str(levels)[:60]}: give numbers in [0, 1], each larger than the one before"
        )
    return array


@final
@dataclass(frozen=True, eq=False)
class Profile:
    """Shares of the space by level.

    Attributes:
        levels: (L,), rising, in [0, 1].
        shares: (L,), in [0, 1].

    Raises:
        InvalidParameterError: Levels or shares out of their range, or levels that do not rise.
        ShapeMismatchError: Not one share a level.
    """

    levels: FloatArray
    shares: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", checked_levels(self.levels))
        object.__setattr__(self, "shares", np.array(self.shares, dtype=np.float64))
        if self.shares.shape != self.levels.shape:
            raise ShapeMismatchError(f"shares {self.shares.shape} for levels {self.levels.shape}: give one a level")
        if not ((self.shares >= 0) & (self.shares <= 1)).all():
            raise InvalidParameterError(f"shares {self.shares}: give shares of the space, in [0, 1]")

    @property
    def area(self) -> float:
        """The profile as one number in [0, 1]: `profile_areas`."""
        return float(profile_areas(self.levels, self.shares))


def profile_areas(levels: FloatArray, shares: FloatArray) -> FloatArray:
    """Areas (...,) under profiles (..., L), by the trapezoid rule, over the range of the levels: mean shares.

    So the area does not depend on how far the levels reach as to its unit; compare those over the same levels only.
    That over a single level is its share.
    """
    if len(levels) == 1:
        return np.asarray(shares[..., 0])
    return np.asarray(np.trapezoid(shares, levels, axis=-1) / (levels[-1] - levels[0]))


def exact_profile(
    function: ScoreFunction, start: npt.ArrayLike, goal: Goal, levels: npt.ArrayLike = LEVELS, member: int = 0
) -> Profile:
    """The profile of the largest regions around a start point (n,), where they are known; no query.

    Args:
        function: A function whose truth is known, see `semrob_env.ground_truth`.
        start: A point of its space.
        goal: What is asked at each level; its own level does not matter.
        levels: (L,).
        member: Member of the function.

    Raises:
        InvalidParameterError: Levels that do not rise within [0, 1], or at which every region meets the goal.
        NoGroundTruthError, OutOfSpaceError, ShapeMismatchError, UnknownNameError: As `semrob_env.ground_truth.optimum`.
    """
    asked = checked_levels(levels)
    found = optima(function, start, [goal.at(level) for level in asked.tolist()], member)
    return Profile(asked, np.array([one.share for one in found]))


@final
@dataclass(frozen=True, eq=False)
class ProfileRecords:
    """Regions of R runs at L levels.

    Attributes:
        levels: (L,).
        records: For each level, the R runs in the same order.

    Raises:
        InvalidParameterError: Levels that do not rise within [0, 1], or other runs at another level.
        ShapeMismatchError: Not one set of records a level.
    """

    levels: FloatArray
    records: tuple[RegionRecords, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", checked_levels(self.levels))
        if len(self.records) != len(self.levels):
            raise ShapeMismatchError(
                f"{len(self.records)} sets of records for {len(self.levels)} levels: give one each"
            )
        first = self.records[0]
        for other in self.records[1:]:
            for name in ("network", "class_name", "shape", "start", "method"):
                if not np.array_equal(getattr(first, name), getattr(other, name)):
                    raise InvalidParameterError(f"the {name} of the runs differs between levels; give the same runs")

    def only_feasible(self) -> ProfileRecords:
        """The same with 0 as the share of regions that are not feasible."""
        counted = (replace(one, share=np.where(one.feasible, one.share, 0.0)) for one in self.records)
        return ProfileRecords(self.levels, tuple(counted))

    @cached_property
    def shares(self) -> FloatArray:
        """Shares (R, L)."""
        return np.stack([one.share for one in self.records], axis=1)

    @property
    def areas(self) -> RegionRecords:
        """The runs with the area under their profile in the place of a share."""
        every = np.ones(len(self.records[0]), dtype=np.bool_)
        areas = np.clip(profile_areas(self.levels, self.shares), 0.0, 1.0)
        return replace(self.records[0], share=areas, feasible=every, certified=every)


@final
@dataclass(frozen=True, eq=False)
class MeanProfile:
    """The mean profile of a network, or of the difference of two, over classes, shapes and start points.

    Attributes:
        name: The network, or `A - B`.
        levels: (L,).
        rows: For each level, the SRVR line of all classes; its interval is of this level alone.
        area: The same of the area under the profile.
    """

    name: str
    levels: FloatArray
    rows: tuple[SrvrRow, ...]
    area: SrvrRow

    @property
    def estimate(self) -> FloatArray:
        """Mean shares (L,)."""
        return np.array([row.estimate for row in self.rows])

    @property
    def low(self) -> FloatArray:
        """Lower ends (L,) of their intervals; NaN where there is none."""
        return np.array([row.low for row in self.rows])

    @property
    def high(self) -> FloatArray:
        """Upper ends (L,)."""
        return np.array([row.high for row in self.rows])


def mean_profiles(records: ProfileRecords, rng: np.random.Generator) -> dict[str, MeanProfile]:
    """The mean profile of every network; averages and intervals as in `srvr`, the same shapes drawn at every level.

    Raises:
        InvalidParameterError: No records.
    """
    entropy = int(rng.integers(2**63))

    def overall(one: RegionRecords) -> dict[str, SrvrRow]:
        return {row.network: row for row in srvr(one, np.random.default_rng(entropy)) if row.class_name is None}

    levels, areas = [overall(one) for one in records.records], overall(records.areas)
    return {
        name: MeanProfile(name, records.levels, tuple(level[name] for level in levels), area)
        for name, area in areas.items()
    }


def profile_difference(records: ProfileRecords, first: str, second: str) -> MeanProfile:
    """The mean profile of one network minus that of another, on the runs of both; as `paired_difference`.

    Raises:
        UnknownNameError: A network without records.
        InvalidParameterError: No run in common.
    """

    def overall(one: RegionRecords) -> SrvrRow:
        return next(row for row in paired_difference(one, first, second) if row.class_name is None)

    rows = tuple(overall(one) for one in records.records)
    return MeanProfile(f"{first} - {second}", records.levels, rows, overall(records.areas))


@final
@dataclass(frozen=True)
class Crossing:
    """Where a mean difference of profiles changes its sign.

    Attributes:
        level: By linear interpolation between the levels on both sides.
        rises: Whether the difference is below 0 at lower levels, and above 0 at higher ones.
        is_proved: Whether on either side, up to the next crossing, there is a level whose interval leaves out 0. The
            intervals are of one level each.
    """

    level: float
    rises: bool
    is_proved: bool


def crossings(difference: MeanProfile) -> tuple[Crossing, ...]:
    """Where a mean difference changes its sign, lowest first; levels at which it is 0 belong to neither side."""
    values = difference.estimate
    proved = np.where((difference.low > 0) | (difference.high < 0), np.sign(values), 0.0)
    signed = np.flatnonzero(values)
    ends = [(i, j) for i, j in zip(signed[:-1].tolist(), signed[1:].tolist(), strict=True) if values[i] * values[j] < 0]
    found = []
    for place, (i, j) in enumerate(ends):
        first, last = (
            (ends[place - 1][1] if place else 0),
            (ends[place + 1][0] if place + 1 < len(ends) else len(values) - 1),
        )
        sides = proved[first : i + 1].any(), proved[j : last + 1].any()
        share = values[i] / (values[i] - values[j])
        level = difference.levels[i] + share * (difference.levels[j] - difference.levels[i])
        found.append(Crossing(float(level), bool(values[j] > 0), bool(all(sides))))
    return tuple(found)
