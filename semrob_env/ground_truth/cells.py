"""The cells of maps, exact integrals over them, and the largest boxes of whole cells around a point.

The boxes have a high mean and a low variance; one exhaustive pass serves any number of least means. Boxes are products
of intervals that contain the point. Along the axis with the most cells (the first of these), the *scanned* one, sums
over all intervals come from sums that run outwards from the point, so that a sum of two is a sum over an interval and
nothing cancels: summed-area tables, anchored at the point. The intervals of the other axes are *sections*. Of each
section and width along the scanned axis, the place with the highest mean tells which least means have a box of that
volume. Sections come in blocks of falling area; what cannot beat the best boxes so far is left out.

Order among boxes of one volume: more cells along the scanned axis first; then the larger section, then the section
that reaches further down along the first of the other axes, then up, and so on for the next axis; then the box that
reaches further down along the scanned axis.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from semrob_env.recorded.maps import ScoreMaps
from semrob_env.types import BoolArray, FloatArray, IntArray

_NEGLIGIBLE = 1e-9
"""Share of a step by which an axis may miss a bound of the space without a cell of its own in between."""


@final
@dataclass(frozen=True, eq=False)
class CellAxis:
    """The cells along one parameter, bound to bound: C cells between C + 1 lines.

    A plain axis that ends inside the space has one more cell there, on which maps are constant.
    """

    # Ends of the cells (C + 1,) in native units; of a periodic axis the last is the first, a turn later.
    lines: FloatArray
    lengths: FloatArray  # lengths of the cells (C,), those between two grid lines all the same
    periodic: bool  # whether the axis is periodic
    begins_flat: bool = False  # whether the first cell lies before the first grid line

    def __len__(self) -> int:
        return len(self.lengths)

    def reach(self, start: float) -> CellReach:
        """The intervals between lines that contain a value of the parameter."""
        count = len(self)
        if self.periodic and start < self.lines[0]:
            start += self.lines[-1] - self.lines[0]
        line = int(np.searchsorted(self.lines, start, side="right")) - 1
        line = min(max(line, 0), count - 1 if self.periodic else count)
        below, above = (count, count) if self.periodic else (line, count - line)
        return CellReach(self, line, below, above, 0 if self.lines[line] == start else 1)


@final
@dataclass(frozen=True, eq=False)
class Width:
    """The intervals of a `CellReach` with one number of cells and one length, W places; further down comes first."""

    cells: int  # the number of cells
    length: float  # the length
    down: IntArray  # cells down (W,)
    below: slice  # where these places stand in an array over cells down, the most first
    above: slice  # where they stand in an array over cells up, none first


@final
@dataclass(frozen=True, eq=False)
class CellReach:
    """The intervals of a `CellAxis` that contain a value: `down` cells below a line and `up` cells above it."""

    axis: CellAxis  # the axis
    line: int  # index of the line: the value lies on it or in the cell above it
    most_down: int  # most cells below the line
    most_up: int  # most cells above the line
    least_up: int  # 0 where the value lies on the line, else 1

    @cached_property
    def cells_down(self) -> IntArray:
        """The cells below the line (most_down,), the nearest one first."""
        return np.asarray((self.line - 1 - np.arange(self.most_down)) % len(self.axis))

    @cached_property
    def cells_up(self) -> IntArray:
        """The cells above the line (most_up,), the nearest one first."""
        return np.asarray((self.line + np.arange(self.most_up)) % len(self.axis))

    def length(self, down: IntArray, up: IntArray) -> FloatArray:
        """Lengths of intervals (...,). Around a turn they depend on the number of cells alone, to the last bit."""
        lengths = self.axis.lengths
        if self.axis.periodic:
            return np.asarray((down + up) * lengths[0])
        length = (down + up) * lengths[len(lengths) // 2]
        for cell in {0, len(lengths) - 1}:
            holds = (self.line - down <= cell) & (self.line + up > cell)
            length = length + np.where(holds, lengths[cell] - lengths[len(lengths) // 2], 0.0)
        return np.asarray(length)

    @cached_property
    def widths(self) -> tuple[Width, ...]:
        """The intervals by their number of cells, most first, and their length; a full turn has one place."""
        widths = []
        for cells in range(min(self.most_down + self.most_up, len(self.axis)), 0, -1):
            most, least = self._places(cells)
            places = np.arange(most, least - 1, -1)
            lengths = self.length(places, cells - places)
            # Cells at the bounds of the space may be shorter: only the first and the last place have those.
            for down in np.split(places, np.flatnonzero(np.diff(lengths)) + 1):
                if len(down):
                    first, last = int(down[0]), int(down[-1])
                    below = slice(self.most_down - first, self.most_down - last + 1)
                    above = slice(cells - first, cells - last + 1)
                    widths.append(Width(cells, float(lengths[most - first]), down, below, above))
        return tuple(widths)

    @cached_property
    def intervals(self) -> tuple[IntArray, IntArray]:
        """All intervals as (down, up), each (I,); those that reach furthest down first, then up."""
        down, up = (
            grid.ravel()
            for grid in np.meshgrid(
                np.arange(self.most_down, -1, -1), np.arange(self.most_up, self.least_up - 1, -1), indexing="ij"
            )
        )
        keep = down + up > 0
        if self.axis.periodic:
            count = len(self.axis)
            keep &= (down + up < count) | ((down + up == count) & (down == self._places(count)[0]))
        return down[keep], up[keep]

    def _places(self, cells: int) -> tuple[int, int]:
        """Most and least cells below the line of the intervals with a number of cells; most < least: there is none."""
        most, least = min(self.most_down, cells - self.least_up), max(0, cells - self.most_up)
        return (most, most) if self.axis.periodic and cells == len(self.axis) else (most, least)

    def bounds(self, down: int, up: int) -> tuple[float, float]:
        """Ends of one interval in native units; not canonical where it crosses the seam."""
        lines, count = self.axis.lines, len(self.axis)
        first, last = self.line - down, self.line + up
        if not self.axis.periodic:
            return float(lines[first]), float(lines[last])
        turn = lines[-1] - lines[0]
        return float(lines[first % count]), float(lines[last % count] + (turn if last % count <= first % count else 0))


def cell_axes(maps: ScoreMaps) -> tuple[CellAxis, ...]:
    """The cells along each parameter of a space with maps."""
    axes = []
    for axis, step, parameter in zip(maps.axes, maps.steps.tolist(), maps.space.parameters, strict=True):
        if parameter.period is not None:
            lines = np.append(axis, axis[0] + parameter.period)
            axes.append(CellAxis(lines, np.full(len(axis), step), True))
            continue
        lines, lengths = axis, np.full(len(axis) - 1, step)
        before, after = axis[0] - parameter.low, parameter.high - axis[-1]
        begins_flat = bool(before > _NEGLIGIBLE * step)
        if begins_flat:
            lines, lengths = np.append(parameter.low, lines), np.append(before, lengths)
        if after > _NEGLIGIBLE * step:
            lines, lengths = np.append(lines, parameter.high), np.append(lengths, after)
        lines = lines.copy()
        lines[[0, -1]] = parameter.low, parameter.high
        axes.append(CellAxis(lines, lengths, False, begins_flat))
    return tuple(axes)


def cell_integrals(maps: ScoreMaps, member: int, axes: tuple[CellAxis, ...]) -> tuple[FloatArray, FloatArray]:
    """Integrals of f and of f^2 over every cell, both (C_1, ..., C_n); f is mapped to [0, 1] by the score range.

    Within a cell f is a sum of 2^n orthogonal parts, one for each set of parameters: products of centred coordinates
    times a mean over the corners with signs. So the integral of f^2 is a sum of squares, by 1/12 for each coordinate.
    """
    low, high = maps.score_range
    parts = [(maps.scores[member].astype(np.float64) - low) / (high - low)]
    volume = np.ones(())
    for k, (axis, grid) in enumerate(zip(axes, maps.axes, strict=True)):
        volume = np.multiply.outer(volume, axis.lengths)
        count = len(grid)
        first = -1 if axis.begins_flat else 0
        cells = first + np.arange(len(axis))
        ends = [line % count if axis.periodic else line.clip(0, count - 1) for line in (cells, cells + 1)]
        split = []
        for part in parts:
            below, above = (part.take(end, axis=k) for end in ends)
            split += [(below + above) / 2, (above - below) / np.sqrt(12.0)]
        parts = split
    square = parts[0] * parts[0]
    for part in parts[1:]:
        square += part * part
    return parts[0] * volume, square * volume


BAND = 1e-12
"""Boxes whose mean or variance is this close to its threshold are judged by `confirm`: sums here are not exact enough.

Their rounding error is below 1e-13 for up to 10^5 cells.
"""
MOST_REFUSALS = 64
"""After so many refusals by `confirm`, boxes within the band are left out unjudged; only a map that keeps to within
1e-12 of the threshold gets there."""

_BLOCK = 512  # sections worked on at once: a few hundred kilobytes an array
_TOGETHER = 8  # numbers of cells along the scanned axis that are looked at before boxes that are too small are left out
Interval = tuple[int, int]  # cells (down, up) of a `CellReach`


@final
@dataclass(frozen=True, eq=False)
class CellProblem:
    """What is looked for among the boxes of cells of one map."""

    integral: FloatArray  # integrals over the cells (C_1, ..., C_n) of what is counted
    square: FloatArray  # integrals of its square
    volume: FloatArray  # volumes of the cells
    most: float  # largest variance of what is counted; infinite: none asked


def best_boxes(
    problem: CellProblem,
    least: Sequence[float],
    reaches: tuple[CellReach, ...],
    confirm: Callable[[int, list[Interval]], bool],
    ceiling: float = math.inf,
) -> list[tuple[float, list[Interval]] | None]:
    """For each least mean, the first of the largest boxes that keep to it and to the variance, and its volume.

    None where there is no such box.

    Args:
        problem: Integrals over the cells, and the largest variance.
        least: G least means of what is counted.
        reaches: Along each axis, the intervals that contain the point.
        confirm: Judges a box, one interval an axis, that is within `BAND` of a threshold, by the number of its mean.
        ceiling: Volume beyond which no box is known to keep to any of the means.
    """
    if not ceiling > 0:
        return [None] * len(least)
    counts = [len(reach.axis) for reach in reaches]
    scanned = counts.index(max(counts))
    sections = _Sections(problem, scanned, [reach for k, reach in enumerate(reaches) if k != scanned])

    def put_back(section: int, down: int, up: int) -> list[Interval]:
        box = sections.intervals(section)
        box.insert(scanned, (down, up))
        return box

    searches = [_Search(mean, lambda *box, goal=goal: confirm(goal, put_back(*box))) for goal, mean in enumerate(least)]
    longest = max(width.length for width in reaches[scanned].widths)
    for block in sections.blocks():
        if block.area[0] * longest < min(search.volume for search in searches):
            break
        integral = _Running(block.integral, reaches[scanned])
        square = None if block.square is None else _Running(block.square, reaches[scanned])
        for _, chosen in itertools.groupby(reaches[scanned].widths, lambda width: width.cells // _TOGETHER):
            widths = list(chosen)
            largest = float(block.area[0] * max(width.length for width in widths))
            if open_searches := [search for search in searches if search.volume <= largest]:
                pool = _Pool(block, widths, open_searches, problem.most, ceiling, integral, square)
                for search in open_searches if pool.volume.size else ():
                    search.take(pool)
    return [None if search.best is None else (search.volume, put_back(*search.best)) for search in searches]


@final
@dataclass(frozen=True, eq=False)
class _Block:
    """Sections, and integrals over the cells of the scanned axis within each, (C, I)."""

    first: int  # number of the first section
    area: FloatArray  # areas (I,), falling
    integral: FloatArray  # of what is counted
    square: FloatArray | None  # of its square; None where no variance is asked


@final
class _Sections:
    """All products of intervals of the axes that are not scanned, by falling area."""

    def __init__(self, problem: CellProblem, scanned: int, reaches: list[CellReach]) -> None:
        arrays = [problem.integral, *([problem.square] if math.isfinite(problem.most) else [])]
        self._reaches = reaches
        self._tables = [_orthants(np.moveaxis(array, scanned, -1), reaches) for array in arrays]
        self._choices = [reach.intervals for reach in reaches]
        area = np.ones(1)  # with an axis of its own, for there may be no other
        for reach, (down, up) in zip(reaches, self._choices, strict=True):
            area = np.multiply.outer(area, reach.length(down, up))
        self._shape = area.shape
        self._order = np.argsort(-area.ravel(), kind="stable")
        self._area = area.ravel()[self._order]

    def intervals(self, section: int) -> list[Interval]:
        """The intervals of a section, in the order of the axes."""
        _, *chosen = np.unravel_index(self._order[section], self._shape)
        return [(int(down[i]), int(up[i])) for (down, up), i in zip(self._choices, chosen, strict=True)]

    def blocks(self) -> Iterator[_Block]:
        """All sections, a block at a time."""
        for first in range(0, len(self._order), _BLOCK):
            rows = self._order[first : first + _BLOCK]
            _, *chosen = np.unravel_index(rows, self._shape)
            ends = [(down[i], up[i]) for (down, up), i in zip(self._choices, chosen, strict=True)]
            sums = [_summed(table, ends).T for table in self._tables]
            yield _Block(first, self._area[first : first + _BLOCK], sums[0], sums[1] if len(sums) > 1 else None)


def _orthants(cells: FloatArray, reaches: list[CellReach]) -> dict[tuple[int, ...], FloatArray]:
    """Sums of cells (C_2, ..., C_n, C_1) from the point outwards, along all axes but the last one.

    By sides, 0 down and 1 up along each of these axes; entry [i, j, ..., :] is the sum over i, j, ... cells.
    """
    tables = {}
    for sides in itertools.product((0, 1), repeat=len(reaches)):
        table = cells
        for k, (reach, side) in enumerate(zip(reaches, sides, strict=True)):
            table = _outwards(table, reach.cells_up if side else reach.cells_down, k)
        tables[sides] = table
    return tables


def _outwards(cells: FloatArray, order: IntArray, axis: int) -> FloatArray:
    """Running sums over cells in an order along an axis, from no cell to all of them."""
    taken = cells.take(order, axis=axis)
    shape = list(taken.shape)
    shape[axis] += 1
    sums = np.zeros(shape)
    np.cumsum(taken, axis=axis, out=sums[(slice(None),) * axis + (slice(1, None),)])
    return sums


def _summed(tables: dict[tuple[int, ...], FloatArray], ends: list[tuple[IntArray, IntArray]]) -> FloatArray:
    """Sums (I, C) over sections whose intervals are (down, up), (I,) each, along each axis."""
    if not ends:
        return tables[()][None]
    total = np.zeros(())
    for sides, table in tables.items():
        total = total + table[tuple(end[side] for end, side in zip(ends, sides, strict=True))]
    return total


@final
class _Running:
    """Running sums of integrals (C, I) outwards from the point along the scanned axis."""

    def __init__(self, integrals: FloatArray, reach: CellReach) -> None:
        self._up = _outwards(integrals, reach.cells_up, 0)
        self._down = _outwards(integrals, reach.cells_down, 0)[::-1]

    def sums(self, width: Width, first: int, out: FloatArray) -> None:
        """Puts the sums over all places of a width, and over I sections from the first on, into an array (W, I)."""
        rows = slice(first, first + out.shape[1])
        np.add(self._up[width.above, rows], self._down[width.below, rows], out=out)

    def sums_of(self, width: Width, section: int) -> FloatArray:
        """The sums (W,) of one section."""
        return np.asarray(self._up[width.above, section] + self._down[width.below, section])


@final
class _Pool:
    """Some boxes of a block by width and section, and the highest mean of the places of each.

    Args:
        block: Sections.
        widths: K widths along the scanned axis.
        searches: Those that may find a better box here.
        most: Largest variance.
        ceiling: Of the sections, I are left: those with a box that is not above this volume, nor too small for all
            searches.
        integral: Running sums of what is counted.
        square: Running sums of its square; None where no variance is asked.

    Attributes:
        first: Number of the first section that is left.
        widths: As given.
        volume: Volumes of the boxes (K, I).
        most: As given.
    """

    def __init__(
        self,
        block: _Block,
        widths: list[Width],
        searches: list[_Search],
        most: float,
        ceiling: float,
        integral: _Running,
        square: _Running | None,
    ) -> None:
        self.widths, self.most = widths, most
        lengths, smallest = np.array([width.length for width in widths]), min(search.volume for search in searches)
        begin = int((-block.area * lengths.min()).searchsorted(-ceiling, side="left"))
        end = int((-block.area * lengths.max()).searchsorted(-smallest, side="right"))
        self.first, self._begin = block.first + begin, begin
        self.volume = lengths[:, None] * block.area[begin:end]
        self._integral, self._square = integral, square
        self._needed = min(search.least for search in searches) - BAND

    @cached_property
    def mean(self) -> FloatArray:
        """Highest mean (K, I) of the places that keep to the variance, or miss it by less than `BAND`."""
        return self._means(self.most + BAND)

    @cached_property
    def sure_mean(self) -> FloatArray:
        """Highest mean (K, I) of the places that keep to the variance by `BAND` or more."""
        return self.mean if self._square is None else self._means(self.most - BAND)

    def _means(self, most: float) -> FloatArray:
        mean: FloatArray = np.empty_like(self.volume)
        room = np.empty((2, max(len(width.down) for width in self.widths), len(mean.T)))
        for width, volume, highest in zip(self.widths, self.volume, mean, strict=True):
            sums = room[0, : len(width.down)]
            self._integral.sums(width, self._begin, sums)
            sums.max(axis=0, out=highest)
            if self._square is None:
                continue
            fits = np.flatnonzero(highest >= self._needed * volume)
            if not len(fits):
                continue
            # Square of the sum, less the sum of squares times the volume, is at least - most * volume^2.
            kept = slice(int(fits[0]), int(fits[-1]) + 1)
            sums, spread = sums[:, kept], room[1, : len(width.down), kept]
            self._square.sums(width, self._begin + kept.start, spread)
            spread -= most * volume[kept]
            spread *= volume[kept]
            spread -= sums * sums
            np.copyto(sums, -math.inf, where=spread > 0)
            sums.max(axis=0, out=highest[kept])
        mean /= self.volume
        return mean

    def places(self, k: int, i: int) -> tuple[FloatArray, FloatArray]:
        """Of one width and section, mean and variance (W,) of every place; the variance is 0 where none is asked."""
        mean = self._integral.sums_of(self.widths[k], self._begin + i) / self.volume[k, i]
        if self._square is None:
            return mean, np.zeros_like(mean)
        return mean, self._square.sums_of(self.widths[k], self._begin + i) / self.volume[k, i] - mean * mean


@final
class _Search:
    """The search for one least mean, and the best box so far.

    Attributes:
        least: The least mean.
        volume: Volume of the best box, 0 without one.
        best: Its section and its cells (down, up) along the scanned axis; None without one.
    """

    def __init__(self, least: float, confirm: Callable[[int, int, int], bool]) -> None:
        self.least = least
        self._confirm = confirm
        self._refusals = 0
        self._cells = 0
        self.volume = 0.0
        self.best: tuple[int, int, int] | None = None

    def take(self, pool: _Pool) -> None:
        """Takes the first of the largest boxes of a pool that keep to the thresholds, if it is better."""
        is_sure_only = self._refusals >= MOST_REFUSALS
        volume = pool.volume * (self._is_sure(pool) if is_sure_only else pool.mean >= self.least - BAND)
        while (found := float(volume.max())) > 0 and found >= self.volume:
            # At one volume more cells along the scanned axis come first, then the section, then the place.
            _, i, k = min((-pool.widths[k].cells, i, k) for k, i in np.argwhere(volume == found).tolist())
            width = pool.widths[k]
            if found == self.volume and width.cells <= self._cells:
                return
            if (down := next(self._fitting(pool, k, i), None)) is not None:
                self.volume, self._cells = found, width.cells
                self.best = pool.first + i, down, width.cells - down
                return
            volume[k, i] = 0.0
            if self._refusals >= MOST_REFUSALS and not is_sure_only:
                is_sure_only = True
                volume *= self._is_sure(pool)

    def _is_sure(self, pool: _Pool) -> BoolArray:
        """Which boxes (K, I) have a place that keeps to the thresholds by `BAND` or more."""
        return np.asarray(pool.sure_mean >= self.least + BAND)

    def _fitting(self, pool: _Pool, k: int, i: int) -> Iterator[int]:
        """Cells down of the places of one width and section that keep to the thresholds, those further down first."""
        mean, variance = pool.places(k, i)
        margin = np.minimum(mean - self.least, pool.most - variance)
        for place in np.flatnonzero(margin >= -BAND).tolist():
            down = int(pool.widths[k].down[place])
            if margin[place] >= BAND:
                yield down
            elif self._refusals < MOST_REFUSALS:
                if self._confirm(pool.first + i, down, pool.widths[k].cells - down):
                    yield down
                self._refusals += 1
