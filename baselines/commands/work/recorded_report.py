"""Replays the paper's methods on recorded maps, and compares them with the authors' own regions."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import numpy as np

from baselines.commands.recorded_report import NO_TRACES, RecordedReportOptions
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.experiments.functions import Functions
from baselines.experiments.runner import keys_of, run_tasks
from optimizers.base import Optimizer, Settings
from optimizers.corner_method import settings_of_form
from optimizers.registry import get_optimizer
from optimizers.run import run as run_optimizer
from semrob_env.errors import InvalidParameterError, OutputError
from semrob_env.files import interval_text, markdown_table
from semrob_env.metrics import SrvrRow
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import paper_starts
from semrob_env.plotting.release import Beside, bounds_beside_figure, overlap_figure, srvr_beside_figure
from semrob_env.questions import Goal, Question, Questions
from semrob_env.recorded import RecordedMaps, held_out_error, load_maps
from semrob_env.recorded.implied import implied_scores
from semrob_env.recorded.traces import METHODS, SPACE, ReleaseTraces, load_traces
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.store import RunStore, RunTask, canonical_json
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
from semrob_env.types import FloatArray

PAPER_STEPS = 600  # of the released runs


def run(options: RecordedReportOptions, console: Console) -> None:
    maps = load_maps(options.maps)
    if maps.space != SPACE:
        raise InvalidParameterError(f"{options.maps} is over {', '.join(maps.space.names)}, not azimuth, elevation")
    traces = None if options.traces == NO_TRACES else load_traces(options.traces)
    bundle = Bundle(options.out, console)
    function = RecordedMaps(maps)
    replays = {name: variant.tasks(function, options.goal) for name, variant in variants().items()}
    tasks = list(dict.fromkeys(itertools.chain(*replays.values())))
    functions, store = Functions(given=[function]), RunStore(bundle.folder / "runs.sqlite")
    with progress_bar(console, "runs") as progress:
        bar = progress.add_task("replay", total=len(tasks))
        summary = run_tasks(
            tasks,
            store,
            functions=functions,
            chunk=2048,
            retry_failed=True,
            on_rows=lambda rows, _: progress.advance(bar, len(rows)),
        )
    if summary.failed:
        raise OutputError(f"{summary.failed} replays failed; their errors are in {bundle.folder / 'runs.sqlite'}")
    keys = keys_of(tasks, functions)
    found = store.find(keys.values())
    runs = {name: [found[keys[task]] for task in own] for name, own in replays.items()}
    write(ReleaseReport(function, traces, runs, STARTS, options.goal, options.seed), bundle, console)


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


def write(report: ReleaseReport, bundle: Bundle, console: Console) -> None:
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
    ])
    bundle.text("report.md", body)
    bundle.rows("report.csv", lines)
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
        "Differences of SRVR in points of %, on the same shapes. A claim holds if the 95 % interval lies above 0.",
        markdown_table(rows) if rows else "Nothing to compare.",
        "Start points in one region converge to the same bounds: pairs of runs of one map and method, each of whose "
        "start points lies in the other's final region; beside them pairs in which only one does.",
        markdown_table(same),
    ]


def claim(kind: str, text: str, found: SrvrRow) -> dict[str, str]:
    if not np.isfinite(found.low):
        verdict = "cannot tell"
    else:
        verdict = "holds" if found.low > 0 else "does not hold" if found.high < 0 else "not shown"
    return {
        "regions": kind,
        "claim": text,
        "difference": f"{100 * found.estimate:+.2f}",
        "95 % interval": interval_text(found.low, found.high),
        "verdict": verdict,
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
