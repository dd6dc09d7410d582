"""Files that are whole or not there (written beside their place, then renamed), and rows as text."""

from __future__ import annotations

import csv
import io
import math
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from semrob_env.errors import OutputError, RefusedFileError


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
    except OSError as error:
        raise OutputError(
            f"cannot write to folder {folder}: {error.strerror or error}; choose another --out"
        ) from error
    return folder


def write_whole(path: str | os.PathLike[str], data: str | bytes) -> Path:
    """Write a file so that a reader, or a kill, never meets half of it; text goes through `encodable`.

    Raises:
        OutputError: The file cannot be written.
    """
    target = Path(path)
    if os.path.exists(target) and not os.path.isfile(target):  # a device would be replaced by a file
        raise OutputError(f"cannot write {target}: it is no ordinary file; choose another --out")
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(encodable(data).encode() if isinstance(data, str) else data)
        beside.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}; choose another --out") from error
    finally:
        with suppress(OSError):  # whatever keeps the file from being written keeps it from being removed
            beside.unlink(missing_ok=True)
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


def file_stamp(path: str | os.PathLike[str]) -> tuple[int, int, int] | None:
    """What changes where a file is written again: time, size and number; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Flat rows, all with the keys of the first, as CSV with full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Flat rows, all with the keys of the first, as a Markdown table with aligned columns."""
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]]
    lines = [list(rows[0]), ["-" * width for width in widths], *(list(row.values()) for row in rows)]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def interval_text(low: float, high: float) -> str:
    """An interval of shares in %; a dash where there is none."""
    return f"{100 * low:.2f} to {100 * high:.2f}" if math.isfinite(low) else "-"
