"""Curves of a comparison by queries: median quality, ECDF of targets, data profiles."""

from __future__ import annotations

import math

import numpy as np

from baselines.experiments.quality import held_from
from baselines.experiments.statistics import running_times, share_reached
from baselines.experiments.tables import PROFILE_TARGET, Comparison, median, percent
from semrob_env.plotting.comparison import Curve, Panel
from semrob_env.questions import Goal
from semrob_env.types import FloatArray

ATTAINMENT_TARGETS: FloatArray = np.arange(1, 20) / 20
"""Shares of the optimum that make up the ECDF: 5 % to 95 %."""


def medians(comparison: Comparison) -> list[Panel]:
    """Median quality by queries, a panel a goal."""
    panels = []
    for goal in comparison.protocol.goals:
        curves = []
        for index, entry in enumerate(comparison.protocol.entries):
            if entry.plans:
                ends = [comparison.rows(goal, index, budget) for budget in comparison.protocol.budgets]
                heights = [-median(-comparison.outcomes.quality[rows]) for rows in ends]
                curves.append(Curve(entry.label, np.array(comparison.protocol.budgets), np.array(heights), True))
                continue
            rows = np.flatnonzero(comparison.rows(goal, index, comparison.protocol.budgets[-1]))
            paths = [comparison.outcomes.checkpoints[row] for row in rows]
            ends = np.concatenate([np.zeros(0), *(queries for queries, _ in paths)])
            at = _places(comparison, ends, float(comparison.protocol.budgets[-1]))
            values = np.array([_held(path, at) for path in paths])
            curves.append(Curve(entry.label, at, np.median(values, axis=0) if len(values) else at * np.nan, False))
        panels.append(_panel(comparison, goal, "queries", "median share of the optimum", tuple(curves)))
    return panels


def attainment(comparison: Comparison) -> list[Panel]:
    """ECDF over question-target pairs by expected queries, a panel a goal."""
    name = "question-target pairs held to the end"
    return [
        _panel(comparison, goal, "queries", name, _reached(comparison, goal, ATTAINMENT_TARGETS, in_gradients=False))
        for goal in comparison.protocol.goals
    ]


def profiles(comparison: Comparison) -> list[Panel]:
    """Data profiles: questions solved by simplex gradients in the 2n bounds, a panel a goal."""
    target, name = np.array([PROFILE_TARGET]), f"questions at {percent(PROFILE_TARGET)} % of the optimum"
    return [
        _panel(comparison, goal, "queries / (2n + 1)", name, _reached(comparison, goal, target, in_gradients=True))
        for goal in comparison.protocol.goals
    ]


def _panel(comparison: Comparison, goal: Goal, x: str, y: str, curves: tuple[Curve, ...]) -> Panel:
    """The panel of a goal, without curves where no question of it is open: a line at 0 would say that all failed."""
    return Panel(goal.words, x, y, curves if comparison.open(goal) else (), "no open question")


def _reached(comparison: Comparison, goal: Goal, targets: FloatArray, *, in_gradients: bool) -> tuple[Curve, ...]:
    """Shares of questions and targets held, by ERT in queries or in simplex gradients."""
    curves = []
    for index, entry in enumerate(comparison.protocol.entries):
        budgets = comparison.protocol.budgets if entry.plans else comparison.protocol.budgets[-1:]
        found = [_runtimes(comparison, goal, index, budget, targets, in_gradients) for budget in budgets]
        if entry.plans:
            reached = [float(np.isfinite(times).mean()) if times.size else math.nan for times, _ in found]
            curves.append(Curve(entry.label, np.array([end for _, end in found]), np.array(reached), True))
            continue
        times, end = found[0]
        at = _places(comparison, times[np.isfinite(times)], end)
        curves.append(Curve(entry.label, at, share_reached(times, at), False))
    return tuple(curves)


def _runtimes(
    comparison: Comparison, goal: Goal, entry: int, budget: int, targets: FloatArray, in_gradients: bool
) -> tuple[FloatArray, float]:
    """ERT of each question and target held, (Q, T), and the budget of a plan, in queries or in simplex gradients."""
    out = comparison.outcomes
    rows = np.flatnonzero(comparison.rows(goal, entry, budget))
    sizes = 2.0 * comparison.run_sizes[rows] + 1 if in_gradients else np.ones(len(rows))
    paths = [out.checkpoints[row] for row in rows]
    held = [held_from(queries, own, targets) / size for (queries, own), size in zip(paths, sizes.tolist(), strict=True)]
    every, bills, asked = np.array(held).reshape(-1, len(targets)), out.queries[rows] / sizes, out.question[rows]
    times = np.stack([running_times(own, bills, asked) for own in every.T], axis=1)
    return times, budget / float(np.median(sizes)) if len(sizes) else float(budget)


def _left(comparison: Comparison) -> float:
    """Where curves begin, as a share of the largest budget: a tenth of the smallest one."""
    return 0.1 * comparison.protocol.budgets[0] / comparison.protocol.budgets[-1]


def _places(comparison: Comparison, found: FloatArray, end: float) -> FloatArray:
    """Where a curve steps: at the places found, from where it begins on, and at both of its ends."""
    left = end * _left(comparison)
    return np.union1d(found[found >= left], [left, end])


def _held(path: tuple[FloatArray, FloatArray], at: FloatArray) -> FloatArray:
    """Quality at numbers of queries: that of the last checkpoint before, 0 before the first."""
    queries, quality = path
    return np.append(0.0, quality)[np.searchsorted(queries, at, side="right")]
