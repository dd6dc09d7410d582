"""Pictures of what each parameter does: bars of half widths, and rates along each parameter."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle, StepPatch
from matplotlib.text import Annotation
from PIL import Image

from semrob_env.errors import InvalidParameterError
from semrob_env.metrics import Reach, Survey, reach
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting import rates_figure, reach_figure, save_figure
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
START = [100.0, 30.0]


class StepData(NamedTuple):
    """What a step patch holds."""

    values: FloatArray
    edges: FloatArray
    baseline: object


def make_reach(lower: list[float], upper: list[float]) -> Reach:
    return reach(Regions(SPACE, np.array([lower]), np.array([upper])), START)


def bars(axis: Axes) -> list[tuple[float, float, float]]:
    """(height of the middle, left, right) of each bar that is not pale."""
    found = [patch for patch in axis.patches if isinstance(patch, Rectangle) and patch.get_facecolor()[0] != 0.91]
    return sorted(
        (
            round(patch.get_y() + patch.get_height() / 2, 6),
            round(min(patch.get_x(), patch.get_x() + patch.get_width()), 6),
            round(max(patch.get_x(), patch.get_x() + patch.get_width()), 6),
        )
        for patch in found
    )


def test_bars_go_from_the_start_to_both_bounds() -> None:
    figure = reach_figure({"a": make_reach([64.0, 0.0], [118.0, 90.0])}, title="reach")
    (axis,) = figure.axes
    assert bars(axis) == [(0.0, -10.0, 0.0), (0.0, 0.0, 5.0), (1.0, -30.0, 0.0), (1.0, 0.0, 60.0)]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["azimuth", "elevation"]
    assert axis.yaxis_inverted()


def test_ends_within_the_space_are_marked_and_the_first_has_a_star() -> None:
    figure = reach_figure(
        {
            "a": make_reach([64.0, 0.0], [118.0, 90.0]),
            "b": make_reach([280.0, -10.0], [640.0, 90.0]),
        },
        title="reach",
    )
    (axis,) = figure.axes
    marks = [line for part in axis.collections if isinstance(part, LineCollection) for line in part.get_segments()]
    assert sorted(round(float(line[0][0]), 6) for line in marks) == [-30.0, -10.0, 5.0]
    stars = [text for text in axis.texts if isinstance(text, Annotation)]
    assert [star.xy for star in stars] == [pytest.approx((5.0, -0.21))]


def test_bars_of_several_networks_lie_beside_one_another_within_the_axis() -> None:
    reaches = {name: make_reach([64.0, 0.0], [118.0, 90.0]) for name in "abcd"}
    (axis,) = reach_figure(reaches, title="reach").axes
    middles = sorted({middle for middle, *_ in bars(axis)})
    assert len(middles) == 8
    assert np.diff(middles)[[0, 1, 2, 4, 5, 6]].tolist() == pytest.approx([0.21] * 6)
    left, right = axis.get_xlim()
    assert left == -right
    assert right >= 60.0


def test_rates_are_drawn_bin_by_bin_with_their_intervals() -> None:
    theta = SPACE.sample(400, np.random.default_rng(0))
    found = Survey(SPACE, theta, np.where(theta[:, 1] < 40, 0.9, 0.2))
    figure = rates_figure({"net": found}, title="rates", bins=4)
    assert [axis.get_xlabel() for axis in figure.axes] == ["azimuth (deg)", "elevation (deg)"]
    band, line = (StepData(*patch.get_data()) for patch in figure.axes[1].patches if isinstance(patch, StepPatch))
    curve = found.curve("elevation", bins=4)
    assert line.values.tolist() == [100.0, 100.0, 0.0, 0.0]
    assert np.array_equal(line.edges, curve.edges)
    assert np.array_equal(band.values, 100 * curve.interval()[1])
    assert np.array_equal(np.asarray(band.baseline), 100 * curve.interval()[0])


def test_pictures_of_one_and_of_ten_parameters_are_whole(tmp_path: Path) -> None:
    line, ten, rng = SemanticSpace.of("azimuth"), SemanticSpace.of("paper10"), np.random.default_rng(0)
    start = ten.sample(1, rng)[0]
    own = reach(Regions.around(ten, start, 0.2 * ten.width), start)
    for figure in (
        reach_figure({"a": own, "b": own}, title="reach"),
        rates_figure({"a": Survey(line, line.sample(64, rng), rng.random(64))}, title="rates", level=0.7),
    ):
        with Image.open(save_figure(figure, tmp_path / "picture.png")) as picture:
            assert min(picture.size) > 150


def test_a_picture_is_of_one_space() -> None:
    other = SemanticSpace.of("azimuth")
    with pytest.raises(InvalidParameterError, match="0 spaces"):
        reach_figure({}, title="none")
    surveys = {name: Survey(space, np.array([space.low]), np.zeros(1)) for name, space in (("a", SPACE), ("b", other))}
    with pytest.raises(InvalidParameterError, match="2 spaces"):
        rates_figure(surveys, title="two")
