"""Where shapes come from, by the text that names them: `procedural:3`, `file:mug.obj`."""

from __future__ import annotations

import os
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from semrob_env.errors import UnknownNameError
from semrob_env.scene.mesh import Mesh, load_mesh, normalize
from semrob_env.scene.shapes import make_shape

MOST_DIGITS = 15
"""Longest number of a procedural shape."""


def file_source(path: str) -> str:
    """The source text of a mesh file; characters that have a meaning in ids are escaped."""
    return f"file:{quote(os.fsencode(path), safe='/:.-_')}"


@lru_cache(maxsize=256)
def load_shape(class_name: str, source: str) -> Mesh:
    """The normalised mesh that a source text names.

    Args:
        class_name: Class of the shape; procedural shapes are made of it.
        source: `procedural:NUMBER` or `file:PATH`.

    Raises:
        UnknownNameError: Another kind of source, or an unknown procedural class.
        InvalidMeshError: The file cannot be used.
    """
    kind, colon, rest = source.partition(":")
    if kind == "procedural" and rest.isascii() and rest.isdigit() and len(rest) <= MOST_DIGITS:
        return make_shape(class_name, int(rest))
    if kind == "file" and colon:
        return normalize(load_mesh(os.fsdecode(unquote_to_bytes(rest))))
    raise UnknownNameError(f"unknown shape source {source!r}; write procedural:3 or file:PATH")
