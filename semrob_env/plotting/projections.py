"""Regions of more than two parameters: their shadows on every pair of parameters, and pictures along their sides."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semrob_env.parameters import Parameter, SemanticSpace
from semrob_env.plotting.canvas import color_of, titled_figure
from semrob_env.plotting.drawing import axis_label, draw_regions, draw_view, set_axes
from semrob_env.plotting.views import View
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

_SMALL = 7  # points
_CELL, _LINE = 1.05, 1.25  # inches of a small picture, and of a line of them with its captions


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
    colours = [color_of(index) for index in range(len(regions))]
    for row in range(count):
        for column in range(count):
            axis = grid[row, column]
            if column > row:
                axis.set_axis_off()
                continue
            chosen = [column] if row == column else [column, row]
            part = SemanticSpace(tuple(space.parameters[k] for k in chosen))
            shadow = Regions(part, regions.lower[:, chosen], regions.upper[:, chosen])
            if row == column:
                axis.set(xlim=(part.low[0], part.high[0]), ylim=(0.0, 0.1 + 0.06 * len(regions)))
                draw_regions(axis, shadow, starts[:, chosen], [""] * len(regions), colours)
                axis.set(yticks=[])
            else:
                set_axes(axis, part)
                draw_regions(axis, shadow, starts[:, chosen], labels, colours)
            _few_ticks(axis, part)
            axis.tick_params(labelsize=_SMALL, labelbottom=row == count - 1, labelleft=column == 0 and row > 0)
            if row == count - 1:
                axis.set_xlabel(_broken(space.parameters[column]), fontsize=_SMALL)
            if column == 0 and row > 0:
                axis.set_ylabel(_broken(space.parameters[row]), fontsize=_SMALL)
            if row == column:
                axis.set_title(space.parameters[row].name, fontsize=_SMALL + 1, pad=3)
    handles = [Line2D([], [], color=colour, marker="o", mec="white", lw=1.4) for colour in colours]
    grid[0, -1].legend(handles, labels, fontsize=_SMALL, loc="upper right", title="start points", title_fontsize=_SMALL)
    return figure


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
        colour = color_of(index)
        left = 0.75 + index % blocks * (columns * _CELL + 0.35)
        top = inches[1] - 1.2 - index // blocks * (space.n * _LINE + 0.45)
        heading = f"{labels[index]}: thick frames inside, dotted ones just outside"
        figure.text(left / inches[0], (top + 0.08) / inches[1], heading, color=colour, fontsize=_SMALL + 1)
        for k, line in enumerate(own):
            # What has no picture just outside below, for want of room, begins one column later.
            first = 0 if not line[0].inside else 1
            for place, view in enumerate(line, start=first):
                corner = left + place * _CELL, top - (k + 1) * _LINE
                box = (corner[0] / inches[0], corner[1] / inches[1], 0.94 * _CELL / inches[0], 0.94 * _CELL / inches[1])
                axis = figure.add_axes(box)
                draw_view(axis, view, colour)
                axis.set_title(f"{view.theta[k]:.4g}: f={view.score:.2f}", fontsize=6.5, pad=2)
                if index % blocks == 0 and place == first:
                    axis.set_ylabel(_broken(space.parameters[k]), fontsize=_SMALL)
    return figure


def _wrapped(title: str, width: float) -> str:
    """The title in lines no longer than a figure of a width in inches: a function's id names all parameters."""
    lines = (textwrap.wrap(line.replace(",", ", "), int(11 * width)) for line in title.splitlines())
    return "\n".join(part for own in lines for part in own).replace(", ", ",")


def _few_ticks(axis: Axes, space: SemanticSpace) -> None:
    """Ends and middle, so that labels of many panels do not touch."""
    axis.set_xticks([space.low[0], (space.low[0] + space.high[0]) / 2, space.high[0]])
    if space.n == 2:
        axis.set_yticks([space.low[1], (space.low[1] + space.high[1]) / 2, space.high[1]])


def _broken(parameter: Parameter) -> str:
    return axis_label(parameter).replace("_", " ").replace(" (", "\n(")
