"""Polygons cut into triangles: as a fan where that is right, by ears where it is not.

A fan is right for convex polygons only: the seat of a chair with a slot in it becomes a plate, and a fence a wall.
Furniture libraries hold thousands of such polygons.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from semrob_env.compiled import cached_njit
from semrob_env.errors import InvalidMeshError
from semrob_env.types import BoolArray, FloatArray, IntArray

MOST_LOOKS: Final = 500_000_000
"""Most looks of `cut_ears` at the polygons of a file, some five seconds."""

FLAT: Final = 1e-7
"""Triangles that fold back by less than this share of the area of the polygon do not matter."""

OTHER_DIAGONAL: Final = np.array([(1, 2, 3), (1, 3, 0)])
"""The cut of a quadrangle that is not its fan."""

CHUNK: Final = 500_000
"""Corners that are worked on at once."""

PLAIN_CORNERS: Final = 500
"""Polygons with more corners have them sorted into cells."""


def triangulate(points: FloatArray, counts: IntArray) -> tuple[IntArray, IntArray, BoolArray]:
    """Cut polygons into triangles.

    Args:
        points: The corners (C, 3) of all polygons, one polygon after the other.
        counts: Corners of each polygon (F,); those with fewer than three give no triangle.

    Returns:
        Triangles (T, 3) as places in `points`, in the order of the polygons; the polygon (T,) of each; whether a
        polygon (F,) is cut otherwise than as a fan.

    Raises:
        InvalidMeshError: The polygons take more than `MOST_LOOKS`.
    """
    starts = np.cumsum(counts) - counts
    is_cut = np.zeros(len(counts), dtype=bool)
    pieces, owners, looks = [np.zeros((0, 3), dtype=np.int64)], [np.zeros(0, dtype=np.int64)], MOST_LOOKS
    for count in np.unique(counts[counts > 2]).tolist():
        fan = _fan(count)
        rows = np.flatnonzero(counts == count)
        step = max(1, CHUNK // count)
        for some in (rows[begin : begin + step] for begin in range(0, len(rows), step)):
            triangles = starts[some, None, None] + fan
            if count > 3:
                cut, chosen, looks = _cuts(points[starts[some, None] + np.arange(count)], fan, looks)
                triangles[cut] = starts[some[cut], None, None] + chosen
                is_cut[some[cut]] = True
            pieces.append(triangles.reshape(-1, 3))
            owners.append(np.repeat(some, count - 2))
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(pieces)[order], owner[order], is_cut


def _fan(count: int) -> IntArray:
    if count == 4:
        return np.array([(0, 1, 2), (2, 3, 0)])
    return np.array([(0, k, k + 1) for k in range(1, count - 1)])


def _cuts(points: FloatArray, fan: IntArray, looks: int) -> tuple[IntArray, IntArray, int]:
    """Those among polygons (B, n, 3) that a fan gets wrong, their triangles (K, n - 2, 3), and the looks left."""
    count = points.shape[1]
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
    return rows[is_better], chosen[is_better], looks


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


@cached_njit(nogil=True)
def cut_ears(outline: FloatArray, looks: int) -> tuple[IntArray, int]:
    """Cut a simple polygon into triangles by clipping ears: corners whose triangle holds no other corner.

    Source: Meisters 1975, "Polygons have ears", https://doi.org/10.2307/2319703. Ours and no library's, because results
    are kept by the bytes of the procedural shapes' triangles, and another clipper chooses others. Nor does one spare
    the bound on the work: mapbox_earcut 2.1 takes 0.3 s for a polygon of 1900 corners that crosses itself. Beyond
    `PLAIN_CORNERS`, only corners in cells that the triangle touches are looked at.

    Args:
        outline: Corners (n, 2), counter-clockwise, C-contiguous, finite. A bridge to a hole may pass corners twice; a
            polygon that crosses itself becomes some triangles.
        looks: How often it may be asked whether a corner lies in a triangle, or what a cell holds: n² / 2 times for
            most polygons, many times that for spirals and those that cross themselves.

    Returns:
        Indices of corners (n - 2, 3), and the looks that are left; below 0 they did not suffice, and the last
        triangles are any numbers.
    """
    count = len(outline)
    before, after = np.arange(-1, count - 1), np.arange(1, count + 1)
    before[0], after[count - 1] = count - 1, 0
    side = 1 if count <= PLAIN_CORNERS else int(np.sqrt(count))
    cells, starts, sizes, members, places = _sorted_into_cells(outline, side)
    triangles = np.empty((count - 2, 3), dtype=np.int64)
    here, missed, left = 0, 0, count
    while left > 2 and looks >= 0:
        a, b, c = before[here], here, after[here]
        (ax, ay), (bx, by), (cx, cy) = outline[a], outline[b], outline[c]
        turn = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        is_ear = turn > 0 or missed >= left
        if is_ear and missed < left:
            column, last_column = min(cells[a, 0], cells[b, 0], cells[c, 0]), max(cells[a, 0], cells[b, 0], cells[c, 0])
            first_row, last_row = min(cells[a, 1], cells[b, 1], cells[c, 1]), max(cells[a, 1], cells[b, 1], cells[c, 1])
            while is_ear and column <= last_column:
                row = first_row
                while is_ear and row <= last_row:
                    cell = column * side + row
                    place, end = starts[cell], starts[cell] + sizes[cell]
                    looks -= 1
                    while is_ear and place < end:
                        other = members[place]
                        place += 1
                        if other in (a, b, c):
                            continue
                        looks -= 1
                        x, y = outline[other]
                        # A bridge to a hole passes its corners twice.
                        is_corner = (x == ax and y == ay) or (x == bx and y == by) or (x == cx and y == cy)
                        if not is_corner:
                            is_ear = not (
                                (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
                                and (cx - bx) * (y - by) - (cy - by) * (x - bx) >= 0
                                and (ax - cx) * (y - cy) - (ay - cy) * (x - cx) >= 0
                            )
                    row += 1
                column += 1
        if is_ear:
            triangles[count - left, 0], triangles[count - left, 1], triangles[count - left, 2] = a, b, c
            after[a], before[c] = c, a
            cell = cells[b, 0] * side + cells[b, 1]
            sizes[cell] -= 1
            last = members[starts[cell] + sizes[cell]]
            members[places[b]], places[last] = last, places[b]
            left, missed = left - 1, 0
            here = after[c]  # not the neighbor: ears all around give better triangles than one long fan
        else:
            missed += 1
            here = c
    return triangles, looks


@cached_njit(nogil=True)
def _sorted_into_cells(outline: FloatArray, side: int) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """Corners (n, 2) sorted into side² cells: the cell (n, 2) of each; start, size and members of cells; places."""
    count = len(outline)
    cells = np.zeros((count, 2), dtype=np.int64)
    sizes = np.zeros(side * side, dtype=np.int64)
    for axis in range(2):
        low = outline[:, axis].min()
        extent = outline[:, axis].max() - low
        if extent > 0:
            for corner in range(count):
                cells[corner, axis] = min(side - 1, int((outline[corner, axis] - low) / extent * side))
    for corner in range(count):
        sizes[cells[corner, 0] * side + cells[corner, 1]] += 1
    starts = np.cumsum(sizes) - sizes
    members, places, filled = np.empty(count, np.int64), np.empty(count, np.int64), starts.copy()
    for corner in range(count):
        cell = cells[corner, 0] * side + cells[corner, 1]
        members[filled[cell]], places[corner] = corner, filled[cell]
        filled[cell] += 1
    return cells, starts, sizes, members, places
