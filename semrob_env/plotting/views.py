"""What there is to look at: pictures from inside and just outside a region.

Scores are asked of the function itself, outside any oracle: no method is charged for a picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from semrob_env.functions import ScoreFunction
from semrob_env.regions import Regions
from semrob_env.types import Float32Array, FloatArray

INSIDE = np.array([[0.5, 0.5], [0.15, 0.85], [0.85, 0.15]])
"""Where inside a region pictures are taken: shares of its sides along the first two parameters."""

OUTSIDE_SHARE = 0.04
"""How far beyond a side the pictures from just outside are taken, as a share of the parameter's range."""

Images = Callable[[FloatArray], Float32Array]  # theta (N, n) to pictures (N, 3, H, W) in [0, 1]


@final
@dataclass(frozen=True, eq=False)
class View:
    """One example picture."""

    theta: FloatArray  # its point, (n,)
    image: Float32Array  # (3, H, W) in [0, 1]
    score: float  # f(theta)
    inside: bool  # whether the point lies in the region


def side_views(function: ScoreFunction, images: Images, region: Regions, *, member: int = 0) -> list[list[View]]:
    """Pictures along each side of one region, through its centre: n rows, from just below its low bound to just above.

    The points are just outside (where the space leaves room for it), on the low bound, in the middle, on the high
    bound, and just outside.

    Args:
        function: Gives the scores.
        images: Draws, e.g. `SceneFunction.images`.
        region: A batch of one.
        member: Member of the function's family.
    """
    space, lower, upper = region.space, region.lower[0], region.upper[0]
    center = (lower + upper) / 2
    rows: list[list[tuple[FloatArray, bool]]] = []
    for k in range(space.n):
        margin = OUTSIDE_SHARE * space.width[k]
        row = []
        for value in (lower[k] - margin, lower[k], center[k], upper[k], upper[k] + margin):
            theta = space.project(np.where(np.arange(space.n) == k, value, center))
            is_inside = bool(lower[k] <= value <= upper[k])
            if is_inside or not region.contains(theta[None])[0]:
                row.append((theta, is_inside))
        rows.append(row)
    seen = iter(_seen(function, images, [point for row in rows for point in row], member))
    return [[next(seen) for _ in row] for row in rows]


def example_views(function: ScoreFunction, images: Images, region: Regions, *, member: int = 0) -> list[View]:
    """Pictures from inside one region, and from just outside each of its sides that leaves room for it.

    Args:
        function: Gives the scores.
        images: Draws, e.g. `SceneFunction.images`.
        region: A batch of one.
        member: Member of the function's family.
    """
    return _seen(function, images, example_points(region), member)


def example_points(region: Regions) -> list[tuple[FloatArray, bool]]:
    """Points (n,) in one region, and one just outside each of its sides that leaves room; whether each lies in it."""
    space = region.space
    fractions = np.full((len(INSIDE), space.n), 0.5)
    fractions[:, :2] = INSIDE[:, : space.n]
    points = [(theta, True) for theta in region.from_fractions(fractions)[0]]
    for k in range(space.n):
        for bound, direction in ((region.lower[0, k], -1), (region.upper[0, k], 1)):
            beyond = (region.lower[0] + region.upper[0]) / 2
            beyond[k] = bound + direction * OUTSIDE_SHARE * space.width[k]
            theta = space.project(beyond)
            if not region.contains(theta[None])[0]:
                points.append((theta, False))
    return points


def _seen(function: ScoreFunction, images: Images, points: list[tuple[FloatArray, bool]], member: int) -> list[View]:
    """Pictures and scores of points that lie in the region or not."""
    thetas = np.array([theta for theta, _ in points])
    scores = function.values(thetas[None], [member])[0].tolist()
    answers = zip(points, images(thetas), scores, strict=True)
    return [View(theta, image, score, inside) for (theta, inside), image, score in answers]
