"""The ten classes of the paper (Hamdi & Ghanem 2020, section 5): where ImageNet keeps them, what people call them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from semrob_env.errors import UnknownNameError

# ImageNet-1k index and what ImageNet means by it; WordNet 3.0 noun offsets of ShapeNetCore (Chang et al. 2015,
# arXiv 1512.03012) and of ImageNet, where they differ; what people call an object of the class. ShapeNetCore has no
# vases of its own and keeps them among its jars; it has no toilets: those must come from a folder named `toilet`.
_CLASSES: Final = {
    "aeroplane": (404, "airliner", "02691156 02690373", "aeroplane, airplane, airliner, aircraft, plane, biplane, jet"),
    "bathtub": (435, "bathtub", "02808440", "bathtub, bath tub, bath, tub"),
    "bench": (703, "park bench", "02828884 03891251", "bench"),
    "bottle": (898, "water bottle", "02876657 04557648", "bottle"),
    "chair": (559, "folding chair", "03001627 03376595", "chair, armchair"),
    "cup": (968, "cup", "03797390 07930864", "cup, mug, teacup"),
    "piano": (579, "grand piano", "03928116 03452741", "piano"),
    "rifle": (413, "assault rifle", "04090263 02749479", "rifle, carbine"),
    "vase": (883, "vase", "03593526 04522168", "vase"),
    "toilet": (
        861,
        "toilet seat",
        "04447861",
        "toilet, toilet seat, toilet bowl, toilet unit, toilets unit, water closet",
    ),
}

CLASS_INDEX: Final = MappingProxyType({name: index for name, (index, _, _, _) in _CLASSES.items()})
"""ImageNet-1k index of each class, in the order of the paper (and of the recorded maps: class 0 is aeroplane)."""

IMAGENET_NAME: Final = MappingProxyType({name: meant for name, (_, meant, _, _) in _CLASSES.items()})
"""What ImageNet means by each index: a chair has to be a *folding* chair, a piano a *grand* piano."""

_CLASS_OF_SYNSET: Final = {synset: name for name, row in _CLASSES.items() for synset in row[2].split()}
_CLASS_OF_NOUN: Final = {noun: name for name, row in _CLASSES.items() for noun in row[3].split(", ")}
_JOINTS: Final = {"with", "without", "and", "for", "on", "in", "of", "by"}


UNTOLD: Final = (
    "its name tells no class (a name does by its last word, as coffee_mug_2.obj does, or else the folder it is in)"
)
"""Of a shape, for messages; what to do stands behind it."""


def class_index(name: str) -> int:
    """ImageNet-1k index of a class of the paper.

    Raises:
        UnknownNameError: The name is none of the ten.
    """
    if name not in CLASS_INDEX:
        near = nearest_class(name)
        hint = f"; did you mean {near}?" if near else ""
        raise UnknownNameError(f"class {name!r} is not known; known are {', '.join(CLASS_INDEX)}{hint}")
    return CLASS_INDEX[name]


def nearest_class(name: str) -> str | None:
    """The class of the paper that a name means or almost spells: `airplane`, `Chair`, `chiar`; None: none."""
    return class_of(name) or next(iter(get_close_matches(name.casefold(), CLASS_INDEX, n=1)), None)


def class_of(name: str) -> str | None:
    """The class that a name ends on, or None: "Coffee mug" is a cup, "03001627" a chair, a piano bench no piano.

    Words end at capital letters within them, at digits and at other characters: `redMug_02` is a cup. Words before
    "with", "and", "for" and their like count only.
    """
    if re.fullmatch(r"n?\d{8}", name):
        return _CLASS_OF_SYNSET.get(name.removeprefix("n"))
    words = [word.lower() for word in re.findall(r"[^\W\d_]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])", name)]
    head = words[: next((place for place, word in enumerate(words) if place and word in _JOINTS), len(words))]
    return _CLASS_OF_NOUN.get(" ".join(head[-2:])) or _CLASS_OF_NOUN.get(head[-1] if head else "")


def first_class(names: Iterable[str]) -> str | None:
    """The class of the first name that has one."""
    return next((found for found in map(class_of, names) if found), None)
