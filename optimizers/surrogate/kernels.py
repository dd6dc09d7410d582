"""The Matern 3/2 kernel along one parameter, plain or periodic, with its first and second integral in closed form.

k(d) = (1 + c d) exp(-c d), c = sqrt(3) / length (Rasmussen & Williams 2006, eq. 4.17). Periodic: the sum of k over all
turns, scaled to k(0) = 1; being a sum of positive definite kernels' images it stays positive definite, which k of the
shorter way round would not be.

Both are made of S(d) = exp(-c d) (A + c B d) with integrals F = int_0 S and G = int_0 F.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from semrob_env.types import FloatArray


@final
@dataclass(frozen=True)
class AxisKernel:
    """The kernel along one parameter in unit coordinates.

    Attributes:
        length: Length scale, above 0.
        turns: Whether the parameter is periodic, with period 1.
    """

    length: float
    turns: bool

    @cached_property
    def _pace(self) -> float:
        return math.sqrt(3.0) / self.length

    @cached_property
    def _factors(self) -> tuple[float, float]:
        """A and B of S: the geometric sums over whole turns."""
        if not self.turns:
            return 1.0, 1.0
        fall = math.exp(-self._pace)
        return 1 / (1 - fall) + self._pace * fall / (1 - fall) ** 2, 1 / (1 - fall)

    @cached_property
    def _ends(self) -> tuple[float, float, float]:
        """S(0) + S(1), F(1), G(1)."""
        one = np.ones(())
        return float(self._sum(0 * one) + self._sum(one)), float(self._integral(one)), float(self._second(one))

    def _sum(self, d: FloatArray) -> FloatArray:
        a, b = self._factors
        return np.asarray(np.exp(-self._pace * d) * (a + self._pace * b * d))

    def _integral(self, d: FloatArray) -> FloatArray:
        a, b = self._factors
        full = (a + b) / self._pace
        return np.asarray(full - np.exp(-self._pace * d) * (full + b * d))

    def _second(self, d: FloatArray) -> FloatArray:
        a, b = self._factors
        full = (a + 2 * b) / self._pace**2
        return np.asarray((a + b) / self._pace * d - full + np.exp(-self._pace * d) * (full + b / self._pace * d))

    def value(self, d: FloatArray) -> FloatArray:
        """k(d) of any signed distance."""
        if not self.turns:
            return self._sum(np.abs(d))
        part = d - np.floor(d)
        return (self._sum(part) + self._sum(1 - part)) / self._ends[0]

    def with_slope(self, d: FloatArray) -> tuple[FloatArray, FloatArray]:
        """k(d) of distances from 0 to 1 (to 1/2 where periodic), and dk / d log(length)."""
        pace = self._pace
        fall = np.exp(-pace * d)
        if not self.turns:
            return fall * (1 + pace * d), fall * (pace * d) ** 2
        # S(d) + S(1 - d) = A (x + y) + c B (d x + (1 - d) y), x = exp(-c d), y = exp(-c (1 - d)), by S(0) + S(1)
        a, b = self._factors
        whole = math.exp(-pace)
        rest, away = whole / fall, 1 - d
        total = a * (fall + rest) + pace * b * (d * fall + away * rest)
        share = whole / (1 - whole)
        b_slope = -share * b  # dB / dc
        a_slope = b_slope + share * b - pace * share * b * (1 + whole) / (1 - whole)
        sums, means = fall + rest, d * fall + away * rest
        slope = a_slope * sums + (b + pace * b_slope - a) * means - pace * b * (d * d * fall + away * away * rest)
        end = a * (1 + whole) + pace * b * whole
        end_slope = a_slope * (1 + whole) + (b + pace * b_slope - a) * whole - pace * b * whole
        return total / end, -pace * (slope - total * (end_slope / end)) / end

    def integral(self, d: FloatArray) -> FloatArray:
        """int_0^d k of any signed distance."""
        if not self.turns:
            return np.asarray(np.sign(d) * self._integral(np.abs(d)))
        both, whole, _ = self._ends
        turns = np.floor(d)
        part = d - turns
        return (self._integral(part) + whole - self._integral(1 - part) + 2 * whole * turns) / both

    def mean_over_pairs(self, width: FloatArray) -> FloatArray:
        """E[k(x - y)] for x, y uniform in an interval of a width above 0, at most 1 where periodic."""
        if not self.turns:
            return 2 * self._second(width) / width**2
        both, first, second = self._ends
        total = self._second(width) + first * width - (second - self._second(1 - width))
        return 2 * total / both / width**2


@final
@dataclass(frozen=True, eq=False)
class ProductKernel:
    """s^2 prod_k (a + (1 - a) k_k): one part of a covariance.

    Attributes:
        size: s^2.
        share: a, from 0 to 1.
        axes: One kernel a parameter.
    """

    size: float
    share: float
    axes: tuple[AxisKernel, ...]

    def value(self, apart: Sequence[FloatArray]) -> FloatArray:
        """Covariance (...) of points that are `apart` (...) along each parameter, with sign."""
        return self.of_means(kernel.value(along) for kernel, along in zip(self.axes, apart, strict=True))

    def of_means(self, means: Iterable[FloatArray]) -> FloatArray:
        """Covariance of what has these means of k_k along each parameter, all of one shape."""
        product: FloatArray = np.asarray(self.size)
        for factor in means:
            if self.share:
                factor = factor * (1 - self.share)
                factor += self.share
            product = product * factor
        return product
