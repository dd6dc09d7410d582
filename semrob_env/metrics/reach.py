"""Reach: how far a region goes from its start point along each parameter, and which parameter ends it first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidRegionError
from semrob_env.parameters import SemanticSpace
from semrob_env.regions import Regions
from semrob_env.types import BoolArray, FloatArray

_ROUNDING = 1e-9
"""Share of a range up to which a side counts as at the end of the space."""


@final
@dataclass(frozen=True, eq=False)
class Reach:
    """Half widths of one region around its start point, as shares of each parameter's range (of a turn: periodic ones).

    Attributes:
        space: The space.
        lower: From the start down to the lower bound (n,).
        upper: From the start up to the upper bound (n,).
        lower_room: How far the lower one could go (n,): to the end of the range, or to what is left of the turn.
        upper_room: How far the upper one could go (n,).
    """

    space: SemanticSpace
    lower: FloatArray
    upper: FloatArray
    lower_room: FloatArray
    upper_room: FloatArray

    @property
    def sides(self) -> FloatArray:
        """Half widths (n, 2): lower, upper."""
        return np.stack([self.lower, self.upper], axis=1)

    @property
    def is_ended(self) -> BoolArray:
        """Which sides (n, 2) end before the space does: there the function ends the region, or the method gave up."""
        room = np.stack([self.lower_room, self.upper_room], axis=1)
        return np.asarray(self.sides < room - _ROUNDING)

    @property
    def first(self) -> tuple[int, int] | None:
        """Parameter and side (0: lower, 1: upper) with the least half width among those that end; None: whole space."""
        sides = np.where(self.is_ended, self.sides, np.inf)
        at = int(sides.argmin())
        return (at // 2, at % 2) if np.isfinite(sides.flat[at]) else None


def reach(region: Regions, start: npt.ArrayLike) -> Reach:
    """The reach of one region; it is clipped to the space first.

    Args:
        region: A batch of one.
        start: A point (n,) in it.

    Raises:
        InvalidRegionError: Not one region, or the start point lies outside of it.
        OutOfSpaceError, ShapeMismatchError: start is not a point (n,) of the space.
    """
    space, cut = region.space, region.clip()
    point = space.require(start, "start point")
    if len(cut) != 1 or not cut.contains(point)[0]:
        raise InvalidRegionError(f"{len(cut)} regions around {space.format_point(point)}: give one that contains it")
    down = point - cut.lower[0]
    down = np.where(space.is_periodic, np.mod(down, space.width), down)  # the start may lie beyond the seam
    down = np.minimum(down, cut.width[0]) / space.width
    up = np.maximum(cut.width[0] / space.width - down, 0.0)
    is_turn = space.is_periodic & (down + up >= 1 - _ROUNDING)
    down, up = np.where(is_turn, 0.5, down), np.where(is_turn, 0.5, up)  # wherever its ends happen to lie
    below = np.where(space.is_periodic, 1 - up, (point - space.low) / space.width)
    above = np.where(space.is_periodic, 1 - down, (space.high - point) / space.width)
    return Reach(space, down, up, below, above)
