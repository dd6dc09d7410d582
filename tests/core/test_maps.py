"""Live maps that survive an interrupt, their means and their cuts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import final

import numpy as np
import pytest

from semrob_env.errors import InvalidMapsError, InvalidParameterError, OutOfSpaceError, UnknownNameError
from semrob_env.functions import CallableFunction, ScoreFunction, make_function
from semrob_env.maps import (
    data_maps,
    line_shares,
    live_maps,
    map_axes,
    map_name,
    network_maps,
    overall_means,
    section,
    unfinished_file,
)
from semrob_env.parameters import SemanticSpace
from semrob_env.recorded import RecordedMaps, ScoreMaps, load_maps, save_maps
from semrob_env.types import FloatArray, IntArray

SPACE = SemanticSpace.of("azimuth,elevation")


@final
class Counted(ScoreFunction):
    """A smooth function that counts its answers, and may be told to stop after some."""

    def __init__(self, version: str = "1", members: int = 1, stop_after: float = np.inf) -> None:
        names = tuple(f"counted:net/cup/{row}" for row in range(members))
        super().__init__(SPACE, names, has_gradient=False, fingerprints=[{"version": version}] * members)
        self.asked, self.stop_after = 0, stop_after

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        if self.asked >= self.stop_after:
            raise KeyboardInterrupt
        self.asked += theta.shape[0] * theta.shape[1]
        turned = np.deg2rad(theta[..., 0] + 40 * member[:, None])
        return np.asarray(0.5 + 0.3 * np.sin(turned) + 0.002 * theta[..., 1])


def make_maps(*scores: FloatArray, names: tuple[str, ...] = (), step: float = 10.0) -> ScoreMaps:
    """Maps on a grid of that step."""
    labels = names or tuple(f"net/cup/{row}" for row in range(len(scores)))
    return ScoreMaps(SPACE, map_axes(SPACE, step), np.array(scores, dtype=np.float32), labels)


def plain(value: float, step: float = 10.0) -> FloatArray:
    return np.full([len(axis) for axis in map_axes(SPACE, step)], value)


def constant(value: float, theta: FloatArray) -> FloatArray:
    return np.full(len(theta), value)


# Live maps


def test_the_grid_of_the_paper_has_120_x_34_lines() -> None:
    azimuth, elevation = map_axes(SPACE)
    assert (len(azimuth), len(elevation)) == (120, 34)
    assert azimuth.tolist() == list(range(0, 360, 3))
    assert elevation.tolist() == list(range(-10, 90, 3))


def test_steps_may_differ_between_parameters_and_fill_a_turn() -> None:
    azimuth, elevation = map_axes(SPACE, (7.0, 50.0))
    assert len(azimuth) == 51
    assert elevation.tolist() == [-10.0, 40.0, 90.0]


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), 200.0, 1e-9, (1.0, 2.0, 3.0)], ids=str)
def test_impossible_steps_are_refused(step: float | tuple[float, ...]) -> None:
    with pytest.raises(InvalidParameterError, match="step"):
        map_axes(SPACE, step)


@pytest.mark.parametrize(
    ("member_id", "name"),
    [
        ("scene:lite0/cup/procedural:3?params=azimuth", "lite0/cup/procedural:3"),
        ("scene:lite0/cup/file:my%20mug.obj?params=azimuth,elevation", "lite0/cup/file:my%20mug.obj"),
        ("scene:r50/cup/procedural:0?params=azimuth&feed=unnormalized", "r50;feed=unnormalized/cup/procedural:0"),
        ("recorded:VGG/cup/1?file=a/b.npz", "VGG/cup/1"),
        ("scene:timm/r50.a1/cup/file:a/b.obj?params=azimuth", "timm/r50.a1/cup/file:a/b.obj"),
        (
            "scene:torchvision/r50/cup/procedural:0?score=margin&weights=/a/b.pth",
            "torchvision/r50;score=margin;weights=%2Fa%2Fb.pth/cup/procedural:0",
        ),
        ("complement(complement(scene:timm/r/cup/0))", "complement-complement-timm/r/cup/0"),
        ("complement(recorded:VGG/cup/1)", "complement-VGG/cup/1"),
        ("synthetic:trap?n=2&seed=0", "synthetic/trap/n=2;seed=0"),
        ("my function (2)", "function/my%20function%20%282%29/0"),
    ],
)
def test_maps_are_named_after_their_function(member_id: str, name: str) -> None:
    assert map_name(member_id) == name
    assert make_maps(plain(0.5), names=(name,)).names == (name,)


def test_a_live_map_holds_the_values_of_the_function_at_its_lines() -> None:
    function = Counted(members=3)
    progress: list[int] = []
    maps = live_maps(function, map_axes(SPACE, 20.0), on_points=progress.append)
    assert maps.names == ("net/cup/0", "net/cup/1", "net/cup/2")
    assert maps.facts[2] == {"function": "counted:net/cup/2", "version": "1"}
    grid = np.stack(np.meshgrid(*maps.axes, indexing="ij"), axis=-1).reshape(1, -1, 2)
    for member in range(3):
        assert np.array_equal(maps.scores[member].ravel(), np.float32(function.values(grid, [member])[0]))
    assert progress == sorted(progress)
    assert progress[-1] == maps.scores.size
    assert np.array_equal(RecordedMaps(maps).values(grid)[0], maps.scores[0].ravel())


@pytest.mark.parametrize("n", [1, 3])
def test_live_maps_of_other_dimensions(n: int) -> None:
    function = make_function(f"synthetic:hill?n={n}&seed=0")
    maps = live_maps(function, map_axes(function.space, function.space.width / 4))
    assert maps.scores.ndim == n + 1
    theta = np.array([axis[1] for axis in maps.axes])
    assert maps.scores[0].item(*[1] * n) == np.float32(function.values(theta[None, None])[0, 0])


def test_nan_is_kept_as_the_worst_score_and_counted() -> None:
    function = CallableFunction(SPACE, lambda theta: np.where(theta[:, 0] < 100, np.nan, 0.1), score_range=(0.0, 0.1))
    maps = live_maps(function, map_axes(SPACE, 50.0))
    is_nan = maps.axes[0] < 100
    assert (maps.scores[0, is_nan] == 0).all()
    assert maps.scores[0, ~is_nan] == pytest.approx(0.1)  # as float32, 0.1 itself would lie above the range
    assert maps.facts[0]["nan"] == str(is_nan.sum() * len(maps.axes[1]))


def test_an_interrupted_map_goes_on_where_it_stopped(tmp_path: Path) -> None:
    axes, file = map_axes(SPACE, 12.0), tmp_path / "deep" / "live.npz"
    total = 2 * len(axes[0]) * len(axes[1])
    with pytest.raises(KeyboardInterrupt):
        live_maps(Counted(members=2, stop_after=300), axes, file=file)
    assert unfinished_file(file).exists()
    assert not file.exists()
    second, progress = Counted(members=2), list[int]()
    maps = live_maps(second, axes, file=file, on_points=progress.append)
    assert second.asked == total - progress[0] < total - 290
    assert not unfinished_file(file).exists()
    assert maps.digests == live_maps(Counted(members=2), axes).digests == load_maps(file).digests


def test_finished_maps_are_read_again_and_others_are_not(tmp_path: Path) -> None:
    axes, file = map_axes(SPACE, 30.0), tmp_path / "live.npz"
    live_maps(Counted(), axes, file=file)
    again, other, finer = Counted(), Counted(version="2"), Counted()
    live_maps(again, axes, file=file)
    assert again.asked == 0
    live_maps(other, axes, file=file)
    assert other.asked > 0
    live_maps(finer, map_axes(SPACE, 15.0), file=file)
    assert finer.asked > 0


@pytest.mark.parametrize("change", ["version", "grid", "bytes"])
def test_unfinished_work_of_something_else_is_not_used(tmp_path: Path, change: str) -> None:
    axes, file = map_axes(SPACE, 12.0), tmp_path / "live.npz"
    with pytest.raises(KeyboardInterrupt):
        live_maps(Counted(stop_after=100), axes, file=file)
    if change == "bytes":
        unfinished_file(file).write_bytes(b"no archive")
    function = Counted(version="2") if change == "version" else Counted()
    maps = live_maps(function, map_axes(SPACE, 11.0) if change == "grid" else axes, file=file)
    assert function.asked == maps.scores.size


def test_a_function_that_nothing_pins_is_always_asked_anew(tmp_path: Path) -> None:
    file = tmp_path / "live.npz"
    for value in (0.25, 0.75):
        function = CallableFunction(SPACE, partial(constant, value))
        assert (live_maps(function, map_axes(SPACE, 30.0), file=file).scores == value).all()
    assert (load_maps(file).scores == 0.75).all()


def test_too_many_points_are_refused_before_any_query() -> None:
    function = Counted()
    with pytest.raises(InvalidMapsError, match="at most"):
        live_maps(function, map_axes(SPACE, 0.01))
    assert function.asked == 0


# Means and cuts


@pytest.mark.parametrize(("a", "b"), [("a", "b"), ("timm/a", "timm/b"), ("complement-timm/a", "a")])
def test_nsm_is_the_mean_over_shapes_and_dsm_the_mean_of_nsms(a: str, b: str) -> None:
    names = (f"{a}/cup/0", f"{a}/cup/1", f"{b}/cup/0", f"{a}/chair/0")
    maps = make_maps(*(plain(value) for value in (0.2, 0.4, 0.9, 0.1)), names=names)
    averaged = network_maps(maps)
    assert averaged.names == (f"{a}/cup/mean", f"{b}/cup/mean", f"{a}/chair/mean")
    assert averaged.scores[:, 0, 0] == pytest.approx([0.3, 0.9, 0.1])
    data = data_maps(maps)
    assert data.names == ("mean/cup/mean", "mean/chair/mean")
    assert data.scores[:, 0, 0] == pytest.approx([0.6, 0.1])  # each network weighs the same


def test_means_can_be_saved_and_asked_as_functions(tmp_path: Path) -> None:
    file = save_maps(data_maps(make_maps(plain(0.25), plain(0.75))), tmp_path / "dsm.npz")
    function = make_function(f"recorded:mean/cup/mean?file={file}")
    assert function.values([[[359.0, 90.0]]])[0, 0] == pytest.approx(0.5)


def test_a_section_is_the_interpolant_along_some_parameters() -> None:
    function = Counted(members=2)
    maps = live_maps(function, map_axes(SPACE, 12.0))
    curve = section(maps, "azimuth")
    assert curve.space == SemanticSpace.of("azimuth")
    theta = np.stack([curve.axes[0], np.zeros(len(curve.axes[0]))], axis=-1)
    for member in range(2):
        assert curve.scores[member] == pytest.approx(function.values(theta[None], [member])[0], abs=1e-6)
    assert curve.facts[0]["elevation"] == "0"
    upwards = section(maps, ["elevation"], at="azimuth=90")
    assert upwards.scores[0] == pytest.approx(0.8 + 0.002 * upwards.axes[0], abs=5e-3)
    swapped = section(maps, "elevation,azimuth")
    assert np.array_equal(swapped.scores, maps.scores.transpose(0, 2, 1))


def test_sections_refuse_unknown_names_and_places() -> None:
    maps = make_maps(plain(0.5))
    with pytest.raises(UnknownNameError, match="zoom"):
        section(maps, "zoom")
    with pytest.raises(OutOfSpaceError, match="elevation"):
        section(maps, "azimuth", at={"elevation": 100.0})


@pytest.mark.parametrize("step", [3.0, 11.0, 50.0])
def test_the_overall_mean_is_the_exact_integral_of_the_interpolant(step: float) -> None:
    axes = map_axes(SPACE, step)
    maps = make_maps(np.random.default_rng(0).random([len(axis) for axis in axes]), step=step)
    assert all(shares.sum() == pytest.approx(1) for shares in line_shares(maps))
    # The interpolant is linear on a fine grid that holds all lines, so midpoints of its cells integrate it exactly.
    azimuth = np.unique(np.concatenate([axes[0], [360.0]]))
    elevation = np.unique(np.concatenate([axes[1], [90.0]]))
    middles = np.stack(
        np.meshgrid(*((line[1:] + line[:-1]) / 2 for line in (azimuth, elevation)), indexing="ij"), axis=-1
    )
    areas = np.diff(azimuth)[:, None] * np.diff(elevation) / SPACE.volume
    values = RecordedMaps(maps).values(middles.reshape(1, -1, 2)).reshape(areas.shape)
    assert overall_means(maps)[0] == pytest.approx((values * areas).sum(), abs=1e-6)
