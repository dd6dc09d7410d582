"""Kinds of places that shapes come from, by what stands before the colon of a source text; from that text to a mesh."""

from __future__ import annotations

import os
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import final

from semrob_env.errors import InvalidMeshError, InvalidParameterError, LibraryError, UnknownNameError
from semrob_env.registry import Registry
from semrob_env.scene.mesh import SUFFIXES, Mesh, load_mesh, normalize
from semrob_env.scene.shapes import SHAPES, make_shape
from semrob_env.scene.sources.base import ShapeInfo, ShapeSource, class_of
from semrob_env.scene.sources.folders import Folder
from semrob_env.scene.sources.libraries import Library
from semrob_env.scene.sources.texts import source_text, unescape

PROCEDURAL = "procedural"
LIBRARY_SUFFIX = ".sh3f"
MOST_DIGITS = 15
"""Longest number of a procedural shape."""

COLORS = ("white", "material")
"""How a shape may be painted: white as in the paper, or each face by its material, vertex colors or texture."""

ALLOWED = f"a folder of meshes, a {LIBRARY_SUFFIX} library, a mesh file ({' '.join(SUFFIXES)}), or {PROCEDURAL}"
"""For messages."""


def procedural_shape(class_name: str, number: int | str) -> ShapeInfo:
    """Object `number` of a class."""
    return ShapeInfo(f"{PROCEDURAL}:{number}", f"{class_name}:{number}", class_name, class_name)


@final
class _Procedural(ShapeSource):
    form, has_names, is_procedural = "3", False, True

    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        return tuple(procedural_shape(name, path) for name in SHAPES)

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


SHAPE_SOURCES: Registry[ShapeSource] = Registry(
    "kind of shape source",
    "semrob.shape_sources",
    {PROCEDURAL: _Procedural(), "file": _File(), "folder": Folder(), "sh3f": Library()},
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


def file_source(path: str) -> str:
    """The source text of a mesh file; characters that have a meaning in ids are escaped."""
    return source_text("file", path)


def load_shape(class_name: str, source: str, colors: str = "white") -> Mesh:
    """The normalised mesh that a source text names; kept, until its file is written anew or its class replaced.

    Args:
        class_name: Class of the shape; procedural shapes are made of it, others do not need it.
        source: See the package.
        colors: One of `COLORS`.

    Raises:
        UnknownNameError: Another kind of source, an unknown procedural class, or no shape of that name.
        PluginError: A kind or class of a plug-in that cannot be imported.
        AmbiguousNameError: Several shapes of that name.
        LibraryError: The folder or library cannot be used.
        InvalidMeshError: The mesh cannot be used.
        InvalidParameterError: Other colors, or materials of a procedural shape.
    """
    if colors not in COLORS:
        raise InvalidParameterError(f"colors {colors!r}: choose {' or '.join(COLORS)}")
    kind, path, name = split_source(source)
    own = SHAPE_SOURCES[kind]
    return _loaded(own, path, name, class_name, colors == "material", own.stamp(path, name, class_name))


@lru_cache(maxsize=256)
def _loaded(own: ShapeSource, path: str, name: str, class_name: str, is_painted: bool, stamp: Hashable) -> Mesh:
    del stamp  # part of the key
    mesh = own.mesh(path, name, class_name=class_name, colors=is_painted)
    return mesh if own.is_procedural else normalize(mesh)


def canonical_source(source: str) -> str:
    """The one spelling of a source text: numbers without leading zeros, names as their source lists them.

    Raises:
        UnknownNameError, AmbiguousNameError, LibraryError, PluginError: As `load_shape`.
    """
    kind, path, name = split_source(source)
    return source_text(kind, path, SHAPE_SOURCES[kind].canonical_name(path, name))
