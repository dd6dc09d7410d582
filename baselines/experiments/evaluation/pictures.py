"""Pictures of an evaluation: renderings of any of its views again, small, as data that a page can hold."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import final

import numpy as np
from PIL import Image

from baselines.experiments.evaluation.looks import Looks, answers_at, scene_of
from baselines.experiments.functions import Functions
from semrob_env.scene.classifiers.base import Answer
from semrob_env.scene.images import picture
from semrob_env.types import Float32Array, FloatArray

QUALITY = 72
"""Of JPEG."""


@final
class ReportPictures:
    """Draws views of evaluated shapes, as their network sees them; no query.

    Args:
        functions: Where the functions are found.
    """

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def images(self, function_id: str, theta: FloatArray) -> Float32Array:
        """Pictures (N, 3, H, W) in [0, 1] at views (N, n)."""
        function, member = scene_of(self._functions, function_id)
        return function.images(theta, member)

    def answers(self, function_id: str, looks: Looks, place: int) -> tuple[Answer, ...]:
        """The first answers at one of some looks, with their names."""
        return answers_at(scene_of(self._functions, function_id)[0], looks, place)

    def image(self, function_id: str, theta: Sequence[float]) -> Float32Array:
        """A picture (3, H, W)."""
        image: Float32Array = self.images(function_id, np.array([theta]))[0]
        return image


def thumbnails(images: Float32Array, side: int) -> list[Image.Image]:
    """Pictures (N, 3, H, W) at another side in pixels."""
    return [picture(image).resize((side, side), Image.Resampling.LANCZOS) for image in images]


def sheet(cells: Sequence[Image.Image], columns: int) -> Image.Image:
    """Pictures of one size as one, row by row from the top left."""
    side = cells[0].width
    rows = -(-len(cells) // columns)
    whole = Image.new("RGB", (columns * side, rows * side))
    for place, cell in enumerate(cells):
        whole.paste(cell, (place % columns * side, place // columns * side))
    return whole


def data_uri(image: Image.Image) -> str:
    """A picture as `data:image/jpeg;base64,...`."""
    data = io.BytesIO()
    image.save(data, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


def png_bytes(image: Float32Array) -> bytes:
    """An image (3, H, W) in [0, 1] as a PNG file."""
    data = io.BytesIO()
    picture(image).save(data, "PNG", optimize=True)
    return data.getvalue()
