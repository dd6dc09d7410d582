"""Spaces of parameters: points of them, by name and as arrays, and the maps into the space and to the unit cube."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.checks import instance_of, items, number, real_array, shown, whole_number
from semrob_env.errors import (
    InvalidParameterError,
    NameClashError,
    OutOfSpaceError,
    ShapeMismatchError,
    UnknownNameError,
)
from semrob_env.parameters.table import PAPER_STARTS, PARAMETERS, Parameter, format_parameter, read_parameters
from semrob_env.types import BoolArray, FloatArray

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
        object.__setattr__(self, "parameters", items("parameters", self.parameters))
        for parameter in self.parameters:
            instance_of("a parameter", parameter, Parameter)
        if not self.parameters:
            raise InvalidParameterError("a space needs at least one parameter")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise NameClashError(f"parameter {', '.join(twice)} is named twice; name each once")

    @classmethod
    def of(cls, names: str | Iterable[str]) -> SemanticSpace:
        """Space of known parameters by name, in the order given, as `read_parameters` of the table reads them.

        For example `azimuth,elevation`, `["elevation"]`, `paper6` (one of `NAMED_SPACES`), `paper3,roll`, or
        `azimuth[90:180]` (a part of a range).

        Raises:
            UnknownNameError: A name is neither in `PARAMETERS` nor in `NAMED_SPACES`.
            InvalidParameterError: A range that cannot be read, is upside down, or leaves that of the parameter.
        """
        return cls(read_parameters(names))

    @property
    def spec(self) -> str:
        """Text that `of` reads back: the names, with ranges where they are a part of the known ones."""
        return ",".join(format_parameter(parameter) for parameter in self.parameters)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Parameter names in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def n(self) -> int:
        """Number of parameters."""
        return len(self.parameters)

    def index(self, name: str) -> int:
        """Where a parameter stands.

        Raises:
            UnknownNameError: It is not in this space.
        """
        if not isinstance(name, str) or name not in self.names:
            raise UnknownNameError(f"unknown parameter {shown(name)}; this space has {', '.join(self.names)}")
        return self.names.index(name)

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

    def project_along(self, k: int, values: FloatArray) -> FloatArray:
        """As `project`, for values (...) of parameter k alone."""
        low, high, turn = self._limits[k]
        if turn is None:
            return np.asarray(np.minimum(np.maximum(values, low), high))
        if values.size and not (low <= values.min() and values.max() <= high):
            values = np.array(values, ndmin=1)
            _wrap(values, low, high, turn)
        return values

    def to_unit(self, theta: npt.ArrayLike) -> FloatArray:
        """Native units to the unit cube: (theta - low) / (high - low)."""
        return (self._points(theta) - self.low) / self.width

    def from_unit(self, unit: npt.ArrayLike) -> FloatArray:
        """Unit cube to native units, always inside the space: 1.0 of a periodic parameter is its 0.0."""
        return self.project(self.low + self._points(unit) * self.width)

    def sample(self, count: int, rng: np.random.Generator) -> FloatArray:
        """`count` points (count, n), uniform over the space."""
        instance_of("rng", rng, np.random.Generator)
        return self.from_unit(rng.random((whole_number("count", count, 0), self.n)))

    def grid(self, counts: Sequence[int]) -> FloatArray:
        """Regular grid (prod(counts), n): both ends of a plain parameter, one end of a periodic one.

        Raises:
            InvalidParameterError: Not n counts, or one below 1.
        """
        counts = [whole_number("grid count", count, -(2**63)) for count in items("grid counts", counts)]
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
        instance_of("point", values, (str, Mapping))
        named = _parse_point(values) if isinstance(values, str) else dict(values)
        unknown = [name for name in named if name not in self.names]
        if unknown:
            raise UnknownNameError(
                f"unknown parameter {unknown[0]!r} in a point; this space has {', '.join(self.names)}"
            )
        theta = np.array([number(named.get(parameter.name, parameter.default)) for parameter in self.parameters])
        return self.require(theta, "point")

    def format_point(self, theta: npt.ArrayLike) -> str:
        """One point (n,) as text that `point` reads back exactly."""
        values = self._points(theta)
        if values.ndim != 1:
            raise ShapeMismatchError(f"theta has shape {values.shape}; one point is ({self.n},)")
        return ",".join(f"{name}={float(value):.17g}" for name, value in zip(self.names, values, strict=True))

    def _points(self, theta: npt.ArrayLike) -> FloatArray:
        values = real_array("theta", theta, ShapeMismatchError)
        if values.ndim == 0 or values.shape[-1] != self.n:
            raise ShapeMismatchError(
                f"theta has shape {values.shape}, its last axis must be {self.n} ({', '.join(self.names)})"
            )
        return values


def paper_starts(space: SemanticSpace) -> FloatArray:
    """The paper's four start points (B, n) in a space: what it does not name is left out, what it adds is at default.

    Points that a part of a range leaves out, and repetitions, are dropped; with none left it is the default point.
    """
    held = held_paper_starts(space)
    return held if len(held) else space.default[None].copy()


def held_paper_starts(space: SemanticSpace) -> FloatArray:
    """Those of `paper_starts` that a space holds, at whatever turn it has them (B, n); B may be 0."""
    points: list[FloatArray] = []
    for start in PAPER_STARTS:
        named = {name: value for name, value in _parse_point(start).items() if name in space.names}
        theta = np.array([
            _turned(named.get(parameter.name, parameter.default), parameter) for parameter in space.parameters
        ])
        if space.contains(theta) and not any(np.array_equal(theta, point) for point in points):
            points.append(theta)
    return np.array(points).reshape(-1, space.n)


def _turned(value: float, parameter: Parameter) -> float:
    """The same scene in the range of a parameter, where it has it a turn away."""
    known = PARAMETERS.get(parameter.name)
    turn = (known.period if known else None) or 0.0
    return next((near for near in (value, value - turn, value + turn) if parameter.contains(near)), value)


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
