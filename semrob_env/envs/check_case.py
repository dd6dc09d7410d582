"""An environment under check: how its episodes are played, what is kept of them, and what its function is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast, final

import numpy as np
import numpy.typing as npt
from gymnasium import Env
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv

from semrob_env.envs.traits import Traits
from semrob_env.errors import ContractError
from semrob_env.functions import ScoreFunction
from semrob_env.oracle import QueryOracle
from semrob_env.types import FloatArray, IntArray

PLAYED_STEPS = 8
"""Steps of an episode that most checks play."""

MOST_STEPS = 2000
"""Steps after which a checker stops waiting for the end of an episode."""

CLOSE = 1e-9
"""How far numbers may differ that are reckoned in two ways."""

Environment = Env[Any, Any]
Vector = VectorEnv[Any, Any, Any]

_ANSWERS = ("_values", "_values_and_gradients")
"""What a score function is made of."""


def leaves(function: ScoreFunction) -> list[ScoreFunction]:
    """The functions that answer in the end, without complements and stacks around them, each once."""
    found = (function.leaf(member).function for member in range(function.members))
    return list({id(leaf): leaf for leaf in found}.values())


@final
class Watch(AbstractContextManager["Watch"]):
    """A context in which every point that a function is asked is kept, whoever asks.

    Args:
        function: The function; complements and stacks are watched where they ask in turn.
        answer: None: the function answers itself; else every score is this number (NaN as well).

    Attributes:
        theta: Points asked so far, in order, (m, n) a call and row ...
        member_ids: ... and the id of the innermost member that was asked.
    """

    def __init__(self, function: ScoreFunction, answer: float | None = None) -> None:
        self.answer = answer
        self.theta: list[FloatArray] = []
        self.member_ids: list[str] = []
        self._leaves = leaves(function)
        self._before: list[dict[str, Any]] = []

    @property
    def asked(self) -> int:
        """Number of points asked so far."""
        return sum(map(len, self.theta))

    def __enter__(self) -> Watch:
        # On the instance, where it hides the method of the class until __exit__; watches may lie in each other.
        self._before = [{name: vars(leaf)[name] for name in _ANSWERS if name in vars(leaf)} for leaf in self._leaves]
        for leaf in self._leaves:
            vars(leaf).update({name: self._watched(leaf, getattr(leaf, name)) for name in _ANSWERS})
        return self

    def __exit__(self, *error: object) -> None:
        for leaf, before in zip(self._leaves, self._before, strict=True):
            for name in _ANSWERS:
                del vars(leaf)[name]
            vars(leaf).update(before)

    def _watched(self, leaf: ScoreFunction, method: Callable[[FloatArray, IntArray], Any]) -> Callable[..., Any]:
        def watched(theta: FloatArray, member: IntArray) -> Any:
            answers = method(theta, member)
            self.theta += list(np.array(theta))
            self.member_ids += [leaf.member_ids[row] for row in member.tolist()]
            if self.answer is None:
                return answers
            scores = np.full(theta.shape[:2], self.answer)
            return (scores, 0.0 * answers[1]) if isinstance(answers, tuple) else scores

        return watched


@final
@dataclass(frozen=True, eq=False)
class Turn:
    """What a reset or a step gave: the very objects, copies made at once, and the meter afterwards.

    Attributes:
        returned: The very objects that were returned as observation and info.
        observation: A copy of the observation.
        info: A copy of the info.
        reward: Of the step; 0 of a reset.
        terminated, truncated: How the episode has ended; of a reset False.
        forward, gradient, spent: Forward and gradient queries on the meter, and budget spent.
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
    asked: float

    @property
    def is_over(self) -> bool:
        """Whether the episode has come to its end."""
        return bool(self.terminated or self.truncated)


@final
class FirstRow(Environment):
    """A vector environment as the single one that its first row is: all rows have one seed and one action.

    So what it asks and spends is that of the row, times the number of rows.
    """

    def __init__(self, vector: Vector) -> None:
        self.vector, self.rows = vector, vector.num_envs
        self.observation_space, self.action_space = vector.single_observation_space, vector.single_action_space
        self._is_over = False

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["vector"].unwrapped, name)

    @property
    def unwrapped(self) -> Environment:
        """The same of the vector environment inside all wrappers."""
        return self if self.vector.unwrapped is self.vector else FirstRow(self.vector.unwrapped)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in all rows."""
        super().reset(seed=seed)
        # Gymnasium's type is narrower than what it documents: a list has a seed a row.
        seeds: Any = None if seed is None else [seed] * self.rows
        observation, infos = self.vector.reset(seed=seeds, options=options)
        self._is_over = False
        return self.row(observation), self.told(infos)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one action in all rows."""
        if self._is_over:
            raise ResetNeeded("the episode is over")
        given: Any = np.stack([action] * self.rows) if isinstance(action, np.ndarray) else [action] * self.rows
        observation, *ends, infos = self.vector.step(given)
        if isinstance(action, np.ndarray):
            action[...] = given[0]  # what is written into actions shall be seen
        for end in ends:
            require(
                getattr(end, "shape", None) == (self.rows,),
                f"step() returns {end!r}; give arrays ({self.rows},) of rewards and of two kinds of ends",
            )
        reward, terminated, truncated = (end[0].item() for end in ends)
        self._is_over = terminated or truncated
        return self.row(observation), reward, terminated, truncated, self.told(infos)

    def row(self, observation: Any, row: int = 0) -> Any:
        """The observation of one row."""
        is_dict = isinstance(observation, Mapping)
        return {name: part[row] for name, part in observation.items()} if is_dict else observation[row]

    def told(self, infos: Mapping[str, Any], row: int = 0) -> dict[str, Any]:
        """What infos tell of one row."""
        known = [name for name in infos if f"_{name}" in infos and infos[f"_{name}"][row]]
        own = {name: self.row(infos[name], row) for name in known}
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in own.items()}


@final
@dataclass(eq=False)
class Case:
    """An environment under check.

    Attributes:
        env: As it was handed over, with its wrappers; a vector environment as its `FirstRow`.
        keys: What the environment inside all wrappers tells in its infos; wrappers may add to it what they like.
    """

    env: Environment
    keys: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, env: Environment | Vector) -> Case:
        """The case of an environment.

        Raises:
            ContractError: It is none, has no oracle, or is a vector one whose last turns cannot be seen.
        """
        require(
            isinstance(env, Env | VectorEnv) and isinstance(getattr(env.unwrapped, "oracle", None), QueryOracle),
            f"{env!r} is no environment over an oracle; give a single or vector environment whose unwrapped.oracle is "
            "its QueryOracle",
        )
        if isinstance(env, Env):
            return cls(env)
        require(
            env.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP,
            f"{env!r} begins a new episode in the step that ends one, so what it has spent cannot be seen; make it "
            "with autoreset_mode NextStep or Disabled",
        )
        return cls(FirstRow(env))

    @cached_property
    def bare(self) -> Any:
        """The environment inside all wrappers."""
        return self.env.unwrapped

    @property
    def vector(self) -> Vector | None:
        """The vector environment inside all wrappers, if it is one."""
        return self.bare.vector if isinstance(self.bare, FirstRow) else None

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{type(self.vector or self.bare).__name__} with n = {self.function.space.n}"

    @property
    def traits(self) -> Traits:
        """What it declares."""
        return getattr(self.bare, "traits", Traits())

    @property
    def oracle(self) -> QueryOracle:
        """Its oracle, a new one or the old one after every reset."""
        return cast("QueryOracle", self.bare.oracle)

    @property
    def spent(self) -> float:
        """What the meter says of one episode."""
        return float(self.oracle.spent[0])

    @property
    def function(self) -> ScoreFunction:
        """What the oracle asks."""
        return self.oracle.function

    def actions(self, count: int, *, seed: int = 0, of: Environment | None = None) -> list[Any]:
        """Uniform actions of the space of the environment (or of another), from a generator of their own."""
        space = (self.env if of is None else of).action_space
        if isinstance(space, Box):
            rng = np.random.default_rng(seed)
            return list(rng.uniform(space.low, space.high, (count, *space.shape)).astype(space.dtype))
        space = deepcopy(space)
        space.seed(seed)
        return [space.sample() for _ in range(count)]

    def constant(self, share: float, *, of: Environment | None = None) -> Any:
        """The action of the bare environment (or of another) at the same share of every range."""
        env = self.bare if of is None else of
        space = env.action_space
        if not isinstance(space, Box):
            return self.actions(1, seed=round(4 * share), of=env)[0]
        return np.asarray(space.low + share * (space.high - space.low), dtype=space.dtype)

    def play(
        self,
        actions: Iterable[Any] = (),
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
        env = self.bare if bare else self.env
        own = Watch(self.function) if watch is None else watch
        turns: list[Turn] = []

        def take(call: Callable[[], Any]) -> None:
            before = own.asked
            turns.append(self._turn(call(), lambda: own.asked - before))
            if after is not None:
                after(turns[-1])

        with own if watch is None else nullcontext():
            take(lambda: env.reset(seed=seed))
            for action in actions:
                if turns[-1].is_over:
                    break
                given = deepcopy(action) if copied else action
                take(lambda given=given: env.step(given))  # type: ignore[misc]  # bound to this action
        return turns

    def _turn(self, result: Any, asked: Callable[[], int]) -> Turn:
        observation, reward, terminated, truncated, info = (
            result if len(result) == 5 else (result[0], 0.0, False, False, result[1])
        )
        oracle, seen, told = self.oracle, deepcopy(observation), deepcopy(info)
        bill = int(oracle.forward_queries[0]), int(oracle.gradient_queries[0]), self.spent
        ends = reward, terminated, truncated
        return Turn((observation, info), seen, told, *ends, *bill, asked() / oracle.trajectories)

    def difference(self, one: Sequence[Turn], other: Sequence[Turn]) -> str | None:
        """Where two episodes first differ, in words; None if all that was told has the same bytes."""
        for step, (first, second) in enumerate(zip(one, other, strict=False)):
            when = f"step {step}" if step else "reset"
            if not same(first.observation, second.observation):
                return f"the observation of {when}"
            ends = [(turn.reward, turn.terminated, turn.truncated) for turn in (first, second)]
            if not same(*ends):
                return f"reward or end of {when}"
            for key in sorted(self.keys):
                if not same(first.info.get(key), second.info.get(key)):
                    return f"info[{key!r}] of {when}"
        return None if len(one) == len(other) else "the length of the episode"

    def require_same(self, one: Sequence[Turn], other: Sequence[Turn], message: str) -> None:
        """Raise ContractError, where and the message, if two episodes differ."""
        where = self.difference(one, other)
        require(where is None, f"{where} {message}")

    def require_refusal(self, action: Any, error: type[Exception], message: str, costs: str) -> None:
        """Raise ContractError, the message, unless a step raises this error; `costs` if it asks or charges first."""
        spent = self.spent
        with Watch(self.function) as watch:
            try:
                self.bare.step(action)
            except error:
                pass
            else:
                raise ContractError(message)
        require(watch.asked == 0 and self.spent == spent, costs)


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
