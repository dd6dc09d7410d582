"""Regions on a semantic map, what the classifier sees inside and just outside them, and how their bounds grew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semrob_env.parameters import SemanticSpace
from semrob_env.plotting.canvas import color_of, titled_figure
from semrob_env.plotting.drawing import axis_label, draw_curve, draw_regions, draw_scores, draw_view
from semrob_env.plotting.views import View
from semrob_env.recorded import ScoreMaps
from semrob_env.regions import Regions
from semrob_env.types import FloatArray


def region_figure(
    regions: Regions,
    starts: FloatArray,
    labels: Sequence[str],
    views: Sequence[Sequence[View]],
    *,
    title: str,
    maps: ScoreMaps | None = None,
    row: int = 0,
) -> Figure:
    """The regions on the map of f (one or two parameters), and a row of example pictures for each.

    Args:
        regions: B regions.
        starts: Their start points (B, n).
        labels: One text a region.
        views: Example pictures of each region.
        title: Above all.
        maps: Maps of one or two parameters, one of which is drawn below the regions; None draws no map.
        row: Which of them.
    """
    columns = max((len(own) for own in views), default=0)
    rows = len(views) if columns else 0
    heights = ([3.4] if maps is not None else []) + [1.55] * rows
    width = max(9.0, 1.3 * columns + 0.9)
    figure = titled_figure(width, sum(heights) + 0.7, title, size=11)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if maps is not None:
        draw_map(parts[0].subplots(), regions, starts, labels, maps, row)
    for index, (part, own) in enumerate(zip(parts[int(maps is not None) :], views if rows else [], strict=True)):
        colour = color_of(index)
        part.suptitle(labels[index], color=colour, fontsize=9, x=0.01, ha="left")
        for axis, view in zip(np.atleast_1d(part.subplots(1, columns)), own, strict=False):
            draw_view(axis, view, colour)
            where = ", ".join(f"{value:.0f}" for value in view.theta)
            axis.set_title(f"({where})  f={view.score:.2f}", fontsize=7)
            axis.set_xlabel("inside" if view.inside else "just outside", fontsize=7)
        for axis in part.axes:
            axis.set(xticks=[], yticks=[])
            axis.set_frame_on(bool(axis.images))
    return figure


def draw_map(
    axis: Axes,
    regions: Regions,
    starts: FloatArray,
    labels: Sequence[str],
    maps: ScoreMaps,
    row: int = 0,
) -> None:
    """One map in colour (two parameters) or as a curve (one), with the regions on it.

    Raises:
        InvalidParameterError: The space has more than two parameters.
    """
    colours = [color_of(index) for index in range(len(regions))]
    first = maps.space.parameters[0]
    if maps.space.n == 1:
        draw_curve(axis, maps, row, colour="black", width=1.4)
        axis.set(xlabel=axis_label(first), ylabel="score f")
    else:
        image = draw_scores(axis, maps, row)
        axis.figure.colorbar(image, ax=axis, label="score f", pad=0.01)
        axis.set(xlabel=axis_label(first), ylabel=axis_label(maps.space.parameters[1]))
    draw_regions(axis, regions, starts, labels, colours)


def bounds_figure(
    space: SemanticSpace,
    queries: Sequence[FloatArray],
    lower: Sequence[FloatArray],
    upper: Sequence[FloatArray],
    labels: Sequence[str],
    *,
    title: str,
) -> Figure:
    """How the bounds of each region moved with the queries spent: one row a parameter, one column a region.

    Args:
        space: The space of the bounds.
        queries: Per region, queries spent after each recorded step, (T,).
        lower: Per region, lower bounds (T, n); not wrapped, so that lines do not jump.
        upper: Per region, upper bounds (T, n).
        labels: One text a region.
        title: Above all.
    """
    height = 1.9 if space.n <= 3 else 1.2
    figure = titled_figure(2.4 * len(labels) + 1.0, height * space.n + 0.8, title, size=11)
    grid = figure.subplots(space.n, len(labels), squeeze=False, sharex=True, sharey="row")
    for k, parameter in enumerate(space.parameters):
        for column, label in enumerate(labels):
            axis, colour = grid[k, column], color_of(column)
            axis.fill_between(queries[column], lower[column][:, k], upper[column][:, k], color=colour, alpha=0.25)
            axis.plot(queries[column], lower[column][:, k], color=colour, lw=1.4)
            axis.plot(queries[column], upper[column][:, k], color=colour, lw=1.4)
            if k == 0:
                axis.set_title(label, fontsize=8, color=colour)
            if k == space.n - 1:
                axis.set_xlabel("queries")
        grid[k, 0].set_ylabel(axis_label(parameter))
    return figure


@final
class BoundsHistory:
    """Bounds of every trajectory after every step, unwrapped around the start points so that curves do not jump."""

    def __init__(self) -> None:
        self.spent: list[FloatArray] = []
        self.lower: list[FloatArray] = []
        self.upper: list[FloatArray] = []

    def record(self, regions: Regions, starts: FloatArray, spent: FloatArray) -> None:
        """Keep the state after a step: regions and start points (B, n) of all trajectories, what they spent (B,)."""
        space = regions.space
        below = starts - regions.lower
        lower = starts - np.where(space.is_periodic, np.mod(below, space.width), below)
        self.spent.append(spent.copy())
        self.lower.append(lower)
        self.upper.append(lower + regions.width)

    def figure(self, space: SemanticSpace, rows: Sequence[int], labels: Sequence[str], *, title: str) -> Figure:
        """`bounds_figure` of some of the trajectories, one column and one label each."""
        parts = (np.array(part) for part in (self.spent, self.lower, self.upper))
        spent, lower, upper = ([part[:, row] for row in rows] for part in parts)
        return bounds_figure(space, spent, lower, upper, labels, title=title)
