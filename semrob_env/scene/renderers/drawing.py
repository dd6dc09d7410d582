"""The compiled driver: all kernels of one view after another, views in parallel."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numba import njit, prange

from semrob_env.scene.renderers.edges import smooth_edges
from semrob_env.scene.renderers.faces import compiled, paint, project, project_tangent, rasterize, shade, shade_tangent
from semrob_env.scene.renderers.filters import blur, box_average
from semrob_env.scene.renderers.topology import Topology
from semrob_env.types import Float32Array, FloatArray


@compiled
def draw_view(
    mesh: Topology,
    matrix: FloatArray,
    light: FloatArray,
    matrix_tangents: FloatArray,
    light_tangents: FloatArray,
    antialias: bool,
    picture: Float32Array,
    derivative: Float32Array,
) -> None:
    """Draw one view into `picture` (C, S, S) and its derivatives into `derivative` (K, C, S, S).

    C is 3, or 1 if all channels are alike.
    """
    channels, size, _ = picture.shape
    count, vertices, faces = len(matrix_tangents), len(mesh.vertices), len(mesh.faces)
    screen = np.empty((vertices, 3))
    nearest = np.full((size, size), faces, np.int64)
    facing = np.empty(faces, np.float32)
    live = np.empty(faces + 1, np.uint8)
    colors = np.empty((faces + 1, channels), np.float32)
    tangents = np.empty((count, vertices, 2))
    color_tangents = np.empty((count, faces + 1, channels), np.float32)
    project(mesh.vertices, matrix, screen)
    rasterize(screen, mesh.faces, nearest, facing, live)
    shade(mesh, facing, light, colors)
    paint(nearest, colors, picture, live)
    for k in range(count):
        if np.any(matrix_tangents[k] != 0.0):
            project_tangent(mesh.vertices, matrix_tangents[k], screen, tangents[k])
        else:
            tangents[k] = 0.0
        if np.any(light_tangents[k] != 0.0):
            shade_tangent(mesh, facing, light, light_tangents[k], color_tangents[k])
            paint(nearest, color_tangents[k], derivative[k], live)
        else:
            color_tangents[k] = 0.0
            derivative[k] = 0.0
    if antialias:
        smooth_edges(screen, mesh, live, nearest, colors, picture, tangents, color_tangents, derivative)
    for c in range(channels):
        for row in range(size):
            for column in range(size):
                picture[c, row, column] = min(max(picture[c, row, column], np.float32(0.0)), np.float32(1.0))


@compiled
def finish(planes: Float32Array, weights: Float32Array, result: Float32Array) -> None:
    """Average and blur `planes` (C, s S, s S) into the first C channels of `result`, and copy one to the others."""
    channels, size = len(planes), result.shape[1]
    box_average(planes, result[:channels])
    if len(weights) > 1:
        blur(result[:channels], weights)
    for c in range(channels, len(result)):
        for row in range(size):
            for column in range(size):
                result[c, row, column] = result[0, row, column]


def _driver(sources: int) -> Callable[..., None]:
    """Compile, or load from the cache. `sources` is part of the cache's key because `draw_views` mentions it."""

    @njit(cache=True, nogil=True, error_model="numpy", parallel=True)
    def draw_views(
        mesh: Topology,
        matrices: FloatArray,
        lights: FloatArray,
        matrix_tangents: FloatArray,
        light_tangents: FloatArray,
        antialias: bool,
        supersample: int,
        weights: Float32Array,
        channels: int,
        pictures: Float32Array,
        derivatives: Float32Array,
    ) -> None:
        assert sources >= 0
        count = derivatives.shape[1]
        fine = supersample * pictures.shape[2]
        for view in prange(len(matrices)):
            picture = np.empty((channels, fine, fine), np.float32)
            derivative = np.empty((count, channels, fine, fine), np.float32)
            draw_view(
                mesh,
                matrices[view],
                lights[view],
                matrix_tangents[view],
                light_tangents[view],
                antialias,
                picture,
                derivative,
            )
            finish(picture, weights, pictures[view])
            for k in range(count):
                finish(derivative[k], weights, derivatives[view, k])

    compiled_driver: Callable[..., None] = draw_views
    return compiled_driver


# numba's on-disk cache notices changes of the file of the cached function only, not of the kernels that it calls.
_FILES: Final = ("drawing.py", "edges.py", "faces.py", "filters.py", "topology.py")

draw_views = _driver(zlib.crc32(b"".join((Path(__file__).parent / name).read_bytes() for name in _FILES)))
"""Draw B views, each by one thread alone, so that no result depends on its neighbours.

Arguments, in order: a `Topology`; projections to pixels of the supersampled picture, (B, 3, 4); light tables (B, 4, 3);
tangents of both, (B, K, 3, 4) and (B, K, 4, 3); whether to smooth edges; the factor of supersampling; weights of the
blur (2 r + 1,), one for none; C, 1 if all channels are alike, else 3. Filled: pictures (B, 3, S, S) and derivatives
(B, K, C, S, S).
"""
