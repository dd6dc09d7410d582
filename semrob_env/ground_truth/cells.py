"""The cells of maps, exact integrals over them, and the largest box of whole cells around a point.

The box has a high mean and a low variance; the search is exhaustive, pruned. Boxes are products of intervals that
contain the point. Along the axis with the most cells (the first of these), the *scanned* one, sums over all intervals
come from sums that run outwards from the point, so that a sum of two is a sum over an interval and nothing cancels:
summed-area tables, anchored at the point. The intervals of the other axes, their *sections*, are tried in order of
falling area, the widths along the scanned axis from the widest down, all places of a width at once; what cannot beat
the best box so far is left out.

Order among boxes of one volume: more cells along the scanned axis first; then the larger section, then the section
that reaches further down along the first of the other axes, then up, and so on for the next axis; then the box that
reaches further down along the scanned axis.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

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

    def reach(self, start: float) -> Reach:
        """The intervals between lines that contain a value of the parameter."""
        count = len(self)
        if self.periodic and start < self.lines[0]:
            start += self.lines[-1] - self.lines[0]
        line = int(np.searchsorted(self.lines, start, side="right")) - 1
        line = min(max(line, 0), count - 1 if self.periodic else count)
        below, above = (count, count) if self.periodic else (line, count - line)
        return Reach(self, line, below, above, 0 if self.lines[line] == start else 1)


@final
@dataclass(frozen=True, eq=False)
class Width:
    """The intervals of a `Reach` with one number of cells, W places, those that reach further down first."""

    cells: int  # the number of cells
    down: IntArray  # cells down (W,)
    lengths: FloatArray  # lengths (W,)
    longest: float  # largest of these
    below: slice  # where these places stand in an array over cells down, the most first
    above: slice  # where they stand in an array over cells up, none first


@final
@dataclass(frozen=True, eq=False)
class Reach:
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
        """The intervals by their number of cells, the widest first; a full turn has one place."""
        widths = []
        for cells in range(min(self.most_down + self.most_up, len(self.axis)), 0, -1):
            most, least = self._places(cells)
            if most >= least:
                down = np.arange(most, least - 1, -1)
                lengths = self.length(down, cells - down)
                below = slice(self.most_down - most, self.most_down - least + 1)
                above = slice(cells - most, cells - least + 1)
                widths.append(Width(cells, down, lengths, float(lengths.max()), below, above))
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
Interval = tuple[int, int]  # cells (down, up) of a `Reach`


@final
@dataclass(frozen=True, eq=False)
class CellProblem:
    """What is looked for among the boxes of cells of one map."""

    integral: FloatArray  # integrals over the cells (C_1, ..., C_n) of what is counted
    square: FloatArray  # integrals of its square
    volume: FloatArray  # volumes of the cells
    least: float  # least mean of it
    most: float  # its largest variance; infinite: none asked


def best_box(
    problem: CellProblem, reaches: tuple[Reach, ...], confirm: Callable[[list[Interval]], bool]
) -> list[Interval] | None:
    """The first of the largest feasible boxes, one interval an axis; None if there is none.

    Args:
        problem: Integrals over the cells, and thresholds.
        reaches: Along each axis, the intervals that contain the point.
        confirm: Judges a box that is within `BAND` of a threshold.
    """
    counts = [len(reach.axis) for reach in reaches]
    scanned = counts.index(max(counts))
    others = [reach for k, reach in enumerate(reaches) if k != scanned]
    sections = _Sections(problem, scanned, others)

    def judge(section: int, down: int, up: int) -> bool:
        return confirm(put_back(section, down, up))

    def put_back(section: int, down: int, up: int) -> list[Interval]:
        box = sections.intervals(section)
        box.insert(scanned, (down, up))
        return box

    scan = _Scan(reaches[scanned], judge)
    for block in sections.blocks():
        if block.area[0] * scan.longest < scan.volume:
            break
        scan.take(block)
    return None if scan.best is None else put_back(*scan.best)


@final
@dataclass(frozen=True, eq=False)
class _Block:
    """Sections, and integrals over the cells of the scanned axis within each, (I, C)."""

    first: int  # number of the first section
    area: FloatArray  # areas (I,), falling
    excess: FloatArray  # integrals of f - least
    spread: FloatArray | None  # integrals of (f - least)^2 - most; None where no variance is asked


@final
class _Sections:
    """All products of intervals of the axes that are not scanned, by falling area."""

    def __init__(self, problem: CellProblem, scanned: int, reaches: list[Reach]) -> None:
        least = problem.least - BAND
        excess = problem.integral - least * problem.volume
        quantities = [excess]
        if math.isfinite(problem.most):
            # (f - c)^2 - v = f^2 - 2 c (f - c) - c^2 - v
            quantities.append(
                problem.square - 2 * least * excess - (least * least + problem.most + BAND) * problem.volume
            )
        self._reaches = reaches
        self._tables = [_orthants(np.moveaxis(array, scanned, -1), reaches) for array in quantities]
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
            sums = [_summed(table, ends) for table in self._tables]
            yield _Block(first, self._area[first : first + _BLOCK], sums[0], sums[1] if len(sums) > 1 else None)


def _orthants(cells: FloatArray, reaches: list[Reach]) -> dict[tuple[int, ...], FloatArray]:
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
    """Running sums of integrals (I, C) outwards from the point along the scanned axis."""

    def __init__(self, integrals: FloatArray, reach: Reach) -> None:
        self._up = _outwards(integrals, reach.cells_up, 1)
        # Reversed and negated: the sum over an interval is a difference, and is above 0 where one exceeds the other.
        self._down = -_outwards(integrals, reach.cells_down, 1)[:, ::-1]

    def is_positive(self, rows: slice, width: Width) -> BoolArray:
        """Whether sums are 0 or above, for some sections and all places of a width, (I, W)."""
        return np.asarray(self._up[rows, width.above] >= self._down[rows, width.below])

    def sums(self, rows: slice, width: Width) -> FloatArray:
        """The sums (I, W)."""
        return np.asarray(self._up[rows, width.above] - self._down[rows, width.below])


@final
class _Scan:
    """The search through sections, and the best box so far.

    Attributes:
        volume: Volume of the best box, 0 without one.
        best: Its section and its cells (down, up) along the scanned axis; None without one.
        longest: Length of the longest interval of the scanned axis.
    """

    def __init__(self, reach: Reach, confirm: Callable[[int, int, int], bool]) -> None:
        self._reach = reach
        self._confirm = confirm
        self._refusals = 0
        self._cells = 0
        self.volume = 0.0
        self.best: tuple[int, int, int] | None = None
        self.longest = reach.widths[0].longest

    def take(self, block: _Block) -> None:
        """Looks for a better box among the sections of a block."""
        excess = _Running(block.excess, self._reach)
        spread = None if block.spread is None else _Running(block.spread, self._reach)
        falling = -block.area
        for width in self._reach.widths:
            # At the same volume, more cells along this axis win.
            side: Literal["left", "right"] = "right" if width.cells > self._cells else "left"
            count = int((falling * width.longest).searchsorted(-self.volume, side=side))
            if not count:
                break
            fits = excess.is_positive(slice(0, count), width)
            if fits.any():
                self._choose(block, width, fits, excess, spread)

    def _choose(self, block: _Block, width: Width, fits: BoolArray, excess: _Running, spread: _Running | None) -> None:
        """Takes the first of the largest boxes of a width that keep to the thresholds, if it is better.

        `fits` tells which boxes (I, W) of the first sections keep to that of the mean.
        """
        kept = np.flatnonzero(fits.any(axis=1))
        rows = slice(int(kept[0]), int(kept[-1]) + 1)
        fits, volume = fits[rows], block.area[rows, None] * width.lengths
        if spread is not None:
            mean, second = excess.sums(rows, width), spread.sums(rows, width)
            mean *= mean
            second *= volume
            fits &= second <= mean
        volume *= fits
        if self._refusals >= MOST_REFUSALS:
            volume *= _is_sure(rows, width, block, excess, spread)
        while volume.any():
            row, place = divmod(int(volume.argmax()), volume.shape[1])
            found, down, section = float(volume[row, place]), int(width.down[place]), rows.start + row
            if found < self.volume or (found == self.volume and width.cells <= self._cells):
                return
            box = (block.first + section, down, width.cells - down)
            own = slice(section, section + 1)
            if _is_sure(own, width, block, excess, spread)[0, place] or self._confirm(*box):
                self.volume, self.best, self._cells = found, box, width.cells
                return
            volume[row, place] = 0.0
            self._refusals += 1
            if self._refusals == MOST_REFUSALS:
                volume *= _is_sure(rows, width, block, excess, spread)


def _is_sure(rows: slice, width: Width, block: _Block, excess: _Running, spread: _Running | None) -> BoolArray:
    """Whether boxes (I, W) keep to the thresholds by `BAND` or more; sums leave as much to the other side of them."""
    volume = block.area[rows, None] * width.lengths
    mean = excess.sums(rows, width) / volume
    margin = mean if spread is None else np.minimum(mean, mean * mean - spread.sums(rows, width) / volume)
    return np.asarray(margin >= 2 * BAND)
