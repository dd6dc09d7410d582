"""The raw formula of the synthetic functions: a plateau with flanks along each parameter, and its exact box means.

Along one parameter, with d the distance to the centre (the shorter way round where periodic) and
t = clip((|d| - half) / flank, 0, 1):

- sharp: p = 1 - t, a trapezoid;
- smooth: p = (1 - t^2)^2, once continuously differentiable, with curvature.

p is 1 on the plateau, 0 beyond the flanks, symmetric, unimodal and log-concave. Nothing here knows about ids,
families or thresholds (formula first, wiring after: the way of COCO's f_sphere.c).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from semrob_env.types import BoolArray, FloatArray

_RULE = np.polynomial.legendre.leggauss(5)
_NODES, _WEIGHTS = (_RULE[0] + 1) / 2, _RULE[1] / 2
"""Gauss-Legendre on [0, 1]: 5 nodes are exact up to degree 9, and the square of a smooth flank has degree 8."""
_WEIGHTS[2] += 1 - _WEIGHTS.sum()  # so that the mean over a plateau is 1 to the last bit


@final
@dataclass(frozen=True, eq=False)
class Bumps:
    """One bump p_k along each of A parameters; all arrays are (A,) in native units."""

    centre: FloatArray  # middle of the plateau
    half: FloatArray  # half the width of the plateau, 0 or above
    flank: FloatArray  # width of each flank, above 0. On a periodic parameter 2 * (half + flank) < period
    period: FloatArray  # length of one turn, infinite where not periodic
    smooth: bool = False  # smooth flanks instead of straight ones

    @property
    def reach(self) -> FloatArray:
        """Distance from the centre beyond which p is 0."""
        return self.half + self.flank

    @cached_property
    def _is_periodic(self) -> BoolArray:
        return np.isfinite(self.period)

    @cached_property
    def _pieces(self) -> tuple[FloatArray, FloatArray]:
        """Both ends (A, 9) of the polynomial pieces, relative to the centre: flank, plateau, flank in three turns.

        Without a period the pieces of the other turns are empty.
        """
        ends = np.stack([-self.reach, -self.half, self.half, self.reach], axis=-1)
        turns = np.repeat([-1.0, 0.0, 1.0], 3)
        shift = np.where(self._is_periodic, self.period, 0.0)[:, None] * turns
        low, high = np.tile(ends[:, :3], 3) + shift, np.tile(ends[:, 1:], 3) + shift
        return low, np.where(self._is_periodic[:, None] | (turns == 0), high, low)

    def distance(self, x: FloatArray) -> FloatArray:
        """Signed distance (..., A) of x (..., A) to the nearest centre."""
        away = x - self.centre
        if not self._is_periodic.any():
            return np.asarray(away)
        turn = np.where(self._is_periodic, self.period, 1.0)
        return np.where(self._is_periodic, away - turn * np.round(away / turn), away)

    def values(self, x: FloatArray) -> FloatArray:
        """p_k (..., A) at x (..., A)."""
        return self._shape(np.abs(self.distance(x)), self.half, self.flank)

    def slopes(self, x: FloatArray) -> FloatArray:
        """dp_k / dx_k (..., A) at x (..., A); 0 where a trapezoid has a kink."""
        away = self.distance(x)
        t = np.clip((np.abs(away) - self.half) / self.flank, 0.0, 1.0)
        steepness = 4 * t * (1 - t * t) if self.smooth else ((t > 0) & (t < 1)).astype(np.float64)
        return np.asarray(-np.sign(away) * steepness / self.flank)

    def value_at(self, k: int, distance: FloatArray) -> FloatArray:
        """p_k (...,) at distances (...,) of 0 or above."""
        return self._shape(distance, self.half[k], self.flank[k])

    def distance_at(self, k: int, value: FloatArray) -> FloatArray:
        """Largest distance (...,) at which p_k is at least a value (...,): the reach for 0; -1 for what is above 1."""
        t = np.sqrt(np.maximum(1 - np.sqrt(value), 0.0)) if self.smooth else 1 - value
        return np.where(value > 1, -1.0, self.half[k] + self.flank[k] * t)

    def box_moments(self, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (..., A) of p_k over [lower_k, upper_k], both (..., A), at most one turn long.

        Exact up to rounding (Gauss-Legendre on each polynomial piece), also for tiny intervals; at zero width the
        value itself and 0.
        """
        # Shift by whole turns so that the nearest copy of the bump is at 0; both ends get the same shift, and the
        # width is taken after it, so that rounding cannot make a plateau differ from 1.
        middle = (lower + upper) / 2
        offset = middle - self.distance(middle)
        left, right = (lower - offset)[..., None], (upper - offset)[..., None]
        low, high = self._pieces
        start = np.clip(left, low, high)
        length = np.clip(right, low, high) - start
        width = right - left
        share = np.divide(length, width, out=np.zeros_like(length), where=width > 0)
        nodes = start[..., None] + length[..., None] * _NODES
        # Nodes of the neighbouring turns are beyond the reach of the bump at 0.
        turn = np.where(self._is_periodic, self.period, 1.0)[:, None, None]
        turns = np.where(self._is_periodic[:, None, None], np.round(nodes / turn), 0.0)
        p = self._shape(np.abs(nodes - turns * turn), self.half[:, None, None], self.flank[:, None, None])
        mean = (share * (p * _WEIGHTS).sum(axis=-1)).sum(axis=-1)
        spread = (share * ((p - mean[..., None, None]) ** 2 * _WEIGHTS).sum(axis=-1)).sum(axis=-1)
        nothing = np.maximum(1 - share.sum(axis=-1), 0.0)  # the share beyond the flanks, where p is 0
        variance = spread + nothing * mean * mean
        is_point = width[..., 0] <= 0
        if is_point.any():
            mean = np.where(is_point, self.values(lower), mean)
            variance = np.where(is_point, 0.0, variance)
        return np.clip(mean, 0.0, 1.0), variance

    def _shape(self, away: FloatArray, half: FloatArray, flank: FloatArray) -> FloatArray:
        t = np.clip((away - half) / flank, 0.0, 1.0)
        if not self.smooth:
            return np.asarray(1 - t)
        rest = 1 - t * t
        return np.asarray(rest * rest)
