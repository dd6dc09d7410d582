"""The method table (paper's Table 2) by counting: what each method asks a step, and what its hyper-parameters are.

Examples:
  python scripts/method_table.py
  python scripts/method_table.py --methods naive,oir_b,oir_w,grid:lines=3 --parameters 1-6
  python scripts/method_table.py --methods naive,mine --import my_module

Every number is the oracle's count after a run on a synthetic function of n parameters: one step for the columns by n,
--steps steps (600 in the paper's runs) at n = 2 for the total. Methods with a paper's form run in it. Growth is fitted
to the counts of one step. A dash: the method does not run at this n; the reason is in the file.

Written to --out: methods.md, methods.csv (a line for every method and n), hyper_parameters.csv, methods.png.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

import baselines  # noqa: F401  (fills the registry)
import optimizers  # noqa: F401  (fills the registry)
from baselines.benchmark.costs import Count, count_queries, growth, hyper_parameters, paradigm, summary
from baselines.benchmark.plugins import import_modules
from baselines.benchmark.protocols import read_method
from optimizers.base import Optimizer, Settings
from optimizers.corner_method import CornerSettings
from optimizers.registry import OPTIMIZERS
from semrob_env.cli import ArgumentParser, make_console, names, numbers, positive, progress_bar, run_script
from semrob_env.errors import InvalidParameterError, OutputError
from semrob_env.files import csv_text, markdown_table, output_folder, write_whole
from semrob_env.plotting import save_figure
from semrob_env.plotting.comparison import cost_figure

PAPER_N = 2
"""Parameters in the paper's tables."""

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
            counted[row.label] = [count_queries(row.method, row.settings, n) for n in sizes]
            totals[row.label] = count_queries(row.method, row.settings, PAPER_N, steps=options.steps)
            lines += [row.line(count) for count in counted[row.label]]
            progress.advance(bar)
    if all(count.refusal for counts in counted.values() for count in counts):
        raise OutputError(f"no method ran; the first reason: {next(iter(counted.values()))[0].refusal}")
    body = [
        "# Methods by counted queries",
        markdown_table([row.kind() for row in methods]),
        "## Queries a step (forward + backward), by number of parameters n",
        markdown_table([row.counts(counted[row.label], totals[row.label], options.steps) for row in methods]),
        "## Hyper-parameters",
        markdown_table([line for row in methods for line in row.hyper_parameters(sizes)]),
    ]
    if reasons := [f"- {label}, n = {c.n}: {c.refusal}" for label, own in counted.items() for c in own if c.refusal]:
        body += ["## Where a method does not run", "\n".join(reasons)]
    write_whole(folder / "methods.md", "\n\n".join(body) + "\n")
    write_whole(folder / "methods.csv", csv_text(lines))
    write_whole(folder / "hyper_parameters.csv", csv_text([h for row in methods for h in row.hyper_parameters(sizes)]))
    drawn = {label: [count for count in counts if count.total] for label, counts in counted.items()}
    picture = cost_figure(
        {
            label: (np.array([count.n for count in counts]), np.array([float(count.total) for count in counts]))
            for label, counts in drawn.items()
            if counts
        },
        title="Queries a step, counted",
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
            "what it does": summary(self.method),
            "kind": paradigm(self.method),
            "black box": "no" if self.method.uses_gradient else "yes",
            "draws": "yes" if self.method.is_stochastic else "no",
            "recommends": self.method.recommends,
        }

    def counts(self, counts: Sequence[Count], total: Count, steps: int) -> dict[str, str]:
        """Counts by n, their growth, and the total of a run."""
        ended = "" if total.steps == steps else f" (ended after {total.steps})"
        return {
            "method": self.label,
            **{f"n={c.n}": "-" if c.refusal else f"{c.forward}+{c.gradient}" for c in counts},
            "growth": growth(counts),
            f"{steps} steps, n={PAPER_N}": "-" if total.refusal else f"{total.forward}+{total.gradient}{ended}",
        }

    def line(self, count: Count) -> dict[str, Any]:
        """A line of `methods.csv`."""
        return {
            **self.kind(),
            "n": count.n,
            "forward": "" if count.refusal else count.forward,
            "backward": "" if count.refusal else count.gradient,
            "refusal": count.refusal,
        }

    def hyper_parameters(self, sizes: Sequence[int]) -> list[dict[str, str]]:
        """Lines of `hyper_parameters.csv`."""
        return [{"method": self.label, **line} for line in hyper_parameters(self.method, self.settings, sizes)]


if __name__ == "__main__":
    sys.exit(run_script(main))
