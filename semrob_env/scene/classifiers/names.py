"""How networks are written: families with a slash, the paper's spellings, and ids that hold both."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

TORCHVISION, TIMM, FILE = "torchvision", "timm", "file"

FAMILIES: Final = (TORCHVISION, TIMM)
"""Words before the slash of a network's name: `torchvision/resnet50`, `timm/resnet50.a1_in1k`."""

PAPER_NETWORKS: Final = MappingProxyType({
    "AlexNet": f"{TORCHVISION}/alexnet",
    "VGG": f"{TORCHVISION}/vgg11_bn",
    "ResNet50": f"{TORCHVISION}/resnet50",
    "Inceptionv3": f"{TORCHVISION}/inception_v3",
})
"""The four networks of Hamdi & Ghanem 2020 as their release spells them, and the names of the same here."""

_ALIASES: Final = MappingProxyType({
    **{name.lower(): network for name, network in PAPER_NETWORKS.items()},
    "vgg11bn": f"{TORCHVISION}/vgg11_bn",
})


def paper_network(name: str) -> str | None:
    """The network that a spelling of the paper means: `ResNet-50`, `resnet50`, `VGG`, `VGG-11-BN`; None: no other."""
    return _ALIASES.get(name.lower().replace("-", "").replace("_", "").replace(" ", ""))


def split_subject(body: str) -> tuple[str, str, str] | None:
    """Network, class and shape of `NETWORK/CLASS/SHAPE`; the shape may hold slashes, a network of a family one.

    None where there are fewer than three parts.
    """
    parts = body.split("/")
    words = 2 if parts[0] in FAMILIES else 1
    if len(parts) < words + 2:
        return None
    return "/".join(parts[:words]), parts[words], "/".join(parts[words + 1 :])
