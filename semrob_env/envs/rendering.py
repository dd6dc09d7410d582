"""What there is to see of an episode: moments as text, pictures that functions draw, and the window that shows frames.

Pictures of the scenes that functions score are no queries.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError, MissingExtraError
from semrob_env.functions import ScoreFunction
from semrob_env.regions import Regions
from semrob_env.types import Float32Array, FloatArray, IntArray

Frame = npt.NDArray[np.uint8]
"""(HEIGHT, WIDTH, 3)."""

WIDTH, HEIGHT = 960, 480
"""Of every frame, in pixels: multiples of 16, as encoders of video like them."""

BAR = 40
"""Letters of a bar in text."""

FRAMES_PER_SECOND = 10
"""At which episodes are shown."""


@final
@dataclass(frozen=True, eq=False)
class Moment:
    """What there is to see.

    Attributes:
        member: Member of the function's family.
        center: The point (n,) whose scene is shown.
        marks: Points (n,) by name: `start`, `last`, `best`; the same names in every moment of a Painter.
        bounds: Lower and upper bounds (n,) of the region, native units, unwrapped or not; None: there is no region.
        spent: Budget spent in this episode, in queries ...
        budget: ... of so many.
        numbers: Named numbers to show, e.g. `objective` and `reward`; the same names in every moment of a Painter.
    """

    member: int
    center: FloatArray
    marks: Mapping[str, FloatArray]
    bounds: tuple[FloatArray, FloatArray] | None
    spent: float
    budget: float
    numbers: Mapping[str, float]


def number(value: float) -> str:
    """A number as it is shown."""
    return f"{value + 0.0:.4f}"  # + 0.0: no minus before a zero


def as_text(function: ScoreFunction, moment: Moment) -> str:
    """The moment as lines: the function, a line a parameter (`=` region, `o` start, `x` last, `*` best), the meter."""
    space, letters = function.space, {"start": "o", "last": "x", "best": "*"}
    lines = [function.member_ids[moment.member]]
    longest = max(map(len, space.names))
    region = None if moment.bounds is None else Regions(space, *moment.bounds).clip()
    for k, parameter in enumerate(space.parameters):
        bar = ["-"] * BAR
        at = parameter.low + (np.arange(BAR) + 0.5) / BAR * space.width[k]
        told = []
        if region is not None:
            lower, upper = float(region.lower[0, k]), float(region.upper[0, k])
            turn = parameter.period or 0.0
            bar = ["=" if lower <= x <= upper or lower <= x + turn <= upper else "-" for x in at.tolist()]
            told.append(f"{lower:.4g} .. {upper:.4g}")
        for name, theta in moment.marks.items():
            place = int((theta[k] - parameter.low) / space.width[k] * BAR)
            bar[min(max(place, 0), BAR - 1)] = letters.get(name, "+")
            told.append(f"{name} {theta[k]:.4g}")
        unit = f" {parameter.unit}" if parameter.unit else ""
        bar_text = "".join(bar)
        lines.append(
            f"{parameter.name:<{longest}} {parameter.low:6.4g} |{bar_text}| {parameter.high:<6.4g} "
            f"{', '.join(told)}{unit}"
        )
    lines.append("  ".join(f"{name} {number(value)}" for name, value in moment.numbers.items()))
    full = min(BAR, math.floor(BAR * moment.spent / moment.budget))
    meter = "#" * full + "." * (BAR - full)
    lines.append(f"{'queries':<{longest}} {0:6d} |{meter}| {moment.budget:<6g} {moment.spent:g} spent")
    return "\n".join(lines)


@runtime_checkable
class DrawsImages(Protocol):
    """A function that can show what it scores, as `SceneFunction` does."""

    def images(self, theta: FloatArray, member: int = 0) -> Float32Array:
        """Pictures (N, 3, H, W) in [0, 1] at theta (N, n)."""


def images_of(function: ScoreFunction, member: int) -> Callable[[FloatArray], Float32Array] | None:
    """What draws a member: theta (N, n) to pictures (N, 3, H, W) in [0, 1]; None where nothing is drawn."""
    leaf = function.leaf(member)
    owner: object = leaf.function
    return partial(owner.images, member=leaf.member) if isinstance(owner, DrawsImages) else None


@final
class RenderedViews:
    """What a live function's network sees, as observations.

    Attributes:
        shape: (H, W, 3).

    Raises:
        InvalidParameterError: The function draws no pictures, or members draw them in different sizes.
    """

    def __init__(self, function: ScoreFunction) -> None:
        self._draws: list[Callable[[FloatArray], Float32Array]] = []
        sizes = {}
        for member in range(function.members):
            owner, draw = function.leaf(member).function, images_of(function, member)
            if draw is None:
                raise InvalidParameterError(
                    f"image=True needs a live function (scene:), and {owner.id} has no pictures"
                )
            self._draws.append(draw)
            if owner not in sizes:
                sizes[owner] = draw(function.space.default[None]).shape[2:]
        height, width = sizes[function.leaf(0).function]
        if len(set(sizes.values())) > 1:
            heights = sorted({size[0] for size in sizes.values()})
            raise InvalidParameterError(f"image=True needs pictures of one size, not {heights}; give ?size=")
        self.shape: tuple[int, int, int] = (height, width, 3)

    def draw(self, theta: FloatArray, member: IntArray) -> npt.NDArray[np.uint8]:
        """Pictures (B, H, W, 3) of members (B,) at theta (B, n)."""
        drawn = [self._draws[row](point[None])[0] for point, row in zip(theta, member.tolist(), strict=True)]
        return np.moveaxis(np.rint(np.array(drawn) * 255), 1, -1).astype(np.uint8, order="C")


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
