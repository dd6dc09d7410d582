"""Goals and questions: values that say what is asked, in numbers, text and words."""

from __future__ import annotations

import math
import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from semrob_env.errors import (
    InvalidBudgetError,
    InvalidParameterError,
    OutOfSpaceError,
    SemrobError,
    ShapeMismatchError,
)
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MOST_VARIANCE, Goal, MeanGoal, Question, Questions, ReliabilityGoal, read_goal

BOTH = SemanticSpace.of("azimuth,elevation")
GOALS: list[Goal] = [MeanGoal(), MeanGoal(0.3), MeanGoal(0.6, 0.05), ReliabilityGoal(), ReliabilityGoal(0.8, 0.9)]


@pytest.mark.parametrize("goal", GOALS, ids=str)
def test_a_goal_is_a_value_that_its_text_gives_back(goal: Goal) -> None:
    assert read_goal(goal.text) == goal == pickle.loads(pickle.dumps(goal))
    assert hash(read_goal(goal.text)) == hash(goal)
    assert read_goal(f" {goal.text.replace(',', ' , ')} ") == goal
    assert f"{100 * goal.least:g}" in goal.words or f"{goal.least:g}" in goal.words
    with pytest.raises(FrozenInstanceError):
        goal.epsilon_m = 0.1  # type: ignore[attr-defined]  # the very thing that must not work


def test_the_text_of_every_mean_goal_gives_it_back_to_the_bit() -> None:
    for epsilon_m, epsilon_v in np.random.default_rng(0).random((2000, 2)).tolist():
        goal = MeanGoal(epsilon_m, epsilon_v / 4)
        assert read_goal(goal.text) == goal
        assert goal.least == 1 - epsilon_m
    assert MeanGoal(0.3) == read_goal("mean=0.7")  # although 1 - 0.7 is not 0.3
    assert MeanGoal(0.3).text == "mean=0.7"


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("mean=0.5", MeanGoal(0.5)),
        ("mean=0.4,variance=0.05", MeanGoal(0.6, 0.05)),
        ("mean=1", MeanGoal(0.0)),
        ("reliability=0.9", ReliabilityGoal(0.5, 0.9)),
        ("reliability=1,level=0.25", ReliabilityGoal(0.25, 1.0)),
    ],
)
def test_goals_as_people_type_them(text: str, goal: Goal) -> None:
    assert read_goal(text) == goal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mean",
        "mean=",
        "mean=a",
        "mean=nan",
        "mean=1.5",
        "mean=-0.1",
        "mean=0.5,mean=0.5",
        "mean=0.5,level=0.5",
        "variance=0.05",
        "reliability=0",
        "reliability=0.9,level=0",
        "reliability=0.9,variance=0.1",
        "mean=0.5,variance=0.3",
        "0.5",
        "safety=0.5",
        "mean=0.5;variance=0.1",
        "=" * 10_000,
    ],
)
def test_a_text_that_is_no_goal_is_one_clear_line(text: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        read_goal(text)
    assert len(str(caught.value)) < 700
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mean=1.5", r"mean 1\.5 must be in \[0, 1\]"),
        ("mean=0.5,level=0.5", "mean knows mean, variance, not level"),
        ("safety=0.5", "unknown goal 'safety=0.5'"),
        ("mean=0.5,mean=0.5", "cannot read 'mean=0.5' of goal"),
        ("mean=0.5=0.6", "cannot read 'mean=0.5=0.6' of goal"),
    ],
    ids=["above 1", "of another goal", "unknown", "twice", "two numbers"],
)
def test_what_is_wrong_with_a_goal_is_told(text: str, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        read_goal(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MeanGoal(-0.1),
        lambda: MeanGoal(1.1),
        lambda: MeanGoal(0.5, 0.26),
        lambda: MeanGoal(math.nan),
        lambda: ReliabilityGoal(0.0),
        lambda: ReliabilityGoal(0.5, 0.0),
        lambda: ReliabilityGoal(0.5, 1.1),
    ],
)
def test_a_goal_out_of_its_range_is_refused(make: Any) -> None:
    with pytest.raises(InvalidParameterError):
        make()


def test_bounds_are_exact_and_nan_meets_none() -> None:
    mean, variance = np.array([0.5, 0.5, 0.4999999, math.nan, 0.9]), np.array([0.05, 0.0500001, 0.0, 0.0, math.nan])
    assert MeanGoal(0.5, 0.05).is_met(mean, variance).tolist() == [True, False, False, False, False]
    assert MeanGoal(0.5, 0.05).shortfall([0.5, 0.25, 0.6, 0.4], [0.05, 0.0, 0.15, 0.3]) == pytest.approx([
        0.0,
        0.25,
        0.1,
        0.35,
    ])
    assert ReliabilityGoal(0.5, 0.95).is_met([0.95, 0.949], [0.2, 0.0]).tolist() == [True, False]


def test_a_mean_counts_scores_and_a_reliability_those_at_its_level() -> None:
    scores = np.array([0.0, 0.39, 0.5, 0.61, 1.0, math.nan])
    assert MeanGoal().counted(scores) is scores
    goal = ReliabilityGoal(0.5, 0.9)
    assert goal.counted(scores).tolist() == [0.0, 0.0, 1.0, 1.0, 1.0, 0.0]
    assert goal.counted(scores).dtype == np.float64
    assert goal.smoothed(scores[:-1]).tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
    assert (MeanGoal(0.2).level, goal.level, goal.least) == (0.8, 0.5, 0.9)
    assert MeanGoal(0.2).counts == MeanGoal(0.9).counts != goal.counts == ReliabilityGoal(0.5, 0.1).counts


def test_a_score_is_as_smooth_as_it_is_and_a_reliability_is_smoothed_around_its_level() -> None:
    scores = np.array([0.0, 0.45, 0.5, 0.55, 1.0])
    assert MeanGoal().smoothed(scores) is scores
    assert ReliabilityGoal(0.5, 0.9).smoothed(scores) == pytest.approx(np.array([0.0, 0.25, 0.5, 0.75, 1.0]))


def test_a_tightened_goal_is_harder_and_never_impossible_to_write() -> None:
    assert MeanGoal(0.5).tightened(0.1) == MeanGoal(0.4)
    assert MeanGoal(0.5, 0.05).tightened(0.1) == MeanGoal(0.4, 0.025)  # a variance is 0.25 at most
    assert MeanGoal(0.5, 0.05).tightened(0.3) == MeanGoal(0.2, 0.0)
    assert MeanGoal(0.05).tightened(0.1).least == 1.0
    assert MeanGoal(0.5).tightened(0.1).most_variance == MOST_VARIANCE
    assert ReliabilityGoal(0.5, 0.95).tightened(0.1) == ReliabilityGoal(0.5, 1.0)


@pytest.mark.parametrize("goal", GOALS, ids=str)
def test_a_goal_at_another_level_differs_in_nothing_else(goal: Goal) -> None:
    assert goal.at(goal.level) == goal
    moved = goal.at(0.3)
    assert moved.level == pytest.approx(0.3, abs=1e-15)
    assert moved.at(goal.level) == goal
    assert moved.most_variance == goal.most_variance
    for level in (-0.1, 1.1, math.nan):
        with pytest.raises(InvalidParameterError, match=r"^level"):
            goal.at(level)


def test_a_goal_at_another_level_is_the_one_that_people_type() -> None:
    assert MeanGoal(0.5, 0.05).at(0.3) == read_goal("mean=0.3,variance=0.05")
    assert ReliabilityGoal(0.5, 0.9).at(0.3) == read_goal("reliability=0.9,level=0.3")
    assert MeanGoal().at(0) == read_goal("mean=0")
    with pytest.raises(InvalidParameterError, match="level 0"):
        ReliabilityGoal().at(0)


def test_levels_are_checked_by_the_goal_they_belong_to() -> None:
    assert Questions(BOTH, [1.0, 2.0], levels=(0, 0.5)).levels == (0.0, 0.5)
    for levels in ((0.0, 0.5), (0.5, 0.5)):
        with pytest.raises(InvalidParameterError):
            Questions(BOTH, [1.0, 2.0], goal=ReliabilityGoal(), levels=levels)


def test_a_question_is_plain_data() -> None:
    question = Question("synthetic:hill?n=2", (130, -0.0), ReliabilityGoal(), budget=100)
    assert question == pickle.loads(pickle.dumps(question)) == replace(question)
    assert len(pickle.dumps(question)) < 400
    assert {question: 1}[replace(question)] == 1
    assert (question.start, math.copysign(1, question.start[1])) == ((130.0, 0.0), 1.0)
    assert type(question.budget) is float


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"function_id": " "}, InvalidParameterError),
        ({"start": ()}, InvalidParameterError),
        ({"start": (math.inf,)}, InvalidParameterError),
        ({"goal": 0.5}, InvalidParameterError),
        ({"budget": 0}, InvalidBudgetError),
        ({"budget": math.inf}, InvalidBudgetError),
        ({"gradient_cost": -1.0}, InvalidBudgetError),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(change: dict[str, Any], error: type[SemrobError]) -> None:
    with pytest.raises(error):
        replace(Question("synthetic:hill?n=2", (1.0, 2.0)), **change)


def test_questions_share_goal_and_budget_and_their_arrays_stay_as_they_are() -> None:
    starts = np.array([[130.0, 30.0], [50.0, 20.0]])
    questions = Questions(BOTH, starts, member=[1, 0], goal=ReliabilityGoal(), budget=50)
    starts[:] = 0.0
    assert questions.start.tolist() == [[130.0, 30.0], [50.0, 20.0]]
    assert (len(questions), questions.member.tolist(), questions.budget) == (2, [1, 0], 50.0)
    for array in (questions.start, questions.member):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    plain = Questions(BOTH, [130.0, 30.0])
    assert (plain.goal, plain.budget, plain.member.tolist()) == (MeanGoal(), math.inf, [0])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"start": [[400.0, 0.0]]}, OutOfSpaceError),
        ({"start": [[[1.0, 0.0]]]}, ShapeMismatchError),
        ({"start": [[1.0, 0.0]], "member": [0, 1]}, ShapeMismatchError),
        ({"start": [[1.0, 0.0]], "budget": -3}, InvalidBudgetError),
    ],
)
def test_questions_that_do_not_fit_the_space_are_refused(arguments: dict[str, Any], error: type[SemrobError]) -> None:
    with pytest.raises(error):
        Questions(BOTH, **arguments)
