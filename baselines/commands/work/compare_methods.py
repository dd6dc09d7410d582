"""What `semrob compare_methods` does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from baselines.commands.compare_methods import Options
from baselines.commands.shared.questions import limits_of
from baselines.commands.shared.terminal import Bundle, progress_bar
from baselines.experiments.answers import Answers
from baselines.experiments.curves import attainment, medians, profiles
from baselines.experiments.pool import CHUNK, LIVE_CHUNK, Pool, available_cores
from baselines.experiments.protocols import (
    PlannedRun,
    Protocol,
    load_protocol,
    options_text,
    read_entries,
)
from baselines.experiments.quality import judge_runs
from baselines.experiments.suites import Suite, make_suite
from baselines.experiments.tables import Comparison, entry_lines
from baselines.experiments.trial import TRIAL_SECONDS, estimates
from semrob_env.errors import InvalidParameterError, OutputError
from semrob_env.files import markdown_table, write_whole
from semrob_env.plotting.comparison import comparison_figure
from semrob_env.store import FAILED, RunStore

SUITE_OPTIONS = ("networks", "classes", "shapes", "families", "parameters", "instances")
"""Options that choose a suite's functions; in a protocol, under the same names."""


def run(options: Options, console: Console) -> None:
    """Run what is missing, judge, write tables and pictures."""
    protocol, suite = frozen(options)
    if options.freeze:
        write_whole(options.freeze, protocol.to_json())
        console.print(f"wrote {options.freeze}", soft_wrap=True)
        return
    runs = list(protocol.runs(suite))
    tasks = list(dict.fromkeys(run.task for run in runs))
    console.print(described(protocol, suite, runs, len(tasks)), soft_wrap=True)
    if options.dry_run:
        console.print(estimated(protocol, suite, runs, console), soft_wrap=True)
        return
    bundle = Bundle(options.out, console)
    folder = bundle.folder
    keep_protocol(protocol, folder)
    workers = options.workers or (1 if suite.is_live else available_cores())
    pool = Pool(str(folder / "runs.sqlite"), options.maps, workers, LIVE_CHUNK if suite.is_live else CHUNK)
    started = time.perf_counter()
    with progress_bar(console, "runs") as progress:
        bar = progress.add_task("compare", total=len(tasks))
        keys = pool.run(tasks, suite.functions, lambda count: progress.advance(bar, count))
    store = RunStore(pool.store)
    by_key = store.find(keys.values())
    rows = {task: by_key[key] for task, key in keys.items()}
    if all(row.status == FAILED for row in rows.values()):
        raise OutputError(f"all {len(rows)} runs failed; the first one: {next(iter(rows.values())).error}")
    console.print(
        f"{len(tasks)} runs in the store after {time.perf_counter() - started:.1f} s; judging", soft_wrap=True
    )
    with progress_bar(console, "regions") as progress:
        bar = progress.add_task("judge", total=None)
        outcomes = judge_runs(
            protocol,
            suite,
            runs,
            rows,
            store.traces(by_key),
            Answers(folder / "answers.sqlite"),
            lambda done, total: progress.update(bar, completed=done, total=total),
        )
    report(Comparison(protocol, suite, outcomes), bundle, console)


def frozen(options: Options) -> tuple[Protocol, Suite]:
    """The protocol of a file, or a new one of the command line, and its suite."""
    if (not options.protocol) == (options.suite is None):
        raise InvalidParameterError("give --suite NAME for a new comparison, or --protocol FILE to repeat one")
    if options.protocol:
        protocol = load_protocol(options.protocol, any_version=bool(options.freeze))
        if options.freeze:
            return protocol.frozen_again(options.maps)
        return protocol, protocol.make_suite(options.maps)
    assert options.suite is not None
    chosen = {name: tuple(map(str, values)) for name in SUITE_OPTIONS if (values := getattr(options, name))}
    thresholds = limits_of(options.goals)
    suite = make_suite(options.suite, chosen, thresholds, options.maps)
    protocol = Protocol(
        suite=options.suite,
        options=options_text(suite.options),
        thresholds=thresholds,
        entries=read_entries(options.methods),
        budgets=tuple(sorted(options.budgets)),
        seeds=options.seeds,
        gradient_cost=options.gradient_cost,
        judge_points=options.judge_points,
        judge_seed=options.seed,
        targets=tuple(sorted(options.targets)),
        resamples=2000,
        level=0.95,
        bootstrap_seed=options.seed,
        questions=(len(suite.questions), suite.digest()),
    )
    return protocol, suite


def keep_protocol(protocol: Protocol, folder: Path) -> None:
    """Write the protocol, unless the folder holds another one: results of two must not be mixed up."""
    path = folder / "protocol.json"
    text = protocol.to_json()
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise OutputError(f"{path} is of another comparison; give an --out of its own")
    write_whole(path, text)


def described(protocol: Protocol, suite: Suite, runs: Sequence[PlannedRun], tasks: int) -> str:
    """The comparison in a few words."""
    pairs = [(question.epsilon_m, question.epsilon_v) for question in suite.questions]
    asked = ", ".join(f"{pairs.count(pair)} at mean >= {1 - pair[0]:g}" for pair in protocol.thresholds)
    most = sum({run.task: run.budget for run in runs}.values())
    return (
        f"suite {suite.name}: {len(pairs)} questions ({asked}), {len(protocol.entries)} methods, "
        f"budgets {', '.join(map(str, protocol.budgets))}\n"
        f"{tasks} runs give {len(runs)} answers, at most {most:,} queries"
    )


def estimated(protocol: Protocol, suite: Suite, runs: Sequence[PlannedRun], console: Console) -> str:
    """A table of what the runs of each method will take, from short trials."""
    with progress_bar(console, "methods") as progress:
        bar = progress.add_task("trial", total=len(protocol.entries))
        found = estimates(protocol, suite, runs, lambda: progress.advance(bar))
    lines = [
        {
            "method": one.label,
            "runs": f"{one.runs:,}",
            "queries at most": f"{one.queries:,.0f}",
            "minutes on one core": f"{one.seconds / 60:.1f}",
        }
        for one in found
    ]
    total = sum(one.seconds for one in found if np.isfinite(one.seconds))
    problems = [f"- {one.label}: {one.problem}" for one in found if one.problem]
    told = [
        markdown_table(lines),
        f"estimated time of the runs: {total / 60:.1f} minutes on one core (a trial of at most {TRIAL_SECONDS:g} s for "
        "each method and number of parameters; those that slow down as they go take longer); judging comes on top",
    ]
    return "\n\n".join([*told, *(["Where a trial did not work:\n" + "\n".join(problems)] if problems else [])])


def report(comparison: Comparison, bundle: Bundle, console: Console) -> None:
    """Write and print the tables and the pictures."""
    protocol, suite = comparison.protocol, comparison.suite
    body = [f"# Comparison by counted queries: suite {suite.name}"]
    for pair in protocol.thresholds:
        asked = sum((q.epsilon_m, q.epsilon_v) == pair for q in suite.questions)
        if asked:
            limits = f"mean score >= {1 - pair[0]:g}" + ("" if pair[1] >= 0.25 else f", variance <= {pair[1]:g}")
            body += [f"## {limits}: {asked} questions", markdown_table(comparison.shown(pair))]
            if amortised := comparison.shown_amortised(pair):
                body += ["Amortised over the start points of a function:", markdown_table(amortised)]
            by_size = comparison.shown_by_size(pair)
            body += [markdown_table(by_size)] if by_size else []
    body.append("\n".join(f"- {note}" for note in comparison.notes()))
    settings = "\n".join(f"- {line}" for line in entry_lines(protocol.entries))
    bundle.text("comparison.md", "\n\n".join([*body, f"## Methods\n\n{settings}"]))
    bundle.rows("comparison.csv", comparison.lines)
    bundle.rows("runs.csv", comparison.run_lines())
    title = f"Suite {suite.name}: the recommended region by queries"
    bundle.figure("medians.png", comparison_figure([medians(comparison)], title=title))
    rows = [attainment(comparison), profiles(comparison)]
    bundle.figure("profiles.png", comparison_figure(rows, title=f"Suite {suite.name}: targets reached"))
    console.print("\n\n".join(body), soft_wrap=True)
    bundle.close("protocol.json")
