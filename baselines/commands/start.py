"""The first moments of a command: Ctrl-C is one line before anything else is imported.

Imports no more than what every Python has loaded: each module more is a moment in which Ctrl-C is a traceback.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the part of `signal` that needs no import of its own
import importlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, NoReturn

INTERRUPTED = 130
"""Exit code after Ctrl-C (128 + SIGINT, as shells have it)."""

INTERRUPT_TEXT = "nothing half-written is left"


def semrob() -> int:
    """Run `semrob COMMAND ...` of the command line and return its exit code."""
    interrupts.watch()
    return _code_of(sys.argv[1:])


def script(path: str) -> NoReturn:
    """Run the command that a script is named after, with the arguments of the command line, and exit."""
    interrupts.watch()
    sys.exit(_code_of([os.path.splitext(os.path.basename(path))[0], *sys.argv[1:]]))


def _code_of(arguments: list[str]) -> int:
    code: int = importlib.import_module("baselines.commands.program").code_of(arguments)
    return code


class Interrupts:
    """What Ctrl-C does in a process that is a command.

    While its modules are imported it ends at once: there is nothing to tidy up, and an import may swallow a
    KeyboardInterrupt, or wrap it in another error. During the work it is a KeyboardInterrupt, but for the same reason
    not before an import that is under way has ended.
    """

    LOOK_AGAIN_S, LONGEST_S = 0.05, 20.0

    def __init__(self) -> None:
        self._previous: Any = None
        self.end_work()

    def watch(self) -> None:
        """Take over Ctrl-C; other threads than the main one cannot."""
        self.end_work()
        try:
            self._previous = _signal.signal(_signal.SIGINT, self._on_signal)
        except ValueError:  # not in the main thread
            self._previous = None

    def begin_work(self) -> None:
        """From now on there may be something to tidy up."""
        self._is_working = True

    def end_work(self) -> None:
        """From now on there is nothing to tidy up again."""
        self._is_working, self._waited_s = False, 0.0

    def __enter__(self) -> None:
        self.watch()

    def __exit__(self, *error: object) -> None:
        if self._previous is not None:
            _signal.signal(_signal.SIGINT, self._previous)
            self._previous = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._is_working:
            os.write(2, f"interrupted: {INTERRUPT_TEXT}\n".encode())
            os._exit(INTERRUPTED)
        if not self.is_put_off(frame, self._on_signal):
            raise KeyboardInterrupt

    def is_put_off(self, frame: FrameType | None, handler: Callable[[int, FrameType | None], None]) -> bool:
        """Whether a signal has to wait for an import that is under way; `handler` is then called again soon."""
        if self._waited_s < self.LONGEST_S and _is_importing(frame) and self.look_again(handler):
            self._waited_s += self.LOOK_AGAIN_S
            return True
        self._waited_s = 0.0
        return False

    def look_again(self, handler: Callable[[int, FrameType | None], None]) -> bool:
        """Have a handler called soon, where the system can."""
        if not hasattr(_signal, "setitimer"):
            return False
        _signal.signal(_signal.SIGALRM, handler)
        _signal.setitimer(_signal.ITIMER_REAL, self.LOOK_AGAIN_S)
        return True

    def look_away(self) -> None:
        """Nothing is called any more."""
        if hasattr(_signal, "setitimer"):
            _signal.setitimer(_signal.ITIMER_REAL, 0)


interrupts = Interrupts()


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
