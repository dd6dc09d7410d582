"""Searches by libraries: each keeps every promise, finds what is easy, and says what is wrong in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import baselines  # noqa: F401 - fills the registry
from baselines.experiments.runner import execute
from baselines.search import RegionSearch
from optimizers.check import check_optimizer, example_functions
from optimizers.registry import OPTIMIZERS
from optimizers.run import run
from semrob_env.errors import InvalidParameterError, MissingExtraError, ProtocolError, UnknownNameError
from semrob_env.functions import CallableFunction
from semrob_env.oracle import QueryLog, QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MeanGoal, Question, Questions
from semrob_env.store import RunTask
from semrob_env.types import FloatArray

ROOT = Path(__file__).resolve().parents[2]
SPACE = SemanticSpace.of("azimuth,elevation")
SCIPY = ("differential_evolution", "dual_annealing", "nelder_mead", "powell", "cobyla")
NEVERGRAD = ("NGOpt", "OnePlusOne", "CMA", "DE", "TwoPointsDE", "TBPSA", "Powell", "Cobyla", "MetaModel")
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *(("scipy", {"algorithm": algorithm}) for algorithm in SCIPY),
    *(("nevergrad", {"algorithm": algorithm}) for algorithm in NEVERGRAD),
]
SEARCHES: list[tuple[str, dict[str, Any]]] = [("random_search", {}), ("cma_es", {}), *VARIANTS[:-1]]


def label(case: object) -> str:
    return str(case.get("algorithm", "")) if isinstance(case, dict) else str(case)


def plateau(theta: FloatArray) -> FloatArray:
    """1 within 90 degrees of azimuth 130 and above elevation 0, 0 elsewhere."""
    return np.asarray(((np.abs(theta[:, 0] - 130) <= 90) & (theta[:, 1] >= 0)).astype(np.float64))


@pytest.mark.parametrize(
    ("name", "settings"),
    [case for case in VARIANTS if case[1]["algorithm"] not in {"NGOpt", "differential_evolution"}],  # the defaults
    ids=label,
)
def test_every_algorithm_keeps_every_promise(name: str, settings: dict[str, Any]) -> None:
    method = OPTIMIZERS[name]
    check_optimizer(method, settings=method.settings_class.from_mapping(settings), functions=example_functions()[2:3])


@pytest.mark.parametrize(("name", "settings"), SEARCHES, ids=label)
def test_every_algorithm_finds_a_large_part_of_a_plateau(name: str, settings: dict[str, Any]) -> None:
    method, function = OPTIMIZERS[name], CallableFunction(SPACE, plateau)
    questions = Questions(SPACE, [[130.0, 30.0]] * 2, goal=MeanGoal(0.2), budget=100)
    optimizer = method(questions, settings=method.settings_class.from_mapping(settings))
    result = run(optimizer, QueryOracle(function, trajectories=2, budget=100))
    # The plateau has a share of 0.45, and the first guess of solvers that have one 0.005 of the space.
    assert np.median(result.regions.share()) > 0.2
    assert (result.forward_queries > 100 - settings.get("points", 2)).all()


def test_a_search_ends_with_the_budget_of_its_question() -> None:
    method, function = OPTIMIZERS["random_search"], CallableFunction(SPACE, plateau)
    questions, settings = (
        Questions(SPACE, [[130.0, 30.0]], budget=103),
        method.settings_class.from_mapping({"points": 5}),
    )
    result = run(method(questions, settings=settings), QueryOracle(function, budget=10_000))
    assert (result.status, result.forward_queries.tolist()) == (["converged"], [101])


def test_a_candidate_costs_its_points_and_is_valued_by_all_that_were_told() -> None:
    log = QueryLog()
    method, function = OPTIMIZERS["random_search"], CallableFunction(SPACE, plateau)
    settings = method.settings_class.from_mapping({"points": 3})
    questions = Questions(SPACE, [[130.0, 30.0]], goal=MeanGoal(0.1), budget=61)
    optimizer = method(questions, settings=settings)
    result = run(optimizer, QueryOracle(function, log=log, budget=61))
    asked, losses = log.arrays()["theta"], optimizer.save()["state.losses"][0]
    assert result.forward_queries.tolist() == [61]
    assert len(np.unique(asked, axis=0)) == 61
    assert np.array_equal(asked[0], [130.0, 30.0])
    # Three points of a candidate would make shortfalls of 0, 1/6 and 1/2 only.
    missed = losses[np.isfinite(losses) & (losses > 0)]
    assert len(missed) > 5
    assert len(np.unique(np.round(missed, 6))) > 3


@pytest.mark.parametrize(("name", "settings"), SEARCHES, ids=label)
def test_two_runs_of_a_task_give_the_same_row(name: str, settings: dict[str, Any]) -> None:
    task = RunTask(
        Question("synthetic:hill?n=2", (100.0, 20.0), budget=60), name, settings=str(settings).replace("'", '"')
    )
    one, other = execute([task])[0], execute([task])[0]
    assert one.error == ""
    assert (one.lower, one.upper, one.trace) == (other.lower, other.upper, other.trace)


def test_a_state_that_the_library_would_not_have_reached_is_refused() -> None:
    method, function = OPTIMIZERS["random_search"], CallableFunction(SPACE, plateau)
    first = method(Questions(SPACE, [[130.0, 30.0]], budget=400))
    run(first, QueryOracle(function), max_steps=5)
    saved = first.save()
    second = method(Questions(SPACE, [[130.0, 30.0]], budget=400))
    second.restore({**saved, "state.candidate": saved["state.candidate"] / 2, "status": np.array(["running"])})
    with pytest.raises(ProtocolError, match="another version of its library"):
        run(second, QueryOracle(function), max_steps=30)


def test_a_search_leaves_no_thread_in_trajectories_that_ended() -> None:
    method, function = OPTIMIZERS["random_search"], CallableFunction(SPACE, plateau)
    optimizer = method(Questions(SPACE, [[130.0, 30.0]] * 2, budget=400))
    assert isinstance(optimizer, RegionSearch)
    oracle = QueryOracle(function, trajectories=2)
    optimizer.stop(np.array([True, False]), "steps")
    optimizer.tell(oracle.query(optimizer.ask()))
    assert [solver is None for solver in optimizer._solvers.kept] == [True, False]


def test_an_unknown_algorithm_is_named() -> None:
    with pytest.raises(UnknownNameError, match="no optimizer 'Simplex'; it has"):
        OPTIMIZERS["nevergrad"](
            Questions(SPACE, [[1.0, 1.0]], budget=400),
            settings=OPTIMIZERS["nevergrad"].settings_class.from_mapping({"algorithm": "Simplex"}),
        )
    with pytest.raises(InvalidParameterError, match="algorithm 'simplex': choose differential_evolution, "):
        OPTIMIZERS["scipy"].settings_class.from_mapping({"algorithm": "simplex"})


@pytest.mark.parametrize(("name", "library"), [("nevergrad", "nevergrad"), ("cma_es", "cma")])
def test_a_missing_library_is_told_with_what_to_install(
    name: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"{library} is not installed; pip install semrob\[baselines\]"):
        OPTIMIZERS[name](Questions(SPACE, [[1.0, 1.0]], budget=400))


def test_importing_the_baselines_loads_no_library_of_theirs() -> None:
    code = "import sys, baselines; print(*{name.split('.')[0] for name in sys.modules})"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "baselines" in printed.split()
    assert not {"nevergrad", "cma", "scipy", "torch", "numba"} & set(printed.split())
