"""A small network of 1000 classes, so that whole scripts run in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.registry import NETWORKS, forget_networks, register_network
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.scene.classifiers.torchvision_networks import torchvision_module

SIZE = 32


def make_tiny(unnormalized: bool, size: int | None) -> TorchClassifier:
    torch.manual_seed(0)
    head = torch.nn.Linear(32, 1000)
    with torch.no_grad():
        head.weight.mul_(30.0)
        head.bias[[968, 559]] += 6.0  # cup and chair
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, stride=4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), head
    )
    preprocessing = Preprocessing(size or SIZE)
    return TorchClassifier(network, preprocessing.unnormalized() if unnormalized else preprocessing, name="tiny")


@pytest.fixture
def squeezenet(tmp_path: Path) -> Path:
    """Random weights of torchvision/squeezenet1_1."""
    torch.manual_seed(0)
    path = tmp_path / "random weights.pth"
    torch.save(torchvision_module("squeezenet1_1", 1000).state_dict(), path)
    return path


@pytest.fixture
def tiny() -> Iterator[str]:
    register_network("tiny", make_tiny)
    forget_networks()
    yield "tiny"
    del NETWORKS["tiny"]
    forget_networks()
