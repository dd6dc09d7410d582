"""Regions of rows: as columns of CSV files, and as lines for the eye; both follow the fields of `RunRow`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from semrob_env.functions import ScoreFunction
from semrob_env.metrics import Shrunk
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting import bounds_columns
from semrob_env.questions import Goal
from semrob_env.regions import Regions
from semrob_env.store import RunRow
from semrob_env.types import FloatArray, IntArray

LEFT_OUT = ("lower", "upper", "space", "fingerprint", "error")
"""Fields of a row that are no columns: bounds get one column each."""


def regions_of(rows: Sequence[RunRow], space: SemanticSpace) -> Regions:
    """The final regions of rows."""
    return Regions(space, np.array([row.lower for row in rows]), np.array([row.upper for row in rows]))


def told_record(row: RunRow, *, adversarial: bool) -> dict[str, Any]:
    """A row as flat columns, in unit scores of f itself where its function is the complement of f.

    Then the columns of scores are `mean` and `variance` of f, `quantile_95`, `maximum`, and `failing`, the share of
    views with f <= 0.5, in place of `quantile_05`, `minimum` and `purity`; what the goal counts, of the complement, has
    `complement_` before its name.
    """
    own = row.record()
    if not adversarial:
        return own
    told: dict[str, Any] = {}
    for name, value in own.items():
        if name in MIRRORED:
            told[MIRRORED[name]] = 1 - value
        else:
            told[f"complement_{name}" if name.startswith("goal_") else "failing" if name == "purity" else name] = value
    return told


MIRRORED = {"mean": "mean", "quantile_05": "quantile_95", "minimum": "maximum"}
"""Measures of a complement that are others of f, and 1 less them."""


def csv_row(row: RunRow, space: SemanticSpace, *, adversarial: bool) -> dict[str, Any]:
    """As `told_record`, without bounds and start as lists: they get a column each, or are a point by name."""
    own = {name: value for name, value in told_record(row, adversarial=adversarial).items() if name not in LEFT_OUT}
    return {**own, "start": space.format_point(row.task.question.start), **bounds_columns(regions_of([row], space), 0)}


REGION_WORDS = (
    "Region: from low to high along each parameter; beyond the end of a turn it goes on at its beginning (azimuth 450 "
    "is 90). Scores are those of held-out views, spread evenly over the region: 95 % of them lie above the 5 % "
    "quantile (or below that of 95 %), f >= 0.5 is the share of such views, its purity. A high mean can hide a hole, "
    "which quantile and lowest score show. Least half width: of the narrowest side, as a share of its range; "
    "50 is all of it."
)
"""What the columns of `region_line` mean."""


def region_line(row: RunRow, space: SemanticSpace, *, adversarial: bool, note: str = "") -> dict[str, str]:
    """A row for the eye, in unit scores of f itself, and shares in %.

    Args:
        row: The row.
        space: Of its region.
        adversarial: Whether its function is the complement of f.
        note: What stands in the place of a region that does not meet the goal.
    """
    bounds = bounds_columns(regions_of([row], space), 0)
    region = ", ".join(f"{name} {bounds[f'{name}_low']:.4g} to {bounds[f'{name}_high']:.4g}" for name in space.names)
    start = zip(space.names, row.task.question.start, strict=True)
    if adversarial:
        scores = {"mean f": 1 - row.mean, "95 % quantile of f": 1 - row.quantile_05, "highest f": 1 - row.minimum}
    else:
        scores = {"mean f": row.mean, "5 % quantile of f": row.quantile_05, "lowest f": row.minimum}
    return {
        "method": row.task.method,
        "start": ",".join(f"{name}={value:g}" for name, value in start),
        "region": note if note and not row.feasible else region,
        "share %": f"{100 * row.share:.2f}",
        "least half width %": f"{100 * row.least_half_width:.2f}",
        "feasible": "yes" if row.feasible else "no",
        "certified": "yes" if row.certified else "no",
        **sure_bound(row.task.question.goal, row.goal_lower, adversarial=adversarial),
        **{name: f"{value:.2f}" for name, value in scores.items()},
        f"f {'<=' if adversarial else '>='} 0.5 in %": f"{100 * row.purity:.0f}",
        "queries": f"{row.forward_queries} + {row.gradient_queries}",
        "end": row.status,
    }


def sure_bound(goal: Goal, bound: float, *, adversarial: bool, shown: bool = True) -> dict[str, str]:
    """The lower bound of what a goal counts, with its name; of a complement, what follows for f.

    Args:
        goal: The goal.
        bound: The bound.
        adversarial: Whether it is of the complement of f.
        shown: Whether there is one, else a dash.
    """
    is_mean = goal.threshold is None
    name = ("mean f surely at most" if is_mean else "surely failing at least") if adversarial else "surely at least"
    return {name: f"{1 - bound if adversarial and is_mean else bound:.2f}" if shown else "-"}


def verdict(row: RunRow) -> str:
    """What the judge says of a row's region, in words."""
    return "certified" if row.certified else "feasible, not certified" if row.feasible else "not feasible"


def sure_line(found: Shrunk, row: int, goal: Goal, *, adversarial: bool) -> dict[str, str]:
    """The box in a region that surely meets the goal, for the eye; bounds as `sure_bound` tells them."""
    space, bounds = found.regions.space, bounds_columns(found.regions, row)
    region = ", ".join(f"{name} {bounds[f'{name}_low']:.4g} to {bounds[f'{name}_high']:.4g}" for name in space.names)
    is_there = bool(found.certified[row])
    bound = sure_bound(goal, float(found.goal_lower[row]), adversarial=adversarial, shown=is_there)
    return {
        "sure part": region if is_there else "none",
        "its share %": f"{100 * found.regions.share()[row]:.2f}" if is_there else "-",
        **{f"its {name}": text for name, text in bound.items()},
        "its queries": str(found.queries[row]),
    }


def sure_columns(found: Shrunk, row: int, *, adversarial: bool) -> dict[str, Any]:
    """The box in a region that surely meets the goal, as columns; the start point where there is none."""
    counted = "complement_goal" if adversarial else "goal"
    return {
        **{f"sure_{name}": value for name, value in bounds_columns(found.regions[row], 0).items()},
        "sure_share": float(found.regions.share()[row] * found.certified[row]),
        f"sure_{counted}_lower": float(found.goal_lower[row]),
        f"sure_{counted}_variance_upper": float(found.goal_variance_upper[row]),
        "sure_queries": int(found.queries[row]),
    }


def start_notes(
    function: ScoreFunction, starts: FloatArray, member: IntArray, goal: Goal, adversarial: bool
) -> list[str]:
    """Per start point (B, n) why it has no region: a view that does not reach the goal's level; else empty.

    Asked of the function itself: nobody is charged.
    """
    scores = function.scale.unit(function.values(starts[:, None, :], member)[:, 0])
    told = 1 - scores if adversarial else scores
    return [
        "" if score >= goal.level else f"no region: f(start) is {shown:.3g}"
        for score, shown in zip(scores, told, strict=True)
    ]
