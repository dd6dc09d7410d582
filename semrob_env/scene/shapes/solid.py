"""A closed piece of an object and what can be done with it: move, turn, scale, mirror, repeat.

Axes: y is up, the front of an object faces -z (towards the camera at azimuth 0). An object is a list of solids that may
reach into each other, as a chair leg reaches into its seat; hidden faces cost little and each piece stays closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt

from semrob_env.scene.mesh import Mesh
from semrob_env.types import FloatArray, Int32Array


@final
@dataclass(frozen=True, eq=False)
class Solid:
    """A closed mesh of corner points (V, 3) and triangles (F, 3), counter-clockwise seen from outside."""

    vertices: FloatArray
    faces: Int32Array

    @staticmethod
    def outward(vertices: npt.ArrayLike, faces: npt.NDArray[Any]) -> Solid:
        """A solid of consistently wound faces, turned inside out if its volume is negative."""
        points = np.asarray(vertices, dtype=np.float64)
        corners = points[faces] - points.mean(axis=0)
        volume = float(np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])))
        return Solid(points, np.asarray(faces if volume >= 0 else faces[:, ::-1], dtype=np.int32))

    def move(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Solid:
        """Shift by (x, y, z)."""
        return Solid(self.vertices + np.array([x, y, z]), self.faces)

    def scale(self, x: float = 1.0, y: float = 1.0, z: float = 1.0) -> Solid:
        """Stretch by positive factors about the origin."""
        return Solid(self.vertices * np.array([x, y, z]), self.faces)

    def turn(self, axis: str, angle_deg: float) -> Solid:
        """Rotate about the axis "x", "y" or "z" through the origin, by the right-hand rule."""
        first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
        points = self.vertices.copy()
        points[:, first] = cosine * self.vertices[:, first] - sine * self.vertices[:, second]
        points[:, second] = sine * self.vertices[:, first] + cosine * self.vertices[:, second]
        return Solid(points, self.faces)

    def mirror(self, axis: str = "x") -> Solid:
        """The mirror image in the plane through the origin across an axis; the winding stays outward."""
        points = self.vertices.copy()
        points[:, "xyz".index(axis)] *= -1.0
        return Solid(points, self.faces[:, ::-1])

    def pair(self, axis: str = "x") -> list[Solid]:
        """The solid and its mirror image: both arms, both legs."""
        return [self, self.mirror(axis)]

    def repeat(self, count: int, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> list[Solid]:
        """A row of copies, each shifted by (x, y, z) from the one before."""
        return [self.move(x * i, y * i, z * i) for i in range(count)]

    def around(self, count: int) -> list[Solid]:
        """Copies spread evenly around the y axis."""
        return [self.turn("y", 360.0 * i / count) for i in range(count)]


Parts = Sequence[Solid]


def pairs(parts: Iterable[Solid], axis: str = "x") -> list[Solid]:
    """Each part and its mirror image."""
    return [each for part in parts for each in part.pair(axis)]


def assemble(parts: Iterable[Solid], *, name: str = "") -> Mesh:
    """Put solids into one mesh, in the given order."""
    solids = list(parts)
    starts = np.cumsum([0, *(len(solid.vertices) for solid in solids[:-1])])
    vertices = np.concatenate([solid.vertices for solid in solids])
    faces = np.concatenate([solid.faces + start for solid, start in zip(solids, starts, strict=True)])
    return Mesh(vertices, faces.astype(np.int32), None, name)
