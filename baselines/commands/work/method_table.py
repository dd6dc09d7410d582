"""The method table (paper's Table 2) by counting: what each method asks a step and in all, and its hyper-parameters.

Examples:
  python scripts/method_table.py
  python scripts/method_table.py --methods naive,oir_b,oir_w,grid:lines=3 --parameters 1-6
  python scripts/method_table.py --methods naive,mine --import my_module

Every number is the oracle's count after a run on a synthetic function of n parameters: means over ten steps for the
columns by n, and totals at n = 2. Methods with a paper's form are counted in it, for --steps steps in all (600 in the
paper's runs); the total at the defaults is that of the normalised form, to its end or for as many steps. Growth is
fitted to the counts a step. A dash: the method does not run at this n; the reason is in the file.

Written to --out: methods.md, methods.csv (a line for every method and n), hyper_parameters.csv, methods.png.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from semrob_env.cli import ArgumentParser, make_console, names, numbers, positive, progress_bar, run_script

import baselines  # noqa: F401  (fills the registry)
import optimizers  # noqa: F401  (fills the registry)
from baselines.benchmark.costs import Count, count_queries, growth, hyper_parameters, summary
from baselines.benchmark.plugins import import_modules
from baselines.benchmark.protocols import read_method
from optimizers.base import Optimizer, Settings
from optimizers.corner_method import CornerSettings
from optimizers.registry import OPTIMIZERS
from semrob_env.errors import InvalidParameterError, OutputError
from semrob_env.files import csv_text, markdown_table, output_folder, write_whole
from semrob_env.plotting import save_figure
from semrob_env.plotting.comparison import CostCurve, cost_figure

PAPER_N = 2
"""Parameters in the paper's tables."""

COUNTED_STEPS = 10
"""Steps whose mean is told as the queries of one: the first steps of some methods differ from later ones."""

FIXED = {"grid": "grid:lines=4"}
"""How a method that fits itself into a budget stands in the table: the paper's N^n, with a fixed N."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read arguments, count, write the tables and the picture."""
    options = parser().parse_args(arguments)
    console = make_console()
    import_modules(options.imports)
    sizes = sorted(numbers(options.parameters))
    if sizes[0] < 1:
        raise InvalidParameterError(f"--parameters {options.parameters}: give numbers of at least 1")
    positive(options.steps, "--steps")
    texts = names(options.methods) if options.methods else [FIXED.get(name, name) for name in OPTIMIZERS]
    methods = [Row.of(text) for text in texts]
    folder = output_folder(options.out)
    with progress_bar(console, "methods") as progress:
        bar = progress.add_task("count", total=len(methods))
        lines, counted, totals = [], {}, {}
        for row in methods:
            counted[row.label] = [count_queries(row.method, row.settings, n, steps=COUNTED_STEPS) for n in sizes]
            totals[row.label] = row.totals(options.steps)
            lines += [row.line(count, counted[row.label]) for count in counted[row.label]]
            progress.advance(bar)
    if all(count.refusal for counts in counted.values() for count in counts):
        raise OutputError(f"no method ran; the first reason: {next(iter(counted.values()))[0].refusal}")
    body = [
        "# Methods by counted queries",
        markdown_table([{**row.kind(), **totals[row.label]} for row in methods]),
        "## Queries a step (forward + backward), by number of parameters n",
        markdown_table([row.counts(counted[row.label]) for row in methods]),
        "## Hyper-parameters",
        markdown_table([line for row in methods for line in row.hyper_parameters(sizes)]),
        "## What each method does",
        "\n".join(f"- {row.label}: {summary(row.method)}" for row in methods),
    ]
    if reasons := [f"- {label}, n = {c.n}: {c.refusal}" for label, own in counted.items() for c in own if c.refusal]:
        body += ["## Where a method does not run", "\n".join(reasons)]
    write_whole(folder / "methods.md", "\n\n".join(body) + "\n")
    write_whole(folder / "methods.csv", csv_text(lines))
    write_whole(folder / "hyper_parameters.csv", csv_text([h for row in methods for h in row.hyper_parameters(sizes)]))
    picture = cost_figure(
        {label: drawn for label, counts in counted.items() if len((drawn := curve(counts)).n)},
        title="Queries a step by the oracle's count, and the growth fitted to them",
    )
    save_figure(picture, folder / "methods.png")
    console.print("\n\n".join(body[:4]), soft_wrap=True)
    console.print(f"\nwrote methods.md, methods.csv, hyper_parameters.csv and methods.png to {folder}")


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument("--methods", help="comma separated, NAME or NAME:SETTING=VALUE:...; all by default")
    made.add_argument("--parameters", help="numbers of parameters, e.g. 1-6,10", default="1-10")
    made.add_argument("--steps", type=int, help=f"steps of the total at n = {PAPER_N}", default=600)
    made.add_argument("--import", dest="imports", action="append", help="module that registers a method", default=[])
    made.add_argument("--out", help="output folder", default="results/methods")
    return made


@final
@dataclass(frozen=True)
class Row:
    """A method with the settings it is counted with."""

    label: str
    method: type[Optimizer[Any]]
    settings: Settings

    @classmethod
    def of(cls, text: str) -> Row:
        """The row of a text like `naive` or `grid:lines=3`; without changes, in the paper's form where there is one."""
        method, full = read_method(text)
        if ":" not in text and issubclass(method.settings_class, CornerSettings):
            return cls(text, method, method.settings_class.paper())
        return cls(text, method, method.settings_class.from_mapping(full))

    def kind(self) -> dict[str, str]:
        """What it is, in words."""
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
        """Counts by n, and their growth."""
        return {
            "method": self.label,
            **{
                f"n={c.n}": "-" if c.refusal else f"{plain(c.forward_a_step)}+{plain(c.gradient_a_step)}"
                for c in counts
            },
            **fitted(counts),
        }

    def line(self, count: Count, counts: Sequence[Count]) -> dict[str, Any]:
        """A line of `methods.csv`."""
        return {
            **self.kind(),
            "n": count.n,
            "forward": "" if count.refusal else count.forward_a_step,
            "backward": "" if count.refusal else count.gradient_a_step,
            **fitted(counts),
            "refusal": count.refusal,
        }

    def hyper_parameters(self, sizes: Sequence[int]) -> list[dict[str, str]]:
        """Lines of `hyper_parameters.csv`."""
        return [{"method": self.label, **line} for line in hyper_parameters(self.method, self.settings, sizes)]


def fitted(counts: Sequence[Count]) -> dict[str, str]:
    """The growth of forward and of backward queries a step."""
    ran = [count for count in counts if not count.refusal]
    sizes = [count.n for count in ran]
    return {
        "forward grows": growth(sizes, [count.forward_a_step for count in ran]),
        "backward grows": growth(sizes, [count.gradient_a_step for count in ran]),
    }


def curve(counts: Sequence[Count]) -> CostCurve:
    """What the picture shows of a method."""
    ran = [count for count in counts if not count.refusal]
    grows = fitted(counts)
    return CostCurve(
        np.array([count.n for count in ran], dtype=np.float64),
        np.array([count.forward_a_step for count in ran]),
        np.array([count.gradient_a_step for count in ran]),
        grows["forward grows"] if grows["backward grows"] == "0" else " and ".join(grows.values()),
    )


def plain(value: float) -> str:
    """A count, or a mean to a tenth."""
    return f"{value:.0f}" if value == round(value) else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(run_script(main))
