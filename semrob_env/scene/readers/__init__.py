"""Readers of mesh files: bytes in, triangles out; what a reader does not know it refuses by name.

Each is bounded in work and memory by what the file holds, raises `InvalidMeshError` or what its companions raise, and
opens nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from semrob_env.scene.companions import Companions
from semrob_env.scene.readers.gltf import read_gltf
from semrob_env.scene.readers.obj import read_obj
from semrob_env.scene.readers.parts import Part, Wanted
from semrob_env.scene.readers.ply import read_ply
from semrob_env.scene.readers.stl import read_stl

Reader = Callable[[bytes, Companions, Wanted, int], list[Part]]
"""Takes the bytes, what they may name, what is wanted beside triangles, and the most triangles."""

READERS: Final[Mapping[str, Reader]] = {
    ".obj": read_obj,
    ".ply": read_ply,
    ".stl": read_stl,
    ".glb": read_gltf,
    ".gltf": read_gltf,
}
"""By the end of the file's name."""
