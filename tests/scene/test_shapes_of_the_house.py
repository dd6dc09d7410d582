"""What bathtubs, toilets and vases are, beyond what holds for every procedural shape."""

from __future__ import annotations

import numpy as np
import pytest

from semrob_env.scene.shapes import bathtub, toilet, vase

EAR_SEGMENTS = 48


@pytest.mark.parametrize("seed", range(9))
def test_a_bathtub_is_long_in_x_and_open_at_its_top(seed: int) -> None:
    points = bathtub.BATHTUB(seed).vertices
    assert np.ptp(points, axis=0).argmax() == 0
    middle = (np.abs(points[:, 0]) < 0.3) & (np.abs(points[:, 2]) < 0.2)
    assert middle.any()
    assert points[middle, 1].max() < np.median(points[:, 1])


@pytest.mark.parametrize("seed", range(10))
def test_legs_of_a_bathtub_stay_below_its_floor(seed: int) -> None:
    tub, _, drain, *rest = bathtub.roll_top(np.random.default_rng(seed))
    legs = [part for part in rest if part.vertices[:, 1].max() < 0.3]
    assert len(legs) == 8
    floor = float(np.unique(tub.vertices[-1, 1])[0])
    assert max(float(part.vertices[:, 1].max()) for part in legs) < floor
    assert drain.vertices[:, 1].min() < floor < drain.vertices[:, 1].max()


@pytest.mark.parametrize("seed", range(9))
def test_a_toilet_points_its_bowl_to_the_camera_at_azimuth_zero(seed: int) -> None:
    points = toilet.TOILET(seed).vertices
    if seed % 3 == 2:  # no cistern: the lid is on top, longer ahead of its widest place than behind it
        points = points[points[:, 1] > 0.8]
        assert points[np.abs(points[:, 0]).argmax(), 2] > np.mean([points[:, 2].min(), points[:, 2].max()]) + 0.05
    else:
        assert points[points[:, 1] > 0.5, 2].mean() > points[points[:, 1] < 0.0, 2].mean() + 0.2


@pytest.mark.parametrize("seed", range(10))
def test_a_lid_that_is_up_does_not_reach_into_the_cistern(seed: int) -> None:
    _, _, lid, _, _, tank, cover, *_ = toilet.lid_up(np.random.default_rng(seed))
    assert lid.vertices[:, 2].max() < min(tank.vertices[:, 2].min(), cover.vertices[:, 2].min())


@pytest.mark.parametrize("seed", range(8))
def test_a_vase_is_hollow_down_to_its_floor(seed: int) -> None:
    mesh = vase.VASE(seed)
    on_axis = (np.abs(mesh.vertices[:, 0]) < 0.1) & (np.abs(mesh.vertices[:, 2]) < 0.05)
    assert on_axis.any()
    assert mesh.vertices[on_axis, 1].max() < -0.5


@pytest.mark.parametrize("seed", range(10))
def test_an_ear_ends_inside_the_wall_of_its_vase(seed: int) -> None:
    pot, ear, _ = vase.eared(np.random.default_rng(seed))
    profile = pot.vertices[:-2:EAR_SEGMENTS, :2]  # one meridian, without the centres of both ends
    lip = profile[:, 1].argmax()
    outside, inside = profile[:lip], profile[lip + 1 :][::-1]
    distance, height = np.linalg.norm(ear.vertices[:, [0, 2]], axis=1), ear.vertices[:, 1]
    assert (distance > np.interp(height, inside[:, 1], inside[:, 0])).all()
    buried = distance < np.interp(height, outside[:, 1], outside[:, 0])
    assert buried[height > np.median(height)].sum() >= 9
    assert buried[height < np.median(height)].sum() >= 9
