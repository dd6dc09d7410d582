"""Two networks at the same views, side by side: their scores, their regions, and the views that flipped, with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semrob_env.metrics import PairedViews
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting.canvas import PALETTE, SCORE_MAP, label_axes, legend_below, plain_style, titled_figure
from semrob_env.plotting.drawing import axis_label, draw_regions, set_axes, set_ticks
from semrob_env.regions import Regions
from semrob_env.types import Float32Array, FloatArray

LOST_COLOR, WON_COLOR = PALETTE[1], PALETTE[2]
REGION_COLORS = (PALETTE[7], PALETTE[3])
"""Outlines of the regions of the network before and after."""

PICTURES = 2
"""Flipped views of either kind that are shown of a shape."""


@final
@dataclass(frozen=True, eq=False)
class FlippedView:
    """A view that flipped: where, what it looks like, and unit scores before and after."""

    theta: FloatArray  # (n,)
    image: Float32Array  # (3, H, W) in [0, 1]
    before: float
    after: float


@final
@dataclass(frozen=True, eq=False)
class FlipRow:
    """A shape: what two networks said of it."""

    title: str
    views: PairedViews
    regions: tuple[Regions | None, Regions | None]  # of the network before and after; one region each
    start: FloatArray  # start point of both (n,)
    lost: tuple[FlippedView, ...]  # the ones to show, at most `PICTURES`
    won: tuple[FlippedView, ...]


@plain_style()
def flips_figure(rows: Sequence[FlipRow], names: tuple[str, str], *, title: str) -> Figure:
    """A row a shape: scores and regions of both networks, and views that flipped.

    With more than two parameters, the two along which flipped views are spread least evenly.

    Args:
        rows: At least one shape.
        names: Of the two networks.
        title: Above all.
    """
    figure = titled_figure(11.5, 0.9 + 2.75 * len(rows), title)
    grid = figure.add_gridspec(len(rows), 4, width_ratios=[3, 3, 1.05, 1.05])
    image: PathCollection | None = None
    maps = []
    for place, row in enumerate(rows):
        pair = shown_parameters(row.views)
        for column, (name, found) in enumerate(zip(names, (row.views.before, row.views.after), strict=True)):
            axis = figure.add_subplot(grid[place, column])
            image = _draw_scores(axis, row, found.scores, pair, names)
            label_axes(axis, title=f"{row.title}: {name}, right in {100 * found.rate().share:.0f} %", x=axis.get_xlabel(), y=axis.get_ylabel())
            maps.append(axis)
        for column, (kind, chosen, color) in enumerate(
            (("right to wrong", row.lost, LOST_COLOR), ("wrong to right", row.won, WON_COLOR)), start=2
        ):
            flips = row.views.flips
            count = flips.lost if column == 2 else flips.won
            cells = grid[place, column].subgridspec(PICTURES, 1)
            for cell in range(PICTURES):
                axis = figure.add_subplot(cells[cell])
                axis.set(xticks=[], yticks=[])
                if cell == 0:
                    axis.set_title(f"{kind}: {count}", fontsize=8, color=color)
                if cell >= len(chosen):
                    axis.set_axis_off()
                    continue
                _draw_picture(axis, chosen[cell], row.views.before.space, color)
    assert image is not None
    figure.colorbar(image, ax=maps, label="score", fraction=0.03, pad=0.01).ax.tick_params(labelsize=7)
    handles = [
        Line2D([], [], ls="", marker="o", mfc="none", mec=color, mew=1.8, ms=8, label=label)
        for color, label in ((LOST_COLOR, "right before, wrong after"), (WON_COLOR, "wrong before, right after"))
    ]
    handles += [
        Line2D([], [], color=color, lw=1.6, marker="o", ms=5, label=f"region of {name}, and start point")
        for color, name in zip(REGION_COLORS, names, strict=True)
    ]
    legend_below(figure, handles)
    return figure


def shown_parameters(views: PairedViews) -> list[int]:
    """The two parameters to draw: those along which flipped views are spread least evenly; or all of one or two."""
    space = views.before.space
    if space.n <= 2:
        return list(range(space.n))
    flipped = views.before.theta[views.lost | views.won]
    shares = (flipped - space.low) / space.width
    counts = [np.histogram(shares[:, k], bins=4, range=(0, 1))[0] for k in range(space.n)]
    uneven = [float(np.var(own)) for own in counts]
    return sorted(np.argsort(uneven, kind="stable")[::-1][:2].tolist())


def _draw_scores(
    axis: Axes, row: FlipRow, scores: FloatArray, pair: list[int], names: tuple[str, str]
) -> PathCollection:
    """Scores at the views in color, rings around those that flipped, and both regions."""
    space = SemanticSpace(tuple(row.views.before.space.parameters[k] for k in pair))
    theta = row.views.before.theta[:, pair]
    points = theta if space.n == 2 else np.column_stack([theta[:, 0], scores])
    axis.set_facecolor("#eeeeee")
    if space.n == 2:
        set_axes(axis, space)
        axis.set(xlabel=axis_label(space.parameters[0]), ylabel=axis_label(space.parameters[1]))
    else:
        axis.set(xlim=(space.low[0], space.high[0]), ylim=(0, 1), xlabel=axis_label(space.parameters[0]), ylabel="score")
        set_ticks(axis, "x", space.parameters[0])
    image = axis.scatter(*points.T, c=scores, cmap=SCORE_MAP, vmin=0, vmax=1, s=16, lw=0, zorder=2)
    for mask, color in ((row.views.lost, LOST_COLOR), (row.views.won, WON_COLOR)):
        axis.scatter(*points[mask].T, s=62, facecolors="none", edgecolors=color, linewidths=1.7, zorder=3)
    for own, color, name in zip(row.regions, REGION_COLORS, names, strict=True):
        if own is not None:
            cut = Regions(space, own.lower[:, pair], own.upper[:, pair])
            draw_regions(axis, cut, row.start[None, pair], [name], [color])
    return image


def _draw_picture(axis: Axes, view: FlippedView, space: SemanticSpace, color: str) -> None:
    axis.imshow(np.clip(view.image.transpose(1, 2, 0), 0, 1))
    for spine in axis.spines.values():
        spine.set(color=color, linewidth=1.6)
    where = ", ".join(f"{name[:2]} {value:.0f}" for name, value in zip(space.names[:2], view.theta, strict=False))
    axis.set_xlabel(f"{where}: {view.before:.2f} to {view.after:.2f}", fontsize=6.5, labelpad=2)
