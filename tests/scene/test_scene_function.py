"""The live score function: ids, chunks, batch invariance, gradients, the start-up probe and bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from semrob_env.errors import (
    ClassifierError,
    InvalidMeshError,
    InvalidParameterError,
    NameClashError,
    NoGradientError,
    ScoreRangeError,
    ShapeMismatchError,
    UnknownNameError,
)
from semrob_env.functions import make_function
from semrob_env.oracle import Queries, QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.scene import image_function
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.classifiers.registry import NETWORKS, load_network
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.scene.function import SceneFunction, SceneId
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.shapes import make_shape
from semrob_env.scene.sources import file_source
from semrob_env.types import Float32Array

SIZE = 48
SPACE = SemanticSpace.of("azimuth,elevation")


def brightness(shown: Float32Array) -> Float32Array:
    level = shown.mean(axis=(1, 2, 3))
    return np.stack([level, 1 - level], axis=1)


def black_box(answer: Callable[[Float32Array], Float32Array] = brightness, size: int = SIZE) -> Classifier:
    return BlackBoxClassifier(answer, labels=2, size=size, name="brightness")


def family(classifier: Classifier | None = None, space: SemanticSpace = SPACE) -> SceneFunction:
    meshes: list[Mesh] = [make_shape("cup", 0), make_shape("bottle", 1)]
    return SceneFunction(classifier or black_box(), meshes, [0, 1], space)


def test_the_score_is_that_of_the_image_of_the_members_mesh_and_class() -> None:
    function = family()
    theta = np.array([[[30.0, 20.0], [200.0, 60.0]], [[30.0, 20.0], [5.0, -10.0]]])
    expected = [
        brightness(Rasterizer(SIZE).render(mesh, function.scenes(points)))[:, index]
        for mesh, points, index in zip(function.meshes, theta, (0, 1), strict=True)
    ]
    np.testing.assert_array_equal(function.values(theta, [0, 1]), expected)
    np.testing.assert_array_equal(
        function.images(theta[0], 0), Rasterizer(SIZE).render(function.meshes[0], function.scenes(theta[0]))
    )


def test_the_space_may_name_its_parameters_in_any_order() -> None:
    swapped = family(space=SemanticSpace.of("elevation,azimuth"))
    theta = SPACE.sample(5, np.random.default_rng(0))[None]
    assert swapped.values(theta[..., ::-1]).tobytes() == family().values(theta).tobytes()
    only = family(space=SemanticSpace.of("azimuth"))
    assert only.values(theta[..., :1]).tobytes() == family().values(theta * [1.0, 0.0]).tobytes()


def test_a_theta_has_the_same_bytes_alone_in_any_batch_and_with_any_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 5, stride=3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(2)
    )
    function = family(TorchClassifier(network, Preprocessing(SIZE), name="small"))
    theta = SPACE.sample(64, np.random.default_rng(1))[:, None]
    member = np.arange(64) % 2
    values, gradients = function.values_and_gradients(theta, member)
    forward = function.values(theta, member)
    order = np.random.default_rng(2).permutation(64)
    for limit in (32, 5):
        monkeypatch.setattr(image_function, "LARGEST_CHUNK", limit)
        for rows in (np.array([11]), np.arange(7), order):
            some_values, some_gradients = function.values_and_gradients(theta[rows], member[rows])
            assert some_values.tobytes() == values[rows].tobytes()
            assert some_gradients.tobytes() == gradients[rows].tobytes()
            assert function.values(theta[rows], member[rows]).tobytes() == forward[rows].tobytes()


def test_the_gradient_follows_finite_differences_of_a_smooth_score() -> None:
    size = 112

    class Weighted(torch.nn.Module):
        """Logits linear in the picture, with smooth weights: what is left is the renderer's derivative."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            grid = torch.linspace(-1, 1, size)
            weight = torch.sin(2 * grid)[:, None] + torch.cos(3 * grid)[None, :]
            level = (x * weight).mean(dim=(1, 2, 3))
            return torch.stack([level, -level], dim=1)

    classifier = TorchClassifier(Weighted(), Preprocessing(size).unnormalized(), name="weighted")
    function = SceneFunction(
        classifier, [make_shape("cup", 0)], [0], SPACE, renderer=Rasterizer(size, supersample=4, blur=1.0)
    )
    theta = np.array([[[a, e] for a in (20.0, 75.0, 130.0, 250.0) for e in (5.0, 30.0, 55.0)]])
    _, gradients = function.values_and_gradients(theta)
    step = 0.5
    for k in range(2):
        offset = step * np.eye(2)[k]
        slopes = (function.values(theta + offset) - function.values(theta - offset)) / (2 * step)
        cosine = (slopes * gradients[..., k]).sum() / np.linalg.norm(slopes) / np.linalg.norm(gradients[..., k])
        assert cosine > 0.95


def test_the_probe_tells_a_broken_classifier_before_any_query() -> None:
    def only_nan(shown: Float32Array) -> Float32Array:
        return np.full((len(shown), 2), np.nan, dtype=np.float32)

    oracle = QueryOracle(family(black_box(only_nan)))
    with pytest.raises(ClassifierError, match="scores the start-up picture nan"):
        oracle.value(SPACE.default)
    assert oracle.spent[0] == 0


def test_nan_after_the_probe_is_charged_and_told_as_the_worst_score() -> None:
    calls: list[int] = []

    def nan_later(shown: Float32Array) -> Float32Array:
        calls.append(len(shown))
        return brightness(shown) if len(calls) <= 2 else np.full((len(shown), 2), np.nan, dtype=np.float32)

    oracle = QueryOracle(family(black_box(nan_later)))
    assert oracle.value(SPACE.default) == 0.0
    assert oracle.spent[0] == 1


def test_a_classifier_that_leaves_its_range_or_shape_later_is_an_error_and_free() -> None:
    answers = [2.0 * brightness(np.ones((1, 3, 2, 2), dtype=np.float32)), np.zeros((1, 7), dtype=np.float32)]
    for answer, error in zip(answers, (ScoreRangeError, ClassifierError), strict=True):
        calls: list[int] = []

        def later(shown: Float32Array, bad: Float32Array = answer, seen: list[int] = calls) -> Float32Array:
            seen.append(len(shown))
            return brightness(shown) if len(seen) <= 2 else bad

        oracle = QueryOracle(family(black_box(later)))
        theta = np.zeros((1, 1, 2))
        with pytest.raises(error):
            oracle.query(Queries(theta, np.zeros(1, dtype=np.int64), np.ones((1, 1), dtype=np.bool_)))
        assert oracle.spent[0] == 0


def test_misfits_are_told_at_construction() -> None:
    mesh = make_shape("cup", 0)
    with pytest.raises(InvalidParameterError, match="pictures of 32 pixels for brightness, which is set to 48"):
        SceneFunction(black_box(), [mesh], [0], SPACE, renderer=Rasterizer(32))
    with pytest.raises(ShapeMismatchError, match="1 meshes and 2 classes"):
        SceneFunction(black_box(), [mesh], [0, 1], SPACE)
    with pytest.raises(UnknownNameError, match=r"class index 9\.\.9: brightness has classes 0\.\.1"):
        SceneFunction(black_box(), [mesh], [9], SPACE).values(np.zeros((1, 1, 2)))
    with pytest.raises(NoGradientError, match="FiniteDifferences"):
        family().values_and_gradients(np.zeros((1, 1, 2)))


@pytest.fixture
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> str:
    name = "tiny_test_network"

    def factory(unnormalized: bool, size: int | None) -> Classifier:
        def answer(shown: Float32Array) -> Float32Array:
            level = shown.mean(axis=(1, 2, 3)) * (0.5 if unnormalized else 1.0)
            return np.tile(level[:, None], (1, 1000))

        return BlackBoxClassifier(answer, size=size or SIZE, name=name)

    monkeypatch.setitem(NETWORKS, name, factory)
    return name


def test_ids_round_trip_and_leave_defaults_out(tiny_network: str, tmp_path: Path) -> None:
    short = f"scene:{tiny_network}/cup/procedural:3"
    assert make_function(short).id == f"{short}?params=azimuth,elevation"
    path = tmp_path / "my mug & saucer (1).obj"
    trimesh.creation.box().export(path)
    for name in (
        f"{short}?params=elevation&feed=unnormalized&size=20&supersample=2&blur=0.5",
        f"scene:{tiny_network}/cup/{file_source(str(path))}?params=azimuth,elevation",
        f"complement({short}?params=azimuth,elevation)",
    ):
        function = make_function(name)
        assert function.id == name
        assert make_function(function.id).fingerprints == function.fingerprints
    assert make_function(short).fingerprints != make_function(f"{short}?size=20").fingerprints


def test_named_spaces_and_parts_of_ranges_are_written_out_in_the_canonical_id(tiny_network: str) -> None:
    short = f"scene:{tiny_network}/cup/procedural:3"
    six = make_function(f"{short}?params=paper6")
    assert six.id == f"{short}?params=azimuth,elevation,distance,light_azimuth,light_elevation,ambient"
    part = make_function(f"{short}?params=azimuth[90:180],roll")
    assert part.id == f"{short}?params=azimuth[90:180],roll"
    for function in (six, part):
        again = make_function(function.id)
        assert (again.id, again.space) == (function.id, function.space)
    whole = make_function(short)
    theta = np.array([[[130.0, 0.0]]])
    assert part.values(theta).tobytes() == whole.values(theta).tobytes()


def test_gradients_of_a_smoothed_image_leave_values_and_their_bytes_alone() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5, stride=3), torch.nn.Flatten(), torch.nn.LazyLinear(2))
    classifier = TorchClassifier(network, Preprocessing(SIZE), name="small")
    mesh, smooth = make_shape("cup", 0), Rasterizer(SIZE, 2, 1.5)
    plain = SceneFunction(classifier, [mesh], [0], SPACE)
    split = SceneFunction(classifier, [mesh], [0], SPACE, gradient_renderer=smooth)
    blurred = SceneFunction(classifier, [mesh], [0], SPACE, renderer=smooth)
    theta = SPACE.sample(6, np.random.default_rng(0))[None]
    values, gradients = split.values_and_gradients(theta)
    assert values.tobytes() == plain.values(theta).tobytes()
    assert gradients.tobytes() == blurred.values_and_gradients(theta)[1].tobytes()
    assert gradients.tobytes() != plain.values_and_gradients(theta)[1].tobytes()
    assert split.fingerprints[0]["gradient_renderer"] == smooth.identity
    assert "gradient_renderer" not in plain.fingerprints[0]
    with pytest.raises(InvalidParameterError, match="pictures of 32 pixels"):
        SceneFunction(classifier, [mesh], [0], SPACE, gradient_renderer=Rasterizer(32))


def test_options_of_the_id_reach_network_and_renderer(tiny_network: str) -> None:
    theta = np.array([[[40.0, 20.0]]])
    plain = make_function(f"scene:{tiny_network}/cup/procedural:3")
    fed = make_function(f"scene:{tiny_network}/cup/procedural:3?feed=unnormalized")
    np.testing.assert_allclose(fed.values(theta), plain.values(theta) / 2)
    small = make_function(f"scene:{tiny_network}/cup/procedural:3?size=16&blur=0.5")
    assert isinstance(small, SceneFunction)
    assert small.images(theta[0]).shape == (1, 3, 16, 16)
    assert "blur=0.5" in small.fingerprints[0]["renderer"]
    split = make_function(f"scene:{tiny_network}/cup/procedural:3?supersample=2&gradient_blur=1.5")
    assert split.fingerprints[0]["gradient_renderer"] == f"rasterizer-1?size={SIZE}&supersample=2&blur=1.5"
    assert split.id.endswith("?params=azimuth,elevation&supersample=2&gradient_blur=1.5")


@pytest.fixture(scope="module")
def _loaded_network() -> None:
    """The network that ids name, made once: seconds."""
    load_network("efficientnet_lite0")


@pytest.mark.usefixtures("_loaded_network")
@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("scene:lenet/cup/procedural:0", UnknownNameError, "unknown network 'lenet'"),
        ("scene:efficientnet_lite0/dragon/procedural:0", UnknownNameError, "class 'dragon' is not known"),
        ("scene:efficientnet_lite0/cup/procedural:-1", UnknownNameError, "unknown shape source 'procedural:-1'"),
        ("scene:efficientnet_lite0/cup/file:no.obj", InvalidMeshError, "no.obj"),
        ("scene:efficientnet_lite0/cup", InvalidParameterError, "write scene:NETWORK/CLASS/procedural:0"),
        ("scene:efficientnet_lite0/cup/procedural:0?colour=1", InvalidParameterError, "unknown option 'colour'"),
        ("scene:efficientnet_lite0/cup/procedural:0?size=big", InvalidParameterError, "cannot read the options"),
        ("scene:efficientnet_lite0/cup/procedural:0?feed=raw", InvalidParameterError, "choose normalized or"),
        ("scene:efficientnet_lite0/cup/procedural:0?params=zoom", UnknownNameError, "unknown parameter 'zoom'"),
        ("scene:efficientnet_lite0/cup/procedural:0?params=paper2,azimuth", NameClashError, "named twice"),
        ("scene:efficientnet_lite0/cup/procedural:0?params=roll[9:1]", InvalidParameterError, "must be below high"),
    ],
)
def test_a_wrong_id_is_one_clear_line(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        make_function(name)
    assert "\n" not in str(caught.value)


def test_a_scene_id_is_a_value() -> None:
    text = "scene:n/cup/file:a/b.obj?params=azimuth&blur=0.5"
    assert str(SceneId.parse(text)) == text
    assert SceneId.parse(text) == SceneId("n", "cup", "file:a/b.obj", "azimuth", blur=0.5)
