"""From a command line to a command: reads options, gives bad input one line, and says with which code to exit.

Nothing heavy is imported before the options are read. The options themselves are read by cyclopts.
"""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from signal import SIGTERM
from types import FrameType
from typing import Annotated, Any, Generic, TypeVar, final

from baselines.commands.start import INTERRUPT_TEXT, interrupts
from baselines.commands.start import INTERRUPTED as INTERRUPTED
from baselines.commands.table import COMMANDS, NAMES
from semrob_env.errors import GateError, InvalidParameterError, OutputError, SemrobError, UnknownNameError

FAILED_GATE, BAD_INPUT, BROKEN_PIPE, TERMINATED = 1, 2, 141, 143
"""Exit codes: a GateError, another SemrobError, a reader that went away, SIGTERM (128 + the signal, as in shells)."""

MOST_TOLD = 2000
"""Most letters of an error."""

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
    with interrupts:
        return code_of(sys.argv[1:] if arguments is None else arguments)


def code_of(arguments: Sequence[str]) -> int:
    """The exit code of `semrob COMMAND ...` in a process that is this command alone."""
    # Before NumPy is loaded: matrices here are small, threads cost, and workers have one each (the same bytes).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    name, *rest = [*arguments, ""]
    if name in {"", "-h", "--help"}:
        return guarded(_print_help, INTERRUPT_TEXT)
    text = INTERRUPT_TEXT

    def call() -> None:
        nonlocal text
        command = find_command(name)
        text = command.after_interrupt
        command(rest[:-1])

    return guarded(call, lambda: text)


def run_command(command: Command[Any], arguments: Sequence[str]) -> int:
    """The exit code of a command: 0, 1 after a failed gate, 2 after bad input (one line each), 130 after Ctrl-C."""
    return guarded(lambda: command(arguments), command.after_interrupt)


def find_command(name: str) -> Command[Any]:
    """The command of that name.

    Raises:
        UnknownNameError: There is none.
    """
    name = name.replace("-", "_")
    if name not in NAMES:
        import difflib

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
                run = importlib.import_module(f"baselines.commands.work.{self.name}").run
                interrupts.begin_work()
                console = make_console()
                if (tell := getattr(options, "tell_meshes", None)) is not None:
                    tell(console)
                run(options, console)
        finally:
            leave_folders()

    def read(self, arguments: Sequence[str] | None = None) -> OptionsT | None:
        """The options that arguments spell, or None after --help.

        Raises:
            InvalidParameterError: An unknown option, or a value that cannot be read; or another SemrobError.
        """
        from dataclasses import fields, replace

        import cyclopts

        from baselines.commands.shared.reading import DEFAULTS
        from baselines.commands.shared.terminal import make_console

        takes_words = any(field.name == "sources" for field in fields(self.options))  # type: ignore[arg-type]

        words_name = getattr(self.options, "words", "SOURCE")

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
            usage=f"Usage: semrob {self.name} [OPTIONS]{f' [{words_name} ...]' if takes_words else ''}",
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


@final
class Output:
    """Standard output that a full disk behind it does not end the work of: what is said is lost, and told at the end.

    Attributes:
        error: The first one; None: all was written.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """As a stream does.

        Raises:
            BrokenPipeError: The reader went away.
        """
        self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        """As a stream does.

        Raises:
            BrokenPipeError: The reader went away.
        """
        self._try(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, act: Callable[..., object], *arguments: object) -> None:
        try:
            act(*arguments)
        except OSError as error:
            self.error = self.error or error
            if isinstance(error, BrokenPipeError):
                raise


def guarded(call: Callable[[], None], after_interrupt: str | Callable[[], str]) -> int:
    """The exit code of a call: after a SemrobError, Ctrl-C or SIGTERM one line, no traceback.

    Args:
        call: The work.
        after_interrupt: What to say after a signal: where the work stands.
    """
    # Pictures go into files: which windows there are is not asked, nor is a backend that does not exist.
    os.environ.pop("MPLBACKEND", None)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks ends no work
    usual, output = sys.stdout, Output(sys.stdout)
    sys.stdout = output if usual is not None else usual
    try:
        with _signals():
            call()
        if usual is not None:  # closed by whoever started us
            output.flush()
        if output.error is not None:
            reason = output.error.strerror or output.error
            raise OutputError(f"the work is done, but what it says could not be written to standard output: {reason}")
    except SemrobError as error:
        told, is_gate = " ".join(str(error).split()), isinstance(error, GateError)
        _tell(f"{'failed' if is_gate else 'error'}: {told[:MOST_TOLD]}{' ...' * (len(told) > MOST_TOLD)}")
        return FAILED_GATE if is_gate else BAD_INPUT
    except KeyboardInterrupt as error:
        text = after_interrupt if isinstance(after_interrupt, str) else after_interrupt()
        is_terminated = isinstance(error, _Terminated)
        _tell(f"{'terminated' if is_terminated else 'interrupted'}: {text}")
        return TERMINATED if is_terminated else INTERRUPTED
    except BrokenPipeError:
        if not isinstance(output.error, BrokenPipeError):
            raise  # a pipe to a worker is another matter
        return BROKEN_PIPE
    finally:
        sys.stdout = usual
        if output.error is not None:
            _silence(usual)
        interrupts.end_work()
    return 0


class _Terminated(KeyboardInterrupt):
    """SIGTERM: ends the work as Ctrl-C does, workers with it."""


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM is an interrupt while the work goes on; handlers of a program around us stay as they are."""
    import threading

    is_free = threading.current_thread() is threading.main_thread() and signal.getsignal(SIGTERM) is signal.SIG_DFL
    if is_free:
        signal.signal(SIGTERM, _terminate)
    try:
        yield
    finally:
        if is_free:
            interrupts.look_away()
            signal.signal(SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(SIGTERM, signal.SIG_IGN)  # the clean-up is not to be cut short
    if interrupts.is_put_off(frame, _terminate):  # an import may swallow it, or wrap it in another error
        return
    interrupts.look_again(_terminate)  # so may a library that calls us back, and then the work would go on for ever
    handled: BaseException | None = sys.exc_info()[1]
    while handled is not None:  # one that is under way, or tidied up after
        if isinstance(handled, _Terminated):
            return
        handled = handled.__context__
    raise _Terminated


def _tell(text: str) -> None:
    """The one line that is owed."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:  # nobody listens: the exit code says it
        _silence(sys.stderr)


def _silence(stream: Any) -> None:
    """Send the rest nowhere, or the interpreter's own flush at the end complains."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):  # one that is no file
        return
