"""What every corner method does with its direction: growth, projection, convergence, cost, batches, settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optimizers.base import CONVERGED, STEPS, Optimizer
from optimizers.corner_method import (
    FARTHEST,
    LEAST_SHARE,
    CornerMethod,
    CornerSettings,
    RegularizedSettings,
    face_means,
    settings_of_form,
)
from optimizers.naive import Naive
from optimizers.oir_b import OirB, OirBSettings
from optimizers.oir_w import OirW, OirWSettings
from optimizers.registry import OPTIMIZERS
from optimizers.run import run
from optimizers.trapezoidal import Trapezoidal
from optimizers.unregularized import Unregularized, UnregularizedSettings
from semrob_env.errors import InvalidParameterError, ShapeMismatchError
from semrob_env.functions import CallableFunction, make_function
from semrob_env.oracle import Answers, QueryOracle
from semrob_env.parameters import AZIMUTH, ELEVATION, Parameter, SemanticSpace
from semrob_env.questions import Questions
from semrob_env.types import FloatArray

METHODS: list[type[CornerMethod[Any]]] = [Naive, OirB, OirW, Trapezoidal, Unregularized]
NAMES = [method.name for method in METHODS]
every_method = pytest.mark.parametrize("method", METHODS, ids=NAMES)

VIEW = SemanticSpace((AZIMUTH, ELEVATION))


def plain_space(n: int) -> SemanticSpace:
    """n plain parameters of unlike ranges; the first is 0 to 8."""
    return SemanticSpace(tuple(Parameter(f"x{k}", "", -k * 3.0, 8.0 + 10 * k, None, 4.0, "") for k in range(n)))


def constant(space: SemanticSpace, score: float) -> CallableFunction:
    return CallableFunction(space, lambda theta: np.full(len(theta), score), gradients=np.zeros_like)


def along_first(space: SemanticSpace) -> CallableFunction:
    """A bump in the first parameter of `plain_space`."""

    def gradients(theta: FloatArray) -> FloatArray:
        slopes = np.zeros_like(theta)
        slopes[:, 0] = -0.8 * np.sin(0.5 * theta[:, 0] - 1.8) * np.cos(0.5 * theta[:, 0] - 1.8)
        return slopes

    def scores(theta: FloatArray) -> FloatArray:
        return np.asarray(0.1 + 0.8 * np.cos(0.5 * theta[:, 0] - 1.8) ** 2)

    return CallableFunction(space, scores, gradients=gradients)


def bumpy(space: SemanticSpace) -> CallableFunction:
    """A score that depends on every parameter and their products."""
    pace = 2 * np.pi / space.width * np.arange(1, space.n + 1)

    def scores(theta: FloatArray) -> FloatArray:
        return np.asarray(0.55 + 0.4 * np.prod(np.cos(theta * pace), axis=-1))

    def gradients(theta: FloatArray) -> FloatArray:
        waves = np.cos(theta * pace)
        columns = [
            -0.4 * pace[k] * np.sin(theta[:, k] * pace[k]) * np.prod(np.delete(waves, k, axis=1), axis=-1)
            for k in range(space.n)
        ]
        return np.stack(columns, axis=-1)

    return CallableFunction(space, scores, gradients=gradients)


def widths(optimizer: Optimizer[Any], function: CallableFunction, steps: int) -> FloatArray:
    """Widths of the only trajectory before the first step and after each, (steps + 1, n)."""
    oracle = QueryOracle(function)
    rows = [optimizer.recommend().width[0]]
    for _ in range(steps):
        optimizer.tell(oracle.query(optimizer.ask()))
        rows.append(optimizer.recommend().width[0])
    return np.stack(rows)


def test_face_means_are_the_means_over_corners_with_a_bit_clear_and_set() -> None:
    values = np.random.default_rng(0).random((3, 2, 16))
    lower, upper = face_means(values)
    for k in range(4):
        is_set = np.array([bool(c >> k & 1) for c in range(16)])
        np.testing.assert_allclose(lower[..., k], values[..., ~is_set].mean(axis=-1), rtol=1e-14)
        np.testing.assert_allclose(upper[..., k], values[..., is_set].mean(axis=-1), rtol=1e-14)


# Growth


@every_method
@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_normalized_form_grows_along_the_only_parameter_that_matters_as_for_one_parameter(
    method: type[CornerMethod[Any]], n: int
) -> None:
    alone = widths(method(Questions(plain_space(1), [3.0])), along_first(plain_space(1)), 25)
    start = [3.0, *plain_space(n).default[1:]]
    among_others = widths(method(Questions(plain_space(n), start)), along_first(plain_space(n)), 25)
    np.testing.assert_allclose(among_others[:, 0], alone[:, 0], rtol=1e-9)
    assert alone[-1, 0] > 1.0


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("method", [Naive, Trapezoidal], ids=["naive", "trapezoidal"])
def test_with_a_regularizer_a_constant_score_is_the_share_of_the_range_where_growth_ends(
    method: type[CornerMethod[Any]], n: int
) -> None:
    space, score = plain_space(n), 0.4
    optimizer = method(Questions(space, space.low + 0.5 * space.width))
    result = run(optimizer, QueryOracle(constant(space, score)), max_steps=1000)
    assert result.status == [CONVERGED]
    np.testing.assert_allclose(result.regions.width[0], score * space.width, rtol=5e-3)


def test_naive_reaches_nine_tenths_of_its_equilibrium_in_37_steps() -> None:
    grown = widths(Naive(Questions(VIEW, [90.0, 40.0])), constant(VIEW, 0.5), 37)
    steps = np.arange(38)
    tends_to = 0.5 * VIEW.width
    expected = tends_to - (tends_to - grown[0]) * (1 - 2 * 0.3 * 0.1) ** steps[:, None]
    np.testing.assert_allclose(grown, expected, rtol=1e-9)
    assert (grown[-1] > 0.895 * tends_to).all()


LINEAR = [
    pytest.param(OirB, OirBSettings(boundary_factor=0.2), 1 - 0.2, id="oir_b"),
    pytest.param(OirW, OirWSettings(emphasis_factor=0.3), 1 - 0.3, id="oir_w"),
    pytest.param(Unregularized, UnregularizedSettings(), 1.0, id="unregularized"),
]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(("method", "settings", "pace"), LINEAR)
def test_without_a_regularizer_a_side_moves_by_its_score_times_eta_and_scale(
    method: type[CornerMethod[Any]], settings: Any, pace: float, n: int
) -> None:
    space = plain_space(n)
    grown = widths(method(Questions(space, space.low + 0.5 * space.width), settings=settings), constant(space, 0.7), 10)
    step = 2 * 0.3 * 0.1 * space.width * 0.7 * pace
    np.testing.assert_allclose(np.diff(grown, axis=0), np.tile(step, (10, 1)), rtol=1e-9)


EXPONENTIAL = [
    pytest.param(Naive, RegularizedSettings.paper(), 0.7 - 0.1, id="naive"),
    pytest.param(OirB, OirBSettings.paper(), 0.7 * (2 - 1.05**2), id="oir_b"),
    pytest.param(OirW, OirWSettings.paper(), 0.7 * (1 - 2 * 0.0009), id="oir_w"),
    pytest.param(Trapezoidal, RegularizedSettings.paper(), 0.7 - 0.1, id="trapezoidal"),
    pytest.param(Unregularized, UnregularizedSettings.paper(), 0.7, id="unregularized"),
]


@pytest.mark.parametrize(("method", "settings", "rate"), EXPONENTIAL)
def test_the_papers_form_grows_exponentially_for_two_parameters_and_not_at_all_for_three(
    method: type[CornerMethod[Any]], settings: Any, rate: float
) -> None:
    grown = widths(method(Questions(VIEW, [90.0, 40.0]), settings=settings), constant(VIEW, 0.7), 40)
    np.testing.assert_allclose(grown[1:] / grown[:-1], np.full((40, 2), 1 + 2 * 0.1 * rate), rtol=1e-5)
    space = plain_space(3)
    stuck = widths(method(Questions(space, space.default), settings=settings), constant(space, 0.7), 40)
    assert (stuck <= 2.01e-5).all()


def test_a_region_covers_a_space_of_score_one_in_17_steps_from_its_center() -> None:
    optimizer = Unregularized(Questions(VIEW, [77.0, 40.0]))
    result = run(optimizer, QueryOracle(constant(VIEW, 1.0)), max_steps=100)
    assert result.status == [CONVERGED]
    assert result.steps[0] == 17 + 2  # and two still ones
    assert result.regions.share()[0] == pytest.approx(1.0, abs=1e-12)
    region = optimizer.save()
    np.testing.assert_allclose(region["state.lower"][0], [77.0 - 180.0, -10.0])  # the sides met half-way round
    np.testing.assert_allclose(region["state.upper"][0], [77.0 + 180.0, 90.0])


# Projection


@every_method
@pytest.mark.parametrize("form", ["normalized", "paper"])
def test_nothing_leaves_the_space_under_huge_answers(method: type[CornerMethod[Any]], form: str) -> None:
    start = np.array([[0.0, -10.0], [359.9, 90.0], [180.0, 40.0], [0.0, 90.0]])
    optimizer = method(Questions(VIEW, start), settings=method.settings_class.from_mapping({"form": form}))
    rng = np.random.default_rng(0)
    for size in (1e3, 1e308, np.inf, 1e-300, 1e308):
        queries = optimizer.ask()
        assert VIEW.contains(queries.theta).all()
        values = size * rng.choice([-1.0, 1.0], queries.theta.shape[:2])
        gradients = size * rng.choice([-1.0, 1.0], queries.theta.shape) if method.uses_gradient else None
        optimizer.tell(Answers(values, gradients, queries.active))
        state, regions = optimizer.save(), optimizer.recommend()
        assert regions.contains(start).all()
        assert ((state["state.lower"] <= start) & (start <= state["state.upper"])).all()
        assert (regions.width > 0).all()
        assert (regions.width <= VIEW.width).all()


def test_a_start_on_a_bound_grows_to_one_side_and_wraps_along_a_period() -> None:
    optimizer = Unregularized(Questions(VIEW, [[0.0, 90.0], [0.0, -10.0]]))
    oracle = QueryOracle(constant(VIEW, 1.0), trajectories=2)
    for _ in range(5):
        optimizer.tell(oracle.query(optimizer.ask()))
    regions = optimizer.recommend()
    np.testing.assert_allclose(regions.lower, [[306.0, 75.0], [306.0, -10.0]], atol=1e-4)
    np.testing.assert_allclose(regions.upper, [[414.0, 90.0], [414.0, 5.0]], atol=1e-4)


def test_a_region_grows_over_the_seam_on_either_side() -> None:
    optimizer = Unregularized(Questions(VIEW, [[350.0, 40.0], [10.0, 40.0]]))
    oracle = QueryOracle(constant(VIEW, 1.0), trajectories=2)
    for _ in range(5):
        optimizer.tell(oracle.query(optimizer.ask()))
    saved = optimizer.save()
    np.testing.assert_allclose(saved["state.lower"][:, 0], [296.0, -44.0], atol=1e-4)
    np.testing.assert_allclose(saved["state.upper"][:, 0], [404.0, 64.0], atol=1e-4)


def test_sides_of_unlike_speed_meet_where_they_pass_each_other_and_stay() -> None:
    fast_above = CallableFunction(VIEW, lambda theta: np.where((theta[:, 0] - 10.0) % 360 < 180, 1.0, 0.5))
    optimizer = Unregularized(Questions(VIEW, [10.0, 40.0]))
    oracle = QueryOracle(fast_above)
    full = []
    while optimizer.running.any():
        optimizer.tell(oracle.query(optimizer.ask()))
        state = optimizer.save()
        if state["state.upper"][0, 0] - state["state.lower"][0, 0] >= 360 - 1e-9:
            full.append((float(state["state.lower"][0, 0]), float(state["state.upper"][0, 0])))
    assert len(full) > 2
    assert len(set(full)) == 1
    assert full[0][0] < 10.0 - 100
    assert full[0][1] == full[0][0] + 360.0
    assert full[0][1] - 10.0 > 1.2 * (10.0 - full[0][0])


def test_a_region_without_score_shrinks_to_the_least_width_and_ends() -> None:
    optimizer = Naive(Questions(VIEW, [[130.0, 30.0], [20.0, 90.0]]))
    result = run(optimizer, QueryOracle(constant(VIEW, 0.0), trajectories=2), max_steps=1000)
    assert result.status == [CONVERGED, CONVERGED]
    assert (result.steps < 1000).all()
    sides = np.array([[2.0, 2.0], [2.0, 1.0]])  # at a bound of the space there is one side only
    np.testing.assert_allclose(result.regions.width, sides * LEAST_SHARE * VIEW.width, rtol=1e-3)


def test_a_bound_beyond_the_farthest_stays_where_it_was_until_the_end() -> None:
    settings = UnregularizedSettings(projection="at_the_end")
    optimizer = Unregularized(Questions(VIEW, [130.0, 30.0]), settings=settings)
    for score, moves in ((1e290, True), (1e302, False), (1e289, True), (-1e302, False)):
        before = optimizer.save()
        queries = optimizer.ask()
        assert VIEW.contains(queries.theta).all()
        optimizer.tell(Answers(np.full(queries.theta.shape[:2], score), None, queries.active))
        after = optimizer.save()
        for name, sign in (("state.lower", -1), ("state.upper", 1)):
            rate = sign * 0.3 * 0.1 * VIEW.width * score
            expected = before[name] + rate if moves else before[name]
            np.testing.assert_allclose(after[name], np.atleast_2d(expected), rtol=1e-12)
    assert VIEW.contains(optimizer.recommend().center).all()


def test_the_farthest_bound_itself_is_kept_and_bounds_that_passed_each_other_change_places() -> None:
    settings = UnregularizedSettings(projection="at_the_end")
    optimizer = Unregularized(Questions(VIEW, [130.0, 30.0]), settings=settings)
    before = {"lower": np.array([[1.0, 2.0]]), "upper": np.array([[3.0, 4.0]])}
    beyond = np.nextafter(FARTHEST, np.inf)
    lower, upper = optimizer._projected(np.array([[-FARTHEST, -beyond]]), np.array([[FARTHEST, beyond]]), before)
    assert (lower.tolist(), upper.tolist()) == ([[-FARTHEST, 2.0]], [[FARTHEST, 4.0]])
    lower, upper = optimizer._projected(np.array([[9.0, -5.0]]), np.array([[-9.0, 5.0]]), before)
    assert (lower.tolist(), upper.tolist()) == ([[-9.0, -5.0]], [[9.0, 5.0]])


# Convergence, cost, batches


@every_method
def test_the_papers_runs_never_stop_by_themselves(method: type[CornerMethod[Any]]) -> None:
    optimizer = method(Questions(VIEW, [130.0, 30.0]), settings=_paper(method))
    result = run(optimizer, QueryOracle(constant(VIEW, 0.0)), max_steps=600)
    assert result.status == [STEPS]
    assert result.steps[0] == 600


def test_one_still_step_is_not_convergence() -> None:
    optimizer = Unregularized(Questions(VIEW, [130.0, 30.0]))
    for score, running in ((0.0, True), (1.0, True), (0.0, True), (0.0, False)):
        queries = optimizer.ask()
        optimizer.tell(Answers(np.full(queries.theta.shape[:2], score), None, queries.active))
        assert optimizer.running[0] == running


COST = {"naive": (1, 0), "oir_b": (2, 0), "oir_w": (1, 1), "trapezoidal": (1, 1), "unregularized": (1, 0)}


@every_method
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_step_costs_what_the_method_table_says(method: type[CornerMethod[Any]], n: int) -> None:
    space = plain_space(n)
    result = run(method(Questions(space, space.default)), QueryOracle(bumpy(space)), max_steps=3)
    forward, gradient = COST[method.name]
    assert result.forward_queries[0] == 3 * forward * 2**n
    assert result.gradient_queries[0] == 3 * gradient * 2**n


@every_method
def test_twelve_parameters_work_and_thirteen_are_refused(method: type[CornerMethod[Any]]) -> None:
    space = plain_space(12)
    result = run(method(Questions(space, space.default)), QueryOracle(bumpy(space)), max_steps=2)
    assert result.regions.contains(space.default).all()
    with pytest.raises(InvalidParameterError, match="full corner sets go up to n = 12"):
        method(Questions(plain_space(13), plain_space(13).default))


@every_method
@pytest.mark.parametrize("form", ["normalized", "paper"])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_trajectory_has_the_same_bits_in_any_batch(method: type[CornerMethod[Any]], form: str, n: int) -> None:
    space = VIEW if n == 2 else plain_space(n)
    function, rng = bumpy(space), np.random.default_rng(n)
    start = space.sample(64, rng)
    settings = method.settings_class.from_mapping({"form": form, "step_size": 0.9})

    def bounds(rows: Any) -> tuple[FloatArray, FloatArray]:
        optimizer = method(Questions(space, start[rows]), settings=settings)
        # A wide first region, so that the paper's form moves at any n and every term counts.
        half = 0.2 * space.width
        state = {"state.lower": start[rows] - half, "state.upper": start[rows] + half}
        optimizer.restore({**optimizer.save(), **state})
        oracle = QueryOracle(function, trajectories=len(rows))
        for _ in range(8):
            optimizer.tell(oracle.query(optimizer.ask()))
        saved = optimizer.save()
        return saved["state.lower"], saved["state.upper"]

    whole = bounds(np.arange(64))
    assert not np.array_equal(whole[0], start - 0.2 * space.width)
    for rows in (np.array([3]), rng.permutation(64)[:7], rng.permutation(64)):
        for part, every in zip(bounds(rows), whole, strict=True):
            assert part.tobytes() == every[rows].tobytes()


# Settings


def _paper(method: type[CornerMethod[Any]]) -> CornerSettings:
    settings_class = method.settings_class
    assert issubclass(settings_class, CornerSettings)
    return settings_class.paper()


def test_the_papers_settings_are_those_of_the_paper() -> None:
    for method in METHODS:
        settings = _paper(method)
        assert (settings.form, settings.step_size, settings.tolerance) == ("paper", 0.1, 0.0)
    assert RegularizedSettings.paper().regularization == RegularizedSettings.paper().regularization == 0.1
    assert OirBSettings.paper().boundary_factor == 0.05
    assert OirWSettings.paper().emphasis_factor == 0.0009


def test_only_corner_methods_have_the_papers_form() -> None:
    assert settings_of_form(Naive, "paper") == RegularizedSettings.paper()
    assert settings_of_form(Naive, "normalized") == RegularizedSettings()
    other = next(method for method in OPTIMIZERS.values() if not issubclass(method.settings_class, CornerSettings))
    assert settings_of_form(other, "normalized") == other.settings_class()
    for method, form in ((other, "paper"), (other, "exact"), (Naive, "exact")):
        with pytest.raises(InvalidParameterError, match=f"{method.name} has no form '{form}'"):
            settings_of_form(method, form)


@pytest.mark.parametrize(
    ("name", "setting", "value", "message"),
    [
        ("naive", "form", "exact", "form 'exact': choose normalized or paper"),
        ("naive", "step_size", 0, "step_size 0: give a finite number above 0"),
        ("naive", "step_size", "0.1", "step_size '0.1': give a finite number above 0"),
        ("naive", "scale_share", float("inf"), "scale_share inf: give a finite number above 0"),
        ("naive", "tolerance", -1e-3, "tolerance -0.001: give a finite number 0 or above"),
        ("naive", "regularization", float("nan"), "regularization nan: give a finite number 0 or above"),
        ("trapezoidal", "regularization", -1.0, "regularization -1.0: give a finite number 0 or above"),
        ("oir_b", "boundary_factor", 0.0, "boundary_factor 0.0: give a finite number above 0"),
        ("oir_w", "emphasis_factor", -0.1, "emphasis_factor -0.1: give a finite number 0 or above"),
        ("unregularized", "regularization", 0.1, "unknown hyperparameter 'regularization'"),
    ],
)
def test_settings_out_of_their_limits_are_refused(name: str, setting: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        OPTIMIZERS[name].settings_class.from_mapping({setting: value})


@pytest.mark.parametrize(("form", "n", "limit"), [("paper", 1, 2.0), ("paper", 3, 0.4), ("normalized", 3, 2.0)])
def test_the_emphasis_of_oir_w_must_be_below_its_limit_for_n(form: Any, n: int, limit: float) -> None:
    space = plain_space(n)
    OirW(Questions(space, space.default), settings=OirWSettings(form=form, emphasis_factor=limit - 1e-6))
    with pytest.raises(InvalidParameterError, match=f"must be below {limit:g} for n = {n} in the {form} form"):
        OirW(Questions(space, space.default), settings=OirWSettings(form=form, emphasis_factor=limit))


def test_a_white_box_method_refuses_answers_without_gradients() -> None:
    optimizer = OirW(Questions(VIEW, [130.0, 30.0]))
    queries = optimizer.ask()
    with pytest.raises(ShapeMismatchError, match="oir_w needs a gradient with each of its"):
        optimizer.tell(Answers(np.full((1, 4), 0.5), None, queries.active))


def test_start_points_must_be_one_row_a_trajectory() -> None:
    with pytest.raises(ShapeMismatchError, match=r"start points \(1, 2, 2\) must be \(n,\) or \(B, n\)"):
        Naive(Questions(VIEW, np.zeros((1, 2, 2))))


def test_a_continued_run_traces_from_where_it_was_saved() -> None:
    function = make_function("synthetic:hill?n=2&seed=0")
    start = function.space.default
    whole = run(Naive(Questions(function.space, start)), QueryOracle(function, budget=100))
    first, oracle = Naive(Questions(function.space, start)), QueryOracle(function, budget=40)
    run(first, oracle)
    second, more = Naive(Questions(function.space, start)), QueryOracle(function, budget=100)
    saved = first.save()
    saved["status"][:] = "running"
    second.restore(saved)
    more.restore(oracle.forward_queries, oracle.gradient_queries)
    continued = run(second, more)
    assert continued.regions == whole.regions
    assert continued.trace.queries[0] == 40
    after = whole.trace.queries >= 40
    np.testing.assert_array_equal(continued.trace.queries, whole.trace.queries[after])
    np.testing.assert_array_equal(continued.trace.upper, whole.trace.upper[after])
