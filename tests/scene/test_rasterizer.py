"""The rasteriser on small meshes whose picture is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError, UnknownNameError
from semrob_env.scene.camera import Scenes
from semrob_env.scene.mesh import Mesh, merge_meshes
from semrob_env.scene.renderers import Rasterizer
from semrob_env.types import Float32Array

PLAIN = Rasterizer()
REFERENCE = Rasterizer(supersample=8, antialias=False)


def scene(azimuth: float = 0.0, elevation: float = 0.0) -> Scenes:
    return Scenes.from_parameters({"azimuth": [azimuth], "elevation": [elevation]})


def random_scenes(count: int, seed: int = 0) -> Scenes:
    random = np.random.default_rng(seed)
    values = {"azimuth": random.uniform(0, 360, count), "elevation": random.uniform(-10, 90, count)}
    return Scenes.from_parameters(values)


def box(
    low: Sequence[float] = (-0.5, -0.5, -0.5),
    high: Sequence[float] = (0.5, 0.5, 0.5),
    albedo: Float32Array | None = None,
) -> Mesh:
    """Twelve faces; the colours are those of the sides -x, +x, -y, +y, -z, +z."""
    corners = np.array([[(low, high)[i >> k & 1][k] for k in range(3)] for i in range(8)], dtype=np.float64)
    quads = [(0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3), (0, 2, 3, 1), (4, 5, 7, 6)]
    faces = np.array([[q[0], q[i], q[i + 1]] for q in quads for i in (1, 2)], dtype=np.int32)
    return Mesh(corners, faces, None if albedo is None else np.repeat(albedo, 2, axis=0))


def torus(rings: int = 24, sides: int = 12) -> Mesh:
    """A smooth mesh with a hole, 2 * rings * sides faces, outside counter-clockwise."""
    i, j = np.meshgrid(np.arange(rings), np.arange(sides), indexing="ij")
    u, v = 2 * np.pi * i / rings, 2 * np.pi * j / sides
    radius = 0.7 + 0.3 * np.cos(v)
    vertices = np.stack([radius * np.cos(u), 0.3 * np.sin(v), radius * np.sin(u)], axis=-1).reshape(-1, 3)
    a, b = i * sides + j, (i + 1) % rings * sides + j
    c, d = (i + 1) % rings * sides + (j + 1) % sides, i * sides + (j + 1) % sides
    faces = np.concatenate([np.stack([a, c, b], axis=-1), np.stack([a, d, c], axis=-1)]).reshape(-1, 3)
    return Mesh(vertices, faces.astype(np.int32))


def tilted(mesh: Mesh) -> Mesh:
    """The mesh turned by 50 degrees about x, so that no symmetry is left about y."""
    c, s = np.cos(0.87), np.sin(0.87)
    return Mesh(mesh.vertices @ np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]]), mesh.faces)


def quad(low: tuple[float, float], high: tuple[float, float], z: float = 0.0) -> Mesh:
    """A rectangle in a plane of constant z."""
    (x0, y0), (x1, y1) = low, high
    corners = np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]])
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32))


def cosine(first: np.ndarray[tuple[int, ...], np.dtype[np.float32]], second: Float32Array) -> float:
    x, y = first.ravel().astype(np.float64), second.ravel().astype(np.float64)
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def test_images_are_upright_and_not_mirrored() -> None:
    pole, arm = box((-0.1, -0.9, -0.1), (0.1, 0.9, 0.1)), box((0.1, 0.7, -0.1), (0.9, 0.9, 0.1))
    image = PLAIN.render(merge_meshes([pole, arm]), scene())[0, 0]
    rows, columns = np.nonzero(image > 0.25)
    assert columns.min() < 50  # the arm towards +x, on the left
    assert columns.max() < 130
    arm_rows = rows[columns < 80]
    assert len(arm_rows) > 0
    assert arm_rows.max() < 70  # and on top


@pytest.mark.parametrize(
    ("azimuth", "elevation", "side", "shade"),
    [(0, 0, 4, 0.5), (90, 0, 1, 0.5), (180, 0, 5, 0.5), (270, 0, 0, 0.5), (0, 90, 3, 1.0)],
)
def test_each_direction_shows_its_side_with_its_color(
    azimuth: float, elevation: float, side: int, shade: float
) -> None:
    albedo = np.random.default_rng(0).uniform(0.2, 1, (6, 3)).astype(np.float32)
    image = PLAIN.render(box(albedo=albedo), scene(azimuth, elevation))[0]
    np.testing.assert_allclose(image[:, 112, 112], shade * albedo[side], atol=1e-6)


def test_from_below_the_bottom_shows_without_direct_light() -> None:
    plate = quad((-0.5, -0.5), (0.5, 0.5))
    flat = Mesh(plate.vertices[:, [0, 2, 1]], plate.faces)
    below, above = PLAIN.render(flat, Scenes.from_parameters({"elevation": [-10.0, 10.0]}))[:, 0, 112, 112]
    assert below == pytest.approx(0.5)
    assert above == pytest.approx(1.0)


def test_the_winding_of_faces_does_not_matter() -> None:
    mesh = torus()
    turned = Mesh(mesh.vertices, mesh.faces[:, [0, 2, 1]])
    scenes = random_scenes(4)
    np.testing.assert_allclose(PLAIN.render(mesh, scenes), PLAIN.render(turned, scenes), atol=1e-6)


def test_the_background_fills_what_no_face_covers() -> None:
    away = quad((50.0, 50.0), (51.0, 51.0))
    background = np.array([0.1, 0.6, 0.9])
    image = PLAIN.render(away, Scenes(np.zeros(1), np.zeros(1), background=background))[0]
    assert (image == background.astype(np.float32)[:, None, None]).all()


def test_a_bar_far_thinner_than_a_pixel_shows_with_its_area() -> None:
    pixel = 2 * np.tan(np.pi / 6) * 2.732 / 224
    for shift in np.linspace(0, pixel, 7):
        bar = quad((shift, -0.5), (shift + 0.1 * pixel, 0.5))
        total = PLAIN.render(bar, scene())[0, 0].sum(dtype=np.float64)
        assert total == pytest.approx(0.5 * 0.1 * 1.0 / pixel, rel=0.02)


def test_a_face_smaller_than_a_pixel_and_faces_without_area_do_no_harm() -> None:
    corners = np.array([[0.0, 0.0, 0.0], [1e-4, 0.0, 0.0], [0.0, 1e-4, 0.0], [0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
    faces = np.array([[0, 1, 2], [0, 1, 3], [0, 0, 4], [2, 2, 2]], dtype=np.int32)
    image, derivative = PLAIN.render_with_derivatives(Mesh(corners, faces), scene(10, 10), ["azimuth"])
    assert np.isfinite(image).all()
    assert np.isfinite(derivative).all()
    assert image.sum() < 1.0


def test_faces_that_reach_behind_the_camera_are_left_out_whole() -> None:
    huge = Mesh(np.array([[-1.0, 0.0, -9.0], [50.0, -50.0, 9.0], [0.0, 50.0, 9.0]]), np.array([[0, 1, 2]], np.int32))
    with_box, derivative = PLAIN.render_with_derivatives(merge_meshes([box(), huge]), scene(10, 10), ["azimuth"])
    assert with_box.tobytes() == PLAIN.render(box(), scene(10, 10)).tobytes()
    assert np.isfinite(derivative).all()


def test_a_face_larger_than_the_image_fills_it() -> None:
    wall = quad((-500.0, -500.0), (500.0, 500.0))
    assert (PLAIN.render(wall, scene())[0] == 0.5).all()


def test_the_nearer_of_two_faces_hides_the_other_whatever_their_order() -> None:
    near, far = quad((-0.5, -0.5), (0.5, 0.5), z=-0.5), box((-0.2, -0.2, 0.0), (0.2, 0.2, 0.4))
    alone = PLAIN.render(near, scene(5, 5))
    assert PLAIN.render(merge_meshes([near, far]), scene(5, 5)).tobytes() == alone.tobytes()
    assert PLAIN.render(merge_meshes([far, near]), scene(5, 5)).tobytes() == alone.tobytes()


@pytest.mark.parametrize(("mesh", "limit"), [(box(), 0.1), (torus(), 0.1), (torus(60, 40), 0.15)])
def test_images_agree_with_a_supersampled_reference(mesh: Mesh, limit: float) -> None:
    scenes = random_scenes(3)
    error = np.abs(PLAIN.render(mesh, scenes) - REFERENCE.render(mesh, scenes))
    assert 255 * error.mean() < limit


def test_a_scene_gives_the_same_bytes_in_every_batch_order_and_number_of_threads() -> None:
    mesh, scenes = torus(), random_scenes(64)
    names = ["azimuth", "elevation"]
    images, derivatives = PLAIN.render_with_derivatives(mesh, scenes, names)
    assert PLAIN.render(mesh, scenes).tobytes() == images.tobytes()

    def chosen(order: list[int]) -> Scenes:
        return Scenes(scenes.azimuth_deg[order], scenes.elevation_deg[order])

    for threads in (1, None):
        for order in ([5], list(range(7)), list(range(64))[::-1]):
            again = Rasterizer(threads=threads).render_with_derivatives(mesh, chosen(order), names)
            assert again[0].tobytes() == images[order].tobytes()
            assert again[1].tobytes() == derivatives[order].tobytes()


@pytest.mark.parametrize("mesh", [box(), tilted(torus())])
@pytest.mark.parametrize(("name", "step"), [("azimuth", 0.1), ("elevation", 0.1), ("distance", 0.002)])
def test_derivatives_agree_with_central_differences_of_the_image(mesh: Mesh, name: str, step: float) -> None:
    renderer = Rasterizer(supersample=2, blur=0.7)
    values = {"azimuth": np.array([25.0, 200.0]), "elevation": np.array([35.0, 10.0]), "distance": np.full(2, 2.732)}
    _, derivatives = renderer.render_with_derivatives(mesh, Scenes.from_parameters(values), [name])
    high = renderer.render(mesh, Scenes.from_parameters(values | {name: values[name] + step}))
    low = renderer.render(mesh, Scenes.from_parameters(values | {name: values[name] - step}))
    difference = (high - low) / (2 * step)
    assert cosine(derivatives[:, 0], difference) > 0.98
    assert np.linalg.norm(derivatives) == pytest.approx(np.linalg.norm(difference), rel=0.05)


def test_derivatives_in_light_are_exact_because_the_image_is_linear_in_it() -> None:
    mesh, values = torus(), {"azimuth": np.array([25.0]), "ambient": np.array([0.3]), "directional": np.array([0.4])}
    names = ["ambient", "directional"]
    image, derivatives = PLAIN.render_with_derivatives(mesh, Scenes.from_parameters(values), names)
    for k, name in enumerate(names):
        brighter = PLAIN.render(mesh, Scenes.from_parameters(values | {name: values[name] + 0.1}))
        np.testing.assert_allclose(derivatives[:, k], (brighter - image) / 0.1, atol=2e-5)


def test_a_gray_image_is_the_one_that_three_channels_would_show() -> None:
    mesh, scenes = torus(), random_scenes(4)
    painted = Mesh(mesh.vertices, mesh.faces, np.ones(mesh.faces.shape, dtype=np.float32))
    for gray, color in zip(
        PLAIN.render_with_derivatives(mesh, scenes, ["elevation", "ambient"]),
        PLAIN.render_with_derivatives(painted, scenes, ["elevation", "ambient"]),
        strict=True,
    ):
        assert gray.tobytes() == color.tobytes()


def test_blur_and_supersampling_keep_the_amount_of_light() -> None:
    mesh = torus()
    total = REFERENCE.render(mesh, scene(30, 40)).mean()
    for renderer in (PLAIN, Rasterizer(supersample=3), Rasterizer(blur=1.5), Rasterizer(supersample=2, blur=0.5)):
        assert renderer.render(mesh, scene(30, 40)).mean() == pytest.approx(total, rel=2e-3)


def test_blur_is_a_gaussian() -> None:
    pixel = 2 * np.tan(np.pi / 6) * 2.732 / 224
    impulse = quad((-pixel, -pixel), (pixel, pixel))
    spread = Rasterizer(blur=2.0).render(impulse, scene())[0, 0].astype(np.float64)
    columns = np.arange(224) + 0.5 - 112
    variance = (spread.sum(axis=0) * columns**2).sum() / spread.sum()
    assert variance == pytest.approx(2.0**2 + 0.25, rel=0.01)  # of a square of 2 pixels, blurred


def test_the_identity_names_every_option_that_rules_a_pixel() -> None:
    assert PLAIN.identity == "rasterizer-1?size=224&supersample=1&blur=0"
    assert Rasterizer(64, 2, 0.5, threads=1).identity == "rasterizer-1?size=64&supersample=2&blur=0.5"
    assert Rasterizer(antialias=False).identity != PLAIN.identity


def test_other_sizes_show_the_same_image() -> None:
    small, large = Rasterizer(112).render(torus(), scene(30, 30)), Rasterizer(224).render(torus(), scene(30, 30))
    halved = large.reshape(1, 3, 112, 2, 112, 2).mean(axis=(3, 5))
    assert 255 * np.abs(small - halved).mean() < 0.3


def test_an_empty_batch_gives_no_images() -> None:
    assert PLAIN.render(box(), Scenes(np.zeros(0), np.zeros(0))).shape == (0, 3, 224, 224)


@pytest.mark.parametrize(
    "options",
    [{"size": 0}, {"supersample": 0}, {"blur": -1.0}, {"blur": float("nan")}, {"threads": 0}, {"threads": 10**6}],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match="must"):
        Rasterizer(**options)


def test_a_derivative_in_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'tilt'"):
        PLAIN.render_with_derivatives(box(), scene(), ["tilt"])
