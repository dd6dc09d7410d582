"""Exact mean and variance of the interpolant of a map over any box: closed form per cell, no sampling.

Along one parameter the interpolant is sum_i s_i h_i(x) with hat functions h_i. So over a box E[f] is the scores
contracted with the mean of h_i along each parameter, and Var[f] the quadratic form of s - E[f] with the means of
h_i h_j, which vanish unless j is i or a neighbor. Over a piece of a cell of length L around x, in cells,
E[h_i h_j] = h_i(x) h_j(x) +- L^2 / 12 (method section 5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidRegionError, ShapeMismatchError, UnknownNameError
from semrob_env.recorded.maps import ScoreMaps
from semrob_env.regions import Regions
from semrob_env.types import FloatArray, IntArray

_CHUNK_NUMBERS = 2**16  # scores worked on at once: 512 KiB an array stay in the cache
_MANY = 32  # chunks whose hat functions are worked out together


def exact_moments(
    maps: ScoreMaps, regions: Regions, member: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """True mean (B,) and variance (B,) of the interpolant over regions, after clipping to the space.

    Exact up to rounding: about 1e-15 of the score range on both. A region without width along a parameter has the
    moments of that face. A row has the same bits whatever the batch around it.

    Args:
        maps: The maps.
        regions: B regions of their space; over a seam, up to one full turn.
        member: The map (B,) of each region, None: all 0.

    Raises:
        InvalidRegionError: The regions are of another space.
        ShapeMismatchError: Not one member a region.
        UnknownNameError: No such member.
    """
    if regions.space != maps.space:
        raise InvalidRegionError(
            f"regions over {', '.join(regions.space.names)} for maps over {', '.join(maps.space.names)}, "
            "or their bounds differ; give regions of the maps' own space"
        )
    count = len(regions)
    rows = np.zeros(count, dtype=np.int64) if member is None else np.asarray(member, dtype=np.int64)
    if rows.shape != (count,):
        raise ShapeMismatchError(f"member has shape {rows.shape}, must be ({count},): one a region")
    if count and not (rows.min() >= 0 and rows.max() < len(maps)):
        raise UnknownNameError(f"member {rows.min()}..{rows.max()}: there are maps 0..{len(maps) - 1}")
    cut = regions.clip()
    mean, variance = np.empty(count), np.empty(count)
    step = max(2, _CHUNK_NUMBERS // maps.scores[0].size)
    for first in range(0, count, _MANY * step):
        many = slice(first, first + _MANY * step)
        hats = _hats_of(maps, cut.lower[many], cut.upper[many])
        for start in range(first, min(first + _MANY * step, count), step):
            part = slice(start, min(start + step, count))
            own = [hat.columns(slice(part.start - first, part.stop - first)) for hat in hats]
            mean[part], variance[part] = _moments(maps, own, rows[part])
    return mean, variance


def _moments(maps: ScoreMaps, hats: list[_Hats], rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """Mean and variance (b,).

    All arrays end in the batch, so inner loops are long, and sums over lines run in the order of the lines: leaving
    out lines that no interval of the batch needs changes no bit.
    """
    if len(rows) == 1:  # NumPy may sum a lone column in another order
        mean, variance = _moments(maps, [hat.columns([0, 0]) for hat in hats], np.repeat(rows, 2))
        return mean[:1], variance[:1]
    # Less a score within the region, so that a plateau has its own score as mean, to the last bit.
    middle: tuple[IntArray, ...] = (rows, *(hat.middle for hat in hats))
    reference = maps.scores[middle].astype(np.float64)
    used = [hat.used() for hat in hats]
    hats = [hat.lines(lines) for hat, lines in zip(hats, used, strict=True)]
    periodic = [
        bool(turn) and lines == slice(0, count)
        for turn, lines, count in zip(maps.space.is_periodic, used, maps.scores.shape[1:], strict=True)
    ]
    window: tuple[IntArray | slice, ...] = (rows, *used)
    chosen = maps.scores[window]
    scores = np.empty((*chosen.shape[1:], len(rows)))
    scores[...] = np.moveaxis(chosen, 0, -1)
    scores -= np.tile(reference, (scores.shape[-2], 1))
    mean = scores
    for hat in reversed(hats):
        mean = np.einsum("...ib,ib->...b", mean, hat.mean)
    scores -= np.tile(mean, (scores.shape[-2], 1))
    product = scores
    for k in range(1, len(hats)):
        product = hats[k].product_with(product, k, periodic[k])
    total = np.einsum("ib,ib->b", hats[0].square, _contracted(scores, product))
    total += 2 * np.einsum("ib,ib->b", hats[0].beside[:-1], _contracted(scores[:-1], product[1:]))
    if periodic[0]:
        total += 2 * (hats[0].beside[-1] * _contracted(scores[-1:], product[:1])[0])
    return reference + mean, np.maximum(total, 0.0)


def _contracted(scores: FloatArray, product: FloatArray) -> FloatArray:
    """Sums of the products of both (P_1, ..., P_n, b) over all axes but the first and the batch, (P_1, b)."""
    shape = (len(scores), math.prod(scores.shape[1:-1]), scores.shape[-1])
    return np.asarray(np.einsum("ijb,ijb->ib", scores.reshape(shape), product.reshape(shape)))


@final
@dataclass(frozen=True, eq=False)
class _Hats:
    """Means over b intervals of the hat functions of one axis with P lines and of their products; arrays (P, b)."""

    mean: FloatArray  # E[h_i]
    square: FloatArray  # E[h_i^2]
    beside: FloatArray  # E[h_i h_{i+1}]; of the last line with the first one where periodic
    middle: IntArray  # A line (b,) at or just below the middle of each interval

    def columns(self, chosen: slice | list[int]) -> _Hats:
        """Some of the intervals."""
        return _Hats(self.mean[:, chosen], self.square[:, chosen], self.beside[:, chosen], self.middle[chosen])

    def used(self) -> slice:
        """The lines from the first to the last one that any interval needs."""
        lines = np.flatnonzero(self.square.any(axis=1))
        return slice(int(lines[0]), int(lines[-1]) + 1)

    def lines(self, chosen: slice) -> _Hats:
        """Some of the lines, laid out anew."""
        mean, square, beside = (array[chosen].copy() for array in (self.mean, self.square, self.beside))
        return _Hats(mean, square, beside, self.middle)

    def product_with(self, scores: FloatArray, axis: int, periodic: bool) -> FloatArray:
        """The matrices E[h_i h_j] times scores (..., P, ..., b), P being that axis."""
        others = (1,) * (scores.ndim - axis - 2)
        square, beside = (array.reshape(len(array), *others, -1) for array in (self.square, self.beside))
        whole = (slice(None),) * axis
        here, following = (*whole, slice(None, -1)), (*whole, slice(1, None))
        result = scores * square
        result[here] += beside[:-1] * scores[following]
        result[following] += beside[:-1] * scores[here]
        if periodic:
            first, last = (*whole, slice(None, 1)), (*whole, slice(-1, None))
            result[last] += beside[-1:] * scores[first]
            result[first] += beside[-1:] * scores[last]
        return result


def _hats_of(maps: ScoreMaps, lower: FloatArray, upper: FloatArray) -> list[_Hats]:
    """The hat functions of every axis over canonical regions (b, n)."""
    periodic = maps.space.is_periodic.tolist()
    return [
        _hats(lower[:, k], upper[:, k], axis, float(maps.steps[k]), periodic[k], bool(axis[0] > maps.space.low[k]))
        for k, axis in enumerate(maps.axes)
    ]


def _hats(
    lower: FloatArray, upper: FloatArray, axis: FloatArray, step: float, periodic: bool, begins_inside: bool
) -> _Hats:
    """The hat functions of one axis over intervals [lower, upper], both (b,)."""
    count = len(axis)
    left, right = (lower - axis[0]) / step, (upper - axis[0]) / step
    if periodic and begins_inside:
        shift = np.where(left < 0, float(count), 0.0)
        left, right = left + shift, right + shift
    cells = np.arange(2 * count if periodic else count - 1)[:, None]
    width, is_point = right - left, right <= left
    start, end = (np.clip(side, cells, cells + 1) for side in (left, right))
    length = end - start
    per_width = np.divide(1.0, width, out=np.zeros_like(width), where=~is_point)
    share = length * per_width
    x = (start + end) / 2 - cells
    middle = np.clip((left + right) / 2, 0, len(cells)).astype(np.int64)
    if is_point.any():
        share[np.minimum(middle, len(cells) - 1)[is_point], is_point] = 1.0
    bend = length * length / 12
    mean, square, beside = (np.zeros((len(cells) + 1, len(lower))) for _ in range(3))
    rest = 1 - x
    mean[:-1], square[:-1] = share * rest, share * (rest * rest + bend)
    mean[1:] += share * x
    square[1:] += share * (x * x + bend)
    beside[:-1] = share * (x * rest - bend)
    if periodic:
        mean, square, beside = (_folded(array, count) for array in (mean, square, beside))
        return _Hats(mean, square, beside, middle % count)
    # Beyond the ends the function is constant.
    for line, outside in ((0, np.minimum(right, 0) - left), (count - 1, right - np.maximum(left, count - 1))):
        beyond = np.maximum(outside, 0.0) * per_width
        mean[line] += beyond
        square[line] += beyond
    return _Hats(mean, square, beside, middle)


def _folded(lines: FloatArray, count: int) -> FloatArray:
    """Two turns of an axis and one line (2 P + 1, b) as one turn (P, b)."""
    folded = lines[:count] + lines[count : 2 * count]
    folded[0] += lines[-1]
    return folded
