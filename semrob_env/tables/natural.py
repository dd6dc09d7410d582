"""SRVR beside accuracy on natural photographs: measured here or published, and how far their ranks agree."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, final

import numpy as np

from semrob_env.errors import InvalidParameterError, MissingFileError, UnknownNameError
from semrob_env.files import interval_text, read_regular
from semrob_env.metrics.ranks import RankAgreement, rank_agreement
from semrob_env.store import RunStore
from semrob_env.tables.srvr import ALL
from semrob_env.tables.stores import StoreTable

MOST_BYTES: Final = 2**24
"""Largest table of SRVR."""

RegionKind = Literal["every", "feasible", "certified"]
"""Which regions an SRVR counts, others as 0."""

_PREFIX: Final = {"every": "", "feasible": "feasible_", "certified": "certified_"}
_USUAL: Final = ("box_quadrature", ALL)
"""Methods whose SRVR stands for a network, where nobody names one: the answer first, then the mean over methods."""


@final
@dataclass(frozen=True)
class Figures:
    """Figures of networks, as shares, with 95 % intervals (NaN: none).

    Attributes:
        title: What they are of.
        by_network: Estimate, low, high.
        is_measured: On photographs here; else published.
        words: How they came about.
    """

    title: str
    by_network: Mapping[str, tuple[float, float, float]]
    is_measured: bool
    words: str


def read_srvr(path: str, method: str = "", kind: RegionKind = "feasible") -> Figures:
    """SRVR of networks over all classes, from `srvr.csv` of srvr_table, or from a run store.

    Args:
        path: The file.
        method: Whose regions; empty: box_quadrature's, else the mean over methods, else those of the only method.
        kind: Which regions count.

    Raises:
        MissingFileError, RefusedFileError, StoreError: It cannot be read.
        InvalidParameterError: No such table, or a store of several questions.
        UnknownNameError: No runs of the method.
    """
    rows = _store_rows(path) if path.endswith((".sqlite", ".db")) else _table_rows(path)
    known = tuple(dict.fromkeys(row["method"] for row in rows))
    chosen = method or next((name for name in _USUAL if name in known), known[0] if len(known) == 1 else "")
    if chosen not in known:
        raise UnknownNameError(f"{path}: no SRVR of method {chosen!r}; choose --method {', '.join(known)}")
    found = {}
    for row in rows:
        if row["method"] == chosen:
            ends = tuple(_number(row, _PREFIX[kind] + name, path) for name in ("estimate", "low", "high"))
            found[row["network"]] = (ends[0], ends[1], ends[2])
    missing = next((name for name, ends in found.items() if not 0 <= ends[0] <= 1), None)
    if missing is not None:
        raise InvalidParameterError(f"{path}: SRVR {found[missing][0]} of {missing} is no share in [0, 1]")
    words = "every region" if kind == "every" else f"{kind} regions, others as 0"
    runs = {row["network"]: row.get("runs", "") for row in rows if row["method"] == chosen}
    if len(set(runs.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in runs.items())
        words += f"; WARNING: networks have other numbers of runs, so other questions ({told})"
    return Figures("SRVR", found, True, f"SRVR: {chosen}, {words}, mean over all classes of {Path(path).name}")


def _store_rows(path: str) -> list[dict[str, str]]:
    lines = [line for line in StoreTable(RunStore(path, read_only=True).summaries()).lines if not line.srvr.class_name]
    asked = dict.fromkeys((line.functions, line.goal, f"{line.budget:g}") for line in lines)
    if len(asked) > 1:
        told = "; ".join(" ".join(own) for own in asked)
        raise InvalidParameterError(f"{path}: runs of {len(asked)} questions ({told[:300]}); give a srvr.csv of one")
    return [{name: str(value) for name, value in line.exact().items()} for line in lines]


def _table_rows(path: str) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(read_regular(path, MOST_BYTES).decode("utf-8")), strict=True)
        rows = [row for row in reader if row.get("class_name") == ALL and None not in row.values()]
    except MissingFileError as error:
        raise MissingFileError(f"{error}: srvr.csv of semrob srvr_table, or a runs.sqlite") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidParameterError(f"{path}: no table ({error}); give srvr.csv of srvr_table") from error
    if not rows or not {"network", "method"} <= rows[0].keys():
        raise InvalidParameterError(f"{path}: no lines of networks over {ALL} classes; give srvr.csv of srvr_table")
    return rows


def _number(row: Mapping[str, str], name: str, path: str) -> float:
    try:
        return float(row[name])
    except (KeyError, ValueError) as error:
        raise InvalidParameterError(
            f"{path}: column {name} holds {row.get(name)!r}, no number; give srvr.csv of srvr_table"
        ) from error


@final
@dataclass(frozen=True)
class NaturalTable:
    """Networks by rows: their SRVR, if it is given, and figures of each benchmark.

    Attributes:
        networks: In the order to show.
        srvr: Their SRVR; None: not given.
        benchmarks: What stands beside it.
    """

    networks: tuple[str, ...]
    srvr: Figures | None
    benchmarks: tuple[Figures, ...]

    def shown(self) -> list[dict[str, str]]:
        """One line a network, in %."""
        every = ((self.srvr,) if self.srvr else ()) + self.benchmarks
        return [
            {
                "network": network,
                **{f"{own.title}{'' if own.is_measured else ', published'} %": _cell(own, network) for own in every},
            }
            for network in self.networks
        ]

    def agreements(self) -> list[tuple[Figures, RankAgreement]]:
        """Each benchmark with its rank agreement with SRVR, over the networks that have both."""
        return [(own, self._agreement(own)) for own in self.benchmarks] if self.srvr else []

    def common(self, own: Figures) -> list[str]:
        """Networks that have a figure of the benchmark and an SRVR."""
        assert self.srvr is not None
        return [name for name in self.networks if name in own.by_network and name in self.srvr.by_network]

    def _agreement(self, own: Figures) -> RankAgreement:
        assert self.srvr is not None
        names = self.common(own)
        first, second = ([side.by_network[name][0] for name in names] for side in (self.srvr, own))
        return rank_agreement(np.array(first), np.array(second))

    def notes(self) -> list[str]:
        """How the figures came about, and what their ranks say."""
        notes = [f"{own.title}: {agreement.words}" for own, agreement in self.agreements()]
        if notes:
            notes.append(
                "tau takes networks for independent draws; those of one family, or trained alike, are not. SRVR has an "
                "interval of its own: the ranks of networks whose intervals overlap are not proved"
            )
        return [*notes, *(own.words for own in ((self.srvr,) if self.srvr else ()) + self.benchmarks)]


def _cell(own: Figures, network: str) -> str:
    if network not in own.by_network:
        return "-"
    estimate, low, high = own.by_network[network]
    ends = f" ({interval_text(low, high)})" if math.isfinite(low) else ""
    return f"{100 * estimate:.2f}{ends}"
