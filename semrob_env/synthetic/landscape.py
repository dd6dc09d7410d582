"""Sums of products of bumps: values, gradients, and the exact mean and variance over a box with their derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from semrob_env.synthetic.bumps import Bumps
from semrob_env.types import FloatArray


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
