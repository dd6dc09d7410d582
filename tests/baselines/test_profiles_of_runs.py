"""Profiles from the rows of a store: regions at every level judged, and what a survey certifies of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from baselines.experiments.functions import Functions
from baselines.experiments.profiles import profile_records
from semrob_env.errors import NoGroundTruthError
from semrob_env.functions import CallableFunction
from semrob_env.ground_truth import truth
from semrob_env.metrics import Survey, survey
from semrob_env.metrics.certificates import mean_lower_bound, share_lower_bound
from semrob_env.metrics.survey import survey_views
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Goal, MeanGoal, Question, ReliabilityGoal
from semrob_env.recorded import RecordedMaps
from semrob_env.regions import Regions
from semrob_env.store import RunRow, RunTask
from semrob_env.types import FloatArray
from tests.recorded_maker import NAMES, SPACE, STARTS, wavy_maps

MAPS = RecordedMaps(wavy_maps(NAMES[:3]))
LEVELS = (0.3, 0.5, 0.7)
GOALS = (MeanGoal(), MeanGoal(epsilon_v=0.02), ReliabilityGoal(reliability=0.9))
LIVE_ID = "test:net/cup/0"
ALONG = SemanticSpace.of("elevation")


def row_of(function_id: str, start: Sequence[float], goal: Goal, regions: Regions) -> RunRow:
    """A finished run that answers with these regions at the levels."""
    task = RunTask(Question(function_id, tuple(start), goal, 10, levels=LEVELS), "box_quadrature")
    lower, upper = (tuple(side.ravel().tolist()) for side in (regions.lower, regions.upper))
    return RunRow(
        key=f"{function_id} {tuple(start)}",
        task=task,
        fingerprint="{}",
        method_version=1,
        status="converged",
        share=0.0,
        profile_lower=lower,
        profile_upper=upper,
    )


def around(start: FloatArray, halves: Sequence[float]) -> Regions:
    """A region of MAPS a level, by half widths in degrees."""
    reach = np.array(halves)[:, None]
    return Regions(SPACE, start - reach, start + reach).clip()


@pytest.mark.parametrize("goal", GOALS, ids=str)
def test_regions_on_maps_are_judged_one_by_one_by_exact_integrals(goal: Goal) -> None:
    goals = [goal.at(level) for level in LEVELS]
    asked = [(member, start, around(start, (90, 30, 45))) for member in range(MAPS.members) for start in STARTS]
    rows = [row_of(MAPS.member_ids[member], start.tolist(), goal, regions) for member, start, regions in asked]
    every, widest = profile_records(rows, Functions(given=[MAPS]), {}, 0.95)
    met = np.empty((len(rows), 3, 3), dtype=np.bool_)  # by row, goal and region
    for number, (member, _, regions) in enumerate(asked):
        for place in range(3):
            own = regions[np.array([place])]
            known = truth(MAPS, own, np.array([member]))
            met[number, :, place] = [one.is_met(*one.exact(known))[0] for one in goals]
    shares = np.array([regions.share() for _, _, regions in asked])
    np.testing.assert_array_equal(every.shares, shares)
    for place, records in enumerate(every.records):
        np.testing.assert_array_equal(records.feasible, met[:, place, place])
        np.testing.assert_array_equal(records.certified, met[:, place, place])
        assert records.network.tolist() == ["ResNet50"] * len(rows)
        assert records.start.tolist() == [0, 1, 2, 3] * MAPS.members
        by_hand = [
            max([shares[number, other] for other in range(place, 3) if met[number, place, other]], default=0)
            for number in range(len(rows))
        ]
        np.testing.assert_array_equal(widest.shares[:, place], by_hand)
    assert met.any()
    assert not met.all()
    assert (widest.shares > every.only_feasible().shares).any(), "the region of a higher level serves where it is wider"
    assert (np.diff(widest.shares, axis=1) <= 0).all(), "who asks less gets no less"


def test_without_truth_and_without_a_survey_nothing_is_judged() -> None:
    function = CallableFunction(ALONG, lambda theta: np.ones(len(theta)), name=LIVE_ID)
    with pytest.raises(NoGroundTruthError):
        profile_records([live_row(MeanGoal(), (80, 40, 20))], Functions(given=[function]), {}, 0.95)


def live_row(goal: Goal, tops: Sequence[float]) -> RunRow:
    """A run whose regions go from elevation -10 up to these."""
    upper = np.array(tops, dtype=np.float64)[:, None]
    return row_of(LIVE_ID, [float(tops[-1])], goal, Regions(ALONG, np.full_like(upper, -10.0), upper))


def live(scores: FloatArray) -> tuple[Functions, Survey]:
    """A function that has no truth, and a survey of it with these scores."""
    function = CallableFunction(ALONG, lambda theta: np.zeros(len(theta)), name=LIVE_ID)
    return Functions(given=[function]), Survey(ALONG, survey_views(function, 0, len(scores), 0), scores)


@pytest.mark.parametrize("goal", [MeanGoal(), ReliabilityGoal(reliability=0.9)], ids=str)
def test_without_truth_a_region_is_certified_if_its_bound_meets_the_goal(goal: Goal) -> None:
    found = survey(
        CallableFunction(ALONG, lambda theta: np.clip(0.75 - 0.025 * theta[:, 0], 0, 1), name=LIVE_ID), points=400
    )
    functions, _ = live(found.scores)
    tops = range(70, -1, -5)
    rows = [live_row(goal, (top + 10, top, top - 5)) for top in tops]
    every, widest = profile_records(rows, functions, {LIVE_ID: found}, 0.95)
    unsure = 0
    for place, level in enumerate(LEVELS):
        asked = goal.at(level)
        expected = []
        for top in (top + (10, 0, -5)[place] for top in tops):
            inside = found.scores[(found.theta[:, 0] <= top)]
            counted = asked.counted(inside)
            bound = (
                share_lower_bound(counted.sum(), len(counted), 0.05)
                if asked.threshold is not None
                else mean_lower_bound(counted[None], 0.05)[0]
            )
            expected.append((counted.mean() >= asked.least, bound >= asked.least))
        feasible, certified = np.array(expected).T
        np.testing.assert_array_equal(every.records[place].feasible, feasible)
        np.testing.assert_array_equal(every.records[place].certified, certified)
        assert certified.any()
        unsure += (feasible & ~certified).sum()
        np.testing.assert_array_equal(widest.shares[certified, place], every.shares[certified, place])
        assert (widest.shares[:, place] <= every.shares[:, place:].max(axis=1)).all()
    assert unsure > 0


def test_the_regions_of_higher_levels_are_certified_where_the_own_one_fails() -> None:
    """Scores fall from 1 to 0 at 20: the region of 0.3 goes too far, that of 0.5 is sure of 0.3, too."""
    functions, blank = live(np.zeros(400))
    found = Survey(ALONG, blank.theta, (blank.theta[:, 0] < 20).astype(np.float64))
    every, widest = profile_records([live_row(MeanGoal(), (90, 40, 15))], functions, {LIVE_ID: found}, 0.95)
    assert [bool(one.certified[0]) for one in every.records] == [False, True, True]
    np.testing.assert_allclose(widest.shares, [[0.5, 0.5, 0.25]])


def test_a_region_with_too_few_views_to_pass_does_not_end_the_sequence() -> None:
    """Perfect scores all over: 90 % of the views need 29 of them, and the region of 0.7 has some 20."""
    goal = ReliabilityGoal(reliability=0.9)
    functions, found = live(np.ones(400))
    every, widest = profile_records([live_row(goal, (90, 40, -5))], functions, {LIVE_ID: found}, 0.95)
    assert [bool(one.certified[0]) for one in every.records] == [True, True, False]
    np.testing.assert_allclose(widest.shares, [[1.0, 0.5, 0.0]])


@pytest.mark.parametrize("goal", [MeanGoal(), ReliabilityGoal(reliability=0.9)], ids=str)
def test_a_region_that_fails_its_goal_by_a_little_is_rarely_certified_at_any_step_of_the_sequence(goal: Goal) -> None:
    """Every region just misses the goal of the lowest level, so the first of the sequence that passes is an error."""
    rng, trials = np.random.default_rng(0), 200
    rate = 0.295 if isinstance(goal, MeanGoal) else 0.895  # of ones, all over the space
    functions, blank = live(np.zeros(256))
    row, wrong = live_row(goal, (90, 70, 50)), 0
    for _ in range(trials):
        found = Survey(ALONG, blank.theta, (rng.random(256) < rate).astype(np.float64))
        _, widest = profile_records([row], functions, {LIVE_ID: found}, 0.95)
        wrong += int(widest.shares[0, 0] > 0)
    assert 0 < wrong <= trials * 0.05 + 2 * np.sqrt(trials * 0.05 * 0.95)
