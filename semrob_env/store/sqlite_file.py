"""An SQLite file of ours: whose it is, transactions that are whole or nothing, and checksums of what is in it.

It is opened for every call and closed again, so that its owner may be pickled or forked, and several processes may
share it. Its journal is the rollback journal, not the write-ahead log: that one needs memory that all processes share,
which network file systems lack, and a folder that can be written by whoever reads.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from semrob_env.errors import StoreError
from semrob_env.files import encodable

BUSY_SECONDS = 60.0  # how long a process waits while another one writes


def checksum(values: Sequence[str | int | float | None]) -> str:
    """Of plain values as SQLite gives them back: 64 bits (hex) that change with any of them.

    Raises:
        UnicodeError: A text that UTF-8 lacks.
    """
    return hashlib.blake2b(repr(tuple(values)).encode(), digest_size=8).hexdigest()


@final
@dataclass(frozen=True)
class SqliteFile:
    """A file that is made, marked, checked and opened.

    Attributes:
        path: The file.
        kind: What it is, for messages: `run store`.
        application_id: What marks it as one.
        version: Of its format; another one is refused.
        tables: Statements that make them.
        advice: What to do where it cannot be used.
        read_only: Whether it is never written.
    """

    path: Path
    kind: str
    application_id: int
    version: int
    tables: tuple[str, ...]
    advice: str
    read_only: bool = False

    @contextmanager
    def connection(self, *, new: bool = False) -> Iterator[sqlite3.Connection]:
        """The open file, known to be ours (or `new`: one that may become so).

        Raises:
            StoreError: It cannot be opened, read or written, or is not ours.
        """
        is_there = os.path.lexists(self.path) if "\0" not in str(self.path) else True
        if is_there and not os.path.isfile(self.path):  # a pipe would keep us waiting
            raise StoreError(f"{self.kind} {encodable(str(self.path))}: is no ordinary file; {self.advice}")
        try:
            with self._opened("ro" if self.read_only else "rwc" if new else "rw") as database:
                if not new:
                    self._require_ours(database)
                yield database
        except (sqlite3.Error, UnicodeError) as error:  # a text that is not UTF-8: the file is damaged
            reason = encodable(" ".join(str(error).split())[:200])
            raise StoreError(f"{self.kind} {self.path}: {reason}; {self.advice}") from error

    @contextmanager
    def transaction(self, *, new: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction that is written whole or, after any exception (Ctrl-C too), not at all."""
        with self.connection(new=new) as database:
            database.execute("BEGIN IMMEDIATE")  # waits its turn now, so that no later statement can fail for it
            try:
                if new:
                    self._make_or_require(database)
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    @contextmanager
    def _opened(self, mode: str) -> Iterator[sqlite3.Connection]:
        uri = f"{self.path.resolve().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as database:
            if mode == "ro":
                self._roll_back(database)
            yield database

    def _roll_back(self, database: sqlite3.Connection) -> None:
        """Undo what a writer was killed in the middle of, which a reader cannot: the rows before it are there again."""
        try:
            database.execute("PRAGMA user_version").fetchone()
        except sqlite3.OperationalError as error:
            if "readonly" not in str(error):
                raise
            with self._opened("rw") as writer:
                writer.execute("PRAGMA user_version").fetchone()

    def _make_or_require(self, database: sqlite3.Connection) -> None:
        tables = database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if not tables and not database.execute("PRAGMA application_id").fetchone()[0]:
            for statement in self.tables:
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {self.application_id}")
            database.execute(f"PRAGMA user_version = {self.version}")
        self._require_ours(database)
        # Written again although it is there: a folder without write access must fail now, not after the work.
        database.execute(f"PRAGMA user_version = {self.version}")

    def _require_ours(self, database: sqlite3.Connection) -> None:
        found = database.execute("PRAGMA application_id").fetchone()[0]
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if found != self.application_id:
            raise StoreError(f"{self.path} is a database but no {self.kind}; give another file")
        if version != self.version:
            raise StoreError(
                f"{self.kind} {self.path} has format {version}, this program reads and writes format {self.version}; "
                "give another file, or use the release that wrote it"
            )
