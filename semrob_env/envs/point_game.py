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

from semrob_env.envs.rules import Game, Rows, as_action, number_within, whole_number
from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.parameters import SemanticSpace
from semrob_env.types import BoolArray, Float32Array, FloatArray

GOALS = ("low", "high")


@final
@dataclass(frozen=True)
class PointRules:
    """What is looked for.

    Attributes:
        budget: Forward queries of an episode.
        goal: `low`: scores as low as can be, failures of the network; `high`: strong views.
        target: None, or the score, in the function's own range, that ends an episode once it is reached: at or below
            it with the goal `low`, at or above it with `high`.

    Raises:
        InvalidParameterError: Another goal, or a target that is no number.
        InvalidBudgetError: A budget that is no whole number of at least 1.
    """

    budget: int = 200
    goal: Literal["low", "high"] = "low"
    target: float | None = None

    def __post_init__(self) -> None:
        whole_number("budget", self.budget, 1, error=InvalidBudgetError)
        if self.goal not in GOALS:
            raise InvalidParameterError(f"goal {self.goal!r}: choose {' or '.join(GOALS)}")


@final
class PointGame(Game):
    """B games of PointSearch; see the module.

    The objective is how good the best score so far is, in [0, 1]: scores are scaled to [0, 1] by the score range, and
    with the goal `low` it is 1 minus the lowest.

    Args:
        space: The space of theta.
        rules: What is looked for.
        count: Number B of games.
        score_range: Lowest and highest score of the function.

    Raises:
        InvalidBudgetError: A budget that cannot pay the start point and one step.
        InvalidParameterError: A target outside the score range.
    """

    def __init__(
        self,
        space: SemanticSpace,
        rules: PointRules,
        *,
        count: int = 1,
        score_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__(space, count, score_range, cost=1, budget=rules.budget)
        self.rules = rules
        if rules.target is not None:
            number_within("target", rules.target, *score_range)
        n = space.n
        shapes = {"theta": (n,), "best_theta": (n,), **dict.fromkeys(("score", "best_score", "objective", "steps"), ())}
        self._arrays = {name: np.zeros((*shape, count)) for name, shape in shapes.items()}

    @property
    def _state(self) -> dict[str, FloatArray]:
        return self._arrays

    @property
    def _taken(self) -> FloatArray:
        return self._arrays["steps"]

    def _changed(self) -> None:
        pass

    def _again(self, count: int) -> PointGame:
        return PointGame(self.space, self.rules, count=count, score_range=self.score_range)

    @property
    def draws(self) -> int:
        """0: nothing but member and start point is random."""
        return 0

    @property
    def action_size(self) -> int:
        """n: -1 is the lower bound of a parameter, 1 the upper one."""
        return self.space.n

    def restart(self, rows: Rows, start: FloatArray, draws: FloatArray) -> None:
        """Put games (R of B) back to theta0 (R, n); no random numbers are needed."""
        del draws
        for name, values in self._state.items():
            values[..., rows] = start.T if name == "theta" else 0.0

    def move(self, action: npt.ArrayLike) -> None:
        """Choose theta: actions (B, n) in [-1, 1], clipped, are the unit cube of the space.

        Raises:
            InvalidActionError: Another shape, or NaN.
        """
        unit = (as_action(action, (self.count, self.space.n)).T + 1.0) / 2.0
        theta = self.space.low[:, None] + unit * self.space.width[:, None]
        self._state["theta"] = np.ascontiguousarray(self.space.project(theta.T).T)

    def queries(self) -> FloatArray:
        """The points chosen, theta (B, 1, n)."""
        return np.array(self._state["theta"].T[:, None])

    def take(self, values: FloatArray) -> None:
        """Take the scores (B, 1) at them, in the function's own range, without NaN."""
        state, (low, high) = self._state, self.score_range
        score = values[:, 0].copy()
        scaled = (score - low) / (high - low)
        gain = 1.0 - scaled if self.rules.goal == "low" else scaled
        is_better = (state["steps"] == 0) | (gain > state["objective"])
        state["score"] = score
        state["best_score"] = np.where(is_better, score, state["best_score"])
        state["best_theta"] = np.where(is_better, state["theta"], state["best_theta"])
        state["objective"] = np.where(is_better, gain, state["objective"])
        state["steps"] = state["steps"] + 1.0

    def observation(self) -> Float32Array:
        """What agents see, (B, 2n + 3): see `PointSearchEnv` for the table."""
        state, (low, high) = self._state, self.score_range
        parts = [
            *((state[name] - self.space.low[:, None]) / self.space.width[:, None] for name in ("theta", "best_theta")),
            np.array([*((state[name] - low) / (high - low) for name in ("score", "best_score")), self._left()]),
        ]
        return np.array(np.concatenate(parts).T, dtype=np.float32, order="C")

    def observation_limits(self) -> tuple[Float32Array, Float32Array]:
        """0 and 1, (2n + 3,) each."""
        size = 2 * self.space.n + 3
        return np.zeros(size, dtype=np.float32), np.ones(size, dtype=np.float32)

    def facts(self) -> dict[str, FloatArray]:
        """`objective`, `score` and `best_score` (B,), `theta` and `best_theta` (B, n), in native units."""
        state = self._state
        facts = {name: state[name].copy() for name in ("objective", "score", "best_score")}
        return {**facts, "theta": self.looked_at, "best_theta": state["best_theta"].T.copy()}

    @property
    def looked_at(self) -> FloatArray:
        """The last points (B, n) in native units."""
        return np.array(self._state["theta"].T)

    @property
    def objective(self) -> FloatArray:
        """How good the best score so far is, (B,), in [0, 1]."""
        return np.array(self._state["objective"])

    @property
    def settled(self) -> BoolArray:
        """Which games have reached the target, (B,)."""
        if self.rules.target is None:
            return np.zeros(self.count, dtype=np.bool_)
        best = self._state["best_score"]
        return np.asarray(best <= self.rules.target if self.rules.goal == "low" else best >= self.rules.target)
