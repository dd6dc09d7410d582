"""Pictures that functions draw of the scenes that they score; none is a query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, final, runtime_checkable

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError
from semrob_env.functions import ScoreFunction
from semrob_env.types import Float32Array, FloatArray, IntArray


@runtime_checkable
class DrawsPictures(Protocol):
    """A function that can show what it scores, as `SceneFunction` does."""

    def pictures(self, theta: FloatArray, member: int = 0) -> Float32Array:
        """Pictures (N, 3, H, W) in [0, 1] at theta (N, n)."""


def pictures_of(function: ScoreFunction, member: int) -> Callable[[FloatArray], Float32Array] | None:
    """What draws a member: theta (N, n) to pictures (N, 3, H, W) in [0, 1]; None where nothing is drawn."""
    leaf = function.leaf(member)
    owner: object = leaf.function
    return (lambda theta: owner.pictures(theta, leaf.member)) if isinstance(owner, DrawsPictures) else None


@final
class Views:
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
            owner, draw = function.leaf(member).function, pictures_of(function, member)
            if draw is None:
                raise InvalidParameterError(
                    f"picture=True needs a live function (scene:), and {owner.id} has no pictures"
                )
            self._draws.append(draw)
            if owner not in sizes:
                sizes[owner] = draw(function.space.default[None]).shape[2:]
        height, width = sizes[function.leaf(0).function]
        if len(set(sizes.values())) > 1:
            heights = sorted({size[0] for size in sizes.values()})
            raise InvalidParameterError(f"picture=True needs pictures of one size, not {heights}; give ?size=")
        self.shape: tuple[int, int, int] = (height, width, 3)

    def draw(self, theta: FloatArray, member: IntArray) -> npt.NDArray[np.uint8]:
        """Pictures (B, H, W, 3) of members (B,) at theta (B, n)."""
        drawn = [self._draws[row](point[None])[0] for point, row in zip(theta, member.tolist(), strict=True)]
        return np.moveaxis(np.rint(np.array(drawn) * 255), 1, -1).astype(np.uint8, order="C")
