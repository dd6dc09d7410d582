"""Compiled loops over vertices, faces and pixels of one view: projection, depth test, shading.

Screen coordinates: x to the right, y down, in pixels; the centre of pixel (row, column) is (column + 0.5, row + 0.5).
The third screen coordinate is the inverse depth 1 / W, which is linear on a face in the picture (that is what
perspective-correct means) and larger for what is nearer; 0 marks vertices that are not in front of the camera.

What is nearest at a pixel is one int64: the inverse depth in units of 1 / `DEPTH` above, the face below. So the depth
test is a maximum, which does not depend on the order of the faces. The background is face F at depth 0.

Indices that are not plain loop counters are made unsigned, which spares a test for negative ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from semrob_env.scene.renderers.topology import Topology
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

# Fused multiply-add, and no care for the sign of zero. Not cached one by one: see `drawing`.
compiled = njit(nogil=True, error_model="numpy", fastmath={"nsz", "contract"})
"""Decorator of all kernels."""


@compiled
def project(vertices: FloatArray, matrix: FloatArray, screen: FloatArray) -> None:
    """Screen coordinates (V, 3) of vertices under a (3, 4) matrix whose rows are in pixels."""
    for i in range(len(vertices)):
        x, y, z = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        inverse = 1.0 / depth if depth > NEAR else 0.0
        screen[i, 0] = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]) * inverse
        screen[i, 1] = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]) * inverse
        screen[i, 2] = inverse


@compiled
def project_tangent(vertices: FloatArray, matrix: FloatArray, screen: FloatArray, tangent: FloatArray) -> None:
    """Derivative (V, 2) of screen x, y, given that of the matrix: d(X / W) = (dX - (X / W) dW) / W."""
    for i in range(len(vertices)):
        x, y, z = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        for axis in range(2):
            moved = matrix[axis, 0] * x + matrix[axis, 1] * y + matrix[axis, 2] * z + matrix[axis, 3]
            tangent[i, axis] = (moved - screen[i, axis] * depth) * screen[i, 2]


@compiled
def bounds(xa: float, ya: float, xb: float, yb: float, sense: float) -> tuple[float, float, float, float]:
    """Edge (a, b) of a face as x >= lower + y * lower_slope and x < upper + y * upper_slope, one of them idle."""
    rise = (yb - ya) * sense
    slope = (xb - xa) / (yb - ya if rise != 0.0 else 1.0)
    x = (xa if ya <= yb else xb) - min(ya, yb) * slope  # as in smooth_edges, to the last bit
    is_lower, is_upper = rise > 0.0, rise < 0.0  # selected, not branched on: which it is cannot be predicted
    return x if is_lower else -_FAR, slope if is_lower else 0.0, x if is_upper else _FAR, slope if is_upper else 0.0


@compiled
def pack(depth: float, farthest: float, closest: float, face: int) -> np.int64:
    """Depth and face in one number; rounding of thin faces is kept within the depths of their corners."""
    kept = np.int32(min(max(depth, farthest), closest))
    key: np.int64 = np.int64(kept) << np.int64(32) | np.int64(face)
    return key


@compiled
def rasterize(screen: FloatArray, faces: Int32Array, nearest: IntArray, facing: Float32Array, live: UInt8Array) -> None:
    """Nearest face at every pixel centre of `nearest` (S, S), which starts as background.

    A centre belongs to a face if left edge <= x < right edge and top <= y < bottom, so neighbours neither overlap
    nor leave gaps; of faces at equal depth the last one shows. `facing` (F,) becomes +1 where the right-handed normal
    points to the camera, -1 where it points away, 0 where the face is edge-on or not in front of the camera; `live`
    (F,) becomes 1 for faces so small or thin that they hold no pixel centre, else 0.
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
        low_1, low_slope_1, high_1, high_slope_1 = bounds(xa, ya, xb, yb, sense)
        low_2, low_slope_2, high_2, high_slope_2 = bounds(xb, yb, xc, yc, sense)
        low_3, low_slope_3, high_3, high_slope_3 = bounds(xc, yc, xa, ya, sense)
        for row in range(first_row, last_row):
            y = row + 0.5
            low = max(low_1 + y * low_slope_1, low_2 + y * low_slope_2, low_3 + y * low_slope_3, 0.0)
            high = min(high_1 + y * high_slope_1, high_2 + y * high_slope_2, high_3 + y * high_slope_3, limit)
            start, stop = np.ceil(low - 0.5), np.ceil(high - 0.5)
            depth = base + gradient_y * y
            line = nearest[row]
            # Most spans hold one centre or none, and which cannot be predicted: the first is drawn without a branch.
            inside = np.int64(start < stop)
            start = min(start, limit - 1.0)
            column = np.uint64(np.int64(start))
            line[column] = max(line[column], pack(depth + gradient_x * start, farthest, closest, face) & -inside)
            missed &= 1 - inside
            if stop - start > 1.0:
                for further in range(column + np.uint64(1), np.uint64(np.int64(stop))):
                    key = pack(depth + gradient_x * np.int64(further), farthest, closest, face)
                    line[further] = max(line[further], key)
        live[face] = missed


@compiled
def shade(mesh: Topology, facing: Float32Array, light: FloatArray, colors: Float32Array) -> None:
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


@compiled
def shade_tangent(
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


@compiled
def paint(nearest: IntArray, colors: Float32Array, picture: Float32Array, live: UInt8Array) -> None:
    """Give every pixel of `picture` (C, S, S) the color of its face, and set `live` (F + 1,) of that to 1."""
    channels, size, _ = picture.shape
    background = len(colors) - 1
    for row in range(size):
        for c in range(channels):
            for column in range(size):
                picture[c, row, column] = colors[background, c]
        first, last = 0, size
        while first < last and nearest[row, first] == background:
            first += 1
        while first < last and nearest[row, last - 1] == background:
            last -= 1
        for column in range(first, last):
            face = np.uint64(nearest[row, column] & FACE)
            live[face] = 1
            for c in range(channels):
                picture[c, row, column] = colors[face, c]
