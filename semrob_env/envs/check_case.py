"""An environment under check: how its episodes are played and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, cast, final

import numpy as np
import numpy.typing as npt
from gymnasium import Env
from gymnasium.spaces import Box

from semrob_env.envs.check_watch import Watch
from semrob_env.errors import ContractError
from semrob_env.functions import ScoreFunction
from semrob_env.oracle import QueryOracle

PLAYED_STEPS = 8
"""Steps of an episode that most checks play."""

MOST_STEPS = 2000
"""Steps after which a checker stops waiting for the end of an episode."""

Environment = Env[Any, Any]


@final
@dataclass(frozen=True, eq=False)
class Turn:
    """What a reset or a step gave.

    Attributes:
        returned: The very objects that were returned as observation and info.
        observation: A copy of the observation, made at once.
        info: A copy of the info, made at once.
        reward: Of the step; 0 of a reset.
        terminated: Whether the episode has ended; of a reset False.
        truncated: Whether it was cut short; of a reset False.
        forward: Forward queries on the meter afterwards.
        gradient: Gradient queries on it.
        spent: Budget spent on it.
        asked: Points that the function was asked since the turn before.
    """

    returned: tuple[Any, dict[str, Any]]
    observation: Any
    info: dict[str, Any]
    reward: Any
    terminated: Any
    truncated: Any
    forward: int
    gradient: int
    spent: float
    asked: int

    @property
    def is_over(self) -> bool:
        """Whether the episode has come to its end."""
        return bool(self.terminated or self.truncated)


@final
@dataclass(eq=False)
class Case:
    """An environment under check.

    Attributes:
        env: As it was handed over, with its wrappers.
        keys: What the environment inside all wrappers tells in its infos; wrappers may add to it what they like.
    """

    env: Environment
    keys: set[str] = field(default_factory=set)

    @property
    def bare(self) -> Any:
        """The environment inside all wrappers."""
        return self.env.unwrapped

    @property
    def oracle(self) -> QueryOracle:
        """Its oracle, a new one or the old one after every reset."""
        return cast("QueryOracle", self.bare.oracle)

    @property
    def function(self) -> ScoreFunction:
        """What the oracle asks."""
        return self.oracle.function

    def actions(self, count: int, *, seed: int = 0, of: Environment | None = None) -> list[npt.NDArray[Any]]:
        """Uniform actions of the space of the environment (or of another), from a generator of their own."""
        space = cast("Box", (self.env if of is None else of).action_space)
        rng = np.random.default_rng(seed)
        return list(rng.uniform(space.low, space.high, (count, *space.shape)).astype(space.dtype))

    def constant(self, share: float) -> npt.NDArray[Any]:
        """The action of the bare environment at the same share of every range."""
        space = self.bare.action_space
        return np.asarray(space.low + share * (space.high - space.low), dtype=space.dtype)

    def play(
        self,
        actions: Iterable[npt.NDArray[Any]] = (),
        *,
        seed: int | None = 0,
        bare: bool = False,
        copied: bool = True,
        watch: Watch | None = None,
        after: Callable[[Turn], None] | None = None,
    ) -> list[Turn]:
        """A reset and a step an action, until the episode is over.

        Args:
            actions: Of the steps.
            seed: Of the reset.
            bare: Whether to leave the wrappers out.
            copied: Whether steps get copies of the actions.
            watch: A watch that is on already; None: an own one.
            after: What to do after the reset and after each step, before the next one.
        """
        seen = (lambda turn: None) if after is None else after
        env = self.bare if bare else self.env
        own = Watch(self.function) if watch is None else watch
        with own if watch is None else nullcontext():
            before = own.asked
            turns = [self._turn(own, before, env.reset(seed=seed))]
            seen(turns[-1])
            for action in actions:
                if turns[-1].is_over:
                    break
                before = own.asked
                turns.append(self._turn(own, before, env.step(action.copy() if copied else action)))
                seen(turns[-1])
        return turns

    def _turn(self, watch: Watch, before: int, result: Any) -> Turn:
        observation, reward, terminated, truncated, info = (
            result if len(result) == 5 else (result[0], 0.0, False, False, result[1])
        )
        oracle = self.oracle
        return Turn(
            (observation, info),
            deepcopy(observation),
            deepcopy(info),
            reward,
            terminated,
            truncated,
            int(oracle.forward_queries.sum()),
            int(oracle.gradient_queries.sum()),
            float(oracle.spent.sum()),
            watch.asked - before,
        )

    def difference(self, one: Sequence[Turn], other: Sequence[Turn]) -> str | None:
        """Where two episodes first differ, in words; None if all that was told has the same bytes."""
        for step, (first, second) in enumerate(zip(one, other, strict=False)):
            when = f"step {step}" if step else "reset"
            if not same(first.observation, second.observation):
                return f"the observation of {when}"
            if not same(
                (first.reward, first.terminated, first.truncated), (second.reward, second.terminated, second.truncated)
            ):
                return f"reward or end of {when}"
            for key in sorted(self.keys):
                if not same(first.info.get(key), second.info.get(key)):
                    return f"info[{key!r}] of {when}"
        return None if len(one) == len(other) else "the length of the episode"


def require(promise: bool, message: str) -> None:
    """Raise ContractError with the message unless the promise holds."""
    if not promise:
        raise ContractError(message)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal to the last bit, arrays within mappings and sequences as well."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, np.ndarray | float | np.generic) and isinstance(other, np.ndarray | float | np.generic):
        first, second = np.asarray(one), np.asarray(other)
        if first.shape != second.shape or first.dtype != second.dtype:
            return False
        return bool((first == second).all()) if first.dtype == object else first.tobytes() == second.tobytes()
    return bool(one == other)


def arrays(value: Any) -> list[npt.NDArray[Any]]:
    """All arrays in an observation or info."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [array for part in value for array in arrays(part)] if isinstance(value, tuple | list) else []
