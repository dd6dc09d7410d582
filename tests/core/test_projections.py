"""Pictures of regions with more than two parameters."""

from __future__ import annotations

import numpy as np
import pytest

from semrob_env.functions import CallableFunction
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting import projections_figure, save_figure, side_views, sides_figure
from semrob_env.regions import Regions
from semrob_env.types import Float32Array, FloatArray

SPACE = SemanticSpace.of("azimuth,elevation,distance,ambient")
REGIONS = Regions(
    SPACE,
    np.array([[350.0, -10.0, 2.0, 0.4], [0.0, 20.0, 1.8, 0.0]]),
    np.array([[380.0, 30.0, 3.0, 0.6], [360.0, 90.0, 6.0, 1.0]]),
)
STARTS = np.array([[355.0, 0.0, 2.732, 0.5], [200.0, 50.0, 2.732, 0.5]])


def gray(theta: FloatArray) -> Float32Array:
    level = SPACE.to_unit(theta).mean(axis=1)
    return np.tile(level[:, None, None, None], (1, 3, 8, 8)).astype(np.float32)


def level() -> CallableFunction:
    return CallableFunction(SPACE, lambda theta: SPACE.to_unit(theta).mean(axis=1))


def test_images_along_a_side_run_from_just_outside_through_the_region_to_just_outside() -> None:
    rows = side_views(level(), gray, REGIONS[0])
    assert len(rows) == SPACE.n
    assert [[view.inside for view in row] for row in rows] == [
        [False, True, True, True, False],
        [True, True, True, False],  # the low side lies on the bound of the space
        [False, True, True, True, False],
        [False, True, True, True, False],
    ]
    assert [view.theta[0] for view in rows[0]] == pytest.approx([335.6, 350.0, 5.0, 20.0, 34.4])
    center = REGIONS[0].center[0]
    for k, row in enumerate(rows):
        for view in row:
            assert np.delete(view.theta, k) == pytest.approx(np.delete(center, k))
            assert view.score == pytest.approx(float(view.image[0, 0, 0]), abs=1e-6)
            assert bool(REGIONS[0].contains(view.theta)[0]) == view.inside


def test_a_region_that_is_the_whole_space_has_no_outside() -> None:
    rows = side_views(level(), gray, REGIONS[1])
    assert [len(row) for row in rows] == [3, 4, 3, 3]


def test_projections_show_every_pair_once_with_all_regions() -> None:
    figure = projections_figure(REGIONS, STARTS, ["one", "two"], title="title")
    shown = [axis for axis in figure.axes if axis.axison]
    assert len(shown) == SPACE.n * (SPACE.n + 1) // 2
    pairs = [axis for axis in shown if axis.patches]
    assert len(pairs) == SPACE.n * (SPACE.n - 1) // 2
    first = pairs[0]  # azimuth and elevation: the seam cuts one region in two pieces; each has two outlines
    assert len(first.patches) == 2 * (2 + 1)
    assert first.get_ylim() == (-10.0, 90.0)
    legend = [text.get_text() for axis in figure.axes if (box := axis.get_legend()) for text in box.get_texts()]
    assert legend == ["one", "two"]


def test_the_images_along_the_sides_are_all_drawn_and_saved(tmp_path: object) -> None:
    views = [side_views(level(), gray, REGIONS[row]) for row in range(2)]
    figure = sides_figure(REGIONS, views, ["one", "two"], title="title")
    assert len(figure.axes) == sum(len(line) for own in views for line in own)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[0].startswith("335.6: f=")
    path = save_figure(figure, f"{tmp_path}/sides.png")
    assert path.stat().st_size > 1000
