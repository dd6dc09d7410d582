"""One step of box quadrature for one trajectory: take scores, fit, find the boxes, choose the next points.

All in unit coordinates: along a periodic parameter relative to the start point, so that nothing depends on where it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from statistics import NormalDist
from typing import Any, final

import numpy as np
import numpy.typing as npt

from optimizers.surrogate.boxes import log_volumes, widest
from optimizers.surrogate.criteria import Criterion, criterion_of
from optimizers.surrogate.process import Lattice, Process, fit, prior_of_logs
from optimizers.surrogate.separable import Profiles
from semrob_env.questions import Goal
from semrob_env.sequences import evenly_spread
from semrob_env.types import BoolArray, FloatArray, IntArray

_LINES_FROM = 3
"""Least n that begins with points on lines; below, the start point and what its score calls for."""
_FIRST_REACH = 0.3
_FALLEN = 0.5
"""Lines are halved where the score is this share of the one at the start point."""
_ROUNDS_BEFORE_LOOK = 2
"""Rounds of points on lines before the look at the whole space."""
_LEAST_OFF_LINES, _LEAST_ADDED = 5, 2.0
"""Scores off the lines that tell whether to believe in profiles, and the log likelihood that these must add there."""
_TAKEN_FOR_RIGHT = 10
"""Errors of the size that the process says which count beside those that it makes: a few scores prove little."""
_GROWTH = 1.25
"""The numbers of the process are fitted again after so many times as many scores."""
_EVERY = 4
"""One point a step for so many scores told, up to the batch."""
_CANDIDATES = 160
_FULL_AT, _GROWING = 80, 0.4
"""How many scores call for all of the caution, and the power of their number with which it grows until then."""
_HOPES = (1.0, 0.5, 0.0, -0.5)
"""Boxes that may be worth learning about are sought with these shares of the optimism."""
_WORTH, _TINY_BOX = 0.03, 0.02
"""A gain of less than this share of the recommended volume, or of that of a tiny box, is not worth all points."""
_SMALL = 0.05
"""Gains are told as shares of the recommended volume, or of that of a tiny box, of two parameters one so small."""
_LEAST_TOLD, _PATIENCE = 40, 30
"""Scores that a trajectory takes before it can converge, and for how many of them, or one a side of a box if that is
more, all gains must have been small."""
_STEPS = 96
_TINY = 1e-12
_LATTICES = 256


@final
@dataclass(frozen=True, eq=False)
class Knowledge:
    """All that a trajectory knows; N scores so far.

    Attributes:
        center: The start point (n,).
        points: Points asked (N, n).
        scores: Their scores (N,) in [0, 1].
        logs: Numbers of the process with profiles as a feature, which there are from three parameters on.
        plain_logs: Those of the process without.
        is_plain: Whether the one without is believed.
        fitted: How many scores they were fitted to.
        brackets: Per parameter and side, shares of the way to the wall (n, 2, 2): score still high, score fallen.
        box: Recommended box (n, 2), in steps of the lattice.
        is_known: Whether there is one.
        on_lines: Whether the upcoming points are on lines.
        drawn: How many points of the even spread were used.
        gains: For the goal and each level of the profile (1 + L,) the volume that is expected to be won at most, as a
            share of that of the recommended box or of a small one; 1 before the goal had its turn.
        waits: Since how many steps each had no turn (1 + L,).
        settled: How many scores came since all gains were small.
        upcoming: Points to ask next (m, n).
    """

    center: FloatArray
    points: FloatArray
    scores: FloatArray
    logs: FloatArray
    plain_logs: FloatArray
    is_plain: bool
    fitted: int
    brackets: FloatArray
    box: IntArray
    is_known: bool
    on_lines: bool
    drawn: int
    gains: FloatArray
    waits: IntArray
    settled: int
    upcoming: FloatArray

    @classmethod
    def of(cls, state: Mapping[str, npt.NDArray[Any]], index: int) -> Knowledge:
        """One of the rows that were packed."""
        own = {name: state[name][index] for name in (field.name for field in fields(cls))}
        told, asked = int(state["told"][index]), int(state["asked"][index])
        own |= {"points": own["points"][:told], "scores": own["scores"][:told], "upcoming": own["upcoming"][:asked]}
        plain = {name: own[name].item() for name in ("fitted", "is_known", "is_plain", "on_lines", "drawn", "settled")}
        return cls(**{**own, **plain})


def packed(rows: Sequence[Knowledge], most_points: int, widest_ask: int) -> dict[str, npt.NDArray[Any]]:
    """Rows as arrays with the trajectory as first axis; points, scores and upcoming points are filled up with zeros."""
    state = {
        "told": np.array([len(row.scores) for row in rows], dtype=np.int64),
        "asked": np.array([len(row.upcoming) for row in rows], dtype=np.int64),
    }
    most = {"points": most_points, "scores": most_points, "upcoming": widest_ask}
    for field in fields(Knowledge):
        values = [np.asarray(getattr(row, field.name)) for row in rows]
        if field.name in most:
            values = [np.concatenate([own, np.zeros((most[field.name] - len(own), *own.shape[1:]))]) for own in values]
        state[field.name] = np.stack(values)
    return state


@final
@dataclass(frozen=True, eq=False)
class StepPlan:
    """What a step needs to know of space and settings.

    Attributes:
        periodic: Which parameters are periodic (n,).
        goal: What a region must meet.
        levels: Levels of the goal that a profile is wanted at.
        tolerance: Gains are small below this; 0: never.
        confidence: Probability with which a recommended box keeps each of its limits, once scores are many.
        optimism: Standard deviations that the most hopeful box may be beyond them.
        batch: Most points a step after the first ones.
        line_rounds: Rounds of points on lines.
    """

    periodic: BoolArray
    goal: Goal
    levels: tuple[float, ...]
    tolerance: float
    confidence: float
    optimism: float
    batch: int
    line_rounds: int

    @property
    def n(self) -> int:
        """Number of parameters."""
        return len(self.periodic)

    @cached_property
    def goals(self) -> tuple[Goal, ...]:
        """The goal, and it at the levels of the profile as far as one process knows of all of them."""
        others = tuple(goal for goal in map(self.goal.at, self.levels) if goal != self.goal)
        probe = np.linspace(0.0, 1.0, 9)
        told = [criterion_of(goal, self.n).told(goal, probe) for goal in (self.goal, *others)]
        return (self.goal, *others) if all(np.array_equal(told[0], one) for one in told) else (self.goal,)

    def has_converged(self, row: Knowledge) -> bool:
        """Whether hardly any gain has been expected for a while."""
        return len(row.scores) >= _LEAST_TOLD and row.settled >= max(_PATIENCE, 2 * self.n)

    @property
    def _uses_lines(self) -> bool:
        return self.n >= _LINES_FROM

    @property
    def widest_ask(self) -> int:
        """Most points that any step asks."""
        return max(*self._opening.values(), self.batch)

    @cached_property
    def _opening(self) -> dict[int, int]:
        """Points asked first, by how many scores were told before: those on lines, and the look (n >= 3)."""
        if not self._uses_lines:
            return {0: 1}
        before, each = min(_ROUNDS_BEFORE_LOOK, self.line_rounds), 2 * self.n
        sizes = [1 + each] + [each] * (before - 1) + [self.n + 2] + [each] * (self.line_rounds - before)
        return dict(zip(np.cumsum([0, *sizes[:-1]]).tolist(), sizes, strict=True))

    @cached_property
    def _look_at(self) -> int:
        """How many scores are told before the look at the whole space; -1: there is none."""
        return 1 + 2 * self.n * min(_ROUNDS_BEFORE_LOOK, self.line_rounds) if self._uses_lines else -1

    def ask_size(self, told: int) -> int:
        """Points asked after so many scores."""
        return self._opening.get(told, min(max(told // _EVERY, 1), self.batch))

    def _lattice(self, center: FloatArray) -> Lattice:
        """The lattice around a start point (n,)."""
        return _lattice(center.tobytes(), self.periodic.tobytes())

    def _caution(self, told: int, row: Knowledge, process: Process) -> float:
        """Standard deviations by which a recommended box keeps its limits after so many scores."""
        return grown_caution(told, self.confidence) * self._doubt(row, process)

    def _doubt(self, row: Knowledge, process: Process) -> float:
        """How many times as large as told errors are, of scores that are left out in turn; 1 or above.

        Of those that prove most: off the lines, where there are lines, for their points tell of each other; else of the
        half that the others know least about, for what is asked side by side is foretold with ease.
        """
        errors, deviations = process.left_out()
        errors = errors[_off_lines(row) if self._uses_lines else deviations >= np.median(deviations)]
        squares = (float(errors @ errors) + _TAKEN_FOR_RIGHT) / (len(errors) + _TAKEN_FOR_RIGHT)
        return math.sqrt(max(squares, 1.0))

    def first(self, center: FloatArray) -> Knowledge:
        """What a trajectory knows before its first score."""
        n = self.n
        brackets = np.tile([0.0, 1.0], (n, 2, 1))
        logs, _ = prior_of_logs(n, with_feature=self._uses_lines)
        plain_logs, _ = prior_of_logs(n, with_feature=False)
        none = np.zeros((0, n))
        others = points_on_lines(center, self.periodic, line_reach(brackets)) if self._uses_lines else none
        upcoming = np.concatenate([center[None], others])
        turns = np.ones(len(self.goals)), np.zeros(len(self.goals), np.int64)
        box = np.zeros((n, 2), np.int64)
        numbers = logs, plain_logs, False, 0
        return Knowledge(
            center, none, np.zeros(0), *numbers, brackets, box, False, self._uses_lines, 0, *turns, 0, upcoming
        )

    def step(self, row: Knowledge, scores: FloatArray) -> Knowledge:
        """The row after the scores (m,) of its upcoming points."""
        brackets, is_of_boxes = row.brackets, not row.on_lines and len(row.scores) > self._look_at
        if row.on_lines:
            top, fresh = (row.scores[0], scores) if len(row.scores) else (scores[0], scores[1:])
            brackets = halved(brackets, fresh >= _FALLEN * top)
        points, told = np.concatenate([row.points, row.upcoming]), np.concatenate([row.scores, scores])
        row = replace(row, points=points, scores=told, brackets=brackets)
        if len(told) >= _GROWTH * row.fitted:
            row = self._fitted(row, self.goal)
        process, turn = self._process(row, self.goal), int((row.gains * (1 + row.waits)).argmax())
        criterion = self._criterion(process, self.goals[turn])
        before = row.box if row.is_known and not turn else None
        box, targets, gain = self._boxes(criterion, self._caution(len(told), row, process), before)
        gains, waits = row.gains.copy(), row.waits + 1
        gains[turn], waits[turn] = gain, 0
        is_settled = is_of_boxes and bool((gains < self.tolerance).all())  # what is asked elsewhere proves nothing
        row = replace(row, gains=gains, waits=waits, settled=row.settled + len(scores) if is_settled else 0)
        if turn or self.has_converged(row):
            box = self._safest(self._criterion(process, self.goal), row)
        after = replace(row, box=np.zeros_like(row.box) if box is None else box, is_known=box is not None)
        count = self.ask_size(len(told))
        if len(told) == self._look_at:
            places = evenly_spread(self.n, 0, count)
            return replace(after, on_lines=False, upcoming=np.where(self.periodic, places - 0.5, places))
        if len(told) in self._opening and not row.is_plain:
            lines = points_on_lines(row.center, self.periodic, line_reach(brackets))
            return replace(after, on_lines=True, upcoming=lines)
        each = _CANDIDATES // len(targets)
        spread = np.tile(evenly_spread(self.n, row.drawn, each), (len(targets), 1))
        upcoming = most_telling(criterion, targets, spread, count)
        return replace(after, upcoming=upcoming, drawn=row.drawn + each, on_lines=False)

    def answer(self, row: Knowledge, goal: Goal) -> Knowledge:
        """The row with the box that is recommended for another goal, from the same scores."""
        if not len(row.scores):
            return row
        if not np.array_equal(self._told(row, goal), self._told(row, self.goal)):
            row = self._fitted(row, goal)
        box = self._safest(self._criterion(self._process(row, goal), goal), row)
        return replace(row, box=row.box if box is None else box, is_known=box is not None)

    def _criterion(self, process: Process, goal: Goal) -> Criterion:
        return criterion_of(goal, self.n)(process, goal)

    def _told(self, row: Knowledge, goal: Goal) -> FloatArray:
        """What the process is told for a goal (N,)."""
        return criterion_of(goal, self.n).told(goal, row.scores)

    def _safest(self, criterion: Criterion, row: Knowledge) -> IntArray | None:
        """The largest box (n, 2) held for feasible, searched for from that of the row, too; None without any."""
        # The last word is as cautious as it would be after many scores: no later one can correct it.
        told = _FULL_AT if self.has_converged(row) else len(row.scores)
        safety = np.array([self._caution(told, row, criterion.process)])
        starts = [np.zeros((self.n, 2), dtype=np.int64)] + ([row.box] if row.is_known else [])
        if self.n <= 2:
            starts += [start for start in criterion.screened(safety) if start is not None]
        found, fits = widest(criterion, np.repeat(safety, len(starts)), np.stack(starts))
        best = int(np.where(fits, log_volumes(criterion.process, found), -np.inf).argmax())
        return found[best] if fits[best] else None

    def _fitted(self, row: Knowledge, goal: Goal) -> Knowledge:
        """The row with the numbers of its processes fitted to what it knows, and which of the two is believed.

        Both are asked for each score off the lines from all others; profiles are made of none of those.
        """
        scores, off = self._told(row, goal), _off_lines(row)
        profiles, known = self._profiles(row, scores), (row.points, scores, self.periodic)
        if profiles is None or off.sum() < _LEAST_OFF_LINES:
            logs = fit(row.logs, *known, None if profiles is None else profiles.at_points)
            return replace(row, logs=logs, fitted=len(scores), is_plain=False)
        plain_logs = fit(row.plain_logs, *known, None)
        # From its own numbers and the prior alone, the one with profiles may end where it takes for noise what is none.
        logs = fit(row.logs, *known, profiles.at_points, also=np.append(plain_logs[:-1], row.logs[-1]))
        row = replace(row, logs=logs, plain_logs=plain_logs, fitted=len(scores), is_plain=False)
        likely = [_log_likelihood(self._process(one, goal), off) for one in (row, replace(row, is_plain=True))]
        return replace(row, is_plain=likely[0] < likely[1] + _LEAST_ADDED)

    def _profiles(self, row: Knowledge, scores: FloatArray) -> Profiles | None:
        return Profiles(row.center, self.periodic, row.points, scores) if self._uses_lines else None

    def _process(self, row: Knowledge, goal: Goal) -> Process:
        """The process that is believed, given what a row knows."""
        lattice, scores = self._lattice(row.center), self._told(row, goal)
        if row.is_plain:
            return Process(row.plain_logs, row.points, scores, lattice, None)
        return Process(row.logs, row.points, scores, lattice, self._profiles(row, scores))

    def bounds(self, row: Knowledge) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds (n,) of the recommended box; both the start point while none is known."""
        if not row.is_known:
            return row.center, row.center
        lower, upper = self._lattice(row.center).bounds(row.box[None])
        return lower[0], upper[0]

    def _boxes(
        self, criterion: Criterion, safety: float, before: IntArray | None
    ) -> tuple[IntArray | None, IntArray, float]:
        """The box to recommend (n, 2), None without one, those to learn about (T, n, 2), and the gain as in `gains`."""
        process, smallest = criterion.process, np.zeros((self.n, 2), dtype=np.int64)
        cautions = np.array([safety, *(-self.optimism * share for share in _HOPES)])
        starts = [smallest] * len(cautions)
        if self.n <= 2:
            seen = criterion.screened(cautions)
            starts = [smallest if start is None else start for start in seen]
        if before is not None:
            cautions, starts = np.append(cautions, safety), [*starts, before]
        found, fits = widest(criterion, cautions, np.stack(starts))
        volumes = np.where(fits, np.exp(log_volumes(process, found)), 0.0)
        safe, hopes = cautions == safety, fits & (cautions < safety)
        best = int(np.where(safe, volumes, 0.0).argmax())
        box, volume = (found[best], float(volumes[best])) if fits[best] and safe[best] else (None, 0.0)
        if not hopes.any():
            return box, (np.full((self.n, 2), _STEPS // 8) if box is None else box)[None], 0.0
        targets, gain = self._targets(criterion, found[hopes], volumes[hopes], volume)
        if criterion.must_verify and box is not None:
            targets = np.concatenate([targets, box[None]])
        return box, targets, gain / max(volume, _SMALL ** max(self.n / 2, self.n - 1))

    def _targets(
        self, criterion: Criterion, boxes: IntArray, volumes: FloatArray, recommended: float
    ) -> tuple[IntArray, float]:
        """Boxes (1 or 2, n, 2) to learn about, among some (M, n, 2): where most gain in volume is expected; the gain.

        Where hardly any is, half of the points look at the whole space (n < 3): the process, told mostly of one
        place, may be wrong about others.
        """
        gain = np.maximum(volumes - recommended, 0.0) * criterion.chance(boxes)
        order = np.argsort(-gain, kind="stable")[:2]
        first, second = boxes[order[0]], boxes[order[-1]]
        if self.n <= 2 and gain.max() < _WORTH * max(recommended, _TINY_BOX):
            half = np.where(self.periodic, _STEPS // 2, _STEPS)
            return np.stack([np.stack([half, half], axis=1), first]), float(gain.max())
        return (first[None] if np.array_equal(first, second) else np.stack([first, second])), float(gain.max())


def _off_lines(row: Knowledge) -> BoolArray:
    """Which points (N,) differ from the start point in more than one parameter."""
    return np.asarray((np.abs(row.points - row.center) > _TINY).sum(axis=1) > 1)


def _log_likelihood(process: Process, rows: BoolArray) -> float:
    """Of some scores (N,), each told by all others, up to a constant."""
    errors, deviations = (own[rows] for own in process.left_out())
    return float(-0.5 * errors @ errors - np.log(deviations).sum())


def halved(brackets: FloatArray, is_high: BoolArray) -> FloatArray:
    """Brackets (n, 2, 2) after a round of points on lines, with whether the score there was still high (2n,)."""
    reach, high = line_reach(brackets), is_high.reshape(brackets.shape[:2])
    inner = np.where(high, reach, brackets[..., 0])
    return np.stack([inner, np.where(high, brackets[..., 1], reach)], axis=-1)


def grown_caution(told: int, confidence: float) -> float:
    """Standard deviations of a normal quantile, fewer while scores are few: a bold box is worth more then."""
    return float(min((told / _FULL_AT) ** _GROWING, 1.0) * NormalDist().inv_cdf(confidence))


def line_reach(brackets: FloatArray) -> FloatArray:
    """How far the next round of points on lines goes, (n, 2)."""
    is_new = (brackets[..., 0] == 0) & (brackets[..., 1] == 1)
    return np.asarray(np.where(is_new, _FIRST_REACH, brackets.mean(axis=-1)))


@lru_cache(maxsize=_LATTICES)
def _lattice(center: bytes, periodic: bytes) -> Lattice:
    """Kept, for lattices keep what is made of them."""
    return Lattice.around(np.frombuffer(center), np.frombuffer(periodic, dtype=np.bool_), _STEPS)


def points_on_lines(center: FloatArray, periodic: BoolArray, reach: FloatArray) -> FloatArray:
    """Points (2n, n) on the lines through a centre (n,): `reach` (n, 2) is the share of the way to the wall.

    First down, then up along each parameter; a periodic one reaches half a turn each way.
    """
    n = len(center)
    way = np.stack([np.where(periodic, -0.5, -center), np.where(periodic, 0.5, 1.0 - center)], axis=1) * reach
    return np.asarray(center + (way[..., None] * np.eye(n)[:, None, :]).reshape(2 * n, n))


def most_telling(criterion: Criterion, boxes: IntArray, spread: FloatArray, count: int) -> FloatArray:
    """`count` points (count, n), each the one that lessens the variance of what decides over one of the boxes the most.

    Candidates fill the boxes (T, n, 2): from the first T-th part of `spread` (P, n) in the first box, and so on. Boxes
    take turns. Variances do not depend on scores, so each point counts with those chosen before it (Bayesian
    quadrature by greedy variance reduction: Briol et al. 2015).
    """
    process = criterion.process
    lower, upper = process.lattice.bounds(boxes)
    each = len(spread) // len(boxes)
    parts = spread[: each * len(boxes)].reshape(len(boxes), each, -1)
    candidates = (lower[:, None] + parts * (upper - lower)[:, None]).reshape(-1, process.n)
    periodic = process.lattice.periodic
    candidates = np.where(periodic, np.mod(candidates + 0.5, 1.0) - 0.5, candidates)
    feature = process.feature_at(candidates)
    cross = process.cross(candidates, feature)
    known = cross @ process.inverse
    variance = np.maximum(process.variance_at(feature) - np.einsum("pi,pi->p", known, cross), _TINY) + process.noise
    box_cross, with_box = criterion.covariances(boxes, candidates, feature)
    with_box = with_box - box_cross @ known.T
    chosen: list[int] = []
    parts_so_far: list[FloatArray] = []
    for turn in range(count):
        best = int((with_box[turn % len(boxes)] ** 2 / variance).argmax())
        one = slice(best, best + 1)
        shared = process.covariance(candidates, feature, candidates[one], feature[one])[:, 0] - known @ cross[best]
        for earlier in parts_so_far:
            shared = shared - earlier * earlier[best]
        part = shared / np.sqrt(variance[best])
        parts_so_far.append(part)
        with_box = with_box - np.multiply.outer(with_box[:, best] / np.sqrt(variance[best]), part)
        variance = np.maximum(variance - part**2, process.noise)
        chosen.append(best)
    return np.asarray(candidates[chosen])
