"""Semantic traps with known answers, and what maps say of the data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError
from semrob_env.functions import make_function
from semrob_env.maps import data_bias, live_maps, map_axes, section, semantic_traps
from semrob_env.maps.tables import bias_report, trap_counts, trap_report, trap_rows
from semrob_env.parameters import SemanticSpace
from semrob_env.recorded import ScoreMaps
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")


def make_maps(*scores: FloatArray, names: tuple[str, ...] = (), step: float = 10.0) -> ScoreMaps:
    """Maps on a grid of that step."""
    labels = names or tuple(f"net/cup/{row}" for row in range(len(scores)))
    return ScoreMaps(SPACE, map_axes(SPACE, step), np.array(scores, dtype=np.float32), labels)


def plain(value: float, step: float = 10.0) -> FloatArray:
    return np.full([len(axis) for axis in map_axes(SPACE, step)], value)


# Traps


def dented(*holes: tuple[slice, slice], low: float = 0.05, roll: int = 0) -> ScoreMaps:
    """A map of score 0.9 on a grid of 10 degrees (36 x 11 lines) with holes."""
    scores = plain(0.9)
    for hole in holes:
        scores[hole] = low
    return make_maps(np.roll(scores, roll, axis=0))


def test_a_hole_in_a_high_plain_is_a_trap() -> None:
    (trap,) = semantic_traps(dented((slice(10, 13), slice(4, 6))))
    assert trap.name == "net/cup/0"
    assert trap.center == pytest.approx([110.0, 35.0])
    assert trap.box.lower[0].tolist() == [95.0, 25.0]
    assert trap.box.upper[0].tolist() == [125.0, 45.0]
    assert trap.share == trap.basin_share == pytest.approx(3 * 2 * 100 / 36000)
    assert (trap.minimum, trap.rim, trap.depth) == pytest.approx((0.05, 0.9, 0.85))
    assert len(trap.cells) == 6


@pytest.mark.parametrize("roll", range(-4, 4))
def test_rolling_a_map_rolls_its_traps_and_nothing_else(roll: int) -> None:
    holes = ((slice(1, 4), slice(4, 6)), (slice(20, 21), slice(2, 3)))
    still, rolled = (semantic_traps(dented(*holes, roll=by)) for by in (0, roll))
    assert len(still) == len(rolled) == 2
    for before, after in zip(still, rolled, strict=True):
        assert after.center == pytest.approx(SPACE.project(before.center + np.array([10 * roll, 0])))
        assert after.box.width.tolist() == before.box.width.tolist()
        assert after.box.contains(after.center)[0]
        assert (after.share, after.rim, after.minimum) == pytest.approx((before.share, before.rim, before.minimum))


def test_a_trap_across_the_seam_is_one_and_sits_on_the_seam() -> None:
    (trap,) = semantic_traps(dented((slice(0, 2), slice(4, 5)), (slice(35, 36), slice(4, 5))))
    assert trap.center == pytest.approx([0.0, 30.0])
    assert trap.box.lower[0].tolist() == [345.0, 25.0]
    assert trap.box.upper[0].tolist() == [375.0, 35.0]


@pytest.mark.parametrize(
    "hole",
    [
        (slice(5, 8), slice(0, 3)),
        (slice(5, 8), slice(8, 11)),
        (slice(0, 36), slice(4, 5)),
        (slice(0, 36), slice(0, 11)),
    ],
    ids=["open below", "open above", "a band around", "low everywhere"],
)
def test_what_is_open_is_no_trap(hole: tuple[slice, slice]) -> None:
    assert semantic_traps(dented(hole)) == []


def test_a_staircase_around_the_turn_is_a_band_however_the_map_is_rolled() -> None:
    scores = plain(0.9)
    heights = 5 + np.round(3 * np.sin(np.deg2rad(np.arange(36) * 10))).astype(int)
    for column, height in enumerate(heights):
        neighbor = heights[(column + 1) % 36]
        scores[column, min(height, neighbor) : max(height, neighbor) + 1] = 0.0
    for roll in (0, 7, 18):
        assert semantic_traps(make_maps(np.roll(scores, roll, axis=0))) == []


def test_a_ring_is_a_trap_around_its_island() -> None:
    scores = plain(0.9)
    scores[10:15, 3:8] = 0.0
    scores[12, 5] = 0.9
    (trap,) = semantic_traps(make_maps(scores))
    assert trap.center == pytest.approx([120.0, 40.0])
    assert len(trap.cells) == 24


def test_cells_that_touch_by_a_corner_are_one_basin_and_open_through_it() -> None:
    scores = plain(0.9)
    for at in range(4):
        scores[10 + at, 3 + at] = 0.0
    (trap,) = semantic_traps(make_maps(scores))
    assert len(trap.cells) == 4
    for at in range(4):
        scores[10 - at, 3 - at] = 0.0  # down to the border
    assert semantic_traps(make_maps(scores)) == []


def test_between_both_thresholds_a_dent_is_no_trap_and_belongs_to_the_basin() -> None:
    assert semantic_traps(dented((slice(5, 8), slice(4, 6)), low=0.4)) == []
    scores = plain(0.9)
    scores[5:10, 3:6] = 0.4
    scores[6:7, 4:5] = 0.1
    (trap,) = semantic_traps(make_maps(scores))
    assert len(trap.cells) == 15
    assert trap.share == pytest.approx(trap.basin_share / 15)
    assert trap.center == pytest.approx([60.0, 30.0])
    assert semantic_traps(make_maps(scores), low=0.05) == []
    assert len(semantic_traps(make_maps(scores), low=0.2, high=0.3)) == 1


def test_traps_of_several_maps_come_map_by_map_the_largest_first() -> None:
    scores = [plain(0.9) for _ in range(3)]
    scores[0][5, 5] = scores[2][5, 5] = scores[2][20:22, 5] = 0.0
    traps = semantic_traps(make_maps(*scores))
    assert [(trap.row, len(trap.cells)) for trap in traps] == [(0, 1), (2, 2), (2, 1)]
    rows = trap_rows(traps)
    assert [row["map"] for row in rows] == ["net/cup/0", "net/cup/2", "net/cup/2"]
    assert rows[0]["azimuth"] == 50.0
    assert "3 semantic traps" in trap_report(traps, low=0.3, high=0.5)


def test_traps_of_one_and_three_parameters() -> None:
    one = SemanticSpace.of("azimuth")
    curve = np.full((1, 36), 0.9, dtype=np.float32)
    curve[0, [35, 0, 1]] = 0.1
    (trap,) = semantic_traps(ScoreMaps(one, map_axes(one, 10.0), curve, ("net/cup/0",)))
    assert trap.center == pytest.approx([0.0])
    space = make_function("synthetic:hill?n=3&seed=0").space
    axes = map_axes(space, space.width / 10)
    block = np.full((1, *(len(axis) for axis in axes)), 0.9, dtype=np.float32)
    block[0, 4:6, 4:6, 4:6] = 0.1
    (trap,) = semantic_traps(ScoreMaps(space, axes, block, ("net/cup/0",)))
    assert len(trap.cells) == 8


def test_a_synthetic_trap_is_found() -> None:
    function = make_function("synthetic:trap?n=2&seed=0")
    traps = semantic_traps(live_maps(function, map_axes(SPACE)), low=0.4)
    assert len(traps) == 1
    assert traps[0].depth > 0.5


@pytest.mark.parametrize(("low", "high"), [(0.6, 0.5), (-0.1, 0.5), (0.2, 1.5), (float("nan"), 0.5)])
def test_thresholds_out_of_order_are_refused(low: float, high: float) -> None:
    with pytest.raises(InvalidParameterError, match="low <= high"):
        semantic_traps(make_maps(plain(0.5)), low=low, high=high)


def test_traps_of_a_rough_map_are_enclosed(rough_map: ScoreMaps) -> None:
    traps = semantic_traps(rough_map, low=0.5, high=0.5)
    assert len(traps) >= 5
    scores = rough_map.scores[0]
    for trap in traps:
        inside = np.zeros(scores.shape, dtype=np.bool_)
        inside[tuple(trap.cells.T)] = True
        grown = inside.copy()
        for azimuth in (-1, 0, 1):
            for elevation in (-1, 0, 1):
                grown |= np.roll(inside, (azimuth, elevation), (0, 1))
        assert (scores[inside] < 0.5).all()
        assert (scores[grown & ~inside] >= 0.5).all()


@pytest.fixture
def rough_map() -> ScoreMaps:
    """A map with many holes of all sizes, as recorded ones have."""
    rng = np.random.default_rng(3)
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(120, 34))) * np.exp(-0.02 * np.arange(18) ** 2), s=(120, 34))
    return make_maps(np.clip(0.6 + noise / noise.std() * 0.3, 0, 1), step=3.0)


def test_beside_a_trap_stands_what_fails_anyway() -> None:
    scores = plain(0.9)
    scores[3, 4] = 0.0  # enclosed
    scores[18:] = 0.1  # half of all azimuths, from end to end of elevation
    (trap,) = semantic_traps(make_maps(scores))
    point = trap.share
    assert 0 < point < 0.01
    assert trap.map_share == pytest.approx(0.5 + point)
    (row,) = trap_rows([trap])
    assert row["map_share"] == trap.map_share
    (counts,) = trap_counts([trap])
    assert (counts["all below %"], counts["traps %"]) == (f"{100 * trap.map_share:.1f}", f"{100 * point:.2f}")


# Data bias


def wave(phase_deg: float, scale: float = 0.3, middle: float = 0.5) -> FloatArray:
    azimuth, elevation = map_axes(SPACE, 3.0)
    return np.asarray(middle + scale * np.cos(np.deg2rad(azimuth - phase_deg))[:, None] + 0 * elevation)


def test_equal_networks_have_all_of_their_variance_in_common() -> None:
    maps = make_maps(wave(0), wave(0, middle=0.4), names=("a/cup/0", "b/cup/0"), step=3.0)
    (bias,) = data_bias(maps)
    assert (bias.networks, bias.shapes) == (2, 1)
    assert (bias.correlation, bias.common) == pytest.approx((1.0, 1.0), abs=1e-5)
    assert bias.best_window[0].startswith("azimuth 0,")
    assert bias.worst_window[0].startswith("azimuth 180,")
    assert (bias.best_view[0], bias.worst_view[0]) == ("azimuth 0, elevation -10", "azimuth 180, elevation -10")
    assert (bias.best_view[1], bias.worst_view[1]) == pytest.approx((0.75, 0.15))
    assert bias.front > bias.side > bias.back


def test_a_weaker_network_correlates_but_shares_less_variance() -> None:
    maps = make_maps(wave(0), wave(0, scale=0.1), names=("a/cup/0", "b/cup/0"), step=3.0)
    (bias,) = data_bias(maps)
    assert bias.correlation == pytest.approx(1.0, abs=1e-5)
    assert bias.common == pytest.approx(0.3 * 0.1 / ((0.09 + 0.01) / 2), abs=1e-5)


@pytest.mark.parametrize("networks", [2, 4])
def test_unrelated_networks_have_nothing_in_common_at_any_number(networks: int) -> None:
    azimuth = map_axes(SPACE, 3.0)[0]
    waves = [0.5 + 0.3 * np.cos(np.deg2rad(azimuth * (k + 1)))[:, None] + np.zeros(34) for k in range(networks)]
    maps = make_maps(*waves, names=tuple(f"net{k}/cup/0" for k in range(networks)), step=3.0)
    (bias,) = data_bias(maps)
    assert (bias.correlation, bias.common) == pytest.approx((0.0, 0.0), abs=1e-5)


def test_shares_tell_the_data_from_a_network() -> None:
    first, second = plain(0.9), plain(0.9)
    first[:18], second[:9] = 0.0, 0.0
    (bias,) = data_bias(make_maps(first, second, names=("a/cup/0", "b/cup/0")))
    assert (bias.all_fail, bias.some_fail) == pytest.approx((0.25, 0.25))
    assert bias.low_share == pytest.approx(0.25)
    assert bias.high_share == pytest.approx(0.5)  # 0.45 where one fails
    assert bias.mean == pytest.approx(0.9 * (0.5 + 0.75) / 2)


def test_one_network_has_no_agreement_and_classes_come_apart() -> None:
    maps = make_maps(wave(0), wave(90), names=("a/cup/0", "a/chair/0"), step=3.0)
    bias = data_bias(maps)
    assert [one.class_name for one in bias] == ["cup", "chair"]
    assert all(np.isnan([one.correlation, one.common]).all() for one in bias)
    assert bias[1].best_window[0].startswith("azimuth 90,")
    assert "| chair" in bias_report(bias, low=0.2, high=0.5)


@pytest.mark.parametrize("cut", [lambda maps: maps, lambda maps: section(maps, "azimuth")], ids=["2-D", "1-D"])
def test_bias_does_not_change_when_shapes_are_repeated(cut: Callable[[ScoreMaps], ScoreMaps]) -> None:
    once = make_maps(wave(10), wave(30), names=("a/cup/0", "b/cup/0"), step=3.0)
    twice = make_maps(*(wave(at) for at in (10, 10, 30)), names=("a/cup/0", "a/cup/1", "b/cup/0"), step=3.0)
    (first,), (second,) = data_bias(cut(once)), data_bias(cut(twice))
    assert (first.shapes, second.shapes) == (1, 2)
    assert second.common == pytest.approx(first.common)
    assert second.best_window[0] == first.best_window[0]


def test_bias_of_maps_without_azimuth_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="section"):
        data_bias(section(make_maps(plain(0.5)), "elevation"))
