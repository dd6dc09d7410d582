"""What each parameter does to networks: how far regions reach along it, and the rate of right views along it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from semrob_env.errors import InvalidParameterError
from semrob_env.metrics.reach import Reach
from semrob_env.metrics.survey import BINS, RIGHT, Survey
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting.canvas import color_of, label_axes, legend_below, panels_of, plain_style, titled_figure
from semrob_env.plotting.drawing import axis_label, set_ticks
from semrob_env.plotting.srvr import short_name
from semrob_env.types import FloatArray

_GROUP = 0.84  # height of all bars of a parameter
_COLUMNS = 4  # panels beside one another


@plain_style()
def reach_figure(reaches: Mapping[str, Reach], *, title: str, certified: Mapping[str, Reach] | None = None) -> Figure:
    """Half widths of one region a network as bars to both sides of its start point: a group a parameter, a color each.

    A side that ends before the space does has a black end, and the narrowest of these a star. Pale is how far a bar
    could go: to the end of the range, or half a turn and more.

    Args:
        reaches: Of each network, all over one space.
        title: Above all.
        certified: Of the certified box in each region, drawn in full color above the region, which is light then; what
            has none is told as not certified. None: nothing is told of certificates.

    Raises:
        InvalidParameterError: No network, or several spaces.
    """
    space = _one_space(found.space for found in reaches.values())
    figure = titled_figure(7.4, 1.6 + space.n * (0.13 * len(reaches) + 0.16), title)
    axis = figure.subplots()
    size = _GROUP / len(reaches)
    most = max(
        _draw_reach(
            axis,
            found,
            np.asarray(np.arange(space.n) + (index - (len(reaches) - 1) / 2) * size, dtype=np.float64),
            size,
            color_of(index),
            found if certified is None else certified.get(name),
        )
        for index, (name, found) in enumerate(reaches.items())
    )
    axis.axvline(0.0, color="black", lw=0.8)
    axis.set(xlim=(-1.05 * most, 1.05 * most), ylim=(space.n - 0.45, -0.55))  # the first parameter above
    label_axes(axis, x="half width below and above the start point (% of the range, or of a turn)")
    axis.set_yticks(range(space.n), space.names)
    axis.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axis.grid(axis="x", lw=0.3)
    axis.set_axisbelow(True)
    missing = set() if certified is None else reaches.keys() - certified.keys()
    handles = [
        Patch(color=color_of(index), label=short_name(name) + " (not certified)" * (name in missing))
        for index, name in enumerate(reaches)
    ]
    marks = [
        Patch(color=_PALE, label="space left"),
        Line2D([], [], color="black", ls="", marker="|", ms=9, mew=2, label="ends within the space"),
        Line2D([], [], color="black", ls="", marker="*", ms=7, label="ends first"),
    ]
    if certified is not None:
        marks[:0] = [Patch(color="0.3", label="certified"), Patch(color="0.3", alpha=_FOUND, label="as found")]
    legend_below(figure, [*handles, *marks], columns=min(len(handles) + len(marks), 5))
    return figure


_PALE = "0.91"
_FOUND = 0.4  # opacity of what is found and not certified


def _draw_reach(axis: Axes, found: Reach, at: FloatArray, size: float, color: str, sure: Reach | None) -> float:
    """Bars at heights (n,), each of a size; the length of the longest, the room beyond it included, in %.

    What is sure is drawn in full color above them; the region itself, where it is.
    """
    room = np.stack([found.lower_room, found.upper_room], axis=1)
    # Of a turn that is not whole, one side could take all that the other leaves: half a turn is what to expect.
    room = np.where(found.space.is_periodic[:, None], np.clip(0.5, found.sides, room), room)
    for side, sign in enumerate((-100, 100)):
        ends = sign * found.sides[:, side]
        axis.barh(at, sign * room[:, side], 0.92 * size, color=_PALE, zorder=0.9)
        if sure is not found:
            axis.barh(at, ends, 0.92 * size, color=color, alpha=_FOUND)
        if sure is not None:
            axis.barh(at, sign * sure.sides[:, side], 0.92 * size, color=color)
        is_ended = found.is_ended[:, side]
        axis.vlines(ends[is_ended], at[is_ended] - 0.46 * size, at[is_ended] + 0.46 * size, color="black", lw=1.8)
    if found.first is not None:
        k, side = found.first
        star = (-100, 100)[side] * found.sides[k, side], float(at[k])
        axis.annotate("★", star, ((-7, 7)[side], 0), textcoords="offset points", ha="center", va="center", fontsize=7)
    return 100 * float(room.max())


@plain_style()
def rates_figure(surveys: Mapping[str, Survey], *, title: str, level: float = RIGHT, bins: int = BINS) -> Figure:
    """The rate of right views along each parameter, all others anywhere: a panel a parameter, a color a network.

    Bands are the exact 95 % intervals of each bin alone; below the dotted line more views fail than not.

    Args:
        surveys: Of each network, all over one space.
        title: Above all.
        level: Unit score from which on a view is right.
        bins: Bins along each parameter.

    Raises:
        InvalidParameterError: No network, several spaces, or no bin.
    """
    space = _one_space(found.space for found in surveys.values())
    columns = min(space.n, _COLUMNS)
    rows = -(-space.n // columns)
    figure = titled_figure(max(4.4, 0.7 + 2.7 * columns), 0.9 + 2.2 * rows, title)
    panels = panels_of(figure, space.n, columns, sharey=True)
    for axis, parameter in zip(panels, space.parameters, strict=True):
        for index, found in enumerate(surveys.values()):
            curve = found.curve(parameter.name, level=level, bins=bins)
            low, high = curve.interval()
            wide = max(1.0, 2.8 - 0.5 * index)  # those drawn first stay visible below the others
            axis.stairs(100 * high, curve.edges, baseline=100 * low, fill=True, color=color_of(index), alpha=0.15, lw=0)
            axis.stairs(100 * curve.share, curve.edges, baseline=None, color=color_of(index), lw=wide)
        axis.axhline(50, color="black", lw=0.8, ls=":")
        axis.set(xlim=(parameter.low, parameter.high), ylim=(-2, 102))
        set_ticks(axis, "x", parameter)
        label_axes(axis, x=axis_label(parameter), ticks=7)
        axis.grid(lw=0.3)
    for axis in panels[::columns]:
        axis.set_ylabel("right views (%)" if level == RIGHT else f"views with score ≥ {level:g} (%)", fontsize=8)
    legend_below(figure, [Patch(color=color_of(index), label=short_name(name)) for index, name in enumerate(surveys)])
    return figure


def _one_space(spaces: Iterable[SemanticSpace]) -> SemanticSpace:
    found = list(dict.fromkeys(spaces))
    if len(found) != 1:
        raise InvalidParameterError(f"one picture of {len(found)} spaces: give networks over one space")
    return found[0]
