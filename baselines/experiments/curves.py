"""Curves of a comparison by queries: median quality, ECDF of targets, data profiles."""

from __future__ import annotations

import math

import numpy as np

from baselines.experiments.quality import first_reached
from baselines.experiments.statistics import share_reached
from baselines.experiments.tables import PROFILE_TARGET, Comparison, percent
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
                medians = [_middle(comparison.outcomes.quality[rows]) for rows in ends]
                curves.append(Curve(entry.label, np.array(comparison.protocol.budgets), np.array(medians), True))
                continue
            rows = np.flatnonzero(comparison.rows(goal, index, comparison.protocol.budgets[-1]))
            paths = [comparison.outcomes.checkpoints[row] for row in rows]
            at = _steps(comparison, paths)
            values = np.array([_held(path, at) for path in paths])
            curves.append(Curve(entry.label, at, np.median(values, axis=0) if len(values) else at * np.nan, False))
        panels.append(Panel(goal.words, "queries", "median share of the optimum", tuple(curves)))
    return panels


def attainment(comparison: Comparison) -> list[Panel]:
    """ECDF over function-target pairs by queries, a panel a goal."""
    name = "function-target pairs reached"
    return [
        Panel(goal.words, "queries", name, _reached(comparison, goal, ATTAINMENT_TARGETS, in_gradients=False))
        for goal in comparison.protocol.goals
    ]


def profiles(comparison: Comparison) -> list[Panel]:
    """Data profiles: questions solved by simplex gradients in the 2n bounds, a panel a goal."""
    target, name = np.array([PROFILE_TARGET]), f"questions at {percent(PROFILE_TARGET)} % of the optimum"
    return [
        Panel(goal.words, "queries / (2n + 1)", name, _reached(comparison, goal, target, in_gradients=True))
        for goal in comparison.protocol.goals
    ]


def _reached(comparison: Comparison, goal: Goal, targets: FloatArray, *, in_gradients: bool) -> tuple[Curve, ...]:
    """Shares of runs and targets reached, by queries or by simplex gradients."""
    curves = []
    for index, entry in enumerate(comparison.protocol.entries):
        budgets = comparison.protocol.budgets if entry.plans else comparison.protocol.budgets[-1:]
        found = [_runtimes(comparison, goal, index, budget, targets, in_gradients) for budget in budgets]
        if entry.plans:
            reached = [float(np.isfinite(times).mean()) if times.size else math.nan for times, _ in found]
            curves.append(Curve(entry.label, np.array([end for _, end in found]), np.array(reached), True))
            continue
        times, end = found[0]
        at = np.union1d(times[np.isfinite(times)], [end * _left(comparison), end])
        at = at[at >= end * _left(comparison)]
        curves.append(Curve(entry.label, at, share_reached(times, at), False))
    return tuple(curves)


def _runtimes(
    comparison: Comparison, goal: Goal, entry: int, budget: int, targets: FloatArray, in_gradients: bool
) -> tuple[FloatArray, float]:
    """When each run of a plan reached each target, (R, T), and the budget, in queries or in simplex gradients."""
    out = comparison.outcomes
    rows = np.flatnonzero(comparison.rows(goal, entry, budget))
    paths = [out.checkpoints[row] for row in rows]
    found = [first_reached(queries, quality, targets) for queries, quality in paths]
    times = np.array(found).reshape(-1, len(targets))
    if not in_gradients:
        return times, float(budget)
    sizes = np.array([2.0 * len(comparison.suite.questions[out.question[row]].start) + 1 for row in rows])
    return times / sizes[:, None], budget / float(np.median(sizes)) if len(sizes) else float(budget)


def _left(comparison: Comparison) -> float:
    """Where curves begin, as a share of the largest budget: a tenth of the smallest one."""
    return 0.1 * comparison.protocol.budgets[0] / comparison.protocol.budgets[-1]


def _steps(comparison: Comparison, paths: list[tuple[FloatArray, FloatArray]]) -> FloatArray:
    ends = [queries for queries, _ in paths if len(queries)]
    every = np.unique(np.concatenate(ends)) if ends else np.zeros(0)
    last = float(comparison.protocol.budgets[-1])
    return np.union1d(every[every >= last * _left(comparison)], [last * _left(comparison), last])


def _held(path: tuple[FloatArray, FloatArray], at: FloatArray) -> FloatArray:
    """Quality at numbers of queries: that of the last checkpoint before, 0 before the first."""
    queries, quality = path
    if not len(queries):
        return np.zeros(len(at))
    place = np.searchsorted(queries, at, side="right") - 1
    return np.where(place >= 0, quality[np.maximum(place, 0)], 0.0)


def _middle(values: FloatArray) -> float:
    return float(np.median(values)) if len(values) else math.nan
