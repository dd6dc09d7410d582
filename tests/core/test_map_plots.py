"""What maps, curves, regions and traps look like on their axes, across the seam in particular."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from semrob_env.errors import InvalidParameterError
from semrob_env.maps import map_axes, section, semantic_traps
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting import (
    BoundsHistory,
    Grown,
    bounds_columns,
    curves_figure,
    map_pages,
    maps_figure,
    point_label,
    read_points,
    region_figure,
    save_figure,
)
from semrob_env.plotting.drawing import draw_curve, draw_regions, draw_scores, draw_traps
from semrob_env.recorded import ScoreMaps
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
STARTS = np.array([[50.0, 20.0], [310.0, 50.0]])


def make_maps(*names: str, step: float = 30.0) -> ScoreMaps:
    """Random maps of these names."""
    axes = map_axes(SPACE, step)
    scores = np.random.default_rng(0).random((len(names), *(len(axis) for axis in axes)))
    return ScoreMaps(SPACE, axes, scores.astype(np.float32), names)


def boxes(regions: Regions) -> list[tuple[float, ...]]:
    """Visible outlines of regions as (left, bottom, right, top), each once."""
    axis = Figure().subplots()
    axis.set(xlim=(0, 360), ylim=(-10, 90))
    count = len(regions)
    draw_regions(axis, regions, np.repeat(STARTS[:1], count, axis=0), ["start"] * count, ["black"] * count)
    found = {
        (patch.get_x(), patch.get_y(), patch.get_x() + patch.get_width(), patch.get_y() + patch.get_height())
        for patch in axis.patches
        if isinstance(patch, Rectangle)
    }
    return sorted(box for box in found if box[2] > 0 and box[0] < 360)


@pytest.mark.parametrize("step", [30.0, 7.0])
def test_a_map_in_color_covers_the_whole_space_and_closes(step: float) -> None:
    maps = make_maps("net/cup/0", step=step)
    axis = Figure().subplots()
    mesh = draw_scores(axis, maps, 0)
    corners = np.asarray(mesh.get_coordinates())
    assert corners[..., 0].min() <= 0
    assert corners[..., 0].max() >= 360
    assert (corners[..., 1].min(), corners[..., 1].max()) == (-10, 90)
    assert axis.get_xlim() == (0, 360)
    colors = np.asarray(mesh.get_array())
    assert np.array_equal(colors[:, 1:-1], maps.scores[0].T)
    assert np.array_equal(colors[:, -1], maps.scores[0, 0])
    assert np.array_equal(colors[:, 0], maps.scores[0, -1])
    # The cell of a grid line lies around it.
    assert corners[0, 1, 0] < maps.axes[0][0] < corners[0, 2, 0]
    assert corners[-2, 0, 1] < maps.axes[1][-1] <= corners[-1, 0, 1]


def test_a_curve_covers_the_turn_and_ends_as_it_begins() -> None:
    curve = section(make_maps("net/cup/0"), "azimuth")
    axis = Figure().subplots()
    draw_curve(axis, curve, 0, color="black", width=1.0)
    azimuth, scores = (np.asarray(part, dtype=np.float64) for part in axis.lines[0].get_data())
    assert np.min(azimuth) <= 0 < 360 <= np.max(azimuth)
    assert np.interp(0.0, azimuth, scores) == np.interp(360.0, azimuth, scores) == curve.scores[0, 0]


@pytest.mark.parametrize(
    ("lower", "upper", "seen"),
    [
        ([20.0, 0.0], [80.0, 40.0], [(20, 0, 80, 40)]),
        ([350.0, 0.0], [370.0, 40.0], [(-10, 0, 10, 40), (350, 0, 370, 40)]),
        ([220.0, 0.0], [580.0, 40.0], [(-18, 0, 378, 40)]),
    ],
    ids=["inside", "across the seam", "a full turn"],
)
def test_regions_are_drawn_in_pieces_where_they_cross_the_seam(
    lower: list[float], upper: list[float], seen: list[tuple[float, ...]]
) -> None:
    assert boxes(Regions(SPACE, np.array([lower]), np.array([upper]))) == seen


def test_a_region_of_the_whole_space_is_drawn_inside_the_frame_and_a_second_one_inside_it() -> None:
    whole = Regions(SPACE, np.tile(SPACE.low, (2, 1)), np.tile(SPACE.high, (2, 1)))
    first, second = boxes(whole)
    assert (first[0], first[2]) == (-18, 378), "a turn has no ends"
    assert -10 < first[1] < second[1] < -5
    assert 85 < second[3] < first[3] < 90


def test_the_outline_of_a_trap_is_closed_and_shows_on_both_sides_of_the_seam() -> None:
    axes = map_axes(SPACE, 10.0)
    scores = np.full((1, 36, 11), 0.9, dtype=np.float32)
    scores[0, 0, 5] = scores[0, 35, 5] = 0.0
    maps = ScoreMaps(SPACE, axes, scores, ("net/cup/0",))
    axis = Figure().subplots()
    draw_traps(axis, maps, semantic_traps(maps))
    lines = next(one for one in axis.collections if isinstance(one, LineCollection))
    segments = {tuple(sorted(map(tuple, np.round(segment).tolist()))) for segment in lines.get_segments()}
    shown = [segment for segment in segments if max(point[0] for point in segment) > 0]
    shown = [segment for segment in shown if min(point[0] for point in segment) < 360]
    assert sorted(shown) == [
        ((-5, 35), (5, 35)),
        ((-5, 45), (5, 45)),
        ((5, 35), (5, 45)),
        ((345, 35), (345, 45)),
        ((345, 35), (355, 35)),
        ((345, 45), (355, 45)),
        ((355, 35), (365, 35)),
        ((355, 45), (365, 45)),
    ]


@pytest.mark.parametrize(
    ("networks", "classes", "shapes", "pages"),
    [
        (1, 1, 1, [("", 1, 1)]),
        (2, 1, 3, [("", 6, 3)]),
        (4, 10, 1, [("", 40, 4)]),
        (1, 10, 1, [("", 10, 2)]),
        (4, 2, 4, [("_class0", 16, 4), ("_class1", 16, 4)]),
        (1, 1, 70, [("_class0", 60, 5), ("_class0_60", 10, 5)]),
    ],
)
def test_pages_hold_every_map_once(networks: int, classes: int, shapes: int, pages: list[tuple[str, int, int]]) -> None:
    names = [f"net{k}/class{z}/{s}" for k in range(networks) for z in range(classes) for s in range(shapes)]
    found = map_pages(make_maps(*names, step=50.0))
    assert [(page.suffix, len(page.rows), page.columns) for page in found] == pages
    assert sorted(row for page in found for row in page.rows) == list(range(len(names)))


def test_networks_stand_side_by_side_where_each_has_one_map_of_a_class() -> None:
    maps = make_maps("a/cup/mean", "a/chair/mean", "b/cup/mean", "b/chair/mean", step=50.0)
    assert map_pages(maps)[0].rows == (0, 2, 1, 3)


def test_a_figure_of_maps_has_a_panel_each_and_a_legend_of_its_regions(tmp_path: Path) -> None:
    maps = make_maps("net/cup/0", "net/cup/1", "net/cup/2")
    regions = Regions.around(SPACE, np.tile(STARTS, (3, 1)), 15.0)
    grown = Grown(regions, np.tile(STARTS, (3, 1)), np.repeat(np.arange(3), 2), ("one", "two") * 3)
    figure = maps_figure(maps, title="three maps", traps=semantic_traps(maps, low=0.5), grown=grown)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == ["net cup 0", "net cup 1", "net cup 2"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]
    with Image.open(save_figure(figure, tmp_path / "maps.png")) as image:
        assert image.size[0] > 600


def test_the_colors_of_a_page_share_one_scale() -> None:
    maps = make_maps("net/cup/0", "net/cup/1")
    margins = ScoreMaps(maps.space, maps.axes, 8 * maps.scores - 4, maps.names, score_range=(-50.0, 50.0))
    most = float(np.abs(margins.scores).max())
    assert most < 5
    for given, asked, limits in (
        (maps, None, (0.0, 1.0)),
        (maps, (0.0, 0.4), (0.0, 0.4)),
        (margins, None, (-most, most)),
    ):
        figure = maps_figure(given, title="", limits=asked)
        meshes = [axis.collections[0] for axis in figure.axes[:2]]
        assert [mesh.get_clim() for mesh in meshes] == [limits] * 2


def test_many_maps_need_a_page() -> None:
    maps = make_maps(*(f"net/class{z}/{s}" for z in range(2) for s in range(10)), step=50.0)
    with pytest.raises(InvalidParameterError, match="2 pages"):
        maps_figure(maps, title="")
    assert len(maps_figure(maps, title="", page=map_pages(maps)[1]).axes) == 10 + 1


def test_curves_are_one_color_a_network_thin_for_shapes_and_thick_for_their_mean() -> None:
    names = [f"{network}/{z}/{s}" for network in ("a", "b") for z in ("cup", "chair") for s in range(3)]
    figure = curves_figure(section(make_maps(*names), "azimuth"), title="")
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in panels] == ["cup", "chair"]
    for axis in panels:
        widths = [line.get_linewidth() for line in axis.lines]
        assert sorted(widths) == [0.5] * 6 + [1.8] * 2
        assert len({line.get_color() for line in axis.lines}) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "thin: single shapes"]


def test_figures_refuse_other_numbers_of_parameters() -> None:
    maps = make_maps("net/cup/0")
    with pytest.raises(InvalidParameterError, match="2 parameters"):
        maps_figure(section(maps, "azimuth"), title="")
    with pytest.raises(InvalidParameterError, match="1 parameter"):
        curves_figure(maps, title="")


@pytest.mark.parametrize("names", ["azimuth", "azimuth,elevation"])
def test_regions_are_drawn_over_a_curve_or_a_map(names: str) -> None:
    maps = section(make_maps("net/cup/0", "net/cup/1"), names)
    starts = STARTS[:, : maps.space.n]
    regions = Regions.around(maps.space, starts, 60.0)
    figure = region_figure(regions, starts, ["one", "two"], [[], []], title="", maps=maps, row=1)
    axis = figure.subfigs[0].axes[0]
    assert axis.get_legend_handles_labels()[1] == ["one", "two"]
    if maps.space.n == 1:
        assert np.array_equal(np.asarray(axis.lines[0].get_ydata())[1:-1], maps.scores[1])


def test_bounds_are_unwrapped_around_the_start_point() -> None:
    history = BoundsHistory()
    starts = np.array([[10.0, 0.0]])
    for half in (5.0, 20.0, 40.0):
        history.record(Regions.around(SPACE, starts, half), starts, np.array([half]))
    assert [lower[0, 0] for lower in history.lower] == [5.0, -10.0, -30.0]
    assert [upper[0, 0] for upper in history.upper] == [15.0, 30.0, 50.0]
    figure = history.figure(SPACE, [0], ["start"], title="")
    drawn: FloatArray = np.asarray(figure.axes[0].lines[0].get_ydata(), dtype=np.float64)
    assert drawn.tolist() == [5.0, -10.0, -30.0]


def test_points_and_bounds_as_text() -> None:
    points = read_points(SPACE, "azimuth=130,elevation=30; azimuth=50;")
    assert points.tolist() == [[130.0, 30.0], [50.0, 0.0]]
    assert point_label(SPACE, points[0]) == "azimuth 130, elevation 30"
    columns = bounds_columns(Regions.around(SPACE, points, 10.0), 1)
    assert columns == {"azimuth_low": 40, "azimuth_high": 60, "elevation_low": -10, "elevation_high": 10}
    with pytest.raises(InvalidParameterError, match="names no point"):
        read_points(SPACE, " ; ")
