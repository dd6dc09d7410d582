"""Robust training: whose shapes and views it trains on, that arms differ in their pictures alone, and what is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from baselines.commands.work.robust_training import QUICK, conclusion, interval
from baselines.failing import failing_regions, failing_views
from baselines.robust_training import (
    ARMS,
    MAP_BINS,
    MEASURES,
    Study,
    accuracy_map,
    pictures,
    right,
    scene_function,
    scores,
    shapes_of,
    small_network,
    student_interval,
    train,
    trial,
)
from semrob_env.errors import InvalidParameterError
from semrob_env.parameters import SemanticSpace


@pytest.mark.slow
def test_a_tiny_trial_has_the_right_mechanics_and_can_be_had_again() -> None:
    record = trial(QUICK, 0)
    assert record == trial(QUICK, 0)
    arms = record["arms"]
    assert list(arms) == list(ARMS)
    for own in arms.values():
        assert all(0 <= own[name] <= 1 for name in MEASURES)
        found, views = np.array(own["map"])
        assert views.shape == MAP_BINS
        assert (found <= views).all()
        assert views.sum() == len(record["held_out_shapes"]) * QUICK.test_views
        assert found.sum() == pytest.approx(own["whole"] * views.sum())
    assert arms["none"]["added"] == arms["none"]["bill"] == 0
    assert 0 < arms["regions"]["added"] == arms["random"]["added"]
    assert arms["regions"]["failing"] == arms["regions"]["added"], "each of them fails"
    assert arms["mined"]["failing"] == arms["mined"]["added"] <= arms["regions"]["added"]
    assert arms["random"]["failing"] < arms["random"]["added"]
    assert arms["random_same_bill"]["bill"] == arms["regions"]["bill"] > arms["regions"]["added"]
    assert not set(record["training_shapes"]) & set(record["held_out_shapes"])


def test_no_shape_is_in_two_trials_or_on_both_sides() -> None:
    names = [name for seed in range(3) for shapes in shapes_of(QUICK, seed) for name in shapes.names]
    assert len(names) == len(set(names)) == 3 * 4
    training, held_out = shapes_of(QUICK, 0)
    assert {mesh.digest for mesh in training.meshes}.isdisjoint({mesh.digest for mesh in held_out.meshes})


def test_views_of_failing_regions_fail_for_the_very_network() -> None:
    training, _ = shapes_of(QUICK, 1)
    network = small_network(2, torch.Generator().manual_seed(0)).eval()  # knows nothing, so that much fails
    function = scene_function(QUICK, network, training)
    found = failing_regions(function, [0, 1], most=1, budget=8)
    views = [
        failing_views(function, member, own.regions, 8, f"{member}".encode())[0] for member, own in enumerate(found)
    ]
    data = pictures(training, views, QUICK.space.names, QUICK.size)
    assert len(data) >= 8
    assert (scores(network, data) < 0.5).all()
    assert not right(network, data).any(), "of two classes, below one half is wrong"
    for place, own in enumerate(found):
        inside = np.array([own.regions.contains(theta).any() for theta in data.theta[data.shape == place]])
        assert inside.all()


def test_training_learns_and_is_the_same_again() -> None:
    training, _ = shapes_of(QUICK, 0)
    space = QUICK.ordinary_space
    views = [space.sample(16, np.random.default_rng(place)) for place in range(2)]
    data = pictures(training, views, space.names, QUICK.size)
    made = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(3)
        network = small_network(2, generator)
        train(network, data, 25, generator)
        made.append(network)
    assert right(made[0], data).mean() > 0.9
    for one, other in zip(made[0].state_dict().values(), made[1].state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_the_map_counts_right_views_where_they_are() -> None:
    space = SemanticSpace.of("azimuth,elevation")
    theta = np.array([[0.0, -10.0], [359.0, 90.0], [359.5, 89.0]])
    right_views, views = accuracy_map(space, theta, np.array([True, False, True]))
    assert (views[0, 0], views[-1, -1], views.sum()) == (1, 2, 3)
    assert (right_views[0, 0], right_views[-1, -1], right_views.sum()) == (1, 1, 2)


def test_intervals_are_those_of_student() -> None:
    values = np.array([0.1, 0.4, 0.2, 0.35, 0.3])
    mean, low, high = student_interval(values)
    expected = scipy.stats.t.interval(0.95, 4, values.mean(), scipy.stats.sem(values))
    assert (mean, low, high) == pytest.approx((values.mean(), *expected))
    assert np.isnan(student_interval([0.5])[1])
    assert interval([1.0, 0.9]) == "95.0 (31.5 to 100.0)", "cut to what is possible"


def test_the_conclusion_is_what_the_paired_differences_say() -> None:
    def numbers(regions: list[float], random: list[float]) -> dict[str, Any]:
        zeros = [0.0] * len(regions)
        return {"whole": {**dict.fromkeys(ARMS, zeros), "regions": regions, "random": random}}

    spread = [0.5, 0.6, 0.7, 0.8, 0.9]
    better = conclusion(numbers([one + 0.05 for one in spread], spread), 5).splitlines()[0]
    assert better.startswith("Views of failing regions buy more (+5.0 points, +5.0 to +5.0) than random views")
    worse = conclusion(numbers([one - 0.05 for one in spread], spread), 5).splitlines()[0]
    assert worse.startswith("Views of failing regions buy less (-5.0 points")
    open_ = conclusion(numbers(spread[::-1], spread), 5).splitlines()[0]
    assert "are not proved to buy more or less (+0.0 points" in open_
    assert "too few" in conclusion(numbers(spread[:2], spread[:2]), 2)


@pytest.mark.parametrize(
    "changes", [{"classes": ("cup",)}, {"added": 0}, {"ordinary": "elevation[0:30]"}, {"held_out": 501}]
)
def test_a_study_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        Study(**changes)
