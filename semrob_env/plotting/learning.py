"""Learning curves: what agents reach over the steps of their training, with intervals over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from semrob_env.errors import ShapeMismatchError
from semrob_env.plotting.canvas import color_of, label_axes, plain_style, titled_figure
from semrob_env.plotting.comparison import DASHES
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True, eq=False)
class LearningCurve:
    """One kind of agent.

    Attributes:
        label: Its name.
        steps: Steps of training (Q,).
        mean: What it reaches, mean over seeds (Q,).
        low: Lower end of the interval over seeds (Q,); NaN where there is none.
        high: Upper end (Q,).
        each: Every seed by itself (S, Q).

    Raises:
        ShapeMismatchError: Not one number a place.
    """

    label: str
    steps: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    each: FloatArray

    def __post_init__(self) -> None:
        shapes = {part.shape[-1:] for part in (self.steps, self.mean, self.low, self.high, self.each)}
        if shapes != {self.steps.shape} or self.each.ndim != 2:
            raise ShapeMismatchError(f"{self.label}: give {len(self.steps)} numbers, one a place, in all arrays")


@plain_style()
def learning_figure(
    curves: Sequence[LearningCurve],
    levels: Mapping[str, tuple[float, float, float]],
    *,
    title: str,
    y_label: str,
) -> Figure:
    """Curves with bands, and thin lines for single seeds, beside levels of methods that do not learn.

    Args:
        curves: One a kind of agent.
        levels: Mean and ends of an interval (NaN: none) of each method that does not learn.
        title: Above it.
        y_label: What is reached.
    """
    figure = titled_figure(6.6, 4.2, title)
    axis = figure.subplots()
    for index, curve in enumerate(curves):
        color = color_of(index)
        for single in curve.each:
            axis.plot(curve.steps, single, color=color, lw=0.5, alpha=0.4)
        axis.fill_between(curve.steps, curve.low, curve.high, color=color, alpha=0.2, lw=0)
        axis.plot(curve.steps, curve.mean, color=color, lw=1.8, label=curve.label)
    for index, (label, (mean, low, high)) in enumerate(levels.items(), start=len(curves)):
        color = color_of(index)
        axis.axhspan(low, high, color=color, alpha=0.15, lw=0)
        axis.axhline(mean, color=color, lw=1.2, ls=DASHES[1 + index % (len(DASHES) - 1)], label=label)
    axis.set_ylim(bottom=0)
    label_axes(axis, x="steps of training", y=y_label)
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.grid(lw=0.3)
    figure.legend(loc="outside lower center", ncols=max(1, len(curves) + len(levels)), fontsize=8, frameon=False)
    return figure
