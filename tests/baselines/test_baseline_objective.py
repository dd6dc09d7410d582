"""The objective that all searches share: candidates to bounds, and no answer by luck."""

from __future__ import annotations

import numpy as np
import pytest

import baselines  # noqa: F401 - fills the registry
from baselines.objective import (
    SearchSettings,
    bounds,
    latin_hypercube,
    mean_side,
)
from optimizers.registry import OPTIMIZERS
from optimizers.run import run
from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.functions import CallableFunction
from semrob_env.metrics import Judge, judge_regions
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import AZIMUTH, ELEVATION, SemanticSpace
from semrob_env.questions import Questions
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

SPACE = SemanticSpace((AZIMUTH, ELEVATION))
START = np.array([[130.0, 30.0]])


@pytest.mark.parametrize(
    ("candidate", "lower", "upper"),
    [
        ([0, 0, 0, 0], [130, 30], [130, 30]),
        ([0.25, 0.5, 0.5, 0.1], [40, 10], [310, 36]),
        ([0, 1, 0, 1], [130, -10], [130, 90]),
        ([0.75, 0, 0.25, 0], [-140, 30], [220, 30]),  # one turn, reached by both sides as far as each goes
        ([1, 0, 1, 0], [-50, 30], [310, 30]),
        ([0.9, 0, 0.3, 0], [-140, 30], [220, 30]),
    ],
)
def test_a_candidate_is_bounds_around_the_start(candidate: list[float], lower: list[float], upper: list[float]) -> None:
    low, high = bounds(SPACE, START, np.array([candidate], dtype=np.float64))
    np.testing.assert_allclose([low[0], high[0]], [lower, upper], rtol=0, atol=1e-12)


def test_every_box_around_a_start_is_a_candidate() -> None:
    rng = np.random.default_rng(0)
    starts = SPACE.sample(200, rng)
    turn, cut = rng.uniform(0, 360, 200), rng.random(200)
    lower = np.stack([starts[:, 0] - cut * turn, rng.uniform(-10, starts[:, 1])], axis=1)
    upper = np.stack([lower[:, 0] + turn, rng.uniform(starts[:, 1], 90)], axis=1)
    down = np.stack([(starts - lower)[:, 0] / 360, (starts - lower)[:, 1] / (starts[:, 1] + 10)], axis=1)
    up = np.stack([(upper - starts)[:, 0] / 360, (upper - starts)[:, 1] / (90 - starts[:, 1])], axis=1)
    low, high = bounds(SPACE, starts, np.concatenate([down, up], axis=1))
    np.testing.assert_allclose(low, lower, rtol=0, atol=1e-9)
    np.testing.assert_allclose(high, upper, rtol=0, atol=1e-9)


def test_bounds_hold_the_start_at_every_edge() -> None:
    rng = np.random.default_rng(1)
    starts = np.array([[0.0, -10.0], [359.99999999999994, 90.0], [1e-12, 1e-12]] * 50)
    region = Regions(SPACE, *bounds(SPACE, starts, rng.random((150, 4)))).clip()
    assert region.contains(starts).all()


def test_the_mean_side_orders_boxes_as_volume_does() -> None:
    rng = np.random.default_rng(2)
    lower, upper = bounds(SPACE, np.repeat(START, 50, axis=0), rng.random((50, 4)))
    share = Regions(SPACE, lower, upper).share()
    np.testing.assert_allclose(mean_side(SPACE, lower, upper) ** 2, share, rtol=1e-12)


def test_a_latin_hypercube_has_a_point_in_every_part_of_every_axis() -> None:
    points = latin_hypercube(7, 3, np.random.default_rng(3))
    assert np.sort(np.floor(points * 7), axis=0).tolist() == [[part] * 3 for part in range(7)]


def test_a_latin_hypercube_estimates_the_mean_without_bias() -> None:
    rng = np.random.default_rng(4)
    draws = np.array([(latin_hypercube(4, 2, rng).prod(axis=1) ** 2).mean() for _ in range(20_000)])
    assert abs(draws.mean() - 1 / 9) < 4 * draws.std() / np.sqrt(len(draws))


def test_the_answer_of_a_search_is_safe_where_scores_are_0_and_1_at_random() -> None:
    """A fine pattern of 0 and 1 whose mean falls with the distance: few points of one box are off by a quarter."""

    def scores(theta: FloatArray) -> FloatArray:
        fine = np.modf(np.abs(np.sin(theta @ np.array([12.9898, 78.233])) * 43758.5453))[0]
        return np.asarray((fine < 0.9 - np.abs(theta[:, 1] - 30) / 60).astype(np.float64))

    function, method, shares = CallableFunction(SPACE, scores), OPTIMIZERS["random_search"], []
    for caution in (0.0, 3.0):
        settings = method.settings_class.from_mapping({"caution": caution})
        optimizer = method(Questions(SPACE, np.repeat(START, 3, axis=0), budget=50), settings=settings)
        result = run(optimizer, QueryOracle(function, trajectories=3, budget=50))
        shares.append(float(result.regions.share().mean()))
    assert judge_regions(function, result.regions, judge=Judge(points=1024)).feasible.all()
    assert 0.2 < shares[1] < shares[0]


@pytest.mark.parametrize("name", ["grid", "random_search", "nevergrad", "scipy", "cma_es"])
@pytest.mark.parametrize(
    "wrong",
    [{"epsilon_m": 0.4}, {"epsilon_v": 0.2}, {"budget": 100}],
)
def test_no_search_has_goal_or_budget_among_its_settings(name: str, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidParameterError, match=f"unknown hyperparameter '{next(iter(wrong))}'") as raised:
        OPTIMIZERS[name].settings_class.from_mapping(wrong)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["grid", "random_search", "nevergrad", "scipy", "cma_es", "bayesian"])
def test_every_search_asks_for_a_budget(name: str) -> None:
    with pytest.raises(InvalidBudgetError, match=f"{name} plans by its budget: ask questions with one"):
        OPTIMIZERS[name](Questions(SPACE, START))


@pytest.mark.parametrize("wrong", [{"points": 0}, {"caution": -1.0}, {"caution": np.nan}, {"most_queries": 1}])
def test_a_search_refuses_settings_out_of_their_limits(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        SearchSettings.from_mapping(wrong)
