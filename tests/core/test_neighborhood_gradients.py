"""Gradients averaged over a neighborhood: what they keep, what they smooth, and the bill."""

from __future__ import annotations

import math

import numpy as np
import pytest

from semrob_env.errors import BudgetExhausted, InvalidParameterError, NoGradientError, OutOfSpaceError
from semrob_env.functions import CallableFunction
from semrob_env.oracle import FiniteDifferences, NeighborhoodGradients, Queries, QueryLog, QueryOracle
from semrob_env.parameters import Parameter, SemanticSpace
from semrob_env.types import FloatArray

BOTH = SemanticSpace.of("azimuth,elevation")


def rippled(ripple: float = 0.0) -> CallableFunction:
    """A gentle slope in elevation under ripples of 1 degree."""

    def scores(theta: FloatArray) -> FloatArray:
        return np.asarray(0.3 + 0.004 * theta[:, 1] + ripple * np.sin(2 * np.pi * theta[:, 1]))

    def gradients(theta: FloatArray) -> FloatArray:
        slope = 0.004 + ripple * 2 * np.pi * np.cos(2 * np.pi * theta[:, 1])
        return np.stack([np.zeros(len(theta)), slope], axis=1)

    return CallableFunction(BOTH, scores, gradients=gradients)


def with_gradient(*points: list[float], space: SemanticSpace = BOTH) -> Queries:
    """One trajectory that asks for gradients at these points."""
    theta = np.array([points]).reshape(1, -1, space.n)
    return Queries(theta, np.zeros(1, dtype=np.int64), np.ones(theta.shape[:2], dtype=np.bool_), wants_gradient=True)


def test_ripples_shorter_than_the_neighborhood_average_out_and_values_stay_those_of_theta() -> None:
    asked = with_gradient(*[[100.0, 20.0 + 0.1 * k] for k in range(10)])
    own = QueryOracle(rippled(0.01)).query(asked)
    smooth = QueryOracle(rippled(0.01), neighborhood=NeighborhoodGradients((2.0, 2.0), 32)).query(asked)
    assert own.gradients is not None
    assert smooth.gradients is not None
    assert smooth.values.tobytes() == own.values.tobytes()
    assert np.abs(own.gradients[0, :, 1] - 0.004).max() > 0.05
    assert np.abs(smooth.gradients[0, :, 1] - 0.004).max() < 0.02


@pytest.mark.parametrize("n", [1, 3, 10])
def test_the_gradient_of_a_quadratic_function_is_kept_for_any_n(n: int) -> None:
    space = SemanticSpace(tuple(Parameter(f"p{k}", "", -1.0 - k, 2.0, None, 0.0, "0: none") for k in range(n)))
    scale = 0.01 / n
    function = CallableFunction(
        space, lambda t: 0.5 + scale * (t**2).sum(axis=1), gradients=lambda t: 2 * scale * t, score_range=(0.0, 99.0)
    )
    oracle = QueryOracle(function, neighborhood=NeighborhoodGradients(neighbors=6))
    theta = 0.5 * space.sample(5, np.random.default_rng(0))
    answers = oracle.query(with_gradient(*theta.tolist(), space=space))
    assert answers.gradients is not None
    assert answers.gradients[0] == pytest.approx(2 * scale * theta / 99, abs=1e-12)
    assert (oracle.forward_queries.tolist(), oracle.gradient_queries.tolist()) == ([35], [35])


def test_every_neighbor_is_logged_inside_the_space_and_billed() -> None:
    log = QueryLog()
    oracle = QueryOracle(rippled(), neighborhood=NeighborhoodGradients((3.0, 5.0)), budget=20, log=log)
    oracle.query(with_gradient([0.0, 90.0], [359.0, -10.0]))
    arrays = log.arrays()
    theta = np.asarray(arrays["theta"], dtype=np.float64)
    assert theta.shape == (10, 2)
    assert BOTH.contains(theta).all()
    assert len(np.unique(theta, axis=0)) == 10
    assert arrays["with_gradient"].all()
    assert oracle.spent.tolist() == [20.0]
    with pytest.raises(BudgetExhausted):
        oracle.query(with_gradient([0.0, 0.0]))


def test_offsets_depend_on_nothing_but_the_numbers_of_parameters_and_neighbors() -> None:
    chosen = NeighborhoodGradients((1.0, 1.0), 8)
    theta = BOTH.sample(6, np.random.default_rng(1)) * [1.0, 0.5] + [0.0, 20.0]
    offsets = chosen.points(BOTH, theta) - theta[:, None]
    inside = np.abs(offsets[..., 0]) < 2  # not across the seam
    assert np.abs(np.where(inside[..., None], offsets - offsets[:1], 0.0)).max() < 1e-9
    assert np.abs(offsets[..., 1]).max() <= 1.0
    assert offsets[0, 1:].mean(axis=0) == pytest.approx([0.0, 0.0], abs=1e-9)


@pytest.mark.parametrize("radius", [(0.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (math.inf, 1.0)])
def test_a_radius_that_is_not_above_zero_is_refused(radius: tuple[float, ...]) -> None:
    with pytest.raises(InvalidParameterError, match="must be above 0"):
        NeighborhoodGradients(radius)


@pytest.mark.parametrize("neighbors", [0, 1, 3, -2])
def test_an_odd_number_of_neighbors_is_refused(neighbors: int) -> None:
    with pytest.raises(InvalidParameterError, match="even number"):
        NeighborhoodGradients(neighbors=neighbors)


def test_neighbors_are_points_of_a_kronecker_sequence_and_then_their_mirror_images() -> None:
    theta, radius = np.array([100.0, 20.0]), np.array([3.0, 5.0])
    points = NeighborhoodGradients((3.0, 5.0), 6).points(BOTH, theta[None])[0]
    ratio = float(np.roots([1, 0, -1, -1]).real.max())  # the plastic number, x^3 = x + 1
    steps = np.array([1 / ratio, 1 / ratio**2])
    half = [radius * (2 * ((0.5 + k * steps) % 1) - 1) for k in (1, 2, 3)]
    expected = [theta, *(theta + offset for offset in half), *(theta - offset for offset in half)]
    assert points == pytest.approx(np.array(expected), abs=1e-9)


def test_two_neighbors_are_the_fewest() -> None:
    points = NeighborhoodGradients((3.0, 5.0), 2).points(BOTH, np.array([[100.0, 20.0]]))
    assert points.shape == (1, 3, 2)
    assert points[0, 1] + points[0, 2] == pytest.approx([200.0, 40.0])
    with pytest.raises(InvalidParameterError, match=r"^neighborhood radius has 1 numbers; give 2"):
        NeighborhoodGradients((3.0,)).points(BOTH, np.array([[100.0, 20.0]]))


def test_what_does_not_fit_is_refused_before_anything_is_charged() -> None:
    oracle = QueryOracle(rippled(), neighborhood=NeighborhoodGradients((1.0,)))
    with pytest.raises(InvalidParameterError, match="give 2"):
        oracle.query(with_gradient([50.0, 50.0]))
    with pytest.raises(OutOfSpaceError):
        oracle.query(with_gradient([50.0, 95.0]))
    assert oracle.spent.tolist() == [0.0]
    with pytest.raises(InvalidParameterError, match="not both"):
        QueryOracle(rippled(), finite_differences=FiniteDifferences(), neighborhood=NeighborhoodGradients())
    black_box = CallableFunction(BOTH, lambda t: np.full(len(t), 0.5))
    with pytest.raises(NoGradientError):
        QueryOracle(black_box, neighborhood=NeighborhoodGradients()).query(with_gradient([1.0, 1.0]))
