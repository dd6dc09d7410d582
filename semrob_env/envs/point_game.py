"""PointSearch as a game: choose theta, see its score, find the worst (or best) views; B games at once, plain arrays.

An assessment of a network by an agent that looks for its failures, as with the reinforcement learners and Bayesian
optimizers of Shu, Liu, Qiu & Yuille, *Identifying model weakness with adversarial examiner* (AAAI 2020, arXiv
1911.11230). One query a step, and one for the start point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import numpy.typing as npt

from semrob_env.envs.rules import Game, number_within, whole_number
from semrob_env.envs.traits import Traits
from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.parameters import SemanticSpace
from semrob_env.types import BoolArray, Float32Array, FloatArray, IntArray

GOALS = ("low", "high")


@final
@dataclass(frozen=True)
class PointRules:
    """What is looked for.

    Attributes:
        budget: Forward queries of an episode.
        goal: `low`: scores as low as can be, failures of the network; `high`: strong views.
        target: None, or the unit score in [0, 1] that ends an episode once it is reached: at or below it with the goal
            `low`, at or above it with `high`.

    Raises:
        InvalidParameterError: Another goal, or a target that is no unit score.
        InvalidBudgetError: A budget that is no whole number of at least 1.
    """

    budget: int = 200
    goal: Literal["low", "high"] = "low"
    target: float | None = None

    def __post_init__(self) -> None:
        whole_number("budget", self.budget, 1, error=InvalidBudgetError)
        if self.goal not in GOALS:
            raise InvalidParameterError(f"goal {self.goal!r}: choose {' or '.join(GOALS)}")
        if self.target is not None:
            number_within("target", self.target, 0.0, 1.0)


@final
class PointGame(Game):
    """B games of PointSearch; see the module.

    The objective is how good the best score so far is, in [0, 1]: with the goal `low` it is 1 minus the lowest.

    Args:
        space: The space of theta.
        rules: What is looked for.
        count: Number B of games.

    Raises:
        InvalidBudgetError: A budget that cannot pay the start point and one step.
    """

    draws = 0

    def __init__(self, space: SemanticSpace, rules: PointRules, *, count: int = 1) -> None:
        shapes: dict[str, tuple[int, ...]] = {"theta": (space.n,), "best_theta": (space.n,)}
        shapes |= {"score": (), "best_score": ()}
        super().__init__(space, count, shapes, cost=1, budget=rules.budget)
        self.rules = rules
        self.action_size = space.n
        self.traits = Traits(objective_range=(0.0, 1.0), seeks=rules.goal, clips_actions=True, sees_budget=True)

    def restart(self, rows: IntArray, start: FloatArray, draws: FloatArray) -> None:
        """Put games (R of B) back to theta0 (R, n); no random numbers are needed."""
        del draws
        for name, values in self._state.items():
            values[rows] = start if name == "theta" else 0.0

    def move(self, action: npt.ArrayLike) -> None:
        """Choose theta: actions (B, n) in [-1, 1], clipped, are the unit cube of the space.

        Raises:
            InvalidActionError: Another shape, or NaN.
        """
        # Parameter by parameter in memory: loops over games are long, over parameters short.
        unit = (np.asfortranarray(self._actions(action)) + 1.0) / 2.0
        self._state["theta"] = self.space.from_unit(unit)

    def queries(self) -> FloatArray:
        """The points chosen, theta (B, 1, n)."""
        return np.array(self._state["theta"][:, None])

    def take(self, values: FloatArray) -> None:
        """Take the unit scores (B, 1) at them, without NaN."""
        state, score = self._state, values[:, 0].copy()
        gain = 1.0 - score if self.rules.goal == "low" else score
        is_better = (state["steps"] == 0) | (gain > state["objective"])
        state["score"] = score
        state["best_score"] = np.where(is_better, score, state["best_score"])
        state["best_theta"] = np.where(is_better, state["theta"].T, state["best_theta"].T).T
        state["objective"] = np.where(is_better, gain, state["objective"])
        state["steps"] = state["steps"] + 1.0

    def observation(self) -> Float32Array:
        """What agents see, (B, 2n + 3): see `PointSearchEnv` for the table."""
        state, n = self._state, self.space.n
        seen = np.empty((self.count, 2 * n + 3), dtype=np.float32)
        seen[:, :n], seen[:, n : 2 * n] = (self.space.to_unit(state[name]) for name in ("theta", "best_theta"))
        seen[:, -3], seen[:, -2], seen[:, -1] = state["score"], state["best_score"], self._left()
        return seen

    def observation_limits(self) -> tuple[Float32Array, Float32Array]:
        """0 and 1, (2n + 3,) each."""
        size = 2 * self.space.n + 3
        return np.zeros(size, dtype=np.float32), np.ones(size, dtype=np.float32)

    def facts(self) -> dict[str, FloatArray]:
        """`objective`, `score` and `best_score` (B,), `theta` and `best_theta` (B, n) in native units."""
        names = ("objective", "score", "best_score", "theta", "best_theta")
        return {name: self._state[name].copy() for name in names}

    def shown(self) -> tuple[dict[str, FloatArray], tuple[FloatArray, FloatArray] | None, dict[str, float]]:
        """The best and the last point, and their scores."""
        state = self._state
        numbers = {"last score": float(state["score"][0]), "best score": float(state["best_score"][0])}
        return {"best": state["best_theta"][0].copy(), "last": state["theta"][0].copy()}, None, numbers

    @property
    def looked_at(self) -> FloatArray:
        """The last points (B, n) in native units."""
        return np.array(self._state["theta"])

    @property
    def settled(self) -> BoolArray:
        """Which games have reached the target, (B,)."""
        if self.rules.target is None:
            return np.zeros(self.count, dtype=np.bool_)
        best = self._state["best_score"]
        return np.asarray(best <= self.rules.target if self.rules.goal == "low" else best >= self.rules.target)
