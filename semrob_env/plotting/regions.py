"""Regions on a semantic map, what the classifier sees inside and just outside them, and how their bounds grew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from semrob_env.errors import InvalidParameterError
from semrob_env.parameters import Parameter, SemanticSpace
from semrob_env.plotting.canvas import PALETTE, SCORE_MAP
from semrob_env.plotting.views import MapGrid, View
from semrob_env.regions import Regions
from semrob_env.types import FloatArray


def region_figure(
    regions: Regions,
    starts: FloatArray,
    labels: Sequence[str],
    views: Sequence[Sequence[View]],
    *,
    title: str,
    grid: MapGrid | None = None,
) -> Figure:
    """The regions on the map of f (spaces of two parameters), and a row of example pictures for each.

    Args:
        regions: B regions.
        starts: Their start points (B, n).
        labels: One text a region.
        views: Example pictures of each region.
        title: Above all.
        grid: The map to draw below the regions; None draws no map.
    """
    columns = max((len(row) for row in views), default=0)
    rows = len(views) if columns else 0
    heights = ([3.4] if grid is not None else []) + [1.55] * rows
    width = max(9.0, 1.3 * columns + 0.9)
    figure = Figure(figsize=(width, sum(heights) + 0.7), layout="constrained")
    figure.suptitle(title, fontsize=11)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if grid is not None:
        draw_map(parts[0].subplots(), regions, starts, labels, grid)
    for index, (part, row) in enumerate(zip(parts[int(grid is not None) :], views if rows else [], strict=True)):
        colour = PALETTE[index % len(PALETTE)]
        part.suptitle(labels[index], color=colour, fontsize=9, x=0.01, ha="left")
        for axis, view in zip(np.atleast_1d(part.subplots(1, columns)), row, strict=False):
            axis.imshow(np.clip(view.picture.transpose(1, 2, 0), 0, 1))
            where = ", ".join(f"{value:.0f}" for value in view.theta)
            axis.set_title(f"({where})  f={view.score:.2f}", fontsize=7)
            for spine in axis.spines.values():
                spine.set(color=colour, linewidth=2.0 if view.inside else 1.0, linestyle="-" if view.inside else ":")
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
    grid: MapGrid,
) -> None:
    """Scores over the first two parameters as colour, with region outlines (in pieces where they cross a seam).

    Raises:
        InvalidParameterError: The space does not have two parameters.
    """
    space = regions.space
    if space.n != 2:
        raise InvalidParameterError(f"a map shows 2 parameters, this space has {space.n}")
    image = axis.pcolormesh(
        grid.first, grid.second, grid.scores.T, cmap=SCORE_MAP, vmin=0.0, vmax=1.0, shading="nearest"
    )
    axis.figure.colorbar(image, ax=axis, label="score f", pad=0.01)
    for index, (start, label) in enumerate(zip(starts, labels, strict=True)):
        colour = PALETTE[index % len(PALETTE)]
        for turn in _turns(space):
            lower, upper = regions.lower[index] + turn, regions.upper[index] + turn
            axis.add_patch(
                Rectangle((lower[0], lower[1]), *(upper - lower), fill=False, ec="white", lw=3.4, clip_on=True)
            )
            axis.add_patch(
                Rectangle((lower[0], lower[1]), *(upper - lower), fill=False, ec=colour, lw=1.8, clip_on=True)
            )
        axis.plot(*start, marker="o", ms=6, mfc=colour, mec="white", ls="", label=label)
    axis.set(xlim=(space.low[0], space.high[0]), ylim=(space.low[1], space.high[1]))
    axis.set_xlabel(_label(space.parameters[0]))
    axis.set_ylabel(_label(space.parameters[1]))


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
    figure = Figure(figsize=(2.4 * len(labels) + 1.0, 1.9 * space.n + 0.8), layout="constrained")
    figure.suptitle(title, fontsize=11)
    grid = figure.subplots(space.n, len(labels), squeeze=False, sharex=True, sharey="row")
    for k, parameter in enumerate(space.parameters):
        for column, label in enumerate(labels):
            axis, colour = grid[k, column], PALETTE[column % len(PALETTE)]
            axis.fill_between(queries[column], lower[column][:, k], upper[column][:, k], color=colour, alpha=0.25)
            axis.plot(queries[column], lower[column][:, k], color=colour, lw=1.4)
            axis.plot(queries[column], upper[column][:, k], color=colour, lw=1.4)
            if k == 0:
                axis.set_title(label, fontsize=8, color=colour)
            if k == space.n - 1:
                axis.set_xlabel("queries")
        grid[k, 0].set_ylabel(_label(parameter))
    return figure


def _turns(space: SemanticSpace) -> list[FloatArray]:
    """Shifts by which a region appears on the map: one turn back as well along periodic parameters."""
    shifts = [np.zeros(space.n)]
    for k in np.flatnonzero(space.is_periodic):
        unit = np.eye(space.n)[k] * space.width[k]
        shifts += [shift - unit for shift in shifts]
    return shifts


def _label(parameter: Parameter) -> str:
    return f"{parameter.name} ({parameter.unit})" if parameter.unit else parameter.name
