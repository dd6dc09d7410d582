"""Tables of a whole run store, however many runs it holds: SRVR and bills by question, method, network and class."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from semrob_env.errors import InvalidParameterError
from semrob_env.files import interval_text
from semrob_env.functions import split_options
from semrob_env.metrics import RegionRecords, SrvrRow, srvr
from semrob_env.questions import read_goal
from semrob_env.store import FAILED, UNPAID, Coded, RunSummaries
from semrob_env.tables.srvr import ALL, Subject
from semrob_env.types import BoolArray, IntArray

PAYERS = ("forward", "gradient", "judge", "certificate")


@final
@dataclass(frozen=True)
class StoreLine:
    """One line: runs of one method on one network and class that were asked alike.

    Attributes:
        functions: Options of their function ids, as `params=azimuth,elevation`.
        goal: Text of the goal.
        budget: Of each run; infinite for none.
        method: Name, with the hyperparameters in which it differs from others of the name in the store.
        srvr: Their SRVR, of networks, classes, shapes and intervals as in an SRVR table.
        queries: Sums by payer: forward, gradient, judge, certificate.
    """

    functions: str
    goal: str
    budget: float
    method: str
    srvr: SrvrRow
    queries: dict[str, int]

    def exact(self) -> dict[str, object]:
        """With full precision; shares, not percent."""
        own = {name: value for name, value in vars(self).items() if name not in ("srvr", "queries")}
        queries = {f"{name}_queries": count for name, count in self.queries.items()}
        return {**own, **vars(self.srvr), "class_name": self.srvr.class_name or ALL, **queries}

    def shown(self) -> dict[str, str]:
        """As text, in %."""
        row = self.srvr
        return {
            "functions": self.functions,
            "goal": read_goal(self.goal).words,
            "budget": f"{self.budget:g}",
            "network": row.network,
            "class": row.class_name or ALL,
            "method": self.method,
            "runs": f"{row.runs:,}",
            "shapes": f"{row.shapes:,}",
            "SRVR %": f"{100 * row.estimate:.2f}",
            "95 % interval": interval_text(row.low, row.high),
            "feasible only %": f"{100 * row.feasible_estimate:.2f}",
            "certified only %": f"{100 * row.certified_estimate:.2f}",
            **{f"{name} queries": f"{count:,}" for name, count in self.queries.items()},
        }


@final
class StoreTable:
    """What a store says, by its columns.

    Means are over start points and seeds of a shape first, then over shapes; runs that were asked otherwise, by goal,
    budget, hyperparameters or options of the function, are never mixed.

    Args:
        runs: All of them.
        seed: Of the intervals, 0 or above.

    Attributes:
        statuses: How many runs ended how.

    Raises:
        InvalidParameterError: No run has a region.
    """

    def __init__(self, runs: RunSummaries, seed: int = 0) -> None:
        self._seed = seed
        status = runs.texts["status"]
        counts = np.bincount(status.codes, minlength=len(status.texts)).tolist()
        self.statuses = {text: count for text, count in zip(status.texts, counts, strict=True) if count}
        silent = np.array([text in (FAILED, UNPAID) for text in status.texts], dtype=np.bool_)
        self._runs = runs.rows(~silent[status.codes]) if len(runs) else runs
        if not len(self._runs):
            raise InvalidParameterError(f"{len(runs)} runs, none with a region; run some first")

    @cached_property
    def lines(self) -> tuple[StoreLine, ...]:
        """All lines: by functions, goal and budget, then by network, class and method."""
        return tuple(line for _, group in sorted(self._groups()) for line in self._lines(group))

    def _groups(self) -> Iterator[tuple[tuple[str, str, float], BoolArray]]:
        """Runs that were asked alike, as masks."""
        runs = self._runs
        budgets, budget = np.unique(np.nan_to_num(runs.numbers["budget"], nan=np.inf), return_inverse=True)
        options, goal = self._options, runs.texts["goal"]
        combined = (options.codes[self._functions] * len(goal.texts) + goal.codes) * len(budgets) + budget.reshape(-1)
        for code in np.unique(combined).tolist():
            rest, own = divmod(code, len(budgets))
            place, text = divmod(rest, len(goal.texts))
            yield (options.texts[place], goal.texts[text], float(budgets[own])), combined == code

    def _lines(self, group: BoolArray) -> Iterator[StoreLine]:
        runs = self._runs.rows(group)
        functions = runs.texts["function_id"]
        first = functions.texts[functions.codes[0]]
        budget = float(np.nan_to_num(runs.numbers["budget"][:1], nan=np.inf)[0])
        subjects = [_subject(text) for text in functions.texts]
        methods = self._methods[group]
        start = runs.texts["start"].codes.astype(np.int64)
        seeds, seed = np.unique(runs.numbers["seed"], return_inverse=True)
        for place in np.unique(methods.codes).tolist():
            own = methods.codes == place
            part = runs.rows(own)
            names = functions.codes[own]
            network, class_name, shape = (
                np.array([getattr(subject, part) for subject in subjects])[names]
                for part in ("network", "class_name", "shape")
            )
            records = RegionRecords(
                network,
                class_name,
                shape,
                (start * len(seeds) + seed.reshape(-1))[own],
                np.full(len(part), methods.texts[place]),
                part.numbers["share"],
                part.numbers["feasible"] > 0,
                part.numbers["certified"] > 0,
            )
            for row in srvr(records, np.random.default_rng(self._seed)):
                is_behind = network == row.network
                is_behind = is_behind if row.class_name is None else is_behind & (class_name == row.class_name)
                queries = {name: int(part.numbers[f"{name}_queries"][is_behind].sum()) for name in PAYERS}
                goal = runs.texts["goal"]
                text = goal.texts[goal.codes[0]]
                yield StoreLine(_options(first), text, budget, methods.texts[place], row, queries)

    @property
    def _functions(self) -> IntArray:
        return self._runs.texts["function_id"].codes

    @cached_property
    def _options(self) -> Coded:
        """Options of each function id, by the code of the id."""
        return _coded([_options(text) for text in self._runs.texts["function_id"].texts])

    @cached_property
    def _methods(self) -> Coded:
        """Method of each run, with its settings where several of the name are there."""
        method, settings = self._runs.texts["method"], self._runs.texts["settings"]
        pairs = method.codes.astype(np.int64) * len(settings.texts) + settings.codes
        found, place = np.unique(pairs, return_inverse=True)
        named = [divmod(pair, len(settings.texts)) for pair in found.tolist()]
        by_name: dict[int, list[dict[str, Any]]] = {}
        for name, text in named:
            by_name.setdefault(name, []).append(json.loads(settings.texts[text]))
        labels = [
            method.texts[name] + _differing(json.loads(settings.texts[text]), by_name[name]) for name, text in named
        ]
        return Coded(place.reshape(-1), tuple(labels))


def _differing(settings: dict[str, Any], others: list[dict[str, Any]]) -> str:
    """The hyperparameters of a method in which others of its name differ."""
    parts = [f":{name}={value}" for name, value in settings.items() if any(o.get(name) != value for o in others)]
    return "".join(parts)


def _subject(function_id: str) -> Subject:
    """What a function is about; one that names no network, class and shape is a shape of its own."""
    try:
        return Subject.of(function_id)
    except InvalidParameterError:
        body = split_options(function_id)[0]
        return Subject(body, ALL, function_id)


def _options(function_id: str) -> str:
    plain = function_id.rstrip(")")
    prefix = "complement " * function_id.count("complement(")
    options = split_options(plain)[1]
    return prefix + " ".join(f"{name}={value}" for name, value in options.items() if name != "alias")


def _coded(texts: list[str]) -> Coded:
    book: dict[str, int] = {}
    codes = np.array([book.setdefault(text, len(book)) for text in texts], dtype=np.int64)
    return Coded(codes, tuple(book))
