"""Textures, smooth normals and highlights: what a file says of them, in the picture, and how that changes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from semrob_env.errors import InvalidMeshError, InvalidParameterError, LookWarning
from semrob_env.scene.camera import Scenes
from semrob_env.scene.function import SceneId
from semrob_env.scene.mesh import Mesh, merge_meshes, normalize
from semrob_env.scene.mesh_files import load_mesh
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.shading import Shading, smooth_normals
from semrob_env.scene.sources import file_source, load_shape, resolve_shape
from semrob_env.scene.surface import Surface, Texture, display_values, linear_light, shrunk
from semrob_env.types import Float32Array
from tests.scene.gltf_maker import Gltf, png
from tests.scene.textured_maker import (
    MESHES,
    ball,
    blob,
    box,
    checker,
    encoded,
    label,
    obj_lines,
    vase,
    write_glb,
    write_obj,
)

SIZE = 64
PLAIN = Rasterizer(SIZE)
BRIGHT = {"ambient": 1.0, "directional": 0.0}
PLACES = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], dtype=np.float32)


def seen(mesh: Mesh, renderer: Rasterizer = PLAIN, **values: float) -> Float32Array:
    """One picture (3, H, W), in full light unless the values say otherwise."""
    chosen = {"azimuth": 180.0, **BRIGHT, **values}
    picture: Float32Array = renderer.render(
        mesh, Scenes.from_parameters({name: [value] for name, value in chosen.items()})
    )[0]
    return picture


def poster(pixels: npt.NDArray[Any], places: npt.NDArray[Any] = PLACES, **more: Any) -> Mesh:
    """A square that faces +z, with an image on it, upright as seen from azimuth 180."""
    shape = *pixels.shape[:2], 4
    whole = np.concatenate([pixels, np.full((*shape[:2], 1), 255)], axis=2) if pixels.shape[2] == 3 else pixels
    texture = Texture(whole.astype(np.uint8), **more)
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], dtype=np.float64)
    faces = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
    surface = Surface(np.zeros(2, dtype=np.int32), (texture,), places[faces].astype(np.float32))
    return Mesh(corners, faces, surface=surface)


def quarters() -> npt.NDArray[Any]:
    """Red and green above, blue and white below."""
    pixels = np.zeros((32, 32, 3))
    pixels[:16, :16, 0] = pixels[:16, 16:, 1] = pixels[16:, :16, 2] = 255
    pixels[16:, 16:] = 255
    return pixels


def cosine(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    x, y = first.ravel().astype(np.float64), second.ravel().astype(np.float64)
    return float(x @ y / np.sqrt((x @ x) * (y @ y))) if x.any() or y.any() else 1.0


def written(folder: Path, image: bytes, **changes: Any) -> Path:
    """A box of one glTF file with a texture, and changes to its material or sampler."""
    vertices, faces, places = box()
    gltf = Gltf(vertices.astype(np.float32), faces.astype(np.uint32))
    gltf.paint(image, changes.pop("places", places).astype(np.float32), **changes.pop("info", {}))
    if "sampler" in changes:
        gltf.json["samplers"] = [changes.pop("sampler")]
        gltf.json["textures"][0]["sampler"] = 0
    gltf.json["materials"][0] |= changes.pop("material", {})
    gltf.json["materials"][0]["pbrMetallicRoughness"] |= changes
    return gltf.write(folder)


def test_an_image_stands_upright_and_in_its_own_colors_in_full_light() -> None:
    picture = seen(poster(quarters()))
    assert picture[:, 16, 16] == pytest.approx([1, 0, 0], abs=1e-3)
    assert picture[:, 16, 48] == pytest.approx([0, 1, 0], abs=1e-3)
    assert picture[:, 48, 16] == pytest.approx([0, 0, 1], abs=1e-3)
    gray = seen(poster(np.full((4, 4, 3), 100)))
    np.testing.assert_allclose(gray[:, 20:40, 20:40], 100 / 255, atol=1e-4)


def test_light_multiplies_a_texture_as_it_does_a_plain_color() -> None:
    pixels = np.full((4, 4, 3), 180)
    plain = poster(pixels)
    colored = Mesh(plain.vertices, plain.faces, np.full((2, 3), 180 / 255, dtype=np.float32))
    values = {"ambient": 0.3, "directional": 0.6, "light_elevation": 30.0, "light_azimuth": 160.0, "azimuth": 150.0}
    np.testing.assert_allclose(seen(plain, PLAIN, **values), seen(colored, PLAIN, **values), atol=1e-4)


def test_a_surface_with_nothing_on_it_looks_like_flat_faces() -> None:
    vertices, faces, _ = blob(20)
    random = np.random.default_rng(0)
    plain = normalize(Mesh(vertices, faces.astype(np.int32), random.uniform(0, 1, faces.shape).astype(np.float32)))
    covered = Mesh(plain.vertices, plain.faces, plain.albedo, surface=Surface.plain(len(faces)))
    scenes = Scenes.from_parameters({"azimuth": [10.0, 200.0], "elevation": [20.0, 60.0]})
    names = ["azimuth", "distance", "light_elevation"]
    for one, other in zip(
        PLAIN.render_with_derivatives(plain, scenes, names),
        PLAIN.render_with_derivatives(covered, scenes, names),
        strict=True,
    ):
        assert cosine(one, other) > 0.9999


def test_what_is_far_away_on_a_tilted_face_is_printed_smaller() -> None:
    stripes = np.zeros((64, 64, 3))
    stripes[np.arange(64) % 16 < 8] = 255
    picture = seen(poster(stripes), Rasterizer(224), elevation=65.0, distance=2.5)[0, :, 112]
    edges = np.flatnonzero(np.diff((picture > 0.5).astype(int)))
    gaps = np.diff(edges)
    assert len(gaps) >= 5
    assert gaps[-1] < 0.8 * gaps[0]  # the upper edge is nearer to the camera
    # Where a stripe of the plane lies, by the camera's own formula: y / depth.
    e, focal = np.deg2rad(65.0), 112 / np.tan(np.deg2rad(30))
    heights = 1 - np.arange(8, 64, 8) / 32
    expected = 112 - focal * (heights * np.cos(e)) / (2.5 - heights * np.sin(e))
    assert max(np.abs(edges + 1 - place).min() for place in expected if 4 < place < 220) < 1.0


@pytest.mark.parametrize(("wrap", "expected"), [("repeat", [1, 0, 0]), ("clamp", [0, 1, 0]), ("mirror", [0, 1, 0])])
def test_beyond_its_border_a_texture_goes_on_as_it_wraps(wrap: Any, expected: list[float]) -> None:
    right = np.add(PLACES, [1.0, 0.0])  # all of it beyond the right border
    picture = seen(poster(quarters(), right, wraps=(wrap, "clamp")))
    assert picture[:, 16, 16] == pytest.approx(expected, abs=1e-3)
    if wrap == "mirror":
        assert picture[:, 16, 48] == pytest.approx([1, 0, 0], abs=1e-3)


def test_a_checker_finer_than_pixels_is_an_even_gray_that_does_not_shimmer() -> None:
    mesh = poster(checker(512, 1024, 0, 255))
    frames = np.stack([seen(mesh, roll=angle)[0, 20:44, 20:44] for angle in np.linspace(0, 20, 9)])
    assert frames.std() < 1 / 255
    assert frames.mean() == pytest.approx(display_values(np.array(0.5)), abs=0.01)  # half of the light
    medium = poster(checker(48, 192, 0, 255))  # cells of about 1.3 pixels: a little is left of them
    means = [seen(medium, roll=angle)[0, 16:48, 16:48].mean() for angle in np.linspace(0, 20, 9)]
    assert np.std(means) < 0.5 / 255


def test_holes_of_a_texture_show_what_is_behind() -> None:
    pixels = np.full((32, 32, 4), 255)
    pixels[8:24, 8:24, 3] = 0
    mesh = poster(pixels, cutoff=0.5)
    behind = Mesh(mesh.vertices - np.array([0, 0, 0.5]), mesh.faces, np.full((2, 3), (0.0, 0.0, 1.0), dtype=np.float32))
    picture = seen(merge_meshes([mesh, behind]))
    assert picture[:, 32, 32] == pytest.approx([0, 0, 1], abs=1e-3)
    assert picture[:, 16, 16] == pytest.approx([1, 1, 1], abs=1e-3)
    assert (seen(poster(pixels))[:, 32, 32] > 0.99).all()  # without a cutoff alpha does not count
    inner = picture[2, 25:39, 25:39]  # no outline along the diagonal of the two faces, where there is a hole
    np.testing.assert_allclose(inner, 1.0, atol=1e-3)
    np.testing.assert_allclose(picture[0, 25:39, 25:39], 0.0, atol=1e-3)


@pytest.mark.parametrize("name", MESHES)
def test_derivatives_through_textures_and_smooth_normals_are_those_of_smoothed_pictures(
    tmp_path: Path, name: str
) -> None:
    mesh = Shading("smooth", specular=0.3).on(normalize(load_mesh(MESHES[name](tmp_path), surface=True)))
    random = np.random.default_rng(3)
    values = {
        "azimuth": random.uniform(0, 360, 3),
        "elevation": random.uniform(-10, 80, 3),
        "distance": np.full(3, 2.9),
        "light_azimuth": random.uniform(0, 360, 3),
        "light_elevation": random.uniform(20, 70, 3),
        "shift_x": np.zeros(3),
    }
    renderer = Rasterizer(112, supersample=2, blur=1.5)
    images, derivatives = renderer.render_with_derivatives(mesh, Scenes.from_parameters(values), list(values))
    assert images.tobytes() == renderer.render(mesh, Scenes.from_parameters(values)).tobytes()
    for k, (key, step) in enumerate(zip(values, (0.4, 0.4, 0.008, 0.2, 0.2, 0.008), strict=True)):
        high, low = (
            renderer.render(mesh, Scenes.from_parameters(values | {key: values[key] + sign * step})) for sign in (1, -1)
        )
        difference = (high - low) / (2 * step)
        assert np.median([cosine(derivatives[view, k], difference[view]) for view in range(3)]) >= 0.95, key


def test_a_textured_view_has_the_same_bytes_in_any_batch_and_with_any_number_of_threads(tmp_path: Path) -> None:
    mesh = Shading("smooth").on(normalize(load_mesh(MESHES["mug"](tmp_path), surface=True)))
    turn = np.linspace(0, 350, 9)
    names = ["azimuth", "elevation"]
    whole = PLAIN.render_with_derivatives(mesh, Scenes(turn, turn / 4), names)
    for threads in (1, None):
        for rows in ([4], [8, 0, 3]):
            own = Rasterizer(SIZE, threads=threads).render_with_derivatives(
                mesh, Scenes(turn[rows], turn[rows] / 4), names
            )
            assert all(part.tobytes() == full[rows].tobytes() for part, full in zip(own, whole, strict=True))


def test_a_ball_with_smooth_normals_is_shaded_as_the_sphere_it_stands_for() -> None:
    vertices, faces, _ = ball(36)
    # Seam and poles hold vertices twice, which a reader makes one.
    places, index = np.unique(vertices.round(9), axis=0, return_inverse=True)
    faces = index.reshape(-1)[faces]
    mesh = Mesh(places, faces[[len(set(face)) == 3 for face in faces]].astype(np.int32))
    normals = smooth_normals(mesh, 40.0)
    corners = mesh.vertices[mesh.faces]
    outward = (normals * corners).sum(axis=2)
    assert np.abs(outward).min() > 0.99
    assert (np.sign(outward) == np.sign(outward[:, :1])).all()
    turned = Mesh(mesh.vertices, np.where(np.arange(len(mesh.faces))[:, None] % 2, mesh.faces, mesh.faces[:, ::-1]))
    scenes = Scenes.from_parameters({"azimuth": [30.0], "elevation": [20.0], "light_elevation": [40.0]})
    one, other = (PLAIN.render(Shading("smooth").on(own), scenes) for own in (mesh, turned))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_winding_of_faces_does_not_matter_to_a_smooth_textured_surface() -> None:
    vertices, faces, places = blob(24)
    texture = Texture(np.dstack([label(64), np.full((64, 64), 255)]).astype(np.uint8))
    surface = Surface(np.zeros(len(faces), dtype=np.int32), (texture,), places[faces].astype(np.float32))
    mesh = Shading("smooth").on(normalize(Mesh(vertices, faces.astype(np.int32), surface=surface)))
    assert mesh.surface is not None
    turned, is_turned = mesh.surface.turned_over(), np.arange(len(faces)) % 3 == 0
    places, normals = (
        np.where(is_turned[:, None, None], getattr(turned, name), getattr(mesh.surface, name))
        for name in ("places", "normals")
    )
    mixed = Surface(mesh.surface.texture_of, mesh.surface.textures, places, normals=normals)
    wound = Mesh(mesh.vertices, np.where(is_turned[:, None], mesh.faces[:, ::-1], mesh.faces), surface=mixed)
    for azimuth in (20.0, 140.0):
        pictures = [seen(own, azimuth=azimuth, ambient=0.3, directional=0.7) for own in (wound, mesh)]
        assert np.abs(pictures[0] - pictures[1]).max() < 1e-5


def test_a_crease_keeps_edges_sharp() -> None:
    vertices, faces, _ = box()
    places, index = np.unique(vertices, axis=0, return_inverse=True)
    mesh = Mesh(places, index.reshape(-1)[faces].astype(np.int32))
    flat = np.cross(*np.moveaxis(np.diff(mesh.vertices[mesh.faces], axis=1), 1, 0))
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    np.testing.assert_allclose(smooth_normals(mesh, 60.0), np.repeat(flat[:, None], 3, axis=1), atol=1e-6)


def test_gloss_adds_a_highlight_where_light_is_mirrored() -> None:
    mesh = poster(np.full((2, 2, 3), 60))
    values = {"ambient": 0.5, "directional": 0.5, "light_azimuth": 180.0, "light_elevation": 0.0, "distance": 2.5}
    dull, bright = (seen(Shading(specular=gloss).on(mesh), Rasterizer(65), **values) for gloss in (0.0, 0.6))
    gain = (bright - dull)[0]
    assert gain[32, 32] == pytest.approx(0.6 * 0.5, abs=1e-3)
    assert gain.min() >= -1e-5
    assert np.unravel_index(gain.argmax(), gain.shape) == (32, 32)
    # Towards the border the half vector leans by half the angle of sight: cos(half)^24.
    angle = np.arctan((48.5 - 32.5) / (32.5 / np.tan(np.deg2rad(30))))
    assert gain[32, 48] == pytest.approx(0.3 * np.cos(angle / 2) ** 24, rel=0.01)


def test_factors_vertex_colors_and_textures_of_gltf_are_multiplied(tmp_path: Path) -> None:
    vertices, faces, places = box()
    gltf = Gltf(vertices.astype(np.float32), faces.astype(np.uint32))
    gltf.paint(png((200, 100, 50)), places.astype(np.float32))
    gltf.json["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] = [0.5, 1.0, 1.0, 1.0]
    gltf.primitive["attributes"]["COLOR_0"] = gltf.add(np.full((len(vertices), 3), (1.0, 0.25, 1.0), dtype=np.float32))
    mesh = normalize(load_mesh(gltf.write(tmp_path), surface=True))
    linear = linear_light(np.array([200, 100, 50]) / 255) * (0.5, 0.25, 1.0)  # factors of glTF are linear light
    assert seen(mesh)[:, 32, 32] == pytest.approx(display_values(linear), abs=0.02)


def test_a_texture_transform_and_samplers_of_gltf_are_as_its_specification_says(tmp_path: Path) -> None:
    moved = {"extensions": {"KHR_texture_transform": {"offset": [0.5, 0.0], "scale": [0.5, 0.5]}}}
    image = encoded(quarters())
    mesh = normalize(load_mesh(written(tmp_path, image, info=moved), surface=True))
    assert seen(mesh)[:, 32, 32] == pytest.approx([0, 1, 0], abs=0.02)  # the upper right quarter everywhere
    clamped = written(tmp_path, image, sampler={"wrapS": 33071, "wrapT": 33648}, places=np.add(box()[2], [2.0, 0.0]))
    mesh = load_mesh(clamped, surface=True)
    assert mesh.surface is not None
    assert mesh.surface.textures[0].wraps == ("clamp", "mirror")
    assert seen(normalize(mesh))[:, 10, 32] == pytest.approx([0, 1, 0], abs=0.02)


def test_masks_and_glow_of_gltf(tmp_path: Path) -> None:
    clear = np.concatenate([np.full((8, 8, 3), 200), np.zeros((8, 8, 1))], axis=2)
    mesh = load_mesh(written(tmp_path, encoded(clear), material={"alphaMode": "MASK"}), surface=True)
    assert seen(normalize(mesh)).max() == 0.0
    mesh = load_mesh(written(tmp_path, encoded(clear), material={"emissiveFactor": [0, 1, 0]}), surface=True)
    dark = seen(normalize(mesh), ambient=0.0)
    assert dark[:, 32, 32] == pytest.approx([0, 1, 0], abs=1e-3)


def test_what_is_not_drawn_is_told_once_by_name(tmp_path: Path) -> None:
    material = {"normalTexture": {"index": 0}, "alphaMode": "BLEND", "extensions": {"KHR_materials_clearcoat": {}}}
    path = written(tmp_path, encoded(label()), material=material, metallicFactor=1.0)
    with pytest.warns(LookWarning) as told:
        load_mesh(path, surface=True)
    assert len(told) == 1
    for name in ("normal maps", "metalness", "alphaMode BLEND", "KHR_materials_clearcoat"):
        assert name in str(told[0].message)
    (tmp_path / "a.mtl").write_text("newmtl m\nKd 1 1 1\nmap_Bump b.png\nd 0.5\n")
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nusemtl m\n" + obj_lines(box()))
    with pytest.warns(LookWarning, match="bump maps, transparency"):
        load_mesh(tmp_path / "a.obj", surface=True)


def test_images_of_any_mode_are_right(tmp_path: Path) -> None:
    gray16 = Image.fromarray(np.full((4, 4), 200 * 257, dtype=np.uint16))
    rgb = Image.new("RGB", (4, 4), (200, 200, 200))
    for name, image, form in (
        ("16 bits", gray16, "PNG"),
        ("palette", rgb.convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
        ("CMYK", rgb.convert("CMYK"), "JPEG"),
        ("gray", rgb.convert("L"), "PNG"),
    ):
        path = tmp_path / "texture"
        image.save(path, form)
        mesh = normalize(load_mesh(write_glb(tmp_path / "a.glb", box(), path.read_bytes()), surface=True))
        np.testing.assert_allclose(seen(mesh)[:, 32, 32], 200 / 255, atol=0.02, err_msg=name)


def test_what_cannot_be_put_on_is_one_clear_line(tmp_path: Path) -> None:
    path = write_obj(tmp_path / "a.obj", box(), encoded(label(8)))
    (tmp_path / "a.png").unlink()
    with pytest.raises(InvalidMeshError, match=r"texture 'a\.png' is missing; put it where .* choose colors=material"):
        load_mesh(path, surface=True)
    assert load_mesh(path, colors=True).albedo is not None
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(InvalidMeshError, match="cannot be read: no image"):
        load_mesh(path, surface=True)
    Image.new("1", (20_000, 20_000)).save(tmp_path / "a.png")
    with pytest.raises(InvalidMeshError, match=r"400000000 pixels.*; scale it down"):
        load_mesh(path, surface=True)
    gltf = json.loads(written(tmp_path, encoded(label(8))).read_text())
    gltf["images"][0] = {"uri": "gone.png"}
    (tmp_path / "b.gltf").write_text(json.dumps(gltf))
    with pytest.raises(InvalidMeshError, match=r"'gone\.png' is missing"):
        load_mesh(tmp_path / "b.gltf", surface=True)


def test_coordinates_that_are_no_numbers_leave_their_faces_plain_and_far_ones_are_brought_near(tmp_path: Path) -> None:
    vertices, faces, places = box()
    odd = places.copy()
    odd[:4] = np.nan
    with pytest.warns(LookWarning, match="2 faces have texture coordinates that are no numbers"):
        mesh = load_mesh(write_glb(tmp_path / "a.glb", (vertices, faces, odd), encoded(label())), surface=True)
    assert mesh.surface is not None
    assert (mesh.surface.texture_of < 0).sum() == 2
    near, far = (
        normalize(load_mesh(write_glb(tmp_path / "a.glb", (vertices, faces, own), encoded(label())), surface=True))
        for own in (places, np.add(places, [4096.0, -2048.0]))
    )
    np.testing.assert_allclose(seen(far), seen(near), atol=0.01)


def test_a_large_texture_is_averaged_down_in_linear_light() -> None:
    pixels = np.zeros((30, 50, 4), dtype=np.uint8)
    pixels[:, ::2] = 255
    pixels[..., 3] = 255
    half = shrunk(pixels, 10, 25)
    assert np.abs(half[..., :3].astype(int) - round(255 * float(display_values(np.array(0.5))))).max() <= 1
    ramp = np.tile(np.arange(7, dtype=np.uint8)[:, None, None] * 40, (1, 1, 4))
    light = linear_light(ramp[:, 0, 0] / 255)
    expected = display_values(np.array([(light[:2].sum() + light[2] / 3), (light[5:].sum() + light[4] / 3)]) * 3 / 7)
    ramp[..., 3] = 255
    assert shrunk(ramp, 3, 1)[[0, 2], 0, 0] / 255 == pytest.approx(expected, abs=1 / 255)


def test_colors_and_shading_are_options_of_the_id_and_of_the_digest(tmp_path: Path) -> None:
    path = write_glb(tmp_path / "vase.glb", vase(16), encoded(checker(8, 64)))
    source = file_source(str(path))
    text = f"scene:n/vase/{source}?params=azimuth&colors=texture&normals=smooth&crease=50.0&specular=0.25"
    assert str(SceneId.parse(text)) == text
    looks = [("white", Shading()), ("material", Shading()), ("texture", Shading()), ("texture", Shading("smooth"))]
    looks += [("white", Shading("smooth")), ("white", Shading(specular=0.5))]
    meshes = [load_shape("vase", source, colors, None, shading) for colors, shading in looks]
    assert len({mesh.digest for mesh in meshes}) == len(looks)
    assert meshes[0].surface is None
    assert meshes[0].digest == Mesh(meshes[0].vertices, meshes[0].faces).digest
    for options, reason in (
        ({"normals": "round"}, "choose flat, smooth or file"),
        ({"crease": 120.0, "normals": "smooth"}, "from 0 to below 90"),
        ({"crease": 20.0}, "belongs to normals=smooth"),
        ({"specular": 2.0}, "from 0 to 1"),
    ):
        with pytest.raises(InvalidParameterError, match=reason):
            SceneId("n", "vase", source, **options)
    with pytest.raises(InvalidMeshError, match="has no normals; choose normals=smooth"):
        load_shape("vase", source, "white", None, Shading("file"))
    with pytest.raises(InvalidParameterError, match="leave colors=texture"):
        load_shape("cup", "procedural:0", "texture")
    assert load_shape("cup", "procedural:0", "white", None, Shading("smooth")).surface is not None


def test_normals_of_files_are_used_and_follow_the_nodes_of_a_scene(tmp_path: Path) -> None:
    vertices, faces, _ = ball(16)
    gltf = Gltf(vertices.astype(np.float32), faces.astype(np.uint32))
    gltf.primitive["attributes"]["NORMAL"] = gltf.add(vertices.astype(np.float32))
    gltf.json["nodes"][0] |= {"scale": [1.0, -2.0, 1.0], "rotation": [0.0, 0.6, 0.0, 0.8]}
    mesh = load_mesh(gltf.write(tmp_path), surface=True)
    assert mesh.surface is not None
    assert mesh.surface.normals is not None
    corners = mesh.vertices[mesh.faces]
    outward = corners / (1.0, 4.0, 1.0)  # the gradient of x² + (y / 2)² + z²
    outward /= np.linalg.norm(outward, axis=2, keepdims=True)
    along = (mesh.surface.normals * outward).sum(axis=2)
    assert np.abs(along).min() > 0.999
    lines = obj_lines(ball(16)).splitlines()
    text = "\n".join(f"vn {x:.9g} {y:.9g} {z:.9g}" for x, y, z in vertices) + "\n"
    text += "\n".join(
        "f " + " ".join(f"{c.split('/')[0]}//{c.split('/')[0]}" for c in line.split()[1:])
        if line.startswith("f ")
        else line
        for line in lines
    )
    (tmp_path / "a.obj").write_text(text + "\n")
    own = load_shape("cup", file_source(str(tmp_path / "a.obj")), "white", None, Shading("file"))
    assert own.surface is not None
    assert own.surface.normals is not None
    assert own.albedo is None
    assert np.abs((own.surface.normals * own.vertices[own.faces]).sum(axis=2)).min() > 0.999


def test_a_piece_of_a_furniture_library_has_the_textures_of_its_model(tmp_path: Path) -> None:
    model = MESHES["mug"](tmp_path)
    library = tmp_path / "lib.sh3f"
    with zipfile.ZipFile(library, "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", "id#1=mug\nname#1=Mug\nmodel#1=/mugs/mug.obj\n")
        for file in (model, model.with_suffix(".mtl"), model.with_suffix(".png")):
            archive.write(file, f"mugs/{file.name}")
    smooth = Shading("smooth")
    alone = load_shape("cup", file_source(str(model)), "texture", None, smooth)
    piece = load_shape("cup", resolve_shape(f"{library}#mug").source, "texture", None, smooth)
    views = {"elevation": 25.0, "light_elevation": 40.0, "ambient": 0.4, "directional": 0.6}
    one = seen(alone, PLAIN, azimuth=60.0, light_azimuth=100.0, **views)
    other = seen(piece, PLAIN, azimuth=240.0, light_azimuth=280.0, **views)  # their fronts look at the camera
    assert one.std(axis=(1, 2)).min() > 0.05
    np.testing.assert_allclose(other, one, atol=2e-3)
