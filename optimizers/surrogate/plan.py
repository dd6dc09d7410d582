"""One step of box quadrature for one trajectory: take scores, fit, find the boxes, choose the next points.

All in unit coordinates: along a periodic parameter relative to the start point, so that nothing depends on where it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np

from optimizers.surrogate.boxes import Limits, log_volumes, screened, widest
from optimizers.surrogate.design import evenly_spread, most_telling, points_on_lines
from optimizers.surrogate.process import Lattice, Process, fit, prior_of_logs
from optimizers.surrogate.rows import Row
from optimizers.surrogate.separable import Profiles
from semrob_env.types import BoolArray, FloatArray, IntArray

_FIRST_POINTS = 5
_LINES_FROM = 3
"""Least n that begins with points on lines; below, an even spread of few points sees most of the space."""
_FIRST_REACH = 0.3
_FALLEN = 0.5
"""Lines are halved where the score is this share of the one at the start point."""
_GROWTH = 1.25
"""The numbers of the process are fitted again after so many times as many scores."""
_EVERY = 4
"""One point a step for so many scores told, up to the batch."""
_CANDIDATES = 160
_FREEDOM = 1.0
"""Degrees of freedom a score."""
_STEPS = 96


@final
@dataclass(frozen=True, eq=False)
class Plan:
    """What a step needs to know of space and settings.

    Attributes:
        turns: Which parameters are periodic (n,).
        limits: What a region must keep.
        confidence: Probability with which a recommended box keeps each of its limits.
        optimism: Standard deviations that the hopeful box may be beyond them.
        batch: Most points a step after the first ones.
        line_rounds: Rounds of points on lines.
    """

    turns: BoolArray
    limits: Limits
    confidence: float
    optimism: float
    batch: int
    line_rounds: int

    @property
    def n(self) -> int:
        """Number of parameters."""
        return len(self.turns)

    @cached_property
    def _uses_lines(self) -> bool:
        return self.n >= _LINES_FROM

    @property
    def widest_ask(self) -> int:
        """Most points that any step asks."""
        return max(1 + 2 * self.n if self._uses_lines else _FIRST_POINTS, self.batch)

    def ask_size(self, told: int) -> int:
        """Points asked after so many scores."""
        if not told:
            return 1 + 2 * self.n if self._uses_lines else _FIRST_POINTS
        if self._rounds_left(told):
            return 2 * self.n
        return min(max(told // _EVERY, 1), self.batch)

    def _rounds_left(self, told: int) -> int:
        return max(self.line_rounds - (told - 1) // (2 * self.n), 0) if self._uses_lines else 0

    def first(self, centre: FloatArray) -> Row:
        """What a trajectory knows before its first score."""
        n = self.n
        brackets = np.tile([0.0, 1.0], (n, 2, 1))
        if self._uses_lines:
            others = points_on_lines(centre, self.turns, _reach(brackets))
        else:
            others = evenly_spread(n, 0, _FIRST_POINTS - 1) - np.where(self.turns, 0.5, 0.0)
        logs, _ = prior_of_logs(n, with_feature=self._uses_lines)
        none = np.zeros((0, n))
        upcoming = np.concatenate([centre[None], others])
        return Row(centre, none, np.zeros(0), logs, 0, brackets, np.zeros((n, 2), np.int64), False, 0, upcoming)

    def step(self, row: Row, scores: FloatArray) -> Row:
        """The row after the scores (m,) of its upcoming points."""
        lattice = Lattice.around(row.centre, self.turns, _STEPS)
        brackets = row.brackets
        if self._uses_lines and len(row.scores) < 1 + 2 * self.n * self.line_rounds:
            brackets = self._halved(row, scores)
        points, told = np.concatenate([row.points, row.upcoming]), np.concatenate([row.scores, scores])
        profiles = Profiles(row.centre, self.turns, points, told) if self._uses_lines else None
        logs, fitted = row.logs, row.fitted
        if len(told) >= _GROWTH * fitted:
            feature = None if profiles is None else profiles.at_points
            logs, fitted = fit(logs, points, told, self.turns, feature), len(told)
        process = Process(logs, points, told, lattice, profiles)
        box, hopeful = self._boxes(process, row.box if row.is_known else None)
        after = replace(row, points=points, scores=told, logs=logs, fitted=fitted, brackets=brackets)
        after = replace(after, box=np.zeros_like(row.box) if box is None else box, is_known=box is not None)
        if self._rounds_left(len(told)):
            return replace(after, upcoming=points_on_lines(row.centre, self.turns, _reach(brackets)))
        count = _CANDIDATES // len(hopeful) * len(hopeful)
        spread = np.tile(evenly_spread(self.n, row.drawn, count // len(hopeful)), (len(hopeful), 1))
        upcoming = most_telling(process, hopeful, spread, self.ask_size(len(told)))
        return replace(after, upcoming=upcoming, drawn=row.drawn + count // len(hopeful))

    def bounds(self, row: Row) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds (n,) of the recommended box; both the start point while none is known."""
        if not row.is_known:
            return row.centre, row.centre
        lower, upper = Lattice.around(row.centre, self.turns, _STEPS).bounds(row.box[None])
        return lower[0], upper[0]

    def _halved(self, row: Row, scores: FloatArray) -> FloatArray:
        """The brackets after a round of points on lines."""
        is_first = not len(row.scores)
        top, fresh = (scores[0], scores[1:]) if is_first else (row.scores[0], scores)
        is_high, reach = fresh.reshape(self.n, 2) >= _FALLEN * top, _reach(row.brackets)
        inner = np.where(is_high, reach, row.brackets[..., 0])
        return np.stack([inner, np.where(is_high, row.brackets[..., 1], reach)], axis=-1)

    def _boxes(self, process: Process, before: IntArray | None) -> tuple[IntArray | None, IntArray]:
        """The recommended box (n, 2), None without one, and the boxes (T, n, 2) to learn about."""
        from scipy.special import stdtrit  # here, for it takes a while to import

        # The size of the process is only known from the scores: Student's t instead of the normal distribution.
        safety = float(stdtrit(_FREEDOM * len(process.points), self.confidence))
        smallest = np.zeros((self.n, 2), dtype=np.int64)
        cautions, starts = [], []
        for caution in (safety, -self.optimism, 0.0):
            start = screened(process, self.limits, caution) if self.n <= 2 else None
            cautions.append(caution)
            starts.append(smallest if start is None else start)
        if before is not None:
            cautions.append(safety)
            starts.append(before)
        found, fits = widest(process, self.limits, np.array(cautions), np.stack(starts))
        volumes = np.where(fits, log_volumes(process, found), -np.inf)
        safe = [index for index in (0, 3) if index < len(found) and fits[index]]
        box = found[max(safe, key=lambda index: float(volumes[index]))] if safe else None
        fallback = np.full((self.n, 2), _STEPS // 8) if box is None else box
        hopeful = np.where(fits[1:3, None, None], found[1:3], fallback)
        return box, hopeful[:1] if np.array_equal(hopeful[0], hopeful[1]) else hopeful


def _reach(brackets: FloatArray) -> FloatArray:
    """How far the next round of points on lines goes, (n, 2)."""
    is_new = (brackets[..., 0] == 0) & (brackets[..., 1] == 1)
    return np.asarray(np.where(is_new, _FIRST_REACH, brackets.mean(axis=-1)))
