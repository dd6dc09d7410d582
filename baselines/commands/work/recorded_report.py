"""Replays the paper's methods on recorded maps, and compares them with the authors' own regions."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import numpy as np

from baselines.commands.recorded_report import NO_TRACES, RecordedReportOptions
from baselines.commands.shared.options import workers_of
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.experiments.functions import Functions
from baselines.experiments.profiles import profile_records
from baselines.experiments.runner import CHUNK, keys_of, run_tasks
from optimizers.base import Optimizer, Settings
from optimizers.corner_method import settings_of_form
from optimizers.registry import get_optimizer
from optimizers.run import run as run_optimizer
from semrob_env.errors import InvalidParameterError, OutputError
from semrob_env.files import interval_text, markdown_table
from semrob_env.metrics import SrvrRow
from semrob_env.metrics.certificates import CONFIDENCE
from semrob_env.metrics.profiles import checked_levels
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import paper_starts
from semrob_env.plotting.profiles import ProfileCrossing, ProfileCurve, ProfilePanel, profiles_figure
from semrob_env.plotting.release import Beside, bounds_beside_figure, overlap_figure, srvr_beside_figure
from semrob_env.questions import Goal, MeanGoal, Question, Questions, ReliabilityGoal
from semrob_env.recorded import RecordedMaps, held_out_error, load_maps
from semrob_env.recorded.implied import implied_scores
from semrob_env.recorded.traces import METHODS, SPACE, ReleaseTraces, load_traces
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.store import RunRow, RunStore, RunTask, canonical_json
from semrob_env.tables import (
    RECORDED,
    RELEASED,
    REPLAY,
    Convergence,
    ReleaseReport,
    convergence,
    diverged,
    method_difference,
    overlaps,
)
from semrob_env.tables.profiles import (
    EXACT,
    ProfileTable,
    claim_by_level,
    difference_text,
    exact_records,
    level_words,
    region_records_at,
    verdict,
    without_seam,
)
from semrob_env.tables.srvr import overall_difference
from semrob_env.types import FloatArray

PAPER_STEPS = 600  # of the released runs
REPLAY_CHUNK = 2048  # replays are quick


def run(options: RecordedReportOptions, console: Console) -> None:
    maps = load_maps(options.maps)
    if maps.space != SPACE:
        raise InvalidParameterError(f"{options.maps} is over {', '.join(maps.space.names)}, not azimuth, elevation")
    traces = None if options.traces == NO_TRACES else load_traces(options.traces)
    levels = checked_levels(options.levels)
    for level in levels.tolist():
        VERY_RELIABLE.at(level)
    bundle = Bundle(options.out, console)
    function = RecordedMaps(maps)
    replays = {name: variant.tasks(function, options.goal) for name, variant in variants().items()}
    tasks = list(dict.fromkeys(itertools.chain(*replays.values())))
    asked = {goal: query_tasks(function, goal, levels, options.queries) for goal in QUERY_GOALS if options.queries}
    file = bundle.folder / "runs.sqlite"
    functions, store = Functions(function.member_ids, options.maps), RunStore(file)
    with progress_bar(console, "runs") as progress:

        def rows_of(name: str, own: list[RunTask], chunk: int) -> dict[RunTask, RunRow]:
            bar = progress.add_task(name, total=len(own))
            summary = run_tasks(
                own,
                store,
                functions=functions,
                chunk=chunk,
                workers=workers_of(options, alone=True),
                retry_failed=True,
                on_rows=lambda rows, _: progress.advance(bar, len(rows)),
            )
            if summary.failed:
                raise OutputError(f"{summary.failed} {name} failed; their errors are in {file}")
            keys = keys_of(own, functions)
            rows = store.find(keys.values())
            return {task: rows[keys[task]] for task in own}

        found = rows_of("replays", tasks, REPLAY_CHUNK)
        found |= rows_of("box_quadrature", list(itertools.chain(*asked.values())), CHUNK)
    runs = {name: [found[task] for task in own] for name, own in replays.items()}
    report = ReleaseReport(function, traces, runs, STARTS, options.goal, options.seed)
    profiles = exact_tables(report, levels, console)
    for goal, own in asked.items():
        records, _ = profile_records([found[task] for task in own], functions, {}, CONFIDENCE)
        title = f"{options.queries} queries"
        profiles.append(ProfileTable(title, goal, records, tuple(report.networks), report.seed))
    write(report, profiles, bundle, console)


@final
@dataclass(frozen=True)
class Variant:
    """A way to replay: the methods, what differs from the paper's settings, and the steps."""

    methods: tuple[str, ...] = METHODS
    changes: Mapping[str, str] | None = None
    steps: int = PAPER_STEPS

    def settings(self, method: str) -> Settings:
        paper = settings_of_form(get_optimizer(method), "paper")
        known = paper.to_mapping()
        return replace(paper, **{name: word for name, word in (self.changes or {}).items() if name in known})

    def tasks(self, function: RecordedMaps, goal: Goal) -> list[RunTask]:
        return [
            RunTask(Question(member_id, start, goal), method, settings, max_steps=self.steps)
            for method in self.methods
            for settings in [canonical_json(self.settings(method).to_mapping())]
            for member_id in function.member_ids
            for start in STARTS
        ]


STARTS = [tuple(start) for start in paper_starts(SPACE).tolist()]


def variants() -> dict[str, Variant]:
    return {
        REPLAY: Variant(),
        RELEASED: Variant(changes={"projection": "at_the_end", "gradient": "cross_entropy"}),
        "cut at the end only": Variant(changes={"projection": "at_the_end"}),
        "gradient of the cross-entropy": Variant(("oir_w",), {"gradient": "cross_entropy"}),
        "500 steps": Variant(steps=500),
        "800 steps": Variant(steps=800),
    }


MEAN, VARIANCE = MeanGoal(), MeanGoal(epsilon_v=0.05)
RELIABLE, VERY_RELIABLE = ReliabilityGoal(reliability=0.9), ReliabilityGoal(reliability=0.95)
QUERY_GOALS: tuple[Goal, ...] = (MEAN, RELIABLE)
NO_SEAM = "exact, not across the seam"


def query_tasks(function: RecordedMaps, goal: Goal, levels: FloatArray, queries: int | None) -> list[RunTask]:
    """What asks box_quadrature for all levels at once, from every start point of every map."""
    return [
        RunTask(Question(member_id, start, goal, queries, levels=tuple(levels.tolist())), "box_quadrature")
        for member_id in function.member_ids
        for start in STARTS
    ]


def exact_tables(report: ReleaseReport, levels: FloatArray, console: Console) -> list[ProfileTable]:
    """The exact profiles: of both kinds of goals, with a bound on the variance, and without regions across the seam."""
    cut = RecordedMaps(without_seam(report.function.maps))
    chosen: list[tuple[str, RecordedMaps, Goal]] = [
        (EXACT, report.function, goal) for goal in (MEAN, VARIANCE, RELIABLE, VERY_RELIABLE)
    ]
    chosen.append((NO_SEAM, cut, MEAN))
    tables = []
    with progress_bar(console, "maps") as progress:
        bar = progress.add_task("exact profiles", total=len(chosen) * report.function.members)
        for title, function, goal in chosen:
            records = exact_records(function, STARTS, goal, levels, lambda: progress.advance(bar))
            tables.append(ProfileTable(title, goal, records, tuple(report.networks), report.seed))
    return tables


def write(report: ReleaseReport, profiles: list[ProfileTable], bundle: Bundle, console: Console) -> None:
    lines = report.lines()
    body = "\n\n".join([
        "# Recorded maps: replays beside the authors' own regions",
        *data_part(report),
        "## SRVR",
        "In % of the space. A replay uses the paper's updates and settings on the interpolated maps, with bounds "
        "projected into the space at every step. Recorded regions are cut to the space; runs without a trace or with "
        "bounds that are no numbers, or upside down, are left out. `seam`: the same mean if regions ended at azimuth 0 "
        "and 360 and lost what lies beyond, instead of going on across. Overlap: mean intersection over union over the "
        "pairs of which at least one has grown.",
        markdown_table([shown(line) for line in lines]),
        *implied_part(report),
        *switches_part(report),
        *claims_part(report),
        *optimum_part(report),
        *profiles_part(profiles),
        *levels_part(report, profiles),
    ])
    bundle.text("report.md", body)
    bundle.rows("report.csv", lines)
    bundle.rows("profiles.csv", [line for table in profiles for line in table.exact()])
    bundle.figure("profiles.png", profiles_figure(profile_panels(profiles), title="Robustness profiles"))
    bundle.figure("srvr.png", srvr_beside_figure(lines, report.networks, report.main_kinds))
    if RECORDED in report.sets:
        bundle.figure("overlap.png", overlap_figure(report.sets, REPLAY, RECORDED, report.networks))
    if report.traces is not None and (beside := traced(report.traces, report.function)):
        bundle.figure("bounds.png", bounds_beside_figure(beside))
    console.say(body)
    bundle.close("runs.sqlite")


def data_part(report: ReleaseReport) -> list[str]:
    maps, traces = report.function.maps, report.traces
    error = held_out_error(maps)
    text = (
        f"{len(maps)} maps of {', '.join(report.networks)}; {len(STARTS)} start points each. Every second grid line "
        f"held out: mean absolute error {error.mean_absolute:.4f}, {100 * error.flips:.2f} % of scores on the other "
        f"side of 0.5. Feasible: {report.goal.words}, by the exact integrals of the interpolant."
    )
    if traces is None:
        return [text, "No recorded runs were given: replays stand alone."]
    lost = diverged(traces)
    return [
        text,
        f"{len(traces)} recorded runs: {int((traces.steps == 0).sum())} without a trace, {int(lost.sum())} diverged: "
        f"bounds that are no numbers, or upside down; {int((~lost & ~traces.is_inside).sum())} end outside the space.",
    ]


def shown(line: Mapping[str, Any]) -> dict[str, str]:
    overlap = line["overlap_with_recorded"]
    return {
        "network": line["network"],
        "method": line["method"],
        "regions": line["kind"],
        "SRVR": f"{100 * line['estimate']:.2f}",
        "95 % interval": interval_text(line["low"], line["high"]),
        "seam": f"{100 * line['cut_at_the_seam']:.2f}",
        "feasible only": f"{100 * line['feasible_estimate']:.2f}",
        "feasible": f"{line['feasible_runs']} of {line['runs']}",
        "no trace / diverged": f"{line['no_trace']} / {line['diverged']}" if line["kind"] == RECORDED else "-",
        "overlap (IoU) with recorded": f"{overlap:.2f} of {line['overlap_pairs']}" if np.isfinite(overlap) else "-",
        "above 0.5": f"{100 * line['overlap_above_half']:.0f} %" if np.isfinite(overlap) else "-",
    }


def implied_part(report: ReleaseReport) -> list[str]:
    """Where the recorded traces tell other scores than the maps."""
    if report.traces is None:
        return []
    implied = implied_scores(report.traces, report.function)
    rows = [
        {
            "elevation of the face": f"{text} -10 to 90 degrees",
            "steps x faces": f"{keep.sum():,}",
            "mean score told": f"{implied.recorded[keep].mean():.3f}",
            "mean score on the map": f"{implied.interpolated[keep].mean():.3f}",
            "mean absolute difference": f"{np.abs((implied.interpolated - implied.recorded)[keep]).mean():.3f}",
        }
        for text, keep in (("within", implied.is_inside), ("beyond", ~implied.is_inside))
        if keep.any()
    ]
    if not rows:
        return []
    return [
        "## Why replays differ from recorded regions",
        "The steps of the traced Naive runs tell which mean score the released code was given at each face. Beyond the "
        "range of elevation, where its bounds went, it rendered what the maps do not hold; replays keep the score of "
        "the last line there, so they go on growing.",
        markdown_table(rows),
    ]


def switches_part(report: ReleaseReport) -> list[str]:
    rows = []
    for kind in report.runs:
        row = {"replay": kind}
        for method in METHODS:
            own = report.sets[kind].of(method=method)
            overlap = overlaps(report.sets[REPLAY].of(method=method), own)
            row[method] = "as above" if not len(own) else f"{100 * own.share.mean():.2f}"
            row[f"{method}: IoU with the first"] = "-" if not len(overlap) else f"{overlap.mean():.2f}"
        rows.append(row)
    return [
        "## What the released code did otherwise",
        "Mean SRVR in % over all networks. `replay as released`: bounds leave the space and are cut at the end only "
        "(the released code's clipping is overwritten), and OIR_W is fed the gradient of a cross-entropy on top of the "
        "softmax, to first order minus that of the score. Un-normalized pictures are part of the recorded scores.",
        markdown_table(rows),
    ]


def claims_part(report: ReleaseReport) -> list[str]:
    rows = []
    for kind in report.main_kinds:
        if (found := report.difference(kind, "ResNet50", "Inceptionv3")) is not None:
            rows.append(claim(kind, "SRVR of ResNet50 above that of Inceptionv3", found))
        for method in METHODS[1:]:
            if (found := method_difference(report.sets[kind], method, METHODS[0])) is not None:
                rows.append(claim(kind, f"regions of {method} larger than those of {METHODS[0]}", found))
    same = [
        {"regions": kind, "method": method, **pairs_shown(convergence(report.sets[kind].of(method=method)))}
        for kind in report.main_kinds
        for method in METHODS
    ]
    return [
        "## The paper's claims",
        "Differences of SRVR in points of %, on the same shapes. A claim holds if the 95 % interval lies "
        "above 0, and is turned round if it lies below.",
        markdown_table(rows) if rows else "Nothing to compare.",
        "Start points in one region converge to the same bounds: pairs of runs of one map and method, each of whose "
        "start points lies in the other's final region; beside them pairs in which only one does.",
        markdown_table(same),
    ]


def claim(kind: str, text: str, found: SrvrRow) -> dict[str, str]:
    return {
        "regions": kind,
        "claim": text,
        "difference": f"{100 * found.estimate:+.2f}",
        "95 % interval": interval_text(found.low, found.high),
        "verdict": verdict(found),
    }


def pairs_shown(found: Convergence) -> dict[str, str]:
    return {
        "pairs": str(found.pairs),
        "median IoU": f"{found.median_overlap:.2f}" if found.pairs else "-",
        "IoU >= 0.9": f"{100 * found.same:.0f} %" if found.pairs else "-",
        "one-sided pairs": str(found.one_sided),
        "median IoU of them": f"{found.one_sided_overlap:.2f}" if found.one_sided else "-",
    }


def optimum_part(report: ReleaseReport) -> list[str]:
    best, rows = report.best_shares(), []
    for network, shares in best.items():
        row = {
            "network": network,
            "questions with an answer": f"{int((shares > 0).sum())} of {len(shares)}",
            "mean optimum %": f"{100 * shares[shares > 0].mean():.2f}" if (shares > 0).any() else "-",
        }
        for method in METHODS:
            lost = report.regrets(network, method, shares)
            row[f"median regret, {method}"] = f"{np.nanmedian(lost):.2f}" if (shares > 0).any() else "-"
        rows.append(row)
    return [
        "## The best there is",
        "The largest grid-aligned feasible rectangle around each start point, by exact integrals. Regret of a replay: "
        "1 - feasible volume / optimum; an infeasible region counts 0 (regret 1).",
        markdown_table(rows),
    ]


def profiles_part(profiles: list[ProfileTable]) -> list[str]:
    """The profile of each network by kind of region and goal."""
    text = [
        "## Robustness profiles",
        "By the level that is asked, the largest region around each start point that meets the goal there: mean share "
        "of the space in %; where there is none it counts 0. Exact: the best grid-aligned rectangle by exact "
        "integrals, no query. Area: mean share over the range of the levels, the one number; intervals are its own. A "
        "network passes another where the mean difference changes its sign; that is proved if on both sides, up to "
        "the next such place, the interval of a level leaves out 0.",
    ]
    for table in profiles:
        passes = "; ".join(table.crossing_words()) or "no two networks change places"
        text += [
            f"### {level_words(table.goal).capitalize()}: {table.title}",
            markdown_table(table.shown()),
            f"{passes}.",
        ]
        exact = next(one for one in profiles if one.goal == table.goal)
        if exact.title == EXACT and table.title not in (EXACT, NO_SEAM):
            text.append(found_words(table, exact))
    return text


def found_words(table: ProfileTable, exact: ProfileTable) -> str:
    """How much of the exact profile regions found by queries have, and how many are feasible, by level."""
    cells = []
    for place, level in enumerate(table.records.levels.tolist()):
        own, best = table.records.records[place], exact.records.records[place].share
        asked = best > 0
        if asked.any():
            found = np.where(own.feasible, own.share, 0.0)[asked].sum() / best[asked].sum()
            cells.append(f"{level:g}: {found:.2f} ({100 * own.feasible[asked].mean():.0f} %)")
    return (
        "Of the questions with an answer: mean feasible share over that of the exact profile, in brackets how many "
        f"regions are feasible: {', '.join(cells) or 'there are none'}."
    )


def levels_part(report: ReleaseReport, profiles: list[ProfileTable]) -> list[str]:
    """The paper's headline claim, level by level."""
    levels, networks = profiles[0].records.levels, tuple(report.networks)
    if not {FIRST, SECOND} <= set(networks):
        return []

    def feasible(kind: str, goal: Goal) -> ProfileTable:
        records = region_records_at(report.sets[kind], report.function, goal, levels).only_feasible()
        return ProfileTable(f"{kind}, feasible", goal, records, networks, report.seed)

    kinds = [kind for kind in (REPLAY, RECORDED) if kind in report.sets]
    rows = []
    for kind in report.main_kinds:
        own = report.sets[kind]
        cut = replace(own.records(), share=own.seam_share)
        whole, seam = (overall_difference(records, FIRST, SECOND) for records in (own.records(), cut))
        if whole is not None and seam is not None:
            rows.append({"regions": kind, "all": difference_text(whole), "cut at the seam": difference_text(seam)})
    if not rows:  # no shape in common
        return []
    text = [
        "## The headline claim, level by level",
        f"SRVR of {FIRST} less that of {SECOND}, in points of %, on the same shapes, with 95 % intervals of each cell "
        "alone. First over all regions of all methods, whatever they hold; then over those that meet the goal at a "
        "level, others count 0, beside the exact optimum.",
        markdown_table(rows),
    ]
    for goals in ((MEAN, VARIANCE), (RELIABLE, VERY_RELIABLE)):
        tables = [table for table in profiles if table.goal in goals]
        tables = [replace(table, title=f"{table.title}{variant_words(table.goal)}") for table in tables]
        tables += [feasible(kind, goals[0]) for kind in kinds]
        text += [level_words(goals[0]).capitalize(), markdown_table(claim_by_level(tables, FIRST, SECOND))]
    return text


FIRST, SECOND = "ResNet50", "Inceptionv3"
"""The networks of the paper's headline claim."""


def variant_words(goal: Goal) -> str:
    """What tells goals of one kind apart, to be put behind a title."""
    if goal == VARIANCE:
        return f", variance <= {goal.most_variance:g}"
    return f", {100 * goal.least:g} % of views" if goal in (RELIABLE, VERY_RELIABLE) else ""


def profile_panels(profiles: list[ProfileTable]) -> list[ProfilePanel]:
    """A panel a goal: exact curves, those by queries dashed; crossings are those of the exact ones."""
    panels = []
    for goal in (MEAN, VARIANCE, RELIABLE, VERY_RELIABLE):
        own = [table for table in profiles if table.goal == goal and table.title != NO_SEAM]
        curves = [
            ProfileCurve(
                mean.name if table.title == EXACT else f"{mean.name}, {table.title}",
                mean.levels,
                mean.estimate,
                mean.low,
                mean.high,
                mean.area.estimate,
                own[0].networks.index(mean.name),
                dashed=table.title != EXACT,
            )
            for table in own
            for mean in table.means
        ]
        marks = [
            ProfileCrossing(one.level, text, one.is_proved)
            for (_, _, one), text in zip(own[0].crossings, own[0].crossing_words(), strict=True)
        ]
        panels.append(ProfilePanel(level_words(goal).capitalize(), "level", tuple(curves), tuple(marks)))
    return panels


def traced(traces: ReleaseTraces, function: RecordedMaps) -> list[Beside]:
    """The traced run of each network and method that grew most, with its replay as released."""
    chosen: dict[tuple[str, str], int] = {}
    sizes, grown = np.zeros(len(traces)), ~diverged(traces)
    with np.errstate(over="ignore"):  # bounds far outside the space
        sizes[grown] = (traces.upper[grown] - traces.lower[grown]).prod(axis=1)
    known = np.flatnonzero(traces.has_trace & np.isin(traces.names, function.maps.names))
    for row in known[np.argsort(-sizes[known], kind="stable")]:
        chosen.setdefault((parts_of(traces.names[row])[0], traces.methods[row]), int(row))
    released, found = variants()[RELEASED], list[Beside]()
    for (network, name), row in chosen.items():
        start, member = SPACE.project(traces.start_point[row]), function.maps.index(traces.names[row])
        questions = Questions(SPACE, start, member=[member])
        optimizer = get_optimizer(name)(questions, settings=released.settings(name))
        history = [own_bounds(optimizer)]
        steps = max(1, int(traces.steps[row]))
        run_optimizer(optimizer, QueryOracle(function), max_steps=steps, on_step=partial(keep_bounds, history))
        lower, upper = np.moveaxis(np.array(history[:-1]), 1, 0)  # before each step, as recorded ones are
        title = f"{traces.names[row]}, start {traces.start[row]}, {name}"
        found.append(Beside(network, name, title, traces.trace_of(row), (lower, upper)))
    return found


def keep_bounds(history: list[tuple[FloatArray, FloatArray]], optimizer: Optimizer[Any], _: QueryOracle) -> None:
    history.append(own_bounds(optimizer))


def own_bounds(optimizer: Optimizer[Any]) -> tuple[FloatArray, FloatArray]:
    """The bounds (n,) of the first trajectory as they are, not as they are recommended."""
    state = optimizer.save()
    return state["state.lower"][0], state["state.upper"][0]
