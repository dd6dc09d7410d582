"""Methods by queries: medians, shares of targets reached, data profiles. One colour and dash a method in all panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from semrob_env.plotting.canvas import PALETTE, color_of, label_axes, legend_below, plain_style, titled_figure
from semrob_env.types import FloatArray

DASHES = ("-", "--", ":", "-.")  # of methods beyond the colours of the palette


@final
@dataclass(frozen=True, eq=False)
class Curve:
    """One method in one panel."""

    label: str  # of the method
    x: FloatArray  # places (Q,)
    y: FloatArray  # heights (Q,), each held until the next place
    is_planned: bool  # every place is a plan of its own: points, joined by thin lines, instead of steps


@final
@dataclass(frozen=True, eq=False)
class Panel:
    """Axes with curves."""

    title: str  # above it
    x_label: str  # below it; the axis is logarithmic
    y_label: str  # beside the panels of a row
    curves: tuple[Curve, ...]  # one a method; without any, the panel says what there is instead
    empty: str = "nothing to show"


@plain_style()
def comparison_figure(rows: Sequence[Sequence[Panel]], *, title: str) -> Figure:
    """Rows of panels with one legend; heights are shares, from 0 to 1.

    Args:
        rows: Panels, as many in every row.
        title: Above all.
    """
    columns = max(len(row) for row in rows)
    labels = list(dict.fromkeys(curve.label for row in rows for panel in row for curve in panel.curves))
    width = max(7.0, 1.0 + 3.4 * columns)  # room for the legend
    per_line = max(1, min(len(labels), int(width / (0.7 + 0.07 * max(map(len, labels))))))  # inches a label takes
    figure = titled_figure(width, 0.7 + 2.7 * len(rows) + 0.2 * -(-len(labels) // per_line), title)
    grid = figure.subplots(len(rows), columns, squeeze=False, sharey="row", sharex="row")
    styles = {label: _style(i) for i, label in enumerate(labels)}
    for axes, panels in zip(grid, rows, strict=True):
        for axis, panel in zip(axes, panels, strict=False):
            for curve in panel.curves:
                style = styles[curve.label]
                if curve.is_planned:
                    axis.plot(curve.x, curve.y, marker="o", ms=3.5, lw=0.8, **style)
                else:
                    axis.plot(curve.x, curve.y, drawstyle="steps-post", lw=1.4, **style)
            if not panel.curves:
                axis.text(0.5, 0.5, panel.empty, transform=axis.transAxes, ha="center", va="center", fontsize=8)
            axis.set(xscale="log", ylim=(-0.02, 1.04))
            label_axes(axis, title=panel.title, x=panel.x_label)
            axis.grid(lw=0.3)
        axes[0].set_ylabel(panels[0].y_label, fontsize=8)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
    is_planned = {curve.label: curve.is_planned for row in rows for panel in row for curve in panel.curves}
    handles = [
        Line2D([], [], label=label, marker="o" if is_planned[label] else "", ms=3.5, **styles[label])
        for label in labels
    ]
    legend_below(figure, handles, columns=per_line)
    return figure


@final
@dataclass(frozen=True, eq=False)
class CostCurve:
    """What a method asks a step."""

    n: FloatArray  # numbers of parameters (Q,)
    forward: FloatArray  # forward queries a step (Q,)
    backward: FloatArray  # gradient queries a step (Q,)
    growth: str  # how they grow, in words


@plain_style()
def cost_figure(curves: Mapping[str, CostCurve], *, title: str) -> Figure:
    """Queries a step, forward and backward, by the number of parameters: a line for all methods that ask alike.

    Args:
        curves: What each method asks; sizes at which it does not run are left out.
        title: Above it.
    """
    figure = titled_figure(9.0, 4.2, title)
    axes = figure.subplots(1, 2, sharey=True)
    alike: dict[tuple[bytes, ...], list[str]] = {}
    for label, curve in curves.items():
        alike.setdefault((curve.n.tobytes(), curve.forward.tobytes(), curve.backward.tobytes()), []).append(label)
    handles = []
    for i, labels in enumerate(alike.values()):
        curve, style = curves[labels[0]], _style(i)
        for axis, counts in zip(axes, (curve.forward, curve.backward), strict=True):
            if counts.any():
                wide = max(0.8, 3.4 - 0.4 * i)  # those drawn first stay visible below the others
                axis.plot(curve.n, counts, marker="o", ms=2.5 + wide, lw=wide, **style)
        name = "\n".join([*(", ".join(labels[at : at + 2]) for at in range(0, len(labels), 2)), f"  {curve.growth}"])
        handles.append(Line2D([], [], label=name, marker="o", ms=3.5, **style))
    for axis, kind in zip(axes, ("forward", "backward"), strict=True):
        axis.set_yscale("log", base=2)
        label_axes(axis, title=f"{kind} queries a step", x="parameters n")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(lw=0.3)
    figure.legend(handles=handles, loc="outside right upper", fontsize=7, frameon=False)
    return figure


def _style(i: int) -> dict[str, Any]:
    return {"color": color_of(i), "ls": DASHES[i // len(PALETTE) % len(DASHES)]}
