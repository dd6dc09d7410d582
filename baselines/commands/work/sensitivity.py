"""What `semrob sensitivity` does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from rich.console import Console

from baselines.commands.sensitivity import Options
from baselines.commands.shared.questions import limits_of, region_methods
from baselines.commands.shared.terminal import Bundle, progress_bar
from baselines.experiments.answers import Answers
from baselines.experiments.pool import Pool, available_cores
from baselines.experiments.quality import best_shares
from baselines.experiments.sensitivity import (
    NEEDED_ERROR,
    STEP,
    Setting,
    Sweep,
    judged,
    make_sweep,
    paired_interval,
    runs_of,
    samples_needed,
)
from baselines.experiments.suites import Suite, make_suite
from semrob_env.errors import NoGroundTruthError, OutputError
from semrob_env.files import markdown_table
from semrob_env.plotting.sensitivity import Lines, Pairs, sensitivity_figure
from semrob_env.store import FAILED, RunRow, RunStore, RunTask
from semrob_env.types import BoolArray, FloatArray

RULE_STEP = 0.001
"""The paper's rule of thumb: what a side moves a step at score 1, as a share of the range."""

CHUNK = 256
"""Tasks of one batch: they are many, and short."""

SYMBOLS = ("eta", "lambda", "alpha", "beta")
NAMED = {"lambda": "lambda_"}
"""Where a letter is called otherwise among the options."""


def run(options: Options, console: Console) -> None:
    """Run what is missing, judge, write the table and the picture."""
    budgets = sorted(options.budgets)
    values = {symbol: list(getattr(options, NAMED.get(symbol, symbol))) for symbol in SYMBOLS}
    sweeps = [make_sweep(method, options.form, values) for method in region_methods(options.methods).values()]
    suite = chosen_suite(options)
    tasks: dict[tuple[Setting, int, int], RunTask] = {}
    for sweep in sweeps:
        for setting in sweep.settings:
            for (budget, number), task in runs_of(setting, suite, budgets, options.gradient_cost).items():
                tasks[setting, budget, number] = task
    distinct = list(dict.fromkeys(tasks.values()))
    settings = sum(len(sweep.settings) for sweep in sweeps)
    console.print(
        f"suite {suite.name}: {len(suite.questions)} questions; {settings} settings "
        f"of {', '.join(sweep.method for sweep in sweeps)} at {', '.join(map(str, budgets))} queries: "
        f"{len(distinct)} runs, at most {sum(task.budget or 0.0 for task in distinct):,.0f} queries",
        soft_wrap=True,
    )
    if options.dry_run:
        return
    bundle = Bundle(options.out, console)
    folder = bundle.folder
    pool = Pool(str(folder / "runs.sqlite"), options.maps, options.workers or available_cores(), CHUNK)
    with progress_bar(console, "runs") as progress:
        bar = progress.add_task("sweep", total=len(distinct))
        keys = pool.run(distinct, suite.functions, lambda count: progress.advance(bar, count))
    found = RunStore(pool.store).find(keys.values())
    best, is_exact = best_shares(suite, Answers(folder / "answers.sqlite"))
    if not is_exact.all():
        raise NoGroundTruthError("the best region of some functions is not known; choose recorded or synthetic ones")
    rows = {run: found[keys[task]] for run, task in tasks.items()}
    report(Results(suite, sweeps, budgets, rows, best), bundle, console, options.form)


def chosen_suite(options: Options) -> Suite:
    """The suite of the command line."""
    name = options.suite or ("recorded" if Path(options.maps).exists() else "synthetic")
    chosen = {"parameters": tuple(map(str, options.parameters))}
    if name == "recorded":
        parts = {"networks": options.networks, "classes": options.classes, "shapes": tuple(map(str, options.shapes))}
        chosen = {word: texts for word, texts in parts.items() if texts}
    return make_suite(name, chosen, limits_of(options.goals), options.maps)


@final
@dataclass(frozen=True, eq=False)
class Results:
    """What a sweep came to."""

    suite: Suite
    sweeps: Sequence[Sweep]
    budgets: Sequence[int]
    rows: Mapping[tuple[Setting, int, int], RunRow]
    best: FloatArray

    @cached_property
    def _judged(self) -> dict[tuple[Setting, int], tuple[FloatArray, BoolArray]]:
        """Quality (Q,) and feasibility (Q,) of every setting and budget; a failed run found nothing."""
        found = {}
        for setting in (setting for sweep in self.sweeps for setting in sweep.settings):
            for budget in self.budgets:
                own = [self.rows[setting, budget, number] for number in range(len(self.suite.questions))]
                quality, feasible = np.zeros(len(own)), np.zeros(len(own), dtype=np.bool_)
                ran = np.array([number for number, row in enumerate(own) if row.status != FAILED], dtype=np.int64)
                for chosen in (np.array(group) for group in self._by_size(ran)):
                    bounds = np.array([(own[number].lower, own[number].upper) for number in chosen.tolist()])
                    share, meets = judged(self.suite, chosen, bounds[:, 0], bounds[:, 1])
                    quality[chosen] = np.where(meets, share, 0.0) / np.maximum(self.best[chosen], 1e-300)
                    feasible[chosen] = meets
                found[setting, budget] = quality, feasible
        return found

    def _by_size(self, numbers: np.ndarray[Any, np.dtype[np.int64]]) -> list[list[int]]:
        """Question numbers by number of parameters."""
        groups: dict[int, list[int]] = {}
        for number in numbers.tolist():
            groups.setdefault(len(self.suite.questions[number].start), []).append(number)
        return list(groups.values())

    @cached_property
    def _asked(self) -> BoolArray:
        return np.asarray(self.best > 0)

    def quality(self, setting: Setting, budget: int) -> FloatArray:
        """Qualities of the questions that have an answer."""
        return self._judged[setting, budget][0][self._asked]

    def mean(self, setting: Setting, budget: int) -> float:
        """Their mean."""
        return float(self.quality(setting, budget).mean())

    def feasible(self, setting: Setting, budget: int) -> float:
        """Share of feasible regions."""
        return float(self._judged[setting, budget][1][self._asked].mean())

    def text(self, setting: Setting, budget: int) -> str:
        """Both as text."""
        return f"{self.mean(setting, budget):.3f} ({100 * self.feasible(setting, budget):.0f})"

    def groups(self) -> list[str]:
        """Group of every question that has an answer."""
        return [q.group for q, is_asked in zip(self.suite.questions, self._asked.tolist(), strict=True) if is_asked]

    def winner(self, sweep: Sweep, budget: int) -> Setting:
        """The setting with the largest mean quality."""
        return max(sweep.settings, key=lambda setting: self.mean(setting, budget))

    def lines(self) -> list[dict[str, Any]]:
        """The lines of `sensitivity.csv`."""
        lines = []
        for sweep in self.sweeps:
            for setting in sweep.settings:
                full = setting.entry.settings
                for budget in self.budgets:
                    quality, meets = self._judged[setting, budget]
                    for epsilon_m in dict.fromkeys(question.epsilon_m for question in self.suite.questions):
                        own = np.array([q.epsilon_m == epsilon_m for q in self.suite.questions]) & self._asked
                        lines.append({
                            "method": sweep.method,
                            **{symbol: dict(setting.values).get(symbol, "") for symbol in SYMBOLS},
                            "budget": budget,
                            "epsilon_m": epsilon_m,
                            "questions": int(own.sum()),
                            "mean_quality": float(quality[own].mean()) if own.any() else "",
                            "median_quality": float(np.median(quality[own])) if own.any() else "",
                            "feasible": float(meets[own].mean()) if own.any() else "",
                            "settings": full,
                        })
        return lines


def report(results: Results, bundle: Bundle, console: Console, form: str) -> None:
    """Write and print tables and picture."""
    suite = results.suite
    needed = [
        count
        for place in dict.fromkeys((question.function_id, question.start) for question in suite.questions)
        for count in samples_needed(*suite.functions.member(place[0]), place[1])
    ]
    samples = float(np.median(needed))
    failed = [row.error for row in results.rows.values() if row.status == FAILED]
    body = [
        f"# Sensitivity to hyper-parameters: suite {suite.name}, {form} form",
        "\n".join(notes(results, samples, failed)),
    ]
    body += ["## Best settings", markdown_table([line for sweep in results.sweeps for line in winners(results, sweep)])]
    for sweep in results.sweeps:
        for symbol in sweep.defaults:
            body += [
                f"## {sweep.method}: {symbol}, the others at their defaults",
                markdown_table(along(results, sweep, symbol)),
            ]
    bundle.text("sensitivity.md", "\n\n".join(body))
    bundle.rows("sensitivity.csv", results.lines())
    marks = {STEP: rule_of_step(results.sweeps[0].at_defaults(), suite), "alpha": 1 / samples}
    panels = [panels_of(results, sweep, marks) for sweep in results.sweeps]
    title = f"Feasible share of the optimum, mean over questions: suite {suite.name}, {form} form"
    bundle.figure("sensitivity.png", sensitivity_figure(panels, title=title))
    console.print("\n\n".join(body), soft_wrap=True)
    bundle.close()
    if len(failed) == len(results.rows):
        raise OutputError(f"all runs failed; the first one: {failed[0]}")


def notes(results: Results, samples: float, failed: Sequence[str]) -> list[str]:
    """What a reader must know."""
    count = len(results.groups())
    told = [
        f"- {count} questions with an answer; share: mean feasible volume / optimum, infeasible regions count 0",
        f"- rule of thumb for eta: {RULE_STEP:g} of the range a step at score 1; for alpha: one over the samples a "
        f"dimension needs, here a median of {samples:g} (lines through the start points, joined linearly, error at "
        f"most {NEEDED_ERROR:g}): {1 / samples:.2g}",
    ]
    return [*told, f"- {len(failed)} runs failed and count 0; the first: {failed[0]}"] if failed else told


def winners(results: Results, sweep: Sweep) -> list[dict[str, str]]:
    """The defaults and the best setting at each budget, and the difference with its interval over shapes."""
    lines = []
    for budget in results.budgets:
        best, default = results.winner(sweep, budget), sweep.at_defaults()
        gain = results.quality(best, budget) - results.quality(default, budget)
        low, high = paired_interval(gain, results.groups(), np.random.default_rng(0))
        lines.append({
            "method": sweep.method,
            "queries": str(budget),
            "defaults (feasible %)": results.text(default, budget),
            "best (feasible %)": results.text(best, budget),
            "by": ", ".join(f"{symbol} {value:g}" for symbol, value in best.values),
            "gain (95 %)": f"{gain.mean():+.3f} ({low:+.3f} to {high:+.3f})",
        })
    return lines


def along(results: Results, sweep: Sweep, symbol: str) -> list[dict[str, str]]:
    """Results against one letter."""
    return [
        {
            symbol: f"{setting.value(symbol):g}" + (" *" if setting == sweep.at_defaults() else ""),
            **{f"share @{budget} (feasible %)": results.text(setting, budget) for budget in results.budgets},
        }
        for setting in sweep.along(symbol)
    ]


def panels_of(results: Results, sweep: Sweep, rules: Mapping[str, float]) -> list[Lines | Pairs]:
    """A panel a letter, then one for each pair at the middle budget."""
    panels: list[Lines | Pairs] = []
    for symbol, default in sweep.defaults.items():
        own = sweep.along(symbol)
        panels.append(
            Lines(
                title=f"{sweep.method}: {symbol}",
                x_label=symbol,
                x=np.array([setting.value(symbol) for setting in own]),
                quality={budget: np.array([results.mean(s, budget) for s in own]) for budget in results.budgets},
                feasible={budget: np.array([results.feasible(s, budget) for s in own]) for budget in results.budgets},
                marks={"default": default, **({"rule of thumb": rules[symbol]} if symbol in rules else {})},
            )
        )
    budget = results.budgets[len(results.budgets) // 2]
    for symbol in [name for name in sweep.defaults if name != STEP]:
        mean = {(s.value(STEP), s.value(symbol)): results.mean(s, budget) for s in sweep.settings}
        x, y = (np.array(sorted({s.value(name) for s in sweep.settings})) for name in (STEP, symbol))
        table = np.array([[mean.get((one, other), np.nan) for one in x.tolist()] for other in y.tolist()])
        defaults = sweep.defaults[STEP], sweep.defaults[symbol]
        panels.append(Pairs(f"{sweep.method}, {budget} queries, in %", STEP, symbol, x, y, table, defaults))
    return panels


def rule_of_step(setting: Setting, suite: Suite) -> float:
    """The eta by which a side moves `RULE_STEP` of the range a step at score 1: that of the geometric mean range."""
    full = json.loads(setting.entry.settings)
    if full["form"] == "normalized":
        return float(RULE_STEP / np.mean(full["scale_share"]))
    function, _ = suite.functions.member(suite.questions[0].function_id)
    return float(RULE_STEP * np.exp(np.log(function.space.width).mean()))
