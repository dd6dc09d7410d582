"""Accuracy beside robustness (Hamdi & Ghanem 2020, section 5): published top-1 and top-5, SRVR, and how ranks agree."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass
from typing import final

from semrob_env.files import interval_text
from semrob_env.metrics import SrvrRow
from semrob_env.scene.classifiers.accuracy import Accuracy, published_accuracy
from semrob_env.tables.srvr import SrvrTable


@final
@dataclass(frozen=True)
class AccuracyTable:
    """Networks with a published accuracy, and their SRVR over all classes and methods."""

    networks: tuple[tuple[str, Accuracy, SrvrRow], ...]  # each with its accuracy and SRVR
    pairs: int  # pairs of networks of different top-1 with runs in common
    same_order: int  # those of them whose SRVR, on the runs in common, is in the order of their top-1
    clear_pairs: int  # pairs whose 95 % interval of the paired difference in SRVR leaves out 0
    clear_same_order: int  # those of these in the same order

    @classmethod
    def of(cls, table: SrvrTable, *, own_weights: Collection[str] = ()) -> AccuracyTable:
        """The networks of an SRVR table.

        Args:
            table: The table.
            own_weights: Networks that ran with a user's weights, of which no figure is published.
        """
        overall = {row.network: row for row in table.overall if row.class_name is None}
        known = [(name, published_accuracy(name)) for name in table.networks if name in overall]
        networks = tuple((name, own, overall[name]) for name, own in known if own and name not in own_weights)
        agreed, clear = [], []
        for (first, best, _), (second, other, _) in itertools.combinations(networks, 2):
            found = table.difference(first, second) if best.top1 != other.top1 else None
            if found is None:
                continue
            is_same = found.estimate * (best.top1 - other.top1) > 0
            agreed.append(is_same)
            if found.low > 0 or found.high < 0:
                clear.append(is_same)
        return cls(networks, len(agreed), sum(agreed), len(clear), sum(clear))

    @property
    def points(self) -> list[tuple[str, float, SrvrRow]]:
        """Name, top-1 and SRVR of each network, to be drawn."""
        return [(name, own.top1, row) for name, own, row in self.networks]

    def columns(self, network: str) -> dict[str, float | str]:
        """Published top-1 and top-5 of a network as columns of a file; empty where not known."""
        known = {name: own for name, own, _ in self.networks}.get(network)
        top5 = known.top5 if known else None
        return {"published_top1": known.top1 if known else "", "published_top5": "" if top5 is None else top5}

    def shown(self) -> list[dict[str, str]]:
        """One line a network, with ranks; in %."""
        by_top1 = sorted((own.top1 for _, own, _ in self.networks), reverse=True)
        by_srvr = sorted((row.estimate for _, _, row in self.networks), reverse=True)
        return [
            {
                "network": name,
                "top-1 %": f"{own.top1:.1f}",
                "top-5 %": "-" if own.top5 is None else f"{own.top5:.1f}",
                "SRVR %": f"{100 * row.estimate:.2f}",
                "95 % interval": interval_text(row.low, row.high),
                "feasible only %": f"{100 * row.feasible_estimate:.2f}",
                "certified only %": f"{100 * row.certified_estimate:.2f}",
                "rank by top-1": str(1 + by_top1.index(own.top1)),
                "rank by SRVR": str(1 + by_srvr.index(row.estimate)),
            }
            for name, own, row in self.networks
        ]

    def notes(self) -> list[str]:
        """How far the ranks agree, and where the accuracies are published."""
        sources = dict.fromkeys(own.source for _, own, _ in self.networks)
        notes = [f"accuracy: published, on ImageNet-1k: {'; '.join(sources)}"] if sources else []
        if self.pairs:
            notes.insert(0, self._agreement())
        return notes

    def _agreement(self) -> str:
        tau = (2 * self.same_order - self.pairs) / self.pairs
        clear = (
            f"{self.clear_same_order} of the {self.clear_pairs} whose difference in SRVR has a 95 % interval without 0"
            if self.clear_pairs
            else "none of them differs in SRVR by a 95 % interval without 0"
        )
        return (
            f"rank agreement: {self.same_order} of {self.pairs} pairs of networks are in the same order by top-1 and "
            f"by SRVR (Kendall's tau {tau:+.2f}), {clear}"
        )
