"""How light falls on a shape: flat faces as in the paper, or smooth normals, and a highlight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np

from semrob_env.errors import InvalidMeshError, InvalidParameterError
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.surface import Surface, unit
from semrob_env.types import Float32Array

NORMALS: Final = ("flat", "smooth", "file")
"""Where normals come from: one a face; means over the faces around a vertex; the mesh file, else flat."""

CREASE_DEG: Final = 40.0
"""Edges that bend by more stay sharp: a can keeps its rim, a ball of 24 faces around has none."""

MOST_AROUND: Final = 512
"""A vertex with more faces around it keeps those flat: work grows with the square of their number."""

CHUNK: Final = 2_000_000
"""Pairs of corners that are worked on at once."""


@final
@dataclass(frozen=True)
class Shading:
    """How light falls on a shape; the default is the paper's protocol.

    Attributes:
        normals: One of `NORMALS`.
        crease_deg: With smooth normals: edges that bend by more stay sharp; in [0, 90).
        specular: Strength of the highlight of the directional light, in [0, 1].

    Raises:
        InvalidParameterError: Other normals, or a number out of range.
    """

    normals: str = "flat"
    crease_deg: float = CREASE_DEG
    specular: float = 0.0

    def __post_init__(self) -> None:
        if self.normals not in NORMALS:
            raise InvalidParameterError(f"normals {self.normals!r}: choose {', '.join(NORMALS[:-1])} or {NORMALS[-1]}")
        if not 0.0 <= self.crease_deg < 90.0:
            raise InvalidParameterError(f"crease {self.crease_deg}: give an angle from 0 to below 90 degrees")
        if not 0.0 <= self.specular <= 1.0:
            raise InvalidParameterError(f"specular {self.specular}: give a strength from 0 to 1")
        if self.crease_deg != CREASE_DEG and self.normals != "smooth":
            raise InvalidParameterError(f"crease {self.crease_deg:g} belongs to normals=smooth, not to {self.normals}")

    def in_ids(self) -> dict[str, Any]:
        """The fields of a `SceneId` that it sets."""
        return {"normals": self.normals, "crease": self.crease_deg, "specular": self.specular}

    def on(self, mesh: Mesh) -> Mesh:
        """The mesh with these normals and this gloss; the same mesh where that changes nothing.

        Raises:
            InvalidMeshError: Normals of the file are wanted, and it has none.
        """
        surface = mesh.surface or Surface.plain(len(mesh.faces))
        normals = surface.normals
        if self.normals == "file" and normals is None:
            raise InvalidMeshError(f"mesh {mesh.name!r} has no normals; choose normals=smooth, or flat")
        if self.normals == "flat":
            normals = None
        elif self.normals == "smooth":
            normals = smooth_normals(mesh, self.crease_deg)
        surface = replace(surface, normals=normals, gloss=self.specular)
        if surface.is_plain:
            return mesh if mesh.surface is None else replace(mesh, surface=None)
        return replace(mesh, surface=surface)


def smooth_normals(mesh: Mesh, crease_deg: float) -> Float32Array:
    """Unit normals at corners (F, 3, 3): means of the faces around the vertex that bend by less than the crease.

    Each face counts with its angle there (Thürmer & Wüthrich 1998, "Computing vertex normals from polygonal facets"),
    and on the side of the own face, whatever its winding: many meshes of the wild wind as they like. Normals are means
    at places, not of indices, as a mesh is tidied: seams of textures do not show.
    """
    corners = mesh.vertices[mesh.faces]
    flat = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    sides = unit(np.roll(corners, -1, axis=1) - corners)
    angles = np.arccos(np.clip((sides * -np.roll(sides, 1, axis=1)).sum(axis=2), -1.0, 1.0)).reshape(-1)

    flat_index = mesh.faces.reshape(-1).astype(np.int64)
    order = np.argsort(flat_index, kind="stable")
    counts = np.bincount(flat_index, minlength=len(mesh.vertices))
    starts = np.cumsum(counts) - counts
    result = np.repeat(flat[:, None], 3, axis=1).reshape(-1, 3)
    summed = result.copy()
    partners = np.where(counts[flat_index] <= MOST_AROUND, counts[flat_index], 0)
    begin = 0
    ends = np.cumsum(partners)
    while begin < len(partners):
        done = ends[begin] - partners[begin]
        end = max(begin + 1, int(np.searchsorted(ends, done + CHUNK)))
        some = partners[begin:end]
        own = np.repeat(np.arange(begin, end), some)
        step = np.arange(len(own)) - np.repeat(np.cumsum(some) - some, some)
        other = order[starts[flat_index[own]] + step]
        cosine = (flat[own // 3] * flat[other // 3]).sum(axis=1)
        weight = np.where(np.abs(cosine) > np.cos(np.deg2rad(crease_deg)), np.sign(cosine) * angles[other], 0.0)
        weight = np.where(own // 3 == other // 3, np.maximum(angles[own], 1e-9), weight)  # of itself for certain
        for axis in range(3):
            total = np.bincount(own - begin, weight * flat[other // 3, axis], minlength=end - begin)
            summed[begin:end, axis] = np.where(some > 0, total, summed[begin:end, axis])
        begin = end
    lengths = np.linalg.norm(summed, axis=1, keepdims=True)
    smooth = np.where(lengths > 1e-12, summed / np.maximum(lengths, 1e-12), result)
    return smooth.reshape(-1, 3, 3).astype(np.float32)
