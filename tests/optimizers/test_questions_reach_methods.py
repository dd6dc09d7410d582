"""What is asked reaches every method: thresholds and goals are kept, and scores of any scale mean the same."""

from __future__ import annotations

from functools import cache
from typing import Any, final

import numpy as np
import pytest

import baselines  # noqa: F401 - fills the registry
import optimizers  # noqa: F401 - fills the registry
from optimizers.registry import OPTIMIZERS, get_optimizer
from optimizers.run import run
from semrob_env.errors import UnsupportedGoalError
from semrob_env.functions import ScoreFunction, make_function
from semrob_env.oracle import Queries, QueryOracle
from semrob_env.parameters import AZIMUTH, ELEVATION, SemanticSpace
from semrob_env.questions import Goal, MeanGoal, Questions, ReliabilityGoal
from semrob_env.regions import Regions
from semrob_env.sequences import evenly_spread
from semrob_env.synthetic import SyntheticFunction
from semrob_env.types import FloatArray, IntArray

VIEW = SemanticSpace((AZIMUTH, ELEVATION))
STARTS = np.array([[130.0, 30.0], [350.0, 20.0]])
SCALES: dict[str, dict[str, Any]] = {
    "unit": {},
    "wide": {"score_range": (-50.0, 50.0)},
    "margins": {"score_range": (-30.0, 30.0), "is_logistic": True},
}


@final
class Hill(ScoreFunction):
    """One hill of unit scores in [0.05, 0.95] around azimuth 100, elevation 40, told in the function's own scale."""

    def __init__(self, **scale: Any) -> None:
        super().__init__(VIEW, ("hill",), has_gradient=True, **scale)

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        return self._values_and_gradients(theta, member)[0]

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        del member
        azimuth, elevation = np.radians(theta[..., 0] - 100), np.radians(theta[..., 1] - 40)
        unit = 0.5 + 0.45 * np.cos(azimuth) * np.cos(elevation)
        slopes = [np.sin(azimuth) * np.cos(elevation), np.cos(azimuth) * np.sin(elevation)]
        gradients = -0.45 * np.radians(1) * np.stack(slopes, axis=-1)
        if self.scale.is_logistic:
            return np.log(unit / (1 - unit)), gradients / (unit * (1 - unit))[..., None]
        low, high = self.score_range
        return low + (high - low) * unit, (high - low) * gradients


def answered(name: str, function: ScoreFunction, start: FloatArray, goal: Goal | None, budget: int) -> Regions:
    questions = Questions(function.space, start, goal=goal, budget=budget)
    return run(OPTIMIZERS[name](questions), QueryOracle(function, trajectories=len(questions), budget=budget)).regions


@cache
def answered_in_scale(name: str, scale: str) -> Regions:
    return answered(name, Hill(**SCALES[scale]), STARTS, None, 20)


def plateau() -> tuple[SyntheticFunction, FloatArray]:
    function = make_function("synthetic:plateau?n=2&seed=0")
    assert isinstance(function, SyntheticFunction)
    return function, function.plateau.center


def good_share(function: ScoreFunction, region: Regions, level: float) -> float:
    """Share of a region's points whose score is at least a level, at 200 x 200 points."""
    lines = (np.arange(200) + 0.5) / 200
    fractions = np.stack(np.meshgrid(lines, lines), axis=-1).reshape(1, -1, 2)
    return float((function.values(region.from_fractions(fractions)) >= level).mean())


def mean_scores(regions: Regions) -> FloatArray:
    """Mean unit scores (B,) of the hill over regions, at 400 points of each."""
    fractions = np.broadcast_to(evenly_spread(VIEW.n, 0, 400), (len(regions), 400, VIEW.n))
    return np.asarray(Hill(**SCALES["unit"]).values(regions.from_fractions(fractions)).mean(axis=1))


@pytest.mark.parametrize("least", [0.5, 0.7])
def test_box_quadrature_keeps_the_threshold_that_is_asked(least: float) -> None:
    function, start = plateau()
    region = answered("box_quadrature", function, start, MeanGoal(1 - least), 40)
    mean = function.exact_moments(region)[0][0]
    assert least <= mean < least + 0.12, "feasible, and not much smaller than it needs to be"


@pytest.mark.parametrize("scale", ["wide", "margins"])
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_method_gives_one_answer_to_one_function_in_any_scale(name: str, scale: str) -> None:
    plain, told = answered_in_scale(name, "unit"), answered_in_scale(name, scale)
    tolerance = 1e-6 * VIEW.width
    np.testing.assert_allclose(told.share(), plain.share(), rtol=1e-6)
    if get_optimizer(name).paradigm == "search over bounds":
        return  # of two boxes of one size, rounding may choose
    ends = np.stack([told.lower - plain.lower, told.upper - plain.upper])
    is_same = (np.abs(ends) <= tolerance).all(axis=(0, 2))
    is_wide_alike = (np.abs(ends[1] - ends[0]) <= tolerance).all(axis=1)
    is_good_alike = np.abs(mean_scores(told) - mean_scores(plain)) < 0.01
    assert (is_same | is_wide_alike & is_good_alike).all(), "of two that are as good, rounding may choose"


def test_margins_are_told_as_the_logistic_function_of_them() -> None:
    function = Hill(**SCALES["margins"])
    theta = VIEW.sample(20, np.random.default_rng(0))[None]
    queries = Queries(theta, np.zeros(1, np.int64), np.ones((1, 20), np.bool_), wants_gradient=True)
    answers, plain = QueryOracle(function).query(queries), QueryOracle(Hill()).query(queries)
    margins = function.values(theta)
    assert margins.min() < -1 < 1 < margins.max()
    np.testing.assert_allclose(answers.values, 1 / (1 + np.exp(-margins)), rtol=1e-14)
    assert answers.gradients is not None
    assert plain.gradients is not None
    np.testing.assert_allclose(answers.gradients, plain.gradients, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("name", "budget"), [("box_quadrature", 40), ("random_search", 200)])
def test_a_reliable_region_is_found_where_that_is_easy(name: str, budget: int) -> None:
    function, goal = Hill(), ReliabilityGoal(level=0.5, reliability=0.9)
    region = answered(name, function, STARTS[0], goal, budget)
    assert good_share(function, region, goal.level) >= goal.reliability
    assert region.share()[0] > 0.1  # half of the space is good


def test_a_high_mean_is_not_reliability_and_box_quadrature_knows() -> None:
    function, start = plateau()
    by_mean = answered("box_quadrature", function, start, MeanGoal(0.5), 40)
    assert function.exact_moments(by_mean)[0][0] >= 0.5
    assert good_share(function, by_mean, 0.5) < 0.9


def test_only_a_method_that_can_answers_another_goal_and_one_without_a_goal_the_same() -> None:
    questions, other = Questions(VIEW, [130.0, 30.0], budget=40), ReliabilityGoal(0.5, 0.9)
    naive = get_optimizer("naive")(questions)
    assert (naive.recommend(other).lower == naive.recommend().lower).all()
    search = get_optimizer("grid")(questions)
    assert search.recommend(questions.goal).share() == search.recommend().share()
    with pytest.raises(UnsupportedGoalError, match=r"answers the goal that it was asked for, mean=0\.5"):
        search.recommend(other)
