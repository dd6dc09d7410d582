"""A Gaussian process whose means over boxes are known in closed form: Bayesian quadrature.

f(x) - 1/2 has the covariance

    c(x, y) = 1/4 + s^2 prod_k (a + (1 - a) k_k(x_k, y_k)) + r^2 prod_k k'_k(x_k, y_k) + b^2 phi(x) phi(y)

with `AxisKernel` k_k; a > 0 lets a score speak for other values of the other parameters too (analysis of variance
kernels, Durrande et al. 2012). k'_k is k_k at a fifth of its length: fine structure that is not noise, without which
a score would tell little of its closest surroundings where f is rough. phi is a feature (`separable`); r is 0
with one, b without. As all is made of products, the mean of c over a box is one: E_D[f] given the scores is a normal
number, with mean and variance in closed form (O'Hagan 1991). E_D[f^2] is estimated by the same weights, and its error
from that of E_D[f].

What the numbers s, a, r, b, the lengths and the noise are is decided by their posterior mode. The priors are broad, and
alike for every function: length 0.2 of a range, s 0.25, r 0.05, noise 0.01 (0.03 with a feature), each within a factor
of about 2 to 3.

`AxisKernel` is the Matern 3/2 kernel k(d) = (1 + c d) exp(-c d), c = sqrt(3) / length (Rasmussen & Williams 2006, eq.
4.17). Periodic: the sum of k over all turns, scaled to k(0) = 1; being a sum of positive definite kernels' images it
stays positive definite, which k of the shorter way round would not be. Both are made of S(d) = exp(-c d) (A + c B d)
with integrals F = int_0 S and G = int_0 F.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from optimizers.surrogate.separable import Profiles
from semrob_env.types import BoolArray, FloatArray, IntArray

PRIOR_MEAN, PRIOR_VARIANCE = 0.5, 0.25
PRIOR_SQUARE = 0.125
_JITTER = 1e-6
_FINER = 0.2
_INTERACTIONS = 1.6
"""The a of the prior lets so many parameters act together, whatever their number."""
_FIT_STEPS = 12
_BROAD, _BROADER = 0.8, 1.2
_TINY = 1e-12
_OFF = -30.0
"""The logit or logarithm of what is not there."""
COARSE = 8
_CELLS = ((12, 1), (24, 2), (48, 3), (96, 6))
"""Up to so many 96ths of the way from the start point, cells are so many 96ths wide."""


@final
@dataclass(frozen=True)
class AxisKernel:
    """The kernel along one parameter in unit coordinates.

    Attributes:
        length: Length scale, above 0.
        periodic: Whether the parameter is periodic, with period 1.
    """

    length: float
    periodic: bool

    @cached_property
    def _pace(self) -> float:
        return math.sqrt(3.0) / self.length

    @cached_property
    def _factors(self) -> tuple[float, float]:
        """A and B of S: the geometric sums over whole turns."""
        if not self.periodic:
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
        if not self.periodic:
            return self._sum(np.abs(d))
        part = d - np.floor(d)
        return (self._sum(part) + self._sum(1 - part)) / self._ends[0]

    def with_slope(self, d: FloatArray) -> tuple[FloatArray, FloatArray]:
        """k(d) of distances from 0 to 1 (to 1/2 where periodic), and dk / d log(length)."""
        pace = self._pace
        fall = np.exp(-pace * d)
        if not self.periodic:
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
        if not self.periodic:
            return np.asarray(np.sign(d) * self._integral(np.abs(d)))
        both, whole, _ = self._ends
        periodic = np.floor(d)
        part = d - periodic
        return (self._integral(part) + whole - self._integral(1 - part) + 2 * whole * periodic) / both

    def mean_over_pairs(self, width: FloatArray) -> FloatArray:
        """E[k(x - y)] for x, y uniform in an interval of a width above 0, at most 1 where periodic."""
        if not self.periodic:
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


def prior_of_logs(n: int, *, with_feature: bool) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the prior of (log lengths, log s, log noise, logit a, log r or b)."""
    a = math.log(max(n / _INTERACTIONS - 1, 0.25))
    noise, last = (0.03, 0.5) if with_feature else (0.01, 0.05)
    mean = [math.log(0.2)] * n + [math.log(0.25), math.log(noise), a, math.log(last)]
    return np.array(mean), np.array([_BROAD] * (n + 1) + [_BROADER, 1.0, 1.0])


def generic_prior(n: int) -> tuple[FloatArray, FloatArray]:
    """The prior of a plain Gaussian process, one product kernel; a standard deviation of 0 holds a number fixed.

    Lengths grow with the square root of n, as distances do (Hvarfner, Hellsten & Nardi, *Vanilla Bayesian optimization
    performs great in high dimensions*, ICML 2024).
    """
    mean, deviation = prior_of_logs(n, with_feature=False)
    mean[:n] += max(0.5 * math.log(n / 2), 0.0)
    mean[n + 2 :], deviation[n + 2 :] = _OFF, 0.0
    return mean, deviation


def parts_of(logs: FloatArray, periodic: BoolArray, *, with_feature: bool) -> list[ProductKernel]:
    """The product kernels of the covariance: the one with constants and, without a feature, the finer one."""
    n = len(periodic)
    lengths = np.exp(logs[:n])
    broad = tuple(AxisKernel(float(one), bool(turn)) for one, turn in zip(lengths, periodic, strict=True))
    parts = [ProductKernel(math.exp(2 * logs[n]), 1 / (1 + math.exp(-logs[n + 2])), broad)]
    if not with_feature and logs[n + 3] > _OFF:
        fine = tuple(AxisKernel(kernel.length * _FINER, kernel.periodic) for kernel in broad)
        parts.append(ProductKernel(math.exp(2 * logs[n + 3]), 0.0, fine))
    return parts


def fit(
    logs: FloatArray,
    points: FloatArray,
    scores: FloatArray,
    periodic: BoolArray,
    feature: FloatArray | None,
    prior: tuple[FloatArray, FloatArray] | None = None,
    also: FloatArray | None = None,
) -> FloatArray:
    """A mode of the posterior of the numbers, searched from `logs` and `also` (and the prior with a feature)."""
    from scipy.optimize import minimize  # here, for it takes most of a second to import

    n = points.shape[1]
    mean, deviation = prior_of_logs(n, with_feature=feature is not None) if prior is None else prior
    limits = [(-3.0, 3.0)] * n + [(-4.5, 1.2), (-7.0, -0.5), (-6.0, 6.0), (-6.0, 0.5)]
    limits = [own if wide else (at, at) for own, at, wide in zip(limits, mean.tolist(), deviation > 0, strict=True)]
    prior = mean, np.where(deviation > 0, deviation, 1.0)
    apart = points[:, None, :] - points[None, :, :]
    apart = np.abs(np.where(periodic, apart - np.round(apart), apart))
    best, least = logs, math.inf
    for start in [logs, *([] if feature is None else [prior[0]]), *([] if also is None else [also])]:
        found = minimize(
            _cost,
            start,
            args=(apart, scores - PRIOR_MEAN, periodic, feature, prior),
            jac=True,
            method="L-BFGS-B",
            bounds=limits,
            options={"maxiter": _FIT_STEPS},
        )
        if found.fun < least:
            best, least = np.asarray(found.x), float(found.fun)
    return best


def _cost(
    logs: FloatArray,
    apart: FloatArray,
    told: FloatArray,
    periodic: BoolArray,
    feature: FloatArray | None,
    prior: tuple[FloatArray, FloatArray],
) -> tuple[float, FloatArray]:
    """Minus the log posterior of the numbers, and its slopes (Rasmussen & Williams 2006, eq. 5.9)."""
    n, noise = apart.shape[-1], math.exp(2 * logs[apart.shape[-1] + 1])
    parts = parts_of(logs, periodic, with_feature=feature is not None)
    along = [[kernel.with_slope(apart[..., k]) for k, kernel in enumerate(part.axes)] for part in parts]
    products = [part.of_means(values for values, _ in axes) for part, axes in zip(parts, along, strict=True)]
    covariance = PRIOR_VARIANCE + np.sum(products, axis=0)
    if feature is not None:
        covariance = covariance + math.exp(2 * logs[n + 3]) * np.multiply.outer(feature, feature)
    inverse, log_root = _inverse(covariance, noise)
    weights = inverse @ told
    inner = 0.5 * (inverse - np.multiply.outer(weights, weights))
    slopes = np.zeros_like(logs)
    for index, (part, axes, product) in enumerate(zip(parts, along, products, strict=True)):
        a, weighted, by_a = part.share, inner * product, 0.0
        for k, (values, value_slopes) in enumerate(axes):
            rest = weighted / (a + (1 - a) * values)
            slopes[k] += (1 - a) * np.vdot(rest, value_slopes)
            by_a += float(rest.sum() - np.vdot(rest, values))
        slopes[n + 3 if index else n] = 2 * weighted.sum()
        if not index:
            slopes[n + 2] = by_a * a * (1 - a)
    slopes[n + 1] = 2 * noise * np.trace(inner)
    if feature is not None:
        slopes[n + 3] = 2 * math.exp(2 * logs[n + 3]) * (feature @ inner @ feature)
    off = (logs - prior[0]) / prior[1]
    return float(0.5 * told @ weights + log_root + 0.5 * (off**2).sum()), slopes + off / prior[1]


def _inverse(covariance: FloatArray, noise: float) -> tuple[FloatArray, float]:
    """Inverse of covariance + noise, and half its log determinant."""
    from scipy.linalg.lapack import dpotrf, dpotri  # here, for it takes a while to import

    filled = covariance.copy()
    filled[np.diag_indices(len(filled))] += noise + _JITTER
    root, failed = dpotrf(filled, lower=1)
    if failed:
        raise np.linalg.LinAlgError("covariance of scores is not positive definite")
    half, _ = dpotri(root, lower=1)
    lower = np.tril(half)
    return lower + np.tril(half, -1).T, float(np.log(np.diag(root)).sum())


@final
@dataclass(frozen=True, eq=False)
class Lattice:
    """The places that sides of boxes may take: from the start point outwards, evenly to the walls or a turn away.

    Attributes:
        sides: Places (n, 2, L + 1): lower sides, then upper ones, the start point first.
        periodic: Which parameters are periodic (n,).
    """

    sides: FloatArray
    periodic: BoolArray

    @classmethod
    def around(cls, center: FloatArray, periodic: BoolArray, steps: int) -> Lattice:
        """The lattice around a point (n,) of the unit cube; along periodic parameters the point is 0."""
        out = np.arange(steps + 1) / steps
        reach = np.stack([np.where(periodic, 1.0, center), np.where(periodic, 1.0, 1.0 - center)], axis=1)
        signs = np.array([-1.0, 1.0])
        return cls(center[:, None, None] + (signs * reach)[..., None] * out, periodic)

    @cached_property
    def coarse(self) -> tuple[list[IntArray], list[FloatArray], IntArray]:
        """Intervals (M, 2) of every COARSE-th step and their widths (M,), and the order of boxes (n < 3) by volume."""
        steps = np.arange(0, self.steps + 1, COARSE)
        down, up = (side.ravel() for side in np.meshgrid(steps, steps, indexing="ij"))
        pairs, widths = [], []
        for k, periodic in enumerate(self.periodic):
            width = self.sides[k, 1, up] - self.sides[k, 0, down]
            kept = (width > 0) & ((down + up <= self.steps) | ~periodic)
            pairs.append(np.stack([down[kept], up[kept]], axis=1))
            widths.append(width[kept])
        volume = np.multiply.outer(widths[0], widths[1] if len(widths) == 2 else np.ones(1)).ravel()
        return pairs, widths, np.argsort(-volume, kind="stable")

    @cached_property
    def _cell_steps(self) -> list[IntArray]:
        """Per parameter the steps away from the start point at which cells end; periodic ones: alike from both ends."""
        ends = [0]
        for until, width in _CELLS:
            ends += range(ends[-1] + width, until + 1, width)
        plain = np.array(ends) * self.steps // _CELLS[-1][0]
        half = plain[plain <= self.steps // 2]
        turn = np.concatenate([half, self.steps - half[-2::-1]])
        return [turn if periodic else plain for periodic in self.periodic]

    @cached_property
    def cell_edges(self) -> list[FloatArray]:
        """Edges of cells along each parameter, fine near the start point: a turn from it, or from wall to wall."""
        return [
            self.sides[k, 1, steps]
            if periodic
            else np.concatenate([self.sides[k, 0, steps[:0:-1]], self.sides[k, 1, steps]])
            for k, (steps, periodic) in enumerate(zip(self._cell_steps, self.periodic, strict=True))
        ]

    @cached_property
    def cell_places(self) -> list[tuple[IntArray, FloatArray]]:
        """Per parameter where lower and upper sides of boxes lie among the edges of cells; see `cell_edges`.

        The edges before them (2, L + 1), and the weights (2, 2, L + 1) of these and of the next ones. Periodic
        parameters have the edges of two turns, with the start point in their middle.
        """
        found = []
        for steps in self._cell_steps:
            out = np.interp(np.arange(self.steps + 1), steps, np.arange(len(steps)))
            places = np.stack([out[-1] - out, out[-1] + out])
            before = np.minimum(np.floor(places).astype(np.int64), 2 * len(steps) - 3)
            found.append((before, np.stack([1 - places + before, places - before])))
        return found

    @property
    def steps(self) -> int:
        """Number L of steps on each side."""
        return int(self.sides.shape[2]) - 1

    def bounds(self, boxes: IntArray) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds (M, n) of boxes (M, n, 2), told by the steps that their sides are away."""
        each = np.arange(len(self.sides))
        return self.sides[each, 0, boxes[..., 0]], self.sides[each, 1, boxes[..., 1]]


@final
class Process:
    """The process given scores; see the module.

    Args:
        logs: The numbers, as `fit` gives them.
        points: Points (N, n) in unit coordinates.
        scores: Their scores (N,) in [0, 1].
        lattice: Where sides of boxes may lie.
        profiles: The feature; None: none.
    """

    def __init__(
        self,
        logs: FloatArray,
        points: FloatArray,
        scores: FloatArray,
        lattice: Lattice,
        profiles: Profiles | None,
    ) -> None:
        self.points, self.lattice, self.profiles = points, lattice, profiles
        n = points.shape[1]
        self.n, self.noise = n, math.exp(2 * logs[n + 1]) + _JITTER
        self.weight = 0.0 if profiles is None else math.exp(2 * logs[n + 3])
        self.parts = parts_of(logs, lattice.periodic, with_feature=profiles is not None)
        self.feature = np.zeros(len(points)) if profiles is None else profiles.at_points
        covariance = self.cross(points, self.feature)
        self.inverse, _ = _inverse(covariance, self.noise - _JITTER)
        told = scores - PRIOR_MEAN
        second = told * told - PRIOR_SQUARE
        self.mean_weights, self.square_weights = self.inverse @ told, self.inverse @ second
        spread = [told @ self.mean_weights, told @ self.square_weights, second @ self.square_weights]
        self._spread = [float(number) for number in spread]

    def left_out(self) -> tuple[FloatArray, FloatArray]:
        """For each score, told by all others (N,): how many standard deviations it is off, and these.

        In closed form (Rasmussen & Williams 2006, eqs. 5.10 to 5.12).
        """
        deviation = 1 / np.sqrt(np.diag(self.inverse))
        return self.mean_weights * deviation, deviation

    @cached_property
    def tables(self) -> FloatArray:
        """Integrals of k_k of each part from each point to each place of the lattice, (parts, n, 2, L + 1, N)."""
        sides = self.lattice.sides[..., None] - self.points.T[:, None, None, :]
        return np.stack([[kernel.integral(sides[k]) for k, kernel in enumerate(part.axes)] for part in self.parts])

    @cached_property
    def _pairs(self) -> FloatArray:
        """E[k_k(x - y)] of each part for x, y in an interval by the steps of its sides, (parts, n, L + 1, L + 1)."""
        widths = self.lattice.sides[:, 1, None, :] - self.lattice.sides[:, 0, :, None]
        widths = np.where(widths > 0, widths, 1.0)  # no interval
        return np.stack([
            [kernel.mean_over_pairs(widths[k]) for k, kernel in enumerate(own.axes)] for own in self.parts
        ])

    @cached_property
    def _feature_tables(self) -> FloatArray:
        assert self.profiles is not None
        return np.stack([self.profiles.integrals(k, self.lattice.sides[k]) for k in range(self.n)])

    def feature_at(self, points: FloatArray) -> FloatArray:
        """Values of phi (M,) at points (M, n)."""
        return np.zeros(len(points)) if self.profiles is None else self.profiles.values(points)

    def cross(self, others: FloatArray, feature: FloatArray) -> FloatArray:
        """Prior covariance (M, N) of other points (M, n), whose phi is (M,), with the points."""
        return self.covariance(others, feature, self.points, self.feature)

    def covariance(
        self, some: FloatArray, feature: FloatArray, others: FloatArray, other_feature: FloatArray
    ) -> FloatArray:
        """Prior covariance (M, P) of points (M, n) with points (P, n)."""
        apart = [some[:, None, k] - others[None, :, k] for k in range(self.n)]
        total = PRIOR_VARIANCE + sum(part.value(apart) for part in self.parts)
        return np.asarray(total + self.weight * np.multiply.outer(feature, other_feature))

    def grid_cross(self, places: Sequence[FloatArray]) -> FloatArray:
        """Prior covariance (C_1 ... C_n, N) of a grid, C_k places along parameter k, with the points; without phi."""
        total = np.full((1, len(self.points)), PRIOR_VARIANCE)
        for part in self.parts:
            product = np.full((1, len(self.points)), part.size)
            for k, (kernel, own) in enumerate(zip(part.axes, places, strict=True)):
                factor = part.share + (1 - part.share) * kernel.value(own[:, None] - self.points[:, k])
                product = (product[:, None] * factor).reshape(-1, len(self.points))
            total = total + product
        return total

    def marginals(self, feature: FloatArray, cross: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation (M,) of f at points with these phi (M,) and covariances (M, N)."""
        unknown = self.variance_at(feature) - np.einsum("mi,mi->m", cross @ self.inverse, cross)
        return PRIOR_MEAN + cross @ self.mean_weights, np.sqrt(np.maximum(unknown, _TINY))

    def variance_at(self, feature: FloatArray) -> FloatArray:
        """Prior variances (M,) of points whose phi is (M,)."""
        return PRIOR_VARIANCE + sum(part.size for part in self.parts) + self.weight * feature**2

    def box_feature(self, boxes: IntArray) -> FloatArray:
        """Mean of phi (M,) over boxes (M, n, 2)."""
        mean = np.ones(len(boxes)) if self.profiles is not None else np.zeros(len(boxes))
        if self.profiles is not None:
            lower, upper = self.lattice.bounds(boxes)
            for k in range(self.n):
                low, high = self._feature_tables[k, 0, boxes[:, k, 0]], self._feature_tables[k, 1, boxes[:, k, 1]]
                mean = mean * ((high - low) / (upper[:, k] - lower[:, k]))
        return mean

    def along(self, k: int, lower: IntArray, upper: IntArray, width: FloatArray) -> FloatArray:
        """Means (parts, M, N) of k_k of each part over intervals (M,) of parameter k and each of the points."""
        tables = self.tables[:, k]
        means = tables[:, 1].take(upper, axis=1)
        means -= tables[:, 0].take(lower, axis=1)
        means /= width[:, None]
        return means

    def box_covariance(self, boxes: IntArray) -> tuple[FloatArray, FloatArray]:
        """Prior covariance (M, N) of means over boxes (M, n, 2) with the scores, and prior variances (M,)."""
        lower, upper = self.lattice.bounds(boxes)
        width = upper - lower
        means = [self.along(k, boxes[:, k, 0], boxes[:, k, 1], width[:, k]) for k in range(self.n)]
        cross, own = np.full((len(boxes), len(self.points)), PRIOR_VARIANCE), np.full(len(boxes), PRIOR_VARIANCE)
        for index, part in enumerate(self.parts):
            cross += part.of_means(mean[index] for mean in means)
            own += part.of_means(self._pairs[index, k, boxes[:, k, 0], boxes[:, k, 1]] for k in range(self.n))
        if self.profiles is not None:
            phi = self.box_feature(boxes)
            cross += self.weight * np.multiply.outer(phi, self.feature)
            own += self.weight * phi * phi
        return cross, own

    def moments(self, boxes: IntArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """For boxes (M, n, 2): mean and its standard deviation, variance and its standard deviation, (M,) each."""
        cross, own = self.box_covariance(boxes)
        unknown = own - np.einsum("mi,mi->m", cross @ self.inverse, cross)
        deviation = np.sqrt(np.maximum(unknown, _TINY))
        above = cross @ self.mean_weights
        square = PRIOR_SQUARE + cross @ self.square_weights
        # (f - E_D[f])^2 varies over the space so many times as much as f, by the same weights.
        first, mixed, second = self._spread
        times = np.sqrt(np.maximum(second - 4 * above * mixed + 4 * above**2 * first, _TINY) / max(first, _TINY))
        variance = np.clip(square - above**2, 0.0, 0.25)
        return PRIOR_MEAN + above, deviation, variance, deviation * np.minimum(times, 1.0)
