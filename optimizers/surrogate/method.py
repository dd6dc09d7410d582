"""What methods share that fit a Gaussian process to all that they were told, and answer with its largest safe box.

A method says which points it asks; everything else is here, so that methods differ in that alone: the process, the
search for the box (`optimizers.surrogate.boxes`), and its margin, `caution` standard deviations of the mean over a box.
The process is a plain one, a single Matern 3/2 product kernel (`process.generic_prior`), unless the method says that it
is that of box quadrature. Points are kept in unit coordinates of the space; a `Model` has them relative to the start
point along periodic parameters, so the answer does not depend on where a turn is cut.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, TypeVar, final

import numpy as np

from optimizers.base import RegionOptimizer, Settings, State
from optimizers.limits import number, whole_number
from optimizers.surrogate.boxes import log_volumes, native_bounds, widest
from optimizers.surrogate.criteria import Criterion, criterion_of
from optimizers.surrogate.process import Lattice, Process, fit, generic_prior, prior_of_logs
from semrob_env.oracle import Answers
from semrob_env.questions import Goal
from semrob_env.regions import Regions
from semrob_env.sequences import evenly_spread
from semrob_env.types import FloatArray, IntArray

GROWTH = 1.25
"""The numbers of the process are fitted again after so many times as many scores."""
STEPS = 96
"""Steps of the lattice of boxes on each side of the start point."""
CANDIDATES = 256
"""Points among which the next ones are chosen."""
EVERY = 4
"""One point a step for so many scores told, up to the batch."""
HOPE = 1.0
"""From 3 parameters on, where the space is too large, points are sought where a box may be feasible by so many standard
deviations."""
_WHOLE_SPACE_UP_TO = 2
_LATTICES = 256
_TINY = 1e-12


@dataclass(frozen=True)
class SurrogateSettings(Settings):
    """Hyperparameters that all of them have.

    Attributes:
        caution: Standard deviations by which the mean over the recommended box exceeds its bound, by the process.
        batch: Most points asked at once; 1 or more.
        most_queries: Scores that a trajectory takes before it ends as converged, for the work grows.
    """

    caution: float = field(default=1.0, metadata=number(0, 10))
    batch: int = field(default=5, metadata=whole_number(1, 1000))
    most_queries: int = field(default=400, metadata=whole_number(30, 5000))


SurrogateSettingsT = TypeVar("SurrogateSettingsT", bound=SurrogateSettings)


@final
@dataclass(frozen=True, eq=False)
class Model:
    """What a trajectory believes after N scores.

    Attributes:
        criterion: What the goal asks of boxes, by the process.
        center: The start point in unit coordinates (n,); 0 along periodic parameters.
        box: The recommended box (n, 2) in steps of the lattice; None: none is held for feasible.
    """

    criterion: Criterion
    center: FloatArray
    box: IntArray | None

    @property
    def process(self) -> Process:
        """The process."""
        return self.criterion.process

    def places(self, first: int, count: int) -> FloatArray:
        """Points number first, first + 1 ... (count, n), evenly spread where points are worth asking: see `HOPE`."""
        n, fractions = len(self.center), evenly_spread(len(self.center), first, count)
        if n <= _WHOLE_SPACE_UP_TO:
            return np.asarray(np.where(self.process.lattice.periodic, fractions - 0.5, fractions))
        hopeful = self.best(-HOPE)
        if hopeful is None:
            hopeful = np.full((n, 2), STEPS // 8)
        lower, upper = self.process.lattice.bounds(hopeful[None])
        inside = lower + fractions * (upper - lower)
        return np.asarray(np.where(self.process.lattice.periodic, np.mod(inside + 0.5, 1.0) - 0.5, inside))

    def best(self, caution: float) -> IntArray | None:
        """The largest box (n, 2) whose margins are above 0 with this caution; None without any."""
        return safest(self.criterion, (caution,), self.box)[0]

    def bests(self, cautions: Sequence[float]) -> list[IntArray | None]:
        """The same for each caution, searched for at once."""
        return safest(self.criterion, cautions, self.box)


def safest(criterion: Criterion, cautions: Sequence[float], before: IntArray | None) -> list[IntArray | None]:
    """For each caution the largest box (n, 2) whose margins are above 0, searched for from another one too."""
    n, levels = criterion.process.n, np.array(cautions)
    common = [np.zeros((n, 2), dtype=np.int64)] + ([] if before is None else [before])
    own = criterion.screened(levels) if n <= _WHOLE_SPACE_UP_TO else [None] * len(levels)
    starts = [[*common, *([] if screened is None else [screened])] for screened in own]
    counts = [len(these) for these in starts]
    found, fits = widest(criterion, np.repeat(levels, counts), np.stack([start for these in starts for start in these]))
    volumes = np.where(fits, log_volumes(criterion.process, found), -np.inf)
    out: list[IntArray | None] = []
    for end, count in zip(np.cumsum(counts).tolist(), counts, strict=True):
        best = end - count + int(volumes[end - count : end].argmax())
        out.append(found[best] if fits[best] else None)
    return out


def greedy(
    process: Process, places: FloatArray, count: int, value: Callable[[FloatArray, FloatArray], FloatArray]
) -> FloatArray:
    """`count` of some places (P, n), one after the other those of the highest value of (mean, standard deviation).

    Standard deviations do not depend on scores, so each counts with those chosen before it.
    """
    nothing = np.zeros(len(places))
    cross = process.cross(places, nothing)
    mean, deviation = process.marginals(nothing, cross)
    known, variance = cross @ process.inverse, deviation**2
    parts: list[FloatArray] = []
    chosen: list[int] = []
    for _ in range(count):
        worth = value(mean, np.sqrt(np.maximum(variance, _TINY)))
        worth[chosen] = -np.inf
        best = int(worth.argmax())
        chosen.append(best)
        one = slice(best, best + 1)
        shared = process.covariance(places, nothing, places[one], nothing[one])[:, 0] - known @ cross[best]
        for earlier in parts:
            shared = shared - earlier * earlier[best]
        parts.append(shared / np.sqrt(max(variance[best], 0.0) + process.noise))
        variance = variance - parts[-1] ** 2
    return np.asarray(places[chosen])


class SurrogateMethod(RegionOptimizer[SurrogateSettingsT]):
    """A method of this kind; it says which points to ask next."""

    paradigm = "surrogate"
    finds = "the largest box of a surrogate that is feasible by a margin"
    answers_goals = True
    is_plain: ClassVar[bool] = True
    """Whether its process is the plain one, not that of box quadrature."""

    def _caution(self, told: int) -> float:
        """Standard deviations by which what is recommended after so many scores keeps its bounds."""
        del told
        return self.settings.caution

    @abstractmethod
    def _choose(self, row: int, model: Model, state: State, count: int) -> FloatArray:
        """The next points (count, n) of a trajectory, in unit coordinates of the space."""

    def _first(self, row: int, count: int) -> FloatArray:
        """The first points (count, n), in unit coordinates of the space: the start point, and evenly spread ones."""
        points = evenly_spread(self.space.n, 0, count - 1)
        spread = np.where(self.space.is_periodic, points - 0.5, points)
        return self._absolute(row, np.concatenate([self._center[row][None], spread]))

    @property
    def _first_size(self) -> int:
        return self.space.n + 2

    def _ask_size(self, told: int) -> int:
        """Points asked after so many scores."""
        return min(max(told // EVERY, 1), self.settings.batch) if told else self._first_size

    @final
    @property
    def _center(self) -> FloatArray:
        """The start points (B, n) where their own coordinates have them."""
        return np.where(self.space.is_periodic, 0.0, self.space.to_unit(self.start))

    @final
    def _relative(self, row: int, points: FloatArray) -> FloatArray:
        """Unit coordinates of the space (N, n) as ones relative to a start point."""
        away = points - self.space.to_unit(self.start[row])
        return np.asarray(np.where(self.space.is_periodic, away - np.round(away), points))

    @final
    def _absolute(self, row: int, points: FloatArray) -> FloatArray:
        """Relative coordinates (N, n) as ones of the space."""
        turned = np.mod(points + self.space.to_unit(self.start[row]), 1.0)
        return np.asarray(np.where(self.space.is_periodic, turned, points))

    def _start(self) -> State:
        count, n, most = len(self), self.space.n, self.settings.most_queries + self._widest
        upcoming = np.zeros((count, self._widest, n))
        for row in range(count):
            upcoming[row, : self._first_size] = self._first(row, self._first_size)
        logs, _ = self._prior
        lower, upper = native_bounds(self.space, self.start, self._center, self._center)
        return {
            "lower": lower,
            "upper": upper,
            "points": np.zeros((count, most, n)),
            "scores": np.zeros((count, most)),
            "told": np.zeros(count, dtype=np.int64),
            "logs": np.tile(logs, (count, 1)),
            "fitted": np.zeros(count, dtype=np.int64),
            "box": np.zeros((count, n, 2), dtype=np.int64),
            "is_known": np.zeros(count, dtype=np.bool_),
            "upcoming": upcoming,
            "converged": np.zeros(count, dtype=np.bool_),
        }

    @final
    @property
    def _widest(self) -> int:
        return max(self._first_size, self.settings.batch)

    @final
    @property
    def _prior(self) -> tuple[FloatArray, FloatArray]:
        return generic_prior(self.space.n) if self.is_plain else prior_of_logs(self.space.n, with_feature=False)

    def _ask(self, state: State) -> FloatArray:
        size = self._ask_size(int(state["told"].max(initial=0)))  # of all that run: they go in step
        return np.asarray(self.space.low + state["upcoming"][:, :size] * self.space.width)

    def _tell(self, state: State, answers: Answers) -> State:
        after = {name: value.copy() for name, value in state.items()}
        for row in np.flatnonzero(self.running & answers.active.all(axis=1)):
            told, scores = int(state["told"][row]), answers.values[row]
            size = self._ask_size(told)
            after["points"][row, told : told + size] = state["upcoming"][row, :size]
            after["scores"][row, told : told + size] = scores
            after["told"][row] = told = told + size
            goal = self.questions.goal
            if told >= GROWTH * state["fitted"][row]:
                after["logs"][row], after["fitted"][row] = self._fitted(after, row, goal), told
            model = self._model(after, row, goal, after["logs"][row])
            after["is_known"][row] = model.box is not None
            after["box"][row] = 0 if model.box is None else model.box
            after["lower"][row], after["upper"][row] = self._bounds(row, model)
            following = self._ask_size(told)
            after["converged"][row] = told + following > self.settings.most_queries
            after["upcoming"][row, :following] = self._choose(row, model, after, following)
        return after

    @final
    def _told_of(self, state: State, row: int) -> tuple[FloatArray, FloatArray]:
        """Points (N, n), relative to the start point, and scores (N,) that a trajectory was told."""
        told = int(state["told"][row])
        return self._relative(row, state["points"][row, :told]), state["scores"][row, :told]

    @final
    def _fitted(self, state: State, row: int, goal: Goal) -> FloatArray:
        count = int(state["told"][row])  # in coordinates of the space: the same bits for every start point
        told = criterion_of(goal, self.space.n).told(goal, state["scores"][row, :count])
        return fit(state["logs"][row], state["points"][row, :count], told, self.space.is_periodic, None, self._prior)

    @final
    def _model(self, state: State, row: int, goal: Goal, logs: FloatArray) -> Model:
        points, scores = self._told_of(state, row)
        kind, center = criterion_of(goal, self.space.n), self._center[row]
        periodic = np.array(self.space.is_periodic)
        process = Process(logs, points, kind.told(goal, scores), _lattice(center.tobytes(), periodic.tobytes()), None)
        before = state["box"][row] if state["is_known"][row] else None
        criterion = kind(process, goal)
        return Model(criterion, center, safest(criterion, (self._caution(len(scores)),), before)[0])

    @final
    def _bounds(self, row: int, model: Model) -> tuple[FloatArray, FloatArray]:
        """Bounds (n,) in native units of what is recommended."""
        lower = upper = self._center[row][None]
        if model.box is not None:
            lower, upper = model.process.lattice.bounds(model.box[None])
        ends = native_bounds(self.space, self.start[row][None], lower, upper)
        return ends[0][0], ends[1][0]

    def _recommend_for(self, goal: Goal) -> Regions:
        """The largest safe boxes for another goal, from the same scores."""
        lower, upper = self._state["lower"].copy(), self._state["upper"].copy()
        for row in np.flatnonzero(self._state["told"] > 0):
            model = self._model(self._state, row, goal, self._fitted(self._state, row, goal))
            lower[row], upper[row] = self._bounds(row, model)
        return Regions(self.space, lower, upper).clip()


@lru_cache(maxsize=_LATTICES)
def _lattice(center: bytes, periodic: bytes) -> Lattice:
    """Kept, for lattices keep what is made of them."""
    return Lattice.around(np.frombuffer(center), np.frombuffer(periodic, dtype=np.bool_), STEPS)
