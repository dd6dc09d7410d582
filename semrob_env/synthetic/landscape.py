"""The raw formula of the synthetic functions, sums of products of bumps, exact over boxes; and the best-box problem.

Along one parameter a bump is a plateau with flanks. With d the distance to its centre (the shorter way round where
periodic) and t = clip((|d| - half) / flank, 0, 1):

- sharp: p = 1 - t, a trapezoid;
- smooth: p = (1 - t^2)^2, once continuously differentiable, with curvature.

p is 1 on the plateau, 0 beyond the flanks, symmetric, unimodal and log-concave. Nothing here knows about ids,
families or thresholds (formula first, wiring after: the way of COCO's f_sphere.c).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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

    center: FloatArray  # middle of the plateau
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
        away = x - self.center
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
        # Nodes of the neighboring turns are beyond the reach of the bump at 0.
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


@final
@dataclass(frozen=True, eq=False)
class Landscape:
    """f = low + (high - low) P - depth T with P = prod_k p_k, T = prod_k t_k, and T > 0 only where P = 1.

    Over a box, E[P] and E[P^2] are products of one-dimensional means; with P T = T so is everything that E[f] and
    Var[f] need:
    E[f] = low + h E[P] - depth E[T] and E[(f - low)^2] = h^2 E[P^2] + depth^2 E[T^2] - 2 h depth E[T].
    """

    low: float  # background score
    high: float  # score on the plateau
    bumps: Bumps  # the p_k along A parameters
    trap: Bumps | None = None  # the t_k, or None
    depth: float = 0.0  # how much lower than `high` the trap is; 0 without one

    def values(self, x: FloatArray) -> FloatArray:
        """Scores (...,) at x (..., A)."""
        scores = self.low + (self.high - self.low) * product(self.bumps.values(x))
        if self.trap is not None:
            scores = scores - self.depth * product(self.trap.values(x))
        # Rounding must not leave [low, high]: low + (high - low) may exceed high by an ulp.
        return np.asarray(np.clip(scores, min(self.low, self.high - self.depth), self.high))

    def gradients(self, x: FloatArray) -> FloatArray:
        """Gradients (..., A) at x (..., A)."""
        slopes = self.bumps.slopes(x) * product_of_others(self.bumps.values(x))
        gradients = (self.high - self.low) * slopes
        if self.trap is not None:
            gradients = gradients - self.depth * self.trap.slopes(x) * product_of_others(self.trap.values(x))
        return np.asarray(gradients)

    def moments(self, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (...,) over boxes (..., A)."""
        height = self.high - self.low
        mean, variance = self.bumps.box_moments(lower, upper)
        expected = product(mean)
        spread = product_variance(mean, variance)
        if self.trap is None:
            # Not low + height * expected: on the plateau this is `high` to the last bit.
            return np.asarray(self.high - height * (1 - expected)), np.asarray(height**2 * spread)
        trap_mean, trap_variance = self.trap.box_moments(lower, upper)
        trapped = product(trap_mean)
        trap_spread = product_variance(trap_mean, trap_variance)
        total = height**2 * spread + self.depth**2 * trap_spread - 2 * height * self.depth * trapped * (1 - expected)
        return np.asarray(self.high - height * (1 - expected) - self.depth * trapped), np.maximum(total, 0.0)

    def moment_slopes(self, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Derivatives (2, A) of mean and of variance over one box (A,) with respect to (lower, upper)."""
        height = self.high - self.low
        expected, slope, square_slope = _power_slopes(self.bumps, lower, upper)
        mean_slope = height * slope
        square = height**2 * square_slope
        deviation = height * expected
        if self.trap is not None:
            trapped, trap_slope, trap_square_slope = _power_slopes(self.trap, lower, upper)
            mean_slope = mean_slope - self.depth * trap_slope
            square = square + self.depth**2 * trap_square_slope - 2 * height * self.depth * trap_slope
            deviation -= self.depth * trapped
        return mean_slope, square - 2 * deviation * mean_slope


def product(factors: FloatArray) -> FloatArray:
    """Product (...,) over the last axis in a fixed order: the same bits whatever the batch."""
    result = np.ones(factors.shape[:-1])
    for k in range(factors.shape[-1]):
        result = result * factors[..., k]
    return result


def product_of_others(factors: FloatArray) -> FloatArray:
    """Products (..., A) of all factors but one, without a division."""
    before, after = np.ones(factors.shape), np.ones(factors.shape)
    for k in range(1, factors.shape[-1]):
        before[..., k] = before[..., k - 1] * factors[..., k - 1]
        after[..., -1 - k] = after[..., -k] * factors[..., -k]
    return before * after


def product_variance(mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Variance (...,) of a product of independent factors with these means and variances (..., A).

    prod(m^2 + v) - prod(m^2) as a sum of terms that are not negative, so that nothing cancels.
    """
    square = mean * mean
    result = np.zeros(mean.shape[:-1])
    so_far = np.ones(mean.shape[:-1])
    for k in range(mean.shape[-1]):
        result = result * (square[..., k] + variance[..., k]) + so_far * variance[..., k]
        so_far = so_far * square[..., k]
    return result


def _power_slopes(bumps: Bumps, lower: FloatArray, upper: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """E[P] over one box and the derivatives (2, A) of E[P] and E[P^2] with respect to (lower, upper)."""
    width = upper - lower
    mean, variance = bumps.box_moments(lower, upper)
    square = mean * mean + variance
    edges = bumps.values(np.stack([lower, upper]))
    sense = np.array([[-1.0], [1.0]])
    slope = sense * (edges - mean) / width * product_of_others(mean)
    square_slope = sense * (edges**2 - square) / width * product_of_others(square)
    return float(product(mean)), slope, square_slope


Box = tuple[FloatArray, FloatArray]  # lower and upper bounds, both (A,), unwrapped on periodic parameters


@final
@dataclass(frozen=True, eq=False)
class BoxProblem:
    """Which box with a mean >= least and a variance <= most_variance that contains start is the largest?"""

    landscape: Landscape  # the formula over A parameters
    start: FloatArray  # point (A,) that the box must contain
    low: FloatArray  # lower bounds (A,) of the space
    high: FloatArray  # upper bounds (A,) of the space
    least: float  # smallest mean allowed
    most_variance: float  # largest variance allowed

    @cached_property
    def room(self) -> FloatArray:
        """Widths (A,) of the space."""
        return self.high - self.low

    @cached_property
    def periodic(self) -> BoolArray:
        """Which parameters are periodic, (A,)."""
        return np.isfinite(self.landscape.bumps.period)

    @cached_property
    def walls(self) -> Box:
        """Farthest ends (A,) of a box: the space's, or one turn from start where periodic."""
        return (
            np.where(self.periodic, self.start - self.room, self.low),
            np.where(self.periodic, self.start + self.room, self.high),
        )

    def with_limits(self, least: float, most_variance: float) -> BoxProblem:
        """The same problem with other limits."""
        return replace(self, least=least, most_variance=most_variance)

    def is_feasible(self, box: Box) -> bool:
        """Whether a box meets both limits, exactly."""
        mean, variance = self.landscape.moments(*box)
        return bool(mean >= self.least and variance <= self.most_variance)


def log_volume(box: Box) -> float:
    """Logarithm of a box's volume; minus infinity without a volume."""
    width = box[1] - box[0]
    return float(np.log(width).sum()) if (width > 0).all() else -np.inf
