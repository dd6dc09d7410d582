"""The largest box around the start point that a process holds for feasible, cautiously or optimistically.

A box is told by the steps that its sides are away from the start point on a `Lattice`, (n, 2). Its *margins* are
E_D[f] - k sd - least and most - Var_D[f] - k sd: with k > 0 both above 0 mean feasible with a probability, with k < 0
that it may well be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from optimizers.surrogate.process import Process
from semrob_env.types import BoolArray, FloatArray, IntArray

_SCALES = np.array([24, 8, 3, 1])
"""Steps that sides move at once, one after the other."""
_MOST_ROUNDS = 40
_TRIED = 6
"""Joint moves of several sides that are tried beside the moves of single ones."""
_SLACK = 0.004
"""Joint moves whose margins are predicted to be this little below 0 are tried too."""
_COARSE = 8
_BLOCK, _MOST_BLOCKS = 192, 6
_GAIN = 1e-9


@final
@dataclass(frozen=True)
class Limits:
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


def log_volumes(process: Process, boxes: IntArray) -> FloatArray:
    """Log volumes (M,) of boxes (M, n, 2)."""
    lower, upper = process.lattice.bounds(boxes)
    return np.asarray(np.log(upper - lower).sum(axis=1))


def legal(process: Process, boxes: IntArray) -> IntArray:
    """Boxes (M, n, 2) within the walls and at most a turn long, each side with a width."""
    steps, lattice = process.lattice.steps, process.lattice
    kept = np.clip(boxes, 0, steps)
    kept[..., 1] -= np.where(lattice.turns, np.maximum(kept.sum(axis=-1) - steps, 0), 0)
    kept[..., 1] += kept.sum(axis=-1) == 0
    lower, upper = lattice.bounds(kept)
    return np.where((upper <= lower)[..., None], 1, kept)  # from a start point on a wall outwards


def widest(process: Process, limits: Limits, caution: FloatArray, starts: IntArray) -> tuple[IntArray, BoolArray]:
    """From boxes (S, n, 2) the largest ones that keep to the limits, k = caution (S,), and which of them do.

    Each round tries to move every side by some steps, and the joint moves which by these, added up, gain the most
    volume for the margin that there is: sides that gain much for little margin go out, sides that cost little volume
    for much margin go in. Where nothing helps any more, steps get shorter. A box that breaks the limits first wins
    margin.
    """
    boxes = legal(process, starts)
    margin, volume = limits.margins(process, boxes, caution), log_volumes(process, boxes)
    scale = np.zeros(len(boxes), dtype=np.int64)
    n = boxes.shape[1]
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
        best = np.where(fits | (least >= 0).any(axis=1), value.argmax(axis=1), least.argmax(axis=1))
        every = np.arange(len(rows))
        improves = np.where(
            fits, value[every, best] > volume[rows] + _GAIN, least[every, best] > margin[rows].min(axis=1) + _GAIN
        )
        scale[rows[~improves]] += 1
        to, of = rows[improves], (every[improves], best[improves])
        boxes[to], margin[to], volume[to] = tried[of], margins[of], volumes[of]
    return boxes, margin.min(axis=1) >= 0


def _tried(
    process: Process, limits: Limits, caution: FloatArray, boxes: IntArray
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
        order = np.argsort(np.where(chosen, key, np.inf), axis=1, kind="stable")
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


def screened(process: Process, limits: Limits, caution: float) -> IntArray | None:
    """The largest box (n, 2) on a coarse part of the lattice that keeps to the limits, for one or two parameters.

    Means of all boxes are cheap; margins are looked at by falling volume, of at most a thousand boxes that may do,
    evenly spread over their ranks. None if none of them does.
    """
    lattice = process.lattice
    coarse = np.arange(0, lattice.steps + 1, _COARSE)
    down, up = (side.ravel() for side in np.meshgrid(coarse, coarse, indexing="ij"))
    pairs, factors, widths = [], [], []
    for k in range(process.n):
        width = lattice.sides[k, 1, up] - lattice.sides[k, 0, down]
        kept = (width > 0) & ((down + up <= lattice.steps) | ~lattice.turns[k])
        pairs.append(np.stack([down[kept], up[kept]], axis=1))
        widths.append(width[kept])
        factors.append(process.along(k, down[kept], up[kept], width[kept]))
    first = process.size * factors[0] * process.mean_weights
    others = factors[1] if process.n == 2 else np.ones((1, len(process.points)))
    volume = np.multiply.outer(widths[0], widths[1] if process.n == 2 else np.ones(1)).ravel()
    mean = (first @ others.T).ravel() + 0.25 * process.mean_weights.sum() + 0.5
    hopeful = np.flatnonzero(mean >= limits.least + min(0.5 * caution, 0.0))
    hopeful = hopeful[np.argsort(-volume[hopeful], kind="stable")]
    hopeful = hopeful[:: 1 + len(hopeful) // (_BLOCK * _MOST_BLOCKS)]
    for begin in range(0, len(hopeful), _BLOCK):
        part = np.divmod(hopeful[begin : begin + _BLOCK], len(others))
        boxes = np.stack([own[chosen] for own, chosen in zip(pairs, part, strict=False)], axis=1)
        fits = limits.margins(process, boxes, np.full(len(boxes), caution)).min(axis=1) >= 0
        if fits.any():
            return np.asarray(boxes[fits.argmax()])
    return None
