"""Clusters are drawn as a whole, and intervals of means of clusters are about as wide as theory says."""

from __future__ import annotations

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError, ShapeMismatchError
from semrob_env.metrics import cluster_means, cluster_weights, percentile_ends


def test_each_resample_draws_as_many_clusters_as_there_are() -> None:
    weights = cluster_weights(7, np.random.default_rng(0), 500)
    assert weights.shape == (500, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.15)


def test_intervals_of_means_are_as_wide_as_the_standard_error_says() -> None:
    values = np.random.default_rng(0).normal(size=(2, 400))
    found = cluster_means(values, np.arange(400), np.random.default_rng(1))
    np.testing.assert_allclose(found.mean, values.mean(axis=1), atol=1e-12)
    width = 2 * 1.96 * values.std(axis=1) / np.sqrt(400)
    np.testing.assert_allclose(found.high - found.low, width, rtol=0.1)


def test_copies_within_a_cluster_make_no_interval_narrower() -> None:
    values = np.random.default_rng(0).random((3, 10))
    once = cluster_means(values, np.arange(10), np.random.default_rng(1))
    often = cluster_means(np.repeat(values, 9, axis=1), np.repeat(np.arange(10), 9), np.random.default_rng(1))
    np.testing.assert_allclose(often.low, once.low)
    np.testing.assert_allclose(often.high, once.high)


def test_a_value_weighs_the_same_whatever_the_size_of_its_cluster() -> None:
    found = cluster_means(np.array([[0.0, 0.0, 0.0, 1.0]]), ["a", "a", "a", "b"], np.random.default_rng(0))
    assert found.mean.tolist() == [0.25]
    assert (found.low.tolist(), found.high.tolist()) == ([0.0], [1.0])


def test_a_single_cluster_has_a_mean_and_no_interval() -> None:
    found = cluster_means(np.eye(2), ["a", "a"], np.random.default_rng(0))
    assert found.mean.tolist() == [0.5, 0.5]
    assert np.isnan([found.low, found.high]).all()


def test_ends_lie_between_order_statistics_or_at_one_if_draws_may_be_infinite() -> None:
    assert percentile_ends(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), 0.5).tolist() == [1.0, 3.0]
    assert percentile_ends(np.array([0.0, 1.0, 2.0, 3.0]), 0.5).tolist() == [0.75, 2.25]
    assert percentile_ends(np.array([0.0, 1.0, np.inf, np.inf]), 0.5).tolist() == [1.0, np.inf]


def test_what_cannot_be_resampled_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ShapeMismatchError, match=r"must be \(M, Q\) and \(Q,\)"):
        cluster_means(np.eye(2), ["a"], rng)
    with pytest.raises(InvalidParameterError, match="1 resamples: give at least 2"):
        cluster_weights(3, rng, 1)
    with pytest.raises(InvalidParameterError, match=r"level 1: give one in \(0, 1\)"):
        percentile_ends(np.zeros(3), 1)
