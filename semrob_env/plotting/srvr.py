"""SRVR as bars (one panel a class, one group a network, one colour a method), and against accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from semrob_env.metrics import SrvrRow
from semrob_env.plotting.canvas import color_of, legend_below, panels_of, plain_style, titled_figure


@plain_style()
def srvr_figure(tables: Mapping[str, Sequence[SrvrRow]], networks: Sequence[str], *, title: str) -> Figure:
    """Bars of SRVR in three shades, every region pale, feasible ones darker, certified ones full; intervals of all.

    Args:
        tables: For each method, what `srvr` gives for its runs.
        networks: Networks in the order to draw.
        title: Above all.
    """
    classes = list(dict.fromkeys(row.class_name for rows in tables.values() for row in rows))
    classes = [name for name in classes if name is not None] + [None]
    columns = min(len(classes), 3)
    figure = titled_figure(1.2 + 2.9 * columns, 1.3 + 2.3 * -(-len(classes) // columns), title)
    panels = panels_of(figure, len(classes), columns, sharey=True)
    for axis, class_name in zip(panels, classes, strict=True):
        for position, rows in enumerate(tables.values()):
            own = {row.network: row for row in rows if row.class_name == class_name}
            _bars(axis, [own.get(network) for network in networks], position, len(tables))
        label_bars(axis, class_name or "all classes", [short_name(name) for name in networks])
    label = percent_axis(panels[0], "SRVR (%)")  # shared, so only after all bars are drawn
    for axis in panels[::columns]:
        axis.set_ylabel(label)
    handles = [Patch(color=color_of(position), label=method) for position, method in enumerate(tables)]
    handles += [Patch(color="grey", alpha=shade, label=kind) for kind, shade in SHADES.items()]
    legend_below(figure, handles, columns=min(len(handles), 2 * columns))
    return figure


SHADES = {"every region": 0.25, "feasible": 0.55, "certified": 1.0}
"""Opacity of the part of a bar that each kind of region has: what is surely good stands out."""


def _bars(axis: Axes, rows: Sequence[SrvrRow | None], position: int, count: int) -> None:
    width = 0.8 / count
    for group, row in enumerate(rows):
        if row is None:
            continue
        x, color = group + (position - (count - 1) / 2) * width, color_of(position)
        draw_bar(axis, x, width, (row.estimate, row.low, row.high), color, alpha=SHADES["every region"])
        parts = (1.1, "feasible", row.feasible_estimate), (1.2, "certified", row.certified_estimate)
        for place, kind, share in parts:  # above the paler ones
            axis.bar(x, 100 * share, width * 0.92, color="white", zorder=place)  # shades do not add up
            axis.bar(x, 100 * share, width * 0.92, color=color, alpha=SHADES[kind], zorder=place)


def draw_bar(
    axis: Axes, x: float, width: float, srvr: tuple[float, float, float], color: str, *, alpha: float = 1.0
) -> None:
    """A bar for an estimate and a line for its interval (both ends NaN: none); shares, drawn in %."""
    estimate, low, high = (100 * share for share in srvr)
    axis.bar(x, estimate, width * 0.92, color=color, alpha=alpha)
    if np.isfinite(low):
        axis.plot([x, x], [low, high], color="black", lw=1.0)


def percent_axis(axis: Axes, label: str) -> str:
    """Let the axis of bars in % go from 0 to 100; to less where all are low, which the label that is returned tells."""
    top = min(axis.get_ylim()[1], 100.0)
    end = 100.0 if top > 50 else max(np.ceil(top / 5) * 5, 1.0) if top > 1 else top
    axis.set_ylim(0, end)
    return label if end == 100 else f"{label}; axis ends at {end:.3g} %"


def label_bars(axis: Axes, title: str, groups: Sequence[str]) -> None:
    """Title of a panel of bars, names below its groups, and lines behind them."""
    axis.set_title(title, fontsize=9)
    axis.set_xticks(range(len(groups)), groups, fontsize=8)
    axis.grid(axis="y", lw=0.4)
    axis.set_axisbelow(True)


def short_name(network: str) -> str:
    """A network's name without its family, for axes."""
    return network.rpartition("/")[2].replace("efficientnet_", "")


@plain_style()
def accuracy_figure(networks: Sequence[tuple[str, float, SrvrRow]], *, title: str) -> Figure:
    """Published top-1 accuracy against SRVR, one network three points: all regions, feasible ones, certified ones.

    Args:
        networks: Name, top-1 in %, and SRVR of each; bars are 95 % intervals where there are any.
        title: Above all.
    """
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axis = figure.subplots()
    axis.set_title(title, fontsize=10)
    aside = ASIDE * max(1.0, float(np.ptp([top1 for _, top1, _ in networks])))
    for index, (name, top1, row) in enumerate(networks):
        color = color_of(index)
        for place, (value, low, high) in enumerate((
            (row.estimate, row.low, row.high),
            (row.feasible_estimate, row.feasible_low, row.feasible_high),
            (row.certified_estimate, row.certified_low, row.certified_high),
        )):
            x, (marker, face) = top1 + place * aside, list(MARKERS.values())[place]
            if np.isfinite(low):
                axis.plot([x, x], [100 * low, 100 * high], color=color, lw=1.0)
            axis.plot(x, 100 * value, marker, color=color, mfc=face or color, ms=7, clip_on=False, zorder=3)
        axis.annotate(short_name(name), (top1, 100 * row.estimate), (7, 5), textcoords="offset points", fontsize=8)
    axis.margins(x=0.25, y=0.15)
    axis.set_xlabel("published top-1 accuracy on ImageNet (%)")
    axis.set_ylabel(percent_axis(axis, "SRVR (%), mean over classes"))
    axis.grid(lw=0.4)
    axis.set_axisbelow(True)
    handles = [
        Line2D([], [], marker=marker, ls="", color="grey", markerfacecolor=face or "grey", label=kind)
        for kind, (marker, face) in MARKERS.items()
    ]
    legend_below(figure, handles)
    return figure


MARKERS = {"every region": ("o", ""), "feasible, others as 0": ("o", "white"), "certified, others as 0": ("D", "white")}
"""Marker and face of each kind of SRVR; no face: the network's colour."""


ASIDE = 0.02
"""How far hollow points stand aside, as a share of the range of accuracy, so that two intervals can be told apart."""
