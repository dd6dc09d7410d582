"""Reading single members of a zip from a stranger: bounded, by name, never unpacked as a whole."""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, final

from semrob_env.errors import LibraryError, SemrobError

MAX_ARCHIVE_BYTES: Final = 2 * 2**30
"""Largest zip file that is opened."""

MAX_MEMBERS: Final = 100_000
"""Most files in a zip."""

MAX_MEMBER_BYTES: Final = 256 * 2**20
"""Most bytes that a member may have unpacked."""

MAX_RATIO: Final = 200
"""A member of more than `SMALL_BYTES` may not unpack to more than this times its packed size; models reach 12."""

SMALL_BYTES: Final = 2**20
"""Members up to this size are let through whatever their ratio."""


@final
class Archive:
    """A zip file that is open: `names` of its members, and `read`."""

    def __init__(self, path: str, file: zipfile.ZipFile) -> None:
        self._path, self._file = path, file
        self.names = frozenset(file.namelist())

    def size(self, name: str) -> int:
        """Unpacked bytes of a member, as the zip states them; `read` gives no more than these."""
        return self._file.getinfo(name).file_size

    def check_names(self) -> None:
        """Prove that every member is called alike in the list at the end of the zip and where it lies.

        Raises:
            LibraryError: One is not: the list is damaged.
        """
        with open(self._path, "rb") as file:
            for info in self._file.infolist():
                file.seek(info.header_offset)
                header = file.read(30)
                name = file.read(int.from_bytes(header[26:28], "little"))
                encoding = "utf-8" if int.from_bytes(header[6:8], "little") & 0x800 else "cp437"
                if header[:4] != b"PK\3\4" or name.decode(encoding, "replace") != info.orig_filename:
                    raise LibraryError(f"{self._path}: {info.filename!r} has another name in the zip; it is damaged")

    def read(self, name: str, *, limit: int = MAX_MEMBER_BYTES) -> bytes:
        """The bytes of a member.

        Raises:
            LibraryError: No such member, or one that is too large, packed too well, encrypted or damaged.
        """
        if name not in self.names:
            raise LibraryError(f"{self._path}: holds no file {name!r}")
        info = self._file.getinfo(name)
        if info.file_size > limit:
            raise LibraryError(f"{self._path}: {name!r} unpacks to {info.file_size} bytes, more than {limit} allowed")
        if info.file_size > max(SMALL_BYTES, MAX_RATIO * info.compress_size):
            times = f"{info.file_size / max(1, info.compress_size):.0f} times its size"
            raise LibraryError(
                f"{self._path}: {name!r} unpacks to {times}, more than {MAX_RATIO} times are taken for a zip bomb"
            )
        with self._file.open(info) as member:
            return member.read(limit)  # zipfile stops at the stated size and then checks the sum


@contextmanager
def open_archive(path: str) -> Iterator[Archive]:
    """A zip file, open; whatever goes wrong within is told in one line.

    Raises:
        LibraryError: No such file, too large, too many members, not a zip, or damaged.
    """
    if not os.path.isfile(path):
        raise LibraryError(f"{path}: no such file; give a Sweet Home 3D furniture library (.sh3f)")
    try:
        size = os.stat(path).st_size
        if size > MAX_ARCHIVE_BYTES:
            raise LibraryError(f"{path}: {size} bytes are more than the {MAX_ARCHIVE_BYTES} allowed")
        with zipfile.ZipFile(path) as opened:
            names = opened.namelist()
            if len(names) > MAX_MEMBERS:
                raise LibraryError(f"{path}: {len(names)} files are more than the {MAX_MEMBERS} allowed")
            if len(set(names)) < len(names):
                twice = next(name for name, count in Counter(names).items() if count > 1)
                raise LibraryError(f"{path}: holds {twice!r} twice; which one counts, nobody knows")
            if _promised(path, size) not in {len(names), None}:
                raise LibraryError(f"{path}: not a readable zip: it lists {len(names)} files and promises others")
            yield Archive(path, opened)
    except SemrobError:
        raise
    except Exception as error:  # zipfile fed with a damaged file may raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise LibraryError(f"{path}: not a readable zip: {reason}") from error


def _promised(path: str, size: int) -> int | None:
    """How many members the end of a zip promises, which zipfile passes over; None: it does not tell."""
    with open(path, "rb") as file:
        file.seek(max(0, size - 22 - 2**16))
        tail = file.read()
    place = tail.rfind(b"PK\5\6")
    count = int.from_bytes(tail[place + 10 : place + 12], "little")
    return None if place < 0 or count == 0xFFFF else count
