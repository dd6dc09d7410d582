"""Minimisers that hold the loop: asked one candidate at a time, alone with their random numbers, never in the way."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from baselines.solver import Evaluate, Solver
from semrob_env.errors import ProtocolError

ROOT = Path(__file__).resolve().parents[2]


def counting(evaluate: Evaluate) -> None:
    """Proposes the last loss, a quarter at first."""
    loss = 0.25
    while True:
        loss = evaluate(np.full(3, loss))


def from_global_generators(evaluate: Evaluate) -> None:
    """Draws as some libraries do."""
    while True:
        evaluate(np.array([random.random(), np.random.rand()]))  # noqa: NPY002 - what is tested


def global_state() -> tuple[object, str]:
    return random.getstate(), repr(np.random.get_state(legacy=False))  # noqa: NPY002


def test_each_candidate_answers_the_loss_of_the_one_before() -> None:
    solver = Solver(counting, 0)
    assert solver.candidate.tolist() == [0.25] * 3
    for loss in (0.5, 0.125, 1.0):
        solver.tell(loss)
        assert solver.candidate.tolist() == [loss] * 3
    assert solver.has_heard(0, np.array([0.5, 0.125, 1.0]))
    assert not solver.has_heard(0, np.array([0.5, 0.125]))
    assert not solver.has_heard(1, np.array([0.5, 0.125, 1.0]))


def test_candidates_are_cut_to_the_unit_cube() -> None:
    solver = Solver(counting, 0)
    solver.tell(-3.0)
    assert solver.candidate.tolist() == [0.0] * 3
    solver.tell(3.0)
    assert solver.candidate.tolist() == [1.0] * 3
    solver.tell(np.nan)
    assert solver.candidate.tolist() == [0.5] * 3


def test_a_candidate_that_was_handed_out_is_a_copy() -> None:
    solver = Solver(counting, 0)
    solver.candidate[:] = 9
    assert solver.candidate.tolist() == [0.25] * 3


def test_an_error_in_the_loop_reaches_who_asks() -> None:
    def broken(evaluate: Evaluate) -> None:
        evaluate(np.zeros(2))
        raise ZeroDivisionError("in a library")

    solver = Solver(broken, 0)
    with pytest.raises(ZeroDivisionError, match="in a library"):
        solver.tell(1.0)


def test_a_loop_that_returns_is_an_error() -> None:
    with pytest.raises(ProtocolError, match="ended after 0 candidates"):
        Solver(lambda evaluate: None, 0)


def test_global_generators_are_the_loops_own_and_left_as_they_were() -> None:
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = global_state()
    one, other = Solver(from_global_generators, 1), Solver(from_global_generators, 2)
    asked = [one.candidate, other.candidate]
    for _ in range(3):
        one.tell(0.0)
        other.tell(0.0)
        asked += [one.candidate, other.candidate]
    assert global_state() == before
    again = Solver(from_global_generators, 1)
    for row in range(4):
        assert again.candidate.tolist() == asked[2 * row].tolist() != asked[2 * row + 1].tolist()
        again.tell(0.0)


def test_warnings_of_a_library_stay_within() -> None:
    def warns(evaluate: Evaluate) -> None:
        while True:
            warnings.warn("settings that nobody can reach", stacklevel=1)
            evaluate(np.zeros(1))

    Solver(warns, 0).tell(0.0)
    with pytest.warns(UserWarning, match="outside"):
        warnings.warn("outside", stacklevel=1)


def test_the_thread_ends_once_the_solver_is_forgotten() -> None:
    before = set(threading.enumerate())
    solvers = [Solver(counting, seed) for seed in range(5)]
    threads = set(threading.enumerate()) - before
    assert len(threads) == 5
    assert all(thread.daemon for thread in threads)
    del solvers
    gc.collect()
    until = time.monotonic() + 20
    while threads & set(threading.enumerate()) and time.monotonic() < until:
        time.sleep(0.01)
    assert not threads & set(threading.enumerate())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "algorithms"),
    [("nevergrad", ["Powell", "Cobyla", "NGOpt"]), ("scipy", ["cobyla", "differential_evolution"]), ("cma_es", [None])],
)
def test_the_interpreter_ends_although_the_budget_ended_the_search(method: str, algorithms: list[str | None]) -> None:
    code = f"""
import threading
import baselines
from optimizers.registry import get_optimizer
from optimizers.run import run
from semrob_env.functions import make_function
from semrob_env.oracle import QueryOracle
from semrob_env.questions import Questions
function = make_function("synthetic:hill?n=2")
method = get_optimizer({method!r})
kept = []
for algorithm in {algorithms!r}:
    settings = method.settings_class.from_mapping({{"algorithm": algorithm}} if algorithm else {{}})
    kept.append(method(Questions(function.space, [function.space.default] * 3, budget=400), settings=settings))
    result = run(kept[-1], QueryOracle(function, trajectories=3, budget=90))
    assert set(result.status) == {{"budget"}} and (result.forward_queries == 89).all(), result
assert threading.active_count() > 3 * len(kept), "searches wait for an answer"
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
