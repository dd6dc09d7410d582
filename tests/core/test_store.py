"""The run store: rows and traces come back to the bit, whole or not at all, whoever is killed or writes beside."""

from __future__ import annotations

import math
import os
import pickle
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semrob_env.errors import InvalidRowError, StoreError
from semrob_env.metrics.measures import Measures
from semrob_env.questions import Goal, MeanGoal, Question, ReliabilityGoal
from semrob_env.store import (
    APPLICATION_ID,
    FAILED,
    STORE_VERSION,
    RunRow,
    RunStore,
    RunTask,
    TraceRow,
    canonical_json,
    package_revision,
)
from semrob_env.store.database import _COLUMNS, _Column, _columns
from semrob_env.store.sqlite_file import checksum

ROOT = Path(__file__).resolve().parents[2]


def make_row(index: int, method_version: int = 1, **changes: Any) -> RunRow:
    """A row with odd numbers in every field; the same for the same index."""
    odd = random.Random(index)
    task = RunTask(
        Question(f"test:{index % 7}", (odd.random(), -odd.random()), budget=100.5), f"method{index % 3}", seed=index
    )
    fingerprint = {"weights": f"{odd.getrandbits(64):x}"}
    trace = tuple(
        TraceRow(10**k, (odd.random(), odd.random() * 1e-300), (odd.random() * 1e17, 370.0)) for k in range(index % 5)
    )
    row = RunRow(
        key=task.key(fingerprint, method_version),
        task=task,
        fingerprint=canonical_json(fingerprint),
        method_version=method_version,
        status="budget",
        space='[["azimuth","deg",0.0,360.0,360.0]]',
        lower=(odd.random(), -odd.random()),
        upper=(odd.random() * 1e300, 1 / 3),
        share=odd.random(),
        feasible=index % 2 == 0,
        mean=odd.random(),
        variance=0.0,
        purity=1.0,
        quantile_05=math.nextafter(0.0, 1.0),
        minimum=odd.random(),
        judge_queries=1024,
        forward_queries=index,
        gradient_queries=2**40,
        steps=7,
        seconds=odd.random(),
        revision="abc+",
        created="2024-01-01T00:00:00+00:00",
        trace=trace,
    )
    return replace(row, **changes)


def write_rows(path: str, count: int, unit: int) -> None:
    """What a run does, without the runs: skips what is there and adds the rest unit by unit."""
    store = RunStore(path)
    os.write(1, b"open\n")  # tells the parent
    for at in range(0, count, unit):
        rows = {row.key: row for row in map(make_row, range(at, at + unit))}
        store.add(store.missing(rows).values())


def child(code: str) -> subprocess.Popen[str]:
    """Another Python that knows this module as `test_store`."""
    paths = [str(ROOT), str(Path(__file__).parent)]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\nimport test_store\n{code}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def dump(path: Path) -> list[tuple[Any, ...]]:
    """Everything in both tables, read without our code."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = [database.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in ("runs", "traces")]
    return [row for table in tables for row in table]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs.sqlite")


def test_rows_and_traces_come_back_to_the_bit(store: RunStore) -> None:
    rows = [make_row(index) for index in range(40)]
    assert store.add(rows) == 40
    found = store.find([row.key for row in rows])
    for row in rows:
        assert found[row.key] == replace(row, trace=())
        assert store.trace(row.key) == row.trace
    assert store.traces(row.key for row in rows) == {row.key: row.trace for row in rows}
    order = [
        (row.task.question.function_id, row.task.method, canonical_json(row.task.question.start), row.task.seed)
        for row in rows
    ]
    assert [row.task.seed for row in store.rows()] == [seed for *_, seed in sorted(order)]


def test_a_failed_row_and_awkward_text_come_back(store: RunStore) -> None:
    task = RunTask(Question("test:'; DROP TABLE runs; --", (0.0,), budget=None), "m", max_steps=5, finite_difference=())
    row = RunRow(
        key=task.key({}, 3),
        task=task,
        fingerprint="{}",
        method_version=3,
        status=FAILED,
        error="Fehler: \u03b8 \U0001f600 'x' \"y\"\n",
    )
    other = replace(task, finite_difference=(0.5,))
    twin = replace(row, key=other.key({}, 3), task=other)
    store.add([row, twin])
    assert set(store.rows()) == {row, twin}
    assert not store.rows()[0].feasible


def test_nan_is_stored_as_nothing(store: RunStore) -> None:
    store.add([make_row(0, mean=math.nan)])
    assert math.isnan(store.rows()[0].mean)


def test_a_key_that_is_there_stays_as_it_is(store: RunStore) -> None:
    row = make_row(4)
    assert store.add([row, row]) == 1
    assert store.add([replace(row, mean=0.123, trace=())]) == 0
    assert store.rows() == [replace(row, trace=())]
    assert store.trace(row.key) == row.trace


def test_missing_keeps_the_order_and_drops_what_is_there(store: RunStore) -> None:
    tasks = {make_row(index).key: index for index in range(1200)}
    store.add(make_row(index) for index in range(0, 1200, 2))
    assert list(store.missing(tasks).values()) == list(range(1, 1200, 2))
    assert store.missing({}) == {}
    assert len(store.find(list(tasks))) == 600
    assert len(store.traces(tasks)) == 1200


def test_no_key_is_lost_where_one_query_ends_and_the_next_begins(store: RunStore) -> None:
    """Keys are asked for 4096 at a time."""
    there = [0, 1, 4095, 4096, 4097, 8191, 8192]
    store.add(make_row(4, key=f"key {place}") for place in there)
    tasks = {f"key {place}": place for place in range(8193)}
    assert list(store.missing(tasks).values()) == [place for place in range(8193) if place not in there]
    assert list(store.find(tasks)) == [f"key {place}" for place in there]
    assert [key for key, trace in store.traces(tasks).items() if trace] == [f"key {place}" for place in there]
    assert list(store.find(reversed(tasks))) == [f"key {place}" for place in reversed(there)]


def test_a_failed_run_counts_as_done_unless_it_is_asked_for_again(store: RunStore) -> None:
    row = make_row(3)
    failed = RunRow(
        key=row.key, task=row.task, fingerprint=row.fingerprint, method_version=1, status=FAILED, error="boom"
    )
    store.add([failed])
    assert store.missing({row.key: 1}) == {}
    assert store.missing({row.key: 1}, retry_failed=True) == {row.key: 1}
    assert store.add([replace(failed, error="again")]) == 0
    assert store.add([row]) == 1
    assert store.add([failed]) == 0
    assert store.rows() == [replace(row, trace=())]
    assert store.trace(row.key) == row.trace


def test_a_good_row_takes_the_place_of_one_that_failed_before_its_function_could_be_made(store: RunStore) -> None:
    row = make_row(3)
    unmade = RunRow(
        key=row.task.key({}, 1), task=row.task, fingerprint="{}", method_version=1, status=FAILED, error="no such mesh"
    )
    store.add([unmade, make_row(4)])
    store.add([row])
    assert {found.key for found in store.rows()} == {row.key, make_row(4).key}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_exception_between_rows_leaves_nothing_of_them(store: RunStore, error: type[BaseException]) -> None:
    def rows() -> Iterator[RunRow]:
        yield make_row(1)
        yield make_row(2)
        raise error

    store.add([make_row(0)])
    with pytest.raises(error):
        store.add(rows())
    assert [row.key for row in store.rows()] == [make_row(0).key]
    assert store.trace(make_row(2).key) == ()
    assert store.add([make_row(1)]) == 1  # and the store is not locked


@pytest.mark.parametrize(
    "change",
    [
        {"status": None},
        {"status": "\udcff"},
        {"steps": set()},
        {"steps": 2**63},
        {"lower": (math.inf, 0.0)},
        {"trace": (TraceRow(1, (0.0,), (1.0,)),) * 2},
    ],
    ids=["no status", "a lone surrogate", "no number", "too large", "infinite", "twice at one bill"],
)
def test_a_row_that_cannot_be_stored_takes_its_whole_unit_back(store: RunStore, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRowError, match="the row of 'test:2' by 'method2', seed 2, cannot be kept"):
        store.add([make_row(1), make_row(2, **change)])
    assert store.rows() == []


def test_versions_of_a_method_are_counted_and_never_mixed(store: RunStore) -> None:
    store.add([
        make_row(index, method_version=version) for index in range(6) for version in (1, 2) if index or version < 2
    ])
    assert {(row.task.method, row.method_version) for row in store.rows()} == {(f"method{k}", 2) for k in range(3)}
    assert store.stale() == {"method0": 2, "method1": 2, "method2": 2}
    first = {"method0": 1, "method1": 1, "other": 9}
    assert {(row.task.method, row.method_version) for row in store.rows(first)} == {("method0", 1), ("method1", 1)}
    assert store.stale(first) == {"method0": 1, "method1": 2}
    assert store.rows({"method0": 3}) == []
    assert store.stale({"method0": 3}) == {"method0": 3}
    assert store.stale({}) == {}


def test_rows_can_be_chosen_by_function_method_and_status(store: RunStore) -> None:
    store.add(make_row(index, status="steps" if index > 30 else "budget") for index in range(42))
    chosen = store.rows(function_id="test:3", method="method1", status="steps")
    assert [row.task.seed for row in chosen] == [31]
    assert len(store.rows(status="steps")) == 11
    assert {row.task.method for row in store.rows(method="method1")} == {"method1"}
    assert [row.task.seed % 7 for row in store.rows(function_id="test:3")] == [3] * 6
    assert len(store.rows(method="method1")) == 14
    assert store.rows(method="x' OR 1 --") == []
    odd = make_row(1)
    odd = replace(odd, task=replace(odd.task, question=replace(odd.task.question, function_id="test:\udcff")))
    store.add([replace(odd, key="odd")])
    assert [row.key for row in store.rows(function_id="test:\udcff")] == ["odd"]


def test_the_columns_are_the_fields_of_question_task_and_row(store: RunStore) -> None:
    owners = {Question: (), RunTask: ("question",), RunRow: ("task", "trace")}
    named = {part.name for owner, without in owners.items() for part in fields(owner) if part.name not in without}
    with closing(sqlite3.connect(store.path)) as database:
        kinds = {name: kind for _, name, kind, *_ in database.execute("PRAGMA table_info(runs)")}
        marks = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    assert kinds.keys() == named | {"trace_checksum", "summary_checksum", "checksum"}
    assert [kinds[name] for name in ("goal", "start", "budget", "share", "feasible")] == [
        "TEXT", "TEXT", "REAL", "REAL", "INTEGER",
    ]  # fmt: skip
    assert {part.name for part in fields(Measures)} < named
    assert marks == [APPLICATION_ID, STORE_VERSION]


@pytest.mark.parametrize(
    ("hint", "is_name", "declared", "value", "kept"),
    [
        (float, False, "REAL", 1, 1.0),
        (float, True, "REAL", -0.0, 0.0),
        (float | None, False, "REAL", 0.5, 0.5),
        (int, True, "INTEGER NOT NULL", np.int64(3), 3),
        (int | None, False, "INTEGER", 5, 5),
        (bool, False, "INTEGER NOT NULL", True, 1),
        (str, True, "TEXT NOT NULL", "a\0b\udcff \\u0000", "a\\u0000b\\udcff \\u005cu0000"),
        (str, False, "TEXT NOT NULL", "a \\u0000", "a \\u0000"),
        (tuple[float, ...], True, "TEXT NOT NULL", (1.0, 0.5), "[1.0,0.5]"),
        (tuple[float, ...] | None, False, "TEXT", (1.0, 0.5), "[1.0,0.5]"),
    ],
    ids=["float", "minus zero", "float or none", "int", "int or none", "bool", "name", "text", "list", "list or none"],
)
def test_a_field_is_kept_by_its_type_and_comes_back(
    hint: Any, is_name: bool, declared: str, value: object, kept: object
) -> None:
    column = _Column.of(hint, is_name=is_name)
    read = column.reader() or (lambda given: given)
    assert column.declared == declared
    assert (column.kept(value), type(column.kept(value))) == (kept, type(kept))
    assert read(kept) == value
    assert type(read(kept)) is type(kept if hint in (int, float) else value)
    assert column.kept(None) is None
    if hint is float:
        assert math.isnan(read(None))
    elif "NOT NULL" not in declared:
        assert read(None) is None


def test_a_goal_is_kept_as_its_text_and_numbers_that_are_none_as_nothing() -> None:
    goal, number = _Column.of(Goal, is_name=True), _Column.of(float, is_name=False)
    assert (goal.declared, goal.kept("mean=0.7")) == ("TEXT NOT NULL", "mean=0.7")
    read = goal.reader()
    assert read is not None
    assert read("mean=0.7") == MeanGoal(0.3)
    assert number.kept(math.nan) is None
    assert math.copysign(1, number.kept(-0.0)) == 1
    assert _Column.of(bool, is_name=True).reader() is bool
    assert _Column.of(int | None, is_name=True).reader() is None


def test_columns_are_made_of_fields_and_texts_of_questions_and_tasks_are_escaped() -> None:
    question, task = _columns(Question), _columns(RunTask, "question")
    row = _columns(RunRow, "task", "trace")
    assert {"key": row["key"], **question, **task, **row} == _COLUMNS
    named = [part.name for part in fields(RunTask) if part.name != "question"]
    assert list(task) == named
    escaped = {name for name, column in {**question, **task, **row}.items() if column.is_name}
    assert escaped == {"function_id", "method", "settings", "certify"}
    optional = {name for name, column in _COLUMNS.items() if column.is_optional}
    assert optional == {"budget", "finite_difference", "max_steps"}
    assert "trace" not in row


@pytest.mark.parametrize("goal", [MeanGoal(0.3, 0.05), ReliabilityGoal(0.6, 0.9)])
def test_a_goal_comes_back(store: RunStore, goal: Goal) -> None:
    row = make_row(1)
    store.add([replace(row, task=replace(row.task, question=replace(row.task.question, goal=goal)))])
    assert store.rows()[0].task.question.goal == goal


def test_a_store_is_a_path_that_pickles_and_survives_moving(store: RunStore, tmp_path: Path) -> None:
    store.add([make_row(1)])
    again: RunStore = pickle.loads(pickle.dumps(store))
    assert again.rows() == store.rows()
    odd = tmp_path / "a ? b # c %20" / "runs.sqlite"
    RunStore(odd).add([make_row(2)])
    assert odd.is_file()
    assert os.listdir(odd.parent) == ["runs.sqlite"]
    shutil.copy(store.path, odd)
    assert RunStore(odd, read_only=True).rows() == store.rows()


def test_a_missing_file_is_made_with_its_folder_unless_read_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "runs.sqlite"
    with pytest.raises(StoreError, match="unable to open"):
        RunStore(path, read_only=True)
    assert not path.parent.exists()
    assert RunStore(path).rows() == []
    assert RunStore(path, read_only=True).rows() == []


def test_a_read_only_store_cannot_be_written(store: RunStore) -> None:
    with pytest.raises(StoreError, match="readonly"):
        RunStore(store.path, read_only=True).add([make_row(1)])


def test_the_revision_is_the_commit_of_this_checkout_or_the_installed_version() -> None:
    revision = package_revision()
    if (ROOT / ".git").exists():
        head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        assert revision.removesuffix("+") == head.stdout[:12]
    else:
        assert revision


def foreign_database(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path, read_only: bool) -> None:
    text, foreign, marked = tmp_path / "notes.txt", tmp_path / "foreign.sqlite", tmp_path / "marked.sqlite"
    text.write_text("These are notes, not a database. " * 40)
    foreign_database(foreign, "CREATE TABLE runs (x)", "INSERT INTO runs VALUES (1)")
    foreign_database(marked, "PRAGMA application_id = 77")
    for path in (text, foreign, marked):
        before = path.read_bytes()
        with pytest.raises(StoreError, match=r"not a database|no run store") as caught:
            RunStore(path, read_only=read_only)
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == before
    with pytest.raises(StoreError):
        RunStore(tmp_path, read_only=read_only)  # a folder
    with pytest.raises(StoreError):
        RunStore(text / "runs.sqlite", read_only=read_only)  # in a file


@pytest.mark.parametrize("version", [0, STORE_VERSION + 1])
def test_a_store_of_another_format_is_refused_with_both_versions(store: RunStore, version: int) -> None:
    foreign_database(store.path, f"PRAGMA user_version = {version}")
    for read_only in (False, True):
        with pytest.raises(
            StoreError, match=f"has format {version}, this program reads and writes format {STORE_VERSION}"
        ):
            RunStore(store.path, read_only=read_only)
    with pytest.raises(StoreError, match="has format"):
        store.add([make_row(1)])  # also if it was replaced under an open program


def test_what_is_no_ordinary_file_is_refused_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, "a\0b"):
        with pytest.raises(StoreError, match="is no ordinary file"):
            RunStore(place, read_only=True)


def test_an_empty_file_is_taken_as_a_store_that_was_killed_at_birth(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    path.touch()
    assert RunStore(path).add([make_row(1)]) == 1


def test_a_row_that_was_damaged_is_one_clear_line(store: RunStore) -> None:
    store.add([make_row(1)])
    foreign_database(store.path, "UPDATE runs SET settings = 'nonsense'")
    with pytest.raises(StoreError, match=rf"row {make_row(1).key} cannot be read: it has another checksum") as caught:
        store.rows()
    assert "\n" not in str(caught.value)


def resealed(path: Path, column: str, value: object) -> None:
    """Change one column of every row and give the row the checksum that fits, as nobody does by chance."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE runs SET {column} = ?", (value,))
        for key, *record in database.execute("SELECT key, * FROM runs").fetchall():
            database.execute("UPDATE runs SET checksum = ? WHERE key = ?", (checksum(record[:-1]), key))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("steps", "seven", "a value in it is of another type"),
        ("mean", "high", "a value in it is of another type"),
        ("status", b"budget", "a value in it is of another type"),
        ("settings", "nonsense", "are not JSON"),
        ("lower", "5", "not iterable"),
        ("start", "[]", "start is empty"),
        ("goal", "mean=7", "must be in"),
        ("seed", -3, "give a whole number from 0"),
    ],
)
def test_a_row_that_makes_no_sense_is_told_with_its_key_although_its_checksum_fits(
    store: RunStore, column: str, value: object, words: str
) -> None:
    row = make_row(1)
    store.add([row])
    resealed(store.path, column, value)
    for read in (store.rows, lambda: store.find([row.key])):
        with pytest.raises(StoreError, match=f"row {row.key} cannot be read: .*{words}"):
            read()


def test_a_value_that_may_be_missing_may_be_missing(store: RunStore) -> None:
    store.add([make_row(1)])
    resealed(store.path, "mean", None)
    resealed(store.path, "max_steps", 5)
    found = store.rows()[0]
    assert math.isnan(found.mean)
    assert found.task.max_steps == 5


def test_a_row_that_is_there_twice_is_told(store: RunStore) -> None:
    store.add(map(make_row, range(5)))
    rebuilt = "CREATE TABLE other AS SELECT * FROM runs", "DROP TABLE runs", "ALTER TABLE other RENAME TO runs"
    foreign_database(store.path, *rebuilt)
    assert len(store.rows()) == 5  # without its index it is read as well
    foreign_database(store.path, f"INSERT INTO runs SELECT * FROM runs WHERE key = '{make_row(3).key}'")
    with pytest.raises(StoreError, match=f"row {make_row(3).key} cannot be read: it is there twice"):
        store.rows()


def test_a_method_whose_name_is_no_text_is_told(store: RunStore) -> None:
    store.add([make_row(1)])
    foreign_database(store.path, "UPDATE runs SET method = x'00ff'")
    for read in (store.rows, store.stale, store.summaries):
        with pytest.raises(StoreError, match="is no text, the file is damaged"):
            read()


def test_a_checksum_never_changes_from_one_release_to_the_next() -> None:
    # A store whose checksums do not fit any more is one that nobody can read: another one needs a new STORE_VERSION.
    assert checksum([1, "\u03b8", 0.5, None]) == "1ec18c4af3728a42"
    assert checksum([]) != checksum([None]) != checksum([0])


def test_who_writes_waits_for_another_one_and_gives_up_in_one_line(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semrob_env.store.sqlite_file.BUSY_SECONDS", 0.2)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert store.rows() == []  # who reads does not wait
        begin = time.monotonic()
        with pytest.raises(StoreError, match=r"run store .* locked; give a run store") as caught:
            store.add([make_row(1)])
        assert 0.1 < time.monotonic() - begin < 3
        assert "\n" not in str(caught.value)
        other.execute("ROLLBACK")
    assert store.add([make_row(1)]) == 1


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE traces SET queries = queries + 1",
        "UPDATE traces SET upper = replace(upper, '370.0', '37.0')",
        "DELETE FROM traces WHERE queries = 1",
        "INSERT INTO traces SELECT key, 5, lower, upper FROM traces LIMIT 1",
    ],
)
def test_a_trace_that_was_changed_is_told(store: RunStore, edit: str) -> None:
    row, other = make_row(3), make_row(0)
    store.add([row, other])
    foreign_database(store.path, edit)
    with pytest.raises(StoreError, match=f"row {row.key} cannot be read: its trace has another checksum"):
        store.traces([row.key])
    assert store.trace(other.key) == ()


def test_rows_that_somebody_deleted_run_again(store: RunStore) -> None:
    rows = [make_row(index) for index in range(5)]
    store.add(rows)
    foreign_database(store.path, "DELETE FROM runs")
    changed = replace(rows[4], trace=rows[3].trace)
    assert store.add([*rows[:4], changed]) == 5
    assert store.traces(row.key for row in rows) == {row.key: row.trace for row in [*rows[:4], changed]}


def flipped(whole: bytes, chance: random.Random) -> bytes:
    """The bytes of a file with one to three bits flipped behind its first page's header."""
    damaged = bytearray(whole)
    for _ in range(chance.randint(1, 3)):
        damaged[chance.randrange(100, len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def test_flipped_bits_are_told_or_change_nothing(store: RunStore, pytestconfig: pytest.Config) -> None:
    rows = {row.key: row for row in map(make_row, range(30))}
    store.add(rows.values())
    whole, chance, told = store.path.read_bytes(), random.Random(5), 0
    seconds = pytestconfig.getoption("--fuzz-seconds")
    ends, tries = time.monotonic() + seconds, 0
    while tries < 80 or time.monotonic() < ends:
        tries += 1
        store.path.write_bytes(flipped(whole, chance))
        try:
            again = RunStore(store.path)
            again.add(again.missing(rows).values())
            found, traces, every = again.find(rows), again.traces(rows), again.rows()
        except StoreError as error:
            assert "\n" not in str(error)  # noqa: PT017
            told += 1
            continue
        assert {key: replace(row, trace=traces[key]) for key, row in found.items()} == rows
        assert sorted(row.key for row in every) == sorted(rows)
    assert told > 10


def test_a_reader_after_a_kill_in_the_middle_of_a_write_finds_what_was_committed(store: RunStore) -> None:
    store.add([make_row(1)])
    write = "UPDATE runs SET space = hex(randomblob(900000))"
    code = (
        "import os, sqlite3; database = sqlite3.connect('runs.sqlite', isolation_level=None); "
        f"[database.execute(text) for text in ('PRAGMA cache_size=1', 'BEGIN IMMEDIATE', '{write}')]; os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False, cwd=store.path.parent)
    assert store.path.with_name("runs.sqlite-journal").exists()
    assert RunStore(store.path, read_only=True).rows() == [replace(make_row(1), trace=())]


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write anywhere: give that up for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_a_folder_that_cannot_be_written_is_an_error_before_any_work() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = RunStore(folder / "runs.sqlite")
        store.add([make_row(1)])
        store.path.chmod(0o666)
        folder.chmod(0o555)
        try:
            with as_nobody():
                with pytest.raises(StoreError, match="give a run store, in a folder that can be written"):
                    RunStore(store.path)
                with pytest.raises(StoreError):
                    RunStore(folder / "new.sqlite")
                with pytest.raises(StoreError, match="cannot make the folder"):
                    RunStore(folder / "sub" / "new.sqlite")
                assert len(RunStore(store.path, read_only=True).rows()) == 1
        finally:
            folder.chmod(0o755)


@pytest.mark.slow
def test_two_processes_that_write_the_same_rows_lose_none_and_double_none(tmp_path: Path, store: RunStore) -> None:
    path = tmp_path / "shared.sqlite"
    children = [child(f"test_store.write_rows({str(path)!r}, 300, {unit})") for unit in (5, 6)]
    for process in children:
        process.communicate(timeout=100)
        assert process.returncode == 0
    store.add(map(make_row, range(300)))
    assert dump(path) == dump(store.path)


@pytest.mark.slow
def test_killed_at_any_moment_a_repeated_command_ends_with_the_same_rows(tmp_path: Path, store: RunStore) -> None:
    path, chance = tmp_path / "killed.sqlite", random.Random(5)
    store.add(map(make_row, range(600)))
    complete = set(dump(store.path))
    sizes = []
    for _ in range(6):
        process = child(f"test_store.write_rows({str(path)!r}, 600, 3)")
        assert process.stdout is not None
        with process.stdout:
            process.stdout.readline()  # the store is open: from here on it writes
        time.sleep(chance.uniform(0, 0.08))
        process.send_signal(signal.SIGKILL)
        process.wait()
        found = RunStore(path).rows()  # rolls back what was half written
        assert set(dump(path)) <= complete
        assert all(RunStore(path).trace(row.key) == make_row(row.task.seed).trace for row in found)
        assert len(found) % 3 == 0
        sizes.append(len(found))
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 2, "the kills came too early or too late to mean anything"
    with child(f"test_store.write_rows({str(path)!r}, 600, 3)") as process:
        process.communicate(timeout=100)
    assert process.returncode == 0
    assert dump(path) == dump(store.path)
