"""What ids say of the surroundings of an object, read into what a renderer draws: background, ground, occluder.

- `background=file:PATH` or `folder:PATH#NAME`: one picture; `folder:PATH`: one of a folder, by `background_seed`, or
  by the parameter `background_choice` where the space has it; `panorama:PATH`: an equirectangular one, which the camera
  turns before. A picture is cut to a square, the largest in its middle or `background_crop=LEFT:TOP:SIDE`: its left and
  upper border as shares of width and height, its side as a share of the shorter of these.
- `ground=plane` or `ground=shadow`.
- `occluder=rectangle`, `rectangle:RRGGBB` (its color; gray) or `rectangle:RRGGBB:ASPECT` (width by height); or a mesh
  as a shape is named: `file:PATH`, `folder:PATH#NAME`, `sh3f:PATH#NAME`.

Paths and names are escaped as in shapes.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from typing import Final

import numpy as np
from PIL import Image

from semrob_env.errors import InvalidParameterError, InvalidPictureError, LibraryError, UnknownNameError
from semrob_env.scene.pictures import Pixels, picture_files, picture_in, read_picture
from semrob_env.scene.renderers.surrounded import Backdrop, Occluder
from semrob_env.scene.sources import canonical_source, load_shape
from semrob_env.scene.sources.photos import canonical_photo, split_photo
from semrob_env.scene.sources.texts import source_text, unescape
from semrob_env.sequences import hashed_uniform

PANORAMA: Final = "panorama"

MOST_CHOICES: Final = 256
"""Most pictures of a folder that `background_choice` goes through: all of them are kept in memory."""

RECTANGLE: Final = "rectangle"


def canonical_background(text: str) -> str:
    """The one spelling of a background; no file is read.

    Raises:
        UnknownNameError: Not of the grammar.
        LibraryError: No folder of that path.
        MissingFileError: The folder has no such picture.
    """
    if not text:
        return ""
    kind, _, rest = text.partition(":")
    if kind == PANORAMA and rest:
        return source_text(PANORAMA, unescape(rest))
    if kind == "folder" and rest and "#" not in rest:
        if not os.path.isdir(unescape(rest)):
            raise LibraryError(f"background {unescape(rest)}: no such folder; give a folder of pictures")
        return source_text("folder", unescape(rest))
    if kind not in ("file", "folder") or not rest:
        raise UnknownNameError(
            f"unknown background {text!r}; write file:PATH, folder:PATH, folder:PATH#NAME or {PANORAMA}:PATH"
        )
    return canonical_photo(text)


def load_backdrop(text: str, crop: str, seed: int, size: int, *, is_chosen: bool) -> Backdrop | None:
    """What a background is drawn from; None where there is none.

    Args:
        text: See the module.
        crop: See the module; empty: the largest square in the middle.
        seed: Chooses from a folder.
        size: Side of the images.
        is_chosen: Whether `background_choice` is a parameter: all pictures of a folder are wanted.

    Raises:
        InvalidParameterError: A crop that cannot be read or does not fit, or is of a panorama; or there is none.
        LibraryError: A folder without pictures, or with too many to choose from.
        InvalidPictureError, MissingFileError, RefusedFileError, UnknownNameError: As `read_picture` and above.
    """
    if not text:
        if crop:
            raise InvalidParameterError(f"background_crop {crop!r} without a background; give background=file:PATH")
        return None
    kind, _, rest = text.partition(":")
    if kind == PANORAMA:
        if crop:
            raise InvalidParameterError(f"background_crop {crop!r}: a panorama is shown whole; leave it out")
        pixels = _panorama(unescape(rest), size)
        return Backdrop(pixels[None], True, _digest(pixels))
    if kind == "folder" and "#" not in rest:
        root = unescape(rest)
        names = picture_files(root)
        if is_chosen and len(names) > MOST_CHOICES:
            raise LibraryError(f"{root}: {len(names)} pictures; background_choice goes through at most {MOST_CHOICES}")
        if not is_chosen:
            drawn = hashed_uniform(f"background {seed}".encode(), (1,))[0]
            names = (names[int(drawn * len(names))],)
        paths = [picture_in(root, name) for name in names]
    else:
        paths = [split_photo(text)]
    pictures = np.stack([_square(path, crop, size) for path in paths])
    return Backdrop(pictures, False, _digest(pictures))


def _digest(pixels: Pixels) -> str:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _square(path: str, crop: str, size: int) -> Pixels:
    """The part of a picture that is shown, at the size of the images."""
    pixels = read_picture(path).pixels
    height, width = pixels.shape[:2]
    short = min(height, width)
    if crop:
        left, top, share = _crop(crop)
        x, y, side = left * width, top * height, share * short
        if x + side > width + 1e-6 or y + side > height + 1e-6:
            raise InvalidParameterError(
                f"background_crop {crop!r} leaves {path}; give a smaller side, or less left or top"
            )
    else:
        side = short
        x, y = (width - side) / 2, (height - side) / 2
    box = (x, y, min(x + side, width), min(y + side, height))
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box, reducing_gap=None))


def _crop(text: str) -> tuple[float, float, float]:
    try:
        left, top, side = (float(part) for part in text.split(":"))
    except ValueError:
        left = top = side = math.nan
    if not (0 <= left < 1 and 0 <= top < 1 and 0 < side <= 1):
        raise InvalidParameterError(f"background_crop {text!r}: write LEFT:TOP:SIDE, shares in [0, 1], as 0.2:0:0.5")
    return left, top, side


def _panorama(path: str, size: int) -> Pixels:
    """A panorama with about one pixel for one of an image with the default lens."""
    pixels = read_picture(path).pixels
    height, width = pixels.shape[:2]
    if not 1.9 <= width / height <= 2.1:
        raise InvalidPictureError(f"{path}: {width} x {height} pixels; a panorama is twice as wide as high")
    wide = min(width, round(np.pi * size / np.tan(np.deg2rad(30))))
    if wide == width:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((wide, max(1, wide // 2)), Image.Resampling.BICUBIC))


def canonical_occluder(text: str) -> str:
    """The one spelling of an occluder; errors as `read_occluder`, but no mesh is read."""
    if not text or text.partition(":")[0] == RECTANGLE:
        _rectangle(text)
        return text
    return canonical_source(text)


def read_occluder(text: str, colors: str) -> Occluder | None:
    """What is in front; None where nothing is.

    Args:
        text: See the module.
        colors: Of a mesh, as that of `load_shape`.

    Raises:
        InvalidParameterError: A rectangle of no color or shape, or a procedural shape.
        UnknownNameError, AmbiguousNameError, LibraryError, InvalidMeshError: The mesh cannot be used or found.
    """
    if not text or text.partition(":")[0] == RECTANGLE:
        return _rectangle(text)
    if text.startswith("procedural:"):
        raise InvalidParameterError(f"occluder {text!r}: give a rectangle or a mesh from a file")
    return Occluder(mesh=load_shape("", text, colors))


def _rectangle(text: str) -> Occluder | None:
    if not text:
        return None
    read = re.fullmatch(rf"{RECTANGLE}(?::([0-9a-fA-F]{{6}})(?::([0-9.]{{1,9}}))?)?", text)
    try:
        aspect = float(read[2] or 1) if read else math.nan
    except ValueError:
        aspect = math.nan
    if read is None or not 0.05 <= aspect <= 20:
        raise InvalidParameterError(
            f"occluder {text!r}: write {RECTANGLE}, {RECTANGLE}:RRGGBB or {RECTANGLE}:RRGGBB:ASPECT (0.05 to 20), or a "
            "mesh as file:PATH"
        )
    red, green, blue = (int(read[1][at : at + 2], 16) / 255 for at in (0, 2, 4)) if read[1] else (0.5,) * 3
    return Occluder((red, green, blue), aspect)
