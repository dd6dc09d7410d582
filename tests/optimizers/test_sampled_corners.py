"""Sampled corners: the expected step is that of all corners, the bill does not grow with n; and a scale a parameter."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizers.check import check_optimizer
from optimizers.corner_method import CornerMethod, RegularizedSettings, settings_of_form
from optimizers.naive import Naive
from optimizers.oir_b import OirB
from optimizers.oir_w import OirW
from optimizers.run import run
from optimizers.trapezoidal import Trapezoidal
from optimizers.unregularized import Unregularized
from semrob_env.errors import InvalidParameterError
from semrob_env.functions import CallableFunction
from semrob_env.oracle import Answers, QueryOracle
from semrob_env.parameters import AZIMUTH, Parameter, SemanticSpace
from semrob_env.questions import Questions
from semrob_env.types import BoolArray, FloatArray

METHODS: list[type[CornerMethod[Any]]] = [Naive, OirB, OirW, Trapezoidal, Unregularized]
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))


def changed(method: type[CornerMethod[Any]], **settings: Any) -> Any:
    """The default settings of a method with some changed."""
    return method.settings_class.from_mapping(settings)


def plain_space(n: int) -> SemanticSpace:
    return SemanticSpace(tuple(Parameter(f"x{k}", "", -50.0, 50.0, None, 0.0, "") for k in range(n)))


def wavy(theta: FloatArray) -> FloatArray:
    """Anything but linear, of all parameters together."""
    pace = np.linspace(0.7, 1.9, theta.shape[-1])
    return np.asarray(0.5 + 0.5 * np.sin((theta * pace).sum(axis=-1)) * np.cos(theta[..., 0]))


def wavy_slope(theta: FloatArray) -> FloatArray:
    """The gradient of `wavy`."""
    pace = np.linspace(0.7, 1.9, theta.shape[-1])
    along, first = (theta * pace).sum(axis=-1)[..., None], theta[..., :1]
    slope = 0.5 * np.cos(along) * np.cos(first) * pace
    slope[..., :1] -= 0.5 * np.sin(along) * np.sin(first)
    return np.asarray(slope)


def step(
    method: type[CornerMethod[Any]], settings: Any, lower: FloatArray, upper: FloatArray, masks: BoolArray | None = None
) -> FloatArray:
    """Where a step moves the bounds (B, n) of each region: (2, B, n)."""
    optimizer = method(Questions(plain_space(lower.shape[1]), np.zeros(lower.shape)), settings=settings)
    bounds = {"state.lower": lower, "state.upper": upper}
    optimizer.restore({**optimizer.save(), **bounds, **({} if masks is None else {"state.masks": masks})})
    queries = optimizer.ask()
    slopes = wavy_slope(queries.theta) if queries.wants_gradient else None
    optimizer.tell(Answers(wavy(queries.theta), slopes, queries.active))
    after = optimizer.save()
    return np.stack([after["state.lower"] - lower, after["state.upper"] - upper])


@every_method
@pytest.mark.parametrize("form", ["normalized", "paper"])
@pytest.mark.parametrize(("n", "corners"), [(1, 2), (2, 4), (3, 2), (3, 4), (5, 2)])
def test_the_mean_step_over_all_draws_is_the_step_of_all_corners(
    method: type[CornerMethod[Any]], form: str, n: int, corners: int
) -> None:
    settings: Any = settings_of_form(method, form)
    rng = np.random.default_rng(n)
    lower, upper = -rng.uniform(0.3, 0.9, (1, n)), rng.uniform(0.3, 0.9, (1, n))
    single = list(itertools.product([False, True], repeat=n))
    draws = np.array(list(itertools.product(single, repeat=corners // 2)))  # every choice of first corners, once
    masks = np.stack([draws, ~draws], axis=2).reshape(len(draws), corners, n)
    rows = np.ones((len(draws), 1))
    sampled = step(method, replace(settings, corners=corners), rows * lower, rows * upper, masks)
    full = step(method, settings, lower, upper)[:, 0]
    np.testing.assert_allclose(sampled.mean(axis=1), full, rtol=0, atol=1e-13)
    assert n == 1 or sampled.std(axis=1).max() > 1e-3 * np.abs(full).max(), "draws differ, or there was nothing to show"


def test_drawn_corners_are_uniform_and_come_with_the_opposite_one() -> None:
    optimizer = OirB(Questions(plain_space(6), np.zeros((4000, 6))), settings=changed(OirB, corners=4))
    masks = optimizer.save()["state.masks"]
    assert (masks[:, 1::2] == ~masks[:, ::2]).all()
    corner = (masks[:, ::2] @ 2 ** np.arange(6)).ravel()
    counts = np.bincount(corner, minlength=64)
    assert ((counts - 125) ** 2 / 125).sum() < 120, "chi squared with 63 degrees of freedom, 99.999 % quantile"
    optimizer.tell(QueryOracle(CallableFunction(optimizer.space, wavy), trajectories=4000).query(optimizer.ask()))
    assert 0.4 < (optimizer.save()["state.masks"] != masks).mean() < 0.6, "drawn afresh"


@every_method
def test_sampled_corners_keep_every_promise(method: type[CornerMethod[Any]]) -> None:
    check_optimizer(method, settings=changed(method, corners=6))


@every_method
@pytest.mark.parametrize("n", [10, 20])
def test_a_step_costs_the_same_for_every_n_and_regions_grow(method: type[CornerMethod[Any]], n: int) -> None:
    space = plain_space(n)
    function = CallableFunction(
        space, lambda theta: np.exp(-((theta / 60) ** 2).mean(axis=1)), gradients=lambda theta: -theta / 1e6
    )
    settings = changed(method, corners=8, tolerance=0.0)
    optimizer = method(Questions(space, np.zeros((2, n))), settings=settings)
    result = run(optimizer, QueryOracle(function, trajectories=2, budget=640))
    price = 2 if method in {OirB, OirW, Trapezoidal} else 1  # of a second box, or of gradients
    assert (result.forward_queries + result.gradient_queries).tolist() == [640, 640]
    assert result.steps.tolist() == [80 // price] * 2
    assert (result.regions.width > 15).all()
    one, other = optimizer.save()["state.masks"]
    assert (one != other).any(), "each trajectory draws its own"


@pytest.mark.parametrize("corners", [0, 1, 3, -2, 2.0, True, "all"])
def test_other_than_an_even_number_of_corners_is_refused(corners: object) -> None:
    with pytest.raises(InvalidParameterError, match=r"corners .*: give an even number, 2 or above, or none for all"):
        RegularizedSettings.from_mapping({"corners": corners})


def test_all_corners_of_many_parameters_are_still_refused() -> None:
    with pytest.raises(InvalidParameterError, match="full corner sets go up to"):
        Naive(Questions(plain_space(13), np.zeros((1, 13))))


def test_settings_that_draw_say_so() -> None:
    assert not RegularizedSettings().draws
    assert RegularizedSettings(corners=4).draws
    assert RegularizedSettings.from_mapping({"corners": None}) == RegularizedSettings()


@every_method
def test_each_parameter_may_have_its_own_scale(method: type[CornerMethod[Any]]) -> None:
    lower, upper = np.array([[-0.4, -0.6]]), np.array([[0.5, 0.3]])
    one, same, unlike = (
        step(method, changed(method, scale_share=share), lower, upper) for share in (0.1, (0.1, 0.1), (0.1, 0.02))
    )
    assert one.tobytes() == same.tobytes()
    assert one[..., 0].tobytes() == unlike[..., 0].tobytes()
    if method in {Naive, Trapezoidal}:  # their regulariser pulls as hard as before
        assert (unlike[..., 1] != one[..., 1]).all()
    else:
        np.testing.assert_allclose(unlike[..., 1], one[..., 1] / 5, rtol=1e-12)


@pytest.mark.parametrize("wrong", [(), (0.1, 0.0), (0.1, -1.0), (0.1, np.inf), "wide", (0.1, "wide")])
def test_a_scale_out_of_its_limits_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidParameterError, match=r"scale_share .*: give a finite number above 0"):
        RegularizedSettings(scale_share=wrong)


def test_scales_must_be_as_many_as_parameters() -> None:
    with pytest.raises(InvalidParameterError, match="scale_share has 2 numbers; give one, or 1"):
        Naive(Questions(SemanticSpace((AZIMUTH,)), [[1.0]]), settings=RegularizedSettings(scale_share=(0.1, 0.2)))
