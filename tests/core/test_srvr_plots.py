"""Bars of SRVR: three shades on an axis that says where it ends."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from semrob_env.metrics import SrvrRow
from semrob_env.plotting.canvas import color_of
from semrob_env.plotting.srvr import SHADES, accuracy_figure, srvr_figure


def row(estimate: float, feasible: float, certified: float, class_name: str | None = None) -> SrvrRow:
    ends = estimate / 2, min(1.0, 1.2 * estimate)
    return SrvrRow("N", class_name, estimate, *ends, feasible, *ends, certified, *ends, runs=4, shapes=2)


def test_bars_have_a_shade_for_all_for_feasible_and_for_certified_regions() -> None:
    (axis,) = srvr_figure({"naive": [row(0.6, 0.3, 0.1)]}, ["N"], title="").axes
    bars = [bar for bar in axis.patches if isinstance(bar, Rectangle)]
    shown = {round(bar.get_height(), 6): bar.get_facecolor() for bar in sorted(bars, key=lambda bar: bar.get_zorder())}
    shades = [to_rgba(color_of(0), SHADES[kind]) for kind in ("every region", "feasible", "certified")]
    assert shown == dict(zip((60.0, 30.0, 10.0), shades, strict=True))
    assert axis.get_ylim() == (0, 100)
    assert axis.get_ylabel() == "SRVR (%)"


def test_an_axis_that_ends_early_says_so() -> None:
    (axis,) = srvr_figure({"naive": [row(0.06, 0.0, 0.0)]}, ["N"], title="").axes
    assert axis.get_ylim() == (0, 10)
    assert axis.get_ylabel() == "SRVR (%); axis ends at 10 %"


def test_accuracy_is_held_against_all_three_numbers() -> None:
    (axis,) = accuracy_figure([("N", 75.0, row(0.6, 0.3, 0.1))], title="").axes
    points = [np.asarray(line.get_ydata()).item(0) for line in axis.lines if line.get_marker() not in ("None", "")]
    assert [round(point, 6) for point in points] == [60.0, 30.0, 10.0]
    assert axis.get_ylim() == (0, 100)
