"""What all scripts share: one clear line and exit code 2 on bad input, readers of arguments, a progress bar."""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from semrob_env.errors import InvalidBudgetError, InvalidParameterError, SemrobError

MOST_NUMBERS, MOST_DIGITS = 10_000, 15
"""Longest range of `numbers`, and longest number in it."""

BAD_INPUT, INTERRUPTED = 2, 130
"""Exit codes: a SemrobError, and Ctrl-C (128 + SIGINT, as shells have it)."""


def run_script(
    main: Callable[[Sequence[str] | None], None],
    arguments: Sequence[str] | None = None,
    *,
    after_interrupt: str = "nothing half-written is left",
) -> int:
    """Run a script's main: its exit code is 0, 2 after a SemrobError (one line, no traceback) or 130 after Ctrl-C.

    Args:
        main: Takes the arguments.
        arguments: None: those of the command line.
        after_interrupt: What to say after Ctrl-C: where the work stands.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks ends no work
    try:
        main(arguments)
    except SemrobError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201 (the one line a script owes)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"interrupted: {after_interrupt}", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    return 0


@final
class ArgumentParser(argparse.ArgumentParser):
    """argparse with defaults and line breaks kept in --help, and one line for what cannot be read."""

    def __init__(self, description: str | None, epilog: str | None = None) -> None:
        super().__init__(description=description, epilog=epilog, formatter_class=_Formatter)

    def error(self, message: str) -> NoReturn:
        """One line and exit code 2, without the usage."""
        self.exit(BAD_INPUT, f"error: {message}; --help tells what is allowed\n")


@final
class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


def names(text: str) -> list[str]:
    """A comma-separated list; empty parts and repetitions are dropped.

    Raises:
        InvalidParameterError: Nothing is left.
    """
    parts = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise InvalidParameterError(f"empty list {text!r}; write names with commas between them")
    return parts


def numbers(text: str) -> list[int]:
    """Whole numbers and ranges with commas between them: `0-4,7` is 0, 1, 2, 3, 4, 7.

    Raises:
        InvalidParameterError: Something else is between the commas, or a range runs downwards.
    """
    chosen: list[int] = []
    for part in names(text):
        first, dash, last = part.partition("-")
        ends = (first, last if dash else first)
        readable = all(end.isascii() and end.isdigit() and len(end) <= MOST_DIGITS for end in ends)
        if not readable or int(ends[0]) > int(ends[1]):
            raise InvalidParameterError(f"cannot read {part[:40]!r}; write numbers and ranges, e.g. 0-4,7")
        if int(ends[1]) - int(ends[0]) >= MOST_NUMBERS:
            raise InvalidParameterError(f"{part!r} is a long range; give at most {MOST_NUMBERS} numbers")
        chosen += range(int(ends[0]), int(ends[1]) + 1)
    return list(dict.fromkeys(chosen))


def positive(value: int, option: str) -> int:
    """A count that must be at least 1.

    Raises:
        InvalidBudgetError: It is not.
    """
    if not 1 <= value < 2**53:
        raise InvalidBudgetError(f"{option} {str(value)[:40]}: give a whole number of at least 1 (and below 2^53)")
    return value


def seconds_of(call: Callable[[], object]) -> float:
    """Wall time of a call, after one call to warm up."""
    call()
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def make_console() -> Console:
    """The console of a script: 120 columns where the output is no terminal, so that tables stay readable in files."""
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
