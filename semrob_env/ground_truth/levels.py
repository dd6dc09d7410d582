"""Where maps of 1 or 2 parameters are at least a level: the exact share of any region, closed form (method section 6).

Within a cell the interpolant less the level is a bilinear g, and the border of {g >= 0} a hyperbola. Along a line of
constant u, g goes from A(u) at v = 0 to C(u) at v = 1, both linear in u; {g >= 0} has the share A / (A - C) of that
line where A >= 0 > C. So between the roots of A and C the share of the cell is the integral of a ratio of two linear
functions: one logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from semrob_env.ground_truth.cells import cell_axes
from semrob_env.recorded.maps import ScoreMaps
from semrob_env.regions import Regions
from semrob_env.types import FloatArray, IntArray

_CHUNK_PIECES = 2**15  # about how many pieces of cells are worked on at once
_SNAP = 1e-12  # steps by which a bound may miss a grid line by rounding: it is taken to lie on it
_TERMS = 12
_NEARLY_EQUAL = 0.2
"""Relative difference of two ends up to which `_mean_ratio` is summed as a series: 12 terms leave 0.2^26."""


def share_above(corners: FloatArray) -> FloatArray:
    """Share (N,) of the unit square on which a bilinear function is 0 or above, exact but for rounding (about 1e-15).

    Args:
        corners: (2, 2, N): [i, j] is the value at u = i, v = j.
    """
    shares: FloatArray = np.asarray((corners >= 0).all(axis=(0, 1)), dtype=np.float64)
    mixed = np.flatnonzero((shares == 0) & (corners >= 0).any(axis=(0, 1)))
    if len(mixed):
        shares[mixed] = _mixed_share(corners[:, :, mixed])
    return shares


def _mixed_share(corners: FloatArray) -> FloatArray:
    """`share_above` (N,) of functions with both signs."""
    sides = corners[:, 0], corners[:, 1]  # at v = 0 and v = 1, each over both ends of u
    roots = []
    for start, end in sides:
        periodic = (start < 0) != (end < 0)
        roots.append(np.divide(start, start - end, out=np.zeros_like(start), where=periodic))
    ends = [np.zeros_like(roots[0]), np.minimum(*roots), np.maximum(*roots), np.ones_like(roots[0])]
    values = [[_between(side[0], side[1], end) for end in ends] for side in sides]
    total = np.zeros_like(roots[0])
    for i in range(3):
        (a0, a1), (c0, c1) = ((side[i], side[i + 1]) for side in values)
        has_a, has_c = a0 + a1 >= 0, c0 + c1 >= 0  # no sign changes within the piece
        high0, high1 = (np.maximum(np.where(has_a, a, c), 0.0) for a, c in ((a0, c0), (a1, c1)))
        low0, low1 = (np.maximum(-np.where(has_a, c, a), 0.0) for a, c in ((a0, c0), (a1, c1)))
        share = np.where(has_a != has_c, _mean_ratio(high0, high1, low0, low1), has_a & has_c)
        total += (ends[i + 1] - ends[i]) * share
    return np.asarray(np.clip(total, 0.0, 1.0))


def _mean_ratio(a0: FloatArray, a1: FloatArray, b0: FloatArray, b1: FloatArray) -> FloatArray:
    """Mean (N,) of a / (a + b) over a line from (a0, b0) to (a1, b1), all 0 or above; 0 where all are."""
    s0, s1 = a0 + b0, a1 + b1
    middle, bend = (s0 + s1) / 2, (s1 - s0) / 2
    x = np.divide(bend, middle, out=np.zeros_like(bend), where=middle > 0)
    near = np.abs(x) <= _NEARLY_EQUAL
    # a / s = (m_a + d_a t) / (m (1 + x t)) for t in [-1, 1]: with E[1 / (1 + x t)] = artanh(x) / x as a series ...
    square = x * x
    first, second = np.zeros_like(x), np.zeros_like(x)
    for k in range(_TERMS, -1, -1):
        first = first * square + 1 / (2 * k + 1)
        second = second * square + 1 / (2 * k + 3)
    slope = (a1 - a0) / 2
    series = np.divide((a0 + a1) / 2 * first - slope * x * second, middle, out=np.zeros_like(x), where=middle > 0)
    # ... or as the logarithm, whose factor is written so that nothing cancels; it is 0 where an end of s is 0.
    far = ~near
    logarithm = np.zeros_like(x)
    np.divide(s1, s0, out=logarithm, where=far & (s0 > 0) & (s1 > 0))
    np.log(logarithm, out=logarithm, where=logarithm > 0)
    bend = np.where(far, bend, 1.0)
    closed = slope / bend + (a0 * b1 - a1 * b0) / bend * logarithm / bend / 4
    return np.where(near, series, closed)


def _between(start: FloatArray, end: FloatArray, at: FloatArray) -> FloatArray:
    """Values (N,) a share `at` of the way from start to end, never beyond either by rounding."""
    values = start + (end - start) * at
    return np.asarray(np.clip(values, np.minimum(start, end), np.maximum(start, end)))


@final
@dataclass(frozen=True)
class _Axis:
    """The cells of one axis, by the number of the grid line that each begins at.

    Of a plain axis, cell -1 lies before the first line and cell count - 1 beyond the last one: maps are constant there.
    Of a periodic axis there are two turns.
    """

    count: int  # number of grid lines
    periodic: bool  # whether the axis is periodic

    @property
    def whole(self) -> int:
        """How many cells between two lines a map has, each once."""
        return self.count if self.periodic else self.count - 1

    def lines(self, cells: IntArray) -> tuple[IntArray, IntArray]:
        """The grid lines at both ends of cells (N,)."""
        if self.periodic:
            return cells % self.count, (cells + 1) % self.count
        return np.clip(cells, 0, self.count - 1), np.clip(cells + 1, 0, self.count - 1)

    def ends(self, left: FloatArray, right: FloatArray) -> tuple[IntArray, IntArray]:
        """First and last cell (B,) of intervals in steps; one without width has the cell above it."""
        first = np.clip(np.floor(left), 0 if self.periodic else -1, self.count * (1 + self.periodic) - 1).astype(
            np.int64
        )
        last = np.minimum(np.ceil(right).astype(np.int64) - 1, self.count * (1 + self.periodic) - 1)
        return first, np.maximum(first, last)

    def cut(self, left: FloatArray, right: FloatArray, cells: IntArray) -> tuple[FloatArray, FloatArray]:
        """Both ends (N,) of the parts of intervals that lie in cells."""
        beyond = (cells == self.count - 1) & (not self.periodic)
        return np.where(cells < 0, left, np.maximum(left, cells)), np.where(beyond, right, np.minimum(right, cells + 1))


@final
class LevelTable:
    """Where one map is at least a level.

    Whole cells come from a summed-area table in fixed point: such sums are exact, so a region that is good all over
    has the share 1 to the last bit, and the bits of a row do not depend on the batch. The cells at the edge of a region
    are cut, and worked out one by one. A map of one parameter gets a second one here, along which it is constant.

    Args:
        maps: The maps, of 1 or 2 parameters.
        excess: Unit scores less the level, (P_1, ..., P_n), at the grid lines of the map.

    Attributes:
        cell_shares: Shares of whole cells (C_1, ..., C_n), those of `cell_axes`.
    """

    def __init__(self, maps: ScoreMaps, excess: FloatArray) -> None:
        self._maps = maps
        self._excess = excess.reshape(len(excess), -1)
        periodic = [*maps.space.is_periodic.tolist(), False]
        self._axes = tuple(_Axis(count, turn) for count, turn in zip(self._excess.shape, periodic, strict=False))
        cells = [np.arange(len(axis)) - axis.begins_flat for axis in cell_axes(maps)]
        shares = self._shares([*cells, np.zeros(1, dtype=np.int64)][:2])
        self.cell_shares = shares.reshape([len(own) for own in cells])
        first = [-own[0] for own in cells] + [0]
        shares = shares[tuple(slice(at, at + axis.whole) for at, axis in zip(first, self._axes, strict=False))]
        for k, axis in enumerate(self._axes):
            if axis.periodic:
                shares = np.concatenate([shares, shares], axis=k)
        self._bits = min(52, 62 - shares.size.bit_length())
        self._sums = np.zeros([count + 1 for count in shares.shape], dtype=np.int64)
        self._sums[1:, 1:] = np.rint(np.ldexp(shares, self._bits)).astype(np.int64).cumsum(axis=0).cumsum(axis=1)

    def region_shares(self, regions: Regions) -> FloatArray:
        """Shares (B,) of regions that are cut to the space; without width along a parameter, those of that face."""
        intervals = [self._in_steps(regions, k) for k in range(regions.space.n)]
        intervals.append((np.zeros(len(regions)), np.zeros(len(regions))))
        step = max(1, _CHUNK_PIECES // (2 * sum(self._excess.shape)))
        parts = [
            self._box_shares([(left[i : i + step], right[i : i + step]) for left, right in intervals[:2]])
            for i in range(0, len(regions), step)
        ]
        return np.concatenate([np.zeros(0), *parts])

    def _in_steps(self, regions: Regions, k: int) -> tuple[FloatArray, FloatArray]:
        """Both ends (B,) along parameter k, in steps from the first grid line."""
        axis, step = self._maps.axes[k], float(self._maps.steps[k])
        ends = np.stack([regions.lower[:, k] - axis[0], regions.upper[:, k] - axis[0]]) / step
        line = np.rint(ends)
        ends = np.where(np.abs(ends - line) <= _SNAP, line, ends)
        if self._axes[k].periodic:
            ends = ends + np.where(ends[0] < 0, float(len(axis)), 0.0)
        return ends[0], ends[1]

    def _box_shares(self, intervals: list[tuple[FloatArray, FloatArray]]) -> FloatArray:
        """Shares (b,) of boxes in steps: what is good, over that and what is not."""
        (first, last), (low, high) = (axis.ends(*ends) for axis, ends in zip(self._axes, intervals, strict=True))
        rows, cells = _edge_cells(first, last, low, high)
        area, fractions = np.ones(len(rows)), []
        for axis, (left, right), own in zip(self._axes, intervals, cells, strict=True):
            start, end = axis.cut(left[rows], right[rows], own)
            area *= np.where(right <= left, 1.0, 0.0)[rows] + (end - start)
            fractions.append((start - own, end - own))
        shares = share_above(self._corners(cells, fractions))
        good, bad = (np.bincount(rows, area * part, len(first)) for part in (shares, 1 - shares))
        # The cells within, from line to line; there may be none.
        inner = last > first + 1, high > low + 1
        (left, right), (below, above) = (
            (np.where(has, begin + 1, 0), np.where(has, end, 0))
            for has, begin, end in zip(inner, (first, low), (last, high), strict=True)
        )
        sums = self._sums
        within = sums[right, above] - sums[left, above] - sums[right, below] + sums[left, below]
        without = ((right - left) * (above - below) << self._bits) - within
        good += np.ldexp(within.astype(np.float64), -self._bits)
        bad += np.ldexp(without.astype(np.float64), -self._bits)
        return np.asarray(good / (good + bad))

    def _shares(self, cells: list[IntArray]) -> FloatArray:
        """Shares (C_1, C_2) of whole cells."""
        first, second = (grid.ravel() for grid in np.meshgrid(*cells, indexing="ij"))
        whole = np.zeros(first.size), np.ones(first.size)
        return share_above(self._corners((first, second), [whole, whole])).reshape([len(own) for own in cells])

    def _corners(self, cells: tuple[IntArray, IntArray], fractions: list[tuple[FloatArray, FloatArray]]) -> FloatArray:
        """Values less the level (2, 2, N) at the corners of parts of cells, whose ends (N,) are shares of a cell."""
        (left, right), (below, above) = (axis.lines(own) for axis, own in zip(self._axes, cells, strict=True))
        across, along = fractions
        grid = self._excess
        sides = [[_between(grid[left, line], grid[right, line], at) for line in (below, above)] for at in across]
        return np.array([[_between(low, high, at) for at in along] for low, high in sides])


def _edge_cells(
    first: IntArray, last: IntArray, low: IntArray, high: IntArray
) -> tuple[IntArray, tuple[IntArray, IntArray]]:
    """The cells at the edge of boxes first..last x low..high, all (B,): the box (N,) of each, and its cells, two (N,).

    Four strips: both ends of the first axis, and what is left of both ends of the second one.
    """
    along, across = high - low + 1, np.maximum(last - first - 1, 0)
    counts = np.stack([along, along * (last > first), across, across * (high > low)], axis=1).ravel()
    strips = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(strips)) - np.repeat(counts.cumsum() - counts, counts)
    rows, side = strips // 4, strips % 4
    one = np.where(side == 0, first[rows], np.where(side == 1, last[rows], first[rows] + 1 + place))
    other = np.where(side < 2, low[rows] + place, np.where(side == 2, low[rows], high[rows]))
    return rows, (one, other)
