"""Surroundings of an object: layers against plain renders, geometry by projection, derivatives, ids, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from semrob_env.errors import (
    InvalidParameterError,
    InvalidPictureError,
    LibraryError,
    MissingFileError,
    SemrobError,
    UnknownNameError,
)
from semrob_env.functions import make_function
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.camera import Scenes, Views
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.registry import NETWORKS
from semrob_env.scene.function import SceneFunction, SceneId
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.renderers.surrounded import Backdrop, Occluder, SurroundedRenderer
from semrob_env.scene.shapes import make_shape
from semrob_env.scene.surroundings import load_backdrop
from semrob_env.types import Float32Array, FloatArray
from tests.scene.linear_classifier import LinearClassifier

SIZE = 64
VIEW = {"azimuth": 40.0, "elevation": 25.0}


def scenes_at(**values: float) -> Scenes:
    return Scenes.from_parameters({name: np.array([value]) for name, value in (VIEW | values).items()})


def smooth(height: int, width: int, seed: int = 0, *, around: bool = False) -> np.typing.NDArray[np.uint8]:
    noise = np.random.default_rng(seed).random((height, width, 3))
    soft = ndimage.gaussian_filter(noise, (6, 6, 0), mode="wrap" if around else "reflect")
    low, high = soft.min(), soft.max()
    return np.asarray(np.rint(20 + 215 * (soft - low) / (high - low)), np.uint8)


def picture(*colors: tuple[int, int, int]) -> Backdrop:
    return Backdrop(np.array([np.broadcast_to(color, (SIZE, SIZE, 3)) for color in colors], np.uint8), False, "plain")


def panorama() -> Backdrop:
    return Backdrop(smooth(100, 200, around=True)[None], True, "panorama")


def test_a_picture_of_one_color_is_the_background_of_that_color() -> None:
    """So edges, thin parts and colors of the object before a picture are those of a plain render."""
    mesh, color = make_shape("chair", 0), (51, 153, 255)
    own = scenes_at(background_r=0.2, background_g=0.6, background_b=1.0, albedo_r=0.3)
    plain = Rasterizer(SIZE, 1, 1.5).render(mesh, own)
    ours = SurroundedRenderer(Rasterizer(SIZE), backdrop=picture(color), blur=1.5).render(mesh, own)
    assert np.abs(ours - plain).max() < 2e-3  # where many thin edges add up the plain one cuts off later
    assert np.abs(ours - plain).mean() < 1e-5


def test_derivatives_before_a_picture_of_one_color_are_those_before_that_color() -> None:
    names = ("azimuth", "distance", "field_of_view", "light_azimuth", "albedo_r")
    own = scenes_at(background_r=0.2, background_g=0.6, background_b=1.0, albedo_r=0.3, light_elevation=40.0)
    plain = Rasterizer(SIZE).render_with_derivatives(make_shape("chair", 0), own, names)[1]
    renderer = SurroundedRenderer(Rasterizer(SIZE), backdrop=picture((51, 153, 255)))
    ours = renderer.render_with_derivatives(make_shape("chair", 0), own, names)[1]
    difference = np.abs(ours - plain).reshape(len(names), -1)
    scale = np.abs(plain).reshape(len(names), -1).max(axis=1)
    assert (scale > 0).all()
    # Where edges add up beyond black or white what shows through is cut off, and so is its derivative's factor.
    assert ((difference < 1e-4 * scale[:, None]).mean(axis=1) > 0.97).all()


def test_nothing_around_an_object_is_the_plain_render() -> None:
    mesh, own = make_shape("chair", 0), scenes_at(background_g=0.3)
    names = ("azimuth", "background_g", "ambient")
    plain = Rasterizer(SIZE).render_with_derivatives(mesh, own, names)
    ours = SurroundedRenderer(Rasterizer(SIZE)).render_with_derivatives(mesh, own, names)
    assert all(np.array_equal(one, other) for one, other in zip(ours, plain, strict=True))


def test_a_choice_goes_through_all_pictures_in_equal_parts() -> None:
    colors = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    renderer = SurroundedRenderer(Rasterizer(SIZE), backdrop=picture(*colors))
    shown = [renderer.render(make_shape("cup", 0), scenes_at(background_choice=at))[0, :, 0, 0] for at in (0, 0.5, 1)]
    assert np.array_equal(np.array(shown), np.eye(3))


@pytest.mark.parametrize(
    "values",
    [
        {"azimuth": 0.0, "elevation": 0.0},
        {"roll": 25.0, "background_azimuth": 70.0},
        {"azimuth": 200.0, "elevation": 70.0, "field_of_view": 80.0, "distance": 4.0, "shift_x": 0.3},
        {"elevation": 90.0},
    ],
)
def test_a_panorama_shows_the_direction_that_a_pixel_looks_in(values: dict[str, float]) -> None:
    """By the projection of a point very far away, and arctangents, for pixels away from the object."""
    backdrop, scenes = panorama(), scenes_at(**values)
    nothing = Mesh(np.array([[0, 0, 0], [1e-6, 0, 0], [0, 1e-6, 0]]), np.array([[0, 1, 2]], dtype=np.int32))
    image = SurroundedRenderer(Rasterizer(SIZE), backdrop=backdrop).render(nothing, scenes)[0]
    projection = Views.of(scenes).projection[0]
    rng = np.random.default_rng(0)
    far = rng.standard_normal((4000, 3))
    far *= 1e9 / np.linalg.norm(far, axis=1, keepdims=True)
    x, y, depth = projection @ np.c_[far, np.ones(len(far))].T
    seen = (depth > 0) & (abs(x) < 0.97 * depth) & (abs(y) < 0.97 * depth)
    far, x, y = far[seen], (x / depth)[seen], (y / depth)[seen]
    turn = np.deg2rad(values.get("background_azimuth", 0.0))
    longitude = np.arctan2(-far[:, 0], far[:, 2]) - turn  # seen from the front, +x is on the left
    latitude = np.arcsin(far[:, 1] / 1e9)
    columns = (0.5 + longitude / (2 * np.pi)) % 1 * 200 - 0.5
    rows = (0.5 - latitude / np.pi) * 100 - 0.5
    pixels = backdrop.pictures[0].astype(np.float64) / 255
    for c in range(3):
        expected = ndimage.map_coordinates(pixels[..., c], [rows, columns], order=1, mode="grid-wrap")
        found = ndimage.map_coordinates(
            image[c], [(1 - y) * SIZE / 2 - 0.5, (1 + x) * SIZE / 2 - 0.5], order=1, mode="nearest"
        )
        assert np.median(np.abs(found - expected)) < 0.004
        assert len(found) > 100


def over_a_corner() -> Mesh:
    """A plate high above a corner of the ground, and a foot in the opposite one."""
    plate = [[0.5, 1, -1], [1, 1, -1], [1, 1, -0.5], [0.5, 1, -0.5]]
    foot = [[-1, -1, 1], [-0.98, -1, 1], [-1, -0.98, 1]]
    return Mesh(np.array([*plate, *foot]), np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6]], dtype=np.int32))


@pytest.mark.parametrize(("azimuth", "elevation"), [(20.0, 60.0), (250.0, 45.0), (120.0, 50.0)])
def test_the_shadow_lies_on_the_ground_straight_below(azimuth: float, elevation: float) -> None:
    scenes = scenes_at(azimuth=azimuth, elevation=elevation, background_r=1, background_g=1, background_b=1)
    renderer = SurroundedRenderer(Rasterizer(SIZE), ground="shadow")
    image, plain = (
        renderer.render(over_a_corner(), scenes)[0, 0],
        Rasterizer(SIZE).render(over_a_corner(), scenes)[0, 0],
    )
    x, y, depth = Views.of(scenes).projection[0] @ [0.75, -1.0, -0.75, 1.0]
    darker = np.where(plain == 1, plain - image, 0).astype(np.float64)
    assert 0.4 < darker.max() < 0.65
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    center = [(part * darker).sum() / darker.sum() for part in (columns, rows)]
    assert np.hypot(center[0] - (1 + x / depth) * SIZE / 2, center[1] - (1 - y / depth) * SIZE / 2) < 1.5


def test_the_ground_is_below_its_object_and_gone_from_below() -> None:
    mesh = over_a_corner()
    lifted = Mesh(mesh.vertices + np.array([0, 1.2, 0]), mesh.faces)  # its lowest point above a camera at elevation -10
    renderer = SurroundedRenderer(Rasterizer(SIZE), ground="plane")
    assert np.array_equal(
        renderer.render(lifted, scenes_at(elevation=-10.0)), Rasterizer(SIZE).render(lifted, scenes_at(elevation=-10.0))
    )
    above = renderer.render(mesh, scenes_at(elevation=90.0))[0, 0]
    assert above[SIZE // 2, SIZE // 2] == pytest.approx(0.65, abs=0.02)


def test_a_rectangle_covers_exactly_its_area() -> None:
    nothing, red = over_a_corner(), Occluder((1.0, 0.0, 0.0), aspect=2.0)
    renderer = SurroundedRenderer(Rasterizer(SIZE), occluder=red)
    own = scenes_at(occluder_x=0.123, occluder_y=0.31, occluder_size=0.37, ambient=0.0, directional=0.0)
    image = renderer.render(nothing, own)[0, 0].astype(np.float64)
    assert image.sum() == pytest.approx((0.37 * SIZE) * (0.37 * SIZE / 2), rel=1e-5)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    assert (image * columns).sum() / image.sum() == pytest.approx((1 + 0.123) * SIZE / 2, abs=0.01)
    assert (image * rows).sum() / image.sum() == pytest.approx((1 - 0.31) * SIZE / 2, abs=0.01)


def test_a_mesh_in_front_has_its_place_and_size() -> None:
    cube = make_shape("cup", 0)
    renderer = SurroundedRenderer(Rasterizer(SIZE), occluder=Occluder(mesh=cube))
    far = Mesh(over_a_corner().vertices * 1e-3, over_a_corner().faces)
    sides = []
    for size in (0.2, 0.4):
        image = renderer.render(far, scenes_at(occluder_x=0.3, occluder_y=-0.2, occluder_size=size))[0, 0]
        rows, columns = np.nonzero(image > 0.3)
        assert columns.mean() == pytest.approx(1.3 * SIZE / 2, abs=3)
        assert rows.mean() == pytest.approx(1.2 * SIZE / 2, abs=3)
        sides.append(np.ptp(columns) + 1)
    assert sides[1] == pytest.approx(2 * sides[0], abs=2)
    assert 0.25 * SIZE < sides[1] < 0.6 * SIZE
    nothing = renderer.render(far, scenes_at(occluder_size=0.0))
    assert np.array_equal(nothing, SurroundedRenderer(Rasterizer(SIZE)).render(far, scenes_at()))


CASES = {
    "picture": ({"backdrop": picture((200, 100, 50))}, "distance,shift_y,ambient"),
    "panorama": (
        {"backdrop": panorama()},
        "azimuth,elevation,roll,field_of_view,distance,background_azimuth,light_azimuth",
    ),
    "plane": ({"ground": "plane"}, "elevation,distance,shift_x,background_r,albedo_g"),
    "shadow": ({"ground": "shadow", "backdrop": picture((250, 250, 250))}, "elevation,roll"),
    "rectangle": (
        {"occluder": Occluder((0.9, 0.1, 0.2), 1.7), "ground": "plane"},
        "occluder_x,occluder_y,occluder_size,elevation",
    ),
    "mesh": (
        {"occluder": Occluder(mesh=make_shape("chair", 0)), "backdrop": panorama(), "ground": "shadow"},
        "occluder_x,occluder_y,occluder_size,background_azimuth,azimuth",
    ),
}


def function_of(name: str, *, blur: float = 0.0, supersample: int = 1) -> SceneFunction:
    options, params = CASES[name]
    renderer = SurroundedRenderer(Rasterizer(SIZE, supersample), blur=blur, **options)  # type: ignore[arg-type]
    return SceneFunction(
        LinearClassifier(SIZE), [make_shape("cup", 0)], [1], SemanticSpace.of(params), renderer=renderer
    )


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_central_differences_in_every_parameter(name: str) -> None:
    function = function_of(name, blur=1.5, supersample=6)  # an object's own kinks are as fine as its pixels
    rng = np.random.default_rng(1)
    points = function.space.from_unit(0.5 + 0.5 * (rng.random((1, 6, function.space.n)) - 0.5))
    values, gradients = function.values_and_gradients(points)
    assert np.array_equal(values, function.values(points))
    for k, parameter in enumerate(function.space.names):
        step = np.zeros(function.space.n)
        step[k] = 5e-3 * function.space.width[k]
        ends = [function.values(points + sign * step) for sign in (1, -1)]
        differences = ((ends[0] - ends[1]) / (2 * step[k])).ravel()
        own = gradients[0, :, k]
        if np.abs(differences).max() * function.space.width[k] < 1e-6:
            assert np.abs(own).max() * function.space.width[k] < 1e-5, parameter
            continue
        cosine = (differences @ own) / np.linalg.norm(differences) / np.linalg.norm(own)
        assert cosine > 0.95, (parameter, cosine, differences, own)
        assert np.linalg.norm(own) == pytest.approx(np.linalg.norm(differences), rel=0.3), parameter


@pytest.mark.parametrize("name", ["mesh", "plane"])
def test_a_theta_has_the_same_bytes_alone_and_in_any_batch(name: str) -> None:
    function = function_of(name, blur=0.7)
    points = function.space.sample(37, np.random.default_rng(0))[None]
    values, (_, gradients) = function.values(points), function.values_and_gradients(points)
    for row in (0, 20, 36):
        alone = points[:, row : row + 1]
        assert function.values(alone)[0, 0] == values[0, row]
        assert np.array_equal(function.values_and_gradients(alone)[1][0, 0], gradients[0, row])


@pytest.fixture
def scene() -> str:
    def factory(*, unnormalized: bool, size: int | None) -> Classifier:
        del unnormalized
        return LinearClassifier(size or SIZE)

    if "linear_scene_network" not in NETWORKS:
        NETWORKS.register("linear_scene_network", factory)
    return "scene:linear_scene_network/cup/procedural:0?label=1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "back grounds"
    (own / "more").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b & c.png", "more/d.png")):
        Image.fromarray(smooth(50, 70, number)).save(own / name)
    return own


def test_ids_round_trip_and_fingerprints_follow_files(scene: str, folder: Path) -> None:
    place = str(folder).replace(" ", "%20")
    texts = [
        f"&background=file:{place}/a.png&background_crop=0.1:0:0.8&ground=shadow",
        f"&background=folder:{place}&background_seed=5",
        f"&background=folder:{place}#b%20%26%20c.png&occluder=rectangle:00ff00:0.5",
    ]
    prints = []
    for text in texts:
        function = make_function(f"{scene}&params=azimuth{text}")
        again = make_function(function.id)
        assert again.id == function.id
        assert again.fingerprints == function.fingerprints
        assert str(SceneId.parse(function.id)) == function.id
        prints.append(function.fingerprints[0]["renderer"])
    Image.fromarray(smooth(50, 70, 9)).save(folder / "a.png")
    assert make_function(f"{scene}&params=azimuth{texts[0]}").fingerprints[0]["renderer"] != prints[0]
    assert len(set(prints)) == 3


def test_without_surroundings_a_scene_is_drawn_by_the_renderer_itself(scene: str) -> None:
    function = make_function(f"{scene}&params=azimuth")
    assert isinstance(function, SceneFunction)
    assert isinstance(function.renderer, Rasterizer)


def test_seeds_choose_different_pictures_and_a_crop_is_a_part_of_its_picture(folder: Path) -> None:
    def pictures(text: str, crop: str = "", seed: int = 0, *, is_chosen: bool = False) -> FloatArray:
        backdrop = load_backdrop(text, crop, seed, 50, is_chosen=is_chosen)
        assert backdrop is not None
        return backdrop.pictures.astype(np.float64)

    place = "folder:" + str(folder).replace(" ", "%20")
    assert len(pictures(place)) == 1
    assert len({pictures(place, seed=seed).tobytes() for seed in range(12)}) == 3
    chosen = pictures(place, is_chosen=True)
    assert len(chosen) == 3
    whole = smooth(50, 70, 0)
    assert np.abs(chosen[0] - whole[:, 10:60]).max() == 0
    left = pictures(f"{place}#a.png", "0:0:1")
    assert np.abs(left[0] - whole[:, :50]).max() == 0
    small: Float32Array = np.asarray(Image.fromarray(whole[:25, :25]).resize((50, 50), Image.Resampling.BICUBIC))
    assert np.abs(pictures(f"{place}#a.png", "0:0:0.5")[0] - small).mean() < 1.5


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("azimuth&background=folder:{empty}", LibraryError, "no picture"),
        ("azimuth&background=folder:{empty}/gone", LibraryError, "no such folder"),
        ("azimuth&background=file:{empty}/gone.png", MissingFileError, "gone.png"),
        ("azimuth&background=folder:{place}#gone.png", MissingFileError, "gone.png"),
        ("azimuth&background=room.jpg", UnknownNameError, "write file:PATH"),
        ("azimuth&background=panorama:{place}/a.png", InvalidPictureError, "twice as wide"),
        ("azimuth&background=file:{place}/a.png&background_crop=0.9:0:0.5", InvalidParameterError, "leaves"),
        ("azimuth&background=file:{place}/a.png&background_crop=1", InvalidParameterError, "LEFT:TOP:SIDE"),
        ("azimuth&background_crop=0:0:1", InvalidParameterError, "without a background"),
        ("azimuth&ground=grass", InvalidParameterError, "plane"),
        ("azimuth&occluder=circle", UnknownNameError, "circle"),
        ("azimuth&occluder=rectangle:red", InvalidParameterError, "RRGGBB"),
        ("azimuth&occluder=procedural:1", InvalidParameterError, "mesh from a file"),
        ("background_azimuth", InvalidParameterError, "needs background=panorama:FILE"),
        ("background_choice&background=file:{place}/a.png", None, ""),
        ("occluder_x", InvalidParameterError, "needs occluder="),
        ("background_r&background=file:{place}/a.png", InvalidParameterError, "without a picture"),
    ],
)
def test_bad_surroundings_are_one_clear_line(
    scene: str, folder: Path, tmp_path: Path, text: str, error: type[SemrobError] | None, told: str
) -> None:
    (tmp_path / "empty").mkdir()
    own = f"{scene}&params=" + text.format(empty=tmp_path / "empty", place=str(folder).replace(" ", "%20"))
    if error is None:
        assert not make_function(own).has_gradient
        return
    with pytest.raises(error, match=told) as raised:
        make_function(own)
    assert "\n" not in str(raised.value)
