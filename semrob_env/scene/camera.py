"""Camera and light: from named scene parameters to the matrices a renderer works with.

Conventions: y is up, the camera looks at the origin from

    eye = distance * (cos e * sin a, sin e, -cos e * cos a),    a = azimuth, e = elevation,

so at a = e = 0 it stands at -z, looks along +z, and sees world +x on the left of the picture
(right = forward x up). The up vector is d eye / d e, which needs no cross product and is exact at e = +-90 too.

To add a parameter: a field of `Scenes` (if there is none yet), a function for what it moves, and a line in
`_RULES`. Camera parameters are factors of the projection, a product of 4x4 matrices: the derivative in one is the
same product with its factor replaced by the factor's derivative. Light parameters name the derivative of the
light table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError, ShapeMismatchError, UnknownNameError
from semrob_env.types import FloatArray

_VECTORS = ("light", "background")


@final
@dataclass(frozen=True, eq=False)
class Scenes:
    """A batch of B scene descriptions. Arrays without a batch axis are repeated for the whole batch.

    Attributes:
        azimuth_deg: (B,) turn of the camera about y: 0 is at -z, growth goes towards +x.
        elevation_deg: (B,) height angle of the camera: 90 is straight above.
        distance: (B,) from the camera to the origin, > 0; meshes fill [-1, 1].
        half_field_of_view_deg: (B,) half opening angle of the square picture, between 0 and 90.
        ambient: (B,) intensity of the light from everywhere.
        directional: (B,) intensity of the light from one direction; a face takes relu(normal . light) of it.
        light: (B, 3) unit vector towards the directional light.
        background: (B, 3) RGB in [0, 1].

    Raises:
        ShapeMismatchError: A field does not fit the batch length of azimuth_deg.
        InvalidParameterError: A value is not finite, or a distance or field of view is impossible.
    """

    azimuth_deg: FloatArray
    elevation_deg: FloatArray
    distance: FloatArray = field(default_factory=lambda: np.asarray(2.732))
    half_field_of_view_deg: FloatArray = field(default_factory=lambda: np.asarray(30.0))
    ambient: FloatArray = field(default_factory=lambda: np.asarray(0.5))
    directional: FloatArray = field(default_factory=lambda: np.asarray(0.5))
    light: FloatArray = field(default_factory=lambda: np.asarray([0.0, 1.0, 0.0]))
    background: FloatArray = field(default_factory=lambda: np.zeros(3))

    def __post_init__(self) -> None:
        batch = np.atleast_1d(self.azimuth_deg).shape[:1]
        for name in (each.name for each in fields(self)):
            given = np.asarray(getattr(self, name), dtype=np.float64)
            shape = (*batch, 3) if name in _VECTORS else batch
            if given.shape not in (shape, shape[1:]):
                raise ShapeMismatchError(f"{name} has shape {given.shape}; use {shape} or {shape[1:]}")
            if not np.isfinite(given).all():
                raise InvalidParameterError(f"{name} holds NaN or infinity; use finite numbers")
            value = np.broadcast_to(given, shape).copy()
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        if (self.distance <= 0).any():
            raise InvalidParameterError(f"distance {self.distance.min()} must be above 0")
        if ((self.half_field_of_view_deg <= 0) | (self.half_field_of_view_deg >= 90)).any():
            raise InvalidParameterError("half_field_of_view_deg must lie between 0 and 90, both excluded")

    @classmethod
    def from_parameters(cls, values: Mapping[str, npt.ArrayLike]) -> Scenes:
        """Scenes of named parameters, (B,) arrays in native units; whatever is not named keeps its default.

        Azimuth and elevation default to 0.

        Raises:
            UnknownNameError: A name is not in `SCENE_PARAMETERS`.
            ShapeMismatchError: The arrays are not all (B,), or there is none.
        """
        check_names(values)
        columns = {_RULES[name].field: np.asarray(value, dtype=np.float64) for name, value in values.items()}
        shapes = sorted({column.shape for column in columns.values()})
        if len(shapes) != 1 or len(shapes[0]) != 1:
            raise ShapeMismatchError(f"parameters have shapes {shapes}; give at least one, each (B,)")
        zeros = np.zeros(shapes[0])
        return cls(**({"azimuth_deg": zeros, "elevation_deg": zeros} | columns))

    def __len__(self) -> int:
        return len(self.azimuth_deg)


@final
@dataclass(frozen=True, eq=False)
class Views:
    """What a renderer needs of B scenes, with its derivatives in K parameters (per native unit).

    A world point p appears at picture coordinates (X / W, Y / W), right and up, [-1, 1] across the picture, where
    (X, Y, W) = projection @ (p, 1); W is the depth along the viewing direction. A face shows
    albedo * (ambient + directional * relu(normal . light)), with its normal flipped towards the camera.

    Attributes:
        projection: (B, 3, 4).
        light_table: (B, 4, 3), rows: ambient RGB, directional RGB, unit vector towards the light, background RGB.
        projection_tangents: (B, K, 3, 4).
        light_tangents: (B, K, 4, 3).
    """

    projection: FloatArray
    light_table: FloatArray
    projection_tangents: FloatArray
    light_tangents: FloatArray

    @classmethod
    def of(cls, scenes: Scenes, parameters: Sequence[str] = ()) -> Views:
        """Matrices of the scenes and their derivatives in the named parameters.

        Raises:
            UnknownNameError: A name is not in `SCENE_PARAMETERS`.
        """
        check_names(parameters)
        pairs = {factor: factor(scenes) for factor in _CHAIN}
        factors = {factor: pair[0] for factor, pair in pairs.items()}
        projection_tangents = np.zeros((len(scenes), len(parameters), 3, 4))
        light_tangents = np.zeros((len(scenes), len(parameters), 4, 3))
        for k, rule in enumerate(_RULES[name] for name in parameters):
            if rule.factor is not None:
                projection_tangents[:, k] = _product(factors | {rule.factor: pairs[rule.factor][1]})
            if rule.light is not None:
                light_tangents[:, k] = rule.light(scenes)
        return cls(_product(factors), _light_table(scenes), projection_tangents, light_tangents)


_Factor = Callable[[Scenes], tuple[FloatArray, FloatArray]]
"""Gives the (B, 4, 4) matrix of one camera parameter and its derivative per native unit."""


def _rotation(angle_deg: FloatArray, first: int, second: int) -> tuple[FloatArray, FloatArray]:
    """Matrices that map axes (first, second) to (c * first + s * second, c * second - s * first)."""
    angle = np.deg2rad(angle_deg)
    matrix, derivative = np.zeros((2, len(angle), 4, 4))
    matrix[:] = np.eye(4)
    for target, shift in ((matrix, 0.0), (derivative, np.pi / 2)):  # d cos = cos(. + pi/2), d sin = sin(. + pi/2)
        cosine, sine = np.cos(angle + shift), np.sin(angle + shift)
        target[:, first, first] = target[:, second, second] = cosine
        target[:, first, second], target[:, second, first] = sine, -sine
    return matrix, derivative * (np.pi / 180)


def _azimuth(scenes: Scenes) -> tuple[FloatArray, FloatArray]:
    """World to (right, y, ahead): right = -x cos a - z sin a, ahead = z cos a - x sin a."""
    matrix, derivative = _rotation(scenes.azimuth_deg, 0, 2)
    mirror = np.array([-1.0, 1.0, 1.0, 1.0])[:, None]  # from behind, x grows to the left
    return matrix * mirror, derivative * mirror


def _elevation(scenes: Scenes) -> tuple[FloatArray, FloatArray]:
    """Up = y cos e + ahead sin e, forward = ahead cos e - y sin e."""
    return _rotation(scenes.elevation_deg, 1, 2)


def _distance(scenes: Scenes) -> tuple[FloatArray, FloatArray]:
    """Depth is counted from the eye: forward + distance."""
    matrix, derivative = np.zeros((2, len(scenes), 4, 4))
    matrix[:] = np.eye(4)
    matrix[:, 2, 3] = scenes.distance
    derivative[:, 2, 3] = 1.0
    return matrix, derivative


def _lens(scenes: Scenes) -> tuple[FloatArray, FloatArray]:
    """Right and up are divided by the tangent of the half field of view h; d cot h = -1 / sin^2 h."""
    half = np.deg2rad(scenes.half_field_of_view_deg)
    matrix, derivative = np.zeros((2, len(scenes), 4, 4))
    matrix[:] = np.eye(4)
    for axis in (0, 1):
        matrix[:, axis, axis] = 1 / np.tan(half)
        derivative[:, axis, axis] = -(np.pi / 180) / np.sin(half) ** 2
    return matrix, derivative


_CHAIN: tuple[_Factor, ...] = (_lens, _distance, _elevation, _azimuth)
"""Factors of the projection, from the picture to the world."""


def _product(factors: Mapping[_Factor, FloatArray]) -> FloatArray:
    product = factors[_CHAIN[0]]
    for factor in _CHAIN[1:]:
        product = product @ factors[factor]
    return np.ascontiguousarray(product[:, :3])


def _light_table(scenes: Scenes) -> FloatArray:
    white = np.ones(3)
    rows = (scenes.ambient[:, None] * white, scenes.directional[:, None] * white, scenes.light, scenes.background)
    return np.stack(rows, axis=1)


def _unit_row(row: int) -> Callable[[Scenes], FloatArray]:
    """Derivative of the light table in an intensity that fills one row."""

    def tangent(scenes: Scenes) -> FloatArray:
        table = np.zeros((len(scenes), 4, 3))
        table[:, row] = 1.0
        return table

    return tangent


class _Rule(NamedTuple):
    """Which field of `Scenes` a parameter sets, and the factor or the light derivative it rules."""

    field: str
    factor: _Factor | None = None
    light: Callable[[Scenes], FloatArray] | None = None


_RULES: Mapping[str, _Rule] = {
    "azimuth": _Rule("azimuth_deg", factor=_azimuth),
    "elevation": _Rule("elevation_deg", factor=_elevation),
    "distance": _Rule("distance", factor=_distance),
    "half_field_of_view": _Rule("half_field_of_view_deg", factor=_lens),
    "ambient": _Rule("ambient", light=_unit_row(0)),
    "directional": _Rule("directional", light=_unit_row(1)),
}

SCENE_PARAMETERS: tuple[str, ...] = tuple(_RULES)
"""Names that `Scenes.from_parameters` and derivatives understand."""


def check_names(names: Iterable[str]) -> None:
    """Refuse names that are not scene parameters.

    Raises:
        UnknownNameError: A name is not in `SCENE_PARAMETERS`.
    """
    unknown = [name for name in names if name not in _RULES]
    if unknown:
        raise UnknownNameError(f"unknown scene parameter {unknown[0]!r}; known are {', '.join(SCENE_PARAMETERS)}")
