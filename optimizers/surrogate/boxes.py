"""The search for the largest box around the start point whose margins are above 0, for any criterion."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from optimizers.surrogate.process import Lattice
from semrob_env.parameters import SemanticSpace
from semrob_env.types import BoolArray, FloatArray, IntArray

_SCALES = np.array([24, 8, 3, 1])
"""Steps that sides move at once, one after the other."""
_MOST_ROUNDS = 40
_TRIED = 6
"""Joint moves of several sides that are tried beside the moves of single ones."""
_SLACK = 0.004
"""Joint moves whose margins are predicted to be this little below 0 are tried too."""
_GAIN = 1e-9


LEAST_SHARE = 1e-9
"""Least half width of a region as a share of the range; that of the region while none is held for feasible."""


def native_bounds(
    space: SemanticSpace, start: FloatArray, lower: FloatArray, upper: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Bounds (B, n) in native units of boxes in unit coordinates relative to start (B, n), which is well inside."""
    origin = np.where(space.is_periodic, start, space.low)
    lower, upper = origin + lower * space.width, origin + upper * space.width
    least = LEAST_SHARE * space.width  # far above rounding, so that theta0 stays inside
    plain = ~space.is_periodic
    lower, upper = np.minimum(lower, start - least), np.maximum(upper, start + least)
    lower = np.where(plain, np.maximum(lower, space.low), lower)
    return lower, np.where(plain, np.minimum(upper, space.high), upper)


class HasLattice(Protocol):
    """What knows the lattice of boxes."""

    @property
    def lattice(self) -> Lattice:
        """Where sides of boxes may lie."""


class HasMargins(Protocol):
    """What the search needs of a `Criterion`."""

    @property
    def process(self) -> HasLattice:
        """What knows the lattice."""

    def margins(self, boxes: IntArray, caution: FloatArray) -> FloatArray:
        """Margins (M, C) of boxes (M, n, 2), k = caution (M,)."""


def log_volumes(process: HasLattice, boxes: IntArray) -> FloatArray:
    """Log volumes (M,) of boxes (M, n, 2)."""
    lower, upper = process.lattice.bounds(boxes)
    return np.asarray(np.log(upper - lower).sum(axis=1))


def legal(process: HasLattice, boxes: IntArray) -> IntArray:
    """Boxes (M, n, 2) within the walls and at most a turn long, each side with a width."""
    steps, lattice = process.lattice.steps, process.lattice
    kept = np.clip(boxes, 0, steps)
    kept[..., 1] -= np.where(lattice.periodic, np.maximum(kept.sum(axis=-1) - steps, 0), 0)
    kept[..., 1] += kept.sum(axis=-1) == 0
    lower, upper = lattice.bounds(kept)
    return np.where((upper <= lower)[..., None], 1, kept)  # from a start point on a wall outwards


def widest(criterion: HasMargins, caution: FloatArray, starts: IntArray) -> tuple[IntArray, BoolArray]:
    """From boxes (S, n, 2) the largest ones whose margins are above 0, k = caution (S,), and which have that.

    Each round tries to move every side by some steps, and the joint moves which by these, added up, gain the most
    volume for the margin that there is: sides that gain much for little margin go out, sides that cost little volume
    for much margin go in. Where nothing helps any more, steps get shorter. A box below first wins margin.
    """
    process = criterion.process
    boxes = legal(process, starts)
    margin, volume = criterion.margins(boxes, caution), log_volumes(process, boxes)
    n = boxes.shape[1]
    scale = np.full(len(boxes), int(n <= 2))  # those that were screened are right to less than the first scale
    sides = np.eye(2 * n, dtype=np.int64).reshape(2 * n, n, 2)
    moves = np.concatenate([sides, -sides])
    for _ in range(_MOST_ROUNDS):
        rows = np.flatnonzero(scale < len(_SCALES))
        if not rows.size:
            break
        step = _SCALES[scale[rows]][:, None, None, None]
        tried, margins, volumes = _tried(criterion, caution[rows], boxes[rows][:, None] + step * moves)
        chosen = _joint_moves(margin[rows], margins - margin[rows, None], volumes - volume[rows, None])
        joint = boxes[rows][:, None] + step * np.einsum("rjs,skd->rjkd", chosen, sides)
        more = _tried(criterion, caution[rows], joint)
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


def _tried(criterion: HasMargins, caution: FloatArray, boxes: IntArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Boxes (R, T, n, 2) made legal, their margins (R, T, C) and log volumes (R, T)."""
    rows, count = boxes.shape[:2]
    flat = legal(criterion.process, boxes.reshape(rows * count, *boxes.shape[2:]))
    margins = criterion.margins(flat, np.repeat(caution, count)).reshape(rows, count, -1)
    return flat.reshape(boxes.shape), margins, log_volumes(criterion.process, flat).reshape(rows, count)


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
