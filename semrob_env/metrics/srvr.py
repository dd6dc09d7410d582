"""SRVR tables, semantic robustness as a volume ratio, with intervals over shapes.

Source: Hamdi & Ghanem, arXiv 1904.04621 (SRVR); the other two columns and the intervals are ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError, ShapeMismatchError, UnknownNameError
from semrob_env.metrics.bootstrap import LEVEL
from semrob_env.metrics.intervals import DRAWS, difference_interval, share_interval
from semrob_env.types import BoolArray, FloatArray, IntArray


@final
@dataclass(frozen=True, eq=False)
class RegionRecords:
    """R judged runs, one row a run; all arrays (R,).

    Attributes:
        network: Name of the network.
        class_name: Name of the class.
        shape: Name of the shape, unique within its class.
        start: Index of the start point.
        method: Name of the optimizer.
        share: Volume share of the region, in [0, 1].
        feasible: Whether the judge called it feasible.
        certified: Whether it is certified to meet the goal.

    Raises:
        ShapeMismatchError: Columns of different length.
        InvalidParameterError: A share outside [0, 1], or two rows for the same run.
    """

    network: npt.NDArray[np.str_]
    class_name: npt.NDArray[np.str_]
    shape: npt.NDArray[np.str_]
    start: IntArray
    method: npt.NDArray[np.str_]
    share: FloatArray
    feasible: BoolArray
    certified: BoolArray

    def __post_init__(self) -> None:
        kinds = {"start": np.int64, "share": np.float64, "feasible": np.bool_, "certified": np.bool_}
        for name in self.__dataclass_fields__:
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kinds.get(name, np.str_)))
        lengths = {name: getattr(self, name).shape for name in self.__dataclass_fields__}
        if any(shape != (len(self),) for shape in lengths.values()):
            raise ShapeMismatchError(f"columns have shapes {lengths}; give one number a run in each")
        if (wrong := self.share[~((self.share >= 0) & (self.share <= 1))]).size:
            raise InvalidParameterError(
                f"share {wrong[0]}: give the volume share of the space, clipped to [0, 1] (Judgement.share)"
            )
        place = np.zeros(len(self), dtype=np.int64)
        for column in (self.network, self.class_name, self.shape, self.start, self.method):
            names, code = _coded(column)
            place = _coded(place * len(names) + code)[1]
        if (twice := np.flatnonzero(np.bincount(place) > 1)).size:
            row = int(np.flatnonzero(place == twice[0])[0])
            parts = (column[row] for column in (self.network, self.class_name, self.shape, self.start, self.method))
            raise InvalidParameterError(f"run {'/'.join(map(str, parts))} is there twice; keep one row a run")

    def __len__(self) -> int:
        return int(np.asarray(self.network).shape[0])

    def only(
        self,
        *,
        networks: Iterable[str] | None = None,
        class_names: Iterable[str] | None = None,
        methods: Iterable[str] | None = None,
    ) -> RegionRecords:
        """The rows of some networks, classes or methods; None keeps all."""
        keep = np.ones(len(self), dtype=np.bool_)
        for column, wanted in ((self.network, networks), (self.class_name, class_names), (self.method, methods)):
            if wanted is not None:
                keep &= np.logical_or.reduce([column == name for name in wanted] or [False])
        return self._part(keep)

    def _part(self, keep: BoolArray | IntArray) -> RegionRecords:
        """Rows, each at most once: what holds of all columns holds of theirs, and is not looked at again."""
        part = object.__new__(RegionRecords)
        for name in self.__dataclass_fields__:
            object.__setattr__(part, name, getattr(self, name)[keep])
        return part

    def rows(self, keep: BoolArray | IntArray) -> RegionRecords:
        """The rows that a mask (R,) or indices keep."""
        return RegionRecords(**{name: getattr(self, name)[keep] for name in self.__dataclass_fields__})


@final
@dataclass(frozen=True)
class SrvrRow:
    """One line of an SRVR table; shares, not percent.

    Attributes:
        network: The network, or `A - B` for a difference.
        class_name: The class, or None for the mean over classes.
        estimate: SRVR over every returned region.
        low: Lower end of its interval; NaN where there is none.
        high: Upper end.
        feasible_estimate: SRVR with infeasible regions counted as 0.
        feasible_low: Lower end of its interval.
        feasible_high: Upper end.
        certified_estimate: SRVR with regions that are not certified counted as 0.
        certified_low: Lower end of its interval.
        certified_high: Upper end.
        runs: Number of runs behind it.
        shapes: Number of shapes behind it.
    """

    network: str
    class_name: str | None
    estimate: float
    low: float
    high: float
    feasible_estimate: float
    feasible_low: float
    feasible_high: float
    certified_estimate: float
    certified_low: float
    certified_high: float
    runs: int
    shapes: int


KINDS = ("", "feasible_", "certified_")
"""Which regions count, as the fields of `SrvrRow` begin: all, those that meet the goal, those that surely do."""

_NUMBERS = [f"{kind}{end}" for kind in KINDS for end in ("estimate", "low", "high")]


def srvr(
    records: RegionRecords, rng: np.random.Generator, *, draws: int = DRAWS, level: float = LEVEL
) -> tuple[SrvrRow, ...]:
    """SRVR of every network: a row a class, then one (class_name None) for the mean over its classes.

    SRVR = mean over methods of the mean over shapes of the mean over start points of Vol(D) / Vol(space). Narrow it
    down with `records.only(methods=...)`. Runs that are missing are left out of their mean.

    Intervals speak of other shapes of these classes, not of other start points, methods or classes: start points and
    methods of a shape are averaged first. They hold their level from two shapes on, whatever the distribution of the
    shares (`semrob_env.metrics.intervals`), and say little where there are few. With a single shape there is none: low
    and high are NaN. Rows do not depend on which other networks are in the records.

    Raises:
        InvalidParameterError: No records, fewer than 2 draws, a level not in (0, 1).
    """
    networks, entropy = _networks_of(records), int(rng.integers(2**63))

    def interval(values: FloatArray, weights: FloatArray, name: str) -> FloatArray:
        key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
        return share_interval(values, weights, np.random.default_rng([entropy, key]), draws=draws, level=level)

    tables = ((network, _class_tables(records.only(networks=[network]))) for network in networks)
    return tuple(row for network, own in tables for row in _rows_of(network, own, interval))


def paired_difference(
    records: RegionRecords,
    network_a: str,
    network_b: str,
    *,
    level: float = LEVEL,
) -> tuple[SrvrRow, ...]:
    """SRVR of network_a minus that of network_b: a row a class, then the mean over classes.

    Only runs (class, shape, start, method) that both networks have count; `runs` is their number. The difference is
    taken shape by shape, which takes the shapes' own difficulty out of the interval. An interval that leaves out 0 is
    evidence for a difference. What intervals speak of, and single shapes, as in `srvr`.

    Raises:
        UnknownNameError: A network without records.
        InvalidParameterError: No run in common, or a level not in (0, 1).
    """
    networks = _networks_of(records)
    for network in (network_a, network_b):
        if network not in networks:
            raise UnknownNameError(f"no records of network {network!r}; there are {', '.join(networks)}")
    first, second = (records.only(networks=[network]) for network in (network_a, network_b))
    columns = ((part.class_name, part.shape, part.start, part.method) for part in (first, second))
    names = [["\0".join(map(str, run)) for run in zip(*own, strict=True)] for own in columns]
    _, rows_a, rows_b = np.intersect1d(names[0], names[1], assume_unique=True, return_indices=True)
    if not len(rows_a):
        raise InvalidParameterError(
            f"{network_a} and {network_b} share no run (class, shape, start, method); compare them on the same shapes"
        )
    tables, others = _class_tables(first.rows(rows_a)), _class_tables(second.rows(rows_b))
    tables = {name: replace(table, values=table.values - others[name].values) for name, table in tables.items()}

    def interval(values: FloatArray, weights: FloatArray, name: str) -> FloatArray:
        del name
        return difference_interval(values, weights, level=level)

    return tuple(_rows_of(f"{network_a} - {network_b}", tables, interval))


@final
@dataclass(frozen=True, eq=False)
class _ClassTable:
    """One class: `KINDS` of shares, means over start points (K, S, M), which cells exist (S, M), runs."""

    values: FloatArray
    has: BoolArray
    runs: int

    @property
    def by_shape(self) -> FloatArray:
        """What each shape adds (K, S), so that the mean over shapes is SRVR: its mean over methods, if none is missing.

        SRVR is the mean over methods of their means over shapes; each method of a table has a run.
        """
        count = self.has.sum(axis=0)
        return np.asarray((self.values * self.has * (len(self.has) / count / len(count))).sum(axis=2))


def _coded(column: npt.NDArray[Any]) -> tuple[list[Any], IntArray]:
    """The different values of a column (R,), sorted, and which of them each row has (R,): quick where they are few."""
    values = column.tolist()
    names = sorted(set(values))
    places = {name: place for place, name in enumerate(names)}
    return names, np.array([places[value] for value in values], dtype=np.int64)


def _networks_of(records: RegionRecords) -> list[str]:
    if not len(records):
        raise InvalidParameterError("no records: give at least one judged run")
    return [str(name) for name in _coded(records.network)[0]]


def _class_tables(records: RegionRecords) -> dict[str, _ClassTable]:
    """A table a class, classes, shapes and methods in alphabetical order."""
    tables: dict[str, _ClassTable] = {}
    for name in _coded(records.class_name)[0]:
        part = records.only(class_names=[str(name)])
        # Sums in one order, so that the order of the records does not reach the last bit.
        part = part._part(np.lexsort((part.start, _coded(part.method)[1], _coded(part.shape)[1])))
        (shapes, row), (methods, column) = _coded(part.shape), _coded(part.method)
        cell = row * len(methods) + column
        count = np.bincount(cell, minlength=len(shapes) * len(methods))
        sums = [
            np.bincount(cell, weights=np.where(counts, part.share, 0.0), minlength=len(count))
            for counts in (True, part.feasible, part.certified)
        ]
        values = (np.stack(sums) / np.maximum(count, 1)).reshape(len(sums), len(shapes), len(methods))
        tables[str(name)] = _ClassTable(values, (count > 0).reshape(len(shapes), len(methods)), len(part))
    return tables


def _rows_of(
    network: str, tables: dict[str, _ClassTable], interval: Callable[[FloatArray, FloatArray, str], FloatArray]
) -> Iterator[SrvrRow]:
    named: list[tuple[str | None, list[_ClassTable]]] = [(name, [table]) for name, table in tables.items()]
    for name, part in (*named, (None, [*tables.values()])):
        values = [table.by_shape for table in part]
        estimates = np.mean([own.mean(axis=1) for own in values], axis=0)
        weights = np.concatenate([np.full(own.shape[1], 1 / own.shape[1] / len(part)) for own in values])
        low, high = interval(np.hstack(values), weights, name or "")
        numbers = dict(zip(_NUMBERS, np.stack([estimates, low, high], axis=1).ravel().tolist(), strict=True))
        yield SrvrRow(network, name, runs=sum(table.runs for table in part), shapes=len(weights), **numbers)
