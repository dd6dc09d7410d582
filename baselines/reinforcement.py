"""A policy that plays RegionGrow, behind ask / tell / recommend: ranked by the same counted queries as any optimizer.

A trajectory is an episode of `semrob_env.envs.game.RegionGame`: each step asks corners, outer corners and points inside
the region, the policy sees the observation of `semrob/RegionGrow-v0` and moves the 2n bounds. The answer is the region
that was asked last. The idea to let a learned policy look for what a network fails on is that of Shu et al.,
*Identifying model weakness with adversarial examiner*, AAAI 2020.

Policies, by name: `random` (uniform actions from the trajectory's Generator; the floor), one given to `register_policy`
(any policy or model of stable-baselines3, or a function), or the folder of a saved agent (`baselines.agents`), which
plays by the rules it was trained with, its goal among them: an agent looks for what it was trained to find. Others
play for the goal of the question. A budget below the first observation and one step pays for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from baselines.agents import Actor, load_agent
from baselines.agents.files import agent_digest
from baselines.agents.policies import POLICIES, RANDOM, Policy, game_rules
from baselines.agents.policies import register_policy as register_policy
from optimizers.base import RegionOptimizer, Settings, State
from optimizers.registry import register
from semrob_env.checks import real_array
from semrob_env.errors import InvalidActionError, InvalidParameterError, RefusedFileError, UnknownNameError
from semrob_env.oracle import Answers
from semrob_env.types import Float32Array, FloatArray

if TYPE_CHECKING:
    from semrob_env.envs.game import RegionGame

FEW_PARAMETERS, SAMPLED_CORNERS = 6, 16
"""Up to how many parameters the random policy asks all 2^n corners, and how many it samples beyond."""


@final
@dataclass(frozen=True)
class ReinforcementSettings(Settings):
    """Hyperparameters.

    Attributes:
        policy: `random`, a registered name, or the folder of a saved agent.
        digest: Hash of the saved agent, so that a run's key tells agents apart; empty: filled in here.

    Raises:
        UnknownNameError: Neither a registered name nor a folder.
        MissingFileError, RefusedFileError: A folder without a saved agent, or not with the one of that hash.
    """

    policy: str = RANDOM
    digest: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.policy == RANDOM or self.policy in POLICIES:
            return
        if not Path(self.policy).exists():
            known = ", ".join([RANDOM, *POLICIES])
            raise UnknownNameError(f"unknown policy {self.policy!r}; give {known}, or the folder of a saved agent")
        found = agent_digest(self.policy)
        if self.digest not in {"", found}:
            raise RefusedFileError(f"the agent in {self.policy} has the hash {found}, not {self.digest}")
        object.__setattr__(self, "digest", found)


@final
@register
class Reinforcement(RegionOptimizer[ReinforcementSettings]):
    """A policy on RegionGrow; see the module.

    Raises:
        InvalidParameterError: A saved agent of another space.
    """

    name = "reinforcement"
    title = "Policy on RegionGrow"
    is_stochastic = True
    plans_by_budget = True
    paradigm = "learned policy"
    finds = "the region that its policy ends with"
    settings_class = ReinforcementSettings

    def _start(self) -> State:
        game = self._game
        draws = np.array([rng.random(game.draws) for rng in self.rngs])
        game.restart(np.arange(len(self)), self.start, draws)
        return {**game.save(), "lower": self.start.copy(), "upper": self.start.copy(), "converged": game.finished}

    def _ask(self, state: State) -> FloatArray:
        self._game.load(state)
        return self._game.queries()

    def _tell(self, state: State, answers: Answers) -> State:
        game = self._game
        game.load(state)
        game.take(answers.values)
        finished = game.finished
        asked: State = {"lower": game.lower, "upper": game.upper, "converged": finished}
        rows = np.flatnonzero(self.running & answers.active.all(axis=1) & ~finished)
        actions = np.zeros((len(self), game.action_size))
        if len(rows):
            actions[rows] = self._actions(game.observation()[rows], rows.tolist())
        game.move(actions)
        return {**game.save(), **asked}

    def _actions(self, observations: Float32Array, rows: list[int]) -> FloatArray:
        policy, _ = self._policy
        size = self._game.action_size
        if policy is None:
            return np.array([2.0 * self.rngs[row].random(size) - 1.0 for row in rows])
        if isinstance(policy, Actor):
            return policy.actions(observations)
        actions = [
            real_array("the action of the policy", policy(seen.copy()), InvalidActionError) for seen in observations
        ]
        for action in actions:
            if action.size != size:
                raise InvalidActionError(f"the policy answers an action of shape {action.shape}; must be ({size},)")
        return np.stack([action.reshape(size) for action in actions])

    @cached_property
    def _policy(self) -> tuple[Policy | Actor | None, Mapping[str, Any] | None]:
        """The policy, None for the random one, and its rules."""
        name, n = self.settings.policy, self.space.n
        if name == RANDOM:
            return None, None if n <= FEW_PARAMETERS else {"corners": SAMPLED_CORNERS}
        if name in POLICIES:
            return POLICIES[name]
        agent = load_agent(name)
        if agent.parameters != self.space.names or agent.actor.sizes[-1] != 2 * n:
            raise InvalidParameterError(
                f"the agent in {name} plays over {', '.join(agent.parameters)}, not {', '.join(self.space.names)}"
            )
        return agent.actor, agent.rules

    @cached_property
    def _game(self) -> RegionGame:
        from semrob_env.envs.game import RegionGame, RegionRules  # here, for it imports gymnasium

        rules = self._policy[1] or {}
        corners = rules.get("corners") or 2**self.space.n
        least = 2 * (2 * corners + rules.get("points", RegionRules.points))  # the first observation and one step
        budget = max(int(self.questions.budget), least)
        # A judge says what the region is worth: nothing is kept for a claim.
        asked = game_rules({**rules, "claim_points": 0}, budget, self.questions.goal)
        return RegionGame(self.space, asked, count=len(self))
