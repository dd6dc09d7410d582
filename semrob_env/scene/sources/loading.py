"""From the text that names a shape to its mesh."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache

from semrob_env.errors import InvalidParameterError
from semrob_env.scene.mesh import Mesh, normalize
from semrob_env.scene.sources.kinds import SHAPE_SOURCES, ShapeSource, split_source
from semrob_env.scene.sources.texts import source_text

COLORS = ("white", "material")
"""How a shape may be painted: white as in the paper, or each face by its material, vertex colors or texture."""


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
