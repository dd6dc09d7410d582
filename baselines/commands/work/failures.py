"""Searches shapes for failing views, and writes them as a sheet, tables, JSON and pictures."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from baselines.commands.failures import FailuresOptions
from baselines.commands.shared.networks import estimate, introduce
from baselines.commands.shared.options import workers_of
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.experiments.answers import KeptAnswers
from baselines.experiments.failures import (
    CERTIFY_VOLUMES,
    FailingRegion,
    Failure,
    Failures,
    Search,
    find_ahead,
    find_failures,
)
from baselines.experiments.paired_networks import shape_words
from semrob_env.errors import OutputError
from semrob_env.files import file_stem, markdown_table, output_folder, write_whole
from semrob_env.metrics.distinct import LEAST_DISTANCE
from semrob_env.plotting import Cell, bounds_columns, gallery_figure
from semrob_env.questions import ReliabilityGoal
from semrob_env.scene.classifiers.score_kinds import SCORE_WORDS
from semrob_env.scene.image_function import make_image_function
from semrob_env.scene.sources import load_shape
from semrob_env.tables import Subject
from semrob_env.tables.words import (
    bad_words,
    certified_words,
    count_words,
    point_words,
    short_point_words,
    uncertain_words,
)
from semrob_env.types import Float32Array

FORMAT, VERSION = "semrob failures", 1
ROWS_A_SHEET = 12
IMAGES = "images"


def run(options: FailuresOptions, console: Console) -> None:
    search = Search.of(options.search, options.level)
    shapes = options.selected()
    for shape in shapes:
        load_shape(shape.class_name or "", shape.source, options.colors, shape.pose, options.shading)
    scenes = options.scenes(shapes, options.params, options)
    console.say(described(options, search, len(scenes)))
    if options.dry_run:
        console.say(estimate(dict.fromkeys(map(str, scenes), sum(most_queries(options, 1).values()))))
        return
    options.load()
    introduce(console, dict.fromkeys(map(str, scenes)))
    bundle = Bundle(options.out, console)
    path = bundle.folder / "answers.sqlite"
    if not options.resume and path.exists():
        raise OutputError(f"{path} is there already; --no-resume wants an empty --out, leave it away to go on")
    kept, found = KeptAnswers(path), list[Failures]()
    names = ("budget", "count", "level", "regions", "region_budget", "reliability", "certificate_points", "confidence")
    asked: dict[str, Any] = {name: getattr(options, name) for name in (*names, "seed")}
    workers = workers_of(options, alone=True)
    with progress_bar(console, "queries") as progress:
        bar = progress.add_task("search", total=len(scenes) * options.budget)
        if not workers.is_here:
            ready = partial(progress.advance, bar, options.budget)
            ids = [str(scene) for scene in scenes]
            find_ahead(ids, kept, search=search, workers=workers, modules=options.imports, on_function=ready, **asked)
        for number, scene in enumerate(scenes):
            progress.update(bar, description=f"{scene.class_name} {number + 1} of {len(scenes)}")
            on_query = partial(advance, progress, bar, number * options.budget)
            function = make_image_function(str(scene))
            found.append(find_failures(function, search=search, kept=kept, on_query=on_query, **asked))
            progress.update(bar, completed=(number + 1) * options.budget)
            console.say(line_of(found[-1]))
    report(options, found, bundle, console)


def advance(progress: Any, bar: Any, before: float, spent: float) -> None:
    progress.update(bar, completed=before + spent)


def described(options: FailuresOptions, search: Search, functions: int) -> str:
    told = ", ".join(f"{queries:,} {what}" for what, queries in most_queries(options, functions).items())
    return (
        f"{count_words(functions, 'function')} (networks x shapes) over {options.params}, search {search.label}; "
        f"a view fails below a unit score of {options.level:g}, f: {SCORE_WORDS[options.score]}\nat most {told} queries"
    )


def most_queries(options: FailuresOptions, functions: int) -> dict[str, int]:
    """Most queries of so many functions, by purpose."""
    boxes = options.regions * functions
    return {
        "of the search": functions * options.budget,
        "of failing regions": boxes * options.region_budget,
        f"of their certificates (1 to {len(CERTIFY_VOLUMES)} boxes each)": boxes
        * len(CERTIFY_VOLUMES)
        * options.certificate_points,
    }


def line_of(found: Failures) -> str:
    own, bill = Subject.of(found.function_id), found.bill
    gradients = bill["search_gradients"]
    paid = count_words(bill["search"], "query") + f" (and {count_words(gradients, 'gradient query')})" * (gradients > 0)
    certified = [region for region in found.regions if region.is_certified]
    told = f"; largest certified failing region {100 * certified[0].share:.2f} % of the space" if certified else ""
    name = f"{own.network} {shape_words(own)}"
    if not found.found:
        return f"{name}: no failing view among {paid}: that shows no robustness, only that this search found none"
    return f"{name}: {found.found} of {paid} fail, {found.found_distinct} of them unlike each other{told}"


def report(options: FailuresOptions, found: Sequence[Failures], bundle: Bundle, console: Console) -> None:
    pictures = write_pictures(bundle.folder, found)
    rows = [
        {
            **subject_columns(own),
            **{k: v for k, v in row.items() if k != "function_id"},
            "picture": picture,
            "function_id": own.function_id,
        }
        for own, names in zip(found, pictures, strict=True)
        for row, picture in zip(own.to_rows(), names, strict=True)
    ]
    regions = [region_columns(own, region) for own in found for region in own.regions]
    body = "\n\n".join([
        "# Failing views",
        described(options, found[0].search, len(found)),
        markdown_table([summary(own) for own in found]),
        *[part for own in found for part in words(options, own)],
        "\n".join(f"- {note}" for note in notes(options, found)),
    ])
    bundle.text("failures.md", body)
    for name, table in {"failures.csv": rows, "regions.csv": regions}.items():
        if table:
            bundle.rows(name, table)
        else:
            bundle.text(name, "")  # an older one must not stay
    bundle.text("failures.json", json.dumps(told(options, found, rows, regions), indent=1))
    shown = [own for own in found if own.views]
    for first in range(0, len(shown), ROWS_A_SHEET):
        name = f"failures_{first // ROWS_A_SHEET + 1}.png" if first else "failures.png"
        page = shown[first : first + ROWS_A_SHEET]
        title = (
            f"Failing views, unlike each other, the worst first ({found[0].search.label}, {options.budget} queries a "
            "shape): parameters, unit score, first answers; orange: wrong, the class itself is not the first answer"
        )
        bundle.figure(name, gallery_figure([(label(own), cells(own)) for own in page], title=title))
    console.say(body)
    bundle.close(*([IMAGES] if any(pictures) else []), "answers.sqlite")


def subject_columns(found: Failures) -> dict[str, str]:
    own = Subject.of(found.function_id)
    return {"network": own.network, "class": own.class_name, "shape": own.shape}


def summary(found: Failures) -> dict[str, str]:
    bill = found.bill
    best = next((own for own in found.regions if own.is_certified), None)
    return {
        **subject_columns(found),
        "failing / asked": f"{found.found} / {bill['search']}",
        "unlike each other": str(found.found_distinct),
        "lowest unit score": f"{found.views[0].unit_score:.2f}" if found.views else "-",
        "there instead": instead(found.views[0]) if found.views else "-",
        "certified failing region, % of the space": f"{100 * best.share:.2f}" if best else "none",
        "queries": f"{bill['search']} + {bill['search_gradients']} search, {bill['regions']} regions, "
        f"{bill['certificates']} certificates",
    }


def instead(view: Failure) -> str:
    return ", ".join(f"{one.name} {one.probability:.2f}" for one in view.answers)


def words(options: FailuresOptions, found: Failures) -> list[str]:
    """Where one function fails, in sentences."""
    own = Subject.of(found.function_id)
    title = f"**{own.network}, {shape_words(own)}**"
    if not found.found:
        return [f"{title}: {line_of(found).partition(': ')[2]}."]
    lines = [
        f"- {point_words(found.space.parameters, view.theta)}: unit score {view.unit_score:.2f}, {instead(view)}"
        + " (the class itself is still the first answer)" * (view.is_wrong is False)
        for view in found.views
    ]
    for region in found.regions:
        where = point_words(found.space.parameters, region.start)
        if region.is_certified:
            level, sure_of = 1 - options.level, options.confidence
            sure = certified_words(region.sure, region.least, level=level, confidence=sure_of, adversarial=True)
            lines.append(f"- failing region around {where}: {sure}, {100 * region.share:.2f} % of the space")
        else:
            why = uncertain_words(
                region.tried,
                CERTIFY_VOLUMES,
                ReliabilityGoal(level=1 - options.level, reliability=options.reliability),
                points=options.certificate_points,
                confidence=options.confidence,
                is_feasible=True,
                good=bad_words(options.level),
            )
            lines.append(f"- failing region around {where}: {why}; or look longer for it, --region-budget")
    return ["\n".join([f"{title}:", "", *lines])]


def notes(options: FailuresOptions, found: Sequence[Failures]) -> list[str]:
    bills = [own.bill for own in found]
    total = {name: sum(bill[name] for bill in bills) for name in bills[0]}
    return [
        f"billed: {total['search']:,} forward and {total['search_gradients']:,} gradient queries of searches, "
        f"{total['regions']:,} of regions, {total['certificates']:,} of certificates; each view shown was drawn and "
        "asked once more, which nobody is charged for",
        f"unlike each other: they differ by at least {100 * LEAST_DISTANCE:g} % of a parameter's range",
        "failing / asked is no rate of failing views: a search asks where it expects failures",
        f"a certified failing region: at least {100 * options.reliability:g} % of its views fail, with "
        f"{100 * options.confidence:g} % confidence for each region, by {options.certificate_points} independent views "
        "of each box that was tried",
    ]


def region_columns(found: Failures, region: FailingRegion) -> dict[str, Any]:
    return {
        **subject_columns(found),
        **{f"start_{name}": value for name, value in zip(found.space.names, region.start.tolist(), strict=True)},
        **bounds_columns(region.found, 0),
        "share": float(region.found.share()[0]),
        "certified": int(region.is_certified),
        **{f"certified_{name}": value for name, value in bounds_columns(region.sure, 0).items()},
        "certified_share": region.share,
        "least_failing_share": region.least,
        "queries": region.forward_queries,
        "certificate_queries": region.certificate_queries,
        "function_id": found.function_id,
    }


def label(found: Failures) -> str:
    own = Subject.of(found.function_id)
    network = own.network.replace("_", " ").replace("efficientnet", "")
    return f"{shape_words(own)} {network} {found.found} of {found.bill['search']} fail"


def cells(found: Failures) -> list[Cell]:
    return [
        Cell(
            view.image,
            (
                short_point_words(found.space.parameters, view.theta),
                f"score {view.unit_score:.2f}",
                *(f"{one.name} {one.probability:.2f}" for one in view.answers),
            ),
            is_marked=view.is_wrong is True,
        )
        for view in found.views
    ]


def write_pictures(folder: Path, found: Sequence[Failures]) -> list[list[str]]:
    """Every view as a PNG of what the network sees; those that an earlier run wrote here are removed."""
    remove_pictures(folder)
    names = []
    for number, own in enumerate(found):
        subject = Subject.of(own.function_id)
        shape = subject.shape.rpartition("/")[2]
        stem = file_stem(f"{subject.network}_{subject.class_name}_{shape}")
        names.append([f"{IMAGES}/{number:03d}_{stem}_{rank}.png" for rank in range(1, len(own.views) + 1)])
        for name, view in zip(names[-1], own.views, strict=True):
            output_folder(folder / IMAGES)
            assert view.image is not None
            write_whole(folder / name, png(view.image))
    return names


def remove_pictures(folder: Path) -> None:
    """Remove the pictures that `failures.json` of an earlier run names, no others."""
    try:
        before = json.loads((folder / "failures.json").read_text(encoding="utf-8"))["failures"]
        for row in before:
            if re.fullmatch(rf"{IMAGES}/\d+_[\w.-]+\.png", row["picture"], flags=re.ASCII):
                (folder / row["picture"]).unlink(missing_ok=True)
    except (OSError, ValueError, KeyError, TypeError):
        return  # none, or no file of ours


def png(image: Float32Array) -> bytes:
    data = io.BytesIO()
    pixels = np.round(np.clip(image.transpose(1, 2, 0), 0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(data, format="PNG")
    return data.getvalue()


def told(
    options: FailuresOptions,
    found: Sequence[Failures],
    rows: Sequence[dict[str, Any]],
    regions: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """What failures.json holds: settings, a bill a function, and the rows of both tables."""
    own = found[0].search
    return {
        "format": FORMAT,
        "version": VERSION,
        "search": {"method": own.method, "settings": json.loads(own.settings), "differences": own.by_differences},
        "budget": options.budget,
        "level": options.level,
        "score": options.score,
        "seed": options.seed,
        "parameters": [[p.name, p.unit, p.low, p.high, p.period] for p in found[0].space.parameters],
        "functions": [
            {
                **subject_columns(one),
                "function_id": one.function_id,
                "failing": one.found,
                "distinct": one.found_distinct,
                "queries": one.bill,
            }
            for one in found
        ],
        "failures": list(rows),
        "regions": list(regions),
    }
