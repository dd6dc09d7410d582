"""Answers that take long and never change, kept in a file: optima, and regions judged by held-out points.

An SQLite file (application id `APPLICATION_ID`) with one table `answers`: `key` TEXT PRIMARY KEY, SHA-256 (hex) of the
canonical JSON of the question with the function's id and fingerprint; `numbers` TEXT, a JSON list.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from os import PathLike
from pathlib import Path
from typing import final

from semrob_env.errors import StoreError
from semrob_env.store import canonical_json

APPLICATION_ID = 0x73726161
"""Marks a file of answers: the letters `sraa`."""


def answer_key(*facts: object) -> str:
    """The key of a question made of plain data."""
    return hashlib.sha256(canonical_json(list(facts)).encode()).hexdigest()


@final
class KeptAnswers:
    """Lists of numbers by key in one file; like the run store, it is opened for every call only.

    Args:
        path: The file; made if missing.

    Raises:
        StoreError: It cannot be opened, or is no file of answers.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        with self._opened() as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT NOT NULL PRIMARY KEY, numbers TEXT NOT NULL)"
            )

    def find(self, keys: Sequence[str]) -> dict[str, list[float]]:
        """The answers that are there."""
        query = "SELECT key, numbers FROM answers WHERE key IN (SELECT value FROM json_each(?))"
        with self._opened() as database:
            return {key: json.loads(numbers) for key, numbers in database.execute(query, (json.dumps(list(keys)),))}

    def add(self, answers: Mapping[str, Sequence[float]]) -> None:
        """Keep answers; one that is there already stays."""
        with self._opened() as database:
            rows = [(key, canonical_json(list(numbers))) for key, numbers in answers.items()]
            database.executemany("INSERT INTO answers VALUES (?, ?) ON CONFLICT (key) DO NOTHING", rows)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=60.0)) as database, database:
                found = database.execute("PRAGMA application_id").fetchone()[0]
                if not found and not database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                elif found != APPLICATION_ID:
                    raise StoreError(f"{self.path} is a database but no file of answers; give another folder")
                yield database
        except sqlite3.Error as error:
            raise StoreError(f"file of answers {self.path}: {error}; remove it to have them made again") from error
