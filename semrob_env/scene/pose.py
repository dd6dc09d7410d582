"""How the mesh of a file is put up: which part of it, which axis is up, which one faces the camera, at what scale.

The scene has y up, and the camera of azimuth 0 stands at -z, so what a person calls the front should face -z. What
files mean by their axes:

| format | up | front | units |
|---|---|---|---|
| glTF, GLB | +y (the specification) | +z: seen at azimuth 180, at 0 with `front=z` | meters |
| OBJ | not said; Blender writes y up, front +z; CAD programs often z | not said | not said |
| STL | not said, mostly z | not said, mostly -y | not said, mostly millimeters |
| PLY | not said; scans as the scanner lay | not said | not said |
| ShapeNet | +y | -z | about 1 |
| Sweet Home 3D | put up by the catalogue, its front turned to -z | | centimeters |

Nothing is guessed: a file is taken as having y up and -z in front unless it is told otherwise. `rotate` turns it
first, in the axes of the file, one turn after the other; then `up` and `front` name the axes that become +y and -z.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, final

import numpy as np

from semrob_env.errors import InvalidMeshError, InvalidParameterError
from semrob_env.scene.mesh import Mesh, normalize
from semrob_env.types import FloatArray

AXES: Final[Mapping[str, tuple[int, int, int]]] = {
    "x": (1, 0, 0), "-x": (-1, 0, 0), "y": (0, 1, 0), "-y": (0, -1, 0), "z": (0, 0, 1), "-z": (0, 0, -1),
}  # fmt: skip
"""Axes of a file by name."""

SCALES: Final = ("unit", "keep")
"""Scaled to fill [-1, 1], as in the paper; or kept as the file has it, one of its units a unit of the scene."""

LEAST_KEPT, MOST_KEPT = 0.05, 1.5
"""Half of the largest side of a mesh whose scale is kept: smaller is a dot, larger reaches the nearest camera (1.8)."""

MOST_TURNS: Final = 8


@final
@dataclass(frozen=True)
class Pose:
    """How a mesh is put up.

    Attributes:
        up: Axis of the file, after `rotate`, that points up: x, -x, y, -y, z or -z.
        front: Axis that faces the camera of azimuth 0; empty: where the shortest turn of `up` leaves it (y up: -z).
        rotate: Turns about axes of the file in degrees, right-handed, in this order: `x=90,z=-30`; empty: none.
        scale: One of `SCALES`.
        node: Name of a node of a glTF file with all below it, or of an object or group of an OBJ file; empty: all.

    Raises:
        InvalidParameterError: One of them not as above, or a front along the axis that is up.
    """

    up: str = "y"
    front: str = ""
    rotate: str = ""
    scale: str = "unit"
    node: str = ""

    def __post_init__(self) -> None:
        for name in ("up", "front"):
            axis = getattr(self, name)
            if axis not in AXES and (axis or name == "up"):
                raise InvalidParameterError(f"{name} {axis!r}: choose {', '.join(AXES)}")
        if self.front and self.front[-1] == self.up[-1]:
            raise InvalidParameterError(f"up {self.up} and front {self.front}: give two axes at right angles")
        if self.scale not in SCALES:
            raise InvalidParameterError(f"scale {self.scale!r}: choose {' or '.join(SCALES)}")
        object.__setattr__(self, "rotate", ",".join(f"{axis}={angle:.12g}" for axis, angle in self._turns()))

    @property
    def turns(self) -> FloatArray:
        """The rotation (3, 3) that multiplies vertices of the file from the left."""
        matrix = np.eye(3)
        for axis, angle in self._turns():
            matrix = _turn(axis, angle) @ matrix
        up = np.array(AXES[self.up], dtype=np.float64)
        if self.front:
            back = -np.array(AXES[self.front], dtype=np.float64)
            return np.stack([np.cross(up, back), up, back]) @ matrix
        shortest = {"y": np.eye(3), "-y": np.diag([-1.0, -1.0, 1.0])}
        if self.up in shortest:
            return np.asarray(shortest[self.up] @ matrix)
        about, angle = {"x": ("z", 90.0), "-x": ("z", -90.0), "z": ("x", -90.0), "-z": ("x", 90.0)}[self.up]
        return np.asarray(_turn(about, angle) @ matrix)

    def turned(self, mesh: Mesh) -> Mesh:
        """A mesh with its axes where they are to be, at the place and in the units of the file."""
        turns = self.turns
        if np.array_equal(turns, np.eye(3)):
            return mesh
        surface = None if mesh.surface is None else mesh.surface.moved(turns)
        return replace(mesh, vertices=mesh.vertices @ turns.T, surface=surface)

    def applied(self, mesh: Mesh) -> Mesh:
        """A mesh as it stands in the scene: turned, its bounding box centered, scaled as asked.

        Raises:
            InvalidMeshError: It is a single point, or its scale is kept and it is far too small or large to be seen.
        """
        mesh = self.turned(mesh)
        unit = normalize(mesh)
        if self.scale == "unit":
            return unit
        used = mesh.vertices[np.unique(mesh.faces)]
        half = float((used.max(axis=0) / 2 - used.min(axis=0) / 2).max())
        if not LEAST_KEPT <= half <= MOST_KEPT:
            raise InvalidMeshError(
                f"mesh {mesh.name!r} is {2 * half:.3g} units wide: with scale=keep the camera sees those "
                f"of {2 * LEAST_KEPT:g} to {2 * MOST_KEPT:g} units; save it in other units, or give scale=unit"
            )
        return replace(unit, vertices=unit.vertices * half)

    def in_ids(self) -> dict[str, Any]:
        """The fields of a `SceneId` that it sets, those that differ from the default."""
        from semrob_env.scene.sources.texts import escape  # sources know poses

        changed = {own.name: getattr(self, own.name) for own in fields(self) if getattr(self, own.name) != own.default}
        return {name: escape(value) if name == "node" else value for name, value in changed.items()}

    @classmethod
    def of_ids(cls, options: Mapping[str, Any]) -> Pose:
        """From fields of a `SceneId`."""
        from semrob_env.scene.sources.texts import unescape

        own = {part.name: str(options[part.name]) for part in fields(cls) if part.name in options}
        return cls(**{name: unescape(value) if name == "node" else value for name, value in own.items()})

    def _turns(self) -> list[tuple[str, float]]:
        found = []
        for part in filter(None, self.rotate.split(",")):
            axis, equals, text = part.strip().partition("=")
            try:
                angle = float(text)
            except ValueError:
                angle = math.nan
            if axis not in ("x", "y", "z") or not equals or not abs(angle) <= 360:
                raise InvalidParameterError(
                    f"rotate {self.rotate[:60]!r}: write turns in degrees, -360 to 360, as in x=90,z=-30"
                )
            found.append((axis, angle))
        if len(found) > MOST_TURNS:
            raise InvalidParameterError(f"rotate {self.rotate[:60]!r}: give at most {MOST_TURNS} turns")
        return found


def _turn(axis: str, angle_deg: float) -> FloatArray:
    """The right-handed rotation (3, 3) about an axis; multiples of 90 degrees are exact."""
    quarters, rest = divmod(angle_deg, 90.0)
    cosine, sine = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    for _ in range(int(quarters) % 4):
        cosine, sine = -sine, cosine
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix + 0.0
