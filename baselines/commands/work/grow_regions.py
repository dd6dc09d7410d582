"""Grow regions around start points on one shape, judge them and draw them.

Examples:
  python scripts/grow_regions.py --shape cup:3
  python scripts/grow_regions.py --mesh mug.obj --class cup --methods naive,oir_b --budget 300
  python scripts/grow_regions.py --mesh "KatorLegaz.sh3f#coffee-mug" --budget 300
  python scripts/grow_regions.py --shape chair:0 --starts "azimuth=90,elevation=10" --adversarial
  python scripts/grow_regions.py --shape piano:0 --export results/inside
  python scripts/grow_regions.py --shape cup:3 --params paper6 --corners 8 --methods naive,oir_b,oir_w
  python scripts/grow_regions.py --shape cup:3 --params "azimuth[90:180],roll" --dry-run
  python scripts/grow_regions.py --shape cup:3 --network torchvision/resnet18 --weights mine.pth --score margin

A start point is given by name, several with ; between them; what is missing takes its default. Written to --out:
regions.csv, and for each method METHOD_regions.png (the map of f with the regions; renders from inside and from just
outside) and METHOD_bounds.png (how the bounds moved). With more than two parameters there is no map: instead,
METHOD_projections.png (the regions on every pair of parameters) and METHOD_sides.png (renders along each side).
--export also writes theta and renders from inside each region. Map, renders and the judge's held-out points are not
charged to any method.

A step of a corner method asks all 2^n corners of a box, or with --corners so many drawn ones; both bills are told.
"""

from __future__ import annotations

import io
import math
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.table import Table
from semrob_env.cli import ArgumentParser, make_console, names, positive, progress_bar, run_script

import optimizers  # noqa: F401  (fills the registry)
from optimizers.base import Optimizer, Settings
from optimizers.corner_method import CornerSettings, settings_of_form
from optimizers.registry import OPTIMIZERS, get_optimizer
from optimizers.run import RunResult, run
from semrob_env.errors import InvalidBudgetError, InvalidParameterError, UnknownNameError
from semrob_env.files import csv_text, output_folder, write_whole
from semrob_env.functions import Complement, ScoreFunction
from semrob_env.maps import live_maps, map_axes
from semrob_env.metrics import Judge, Judgement, Thresholds, judge_regions
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import NAMED_SPACES, SemanticSpace, paper_starts
from semrob_env.plotting import (
    BoundsHistory,
    bounds_columns,
    example_views,
    point_label,
    projections_figure,
    read_points,
    region_figure,
    save_figure,
    side_views,
    sides_figure,
)
from semrob_env.regions import MOST_CORNER_PARAMETERS, Regions
from semrob_env.scene.classifiers.options import add_network_options, network_options
from semrob_env.scene.classifiers.registry import canonical_network
from semrob_env.scene.function import SceneFunction, SceneId, make_scene_function
from semrob_env.scene.sources import resolve_shape
from semrob_env.types import FloatArray


def main(arguments: Sequence[str] | None = None) -> None:
    """Read arguments, then map, grow, judge and draw."""
    options = parser().parse_args(arguments)
    console = make_console()
    positive(options.budget, "--budget")
    positive(options.export_count, "--export-count")
    methods = [get_optimizer(name) for name in names(options.methods)]
    judge = Judge(Thresholds(options.epsilon_m, options.epsilon_v), seed=options.seed)
    scene_id = scene_of(options)
    space = SemanticSpace.of(scene_id.params)
    starts = paper_starts(space) if options.starts == PAPER else read_points(space, options.starts)
    optimizers_by_name: dict[str, Optimizer[Any]] = {}
    for method in methods:
        settings = settings_of(method, options)
        optimizer = method(space, starts, settings=settings, seed=options.seed)
        if options.dry_run or space.n > 2:
            console.print(bill(method, space, settings, options.budget), soft_wrap=True)
        if step_price(optimizer) > options.budget:
            raise InvalidBudgetError(
                f"--budget {options.budget} cannot pay one step of {method.name}; give a larger one, or fewer --corners"
            )
        optimizers_by_name[method.name] = optimizer
    if options.dry_run:
        return
    scene = make_scene_function(str(scene_id))
    function: ScoreFunction = Complement(scene) if options.adversarial else scene
    if not options.map_step >= LEAST_MAP_STEP:
        raise InvalidParameterError(f"--map-step {options.map_step}: give at least {LEAST_MAP_STEP} degrees")
    if options.max_steps is not None:
        positive(options.max_steps, "--max-steps")
    # Degrees for angles; a thirtieth of the range for all else.
    widths = zip(space.parameters, space.width.tolist(), strict=True)
    map_steps = [min(options.map_step, width / 2) if p.unit == "deg" else width / 30 for p, width in widths]
    axes = map_axes(space, map_steps) if space.n <= 2 else ()
    scene.probe()
    folder = output_folder(options.out)
    export = output_folder(options.export) if options.export else None

    console.print(f"{function.id}: {len(scene.meshes[0].faces)} faces", soft_wrap=True)
    rows: list[dict[str, Any]] = []
    with progress_bar(console, "") as progress:
        maps = None
        if axes:
            bar = progress.add_task("map", total=math.prod(len(axis) for axis in axes))
            maps = live_maps(function, axes, on_points=lambda done: progress.update(bar, completed=done))
        for name, optimizer in optimizers_by_name.items():
            history, steps = BoundsHistory(), progress.add_task(name, total=options.max_steps)
            oracle = QueryOracle(function, trajectories=len(starts), budget=options.budget)
            on_step = partial(record, history, partial(progress.advance, steps))
            result = run(optimizer, oracle, max_steps=options.max_steps, on_step=on_step)
            judged = judge_regions(function, result.regions, judge=judge)
            rows += table_rows(name, starts, result, judged)
            title = f"{name} ({options.form} form, at most {options.budget} queries a start point)\n{function.id}"
            labels = [point_label(space, start) if space.n <= 2 else moved(space, start) for start in starts]
            each = [result.regions[row] for row in range(len(starts))]
            if maps is not None:
                views = [example_views(function, scene.pictures, region) for region in each]
                figure = region_figure(result.regions, starts, labels, views, title=title, maps=maps)
                save_figure(figure, folder / f"{name}_regions.png")
            else:
                sides = [side_views(function, scene.pictures, region) for region in each]
                figure = projections_figure(result.regions, starts, labels, title=title)
                save_figure(figure, folder / f"{name}_projections.png")
                save_figure(sides_figure(result.regions, sides, labels, title=title), folder / f"{name}_sides.png")
            save_figure(history.figure(space, range(len(labels)), labels, title=title), folder / f"{name}_bounds.png")
            if export is not None:
                export_inside(scene, function, result.regions, export / name, options)
    console.print(terminal_table(rows, space))
    write_whole(folder / "regions.csv", csv_text(rows))
    console.print(f"wrote regions.csv and pictures to {folder}" + (f", renders to {export}" if export else ""))


LEAST_MAP_STEP = 0.5
"""Finest grid of the drawn map, in degrees."""


PAPER = "paper"
"""The paper's start points, as --starts has them."""


def settings_of(method: type[Optimizer[Any]], options: Namespace) -> Settings:
    """A method's settings in the form asked for, with sampled corners if it knows them.

    Raises:
        InvalidParameterError: --corners is not a number of corners, or the method has no such form.
    """
    settings = settings_of_form(method, options.form)
    return replace(settings, corners=options.corners) if isinstance(settings, CornerSettings) else settings


def step_price(optimizer: Optimizer[Any]) -> int:
    """Queries, forward and gradient, of the first step of a start point."""
    queries = optimizer.ask()
    return int(queries.active.sum(axis=1).max()) * (2 if queries.wants_gradient else 1)


def bill(method: type[Optimizer[Any]], space: SemanticSpace, settings: Settings, budget: int) -> str:
    """What a step costs a start point: with all corners, and with --corners."""

    def price(own: Settings) -> int:
        return step_price(method(space, space.default[None], settings=own))

    own, parts = price(settings), []
    if isinstance(settings, CornerSettings) and space.n <= MOST_CORNER_PARAMETERS:
        parts.append(f"{price(replace(settings, corners=None))} with all corners")
    if isinstance(settings, CornerSettings) and settings.corners is not None:
        parts.append(f"{own} with {settings.corners}")
    told = ", ".join(parts) or str(own)
    return f"{method.name}, n = {space.n}: queries a step {told}; {budget} pay {budget // own} steps"


def moved(space: SemanticSpace, start: FloatArray) -> str:
    """A start point by what is not at its default."""
    values = zip(space.parameters, start, strict=True)
    return ", ".join(f"{p.name} {value:g}" for p, value in values if value != p.default) or "default"


def record(history: BoundsHistory, advance: Callable[[], None], optimizer: Optimizer[Any], oracle: QueryOracle) -> None:
    """Keep the state after a step."""
    history.record(optimizer.recommend(), optimizer.start, oracle.spent)
    advance()


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument("--shape", help="procedural shape, class:number, e.g. cup:3", default="")
    made.add_argument("--mesh", help="mesh file with --class, or FOLDER#NAME, LIBRARY.sh3f#NAME", default="")
    made.add_argument("--class", dest="class_name", help="class that a --mesh is scored for", default="")
    made.add_argument(
        "--params",
        help=f"parameters, comma separated, {', '.join(NAMED_SPACES)}, or a part of a range, azimuth[90:180]",
        default="azimuth,elevation",
    )
    made.add_argument("--network", help="network by name", default="efficientnet_lite0")
    made.add_argument("--methods", help=f"comma separated; known: {', '.join(OPTIMIZERS)}", default="oir_b")
    made.add_argument("--form", choices=("normalized", "paper"), help="form of the updates", default="normalized")
    made.add_argument("--starts", help=f"start points by name, ; between them; {PAPER}: its own four", default=PAPER)
    made.add_argument("--budget", type=int, help="most queries a start point", default=150)
    made.add_argument("--corners", type=int, help="corners that a step asks of each box, an even number; none: all 2^n")
    made.add_argument("--max-steps", type=int, help="most steps a start point; none: the budget ends it")
    made.add_argument("--epsilon-m", type=float, help="feasible: mean score >= 1 - epsilon_m", default=0.5)
    made.add_argument("--epsilon-v", type=float, help="feasible: variance <= epsilon_v", default=0.25)
    made.add_argument("--adversarial", action="store_true", help="grow regions where the score is low")
    made.add_argument("--unnormalized", action="store_true", help="feed pictures in [0, 1] as the paper's code did")
    add_network_options(made)
    made.add_argument("--map-step", type=float, help="grid of the drawn map in degrees", default=6.0)
    made.add_argument("--export", help="folder for theta and renders from inside each region", default="")
    made.add_argument("--export-count", type=int, help="renders a region that --export writes", default=8)
    made.add_argument("--seed", type=int, help="seed of methods, judge and export", default=0)
    made.add_argument("--out", help="output folder", default="results/regions")
    made.add_argument("--dry-run", action="store_true", help="tell what a step costs, grow nothing")
    return made


def scene_of(options: Namespace) -> SceneId:
    """The scene that --shape, or --mesh and --class, ask for."""
    if bool(options.shape) == bool(options.mesh):
        raise InvalidParameterError("give either --shape class:number, or --mesh FILE and --class NAME")
    network = canonical_network(options.network)
    own: dict[str, Any] = network_options(options, [network])[network].in_ids()
    own["feed"] = "unnormalized" if options.unnormalized else "normalized"
    if options.mesh:
        mesh = resolve_shape(options.mesh) if options.class_name or "#" in options.mesh else None
        class_name = options.class_name or (mesh.class_name if mesh else None)
        if mesh is None or class_name is None:
            raise InvalidParameterError("--mesh needs --class: the class that the shape is scored for")
        return SceneId(network, class_name, mesh.source, params=options.params, **own)
    return replace(shape_of(options.shape, network), params=options.params, **own)


def shape_of(text: str, network: str) -> SceneId:
    """The scene of a built-in shape, `class:number`.

    Raises:
        UnknownNameError: It is not written so.
    """
    class_name, _, number = text.partition(":")
    if not (number.isascii() and number.isdigit() and len(number) <= 15):
        raise UnknownNameError(f"unknown shape {text!r}; write class:number, e.g. cup:3")
    return SceneId(network, class_name, f"procedural:{int(number)}")


def table_rows(method: str, starts: FloatArray, result: RunResult, judged: Judgement) -> list[dict[str, Any]]:
    """One flat row a region."""
    space, regions = result.regions.space, result.regions
    rows = []
    for row, start in enumerate(starts):
        rows.append({
            "method": method,
            "start": space.format_point(start),
            **bounds_columns(regions, row),
            "share": float(judged.share[row]),
            "feasible": bool(judged.feasible[row]),
            "mean": float(judged.mean[row]),
            "variance": float(judged.variance[row]),
            "purity": float(judged.purity[row]),
            "quantile_05": float(judged.quantile_05[row]),
            "minimum": float(judged.minimum[row]),
            "status": result.status[row],
            "steps": int(result.steps[row]),
            "forward_queries": int(result.forward_queries[row]),
            "gradient_queries": int(result.gradient_queries[row]),
            "judge_queries": int(judged.judge_queries[row]),
        })
    return rows


def terminal_table(rows: Sequence[dict[str, Any]], space: SemanticSpace) -> Table:
    """The rows for the eye."""
    table = Table(title="regions, judged on held-out points", caption="share: % of the space; end: why a run stopped")
    for name in ("method", "start", "region", "share", "feasible", "mean", "purity", "5 %", "lowest", "queries", "end"):
        table.add_column(name, justify="left" if name in ("method", "start", "region", "end") else "right")
    for row in rows:
        table.add_row(
            row["method"],
            "\n".join(f"{name} {value:g}" for name, value in zip(space.names, space.point(row["start"]), strict=True)),
            "\n".join(f"{row[f'{name}_low']:.4g} to {row[f'{name}_high']:.4g}" for name in space.names),
            f"{100 * row['share']:.2f}",
            "yes" if row["feasible"] else "no",
            *(f"{row[name]:.2f}" for name in ("mean", "purity", "quantile_05", "minimum")),
            f"{row['forward_queries']} + {row['gradient_queries']}",
            row["status"],
        )
    return table


def export_inside(
    scene: SceneFunction, function: ScoreFunction, regions: Regions, folder: Path, options: Namespace
) -> None:
    """Random theta from inside each region with their scores (theta.csv) and renders (REGION_NUMBER.png)."""
    output_folder(folder)
    rngs = [np.random.default_rng([options.seed, row]) for row in range(len(regions))]
    theta = regions.sample(options.export_count, rngs)
    scores = function.values(theta)
    rows = []
    for region, points in enumerate(theta):
        for number, picture in enumerate(scene.pictures(points)):
            file_name = f"{region}_{number}.png"
            pixels = np.round(np.clip(picture.transpose(1, 2, 0), 0, 1) * 255).astype(np.uint8)
            data = io.BytesIO()
            Image.fromarray(pixels).save(data, format="PNG")
            write_whole(folder / file_name, data.getvalue())
            named = dict(zip(regions.space.names, map(float, points[number]), strict=True))
            rows.append({"region": region, **named, "score": float(scores[region, number]), "picture": file_name})
    write_whole(folder / "theta.csv", csv_text(rows))


if __name__ == "__main__":
    sys.exit(run_script(main))
