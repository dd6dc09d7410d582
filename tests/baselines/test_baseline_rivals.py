"""Methods made for the question, and what they are made of, against plain ways to the same."""

from __future__ import annotations

import numpy as np
import pytest

import baselines  # noqa: F401 - fills the registry
from baselines.area_search import _chances
from baselines.lines_product import ProductModel
from baselines.prim import bump
from baselines.sobol_box import sobol_points
from baselines.solution_box import trimmed
from optimizers.registry import OPTIMIZERS
from optimizers.run import run
from optimizers.surrogate.criteria import MeanCriterion
from optimizers.surrogate.method import Model, greedy
from optimizers.surrogate.process import Lattice, Process, fit, generic_prior, parts_of
from optimizers.surrogate.separable import Profiles
from semrob_env.functions import make_function
from semrob_env.ground_truth import exact_moments, optimum
from semrob_env.oracle import QueryOracle
from semrob_env.questions import MeanGoal, Questions, read_goal
from semrob_env.regions import Regions
from semrob_env.synthetic import SyntheticFunction

RIVALS = ("solution_box", "prim", "area_search", "level_set", "gp_box", "sobol_box", "lines_product")


@pytest.mark.slow
@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("goal", ["mean=0.5,variance=0.15", "reliability=0.9,level=0.5"])
def test_every_rival_finds_a_feasible_part_of_a_hill_across_the_seam(name: str, goal: str) -> None:
    hill, wanted = make_function("synthetic:seam?n=2&seed=1"), read_goal(goal)
    assert isinstance(hill, SyntheticFunction)
    start = hill.plateau.center[0]
    result = run(OPTIMIZERS[name](Questions(hill.space, start, goal=wanted, budget=80)), QueryOracle(hill, budget=80))
    mean, variance = exact_moments(hill, result.regions, goal=wanted)
    good = wanted.is_met(mean + 0.05, variance - 0.03)[0]  # rivals are as good as they are: nearly feasible will do
    best = optimum(hill, start, wanted).share
    assert good, "the region is far from feasible"
    assert result.regions.share()[0] > (0.15 if name == "solution_box" else 0.4) * best


@pytest.mark.parametrize("name", ["solution_box", "prim"])
def test_a_margin_leaves_room_under_a_small_variance(name: str) -> None:
    hill, goal = make_function("synthetic:seam?n=2&seed=1"), MeanGoal(0.5, 0.05)
    assert isinstance(hill, SyntheticFunction)
    start = hill.plateau.center[0]
    result = run(OPTIMIZERS[name](Questions(hill.space, start, goal=goal, budget=80)), QueryOracle(hill, budget=80))
    assert result.regions.share()[0] > 0.4 * optimum(hill, start, goal).share


def test_the_plain_process_is_one_product_kernel() -> None:
    prior, deviation = generic_prior(3)
    periodic = np.array([True, False, False])
    rng = np.random.default_rng(0)
    points = rng.random((40, 3)) - np.where(periodic, 0.5, 0.0)
    scores = 0.5 + 0.4 * np.cos(2 * np.pi * points[:, 0]) * points[:, 1]
    logs = fit(prior, points, scores, periodic, None, (prior, deviation))
    (part,) = parts_of(logs, periodic, with_feature=False)
    assert part.share < 1e-9
    np.testing.assert_array_equal(logs[deviation == 0], prior[deviation == 0])
    process = Process(logs, points, scores, Lattice.around(np.array([0.0, 0.5, 0.5]), periodic, 4), None)
    mean, deviations = process.marginals(np.zeros(40), process.cross(points, np.zeros(40)))
    assert np.abs(mean - scores).max() < 0.05
    assert deviations.max() < 0.1


def test_points_of_a_batch_are_those_that_are_least_certain_one_after_the_other() -> None:
    rng = np.random.default_rng(1)
    logs, _ = generic_prior(2)
    lattice = Lattice.around(np.full(2, 0.5), np.zeros(2, dtype=np.bool_), 4)
    points, scores, places = rng.random((9, 2)), rng.random(9), rng.random((50, 2))
    chosen = greedy(Process(logs, points, scores, lattice, None), places, 3, lambda mean, deviation: deviation.copy())
    for one in chosen:  # the slow way: a process that was told the points before
        process = Process(logs, points, scores, lattice, None)
        spread = process.marginals(np.zeros(50), process.cross(places, np.zeros(50)))[1]
        np.testing.assert_array_equal(one, places[spread.argmax()])
        points, scores = np.concatenate([points, one[None]]), np.append(scores, 0.5)


def test_prim_peels_to_the_bump_and_pastes_back_what_fits() -> None:
    points = sobol_points(2, 512)
    scores = np.asarray((np.abs(points - [0.4, 0.6]) <= [0.2, 0.3]).all(axis=1), dtype=np.float64)
    lower, upper = bump(points, scores, np.array([0.45, 0.5]), np.zeros(2), MeanGoal(0.05), 0.05, 0.01)
    np.testing.assert_allclose([lower, upper], [[0.2, 0.3], [0.6, 0.9]], atol=0.04)
    nowhere = bump(points, np.zeros(512), np.array([0.45, 0.5]), np.zeros(2), MeanGoal(0.5), 0.05, 0.01)
    np.testing.assert_array_equal(nowhere, [[0.45, 0.5], [0.45, 0.5]])


def test_sobol_points_begin_alike_and_fill_the_cube() -> None:
    np.testing.assert_array_equal(sobol_points(3, 7), sobol_points(3, 100)[:7])
    assert (np.bincount((sobol_points(2, 64) * 8).astype(int)[:, 0]) == 8).all()


def test_a_trimmed_box_has_lost_its_bad_points_but_not_its_start() -> None:
    points = np.array([[0.3, 0.0], [-0.2, 0.1], [0.1, -0.3], [0.05, 0.05]])
    goal = read_goal("reliability=1,level=0.5")
    box, purity = trimmed(points, np.array([0.0, 1.0, 1.0, 1.0]), np.full((2, 2), 0.4), goal)
    assert purity == 0.75
    np.testing.assert_allclose(box, [[0.4, 0.4], [0.2, 0.4]])  # half-way between 0.3, bad, and 0.1, good
    same, all_good = trimmed(points, np.ones(4), np.full((2, 2), 0.4), goal)
    assert all_good == 1
    assert (same == 0.4).all()


def test_the_chance_to_be_surely_above_is_that_of_simulated_answers() -> None:
    rng = np.random.default_rng(2)
    above, variance, gained, quantile = 0.03, 0.01, 0.006, 0.84
    after = above + np.sqrt(gained) * rng.standard_normal(200_000)
    simulated = np.mean(after - quantile * np.sqrt(variance - gained) > 0)
    told = _chances(np.array([above]), np.array([variance]), np.array([[gained]]), quantile)[0, 0]
    assert told == pytest.approx(simulated, abs=5e-3)


def test_the_product_of_lines_knows_means_and_variances_of_a_product() -> None:
    function = make_function("synthetic:plateau?n=3&seed=0")
    assert isinstance(function, SyntheticFunction)
    space, center = function.space, function.plateau.center[0]
    periodic, own = np.array(space.is_periodic), np.where(space.is_periodic, 0.0, space.to_unit(center))
    away = np.linspace(-0.49, 0.49, 99)
    points = np.concatenate([own[None], *(own + np.outer(away, np.eye(3)[k]) for k in range(3))])
    points = points[((points >= 0) & (points <= 1) | periodic).all(axis=1)]
    native = np.where(periodic, center + points * space.width, space.low + points * space.width)
    scores = function.values(space.project(native)[None])[0]
    goal = MeanGoal(0.4, 0.2)
    model = ProductModel(Profiles(own, periodic, points, scores), points, scores, own, periodic, goal)
    boxes = np.array([[[8, 8], [20, 20], [20, 20]], [[14, 10], [30, 10], [4, 40]]])
    lower, upper = model.lattice.bounds(boxes)
    sides = [np.where(periodic, center, space.low) + side * space.width for side in (lower, upper)]
    mean, variance = exact_moments(function, Regions(space, *sides).clip())
    margins = model.margins(boxes, np.zeros(2))
    np.testing.assert_allclose(margins[:, 0] + goal.least, mean, atol=0.05)
    np.testing.assert_allclose(goal.most_variance - margins[:, 1], variance, atol=0.05)
    assert isinstance(model.best(0.0), np.ndarray)


def test_models_offer_places_in_the_space() -> None:
    periodic, center = np.array([True, False]), np.array([0.0, 0.3])
    process = Process(generic_prior(2)[0], center[None], np.ones(1), Lattice.around(center, periodic, 96), None)
    places = Model(MeanCriterion(process, MeanGoal()), center, None).places(0, 200)
    assert (places.min(axis=0) >= [-0.5, 0.0]).all()
    assert (places.max(axis=0) <= [0.5, 1.0]).all()
