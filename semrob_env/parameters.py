"""Semantic parameters and the spaces they span.

A *parameter* is one thing a scene can change (azimuth, elevation, ...): it has a name, a unit, bounds, maybe a
period, a default and a sense of rotation. A *space* is an ordered choice of parameters; a point of it is theta,
an array (..., n) in native units. One pair of functions maps theta to the unit cube and back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import (
    InvalidParameterError,
    NameClashError,
    OutOfSpaceError,
    ShapeMismatchError,
    UnknownNameError,
)
from semrob_env.types import BoolArray, FloatArray


@final
@dataclass(frozen=True)
class Parameter:
    """One semantic parameter of a scene.

    Attributes:
        name: Lower-case word by which users name it, e.g. `azimuth`.
        unit: Native unit, e.g. `deg`; empty for a number without one.
        low: Lower bound, in the native unit.
        high: Upper bound; of a periodic parameter it is the same scene as `low` and not itself in the range.
        period: None, or the length of one turn, which must be `high - low`.
        default: Value taken when a point or a space does not name the parameter.
        sense: What zero means and which way growth turns.

    Raises:
        InvalidParameterError: Bounds not finite or upside down, default outside, period not `high - low`.
    """

    name: str
    unit: str
    low: float
    high: float
    period: float | None
    default: float
    sense: str

    def __post_init__(self) -> None:
        if not self.name.replace("_", "").isalnum() or self.name != self.name.lower():
            raise InvalidParameterError(f"parameter name {self.name!r}: use lower-case letters, digits and _")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InvalidParameterError(f"{self.name}: low {self.low} must be finite and below high {self.high}")
        if self.period is not None and self.period != self.high - self.low:
            raise InvalidParameterError(
                f"{self.name}: period {self.period} must equal high - low = {self.high - self.low}; "
                "for a part of a turn use period=None"
            )
        if not self.contains(self.default):
            raise InvalidParameterError(f"{self.name}: default {self.default} is outside {self.interval}")

    @property
    def interval(self) -> str:
        """Allowed range as text, half open where the parameter is periodic."""
        return f"[{self.low:g}, {self.high:g}{')' if self.period is not None else ']'}"

    def contains(self, value: float) -> bool:
        """Whether a value in native units is allowed (NaN is not)."""
        return self.low <= value < self.high if self.period is not None else self.low <= value <= self.high


AZIMUTH = Parameter(
    "azimuth",
    "deg",
    0.0,
    360.0,
    360.0,
    0.0,
    "0: camera at -z, the object's front; grows towards the camera at +x",
)
ELEVATION = Parameter(
    "elevation",
    "deg",
    -10.0,
    90.0,
    None,
    0.0,
    "0: camera at the height of the centre; grows upwards, 90: from above",
)

PARAMETERS: Mapping[str, Parameter] = {parameter.name: parameter for parameter in (AZIMUTH, ELEVATION)}
"""The scene parameters that semrob knows by name."""

PAPER_STARTS = (
    "azimuth=130,elevation=30",
    "azimuth=50,elevation=20",
    "azimuth=200,elevation=15",
    "azimuth=310,elevation=50",
)
"""The four start points of Hamdi & Ghanem 2020 by name; any other parameter is at its default."""

_FEW = 16
"""Up to so many numbers a plain loop is quicker than an array operation."""


@final
@dataclass(frozen=True)
class SemanticSpace:
    """An ordered choice of n parameters; theta is an array (..., n) in native units.

    Raises:
        InvalidParameterError: No parameter at all.
        NameClashError: A parameter is named twice.
    """

    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(self.parameters))
        if not self.parameters:
            raise InvalidParameterError("a space needs at least one parameter")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise NameClashError(f"parameter {', '.join(twice)} is named twice; name each once")

    @classmethod
    def of(cls, names: str | Iterable[str]) -> SemanticSpace:
        """Space of known parameters by name, e.g. `azimuth,elevation` or `["elevation"]`, in the order given.

        Raises:
            UnknownNameError: A name is not in `PARAMETERS`.
        """
        chosen = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        unknown = [name for name in chosen if name not in PARAMETERS]
        if unknown:
            raise UnknownNameError(f"unknown parameter {unknown[0]!r}; known are {', '.join(PARAMETERS)}")
        return cls(tuple(PARAMETERS[name] for name in chosen))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Parameter names in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def n(self) -> int:
        """Number of parameters."""
        return len(self.parameters)

    @cached_property
    def low(self) -> FloatArray:
        """Lower bounds (n,)."""
        return _read_only([parameter.low for parameter in self.parameters])

    @cached_property
    def high(self) -> FloatArray:
        """Upper bounds (n,)."""
        return _read_only([parameter.high for parameter in self.parameters])

    @cached_property
    def width(self) -> FloatArray:
        """`high - low` (n,); one turn of a periodic parameter."""
        return _read_only(self.high - self.low)

    @cached_property
    def is_periodic(self) -> BoolArray:
        """Which parameters are periodic (n,)."""
        flags = np.array([parameter.period is not None for parameter in self.parameters], dtype=np.bool_)
        flags.setflags(write=False)
        return flags

    @cached_property
    def default(self) -> FloatArray:
        """Default point (n,)."""
        return _read_only([parameter.default for parameter in self.parameters])

    @property
    def volume(self) -> float:
        """Volume of the whole space, the product of all widths."""
        return float(np.prod(self.width))

    @cached_property
    def _highest(self) -> FloatArray:
        """Largest value allowed (n,): `high`, or the next number below it where periodic."""
        return _read_only(np.where(self.is_periodic, np.nextafter(self.high, -np.inf), self.high))

    @cached_property
    def _limits(self) -> tuple[tuple[float, float, float | None], ...]:
        """Lowest and largest value allowed, and the period, of each parameter as plain numbers."""
        periods = [parameter.period for parameter in self.parameters]
        return tuple(zip(self.low.tolist(), self._highest.tolist(), periods, strict=True))

    def _holds(self, values: FloatArray) -> bool:
        """Whether all points (..., n) lie in the space. It runs before every query, so it is quick in both extremes."""
        if values.size <= _FEW:
            rows = values.reshape(-1, self.n).tolist()
            return all(
                low <= value <= high for row in rows for value, (low, high, _) in zip(row, self._limits, strict=True)
            )
        # NaN becomes the least and the largest number, and fails both comparisons.
        return all(
            low <= values[..., k].min() and values[..., k].max() <= high
            for k, (low, high, _) in enumerate(self._limits)
        )

    def contains(self, theta: npt.ArrayLike) -> BoolArray:
        """Whether points (..., n) lie in the space, as (...,); NaN does not, nor does `high` of a periodic one."""
        values = self._points(theta)
        return np.asarray(((values >= self.low) & (values <= self._highest)).all(axis=-1))

    def require(self, theta: npt.ArrayLike, what: str = "theta") -> FloatArray:
        """The points (..., n) as float64, if all lie in the space.

        Raises:
            OutOfSpaceError: One does not; the message names the first.
            ShapeMismatchError: The last axis is not n long.
        """
        values = self._points(theta)
        if not self._holds(values):
            outside = np.argwhere(~((values >= self.low) & (values <= self._highest)))[0]
            parameter = self.parameters[outside[-1]]
            raise OutOfSpaceError(
                f"{what} has {parameter.name}={values[tuple(outside)]:g} {parameter.unit}".rstrip()
                + f", allowed is {parameter.interval}; project() clamps and wraps into the space"
            )
        return values

    def project(self, theta: npt.ArrayLike) -> FloatArray:
        """Nearest point in the space: periodic parameters wrap, the others are clamped.

        NaN stays NaN, and an infinite value of a periodic parameter becomes NaN.
        """
        projected = np.array(self._points(theta))
        for k, (low, high, turn) in enumerate(self._limits):  # by columns: rows are short, and short loops are slow
            column = np.atleast_2d(projected)[..., k]  # a view
            if turn is None:
                np.minimum(np.maximum(column, low, out=column), high, out=column)
                continue
            if column.size and not (low <= column.min() and column.max() <= high):
                _wrap(column, low, high, turn)
        return projected

    def to_unit(self, theta: npt.ArrayLike) -> FloatArray:
        """Native units to the unit cube: (theta - low) / (high - low)."""
        return (self._points(theta) - self.low) / self.width

    def from_unit(self, unit: npt.ArrayLike) -> FloatArray:
        """Unit cube to native units, always inside the space: 1.0 of a periodic parameter is its 0.0."""
        return self.project(self.low + self._points(unit) * self.width)

    def sample(self, count: int, rng: np.random.Generator) -> FloatArray:
        """`count` points (count, n), uniform over the space."""
        return self.from_unit(rng.random((count, self.n)))

    def grid(self, counts: Sequence[int]) -> FloatArray:
        """Regular grid (prod(counts), n): both ends of a plain parameter, one end of a periodic one.

        Raises:
            InvalidParameterError: Not n counts, or one below 1.
        """
        if len(counts) != self.n or min(counts) < 1:
            raise InvalidParameterError(f"grid counts {tuple(counts)}: give {self.n} counts of at least 1")
        axes = [
            np.linspace(p.low, p.high, count, endpoint=p.period is None)
            for p, count in zip(self.parameters, counts, strict=True)
        ]
        return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=-1)

    def point(self, values: str | Mapping[str, float]) -> FloatArray:
        """Point (n,) by name: `azimuth=130,elevation=30` or a mapping; what is missing takes its default.

        Raises:
            UnknownNameError: A name is not in this space.
            InvalidParameterError: Text that is not `name=number`, or a name given twice.
            OutOfSpaceError: A value outside the bounds.
        """
        named = _parse_point(values) if isinstance(values, str) else dict(values)
        unknown = [name for name in named if name not in self.names]
        if unknown:
            raise UnknownNameError(
                f"unknown parameter {unknown[0]!r} in a point; this space has {', '.join(self.names)}"
            )
        theta = np.array([named.get(parameter.name, parameter.default) for parameter in self.parameters])
        return self.require(theta, "point")

    def format_point(self, theta: npt.ArrayLike) -> str:
        """One point (n,) as text that `point` reads back exactly."""
        values = self._points(theta)
        return ",".join(f"{name}={float(value):.17g}" for name, value in zip(self.names, values, strict=True))

    def _points(self, theta: npt.ArrayLike) -> FloatArray:
        try:
            values = np.asarray(theta, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ShapeMismatchError(f"theta is no array of numbers: {error}") from error
        if values.ndim == 0 or values.shape[-1] != self.n:
            raise ShapeMismatchError(
                f"theta has shape {values.shape}, its last axis must be {self.n} ({', '.join(self.names)})"
            )
        return values


def _wrap(values: FloatArray, low: float, high: float, turn: float) -> None:
    """Bring values outside [low, high] back by whole turns, in place; those inside keep their bits."""
    line = values.T.reshape(-1) if values.flags.f_contiguous else values.reshape(-1)
    at = np.flatnonzero(~((line >= low) & (line <= high)))
    away = line[at] - low
    if -turn <= away.min() and away.max() < 2 * turn:
        # One turn at most, as in growing regions: the same bits as the modulus in a third of the time.
        wrapped = low + np.where(away < 0, away + turn, away - turn)
    else:
        with np.errstate(invalid="ignore"):
            wrapped = low + np.mod(away, turn)
    wrapped[wrapped > high] = low  # rounding may reach the end of the turn
    line[at] = wrapped
    if not np.shares_memory(line, values):
        values[...] = line.reshape(values.shape)


def _parse_point(text: str) -> dict[str, float]:
    named: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        try:
            value = float(number)
        except ValueError:
            equals = ""
            value = math.nan
        if not equals:
            raise InvalidParameterError(f"cannot read {part!r} in point {text!r}; write azimuth=130,elevation=30")
        if name in named:
            raise InvalidParameterError(f"{name} is given twice in point {text!r}; give it once")
        named[name] = value
    return named


def _read_only(values: npt.ArrayLike) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array
