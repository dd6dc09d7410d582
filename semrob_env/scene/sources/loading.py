"""From the text that names a shape to its mesh."""

from __future__ import annotations

from functools import lru_cache

from semrob_env.errors import InvalidParameterError
from semrob_env.scene.mesh import Mesh, load_mesh, normalize
from semrob_env.scene.shapes import make_shape
from semrob_env.scene.sources.folders import mesh_in_folder, name_in_folder
from semrob_env.scene.sources.libraries import list_library, load_piece
from semrob_env.scene.sources.shape_info import pick
from semrob_env.scene.sources.texts import source_text, split_source

COLOURS = ("white", "material")
"""How a shape may be painted: white as in the paper, or each face by its material, vertex colours or texture."""


def file_source(path: str) -> str:
    """The source text of a mesh file; characters that have a meaning in ids are escaped."""
    return source_text("file", path)


@lru_cache(maxsize=256)
def load_shape(class_name: str, source: str, colours: str = "white") -> Mesh:
    """The normalised mesh that a source text names.

    Args:
        class_name: Class of the shape; procedural shapes are made of it, others do not need it.
        source: See the package.
        colours: One of `COLOURS`.

    Raises:
        UnknownNameError: Another kind of source, an unknown procedural class, or no shape of that name.
        AmbiguousNameError: Several shapes of that name.
        LibraryError: The folder or library cannot be used.
        InvalidMeshError: The mesh cannot be used.
        InvalidParameterError: Other colours, or materials of a procedural shape.
    """
    if colours not in COLOURS:
        raise InvalidParameterError(f"colours {colours!r}: choose {' or '.join(COLOURS)}")
    kind, path, name = split_source(source)
    is_painted = colours == "material"
    if kind == "procedural":
        if is_painted:
            raise InvalidParameterError("procedural shapes have no materials; leave colours=material away")
        return make_shape(class_name, int(path))
    if kind == "sh3f":
        return normalize(load_piece(path, name, colors=is_painted))
    if kind == "folder":
        return normalize(load_mesh(mesh_in_folder(path, name), colors=is_painted, within=path))
    return normalize(load_mesh(path, colors=is_painted))


def canonical_source(source: str) -> str:
    """The one spelling of a source text: numbers without leading zeros, names as their source lists them.

    Raises:
        UnknownNameError, AmbiguousNameError, LibraryError: As `load_shape`.
    """
    kind, path, name = split_source(source)
    if kind == "procedural":
        return f"procedural:{path}"
    if kind == "sh3f":
        return pick(list_library(path), name, f"library {path}").source
    return source_text(kind, path, name_in_folder(path, name) if kind == "folder" else "")
