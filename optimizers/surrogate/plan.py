"""One step of box quadrature for one trajectory: take scores, fit, find the boxes, choose the next points.

All in unit coordinates: along a periodic parameter relative to the start point, so that nothing depends on where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Any, final

import numpy as np
import numpy.typing as npt

from optimizers.surrogate.boxes import BoxLimits, log_volumes, screened, widest
from optimizers.surrogate.process import PRIOR_VARIANCE, Lattice, Process, fit, prior_of_logs
from optimizers.surrogate.separable import Profiles
from semrob_env.sequences import golden_ratios
from semrob_env.types import BoolArray, FloatArray, IntArray

_LINES_FROM = 3
"""Least n that begins with points on lines; below, the start point and what its score calls for."""
_FIRST_REACH = 0.3
_FALLEN = 0.5
"""Lines are halved where the score is this share of the one at the start point."""
_GROWTH = 1.25
"""The numbers of the process are fitted again after so many times as many scores."""
_EVERY = 4
"""One point a step for so many scores told, up to the batch."""
_CANDIDATES = 160
_FULL_AT, _GROWING = 80, 0.4
"""How many scores call for all of the caution, and the power of their number with which it grows until then."""
_HOPES = (1.0, 0.5, 0.0, -0.5)
"""Boxes that may be worth learning about are sought with these shares of the optimism."""
_WORTH, _SMALL = 0.03, 0.02
"""A gain of less than this share of the recommended volume, or of that of a small box, is not worth all points."""
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
        logs: Numbers of the process.
        fitted: How many scores they were fitted to.
        brackets: Per parameter and side, shares of the way to the wall (n, 2, 2): score still high, score fallen.
        box: Recommended box (n, 2), in steps of the lattice.
        is_known: Whether there is one.
        drawn: How many points of the even spread were used.
        upcoming: Points to ask next (m, n).
    """

    center: FloatArray
    points: FloatArray
    scores: FloatArray
    logs: FloatArray
    fitted: int
    brackets: FloatArray
    box: IntArray
    is_known: bool
    drawn: int
    upcoming: FloatArray

    @classmethod
    def of(cls, state: Mapping[str, npt.NDArray[Any]], index: int) -> Knowledge:
        """One of the rows that were packed."""
        own = {name: state[name][index] for name in (field.name for field in fields(cls))}
        told, asked = int(state["told"][index]), int(state["asked"][index])
        own |= {"points": own["points"][:told], "scores": own["scores"][:told], "upcoming": own["upcoming"][:asked]}
        plain = {name: own[name].item() for name in ("fitted", "is_known", "drawn")}
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
        limits: What a region must keep.
        confidence: Probability with which a recommended box keeps each of its limits, once scores are many.
        optimism: Standard deviations that the most hopeful box may be beyond them.
        batch: Most points a step after the first ones.
        line_rounds: Rounds of points on lines.
    """

    periodic: BoolArray
    limits: BoxLimits
    confidence: float
    optimism: float
    batch: int
    line_rounds: int

    @property
    def n(self) -> int:
        """Number of parameters."""
        return len(self.periodic)

    @property
    def _uses_lines(self) -> bool:
        return self.n >= _LINES_FROM

    @property
    def widest_ask(self) -> int:
        """Most points that any step asks."""
        return max(self.ask_size(0), self.batch)

    def ask_size(self, told: int) -> int:
        """Points asked after so many scores."""
        if not told:
            return 1 + 2 * self.n if self._uses_lines else 1
        if self._rounds_left(told):
            return 2 * self.n
        return min(max(told // _EVERY, 1), self.batch)

    def _rounds_left(self, told: int) -> int:
        return max(self.line_rounds - (told - 1) // (2 * self.n), 0) if self._uses_lines else 0

    def _lattice(self, center: FloatArray) -> Lattice:
        """The lattice around a start point (n,)."""
        return _lattice(center.tobytes(), self.periodic.tobytes())

    def _caution(self, told: int) -> float:
        """Standard deviations by which a recommended box keeps its limits after so many scores."""
        return float(min((told / _FULL_AT) ** _GROWING, 1.0) * NormalDist().inv_cdf(self.confidence))

    def first(self, center: FloatArray) -> Knowledge:
        """What a trajectory knows before its first score."""
        n = self.n
        brackets = np.tile([0.0, 1.0], (n, 2, 1))
        logs, _ = prior_of_logs(n, with_feature=self._uses_lines)
        none = np.zeros((0, n))
        others = points_on_lines(center, self.periodic, _reach(brackets)) if self._uses_lines else none
        upcoming = np.concatenate([center[None], others])
        return Knowledge(center, none, np.zeros(0), logs, 0, brackets, np.zeros((n, 2), np.int64), False, 0, upcoming)

    def step(self, row: Knowledge, scores: FloatArray) -> Knowledge:
        """The row after the scores (m,) of its upcoming points."""
        lattice = self._lattice(row.center)
        brackets = row.brackets
        if self._uses_lines and len(row.scores) < 1 + 2 * self.n * self.line_rounds:
            brackets = self._halved(row, scores)
        points, told = np.concatenate([row.points, row.upcoming]), np.concatenate([row.scores, scores])
        profiles = Profiles(row.center, self.periodic, points, told) if self._uses_lines else None
        logs, fitted = row.logs, row.fitted
        if len(told) >= _GROWTH * fitted:
            feature = None if profiles is None else profiles.at_points
            logs, fitted = fit(logs, points, told, self.periodic, feature), len(told)
        process = Process(logs, points, told, lattice, profiles)
        box, targets = self._boxes(process, row.box if row.is_known else None)
        after = replace(row, points=points, scores=told, logs=logs, fitted=fitted, brackets=brackets)
        after = replace(after, box=np.zeros_like(row.box) if box is None else box, is_known=box is not None)
        if self._rounds_left(len(told)):
            return replace(after, upcoming=points_on_lines(row.center, self.periodic, _reach(brackets)))
        each = _CANDIDATES // len(targets)
        spread = np.tile(evenly_spread(self.n, row.drawn, each), (len(targets), 1))
        upcoming = most_telling(process, targets, spread, self.ask_size(len(told)))
        return replace(after, upcoming=upcoming, drawn=row.drawn + each)

    def bounds(self, row: Knowledge) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds (n,) of the recommended box; both the start point while none is known."""
        if not row.is_known:
            return row.center, row.center
        lower, upper = self._lattice(row.center).bounds(row.box[None])
        return lower[0], upper[0]

    def _halved(self, row: Knowledge, scores: FloatArray) -> FloatArray:
        """The brackets after a round of points on lines."""
        is_first = not len(row.scores)
        top, fresh = (scores[0], scores[1:]) if is_first else (row.scores[0], scores)
        is_high, reach = fresh.reshape(self.n, 2) >= _FALLEN * top, _reach(row.brackets)
        inner = np.where(is_high, reach, row.brackets[..., 0])
        return np.stack([inner, np.where(is_high, row.brackets[..., 1], reach)], axis=-1)

    def _boxes(self, process: Process, before: IntArray | None) -> tuple[IntArray | None, IntArray]:
        """The recommended box (n, 2), None without one, and the boxes (T, n, 2) to learn about."""
        safety, smallest = self._caution(len(process.points)), np.zeros((self.n, 2), dtype=np.int64)
        cautions = np.array([safety, *(-self.optimism * share for share in _HOPES)])
        starts = [smallest] * len(cautions)
        if self.n <= 2:
            seen = screened(process, self.limits, cautions)
            starts = [smallest if start is None else start for start in seen]
        if before is not None:
            cautions, starts = np.append(cautions, safety), [*starts, before]
        found, fits = widest(process, self.limits, cautions, np.stack(starts))
        volumes = np.where(fits, np.exp(log_volumes(process, found)), 0.0)
        safe, hopes = cautions == safety, fits & (cautions < safety)
        best = int(np.where(safe, volumes, 0.0).argmax())
        box, volume = (found[best], float(volumes[best])) if fits[best] and safe[best] else (None, 0.0)
        if not hopes.any():
            return box, (np.full((self.n, 2), _STEPS // 8) if box is None else box)[None]
        return box, self._targets(process, found[hopes], volumes[hopes], volume)

    def _targets(self, process: Process, boxes: IntArray, volumes: FloatArray, recommended: float) -> IntArray:
        """Boxes (1 or 2, n, 2) to learn about, among some (M, n, 2): where most gain in volume is expected.

        Where hardly any is, half of the points look at the whole space (n < 3): the process, told mostly of one
        place, may be wrong about others.
        """
        gain = np.maximum(volumes - recommended, 0.0) * self.limits.chance(process, boxes)
        order = np.argsort(-gain, kind="stable")[:2]
        first, second = boxes[order[0]], boxes[order[-1]]
        if self.n <= 2 and gain.max() < _WORTH * max(recommended, _SMALL):
            half = np.where(self.periodic, _STEPS // 2, _STEPS)
            return np.stack([np.stack([half, half], axis=1), first])
        return first[None] if np.array_equal(first, second) else np.stack([first, second])


def _reach(brackets: FloatArray) -> FloatArray:
    """How far the next round of points on lines goes, (n, 2)."""
    is_new = (brackets[..., 0] == 0) & (brackets[..., 1] == 1)
    return np.asarray(np.where(is_new, _FIRST_REACH, brackets.mean(axis=-1)))


@lru_cache(maxsize=_LATTICES)
def _lattice(center: bytes, periodic: bytes) -> Lattice:
    """Kept, for lattices keep what is made of them."""
    return Lattice.around(np.frombuffer(center), np.frombuffer(periodic, dtype=np.bool_), _STEPS)


def evenly_spread(n: int, first: int, count: int) -> FloatArray:
    """Points number first, first + 1, ... (count, n) of a sequence that fills the unit cube evenly.

    The additive recurrence of `semrob_env.sequences.golden_ratios`.
    """
    steps = golden_ratios(n)
    return np.asarray(np.mod(0.5 + np.arange(first + 1, first + count + 1)[:, None] * steps, 1.0))


def points_on_lines(center: FloatArray, periodic: BoolArray, reach: FloatArray) -> FloatArray:
    """Points (2n, n) on the lines through a centre (n,): `reach` (n, 2) is the share of the way to the wall.

    First down, then up along each parameter; a periodic one reaches half a turn each way.
    """
    n = len(center)
    way = np.stack([np.where(periodic, -0.5, -center), np.where(periodic, 0.5, 1.0 - center)], axis=1) * reach
    return np.asarray(center + (way[..., None] * np.eye(n)[:, None, :]).reshape(2 * n, n))


def most_telling(process: Process, boxes: IntArray, spread: FloatArray, count: int) -> FloatArray:
    """`count` points (count, n), each the one that lessens the variance of the mean over one of the boxes the most.

    Candidates fill the boxes (T, n, 2): from the first T-th part of `spread` (P, n) in the first box, and so on. Boxes
    take turns. Variances do not depend on scores, so each point counts with those chosen before it (Bayesian
    quadrature by greedy variance reduction: Briol et al. 2015).
    """
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
    box_cross, _ = process.box_covariance(boxes)
    with_box = _covariance_with_boxes(process, boxes, candidates, feature) - box_cross @ known.T
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


def _covariance_with_boxes(process: Process, boxes: IntArray, points: FloatArray, feature: FloatArray) -> FloatArray:
    """Prior covariance (T, P) of means over boxes (T, n, 2) with points (P, n)."""
    lower, upper = process.lattice.bounds(boxes)
    total = np.full((len(boxes), len(points)), PRIOR_VARIANCE)
    for part in process.parts:
        means = []
        for k, kernel in enumerate(part.axes):
            ends = [kernel.integral(bound[:, k, None] - points[None, :, k]) for bound in (lower, upper)]
            means.append((ends[1] - ends[0]) / (upper - lower)[:, k, None])
        total += part.of_means(means)
    return total + process.weight * np.multiply.outer(process.box_feature(boxes), feature)
