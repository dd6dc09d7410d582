"""Bayesian point attack: Optuna's model of f near theta0 says where a score is likely to be the lowest.

What Shu et al., *Identifying model weakness with adversarial examiner*, AAAI 2020, do with a Gaussian process, beside a
reinforced policy, to find the renderings that a network fails on. Library and samplers: `baselines.bayesian`; box, goal
and answer: `baselines.attack`. f has the same score each time it is asked, so the process has no noise.

The state of a trajectory is its seed and the scores told so far; after a restart the sampler hears them again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import final

import numpy as np

from baselines.attack import AttackSettings
from baselines.bayesian import ALGORITHM_LIMITS, Algorithm, minimize_by_optuna
from baselines.solver import Solver
from optimizers.base import Optimizer, State
from optimizers.limits import whole_number
from optimizers.registry import register
from semrob_env.errors import ProtocolError
from semrob_env.oracle import Answers
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

CENTRE = 0.5


@final
@dataclass(frozen=True)
class BayesianAttackSettings(AttackSettings):
    """Hyper-parameters: those of every attack, and of the sampler.

    Attributes:
        algorithm: `tpe`, or `gp`.
        startup: Points before its model is used: the middle of the box (theta0, inside the space), then uniform ones.
    """

    algorithm: Algorithm = field(default="tpe", metadata=ALGORITHM_LIMITS)
    startup: int = field(default=5, metadata=whole_number(1))


@final
@register
class BayesianAttack(Optimizer[BayesianAttackSettings]):
    """A Bayesian point attack; see the module.

    Raises:
        MissingExtraError: Optuna is not installed.
    """

    name = "bayesian_attack"
    title = "Bayesian attack (Shu et al. 2020; Optuna)"
    recommends = "points"
    paradigm = "point attack"
    finds = "a point of low score near theta0"
    is_stochastic = True
    uses_goal = False
    plans_by_budget = True
    settings_class = BayesianAttackSettings

    def recommend(self) -> Regions:
        """The best point of each trajectory, as regions without volume; theta0 before any tell."""
        return Regions(self.space, self._state["best"], self._state["best"]).clip()

    def _start(self) -> State:
        count = len(self)
        seed = np.array([int(rng.integers(2**31)) for rng in self.rngs])
        self._solvers: list[Solver | None] = [None] * count
        first = [self._solver(row, int(seed[row]), np.zeros(0)).candidate for row in range(count)]
        return {
            "candidate": np.stack(first),
            "best": self.start.copy(),
            "least": np.full(count, np.inf),
            "seed": seed,
            "losses": np.full((count, int(self.questions.budget)), np.nan),
            "converged": np.zeros(count, dtype=np.bool_),
        }

    def _ask(self, state: State) -> FloatArray:
        return self._theta(state)[:, None, :]

    def _tell(self, state: State, answers: Answers) -> State:
        sign = 1.0 if self.settings.seeks == "low" else -1.0
        loss, rows = sign * answers.values[:, 0], self.running & answers.active[:, 0]
        candidate, losses = state["candidate"].copy(), state["losses"].copy()
        for row in np.flatnonzero(rows):
            told = int(self.steps[row])
            if told + 1 < losses.shape[1]:  # else that was the last one: nobody asks for another
                solver = self._solver(row, int(state["seed"][row]), losses[row, :told])
                if solver.candidate.tobytes() != candidate[row].tobytes():
                    raise ProtocolError(f"{self.name}: the state is of another version of its library; start anew")
                solver.tell(float(loss[row]))
                candidate[row] = solver.candidate
            losses[row, told] = loss[row]
        for row in np.flatnonzero(~self.running):
            self._solvers[row] = None
        is_better = loss < state["least"]
        return {
            "candidate": candidate,
            "best": np.where(is_better[:, None], self._theta(state), state["best"]),
            "least": np.where(is_better, loss, state["least"]),
            "seed": state["seed"].copy(),
            "losses": losses,
            "converged": self.steps + 1 >= losses.shape[1],
        }

    def _theta(self, state: State) -> FloatArray:
        """The candidates (B, n) in the box; along periodic parameters unwrapped around theta0."""
        lower, upper = self._box
        return np.asarray(np.clip(lower + state["candidate"] * (upper - lower), lower, upper))

    @cached_property
    def _box(self) -> tuple[FloatArray, FloatArray]:
        """Bounds (B, n) of the points that may be asked."""
        space, reach = self.space, self.settings.radius * self.space.width
        lower, upper = self.start - reach, self.start + reach
        lower = np.where(space.is_periodic, lower, np.maximum(lower, space.low))
        return lower, np.where(space.is_periodic, upper, np.minimum(upper, space.high))

    def _solver(self, row: int, seed: int, heard: FloatArray) -> Solver:
        """The sampler of a trajectory after it has heard these losses, run again if it heard others."""
        solver = self._solvers[row]
        if solver is None or not solver.has_heard(seed, heard):
            chosen = self.settings
            minimize = partial(
                minimize_by_optuna,
                size=self.space.n,
                seed=seed,
                algorithm=chosen.algorithm,
                startup=chosen.startup,
                first=CENTRE,
                is_exact=True,
            )
            solver = Solver(minimize, seed, draws_globally=False)
            for loss in heard.tolist():
                solver.tell(loss)
            self._solvers[row] = solver
        return solver
