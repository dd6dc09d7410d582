"""Rows that a store cannot take as they are: odd names and texts are escaped, and no row takes its unit with it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optimizers  # noqa: F401
from baselines.experiments.functions import Functions
from baselines.experiments.runner import RunSummary, _execute, execute, run_tasks
from semrob_env.errors import InvalidRowError
from semrob_env.files import csv_text, write_whole
from semrob_env.functions import CallableFunction
from semrob_env.metrics import judge_regions
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Question
from semrob_env.store import FAILED, RunRow, RunStore, RunTask
from semrob_env.types import FloatArray

BOTH = SemanticSpace.of("azimuth,elevation")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs.sqlite")


def make_row(function_id: str = "test:0", method: str = "m", **changes: Any) -> RunRow:
    task = RunTask(Question(function_id, (0.5, -0.5), budget=10), method)
    given = {"status": "budget", **changes}
    return RunRow(key=task.key({}, 1), task=task, fingerprint="{}", method_version=1, **given)


def make_tasks(function_id: str = "synthetic:hill?n=2&seed=0") -> list[RunTask]:
    questions = [Question(function_id, (0.1 * k, 0.0), budget=20) for k in range(4)]
    return [RunTask(question, "naive", judge_points=16) for question in questions]


def apart_from_time(rows: list[RunRow]) -> list[RunRow]:
    return [replace(row, seconds=0.0, created="", trace=()) for row in rows]


def stored(store: RunStore) -> list[RunRow]:
    return apart_from_time(store.rows())


ODD_NAMES = (
    "file\udcff.obj",
    "\ud800\udfff \ud800",
    "a\0b",
    "a\\udcff",  # a backslash and letters, as an escape would be written
    "\\u005cudcff",
    "\\\udcff\\\\u0000\0",
    "C:\\users\\u0041",
    "\\ud8\udcff",
    "\\u\0",
)


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_a_name_that_utf8_lacks_is_stored_escaped_and_comes_back_as_it_was(store: RunStore, name: str) -> None:
    row = make_row(f"test:{name}", f"m{name}")
    task = row.task
    assert store.add([row]) == 1
    assert store.add([row]) == 0
    (found,) = store.rows()
    assert found == row
    assert found.key == found.task.key({}, 1)
    assert store.rows(function_id=task.question.function_id, method=task.method) == [row]
    assert store.rows({task.method: 1}) == [row]
    assert store.stale({task.method: 2}) == {task.method: 1}
    assert store.missing({found.task.key({}, 1): 1}) == {}
    with closing(sqlite3.connect(store.path)) as database:
        texts = database.execute("SELECT function_id, method FROM runs").fetchone()
    assert not any("\0" in text for text in texts)


def test_different_odd_names_are_different_texts(store: RunStore) -> None:
    assert store.add(map(make_row, ODD_NAMES)) == len(ODD_NAMES)
    with closing(sqlite3.connect(store.path)) as database:
        assert database.execute("SELECT COUNT(DISTINCT function_id) FROM runs").fetchone() == (len(ODD_NAMES),)
    assert {row.task.question.function_id for row in store.rows()} == set(ODD_NAMES)


def test_ordinary_names_are_stored_as_they_are(store: RunStore) -> None:
    name = "scene:a/b?file=C:\\new\\%ff \u03b8 \\u0041"
    store.add([make_row(name)])
    with closing(sqlite3.connect(store.path)) as database:
        assert database.execute("SELECT function_id FROM runs").fetchall() == [(name,)]


def test_an_error_text_that_utf8_lacks_is_escaped_for_good(store: RunStore, tmp_path: Path) -> None:
    row = make_row(status=FAILED, error="no /x/\udcff.npz, a\0b, \\udcfe")
    assert row.error == "no /x/\\udcff.npz, a\\x00b, \\udcfe"
    store.add([row])
    assert store.rows() == [row]
    name = write_whole(tmp_path / "rows.csv", csv_text([{"name": "\udcff", "error": row.error}]))
    assert name.read_text() == 'name,error\n\\udcff,"no /x/\\udcff.npz, a\\x00b, \\udcfe"\n'


@pytest.mark.parametrize("name", [r"recorded:*?file=/nope/%ff.npz", "recorded:*?file=/nope/\udcff\0.npz", "no\udcff"])
def test_a_text_that_utf8_lacks_takes_no_unit_with_it(store: RunStore, name: str) -> None:
    tasks = [make_tasks(name)[0], *make_tasks()]
    assert run_tasks(tasks, store) == RunSummary(total=5, done=4, failed=1)
    assert sorted(stored(store), key=str) == sorted(apart_from_time(execute(tasks)), key=str)
    (bad,) = store.rows(status=FAILED)
    assert bad.task.question.function_id == name
    assert "\\udcff" in bad.error
    bad.error.encode()
    assert run_tasks(tasks, store) == RunSummary(total=5, skipped=5)
    assert run_tasks([row.task for row in store.rows()], store) == RunSummary(total=5, skipped=5)


def test_functions_whose_names_utf8_lacks_run_as_any_other(store: RunStore) -> None:
    name = "service \udcff"
    function = CallableFunction(BOTH, lambda theta: np.full(len(theta), 0.5), name=name)
    tasks = make_tasks(name)
    assert run_tasks(tasks, store, functions=Functions(given=[function])).done == 4
    assert run_tasks(tasks, store, functions=Functions(given=[function])).skipped == 4
    assert {row.task.question.function_id for row in store.rows()} == {name}


def test_an_error_without_a_text_is_a_row_as_well(store: RunStore) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    def scores(theta: FloatArray) -> FloatArray:
        raise Mute

    run_tasks(make_tasks("f"), store, functions=Functions(given=[CallableFunction(BOTH, scores, name="f")]))
    assert [row.error for row in store.rows()] == ["Mute"] * 4


def test_a_row_that_cannot_be_stored_becomes_a_failed_one_and_takes_no_other_with_it(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = make_tasks()

    def too_large(*given: Any) -> Any:
        return replace(judge_regions(*given), judge_queries=np.array([64, 2**63, 64, 64], dtype=np.uint64))

    monkeypatch.setattr("baselines.experiments.runner.judge_regions", too_large)
    told: list[RunRow] = []
    summary = run_tasks(tasks, store, on_rows=lambda rows, _: told.extend(rows))
    assert summary == RunSummary(total=4, done=3, failed=1)
    rows = {row.task: row for row in store.rows()}
    assert [rows[row.task].status == FAILED for row in told] == [False, True, False, False]
    assert "InvalidRowError" in told[1].error
    assert apart_from_time(told) == apart_from_time([rows[r.task] for r in told])
    assert run_tasks(tasks, store).skipped == 4


def test_a_row_that_cannot_even_be_a_failed_one_is_told_after_the_others_are_kept(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = make_tasks()

    def too_large(*given: Any) -> list[RunRow]:
        first, second, *others = _execute(*given)
        return [first, replace(second, method_version=2**63), *others]

    monkeypatch.setattr("baselines.experiments.runner._execute", too_large)
    with pytest.raises(InvalidRowError, match="cannot be kept"):
        run_tasks(tasks, store)
    assert len(store.rows()) == 3
