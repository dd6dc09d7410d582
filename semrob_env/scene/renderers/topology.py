"""What the rasteriser needs to know of a mesh beside its vertices: normals, colors and which faces meet where."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semrob_env.scene.mesh import Mesh
from semrob_env.types import Float32Array, FloatArray, Int32Array

_FLAT = 1e-3
"""Two faces whose unit normals differ by less look the same: their shades differ by less than 0.13 / 255."""


class Topology(NamedTuple):
    """Arrays of one mesh, laid out for the kernels; a named tuple because numba can read that.

    Attributes:
        vertices: (V, 3).
        faces: (F, 3).
        normals: (F, 3) unit normals, right-handed; zero for a face without area.
        albedo: (F, 3).
        edges: (E, 2) vertices of the edges that can show: not those between two faces of one plane and color.
        starts: (E + 1,) faces of edge e are `incident[starts[e] : starts[e + 1]]`.
        incident: (I, 2) face, and its vertex that is not on the edge.
    """

    vertices: FloatArray
    faces: Int32Array
    normals: FloatArray
    albedo: Float32Array
    edges: Int32Array
    starts: Int32Array
    incident: Int32Array

    @classmethod
    def of(cls, mesh: Mesh) -> Topology:
        """Find the edges of a mesh; some milliseconds for 10 000 faces."""
        vertices, faces = mesh.vertices.copy(), mesh.faces.copy()
        albedo = np.ones(faces.shape, dtype=np.float32) if mesh.albedo is None else mesh.albedo.copy()
        corners = vertices[faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)

        # Half-edge 3 f + i runs from corner i to corner i + 1 of face f; the corner opposite is i + 2.
        half_edges = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
        opposite = np.roll(faces, -2, axis=1).reshape(-1)
        key = half_edges[:, 0].astype(np.int64) * len(vertices) + half_edges[:, 1]
        order = np.argsort(key, kind="stable")
        first = np.flatnonzero(np.diff(key[order], prepend=-1))
        counts = np.diff(first, append=len(order))
        face_of = order // 3

        one, two = face_of[first], face_of[np.minimum(first + 1, len(order) - 1)]
        turn = np.minimum(
            np.linalg.norm(normals[one] - normals[two], axis=1),
            np.linalg.norm(normals[one] + normals[two], axis=1),
        )
        hidden = (counts == 2) & (turn < _FLAT) & (albedo[one] == albedo[two]).all(axis=1)
        hidden &= half_edges[order[first], 0] != half_edges[order[first], 1]
        kept = ~hidden
        incident = np.stack([face_of, opposite[order]], axis=1)[np.repeat(kept, counts)]
        return cls(
            vertices=vertices,
            faces=faces,
            normals=normals,
            albedo=albedo,
            edges=half_edges[order[first[kept]]].astype(np.int32),
            starts=np.concatenate([[0], np.cumsum(counts[kept])]).astype(np.int32),
            incident=incident.astype(np.int32),
        )
