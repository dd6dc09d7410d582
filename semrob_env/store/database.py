"""The SQLite file behind the run store. Its format is documented in `semrob_env.store`."""

from __future__ import annotations

import json
import math
import operator
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, final, get_args, get_origin, get_type_hints

from semrob_env.errors import InvalidParameterError, InvalidRowError, StoreError
from semrob_env.questions import Goal, Question, read_goal
from semrob_env.store.rows import FAILED, RunRow, RunTask, TraceRow, canonical_json
from semrob_env.store.sqlite_file import SqliteFile, checksum
from semrob_env.store.summary import SUMMARY_NUMBERS, SUMMARY_TEXTS, RunSummaries, SummaryReader

APPLICATION_ID = 0x73726F62  # marks a file as a run store: the letters `srob`

STORE_VERSION = 7
"""Version of what rows mean; a store of another one is refused. 7: a checksum of what tables need."""

_ESCAPE = r"u(d[89a-f][0-9a-f]{2}|0000|005c)"
_ESCAPED = re.compile(rf"\\{_ESCAPE}")
_TO_ESCAPE = re.compile(rf"[\ud800-\udfff\0]|\\(?={_ESCAPE})")


def _escaped(name: str) -> str:
    """A name as the store keeps it: `_unescaped` gives it back, whatever is in it."""
    return _TO_ESCAPE.sub(lambda found: f"\\u{ord(found[0]):04x}", name)


def _unescaped(name: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name)


@final
@dataclass(frozen=True)
class _Column:
    """How a field of a row is kept."""

    kind: str  # REAL, INTEGER or TEXT
    type: type  # of the value: float, int, bool, str, tuple (a JSON list) or Goal (its text)
    is_optional: bool  # whether it may be None; a NaN of a float that may not is NULL as well
    is_name: bool  # whether it is a text that may hold anything and is escaped

    @property
    def declared(self) -> str:
        """Its kind and whether it may be NULL, in SQL."""
        return self.kind if self.is_optional or self.type is float else f"{self.kind} NOT NULL"

    @classmethod
    def of(cls, hint: Any, *, is_name: bool) -> _Column:
        """From the type of the field."""
        is_optional = get_origin(hint) is UnionType  # `TYPE | None`
        own = next(part for part in get_args(hint) if part is not NoneType) if is_optional else hint
        plain = get_origin(own) or own
        kinds = {float: "REAL", int: "INTEGER", bool: "INTEGER"}
        return cls(kinds.get(plain, "TEXT"), plain, is_optional, is_name and plain is str)

    def kept(self, value: Any) -> Any:
        """The value as the column holds it, and gives it back."""
        if value is None or (self.type is float and math.isnan(value)):
            return None
        if self.type is tuple:
            return canonical_json(value)
        if self.kind == "REAL":
            return float(value) + 0.0  # SQLite knows no -0.0
        if self.kind == "INTEGER":
            return operator.index(value)
        return _escaped(value) if self.is_name else value

    def reader(self) -> Callable[[Any], Any] | None:
        """What makes the value of what the column holds; None: it is the value."""
        makers: dict[type, Callable[[Any], Any]] = {
            tuple: lambda text: tuple(json.loads(text)),
            Goal: lru_cache(256)(read_goal),
            bool: bool,
        }
        read = _unescaped if self.is_name else makers.get(self.type)
        if self.is_optional:
            return read and (lambda value: None if value is None else read(value))
        return (lambda value: math.nan if value is None else value) if self.type is float else read


def _columns(owner: type, *without: str) -> dict[str, _Column]:
    hints = get_type_hints(owner)
    return {
        part.name: _Column.of(hints[part.name], is_name=owner is not RunRow)
        for part in fields(owner)
        if part.name not in without
    }


_QUESTION, _TASK = _columns(Question), _columns(RunTask, "question")
_ROW = _columns(RunRow, "task", "trace")
_COLUMNS = {"key": _ROW["key"], **_QUESTION, **_TASK, **_ROW}
_READERS = {name: read for name, column in _COLUMNS.items() if (read := column.reader()) is not None}
_ROW_READERS = {name: read for name, read in _READERS.items() if name not in _QUESTION}
_KINDS = [{"REAL": float, "INTEGER": int, "TEXT": str}[column.kind] for column in _COLUMNS.values()]
_SUMMARY = {name: _COLUMNS[name] for name in SUMMARY_TEXTS} | {name: _COLUMNS[name] for name in SUMMARY_NUMBERS}
_CHECKED = dict.fromkeys(("trace_checksum", "summary_checksum", "checksum"), "TEXT NOT NULL")
_DECLARED = ", ".join([
    *(f"{name} {column.declared}" for name, column in _COLUMNS.items()),
    *(f"{name} {kind}" for name, kind in _CHECKED.items()),
])
_TABLES = (
    f"CREATE TABLE runs ({_DECLARED}, PRIMARY KEY (key))",
    "CREATE TABLE traces (key TEXT NOT NULL REFERENCES runs(key), queries INTEGER NOT NULL, lower TEXT NOT NULL, "
    "upper TEXT NOT NULL, PRIMARY KEY (key, queries)) WITHOUT ROWID",
    "CREATE INDEX versions ON runs (method, method_version)",  # so that counting them reads no rows
)
_NAMES = ", ".join([*_COLUMNS, *_CHECKED])
# ON CONFLICT and not OR IGNORE: only a key that is there already may be passed over, nothing that is wrong.
_INSERT = (
    f"INSERT INTO runs ({_NAMES}) VALUES ({', '.join('?' * (len(_COLUMNS) + len(_CHECKED)))}) "
    "ON CONFLICT (key) DO NOTHING"
)
_SELECT = f"SELECT {_NAMES} FROM runs"
# What is wrong with a row and not with the file.
_ROW_ERRORS = (
    InvalidParameterError,
    OverflowError,
    TypeError,
    UnicodeError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
_KEYS_A_QUERY = 4096  # some megabytes of rows
_SUMMARIES_AT_ONCE = 8192

ValueT = TypeVar("ValueT")


@final
class RunStore:
    """Runs by key in one SQLite file, safe to kill at any moment and to share between processes.

    The object holds the path only: every call opens the file and closes it, so a store may be pickled or forked.

    Args:
        path: The file; it and its folder are made if missing (not if read_only).
        read_only: Never write, for tables and plots: works in a folder that cannot be written.

    Raises:
        StoreError: The file cannot be opened or written, is no run store, or one of another version.
    """

    def __init__(self, path: str | PathLike[str], *, read_only: bool = False) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self._file = SqliteFile(
            self.path,
            "run store",
            APPLICATION_ID,
            STORE_VERSION,
            _TABLES,
            "give a run store, in a folder that can be written unless read only",
            read_only,
        )
        if read_only:
            with self._file.connection():
                return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the folder of run store {self.path}: {error.strerror}") from error
        with self._file.transaction(new=True):
            pass

    def missing(self, tasks: Mapping[str, ValueT], *, retry_failed: bool = False) -> dict[str, ValueT]:
        """Those of the tasks, by key, that have no row yet, in the order given.

        Args:
            tasks: Anything by its key.
            retry_failed: Also those whose row says failed; `add` then replaces it by a row of another status.

        Raises:
            StoreError: The store cannot be read.
        """
        wanted = f" AND status != '{FAILED}'" if retry_failed else ""
        done = {key for (key,) in self._about(tasks, "SELECT key FROM runs", wanted)}
        return {key: task for key, task in tasks.items() if key not in done}

    def add(self, rows: Iterable[RunRow]) -> int:
        """Store rows and their traces, all or none of them; a key that is there stays as it is.

        A row that did not fail replaces a failed one of the same task.

        Returns:
            Number of rows that are new.

        Raises:
            InvalidRowError: A row holds what the store cannot keep; nothing was written.
            StoreError: The store cannot be written; nothing was.
        """
        added = 0
        with self._file.transaction() as database:
            for row in rows:
                try:
                    added += _insert(database, row)
                except _ROW_ERRORS as error:
                    raise InvalidRowError(
                        f"run store {self.path}: the row of {row.task.question.function_id!r} by {row.task.method!r}, "
                        f"seed {row.task.seed}, cannot be kept: {error}"
                    ) from error
        return added

    def rows(
        self,
        versions: Mapping[str, int] | None = None,
        *,
        function_id: str | None = None,
        method: str | None = None,
        status: str | None = None,
    ) -> list[RunRow]:
        """The rows of one version a method, without traces, ordered by function, method, start, seed and key.

        Args:
            versions: Version of each method to read; other methods are left out. None: the newest in the store.
            function_id: Only rows of this function.
            method: Only rows of this method.
            status: Only rows with this status.

        Raises:
            StoreError: The store cannot be read, or a row in it makes no sense.
        """
        filters = {"function_id": function_id, "method": method, "status": status}
        chosen = {name: _escaped(value) for name, value in filters.items() if value is not None}
        where = " AND ".join(["1", *(f"{name} = ?" for name in chosen)])
        with self._file.connection() as database:
            current = self._newest(database) if versions is None else versions
            query = f"{_SELECT} WHERE {where} ORDER BY function_id, method, start, seed, key"
            rows: list[RunRow] = []
            for row in map(self._row, database.execute(query, tuple(chosen.values()))):
                if rows and rows[-1].key == row.key:  # an index that was damaged let it in again
                    raise self._damaged(row.key, "it is there twice")
                if current.get(row.task.method) == row.method_version:
                    rows.append(row)
        return rows

    def summaries(self) -> RunSummaries:
        """What tables need of every run of the newest version of each method: columns, in the order they were added.

        It takes some microseconds and a hundred bytes a run, where `rows` takes ten times as much.

        Raises:
            StoreError: The store cannot be read, or a row in it is not the one that was written.
        """
        names = ", ".join([*_SUMMARY, "summary_checksum"])
        with self._file.connection() as database:
            reader = SummaryReader(self._newest(database))
            cursor = database.execute(f"SELECT key, {names} FROM runs NOT INDEXED ORDER BY rowid")
            while records := cursor.fetchmany(_SUMMARIES_AT_ONCE):
                given = [record[1:-1] for record in records]
                for values, record in zip(given, records, strict=True):
                    if checksum(values) != record[-1]:
                        raise self._damaged(record[0], "it has another checksum than the one that was written")
                reader.add(given)
        return reader.done(_unescaped)

    def find(self, keys: Iterable[str]) -> dict[str, RunRow]:
        """The rows with these keys, without traces, in the order given; a key that has no row is left out.

        Raises:
            StoreError: The store cannot be read, or a row in it makes no sense.
        """
        wanted = list(keys)
        found = {row.key: row for row in map(self._row, self._about(wanted, _SELECT))}
        return {key: found[key] for key in wanted if key in found}

    def stale(self, versions: Mapping[str, int] | None = None) -> dict[str, int]:
        """How many rows `rows(versions)` leaves out because another version of the method made them, by method.

        Raises:
            StoreError: The store cannot be read.
        """
        counts: dict[str, int] = {}
        with self._file.connection() as database:
            current = self._newest(database) if versions is None else versions
            query = "SELECT method, method_version, COUNT(*) FROM runs GROUP BY method, method_version ORDER BY method"
            for name, version, count in database.execute(query):
                method = self._method(name)
                if method in current and version != current[method]:
                    counts[method] = counts.get(method, 0) + count
        return counts

    def trace(self, key: str) -> tuple[TraceRow, ...]:
        """The trace of one run, by rising queries; empty if there is none.

        Raises:
            StoreError: The store cannot be read.
        """
        return self.traces([key])[key]

    def traces(self, keys: Iterable[str]) -> dict[str, tuple[TraceRow, ...]]:
        """The traces of many runs, by key.

        Raises:
            StoreError: The store cannot be read, or a trace in it is not the one that was written.
        """
        kept: dict[str, list[tuple[int, str, str]]] = {key: [] for key in keys}
        for key, *own in self._about(kept, "SELECT key, queries, lower, upper FROM traces", " ORDER BY key, queries"):
            if key not in kept:  # the index and the table differ
                raise self._damaged(key, "its trace is not where it was written")
            kept[key].append((own[0], own[1], own[2]))
        for key, expected in self._about(kept, "SELECT key, trace_checksum FROM runs"):
            if _trace_checksum(kept.get(key, ())) != expected:
                raise self._damaged(key, "its trace has another checksum than the one that was written")
        return {
            key: tuple(TraceRow(at, tuple(json.loads(low)), tuple(json.loads(high))) for at, low, high in trace)
            for key, trace in kept.items()
        }

    def _about(self, keys: Iterable[str], select: str, more: str = "") -> Iterator[tuple[Any, ...]]:
        """What a query tells of these keys, some hundreds at a time."""
        wanted = list(keys)
        for at in range(0, len(wanted), _KEYS_A_QUERY):
            with self._file.connection() as database:  # not beyond the `yield`: who reads slowly locks nobody out
                query = f"{select} WHERE key IN (SELECT value FROM json_each(?)){more}"
                records = database.execute(query, (json.dumps(wanted[at : at + _KEYS_A_QUERY]),)).fetchall()
            yield from records

    def _newest(self, database: sqlite3.Connection) -> dict[str, int]:
        newest = database.execute("SELECT method, MAX(method_version) FROM runs GROUP BY method")
        return {self._method(name): version for name, version in newest}

    def _method(self, name: object) -> str:
        """A method's name as it was given; an index that is damaged may hold anything in its place."""
        if not isinstance(name, str):
            raise StoreError(
                f"run store {self.path}: method {name!r} is no text, the file is damaged; give another file"
            )
        return _unescaped(name)

    def _row(self, values: tuple[Any, ...]) -> RunRow:
        *given, expected = values
        if checksum(given) != expected:
            raise self._damaged(values[0], "it has another checksum than the one that was written")
        if not _has_kinds(tuple(map(type, given))):
            raise self._damaged(values[0], "a value in it is of another type")
        record = dict(zip(_COLUMNS, given, strict=False))  # without the checksums of trace and summary
        try:
            question = _question(*[record.pop(name) for name in _QUESTION])
            for name in _ROW_READERS:
                record[name] = _ROW_READERS[name](record[name])
            task = RunTask(question, **{name: record.pop(name) for name in _TASK})
        except (TypeError, ValueError, RecursionError) as error:  # every error of a task is a ValueError as well
            raise self._damaged(values[0], str(error)) from error
        return RunRow(task=task, **record)

    def _damaged(self, key: object, reason: str) -> StoreError:
        return StoreError(
            f"run store {self.path}: row {key} cannot be read: {reason}; delete it (DELETE FROM runs WHERE key = …) to "
            "run it again, or give another file"
        )


@lru_cache(4096)
def _has_kinds(types: tuple[type, ...]) -> bool:
    """Whether values of such types may stand in the columns of a row."""
    return all(own in (kind, NoneType) for own, kind in zip(types, _KINDS, strict=False))


@lru_cache(65536)  # many methods, seeds and budgets to one start point
def _question(*kept: Any) -> Question:
    """The question of the columns of one."""
    given = zip(_QUESTION, kept, strict=True)
    return Question(**{name: _READERS[name](value) if name in _READERS else value for name, value in given})


def _insert(database: sqlite3.Connection, row: RunRow) -> bool:
    """Write a row and its trace unless its key is there; whether it was written."""
    if row.status != FAILED:
        # A function that could not be made has no fingerprint: its failed row has the key without one.
        database.execute(
            "DELETE FROM runs WHERE key IN (?, ?) AND status = ?",
            (row.key, row.task.key({}, row.method_version), FAILED),
        )
    record = row.record()
    kept = [column.kept(record[name]) for name, column in _COLUMNS.items()]
    trace = [(t.queries, canonical_json(t.lower), canonical_json(t.upper)) for t in row.trace]
    kept += [_trace_checksum(trace), checksum([_COLUMNS[name].kept(record[name]) for name in _SUMMARY])]
    if database.execute(_INSERT, [*kept, checksum(kept)]).rowcount != 1:
        return False
    database.execute("DELETE FROM traces WHERE key = ?", (row.key,))  # what is left of a row that somebody deleted
    database.executemany("INSERT INTO traces VALUES (?, ?, ?, ?)", [(row.key, *own) for own in trace])
    return True


def _trace_checksum(trace: Iterable[tuple[int, str, str]]) -> str:
    return checksum([value for own in trace for value in own])
