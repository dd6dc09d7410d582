"""Maps the score of networks over all viewpoints, with means, traps, bias and regions on top."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np

from baselines.commands.semantic_map import SemanticMapOptions
from baselines.commands.shared.networks import introduce
from baselines.commands.shared.options import start_points
from baselines.commands.shared.questions import prices, rank_of, rank_words, run_all, starts_of, tasks_of
from baselines.commands.shared.rows import REGION_WORDS, csv_row, region_line, regions_of, start_notes, verdict
from baselines.commands.shared.terminal import Console, own_folder, progress_bar, seconds_of
from optimizers.base import Optimizer
from optimizers.registry import get_optimizer
from semrob_env.envs.rendering import images_of
from semrob_env.errors import InvalidParameterError, UnknownNameError
from semrob_env.files import csv_text, markdown_table, write_whole
from semrob_env.functions import Complement, ScoreFunction, Stack, UnitScale, make_function
from semrob_env.maps import (
    ClassBias,
    Trap,
    data_bias,
    data_maps,
    live_maps,
    map_axes,
    map_steps,
    network_maps,
    section,
    semantic_traps,
)
from semrob_env.maps.means import MEAN
from semrob_env.maps.tables import bias_report, bias_rows, trap_report, trap_rows, trap_summary
from semrob_env.oracle import QueryOracle
from semrob_env.plotting import (
    BoundsHistory,
    Grown,
    curves_figure,
    example_views,
    map_pages,
    maps_figure,
    point_label,
    region_figure,
    save_figure,
)
from semrob_env.plotting.views import Images, View
from semrob_env.recorded import RecordedMaps, ScoreMaps, load_maps
from semrob_env.regions import Regions
from semrob_env.store import RunRow
from semrob_env.types import FloatArray, IntArray

LIVE_FILE = "live_maps.npz"
LEAST_STEP, TRIAL = 0.5, 16
MOST_SINGLE = 4  # up to this number of maps, each also gets pictures of its own


def run(options: SemanticMapOptions, console: Console) -> None:
    if not options.trap_low <= options.trap_high or not options.bias_low <= options.bias_high:
        raise InvalidParameterError("--trap-low and --bias-low: give numbers not above --trap-high and --bias-high")
    for option in options.changed() if options.maps or options.functions else []:
        raise InvalidParameterError(f"--{option} is for --networks; what --maps and --function name is as it is")
    source = recorded_source(options) if options.maps else live_source(options, console)
    if source is None:
        return
    maps = source.maps
    if maps.space.n > 2:
        raise InvalidParameterError(f"maps are drawn over 1 or 2 parameters, not {', '.join(maps.space.names)}")
    if options.methods:
        prices(options, maps.space)
        if not rank_of(options, options.starts):
            start_points(maps.space, options.starts)
    bias = data_bias(maps, low=options.bias_low, high=options.bias_high) if options.dsm else []
    layers = [("maps", "semantic maps", maps)]
    if len(network_maps(maps)) < len(maps):
        layers.append(("nsm", "NSM: mean over shapes", network_maps(maps)))
    if options.dsm:
        layers.append(("dsm", "DSM: mean over networks and shapes", data_maps(maps)))
    traps, grown = list[Trap](), list[Growth]()
    with progress_bar(console, "") as progress:
        for name in options.methods:
            advance = partial(progress.advance, progress.add_task(f"{name}: steps", total=None))
            grown.append(grow(name, maps, options, advance))
        folder = own_folder(options.out)
        bar = progress.add_task("pictures", total=len(layers) + len(grown))
        for stem, title, layer in layers:
            own = semantic_traps(layer, low=options.trap_low, high=options.trap_high) if options.traps else []
            if maps.space.n == 2:
                draw(folder / stem, layer, title, traps=own)
            traps += own
            progress.advance(bar)
        if options.one_dimensional or maps.space.n == 1:
            first, *others = maps.space.parameters
            title = f"NSM over {first.name}" + "".join(f", {other.name} {other.default:g}" for other in others)
            save_figure(curves_figure(section(maps, first.name), title=title), folder / "nsm_1d.png")
        for growth in grown:
            draw_growth(folder, source, growth, options)
            progress.advance(bar)
    write_tables(traps, bias, folder, options)
    if grown:
        named = [(maps.names[at], row) for own in grown for row, at in zip(own.rows, own.member, strict=True)]
        rows = [{"map": name, **csv_row(row, maps.space, adversarial=options.adversarial)} for name, row in named]
        write_whole(folder / "regions.csv", csv_text(rows))
        if words := rank_words(options, options.starts):
            console.say(words)
        if len(maps) <= MOST_SINGLE:
            lines = [line for growth in grown for line in growth.lines(maps, options)]
            console.say(f"{markdown_table(lines)}\n\n{REGION_WORDS}")
            console.say(options.certified_text(len(lines)))
    if traps:
        console.say(trap_summary(traps, low=options.trap_low))
    if bias:
        console.say(bias_report(bias, low=options.bias_low, high=options.bias_high))
    console.say(f"wrote pictures and tables of {len(maps)} maps to {folder}")


@final
@dataclass(frozen=True, eq=False)
class Source:
    """Maps (of margins: in unit scores), and per map what scores example renders, and draws them where it can."""

    maps: ScoreMaps
    scores: tuple[tuple[ScoreFunction, int], ...]
    images: tuple[Images | None, ...]


def in_units(maps: ScoreMaps, scale: UnitScale) -> ScoreMaps:
    """Maps of margins in unit scores, others as they are: the mean of a cut margin says little."""
    if not scale.is_logistic:
        return maps
    unit = scale.unit(maps.scores.astype(np.float64)).astype(np.float32)
    return replace(maps, scores=unit, score_range=(0.0, 1.0))


def recorded_source(options: SemanticMapOptions) -> Source:
    """Maps of a file; a --shape beside them is what example renders show."""
    maps = load_maps(options.maps)
    rows = [row for row, name in enumerate(maps.names) if any(fnmatchcase(name, one) for one in options.select or "*")]
    if not rows:
        raise UnknownNameError(f"no map fits --select; there are {len(maps)}, the first one is {maps.names[0]}")
    if options.functions or len(options.sources) > 1:
        raise InvalidParameterError("--maps takes no --function, and at most one SOURCE, which example renders show")
    maps = maps.only(rows)
    function = RecordedMaps(maps)
    images: Images | None = None
    if options.sources:
        from semrob_env.scene.images import shape_images

        images = shape_images(options.selected()[0], maps.space)
    return Source(maps, tuple((function, row) for row in range(len(maps))), (images,) * len(maps))


def live_source(options: SemanticMapOptions, console: Console) -> Source | None:
    """Live maps, asked now unless --out holds them; None after --dry-run."""
    parts = [make_function(name) for name in function_ids(options)]
    function = parts[0] if len(parts) == 1 else Stack(parts)
    if function.space.n > 2:
        raise InvalidParameterError(f"a live map has 1 or 2 parameters, not {', '.join(function.space.names)}")
    if not options.map_step >= LEAST_STEP:
        raise InvalidParameterError(f"--map-step {options.map_step}: give at least {LEAST_STEP}")
    axes = map_axes(function.space, map_steps(function.space, options.map_step))
    points = function.members * int(np.prod([len(axis) for axis in axes]))
    grid = " x ".join(str(len(axis)) for axis in axes)
    console.say(f"{function.members} maps of {grid} scores: {points} queries")
    if options.dry_run:
        trial = np.broadcast_to(function.space.default, (1, TRIAL, function.space.n))
        seconds = seconds_of(lambda: function.values(trial)) / TRIAL
        console.print(f"about {points * seconds:.0f} s at {1000 * seconds:.2f} ms a query, fewer if --out has some")
        return None
    introduce(console, dict.fromkeys(function.member_ids))
    with progress_bar(console, "scores") as progress:
        bar = progress.add_task("map", total=points)
        file = own_folder(options.out) / LIVE_FILE
        maps = live_maps(
            function,
            axes,
            file=file,
            on_points=lambda done: progress.update(bar, completed=done, refresh=done == points),
        )
    scores = [(part, member) for part in parts for member in range(part.members)]
    maps = in_units(maps, function.scale)
    return Source(maps, tuple(scores), tuple(images_of(part, member) for part, member in scores))


def function_ids(options: SemanticMapOptions) -> list[str]:
    if options.select:
        raise InvalidParameterError("--select chooses among --maps; give --maps FILE as well")
    if bool(options.functions) == bool(options.sources):
        raise InvalidParameterError("give a SOURCE (cup:3, a mesh file, ...), or --function ID, or --maps FILE")
    if options.functions:
        return list(options.functions)
    return [str(scene) for scene in options.scenes(options.selected(), options.params, options)]


def draw(stem: Path, maps: ScoreMaps, title: str, *, traps: Sequence[Trap] = (), grown: Grown | None = None) -> None:
    """All maps, on as many pages as they need; the colours of means end at their highest score."""
    is_mean = all(name.endswith(f"/{MEAN}") for name in maps.names)
    limits = (maps.score_range[0], float(np.ceil(10 * maps.scores.max()) / 10)) if is_mean else None
    for page in map_pages(maps):
        heading = f"{page.title}{title}"
        figure = maps_figure(maps, title=heading, page=page, limits=limits, traps=traps, grown=grown)
        save_figure(figure, stem.with_name(f"{stem.name}{page.suffix}.png"))


@final
@dataclass(frozen=True, eq=False)
class Growth:
    """What a method did on all maps: row i is of starts[i] (B, n) on map member[i], map by map.

    `history` has the bounds over the steps, for few maps.
    """

    method: str
    rows: Sequence[RunRow]
    starts: FloatArray
    member: IntArray
    history: BoundsHistory
    function: ScoreFunction

    @property
    def regions(self) -> Regions:
        return regions_of(self.rows, self.function.space)

    def lines(self, maps: ScoreMaps, options: SemanticMapOptions) -> list[dict[str, str]]:
        notes = start_notes(self.function, self.starts, self.member, options.goal, options.adversarial)
        line = partial(region_line, space=maps.space, adversarial=options.adversarial)
        rows = zip(self.rows, self.member, notes, strict=True)
        return [{"map": maps.names[member], **line(row, note=note)} for row, member, note in rows]


def grow(method: str, maps: ScoreMaps, options: SemanticMapOptions, advance: Callable[[], None]) -> Growth:
    """Run a method on every map from every start point, all in one batch, through the oracle."""
    recorded = RecordedMaps(maps)
    function: ScoreFunction = Complement(recorded) if options.adversarial else recorded
    starts = [starts_of(options, options.starts, recorded, member) for member in range(len(maps))]
    history = BoundsHistory()

    def on_step(running: Optimizer[Any], asked: QueryOracle) -> None:
        if len(maps) <= MOST_SINGLE:
            history.record(running.recommend(), running.start, asked.spent)
        advance()

    tasks = tasks_of(options, dict(zip(function.member_ids, starts, strict=True)))
    member = np.repeat(np.arange(len(maps)), [len(own) for own in starts])
    rows = run_all([task for task in tasks if task.method == method], function, on_step)
    return Growth(method, rows, np.concatenate(starts), member, history, function)


def draw_growth(folder: Path, source: Source, growth: Growth, options: SemanticMapOptions) -> None:
    """The regions on all maps, and for few maps each with example renders and the bounds over the queries."""
    maps, regions, method = source.maps, growth.regions, growth.method
    kind = "adversarial regions (low score)" if options.adversarial else "regions"
    has_form = "form" in get_optimizer(method).settings_class.__dataclass_fields__
    title = f"{kind} by {method}" + (f", {options.form} form" if has_form else "")
    labels = [point_label(maps.space, start) for start in growth.starts]
    if maps.space.n == 2:
        draw(folder / f"{method}_maps", maps, title, grown=Grown(regions, growth.starts, growth.member, tuple(labels)))
    for row in range(len(maps) if len(maps) <= MOST_SINGLE else 0):
        own = np.flatnonzero(growth.member == row)
        own_labels = [labels[index] for index in own]
        judged = [f"{labels[index]}: {verdict(growth.rows[index])}" for index in own]
        name = f"{method}_{row}_{''.join(c if c.isalnum() else '-' for c in maps.names[row][-80:])}"
        heading = f"{title}\n{maps.names[row]}"
        (function, member), images = source.scores[row], source.images[row]
        views: list[list[View]] = [[] for _ in own]
        for index, each in zip(own.tolist(), views, strict=True):
            for view in example_views(function, images, regions[index], member=member) if images else ():
                each.append(replace(view, score=float(function.scale.unit(np.array(view.score)))))
        figure = region_figure(regions[own], growth.starts[own], judged, views, title=heading, maps=maps, row=row)
        save_figure(figure, folder / f"{name}_regions.png")
        if growth.history.spent:
            bounds = growth.history.figure(maps.space, own.tolist(), own_labels, title=heading)
            save_figure(bounds, folder / f"{name}_bounds.png")


def write_tables(traps: Sequence[Trap], bias: Sequence[ClassBias], folder: Path, options: SemanticMapOptions) -> None:
    """The tables that were asked for; those of an earlier run do not stay beside them."""
    for name in ("traps.csv", "bias.csv"):
        (folder / name).unlink(missing_ok=True)
    if options.traps:
        write_whole(folder / "traps.md", trap_report(traps, low=options.trap_low, high=options.trap_high))
        if traps:
            write_whole(folder / "traps.csv", csv_text(trap_rows(traps)))
    if bias:
        write_whole(folder / "bias.md", bias_report(bias, low=options.bias_low, high=options.bias_high))
        write_whole(folder / "bias.csv", csv_text(bias_rows(bias)))
