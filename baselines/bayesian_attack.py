"""Bayesian point attack: Optuna's model of f near theta0 says where a score is likely to be the lowest.

What Shu et al., *Identifying model weakness with adversarial examiner*, AAAI 2020, do with a Gaussian process, beside a
reinforced policy, to find the renderings that a network fails on. Library and samplers: `baselines.bayesian`; box, goal
and answer: `baselines.attack`. f has the same score each time it is asked, so the process has no noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import final

import numpy as np

from baselines.attack import Attack, AttackSettings
from baselines.bayesian import ALGORITHM_LIMITS, Algorithm, minimize_by_optuna
from baselines.solver import Solvers
from optimizers.base import State
from optimizers.limits import whole_number
from optimizers.registry import register
from semrob_env.oracle import Answers
from semrob_env.types import BoolArray, FloatArray

CENTER = 0.5


@final
@dataclass(frozen=True)
class BayesianAttackSettings(AttackSettings):
    """Hyperparameters: those of every attack, and of the sampler.

    Attributes:
        algorithm: `tpe`, or `gp`.
        startup: Points before its model is used: the middle of the box (theta0, inside the space), then uniform ones.
    """

    algorithm: Algorithm = field(default="tpe", metadata=ALGORITHM_LIMITS)
    startup: int = field(default=5, metadata=whole_number(1))


@final
@register
class BayesianAttack(Attack[BayesianAttackSettings]):
    """A Bayesian point attack; see the module.

    Raises:
        MissingExtraError: Optuna is not installed.
    """

    name = "bayesian_attack"
    title = "Bayesian attack (Shu et al. 2020; Optuna)"
    is_stochastic = True
    plans_by_budget = True
    settings_class = BayesianAttackSettings

    def _first(self) -> State:
        chosen = self.settings
        loop = partial(
            minimize_by_optuna,
            size=self.space.n,
            algorithm=chosen.algorithm,
            startup=chosen.startup,
            first=CENTER,
            is_exact=True,
        )
        self._solvers = Solvers(self.name, loop, draws_globally=False)
        return self._solvers.start(self.rngs, int(self.questions.budget))

    def _theta(self, state: State) -> FloatArray:
        lower, upper = self._box
        return np.asarray(np.clip(lower + state["candidate"] * (upper - lower), lower, upper))

    def _after(self, state: State, loss: FloatArray, rows: BoolArray, answers: Answers) -> State:
        after = self._solvers.tell(state, self.steps, loss, rows, self.running)
        return {**after, "converged": self.steps + 1 >= state["losses"].shape[1]}
