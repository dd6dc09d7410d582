"""What a mesh file names beside itself (materials, textures, buffers): read from its folder or archive alone."""

from __future__ import annotations

import os
import posixpath
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Mapping
from pathlib import Path, PureWindowsPath
from typing import Final, final
from urllib.parse import unquote

from semrob_env.containment import inside, is_plain, is_relative, outside
from semrob_env.errors import RefusedFileError
from semrob_env.files import note_file

MAX_NAMES: Final = 2000
"""Most files that a mesh may name."""

MAX_NAME_LENGTH: Final = 4096
"""Longer names name no file on any system."""

MAX_BYTES: Final = 512 * 2**20
"""Most bytes of all of them together."""


class Companions(ABC):
    """Files beside a mesh, by the names that it gives them.

    A name is looked up as it is, then below the folder without its first slash, then with its backslashes as slashes,
    then percent-decoded, then by its last part beside the mesh: materials often hold paths of the machine that they
    were made on. Only where all fail does it count whether it leads outside as it is: an error where it names
    something there or is absolute, else the file is just missing.

    Attributes:
        file_name: Name of the mesh file.
    """

    def __init__(self, file_name: str) -> None:
        self.file_name = file_name
        self._found: dict[str, bytes | None] = {}

    @final
    def find(self, name: str) -> bytes | None:
        """The bytes of a file; None: it is missing.

        Raises:
            RefusedFileError: It lies outside, or the mesh names too many files or too large ones.
            OSError: It is there and cannot be read.
        """
        if len(name) > MAX_NAME_LENGTH:
            return None
        if name not in self._found:
            if len(self._found) >= MAX_NAMES:
                raise RefusedFileError(f"it names more than {MAX_NAMES} files, which is more than are looked for")
            self._found[name] = self._look_up(name)
            if sum(len(data) for data in self._found.values() if data) > MAX_BYTES:
                raise RefusedFileError(f"the files that it names have more than {MAX_BYTES} bytes together")
        return self._found[name]

    def _look_up(self, name: str) -> bytes | None:
        wanted = name.strip()
        slashed, decoded = wanted.replace("\\", "/"), unquote(wanted)
        plain = (wanted, wanted.lstrip("/"), PureWindowsPath(wanted).name)
        others = (slashed, slashed.lstrip("/"), decoded, decoded.replace("\\", "/"), PureWindowsPath(decoded).name)
        failures: list[Exception] = []
        for candidate in dict.fromkeys((*plain[:2], *others, plain[2])):
            if not candidate.strip("./\\ "):
                continue  # names no file
            try:
                data = self._read(candidate)
            except RefusedFileError as error:
                failures += [error] if candidate in plain else []
                continue
            if data is not None:
                return data
        if failures:
            raise failures[0]
        return None

    @abstractmethod
    def _read(self, name: str) -> bytes | None:
        """The bytes of a file, None where it is missing; `RefusedFileError` where it lies outside."""


@final
class FolderCompanions(Companions):
    """Files beside a mesh file (of a link: beside the link), all held by its folder or one above it."""

    def __init__(self, path: Path, folder: Path) -> None:
        super().__init__(path.name)
        self._beside, self._folder = path.parent, folder
        self._start = Path(os.path.relpath(path.parent, folder)).as_posix()

    def _read(self, name: str) -> bytes | None:
        try:
            target = inside(self._folder, name, start=self._start)
        except RefusedFileError:
            if is_relative(name) and not os.path.lexists(self._beside / name):
                return None
            raise
        note_file(target)
        if not os.path.isfile(target):  # False too where a part of it is too long for a name
            return None
        with target.open("rb") as file:
            return file.read(MAX_BYTES + 1)


@final
class MemberCompanions(Companions):
    """Members of an archive beside a mesh in it.

    Args:
        file_name: Name of the mesh file.
        members: The members that may be read, by their names below the folder of the mesh.
        read: Gives the bytes of a member.
        folder: The folder of the mesh in the archive.
        names: All members.
    """

    def __init__(
        self,
        file_name: str,
        members: Mapping[str, str],
        read: Callable[[str], bytes],
        folder: str,
        names: Container[str],
    ) -> None:
        super().__init__(file_name)
        self._members, self._read_member, self._folder, self._names = members, read, folder, names

    def _read(self, name: str) -> bytes | None:
        below = posixpath.normpath(name)
        if is_relative(name) and is_plain(below):
            member = self._members.get(below)
            return None if member is None else self._read_member(member)
        if is_relative(name) and posixpath.normpath(posixpath.join(self._folder, name)) not in self._names:
            return None
        raise outside(name, "the folder of its model")
