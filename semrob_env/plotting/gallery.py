"""A contact sheet: rows of pictures with a few lines of text under each."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from semrob_env.errors import InvalidParameterError
from semrob_env.plotting.canvas import DOTS_PER_INCH, PALETTE, plain_style
from semrob_env.scene.images import picture
from semrob_env.types import Float32Array

CELL = 168  # side of a picture on the sheet, in pixels
GAP = 8  # between pictures, in pixels
LINE = 15  # height of a line of text, in pixels
LABEL = 110  # width of the column of labels, in pixels
LETTERS = 24  # most letters of a line under a picture
LABEL_LETTERS, LABEL_LINES = 13, 8  # most letters of a line of a label, and most lines
MOST_PIXELS = 30_000  # largest side of a sheet


@final
@dataclass(frozen=True, eq=False)
class Cell:
    """One picture of the sheet."""

    image: Float32Array | None  # (3, H, W) in [0, 1], or None where there is nothing to show
    lines: tuple[str, ...]  # text under it; an entry that is too long goes on in the next line, at a comma
    is_marked: bool = False  # whether its text is drawn in a warning colour


@plain_style()
def gallery_figure(rows: Sequence[tuple[str, Sequence[Cell]]], *, title: str) -> Figure:
    """The sheet, one row a label.

    Args:
        rows: Label and pictures of each row.
        title: Above all.

    Raises:
        InvalidParameterError: No picture, or too many for one sheet.
    """
    columns = max((len(cells) for _, cells in rows), default=0)
    fitted = [[[line for text in cell.lines for line in fitted_lines(text)] for cell in cells] for _, cells in rows]
    text_lines = max((len(lines) for cells in fitted for lines in cells), default=0)
    pitch = CELL + GAP, CELL + text_lines * LINE + 2 * GAP
    width = LABEL + columns * pitch[0] + GAP
    heading = textwrap.wrap(title, int(1.1 * LETTERS * (width - 2 * GAP) / CELL) - LETTERS // 3)
    head = int(1.5 * LINE * len(heading)) + 2 * GAP
    height = head + len(rows) * pitch[1]
    if not columns or max(width, height) > MOST_PIXELS:
        raise InvalidParameterError(
            f"a sheet of {len(rows)} rows and {columns} columns cannot be drawn: give at least one shape, "
            f"and not more than {(MOST_PIXELS - head) // pitch[1]} rows of {(MOST_PIXELS - LABEL) // pitch[0]}"
        )
    sheet = np.ones((height, width, 3), dtype=np.float32)
    # One picture for the whole sheet and one axis in pixels: hundreds of axes take minutes.
    figure = Figure(figsize=(width / DOTS_PER_INCH, height / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
    axis = figure.add_axes((0, 0, 1, 1))
    size = 72 * 0.72 * LINE / DOTS_PER_INCH
    plain: dict[str, Any] = {"va": "center", "parse_math": False}
    axis.text(GAP, head / 2, "\n".join(heading), fontsize=1.3 * size, **plain)
    for row, (label, cells) in enumerate(rows):
        top = head + row * pitch[1]
        told = textwrap.wrap(label.replace("/", "/ "), LABEL_LETTERS, break_on_hyphens=False)[:LABEL_LINES]
        axis.text(GAP, top + CELL / 2, "\n".join(told), fontsize=1.15 * size, **plain)
        for column, cell in enumerate(cells):
            left = LABEL + column * pitch[0]
            sheet[top : top + CELL, left : left + CELL] = _scaled(cell.image)
            color = PALETTE[1] if cell.is_marked else "black"
            for number, shown in enumerate(fitted[row][column]):
                down = top + CELL + (number + 0.7) * LINE
                axis.text(left + CELL / 2, down, shown, fontsize=size, ha="center", color=color, **plain)
    axis.imshow(sheet, extent=(0, width, height, 0), interpolation="nearest", aspect="auto")
    axis.set_axis_off()
    return figure


def fitted_lines(text: str, letters: int = LETTERS) -> list[str]:
    """A text in lines of so many letters: broken at commas, then names are shortened, numbers never."""
    lines: list[str] = []
    for part in (_fitted(part, letters) for part in text.split(", ")):
        if lines and len(lines[-1]) + 2 + len(part) <= letters:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return lines


def _fitted(part: str, letters: int) -> str:
    """`a very long name 0.53` as `a very lon… 0.53`."""
    if len(part) <= letters:
        return part
    last = re.search(r"(?: [-+\d.,%]+)+$", part)
    tail = last[0] if last else ""
    return f"{part[: max(letters - 1 - len(tail), 0)].rstrip()}…{tail}"


def _scaled(image: Float32Array | None) -> Float32Array:
    if image is None:
        return np.full((CELL, CELL, 3), 0.85, dtype=np.float32)
    resized = picture(image).resize((CELL, CELL), Image.Resampling.LANCZOS)
    scaled: Float32Array = np.asarray(resized, dtype=np.float32) / np.float32(255.0)
    return scaled
