"""Maps as a score function: multilinear between the grid lines, exact slopes, a whole stack of maps in one batch.

Ids: `recorded:NETWORK/CLASS/SHAPE`, for example `recorded:ResNet50/chair/1`; `*` in a part names a family, for example
`recorded:ResNet50/chair/*` or `recorded:*`. The maps are looked up in `results/recorded/maps.npz` (what
`scripts/import_recorded.py` writes), in the file that the environment variable SEMROB_MAPS names, or with
`?file=PATH` in that one. A run's key holds the hash of its map, not the place of the file.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import final
from urllib.parse import quote, unquote_to_bytes

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidMapsError, UnknownNameError
from semrob_env.functions import ScoreFunction, split_options
from semrob_env.recorded.file import load_maps
from semrob_env.recorded.maps import ScoreMaps
from semrob_env.regions import corner_masks
from semrob_env.types import Float32Array, FloatArray, IntArray

DEFAULT_FILE = "results/recorded/maps.npz"
FILE_VARIABLE = "SEMROB_MAPS"
VERSION = "1"  # changes when the same map begins to give other scores between its lines

MOST_CELL_BYTES = 2**31
"""Most memory (2 GiB) of the corners of all cells: scores times 2^n."""

_CHUNK = 3200
"""Points answered at once: their arrays stay in the cache, and below 128 KiB, from where the allocator is slow."""


@final
@dataclass(frozen=True)
class _Axis:
    """Grid lines as plain numbers."""

    origin: float  # the first line
    step: float  # distance of lines
    count: int  # number of lines
    periodic: bool  # whether the axis is periodic
    starts_inside: bool  # the first line lies above the lower bound of the space
    most: float  # the largest place, in steps: the last line, or just below the whole turn, which rounding may reach


@final
class RecordedMaps(ScoreFunction):
    """Maps as a family of functions, one member a map, with exact gradients of the interpolant.

    Between grid lines f is multilinear; a periodic axis joins its last line to its first; beyond the first and the last
    line of a plain axis f is constant along it. A slope at a grid line is that of the cell above it.

    Args:
        maps: The maps.
        file: The file named in the ids; None: the default one.
        family_id: The id of the whole family; None: the ids of all members, joined.
    """

    def __init__(self, maps: ScoreMaps, *, file: str | None = None, family_id: str | None = None) -> None:
        self.maps = maps
        ids = tuple(map_id(name, file) for name in maps.names)
        super().__init__(
            maps.space,
            ids,
            score_range=maps.score_range,
            has_gradient=True,
            fingerprints=[{"map": digest, "interpolation": VERSION} for digest in maps.digests],
            family_id=family_id if maps.scores.shape[0] > 1 else None,
        )
        if (size := 4 * maps.scores.size * 2**maps.space.n) > MOST_CELL_BYTES:
            raise InvalidMapsError(f"maps whose cells take {size} bytes; at most {MOST_CELL_BYTES} are looked up")
        periodic = maps.space.is_periodic.tolist()
        self._axes = tuple(
            _Axis(
                float(axis[0]),
                step,
                len(axis),
                turn,
                starts_inside=bool(axis[0] > low),
                most=math.nextafter(len(axis), 0) if turn else len(axis) - 1.0,
            )
            for axis, step, turn, low in zip(maps.axes, maps.steps.tolist(), periodic, maps.space.low, strict=True)
        )

    @cached_property
    def _cells(self) -> npt.NDArray[np.void]:
        """Per cell, the scores at its 2^n corners as one item: a point costs one look-up. (F * P_1 * ... * P_n,).

        Bit k of a corner is the upper line of parameter k. The cell beyond the last line of a plain axis is flat.
        """
        scores, n = self.maps.scores, self.space.n
        cells = np.empty((*scores.shape, 2**n), dtype=np.float32)
        for corner, is_upper in enumerate(corner_masks(n)):
            shifted = scores
            for k in np.flatnonzero(is_upper):
                lines = np.arange(1, scores.shape[k + 1] + 1)
                shifted = shifted.take(lines, axis=k + 1, mode="wrap" if self._axes[k].periodic else "clip")
            cells[..., corner] = shifted
        return cells.reshape(-1, 2**n).view(np.dtype((np.void, 4 * 2**n)))[:, 0]

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        rows, columns = theta.shape[:2]
        if rows * columns == 1:
            return np.array([[self._value(theta[0, 0].tolist(), int(member[0]))]])
        values = np.empty(rows * columns)
        points, owner, is_across = _laid_out(theta, member)
        for first in range(0, len(values), _CHUNK):
            part = slice(first, first + _CHUNK)
            values[part] = _interpolated(*self._looked_up(points[:, part], owner[part]))
        return values.reshape(columns, rows).T if is_across else values.reshape(rows, columns)

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        rows, columns, n = theta.shape
        values, gradients = np.empty(rows * columns), np.empty((n, rows * columns))
        points, owner, is_across = _laid_out(theta, member)
        for first in range(0, len(values), _CHUNK):
            part = slice(first, first + _CHUNK)
            corners, fractions = self._looked_up(points[:, part], owner[part])
            values[part] = _interpolated(corners, fractions)
            for k, axis in enumerate(self._axes):
                # The differences of the faces of the cell that parameter k joins.
                faces = corners.reshape(2 ** (n - 1 - k), 2, 2**k, -1)
                slopes = (faces[:, 1] - faces[:, 0]).reshape(2 ** (n - 1), -1)
                gradients[k, part] = _interpolated(slopes, [*fractions[:k], *fractions[k + 1 :]]) / axis.step
                if axis.starts_inside and not axis.periodic:
                    gradients[k, part][points[k, part] < axis.origin] = 0.0  # held constant before the first line
        if is_across:
            return values.reshape(columns, rows).T, gradients.reshape(n, columns, rows).T
        return values.reshape(rows, columns), np.moveaxis(gradients.reshape(n, rows, columns), 0, -1)

    def _looked_up(self, points: FloatArray, owner: IntArray) -> tuple[FloatArray, list[FloatArray]]:
        """Scores at the corners of the cells of points (n, N), (2^n, N), and where in its cell each point lies."""
        cell, fractions = owner.astype(np.float64), []  # whole numbers, as floats all the way: conversions are slow
        for at, axis in zip(points, self._axes, strict=True):
            along = at - axis.origin
            along /= axis.step
            if axis.starts_inside:
                np.add(along, axis.count, out=along, where=along < 0) if axis.periodic else np.maximum(
                    along, 0, out=along
                )
            np.minimum(along, axis.most, out=along)
            line = np.floor(along)
            along -= line
            fractions.append(along)
            cell *= axis.count
            cell += line
        corners = self._cells.take(cell.astype(np.int64)).view(np.float32).reshape(-1, 2 ** len(self._axes))
        return corners.T.astype(np.float64, order="C"), fractions

    def _value(self, theta: list[float], member: int) -> float:
        """The score at one point, the operations of `_looked_up` and `_interpolated` on plain floats."""
        cell, fractions = member, []
        for at, axis in zip(theta, self._axes, strict=True):
            along = (at - axis.origin) / axis.step
            if along < 0:
                along = along + axis.count if axis.periodic else 0.0
            along = min(along, axis.most)
            line = int(along)
            fractions.append(along - line)
            cell = cell * axis.count + line
        corners = self._corner_rows[cell].tolist()
        for fraction in reversed(fractions):
            half = len(corners) // 2
            corners = [(high - low) * fraction + low for low, high in zip(corners[:half], corners[half:], strict=True)]
        return float(corners[0])

    @cached_property
    def _corner_rows(self) -> Float32Array:
        """`_cells` as rows of numbers, the same memory."""
        return self._cells.view(np.float32).reshape(len(self._cells), -1)


def _laid_out(theta: FloatArray, member: IntArray) -> tuple[FloatArray, IntArray, bool]:
    """Points (n, N) and their members (N,) in the order of memory; whether that runs across the rows of theta."""
    columns, n = theta.shape[1:]
    if theta.strides[0] < theta.strides[1]:  # optimizers lay trajectories side by side: nothing is copied
        return theta.T.reshape(n, -1), np.tile(member, columns), True
    return np.moveaxis(theta, -1, 0).reshape(n, -1), np.repeat(member, columns), False


def _interpolated(corners: FloatArray, fractions: list[FloatArray]) -> FloatArray:
    """Values (N,) of corner scores (2^n, N) at the fractions (N,) of each parameter's cell."""
    for fraction in reversed(fractions):
        half = len(corners) // 2
        low, high = corners[:half], corners[half:]
        corners = high - low
        corners *= fraction
        corners += low
    return np.asarray(corners[0])


def map_id(name: str, file: str | None = None) -> str:
    """The function id of a map."""
    return f"recorded:{name}" + ("" if file is None else f"?file={quote(os.fsencode(file), safe='/:.-_')}")


def make_recorded(function_id: str) -> RecordedMaps:
    """The maps that an id names; see the module.

    Raises:
        UnknownNameError: No map of that name, or an unknown option.
        MissingFileError, InvalidMapsError: No file of maps, or a damaged one.
    """
    body, options = split_options(function_id)
    unknown = [option for option in options if option != "file"]
    if unknown:
        raise UnknownNameError(f"unknown option {unknown[0]!r} in {function_id!r}; known is file")
    file = os.fsdecode(unquote_to_bytes(options["file"])) if "file" in options else None
    maps = load_maps(file or os.environ.get(FILE_VARIABLE) or DEFAULT_FILE)
    if "*" not in body:
        return RecordedMaps(maps.only([maps.index(body)]), file=file)
    rows = [row for row, name in enumerate(maps.names) if fnmatchcase(name, body)]
    if not rows:
        raise UnknownNameError(f"no map fits {body!r}; there are {len(maps)}, the first one is {maps.names[0]}")
    return RecordedMaps(maps.only(rows), file=file, family_id=map_id(body, file))
