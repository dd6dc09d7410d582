from __future__ import annotations

import numpy as np
import pytest

from semrob_env.scene.shapes.aeroplane import AEROPLANE
from semrob_env.scene.shapes.bench import BENCH
from semrob_env.scene.shapes.kit import plate
from semrob_env.scene.shapes.rifle import RIFLE

SEEDS = range(9)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_back_of_a_bench_is_away_from_the_camera_at_azimuth_zero(seed: int) -> None:
    points = BENCH(seed).vertices
    upper, lower = points[points[:, 1] > 0.7 * points[:, 1].max()], points[points[:, 1] < 0.0]
    assert upper[:, 2].min() > lower[:, 2].mean()
    assert np.ptp(points[:, 0]) == pytest.approx(2.0)  # the long side runs from left to right


@pytest.mark.parametrize("seed", SEEDS)
def test_an_aeroplane_is_symmetric_and_its_fin_is_away_from_the_camera_at_azimuth_zero(seed: int) -> None:
    points = AEROPLANE(seed).vertices
    assert points[points[:, 1].argmax(), 2] > 0.5
    assert abs(points[points[:, 2].argmin(), 0]) < 0.05  # the nose is in the middle
    left, right = (np.sort(side * points[:, 0]) for side in (-1.0, 1.0))
    np.testing.assert_allclose(left, right, atol=1e-7)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_muzzle_of_a_rifle_points_to_the_camera_at_azimuth_zero(seed: int) -> None:
    points = RIFLE(seed).vertices
    assert np.ptp(points[:, 2]) == pytest.approx(2.0)
    muzzle, butt = points[points[:, 2] < -0.93], points[points[:, 2] > 0.93]
    assert 1.5 * np.ptp(muzzle[:, 1]) < np.ptp(butt[:, 1])


def test_a_plate_loses_a_chamfer_along_both_edges() -> None:
    square = np.array([(0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (0.0, 1.0)])

    def volume(bevel: float) -> float:
        solid = plate(square, 0.5, bevel=bevel)
        np.testing.assert_allclose(np.abs(solid.vertices).max(axis=0), [0.25, 1.0, 2.0])  # thickness, y, z
        corners = solid.vertices[solid.faces]
        return float(np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))) / 6.0

    assert volume(0.0) == pytest.approx(1.0)
    # Each edge loses a frustum of height 0.1 between 2 x 1 and 1.8 x 0.8, by the prismoidal formula.
    assert volume(0.1) == pytest.approx(1.0 - 2 * (0.2 - 0.1 / 6 * (2.0 + 4 * 1.9 * 0.9 + 1.44)))
