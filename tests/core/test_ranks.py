"""Rank agreement and AUPR: beside libraries and brute force, ties, and honest words for few networks."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from semrob_env.errors import InvalidParameterError, ShapeMismatchError
from semrob_env.metrics.ranks import average_precision, average_precision_interval, rank_agreement
from semrob_env.types import FloatArray


def listed_p(x: npt.ArrayLike, y: FloatArray) -> float:
    """The exact two-sided p by all orders, each tau by the library."""
    own = abs(stats.kendalltau(x, y).statistic)
    every = [abs(stats.kendalltau(x, order).statistic) for order in itertools.permutations(y)]
    return float(np.mean(np.array(every) >= own - 1e-12))


@pytest.mark.parametrize("y", [[1, 3, 2, 4, 5], [5, 4, 3, 2, 1], [1, 1, 2, 3, 0], [2, 2, 2, 1, 3]])
def test_tau_and_its_exact_p_are_those_of_all_orders(y: list[float]) -> None:
    x, own = np.arange(5.0), np.array(y, dtype=np.float64)
    found = rank_agreement(x, own)
    assert found.is_exact
    assert found.tau == pytest.approx(stats.kendalltau(x, own).statistic)
    assert found.p == pytest.approx(listed_p(x, own))


def test_three_networks_in_the_same_order_prove_nothing_and_are_said_so() -> None:
    found = rank_agreement(np.array([0.1, 0.2, 0.3]), np.array([70.0, 75.0, 80.0]))
    assert (found.tau, found.same, found.other) == (1, 3, 0)
    assert found.p == pytest.approx(1 / 3)
    assert "3 networks cannot show anything" in found.words


def test_an_interval_of_tau_comes_with_ten_networks_and_holds_about_its_level() -> None:
    rng, covered = np.random.default_rng(0), 0
    truth = 2 / np.pi * np.arcsin(0.6)  # of a normal pair with correlation 0.6
    for _ in range(300):
        x = rng.standard_normal(15)
        found = rank_agreement(x, 0.6 * x + 0.8 * rng.standard_normal(15))
        covered += found.low <= truth <= found.high
    assert 0.90 <= covered / 300 <= 0.99
    assert not np.isfinite(rank_agreement(np.arange(9.0), np.array([1.0, 0, 2, 3, 4, 5, 6, 7, 8])).low)


def test_what_is_no_ranking_is_refused_or_said() -> None:
    with pytest.raises(ShapeMismatchError):
        rank_agreement(np.zeros(2), np.zeros(3))
    with pytest.raises(InvalidParameterError):
        rank_agreement(np.array([0.0, np.nan]), np.zeros(2))
    assert "too few" in rank_agreement(np.zeros(1), np.zeros(1)).words
    assert not np.isfinite(rank_agreement(np.zeros(4), np.arange(4.0)).tau)


def test_aupr_is_the_mean_precision_at_each_positive_with_ties_at_once() -> None:
    rng = np.random.default_rng(1)
    positives, negatives = rng.random(30), rng.random(50) * 0.8
    scores = np.concatenate([positives, negatives])
    precisions = [(positives >= own).sum() / (scores >= own).sum() for own in positives]  # brute force
    assert average_precision(positives, negatives) == pytest.approx(np.mean(precisions))
    assert average_precision(np.full(3, 0.5), np.full(9, 0.5)) == pytest.approx(0.25)  # nothing is told apart
    assert average_precision(np.array([0.9]), np.array([0.1])) == 1
    with pytest.raises(InvalidParameterError):
        average_precision(np.zeros(0), np.zeros(2))


def test_the_interval_of_aupr_holds_its_estimate_and_shrinks_with_more_positives() -> None:
    few, many = average_precision_interval(0.3, 20), average_precision_interval(0.3, 2000)
    assert few[0] < many[0] < 0.3 < many[1] < few[1]
    assert many == pytest.approx((0.2803, 0.3204), abs=2e-4)
    assert np.isnan(average_precision_interval(1.0, 20)).all()
