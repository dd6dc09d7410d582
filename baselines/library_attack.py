"""What point attacks by a library's minimizer share: its candidates fill the box around theta0, its losses are scores.

The minimizer holds the loop and is asked one candidate at a time (`baselines.solver`); box and answer:
`baselines.attack`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from baselines.attack import Attack, AttackSettingsT
from baselines.solver import Solvers
from optimizers.base import State
from semrob_env.oracle import Answers
from semrob_env.types import BoolArray, FloatArray

CENTER = 0.5
"""Every coordinate of the first candidate: the middle of the box, which is theta0 inside the space."""


class LibraryAttack(Attack[AttackSettingsT]):
    """An attack whose points a library proposes, planned for its budget."""

    is_stochastic = True
    plans_by_budget = True
    draws_globally: ClassVar[bool] = False
    """Whether the minimizer may draw from numpy's or Python's global generators."""

    @abstractmethod
    def _loop(self) -> Callable[..., None]:
        """Minimizes over the unit cube, as `baselines.solver.Solvers` takes it; it must not keep the attack alive."""

    def _first(self) -> State:
        self._solvers = Solvers(self.name, self._loop(), draws_globally=self.draws_globally)
        return self._solvers.start(self.rngs, max(1, int(self.questions.budget)))

    def _theta(self, state: State) -> FloatArray:
        lower, upper = self._box
        return np.asarray(np.clip(lower + state["candidate"] * (upper - lower), lower, upper))

    def _after(self, state: State, loss: FloatArray, rows: BoolArray, answers: Answers) -> State:
        after = self._solvers.tell(state, self.steps, loss, rows, self.running)
        return {**after, "converged": self.steps + 1 >= state["losses"].shape[1]}
