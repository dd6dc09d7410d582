"""Semantic maps: the score of a network over all viewpoints, live or recorded, with traps and regions on top.

Examples:
  python scripts/semantic_map.py --shape cup:3                               one live map, drawn and kept as a file
  python scripts/semantic_map.py --shape cup:3 --methods naive,oir_b --traps   ... regions, example renders, traps
  python scripts/semantic_map.py --shape cup:3 --shape chair:0 --network efficientnet_lite0,resnet50 --dry-run
  python scripts/semantic_map.py --shape cup:3 --network torchvision/resnet18 --weights mine.pth --score margin
  python scripts/semantic_map.py --maps results/recorded/maps.npz --dsm --one-dimensional --traps
  python scripts/semantic_map.py --maps results/recorded/maps.npz --select "ResNet50/chair/1" --methods oir_b
  python scripts/semantic_map.py --function "synthetic:trap?n=2&seed=0" --methods naive

NSM: the map of a network, mean over shapes. DSM: mean over networks and shapes; its holes speak of the data. Trap: a
part of low score that a part of high score encloses (exact words: semrob_env/maps/traps.py). Written to --out:
maps*.png; nsm.png where a class has several shapes; with --dsm also dsm.png, bias.md and bias.csv; with
--one-dimensional nsm_1d.png; with --traps traps.md and traps.csv; with --methods regions.csv, METHOD_maps*.png and, for
at most 4 maps, pictures of each: regions with example renders (where a shape is at hand), bounds over the queries.

Live scores go to live_maps.npz in --out: `recorded:NETWORK/CLASS/SHAPE?file=PATH` names such a map as a function. No
score is asked twice: the same command goes on where an interrupted one stopped. Regions are grown on the interpolated
map, so they cost no query of the network; the scores under example renders do.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
from rich.console import Console
from semrob_env.cli import ArgumentParser, make_console, names, positive, progress_bar, run_script, seconds_of

import optimizers  # noqa: F401  (fills the registry)
from optimizers.base import Optimizer
from optimizers.corner_method import settings_of_form
from optimizers.registry import OPTIMIZERS, get_optimizer
from optimizers.run import RunResult, run
from semrob_env.errors import InvalidBudgetError, InvalidParameterError, UnknownNameError
from semrob_env.files import csv_text, markdown_table, output_folder, write_whole
from semrob_env.functions import Complement, ScoreFunction, Stack, make_function
from semrob_env.maps import (
    ClassBias,
    Trap,
    data_bias,
    data_maps,
    live_maps,
    map_axes,
    network_maps,
    section,
    semantic_traps,
)
from semrob_env.maps import bias as bias_defaults
from semrob_env.maps import traps as trap_defaults
from semrob_env.maps.means import MEAN
from semrob_env.maps.tables import bias_report, bias_rows, bias_text, trap_counts, trap_report, trap_rows
from semrob_env.metrics import judge_regions
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import paper_starts
from semrob_env.plotting import (
    BoundsHistory,
    Grown,
    bounds_columns,
    curves_figure,
    example_views,
    map_pages,
    maps_figure,
    point_label,
    read_points,
    region_figure,
    save_figure,
)
from semrob_env.plotting.views import Pictures
from semrob_env.recorded import RecordedMaps, ScoreMaps, load_maps
from semrob_env.scene.classifiers.options import add_network_options, changed_options, network_options
from semrob_env.types import FloatArray

LIVE_FILE = "live_maps.npz"
PAPER_STEPS, BUDGET = 600, 150  # of the paper's released runs; default of the normalised form
LEAST_STEP, TRIAL = 0.5, 16
MOST_SINGLE = 4
"""Up to this number of maps, each also gets pictures of its own."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read arguments, get the maps, write what is asked for."""
    options = parser().parse_args(arguments)
    console = make_console()
    methods = [get_optimizer(name) for name in names(options.methods)] if options.methods else []
    settings = {method: settings_of_form(method, options.form) for method in methods}
    for value, option in ((options.budget, "--budget"), (options.max_steps, "--max-steps")):
        if value is not None:
            positive(value, option)
    if not options.trap_low <= options.trap_high or not options.bias_low <= options.bias_high:
        raise InvalidParameterError("--trap-low and --bias-low: give numbers not above --trap-high and --bias-high")
    for option in changed_options(options) if options.maps or options.functions else []:
        raise InvalidParameterError(f"--{option} is for --network; what --maps and --function name is as it is")
    source = recorded_source(options) if options.maps else live_source(options, console)
    if source is None:
        return
    maps = source.maps
    if maps.space.n > 2:
        raise InvalidParameterError(f"maps are drawn over 1 or 2 parameters, not {', '.join(maps.space.names)}")
    starts = np.zeros((0, maps.space.n))
    if methods:
        starts = read_points(maps.space, options.starts) if options.starts else paper_starts(maps.space)
    bias = data_bias(maps, low=options.bias_low, high=options.bias_high) if options.dsm else []
    layers = [("maps", "semantic maps", maps)]
    if len(network_maps(maps)) < len(maps):
        layers.append(("nsm", "NSM: mean over shapes", network_maps(maps)))
    if options.dsm:
        layers.append(("dsm", "DSM: mean over networks and shapes", data_maps(maps)))
    traps: list[Trap] = []
    rows: list[dict[str, Any]] = []
    with progress_bar(console, "") as progress:
        growths = {}
        for method in methods:
            advance = partial(progress.advance, progress.add_task(f"{method.name}: steps", total=None))
            growths[method.name] = grow(method, settings[method], maps, starts, options, advance)
            rows += region_rows(method.name, maps, starts, growths[method.name])
        folder = output_folder(options.out)
        bar = progress.add_task("pictures", total=len(layers) + len(methods))
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
        for name, growth in growths.items():
            draw_growth(folder, name, source, starts, growth, options)
            progress.advance(bar)
    write_tables(traps, bias, folder, options)
    if rows:
        write_whole(folder / "regions.csv", csv_text(rows))
    if traps:
        console.print(markdown_table(trap_counts(traps)), soft_wrap=True)
    if bias:
        console.print(markdown_table(bias_text(bias)), soft_wrap=True)
    console.print(f"wrote pictures and tables of {len(maps)} maps to {folder}", soft_wrap=True)


@final
@dataclass(frozen=True, eq=False)
class Source:
    """Maps, and per map what shows its shape.

    Attributes:
        maps: The maps.
        scores: Per map, the function and member that give the scores of example renders.
        pictures: Per map, what draws its shape; None where no shape is at hand.
    """

    maps: ScoreMaps
    scores: tuple[tuple[ScoreFunction, int], ...]
    pictures: tuple[Pictures | None, ...]


def recorded_source(options: Namespace) -> Source:
    """Maps of a file; a --shape beside them is what example renders show."""
    maps = load_maps(options.maps)
    rows = [row for row, name in enumerate(maps.names) if any(fnmatchcase(name, one) for one in options.select or "*")]
    if not rows:
        raise UnknownNameError(f"no map fits --select; there are {len(maps)}, the first one is {maps.names[0]}")
    if options.functions or len(options.shapes) > 1:
        raise InvalidParameterError("--maps takes no --function, and at most one --shape, which example renders show")
    maps = maps.only(rows)
    function = RecordedMaps(maps)
    pictures: Pictures | None = None
    if options.shapes:
        from semrob_env.scene.pictures import shape_pictures
        from semrob_env.scene.sources import select_shapes

        pictures = shape_pictures(select_shapes(options.shapes, as_class=options.class_name)[0], maps.space)
    return Source(maps, tuple((function, row) for row in range(len(maps))), (pictures,) * len(maps))


def live_source(options: Namespace, console: Console) -> Source | None:
    """Live maps, asked now unless --out holds them; None after --dry-run."""
    parts = [make_function(name) for name in function_ids(options)]
    function = parts[0] if len(parts) == 1 else Stack(parts)
    if function.space.n > 2:
        raise InvalidParameterError(f"a live map has 1 or 2 parameters, not {', '.join(function.space.names)}")
    if not options.map_step >= LEAST_STEP:
        raise InvalidParameterError(f"--map-step {options.map_step}: give at least {LEAST_STEP}")
    axes = map_axes(function.space, options.map_step)
    points = function.members * int(np.prod([len(axis) for axis in axes]))
    grid = " x ".join(str(len(axis)) for axis in axes)
    console.print(f"{function.members} maps of {grid} scores: {points} queries", soft_wrap=True)
    if options.dry_run:
        trial = np.broadcast_to(function.space.default, (1, TRIAL, function.space.n))
        seconds = seconds_of(lambda: function.values(trial)) / TRIAL
        console.print(f"about {points * seconds:.0f} s at {1000 * seconds:.2f} ms a query, fewer if --out has some")
        return None
    with progress_bar(console, "scores") as progress:
        bar = progress.add_task("map", total=points)
        file = output_folder(options.out) / LIVE_FILE
        maps = live_maps(
            function,
            axes,
            file=file,
            on_points=lambda done: progress.update(bar, completed=done, refresh=done == points),
        )
    scores = [(part, member) for part in parts for member in range(part.members)]
    return Source(maps, tuple(scores), tuple(live_pictures(part, member) for part, member in scores))


def live_pictures(function: ScoreFunction, member: int) -> Pictures | None:
    """What draws a member of a live scene; None for functions that draw nothing."""
    if not function.member_ids[member].startswith("scene:"):
        return None
    from semrob_env.scene.function import SceneFunction

    return partial(function.pictures, member=member) if isinstance(function, SceneFunction) else None


def function_ids(options: Namespace) -> list[str]:
    """The ids that --function gives, or every --network with every --shape."""
    if options.select:
        raise InvalidParameterError("--select chooses among --maps; give --maps FILE as well")
    if bool(options.functions) == bool(options.shapes):
        raise InvalidParameterError("give --shape (cup:3, a mesh file, ...), or --function ID, or --maps FILE")
    if options.functions:
        return list(options.functions)
    from semrob_env.scene.classifiers.registry import canonical_network
    from semrob_env.scene.function import SceneId
    from semrob_env.scene.sources import select_shapes

    feed = "unnormalized" if options.unnormalized else "normalized"
    found = []
    networks = list(dict.fromkeys(map(canonical_network, names(options.network))))
    for network, own in network_options(options, networks).items():
        for shape in select_shapes(options.shapes, as_class=options.class_name):
            if shape.class_name is None:
                raise InvalidParameterError(f"--shape {shape.label}: add --class, what its class is nobody tells")
            scene = SceneId(network, shape.class_name, shape.source, options.params, feed, **own.in_ids())
            found.append(str(scene))
    return found


def draw(stem: Path, maps: ScoreMaps, title: str, *, traps: Sequence[Trap] = (), grown: Grown | None = None) -> None:
    """All maps, on as many pages as they need; the colours of means end at their highest score."""
    is_mean = all(name.endswith(f"/{MEAN}") for name in maps.names)
    highest = float(np.ceil(10 * maps.scores.max()) / 10) if is_mean else None
    for page in map_pages(maps):
        heading = f"{page.title}{title}"
        figure = maps_figure(maps, title=heading, page=page, highest=highest, traps=traps, grown=grown)
        save_figure(figure, stem.with_name(f"{stem.name}{page.suffix}.png"))


@final
@dataclass(frozen=True, eq=False)
class Growth:
    """What a method did on all maps: trajectory i is start i % S on map i // S."""

    result: RunResult
    history: BoundsHistory
    function: ScoreFunction
    member: Any


def grow(
    method: type[Optimizer[Any]],
    settings: Any,
    maps: ScoreMaps,
    starts: FloatArray,
    options: Namespace,
    advance: Callable[[], None],
) -> Growth:
    """Run a method on every map from every start point, all in one batch, through the oracle."""
    recorded = RecordedMaps(maps)
    function: ScoreFunction = Complement(recorded) if options.adversarial else recorded
    is_paper = options.form == "paper"
    budget = options.budget if options.budget is not None or is_paper else BUDGET
    max_steps = PAPER_STEPS if options.max_steps is None and is_paper else options.max_steps
    member = np.repeat(np.arange(len(maps)), len(starts))
    optimizer = method(maps.space, np.tile(starts, (len(maps), 1)), member=member, settings=settings, seed=options.seed)
    oracle = QueryOracle(function, trajectories=len(member), budget=budget)
    if not oracle.affordable(optimizer.ask()).all():
        raise InvalidBudgetError(f"--budget {budget} cannot pay one step of {method.name}; give a larger one")
    history = BoundsHistory()

    def on_step(running: Optimizer[Any], asked: QueryOracle) -> None:
        if len(maps) <= MOST_SINGLE:
            history.record(running.recommend(), running.start, asked.spent)
        advance()

    return Growth(run(optimizer, oracle, max_steps=max_steps, on_step=on_step), history, function, member)


def draw_growth(
    folder: Path, method: str, source: Source, starts: FloatArray, growth: Growth, options: Namespace
) -> None:
    """The regions on all maps, and for few maps each with example renders and the bounds over the queries."""
    maps, regions = source.maps, growth.result.regions
    labels = [point_label(maps.space, start) for start in starts]
    kind = "adversarial regions (low score)" if options.adversarial else "regions"
    title = f"{kind} by {method}, {options.form} form"
    if maps.space.n == 2:
        grown = Grown(regions, np.tile(starts, (len(maps), 1)), growth.member, tuple(labels * len(maps)))
        draw(folder / f"{method}_maps", maps, title, grown=grown)
    for row in range(len(maps) if len(maps) <= MOST_SINGLE else 0):
        own = np.flatnonzero(growth.member == row)
        name = f"{method}_{row}_{''.join(c if c.isalnum() else '-' for c in maps.names[row][-80:])}"
        heading = f"{title}\n{maps.names[row]}"
        (function, member), pictures = source.scores[row], source.pictures[row]
        views = [
            example_views(function, pictures, regions[int(index)], member=member) if pictures else [] for index in own
        ]
        figure = region_figure(regions[own], starts, labels, views, title=heading, maps=maps, row=row)
        save_figure(figure, folder / f"{name}_regions.png")
        if growth.history.spent:
            bounds = growth.history.figure(maps.space, own.tolist(), labels, title=heading)
            save_figure(bounds, folder / f"{name}_bounds.png")


def region_rows(method: str, maps: ScoreMaps, starts: FloatArray, growth: Growth) -> list[dict[str, Any]]:
    """One flat row a region, judged on points of the interpolated map that the method did not choose."""
    result = growth.result
    judged = judge_regions(growth.function, result.regions, growth.member)
    return [
        {
            "map": maps.names[member],
            "method": method,
            "start": maps.space.format_point(starts[index % len(starts)]),
            **bounds_columns(result.regions, index),
            "share": float(judged.share[index]),
            "feasible": bool(judged.feasible[index]),
            "mean": float(judged.mean[index]),
            "status": result.status[index],
            "forward_queries": int(result.forward_queries[index]),
            "gradient_queries": int(result.gradient_queries[index]),
        }
        for index, member in enumerate(growth.member)
    ]


def write_tables(traps: Sequence[Trap], bias: Sequence[ClassBias], folder: Path, options: Namespace) -> None:
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


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument("--shape", "--mesh", dest="shapes", action="append", help=SHAPE_HELP, default=[])
    made.add_argument("--class", dest="class_name", help="class of every --shape whose name does not tell", default="")
    made.add_argument("--network", help="networks by name, comma separated", default="efficientnet_lite0")
    made.add_argument("--params", help="parameters of a live map, 1 or 2", default="azimuth,elevation")
    made.add_argument("--unnormalized", action="store_true", help="feed pictures in [0, 1] as the paper's code did")
    add_network_options(made)
    made.add_argument("--function", dest="functions", action="append", help="a function id; may be repeated")
    made.add_argument("--maps", help="a file of maps to draw instead of live ones", default="")
    made.add_argument("--select", action="append", help='maps of --maps by name, * fits all: "ResNet50/chair/*"')
    made.add_argument("--map-step", type=float, help="grid of live maps in native units", default=3.0)
    made.add_argument("--dsm", action="store_true", help="also the DSM and what it says of the data")
    made.add_argument("--bias-low", type=float, help="a mean score below this is a failure", default=bias_defaults.LOW)
    made.add_argument("--bias-high", type=float, help="a mean score from this on holds", default=bias_defaults.HIGH)
    made.add_argument("--one-dimensional", action="store_true", help="also the NSM over the first parameter")
    made.add_argument("--traps", action="store_true", help="find, list and outline semantic traps")
    made.add_argument("--trap-low", type=float, help="a trap reaches below this score", default=trap_defaults.LOW)
    made.add_argument("--trap-high", type=float, help="and is enclosed by this score", default=trap_defaults.HIGH)
    made.add_argument("--methods", help=f"grow regions; comma separated; known: {', '.join(OPTIMIZERS)}", default="")
    made.add_argument("--form", choices=("normalized", "paper"), help="form of the updates", default="normalized")
    made.add_argument("--starts", help="start points by name, ; between them; none: the paper's four", default="")
    made.add_argument("--budget", type=int, help=f"most queries a start point; none: {BUDGET}, no limit in paper form")
    made.add_argument("--max-steps", type=int, help=f"most steps a start point; none: {PAPER_STEPS} in paper form")
    made.add_argument("--adversarial", action="store_true", help="grow regions where the score is low")
    made.add_argument("--seed", type=int, help="seed of the methods", default=0)
    made.add_argument("--dry-run", action="store_true", help="tell what live maps cost; only a short trial")
    made.add_argument("--out", help="output folder", default="results/maps")
    return made


SHAPE_HELP = "cup:3, a mesh file, a folder of meshes, or FOLDER#NAME; may be repeated"


if __name__ == "__main__":
    sys.exit(run_script(main, after_interrupt="scores are kept in --out; the same command goes on from there"))
