"""Pictures of moments of an episode.

Nothing here is charged: the map behind a region is asked of the function itself, outside any oracle, once a member, and
no answer of it reaches the environment. A `Painter` draws once what does not move and only the rest in every frame; no
global state of matplotlib is used, and a figure lives as long as its Painter.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any, final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from semrob_env.envs.moments import HEIGHT, WIDTH, Frame, Moment, number
from semrob_env.envs.views import pictures_of
from semrob_env.functions import ScoreFunction
from semrob_env.maps import map_axes
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting.canvas import PALETTE, SCORE_MAP
from semrob_env.plotting.drawing import axis_label, draw_curve, draw_scores, set_axes
from semrob_env.recorded import ScoreMaps
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

MAP_LINES, LIVE_MAP_LINES = {1: 720, 2: 120}, {1: 120, 2: 24}
"""Grid lines a parameter of maps of one and two: of functions that answer at once, of those that draw pictures."""

MOST_PLANES = 5
"""Up to so many parameters each pair is a panel; beyond, each parameter is a bar."""

KEPT_MAPS, KEPT_SHEETS = 256, 16
"""Most maps, and finished backgrounds, that a Painter keeps."""

INK = PALETTE[1]
"""Of regions: no colour of the map is near it."""

MARKERS = {"start": "o", "last": "X", "best": "*"}
"""Of marks by name; any other is a square."""


@final
class Painter:
    """Draws moments of episodes over one function, all frames of one shape.

    Left the scene at `Moment.centre`, where the function draws pictures; beside it the region: on the map (two
    parameters), under the curve (one), on each plane of two parameters (up to `MOST_PLANES`), or as a bar a parameter.

    Args:
        function: Whose family the members belong to; the one that the oracle asks, so a complement shows its own map.
    """

    def __init__(self, function: ScoreFunction) -> None:
        self.function = function
        self._maps: dict[int, ScoreMaps] = {}
        self._sheets: dict[int, Any] = {}
        figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100)
        self._canvas = FigureCanvasAgg(figure)
        draws = any(pictures_of(function, member) is not None for member in range(function.members))
        self._picture = _Picture(figure, function) if draws else None
        self._panels = _panels(figure, function, left=0.455 if draws else 0.065)
        self._strip = _Strip(figure)

    def frame(self, moment: Moment) -> Frame:
        """The picture of a moment, a new array (HEIGHT, WIDTH, 3)."""
        self._prepare(moment)
        parts: list[_Panel | _Picture | _Strip] = [*self._panels, self._strip]
        if self._picture is not None:
            parts.append(self._picture)
        for part in parts:
            part.move(moment)
            for artist in part.moving:
                part.axis.draw_artist(artist)
        return np.array(np.asarray(self._canvas.buffer_rgba())[..., :3])  # type: ignore[no-untyped-call]

    def _prepare(self, moment: Moment) -> None:
        """Put down what does not move: the map of the member, axes, names."""
        sheet = self._sheets.get(moment.member)
        if sheet is None:
            for panel in self._panels:
                panel.prepare(moment, self._map(moment.member))
            self._strip.prepare(self.function.member_ids[moment.member], moment)
            self._canvas.draw()  # type: ignore[no-untyped-call]
            sheet = self._canvas.copy_from_bbox(self._canvas.figure.bbox)  # type: ignore[no-untyped-call]
            if len(self._sheets) >= KEPT_SHEETS:
                self._sheets.pop(next(iter(self._sheets)))
            self._sheets[moment.member] = sheet
        self._canvas.restore_region(sheet)  # type: ignore[no-untyped-call]

    def _map(self, member: int) -> ScoreMaps | None:
        """The map of a member of up to two parameters; NaN is shown as the worst score, as an oracle tells it."""
        function, space = self.function, self.function.space
        if space.n > 2:
            return None
        if member not in self._maps:
            lines = MAP_LINES if self._picture is None else LIVE_MAP_LINES
            axes = map_axes(space, space.width / lines[space.n])
            grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
            low, high = function.score_range
            scores = function.values(grid.reshape(1, -1, space.n), [member]).reshape(1, *grid.shape[:-1])
            shown = np.where(np.isnan(scores), low, scores).astype(np.float32)
            shades = min(low, float(shown.min())), max(high, float(shown.max()))  # rounding may leave the range
            if len(self._maps) >= KEPT_MAPS:
                self._maps.pop(next(iter(self._maps)))
            self._maps[member] = ScoreMaps(space, axes, shown, ("f/of/member",), (), shades)
        return self._maps[member]


@final
class _Panel:
    """Axes over two parameters, over one, or with a bar for each of all: the region and marks on them."""

    def __init__(self, axis: Axes, space: SemanticSpace, shown: tuple[int, ...], *, bars: bool = False) -> None:
        self.axis, self.space, self.shown, self.bars = axis, space, shown, bars
        self.moving: list[Artist] = []

    def prepare(self, moment: Moment, maps: ScoreMaps | None) -> None:
        """Draw what does not move, and make what does."""
        axis, parameters = self.axis, [self.space.parameters[k] for k in self.shown]
        axis.clear()
        axis.tick_params(labelsize=8)
        if self.bars:
            names = [f"{axis_label(p)}\n{p.low:g} .. {p.high:g}" for p in parameters]
            axis.set_yticks(range(len(names)), names, fontsize=7)
            axis.set(xlim=(0, 1), ylim=(len(names) - 0.4, -0.6), xticks=[])
            axis.hlines(range(len(names)), 0, 1, color="0.8", lw=0.8)
        elif len(parameters) == 1:
            assert maps is not None  # spaces of one parameter have a map
            draw_curve(axis, maps, 0, colour="black", width=1.4)
            axis.set_ylabel("score f", fontsize=9)
        else:
            if maps is not None:
                draw_scores(axis, maps, 0)
            set_axes(axis, SemanticSpace(tuple(parameters)))
            axis.set_ylabel(axis_label(parameters[1]), fontsize=9, labelpad=2)
        if not self.bars:
            axis.set_xlabel(axis_label(parameters[0]), fontsize=9, labelpad=2)
        filled = (INK, 0.0 if maps is not None and len(parameters) == 2 else 0.25)
        self._outlines = [
            PolyCollection([], facecolors=face, edgecolors=edge, linewidths=width, animated=True)
            for face, edge, width in (("none", "white", 3.2), (filled, INK, 1.8))
        ]
        for outline in self._outlines:
            axis.add_collection(outline, autolim=False)
        self._marks = {
            name: axis.plot([], [], animated=True, zorder=5, clip_on=False, **_mark_style(name))[0]
            for name in moment.marks
        }
        self.moving = [*self._outlines, *self._marks.values()]

    def move(self, moment: Moment) -> None:
        """Put region and marks where they are now."""
        boxes = [] if moment.bounds is None else self._boxes(Regions(self.space, *moment.bounds).clip())
        for outline in self._outlines:
            outline.set_verts(boxes)
        for name, theta in moment.marks.items():
            if self.bars:
                self._marks[name].set_data(self.space.to_unit(theta), range(self.space.n))
            elif len(self.shown) == 2:
                self._marks[name].set_data(*([theta[k]] for k in self.shown))
            else:
                bottom, top = self.axis.get_ylim()
                self._marks[name].set_data([theta[0]], [bottom + 0.05 * (top - bottom)])

    def _boxes(self, region: Regions) -> list[FloatArray]:
        """Corners (4, 2) of the pieces of a canonical region, those beyond a seam once more a turn before."""
        if self.bars:
            rows = [(self._pieces(region, k, unit=True), (k - 0.3, k + 0.3)) for k in self.shown]
            return [_box(piece, sides) for pieces, sides in rows for piece in pieces]
        across = self._pieces(region, self.shown[0])
        upwards = self._pieces(region, self.shown[1]) if len(self.shown) == 2 else [self.axis.get_ylim()]
        return [_box(one, other) for one in across for other in upwards]

    def _pieces(self, region: Regions, k: int, *, unit: bool = False) -> list[tuple[float, float]]:
        lower, upper = float(region.lower[0, k]), float(region.upper[0, k])
        low, width = float(self.space.low[k]), float(self.space.width[k])
        pieces = [(lower, upper)]
        if self.space.is_periodic[k]:
            # A full turn has no ends to draw: it goes from the seam to the seam.
            is_turn = upper - lower >= width * (1 - 1e-9)
            pieces = [(low, low + width)] if is_turn else [(lower, upper), (lower - width, upper - width)]
        return [((a - low) / width, (b - low) / width) for a, b in pieces] if unit else pieces


@final
class _Picture:
    """The scene at the centre, and where that is."""

    def __init__(self, figure: Figure, function: ScoreFunction) -> None:
        self.function = function
        self.axis = figure.add_axes((16 / WIDTH, 108 / HEIGHT, 328 / WIDTH, 328 / HEIGHT))
        self.axis.set(xticks=[], yticks=[])
        self._image = self.axis.imshow(
            np.zeros((2, 2, 3)), animated=True, extent=(0, 1, 0, 1), interpolation="bilinear"
        )
        self._where = self.axis.text(
            0, -0.02, "", transform=self.axis.transAxes, fontsize=9, va="top", animated=True, parse_math=False
        )
        self.moving: list[Artist] = [self._image, self._where]

    def move(self, moment: Moment) -> None:
        """Draw the scene; grey where a member of the family is not drawn."""
        pictures = pictures_of(self.function, moment.member)
        if pictures is None:
            self._image.set_data(np.full((2, 2, 3), 0.85))
        else:
            self._image.set_data(np.clip(pictures(moment.centre[None])[0].transpose(1, 2, 0), 0.0, 1.0))
        places = zip(self.function.space.parameters, moment.centre.tolist(), strict=True)
        text = ", ".join(f"{parameter.name} {value:.1f} {parameter.unit}".strip() for parameter, value in places)
        self._where.set_text(_shortened(f"scene at {text}", 52))


@final
class _Strip:
    """The name of the member above, the numbers and the meter below, in pixels of the whole frame."""

    def __init__(self, figure: Figure) -> None:
        self.axis = figure.add_axes((0, 0, 1, 1), zorder=-1)
        self.axis.set_axis_off()
        self.moving: list[Artist] = []

    def prepare(self, name: str, moment: Moment) -> None:
        """Draw names, legend and the empty meter."""
        axis = self.axis
        axis.clear()
        axis.set_axis_off()
        axis.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
        axis.text(16, HEIGHT - 22, _shortened(name, 88), fontsize=10, va="center", parse_math=False)
        right = WIDTH - 16.0
        for label in reversed([*(["region"] if moment.bounds is not None else []), *moment.marks]):
            right -= 7.0 * len(label)
            axis.text(right, HEIGHT - 22, label, fontsize=9, va="center", parse_math=False)
            if label == "region":
                axis.add_patch(Rectangle((right - 20, HEIGHT - 28), 14, 12, fill=False, ec=INK, lw=1.8))
            else:
                axis.plot([right - 12], [HEIGHT - 22], **_mark_style(label))
            right -= 36.0
        self._values = {}
        for column, label in enumerate(moment.numbers):
            x = 16 + column * (WIDTH - 32) / max(len(moment.numbers), 5)
            axis.text(x, 68, label, fontsize=9, color="0.35", va="center", parse_math=False)
            self._values[label] = axis.text(x, 49, "", fontsize=13, va="center", animated=True)
        axis.add_patch(Rectangle((16, 14), METER, 16, fc="0.9", ec="0.6", lw=0.8))
        self._bar = Rectangle((16, 14), 0, 16, fc=PALETTE[0], animated=True)
        axis.add_patch(self._bar)
        self._spent = axis.text(METER + 30, 22, "", fontsize=11, va="center", animated=True)
        self.moving = [*self._values.values(), self._bar, self._spent]

    def move(self, moment: Moment) -> None:
        """Write the numbers and fill the meter."""
        for label, value in moment.numbers.items():
            self._values[label].set_text(number(value))
        self._bar.set_width(METER * min(moment.spent / moment.budget, 1.0))
        self._spent.set_text(f"{moment.spent:g} of {moment.budget:g} queries")


METER = WIDTH - 220
"""Length of the meter in pixels."""


def _panels(figure: Figure, function: ScoreFunction, *, left: float) -> list[_Panel]:
    """Panels for a space, from a share of the width on."""
    space = function.space
    area = {"left": left, "bottom": 142 / HEIGHT, "top": 436 / HEIGHT}
    if space.n > MOST_PLANES:
        area = {"left": left + 0.05, "bottom": 108 / HEIGHT, "top": 436 / HEIGHT}
        axis = figure.add_subplot(figure.add_gridspec(1, 1, right=0.98, **area)[0])
        return [_Panel(axis, space, tuple(range(space.n)), bars=True)]
    if space.n <= 2:
        axis = figure.add_subplot(figure.add_gridspec(1, 1, right=0.91 if space.n == 2 else 0.98, **area)[0])
        if space.n == 2:
            shades = ScalarMappable(Normalize(*function.score_range), SCORE_MAP)
            scale = figure.add_axes((0.92, area["bottom"], 0.014, area["top"] - area["bottom"]))
            figure.colorbar(shades, cax=scale).set_label("score f", fontsize=9)
            scale.tick_params(labelsize=8)
        return [_Panel(axis, space, tuple(range(space.n)))]
    pairs = list(combinations(range(space.n), 2))
    columns = math.ceil(math.sqrt(len(pairs) * (0.98 - left) * WIDTH / (area["top"] - area["bottom"]) / HEIGHT))
    rows = -(-len(pairs) // columns)
    columns = -(-len(pairs) // rows)
    grid = figure.add_gridspec(rows, columns, right=0.98, wspace=0.42, hspace=0.55, **area)
    return [_Panel(figure.add_subplot(grid[divmod(i, columns)]), space, pair) for i, pair in enumerate(pairs)]


def _box(across: tuple[float, float], upwards: tuple[float, float]) -> FloatArray:
    (left, right), (bottom, top) = across, upwards
    return np.array([[left, bottom], [right, bottom], [right, top], [left, top]])


def _mark_style(name: str) -> dict[str, Any]:
    size = {"start": 7, "best": 13}.get(name, 8)
    return {"marker": MARKERS.get(name, "s"), "ms": size, "mfc": INK, "mec": "white", "mew": 1.0, "ls": ""}


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
