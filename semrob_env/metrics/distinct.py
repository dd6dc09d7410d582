"""Points that are unlike each other: of a ranking, those that are not neighbors of a better one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError
from semrob_env.parameters import POLES, SemanticSpace
from semrob_env.types import FloatArray, IntArray

LEAST_DISTANCE = 0.15
"""Of two points that count as distinct, in shares of the range, along the parameter in which they differ most."""


def distances(space: SemanticSpace, theta: npt.ArrayLike, other: npt.ArrayLike) -> FloatArray:
    """Largest difference along a parameter as a share of its range, the short way round where it is periodic.

    Azimuths of a direction differ by the angle between two directions of these azimuths at the same elevation, the
    geometric middle of theirs: from straight above, all azimuths are one direction, and a picture only turns.

    Args:
        space: The space.
        theta: Points (..., n).
        other: Points that broadcast with them.

    Returns:
        Distances (...,) in [0, 1]; along a periodic parameter at most the half of its period.
    """
    first, second = np.asarray(theta, dtype=np.float64), np.asarray(other, dtype=np.float64)
    difference = np.abs(first - second)
    periods = np.array([np.inf if own.period is None else own.period for own in space.parameters])
    difference = np.minimum(difference, np.maximum(periods - difference, 0.0))
    for name, elevation in POLES.items():
        if name in space.names and elevation in space.names:
            at, height = space.index(name), space.index(elevation)
            over, beyond = (np.cos(np.radians(own[..., height])).clip(0.0) for own in (first, second))
            flat = np.sqrt(over * beyond)
            half = np.sin(np.radians(difference[..., at]) / 2)
            difference[..., at] = np.degrees(2 * np.arcsin(np.minimum(flat * half, 1.0)))
    return np.asarray((difference / space.width).max(axis=-1))


def distinct(space: SemanticSpace, theta: npt.ArrayLike, *, count: int, least: float = LEAST_DISTANCE) -> IntArray:
    """The first of some ranked points, and after it each that is no neighbor of one chosen before.

    Args:
        space: The space.
        theta: Points (N, n), the most wanted first.
        count: Most that are chosen.
        least: Distance from which on two are distinct (`distances`).

    Returns:
        Their numbers, at most `count`, in the given order.

    Raises:
        InvalidParameterError: A count below 1, or a distance that is not in [0, 1].
    """
    if count < 1 or not 0 <= least <= 1:
        raise InvalidParameterError(f"{count} points {least} apart: give at least 1, and a distance from 0 to 1")
    points, chosen = space.require(theta), list[int]()
    nearest = np.full(len(points), np.inf)
    for place, point in enumerate(points):
        if nearest[place] >= least:
            chosen.append(place)
            if len(chosen) == count:
                break
            nearest = np.minimum(nearest, distances(space, points, point))
    return np.array(chosen, dtype=np.int64)
