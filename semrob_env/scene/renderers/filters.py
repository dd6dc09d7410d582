"""Compiled picture filters: box average of supersampled pictures, and Gaussian blur. Both are linear."""

from __future__ import annotations

import numpy as np

from semrob_env.scene.renderers.faces import compiled
from semrob_env.types import Float32Array


def gaussian_weights(sigma: float) -> Float32Array:
    """Weights (2 r + 1,) of a Gaussian of `sigma` pixels, cut at r = ceil(4 sigma) and summing to 1."""
    radius = int(np.ceil(4 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-9)) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


@compiled
def box_average(fine: Float32Array, coarse: Float32Array) -> None:
    """Average the s x s blocks of `fine` (N, s S, s S) into `coarse` (N, S, S)."""
    planes, size, _ = coarse.shape
    factor = fine.shape[1] // size
    scale = np.float32(1.0 / (factor * factor))
    if factor == 1:  # a plain copy
        for n in range(planes):
            for row in range(size):
                for column in range(size):
                    coarse[n, row, column] = fine[n, row, column]
        return
    for n in range(planes):
        for row in range(size):
            for column in range(size):
                total = np.float32(0.0)
                for j in range(factor * row, factor * (row + 1)):
                    for i in range(factor * column, factor * (column + 1)):
                        total += fine[n, j, i]
                coarse[n, row, column] = total * scale


@compiled
def blur(planes: Float32Array, weights: Float32Array) -> None:
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
        for row in range(size):
            for column in range(size):
                planes[n, row, column] = 0.0
            for k in range(len(weights)):
                source = min(max(row + k - radius, 0), size - 1)
                for column in range(size):
                    planes[n, row, column] += weights[k] * rows[source, column]
