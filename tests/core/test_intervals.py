"""Intervals of few bounded numbers hold their level, whatever the numbers are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from semrob_env.metrics.certificates import share_lower_bound
from semrob_env.metrics.intervals import difference_interval, share_interval
from semrob_env.types import FloatArray

REPEATS, LEAST = 1500, 0.93

Draw = Callable[[np.random.Generator, tuple[int, ...]], FloatArray]

SHARES: dict[str, tuple[Draw, float]] = {
    "bell": (lambda rng, size: rng.beta(2, 6, size), 0.25),
    "U": (lambda rng, size: rng.beta(0.2, 0.2, size), 0.5),
    "U to one side": (lambda rng, size: rng.beta(0.1, 0.3, size), 0.25),
    "all or nothing": (lambda rng, size: (rng.random(size) < 0.5).astype(float), 0.5),
    "rarely all": (lambda rng, size: (rng.random(size) < 0.1).astype(float), 0.1),
    "alike": (lambda rng, size: 0.3 + 0.02 * rng.random(size), 0.31),
}
"""Shares of shapes, and their mean."""

DIFFERENCES: dict[str, tuple[Draw, float]] = {
    "of U": (lambda rng, size: rng.beta(0.3, 0.3, size) - rng.beta(0.3, 0.3, size), 0.0),
    "mostly none": (lambda rng, size: (rng.random(size) < 0.2) * rng.random(size) + rng.normal(0, 0.01, size), 0.1),
    "half, rarely": (lambda rng, size: 0.5 * (rng.random(size) < 0.2) + rng.normal(0, 0.01, size), 0.1),
    "skew": (lambda rng, size: np.clip(rng.exponential(0.2, size) - 0.2, -1, 1), 0.2 * (1 - np.exp(-6)) - 0.2),
    "small": (lambda rng, size: rng.normal(0.1, 0.05, size), 0.1),
}
"""Differences of such shares, and their mean."""


def equal(count: int) -> FloatArray:
    return np.full(count, 1 / count)


def share_coverage(shares: FloatArray, mean: float) -> float:
    """How often intervals of shares (REPEATS, N) hold the mean."""
    low, high = share_interval(shares, equal(shares.shape[1]), np.random.default_rng(1), draws=1000)
    return float(((low <= mean) & (mean <= high)).mean())


@pytest.mark.parametrize("shapes", [2, 3, 5, 10])
@pytest.mark.parametrize("kind", SHARES)
def test_intervals_of_shares_hold_their_level_from_two_shapes_on(kind: str, shapes: int) -> None:
    draw, mean = SHARES[kind]
    assert share_coverage(draw(np.random.default_rng(shapes), (REPEATS, shapes)), mean) >= LEAST


@pytest.mark.parametrize("shapes", [2, 3, 5, 10, 40])
@pytest.mark.parametrize("kind", DIFFERENCES)
def test_intervals_of_differences_hold_their_level_from_two_shapes_on(kind: str, shapes: int) -> None:
    draw, mean = DIFFERENCES[kind]
    low, high = difference_interval(draw(np.random.default_rng(shapes), (REPEATS, shapes)), equal(shapes))
    assert ((low <= mean) & (mean <= high)).mean() >= LEAST


@pytest.mark.parametrize("shapes", [1, 2, 5])
@pytest.mark.parametrize("means", [(0.9, 0.5, 0.3, 0.1), (0.98, 0.98, 0.5, 0.02), (1.0, 1.0, 0.5, 0.0)])
def test_intervals_of_a_mean_over_unlike_classes_hold_their_level(means: tuple[float, ...], shapes: int) -> None:
    rng = np.random.default_rng(shapes)
    shares = (rng.random((REPEATS, len(means), shapes)) < np.array(means)[:, None]).astype(float)
    assert share_coverage(shares.reshape(REPEATS, -1), float(np.mean(means))) >= LEAST


def test_two_equal_shares_tell_little_of_the_next_one() -> None:
    low, high = share_interval(np.array([[1.0, 1.0], [0, 0], [0.3, 0.3]]), equal(2), np.random.default_rng(0))
    assert low == pytest.approx([0.158, 0.0, 0.05], abs=0.02)
    assert high == pytest.approx([1.0, 0.842, 0.89], abs=0.02)
    assert difference_interval(np.array([[0.2, 0.2]]), equal(2)).ravel().tolist() == [-1.0, 1.0]


def test_of_all_or_nothing_the_interval_is_the_exact_one() -> None:
    shares = np.repeat([[0.0], [1.0]], [7, 3], axis=0).T
    low, high = share_interval(shares, equal(10), np.random.default_rng(0), draws=40_000)
    assert low[0] == pytest.approx(share_lower_bound(3, 10, 0.025), abs=0.005)
    assert 1 - high[0] == pytest.approx(share_lower_bound(7, 10, 0.025), abs=0.005)


def test_unequal_weights_count_for_as_many_as_they_tell() -> None:
    """A class of one shape beside one of nine: about as sure as three and a half shapes, not ten."""
    values = np.random.default_rng(0).random((1, 10))
    unequal = np.array([0.5, *[0.5 / 9] * 9])
    for interval in (lambda v, w: share_interval(v, w, np.random.default_rng(0)), difference_interval):
        widths = [np.diff(interval(values[:, : len(own)], own), axis=0)[0, 0] for own in (equal(3), unequal, equal(10))]
        assert widths[0] > widths[1] > 1.3 * widths[2]


def test_a_single_shape_has_no_interval() -> None:
    assert np.isnan(share_interval(np.ones((3, 1)), np.ones(1), np.random.default_rng(0))).all()
    assert np.isnan(difference_interval(np.ones((3, 1)), np.ones(1))).all()
