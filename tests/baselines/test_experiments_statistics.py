"""Expected running times of questions, attainment, medians, ranks and their intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import rankdata

from baselines.experiments.quality import first_reached, held_from
from baselines.experiments.statistics import cluster_median, mean_ranks, ranks, running_times, share_reached
from semrob_env.errors import InvalidParameterError, ShapeMismatchError

INF = math.inf


@pytest.mark.parametrize(
    ("reached", "spent", "expected"),
    [
        ([10.0, 30.0], [100.0, 100.0], 20.0),
        ([10.0, INF], [100.0, 100.0], 110.0),  # the failed run counts to its end, not to the success
        ([10.0, INF, INF], [100.0, 40.0, 60.0], 110.0),  # what a run did not spend is not counted
        ([INF, INF], [100.0, 100.0], INF),
        ([0.0], [5.0], 0.0),
    ],
)
def test_the_expected_time_of_a_question_is_all_its_queries_over_successes(
    reached: list[float], spent: list[float], expected: float
) -> None:
    assert running_times(reached, spent, [7] * len(spent)).tolist() == [expected]


def test_a_failure_on_one_question_is_no_restart_on_another() -> None:
    # What asks once and always answers the same is right here and wrong there; pooled, it would have a time of 2.
    assert running_times([1.0, INF, 1.0, INF], [1.0] * 4, [3, 1, 0, 2]).tolist() == [1.0, INF, INF, 1.0]


def test_without_a_run_there_is_no_running_time() -> None:
    assert not len(running_times([], [], []))


def test_running_times_and_bills_go_together() -> None:
    with pytest.raises(ShapeMismatchError, match="one each a run"):
        running_times([1.0, 2.0], [3.0], [0])


def test_the_expected_time_is_the_mean_time_of_restarts() -> None:
    # Restart until a run succeeds: the mean of all queries tends to what the formula says.
    rng = np.random.default_rng(0)
    reached, spent = np.array([10.0, 20.0, INF, INF, INF]), np.array([50.0, 50.0, 50.0, 40.0, 30.0])
    totals = []
    for _ in range(20000):
        total = 0.0
        while True:
            run = rng.integers(5)
            if np.isfinite(reached[run]):
                break
            total += spent[run]
        totals.append(total + reached[run])
    assert np.mean(totals) == pytest.approx(running_times(reached, spent, np.zeros(5))[0], rel=0.03)


def test_a_target_is_held_from_where_no_later_checkpoint_misses_it() -> None:
    queries, quality = np.array([1.0, 2.0, 5.0, 9.0]), np.array([0.9, 0.1, 0.6, 0.8])
    targets = np.array([0.05, 0.5, 0.7, 0.85])
    assert held_from(queries, quality, targets).tolist() == [1.0, 5.0, 9.0, INF]
    assert first_reached(queries, quality, targets).tolist() == [1.0, 1.0, 1.0, 1.0]
    assert held_from(np.zeros(0), np.zeros(0), targets).tolist() == [INF] * 4


def test_medians_stand_infinite_values_and_their_intervals_resample_whole_groups() -> None:
    rng = np.random.default_rng(5)
    values = np.where(rng.random(41) < 0.3, INF, rng.random(41))
    names = np.array([f"{index}" for index in range(41)])
    middle, low, high = cluster_median(values, names, np.random.default_rng(0), resamples=2000, level=0.9)
    assert middle == np.sort(values)[20] == np.median(values)
    drawn = np.median(values[np.random.default_rng(1).integers(41, size=(2000, 41))], axis=1)
    np.testing.assert_allclose([low, high], np.quantile(drawn, [0.05, 0.95], method="nearest"), atol=0.05)
    thrice = cluster_median(values.repeat(3), names.repeat(3), np.random.default_rng(0), resamples=2000, level=0.9)
    assert thrice == (middle, low, high)
    assert cluster_median(np.array([1.0, INF]), np.array(["a", "b"]), rng, resamples=10, level=0.9)[0] == INF
    alone = cluster_median(values, np.repeat("a", 41), np.random.default_rng(0), resamples=10, level=0.9)
    assert alone[0] == middle
    assert np.isnan(alone[1:]).all()


def test_shares_reached_count_the_pairs_up_to_and_with_each_place() -> None:
    times = np.array([[1.0, 5.0], [3.0, INF]])
    np.testing.assert_array_equal(share_reached(times, [0.5, 1, 3, 4, 5, 1e9]), [0, 0.25, 0.5, 0.5, 0.75, 0.75])
    assert share_reached(np.zeros((0, 2)), [1.0]).tolist() == [0.0]


def test_the_highest_score_has_rank_1_and_ties_share_their_mean() -> None:
    scores = np.random.default_rng(1).integers(0, 4, (5, 50)).astype(np.float64)
    np.testing.assert_array_equal(ranks(scores), rankdata(-scores, axis=0))
    assert ranks([[1.0], [0.0], [0.0]])[:, 0].tolist() == [1.0, 2.5, 2.5]


def test_questions_of_one_group_are_resampled_together() -> None:
    # Ten copies of one question in each of two groups tell no more than one question in each.
    one = np.array([[1.0, 0.0], [0.0, 1.0]])
    few = mean_ranks(one, np.array(["a", "b"]), np.random.default_rng(0), resamples=500, level=0.9)
    many = mean_ranks(
        np.repeat(one, 10, axis=1),
        np.repeat(np.array(["a", "b"]), 10),
        np.random.default_rng(0),
        resamples=500,
        level=0.9,
    )
    np.testing.assert_array_equal(few.mean, [1.5, 1.5])
    np.testing.assert_allclose([many.mean, many.low, many.high], [few.mean, few.low, few.high])
    assert few.low.tolist() == [1.0, 1.0]
    assert few.high.tolist() == [2.0, 2.0]


def test_a_single_group_has_no_interval() -> None:
    found = mean_ranks(np.eye(3), np.array(["a", "a", "a"]), np.random.default_rng(0), resamples=10, level=0.95)
    assert found.mean.tolist() == [2.0, 2.0, 2.0]
    assert np.isnan([found.low, found.high]).all()


def test_intervals_narrow_with_more_groups() -> None:
    rng = np.random.default_rng(3)
    widths = []
    for count in (10, 1000):
        scores, names = rng.random((2, count)), np.array([f"{i}" for i in range(count)])
        found = mean_ranks(scores, names, np.random.default_rng(0), resamples=400, level=0.95)
        assert (found.low <= found.mean).all()
        assert (found.mean <= found.high).all()
        widths.append(float((found.high - found.low)[0]))
    assert widths[1] < 0.3 * widths[0]


@pytest.mark.parametrize(
    ("resamples", "level", "message"),
    [(1, 0.95, "1 resamples"), (10, 0.0, "level 0.0"), (10, 1.0, "level 1.0")],
)
def test_a_bootstrap_that_makes_no_sense_is_refused(resamples: int, level: float, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        mean_ranks(np.eye(2), np.array(["a", "b"]), np.random.default_rng(0), resamples=resamples, level=level)


def test_ranks_need_a_group_for_every_question() -> None:
    with pytest.raises(ShapeMismatchError, match="must be"):
        mean_ranks(np.eye(2), np.array(["a"]), np.random.default_rng(0), resamples=10, level=0.9)
