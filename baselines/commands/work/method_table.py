"""Counts what each method asks a step, and lists its hyperparameters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from baselines.commands.method_table import PAPER_N, MethodTableOptions
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.experiments.costs import Count, count_queries, growth, hyperparameters, summary
from baselines.experiments.methods import read_method
from optimizers.base import Optimizer, Settings
from optimizers.corner_method import CornerSettings
from optimizers.registry import OPTIMIZERS
from semrob_env.errors import OutputError
from semrob_env.files import markdown_table
from semrob_env.plotting.comparison import CostCurve, cost_figure

COUNTED_STEPS = 10  # their mean is told as one: the first steps of some methods differ from later ones
FIXED = {"grid": "grid:lines=4"}  # a method that fits itself into a budget: the paper's N^n, with a fixed N


def run(options: MethodTableOptions, console: Console) -> None:
    sizes = sorted(options.parameters)
    methods = [MethodLine.of(text) for text in options.methods or [FIXED.get(name, name) for name in OPTIMIZERS]]
    bundle = Bundle(options.out, console)
    with progress_bar(console, "methods") as progress:
        lines, counted, totals = [], {}, {}
        for row in progress.track(methods, description="count"):
            counted[row.label] = [count_queries(row.method, row.settings, n, steps=COUNTED_STEPS) for n in sizes]
            totals[row.label] = row.totals(options.steps)
            lines += [row.line(count, counted[row.label]) for count in counted[row.label]]
    if all(count.refusal for counts in counted.values() for count in counts):
        raise OutputError(f"no method ran; the first reason: {next(iter(counted.values()))[0].refusal}")
    body = [
        "# Methods by counted queries",
        markdown_table([{**row.kind(), **totals[row.label]} for row in methods]),
        "## Queries a step (forward + backward), by number of parameters n",
        markdown_table([row.counts(counted[row.label]) for row in methods]),
        "## Hyperparameters",
        markdown_table([line for row in methods for line in row.hyperparameters(sizes)]),
        "## What each method does",
        "\n".join(f"- {row.label}: {summary(row.method)}" for row in methods),
    ]
    if reasons := [f"- {label}, n = {c.n}: {c.refusal}" for label, own in counted.items() for c in own if c.refusal]:
        body += ["## Where a method does not run", "\n".join(reasons)]
    bundle.text("methods.md", "\n\n".join(body))
    bundle.rows("methods.csv", lines)
    bundle.rows("hyperparameters.csv", [line for row in methods for line in row.hyperparameters(sizes)])
    image = cost_figure(
        {label: drawn for label, counts in counted.items() if len((drawn := curve(counts)).n)},
        title="Queries a step by the oracle's count, and the growth fitted to them",
    )
    bundle.figure("methods.png", image)
    console.say("\n\n".join(body[:4]))
    bundle.close()


@final
@dataclass(frozen=True)
class MethodLine:
    label: str
    method: type[Optimizer[Any]]
    settings: Settings

    @classmethod
    def of(cls, text: str) -> MethodLine:
        """The row of a text like `naive` or `grid:lines=3`; without changes, in the paper's form where there is one."""
        method, settings = read_method(text)
        if ":" not in text and issubclass(method.settings_class, CornerSettings):
            return cls(text, method, method.settings_class.paper())
        return cls(text, method, method.settings_class.from_mapping(json.loads(settings)))

    def kind(self) -> dict[str, str]:
        return {
            "method": self.label,
            "paradigm": self.method.paradigm,
            "black box": "no" if self.method.uses_gradient else "yes",
            "finds": self.method.finds,
            "answers with": self.method.recommends,
            "draws": "yes" if self.method.is_stochastic or self.settings.draws else "no",
            "one set of samples for all start points": "yes" if self.method.shares_samples else "no",
        }

    def totals(self, steps: int) -> dict[str, str]:
        """Queries of whole runs at n = `PAPER_N`: with the settings of the table, and with the defaults."""
        columns = {}
        for name, settings in (("as in the table", self.settings), ("at the defaults", self.method.settings_class())):
            count = count_queries(self.method, settings, PAPER_N, steps=steps)
            ended = "" if count.steps == steps else f" (ended after {count.steps})"
            text = "-" if count.refusal else f"{count.forward}+{count.gradient}{ended}"
            columns[f"{steps} steps, n={PAPER_N}, {name}"] = text
        return columns

    def counts(self, counts: Sequence[Count]) -> dict[str, str]:
        told = {c.n: f"{plain(c.forward_a_step)}+{plain(c.gradient_a_step)}" for c in counts if not c.refusal}
        return {"method": self.label, **{f"n={c.n}": told.get(c.n, "-") for c in counts}, **fitted(counts)}

    def line(self, count: Count, counts: Sequence[Count]) -> dict[str, Any]:
        return {
            **self.kind(),
            "n": count.n,
            "forward": "" if count.refusal else count.forward_a_step,
            "backward": "" if count.refusal else count.gradient_a_step,
            **fitted(counts),
            "refusal": count.refusal,
        }

    def hyperparameters(self, sizes: Sequence[int]) -> list[dict[str, str]]:
        return [{"method": self.label, **line} for line in hyperparameters(self.method, self.settings, sizes)]


def fitted(counts: Sequence[Count]) -> dict[str, str]:
    ran = [count for count in counts if not count.refusal]
    sizes = [count.n for count in ran]
    return {
        "forward grows": growth(sizes, [count.forward_a_step for count in ran]),
        "backward grows": growth(sizes, [count.gradient_a_step for count in ran]),
    }


def curve(counts: Sequence[Count]) -> CostCurve:
    ran = [count for count in counts if not count.refusal]
    grows = fitted(counts)
    return CostCurve(
        np.array([count.n for count in ran], dtype=np.float64),
        np.array([count.forward_a_step for count in ran]),
        np.array([count.gradient_a_step for count in ran]),
        grows["forward grows"] if grows["backward grows"] == "0" else " and ".join(grows.values()),
    )


def plain(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.1f}"
