"""Grows, judges and draws the regions of each method on one shape."""

import io
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from baselines.commands.grow_regions import GrowRegionsOptions
from baselines.commands.shared.networks import check, introduce
from baselines.commands.shared.options import start_points
from baselines.commands.shared.questions import (
    prices,
    rank_of,
    rank_words,
    run_all,
    settings_of,
    starts_of,
    step_price,
    tasks_of,
)
from baselines.commands.shared.rows import (
    csv_row,
    region_line,
    regions_of,
    start_notes,
    sure_columns,
    sure_line,
    verdict,
)
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from optimizers.base import Optimizer
from optimizers.corner_method import CornerSettings
from semrob_env.errors import InvalidParameterError
from semrob_env.files import csv_text, markdown_table, output_folder, write_whole
from semrob_env.functions import Complement, ScoreFunction
from semrob_env.maps import live_maps, map_axes, map_steps
from semrob_env.metrics import shrink
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting import (
    BoundsHistory,
    example_views,
    point_label,
    projections_figure,
    region_figure,
    side_views,
    sides_figure,
)
from semrob_env.regions import MOST_CORNER_PARAMETERS, Regions
from semrob_env.scene.classifiers.score_kinds import SCORE_WORDS
from semrob_env.scene.image_function import ImageFunction, make_image_function
from semrob_env.tables.words import adversarial_words
from semrob_env.types import FloatArray

LEAST_MAP_STEP = 0.5  # degrees: finest grid of the drawn map


def run(options: GrowRegionsOptions, console: Console) -> None:
    space = options.space()
    scenes = options.scenes((options.one_shape(),), options.params, options)
    if len(scenes) != 1:
        raise InvalidParameterError(f"--networks {','.join(options.networks)}: this command takes one network")
    if not rank_of(options, options.starts):
        start_points(space, options.starts)
    price = prices(options, space)
    if options.dry_run or space.n > 2:
        for name, own in price.items():
            console.say(bill(name, sum(own), space, options))
    if options.dry_run:
        check(scenes)
        return
    if not options.map_step >= LEAST_MAP_STEP:
        raise InvalidParameterError(f"--map-step {options.map_step}: give at least {LEAST_MAP_STEP} degrees")
    steps = np.minimum(map_steps(space, options.map_step), space.width / 2).tolist()
    axes = map_axes(space, steps) if space.n <= 2 else ()
    scene = make_image_function(str(scenes[0]))
    asked: ScoreFunction = Complement(scene) if options.adversarial else scene
    scene.probe()
    bundle = Bundle(options.out, console)
    export = output_folder(options.export) if options.export else None

    console.say(f"{scene.id}: {scene.described(0)}")
    starts = starts_of(options, options.starts, scene)
    if words := rank_words(options, options.starts):
        console.say(words)
    introduce(console, {scene.id: starts})
    tasks = tasks_of(options, {asked.member_ids[0]: starts})
    notes = start_notes(asked, starts, np.zeros(len(starts), np.int64), options.goal, options.adversarial)
    labels = [point_label(space, start) if space.n <= 2 else moved(space, start) for start in starts]
    limits = zip(options.limits(), ("queries", "steps"), strict=True)
    ends = ", ".join(f"at most {most} {what}" for most, what in limits if most is not None)
    if axes:
        size = " x ".join(str(len(axis)) for axis in axes)
        console.say(f"beside the budget: a map of {size} views (fewer with a larger --map-step), and pictures")
    rows, lines = [], []
    with progress_bar(console, "") as progress:
        maps = None
        if axes:
            bar = progress.add_task("map", total=math.prod(len(axis) for axis in axes))
            maps = live_maps(scene, axes, on_points=lambda done: progress.update(bar, completed=done))
        for name in price:
            history, steps = BoundsHistory(), progress.add_task(name, total=options.limits()[1])
            on_step = partial(record, history, partial(progress.advance, steps))
            own_rows = run_all([task for task in tasks if task.method == name], asked, on_step)
            regions = regions_of(own_rows, space)
            own_csv = [csv_row(row, space, adversarial=options.adversarial) for row in own_rows]
            own_lines = [
                region_line(row, space, adversarial=options.adversarial, note=note)
                for row, note in zip(own_rows, notes, strict=True)
            ]
            if options.shrink:
                level = options.confidence_of(len(tasks))
                found = shrink(
                    asked, regions, starts, options.goal, points=options.shrink, level=level, seed=options.seed
                )
                own_csv = [
                    {**own, **sure_columns(found, row, adversarial=options.adversarial)}
                    for row, own in enumerate(own_csv)
                ]
                own_lines = [
                    {**own, **sure_line(found, row, options.goal, adversarial=options.adversarial)}
                    for row, own in enumerate(own_lines)
                ]
            rows += own_csv
            lines += own_lines
            kind = "regions in which f is low" if options.adversarial else "regions"
            title = f"{kind} by {name} ({options.form} form, {ends} a start point)\n{scene.id}"
            judged = [f"{label}: {verdict(row)}" for label, row in zip(labels, own_rows, strict=True)]
            each = [regions[row] for row in range(len(starts))]
            if maps is not None:
                views = [example_views(scene, scene.images, region) for region in each]
                figure = region_figure(regions, starts, judged, views, title=title, maps=maps)
                bundle.figure(f"{name}_regions.png", figure)
            else:
                sides = [side_views(scene, scene.images, region) for region in each]
                bundle.figure(f"{name}_projections.png", projections_figure(regions, starts, labels, title=title))
                bundle.figure(f"{name}_sides.png", sides_figure(regions, sides, judged, title=title))
            if history.spent:
                bundle.figure(f"{name}_bounds.png", history.figure(space, range(len(labels)), labels, title=title))
            if export is not None:
                told = export_inside(scene, regions, export / name, options)
                console.say(f"{name}: {told}")
    console.say(markdown_table(lines))
    (spec,) = options.specs()
    console.say(
        f"goal: {adversarial_words(options.goal) if options.adversarial else options.goal.words}; f: unit score of the "
        f"{SCORE_WORDS[spec.options.score]}\n{options.certified_text(len(rows))}; surely: bounds that hold with "
        "that confidence, at least of what the goal wants to be large"
    )
    bundle.rows("regions.csv", rows)
    bundle.close(*([f"renders ({export})"] if export else []))


def bill(name: str, own: int, space: SemanticSpace, options: GrowRegionsOptions) -> str:
    settings, parts = settings_of(options)[name], []
    if isinstance(settings, CornerSettings) and space.n <= MOST_CORNER_PARAMETERS:
        every = sum(step_price(options, name, replace(settings, corners=None), space))
        parts.append(f"{every} with all corners")
    if isinstance(settings, CornerSettings) and settings.corners is not None:
        parts.append(f"{own} with {settings.corners}")
    budget = options.method_budget()
    paid = f"; {budget} pay {budget // own} steps" if budget is not None else ""
    return f"{name}, n = {space.n}: queries a step {', '.join(parts) or own}{paid}"


def moved(space: SemanticSpace, start: FloatArray) -> str:
    """A start point by what is not at its default."""
    values = zip(space.parameters, start, strict=True)
    return ", ".join(f"{p.name} {value:g}" for p, value in values if value != p.default) or "default"


def record(history: BoundsHistory, advance: Callable[[], None], optimizer: Optimizer[Any], oracle: QueryOracle) -> None:
    history.record(optimizer.recommend(), optimizer.start, oracle.spent)
    advance()


def export_inside(scene: ImageFunction, regions: Regions, folder: Path, options: GrowRegionsOptions) -> str:
    """Random theta from inside each region with f (theta.csv) and renders (REGION_NUMBER.png); tells how many.

    With --adversarial only true failures: views whose own complement reaches the goal's level.
    """
    output_folder(folder)
    rngs = [np.random.default_rng([options.seed, row]) for row in range(len(regions))]
    theta = regions.sample(options.export_count, rngs)
    scores = scene.values(theta.reshape(1, -1, regions.space.n)).reshape(theta.shape[:2])
    written = 1 - scene.scale.unit(scores) >= options.goal.level if options.adversarial else np.ones_like(scores, bool)
    rows = []
    for region, number in np.argwhere(written).tolist():
        point = theta[region, number]
        pixels = np.round(np.clip(scene.images(point[None])[0].transpose(1, 2, 0), 0, 1) * 255).astype(np.uint8)
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, format="PNG")
        write_whole(folder / f"{region}_{number}.png", data.getvalue())
        named = dict(zip(regions.space.names, map(float, point), strict=True))
        score = float(scores[region, number])
        rows.append({"region": region, **named, "score": score, "picture": f"{region}_{number}.png"})
    write_whole(folder / "theta.csv", csv_text(rows) if rows else "")
    if not options.adversarial:
        return f"wrote {len(rows)} views to {folder}"
    return (
        f"wrote {len(rows)} failures to {folder}; {written.size - len(rows)} other views from inside the regions are "
        "none and are left out"
    )
