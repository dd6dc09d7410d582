"""SRVR table: how much of the viewpoint space around each start point a network is robust in, by counted queries.

Examples:
  python scripts/srvr_table.py                               the default table, at most 100 queries a run
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
from rich.console import Console

import optimizers  # noqa: F401  (fills the registry)
from optimizers.base import Optimizer, Settings
from optimizers.corner_method import START_HALF_WIDTH, settings_of_form
from optimizers.execute import RunSummary, run_tasks
from optimizers.registry import OPTIMIZERS, get_optimizer
from semrob_env.cli import ArgumentParser, make_console, names, numbers, positive, progress_bar, run_script, seconds_of
from semrob_env.errors import OutputError, UnknownNameError
from semrob_env.files import csv_text, interval_text, markdown_table, output_folder, write_whole
from semrob_env.functions import make_function
from semrob_env.metrics import Judge, RegionRecords, SrvrRow, Thresholds, paired_difference, srvr
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import PAPER_STARTS, SemanticSpace
from semrob_env.plotting import save_figure, srvr_figure
from semrob_env.scene.classifiers.registry import NETWORKS
from semrob_env.scene.function import SceneId
from semrob_env.scene.shapes import SHAPES, make_shape
from semrob_env.store import FAILED, RunRow, RunStore, RunTask, canonical_json

SPACE = SemanticSpace.of("azimuth,elevation")
"""The space of the paper's tables."""

ALL = "all"  # class or method of a line that averages over all of them

PAPER_STEPS = 600  # of the paper's released runs


def main(arguments: Sequence[str] | None = None) -> None:
    """Read arguments, run what is missing, write the table."""
    options = parser().parse_args(arguments)
    console = make_console()
    plan = Plan.of(options)
    console.print(plan.describe(), soft_wrap=True)
    if options.dry_run or options.protocol == "paper":
        console.print(plan.estimate(), soft_wrap=True)
    if options.dry_run:
        return
    for network in plan.networks:
        make_function(plan.first_task(network).function_id).values(SPACE.default[None, None])  # a broken one ends here
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
            progress.update(bar, completed=len(table.rows))

        def on_step(optimizer: Optimizer[Any], oracle: QueryOracle) -> None:
            part = optimizer.steps / PAPER_STEPS if np.isinf(oracle.budget) else oracle.spent / oracle.budget
            progress.update(bar, completed=len(table.rows) + float(part.sum()))

        summary = run_tasks(plan.tasks, store, retry_failed=True, on_rows=on_rows, on_step=on_step)
    report(plan, table.rows, summary, folder, console)


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument("--networks", help=f"comma separated; known: {', '.join(NETWORKS)}", default=",".join(NETWORKS))
    made.add_argument(
        "--classes", help=f"comma separated; known: {', '.join(SHAPES)}", default="cup,chair,bottle,piano"
    )
    made.add_argument("--shapes", help="object numbers of each class, e.g. 0-4,7", default="0")
    made.add_argument("--methods", help=f"comma separated; known: {', '.join(OPTIMIZERS)}", default="naive,oir_b,oir_w")
    made.add_argument("--budget", type=int, help="most queries a run, forward + gradient", default=100)
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
    made.add_argument("--judge-points", type=int, help="held-out points a region, counted apart", default=32)
    made.add_argument("--seed", type=int, help="seed of methods, judge and intervals", default=0)
    made.add_argument("--out", help="output folder", default="results/srvr")
    made.add_argument("--resume", action=BooleanOptionalAction, help="go on with the runs in --out", default=True)
    made.add_argument(
        "--dry-run", action="store_true", help="tell what would run and what it costs; only a short trial"
    )
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
        Judge(Thresholds(options.epsilon_m, options.epsilon_v), options.judge_points, options.seed)
        methods = {name: get_optimizer(name) for name in names(options.methods)}
        settings = {name: settings_of_form(method, options.protocol) for name, method in methods.items()}
        starts = [tuple(SPACE.point(text).tolist()) for text in PAPER_STARTS]
        shapes = [(name, number) for name in names(options.classes) for number in numbers(options.shapes)]
        for name, number in shapes:
            make_shape(name, number)
        tasks = []
        for network in names(options.networks):
            if network not in NETWORKS:
                raise UnknownNameError(f"unknown network {network!r}; known are {', '.join(NETWORKS)}")
            for class_name, number in shapes:
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

    @property
    def networks(self) -> list[str]:
        """Networks in the order asked for."""
        return names(self.options.networks)

    def first_task(self, network: str) -> RunTask:
        """Some task of a network."""
        return next(task for task in self.tasks if scene_id(task.function_id).network == network)

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
        theta = SPACE.sample(8, np.random.default_rng(0))[None]
        value = slope = 0.0
        for network in self.networks:
            function = make_function(self.first_task(network).function_id)
            value += seconds_of(partial(function.values, theta)) / theta.shape[1] / len(self.networks)
            if bill["gradient"] and function.has_gradient:
                slope += seconds_of(partial(function.values_and_gradients, theta)) / theta.shape[1] / len(self.networks)
        total = value * (bill["forward"] - bill["gradient"] + bill["judge"]) + slope * bill["gradient"]
        return (
            f"estimated time: {total / 60:.1f} minutes "
            f"({1e3 * value:.1f} ms a value, {1e3 * slope:.1f} ms a value with gradient, mean over networks)"
        )


def scene_id(function_id: str) -> SceneId:
    """The scene behind an id or its complement."""
    return SceneId.parse(function_id.removeprefix("complement(").removesuffix(")"))


@final
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
        return (
            f"{passed}  SRVR {shown:>10s}  feasible {sum(bool(row.feasible) for row in rows):2d} of {len(rows)}  {bill}"
        )


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
        raise OutputError(f"all {len(failed)} runs failed; the first one: {failed[0].error}")
    records = region_records(good)
    rng = np.random.default_rng(plan.options.seed)
    tables = {name: srvr(records.only(methods=[name]), rng) for name in plan.settings if name in records.method}
    lines = list(table_lines(plan, tables, srvr(records, rng)))
    if not any(np.isfinite(row.low) for _, row in lines):
        notes.append("no intervals: with one shape a class nothing can be resampled; give more --shapes")
    still = [name for name in plan.settings if has_not_grown([row for row in good if row.task.method == name])]
    if still:
        notes.append(f"the median region of {', '.join(still)} has not left its start size of {2 * START_HALF_WIDTH:g}")
    flat = [shown_line(method, row, good) for method, row in lines]
    differences = network_differences(plan, records)
    body = "\n\n".join([
        "# SRVR: semantic robustness volume ratio",
        f"In % of the space of {' and '.join(SPACE.names)}. Score: "
        + ("low + high - f (adversarial regions)." if plan.options.adversarial else "softmax of the class."),
        markdown_table(flat),
        *([markdown_table(differences)] if differences else []),
        "\n".join(f"- {note}" for note in notes),
    ])
    write_whole(folder / "srvr.md", body + "\n")
    write_whole(folder / "srvr.csv", csv_text([exact_line(method, row, good) for method, row in lines]))
    title = f"SRVR, {plan.options.protocol} form, {plan.options.methods}"
    save_figure(srvr_figure(tables, plan.networks, title=title), folder / "srvr.png")
    console.print(body, soft_wrap=True)
    console.print(f"\nwrote srvr.md, srvr.csv, srvr.png and runs.sqlite to {folder}")


def table_lines(
    plan: Plan, tables: Mapping[str, Sequence[SrvrRow]], overall: Sequence[SrvrRow]
) -> Iterator[tuple[str, SrvrRow]]:
    """Method and SRVR, network by network: each class and method, then all classes, then all classes and methods."""
    for network in plan.networks:
        for class_name in (*names(plan.options.classes), None):
            for method, rows in tables.items():
                yield from ((method, row) for row in rows if (row.network, row.class_name) == (network, class_name))
        yield from ((ALL, row) for row in overall if (row.network, row.class_name) == (network, None))


def shown_line(method: str, row: SrvrRow, runs: Sequence[RunRow]) -> dict[str, str]:
    """A line of the table as text, with its query bill."""
    own = runs_behind(method, row, runs)
    return {
        "network": row.network,
        "class": row.class_name or ALL,
        "method": method,
        "SRVR %": srvr_text(row.estimate, own),
        "95 % interval": interval_text(row.low, row.high),
        "feasible only %": srvr_text(row.feasible_estimate, own) if row.feasible_estimate else "none",
        "95 % interval of it": interval_text(row.feasible_low, row.feasible_high),
        "feasible": f"{sum(bool(run.feasible) for run in own)} of {row.runs}",
        **{f"{name} queries": f"{count:,}" for name, count in bill(own).items()},
    }


def exact_line(method: str, row: SrvrRow, runs: Sequence[RunRow]) -> dict[str, object]:
    """A line of the table with full precision; shares, not percent."""
    own = runs_behind(method, row, runs)
    return {
        **vars(row),
        "class_name": row.class_name or ALL,
        "method": method,
        "feasible_runs": sum(bool(run.feasible) for run in own),
        **{f"{name}_queries": count for name, count in bill(own).items()},
    }


def runs_behind(method: str, row: SrvrRow, runs: Sequence[RunRow]) -> list[RunRow]:
    """The runs that a line averages."""
    wanted = (row.network, row.class_name or ALL, method)
    return [run for run in runs if all(w in (own, ALL) for w, own in zip(wanted, group(run.task), strict=True))]


def bill(runs: Sequence[RunRow]) -> dict[str, int]:
    """Queries of some runs."""
    return {name: sum(getattr(run, f"{name}_queries") for run in runs) for name in ("forward", "gradient", "judge")}


def network_differences(plan: Plan, records: RegionRecords) -> list[dict[str, str]]:
    """Every pair of networks, by differences on the same shapes."""
    rows = []
    for first, second in itertools.combinations([n for n in plan.networks if n in records.network], 2):
        rng = np.random.default_rng(plan.options.seed)
        found = next(row for row in paired_difference(records, first, second, rng) if row.class_name is None)
        rows.append({
            "SRVR of": first,
            "minus that of": second,
            "difference, points of %": f"{100 * found.estimate:+.2f}",
            "95 % interval": interval_text(found.low, found.high),
        })
    return rows


def region_records(runs: Sequence[RunRow]) -> RegionRecords:
    """Runs as far as SRVR goes."""
    scenes = [scene_id(run.task.function_id) for run in runs]
    starts = {start: index for index, start in enumerate(dict.fromkeys(run.task.start for run in runs))}
    return RegionRecords(
        network=np.array([scene.network for scene in scenes]),
        class_name=np.array([scene.class_name for scene in scenes]),
        shape=np.array([scene.source for scene in scenes]),
        start=np.array([starts[run.task.start] for run in runs]),
        method=np.array([run.task.method for run in runs]),
        share=np.array([run.share for run in runs]),
        feasible=np.array([bool(run.feasible) for run in runs]),
    )


def group(task: RunTask) -> tuple[str, str, str]:
    """Network, class and method of a task."""
    scene = scene_id(task.function_id)
    return scene.network, scene.class_name, task.method


def has_not_grown(rows: Sequence[RunRow]) -> bool:
    """Whether the median region is still within ten times its start size on every side."""
    widest = [max(u - low for low, u in zip(row.lower or (), row.upper or (), strict=True)) for row in rows]
    return bool(rows) and float(np.median(widest)) <= 20 * START_HALF_WIDTH


def srvr_text(share: float, rows: Sequence[RunRow]) -> str:
    """SRVR in %, or the words for a median region that has not grown: never a bare 0."""
    return "start size" if has_not_grown(rows) else f"{100 * share:.2f}" if share >= 5e-5 else f"{100 * share:.1g}"


if __name__ == "__main__":
    sys.exit(run_script(main, after_interrupt="what was finished is kept; run the same command to go on"))
