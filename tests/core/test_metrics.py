"""Judging regions on held-out points."""

from __future__ import annotations

import sys
from dataclasses import fields

import numpy as np
import pytest

from semrob_env.errors import (
    InvalidParameterError,
    InvalidRegionError,
    NoGroundTruthError,
    SemrobError,
    ShapeMismatchError,
    UnknownNameError,
)
from semrob_env.functions import CallableFunction, Complement, ScoreFunction, Stack
from semrob_env.ground_truth import exact_moments
from semrob_env.metrics import Judge, certify_by_points, judge_regions
from semrob_env.metrics.measures import Measures
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MeanGoal, ReliabilityGoal
from semrob_env.regions import Regions
from semrob_env.synthetic import make_synthetic
from semrob_env.types import FloatArray, IntArray

SPACE = SemanticSpace.of("azimuth,elevation")


def constant(score: float) -> CallableFunction:
    return CallableFunction(SPACE, lambda theta: np.full(len(theta), score), name=f"constant {score}")


def below(azimuth: float) -> CallableFunction:
    """1 below an azimuth, 0 from there on."""
    return CallableFunction(SPACE, lambda theta: (theta[:, 0] < azimuth).astype(float), name=f"below {azimuth}")


def boxes(count: int, seed: int = 0) -> Regions:
    rng = np.random.default_rng(seed)
    return Regions.around(SPACE, SPACE.sample(count, rng), rng.uniform(1, 60, (count, 2)))


@pytest.mark.parametrize(("score", "expected"), [(0.75, True), (np.nextafter(0.75, 0), False)])
def test_a_constant_at_the_threshold_is_feasible_and_an_ulp_below_is_not(score: float, expected: bool) -> None:
    judgement = judge_regions(constant(score), boxes(3), judge=Judge(MeanGoal(0.25, 0.0)))
    assert judgement.feasible.tolist() == [expected] * 3


def test_a_half_and_half_region_has_variance_a_quarter_and_is_feasible_by_default() -> None:
    judgement = judge_regions(below(180), Regions.whole(SPACE))
    assert (judgement.mean[0], judgement.variance[0], judgement.feasible[0]) == (0.5, 0.25, True)
    assert judgement.purity[0] == 0.5


def test_purity_quantile_and_minimum_tell_of_a_hole_that_the_mean_hides() -> None:
    judgement = judge_regions(below(324), Regions.whole(SPACE), judge=Judge(points=1024))
    assert judgement.mean[0] == pytest.approx(0.9, abs=0.002)
    assert judgement.purity[0] == pytest.approx(0.9, abs=0.002)
    assert (judgement.quantile_05[0], judgement.minimum[0]) == (0.0, 0.0)
    assert judgement.feasible[0]


def test_purity_counts_a_score_of_one_half() -> None:
    assert judge_regions(constant(0.5), boxes(1)).purity[0] == 1.0


def test_scores_are_mapped_by_the_score_range_first() -> None:
    wide = CallableFunction(SPACE, lambda theta: np.full(len(theta), 4.0), score_range=(-10.0, 10.0))
    judgement = judge_regions(wide, boxes(1), judge=Judge(MeanGoal(0.3)))
    assert judgement.mean[0] == pytest.approx(0.7)
    assert judge_regions(wide, boxes(1), judge=Judge(MeanGoal(0.31))).feasible[0]


def test_nan_counts_as_the_worst_score_of_the_function_and_of_its_complement() -> None:
    holes = CallableFunction(SPACE, lambda theta: np.where(theta[:, 0] < 180, 0.8, np.nan), name="holes")
    whole = Regions.whole(SPACE)
    for function, rest in ((holes, 0.8), (Complement(holes), 0.2)):
        judgement = judge_regions(function, whole)
        assert judgement.mean[0] == pytest.approx(rest / 2)
        assert judgement.minimum[0] == 0.0


def test_the_complement_makes_adversarial_regions_robust() -> None:
    function = make_synthetic("synthetic:plateau?n=2&seed=0")
    low, high = function.plateau, Regions.around(function.space, [[10.0, -5.0]], 3.0)
    assert judge_regions(function, low).feasible[0]
    assert not judge_regions(Complement(function), low).feasible[0]
    assert not judge_regions(function, high).feasible[0]
    assert judge_regions(Complement(function), high).feasible[0]
    plain, turned = judge_regions(function, boxes(20)), Complement(function)
    exact_mean, exact_variance = function.exact_moments(boxes(20))
    judgement = judge_regions(turned, boxes(20), judge=Judge(points=2048))
    assert judgement.mean == pytest.approx(1 - exact_mean, abs=0.01)
    assert judgement.variance == pytest.approx(exact_variance, abs=0.01)
    assert np.array_equal(plain.share, judgement.share)


@pytest.mark.parametrize(("points", "error"), [(64, 0.05), (1024, 0.008)])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_estimates_are_close_to_the_exact_moments(n: int, points: int, error: float) -> None:
    function = make_synthetic(f"synthetic:seam?n={n}&seed=1")
    rng = np.random.default_rng(2)
    regions = Regions.around(
        function.space,
        np.tile(function.plateau.center, (200, 1)),
        rng.uniform(0.1, 0.3, (200, n)) * function.space.width,
    )
    mean, variance = function.exact_moments(regions)
    judgement = judge_regions(function, regions, judge=Judge(points=points))
    assert np.sqrt(np.mean((judgement.mean - mean) ** 2)) < error
    assert np.sqrt(np.mean((judgement.variance - variance) ** 2)) < error
    assert abs(np.mean(judgement.mean - mean)) < error / 3  # no bias


def test_the_standard_error_is_cautious() -> None:
    function = make_synthetic("synthetic:plateau?n=2&seed=0")
    seeds = [judge_regions(function, boxes(50), judge=Judge(seed=seed)) for seed in range(30)]
    spread = np.std([judgement.mean for judgement in seeds], axis=0)
    assert (spread <= np.mean([judgement.standard_error() for judgement in seeds], axis=0) + 1e-12).mean() > 0.95


def rising(name: str = "rising") -> CallableFunction:
    """A score that rises with azimuth; nobody knows its truth."""
    return CallableFunction(SPACE, lambda theta: theta[:, 0] / 360, name=name)


def test_the_standard_error_is_that_of_independent_points_and_none_where_the_mean_is_exact() -> None:
    judgement = judge_regions(rising(), boxes(5), judge=Judge(points=256))
    assert judgement.standard_error() == pytest.approx(np.sqrt(judgement.variance) / 16)
    exact = judge_regions(make_synthetic("synthetic:plateau?n=2&seed=0"), boxes(5))
    assert exact.is_exact
    assert exact.standard_error().tolist() == [0.0] * 5


def test_the_measures_of_a_region_are_its_row_as_plain_numbers() -> None:
    for function, is_exact in ((rising(), False), (make_synthetic("synthetic:plateau?n=2&seed=0"), True)):
        judgement = judge_regions(function, boxes(3))
        own = [judgement.measures(row) for row in range(3)]
        assert [one.is_exact for one in own] == [is_exact] * 3
        for part in fields(Measures):
            if part.name != "is_exact":
                assert [getattr(one, part.name) for one in own] == getattr(judgement, part.name).tolist()
        assert {type(getattr(own[0], part.name)) for part in fields(Measures)} == {float, bool, int}
        assert own[0].share != own[1].share


def test_another_certificate_changes_what_is_certified_and_nothing_else() -> None:
    regions, goal = boxes(20), MeanGoal(0.6, 0.1)
    judgement = judge_regions(rising(), regions, judge=Judge(goal))
    other = certify_by_points(rising(), regions, goal, points=512, seed=3)
    again = judgement.with_certificate(other)
    pairs = {
        "certified": other.certified,
        "goal_lower": other.goal_lower,
        "goal_variance_upper": other.goal_variance_upper,
        "certificate_queries": other.points,
    }
    for part in fields(judgement):
        expected = pairs.get(part.name, getattr(judgement, part.name))
        assert np.array_equal(getattr(again, part.name), expected)
    for name in pairs:
        assert not np.array_equal(getattr(again, name), getattr(judgement, name))


def test_quantile_minimum_and_purity_are_those_of_the_points_that_were_asked() -> None:
    asked: list[FloatArray] = []

    def scores(theta: FloatArray) -> FloatArray:
        asked.append(theta[:, 0] / 360)
        return asked[-1]

    judgement = judge_regions(CallableFunction(SPACE, scores), boxes(4), judge=Judge(certificate_points=0))
    for row, own in enumerate(np.sort(asked[0].reshape(4, 64), axis=1).tolist()):
        assert judgement.quantile_05[row] == pytest.approx(0.85 * own[3] + 0.15 * own[4])  # 0.05 * 63 = 3.15
        assert judgement.minimum[row] == own[0]
        assert judgement.purity[row] == sum(score >= 0.5 for score in own) / 64
        assert judgement.mean[row] == pytest.approx(sum(own) / 64)
        assert judgement.variance[row] == pytest.approx(sum(x * x for x in own) / 64 - (sum(own) / 64) ** 2)


@pytest.mark.parametrize(("most", "calls"), [(128 * 5, [5]), (128 * 2 + 1, [2, 2, 1]), (1, [1] * 5)])
def test_many_regions_are_asked_in_parts_of_bounded_size_with_the_same_answers(
    most: int, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def scores(theta: FloatArray) -> FloatArray:
        asked.append(theta.size)
        return theta[:, 0] / 720

    regions, judge, member = boxes(5), Judge(certificate_points=0), [0, 1, 1, 0, 1]
    function = Stack([CallableFunction(SPACE, lambda theta: theta[:, 0] / 360, name="whole"), rising("also")])
    whole = judge_regions(function, regions, member, judge)
    monkeypatch.setattr(sys.modules["semrob_env.metrics.judge"], "_CHUNK_NUMBERS", most)
    parts = judge_regions(function, regions, member, judge)
    assert np.array_equal(parts.mean, whole.mean)
    assert np.array_equal(parts.minimum, whole.minimum)
    judge_regions(CallableFunction(SPACE, scores), regions, judge=judge)
    assert [size // 128 for size in asked] == calls


def test_each_region_is_judged_on_the_member_it_belongs_to() -> None:
    member = [1, 0, 1, 1]
    plain = judge_regions(Stack([constant(0.25), constant(0.75)]), boxes(4), member)
    assert plain.mean.tolist() == plain.minimum.tolist() == [0.75, 0.25, 0.75, 0.75]
    known = [make_synthetic(f"synthetic:hill?n=2&seed={seed}") for seed in range(2)]
    exact = judge_regions(Stack(known), boxes(4), member)
    assert exact.is_exact
    for row, own in enumerate(member):
        assert exact.mean[row] == known[own].exact_moments(boxes(4)[row])[0][0]


@pytest.mark.parametrize("confidence", [0.5, 0.99])
def test_a_certificate_is_as_sure_and_has_as_many_points_as_the_judge_says(confidence: float) -> None:
    judge = Judge(MeanGoal(0.6), certificate_points=128, confidence=confidence, seed=2)
    judgement = judge_regions(rising(), boxes(4), judge=judge)
    own = certify_by_points(rising(), boxes(4), judge.goal, points=128, level=confidence, seed=2)
    assert judgement.goal_lower.tolist() == own.goal_lower.tolist()
    assert judgement.certificate_queries.tolist() == [128] * 4


def test_the_points_of_a_judge_never_change_from_one_release_to_the_next() -> None:
    # Rows of a store are compared with rows of tomorrow: other points need a new STORE_VERSION.
    regions = Regions(SPACE, np.array([[350.0, -0.0], [10.0, -10.0]]), np.array([[370.0, 10.0], [90.0, 5.0]]))
    judgement = judge_regions(rising("pinned \udcff"), regions, judge=Judge(points=8, seed=3))
    assert judgement.minimum.tolist() == [0.0007969178000671996, 0.02910508991529544]
    assert judgement.variance.tolist() == pytest.approx([0.23619323707681988, 0.00398953106993046], rel=1e-12)
    zero = Regions(SPACE, np.array([[350.0, 0.0]]), np.array([[370.0, 10.0]]))
    assert judge_regions(rising("pinned \udcff"), zero, judge=Judge(points=8, seed=3)).minimum == 0.0007969178000671996


def test_answers_do_not_depend_on_batch_or_order() -> None:
    function = Stack([make_synthetic(f"synthetic:trap?n=2&seed={seed}") for seed in range(3)])
    regions, member = boxes(40), np.arange(40) % 3
    together = judge_regions(function, regions, member)
    order = np.random.default_rng(1).permutation(40)
    shuffled = judge_regions(function, regions[order], member[order])
    alone = [judge_regions(function, regions[i], member[i : i + 1]) for i in range(40)]
    for name in ("mean", "variance", "purity", "quantile_05", "minimum", "share", "feasible"):
        column = getattr(together, name)
        assert np.array_equal(column[order], getattr(shuffled, name))
        assert np.array_equal(column, np.concatenate([getattr(one, name) for one in alone]))


def test_points_differ_by_seed_and_region_and_lie_inside() -> None:
    seen: list[FloatArray] = []

    def scores(theta: FloatArray) -> FloatArray:
        seen.append(theta)
        return np.zeros(len(theta))

    function = CallableFunction(SPACE, scores)
    regions = Regions(SPACE, np.array([[350.0, 0.0], [350.0, 1.0]]), np.array([[370.0, 10.0], [370.0, 11.0]]))
    for seed in (0, 1):
        judge_regions(function, regions, judge=Judge(seed=seed, certificate_points=0))
    first, second = (points.reshape(2, 64, 2) for points in seen)
    assert regions.contains(first).all()
    assert SPACE.contains(first).all()
    assert not np.isin(first[0, :, 0], second[0, :, 0]).any()
    assert not np.allclose(first[0] - [0, 0], first[1] - [0, 1])
    # One point in each of 64 equal slices of each side: what makes it better than independent points.
    slices = np.sort(((first[0, :, 1] - 0.0) / 10 * 64).astype(int))
    assert slices.tolist() == list(range(64))


def test_the_two_ways_to_write_a_seam_are_one_region() -> None:
    function = make_synthetic("synthetic:seam?n=2&seed=0")
    ways = Regions(function.space, np.array([[350.0, 0.0], [-10.0, 0.0]]), np.array([[370.0, 10.0], [10.0, 10.0]]))
    judgement = judge_regions(function, ways)
    assert judgement.mean[0] == judgement.mean[1]


def test_regions_without_width_are_judged_at_their_point() -> None:
    function = make_synthetic("synthetic:hill?n=2&seed=0")
    points = function.space.sample(10, np.random.default_rng(0))
    judgement = judge_regions(function, Regions(function.space, points, points))
    assert judgement.mean == pytest.approx(function.values(points[:, None])[:, 0], abs=1e-15)
    assert judgement.variance == pytest.approx(np.zeros(10), abs=1e-30)
    assert (judgement.share == 0).all()


def test_shares_are_clipped_to_the_space_and_queries_are_counted() -> None:
    far = Regions(SPACE, np.array([[-500.0, -300.0], [0.0, 95.0]]), np.array([[500.0, 40.0], [360.0, 99.0]]))
    judgement = judge_regions(constant(1.0), far, judge=Judge(points=128))
    assert judgement.share.tolist() == [0.5, 0.0]
    assert judgement.judge_queries.tolist() == [128, 128]


def test_no_region_is_no_work() -> None:
    assert len(judge_regions(constant(1.0), boxes(3)[:0]).mean) == 0


def test_a_reliability_is_judged_by_the_share_of_good_views() -> None:
    goal = ReliabilityGoal(0.5, 0.9)
    for azimuth, expected in ((330, True), (320, False)):
        judgement = judge_regions(below(azimuth), Regions.whole(SPACE), judge=Judge(goal, points=1024))
        assert judgement.goal_mean[0] == pytest.approx(azimuth / 360, abs=0.002)
        assert judgement.feasible[0] == expected
        assert not judgement.is_exact
    poor = judge_regions(constant(0.6), boxes(2), judge=Judge(ReliabilityGoal(0.7)))
    assert (poor.goal_mean.tolist(), poor.mean.tolist()) == ([0, 0], [0.6, 0.6])
    assert not poor.feasible.any()


def test_exact_shares_decide_where_they_are_known() -> None:
    function, goal = make_synthetic("synthetic:hill?n=2&seed=1"), ReliabilityGoal(0.5, 0.9)
    best = function.optimum(function.plateau.center[0], goal).region
    assert best is not None
    wider = Regions.around(function.space, best.center, best.width / 2 * 1.001)
    for region, expected in ((best, True), (wider, False)):
        judgement = judge_regions(function, region, judge=Judge(goal))
        assert judgement.is_exact
        assert judgement.feasible[0] == expected
        assert judgement.goal_mean[0] == function.exact_moments(region, goal)[0][0]
        assert judgement.mean[0] == function.exact_moments(region)[0][0]


def test_where_shares_are_not_known_the_points_tell_them_and_means_stay_exact() -> None:
    function = make_synthetic("synthetic:plateau?n=3&seed=0")
    regions = Regions.around(function.space, np.tile(function.plateau.center, (5, 1)), function.space.width * 0.2)
    judgement = judge_regions(function, regions, judge=Judge(ReliabilityGoal(0.5, 0.3)))
    assert np.array_equal(judgement.mean, function.exact_moments(regions)[0])
    assert np.array_equal(judgement.goal_mean, judgement.purity)
    assert not judgement.is_exact


def test_the_mean_is_what_a_mean_goal_counts() -> None:
    for function in (make_synthetic("synthetic:seam?n=2&seed=0"), below(100)):
        judgement = judge_regions(function, boxes(5))
        assert np.array_equal(judgement.goal_mean, judgement.mean)


def test_the_least_half_width_is_told_as_a_share_of_the_range() -> None:
    regions = Regions(SPACE, np.array([[350.0, 0.0], [0.0, -90.0]]), np.array([[386.0, 50.0], [360.0, 90.0]]))
    assert judge_regions(constant(1.0), regions).least_half_width.tolist() == [0.05, 0.5]


class Margins(ScoreFunction):
    """Logit margins that grow with azimuth."""

    def __init__(self) -> None:
        super().__init__(SPACE, ("margins",), score_range=(-9.0, 9.0), is_logistic=True, has_gradient=False)

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        del member
        return np.asarray(theta[..., 0] / 20 - 9)


def test_margins_are_judged_as_unit_scores_by_points() -> None:
    judgement = judge_regions(Margins(), Regions.whole(SPACE), judge=Judge(ReliabilityGoal(0.5, 0.5), points=1024))
    assert judgement.goal_mean[0] == pytest.approx(0.5)
    assert judgement.minimum[0] == pytest.approx(1 / (1 + np.exp(9)), abs=1e-3)
    assert not judgement.is_exact
    with pytest.raises(NoGroundTruthError, match="unit scores are linear"):
        exact_moments(Margins(), Regions.whole(SPACE))


def test_a_judge_may_have_two_points_or_a_million() -> None:
    assert Judge(points=2).points == 2
    assert Judge(points=2**20).points == 2**20
    assert judge_regions(rising(), boxes(2), judge=Judge(points=2)).judge_queries.tolist() == [2, 2]


@pytest.mark.parametrize("arguments", [{"points": 63}, {"points": 1}, {"points": 2**21}, {"seed": -1}])
def test_a_judge_is_checked(arguments: dict[str, int]) -> None:
    with pytest.raises(InvalidParameterError, match=r"power of two|whole number, "):
        Judge(**arguments)  # type: ignore[arg-type]  # mypy takes every value for a goal


@pytest.mark.parametrize(
    ("regions", "member", "error"),
    [
        (boxes(2), [0], ShapeMismatchError),
        (boxes(2), [0, 1], UnknownNameError),
        (boxes(2), [0, -1], UnknownNameError),
        (Regions.whole(SemanticSpace.of("azimuth")), None, InvalidRegionError),
    ],
)
def test_what_is_judged_is_checked(regions: Regions, member: list[int] | None, error: type[SemrobError]) -> None:
    with pytest.raises(error):
        judge_regions(constant(1.0), regions, member)
