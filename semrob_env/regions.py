"""Regions: a batch of hyper-rectangles in a semantic space, as a value.

A region is D = {theta : lower <= theta <= upper}. Along a periodic parameter the canonical form is
low <= lower < high and lower <= upper <= lower + period, so an upper bound may lie beyond `high`: [350, 370] is the
20 degrees around 0. Membership, intersection and union are taken modulo the period.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.checks import instance_of, items, number, real_array, shown, whole_number
from semrob_env.errors import InvalidParameterError, InvalidRegionError, ShapeMismatchError
from semrob_env.parameters import SemanticSpace
from semrob_env.types import BoolArray, FloatArray

MOST_CORNER_PARAMETERS = 12
"""Full corner sets are offered up to this n (4096 corners)."""

MOST_COUNT = 2**40
"""Most copies or points that are asked for at once."""

_SEAM_ULPS = 4
"""Ulps by which an upper bound beyond the seam may have been rounded when it was brought there."""


@final
@dataclass(frozen=True, eq=False)
class Regions:
    """B hyper-rectangles of one space.

    Attributes:
        space: The space whose units and periods the bounds have.
        lower: Lower bounds (B, n), read only.
        upper: Upper bounds (B, n), read only; equal to `lower` only in a region without volume.

    Raises:
        InvalidRegionError: Wrong shapes, NaN or infinite bounds, or lower above upper.
    """

    space: SemanticSpace
    lower: FloatArray
    upper: FloatArray

    def __post_init__(self) -> None:
        instance_of("space", self.space, SemanticSpace)
        lower, upper = (
            np.array(real_array("bound", bound, InvalidRegionError), ndmin=2) for bound in (self.lower, self.upper)
        )
        n = self.space.n
        if lower.ndim != 2 or lower.shape != upper.shape or lower.shape[1] != n:
            raise InvalidRegionError(f"bounds have shapes {lower.shape} and {upper.shape}; both must be (B, {n})")
        if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
            raise InvalidRegionError("bounds must be finite; clip or leave out runs that diverged")
        if (lower > upper).any():
            row, k = np.argwhere(lower > upper)[0]
            raise InvalidRegionError(
                f"region {row}: lower {self.space.names[k]} {lower[row, k]:g} is above upper {upper[row, k]:g}; "
                "swap them, or add a period to the upper one if the region crosses the seam"
            )
        for name, bound in (("lower", lower), ("upper", upper)):
            bound.setflags(write=False)
            object.__setattr__(self, name, bound)

    @classmethod
    def around(cls, space: SemanticSpace, start: npt.ArrayLike, half_width: npt.ArrayLike) -> Regions:
        """Regions start +- half_width, for start (n,) or (B, n), cut to the space."""
        instance_of("space", space, SemanticSpace)
        center = np.atleast_2d(real_array("start", start, InvalidRegionError))
        half = real_array("half_width", half_width, InvalidRegionError)
        try:
            np.broadcast_shapes(center.shape, half.shape, (space.n,))
        except ValueError as error:
            raise InvalidRegionError(f"start {center.shape} and half_width {half.shape} do not fit together") from error
        return cls(space, center - half, center + half).clip()

    @classmethod
    def whole(cls, space: SemanticSpace, count: int = 1) -> Regions:
        """The whole space, `count` times."""
        instance_of("space", space, SemanticSpace)
        count = whole_number("count", count, 0, MOST_COUNT, InvalidRegionError)
        return cls(space, np.tile(space.low, (count, 1)), np.tile(space.high, (count, 1)))

    def __len__(self) -> int:
        return len(self.lower)

    def __getitem__(self, rows: int | slice | Sequence[int] | npt.NDArray[np.int64] | BoolArray) -> Regions:
        """The chosen rows, always as a batch (an int gives a batch of one)."""
        return Regions(self.space, self.lower[rows], self.upper[rows])

    def __eq__(self, other: object) -> bool:
        """Same space and the same bounds in canonical form."""
        if not isinstance(other, Regions) or self.space != other.space or len(self) != len(other):
            return False
        mine, theirs = self.clip(), other.clip()
        return np.array_equal(mine.lower, theirs.lower) and np.array_equal(mine.upper, theirs.upper)

    def __hash__(self) -> int:
        mine = self.clip()
        # + 0.0 turns -0.0, which equals 0.0, into the same bytes.
        return hash((self.space, (mine.lower + 0.0).tobytes(), (mine.upper + 0.0).tobytes()))

    @property
    def width(self) -> FloatArray:
        """Side lengths r = upper - lower, (B, n)."""
        return self.upper - self.lower

    @property
    def center(self) -> FloatArray:
        """Mid points (B, n), inside the space along periodic parameters."""
        return self.space.project((self.lower + self.upper) / 2)

    def volume(self) -> FloatArray:
        """Product of the sides, (B,), in the product of the native units."""
        return np.asarray(self.width.prod(axis=1))

    def share(self) -> FloatArray:
        """Volume of the part inside the space over the volume of the space, (B,): the SRVR summand."""
        return np.asarray((self.clip().width / self.space.width).prod(axis=1))

    def corners(self) -> FloatArray:
        """Corners d_c = a + m_c * r, (B, 2^n, n): bit k of c set means parameter k at its upper bound.

        As points of the unwrapped region: `space.project` brings them into the space before a query.
        """
        masks = corner_masks(self.space.n)
        return np.where(masks, self.upper[:, None, :], self.lower[:, None, :])

    def outer(self, boundary_factor: float) -> Regions:
        """Outer regions Q: a - (alpha/2) r <= theta <= b + (alpha/2) r, not cut to the space (method section 2).

        Raises:
            InvalidParameterError: alpha not above 0.
        """
        factor = number(boundary_factor)
        if not 0 < factor < np.inf:
            raise InvalidParameterError(f"boundary factor {shown(boundary_factor)}: must be above 0 and finite")
        margin = factor / 2 * self.width
        return Regions(self.space, self.lower - margin, self.upper + margin)

    def clip(self) -> Regions:
        """The same regions cut to the space, in canonical form.

        A plain side is clamped (to zero width where the region lies outside altogether). A periodic side longer than
        one turn becomes one turn around the same centre; its lower bound is wrapped to low <= lower < high.
        """
        space = self.space
        lower = np.clip(self.lower, space.low, space.high)
        upper = np.clip(self.upper, space.low, space.high)
        if space.is_periodic.any():
            excess = np.maximum(self.width - space.width, 0.0) / 2
            start, width = self.lower + excess, np.minimum(self.width, space.width)
            wrapped = space.project(start)
            # Where nothing moves, keep the upper bound's bits instead of adding the width again.
            moved = np.where((wrapped == self.lower) & (excess == 0), self.upper, wrapped + width)
            is_away = (self.lower >= space.high) | (self.lower < space.low - space.width) | (self.upper < space.low)
            is_away &= excess == 0
            if is_away.any():
                # Both ends wrap alike: a region that ends at a point then holds it, however many turns away it lies.
                end = space.project(self.upper)
                end += space.width * np.round((wrapped + width - end) / space.width)
                moved = np.where(is_away, np.clip(end, wrapped, wrapped + space.width), moved)
            # Adding may round to more than one turn: step back by one ulp, so that the form is exact.
            moved = np.where(moved - wrapped > space.width, np.nextafter(moved, -np.inf), moved)
            lower = np.where(space.is_periodic, wrapped, lower)
            upper = np.where(space.is_periodic, moved, upper)
        return Regions(space, lower, upper)

    def contains(self, theta: npt.ArrayLike) -> BoolArray:
        """Which points lie in their region, modulo the period: theta (n,), (B, n) or (B, m, n) to (B,) or (B, m).

        Raises:
            ShapeMismatchError: theta has another shape.
        """
        points = real_array("theta", theta, ShapeMismatchError)
        fitting = [(self.space.n,), self.lower.shape, (len(self), *points.shape[1:2], self.space.n)]
        if points.shape not in fitting:
            raise ShapeMismatchError(f"theta {points.shape} must be (n,), (B, n) or (B, m, n), B, n {self.lower.shape}")
        lower, upper = self.lower, self.upper
        if points.ndim == 3:
            lower, upper = lower[:, None, :], upper[:, None, :]
        inside = (points >= lower) & (points <= upper)
        for k in np.flatnonzero(self.space.is_periodic):
            inside[..., k] = self._holds_angles(int(k), points[..., k], lower[..., k], upper[..., k])
        return np.asarray(inside.all(axis=-1))

    def _holds_angles(self, k: int, angles: FloatArray, lower: FloatArray, upper: FloatArray) -> BoolArray:
        """Which values of the periodic parameter k lie between bounds, modulo the period."""
        turn = self.space.width[k]
        # A bound at or beyond the seam was rounded when a turn was added, or a width to a wrapped bound: what lies
        # within that rounding is inside, so that a region which ends at its start point holds it.
        reach = upper + _SEAM_ULPS * np.spacing(np.abs(upper))  # that of a negative number is negative
        reach = np.where(reach >= self.space.high[k], reach, upper)
        # Everything is compared after project(), which keeps order within a turn: so rounding there loses no bound
        # and no sampled point of a region that crosses the seam.
        at, first, last = (self.space.project_along(k, values) for values in (angles, lower, reach))
        after, before, is_straight = at >= first, at <= last, first <= last
        held = np.where(is_straight, after & before, after | before)
        length = upper - lower
        is_turn = (length >= turn) | (is_straight & (length - (last - first) > turn / 2))
        if is_turn.any():
            held |= is_turn & ~np.isnan(at)
        return held

    def intersection_volume(self, other: Regions) -> FloatArray:
        """Volume of the overlap row by row, (B,), modulo the period (there it may be two pieces)."""
        instance_of("the other", other, Regions, InvalidRegionError)
        if self.space != other.space or len(self) != len(other):
            raise InvalidRegionError(
                f"{len(self)} regions over {', '.join(self.space.names)} and {len(other)} over "
                f"{', '.join(other.space.names)}: give as many of one space"
            )
        mine, theirs = self.clip(), other.clip()
        length = _overlap(mine.lower, mine.upper, theirs.lower, theirs.upper)
        for periodic in (-1, 1):
            shift = periodic * self.space.width
            again = _overlap(mine.lower, mine.upper, theirs.lower + shift, theirs.upper + shift)
            length = length + np.where(self.space.is_periodic, again, 0.0)
        shortest = np.minimum(mine.width, theirs.width)
        return np.asarray(np.minimum(length, shortest).prod(axis=1))

    def iou(self, other: Regions) -> FloatArray:
        """Intersection over union row by row, (B,), of the parts inside the space; 0 where both have no volume."""
        shared = self.intersection_volume(other)
        union = self.clip().volume() + other.clip().volume() - shared
        return np.asarray(shared / np.where(union > 0, union, 1.0))

    def from_fractions(self, fractions: FloatArray) -> FloatArray:
        """Points lower + fraction * r, inside the space: fractions (m, n) or (B, m, n) in [0, 1] to (B, m, n)."""
        points = self.lower[:, None, :] + fractions * self.width[:, None, :]
        return self.space.project(np.minimum(points, self.upper[:, None, :]))  # rounding must not pass the bound

    def sample(self, count: int, rngs: Sequence[np.random.Generator]) -> FloatArray:
        """`count` uniform points of each region, (B, count, n), one Generator a region; inside the space.

        Raises:
            InvalidRegionError: Not one Generator a region.
        """
        given = items("rngs", rngs, InvalidRegionError)
        if len(given) != len(self) or not all(isinstance(rng, np.random.Generator) for rng in given):
            raise InvalidRegionError(f"{len(given)} generators for {len(self)} regions; give one a region")
        count = whole_number("count", count, 0, MOST_COUNT)
        fractions = np.empty((len(self), count, self.space.n))
        for row, rng in enumerate(rngs):
            fractions[row] = rng.random((count, self.space.n))
        return self.from_fractions(fractions)


def corner_masks(n: int) -> BoolArray:
    """The masks m_c (2^n, n): row c, column k is bit k of c (method section 2).

    Raises:
        InvalidParameterError: n above `MOST_CORNER_PARAMETERS`.
    """
    if n > MOST_CORNER_PARAMETERS:
        raise InvalidParameterError(
            f"{n} parameters have 2^{n} corners; full corner sets go up to n = {MOST_CORNER_PARAMETERS}"
        )
    return np.asarray((np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(np.bool_))


def _overlap(lower: FloatArray, upper: FloatArray, other_lower: FloatArray, other_upper: FloatArray) -> FloatArray:
    shared = np.minimum(upper, other_upper) - np.maximum(lower, other_lower)
    return np.asarray(np.maximum(shared, 0.0))
