"""Camera and light: from named scene parameters to the matrices a renderer works with.

Conventions: y is up, the camera looks at the origin from

    eye = distance * (cos e * sin a, sin e, -cos e * cos a),    a = azimuth, e = elevation,

so at a = e = 0 it stands at -z, looks along +z, and sees world +x on the left of the picture
(right = forward x up). The up vector is d eye / d e, which needs no cross product and is exact at e = +-90 too.
Roll then turns the picture clockwise, shifts move the object right and up in the turned picture (as if the camera
moved the other way without turning), and the lens scales by the field of view. The light comes from
(cos e * sin a, sin e, -cos e * cos a) of its own angles, far away; it casts no shadow, so nothing is special where it
shines along the view. At light elevation 90 its azimuth has no effect, and a derivative of 0.

A face has the color min(1, albedo * tint * (ambient + directional * relu(normal . light))), where the tint is the
parameters albedo_r, albedo_g, albedo_b. Its derivative is 0 where the color is above 1, and on the kink of relu: so
under the default light, from straight above, upright walls have no slope in light_elevation.

To add a parameter: a row in `semrob_env.parameters`, a field of `Scenes` (if there is none yet), and a line in `_RULES`
(and `_CHAIN`). What surrounds an object has neither factor nor light here: `renderers.surrounded` draws it, and its
derivatives. Camera parameters are factors of the projection, a product of 4x4 matrices: the derivative in one is the
same product with its factor replaced by the factor's derivative. Light parameters give that of the light table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, reduce
from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError, ShapeMismatchError, UnknownNameError
from semrob_env.types import FloatArray

_COLORS = ("albedo", "background")


@final
@dataclass(frozen=True, eq=False)
class Scenes:
    """A batch of B scene descriptions. Arrays without a batch axis are repeated for the whole batch.

    Attributes:
        azimuth_deg: (B,) turn of the camera about y: 0 is at -z, growth goes towards +x.
        elevation_deg: (B,) height angle of the camera: 90 is straight above.
        distance: (B,) from the camera to the origin, > 0; meshes fill [-1, 1]. What reaches behind the camera is
            the renderer's to leave out.
        roll_deg: (B,) growth turns the picture clockwise.
        field_of_view_deg: (B,) full opening angle of the square picture, between 0 and 180.
        shift_x: (B,) object to the right in the picture, in units of the mesh.
        shift_y: (B,) object upwards in the picture, in units of the mesh.
        light_azimuth_deg: (B,) where the directional light comes from: 0 is -z, growth goes towards +x.
        light_elevation_deg: (B,) its height angle: 90 is straight above, where the azimuth has no effect.
        ambient: (B,) intensity of the light from everywhere, >= 0.
        directional: (B,) intensity of the light from one direction, >= 0; a face takes relu(normal . light) of it.
        albedo: (B, 3) RGB in [0, 1] by which the colors of the mesh are multiplied.
        background: (B, 3) RGB in [0, 1].
        background_azimuth_deg: (B,) turn of a panorama behind the object, to the right in the picture.
        background_choice: (B,) which picture of several is behind the object, by its place in [0, 1].
        occluder_x: (B,) of its middle in the picture, to the right in half sides; 0 in the middle.
        occluder_y: (B,) upwards.
        occluder_size: (B,) its side as a share of the picture's, >= 0.

    Raises:
        ShapeMismatchError: A field does not fit the batch length of azimuth_deg.
        InvalidParameterError: A value is not finite, or a distance, field of view, intensity or color is impossible.
    """

    azimuth_deg: FloatArray
    elevation_deg: FloatArray
    distance: FloatArray = field(default_factory=lambda: np.asarray(2.732))
    roll_deg: FloatArray = field(default_factory=lambda: np.asarray(0.0))
    field_of_view_deg: FloatArray = field(default_factory=lambda: np.asarray(60.0))
    shift_x: FloatArray = field(default_factory=lambda: np.asarray(0.0))
    shift_y: FloatArray = field(default_factory=lambda: np.asarray(0.0))
    light_azimuth_deg: FloatArray = field(default_factory=lambda: np.asarray(0.0))
    light_elevation_deg: FloatArray = field(default_factory=lambda: np.asarray(90.0))
    ambient: FloatArray = field(default_factory=lambda: np.asarray(0.5))
    directional: FloatArray = field(default_factory=lambda: np.asarray(0.5))
    albedo: FloatArray = field(default_factory=lambda: np.ones(3))
    background: FloatArray = field(default_factory=lambda: np.zeros(3))
    background_azimuth_deg: FloatArray = field(default_factory=lambda: np.asarray(0.0))
    background_choice: FloatArray = field(default_factory=lambda: np.asarray(0.0))
    occluder_x: FloatArray = field(default_factory=lambda: np.asarray(0.0))
    occluder_y: FloatArray = field(default_factory=lambda: np.asarray(0.0))
    occluder_size: FloatArray = field(default_factory=lambda: np.asarray(0.25))

    def __post_init__(self) -> None:
        batch = np.atleast_1d(self.azimuth_deg).shape[:1]
        for name in (each.name for each in fields(self)):
            given = np.asarray(getattr(self, name), dtype=np.float64)
            shape = (*batch, 3) if name in _COLORS else batch
            if given.shape not in (shape, shape[1:]):
                raise ShapeMismatchError(f"{name} has shape {given.shape}; use {shape} or {shape[1:]}")
            if not np.isfinite(given).all():
                raise InvalidParameterError(f"{name} holds NaN or infinity; use finite numbers")
            value = np.empty(shape)
            value[...] = given
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        if (self.distance <= 0).any():
            raise InvalidParameterError(f"distance {self.distance.min()} must be above 0")
        if ((self.field_of_view_deg <= 0) | (self.field_of_view_deg >= 180)).any():
            raise InvalidParameterError("field_of_view_deg must lie between 0 and 180, both excluded")
        if (self.ambient < 0).any() or (self.directional < 0).any():
            raise InvalidParameterError("ambient and directional must not be below 0")
        if (self.occluder_size < 0).any():
            raise InvalidParameterError("occluder_size must not be below 0")
        for name in _COLORS:
            if not ((getattr(self, name) >= 0) & (getattr(self, name) <= 1)).all():
                raise InvalidParameterError(f"{name} must lie in [0, 1]")

    @classmethod
    def from_parameters(cls, values: Mapping[str, npt.ArrayLike]) -> Scenes:
        """Scenes of named parameters, (B,) arrays in native units; others keep their defaults, azimuth and elevation 0.

        Raises:
            UnknownNameError: A name is not in `SCENE_PARAMETERS`.
            ShapeMismatchError: The arrays are not all (B,), or there is none.
        """
        check_names(values)
        given = {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}
        shapes = sorted({column.shape for column in given.values()})
        if len(shapes) != 1 or len(shapes[0]) != 1:
            raise ShapeMismatchError(f"parameters have shapes {shapes}; give at least one, each (B,)")
        zeros = np.zeros(shapes[0])
        columns = {"azimuth_deg": zeros, "elevation_deg": zeros}
        for name, column in given.items():
            rule = _RULES[name]
            if rule.channel is None:
                columns[rule.field] = column
            else:
                columns.setdefault(rule.field, np.full((*shapes[0], 3), 1.0 if rule.field == "albedo" else 0.0))
                columns[rule.field][:, rule.channel] = column
        return cls(**columns)

    @cached_property
    def light(self) -> FloatArray:
        """Unit vectors (B, 3) towards the directional light; exactly (0, 1, 0) at light elevation 90."""
        (cosine, sine), (cosine_turn, sine_turn) = _circle(self.light_elevation_deg), _circle(self.light_azimuth_deg)
        return np.stack([cosine * sine_turn, sine, -cosine * cosine_turn], axis=1)

    def __len__(self) -> int:
        return len(self.azimuth_deg)


@final
@dataclass(frozen=True, eq=False)
class Views:
    """What a renderer needs of B scenes, with its derivatives in K parameters (per native unit).

    A world point p appears at picture coordinates (X / W, Y / W), right and up, [-1, 1] across the picture, where
    (X, Y, W) = projection @ (p, 1); W is the depth along the viewing direction. A face shows
    min(1, albedo * (ambient + directional * relu(normal . light))), with its normal flipped towards the camera.

    Attributes:
        projection: (B, 3, 4).
        light_table: (B, 4, 3), rows: ambient RGB and directional RGB (both times the scene's albedo), unit vector
            towards the light, background RGB.
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
        pairs = {name: rule.factor(getattr(scenes, rule.field)) for name, rule in _RULES.items() if rule.factor}
        factors = {name: matrix for name, (matrix, _) in pairs.items()}
        parts = _albedo(scenes.albedo)(scenes) | {"direction": scenes.light, "background": scenes.background}
        projection_tangents = np.zeros((len(scenes), len(parameters), 3, 4))
        light_tangents = np.zeros((len(scenes), len(parameters), 4, 3))
        for k, name in enumerate(parameters):
            change = _RULES[name].light
            if change is None and name in pairs:
                projection_tangents[:, k] = _product(factors | {name: pairs[name][1]})
            elif change is not None:
                light_tangents[:, k] = _light_table(len(scenes), change(scenes))
        return cls(_product(factors), _light_table(len(scenes), parts), projection_tangents, light_tangents)

    @cached_property
    def eyes(self) -> FloatArray:
        """Where the camera stands in the world (B, 3): what the projection maps to 0."""
        return np.asarray(-(np.linalg.inv(self.projection[:, :, :3]) @ self.projection[:, :, 3:])[..., 0])

    @cached_property
    def eye_tangents(self) -> FloatArray:
        """Derivatives (B, K, 3) of `eyes`."""
        moved = self.projection_tangents @ np.append(self.eyes, np.ones((len(self.eyes), 1)), axis=1)[:, None, :, None]
        return np.asarray(-(np.linalg.inv(self.projection[:, :, :3])[:, None] @ moved)[..., 0])


_Factor = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Gives for B values of a camera parameter matrices (B, 4, 4) and their derivatives per native unit."""


def _rotation(first: int, second: int, *, mirror: float = 1.0) -> _Factor:
    """Map axes (first, second) to (c * first + s * second, c * second - s * first), then multiply x by `mirror`."""

    def factor(angle_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
        angle = np.deg2rad(angle_deg)
        matrix, derivative = np.zeros((2, len(angle), 4, 4))
        matrix[:] = np.eye(4)
        for target, shift in ((matrix, 0.0), (derivative, np.pi / 2)):  # d cos = cos(. + pi/2), d sin = sin(. + pi/2)
            cosine, sine = np.cos(angle + shift), np.sin(angle + shift)
            target[:, first, first] = target[:, second, second] = cosine
            target[:, first, second], target[:, second, first] = sine, -sine
        derivative *= np.pi / 180
        matrix[:, 0] *= mirror
        derivative[:, 0] *= mirror
        return matrix, derivative

    return factor


def _offset(axis: int) -> _Factor:
    """Add a length to one axis."""

    def factor(length: FloatArray) -> tuple[FloatArray, FloatArray]:
        matrix, derivative = np.zeros((2, len(length), 4, 4))
        matrix[:] = np.eye(4)
        matrix[:, axis, 3] = length
        derivative[:, axis, 3] = 1.0
        return matrix, derivative

    return factor


def _lens(field_of_view_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Right and up are divided by the tangent of half the field of view, h; d cot h = -1 / sin^2 h."""
    half = np.deg2rad(field_of_view_deg / 2)
    matrix, derivative = np.zeros((2, len(half), 4, 4))
    matrix[:] = np.eye(4)
    for axis in (0, 1):
        matrix[:, axis, axis] = 1 / np.tan(half)
        derivative[:, axis, axis] = -(np.pi / 360) / np.sin(half) ** 2
    return matrix, derivative


_CHAIN = ("field_of_view", "shift_x", "shift_y", "roll", "distance", "elevation", "azimuth")
"""Factors of the projection, from the picture to the world. An identity among them changes no bit of the product."""


def _product(factors: Mapping[str, FloatArray]) -> FloatArray:
    product = reduce(np.matmul, [factors[name] for name in _CHAIN])
    return np.ascontiguousarray(product[:, :3])


_LightChange = Callable[["Scenes"], dict[str, FloatArray]]
"""Gives the parts whose `_light_table` is the derivative of the light tables per native unit."""

_LIGHT_PARTS = ("ambient", "directional", "tint", "direction", "background")


def _light_table(count: int, parts: Mapping[str, FloatArray]) -> FloatArray:
    """Light tables (count, 4, 3) of intensities (count, 1) and colors or directions (count, 3), 0 where missing."""
    ambient, directional, tint, direction, background = (parts.get(name, np.zeros(1)) for name in _LIGHT_PARTS)
    table = np.empty((count, 4, 3))
    table[:, 0], table[:, 1], table[:, 2], table[:, 3] = ambient * tint, directional * tint, direction, background
    return table


def _circle(angle_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Cosine and sine, exact at 90 degrees: a light from straight above has no other part."""
    angle = np.deg2rad(angle_deg)
    return np.where(np.abs(angle_deg) == 90.0, 0.0, np.cos(angle)), np.sin(angle)


def _light_azimuth(scenes: Scenes) -> dict[str, FloatArray]:
    (cosine, _), (cosine_turn, sine_turn) = _circle(scenes.light_elevation_deg), _circle(scenes.light_azimuth_deg)
    change = np.stack([cosine * cosine_turn, np.zeros_like(cosine), cosine * sine_turn], axis=1)
    return {"direction": np.deg2rad(change)}


def _light_elevation(scenes: Scenes) -> dict[str, FloatArray]:
    (cosine, sine), (cosine_turn, sine_turn) = _circle(scenes.light_elevation_deg), _circle(scenes.light_azimuth_deg)
    return {"direction": np.deg2rad(np.stack([-sine * sine_turn, cosine, sine * cosine_turn], axis=1))}


def _intensity(name: str) -> _LightChange:
    return lambda scenes: {name: np.ones(1), "tint": scenes.albedo}


def _albedo(tint: FloatArray) -> _LightChange:
    return lambda scenes: {"ambient": scenes.ambient[:, None], "directional": scenes.directional[:, None], "tint": tint}


def _background(color: FloatArray) -> _LightChange:
    return lambda _: {"background": color}


class _Rule(NamedTuple):
    """Which field of `Scenes` (and channel of it) a parameter sets, and the factor or light derivative it rules."""

    field: str
    factor: _Factor | None = None
    light: _LightChange | None = None
    channel: int | None = None


_RULES: Mapping[str, _Rule] = {
    # World to (right, y, ahead): right = -x cos a - z sin a, ahead = z cos a - x sin a; from behind, x grows leftwards.
    "azimuth": _Rule("azimuth_deg", _rotation(0, 2, mirror=-1.0)),
    "elevation": _Rule("elevation_deg", _rotation(1, 2)),  # up = y cos e + ahead sin e, forward = ahead cos e - y sin e
    "distance": _Rule("distance", _offset(2)),  # depth is counted from the eye
    "roll": _Rule("roll_deg", _rotation(0, 1)),  # right' = right cos r + up sin r: what was up moves to the right
    "field_of_view": _Rule("field_of_view_deg", _lens),
    "shift_x": _Rule("shift_x", _offset(0)),
    "shift_y": _Rule("shift_y", _offset(1)),
    "light_azimuth": _Rule("light_azimuth_deg", light=_light_azimuth),
    "light_elevation": _Rule("light_elevation_deg", light=_light_elevation),
    **{name: _Rule(name, light=_intensity(name)) for name in ("directional", "ambient")},
    **{f"albedo_{key}": _Rule("albedo", None, _albedo(np.eye(3)[c]), c) for c, key in enumerate("rgb")},
    **{f"background_{key}": _Rule("background", None, _background(np.eye(3)[c]), c) for c, key in enumerate("rgb")},
    "background_azimuth": _Rule("background_azimuth_deg"),
    **{name: _Rule(name) for name in ("background_choice", "occluder_x", "occluder_y", "occluder_size")},
}

BACKGROUND_COLORS = ("background_r", "background_g", "background_b")
"""The parameters of the color behind the object."""


def acts_on_object(name: str) -> bool:
    """Whether a parameter changes the object itself, not only what surrounds it."""
    rule = _RULES[name]
    return name not in BACKGROUND_COLORS and (rule.factor is not None or rule.light is not None)


SCENE_PARAMETERS: tuple[str, ...] = tuple(_RULES)
"""Names that `Scenes.from_parameters` and derivatives understand: `PARAMETERS` less those of photos and images."""


def check_names(names: Iterable[str]) -> None:
    """Raise `UnknownNameError` for the first name that is not in `SCENE_PARAMETERS`."""
    unknown = [name for name in names if name not in _RULES]
    if unknown:
        raise UnknownNameError(f"unknown scene parameter {unknown[0]!r}; known are {', '.join(SCENE_PARAMETERS)}")
