"""Percentile bootstrap over clusters: what belongs to one shape, group or seed is drawn together.

Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13. `scipy.stats.bootstrap` is not used: it
draws rows, so that clusters of unlike sizes would need a statistic of their own for ragged data; it draws them another
way, which would change every published interval; and this room loads no SciPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError, ShapeMismatchError
from semrob_env.types import FloatArray

RESAMPLES: Final = 2000
"""How often clusters are drawn, unless told otherwise."""

LEVEL: Final = 0.95
"""Level of intervals, unless told otherwise."""


@final
@dataclass(frozen=True, eq=False)
class ClusterMeans:
    """Means (M,) and the ends (M,) of their intervals; NaN where a single cluster leaves nothing to resample."""

    mean: FloatArray
    low: FloatArray
    high: FloatArray


def cluster_means(
    values: FloatArray,
    clusters: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> ClusterMeans:
    """Means of values with their intervals; each value weighs the same, whatever the size of its cluster.

    Args:
        values: (M, Q), M quantities of Q questions, runs or the like.
        clusters: The name or number of the cluster of each of the Q.
        rng: Draws clusters, the same for all M.
        resamples: How often, at least 2.
        level: Of the intervals, in (0, 1).

    Raises:
        InvalidParameterError: Resamples or level not as above.
        ShapeMismatchError: Not one cluster for each of the Q.
    """
    labels = np.asarray(clusters)
    if values.ndim != 2 or labels.shape != values.shape[1:]:
        raise ShapeMismatchError(f"values {values.shape} and clusters {labels.shape}: must be (M, Q) and (Q,)")
    names, owner = np.unique(labels, return_inverse=True)
    sums = np.stack([np.bincount(owner, weights=row, minlength=len(names)) for row in values])
    sizes = np.bincount(owner, minlength=len(names)).astype(np.float64)
    weights = cluster_weights(len(names), rng, resamples)
    # einsum without optimize: plain loops, the same bits whatever the number of threads.
    draws = np.einsum("rc,mc->mr", weights, sums) / np.einsum("rc,c->r", weights, sizes)
    low, high = percentile_ends(draws, level)
    return ClusterMeans(sums.sum(axis=1) / sizes.sum(), low, high)


def cluster_weights(clusters: int, rng: np.random.Generator, resamples: int = RESAMPLES) -> FloatArray:
    """How often each cluster is drawn in each resample, (R, C); NaN for a single one, which tells nothing of others.

    Raises:
        InvalidParameterError: Fewer than 2 resamples.
    """
    if resamples < 2:
        raise InvalidParameterError(f"{resamples} resamples: give at least 2")
    if clusters < 2:
        return np.full((resamples, clusters), np.nan)
    return rng.multinomial(clusters, [1 / clusters] * clusters, size=resamples).astype(np.float64)


def percentile_ends(draws: FloatArray, level: float = LEVEL) -> FloatArray:
    """Both ends (2, ...) of the middle of draws (..., R); NaN where a draw is NaN.

    Raises:
        InvalidParameterError: A level not in (0, 1).
    """
    if not 0 < level < 1:
        raise InvalidParameterError(f"level {level}: give one in (0, 1)")
    # Between order statistics, but for draws that may be infinite, as ratios are.
    method: Literal["nearest", "linear"] = "nearest" if np.isinf(draws).any() else "linear"
    return np.asarray(np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=-1, method=method))
