"""SRVR table: how much of the viewpoint space around each start point a network is robust in, by counted queries.

Examples:
  python scripts/srvr_table.py                               the default table, at most 150 queries a run
  python scripts/srvr_table.py --dry-run                     what would run, its queries and estimated time
  python scripts/srvr_table.py --classes cup,chair --shapes 0-4 --methods naive,oir_b,oir_w --budget 300
  python scripts/srvr_table.py --protocol paper --shapes 0   the paper's exact updates, 600 steps

SRVR of a network for a class is the mean over shapes and start points of Vol(region) / Vol(space), over every returned
region cut to the space (Hamdi & Ghanem 2020, arXiv 1904.04621). "feasible only" counts a region as 0 unless its mean
score is at least 1 - epsilon_m and its variance at most epsilon_v, judged on held-out points that no method paid for.
The 95 % intervals resample shapes within a class and keep the start points: they need two shapes or more.

Written to --out: srvr.md, srvr.csv, srvr.png, and runs.sqlite with one row and one trace a run. The same command goes
on where an interrupted one stopped; a finished one only draws its tables again.
"""

from __future__ import annotations

import itertools
import sys
import time
from argparse import BooleanOptionalAction, Namespace
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from rich.console import Console

import optimizers  # noqa: F401  (fills the registry)
from optimizers.base import Settings
from optimizers.corner_method import START_HALF_WIDTH, settings_of_form
from optimizers.execute import RunSummary, run_tasks
from optimizers.registry import OPTIMIZERS, get_optimizer
from semrob_env.cli import ArgumentParser, names, numbers, positive, progress_bar, run_script
from semrob_env.errors import OutputError, UnknownNameError
from semrob_env.files import csv_text, output_folder, write_whole
from semrob_env.functions import make_function
from semrob_env.metrics import SrvrLine, SrvrRecord, paired_difference, srvr_lines
from semrob_env.metrics.srvr import ALL
from semrob_env.parameters import PAPER_STARTS, SemanticSpace
from semrob_env.plotting import save_figure, srvr_figure
from semrob_env.scene.classifiers.registry import NETWORKS
from semrob_env.scene.function import SceneId
from semrob_env.scene.shapes import make_shape
from semrob_env.store import FAILED, RunRow, RunStore, RunTask, canonical_json
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
"""The space of the paper's tables."""

PAPER_STEPS = 600
"""Steps of the paper's released runs."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read arguments, run what is missing, write the table."""
    options = parser().parse_args(arguments)
    console = Console(highlight=False)
    plan = Plan.of(options)
    console.print(plan.describe(), soft_wrap=True)
    if options.dry_run or options.protocol == "paper":
        console.print(plan.estimate(), soft_wrap=True)
    if options.dry_run:
        return
    folder = output_folder(options.out)
    path = folder / "runs.sqlite"
    if not options.resume and path.exists():
        raise OutputError(f"{path} is there already; --no-resume wants an empty --out, leave it away to go on")
    store = RunStore(path)
    table = Streamed(plan, console)
    with progress_bar(console, "runs") as progress:
        bar = progress.add_task("SRVR", total=len(plan.tasks))

        def on_rows(rows: Sequence[RunRow], summary: RunSummary) -> None:
            table.add(rows)
            progress.update(bar, completed=summary.skipped + summary.done + summary.failed)

        summary = run_tasks(plan.tasks, store, on_rows=on_rows)
    report(plan, table.rows, summary, folder, console)


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument("--networks", help=f"comma separated; known: {', '.join(NETWORKS)}", default=",".join(NETWORKS))
    made.add_argument("--classes", help="comma separated; known: cup, chair, ...", default="cup,chair,bottle,piano")
    made.add_argument("--shapes", help="object numbers of each class, e.g. 0-4,7", default="0")
    made.add_argument("--methods", help=f"comma separated; known: {', '.join(OPTIMIZERS)}", default="naive,oir_b,oir_w")
    made.add_argument("--budget", type=int, help="most queries a run, forward + gradient", default=150)
    made.add_argument(
        "--protocol",
        choices=("normalized", "paper"),
        help=f"paper: the exact form, {PAPER_STEPS} steps, no budget; tells its cost first",
        default="normalized",
    )
    made.add_argument("--unnormalized", action="store_true", help="feed pictures in [0, 1] as the paper's code did")
    made.add_argument("--adversarial", action="store_true", help="regions of low score: f is low + high - f")
    made.add_argument("--epsilon-m", type=float, help="feasible: mean score >= 1 - epsilon_m", default=0.5)
    made.add_argument("--epsilon-v", type=float, help="feasible: variance <= epsilon_v", default=0.25)
    made.add_argument("--judge-points", type=int, help="held-out points a region, counted apart", default=64)
    made.add_argument("--seed", type=int, help="seed of methods, judge and intervals", default=0)
    made.add_argument("--out", help="output folder", default="results/srvr")
    made.add_argument("--resume", action=BooleanOptionalAction, help="go on with the runs in --out", default=True)
    made.add_argument("--dry-run", action="store_true", help="tell what would run and what it costs, run nothing")
    return made


@final
@dataclass(frozen=True)
class Plan:
    """What a command asks for.

    Attributes:
        options: The command line.
        tasks: One a run, network by network.
        settings: Hyper-parameters of each method.
    """

    options: Namespace
    tasks: tuple[RunTask, ...]
    settings: dict[str, Settings]

    @classmethod
    def of(cls, options: Namespace) -> Plan:
        """Tasks of a command line; everything that is misspelt is told here, before any work."""
        is_paper = options.protocol == "paper"
        positive(options.budget, "--budget")
        methods = {name: get_optimizer(name) for name in names(options.methods)}
        settings = {name: settings_of_form(method, options.protocol) for name, method in methods.items()}
        starts = [tuple(SPACE.point(text).tolist()) for text in PAPER_STARTS]
        tasks = []
        for network in names(options.networks):
            if network not in NETWORKS:
                raise UnknownNameError(f"unknown network {network!r}; known are {', '.join(NETWORKS)}")
            for class_name in names(options.classes):
                for number in numbers(options.shapes):
                    make_shape(class_name, number)
                    feed = "unnormalized" if options.unnormalized else "normalized"
                    function_id = str(SceneId(network, class_name, f"procedural:{number}", feed=feed))
                    tasks += [
                        RunTask(
                            function_id=f"complement({function_id})" if options.adversarial else function_id,
                            method=name,
                            settings=canonical_json(settings[name].to_mapping()),
                            start=start,
                            budget=None if is_paper else options.budget,
                            max_steps=PAPER_STEPS if is_paper else None,
                            seed=options.seed,
                            epsilon_m=options.epsilon_m,
                            epsilon_v=options.epsilon_v,
                            judge_points=options.judge_points,
                            judge_seed=options.seed,
                        )
                        for name in methods
                        for start in starts
                    ]
        return cls(options, tuple(tasks), settings)

    def most_queries(self) -> Counter[str]:
        """Most forward and gradient queries of all runs, and those of the judge, by counting one ask of each method."""
        bill: Counter[str] = Counter(judge=sum(task.judge_points for task in self.tasks))
        for name, settings in self.settings.items():
            optimizer = get_optimizer(name)(SPACE, SPACE.default, settings=settings)
            queries = optimizer.ask()
            points, gradients = queries.theta.shape[1], int(queries.wants_gradient)
            for task in self.tasks:
                if task.method == name:
                    steps = task.max_steps or int((task.budget or 0) // (points * (1 + gradients)))
                    bill["forward"] += steps * points
                    bill["gradient"] += steps * points * gradients
                    bill["steps"] += steps
        return bill

    def describe(self) -> str:
        """The plan in a few words."""
        options, bill = self.options, self.most_queries()
        each = f"{PAPER_STEPS} steps" if options.protocol == "paper" else f"at most {options.budget} queries"
        return (
            f"{len(self.tasks)} runs ({options.protocol} form, {each} each): "
            f"{options.networks} x {options.classes} x shapes {options.shapes} x {len(PAPER_STARTS)} start points "
            f"x {options.methods}\nat most {bill['forward']:,} forward and {bill['gradient']:,} gradient queries, "
            f"and {bill['judge']:,} forward queries of the judge, which are counted apart"
        )

    def estimate(self) -> str:
        """Time that the runs will take, from a short trial of each network."""
        bill = self.most_queries()
        networks = list(dict.fromkeys(scene_id(task.function_id).network for task in self.tasks))
        theta = SPACE.sample(8, np.random.default_rng(0))[None]
        value = slope = 0.0
        for network in networks:
            task = next(task for task in self.tasks if scene_id(task.function_id).network == network)
            function = make_function(task.function_id)
            value += seconds(function.values, theta) / theta.shape[1] / len(networks)
            if bill["gradient"] and function.has_gradient:
                slope += seconds(function.values_and_gradients, theta) / theta.shape[1] / len(networks)
        total = value * (bill["forward"] - bill["gradient"] + bill["judge"]) + slope * bill["gradient"]
        return (
            f"estimated time: {total / 60:.1f} minutes "
            f"({1e3 * value:.1f} ms a value, {1e3 * slope:.1f} ms a value with gradient, mean over networks)"
        )


def seconds(call: Callable[[FloatArray], object], theta: FloatArray) -> float:
    """Time of a call, after one to warm up."""
    call(theta)
    started = time.perf_counter()
    call(theta)
    return time.perf_counter() - started


def scene_id(function_id: str) -> SceneId:
    """The scene behind an id or its complement."""
    return SceneId.parse(function_id.removeprefix("complement(").removesuffix(")"))


class Streamed:
    """Collects rows and prints a line for each network, class and method as soon as its last run is in."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self.rows: list[RunRow] = []
        self._console = console
        self._open = Counter(group(task) for task in plan.tasks)
        self._started = time.perf_counter()

    def add(self, rows: Sequence[RunRow]) -> None:
        """Take the rows of a unit."""
        self.rows += rows
        for key, count in Counter(group(row.task) for row in rows).items():
            self._open[key] -= count
            if not self._open[key]:
                own = [row for row in self.rows if group(row.task) == key and row.status != FAILED]
                self._console.print(self._line(key, own), soft_wrap=True)

    def _line(self, key: tuple[str, str, str], rows: Sequence[RunRow]) -> str:
        passed = f"{time.perf_counter() - self._started:6.1f} s  {'  '.join(f'{word:16s}' for word in key)}"
        if not rows:
            return f"{passed}  every run failed"
        shown = srvr_text(float(np.mean([row.share for row in rows])), rows)
        bill = f"{sum(r.forward_queries for r in rows)} + {sum(r.gradient_queries for r in rows)} queries"
        return f"{passed}  SRVR {shown:>10s}  feasible {sum(map(is_feasible, rows)):2d} of {len(rows)}  {bill}"


def report(plan: Plan, rows: Sequence[RunRow], summary: RunSummary, folder: Path, console: Console) -> None:
    """Write and print the tables and the picture."""
    good = [row for row in rows if row.status != FAILED]
    failed = [row for row in rows if row.status == FAILED]
    notes = [plan.describe().replace("\n", "; ")]
    if failed:
        notes.append(f"{len(failed)} runs failed and are left out; the first one: {failed[0].error}")
    if summary.stale:
        notes.append(f"{summary.stale} rows of other versions of these methods are in the store and left out")
    if not good:
        raise OutputError("; ".join(notes))
    records = [record(row) for row in good]
    lines = srvr_lines(records, np.random.default_rng(plan.options.seed))
    if not any(np.isfinite(line.low) for line in lines):
        notes.append("no intervals: with one shape a class nothing can be resampled; give more --shapes")
    still = [name for name in plan.settings if has_not_grown([row for row in good if row.task.method == name])]
    if still:
        notes.append(f"the median region of {', '.join(still)} has not left its start size of {2 * START_HALF_WIDTH:g}")
    flat = [flat_line(line, good) for line in lines]
    differences = network_differences(records, plan.options.seed)
    body = "\n\n".join([
        "# SRVR: semantic robustness volume ratio",
        f"In % of the space of {' and '.join(SPACE.names)}. Score: "
        + ("low + high - f (adversarial regions)." if plan.options.adversarial else "softmax of the class."),
        markdown(flat),
        *([markdown(differences)] if differences else []),
        "\n".join(f"- {note}" for note in notes),
    ])
    write_whole(folder / "srvr.md", body + "\n")
    write_whole(folder / "srvr.csv", csv_text([{**vars(line), **bill(line, good)} for line in lines]))
    title = f"SRVR, {plan.options.protocol} form, {plan.options.methods}"
    save_figure(srvr_figure(lines, title=title), folder / "srvr.png")
    console.print(body, soft_wrap=True)
    console.print(f"\nwrote srvr.md, srvr.csv, srvr.png and runs.sqlite to {folder}")


def flat_line(line: SrvrLine, rows: Sequence[RunRow]) -> dict[str, str]:
    """A line of the table as text, with its query bill."""
    own = members(line, rows)
    return {
        "network": line.network,
        "class": line.class_name,
        "method": line.method,
        "SRVR %": srvr_text(line.srvr, own),
        "95 % interval": interval(line.low, line.high),
        "feasible only %": f"{100 * line.feasible_srvr:.2f}",
        "95 % interval of it": interval(line.feasible_low, line.feasible_high),
        "feasible": f"{line.feasible} of {line.runs}",
        **{f"{name} queries": f"{count:,}" for name, count in bill(line, rows).items()},
    }


def bill(line: SrvrLine, rows: Sequence[RunRow]) -> dict[str, int]:
    """Queries of the runs behind a line."""
    own = members(line, rows)
    return {
        "forward": sum(row.forward_queries for row in own),
        "gradient": sum(row.gradient_queries for row in own),
        "judge": sum(row.judge_queries for row in own),
    }


def members(line: SrvrLine, rows: Sequence[RunRow]) -> list[RunRow]:
    """The runs behind a line."""
    wanted = (line.network, line.class_name, line.method)
    return [row for row in rows if all(w in (own, ALL) for w, own in zip(wanted, group(row.task), strict=True))]


def network_differences(records: Sequence[SrvrRecord], seed: int) -> list[dict[str, str]]:
    """Every pair of networks, by differences on the same shapes."""
    networks = list(dict.fromkeys(record.network for record in records))
    rows = []
    for first, second in itertools.combinations(networks, 2):
        found = paired_difference(records, first, second, np.random.default_rng(seed))
        rows.append({
            "SRVR of": first,
            "minus that of": second,
            "difference, points of %": f"{100 * found.difference:+.2f}",
            "95 % interval": interval(found.low, found.high),
        })
    return rows


def record(row: RunRow) -> SrvrRecord:
    """A run as far as SRVR goes."""
    scene = scene_id(row.task.function_id)
    start = ",".join(f"{value:g}" for value in row.task.start)
    return SrvrRecord(
        scene.network, scene.class_name, scene.source, start, row.task.method, row.share or 0.0, is_feasible(row)
    )


def group(task: RunTask) -> tuple[str, str, str]:
    """Network, class and method of a task."""
    scene = scene_id(task.function_id)
    return scene.network, scene.class_name, task.method


def is_feasible(row: RunRow) -> bool:
    """Whether the judge calls a run's region feasible."""
    return bool(row.feasible)


def has_not_grown(rows: Sequence[RunRow]) -> bool:
    """Whether the median region is still within ten times its start size on every side."""
    widest = [max(u - low for low, u in zip(row.lower or (), row.upper or (), strict=True)) for row in rows]
    return bool(rows) and float(np.median(widest)) <= 20 * START_HALF_WIDTH


def srvr_text(share: float, rows: Sequence[RunRow]) -> str:
    """SRVR in %, or the words for a median region that has not grown: never a bare 0."""
    return "start size" if has_not_grown(rows) else f"{100 * share:.2f}"


def interval(low: float, high: float) -> str:
    """An interval in %."""
    return f"{100 * low:.2f} to {100 * high:.2f}" if np.isfinite(low) else "-"


def markdown(rows: Sequence[dict[str, str]]) -> str:
    """Rows as a Markdown table with aligned columns."""
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]]
    lines = [list(rows[0]), ["-" * width for width in widths], *(list(row.values()) for row in rows)]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


if __name__ == "__main__":
    sys.exit(run_script(main))
