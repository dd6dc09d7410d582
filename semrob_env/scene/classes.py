"""The ten classes of the paper and where ImageNet keeps them (Hamdi & Ghanem 2020, section 5)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from semrob_env.errors import UnknownNameError

CLASS_INDEX: Final = MappingProxyType({
    "aeroplane": 404,
    "bathtub": 435,
    "bench": 703,
    "bottle": 898,
    "chair": 559,
    "cup": 968,
    "piano": 579,
    "rifle": 413,
    "vase": 883,
    "toilet": 861,
})
"""ImageNet-1k index of each class, in the order of the paper (and of the recorded maps: class 0 is aeroplane)."""

IMAGENET_NAME: Final = MappingProxyType({
    "aeroplane": "airliner",
    "bathtub": "bathtub",
    "bench": "park bench",
    "bottle": "water bottle",
    "chair": "folding chair",
    "cup": "cup",
    "piano": "grand piano",
    "rifle": "assault rifle",
    "vase": "vase",
    "toilet": "toilet seat",
})
"""What ImageNet means by each index: a chair has to be a *folding* chair, a piano a *grand* piano."""


def class_index(name: str) -> int:
    """ImageNet-1k index of a class of the paper.

    Raises:
        UnknownNameError: The name is none of the ten.
    """
    if name not in CLASS_INDEX:
        raise UnknownNameError(f"class {name!r} is not known; known are {', '.join(CLASS_INDEX)}")
    return CLASS_INDEX[name]
