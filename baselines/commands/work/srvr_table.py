"""Runs networks x shapes x start points x methods, and writes the SRVR tables and pictures."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import numpy as np

from baselines.commands.shared.networks import introduce, starts_by_function
from baselines.commands.shared.options import PAPER_STEPS, start_points, workers_of
from baselines.commands.shared.questions import prices, rank_of, rank_words, starts_of, tasks_of
from baselines.commands.shared.rows import told_record
from baselines.commands.shared.terminal import Bundle, Console, progress_bar, seconds_of
from baselines.commands.srvr_table import SrvrTableOptions
from baselines.experiments.answers import KeptAnswers
from baselines.experiments.frozen import frozen_gains
from baselines.experiments.functions import Functions
from baselines.experiments.pool import Workers
from baselines.experiments.profiles import profile_records, surveys_of
from baselines.experiments.runner import CHUNK, LIVE_MODULES, RunSummary, run_tasks
from optimizers.base import BUDGET as SPENT
from optimizers.base import Optimizer
from optimizers.corner_method import START_HALF_WIDTH
from optimizers.registry import get_optimizer
from semrob_env.errors import InvalidParameterError, OutputError, UnknownNameError
from semrob_env.files import markdown_table
from semrob_env.functions import ScoreFunction
from semrob_env.metrics import Reach, Survey, effects, reach
from semrob_env.metrics.survey import EFFECT_POINTS
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting import PALETTE, srvr_figure
from semrob_env.plotting.parameters import rates_figure, reach_figure
from semrob_env.plotting.profiles import ProfileCrossing, ProfileCurve, ProfilePanel, profiles_figure
from semrob_env.plotting.srvr import accuracy_figure
from semrob_env.recorded import load_maps
from semrob_env.recorded.function import map_id
from semrob_env.regions import Regions
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.scene.classifiers.registry import NETWORKS
from semrob_env.scene.classifiers.score_kinds import SCORE_WORDS
from semrob_env.scene.sources import check_loads
from semrob_env.store import BUDGET, FAILED, UNPAID, RunRow, RunStore, RunTask
from semrob_env.tables import AccuracyTable, SrvrTable, Subject, group, srvr_text
from semrob_env.tables.profiles import ProfileTable
from semrob_env.tables.words import (
    adversarial_words,
    certified_words,
    effect_words,
    frozen_words,
    reach_words,
    survey_words,
)

CLASSES = ("cup", "chair", "bottle", "piano")  # of the default table of live functions
NUMBERS = (0, 3)
"""Shapes of each of them that are unlike each other."""
ANSWER, PAPER_METHODS = "box_quadrature", ("naive", "oir_b", "oir_w")
LEVELS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Of the usual profile."""
USUAL_BUDGET = 40
"""Queries of a run on scenes, where each takes milliseconds."""
MOST_DRAWN = 2
"""Parameters that maps show; with more, words and a picture say which of them ends a region."""
WHOLE, NOTHING = 1 - 1e-6, 1e-6
BATCH, LIVE_BATCH = 4096, 16  # runs of one method at once, on maps and on live functions: what a kill can lose


def run(options: SrvrTableOptions, console: Console) -> None:
    plan = SrvrPlan.of(options)
    console.say(plan.describe())
    if options.dry_run or options.form == "paper":
        console.say(plan.estimate())
    if options.dry_run:
        return
    introduce(console, starts_by_function([task.question for task in plan.tasks]))
    for network in plan.networks:
        plan.function(network).values(plan.space.default[None, None])  # a broken one ends here
    bundle = Bundle(options.out, console)
    path = bundle.folder / "runs.sqlite"
    if not options.resume and path.exists():
        raise OutputError(f"{path} is there already; --no-resume wants an empty --out, leave it away to go on")
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
            RunStore(path),
            functions=plan.functions,
            chunk=LIVE_BATCH if options.functions == "scenes" else BATCH if plan.workers.is_here else CHUNK,
            workers=plan.workers,
            modules=options.imports,
            retry_failed=True,
            on_rows=on_rows,
            on_step=on_step,
        )
    report(plan, table.rows, summary, bundle, console)


@final
@dataclass(frozen=True)
class SrvrPlan:
    """What a command asks for.

    Attributes:
        prices: Forward and gradient queries of a step of each method.
        own: Labels of networks that are not what their name says: with weights of the user, or renamed.
        scores: What a score is, in words.
    """

    options: SrvrTableOptions
    space: SemanticSpace
    tasks: tuple[RunTask, ...]
    functions: Functions
    prices: Mapping[str, tuple[int, int]]
    own: tuple[str, ...] = ()
    scores: str = SCORE_WORDS["softmax"]

    @classmethod
    def of(cls, options: SrvrTableOptions) -> SrvrPlan:
        """Tasks of a command line; everything that is misspelt is told here, before any work."""
        options, space = usual(options), options.space()
        prices_of_steps = prices(options, space)
        if not rank_of(options, options.starts):
            start_points(space, options.starts)
        ids, functions = recorded_functions(options) if options.functions == "recorded" else scene_functions(options)
        if options.functions == "scenes" and not options.dry_run:  # while this process makes its own networks
            workers_of(options, alone=True).begin(LIVE_MODULES)
        starts = {name: starts_of(options, options.starts, *functions.member(name)) for name in ids}
        if options.functions == "scenes" and not options.starts and not rank_of(options, options.starts):
            starts = {name: points[1::2] if len(points) > 1 else points for name, points in starts.items()}
        if options.adversarial:
            starts = {f"complement({name})": points for name, points in starts.items()}
            if options.functions == "recorded":
                functions = Functions(starts, options.maps)
        plan = cls(options, space, tuple(tasks_of(options, starts)), functions, prices_of_steps)
        if options.functions == "recorded":
            return plan
        specs = live(options).specs()
        own = [spec.label for spec in specs if spec.options.weights or spec.label != spec.network]
        words = {spec.options.score: SCORE_WORDS[spec.options.score] for spec in specs}
        return replace(plan, own=tuple(own), scores="; ".join(words.values()))

    @property
    def workers(self) -> Workers:
        """As asked for, else one a core on many maps, and this process on live functions."""
        return workers_of(self.options, alone=self.options.functions == "scenes" or len(self.tasks) <= BATCH)

    @property
    def goal_words(self) -> str:
        """The goal in words, of f itself."""
        return adversarial_words(self.options.goal) if self.options.adversarial else self.options.goal.words

    @property
    def subjects(self) -> list[Subject]:
        return list(dict.fromkeys(Subject.of(task.question.function_id) for task in self.tasks))

    @property
    def networks(self) -> list[str]:
        return list(dict.fromkeys(subject.network for subject in self.subjects))

    @property
    def classes(self) -> list[str]:
        return list(dict.fromkeys(subject.class_name for subject in self.subjects))

    def function(self, network: str) -> ScoreFunction:
        ids = (task.question.function_id for task in self.tasks)
        return self.functions.member(next(name for name in ids if Subject.of(name).network == network))[0]

    def most_queries(self) -> Counter[str]:
        """Most forward and gradient queries of all runs, by a method's first step; those of judge and certificates."""
        budget, max_steps = self.options.method_budget(), self.options.limits()[1]
        paid, certificates = self.options.certify == BUDGET, len(self.tasks) * self.options.certificate_points
        # The truth of recorded maps is known, and is the certificate.
        apart = certificates * (not paid and self.options.functions == "scenes")
        judge = len(self.tasks) * self.options.judge_points
        bill: Counter[str] = Counter(judge=judge, certificate=apart, forward=certificates * paid)
        for name, (forward, gradient) in self.prices.items():
            each = min(max_steps or np.inf, (budget or np.inf) // (forward + gradient))
            steps = int(each) * sum(task.method == name for task in self.tasks)
            bill.update(forward=steps * forward, gradient=steps * gradient)
        return bill

    def describe(self) -> str:
        bill, (budget, max_steps) = self.most_queries(), self.options.limits()
        each = [f"at most {budget} queries"] * (budget is not None) + [f"{max_steps} steps"] * (max_steps is not None)
        shapes = len({(subject.class_name, subject.shape) for subject in self.subjects})
        starts = len(self.tasks) // (len(self.prices) * len(self.subjects))
        lowest = (words := rank_words(self.options, self.options.starts)) and f"\n{words}"
        return (
            f"{len(self.tasks)} runs ({self.options.form} form, {', '.join(each)} each): {','.join(self.networks)} x "
            f"{','.join(self.classes)} ({shapes} shapes) x {starts} start points x {','.join(self.prices)}; "
            f"goal: {self.goal_words}\n"
            f"at most {bill['forward']:,} forward and {bill['gradient']:,} gradient queries, "
            f"and {bill['judge']:,} forward queries of the judge and {bill['certificate']:,} of certificates, counted "
            f"apart{lowest}"
        )

    def estimate(self) -> str:
        """Time that the runs will take, from a short trial of each network."""
        bill = self.most_queries()
        theta = self.space.sample(8, np.random.default_rng(0))[None]
        value, slope, each = 0.0, 0.0, theta.shape[1] * len(self.networks)
        for function in map(self.function, self.networks):
            value += seconds_of(partial(function.values, theta)) / each
            if bill["gradient"] and function.has_gradient:
                slope += seconds_of(partial(function.values_and_gradients, theta)) / each
        values = bill["forward"] - bill["gradient"] + bill["judge"] + bill["certificate"]
        total = value * values + slope * bill["gradient"]
        return (
            f"estimated time: {total / 60:.1f} minutes "
            f"({1e3 * value:.1f} ms a value, {1e3 * slope:.1f} ms a value with gradient, mean over networks)"
        )


def usual(options: SrvrTableOptions) -> SrvrTableOptions:
    """The options with the usual methods and levels: on scenes our answer beside the paper's methods."""
    if options.functions == "recorded" or options.form == "paper":
        return replace(options, methods=options.methods or PAPER_METHODS)
    return replace(
        options,
        methods=options.methods or (ANSWER, *PAPER_METHODS),
        levels=options.levels or LEVELS,
        budget=options.budget or USUAL_BUDGET,
    )


def live(options: SrvrTableOptions) -> SrvrTableOptions:
    """The options of rendered scenes, what is left away at its default."""
    return replace(
        options,
        networks=options.networks or tuple(NETWORKS),
        classes=options.classes or (CLASSES if options.sources == ("procedural",) and not options.class_name else ()),
        numbers=options.numbers or NUMBERS,
    )


def scene_functions(options: SrvrTableOptions) -> tuple[list[str], Functions]:
    """Live functions: networks x shapes; a shape that cannot be loaded ends here."""
    own = live(options)
    order = {name: number for number, name in enumerate(own.classes)}
    shapes = tuple(sorted(own.selected(), key=lambda shape: order.get(str(shape.class_name), 0)))
    for shape in shapes:
        check_loads(shape, own.colors, own.shading)
    ids = [str(scene) for scene in own.scenes(shapes, own.params, own)]
    return ids, Functions(ids)


def recorded_functions(options: SrvrTableOptions) -> tuple[list[str], Functions]:
    """Ids of the chosen maps of a file, and the one family that answers them all."""
    for option in options.changed():
        raise InvalidParameterError(f"--{option} is for scenes; recorded maps are as they were recorded")
    maps = load_maps(options.maps)
    if maps.space != options.space():
        raise InvalidParameterError(
            f"{options.maps} is over {', '.join(maps.space.names)}, not {', '.join(options.space().names)}"
        )
    wanted = {"networks": options.networks, "classes": options.classes, "shapes": tuple(map(str, options.numbers))}
    chosen = maps.names
    for index, (option, allowed) in enumerate(wanted.items()):
        known = list(dict.fromkeys(parts_of(name)[index] for name in maps.names))
        for unknown in (name for name in allowed if name not in known):
            raise UnknownNameError(f"--{option} {unknown}: not in {options.maps}, which has {', '.join(known)}")
        chosen = tuple(name for name in chosen if not allowed or parts_of(name)[index] in allowed)
    if not chosen:
        raise UnknownNameError(f"no map of {options.maps} is of all the --networks, --classes and --shapes given")
    ids = [map_id(name) for name in chosen]
    return ids, Functions(ids, options.maps)


@final
class Streamed:
    """Collects rows and prints a line for each network, class and method as soon as its last run is in."""

    def __init__(self, plan: SrvrPlan, console: Console) -> None:
        self.rows: list[RunRow] = []
        self._console = console
        self._open = Counter(group(task) for task in plan.tasks)
        self._started = time.perf_counter()

    def add(self, rows: Sequence[RunRow]) -> None:
        self.rows += rows
        for key, count in Counter(group(row) for row in rows).items():
            self._open[key] -= count
            if not self._open[key]:
                own = [row for row in self.rows if group(row) == key and row.has_run]
                self._console.say(self._line(key, own))

    def _line(self, key: tuple[str, str, str], rows: Sequence[RunRow]) -> str:
        passed = f"{time.perf_counter() - self._started:6.1f} s  {'  '.join(f'{word:16s}' for word in key)}"
        if not rows:
            return f"{passed}  no run gave a region"
        shown = srvr_text(float(np.mean([row.share for row in rows])), rows, 2 * START_HALF_WIDTH)
        bill = f"{sum(r.forward_queries for r in rows)} + {sum(r.gradient_queries for r in rows)} queries"
        return (
            f"{passed}  SRVR {shown:>10s}  feasible {sum(row.feasible for row in rows):2d}, certified "
            f"{sum(row.certified for row in rows):2d} of {len(rows)}  {bill}"
        )


def report(plan: SrvrPlan, rows: Sequence[RunRow], summary: RunSummary, bundle: Bundle, console: Console) -> None:
    # Workers finish in any order; sums are taken in one.
    rows = sorted(rows, key=lambda row: (row.task.question.function_id, row.task.method, row.task.question.start))
    good = [row for row in rows if row.has_run]
    notes = [plan.describe().replace("\n", "; "), plan.options.certified_text(len(plan.tasks))]
    for status, words in {FAILED: "failed", UNPAID: "had a budget too small for one step"}.items():
        if own := [row for row in rows if row.status == status]:
            error = f"; the first one: {own[0].error}" if own[0].error else ""
            notes.append(f"{len(own)} runs {words} and are left out{error}")
    if summary.stale:
        notes.append(f"{summary.stale} rows of other versions of these methods are in the store and left out")
    if not good:
        raise OutputError(f"no run gave a region: {'; '.join(notes[2:])}")
    options = plan.options
    answers = [name for name in plan.prices if get_optimizer(name).answers_goals]
    table = SrvrTable.of(
        good,
        list(plan.prices),
        plan.networks,
        plan.classes,
        start_size=2 * START_HALF_WIDTH,
        seed=options.seed,
        averaged=answers,
    )
    if not any(np.isfinite(row.low) for _, row in table.lines()):
        notes.append("no intervals: one shape tells nothing of others; give more --shapes")
    if still := table.not_grown():
        notes.append(f"the median region of {', '.join(still)} has not left its start size of {table.start_size:g}")
    notes += [ended_words(name, [row for row in good if row.task.method == name]) for name in plan.prices]
    found = surveyed(plan, bundle, console) if options.survey_points and options.functions == "scenes" else {}
    if found:
        views = sum(own.queries for own in found.values())
        notes.append(f"surveys: {options.survey_points} views of each function, {views:,} queries, counted apart")
    differences = table.differences()
    # The largest failing regions are no robustness that an accuracy could agree with.
    accuracy = None if options.adversarial else AccuracyTable.of(table, own_weights=plan.own)
    notes += accuracy.notes() if accuracy else []
    if profiles := profile_tables(plan, good, found):
        notes.append(
            "certified, in the table: the region as it was returned, which ends where the goal does and seldom surely "
            "meets it; in the profile: the widest of the nested regions of a run that does"
        )
    body = "\n\n".join([
        "# SRVR: semantic robustness volume ratio",
        f"In % of the space of {' and '.join(plan.space.names)}. Score f: {plan.scores}. Feasible: {plan.goal_words}.",
        *[f"**{network}**: {'; '.join(network_words(plan, network, good, found))}." for network in plan.networks],
        *[part for own in profiles for part in profile_part(own)],
        markdown_table(table.shown()),
        *([markdown_table(accuracy.shown())] if accuracy and accuracy.networks else []),
        *([markdown_table(differences)] if differences else []),
        "\n".join(f"- {note}" for note in notes),
    ])
    bundle.text("srvr.md", body)
    bundle.rows(
        "srvr.csv", [{**row, **(accuracy.columns(str(row["network"])) if accuracy else {})} for row in table.exact()]
    )
    bundle.rows("runs.csv", [told_record(row, adversarial=options.adversarial) for row in rows])
    title = f"{'adversarial ' if options.adversarial else ''}SRVR, {options.form} form, {','.join(plan.prices)}"
    methods = list(table.by_method.items())
    for begin in range(0, len(methods), len(PALETTE)):  # one color a method: more of them go on in srvr_2.png, ...
        name = f"srvr_{begin // len(PALETTE) + 1}.png" if begin else "srvr.png"
        page = dict(methods[begin : begin + len(PALETTE)])
        bundle.figure(name, srvr_figure(page, plan.networks, title=title))
    if accuracy and accuracy.networks:
        bundle.figure(
            "accuracy.png", accuracy_figure(accuracy.points, title=f"accuracy and SRVR by {','.join(table.averaged)}")
        )
    if profiles:
        bundle.rows("profiles.csv", [line for own in profiles for line in own.exact()])
        bundle.figure("profiles.png", profiles_figure([profile_panel(profiles)], title="Robustness profiles"))
    if found:
        surveys = {network: joined_survey(plan, network, found) for network in plan.networks}
        bundle.figure("views.png", rates_figure(surveys, title="Right views along each parameter"))
    if plan.space.n > MOST_DRAWN and (reaches := widest_reaches(plan, good, answers)):
        bundle.figure("reach.png", reach_figure(reaches, title="What ends the widest certified region first"))
    console.say(body)
    bundle.close("runs.sqlite", *(["answers.sqlite"] if found else []))


def ended_words(name: str, rows: Sequence[RunRow]) -> str:
    """How the runs of a method ended, and how many of its answers are all or nothing."""
    if not rows:
        return f"{name}: no run"
    ended = ", ".join(f"{count} by {status}" for status, count in Counter(row.status for row in rows).items())
    whole, none = sum(row.share > WHOLE for row in rows), sum(row.share < NOTHING for row in rows)
    grows = not get_optimizer(name).answers_goals and any(row.status == SPENT for row in rows)
    return (
        f"{name}: {len(rows)} runs ended, {ended}; {whole} answers are the whole space, {none} nothing"
        + "; its regions grow with the budget: compare them at equal budgets only" * grows
    )


def surveyed(plan: SrvrPlan, bundle: Bundle, console: Console) -> dict[str, Survey]:
    """A survey of each function."""
    names = list(dict.fromkeys(task.question.function_id for task in plan.tasks))
    kept = KeptAnswers(bundle.folder / "answers.sqlite")
    with progress_bar(console, "functions") as progress:
        bar = progress.add_task("views", total=len(names))
        return surveys_of(
            names, plan.functions, plan.options.survey_points, plan.options.seed, kept, lambda: progress.advance(bar)
        )


def joined_survey(plan: SrvrPlan, network: str, found: Mapping[str, Survey]) -> Survey:
    """The surveys of all shapes of a network as one, in scores of f itself."""
    joined = Survey.joined([own for name, own in found.items() if Subject.of(name).network == network])
    return replace(joined, scores=1 - joined.scores) if plan.options.adversarial else joined


def network_words(plan: SrvrPlan, network: str, rows: Sequence[RunRow], found: Mapping[str, Survey]) -> list[str]:
    """What a person wants to know of a network, in sentences."""
    words = survey_words(joined_survey(plan, network, found)) if found else []
    if best := widest_certified(network, rows):
        subject = Subject.of(best.task.question.function_id)
        region = region_of(plan, best)
        goal, exact = best.task.question.goal, best.is_exact
        held = certified_words(
            region,
            best.goal_lower,
            level=goal.threshold,
            confidence=None if exact else plan.options.confidence,
            adversarial=plan.options.adversarial,
        )
        kind = "failing region" if plan.options.adversarial else "region"
        words.append(f"widest certified {kind}, on {subject.class_name} {subject.shape}: {held}")
        if plan.space.n > MOST_DRAWN:
            words.append(reach_words(reach(region, np.array(best.task.question.start))))
        if plan.options.frozen and plan.space.n > 1:
            words += frozen_sentences(plan, best)
    else:
        words.append("no region is certified")
    if plan.space.n > MOST_DRAWN and found:
        name = next(name for name in found if Subject.of(name).network == network)
        function, member = plan.functions.member(name)
        points = min(EFFECT_POINTS, len(found[name]))
        words += effect_words(effects(function, found[name], member, points=points))
    return words


def frozen_sentences(plan: SrvrPlan, row: RunRow) -> list[str]:
    """What freezing each parameter at the start point of a run would win, and what it cost to find out."""
    function, _ = plan.functions.member(row.task.question.function_id)
    gains = frozen_gains(function, row)
    words = [
        frozen_words(
            parameter,
            start,
            gain.free if row.feasible else None,
            gain.frozen if gain.row.feasible else None,
        )
        for parameter, start, gain in zip(plan.space.parameters, row.task.question.start, gains, strict=True)
    ]
    return [*words, f"{sum(gain.row.forward_queries for gain in gains)} queries to find that out"]


def region_of(plan: SrvrPlan, row: RunRow) -> Regions:
    return Regions(plan.space, np.array([row.lower]), np.array([row.upper]))


def widest_certified(network: str, rows: Sequence[RunRow]) -> RunRow | None:
    own = [row for row in rows if row.certified and Subject.of(row.task.question.function_id).network == network]
    return max(own, key=lambda row: row.share, default=None)


def widest_reaches(plan: SrvrPlan, rows: Sequence[RunRow], answers: Sequence[str]) -> dict[str, Reach]:
    """How far the widest certified region of each network reaches."""
    own = [row for row in rows if row.task.method in answers] or rows
    best = {network: widest_certified(network, own) for network in plan.networks}
    return {
        network: reach(region_of(plan, row), np.array(row.task.question.start))
        for network, row in best.items()
        if row is not None
    }


def profile_tables(plan: SrvrPlan, rows: Sequence[RunRow], found: Mapping[str, Survey]) -> list[ProfileTable]:
    """Profiles of all regions that the first method that answers them gave: all, feasible and certified ones."""
    own = [row for row in rows if row.profile_lower and get_optimizer(row.task.method).answers_goals]
    own = [row for row in own if row.task.method == own[0].task.method]
    if not own or not (found or all(row.is_exact for row in own)):
        return []
    every, certified = profile_records(own, plan.functions, found, plan.options.confidence)
    kinds = {"all regions": every, "feasible": every.only_feasible(), "certified": certified}
    goal, seed = plan.options.goal, plan.options.seed
    told = tuple(plan.networks)
    return [ProfileTable(kind, goal, one, told, seed, plan.options.adversarial) for kind, one in kinds.items()]


def profile_part(table: ProfileTable) -> list[str]:
    """A profile as text."""
    crossed = table.crossing_words()
    return [
        f"Profile, {table.title}: mean share of the space (%) of the largest region; {table.words}."
        + f" {'; '.join(crossed)}." * bool(crossed),
        markdown_table(table.shown()),
    ]


def profile_panel(tables: Sequence[ProfileTable]) -> ProfilePanel:
    """Feasible regions as curves, certified ones dashed."""
    shown = {"feasible": False, "certified": True}
    curves = [
        ProfileCurve(
            mean.name + ", certified" * shown[table.title],
            mean.levels,
            mean.estimate,
            mean.low,
            mean.high,
            mean.area.estimate,
            table.networks.index(mean.name),
            dashed=shown[table.title],
        )
        for table in tables
        if table.title in shown
        for mean in table.means
    ]
    feasible = next(table for table in tables if table.title == "feasible")
    marks = [
        ProfileCrossing(one.level, text, one.is_proved)
        for (_, _, one), text in zip(feasible.crossings, feasible.crossing_words(), strict=True)
    ]
    return ProfilePanel(feasible.words.capitalize(), "level", tuple(curves), tuple(marks))
