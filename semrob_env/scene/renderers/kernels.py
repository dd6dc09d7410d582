"""The compiled loops of the rasterizer: mesh and matrices to pictures and derivatives, views in parallel.

All of them are in one file because numba's on-disk cache of `draw_views` notices changes of its own file only.

Screen coordinates: x to the right, y down, in pixels; the center of pixel (row, column) is (column + 0.5, row + 0.5).
The third screen coordinate is the inverse depth 1 / W, which is linear on a face in the picture (that is what
perspective-correct means) and larger for what is nearer; 0 marks vertices that are not in front of the camera.

What is nearest at a pixel is one int64: the inverse depth in units of 1 / `DEPTH` above, the face below. So the depth
test is a maximum, which does not depend on the order of the faces. The background is face F at depth 0.

Indices that are not plain loop counters are made unsigned, which spares a test for negative ones. Where it is said
that nothing is branched on, it is because the outcome cannot be predicted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from semrob_env.compiled import cached_njit
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.surface import goes_on
from semrob_env.types import Float32Array, FloatArray, Int32Array, IntArray

UInt8Array = npt.NDArray[np.uint8]

NEAR = 1e-2
"""Vertices with a smaller depth are not drawn, nor is any face or edge that has one."""

DEPTH = 2.0**31 * NEAR * 0.999
"""Steps of the stored inverse depth per unit; the nearest, 1 / NEAR, still fits 31 bits."""

FACE = 2**32 - 1
"""Mask of the bits that hold the face."""

_EDGE_ON = 1e-12  # square pixels
_FAR = 1e9  # pixels
_KINK = 1e-9  # rounding that does not decide on which side of a kink a shade lies
_SAME = 1e-3  # color steps below this are not smoothed
_SHORT = 2.0  # pixels
_TOLERANCE = 1e-5  # share of the inverse depth that rounding may cost
_FLAT = 1e-3  # unit normals that differ by less look the same: their shades differ by less than 0.13 / 255

# Fused multiply-add, and no care for the sign of zero.
_compiled = njit(nogil=True, error_model="numpy", fastmath={"nsz", "contract"})
_built_in = njit(nogil=True, error_model="numpy", fastmath={"nsz", "contract"}, forceinline=True)


class Topology(NamedTuple):
    """What the kernels need to know of a mesh; a named tuple because numba can read that."""

    vertices: FloatArray  # (V, 3)
    faces: Int32Array  # (F, 3)
    normals: FloatArray  # (F, 3) unit normals, right-handed; zero for a face without area
    albedo: Float32Array  # (F, 3)
    edges: Int32Array  # (E, 2) vertices of the edges that can show: not between two faces of one plane and color
    starts: Int32Array  # (E + 1,) faces of edge e are `incident[starts[e] : starts[e + 1]]`
    incident: Int32Array  # (I, 2) face, and its vertex that is not on the edge

    @classmethod
    def of(cls, mesh: Mesh) -> Topology:
        """Find the edges of a mesh; some milliseconds for 10 000 faces."""
        vertices, faces = mesh.vertices.copy(), mesh.faces.copy()
        albedo = np.ones(faces.shape, dtype=np.float32) if mesh.albedo is None else mesh.albedo.copy()
        corners = vertices[faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)

        # Half-edge 3 f + i runs from corner i to corner i + 1 of face f; the corner opposite is i + 2.
        half_edges = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
        opposite = np.roll(faces, -2, axis=1).reshape(-1)
        key = half_edges[:, 0].astype(np.int64) * len(vertices) + half_edges[:, 1]
        order = np.argsort(key, kind="stable")
        first = np.flatnonzero(np.diff(key[order], prepend=-1))
        counts = np.diff(first, append=len(order))
        face_of = order // 3

        one, two = face_of[first], face_of[np.minimum(first + 1, len(order) - 1)]
        turn = np.linalg.norm([normals[one] - normals[two], normals[one] + normals[two]], axis=2).min(axis=0)
        hidden = (counts == 2) & (turn < _FLAT) & (albedo[one] == albedo[two]).all(axis=1)
        hidden &= half_edges[order[first], 0] != half_edges[order[first], 1]
        if mesh.surface is not None:
            pairs = order[first], order[np.minimum(first + 1, len(order) - 1)]
            one_side, other_side = (3 * (half // 3) + (half + 2) % 3 for half in pairs)
            hidden &= goes_on(mesh.surface, albedo, normals, faces, (one_side, other_side))
        kept = ~hidden
        incident = np.stack([face_of, opposite[order]], axis=1)[np.repeat(kept, counts)]
        edges = half_edges[order[first[kept]]].astype(np.int32)
        starts = np.concatenate([[0], np.cumsum(counts[kept])]).astype(np.int32)
        return cls(vertices, faces, normals, albedo, edges, starts, incident.astype(np.int32))


@_compiled
def _project(vertices: FloatArray, matrix: FloatArray, screen: FloatArray) -> None:
    """Screen coordinates (V, 3) of vertices under a (3, 4) matrix whose rows are in pixels."""
    for i in range(len(vertices)):
        x, y, z = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        inverse = 1.0 / depth if depth > NEAR else 0.0
        screen[i, 0] = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]) * inverse
        screen[i, 1] = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]) * inverse
        screen[i, 2] = inverse


@_compiled
def _project_tangent(vertices: FloatArray, matrix: FloatArray, screen: FloatArray, tangent: FloatArray) -> None:
    """Derivative (V, 2) of screen x, y, given that of the matrix: d(X / W) = (dX - (X / W) dW) / W."""
    for i in range(len(vertices)):
        x, y, z = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        for axis in range(2):
            moved = matrix[axis, 0] * x + matrix[axis, 1] * y + matrix[axis, 2] * z + matrix[axis, 3]
            tangent[i, axis] = (moved - screen[i, axis] * depth) * screen[i, 2]


@_compiled
def _bounds(xa: float, ya: float, xb: float, yb: float, sense: float) -> tuple[float, float, float, float]:
    """Edge (a, b) of a face as x >= lower + y * lower_slope and x < upper + y * upper_slope, one of them idle."""
    rise = (yb - ya) * sense
    slope = (xb - xa) / (yb - ya if rise != 0.0 else 1.0)
    x = (xa if ya <= yb else xb) - min(ya, yb) * slope  # as in smooth_edges, to the last bit
    is_lower, is_upper = rise > 0.0, rise < 0.0  # not branched on
    return x if is_lower else -_FAR, slope if is_lower else 0.0, x if is_upper else _FAR, slope if is_upper else 0.0


@_compiled
def _pack(depth: float, farthest: float, closest: float, face: int) -> np.int64:
    """Depth and face in one number; rounding of thin faces is kept within the depths of their corners."""
    kept = np.int32(min(max(depth, farthest), closest))
    key: np.int64 = np.int64(kept) << np.int64(32) | np.int64(face)
    return key


@_compiled
def _rasterize(
    screen: FloatArray, faces: Int32Array, nearest: IntArray, facing: Float32Array, live: UInt8Array
) -> None:
    """Nearest face at every pixel center of `nearest` (S, S), which starts as background.

    A center belongs to a face if left edge <= x < right edge and top <= y < bottom, so neighbors neither overlap
    nor leave gaps; of faces at equal depth the last one shows. `facing` (F,) becomes +1 where the right-handed normal
    points to the camera, -1 where it points away, 0 where the face is edge-on or not in front of the camera; `live`
    (F,) becomes 1 for faces so small or thin that they hold no pixel center, else 0.
    """
    limit = float(len(nearest))
    for face in range(len(faces)):
        a, b, c = np.uint64(faces[face, 0]), np.uint64(faces[face, 1]), np.uint64(faces[face, 2])
        xa, ya, wa = screen[a, 0], screen[a, 1], screen[a, 2]
        xb, yb, wb = screen[b, 0], screen[b, 1], screen[b, 2]
        xc, yc, wc = screen[c, 0], screen[c, 1], screen[c, 2]
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        live[face] = 0
        if abs(area) < _EDGE_ON or min(wa, wb, wc) == 0.0:
            facing[face] = 0.0
            continue
        sense = 1.0 if area < 0.0 else -1.0  # y runs down
        facing[face] = sense
        first_row = int(np.ceil(max(min(ya, yb, yc), 0.0) - 0.5))
        last_row = int(np.ceil(min(max(ya, yb, yc), limit) - 0.5))
        first_column = np.ceil(max(min(xa, xb, xc), 0.0) - 0.5)
        last_column = np.ceil(min(max(xa, xb, xc), limit) - 0.5)
        if first_row >= last_row or first_column >= last_column:
            live[face] = 1
            continue
        missed = 1
        gradient_x = ((wb - wa) * (yc - ya) - (wc - wa) * (yb - ya)) * (DEPTH / area)
        gradient_y = ((wc - wa) * (xb - xa) - (wb - wa) * (xc - xa)) * (DEPTH / area)
        base = wa * DEPTH - gradient_x * (xa - 0.5) - gradient_y * ya
        farthest, closest = min(wa, wb, wc) * DEPTH, max(wa, wb, wc) * DEPTH
        low_1, low_slope_1, high_1, high_slope_1 = _bounds(xa, ya, xb, yb, sense)
        low_2, low_slope_2, high_2, high_slope_2 = _bounds(xb, yb, xc, yc, sense)
        low_3, low_slope_3, high_3, high_slope_3 = _bounds(xc, yc, xa, ya, sense)
        for row in range(first_row, last_row):
            y = row + 0.5
            low = max(low_1 + y * low_slope_1, low_2 + y * low_slope_2, low_3 + y * low_slope_3, 0.0)
            high = min(high_1 + y * high_slope_1, high_2 + y * high_slope_2, high_3 + y * high_slope_3, limit)
            start, stop = np.ceil(low - 0.5), np.ceil(high - 0.5)
            depth = base + gradient_y * y
            line = nearest[row]
            # Most spans hold one center or none: the first is drawn without a branch.
            inside = np.int64(start < stop)
            start = min(start, limit - 1.0)
            column = np.uint64(np.int64(start))
            line[column] = max(line[column], _pack(depth + gradient_x * start, farthest, closest, face) & -inside)
            missed &= 1 - inside
            if stop - start > 1.0:
                for further in range(column + np.uint64(1), np.uint64(np.int64(stop))):
                    key = _pack(depth + gradient_x * np.int64(further), farthest, closest, face)
                    line[further] = max(line[further], key)
        live[face] = missed


@_compiled
def _shade(mesh: Topology, facing: Float32Array, light: FloatArray, colors: Float32Array) -> None:
    """Colors (F + 1, C): min(1, albedo * (ambient + directional * relu(normal . light))); last: background."""
    count, channels = len(mesh.faces), colors.shape[1]
    for f in range(count):
        cosine = 0.0
        for axis in range(3):
            cosine += mesh.normals[f, axis] * light[2, axis]
        lit = max(facing[f] * cosine, 0.0)
        for c in range(channels):
            colors[f, c] = min(mesh.albedo[f, c] * (light[0, c] + light[1, c] * lit), 1.0)
    for c in range(channels):
        colors[count, c] = light[3, c]


@_compiled
def _shade_tangent(
    mesh: Topology, facing: Float32Array, light: FloatArray, change: FloatArray, colors: Float32Array
) -> None:
    """Derivative (F + 1, C) of `shade`, given that of the light table.

    On a kink it is that of the side without a slope for relu (faces along the light), of the darker side for min.
    """
    count, channels = len(mesh.faces), colors.shape[1]
    for f in range(count):
        cosine, turning = 0.0, 0.0
        for axis in range(3):
            cosine += facing[f] * mesh.normals[f, axis] * light[2, axis]
            turning += facing[f] * mesh.normals[f, axis] * change[2, axis]
        lit, brightening = (cosine, turning) if cosine > _KINK else (0.0, 0.0)
        for c in range(channels):
            slope = mesh.albedo[f, c] * (change[0, c] + change[1, c] * lit + light[1, c] * brightening)
            is_white = mesh.albedo[f, c] * (light[0, c] + light[1, c] * lit) > 1.0 + _KINK
            colors[f, c] = 0.0 if is_white else slope
    for c in range(channels):
        colors[count, c] = change[3, c]


@_compiled
def _paint(nearest: IntArray, colors: Float32Array, image: Float32Array, live: UInt8Array) -> None:
    """Give every pixel of `image` (C, S, S) the color of its face, and set `live` (F + 1,) of that to 1."""
    channels, size, _ = image.shape
    background = len(colors) - 1
    for row in range(size):
        for c in range(channels):
            image[c, row] = colors[background, c]
        first, last = 0, size
        while first < last and nearest[row, first] == background:
            first += 1
        while first < last and nearest[row, last - 1] == background:
            last -= 1
        for column in range(first, last):
            face = np.uint64(nearest[row, column] & FACE)
            live[face] = 1
            for c in range(channels):
                image[c, row, column] = colors[face, c]


@_built_in
def is_worth_a_look(
    screen: FloatArray,
    edges: Int32Array,
    starts: Int32Array,
    incident: Int32Array,
    live: UInt8Array,
    nearest: IntArray,
    e: int,
) -> bool:
    """Whether edge e may change the picture; nothing is branched on.

    It has a live face, crosses a line of pixel centers, and is not both short and behind what the pixel at its middle
    shows.
    """
    limit = len(nearest) - 0.5
    a, b = np.uint64(edges[e, 0]), np.uint64(edges[e, 1])
    any_live = 0
    for k in range(starts[e], starts[e + 1]):
        any_live |= live[np.uint64(incident[k, 0])]
    xa, ya, wa, xb, yb, wb = screen[a, 0], screen[a, 1], screen[a, 2], screen[b, 0], screen[b, 1], screen[b, 2]
    width, height = abs(xa - xb), abs(ya - yb)
    steep = width <= height
    va, vb = ya if steep else xa, yb if steep else xb
    crosses = np.ceil(va - 0.5) != np.ceil(vb - 0.5)
    row = np.uint64(np.int64(min(max((ya + yb) / 2, 0.0), limit)))
    column = np.uint64(np.int64(min(max((xa + xb) / 2, 0.0), limit)))
    front = max(wa, wb) * (DEPTH * 1.001)
    hidden = (max(width, height) < _SHORT) & ((nearest[row, column] >> 32) > front)
    is_worth: bool = (any_live != 0) & crosses & (not hidden) & (min(wa, wb) > 0.0)
    return is_worth


@_compiled
def _choose_edges(screen: FloatArray, mesh: Topology, live: UInt8Array, nearest: IntArray, chosen: Int32Array) -> int:
    """Write the edges worth a look to `chosen`; returns their number."""
    edges, starts, incident = mesh.edges, mesh.starts, mesh.incident
    count = 0
    for e in range(len(edges)):
        chosen[count] = e
        count += is_worth_a_look(screen, edges, starts, incident, live, nearest, e)
    return count


@_compiled
def _sides(
    screen: FloatArray,
    starts: Int32Array,
    incident: Int32Array,
    edge: int,
    origin: np.uint64,
    across: int,
    slope: float,
    depth_slope: float,
) -> tuple[int, float, int, float]:
    """The nearer face on the left and on the right of an edge (-1: none), and how its inverse depth grows to the right.

    `origin` is one end of the edge, `across` the axis that is left and right; slopes are per unit along the other.
    """
    left, left_growth, right, right_growth = -1, np.inf, -1, -np.inf
    for k in range(starts[edge], starts[edge + 1]):
        face, corner = incident[k, 0], np.uint64(incident[k, 1])
        beside = screen[corner, 1 - across] - screen[origin, 1 - across]
        offset = screen[corner, across] - screen[origin, across] - beside * slope
        growth = (screen[corner, 2] - screen[origin, 2] - beside * depth_slope) / offset
        shows = (abs(offset) > 1e-9) & (screen[corner, 2] > 0.0)
        is_left = shows & (offset < 0.0) & (growth < left_growth)
        is_right = shows & (offset > 0.0) & (growth > right_growth)
        left, left_growth = (face if is_left else left), (growth if is_left else left_growth)
        right, right_growth = (face if is_right else right), (growth if is_right else right_growth)
    return left, (left_growth if left >= 0 else 0.0), right, (right_growth if right >= 0 else 0.0)


@_compiled
def _hides(key: np.int64, expected: float, faces: Int32Array, a: np.uint64, b: np.uint64) -> bool:
    """Whether a pixel shows something in front of the inverse depth `expected` that does not touch the edge (a, b)."""
    if (key >> 32) <= max(expected, 0.0) * (DEPTH * (1 + _TOLERANCE)) + 1.0:
        return False
    face = np.uint64(key & FACE)
    touches = False
    for k in range(3):
        touches |= faces[face, k] == a or faces[face, k] == b
    return not touches


class Edge(NamedTuple):
    """An edge in the picture, along the axis on which it is longer: there v, across it u (see `_smooth_edges`)."""

    a: np.uint64  # its end of lower v
    b: np.uint64
    across: int  # the axis of u: 0 is x
    first: int  # it crosses the lines of pixel centers [first, last)
    last: int
    start: float  # v of its end a
    length: float  # along v
    origin: float  # u where v is 0
    slope: float  # of u
    depth: float  # inverse, of its end a
    depth_slope: float
    left: int  # the nearer face on that side; -1: none
    left_growth: float  # of the inverse depth, to the right
    right: int
    right_growth: float


class EdgeCrossing(NamedTuple):
    """Where an edge crosses a line of pixel centers: between the pixels p and q, of which q is on its right."""

    is_visible: bool  # if not, the rest says nothing
    u: float
    beyond: float  # how far from its end a, along v
    q: int
    row_p: np.uint64
    column_p: np.uint64
    row_q: np.uint64
    column_q: np.uint64


@_built_in
def edge_in_picture(
    screen: FloatArray, edges: Int32Array, starts: Int32Array, incident: Int32Array, e: int, size: int
) -> Edge:
    """Edge e of a mesh in a picture."""
    a, b = np.uint64(edges[e, 0]), np.uint64(edges[e, 1])
    across = 0 if abs(screen[a, 0] - screen[b, 0]) <= abs(screen[a, 1] - screen[b, 1]) else 1
    along = 1 - across
    if screen[b, along] < screen[a, along]:
        a, b = b, a
    va, length = screen[a, along], screen[b, along] - screen[a, along]
    first = int(np.ceil(max(va, 0.0) - 0.5))
    last = int(np.ceil(min(va + length, float(size)) - 0.5))
    ua, wa = screen[a, across], screen[a, 2]
    slope, depth_slope = (screen[b, across] - ua) / length, (screen[b, 2] - wa) / length
    left, left_growth, right, right_growth = _sides(screen, starts, incident, e, a, across, slope, depth_slope)
    return Edge(
        a, b, across, first, last, va, length, ua - va * slope, slope, wa, depth_slope, left, left_growth, right,
        right_growth,
    )  # fmt: skip


@_built_in
def crossing(edge: Edge, v: int, nearest: IntArray, faces: Int32Array) -> EdgeCrossing:
    """Where an edge crosses line v, and whether it shows there: neither pixel has anything in front of its faces."""
    u = edge.origin + (v + 0.5) * edge.slope
    beyond = v + 0.5 - edge.start
    if not 0.5 < u <= len(nearest) - 0.5:
        return EdgeCrossing(False, u, beyond, 0, np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0))
    q = int(np.ceil(u - 0.5))  # a center on the edge is on its right, as in rasterize
    p = q - 1
    row_p, column_p = np.uint64(p if edge.across else v), np.uint64(v if edge.across else p)
    row_q, column_q = np.uint64(q if edge.across else v), np.uint64(v if edge.across else q)
    w = edge.depth + beyond * edge.depth_slope
    is_hidden = _hides(nearest[row_p, column_p], w + edge.left_growth * (q - 0.5 - u), faces, edge.a, edge.b) or _hides(
        nearest[row_q, column_q], w + edge.right_growth * (q + 0.5 - u), faces, edge.a, edge.b
    )
    return EdgeCrossing(not is_hidden, u, beyond, q, row_p, column_p, row_q, column_q)


@_compiled
def _shares(u: float, sweep: float, q: int) -> tuple[float, float, float, float, float]:
    """What the right side of an edge that sweeps [u - sweep / 2, u + sweep / 2] covers of pixels p = q - 1 and q.

    That is the share of p, the share of q less 1, their derivatives in u, and that of the first in sweep (the second's
    is its negative).
    """
    low, high = q - u + sweep / 2, u + sweep / 2 - q  # parts of the sweep in p and in q
    if low <= 0.0:
        return 0.0, q - u, 0.0, -1.0, 0.0
    if high <= 0.0:
        return q - u, 0.0, -1.0, 0.0, 0.0
    half = 0.5 / sweep
    return low * low * half, -high * high * half, -low / sweep, -high / sweep, low * high * half / sweep


@_compiled
def _smooth_edges(
    screen: FloatArray,
    mesh: Topology,
    live: UInt8Array,
    nearest: IntArray,
    colors: Float32Array,
    image: Float32Array,
    tangents: FloatArray,
    color_tangents: Float32Array,
    derivative: Float32Array,
) -> None:
    """Replace every visible edge's hard step by its exact area under the pixel, and differentiate that.

    The picture so far has a step where an edge passes between two pixel centers. Take a steep edge (for a flat one
    swap x and y): it crosses the line y = row center at u, between the centers of columns p and q = p + 1, and
    within the row it sweeps [u - s/2, u + s/2], s = |dx / dy| <= 1. To its right the picture is brighter by `jump`. A
    box-shaped pixel sees as much of that as the right side covers of its area; the picture so far has all of it if
    the center is on the right, else nothing. So jump * (share - [center is right]) is added to p and q, the only
    pixels in reach. Contributions add up, so a bar that slips between two centers still shows with its width: its two
    edges cancel but for that.

    On each side of an edge is the nearer of its faces there, or else what the pixel on that side shows. An edge is
    visible where neither pixel shows anything in front of those faces, extended to its center, but for faces that
    touch the edge. Edges without a live face are skipped: all of their faces are seen nowhere and not tiny.
    """
    size, channels, count = len(nearest), len(image), len(tangents)
    faces, edges, starts, incident = mesh.faces, mesh.edges, mesh.starts, mesh.incident  # within loops they are counted
    chosen = np.empty(len(mesh.edges), np.int32)
    for e in chosen[: _choose_edges(screen, mesh, live, nearest, chosen)]:
        edge = edge_in_picture(screen, edges, starts, incident, e, size)
        a, b, across, along, slope, length = edge.a, edge.b, edge.across, 1 - edge.across, edge.slope, edge.length
        left, right, sweep = edge.left, edge.right, abs(edge.slope)
        if left < 0 and right < 0:
            continue
        if left >= 0 and right >= 0:
            step = 0.0
            for c in range(channels):
                step = max(step, abs(colors[left, c] - colors[right, c]))
            if step < _SAME:
                continue
        for v in range(edge.first, edge.last):
            at = crossing(edge, v, nearest, faces)
            if not at.is_visible:
                continue
            row_p, column_p, row_q, column_q = at.row_p, at.column_p, at.row_q, at.column_q
            from_face = np.uint64(left if left >= 0 else nearest[row_p, column_p] & FACE)
            to_face = np.uint64(right if right >= 0 else nearest[row_q, column_q] & FACE)
            share_p, share_q, slide_p, slide_q, widen = _shares(at.u, sweep, at.q)
            for c in range(channels):
                jump = colors[to_face, c] - colors[from_face, c]
                image[c, row_p, column_p] += jump * share_p
                image[c, row_q, column_q] += jump * share_q
            for k in range(count):
                # The edge is u = ua + (v - va) * slope at fixed v; both of its ends move.
                slope_change = (
                    tangents[k, b, across]
                    - tangents[k, a, across]
                    - slope * (tangents[k, b, along] - tangents[k, a, along])
                ) / length
                slide = tangents[k, a, across] - slope * tangents[k, a, along] + at.beyond * slope_change
                widening = widen * (slope_change if slope > 0.0 else -slope_change)
                for c in range(channels):
                    jump = colors[to_face, c] - colors[from_face, c]
                    change = color_tangents[k, to_face, c] - color_tangents[k, from_face, c]
                    derivative[k, c, row_p, column_p] += jump * (slide_p * slide + widening) + change * share_p
                    derivative[k, c, row_q, column_q] += jump * (slide_q * slide - widening) + change * share_q


@_compiled
def _copy(source: Float32Array, target: Float32Array) -> None:
    """Copy a plane (S, S); assigning slices takes several times as long."""
    for row in range(len(source)):
        for column in range(source.shape[1]):
            target[row, column] = source[row, column]


@_compiled
def _box_average(fine: Float32Array, coarse: Float32Array) -> None:
    """Average the s x s blocks of `fine` (N, s S, s S) into `coarse` (N, S, S)."""
    planes, size, _ = coarse.shape
    factor = fine.shape[1] // size
    scale = np.float32(1.0 / (factor * factor))
    if factor == 1:
        for n in range(planes):
            _copy(fine[n], coarse[n])
        return
    for n in range(planes):
        for row in range(size):
            for column in range(size):
                total = np.float32(0.0)
                for j in range(factor * row, factor * (row + 1)):
                    for i in range(factor * column, factor * (column + 1)):
                        total += fine[n, j, i]
                coarse[n, row, column] = total * scale


@_compiled
def _blur(planes: Float32Array, weights: Float32Array) -> None:
    """Convolve `planes` (N, S, S) with weights (2 r + 1,) along rows and columns, in place; the border is repeated."""
    count, size, _ = planes.shape
    radius = len(weights) // 2
    rows = np.empty((size, size), np.float32)
    for n in range(count):
        for row in range(size):
            for column in range(size):
                total = np.float32(0.0)
                for k in range(len(weights)):
                    total += weights[k] * planes[n, row, min(max(column + k - radius, 0), size - 1)]
                rows[row, column] = total
        planes[n] = 0.0
        for row in range(size):
            for k in range(len(weights)):
                source = min(max(row + k - radius, 0), size - 1)
                for column in range(size):
                    planes[n, row, column] += weights[k] * rows[source, column]


@_compiled
def _draw_view(
    mesh: Topology,
    matrix: FloatArray,
    light: FloatArray,
    matrix_tangents: FloatArray,
    light_tangents: FloatArray,
    antialias: bool,
    image: Float32Array,
    derivative: Float32Array,
) -> None:
    """Draw one view into `image` (C, S, S) and its derivatives into `derivative` (K, C, S, S)."""
    channels, size, _ = image.shape
    count, vertices, faces = len(matrix_tangents), len(mesh.vertices), len(mesh.faces)
    screen = np.empty((vertices, 3))
    nearest = np.full((size, size), faces, np.int64)
    facing = np.empty(faces, np.float32)
    live = np.empty(faces + 1, np.uint8)
    colors = np.empty((faces + 1, channels), np.float32)
    tangents = np.empty((count, vertices, 2))
    color_tangents = np.empty((count, faces + 1, channels), np.float32)
    _project(mesh.vertices, matrix, screen)
    _rasterize(screen, mesh.faces, nearest, facing, live)
    _shade(mesh, facing, light, colors)
    _paint(nearest, colors, image, live)
    for k in range(count):
        if np.any(matrix_tangents[k] != 0.0):
            _project_tangent(mesh.vertices, matrix_tangents[k], screen, tangents[k])
        else:
            tangents[k] = 0.0
        if np.any(light_tangents[k] != 0.0):
            _shade_tangent(mesh, facing, light, light_tangents[k], color_tangents[k])
            _paint(nearest, color_tangents[k], derivative[k], live)
        else:
            color_tangents[k] = 0.0
            derivative[k] = 0.0
    if antialias:
        _smooth_edges(screen, mesh, live, nearest, colors, image, tangents, color_tangents, derivative)
    values = image.reshape(-1)
    for index in range(len(values)):
        values[index] = min(max(values[index], np.float32(0.0)), np.float32(1.0))


@_compiled
def _finish(planes: Float32Array, weights: Float32Array, result: Float32Array) -> None:
    """Average and blur `planes` (C, s S, s S) into the first C channels of `result`, and copy one to the others."""
    channels = len(planes)
    _box_average(planes, result[:channels])
    if len(weights) > 1:
        _blur(result[:channels], weights)
    for c in range(channels, len(result)):
        _copy(result[0], result[c])


@cached_njit(nogil=True, error_model="numpy", parallel=True)
def draw_views(
    mesh: Topology,
    matrices: FloatArray,
    lights: FloatArray,
    matrix_tangents: FloatArray,
    light_tangents: FloatArray,
    antialias: bool,
    supersample: int,
    weights: Float32Array,
    images: Float32Array,
    derivatives: Float32Array,
) -> None:
    """Draw B views, each by one thread alone, so that no result depends on its neighbors.

    Args:
        mesh: What is drawn.
        matrices: Projections (B, 3, 4) to pixels of the supersampled picture.
        lights: Light tables (B, 4, 3).
        matrix_tangents: Derivatives (B, K, 3, 4) of the matrices.
        light_tangents: Derivatives (B, K, 4, 3) of the light tables.
        antialias: Whether to smooth edges.
        supersample: Pictures are drawn this many times larger.
        weights: Of the blur, (2 r + 1,); one for none.
        images: Filled, (B, 3, S, S).
        derivatives: Filled, (B, K, C, S, S); C is 1 if all channels are alike, else 3.
    """
    count, channels = derivatives.shape[1:3]
    fine = supersample * images.shape[2]
    for view in prange(len(matrices)):
        image = np.empty((channels, fine, fine), np.float32)
        derivative = np.empty((count, channels, fine, fine), np.float32)
        matrix_change, light_change = matrix_tangents[view], light_tangents[view]
        _draw_view(mesh, matrices[view], lights[view], matrix_change, light_change, antialias, image, derivative)
        _finish(image, weights, images[view])
        for k in range(count):
            _finish(derivative[k], weights, derivatives[view, k])
