"""Every classifier of torchvision: `torchvision/resnet50`, `torchvision/resnet50.IMAGENET1K_V2`.

Without weights after the dot a name means the first that torchvision lists: for AlexNet, VGG-11-BN, ResNet-50 and
InceptionV3 those of 2019, which the paper used (method section 2). Size, mean, std, class names and published accuracy
come from the weights' own metadata (https://pytorch.org/vision/stable/models.html).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import torch
from torchvision import models

from semrob_env.errors import UnknownNameError
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.labels import IMAGENET_CLASSES
from semrob_env.scene.classifiers.names import TORCHVISION
from semrob_env.scene.classifiers.options import NetworkOptions
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.scene.classifiers.weights import (
    StateDict,
    classifier_of,
    load_weights,
    published_sources,
    read_state_dict,
    weights_file,
)

# What torchvision itself sets where it loads weights: these two then expect pictures normalised as all others are.
_INCEPTION: dict[str, Any] = {"transform_input": True, "init_weights": False}
_BUILD: dict[str, dict[str, Any]] = {"inception_v3": _INCEPTION, "googlenet": _INCEPTION}

# Names as densenet's published files have them: `norm.1.weight` for what is now `norm1.weight`.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)$")


def torchvision_names() -> list[str]:
    """Names of all classifiers, without the family's."""
    names: list[str] = models.list_models(module=models)
    return names


def torchvision_weights(name: str) -> tuple[str, Any]:
    """Architecture and weights (a torchvision `Weights`) of `resnet50` or `resnet50.IMAGENET1K_V2`.

    Raises:
        UnknownNameError: No such architecture, or no such weights of it.
    """
    architecture, _, wanted = name.partition(".")
    names = torchvision_names()
    if architecture not in names:
        near = [own for own in names if own.startswith(architecture[:4])] or names
        raise UnknownNameError(f"unknown network '{TORCHVISION}/{name[:60]}'; torchvision has {', '.join(near)}")
    known = {weights.name: weights for weights in models.get_model_weights(architecture)}
    if wanted and wanted not in known:
        raise UnknownNameError(f"unknown weights {wanted!r} of {TORCHVISION}/{architecture}; it has {', '.join(known)}")
    return architecture, known[wanted] if wanted else next(iter(known.values()))


def torchvision_module(architecture: str, classes: int = IMAGENET_CLASSES, *, size: int = 224) -> torch.nn.Module:
    """An architecture with random weights, built as torchvision builds it for published ones; size: of transformers."""
    arguments = dict(_BUILD.get(architecture, {}))
    if architecture.startswith("vit_"):
        arguments["image_size"] = size
    module: torch.nn.Module = models.get_model(architecture, weights=None, num_classes=classes, **arguments)
    return module


def torchvision_network(
    name: str, *, unnormalized: bool = False, size: int | None = None, options: NetworkOptions | None = None
) -> TorchClassifier:
    """A classifier of torchvision.

    Weights are those of `options.weights`, of torch's cache, or a download into it; a file with another number of
    classes gets a last layer that fits.

    Args:
        name: Architecture, or `architecture.WEIGHTS`.
        unnormalized: Feed pictures in [0, 1] as they are, as the paper's released code did.
        size: Input size in pixels; None: the one the weights were published with.
        options: See `NetworkOptions`.

    Raises:
        UnknownNameError: No such architecture or weights.
        MissingFileError: No weights here, and none can be fetched: tells what to put where.
        RefusedFileError: A file of weights that cannot be used.
    """
    own, full_name = options or NetworkOptions(), f"{TORCHVISION}/{name}"
    architecture, weights = torchvision_weights(name)
    file_name = PurePosixPath(urlsplit(weights.url).path).name
    path = weights_file(own.weights, full_name, weights.url, file_name, f"{weights.meta['_file_size']:.0f} MB")
    pipeline = weights.transforms()
    sources = published_sources(f"the metadata of {weights.name}", own)
    preprocessing = Preprocessing(
        size or pipeline.crop_size[0],
        tuple(pipeline.mean),
        tuple(pipeline.std),
        sources=sources,
        photo_ratio=pipeline.resize_size[0] / pipeline.crop_size[0],
        interpolation=pipeline.interpolation.value,
    )
    # Transformers are built for one size; published weights are of theirs.
    built_for = preprocessing.size if size and own.weights else weights.meta["min_size"][0]

    def make(classes: int | None) -> torch.nn.Module:
        return torchvision_module(architecture, classes or len(weights.meta["categories"]), size=built_for)

    tensors = _renamed(read_state_dict(path)) if architecture.startswith("densenet") else read_state_dict(path)
    module = load_weights(make, tensors, f"{TORCHVISION}/{architecture}")
    *_, last = (value for value in module.state_dict().values() if value.ndim > 1)
    categories = tuple(weights.meta["categories"])
    return classifier_of(
        module,
        full_name,
        path,
        preprocessing,
        own,
        unnormalized=unnormalized,
        categories=categories if len(last) == len(categories) else None,  # a file of other classes tells no names
    )


def _renamed(weights: StateDict) -> StateDict:
    return {_OLD_DENSENET.sub(r"\1\2", name): value for name, value in weights.items()}
