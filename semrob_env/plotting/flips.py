"""Two networks at the same views, side by side: scores, regions, and the views that flipped, with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from semrob_env.metrics import PairedViews
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting.canvas import PALETTE, SCORE_MAP, label_axes, legend_below, plain_style, titled_figure
from semrob_env.plotting.drawing import axis_label, set_axes, set_ticks
from semrob_env.plotting.gallery import fitted_lines
from semrob_env.regions import Regions
from semrob_env.tables.words import short_point_words
from semrob_env.types import Float32Array, FloatArray

LOST_COLOR, WON_COLOR = PALETTE[1], PALETTE[2]
LOST_FILL, WON_FILL, KEPT_FILL, OUTSIDE = "#f7cdb0", "#b5e3d3", "#ffffff", "#e4e4e4"
"""What only the region before has, only that after, both, and none."""

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
    regions: tuple[Regions | None, Regions | None]  # the certified one of each network, if there is one
    start: FloatArray  # start point of both (n,)
    lost: tuple[FlippedView, ...]  # the ones to show, at most `PICTURES`
    won: tuple[FlippedView, ...]


@plain_style()
def flips_figure(rows: Sequence[FlipRow], names: tuple[str, str], *, title: str) -> Figure:
    """A row a shape: scores and regions of both networks, and views that flipped.

    With more than two parameters, the two along which flipped views are spread least evenly: regions are then seen
    along all others.

    Args:
        rows: At least one shape.
        names: Of the two networks.
        title: Above all.
    """
    figure = titled_figure(11.5, 0.9 + 2.75 * len(rows), title)
    grid = figure.add_gridspec(len(rows), 4, width_ratios=[3, 3, 1.05, 1.05])
    image: PathCollection | None = None
    maps = []
    pair = shown_parameters([row.views for row in rows])
    for place, row in enumerate(rows):
        for column, (name, found) in enumerate(zip(names, (row.views.before, row.views.after), strict=True)):
            axis = figure.add_subplot(grid[place, column])
            image = _draw_scores(axis, row, found.scores, pair, column)
            own = row.regions[column]
            share = "none" if own is None else f"{100 * float(own.share()[0]):.0f} %"
            axis.set_title(
                f"{row.title}: {name}, right in {100 * found.rate().share:.0f} %, region {share}", fontsize=9
            )
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
                    axis.set_xlabel("\n", fontsize=6.5, labelpad=2)  # as much room as a picture has
                    axis.set_frame_on(False)
                    axis.set_aspect(1, adjustable="box")
                    continue
                _draw_picture(axis, chosen[cell], row.views.before.space, color)
    assert image is not None
    figure.colorbar(image, ax=maps, label="score", fraction=0.03, pad=0.01).ax.tick_params(labelsize=7)
    handles: list[Artist] = [
        Line2D([], [], ls="", marker="o", mfc="none", mec=color, mew=1.8, ms=8, label=label)
        for color, label in ((LOST_COLOR, "view right before, wrong after"), (WON_COLOR, "wrong before, right after"))
    ]
    handles += [
        Patch(fc=color, ec="#999999", lw=0.5, label=label)
        for color, label in (
            (LOST_FILL, "region lost"),
            (WON_FILL, "won"),
            (KEPT_FILL, "kept"),
            (OUTSIDE, "in neither"),
        )
    ]
    handles.append(Line2D([], [], color="black", lw=1.4, label="certified region of the network, around"))
    handles.append(Line2D([], [], ls="", marker="^", color="black", label="this start point"))
    legend_below(figure, handles)
    return figure


def shown_parameters(every: Sequence[PairedViews]) -> list[int]:
    """The two parameters to draw: those along which flipped views are spread least evenly; or all of one or two."""
    space = every[0].before.space
    if space.n <= 2:
        return list(range(space.n))
    flipped = np.concatenate([views.before.theta[views.lost | views.won] for views in every])
    shares = (flipped - space.low) / space.width
    counts = [np.histogram(shares[:, k], bins=4, range=(0, 1))[0] for k in range(space.n)]
    uneven = [float(np.var(own)) for own in counts]
    return sorted(np.argsort(uneven, kind="stable")[::-1][:2].tolist())


def _draw_scores(axis: Axes, row: FlipRow, scores: FloatArray, pair: list[int], which: int) -> PathCollection:
    """Scores at the views in color, rings around those that flipped, above the regions of both networks."""
    space = SemanticSpace(tuple(row.views.before.space.parameters[k] for k in pair))
    theta = row.views.before.theta[:, pair]
    points = theta if space.n == 2 else np.column_stack([theta[:, 0], scores])
    axis.set_facecolor(OUTSIDE)
    if space.n == 2:
        set_axes(axis, space)
    else:
        axis.set(xlim=(space.low[0], space.high[0]), ylim=(0, 1))
        set_ticks(axis, "x", space.parameters[0])
    label_axes(axis, x=axis_label(space.parameters[0]), y=axis_label(space.parameters[1]) if space.n == 2 else "score")
    before, after = (_boxes(space, own, pair) for own in row.regions)
    for boxes, color in ((before, LOST_FILL), (after, WON_FILL), (_common(before, after), KEPT_FILL)):
        for left, bottom, right, top in boxes:
            axis.add_patch(Rectangle((left, bottom), right - left, top - bottom, fc=color, lw=0, zorder=0.5))
    for left, bottom, right, top in (before, after)[which]:
        axis.add_patch(Rectangle((left, bottom), right - left, top - bottom, fill=False, ec="black", lw=1.4, zorder=1))
    image = axis.scatter(points[:, 0], points[:, 1], c=scores, cmap=SCORE_MAP, vmin=0, vmax=1, s=16, lw=0, zorder=2)
    for mask, color in ((row.views.lost, LOST_COLOR), (row.views.won, WON_COLOR)):
        axis.scatter(
            points[mask, 0], points[mask, 1], s=62, facecolors="none", edgecolors=color, linewidths=1.7, zorder=3
        )
    start = row.start[pair] if space.n == 2 else (row.start[pair[0]], 0.03)
    axis.plot(*start, marker="^", color="black", ms=6, mec="white", mew=0.7, zorder=4)
    return image


Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""


def _boxes(space: SemanticSpace, region: Regions | None, pair: list[int]) -> list[Box]:
    """A region as seen along the drawn parameters, in pieces across a seam; one parameter: over all scores."""
    if region is None:
        return []
    sides: list[list[tuple[float, float]]] = []
    for own, k in zip(space.parameters, pair, strict=True):
        lower, upper = float(region.lower[0, k]), float(region.upper[0, k])
        if upper - lower >= (own.high - own.low) * (1 - 1e-9):  # a full turn, wherever it begins
            sides.append([(own.low, own.high)])
        elif own.period is not None and upper > own.high:
            sides.append([(lower, own.high), (own.low, upper - own.period)])
        else:
            sides.append([(lower, upper)])
    if space.n == 1:
        sides.append([(0.0, 1.0)])
    return [(left, bottom, right, top) for (left, right), (bottom, top) in product(*sides)]


def _common(first: list[Box], second: list[Box]) -> list[Box]:
    """What two sets of boxes share."""
    cut = [(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])) for a, b in product(first, second)]
    return [box for box in cut if box[0] < box[2] and box[1] < box[3]]


def _draw_picture(axis: Axes, view: FlippedView, space: SemanticSpace, color: str) -> None:
    axis.imshow(np.clip(view.image.transpose(1, 2, 0), 0, 1))
    for spine in axis.spines.values():
        spine.set(color=color, linewidth=1.6)
    lines = fitted_lines(short_point_words(space.parameters, view.theta))
    axis.set_xlabel("\n".join([*lines, f"{view.before:.2f} to {view.after:.2f}"]), fontsize=6.5, labelpad=2)
