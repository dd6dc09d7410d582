"""Runs in several processes: the same rows, what is done stays done, anybody's method takes part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from baselines.experiments.functions import Functions
from baselines.experiments.plugins import import_modules
from baselines.experiments.pool import Workers
from baselines.experiments.runner import RunSummary, keys_of, run_tasks
from semrob_env.errors import InvalidParameterError
from semrob_env.functions import SCHEMES, CallableFunction
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Question
from semrob_env.recorded import save_maps
from semrob_env.store import RunRow, RunStore, RunTask, TraceRow
from tests.baselines.experiments_maker import Planner, registered, small
from tests.recorded_maker import wavy_maps


@pytest.fixture
def maps(tmp_path: Path) -> str:
    return str(save_maps(wavy_maps(), tmp_path / "maps.npz"))


def tasks_of(maps: str, methods: list[str]) -> tuple[list[RunTask], Functions]:
    protocol, suite = small(maps, methods, seeds=(0, 1))
    return list(dict.fromkeys(run.task for run in protocol.runs(suite))), suite.functions


def stored(store: RunStore) -> dict[str, tuple[RunRow, tuple[TraceRow, ...]]]:
    """Rows and traces by key, without what is not reproducible."""
    rows = {row.key: replace(row, seconds=0.0, created="") for row in store.rows()}
    traces = store.traces(rows)
    return {key: (row, traces[key]) for key, row in rows.items()}


def test_rows_do_not_depend_on_workers_or_chunks(maps: str, tmp_path: Path) -> None:
    results = []
    with registered(Planner):  # known in this process only: its class travels to the workers
        tasks, functions = tasks_of(maps, ["naive", "planner"])
        for workers, chunk in ((1, 64), (1, 3), (2, 16)):
            store = RunStore(tmp_path / f"{workers}-{chunk}.sqlite")
            counts: list[int] = []
            summary = run_tasks(
                tasks,
                store,
                functions=functions,
                workers=Workers(workers),
                chunk=chunk,
                on_rows=lambda rows, _, counts=counts: counts.append(len(rows)),  # type: ignore[misc]  # its default
            )
            assert sum(counts) == len(tasks) == summary.done
            found = stored(store)
            assert set(found) == set(keys_of(tasks, functions).values())
            results.append(found)
    assert results[0] == results[1] == results[2]
    assert {row.status for row, _ in results[0].values()} <= {"budget", "converged"}


def test_what_is_in_the_store_does_not_run_again(maps: str, tmp_path: Path) -> None:
    tasks, functions = tasks_of(maps, ["naive"])
    store = RunStore(tmp_path / "runs.sqlite")
    run_tasks(tasks[:5], store, functions=functions)
    before = stored(store)
    for workers in (1, 2):
        summary = run_tasks(tasks, store, functions=functions, workers=Workers(workers))
        assert summary.skipped == (5 if workers == 1 else len(tasks))
    assert len(before) == 5
    assert stored(store).items() >= before.items()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_comparison_keeps_what_was_finished(maps: str, tmp_path: Path, workers: int) -> None:
    tasks, functions = tasks_of(maps, ["naive"])
    store = RunStore(tmp_path / "runs.sqlite")
    calls: list[int] = []

    def interrupt(rows: Sequence[RunRow], _: RunSummary) -> None:
        calls.append(len(rows))
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tasks(tasks, store, functions=functions, chunk=4, workers=Workers(workers), on_rows=interrupt)
    assert len(stored(store)) == sum(calls) < len(tasks)


SCHEME = """
from semrob_env.functions import CallableFunction, register_scheme
from semrob_env.parameters import SemanticSpace

def make(function_id):
    return CallableFunction(SemanticSpace.of("azimuth"), lambda theta: theta[:, 0] / 360, name=function_id)

register_scheme("ramp", make)
"""


def test_what_an_imported_module_registers_is_known_to_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ramp_module.py").write_text(SCHEME)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import_modules(["ramp_module"])
    try:
        tasks = [RunTask(Question(f"ramp:{k}", (300.0,), budget=20), "naive", judge_points=8) for k in range(4)]
        store = RunStore(tmp_path / "runs.sqlite")
        assert run_tasks(tasks, store, workers=Workers(2), chunk=1, modules=["ramp_module"]).done == 4
    finally:
        del SCHEMES["ramp"]


def test_no_task_a_chunk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="give at least 1"):
        run_tasks([], RunStore(tmp_path / "runs.sqlite"), chunk=0)


def test_functions_made_by_hand_stay_in_this_process(maps: str, tmp_path: Path) -> None:
    tasks, _ = tasks_of(maps, ["naive"])
    functions = Functions(given=[CallableFunction(SemanticSpace.of("azimuth"), len)])
    with pytest.raises(InvalidParameterError, match="cannot travel"):
        run_tasks(tasks, RunStore(tmp_path / "runs.sqlite"), functions=functions, workers=Workers(2))
