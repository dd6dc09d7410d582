"""Reads the release of the paper's authors into one file of maps and one of traces."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from baselines.commands.import_recorded import ImportRecordedOptions
from baselines.commands.shared.terminal import Console, own_folder, progress_bar
from semrob_env.errors import InvalidParameterError
from semrob_env.files import write_whole
from semrob_env.recorded import ScoreMaps, held_out_error, save_maps
from semrob_env.recorded.release import Problem, read_release
from semrob_env.recorded.traces import ReleaseTraces, save_traces

MOST_SHOWN = 10  # problems in the terminal; all are in the file


def run(options: ImportRecordedOptions, console: Console) -> None:
    if len(options.sources) != 1:
        raise InvalidParameterError("give one SOURCE: the folder that holds checkpoint/")
    folder = own_folder(options.out)
    with progress_bar(console, "objects") as progress:
        bar = progress.add_task("read", total=None)
        release = read_release(
            options.sources[0],
            with_traces=options.traces,
            on_object=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    maps, traces = folder / "maps.npz", folder / "traces.npz"
    if release.maps is not None:
        save_maps(release.maps, maps)
    if len(release.traces):
        save_traces(release.traces, traces)
    problems = write_whole(folder / "problems.txt", "".join(f"{problem}\n" for problem in release.problems))
    if release.maps is None:
        console.say("maps: none, maps.npz is not written")
    else:
        tell_maps(console, release.maps)
    if len(release.traces):
        tell_traces(console, release.traces)
    tell_problems(console, release.problems, problems)
    for path, is_new in ((maps, release.maps is not None), (traces, bool(len(release.traces)))):
        if is_new:
            console.say(f"wrote {path}: {path.stat().st_size / 1e6:.2f} MB")
        elif path.exists():
            console.say(f"left {path} of an earlier import as it was")


def tell_maps(console: Console, maps: ScoreMaps) -> None:
    error = held_out_error(maps)
    networks = counts(name.split("/")[0] for name in maps.names)
    console.say(f"maps: {len(maps)} ({networks}), {maps.scores.size} scores")
    console.say(
        f"interpolation from every second line: mean absolute error {error.mean_absolute:.4f}, "
        f"{100 * error.flips:.2f} % of {error.points} held-out points on the other side of 0.5"
    )


def tell_traces(console: Console, traces: ReleaseTraces) -> None:
    console.say(
        f"runs: {len(traces)} final regions ({counts(traces.methods)}); traces: {int(traces.has_trace.sum())} here, "
        f"{int((traces.steps == 0).sum())} runs have none in the release"
    )
    finite, inside = traces.is_finite, traces.is_inside
    console.say(
        f"diverged: {int((~finite).sum())} final regions are no numbers, {int((finite & ~inside).sum())} reach out of "
        "the space (elevation beyond its bounds, or more than a turn)"
    )


def tell_problems(console: Console, problems: Sequence[Problem], path: Path) -> None:
    """Counts and the first problems, what is there but cannot be used before what is missing."""
    if not problems:
        console.print("problems: none")
        return
    wrong = [problem for problem in problems if not problem.is_missing]
    missing = [problem for problem in problems if problem.is_missing]
    kinds = counts(kind_of(problem.path) for problem in missing)
    told = f"{len(missing)} missing" + (f" ({kinds})" if kinds else "")
    console.say(f"problems: {len(wrong)} damaged or refused, {told}")
    for problem in [*wrong, *missing][:MOST_SHOWN]:
        console.say(f"  {problem}")
    if len(problems) > MOST_SHOWN:
        console.say(f"  and {len(problems) - MOST_SHOWN} more in {path}")


def kind_of(path: str) -> str:
    parts = path.split("/")
    return parts[-1] if parts[-1].endswith(".pt") else ("networks", "classes", "objects")[len(parts) - 2]


def counts(words: Iterable[str]) -> str:
    return ", ".join(f"{word} {count}" for word, count in Counter(words).items())
