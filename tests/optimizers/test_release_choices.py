"""The released code's choices, as settings: bounds that are cut at the end only, and the turned gradient."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizers.corner_method import FARTHEST, CornerMethod, CornerSettings
from optimizers.naive import Naive
from optimizers.oir_b import OirB
from optimizers.oir_w import OirW, OirWSettings
from optimizers.registry import OPTIMIZERS
from optimizers.run import run
from optimizers.trapezoidal import Trapezoidal
from optimizers.unregularized import Unregularized
from semrob_env.errors import InvalidParameterError
from semrob_env.functions import CallableFunction
from semrob_env.oracle import Answers, QueryOracle
from semrob_env.parameters import Parameter, SemanticSpace
from semrob_env.questions import Questions
from semrob_env.recorded import RecordedMaps
from semrob_env.types import FloatArray
from tests.recorded_maker import SPACE, STARTS, wavy_maps

METHODS: list[type[CornerMethod[Any]]] = [Naive, OirB, OirW, Trapezoidal, Unregularized]
every_method = pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])
both_forms = pytest.mark.parametrize("form", ["normalized", "paper"])

BOX = SemanticSpace(tuple(Parameter(f"x{k}", "", 0.0, 10.0**k, None, 0.5, "") for k in range(3)))


def settings_of(method: type[CornerMethod[Any]], form: str = "paper", **changes: Any) -> Any:
    kind = method.settings_class
    assert issubclass(kind, CornerSettings)
    return replace(kind.paper() if form == "paper" else kind(), **changes)


def slope(theta: FloatArray) -> FloatArray:
    """A score that falls from 0.9 at azimuth 130 to 0.1 opposite, the same at every elevation."""
    return np.asarray(0.5 + 0.4 * np.cos(np.radians(theta[:, 0] - 130)))


def slope_gradients(theta: FloatArray) -> FloatArray:
    along = -0.4 * np.sin(np.radians(theta[:, 0] - 130)) * np.pi / 180
    return np.stack([along, np.zeros(len(theta))], axis=1)


def constant(space: SemanticSpace, score: float) -> CallableFunction:
    return CallableFunction(space, lambda theta: np.full(len(theta), score), gradients=np.zeros_like)


def bounds_after_each_step(
    optimizer: CornerMethod[Any], function: CallableFunction | RecordedMaps, steps: int
) -> FloatArray:
    """Own bounds, not recommended ones, (steps + 1, B, 2 n); queries are checked to lie in the space."""
    oracle, rows = QueryOracle(function, trajectories=len(optimizer)), []
    for step in range(steps + 1):
        state, regions = optimizer.save(), optimizer.recommend()
        rows.append(np.concatenate([state["state.lower"], state["state.upper"]], axis=1))
        assert np.isfinite(rows[-1]).all()
        assert optimizer.space.contains(regions.lower).all()
        assert (regions.upper <= optimizer.space.high + np.where(optimizer.space.is_periodic, 360, 0)).all()
        assert (regions.width <= optimizer.space.width).all()
        if step < steps:
            queries = optimizer.ask()
            assert optimizer.space.contains(queries.theta).all()
            optimizer.tell(oracle.query(queries))
    return np.array(rows)


# Cut at the end only


@every_method
@both_forms
def test_bounds_leave_the_space_and_queries_and_recommendations_do_not(
    method: type[CornerMethod[Any]], form: str
) -> None:
    function = CallableFunction(SPACE, slope, gradients=slope_gradients)
    settings = settings_of(method, form, projection="at_the_end", tolerance=0.0)
    starts = STARTS - [0.0, 8.0]  # so low that even a region at rest reaches out
    steps = 120 if form == "normalized" else 160
    history = bounds_after_each_step(method(Questions(SPACE, starts), settings=settings), function, steps)
    assert ((history[:, :, 1] < -10) | (history[:, :, 3] > 90)).any()
    kept = bounds_after_each_step(
        method(Questions(SPACE, starts), settings=replace(settings, projection="every_step")), function, steps
    )
    assert kept[:, :, 1].min() >= -10
    assert kept[:, :, 3].max() <= 90


def test_the_start_point_may_be_left_behind() -> None:
    # At rest scores on opposite sides are equal: the half turn around the peak at 130, where the mean score is 0.5.
    function, start = CallableFunction(SPACE, slope), [235.0, 30.0]
    regions = {}
    for projection in ("every_step", "at_the_end"):
        optimizer = Naive(Questions(SPACE, start), settings=settings_of(Naive, "normalized", projection=projection))
        run(optimizer, QueryOracle(function), max_steps=400)
        regions[projection] = optimizer.recommend()
    assert regions["every_step"].contains(start)[0]
    assert not regions["at_the_end"].contains(start)[0]
    np.testing.assert_allclose(regions["at_the_end"].lower[0, 0], 40, atol=1)
    np.testing.assert_allclose(regions["at_the_end"].upper[0, 0], 220, atol=1)


@every_method
@both_forms
def test_both_projections_are_the_same_bits_until_a_bound_is_touched(
    method: type[CornerMethod[Any]], form: str
) -> None:
    function = RecordedMaps(wavy_maps(["N/cup/0"]))
    steps = 30 if form == "normalized" else 160
    histories = [
        bounds_after_each_step(
            method(Questions(SPACE, STARTS), settings=settings_of(method, form, projection=projection)), function, steps
        )
        for projection in ("every_step", "at_the_end")
    ]
    plain, free = histories
    outside = (free[:, :, 1] <= -10) | (free[:, :, 3] >= 90) | (free[:, :, 2] - free[:, :, 0] >= 360)
    outside |= (free[:, :, :2] > STARTS).any(axis=2) | (free[:, :, 2:] < STARTS).any(axis=2)
    least_steps = 4 if form == "normalized" else 60
    for row in range(len(STARTS)):
        until = int(np.argmax(outside[:, row])) if outside[:, row].any() else len(outside)
        assert until > least_steps
        assert plain[:until, row].tobytes() == free[:until, row].tobytes()
    assert plain.tobytes() != free.tobytes()


@every_method
@both_forms
@pytest.mark.parametrize("space", [SPACE, BOX], ids=["n=2", "n=3"])
def test_bounds_stay_numbers_and_in_order_under_huge_answers(
    method: type[CornerMethod[Any]], form: str, space: SemanticSpace
) -> None:
    start = space.sample(16, np.random.default_rng(1))
    optimizer = method(Questions(space, start), settings=settings_of(method, form, projection="at_the_end"))
    rng = np.random.default_rng(0)
    for size in (1e3, 1e300, 5e306, 5e307, 1e308, np.inf, 1e-300, 1e150, 5e306):
        queries = optimizer.ask()
        assert space.contains(queries.theta).all()
        values = size * rng.choice([-1.0, 1.0], queries.theta.shape[:2])
        gradients = size * rng.choice([-1.0, 1.0], queries.theta.shape) if method.uses_gradient else None
        optimizer.tell(Answers(values, gradients, queries.active))
        state, regions = optimizer.save(), optimizer.recommend()
        assert (state["state.lower"] <= state["state.upper"]).all()
        assert np.abs([state["state.lower"], state["state.upper"]]).max() <= FARTHEST
        assert (regions.width <= space.width).all()
        assert space.contains(regions.lower).all()


def test_scores_that_are_no_numbers_leave_the_bounds_where_they_were() -> None:
    optimizer = OirW(Questions(SPACE, STARTS), settings=settings_of(OirW, projection="at_the_end"))
    before = optimizer.save()
    queries = optimizer.ask()
    nothing = np.full(queries.theta.shape[:2], np.nan)
    optimizer.tell(Answers(nothing, np.full(queries.theta.shape, np.nan), queries.active))
    for name in ("state.lower", "state.upper"):
        assert optimizer.save()[name].tobytes() == before[name].tobytes()


# The turned gradient


@both_forms
@pytest.mark.parametrize("projection", ["every_step", "at_the_end"])
def test_a_cross_entropy_gradient_is_that_of_a_function_with_the_gradient_turned(form: str, projection: str) -> None:
    turned = CallableFunction(SPACE, slope, gradients=lambda theta: -slope_gradients(theta))
    plain = CallableFunction(SPACE, slope, gradients=slope_gradients)
    settings, steps = settings_of(OirW, form, projection=projection, emphasis_factor=0.3), 180
    histories = {
        (name, gradient): bounds_after_each_step(
            OirW(Questions(SPACE, STARTS), settings=replace(settings, gradient=gradient)), function, steps
        )
        for name, function in (("plain", plain), ("turned", turned))
        for gradient in ("score", "cross_entropy")
    }
    assert histories["plain", "cross_entropy"].tobytes() == histories["turned", "score"].tobytes()
    assert histories["turned", "cross_entropy"].tobytes() == histories["plain", "score"].tobytes()
    assert not np.allclose(histories["plain", "score"], histories["plain", "cross_entropy"])


# Words


@pytest.mark.parametrize(
    ("method", "setting", "value", "message"),
    [
        ("naive", "projection", "never", "projection 'never': choose every_step or at_the_end"),
        ("oir_b", "projection", 1, "projection 1: choose every_step or at_the_end"),
        ("oir_w", "gradient", "loss", "gradient 'loss': choose score or cross_entropy"),
        ("oir_w", "gradient", None, "gradient None: choose score or cross_entropy"),
        ("naive", "gradient", "score", "unknown hyperparameter 'gradient'; this method has form, step_size"),
    ],
)
def test_a_word_that_is_not_known_is_refused_in_one_line(
    method: str, setting: str, value: object, message: str
) -> None:
    with pytest.raises(InvalidParameterError, match=message) as raised:
        OPTIMIZERS[method].settings_class.from_mapping({setting: value})
    assert "\n" not in str(raised.value)


def test_the_paper_settings_project_at_every_step_and_take_the_gradient_of_the_score() -> None:
    assert {settings_of(method).projection for method in METHODS} == {"every_step"}
    assert OirWSettings.paper().gradient == OirWSettings().gradient == "score"


# Batches on maps


@every_method
@both_forms
@pytest.mark.parametrize("projection", ["every_step", "at_the_end"])
def test_a_trajectory_on_maps_has_the_same_bits_in_any_batch(
    method: type[CornerMethod[Any]], form: str, projection: str
) -> None:
    function, rng = RecordedMaps(wavy_maps()), np.random.default_rng(3)
    start, member = SPACE.sample(48, rng), rng.integers(0, function.members, 48)
    settings = settings_of(method, form, projection=projection)

    def bounds(rows: Any) -> FloatArray:
        optimizer = method(Questions(SPACE, start[rows], member=member[rows]), settings=settings)
        oracle = QueryOracle(function, trajectories=len(rows))
        for _ in range(130 if form == "paper" else 25):
            optimizer.tell(oracle.query(optimizer.ask()))
        state = optimizer.save()
        return np.concatenate([state["state.lower"], state["state.upper"]], axis=1)

    whole = bounds(np.arange(48))
    assert ((whole[:, 2:] - whole[:, :2]).max(axis=1) > 1).sum() > 20, "most have grown"
    for rows in (np.array([11]), rng.permutation(48)[:7], rng.permutation(48)):
        assert bounds(rows).tobytes() == whole[rows].tobytes()
