"""An evaluation as plain data: flat rows for CSV, and the document that `report.schema.json` describes."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import numpy as np

from baselines.experiments.evaluation.values import GATES, FailingView, Findings, FoundRegion, ShapeEvaluation
from semrob_env.metrics.survey import Rate
from semrob_env.parameters import SemanticSpace
from semrob_env.regions import Regions
from semrob_env.scene.classifiers.score_kinds import SCORE_WORDS

SCHEMA = 1
"""Version of the document: goes up when a reader of the one before would misread it."""

LIBRARIES = ("semrob", "numpy", "torch", "openvino", "numba")


def versions() -> dict[str, str]:
    """Versions of what answers depend on; `unknown` of what is not installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def document(found: Findings) -> dict[str, Any]:
    """All of an evaluation as data that `json.dumps` takes, NaN nowhere."""
    return {
        "schema": SCHEMA,
        "kind": "semrob evaluation",
        "created": found.created,
        "network": {
            "name": found.network,
            "size": found.preprocessing.size,
            "mean": list(found.preprocessing.mean),
            "std": list(found.preprocessing.std),
            "score": SCORE_WORDS[found.score],
        },
        "space": [
            {"name": own.name, "unit": own.unit, "low": own.low, "high": own.high, "period": own.period}
            for own in found.space.parameters
        ],
        "goal": found.goal.text,
        "top1": _rate(found.rate),
        "mean_score": found.mean_score,
        "mean_probability": found.mean_probability,
        "figures": {name: found.figure(name) for name in GATES},
        "words": found.words(),
        "notes": list(found.notes),
        "shapes": [_shape(own) for own in found.shapes],
        "queries": found.bill,
        "settings": dict(found.settings),
        "versions": versions(),
    }


def _rate(rate: Rate) -> dict[str, Any]:
    low, high = rate.interval()
    return {"right": rate.right, "views": rate.views, "share": rate.share, "low": low, "high": high}


def _shape(own: ShapeEvaluation) -> dict[str, Any]:
    effects = own.effects
    return {
        "name": own.name,
        "class": own.class_name,
        "function": own.function_id,
        "fingerprint": dict(own.fingerprint),
        "top1": _rate(own.looks.rate),
        "failing_share": 1 - own.looks.rate.share,
        "mean_score": float(own.looks.scores.mean()),
        "mean_probability": float(own.looks.probability.mean()),
        "certified_share": own.certified_share,
        "words": own.words(),
        "predicted_instead": [{"class": name, "views": count} for name, count in own.instead],
        "best_view": _seen(own.best, own.looks.space),
        "failures": [_seen(one, own.looks.space) for one in own.failures],
        "regions": [_region(one) for one in (*own.regions, *own.failing_regions)],
        "effects": None
        if effects is None
        else [
            {"parameter": name, "total": float(total), "standard_error": float(error)}
            for name, total, error in zip(effects.space.names, effects.total, effects.standard_error, strict=True)
        ],
        "queries": dict(own.bill),
    }


def _seen(one: FailingView, space: SemanticSpace) -> dict[str, Any]:
    return {
        "theta": dict(zip(space.names, one.theta, strict=True)),
        "score": one.score,
        "probability": one.probability,
        "top": [{"class": own.name, "index": own.index, "probability": own.probability} for own in one.top],
    }


def _bounds(region: Regions) -> dict[str, list[float]]:
    """Lower and upper bound by parameter; an upper one beyond the range lies across the seam."""
    cut = region.clip()
    return {
        name: [float(low), float(high)]
        for name, low, high in zip(region.space.names, cut.lower[0], cut.upper[0], strict=True)
    }


def _region(one: FoundRegion) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "goal": one.goal.text,
        "start": dict(zip(one.found.space.names, one.start.tolist(), strict=True)),
        "found": {"bounds": _bounds(one.found), "share": one.share, "judged": one.judged, "feasible": one.feasible},
        "certified": None
        if one.certified is None
        else {
            "bounds": _bounds(one.certified.region),
            "share": one.certified.share,
            "bound": one.certified.bound,
            "confidence": one.confidence,
        },
        "words": one.words(),
        "queries": dict(one.bill),
    }


def shape_rows(found: Findings) -> list[dict[str, Any]]:
    """A flat row a shape."""
    rows = []
    for own in found.shapes:
        low, high = own.looks.rate.interval()
        failing = own.largest_failing
        rows.append({
            "shape": own.name,
            "class": own.class_name,
            "top1": own.looks.rate.share,
            "top1_low": low,
            "top1_high": high,
            "views": own.looks.rate.views,
            "failing_share": 1 - own.looks.rate.share,
            "mean_score": float(own.looks.scores.mean()),
            "mean_probability": float(own.looks.probability.mean()),
            "certified_region": own.certified_share,
            "found_region": own.largest.share if own.largest else 0.0,
            "certified_failing_region": failing.certified_share if failing else 0.0,
            "found_failing_region": failing.share if failing else 0.0,
            "predicted_instead": own.instead[0][0] if own.instead else "",
            "queries": sum(own.bill.values()),
        })
    return rows


def failure_rows(found: Findings) -> list[dict[str, Any]]:
    """A flat row a failing view: theta by name, the score, what was predicted."""
    told = max((len(one.top) for one in found.failures()), default=0)
    rows = []
    for one in found.failures():
        row: dict[str, Any] = {"shape": one.shape, "class": one.class_name, "rank": one.rank}
        row |= {"picture": found.picture_of(one)} | dict(zip(found.space.names, one.theta, strict=True))
        row |= {"score": one.score, "probability": one.probability}
        for place in range(told):
            row |= {
                f"predicted_{place + 1}": one.top[place].name,
                f"probability_{place + 1}": one.top[place].probability,
            }
        rows.append(row)
    return rows


def region_rows(found: Findings) -> list[dict[str, Any]]:
    """A flat row a region: bounds of what was found and of what is certified, NaN without."""
    rows = []
    for one in found.regions:
        sure = one.certified
        row: dict[str, Any] = {"shape": one.shape, "kind": one.kind, "goal": one.goal.text}
        row |= {f"start_{name}": value for name, value in zip(found.space.names, one.start.tolist(), strict=True)}
        for prefix, region in (("found", one.found), ("certified", sure.region if sure else None)):
            none = {name: [np.nan, np.nan] for name in found.space.names}
            bounds = none if region is None else _bounds(region)
            for name, (low, high) in bounds.items():
                row |= {f"{prefix}_{name}_low": low, f"{prefix}_{name}_high": high}
        row |= {"found_share": one.share, "judged": one.judged, "feasible": one.feasible}
        row |= {"certified_share": one.certified_share, "certified_bound": sure.bound if sure else np.nan}
        row |= {"confidence": one.confidence, "words": "; ".join(one.words())}
        rows.append(row | {f"{name}_queries": count for name, count in one.bill.items()})
    return rows
