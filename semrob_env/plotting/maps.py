"""Maps side by side: NSM and DSM in colour, one-dimensional NSM as curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semrob_env.errors import InvalidParameterError
from semrob_env.maps import Trap, network_maps
from semrob_env.maps.means import MEAN
from semrob_env.plotting.canvas import colors_of, legend_below, panels_of, plain_style, titled_figure
from semrob_env.plotting.drawing import axis_label, draw_curve, draw_regions, draw_scores, draw_traps
from semrob_env.recorded import ScoreMaps
from semrob_env.regions import Regions
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.types import FloatArray, IntArray

MOST_PANELS = 60  # most panels of a figure: more would not be read
ONE_PAGE, MOST_COLUMNS = 12, 5  # up to `ONE_PAGE` maps go together whatever they are; most panels side by side

TEXT_INCHES, WIDEST_INCHES, LEGEND_INCHES = 6.4, 5.0, 1.8
"""Width of all panels side by side (the text of a paper), of a panel at most, and of an entry of the legend."""

PANEL_SHAPE = 0.4  # height of a panel over its width


@final
@dataclass(frozen=True, eq=False)
class Grown:
    """Regions to draw on maps."""

    regions: Regions  # B regions
    starts: FloatArray  # their start points (B, n)
    member: IntArray  # the map that each belongs to, (B,)
    labels: tuple[str, ...]  # one text a region; equal texts share a colour and a line of the legend


@final
@dataclass(frozen=True)
class Page:
    """Maps that go into one figure."""

    rows: tuple[int, ...]  # which maps, in the order of the panels
    columns: int  # panels side by side
    suffix: str = ""  # for its file: empty, or `_` and what tells it from the other pages
    title: str = ""  # for its heading: empty, or `CLASS: `


def map_pages(maps: ScoreMaps) -> list[Page]:
    """Pages that show all maps: one if they are few or one a class, else one or more for each class.

    On a page, networks stand below each other and their shapes side by side; where each network has one map of a class,
    classes stand below each other and networks side by side.
    """
    parts = [parts_of(name) for name in maps.names]
    groups: dict[str, list[int]] = {}
    has_one = len({part[:2] for part in parts}) == len(parts)
    together = len(parts) <= ONE_PAGE or (has_one and len(parts) <= MOST_PANELS)
    for row, part in enumerate(parts):
        groups.setdefault("" if together else part[1], []).append(row)
    pages = []
    for class_name, rows in groups.items():
        networks, shapes = (list(dict.fromkeys(parts[row][part] for row in rows)) for part in (0, 2))
        classes = list(dict.fromkeys(parts[row][1] for row in rows))
        if has_one and len(networks) > 1:
            rows.sort(key=lambda row: (classes.index(parts[row][1]), networks.index(parts[row][0])))
            columns = len(networks)
        else:
            columns = max(len(shapes), 2)
        columns = min(columns, len(rows), MOST_COLUMNS)
        for first in range(0, len(rows), MOST_PANELS):
            suffix = (f"_{class_name}" if class_name else "") + (f"_{first}" if first else "")
            title = f"{class_name}: " if class_name else ""
            pages.append(Page(tuple(rows[first : first + MOST_PANELS]), columns, suffix, title))
    return pages


@plain_style()
def maps_figure(
    maps: ScoreMaps,
    *,
    title: str,
    page: Page | None = None,
    limits: tuple[float, float] | None = None,
    traps: Sequence[Trap] = (),
    grown: Grown | None = None,
) -> Figure:
    """Maps of two parameters, one panel each, row by row, on one colour scale.

    Args:
        maps: Some maps.
        title: Above all.
        page: Which maps to draw and how many side by side; None: the only page of `map_pages`.
        limits: Ends of the colour scale; None: those of `draw_scores`. Means are often low.
        traps: Traps of these maps to outline.
        grown: Regions to draw on the maps.

    Raises:
        InvalidParameterError: Not two parameters, or no page is given and there are several.
    """
    if page is None:
        page, *more = map_pages(maps)
        if more:
            raise InvalidParameterError(f"{len(maps)} maps need {1 + len(more)} pages; give one page of map_pages()")
    chosen, columns = page.rows, page.columns
    lines = -(-len(chosen) // columns)
    wide = min(TEXT_INCHES / columns, WIDEST_INCHES)
    height = lines * (wide * PANEL_SHAPE + 0.17) + 0.85 + (0.35 if grown is not None else 0.0)
    figure = titled_figure(max(columns * wide + 0.95, 4.4), height, title, size=9)
    panels = panels_of(figure, len(chosen), columns, sharex=True, sharey=True)
    colors = colors_of(grown.labels if grown is not None else ())
    for at, (panel, row) in enumerate(zip(panels, chosen, strict=True)):
        image = draw_scores(panel, maps, row, limits=limits)
        draw_traps(panel, maps, [trap for trap in traps if trap.row == row])
        if grown is not None:
            own = [index for index, member in enumerate(grown.member) if member == row]
            names = [grown.labels[index] for index in own]
            draw_regions(panel, grown.regions[own], grown.starts[own], names, [colors[name] for name in names])
        panel.set_title(" ".join(part for part in parts_of(maps.names[row]) if part != MEAN), fontsize=7, pad=2)
        panel.tick_params(labelsize=6, length=2, pad=1)
        _label_below(panel, maps, is_last=at + columns >= len(chosen))
    figure.supylabel(axis_label(maps.space.parameters[1]), fontsize=8)
    bar = figure.colorbar(image, ax=figure.axes, pad=0.01, aspect=18 * lines)
    bar.set_label("score", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    if colors:
        look: dict[str, Any] = {"marker": "o", "mec": "white", "lw": 1.6}
        handles = [Line2D([], [], color=color, label=name, **look) for name, color in colors.items()]
        legend_below(figure, handles, columns=max(1, int(figure.get_figwidth() / LEGEND_INCHES)), size=7)
    return figure


@plain_style()
def curves_figure(maps: ScoreMaps, *, title: str) -> Figure:
    """Maps of one parameter, one panel a class: a colour a network, thin lines its shapes, a thick line their mean.

    Args:
        maps: Maps of one parameter, e.g. `section(maps, "azimuth")`.
        title: Above all.

    Raises:
        InvalidParameterError: Not one parameter, or more than `MOST_PANELS` classes.
    """
    names = [parts_of(name) for name in maps.names]
    classes, networks = (list(dict.fromkeys(name[part] for name in names)) for part in (1, 0))
    if len(classes) > MOST_PANELS:
        raise InvalidParameterError(f"{len(classes)} classes: at most {MOST_PANELS} in one figure")
    columns = min(len(classes), 2)
    rows = -(-len(classes) // columns)
    figure = titled_figure(3.5 * columns + 0.4, 1.45 * rows + 1.0, title, size=9)
    panels = panels_of(figure, len(classes), columns, sharex=True, sharey=True)
    colors = colors_of(networks)
    for at, panel in enumerate(panels):
        for drawn, width in ((maps, 0.5), (network_maps(maps), 1.8)):
            for row, (network, class_name, _) in enumerate(map(parts_of, drawn.names)):
                if class_name == classes[at]:
                    draw_curve(panel, drawn, row, color=colors[network], width=width)
        panel.set_title(classes[at], fontsize=8, pad=2)
        panel.tick_params(labelsize=7, length=2)
        _label_below(panel, maps, is_last=at + columns >= len(classes))
        panel.grid(lw=0.3)
    figure.supylabel("score", fontsize=8)
    handles = [Line2D([], [], color=color, lw=1.8, label=name) for name, color in colors.items()]
    handles.append(Line2D([], [], color="grey", lw=0.5, label="thin: single shapes"))
    legend_below(figure, handles, columns=min(5, len(handles)), size=7)
    return figure


def _label_below(panel: Axes, maps: ScoreMaps, *, is_last: bool) -> None:
    """Numbers and name of the first parameter, below the last panel of a column only."""
    panel.tick_params(labelbottom=is_last)
    if is_last:
        panel.set_xlabel(axis_label(maps.space.parameters[0]), fontsize=7, labelpad=1)
