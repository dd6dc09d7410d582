"""What the games share: rows of plain arrays that are saved, taken apart and put together; checks of their input."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidActionError, InvalidBudgetError, InvalidParameterError, SemrobError
from semrob_env.parameters import SemanticSpace
from semrob_env.types import BoolArray, Float32Array, FloatArray, IntArray

Rows = BoolArray | IntArray | slice
"""Some of the games: a mask (B,), numbers (R,) or a slice."""
GameT = TypeVar("GameT", bound="Game")


class Game(ABC):
    """B games in plain arrays. Order of calls: `restart`, `queries`, `take`; then again `move`, `queries`, `take`.

    A game never depends on its neighbours: its numbers have the same bytes in a batch of any size.

    Args:
        space: The space of theta.
        count: Number B of games.
        score_range: Lowest and highest score of the function.
        cost: Forward queries of one step, and of the first observation.
        budget: Forward queries of an episode.

    Raises:
        InvalidBudgetError: A budget that cannot pay the first observation and one step.
    """

    def __init__(
        self, space: SemanticSpace, count: int, score_range: tuple[float, float], *, cost: int, budget: int
    ) -> None:
        if budget < 2 * cost:
            raise InvalidBudgetError(
                f"budget {budget}: the first observation and each step cost {cost} queries; give at least {2 * cost}"
            )
        self.space = space
        self.count = count
        self.score_range = score_range
        self.cost = cost
        self.budget = budget
        # By name (..., B): loops run over games, which are many, and never over short rows.
        self._arrays: dict[str, FloatArray] = {}

    @property
    @abstractmethod
    def draws(self) -> int:
        """Random numbers in [0, 1) that `restart` takes for each game."""

    @property
    @abstractmethod
    def action_size(self) -> int:
        """Numbers of an action."""

    @property
    @abstractmethod
    def objective(self) -> FloatArray:
        """What rewards are gains of, (B,)."""

    @property
    @abstractmethod
    def settled(self) -> BoolArray:
        """Which games have ended by themselves, whatever is left of the budget, (B,)."""

    @abstractmethod
    def restart(self, rows: Rows, start: FloatArray, draws: FloatArray) -> None:
        """Put some games (R of B) back to theta0 (R, n), inside the space, with random numbers (R, draws)."""

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
        """Take the scores (B, cost) at `queries()`, in the function's own range, without NaN."""

    @abstractmethod
    def observation(self) -> Float32Array:
        """What agents see, (B, D), newly made."""

    @abstractmethod
    def observation_limits(self) -> tuple[Float32Array, Float32Array]:
        """Lowest and highest observation, (D,) each."""

    @property
    @abstractmethod
    def looked_at(self) -> FloatArray:
        """The point (B, n) whose scene stands for the game now: the middle of a region, or the last point."""

    @abstractmethod
    def facts(self) -> dict[str, FloatArray]:
        """What infos tell beside the counts, by name, (B,) or (B, n), newly made."""

    @property
    @abstractmethod
    def _state(self) -> dict[str, FloatArray]:
        """`_arrays`, up to date."""

    @property
    @abstractmethod
    def _taken(self) -> FloatArray:
        """Answers taken since the last restart, (B,)."""

    @abstractmethod
    def _changed(self) -> None:
        """The arrays have been changed from outside."""

    @abstractmethod
    def _again(self, count: int) -> Game:
        """The same game with another number of rows."""

    @final
    @property
    def steps(self) -> IntArray:
        """Answers taken since the last restart, (B,)."""
        return self._taken.astype(np.int64)

    @final
    @property
    def spent(self) -> IntArray:
        """Forward queries asked since the last restart, (B,)."""
        return self.cost * self.steps

    @final
    @property
    def finished(self) -> BoolArray:
        """Which games have ended: by themselves, or since the budget cannot pay the next step, (B,)."""
        return np.asarray(self.settled | (self._taken >= self.budget // self.cost))

    @final
    def save(self) -> dict[str, FloatArray]:
        """All arrays by name, copied, each with the game as first axis."""
        return {name: np.moveaxis(values, -1, 0).copy() for name, values in self._state.items()}

    @final
    def load(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Continue from what `save` gave, bit for bit; other names are ignored."""
        self._arrays = {
            name: np.ascontiguousarray(np.moveaxis(saved[name], 0, -1), dtype=np.float64) for name in self._arrays
        }
        self._changed()

    @final
    def part(self: GameT, rows: Rows) -> GameT:
        """Some of the games, copied, as a game of their own."""
        chosen = {name: np.ascontiguousarray(values[..., rows]) for name, values in self._state.items()}
        game = self._again(chosen["steps"].shape[0])
        game._arrays = chosen
        game._changed()
        assert isinstance(game, type(self))
        return game

    @final
    def put(self: GameT, rows: Rows, part: GameT) -> None:
        """Write games of a part back into these rows."""
        for name, values in part._state.items():
            self._state[name][..., rows] = values
        self._changed()

    @final
    def _left(self) -> FloatArray:
        """The share of the budget that is left, (B,)."""
        return np.asarray((self.budget - self.cost * self._taken) / self.budget)


def as_action(action: npt.ArrayLike, shape: tuple[int, int]) -> FloatArray:
    """Actions (B, a) as float64, clipped to [-1, 1].

    Raises:
        InvalidActionError: Another shape, no numbers, or NaN.
    """
    try:
        given = np.asarray(action, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidActionError(f"the action is no array of numbers: {error}") from error
    if given.shape != shape:
        raise InvalidActionError(f"the action has shape {given.shape}, must be {shape}: one row a game")
    clipped = np.maximum(given, -1.0)
    np.minimum(clipped, 1.0, out=clipped)
    if math.isnan(np.add.reduce(clipped, axis=None)):  # NaN stays through all of this
        raise InvalidActionError(
            f"the action has NaN at {tuple(np.argwhere(np.isnan(given))[0].tolist())}; give numbers"
        )
    return np.asarray(clipped)


def whole_number(name: str, value: object, least: int, *, error: type[SemrobError] = InvalidParameterError) -> None:
    """Refuses what is no whole number, or one below least."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise error(f"{name} {value!r}: give a whole number, at least {least}")


def number_within(name: str, value: object, least: float, most: float, *, above: bool = False) -> None:
    """Refuses what is no number from least (or above it) to most."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= float(str(value)) <= most or (above and value == least):
        raise InvalidParameterError(f"{name} {value!r}: give a number in {'(' if above else '['}{least:g}, {most:g}]")
