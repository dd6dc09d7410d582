"""What every region search shares: a minimiser proposes candidates, `baselines.objective` says what they are worth.

A step asks the m points of one candidate. The minimisers are libraries that keep their state to themselves, so that of
a trajectory is its seed and every loss told so far (`baselines.solver.Solvers`). The search ends (converged) once
its planned budget cannot pay another candidate.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import ClassVar, TypeVar

import numpy as np

from baselines.objective import SearchSettings, bounds, latin_hypercube, mean_side
from baselines.solver import Evaluate, Solvers
from optimizers.base import State
from optimizers.surrogate.boxes import legal
from optimizers.surrogate.method import STEPS, Model, SurrogateMethod
from semrob_env.oracle import Answers
from semrob_env.types import FloatArray

SearchSettingsT = TypeVar("SearchSettingsT", bound=SearchSettings)


class RegionSearch(SurrogateMethod[SearchSettingsT]):
    """A search over the 2n bounds of a region; a method gives its minimiser only."""

    version = 2
    is_stochastic = True
    paradigm = "search over bounds"
    plans_by_budget = True
    draws_globally: ClassVar[bool] = False
    """Whether the minimiser may draw from numpy's or Python's global generators."""

    @staticmethod
    @abstractmethod
    def _minimize(settings: SearchSettingsT, evaluate: Evaluate, size: int, plan: int, seed: int) -> None:
        """Minimises over the unit cube of `size` numbers, best within `plan` candidates, and does not return.

        It is static, for it runs in a thread that must not keep the optimizer alive.
        """

    @property
    def _first_size(self) -> int:
        return 1 + self.settings.points

    def _ask_size(self, told: int) -> int:
        return self.settings.points if told else self._first_size

    def _start(self) -> State:
        most = max(1, int(self.questions.budget) // self.settings.points)
        loop = partial(self._minimize, self.settings, size=2 * self.space.n, plan=most)
        self._solvers = Solvers(self.name, loop, draws_globally=self.draws_globally)
        searched = self._solvers.start(self.rngs, most)
        self._candidate, self._loss = searched["candidate"], np.zeros(len(self))
        return {**super()._start(), **searched, "heard": np.zeros(len(self), dtype=np.int64)}

    def _first(self, row: int, count: int) -> FloatArray:
        """The start point, and points of the first candidate."""
        return np.concatenate([self._absolute(row, self._center[row][None]), self._points(row)])

    def _choose(self, row: int, model: Model, state: State, count: int) -> FloatArray:
        """Values the candidate; the points of the next one are not known before the minimiser has heard of it."""
        process, n = model.process, self.space.n
        lower, upper = (bound[0] for bound in self._bounds_of(row))
        whole = self.space.is_periodic
        down = np.where(whole, self.space.width, self.start[row] - self.space.low)
        up = np.where(whole, self.space.width, self.space.high - self.start[row])
        ways = [
            np.divide(way, most, out=np.zeros(n), where=most > 0)
            for way, most in ((self.start[row] - lower, down), (upper - self.start[row], up))
        ]
        box = legal(process, np.rint(np.stack(ways, axis=1) * STEPS).astype(np.int64)[None])
        missed = -np.minimum(model.criterion.margins(box, np.zeros(1))[0], 0.0).sum()
        self._loss[row] = missed if missed > 0 else -mean_side(self.space, lower[None], upper[None])[0]
        return np.zeros((count, n))

    def _tell(self, state: State, answers: Answers) -> State:
        rows = self.running & answers.active.all(axis=1)
        self._candidate = state["candidate"]
        after = super()._tell(state, answers)
        after |= self._solvers.tell(state, state["heard"], self._loss, rows, self.running)
        after["heard"] = state["heard"] + rows
        self._candidate = after["candidate"]
        for row in np.flatnonzero(rows):
            after["upcoming"][row, : self.settings.points] = self._points(row)
        spent = after["told"] + self.settings.points
        return after | {"converged": after["converged"] | (spent > self.questions.budget)}

    def _bounds_of(self, row: int) -> tuple[FloatArray, FloatArray]:
        """Bounds (1, n) of the candidate, unwrapped around the start point."""
        return bounds(self.space, self.start[row][None], self._candidate[row][None])

    def _points(self, row: int) -> FloatArray:
        """Fresh points (m, n) of the candidate, in unit coordinates of the space."""
        lower, upper = self._bounds_of(row)
        fractions = latin_hypercube(self.settings.points, self.space.n, self.rngs[row])
        inside = (lower + fractions * (upper - lower) - self.space.low) / self.space.width
        return np.asarray(np.where(self.space.is_periodic, np.mod(inside, 1.0), inside))
