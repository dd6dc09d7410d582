"""Searches for failing views compared by counted queries: a protocol whose measure is `failures`, run and summed up.

A question is a function and a start point that is right: its unit score reaches the level of the protocol's goal. A run
is one search from there with one budget and seed, on the oracle's meter; its box around the start point is its own
setting `radius`, which should be the same for all that are compared. A view fails where its score is below that level.

`runs.csv`, a line for every run:

| column              | meaning                                                                                  |
|---------------------|------------------------------------------------------------------------------------------|
| protocol            | digest of the protocol                                                                   |
| label, budget, seed | of the run                                                                               |
| function_id, start  | of the question                                                                          |
| queries             | its bill, forward + gradient_cost * gradients                                            |
| failures            | how many of the views that it asked fail, probes of finite differences included          |
| distinct            | how many of them are unlike each other, taken in the order of asking                     |
| first               | bill with the first failure; inf: none                                                   |
| nearest_degrees     | of the failing view nearest to the start point: largest difference along an angle        |
| nearest_euclidean   | of the same or another one: root of the sum of squared differences along angles, degrees |

`comparison.csv`, a line for every entry and budget: means of these over runs and the ends (`_low`, `_high`) of their
bootstrap intervals over groups, shapes as a rule: `success` (share of runs with a failure), `per_100` (failures per 100
queries of a run's bill), `distinct`; `expected_queries` to the first failure (`running_times`, all queries of all runs
over successes, all scenes together); medians of both distances over the runs with a failure; `queries`, the mean bill.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from baselines.experiments.answers import KeptAnswers, answer_key
from baselines.experiments.failures import FailureSettings, Search, ask
from baselines.experiments.protocols import PlannedRun, Protocol
from baselines.experiments.statistics import running_times, share_reached
from baselines.experiments.suites import Suite
from semrob_env.metrics import cluster_means, distinct
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting.comparison import Curve, Panel
from semrob_env.types import FloatArray

_VERSION = 1
"""Of what is kept."""

MEASURES = {"success": 100.0, "per_100": 1.0, "distinct": 1.0}
"""Means with intervals, and what their numbers are shown times."""


@final
@dataclass(frozen=True)
class SearchRun:
    """What a run found; see the module."""

    queries: float
    failures: int
    distinct: int
    first: float
    nearest_degrees: float
    nearest_euclidean: float


@final
@dataclass(frozen=True, eq=False)
class SearchComparison:
    """All runs of a protocol.

    Attributes:
        protocol: Their protocol.
        suite: Its questions.
        planned: The runs.
        found: What each found.
    """

    protocol: Protocol
    suite: Suite
    planned: tuple[PlannedRun, ...]
    found: tuple[SearchRun, ...]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels of the entries without the settings that all of them have."""
        parts = [entry.label.split(":") for entry in self.protocol.entries]
        common = set.intersection(*(set(own[1:]) for own in parts)) if len(parts) > 1 else set()
        return tuple(":".join(part for part in own if part not in common) for own in parts)

    def rows(self, entry: int, budget: int) -> list[int]:
        """Numbers of the runs of an entry with a budget."""
        return [at for at, run in enumerate(self.planned) if (run.entry, run.budget) == (entry, budget)]

    def _values(self, rows: list[int]) -> tuple[FloatArray, list[str]]:
        """The measures (3, R) of runs, and the group of each."""
        own = [self.found[row] for row in rows]
        values = [[one.failures > 0, 100 * one.failures / max(one.queries, 1.0), one.distinct] for one in own]
        groups = [self.suite.groups[self.planned[row].question] for row in rows]
        return np.array(values, dtype=np.float64).reshape(-1, len(MEASURES)).T, groups

    def _means(self, values: FloatArray, groups: list[str]) -> dict[str, tuple[float, float, float]]:
        rng = np.random.default_rng(self.protocol.bootstrap_seed)
        means = cluster_means(
            values, np.array(groups), rng, resamples=self.protocol.resamples, level=self.protocol.level
        )
        ends = zip(means.mean.tolist(), means.low.tolist(), means.high.tolist(), strict=True)
        return dict(zip(MEASURES, ends, strict=True))

    def lines(self) -> list[dict[str, Any]]:
        """Lines of comparison.csv."""
        return [self._line(entry, budget) for budget in self.protocol.budgets for entry in range(len(self.labels))]

    def _line(self, entry: int, budget: int) -> dict[str, Any]:
        rows = self.rows(entry, budget)
        own = [self.found[row] for row in rows]
        means = self._means(*self._values(rows))
        hits = [one for one in own if one.failures]
        return {
            "protocol": self.protocol.digest(),
            "label": self.protocol.entries[entry].label,
            "budget": budget,
            "runs": len(rows),
            **{f"{name}{end}": value for name, mean in means.items() for end, value in zip(ENDS, mean, strict=True)},
            # As one question: a view that fails is sought anywhere, and another scene is another try.
            "expected_queries": float(
                running_times([one.first for one in own], [one.queries for one in own], np.zeros(len(own)))[0]
            ),
            "nearest_degrees": _median([one.nearest_degrees for one in hits]),
            "nearest_euclidean": _median([one.nearest_euclidean for one in hits]),
            "queries": float(np.mean([one.queries for one in own])),
        }

    def shown(self, budget: int) -> list[dict[str, str]]:
        """The table of a budget for the eye."""
        lines = []
        for entry, label in enumerate(self.labels):
            line = self._line(entry, budget)
            lines.append({
                "search": label,
                "runs": str(line["runs"]),
                "a failure found, % of runs": _interval([line[f"success{end}"] for end in ENDS], 100, 0),
                "failures per 100 queries": _interval([line[f"per_100{end}"] for end in ENDS], 1, 1),
                "unlike each other, a run": _interval([line[f"distinct{end}"] for end in ENDS], 1, 1),
                "queries to the first": f"{line['expected_queries']:.1f}",
                "nearest, degrees": f"{line['nearest_degrees']:.0f}",
                "queries a run": f"{line['queries']:.1f}",
            })
        return lines

    def shown_differences(self, budget: int) -> list[dict[str, str]]:
        """Each entry less the first one, question by question (mean over seeds), for the eye; none of one entry."""
        base = self._by_question(0, budget)
        lines = []
        for entry in range(1, len(self.labels)):
            own = self._by_question(entry, budget)
            shared = sorted(own.keys() & base.keys())
            values = np.array([own[question] - base[question] for question in shared]).T
            means = self._means(values, [self.suite.groups[question] for question in shared])
            lines.append({
                "search": self.labels[entry],
                "a failure found, points": _interval(means["success"], 100, 0),
                "failures per 100 queries": _interval(means["per_100"], 1, 1),
                "unlike each other, a run": _interval(means["distinct"], 1, 1),
            })
        return lines

    def _by_question(self, entry: int, budget: int) -> dict[int, FloatArray]:
        rows = self.rows(entry, budget)
        values, _ = self._values(rows)
        questions = np.array([self.planned[row].question for row in rows])
        return {int(one): values[:, questions == one].mean(axis=1) for one in np.unique(questions)}

    def notes(self) -> list[str]:
        """What the table means and what it cost."""
        level, groups = self.protocol.goals[0].level, len(set(self.suite.groups))
        total = sum(one.queries for one in self.found)
        return [
            f"{len(self.suite.questions)} start points with a unit score of at least {level:g}, on {groups} shapes or "
            f"functions; {len(self.found)} runs, {total:,.0f} queries; a view fails below {level:g}",
            f"intervals: {100 * self.protocol.level:g} %, by drawing shapes or functions anew; of {groups} they are "
            "rough, and of differences those that hold 0 prove none",
            "nearest: the failing view nearest to the start point, by the largest difference along an angle (Euclidean "
            "in comparison.csv), median over runs that found one",
            "queries to the first failure: all queries of all runs over the runs that found one; inf: none did",
            "a value with its gradient is a forward and a gradient query, one by central differences 1 + 2n forward",
        ]

    def run_lines(self) -> list[dict[str, Any]]:
        """Lines of runs.csv."""
        digest = self.protocol.digest()
        return [
            {
                "protocol": digest,
                "label": self.protocol.entries[run.entry].label,
                "budget": run.budget,
                "seed": run.seed,
                "function_id": run.task.question.function_id,
                "start": " ".join(map(repr, run.task.question.start)),
                **asdict(one),
            }
            for run, one in zip(self.planned, self.found, strict=True)
        ]

    def panels(self) -> list[Panel]:
        """Share of runs that have found a failure, by queries, a panel a budget."""
        return [
            Panel(f"at most {budget} queries", "queries", "runs with a failure found", self._curves(budget))
            for budget in self.protocol.budgets
        ]

    def _curves(self, budget: int) -> tuple[Curve, ...]:
        at: FloatArray = np.arange(1, budget + 1).astype(np.float64)
        firsts = [[self.found[row].first for row in self.rows(entry, budget)] for entry in range(len(self.labels))]
        return tuple(
            Curve(label, at, share_reached(own, at), False) for label, own in zip(self.labels, firsts, strict=True)
        )


ENDS = ("", "_low", "_high")
"""Of a mean and its interval, after the name of a column."""


def compare_searches(
    protocol: Protocol, suite: Suite, kept: KeptAnswers, done: Callable[[], object] = lambda: None
) -> SearchComparison:
    """Run what is not kept yet of a protocol whose measure is `failures`.

    Args:
        protocol: What is compared.
        suite: Its questions (`protocol.make_suite`).
        kept: Where finished runs are kept.
        done: Called after every run.
    """
    planned = tuple(protocol.runs(suite))
    return SearchComparison(
        protocol, suite, planned, tuple(_found(protocol, suite, run, kept, done) for run in planned)
    )


def _found(
    protocol: Protocol, suite: Suite, run: PlannedRun, kept: KeptAnswers, done: Callable[[], object]
) -> SearchRun:
    entry, question = protocol.entries[run.entry], suite.questions[run.question]
    function, member = suite.functions.member(question.function_id)
    level, start = question.goal.level, np.array(question.start)
    facts = [entry.method, entry.method_version, entry.settings, entry.by_differences, run.budget, run.seed]
    asked_of = [question.function_id, function.fingerprints[member], list(question.start), level]
    key = answer_key("search", _VERSION, asked_of, facts, protocol.gradient_cost)
    numbers = kept.find([key]).get(key)
    if numbers is None:
        search = Search(entry.label, entry.method, entry.settings, entry.by_differences)
        cost = protocol.gradient_cost
        asked = ask(search, function, member, run.budget, run.seed, starts=start[None], gradient_cost=cost)
        own = summed(asked, start, level, cost)
        # No infinity in JSON: -1 is none.
        numbers = [number if np.isfinite(number) else -1.0 for number in map(float, asdict(own).values())]
        kept.add({key: numbers})
    done()
    queries, failures, unlike, *others = numbers
    first, degrees, euclidean = (np.inf if number < 0 else number for number in others)
    return SearchRun(queries, int(failures), int(unlike), first, degrees, euclidean)


def summed(asked: FailureSettings, start: FloatArray, level: float, gradient_cost: float = 1.0) -> SearchRun:
    """What a search that began at a point (n,) found.

    Args:
        asked: All that it asked.
        start: The point.
        level: Unit score below which a view fails.
        gradient_cost: Weight of a gradient query.
    """
    spent, fails = asked.spent(gradient_cost), asked.scores < level
    bill = float(spent[-1]) if len(spent) else 0.0
    if not fails.any():
        return SearchRun(bill, 0, 0, np.inf, np.inf, np.inf)
    theta = asked.theta[fails]
    away = angles_away(asked.space, theta, start)
    return SearchRun(
        bill,
        int(fails.sum()),
        len(distinct(asked.space, theta, count=len(theta))),
        float(spent[fails][0]),
        float(away.max(axis=1).min()),
        float(np.sqrt((away**2).sum(axis=1)).min()),
    )


def angles_away(space: SemanticSpace, theta: FloatArray, start: FloatArray) -> FloatArray:
    """Differences (N, k) of points (N, n) from a point (n,) along the k angles of a space; 0 without one."""
    away = np.abs(theta - start)
    periods = np.array([np.inf if own.period is None else own.period for own in space.parameters])
    away = np.minimum(away, np.maximum(periods - away, 0.0))
    own = [k for k, parameter in enumerate(space.parameters) if parameter.unit == "deg"]
    return away[:, own] if own else np.zeros((len(theta), 1))


def _median(values: list[float]) -> float:
    return float(np.median(values)) if values else np.nan


def _interval(ends: Any, times: float, digits: int) -> str:
    mean, low, high = (times * float(end) for end in ends)
    if not np.isfinite(low):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
