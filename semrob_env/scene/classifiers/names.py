"""How networks are written: families with a slash, the paper's spellings, and names of functions that hold both.

Loads nothing heavy: recorded maps and tables read names here as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from semrob_env.errors import InvalidParameterError
from semrob_env.registry import Registry

TORCHVISION, TIMM, FILE = "torchvision", "timm", "file"

_HERE = "semrob_env.scene.classifiers"
NETWORK_FAMILIES: Registry[Callable[..., object]] = Registry(
    "network family",
    "semrob.network_families",
    {TORCHVISION: f"{_HERE}.torchvision_networks:torchvision_network", TIMM: f"{_HERE}.package_networks:timm_network"},
)
"""Words before the slash of a network's name, as in `timm/resnet50.a1_in1k`, and what makes its networks.

Called with the name behind the slash, and then as a `ClassifierFactory` of `registry`. Give names without slashes.
"""

COMPLEMENT: Final = "complement-"
"""What stands before the network in the name of a map of a complement."""

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


def check_alias(name: str) -> None:
    """Refuse a name for the row of a network that ids or tables could not hold.

    Raises:
        InvalidParameterError: Something else than letters, digits, `_`, `-` and `.`.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        raise InvalidParameterError(f"label {name!r} of a network: use letters, digits, _, - and . only")


def split_subject(body: str) -> tuple[str, str, str] | None:
    """Network, class and shape of `NETWORK/CLASS/SHAPE`; the shape may hold slashes, a network of a family one.

    None where there are fewer than three parts, or one is empty.
    """
    words = body.split("/")
    family = words[0]
    while family.startswith(COMPLEMENT):
        family = family.removeprefix(COMPLEMENT)
    at = 2 if family in NETWORK_FAMILIES else 1
    shape = "/".join(words[at + 1 :])
    return ("/".join(words[:at]), words[at], shape) if shape and all(words[: at + 1]) else None


def parts_of(name: str) -> tuple[str, str, str]:
    """Network, class and shape of the name of a map, as `split_subject`.

    Raises:
        InvalidParameterError: It has other parts.
    """
    parts = split_subject(name)
    if parts is None:
        families = " or ".join(f"{family}/NAME" for family in NETWORK_FAMILIES.names())
        raise InvalidParameterError(f"map name {name!r}: write NETWORK/CLASS/SHAPE; a network may be {families}")
    return parts
