"""Sets of final regions, replayed or recorded, and how they compare: SRVR, overlap, convergence."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from semrob_env.ground_truth import exact_moments
from semrob_env.metrics import RegionRecords, SrvrRow
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Goal
from semrob_env.recorded import RecordedMaps
from semrob_env.recorded.traces import ReleaseTraces
from semrob_env.regions import Regions
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.store import RunRow
from semrob_env.tables.srvr import Subject, overall_difference
from semrob_env.types import BoolArray, FloatArray, IntArray

Key = tuple[str, str, int]
"""Map, method and number of the start point: what makes two final regions answers to the same question."""


@final
@dataclass(frozen=True, eq=False)
class RegionSet:
    """Final regions of R runs."""

    keys: tuple[Key, ...]  # map NETWORK/CLASS/SHAPE, method and start number of each run
    starts: FloatArray  # start points (R, n)
    regions: Regions  # cut to the space
    feasible: BoolArray  # whether they meet the goal, exactly known and so certified, (R,)
    # share of the space that is left if a periodic range ends like a plain one, (R,): what lies beyond its ends is
    # lost, instead of going on at the other one
    seam_share: FloatArray

    @classmethod
    def of_runs(cls, runs: Sequence[RunRow], space: SemanticSpace, starts: Sequence[tuple[float, ...]]) -> RegionSet:
        """Replays out of a run store; their start points are numbered as in `starts`."""
        subjects = [Subject.of(run.task.question.function_id) for run in runs]
        points = np.array([run.task.question.start for run in runs])
        regions = Regions(space, np.array([run.lower for run in runs]), np.array([run.upper for run in runs]))
        # Rows hold bounds that are wrapped: back to those whose centre is nearest to the start point.
        periodic = np.round(((regions.lower + regions.upper) / 2 - points) / space.width)
        lower = regions.lower - np.where(space.is_periodic, periodic * space.width, 0.0)
        return cls(
            tuple(
                (f"{own.network}/{own.class_name}/{own.shape}", run.task.method, starts.index(run.task.question.start))
                for own, run in zip(subjects, runs, strict=True)
            ),
            points,
            regions,
            np.array([bool(run.feasible) for run in runs]),
            _seam_share(space, lower, lower + regions.width),
        )

    @classmethod
    def of_release(cls, traces: ReleaseTraces, function: RecordedMaps, keep: BoolArray, goal: Goal) -> RegionSet:
        """Recorded runs on the maps of a function, judged exactly, without those that diverged or are not kept (R,)."""
        rows = np.flatnonzero(keep & ~diverged(traces) & np.isin(traces.names, function.maps.names))
        regions = Regions(function.space, traces.lower[rows], traces.upper[rows]).clip()
        members = np.array([function.maps.index(traces.names[row]) for row in rows], dtype=np.int64)
        return cls(
            tuple((traces.names[row], traces.methods[row], int(traces.start[row])) for row in rows),
            traces.start_point[rows],
            regions,
            goal.is_met(*exact_moments(function, regions, members, goal)),
            _seam_share(function.space, traces.lower[rows], traces.upper[rows]),
        )

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def share(self) -> FloatArray:
        """Share of the space, (R,)."""
        return self.regions.share()

    @cached_property
    def row_of(self) -> dict[Key, int]:
        """Where each key stands."""
        return {key: row for row, key in enumerate(self.keys)}

    def only(self, rows: BoolArray | IntArray) -> RegionSet:
        """Some of the runs: a mask (R,) or indices."""
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        keys = tuple(self.keys[row] for row in chosen)
        return RegionSet(
            keys, self.starts[chosen], self.regions[chosen], self.feasible[chosen], self.seam_share[chosen]
        )

    def of(self, *, network: str | None = None, method: str | None = None) -> RegionSet:
        """The runs of a network, of a method, or of both."""
        is_of = [network in {None, parts_of(name)[0]} and method in {None, own} for name, own, _ in self.keys]
        return self.only(np.array(is_of, dtype=np.bool_))

    def records(self, *, methods_as_networks: bool = False) -> RegionRecords:
        """The runs as `srvr` takes them; or with methods in the place of networks, to compare those shape by shape."""
        columns = []
        for name, method, start in self.keys:
            network, class_name, shape = parts_of(name)
            as_network = method, class_name, f"{network}/{shape}", start, "all"
            columns.append(as_network if methods_as_networks else (network, class_name, shape, start, method))
        names = ("network", "class_name", "shape", "start", "method")
        return RegionRecords(
            **{name: np.array([one[place] for one in columns]) for place, name in enumerate(names)},
            share=self.share,
            feasible=self.feasible,
            certified=self.feasible,  # exactly judged
        )


def _seam_share(space: SemanticSpace, lower: FloatArray, upper: FloatArray) -> FloatArray:
    return np.asarray(
        (np.clip(upper, space.low, space.high) - np.clip(lower, space.low, space.high)).prod(axis=1) / space.volume
    )


def diverged(traces: ReleaseTraces) -> BoolArray:
    """Recorded runs whose final bounds, or the widths between them, are no numbers, or upside down, (R,)."""
    with np.errstate(invalid="ignore", over="ignore"):
        width = traces.upper - traces.lower
        return np.asarray(~(np.isfinite(width) & (width >= 0)).all(axis=1))


GROWN = 1e-6
"""Share of the space from which a region has grown: a side of some tenths of a degree."""


def overlaps(first: RegionSet, second: RegionSet, *, grown: bool = True) -> FloatArray:
    """Intersection over union of the regions that answer the same question, (S,), in the order of the first.

    Args:
        first: Runs.
        second: Others.
        grown: Leave out the pairs of which neither has grown: whether two specks lie on each other tells nothing.
    """
    one, other = _columns((row, second.row_of[key]) for row, key in enumerate(first.keys) if key in second.row_of)
    if grown:
        keep = (first.share[one] >= GROWN) | (second.share[other] >= GROWN)
        one, other = one[keep], other[keep]
    return first.regions[one].iou(second.regions[other])


def _columns(pairs: Iterable[tuple[int, int]]) -> IntArray:
    return np.asarray(np.array(list(pairs), dtype=np.int64).reshape(-1, 2).T)


@final
@dataclass(frozen=True)
class Convergence:
    """Do start points in one region find the same region? Pairs of runs of one map and method."""

    pairs: int  # pairs in which each start point lies in the other run's final region
    median_overlap: float  # median intersection over union of their regions; NaN without a pair
    same: float  # share of the pairs with an overlap of at least 0.9
    one_sided: int  # pairs in which only one start point lies in the other's region
    one_sided_overlap: float  # median overlap of those


def convergence(found: RegionSet) -> Convergence:
    """The convergence of the runs of a set."""
    first, second = _columns(_pairs(found))
    one, other = found.regions[first], found.regions[second]
    holds = one.contains(found.starts[second]), other.contains(found.starts[first])
    overlap, both = one.iou(other), holds[0] & holds[1]
    single = holds[0] ^ holds[1]

    def median(values: FloatArray) -> float:
        return float(np.median(values)) if len(values) else float("nan")

    same = float((overlap[both] >= SAME).mean()) if both.any() else float("nan")
    return Convergence(int(both.sum()), median(overlap[both]), same, int(single.sum()), median(overlap[single]))


SAME = 0.9
"""Overlap from which two regions count as the same."""


def _pairs(found: RegionSet) -> Iterator[tuple[int, int]]:
    groups: dict[tuple[str, str], list[int]] = {}
    for row, (name, method, _) in enumerate(found.keys):
        groups.setdefault((name, method), []).append(row)
    return itertools.chain(*(itertools.combinations(rows, 2) for rows in groups.values()))


def method_difference(found: RegionSet, first: str, second: str) -> SrvrRow | None:
    """SRVR of one method minus that of another on the same shapes, over all networks and classes; None without any."""
    return overall_difference(found.records(methods_as_networks=True), first, second)
