"""What every region search shares: a minimiser proposes candidates, `baselines.candidates` says what they are worth.

A step asks the m points of one estimate. The minimisers are libraries that keep their state to themselves, so the state
of a trajectory is its seed and every loss told so far (`baselines.solver.Solvers`). The search ends (converged) once
its planned budget cannot pay another estimate.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import ClassVar, TypeVar

import numpy as np

from baselines.candidates import SearchSettings, bounds, is_confirmed, latin_hypercube, mean_side, moments
from baselines.solver import Evaluate, Solvers
from optimizers.base import RegionOptimizer, State
from semrob_env.oracle import Answers
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

SearchSettingsT = TypeVar("SearchSettingsT", bound=SearchSettings)


class RegionSearch(RegionOptimizer[SearchSettingsT]):
    """A search over the 2n bounds of a region; a method gives its minimiser only."""

    is_stochastic = True
    paradigm = "search over bounds"
    finds = "the largest region that estimates confirm"
    plans_by_budget = True
    draws_globally: ClassVar[bool] = False
    """Whether the minimiser may draw from numpy's or Python's global generators."""

    @staticmethod
    @abstractmethod
    def _minimize(settings: SearchSettingsT, evaluate: Evaluate, size: int, plan: int, seed: int) -> None:
        """Minimises over the unit cube of `size` numbers, best within `plan` candidates, and does not return.

        It is static, for it runs in a thread that must not keep the optimizer alive.
        """

    def _start(self) -> State:
        count, most = len(self), max(1, int(self.questions.budget) // self.settings.points)
        loop = partial(self._minimize, self.settings, size=2 * self.space.n, plan=most)
        self._solvers = Solvers(self.name, loop, draws_globally=self.draws_globally)
        return {
            "lower": self.start.copy(),
            "upper": self.start.copy(),
            "side": np.zeros(count),  # of the recommended region
            **self._solvers.start(self.rngs, most),
            "told": np.zeros(count, dtype=np.int64),
            "round": np.zeros(count, dtype=np.int64),  # estimates of the candidate so far
            "sums": np.zeros((count, 2)),  # of its scores and their squares, in the first estimate
            "fresh_sums": np.zeros((count, 2)),  # in all later ones
            "converged": np.zeros(count, dtype=np.bool_),
        }

    def _ask(self, state: State) -> FloatArray:
        points, n = self.settings.points, self.space.n
        fractions = np.zeros((len(self), points, n))
        for row in np.flatnonzero(self.running):
            fractions[row] = latin_hypercube(points, n, self.rngs[row])
        return Regions(self.space, *bounds(self.space, self.start, state["candidate"])).from_fractions(fractions)

    def _tell(self, state: State, answers: Answers) -> State:
        settings, goal, rows = self.settings, self.questions.goal, self.running & answers.active.all(axis=1)
        is_first = (state["round"] == 0)[:, None]
        asked = np.zeros((len(self), 2))
        for score in goal.counted(answers.values).T:  # point by point: the bits of a row do not depend on the batch
            asked += np.stack([score, score * score], axis=1)
        sums = np.where(is_first, asked, state["sums"])
        fresh = np.where(is_first, 0.0, state["fresh_sums"] + asked)
        rounds = state["round"] + 1

        lower, upper = bounds(self.space, self.start, state["candidate"])
        side = mean_side(self.space, lower, upper)
        missed = goal.shortfall(*moments(rounds * float(settings.points), *(sums + fresh).T))
        checked = np.maximum((rounds - 1) * float(settings.points), 1.0)
        is_new = side > state["side"]
        is_done = (missed > 0) | ~is_new | (rounds > settings.checks)
        confirmed = is_confirmed(goal, settings.confidence, checked, *moments(checked, *fresh.T))
        wins = is_done & is_new & (missed == 0) & confirmed
        loss = np.where((missed == 0) & (wins | ~is_new), -side, missed)
        told = rows & is_done
        return {
            "lower": np.where(wins[:, None], lower, state["lower"]),
            "upper": np.where(wins[:, None], upper, state["upper"]),
            "side": np.where(wins, side, state["side"]),
            **self._solvers.tell(state, state["told"], loss, told, self.running),
            "told": state["told"] + told,
            "round": np.where(is_done, 0, rounds),
            "sums": sums,
            "fresh_sums": fresh,
            "converged": (self.steps + 2) * settings.points > self.questions.budget,
        }
