"""Where to ask next: points that tell the most about the means over given boxes; and first points."""

from __future__ import annotations

import numpy as np

from optimizers.surrogate.process import PRIOR_VARIANCE, Process
from semrob_env.sequences import golden_ratios
from semrob_env.types import BoolArray, FloatArray, IntArray

_TINY = 1e-12


def evenly_spread(n: int, first: int, count: int) -> FloatArray:
    """Points number first, first + 1, ... (count, n) of a sequence that fills the unit cube evenly.

    The additive recurrence of `semrob_env.sequences.golden_ratios`.
    """
    steps = golden_ratios(n)
    return np.asarray(np.mod(0.5 + np.arange(first + 1, first + count + 1)[:, None] * steps, 1.0))


def points_on_lines(centre: FloatArray, turns: BoolArray, reach: FloatArray) -> FloatArray:
    """Points (2n, n) on the lines through a centre (n,): `reach` (n, 2) is the share of the way to the wall.

    First down, then up along each parameter; a periodic one reaches half a turn each way.
    """
    n = len(centre)
    way = np.stack([np.where(turns, -0.5, -centre), np.where(turns, 0.5, 1.0 - centre)], axis=1) * reach
    return np.asarray(centre + (way[..., None] * np.eye(n)[:, None, :]).reshape(2 * n, n))


def most_telling(process: Process, boxes: IntArray, spread: FloatArray, count: int) -> FloatArray:
    """`count` points (count, n), each the one that lessens the variance of the mean over one of the boxes the most.

    Candidates fill the boxes (T, n, 2): from the first T-th part of `spread` (P, n) in the first box, and so on. Boxes
    take turns. Variances do not depend on scores, so each point counts with those chosen before it (Bayesian
    quadrature by greedy variance reduction: Briol et al. 2015).
    """
    lower, upper = process.lattice.bounds(boxes)
    each = len(spread) // len(boxes)
    parts = spread[: each * len(boxes)].reshape(len(boxes), each, -1)
    candidates = (lower[:, None] + parts * (upper - lower)[:, None]).reshape(-1, process.n)
    turns = process.lattice.turns
    candidates = np.where(turns, np.mod(candidates + 0.5, 1.0) - 0.5, candidates)
    feature = process.feature_at(candidates)
    cross = process.cross(candidates, feature)
    known = cross @ process.inverse
    variance = np.maximum(process.variance_at(feature) - np.einsum("pi,pi->p", known, cross), _TINY) + process.noise
    box_cross, _ = process.box_covariance(boxes)
    with_box = _covariance_with_boxes(process, boxes, candidates, feature) - box_cross @ known.T
    chosen: list[int] = []
    parts_so_far: list[FloatArray] = []
    for turn in range(count):
        best = int((with_box[turn % len(boxes)] ** 2 / variance).argmax())
        one = slice(best, best + 1)
        shared = process.covariance(candidates, feature, candidates[one], feature[one])[:, 0] - known @ cross[best]
        for earlier in parts_so_far:
            shared = shared - earlier * earlier[best]
        part = shared / np.sqrt(variance[best])
        parts_so_far.append(part)
        with_box = with_box - np.multiply.outer(with_box[:, best] / np.sqrt(variance[best]), part)
        variance = np.maximum(variance - part**2, process.noise)
        chosen.append(best)
    return np.asarray(candidates[chosen])


def _covariance_with_boxes(process: Process, boxes: IntArray, points: FloatArray, feature: FloatArray) -> FloatArray:
    """Prior covariance (T, P) of means over boxes (T, n, 2) with points (P, n)."""
    lower, upper = process.lattice.bounds(boxes)
    total = np.full((len(boxes), len(points)), PRIOR_VARIANCE)
    for part in process.parts:
        means = []
        for k, kernel in enumerate(part.axes):
            ends = [kernel.integral(bound[:, k, None] - points[None, :, k]) for bound in (lower, upper)]
            means.append((ends[1] - ends[0]) / (upper - lower)[:, k, None])
        total += part.of_means(means)
    return total + process.weight * np.multiply.outer(process.box_feature(boxes), feature)
