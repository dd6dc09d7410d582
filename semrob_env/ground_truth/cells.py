"""The cells of maps: how their grid lies in the space, and the exact integrals of f and f^2 over each cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from semrob_env.recorded.maps import ScoreMaps
from semrob_env.types import FloatArray, IntArray

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
    turns: bool  # whether the axis is periodic
    begins_flat: bool = False  # whether the first cell lies before the first grid line

    def __len__(self) -> int:
        return len(self.lengths)

    def reach(self, start: float) -> Reach:
        """The intervals between lines that contain a value of the parameter."""
        count = len(self)
        if self.turns and start < self.lines[0]:
            start += self.lines[-1] - self.lines[0]
        line = int(np.searchsorted(self.lines, start, side="right")) - 1
        line = min(max(line, 0), count - 1 if self.turns else count)
        below, above = (count, count) if self.turns else (line, count - line)
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
        if self.axis.turns:
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
        if self.axis.turns:
            count = len(self.axis)
            keep &= (down + up < count) | ((down + up == count) & (down == self._places(count)[0]))
        return down[keep], up[keep]

    def _places(self, cells: int) -> tuple[int, int]:
        """Most and least cells below the line of the intervals with a number of cells; most < least: there is none."""
        most, least = min(self.most_down, cells - self.least_up), max(0, cells - self.most_up)
        return (most, most) if self.axis.turns and cells == len(self.axis) else (most, least)

    def bounds(self, down: int, up: int) -> tuple[float, float]:
        """Ends of one interval in native units; not canonical where it crosses the seam."""
        lines, count = self.axis.lines, len(self.axis)
        first, last = self.line - down, self.line + up
        if not self.axis.turns:
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
        ends = [line % count if axis.turns else line.clip(0, count - 1) for line in (cells, cells + 1)]
        split = []
        for part in parts:
            below, above = (part.take(end, axis=k) for end in ends)
            split += [(below + above) / 2, (above - below) / np.sqrt(12.0)]
        parts = split
    square = parts[0] * parts[0]
    for part in parts[1:]:
        square += part * part
    return parts[0] * volume, square * volume
