"""How well methods grow regions on members that no agent trained on: feasible volume, with bootstrap intervals.

The *feasible volume* of a run is the share of the space that its final region covers if mean and variance over it meet
the thresholds, else 0: exact where the truth about the function is known, else judged on held-out points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from optimizers.base import trajectory_generators
from optimizers.registry import get_optimizer
from optimizers.run import run
from semrob_env.functions import ScoreFunction
from semrob_env.metrics import Judge, judge_regions
from semrob_env.oracle import FiniteDifferences, QueryOracle
from semrob_env.types import BoolArray, FloatArray, IntArray

RESAMPLES, LEVEL = 2000, 0.95


@final
@dataclass(frozen=True, eq=False)
class Questions:
    """What methods are compared on: every member from every start point.

    Attributes:
        function: The family.
        members: Members (M,).
        starts: Start points (K, n).
        budget: Queries of a run.
        judge: How regions are judged.
    """

    function: ScoreFunction
    members: IntArray
    starts: FloatArray
    budget: int
    judge: Judge


@final
@dataclass(frozen=True, eq=False)
class Outcome:
    """What one method did with one seed or with several; arrays (S, M, K).

    Attributes:
        share: Share of the space of each final region.
        feasible: Whether it is feasible.
        queries: Forward and gradient queries.
        is_exact: Whether that is the truth.
    """

    share: FloatArray
    feasible: BoolArray
    queries: IntArray
    is_exact: bool

    @property
    def volume(self) -> FloatArray:
        """Feasible volume (S, M, K)."""
        return np.where(self.feasible, self.share, 0.0)


def played(questions: Questions, method: str, settings: Mapping[str, Any], seed: int) -> Outcome:
    """One run of a method on every question; the arrays have S = 1."""
    function, made = questions.function, get_optimizer(method)
    shape = 1, len(questions.members), len(questions.starts)
    members = np.repeat(questions.members, shape[2])
    starts = np.tile(questions.starts, (shape[1], 1))
    optimizer = made(
        function.space,
        starts,
        member=members,
        settings=made.settings_class.from_mapping(settings),
        rngs=trajectory_generators(seed, len(members)),
    )
    differences = None if function.has_gradient or not made.uses_gradient else FiniteDifferences()
    oracle = QueryOracle(function, trajectories=len(members), budget=questions.budget, finite_differences=differences)
    result = run(optimizer, oracle)
    judged = judge_regions(function, result.regions, members, questions.judge)
    queries = result.forward_queries + result.gradient_queries
    return Outcome(judged.share.reshape(shape), judged.feasible.reshape(shape), queries.reshape(shape), judged.is_exact)


def played_by_seeds(
    questions: Questions, method: str, settings: Mapping[int, Mapping[str, Any]], *, episodes: int = 1
) -> Outcome:
    """Runs of a method on every question with several seeds, each with its own settings.

    Args:
        questions: The questions.
        method: Its name.
        settings: By seed, S of them.
        episodes: Runs of each seed on each question; they count as more start points (K times as many).
    """
    rows = []
    for seed, chosen in settings.items():
        runs = [played(questions, method, chosen, episode * 1000 + seed) for episode in range(episodes)]
        rows.append(_joined(runs, axis=2))
    return _joined(rows, axis=0)


def _joined(outcomes: Sequence[Outcome], axis: int) -> Outcome:
    share, feasible, queries = (
        np.concatenate([getattr(one, part) for one in outcomes], axis=axis) for part in ("share", "feasible", "queries")
    )
    return Outcome(share, feasible, queries, all(one.is_exact for one in outcomes))


def mean_interval(values: FloatArray, rng: np.random.Generator) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over the seeds that values (S, ...) begin with; NaN for one seed."""
    means = values.reshape(len(values), -1).mean(axis=1)
    if len(means) < 2:
        return float("nan"), float("nan")
    draws = means[rng.integers(len(means), size=(RESAMPLES, len(means)))].mean(axis=1)
    return _ends(draws)


def ratio_interval(
    values: FloatArray, base: FloatArray, rng: np.random.Generator, *, with_members: bool
) -> tuple[float, float]:
    """Percentile bootstrap interval of a ratio of means over seeds, and over members as well if asked.

    Args:
        values: (S, M, K) of a method.
        base: (R, M, K) of the one that it is compared with, on the same questions.
        rng: Of the bootstrap.
        with_members: Resample members, the same for both, as well as the seeds of each.
    """
    if len(values) < 2 and len(base) < 2 and not with_members:
        return float("nan"), float("nan")
    own, other = values.mean(axis=2), base.mean(axis=2)
    draws = np.empty(RESAMPLES)
    for index in range(RESAMPLES):
        count = own.shape[1]
        chosen = rng.integers(count, size=count) if with_members else np.arange(count)
        above = own[rng.integers(len(own), size=len(own))][:, chosen].mean()
        below = other[rng.integers(len(other), size=len(other))][:, chosen].mean()
        draws[index] = above / below if below > 0 else (np.inf if above > 0 else 1.0)
    return _ends(draws)


def _ends(draws: FloatArray) -> tuple[float, float]:
    # Order statistics, not interpolation: a ratio may be infinite.
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
    return float(low), float(high)
