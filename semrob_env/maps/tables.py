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
        row |= {"share": trap.share, "map_share": trap.map_share, "basin_share": trap.basin_share}
        row["points"] = len(trap.cells)
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
            "map below %": f"{100 * trap.map_share:.1f}",
            "basin %": f"{100 * trap.basin_share:.2f}",
            "lowest": f"{trap.minimum:.2f}",
            "rim": f"{trap.rim:.2f}",
            "depth": f"{trap.depth:.2f}",
        }
        for trap in sorted(traps, key=lambda trap: -trap.share)
    ]


def trap_counts(traps: Sequence[Trap]) -> list[dict[str, str]]:
    """Per network and class, how many traps its maps have, how large they are, and what fails anyway; means apart.

    Traps, and all below the same score: mean over the maps that have a trap, share of the space.
    """
    groups: dict[tuple[str, str], list[Trap]] = {}
    for trap in traps:
        network, class_name, shape = parts_of(trap.name)
        groups.setdefault((network, f"{class_name} (mean)" if shape == MEAN else class_name), []).append(trap)
    rows = []
    for (network, class_name), own in sorted(groups.items()):
        maps = {trap.name: trap.map_share for trap in own}
        rows.append({
            "network": network,
            "class": class_name,
            "traps": str(len(own)),
            "maps with one": str(len(maps)),
            "largest %": f"{100 * max(trap.share for trap in own):.2f}",
            "traps %": f"{100 * sum(trap.share for trap in own) / len(maps):.2f}",
            "all below %": f"{100 * sum(maps.values()) / len(maps):.1f}",
        })
    return rows


def bias_rows(bias: Sequence[ClassBias]) -> list[dict[str, Any]]:
    """One row of numbers a class; best and worst view and window as two columns each."""
    rows = []
    for one in bias:
        row = asdict(one)
        for name in ("best", "worst"):
            (view, score), (window, mean) = row.pop(f"{name}_view"), row.pop(f"{name}_window")
            row |= {f"{name}_view": view, f"{name}_score": score, f"{name}_window": window, f"{name}_window_mean": mean}
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
            **{
                f"{name} {what}": f"{place}: {score:.2f}"
                for what, places in (
                    ("view", (one.best_view, one.worst_view)),
                    ("window", (one.best_window, one.worst_window)),
                )
                for name, (place, score) in zip(("best", "worst"), places, strict=True)
            },
            "front / side / back": " / ".join(f"{mean:.2f}" for mean in (one.front, one.side, one.back)),
            "correlation": _number(one.correlation),
            "common": _number(one.common),
        }
        for one in bias
    ]


def trap_report(traps: Sequence[Trap], *, low: float, high: float) -> str:
    """Traps as Markdown: words, how many there are, and each."""
    if not traps:
        return f"No semantic traps: no {_trap_words(low, high)}.\n"
    head = (
        f"{len(traps)} semantic traps: {_trap_words(low, high)}. Place: center (box), in native units. Share: of the "
        f"space, below {low:g}; map below: the same of the whole map, enclosed or not, which fails anyway. Basin: "
        f"below {high:g}. Rim: mean score of the grid points around the basin; depth: rim less the lowest score. Holes "
        "that reach the lowest or the highest elevation are open, and not listed."
    )
    return "\n\n".join([head, trap_summary(traps, low=low), markdown_table(trap_text(traps))]) + "\n"


def trap_summary(traps: Sequence[Trap], *, low: float) -> str:
    """`trap_counts` as Markdown, with what its columns mean."""
    words = (
        f"Shares of the space below {low:g}: of the largest trap; of the traps of a map, and of all of the map, which "
        "fails anyway: means over the maps that have a trap."
    )
    return f"{markdown_table(trap_counts(traps))}\n\n{words}"


def _trap_words(low: float, high: float) -> str:
    return f"grid points below {low:g} that points of {high:g} and above enclose"


def bias_report(bias: Sequence[ClassBias], *, low: float, high: float) -> str:
    """Data bias as Markdown: words and a line a class."""
    head = (
        f"Of the DSM: mean; low: share of the space below {low:g}; high: from {high:g} on. All fail: every network's "
        f"NSM is below {low:g} (the data); some fail: one or more, not all (the network). View: one view, and the DSM "
        "there; window: an azimuth sector of 45 degrees within an elevation band, and its mean; front, side, back: "
        "means too. Correlation: of the networks' NSMs, mean over pairs. Common: share of their variance that is "
        "common to networks. Exact definitions: `ClassBias` in semrob_env/maps/bias.py."
    )
    return f"{head}\n\n{markdown_table(bias_text(bias))}\n"


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"
