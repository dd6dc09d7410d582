"""Box quadrature: what it finds on known answers, how sure it is, what it may not depend on, and its limits."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.base import BUDGET, CONVERGED
from optimizers.box_quadrature import BoxQuadrature, BoxQuadratureSettings
from optimizers.run import RunResult, run
from semrob_env.errors import InvalidParameterError
from semrob_env.functions import CallableFunction, ScoreFunction, make_function
from semrob_env.ground_truth import exact_moments
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import AZIMUTH, ELEVATION, Parameter, SemanticSpace
from semrob_env.questions import Goal, MeanGoal, Questions, ReliabilityGoal
from semrob_env.regions import Regions
from semrob_env.synthetic import SyntheticFunction, make_tangled
from semrob_env.types import FloatArray

VIEW = SemanticSpace((AZIMUTH, ELEVATION))
START = np.array([130.0, 30.0])


def synthetic(family: str, n: int, seed: int = 0) -> SyntheticFunction:
    function = make_function(f"synthetic:{family}?n={n}&seed={seed}")
    assert isinstance(function, SyntheticFunction)
    return function


def grown(
    function: ScoreFunction, start: FloatArray, budget: int, goal: Goal | None = None, **settings: float
) -> RunResult:
    questions = Questions(function.space, start, goal=goal)
    optimizer = BoxQuadrature(questions, settings=BoxQuadratureSettings.from_mapping(settings))
    return run(optimizer, QueryOracle(function, trajectories=len(optimizer), budget=budget))


def waves(shift_deg: float = 0.0) -> CallableFunction:
    """A hill across the seam on a wavy ground, rolled along azimuth."""

    def scores(theta: FloatArray) -> FloatArray:
        azimuth, elevation = np.radians(theta[:, 0] - shift_deg), theta[:, 1] / 100
        return np.asarray(0.5 + 0.35 * np.cos(azimuth) * (1 - elevation**2) + 0.1 * np.cos(3 * azimuth + 4 * elevation))

    return CallableFunction(VIEW, scores)


@pytest.mark.parametrize(("family", "n", "budget"), [("plateau", 1, 40), ("seam", 2, 80), ("hill", 4, 80)])
@pytest.mark.parametrize("epsilon_v", [0.25, 0.05])
def test_most_of_the_best_box_is_found_and_is_feasible(family: str, n: int, budget: int, epsilon_v: float) -> None:
    function = synthetic(family, n)
    start = function.plateau.center[0]
    best = function.optimum(start, MeanGoal(0.5, epsilon_v))
    found = grown(function, start, budget, MeanGoal(0.5, epsilon_v))
    mean, variance = function.exact_moments(found.regions)
    assert mean[0] >= 0.5
    assert variance[0] <= epsilon_v
    assert found.regions.share()[0] >= 0.8 * best.share


def test_nearly_all_recommended_regions_are_truly_feasible() -> None:
    feasible: list[bool] = []
    for seed in range(6):
        function = synthetic("plateau", 2, seed)
        starts = function.plateau.from_fractions(np.random.default_rng(seed).random((2, 2)))[0]
        optimizer = BoxQuadrature(Questions(function.space, starts))
        result = run(optimizer, QueryOracle(function, trajectories=2, budget=45))
        late = result.trace.queries >= 30
        regions = Regions(function.space, result.trace.lower[late], result.trace.upper[late])
        assert (regions.share() > 1e-3).all()
        feasible.extend(function.exact_moments(regions)[0] >= 0.5)
    assert np.mean(feasible) >= 0.9


def test_more_confidence_gives_a_smaller_region_of_higher_mean() -> None:
    function = synthetic("hill", 2)
    start = function.plateau.center[0]
    bold, cautious = (grown(function, start, 30, confidence=sure).regions for sure in (0.6, 0.9999))
    assert cautious.share()[0] < bold.share()[0]
    assert function.exact_moments(cautious)[0][0] > function.exact_moments(bold)[0][0]


def test_a_region_crosses_the_seam() -> None:
    found = grown(synthetic("seam", 2), synthetic("seam", 2).plateau.center[0], 60).regions
    assert found.upper[0, 0] > 360.0
    assert found.contains(np.array([0.0, found.center[0, 1]]))[0]


def test_rolling_function_and_start_along_azimuth_rolls_the_answer() -> None:
    shift_deg = 137.0
    start, rolled = np.array([10.0, 20.0]), np.array([10.0 + shift_deg, 20.0])
    here, there = grown(waves(), start, 40).regions, grown(waves(shift_deg), rolled, 40).regions
    assert here.share()[0] > 0.1
    np.testing.assert_allclose(there.width, here.width, rtol=1e-6)
    moved = VIEW.project(here.lower + np.array([shift_deg, 0.0]))
    np.testing.assert_allclose(moved, VIEW.project(there.lower), atol=1e-4)


def test_noise_in_the_scores_leaves_the_region_feasible() -> None:
    function, noise = synthetic("plateau", 2), np.random.default_rng(0)

    def scores(theta: FloatArray) -> FloatArray:
        exact = function.values(theta[None])[0]
        return np.asarray(np.clip(exact + noise.normal(0.0, 0.1, len(theta)), 0.0, 1.0))

    start = function.plateau.center[0]
    found = grown(CallableFunction(function.space, scores), start, 120).regions
    assert function.exact_moments(found)[0][0] >= 0.5
    assert found.share()[0] >= 0.6 * function.optimum(start).share


def test_where_nothing_is_robust_nothing_is_recommended() -> None:
    function = synthetic("empty", 2)
    found = grown(function, function.plateau.center[0], 40).regions
    assert found.share()[0] < 1e-15
    assert found.contains(function.plateau.center[0])[0]


def test_where_everything_is_robust_the_whole_space_is_recommended() -> None:
    function = CallableFunction(VIEW, lambda theta: np.full(len(theta), 0.9))
    assert grown(function, np.array([130.0, 30.0]), 30).regions.share()[0] == pytest.approx(1.0)


def test_scores_of_another_range_mean_the_same() -> None:
    function = synthetic("plateau", 2)
    start = function.plateau.center[0]
    wide = CallableFunction(
        function.space, lambda theta: 8.0 * function.values(theta[None])[0] - 4.0, score_range=(-4.0, 4.0)
    )
    plain, scaled = grown(function, start, 30), grown(wide, start, 30)
    np.testing.assert_allclose(scaled.regions.lower, plain.regions.lower, rtol=1e-9)


def test_the_start_point_is_asked_first_and_lines_ask_two_points_a_parameter() -> None:
    first = BoxQuadrature(Questions(VIEW, [130.0, 30.0])).ask().theta
    assert first.shape == (1, 1, 2)
    np.testing.assert_allclose(first[0, 0], [130.0, 30.0], rtol=1e-12)
    space = SemanticSpace(tuple(Parameter(f"x{k}", "", 0.0, 1.0, None, 0.5, "") for k in range(4)))
    lines = BoxQuadrature(Questions(space, [0.5] * 4)).ask().theta[0]
    assert lines.shape == (9, 4)
    assert ((lines[1:] != 0.5).sum(axis=1) == 1).all()


def test_a_region_is_recommended_from_the_first_score_on_and_larger_where_it_is_high() -> None:
    def share(score: float) -> float:
        function = CallableFunction(VIEW, lambda theta: np.full(len(theta), score))
        return float(grown(function, START, 1).regions.share()[0])

    assert 1e-6 < share(0.52) < share(0.9)


def test_where_nothing_is_to_gain_nearby_points_go_far_away() -> None:
    function = synthetic("plateau", 2)
    asked: list[FloatArray] = []

    def scores(theta: FloatArray) -> FloatArray:
        asked.append(theta)
        return np.asarray(function.values(theta[None])[0])

    region = grown(CallableFunction(function.space, scores), function.plateau.center[0], 100).regions
    around = Regions(function.space, region.lower - region.width, region.upper + region.width).clip()
    late = np.concatenate(asked)[60:]
    assert region.share()[0] > 0.8 * function.optimum(function.plateau.center[0]).share
    assert (~around.contains(late[None])).mean() > 0.1


@pytest.mark.parametrize(("family", "n", "budget"), [("plateau", 1, 40), ("seam", 2, 100)])
def test_a_reliable_region_is_found_and_is_reliable(family: str, n: int, budget: int) -> None:
    function, goal = synthetic(family, n), ReliabilityGoal(0.5, 0.95)
    start = function.plateau.center[0]
    found = grown(function, start, budget, goal).regions
    share, variance = exact_moments(function, found, goal=goal)
    assert goal.is_met(share, variance)[0]
    assert found.share()[0] >= 0.8 * function.optimum(start, goal).share


def test_with_more_parameters_a_reliable_region_is_reliable_too() -> None:
    function, goal = synthetic("hill", 4), ReliabilityGoal(0.5, 0.9)
    found = grown(function, function.plateau.center[0], 120, goal).regions
    points = found.from_fractions(np.random.default_rng(0).random((1, 4096, 4)))
    assert goal.counted(function.values(points)).mean() >= 0.9
    assert found.share()[0] > 1e-4


@pytest.mark.parametrize("goal", [MeanGoal(0.5), ReliabilityGoal(0.5, 0.9)], ids=str)
def test_one_run_answers_every_level(goal: Goal) -> None:
    function, levels = synthetic("hill", 2), (0.3, 0.5, 0.7)
    start = function.plateau.center[0]
    questions = Questions(function.space, start, goal=goal, levels=levels)
    optimizer = BoxQuadrature(questions)
    result = run(optimizer, QueryOracle(function, budget=120))
    regions = optimizer.profile(levels)
    shares = [float(own.share()[0]) for own in regions]
    assert shares == sorted(shares, reverse=True)
    for own, level in zip(regions, levels, strict=True):
        asked = goal.at(level)
        assert asked.is_met(*exact_moments(function, own, goal=asked))[0]
        assert own.share()[0] >= 0.75 * function.optimum(start, asked).share
    np.testing.assert_array_equal(optimizer.recommend(goal).lower, result.regions.lower)
    other = optimizer.recommend(ReliabilityGoal(0.4, 0.8) if goal == MeanGoal(0.5) else MeanGoal(0.4))
    assert other.contains(start)[0]


def test_levels_that_are_asked_for_have_their_turn() -> None:
    function = synthetic("hill", 2)
    start = function.plateau.center[0]

    def share_at_a_high_level(levels: tuple[float, ...]) -> float:
        optimizer = BoxQuadrature(Questions(function.space, start, levels=levels))
        run(optimizer, QueryOracle(function, budget=50))
        return float(optimizer.profile((0.8,))[0].share()[0])

    assert share_at_a_high_level((0.2, 0.8)) > share_at_a_high_level(())


def test_an_easy_question_ends_by_itself_and_tells_what_more_would_win() -> None:
    function = CallableFunction(VIEW, lambda theta: np.full(len(theta), 0.9))
    for goal in (MeanGoal(0.5), ReliabilityGoal(0.5, 0.95)):
        optimizer = BoxQuadrature(Questions(VIEW, START, goal=goal))
        found = run(optimizer, QueryOracle(function, budget=150))
        assert found.status == [CONVERGED]
        assert found.forward_queries[0] <= 45
        assert 0 <= optimizer.expected_gain[0] < 0.01
    never = grown(function, START, 60, tolerance=0.0)
    assert never.status == [BUDGET]


def rugged(seed: int) -> CallableFunction:
    """Twelve waves, none longer than a third of a turn or half of the elevations; the mean is a little below 0.6."""
    rng = np.random.default_rng(seed)
    turns, shifts = np.stack([rng.integers(3, 12, 12), rng.integers(2, 7, 12)]), rng.random(12)

    def scores(theta: FloatArray) -> FloatArray:
        heights = np.cos(2 * np.pi * ((theta - VIEW.low) / VIEW.width @ turns + shifts))
        return np.asarray(np.clip(0.59 + 0.3 * heights.sum(axis=1) / np.sqrt(6), 0.0, 1.0))

    return CallableFunction(VIEW, scores)


def test_rugged_scores_are_not_believed_too_soon() -> None:
    places = np.stack(np.meshgrid(np.arange(120) / 120, np.arange(60) / 59, indexing="ij"), axis=-1).reshape(-1, 2)
    missed = 0
    for seed in range(12):
        function = rugged(seed)
        thetas = VIEW.low + places * VIEW.width
        best = thetas[int(function.values(thetas[None]).argmax())]
        found = grown(function, best, 100, MeanGoal(epsilon_m=0.4))
        lower, upper = found.regions.lower[0], found.regions.upper[0]
        missed += bool(function.values(VIEW.project(lower + places * (upper - lower))[None]).mean() < 0.6)
    assert missed <= 3


@pytest.mark.parametrize("family", ["net", "turned"])
def test_what_lines_alone_make_believe_is_looked_into(family: str) -> None:
    function = make_tangled(f"tangled:{family}?n=4&seed=0")
    start = function.space.low + function.formula.middle * function.space.width
    found = grown(function, start, 80)
    assert found.forward_queries[0] > 1 + 2 * 4 * 4
    assert exact_moments(function, found.regions)[0][0] >= 0.5
    assert found.regions.share()[0] > 0.01


def test_profiles_are_believed_where_scores_off_the_lines_agree() -> None:
    def is_plain(function: ScoreFunction, start: FloatArray) -> bool:
        optimizer = BoxQuadrature(Questions(function.space, start))
        run(optimizer, QueryOracle(function, budget=1 + 4 * 4 + 6 + 8))
        return bool(optimizer.save()["state.is_plain"][0])

    product, net = synthetic("plateau", 4), make_tangled("tangled:net?n=4&seed=0")
    assert not is_plain(product, product.plateau.center[0])
    assert is_plain(net, net.space.low + net.formula.middle * net.space.width)


def test_the_best_box_of_ten_parameters_is_tiny_and_worth_a_search() -> None:
    function = synthetic("hill", 10)
    found = grown(function, function.plateau.center[0], 105)
    assert found.status == [BUDGET]
    assert found.regions.share()[0] > 0.2 * function.optimum(function.plateau.center[0]).share


def test_a_trajectory_ends_when_it_holds_as_many_scores_as_it_may() -> None:
    found = grown(synthetic("hill", 2), np.array([200.0, 40.0]), 1000, most_queries=30)
    assert found.status == [CONVERGED]
    assert found.forward_queries[0] <= 30


@pytest.mark.parametrize(
    "wrong",
    [{"confidence": 0.5}, {"batch": 0}, {"batch": 2.5}, {"epsilon_m": 0.4}, {"score_width": 8.0}, {"optimism": -1}],
    ids=str,
)
def test_a_hyper_parameter_out_of_its_limits_is_an_error(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        BoxQuadratureSettings.from_mapping(wrong)
