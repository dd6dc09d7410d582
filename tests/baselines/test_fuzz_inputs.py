"""Malformed protocols, saved states and rows: each ends, soon, in a value or in one of our errors."""

from __future__ import annotations

import copy
import json
import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.experiments.protocols import load_protocol
from baselines.experiments.runner import run_tasks
from optimizers.base import Optimizer
from optimizers.registry import OPTIMIZERS
from optimizers.run import run
from semrob_env.errors import ProtocolError, RefusedFileError, SemrobError, StoreError
from semrob_env.functions import make_function
from semrob_env.oracle import QueryOracle
from semrob_env.questions import MeanGoal, Question, Questions
from semrob_env.store import RunStore, RunTask, checksum
from tests.baselines.experiments_maker import small

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**63, 2**64, -(10**400), 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "naive",
    "\0", "\udcff", "x" * 5000, "mean=0.5", [], [[]], {}, {"": None}, [None], [1, 1], ["a"], [10**6] * 3, {"a": [1]},
)  # fmt: skip
"""What stands in the place of a value."""

TRIES = 300
"""Least number of cases of each test."""


def turns(pytestconfig: pytest.Config, least: int = TRIES) -> Iterator[random.Random]:
    """A source of chance for each case, as long as --fuzz-seconds says."""
    ends = time.monotonic() + float(pytestconfig.getoption("--fuzz-seconds"))
    case = 0
    while case < least or time.monotonic() < ends:
        yield random.Random(case)
        case += 1


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container of JSON with every key of it."""
    own: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        own = [(value, key) for key in value]
    elif isinstance(value, list):
        own = [(value, key) for key in range(len(value))]
    return own + [place for container, key in own for place in places(container[key])]


def changed(value: Any, chance: random.Random) -> Any:
    """JSON with one or two things replaced, taken out, added or doubled."""
    value = copy.deepcopy(value)
    for _ in range(chance.randint(1, 2)):
        container, key = chance.choice(places(value))
        act = chance.choice(["replace"] * 4 + ["remove", "add", "double"])
        if act == "replace":
            container[key] = chance.choice(ODD)
        elif act == "remove":
            del container[key]
        elif isinstance(container, dict):
            container[f"{key}?"] = container[key] if act == "double" else chance.choice(ODD)
        else:
            container.append(container[key] if act == "double" else chance.choice(ODD))
    return value


def spoiled(text: str, chance: random.Random) -> bytes:
    """Bytes of a text with some cut off, replaced or put in."""
    data = bytearray(text.encode())
    at = chance.randrange(len(data))
    inserted = chance.choice([b"[" * 100_000, b"9" * 5000, b'{"a":' * 50_000, b"\xff\xfe", b"\0", b"NaN", b"-", b""])
    data[at : at + chance.randrange(20)] = inserted
    return bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])


def test_any_protocol_is_read_or_refused(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    protocol, suite = small(
        "", ["naive", "random_search"], suite="synthetic", options={"parameters": ("1",), "instances": ("0",)}
    )
    whole, path, told = json.loads(protocol.to_json()), tmp_path / "protocol.json", 0
    for chance in turns(pytestconfig):
        text = json.dumps(changed(whole, chance))
        path.write_bytes(spoiled(text, chance) if chance.random() < 0.2 else text.encode())
        started = time.process_time()
        try:
            read = load_protocol(path)
            again = read.make_suite("")
            list(read.runs(again))
            [entry.is_stochastic for entry in read.entries]
            read.digest()
        except SemrobError:
            told += 1
        else:
            assert again.questions == suite.questions
        assert time.process_time() - started < 5
    assert told > TRIES / 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(RefusedFileError, match="no ordinary file"):
            load_protocol(path)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**24 + 1)
    with pytest.raises(RefusedFileError, match="too large"):
        load_protocol(tmp_path / "large")


HILL = make_function("synthetic:hill?n=2&seed=0")
METHODS = ("naive", "box_quadrature", "oir_w", "random_search", "grid")


def optimizer_of(name: str) -> Optimizer[Any]:
    start = np.array([[180.0, 40.0], [100.0, 10.0]])
    return OPTIMIZERS[name](Questions(HILL.space, start, member=[0, 0], goal=MeanGoal(0.5), budget=40))


def foreign(saved: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A saved state with fields missing, of others, or foreign."""
    whole, saved = saved, dict(saved)
    for _ in range(chance.randint(1, 2)):
        name, other = chance.choices(list(saved), k=2)
        own = whole.get(name, whole["start"])
        texts = ["{}", "[" * 5000, "9" * 5000, "null"]
        foreigners = (
            chance.choice(ODD),
            np.array([None, {}], dtype=object),
            saved[other],
            np.concatenate([own.reshape(-1), own.reshape(-1)]),
            own.astype(str),
            np.array([chance.choice(texts)] * 2),
        )
        if chance.random() < 0.2:
            del saved[name]
        else:
            saved[name if chance.random() < 0.8 else f"state.{name}"] = chance.choice(foreigners)
    return saved


def test_any_saved_state_is_continued_or_refused_and_then_nothing_has_changed(pytestconfig: pytest.Config) -> None:
    optimizers = {name: optimizer_of(name) for name in METHODS}
    for optimizer in optimizers.values():
        run(optimizer, QueryOracle(HILL, trajectories=2, budget=40), max_steps=2)
    whole = {name: optimizer.save() for name, optimizer in optimizers.items()}
    told = 0
    for chance in turns(pytestconfig):
        name = chance.choice(METHODS)
        optimizer = optimizer_of(name)
        before = optimizer.save()
        try:
            optimizer.restore(foreign(whole[name], chance))
        except ProtocolError:
            told += 1
            after = optimizer.save()
        else:
            after = before
            with suppress(SemrobError):  # bounds may be upside down
                optimizer.recommend()
        assert {key: own.tobytes() for key, own in after.items()} == {k: own.tobytes() for k, own in before.items()}
    assert told > TRIES / 2


def test_rows_that_somebody_edited_are_told(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    path, told, kept = tmp_path / "runs.sqlite", 0, 0
    start = (180.0, 40.0)
    run_tasks([RunTask(Question(HILL.id, start, budget=20), "naive", judge_points=8)], RunStore(path))
    whole = path.read_bytes()
    texts = ("", "[]", "{}", "null", "[1e999]", "[" * 5000, "nonsense", "[null]", '{"a":1}', "mean=2", "9" * 5000)
    with closing(sqlite3.connect(path)) as database:
        names = [name for _, name, *_ in database.execute("PRAGMA table_info(runs)")]
    for chance in turns(pytestconfig, 100):
        path.write_bytes(whole)
        name = chance.choice(names[:-1])
        value = chance.choice([*texts, 0, -1, 2**63 - 1, -0.5, 1e308, b"\xff", None])
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = OFF")
            try:
                database.execute(f"UPDATE runs SET {name} = ?", (value,))
            except sqlite3.IntegrityError:
                continue
            if chance.random() < 0.7:  # who edits may make a checksum as well
                (*given, _), *_ = database.execute("SELECT * FROM runs").fetchall()
                database.execute("UPDATE runs SET checksum = ?", (checksum(given),))
        try:
            store = RunStore(path)
            rows = store.rows()
            store.find([row.key for row in rows])
            store.traces([row.key for row in rows])
            store.stale({"naive": 1})
            [row.record() for row in rows]
            kept += 1
        except StoreError:
            told += 1
    assert kept > 10 < told
