"""Backward passes as OpenVINO graphs: each rule against autograd, and layers without a rule answered by torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.torch_module import TorchClassifier

SIZE = 26

LAYERS: dict[str, list[torch.nn.Module]] = {
    "convolution": [torch.nn.Conv2d(3, 6, 3, padding=1)],
    "convolution without padding": [torch.nn.Conv2d(3, 6, 5)],
    "convolution of one pixel": [torch.nn.Conv2d(3, 6, 1)],
    "strides that leave a rest": [torch.nn.Conv2d(3, 6, 4, stride=3, padding=1)],
    "dilated": [torch.nn.Conv2d(3, 6, 3, padding=2, dilation=2)],
    "padded wider than the kernel": [torch.nn.Conv2d(3, 6, 1, padding=2)],
    "groups": [torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.Conv2d(6, 4, 3, groups=2, padding=1)],
    "depthwise": [torch.nn.Conv2d(3, 3, 3, groups=3, padding=1)],
    "depthwise by strides": [torch.nn.Conv2d(3, 6, 3, groups=3, stride=2)],
    "two sides": [torch.nn.Conv2d(3, 6, (1, 7), padding=(0, 3)), torch.nn.Conv2d(6, 6, (7, 1))],
    "equal channels": [torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.Conv2d(16, 16, 3, padding=1)],
    "max pooling that overlaps": [torch.nn.Conv2d(3, 6, 3), torch.nn.MaxPool2d(3, 2)],
    "padded max pooling": [torch.nn.Conv2d(3, 6, 3), torch.nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)],
    "average pooling": [torch.nn.Conv2d(3, 6, 3), torch.nn.AvgPool2d(3, 1, padding=1)],
    "average pooling by strides": [torch.nn.Conv2d(3, 6, 3), torch.nn.AvgPool2d(2)],
    "adaptive pooling": [torch.nn.Conv2d(3, 6, 3), torch.nn.AdaptiveAvgPool2d(6)],
    "adaptive pooling to the same size": [torch.nn.Conv2d(3, 6, 3), torch.nn.AdaptiveAvgPool2d(24)],
    "batch norm": [torch.nn.Conv2d(3, 6, 3), torch.nn.BatchNorm2d(6), torch.nn.ReLU()],
}


def classifiers(layers: list[torch.nn.Module]) -> tuple[TorchClassifier, TorchClassifier]:
    torch.manual_seed(1)
    for layer in layers:
        if isinstance(layer, torch.nn.Conv2d):
            layer.reset_parameters()
    network = torch.nn.Sequential(*layers, torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.LazyLinear(5))
    converted = TorchClassifier(network, Preprocessing(SIZE), name="own", backend="auto", score="margin")
    return converted, TorchClassifier(network, Preprocessing(SIZE), name="own", backend="torch", score="margin")


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_has_the_gradient_of_autograd_by_openvino(name: str) -> None:
    converted, by_torch = classifiers(LAYERS[name])
    shown = np.random.default_rng(2).random((3, 3, SIZE, SIZE), dtype=np.float32)
    classes = np.array([0, 4, 2])
    values, gradients = converted.scores_and_gradients(shown, classes)
    expected, slopes = by_torch.scores_and_gradients(shown, classes)
    assert converted.backend_in_use("gradients") == "openvino"
    np.testing.assert_allclose(values, expected, atol=1e-5)
    np.testing.assert_allclose(gradients, slopes, atol=1e-5 * np.abs(slopes).max())


@pytest.mark.parametrize(
    "layer",
    [
        torch.nn.AdaptiveAvgPool2d(5),
        torch.nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
        torch.nn.AvgPool2d(2, divisor_override=3),
        torch.nn.ConvTranspose2d(3, 3, 2),
    ],
    ids=lambda layer: str(layer),
)
def test_a_layer_without_a_rule_is_answered_by_torch(layer: torch.nn.Module) -> None:
    converted, by_torch = classifiers([layer])
    shown = np.random.default_rng(2).random((2, 3, SIZE, SIZE), dtype=np.float32)
    classes = np.array([0, 4])
    assert converted.backend_in_use("gradients") == "torch"
    found, expected = (own.scores_and_gradients(shown, classes)[1] for own in (converted, by_torch))
    np.testing.assert_array_equal(found, expected)
