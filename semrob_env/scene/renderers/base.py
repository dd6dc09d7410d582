"""What every renderer promises."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import final

from semrob_env.checks import whole_number
from semrob_env.errors import InvalidParameterError, NoGradientError
from semrob_env.scene.camera import Scenes
from semrob_env.scene.mesh import Mesh
from semrob_env.types import Float32Array

SURROUNDINGS: Mapping[str, str] = MappingProxyType({
    "background_azimuth": "background=panorama:FILE",
    "background_choice": "background=folder:PATH",
    **dict.fromkeys(("occluder_x", "occluder_y", "occluder_size"), "occluder=rectangle or occluder=file:MESH"),
})
"""Parameters of what surrounds an object, and the option of a scene that each needs."""


class Renderer(ABC):
    """Turns a mesh and B scenes into pictures; the same scene gives the same bytes in any batch.

    Args:
        size: Height and width of a picture in pixels.
        supersample: Each picture is drawn this many times larger and averaged; costs its square.
        most_pixels: Largest side of what is drawn.

    Raises:
        InvalidParameterError: An option is out of range.
    """

    def __init__(self, size: int, supersample: int = 1, most_pixels: int = sys.maxsize) -> None:
        size = whole_number("size", size, 0, sys.maxsize)
        supersample = whole_number("supersample", supersample, 0, sys.maxsize)
        if size < 1 or supersample < 1 or size * supersample > most_pixels:
            raise InvalidParameterError(
                f"size {size} and supersample {supersample} must be at least 1, their product at most {most_pixels}"
            )
        self.size, self._supersample = size, supersample

    @property
    @abstractmethod
    def identity(self) -> str:
        """Name, version and options that rule the pixels; enters the keys of stored runs."""

    @final
    @property
    def supersample(self) -> int:
        """How many times larger pictures are drawn."""
        return self._supersample

    @property
    def idle(self) -> Mapping[str, str]:
        """Parameters of scenes that change nothing in its pictures, and what would let each change something."""
        return SURROUNDINGS

    @final
    def render(self, mesh: Mesh, scenes: Scenes) -> Float32Array:
        """Pictures (B, 3, size, size) in [0, 1], row 0 on top, column 0 on the left."""
        return self._draw(mesh, scenes, ())[0]

    @final
    def render_with_derivatives(
        self, mesh: Mesh, scenes: Scenes, parameters: Sequence[str]
    ) -> tuple[Float32Array, Float32Array]:
        """Pictures (B, 3, size, size), and their read-only derivatives (B, K, 3, size, size) per native unit.

        Args:
            mesh: The shape.
            scenes: B scenes.
            parameters: K names of `semrob_env.scene.camera.SCENE_PARAMETERS`.

        Raises:
            UnknownNameError: A parameter has no derivative.
        """
        return self._draw(mesh, scenes, parameters)

    def albedo_gradients(
        self, mesh: Mesh, albedo: Float32Array, scenes: Scenes, upstream: Float32Array
    ) -> Float32Array:
        """Gradients (B, F, 3) in the albedo of the faces.

        Args:
            mesh: The shape; its own albedo does not matter.
            albedo: That of each view, (B, F, 3) in [0, 1].
            scenes: B scenes.
            upstream: Gradients in the pictures (B, 3, size, size).

        Raises:
            NoGradientError: The renderer has none.
        """
        del mesh, albedo, scenes, upstream
        raise NoGradientError(f"{self.identity} tells no gradient in the colors of faces; use the rasterizer")

    @abstractmethod
    def _draw(self, mesh: Mesh, scenes: Scenes, parameters: Sequence[str]) -> tuple[Float32Array, Float32Array]:
        """Pictures, and their derivatives in K parameters, as above."""
