"""Points that are unlike each other."""

from __future__ import annotations

import numpy as np
import pytest

from semrob_env import SemanticSpace
from semrob_env.errors import InvalidParameterError
from semrob_env.metrics import distances, distinct

SPACE = SemanticSpace.of("azimuth,elevation")


def test_distances_are_shares_of_the_range_the_short_way_round() -> None:
    np.testing.assert_allclose(distances(SPACE, [[350.0, 0.0], [180.0, 0.0]], [10.0, 0.0]), [20 / 360, 170 / 360])
    assert distances(SPACE, [0.0, -10.0], [0.0, 90.0]) == 1.0


def test_azimuths_are_one_direction_where_the_camera_or_the_light_is_straight_above() -> None:
    space = SemanticSpace.of("azimuth,elevation,light_azimuth,light_elevation")
    camera, light = distances(space, [[0, 90, 0, 0], [0, 0, 0, 90]], [[180, 90, 0, 0], [0, 0, 180, 90]])
    assert max(camera, light) < 1e-6
    theta = space.sample(50, np.random.default_rng(0))
    theta[:, 3] = theta[:, 2] = 0.0
    other = theta.copy()
    other[:, 0] += np.linspace(-180, 180, 50)  # at one elevation: the angle between the two directions
    across, up = np.radians(theta[:, :2].T), np.radians(other[:, 0])
    directions = [
        np.stack([np.cos(across[1]) * np.cos(azimuth), np.cos(across[1]) * np.sin(azimuth), np.sin(across[1])], axis=1)
        for azimuth in (across[0], up)
    ]
    angle = np.degrees(np.arccos(np.sum(directions[0] * directions[1], axis=1).clip(-1, 1)))
    np.testing.assert_allclose(distances(space, theta, space.project(other)), angle / 360, atol=1e-6)
    assert len(distinct(SPACE, [[azimuth, 85.0] for azimuth in range(0, 360, 30)], count=9)) == 1


def test_neighbors_of_a_chosen_point_are_left_out_across_the_seam_too() -> None:
    ranked = [[355.0, 0.0], [5.0, 0.0], [180.0, 0.0], [175.0, 2.0], [355.0, 80.0]]
    assert distinct(SPACE, ranked, count=9).tolist() == [0, 2, 4]
    assert distinct(SPACE, ranked, count=2).tolist() == [0, 2]
    assert distinct(SPACE, ranked, count=9, least=0.0).tolist() == [0, 1, 2, 3, 4]


def test_all_that_are_left_out_are_near_one_that_is_chosen() -> None:
    theta = SPACE.sample(200, np.random.default_rng(0))
    chosen = distinct(SPACE, theta, count=200, least=0.2)
    apart = distances(SPACE, theta[:, None], theta[None, chosen])
    assert (apart.min(axis=1) < 0.2).all()
    own = apart[chosen]
    assert own[~np.eye(len(chosen), dtype=bool)].min() >= 0.2


def test_bad_numbers_are_told() -> None:
    for options in ({"count": 0}, {"count": 1, "least": 1.5}):
        with pytest.raises(InvalidParameterError, match="at least 1, and a distance from 0 to 1"):
            distinct(SPACE, [[0.0, 0.0]], **options)
