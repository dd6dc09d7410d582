"""Turn the release of the paper's authors, or a part of it, into one file of maps and one of traces.

Examples:
  python scripts/import_recorded.py ../shared/recorded
  python scripts/import_recorded.py path/to/release --out results/recorded --no-traces

The folder holds checkpoint/NETWORK/CLASS/OBJECT/{map,optim}.pt (Hamdi & Ghanem 2020, arXiv 1904.04621). The files are
pickles of a stranger: nothing in them is executed, and what is no plain number, text, array or interval is refused.

Written to --out: maps.npz (what functions recorded:* read), traces.npz (final regions and traces of the authors' runs)
and problems.txt (every file that is missing, damaged or refused, one a line; they are not fatal).
"""

from __future__ import annotations

import sys
from argparse import BooleanOptionalAction
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from semrob_env.cli import ArgumentParser, make_console, progress_bar, run_script

from semrob_env.files import output_folder, write_whole
from semrob_env.recorded import ScoreMaps, held_out_error, save_maps
from semrob_env.recorded.release import Problem, Release, read_release
from semrob_env.recorded.traces import ReleaseTraces, save_traces

MOST_SHOWN = 10
"""Problems shown in the terminal; all are in the file."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read arguments, then the release; write files and a summary."""
    options = parser().parse_args(arguments)
    console = make_console()
    folder = output_folder(options.out)
    with progress_bar(console, "objects") as progress:
        bar = progress.add_task("read", total=None)
        release = read_release(
            options.release,
            with_traces=options.traces,
            on_object=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    written: list[Path] = []
    if release.maps is not None:
        written.append(save_maps(release.maps, folder / "maps.npz"))
    if len(release.traces):
        written.append(save_traces(release.traces, folder / "traces.npz"))
    lines = "".join(f"{problem}\n" for problem in release.problems)
    problems = write_whole(folder / "problems.txt", lines)
    tell(console, release, problems)
    for path in (folder / "maps.npz", folder / "traces.npz"):
        if path in written:
            console.print(f"wrote {path}: {path.stat().st_size / 1e6:.2f} MB", soft_wrap=True)
        elif path.exists():
            console.print(f"left {path} of an earlier import as it was", soft_wrap=True)


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument("release", help="folder that holds checkpoint/", metavar="RELEASE_DIR")
    made.add_argument("--out", help="output folder", default="results/recorded")
    made.add_argument(
        "--traces", action=BooleanOptionalAction, help="also final regions and traces, which takes longer", default=True
    )
    return made


def tell(console: Console, release: Release, problems: Path) -> None:
    """The summary."""
    if release.maps is not None:
        tell_maps(console, release.maps)
    else:
        console.print("maps: none, maps.npz is not written")
    if len(release.traces):
        tell_traces(console, release.traces)
    tell_problems(console, release.problems, problems)


def tell_maps(console: Console, maps: ScoreMaps) -> None:
    """How many maps, and how well they tell the scores between their lines."""
    error = held_out_error(maps)
    networks = counts(name.split("/")[0] for name in maps.names)
    console.print(f"maps: {len(maps)} ({networks}), {maps.scores.size} scores", soft_wrap=True)
    console.print(
        f"interpolation from every second line: mean absolute error {error.mean_absolute:.4f}, "
        f"{100 * error.flips:.2f} % of {error.points} held-out points on the other side of 0.5",
        soft_wrap=True,
    )


def tell_traces(console: Console, traces: ReleaseTraces) -> None:
    """How many runs, and which of them are odd."""
    console.print(
        f"runs: {len(traces)} final regions ({counts(traces.methods)}); traces: {int(traces.has_trace.sum())} here, "
        f"{int((traces.steps == 0).sum())} runs have none in the release",
        soft_wrap=True,
    )
    finite, inside = traces.is_finite, traces.is_inside
    console.print(
        f"diverged: {int((~finite).sum())} final regions are no numbers, {int((finite & ~inside).sum())} reach out of "
        "the space (elevation beyond its bounds, or more than a turn)",
        soft_wrap=True,
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
    console.print(f"problems: {len(wrong)} damaged or refused, {told}", soft_wrap=True)
    for problem in [*wrong, *missing][:MOST_SHOWN]:
        console.print(f"  {problem}", soft_wrap=True)
    if len(problems) > MOST_SHOWN:
        console.print(f"  and {len(problems) - MOST_SHOWN} more in {path}", soft_wrap=True)


def kind_of(path: str) -> str:
    """What a missing path would be."""
    parts = path.split("/")
    return parts[-1] if parts[-1].endswith(".pt") else ("networks", "classes", "objects")[len(parts) - 2]


def counts(words: Iterable[str]) -> str:
    """How often each word occurs, in the order of first occurrence."""
    return ", ".join(f"{word} {count}" for word, count in Counter(words).items())


if __name__ == "__main__":
    sys.exit(run_script(main))
