"""What commands show and write: the console, progress bars, tables, bundles of files, and how long calls take."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from semrob_env.errors import OutputError
from semrob_env.files import csv_text, markdown_table, output_folder, write_whole

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@final
class Console(RichConsole):
    """A console that leaves long lines whole where it is told so, and broken pipes to whoever chooses the exit code."""

    def __init__(self, **others: Any) -> None:
        super().__init__(**others)
        self.notes: list[str] = []

    def say(self, text: str) -> None:
        """Print text whose lines the terminal may wrap, not we."""
        self.print(text, soft_wrap=True)

    def note(self, text: str) -> None:
        """Say what is worth knowing before the work, and keep it for a report."""
        self.notes.append(text)
        self.say(f"note: {text}")

    def on_broken_pipe(self) -> None:  # noqa: D102
        raise BrokenPipeError


def make_console() -> Console:
    """The console of a command: 120 columns where the output is no terminal, so that tables stay readable in files."""
    # Paths and names are text: never markup, never emoji.
    console = Console(highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, emoji=False, width=120)


def progress_bar(console: Console, unit: str) -> Progress:
    """A bar with counts, elapsed and remaining time; a console that is no terminal gets plain lines instead."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


_OWN: dict[Path, int] = {}


def own_folder(path: str) -> Path:
    """The output folder, for this command alone until `leave_folders`: two at once would undo what the other writes.

    Raises:
        OutputError: It cannot be written, or another command is at work in it.
    """
    folder = output_folder(path)
    resolved = folder.resolve()
    if fcntl is not None and resolved not in _OWN:
        handle = os.open(resolved, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise OutputError(
                f"another command is at work in {folder}; wait until it has ended, or choose another --out"
            ) from error
        except OSError:  # a file system without such locks
            os.close(handle)
        else:
            _OWN[resolved] = handle
    return folder


def leave_folders() -> None:
    """Let others have the folders of `own_folder`."""
    while _OWN:
        os.close(_OWN.popitem()[1])


@final
class Bundle:
    """The files that a command writes into its folder, which is made and proven writable at once.

    Attributes:
        folder: The folder.
        written: Names of the files so far.
    """

    def __init__(self, folder: str, console: Console) -> None:
        self.folder: Path = own_folder(folder)
        self.written: list[str] = []
        self._console = console

    def text(self, name: str, text: str) -> None:
        """Write a text, which then ends with a line break."""
        write_whole(self.folder / name, text.rstrip("\n") + "\n" if text else text)
        self._keep(name)

    def keep(self, name: str, text: str, kind: str) -> None:
        """Write what decides about the results, unless the folder holds another: two must not be mixed up.

        Raises:
            OutputError: It does.
        """
        path = self.folder / name
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise OutputError(f"{path} is of another {kind}; give an --out of its own")
        write_whole(path, text)

    def rows(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Write flat rows as CSV, in full precision."""
        write_whole(self.folder / name, csv_text(rows))
        self._keep(name)

    def figure(self, name: str, figure: Figure) -> None:
        """Write a picture."""
        from semrob_env.plotting import save_figure

        save_figure(figure, self.folder / name)
        self._keep(name)

    def close(self, *others: str) -> None:
        """Tell what was written, other files in the folder included."""
        every = [*self.written, *others]
        told = " and ".join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)
        self._console.say(f"wrote {told} to {self.folder}")

    def _keep(self, name: str) -> None:
        if name not in self.written:
            self.written.append(name)


def shown(value: object) -> str:
    """A number with three digits; other things as they are."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def digits_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table, numbers with three digits."""
    return markdown_table([{key: shown(value) for key, value in row.items()} for row in rows])


def seconds_of(call: Callable[[], object]) -> float:
    """Wall time of a call, after one call to warm up."""
    call()
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


@final
class Timings(dict[str, list[float]]):
    """Seconds of each step in every repeat."""

    def median(self, name: str) -> float:
        """Median seconds of a step."""
        return float(np.median(self[name]))

    def ratio(self, above: str, below: str) -> float:
        """Median of the ratios of two steps, each of one repeat: of neighbors in time, both as busy a machine."""
        return float(np.median(np.array(self[above]) / np.array(self[below])))


def interleaved(
    steps: Mapping[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> Timings:
    """The times of steps by a clock; a repeat times all of them in turn, after one that is not counted."""
    times = Timings({name: [] for name in steps})
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            started = clock()
            step()
            if repeat:
                times[name].append(clock() - started)
    return times
