"""SRVR table: how much of the viewpoint space around each start point a network is robust in, by counted queries.

Examples:
  python scripts/srvr_table.py                               the default table, at most 100 queries a run
  python scripts/srvr_table.py --dry-run                     what would run, its queries and estimated time
  python scripts/srvr_table.py --classes cup,chair --shapes 0-4 --methods naive,oir_b,oir_w --budget 300
  python scripts/srvr_table.py --protocol paper --shapes 0   the paper's exact updates, 600 steps
  python scripts/srvr_table.py --functions recorded --protocol paper --out results/srvr_recorded
  python scripts/srvr_table.py --networks AlexNet,ResNet-50,timm/convnext_tiny --score margin
  python scripts/srvr_table.py --networks file --weights mine.onnx --labels names.txt

SRVR of a network for a class is the mean over shapes and start points of Vol(region) / Vol(space), over every returned
region cut to the space (Hamdi & Ghanem 2020, arXiv 1904.04621). "feasible only" counts a region as 0 unless its mean
score is at least 1 - epsilon_m and its variance at most epsilon_v: exactly where the function knows its integrals, as
recorded maps do, else judged on held-out points that no method paid for.
The 95 % intervals resample shapes within a class and keep the start points: they need two shapes or more.

--functions recorded replays on a file of maps (scripts/import_recorded.py, scripts/semantic_map.py): all of it, or the
--networks, --classes and --shapes given.

Networks whose accuracy is published get a table and a picture of it beside their SRVR, and how far the ranks agree.

Written to --out: srvr.md, srvr.csv, srvr.png, accuracy.png, and runs.sqlite with one row and one trace a run. The same
command goes on where an interrupted one stopped; a finished one only draws its tables again.
"""

from __future__ import annotations

import sys
import time
from argparse import BooleanOptionalAction, Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
from rich.console import Console
from semrob_env.cli import ArgumentParser, make_console, names, numbers, positive, progress_bar, run_script, seconds_of

import optimizers  # noqa: F401  (fills the registry)
from optimizers.base import Optimizer, Settings
from optimizers.corner_method import START_HALF_WIDTH, settings_of_form
from optimizers.execute import RunSummary, run_tasks
from optimizers.registry import OPTIMIZERS, get_optimizer
from semrob_env.errors import InvalidParameterError, OutputError, UnknownNameError
from semrob_env.files import csv_text, markdown_table, output_folder, write_whole
from semrob_env.functions import Complement, ScoreFunction, make_function
from semrob_env.metrics import Judge, Thresholds
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import PAPER_STARTS, SemanticSpace
from semrob_env.plotting import save_figure, srvr_figure
from semrob_env.plotting.srvr import accuracy_figure
from semrob_env.recorded import RecordedMaps, load_maps
from semrob_env.recorded.function import DEFAULT_FILE, map_id
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.scene.classifiers.options import add_network_options, changed_options, network_options
from semrob_env.scene.classifiers.registry import NETWORKS, canonical_network
from semrob_env.scene.classifiers.score_kinds import SCORE_WORDS
from semrob_env.scene.function import SceneId
from semrob_env.scene.shapes import SHAPES, make_shape
from semrob_env.store import FAILED, RunRow, RunStore, RunTask, canonical_json
from semrob_env.tables import AccuracyTable, SrvrTable, Subject, group, srvr_text

SPACE = SemanticSpace.of("azimuth,elevation")
"""The space of the paper's tables."""

CLASSES = "cup,chair,bottle,piano"
"""Classes of the default table of live functions."""

PAPER_STEPS = 600  # of the paper's released runs

BATCH, LIVE_BATCH = 4096, 16
"""Runs of one method at once, on maps and on live functions: what a kill can lose."""


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
        plan.function(network).values(SPACE.default[None, None])  # a broken one ends here
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

        summary = run_tasks(
            plan.tasks,
            store,
            functions=plan.functions,
            unit_size=BATCH if plan.functions else LIVE_BATCH,
            retry_failed=True,
            on_rows=on_rows,
            on_step=on_step,
        )
    report(plan, table.rows, summary, folder, console)


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument(
        "--functions", choices=("scenes", "recorded"), help="rendered scenes, or a file of maps", default="scenes"
    )
    made.add_argument(
        "--networks",
        help=f"comma separated; by default {', '.join(NETWORKS)}, or all in --maps; scenes also know the paper's four, "
        "torchvision/NAME, timm/NAME and file (a model in --weights)",
    )
    made.add_argument(
        "--classes", help=f"comma separated; by default {CLASSES}, or all in --maps; scenes know {', '.join(SHAPES)}"
    )
    made.add_argument("--shapes", help="object numbers of each class, e.g. 0-4,7; by default 0, or all in --maps")
    made.add_argument("--maps", help="file of maps for --functions recorded", default=DEFAULT_FILE)
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
    add_network_options(made)
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
        functions: Functions already at hand, by id.
    """

    options: Namespace
    tasks: tuple[RunTask, ...]
    settings: dict[str, Settings]
    functions: Mapping[str, ScoreFunction] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Namespace) -> Plan:
        """Tasks of a command line; everything that is misspelt is told here, before any work."""
        is_paper = options.protocol == "paper"
        positive(options.budget, "--budget")
        Judge(Thresholds(options.epsilon_m, options.epsilon_v), options.judge_points, options.seed)
        methods = {name: get_optimizer(name) for name in names(options.methods)}
        settings = {name: settings_of_form(method, options.protocol) for name, method in methods.items()}
        starts = [tuple(SPACE.point(text).tolist()) for text in PAPER_STARTS]
        ids, functions = recorded_functions(options) if options.functions == "recorded" else (scene_ids(options), {})
        tasks = [
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
            for function_id in ids
            for name in methods
            for start in starts
        ]
        return cls(options, tuple(tasks), settings, functions)

    @property
    def subjects(self) -> list[Subject]:
        """What the runs are about, each once, in order."""
        return list(dict.fromkeys(Subject.of(task.function_id) for task in self.tasks))

    @property
    def networks(self) -> list[str]:
        """Networks in the order asked for."""
        return list(dict.fromkeys(subject.network for subject in self.subjects))

    @property
    def own_weights(self) -> list[str]:
        """Networks that run with weights of the user."""
        if self.functions:
            return []
        return [name for name, own in network_options(self.options, self.networks).items() if own.weights]

    @property
    def classes(self) -> list[str]:
        """Classes in the order asked for."""
        return list(dict.fromkeys(subject.class_name for subject in self.subjects))

    def function(self, network: str) -> ScoreFunction:
        """Some function of a network."""
        given = next(iter(self.functions.values()), None)
        found = (task.function_id for task in self.tasks if Subject.of(task.function_id).network == network)
        return given or make_function(next(found))

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
        shapes = len({(subject.class_name, subject.shape) for subject in self.subjects})
        return (
            f"{len(self.tasks)} runs ({options.protocol} form, {each} each): {','.join(self.networks)} x "
            f"{','.join(self.classes)} ({shapes} shapes) x {len(PAPER_STARTS)} start points x {options.methods}\n"
            f"at most {bill['forward']:,} forward and {bill['gradient']:,} gradient queries, "
            f"and {bill['judge']:,} forward queries of the judge, which are counted apart"
        )

    def estimate(self) -> str:
        """Time that the runs will take, from a short trial of each network."""
        bill = self.most_queries()
        theta = SPACE.sample(8, np.random.default_rng(0))[None]
        value = slope = 0.0
        for network in self.networks:
            function = self.function(network)
            value += seconds_of(partial(function.values, theta)) / theta.shape[1] / len(self.networks)
            if bill["gradient"] and function.has_gradient:
                slope += seconds_of(partial(function.values_and_gradients, theta)) / theta.shape[1] / len(self.networks)
        total = value * (bill["forward"] - bill["gradient"] + bill["judge"]) + slope * bill["gradient"]
        return (
            f"estimated time: {total / 60:.1f} minutes "
            f"({1e3 * value:.1f} ms a value, {1e3 * slope:.1f} ms a value with gradient, mean over networks)"
        )


def scene_ids(options: Namespace) -> list[str]:
    """Ids of live functions: networks x classes x shapes."""
    networks = list(dict.fromkeys(map(canonical_network, names(options.networks or ",".join(NETWORKS)))))
    chosen = network_options(options, networks)
    classes, feed = names(options.classes or CLASSES), "unnormalized" if options.unnormalized else "normalized"
    shapes = [(name, number) for name in classes for number in numbers(options.shapes or "0")]
    for name, number in shapes:
        make_shape(name, number)
    return [
        str(SceneId(network, name, f"procedural:{number}", feed=feed, **chosen[network].in_ids()))
        for network in networks
        for name, number in shapes
    ]


def recorded_functions(options: Namespace) -> tuple[list[str], dict[str, ScoreFunction]]:
    """Ids of the chosen maps of a file, and the one function that answers them all."""
    for option in ["unnormalized"] * options.unnormalized + changed_options(options):
        raise InvalidParameterError(f"--{option} is for scenes; recorded maps are as they were recorded")
    maps = load_maps(options.maps)
    if maps.space != SPACE:
        raise InvalidParameterError(f"{options.maps} is over {', '.join(maps.space.names)}, not azimuth, elevation")
    wanted = (
        names(options.networks) if options.networks else None,
        names(options.classes) if options.classes else None,
        [str(number) for number in numbers(options.shapes)] if options.shapes else None,
    )
    parts = [parts_of(name) for name in maps.names]
    for index, (option, allowed) in enumerate(zip(("--networks", "--classes", "--shapes"), wanted, strict=True)):
        known = list(dict.fromkeys(part[index] for part in parts))
        unknown = [name for name in allowed or [] if name not in known]
        if unknown:
            raise UnknownNameError(f"{option} {unknown[0]}: not in {options.maps}, which has {', '.join(known)}")
    rows = [
        row
        for row, part in enumerate(parts)
        if all(allowed is None or own in allowed for own, allowed in zip(part, wanted, strict=True))
    ]
    if not rows:
        raise UnknownNameError(f"no map of {options.maps} is of all the --networks, --classes and --shapes given")
    family: ScoreFunction = RecordedMaps(maps.only(rows))
    if options.adversarial:
        family = Complement(family)
    return [map_id(maps.names[row]) for row in rows], {family.id: family}


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
        for key, count in Counter(group(row) for row in rows).items():
            self._open[key] -= count
            if not self._open[key]:
                own = [row for row in self.rows if group(row) == key and row.status != FAILED]
                self._console.print(self._line(key, own), soft_wrap=True)

    def _line(self, key: tuple[str, str, str], rows: Sequence[RunRow]) -> str:
        passed = f"{time.perf_counter() - self._started:6.1f} s  {'  '.join(f'{word:16s}' for word in key)}"
        if not rows:
            return f"{passed}  every run failed"
        shown = srvr_text(float(np.mean([row.share for row in rows])), rows, 2 * START_HALF_WIDTH)
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
    options = plan.options
    table = SrvrTable.of(
        good, list(plan.settings), plan.networks, plan.classes, start_size=2 * START_HALF_WIDTH, seed=options.seed
    )
    if not any(np.isfinite(row.low) for _, row in table.lines()):
        notes.append("no intervals: with one shape a class nothing can be resampled; give more --shapes")
    if still := table.not_grown():
        notes.append(f"the median region of {', '.join(still)} has not left its start size of {table.start_size:g}")
    differences = table.differences()
    accuracy = AccuracyTable.of(table, own_weights=plan.own_weights)
    notes += accuracy.notes()
    body = "\n\n".join([
        "# SRVR: semantic robustness volume ratio",
        f"In % of the space of {' and '.join(SPACE.names)}. Score: "
        + ("low + high - f (adversarial regions)." if options.adversarial else f"{SCORE_WORDS[options.score]}."),
        markdown_table(table.shown()),
        *([markdown_table(accuracy.shown())] if accuracy.networks else []),
        *([markdown_table(differences)] if differences else []),
        "\n".join(f"- {note}" for note in notes),
    ])
    write_whole(folder / "srvr.md", body + "\n")
    exact = [{**row, **accuracy.columns(str(row["network"]))} for row in table.exact()]
    write_whole(folder / "srvr.csv", csv_text(exact))
    title = f"SRVR, {options.protocol} form, {options.methods}"
    save_figure(srvr_figure(table.by_method, plan.networks, title=title), folder / "srvr.png")
    if accuracy.networks:
        save_figure(accuracy_figure(accuracy.points, title=f"accuracy and {title}"), folder / "accuracy.png")
    console.print(body, soft_wrap=True)
    pictures = "srvr.png, accuracy.png" if accuracy.networks else "srvr.png"
    console.print(f"\nwrote srvr.md, srvr.csv, {pictures} and runs.sqlite to {folder}")


if __name__ == "__main__":
    sys.exit(run_script(main, after_interrupt="what was finished is kept; run the same command to go on"))
