"""What is drawn on one pair of axes: scores as colour or curve, regions and traps on top, across the seam in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.patches import Rectangle
from matplotlib.ticker import MultipleLocator

from semrob_env.errors import InvalidParameterError
from semrob_env.maps import Trap
from semrob_env.parameters import Parameter, SemanticSpace
from semrob_env.plotting.canvas import SCORE_MAP
from semrob_env.plotting.views import View
from semrob_env.recorded import ScoreMaps
from semrob_env.regions import Regions
from semrob_env.types import Float32Array, FloatArray

_INSET = 0.012
"""Share of a range by which a side on the border of the space is drawn inside it; once more for each region."""

_BEYOND = 0.05
"""Share of a range by which the outline of a full turn goes on beyond either end of the axes."""

TRAP_COLOR = "#D55E00"
"""Outline of traps: no colour of `SCORE_MAP` is near it."""


def shown_range(maps: ScoreMaps) -> tuple[float, float]:
    """Ends of a scale for all scores of some maps: the score range, or the part around its middle that they take.

    Probabilities are shown from 0 to 1. The range of a margin is a bound that no score comes near: on all of it, every
    map would look the same. Its middle, where a view turns from wrong to right, stays in the middle.
    """
    low, high = maps.score_range
    middle, most = (low + high) / 2, float(np.abs(maps.scores - np.float32((low + high) / 2)).max())
    if (low, high) == (0.0, 1.0) or most == 0:
        return low, high
    return max(low, middle - most), min(high, middle + most)


def draw_scores(axis: Axes, maps: ScoreMaps, row: int, *, limits: tuple[float, float] | None = None) -> QuadMesh:
    """One map of two parameters as colour over the whole space: the map closes where a turn ends.

    Args:
        axis: Where to draw.
        maps: Maps of two parameters.
        row: Which of them.
        limits: Ends of the colour scale; None: `shown_range`.

    Raises:
        InvalidParameterError: The maps do not have two parameters.
    """
    if maps.space.n != 2:
        raise InvalidParameterError(f"a map in colour shows 2 parameters, this one has {maps.space.n}; cut it first")
    scores, edges = maps.scores[row], []
    for k in range(2):
        own, scores = _edges(maps, k, scores)
        edges.append(own)
    low, high = limits or shown_range(maps)
    image = axis.pcolormesh(*edges, scores.T, cmap=SCORE_MAP, vmin=low, vmax=high, rasterized=True)
    set_axes(axis, maps.space)
    return image


def draw_curve(
    axis: Axes,
    maps: ScoreMaps,
    row: int,
    *,
    color: str,
    width: float,
    label: str | None = None,
    limits: tuple[float, float] | None = None,
) -> None:
    """One map of one parameter as a curve over the whole space, closed where a turn ends.

    Args:
        axis: Where to draw.
        maps: Maps of one parameter.
        row: Which of them.
        color: Of the line.
        width: Of the line.
        label: For a legend.
        limits: Ends of the axis of scores; None: `shown_range`.

    Raises:
        InvalidParameterError: The maps do not have one parameter.
    """
    if maps.space.n != 1:
        raise InvalidParameterError(f"a curve shows 1 parameter, this map has {maps.space.n}; cut it first")
    line, scores, parameter = maps.axes[0], maps.scores[row], maps.space.parameters[0]
    if parameter.period is not None:
        line = np.concatenate([line[-1:] - parameter.period, line, line[:1] + parameter.period])
        scores = np.concatenate([scores[-1:], scores, scores[:1]])
    else:
        line = np.concatenate([[parameter.low], line, [parameter.high]])
        scores = np.concatenate([scores[:1], scores, scores[-1:]])
    axis.plot(line, scores, color=color, lw=width, label=label, alpha=1.0 if width > 1 else 0.6)
    low, high = limits or shown_range(maps)
    axis.set(xlim=(parameter.low, parameter.high), ylim=(low, high))
    set_ticks(axis, "x", parameter)


def draw_regions(
    axis: Axes, regions: Regions, starts: FloatArray, labels: Sequence[str], colors: Sequence[str]
) -> None:
    """Outlines of regions (bars, if they have one parameter) and their start points, in pieces across a seam.

    Args:
        axis: Axes over the space of the regions; with one parameter, its y axis holds scores.
        regions: B regions.
        starts: Their start points (B, n).
        labels: One text a region, for a legend.
        colors: One a region.
    """
    bottom, top = axis.get_ylim()
    space = regions.space
    # A full turn has no ends to draw: it goes on beyond the seam on either side.
    is_turn = space.is_periodic & (regions.width >= space.width * (1 - 1e-9))
    lower, width = np.where(is_turn, space.low, regions.lower), np.where(is_turn, space.width, regions.width)
    if space.n == 2:  # sides on the border would lie under the frame, and upon each other
        inset = space.width * np.where(is_turn, -_BEYOND, _INSET * (1 + np.arange(len(regions))[:, None]))
        at_low, at_high = lower <= space.low, np.isclose(lower + width, space.high, rtol=0, atol=1e-9)
        lower, width = lower + at_low * inset, width - (at_low.astype(float) + at_high) * inset
    for index, (start, label, color) in enumerate(zip(starts, labels, colors, strict=True)):
        bar = bottom + (0.04 + 0.06 * index) * (top - bottom)
        for turn in _periodic(space):
            if (turn[is_turn[index]] != 0).any():
                continue
            corner, size = lower[index] + turn, width[index]
            if space.n == 1:  # bars above each other, for regions overlap
                axis.plot([corner[0], corner[0] + size[0]], [bar, bar], color=color, lw=4, solid_capstyle="butt")
                continue
            for ink, weight in (("white", 2.6), (color, 1.4)):
                axis.add_patch(Rectangle((corner[0], corner[1]), *size, fill=False, ec=ink, lw=weight, clip_on=True))
        where = start if space.n == 2 else (start[0], bar)
        axis.plot(*where, marker="o", ms=5, mfc=color, mec="white", mew=0.8, ls="", label=label, clip_on=False)


def draw_view(axis: Axes, view: View, color: str) -> None:
    """A picture without ticks, in a thick frame if it is from inside the region, else in a dotted one."""
    axis.imshow(np.clip(view.image.transpose(1, 2, 0), 0, 1))
    axis.set(xticks=[], yticks=[])
    width, style = (2.0, "-") if view.inside else (1.0, ":")
    for spine in axis.spines.values():
        spine.set(color=color, linewidth=width, linestyle=style)


def draw_traps(axis: Axes, maps: ScoreMaps, traps: Iterable[Trap]) -> None:
    """The outline of the basin of each trap, along the cells of the map (spaces of two parameters)."""
    counts = np.array(maps.scores.shape[1:])
    origin = np.array([line[0] for line in maps.axes])
    segments = []
    for trap in traps:
        inside = {tuple(cell) for cell in trap.cells.tolist()}
        for cell in trap.cells:
            for k, side in ((0, -1), (0, 1), (1, -1), (1, 1)):
                step = np.eye(2, dtype=np.int64)[k]
                if tuple(((cell + side * step) % counts).tolist()) not in inside:
                    middle, along = cell + side * step / 2, (1 - step) / 2
                    segments.append(origin + np.array([middle - along, middle + along]) * maps.steps)
    lines = [segment + turn * sign for segment in segments for turn in _periodic(maps.space) for sign in (-1, 1)]
    axis.add_collection(LineCollection(lines, colors="white", linewidths=1.9), autolim=False)
    axis.add_collection(LineCollection(lines, colors=TRAP_COLOR, linewidths=1.1), autolim=False)


def axis_label(parameter: Parameter) -> str:
    """Name and unit of a parameter."""
    return f"{parameter.name} ({parameter.unit})" if parameter.unit else parameter.name


def set_axes(axis: Axes, space: SemanticSpace) -> None:
    """Limits and ticks of a space of two parameters."""
    axis.set(xlim=(space.low[0], space.high[0]), ylim=(space.low[1], space.high[1]))
    set_ticks(axis, "x", space.parameters[0])
    set_ticks(axis, "y", space.parameters[1])


def set_ticks(axis: Axes, which: str, parameter: Parameter) -> None:
    """Ticks at quarters of a turn or at 30 degrees along the axis `x` or `y`."""
    chosen = axis.xaxis if which == "x" else axis.yaxis
    if parameter.period is not None:
        chosen.set_major_locator(MultipleLocator(parameter.period / 4, offset=parameter.low))
    elif parameter.unit == "deg":
        chosen.set_major_locator(MultipleLocator(30))


def _edges(maps: ScoreMaps, k: int, scores: Float32Array) -> tuple[FloatArray, Float32Array]:
    """Borders of the cells along parameter k and the scores to them, repeated beyond a seam."""
    line, parameter, step = maps.axes[k], maps.space.parameters[k], maps.steps[k]
    between = (line[1:] + line[:-1]) / 2
    if parameter.period is None:
        return np.concatenate([[parameter.low], between, [parameter.high]]), scores
    first, last = line[0] - step / 2, line[-1] + step / 2
    edges = np.concatenate([[first - step, first], between, [last, last + step]])
    return edges, np.concatenate([scores.take([-1], axis=k), scores, scores.take([0], axis=k)], axis=k)


def _periodic(space: SemanticSpace) -> list[FloatArray]:
    """Shifts by which a region appears on the map: one turn back as well along periodic parameters."""
    shifts = [np.zeros(space.n)]
    for k in np.flatnonzero(space.is_periodic):
        unit = np.eye(space.n)[k] * space.width[k]
        shifts += [shift - unit for shift in shifts]
    return shifts
