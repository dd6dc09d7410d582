"""What a source of shapes is, and what it knows of a shape before that is loaded: its names, class and author."""

from __future__ import annotations

import difflib
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import final

from semrob_env.errors import AmbiguousNameError, InvalidMeshError, InvalidParameterError, UnknownNameError
from semrob_env.files import file_stamp
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.pose import Pose
from semrob_env.scene.sources.texts import unescape

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
        license: As the source states it; empty where it does not.
        author: As the source states it; empty where it does not.
        scored_as: Class to score where it is another one than the shape is made of; empty: `class_name`.
        pose: How the mesh is to be put up.
        hints: Names that may tell its class, the file's and those of folders, first those that count more.
        scheme: Of the ids of functions that show it: `scene`, or `photo` for a picture file.
    """

    source: str
    name: str
    title: str
    class_name: str | None = None
    license: str = ""
    author: str = ""
    scored_as: str = ""
    pose: Pose = field(default_factory=Pose)
    hints: tuple[str, ...] = ()
    scheme: str = "scene"

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
    composed = partial(unicodedata.normalize, "NFC")  # some file systems take accents apart
    ways: tuple[Callable[[str], str], ...] = (composed, lambda text: composed(text).casefold())
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


def _listed(shapes: Sequence[ShapeInfo]) -> str:
    is_told = len({shape.name for shape in shapes}) == len(shapes)  # the same name may come from two sources
    shown = ", ".join(shape.label if is_told else shape.source for shape in shapes[:MOST_CANDIDATES])
    return shown + (f" and {len(shapes) - MOST_CANDIDATES} more" if len(shapes) > MOST_CANDIDATES else "")


class ShapeSource(ABC):
    """A kind of places; in ids `KIND:PATH#NAME`, or `KIND:PATH` where a place holds one shape.

    Attributes:
        form: What stands behind the colon, for messages.
        has_names: Whether a place holds several shapes, so that a text without `#NAME` means all of them.
        is_procedural: Whether the class of the id makes the shape: normalized, without materials.
        has_nodes: Whether `node_names` and `node_mesh` tell of the parts of a shape.
    """

    form = "PATH#NAME"
    has_names = True
    is_procedural = False
    has_nodes = False

    @abstractmethod
    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        """What a place holds; `source` of each is `source_text(KIND, path, name)`; `LibraryError`: cannot be used."""

    @abstractmethod
    def mesh(self, path: str, name: str, *, class_name: str, colors: bool) -> Mesh:
        """A shape, in any units: it is normalized afterwards.

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

    def covered_mesh(self, path: str, name: str, *, class_name: str, node: str = "") -> Mesh:
        """A shape, or a named part of it, with all that covers it (`Mesh.surface`); errors as `mesh`.

        Raises:
            InvalidParameterError: This kind of place has no textures and normals.
        """
        del path, name, class_name, node
        raise InvalidParameterError(
            "shapes of this kind have no textures and no normals of a file; leave colors=texture and normals=file away"
        )

    def node_names(self, path: str, name: str) -> list[str]:
        """Names of the parts of a shape, as far as its file has some; errors as `mesh`."""
        return []

    def node_mesh(self, path: str, name: str, node: str, *, colors: bool) -> Mesh:
        """A named part of a shape; arguments and errors as `mesh`, required where `has_nodes`."""
        raise InvalidMeshError(f"{path}: shapes of this kind have no named parts; leave the node {node!r} away")

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
