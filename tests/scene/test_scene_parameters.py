"""Every scene parameter in pictures: its default, its sense, its derivative, and the ends where it is special."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from semrob_env.parameters import NAMED_SPACES, PAPER_STARTS, PARAMETERS, SemanticSpace
from semrob_env.scene.camera import SCENE_PARAMETERS, Scenes
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.renderers.base import SURROUNDINGS
from semrob_env.scene.shapes import make_shape
from semrob_env.types import Float32Array, FloatArray

NAMES = [name for name in SCENE_PARAMETERS if name not in SURROUNDINGS]
"""What a plain renderer draws: the object, its light and the color behind it."""

SIZE = 96
PLAIN = Rasterizer(SIZE)
SIDES = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.9, 0.9, 0.1], [0.1, 0.9, 0.9], [0.9, 0.1, 0.9]])
"""Colours of the sides -x, +x, -y, +y, -z, +z."""


def box(half: tuple[float, float, float] = (0.5, 0.5, 0.5), *, colors: bool = False) -> Mesh:
    corners = np.array([[(-1, 1)[i >> k & 1] * half[k] for k in range(3)] for i in range(8)], dtype=np.float64)
    quads = [(0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3), (0, 2, 3, 1), (4, 5, 7, 6)]
    faces = np.array([[q[0], q[i], q[i + 1]] for q in quads for i in (1, 2)], dtype=np.int32)
    return Mesh(corners, faces, np.repeat(SIDES, 2, axis=0).astype(np.float32) if colors else None)


def bowl() -> Mesh:
    """Part of a sphere of many small faces, whose shades change little from one to the next, beside the axis."""
    i, j = np.meshgrid(np.arange(25), np.arange(48), indexing="ij")
    u, v = np.pi * i / 30 + 0.2, 2 * np.pi * j / 48
    points = 0.7 * np.stack([np.sin(u) * np.cos(v), np.cos(u), np.sin(u) * np.sin(v)], axis=-1).reshape(-1, 3)
    a, b = (i * 48 + j)[:-1].ravel(), (i * 48 + (j + 1) % 48)[:-1].ravel()
    faces = np.concatenate([np.stack([a, b, a + 48], axis=1), np.stack([b, b + 48, a + 48], axis=1)])
    return Mesh(points + np.array([0.2, 0.0, 0.1]), faces.astype(np.int32))


def image(mesh: Mesh, **values: float) -> Float32Array:
    scenes = Scenes.from_parameters({"azimuth": [0.0]} | {key: [value] for key, value in values.items()})
    return np.asarray(PLAIN.render(mesh, scenes)[0])


def center(mesh: Mesh, **values: float) -> FloatArray:
    """Colour of the pixel in the middle."""
    return image(mesh, **values)[:, SIZE // 2, SIZE // 2].astype(np.float64)


def place(mesh: Mesh, **values: float) -> tuple[float, float, float]:
    """Area in pixels and centre (right, up) in shares of half the picture, of a mesh in full ambient light."""
    shown = image(mesh, ambient=1.0, directional=0.0, **values)[0].astype(np.float64)
    at = (np.arange(SIZE) + 0.5) / (SIZE / 2) - 1
    area = float(shown.sum())
    return area, float((shown.sum(axis=0) * at).sum() / area), float(-(shown.sum(axis=1) * at).sum() / area)


@pytest.mark.parametrize("names", [*NAMED_SPACES, *NAMES, ",".join(NAMES)])
def test_the_defaults_of_a_space_show_the_papers_image_to_the_byte(names: str) -> None:
    space, mesh = SemanticSpace.of(names), make_shape("cup", 3)
    named = dict(zip(space.names, space.default[:, None], strict=True)) | {"azimuth": [50.0], "elevation": [20.0]}
    expected = PLAIN.render_with_derivatives(mesh, Scenes(np.array([50.0]), np.array([20.0])), ["azimuth", "elevation"])
    shown = PLAIN.render_with_derivatives(mesh, Scenes.from_parameters(named), ["azimuth", "elevation"])
    assert [part.tobytes() for part in shown] == [part.tobytes() for part in expected]


@pytest.mark.parametrize(("azimuth", "side"), [(0, 4), (90, 1), (180, 5), (270, 0)])
def test_azimuth_90_shows_the_side_of_plus_x(azimuth: float, side: int) -> None:
    assert center(box(colors=True), azimuth=azimuth) == pytest.approx(0.5 * SIDES[side], abs=1e-6)


def test_elevation_90_shows_the_top_and_minus_10_a_little_of_the_bottom() -> None:
    assert center(box(colors=True), elevation=90.0) == pytest.approx(SIDES[3], abs=1e-6)
    below = image(box((0.5, 0.1, 0.5), colors=True), elevation=-10.0)
    assert (np.abs(below - 0.5 * SIDES[2][:, None, None]).max(axis=0) < 1e-3).sum() > 20


def test_a_camera_twice_as_far_shows_a_quarter_of_the_area() -> None:
    plate = box((0.5, 0.5, 1e-6))
    assert place(plate, distance=5.0)[0] == pytest.approx(place(plate, distance=2.5)[0] / 4, rel=1e-3)


def test_the_area_falls_with_the_square_of_the_tangent_of_half_the_field_of_view() -> None:
    plate = box((0.5, 0.5, 1e-6))
    ratio = (np.tan(np.deg2rad(22.5)) / np.tan(np.deg2rad(40.0))) ** 2
    assert place(plate, field_of_view=80.0)[0] == pytest.approx(ratio * place(plate, field_of_view=45.0)[0], rel=5e-3)


def test_roll_turns_the_image_clockwise() -> None:
    pole = Mesh(box((0.1, 0.3, 0.1)).vertices + np.array([0.0, 0.5, 0.0]), box().faces)
    _, right, up = place(pole)
    assert up > 0.2
    assert right == pytest.approx(0.0, abs=1e-6)
    _, right, up = place(pole, roll=90.0)
    assert right > 0.2
    assert up == pytest.approx(0.0, abs=1e-6)
    assert place(pole, roll=-90.0)[1] < -0.2
    assert place(pole, roll=20.0, azimuth=200.0)[1] > 0.05


@pytest.mark.parametrize("view", [{}, {"azimuth": 200.0, "roll": 70.0}, {"elevation": 90.0, "roll": 180.0}])
def test_shifts_move_the_object_right_and_up_in_every_view(view: dict[str, float]) -> None:
    ball = Mesh(bowl().vertices * 0.2, bowl().faces)
    _, right, up = place(ball, **view)
    unit = 2.732 * np.tan(np.pi / 6)
    assert place(ball, shift_x=0.3, **view)[1] - right == pytest.approx(0.3 / unit, rel=0.02)
    assert place(ball, shift_x=0.3, **view)[2] == pytest.approx(up, abs=0.01)
    assert place(ball, shift_y=0.3, **view)[2] - up == pytest.approx(0.3 / unit, rel=0.02)
    assert place(ball, shift_y=0.3, **view)[1] == pytest.approx(right, abs=0.01)


@pytest.mark.parametrize("azimuth", [0.0, 90.0, 180.0, 270.0])
def test_light_brightens_the_faces_that_look_towards_it(azimuth: float) -> None:
    light = {"light_azimuth": 90.0, "light_elevation": 0.0}  # from +x
    shade = center(box(), azimuth=azimuth, **light)
    assert shade == pytest.approx(np.full(3, 1.0 if azimuth == 90.0 else 0.5), abs=1e-6)


def test_a_higher_light_shines_more_on_the_top_and_less_on_the_side() -> None:
    for elevation in (0.0, 30.0, 60.0, 90.0):
        light = {"light_azimuth": 90.0, "light_elevation": elevation}
        height = np.deg2rad(elevation)
        assert center(box(), elevation=90.0, **light)[0] == pytest.approx(0.5 + 0.5 * np.sin(height), abs=1e-6)
        assert center(box(), azimuth=90.0, **light)[0] == pytest.approx(0.5 + 0.5 * np.cos(height), abs=1e-6)


def test_light_along_the_view_lights_what_is_seen_and_has_finite_derivatives() -> None:
    scenes = Scenes.from_parameters({
        "azimuth": [90.0, 35.0],
        "elevation": [0.0, 90.0],
        "light_azimuth": [90.0, 0.0],
        "light_elevation": [0.0, 90.0],
    })
    images, derivatives = PLAIN.render_with_derivatives(box(), scenes, NAMES)
    assert images[:, 0, SIZE // 2, SIZE // 2] == pytest.approx([1.0, 1.0])
    assert np.isfinite(derivatives).all()


def test_intensities_albedo_and_background_are_what_they_say() -> None:
    lit = {"elevation": 90.0, "ambient": 0.2, "directional": 0.3}
    assert center(box(), **lit) == pytest.approx(np.full(3, 0.5), abs=1e-6)
    assert center(box(), azimuth=0.0, ambient=0.2, directional=0.3) == pytest.approx(np.full(3, 0.2), abs=1e-6)
    tints = {"albedo_r": 0.5, "albedo_g": 0.2, "albedo_b": 1.0}
    assert center(box(), **lit, **tints) == pytest.approx([0.25, 0.1, 0.5], abs=1e-6)
    assert center(box(colors=True), **lit, **tints) == pytest.approx(0.5 * SIDES[3] * [0.5, 0.2, 1.0], abs=1e-6)
    behind = {"background_r": 0.7, "background_g": 0.1, "background_b": 0.4}
    assert image(box(), **behind)[:, 0, 0] == pytest.approx([0.7, 0.1, 0.4])
    assert center(box(), **behind) == pytest.approx(center(box()))


GENERIC = {
    "azimuth": 25.0,
    "elevation": 35.0,
    "distance": 2.6,
    "roll": 20.0,
    "field_of_view": 58.0,
    "shift_x": 0.05,
    "shift_y": -0.1,
    "light_azimuth": 310.0,
    "light_elevation": 40.0,
    "directional": 0.4,
    "ambient": 0.3,
    **{f"albedo_{key}": value for key, value in zip("rgb", (0.9, 0.5, 0.3), strict=True)},
    **{f"background_{key}": value for key, value in zip("rgb", (0.1, 0.3, 0.7), strict=True)},
}
STEPS = {"deg": 0.1, "half sides": 0.002, "": 0.01}
CAMERA = ("azimuth", "elevation", "distance", "roll", "field_of_view", "shift_x", "shift_y")


def derivative_and_difference(renderer: Rasterizer, name: str) -> tuple[FloatArray, FloatArray]:
    def scenes(by: float) -> Scenes:
        return Scenes.from_parameters({key: [value + by * (key == name)] for key, value in GENERIC.items()})

    step = STEPS[PARAMETERS[name].unit]
    high, low = (renderer.render(bowl(), scenes(by)).astype(np.float64) for by in (step, -step))
    _, derivatives = renderer.render_with_derivatives(bowl(), scenes(0.0), [name])
    return derivatives[:, 0].astype(np.float64), (high - low) / (2 * step)


@pytest.mark.parametrize("name", CAMERA)
def test_derivatives_in_the_camera_agree_with_differences_of_smooth_images(name: str) -> None:
    derivative, difference = derivative_and_difference(Rasterizer(SIZE, supersample=4, blur=1.0), name)
    norms = np.linalg.norm(derivative), np.linalg.norm(difference)
    assert (derivative * difference).sum() / (norms[0] * norms[1]) > 0.99
    assert norms[0] == pytest.approx(norms[1], rel=0.03)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CAMERA])
def test_derivatives_in_light_and_colors_agree_with_differences_of_the_plain_image(name: str) -> None:
    derivative, difference = derivative_and_difference(PLAIN, name)
    assert np.abs(difference).max() > 1e-3
    # What is left: faces that pass the edge of the light, and steps of colour that become worth smoothing.
    assert np.linalg.norm(derivative - difference) < 0.05 * np.linalg.norm(difference)


def test_a_color_above_1_shows_as_1_without_a_slope() -> None:
    scenes = Scenes.from_parameters({"elevation": [90.0, 90.0], "ambient": [0.9, 0.5], "directional": [0.5, 0.5]})
    images, derivatives = PLAIN.render_with_derivatives(box(), scenes, ["ambient", "directional"])
    middle = (..., 0, SIZE // 2, SIZE // 2)
    assert images[middle].tolist() == [1.0, 1.0]
    assert derivatives[middle].tolist() == [[0.0, 0.0], [1.0, 1.0]]  # exactly 1 counts as below


def test_straight_above_walls_have_no_slope_in_the_height_of_the_light_whatever_its_rounding() -> None:
    scenes = Scenes.from_parameters({"azimuth": np.arange(0.0, 360.0, 15.0)})
    cylinder = make_shape("cup", 0)
    walls = np.abs(np.cross(*np.moveaxis(np.diff(cylinder.vertices[cylinder.faces], axis=1), 1, 0))[:, 1]) < 1e-12
    upright = Mesh(cylinder.vertices, cylinder.faces[walls])
    _, derivatives = PLAIN.render_with_derivatives(upright, scenes, ["light_elevation", "light_azimuth"])
    assert walls.sum() > 10
    assert not derivatives.any()


@pytest.mark.parametrize("distance", [0.5, 0.3, 0.05])
def test_a_camera_inside_the_mesh_sees_what_lies_wholly_before_it(distance: float) -> None:
    scenes = Scenes.from_parameters({"azimuth": [0.0, 30.0], "distance": [distance] * 2})
    images, derivatives = PLAIN.render_with_derivatives(box(colors=True), scenes, NAMES)
    assert np.isfinite(images).all()
    assert np.isfinite(derivatives).all()
    assert images[0, :, SIZE // 2, SIZE // 2] == pytest.approx(0.5 * SIDES[5], abs=1e-6)  # the far side, from inside


def test_no_distance_of_the_space_brings_the_camera_into_a_normalised_mesh() -> None:
    assert PARAMETERS["distance"].low > np.sqrt(3) + 0.01


def test_a_scene_has_the_same_bytes_in_any_batch_with_every_parameter_moved() -> None:
    space = SemanticSpace.of(",".join(NAMES))
    theta = space.sample(12, np.random.default_rng(0))

    def shown(rows: Sequence[int]) -> list[bytes]:
        scenes = Scenes.from_parameters(dict(zip(space.names, theta[list(rows)].T, strict=True)))
        return [
            part.tobytes()
            for part in zip(*PLAIN.render_with_derivatives(bowl(), scenes, space.names), strict=True)
            for part in part
        ]

    together = shown(range(12))
    assert shown([7]) == together[14:16]
    assert shown([11, 3]) == together[22:24] + together[6:8]


@pytest.mark.parametrize("names", NAMED_SPACES)
def test_the_papers_start_points_work_in_each_of_its_spaces(names: str) -> None:
    space = SemanticSpace.of(names)
    starts = np.array([space.point(start) for start in PAPER_STARTS if names != "paper1"])
    starts = starts if len(starts) else np.array([space.point("azimuth=130")])

    def brightness(shown: Float32Array) -> Float32Array:
        level = shown.mean(axis=(1, 2, 3))
        return np.stack([level, 1 - level], axis=1)

    classifier = BlackBoxClassifier(brightness, labels=2, size=SIZE, name="brightness")
    values = SceneFunction(classifier, [make_shape("cup", 0)], [0], space).values(starts[None])
    in_two = SemanticSpace.of("paper2")
    plain = SceneFunction(classifier, [make_shape("cup", 0)], [0], in_two)
    if names != "paper1":
        expected = plain.values(np.array([[in_two.point(start) for start in PAPER_STARTS]]))
        assert values.tobytes() == expected.tobytes()
