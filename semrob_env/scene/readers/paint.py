"""Colors of faces: mean colors of their corners, textures at their middles, and textures as a whole."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from PIL import Image, UnidentifiedImageError

from semrob_env.errors import InvalidMeshError, LookWarning
from semrob_env.scene.opened_images import opened_image, require_whole
from semrob_env.scene.surface import MOST_SIDE, Surface, Texture, UInt8Array, Wrap, shrunk
from semrob_env.types import FloatArray, IntArray

Numbers = np.typing.NDArray[Any]

FORMATS: Final = ("PNG", "JPEG", "GIF", "BMP", "TGA", "TIFF", "WEBP", "AVIF", "DDS", "PPM")
"""Image formats that are read; Pillow knows others, one of which runs a program."""

MAX_TEXTURE_PIXELS: Final = 8192 * 8192
"""Most pixels of one texture."""

MAX_PIXELS: Final = 6 * MAX_TEXTURE_PIXELS
"""Most pixels of all textures of a mesh together."""


@final
@dataclass(frozen=True, eq=False)
class Sample:
    """Faces that a texture colors.

    Attributes:
        image: Which image, by a key of the file.
        albedo: RGB of faces (F, 3), which is multiplied in place.
        rows: The faces (K,) of those that are colored.
        middles: Texture coordinates (K, 2) of their middles, the second upward from the lower edge of the image.
        wraps: Beyond [0, 1], across and along.
        gain, base: The color is base + gain times what the image holds.
    """

    image: Hashable
    albedo: FloatArray
    rows: IntArray
    middles: FloatArray
    wraps: tuple[Wrap, Wrap] = ("repeat", "repeat")
    gain: float = 1.0
    base: float = 0.0


def sample_textures(samples: Sequence[Sample], images: Mapping[Hashable, bytes]) -> None:
    """Multiply albedos by the pixels at the middles of their faces, one image after the other.

    Args:
        samples: What is colored.
        images: The files' bytes; an image that is not among them colors nothing.

    Raises:
        InvalidMeshError: An image cannot be read or is too large.
    """
    left = MAX_PIXELS
    for key in dict.fromkeys(sample.image for sample in samples if sample.image in images):
        pixels = open_image(images[key], str(key), left)
        left -= pixels.shape[0] * pixels.shape[1]
        for sample in samples:
            if sample.image == key:
                across, along = (
                    _wrapped(np.nan_to_num(sample.middles[:, axis]), sample.wraps[axis]) for axis in range(2)
                )
                column = np.minimum((across * pixels.shape[1]).astype(np.int64), pixels.shape[1] - 1)
                row = np.minimum(((1.0 - along) * pixels.shape[0]).astype(np.int64), pixels.shape[0] - 1)
                found = pixels[row, column] / 255.0
                if (sample.gain, sample.base) != (1.0, 0.0):
                    found = np.clip(sample.base + sample.gain * found, 0.0, 1.0)
                sample.albedo[sample.rows] *= found


def _wrapped(places: FloatArray, wrap: Wrap) -> FloatArray:
    if wrap == "clamp":
        return np.clip(places, 0.0, 1.0)
    if wrap == "mirror":
        return 1.0 - np.abs(places % 2.0 - 1.0)
    return places % 1.0


def open_image(data: bytes, name: str, most_pixels: int, mode: str = "RGB") -> UInt8Array:
    """The pixels (height, width, channels) of an image file, in a mode of Pillow: RGB or RGBA.

    Raises:
        InvalidMeshError: It cannot be read, or has too many pixels.
    """
    try:
        with opened_image(data, FORMATS) as image:
            width, height = image.size
            if width * height <= min(MAX_TEXTURE_PIXELS, most_pixels):
                require_whole(data, image)
                if image.mode[0] in "IF":  # Pillow's own conversion cuts off instead of dividing
                    levels = np.asarray(image)
                    if image.mode == "F" or levels.min(initial=0) < 0 or levels.max(initial=0) >= 2**16:
                        raise InvalidMeshError("its pixels are neither of 8 nor of 16 bits")
                    return np.asarray(Image.fromarray((levels >> 8).astype(np.uint8)).convert(mode))
                return np.asarray(image.convert(mode))
    except Exception as error:  # fed with a broken file it may raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = f"no image that is read ({', '.join(FORMATS)})"
        hint = "scale it down" if isinstance(error, Image.DecompressionBombError) else "save it anew as PNG"
        raise InvalidMeshError(f"its texture {name!r} cannot be read: {reason}; {hint}") from error
    raise InvalidMeshError(
        f"its texture {name!r} has {width} x {height} pixels; a texture may have {MAX_TEXTURE_PIXELS}, "
        f"all of a mesh {MAX_PIXELS}; scale it down"
    )


@final
class Images:
    """The textures of a file, each image read once and averaged down to `MOST_SIDE` pixels a side."""

    def __init__(self) -> None:
        self._left = MAX_PIXELS
        self._pixels: dict[Hashable, UInt8Array] = {}
        self._textures: dict[Hashable, Texture] = {}

    def texture(
        self,
        name: str,
        data: bytes | None,
        wraps: tuple[Wrap, Wrap] = ("repeat", "repeat"),
        cutoff: float = 0.0,
        shade: tuple[float, float] = (1.0, 0.0),
    ) -> Texture:
        """A texture.

        Args:
            name: What the file calls the image; of one name there is one image.
            data: Its bytes; None: it is missing.
            wraps: Beyond [0, 1], across and down.
            cutoff: As `Texture`; where the image has no alpha it is 0.
            shade: Gain and base: the color is base + gain times what the image holds.

        Raises:
            InvalidMeshError: It is missing, cannot be read, or is too large.
        """
        if data is None:
            raise InvalidMeshError(
                f"its texture {name[:200]!r} is missing; put it where the file says, or choose colors=material"
            )
        if name not in self._pixels:
            pixels = open_image(data, name, self._left, "RGBA")
            self._left -= pixels.shape[0] * pixels.shape[1]
            height, width = pixels.shape[:2]
            factor = max(1.0, max(height, width) / MOST_SIDE)
            if factor > 1.0:
                pixels = shrunk(pixels, max(1, round(height / factor)), max(1, round(width / factor)))
            self._pixels[name] = pixels
        pixels = self._pixels[name]
        cutoff = 0.0 if (pixels[..., 3] == 255).all() and cutoff <= 1.0 else cutoff
        key = (name, wraps, cutoff, shade)
        if key not in self._textures:
            if shade != (1.0, 0.0):
                pixels = pixels.copy()
                shaded = shade[1] + shade[0] * (pixels[..., :3] / 255.0)
                pixels[..., :3] = np.round(np.clip(shaded, 0.0, 1.0) * 255.0)
            self._textures[key] = Texture(pixels, wraps, cutoff)
        return self._textures[key]


def covered(
    places: FloatArray | None,
    texture_of: IntArray,
    textures: Sequence[Texture],
    colors: FloatArray | None = None,
    normals: FloatArray | None = None,
    emission: FloatArray | None = None,
) -> Surface | None:
    """The surface of F faces as a file gives it; None where it gives nothing.

    Faces whose texture coordinates are no numbers have no texture, which is told; coordinates of textures that repeat
    are brought near to 0, where they are exact.

    Args:
        places: Texture coordinates of corners (F, 3, 2), down from the upper edge.
        texture_of: Texture of each face (F,), -1 for none.
        textures: Those.
        colors: As `Surface`.
        normals: As `Surface`, of any length.
        emission: As `Surface`.
    """
    if places is not None and textures:
        usable = np.asarray(np.isfinite(places).all(axis=(1, 2)))
        if not usable[texture_of >= 0].all():
            count = int((~usable & (texture_of >= 0)).sum())
            tell(f"{count} faces have texture coordinates that are no numbers; they keep their plain color")
        texture_of = np.where(usable, texture_of, -1)
        places = np.clip(np.where(usable[:, None, None], places, 0.0), -1e9, 1e9)
        for axis in range(2):
            step = np.array([{"repeat": 1, "clamp": 0, "mirror": 2}[own.wraps[axis]] for own in textures] + [0])
            own_step = step[texture_of]
            whole = np.floor(places[..., axis].min(axis=1) / np.maximum(own_step, 1)) * own_step
            places[..., axis] -= whole[:, None]
    if normals is not None:
        lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
        normals = np.where(np.isfinite(lengths) & (lengths > 0), normals / lengths, 0.0)
    surface = Surface(
        texture_of.astype(np.int32),
        tuple(textures),
        None if places is None or not textures else places.astype(np.float32),
        None if colors is None else np.clip(np.nan_to_num(colors), 0.0, 1.0).astype(np.float32),
        None if normals is None else normals.astype(np.float32),
        None if emission is None or not emission.any() else np.clip(emission, 0.0, 1.0).astype(np.float32),
    )
    return None if surface.is_plain else surface


def tell(what: str) -> None:
    """Warn once of looks that are not drawn."""
    warnings.warn_explicit(f"not drawn as the file says: {what}", LookWarning, "<mesh>", 1)


def whole_range(colors: Numbers) -> Numbers:
    """Colors of vertices or faces as bytes, or floats in [0, 1]; whole numbers up to 255 are bytes of any type."""
    values = np.asarray(colors, dtype=np.float64)
    top = float(np.nanmax(values, initial=0.0))
    if top > 255.0 and colors.dtype.kind in "iu":
        return values / float(2 ** (8 * colors.dtype.itemsize - (colors.dtype.kind == "i")) - 1)
    is_bytes = colors.dtype.kind in "iu" or (top > 1.0 and bool((np.nan_to_num(values) % 1.0 == 0.0).all()))
    return np.clip(np.nan_to_num(values), 0.0, 255.0).astype(np.uint8) if is_bytes else colors


def eight_bits(colors: Numbers) -> np.typing.NDArray[np.uint8]:
    """Colors in [0, 1] in steps of 1/255; bytes stay."""
    if colors.dtype == np.uint8:
        return colors
    shares = np.where(np.isfinite(colors), colors, np.zeros_like(colors))  # of the same type: roundings depend on it
    return np.asarray(np.clip(shares * 255, 0, 255).round(), dtype=np.uint8)


def corner_means(colors: Numbers, faces: IntArray) -> FloatArray:
    """RGB (F, 3) of faces (F, 3) from colors (V, 3 or 4) of vertices, in steps of 1/255."""
    return np.asarray(eight_bits(colors[:, :3])[faces].mean(axis=1).astype(np.uint8) / 255.0)
