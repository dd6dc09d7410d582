"""What a source of shapes is, and what it knows of a shape before that is loaded: its names, class and author."""

from __future__ import annotations

import difflib
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, final

from semrob_env.errors import AmbiguousNameError, UnknownNameError
from semrob_env.files import file_stamp
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.sources.texts import unescape

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


MOST_CANDIDATES = 12
"""Names that a message lists."""


@final
@dataclass(frozen=True)
class ShapeInfo:
    """A shape of a source: what names it, and whom it is owed to.

    Attributes:
        source: Source text for ids; for a procedural shape it needs the class beside it.
        name: What picks it; no two shapes of a source share it.
        title: What a person calls it; several shapes may share it.
        class_name: Class of the paper that it is an object of, as far as names tell, or None.
        licence: As the source states it; empty where it does not.
        author: As the source states it; empty where it does not.
    """

    source: str
    name: str
    title: str
    class_name: str | None = None
    licence: str = ""
    author: str = ""

    @property
    def label(self) -> str:
        """Name and title, for lists."""
        return self.name if self.title.casefold() in self.name.casefold() else f"{self.name} ({self.title})"


def pick(shapes: Sequence[ShapeInfo], name: str, where: str) -> ShapeInfo:
    """The shape of that name, else of that title; else the same without regard to case.

    Args:
        shapes: Those to choose from.
        name: Name or title.
        where: For messages: what holds the shapes.

    Raises:
        AmbiguousNameError: Several fit; the message lists them.
        UnknownNameError: None fits; the message lists names that look alike.
    """
    ways: tuple[Callable[[str], str], ...] = (_composed, lambda text: _composed(text).casefold())
    for way in ways:
        for attribute in ("name", "title"):
            found = [shape for shape in shapes if way(getattr(shape, attribute)) == way(name)]
            if len(found) == 1:
                return found[0]
            if found:
                raise AmbiguousNameError(f"{where} has {len(found)} shapes {name!r}; choose one of {_listed(found)}")
    close = difflib.get_close_matches(name.casefold(), [shape.name.casefold() for shape in shapes], n=MOST_CANDIDATES)
    alike = [shape for shape in shapes if shape.name.casefold() in close]
    alike += [shape for shape in shapes if name.casefold() in shape.label.casefold() and shape not in alike]
    hint = f"alike are {_listed(alike)}" if alike else f"it has {_listed(shapes)}"
    raise UnknownNameError(f"{where} has no shape {name!r}; {hint}")


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)  # some file systems take accents apart


def _listed(shapes: Sequence[ShapeInfo]) -> str:
    is_told = len({shape.name for shape in shapes}) == len(shapes)  # the same name may come from two sources
    shown = ", ".join(shape.label if is_told else shape.source for shape in shapes[:MOST_CANDIDATES])
    return shown + (f" and {len(shapes) - MOST_CANDIDATES} more" if len(shapes) > MOST_CANDIDATES else "")


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


class ShapeSource(ABC):
    """A kind of places; in ids `KIND:PATH#NAME`, or `KIND:PATH` where a place holds one shape.

    Attributes:
        form: What stands behind the colon, for messages.
        has_names: Whether a place holds several shapes, so that a text without `#NAME` means all of them.
        is_procedural: Whether the class of the id makes the shape: normalised, without materials.
    """

    form = "PATH#NAME"
    has_names = True
    is_procedural = False

    @abstractmethod
    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        """What a place holds; `source` of each is `source_text(KIND, path, name)`; `LibraryError`: cannot be used."""

    @abstractmethod
    def mesh(self, path: str, name: str, *, class_name: str, colors: bool) -> Mesh:
        """A shape, in any units: it is normalised afterwards.

        Args:
            path: The place.
            name: As `canonical_name` gives it, or as a person wrote it.
            class_name: That of the id.
            colors: Whether faces are wanted in the colors of their materials, not white.

        Raises:
            LibraryError: The place cannot be used.
            InvalidMeshError: The mesh cannot be used.
            UnknownNameError, AmbiguousNameError: No such shape, or several.
        """

    def canonical_name(self, path: str, name: str) -> str:
        """The one spelling of a name."""
        return pick(self.shapes(path), name, path).name if self.has_names else ""

    def stamp(self, path: str, name: str, class_name: str) -> Hashable:
        """What differs where another shape may be behind the same text; a mesh is kept as long as it does not."""
        del name, class_name
        return file_stamp(path)

    def split(self, text: str) -> tuple[str, str] | None:
        """Path and name of what stands behind the colon; None: cannot be read."""
        path, _, name = text.partition("#")
        if not path or bool(name) != self.has_names:
            return None
        return unescape(path), unescape(name)
