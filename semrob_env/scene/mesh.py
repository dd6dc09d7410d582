"""Meshes: the value every renderer takes, and the reader of OBJ, PLY, STL, GLB and glTF files.

A mesh file of the wild is a drawing, not a solid: ShapeNet stores most faces twice (once per side), splits vertices
at texture seams and keeps faces without area. All of that is removed on load, because a doubled face doubles the
cost of a picture and turns every inner edge into a silhouette.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import trimesh

from semrob_env.errors import InvalidMeshError, RefusedFileError
from semrob_env.scene.companions import Companions, FolderCompanions
from semrob_env.scene.polygons import cut_concave_polygons
from semrob_env.types import Float32Array, FloatArray, Int32Array, IntArray

SUFFIXES: Final = (".obj", ".ply", ".stl", ".glb", ".gltf")
"""File types that `load_mesh` reads."""

MAX_FILE_BYTES: Final = 512 * 2**20
"""Largest mesh file that is read, in bytes (512 MiB)."""

MAX_FACES: Final = 2_000_000
"""Largest number of triangles that a mesh file may hold, before duplicates are removed."""

MERGE_TOLERANCE: Final = 1e-7
"""Vertices closer than this share of the largest side of the bounding box become one."""

MIN_AREA: Final = 1e-14
"""Faces smaller than this share of the squared largest side have no area."""


@final
@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in space, with one color per triangle. The arrays are copies and read-only.

    Attributes:
        vertices: Corner points, (V, 3) float64, any unit.
        faces: Indices into vertices, (F, 3) int32; counter-clockwise seen from outside where the mesh has an outside.
        albedo: Linear RGB reflectance per face in [0, 1], (F, 3) float32, or None for white.
        name: For messages only; not part of the digest.

    Raises:
        InvalidMeshError: An array has another shape, a number is not finite or out of range, or there is no face.
    """

    vertices: FloatArray
    faces: Int32Array
    albedo: Float32Array | None = None
    name: str = ""

    def __post_init__(self) -> None:
        vertices, faces = np.asarray(self.vertices), np.asarray(self.faces)
        label = f"mesh {self.name!r}" if self.name else "mesh"
        if vertices.ndim != 2 or vertices.shape[1] != 3 or vertices.dtype.kind not in "fiu":
            raise InvalidMeshError(f"{label}: vertices must be numbers of shape (V, 3), got {_describe(vertices)}")
        if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu":
            raise InvalidMeshError(f"{label}: faces must be integers of shape (F, 3), got {_describe(faces)}")
        if len(faces) == 0:
            raise InvalidMeshError(f"{label}: has no faces; at least one triangle is needed")
        if not np.isfinite(vertices).all():
            raise InvalidMeshError(f"{label}: a vertex is NaN or infinite; all coordinates must be finite")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise InvalidMeshError(
                f"{label}: faces refer to vertices {faces.min()}..{faces.max()}, but only 0..{len(vertices) - 1} exist"
            )
        object.__setattr__(self, "vertices", _frozen(vertices, np.float64))
        object.__setattr__(self, "faces", _frozen(faces, np.int32))
        if self.albedo is not None:
            albedo = np.asarray(self.albedo)
            if albedo.shape != faces.shape or albedo.dtype.kind not in "fiu":
                raise InvalidMeshError(
                    f"{label}: albedo must be numbers of shape {faces.shape}, one RGB per face, got {_describe(albedo)}"
                )
            if not ((albedo >= 0.0) & (albedo <= 1.0)).all():
                raise InvalidMeshError(f"{label}: albedo must lie in [0, 1]; divide 8-bit colors by 255")
            object.__setattr__(self, "albedo", _frozen(albedo, np.float32))

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over the bytes of vertices, faces and albedo: equal digests mean equal pictures."""
        parts: list[tuple[str, Any]] = [("<f8", self.vertices + 0.0), ("<i4", self.faces)]
        if self.albedo is not None:
            parts.append(("<f4", self.albedo + np.float32(0.0)))  # + 0.0 turns -0.0 into 0.0
        sha = hashlib.sha256()
        for kind, array in parts:
            sha.update(f"{kind}{array.shape}".encode())
            sha.update(np.asarray(array, dtype=kind).tobytes())
        return sha.hexdigest()


def merge_meshes(meshes: Sequence[Mesh], *, name: str = "") -> Mesh:
    """Put meshes into one, in the given order; `InvalidMeshError` for none. White is written out if any has colors."""
    if not meshes:
        raise InvalidMeshError("merge_meshes got no mesh; give at least one")
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    vertices = np.concatenate([mesh.vertices for mesh in meshes])
    faces = np.concatenate([mesh.faces + np.int32(start) for mesh, start in zip(meshes, starts, strict=True)])
    if all(mesh.albedo is None for mesh in meshes):
        return Mesh(vertices, faces, None, name)
    white = np.ones((1, 3), dtype=np.float32)
    colors = [np.broadcast_to(white if mesh.albedo is None else mesh.albedo, mesh.faces.shape) for mesh in meshes]
    return Mesh(vertices, faces, np.concatenate(colors), name)


def normalize(mesh: Mesh) -> Mesh:
    """Move the center of the bounding box to the origin and scale the largest side to [-1, 1] (the paper's protocol).

    Only vertices that a face uses count; others are clamped.

    Raises:
        InvalidMeshError: All of the mesh is one point.
    """
    used = mesh.vertices[np.unique(mesh.faces)]
    low, high = used.min(axis=0), used.max(axis=0)
    half_sides = high / 2 - low / 2  # halves first: no overflow for huge coordinates
    largest = float(half_sides.max())
    if largest <= 0.0:
        raise InvalidMeshError(f"mesh {mesh.name!r} is a single point and cannot be scaled; give a mesh with extent")
    vertices = (mesh.vertices - (low / 2 + high / 2)) / largest
    return Mesh(np.clip(vertices, -1.0, 1.0), mesh.faces, mesh.albedo, mesh.name)


def load_mesh(
    path: str | os.PathLike[str], *, colors: bool = False, within: str | os.PathLike[str] | None = None
) -> Mesh:
    """Read a mesh file and tidy it: same file, same bytes.

    A scene graph is merged with its transforms applied, polygons are cut into triangles (those of OBJ files that are
    not convex by ears, all others as fans), vertices at the same place become one, and faces without area or with the
    same three corners as an earlier one are dropped. Files are only read, never executed, and nothing outside the
    folder of the file is opened, links followed; a missing material or texture file is ignored.

    Args:
        path: File that ends in .obj, .ply, .stl, .glb or .gltf. It may be a link; what it names lies beside the link.
        colors: Take the color of each face from its material, vertex colors or texture (sampled at the middle of
            the face). Faces without any stay white, as is everything by default: the paper's protocol.
        within: The folder that holds all that the mesh may name: its own, or one above it; None: its own.

    Returns:
        The mesh in the units and axes of the file; see `normalize`.

    Raises:
        InvalidMeshError: The file is missing, empty, broken, too large, of another type, holds a number that is not
            finite, or has no face with an area; or it needs a file outside its folder.
    """
    path = Path(path)
    if not os.path.isfile(path):  # False too where a name is too long for a file
        reason = "is a directory" if os.path.isdir(path) else "no such file"
        raise InvalidMeshError(f"{path}: {reason}; give a mesh file ({', '.join(SUFFIXES)})")
    _check_file(str(path), path.suffix, path.stat().st_size)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(str(path), path.suffix, error) from error
    companions = FolderCompanions(path, path.parent if within is None else Path(within))
    return parse_mesh(data, path.suffix, companions, label=str(path), colors=colors)


def parse_mesh(data: bytes, suffix: str, companions: Companions, *, label: str, colors: bool = False) -> Mesh:
    """The mesh in the bytes of a mesh file, as `load_mesh` reads it.

    Args:
        data: The bytes.
        suffix: One of `SUFFIXES`.
        companions: What the mesh may name.
        label: For messages.
        colors: As `load_mesh`; without them, materials and textures that lie outside are ignored like missing ones.

    Raises:
        InvalidMeshError: As `load_mesh`.
        Exception: Where colors are wanted, whatever kept `companions` from reading a file that is there.
    """
    _check_file(label, suffix, len(data))
    try:
        with _quiet():
            parts = list(_read_parts(data, suffix.lower()[1:], companions, colors))
    except InvalidMeshError as error:
        raise InvalidMeshError(f"{label}: {error}") from None
    except Exception as error:  # a parser fed with a broken file may raise anything
        raise _unreadable(label, suffix, error) from error
    if companions.failure is not None and colors:
        if isinstance(companions.failure, RefusedFileError):
            raise InvalidMeshError(f"{label}: {companions.failure}") from companions.failure
        raise companions.failure
    if not parts:
        raise InvalidMeshError(f"{label}: has no faces (points or lines only?); give a file with triangles")
    return _tidy(merge_meshes(parts, name=Path(companions.file_name).stem), label)


def _describe(array: np.typing.NDArray[Any]) -> str:
    return f"{array.dtype} of shape {array.shape}"


def _frozen(array: np.typing.NDArray[Any], dtype: type) -> np.typing.NDArray[Any]:
    copy: np.typing.NDArray[Any] = np.array(array, dtype=dtype, order="C")
    copy.setflags(write=False)
    return copy


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the parser's warnings and log lines away, except the one that says that it gave up half-way."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in {"trimesh", "PIL"}]
    with warnings.catch_warnings(), ExitStack() as afterwards:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*could not be read to its end")
        for logger in map(logging.getLogger, names):
            afterwards.callback(setattr, logger, "disabled", logger.disabled)
            logger.disabled = True
        yield


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


def _check_count(count: int, what: str, *, per_face: int = 1) -> None:
    if count > per_face * MAX_FACES:
        raise InvalidMeshError(f"{count} {what} are more than the {per_face * MAX_FACES} allowed; simplify the mesh")


def _check_promises(kind: str, data: bytes) -> None:
    """Refuse files whose own header promises too much: parsers allocate what a header says."""
    if kind == "obj":
        _check_count(data.count(b"\nf ") + data.startswith(b"f "), "faces")
    elif kind == "stl" and not data.startswith(b"solid"):
        count = int.from_bytes(data[80:84], "little")
        if len(data) != 84 + 50 * count:
            raise InvalidMeshError(f"not a readable STL file: {len(data)} bytes do not fit the {count} faces promised")
        _check_count(count, "faces")
    elif kind == "ply":
        header = data[: data.find(b"end_header")] if b"end_header" in data else b""
        for name, count in re.findall(rb"element[ \t]+(\w+)[ \t]+(\d+)", header):
            _check_count(int(count), f"{name.decode()} elements", per_face=1 if name == b"face" else 3)
    elif kind in {"glb", "gltf"}:
        text = data[20 : 20 + int.from_bytes(data[12:16], "little")] if data[:4] == b"glTF" else data
        for accessor in json.loads(text).get("accessors", []):
            _check_count(int(accessor["count"]), "elements in an accessor", per_face=3)


def _plain_text(kind: str, data: bytes) -> bytes:
    """The file as the parsers know it: UTF-8, unindented, spaces for tabs, one line per statement, no comments."""
    if kind == "ply" and b"end_header" in data:
        end = data.index(b"end_header")
        return data[:end].decode("ascii", "replace").replace("\ufffd", "?").encode() + data[end:]
    if kind == "obj" or (kind == "stl" and len(data) != 84 + 50 * int.from_bytes(data[80:84], "little")):
        data = data.removeprefix(b"\xef\xbb\xbf")
        try:
            data.decode()
        except UnicodeDecodeError:  # comments and names of older programs
            data = data.decode("latin-1").encode()
    if kind == "obj":
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\\\n", b" ").replace(b"\t", b" ")
        data = re.sub(rb"(?m)^ +", b"", data)
        data = re.sub(rb"(?m)^((?:f|v|vt|vn) [^#\n]*)#.*", rb"\1", data)
    return data


def _absolute_indices(data: bytes) -> bytes:
    """Rewrite the relative (negative) indices of an OBJ file, which count back from the line that holds them."""
    if re.search(rb"(?m)^f (?:.* )?0+(?:[/ ]|$)", data):
        raise InvalidMeshError("a face refers to vertex 0, but OBJ files count from 1")
    if not re.search(rb"(?m)^f .*-\d", data):
        return data
    counts = {b"v": 0, b"vt": 0, b"vn": 0}
    lines = data.splitlines()
    for position, line in enumerate(lines):
        words = line.split()
        if words and words[0] in counts:
            counts[words[0]] += 1
        elif words and words[0] == b"f":
            for corner, word in enumerate(words[1:], start=1):
                indices = word.split(b"/")
                for place, (index, count) in enumerate(zip(indices, counts.values(), strict=False)):
                    if index.startswith(b"-"):
                        if count + 1 + int(index) < 1:
                            raise InvalidMeshError(
                                f"a face refers to {int(index)}, but only {count} entries stand above it"
                            )
                        indices[place] = b"%d" % (count + 1 + int(index))
                words[corner] = b"/".join(indices)
            lines[position] = b" ".join(words)
    return b"\n".join(lines)


def _read_parts(data: bytes, kind: str, companions: Companions, colors: bool) -> Iterator[Mesh]:
    """The triangles of every node of the file's scene graph, in world coordinates."""
    data = _plain_text(kind, data)
    _check_promises(kind, data)
    if kind == "obj":
        # After the promises: both walk through the lines one by one.
        data = cut_concave_polygons(_absolute_indices(data), most_triangles=MAX_FACES)
    options: dict[str, Any] = {"resolver": companions}
    if kind == "obj" and not colors:
        options["skip_materials"] = True
    scene = trimesh.load_scene(trimesh.util.wrap_as_stream(data), file_type=kind, process=False, **options)
    nodes = [(node, *scene.graph[node]) for node in scene.graph.nodes_geometry]
    nodes = [entry for entry in nodes if isinstance(scene.geometry.get(entry[2]), trimesh.Trimesh)]
    _check_count(sum(len(scene.geometry[geometry].faces) for _, _, geometry in nodes), "faces")
    for _, transform, geometry_name in nodes:
        geometry = scene.geometry[geometry_name]
        if len(geometry.faces) == 0:
            continue
        linear, shift = np.asarray(transform)[:3, :3], np.asarray(transform)[:3, 3]
        faces = np.asarray(geometry.faces, dtype=np.int64)
        if np.linalg.det(linear) < 0:
            faces = faces[:, ::-1]  # a mirroring transform turns the winding
        albedo = _face_colors(geometry) if colors else None
        yield Mesh(np.asarray(geometry.vertices) @ linear.T + shift, faces.astype(np.int32), albedo)


def _face_colors(geometry: trimesh.Trimesh) -> Float32Array | None:
    """RGB per face of a loaded geometry, (F, 3) in [0, 1], or None where the file gives none."""
    visual: Any = geometry.visual
    if visual.kind in {"face", "vertex"}:
        return np.asarray(visual.face_colors[:, :3] / 255.0, dtype=np.float32)
    if visual.kind != "texture":
        return None
    material = visual.material
    if isinstance(material, trimesh.visual.material.PBRMaterial):
        image, has_color = material.baseColorTexture, material.baseColorFactor is not None
    else:
        image = material.image if "file_path" in getattr(material.image, "info", {}) else None
        has_color = "kd" in getattr(material, "kwargs", {}) and image is None
    base = np.asarray(material.main_color)[:3] / 255.0 if has_color else np.ones(3)
    albedo = np.tile(base, (len(geometry.faces), 1))
    if image is not None and visual.uv is not None and len(visual.uv) == len(geometry.vertices):
        pixels = np.asarray(image.convert("RGB"))
        middle = np.nan_to_num(np.asarray(visual.uv)[geometry.faces].mean(axis=1)) % 1.0
        column = np.minimum((middle[:, 0] * pixels.shape[1]).astype(np.int64), pixels.shape[1] - 1)
        row = np.minimum(((1.0 - middle[:, 1]) * pixels.shape[0]).astype(np.int64), pixels.shape[0] - 1)
        albedo = albedo * (pixels[row, column] / 255.0)
    return np.clip(albedo, 0.0, 1.0).astype(np.float32)


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
    return Mesh(mesh.vertices[first][used], compact.reshape(-1, 3).astype(np.int32), albedo, mesh.name)
