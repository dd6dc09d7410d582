"""Certificates: bounds that hold their level, points that nobody has seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError
from semrob_env.functions import CallableFunction, Complement, Stack
from semrob_env.ground_truth import exact_moments
from semrob_env.metrics import Judge, certify, certify_by_points, goal_bounds, judge_regions
from semrob_env.metrics.certificates import mean_lower_bound, share_lower_bound, variance_upper_bound
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Goal, MeanGoal, ReliabilityGoal
from semrob_env.regions import Regions
from semrob_env.synthetic import make_synthetic
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
DRAWS = 2000

Draw = Callable[[np.random.Generator, int], FloatArray]


def beta(a: float, b: float) -> Draw:
    return lambda rng, n: rng.beta(a, b, (DRAWS, n))


def bernoulli(p: float) -> Draw:
    return lambda rng, n: (rng.random((DRAWS, n)) < p).astype(float)


SCORES: dict[str, tuple[Draw, float, float]] = {
    "U-shaped": (beta(0.7, 0.3), 0.7, 0.105),
    "very U-shaped": (beta(0.14, 0.06), 0.7, 0.175),
    "bell-shaped": (beta(14, 6), 0.7, 0.01),
    "rarely low": (bernoulli(0.97), 0.97, 0.0291),
    "half": (bernoulli(0.5), 0.5, 0.25),
}
"""Scores in [0, 1] with their mean and variance."""


def least(level: float = 0.95) -> float:
    """What a coverage of DRAWS trials may fall to by chance: 3 standard errors below the level."""
    return level - 3 * float(np.sqrt(level * (1 - level) / DRAWS))


@pytest.mark.parametrize("n", [64, 256])
@pytest.mark.parametrize("kind", SCORES)
def test_bounds_hold_as_often_as_they_say(kind: str, n: int) -> None:
    draw, mean, variance = SCORES[kind]
    samples = draw(np.random.default_rng(n), n)
    assert (mean_lower_bound(samples, 0.05) <= mean).mean() >= least()
    assert (variance_upper_bound(samples, 0.05) >= variance).mean() >= least()
    good = (samples >= 0.5).mean()  # of all draws: as good as the truth
    assert (share_lower_bound((samples >= 0.5).sum(axis=1), n, 0.05) <= good).mean() >= least()


def test_a_normal_interval_does_not_hold_its_level_where_the_betting_bound_does() -> None:
    samples = bernoulli(0.97)(np.random.default_rng(0), 64)
    normal = samples.mean(axis=1) - 1.645 * samples.std(axis=1) / 8
    assert (normal <= 0.97).mean() < 0.9


def test_bounds_are_as_tight_as_published() -> None:
    rng = np.random.default_rng(0)
    for n, bound in ((64, 0.615), (256, 0.655), (1024, 0.678)):
        found = mean_lower_bound(rng.beta(0.7, 0.3, (400, n)), 0.05).mean()
        assert found == pytest.approx(bound, abs=0.012)
    # Points without a failure that show 90, 95 and 99 %: just so many, and one fewer do not.
    for n, share in ((29, 0.9), (59, 0.95), (299, 0.99)):
        assert share_lower_bound(n, n, 0.05) >= share > share_lower_bound(n - 1, n - 1, 0.05)


def test_bounds_of_no_samples_say_nothing() -> None:
    assert mean_lower_bound(np.zeros((3, 0)), 0.05).tolist() == [0.0] * 3
    assert variance_upper_bound(np.ones((2, 1)), 0.05).tolist() == [0.25] * 2
    assert share_lower_bound(np.array([0]), 0, 0.05).tolist() == [0.0]
    assert share_lower_bound([0, 8], 8, 0.05)[0] == 0.0


def test_alpha_is_split_between_the_bounds_of_a_goal_that_has_two() -> None:
    scores = np.random.default_rng(0).beta(0.7, 0.3, (4, 100))
    mean, variance = goal_bounds(MeanGoal(0.5, 0.1), scores, 0.05)
    assert np.array_equal(mean, mean_lower_bound(scores, 0.025))
    assert np.array_equal(variance, variance_upper_bound(scores, 0.025))
    mean, variance = goal_bounds(MeanGoal(0.5), scores, 0.05)
    assert np.array_equal(mean, mean_lower_bound(scores, 0.05))
    assert (variance == 0.25).all()
    goal = ReliabilityGoal(0.5, 0.9)
    mean, _ = goal_bounds(goal, goal.counted(scores), 0.05)
    assert np.array_equal(mean, share_lower_bound((scores >= 0.5).sum(axis=1), 100, 0.05))


@pytest.mark.parametrize("goal", [MeanGoal(0.5), MeanGoal(0.5, 0.22), ReliabilityGoal(0.5, 0.6)], ids=str)
def test_certified_regions_meet_their_goal_as_often_as_they_say(goal: Goal) -> None:
    hill = make_synthetic("synthetic:hill?n=2&seed=0")
    rng = np.random.default_rng(0)
    # Around the border of what is feasible, where a certificate can go wrong.
    regions = Regions.around(SPACE, np.tile(hill.plateau.center, (DRAWS, 1)), rng.uniform(20, 80, (DRAWS, 2)))
    found = certify_by_points(hill, regions, goal, points=128)
    mean, variance = exact_moments(hill, regions, goal=goal)
    wrong = found.certified & ~goal.is_met(mean, variance)
    assert 0 < found.certified.sum() < DRAWS
    assert wrong.mean() <= 1 - least()
    assert (found.goal_lower > mean).mean() <= 1 - least()


def test_where_the_truth_is_known_it_is_the_certificate_and_costs_nothing() -> None:
    hill = make_synthetic("synthetic:hill?n=2&seed=0")
    regions = Regions.around(SPACE, np.tile(hill.plateau.center, (3, 1)), np.array([[10.0, 5], [60, 40], [180, 90]]))
    goal = MeanGoal(0.5, 0.2)
    mean, variance = exact_moments(hill, regions, goal=goal)
    judged, found = judge_regions(hill, regions, judge=Judge(goal)), certify(hill, regions, goal)
    for lower, upper, certified, points in (
        (found.goal_lower, found.goal_variance_upper, found.certified, found.points),
        (judged.goal_lower, judged.goal_variance_upper, judged.certified, judged.certificate_queries),
    ):
        assert np.array_equal(lower, mean)
        assert np.array_equal(upper, variance)
        assert np.array_equal(certified, judged.feasible)
        assert not points.any()


def ramp(seen: list[FloatArray] | None = None, name: str = "ramp") -> CallableFunction:
    """A score that rises with azimuth, and keeps what it was asked."""

    def scores(theta: FloatArray) -> FloatArray:
        if seen is not None:
            seen.append(theta)
        return theta[:, 0] / 360

    return CallableFunction(SPACE, scores, name=name)


BOXES = Regions(SPACE, np.array([[100.0, 0], [200, 10], [350, -10]]), np.array([[140.0, 20], [360, 60], [380, 50]]))


def test_points_are_uniform_in_their_region_and_more_begin_with_the_same() -> None:
    asked: list[FloatArray] = []
    for points in (256, 2048):
        certify(ramp(asked), BOXES, MeanGoal(), points=points)
    few, many = asked[0].reshape(3, 256, 2), asked[1].reshape(3, 2048, 2)
    assert np.array_equal(few, many[:, :256])
    assert BOXES.contains(many).all()
    shares = (many - BOXES.lower[:, None]) % [360, 1000] / BOXES.width[:, None]
    for k in range(2):
        counts = np.array([np.histogram(row[:, k], 16, (0, 1))[0] for row in shares])
        assert ((counts - 128) ** 2 / 128).sum() < 80  # chi square of 45 degrees of freedom: 80 at 0.1 %
        # Not more even than chance, as a Sobol net is: then no bound would follow.
        assert ((counts - 128) ** 2 / 128).sum() > 20


def test_points_are_no_ones_but_the_certificates() -> None:
    asked: list[FloatArray] = []
    judge_regions(ramp(asked), BOXES)
    judge_regions(ramp(asked), BOXES, judge=Judge(seed=1))
    columns = [points[:, 0] for points in asked]
    assert len(columns) == 4  # of the judge, of its certificate, and again with another seed
    assert len(np.unique(np.concatenate(columns))) == sum(map(len, columns))


def test_certificates_do_not_depend_on_batch_or_order() -> None:
    stack, rows = Stack([ramp(name="a"), ramp(name="b")]), [2, 0, 1, 0, 2]
    together = certify(stack, BOXES[rows], MeanGoal(), [0, 1, 0, 0, 1])
    for place, (row, member) in enumerate(zip(rows, [0, 1, 0, 0, 1], strict=True)):
        alone = certify(stack, BOXES[row], MeanGoal(), [member])
        assert alone.goal_lower[0] == together.goal_lower[place]
    assert together.goal_lower[1] != together.goal_lower[3]  # the same region of another member
    assert np.array_equal(certify(ramp(), BOXES, MeanGoal()).goal_lower, certify(ramp(), BOXES, MeanGoal()).goal_lower)
    assert not np.array_equal(
        certify(ramp(), BOXES, MeanGoal(), seed=1).goal_lower, certify(ramp(), BOXES, MeanGoal()).goal_lower
    )


def test_nan_counts_as_the_worst_score_of_a_function_and_of_its_complement() -> None:
    holes = CallableFunction(SPACE, lambda theta: np.where(theta[:, 0] < 180, 0.8, np.nan), name="holes")
    for function, rest in ((holes, 0.4), (Complement(holes), 0.1)):
        found = certify(function, Regions.whole(SPACE), MeanGoal(), points=4096)
        assert found.goal_lower[0] == pytest.approx(rest, abs=0.03)


def test_a_judge_certifies_each_region_by_the_scores_of_its_own_member() -> None:
    low = CallableFunction(SPACE, lambda theta: np.full(len(theta), 0.2))
    high = CallableFunction(SPACE, lambda theta: np.full(len(theta), 0.9))
    regions = Regions.whole(SPACE, 2)
    found = judge_regions(Stack([low, high]), regions, [1, 0], Judge(MeanGoal(0.5)))
    assert found.certified.tolist() == [True, False]
    assert found.judge_queries.tolist() == [64, 64]
    assert found.certificate_queries.tolist() == [64, 64]


def test_no_points_certify_nothing_and_no_regions_are_no_work() -> None:
    judged = judge_regions(ramp(), BOXES, judge=Judge(MeanGoal(0.99), certificate_points=0))
    assert judged.feasible.any()
    assert not judged.certified.any()
    assert judged.goal_lower.tolist() == [0.0] * 3
    assert not judged.certificate_queries.any()
    assert len(certify(ramp(), BOXES[:0], MeanGoal()).certified) == 0


@pytest.mark.parametrize(
    "wrong", [{"points": -1}, {"points": 2**21}, {"level": 0.0}, {"level": 1.0}, {"level": np.nan}, {"seed": -1}]
)
def test_what_makes_no_certificate_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidParameterError, match=r"certificate points|confidence|0 or above"):
        certify(ramp(), BOXES, MeanGoal(), **wrong)  # type: ignore[arg-type]  # numbers of either kind
    names = {"points": "certificate_points", "level": "confidence", "seed": "seed"}
    with pytest.raises(InvalidParameterError):
        Judge(**{names[name]: value for name, value in wrong.items()})  # type: ignore[arg-type]
