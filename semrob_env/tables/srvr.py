"""SRVR tables from the rows of a run store: what the scripts print, write and draw."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import final

import numpy as np

from semrob_env.errors import InvalidParameterError, UnknownNameError
from semrob_env.files import interval_text
from semrob_env.functions import split_options
from semrob_env.metrics import RegionRecords, SrvrRow, paired_difference, srvr
from semrob_env.scene.classifiers.names import split_subject
from semrob_env.store import RunRow, RunTask

ALL = "all"
"""Class or method of a line that averages over all of them."""

LEAST_SHOWN = 5e-5
"""Smallest share that two digits of a percent show."""


@final
@dataclass(frozen=True)
class Subject:
    """What a function id of the form `scheme:NETWORK/CLASS/SHAPE?options`, or its complement, is about.

    A network that has an `alias` among the options is called by it.
    """

    network: str
    class_name: str
    shape: str

    @classmethod
    @lru_cache(maxsize=4096)
    def of(cls, function_id: str) -> Subject:
        """The subject of an id.

        Raises:
            InvalidParameterError: The id has another form, as synthetic functions have.
        """
        plain = function_id
        while plain.startswith("complement(") and plain.endswith(")"):
            plain = plain[len("complement(") : -1]
        body, options = split_options(plain)
        parts = split_subject(body)
        if parts is None:
            raise InvalidParameterError(f"{function_id!r} names no network, class and shape; SRVR needs all three")
        return cls(options.get("alias", parts[0]), *parts[1:])


@final
@dataclass(frozen=True, eq=False)
class SrvrTable:
    """SRVR of some runs: per network, class and method, and means over them."""

    runs: tuple[RunRow, ...]  # the rows behind it, all of which have run
    networks: tuple[str, ...]  # in the order to show
    classes: tuple[str, ...]  # in the order to show
    by_method: Mapping[str, tuple[SrvrRow, ...]]  # for each method, what `srvr` gives for its runs
    averaged: tuple[str, ...]  # methods that can be compared, over which the other means go
    overall: tuple[SrvrRow, ...]  # what `srvr` gives for the runs of these
    records: RegionRecords  # these runs as `srvr` takes them
    start_size: float  # a region whose median side is below ten times this has not grown; shown in words
    seed: int  # of the intervals

    @classmethod
    def of(
        cls,
        runs: Sequence[RunRow],
        methods: Sequence[str],
        networks: Sequence[str],
        classes: Sequence[str],
        *,
        start_size: float,
        seed: int,
        averaged: Sequence[str] = (),
    ) -> SrvrTable:
        """The table of runs; methods without a run are left out; `averaged` are all methods if none of them is left."""
        records, rng = region_records(runs), np.random.default_rng(seed)
        by_method = {name: srvr(records.only(methods=[name]), rng) for name in methods if name in records.method}
        alike = tuple(name for name in by_method if name in averaged) or tuple(by_method)
        records = records.only(methods=alike)
        return cls(
            tuple(runs),
            tuple(networks),
            tuple(classes),
            by_method,
            alike,
            srvr(records, rng),
            records,
            start_size,
            seed,
        )

    def lines(self) -> Iterator[tuple[str, SrvrRow]]:
        """Method and SRVR by network: each class and method, then all classes, then all methods that are averaged."""
        for network in self.networks:
            for class_name in (*self.classes, None):
                for method, rows in self.by_method.items():
                    yield from ((method, row) for row in rows if (row.network, row.class_name) == (network, class_name))
            if len(self.averaged) > 1:
                yield from ((ALL, row) for row in self.overall if (row.network, row.class_name) == (network, None))

    def shown(self) -> list[dict[str, str]]:
        """The lines as text, with their query bills; in %."""
        return [self._shown(method, row) for method, row in self.lines()]

    def exact(self) -> list[dict[str, object]]:
        """The lines with full precision; shares, not percent."""
        lines: list[dict[str, object]] = []
        for method, row in self.lines():
            own = self._behind(method, row)
            lines.append({
                **vars(row),
                "class_name": row.class_name or ALL,
                "method": method,
                "feasible_runs": sum(bool(run.feasible) for run in own),
                "certified_runs": sum(bool(run.certified) for run in own),
                **{f"{name}_queries": count for name, count in bill(own).items()},
            })
        return lines

    def differences(self) -> list[dict[str, str]]:
        """Every pair of networks with runs in common, by differences on the same shapes."""
        rows = []
        for first, second in itertools.combinations(self.networks, 2):
            if (found := self.difference(first, second)) is not None:
                rows.append({
                    "SRVR of": first,
                    "minus that of": second,
                    "difference, points of %": f"{100 * found.estimate:+.2f}",
                    "95 % interval": interval_text(found.low, found.high),
                    "feasible only": f"{100 * found.feasible_estimate:+.2f}",
                    "95 % interval, feasible": interval_text(found.feasible_low, found.feasible_high),
                    "certified only": f"{100 * found.certified_estimate:+.2f}",
                    "95 % interval, certified": interval_text(found.certified_low, found.certified_high),
                })
        return rows

    def difference(self, first: str, second: str) -> SrvrRow | None:
        """SRVR of one network minus that of another, all classes, methods averaged; None without runs in common."""
        return overall_difference(self.records, first, second)

    def not_grown(self) -> list[str]:
        """Methods whose median region is still of about its start size."""
        by_method = {name: [run for run in self.runs if run.task.method == name] for name in self.by_method}
        return [name for name, runs in by_method.items() if has_not_grown(runs, self.start_size)]

    @cached_property
    def _groups(self) -> list[tuple[str, str, str]]:
        return [group(run) for run in self.runs]

    def _behind(self, method: str, row: SrvrRow) -> list[RunRow]:
        wanted = (row.network, row.class_name or ALL, method)
        return [
            run
            for run, own in zip(self.runs, self._groups, strict=True)
            if all(w in (o, ALL) for w, o in zip(wanted, own, strict=True))
            and (method != ALL or own[2] in self.averaged)
        ]

    def _shown(self, method: str, row: SrvrRow) -> dict[str, str]:
        own = self._behind(method, row)
        feasible, certified = (
            srvr_text(share, own, self.start_size) if share else "none"
            for share in (row.feasible_estimate, row.certified_estimate)
        )
        return {
            "network": row.network,
            "class": row.class_name or ALL,
            "method": method,
            "SRVR %": srvr_text(row.estimate, own, self.start_size),
            "95 % interval": interval_text(row.low, row.high),
            "feasible only %": feasible,
            "95 % interval, feasible": interval_text(row.feasible_low, row.feasible_high),
            "certified only %": certified,
            "95 % interval, certified": interval_text(row.certified_low, row.certified_high),
            "feasible": f"{sum(bool(run.feasible) for run in own)} of {row.runs}",
            "certified": f"{sum(bool(run.certified) for run in own)} of {row.runs}",
            "least half width %": f"{100 * np.mean([run.least_half_width for run in own]):.2f}",
            **{f"{name} queries": f"{count:,}" for name, count in bill(own).items()},
        }


def group(run: RunRow | RunTask) -> tuple[str, str, str]:
    """Network, class and method of a run, done or to do."""
    task = run.task if isinstance(run, RunRow) else run
    subject = Subject.of(task.question.function_id)
    return subject.network, subject.class_name, task.method


def region_records(runs: Sequence[RunRow]) -> RegionRecords:
    """Runs as far as SRVR goes; start points are numbered in order of appearance."""
    subjects = [Subject.of(run.task.question.function_id) for run in runs]
    starts = {start: index for index, start in enumerate(dict.fromkeys(run.task.question.start for run in runs))}
    return RegionRecords(
        network=np.array([subject.network for subject in subjects]),
        class_name=np.array([subject.class_name for subject in subjects]),
        shape=np.array([subject.shape for subject in subjects]),
        start=np.array([starts[run.task.question.start] for run in runs]),
        method=np.array([run.task.method for run in runs]),
        share=np.array([run.share for run in runs]),
        feasible=np.array([bool(run.feasible) for run in runs]),
        certified=np.array([bool(run.certified) for run in runs]),
    )


def overall_difference(records: RegionRecords, first: str, second: str) -> SrvrRow | None:
    """SRVR of one network minus that of another, over all classes.

    None where they have no run of the same class, shape, start point and method in common, to be compared by.
    """
    try:
        return next(row for row in paired_difference(records, first, second) if row.class_name is None)
    except (InvalidParameterError, UnknownNameError):  # no run of one of them, or none in common
        return None


def bill(runs: Sequence[RunRow]) -> dict[str, int]:
    """Queries of some runs."""
    payers = ("forward", "gradient", "judge", "certificate")
    return {name: sum(getattr(run, f"{name}_queries") for run in runs) for name in payers}


def has_not_grown(runs: Sequence[RunRow], start_size: float) -> bool:
    """Whether the median of the longest sides is within ten times the start size."""
    widest = [max(high - low for low, high in zip(run.lower or (), run.upper or (), strict=True)) for run in runs]
    return bool(runs) and float(np.median(widest)) <= 10 * start_size


def srvr_text(share: float, runs: Sequence[RunRow], start_size: float) -> str:
    """SRVR in %; words where it is next to nothing because the median region has not grown: never a bare 0."""
    if share < LEAST_SHOWN and has_not_grown(runs, start_size):
        return "start size"
    return f"{100 * share:.2f}" if share >= LEAST_SHOWN else f"{100 * share:.1g}"
