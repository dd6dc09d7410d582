"""How good the recommended regions were, at every checkpoint: judged apart from the method, and exactly where possible.

Mean and variance are the truth where it is known (`semrob_env.ground_truth`), or known of maps of the functions
(`baselines.experiments.judging_maps`), else estimated on held-out points (`semrob_env.metrics.judge_regions`). The
*quality* of a region is its share of the space over that of the optimum, and 0 if it is infeasible or does not contain
theta0. Where nobody knows the optimum, the largest feasible region that any run of the comparison recommended at any
checkpoint takes its place: such qualities compare these methods only.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from baselines.experiments.answers import KeptAnswers, answer_key
from baselines.experiments.functions import Functions
from baselines.experiments.protocols import PlannedRun, Protocol
from baselines.experiments.suites import Suite
from semrob_env.errors import NoGroundTruthError
from semrob_env.functions import ScoreFunction
from semrob_env.ground_truth import exact_moments, optimum
from semrob_env.metrics import Judge, certify_by_points, judge_regions
from semrob_env.questions import Goal, Question
from semrob_env.regions import Regions
from semrob_env.store import FAILED, RunRow, RunTask, TraceRow
from semrob_env.types import BoolArray, FloatArray, IntArray

JUDGED_AT_ONCE = 64
"""Regions that are judged between two signs of progress."""

WHOLE = 1 - 1e-9
"""An optimum with this share of the space is all of it, but for rounding."""

_CHUNK = 8192
"""Regions whose moments are computed at once: some tens of megabytes."""

_VERSION = 2
"""Goes up when kept answers must be made again."""

Path = list[tuple[float, tuple[float, ...], tuple[float, ...]]]
"""Queries, lower and upper bounds of what a run recommended, its end last."""

Bounds = tuple[str, str, tuple[float, ...], tuple[float, ...]]
"""What the goal counts, function id, lower and upper bounds of a region."""


@final
@dataclass(frozen=True, eq=False)
class Outcomes:
    """What R planned runs came to; arrays (R,) unless said otherwise."""

    entry: IntArray  # number of the entry
    question: IntArray  # number of the question
    budget: IntArray  # of the plan
    seed: IntArray  # of the run
    status: list[str]  # how the run ended
    queries: FloatArray  # its bill, forward + gradient_cost * gradients; the whole budget if it failed
    # start points of its function, for its goal, that its samples serve: its amortized bill is queries / sharers; 1 for
    # a method whose samples depend on the start point
    sharers: IntArray
    feasible: BoolArray  # whether the final region contains theta0 and meets the goal
    certified: BoolArray  # whether it is feasible, and surely so
    share: FloatArray  # share of the space of the final region
    goal_mean: FloatArray  # mean of what the goal counts in it
    purity: FloatArray  # share of it with a score of at least 0.5
    best: FloatArray  # share of the optimum; 0: there is none, and no quality
    is_exact: BoolArray  # whether that is the truth
    is_whole: BoolArray  # whether it is all of the space: then nothing has to be found
    quality: FloatArray  # of the final region; NaN where there is none
    # queries at the first checkpoint with a quality of each target or more, (R, T); infinite: never
    reached: FloatArray
    # queries at the first checkpoint from which on every one has that, to the end of the run, (R, T); infinite: never
    held: FloatArray
    # of each run, queries (C,) and quality (C,), the end of the run last
    checkpoints: list[tuple[FloatArray, FloatArray]]
    errors: list[str]  # messages of runs that failed


@final
@dataclass(frozen=True, eq=False)
class _Judged:
    """Judged regions by their bounds: where each stands in the columns (N,)."""

    row_of: dict[Bounds, int]
    share: FloatArray
    mean: FloatArray
    variance: FloatArray
    purity: FloatArray


def judge_runs(
    protocol: Protocol,
    suite: Suite,
    runs: Sequence[PlannedRun],
    rows: Mapping[RunTask, RunRow],
    traces: Mapping[str, Sequence[TraceRow]],
    answers: KeptAnswers,
    progress: Callable[[int, int], None] | None = None,
    judging: Suite | None = None,
) -> Outcomes:
    """Judge the regions that runs recommended at their checkpoints and at their end.

    Args:
        protocol: Judge, targets and gradient cost.
        suite: The questions, with their functions.
        runs: Planned runs.
        rows: The store's row of each of their tasks.
        traces: Checkpoints by key of these rows; without those of a row, only its end is judged.
        answers: Where what takes long is looked up and kept.
        progress: Called with how many regions of how many have been judged by points.
        judging: The same questions about what judges in place of their functions (`judging_maps`); certificates ask
            the functions themselves. None: they judge.
    """
    judging = suite if judging is None else judging
    paths = {task: _path(row, traces.get(row.key, ()), protocol.gradient_cost) for task, row in rows.items()}
    pairs = [(run.task, suite.questions[run.question].goal.counts) for run in runs]
    along = {
        (task, counts): [(counts, task.question.function_id, lower, upper) for _, lower, upper in paths[task]]
        for task, counts in dict.fromkeys(pairs)
    }
    every, finals = list(dict.fromkeys(itertools.chain(*along.values()))), {own[-1] for own in along.values() if own}
    judged = _judge(protocol, judging, every, finals, answers, progress)
    found = [_qualify(suite.questions[run.question], paths[run.task], judged, suite.functions) for run in runs]
    best, is_exact = best_shares(judging, answers)
    most, asked = np.zeros(len(best)), np.array([run.question for run in runs])
    np.maximum.at(most, asked, [volume.max(initial=0.0) for _, volume in found])
    own_best = np.where(is_exact, best, most)[asked]
    checkpoints = [
        (queries, volume / best if best > 0 else np.full(len(volume), np.nan))
        for (queries, volume), best in zip(found, own_best.tolist(), strict=True)
    ]
    ends = np.array([judged.row_of[along[pair][-1]] if along[pair] else -1 for pair in pairs])
    has_end = ends >= 0
    last = [
        (queries[-1], quality[-1]) if len(queries) else (run.budget, 0.0)
        for run, (queries, quality) in zip(runs, checkpoints, strict=True)
    ]
    bills, quality = np.array(last, dtype=np.float64).T
    feasible = np.array([len(volume) > 0 and volume[-1] > 0 for _, volume in found])
    finals_held = [
        along[pair][-1] if is_feasible else None for pair, is_feasible in zip(pairs, feasible.tolist(), strict=True)
    ]
    targets = np.array(protocol.targets)
    return Outcomes(
        entry=np.array([run.entry for run in runs]),
        question=asked,
        budget=np.array([run.budget for run in runs]),
        seed=np.array([run.seed for run in runs]),
        status=[rows[run.task].status for run in runs],
        queries=bills,
        sharers=_sharers(protocol, suite, runs),
        feasible=feasible,
        certified=_certified(protocol, suite, runs, finals_held, answers),
        share=np.where(has_end, judged.share[ends], 0.0),
        goal_mean=np.where(has_end, judged.mean[ends], np.nan),
        purity=np.where(has_end, judged.purity[ends], np.nan),
        best=own_best,
        is_exact=is_exact[asked],
        is_whole=own_best >= WHOLE,
        quality=np.where(own_best > 0, quality, np.nan),
        reached=np.array([first_reached(*path, targets) for path in checkpoints]),
        held=np.array([held_from(*path, targets) for path in checkpoints]),
        checkpoints=checkpoints,
        errors=[row.error for row in rows.values() if row.status == FAILED],
    )


def _sharers(protocol: Protocol, suite: Suite, runs: Sequence[PlannedRun]) -> IntArray:
    """How many start points each run's samples serve, (R,); see `Outcomes`."""
    places = [(question.function_id, question.goal) for question in suite.questions]
    count = Counter(place for place, _ in {(place, q.start) for place, q in zip(places, suite.questions, strict=True)})
    shares = [entry.shares_samples for entry in protocol.entries]
    return np.array([count[places[run.question]] if shares[run.entry] else 1 for run in runs])


def first_reached(queries: FloatArray, quality: FloatArray, targets: FloatArray) -> FloatArray:
    """Queries (T,) at the first checkpoint (C,) with a quality of each target or more; infinite: never."""
    first = np.where(quality[:, None] >= targets, queries[:, None], np.inf)
    return np.asarray(first.min(axis=0, initial=np.inf))


def held_from(queries: FloatArray, quality: FloatArray, targets: FloatArray) -> FloatArray:
    """Queries (T,) at the first checkpoint (C,) from which on all have a quality of each target; infinite: none."""
    keeps = np.logical_and.accumulate((quality[:, None] >= targets)[::-1], axis=0)[::-1]
    return np.asarray(np.where(keeps, queries[:, None], np.inf).min(axis=0, initial=np.inf))


def _path(row: RunRow, trace: Sequence[TraceRow], gradient_cost: float) -> Path:
    """Queries and bounds of the recommended regions of a run, its end last; none if it failed."""
    if row.status == FAILED:
        return []
    spent = row.forward_queries + gradient_cost * row.gradient_queries
    path = [(float(part.queries), part.lower, part.upper) for part in trace if part.queries < spent]
    return [*path, (spent, row.lower, row.upper)]


def _judge(
    protocol: Protocol,
    suite: Suite,
    every: list[Bounds],
    finals: set[Bounds],
    answers: KeptAnswers,
    progress: Callable[[int, int], None] | None,
) -> _Judged:
    """Shares and moments of all regions, purities of the final ones (of all where points are asked anyway)."""
    share, mean, variance, purity = np.full((4, len(every)), np.nan)
    goals = {question.goal.counts: question.goal for question in suite.questions}
    parts = (
        (goal, function, chosen[rows[at : at + _CHUNK]], members[at : at + _CHUNK])
        for counts, goal in goals.items()
        for chosen in [np.array([row for row, bounds in enumerate(every) if bounds[0] == counts], dtype=np.int64)]
        for function, rows, members in suite.functions.grouped([every[row][1] for row in chosen])
        for at in range(0, len(rows), _CHUNK)
    )
    for goal, function, rows, members in parts:
        lower, upper = (np.array([every[row][side] for row in rows]) for side in (2, 3))
        regions = Regions(function.space, lower, upper).clip()
        share[rows] = regions.share()
        judge = Judge(goal, protocol.judge_points, protocol.judge_seed, certificate_points=0)
        try:
            mean[rows], variance[rows] = exact_moments(function, regions, members, goal)
        except NoGroundTruthError:
            columns = _judged_by_points(function, regions, members, judge, answers, progress)
            mean[rows], variance[rows], purity[rows] = columns.T
            continue
        ends = np.array([place for place, row in enumerate(rows) if every[row] in finals], dtype=np.int64)
        purity[rows[ends]] = judge_regions(function, regions[ends], members[ends], judge).purity
    return _Judged({bounds: row for row, bounds in enumerate(every)}, share, mean, np.minimum(variance, 0.25), purity)


def _judged_by_points(
    function: ScoreFunction,
    regions: Regions,
    members: IntArray,
    judge: Judge,
    answers: KeptAnswers,
    progress: Callable[[int, int], None] | None,
) -> FloatArray:
    """Mean and variance of what the goal counts, and purity, (N, 3), kept between calls: a point takes milliseconds."""
    facts = judge.points, judge.seed, judge.goal.counts
    keys = [_region_key("judge", function, regions, members, row, *facts) for row in range(len(regions))]
    known = answers.find(keys)
    open_rows = [row for row, key in enumerate(keys) if key not in known]
    for at in range(0, len(open_rows), JUDGED_AT_ONCE):
        part = np.array(open_rows[at : at + JUDGED_AT_ONCE])
        found = judge_regions(function, regions[part], members[part], judge)
        columns = np.stack([found.goal_mean, found.goal_variance, found.purity], axis=1).tolist()
        new = {keys[row]: numbers for row, numbers in zip(part.tolist(), columns, strict=True)}
        answers.add(new)
        known.update(new)
        if progress is not None:
            progress(min(at + JUDGED_AT_ONCE, len(open_rows)), len(open_rows))
    return np.array([known[key] for key in keys]).reshape(-1, 3)


def _certified(
    protocol: Protocol,
    suite: Suite,
    runs: Sequence[PlannedRun],
    ends: Sequence[Bounds | None],
    answers: KeptAnswers,
) -> BoolArray:
    """Whether the final region of each run contains theta0 and surely meets the goal, (R,).

    Args:
        protocol: Judge and goals.
        suite: The questions, with their functions.
        runs: Planned runs.
        ends: The final region of each run; None where it is not feasible: False without being asked about.
        answers: Where certificates are kept.
    """
    asked = [suite.questions[run.question] for run in runs]
    certified: dict[tuple[Goal, Bounds], bool] = {}
    for goal in {question.goal for question in asked}:
        own = [end for question, end in zip(asked, ends, strict=True) if question.goal == goal and end is not None]
        every = list(dict.fromkeys(own))
        for function, rows, members in suite.functions.grouped([name for _, name, _, _ in every]):
            regions = Regions(function.space, *(np.array([every[row][side] for row in rows]) for side in (2, 3)))
            found = _certified_regions(function, regions, members, protocol.judge(goal), answers)
            certified.update({(goal, every[row]): bool(is_good) for row, is_good in zip(rows, found, strict=True)})
    return np.array([
        end is not None
        and certified[question.goal, end]
        and end[2] != end[3]
        and _holds(suite.functions, question, [end[2:]]).all()
        for question, end in zip(asked, ends, strict=True)
    ])


def _certified_regions(
    function: ScoreFunction, regions: Regions, members: IntArray, judge: Judge, answers: KeptAnswers
) -> BoolArray:
    """Which regions (N,) surely meet the judge's goal; what costs queries is kept between calls."""
    try:
        return judge.goal.is_met(*exact_moments(function, regions, members, judge.goal))
    except NoGroundTruthError:
        facts = judge.certificate_points, judge.confidence, judge.seed, judge.goal.text
    keys = [_region_key("certificate", function, regions, members, row, *facts) for row in range(len(regions))]
    known = answers.find(keys)
    open_rows = np.array([row for row, key in enumerate(keys) if key not in known], dtype=np.int64)
    for at in range(0, len(open_rows), JUDGED_AT_ONCE):
        part = open_rows[at : at + JUDGED_AT_ONCE]
        found = certify_by_points(
            function,
            regions[part],
            judge.goal,
            members[part],
            points=judge.certificate_points,
            level=judge.confidence,
            seed=judge.seed,
        )
        new = {keys[row]: [float(good)] for row, good in zip(part.tolist(), found.certified, strict=True)}
        answers.add(new)
        known.update(new)
    return np.array([bool(known[key][0]) for key in keys], dtype=np.bool_)


def _region_key(
    kind: str, function: ScoreFunction, regions: Regions, members: IntArray, row: int, *facts: object
) -> str:
    """The key of what is kept of a region."""
    name, prints = function.member_ids[members[row]], function.fingerprints[members[row]]
    return answer_key(kind, _VERSION, name, prints, regions.lower[row].tolist(), regions.upper[row].tolist(), *facts)


def _holds(
    functions: Functions, question: Question, bounds: Sequence[tuple[tuple[float, ...], tuple[float, ...]]]
) -> BoolArray:
    """Which of some regions, lower and upper bounds each, contain the start point, (C,)."""
    lower, upper = (np.array(side) for side in zip(*bounds, strict=True))
    regions = Regions(functions.member(question.function_id)[0].space, lower, upper)
    return regions.contains(np.broadcast_to(question.start, lower.shape))


def _qualify(question: Question, path: Path, judged: _Judged, functions: Functions) -> tuple[FloatArray, FloatArray]:
    """Queries (C,) and feasible shares (C,) along a path: 0 where a region is infeasible or has lost theta0."""
    if not path:
        return np.zeros(0), np.zeros(0)
    counts = question.goal.counts
    rows = np.array([judged.row_of[counts, question.function_id, lower, upper] for _, lower, upper in path])
    holds = _holds(functions, question, [(lower, upper) for _, lower, upper in path])
    good = question.goal.is_met(judged.mean[rows], judged.variance[rows]) & holds
    return np.array([queries for queries, *_ in path]), np.where(good, judged.share[rows], 0.0)


def best_shares(suite: Suite, answers: KeptAnswers) -> tuple[FloatArray, BoolArray]:
    """Share of the optimum of every question (Q,), and whether it is known (Q,); kept among the answers."""
    prints = {name: suite.functions.fingerprint(name) for name in {q.function_id for q in suite.questions}}
    keys = [
        answer_key("optimum", _VERSION, q.function_id, prints[q.function_id], q.start, q.goal.text)
        for q in suite.questions
    ]
    known, new = answers.find(keys), {}
    best, is_exact = np.zeros(len(keys)), np.ones(len(keys), dtype=np.bool_)
    for row, (key, question) in enumerate(zip(keys, suite.questions, strict=True)):
        if key in known:
            best[row] = known[key][0]
            continue
        function, member = suite.functions.member(question.function_id)
        try:
            best[row] = optimum(function, question.start, question.goal, member).share
            new[key] = [float(best[row])]
        except NoGroundTruthError:
            is_exact[row] = False
    answers.add(new)
    return best, is_exact
