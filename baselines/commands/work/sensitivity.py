"""Sweeps the hyperparameters of the paper's methods, and tells what each setting finds."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, final

import numpy as np

from baselines.commands.sensitivity import SensitivityOptions
from baselines.commands.shared.options import workers_of
from baselines.commands.shared.questions import region_methods
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.experiments.compare import compare
from baselines.experiments.protocols import Protocol
from baselines.experiments.sensitivity import (
    NEEDED_ERROR,
    STEP,
    Setting,
    Sweep,
    make_sweep,
    paired_interval,
    samples_needed,
)
from baselines.experiments.suites import SUITES, Suite, make_suite, told_options
from baselines.experiments.tables import Comparison
from semrob_env.errors import NoGroundTruthError
from semrob_env.files import markdown_table
from semrob_env.plotting.sensitivity import Lines, Pairs, sensitivity_figure
from semrob_env.types import BoolArray, FloatArray

RULE_STEP = 0.001  # the paper's rule of thumb: what a side moves a step at score 1, as a share of the range
CHUNK = 256  # tasks of one batch: they are many, and short

SYMBOLS = ("eta", "lambda", "alpha", "beta")


def run(options: SensitivityOptions, console: Console) -> None:
    values = {symbol: list(getattr(options, symbol.replace("lambda", "lambda_"))) for symbol in SYMBOLS}
    sweeps = [make_sweep(method, options.form, values) for method in region_methods(options.methods).values()]
    suite = chosen_suite(options)
    protocol = Protocol(
        **suite.frozen(),
        goals=options.goals,
        entries=tuple(setting.entry for sweep in sweeps for setting in sweep.settings),
        budgets=tuple(sorted(options.budgets)),
        gradient_cost=options.gradient_cost,
        judge_points=2,  # for purities, which nobody reads: all else is exact
    )
    tasks = {run.task: run.budget for run in protocol.runs(suite)}
    console.say(
        f"suite {suite.name}: {len(suite.questions)} questions; {len(protocol.entries)} settings "
        f"of {', '.join(sweep.method for sweep in sweeps)} at {', '.join(map(str, protocol.budgets))} queries: "
        f"{len(tasks)} runs, at most {sum(tasks.values()):,.0f} queries"
    )
    if options.dry_run:
        return
    bundle = Bundle(options.out, console)
    with progress_bar(console, "runs") as progress:
        bar = progress.add_task("sweep", total=len(tasks))
        comparison = compare(
            protocol,
            suite,
            bundle.folder,
            workers=workers_of(options, alone=False),
            modules=options.imports,
            chunk=CHUNK,
            only_ends=True,
            on_rows=lambda rows, _: progress.advance(bar, len(rows)),
        )
    if not comparison.outcomes.is_exact.all():
        raise NoGroundTruthError("the best region of some functions is not known; choose recorded or synthetic ones")
    report(Results(comparison, sweeps), bundle, console, options.form)


def chosen_suite(options: SensitivityOptions) -> Suite:
    name = options.suite or ("recorded" if Path(options.maps).exists() else "synthetic")
    chosen = {word: texts for word, texts in told_options(options).items() if word in SUITES[name].defaults}
    return make_suite(name, chosen, options.goals, options.maps)


@final
@dataclass(frozen=True, eq=False)
class Results:
    """What a sweep came to, E settings, B budgets and Q questions."""

    comparison: Comparison
    sweeps: Sequence[Sweep]

    @property
    def suite(self) -> Suite:
        return self.comparison.suite

    @property
    def budgets(self) -> tuple[int, ...]:
        return self.comparison.protocol.budgets

    @cached_property
    def _row_of(self) -> dict[Setting, int]:
        return {setting: row for row, setting in enumerate(s for sweep in self.sweeps for s in sweep.settings)}

    @cached_property
    def asked(self) -> BoolArray:
        """Questions that have an answer (Q,)."""
        return np.asarray(self.comparison.outcomes.best[: len(self.suite.questions)] > 0)

    def of(self, setting: Setting, budget: int) -> tuple[FloatArray, BoolArray]:
        """Quality and feasibility of a setting's regions, one a question (Q,)."""
        out, count = self.comparison.outcomes, len(self.suite.questions)
        first = (self._row_of[setting] * len(self.budgets) + self.budgets.index(budget)) * count
        return out.quality[first : first + count], out.feasible[first : first + count]

    def quality(self, setting: Setting, budget: int) -> FloatArray:
        return self.of(setting, budget)[0][self.asked]

    def mean(self, setting: Setting, budget: int) -> float:
        return float(self.quality(setting, budget).mean())

    def feasible(self, setting: Setting, budget: int) -> float:
        """Share of feasible regions."""
        return float(self.of(setting, budget)[1][self.asked].mean())

    def text(self, setting: Setting, budget: int) -> str:
        return f"{self.mean(setting, budget):.3f} ({100 * self.feasible(setting, budget):.0f})"

    def lines(self) -> list[dict[str, Any]]:
        return [
            self._line(setting, budget, goal.text, np.array([q.goal == goal for q in self.suite.questions]))
            for setting in self._row_of
            for budget in self.budgets
            for goal in self.comparison.protocol.goals
        ]

    def _line(self, setting: Setting, budget: int, goal: str, is_of: BoolArray) -> dict[str, Any]:
        own = is_of & self.asked
        quality, meets = (column[own] for column in self.of(setting, budget))
        means = [float(quality.mean()), float(np.median(quality)), float(meets.mean())] if own.any() else [""] * 3
        return {
            "method": setting.entry.method,
            **{symbol: dict(setting.values).get(symbol, "") for symbol in SYMBOLS},
            "budget": budget,
            "goal": goal,
            "questions": int(own.sum()),
            **dict(zip(("mean_quality", "median_quality", "feasible"), means, strict=True)),
            "settings": setting.entry.settings,
        }


def report(results: Results, bundle: Bundle, console: Console, form: str) -> None:
    suite = results.suite
    asked = dict.fromkeys((question.function_id, question.start) for question in suite.questions)
    needed = [samples_needed(*suite.functions.member(name), start) for name, start in asked]
    samples = float(np.median(list(itertools.chain(*needed))))
    body = [f"# Sensitivity to hyperparameters: suite {suite.name}, {form} form", "\n".join(notes(results, samples))]
    body += ["## Best settings", markdown_table([line for sweep in results.sweeps for line in winners(results, sweep)])]
    for sweep in results.sweeps:
        for symbol in sweep.defaults:
            lines = []
            for own in sweep.along(symbol):
                texts = {f"share @{budget} (feasible %)": results.text(own, budget) for budget in results.budgets}
                lines.append({symbol: f"{own.value(symbol):g}{' *' * (own == sweep.at_defaults())}", **texts})
            body += [f"## {sweep.method}: {symbol}, the others at their defaults", markdown_table(lines)]
    bundle.text("sensitivity.md", "\n\n".join(body))
    bundle.rows("sensitivity.csv", results.lines())
    marks = {STEP: rule_of_step(results.sweeps[0].at_defaults(), suite), "alpha": 1 / samples}
    panels = [panels_of(results, sweep, marks) for sweep in results.sweeps]
    title = f"Feasible share of the optimum, mean over questions: suite {suite.name}, {form} form"
    bundle.figure("sensitivity.png", sensitivity_figure(panels, title=title))
    console.say("\n\n".join(body))
    bundle.close()


def notes(results: Results, samples: float) -> list[str]:
    failed = results.comparison.outcomes.errors
    told = [
        f"- {results.asked.sum()} questions with an answer; share: mean feasible volume / optimum, infeasible regions "
        "count 0",
        f"- rule of thumb for eta: {RULE_STEP:g} of the range a step at score 1; for alpha: one over the samples a "
        f"dimension needs, here a median of {samples:g} (lines through the start points, joined linearly, error at "
        f"most {NEEDED_ERROR:g}): {1 / samples:.2g}",
    ]
    return [*told, f"- {len(failed)} runs failed and count 0; the first: {failed[0]}"] if failed else told


def winners(results: Results, sweep: Sweep) -> list[dict[str, str]]:
    """The defaults and the best setting at each budget, and the difference with its interval over shapes."""
    lines = []
    for budget in results.budgets:
        best, default = max(sweep.settings, key=partial(results.mean, budget=budget)), sweep.at_defaults()
        gain = results.quality(best, budget) - results.quality(default, budget)
        low, high = paired_interval(
            gain, list(itertools.compress(results.suite.groups, results.asked)), np.random.default_rng(0)
        )
        lines.append({
            "method": sweep.method,
            "queries": str(budget),
            "defaults (feasible %)": results.text(default, budget),
            "best (feasible %)": results.text(best, budget),
            "by": ", ".join(f"{symbol} {value:g}" for symbol, value in best.values),
            "gain (95 %)": f"{gain.mean():+.3f} ({low:+.3f} to {high:+.3f})",
        })
    return lines


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
