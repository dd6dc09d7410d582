"""What the games share: rows of plain arrays that are saved, taken apart and put together; checks of their input."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from typing import Any, TypeVar, final

import numpy as np
import numpy.typing as npt

from semrob_env.envs.traits import Traits
from semrob_env.errors import InvalidActionError, InvalidBudgetError, InvalidParameterError, SemrobError
from semrob_env.parameters import SemanticSpace
from semrob_env.types import BoolArray, Float32Array, FloatArray, IntArray

GameT = TypeVar("GameT", bound="Game")


class Game(ABC):
    """B games in plain arrays. Order of calls: `restart`, `queries`, `take`; then again `move`, `queries`, `take`.

    A game never depends on its neighbors: its numbers have the same bytes in a batch of any size.

    Args:
        space: The space of theta.
        count: Number B of games.
        state: The shape of each array of the state, without the game as first axis; `steps` and `objective`, numbers,
            come on top.
        cost: Forward queries of one step, and of the first observation.
        budget: Forward queries of an episode.
        claim: Forward queries that are kept for the end, when the game claims what it has found.

    Raises:
        InvalidBudgetError: A budget that cannot pay the first observation, one step and the claim.
    """

    draws: int
    """Random numbers in [0, 1) that `restart` takes for each game."""
    action_size: int
    """Numbers of an action."""
    traits: Traits
    """What an environment of this game promises, apart from its members."""

    def __init__(
        self,
        space: SemanticSpace,
        count: int,
        state: Mapping[str, tuple[int, ...]],
        *,
        cost: int,
        budget: int,
        claim: int = 0,
    ) -> None:
        if budget < 2 * cost + claim:
            last = f" and the claim at the end {claim}" if claim else ""
            raise InvalidBudgetError(
                f"budget {budget}: the first observation and each step cost {cost} queries{last}; give at least "
                f"{2 * cost + claim}"
            )
        self.space = space
        self.count = count
        self.cost = cost
        self.budget = budget
        self.claim = claim
        shapes = {**state, "steps": (), "objective": (), "claimed": ()}
        self._state: dict[str, FloatArray] = {name: np.zeros((count, *shape)) for name, shape in shapes.items()}

    @property
    @abstractmethod
    def settled(self) -> BoolArray:
        """Which games have ended by themselves, whatever is left of the budget, (B,)."""

    @abstractmethod
    def restart(self, rows: IntArray, start: FloatArray, draws: FloatArray) -> None:
        """Put some games (R,) back to theta0 (R, n), inside the space, with random numbers (R, draws)."""

    @abstractmethod
    def move(self, action: npt.ArrayLike) -> None:
        """Take the actions (B, action_size), clipped to [-1, 1].

        Raises:
            InvalidActionError: Another shape, or NaN.
        """

    @abstractmethod
    def queries(self) -> FloatArray:
        """The points that are asked now, theta (B, cost, n), inside the space; changes nothing."""

    @abstractmethod
    def take(self, values: FloatArray) -> None:
        """Take the unit scores (B, cost) at `queries()`, without NaN."""

    @abstractmethod
    def observation(self) -> Float32Array:
        """What agents see, (B, D), newly made."""

    @abstractmethod
    def observation_limits(self) -> tuple[Float32Array, Float32Array]:
        """Lowest and highest observation, (D,) each."""

    def claims(self) -> FloatArray:
        """The points that confirm or refute what games claim at their end, theta (B, claim, n)."""
        return np.zeros((self.count, self.claim, self.space.n))

    def settle(self, rows: IntArray, values: FloatArray) -> None:
        """Take the unit scores (R, claim) at `claims()` of games (R,) that have ended."""
        del rows, values  # there is no claim

    @property
    @abstractmethod
    def looked_at(self) -> FloatArray:
        """The point (B, n) whose scene stands for the game now: the middle of a region, or the last point."""

    @abstractmethod
    def facts(self) -> dict[str, FloatArray]:
        """What infos tell beside the counts, by name, (B,) or (B, n), newly made."""

    @abstractmethod
    def shown(self) -> tuple[dict[str, FloatArray], tuple[FloatArray, FloatArray] | None, dict[str, float]]:
        """What pictures of the first game show: marks, bounds and numbers, as a `Moment` has them."""

    @final
    @property
    def objective(self) -> FloatArray:
        """What rewards are gains of, (B,)."""
        return np.array(self._state["objective"])

    @final
    @property
    def steps(self) -> IntArray:
        """Answers taken since the last restart, (B,)."""
        return self._state["steps"].astype(np.int64)

    @final
    @property
    def spent(self) -> IntArray:
        """Forward queries asked since the last restart, (B,)."""
        return self.cost * self.steps + self.claim * self._state["claimed"].astype(np.int64)

    @final
    @property
    def finished(self) -> BoolArray:
        """Which games have ended: by themselves, or since the budget cannot pay the next step and the claim, (B,)."""
        return np.asarray(self.settled | (self._state["steps"] >= (self.budget - self.claim) // self.cost))

    @final
    def save(self) -> dict[str, FloatArray]:
        """All arrays by name, copied, each with the game as first axis."""
        return {name: values.copy() for name, values in self._state.items()}

    @final
    def load(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Continue from what `save` gave, bit for bit; other names are ignored."""
        self._state = {name: np.array(saved[name], dtype=np.float64, order="C") for name in self._state}

    @final
    def part(self: GameT, rows: IntArray) -> GameT:
        """Some of the games (R,), copied, as a game of their own."""
        game = copy(self)
        game.count = len(rows)
        game._state = {name: values[rows] for name, values in self._state.items()}
        return game

    @final
    def put(self: GameT, rows: IntArray, part: GameT) -> None:
        """Write games of a part back into these rows (R,)."""
        for name, values in part._state.items():
            self._state[name][rows] = values

    def _left(self) -> FloatArray:
        """The share of the budget that is left, (B,)."""
        return np.asarray((self.budget - self.spent) / self.budget)

    def _actions(self, given: npt.ArrayLike) -> FloatArray:
        """Actions (B, action_size) as float64, clipped to [-1, 1].

        Raises:
            InvalidActionError: Another shape, no numbers, or NaN.
        """
        try:
            action = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidActionError(f"the action is no array of numbers: {error}") from error
        if action.shape != (shape := (self.count, self.action_size)):
            raise InvalidActionError(f"the action has shape {action.shape}, must be {shape}: one row a game")
        clipped = np.maximum(action, -1.0)
        np.minimum(clipped, 1.0, out=clipped)
        if math.isnan(np.add.reduce(clipped, axis=None)):  # NaN stays through all of this
            raise InvalidActionError(
                f"the action has NaN at {tuple(np.argwhere(np.isnan(action))[0].tolist())}; give numbers"
            )
        return clipped


def whole_number(name: str, value: Any, least: int, *, error: type[SemrobError] = InvalidParameterError) -> int:
    """A whole number of at least `least`, also where it comes as a float or of NumPy, such as 200.0.

    Raises:
        SemrobError: It is none, of the class `error`.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value != int(value) or value < least:
        raise error(f"{name} {value!r}: give a whole number, at least {least}")
    return int(value)


def number_within(name: str, value: Any, least: float, most: float, *, above: bool = False) -> float:
    """A number from least (or above it) to most as a float, also one of NumPy.

    Raises:
        InvalidParameterError: It is none.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not least <= float(value) <= most or (above and value == least):
        raise InvalidParameterError(f"{name} {value!r}: give a number in {'(' if above else '['}{least:g}, {most:g}]")
    return float(value)
