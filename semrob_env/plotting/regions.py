"""Regions as people see them: on a map, as projections, along their sides, their bounds, labels and columns."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semrob_env.errors import InvalidParameterError
from semrob_env.parameters import Parameter, SemanticSpace
from semrob_env.plotting.canvas import color_of, plain_style, titled_figure
from semrob_env.plotting.drawing import axis_label, draw_curve, draw_regions, draw_scores, draw_view, set_axes
from semrob_env.plotting.views import View
from semrob_env.recorded import ScoreMaps
from semrob_env.regions import Regions
from semrob_env.types import FloatArray


@plain_style()
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
    heading = _wrapped(title, width)
    figure = titled_figure(width, sum(heights) + 0.35 + 0.18 * len(heading.splitlines()), heading, size=11)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if maps is not None:
        axis, first = parts[0].subplots(), maps.space.parameters[0]
        if maps.space.n == 1:
            draw_curve(axis, maps, row, color="black", width=1.4)
            axis.set(xlabel=axis_label(first), ylabel="score f")
        else:
            parts[0].colorbar(draw_scores(axis, maps, row), ax=axis, label="score f", pad=0.01)
            axis.set(xlabel=axis_label(first), ylabel=axis_label(maps.space.parameters[1]))
        draw_regions(axis, regions, starts, labels, [color_of(index) for index in range(len(regions))])
        if not rows:  # nothing else tells whose color is whose
            parts[0].legend(loc="outside lower center", ncols=min(len(labels), 4), fontsize=8, frameon=False)
    for index, (part, own) in enumerate(zip(parts[int(maps is not None) :], views if rows else [], strict=True)):
        color = color_of(index)
        part.suptitle(labels[index], color=color, fontsize=9, x=0.01, ha="left")
        for axis, view in zip(np.atleast_1d(part.subplots(1, columns)), own, strict=False):
            draw_view(axis, view, color)
            axis.set_title(f"{_caption(regions.space, view.theta)}f={view.score:.2f}", fontsize=7)
            axis.set_xlabel("inside" if view.inside else "just outside", fontsize=7)
        for axis in part.axes:
            axis.set(xticks=[], yticks=[])
            axis.set_frame_on(bool(axis.images))
    return figure


@plain_style()
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
            axis, color = grid[k, column], color_of(column)
            axis.fill_between(queries[column], lower[column][:, k], upper[column][:, k], color=color, alpha=0.25)
            axis.plot(queries[column], lower[column][:, k], color=color, lw=1.4)
            axis.plot(queries[column], upper[column][:, k], color=color, lw=1.4)
            if k == 0:
                axis.set_title(label, fontsize=8, color=color)
            if k == space.n - 1:
                axis.set_xlabel("queries")
        grid[k, 0].set_ylabel(axis_label(parameter))
        _bounds_axis(grid[k], parameter)
    return figure


def _bounds_axis(panels: Sequence[Axes], parameter: Parameter) -> None:
    """All of the range of a parameter; of a periodic one, the seam, and what lies beyond it by its own values."""
    if parameter.period is None:
        margin = 0.03 * (parameter.high - parameter.low)
        panels[0].set_ylim(parameter.low - margin, parameter.high + margin)
        return
    low, high = panels[0].get_ylim()
    step = parameter.period / 4
    first, last = math.floor(min(low, parameter.low) / step), math.ceil(max(high, parameter.high) / step)
    ticks = np.arange(first, last + 1) * step
    names = [f"{parameter.low + (tick - parameter.low) % parameter.period:g}" for tick in ticks]
    panels[0].set_ylim(ticks[0], ticks[-1])
    panels[0].set_yticks(ticks, names)
    seams = ticks[(ticks - parameter.low) % parameter.period == 0]
    for panel in panels:
        for seam in seams.tolist():
            panel.axhline(seam, color="black", lw=0.8, ls=":")


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

    @plain_style()
    def figure(self, space: SemanticSpace, rows: Sequence[int], labels: Sequence[str], *, title: str) -> Figure:
        """`bounds_figure` of some of the trajectories, one column and one label each."""
        parts = (np.array(part) for part in (self.spent, self.lower, self.upper))
        spent, lower, upper = ([part[:, row] for row in rows] for part in parts)
        return bounds_figure(space, spent, lower, upper, labels, title=title)


_SMALL = 7  # points
_CELL, _LINE = 1.05, 1.25  # inches of a small picture, and of a line of them with its captions


@plain_style()
def projections_figure(regions: Regions, starts: FloatArray, labels: Sequence[str], *, title: str) -> Figure:
    """Pairwise projections: below the diagonal a box a region, on it the sides of all regions as bars.

    Args:
        regions: B regions of at least two parameters.
        starts: Their start points (B, n).
        labels: One text a region.
        title: Above all.
    """
    space, count = regions.space, regions.space.n
    side = 2.0 if count <= 4 else 1.5
    width = side * count + 1.2
    figure = titled_figure(width, side * count + 1.0, _wrapped(title, width))
    grid = figure.subplots(count, count, squeeze=False)
    colors = [color_of(index) for index in range(len(regions))]
    for row in range(count):
        for column in range(count):
            axis = grid[row, column]
            if column > row:
                axis.set_axis_off()
                continue
            chosen = [column] if row == column else [column, row]
            part = SemanticSpace(tuple(space.parameters[k] for k in chosen))
            if row == column:
                axis.set(xlim=(part.low[0], part.high[0]), ylim=(0.0, 0.1 + 0.06 * len(regions)), yticks=[])
                axis.set_title(space.parameters[row].name, fontsize=_SMALL + 1, pad=3)
            else:
                set_axes(axis, part)
            shadow = Regions(part, regions.lower[:, chosen], regions.upper[:, chosen])
            draw_regions(axis, shadow, starts[:, chosen], labels, colors)
            _few_ticks(axis, part)
            axis.tick_params(labelsize=_SMALL, labelbottom=row == count - 1, labelleft=column == 0 and row > 0)
            if row == count - 1:
                axis.set_xlabel(_broken(space.parameters[column]), fontsize=_SMALL)
            if column == 0 and row > 0:
                axis.set_ylabel(_broken(space.parameters[row]), fontsize=_SMALL)
    handles = [Line2D([], [], color=color, marker="o", mec="white", lw=1.4) for color in colors]
    grid[0, -1].legend(handles, labels, fontsize=_SMALL, loc="upper right", title="start points", title_fontsize=_SMALL)
    return figure


@plain_style()
def sides_figure(
    regions: Regions, views: Sequence[Sequence[Sequence[View]]], labels: Sequence[str], *, title: str
) -> Figure:
    """Pictures along each side: a block a region, a row a parameter, from just outside through it to just outside.

    Args:
        regions: B regions.
        views: Of each region, of each parameter, `side_views`; pictures from inside have a thick frame.
        labels: One text a region.
        title: Above all.
    """
    space = regions.space
    columns = max(len(line) for own in views for line in own)
    blocks = min(len(views), 2 if space.n <= 5 else 4)  # beside one another
    rows = -(-len(views) // blocks)
    inches = (blocks * (columns * _CELL + 0.35) + 0.75, rows * (space.n * _LINE + 0.45) + 0.85)
    figure = Figure(figsize=inches)
    figure.suptitle(_wrapped(title, inches[0]), fontsize=9, y=1 - 0.08 / inches[1], va="top")
    for index, own in enumerate(views):
        color = color_of(index)
        left = 0.75 + index % blocks * (columns * _CELL + 0.35)
        top = inches[1] - 1.2 - index // blocks * (space.n * _LINE + 0.45)
        heading = f"{labels[index]}: thick frames inside, dotted ones just outside"
        figure.text(left / inches[0], (top + 0.08) / inches[1], heading, color=color, fontsize=_SMALL + 1)
        for k, line in enumerate(own):
            # What has no picture just outside below, for want of room, begins one column later.
            first = 0 if not line[0].inside else 1
            for place, view in enumerate(line, start=first):
                corner = left + place * _CELL, top - (k + 1) * _LINE
                box = (corner[0] / inches[0], corner[1] / inches[1], 0.94 * _CELL / inches[0], 0.94 * _CELL / inches[1])
                axis = figure.add_axes(box)
                draw_view(axis, view, color)
                axis.set_title(f"{view.theta[k]:.4g}: f={view.score:.2f}", fontsize=6.5, pad=2)
                if index % blocks == 0 and place == first:
                    axis.set_ylabel(_broken(space.parameters[k]), fontsize=_SMALL)
    return figure


def _caption(space: SemanticSpace, theta: FloatArray) -> str:
    """A point (n,): one or two parameters by name, or all in their order."""
    if space.n > 2:
        return f"({', '.join(f'{value:.3g}' for value in theta)})  "
    return "".join(f"{name} {value:.3g}\n" for name, value in zip(space.names, theta, strict=True))


def _wrapped(title: str, width: float) -> str:
    """The title in lines no longer than a figure of a width in inches: a function's id names all parameters."""
    marked = re.sub(r"([,/&?])(?! )", "\\1\0 ", title)  # where a line may end
    lines = (textwrap.wrap(line, int(11 * width)) for line in marked.splitlines())
    return "\n".join(part for own in lines for part in own).replace("\0 ", "").replace("\0", "")


def _few_ticks(axis: Axes, space: SemanticSpace) -> None:
    """Ends and middle, so that labels of many panels do not touch."""
    axis.set_xticks([space.low[0], (space.low[0] + space.high[0]) / 2, space.high[0]])
    if space.n == 2:
        axis.set_yticks([space.low[1], (space.low[1] + space.high[1]) / 2, space.high[1]])


def _broken(parameter: Parameter) -> str:
    return axis_label(parameter).replace("_", " ").replace(" (", "\n(")


def read_points(space: SemanticSpace, text: str) -> FloatArray:
    """Points (B, n) by name with ; between them: `azimuth=130,elevation=30;azimuth=50`.

    Raises:
        InvalidParameterError: No point, or one that cannot be read.
        UnknownNameError: A name that is not in the space.
        OutOfSpaceError: A value outside the bounds.
    """
    points = [space.point(part) for part in text.split(";") if part.strip()]
    if not points:
        raise InvalidParameterError("--starts names no point; write azimuth=130,elevation=30")
    return np.array(points)


def point_label(space: SemanticSpace, point: FloatArray) -> str:
    """A point (n,) for a legend: `azimuth 130, elevation 30`."""
    return ", ".join(f"{name} {value:g}" for name, value in zip(space.names, point, strict=True))


def bounds_columns(regions: Regions, row: int) -> dict[str, float]:
    """The bounds of one region as columns of a table: azimuth_low, azimuth_high, elevation_low, ..."""
    columns: dict[str, float] = {}
    for k, name in enumerate(regions.space.names):
        columns |= {f"{name}_low": float(regions.lower[row, k]), f"{name}_high": float(regions.upper[row, k])}
    return columns
