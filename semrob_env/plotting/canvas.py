"""What all figures share: their style, colors, titles, legends, and saving whole files.

Figures look alike whatever a user's matplotlibrc says, and leave no trace in the global state of matplotlib.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from semrob_env.errors import OutputError

try:
    import matplotlib
except UnicodeError as error:  # of a user's matplotlibrc, which is read as it is imported
    raise OutputError(
        f"matplotlib cannot read its settings ({error}); mend or remove the file matplotlibrc of this folder, of "
        "MATPLOTLIBRC or of your home, and run the same command again"
    ) from error
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from semrob_env.files import encodable, write_whole

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe & Ito (2008), https://jfly.uni-koeln.de/color/: told apart by colour-blind readers."""

SCORE_MAP = "cividis"  # colour map of scores: even in lightness, the same to colour-blind readers

DOTS_PER_INCH = 130

_turn = threading.RLock()  # the style is global while a figure is drawn
_STYLE = {
    name: value
    for name, value in matplotlib.rcParamsDefault.items()
    if not name.startswith(("backend", "webagg", "interactive", "toolbar", "timezone", "date.epoch", "docstring"))
}


@contextmanager
def plain_style() -> Iterator[None]:
    """Matplotlib's own defaults, whatever a user's matplotlibrc says; also a decorator of what draws."""
    with _turn, matplotlib.rc_context(_STYLE):
        yield


def color_of(index: int) -> str:
    """The color of the palette for the index-th thing; they begin anew after the last one."""
    return PALETTE[index % len(PALETTE)]


def colors_of(names: Iterable[str]) -> dict[str, str]:
    """A color for each name, equal names once."""
    return {name: color_of(index) for index, name in enumerate(dict.fromkeys(names))}


@plain_style()
def titled_figure(width: float, height: float, title: str, *, size: float = 10) -> Figure:
    """A figure of a size in inches that finds room for all its parts, below a title of a size in points."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=size)
    return figure


def label_axes(axis: Axes, *, title: str = "", x: str = "", y: str = "", ticks: float = 8) -> None:
    """Small texts: title above, labels at both axes, and numbers of a size in points."""
    axis.set_title(title, fontsize=9)
    axis.set_xlabel(x, fontsize=8)
    axis.set_ylabel(y, fontsize=8)
    axis.tick_params(labelsize=ticks)


def panels_of(figure: Figure, count: int, columns: int, *, sharex: bool = False, sharey: bool = False) -> list[Axes]:
    """Axes of `count` panels, row by row in so many columns; what is left over in the last row is empty."""
    grid = figure.subplots(-(-count // columns), columns, squeeze=False, sharex=sharex, sharey=sharey)
    for axis in grid.flat[count:]:
        axis.set_axis_off()
    return list(grid.flat[:count])


_LETTER, _HANDLE = 0.56, 4.8
"""Mean width of a letter, and of what stands beside a label of a legend, in sizes of its font."""


def legend_below(figure: Figure, handles: Sequence[Artist], *, columns: int | None = None, size: float = 8) -> None:
    """A legend of labelled handles below all panels: in one line, or in some columns; fewer where labels are long."""
    columns = len(handles) if columns is None else columns
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    columns = max(1, min(columns, int(72 * figure.get_figwidth() / (size * (_LETTER * longest + _HANDLE)))))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=size, frameon=False)


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        shown = text.get_text()
        text.set_text(encodable(shown))
        if "$" in shown and not shown.startswith(r"$\mathdefault"):  # a name, not a number at a logarithmic axis
            text.set_parse_math(False)
    buffer = io.BytesIO()
    with plain_style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")  # of a name: a box stands for it
        figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return write_whole(path, buffer.getvalue())
