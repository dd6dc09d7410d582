"""What environments show: pictures, lines of text, a window. Nothing is charged, and nothing of them is changed.

This module loads no library of pictures; `semrob_env.envs.painting` does, at the first frame.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any, Protocol, final
from weakref import WeakKeyDictionary

from semrob_env.envs.moments import HEIGHT, WIDTH, Moment, as_text
from semrob_env.envs.moments import Frame as Frame
from semrob_env.errors import MissingExtraError
from semrob_env.functions import ScoreFunction
from semrob_env.oracle import QueryOracle
from semrob_env.types import FloatArray

FRAMES_PER_SECOND = 10
"""At which episodes are shown."""


def render_modes() -> list[str]:
    """What an environment offers here: `human` only where pygame is installed."""
    return ["rgb_array", "ansi", *(["human"] if importlib.util.find_spec("pygame") else [])]


class Shown(Protocol):
    """What is read of an environment, and never changed."""

    reward: float

    @property
    def function(self) -> ScoreFunction:
        """What is asked."""

    @property
    def oracle(self) -> QueryOracle:
        """The meter, of one trajectory."""

    @property
    def member(self) -> int:
        """The member of this episode."""

    @property
    def game(self) -> Any:
        """A `RegionGame` or `PointGame` of one row."""


def draw_region_grow(env: Shown) -> Frame:
    """The picture of an environment that grows a region."""
    return _painted(env, _region_moment(env))


def draw_point_search(env: Shown) -> Frame:
    """The picture of an environment that chooses points."""
    return _painted(env, _point_moment(env))


def text_region_grow(env: Shown) -> str:
    """Lines of text of an environment that grows a region."""
    return as_text(env.function, _region_moment(env))


def text_point_search(env: Shown) -> str:
    """Lines of text of an environment that chooses points."""
    return as_text(env.function, _point_moment(env))


def _painted(env: Shown, moment: Moment) -> Frame:
    from semrob_env.envs.painting import Painter  # here: it loads matplotlib

    if env not in _PAINTERS:
        _PAINTERS[env] = Painter(env.function)
    frame: Frame = _PAINTERS[env].frame(moment)
    return frame


_PAINTERS: WeakKeyDictionary[Shown, Any] = WeakKeyDictionary()
"""The painter of each environment, gone with it."""


def _region_moment(env: Shown) -> Moment:
    game = env.game
    facts = {name: values[0] for name, values in game.facts().items()}
    lower, upper = facts["lower"], facts["upper"]
    numbers = {name: float(facts[name]) for name in ("mean", "variance", "region")}
    return _moment(env, (lower + upper) / 2, {"start": game.start[0]}, (lower, upper), numbers)


def _point_moment(env: Shown) -> Moment:
    facts = {name: values[0] for name, values in env.game.facts().items()}
    marks = {"best": facts["best_theta"], "last": facts["theta"]}
    numbers = {"last score": float(facts["score"]), "best score": float(facts["best_score"])}
    return _moment(env, facts["theta"], marks, None, numbers)


def _moment(
    env: Shown,
    centre: FloatArray,
    marks: Mapping[str, FloatArray],
    bounds: tuple[FloatArray, FloatArray] | None,
    numbers: Mapping[str, float],
) -> Moment:
    told = {"objective": float(env.game.objective[0]), "reward": env.reward, **numbers}
    oracle, space = env.oracle, env.function.space
    return Moment(env.member, space.project(centre), marks, bounds, float(oracle.spent[0]), oracle.budget, told)


@final
class Window:
    """A window that shows frames, by pygame.

    Raises:
        MissingExtraError: pygame is not installed.
    """

    def __init__(self, title: str = "semrob") -> None:
        try:
            self._pygame: Any = importlib.import_module("pygame")
        except ImportError as error:
            raise MissingExtraError(
                'render_mode="human" needs pygame; pip install pygame, or use render_mode="rgb_array" or "ansi"'
            ) from error
        self._pygame.display.init()
        self._screen = self._pygame.display.set_mode((WIDTH, HEIGHT))
        self._pygame.display.set_caption(title)
        self._clock = self._pygame.time.Clock()

    def show(self, frame: Frame) -> None:
        """Show one frame, not faster than `FRAMES_PER_SECOND`."""
        surface = self._pygame.surfarray.make_surface(frame.transpose(1, 0, 2))
        self._screen.blit(surface, (0, 0))
        self._pygame.event.pump()
        self._clock.tick(FRAMES_PER_SECOND)
        self._pygame.display.flip()

    def close(self) -> None:
        """Close it; closing twice is allowed."""
        self._pygame.display.quit()
