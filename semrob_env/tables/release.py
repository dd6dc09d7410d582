"""Replays on recorded maps beside the regions of the paper's authors: the numbers of the report."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from semrob_env.ground_truth import optimum
from semrob_env.metrics import SrvrRow, regret, srvr
from semrob_env.questions import Goal
from semrob_env.recorded import RecordedMaps
from semrob_env.recorded.traces import METHODS, SPACE, ReleaseTraces
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.store import RunRow
from semrob_env.tables.regions import RegionSet, diverged, overlaps
from semrob_env.tables.srvr import overall_difference
from semrob_env.types import FloatArray

REPLAY, RELEASED, RECORDED = "replay", "replay as released", "recorded"
"""Kinds of regions: ours, ours with the released code's choices, and the authors' own."""


@final
@dataclass(frozen=True, eq=False)
class ReleaseReport:
    """Replays on recorded maps, and the authors' own regions where they are at hand."""

    function: RecordedMaps  # the maps
    traces: ReleaseTraces | None  # the recorded runs, or None
    runs: Mapping[str, Sequence[RunRow]]  # rows of each kind of replay by name; one of them is `REPLAY`
    starts: Sequence[tuple[float, ...]]  # start points of the replays, in the order of the release
    goal: Goal  # what makes a region feasible
    seed: int  # of the intervals

    @cached_property
    def networks(self) -> list[str]:
        """In the order of the maps."""
        return list(dict.fromkeys(parts_of(name)[0] for name in self.function.maps.names))

    @cached_property
    def sets(self) -> dict[str, RegionSet]:
        """The regions of each kind; recorded ones without those that diverged or have no trace."""
        sets = {name: RegionSet.of_runs(rows, SPACE, self.starts) for name, rows in self.runs.items()}
        if self.traces is not None:
            chosen = RegionSet.of_release(self.traces, self.function, self.traces.steps > 0, self.goal)
            if len(chosen):
                sets[RECORDED] = chosen
        return sets

    @property
    def main_kinds(self) -> list[str]:
        """The kinds that stand side by side."""
        return [kind for kind in (REPLAY, RELEASED, RECORDED) if kind in self.sets]

    def srvr(self, kind: str, network: str, method: str) -> SrvrRow | None:
        """SRVR of a network and method, or None where no run is left."""
        records = self.sets[kind].of(network=network, method=method).records()
        if not len(records):
            return None
        return next(row for row in srvr(records, np.random.default_rng(self.seed)) if row.class_name is None)

    def lines(self) -> list[dict[str, Any]]:
        """One line a network, method and kind, with full precision."""
        lines = []
        for network, method, kind in itertools.product(self.networks, METHODS, self.main_kinds):
            if (row := self.srvr(kind, network, method)) is None:
                continue
            own = self.sets[kind].of(network=network, method=method)
            has_other = kind != RECORDED and RECORDED in self.sets
            overlap = overlaps(self.sets[RECORDED], own) if has_other else np.zeros(0)
            lines.append({
                **vars(row),
                "class_name": "all",
                "method": method,
                "kind": kind,
                "cut_at_the_seam": float(own.seam_share.mean()),
                "feasible_runs": int(own.feasible.sum()),
                "overlap_pairs": len(overlap),
                "overlap_with_recorded": float(overlap.mean()) if len(overlap) else np.nan,
                "overlap_above_half": float((overlap > 0.5).mean()) if len(overlap) else np.nan,
                **self.losses(network, method, kind),
            })
        return lines

    def losses(self, network: str, method: str, kind: str) -> dict[str, int]:
        """Recorded runs on these maps that are not counted: without a trace, or diverged."""
        if kind != RECORDED or self.traces is None:
            return {"no_trace": 0, "diverged": 0}
        own = np.array([
            parts_of(name)[0] == network and used == method and name in self.function.maps.names
            for name, used in zip(self.traces.names, self.traces.methods, strict=True)
        ])
        return {
            "no_trace": int((own & (self.traces.steps == 0)).sum()),
            "diverged": int((own & (self.traces.steps > 0) & diverged(self.traces)).sum()),
        }

    def difference(self, kind: str, first: str, second: str) -> SrvrRow | None:
        """SRVR of one network minus that of another on the same shapes, over all methods; None without any."""
        return overall_difference(self.sets[kind].records(), first, second)

    def best_shares(self) -> dict[str, FloatArray]:
        """For each network, the exact optimum as a share of the space, for every map and start point."""
        shares: dict[str, list[float]] = {network: [] for network in self.networks}
        for member, name in enumerate(self.function.maps.names):
            shares[parts_of(name)[0]] += [
                optimum(self.function, start, self.goal, member).share for start in self.starts
            ]
        return {network: np.array(own) for network, own in shares.items()}

    def regrets(self, network: str, method: str, best: FloatArray) -> FloatArray:
        """Regret of the replays of a network and method against its `best_shares`, in the same order."""
        own = self.sets[REPLAY].of(network=network, method=method)
        names = [name for name in self.function.maps.names if parts_of(name)[0] == network]
        order = [own.row_of[name, method, start] for name in names for start in range(len(self.starts))]
        return regret(np.where(own.feasible, own.share, 0.0)[order], best)
