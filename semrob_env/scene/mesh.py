"""Meshes: the value every renderer takes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.surface import Surface, join_surfaces
from semrob_env.types import Float32Array, FloatArray, Int32Array


@final
@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in space, with one color per triangle. The arrays are copies and read-only.

    Attributes:
        vertices: Corner points, (V, 3) float64, any unit.
        faces: Indices into vertices, (F, 3) int32; counter-clockwise seen from outside where the mesh has an outside.
        albedo: Linear RGB reflectance per face in [0, 1], (F, 3) float32, or None for white.
        name: For messages only; not part of the digest.
        surface: What covers the faces beyond that: textures, normals of corners, gloss; None: nothing, flat shading.

    Raises:
        InvalidMeshError: An array has another shape, a number is not finite or out of range, or there is no face.
    """

    vertices: FloatArray
    faces: Int32Array
    albedo: Float32Array | None = None
    name: str = ""
    surface: Surface | None = None

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
        if self.surface is not None and len(self.surface.texture_of) != len(faces):
            raise InvalidMeshError(f"{label}: a surface of {len(self.surface.texture_of)} faces, not of {len(faces)}")

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over the bytes of all but the name: equal digests mean equal pictures."""
        parts: list[tuple[str, Any]] = [("<f8", self.vertices + 0.0), ("<i4", self.faces)]
        if self.albedo is not None:
            parts.append(("<f4", self.albedo + np.float32(0.0)))  # + 0.0 turns -0.0 into 0.0
        sha = hashlib.sha256()
        for kind, array in parts:
            sha.update(f"{kind}{array.shape}".encode())
            sha.update(np.asarray(array, dtype=kind).tobytes())
        if self.surface is not None:
            self.surface.digest_into(sha)
        return sha.hexdigest()


def merge_meshes(meshes: Sequence[Mesh], *, name: str = "") -> Mesh:
    """Put meshes into one, in the given order; `InvalidMeshError` for none. White is written out if any has colors."""
    if not meshes:
        raise InvalidMeshError("merge_meshes got no mesh; give at least one")
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    vertices = np.concatenate([mesh.vertices for mesh in meshes])
    faces = np.concatenate([mesh.faces + np.int32(start) for mesh, start in zip(meshes, starts, strict=True)])
    surface = join_surfaces([mesh.surface for mesh in meshes], [len(mesh.faces) for mesh in meshes])
    if all(mesh.albedo is None for mesh in meshes):
        return Mesh(vertices, faces, None, name, surface)
    white = np.ones((1, 3), dtype=np.float32)
    colors = [np.broadcast_to(white if mesh.albedo is None else mesh.albedo, mesh.faces.shape) for mesh in meshes]
    return Mesh(vertices, faces, np.concatenate(colors), name, surface)


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
    return Mesh(np.clip(vertices, -1.0, 1.0), mesh.faces, mesh.albedo, mesh.name, mesh.surface)


def _describe(array: np.typing.NDArray[Any]) -> str:
    return f"{array.dtype} of shape {array.shape}"


def _frozen(array: np.typing.NDArray[Any], dtype: type) -> np.typing.NDArray[Any]:
    copy: np.typing.NDArray[Any] = np.array(array, dtype=dtype, order="C")
    copy.setflags(write=False)
    return copy
