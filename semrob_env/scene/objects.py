"""What a mesh file holds beside the one object that is wanted: other objects, and floors that make it small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.sources import SHAPE_SOURCES, ShapeInfo, load_shape
from semrob_env.scene.sources.kinds import split_source
from semrob_env.types import FloatArray

FLAT, WIDE = 0.03, 1.5
"""A floor: of its three sides one is at most this part of the largest, and it is so many times as wide as all else."""

GAP: Final = 0.01
"""Objects are apart where the boxes around them are, by this part of the largest side of all."""

LEAST: Final = 0.02
"""Of the largest side: smaller pieces are no objects of their own."""

MOST_NAMED, MOST_LOOSE = 24, 400
"""Named parts, and pieces without a name, beyond which nothing is said."""


@final
@dataclass(frozen=True, eq=False)
class ObjectPart:
    """A part of a file: its name, empty if it has none, and the ends of the box around it, (3,) each."""

    name: str
    low: FloatArray
    high: FloatArray

    @property
    def size(self) -> FloatArray:
        """Sides (3,) of the box."""
        return self.high - self.low

    @property
    def words(self) -> str:
        """`table (1.2 x 0.7 x 0.8)`."""
        return f"{self.name or 'without a name'} ({' x '.join(f'{side:.3g}' for side in self.size)})"


def object_note(shape: ShapeInfo) -> str:
    """One line on a file that holds several objects or a large floor; empty where it does not.

    Args:
        shape: Of a file; other shapes, and those of which a part is chosen, have nothing to tell.

    Raises:
        SemrobError: The file cannot be read.
    """
    kind, path, name = split_source(shape.source)
    own = SHAPE_SOURCES[kind]
    if not own.has_nodes or shape.pose.node:
        return ""
    names = own.node_names(path, name)
    if len(names) > MOST_NAMED:
        return f"{shape.label} holds {len(names)} named parts, among them {', '.join(names[:6])}; --node NAME picks one"
    found = [] if len(names) < 2 else _named(shape, names)
    pieces = found if len(found) > 1 else _loose(load_shape(shape.class_name or "", shape.source, pose=shape.pose))
    return _note(shape.label, pieces)


def _named(shape: ShapeInfo, names: Sequence[str]) -> list[ObjectPart]:
    kind, path, name = split_source(shape.source)
    found = []
    for node in names:
        try:
            mesh = SHAPE_SOURCES[kind].node_mesh(path, name, node, colors=False)
        except InvalidMeshError:  # lines or points, or only faces without an area
            continue
        found.append(ObjectPart(node, mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)))
    return found


def _loose(mesh: Mesh) -> list[ObjectPart]:
    """What hangs together by common vertices; nothing where that is too much to be objects."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(mesh.vertices)
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]]])
    graph = coo_array((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
    number, label = connected_components(graph, directed=False)
    if number > MOST_LOOSE:
        return []
    low, high = np.full((number, 3), np.inf), np.full((number, 3), -np.inf)
    np.minimum.at(low, label, mesh.vertices)
    np.maximum.at(high, label, mesh.vertices)
    return [ObjectPart("", *ends) for ends in zip(low, high, strict=True)]


def _note(label: str, pieces: Sequence[ObjectPart]) -> str:
    if len(pieces) < 2:
        return ""
    low, high = np.array([own.low for own in pieces]), np.array([own.high for own in pieces])
    largest = float((high.max(axis=0) - low.min(axis=0)).max())
    floors = [place for place in range(len(pieces)) if _is_floor(place, pieces)]
    pick = (
        "--node NAME picks one" if any(own.name for own in pieces) else "its parts have no names: cut it in a program"
    )
    if floors:
        rest = [place for place in range(len(pieces)) if place not in floors]
        size = (high[rest].max(axis=0) - low[rest].min(axis=0)).max()
        told = ", ".join(pieces[place].words for place in floors)
        return (
            f"{label} holds something flat and wide, a floor perhaps: {told}; all else is {size:.3g} wide and so "
            f"{100 * size / largest:.0f} % of the picture; {pick}"
        )
    groups = [group for group in _apart(low, high, GAP * largest) if _width(group, low, high) >= LEAST * largest]
    if len(groups) < 2:
        return ""
    shown = [pieces[group[0]].words if len(group) == 1 else _joined(group, pieces, low, high) for group in groups[:6]]
    more = f" and {len(groups) - 6} more" * (len(groups) > 6)
    return f"{label} holds {len(groups)} objects that stand apart: {', '.join(shown)}{more}; {pick}"


def _is_floor(place: int, pieces: Sequence[ObjectPart]) -> bool:
    own, others = pieces[place], [piece for other, piece in enumerate(pieces) if other != place]
    rest = np.max([piece.high for piece in others], axis=0) - np.min([piece.low for piece in others], axis=0)
    return bool(own.size.min() <= FLAT * own.size.max() and np.sort(own.size)[1] >= WIDE * rest.max())


def _apart(low: FloatArray, high: FloatArray, gap: float) -> list[list[int]]:
    """Boxes (N, 3) in groups of those that touch, directly or by others."""
    from scipy.sparse.csgraph import connected_components

    touches = ((low[:, None] <= high[None] + gap) & (low[None] <= high[:, None] + gap)).all(axis=2)
    number, label = connected_components(touches, directed=False)
    return [np.flatnonzero(label == group).tolist() for group in range(number)]


def _width(group: list[int], low: FloatArray, high: FloatArray) -> float:
    return float((high[group].max(axis=0) - low[group].min(axis=0)).max())


def _joined(group: list[int], pieces: Sequence[ObjectPart], low: FloatArray, high: FloatArray) -> str:
    names = [pieces[place].name for place in group if pieces[place].name]
    return ObjectPart(" with ".join(names[:3]), low[group].min(axis=0), high[group].max(axis=0)).words
