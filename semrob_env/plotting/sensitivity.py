"""How results depend on hyperparameters: a row a method, lines for one of them at a time, colours for pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semrob_env.plotting.canvas import (
    PALETTE,
    SCORE_MAP,
    color_of,
    label_axes,
    legend_below,
    plain_style,
    titled_figure,
)
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True, eq=False)
class Lines:
    """Results against one hyperparameter, the others at their defaults."""

    title: str  # above it
    x_label: str  # name of the hyperparameter
    x: FloatArray  # its values (X,), rising; drawn on a logarithmic axis, with 0 at its left end
    quality: Mapping[int, FloatArray]  # results (X,) by budget
    feasible: Mapping[int, FloatArray]  # shares of feasible regions (X,) by budget
    marks: Mapping[str, float]  # values that are marked, by what they are


@final
@dataclass(frozen=True, eq=False)
class Pairs:
    """Results against two hyperparameters."""

    title: str  # above it
    x_label: str  # name of the first one
    y_label: str  # name of the second one
    x: FloatArray  # values of the first one (X,)
    y: FloatArray  # values of the second one (Y,)
    quality: FloatArray  # results (Y, X), NaN where there is none
    default: tuple[float, float]  # defaults of both


@plain_style()
def sensitivity_figure(rows: Sequence[Sequence[Lines | Pairs]], *, title: str) -> Figure:
    """Panels, a row a method; solid lines are results, dotted ones shares of feasible regions.

    Args:
        rows: Panels of each method; rows may differ in length.
        title: Above all.
    """
    columns = max(map(len, rows))
    figure = titled_figure(3.5 * columns, 0.9 + 2.6 * len(rows), title)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    highest = max(
        (float(np.nanmax(panel.quality)) for row in rows for panel in row if isinstance(panel, Pairs)), default=1.0
    )
    budgets = list(dict.fromkeys(b for row in rows for panel in row if isinstance(panel, Lines) for b in panel.quality))
    colors = {budget: color_of(i) for i, budget in enumerate(budgets)}
    marks: dict[str, str] = {}
    for axes, panels in zip(grid, rows, strict=True):
        for axis, panel in zip(axes, panels, strict=False):
            if isinstance(panel, Lines):
                y_label = "feasible share of the optimum"
                _draw_lines(axis, panel, colors, marks)
            else:
                y_label = panel.y_label
                _draw_pairs(axis, panel, highest)
            label_axes(axis, title=panel.title, x=panel.x_label, y=y_label, ticks=7)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
    handles = [Line2D([], [], color=color, label=f"{budget} queries") for budget, color in colors.items()]
    handles += [Line2D([], [], color="0.3", ls=":", label="share of feasible regions")]
    handles += [Line2D([], [], color="0.5", lw=1.0, ls=dash, label=name) for name, dash in marks.items()]
    handles += [Line2D([], [], color=PALETTE[1], marker="s", mfc="none", ls="", label="defaults")]
    legend_below(figure, handles)
    return figure


def _draw_lines(axis: Axes, panel: Lines, colors: Mapping[int, str], marks: dict[str, str]) -> None:
    places = np.arange(len(panel.x), dtype=np.float64)  # even: values are so on a logarithmic axis, and 0 has a place
    for name, value in panel.marks.items():
        dash = marks.setdefault(name, ("-", "--", "-.")[len(marks) % 3])
        at = float(np.interp(_log(value, panel.x), _log(panel.x, panel.x), places))
        axis.axvline(at, color="0.5", lw=1.0, ls=dash)
    for budget, quality in panel.quality.items():
        axis.plot(places, quality, marker="o", ms=3, lw=1.3, color=colors[budget])
        axis.plot(places, panel.feasible[budget], lw=0.9, ls=":", color=colors[budget])
    axis.set(ylim=(-0.02, 1.02))
    axis.set_xticks(places, [f"{value:.3g}" for value in panel.x], rotation=45)
    axis.grid(lw=0.3)


def _draw_pairs(axis: Axes, panel: Pairs, highest: float) -> None:
    axis.imshow(panel.quality, origin="lower", aspect="auto", cmap=SCORE_MAP, vmin=0.0, vmax=highest)
    for (row, column), value in np.ndenumerate(panel.quality):
        if np.isfinite(value):
            tone = "white" if value < 0.6 * highest else "black"
            axis.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=6.5, color=tone)
    at = int(np.abs(panel.x - panel.default[0]).argmin()), int(np.abs(panel.y - panel.default[1]).argmin())
    axis.plot(*at, marker="s", ms=15, mfc="none", mec=PALETTE[1], mew=1.5)
    axis.set_xticks(range(len(panel.x)), [f"{value:.3g}" for value in panel.x], rotation=45)
    axis.set_yticks(range(len(panel.y)), [f"{value:.3g}" for value in panel.y])


def _log(value: FloatArray | float, values: FloatArray) -> FloatArray:
    """Logarithms, with 0 a step left of the least positive value."""
    least = float(values[values > 0].min())
    return np.asarray(np.log(np.maximum(value, least / 10)))
