"""Pictures from files: photographs and backgrounds, upright and in RGB, whatever their format, bounded in size."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from semrob_env.containment import files_below, inside, is_plain
from semrob_env.errors import InvalidPictureError, LibraryError, MissingFileError, RefusedFileError
from semrob_env.files import FileCache, read_regular
from semrob_env.scene.opened_images import opened_image, require_whole

FORMATS: Final = ("PNG", "JPEG", "GIF", "BMP", "TGA", "TIFF", "WEBP", "AVIF", "PPM")
"""Image formats that are read; Pillow knows others, one of which runs a program."""

SUFFIXES: Final = frozenset((
    ".png",
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".gif",
    ".bmp",
    ".tga",
    ".tif",
    ".tiff",
    ".webp",
    ".avif",
    ".ppm",
    ".pgm",
))
"""Endings by which a picture is found in a folder."""

MOST_BYTES: Final = 512 * 2**20
"""Largest file."""

MOST_PIXELS: Final = 8192 * 8192
"""Largest picture: 200 MB once it is read."""

MOST_PICTURES: Final = 100_000
"""Most pictures of a folder."""

Pixels = npt.NDArray[np.uint8]


@final
@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that was read.

    Attributes:
        pixels: (H, W, 3), row 0 on top.
        digest: SHA-256 of its pixels, for run keys.
    """

    pixels: Pixels
    digest: str


_KEPT: FileCache[Picture] = FileCache(2)  # of 200 MB each at most


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """The picture in a file, turned upright as its EXIF says, transparency over white; kept until the file changes.

    16 bits a channel are divided down to 8, palettes, gray and CMYK become RGB; color profiles are not applied.

    Raises:
        MissingFileError: It cannot be read.
        RefusedFileError: No regular file, or one that is too large.
        InvalidPictureError: No picture, a broken or an animated one, or one of too many pixels.
    """
    return _KEPT.get(os.path.abspath(path), lambda: _read(str(path)))


def _read(path: str) -> Picture:
    data = read_regular(path, MOST_BYTES)
    try:
        with opened_image(data, FORMATS) as image:
            pixels = _pixels(image, path, data)
    except InvalidPictureError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own bound, before it tells the size
        raise _too_large(path, "far too many") from error
    except Exception as error:  # fed with a broken file it may raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = f"no picture that is read ({', '.join(FORMATS)})"
        raise InvalidPictureError(f"{path}: {reason}; save it anew as PNG or JPEG") from error
    pixels.flags.writeable = False
    return Picture(pixels, hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest())


def _pixels(image: Image.Image, path: str, data: bytes) -> Pixels:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise _too_large(path, f"{width} x {height}")
    require_whole(data, image)
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1 and image.format != "MPO":  # whose further pictures are for depth or another eye
        raise InvalidPictureError(f"{path}: {frames} pictures in one file; save the one that is meant as PNG or JPEG")
    turned = ImageOps.exif_transpose(image)
    if turned.mode == "F":
        raise InvalidPictureError(f"{path}: its pixels are real numbers, without a white; save it anew as PNG")
    if turned.mode.startswith("I"):  # Pillow's own conversion cuts off instead of dividing
        values = np.asarray(turned).astype(np.int64)
        if values.min() < 0 or values.max() >= 2**16:
            raise InvalidPictureError(f"{path}: its pixels have more than 16 bits; save it anew as PNG")
        return np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2)
    if turned.has_transparency_data:
        turned = turned.convert("RGBA")
        white = Image.new("RGBA", turned.size, "white")
        white.alpha_composite(turned)
        turned = white
    return np.array(turned.convert("RGB"))


def _too_large(path: str, given: str) -> InvalidPictureError:
    return InvalidPictureError(f"{path}: {given} pixels; at most {MOST_PIXELS} are read, as 8192 x 8192; scale it down")


def picture_files(root: str) -> tuple[str, ...]:
    """Every picture file below a folder by its path there, in the order of names; links that lead outside do not count.

    Raises:
        LibraryError: No such folder, no picture in it, or too many.
    """
    if not os.path.isdir(root):
        raise LibraryError(f"{root}: no such folder; give a folder of pictures ({' '.join(sorted(SUFFIXES))})")
    found = []
    for name in map(str, files_below(root, SUFFIXES)):
        found.append(name)
        if len(found) > MOST_PICTURES:
            raise LibraryError(f"{root}: more than {MOST_PICTURES} pictures; give a folder of fewer")
    if not found:
        raise LibraryError(f"{root}: no picture ({' '.join(sorted(SUFFIXES))}) in this folder or below it")
    return tuple(sorted(found))


def has_pictures(root: str) -> bool:
    """Whether there is a picture below a folder."""
    return os.path.isdir(root) and next(files_below(root, SUFFIXES), None) is not None


def picture_in(root: str, name: str) -> str:
    """The path of a picture of a folder.

    Raises:
        MissingFileError: There is none of that name, or it lies outside.
    """
    try:
        if is_plain(name) and os.path.isfile(Path(root) / name):
            inside(Path(root), name)
            return str(Path(root) / name)
    except RefusedFileError as error:
        raise MissingFileError(f"{root}: {error}, or give the folder that the link leads to") from error
    raise MissingFileError(f"{root}: there is no picture {name!r} in it; give its path below the folder")
