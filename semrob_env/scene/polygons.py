"""Polygons of OBJ files that are not convex, cut into triangles by ears.

Parsers cut a polygon into a fan, which is right for convex ones only: the seat of a chair with a slot in it becomes a
plate, and a fence a wall. Furniture libraries hold thousands of such polygons. They are cut here, in the text, before
a parser sees them, so that materials and texture coordinates go with them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Final

import numpy as np

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.ears import cut_ears
from semrob_env.types import BoolArray, FloatArray, IntArray

MOST_CORNERS: Final = 2000
"""Polygons with more corners stay fans: the work grows with the square of the number."""

MOST_LOOKS: Final = 500_000_000
"""Most looks of `cut_ears` at the polygons of a file, some ten seconds."""

FLAT: Final = 1e-7
"""Triangles that fold back by less than this share of the area of the polygon do not matter."""

OTHER_DIAGONAL: Final = np.array([(1, 2, 3), (1, 3, 0)])
"""The cut of a quadrangle that is not its fan."""


def cut_concave_polygons(data: bytes, *, most_triangles: int) -> bytes:
    """OBJ text with each face that is not convex replaced by triangles; all else keeps its bytes.

    Args:
        data: One statement a line, no indents, absolute indices. What cannot be read is left to the parser.
        most_triangles: Text whose polygons make more triangles is left as it is.

    Raises:
        InvalidMeshError: The polygons take more than `MOST_LOOKS`.
    """
    polygons: dict[int, list[re.Match[bytes]]] = defaultdict(list)
    for match in re.finditer(rb"(?m)^f(?: +[^ \n]+){4,} *$", data):
        corners = len(match.group().split()) - 1
        if corners <= MOST_CORNERS:
            polygons[corners].append(match)
    if not polygons or sum((count - 2) * len(found) for count, found in polygons.items()) > most_triangles:
        return data
    try:
        rows = re.findall(rb"(?m)^v +([^ \n]+) +([^ \n]+) +([^ \n]+)", data)
        vertices = np.array(rows, dtype="S").astype(np.float64)
        groups = [(found, _points(found, count, vertices)) for count, found in polygons.items()]
    except (ValueError, IndexError, DeprecationWarning):
        return data  # letters for numbers, or vertices that are not there: the parser tells
    cuts, pieces, place, looks = [], [], 0, MOST_LOOKS
    for found, points in groups:
        more, looks = _cuts(found, points, looks)
        cuts += more
    for start, end, lines in sorted(cuts):
        pieces += [data[place:start], lines]
        place = end
    return b"".join([*pieces, data[place:]])


def _points(found: list[re.Match[bytes]], count: int, vertices: FloatArray) -> FloatArray:
    """The corners (B, count, 3) of polygons."""
    text = re.sub(rb"/[^ ]*", b"", b"".join(match.group()[1:] for match in found))
    indices = np.fromstring(text.decode(), dtype=np.int64, sep=" ").reshape(len(found), count)
    corners: FloatArray = vertices[indices - 1]
    return corners


def _cuts(found: list[re.Match[bytes]], points: FloatArray, looks: int) -> tuple[list[tuple[int, int, bytes]], int]:
    """Start, end and new lines of those among polygons (B, n, 3) that a fan gets wrong, and the looks that are left."""
    count = points.shape[1]
    fan = np.array([(0, k, k + 1) for k in range(1, count - 1)])
    with np.errstate(over="ignore", invalid="ignore"):  # a point that is not finite makes no fold; `Mesh` refuses it
        points = points - points[:, :1]
        rows = np.flatnonzero(_has_fold(points, fan))
        points = points[rows]
        choices = [OTHER_DIAGONAL] * len(rows) if count == 4 else []  # a quadrangle has but two cuts: no need to look
        for polygon in points[len(choices) :]:
            triangles, looks = cut_ears(_flattened(polygon), looks)
            if looks < 0:
                raise InvalidMeshError(
                    f"its polygons take more than {MOST_LOOKS} looks at a corner to cut: they have very many corners "
                    "or cross themselves; save it as triangles"
                )
            choices.append(triangles)
        chosen = np.array(choices, dtype=np.int64).reshape(-1, count - 2, 3)
        is_better = _covered(points, chosen) < _covered(points, fan[None])
    cuts = []
    for row, triangles in zip(rows[is_better].tolist(), chosen[is_better].tolist(), strict=True):
        words = found[row].group().split()[1:]
        lines = [b"f " + b" ".join([words[a], words[b], words[c]]) for a, b, c in triangles]
        cuts.append((found[row].start(), found[row].end(), b"\n".join(lines)))
    return cuts, looks


def _has_fold(points: FloatArray, fan: IntArray) -> BoolArray:
    """Whether a triangle of polygons (B, n, 3) faces away from the polygon it is cut from, (B,)."""
    normals = _normals(points, fan[None])
    whole = normals.sum(axis=1)
    along = np.einsum("btk,bk->bt", normals, whole).min(axis=1)
    return np.asarray(along < -FLAT * (whole**2).sum(axis=1))


def _covered(points: FloatArray, triangles: IntArray) -> FloatArray:
    """Twice the area (B,) of the triangles of polygons (B, n, 3); least where none folds back."""
    covered: FloatArray = np.linalg.norm(_normals(points, triangles), axis=2).sum(axis=1)
    return covered


def _normals(points: FloatArray, triangles: IntArray) -> FloatArray:
    """Normals (B, T, 3), twice the area long, of triangles (B or 1, T, 3) of polygons (B, n, 3)."""
    a, b, c = (np.take_along_axis(points, triangles[..., corner, None], axis=1) for corner in range(3))
    normals: FloatArray = np.cross(b - a, c - a)
    return normals


def _flattened(points: FloatArray) -> FloatArray:
    """A polygon (n, 3) seen along its normal, counter-clockwise, as (n, 2) in [-1, 1]."""
    normal = np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)  # Newell's sum: good for bent ones too
    normal = normal / np.linalg.norm(normal)
    first = np.cross(np.eye(3)[np.abs(normal).argmin()], normal)
    flat = np.stack([points @ first, points @ np.cross(normal, first)], axis=1)
    return np.ascontiguousarray(flat / np.abs(flat).max())
