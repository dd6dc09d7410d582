"""Polygons that are not convex cut into triangles by ears: outlines of shapes, and faces of OBJ files.

Parsers cut a polygon into a fan, which is right for convex ones only: the seat of a chair with a slot in it becomes a
plate, and a fence a wall. Furniture libraries hold thousands of such polygons. They are cut here, in the text, before
a parser sees them, so that materials and texture coordinates go with them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Final

import numpy as np
from numba import njit

from semrob_env.errors import InvalidMeshError
from semrob_env.types import FloatArray, IntArray

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
        groups = []
        for count, found in polygons.items():
            text = re.sub(rb"/[^ ]*", b"", b"".join(match.group()[1:] for match in found))
            indices = np.fromstring(text.decode(), dtype=np.int64, sep=" ").reshape(len(found), count)
            groups.append((found, vertices[indices - 1]))
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


def _cuts(found: list[re.Match[bytes]], points: FloatArray, looks: int) -> tuple[list[tuple[int, int, bytes]], int]:
    """Start, end and new lines of those among polygons (B, n, 3) that a fan gets wrong, and the looks that are left."""
    count = points.shape[1]
    fan = np.array([(0, k, k + 1) for k in range(1, count - 1)])
    with np.errstate(over="ignore", invalid="ignore"):  # a point that is not finite makes no fold; `Mesh` refuses it
        points = points - points[:, :1]
        normals = _normals(points, fan[None])
        whole = normals.sum(axis=1)
        along = np.einsum("btk,bk->bt", normals, whole).min(axis=1)  # below 0 where one faces away from the polygon
        rows = np.flatnonzero(along < -FLAT * (whole**2).sum(axis=1))
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


def _covered(points: FloatArray, triangles: IntArray) -> FloatArray:
    """Twice the area (B,) of the triangles of polygons (B, n, 3); least where none folds back."""
    return np.asarray(np.linalg.norm(_normals(points, triangles), axis=2).sum(axis=1))


def _normals(points: FloatArray, triangles: IntArray) -> FloatArray:
    """Normals (B, T, 3), twice the area long, of triangles (B or 1, T, 3) of polygons (B, n, 3)."""
    a, b, c = (np.take_along_axis(points, triangles[..., corner, None], axis=1) for corner in range(3))
    return np.asarray(np.cross(b - a, c - a))


def _flattened(points: FloatArray) -> FloatArray:
    """A polygon (n, 3) seen along its normal, counter-clockwise, as (n, 2) in [-1, 1]."""
    normal = np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)  # Newell's sum: good for bent ones too
    normal = normal / np.linalg.norm(normal)
    first = np.cross(np.eye(3)[np.abs(normal).argmin()], normal)
    flat = np.stack([points @ first, points @ np.cross(normal, first)], axis=1)
    return np.ascontiguousarray(flat / np.abs(flat).max())


@njit(cache=True, nogil=True)
def cut_ears(outline: FloatArray, looks: int) -> tuple[IntArray, int]:
    """Cut a simple polygon into triangles by clipping ears: corners whose triangle holds no other corner.

    Source: Meisters 1975, "Polygons have ears", https://doi.org/10.2307/2319703. Ours and no library's, because results
    are kept by the bytes of the procedural shapes' triangles, and another clipper chooses others. Nor does one spare
    the bound on the work: mapbox_earcut 2.1 takes 0.3 s for a polygon of 1900 corners that crosses itself.

    Args:
        outline: Corners (n, 2), counter-clockwise, C-contiguous. A bridge to a hole may pass corners twice; a polygon
            that crosses itself becomes some triangles.
        looks: How often it may be asked whether a corner lies in a triangle: n² / 2 times for most polygons, many times
            that for spirals and those that cross themselves.

    Returns:
        Indices of corners (n - 2, 3), and the looks that are left; below 0 they did not suffice, and the last
        triangles are any numbers.
    """
    count = len(outline)
    before, after = np.arange(-1, count - 1), np.arange(1, count + 1)
    before[0], after[count - 1] = count - 1, 0
    triangles = np.empty((count - 2, 3), dtype=np.int64)
    here, missed, left = 0, 0, count
    while left > 2 and looks >= 0:
        a, b, c = before[here], here, after[here]
        (ax, ay), (bx, by), (cx, cy) = outline[a], outline[b], outline[c]
        turn = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        is_ear = turn > 0 or missed >= left
        other = after[c]
        while is_ear and missed < left and other != a:
            looks -= 1
            x, y = outline[other]
            is_corner = (x == ax and y == ay) or (x == bx and y == by) or (x == cx and y == cy)
            if not is_corner:  # a bridge to a hole passes its corners twice
                is_ear = not (
                    (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
                    and (cx - bx) * (y - by) - (cy - by) * (x - bx) >= 0
                    and (ax - cx) * (y - cy) - (ay - cy) * (x - cx) >= 0
                )
            other = after[other]
        if is_ear:
            triangles[count - left, 0], triangles[count - left, 1], triangles[count - left, 2] = a, b, c
            after[a], before[c] = c, a
            left, missed = left - 1, 0
            here = after[c]  # not the neighbor: ears all around give better triangles than one long fan
        else:
            missed += 1
            here = c
    return triangles, looks
