"""Directions of the corner methods against integrals, limits and finite differences that share no code with them.

Everything here is written from the losses: quadrature by Gauss-Legendre, derivatives by Leibniz' rule or by central
differences of the loss, the limit alpha -> 0 by Richardson extrapolation. Bounds are vectors (n,), in the paper's form.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from optimizers.base import Optimizer
from optimizers.corner_method import RegularizedSettings
from optimizers.naive import Naive
from optimizers.oir_b import OirB, OirBSettings
from optimizers.oir_w import OirW, OirWSettings
from optimizers.trapezoidal import Trapezoidal
from optimizers.unregularized import Unregularized, UnregularizedSettings
from semrob_env.oracle import Answers
from semrob_env.parameters import Parameter, SemanticSpace
from semrob_env.questions import Questions
from semrob_env.types import FloatArray

Score = Callable[[FloatArray], FloatArray]
Loss = Callable[[FloatArray, FloatArray], float]

NS = [1, 2, 3]
ALPHA, BETA, LAMBDA, ETA = 0.05, 0.3, 0.1, 0.1
NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)


@dataclass(frozen=True)
class Smooth:
    """A score and its gradient, at (..., n)."""

    value: Score
    gradient: Score


def multilinear(n: int) -> Smooth:
    """sum over S of c_S prod_{k in S} x_k: on it the trapezoid rule is exact."""
    subsets = [np.array(bits, dtype=bool) for bits in itertools.product([False, True], repeat=n)]
    weights = np.random.default_rng(n).uniform(0.2, 1.0, len(subsets))

    def value(x: FloatArray) -> FloatArray:
        return np.asarray(sum(w * np.where(s, x, 1.0).prod(axis=-1) for w, s in zip(weights, subsets, strict=True)))

    def gradient(x: FloatArray) -> FloatArray:
        columns = []
        for k in range(n):
            others = [(w, s & (np.arange(n) != k)) for w, s in zip(weights, subsets, strict=True) if s[k]]
            columns.append(sum(w * np.where(s, x, 1.0).prod(axis=-1) for w, s in others))
        return np.stack(np.broadcast_arrays(*columns), axis=-1).astype(np.float64)

    return Smooth(value, gradient)


def curved(n: int) -> Smooth:
    """A smooth function that no polynomial of low degree equals."""
    pace, phase = np.linspace(0.8, 1.3, n), np.linspace(0.3, 1.1, n)

    def value(x: FloatArray) -> FloatArray:
        return np.asarray(np.exp(np.sin(x * pace + phase).sum(axis=-1)))

    def gradient(x: FloatArray) -> FloatArray:
        return np.asarray(value(x)[..., None] * np.cos(x * pace + phase) * pace)

    return Smooth(value, gradient)


def box(n: int) -> tuple[FloatArray, FloatArray]:
    """Bounds around 0 of unlike sides."""
    rng = np.random.default_rng(10 + n)
    return -rng.uniform(0.3, 0.9, n), rng.uniform(0.3, 0.9, n)


def direction(
    method: type[Optimizer[Any]], settings: Any, score: Smooth, a: FloatArray, b: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """dL/da and dL/db (n,), read off the step that ask, tell and the saved state show."""
    n = len(a)
    space = SemanticSpace(tuple(Parameter(f"x{k}", "", -50.0, 50.0, None, 0.0, "") for k in range(n)))
    optimizer = method(Questions(space, np.zeros(n)), settings=settings)
    optimizer.restore({**optimizer.save(), "state.lower": a[None], "state.upper": b[None]})
    queries = optimizer.ask()
    gradients = score.gradient(queries.theta) if queries.wants_gradient else None
    optimizer.tell(Answers(score.value(queries.theta), gradients, queries.active))
    after = optimizer.save()
    return (a - after["state.lower"][0]) / settings.step_size, (b - after["state.upper"][0]) / settings.step_size


def integral(score: Smooth, a: FloatArray, b: FloatArray, fixed: tuple[int, float] | None = None) -> float:
    """int f over the box, or over its section where one coordinate is fixed."""
    free = [k for k in range(len(a)) if fixed is None or k != fixed[0]]
    index = np.array(list(itertools.product(range(len(NODES)), repeat=len(free))), dtype=np.int64)
    x, weight = np.empty((len(index), len(a))), np.ones(len(index))
    if fixed is not None:
        x[:, fixed[0]] = fixed[1]
    for column, k in enumerate(free):
        half = (b[k] - a[k]) / 2
        x[:, k] = (a[k] + b[k]) / 2 + half * NODES[index[:, column]]
        weight *= half * WEIGHTS[index[:, column]]
    return float((weight * score.value(x)).sum())


def corners(score: Smooth, a: FloatArray, b: FloatArray, fixed: tuple[int, float] | None = None) -> float:
    """The trapezoid rule for the same integrals: area times the mean of the corners."""
    free = [k for k in range(len(a)) if fixed is None or k != fixed[0]]
    values = []
    for bits in itertools.product([0, 1], repeat=len(free)):
        x = np.empty(len(a))
        if fixed is not None:
            x[fixed[0]] = fixed[1]
        for k, bit in zip(free, bits, strict=True):
            x[k] = b[k] if bit else a[k]
        values.append(float(score.value(x)))
    return float(np.mean(values) * np.prod([b[k] - a[k] for k in free]))


def leibniz(rule: Any, score: Smooth, a: FloatArray, b: FloatArray, alpha: float) -> tuple[FloatArray, FloatArray]:
    """d/da and d/db of int f over the box that reaches alpha r / 2 beyond a, b; faces by a rule."""
    r = b - a
    low, high = a - alpha / 2 * r, b + alpha / 2 * r
    on_low = np.array([rule(score, low, high, (k, low[k])) for k in range(len(a))])
    on_high = np.array([rule(score, low, high, (k, high[k])) for k in range(len(a))])
    # low = (1 + alpha/2) a - (alpha/2) b and high = (1 + alpha/2) b - (alpha/2) a
    return -(1 + alpha / 2) * on_low - alpha / 2 * on_high, alpha / 2 * on_low + (1 + alpha / 2) * on_high


def differences(loss: Loss, a: FloatArray, b: FloatArray, step: float) -> tuple[FloatArray, FloatArray]:
    """dL/da and dL/db by differences of fourth order: exact up to degree 4 in each bound."""
    slopes = []
    for side in (0, 1):
        for k in range(len(a)):
            samples = []
            for shift in (-2, -1, 1, 2):
                bounds = [a.copy(), b.copy()]
                bounds[side][k] += shift * step
                samples.append(loss(bounds[0], bounds[1]))
            slopes.append((samples[0] - 8 * samples[1] + 8 * samples[2] - samples[3]) / (12 * step))
    return np.array(slopes[: len(a)]), np.array(slopes[len(a) :])


def error(got: tuple[FloatArray, FloatArray], expected: tuple[FloatArray, FloatArray]) -> float:
    """Largest deviation over largest component."""
    return float(np.abs(np.stack(got) - np.stack(expected)).max() / np.abs(np.stack(expected)).max())


def limit_of_small_alpha(of: Callable[[float], tuple[FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    """alpha -> 0 by Richardson extrapolation over halved alphas."""
    row = [np.stack(of(0.4 / 2**level)) for level in range(8)]
    for order in range(1, len(row)):
        row = [(2**order * fine - coarse) / (2**order - 1) for coarse, fine in itertools.pairwise(row)]
    return row[0][0], row[0][1]


NAIVE = RegularizedSettings(form="paper", step_size=ETA, tolerance=0.0, regularization=LAMBDA)
OIR_B = OirBSettings(form="paper", step_size=ETA, tolerance=0.0, boundary_factor=ALPHA)
OIR_W = OirWSettings(form="paper", step_size=ETA, tolerance=0.0, emphasis_factor=BETA)
TRAPEZOIDAL = RegularizedSettings(form="paper", step_size=ETA, tolerance=0.0, regularization=LAMBDA)


def naive_by_leibniz(score: Smooth, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    down, up = leibniz(integral, score, a, b, 0.0)
    return -down - LAMBDA * (b - a), -up + LAMBDA * (b - a)


def oir_b_by_leibniz(score: Smooth, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    outer, inner = leibniz(integral, score, a, b, ALPHA), leibniz(integral, score, a, b, 0.0)
    return outer[0] - 2 * inner[0], outer[1] - 2 * inner[1]


def naive_loss(score: Smooth) -> Loss:
    return lambda a, b: -integral(score, a, b) + LAMBDA / 2 * float(((b - a) ** 2).sum())


def oir_b_loss(score: Smooth) -> Loss:
    def loss(a: FloatArray, b: FloatArray) -> float:
        margin = ALPHA / 2 * (b - a)
        return integral(score, a - margin, b + margin) - 2 * integral(score, a, b)

    return loss


def oir_w_loss(rule: Any, score: Smooth, alpha: float) -> Loss:
    def loss(a: FloatArray, b: FloatArray) -> float:
        margin = alpha / 2 * (b - a)
        return BETA / alpha * float(rule(score, a - margin, b + margin) - (1 + alpha / BETA) * rule(score, a, b))

    return loss


BLACK_BOX = [
    pytest.param(Naive, NAIVE, naive_by_leibniz, naive_loss, id="naive"),
    pytest.param(OirB, OIR_B, oir_b_by_leibniz, oir_b_loss, id="oir_b"),
]


@pytest.mark.parametrize("n", NS)
@pytest.mark.parametrize(("method", "settings", "exact", "loss"), BLACK_BOX)
def test_black_box_directions_are_exact_on_multilinear_scores(
    method: type[Optimizer[Any]], settings: Any, exact: Any, loss: Any, n: int
) -> None:
    score, (a, b) = multilinear(n), box(n)
    got = direction(method, settings, score, a, b)
    assert error(got, exact(score, a, b)) < 1e-10
    assert error(got, differences(loss(score), a, b, 0.05)) < 1e-10  # the loss is quadratic in each bound


@pytest.mark.parametrize("n", NS)
@pytest.mark.parametrize(("method", "settings", "exact", "loss"), BLACK_BOX)
def test_black_box_directions_on_curved_scores_are_off_by_the_square_of_the_width(
    method: type[Optimizer[Any]], settings: Any, exact: Any, loss: Any, n: int
) -> None:
    score, (a, b) = curved(n), box(n)
    sizes = 0.4 / 2.0 ** np.arange(5)
    errors = []
    for size in sizes:
        got, expected = direction(method, settings, score, a * size, b * size), exact(score, a * size, b * size)
        errors.append(float(np.abs(np.stack(got) - np.stack(expected)).max()) / size ** (n - 1))  # a score's error
    if n == 1:  # a face is a point: nothing to approximate
        assert max(errors) < 1e-12
    else:
        slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
        assert 1.9 < slope < 2.1


@pytest.mark.parametrize("n", NS)
def test_oir_w_is_the_limit_of_the_outer_inner_loss_on_multilinear_scores(n: int) -> None:
    score, (a, b) = multilinear(n), box(n)
    expected = limit_of_small_alpha(lambda alpha: differences(oir_w_loss(integral, score, alpha), a, b, 0.05))
    assert error(direction(OirW, OIR_W, score, a, b), expected) < 1e-8


@pytest.mark.parametrize("n", NS)
def test_oir_w_on_curved_scores_is_the_limit_of_leibniz_with_trapezoid_faces(n: int) -> None:
    score, (a, b) = curved(n), box(n)

    def at(alpha: float) -> tuple[FloatArray, FloatArray]:
        outer, inner = leibniz(corners, score, a, b, alpha), leibniz(corners, score, a, b, 0.0)
        down, up = ((q - (1 + alpha / BETA) * d) * BETA / alpha for q, d in zip(outer, inner, strict=True))
        return down, up

    assert error(direction(OirW, OIR_W, score, a, b), limit_of_small_alpha(at)) < 1e-8


@pytest.mark.parametrize("n", NS)
def test_oir_w_is_not_the_derivative_of_integrals_that_are_themselves_trapezoid_sums(n: int) -> None:
    score, (a, b) = curved(n), box(n)
    other = limit_of_small_alpha(lambda alpha: differences(oir_w_loss(corners, score, alpha), a, b, 0.01))
    assert error(direction(OirW, OIR_W, score, a, b), other) > 0.01


@pytest.mark.parametrize("n", NS)
def test_oir_w_equals_the_printed_formula_term_by_term(n: int) -> None:
    score, (a, b) = curved(n), box(n)
    r = b - a
    delta = float(np.prod(r)) / 2**n
    down, up = np.zeros(n), np.zeros(n)
    for k in range(n):
        for bits in itertools.product([0, 1], repeat=n):
            x = np.where(bits, b, a)
            f, slope = float(score.value(x)), score.gradient(x)
            others = sum((1 if bits[i] else -1) * r[i] * slope[i] for i in range(n) if i != k)
            own = (2 - (2 * n - 1) * BETA) / r[k] * f
            if bits[k]:
                up[k] += delta * (-own + BETA * slope[k] + BETA / r[k] * others)
                down[k] -= delta * BETA / r[k] * f
            else:
                down[k] += delta * (own + BETA * slope[k] - BETA / r[k] * others)
                up[k] += delta * BETA / r[k] * f
    assert error(direction(OirW, OIR_W, score, a, b), (down, up)) < 1e-12


def test_oir_w_in_one_dimension_is_the_textbook_line() -> None:
    score, (a, b) = curved(1), box(1)
    r, slope = b - a, score.gradient(a[None])[0]
    expected = (1 - BETA / 2) * score.value(a) - BETA / 2 * score.value(b) + BETA * r / 2 * slope
    assert direction(OirW, OIR_W, score, a, b)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", NS)
@pytest.mark.parametrize(("make", "step", "bound"), [(multilinear, 0.05, 1e-10), (curved, 1e-3, 1e-9)])
def test_trapezoidal_is_the_derivative_of_its_discrete_loss(
    make: Callable[[int], Smooth], step: float, bound: float, n: int
) -> None:
    score, (a, b) = make(n), box(n)

    def loss(a: FloatArray, b: FloatArray) -> float:
        return -corners(score, a, b) + LAMBDA / 2 * float(((b - a) ** 2).sum())

    assert error(direction(Trapezoidal, TRAPEZOIDAL, score, a, b), differences(loss, a, b, step)) < bound


@pytest.mark.parametrize("n", NS)
@pytest.mark.parametrize("form", ["paper", "normalized"])
def test_unregularized_is_oir_w_without_emphasis(form: Any, n: int) -> None:
    score, (a, b) = curved(n), box(n)
    plain = direction(Unregularized, UnregularizedSettings(form=form), score, a, b)
    without = direction(OirW, OirWSettings(form=form, emphasis_factor=0.0), score, a, b)
    np.testing.assert_array_equal(np.stack(plain), np.stack(without))


NORMALIZED = [
    pytest.param(Naive, RegularizedSettings(regularization=LAMBDA), NAIVE, id="naive"),
    pytest.param(Trapezoidal, RegularizedSettings(regularization=LAMBDA), TRAPEZOIDAL, id="trapezoidal"),
    pytest.param(Unregularized, UnregularizedSettings(), UnregularizedSettings.paper(), id="unregularized"),
]


@pytest.mark.parametrize("n", NS)
@pytest.mark.parametrize(("method", "normalized", "paper"), NORMALIZED)
def test_the_normalized_form_divides_integrals_by_face_areas_and_widths_by_scales(
    method: type[Optimizer[Any]], normalized: Any, paper: Any, n: int
) -> None:
    score, (a, b) = curved(n), box(n)
    scale = normalized.scale_share * 100.0  # the range of every parameter here is 100
    pull = getattr(paper, "regularization", 0.0) * (b - a)
    areas = np.array([np.prod(np.delete(b - a, k)) for k in range(n)])
    down, up = direction(method, paper, score, a, b)
    expected = (down + pull) / areas - pull / scale, (up - pull) / areas + pull / scale
    got_down, got_up = direction(method, normalized, score, a, b)  # a step of rate eta s_k
    assert error((got_down / scale, got_up / scale), expected) < 1e-10
