"""Classifiers: values and gradients, batch invariance, fall-backs, and what bad ones are told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from semrob_env.errors import (
    ClassifierError,
    InvalidParameterError,
    NameClashError,
    NoGradientError,
    UnknownNameError,
)
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.classifiers.registry import NETWORKS, load_network, register_network
from semrob_env.scene.classifiers.torch_module import Backend, TorchClassifier
from semrob_env.types import Float32Array, IntArray

SIZE = 20


def small_network(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU6(),
        torch.nn.Conv2d(8, 8, 3, stride=2, groups=8),
        torch.nn.Hardswish(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 5),
    ).eval()


def images(count: int, size: int = SIZE) -> tuple[Float32Array, IntArray]:
    rng = np.random.default_rng(3)
    return rng.random((count, 3, size, size), dtype=np.float32), rng.integers(0, 5, count)


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_values_and_gradients_are_those_of_autograd(backend: Backend) -> None:
    network = small_network()
    preprocessing = Preprocessing(SIZE, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    classifier = TorchClassifier(network, preprocessing, name="small", backend=backend)
    shown, classes = images(11)
    leaf = torch.from_numpy(shown).requires_grad_(True)
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (preprocessing.mean, preprocessing.std))
    expected = torch.softmax(network((leaf - mean) / std), 1)[torch.arange(11), torch.from_numpy(classes)]
    (slopes,) = torch.autograd.grad(expected.sum(), leaf)

    values, gradients = classifier.scores_and_gradients(shown, classes)
    np.testing.assert_allclose(classifier.scores(shown, classes), expected.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(values, expected.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(gradients, slopes.numpy(), atol=1e-6)
    assert classifier.backend_in_use("values") == backend
    assert classifier.backend_in_use("gradients") == backend


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_a_image_has_the_same_bytes_in_any_batch(backend: Backend) -> None:
    classifier = TorchClassifier(small_network(), Preprocessing(SIZE), name="small", backend=backend)
    shown, classes = images(64)
    values, gradients = classifier.scores_and_gradients(shown, classes)
    forward = classifier.scores(shown, classes)
    order = np.random.default_rng(0).permutation(64)
    for rows in (np.array([5]), np.arange(3, 10), order):
        some_values, some_gradients = classifier.scores_and_gradients(shown[rows], classes[rows])
        assert some_values.tobytes() == values[rows].tobytes()
        assert some_gradients.tobytes() == gradients[rows].tobytes()
        assert classifier.scores(shown[rows], classes[rows]).tobytes() == forward[rows].tobytes()


def test_threads_that_share_a_network_get_their_own_answers() -> None:
    classifier = TorchClassifier(small_network(), Preprocessing(SIZE), name="small", backend="openvino")
    shown, classes = images(12)
    expected = classifier.scores(shown, classes)

    def ask(first: int) -> bool:
        rows = slice(first, first + 6)
        return all(np.array_equal(classifier.scores(shown[rows], classes[rows]), expected[rows]) for _ in range(50))

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(ask, [0, 6]))


class _Sorts(torch.nn.Module):
    """Something whose backward pass OpenVINO does not convert."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values, _ = x.flatten(1).sort(dim=1)
        singular: torch.Tensor = torch.linalg.svdvals(values[:, :25].reshape(-1, 5, 5))
        return singular


def test_a_module_that_does_not_convert_is_answered_by_torch() -> None:
    classifier = TorchClassifier(_Sorts(), Preprocessing(SIZE), name="sorts")
    shown, classes = images(2)
    _, gradients = classifier.scores_and_gradients(shown, classes)
    assert classifier.backend_in_use("gradients") == "torch"
    assert np.abs(gradients).max() > 0
    assert classifier.fingerprint["backend"] == "torch"
    with pytest.raises(ClassifierError, match=r"no OpenVINO graph for values .*use backend auto or torch"):
        TorchClassifier(_Sorts(), Preprocessing(SIZE), name="sorts", backend="openvino")


def test_no_images_give_no_scores() -> None:
    for backend in ("openvino", "torch"):
        classifier = TorchClassifier(small_network(), Preprocessing(SIZE), name="s", backend=backend)
        nothing, classes = images(0)
        values, gradients = classifier.scores_and_gradients(nothing, classes)
        assert (values.shape, gradients.shape) == ((0,), (0, 3, SIZE, SIZE))
        assert classifier.scores(nothing, classes).shape == (0,)


def test_the_fingerprint_tells_weights_preprocessing_and_backend_apart() -> None:
    def fingerprint(seed: int, preprocessing: Preprocessing) -> dict[str, str]:
        return TorchClassifier(small_network(seed), preprocessing, name="small", backend="torch").fingerprint

    one = fingerprint(0, Preprocessing(SIZE))
    assert one == fingerprint(0, Preprocessing(SIZE))
    assert one["weights"] != fingerprint(1, Preprocessing(SIZE))["weights"]
    assert one["preprocessing"] != fingerprint(0, Preprocessing(SIZE).unnormalized())["preprocessing"]


def test_a_module_without_logits_is_refused() -> None:
    with pytest.raises(ClassifierError, match=r"answers shape \(1, 3, 20, 20\) to one image; must be \(1, labels\)"):
        TorchClassifier(torch.nn.Identity(), Preprocessing(SIZE), name="identity")
    with pytest.raises(InvalidParameterError, match="unknown backend 'tpu'"):
        TorchClassifier(small_network(), Preprocessing(SIZE), name="small", backend="tpu")  # type: ignore[arg-type]


def test_a_callable_is_a_classifier_without_gradient() -> None:
    def brightness(shown: Float32Array) -> Float32Array:
        level = shown.mean(axis=(1, 2, 3))
        return np.stack([level, 1 - level], axis=1)

    classifier = BlackBoxClassifier(brightness, labels=2, size=SIZE, name="brightness")
    shown, _ = images(4)
    expected = shown.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(classifier.scores(shown, np.zeros(4, dtype=np.int64)), expected)
    with pytest.raises(NoGradientError, match="brightness has no gradient; use finite differences"):
        classifier.scores_and_gradients(shown, np.zeros(4, dtype=np.int64))
    with pytest.raises(UnknownNameError, match=r"class index 0\.\.2: brightness has classes 0\.\.1"):
        classifier.scores(shown[:2], np.array([0, 2]))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.full((1, 3), np.nan), "scores the start-up picture nan"),
        (np.full((1, 3), 7.0), r"scores the start-up picture 7.0; a score lies in \[0, 1\]"),
        (np.zeros((1, 2)), r"answered shape \(1, 2\) to 1 pictures; must be \(1, 3\)"),
        (np.zeros(3), r"answered shape \(3,\) to 1 pictures"),
    ],
)
def test_a_broken_classifier_is_told_at_the_probe(answer: Float32Array, message: str) -> None:
    classifier = BlackBoxClassifier(lambda shown: answer, labels=3, size=SIZE, name="broken")
    with pytest.raises(ClassifierError, match=message):
        classifier.probe(images(1)[0][0], 0)


def test_a_score_may_leave_its_range_by_rounding_only() -> None:
    answers = np.array([[1.0000001, -1e-7, 0.5], [1.1, -0.1, np.nan]])
    classifier = BlackBoxClassifier(lambda shown: answers, labels=3, size=SIZE, name="rounds")
    scores = [classifier.scores(images(2)[0], np.full(2, index)) for index in range(3)]
    np.testing.assert_array_equal(scores, [[1.0, 1.1], [0.0, -0.1], [0.5, np.nan]])


def test_networks_are_found_by_name_and_made_once() -> None:
    assert load_network("efficientnet_lite0") is load_network("efficientnet_lite0")
    with pytest.raises(UnknownNameError, match="unknown network 'lenet'; known are efficientnet_lite0"):
        load_network("lenet")
    with pytest.raises(NameClashError, match="registered already"):
        register_network("efficientnet_lite0", lambda unnormalized, size: load_network("efficientnet_lite0"))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_openvino_answers_a_real_network_as_torch_does(name: str) -> None:
    by_openvino = load_network(name)
    assert isinstance(by_openvino, TorchClassifier)
    by_torch = TorchClassifier(by_openvino.module, by_openvino.preprocessing, name=name, backend="torch")
    shown, _ = images(3, by_openvino.preprocessing.size)
    for class_index in (0, 968):
        classes = np.full(3, class_index)
        values, gradients = by_openvino.scores_and_gradients(shown, classes)
        expected, slopes = by_torch.scores_and_gradients(shown, classes)
        np.testing.assert_allclose(by_openvino.scores(shown, classes), expected, atol=1e-5)
        np.testing.assert_allclose(values, expected, atol=1e-5)
        for one, other in zip(gradients, slopes, strict=True):
            assert (one * other).sum() >= 0.999 * np.linalg.norm(one) * np.linalg.norm(other)
    assert by_openvino.backend_in_use("gradients") == "openvino"
