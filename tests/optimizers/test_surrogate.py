"""The pieces of box quadrature against plain numerical integration and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from optimizers.surrogate.boxes import log_volumes, widest
from optimizers.surrogate.criteria import (
    TOGETHER,
    WORSE,
    Criterion,
    LevelCriterion,
    MeanCriterion,
    criterion_of,
)
from optimizers.surrogate.plan import most_telling, points_on_lines
from optimizers.surrogate.process import AxisKernel, Lattice, Process, _cost, prior_of_logs
from optimizers.surrogate.separable import Profiles
from semrob_env.questions import MeanGoal, ReliabilityGoal
from semrob_env.sequences import evenly_spread
from semrob_env.types import FloatArray, IntArray

TURNS = np.array([True, False])
CENTER = np.array([0.0, 0.4])


def bump(points: FloatArray) -> FloatArray:
    return np.asarray(0.9 * np.exp(-8 * (points[:, 0] ** 2 + (points[:, 1] - 0.4) ** 2)))


def process(count: int = 40, steps: int = 96, *, with_profiles: bool = False) -> Process:
    points = evenly_spread(2, 0, count) - [0.5, 0.0]
    points[0] = CENTER
    lines = np.concatenate([points_on_lines(CENTER, TURNS, np.full((2, 2), reach)) for reach in (0.3, 0.6)])
    points = np.concatenate([points, lines])
    scores = bump(points)
    profiles = Profiles(CENTER, TURNS, points, scores) if with_profiles else None
    logs, _ = prior_of_logs(2, with_feature=with_profiles)
    return Process(logs, points, scores, Lattice.around(CENTER, TURNS, steps), profiles)


def inside(told: Process, box: IntArray, count: int = 4096) -> FloatArray:
    lower, upper = told.lattice.bounds(box[None])
    points = lower + evenly_spread(2, 0, count) * (upper - lower)
    return np.asarray(np.where(TURNS, np.mod(points + 0.5, 1.0) - 0.5, points))


BOX: IntArray = np.array([[20, 50], [30, 70]])


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("length", [0.05, 0.3, 3.0])
def test_integrals_of_a_kernel_are_those_of_its_values(periodic: bool, length: float) -> None:
    kernel = AxisKernel(length, periodic)
    fine = np.linspace(-1.4, 0.9, 40001)
    middle = (fine[1:] + fine[:-1]) / 2
    total = (kernel.value(middle) * np.diff(fine)).sum()
    assert kernel.value(np.zeros(1))[0] == pytest.approx(1.0)
    assert kernel.integral(fine[-1:])[0] - kernel.integral(fine[:1])[0] == pytest.approx(total, rel=1e-6)
    places = (np.arange(1500) + 0.5) / 1500 * 0.7
    pairs = kernel.value(places[:, None] - places).mean()
    assert kernel.mean_over_pairs(np.array([0.7]))[0] == pytest.approx(pairs, rel=1e-4)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("length", [0.05, 0.3, 3.0])
def test_the_slope_of_a_kernel_is_that_of_its_value_by_the_log_length(periodic: bool, length: float) -> None:
    places, step = np.linspace(0.0, 0.5, 9), 1e-4
    value, slope = AxisKernel(length, periodic).with_slope(places)
    above, below = (AxisKernel(length * np.exp(by), periodic).value(places) for by in (step, -step))
    np.testing.assert_allclose(value, AxisKernel(length, periodic).value(places), atol=1e-12)
    np.testing.assert_allclose(slope, (above - below) / (2 * step), atol=1e-6)


def test_a_periodic_kernel_is_periodic_and_positive_definite() -> None:
    kernel = AxisKernel(0.4, True)
    places = np.arange(12) / 12
    matrix = kernel.value(places[:, None] - places)
    np.testing.assert_allclose(kernel.value(places + 1), kernel.value(places), rtol=1e-12)
    assert np.linalg.eigvalsh(matrix).min() > 0


@pytest.mark.parametrize("with_profiles", [False, True])
def test_the_mean_over_a_box_is_the_mean_of_the_process_in_it(with_profiles: bool) -> None:
    told = process(with_profiles=with_profiles)
    points = inside(told, BOX)
    cross = told.cross(points, told.feature_at(points))
    mean, deviation, variance, _ = told.moments(BOX[None])
    assert mean[0] == pytest.approx((0.5 + cross @ told.mean_weights).mean(), abs=1e-3)
    some = slice(0, 4096, 4)
    feature = told.feature_at(points[some])
    posterior = (
        told.covariance(points[some], feature, points[some], feature) - cross[some] @ told.inverse @ cross[some].T
    )
    assert deviation[0] ** 2 == pytest.approx(posterior.mean(), rel=0.05, abs=1e-6)
    assert mean[0] == pytest.approx(bump(points).mean(), abs=4 * deviation[0])
    assert variance[0] == pytest.approx(bump(points).var(), abs=0.02)


@pytest.mark.parametrize("with_feature", [False, True])
def test_the_slopes_of_the_fit_are_those_of_its_cost(with_feature: bool) -> None:
    told = process(with_profiles=with_feature)
    apart = told.points[:, None] - told.points[None]
    apart = np.abs(np.where(TURNS, apart - np.round(apart), apart))
    feature = told.feature if with_feature else None
    prior = prior_of_logs(2, with_feature=with_feature)
    logs = prior[0] + 0.3

    def cost(at: FloatArray) -> tuple[float, FloatArray]:
        return _cost(at, apart, bump(told.points) - 0.5, TURNS, feature, prior)

    slopes = cost(logs)[1]
    for k in range(len(logs)):
        step = 1e-5 * (np.arange(len(logs)) == k)
        assert slopes[k] == pytest.approx((cost(logs + step)[0] - cost(logs - step)[0]) / 2e-5, rel=1e-3, abs=1e-3)


def test_profiles_of_a_product_are_the_product_itself() -> None:
    points = np.concatenate([
        CENTER[None],
        *(points_on_lines(CENTER, TURNS, np.full((2, 2), reach)) for reach in np.arange(1, 20) / 20),
    ])
    profiles = Profiles(CENTER, TURNS, points, bump(points))
    others = evenly_spread(2, 3, 50) * 0.9 - [0.45, -0.05]
    np.testing.assert_allclose(0.9 * profiles.values(others), bump(others), atol=2e-3)


@pytest.mark.parametrize("kind", [MeanCriterion, LevelCriterion])
def test_widest_finds_nearly_the_largest_of_all_boxes(kind: type[Criterion]) -> None:
    goal = MeanGoal(0.5) if kind is MeanCriterion else ReliabilityGoal(0.5, 0.9)
    assert criterion_of(goal, 2) is kind
    told = process(steps=96)
    criterion = kind(told, goal)
    every = np.arange(0, 97, 6)
    grid = np.stack(np.meshgrid(every, every, every, every, indexing="ij"), axis=-1).reshape(-1, 2, 2)
    grid = grid[(grid[:, 0].sum(axis=1) <= 96) & (grid.sum(axis=2) > 0).all(axis=1)]
    for caution in (2.0, -1.5):
        margins = np.concatenate([
            criterion.margins(part, np.full(len(part), caution)) for part in np.array_split(grid, 60)
        ])
        best = log_volumes(told, grid[margins[:, 0] >= 0]).max()
        start = criterion.screened(np.array([caution]))[0]
        assert start is not None
        found, fits = widest(criterion, np.array([caution]), start[None])
        assert fits[0]
        assert log_volumes(told, found)[0] >= best - 0.02


def test_points_that_tell_the_most_lessen_the_variance_more_than_an_even_spread() -> None:
    told = process(12)

    def variance_with(points: FloatArray) -> float:
        logs, _ = prior_of_logs(2, with_feature=False)
        every = np.concatenate([told.points, points])
        return float(Process(logs, every, bump(every), told.lattice, None).moments(BOX[None])[1][0])

    chosen = most_telling(MeanCriterion(told, MeanGoal()), BOX[None], evenly_spread(2, 0, 80), 4)
    assert variance_with(chosen) < variance_with(inside(told, BOX, 4))


@pytest.mark.parametrize("box", [BOX, np.array([[2, 3], [1, 4]]), np.array([[70, 26], [96, 96]])], ids=str)
def test_a_share_above_a_level_is_what_the_process_says_at_the_points_of_the_box(box: IntArray) -> None:
    told, goal = process(), ReliabilityGoal(0.4, 0.9)
    criterion = LevelCriterion(told, goal)
    points = inside(told, box)
    feature = told.feature_at(points)
    mean, deviation = told.marginals(feature, told.cross(points, feature))
    threshold = float(criterion.told(goal, np.asarray(0.4)))
    shares = []
    for caution in (0.0, 1.5):
        field = (mean - caution * TOGETHER * deviation - threshold) / np.sqrt(told.noise)
        failing = 1 - ndtr(field).mean()
        margin = float(criterion.margins(box[None], np.array([caution]))[0, 0])
        assert margin == pytest.approx(0.1 - WORSE * failing, abs=0.02)
        shares.append(margin)
    assert shares[1] <= shares[0] + 1e-9


def test_levels_of_a_mean_and_of_a_share_are_told_of_the_same_scores_in_their_own_way() -> None:
    scores = np.array([0.0, 0.3, 0.5, 0.9, 1.0])
    np.testing.assert_array_equal(MeanCriterion.told(MeanGoal(), scores), scores)
    np.testing.assert_allclose(MeanCriterion.told(ReliabilityGoal(), scores), [0, 0, 0.5, 1, 1])
    told = LevelCriterion.told(ReliabilityGoal(), scores)
    np.testing.assert_allclose(np.sin(np.pi / 2 * told) ** 2, scores, atol=1e-12)
    assert criterion_of(ReliabilityGoal(), 3) is MeanCriterion
