"""What all figures share: colours, and saving without a half-written file. No global state of matplotlib is used."""

from __future__ import annotations

import io
import os
from pathlib import Path

from matplotlib.figure import Figure

from semrob_env.files import write_whole

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe & Ito (2008), https://jfly.uni-koeln.de/color/: told apart by colour-blind readers."""

SCORE_MAP = "cividis"
"""Colour map of scores: even in lightness, the same to colour-blind readers."""

DOTS_PER_INCH = 130


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return write_whole(path, buffer.getvalue())
