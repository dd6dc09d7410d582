"""What every renderer promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from semrob_env.scene.camera import Scenes
from semrob_env.scene.mesh import Mesh
from semrob_env.types import Float32Array


class Renderer(ABC):
    """Turns a mesh and B scenes into pictures; the same scene gives the same bytes in any batch."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """Name, version and options that rule the pixels; enters the keys of stored runs."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Height and width of a picture in pixels."""

    @abstractmethod
    def render(self, mesh: Mesh, scenes: Scenes) -> Float32Array:
        """Pictures (B, 3, size, size) in [0, 1], row 0 on top, column 0 on the left."""

    @abstractmethod
    def render_with_derivatives(
        self, mesh: Mesh, scenes: Scenes, parameters: Sequence[str]
    ) -> tuple[Float32Array, Float32Array]:
        """Pictures (B, 3, size, size) and their derivatives (B, K, 3, size, size) per native unit.

        Args:
            mesh: The shape.
            scenes: B scenes.
            parameters: K names of `semrob_env.scene.camera.SCENE_PARAMETERS`.

        Raises:
            UnknownNameError: A parameter has no derivative.
        """
