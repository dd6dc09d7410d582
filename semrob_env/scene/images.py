"""Pictures of a shape alone, without any network."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

from semrob_env.checks import instance_of, real_array
from semrob_env.errors import ShapeMismatchError
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.camera import SCENE_PARAMETERS, Scenes
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.pose import Pose
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.sources import ShapeInfo, load_shape, resolve_shape
from semrob_env.types import Float32Array, FloatArray


def shape_images(shape: ShapeInfo, space: SemanticSpace) -> Callable[[FloatArray], Float32Array]:
    """What draws a shape, which is loaded now: theta (N, n) of the space to pictures (N, 3, H, W) in [0, 1].

    Raises:
        InvalidMeshError, LibraryError: It cannot be loaded.
    """
    mesh, renderer = load_shape(shape.class_name or "", shape.source, pose=shape.pose), Rasterizer()
    return lambda theta: renderer.render(mesh, Scenes.from_parameters(dict(zip(space.names, theta.T, strict=True))))


def render(
    shape: Mesh | str | os.PathLike[str],
    theta: str | Mapping[str, float] | npt.ArrayLike = "",
    space: SemanticSpace | str = "azimuth,elevation",
    *,
    size: int = 224,
    supersample: int = 1,
    colors: str = "white",
    up: str = "y",
    front: str = "",
) -> Float32Array:
    """Pictures of a shape, without any network: in [0, 1], row 0 on top.

    Args:
        shape: A mesh, which is centered and scaled; or what names one: `mug.obj`, `meshes#mug`, `cup:3`.
        theta: One point by name, `azimuth=200,elevation=10` or a mapping, what is missing at its default; or an array
            (n,) or (N, n) of points of the space.
        space: Of an array; its parameters, in order.
        size: Height and width in pixels.
        supersample: Each picture is drawn so many times larger and averaged.
        colors: `white`, `material` or `texture`: of the file. A mesh has those that it was loaded with.
        up: Axis of the mesh that points up: x, -x, y, -y, z (most STL files) or -z.
        front: Axis that faces the camera of azimuth 0; empty: where the shortest turn of `up` leaves it (y up: -z).

    Returns:
        (3, size, size) of one point, (N, 3, size, size) of an array (N, n).

    Raises:
        OutOfSpaceError, ShapeMismatchError, UnknownNameError, InvalidParameterError: theta, space, size, up or front.
        InvalidMeshError, LibraryError, AmbiguousNameError: The shape cannot be loaded.
    """
    instance_of("shape", shape, (Mesh, str, os.PathLike))
    instance_of("space", space, (str, SemanticSpace))
    renderer, pose = Rasterizer(size, supersample), Pose(up, front)
    if isinstance(shape, Mesh):
        mesh = pose.applied(shape)
    else:
        named = resolve_shape(os.fspath(shape))
        mesh = load_shape(named.class_name or "", named.source, colors, pose)
    if isinstance(theta, str | Mapping):
        chosen = SemanticSpace.of([name for name in SCENE_PARAMETERS if name not in renderer.idle])
        points = chosen.point(theta)
    else:
        chosen = SemanticSpace.of(space) if isinstance(space, str) else space
        points = chosen.require(theta)
    flat = points.reshape(-1, chosen.n)
    scenes = Scenes.from_parameters(dict(zip(chosen.names, flat.T, strict=True)))
    images = renderer.render(mesh, scenes)
    return images.reshape(*points.shape[:-1], *images.shape[1:])


def picture(image: Float32Array) -> Image.Image:
    """An image (3, H, W) in [0, 1] as one of Pillow, to show or to save: `picture(render("cup:3")).save("cup.png")`."""
    image = real_array("image", image, ShapeMismatchError).astype(np.float32)
    if image.ndim != 3 or len(image) != 3 or not image.size:
        raise ShapeMismatchError(f"an image of shape {image.shape}; must be (3, H, W)")
    return Image.fromarray(np.round(np.clip(image.transpose(1, 2, 0), 0.0, 1.0) * 255.0).astype(np.uint8))
