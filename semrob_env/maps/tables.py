"""Traps and data bias as rows of tables: numbers for .csv, short text for .md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from semrob_env.files import markdown_table
from semrob_env.maps.bias import ClassBias
from semrob_env.maps.means import MEAN
from semrob_env.maps.traps import Trap
from semrob_env.scene.classifiers.names import parts_of


def trap_rows(traps: Sequence[Trap]) -> list[dict[str, Any]]:
    """One row of numbers a trap: where it is, how large and how deep."""
    rows = []
    for trap in traps:
        row: dict[str, Any] = {"map": trap.name}
        places = {"": trap.center, "_low": trap.box.lower[0], "_high": trap.box.upper[0], "_lowest": trap.lowest}
        for k, name in enumerate(trap.box.space.names):
            row |= {f"{name}{what}": float(place[k]) for what, place in places.items()}
        row |= {"share": trap.share, "basin_share": trap.basin_share, "points": len(trap.cells)}
        rows.append({**row, "minimum": trap.minimum, "rim": trap.rim, "depth": trap.depth})
    return rows


def trap_text(traps: Sequence[Trap]) -> list[dict[str, str]]:
    """The same for the eye, the largest first."""
    return [
        {
            "map": trap.name,
            **{
                name: f"{trap.center[k]:.0f} ({trap.box.lower[0, k]:.0f} to {trap.box.upper[0, k]:.0f})"
                for k, name in enumerate(trap.box.space.names)
            },
            "share %": f"{100 * trap.share:.2f}",
            "basin %": f"{100 * trap.basin_share:.2f}",
            "lowest": f"{trap.minimum:.2f}",
            "rim": f"{trap.rim:.2f}",
            "depth": f"{trap.depth:.2f}",
        }
        for trap in sorted(traps, key=lambda trap: -trap.share)
    ]


def trap_counts(traps: Sequence[Trap]) -> list[dict[str, str]]:
    """Per network and class, how many traps its maps have and the share of the space of the largest; means apart."""
    groups: dict[tuple[str, str], list[Trap]] = {}
    for trap in traps:
        network, class_name, shape = parts_of(trap.name)
        groups.setdefault((network, f"{class_name} (mean)" if shape == MEAN else class_name), []).append(trap)
    rows = []
    for (network, class_name), own in sorted(groups.items()):
        largest = f"{100 * max(trap.share for trap in own):.2f}"
        rows.append({"network": network, "class": class_name, "traps": str(len(own)), "largest %": largest})
    return rows


def bias_rows(bias: Sequence[ClassBias]) -> list[dict[str, Any]]:
    """One row of numbers a class; best and worst window as two columns each."""
    rows = []
    for one in bias:
        row = asdict(one)
        for name in ("best", "worst"):
            window, mean = row.pop(name)
            row |= {name: window, f"{name}_mean": mean}
        rows.append(row)
    return rows


def bias_text(bias: Sequence[ClassBias]) -> list[dict[str, str]]:
    """The same for the eye."""
    return [
        {
            "class": one.class_name,
            "networks x shapes": f"{one.networks} x {one.shapes}",
            "mean": f"{one.mean:.2f}",
            "low %": f"{100 * one.low_share:.0f}",
            "high %": f"{100 * one.high_share:.0f}",
            "all fail %": f"{100 * one.all_fail:.0f}",
            "some fail %": f"{100 * one.some_fail:.0f}",
            "best view": f"{one.best[0]}: {one.best[1]:.2f}",
            "worst view": f"{one.worst[0]}: {one.worst[1]:.2f}",
            "front / side / back": " / ".join(f"{mean:.2f}" for mean in (one.front, one.side, one.back)),
            "correlation": _number(one.correlation),
            "common": _number(one.common),
        }
        for one in bias
    ]


def trap_report(traps: Sequence[Trap], *, low: float, high: float) -> str:
    """Traps as Markdown: words, how many there are, and each."""
    words = f"grid points below {low:g} that points of {high:g} and above enclose"
    if not traps:
        return f"No semantic traps: no {words}.\n"
    tables = [markdown_table(trap_counts(traps)), markdown_table(trap_text(traps))]
    head = (
        f"{len(traps)} semantic traps: {words}. Place: centre (box), in native units. Share: of the space, below "
        f"{low:g}; basin: below {high:g}. Rim: mean score of the grid points around the basin; depth: rim less the "
        "lowest score. Holes that reach the lowest or the highest elevation are open, and not listed."
    )
    return "\n\n".join([head, *tables]) + "\n"


def bias_report(bias: Sequence[ClassBias], *, low: float, high: float) -> str:
    """Data bias as Markdown: words and a line a class."""
    head = (
        f"Of the DSM: mean; low: share of the space below {low:g}; high: from {high:g} on. All fail: every network's "
        f"NSM is below {low:g} (the data); some fail: one or more, not all (the network). Views: means of the DSM. "
        "Correlation: of the networks' NSMs, mean over pairs. Common: share of their variance that is common to "
        "networks. Exact definitions: `ClassBias` in semrob_env/maps/bias.py."
    )
    return f"{head}\n\n{markdown_table(bias_text(bias))}\n"


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"
