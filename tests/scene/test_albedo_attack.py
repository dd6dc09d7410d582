"""Attacks on the colors of faces: gradients against differences of pictures, and scores of objects drawn anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from semrob_env.errors import NoGradientError
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.albedo_attack import attack_albedo, colored_images
from semrob_env.scene.camera import Scenes
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.picture_attack import PictureAttack
from semrob_env.scene.renderers import Rasterizer
from semrob_env.types import Float32Array

SIZE = 32


def box() -> Mesh:
    """A cube of twelve faces and a tilted plate before it: inner edges, silhouettes and one that hides another."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    plate = np.array([[0.7, -0.6, 0.7], [0.9, 0.1, 0.5], [0.5, 0.0, 0.9]])
    return Mesh(np.concatenate([corners, plate]), np.array([*faces, (8, 9, 10)], dtype=np.int32))


def scenes() -> Scenes:
    views = {"azimuth": [40.0, 60.0, 200.0], "elevation": [25.0, 5.0, 60.0]}
    return Scenes.from_parameters({name: np.array(own) for name, own in views.items()})


@pytest.mark.parametrize(
    "renderer", [Rasterizer(SIZE), Rasterizer(16, supersample=2), Rasterizer(SIZE, antialias=False)]
)
def test_the_gradient_in_each_face_is_the_difference_of_pictures(renderer: Rasterizer) -> None:
    mesh, rng = box(), np.random.default_rng(0)
    albedo = rng.uniform(0.2, 0.6, (3, *mesh.faces.shape)).astype(np.float32)
    upstream = rng.normal(size=(3, 3, renderer.size, renderer.size)).astype(np.float32)
    told = renderer.albedo_gradients(mesh, albedo, scenes(), upstream)

    def level(changed: Float32Array) -> float:
        drawn = renderer.render(Mesh(mesh.vertices, mesh.faces, changed), scenes())[view]
        return float((drawn.astype(np.float64) * upstream[view]).sum())

    for view in range(3):
        for face in range(len(mesh.faces)):
            step = np.zeros(mesh.faces.shape, dtype=np.float32)
            step[face, 1] = 0.02
            slope = (level(albedo[view] + step) - level(albedo[view] - step)) / 0.04
            assert told[view, face, 1] == pytest.approx(slope, abs=2e-3 * float(np.abs(told[view]).max()))
    assert (np.abs(told[0]).max(axis=1) > 0).sum() >= 6


def test_a_color_that_is_cut_off_at_white_has_no_slope() -> None:
    mesh, upstream = box(), np.ones((1, 3, SIZE, SIZE), dtype=np.float32)
    albedo = np.ones((1, *mesh.faces.shape), dtype=np.float32)
    views = {"azimuth": np.array([40.0]), "elevation": np.array([25.0])}
    dim, glaring = (
        Rasterizer(SIZE).albedo_gradients(
            mesh, albedo, Scenes.from_parameters({**views, "ambient": np.array([level])}), upstream
        )
        for level in (0.1, 1.5)
    )
    assert np.abs(dim).max() > 1
    assert not glaring.any()


def scene(attack: PictureAttack | None = None) -> SceneFunction:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 5, stride=2), torch.nn.SiLU(), torch.nn.Flatten(), torch.nn.LazyLinear(3)
    ).eval()
    classifier = TorchClassifier(network, Preprocessing(SIZE).unnormalized(), name="small")
    return SceneFunction(classifier, [box()], [1], SemanticSpace.of("azimuth,elevation"), attack=attack)


@pytest.mark.parametrize("attack", [PictureAttack("linf", 0.2, 4), PictureAttack("l2", 0.8, 4)])
def test_an_object_in_other_colors_scores_less_when_it_is_drawn_anew(attack: PictureAttack) -> None:
    function, theta = scene(), np.array([[40.0, 25.0], [200.0, 60.0]])
    found = attack_albedo(function, attack, theta)
    pictures = colored_images(function, found.seen, theta)
    np.testing.assert_array_equal(function.classifier.scores(pictures, np.array([1, 1])), found.scores)
    np.testing.assert_array_equal(found.clean, function.values(theta[None])[0])
    assert (found.scores < found.clean - 1e-4).all()
    change = (1 - found.seen).reshape(2, -1)
    lengths = change.max(axis=1) if attack.norm == "linf" else np.linalg.norm(change, axis=1)
    assert (lengths <= attack.epsilon * (1 + 1e-5)).all()
    alone = attack_albedo(function, attack, theta[1:])
    assert alone.seen.tobytes() == found.seen[1:].tobytes()
    background = function.images(theta) == 0
    assert (pictures[background] <= 1e-6).mean() > 0.99  # the object changes, not what is behind it


def test_a_function_under_an_attack_on_the_object_is_billed_by_the_oracle_and_has_no_gradient() -> None:
    attack, theta = PictureAttack("linf", 0.2, 2, "albedo"), np.array([40.0, 25.0])
    function = scene(attack)
    oracle = QueryOracle(function)
    assert oracle.value(theta) == attack_albedo(scene(), attack, theta[None]).scores[0]
    assert (oracle.forward_queries.tolist(), oracle.gradient_queries.tolist()) == ([3], [2])
    assert not function.has_gradient


def test_a_renderer_that_blurs_tells_no_gradient_of_colors() -> None:
    mesh = box()
    with pytest.raises(NoGradientError, match="blur"):
        Rasterizer(SIZE, blur=1.0).albedo_gradients(
            mesh,
            np.ones((3, *mesh.faces.shape), dtype=np.float32),
            scenes(),
            np.ones((3, 3, SIZE, SIZE), dtype=np.float32),
        )
