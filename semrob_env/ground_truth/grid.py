"""The best grid-aligned rectangles of maps, by exact integrals of the interpolant (method section 5)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError, ShapeMismatchError, UnknownNameError
from semrob_env.ground_truth.best_box import Goal, Interval, best_box
from semrob_env.ground_truth.cells import Reach, cell_axes, cell_integrals
from semrob_env.ground_truth.moments import unit_moments
from semrob_env.recorded.integrals import exact_moments
from semrob_env.recorded.maps import ScoreMaps
from semrob_env.regions import Regions
from semrob_env.synthetic.function import Optimum
from semrob_env.types import FloatArray

TABLE_BYTES = 2**26
"""Most memory of the tables that a `GroundTruth` keeps: 64 MiB, the least recently used go first."""

_MOST_OPTIMA = 2**14
_MOST_STARTS = 64
_NUDGES = 4


@final
class GroundTruth:
    """The best grid-aligned rectangles of maps.

    Tables of cell integrals are made when a map is first asked for: 16 bytes a cell, 64 KiB for 120 x 34 lines, so
    that 400 such maps take 26 MB. Beyond `TABLE_BYTES` the least recently used ones are dropped and made again when
    needed. Up to 16384 optima are remembered.

    Args:
        maps: The maps.
    """

    def __init__(self, maps: ScoreMaps) -> None:
        self.maps = maps
        self._axes = cell_axes(maps)
        volume = np.ones(())
        for axis in self._axes:
            volume = np.multiply.outer(volume, axis.lengths)
        self._volume = volume
        self._cells = lru_cache(maxsize=max(1, TABLE_BYTES // (16 * volume.size)))(self._cells_of)
        self._reaches = lru_cache(maxsize=_MOST_STARTS)(self._reaches_of)
        self._best = lru_cache(maxsize=_MOST_OPTIMA)(self._search)

    def optimum(
        self,
        start: npt.ArrayLike,
        epsilon_m: float = 0.5,
        epsilon_v: float = 0.25,
        member: int = 0,
        *,
        complement: bool = False,
    ) -> Optimum:
        """The largest grid-aligned rectangle D around start (n,) with E_D[f] >= 1 - epsilon_m, Var_D[f] <= epsilon_v.

        Exact integrals of the interpolant, mapped to [0, 1] by the score range, decide, without tolerance: what is
        returned meets both under `exact_moments`. Its sides lie on grid lines, or on the bounds of the space where a
        plain axis ends inside; along a periodic axis it takes at most one full turn, which is told as [low, high].
        A start on a side is contained. `best_box` states the order among rectangles of one volume, and what is
        left out: rectangles that keep to a threshold by less than 1e-12, where very many fail by less than that.

        Args:
            start: A point of the space.
            epsilon_m: In [0, 1].
            epsilon_v: 0 or above; from 0.25 on it is no constraint.
            member: The map.
            complement: Look at low + high - f over the score range instead of f.

        Raises:
            InvalidParameterError: epsilon_m or epsilon_v is not as above.
            OutOfSpaceError, ShapeMismatchError: start is not a point (n,) of the space.
            UnknownNameError: No such map.
        """
        if not (0 <= epsilon_m <= 1 and 0 <= epsilon_v < math.inf):
            raise InvalidParameterError(
                f"epsilon_m {epsilon_m} must be in [0, 1] and epsilon_v {epsilon_v} 0 or above and finite"
            )
        point = self.maps.space.require(start, "start")
        if point.ndim != 1:
            raise ShapeMismatchError(f"start has shape {point.shape}, must be ({self.maps.space.n},)")
        if not 0 <= member < len(self.maps):
            raise UnknownNameError(f"member {member}: there are maps 0..{len(self.maps) - 1}")
        start_key = tuple((point + 0.0).tolist())
        return self._best(int(member), start_key, float(epsilon_m), float(epsilon_v), bool(complement))

    def _cells_of(self, member: int) -> tuple[FloatArray, FloatArray]:
        return cell_integrals(self.maps, member, self._axes)

    def _reaches_of(self, start: tuple[float, ...]) -> tuple[Reach, ...]:
        return tuple(axis.reach(at) for axis, at in zip(self._axes, start, strict=True))

    def _search(
        self, member: int, start: tuple[float, ...], epsilon_m: float, epsilon_v: float, complement: bool
    ) -> Optimum:
        integral, square = self._cells(member)
        if complement:
            integral, square = self._volume - integral, self._volume - 2 * integral + square
        reaches = self._reaches(start)

        def confirm(box: list[Interval]) -> bool:
            mean, variance = exact_moments(self.maps, self._region(reaches, box, start), [member])
            score_range = self.maps.score_range
            mean, variance = unit_moments(sum(score_range) - mean if complement else mean, variance, score_range)
            return bool(mean[0] >= 1 - epsilon_m and variance[0] <= epsilon_v)

        most = epsilon_v if epsilon_v < 0.25 else math.inf
        box = best_box(Goal(integral, square, self._volume, 1 - epsilon_m, most), reaches, confirm)
        if box is None:
            return Optimum(0.0, 0.0, None)
        if not confirm(box):
            raise AssertionError(f"sums over cells of map {member} are less exact than {box} needs")
        region = self._region(reaches, box, start)
        return Optimum(float(region.volume()[0]), float(region.share()[0]), region)

    def _region(self, reaches: tuple[Reach, ...], box: list[Interval], start: tuple[float, ...]) -> Regions:
        space = self.maps.space
        lower, upper = np.empty(space.n), np.empty(space.n)
        for k, (reach, (down, up)) in enumerate(zip(reaches, box, strict=True)):
            is_turn = reach.axis.turns and down + up == len(reach.axis)
            lower[k], upper[k] = (space.low[k], space.high[k]) if is_turn else reach.bounds(down, up)
        region = Regions(space, lower, upper).clip()
        for _ in range(_NUDGES):  # a bound a turn away from a start on its line may miss it by rounding
            if region.contains(np.array(start))[0]:
                break
            upper = np.where(space.is_periodic, np.nextafter(region.upper, np.inf), region.upper)
            region = Regions(space, region.lower, upper)
        return region
