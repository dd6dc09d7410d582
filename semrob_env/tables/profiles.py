"""Robustness profiles of networks as tables: exact ones, those of given regions, and a claim told level by level."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

import numpy as np

from semrob_env.errors import InvalidParameterError, UnknownNameError
from semrob_env.files import interval_text
from semrob_env.ground_truth import optima, truth
from semrob_env.metrics import (
    Crossing,
    MeanProfile,
    ProfileRecords,
    RegionRecords,
    SrvrRow,
    crossings,
    mean_profiles,
    profile_difference,
)
from semrob_env.questions import Goal
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.tables.regions import RegionSet
from semrob_env.types import FloatArray

EXACT = "exact optimum"
"""Method of records that nobody had to search for."""


def exact_records(
    function: RecordedMaps,
    starts: Sequence[tuple[float, ...]],
    goal: Goal,
    levels: FloatArray,
    on_map: Callable[[], object] = lambda: None,
) -> ProfileRecords:
    """The exact profiles of all maps and start points; a question without an answer counts 0.

    Args:
        function: Maps, by names NETWORK/CLASS/SHAPE.
        starts: S start points.
        goal: What is asked at each level.
        levels: (L,).
        on_map: Called after every map.
    """
    goals = [goal.at(level) for level in levels.tolist()]
    shares = np.empty((function.members, len(starts), len(levels)))
    for member in range(function.members):
        for place, start in enumerate(starts):
            shares[member, place] = [one.share for one in optima(function, start, goals, member)]
        on_map()
    names = [parts_of(name) for name in function.maps.names]
    network, class_name, shape = (np.repeat([name[part] for name in names], len(starts)) for part in range(3))
    rows = np.tile(np.arange(len(starts)), function.members)
    methods, is_met = np.full(len(rows), EXACT), np.ones(len(rows), dtype=np.bool_)
    one = RegionRecords(network, class_name, shape, rows, methods, np.zeros(len(rows)), is_met, is_met)
    return ProfileRecords(levels, tuple(replace(one, share=own) for own in shares.reshape(-1, len(levels)).T))


def region_records_at(
    found: RegionSet, function: RecordedMaps, goal: Goal, levels: FloatArray, shares: FloatArray | None = None
) -> ProfileRecords:
    """Regions that do not depend on the level: at each, those that meet the goal there count as feasible.

    Args:
        found: R regions on maps of the function.
        function: The maps, whose exact integrals decide.
        goal: What is asked at each level.
        levels: (L,).
        shares: Shares (R,) to count; None: those of the regions.
    """
    member = np.array([function.maps.index(name) for name, _, _ in found.keys], dtype=np.int64)
    known, records = truth(function, found.regions, member), found.records()
    if shares is not None:
        records = replace(records, share=shares)
    is_met = [one.is_met(*one.exact(known)) for one in (goal.at(level) for level in levels.tolist())]
    return ProfileRecords(levels, tuple(replace(records, feasible=own, certified=own) for own in is_met))


def without_seam(maps: ScoreMaps) -> ScoreMaps:
    """The same functions on a space whose periodic ranges end like plain ones, so that no region goes on across."""
    parameters, axes, scores = list(maps.space.parameters), list(maps.axes), maps.scores
    for k, parameter in enumerate(parameters):
        if parameter.period is None:
            continue
        if maps.axes[k][0] != parameter.low:
            raise InvalidParameterError(f"the grid lines of {parameter.name} must begin at {parameter.low:g}")
        parameters[k] = replace(parameter, period=None)
        axes[k] = np.append(axes[k], parameter.high)
        scores = np.concatenate([scores, scores.take([0], axis=k + 1)], axis=k + 1)
    return replace(maps, space=type(maps.space)(tuple(parameters)), axes=tuple(axes), scores=scores)


@final
@dataclass(frozen=True, eq=False)
class ProfileTable:
    """The profiles of networks by one kind of region, and where the order of two of them turns."""

    title: str  # whose regions, in a few words
    goal: Goal  # what is asked at each level
    records: ProfileRecords  # of all networks
    networks: tuple[str, ...]  # in the order to show
    seed: int  # of the intervals
    adversarial: bool = False  # whether what was asked is the complement of f

    @property
    def words(self) -> str:
        """What regions have at a level, of f itself."""
        return level_words(self.goal, adversarial=self.adversarial)

    @cached_property
    def means(self) -> list[MeanProfile]:
        """The mean profile of each network that has runs."""
        found = mean_profiles(self.records, np.random.default_rng(self.seed))
        return [found[network] for network in self.networks if network in found]

    def difference(self, first: str, second: str) -> MeanProfile | None:
        """The mean profile of one network minus that of another; None without runs in common."""
        if (first, second) not in self._differences:
            try:
                found = profile_difference(self.records, first, second)
            except (InvalidParameterError, UnknownNameError):
                found = None
            self._differences[first, second] = found
        return self._differences[first, second]

    @cached_property
    def _differences(self) -> dict[tuple[str, str], MeanProfile | None]:
        return {}

    @cached_property
    def crossings(self) -> list[tuple[str, str, Crossing]]:
        """Every crossing of two networks, the one that is ahead at higher levels first; by level."""
        found = []
        for first, second in itertools.combinations(self.networks, 2):
            if (difference := self.difference(first, second)) is not None:
                for one in crossings(difference):
                    found.append((first, second, one) if one.rises else (second, first, replace(one, rises=True)))
        return sorted(found, key=lambda crossing: crossing[2].level)

    def shown(self) -> list[dict[str, str]]:
        """A line a network: its mean shares by level and its area, in %."""
        return [
            {
                "network": mean.name,
                **{
                    f"{level:g}": f"{100 * share:.1f}"
                    for level, share in zip(mean.levels.tolist(), mean.estimate.tolist(), strict=True)
                },
                "area": f"{100 * mean.area.estimate:.1f}",
                "95 % interval": interval_text(mean.area.low, mean.area.high),
            }
            for mean in self.means
        ]

    def exact(self) -> list[dict[str, Any]]:
        """A line a network and level, and one of the area without a level, with full precision."""
        lines = []
        for mean in self.means:
            for level, row in [*zip(mean.levels.tolist(), mean.rows, strict=True), ("area", mean.area)]:
                lines.append({
                    "regions": self.title,
                    "goal": self.words,
                    "network": mean.name,
                    "level": level,
                    **{name: getattr(row, name) for name in ("estimate", "low", "high", "runs", "shapes")},
                })
        return lines

    def crossing_words(self) -> list[str]:
        """Each crossing in words."""
        return [
            f"{ahead} passes {behind} at {one.level:.2f}" + ("" if one.is_proved else " (not proved)")
            for ahead, behind, one in self.crossings
        ]


def level_words(goal: Goal, *, adversarial: bool = False) -> str:
    """A goal whose level is left open, in words; `adversarial`: what f has where its complement meets it."""
    shown = goal.at(_SHOWN)
    if adversarial:
        return shown.words.replace(f"at least {shown.level:g}", "at most 1 - the level")
    return shown.words.replace(f"at least {shown.level:g}", "at least the level")


_SHOWN = 0.123456  # a level that no other number of a goal is


def verdict(row: SrvrRow) -> str:
    """What the interval of a difference says about the claim that it lies above 0."""
    if not np.isfinite(row.low):
        return "cannot tell"
    return "holds" if row.low > 0 else "turned round" if row.high < 0 else "not shown"


def claim_by_level(tables: Sequence[ProfileTable], first: str, second: str) -> list[dict[str, str]]:
    """A line a level: the difference of two networks in points of %, and what its interval says, a column a table."""
    found = [(table.title, own) for table in tables if (own := table.difference(first, second)) is not None]
    rows: list[dict[str, str]] = []
    for place, level in enumerate(found[0][1].levels.tolist() if found else ()):
        cells = {name: difference_text(difference.rows[place]) for name, difference in found}
        rows.append({"level": f"{level:g}", **cells})
    if found:
        rows.append({"level": "area", **{name: difference_text(difference.area) for name, difference in found}})
    return rows


def difference_text(row: SrvrRow) -> str:
    """A difference in points of %, its interval and the verdict."""
    if not np.isfinite(row.low):
        return f"{100 * row.estimate:+.1f}"
    return f"{100 * row.estimate:+.1f} ({100 * row.low:.1f} to {100 * row.high:.1f}) {verdict(row)}"
