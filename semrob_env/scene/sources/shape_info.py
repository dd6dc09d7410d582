"""What is known of a shape before it is loaded, and picking one by its name."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from semrob_env.errors import AmbiguousNameError, UnknownNameError

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
