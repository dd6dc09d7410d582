"""A product of one-dimensional profiles through the start point, as one feature of the Gaussian process.

phi(x) = prod_k h_k(x_k), h_k the scores along the line through the start point in direction k, over the score there:
the factorised form of high dimensional model representation (Tunga & Demiralp 2005). With M points a line it tells
2 n M scores how a function of n parameters falls off in all directions at once, if it is near to a product; if it is
not, the process gives phi a small weight.

The profiles are made of the same scores that the process is told, and would fit them perfectly. So at a point on a line
phi is moved by `OWN_ERROR` of the way to what the other points of the line say there: the process learns from these
gaps how far profiles can be trusted.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any, final

import numpy as np

from semrob_env.types import BoolArray, FloatArray

OWN_ERROR = 0.5
_MOST, _LEAST_SCORE = 1.3, 0.05
_SAME = 1e-12


@final
class Profiles:
    """The profiles through a point: monotone cubic between the points asked on each line, constant beyond them.

    Args:
        center: The start point (n,).
        periodic: Which parameters are periodic (n,), with period 1.
        points: All points asked (N, n); those on a line count, the start point must be among them.
        scores: Their scores (N,) in [0, 1].
    """

    def __init__(self, center: FloatArray, periodic: BoolArray, points: FloatArray, scores: FloatArray) -> None:
        off = np.abs(points - center) > _SAME
        away = off.sum(axis=1)
        top = max(float(scores[away == 0][0]), _LEAST_SCORE)
        self._periodic = periodic
        self._lines = []
        for k in range(len(center)):
            on = (away == 0) | ((away == 1) & off[:, k])
            places, first = np.unique(points[on, k], return_index=True)
            self._lines.append((places, np.clip(scores[on][first] / top, 0.0, _MOST)))
        self._curves = [_curve(*line, bool(turn)) for line, turn in zip(self._lines, periodic, strict=True)]
        self.at_points = self._with_own_error(points, off, away)

    def _with_own_error(self, points: FloatArray, off: BoolArray, away: FloatArray) -> FloatArray:
        """Values of phi (N,) at the points asked, with the error of the module's docstring."""
        phi = self.values(points)
        for row in np.flatnonzero(away == 1):
            k = int(off[row].argmax())
            places, heights = self._lines[k]
            others = places != points[row, k]
            guess = _curve(places[others], heights[others], bool(self._periodic[k])).values(points[row, k : k + 1])[0]
            phi[row] += OWN_ERROR * (guess - phi[row])
        return phi

    def values(self, points: FloatArray) -> FloatArray:
        """Values of phi (N,) at points (N, n)."""
        phi = np.ones(len(points))
        for k, curve in enumerate(self._curves):
            phi = phi * curve.values(points[:, k])
        return phi

    def along(self, k: int, places: FloatArray) -> FloatArray:
        """h_k at places (...,)."""
        return self._curves[k].values(places)

    def integrals(self, k: int, places: FloatArray) -> FloatArray:
        """An integral of h_k up to places (...,), at most one turn from the start point."""
        return self._curves[k].integrals(places)


@final
class _Curve:
    """One profile; periodic ones are told three turns of it."""

    def __init__(self, places: FloatArray, heights: FloatArray, periodic: bool) -> None:
        if periodic:
            places, first = np.unique(np.concatenate([places - 1, places, places + 1]), return_index=True)
            heights = np.tile(heights, 3)[first]
        self._ends = float(places[0]), float(places[-1])
        self._heights = float(heights[0]), float(heights[-1])
        self._curve: Any = None
        if len(places) > 1:
            from scipy.interpolate import PchipInterpolator  # here, for it takes most of a second to import

            self._curve = PchipInterpolator(places, heights)

    @cached_property
    def _area(self) -> Any:
        return self._curve.antiderivative()

    def values(self, places: FloatArray) -> FloatArray:
        if self._curve is None:
            return np.full(places.shape, self._heights[0])
        return np.asarray(self._curve(np.clip(places, *self._ends)))

    def integrals(self, places: FloatArray) -> FloatArray:
        if self._curve is None:
            return np.asarray((places - self._ends[0]) * self._heights[0])
        inside = np.clip(places, *self._ends)
        beyond = np.where(places > inside, self._heights[1], self._heights[0])
        return np.asarray(self._area(inside) + (places - inside) * beyond)


def _curve(places: FloatArray, heights: FloatArray, periodic: bool) -> _Curve:
    return _kept_curve(places.tobytes(), heights.tobytes(), periodic)


@lru_cache(maxsize=4096)
def _kept_curve(places: bytes, heights: bytes, periodic: bool) -> _Curve:
    """Once all points on lines are told, the same profiles are wanted in every step."""
    return _Curve(np.frombuffer(places), np.frombuffer(heights), periodic)
