"""What training on some views has changed: maps of accuracy over the viewpoints, and measures with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from semrob_env.parameters import SemanticSpace
from semrob_env.plotting.canvas import SCORE_MAP, color_of, label_axes, plain_style, titled_figure
from semrob_env.regions import Regions
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True, eq=False)
class Measured:
    """One measure of every arm.

    Attributes:
        title: What it is.
        each: Every arm in every trial (A, S).
        low: Lower end of the interval of each mean (A,); NaN where there is none.
        high: Upper end (A,).
    """

    title: str
    each: FloatArray
    low: FloatArray
    high: FloatArray


@plain_style()
def training_figure(
    space: SemanticSpace,
    maps: Mapping[str, FloatArray],
    ordinary: Regions,
    measures: Sequence[Measured],
    *,
    title: str,
) -> Figure:
    """A map of each arm in the upper row, a panel for each measure below.

    Args:
        space: Of two parameters.
        maps: Accuracy of each arm over even bins of the space, (X, Y); NaN where there is no view.
        ordinary: One region: where ordinary views are.
        measures: Of the arms, in the same order.
        title: Above all.
    """
    count = len(maps)
    figure = titled_figure(2.5 * count + 0.8, 5.4, title)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1, 1.15], squeeze=False)[:, 0]
    axes = upper.subplots(1, count, squeeze=False, sharey=True)[0]
    drawn = None
    for index, (axis, (label, values)) in enumerate(zip(axes, maps.items(), strict=True)):
        ends = [
            np.linspace(own.low, own.high, bins + 1) for own, bins in zip(space.parameters, values.shape, strict=True)
        ]
        drawn = axis.pcolormesh(*ends, values.T, cmap=SCORE_MAP, vmin=0, vmax=1, rasterized=True)
        corner, size = ordinary.lower[0], ordinary.width[0]
        axis.add_patch(Rectangle((corner[0], corner[1]), *size, fill=False, ec="#D55E00", lw=1.6))
        label_axes(axis, title=label, x=space.names[0], y=space.names[1] if index == 0 else "")
    if drawn is not None:
        bar = upper.colorbar(drawn, ax=list(axes), shrink=0.9, pad=0.01)
        bar.set_label("right views", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    names = list(maps)
    panels = lower.subplots(1, len(measures), squeeze=False, sharey=True)[0]
    for axis, own in zip(panels, measures, strict=True):
        rows = np.arange(count)
        for row in rows:
            color = color_of(int(row))
            mean = own.each[row].mean()
            axis.plot(own.each[row], np.full(own.each.shape[1], row) + 0.22, "o", ms=3, color=color, alpha=0.5)
            if np.isfinite(own.low[row]):
                axis.plot([own.low[row], own.high[row]], [row, row], color=color, lw=2)
            axis.plot(mean, row, "D", ms=5, color=color)
        axis.set_yticks(rows, names, fontsize=8)
        axis.set_ylim(count - 0.5, -0.5)
        axis.set_xlim(left=max(0.0, float(np.nanmin([own.each.min(), *own.low])) - 0.03), right=1.02)
        axis.grid(axis="x", lw=0.3)
        label_axes(axis, title=own.title)
    return figure
