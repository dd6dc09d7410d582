"""The rasteriser on real meshes: error of pictures and of derivatives, as `scripts/check_rasterizer.py` tells them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semrob_env.scene.camera import Scenes
from semrob_env.scene.mesh import Mesh, normalize
from semrob_env.scene.mesh_files import load_mesh
from semrob_env.scene.renderers import Rasterizer

SHAPES = ["aeroplane", "bathtub", "chair", "rifle", "vase"]
SCENES = Scenes(np.array([20.0, 130.0, 200.0, 310.0]), np.array([-5.0, 30.0, 60.0, 15.0]))


@pytest.fixture(scope="module", params=SHAPES)
def mesh(request: pytest.FixtureRequest, shapes_folder: Path) -> Mesh:
    return normalize(load_mesh(sorted((shapes_folder / request.param).glob("*/models/*.obj"))[0]))


def test_images_are_close_to_a_supersampled_reference(mesh: Mesh) -> None:
    truth = Rasterizer(supersample=8, antialias=False).render(mesh, SCENES)
    error = 255 * np.abs(Rasterizer().render(mesh, SCENES) - truth).mean()
    plain = 255 * np.abs(Rasterizer(antialias=False).render(mesh, SCENES) - truth).mean()
    assert error < 0.4
    assert error < plain / 1.5


def test_derivatives_follow_central_differences_of_smoothed_images(mesh: Mesh) -> None:
    renderer, step = Rasterizer(supersample=4, blur=0.5), 0.1
    names = ["azimuth", "elevation"]
    derivatives = renderer.render_with_derivatives(mesh, SCENES, names)[1].astype(np.float64)
    values = {"azimuth": SCENES.azimuth_deg, "elevation": SCENES.elevation_deg}
    cosines = []
    for k, name in enumerate(names):
        high = renderer.render(mesh, Scenes.from_parameters(values | {name: values[name] + step}))
        low = renderer.render(mesh, Scenes.from_parameters(values | {name: values[name] - step}))
        for one, other in zip(derivatives[:, k], ((high - low) / (2 * step)).astype(np.float64), strict=True):
            cosines.append((one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other)))
    assert np.median(cosines) > 0.9
