"""Compare methods by their queries: how good is the region that each recommends, after how many?

Examples:
  python scripts/compare_methods.py --suite recorded --methods naive,oir_b,oir_w --shapes 2-3
  python scripts/compare_methods.py --suite synthetic --parameters 2,4 --methods naive,random_search --seeds 0-4
  python scripts/compare_methods.py --suite live --methods naive,oir_b --budgets 40,150
  python scripts/compare_methods.py --suite recorded --methods naive,mine --import my_module
  python scripts/compare_methods.py --suite recorded --methods nevergrad:algorithm=DE,nevergrad:algorithm=CMA
  python scripts/compare_methods.py --protocol results/comparison/protocol.json --out again
  python scripts/compare_methods.py --protocol recorded --dry-run

--protocol takes a file, or the name of a published comparison (baselines/benchmark/published); --freeze FILE writes a
protocol without running it, and with --protocol that one for the versions of methods and maps that are here.

--import MODULE imports a module (of the current folder, too) that registers an optimizer; from Python, register it and
call main(["--suite", "recorded", "--methods", "naive,mine"]).

Suites: maps of a file (recorded), formulas with known answers (synthetic), rendered scenes (live). Each asks for the
largest region around a start point with a mean score of at least --thresholds and a variance of at most --epsilon-v.
Settings named epsilon_m, epsilon_v or budget are filled from the question and the plan.

Written to --out: protocol.json (a frozen description: --protocol FILE repeats it), comparison.md, comparison.csv,
runs.csv, medians.png, profiles.png, runs.sqlite and answers.sqlite. The formats are described in baselines/benchmark.
The same command goes on where an interrupted one stopped.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from semrob_env.cli import ArgumentParser, make_console, names, numbers, progress_bar, run_script

import baselines  # noqa: F401  (fills the registry)
import optimizers  # noqa: F401  (fills the registry)
from baselines.benchmark.answers import Answers
from baselines.benchmark.curves import attainment, medians, profiles
from baselines.benchmark.plugins import import_modules
from baselines.benchmark.pool import CHUNK, LIVE_CHUNK, Pool, available_cores
from baselines.benchmark.protocols import (
    PlannedRun,
    Protocol,
    load_protocol,
    options_text,
    published_protocols,
    read_entries,
)
from baselines.benchmark.quality import judge_runs
from baselines.benchmark.suites import SUITES, Suite, make_suite
from baselines.benchmark.tables import Comparison, entry_lines
from baselines.benchmark.trial import TRIAL_SECONDS, estimates
from optimizers.registry import OPTIMIZERS
from semrob_env.errors import InvalidParameterError, OutputError
from semrob_env.files import csv_text, markdown_table, output_folder, write_whole
from semrob_env.plotting import save_figure
from semrob_env.plotting.comparison import comparison_figure
from semrob_env.recorded.function import DEFAULT_FILE
from semrob_env.store import FAILED, RunStore

SUITE_OPTIONS = ("networks", "classes", "shapes", "families", "parameters", "instances")
"""Options that choose a suite's functions; in a protocol, under the same names."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read arguments, run what is missing, judge, write tables and pictures."""
    options = parser().parse_args(arguments)
    console = make_console()
    import_modules(options.imports)
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
    folder = output_folder(options.out)
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
    report(Comparison(protocol, suite, outcomes), folder, console)


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument(
        "--protocol",
        help=f"repeat a frozen comparison: a file, or {', '.join(published_protocols())}; it holds the options "
        "from here to --seed",
    )
    made.add_argument("--suite", choices=tuple(SUITES), help="make a new one")
    made.add_argument("--networks", help="recorded, live: comma separated; recorded: all by default")
    made.add_argument("--classes", help="recorded, live: comma separated; recorded: all by default")
    made.add_argument("--shapes", help="recorded, live: object numbers, e.g. 2-3; recorded: all by default")
    made.add_argument("--families", help="synthetic: comma separated")
    made.add_argument("--parameters", help="synthetic: numbers of parameters, e.g. 1-4,10")
    made.add_argument("--instances", help="synthetic: seeds of the functions, e.g. 0-2")
    made.add_argument(
        "--methods",
        help="comma separated, NAME or NAME:SETTING=VALUE:..., or all for every one of regions; "
        f"known: {', '.join(OPTIMIZERS)}",
        default="naive,oir_b,oir_w",
    )
    made.add_argument("--thresholds", help="least mean scores, 1 - epsilon_m", default="0.2,0.4,0.6")
    made.add_argument("--epsilon-v", type=float, help="largest variance; 0.25: no constraint", default=0.25)
    made.add_argument("--budgets", help="most queries a run, a run for each", default="40,72,150,600")
    made.add_argument("--seeds", help="of methods that draw something", default="0")
    made.add_argument("--gradient-cost", type=float, help="weight of a gradient query in every bill", default=1.0)
    made.add_argument("--targets", help="shares of the optimum", default="0.5,0.8,0.9")
    made.add_argument(
        "--judge-points", type=int, help="held-out points a region, where truth is not known", default=256
    )
    made.add_argument("--seed", type=int, help="of judge and intervals", default=0)
    made.add_argument("--import", dest="imports", action="append", help="module that registers a method", default=[])
    made.add_argument("--maps", help="file of maps of the recorded suite", default=DEFAULT_FILE)
    made.add_argument("--workers", type=int, help="processes; 0: one a core, on live functions 1", default=0)
    made.add_argument("--out", help="output folder", default="results/comparison")
    made.add_argument("--freeze", help="write the protocol to this file, by the methods as they are now, and stop")
    made.add_argument("--dry-run", action="store_true", help="tell what would run and what it costs")
    return made


def frozen(options: Namespace) -> tuple[Protocol, Suite]:
    """The protocol of a file, or a new one of the command line, and its suite."""
    if (options.protocol is None) == (options.suite is None):
        raise InvalidParameterError("give --suite NAME for a new comparison, or --protocol FILE to repeat one")
    if options.protocol is not None:
        protocol = load_protocol(options.protocol, any_version=bool(options.freeze))
        if options.freeze:
            return protocol.frozen_again(options.maps)
        return protocol, protocol.make_suite(options.maps)
    chosen = {}
    for name in SUITE_OPTIONS:
        text = getattr(options, name)
        if text is not None:
            is_number = name in {"shapes", "parameters", "instances"}
            chosen[name] = tuple(map(str, numbers(text)) if is_number else names(text))
    thresholds = tuple((round(1 - least, 12), options.epsilon_v) for least in reals(options.thresholds, "--thresholds"))
    suite = make_suite(options.suite, chosen, thresholds, options.maps)
    protocol = Protocol(
        suite=options.suite,
        options=options_text(suite.options),
        thresholds=thresholds,
        entries=read_entries(names(options.methods)),
        budgets=tuple(sorted(numbers(options.budgets))),
        seeds=tuple(numbers(options.seeds)),
        gradient_cost=options.gradient_cost,
        judge_points=options.judge_points,
        judge_seed=options.seed,
        targets=tuple(sorted(reals(options.targets, "--targets"))),
        resamples=2000,
        level=0.95,
        bootstrap_seed=options.seed,
        questions=(len(suite.questions), suite.digest()),
    )
    return protocol, suite


def reals(text: str, option: str) -> list[float]:
    """Numbers with commas between them."""
    try:
        return [float(part) for part in names(text)]
    except ValueError as error:
        raise InvalidParameterError(f"{option} {text!r}: give numbers with commas between them") from error


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


def report(comparison: Comparison, folder: Path, console: Console) -> None:
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
    write_whole(folder / "comparison.md", "\n\n".join([*body, f"## Methods\n\n{settings}"]) + "\n")
    write_whole(folder / "comparison.csv", csv_text(comparison.lines))
    write_whole(folder / "runs.csv", csv_text(comparison.run_lines()))
    title = f"Suite {suite.name}: the recommended region by queries"
    save_figure(comparison_figure([medians(comparison)], title=title), folder / "medians.png")
    rows = [attainment(comparison), profiles(comparison)]
    save_figure(comparison_figure(rows, title=f"Suite {suite.name}: targets reached"), folder / "profiles.png")
    console.print("\n\n".join(body), soft_wrap=True)
    console.print(f"\nwrote comparison.md, .csv, runs.csv, medians.png, profiles.png and protocol.json to {folder}")


if __name__ == "__main__":
    sys.exit(run_script(main, after_interrupt="what was finished is kept; run the same command to go on"))
