"""Files that are whole or not there (written beside their place, then renamed), what is kept of them, rows as text."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
import re
import stat
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Generic, TypeVar, final

from semrob_env.errors import MissingFileError, OutputError, RefusedFileError

MadeT = TypeVar("MadeT")
Stamp = tuple[int, ...] | None


def output_folder(path: str | os.PathLike[str]) -> Path:
    """The folder, made if need be and proven writable before any work.

    Raises:
        OutputError: It cannot be made or written to.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:  # ValueError: a null byte
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write to folder {encodable(str(folder))}: {reason}; choose another --out") from error
    return folder


def write_whole(path: str | os.PathLike[str], data: str | bytes) -> Path:
    """Write a file so that a reader, or a kill, never meets half of it; text goes through `encodable`.

    Raises:
        OutputError: The file cannot be written.
    """
    target = Path(path)
    if os.path.exists(target) and not os.path.isfile(target):  # a device would be replaced by a file
        raise OutputError(f"cannot write {target}: it is no ordinary file; choose another --out")
    # Of a length of its own: a name that is long, but fits, must not be too long with what is added.
    name = hashlib.sha256(target.name.encode(errors="surrogatepass")).hexdigest()[:16]
    beside = target.parent / f".{name}.{os.getpid()}.part"
    try:
        beside.write_bytes(encodable(data).encode() if isinstance(data, str) else data)
        beside.replace(target)
    except (OSError, ValueError) as error:  # ValueError: a null byte
        raise OutputError(
            f"cannot write {encodable(str(target))}: {getattr(error, 'strerror', None) or error}; choose another place"
        ) from error
    finally:
        with suppress(OSError, ValueError):  # whatever keeps the file from being written keeps it from being removed
            beside.unlink()
    return target


def bounded_text(path: str | os.PathLike[str], most_bytes: int) -> str:
    """The text (UTF-8, with or without a byte order mark) of a file from elsewhere.

    Raises:
        OSError: It cannot be read.
        RefusedFileError: It is no ordinary file, larger than `most_bytes`, or no text.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise RefusedFileError(f"{path} is no ordinary file; give one")
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise RefusedFileError(f"{path} is too large; at most {most_bytes} bytes are read")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedFileError(f"{path} is no text of UTF-8: {error.reason} at byte {error.start}") from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe without a writer would keep us


def encodable(text: str) -> str:
    r"""Text that any file, database or terminal of UTF-8 takes: what it does not is written as `\udcff` or `\x00`.

    Lone surrogates stand for the bytes of file names that are not UTF-8; a null byte ends a text for many readers.
    """
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def file_stem(text: str, most: int = 80) -> str:
    """A text as a part of a file's name: letters, digits, dots and hyphens, all else an underscore."""
    return re.sub(r"[^\w.-]+", "_", text, flags=re.ASCII)[:most]


def file_stamp(path: str | os.PathLike[str]) -> Stamp:
    """What changes where a file is written again: times, size and number; None where there is none.

    The time of the change of its entry is among them: programs may put back the time of its content, not that one.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


_noted: ContextVar[tuple[dict[str, Stamp], ...]] = ContextVar("noted", default=())


def note_file(path: str | os.PathLike[str]) -> None:
    """Say that a file is about to be read, or was looked for in vain, to every `FileCache` that waits for a value."""
    for files in _noted.get():
        files.setdefault(os.path.abspath(path), file_stamp(path))


@final
class FileCache(Generic[MadeT]):
    """Values that are made of files, kept as long as every file that was noted while one was made is as it was.

    Args:
        most: Values kept; those asked for longest ago go first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[MadeT, dict[str, Stamp]]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], MadeT]) -> MadeT:
        """The value of a key: as it was made, or made anew where a file has changed, come or gone."""
        with self._lock:
            value, files = self._kept.get(key) or (None, None)
        if files is None or any(file_stamp(path) != stamp for path, stamp in files.items()):
            files = {}
            before = _noted.set((*_noted.get(), files))
            try:
                value = make()
            finally:
                _noted.reset(before)
        else:
            for path in files:
                note_file(path)  # for what is made of this value
        assert value is not None
        with self._lock:
            self._kept[key] = value, files
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return value

    def clear(self) -> None:
        """Let go of all values."""
        with self._lock:
            self._kept.clear()


def require_regular(path: str | os.PathLike[str], most_bytes: int) -> None:
    """Refuse what would block, never end or fill the memory where it is read, and note the file.

    Raises:
        MissingFileError: There is none, or it cannot be looked at.
        RefusedFileError: A folder, pipe or device, or larger.
    """
    note_file(path)
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise MissingFileError(f"{path}: {getattr(error, 'strerror', None) or error}; give a file") from error
    if not stat.S_ISREG(status.st_mode):
        raise RefusedFileError(f"{path}: is a folder, pipe or device; give a regular file")
    if status.st_size > most_bytes:
        raise RefusedFileError(f"{path}: {status.st_size} bytes are more than the {most_bytes} allowed; give a file")


def read_regular(path: str | os.PathLike[str], most_bytes: int) -> bytes:
    """The bytes of a regular file that is not empty.

    Files of size 0 are not read: some of the system's, which are endless, say that they have it.

    Raises:
        MissingFileError, RefusedFileError: As `require_regular`; or it cannot be read, or has grown too large.
    """
    require_regular(path, most_bytes)
    try:
        if not os.stat(path).st_size:
            return b""
        with open(path, "rb") as stream:
            data = stream.read(most_bytes + 1)
    except OSError as error:
        raise MissingFileError(f"{path}: cannot be read ({error.strerror or error}); give a file") from error
    if len(data) > most_bytes:
        raise RefusedFileError(f"{path}: has more than the {most_bytes} bytes allowed; give a file")
    return data


def file_digest(path: Path) -> str:
    """SHA-256 of a file, for run keys."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Flat rows, all with the keys of the first, as CSV with full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Flat rows, all with the keys of the first, as an aligned Markdown table; cells are plain text, or `Markup`."""
    rows = [{_in_cell(name): _in_cell(cell) for name, cell in row.items()} for row in rows]
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]]
    lines = [list(rows[0]), ["-" * width for width in widths], *(list(row.values()) for row in rows)]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


_MARKUP = re.compile(r"[|*`]|<(?=[A-Za-z/!?])|](?=\()|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown would read as more than text, in names from elsewhere."""


@final
class Markup(str):
    """A cell that is Markdown already."""


def _in_cell(text: str) -> str:
    """Text on one line of which Markdown makes nothing else."""
    if isinstance(text, Markup):
        return text
    printable = (one if one.isprintable() else f"\\x{ord(one):02x}" for one in " ".join(encodable(text).splitlines()))
    return _MARKUP.sub(r"\\\g<0>", "".join(printable))


def interval_text(low: float, high: float) -> str:
    """An interval of shares in %; a dash where there is none."""
    return f"{100 * low:.2f} to {100 * high:.2f}" if math.isfinite(low) else "-"
