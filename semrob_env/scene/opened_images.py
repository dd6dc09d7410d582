"""Image files opened by Pillow, which writes neither warnings nor log lines about what is odd in them."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from PIL import Image

_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the color type of a PNG
# First column and row, and distances, of the seven passes of an interlaced PNG (its specification, 8.2).
_PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_AT_ONCE: Final = 2**20

_JPEG: Final = ("JPEG", "MPO")
# Second bytes of the markers of a JPEG: those at its end, before another marker, and without a segment behind them.
_END, _FILL, _ALONE = 0xD9, 0xFF, frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
# Bits, and every marker at which decoding may begin again.
_FILLER: Final = b"".join(b"\x55\x2a" * 16 + bytes([0xFF, restart]) for restart in range(0xD0, 0xD8)) + b"\x55\x2a" * 16


@contextmanager
def opened_image(data: bytes, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """The image that a file holds, in one of the formats of Pillow; what Pillow raises comes through."""
    logger = logging.getLogger("PIL")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=formats) as image:
                yield image
    finally:
        logger.setLevel(level)


def require_whole(data: bytes, image: Image.Image) -> None:
    """Refuse a PNG or JPEG whose pixels end early, the rest of which Pillow would call black or gray.

    To be called once its size is known to be allowed. Files of other formats that are cut off, Pillow refuses itself.

    Raises:
        OSError: Its pixels end early.
    """
    if image.format == "PNG":
        _require_whole_png(data)
    elif image.format in _JPEG:
        _require_whole_jpeg(data, image)


def _require_whole_png(data: bytes) -> None:
    header = data.index(b"IHDR") + 4
    width, height, depth, color, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, header)
    bits = depth * _CHANNELS[color]
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    sizes = ((-((left - width) // across), -((top - height) // down)) for left, top, across, down in passes)
    expected = sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 < rows)
    inflate, held = zlib.decompressobj(), 0
    for part in _stored_pixels(data):
        found = _AT_ONCE
        while found == _AT_ONCE and held < expected:  # never all at once: what lies beyond the picture has no bound
            found = len(inflate.decompress(part, _AT_ONCE))
            held, part = held + found, inflate.unconsumed_tail
    if held < expected:
        raise OSError(f"its pixels end early, {held} of {expected} bytes are there")


def _stored_pixels(data: bytes) -> Iterator[bytes]:
    """What a PNG that Pillow has opened holds in its chunks of pixels."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            yield data[at + 8 : at + 8 + length]
        elif kind == b"IEND":
            return
        at += 12 + length


def _require_whole_jpeg(data: bytes, image: Image.Image) -> None:
    """Bits between the last pixel and the end marker are passed over; where pixels are missing, they become some."""
    end = _end_of_scans(data)
    with opened_image(data[:end] + _FILLER + data[end:], _JPEG) as longer:
        if not np.array_equal(np.asarray(image), np.asarray(longer)):
            raise OSError("its pixels end early, before its end marker")


def _end_of_scans(data: bytes) -> int:
    """Where the end marker of an opened JPEG stands (ITU T.81, B.1); without one, the end of the file."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 2 <= len(data):
        kind = data[at + 1]
        if kind == _END:
            return len(data[:at].rstrip(b"\xff"))  # before bytes that fill up
        if kind == _FILL:
            at += 1
        else:
            at += 2 if kind in _ALONE else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return len(data)
