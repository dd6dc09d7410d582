"""What environments offer to show themselves, and the window that shows their frames."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, final

from semrob_env.envs.moments import HEIGHT, WIDTH, Frame
from semrob_env.errors import MissingExtraError

FRAMES_PER_SECOND = 10
"""At which episodes are shown."""


def render_modes() -> list[str]:
    """What an environment offers here: `human` only where pygame is installed."""
    return ["rgb_array", "ansi", *(["human"] if importlib.util.find_spec("pygame") else [])]


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
