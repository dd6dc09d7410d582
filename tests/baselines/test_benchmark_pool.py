"""Runs in several processes: the same rows, what is done stays done, anybody's method takes part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from baselines.benchmark.functions import Functions
from baselines.benchmark.pool import Pool
from semrob_env.errors import InvalidParameterError
from semrob_env.recorded import save_maps
from semrob_env.store import RunRow, RunStore, RunTask, TraceRow
from tests.baselines.benchmark_maker import Planner, registered, small
from tests.recorded_maker import wavy_maps


@pytest.fixture
def maps(tmp_path: Path) -> str:
    return str(save_maps(wavy_maps(), tmp_path / "maps.npz"))


def tasks_of(maps: str, methods: list[str]) -> tuple[list[RunTask], Functions]:
    protocol, suite = small(maps, methods, seeds=(0, 1))
    return list(dict.fromkeys(run.task for run in protocol.runs(suite))), suite.functions


def stored(store: str) -> dict[str, tuple[RunRow, tuple[TraceRow, ...]]]:
    """Rows and traces by key, without what is not reproducible."""
    opened = RunStore(store)
    rows = {row.key: replace(row, seconds=0.0, created="") for row in opened.rows()}
    traces = opened.traces(rows)
    return {key: (row, traces[key]) for key, row in rows.items()}


def test_rows_do_not_depend_on_workers_or_chunks(maps: str, tmp_path: Path) -> None:
    results = []
    with registered(Planner):  # known in this process only: its class travels to the workers
        tasks, functions = tasks_of(maps, ["naive", "planner"])
        for workers, chunk in ((1, 64), (1, 3), (2, 16)):
            pool = Pool(str(tmp_path / f"{workers}-{chunk}.sqlite"), maps, workers, chunk)
            counts: list[int] = []
            keys = pool.run(tasks, functions, counts.append)
            assert sum(counts) == len(tasks) == len(keys)
            found = stored(pool.store)
            assert set(found) == set(keys.values())
            results.append(found)
    assert results[0] == results[1] == results[2]
    assert {row.status for row, _ in results[0].values()} <= {"budget", "converged"}


def test_what_is_in_the_store_does_not_run_again(maps: str, tmp_path: Path) -> None:
    tasks, functions = tasks_of(maps, ["naive"])
    pool = Pool(str(tmp_path / "runs.sqlite"), maps)
    pool.run(tasks[:5], functions, lambda count: None)
    before = {key: row.created for key, (row, _) in stored(pool.store).items()}
    counts: list[int] = []
    pool.run(tasks, functions, counts.append)
    assert counts[0] == 5
    assert len(before) == 5
    counts.clear()
    pool.run(tasks, functions, counts.append)
    assert counts == [len(tasks)]


def test_an_interrupted_comparison_keeps_what_was_finished(maps: str, tmp_path: Path) -> None:
    tasks, functions = tasks_of(maps, ["naive"])
    pool = Pool(str(tmp_path / "runs.sqlite"), maps, 1, 4)
    calls = []

    def interrupt(count: int) -> None:
        calls.append(count)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run(tasks, functions, interrupt)
    assert len(stored(pool.store)) == sum(calls) < len(tasks)


@pytest.mark.parametrize(("workers", "chunk"), [(0, 4), (1, 0)])
def test_no_worker_or_no_chunk_is_refused(workers: int, chunk: int) -> None:
    with pytest.raises(InvalidParameterError, match="give at least 1"):
        Pool("runs.sqlite", "", workers, chunk)
