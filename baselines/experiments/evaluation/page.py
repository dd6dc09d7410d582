"""An evaluation as one HTML page that needs nothing else: no network, no other file, and no script for what matters.

Jinja2 escapes all that is put into it, and a content security policy lets nothing run but the page's own script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator

from baselines.experiments.evaluation.document import versions
from baselines.experiments.evaluation.looks import Looks
from baselines.experiments.evaluation.pictures import data_uri, sheet, thumbnails
from baselines.experiments.evaluation.values import FailingView, Findings, FoundRegion, ShapeEvaluation, SliceMap
from semrob_env.files import encodable
from semrob_env.parameters import Parameter
from semrob_env.plotting.canvas import SCORE_MAP
from semrob_env.regions import Regions
from semrob_env.scene.classifiers.base import Answer
from semrob_env.scene.classifiers.score_kinds import SCORE_WORDS
from semrob_env.tables.words import count_words, goal_words, interval_words, percent, point_words

CELL, THUMBNAIL, PICTURE = 56, 96, 112
"""Sides in pixels of a rendering on a sheet, of a shape and of a view."""

ACROSS, MANY_ACROSS = 640, 320
"""Width of a map's cells, all together: alone, and as one of many."""

HEIGHTS = {1: 0.1, 2: 0.45}
"""Their height over their width, by the number of parameters; `PAIR_HEIGHT` with more."""

PAIR_HEIGHT = 0.47

LEFT, BELOW, TOP = 58, 38, 8
"""Room beside a map, for numbers."""

COLORS = {"robust": "#111", "failing": "#c2410c"}

PURPOSES = ("survey", "search", "judge", "certificate", "effects", "map", "pictures")


@cache
def _source(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)


def page(found: Findings, *, gate: dict[str, Any] | None = None) -> str:
    """The report.

    Args:
        found: The evaluation.
        gate: `passed` and `text` of a gate that was asked, to be shown; None: none was.
    """
    script, shapes = _source("report.js"), [_shape(found, own) for own in found.shapes]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    context = {
        "network": found.network,
        "created": found.created,
        "parameters": found.space.names,
        "goal": goal_words(found.goal, found.score),
        "gate": gate,
        "cards": _cards(found),
        "words": found.words(),
        "notes": found.notes,
        "shapes": shapes,
        "failures": [_failure(found, one) for one in found.failures()],
        "ramp": [_color(value) for value in (0.0, 0.33, 0.66, 1.0)],
        "bill_names": PURPOSES,
        "bill": [
            *({"name": own.name, "counts": _counts(own.bill)} for own in found.shapes),
            {"name": "all", "counts": _counts(found.bill)},
        ],
        "settings": [(name.replace("_", " "), value) for name, value in found.settings.items()],
        "provenance": _provenance(found),
        "style": Markup(_source("report.css")),
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
    }
    return encodable(_environment().from_string(_source("report.html")).render(context))


def excerpt(found: Findings) -> str:
    """What a notebook shows: the figures of every shape, in words, with its best and its worst view."""
    shapes = []
    for own in found.shapes:
        worst = own.failures[0] if own.failures else None
        shapes.append({
            "name": own.name,
            "thumbnail": _picture(found, own, own.best.theta, 48),
            "right": percent(own.looks.rate.share),
            "interval": _interval(own.looks),
            "certified": percent(own.certified_share),
            "worst": _picture(found, own, worst.theta, 48) if worst else "",
            "words": own.words(),
        })
    context = {"network": found.network, "words": found.words(), "shapes": shapes}
    return encodable(_environment().from_string(_source("excerpt.html")).render(context))


def _cards(found: Findings) -> list[dict[str, str]]:
    low, high = found.rate.interval()
    shapes = len(found.shapes)
    certified = sum(own.certified_share > 0 for own in found.shapes)
    return [
        {
            "value": percent(found.rate.share),
            "text": f"of {found.rate.views:,} views right ({interval_words(low, high)} %, these shapes)",
        },
        {"value": percent(1 - found.rate.share), "text": "of the views fail"},
        {"value": f"{found.mean_probability:.2f}", "text": "mean probability of the class"},
        {
            "value": percent(found.figure("certified_region")),
            "text": "of the space in the certified robust region, mean; "
            f"{certified} of {count_words(shapes, 'shape')} with one",
        },
        {"value": f"{sum(found.bill.values()):,}", "text": "queries"},
    ]


def _counts(bill: Any) -> list[str]:
    own = [bill.get(name, 0) for name in PURPOSES]
    return [f"{count:,}" for count in (*own, sum(own))]


def _provenance(found: Findings) -> list[tuple[str, str]]:
    shared = dict(found.shapes[0].fingerprint)
    lines = [("network", found.network), ("input", found.preprocessing.identity), ("score", SCORE_WORDS[found.score])]
    lines += [(name, value) for name, value in shared.items() if name not in ("mesh", "class_index")]
    lines += [(f"mesh of {own.name}", own.fingerprint.get("mesh", "")) for own in found.shapes]
    lines += [(f"function of {own.name}", own.function_id) for own in found.shapes]
    return [*lines, *versions().items()]


def _picture(found: Findings, own: ShapeEvaluation, theta: Sequence[float], side: int) -> str:
    image = found.pictures.image(own.function_id, theta)
    return data_uri(thumbnails(image[None], side)[0])


def _of_found(one: FoundRegion | None) -> str:
    """`34 % (56 %)`: what is certified, and what was found."""
    return "0 %" if one is None else f"{percent(one.certified_share)} ({percent(one.share)})"


def _interval(looks: Looks) -> str:
    low, high = looks.rate.interval()
    return f"{interval_words(low, high)} %"


def _told(top: Sequence[Answer]) -> str:
    return f"{top[0].name} {percent(top[0].probability)}" if top else ""


def _shape(found: Findings, own: ShapeEvaluation) -> dict[str, Any]:
    low, high = own.looks.rate.interval()
    failing = own.largest_failing
    return {
        "name": own.name,
        "class_name": own.class_name,
        "thumbnail": _picture(found, own, own.best.theta, THUMBNAIL),
        "right": percent(own.looks.rate.share),
        "right_key": f"{own.looks.rate.share:.6f}",
        "interval": _interval(own.looks),
        "low": f"{100 * low:.1f}",
        "width": f"{100 * (high - low):.1f}",
        "mark": f"{100 * own.looks.rate.share - 0.8:.1f}",
        "probability": f"{own.looks.probability.mean():.2f}",
        "certified": _of_found(own.largest),
        "certified_key": f"{own.certified_share:.6f}",
        "failing": _of_found(failing),
        "failing_key": f"{failing.certified_share if failing else 0.0:.6f}",
        "instead": own.instead[0][0] if own.instead else "",
        "words": own.words(),
        "maps": [_map(found, own, one) for one in own.maps],
        "regions": [_region(found, own, one) for one in (own.largest, failing) if one and one.is_there],
    }


def _failure(found: Findings, one: FailingView) -> dict[str, Any]:
    own = next(shape for shape in found.shapes if shape.name == one.shape)
    return {
        "picture": _picture(found, own, one.theta, PICTURE),
        "shape": one.shape,
        "class_name": one.class_name,
        "theta": [f"{value:.4g}" for value in one.theta],
        "probability": percent(one.probability),
        "key": f"{one.probability:.6f}",
        "first": _told(one.top),
        "then": ", ".join(_told([answer]) for answer in one.top[1:]),
    }


def _region(found: Findings, own: ShapeEvaluation, one: FoundRegion) -> dict[str, Any]:
    looks = one.examples
    images = found.pictures.images(own.function_id, looks.theta)
    names = [found.pictures.answers(own.function_id, looks, place) for place in range(len(looks))]
    views = [
        {
            "picture": data_uri(small),
            "where": "inside" if is_inside else "just outside",
            "is_right": bool(is_right),
            "told": _told(top),
            "theta": point_words(found.space.parameters, theta),
        }
        for small, is_inside, is_right, top, theta in zip(
            thumbnails(images, PICTURE), one.is_inside, looks.is_right, names, looks.theta, strict=True
        )
    ]
    sure = "certified" if one.certified else "not certified"
    return {"title": f"Inside and just outside the {one.kind} region ({sure})", "views": views}


def _map(found: Findings, own: ShapeEvaluation, one: SliceMap) -> dict[str, Any]:
    columns, rows = one.counts
    parameters = [found.space.parameters[k] for k in one.axes]
    across = ACROSS if len(own.maps) == 1 else MANY_ACROSS
    tall = across * HEIGHTS.get(found.space.n, PAIR_HEIGHT)
    cell, cell_height = across / columns, tall / rows
    looks, bottom = one.looks, TOP + tall

    def x_of(value: float) -> float:
        return LEFT + across * (value - parameters[0].low) / (parameters[0].high - parameters[0].low)

    def y_of(value: float) -> float:
        if len(parameters) == 1:
            return bottom - tall * value
        return bottom - tall * (value - parameters[1].low) / (parameters[1].high - parameters[1].low)

    cells, wrong = [], []
    for place in range(len(looks)):
        x, y = LEFT + place % columns * cell, bottom - (place // columns + 1) * cell_height
        top = found.pictures.answers(own.function_id, looks, place)
        lines = [point_words(parameters, looks.theta[place, list(one.axes)])]
        lines += [f"{answer.name} {percent(answer.probability)}" for answer in top]
        lines.append(
            f"{own.class_name}: {looks.probability[place]:.3f}, {'right' if looks.is_right[place] else 'wrong'}"
        )
        cells.append({
            "x": f"{x:.1f}",
            "y": f"{y:.1f}",
            "fill": _color(looks.probability[place]),
            "text": "\n".join(lines),
        })
        if not looks.is_right[place]:
            wrong.append(f"M{x + cell / 2:.1f} {y + cell_height / 2:.1f}h0")
    images = found.pictures.images(own.function_id, looks.theta)
    upwards = [
        small
        for row in reversed(range(rows))
        for small in thumbnails(images[row * columns : (row + 1) * columns], CELL)
    ]
    fixed = [name for k, name in enumerate(found.space.names) if k not in one.axes]
    return {
        "title": f"probability of {own.class_name} over {' and '.join(own.name for own in parameters)}",
        "columns": columns,
        "rows": rows,
        "first": int(looks.scores.argmax()),
        "width": LEFT + across + 14,
        "height": round(bottom + BELOW),
        "left": LEFT,
        "middle_x": LEFT + across / 2,
        "middle_y": f"{TOP + tall / 2:.0f}",
        "cell_width": f"{cell + 0.4:.1f}",
        "cell_height": f"{cell_height + 0.4:.1f}",
        "cells": cells,
        "wrong": "".join(wrong),
        "lines": [
            {"path": _outline(region, one.axes, x_of, y_of), "color": COLORS[kind], "sure": sure}
            for kind, region, sure in _outlines(own)
        ],
        "x_ticks": [{"at": f"{x_of(value):.1f}", "text": f"{value:g}"} for value in _ticks(parameters[0])],
        "y_ticks": [
            {"at": f"{y_of(value):.1f}", "text": f"{value:g}"} for own in parameters[1:] for value in _ticks(own)
        ],
        "x_label": _label(parameters[0]),
        "y_label": _label(parameters[1]) if len(parameters) > 1 else "",
        "fixed": f"; {', '.join(fixed)} as at the best view" if fixed else "",
        "sheet": data_uri(sheet(upwards, columns)),
    }


def _outlines(own: ShapeEvaluation) -> Iterator[tuple[str, Regions, bool]]:
    """Regions to draw and whether they are certified; those that are come last."""
    every = [one for one in (*own.regions, *own.failing_regions) if one.is_there]
    for one in every:
        yield one.kind, one.found, False
    for one in every:
        if one.certified is not None:
            yield one.kind, one.certified.region, True


def _outline(region: Regions, axes: tuple[int, ...], x_of: Any, y_of: Any) -> str:
    """The projection of a region as an SVG path; open where it goes on across a seam."""
    cut = region.clip()
    pieces = [_pieces(region.space.parameters[k], float(cut.lower[0, k]), float(cut.upper[0, k])) for k in axes]
    if len(pieces) == 1:
        pieces.append([(0.0, 1.0, True, True)])
    path = []
    for x_low, x_high, has_left, has_right in pieces[0]:
        for y_low, y_high, has_bottom, has_top in pieces[1]:
            left, right, bottom, top = (
                f"{value:.1f}" for value in (x_of(x_low), x_of(x_high), y_of(y_low), y_of(y_high))
            )
            path += [f"M{left} {bottom}V{top}"] * has_left + [f"M{right} {bottom}V{top}"] * has_right
            path += [f"M{left} {bottom}H{right}"] * has_bottom + [f"M{left} {top}H{right}"] * has_top
    return "".join(path)


def _pieces(own: Parameter, lower: float, upper: float) -> list[tuple[float, float, bool, bool]]:
    """A side in the range of its parameter: bounds, and whether each is an end of it and not the seam."""
    if own.period is not None and upper - lower >= own.period:
        return [(own.low, own.high, False, False)]
    if own.period is None or upper <= own.high:
        return [(lower, upper, True, True)]
    return [(lower, own.high, True, False), (own.low, upper - own.period, False, True)]


def _ticks(own: Parameter) -> list[float]:
    if own.period is not None:
        return [own.low + quarter * own.period / 4 for quarter in range(5)]
    ticks = np.arange(-180, 181, 30) if own.unit == "deg" else MaxNLocator(5).tick_values(own.low, own.high)
    return [float(value) for value in ticks if own.low <= value <= own.high]


def _label(own: Parameter) -> str:
    return f"{own.name} ({own.unit})" if own.unit else own.name


def _color(value: float) -> str:
    return to_hex(colormaps[SCORE_MAP](float(np.clip(value, 0.0, 1.0))))
