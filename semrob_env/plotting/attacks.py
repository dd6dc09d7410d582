"""Curves under pixel noise: what share of views and of the space stays robust as epsilon grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.figure import Figure

from semrob_env.plotting.canvas import color_of, label_axes, panels_of, plain_style, titled_figure
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True, eq=False)
class NoiseCurve:
    """One share by epsilon; all arrays (E,), shares drawn in %."""

    label: str
    epsilons: FloatArray  # in 255ths
    shares: FloatArray
    low: FloatArray  # NaN where there is no interval
    high: FloatArray
    color: int  # its number in the palette
    dashes: str = "-"


@plain_style()
def noise_figure(panels: Sequence[tuple[str, str, Sequence[NoiseCurve]]], *, title: str) -> Figure:
    """A panel of curves for each title and label of the upright axis; epsilons at even distances, with their bars."""
    columns = len(panels)
    figure = titled_figure(1.0 + 4.2 * columns, 4.0, title)
    for axis, (heading, label, curves) in zip(panels_of(figure, columns, columns), panels, strict=True):
        for number, curve in enumerate(curves):
            at = np.arange(len(curve.epsilons)) + 0.06 * (number - (len(curves) - 1) / 2)
            color = color_of(curve.color)
            has = np.isfinite(curve.low)
            axis.vlines(at[has], 100 * curve.low[has], 100 * curve.high[has], color=color, lw=1.0, alpha=0.6)
            axis.plot(at, 100 * curve.shares, color=color, ls=curve.dashes, marker="o", ms=3.5, label=curve.label)
        label_axes(axis, title=heading, x="epsilon of each pixel (1/255)", y=label)
        axis.set_xticks(np.arange(len(curves[0].epsilons)), [f"{own:g}" for own in curves[0].epsilons])
        axis.set_ylim(-2, 102)
        axis.grid(lw=0.3)
        axis.legend(fontsize=7, frameon=False)
    return figure
