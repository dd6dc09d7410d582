"""SRVR against figures on natural photographs: one panel a benchmark, one point a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semrob_env.plotting.canvas import color_of, label_axes, legend_below, panels_of, plain_style, titled_figure
from semrob_env.plotting.srvr import short_name

COLUMNS = 3
MOST_NAMED = 8
"""Networks up to which each has a color and a place in the legend; more have a number."""

Ends = tuple[float, float, float]
"""Estimate, low and high, as shares; NaN ends: no interval."""


@final
@dataclass(frozen=True)
class NaturalPanel:
    """One benchmark.

    Attributes:
        title: Its name.
        label: Of its axis.
        agreement: A line below the title.
        points: Index of each network, its figure, and its SRVR.
        is_measured: Full points; else, and where they hold numbers, hollow ones.
    """

    title: str
    label: str
    agreement: str
    points: tuple[tuple[int, Ends, Ends], ...]
    is_measured: bool


@plain_style()
def natural_figure(panels: Sequence[NaturalPanel], networks: Sequence[str], *, title: str, srvr: str) -> Figure:
    """Panels of accuracy against SRVR; with intervals on both sides where there are any.

    Args:
        panels: At least one, each with at least a point.
        networks: Their names, by index.
        title: Above all.
        srvr: Label of the axis of SRVR.
    """
    columns = 2 if len(panels) == 4 else min(len(panels), COLUMNS)
    is_named = len(networks) <= MOST_NAMED
    rows = -(-len(panels) // columns)
    figure = titled_figure(1.0 + 3.4 * columns, 1.6 + 3.1 * rows, title)
    for place, (axis, panel) in enumerate(zip(panels_of(figure, len(panels), columns), panels, strict=True)):
        for index, figures, shares in panel.points:
            _point(
                axis,
                index if is_named else 0,
                figures,
                shares,
                is_full=panel.is_measured and is_named,
                size=6 if is_named else 10,
            )
            if not is_named:
                at = (100 * figures[0], 100 * shares[0])
                axis.annotate(str(index + 1), at, ha="center", va="center", fontsize=6, zorder=4)
        axis.margins(0.12)
        bottom, top = axis.get_ylim()
        axis.set_ylim(max(bottom, -3), min(top, 103))
        axis.grid(lw=0.4)
        axis.set_axisbelow(True)
        heading = f"{panel.title}\n{panel.agreement}" if panel.agreement else panel.title
        label_axes(axis, title=heading, x=panel.label, y=srvr if place % columns == 0 else "")
    handles = [
        Line2D(
            [],
            [],
            ls="",
            marker="o",
            ms=5 if is_named else 0,
            color=color_of(index),
            label=short_name(name) if is_named else f"{index + 1} {short_name(name)}",
        )
        for index, name in enumerate(networks)
    ]
    kinds = {panel.is_measured for panel in panels} if is_named else ()
    if False in kinds:
        handles.append(Line2D([], [], ls="", marker="o", ms=5, color="grey", mfc="white", label="published"))
    if True in kinds:
        handles.append(Line2D([], [], ls="", marker="o", ms=5, color="grey", label="measured here"))
    legend_below(figure, handles, columns=2 * columns, size=7)
    return figure


def _point(axis: Axes, index: int, figures: Ends, shares: Ends, *, is_full: bool, size: float) -> None:
    (x, left, right), (y, low, high) = ([100 * end for end in ends] for ends in (figures, shares))
    color = color_of(index)
    if math.isfinite(left):
        axis.plot([left, right], [y, y], color=color, lw=0.8, alpha=0.6)
    if math.isfinite(low):
        axis.plot([x, x], [low, high], color=color, lw=0.8, alpha=0.6)
    axis.plot(x, y, "o", color=color, mfc=color if is_full else "white", ms=size, mew=0.8, zorder=3)
