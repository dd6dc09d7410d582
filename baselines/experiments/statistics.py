"""Statistics of runs with targets: expected running time, ECDF, data profiles, ranks with intervals.

- *Expected running time* (ERT) as COCO has it: Hansen, Auger, Ros, Mersmann, Tusar & Brockhoff, *COCO: a platform for
  comparing continuous optimizers in a black-box setting*, Optimization Methods and Software 36, 2021, and Hansen,
  Auger, Brockhoff, Tusar & Tusar, *COCO: Performance assessment*, arXiv 1605.03560: all queries of all runs, those that
  fail counted to their end, over the number of runs that reach the target.
- *ECDF* of runtimes (ibid.): the share of function-target pairs that are reached within a number of queries. Ours takes
  runs as they are; COCO also simulates restarts.
- *Data profile*: More & Wild, *Benchmarking derivative-free optimization algorithms*, SIAM J. Optimization 20, 2009:
  the share of questions solved within a number of simplex gradients, n + 1 queries each; a region has 2n bounds, so
  here 2n + 1.

A target is reached at the first checkpoint at which the recommended region is feasible and good enough. Checkpoints are
ten a decade (`optimizers.run.CHECKPOINTS`) and the end of a run: in between, running times are rounded up by 26 % at
most. What was reached may be lost again, so the share of final regions that reach the target stands beside it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from semrob_env.errors import ShapeMismatchError
from semrob_env.metrics import ClusterMeans, cluster_means
from semrob_env.types import FloatArray


def expected_running_time(reached: npt.ArrayLike, spent: npt.ArrayLike) -> float:
    """All queries over successes: infinite without a success, NaN without a run.

    Args:
        reached: Queries at which each run reached the target, infinite if never, (R,).
        spent: Queries of each run in all, (R,): what a run without success costs.

    Raises:
        ShapeMismatchError: Not one number of each kind a run.
    """
    times, bills = np.asarray(reached, dtype=np.float64), np.asarray(spent, dtype=np.float64)
    if times.shape != bills.shape or times.ndim != 1:
        raise ShapeMismatchError(f"reached {times.shape} and spent {bills.shape}: give one number a run")
    if not len(times):
        return math.nan
    has_reached = np.isfinite(times)
    if not has_reached.any():
        return math.inf
    return float(np.where(has_reached, times, bills).sum() / has_reached.sum())


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
