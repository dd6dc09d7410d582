"""SRVR as bars: one panel a class, one group a network, one colour a method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from semrob_env.metrics import SrvrLine
from semrob_env.metrics.srvr import ALL
from semrob_env.plotting.canvas import PALETTE


def srvr_figure(lines: Sequence[SrvrLine], *, title: str) -> Figure:
    """Bars of SRVR: pale over every region, full colour for the part that is feasible; intervals where there are any.

    Args:
        lines: As `srvr_lines` gives them.
        title: Above all.
    """
    networks = list(dict.fromkeys(line.network for line in lines))
    methods = [name for name in dict.fromkeys(line.method for line in lines) if name != ALL]
    classes = list(dict.fromkeys(line.class_name for line in lines))
    columns = min(len(classes), 3)
    rows = -(-len(classes) // columns)
    figure = Figure(figsize=(1.2 + 2.9 * columns, 1.3 + 2.3 * rows), layout="constrained")
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axis in grid.flat[len(classes) :]:
        axis.set_axis_off()
    for axis, class_name in zip(grid.flat, classes, strict=False):
        for position, method in enumerate(methods):
            own = {line.network: line for line in lines if (line.class_name, line.method) == (class_name, method)}
            _bars(axis, [own.get(network) for network in networks], position, len(methods))
        axis.set_title("all classes" if class_name == ALL else class_name, fontsize=9)
        axis.set_xticks(range(len(networks)), [name.replace("efficientnet_", "") for name in networks], fontsize=8)
        axis.set_ylim(0, None)
        axis.grid(axis="y", lw=0.4)
        axis.set_axisbelow(True)
    for row in grid:
        row[0].set_ylabel("SRVR (%)")
    handles = [Patch(color=PALETTE[position], label=method) for position, method in enumerate(methods)]
    handles.append(Patch(color="grey", alpha=PALE, label="pale: region not feasible"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
    return figure


PALE = 0.35
"""Opacity of the part of a bar that is not feasible."""


def _bars(axis: Axes, lines: Sequence[SrvrLine | None], position: int, count: int) -> None:
    width = 0.8 / count
    for group, line in enumerate(lines):
        if line is None:
            continue
        x, colour = group + (position - (count - 1) / 2) * width, PALETTE[position % len(PALETTE)]
        axis.bar(x, 100 * line.srvr, width * 0.92, color=colour, alpha=PALE)
        axis.bar(x, 100 * line.feasible_srvr, width * 0.92, color=colour)
        if np.isfinite(line.low):
            axis.plot([x, x], [100 * line.low, 100 * line.high], color="black", lw=1.0)
