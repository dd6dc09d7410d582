"""Replays beside recorded runs: SRVR bars, how regions overlap, and the bounds over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from semrob_env.plotting.canvas import PALETTE, SCORE_MAP, legend_below, plain_style, titled_figure
from semrob_env.plotting.srvr import draw_bar, label_bars, percent_axis
from semrob_env.recorded.traces import METHODS, SPACE
from semrob_env.tables import RegionSet, overlaps
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True, eq=False)
class Beside:
    """The bounds of a recorded run and of its replay before each step, (T, 2) each, in degrees."""

    network: str  # row of the figure
    method: str  # column of the figure
    title: str  # of the panel
    recorded: tuple[FloatArray, FloatArray]  # lower and upper bounds, as recorded
    replayed: tuple[FloatArray, FloatArray]  # lower and upper bounds


@plain_style()
def srvr_beside_figure(lines: Sequence[Mapping[str, Any]], networks: Sequence[str], kinds: Sequence[str]) -> Figure:
    """SRVR with intervals: a panel a method, a group a network, a colour a kind of region.

    Args:
        lines: With `method`, `network`, `kind`, `estimate`, `low`, `high`.
        networks: In order.
        kinds: In order.
    """
    figure = titled_figure(3.1 * len(METHODS) + 0.6, 3.3, "SRVR of replays and of the recorded regions")
    panels = figure.subplots(1, len(METHODS), sharey=True, squeeze=False)[0]
    width = 0.8 / len(kinds)
    for axis, method in zip(panels, METHODS, strict=True):
        for line in lines:
            if line["method"] != method:
                continue
            place = kinds.index(line["kind"])
            x = networks.index(line["network"]) + (place - (len(kinds) - 1) / 2) * width
            draw_bar(axis, x, width, (line["estimate"], line["low"], line["high"]), PALETTE[place])
        label_bars(axis, method, networks)
    panels[0].set_ylabel(percent_axis(panels[0], "SRVR (%)"))
    handles = [Patch(color=PALETTE[place], label=kind) for place, kind in enumerate(kinds)]
    legend_below(figure, handles)
    return figure


@plain_style()
def overlap_figure(sets: Mapping[str, RegionSet], first: str, second: str, networks: Sequence[str]) -> Figure:
    """Share of the space of each recorded region against that of its replay; colour tells how much they overlap."""
    figure = titled_figure(3.0 * len(METHODS) + 1.2, 3.4, f"Each run twice: {first} and {second}")
    panels = figure.subplots(1, len(METHODS), sharex=True, sharey=True, squeeze=False)[0]
    markers = ("o", "s", "^", "D", "v", "P", "X", "*")
    drawn = None
    for axis, method in zip(panels, METHODS, strict=True):
        for place, network in enumerate(networks):
            own, other = (sets[kind].of(network=network, method=method) for kind in (first, second))
            shared = [key for key in own.keys if key in other.row_of]
            if not shared:
                continue
            x = 100 * own.share[[own.row_of[key] for key in shared]]
            y = 100 * other.share[[other.row_of[key] for key in shared]]
            marker = markers[place % len(markers)]
            overlap = overlaps(own, other, grown=False)
            look: dict[str, Any] = {"cmap": SCORE_MAP, "vmin": 0, "vmax": 1, "lw": 0.3, "edgecolors": "black"}
            drawn = axis.scatter(np.maximum(x, LEAST), np.maximum(y, LEAST), 14, overlap, marker=marker, **look)
        axis.plot([LEAST, 100], [LEAST, 100], color="grey", lw=0.8)
        axis.set(xscale="log", yscale="log", xlim=(0.7 * LEAST, 140), ylim=(0.7 * LEAST, 140))
        axis.set_title(method, fontsize=9)
        axis.set_xlabel(f"{first}: share (%)")
    panels[0].set_ylabel(f"{second}: share (%)")
    if drawn is not None:
        figure.colorbar(drawn, ax=list(panels), label="overlap (IoU)", pad=0.01)
        handles = [
            Line2D([], [], color="grey", ls="", marker=markers[place % len(markers)], label=network)
            for place, network in enumerate(networks)
        ]
        legend_below(figure, handles)
    return figure


LEAST = 1e-4  # shares below this many percent are drawn at it


@plain_style()
def bounds_beside_figure(runs: Sequence[Beside]) -> Figure:
    """Bounds over the steps: a row a network, a column a method, solid as recorded, dashed as replayed.

    A run is drawn until one of its bounds is beyond what the panel shows, a fifth of the range outside the space.
    """
    networks = list(dict.fromkeys(run.network for run in runs))
    figure = titled_figure(
        2.6 * len(METHODS) + 0.6, 1.9 * len(networks) + 0.9, "Bounds over the steps, until one leaves what is shown"
    )
    panels = figure.subplots(len(networks), len(METHODS), squeeze=False, sharex=True, sharey=True)
    least, most = SPACE.low.min() - 0.2 * SPACE.width.max(), SPACE.high.max() + 0.2 * SPACE.width.max()
    for run in runs:
        axis = panels[networks.index(run.network), METHODS.index(run.method)]
        for bounds, dashes in ((run.recorded, LINES["recorded"]), (run.replayed, LINES["replayed"])):
            both = np.concatenate(bounds, axis=1)  # (T, 2n)
            away = np.flatnonzero(~((both >= least) & (both <= most)).all(axis=1))  # NaN as well
            shown = both[: away[0]] if len(away) else both
            for column in range(shown.shape[1]):
                axis.plot(shown[:, column], color=PALETTE[column % SPACE.n], ls=dashes, lw=1.1)
        axis.set_title(run.title, fontsize=7)
    panels[0, 0].set(ylim=(least, most), yticks=np.arange(-90, 451, 90))
    for axis in panels.flat:
        if not axis.lines:
            axis.text(0.5, 0.5, "no trace", transform=axis.transAxes, ha="center", va="center", color="grey")
        axis.axhspan(SPACE.low[1], SPACE.high[1], color=PALETTE[1], alpha=0.08, lw=0)
        axis.grid(lw=0.3)
    for axis in panels[-1]:
        axis.set_xlabel("step")
    for axis in panels[:, 0]:
        axis.set_ylabel("degrees")
    handles: list[Artist] = [Line2D([], [], color=PALETTE[k], label=name) for k, name in enumerate(SPACE.names)]
    handles += [Line2D([], [], color="black", ls=dashes, label=kind) for kind, dashes in LINES.items()]
    handles.append(Patch(color=PALETTE[1], alpha=0.15, label="range of elevation"))
    legend_below(figure, handles)
    return figure


LINES = {"recorded": "-", "replayed": "--"}
