"""Searches for failing views: what each asks, what counts as found, regions of failures, and what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import baselines  # noqa: F401 - fills the registry
from baselines.experiments.answers import GatheredAnswers, KeptAnswers
from baselines.experiments.failures import FailureSettings, Search, ask, find_ahead, find_failures
from baselines.experiments.pool import Workers
from baselines.experiments.search_comparison import angles_away, summed
from baselines.viewfool import gaussian_step
from semrob_env.errors import InvalidBudgetError, InvalidParameterError, UnknownNameError
from semrob_env.functions import CallableFunction, make_function
from semrob_env.metrics import distances
from semrob_env.parameters import SemanticSpace
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")


def two_holes(theta: FloatArray) -> FloatArray:
    """1, but for two smooth holes: around azimuth 0, across the seam, and around azimuth 180."""
    near = np.abs((theta[:, 0] + 90) % 180 - 90) / 35
    deep = np.maximum(near, np.abs(theta[:, 1] - 40) / 25)
    return np.asarray(np.clip(deep - 0.4, 0, 1))


HOLES = CallableFunction(SPACE, two_holes, name="two holes")
SEARCHES = [
    "random_attack",
    "grid_attack",
    "surrogate_attack",
    "bayesian_attack",
    "nevergrad_attack",
    "viewfool",
    "fgsm",
    "pgd",
]


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_never_spends_more_than_its_budget_and_repeats_itself(name: str) -> None:
    asked, again = (ask(Search.of(name), HOLES, 0, 50, seed=3) for _ in range(2))
    assert asked.theta.tobytes() == again.theta.tobytes()
    assert 30 <= asked.forward_queries + asked.gradient_queries <= 50
    np.testing.assert_array_equal(asked.scores, two_holes(asked.theta))


def test_workers_find_what_is_found_here_and_only_the_parent_keeps_it(tmp_path: Path) -> None:
    names = [f"synthetic:hill?n=2&seed={seed}" for seed in range(3)]
    asked: dict[str, Any] = {"search": Search.of("random_attack"), "budget": 40, "seed": 5, "region_budget": 20}
    kept, done = KeptAnswers(tmp_path / "answers.sqlite"), []
    for _ in range(2):  # the second time there is nothing left to ask
        find_ahead(names, kept, workers=Workers(2), on_function=lambda: done.append(1), certificate_points=80, **asked)
    assert len(done) == len(names)
    for name in names:
        alone, there = GatheredAnswers(), GatheredAnswers()
        find_failures(name, kept=alone, certificate_points=80, **asked)
        there.add(kept.find(list(alone)))
        assert there == alone


def test_a_search_by_gradients_pays_for_them_and_for_the_probes_of_differences() -> None:
    hill = make_function("synthetic:hill?n=2&seed=0")
    exact, estimated = (ask(Search.of(name), hill, 0, 66) for name in ("pgd", "pgd+differences"))
    assert exact.gradient_queries == exact.forward_queries > 0
    assert (estimated.gradient_queries, estimated.forward_queries % 5) == (0, 0)
    assert exact.spent()[-1] == 2 * exact.forward_queries
    assert exact.spent(0.5)[-1] == 1.5 * exact.forward_queries


def test_searches_that_follow_one_start_begin_at_many_others_fill_the_space_from_one() -> None:
    steps = ask(Search.of("fgsm"), make_function("synthetic:hill?n=2&seed=0"), 0, 40).theta[:10]
    assert len(np.unique(steps, axis=0)) == 10
    asked = ask(Search.of("random_attack"), HOLES, 0, 400).theta
    assert (np.histogram(asked[:, 0], 4, (0, 360))[0] > 60).all()
    assert (np.histogram(asked[:, 1], 4, (-10, 90))[0] > 60).all()


def test_a_grid_has_one_point_in_every_cell_of_the_space() -> None:
    asked = ask(Search.of("grid_attack"), HOLES, 0, 52).theta
    assert len(asked) == 49
    cells = np.floor((asked - SPACE.low) % 360 / SPACE.width * 7).astype(int)
    middle = np.sort(np.unique(np.round((asked[:, 1] - SPACE.low[1]) / SPACE.width[1] * 7, 9)))
    np.testing.assert_allclose(middle, np.arange(7) + 0.5)
    assert len({tuple(cell) for cell in cells.tolist()}) == 49


@pytest.mark.slow
def test_the_surrogate_finds_more_failures_than_uniform_points_and_both_holes() -> None:
    for seed in range(3):
        ours, random = (
            find_failures(HOLES, search=name, budget=60, regions=0, seed=seed)
            for name in ("surrogate_attack", "random_attack")
        )
        assert ours.found > 1.5 * random.found
        sides = {round(float(view.theta[0]) / 180) % 2 for view in ours.views}  # of the holes
        assert sides == {0, 1}


def test_a_search_can_look_for_high_scores() -> None:
    for name in ("surrogate_attack", "viewfool"):
        method = name + ":seeks=high"
        theta = ask(
            Search.of(method), CallableFunction(SPACE, lambda t: 1 - two_holes(t), name="two holes"), 0, 40
        ).theta
        assert two_holes(theta[12:]).mean() < two_holes(theta[:12]).mean()


def test_viewfool_follows_the_slope_of_expected_loss_and_entropy() -> None:
    """The slopes of the paper's formulas beside differences of the objective, by the same normal numbers."""
    rng = np.random.default_rng(0)
    drawn, weight = rng.standard_normal((200_000, 2)), 0.3
    mu, log_sigma = np.array([0.3, -0.2]), np.log(np.array([0.6, 0.9]))

    def loss(u: FloatArray) -> FloatArray:
        return np.asarray(np.tanh(u[:, 0]) + 0.5 * np.tanh(u[:, 1]) ** 2)

    def objective(mu: FloatArray, log_sigma: FloatArray) -> float:
        u = mu + np.exp(log_sigma) * drawn
        entropy = log_sigma.sum() + np.log(1 - np.tanh(u) ** 2).sum(axis=1).mean()
        return float(loss(u).mean() + weight * entropy)

    state = {"mu": mu, "log_sigma": log_sigma, "moments": np.zeros((2, 2, 2))}
    moved = gaussian_step(state, drawn, loss(mu + np.exp(log_sigma) * drawn), step=1, rate=0.1, entropy=weight)
    slopes, step = moved["moments"][0] / 0.1, 1e-4
    for k, unit in enumerate(np.eye(2)):
        by_mu = objective(mu + step * unit, log_sigma) - objective(mu - step * unit, log_sigma)
        by_sigma = objective(mu, log_sigma + step * unit) - objective(mu, log_sigma - step * unit)
        assert slopes[0, k] == pytest.approx(by_mu / (2 * step), abs=0.01)
        assert slopes[1, k] == pytest.approx(by_sigma / (2 * step), abs=0.01)
    np.testing.assert_allclose(moved["mu"] - mu, 0.1 * np.sign(slopes[0]), atol=1e-6)


def test_viewfool_comes_to_ask_where_the_score_is_low() -> None:
    theta = ask(Search.of("viewfool"), HOLES, 0, 300, seed=1).theta
    assert two_holes(theta[-60:]).mean() < 0.5 * two_holes(theta[:60]).mean()


@pytest.mark.slow
def test_failures_are_the_lowest_ones_unlike_each_other_with_their_regions() -> None:
    found = find_failures(HOLES, budget=60, regions=2, count=4, region_budget=40)
    scores = [view.unit_score for view in found.views]
    assert scores == sorted(scores)
    assert max(scores) < 0.5
    theta = np.array([view.theta for view in found.views])
    apart = distances(SPACE, theta[:, None], theta[None])[~np.eye(len(theta), dtype=bool)]
    assert apart.min() >= 0.15
    assert found.found == int((two_holes(found.asked.theta) < 0.5).sum())
    grid = SPACE.grid([181, 101])
    certified = [region for region in found.regions if region.is_certified]
    assert certified
    for region in certified:
        inside = grid[region.sure.contains(grid[None])[0]]
        assert (two_holes(inside) < 0.5).mean() >= 0.9
        assert region.least >= 0.9
    shares = [region.share for region in found.regions]
    assert shares == sorted(shares, reverse=True)
    assert found.bill["search"] == 60
    assert found.bill["certificates"] % 64 == 0


def test_what_is_kept_is_not_asked_again_and_is_the_same(tmp_path: Path) -> None:
    calls: list[int] = []

    def counted(theta: FloatArray) -> FloatArray:
        calls.append(len(theta))
        return two_holes(theta)

    function, kept = CallableFunction(SPACE, counted, name="two holes"), KeptAnswers(tmp_path / "answers.sqlite")
    first = find_failures(function, budget=30, regions=1, region_budget=20, kept=kept)
    assert sum(calls) == sum(first.bill.values()) + len(first.views)
    calls.clear()
    again = find_failures(function, budget=30, regions=1, region_budget=20, kept=kept)
    assert sum(calls) == len(again.views)
    assert again.to_rows() == first.to_rows()
    assert again.bill == first.bill
    assert again.regions[0].sure == first.regions[0].sure
    calls.clear()
    find_failures(function, budget=31, regions=0, kept=kept)
    assert sum(calls) > 30, "another budget is another search"


def test_a_function_without_failures_has_none() -> None:
    found = find_failures(CallableFunction(SPACE, lambda theta: np.ones(len(theta)), name="good"), budget=30)
    assert (found.found, found.found_distinct, found.views, found.regions, found.to_rows()) == (0, 0, (), (), [])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"search": "naive"}, InvalidParameterError, "naive recommends regions; a comparison is one of points"),
        ({"search": "nothing"}, UnknownNameError, "unknown method 'nothing'"),
        ({"search": "viewfool+differences"}, InvalidParameterError, "viewfool uses no gradient"),
        ({"search": "pgd:radius=3"}, InvalidParameterError, "radius"),
        ({"search": "pgd", "budget": 4}, InvalidBudgetError, "one step of pgd costs 5 queries"),
        ({"level": 1.0}, InvalidParameterError, "a level in"),
        ({"count": 0}, InvalidParameterError, "give at least 1"),
    ],
    ids=str,
)
def test_what_cannot_be_searched_is_told(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        find_failures(HOLES, **{"budget": 20, **arguments})  # type: ignore[arg-type]


def test_a_run_is_summed_up_as_by_hand() -> None:
    theta = np.array([[10.0, 0.0], [350.0, 30.0], [120.0, 40.0], [352.0, 31.0]])
    asked = FailureSettings(SPACE, theta, np.array([0.9, 0.4, 0.1, 0.2]), np.array([1, 0, 1, 0]))
    own = summed(asked, np.array([5.0, 20.0]), 0.5)
    # Views 2 to 4 fail: 15 and 10, 115 and 20, 13 and 11 degrees away; the second and the last are neighbors.
    assert (own.queries, own.failures, own.distinct, own.first) == (6.0, 3, 2, 3.0)
    assert own.nearest_degrees == 13.0
    assert own.nearest_euclidean == pytest.approx(np.hypot(13, 11))
    nothing = summed(asked, np.array([5.0, 20.0]), 0.05)
    assert (nothing.failures, nothing.first, nothing.nearest_degrees) == (0, np.inf, np.inf)


def test_only_angles_are_distances_in_degrees() -> None:
    space = SemanticSpace.of("azimuth,distance")
    away = angles_away(space, np.array([[359.0, 3.0], [20.0, 6.0]]), np.array([1.0, 2.0]))
    assert away.tolist() == [[2.0], [19.0]]
    assert angles_away(SemanticSpace.of("distance"), np.array([[3.0]]), np.array([2.0])).tolist() == [[0.0]]
