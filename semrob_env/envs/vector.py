"""Native vector environments: the queries of all environments go to f in one call."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from semrob_env.envs.episodes import Observation, Play, Played
from semrob_env.envs.rules import GameT, whole_number
from semrob_env.envs.single import StepRefused, action_space, observation_space
from semrob_env.errors import InvalidParameterError, ShapeMismatchError
from semrob_env.types import BoolArray, FloatArray, IntArray

Seeds = int | Sequence[int | None] | None


class GameVectorEnv(Played[GameT], VectorEnv[Observation, Any, npt.NDArray[Any]], ABC):
    """B games of a `Play` as a Gymnasium vector environment: the same numbers as B single ones with seeds seed + i.

    Autoreset modes are Gymnasium's. `NEXT_STEP`: the step after the end of an episode ignores the action and begins the
    next episode, with reward 0. `SAME_STEP`: the step that ends an episode also begins the next, and infos hold
    `final_obs` and `final_info`. `DISABLED`: `reset(options={"reset_mask": ...})` begins the next, and a step of an
    environment that has ended is an error. All are one call of f, `SAME_STEP` two where an episode ends.

    Args:
        play: B games over a function; B is `num_envs` of the environments behind.
        autoreset_mode: An `AutoresetMode`, or its value as text.
        max_episode_steps: Steps after which an episode is truncated; None: never.
        render_mode: None alone: vector environments draw nothing.

    Attributes:
        play: The games, the function, and the oracle that counts the queries of each episode.

    Raises:
        InvalidParameterError: Another autoreset mode, a number of steps below 1, or a render mode.
    """

    def __init__(
        self,
        play: Play[GameT],
        autoreset_mode: str | AutoresetMode,
        max_episode_steps: int | None,
        render_mode: str | None,
    ) -> None:
        modes = [mode.value for mode in AutoresetMode]
        if not isinstance(autoreset_mode, AutoresetMode) and autoreset_mode not in modes:
            raise InvalidParameterError(f"autoreset_mode {autoreset_mode!r}: choose {', '.join(modes)}")
        if render_mode is not None:
            raise InvalidParameterError(
                f"render_mode {render_mode!r}: native vector environments draw nothing; give None, or "
                'vectorization_mode="sync"'
            )
        if max_episode_steps is not None:
            max_episode_steps = whole_number("max_episode_steps", max_episode_steps, 1)
        self.play = play
        self.num_envs = play.game.count
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": [], "autoreset_mode": self.autoreset_mode}
        self.render_mode = None
        self.max_episode_steps = max_episode_steps
        self.single_observation_space, self.single_action_space = observation_space(play), action_space(play)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._rngs = [np.random.default_rng(0)] * self.num_envs  # those of rows that never begin stay idle
        self._all = np.ones(self.num_envs, dtype=np.bool_)
        self._taken: IntArray = np.zeros(self.num_envs, dtype=np.int64)  # steps of each episode
        self._waiting = self._all.copy()  # for a reset: not begun, or ended
        self._has_begun = np.zeros_like(self._all)

    @final
    def reset(self, *, seed: Seeds = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode of all environments, or of those of a mask; first observations are charged like steps.

        Args:
            seed: Environment i has the seed seed + i, or seed[i] of a list; None: their Generators go on.
            options: `start` and `member` of these episodes, whatever would be drawn; `reset_mask` (B,) of bools.

        Raises:
            InvalidParameterError, UnknownNameError, OutOfSpaceError, ShapeMismatchError: Options or seeds that do not
                fit.
        """
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))  # `np_random` and `np_random_seed`, as Gymnasium's own have them
        chosen = dict(options or {})
        rows = self._mask(chosen.pop("reset_mask", None))
        seeds = [int(seed) + row for row in range(self.num_envs)] if isinstance(seed, int | np.integer) else seed
        if seeds is not None and len(seeds) != self.num_envs:
            raise ShapeMismatchError(f"{len(seeds)} seeds for {self.num_envs} environments; give one each, or a number")
        for row in np.flatnonzero(rows).tolist():
            own = None if seeds is None else seeds[row]
            if own is not None or not self._has_begun[row]:
                self._rngs[row] = seeding.np_random(own)[0]
                self._has_begun[row] = True
        self._waiting |= rows  # they stay so if the function fails
        self.play.begin(rows, self._rngs, chosen)
        self.play.answer_only(rows)
        self._taken[rows] = 0
        self._waiting &= ~rows
        return self.play.observation(), _masked(self.play.facts(), rows)

    @final
    def step(self, actions: npt.ArrayLike) -> tuple[Observation, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Take actions (B, a); numbers out of [-1, 1] are clipped. Environments that begin anew ignore theirs.

        Raises:
            InvalidActionError: Another shape, or NaN; the episodes go on as if nothing had been done.
            ResetNeededError: Before the first reset; or, without autoreset, after the end of an episode.
        """
        play, begins = self.play, self._waiting & (self.autoreset_mode is AutoresetMode.NEXT_STEP)
        refused = np.flatnonzero(self._waiting & ~(begins & self._has_begun))
        if len(refused):
            raise StepRefused(
                f"environment {refused[0]} has no episode under way; call reset() before the first step, and without "
                'autoreset, reset(options={"reset_mask": ...}) after the last one'
            )
        any_begins = bool(begins.any())
        play.game.move(np.where(begins[:, None], 0.0, actions) if any_begins and np.ndim(actions) == 2 else actions)
        self._waiting = self._all.copy()  # they stay so if the function fails
        if any_begins:
            play.begin(begins, self._rngs)
        rewards = play.answer()
        self._taken += 1
        terminated, truncated = play.game.finished, np.zeros_like(begins)
        if any_begins:
            rewards[begins], terminated[begins], self._taken[begins] = 0.0, False, 0
        if self.max_episode_steps is not None:
            truncated = self._taken >= self.max_episode_steps
        ended, last = terminated | truncated, {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and ended.any():
            last = {
                "final_obs": _rows_of(play.observation(), ended),
                "_final_obs": ended,
                "final_info": _masked(play.facts(), ended),
                "_final_info": ended.copy(),
            }
            play.begin(ended, self._rngs)
            play.answer_only(ended)
            self._taken[ended] = 0
            self._waiting = np.zeros_like(ended)
        else:
            self._waiting = ended
        return play.observation(), rewards, terminated, truncated, {**last, **_masked(play.facts(), self._all)}

    def _mask(self, given: object) -> BoolArray:
        if given is None:
            return self._all
        mask = np.asarray(given)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise InvalidParameterError(
                f"reset_mask of shape {mask.shape} and {mask.dtype}: give {self.num_envs} bools, at least one True"
            )
        return mask


def _masked(facts: dict[str, npt.NDArray[Any]], rows: BoolArray) -> dict[str, Any]:
    """Infos as Gymnasium's vector environments have them: each with a mask `_name`, and nothing outside the mask."""
    infos: dict[str, Any] = {}
    is_all = bool(rows.all())
    for name, values in facts.items():
        if not is_all:
            values[~rows] = None if values.dtype == object else 0
        infos[name], infos[f"_{name}"] = values, rows.copy()
    return infos


def _rows_of(observed: Observation, rows: BoolArray) -> npt.NDArray[np.object_]:
    """The observation of each of some rows as an object of its own, None elsewhere, (B,)."""
    parts = np.full(len(rows), None, dtype=object)
    for row in np.flatnonzero(rows).tolist():
        is_dict = isinstance(observed, dict)
        parts[row] = {name: part[row].copy() for name, part in observed.items()} if is_dict else observed[row].copy()
    return parts
