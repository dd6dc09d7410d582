"""Image files opened by Pillow, which writes neither warnings nor log lines about what is odd in them."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image


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
