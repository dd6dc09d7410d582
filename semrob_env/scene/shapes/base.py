"""What a class of procedural shapes is, and where they are registered.

Conventions of every shape: y is up and the front faces -z, where the camera of azimuth 0 stands. A finished shape is
normalized to [-1, 1].
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from semrob_env.errors import InvalidParameterError, UnknownNameError
from semrob_env.registry import Registry
from semrob_env.scene.mesh import Mesh, normalize
from semrob_env.scene.shapes.solid import Parts, assemble

Archetype = Callable[[np.random.Generator], Parts]
"""A kind of object (a mug, a tea cup): draws its sizes from the generator and answers the solids it is made of."""


@final
@dataclass(frozen=True)
class ShapeClass:
    """All shapes of one class: object k is of archetype k modulo their number, its sizes are drawn from its seed."""

    name: str
    archetypes: tuple[Archetype, ...]

    def __call__(self, seed: int) -> Mesh:
        """The normalized mesh of object `seed` >= 0; objects 0..9 are the standard ones.

        Raises:
            UnknownNameError: The seed is negative or not an integer.
        """
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise UnknownNameError(f"shape {self.name}:{seed} does not exist; objects are numbered 0, 1, 2, ...")
        key = f"{self.name}:{int(seed)}"
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little"))
        mesh = normalize(assemble(self.archetypes[int(seed) % len(self.archetypes)](rng), name=key))
        # Rounding keeps the bytes equal where another processor's sine differs in the last bit.
        return Mesh(np.round(mesh.vertices, 9) + 0.0, mesh.faces, None, key)


SHAPES: Final[Registry[ShapeClass]] = Registry(
    "class of procedural shapes", "semrob.shape_classes", accepts=lambda found: isinstance(found, ShapeClass)
)
"""Class name -> its shapes. `make_shape` is the way in."""


def register(name: str, *archetypes: Archetype, replace: bool = False) -> ShapeClass:
    """Add a class of shapes to `SHAPES`: one of the paper, or any other that a network knows by its labels.

    Args:
        name: What ids call it: letters, digits, `_`, `-` and `.`; what it is scored for, unless the id has a `label=`.
        archetypes: See `ShapeClass`.
        replace: Take the place of a class of that name.

    Raises:
        NameClashError: The name is taken, and `replace` was not given.
        InvalidParameterError: Other letters, which have a meaning in ids.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        raise InvalidParameterError(f"class {name!r}: use letters, digits, _, - and . only")
    return SHAPES.register(name, ShapeClass(name, archetypes), replace=replace)


def make_shape(name: str, seed: int | None = None) -> Mesh:
    """The procedural shape "cup", 3 or "cup:3", normalized to [-1, 1]; same arguments, same bytes.

    Raises:
        UnknownNameError: The class has no procedural shapes, or the object number is not 0, 1, 2, ...
    """
    if seed is None:
        match = re.fullmatch(r"([^:]*):([0-9]+)", name)
        if match is None:
            raise UnknownNameError(f"shape {name!r} is not of the form class:number, e.g. 'cup:3'")
        name, seed = match.group(1), int(match.group(2))
    return SHAPES[name](seed)
