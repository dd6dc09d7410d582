"""From outcomes to lines, tables and curves. The columns are described in `baselines.experiments`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import numpy.typing as npt

from baselines.experiments.protocols import Entry, Protocol
from baselines.experiments.quality import Outcomes
from baselines.experiments.statistics import cluster_median, mean_ranks, running_times
from baselines.experiments.suites import SUITES, Suite
from optimizers.registry import get_optimizer
from semrob_env.metrics import ClusterMeans, cluster_means
from semrob_env.questions import Goal
from semrob_env.types import BoolArray, FloatArray, IntArray

PROFILE_TARGET = 0.8
"""Share of the optimum at which data profiles call a question solved."""

ALL = "all"
"""In the place of a number of parameters."""

OPEN, TRIVIAL = "open", "trivial"
"""Parts of the questions: those whose answer has to be found, and those that the whole space answers."""

FLOOR = (
    "fixed_box:side=0",
    "fixed_box:side=0.3",
    "fixed_box:side=0.7:turn=1",
    "fixed_box:side=1",
)
"""Dummies that stand in every comparison: what beats none of them has found nothing."""


@final
@dataclass(frozen=True, eq=False)
class Comparison:
    """A protocol, its suite and what came out."""

    protocol: Protocol  # what was compared
    suite: Suite  # on what
    outcomes: Outcomes  # what came out

    def run_lines(self) -> list[dict[str, Any]]:
        """The lines of `runs.csv`."""
        out, digest, lines = self.outcomes, self.protocol.digest(), []
        for row in range(len(out.entry)):
            question = self.suite.questions[out.question[row]]
            lines.append({
                "protocol": digest,
                "goal": question.goal.text,
                "label": self.protocol.entries[out.entry[row]].label,
                "budget": int(out.budget[row]),
                "seed": int(out.seed[row]),
                "function_id": question.function_id,
                "start": " ".join(map(repr, question.start)),
                "group": self.suite.groups[out.question[row]],
                "status": out.status[row],
                "queries": float(out.queries[row]),
                "sharers": int(out.sharers[row]),
                "feasible": int(out.feasible[row]),
                "certified": int(out.certified[row]),
                "share": float(out.share[row]),
                "goal_mean": _cell(out.goal_mean[row]),
                "purity": _cell(out.purity[row]),
                "best": float(out.best[row]),
                "best_is_exact": int(out.is_exact[row]),
                "trivial": int(out.is_whole[row]),
                "quality": _cell(out.quality[row]),
                **{
                    f"reached_{percent(target)}": _cell(out.reached[row, place])
                    for place, target in enumerate(self.protocol.targets)
                },
                **{
                    f"held_{percent(target)}": _cell(out.held[row, place])
                    for place, target in enumerate(self.protocol.targets)
                },
            })
        return lines

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of `comparison.csv`: goals, then parts, numbers of parameters, entries, budgets."""
        digest, lines = self.protocol.digest(), []
        several = [None, *self.sizes] if len(self.sizes) > 1 else [None]
        parts = [*((OPEN, n) for n in several), (TRIVIAL, None)]
        for goal, (part, n) in itertools.product(self.protocol.goals, parts):
            if not self.rows(goal, 0, self.protocol.budgets[0], n, part).any():
                continue
            by_budget = {budget: self._ranks(goal, budget, part, n) for budget in self.protocol.budgets}
            for index, entry in enumerate(self.protocol.entries):
                for budget in self.protocol.budgets:
                    found, rows = by_budget[budget], self.rows(goal, index, budget, n, part)
                    lines.append({
                        "protocol": digest,
                        "goal": goal.text,
                        "label": entry.label,
                        "part": part,
                        "n": ALL if n is None else n,
                        "budget": budget,
                        **self._summary(rows),
                        "rank": _cell(found.mean[index]),
                        "rank_low": _cell(found.low[index]),
                        "rank_high": _cell(found.high[index]),
                        **self._times(rows),
                    })
        return lines

    def shown(self, goal: Goal, part: str = OPEN) -> list[dict[str, str]]:
        """The table of one goal as text: a line a method.

        Running times are those of the largest budget; of a method that plans by its budget, of the plan with the
        smallest one, which is told after `@`.
        """
        shown = []
        for entry in self.protocol.entries:
            own = self._by_budget(goal, entry, ALL, part)
            last = own[self.protocol.budgets[-1]]
            row = {"method": entry.label}
            for budget, line in own.items():
                row[f"share @{budget}"] = _text(line["median_quality"], 2) + _interval(line, "median_quality", 2)
            for budget, line in own.items():
                row[f"feasible % @{budget}"] = _text(line["feasible"], 0, 100)
            row[f"certified % @{last['budget']}"] = _text(last["certified"], 0, 100)
            for target in self.protocol.targets:
                name = percent(target)
                text, plan = _running_time(entry, own, f"ert_{name}")
                row[f"ERT {name} %"] = text + _interval(plan, f"ert_{name}", 0)
                row[f"final {name} %"] = _text(plan[f"final_{name}"], 0, 100)
                row[f"first hit {name} %"] = _time(plan[f"first_{name}"])
            row[f"rank @{last['budget']}"] = _text(last["rank"], 2) + _interval(last, "rank", 2)
            shown.append(row)
        return shown

    @property
    def brief_target(self) -> float:
        """The target nearest to `PROFILE_TARGET`."""
        return min(self.protocol.targets, key=lambda target: abs(target - PROFILE_TARGET))

    def brief(self) -> list[dict[str, str]]:
        """One table of all goals and numbers of parameters by `brief_target`, a line a method that is no dummy.

        Cells: ERT with its interval, share of runs that end there, share of feasible final regions, and in brackets the
        amortized ERT of a method that shares its samples. The dummy that is best in each column is the last line.
        """
        name, last = percent(self.brief_target), "best dummy"
        lines: dict[str, dict[str, str]] = {}
        several = len(self.sizes) > 1
        sizes: list[int | str] = [*self.sizes] if several else [ALL]
        for goal, n in itertools.product(self.protocol.goals, sizes):
            asked = self.rows(goal, 0, self.protocol.budgets[0], n if isinstance(n, int) else None)
            if not asked.any():
                continue
            worst = None
            column = f"{goal.text}{f', n={n}' * several} ({len(np.unique(self.outcomes.question[asked]))} questions)"
            for entry in self.protocol.entries:
                own = self._by_budget(goal, entry, n)
                text, plan = _running_time(entry, own, f"ert_{name}")
                final, feasible = (_text(plan[key], 0, 100) for key in (f"final_{name}", "feasible"))
                cell = f"{text}{_interval(plan, f'ert_{name}', 0)}, {final} %, {feasible} %"
                label = entry.label
                if label in FLOOR:
                    worth = _or_infinite(plan[f"ert_{name}"]), -float(plan[f"final_{name}"]), -float(plan["feasible"])
                    if worst is not None and worth >= worst:
                        continue
                    worst, label = worth, last
                elif entry.shares_samples:
                    cell += f" ({_running_time(entry, own, f'amortized_ert_{name}')[0]})"
                lines.setdefault(label, {"method": label})[column] = cell
        return [*(line for label, line in lines.items() if label != last), *filter(None, [lines.get(last)])]

    def open(self, goal: Goal) -> int:
        """How many questions of a goal have an answer that is not the whole space."""
        out = self.outcomes
        is_open = (out.best > 0) & ~out.is_whole & (self._goals == self.protocol.goals.index(goal))
        return len(np.unique(out.question[is_open]))

    def trivial(self, goal: Goal) -> int:
        """How many questions of a goal the whole space answers."""
        out = self.outcomes
        return len(np.unique(out.question[out.is_whole & (self._goals == self.protocol.goals.index(goal))]))

    def shown_amortized(self, goal: Goal) -> list[dict[str, str]]:
        """Running times where one set of samples serves all start points of a function, a line a method.

        Empty if no method here shares samples, or no function has several start points.
        """
        entries = self.protocol.entries
        is_shared = (self.outcomes.sharers > 1) & (self._goals == self.protocol.goals.index(goal))
        if not self.open(goal) or not is_shared.any():
            return []
        lines = []
        for index, entry in enumerate(entries):
            own = self._by_budget(goal, entry, ALL)
            sharers = self.outcomes.sharers[self.rows(goal, index, self.protocol.budgets[-1])]
            line = {
                "method": entry.label,
                "start points a set of samples": f"{sharers.mean():.2f}" if len(sharers) else "-",
            }
            for budget, row in own.items():
                line[f"queries a start point @{budget}"] = _text(row["amortized_queries"], 1)
            for target in self.protocol.targets:
                name = percent(target)
                line[f"amortized ERT {name} %"] = _running_time(entry, own, f"amortized_ert_{name}")[0]
                line[f"(per start point {name} %)"] = _running_time(entry, own, f"ert_{name}")[0]
            lines.append(line)
        return lines

    def shown_by_size(self, goal: Goal) -> list[dict[str, str]]:
        """Running times to `brief_target` by number of parameters, a line a method.

        Empty if all functions have as many.
        """
        if len(self.sizes) < 2:
            return []
        name = percent(self.brief_target)
        return [
            {
                "method": entry.label,
                **{
                    f"ERT {name} %, n={n}": _running_time(entry, self._by_budget(goal, entry, n), f"ert_{name}")[0]
                    for n in self.sizes
                },
            }
            for entry in self.protocol.entries
        ]

    def shown_regions(self, goal: Goal) -> list[dict[str, str]]:
        """Final regions as they are, whether or not they hold theta0: a line a number of parameters, method and budget.

        Empty if every method here keeps its start point (`keeps_start`), for then the other tables say it all.
        """
        if all(get_optimizer(entry.method).keeps_start for entry in self.protocol.entries):
            return []
        fails, lines = SUITES[self.suite.name].is_adversarial, []
        places = itertools.product(self.sizes, enumerate(self.protocol.entries), self.protocol.budgets)
        for n, (index, entry), budget in places:
            rows = self.rows(goal, index, budget, n)
            found = self._means(np.stack([self.outcomes.purity[rows], self.outcomes.share[rows]]), rows)
            means = zip(found.mean.tolist(), found.low.tolist(), found.high.tolist(), strict=True)
            good, share = (_interval_text(*(100 * end for end in ends)) for ends in means)
            lines.append({
                "n": str(n),
                "method": entry.label,
                "budget": str(budget),
                f"{'fails in' if fails else 'score >= 0.5 in'} % of its views": good,
                "% of the space": share,
                "meets the goal and holds theta0, %": _text(_over(np.mean, self.outcomes.feasible[rows]), 0, 100),
                "median bill": _text(_over(np.median, self.outcomes.queries[rows]), 0),
            })
        return lines

    def _means(self, values: FloatArray, rows: BoolArray) -> ClusterMeans:
        """Means of quantities (M, R) of some runs, with intervals over groups."""
        groups = np.array([self.suite.groups[question] for question in self.outcomes.question[rows]], dtype=np.str_)
        rng = np.random.default_rng(self.protocol.bootstrap_seed)
        return cluster_means(values, groups, rng, resamples=self.protocol.resamples, level=self.protocol.level)

    @cached_property
    def sizes(self) -> list[int]:
        """Numbers of parameters, rising."""
        return sorted({len(question.start) for question in self.suite.questions})

    def notes(self) -> list[str]:
        """What a reader must know about this comparison."""
        out = self.outcomes
        asked = {int(question): float(best) for question, best in zip(out.question, out.best, strict=True)}
        none, whole = sum(best <= 0 for best in asked.values()), len(np.unique(out.question[out.is_whole]))
        notes = [
            f"{len(asked)} questions: {len(asked) - none - whole} open, {whole} that the whole space answers (apart, "
            f"for whoever says 'all of it' is right), {none} without an answer, the start point itself among what is "
            "infeasible (left out of every figure)",
            "share: median over questions of feasible volume / optimum, infeasible regions count 0, the mean over "
            "seeds; by the run planned for that budget",
            "ERT (COCO), a question at a time: all queries of its runs / runs that held the target, from that "
            "checkpoint to their end, feasible throughout; infinite where no run did, and a method that draws nothing "
            "has one run; the table has the median over questions. first hit: the same until the target was reached "
            "for the first time, kept or not. final: share of runs whose last region reaches it. Times are resolved to "
            "ten checkpoints a decade and the end of a run",
            f"in brackets: {100 * self.protocol.level:g} % intervals, questions about one shape resampled together",
            "fixed_box: dummies that ask once and answer with a box of fixed size, the floor of every comparison",
        ]
        if any(entry.plans for entry in self.protocol.entries):
            notes.append(
                "ERT x @B: of a method that plans by its budget, its best plan, one for B queries; of others, by the "
                "largest budget"
            )
        if (out.sharers > 1).any():
            notes.append(
                "amortized: the samples of a method that asks the same whatever the start point serve all start "
                "points of a function, which share the bill. The figures per start point decide"
            )
        if not out.is_exact.all():
            notes.append(
                "the optimum of some questions is not known: the largest feasible region that any run here recommended "
                f"takes its place, judged by {self.protocol.judge_points} points, so shares compare these methods only"
            )
        if self.protocol.judge_map_step:
            notes.append(
                f"regions are judged, and the optimum is found, on maps of the functions with lines every "
                f"{self.protocol.judge_map_step:g} degrees, the same for all methods; certificates ask the functions"
            )
        if out.errors:
            notes.append(
                f"{len(out.errors)} runs failed; they count as finding nothing at full cost. First: {out.errors[0]}"
            )
        return [*notes, f"protocol {self.protocol.digest()}"]

    def _by_budget(self, goal: Goal, entry: Entry, n: int | str, part: str = OPEN) -> dict[int, dict[str, Any]]:
        """The lines of an entry by budget."""
        wanted, names = (goal.text, entry.label, n, part), ("goal", "label", "n", "part")
        return {line["budget"]: line for line in self.lines if tuple(line[name] for name in names) == wanted}

    def rows(self, goal: Goal, entry: int, budget: int, n: int | None = None, part: str = OPEN) -> BoolArray:
        """Runs (R,) of a plan on a part of the questions of a goal; of n parameters, or all."""
        out = self.outcomes
        rows = (
            (self._goals == self.protocol.goals.index(goal))
            & (out.entry == entry)
            & (out.budget == budget)
            & (out.best > 0)
            & (out.is_whole == (part == TRIVIAL))
        )
        return np.asarray(rows if n is None else rows & (self.run_sizes == n))

    @cached_property
    def run_sizes(self) -> IntArray:
        """Number of parameters of each run (R,)."""
        return np.array([len(question.start) for question in self.suite.questions])[self.outcomes.question]

    @cached_property
    def _goals(self) -> IntArray:
        """Number of the goal of each run (R,)."""
        numbers = {goal: number for number, goal in enumerate(self.protocol.goals)}
        return np.array([numbers[question.goal] for question in self.suite.questions])[self.outcomes.question]

    def _summary(self, rows: BoolArray) -> dict[str, Any]:
        out = self.outcomes
        queries, quality, purity = out.queries[rows], out.quality[rows], out.purity[rows]
        return {
            "runs": int(rows.sum()),
            **self._median("median_quality", rows, self._over_seeds(rows), sign=-1.0),
            "feasible": _over(np.mean, out.feasible[rows]),
            "certified": _over(np.mean, out.certified[rows]),
            "purity": _over(np.nanmean, purity if np.isfinite(purity).any() else purity[:0]),
            "regret": _over(lambda own: 1 - own.mean(), quality),
            "queries": _over(np.median, queries),
            "amortized_queries": _over(np.mean, queries / out.sharers[rows]),
        }

    def _times(self, rows: BoolArray) -> dict[str, Any]:
        out, cells, asked = self.outcomes, dict[str, Any](), self.outcomes.question[rows]
        bills, sharers = out.queries[rows], out.sharers[rows]
        for place, target in enumerate(self.protocol.targets):
            name, held = percent(target), out.held[rows, place]
            amortized = running_times(held / sharers, bills / sharers, asked)
            first = running_times(out.reached[rows, place], bills, asked)
            cells |= self._median(f"ert_{name}", rows, running_times(held, bills, asked))
            cells |= self._median(f"amortized_ert_{name}", rows, amortized)
            cells[f"first_{name}"] = _cell(median(first))
            cells[f"final_{name}"] = _over(np.mean, np.isfinite(held))
        return cells

    def _over_seeds(self, rows: BoolArray) -> FloatArray:
        """Mean quality (Q,) over the runs of each question, questions rising."""
        _, owner = np.unique(self.outcomes.question[rows], return_inverse=True)
        return np.asarray(np.bincount(owner, weights=self.outcomes.quality[rows]) / np.bincount(owner))

    def _median(self, name: str, rows: BoolArray, values: FloatArray, sign: float = 1.0) -> dict[str, Any]:
        """Cells of the median of values (Q,) of the questions of rows, and of its interval.

        Of two in the middle the worse one: the higher time; the lower quality, with the sign -1.
        """
        questions = np.unique(self.outcomes.question[rows])
        rng, protocol = np.random.default_rng(self.protocol.bootstrap_seed), self.protocol
        groups = np.array([self.suite.groups[question] for question in questions], dtype=np.str_)
        found = cluster_median(sign * values, groups, rng, resamples=protocol.resamples, level=protocol.level)
        names = ("", "_low", "_high") if sign > 0 else ("", "_high", "_low")
        return {f"{name}{end}": _cell(sign * value) for end, value in zip(names, found, strict=True)}

    def _ranks(self, goal: Goal, budget: int, part: str, n: int | None) -> ClusterMeans:
        """Ranks of the entries by their mean quality over seeds."""
        each = [self.rows(goal, index, budget, n, part) for index in range(len(self.protocol.entries))]
        scores, questions = [self._over_seeds(rows) for rows in each], np.unique(self.outcomes.question[each[0]])
        if not len(questions):
            return ClusterMeans(*np.full((3, len(scores)), np.nan))
        groups = np.array([self.suite.groups[question] for question in questions], dtype=np.str_)
        rng = np.random.default_rng(self.protocol.bootstrap_seed)
        return mean_ranks(np.array(scores), groups, rng, resamples=self.protocol.resamples, level=self.protocol.level)


def _running_time(entry: Entry, own: Mapping[int, dict[str, Any]], name: str) -> tuple[str, dict[str, Any]]:
    """A running time as text, and the line it is from, out of the lines by budget."""
    if not own:
        return "-", {}
    line = own[max(own)]
    if entry.plans:
        line = min(own.values(), key=lambda line: _or_infinite(line[name]))
    text = _time(line[name])
    return text + (f" @{line['budget']}" if entry.plans and text not in {"inf", "-"} else ""), line


def median(values: FloatArray) -> float:
    """Of numbers (N,), the least that more than half of them do not exceed; NaN without any."""
    return float(np.sort(values)[len(values) // 2]) if len(values) else math.nan


def _time(cell: float | str) -> str:
    """A running time as text; without a question, a dash."""
    return "-" if cell == "" else "inf" if math.isinf(_or_infinite(cell)) else f"{float(cell):.0f}"


def _interval(line: Mapping[str, Any], name: str, digits: int) -> str:
    """The interval of a figure in brackets; nothing without one."""
    low, high = line[f"{name}_low"], line[f"{name}_high"]
    if "" in {low, high} or line[name] == low == high == "inf":
        return ""
    return f" ({_text(low, digits)} to {_text(high, digits)})"


def _cell(value: float) -> float | str:
    """A finite number, infinity as the word, or nothing."""
    number = float(value)
    if math.isnan(number):
        return ""
    return "inf" if math.isinf(number) else number


def _over(statistic: Callable[[Any], Any], values: npt.NDArray[Any]) -> float | str:
    """A statistic of numbers (N,) as a cell; nothing without any."""
    return _cell(statistic(values)) if len(values) else ""


def _or_infinite(cell: float | str) -> float:
    return math.inf if cell == "" else float(cell)


def _interval_text(mean: float, low: float, high: float) -> str:
    """A number of three digits with the ends of its interval, where it has one."""
    return f"{mean:.3g}" + ("" if math.isnan(low) else f" ({low:.3g} to {high:.3g})")


def percent(share: float) -> str:
    """A share in percent, without needless digits."""
    return f"{100 * share:g}"


def _text(cell: float | str, digits: int, scale: float = 1.0) -> str:
    return "-" if cell == "" else f"{scale * float(cell):.{digits}f}"
