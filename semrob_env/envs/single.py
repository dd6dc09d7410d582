"""What the single environments share: one game of a `Play` behind Gymnasium's `reset` and `step`."""

from __future__ import annotations

from abc import ABC
from typing import Any, final

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from semrob_env.envs.episodes import Observation, Play, Played
from semrob_env.envs.rendering import FRAMES_PER_SECOND, Frame, Moment, Window, as_text, render_modes
from semrob_env.envs.rules import GameT
from semrob_env.errors import InvalidActionError, InvalidParameterError, ResetNeededError

ONE = np.ones(1, dtype=np.bool_)


@final
class StepRefused(ResetNeededError, gymnasium.error.ResetNeeded):
    """A step before the first reset or after the end; caught as Gymnasium's `ResetNeeded`, too."""


class GameEnv(Played[GameT], gymnasium.Env[Observation, Any], ABC):
    """One game as a Gymnasium environment.

    Args:
        play: One game over a function.
        render_mode: None, `rgb_array`, `ansi`, or `human` where pygame is installed.

    Attributes:
        play: The game, the function, and the oracle that counts the queries of the episode.
        reward: The last reward; 0 after a reset.

    Raises:
        InvalidParameterError: Another render mode.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  (an attribute of instances, as Gymnasium declares it)
        "render_modes": render_modes(),
        "render_fps": FRAMES_PER_SECOND,
    }

    def __init__(self, play: Play[GameT], render_mode: str | None) -> None:
        known = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in known:
            why = "; human needs pygame" if render_mode == "human" else ""
            raise InvalidParameterError(f"render_mode {render_mode!r}: choose {', '.join(known)} or None{why}")
        self.play = play
        self.render_mode = render_mode
        self.observation_space, self.action_space = observation_space(play), action_space(play)
        self.reward = 0.0
        self._is_over = True
        self._painter: Any = None
        self._window: Window | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_painter": None, "_window": None}  # a copy draws for itself

    @property
    def member(self) -> int:
        """The member of the function's family that this episode asks."""
        return int(self.play.member[0])

    @final
    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; its first observation is charged like that of a step.

        Args:
            seed: Of the environment's Generator; None: it goes on.
            options: `start` and `member` of this episode, whatever would be drawn.

        Raises:
            InvalidParameterError, UnknownNameError, OutOfSpaceError, ShapeMismatchError: Options that do not fit.
        """
        super().reset(seed=seed)
        self._is_over = True
        self.play.begin(ONE, [self.np_random], options)
        self.play.answer()
        self._is_over, self.reward = False, 0.0
        return self._seen()

    @final
    def step(self, action: npt.ArrayLike) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take an action (a,); numbers out of [-1, 1] are clipped. Never truncates: `TimeLimit` does.

        Raises:
            InvalidActionError: Another shape, or NaN; the episode goes on as if nothing had been done.
            ResetNeededError: Before the first reset, or after the end of the episode.
        """
        if self._is_over:
            raise StepRefused("no episode is under way; call reset() before the first step and after the last one")
        game = self.play.game
        if np.shape(action) != (game.action_size,):
            raise InvalidActionError(f"the action has shape {np.shape(action)}, must be ({game.action_size},)")
        game.move(np.asarray(action)[None])
        self._is_over = True  # it stays so if the function fails
        self.reward = self.play.answer().item()
        self._is_over = game.finished.item()
        observation, info = self._seen()
        return observation, self.reward, self._is_over, False, info

    @final
    def render(self) -> Any:
        """A picture (H, W, 3) of uint8, or text, by the render mode; None without one, and in a window."""
        if self.render_mode is None or self.render_mode == "human":
            return None
        if self._is_over and not self.play.game.steps.any():
            raise StepRefused("there is nothing to render before the first reset")
        return as_text(self.function, self._moment()) if self.render_mode == "ansi" else self._frame()

    @final
    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _moment(self) -> Moment:
        game, oracle = self.play.game, self.play.oracle
        marks, bounds, numbers = game.shown()
        told = {"objective": float(game.objective[0]), "reward": self.reward, **numbers}
        return Moment(self.member, game.looked_at[0], marks, bounds, float(oracle.spent[0]), oracle.budget, told)

    def _frame(self) -> Frame:
        from semrob_env.envs.painting import Painter  # here: it loads matplotlib

        self._painter = self._painter or Painter(self.function)
        frame: Frame = self._painter.frame(self._moment())
        return frame

    def _seen(self) -> tuple[Observation, dict[str, Any]]:
        """Observation and info; the window shows the same."""
        if self.render_mode == "human":
            self._window = self._window or Window()
            self._window.show(self._frame())
        observed = self.play.observation()
        if isinstance(observed, dict):
            return {name: part[0] for name, part in observed.items()}, self._info()
        return observed[0], self._info()

    def _info(self) -> dict[str, Any]:
        """Numbers and rows of NumPy: readers of infos ask for their dtype."""
        return {name: values[0] for name, values in self.play.facts().items()}


def observation_space(play: Play[Any]) -> spaces.Space[Any]:
    """The space of one observation."""
    low, high = play.game.observation_limits()
    state = spaces.Box(low, high, dtype=np.float32)
    if play.images is None:
        return state
    return spaces.Dict({"state": state, "image": spaces.Box(0, 255, play.images.shape, dtype=np.uint8)})


def action_space(play: Play[Any]) -> spaces.Box:
    """The space of one action: [-1, 1]^a."""
    return spaces.Box(-1.0, 1.0, (play.game.action_size,), dtype=np.float32)
