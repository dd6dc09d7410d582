"""Gradients in the colors of faces: what a gradient in the picture says of the albedo, by the rasterizer's own steps.

A picture is linear in the shaded colors of the faces, apart from what is cut off at 0 and 1: each pixel shows the face
at its center, and each visible edge moves a share of the difference of two colors. This is the transpose of that, of
the shares that `kernels` gives to pixels and edges, through min(1, albedo * light). Exact where no pixel is cut off.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from semrob_env.scene.renderers.kernels import (
    FACE,
    Topology,
    UInt8Array,
    _choose_edges,
    _paint,
    _project,
    _rasterize,
    _shade,
    _shares,
    crossing,
    edge_in_picture,
)
from semrob_env.types import Float32Array, FloatArray, IntArray

_compiled = njit(nogil=True, error_model="numpy", fastmath={"nsz", "contract"})


@_compiled
def _color_gradients(
    screen: FloatArray,
    mesh: Topology,
    live: UInt8Array,
    nearest: IntArray,
    antialias: bool,
    upstream: Float32Array,
    gradients: FloatArray,
) -> None:
    """Gradients (F + 1, C) in shaded colors of a gradient in the picture (C, S, S); see `kernels._smooth_edges`."""
    size, channels = len(nearest), len(upstream)
    faces, edges, starts, incident = mesh.faces, mesh.edges, mesh.starts, mesh.incident  # within loops they are counted
    gradients[:] = 0.0
    for row in range(size):
        for column in range(size):
            face = np.uint64(nearest[row, column] & FACE)
            for c in range(channels):
                gradients[face, c] += upstream[c, row, column]
    if not antialias:
        return
    chosen = np.empty(len(mesh.edges), np.int32)
    for e in chosen[: _choose_edges(screen, mesh, live, nearest, chosen)]:
        edge = edge_in_picture(screen, edges, starts, incident, e, size)
        left, right, sweep = edge.left, edge.right, abs(edge.slope)
        if left < 0 and right < 0:
            continue
        for v in range(edge.first, edge.last):
            at = crossing(edge, v, nearest, faces)
            if not at.is_visible:
                continue
            row_p, column_p, row_q, column_q = at.row_p, at.column_p, at.row_q, at.column_q
            from_face = np.uint64(left if left >= 0 else nearest[row_p, column_p] & FACE)
            to_face = np.uint64(right if right >= 0 else nearest[row_q, column_q] & FACE)
            share_p, share_q, _, _, _ = _shares(at.u, sweep, at.q)
            for c in range(channels):
                moved = upstream[c, row_p, column_p] * share_p + upstream[c, row_q, column_q] * share_q
                gradients[to_face, c] += moved
                gradients[from_face, c] -= moved


@njit(nogil=True, error_model="numpy", parallel=True)
def albedo_gradients(
    mesh: Topology,
    albedo: Float32Array,
    matrices: FloatArray,
    lights: FloatArray,
    antialias: bool,
    upstream: Float32Array,
    gradients: Float32Array,
) -> None:
    """Fill the gradients of B views, each by one thread alone.

    Args:
        mesh: What is drawn; its edges are those of faces of which each has a color of its own.
        albedo: Of each view (B, F, 3).
        matrices: Projections (B, 3, 4) to pixels of the supersampled picture.
        lights: Light tables (B, 4, 3).
        antialias: Whether edges are smoothed.
        upstream: Gradients in the supersampled pictures (B, 3, s S, s S).
        gradients: Filled, (B, F, 3).
    """
    faces, size = len(mesh.faces), upstream.shape[2]
    for view in prange(len(matrices)):
        screen = np.empty((len(mesh.vertices), 3))
        nearest = np.full((size, size), faces, np.int64)
        facing, live = np.empty(faces, np.float32), np.empty(faces + 1, np.uint8)
        colors, shown = np.empty((faces + 1, 3), np.float32), np.empty((3, size, size), np.float32)
        of_colors = np.empty((faces + 1, 3))
        light = lights[view]
        _project(mesh.vertices, matrices[view], screen)
        _rasterize(screen, mesh.faces, nearest, facing, live)
        _shade(mesh, facing, light, colors)
        _paint(nearest, colors, shown, live)
        _color_gradients(screen, mesh, live, nearest, antialias, upstream[view], of_colors)
        for f in range(faces):
            cosine = 0.0
            for axis in range(3):
                cosine += mesh.normals[f, axis] * light[2, axis]
            lit = max(facing[f] * cosine, 0.0)
            for c in range(3):
                bright = light[0, c] + light[1, c] * lit
                is_white = albedo[view, f, c] * bright > 1.0
                gradients[view, f, c] = 0.0 if is_white else of_colors[f, c] * bright
