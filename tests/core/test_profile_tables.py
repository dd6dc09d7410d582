"""Profiles of networks as tables: exact, of given regions, without the seam; a claim by level; and their picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from semrob_env.ground_truth import exact_moments, optima
from semrob_env.metrics import ProfileRecords, RegionRecords
from semrob_env.plotting.profiles import ProfileCrossing, ProfileCurve, ProfilePanel, profiles_figure
from semrob_env.questions import MeanGoal, ReliabilityGoal
from semrob_env.recorded import RecordedMaps
from semrob_env.regions import Regions
from semrob_env.tables import RegionSet
from semrob_env.tables.profiles import (
    ProfileTable,
    claim_by_level,
    exact_records,
    region_records_at,
    without_seam,
)
from tests.recorded_maker import NAMES, SPACE, STARTS, wavy_maps

MAPS = RecordedMaps(wavy_maps())
LEVELS = np.array([0.3, 0.6, 0.8])
POINTS = [tuple(start) for start in STARTS.tolist()]


def test_exact_records_hold_every_map_and_start_point_in_order() -> None:
    done = list[int]()
    records = exact_records(MAPS, POINTS, MeanGoal(), LEVELS, lambda: done.append(1))
    assert len(done) == len(NAMES)
    first = records.records[0]
    assert [
        f"{one}/{two}/{three}" for one, two, three in zip(first.network, first.class_name, first.shape, strict=True)
    ] == [name for name in NAMES for _ in POINTS]
    found = optima(MAPS, POINTS[2], [MeanGoal().at(level) for level in LEVELS.tolist()], 5)
    assert records.shares[5 * 4 + 2].tolist() == [one.share for one in found]


def some_regions() -> RegionSet:
    """A region around each start point of the first and of the fifth map."""
    keys = tuple((NAMES[member], "naive", start) for member in (0, 4) for start in range(4))
    starts = np.tile(STARTS, (2, 1))
    regions = Regions.around(SPACE, starts, 40.0).clip()
    return RegionSet(keys, starts, regions, np.ones(8, dtype=np.bool_), regions.share())


@pytest.mark.parametrize("goal", [MeanGoal(), MeanGoal(epsilon_v=0.01), ReliabilityGoal(reliability=0.7)], ids=str)
def test_a_region_counts_at_the_levels_at_which_it_meets_the_goal(goal: MeanGoal | ReliabilityGoal) -> None:
    found = some_regions()
    records = region_records_at(found, MAPS, goal, LEVELS)
    members = [0] * 4 + [4] * 4
    expected = [
        one.is_met(*exact_moments(MAPS, found.regions, members, one)).tolist()
        for one in (goal.at(level) for level in LEVELS.tolist())
    ]
    assert [one.feasible.tolist() for one in records.records] == expected
    assert 0 < np.mean(expected) < 1
    assert (records.shares == found.share[:, None]).all()
    halved = region_records_at(found, MAPS, goal, LEVELS, found.share / 2)
    assert (halved.shares == found.share[:, None] / 2).all()


def test_without_the_seam_the_functions_are_the_same_and_no_region_goes_on_across() -> None:
    cut = RecordedMaps(without_seam(MAPS.maps))
    points = SPACE.sample(50, np.random.default_rng(0))
    assert cut.values(points[None], [3]) == pytest.approx(MAPS.values(points[None], [3]), abs=1e-6)
    goals = [MeanGoal().at(0.6)]
    crossing, ending = (optima(function, [2.0, 40.0], goals)[0] for function in (MAPS, cut))
    assert crossing.region is not None
    assert ending.region is not None
    assert crossing.region.upper[0, 0] > 360 >= ending.region.upper[0, 0]
    assert 0 < ending.share < crossing.share


def table(difference: float, spread: float) -> ProfileTable:
    """ResNet50 ahead of Inceptionv3 by a difference below level 0.7 and behind it by that above; shapes differ."""
    one = exact_records(MAPS, POINTS, MeanGoal(), LEVELS).records[0]
    rows = np.tile(np.arange(len(one)), 10)  # ten times as many shapes: few prove nothing
    copies = np.repeat(np.arange(10), len(one)).astype(np.str_)
    shapes = one.shape[rows].astype(np.int64)
    many = RegionRecords(
        **{name: getattr(one, name)[rows] for name in one.__dataclass_fields__}
        | {"shape": np.char.add(np.char.add(one.shape[rows], "/"), copies)}
    )
    ahead = np.where(many.network == "ResNet50", difference + spread * (shapes - 0.5), 0.0)
    shares = [0.5 + ahead * (1 if level < 0.7 else -1) for level in LEVELS.tolist()]
    own = tuple(replace(many, share=share) for share in shares)
    return ProfileTable("made up", MeanGoal(), ProfileRecords(LEVELS, own), ("ResNet50", "Inceptionv3"), 0)


def test_a_claim_is_told_level_by_level_with_what_its_interval_says() -> None:
    rows = claim_by_level([table(0.2, 0.1), replace(table(0.01, 0.9), title="spread")], "ResNet50", "Inceptionv3")
    assert [row["level"] for row in rows] == ["0.3", "0.6", "0.8", "area"]
    for row, start, end in zip(
        rows, ("+20.0 (", "+20.0 (", "-20.0 ("), ("holds", "holds", "turned round"), strict=False
    ):
        assert row["made up"].startswith(start)
        assert row["made up"].endswith(end)
    assert {row["spread"].split(") ")[1] for row in rows} == {"not shown"}
    assert claim_by_level([table(0.2, 0.1)], "ResNet50", "AlexNet") == []


def test_a_table_tells_its_profiles_and_who_passes_whom() -> None:
    own = table(0.2, 0.1)
    assert own.crossing_words() == ["Inceptionv3 passes ResNet50 at 0.70"]
    assert table(0.01, 0.9).crossing_words() == ["Inceptionv3 passes ResNet50 at 0.70 (not proved)"]
    first, second = own.shown()
    assert (first["network"], first["0.3"], second["0.3"], second["area"]) == ("ResNet50", "70.0", "50.0", "50.0")
    lines = own.exact()
    assert [line["level"] for line in lines[:4]] == [0.3, 0.6, 0.8, "area"]
    assert lines[3]["estimate"] == pytest.approx((0.3 * 0.7 + 0.2 * 0.5) / 0.5)


def test_the_picture_has_a_panel_a_question_and_an_axis_from_0_to_100_percent() -> None:
    shares = np.array([0.9, 0.4, 0.1])
    curve = ProfileCurve("A", LEVELS, shares, shares - 0.05, shares + 0.05, 0.4, 0)
    other = replace(curve, name="B, 150 queries", low=shares * np.nan, high=shares * np.nan, color=1, dashed=True)
    marks = (ProfileCrossing(0.5, "B passes A at 0.50", True),)
    panels = [ProfilePanel("first", "level", (curve, other), marks), ProfilePanel("second", "level", (curve,))]
    figure = profiles_figure(panels, title="Profiles")
    figure.draw_without_rendering()
    first, second = figure.axes
    assert first.get_ylim() == second.get_ylim() == (0, 100)
    assert first.get_xlim() == (0, 1)
    assert first.lines[0].get_ydata() == pytest.approx(100 * shares)
    legend = first.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "A: area 40.0 %",
        "B, 150 queries: area 40.0 %",
        "1: B passes A at 0.50",
    ]
    assert [text.get_text() for text in first.texts] == ["1"]
