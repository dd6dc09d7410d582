"""Which class of the paper a name means: "Coffee mug" is a cup, "03001627" a chair, "Toilet brush" none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

SYNSETS: Final = MappingProxyType({
    "02691156": "aeroplane",
    "02808440": "bathtub",
    "02828884": "bench",
    "02876657": "bottle",
    "03001627": "chair",
    "03797390": "cup",  # mug
    "03928116": "piano",
    "04090263": "rifle",
    "03593526": "vase",  # jar: ShapeNetCore has no vase of its own, and keeps vases among its jars
    "02690373": "aeroplane",  # from here on: the synsets of the ten ImageNet classes
    "03891251": "bench",
    "04557648": "bottle",
    "03376595": "chair",
    "07930864": "cup",
    "03452741": "piano",
    "02749479": "rifle",
    "04522168": "vase",
    "04447861": "toilet",
})
"""WordNet 3.0 noun offsets, of ShapeNetCore (Chang et al. 2015, arXiv 1512.03012) and ImageNet; bathtub is in both.

ShapeNetCore has no toilets: those of the paper must come from elsewhere and need a folder named `toilet`.
"""

NOUNS: Final = MappingProxyType({
    "aeroplane": ("aeroplane", "airplane", "airliner", "aircraft", "plane", "biplane", "jet"),
    "bathtub": ("bathtub", "bath tub", "bath", "tub"),
    "bench": ("bench",),
    "bottle": ("bottle",),
    "chair": ("chair", "armchair"),
    "cup": ("cup", "mug", "teacup"),
    "piano": ("piano",),
    "rifle": ("rifle", "carbine"),
    "vase": ("vase",),
    "toilet": ("toilet", "toilet seat", "toilet bowl", "toilet unit", "toilets unit", "water closet"),
})
"""What people call an object of each class; of a name only the end counts, for a piano bench is no piano."""

_CLASS_OF_NOUN: Final = {noun: name for name, nouns in NOUNS.items() for noun in nouns}
_JOINTS: Final = {"with", "without", "and", "for", "on", "in", "of", "by"}


def class_of(name: str) -> str | None:
    """The class that a name ends on, or None: words before "with", "and", "for" and their like count only.

    Words end at capital letters within them, at digits and at other characters: `redMug_02` is a cup.
    """
    if re.fullmatch(r"n?\d{8}", name):
        return SYNSETS.get(name.removeprefix("n"))
    words = [word.lower() for word in re.findall(r"[^\W\d_]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])", name)]
    head = words[: next((place for place, word in enumerate(words) if place and word in _JOINTS), len(words))]
    return _CLASS_OF_NOUN.get(" ".join(head[-2:])) or _CLASS_OF_NOUN.get(head[-1] if head else "")


def first_class(names: Iterable[str]) -> str | None:
    """The class of the first name that has one."""
    return next((found for found in map(class_of, names) if found), None)
