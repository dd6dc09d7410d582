"""What there is to look at: the map of a function, and pictures from inside and just outside a region.

Scores are asked of the function itself, outside any oracle: no method is charged for a picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from semrob_env.errors import InvalidParameterError
from semrob_env.functions import ScoreFunction
from semrob_env.regions import Regions
from semrob_env.types import Float32Array, FloatArray

INSIDE = np.array([[0.5, 0.5], [0.15, 0.85], [0.85, 0.15]])
"""Where inside a region pictures are taken: shares of its sides along the first two parameters."""

OUTSIDE_SHARE = 0.04
"""How far beyond a side the pictures from just outside are taken, as a share of the parameter's range."""

Pictures = Callable[[FloatArray], Float32Array]
"""theta (N, n) to pictures (N, 3, H, W) in [0, 1]."""


@final
@dataclass(frozen=True, eq=False)
class View:
    """One example picture.

    Attributes:
        theta: Its point, (n,).
        picture: (3, H, W) in [0, 1].
        score: f(theta).
        inside: Whether the point lies in the region.
    """

    theta: FloatArray
    picture: Float32Array
    score: float
    inside: bool


@final
@dataclass(frozen=True, eq=False)
class MapGrid:
    """The scores of a space of two parameters on a regular grid.

    Attributes:
        first: Values of the first parameter, (P,).
        second: Values of the second parameter, (Q,).
        scores: f at every pair, (P, Q).
    """

    first: FloatArray
    second: FloatArray
    scores: FloatArray


def map_grid(
    function: ScoreFunction, step: float, *, member: int = 0, on_column: Callable[[], None] | None = None
) -> MapGrid:
    """The map of a function of two parameters, about one score every `step` native units.

    Args:
        function: A function of two parameters.
        step: Distance of grid points in native units.
        member: Member of its family.
        on_column: Called after each value of the first parameter, for progress.

    Raises:
        InvalidParameterError: Not two parameters, or a step that is not above 0.
    """
    space = function.space
    if space.n != 2 or not step > 0:
        raise InvalidParameterError(f"a map needs 2 parameters and a step above 0, not {space.n} and {step}")
    counts = [
        max(2, round(width / step) + (0 if turns else 1))
        for width, turns in zip(space.width, space.is_periodic, strict=True)
    ]
    theta = space.grid(counts).reshape(*counts, 2)
    scores = []
    for column in theta:
        scores.append(function.values(column[None], [member])[0])
        if on_column is not None:
            on_column()
    return MapGrid(theta[:, 0, 0], theta[0, :, 1], np.array(scores))


def example_views(function: ScoreFunction, pictures: Pictures, region: Regions, *, member: int = 0) -> list[View]:
    """Pictures from inside one region, and from just outside each of its sides that leaves room for it.

    Args:
        function: Gives the scores.
        pictures: Draws, e.g. `SceneFunction.pictures`.
        region: A batch of one.
        member: Member of the function's family.
    """
    space = region.space
    fractions = np.full((len(INSIDE), space.n), 0.5)
    fractions[:, :2] = INSIDE[:, : space.n]
    points = [*region.from_fractions(fractions)[0]]
    for k in range(space.n):
        for bound, direction in ((region.lower[0, k], -1), (region.upper[0, k], 1)):
            beyond = (region.lower[0] + region.upper[0]) / 2
            beyond[k] = bound + direction * OUTSIDE_SHARE * space.width[k]
            theta = space.project(beyond)
            if not region.contains(theta[None])[0]:
                points.append(theta)
    thetas = np.array(points)
    scores = function.values(thetas[None], [member])[0]
    return [
        View(theta, picture, float(score), inside=index < len(INSIDE))
        for index, (theta, picture, score) in enumerate(zip(thetas, pictures(thetas), scores, strict=True))
    ]
