"""Answers that take long and never change, kept in a file: optima, and regions judged by held-out points.

An SQLite file (application id `APPLICATION_ID`) with one table `answers`: `key` TEXT PRIMARY KEY, SHA-256 (hex) of the
canonical JSON of the question with the function's id and fingerprint; `numbers` TEXT, a JSON list; `checksum` TEXT,
`semrob_env.store.checksum` of both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Protocol, final

from semrob_env.errors import StoreError
from semrob_env.store import SqliteFile, canonical_json, checksum

APPLICATION_ID = 0x73726161
"""Marks a file of answers: the letters `sraa`."""

VERSION = 1
"""Of the format."""

_TABLE = "CREATE TABLE answers (key TEXT NOT NULL PRIMARY KEY, numbers TEXT NOT NULL, checksum TEXT NOT NULL)"


def answer_key(*facts: object) -> str:
    """The key of a question made of plain data."""
    return hashlib.sha256(canonical_json(list(facts)).encode()).hexdigest()


class AnswersByKey(Protocol):
    """Where lists of numbers are found by their keys, and added."""

    def find(self, keys: Sequence[str]) -> dict[str, list[float]]:
        """The answers that are there."""

    def add(self, answers: Mapping[str, Sequence[float]]) -> None:
        """Keep answers; one that is there already stays."""


@final
class GatheredAnswers(dict[str, list[float]]):
    """Answers in memory: a worker gives back what it has found, and its parent keeps it."""

    def find(self, keys: Sequence[str]) -> dict[str, list[float]]:
        """As `AnswersByKey`."""
        return {key: self[key] for key in keys if key in self}

    def add(self, answers: Mapping[str, Sequence[float]]) -> None:
        """As `AnswersByKey`."""
        for key, numbers in answers.items():
            self.setdefault(key, list(numbers))


@final
class KeptAnswers:
    """Lists of numbers by key in one file; like the run store, it is opened for every call only.

    Args:
        path: The file; made if missing.

    Raises:
        StoreError: It cannot be opened, or is no file of answers.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._file = SqliteFile(
            Path(path), "file of answers", APPLICATION_ID, VERSION, (_TABLE,), "remove it to have them made again"
        )
        with self._file.transaction(new=True):
            pass

    def find(self, keys: Sequence[str]) -> dict[str, list[float]]:
        """The answers that are there.

        Raises:
            StoreError: One of them is not the one that was written.
        """
        query = "SELECT key, numbers, checksum FROM answers WHERE key IN (SELECT value FROM json_each(?))"
        with self._file.connection() as database:
            found = database.execute(query, (json.dumps(list(keys)),)).fetchall()
        for key, numbers, expected in found:
            if checksum([key, numbers]) != expected:
                raise StoreError(
                    f"file of answers {self._file.path}: the one of {key} is not as it was written; {self._file.advice}"
                )
        return {key: json.loads(numbers) for key, numbers, _ in found}

    def add(self, answers: Mapping[str, Sequence[float]]) -> None:
        """Keep answers; one that is there already stays."""
        kept = [(key, canonical_json(list(numbers))) for key, numbers in answers.items()]
        with self._file.transaction() as database:
            rows = [(*own, checksum(own)) for own in kept]
            database.executemany("INSERT INTO answers VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING", rows)
