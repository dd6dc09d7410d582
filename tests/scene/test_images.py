"""Pictures without a network: the same as a function's, however views and shapes are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from semrob_env import SemanticSpace, picture, render
from semrob_env.errors import LibraryError, OutOfSpaceError, UnknownNameError
from semrob_env.scene.images import shape_images
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.mesh_files import load_mesh
from semrob_env.scene.sources import select_shapes


def test_a_picture_is_the_one_that_a_network_sees() -> None:
    space = SemanticSpace.of("azimuth,elevation")
    (cup,) = select_shapes(["cup:3"])
    theta = space.sample(3, np.random.default_rng(0))
    assert np.array_equal(render("cup:3", theta), shape_images(cup, space)(theta))
    assert np.array_equal(render("cup:3", theta[0]), render("cup:3", theta)[0])


def test_a_view_by_name_is_the_same_as_by_number_and_the_rest_is_at_its_default() -> None:
    by_number = render("chair:0", [200.0, 10.0], size=48)
    assert by_number.shape == (3, 48, 48)
    assert np.array_equal(render("chair:0", "azimuth=200,elevation=10", size=48), by_number)
    assert np.array_equal(render("chair:0", {"azimuth": 200.0, "elevation": 10.0}, size=48), by_number)
    assert np.array_equal(
        render("chair:0", [[2.732, 200.0, 10.0]], "distance,azimuth,elevation", size=48)[0], by_number
    )
    assert not np.array_equal(render("chair:0", "azimuth=200,elevation=10,distance=4", size=48), by_number)
    assert np.array_equal(render("chair:0", size=48), render("chair:0", [0.0, 0.0], size=48))


def test_files_and_meshes_are_centered_and_scaled(tmp_path: Path) -> None:
    path = tmp_path / "box.obj"
    box = trimesh.creation.box((1, 2, 1))
    box.apply_translation((5, 5, 5))
    box.export(str(path))
    mesh = load_mesh(path)
    from_file = render(path, "azimuth=30,elevation=20", size=48)
    assert np.allclose(render(mesh, "azimuth=30,elevation=20", size=48), from_file, atol=1e-5)
    assert 0.05 < (from_file > 0).mean() < 0.6
    assert isinstance(mesh, Mesh)


def test_a_picture_can_be_saved_and_bad_input_is_said(tmp_path: Path) -> None:
    image = render("cup:3", "azimuth=200", size=32)
    saved = picture(image)
    assert (saved.size, saved.mode) == ((32, 32), "RGB")
    assert np.abs(np.asarray(saved).transpose(2, 0, 1) / 255 - image).max() <= 0.5 / 255 + 1e-6
    for theta, error in (("azimuth=400", OutOfSpaceError), ("tilt=3", UnknownNameError)):
        with pytest.raises(error):
            render("cup:3", theta)
    with pytest.raises(LibraryError, match="no such file"):
        render("nothing.obj")
