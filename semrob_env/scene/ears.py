"""Simple polygons cut into triangles by clipping ears: corners whose triangle holds no other corner.

Source: Meisters 1975, "Polygons have ears", https://doi.org/10.2307/2319703. Ours and no library's, because results are
kept by the bytes of the procedural shapes' triangles, and another clipper chooses others. Nor does one spare the bound
on the work: mapbox_earcut 2.1 takes 0.3 s for a polygon of 1900 corners that crosses itself, and files hold thousands.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from semrob_env.types import FloatArray, IntArray


@njit(cache=True, nogil=True)
def cut_ears(outline: FloatArray, looks: int) -> tuple[IntArray, int]:
    """Cut a polygon into triangles.

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
        ax, ay, bx, by, cx, cy = (
            outline[a, 0],
            outline[a, 1],
            outline[b, 0],
            outline[b, 1],
            outline[c, 0],
            outline[c, 1],
        )
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
            left -= 1
            missed = 0
            here = after[c]  # not the neighbour: ears all around give better triangles than one long fan
        else:
            missed += 1
            here = c
    return triangles, looks
