"""Findings in plain words: what the sentences are, and that rounding says nothing false."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from semrob_env.errors import InvalidRegionError
from semrob_env.metrics import Effects, Failing, Rate, Survey, reach
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import read_goal
from semrob_env.regions import Regions
from semrob_env.tables.words import (
    adversarial_words,
    certified_words,
    count_words,
    effect_words,
    failing_words,
    frozen_words,
    goal_words,
    least_percent,
    percent,
    point_words,
    rate_words,
    reach_words,
    region_words,
    short_point_words,
    survey_words,
    total_effect_words,
    uncertain_words,
    worst_words,
)

SPACE = SemanticSpace.of("azimuth,elevation")
AZIMUTH, ELEVATION = SPACE.parameters
UNIT = SemanticSpace.of("azimuth,elevation,distance,roll,albedo_r")


def box(lower: list[float], upper: list[float], space: SemanticSpace = SPACE) -> Regions:
    return Regions(space, np.array([lower]), np.array([upper]))


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1e-06, "under 1 %"),
        (0.61, "61 %"),
        (0.994, "99 %"),
        (0.9999, "over 99 %"),
        (1.0, "100 %"),
        (math.nan, "unknown"),
    ],
)
def test_none_and_all_are_said_of_none_and_all_only(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.29, "29 %"),
        (0.619, "61 %"),
        (0.95, "95 %"),
        (0.9543, "95 %"),
        (0.94999, "94.9 %"),
        (1.0, "100 %"),
        (0.9999, "99.9 %"),
        (0.0, "0 %"),
    ],
)
def test_a_least_share_is_rounded_down(share: float, text: str) -> None:
    assert least_percent(share) == text


def test_a_rate_has_its_exact_interval_rounded_outwards() -> None:
    assert rate_words(Rate(156, 256)) == "right in 61 % (54 to 67) of all views"
    low, high = Rate(156, 256).interval()
    assert (math.floor(100 * low), math.ceil(100 * high)) == (54, 67)
    assert rate_words(Rate(256, 256)) == "right in 100 % (98 to 100) of all views"
    assert rate_words(Rate(0, 0)) == "no view was asked"
    assert rate_words(Rate(3, 4), level=0.7) == "score at least 0.7 in 75 % (19 to 100) of all views"


@pytest.mark.parametrize("views", [1, 7, 64, 256, 1000])
def test_no_interval_in_words_is_narrower_than_the_exact_one(views: int) -> None:
    for right in range(0, views + 1, max(1, views // 17)):
        low, high = Rate(right, views).interval()
        ends = re.search(r"\((\d+) to (\d+)\)", rate_words(Rate(right, views)))
        assert ends is not None
        assert float(ends[1]) <= 100 * low + 1e-6 <= float(ends[1]) + 1 + 1e-6
        assert float(ends[2]) >= 100 * high - 1e-6 >= float(ends[2]) - 1 - 1e-6


@pytest.mark.parametrize(
    ("stretch", "text"),
    [
        (Failing(ELEVATION, 50.0, 90.0, Rate(14, 96)), "mostly fails from elevation 50 deg upwards (right in 14 of 96"),
        (Failing(ELEVATION, -10.0, 2.5, Rate(0, 30)), "mostly fails up to elevation 2.5 deg (right in 0 of 30"),
        (Failing(ELEVATION, 15.0, 27.5, Rate(1, 30)), "mostly fails within elevation 15 to 27.5 deg (right in 1 of 30"),
        (Failing(ELEVATION, -10.0, 90.0, Rate(1, 90)), "mostly fails at any elevation (right in 1 of 90"),
        (
            Failing(AZIMUTH, 315.0, 450.0, Rate(2, 96)),
            "mostly fails within azimuth 315 to 90 deg (through 0) (right in",
        ),
        (Failing(AZIMUTH, 180.0, 360.0, Rate(2, 96)), "mostly fails within azimuth 180 to 360 deg (right in 2 of 96"),
        (Failing(AZIMUTH, 0.0, 45.0, Rate(2, 32)), "mostly fails within azimuth 0 to 45 deg (right in 2 of 32"),
        (Failing(AZIMUTH, 0.0, 360.0, Rate(2, 256)), "mostly fails at any azimuth (right in 2 of 256"),
    ],
)
def test_a_stretch_that_fails_is_told_by_where_it_ends(stretch: Failing, text: str) -> None:
    assert failing_words(stretch).startswith(text)
    assert failing_words(stretch).endswith(" views there)")


def test_the_worst_view_is_told_with_its_score_rounded_down() -> None:
    found = Survey(SPACE, np.array([[210.4, 85.2], [10.0, 20.0]]), np.array([0.0249, 0.9]))
    assert worst_words(found) == "worst view: azimuth 210 deg, elevation 85 deg (score 0.02)"
    almost = Survey(SPACE, np.array([[359.9, -0.2]]), np.array([0.499]))
    assert worst_words(almost) == "worst view: azimuth 0 deg, elevation 0 deg (score 0.49)"
    assert point_words(UNIT.parameters, np.array([10.4, 2.6, 2.7321, -179.8, 0.666])).endswith(
        "elevation 3 deg, distance 2.73 half sides, roll -180 deg, albedo_r 0.67"
    )


def test_a_survey_is_its_rate_its_failures_and_its_worst_view() -> None:
    theta = SPACE.sample(256, np.random.default_rng(0))
    found = Survey(SPACE, theta, np.where(theta[:, 1] < 52.5, 0.9, 0.1))
    rate, fails, worst = survey_words(found)
    assert rate.startswith("right in ")
    assert fails.startswith("mostly fails from elevation 52.5 deg upwards (right in 0 of ")
    assert worst.startswith("worst view: azimuth ")
    assert len(survey_words(Survey(SPACE, theta, np.full(256, 0.9)))) == 2


@pytest.mark.parametrize(
    ("region", "text"),
    [
        (box([120.0, -5.0], [260.0, 40.0]), "azimuth 120 to 260 deg and elevation -5 to 40 deg"),
        (box([119.2, -5.9], [260.9, 40.9]), "azimuth 120 to 260 deg and elevation -5 to 40 deg"),
        (box([300.0, -10.0], [420.0, 90.0]), "azimuth 300 to 60 deg (through 0), any elevation"),
        (box([347.0, -5.0], [702.0, 40.0]), "azimuth all but 342 to 347 deg and elevation -5 to 40 deg"),
        (box([359.5, 0.0], [420.0, 30.0]), "azimuth 0 to 60 deg and elevation 0 to 30 deg"),
        (box([300.0, 0.0], [360.0, 30.0]), "azimuth 300 to 360 deg and elevation 0 to 30 deg"),
        (box([300.0, 0.0], [360.6, 30.0]), "azimuth 300 to 360 deg and elevation 0 to 30 deg"),
        (box([20.0, 0.0], [380.0, 30.0]), "elevation 0 to 30 deg, any azimuth"),
        (box([20.0, 5.0], [40.0, 5.0]), "azimuth 20 to 40 deg and elevation 5 deg"),
        (box([20.06, 5.05], [20.61, 5.92]), "azimuth 20.1 to 20.6 deg and elevation 5.1 to 5.9 deg"),
    ],
)
def test_bounds_are_rounded_inwards_and_cross_the_seam_in_words(region: Regions, text: str) -> None:
    assert region_words(region) == text


def test_any_number_of_parameters_is_told_in_a_line() -> None:
    region = box([10.0, 0.0, 2.0, 170.0, 0.251], [30.0, 9.0, 3.5, 200.0, 0.749], UNIT)
    assert region_words(region) == (
        "azimuth 10 to 30 deg, elevation 0 to 9 deg, distance 2 to 3.5 half sides, "
        "roll 170 to -160 deg (through -180) and albedo_r 0.26 to 0.74"
    )
    most = box([10.0, -10.0, 2.0, -180.0, 0.0], [30.0, 90.0, 3.5, 180.0, 1.0], UNIT)
    assert region_words(most) == (
        "azimuth 10 to 30 deg and distance 2 to 3.5 half sides, any elevation, roll and albedo_r"
    )
    assert region_words(Regions.whole(SPACE)) == "any azimuth and elevation"
    assert region_words(box([10.0], [30.0], SemanticSpace.of("azimuth"))) == "azimuth 10 to 30 deg"
    with pytest.raises(InvalidRegionError):
        region_words(Regions.whole(SPACE, 2))


def bounds_of(text: str) -> list[tuple[float, float]]:
    """The numbers of a region in words, one pair a parameter; seams unwrapped."""
    found = []
    sides = re.findall(r"(?:azimuth|elevation)( all but)? (-?[\d.]+) to (-?[\d.]+) deg( \(through)?", text)
    for but, first, last, through in sides:
        ends = (float(last), float(first) + 360.0) if but else (float(first), float(last) + 360.0 * bool(through))
        found.append(ends)
    return found


@pytest.mark.parametrize("least", [0.95, 0.9543, 0.9000001, 0.5, 0.2])
def test_no_sentence_certifies_more_than_was_certified(least: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        region = Regions.around(SPACE, SPACE.sample(1, rng), rng.uniform(0.5, 90, 2) * [1.0, 0.4])
        text = certified_words(region, least)
        said = re.search(r"right in at least ([\d.]+) % of the views", text)
        assert said is not None
        (left, right), (low, high) = bounds_of(text)
        lower, upper = region.lower[0], region.upper[0]
        turn = 360.0 if left < lower[0] - 1e-6 else 0.0
        assert lower[0] - 1e-6 <= left + turn < right + turn <= upper[0] + 1e-6
        assert lower[1] - 1e-6 <= low < high <= upper[1] + 1e-6
        # The worst case: all that was cut off is good.
        part = (right - left) * (high - low) / region.volume()[0]
        assert float(said[1]) / 100 <= 1 - (1 - least) / part + 1e-9
        assert float(said[1]) / 100 >= least - 0.011


def test_a_certificate_says_what_where_and_how_surely() -> None:
    region = box([120.0, -5.0], [260.0, 40.0])
    assert certified_words(region, 0.9543) == (
        "right in at least 95 % of the views within azimuth 120 to 260 deg and elevation -5 to 40 deg "
        "(certified at 95 %)"
    )
    assert certified_words(Regions.whole(SPACE), 0.9543, confidence=None) == (
        "right in at least 95 % of all views (known exactly)"
    )
    assert certified_words(region, 0.627, level=None, confidence=0.99) == (
        "mean score at least 0.62 over the views within azimuth 120 to 260 deg and elevation -5 to 40 deg "
        "(certified at 99 %)"
    )
    assert certified_words(region, 0.96, level=0.7).startswith("score at least 0.7 in at least 96 % of the views")
    assert certified_words(region, 0.0).startswith("right in at least 0 % of the views")


def test_bounds_get_more_digits_where_these_keep_the_percentage() -> None:
    region = box([120.37, -5.0], [260.81, 40.0])
    assert "azimuth 121 to 260 deg" in certified_words(region, 0.9599)
    assert certified_words(region, 0.9502).startswith(
        "right in at least 95 % of the views within azimuth 120.4 to 260.8"
    )
    knife = box([120.371234, -5.0], [260.812345, 40.0])
    assert certified_words(knife, 0.95).startswith("right in at least 94.9 % of the views within azimuth 120.372 to")


def test_a_goal_is_told_by_its_score_and_right_is_no_softmax() -> None:
    assert goal_words(read_goal("reliability=0.95"), "margin") == "right in 95 % of the views"
    assert goal_words(read_goal("reliability=0.95"), "softmax") == "softmax score at least 0.5 in 95 % of the views"
    assert goal_words(read_goal("mean=0.5"), "softmax") == "mean softmax score at least 0.5"


def test_why_nothing_is_certified_is_told_with_what_could_be() -> None:
    goal = read_goal("reliability=0.95")
    told = uncertain_words((0.801, 0.9, 0.91), (0.9, 0.6, 0.3), goal, points=128, is_feasible=True)
    assert told == (
        "nothing is certified at 95 %: 128 points in each of the boxes of 90, 60 and 30 % of what was found show right "
        "in at least 80 %, 90 % and 91 % of the views, and the goal asks 95 %; to certify, give more points or a goal "
        "of at most 91 %"
    )
    assert uncertain_words((0.0,), (1.0,), goal, points=9, is_feasible=False).endswith("and the goal asks 95 %")
    mean = uncertain_words((0.45,), (1.0,), read_goal("mean=0.5"), points=64, is_feasible=False)
    assert mean.endswith("show a mean of 0.45, and the goal asks 0.5; to certify, give a goal of at most 0.45")
    assert uncertain_words((), (1.0,), goal, points=0, is_feasible=True).startswith(
        "nothing is certified, as no points"
    )


def test_total_effects_are_called_so_and_counts_have_their_plural() -> None:
    found = Effects(SPACE, np.array([0.4, 0.8]), np.array([0.1, 0.2]), np.array([0.1, 0.1]), 64, 128)
    assert total_effect_words(found).endswith("add up to more than 1): elevation 0.80 ± 0.20, azimuth 0.40 ± 0.10")
    assert [count_words(1, "query"), count_words(1200, "query"), count_words(2, "shape")] == [
        "1 query",
        "1,200 queries",
        "2 shapes",
    ]
    assert short_point_words(UNIT.parameters, np.array([10.4, 2.6, 2.7321, -179.8, 0.666])) == (
        "az 10, el 3, dist 2.73, roll -180, albedo r 0.67"
    )


def test_the_narrowest_side_that_ends_is_told() -> None:
    region = box([100.0, -10.0], [190.0, 42.0])
    assert reach_words(reach(region, [145.0, 30.0])) == (
        "elevation is what ends it first: 12 % of its range on the upper side"
    )
    assert reach_words(reach(region, [101.0, 0.0])) == (
        "azimuth is what ends it first: under 1 % of a turn on the lower side"
    )
    assert reach_words(reach(Regions.whole(SPACE), [136.0, 30.0])) == "nothing ends it: it is the whole space"


def test_what_has_no_effect_is_named() -> None:
    found = Effects(SPACE, np.zeros(2), np.zeros(2), np.array([0.0, 0.1]), 64, 128)
    assert effect_words(found) == ["azimuth has no effect (64 changes, no score moved)"]


def test_freezing_is_told_in_shares_of_what_the_others_span() -> None:
    assert frozen_words(ELEVATION, 30.2, 0.45, 0.8) == (
        "of what the others span, with elevation 30 deg: 80 %; with it free: 45 %"
    )
    assert frozen_words(ELEVATION, 30.2, 0.45, None).endswith(
        "with elevation 30 deg: no region that meets the goal; with it free: 45 %"
    )


def test_what_is_certified_of_a_complement_is_told_of_the_function_itself() -> None:
    region = Regions(SemanticSpace.of("azimuth,elevation"), [[120.0, 60.0]], [[260.0, 90.0]])  # type: ignore[arg-type]
    assert certified_words(region, 0.95, adversarial=True).startswith("wrong in at least 95 % of the views within azim")
    assert certified_words(region, 0.95, level=0.7, adversarial=True).startswith("score at most 0.3 in at least 95 %")
    assert certified_words(region, 0.6, level=None, adversarial=True).startswith("mean score at most 0.40 over the vie")
    assert adversarial_words(read_goal("mean=0.7,variance=0.1")).startswith("mean score at most 0.3")
    assert adversarial_words(read_goal("reliability=0.9,level=0.8")) == "score at most 0.2 in 90 % of the views"
