"""Surveys of whole spaces: rates with exact intervals, stretches that fail, effects; and the reach of a region."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
import pytest
from scipy.stats import binom, binomtest, chi2_contingency

from semrob_env.errors import InvalidParameterError, InvalidRegionError, OutOfSpaceError, UnknownNameError
from semrob_env.functions import CallableFunction, Stack
from semrob_env.metrics import Rate, RateCurve, Survey, effects, exact_interval, reach, survey
from semrob_env.metrics.survey import NO_EFFECT
from semrob_env.parameters import SemanticSpace
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
FIVE = SemanticSpace.of("azimuth,elevation,distance,light_azimuth,light_elevation")


def over(space: SemanticSpace, scores: Callable[[FloatArray], FloatArray], name: str = "over") -> CallableFunction:
    """A function of the unit cube."""
    return CallableFunction(space, lambda theta: scores(space.to_unit(theta)), name=name)


def box(lower: list[list[float]], upper: list[list[float]]) -> Regions:
    return Regions(SPACE, np.array(lower), np.array(upper))


def low_elevation(at: float = 50.0) -> CallableFunction:
    """0.9 below an elevation, else 0.1."""
    return CallableFunction(SPACE, lambda theta: np.where(theta[:, 1] < at, 0.9, 0.1), name="low elevation")


def around_the_seam() -> CallableFunction:
    """0 from azimuth 315 over 0 to 90, else 1."""
    return CallableFunction(
        SPACE, lambda theta: ((theta[:, 0] > 90) & (theta[:, 0] < 315)).astype(np.float64), name="around the seam"
    )


def test_a_survey_is_uniform_and_counts_what_is_right() -> None:
    found = survey(low_elevation(), points=4096)
    assert len(found) == found.queries == 4096
    assert SPACE.contains(found.theta).all()
    np.testing.assert_allclose(SPACE.to_unit(found.theta).mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(SPACE.to_unit(found.theta).var(axis=0), 1 / 12, atol=0.005)
    assert found.rate() == Rate(int((found.theta[:, 1] < 50).sum()), 4096)
    assert found.rate().share == pytest.approx(0.6, abs=0.03)
    assert found.rate(0.95).right == 0
    assert found.mean == pytest.approx(0.58, abs=0.02)


def test_more_points_begin_with_the_same_and_other_seeds_and_members_differ() -> None:
    both = Stack([low_elevation(), around_the_seam()])
    few, many = survey(both, points=10), survey(both, points=300)
    assert np.array_equal(few.theta, many.theta[:10])
    assert np.array_equal(few.scores, many.scores[:10])
    assert not np.isin(few.theta, survey(both, points=10, seed=1).theta).any()
    other = survey(both, 1, points=10)
    assert not np.isin(few.theta, other.theta).any()
    assert np.array_equal(other.theta, survey(around_the_seam(), points=10).theta)


def test_the_points_do_not_depend_on_how_many_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = survey(low_elevation(), points=50), effects(low_elevation(), survey(low_elevation(), points=50), points=20)
    monkeypatch.setattr(import_module("semrob_env.metrics.survey"), "_CHUNK_NUMBERS", 7)
    parts = survey(low_elevation(), points=50), effects(low_elevation(), survey(low_elevation(), points=50), points=20)
    assert np.array_equal(whole[0].scores, parts[0].scores)
    assert np.array_equal(whole[1].total, parts[1].total)


def test_the_worst_view_is_the_one_with_the_least_score_and_nan_is_the_worst() -> None:
    slope = over(SPACE, lambda unit: unit[:, 1])
    found = survey(slope)
    assert found.worst == found.theta[:, 1].argmin()
    holes = over(SPACE, lambda unit: np.where(unit[:, 1] > 0.9, np.nan, 0.1 + 0.5 * unit[:, 1]))
    found = survey(holes)
    assert found.scores[found.worst] == 0.0
    assert SPACE.to_unit(found.theta[found.worst])[1] > 0.9


@pytest.mark.parametrize(("right", "views"), [(0, 29), (29, 29), (7, 32), (1, 1), (156, 256)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_intervals_are_the_exact_ones(right: int, views: int, confidence: float) -> None:
    expected = binomtest(right, views).proportion_ci(confidence, method="exact")
    assert Rate(right, views).interval(confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_without_views_nothing_is_known() -> None:
    assert Rate(0, 0).interval() == (0.0, 1.0)
    assert np.isnan(Rate(0, 0).share)
    low, high = exact_interval([0, 1], [0, 1])
    assert (low[0], high[0], high[1]) == (0.0, 1.0, 1.0)


def test_a_curve_counts_every_view_once() -> None:
    found = survey(low_elevation(), points=500)
    curve = found.curve("elevation", bins=10)
    assert curve.edges.tolist() == pytest.approx(list(range(-10, 91, 10)))
    assert curve.views.sum() == 500
    for k in range(10):
        inside = (found.theta[:, 1] >= curve.edges[k]) & (found.theta[:, 1] < curve.edges[k + 1])
        assert curve.views[k] == inside.sum()
        assert curve.right[k] == (inside & (found.scores >= 0.5)).sum()
    assert curve.share.tolist() == [1.0] * 6 + [0.0] * 4
    ends = Survey(SPACE, np.stack([SPACE.low, SPACE.high]), np.ones(2))
    assert ends.curve("elevation").views.tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    assert np.isnan(ends.curve("elevation").share[1])


def test_it_fails_from_an_elevation_upwards() -> None:
    (stretch,) = survey(low_elevation(), points=300).failing(bins=10)
    assert stretch.parameter.name == "elevation"
    assert (stretch.lower, stretch.upper) == pytest.approx((50, 90))
    assert stretch.rate.right == 0


def test_it_fails_across_the_seam_in_one_stretch() -> None:
    (stretch,) = survey(around_the_seam()).failing()
    assert (stretch.parameter.name, stretch.lower, stretch.upper) == ("azimuth", 315.0, 450.0)
    half = CallableFunction(SPACE, lambda theta: (theta[:, 0] < 180).astype(np.float64), name="half")
    (stretch,) = survey(half).failing()
    assert (stretch.lower, stretch.upper) == (180.0, 360.0)


def test_a_plain_parameter_does_not_go_on_across_its_ends() -> None:
    ends = over(SPACE, lambda unit: (np.abs(unit[:, 1] - 0.5) < 0.25).astype(np.float64))
    assert [(s.lower, s.upper) for s in survey(ends).failing()] == [(-10.0, 15.0), (65.0, 90.0)]


def test_what_fails_alike_everywhere_is_told_by_the_rate_of_all_views() -> None:
    nothing = survey(over(SPACE, lambda unit: np.zeros(len(unit))))
    (stretch,) = nothing.curve("azimuth").failing()
    assert (stretch.lower, stretch.upper, stretch.rate) == (0.0, 360.0, Rate(0, 256))
    assert nothing.failing() == []
    # Three in ten are right whatever the elevation, but only those between two azimuths.
    some = survey(over(SPACE, lambda unit: (np.abs(unit[:, 0] - 0.5) < 0.15).astype(np.float64)), points=512)
    assert some.curve("elevation").fails().any()
    assert {stretch.parameter.name for stretch in some.failing()} == {"azimuth"}


def test_whether_a_rate_varies_is_the_test_of_homogeneity() -> None:
    rng, found = np.random.default_rng(0), []
    for chance in np.linspace(0.1, 0.9, 80):
        views = rng.multinomial(256, np.full(8, 1 / 8))
        right = rng.binomial(views, chance + np.linspace(-0.1, 0.1, 8))
        curve = RateCurve(SPACE.parameters[1], np.linspace(-10, 90, 9), right, views)
        expected = float(chi2_contingency([right, views - right]).pvalue)
        for confidence in (1 - 1.01 * expected, 1 - 0.99 * expected):
            if 0 < confidence < 1:
                assert curve.varies(confidence) == (expected <= 1 - confidence)
        found.append(curve.varies())
    assert set(found) == {True, False}


def test_surveys_of_several_shapes_are_one() -> None:
    first, second = survey(low_elevation(), points=40), survey(around_the_seam(), points=40)
    both = Survey.joined([first, second])
    assert both.rate() == Rate(first.rate().right + second.rate().right, 80)
    assert np.array_equal(both.theta[40:], second.theta)
    for wrong in (
        [],
        [first, survey(around_the_seam(), points=39)],
        [first, survey(over(FIVE, lambda u: u[:, 0]), points=40)],
    ):
        with pytest.raises(InvalidParameterError):
            Survey.joined(wrong)


@pytest.mark.parametrize("chances", [(0.2, 0.9), (0.5, 0.5), (0.0, 1.0)])
def test_intervals_cover_the_mean_rate_of_unlike_shapes(chances: tuple[float, float]) -> None:
    rng, mean = np.random.default_rng(0), sum(chances) / 2
    right = rng.binomial(32, chances[0], 4000) + rng.binomial(32, chances[1], 4000)
    low, high = exact_interval(right, 64)
    assert ((low <= mean) & (mean <= high)).mean() >= 0.95


def test_few_views_support_nothing() -> None:
    assert survey(low_elevation(), points=12).failing() == []
    assert survey(low_elevation(), points=300).failing(confidence=1 - 1e-12) == []


def test_a_stretch_at_one_half_is_said_to_fail_in_five_percent_of_surveys_at_most() -> None:
    rng = np.random.default_rng(0)
    parameter = SPACE.parameters[1]
    wrong = 0
    for _ in range(1000):
        views = rng.multinomial(256, np.full(8, 1 / 8))
        curve = RateCurve(parameter, np.linspace(-10, 90, 9), rng.binomial(views, 0.5), views)
        wrong += bool(curve.fails().any())
    assert wrong <= binom.ppf(0.9999, 1000, 0.05)
    # Not all too careful: it does not miss what fails by a clear margin.
    curve = RateCurve(parameter, np.linspace(-10, 90, 9), np.full(8, 5), np.full(8, 32))
    assert curve.fails().all()


def test_what_is_said_of_all_parameters_holds_for_all_at_once() -> None:
    theta = np.stack([np.repeat([90.0, 270.0], 30), np.zeros(60)], axis=1)
    found = Survey(SPACE, theta, np.concatenate([np.ones(30), np.arange(30) < 9]).astype(np.float64))
    # 9 of 30: enough for one parameter alone, not for both.
    assert 0.05 / 2 / 2 < binom.cdf(9, 30, 0.5) <= 0.05 / 2
    assert len(found.curve("azimuth", bins=2).failing()) == 1
    assert found.failing(bins=2) == []
    assert len(found.failing(bins=2, confidence=0.9)) == 1


def test_holm_names_more_than_a_single_correction_for_all_bins() -> None:
    right = np.array([9, 2, 2, 2, 2, 2, 2, 2])
    curve = RateCurve(SPACE.parameters[1], np.linspace(-10, 90, 9), right, np.full(8, 32))
    assert binom.cdf(9, 32, 0.5) > 0.05 / 8
    assert curve.fails().all()


def test_total_effects_of_a_sum_of_terms_are_their_shares_of_the_variance() -> None:
    weights = np.array([0.4, 0.3, 0.2, 0.0, 0.1])
    function = over(FIVE, lambda unit: unit @ weights)
    found = effects(function, survey(function, points=4096), points=4096)
    np.testing.assert_allclose(found.total, weights**2 / (weights**2).sum(), atol=0.03)
    assert (np.abs(found.total - weights**2 / (weights**2).sum()) <= 4 * found.standard_error + 0.01).all()
    assert found.idle == ("light_azimuth",)
    assert found.largest_change[3] == 0.0
    assert (found.points, found.queries) == (4096, 5 * 4096)


def test_total_effects_of_a_product_count_the_interaction_for_both() -> None:
    function = over(SPACE, lambda unit: unit[:, 0] * unit[:, 1])
    found = effects(function, survey(function, points=8192), points=8192)
    # Var(xy) = 1/9 - 1/16; E[Var(xy | y)] = E[y^2] / 12 = 1/36.
    np.testing.assert_allclose(found.total, (1 / 36) / (1 / 9 - 1 / 16), atol=0.04)


def test_one_parameter_alone_has_all_the_effect() -> None:
    function = over(SemanticSpace.of("azimuth"), lambda unit: unit[:, 0] ** 2)
    assert effects(function, survey(function, points=4096), points=4096).total[0] == pytest.approx(1.0, abs=0.05)


def test_rounding_is_no_effect_and_a_constant_has_none() -> None:
    tiny = over(SPACE, lambda unit: 0.5 * unit[:, 0] + 0.9 * NO_EFFECT * unit[:, 1])
    assert effects(tiny, survey(tiny)).idle == ("elevation",)
    more = over(SPACE, lambda unit: 0.5 * unit[:, 0] + 2.5 * NO_EFFECT * unit[:, 1])
    assert effects(more, survey(more)).idle == ()
    constant = over(SPACE, lambda unit: np.full(len(unit), 0.3))
    found = effects(constant, survey(constant))
    assert found.idle == SPACE.names
    assert found.total.tolist() == [0.0, 0.0]


def test_effects_ask_one_changed_view_a_point_and_parameter() -> None:
    asked: list[FloatArray] = []

    def keep(theta: FloatArray) -> FloatArray:
        asked.append(theta.copy())
        return np.full(len(theta), 0.5)

    function = CallableFunction(FIVE, keep, name="keep")
    known = survey(function, points=16)
    asked.clear()
    found = effects(function, known, points=8)
    theta = np.concatenate(asked).reshape(8, 5, 5)
    assert found.queries == 40 == theta.size // 5
    is_changed = theta != known.theta[:8, None]
    assert np.array_equal(is_changed, np.broadcast_to(np.eye(5, dtype=np.bool_), is_changed.shape))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda f: survey(f, points=0), InvalidParameterError),
        (lambda f: survey(f, points=2**20 + 1), InvalidParameterError),
        (lambda f: survey(f, seed=-1), InvalidParameterError),
        (lambda f: survey(f, 1), UnknownNameError),
        (lambda f: survey(f).curve("distance"), UnknownNameError),
        (lambda f: survey(f).curve("azimuth", bins=0), InvalidParameterError),
        (lambda f: survey(f).failing(confidence=1.0), InvalidParameterError),
        (lambda f: survey(f).rate().interval(0.0), InvalidParameterError),
        (lambda f: effects(f, survey(f, points=32)), InvalidParameterError),
        (lambda f: effects(f, survey(f), points=1), InvalidParameterError),
        (lambda f: effects(over(FIVE, lambda unit: unit[:, 0]), survey(f)), InvalidParameterError),
    ],
)
def test_what_cannot_be_surveyed_is_refused(
    wrong: Callable[[CallableFunction], object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        wrong(low_elevation())


def test_the_reach_is_told_side_by_side_and_the_narrowest_side_that_ends_is_first() -> None:
    found = reach(box([[100.0, -10.0]], [[190.0, 42.0]]), [136.0, -5.0])
    assert found.lower.tolist() == pytest.approx([0.1, 0.05])
    assert found.upper.tolist() == pytest.approx([0.15, 0.47])
    assert found.is_ended.tolist() == [[True, True], [False, True]]  # elevation cannot go below -10
    assert found.first == (0, 0)
    assert found.lower_room[1] == pytest.approx(0.05)


@pytest.mark.parametrize("start", [350.0, 0.0, 20.0, 340.0, 60.0])
def test_the_reach_goes_across_the_seam(start: float) -> None:
    found = reach(box([[340.0, 0.0]], [[420.0, 90.0]]), [start, 45.0])
    down = (start - 340) % 360
    assert (found.lower[0], found.upper[0]) == pytest.approx((down / 360, (80 - down) / 360))
    assert found.is_ended[0].all()
    assert not found.is_ended[1, 1]


def test_a_start_at_a_bound_has_no_half_width_there() -> None:
    for lower, width in ((340.1, 40.2), (10.3, 20.4)):
        some = box([[lower, 0.0]], [[lower + width, 60.0]])
        for at, expected in ((some.lower[0, 0], (0.0, width / 360)), (some.upper[0, 0], (width / 360, 0.0))):
            found = reach(some, SPACE.project([at, 60.0]))
            assert (found.lower[0], found.upper[0]) == pytest.approx(expected, abs=1e-9)


def test_a_whole_turn_and_a_whole_space_end_nowhere() -> None:
    found = reach(box([[20.0, 0.0]], [[380.0, 60.0]]), [130.0, 30.0])
    assert not found.is_ended[0].any()
    assert found.sides[0].tolist() == [0.5, 0.5]
    assert found.first == (1, 0)
    assert reach(Regions.whole(SPACE), [130.0, 30.0]).first is None


@pytest.mark.parametrize("n", [1, 2, 5])
def test_half_widths_add_up_to_the_region(n: int) -> None:
    space, rng = SemanticSpace(FIVE.parameters[:n]), np.random.default_rng(n)
    for _ in range(20):
        start = space.sample(1, rng)[0]
        region = Regions.around(space, start, rng.uniform(0, 0.6, n) * space.width)
        found = reach(region, start)
        np.testing.assert_allclose(found.sides.sum(axis=1), region.width[0] / space.width, atol=1e-12)
        np.testing.assert_allclose(
            space.project(start - found.lower * space.width), space.project(region.lower[0]), atol=1e-9
        )


def test_a_region_without_its_start_has_no_reach() -> None:
    some = box([[100.0, 0.0]], [[190.0, 42.0]])
    with pytest.raises(InvalidRegionError):
        reach(some, [200.0, 20.0])
    with pytest.raises(InvalidRegionError):
        reach(Regions.whole(SPACE, 2), [200.0, 20.0])
    with pytest.raises(OutOfSpaceError):
        reach(some, [400.0, 20.0])
