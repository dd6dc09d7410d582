"""Distributions of failures: where they settle, and the box that holds most of them."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.failure_distribution import FailureDistribution, FailureDistributionSettings, smallest_box
from optimizers.check import check_optimizer
from optimizers.run import run
from semrob_env.functions import CallableFunction
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Questions
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
MODELS = ("gaussian", "induced")


def bump(theta: FloatArray) -> FloatArray:
    """High around azimuth 0, across the seam, and elevation 60."""
    away = np.abs((theta[:, 0] + 180) % 360 - 180) / 60
    return np.asarray(np.exp(-(away**2) - ((theta[:, 1] - 60) / 20) ** 2))


def found(model: str, budget: int, seed: int = 0) -> Regions:
    settings = FailureDistributionSettings.from_mapping({"model": model})
    questions = Questions(SPACE, [[60.0, 40.0]])
    optimizer = FailureDistribution(questions, settings=settings, seed=seed)
    return run(optimizer, QueryOracle(CallableFunction(SPACE, bump), budget=budget)).regions


@pytest.mark.slow
def test_the_other_model_keeps_every_promise_of_an_optimizer_too() -> None:
    check_optimizer(FailureDistribution, settings=FailureDistributionSettings.from_mapping({"model": "induced"}))


@pytest.mark.parametrize("model", MODELS)
def test_the_box_settles_across_the_seam_where_scores_are_high(model: str) -> None:
    rng = np.random.default_rng(1)
    for seed in range(3):
        before, after = found(model, 10, seed), found(model, 150, seed)
        low, high = (float(bump(own.sample(2000, [rng])[0]).mean()) for own in (before, after))
        assert high > max(2 * low, 0.5)
        assert after.share()[0] < 0.2 < before.share()[0]
    seam = [own.lower[0, 0] < 360 < own.upper[0, 0] for own in (found(model, 150, seed) for seed in range(6))]
    assert any(seam)


def test_the_smallest_box_of_one_parameter_is_the_shortest_arc_of_all() -> None:
    space, rng = SemanticSpace.of("azimuth"), np.random.default_rng(0)
    points = (rng.normal(350, 25, size=(60, 1)) + np.where(rng.random((60, 1)) < 0.1, 150, 0)) % 360
    lower, upper = smallest_box(space, points, 0.9)
    kept, twice = 54, np.sort(np.concatenate([points[:, 0], points[:, 0] + 360]))
    shortest = (twice[kept - 1 :] - twice[: len(twice) - kept + 1])[:60].min()
    # The arc cut at the widest gap: the shortest one does not cross that.
    assert (upper - lower)[0] == pytest.approx(shortest)
    assert Regions(space, [lower], [upper]).contains(points[None])[0].sum() >= kept  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [2, 4])
def test_a_box_holds_the_mass_it_is_asked_for_and_leaves_outliers_out(n: int) -> None:
    space = SemanticSpace.of(("azimuth,elevation", "azimuth,elevation,distance,light_azimuth")[n // 4])
    rng = np.random.default_rng(n)
    unit = np.clip(rng.normal(0.5, 0.04, size=(200, n)), 0, 1)
    unit[:10] = rng.random((10, n))
    points = space.from_unit(unit)
    lower, upper = smallest_box(space, points, 0.9)
    box = Regions(space, lower[None], upper[None])
    wider = Regions.around(space, (lower + upper) / 2, (upper - lower) / 2 + 1e-9)  # ends are points, but for rounding
    assert wider.contains(points[None])[0].sum() >= 180
    assert box.share()[0] < 0.25**n
