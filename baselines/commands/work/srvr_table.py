"""What `semrob srvr_table` does."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, final

import numpy as np
from optimizers.execute import RunSummary, run_tasks
from rich.console import Console

from baselines.commands.shared.questions import region_methods, thresholds, told_settings
from baselines.commands.shared.terminal import Bundle, progress_bar, seconds_of
from baselines.commands.srvr_table import Options
from optimizers.base import Optimizer, Settings
from optimizers.corner_method import START_HALF_WIDTH
from optimizers.registry import get_optimizer
from semrob_env.errors import InvalidParameterError, OutputError, UnknownNameError
from semrob_env.files import markdown_table
from semrob_env.functions import Complement, ScoreFunction, make_function
from semrob_env.metrics import Judge
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting import PALETTE, srvr_figure
from semrob_env.plotting.srvr import accuracy_figure
from semrob_env.recorded import RecordedMaps, load_maps
from semrob_env.recorded.function import map_id
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.scene.classifiers.registry import NETWORKS
from semrob_env.scene.classifiers.score_kinds import SCORE_WORDS
from semrob_env.scene.sources import load_shape
from semrob_env.store import FAILED, RunRow, RunStore, RunTask, canonical_json
from semrob_env.tables import AccuracyTable, SrvrTable, Subject, group, srvr_text

CLASSES = ("cup", "chair", "bottle", "piano")
"""Classes of the default table of live functions."""

PAPER_STEPS = 600  # of the paper's released runs

BATCH, LIVE_BATCH = 4096, 16
"""Runs of one method at once, on maps and on live functions: what a kill can lose."""


def run(options: Options, console: Console) -> None:
    """Run what is missing, write the table."""
    plan = Plan.of(options)
    console.print(plan.describe(), soft_wrap=True)
    if options.dry_run or options.protocol == "paper":
        console.print(plan.estimate(), soft_wrap=True)
    if options.dry_run:
        return
    for network in plan.networks:
        plan.function(network).values(plan.space.default[None, None])  # a broken one ends here
    bundle = Bundle(options.out, console)
    path = bundle.folder / "runs.sqlite"
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
    report(plan, table.rows, summary, bundle, console)


@final
@dataclass(frozen=True)
class Plan:
    """What a command asks for.

    Attributes:
        options: The command line.
        space: What all functions are over.
        tasks: One a run, network by network.
        settings: Hyper-parameters of each method.
        functions: Functions already at hand, by id.
    """

    options: Options
    space: SemanticSpace
    tasks: tuple[RunTask, ...]
    settings: dict[str, Settings]
    functions: Mapping[str, ScoreFunction] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Options) -> Plan:
        """Tasks of a command line; everything that is misspelt is told here, before any work."""
        is_paper = options.protocol == "paper"
        limits = thresholds(options.goal)
        Judge(limits, options.judge_points, options.seed)
        budget = None if is_paper else options.budget
        settings = {
            name: told_settings(method, options.protocol, options.goal, budget)
            for name, method in region_methods(options.methods).items()
        }
        space = options.space()
        starts = [tuple(start) for start in options.start_points(space).tolist()]
        ids, functions = recorded_functions(options) if options.functions == "recorded" else (scene_ids(options), {})
        tasks = [
            RunTask(
                function_id=f"complement({function_id})" if options.adversarial else function_id,
                method=name,
                settings=canonical_json(settings[name].to_mapping()),
                start=start,
                budget=budget,
                max_steps=PAPER_STEPS if is_paper else None,
                seed=options.seed,
                epsilon_m=limits.epsilon_m,
                epsilon_v=limits.epsilon_v,
                judge_points=options.judge_points,
                judge_seed=options.seed,
            )
            for function_id in ids
            for name in settings
            for start in starts
        ]
        return cls(options, space, tuple(tasks), settings, functions)

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
        return [name for name, own in live(self.options).network_options().items() if own.weights]

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
            optimizer = get_optimizer(name)(self.space, self.space.default, settings=settings)
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
            f"{','.join(self.classes)} ({shapes} shapes) x {len({task.start for task in self.tasks})} start points x "
            f"{','.join(options.methods)}\n"
            f"at most {bill['forward']:,} forward and {bill['gradient']:,} gradient queries, "
            f"and {bill['judge']:,} forward queries of the judge, which are counted apart"
        )

    def estimate(self) -> str:
        """Time that the runs will take, from a short trial of each network."""
        bill = self.most_queries()
        theta = self.space.sample(8, np.random.default_rng(0))[None]
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


def live(options: Options) -> Options:
    """The options of rendered scenes, what is left away at its default."""
    return replace(
        options,
        networks=options.networks or tuple(NETWORKS),
        classes=options.classes or (CLASSES if options.sources == ("procedural",) and not options.class_name else ()),
        numbers=options.numbers or (0,),
    )


def scene_ids(options: Options) -> list[str]:
    """Ids of live functions: networks x shapes; a shape that cannot be loaded ends here."""
    own = live(options)
    order = {name: number for number, name in enumerate(own.classes)}
    shapes = tuple(sorted(own.selected(), key=lambda shape: order.get(str(shape.class_name), 0)))
    for shape in shapes:
        load_shape(shape.class_name or "", shape.source, own.colors)
    return [str(scene) for scene in own.scenes(shapes, own.params, own.colors)]


def recorded_functions(options: Options) -> tuple[list[str], dict[str, ScoreFunction]]:
    """Ids of the chosen maps of a file, and the one function that answers them all."""
    for option in options.changed():
        raise InvalidParameterError(f"--{option} is for scenes; recorded maps are as they were recorded")
    maps = load_maps(options.maps)
    if maps.space != options.space():
        raise InvalidParameterError(
            f"{options.maps} is over {', '.join(maps.space.names)}, not {', '.join(options.space().names)}"
        )
    wanted = (
        options.networks or None,
        options.classes or None,
        tuple(map(str, options.numbers)) or None,
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


def report(plan: Plan, rows: Sequence[RunRow], summary: RunSummary, bundle: Bundle, console: Console) -> None:
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
        f"In % of the space of {' and '.join(plan.space.names)}. Score: "
        + ("low + high - f (adversarial regions)." if options.adversarial else f"{SCORE_WORDS[options.score]}."),
        markdown_table(table.shown()),
        *([markdown_table(accuracy.shown())] if accuracy.networks else []),
        *([markdown_table(differences)] if differences else []),
        "\n".join(f"- {note}" for note in notes),
    ])
    bundle.text("srvr.md", body)
    exact = [{**row, **accuracy.columns(str(row["network"]))} for row in table.exact()]
    bundle.rows("srvr.csv", exact)
    title = f"SRVR, {options.protocol} form, {','.join(options.methods)}"
    methods = list(table.by_method.items())
    for first in range(0, len(methods), len(PALETTE)):  # one color a method: more of them go on in srvr_2.png, ...
        name = f"srvr_{first // len(PALETTE) + 1}.png" if first else "srvr.png"
        page = dict(methods[first : first + len(PALETTE)])
        bundle.figure(name, srvr_figure(page, plan.networks, title=title))
    if accuracy.networks:
        bundle.figure("accuracy.png", accuracy_figure(accuracy.points, title=f"accuracy and {title}"))
    console.print(body, soft_wrap=True)
    bundle.close("runs.sqlite")
