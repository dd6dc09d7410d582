"""Functions that are no products: exact means against points, optima against brute force, and that they are none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError, NoGroundTruthError, UnknownNameError
from semrob_env.functions import make_function
from semrob_env.ground_truth import exact_moments, optimum
from semrob_env.questions import Goal, read_goal
from semrob_env.regions import Regions
from semrob_env.synthetic import TANGLED, TangledFunction, make_synthetic, make_tangled

EVERY = pytest.mark.parametrize("family", TANGLED)


def drawn(function: TangledFunction, count: int) -> Regions:
    """Boxes near the middle, some across the seam."""
    rng = np.random.default_rng(3)
    start = function.starts(count, rng)
    out = 0.4 * rng.random((2, count, function.space.n)) * function.space.width
    low, high = start - out[0], start + out[1]
    plain = ~np.array(function.space.is_periodic)
    low, high = (
        np.where(plain, np.maximum(low, function.space.low), low),
        np.where(plain, np.minimum(high, function.space.high), high),
    )
    return Regions(function.space, low, high).clip()


@EVERY
@pytest.mark.parametrize("n", [2, 6])
def test_means_are_those_of_many_random_points(family: str, n: int) -> None:
    function = make_tangled(f"tangled:{family}?n={n}&seed=1")
    regions = drawn(function, 4)
    mean, variance = exact_moments(function, regions)
    fractions = np.random.default_rng(0).random((4, 2**15, n))
    theta = function.space.project(
        np.stack([
            lower + part * (upper - lower)
            for lower, upper, part in zip(regions.lower, regions.upper, fractions, strict=True)
        ])
    )
    scores = np.stack([function.values(points[None])[0] for points in theta])
    np.testing.assert_allclose(mean, scores.mean(axis=1), atol=0.01)
    np.testing.assert_allclose(variance, scores.var(axis=1), atol=0.01)
    good, _ = exact_moments(function, regions, goal=read_goal("reliability=0.9,level=0.5"))
    np.testing.assert_allclose(good, (scores >= 0.5).mean(axis=1), atol=0.015)


@EVERY
@pytest.mark.parametrize("goal", ["mean=0.5", "mean=0.4,variance=0.08", "reliability=0.9,level=0.5"])
def test_the_optimum_is_close_to_the_best_of_all_boxes_on_a_grid(family: str, goal: str) -> None:
    function, wanted = make_tangled(f"tangled:{family}?n=2&seed=2"), read_goal(goal)
    start = function.starts(1, np.random.default_rng(1))[0]
    found = optimum(function, start, wanted)
    best = on_a_grid(function, start, wanted)
    assert found.share > 0.9 * best
    if found.region is not None:
        assert wanted.is_met(*exact_moments(function, found.region, goal=wanted)).all()
        assert found.region.contains(start[None]).all()


def on_a_grid(function: TangledFunction, start: np.ndarray, goal: Goal) -> float:
    """The largest share of a feasible box whose sides are cells of a grid, by sums over cells."""
    space, cells = function.space, 48
    own = space.to_unit(start)
    middle = (np.arange(cells) + 0.5) / cells
    grid = np.stack(np.meshgrid(middle - 0.5 + own[0], middle, indexing="ij"), axis=-1)
    scores = goal.counted(function.values(space.project(space.low + grid * space.width)))
    sums = np.zeros((2, cells + 1, cells + 1))
    for power in (1, 2):
        sums[power - 1, 1:, 1:] = (scores**power).cumsum(axis=0).cumsum(axis=1)
    best, at = 0.0, (cells // 2, int(own[1] * cells))
    for left, right in itertools.product(range(at[0] + 1), range(at[0] + 1, cells + 1)):
        low, high = np.arange(at[1] + 1)[:, None], np.arange(at[1] + 1, cells + 1)
        count = (right - left) * (high - low)
        strip = sums[:, right] - sums[:, left]
        part = strip[:, None, high] - strip[:, low]
        mean, square = part / count
        fits = goal.is_met(mean, square - mean**2)
        best = max(best, float(np.where(fits, count, 0).max()) / cells**2)
    return best


@EVERY
def test_none_is_a_product_of_profiles(family: str) -> None:
    # Of a product, f - low has rank 1 over a grid of two parameters.
    function = make_tangled(f"tangled:{family}?n=2&seed=0")
    axes = [
        np.linspace(low, high, 40, endpoint=False)
        for low, high in zip(function.space.low, function.space.high, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    scores = function.values(grid)
    _, sizes, _ = np.linalg.svd(scores - scores.min())
    assert sizes[1] > 0.05 * sizes[0]


@EVERY
def test_an_id_gives_the_same_function_again_and_another_seed_another_one(family: str) -> None:
    function = make_function(f"tangled:{family}?seed=3")
    assert function.id == f"tangled:{family}?n=2&seed=3"
    theta = function.space.sample(50, np.random.default_rng(0))[:, None]
    assert np.array_equal(function.values(theta), make_function(function.id).values(theta))
    assert not np.array_equal(function.values(theta), make_tangled(f"tangled:{family}?seed=4").values(theta))


def test_what_is_not_known_is_told() -> None:
    function = make_tangled("tangled:net?n=3")
    with pytest.raises(UnknownNameError, match="known are turned, "):
        make_tangled("tangled:knot?n=2")
    with pytest.raises(UnknownNameError, match="unknown option 'm'"):
        make_tangled("tangled:net?m=2")
    with pytest.raises(InvalidParameterError, match="from 1 to 20"):
        make_tangled("tangled:net?n=21")
    with pytest.raises(NoGroundTruthError, match="complement"):
        function.optimum(function.space.low, complement=True)


@pytest.mark.parametrize("n", [2, 4, 10])
def test_the_trap_away_from_the_start_is_on_no_line_through_it(n: int) -> None:
    function = make_synthetic(f"synthetic:away?n={n}&seed=0")
    start = function.starts(20, np.random.default_rng(0))
    trap = function.landscape.trap
    assert trap is not None
    scores = function.values(start[:, None])[:, 0]
    assert (scores > 0.8).mean() > 0.5
    outside = (start < (trap.center - trap.reach)).sum(axis=1)
    assert (outside >= 2).all()
    mean, _ = exact_moments(function, function.plateau)
    assert mean[0] < 0.95 - 0.1 * 0.9
