"""Pictures of a shape alone, without any network."""

from __future__ import annotations

from collections.abc import Callable

from semrob_env.parameters import SemanticSpace
from semrob_env.scene.camera import Scenes
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.sources import ShapeInfo, load_shape
from semrob_env.types import Float32Array, FloatArray


def shape_images(shape: ShapeInfo, space: SemanticSpace) -> Callable[[FloatArray], Float32Array]:
    """What draws a shape, which is loaded now: theta (N, n) of the space to pictures (N, 3, H, W) in [0, 1].

    Raises:
        InvalidMeshError, LibraryError: It cannot be loaded.
    """
    mesh, renderer = load_shape(shape.class_name or "", shape.source, pose=shape.pose), Rasterizer()
    return lambda theta: renderer.render(mesh, Scenes.from_parameters(dict(zip(space.names, theta.T, strict=True))))
