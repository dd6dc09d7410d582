"""Compiled loops over the edges of one view: exact areas under the pixels instead of hard steps, and derivatives.

See `faces` for screen coordinates and for what `nearest` and `live` hold.
"""

from __future__ import annotations

import numpy as np

from semrob_env.scene.renderers.faces import DEPTH, FACE, UInt8Array, compiled
from semrob_env.scene.renderers.topology import Topology
from semrob_env.types import Float32Array, FloatArray, Int32Array, IntArray

_SAME = 1e-3  # color steps below this are not smoothed
_SHORT = 2.0  # pixels
_TOLERANCE = 1e-5  # share of the inverse depth that rounding may cost


@compiled
def choose_edges(screen: FloatArray, mesh: Topology, live: UInt8Array, nearest: IntArray, chosen: Int32Array) -> int:
    """Write the edges worth a look to `chosen`; returns their number.

    They have a live face, cross a line of pixel centres, and are not both short and behind what the pixel at their
    middle shows. Nothing is branched on, as none of it can be predicted.
    """
    limit = len(nearest) - 0.5
    count = 0
    for e in range(len(mesh.edges)):
        a, b = np.uint64(mesh.edges[e, 0]), np.uint64(mesh.edges[e, 1])
        any_live = 0
        for k in range(mesh.starts[e], mesh.starts[e + 1]):
            any_live |= live[np.uint64(mesh.incident[k, 0])]
        xa, ya, wa, xb, yb, wb = screen[a, 0], screen[a, 1], screen[a, 2], screen[b, 0], screen[b, 1], screen[b, 2]
        width, height = abs(xa - xb), abs(ya - yb)
        steep = width <= height
        va, vb = ya if steep else xa, yb if steep else xb
        crosses = np.ceil(va - 0.5) != np.ceil(vb - 0.5)
        row = np.uint64(np.int64(min(max((ya + yb) / 2, 0.0), limit)))
        column = np.uint64(np.int64(min(max((xa + xb) / 2, 0.0), limit)))
        front = max(wa, wb) * (DEPTH * 1.001)
        hidden = (max(width, height) < _SHORT) & ((nearest[row, column] >> 32) > front)
        chosen[count] = e
        count += (any_live != 0) & crosses & (not hidden) & (min(wa, wb) > 0.0)
    return count


@compiled
def sides(
    screen: FloatArray, mesh: Topology, edge: int, origin: np.uint64, across: int, slope: float, depth_slope: float
) -> tuple[int, float, int, float]:
    """The nearer face on the left and on the right of an edge (-1: none), and how its inverse depth grows to the right.

    `origin` is one end of the edge, `across` the axis that is left and right; slopes are per unit along the other.
    """
    left, left_growth, right, right_growth = -1, np.inf, -1, -np.inf
    for k in range(mesh.starts[edge], mesh.starts[edge + 1]):
        face, corner = mesh.incident[k, 0], np.uint64(mesh.incident[k, 1])
        beside = screen[corner, 1 - across] - screen[origin, 1 - across]
        offset = screen[corner, across] - screen[origin, across] - beside * slope
        growth = (screen[corner, 2] - screen[origin, 2] - beside * depth_slope) / offset
        # Selected, not branched on, as on which side a face lies cannot be predicted.
        shows = (abs(offset) > 1e-9) & (screen[corner, 2] > 0.0)
        is_left = shows & (offset < 0.0) & (growth < left_growth)
        is_right = shows & (offset > 0.0) & (growth > right_growth)
        left, left_growth = (face if is_left else left), (growth if is_left else left_growth)
        right, right_growth = (face if is_right else right), (growth if is_right else right_growth)
    return left, (left_growth if left >= 0 else 0.0), right, (right_growth if right >= 0 else 0.0)


@compiled
def hides(key: np.int64, expected: float, mesh: Topology, a: np.uint64, b: np.uint64) -> bool:
    """Whether a pixel shows something in front of the inverse depth `expected` that does not touch the edge (a, b)."""
    if (key >> 32) <= max(expected, 0.0) * (DEPTH * (1 + _TOLERANCE)) + 1.0:
        return False
    face = np.uint64(key & FACE)
    touches = False
    for k in range(3):
        touches |= mesh.faces[face, k] == a or mesh.faces[face, k] == b
    return not touches


@compiled
def shares(u: float, sweep: float, q: int) -> tuple[float, float, float, float, float]:
    """What the right side of an edge that sweeps [u - sweep / 2, u + sweep / 2] covers of pixels p = q - 1 and q.

    Returns:
        Covered share of p, covered share of q less 1, their derivatives in u, and that of the first in sweep (the
        second's is its negative).
    """
    low, high = q - u + sweep / 2, u + sweep / 2 - q  # parts of the sweep in p and in q
    if low <= 0.0:
        return 0.0, q - u, 0.0, -1.0, 0.0
    if high <= 0.0:
        return q - u, 0.0, -1.0, 0.0, 0.0
    half = 0.5 / sweep
    return low * low * half, -high * high * half, -low / sweep, -high / sweep, low * high * half / sweep


@compiled
def smooth_edges(
    screen: FloatArray,
    mesh: Topology,
    live: UInt8Array,
    nearest: IntArray,
    colors: Float32Array,
    picture: Float32Array,
    tangents: FloatArray,
    color_tangents: Float32Array,
    derivative: Float32Array,
) -> None:
    """Replace every visible edge's hard step by its exact area under the pixel, and differentiate that.

    The picture so far has a step where an edge passes between two pixel centres. Take a steep edge (for a flat one
    swap x and y): it crosses the line y = row centre at u, between the centres of columns p and q = p + 1, and
    within the row it sweeps [u - s/2, u + s/2], s = |dx / dy| <= 1. To its right the picture is brighter by `jump`. A
    box-shaped pixel sees as much of that as the right side covers of its area; the picture so far has all of it if
    the centre is on the right, else nothing. So jump * (share - [centre is right]) is added to p and q, the only
    pixels in reach. Contributions add up, so a bar that slips between two centres still shows with its width: its two
    edges cancel but for that.

    On each side of an edge is the nearer of its faces there, or else what the pixel on that side shows. An edge is
    visible where neither pixel shows anything in front of those faces, extended to its centre, but for faces that
    touch the edge. Edges without a live face are skipped: all of their faces are seen nowhere and not tiny.
    """
    size, channels, count = len(nearest), len(picture), len(tangents)
    chosen = np.empty(len(mesh.edges), np.int32)
    for e in chosen[: choose_edges(screen, mesh, live, nearest, chosen)]:
        a, b = np.uint64(mesh.edges[e, 0]), np.uint64(mesh.edges[e, 1])
        across = 0 if abs(screen[a, 0] - screen[b, 0]) <= abs(screen[a, 1] - screen[b, 1]) else 1
        along = 1 - across
        if screen[b, along] < screen[a, along]:
            a, b = b, a
        va, length = screen[a, along], screen[b, along] - screen[a, along]
        first = int(np.ceil(max(va, 0.0) - 0.5))
        last = int(np.ceil(min(va + length, float(size)) - 0.5))
        ua, wa = screen[a, across], screen[a, 2]
        slope, depth_slope = (screen[b, across] - ua) / length, (screen[b, 2] - wa) / length
        left, left_growth, right, right_growth = sides(screen, mesh, e, a, across, slope, depth_slope)
        if left < 0 and right < 0:
            continue
        if left >= 0 and right >= 0:
            step = 0.0
            for c in range(channels):
                step = max(step, abs(colors[left, c] - colors[right, c]))
            if step < _SAME:
                continue
        origin, sweep = ua - va * slope, abs(slope)
        for v in range(first, last):
            u = origin + (v + 0.5) * slope
            t = v + 0.5 - va
            if not 0.5 < u <= size - 0.5:
                continue
            q = int(np.ceil(u - 0.5))  # a centre on the edge is on its right, as in rasterize
            p = q - 1
            row_p, column_p = np.uint64(p if across else v), np.uint64(v if across else p)
            row_q, column_q = np.uint64(q if across else v), np.uint64(v if across else q)
            key_p, key_q = nearest[row_p, column_p], nearest[row_q, column_q]
            w = wa + t * depth_slope
            if hides(key_p, w + left_growth * (q - 0.5 - u), mesh, a, b):
                continue
            if hides(key_q, w + right_growth * (q + 0.5 - u), mesh, a, b):
                continue
            from_face = np.uint64(left if left >= 0 else key_p & FACE)
            to_face = np.uint64(right if right >= 0 else key_q & FACE)
            share_p, share_q, slide_p, slide_q, widen = shares(u, sweep, q)
            for c in range(channels):
                jump = colors[to_face, c] - colors[from_face, c]
                picture[c, row_p, column_p] += jump * share_p
                picture[c, row_q, column_q] += jump * share_q
            for k in range(count):
                # The edge is u = ua + (v - va) * slope at fixed v; both of its ends move.
                slope_change = (
                    tangents[k, b, across]
                    - tangents[k, a, across]
                    - slope * (tangents[k, b, along] - tangents[k, a, along])
                ) / length
                slide = tangents[k, a, across] - slope * tangents[k, a, along] + t * slope_change
                widening = widen * (slope_change if slope > 0.0 else -slope_change)
                for c in range(channels):
                    jump = colors[to_face, c] - colors[from_face, c]
                    change = color_tangents[k, to_face, c] - color_tangents[k, from_face, c]
                    derivative[k, c, row_p, column_p] += jump * (slide_p * slide + widening) + change * share_p
                    derivative[k, c, row_q, column_q] += jump * (slide_q * slide - widening) + change * share_q
