"""Finite differences: against analytic gradients, at bounds and at the seam, and steps that do not fit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError
from semrob_env.functions import CallableFunction
from semrob_env.oracle import FiniteDifferences, Queries, QueryOracle
from semrob_env.parameters import Parameter, SemanticSpace
from semrob_env.types import FloatArray

BOTH = SemanticSpace.of("azimuth,elevation")


def waves() -> CallableFunction:
    """Smooth, periodic in azimuth, with its gradient."""

    def gradients(theta: FloatArray) -> FloatArray:
        azimuth, elevation = np.deg2rad(theta).T
        return np.asarray(np.deg2rad(np.stack([-0.2 * np.sin(azimuth), 0.1 * np.cos(elevation)], axis=1)))

    def scores(theta: FloatArray) -> FloatArray:
        azimuth, elevation = np.deg2rad(theta).T
        return np.asarray(0.5 + 0.2 * np.cos(azimuth) + 0.1 * np.sin(elevation))

    return CallableFunction(BOTH, scores, gradients=gradients)


def with_gradient(*points: list[float], space: SemanticSpace = BOTH) -> Queries:
    """One trajectory that asks for gradients at these points."""
    theta = np.array([points]).reshape(1, -1, space.n)
    active = np.ones(theta.shape[:2], dtype=np.bool_)
    return Queries(theta, np.zeros(1, dtype=np.int64), active, wants_gradient=True)


def test_they_agree_with_the_gradient_in_the_middle_at_bounds_and_at_the_seam() -> None:
    asked = with_gradient([0.0, 0.0], [359.9999, 20.0], [0.2, 90.0], [180.0, -10.0], [77.0, 89.9], [359.0, 33.0])
    exact = QueryOracle(waves()).query(asked).gradients
    estimated = QueryOracle(waves(), finite_differences=FiniteDifferences((0.01, 0.01))).query(asked).gradients
    assert exact is not None
    assert estimated is not None
    assert estimated[0, :, 0] == pytest.approx(exact[0, :, 0], abs=1e-9)
    assert estimated[0, :, 1] == pytest.approx(exact[0, :, 1], abs=2e-7)  # one-sided at the bounds
    assert np.abs(exact).max() > 1e-3


def test_at_a_plain_bound_the_difference_is_one_sided_and_divided_by_its_true_length() -> None:
    function = CallableFunction(BOTH, lambda t: ((t[:, 1] + 10) / 100) ** 2)
    oracle = QueryOracle(function, finite_differences=FiniteDifferences((1.0, 2.0)))
    answers = oracle.query(with_gradient([0.0, 90.0], [0.0, -10.0], [0.0, 89.0]))
    assert answers.gradients is not None
    expected = [(1 - 0.98**2) / 2, 0.02**2 / 2, (1 - 0.97**2) / 3]
    assert answers.gradients[0, :, 1] == pytest.approx(expected, rel=1e-9)
    assert answers.gradients[0, :, 0].tolist() == [0.0, 0.0, 0.0]


def test_the_points_stay_in_the_space_and_are_told_upper_ones_first() -> None:
    points, distance = FiniteDifferences((2.0, 4.0)).points(BOTH, np.array([[1.0, 88.0], [359.0, -10.0]]))
    assert points[0].tolist() == [[3.0, 88.0], [1.0, 90.0], [359.0, 88.0], [1.0, 84.0]]
    assert points[1].tolist() == [[1.0, -10.0], [359.0, -6.0], [357.0, -10.0], [359.0, -10.0]]
    assert distance.tolist() == [[4.0, 6.0], [4.0, 4.0]]


@pytest.mark.parametrize("n", [1, 3, 8])
def test_on_a_linear_function_they_are_exact_for_any_n(n: int) -> None:
    space = SemanticSpace(tuple(Parameter(f"p{k}", "", -1.0 - k, 2.0, None, 0.0, "0: none") for k in range(n)))
    slopes = np.linspace(0.01, 0.02, n)
    function = CallableFunction(space, lambda t: 0.5 + t @ slopes)
    oracle = QueryOracle(function, finite_differences=FiniteDifferences())
    answers = oracle.query(with_gradient(*space.sample(5, np.random.default_rng(0)).tolist(), space=space))
    assert answers.gradients == pytest.approx(np.tile(slopes, (1, 5, 1)), rel=1e-9)
    assert oracle.forward_queries.tolist() == [5 * (1 + 2 * n)]


def test_the_default_step_is_a_two_hundredth_of_each_range() -> None:
    _, distance = FiniteDifferences().points(BOTH, np.array([[100.0, 20.0]]))
    assert distance == pytest.approx(np.array([[2 * 1.8, 2 * 0.5]]))  # to both sides of 360 and 100 degrees


def test_a_step_of_half_a_turn_is_the_longest_that_a_periodic_parameter_takes() -> None:
    for step in (130.0, 180.0):
        points, distance = FiniteDifferences((step, 1.0)).points(BOTH, np.array([[100.0, 20.0]]))
        assert points[0, [0, 2], 0].tolist() == [(100.0 + step) % 360, (100.0 - step) % 360]
        assert distance[0, 0] == 2 * step
    with pytest.raises(InvalidParameterError, match=r"finite-difference step .* at most half a turn"):
        FiniteDifferences((180.1, 1.0)).points(BOTH, np.array([[100.0, 20.0]]))
    with pytest.raises(InvalidParameterError, match=r"^finite-difference step has 3 numbers; give 2"):
        FiniteDifferences((1.0, 1.0, 1.0)).points(BOTH, np.array([[100.0, 20.0]]))


def test_nan_around_a_point_makes_its_difference_zero() -> None:
    function = CallableFunction(BOTH, lambda t: np.where(t[:, 1] == 0.0, t[:, 0] / 360, np.nan))
    oracle = QueryOracle(function, finite_differences=FiniteDifferences((1.0, 1.0)))
    answers = oracle.query(with_gradient([36.0, 0.0]))
    assert answers.gradients is not None
    assert answers.values.tolist() == [[0.1]]
    assert answers.gradients[0, 0] == pytest.approx([1 / 360, 0.0])


@pytest.mark.parametrize("step", [(0.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (math.inf, 1.0)])
def test_a_step_that_is_not_above_zero_is_refused(step: tuple[float, ...]) -> None:
    with pytest.raises(InvalidParameterError, match="must be above 0"):
        FiniteDifferences(step)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ((1.0,), "give 2"),
        ((1.0, 1.0, 1.0), "give 2"),
        ((181.0, 1.0), "half a turn"),
        ((1e-30, 1.0), "lost in rounding"),
    ],
)
def test_a_step_that_does_not_fit_the_space_is_refused_before_anything_is_charged(
    step: tuple[float, ...], message: str
) -> None:
    oracle = QueryOracle(waves(), finite_differences=FiniteDifferences(step))
    with pytest.raises(InvalidParameterError, match=message):
        oracle.query(with_gradient([50.0, 50.0]))
    assert (oracle.forward_queries.tolist(), oracle.gradient_queries.tolist()) == ([0], [0])
