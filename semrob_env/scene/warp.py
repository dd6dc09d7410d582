"""The compiled loops that look pictures up at other places, and the derivatives of what they find.

Pixel (row, column) has its center at (column + 0.5, row + 0.5); between centers pictures are interpolated bilinearly.
That is exact where a center meets a center: a warp that moves nothing keeps every bit. On a center the derivative of
the interpolation is the mean of both sides, which a central difference approaches.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from semrob_env.compiled import cached_njit
from semrob_env.types import Float32Array, FloatArray

ZERO, EDGE, REFLECT, AROUND = range(4)
"""What is beyond a picture: nothing (black, transparent), its border, its mirror image; or it repeats across."""

_compiled = njit(nogil=True, error_model="numpy")


@_compiled
def _at(source: Float32Array, row: int, column: int, channel: int, beyond: int) -> float:
    height, width = source.shape[0], source.shape[1]
    if beyond == ZERO:
        if row < 0 or row >= height or column < 0 or column >= width:
            return 0.0
    elif beyond == REFLECT:  # the border pixel is repeated
        row, column = row % (2 * height), column % (2 * width)
        row, column = min(row, 2 * height - 1 - row), min(column, 2 * width - 1 - column)
    else:
        column = column % width if beyond == AROUND else min(max(column, 0), width - 1)
        row = min(max(row, 0), height - 1)
    value: float = source[row, column, channel]
    return value


@_compiled
def _look_up(
    source: Float32Array, x: float, y: float, channel: int, beyond: int, slopes: bool
) -> tuple[float, float, float]:
    """The value at (x, y), and its derivatives in x and y."""
    fx, fy = x - 0.5, y - 0.5
    column, row = int(np.floor(fx)), int(np.floor(fy))
    u, v = fx - column, fy - row
    p00 = _at(source, row, column, channel, beyond)
    p01 = _at(source, row, column + 1, channel, beyond)
    p10 = _at(source, row + 1, column, channel, beyond)
    p11 = _at(source, row + 1, column + 1, channel, beyond)
    upper, lower = p00 * (1.0 - u) + p01 * u, p10 * (1.0 - u) + p11 * u
    value = upper * (1.0 - v) + lower * v
    if not slopes:
        return value, 0.0, 0.0
    if u == 0.0:
        left = _at(source, row, column - 1, channel, beyond) * (1.0 - v)
        left += _at(source, row + 1, column - 1, channel, beyond) * v
        across = (p01 * (1.0 - v) + p11 * v - left) / 2
    else:
        across = (p01 - p00) * (1.0 - v) + (p11 - p10) * v
    if v == 0.0:
        above = _at(source, row - 1, column, channel, beyond) * (1.0 - u)
        above += _at(source, row - 1, column + 1, channel, beyond) * u
        down = (lower - above) / 2
    else:
        down = lower - upper
    return value, across, down


@_compiled
def _fill_inside(source: Float32Array, x: float, y: float, image: Float32Array, row: int, column: int) -> bool:
    """What `_look_up` says of all channels, in a fraction of its time; False, and nothing done, near the border."""
    fx, fy = x - 0.5, y - 0.5
    if not (0.0 <= fx < source.shape[1] - 1 and 0.0 <= fy < source.shape[0] - 1):
        return False
    a, b = np.uint64(fx), np.uint64(fy)
    u, v = fx - np.float64(a), fy - np.float64(b)
    one = np.uint64(1)
    for c in range(image.shape[0]):
        upper = source[b, a, c] * (1.0 - u) + source[b, a + one, c] * u
        lower = source[b + one, a, c] * (1.0 - u) + source[b + one, a + one, c] * u
        image[c, row, column] = upper * (1.0 - v) + lower * v
    return True


@cached_njit(nogil=True, error_model="numpy")
def warp(
    source: Float32Array,
    matrix: FloatArray,
    tangents: FloatArray,
    beyond: int,
    image: Float32Array,
    derivatives: Float32Array,
) -> None:
    """Fill `image` (C, S, S) with what a homography finds in `source` (H, W, C).

    Args:
        source: The picture.
        matrix: (3, 3), from (x, y, 1) of the image to (x, y, 1) * w of the source, in pixels; w <= 0 is behind us,
            where nothing is seen.
        tangents: Its derivatives (K, 3, 3).
        beyond: One of the four above.
        image: Filled.
        derivatives: Filled, (K, C, S, S).
    """
    channels, size = image.shape[0], image.shape[1]
    count = len(tangents)
    for row in range(size):
        b = row + 0.5
        for column in range(size):
            a = column + 0.5
            w = matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2]
            if w <= 1e-9:
                image[:, row, column] = 0.0
                derivatives[:, :, row, column] = 0.0
                continue
            x = (matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2]) / w
            y = (matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2]) / w
            if not (abs(x) < 1e9 and abs(y) < 1e9):
                image[:, row, column] = 0.0
                derivatives[:, :, row, column] = 0.0
                continue
            if count == 0 and _fill_inside(source, x, y, image, row, column):
                continue
            for c in range(channels):
                value, across, down = _look_up(source, x, y, c, beyond, count > 0)
                image[c, row, column] = value
                for k in range(count):
                    t = tangents[k]
                    dw = t[2, 0] * a + t[2, 1] * b + t[2, 2]
                    dx = (t[0, 0] * a + t[0, 1] * b + t[0, 2] - x * dw) / w
                    dy = (t[1, 0] * a + t[1, 1] * b + t[1, 2] - y * dw) / w
                    derivatives[k, c, row, column] = across * dx + down * dy


@cached_njit(nogil=True, error_model="numpy")
def look_around(
    source: Float32Array,
    matrix: FloatArray,
    tangents: FloatArray,
    image: Float32Array,
    derivatives: Float32Array,
) -> None:
    """Fill `image` (C, S, S) with what is seen of an equirectangular panorama `source` (H, W, C).

    The middle of the panorama lies straight ahead, its upper border straight up; longitude grows to the right.

    Args:
        source: The panorama.
        matrix: (3, 3), from (x, y, 1) of the image to a direction of any length: right, up, ahead of its middle.
        tangents: Its derivatives (K, 3, 3).
        image: Filled.
        derivatives: Filled, (K, C, S, S).
    """
    channels, size = image.shape[0], image.shape[1]
    height, width = source.shape[0], source.shape[1]
    count = len(tangents)
    per_turn, per_half = width / (2 * np.pi), height / np.pi
    for row in range(size):
        b = row + 0.5
        for column in range(size):
            a = column + 0.5
            right = matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2]
            up = matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2]
            ahead = matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2]
            level = max(right * right + ahead * ahead, 1e-24)
            flat, whole = np.sqrt(level), level + up * up
            x = width / 2 + np.arctan2(right, ahead) * per_turn
            y = height / 2 - np.arctan2(up, flat) * per_half
            if count == 0 and _fill_inside(source, x, y, image, row, column):
                continue
            for c in range(channels):
                value, across, down = _look_up(source, x, y, c, AROUND, count > 0)
                image[c, row, column] = value
                for k in range(count):
                    t = tangents[k]
                    d_right = t[0, 0] * a + t[0, 1] * b + t[0, 2]
                    d_up = t[1, 0] * a + t[1, 1] * b + t[1, 2]
                    d_ahead = t[2, 0] * a + t[2, 1] * b + t[2, 2]
                    turn = (ahead * d_right - right * d_ahead) / level
                    rise = (flat * d_up - up * (right * d_right + ahead * d_ahead) / flat) / whole
                    derivatives[k, c, row, column] = across * turn * per_turn - down * rise * per_half
