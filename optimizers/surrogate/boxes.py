"""The largest box around the start point that a process holds for feasible, cautiously or optimistically.

A box is told by the steps that its sides are away from the start point on a `Lattice`, (n, 2). Its *margins* are
E_D[f] - k sd - least and most - Var_D[f] - k sd: with k > 0 both above 0 mean feasible with a probability, with k < 0
that it may well be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from optimizers.surrogate.process import PRIOR_MEAN, PRIOR_VARIANCE, Process
from semrob_env.types import BoolArray, FloatArray, IntArray

_SCALES = np.array([24, 8, 3, 1])
"""Steps that sides move at once, one after the other."""
_MOST_ROUNDS = 40
_TRIED = 6
"""Joint moves of several sides that are tried beside the moves of single ones."""
_SLACK = 0.004
"""Joint moves whose margins are predicted to be this little below 0 are tried too."""
_BLOCK, _MOST_BLOCKS = 192, 6
_LARGE_ERROR = 0.5
"""No mean over a box is expected to be more uncertain than this."""
_WIDER = 1.4
"""Errors are taken to be so many times what the process says where its probabilities weigh gains."""
_GAIN = 1e-9


@final
@dataclass(frozen=True)
class BoxLimits:
    """What a box must keep.

    Attributes:
        least: Least mean score.
        most: Largest variance; None: none asked.
    """

    least: float
    most: float | None

    def margins(self, process: Process, boxes: IntArray, caution: FloatArray) -> FloatArray:
        """Margins (M, 1 or 2) of boxes (M, n, 2), k = caution (M,)."""
        mean, mean_error, variance, variance_error = process.moments(boxes)
        margin = (mean - self.least - caution * mean_error)[:, None]
        if self.most is None:
            return margin
        return np.concatenate([margin, (self.most - variance - caution * variance_error)[:, None]], axis=1)

    def chance(self, process: Process, boxes: IntArray) -> FloatArray:
        """Probability (M,) that boxes (M, n, 2) keep the limits, with errors somewhat larger than told."""
        from scipy.special import ndtr  # here, for it takes a while to import

        mean, mean_error, variance, variance_error = process.moments(boxes)
        chance = np.asarray(ndtr((mean - self.least) / (_WIDER * mean_error)))
        if self.most is None:
            return chance
        return np.asarray(chance * ndtr((self.most - variance) / (_WIDER * variance_error)))


def log_volumes(process: Process, boxes: IntArray) -> FloatArray:
    """Log volumes (M,) of boxes (M, n, 2)."""
    lower, upper = process.lattice.bounds(boxes)
    return np.asarray(np.log(upper - lower).sum(axis=1))


def legal(process: Process, boxes: IntArray) -> IntArray:
    """Boxes (M, n, 2) within the walls and at most a turn long, each side with a width."""
    steps, lattice = process.lattice.steps, process.lattice
    kept = np.clip(boxes, 0, steps)
    kept[..., 1] -= np.where(lattice.periodic, np.maximum(kept.sum(axis=-1) - steps, 0), 0)
    kept[..., 1] += kept.sum(axis=-1) == 0
    lower, upper = lattice.bounds(kept)
    return np.where((upper <= lower)[..., None], 1, kept)  # from a start point on a wall outwards


def widest(process: Process, limits: BoxLimits, caution: FloatArray, starts: IntArray) -> tuple[IntArray, BoolArray]:
    """From boxes (S, n, 2) the largest ones that keep to the limits, k = caution (S,), and which of them do.

    Each round tries to move every side by some steps, and the joint moves which by these, added up, gain the most
    volume for the margin that there is: sides that gain much for little margin go out, sides that cost little volume
    for much margin go in. Where nothing helps any more, steps get shorter. A box that breaks the limits first wins
    margin.
    """
    boxes = legal(process, starts)
    margin, volume = limits.margins(process, boxes, caution), log_volumes(process, boxes)
    n = boxes.shape[1]
    scale = np.full(len(boxes), int(n <= 2))  # those that were screened are right to less than the first scale
    sides = np.eye(2 * n, dtype=np.int64).reshape(2 * n, n, 2)
    moves = np.concatenate([sides, -sides])
    for _ in range(_MOST_ROUNDS):
        rows = np.flatnonzero(scale < len(_SCALES))
        if not rows.size:
            break
        step = _SCALES[scale[rows]][:, None, None, None]
        tried, margins, volumes = _tried(process, limits, caution[rows], boxes[rows][:, None] + step * moves)
        chosen = _joint_moves(margin[rows], margins - margin[rows, None], volumes - volume[rows, None])
        joint = boxes[rows][:, None] + step * np.einsum("rjs,skd->rjkd", chosen, sides)
        more = _tried(process, limits, caution[rows], joint)
        tried, margins, volumes = (
            np.concatenate(pair, axis=1) for pair in zip((tried, margins, volumes), more, strict=True)
        )
        least, fits = margins.min(axis=2), margin[rows].min(axis=1) >= 0
        value = np.where(least >= 0, volumes, -np.inf)
        best = np.where(fits | (least >= 0).any(axis=1), value.argmax(axis=1), _even(least).argmax(axis=1))
        every = np.arange(len(rows))
        improves = np.where(
            fits, value[every, best] > volume[rows] + _GAIN, least[every, best] > margin[rows].min(axis=1) + _GAIN
        )
        scale[rows[~improves]] += 1
        to, of = rows[improves], (every[improves], best[improves])
        boxes[to], margin[to], volume[to] = tried[of], margins[of], volumes[of]
    return boxes, margin.min(axis=1) >= 0


def _tried(
    process: Process, limits: BoxLimits, caution: FloatArray, boxes: IntArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Boxes (R, T, n, 2) made legal, their margins (R, T, C) and log volumes (R, T)."""
    rows, count = boxes.shape[:2]
    flat = legal(process, boxes.reshape(rows * count, *boxes.shape[2:]))
    margins = limits.margins(process, flat, np.repeat(caution, count))
    return flat.reshape(boxes.shape), margins.reshape(rows, count, -1), log_volumes(process, flat).reshape(rows, count)


def _joint_moves(margin: FloatArray, change: FloatArray, gain: FloatArray) -> IntArray:
    """How sides move, (R, J, 2n) of -1, 0, 1, from what moves (R, 4n) change: margins (R, 4n, C), log volumes."""
    half = change.shape[1] // 2
    price = -change.min(axis=2)
    outwards, inwards = gain[:, :half] > _GAIN, (gain[:, half:] < -_GAIN) & (price[:, half:] < 0)
    per_gain = np.where(price[:, :half] <= 0, -np.inf, price[:, :half] / np.maximum(gain[:, :half], _GAIN))
    per_loss = price[:, half:] / np.maximum(-gain[:, half:], _GAIN)
    ranks, sums = [], []
    for key, chosen, part in ((per_gain, outwards, slice(0, half)), (per_loss, inwards, slice(half, None))):
        order = np.argsort(np.where(chosen, _even(key), np.inf), axis=1, kind="stable")
        ranks.append(np.where(chosen, np.argsort(order, axis=1, kind="stable"), half))
        every = np.concatenate([change[:, part], gain[:, part, None]], axis=2) * chosen[..., None]
        run = np.cumsum(np.take_along_axis(every, order[..., None], axis=1), axis=1)
        sums.append(np.concatenate([np.zeros_like(run[:, :1]), run], axis=1))
    total = sums[0][:, :, None] + sums[1][:, None]  # the first i sides out, the first j in
    fits = (margin[:, None, None] + total[..., :-1] >= -_SLACK).all(axis=3)
    score = np.where(fits, total[..., -1], -np.inf).reshape(len(margin), -1)
    best = np.argsort(-score, axis=1, kind="stable")[:, :_TRIED]
    out, inn = np.divmod(best, half + 1)
    moved = (ranks[0][:, None] < out[..., None]).astype(np.int64) - (ranks[1][:, None] < inn[..., None])
    return np.asarray(moved)


def _even(numbers: FloatArray) -> FloatArray:
    """Numbers without their last digits, lest rounding errors decide between sides that are alike."""
    return np.round(numbers, 9)


def screened(process: Process, limits: BoxLimits, cautions: FloatArray) -> list[IntArray | None]:
    """For each caution the largest box (n, 2) on a coarse part of the lattice within limits, for up to two parameters.

    Means of all boxes are cheap; margins are looked at by falling volume, of at most a thousand boxes that may do,
    evenly spread over their ranks. None if none of them does.
    """
    pairs, _, order = process.lattice.coarse
    margin = (_means(process) - limits.least)[order]
    inner = len(pairs[1]) if len(pairs) == 2 else 1

    def first_that_fits(caution: float) -> IntArray | None:
        hopeful = order[margin >= min(_LARGE_ERROR * caution, 0.0)]
        hopeful = hopeful[:: 1 + len(hopeful) // (_BLOCK * _MOST_BLOCKS)]
        for begin in range(0, len(hopeful), _BLOCK):
            part = np.divmod(hopeful[begin : begin + _BLOCK], inner)
            boxes = np.stack([own[chosen] for own, chosen in zip(pairs, part, strict=False)], axis=1)
            fits = limits.margins(process, boxes, np.full(len(boxes), caution)).min(axis=1) >= 0
            if fits.any():
                return np.asarray(boxes[fits.argmax()])
        return None

    return [first_that_fits(float(caution)) for caution in cautions]


def _means(process: Process) -> FloatArray:
    """Means (M,) over all boxes of the coarse part of the lattice."""
    pairs, widths, _ = process.lattice.coarse
    weights = process.mean_weights
    means = [process.along(k, pairs[k][:, 0], pairs[k][:, 1], widths[k]) for k in range(process.n)]
    total = np.full([len(pair) for pair in pairs], PRIOR_MEAN + PRIOR_VARIANCE * weights.sum())
    for index, part in enumerate(process.parts):
        first, *others = (part.share + (1 - part.share) * mean[index] for mean in means)
        first = part.size * weights * first
        total += first @ others[0].T if others else first.sum(axis=1)
    return np.asarray(total.ravel())
