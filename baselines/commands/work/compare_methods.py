"""Makes or reads a protocol, runs and judges it, and writes its tables and curves."""

import math
from collections.abc import Sequence
from pathlib import Path

from baselines.commands.compare_methods import CompareMethodsOptions
from baselines.commands.shared.networks import introduce, starts_by_function
from baselines.commands.shared.options import workers_of
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.experiments.answers import KeptAnswers
from baselines.experiments.compare import compare
from baselines.experiments.curves import attainment, medians, profiles
from baselines.experiments.ioh import curve_lines, ioh_files
from baselines.experiments.judging_maps import map_points
from baselines.experiments.protocols import PlannedRun, Protocol, load_protocol, read_entries
from baselines.experiments.published_rows import published_comparison, published_rows, read_comparison
from baselines.experiments.runner import LIVE_MODULES
from baselines.experiments.search_comparison import SearchComparison, compare_searches
from baselines.experiments.suites import Suite, make_suite, told_options
from baselines.experiments.tables import FLOOR, TRIVIAL, Comparison, percent
from baselines.experiments.trial import TRIAL_SECONDS, estimates
from semrob_env.errors import InvalidParameterError
from semrob_env.files import markdown_table, output_folder, write_whole
from semrob_env.plotting.comparison import comparison_figure


def run(options: CompareMethodsOptions, console: Console) -> None:
    if options.rows:
        console.say("\n\n".join(document(reread(options))))
        return
    protocol, suite = frozen(options)
    if options.freeze:
        write_whole(options.freeze, protocol.to_json())
        console.say(f"wrote {options.freeze}")
        return
    if options.export and protocol.measure == "failures":
        raise InvalidParameterError("--export writes runs that look for regions; leave it out with failures")
    runs = list(protocol.runs(suite))
    budgets = {run.task: run.budget for run in runs}
    console.say(described(protocol, suite, len(runs), list(budgets.values())))
    if options.dry_run:
        console.say(estimated(protocol, suite, runs, console))
        return
    workers = workers_of(options, alone=suite.is_live)
    if suite.is_live:
        workers.begin(LIVE_MODULES)
        introduce(console, starts_by_function([run.task.question for run in runs]))
    bundle = Bundle(options.out, console)
    bundle.keep("protocol.json", protocol.to_json(), "comparison")
    if protocol.measure == "failures":
        with progress_bar(console, "runs") as progress:
            bar = progress.add_task("search", total=len(runs))
            kept = KeptAnswers(bundle.folder / "answers.sqlite")
            found = compare_searches(protocol, suite, kept, lambda: progress.advance(bar))
        report_searches(found, bundle, console)
        return
    with progress_bar(console, "runs and regions") as progress:
        running, judging = progress.add_task("run", total=len(budgets)), progress.add_task("judge", total=None)
        comparison = compare(
            protocol,
            suite,
            bundle.folder,
            workers=workers,
            modules=options.imports,
            on_rows=lambda rows, _: progress.advance(running, len(rows)),
            on_judged=lambda done, total: progress.update(judging, completed=done, total=total),
        )
    report(comparison, bundle, console, export=options.export)


def reread(options: CompareMethodsOptions) -> Comparison:
    """The comparison that --protocol names, from the rows that --rows names."""
    if not options.protocol or options.suite is not None:
        raise InvalidParameterError(
            "--rows needs --protocol: the protocol.json that lies beside the rows, or for --rows published one of "
            f"{', '.join(published_rows()) or 'none, as none were published'}"
        )
    if options.rows == "published":
        return published_comparison(options.protocol)
    return read_comparison(load_protocol(options.protocol, any_version=True), options.rows)


def frozen(options: CompareMethodsOptions) -> tuple[Protocol, Suite]:
    """The protocol of a file, or a new one of the command line, and its suite."""
    if options.protocol and options.suite is None:
        protocol = load_protocol(options.protocol, any_version=bool(options.freeze))
        if options.freeze:
            return protocol.frozen_again(options.maps)
        return protocol, protocol.make_suite(options.maps)
    if options.protocol or options.suite is None:
        raise InvalidParameterError("give --suite NAME for a new comparison, or --protocol FILE to repeat one")
    suite = make_suite(options.suite, told_options(options), options.goals, options.maps)
    protocol = Protocol(
        **suite.frozen(),
        goals=options.goals,
        entries=read_entries((*options.methods, *(FLOOR if options.measure == "regions" else ())), options.measure),
        budgets=tuple(sorted(options.budgets)),
        seeds=options.seeds,
        gradient_cost=options.gradient_cost,
        judge_points=options.judge_points,
        judge_seed=options.seed,
        judge_map_step=options.judge_map_step,
        certificate_points=options.certificate_points,
        confidence=options.confidence,
        targets=tuple(sorted(options.targets)),
        bootstrap_seed=options.seed,
        measure=options.measure,
    )
    return protocol, suite


def described(protocol: Protocol, suite: Suite, answers: int, budgets: Sequence[int]) -> str:
    """The comparison in a few words; `budgets` are those of all distinct runs."""
    goals = [question.goal for question in suite.questions]
    asked = "; ".join(f"{goals.count(goal)} with {goal.words}" for goal in protocol.goals)
    step = protocol.judge_map_step
    maps = f", and {map_points(suite, step):,} of maps that judge" if step else ""
    return (
        f"suite {suite.name}: {len(goals)} questions ({asked}), {len(protocol.entries)} methods, "
        f"budgets {', '.join(map(str, protocol.budgets))}\n"
        f"{len(budgets)} runs give {answers} answers, at most {sum(budgets):,} queries{maps}"
    )


def estimated(protocol: Protocol, suite: Suite, runs: Sequence[PlannedRun], console: Console) -> str:
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
    total = sum(one.seconds for one in found if math.isfinite(one.seconds))
    told = [
        markdown_table(lines),
        f"estimated time of the runs: {total / 60:.1f} minutes on one core (a trial of at most {TRIAL_SECONDS:g} s for "
        "each method and number of parameters; those that slow down as they go take longer); judging comes on top",
    ]
    if problems := [f"- {one.label}: {one.problem}" for one in found if one.problem]:
        told.append("\n".join(["Where a trial did not work:", *problems]))
    return "\n\n".join(told)


def document(comparison: Comparison) -> list[str]:
    """Paragraphs and tables of a comparison."""
    protocol, suite = comparison.protocol, comparison.suite
    body = [f"# Comparison by counted queries: suite {suite.name}"]
    for goal in protocol.goals:
        if asked := sum(question.goal == goal for question in suite.questions):
            body.append(f"## {goal.words}: {comparison.open(goal)} open questions of {asked}")
            if comparison.open(goal):
                body.append(markdown_table(comparison.shown(goal)))
            if amortized := comparison.shown_amortized(goal):
                body += ["Amortized over the start points of a function:", markdown_table(amortized)]
            if regions := comparison.shown_regions(goal):
                body += ["Regions as they are, of methods that need not keep theta0 too:", markdown_table(regions)]
            if trivial := comparison.trivial(goal):
                body += [
                    f"{trivial} questions that the whole space answers:",
                    markdown_table(comparison.shown(goal, TRIVIAL)),
                ]
            if by_size := comparison.shown_by_size(goal):
                body.append(markdown_table(by_size))
    if brief := comparison.brief():
        body += [
            "## In brief",
            f"ERT to {percent(comparison.brief_target)} % of the optimum held (its interval), share of runs that end "
            "there, share of feasible final regions (amortized ERT over the start points of a function)",
            markdown_table(brief),
        ]
    return [*body, "\n".join(f"- {note}" for note in comparison.notes())]


def report(comparison: Comparison, bundle: Bundle, console: Console, *, export: tuple[str, str] | None) -> None:
    protocol, suite, body = comparison.protocol, comparison.suite, document(comparison)
    methods = [f"- {one.label}: {one.method} version {one.method_version}, {one.settings}" for one in protocol.entries]
    bundle.text("comparison.md", "\n\n".join([*body, "## Methods", "\n".join(methods)]))
    bundle.rows("comparison.csv", comparison.lines)
    bundle.rows("runs.csv", comparison.run_lines())
    bundle.rows("curves.csv", curve_lines(comparison))
    if export is not None:
        files = ioh_files(comparison)
        for name, text in files.items():
            write_whole(output_folder((Path(export[1]) / name).parent) / Path(name).name, text)
        console.say(f"wrote {len(files)} files of IOHprofiler below {export[1]}")
    title = f"Suite {suite.name}: the recommended region by queries"
    bundle.figure("medians.png", comparison_figure([medians(comparison)], title=title))
    rows = [attainment(comparison), profiles(comparison)]
    bundle.figure("profiles.png", comparison_figure(rows, title=f"Suite {suite.name}: targets reached"))
    console.say("\n\n".join(body))
    bundle.close("protocol.json")


def report_searches(found: SearchComparison, bundle: Bundle, console: Console) -> None:
    protocol = found.protocol
    body = [f"# Searches for failures by counted queries: suite {protocol.suite}"]
    for budget in protocol.budgets:
        body += [f"## At most {budget} queries a run", markdown_table(found.shown(budget))]
        if differences := found.shown_differences(budget):
            body += [f"Less {found.labels[0]}:", markdown_table(differences)]
    body.append("\n".join(f"- {note}" for note in found.notes()))
    methods = [f"- {one.label}: {one.method} version {one.method_version}, {one.settings}" for one in protocol.entries]
    bundle.text("comparison.md", "\n\n".join([*body, "## Methods", "\n".join(methods)]))
    bundle.rows("comparison.csv", found.lines())
    bundle.rows("runs.csv", found.run_lines())
    title = f"Suite {protocol.suite}: failing views near right ones"
    bundle.figure("failures.png", comparison_figure([found.panels()], title=title))
    console.say("\n\n".join(body))
    bundle.close("protocol.json", "answers.sqlite")
