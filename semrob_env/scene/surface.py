"""What covers a mesh beyond one color a face: textures, colors and normals of corners, glow and gloss.

Colors are display values (sRGB as files hold them, in [0, 1]), and light multiplies them as it multiplies the plain
colors of this house: a texture in full light shows its own pixels. Only means over texels are taken in linear light.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal, final

import numpy as np

from semrob_env.errors import InvalidMeshError
from semrob_env.types import Float32Array, FloatArray, Int32Array, IntArray

UInt8Array = np.typing.NDArray[np.uint8]

Wrap = Literal["repeat", "clamp", "mirror"]
"""What a texture is beyond [0, 1]."""

WRAPS: Final[tuple[Wrap, ...]] = ("repeat", "clamp", "mirror")

MOST_SIDE: Final = 2048
"""Pixels along a side of a texture that are kept; pictures are far smaller, and a larger texture is averaged down."""


@final
@dataclass(frozen=True, eq=False)
class Texture:
    """An image that is put on faces.

    Attributes:
        pixels: sRGB and alpha, (height, width, 4) uint8, row 0 on top.
        wraps: Across and down.
        cutoff: There is nothing where alpha is below it; 0: alpha does not count.

    Raises:
        InvalidMeshError: The pixels have another form, or a side is longer than `MOST_SIDE`.
    """

    pixels: UInt8Array
    wraps: tuple[Wrap, Wrap] = ("repeat", "repeat")
    cutoff: float = 0.0

    def __post_init__(self) -> None:
        pixels = np.asarray(self.pixels)
        if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8 or 0 in pixels.shape:
            raise InvalidMeshError(f"a texture is bytes (height, width, 4), got {pixels.dtype} {pixels.shape}")
        if max(pixels.shape) > MOST_SIDE:
            raise InvalidMeshError(f"a texture of {pixels.shape[:2]} pixels; average it down to {MOST_SIDE} a side")
        object.__setattr__(self, "pixels", _frozen(pixels, np.uint8))

    @cached_property
    def levels(self) -> tuple[UInt8Array, ...]:
        """The pixels, and what is left where both sides are halved again and again, down to one pixel."""
        found = [self.pixels]
        while max(found[-1].shape[:2]) > 1:
            height, width = (max(1, side // 2) for side in found[-1].shape[:2])
            found.append(shrunk(found[-1], height, width))
        return tuple(found)

    def parts(self) -> Iterator[tuple[str, Any]]:
        """What its looks depend on, for digests."""
        yield f"{self.wraps}{self.cutoff!r}", self.pixels


@final
@dataclass(frozen=True, eq=False)
class Surface:
    """What covers the F faces of a mesh; corners are in the order of the rows of `Mesh.faces`.

    Attributes:
        textures: Those that faces have.
        texture_of: The texture of each face (F,), -1 for none.
        places: Where the corners are in it (F, 3, 2): shares of its width from the left and of its height from the top.
        colors: RGB of corners (F, 3, 3) in [0, 1] by which the color of the face is multiplied; None: white.
        normals: Unit vectors at corners (F, 3, 3) that light falls on, as the winding of the face has them; zeros
            where none are known; None: faces are flat.
        emission: RGB (F, 3) in [0, 1] that faces give off; None: nothing.
        gloss: Strength of the highlight of the directional light, in [0, 1].

    Raises:
        InvalidMeshError: An array has another form, or a number is out of range.
    """

    texture_of: Int32Array
    textures: tuple[Texture, ...] = ()
    places: Float32Array | None = None
    colors: Float32Array | None = None
    normals: Float32Array | None = None
    emission: Float32Array | None = None
    gloss: float = 0.0

    def __post_init__(self) -> None:
        count = len(self.texture_of)
        object.__setattr__(self, "texture_of", _frozen(self.texture_of, np.int32))
        for name, shape in (("places", (3, 2)), ("colors", (3, 3)), ("normals", (3, 3)), ("emission", (3,))):
            given = getattr(self, name)
            if given is None:
                continue
            if np.shape(given) != (count, *shape) or not np.isfinite(given).all():
                raise InvalidMeshError(f"{name} of a surface are finite numbers {(count, *shape)}, got {given.shape}")
            if name in {"colors", "emission"} and not ((given >= 0) & (given <= 1)).all():
                raise InvalidMeshError(f"{name} of a surface must lie in [0, 1]")
            object.__setattr__(self, name, _frozen(given, np.float32))
        has_texture = self.texture_of >= 0
        if (self.texture_of >= len(self.textures)).any() or (has_texture.any() and self.places is None):
            raise InvalidMeshError("a face of a surface has a texture that is not there, or no places in it")
        if not 0 <= self.gloss <= 1:
            raise InvalidMeshError(f"gloss {self.gloss} of a surface must lie in [0, 1]")

    @classmethod
    def plain(cls, count: int) -> Surface:
        """That of faces with nothing on them."""
        return cls(np.full(count, -1, dtype=np.int32))

    @property
    def is_plain(self) -> bool:
        """Whether it changes nothing."""
        return self.gloss == 0.0 and not self.textures and all(part is None for _, part in self._arrays())

    def take(self, rows: IntArray) -> Surface:
        """That of some of the faces."""
        chosen: dict[str, Any] = {name: None if part is None else part[rows] for name, part in self._arrays()}
        return replace(self, texture_of=self.texture_of[rows], **chosen)

    def turned_over(self) -> Surface:
        """That of faces whose corners are in the opposite order."""
        parts = {name: part for name, part in self._arrays() if part is not None and part.ndim == 3}
        turned: dict[str, Any] = {
            name: part[:, ::-1] * (-1 if name == "normals" else 1) for name, part in parts.items()
        }
        return replace(self, **turned)

    def moved(self, matrix: FloatArray) -> Surface:
        """That of a mesh whose vertices a matrix (3, 3) has multiplied from the left; `turned_over` is for mirrors."""
        if self.normals is None:
            return self
        turned = self.normals.astype(np.float64) @ np.linalg.inv(matrix)  # the inverse transpose, on rows
        return replace(self, normals=unit(turned).astype(np.float32))

    def parts(self) -> Iterator[tuple[str, Any]]:
        """What its looks depend on, for digests."""
        yield f"gloss{self.gloss!r}", self.texture_of
        for name, part in self._arrays():
            if part is not None:
                yield name, part + np.float32(0.0)
        for texture in self.textures:
            yield from texture.parts()

    def digest_into(self, sha: hashlib._Hash) -> None:
        """Feed `parts` to a hash."""
        for name, part in self.parts():
            sha.update(f"{name}{part.dtype.str}{part.shape}".encode())
            sha.update(part.tobytes())

    def _arrays(self) -> tuple[tuple[str, Float32Array | None], ...]:
        return tuple((name, getattr(self, name)) for name in ("places", "colors", "normals", "emission"))


def join_surfaces(surfaces: Sequence[Surface | None], counts: Sequence[int]) -> Surface | None:
    """The surface of meshes put into one; None where none has any. The gloss is that of the first.

    Args:
        surfaces: Theirs.
        counts: How many faces each has.
    """
    known = [found for found in surfaces if found is not None]
    if not known:
        return None
    textures = tuple(dict.fromkeys(texture for surface in known for texture in surface.textures))
    place = {texture: number for number, texture in enumerate(textures)}
    whole = [found or Surface.plain(count) for found, count in zip(surfaces, counts, strict=True)]
    texture_of = [
        np.array([*map(place.get, own.textures), -1], dtype=np.int32)[own.texture_of]  # -1 is the last one
        for own in whole
    ]
    joined: dict[str, Float32Array | None] = {}
    for name, shape, fill in (
        ("places", (3, 2), 0.0),
        ("colors", (3, 3), 1.0),
        ("normals", (3, 3), 0.0),
        ("emission", (3,), 0.0),
    ):
        parts = [getattr(own, name) for own in whole]
        if all(part is None for part in parts):
            continue
        joined[name] = np.concatenate([
            np.full((count, *shape), fill, dtype=np.float32) if part is None else part
            for part, count in zip(parts, counts, strict=True)
        ])
    return Surface(np.concatenate(texture_of), textures, gloss=known[0].gloss, **joined)


PERIODS: Final = {"repeat": 1.0, "clamp": np.inf, "mirror": 2.0}
"""After which step places of a texture are the same again."""

SAME_CORNER: Final = 1e-3
"""Colors, places and normals of a corner that differ by less go on across an edge."""


def lit_normals(surface: Surface, flat: FloatArray) -> FloatArray:
    """Normals of corners (F, 3, 3) that light falls on, given those of the faces (F, 3): on the same side as these."""
    flat = np.repeat(flat[:, None], 3, axis=1)
    if surface.normals is None:
        return flat
    known = (np.abs(surface.normals).max(axis=2) > 0)[..., None]
    normals = np.where(known, surface.normals, flat)
    return np.where((normals * flat).sum(axis=2, keepdims=True) < 0, -normals, normals)


def goes_on(
    surface: Surface, albedo: Float32Array, flat: FloatArray, faces: Int32Array, sides: tuple[IntArray, IntArray]
) -> np.typing.NDArray[np.bool_]:
    """Whether the look of a surface has no step at edges (E,) between two faces.

    Args:
        surface: It.
        albedo: Colors of faces (F, 3).
        flat: Normals of faces (F, 3).
        faces: (F, 3).
        sides: For each edge, of the one and of the other face three times its number, and which corner is opposite.
    """
    (one, other), (apex, other_apex) = (np.divmod(side, 3)[0] for side in sides), (side % 3 for side in sides)
    same = np.array(surface.texture_of[one] == surface.texture_of[other])
    textures = surface.texture_of[one]
    normals = lit_normals(surface, flat)
    # Faces of one winding run along their edge in opposite senses.
    is_turned = faces[one, (apex + 1) % 3] == faces[other, (other_apex + 1) % 3]
    for step in (1, 2):
        corner = (apex + step) % 3
        partner = (other_apex + np.where(is_turned, step, 3 - step)) % 3
        sign = np.where(is_turned, -1.0, 1.0)[:, None]
        gaps = [normals[one, corner] - sign * normals[other, partner]]
        if surface.colors is None:
            gaps.append(albedo[one] - albedo[other])
        else:
            gaps.append(albedo[one] * surface.colors[one, corner] - albedo[other] * surface.colors[other, partner])
        if surface.places is not None and surface.textures:
            gap = (surface.places[one, corner] - surface.places[other, partner]).astype(np.float64)
            periods = np.array([[PERIODS[wrap] for wrap in own.wraps] for own in surface.textures])[textures]
            gap -= np.where(np.isfinite(periods), np.round(gap / periods) * np.minimum(periods, 2.0), 0.0)
            gaps.append(np.where(textures[:, None] >= 0, gap, 0.0))
        if surface.emission is not None:
            gaps.append(surface.emission[one] - surface.emission[other])
        for gap in gaps:
            same &= np.abs(gap).max(axis=1) < SAME_CORNER
    return same


def unit(vectors: FloatArray) -> FloatArray:
    """Vectors (..., 3) scaled to length 1; zeros stay."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors, dtype=np.float64), where=length > 0))


def linear_light(shares: FloatArray) -> FloatArray:
    """Linear light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def display_values(light: FloatArray) -> FloatArray:
    """Values in sRGB of linear light in [0, 1]: the inverse of `linear_light`."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


LINEAR: Final[Float32Array] = linear_light(np.arange(256) / 255.0).astype(np.float32)
"""Linear light of each byte."""


def shrunk(pixels: UInt8Array, height: int, width: int) -> UInt8Array:
    """Pixels (H, W, 4) averaged to fewer, exactly by area, in linear light, each weighted by its alpha.

    In strips, so that memory stays within some times that of the result.
    """
    rows = np.empty((height, pixels.shape[1], 4), dtype=np.float32)
    strip = max(1, 2**21 // pixels.shape[0])
    for start in range(0, pixels.shape[1], strip):
        some = pixels[:, start : start + strip]
        light = np.empty(some.shape, dtype=np.float32)
        light[..., 3] = some[..., 3] / np.float32(255.0) + np.float32(1e-6)  # where all is clear, colors still count
        light[..., :3] = LINEAR[some[..., :3]] * light[..., 3:]
        rows[:, start : start + strip] = _averaged(light, height)
    result = np.empty((height, width, 4), dtype=np.uint8)
    strip = max(1, 2**21 // pixels.shape[1])
    for start in range(0, height, strip):
        light = _averaged(rows[start : start + strip].transpose(1, 0, 2), width).transpose(1, 0, 2)
        alpha = light[..., 3:]
        colors = display_values(np.clip(light[..., :3] / alpha, 0.0, 1.0))
        shares = np.concatenate([colors, np.clip(alpha, 0.0, 1.0)], axis=2)
        result[start : start + strip] = np.round(shares * 255.0)
    return result


def _averaged(values: np.typing.NDArray[Any], count: int) -> np.typing.NDArray[Any]:
    """Rows (N, ...) averaged to `count`, each over N / count rows and parts of rows."""
    length = len(values)
    if length == count:
        return values
    if length % count == 0:
        return values.reshape(count, length // count, *values.shape[1:]).mean(axis=1)  # type: ignore[no-any-return]
    sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0, dtype=np.float64)])
    bounds = np.arange(count + 1) * (length / count)
    whole = np.minimum(bounds.astype(np.int64), length - 1)
    at = sums[whole] + (bounds - whole).reshape(-1, *[1] * (values.ndim - 1)) * values[whole]
    return np.diff(at, axis=0) * (count / length)


def _frozen(array: np.typing.ArrayLike, dtype: type) -> Any:
    copy: np.typing.NDArray[Any] = np.array(array, dtype=dtype, order="C")
    copy.setflags(write=False)
    return copy
