"""Meshes of OBJ, PLY, STL, GLB and glTF files, read and tidied.

A mesh file of the wild is a drawing, not a solid: ShapeNet stores most faces twice (once per side), splits vertices
at texture seams and keeps faces without area. All of that is removed on load, because a doubled face doubles the
cost of a picture and turns every inner edge into a silhouette.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np

from semrob_env.checks import instance_of, shown
from semrob_env.errors import InvalidMeshError, RefusedFileError, SemrobError
from semrob_env.scene.companions import Companions, FolderCompanions
from semrob_env.scene.mesh import Mesh, merge_meshes
from semrob_env.scene.pose import Pose
from semrob_env.scene.readers import READERS
from semrob_env.scene.readers.nodes import node_names, only_node
from semrob_env.scene.readers.parts import Part, Wanted, check_count
from semrob_env.types import IntArray

SUFFIXES: Final = tuple(READERS)
"""File types that `load_mesh` reads."""

MAX_FILE_BYTES: Final = 512 * 2**20
"""Largest mesh file that is read, in bytes (512 MiB)."""

MAX_FACES: Final = 2_000_000
"""Largest number of triangles that a mesh file may hold, before duplicates are removed."""

MERGE_TOLERANCE: Final = 1e-7
"""Vertices closer than this share of the largest side of the bounding box become one."""

MIN_AREA: Final = 1e-14
"""Faces smaller than this share of the squared largest side have no area."""


def load_mesh(
    path: str | os.PathLike[str],
    *,
    colors: bool = False,
    within: str | os.PathLike[str] | None = None,
    node: str = "",
    surface: bool = False,
    up: str = "y",
    front: str = "",
) -> Mesh:
    """Read a mesh file and tidy it: same file, same bytes.

    A scene graph is merged with its transforms applied, polygons are cut into triangles (those that are not convex by
    ears, all others as fans), vertices at the same place become one, and faces without area or with the same three
    corners as an earlier one are dropped. Files are only read, never executed, and nothing outside the folder of the
    file is opened, links followed; a missing material or texture file is ignored. What a file needs and `readers` do
    not know, compressed parts for one, is refused by its name.

    Bounds: `MAX_FILE_BYTES`, and as much for up to 2,000 files that it names; `MAX_FACES`, copies counted, and three
    times as many vertices; a texture of 8192² pixels, six times that for all; 100,000 nodes and 4,000,000 values of
    JSON in a glTF file; some five seconds for polygons of very many corners. A file at these bounds takes half a
    minute and some 2 GiB, most files far less.

    Args:
        path: File that ends in .obj, .ply, .stl, .glb or .gltf. It may be a link; what it names lies beside the link.
        colors: Take the color of each face from its material, vertex colors or texture (sampled at the middle of
            the face). Faces without any stay white, as is everything by default: the paper's protocol.
        within: The folder that holds all that the mesh may name: its own, or one above it; None: its own.
        node: Only the part of this name: a node of a glTF file with all below it, an object or group of an OBJ file.
        surface: Take textures, colors and normals of corners and glow as the file has them, with `Mesh.surface`;
            `colors` then has no effect. A texture that is missing is refused.
        up: Axis of the file that is to point up: x, -x, y, -y, z or -z.
        front: Axis of the file that is to face the camera of azimuth 0; empty: where the shortest turn leaves it.

    Returns:
        The mesh in the units of the file, and in its axes unless they are told; see `normalize`.

    Raises:
        InvalidMeshError: The file is missing, empty, broken, too large, of another type, holds a number that is not
            finite, or has no face with an area; it needs a file outside its folder, or what is not read.
    """
    path, data = _read(path)
    instance_of("within", within, (str, os.PathLike, type(None)), InvalidMeshError)
    companions = FolderCompanions(path, path.parent if within is None else Path(within))
    label = str(path)
    mesh = parse_mesh(data, path.suffix, companions, label=label, colors=colors, node=node, surface=surface)
    if up == "y" and not front:
        return mesh
    return Pose(up, front).turned(mesh)


def mesh_node_names(path: str | os.PathLike[str]) -> list[str]:
    """Names by which `load_mesh` takes parts of a file; empty where it has none, or one.

    Raises:
        InvalidMeshError: The file is missing, too large, of another type, or cannot be read.
    """
    path, data = _read(path)
    try:
        return node_names(data, path.suffix)
    except InvalidMeshError as error:
        raise InvalidMeshError(f"{path}: {error}") from error


def _read(place: str | os.PathLike[str]) -> tuple[Path, bytes]:
    """The bytes of a mesh file, as far as its size and type are allowed."""
    instance_of("a mesh file", place, (str, os.PathLike), InvalidMeshError)
    path = Path(place)
    if "\0" in str(path):
        raise InvalidMeshError(f"{shown(place)}: no name of a file")
    if not os.path.isfile(path):  # False too where a name is too long for a file
        reason = "is a directory" if os.path.isdir(path) else "no such file"
        raise InvalidMeshError(f"{path}: {reason}; give a mesh file ({', '.join(SUFFIXES)})")
    _check_file(str(path), path.suffix, path.stat().st_size)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _unreadable(str(path), path.suffix, error) from error
    return path, data


def parse_mesh(
    data: bytes,
    suffix: str,
    companions: Companions,
    *,
    label: str,
    colors: bool = False,
    node: str = "",
    surface: bool = False,
) -> Mesh:
    """The mesh in the bytes of a mesh file, as `load_mesh` reads it.

    Args:
        data: The bytes.
        suffix: One of `SUFFIXES`.
        companions: What the mesh may name.
        label: For messages.
        colors: As `load_mesh`; without them, materials and textures are not looked for.
        node: As `load_mesh`.
        surface: As `load_mesh`.

    Raises:
        InvalidMeshError: As `load_mesh`.
        SemrobError: What else kept `companions` from reading a file that is there.
    """
    _check_file(label, suffix, len(data))
    try:
        data = only_node(data, suffix, node) if node else data
        with np.errstate(all="ignore"):  # what is not finite in the end is refused
            parts = READERS[suffix.lower()](data, companions, Wanted.of(colors, surface), MAX_FACES)
            check_count(sum(len(part.faces) for part in parts), "faces", MAX_FACES)
            meshes = [_of(part) for part in parts if len(part.faces)]
    except (InvalidMeshError, RefusedFileError) as error:
        raise InvalidMeshError(f"{label}: {error}") from error
    except SemrobError:
        raise
    except Exception as error:  # a broken file may hold what no reader thinks of
        raise _unreadable(label, suffix, error) from error
    if not meshes:
        raise InvalidMeshError(
            f"{label}: has no faces (a point cloud, or lines only?); make a surface of it, or give one with triangles"
        )
    return _tidy(merge_meshes(meshes, name=Path(companions.file_name).stem), label)


def _of(part: Part) -> Mesh:
    if part.faces.max() > np.iinfo(np.int32).max:
        raise InvalidMeshError(f"a face refers to vertex {part.faces.max()}, which is more than can be held")
    albedo = None if part.albedo is None else np.clip(part.albedo, 0.0, 1.0).astype(np.float32)
    return Mesh(part.vertices, part.faces.astype(np.int32), albedo, surface=part.surface)


def _check_file(label: str, suffix: str, size: int) -> None:
    """Refuse what can be refused before any parsing."""
    if suffix.lower() not in SUFFIXES:
        raise InvalidMeshError(f"{label}: file type {suffix!r} is not supported; allowed are {', '.join(SUFFIXES)}")
    if size == 0:
        raise InvalidMeshError(f"{label}: the file is empty; give a mesh file with triangles")
    if size > MAX_FILE_BYTES:
        raise InvalidMeshError(f"{label}: {size} bytes are more than the {MAX_FILE_BYTES} allowed; simplify the mesh")


def _unreadable(label: str, suffix: str, error: Exception) -> InvalidMeshError:
    reason = " ".join(str(error).split())[:400] or "no further reason given"
    return InvalidMeshError(f"{label}: not a readable {suffix[1:].upper()} file: {reason}")


def _first_of_each(keys: IntArray) -> tuple[IntArray, IntArray]:
    """Position of the first of each distinct row of keys (N, K), ascending, and for each row its rank among them."""
    order = np.lexsort(keys.T[::-1])
    fresh = np.append(True, (np.diff(keys[order], axis=0) != 0).any(axis=1))
    first = order[fresh]  # lexsort is stable, so this is the first row of its group
    group = np.empty(len(keys), dtype=np.int64)
    group[order] = np.argsort(np.argsort(first))[np.cumsum(fresh) - 1]
    return np.sort(first), group


def _tidy(mesh: Mesh, label: str) -> Mesh:
    """Merge equal vertices, drop faces without area and repeated faces, drop vertices that no face uses."""
    corner = mesh.vertices[mesh.faces[0, 0]]
    scale = float(np.abs(mesh.vertices[mesh.faces] / 2 - corner / 2).max())
    if scale <= 0.0:
        raise InvalidMeshError(f"{label}: no face has an area (all corners coincide); give a mesh with triangles")
    # About [-1, 1], so that no product overflows; beyond are vertices that no face uses.
    local = np.clip((mesh.vertices / 2 - corner / 2) / scale, -4.0, 4.0)
    first, place = _first_of_each(np.round(local / MERGE_TOLERANCE).astype(np.int64))
    faces = place[mesh.faces.astype(np.int64)]
    points = local[first]
    normals = np.cross(points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]])
    kept = np.flatnonzero(np.linalg.norm(normals, axis=1) > 2.0 * MIN_AREA)
    if len(kept) == 0:
        raise InvalidMeshError(f"{label}: no face has an area; give a mesh with proper triangles")
    unique, _ = _first_of_each(np.sort(faces[kept], axis=1))
    kept = kept[unique]
    used, compact = np.unique(faces[kept], return_inverse=True)
    albedo = None if mesh.albedo is None else mesh.albedo[kept]
    surface = None if mesh.surface is None else mesh.surface.take(kept)
    return Mesh(mesh.vertices[first][used], compact.reshape(-1, 3).astype(np.int32), albedo, mesh.name, surface)
