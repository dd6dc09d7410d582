"""Two networks at the same views: flips with exact intervals, mean scores, stretches won and lost, shapes needed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest, multinomial

from semrob_env.errors import InvalidParameterError, ShapeMismatchError
from semrob_env.metrics import Flips, PairedViews, Survey, in_turn, shapes_needed
from semrob_env.metrics.intervals import difference_interval
from semrob_env.parameters import SemanticSpace
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")

Scores = Callable[[FloatArray], FloatArray]


def pair(before: Scores, after: Scores, views: int = 400, seed: int = 0) -> PairedViews:
    theta = SPACE.sample(views, np.random.default_rng(seed))
    return PairedViews(Survey(SPACE, theta, before(theta)), Survey(SPACE, theta, after(theta)))


def always(score: float) -> Scores:
    return lambda theta: np.full(len(theta), score)


def below(elevation: float) -> Scores:
    return lambda theta: np.where(theta[:, 1] < elevation, 0.9, 0.1)


@pytest.mark.parametrize(("lost", "won"), [(0.05, 0.02), (0.0, 0.1), (0.3, 0.3), (0.0, 0.0), (0.6, 0.2)])
def test_the_interval_of_a_rate_difference_holds_its_level_by_enumeration(lost: float, won: float) -> None:
    views, missed = 24, 0.0
    law = multinomial(views, [lost, won, 1 - lost - won])
    for first in range(views + 1):
        for second in range(views + 1 - first):
            low, high = Flips(first, second, views).interval()
            if not low <= won - lost <= high:
                missed += law.pmf([first, second, views - first - second])
    assert missed <= 0.05


@pytest.mark.parametrize(("lost", "won"), [(14, 3), (3, 14), (6, 1), (5, 0), (9, 9), (20, 31)])
def test_zero_is_left_out_where_the_exact_test_of_mcnemar_says_so(lost: int, won: int) -> None:
    low, high = Flips(lost, won, 256).interval()
    rejects = binomtest(won, won + lost, 0.5).pvalue < 0.04
    assert (low > 0 or high < 0) == rejects
    assert low <= (won - lost) / 256 <= high


def test_flips_count_what_changes_sides() -> None:
    found = pair(below(60), below(40))
    between = ((found.before.theta[:, 1] >= 40) & (found.before.theta[:, 1] < 60)).sum()
    assert found.flips == Flips(int(between), 0, 400)
    assert found.flips.difference == pytest.approx(found.after.rate().share - found.before.rate().share)
    assert pair(below(40), below(60)).flips == Flips(0, int(between), 400)
    assert np.isnan(Flips(0, 0, 0).difference)


def test_views_must_be_the_same() -> None:
    found = pair(always(0.5), always(0.5))
    other = pair(always(0.5), always(0.5), seed=1)
    with pytest.raises(ShapeMismatchError, match="same views"):
        PairedViews(found.before, other.after)


def test_a_mean_score_difference_lies_in_its_interval() -> None:
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, 400)
    found = pair(always(0.6), lambda theta: 0.45 + noise)
    low, high = found.score_interval()
    assert low < found.score_difference < high < 0
    assert low > -0.35
    same_low, same_high = pair(always(0.6), always(0.6)).score_interval()
    assert same_low < 0 < same_high


def test_where_views_are_lost_is_told_and_only_there() -> None:
    worse = pair(always(0.9), below(60)).worse()
    assert [(own.parameter.name, own.upper) for own in worse] == [("elevation", 90.0)]
    assert worse[0].lower == pytest.approx(60, abs=13)
    assert worse[0].rate.right == 0
    assert pair(always(0.9), below(60)).better() == []
    better = pair(below(60), always(0.9)).better()
    assert [(own.parameter.name, own.lower) for own in better] == [("elevation", worse[0].lower)]
    assert pair(always(0.9), always(0.1)).worse() == []  # everywhere alike: the rate says it


def test_stretches_of_networks_that_differ_by_chance_are_seldom_told() -> None:
    told = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)

        def noise(theta: FloatArray, rng: np.random.Generator = rng) -> FloatArray:
            return rng.uniform(size=len(theta))

        told += bool(pair(noise, noise, 128).worse())
    assert told <= 16  # 5 % of 200 are 10; 16 or fewer with chance 97 %


def test_surveys_in_turn_take_one_view_of_each() -> None:
    surveys = [
        Survey(SPACE, SPACE.sample(3, np.random.default_rng(k)), np.array([k, k + 0.1, k + 0.2])) for k in (0, 1)
    ]
    np.testing.assert_allclose(in_turn(surveys).scores, [0, 1, 0.1, 1.1, 0.2, 1.2])


def test_as_many_shapes_as_are_said_to_be_needed_show_the_difference() -> None:
    differences = np.array([0.05, 0.1, 0.02, 0.12, 0.07])
    needed = shapes_needed(differences, 0.07)
    assert needed is not None
    spread = np.resize([-1.0, 1.0], needed + needed % 2) * differences.std(ddof=1)
    many = 0.08 + spread
    assert difference_interval(many[None], np.full(len(many), 1 / len(many)))[0, 0] > 0
    few = many[: needed // 3 // 2 * 2]
    assert difference_interval(few[None], np.full(len(few), 1 / len(few)))[0, 0] < 0
    assert shapes_needed(differences[:1], 0.07) is None
    with pytest.raises(InvalidParameterError, match="above 0"):
        shapes_needed(differences, 0.0)
