"""From a command line to a command: reads options, gives bad input one line, and says with which code to exit.

Nothing heavy is imported before the options are read. The options themselves are read by cyclopts.
"""

from __future__ import annotations

import difflib
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from signal import SIGTERM
from typing import Annotated, Any, Generic, NoReturn, TypeVar, final

from baselines.commands.table import COMMANDS, NAMES
from semrob_env.errors import InvalidParameterError, SemrobError, UnknownNameError

BAD_INPUT, INTERRUPTED, BROKEN_PIPE, TERMINATED = 2, 130, 141, 143
"""Exit codes: a SemrobError; Ctrl-C, a reader that went away and SIGTERM (128 + the signal, as shells have them)."""

INTERRUPT_TEXT = "nothing half-written is left"
KEPT_TEXT = "what was finished is kept; run the same command to go on"

OptionsT = TypeVar("OptionsT")

HELP = """\
How robust is a classifier to a change of viewpoint or light, and which optimizer finds that out with the fewest
queries?

  semrob COMMAND --help tells what a command does, with examples and all of its options
  python scripts/COMMAND.py ... and, from Python, baselines.commands.COMMAND.main([...]) are the same

{commands}

Examples:
  semrob srvr_table --dry-run                     what the default table would ask, and how long it takes
  semrob grow_regions my_mug.obj --class cup      regions in which a network recognizes a mesh of yours
  semrob compare_methods --suite synthetic --parameters 2 --methods naive,grid,random_search
"""


def semrob(arguments: Sequence[str] | None = None) -> int:
    """Run `semrob COMMAND ...` and return its exit code.

    Args:
        arguments: None: those of the command line.
    """
    # Before NumPy is loaded: matrices here are small, threads cost, and workers have one each (the same bytes).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    name, *rest = [*(sys.argv[1:] if arguments is None else arguments), ""]
    if name in {"", "-h", "--help"}:
        return guarded(_print_help, INTERRUPT_TEXT)
    text = INTERRUPT_TEXT

    def call() -> None:
        nonlocal text
        command = find_command(name)
        text = command.after_interrupt
        command(rest[:-1])

    return guarded(call, lambda: text)


def script(path: str) -> NoReturn:
    """Run the command that a script is named after, with the arguments of the command line, and exit."""
    sys.exit(semrob([os.path.splitext(os.path.basename(path))[0], *sys.argv[1:]]))


def run_command(command: Command[Any], arguments: Sequence[str]) -> int:
    """The exit code of a command: 0, 2 after bad input (one line, no traceback), 130 after Ctrl-C."""
    return guarded(lambda: command(arguments), command.after_interrupt)


def find_command(name: str) -> Command[Any]:
    """The command of that name.

    Raises:
        UnknownNameError: There is none.
    """
    name = name.replace("-", "_")
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]}" if near else f"there are {', '.join(NAMES)}"
        raise UnknownNameError(f"unknown command {name[:40]!r}; {hint}; semrob --help tells what each is for")
    found: Command[Any] = importlib.import_module(f"baselines.commands.{name}").main
    return found


@final
class Command(Generic[OptionsT]):
    """A command: called with arguments, it reads them as options and runs.

    Args:
        options: Frozen dataclass of the options, in the module that the command is named after; a field `sources` takes
            the words without an option.
        after_interrupt: What to say after Ctrl-C: where the work stands.
    """

    def __init__(self, options: type[OptionsT], *, after_interrupt: str = INTERRUPT_TEXT) -> None:
        self.options = options
        self.after_interrupt = after_interrupt
        self.name = options.__module__.rpartition(".")[2]

    def __call__(self, arguments: Sequence[str] | None = None) -> None:
        """Run with arguments, those of the command line by default; after --help, only that.

        Raises:
            SemrobError: Something is misspelt, or the command says why it cannot go on.
        """
        from baselines.commands.shared.terminal import leave_folders, make_console

        options = self.read(arguments)
        try:
            if options is not None:
                importlib.import_module(f"baselines.commands.work.{self.name}").run(options, make_console())
        finally:
            leave_folders()

    def read(self, arguments: Sequence[str] | None = None) -> OptionsT | None:
        """The options that arguments spell, or None after --help.

        Raises:
            InvalidParameterError: An unknown option, or a value that cannot be read; or another SemrobError.
        """
        import cyclopts

        from baselines.commands.shared.reading import DEFAULTS
        from baselines.commands.shared.terminal import make_console

        takes_words = any(field.name == "sources" for field in fields(self.options))  # type: ignore[arg-type]

        def call(*words: str, given: OptionsT | None = None) -> OptionsT:
            options = self.options() if given is None else given
            if words and not takes_words:
                raise InvalidParameterError(
                    f"{words[0][:40]!r} is no option of {self.name}; --help tells what is allowed"
                )
            return replace(options, sources=words) if words else options  # type: ignore[type-var]

        flat: Any = Annotated[self.options, cyclopts.Parameter(name="*")]
        call.__annotations__ = {"words": Annotated[str, cyclopts.Parameter(show=False)], "given": flat}
        app = cyclopts.App(
            name=self.name,
            usage=f"Usage: semrob {self.name} [OPTIONS]{' [SOURCE ...]' if takes_words else ''}",
            help="",
            help_prologue=str(sys.modules[self.options.__module__].__doc__).strip(),
            help_format="plaintext",
            version_flags=[],
            default_parameter=DEFAULTS,
            group_commands=cyclopts.Group("Commands", show=False),
            group_parameters=cyclopts.Group("Options", sort_key=0),
            console=make_console(),
        )
        app.default(call)
        try:
            read: OptionsT | None = app(
                sys.argv[1:] if arguments is None else list(arguments),
                exit_on_error=False,
                print_error=False,
                result_action="return_value",
            )
        except cyclopts.CycloptsError as error:
            raise _as_own(error) from error
        if read is not None and (imports := getattr(read, "imports", ())):
            from baselines.experiments.plugins import import_modules

            import_modules(imports)
        return read


def _as_own(error: Any) -> SemrobError:
    """An error of cyclopts as one of the house, that of a reader with the name of its option."""
    cause, given = error.__cause__, getattr(error, "argument", None)
    token = getattr(error, "token", None) or (given.tokens[-1] if given is not None and given.tokens else None)
    if isinstance(cause, SemrobError) and token is not None:
        return type(cause)(f"{token.keyword} {token.value[:40]}: {cause}")
    if isinstance(cause, SemrobError):
        return cause
    return InvalidParameterError(f"{' '.join(str(error).split())[:400].rstrip('.?')}; --help tells what is allowed")


def _print_help() -> None:
    shown = []
    for question, commands in COMMANDS.items():
        lines = [f"  {name:20}{text}" for name, text in commands.items()]
        shown.append("\n".join([question, *lines]))
    print(HELP.format(commands="\n\n".join(shown)), end="")  # noqa: T201 (what was asked for)


def guarded(call: Callable[[], None], after_interrupt: str | Callable[[], str]) -> int:
    """The exit code of a call: after a SemrobError, Ctrl-C or SIGTERM one line, no traceback.

    Args:
        call: The work.
        after_interrupt: What to say after a signal: where the work stands.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks ends no work
    try:
        with _signals():
            call()
        sys.stdout.flush()
    except SemrobError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201 (the one line that is owed)
        return BAD_INPUT
    except KeyboardInterrupt as error:
        text = after_interrupt if isinstance(after_interrupt, str) else after_interrupt()
        is_terminated = isinstance(error, _Terminated)
        print(f"{'terminated' if is_terminated else 'interrupted'}: {text}", file=sys.stderr)  # noqa: T201
        return TERMINATED if is_terminated else INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter's own flush complains
        return BROKEN_PIPE
    return 0


class _Terminated(KeyboardInterrupt):
    """SIGTERM: ends the work as Ctrl-C does, workers with it."""


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM is an interrupt while the work goes on; handlers of a program around us stay as they are."""
    is_free = threading.current_thread() is threading.main_thread() and signal.getsignal(SIGTERM) is signal.SIG_DFL
    if is_free:
        signal.signal(SIGTERM, _terminate)
    try:
        yield
    finally:
        if is_free:
            signal.signal(SIGTERM, signal.SIG_DFL)


def _terminate(*_: object) -> NoReturn:
    signal.signal(SIGTERM, signal.SIG_IGN)  # the clean-up is not to be cut short
    raise _Terminated
