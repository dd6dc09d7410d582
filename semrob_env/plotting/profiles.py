"""Robustness profiles as curves: share of the space against the level, a panel a question, crossings marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semrob_env.plotting.canvas import color_of, label_axes, panels_of, plain_style, titled_figure
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True, eq=False)
class ProfileCurve:
    """The profile of one network; shares, drawn in %."""

    name: str  # of the network
    levels: FloatArray  # (L,)
    shares: FloatArray  # (L,)
    low: FloatArray  # lower ends (L,) of intervals; NaN where there is none
    high: FloatArray  # upper ends (L,)
    area: float  # under the profile, a share
    color: int  # its number in the palette
    dashed: bool = False  # to tell a second kind of regions from the first


@final
@dataclass(frozen=True)
class ProfileCrossing:
    """Where two curves of a panel cross."""

    level: float
    text: str  # who passes whom
    is_proved: bool  # filled; else hollow


@final
@dataclass(frozen=True, eq=False)
class ProfilePanel:
    """One question."""

    title: str  # above it
    x_label: str  # what a level is
    curves: tuple[ProfileCurve, ...]
    crossings: tuple[ProfileCrossing, ...] = ()


MOST_COLUMNS = 2
LINE_INCHES = 0.15  # height of a line of a legend


@plain_style()
def profiles_figure(panels: Sequence[ProfilePanel], *, title: str) -> Figure:
    """Panels of curves with their intervals; below each, what its colors and numbered crossings are.

    Args:
        panels: At least one.
        title: Above all.
    """
    columns = min(len(panels), MOST_COLUMNS)
    lines = -(-len(panels) // columns)
    most = max(len(panel.curves) + len(panel.crossings) for panel in panels)
    figure = titled_figure(4.3 * columns, 0.4 + lines * (3.1 + LINE_INCHES * most), title)
    for axis, panel in zip(panels_of(figure, len(panels), columns), panels, strict=True):
        for curve in panel.curves:
            _draw_curve(axis, curve)
        marks = [_draw_crossing(axis, panel, place) for place in range(len(panel.crossings))]
        label_axes(axis, title=panel.title, x=panel.x_label, y="share of the space (%)")
        axis.set(xlim=(0, 1), ylim=(0, 100), xticks=np.arange(0, 1.01, 0.1), yticks=np.arange(0, 101, 20))
        axis.grid(lw=0.3)
        handles: list[Artist] = [_handle(curve) for curve in panel.curves]
        axis.legend(handles=handles + marks, loc="upper center", bbox_to_anchor=(0.5, -0.17), fontsize=7, frameon=False)
    return figure


def _draw_curve(axis: Axes, curve: ProfileCurve) -> None:
    color = color_of(curve.color)
    has = np.isfinite(curve.low) & (not curve.dashed)  # bands upon bands would not be read
    axis.fill_between(curve.levels[has], 100 * curve.low[has], 100 * curve.high[has], color=color, alpha=0.13, lw=0)
    axis.plot(curve.levels, 100 * curve.shares, color=color, marker="o", ms=2.5, **_look(curve))


def _look(curve: ProfileCurve) -> dict[str, Any]:
    return {"ls": "--" if curve.dashed else "-", "lw": 1.0 if curve.dashed else 1.6}


def _handle(curve: ProfileCurve) -> Line2D:
    label = f"{curve.name}: area {100 * curve.area:.1f} %"
    return Line2D([], [], color=color_of(curve.color), label=label, ls="--" if curve.dashed else "-", lw=1.6)


def _draw_crossing(axis: Axes, panel: ProfilePanel, place: int) -> Line2D:
    """A numbered mark on the axis at a crossing, a line up from it, and its entry of the legend."""
    crossing = panel.crossings[place]
    face = "black" if crossing.is_proved else "white"
    axis.axvline(crossing.level, color="black", lw=0.6, ls="-" if crossing.is_proved else ":")
    height = 97 - 6 * (place % 3)  # near crossings stand below each other
    look = {"boxstyle": "circle,pad=0.15", "fc": face, "ec": "black", "lw": 0.6}
    ink = "white" if crossing.is_proved else "black"
    axis.text(crossing.level, height, str(place + 1), ha="center", va="center", fontsize=6, color=ink, bbox=look)
    return Line2D([], [], color="black", lw=0, label=f"{place + 1}: {crossing.text}")
