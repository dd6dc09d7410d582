"""Colors of faces: mean colors of their corners, and textures at their middles."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, final

import numpy as np
from PIL import Image, UnidentifiedImageError

from semrob_env.errors import InvalidMeshError
from semrob_env.types import FloatArray, IntArray

Numbers = np.typing.NDArray[Any]

FORMATS: Final = ("PNG", "JPEG", "GIF", "BMP", "TGA", "TIFF", "WEBP", "AVIF", "DDS", "PPM")
"""Image formats that are read; Pillow knows others, one of which runs a program."""

MAX_TEXTURE_PIXELS: Final = 8192 * 8192
"""Most pixels of one texture."""

MAX_PIXELS: Final = 6 * MAX_TEXTURE_PIXELS
"""Most pixels of all textures of a mesh together."""

Wrap = Literal["repeat", "clamp", "mirror"]
"""What a texture is beyond [0, 1]."""


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


def open_image(data: bytes, name: str, most_pixels: int) -> np.typing.NDArray[np.uint8]:
    """The pixels (height, width, 3) of an image file.

    Raises:
        InvalidMeshError: It cannot be read, or has too many pixels.
    """
    logger = logging.getLogger("PIL")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                if width * height <= min(MAX_TEXTURE_PIXELS, most_pixels):
                    if image.mode.startswith("I;16"):  # Pillow's own conversion cuts off instead of dividing
                        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
                    return np.asarray(image.convert("RGB"))
    except Exception as error:  # fed with a broken file it may raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = f"no image that is read ({', '.join(FORMATS)})"
        raise InvalidMeshError(f"its texture {name!r} cannot be read: {reason}; save it anew as PNG") from error
    finally:
        logger.setLevel(level)
    raise InvalidMeshError(
        f"its texture {name!r} has {width} x {height} pixels; a texture may have {MAX_TEXTURE_PIXELS}, "
        f"all of a mesh {MAX_PIXELS}; scale it down"
    )


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
