"""Files that are whole or not there (written beside their place, then renamed), and rows as text."""

from __future__ import annotations

import csv
import io
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from semrob_env.errors import OutputError


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
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(encodable(data).encode() if isinstance(data, str) else data)
        beside.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}; choose another --out") from error
    finally:
        beside.unlink(missing_ok=True)
    return target


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
