"""Synthetic functions: ids, values, gradients, exact moments, and the optimum against closed forms and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from semrob_env.errors import (
    InvalidParameterError,
    InvalidRegionError,
    NoGroundTruthError,
    OutOfSpaceError,
    SemrobError,
    UnknownNameError,
)
from semrob_env.functions import Complement, ScoreFunction, make_function
from semrob_env.ground_truth import exact_moments
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Goal, MeanGoal, ReliabilityGoal
from semrob_env.regions import Regions
from semrob_env.synthetic import FAMILIES, SyntheticFunction, make_synthetic
from semrob_env.types import FloatArray

EVERY = pytest.mark.parametrize("family", FAMILIES)


def center_of(function: SyntheticFunction) -> FloatArray:
    return np.asarray(function.plateau.center[0])


def near(function: SyntheticFunction, count: int, seed: int) -> FloatArray:
    """Points (count, n) around the bump, where the score is not only background."""
    steps = np.random.default_rng(seed).normal(size=(count, function.space.n)) * 0.1 * function.space.width
    return function.space.project(center_of(function) + steps)


@EVERY
@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_ids_round_trip(family: str, n: int) -> None:
    name = f"synthetic:{family}?n={n}&seed=7"
    function = make_function(name)
    assert function.id == name
    assert function.space.n == n
    assert make_synthetic(f"synthetic:{family}?seed=7&n={n}").id == name


def test_options_left_out_are_written_out() -> None:
    assert make_function("synthetic:plateau").id == "synthetic:plateau?n=2&seed=0"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("synthetic:cliff", UnknownNameError, "known are plateau"),
        ("synthetic:plateau?m=3", UnknownNameError, "known are n, seed"),
        ("synthetic:plateau?n=21", InvalidParameterError, "from 1 to 20"),
        ("synthetic:plateau?n=0", InvalidParameterError, "from 1 to 20"),
        ("synthetic:plateau?seed=-1", InvalidParameterError, "whole number"),
        ("synthetic:plateau?n=2.0", InvalidParameterError, "whole number"),
    ],
)
def test_bad_ids_say_what_is_allowed(name: str, error: type[SemrobError], message: str) -> None:
    with pytest.raises(error, match=message):
        make_function(name)


@pytest.mark.parametrize(
    ("name", "theta", "score"),
    [
        ("synthetic:plateau?n=2&seed=0", [284.48, 27.41], 0.6669978054685118),
        ("synthetic:seam?n=3&seed=1", [53.55, 74.58, 0.47], 0.6543293345885765),
        ("synthetic:trap?n=2&seed=2", [116.09, 59.9], 0.7242164098754362),
        ("synthetic:hill?n=4&seed=3", [261.13, 63.73, 0.59, 0.65], 0.5228555557691985),
        ("synthetic:ridge?n=3&seed=4", [0.0, 45.43, 1.0], 0.9319365010435162),
    ],
)
def test_an_id_means_the_same_function_for_ever(name: str, theta: list[float], score: float) -> None:
    assert make_function(name).values([[theta]])[0, 0] == pytest.approx(score, abs=1e-14)


@EVERY
def test_values_have_the_same_bits_whatever_the_batch(family: str) -> None:
    function = make_synthetic(f"synthetic:{family}?n=9&seed=1")
    theta = near(function, 101, 0)[:, None, :] + np.zeros((1, 3, 1))
    together = function.values(theta)
    alone = np.concatenate([function.values(theta[i : i + 1, 1:2]) for i in range(101)])
    assert np.array_equal(together[:, 1:2], alone)
    assert np.array_equal(function.values_and_gradients(theta)[0], together)


@EVERY
@pytest.mark.parametrize("n", [1, 3, 6])
def test_gradients_agree_with_differences(family: str, n: int) -> None:
    function = make_synthetic(f"synthetic:{family}?n={n}&seed=3")
    theta, step = near(function, 400, 1), 1e-7 * function.space.width
    _, gradients = function.values_and_gradients(theta[:, None])
    differences = np.empty((400, n))
    for k in range(n):
        ends = [function.space.project(theta + sign * step * np.eye(n)[k]) for sign in (1, -1)]
        above, below = (function.values(end[:, None])[:, 0] for end in ends)
        differences[:, k] = (above - below) / (2 * step[k])
    wrong = np.abs(gradients[:, 0] - differences) * function.space.width > 1e-4
    assert wrong.mean() < 0.005  # a kink may lie within a step
    assert np.abs(gradients).max() > 0


@pytest.mark.parametrize("n", [1, 2, 5])
def test_families_are_what_their_names_say(n: int) -> None:
    by_name = {family: make_synthetic(f"synthetic:{family}?n={n}&seed=2") for family in FAMILIES}
    tops = {name: float(f.values(center_of(f)[None, None])[0, 0]) for name, f in by_name.items()}
    assert tops["plateau"] == tops["seam"] == tops["ridge"] == tops["hill"] == 0.95
    assert tops["empty"] == pytest.approx(0.4)
    seam = by_name["seam"].plateau
    assert seam.contains(np.concatenate([[0.0], center_of(by_name["seam"])[1:]]))[0]
    assert seam.contains(np.concatenate([[359.999], center_of(by_name["seam"])[1:]]))[0]
    assert not by_name["plateau"].plateau.contains(np.concatenate([[0.0], center_of(by_name["plateau"])[1:]]))[0]
    ridge = by_name["ridge"]
    assert len(ridge.active) == 1
    elsewhere = ridge.space.sample(50, np.random.default_rng(0))
    elsewhere[:, ridge.active[0]] = center_of(ridge)[ridge.active[0]]
    assert (ridge.values(elsewhere[:, None]) == 0.95).all()
    trap = by_name["trap"]
    pocket = trap.landscape.trap
    assert pocket is not None
    assert trap.values(pocket.center[None, None])[0, 0] == pytest.approx(0.05)
    edge = trap.plateau
    corners = edge.space.project(np.stack([edge.lower[0] + 1e-9, edge.upper[0] - 1e-9]))
    assert trap.values(corners[:, None]).ravel().tolist() == [0.95, 0.95]


def box_mean_by_quadrature(function: ScoreFunction, box: Regions, points: int) -> tuple[float, float]:
    middle = (np.arange(points) + 0.5) / points
    grid = np.stack(np.meshgrid(*[middle] * function.space.n, indexing="ij"), axis=-1).reshape(-1, function.space.n)
    scores = function.values(box.from_fractions(grid))
    return float(scores.mean()), float(scores.var())


@EVERY
@pytest.mark.parametrize(("n", "points", "error"), [(1, 200_000, 1e-6), (2, 700, 1e-4), (3, 60, 3e-3)])
def test_exact_moments_agree_with_quadrature(family: str, n: int, points: int, error: float) -> None:
    function = make_synthetic(f"synthetic:{family}?n={n}&seed=5")
    rng = np.random.default_rng(4)
    half = rng.uniform(0.02, 0.5, (4, n)) * function.space.width
    boxes = Regions(function.space, *(near(function, 4, 5) + sign * half for sign in (-1, 1))).clip()
    mean, variance = function.exact_moments(boxes)
    for row in range(4):
        expected = box_mean_by_quadrature(function, boxes[row], points)
        assert (mean[row], variance[row]) == pytest.approx(expected, abs=error)


@pytest.mark.parametrize("family", ["plateau", "seam", "trap"])
@pytest.mark.parametrize("half_width", [0.0, 1e-9, 1e-5])
def test_exact_moments_of_specks_are_the_value_there(family: str, half_width: float) -> None:
    function = make_synthetic(f"synthetic:{family}?n=4&seed=0")
    points = near(function, 20, 6)
    mean, variance = function.exact_moments(Regions.around(function.space, points, half_width))
    assert mean == pytest.approx(function.values(points[:, None])[:, 0], abs=1e-3 * (half_width > 0) + 1e-12)
    assert (variance <= 1e-6).all()


def test_the_plateau_itself_has_the_top_score_exactly() -> None:
    function = make_synthetic("synthetic:seam?n=12&seed=3")
    mean, variance = function.exact_moments(function.plateau)
    assert mean[0] == 0.95
    assert variance[0] < 1e-30


@pytest.mark.parametrize("n", [1, 2, 4, 10, 20])
@pytest.mark.parametrize("epsilon_m", [0.051, 0.1, 0.2, 0.3])
def test_optimum_of_a_plateau_in_closed_form(n: int, epsilon_m: float) -> None:
    # From the centre all sides grow by one factor: half width h to h (1 + 0.4 y) with y the share of the flank, and
    # m(y) = (1 + 0.4 (y - y^2 / 2)) / (1 + 0.4 y) = c^(1/n), a quadratic in y; 0 <= y <= 1.
    function = make_synthetic(f"synthetic:plateau?n={n}&seed=11")
    mean = ((1 - epsilon_m - 0.05) / 0.9) ** (1 / n)
    linear = 0.4 * (1 - mean)
    y = (linear + np.sqrt(linear**2 + 0.8 * (1 - mean))) / 0.4
    factor = (1 + 0.4 * y) ** n
    if y > 1:  # whatever the order, beyond the flanks the volume is what the integral 1.2 h allows
        factor = 1.2**n / mean**n
    assert function.optimal_volume(center_of(function), MeanGoal(epsilon_m)) == pytest.approx(
        factor * function.plateau.volume()[0], rel=1e-8
    )


def test_optimum_of_a_ridge_spans_the_other_parameters() -> None:
    function = make_synthetic("synthetic:ridge?n=5&seed=1")
    optimum = function.optimum(center_of(function), MeanGoal(0.1))
    assert optimum.region is not None
    others = [k for k in range(5) if k not in function.active]
    assert np.array_equal(optimum.region.width[0, others], function.space.width[others])
    assert optimum.share == pytest.approx(
        optimum.region.width[0, function.active[0]] / function.space.width[function.active[0]]
    )


@pytest.mark.parametrize("n", [1, 2, 20])
def test_there_is_no_optimum_where_nothing_is_robust(n: int) -> None:
    empty = make_synthetic(f"synthetic:empty?n={n}&seed=0")
    optimum = empty.optimum(center_of(empty))
    assert (optimum.volume, optimum.share, optimum.region) == (0.0, 0.0, None)
    assert empty.optimal_volume(center_of(empty), MeanGoal(0.65)) > empty.plateau.volume()[0]


def test_the_plateau_alone_is_feasible_at_exact_equality() -> None:
    function = make_synthetic("synthetic:plateau?n=3&seed=0")
    share = function.optimal_share(center_of(function), MeanGoal(1 - 0.95))
    assert share == pytest.approx(function.plateau.share()[0], rel=1e-6)


def test_all_of_the_space_is_the_optimum_if_the_background_is_good_enough() -> None:
    function = make_synthetic("synthetic:hill?n=6&seed=0")
    assert function.optimum(function.space.low, MeanGoal(0.95)).share == 1.0


@EVERY
@pytest.mark.parametrize(("epsilon_m", "epsilon_v"), [(0.5, 0.25), (0.3, 0.02)])
def test_optimal_regions_contain_the_start_and_are_feasible(family: str, epsilon_m: float, epsilon_v: float) -> None:
    function = make_synthetic(f"synthetic:{family}?n=2&seed=4")
    for start in [*near(function, 1, 7), *function.space.sample(1, np.random.default_rng(8))]:
        optimum = function.optimum(start, MeanGoal(epsilon_m, epsilon_v))
        if optimum.region is None:
            continue
        mean, variance = function.exact_moments(optimum.region)
        assert mean[0] >= 1 - epsilon_m
        assert variance[0] <= epsilon_v
        assert optimum.region.contains(start)[0]
        assert optimum.region == optimum.region.clip()
        assert optimum.share == pytest.approx(optimum.volume / function.space.volume)


def test_a_variance_of_0_is_refused() -> None:
    with pytest.raises(NoGroundTruthError, match="variance of 0"):
        make_synthetic("synthetic:plateau").optimum([0.0, 0.0], MeanGoal(0.5, 0.0))


def test_starts_and_regions_of_other_spaces_are_refused() -> None:
    function = make_synthetic("synthetic:plateau")
    with pytest.raises(OutOfSpaceError, match="start has elevation=100"):
        function.optimum([0.0, 100.0])
    with pytest.raises(InvalidRegionError, match="over azimuth for"):
        function.exact_moments(Regions.whole(SemanticSpace.of("azimuth")))


def brute_force(function: ScoreFunction, start: FloatArray, goal: Goal, cells: int) -> float:
    """Largest feasible volume share among boxes with ends on a grid, from sums of midpoint values.

    Every box on a coarse sub-grid, then neighbors of the best ones on finer sub-grids. It knows nothing of products
    or bumps, only `function.values`.
    """
    space, n = function.space, function.space.n
    edges = []
    for k in range(n):
        if space.is_periodic[k]:
            edges.append(start[k] + space.width[k] * np.linspace(-1, 1, 2 * cells + 1))
            continue
        left = min(max(1, round(cells * (start[k] - space.low[k]) / space.width[k])), cells - 1)
        ends = np.linspace(space.low[k], start[k], left + 1), np.linspace(start[k], space.high[k], cells - left + 1)
        edges.append(np.concatenate([ends[0][:-1], ends[1]]))
    middles = np.meshgrid(*[(e[1:] + e[:-1]) / 2 for e in edges], indexing="ij")
    scores = function.values(space.project(np.stack(middles, axis=-1).reshape(1, -1, n))).reshape(middles[0].shape)
    scores = goal.counted(scores)
    weight = np.ones(())
    for e in edges:
        weight = np.multiply.outer(weight, np.diff(e))
    tables = []
    for power in (0, 1, 2):
        table = np.pad(weight * scores**power, [(1, 0)] * n)
        for k in range(n):
            table = table.cumsum(axis=k)
        tables.append(table)
    center = np.array([int(np.abs(e - start[k]).argmin()) for k, e in enumerate(edges)])
    last = np.array([len(e) - 1 for e in edges])

    def volumes(lower: FloatArray, upper: FloatArray) -> FloatArray:
        sums = [np.zeros(len(lower)) for _ in tables]
        for corner in itertools.product((0, 1), repeat=n):
            index = tuple(np.where(bit, upper[:, k], lower[:, k]).astype(int) for k, bit in enumerate(corner))
            for total, table in zip(sums, tables, strict=True):
                total += (-1) ** (n - sum(corner)) * table[index]
        width = np.stack([e[upper[:, k].astype(int)] - e[lower[:, k].astype(int)] for k, e in enumerate(edges)], axis=1)
        volume = width.prod(axis=1)
        mean, square = (total / np.maximum(volume, 1e-12) for total in sums[1:])
        fits = (width <= space.width * (1 + 1e-12)).all(axis=1) & (volume > 0)
        return np.where(fits & goal.is_met(mean, square - mean**2), volume, 0.0)

    stride = {1: 1, 2: cells // 24, 3: cells // 10}[n]
    axes = [np.append(np.arange(center[k], -1, -stride), 0) for k in range(n)]
    axes += [np.append(np.arange(center[k], last[k] + 1, stride), last[k]) for k in range(n)]
    boxes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2 * n)
    best = -1.0
    while True:
        found = volumes(boxes[:, :n], boxes[:, n:])
        if stride == 1 and (n == 1 or found.max() <= best):
            return float(found.max()) / space.volume
        boxes, best = boxes[np.argsort(-found)[:30]], float(found.max())
        stride = max(1, stride // 2)
        moves = np.array(list(itertools.product((-stride, 0, stride), repeat=2 * n)))
        boxes = (boxes[:, None] + moves).reshape(-1, 2 * n)
        boxes = np.unique(
            np.concatenate([np.clip(boxes[:, :n], 0, center), np.clip(boxes[:, n:], center, last)], 1), axis=0
        )


@pytest.mark.parametrize(
    ("n", "cells", "gap", "limits"),
    [
        *((1, 2000, 0.005, limits) for limits in ((0.5, 0.25), (0.2, 0.25), (0.5, 0.05), (0.96, 0.02))),
        *((2, 96, 0.05, limits) for limits in ((0.5, 0.25), (0.3, 0.25), (0.5, 0.05), (0.96, 0.02))),
        *(pytest.param(3, 40, 0.15, limits, marks=pytest.mark.slow) for limits in ((0.5, 0.25), (0.5, 0.05))),
    ],
)
@EVERY
def test_optimum_agrees_with_brute_force(
    family: str, n: int, cells: int, gap: float, limits: tuple[float, float]
) -> None:
    function = make_synthetic(f"synthetic:{family}?n={n}&seed=6")
    start = near(function, 1, 9)[0]
    known = function.optimal_share(start, MeanGoal(*limits))
    tried = brute_force(function, start, MeanGoal(*limits), cells)
    assert known * (1 - gap) <= tried <= known * (1 + gap / 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "limits", "start"),
    [
        ("synthetic:trap?n=2&seed=818", (0.7, 0.1), [191.6933730057364, 65.85990562696998]),
        ("synthetic:seam?n=3&seed=190", (0.7, 0.003), [93.06165035449789, 26.434150680232364, 0.6040685865129232]),
        ("synthetic:plateau?n=2&seed=40", (0.7, 0.003), [250.0, 40.0]),
    ],
)
def test_the_search_finds_what_random_boxes_do_not_beat(
    name: str, limits: tuple[float, float], start: list[float]
) -> None:
    function = make_synthetic(name)
    optimum, rng = function.optimum(start, MeanGoal(*limits)), np.random.default_rng(0)
    low, high, width = function.space.low, function.space.high, function.space.width
    at = np.array(start)
    scale = rng.random((40_000, 1)) ** 0.5
    lower = at - scale * rng.random((40_000, len(at))) * np.where(function.space.is_periodic, width / 2, at - low)
    upper = at + scale * rng.random((40_000, len(at))) * np.where(function.space.is_periodic, width / 2, high - at)
    boxes = Regions(function.space, lower, upper)
    mean, variance = function.exact_moments(boxes)
    fits = (mean >= 1 - limits[0]) & (variance <= limits[1])
    assert optimum.share >= (boxes.share() * fits).max()


@EVERY
@pytest.mark.parametrize(("n", "points", "error"), [(1, 100_000, 1e-4), (2, 500, 4e-3)])
def test_exact_shares_of_good_views_agree_with_dense_points(family: str, n: int, points: int, error: float) -> None:
    function = make_synthetic(f"synthetic:{family}?n={n}&seed=5")
    rng = np.random.default_rng(4)
    half = rng.uniform(0.02, 0.5, (4, n)) * function.space.width
    boxes = Regions(function.space, *(near(function, 4, 5) + sign * half for sign in (-1, 1))).clip()
    sides = [(np.arange(points) + 0.5) / points] * n
    grid = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, n)
    for asked in (function, Complement(function)):
        scores = np.concatenate([asked.values(boxes[row].from_fractions(grid)) for row in range(4)])
        # The plateau, its complement and the background are exactly at some of these levels.
        for level in (0.05, 0.3, 0.4, 0.6, 0.95):
            share = exact_moments(asked, boxes, goal=ReliabilityGoal(level))[0]
            assert share == pytest.approx((scores >= level).mean(axis=1), abs=error)


@pytest.mark.parametrize("family", ["plateau", "seam", "trap", "hill"])
def test_shares_over_boxes_are_means_of_shares_over_their_slices(family: str) -> None:
    function = make_synthetic(f"synthetic:{family}?n=2&seed=3")
    boxes, goal = Regions.around(function.space, near(function, 6, 2), [35.0, 15.0]), ReliabilityGoal(0.6)
    middles = (np.arange(50_000) + 0.5) / 50_000
    for row in range(6):
        lower, upper = boxes.lower[row], boxes.upper[row]
        slices = np.tile(lower, (len(middles), 1)), np.tile(upper, (len(middles), 1))
        for side in slices:
            side[:, 0] = lower[0] + (upper[0] - lower[0]) * middles
        shares = function.exact_moments(Regions(function.space, *slices), goal)[0]
        assert function.exact_moments(boxes[row], goal)[0][0] == pytest.approx(
            shares.mean(), abs=4e-5
        )  # slices end with a jump


@pytest.mark.parametrize(
    "goal", [ReliabilityGoal(0.5, 0.95), ReliabilityGoal(0.6, 0.7), ReliabilityGoal(0.3, 1.0)], ids=str
)
@pytest.mark.parametrize(("n", "cells", "gap"), [(1, 2000, 0.01), (2, 96, 0.1)])
@pytest.mark.parametrize("family", ["plateau", "seam", "ridge", "empty", "hill"])
def test_the_best_box_by_good_views_agrees_with_brute_force(
    family: str, n: int, cells: int, gap: float, goal: ReliabilityGoal
) -> None:
    function = make_synthetic(f"synthetic:{family}?n={n}&seed=6")
    # With a reliability of 1, a start near the border of what is good is a matter of the size of cells.
    for start in near(function, 1 if goal.reliability == 1 else 2, 9):
        found = function.optimum(start, goal)
        tried = brute_force(function, start, goal.tightened(-1e-9), cells)  # sums over cells are rounded
        assert found.share == pytest.approx(tried, rel=gap, abs=1e-3)
        if found.region is not None:
            assert found.region.contains(start)[0]
            assert goal.is_met(*function.exact_moments(found.region, goal)).all()


@pytest.mark.parametrize("n", [1, 2])
def test_the_best_box_by_good_views_in_closed_form(n: int) -> None:
    # On the plateau alone everything is at the level; what is good takes the share that is asked.
    function = make_synthetic(f"synthetic:plateau?n={n}&seed=11")
    center, plateau = center_of(function), function.plateau.share()[0]
    assert function.optimal_share(center, ReliabilityGoal(0.95, 0.8)) == pytest.approx(plateau / 0.8, rel=1e-7)
    assert function.optimal_share(center, ReliabilityGoal(0.95, 1.0)) == pytest.approx(plateau, rel=1e-7)
    assert function.optimal_share(center, ReliabilityGoal(0.96, 0.1)) == 0


def test_what_is_not_known_of_good_views_is_refused() -> None:
    many, trap = make_synthetic("synthetic:plateau?n=3"), make_synthetic("synthetic:trap?n=2")
    with pytest.raises(NoGroundTruthError, match="up to 2 active parameters"):
        many.exact_moments(Regions.whole(many.space), ReliabilityGoal())
    with pytest.raises(NoGroundTruthError, match="up to 2 active parameters"):
        many.optimum(center_of(many), ReliabilityGoal())
    with pytest.raises(NoGroundTruthError, match="has a trap"):
        trap.optimum(center_of(trap), ReliabilityGoal())
    ridge = make_synthetic("synthetic:ridge?n=9")
    assert ridge.optimal_share(center_of(ridge), ReliabilityGoal()) > 0
