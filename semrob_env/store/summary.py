"""Runs as columns: what tables of very many of them need, and nothing more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, final

import numpy as np

from semrob_env.types import BoolArray, FloatArray, IntArray

SUMMARY_TEXTS: Final = ("function_id", "start", "goal", "method", "settings", "status")
"""Columns of few different texts, as the store keeps them."""

SUMMARY_NUMBERS: Final = (
    "budget",
    "seed",
    "method_version",
    "share",
    "feasible",
    "certified",
    "forward_queries",
    "gradient_queries",
    "judge_queries",
    "certificate_queries",
)
"""Columns of numbers."""


@final
@dataclass(frozen=True)
class Coded:
    """A column of R texts, few of which differ.

    Attributes:
        codes: Which text each row has (R,).
        texts: The texts, in order of appearance.
    """

    codes: IntArray
    texts: tuple[str, ...]

    def __getitem__(self, keep: BoolArray | IntArray) -> Coded:
        """The rows that a mask or indices keep."""
        return Coded(self.codes[keep], self.texts)


@final
@dataclass(frozen=True, eq=False)
class RunSummaries:
    """R runs by columns.

    Attributes:
        texts: `SUMMARY_TEXTS` by name.
        numbers: `SUMMARY_NUMBERS` by name, each (R,) float64; NaN where there is none.
    """

    texts: Mapping[str, Coded]
    numbers: Mapping[str, FloatArray]

    def __len__(self) -> int:
        return len(self.numbers["share"])

    def rows(self, keep: BoolArray | IntArray) -> RunSummaries:
        """The runs that a mask (R,) or indices keep."""
        return RunSummaries(
            {name: column[keep] for name, column in self.texts.items()},
            {name: column[keep] for name, column in self.numbers.items()},
        )


@final
class SummaryReader:
    """Gathers records of `SUMMARY_TEXTS` and `SUMMARY_NUMBERS` into columns.

    Args:
        versions: Version of each method, as the store keeps its name, whose runs count.
    """

    def __init__(self, versions: Mapping[str, int]) -> None:
        # A text that is new gets the next number.
        self._books: dict[str, dict[str, int]] = {name: defaultdict(count().__next__) for name in SUMMARY_TEXTS}
        self._codes: dict[str, list[IntArray]] = {name: [] for name in SUMMARY_TEXTS}
        self._numbers: dict[str, list[FloatArray]] = {name: [] for name in SUMMARY_NUMBERS}
        self._versions = versions

    def add(self, records: Sequence[Sequence[Any]]) -> None:
        """Further records."""
        columns = dict(zip((*SUMMARY_TEXTS, *SUMMARY_NUMBERS), zip(*records, strict=True), strict=True))
        for name, book in self._books.items():
            values = columns[name]
            self._codes[name].append(np.fromiter(map(book.__getitem__, values), np.int32, len(values)))
        for name, parts in self._numbers.items():
            parts.append(np.array(columns[name], dtype=np.float64))

    def done(self, read: Callable[[str], str]) -> RunSummaries:
        """The columns; `read` gives names back as they were given."""
        found = RunSummaries(
            {
                name: Coded(_joined(self._codes[name], np.int32), tuple(map(read, book)))
                for name, book in self._books.items()
            },
            {name: _joined(parts, np.float64) for name, parts in self._numbers.items()},
        )
        method = found.texts["method"]
        newest = np.array([self._versions[name] for name in method.texts])
        is_new = found.numbers["method_version"] == newest[method.codes]
        return found if is_new.all() else found.rows(is_new)


def _joined(parts: Sequence[Any], kind: type) -> Any:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=kind)
