"""Exact answers about maps: moments of any region, and the best grid-aligned rectangles (method sections 5 and 6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import NoGroundTruthError, ShapeMismatchError, UnknownNameError
from semrob_env.functions import UnitScale
from semrob_env.ground_truth.cells import CellProblem, CellReach, Interval, best_boxes, cell_axes, cell_integrals
from semrob_env.ground_truth.levels import LevelTable
from semrob_env.questions import MOST_VARIANCE, Goal, MeanGoal, Moments, Truth
from semrob_env.recorded.integrals import exact_moments
from semrob_env.recorded.maps import ScoreMaps
from semrob_env.regions import Regions
from semrob_env.synthetic.function import Known, Optimum
from semrob_env.types import FloatArray

TABLE_BYTES = 2**26
"""Most memory of each kind of tables that a `GroundTruth` keeps: 64 MiB, the least recently used go first."""

_MOST_OPTIMA = 2**14
_MOST_STARTS = 64
_LEVEL_BYTES = 32  # of a cell in a `LevelTable`: its value, its share, and twice its sum


@final
class GroundTruth:
    """Exact answers about maps, in unit scores.

    Tables of cell integrals are made when a map is first asked for: 16 bytes a cell, 64 KiB for 120 x 34 lines, so
    that 400 such maps take 26 MB; those of a level (`LevelTable`) take twice as much. Beyond `TABLE_BYTES` the
    least recently used ones are dropped and made again when needed. Up to 16384 optima are remembered.

    Args:
        maps: The maps.
    """

    def __init__(self, maps: ScoreMaps) -> None:
        self.maps = maps
        self._scale = UnitScale(*maps.score_range)
        self._axes = cell_axes(maps)
        volume = np.ones(())
        for axis in self._axes:
            volume = np.multiply.outer(volume, axis.lengths)
        self._volume = volume
        self._cells = lru_cache(maxsize=max(1, TABLE_BYTES // (16 * volume.size)))(self._cells_of)
        self._levels = lru_cache(maxsize=max(1, TABLE_BYTES // (_LEVEL_BYTES * volume.size)))(self._level_of)
        self._reaches = lru_cache(maxsize=_MOST_STARTS)(self._reaches_of)
        self._best = lru_cache(maxsize=_MOST_OPTIMA)(self._search_one)

    def truth(
        self, regions: Regions, member: npt.ArrayLike | None = None, *, complement: bool = False
    ) -> Truth[Moments]:
        """The exact moments (B,) over regions of the map (B,) that each is of, None: all of map 0."""
        rows = np.zeros(len(regions), dtype=np.int64) if member is None else np.asarray(member, dtype=np.int64)

        def moments() -> Moments:
            mean, variance = exact_moments(self.maps, regions, rows)
            mean = self._scale.low + self._scale.high - mean if complement else mean
            return self._scale.unit_moments(mean, variance)

        def above(level: float) -> Moments:
            cut, share = regions.clip(), np.empty(len(regions))
            for map_row in np.unique(rows).tolist():
                own = np.flatnonzero(rows == map_row)
                share[own] = self._levels(map_row, level, complement).region_shares(cut[own])
            return share, share * (1 - share)

        return Known(moments, above)

    def optimum(
        self, start: npt.ArrayLike, goal: Goal | None = None, member: int = 0, *, complement: bool = False
    ) -> Optimum:
        """The largest grid-aligned rectangle around start (n,) that meets a goal.

        Exact integrals of the interpolant decide, without tolerance: what is returned meets the goal under `truth`.
        Its sides lie on grid lines, or on the bounds of the space where a plain axis ends inside; along a periodic
        axis it takes at most one full turn, which is told as [low, high]. A start on a side is contained. `best_boxes`
        states the order among rectangles of one volume, and what is left out: rectangles that keep to a threshold by
        less than 1e-12, where very many fail by less than that.

        Args:
            start: A point of the space.
            goal: None: `MeanGoal()`.
            member: The map.
            complement: Look at 1 - f instead of f.

        Raises:
            NoGroundTruthError: The goal counts what is not known of maps of so many parameters.
            OutOfSpaceError, ShapeMismatchError: start is not a point (n,) of the space.
            UnknownNameError: No such map.
        """
        wanted = MeanGoal() if goal is None else goal
        return self._best(self._known_map(member), self._start_key(start), wanted, bool(complement))

    def optima(
        self, start: npt.ArrayLike, goals: Sequence[Goal], member: int = 0, *, complement: bool = False
    ) -> tuple[Optimum, ...]:
        """`optimum` for G goals, the very same, faster.

        Goals that differ in their least mean only share one pass over all boxes; others that differ in their level
        (`Goal.at`) begin at the largest box of the level below. Nothing is remembered. Arguments and errors as in
        `optimum`.
        """
        return self._search(self._known_map(member), self._start_key(start), tuple(goals), bool(complement))

    def _known_map(self, member: int) -> int:
        if not 0 <= member < len(self.maps):
            raise UnknownNameError(f"member {member}: there are maps 0..{len(self.maps) - 1}")
        return int(member)

    def _start_key(self, start: npt.ArrayLike) -> tuple[float, ...]:
        point = self.maps.space.require(start, "start")
        if point.ndim != 1:
            raise ShapeMismatchError(f"start has shape {point.shape}, must be ({self.maps.space.n},)")
        return tuple((point + 0.0).tolist())

    def _cells_of(self, member: int) -> tuple[FloatArray, FloatArray]:
        return cell_integrals(self.maps, member, self._axes)

    def _level_of(self, member: int, level: float, complement: bool) -> LevelTable:
        if self.maps.space.n > 2:
            raise NoGroundTruthError(
                f"the exact share of views with a score of at least {level:g} is known for maps of 1 or 2 parameters, "
                f"not of {self.maps.space.n}; judge_regions estimates it"
            )
        scores = self.maps.scores[member].astype(np.float64)
        if complement:
            scores = np.clip(self._scale.low + self._scale.high - scores, self._scale.low, self._scale.high)
        return LevelTable(self.maps, self._scale.unit(scores) - level)

    def _reaches_of(self, start: tuple[float, ...]) -> tuple[CellReach, ...]:
        return tuple(axis.reach(at) for axis, at in zip(self._axes, start, strict=True))

    def _search_one(self, member: int, start: tuple[float, ...], goal: Goal, complement: bool) -> Optimum:
        return self._search(member, start, (goal,), complement)[0]

    def _search(
        self, member: int, start: tuple[float, ...], goals: tuple[Goal, ...], complement: bool
    ) -> tuple[Optimum, ...]:
        found = [Optimum(0.0, 0.0, None)] * len(goals)
        groups: dict[tuple[str, float, bool], list[int]] = {}
        for i, goal in enumerate(goals):
            groups.setdefault((goal.counts, goal.most_variance, goal.least == 1), []).append(i)
        # What meets a goal at one level meets it at lower ones: the largest box found there is a ceiling.
        ceilings: dict[Goal, float] = {}
        for own in sorted(groups.values(), key=lambda own: goals[own[0]].level):
            family = goals[own[0]].at(1.0)
            ceiling = ceilings.get(family, math.inf)
            boxes, is_sure = self._boxes(member, start, [goals[i] for i in own], complement, ceiling)
            kept = [(i, box[1]) for i, box in zip(own, boxes, strict=True) if box is not None]
            if is_sure:
                ceilings[family] = min((0.0 if box is None else box[0] for box in boxes), default=ceiling)
            if not kept:
                continue
            regions = self._regions(start, [box for _, box in kept])
            mean, variance = goals[own[0]].exact(self._truth_of(member, regions, complement))
            for row, (i, box) in enumerate(kept):
                if not goals[i].is_met(mean[row], variance[row]):
                    raise AssertionError(f"sums over cells of map {member} are less exact than {box} needs")
                region = regions[row : row + 1]
                found[i] = Optimum(float(region.volume()[0]), float(region.share()[0]), region)
        return tuple(found)

    def _boxes(
        self, member: int, start: tuple[float, ...], goals: Sequence[Goal], complement: bool, ceiling: float
    ) -> tuple[list[tuple[float, list[Interval]] | None], bool]:
        """The best boxes for goals that differ in their least mean only; and whether none was a close call."""
        one, close = goals[0], list[int]()
        integral, square = one.exact(self._cells_known(member, complement))
        if one.least == 1:  # a mean of 1 has no cell below it, not even by what sums over many cells would not show
            integral = np.where(integral < self._volume, -self._volume.sum(), self._volume)

        def confirm(goal: int, box: list[Interval]) -> bool:
            close.append(goal)
            known = self._truth_of(member, self._regions(start, [box]), complement)
            return bool(goals[goal].is_met(*one.exact(known))[0])

        most = one.most_variance if one.most_variance < MOST_VARIANCE else math.inf
        problem = CellProblem(integral, square, self._volume, most)
        boxes = best_boxes(problem, [goal.least for goal in goals], self._reaches(start), confirm, ceiling)
        return boxes, not close

    def _truth_of(self, member: int, regions: Regions, complement: bool) -> Truth[Moments]:
        return self.truth(regions, [member] * len(regions), complement=complement)

    def _cells_known(self, member: int, complement: bool) -> Known[tuple[FloatArray, FloatArray]]:
        """Integrals over the cells of one map (C_1, ..., C_n), of what is counted and of its square."""

        def moments() -> tuple[FloatArray, FloatArray]:
            integral, square = self._cells(member)
            return (self._volume - integral, self._volume - 2 * integral + square) if complement else (integral, square)

        def above(level: float) -> tuple[FloatArray, FloatArray]:
            area = self._levels(member, level, complement).cell_shares * self._volume
            return area, area

        return Known(moments, above)

    def _regions(self, start: tuple[float, ...], boxes: list[list[Interval]]) -> Regions:
        space, reaches = self.maps.space, self._reaches(start)
        lower, upper = np.empty((2, len(boxes), space.n))
        for row, box in enumerate(boxes):
            for k, (reach, (down, up)) in enumerate(zip(reaches, box, strict=True)):
                is_turn = reach.axis.periodic and down + up == len(reach.axis)
                lower[row, k], upper[row, k] = (space.low[k], space.high[k]) if is_turn else reach.bounds(down, up)
        return Regions(space, lower, upper).clip()
