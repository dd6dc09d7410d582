"""The solids that every shape is built of: loft, lathe, sweep, rod, extrusion, plate, rim, box, sheet, superellipsoid.

All of them are closed and wound outward. Sizes are full sizes. In the paper's scenes light comes from straight
above, so vertical walls all look alike: what shows is silhouette, ledges, steps and bevels.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from semrob_env.scene.polygons import cut_ears
from semrob_env.scene.shapes.curves import circle, inset, signed_area, unit
from semrob_env.scene.shapes.solid import Solid
from semrob_env.types import FloatArray, IntArray


def loft(rings: npt.ArrayLike, *, ring_of_rings: bool = False) -> Solid:
    """Skin over a stack of K >= 2 closed rings (K, S, 3), all running the same way round, with a fan at each end.

    With `ring_of_rings` the last ring is joined to the first one (a torus) instead.
    """
    points = np.asarray(rings, dtype=np.float64)
    count, around = points.shape[:2]
    index = np.arange(count * around).reshape(count, around)
    if ring_of_rings:
        return Solid.outward(points.reshape(-1, 3), _wall(np.concatenate([index, index[:1]])))
    wall, after = _wall(index), np.roll(index, -1, axis=1)
    low, high = count * around, count * around + 1
    floor = np.stack([np.full(around, low), after[0], index[0]], axis=1)
    roof = np.stack([np.full(around, high), index[-1], after[-1]], axis=1)
    ends = points[[0, -1]].mean(axis=1)
    return Solid.outward(np.concatenate([points.reshape(-1, 3), ends]), np.concatenate([wall, floor, roof]))


def lathe(
    profile: npt.ArrayLike, *, section: FloatArray | None = None, segments: int = 48, hollow: bool = False
) -> Solid:
    """Turn a profile around the y axis.

    Args:
        profile: (K, 2) pairs (radius > 0, height). It may run up the outside and down the inside of a vessel; both
            ends are closed with a disc.
        section: (S, 2) outline in x and z that replaces the unit circle, e.g. `superellipse(4)` for a square jar.
        segments: Points of the circle.
        hollow: The profile is a closed outline beside the axis (a ring), not one that ends at it.
    """
    pairs = np.asarray(profile, dtype=np.float64)
    outline = circle(segments) if section is None else section
    rings = np.empty((len(pairs), len(outline), 3))
    rings[:, :, [0, 2]] = pairs[:, None, :1] * outline
    rings[:, :, 1] = pairs[:, 1:]
    return loft(rings, ring_of_rings=hollow)


def sweep(
    path: npt.ArrayLike,
    section: FloatArray | float,
    *,
    taper: npt.ArrayLike = 1.0,
    closed: bool = False,
    segments: int = 10,
    up: Sequence[float] = (0.0, 1.0, 0.0),
) -> Solid:
    """Carry a section along a curve: tubes, handles, rails.

    Args:
        path: (P, 3) points of the curve.
        section: Radius of a round tube, or (S, 2) outline: first axis sideways, second towards `up`.
        taper: Factor on the section, one number or one per point.
        closed: The path is a loop.
        segments: Points around a round tube.
        up: Direction that the section's second axis leans to; never along the path. For a flat curve: its normal.
    """
    points = np.asarray(path, dtype=np.float64)
    outline = section * circle(segments) if isinstance(section, float) else np.asarray(section)
    ahead = unit(np.roll(points, -1, axis=0) - points)
    behind = np.roll(ahead, 1, axis=0)
    if not closed:
        ahead[-1], behind[0] = behind[-1], ahead[0]
    tangent = unit(ahead + behind)
    side = unit(np.cross(tangent, np.asarray(up, dtype=np.float64)))
    top = np.cross(side, tangent)
    size = np.broadcast_to(np.asarray(taper, dtype=np.float64), len(points))[:, None, None]
    rings = size * (outline[None, :, :1] * side[:, None] + outline[None, :, 1:] * top[:, None])
    # A bend would pinch the tube: stretch its section in the plane of the bend, as a carpenter's miter does.
    bend = unit(ahead - behind)
    miter = 1.0 / np.clip(np.einsum("pi,pi->p", tangent, ahead), 0.5, 1.0) - 1.0
    rings += (np.einsum("psi,pi->ps", rings, bend) * miter[:, None])[:, :, None] * bend[:, None]
    return loft(points[:, None] + rings, ring_of_rings=closed)


def rod(
    start: Sequence[float], end: Sequence[float], radius: float, *, taper: float = 1.0, segments: int = 10
) -> Solid:
    """A straight round bar between two points; taper is the share of the radius that is left at the end."""
    along = np.subtract(end, start)
    up = (0.0, 0.0, 1.0) if abs(along[1]) > 0.9 * np.linalg.norm(along) else (0.0, 1.0, 0.0)
    return sweep([start, end], float(radius), taper=[1.0, taper], segments=segments, up=up)


def extrude(outline: npt.ArrayLike, height: float, *, bevel: float = 0.0) -> Solid:
    """A slab from y = 0 to y = height over an outline (S, 2) in x and z; bevel is a chamfer of its upper edge."""
    flat = _counter_clockwise(outline)
    layers = [(flat, 0.0), (flat, height)]
    if bevel > 0.0:
        layers[1:] = [(flat, height - bevel), (inset(flat, bevel), height)]
    return _prism(flat, layers, axis=1)


def rim(outline: npt.ArrayLike, width: float, low: float, high: float) -> Solid:
    """A wall of constant width just inside an outline (S, 2) in x and z, from y = low to y = high."""
    outer = _counter_clockwise(outline)
    inner = inset(outer, width)
    return loft([level(outer, low), level(outer, high), level(inner, high), level(inner, low)], ring_of_rings=True)


def box(x: float, y: float, z: float, *, bevel: float = 0.0) -> Solid:
    """A box centered at the origin, its edges and corners cut by bevel."""
    wide, tall, deep = x / 2.0, y / 2.0, z / 2.0
    cut = min(bevel, 0.8 * min(wide, tall, deep))
    if cut <= 0.0:
        corners = np.array([[1, -1], [1, 1], [-1, 1], [-1, -1]]) * np.array([wide, deep])
        return loft([level(corners, -tall), level(corners, tall)])
    small, full = _octagon(wide - cut, deep - cut, 0.4 * cut), _octagon(wide, deep, cut)
    levels = [(small, -tall), (full, cut - tall), (full, tall - cut), (small, tall)]
    return loft([level(ring, y) for ring, y in levels])


def sheet(surface: npt.ArrayLike, thickness: float) -> Solid:
    """A curved plate: a grid of points (U, V, 3), thickened by half the thickness to both sides."""
    grid = np.asarray(surface, dtype=np.float64)
    normal = unit(np.cross(np.gradient(grid, axis=0), np.gradient(grid, axis=1)))
    rows, columns = grid.shape[:2]
    upper = np.arange(rows * columns).reshape(rows, columns)
    lower = upper + rows * columns
    top = _quads(upper[:-1, :-1], upper[1:, :-1], upper[1:, 1:], upper[:-1, 1:])
    bottom = top[:, ::-1] + rows * columns
    edge = np.concatenate([upper[0, :-1], upper[:-1, -1], upper[-1, :0:-1], upper[:0:-1, 0]])
    after = np.roll(edge, -1)
    side = _quads(edge, after, lower.ravel()[after], lower.ravel()[edge])
    half = normal * thickness / 2
    vertices = np.concatenate([grid + half, grid - half]).reshape(-1, 3)
    return Solid.outward(vertices, np.concatenate([top, bottom, side]))


def superellipsoid(
    x: float, y: float, z: float, *, roundness: float = 1.0, rings: int = 12, segments: int = 24
) -> Solid:
    """A rounded body centered at the origin: roundness 1 is an ellipsoid, towards 0 a box with soft edges."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings + 2)[1:-1]
    longitude = 2.0 * np.pi * np.arange(segments) / segments
    waves = (np.cos(latitude), np.sin(latitude), np.cos(longitude), np.sin(longitude))
    wide, high, right, front = (np.sign(wave) * np.abs(wave) ** roundness for wave in waves)
    points = np.empty((rings, segments, 3))
    points[:, :, 0] = x / 2 * wide[:, None] * right
    points[:, :, 1] = y / 2 * high[:, None]
    points[:, :, 2] = z / 2 * wide[:, None] * front
    return loft(points)


def plate(outline: npt.ArrayLike, thickness: float, *, bevel: float = 0.0) -> Solid:
    """A slab across x over an outline (S, 2) in z and y, its middle at x = 0; bevel is a chamfer of both edges."""
    flat = _counter_clockwise(np.asarray(outline, dtype=np.float64)[:, ::-1])
    side, small = thickness / 2.0, inset(flat, bevel)
    layers = [(small, -side), (flat, bevel - side), (flat, side - bevel), (small, side)]
    return _prism(flat, layers if bevel > 0.0 else [(flat, -side), (flat, side)], axis=0)


def level(outline: FloatArray, y: float) -> FloatArray:
    """An outline (S, 2) in x and z at a height, (S, 3)."""
    return np.insert(outline, 1, y, axis=1)


def _prism(outline: FloatArray, layers: Sequence[tuple[FloatArray, float]], *, axis: int) -> Solid:
    """Outlines (S, 2) at places along an axis, its ends closed by triangles of the counter-clockwise outline."""
    vertices = np.concatenate([np.insert(ring, axis, place, axis=1) for ring, place in layers])
    index = np.arange(len(vertices)).reshape(len(layers), len(outline))
    lid, _ = cut_ears(np.ascontiguousarray(outline), sys.maxsize)
    lid[-1].sort()  # the last triangle begins at its lowest corner, as it always did
    return Solid.outward(vertices, np.concatenate([_wall(index), lid[:, ::-1], lid + index[-1, 0]]))


def _wall(rings: IntArray) -> IntArray:
    """Triangles between each ring of corners (K, S) and the next."""
    after = np.roll(rings, -1, axis=1)
    return _quads(rings[:-1], after[:-1], after[1:], rings[1:])


def _quads(a: IntArray, b: IntArray, c: IntArray, d: IntArray) -> IntArray:
    """Two triangles for each four corners a, b, c, d in order."""
    a, b, c, d = (corner.ravel() for corner in (a, b, c, d))
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def _octagon(wide: float, deep: float, cut: float) -> FloatArray:
    """A rectangle of half sizes with cut corners, counter-clockwise."""
    corners = np.array([(wide, cut - deep), (wide, deep - cut), (wide - cut, deep), (cut - wide, deep)])
    return np.concatenate([corners, -corners])


def _counter_clockwise(outline: npt.ArrayLike) -> FloatArray:
    flat = np.asarray(outline, dtype=np.float64)
    return flat if signed_area(flat) > 0 else flat[::-1]
