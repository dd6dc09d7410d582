"""How well methods grow regions on members that no agent trained on: feasible volume, intervals, and their table.

The *feasible volume* of a run is the share of the space that its final region covers if it meets the goal, else 0:
exact where the truth about the function is known, else judged on held-out points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from baselines.experiments.functions import Functions
from baselines.experiments.runner import execute
from optimizers.registry import get_optimizer
from semrob_env.errors import ProtocolError
from semrob_env.files import interval_text
from semrob_env.functions import ScoreFunction
from semrob_env.metrics import Judge, cluster_means, cluster_weights, percentile_ends
from semrob_env.metrics.bootstrap import RESAMPLES
from semrob_env.questions import Question
from semrob_env.store import FAILED, RunTask, canonical_json
from semrob_env.types import BoolArray, FloatArray, IntArray


@final
@dataclass(frozen=True, eq=False)
class HeldOutQuestions:
    """What methods are compared on: every member from every start point."""

    function: ScoreFunction  # the family
    members: IntArray  # members (M,)
    starts: FloatArray  # start points (K, n)
    budget: int  # queries of a run
    judge: Judge  # how regions are judged


@final
@dataclass(frozen=True, eq=False)
class Outcome:
    """What one method did with one seed or with several; arrays (S, M, K)."""

    share: FloatArray  # share of the space of each final region
    feasible: BoolArray  # whether it is feasible
    queries: IntArray  # forward and gradient queries
    is_exact: bool  # whether that is the truth

    @property
    def volume(self) -> FloatArray:
        """Feasible volume (S, M, K)."""
        return np.where(self.feasible, self.share, 0.0)


def played(questions: HeldOutQuestions, method: str, settings: Mapping[str, Any], seed: int) -> Outcome:
    """One run of a method on every question; the arrays have S = 1.

    Raises:
        SemrobError: A run failed; the message is its own.
    """
    function, judge = questions.function, questions.judge
    differences = None if function.has_gradient or not get_optimizer(method).uses_gradient else ()
    tasks = [
        RunTask(
            Question(function.member_ids[member], tuple(start), judge.goal, budget=questions.budget),
            method,
            canonical_json(dict(settings)),
            finite_difference=differences,
            seed=seed,
            judge_points=judge.points,
            judge_seed=judge.seed,
            certificate_points=judge.certificate_points,
            confidence=judge.confidence,
        )
        for member in questions.members.tolist()
        for start in questions.starts.tolist()
    ]
    rows = execute(tasks, Functions(given=[function]))
    if failed := [row for row in rows if row.status == FAILED]:
        raise ProtocolError(f"{len(failed)} of {len(rows)} runs of {method} failed; the first one: {failed[0].error}")
    measured = [(row.share, row.feasible, row.forward_queries + row.gradient_queries) for row in rows]
    shape = 1, len(questions.members), len(questions.starts)
    share, feasible, queries = (np.array(column).reshape(shape) for column in zip(*measured, strict=True))
    return Outcome(share, feasible, queries, all(row.is_exact for row in rows))


def played_by_seeds(
    questions: HeldOutQuestions, method: str, settings: Mapping[int, Mapping[str, Any]], *, episodes: int = 1
) -> Outcome:
    """Runs of a method on every question with several seeds, each with its own settings.

    Args:
        questions: The questions.
        method: Its name.
        settings: By seed, S of them.
        episodes: Runs of each seed on each question; they count as more start points (K times as many).
    """
    by_seed = [
        _joined([played(questions, method, chosen, episode * 1000 + seed) for episode in range(episodes)], axis=2)
        for seed, chosen in settings.items()
    ]
    return _joined(by_seed, axis=0)


def _joined(outcomes: Sequence[Outcome], axis: int) -> Outcome:
    share, feasible, queries = (
        np.concatenate([getattr(one, part) for one in outcomes], axis=axis) for part in ("share", "feasible", "queries")
    )
    return Outcome(share, feasible, queries, all(one.is_exact for one in outcomes))


def mean_interval(values: FloatArray, rng: np.random.Generator) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over the seeds that values (S, ...) begin with; NaN for one seed."""
    found = cluster_means(values.reshape(len(values), -1).mean(axis=1)[None], np.arange(len(values)), rng)
    return float(found.low[0]), float(found.high[0])


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
        return math.nan, math.nan

    def drawn(count: int) -> FloatArray:
        return cluster_weights(count, rng) if count > 1 else np.ones((RESAMPLES, 1))

    members = drawn(values.shape[1]) if with_members else np.ones((RESAMPLES, values.shape[1]))
    above, below = (
        np.einsum("rs,sm,rm->r", drawn(len(own)), own.mean(axis=2), members) / len(own) for own in (values, base)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = np.where((above == 0) & (below == 0), 1.0, above / below)
    low, high = percentile_ends(draws)
    return float(low), float(high)


def table_rows(outcomes: Mapping[str, Outcome], base: str) -> list[dict[str, Any]]:
    """One row a method: feasible volume, its ratio to that of the method `base`, and intervals of 95 %."""
    rows, other = [], outcomes[base].volume
    for label, outcome in outcomes.items():
        rng, volume = np.random.default_rng(0), outcome.volume
        low, high = mean_interval(volume, rng)
        ratio_low, ratio_high = ratio_interval(volume, other, rng, with_members=False)
        low_with_members, high_with_members = ratio_interval(volume, other, rng, with_members=True)
        rows.append({
            "method": label,
            "seeds": len(volume),
            "feasible_volume": float(volume.mean()),
            "low": low,
            "high": high,
            "ratio": float(volume.mean() / other.mean()) if other.mean() > 0 else math.nan,
            "ratio_low": ratio_low,
            "ratio_high": ratio_high,
            "ratio_low_with_members": low_with_members,
            "ratio_high_with_members": high_with_members,
            "feasible_runs": float(outcome.feasible.mean()),
            "volume": float(outcome.share.mean()),
            "queries": float(outcome.queries.mean()),
        })
    return rows


def shown(row: Mapping[str, Any]) -> dict[str, str]:
    """A row as text; volumes in % of the space."""

    def ends(low: float, high: float) -> str:
        return f"{low:.2f} to {high:.2f}" if math.isfinite(low) else "-"

    return {
        "method": row["method"],
        "seeds": str(row["seeds"]),
        "feasible volume": f"{100 * row['feasible_volume']:.2f}",
        "95 %": interval_text(row["low"], row["high"]),
        "x random": f"{row['ratio']:.2f}" if math.isfinite(row["ratio"]) else "-",
        "95 % seeds": ends(row["ratio_low"], row["ratio_high"]),
        "seeds and members": ends(row["ratio_low_with_members"], row["ratio_high_with_members"]),
        "feasible runs": f"{100 * row['feasible_runs']:.0f} %",
        "queries": f"{row['queries']:.0f}",
    }
