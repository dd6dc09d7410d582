"""Outlines and curves that solids are made from: circles, superellipses, smooth curves, rounded corners."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semrob_env.types import FloatArray


def unit(vectors: FloatArray) -> FloatArray:
    """Vectors (..., n) scaled to length 1; zero stays zero."""
    result: FloatArray = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return result


def circle(segments: int) -> FloatArray:
    """The unit circle, (segments, 2), counter-clockwise."""
    return superellipse(2.0, segments)


def superellipse(exponent: float, segments: int = 48) -> FloatArray:
    """Points of |x|^p + |y|^p = 1, (segments, 2): p = 2 is a circle, p = 4 a square with soft corners."""
    angle = 2.0 * np.pi * np.arange(segments) / segments
    x, y = np.cos(angle), np.sin(angle)
    radius = (np.abs(x) ** exponent + np.abs(y) ** exponent) ** (-1.0 / exponent)
    return np.column_stack([radius * x, radius * y])


def lobes(count: int, depth: float, segments: int = 60) -> FloatArray:
    """A unit circle with count notches of a depth, (segments, 2): flutes, facets, petals."""
    angle = 2.0 * np.pi * np.arange(segments) / segments
    radius = 1.0 - depth * (0.5 - 0.5 * np.cos(count * angle))
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def smooth(points: npt.ArrayLike, steps: int = 8, *, closed: bool = False) -> FloatArray:
    """A curve through points (P, n) with steps pieces per span (Catmull-Rom spline)."""
    knots = np.asarray(points, dtype=np.float64)
    if closed:
        padded = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    share = (np.arange(steps) / steps)[:, None]
    before, start, end, after = (padded[first : len(padded) - 3 + first, None] for first in range(4))
    slope, next_slope = (end - before) / 2.0, (after - start) / 2.0
    square = 3.0 * (end - start) - 2.0 * slope - next_slope
    cube = 2.0 * (start - end) + slope + next_slope
    curve = (start + slope * share + square * share**2 + cube * share**3).reshape(-1, knots.shape[1])
    return curve if closed else np.concatenate([curve, knots[-1:]], axis=0)


def rounded(points: npt.ArrayLike, radius: float, steps: int = 4, *, closed: bool = False) -> FloatArray:
    """A polyline (P, n) with its corners replaced by parabolic arcs that start `radius` before the corner."""
    knots = np.asarray(points, dtype=np.float64)
    pieces = [] if closed else [knots[:1]]
    for index in range(len(knots)) if closed else range(1, len(knots) - 1):
        corner, before, after = knots[index], knots[index - 1], knots[(index + 1) % len(knots)]
        cut = min(radius, 0.49 * float(np.linalg.norm(before - corner)), 0.49 * float(np.linalg.norm(after - corner)))
        enter, leave = corner + cut * unit(before - corner), corner + cut * unit(after - corner)
        share = np.linspace(0.0, 1.0, steps + 1)[:, None]
        pieces.append((1 - share) ** 2 * enter + 2 * share * (1 - share) * corner + share**2 * leave)
    return np.concatenate(pieces if closed else [*pieces, knots[-1:]])


def signed_area(outline: FloatArray) -> float:
    """Area of a polygon (S, 2), positive if counter-clockwise."""
    after = np.roll(outline, -1, axis=0)
    return float(np.sum(outline[:, 0] * after[:, 1] - outline[:, 1] * after[:, 0])) / 2.0


def inset(outline: FloatArray, width: float) -> FloatArray:
    """A counter-clockwise outline (S, 2) moved inwards by width, miterd at its corners."""
    ahead = unit(np.roll(outline, -1, axis=0) - outline)
    middle = ahead + np.roll(ahead, 1, axis=0)
    normal = np.column_stack([-middle[:, 1], middle[:, 0]])
    miterd: FloatArray = outline + 2.0 * width * normal / np.maximum((normal**2).sum(axis=1, keepdims=True), 0.5)
    return miterd
