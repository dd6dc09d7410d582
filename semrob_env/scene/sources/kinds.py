"""Kinds of places that shapes come from: what stands before the colon of a source text, and what it does."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Hashable
from pathlib import Path
from typing import final

from semrob_env.errors import InvalidMeshError, InvalidParameterError, LibraryError, UnknownNameError
from semrob_env.files import file_stamp
from semrob_env.registry import Registry
from semrob_env.scene.mesh import SUFFIXES, Mesh, load_mesh
from semrob_env.scene.shapes import SHAPES, make_shape
from semrob_env.scene.sources.class_of import class_of
from semrob_env.scene.sources.folders import list_folder, mesh_in_folder, name_in_folder
from semrob_env.scene.sources.libraries import list_library, load_piece
from semrob_env.scene.sources.shape_info import ShapeInfo, pick
from semrob_env.scene.sources.texts import source_text, unescape

PROCEDURAL = "procedural"
LIBRARY_SUFFIX = ".sh3f"
MOST_DIGITS = 15
"""Longest number of a procedural shape."""

ALLOWED = f"a folder of meshes, a {LIBRARY_SUFFIX} library, a mesh file ({' '.join(SUFFIXES)}), or {PROCEDURAL}"
"""For messages."""


class ShapeSource(ABC):
    """A kind of places; in ids `KIND:PATH#NAME`, or `KIND:PATH` where a place holds one shape.

    Attributes:
        form: What stands behind the colon, for messages.
        has_names: Whether a place holds several shapes, so that a text without `#NAME` means all of them.
        is_procedural: Whether the class of the id makes the shape: normalised, without materials.
    """

    form = "PATH#NAME"
    has_names = True
    is_procedural = False

    @abstractmethod
    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        """What a place holds; `source` of each is `source_text(KIND, path, name)`.

        Raises:
            LibraryError: The place cannot be used.
        """

    @abstractmethod
    def mesh(self, path: str, name: str, *, class_name: str, colors: bool) -> Mesh:
        """A shape, in any units: it is normalised afterwards.

        Args:
            path: The place.
            name: As `canonical_name` gives it, or as a person wrote it.
            class_name: That of the id.
            colors: Whether faces are wanted in the colors of their materials, not white.

        Raises:
            LibraryError: The place cannot be used.
            InvalidMeshError: The mesh cannot be used.
            UnknownNameError, AmbiguousNameError: No such shape, or several.
        """

    def canonical_name(self, path: str, name: str) -> str:
        """The one spelling of a name."""
        return pick(self.shapes(path), name, path).name if self.has_names else ""

    def stamp(self, path: str, name: str, class_name: str) -> Hashable:
        """What differs where another shape may be behind the same text; a mesh is kept as long as it does not."""
        del name, class_name
        return file_stamp(path)

    def split(self, text: str) -> tuple[str, str] | None:
        """Path and name of what stands behind the colon; None: cannot be read."""
        path, _, name = text.partition("#")
        if not path or bool(name) != self.has_names:
            return None
        return unescape(path), unescape(name)


@final
class _Procedural(ShapeSource):
    form, has_names, is_procedural = "3", False, True

    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        return tuple(ShapeInfo(f"{PROCEDURAL}:{path}", f"{name}:{path}", name, name) for name in SHAPES)

    def mesh(self, path: str, name: str, *, class_name: str, colors: bool) -> Mesh:
        if colors:
            raise InvalidParameterError("procedural shapes have no materials; leave colors=material away")
        return make_shape(class_name, int(path))

    def stamp(self, path: str, name: str, class_name: str) -> Hashable:
        return SHAPES.get(class_name)

    def split(self, text: str) -> tuple[str, str] | None:
        is_number = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
        return (str(int(text)), "") if is_number else None


@final
class _File(ShapeSource):
    form, has_names = "PATH", False

    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        file = Path(path)
        if not os.path.isfile(path):
            raise LibraryError(f"{path}: there is no such file or folder; give {ALLOWED}")
        if file.suffix.lower() not in SUFFIXES:
            raise InvalidMeshError(f"{path}: file type {file.suffix!r} is not supported; give {ALLOWED}")
        return (ShapeInfo(source_text("file", path), file.name, file.stem, class_of(file.stem)),)

    def mesh(self, path: str, name: str, *, class_name: str, colors: bool) -> Mesh:
        return load_mesh(path, colors=colors)

    def split(self, text: str) -> tuple[str, str] | None:
        return unescape(text), ""


@final
class _Folder(ShapeSource):
    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        return list_folder(path)

    def mesh(self, path: str, name: str, *, class_name: str, colors: bool) -> Mesh:
        return load_mesh(mesh_in_folder(path, name), colors=colors, within=path)

    def canonical_name(self, path: str, name: str) -> str:
        return name_in_folder(path, name)

    def stamp(self, path: str, name: str, class_name: str) -> Hashable:
        return file_stamp(mesh_in_folder(path, name))


@final
class _Library(ShapeSource):
    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        return list_library(path)

    def mesh(self, path: str, name: str, *, class_name: str, colors: bool) -> Mesh:
        return load_piece(path, name, colors=colors)

    def canonical_name(self, path: str, name: str) -> str:
        return pick(list_library(path), name, f"library {path}").name


SHAPE_SOURCES: Registry[ShapeSource] = Registry(
    "kind of shape source",
    "semrob.shape_sources",
    {PROCEDURAL: _Procedural(), "file": _File(), "folder": _Folder(), "sh3f": _Library()},
    accepts=lambda found: isinstance(found, ShapeSource),
)
"""Every kind by its word before the colon."""


def split_source(source: str) -> tuple[str, str, str]:
    """Kind, path (procedural: the number) and name of a source text; the name is empty where the kind has none.

    Raises:
        UnknownNameError: Not of the grammar.
        PluginError: Of a kind whose plug-in cannot be imported.
    """
    kind, colon, rest = source.partition(":")
    parts = SHAPE_SOURCES[kind].split(rest) if colon and kind in SHAPE_SOURCES else None
    if parts is None:
        *forms, last = (f"{known}:{own.form}" for known, own in SHAPE_SOURCES.items())
        raise UnknownNameError(f"unknown shape source {source!r}; write {', '.join(forms)} or {last}")
    return kind, *parts
