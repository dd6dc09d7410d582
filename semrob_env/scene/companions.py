"""What a mesh file names beside itself (materials, textures, buffers): read from its folder or archive, never outside.

Both classes are resolvers of trimesh, which swallows most errors of materials and textures; so they keep the first.
"""

from __future__ import annotations

import os
import posixpath
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Mapping
from pathlib import Path, PureWindowsPath
from typing import final

from semrob_env.containment import inside, is_plain, is_relative, outside
from semrob_env.errors import RefusedFileError
from semrob_env.files import note_file


class Companions(ABC):
    """Files beside a mesh, by the names that it gives them.

    A name is looked up as it is, then below the folder without its first slash, then by its last part beside the
    mesh: materials often hold paths of the machine that they were made on. Only where all fail does it count whether
    it leads outside: an error where it names something there or is absolute, else the file is just missing.

    Attributes:
        file_name: Name of the mesh file.
        failure: The first error but those of files that are missing or locked; None: there was none.
    """

    def __init__(self, file_name: str) -> None:
        self.file_name = file_name
        self.failure: Exception | None = None

    @final
    def get(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            FileNotFoundError: It is not there.
            RefusedFileError: It lies outside.
        """
        wanted = name.strip()
        failures: list[Exception] = []
        for candidate in dict.fromkeys((wanted, wanted.lstrip("/"), PureWindowsPath(wanted).name)):
            if not candidate.strip("./\\ "):
                continue  # names no file
            try:
                data = self._read(candidate)
            except OSError:
                raise
            except Exception as error:
                failures.append(error)
                continue
            if data is not None:
                return data
        if failures:
            self.failure = self.failure or failures[0]
            raise failures[0]
        raise FileNotFoundError(name)

    __getitem__ = get

    @abstractmethod
    def _read(self, name: str) -> bytes | None:
        """The bytes of a file, None where it is missing; an error where it lies outside."""


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
        return target.read_bytes() if target.is_file() else None


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
