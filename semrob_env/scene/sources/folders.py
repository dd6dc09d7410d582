"""Folders of meshes, and ShapeNet: `<class or synset>/<id>/models/model_normalized.obj` (version 1: `model.obj`)."""

from __future__ import annotations

import os
from collections.abc import Hashable
from pathlib import Path, PurePosixPath
from typing import final

from semrob_env.containment import files_below, inside, is_plain
from semrob_env.errors import LibraryError, RefusedFileError
from semrob_env.files import file_stamp
from semrob_env.scene.classes import first_class
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.mesh_files import SUFFIXES, load_mesh, mesh_node_names
from semrob_env.scene.sources.base import ShapeInfo, ShapeSource, pick
from semrob_env.scene.sources.texts import source_text

SHAPENET_FILES = ("models/model_normalized.obj", "models/model.obj", "model_normalized.obj", "model.obj")
"""Where ShapeNet keeps the mesh within the folder of a shape; the first that is there counts."""


@final
class Folder(ShapeSource):
    """Folders of meshes, at any depth.

    A shape of a ShapeNet layout is called `chair/ID`, any other one by its path below the folder: `mugs/red.obj`. The
    class is told by the folders above the file from the outside in, then by the file, then by the folder itself.
    """

    has_nodes = True

    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        """Every mesh file, in the order of names; links of folders and links that lead outside do not count.

        Raises:
            LibraryError: No such folder, or no mesh in it.
        """
        root = Path(path)
        if not os.path.isdir(root):
            raise LibraryError(f"{path}: no such folder; give a folder of meshes ({', '.join(SUFFIXES)})")
        ranked: dict[str, int] = {}
        for relative in files_below(root, SUFFIXES):
            name, rank = _name(relative)
            ranked[name] = min(rank, ranked.get(name, rank))
        if not ranked:
            libraries = ", ".join(sorted(file for file in os.listdir(root) if file.lower().endswith(".sh3f"))[:10])
            hint = f"; it has libraries, give one of these: {libraries}" if libraries else ""
            place = f"no mesh file ({', '.join(SUFFIXES)}) in this folder or below it"
            raise LibraryError(f"{path}: {place}, links to outside left out{hint}")
        shapes = []
        for name in sorted(ranked):
            inner = PurePosixPath(name)
            hints = (*inner.parts[:-1], inner.stem, root.resolve().name)
            title = inner.name if ranked[name] < len(SHAPENET_FILES) else inner.stem
            shapes.append(ShapeInfo(source_text("folder", path, name), name, title, first_class(hints), hints=hints))
        return tuple(shapes)

    def mesh(self, path: str, name: str, *, class_name: str, colors: bool) -> Mesh:
        """The mesh in the file of a shape."""
        return load_mesh(self._file(path, name), colors=colors, within=path)

    def covered_mesh(self, path: str, name: str, *, class_name: str, node: str = "") -> Mesh:
        """The same with its surface."""
        return load_mesh(self._file(path, name), surface=True, within=path, node=node)

    def node_names(self, path: str, name: str) -> list[str]:
        """Names of its parts."""
        return mesh_node_names(self._file(path, name))

    def node_mesh(self, path: str, name: str, node: str, *, colors: bool) -> Mesh:
        """A named part of it."""
        return load_mesh(self._file(path, name), colors=colors, within=path, node=node)

    def canonical_name(self, path: str, name: str) -> str:
        """A name as `shapes` spells it; one that is exact is found without walking; errors as `shapes` and `pick`."""
        file = _file_of(Path(path), name)
        if file is not None:
            return _name(PurePosixPath(file.relative_to(path).as_posix()))[0]
        return pick(self.shapes(path), name, f"folder {path}").name

    def stamp(self, path: str, name: str, class_name: str) -> Hashable:
        """That of the file."""
        return file_stamp(self._file(path, name))

    def _file(self, path: str, name: str) -> Path:
        file = _file_of(Path(path), self.canonical_name(path, name))
        if file is None:
            raise LibraryError(f"{path}: {name!r} has gone while it was looked for; try again")
        return file


def _name(relative: PurePosixPath) -> tuple[str, int]:
    """Name of a shape by its file, and the place of that file in `SHAPENET_FILES`, or their number if it has none."""
    for rank, tail in enumerate(SHAPENET_FILES):
        parts = PurePosixPath(tail).parts
        if relative.parts[-len(parts) :] == parts and len(relative.parts) > len(parts):
            return "/".join(relative.parts[: -len(parts)]), rank
    return str(relative), len(SHAPENET_FILES)


def _file_of(root: Path, name: str) -> Path | None:
    if not is_plain(name):
        return None
    for tail in ("", *SHAPENET_FILES):
        file = root / name / tail
        if file.suffix.lower() in SUFFIXES and os.path.isfile(file):
            try:
                inside(root, file.relative_to(root).as_posix())
            except RefusedFileError as error:
                raise LibraryError(f"{root}: {error}, or give the folder that the link leads to") from error
            return file
    return None
