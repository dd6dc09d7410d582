"""Pictures of moments of an episode.

Nothing here is charged: the map behind a region is asked of the function itself, outside any oracle, once a member, and
no answer of it reaches the environment. A `Painter` draws once what does not move and only the rest in every frame; no
global state of matplotlib is used, and a figure lives as long as its Painter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any, final

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from semrob_env.envs.rendering import HEIGHT, WIDTH, Frame, Moment, images_of, number
from semrob_env.functions import ScoreFunction
from semrob_env.maps import map_axes
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting.canvas import PALETTE, SCORE_MAP, plain_style
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

METER = WIDTH - 220
"""Length of the meter in pixels."""

MARKERS = {"start": "o", "last": "X", "best": "*"}
"""Of marks by name; any other is a square."""


@final
class Painter:
    """Draws moments of episodes over one function, all frames of one shape.

    Left the scene at `Moment.center`, where the function draws pictures; beside it the region: on the map (two
    parameters), under the curve (one), on each plane of two parameters (up to `MOST_PLANES`), or as a bar a parameter.

    Args:
        function: Whose family the members belong to; the one that the oracle asks, so a complement shows its own map.
    """

    @plain_style()
    def __init__(self, function: ScoreFunction) -> None:
        self.function = function
        self._maps: dict[int, ScoreMaps] = {}
        self._sheets: dict[int, Any] = {}
        figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100)
        self._canvas = FigureCanvasAgg(figure)
        self._scene: AxesImage | None = None
        if any(images_of(function, member) is not None for member in range(function.members)):
            axis = figure.add_axes((16 / WIDTH, 108 / HEIGHT, 328 / WIDTH, 328 / HEIGHT))
            axis.set(xticks=[], yticks=[])
            black = np.zeros((2, 2, 3))
            self._scene = axis.imshow(black, animated=True, extent=(0, 1, 0, 1), interpolation="bilinear")
        self._panels = _panels(figure, function, left=0.065 if self._scene is None else 0.455)
        self._strip = figure.add_axes((0, 0, 1, 1), zorder=-1)  # in pixels of the whole frame

    @plain_style()
    def frame(self, moment: Moment) -> Frame:
        """The picture of a moment, a new array (HEIGHT, WIDTH, 3)."""
        sheet = self._sheets.get(moment.member)
        if sheet is None:  # what does not move
            for axis, shown in self._panels:
                self._prepare_panel(axis, shown, self._map(moment.member))
            self._prepare_strip(moment)
            self._canvas.draw()  # type: ignore[no-untyped-call]
            sheet = self._canvas.copy_from_bbox(self._canvas.figure.bbox)  # type: ignore[no-untyped-call]
            if len(self._sheets) >= KEPT_SHEETS:
                self._sheets.pop(next(iter(self._sheets)))
            self._sheets[moment.member] = sheet
        self._canvas.restore_region(sheet)  # type: ignore[no-untyped-call]
        for axis, artist in self._moving(moment):
            axis.add_artist(artist)
            axis.draw_artist(artist)
            artist.remove()
        if self._scene is not None:
            draw = images_of(self.function, moment.member)  # grey where a member of the family is not drawn
            image = np.full((2, 2, 3), 0.85) if draw is None else draw(moment.center[None])[0].transpose(1, 2, 0)
            self._scene.set_data(np.clip(image, 0.0, 1.0))
            self._scene.axes.draw_artist(self._scene)
        return np.array(np.asarray(self._canvas.buffer_rgba())[..., :3])  # type: ignore[no-untyped-call]

    def _map(self, member: int) -> ScoreMaps | None:
        """The map of a member of up to two parameters; NaN is shown as the worst score, as an oracle tells it."""
        function, space = self.function, self.function.space
        if space.n > 2:
            return None
        if member not in self._maps:
            lines = MAP_LINES if self._scene is None else LIVE_MAP_LINES
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

    def _prepare_panel(self, axis: Axes, shown: tuple[int, ...], maps: ScoreMaps | None) -> None:
        parameters = [self.function.space.parameters[k] for k in shown]
        axis.clear()
        axis.tick_params(labelsize=8)
        if len(shown) > 2:
            names = [f"{axis_label(p)}\n{p.low:g} .. {p.high:g}" for p in parameters]
            axis.set_yticks(range(len(names)), names, fontsize=7)
            axis.set(xlim=(0, 1), ylim=(len(names) - 0.4, -0.6), xticks=[])
            axis.hlines(range(len(names)), 0, 1, color="0.8", lw=0.8)
            return
        axis.set_xlabel(axis_label(parameters[0]), fontsize=9, labelpad=2)
        if maps is not None and len(shown) == 1:
            draw_curve(axis, maps, 0, color="black", width=1.4, limits=self.function.score_range)
            axis.set_ylabel("score f", fontsize=9)
            return
        if maps is not None:
            draw_scores(axis, maps, 0, limits=self.function.score_range)
        set_axes(axis, SemanticSpace(tuple(parameters)))
        axis.set_ylabel(axis_label(parameters[1]), fontsize=9, labelpad=2)

    def _prepare_strip(self, moment: Moment) -> None:
        """The name of the member and the legend above, names of numbers and the empty meter below."""
        axis, name = self._strip, self.function.member_ids[moment.member]
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
                axis.add_line(_mark(label, [right - 12], [HEIGHT - 22]))
            right -= 36.0
        for x, label in zip(_columns(moment), moment.numbers, strict=True):
            axis.text(x, 68, label, fontsize=9, color="0.35", va="center", parse_math=False)
        axis.add_patch(Rectangle((16, 14), METER, 16, fc="0.9", ec="0.6", lw=0.8))

    def _moving(self, moment: Moment) -> Iterator[tuple[Axes, Artist]]:
        """What is drawn anew in every frame: region and marks, numbers, the meter, and where the scene is."""
        space = self.function.space
        for axis, shown in self._panels:
            if moment.bounds is not None:
                boxes = _boxes(Regions(space, *moment.bounds).clip(), shown, axis.get_ylim())
                fill = (INK, 0.0 if space.n == 2 else 0.25)
                yield axis, PolyCollection(boxes, facecolors="none", edgecolors="white", linewidths=3.2)
                yield axis, PolyCollection(boxes, facecolors=fill, edgecolors=INK, linewidths=1.8)
            bottom, top = axis.get_ylim()
            for name, theta in moment.marks.items():
                if len(shown) > 2:
                    yield axis, _mark(name, space.to_unit(theta), range(space.n))
                else:
                    y = theta[shown[1]] if len(shown) == 2 else bottom + 0.05 * (top - bottom)
                    yield axis, _mark(name, [theta[shown[0]]], [y])
        for x, value in zip(_columns(moment), moment.numbers.values(), strict=True):
            yield self._strip, Text(x, 49, number(value), fontsize=13, va="center")
        full = METER * min(moment.spent / moment.budget, 1.0)
        yield self._strip, Rectangle((16, 14), full, 16, fc=PALETTE[0])
        told = f"{moment.spent:g} of {moment.budget:g} queries"
        yield self._strip, Text(METER + 30, 22, told, fontsize=11, va="center")
        if self._scene is not None:
            places = zip(space.parameters, moment.center.tolist(), strict=True)
            text = ", ".join(f"{parameter.name} {value:.1f} {parameter.unit}".strip() for parameter, value in places)
            label = _shortened(f"scene at {text}", 52)
            yield self._strip, Text(16, 101.4, label, fontsize=9, va="top", parse_math=False)


def _panels(figure: Figure, function: ScoreFunction, *, left: float) -> list[tuple[Axes, tuple[int, ...]]]:
    """Axes for a space, from a share of the width on: over two parameters, over one, or with a bar for each of all."""
    space, bottom, top = function.space, 142 / HEIGHT, 436 / HEIGHT
    if space.n <= 2 or space.n > MOST_PLANES:
        is_bars = space.n > 2
        first, low = (left + 0.05, 108 / HEIGHT) if is_bars else (left, bottom)
        axis = figure.add_axes((first, low, (0.91 if space.n == 2 else 0.98) - first, top - low))
        if space.n == 2:
            shades = ScalarMappable(Normalize(*function.score_range), SCORE_MAP)
            scale = figure.add_axes((0.92, bottom, 0.014, top - bottom))
            figure.colorbar(shades, cax=scale).set_label("score f", fontsize=9)
            scale.tick_params(labelsize=8)
        return [(axis, tuple(range(space.n)))]
    pairs = list(combinations(range(space.n), 2))
    columns = math.ceil(math.sqrt(len(pairs) * (0.98 - left) * WIDTH / (top - bottom) / HEIGHT))
    rows = -(-len(pairs) // columns)
    columns = -(-len(pairs) // rows)
    grid = figure.add_gridspec(rows, columns, left=left, right=0.98, bottom=bottom, top=top, wspace=0.42, hspace=0.55)
    return [(figure.add_subplot(grid[divmod(i, columns)]), pair) for i, pair in enumerate(pairs)]


def _boxes(region: Regions, shown: tuple[int, ...], ends: tuple[float, float]) -> list[FloatArray]:
    """Corners (4, 2) of the pieces of a canonical region, those beyond a seam once more a turn before."""
    space, pieces = region.space, []
    for k in shown:
        lower, upper, low, width = (
            float(a) for a in (region.lower[0, k], region.upper[0, k], space.low[k], space.width[k])
        )
        own = [(lower, upper)]
        if space.is_periodic[k]:
            # A full turn has no ends to draw: it goes from the seam to the seam.
            is_turn = upper - lower >= width * (1 - 1e-9)
            own = [(low, low + width)] if is_turn else [(lower, upper), (lower - width, upper - width)]
        pieces.append([((a - low) / width, (b - low) / width) for a, b in own] if len(shown) > 2 else own)
    if len(shown) > 2:
        return [_box(piece, (k - 0.3, k + 0.3)) for k, own in enumerate(pieces) for piece in own]
    return [_box(one, other) for one in pieces[0] for other in (pieces[1] if len(shown) == 2 else [ends])]


def _box(across: tuple[float, float], upwards: tuple[float, float]) -> FloatArray:
    (left, right), (bottom, top) = across, upwards
    return np.array([[left, bottom], [right, bottom], [right, top], [left, top]])


def _columns(moment: Moment) -> list[float]:
    """Where the numbers stand, in pixels."""
    return [16 + column * (WIDTH - 32) / max(len(moment.numbers), 5) for column in range(len(moment.numbers))]


def _mark(name: str, x: npt.ArrayLike, y: npt.ArrayLike) -> Line2D:
    size, marker = {"start": 7, "best": 13}.get(name, 8), MARKERS.get(name, "s")
    return Line2D(x, y, marker=marker, ms=size, mfc=INK, mec="white", mew=1.0, ls="", zorder=5, clip_on=False)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
