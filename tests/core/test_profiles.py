"""Robustness profiles: their area, exact ones, means with intervals, and where two networks change places."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError, SemrobError, ShapeMismatchError
from semrob_env.ground_truth import optimum
from semrob_env.metrics import RegionRecords, srvr
from semrob_env.metrics.profiles import (
    Profile,
    ProfileRecords,
    crossings,
    exact_profile,
    mean_profiles,
    profile_difference,
)
from semrob_env.questions import Goal, MeanGoal, ReliabilityGoal
from semrob_env.recorded import RecordedMaps
from semrob_env.synthetic import make_synthetic
from semrob_env.types import FloatArray
from tests.recorded_maker import STARTS, wavy_maps

LEVELS = np.array([0.2, 0.4, 0.5, 0.8])


def test_the_area_is_the_mean_share_over_the_range_of_the_levels() -> None:
    assert Profile(np.array([0.0, 0.5, 1.0]), np.array([1.0, 1.0, 0.0])).area == pytest.approx(0.75)
    assert Profile(LEVELS, np.full(4, 0.3)).area == pytest.approx(0.3)
    assert Profile(LEVELS, np.array([1.0, 0.5, 0.5, 0.0])).area == pytest.approx((0.15 + 0.05 + 0.075) / 0.6)
    assert Profile(np.array([0.5]), np.array([0.4])).area == 0.4


@pytest.mark.parametrize(
    ("levels", "shares", "error"),
    [
        ([], [], InvalidParameterError),
        ([0.5, 0.5], [0.1, 0.1], InvalidParameterError),
        ([0.5, 0.4], [0.1, 0.1], InvalidParameterError),
        ([0.5, 1.1], [0.1, 0.1], InvalidParameterError),
        ([0.5, np.nan], [0.1, 0.1], InvalidParameterError),
        ([0.4, 0.5], [0.1, 1.1], InvalidParameterError),
        ([0.4, 0.5], [0.1, np.nan], InvalidParameterError),
        ([0.4, 0.5], [0.1], ShapeMismatchError),
    ],
)
def test_what_is_no_profile_is_refused(levels: list[float], shares: list[float], error: type[SemrobError]) -> None:
    with pytest.raises(error):
        Profile(np.array(levels), np.array(shares))


@pytest.mark.parametrize("goal", [MeanGoal(), MeanGoal(0.5, 0.03), ReliabilityGoal(0.5, 0.9)], ids=str)
def test_an_exact_profile_is_the_optimum_at_each_level(goal: Goal) -> None:
    maps = RecordedMaps(wavy_maps())
    found = exact_profile(maps, STARTS[1], goal, LEVELS, member=3)
    assert found.shares.tolist() == [optimum(maps, STARTS[1], goal.at(level), 3).share for level in LEVELS.tolist()]
    assert found.shares[0] > found.shares[-1]
    assert (np.diff(found.shares) <= 0).all()


def test_a_formula_has_an_exact_profile() -> None:
    hill = make_synthetic("synthetic:hill?n=2&seed=0")
    found = exact_profile(hill, [180.0, 40.0], MeanGoal(), [0.3, 0.6])
    assert found.shares.tolist() == [hill.optimal_share([180.0, 40.0], MeanGoal().at(level)) for level in (0.3, 0.6)]
    with pytest.raises(InvalidParameterError, match="level 0"):
        exact_profile(hill, [180.0, 40.0], ReliabilityGoal(), [0.0, 0.5])


def records_of(share: Callable[[str, int, int, float], float], shapes: int = 12) -> ProfileRecords:
    """Two networks on two classes, two start points, by a formula of network, shape, start point and level."""
    keys = [
        (network, name, f"{name}{shape}", start)
        for network in "AB"
        for name in ("cup", "chair")
        for shape in range(shapes // 2)
        for start in range(2)
    ]

    def at(level: float) -> RegionRecords:
        network, class_name, shape, start = (np.array(column) for column in zip(*keys, strict=True))
        shares = np.array([share(one[0], int(one[2][-1]), one[3], level) for one in keys])
        kinds = shares <= 0.5, shares <= 0.3
        return RegionRecords(network, class_name, shape, start, np.full(len(keys), "m"), shares, *kinds)

    return ProfileRecords(LEVELS, tuple(at(level) for level in LEVELS.tolist()))


def falling(network: str, shape: int, start: int, level: float) -> float:
    """A is larger at low levels, B at high ones; shapes differ, and more so for A."""
    own = 0.9 - level if network == "A" else 0.6 - 0.4 * level
    return own + 0.01 * shape + (0.002 * shape if network == "A" else 0.0) + 0.001 * start


def test_means_and_intervals_at_a_level_are_those_of_srvr() -> None:
    records = records_of(falling)
    found = mean_profiles(records, np.random.default_rng(3))
    entropy = np.random.default_rng(3).integers(2**63)
    for place, one in enumerate(records.records):
        for row in srvr(one, np.random.default_rng(entropy)):
            if row.class_name is None:
                assert found[row.network].rows[place] == row
    assert found["A"].estimate.tolist() == pytest.approx((0.9 - LEVELS + 0.03 + 0.0005).tolist())
    assert (found["A"].low < found["A"].estimate).all()
    assert (found["A"].high > found["A"].estimate).all()


def test_the_mean_area_is_the_area_of_the_mean() -> None:
    found = mean_profiles(records_of(falling), np.random.default_rng(0))["B"]
    assert found.area.estimate == pytest.approx(Profile(LEVELS, found.estimate).area)
    assert found.area.low < found.area.estimate < found.area.high
    assert found.area.high - found.area.low < 0.3, "12 shapes"


def test_only_feasible_regions_count_where_that_is_asked() -> None:
    records = records_of(falling)
    kept = records.only_feasible()
    assert kept.shares.tolist() == np.where(records.shares <= 0.5, records.shares, 0.0).tolist()
    rows = mean_profiles(records, np.random.default_rng(0))["A"].rows
    assert mean_profiles(kept, np.random.default_rng(0))["A"].estimate == pytest.approx([
        row.feasible_estimate for row in rows
    ])


def test_networks_that_change_places_cross_once_and_provably() -> None:
    difference = profile_difference(records_of(falling), "A", "B")
    assert difference.estimate == pytest.approx(0.3 + 0.005 - 0.6 * LEVELS)
    (crossing,) = crossings(difference)
    assert crossing.level == pytest.approx(0.305 / 0.6)
    assert (crossing.rises, crossing.is_proved) == (False, True)
    (other,) = crossings(profile_difference(records_of(falling), "B", "A"))
    assert other.level == pytest.approx(crossing.level)
    assert other.rises


def test_a_crossing_is_proved_only_if_intervals_leave_out_0_on_both_sides() -> None:
    def noisy_above(network: str, shape: int, start: int, level: float) -> float:
        if level < 0.7:
            return falling(network, shape, start, min(level, 0.4))
        return 0.5 + (0.0 if network == "B" else 0.2 if shape % 2 else -0.21)

    (crossing,) = crossings(profile_difference(records_of(noisy_above), "A", "B"))
    assert 0.5 < crossing.level < 0.8
    assert not crossing.is_proved
    (alone,) = crossings(profile_difference(records_of(falling, shapes=2), "A", "B"))
    assert not alone.is_proved, "one shape a class proves nothing"


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.1], []),
        ([0.1, 0.0, 0.3, 0.0], []),
        ([0.1, 0.0, -0.1, -0.2], [0.35]),
        ([0.1, -0.1, -0.1, 0.3], [0.3, 0.575]),
        ([0.0, 0.0, 0.0, 0.0], []),
    ],
)
def test_crossings_lie_between_levels_of_unlike_signs(differences: list[float], expected: list[float]) -> None:
    values = dict(zip(LEVELS.tolist(), differences, strict=True))

    def share(network: str, shape: int, start: int, level: float) -> float:
        del shape, start
        return 0.5 + (values[level] if network == "A" else 0.0)

    found = crossings(profile_difference(records_of(share), "A", "B"))
    assert [crossing.level for crossing in found] == pytest.approx(expected)


def test_profiles_need_the_same_runs_at_every_level() -> None:
    records = records_of(falling)
    with pytest.raises(InvalidParameterError, match="network of the runs differs"):
        ProfileRecords(LEVELS, (*records.records[:3], records.records[3].rows(np.arange(48)[::-1])))
    with pytest.raises(ShapeMismatchError):
        ProfileRecords(LEVELS, records.records[:3])


def test_areas_of_runs_are_numbers_of_runs() -> None:
    records = records_of(falling)
    areas: FloatArray = records.areas.share
    assert areas[5] == pytest.approx(Profile(LEVELS, records.shares[5]).area)
