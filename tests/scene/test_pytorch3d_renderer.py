"""The optional renderer on PyTorch3D: its pictures and derivatives beside those of the default one."""

from __future__ import annotations

import importlib.util
import itertools
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from semrob_env.errors import InvalidParameterError, MissingExtraError, UnknownNameError
from semrob_env.scene.camera import Scenes
from semrob_env.scene.mesh import Mesh, normalize
from semrob_env.scene.renderers import Rasterizer, Renderer, make_renderer
from semrob_env.scene.shapes import make_shape
from semrob_env.types import Float32Array

IS_MISSING: Final = importlib.util.find_spec("pytorch3d") is None
needs_pytorch3d = pytest.mark.skipif(IS_MISSING, reason="pytorch3d is not installed: see its INSTALL.md")

CAMERA: Final = {
    "azimuth": 130.0,
    "elevation": 30.0,
    "distance": 2.732,
    "roll": 7.0,
    "field_of_view": 60.0,
    "shift_x": 0.1,
    "shift_y": 0.05,
}
LIGHT: Final = {"light_azimuth": 20.0, "light_elevation": 50.0, "ambient": 0.4, "directional": 0.5, "albedo_r": 0.8}


def box() -> Mesh:
    corners = np.array(list(itertools.product((-1.0, 1.0), (-0.6, 0.6), (-0.35, 0.35))))
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    return normalize(Mesh(corners, np.array(faces, dtype=np.int32)))


def scenes(**values: npt.ArrayLike) -> Scenes:
    columns = {name: np.atleast_1d(np.asarray(value, dtype=np.float64)) for name, value in values.items()}
    count = max(len(column) for column in columns.values())
    return Scenes.from_parameters({name: np.broadcast_to(column, (count,)) for name, column in columns.items()})


def cosine(first: Float32Array, second: Float32Array) -> float:
    return float((first * second).sum() / np.sqrt((first * first).sum() * (second * second).sum()))


@pytest.mark.skipif(not IS_MISSING, reason="pytorch3d is installed")
def test_without_pytorch3d_one_line_says_what_to_do() -> None:
    with pytest.raises(MissingExtraError, match=r"pytorch3d is not installed .* INSTALL\.md"):
        make_renderer("pytorch3d", 64)


def test_an_unknown_renderer_is_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match="unknown renderer 'blender'; known are rasterizer, pytorch3d"):
        make_renderer("blender", 64)


def test_pytorch3d_takes_no_blur() -> None:
    with pytest.raises(InvalidParameterError, match=r"blur 0\.7: pytorch3d has none"):
        make_renderer("pytorch3d", 64, blur=0.7)


@needs_pytorch3d
@pytest.mark.parametrize("mesh", [box(), normalize(make_shape("chair", 1))], ids=["box", "chair"])
def test_images_agree_with_the_default_renderer(mesh: Mesh) -> None:
    theirs, ours = make_renderer("pytorch3d", 112, 4), Rasterizer(112)
    views = scenes(azimuth=[20.0, 130.0, 250.0], elevation=[5.0, 40.0, 80.0])
    assert np.abs(theirs.render(mesh, views) - ours.render(mesh, views)).mean() < 1 / 255
    outlines = scenes(azimuth=[20.0, 130.0, 250.0], elevation=[5.0, 40.0, 80.0], ambient=1.0, directional=0.0)
    one, two = theirs.render(mesh, outlines) > 0.5, ours.render(mesh, outlines) > 0.5
    assert (one & two).sum() / (one | two).sum() > 0.99


@needs_pytorch3d
@pytest.mark.parametrize("name", [*CAMERA, *LIGHT])
def test_derivatives_are_those_of_its_images(name: str) -> None:
    renderer: Renderer = make_renderer("pytorch3d", 96, 2)
    values, step = {**CAMERA, **LIGHT}, 0.05 if {**CAMERA, **LIGHT}[name] > 2.8 else 1e-3
    _, derivatives = renderer.render_with_derivatives(box(), scenes(**values), [name])
    above, below = (renderer.render(box(), scenes(**{**values, name: values[name] + sign * step})) for sign in (1, -1))
    differences = (above - below)[0] / (2 * step)
    assert cosine(derivatives[0, 0], differences) > (0.999 if name in LIGHT else 0.94)
    assert np.linalg.norm(derivatives) == pytest.approx(np.linalg.norm(differences), rel=0.08)


@needs_pytorch3d
def test_a_scene_has_the_same_bytes_alone_and_in_a_batch() -> None:
    renderer, azimuth = make_renderer("pytorch3d", 64), np.array([10.0, 130.0, 300.0])
    batch = renderer.render(box(), scenes(azimuth=azimuth, elevation=20.0))
    alone = [renderer.render(box(), scenes(azimuth=value, elevation=20.0))[0] for value in azimuth]
    assert batch.tobytes() == np.stack(alone).tobytes()


@needs_pytorch3d
def test_what_lies_behind_the_camera_is_not_drawn() -> None:
    behind = box().vertices + np.array([0.0, 0.0, -9.0])
    image = make_renderer("pytorch3d", 32).render(Mesh(behind, box().faces), scenes(azimuth=0.0, background_g=0.25))
    assert (image[0] == np.array([0.0, 0.25, 0.0], dtype=np.float32)[:, None, None]).all()
