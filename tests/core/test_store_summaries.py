"""Runs as columns, and tables of whole stores: the same numbers as from rows, and nothing damaged in them."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError, StoreError
from semrob_env.questions import Question, read_goal
from semrob_env.store import FAILED, RunRow, RunStore, RunTask
from semrob_env.store.summary import SUMMARY_NUMBERS, SUMMARY_TEXTS
from semrob_env.tables.srvr import SrvrTable
from semrob_env.tables.stores import StoreTable


def made(network: str, shape: int, start: float, method: str = "naive", **changes: object) -> RunRow:
    options = {"goal": read_goal("mean=0.5"), "budget": 40, "settings": "{}", "seed": 0, "version": 3, **changes}
    question = Question(
        f"recorded:{network}/cup/{shape}?a=1",
        (start, 0.0),
        options["goal"],  # type: ignore[arg-type]
        budget=options["budget"],  # type: ignore[arg-type]
    )
    task = RunTask(question, method, str(options["settings"]), seed=int(str(options["seed"])))
    share = (shape * 7 + start) % 11 / 11
    version = int(str(options["version"]))
    return RunRow(
        key=task.key({}, version),
        task=task,
        fingerprint="{}",
        method_version=version,
        status=str(options.get("status", "budget")),
        lower=(0.0, 0.0),
        upper=(1.0, 1.0),
        share=share,
        feasible=shape % 2 == 0,
        certified=shape % 4 == 0,
        forward_queries=30 + shape,
        gradient_queries=2,
        judge_queries=16,
        certificate_queries=24,
        trace=(),
    )


def rows() -> Iterator[RunRow]:
    for network in ("A", "B"):
        for shape in range(6):
            for start in (0.0, 50.0):
                for method in ("naive", "oir_b"):
                    yield made(network, shape, start, method)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    own = RunStore(tmp_path / "runs.sqlite")
    own.add(rows())
    return own


def test_columns_are_those_of_the_rows(store: RunStore) -> None:
    store.add([made("A", 9, 0.0, seed=2**40)])
    found = store.summaries()
    expected = {row.key: row for row in store.rows()}
    assert len(found) == len(expected) == 49
    told = sorted(
        tuple(
            [column.texts[column.codes[place]] for column in (found.texts[name] for name in SUMMARY_TEXTS)]
            + [found.numbers[name][place] for name in SUMMARY_NUMBERS]
        )
        for place in range(len(found))
    )
    for row, own in zip(told, sorted(map(_summary, expected.values())), strict=True):
        assert row == own


@pytest.mark.parametrize("at_once", [1, 5, 48, 49])
def test_columns_are_the_same_however_many_rows_are_read_at_once(
    store: RunStore, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([made("A", 9, 0.0, version=4), made("B", 9, 0.0, method="oir_b", version=3)])
    whole = store.summaries()
    monkeypatch.setattr("semrob_env.store.database._SUMMARIES_AT_ONCE", at_once)
    parts = store.summaries()
    for name in SUMMARY_TEXTS:
        assert parts.texts[name].texts == whole.texts[name].texts
        assert parts.texts[name].codes.tolist() == whole.texts[name].codes.tolist()
    for name in SUMMARY_NUMBERS:
        assert parts.numbers[name].dtype == np.float64
        assert np.array_equal(parts.numbers[name], whole.numbers[name], equal_nan=True)
    assert set(whole.numbers["method_version"]) == {3.0, 4.0}
    assert len(whole) == 26  # 24 of oir_b and another one, and one of the newer naive


def test_columns_of_an_empty_store_are_empty(tmp_path: Path) -> None:
    found = RunStore(tmp_path / "runs.sqlite").summaries()
    assert [len(found.texts[name].codes) for name in SUMMARY_TEXTS] == [0] * len(SUMMARY_TEXTS)
    assert [found.numbers[name].dtype for name in SUMMARY_NUMBERS] == [np.float64] * len(SUMMARY_NUMBERS)
    assert [found.texts[name].codes.dtype for name in SUMMARY_TEXTS] == [np.int32] * len(SUMMARY_TEXTS)


def _summary(row: RunRow) -> tuple[object, ...]:
    record = row.record()
    start = ",".join(repr(value) for value in row.task.question.start)
    texts = {**record, "start": f"[{start}]", "goal": row.task.question.goal.text}
    return (*(texts[name] for name in SUMMARY_TEXTS), *(float(record[name]) for name in SUMMARY_NUMBERS))


def test_a_table_of_a_store_has_the_numbers_of_an_srvr_table(store: RunStore) -> None:
    table = SrvrTable.of(store.rows(), ["naive", "oir_b"], ["A", "B"], ["cup"], start_size=0.0, seed=0)
    lines = {
        (line.method, line.srvr.network, line.srvr.class_name): line for line in StoreTable(store.summaries()).lines
    }
    compared = 0
    for line in table.exact():
        own = lines.get((str(line["method"]), str(line["network"]), None if line["class_name"] == "all" else "cup"))
        if own is None:
            continue  # a mean over methods
        compared += 1
        for name, value in own.exact().items():
            if name in ("estimate", "feasible_estimate", "certified_estimate", "runs", "shapes", "forward_queries"):
                assert value == pytest.approx(line[name]), name
    assert compared == 8


def test_what_was_asked_otherwise_stands_in_lines_of_its_own(store: RunStore) -> None:
    store.add([
        made("A", 0, 0.0, goal=read_goal("mean=0.7")),
        made("A", 0, 0.0, budget=80),
        made("A", 0, 0.0, settings='{"rate":0.5}'),
        made("A", 0, 0.0, seed=1),
    ])
    lines = [line for line in StoreTable(store.summaries()).lines if line.srvr.class_name and line.srvr.network == "A"]
    told = {(line.goal, line.budget, line.method): line.srvr.runs for line in lines}
    assert told == {
        ("mean=0.5", 40.0, "naive"): 13,  # another seed is another run of the same question
        ("mean=0.5", 40.0, "naive:rate=0.5"): 1,
        ("mean=0.5", 40.0, "oir_b"): 12,
        ("mean=0.5", 80.0, "naive"): 1,
        ("mean=0.7", 40.0, "naive"): 1,
    }
    assert lines[0].functions == "a=1"


def test_other_versions_and_runs_without_a_region_are_left_out(store: RunStore) -> None:
    store.add([made("A", 20, 0.0, version=2), made("A", 21, 0.0, status=FAILED)])
    table = StoreTable(store.summaries())
    assert table.statuses == {"budget": 48, FAILED: 1}
    assert max(line.srvr.shapes for line in table.lines) == 6


def test_a_store_without_a_region_is_told(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs.sqlite")
    assert len(store.summaries()) == 0
    for added in ([], [made("A", 0, 0.0, status=FAILED)]):
        store.add(added)
        with pytest.raises(InvalidParameterError, match=f"{len(added)} runs, none with a region; run some first"):
            StoreTable(store.summaries())


@pytest.mark.parametrize("column", ["share", "certified", "function_id", "budget", "summary_checksum"])
def test_a_value_that_was_changed_is_told(store: RunStore, column: str) -> None:
    value = {"share": 0.125, "certified": 1, "budget": 41.0}.get(column, "x:A/cup/1")
    with closing(sqlite3.connect(store.path)) as database, database:
        database.execute(f"UPDATE runs SET {column} = ? WHERE rowid = 7", (value,))
    with pytest.raises(StoreError, match="has another checksum than the one that was written"):
        store.summaries()


def test_names_come_back_as_they_were_given(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs.sqlite")
    row = made("A", 0, 0.0)
    odd = "recorded:\udcff\0/cup/\\u0000?a=1"
    task = replace(row.task, question=replace(row.task.question, function_id=odd))
    store.add([replace(row, task=task, key=task.key({}, 3))])
    found = store.summaries()
    assert found.texts["function_id"].texts == (odd,)
    assert not math.isnan(found.numbers["share"][0])
    assert np.isnan(StoreTable(found).lines[0].srvr.low)  # one shape tells nothing of others
