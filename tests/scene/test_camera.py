"""The camera: orientation, continuity and derivatives of the matrices."""

from __future__ import annotations

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError, ShapeMismatchError, UnknownNameError
from semrob_env.parameters import PARAMETERS, SemanticSpace
from semrob_env.scene.camera import SCENE_PARAMETERS, Scenes, Views
from semrob_env.scene.renderers.base import SURROUNDINGS
from semrob_env.types import FloatArray

GENERIC = {
    "azimuth": 130.0,
    "elevation": 30.0,
    "distance": 2.5,
    "roll": -25.0,
    "field_of_view": 55.0,
    "shift_x": 0.2,
    "shift_y": -0.1,
    "light_azimuth": 70.0,
    "light_elevation": 40.0,
    "directional": 0.6,
    "ambient": 0.3,
    **{f"albedo_{key}": value for key, value in zip("rgb", (0.9, 0.5, 0.2), strict=True)},
    **{f"background_{key}": value for key, value in zip("rgb", (0.1, 0.3, 0.7), strict=True)},
}
"""A value of every parameter at which nothing is zero."""


def look_at(azimuth_deg: float, elevation_deg: float, points: FloatArray) -> FloatArray:
    """Picture coordinates and depth (N, 3) of points, by a textbook look-at camera."""
    a, e = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
    eye = 2.732 * np.array([np.cos(e) * np.sin(a), np.sin(e), -np.cos(e) * np.cos(a)])
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    depth = (points - eye) @ forward
    tangent = np.tan(np.pi / 6)
    return np.stack([(points - eye) @ right / depth / tangent, (points - eye) @ up / depth / tangent, depth], axis=1)


def project(views: Views, points: FloatArray) -> FloatArray:
    """Picture coordinates and depth (B, N, 3) of points."""
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    x, y, depth = np.moveaxis(np.einsum("bij,nj->bni", views.projection, homogeneous), -1, 0)
    return np.stack([x / depth, y / depth, depth], axis=-1)


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (90, 0), (130, 30), (310, -10), (45, 89.9)])
def test_projection_is_that_of_a_look_at_camera(azimuth: float, elevation: float) -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    views = Views.of(Scenes.from_parameters({"azimuth": [azimuth], "elevation": [elevation]}))
    np.testing.assert_allclose(project(views, points)[0], look_at(azimuth, elevation, points), atol=1e-9)


def test_from_the_front_x_grows_to_the_left_and_y_upwards() -> None:
    views = Views.of(Scenes.from_parameters({"azimuth": [0.0]}))
    (x_axis, y_axis) = project(views, np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]))[0]
    assert x_axis[0] < 0
    assert x_axis[1] == 0
    assert y_axis[0] == 0
    assert y_axis[1] > 0


def test_the_view_from_straight_above_turns_continuously_with_azimuth() -> None:
    azimuth = np.arange(0.0, 360.0, 1.0)
    views = Views.of(Scenes.from_parameters({"azimuth": azimuth, "elevation": np.full(360, 90.0)}))
    assert np.isfinite(views.projection).all()
    steps = np.abs(np.diff(views.projection, axis=0, append=views.projection[:1]))
    assert steps.max() < 0.035  # a degree turns a unit vector, scaled by 1 / tan 30, by 0.030
    assert steps.max(axis=(1, 2)).min() > 0.01
    above = views.projection[0, 2]
    np.testing.assert_allclose(above, [0.0, -1.0, 0.0, 2.732], atol=1e-12)


@pytest.mark.parametrize("name", GENERIC)
def test_derivatives_agree_with_central_differences(name: str) -> None:
    step = 1e-5

    def views(offset: float) -> Views:
        values = {key: np.array([value]) for key, value in GENERIC.items()}
        values[name] = values[name] + offset
        return Views.of(Scenes.from_parameters(values), [name])

    low, middle, high = views(-step), views(0.0), views(step)
    np.testing.assert_allclose(
        middle.projection_tangents[:, 0], (high.projection - low.projection) / (2 * step), atol=1e-9
    )
    np.testing.assert_allclose(
        middle.light_tangents[:, 0], (high.light_table - low.light_table) / (2 * step), atol=1e-9
    )
    assert np.abs(middle.projection_tangents).sum() + np.abs(middle.light_tangents).sum() > 0


def test_every_parameter_is_covered_by_the_derivative_test() -> None:
    assert [*GENERIC, *SURROUNDINGS] == list(SCENE_PARAMETERS)


@pytest.mark.parametrize("names", ["paper2", "paper10", ",".join(SCENE_PARAMETERS)])
def test_matrices_of_a_scene_do_not_depend_on_its_batch(names: str) -> None:
    space = SemanticSpace.of(names)
    theta = space.sample(64, np.random.default_rng(1))

    def matrices(chosen: slice) -> Views:
        return Views.of(Scenes.from_parameters(dict(zip(space.names, theta[chosen].T, strict=True))), space.names)

    batch, few, last = matrices(slice(None)), matrices(slice(57, 64)), matrices(slice(63, 64))
    for name in ("projection", "light_table", "projection_tangents", "light_tangents"):
        assert getattr(batch, name)[57:].tobytes() == getattr(few, name).tobytes()
        assert getattr(batch, name)[63:].tobytes() == getattr(last, name).tobytes()


def test_a_scene_takes_the_paper_protocol_where_nothing_is_said() -> None:
    scenes = Scenes.from_parameters({"elevation": [10.0, 20.0]})
    assert len(scenes) == 2
    assert scenes.azimuth_deg.tolist() == [0.0, 0.0]
    assert scenes.distance.tolist() == [2.732, 2.732]
    assert scenes.field_of_view_deg.tolist() == [60.0, 60.0]
    assert scenes.light.tolist() == [[0.0, 1.0, 0.0]] * 2
    assert scenes.background.tolist() == [[0.0, 0.0, 0.0]] * 2
    assert scenes.ambient.tolist() == scenes.directional.tolist() == [0.5, 0.5]


def test_an_unknown_parameter_is_refused_with_the_known_names() -> None:
    with pytest.raises(UnknownNameError, match=r"'tilt'.*azimuth, elevation"):
        Scenes.from_parameters({"tilt": [0.0]})
    with pytest.raises(UnknownNameError, match="'tilt'"):
        Views.of(Scenes.from_parameters({"azimuth": [0.0]}), ["tilt"])


@pytest.mark.parametrize("values", [{}, {"azimuth": 0.0}, {"azimuth": [0.0], "elevation": [0.0, 1.0]}])
def test_parameters_that_are_not_one_batch_are_refused(values: dict[str, list[float]]) -> None:
    with pytest.raises(ShapeMismatchError, match=r"\(B,\)"):
        Scenes.from_parameters(values)


def test_a_field_of_another_batch_length_is_refused() -> None:
    with pytest.raises(ShapeMismatchError, match=r"albedo has shape \(3, 3\)"):
        Scenes(np.zeros(2), np.zeros(2), albedo=np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("azimuth", np.nan),
        ("light_azimuth", np.inf),
        ("distance", 0.0),
        ("distance", -1.0),
        ("field_of_view", 180.0),
        ("field_of_view", 0.0),
        ("ambient", -0.1),
        ("directional", -0.1),
        ("albedo_g", 1.1),
        ("background_b", -0.1),
    ],
)
def test_impossible_values_are_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidParameterError):
        Scenes.from_parameters({name: [value]})


def test_the_camera_knows_the_parameters_of_the_table_in_their_order() -> None:
    assert tuple(PARAMETERS)[: len(SCENE_PARAMETERS)] == SCENE_PARAMETERS


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (90, 0), (130, 30), (200, 89.9), (77, 90)])
def test_the_light_comes_from_where_a_camera_of_its_angles_stands(azimuth: float, elevation: float) -> None:
    angles = {"light_azimuth": [azimuth], "light_elevation": [elevation]}
    camera = {"azimuth": [azimuth], "elevation": [elevation], "distance": [1.0]}
    light = Scenes.from_parameters(angles).light[0]
    assert np.linalg.norm(light) == pytest.approx(1.0)
    # The unit vector towards the light is where the camera stands: all three coordinates of the picture vanish.
    in_image = Views.of(Scenes.from_parameters(camera)).projection[0] @ np.append(light, 1.0)
    assert in_image == pytest.approx(np.zeros(3), abs=1e-12)


def test_straight_above_the_azimuth_of_the_light_has_no_effect_to_the_last_bit() -> None:
    azimuth = np.linspace(0, 350, 20)
    scenes = Scenes.from_parameters({"light_azimuth": azimuth})
    assert scenes.light.tolist() == [[0.0, 1.0, 0.0]] * 20
    assert not Views.of(scenes, ["light_azimuth"]).light_tangents.any()
    assert np.abs(Views.of(scenes, ["light_elevation"]).light_tangents).max(axis=(1, 2, 3)).min() > 0.01


def test_roll_turns_clockwise_and_shifts_move_right_and_up_in_the_turned_image() -> None:
    def of_top(**values: float) -> list[float]:
        named = {"azimuth": [0.0]} | {name: [value] for name, value in values.items()}
        views = Views.of(Scenes.from_parameters(named))
        x, y, depth = project(views, np.array([[0.0, 0.5, 0.0]]))[0, 0]
        return [x * depth * np.tan(np.pi / 6), y * depth * np.tan(np.pi / 6)]

    assert of_top() == pytest.approx([0.0, 0.5], abs=1e-12)
    assert of_top(roll=90.0) == pytest.approx([0.5, 0.0], abs=1e-12)
    assert of_top(roll=30.0) == pytest.approx([0.25, 0.25 * np.sqrt(3)], abs=1e-12)
    assert of_top(roll=90.0, shift_x=0.1, shift_y=0.2) == pytest.approx([0.6, 0.2], abs=1e-12)
    assert of_top(azimuth=200.0, shift_x=0.1) == pytest.approx([0.1, 0.5], abs=1e-12)
