"""Statistics of runs with targets: running times a question, ECDF, medians and ranks with intervals.

- *Expected running time* (ERT) as COCO has it, of **one question**: Hansen, Auger, Ros, Mersmann, Tusar & Brockhoff,
  *COCO: a platform for comparing continuous optimizers in a black-box setting*, Optimization Methods and Software 36,
  2021, and Hansen, Auger, Brockhoff, Tusar & Tusar, *COCO: Performance assessment*, arXiv 1605.03560: all queries of
  all runs on it, those that fail counted to their end, over the number of runs that reach the target. A restart of a
  method that draws nothing is the same run again: where it fails, its time is infinite. Times of several questions are
  never pooled, for a failure on one is no restart on another.
- *ECDF* of running times (ibid.): the share of question-target pairs whose ERT is within a number of queries.
- *Data profile*: More & Wild, *Benchmarking derivative-free optimization algorithms*, SIAM J. Optimization 20, 2009:
  the share of questions solved within a number of simplex gradients, n + 1 queries each; a region has 2n bounds, so
  here 2n + 1.

A target is *held* from the first checkpoint on from which every recommended region is feasible and good enough, to the
end of the run; it is *hit* at the first one that is, which may be luck that the next answer takes away. Checkpoints are
ten a decade (`optimizers.run.CHECKPOINTS`) and the end of a run: in between, running times are rounded up by 26 % at
most.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from semrob_env.errors import ShapeMismatchError
from semrob_env.metrics import ClusterMeans, cluster_means
from semrob_env.metrics.bootstrap import cluster_weights
from semrob_env.types import FloatArray


def running_times(reached: npt.ArrayLike, spent: npt.ArrayLike, question: npt.ArrayLike) -> FloatArray:
    """The expected running time (Q,) of each question, by rising number: infinite without a success.

    Args:
        reached: Queries at which each run reached the target, infinite if never, (R,).
        spent: Queries of each run in all, (R,): what a run without success costs.
        question: Number of the question of each run (R,).

    Raises:
        ShapeMismatchError: Not one number of each kind a run.
    """
    times, bills, asked = (np.asarray(part, dtype=np.float64) for part in (reached, spent, question))
    if not times.shape == bills.shape == asked.shape or times.ndim != 1:
        raise ShapeMismatchError(f"reached {times.shape}, spent {bills.shape}, question {asked.shape}: one each a run")
    _, owner = np.unique(asked, return_inverse=True)
    has_reached = np.isfinite(times)
    total, successes = np.bincount(owner, np.where(has_reached, times, bills)), np.bincount(owner, has_reached)
    return np.asarray(np.divide(total, successes, out=np.full(len(total), np.inf), where=successes > 0))


def cluster_median(
    values: FloatArray, groups: npt.NDArray[np.str_], rng: np.random.Generator, *, resamples: int, level: float
) -> tuple[float, float, float]:
    """The median of Q values, infinite ones among them, and the ends of its percentile interval over groups.

    The least value that more than half of them do not exceed: no mean of two, for one may be infinite, and of a method
    that solves half of the questions the time is infinite.

    Args:
        values: One a question (Q,).
        groups: Of each question (Q,): questions about one shape are resampled together.
        rng: Of the bootstrap.
        resamples: How often, at least 2.
        level: Of the interval, in (0, 1).

    Returns:
        NaN for all without a value; NaN ends with a single group, which tells nothing of others.
    """
    if not len(values):
        return math.nan, math.nan, math.nan
    order = np.argsort(values, kind="stable")
    ordered, (names, owner) = values[order], np.unique(groups[order], return_inverse=True)

    def medians(weights: FloatArray) -> FloatArray:
        run = np.cumsum(weights, axis=1)
        return np.asarray(ordered[(run <= run[:, -1:] / 2).sum(axis=1)])

    middle = float(medians(np.ones((1, len(values))))[0])
    if len(names) < 2:
        return middle, math.nan, math.nan
    drawn = np.sort(medians(cluster_weights(len(names), rng, resamples)[:, owner]))
    ends = (np.array([1 - level, 1 + level]) / 2 * (resamples - 1)).round().astype(np.int64)
    return middle, float(drawn[ends[0]]), float(drawn[ends[1]])


def share_reached(times: npt.ArrayLike, queries: npt.ArrayLike) -> FloatArray:
    """The share (Q,) of running times (...,), infinite if never, within each of some numbers of queries (Q,)."""
    ordered = np.sort(np.asarray(times, dtype=np.float64).ravel())
    return np.asarray(np.searchsorted(ordered, np.asarray(queries), side="right") / max(len(ordered), 1))


def ranks(scores: npt.ArrayLike) -> FloatArray:
    """Ranks (M, Q) of methods by scores (M, Q), column by column: 1 is the highest, equal ones share a mean rank."""
    values = np.asarray(scores, dtype=np.float64)
    above = (values[None, :, :] > values[:, None, :]).sum(axis=1)
    equal = (values[None, :, :] == values[:, None, :]).sum(axis=1)
    return np.asarray(above + (equal + 1) / 2)


def mean_ranks(
    scores: FloatArray, groups: npt.NDArray[np.str_], rng: np.random.Generator, *, resamples: int, level: float
) -> ClusterMeans:
    """Mean rank of each method over questions, with percentile bootstrap intervals over groups of questions.

    Args:
        scores: Qualities (M, Q) of methods on questions.
        groups: Group of each question (Q,): questions about one shape are resampled together.
        rng: Of the bootstrap.
        resamples: How often, at least 2.
        level: Of the interval, in (0, 1).

    Raises:
        InvalidParameterError: Resamples or level not as above.
        ShapeMismatchError: Not one group a question.
    """
    if scores.ndim != 2 or groups.shape != scores.shape[1:]:
        raise ShapeMismatchError(f"scores {scores.shape} and groups {groups.shape}: must be (M, Q) and (Q,)")
    return cluster_means(ranks(scores), groups, rng, resamples=resamples, level=level)
