"""What `semrob grow_regions` does."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from baselines.commands.grow_regions import Options
from baselines.commands.shared.questions import region_methods, thresholds, told_settings
from baselines.commands.shared.terminal import Bundle, progress_bar
from optimizers.base import Optimizer, Settings
from optimizers.corner_method import CornerSettings
from optimizers.run import RunResult
from optimizers.run import run as run_optimizer
from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.files import csv_text, markdown_table, output_folder, write_whole
from semrob_env.functions import Complement, ScoreFunction
from semrob_env.maps import live_maps, map_axes
from semrob_env.metrics import Judge, Judgement, judge_regions
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting import (
    BoundsHistory,
    bounds_columns,
    example_views,
    point_label,
    projections_figure,
    region_figure,
    side_views,
    sides_figure,
)
from semrob_env.regions import MOST_CORNER_PARAMETERS, Regions
from semrob_env.scene.function import SceneFunction, make_scene_function
from semrob_env.types import FloatArray


def run(options: Options, console: Console) -> None:
    """Map, grow, judge and draw."""
    methods = region_methods(options.methods)
    judge = Judge(thresholds(options.goal), seed=options.seed)
    options.one_network()
    (scene_id,) = options.scenes((options.one_shape(),), options.params, options.colors)
    space = options.space()
    starts = options.start_points(space)
    optimizers_by_name: dict[str, Optimizer[Any]] = {}
    for method in methods.values():
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
    # Degrees for angles; a thirtieth of the range for all else.
    widths = zip(space.parameters, space.width.tolist(), strict=True)
    map_steps = [min(options.map_step, width / 2) if p.unit == "deg" else width / 30 for p, width in widths]
    axes = map_axes(space, map_steps) if space.n <= 2 else ()
    scene.probe()
    bundle = Bundle(options.out, console)
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
            result = run_optimizer(optimizer, oracle, max_steps=options.max_steps, on_step=on_step)
            judged = judge_regions(function, result.regions, judge=judge)
            rows += table_rows(name, starts, result, judged)
            title = f"{name} ({options.form} form, at most {options.budget} queries a start point)\n{function.id}"
            labels = [point_label(space, start) if space.n <= 2 else moved(space, start) for start in starts]
            each = [result.regions[row] for row in range(len(starts))]
            if maps is not None:
                views = [example_views(function, scene.pictures, region) for region in each]
                figure = region_figure(result.regions, starts, labels, views, title=title, maps=maps)
                bundle.figure(f"{name}_regions.png", figure)
            else:
                sides = [side_views(function, scene.pictures, region) for region in each]
                figure = projections_figure(result.regions, starts, labels, title=title)
                bundle.figure(f"{name}_projections.png", figure)
                bundle.figure(f"{name}_sides.png", sides_figure(result.regions, sides, labels, title=title))
            bundle.figure(f"{name}_bounds.png", history.figure(space, range(len(labels)), labels, title=title))
            if export is not None:
                export_inside(scene, function, result.regions, export / name, options)
    console.print(markdown_table([table_line(row, space) for row in rows]), soft_wrap=True)
    bundle.rows("regions.csv", rows)
    bundle.close(*([f"renders ({export})"] if export else []))


LEAST_MAP_STEP = 0.5
"""Finest grid of the drawn map, in degrees."""


def settings_of(method: type[Optimizer[Any]], options: Options) -> Settings:
    """A method's settings in the form asked for, with sampled corners if it knows them.

    Raises:
        InvalidParameterError: --corners is not a number of corners, or the method has no such form.
    """
    settings = told_settings(method, options.form, options.goal, options.budget)
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


def table_line(row: Mapping[str, Any], space: SemanticSpace) -> dict[str, str]:
    """A row for the eye: shares in % of the space."""
    return {
        "method": row["method"],
        "start": row["start"],
        "region": ", ".join(f"{row[f'{name}_low']:.4g} to {row[f'{name}_high']:.4g}" for name in space.names),
        "share %": f"{100 * row['share']:.2f}",
        "feasible": "yes" if row["feasible"] else "no",
        **{name: f"{row[name]:.2f}" for name in ("mean", "purity", "quantile_05", "minimum")},
        "queries": f"{row['forward_queries']} + {row['gradient_queries']}",
        "end": row["status"],
    }


def export_inside(
    scene: SceneFunction, function: ScoreFunction, regions: Regions, folder: Path, options: Options
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
