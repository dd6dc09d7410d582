"""A question as a callable: loops of other libraries run on it as they are, end cleanly and leave the best behind."""

from __future__ import annotations

import copy
import doctest
import importlib.util
import multiprocessing
import os
import pickle
import re
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy import optimize

import baselines.loops
from baselines import objective
from semrob_env import CallableFunction, Question, SemanticSpace, exact_moments, make_function, read_goal
from semrob_env.errors import (
    BudgetExhausted,
    InvalidParameterError,
    OtherProcessError,
    SemrobError,
    ShapeMismatchError,
)
from semrob_env.types import FloatArray

HILL = "synthetic:hill?n=2&seed=0"
QUESTION = Question(HILL, (180.0, 40.0), read_goal("mean=0.5"), budget=200)
BUDGET = 200


def share_if_feasible(best: Any) -> float:
    mean, variance = exact_moments(make_function(HILL), best, np.array([0]))
    return float(best.share()[0]) if QUESTION.goal.is_met(mean, variance)[0] else 0.0


def examples() -> dict[str, list[str]]:
    """The examples of the page, statement by statement, by the library that the text before them names."""
    found: dict[str, list[str]] = {}
    library = ""
    for part in doctest.DocTestParser().parse(str(baselines.loops.__doc__)):
        if isinstance(part, doctest.Example):
            found.setdefault(library, []).append(part.source)
        elif part.strip():
            library = re.split(r"\W", part.strip().split("afterwards. ")[-1])[0].lower()
    return found


@pytest.mark.parametrize(
    ("library", "budget"),
    [
        *((name, 400) for name in ("scipy", "optuna", "nevergrad", "cma", "pymoo")),
        pytest.param("botorch", 80, marks=pytest.mark.slow),
    ],
)
def test_the_example_of_each_library_runs_as_it_stands(library: str, budget: int) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    names: dict[str, Any] = {"objective": objective, "question": Question(HILL, QUESTION.start, QUESTION.goal, budget)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the library are its own
        for statement in examples()[library]:
            exec(statement, names)
    f = names["f"]
    assert f.is_over
    assert budget - 4 < f.spent <= budget
    assert 0.01 < f.best.share()[0] < 0.25
    assert f.best.contains(np.array([QUESTION.start])).all()
    assert f.best_value == pytest.approx(-np.sqrt(f.best.share()[0]))


LOCAL = {
    name: lambda f, x, name=name: optimize.minimize(f, x, method=name, bounds=f.bounds)
    for name in ("Nelder-Mead", "Powell", "L-BFGS-B", "TNC", "COBYLA", "COBYQA", "SLSQP", "trust-constr")
}
GLOBAL: dict[str, Callable[[Any, FloatArray], Any]] = {
    "differential evolution": lambda f, x: optimize.differential_evolution(f, f.bounds, rng=0),
    "vectorized": lambda f, x: optimize.differential_evolution(
        lambda u: f(u.T), f.bounds, rng=0, vectorized=True, updating="deferred"
    ),
    "threads": lambda f, x: optimize.differential_evolution(
        f, f.bounds, rng=0, workers=ThreadPoolExecutor(4).map, updating="deferred"
    ),
    "dual annealing": lambda f, x: optimize.dual_annealing(f, f.bounds, rng=0),
    "basin hopping": lambda f, x: optimize.basinhopping(
        f, x, rng=0, minimizer_kwargs={"method": "L-BFGS-B", "bounds": f.bounds}
    ),
    "shgo": lambda f, x: optimize.shgo(f, f.bounds, n=64, sampling_method="sobol"),
    "direct": lambda f, x: optimize.direct(f, f.bounds),
    "brute": lambda f, x: optimize.brute(f, f.bounds),
}


@pytest.mark.parametrize("name", [*LOCAL, *GLOBAL])
@pytest.mark.parametrize("of", ["region", "point"])
def test_every_loop_of_scipy_ends_within_the_budget_and_leaves_the_best(of: Any, name: str) -> None:
    asked: list[float] = []
    with warnings.catch_warnings(), objective(QUESTION, of=of, unit=True) as f:
        warnings.simplefilter("ignore", UserWarning)  # flat ground is told by some

        def heard(x: FloatArray) -> Any:
            value = f(x)
            asked.extend(np.atleast_1d(value).tolist())
            return value

        listening: Any = heard
        listening.bounds = f.bounds
        for restart in range(200):  # local searches converge before the end: restart them, as users do
            {**LOCAL, **GLOBAL}[name](listening, np.full(f.size, 0.3 + 0.003 * restart))
    assert f.spent <= BUDGET
    assert f.is_over
    if of == "point":
        assert f.best_value == min(asked)
        assert make_function(HILL).values(f.best.lower[:, None])[0, 0] == pytest.approx(f.best_value)
    elif f.best_x is not None:
        assert f.best_value in asked


def test_regions_that_are_best_meet_the_goal_more_often_than_not() -> None:
    shares = []
    for seed in range(8):
        question = Question(HILL, QUESTION.start, QUESTION.goal, budget=600)
        with objective(question, seed=seed) as f:
            optimize.differential_evolution(f, f.bounds, rng=seed)
        shares.append(share_if_feasible(f.best))
    assert np.mean(np.array(shares) > 0) >= 0.75
    assert np.median(shares) > 0.05


def test_a_point_is_worth_its_score_and_azimuth_360_is_0() -> None:
    f = objective(QUESTION, of="point")
    hill = make_function(HILL)
    points = np.array([[360.0, 40.0], [0.0, 40.0], [-90.0, 10.0], [725.0, 90.0]])
    values = f(points)
    assert values.shape == (4,)
    assert values[0] == values[1]
    assert np.allclose(values, hill.values(hill.space.project(points)[:, None])[:, 0], atol=0)
    assert f([360.0, 40.0]) == values[0]
    assert f.spent == 5
    assert objective(QUESTION, of="point", unit=True)([1.0, 0.5]) == values[0]
    assert objective(QUESTION, of="point", seeks="high")([0.0, 40.0]) == -values[0]


@pytest.mark.parametrize("unit", [False, True])
def test_values_do_not_depend_on_how_many_are_asked_at_once(unit: bool) -> None:
    together, alone = objective(QUESTION, unit=unit, seed=3), objective(QUESTION, unit=unit, seed=3)
    rng = np.random.default_rng(0)
    x = together.low + rng.random((12, 4)) * (together.high - together.low)
    assert together(x).tolist() == [alone(one) for one in x]
    assert together.best == alone.best
    assert together.spent == alone.spent


def test_both_scales_speak_of_the_same_regions() -> None:
    native, unit = objective(QUESTION), objective(QUESTION, unit=True)
    lower, upper = np.array([150.0, 30.0]), np.array([270.0, 60.0])
    reach = [30 / 360, 10 / 50, 90 / 360, 20 / 50]
    assert native([*lower, *upper]) == pytest.approx(unit(reach))
    assert native.names == ("azimuth_lower", "elevation_lower", "azimuth_upper", "elevation_upper")
    assert native.bounds == [(-180.0, 180.0), (-10.0, 40.0), (180.0, 540.0), (40.0, 90.0)]
    assert np.allclose([native.best.lower, native.best.upper], [[lower], [upper]]) or native.best_x is None


def test_a_start_at_the_wall_has_a_side_of_no_room() -> None:
    f = objective(Question(HILL, (180.0, 90.0), QUESTION.goal, budget=40))
    assert f.bounds[3] == (90.0, 90.0)
    assert np.isfinite(f([170.0, 80.0, 190.0, 90.0]))


def test_the_end_is_an_error_outside_of_with_and_a_call_that_cannot_be_paid_keeps_what_it_found() -> None:
    f = objective(Question(HILL, QUESTION.start, QUESTION.goal, budget=5), of="point")
    with pytest.raises(BudgetExhausted, match="with objective"):
        f(np.tile([10.0, 20.0], (7, 1)))
    assert f.spent == 5
    assert f.best_x is not None
    with f:
        f([10.0, 20.0])
        pytest.fail("the block has ended")
    assert f.spent == 5


def test_an_error_of_the_loop_or_another_objective_leaves_the_block() -> None:
    with pytest.raises(ZeroDivisionError), objective(QUESTION):
        _ = 1 / 0
    inner = objective(Question(HILL, QUESTION.start, QUESTION.goal, budget=1), of="point")
    with objective(QUESTION):
        with inner:
            inner(np.zeros((2, 2)))
        reached = True
    assert reached


def test_other_processes_are_refused_and_ask_nothing() -> None:
    with objective(QUESTION, of="point") as f, pytest.raises(OtherProcessError, match="stays in its process"):
        optimize.differential_evolution(f, f.bounds, rng=0, workers=2, updating="deferred")
    assert f.spent == 0
    with pytest.raises(OtherProcessError):
        pickle.dumps(f)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_is_refused() -> None:
    f = objective(QUESTION, of="point")
    f([0.0, 0.0])
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def child() -> None:
        try:
            f([0.0, 0.0])
        except SemrobError as error:
            answers.put(type(error).__name__)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        process = context.Process(target=child)
        process.start()
    assert answers.get(timeout=20) == "OtherProcessError"
    process.join()
    assert f.spent == 1


def test_a_copy_has_no_budget_of_its_own() -> None:
    f = objective(QUESTION, of="point")
    assert copy.deepcopy({"f": f})["f"] is f
    assert copy.copy(f) is f


def test_numbers_outside_are_taken_to_the_bounds_and_what_is_no_number_is_refused() -> None:
    f = objective(QUESTION, of="point", seeks="high")
    assert f([10.0, 91.0]) == f([10.0, 90.0])
    assert f.best_x is not None
    assert f.best_x.tolist() == [10.0, 90.0]
    assert objective(QUESTION, seed=1)([-999.0, 0, 999.0, 60]) == objective(QUESTION, seed=1)([-180.0, 0, 540.0, 60])
    with pytest.raises(InvalidParameterError, match="azimuth is nan; give finite numbers"):
        f([np.nan, 10.0])
    with pytest.raises(ShapeMismatchError, match=r"must be \(2,\) or \(B, 2\)"):
        f([1.0, 2.0, 3.0])
    with pytest.raises(ShapeMismatchError, match="no array of numbers"):
        f("hello")
    for wrong in ({"points": 1}, {"checks": 0}, {"confidence": -1.0}, {"of": "box"}, {"seeks": "both"}, {"seed": -1}):
        with pytest.raises(InvalidParameterError):
            objective(QUESTION, **wrong)
    assert f.spent == 2


def test_a_function_of_ones_own_is_asked() -> None:
    space = SemanticSpace.of("azimuth,elevation")
    front = CallableFunction(space, lambda theta: 1 - abs(theta[:, 0] - 180) / 180, name="front:mine")
    with objective(Question("front:mine", (180.0, 40.0), budget=100), of="point", function=front) as f:
        optimize.dual_annealing(f, f.bounds, rng=0)
    assert f.best_value < 0.2
