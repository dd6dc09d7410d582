"""Nested boxes that surely meet a goal."""

from __future__ import annotations

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError, OutOfSpaceError
from semrob_env.functions import CallableFunction
from semrob_env.ground_truth import exact_moments
from semrob_env.metrics import certify_by_points, reach, shrink
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Goal, MeanGoal, ReliabilityGoal
from semrob_env.regions import Regions
from semrob_env.synthetic import make_synthetic
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
GOAL = ReliabilityGoal(0.5, 0.9)


def good_within(azimuth: float, elevation: float) -> CallableFunction:
    """1 near the view (0, 40), 0 elsewhere."""

    def scores(theta: FloatArray) -> FloatArray:
        turned = (theta[:, 0] + 180) % 360 - 180
        return ((np.abs(turned) < azimuth) & (np.abs(theta[:, 1] - 40) < elevation)).astype(float)

    return CallableFunction(SPACE, scores, name=f"good within {azimuth} {elevation}")


def test_the_largest_nested_box_that_surely_meets_the_goal_is_offered() -> None:
    region = Regions(SPACE, np.array([[300.0, 20.0]]), np.array([[420.0, 60.0]]))  # across the seam
    # The box of 0.6 of its volume reaches 46 degrees far, the one of 0.4 not 38.
    found = shrink(good_within(40, 40), region, (0.0, 40.0), GOAL)
    assert (found.volume[0], found.certified[0]) == (0.4, True)
    assert found.regions.contains(np.array([[0.0, 40.0]])).all()
    assert found.regions.width[0] == pytest.approx(np.array([120, 40]) * 0.4**0.5)
    assert found.regions.center[0] == pytest.approx([0, 40])
    assert found.goal_lower[0] >= 0.9
    assert found.queries[0] == 4 * 128
    assert (found.tried[0, :3] < 0.9).all()
    assert found.tried[0, 3] == found.goal_lower[0]
    assert np.isnan(found.tried[0, 4])
    certificate = certify_by_points(good_within(40, 40), found.regions, GOAL, points=128, level=0.99)
    assert certificate.goal_lower[0] == found.goal_lower[0]


def test_what_is_sure_as_it_is_stays_as_it_is_and_what_is_hopeless_becomes_its_start_point() -> None:
    region = Regions(SPACE, np.array([[340.0, 20.0]]), np.array([[380.0, 60.0]]))
    sure = shrink(good_within(90, 90), region, (10.0, 30.0), GOAL)
    assert sure.regions == region
    assert (sure.volume[0], sure.queries[0]) == (1.0, 128)
    hopeless = shrink(good_within(0, 0), region, (10.0, 30.0), GOAL)
    assert (hopeless.volume[0], hopeless.certified[0], hopeless.goal_lower[0]) == (0.0, False, 0.0)
    assert hopeless.regions == Regions(SPACE, np.array([[10.0, 30.0]]), np.array([[10.0, 30.0]]))
    assert hopeless.queries[0] == 5 * 128


def test_a_full_turn_shrinks_to_both_sides_of_its_start_point_wherever_it_begins() -> None:
    for begin in (0.0, 30.0, 200.0):
        region = Regions(SPACE, np.array([[begin, 20.0]]), np.array([[begin + 360.0, 60.0]]))
        found = shrink(good_within(130, 90), region, (30.0, 40.0), GOAL)
        assert found.certified[0]
        assert reach(found.regions, (30.0, 40.0)).sides[0] == pytest.approx(np.full(2, 0.5 * found.volume[0] ** 0.5))


def test_all_boxes_together_are_wrong_as_seldom_as_they_say() -> None:
    """Where every box is just short of the goal, any answer is wrong; at its full level each, one in eight would be."""

    def noise(theta: FloatArray) -> FloatArray:
        return np.asarray(np.abs(np.sin(theta @ [12.9898, 78.233])) * 43758.5453 % 1 < 0.895, dtype=np.float64)

    function, count = CallableFunction(SPACE, noise, name="noise"), 2000
    rng = np.random.default_rng(0)
    regions = Regions.around(SPACE, SPACE.sample(count, rng), rng.uniform(20, 80, (count, 2)))
    wrong = shrink(function, regions, regions.center, GOAL, points=128).certified.mean()
    assert 0.005 < wrong <= 0.05 + 3 * (0.05 * 0.95 / count) ** 0.5
    loose = [shrink(function, regions, regions.center, GOAL, points=128, level=0.75).certified.mean()]
    assert loose[0] > 0.08, "or the level says nothing"


@pytest.mark.parametrize("goal", [MeanGoal(0.4), MeanGoal(0.4, 0.15), GOAL], ids=str)
def test_offered_boxes_meet_the_goal_lie_inside_and_hold_the_start_point(goal: Goal) -> None:
    hill = make_synthetic("synthetic:seam?n=2&seed=1")
    rng = np.random.default_rng(0)
    regions = Regions.around(SPACE, np.tile(hill.plateau.center, (300, 1)), rng.uniform(10, 90, (300, 2)))
    start = Regions.around(SPACE, hill.plateau.center, 8.0).sample(300, [rng])[0]
    found = shrink(hill, regions, start, goal)
    assert found.regions.contains(start).all()
    assert found.regions.share() == pytest.approx(found.volume * regions.share())
    assert 0.05 < found.certified.mean() < 1
    met = goal.is_met(*exact_moments(hill, found.regions, goal=goal))
    assert (found.certified & ~met).mean() <= 0.05
    assert len(set(found.volume[found.certified].tolist())) >= 3
    alone = shrink(hill, regions[7], start[7], goal)
    assert (alone.volume[0], alone.goal_lower[0]) == (found.volume[7], found.goal_lower[7])


@pytest.mark.parametrize("volumes", [(), (0.5, 0.8), (0.5, 0.5), (1.1, 0.5), (0.5, 0.0), (float("nan"),)])
def test_volumes_that_make_no_sequence_are_refused(volumes: tuple[float, ...]) -> None:
    with pytest.raises(InvalidParameterError, match="volumes"):
        shrink(good_within(9, 9), Regions.whole(SPACE), (0.0, 40.0), GOAL, volumes=volumes)


def test_a_start_point_outside_the_space_is_refused_and_one_outside_the_region_counts_as_the_nearest() -> None:
    region = Regions(SPACE, np.array([[340.0, 20.0]]), np.array([[380.0, 60.0]]))
    with pytest.raises(OutOfSpaceError):
        shrink(good_within(9, 9), region, (0.0, 99.0), GOAL)
    found = shrink(good_within(90, 90), region, (0.0, 70.0), GOAL, volumes=(0.25,))
    assert found.regions.upper[0, 1] == 60.0
