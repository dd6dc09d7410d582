"""An environment of another author: which of a few views does a network find hardest? Each pull is one query."""

from __future__ import annotations

from typing import Any, final

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Discrete

from semrob_env.functions import ScoreFunction, make_function
from semrob_env.oracle import Queries, QueryOracle
from semrob_env.types import Float32Array, FloatArray


@final
class BanditEnv(gymnasium.Env[Float32Array, np.int64]):
    """Pull arms, each a view drawn at reset; the reward is 1 minus its score."""

    def __init__(self, function: ScoreFunction, arms: int, budget: int) -> None:
        self.oracle = QueryOracle(function, budget=budget)
        self.action_space: Any = Discrete(arms)
        self.observation_space = Box(0.0, 1.0, (arms,), np.float32)
        self.goes_on = False
        self._views: FloatArray = np.zeros((0, function.space.n))
        self._seen: Float32Array = np.zeros(arms, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Draw the views and look at the first one."""
        super().reset(seed=seed)
        self._views = self.oracle.space.sample(len(self._seen), self.np_random)
        self._seen = np.zeros_like(self._seen)
        self.oracle.restore(np.zeros(1, np.int64), np.zeros(1, np.int64))
        self._pull(0)
        return self._seen.copy(), self._info()

    def step(self, action: Any) -> tuple[Float32Array, float, bool, bool, dict[str, Any]]:
        """Pull an arm."""
        is_over = not len(self._views) or self.oracle.spent[0] >= self.oracle.budget
        if is_over and not self.goes_on:
            raise ResetNeeded("call reset() first")
        reward = 1.0 - self._pull(int(action)) if not is_over else 0.0
        return self._seen.copy(), reward, bool(self.oracle.spent[0] >= self.oracle.budget), False, self._info()

    def _pull(self, arm: int) -> float:
        queries = Queries(self._views[None, [arm]], np.zeros(1, np.int64), np.ones((1, 1), np.bool_))
        score = self.oracle.query(queries).values.item()
        self._seen[arm] = score
        return score

    def _info(self) -> dict[str, Any]:
        forward, gradient = self.oracle.forward_queries.item(), self.oracle.gradient_queries.item()
        return {"forward_queries": forward, "gradient_queries": gradient, "spent": self.oracle.spent.item()}


def bandit_env() -> BanditEnv:
    """Five views of a plateau, twenty pulls."""
    return BanditEnv(make_function("synthetic:plateau?n=2&seed=0"), 5, 20)
