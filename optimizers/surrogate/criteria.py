"""What a goal asks of a box, told by a process: margins, chances, and what a point would tell about them.

A box is told by the steps that its sides are away from the start point on a `Lattice`, (n, 2). Its *margins*, one a
bound of the goal, are taken with caution k: with k > 0 all of them above 0 mean that the goal is met with a
probability, with k < 0 that it may well be.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache, cached_property
from typing import ClassVar, final

import numpy as np

from optimizers.surrogate.process import COARSE, PRIOR_MEAN, PRIOR_VARIANCE, Process
from semrob_env.questions import MOST_VARIANCE, Goal
from semrob_env.sequences import evenly_spread
from semrob_env.types import FloatArray, IntArray

_BLOCK, _MOST_BLOCKS = 192, 6
_LARGE_ERROR = 0.5
"""No mean over a box is expected to be more uncertain than this."""
_WIDER = 1.4
"""Errors are taken to be so many times what the process says where its probabilities weigh gains."""
TOGETHER = 0.5
"""A field that errs by one standard deviation everywhere at once errs too much: errors far apart are not alike."""
WORSE = 1.2
"""The share of a box below the threshold is taken to be so many times what the process says."""
_LEAST_ROUGHNESS = 1e-3
_BOX_POINTS = 256
_HALF_CHANCE = 0.5
_TINY = 1e-12
_MOST_FOR_CELLS = 2
"""Cells of more parameters would be too many."""


class Criterion(ABC):
    """What a goal asks of boxes, as far as a process knows.

    Args:
        process: The process.
        goal: The goal.
    """

    must_verify: ClassVar[bool] = False
    """Whether the recommended box itself is to be asked about, too: what is known outside of it says little of it."""

    def __init__(self, process: Process, goal: Goal) -> None:
        self.process = process
        self.goal = goal

    @staticmethod
    @abstractmethod
    def told(goal: Goal, scores: FloatArray) -> FloatArray:
        """What the process is told of unit scores (N,), in [0, 1]."""

    @abstractmethod
    def margins(self, boxes: IntArray, caution: FloatArray) -> FloatArray:
        """Margins (M, 1 or 2) of boxes (M, n, 2), k = caution (M,)."""

    @abstractmethod
    def chance(self, boxes: IntArray) -> FloatArray:
        """Probability (M,) that boxes (M, n, 2) meet the goal, with errors somewhat larger than told."""

    @abstractmethod
    def screened(self, cautions: FloatArray) -> list[IntArray | None]:
        """For each caution the largest box (n, 2) on the coarse lattice with margins above 0, for up to two parameters.

        None if no box that was looked at has them.
        """

    @abstractmethod
    def covariances(self, boxes: IntArray, points: FloatArray, feature: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Prior covariances of what decides over boxes (T, n, 2) with scores (T, N) and with points (P, n), (T, P).

        Args:
            boxes: The boxes.
            points: Points in unit coordinates.
            feature: Their phi (P,).
        """


def criterion_of(goal: Goal, n: int) -> type[Criterion]:
    """The kind of criterion for what a goal counts, scores or whether they are above a threshold, of n parameters."""
    return MeanCriterion if goal.threshold is None or n > _MOST_FOR_CELLS else LevelCriterion


@final
class MeanCriterion(Criterion):
    """For bounds on the mean and the variance of what is told: both are known in closed form.

    That is the score itself, or a ramp around the threshold of a goal that has one (`Goal.smoothed`).
    """

    @staticmethod
    def told(goal: Goal, scores: FloatArray) -> FloatArray:
        """What the goal counts, smoothed."""
        return goal.smoothed(scores)

    def margins(self, boxes: IntArray, caution: FloatArray) -> FloatArray:
        """E_D[f] - k sd - least and, where it is bounded, most - Var_D[f] - k sd."""
        mean, mean_error, variance, variance_error = self.process.moments(boxes)
        margin = (mean - self.goal.least - caution * mean_error)[:, None]
        if self.goal.most_variance >= MOST_VARIANCE:
            return margin
        return np.concatenate(
            [margin, (self.goal.most_variance - variance - caution * variance_error)[:, None]], axis=1
        )

    def chance(self, boxes: IntArray) -> FloatArray:
        """By the normal distributions of mean and variance, taken to be independent."""
        from scipy.special import ndtr  # here, for it takes a while to import

        mean, mean_error, variance, variance_error = self.process.moments(boxes)
        chance = np.asarray(ndtr((mean - self.goal.least) / (_WIDER * mean_error)))
        if self.goal.most_variance >= MOST_VARIANCE:
            return chance
        return np.asarray(chance * ndtr((self.goal.most_variance - variance) / (_WIDER * variance_error)))

    def screened(self, cautions: FloatArray) -> list[IntArray | None]:
        """Means of all boxes are cheap; margins are looked at by falling volume, of at most a thousand that may do."""
        pairs, _, order = self.process.lattice.coarse
        margin = (self._means() - self.goal.least)[order]
        inner = len(pairs[1]) if len(pairs) == 2 else 1

        def first_that_fits(caution: float) -> IntArray | None:
            hopeful = order[margin >= min(_LARGE_ERROR * caution, 0.0)]
            hopeful = hopeful[:: 1 + len(hopeful) // (_BLOCK * _MOST_BLOCKS)]
            for begin in range(0, len(hopeful), _BLOCK):
                part = np.divmod(hopeful[begin : begin + _BLOCK], inner)
                boxes = np.stack([own[chosen] for own, chosen in zip(pairs, part, strict=False)], axis=1)
                fits = self.margins(boxes, np.full(len(boxes), caution)).min(axis=1) >= 0
                if fits.any():
                    return np.asarray(boxes[fits.argmax()])
            return None

        return [first_that_fits(float(caution)) for caution in cautions]

    def _means(self) -> FloatArray:
        """Means (M,) over all boxes of the coarse part of the lattice."""
        process = self.process
        pairs, widths, _ = process.lattice.coarse
        weights = process.mean_weights
        means = [process.along(k, pairs[k][:, 0], pairs[k][:, 1], widths[k]) for k in range(process.n)]
        total = np.full([len(pair) for pair in pairs], PRIOR_MEAN + PRIOR_VARIANCE * weights.sum())
        for index, part in enumerate(process.parts):
            first, *others = (part.share + (1 - part.share) * mean[index] for mean in means)
            first = part.size * weights * first
            total += first @ others[0].T if others else first.sum(axis=1)
        return np.asarray(total.ravel())

    def covariances(self, boxes: IntArray, points: FloatArray, feature: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Of means over the boxes."""
        process = self.process
        lower, upper = process.lattice.bounds(boxes)
        total = np.full((len(boxes), len(points)), PRIOR_VARIANCE)
        for part in process.parts:
            means = []
            for k, kernel in enumerate(part.axes):
                ends = [kernel.integral(bound[:, k, None] - points[None, :, k]) for bound in (lower, upper)]
                means.append((ends[1] - ends[0]) / (upper - lower)[:, k, None])
            total += part.of_means(means)
        with_points = total + process.weight * np.multiply.outer(process.box_feature(boxes), feature)
        return process.box_covariance(boxes)[0], with_points


@final
class LevelCriterion(Criterion):
    """For a bound on the share of a box in which the score is at least a threshold, for up to two parameters.

    The score at x is normal with the process' mean mu(x) and standard deviation sd(x), and fine structure of the size
    of its noise on top. With caution k the share is that of mu - k * `TOGETHER` * sd: as if the process erred to one
    side everywhere at once, which makes a share certain where scores are far from the threshold and uncertain where
    they are near it (conservative estimates of level sets: Bolin & Lindgren 2015; Gotovos et al. 2013). It is looked up
    in sums over cells of the lattice.
    """

    must_verify = True

    def __init__(self, process: Process, goal: Goal) -> None:
        super().__init__(process, goal)
        assert goal.threshold is not None
        self._threshold = float(self.told(goal, np.asarray(goal.threshold)))
        self._roughness = max(float(np.sqrt(process.noise)), _LEAST_ROUGHNESS)
        self._tables: dict[float, FloatArray] = {}

    @staticmethod
    def told(goal: Goal, scores: FloatArray) -> FloatArray:
        """Their arcsine transform: levels near 0 and 1, where many scores crowd, are as far apart as those between."""
        return np.asarray(np.arcsin(np.sqrt(np.clip(scores, 0.0, 1.0))) / (0.5 * np.pi))

    def margins(self, boxes: IntArray, caution: FloatArray) -> FloatArray:
        """Cautious share - least."""
        shares = np.empty(len(boxes))
        for k in np.unique(caution).tolist():
            rows = caution == k
            shares[rows] = self._shares(boxes[rows], k)
        return (WORSE * (shares - 1) + 1 - self.goal.least)[:, None]

    def chance(self, boxes: IntArray) -> FloatArray:
        """By a normal distribution as wide as the share moves for half a unit of caution."""
        from scipy.special import ndtr  # here, for it takes a while to import

        low, middle, high = (self._shares(boxes, k) for k in (_HALF_CHANCE, 0.0, -_HALF_CHANCE))
        error = np.maximum((high - low) / (2 * _HALF_CHANCE), _TINY)
        return np.asarray(ndtr((middle - self.goal.least) / (_WIDER * error)))

    def screened(self, cautions: FloatArray) -> list[IntArray | None]:
        """Shares of all boxes of the coarse lattice are looked up."""
        lattice, n = self.process.lattice, self.process.n
        pairs, widths, order = lattice.coarse
        steps = np.arange(0, lattice.steps + 1, COARSE)
        ends = np.meshgrid(*[steps] * n, indexing="ij", sparse=True)
        chosen = [own // COARSE for own in pairs]
        volumes = widths[0] if n == 1 else np.multiply.outer(*widths)
        found: list[IntArray | None] = []
        for caution in cautions.tolist():
            table = self._up_to([np.stack([end, end]) for end in ends], caution)
            total = np.zeros(volumes.shape)
            for sides, sign in _corners(n):
                total += sign * table[sides][np.ix_(*(own[:, side] for own, side in zip(chosen, sides, strict=True)))]
            fits = (total / volumes).ravel()[order] >= 1 - (1 - self.goal.least) / WORSE
            places = np.unravel_index(order[fits.argmax()], volumes.shape)
            box = np.stack([own[place] for own, place in zip(pairs, places, strict=True)])
            found.append(box if fits.any() else None)
        return found

    def covariances(self, boxes: IntArray, points: FloatArray, feature: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Of the mean over points of a box of the score, each weighed by how much the share moves with it."""
        process, told, asked = self.process, [], []
        fractions = evenly_spread(process.n, 0, _BOX_POINTS)
        for lower, upper in zip(*process.lattice.bounds(boxes), strict=True):
            inside = lower + fractions * (upper - lower)
            phi = process.feature_at(inside)
            cross = process.cross(inside, phi)
            mean, deviation = process.marginals(phi, cross)
            spread = np.hypot(deviation, self._roughness)
            weights = np.exp(-0.5 * ((mean - self._threshold) / spread) ** 2) / spread
            weights /= max(float(weights.sum()), _TINY)
            told.append(weights @ cross)
            asked.append(weights @ process.covariance(inside, phi, points, feature))
        return np.stack(told), np.stack(asked)

    def _above(self, mean: FloatArray, deviation: FloatArray, caution: float, rough: FloatArray) -> FloatArray:
        """Probability (...) that a score is at least the threshold."""
        from scipy.special import ndtr  # here, for it takes a while to import

        return np.asarray(ndtr((mean - caution * TOGETHER * deviation - self._threshold) / rough))

    @cached_property
    def _cells(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean, standard deviation and roughness (C_1, C_2) in the cells of the lattice.

        The roughness holds how much the mean varies within a cell, as if it were linear there.
        """
        process, lattice = self.process, self.process.lattice
        middles = [(own[1:] + own[:-1]) / 2 for own in lattice.cell_edges]
        sizes, cross = [len(middle) for middle in middles], process.grid_cross(middles)
        mean, deviation = (part.reshape(sizes) for part in process.marginals(np.zeros(len(cross)), cross))
        rough = np.full(sizes, self._roughness**2)
        for k, periodic in enumerate(lattice.periodic):
            first, last = mean.take([0], axis=k), mean.take([-1], axis=k)
            padded = np.concatenate([last, mean, first] if periodic else [first, mean, last], axis=k)
            before, beyond = (padded.take(range(at, at + sizes[k]), axis=k) for at in (0, 2))
            rough += ((beyond - before) / 2) ** 2 / 12
        return mean, deviation, np.sqrt(rough)

    def _table(self, caution: float) -> FloatArray:
        """Integrals of the probability over all cells up to each edge; along periodic parameters over two turns."""
        if caution not in self._tables:
            lattice, (mean, deviation, rough) = self.process.lattice, self._cells
            total = self._above(mean, deviation, caution, rough)
            for k, (edges, periodic) in enumerate(zip(lattice.cell_edges, lattice.periodic, strict=True)):
                widths = np.diff(edges).reshape([-1 if axis == k else 1 for axis in range(total.ndim)])
                total = np.cumsum(total * widths, axis=k)
                total = np.concatenate([np.zeros_like(total.take([0], axis=k)), total], axis=k)
                if periodic:
                    again = total.take([-1], axis=k) + total.take(range(1, total.shape[k]), axis=k)
                    total = np.concatenate([total, again], axis=k)
            self._tables[caution] = total
        return self._tables[caution]

    def _shares(self, boxes: IntArray, caution: float) -> FloatArray:
        """Shares (M,) of boxes (M, n, 2) at one caution."""
        table, total = self._up_to(list(boxes.transpose(1, 2, 0)), caution), np.zeros(len(boxes))
        for sides, sign in _corners(self.process.n):
            total += sign * table[sides]
        lower, upper = self.process.lattice.bounds(boxes)
        return np.asarray(total / (upper - lower).prod(axis=1))

    def _up_to(self, steps: Sequence[IntArray], caution: float) -> FloatArray:
        """Integrals (2, ..., 2, ...) of the probability up to each corner of boxes, multilinear between edges of cells.

        Args:
            steps: Per parameter those (2, ...) that lower and upper sides are away from the start point.
            caution: As for `_table`.
        """
        table, n = self._table(caution), self.process.n
        before, weights = [], []
        for k, (own, (edges, parts)) in enumerate(zip(steps, self.process.lattice.cell_places, strict=True)):
            shape = (*(2 if axis == k else 1 for axis in range(n)), *own.shape[1:])
            sides = np.arange(2).reshape(2, *[1] * (own.ndim - 1))
            before.append(edges[sides, own].reshape(shape))
            weights.append([part[sides, own].reshape(shape) for part in parts])
        total: FloatArray = np.zeros(np.broadcast_shapes(*(own.shape for own in before)))
        for corner, _ in _corners(n):
            weight = np.ones(())
            for shares, up in zip(weights, corner, strict=True):
                weight = weight * shares[up]
            total += weight * table[tuple(own + up for own, up in zip(before, corner, strict=True))]
        return total


@cache
def _corners(n: int) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Each corner of a box as lower (0) and upper (1) sides along n parameters, and its sign in an integral over it."""
    corners = [tuple((corner >> k) & 1 for k in range(n)) for corner in range(2**n)]
    return tuple((sides, (-1) ** (n - sum(sides))) for sides in corners)
