"""What a glTF file may hold: drawn where the specification puts it, in its color, or refused by name."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.mesh_files import load_mesh
from semrob_env.scene.readers import gltf, gltf_data, paint
from tests.scene.gltf_maker import BLUE, CUBE, CUBE_FACES, GREEN, RED, WHITE, Gltf, everywhere, png

QUARTER = [float(np.sqrt(0.5)), 0.0, 0.0, float(np.sqrt(0.5))]
"""A quarter turn about x: y to z."""


def extent(mesh: Mesh) -> list[list[float]]:
    return [np.round(side, 5).tolist() for side in (mesh.vertices.min(axis=0), mesh.vertices.max(axis=0))]


def volume(mesh: Mesh) -> float:
    corners = mesh.vertices[mesh.faces]
    return float(np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))) / 6.0


def color(path: Path) -> list[int]:
    """The one color of all faces, of 255."""
    albedo = load_mesh(path, colors=True).albedo
    assert albedo is not None
    assert (albedo == albedo[0]).all()
    return [round(255 * float(share)) for share in albedo[0]]


def refused(path: Path, message: str, *, colors: bool = False) -> None:
    with pytest.raises(InvalidMeshError, match=message) as caught:
        load_mesh(path, colors=colors)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


# --- what is required and not known ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["KHR_draco_mesh_compression", "EXT_meshopt_compression", "VENDOR_curved_faces"])
def test_an_extension_that_is_required_and_not_known_is_refused_by_name(tmp_path: Path, name: str) -> None:
    cube = Gltf()
    cube.json |= {"extensionsUsed": [name], "extensionsRequired": [name]}
    refused(cube.write(tmp_path), f"requires {name}, which is not supported")


def test_extensions_of_looks_do_not_keep_a_white_shape_away(tmp_path: Path) -> None:
    cube = Gltf()
    cube.json["extensionsRequired"] = ["KHR_texture_basisu", "KHR_materials_unlit", "KHR_lights_punctual"]
    assert volume(load_mesh(cube.write(tmp_path))) == pytest.approx(8.0)


def test_a_compressed_part_is_refused_by_name_though_nothing_says_that_it_is_required(tmp_path: Path) -> None:
    cube = Gltf()
    packed = {"extensions": {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}}
    cube.json["meshes"].append({"primitives": [{**cube.primitive, **packed}]})
    cube.json["nodes"].append({"mesh": 1, "translation": [4, 0, 0]})
    cube.json["scenes"][0]["nodes"].append(1)
    assert extent(load_mesh(cube.write(tmp_path))) == [[-1, -1, -1], [5, 1, 1]]  # the plain copy is right
    cube.json["accessors"].append({"componentType": 5126, "count": 8, "type": "VEC3"})
    cube.json["meshes"][1]["primitives"][0]["attributes"] = {"POSITION": 2}
    refused(cube.write(tmp_path), "compressed by KHR_draco_mesh_compression, which is not supported")


def test_a_compressed_view_is_refused_by_name_where_no_plain_copy_stands_behind_it(tmp_path: Path) -> None:
    cube = Gltf()
    cube.json["bufferViews"][0]["extensions"] = {"EXT_meshopt_compression": {"buffer": 1, "byteLength": 9, "count": 8}}
    assert volume(load_mesh(cube.write(tmp_path))) == pytest.approx(8.0)
    cube.json["buffers"][0] = {"byteLength": 96, "extensions": {"EXT_meshopt_compression": {"fallback": True}}}
    refused(cube.write(tmp_path), "EXT_meshopt_compression.*not supported")


# --- numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["int8", "int16", "uint8", "uint16"])
@pytest.mark.parametrize("normalized", [True, False])
def test_whole_numbers_are_divided_where_they_are_normalized(tmp_path: Path, kind: str, normalized: bool) -> None:
    top = int(np.iinfo(kind).max)
    low = -1 if kind.startswith("i") else 0
    points = np.where(CUBE > 0, top, low * top).astype(kind)
    cube = Gltf(points, normalized=normalized)
    cube.json["nodes"].append({"mesh": 0, "translation": [4, 0, 0]})
    cube.json["scenes"][0]["nodes"].append(1)
    side = 1 if normalized else top
    expected = [[low * side, low * side, low * side], [side + 4, side, side]]
    assert extent(load_mesh(cube.write(tmp_path))) == expected


@pytest.mark.parametrize("base", [True, False])
def test_a_sparse_accessor_replaces_some_of_its_elements(tmp_path: Path, base: bool) -> None:
    cube = Gltf()
    places = [1, 3, 5, 7] if base else list(range(8))
    values = (CUBE * [1, 1, 3])[places].astype(np.float32)
    accessor = cube.json["accessors"][0]
    accessor["sparse"] = {
        "count": len(places),
        "indices": {"bufferView": cube.view(np.array(places, dtype=np.uint8).tobytes()), "componentType": 5121},
        "values": {"bufferView": cube.view(values.tobytes())},
    }
    if not base:
        del accessor["bufferView"]
    assert extent(load_mesh(cube.write(tmp_path))) == [[-1, -1, -1 if base else -3], [1, 1, 3]]
    accessor["sparse"]["indices"]["componentType"] = 5123
    accessor["sparse"]["count"] = 2
    refused(cube.write(tmp_path), "sparse accessor 0 do not ascend within 8")


def test_an_interleaved_view_is_read_with_its_stride(tmp_path: Path) -> None:
    cube = Gltf()
    cube.json["accessors"][0] |= {"bufferView": cube.view(np.pad(CUBE, ((0, 0), (2, 3))).tobytes()), "byteOffset": 8}
    cube.json["bufferViews"][-1]["byteStride"] = 32
    assert volume(load_mesh(cube.write(tmp_path))) == pytest.approx(8.0)
    cube.json["accessors"][0]["byteOffset"] = 24
    refused(cube.write(tmp_path), "reaches beyond its buffer")


# --- shapes ------------------------------------------------------------------------------------------------


def test_strips_and_fans_are_triangles(tmp_path: Path) -> None:
    cube = Gltf()
    strip = np.array([[3], [3], [7], [1], [5], [4], [7], [6], [3], [2], [1], [0], [4], [2], [6]], dtype=np.uint8)
    cube.primitive |= {"indices": cube.add(strip), "mode": 5}
    assert volume(load_mesh(cube.write(tmp_path))) == pytest.approx(8.0)
    angles = np.arange(8) * np.pi / 4
    disc = np.stack([np.cos(angles), 2 + 0 * angles, -np.sin(angles)], axis=1).astype(np.float32)
    cube.json["meshes"][0]["primitives"].append({"attributes": {"POSITION": cube.add(disc)}, "mode": 6})
    mesh = load_mesh(cube.write(tmp_path))
    assert len(mesh.faces) == 12 + 6
    corners = mesh.vertices[mesh.faces]
    upper = corners[(corners[:, :, 1] == 2.0).all(axis=1)]
    normals = np.cross(upper[:, 1] - upper[:, 0], upper[:, 2] - upper[:, 0]) / 2
    np.testing.assert_allclose(normals.sum(axis=0), [0, 2 * np.sqrt(2), 0], atol=1e-6)


def test_lines_and_points_draw_no_faces_and_other_modes_are_refused(tmp_path: Path) -> None:
    cube = Gltf()
    cube.json["meshes"][0]["primitives"] += [{**cube.primitive, "mode": mode} for mode in range(4)]
    assert len(load_mesh(cube.write(tmp_path)).faces) == 12
    cube.primitive["mode"] = 7
    refused(cube.write(tmp_path), "mode 7, which is not read")


def skinned() -> Gltf:
    """A cube between two joints, its upper corners (y) on the second, below a node that lies on its back."""
    cube = Gltf()
    weights = np.zeros((8, 4), dtype=np.float32)
    weights[:, 0], weights[:, 1] = CUBE[:, 1] < 0, CUBE[:, 1] > 0
    cube.primitive["attributes"] |= {
        "JOINTS_0": cube.add(np.tile(np.array([[0, 1, 0, 0]], dtype=np.uint8), (8, 1))),
        "WEIGHTS_0": cube.add(weights),
    }
    cube.json["skins"] = [{"joints": [2, 3]}]
    cube.json["nodes"] = [
        {"rotation": QUARTER, "children": [1]},
        {"mesh": 0, "skin": 0, "translation": [9, 9, 9]},
        {"children": [3]},
        {},
    ]
    cube.json["scenes"][0]["nodes"] = [0, 2]
    return cube


def test_only_its_joints_move_a_mesh_with_a_skin(tmp_path: Path) -> None:
    cube = skinned()
    assert extent(load_mesh(cube.write(tmp_path))) == [[-1, -1, -1], [1, 1, 1]]
    cube.json["nodes"][3]["translation"] = [0, 2, 0]
    assert extent(load_mesh(cube.write(tmp_path))) == [[-1, -1, -1], [1, 3, 1]]
    inverse = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
    inverse[1, 3, 1] = -2.0  # column after column: as if the second joint had stood there when it was bound
    cube.json["skins"][0]["inverseBindMatrices"] = cube.add(inverse.reshape(2, 16))
    assert extent(load_mesh(cube.write(tmp_path))) == [[-1, -1, -1], [1, 1, 1]]
    cube.json["nodes"][2]["rotation"] = QUARTER
    assert extent(load_mesh(cube.write(tmp_path))) == [[-1, -1, -1], [1, 1, 1]]
    cube.json["skins"][0]["joints"] = [2]
    refused(cube.write(tmp_path), "joints that its skin has not")


def test_weights_of_a_skin_count_as_shares_of_their_sum(tmp_path: Path) -> None:
    cube = skinned()
    weights = np.tile(np.array([[64, 64, 0, 0]], dtype=np.uint8), (8, 1))
    cube.primitive["attributes"]["WEIGHTS_0"] = cube.add(weights, normalized=True)
    cube.json["nodes"][3]["translation"] = [0, 2, 0]
    assert extent(load_mesh(cube.write(tmp_path))) == [[-1, 0, -1], [1, 2, 1]]


def test_morph_targets_move_vertices_by_the_weights_of_the_node_else_of_the_mesh(tmp_path: Path) -> None:
    cube = Gltf()
    cube.primitive["targets"] = [
        {"POSITION": cube.add((CUBE * [2, 0, 0]).astype(np.float32))},
        {"POSITION": cube.add((CUBE * [0, 4, 0]).astype(np.float32))},
    ]
    assert extent(load_mesh(cube.write(tmp_path)))[1] == [1, 1, 1]
    cube.json["meshes"][0]["weights"] = [0.5, 1.0]
    assert extent(load_mesh(cube.write(tmp_path)))[1] == [2, 5, 1]
    cube.json["nodes"][0]["weights"] = [1.0, 0.0]
    assert extent(load_mesh(cube.write(tmp_path)))[1] == [3, 1, 1]


def test_a_morph_target_bends_normals_too(tmp_path: Path) -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=np.float32)
    upright = square[:, [2, 1, 0]] * np.array([1, 1, -1], dtype=np.float32)
    file = Gltf(square, np.array([(0, 1, 2), (0, 2, 3)], dtype=np.uint16))
    ahead, aside = (np.tile(np.array([own], dtype=np.float32), (4, 1)) for own in ((0, 0, 1), (1, 0, 0)))
    file.primitive["attributes"]["NORMAL"] = file.add(ahead)
    file.primitive["targets"] = [{"POSITION": file.add(upright - square), "NORMAL": file.add(aside - ahead)}]
    for weight, expected in ((0.0, [0, 0, 1]), (0.5, [0.5**0.5, 0, 0.5**0.5]), (1.0, [1, 0, 0])):
        file.json["meshes"][0]["weights"] = [weight]
        surface = load_mesh(file.write(tmp_path), surface=True).surface
        assert surface is not None
        assert surface.normals is not None
        np.testing.assert_allclose(surface.normals, np.broadcast_to(expected, (2, 3, 3)), atol=1e-6)


def test_matrices_that_do_more_than_move_and_shear_or_are_missing_are_refused(tmp_path: Path) -> None:
    cube = Gltf()
    for last in ([0.5, 0, 0, 1], [0, 0, 0, 2]):
        matrix = np.eye(4)
        matrix[3] = last
        cube.json["nodes"] = [{"mesh": 0, "matrix": matrix.T.ravel().tolist()}]
        refused(cube.write(tmp_path), "another last row than 0, 0, 0, 1")
    cube = skinned()
    cube.json["skins"][0]["inverseBindMatrices"] = cube.add(np.eye(4, dtype=np.float32).reshape(1, 16))
    refused(cube.write(tmp_path), "not one inverse bind matrix for each joint")


def test_instances_stand_where_their_lists_say_and_keep_their_winding(tmp_path: Path) -> None:
    cube = Gltf()
    places = {
        "TRANSLATION": cube.add(np.array([[0, 0, 0], [10, 0, 0], [20, 0, 0]], dtype=np.float32)),
        "ROTATION": cube.add(
            np.array([[0, 0, 0, 127], [90, 0, 0, 90], [0, 0, 0, 127]], dtype=np.int8), normalized=True
        ),
        "SCALE": cube.add(np.array([[1, 1, 1], [1, 1, 2], [-1, 1, 3]], dtype=np.float32)),
    }
    cube.json["nodes"][0] |= {
        "translation": [0, 5, 0],
        "extensions": {"EXT_mesh_gpu_instancing": {"attributes": places}},
    }
    cube.json["extensionsRequired"] = ["EXT_mesh_gpu_instancing"]
    cube.primitive["attributes"]["COLOR_0"] = cube.add(np.tile(np.array([[255, 0, 0, 255]], dtype=np.uint8), (8, 1)))
    mesh = load_mesh(cube.write(tmp_path), colors=True)
    assert len(mesh.faces) == 36
    assert extent(mesh) == [[-1, 3, -3], [21, 7, 3]]
    assert volume(mesh) == pytest.approx(8 + 16 + 24, rel=1e-4)
    assert color(cube.write(tmp_path)) == list(RED)
    del cube.json["accessors"][places["SCALE"]]["bufferView"]
    refused(cube.write(tmp_path), "holds no data")


def test_cameras_and_lights_carry_the_nodes_below_them(tmp_path: Path) -> None:
    cube = Gltf()
    cube.json["cameras"] = [{"type": "perspective", "perspective": {"yfov": 1, "znear": 1, "aspectRatio": 1}}]
    light = {"extensions": {"KHR_lights_punctual": {"light": 0}}}
    cube.json["nodes"] = [
        {"camera": 0, "translation": [3, 0, 0], "children": [1]},
        {**light, "children": [2]},
        {"mesh": 0},
    ]
    assert extent(load_mesh(cube.write(tmp_path))) == [[2, -1, -1], [4, 1, 1]]


def test_a_node_that_is_hidden_hides_those_below_it(tmp_path: Path) -> None:
    cube = Gltf()
    hidden = {"extensions": {"KHR_node_visibility": {"visible": False}}, "translation": [9, 0, 0], "children": [2]}
    cube.json["nodes"] = [{"mesh": 0, "children": [1]}, hidden, {"mesh": 0}]
    assert extent(load_mesh(cube.write(tmp_path)))[1] == [1, 1, 1]


def test_without_a_scene_all_nodes_are_drawn(tmp_path: Path) -> None:
    cube = Gltf()
    cube.json["nodes"] = [{"translation": [3, 0, 0], "children": [1]}, {"mesh": 0}]
    del cube.json["scenes"]
    assert extent(load_mesh(cube.write(tmp_path))) == [[2, -1, -1], [4, 1, 1]]


def test_a_chain_of_nodes_of_any_depth_is_followed(tmp_path: Path) -> None:
    cube = Gltf()
    cube.json["nodes"] = [{"translation": [1, 0, 0], "children": [k + 1]} for k in range(3000)] + [{"mesh": 0}]
    assert extent(load_mesh(cube.write(tmp_path))) == [[2999, -1, -1], [3001, 1, 1]]


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "two parents": (lambda file: file["scenes"][0].update(nodes=[0, 0]), "in two places"),
    "a circle": (lambda file: file["nodes"][0].update(children=[0]), "below itself"),
    "a node that is not there": (lambda file: file["scenes"][0].update(nodes=[-1]), "refers to -1 of 1 'nodes'"),
    "a mesh that is not there": (lambda file: file["nodes"][0].update(mesh=1), "refers to 1 of 1 'meshes'"),
    "a true index": (lambda file: file["nodes"][0].update(mesh=False), "refers to False"),
    "glTF 1": (lambda file: file["asset"].update(version="1.0"), "glTF 1.0, and only 2.0"),
    "a later glTF": (lambda file: file["asset"].update(minVersion="2.1"), "glTF 2.1, and only 2.0"),
    "a list for an object": (lambda file: file.update(nodes=[[]]), "no list of objects"),
    "vertices beyond": (lambda file: file["accessors"][0].update(count=7), "refers to vertex 7, but only 0..6"),
    "a negative offset": (lambda file: file["bufferViews"][0].update(byteOffset=-1), "cut off"),
    "no stride": (lambda file: file["bufferViews"][0].update(byteStride=0), "beyond its buffer"),
    "half a triangle": (lambda file: file["accessors"][1].update(count=35), "35 corners"),
    "a buffer cut off": (lambda file: file["buffers"][0].update(byteLength=97), "cut off"),
    "pairs for triples": (lambda file: file["accessors"][0].update(type="VEC2"), "no triples"),
    "signed indices": (lambda file: file["accessors"][1].update(componentType=5122), "no whole numbers"),
    "a matrix of three": (lambda file: file["nodes"][0].update(matrix=[1, 2, 3]), "not a readable GLTF"),
    "one number for three": (lambda file: file["nodes"][0].update(translation=[1]), "three, four and three"),
    "a text for a number": (lambda file: file["nodes"][0].update(translation="up"), "not a readable GLTF"),
}
"""What is changed in a file, and what is said of it."""


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, case: str) -> None:
    cube = Gltf()
    change, message = BROKEN[case]
    change(cube.json)
    refused(cube.write(tmp_path), message)


def test_a_glb_is_read_to_its_end_and_refused_where_it_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "cube.glb"
    whole = Gltf().glb()
    path.write_bytes(whole)
    assert volume(load_mesh(path)) == pytest.approx(8.0)
    path.write_bytes(whole + b"\xff" * 50)  # behind the end that it tells
    assert volume(load_mesh(path)) == pytest.approx(8.0)
    for size in (4, 19, 40, len(whole) - 60, len(whole) - 1):
        path.write_bytes(whole[:size])
        refused(path, "not a readable GLB")


def test_uris_are_percent_encoded_and_marks_at_the_start_are_passed_over(tmp_path: Path) -> None:
    cube = Gltf()
    cube.paint(png(RED), everywhere(0.5))
    for number, name in enumerate(["my cube.bin", "100%25.bin", "w\u00fcrfel.bin"]):
        uri = cube.json["buffers"][number]["uri"]
        (tmp_path / name).write_bytes(base64.b64decode(uri.partition(",")[2]))
    for number, name in enumerate(["my%20cube.bin", "100%25.bin", "w%C3%BCrfel.bin"]):
        cube.json["buffers"][number]["uri"] = name
    (tmp_path / "in a folder").mkdir()
    (tmp_path / "in a folder" / "red.png").write_bytes(png(RED))
    cube.json["images"] = [{"uri": "in%20a%20folder/red.png"}]
    path = tmp_path / "my cube.gltf"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_bytes(json.dumps(cube.json).encode(encoding))
        assert volume(load_mesh(path)) == pytest.approx(8.0)
        assert color(path) == list(RED)


def test_data_uris_may_be_spelt_in_many_ways(tmp_path: Path) -> None:
    cube = Gltf()
    for buffer, (old, new) in zip(
        cube.json["buffers"], [("/", "%2F"), ("data:", "DATA:"), (";base64", ";charset=utf-8;BASE64")], strict=False
    ):
        head, _, body = buffer["uri"].partition(",")
        buffer["uri"] = f"{head.replace(old, new)},{body.replace(old, new).replace('=', '%3D')}"
    cube.json["buffers"][0]["uri"] = cube.json["buffers"][0]["uri"].replace("application%2F", "application/")
    assert volume(load_mesh(cube.write(tmp_path))) == pytest.approx(8.0)
    cube.json["buffers"][0]["uri"] = "data:;base64,__--"
    refused(cube.write(tmp_path), "Only base64 data is allowed")


# --- colors ------------------------------------------------------------------------------------------------

FOUR = png(RED, GREEN, BLUE, WHITE)
"""Middles at 1/8, 3/8, 5/8 and 7/8."""


@pytest.mark.parametrize("kind", ["float32", "uint8", "uint16"])
def test_colors_of_vertices_are_multiplied_by_those_of_the_material(tmp_path: Path, kind: str) -> None:
    top = 1 if kind == "float32" else np.iinfo(kind).max
    cube = Gltf()
    values = np.tile(np.array([[top, top, 0, top]]), (8, 1)).astype(kind)
    cube.primitive["attributes"]["COLOR_0"] = cube.add(values, normalized=kind != "float32")
    assert color(cube.write(tmp_path)) == [255, 255, 0]
    cube.json["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [1, 0.2, 1, 1]}}]
    cube.primitive["material"] = 0
    assert color(cube.write(tmp_path)) == [255, 51, 0]


def test_colors_of_vertices_of_another_type_are_refused(tmp_path: Path) -> None:
    cube = Gltf()
    cube.primitive["attributes"]["COLOR_0"] = cube.add(np.zeros((8, 3), dtype=np.uint32), normalized=True)
    refused(cube.write(tmp_path), "no RGB or RGBA", colors=True)


@pytest.mark.parametrize("kind", ["float32", "uint8", "uint16", "int8"])
def test_texture_coordinates_may_be_whole_numbers(tmp_path: Path, kind: str) -> None:
    cube = Gltf()
    cube.paint(FOUR, everywhere(0.375, kind=kind))
    assert color(cube.write(tmp_path)) == list(GREEN)


def test_the_second_coordinate_goes_down(tmp_path: Path) -> None:
    cube = Gltf()
    rows = np.array([[RED], [GREEN], [BLUE], [WHITE]], dtype=np.uint8)
    Image.fromarray(rows).save(tmp_path / "rows.png")
    cube.paint((tmp_path / "rows.png").read_bytes(), everywhere(0.5, 0.375))
    assert color(cube.write(tmp_path)) == list(GREEN)


def test_the_second_set_of_texture_coordinates_is_used_where_it_is_named(tmp_path: Path) -> None:
    cube = Gltf()
    cube.primitive["attributes"]["TEXCOORD_0"] = cube.add(everywhere(0.125))
    cube.paint(FOUR, everywhere(0.625), name="TEXCOORD_1", texCoord=1)
    assert color(cube.write(tmp_path)) == list(BLUE)


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ({"offset": [0.25, 0]}, GREEN),
        ({"scale": [3, 1]}, GREEN),
        ({"scale": [3, 1], "offset": [0.25, 0]}, BLUE),
        ({"rotation": np.pi / 2, "offset": [0, 0.5]}, WHITE),  # to (v, 1/2 - u): the second coordinate is 7/8
        ({"rotation": -np.pi / 2, "offset": [1, 0]}, RED),  # to (1 - v, u)
        ({"texCoord": 1}, BLUE),
        ({}, RED),
    ],
)
def test_textures_are_moved_turned_and_scaled(tmp_path: Path, moved: dict[str, Any], expected: tuple[int, ...]) -> None:
    cube = Gltf()
    cube.primitive["attributes"]["TEXCOORD_1"] = cube.add(everywhere(0.625))
    cube.paint(FOUR, everywhere(0.125, 0.875), extensions={"KHR_texture_transform": moved})
    assert color(cube.write(tmp_path)) == list(expected)


@pytest.mark.parametrize(
    ("wrap", "place", "expected"),
    [
        (10497, 1.125, RED), (10497, -0.125, WHITE), (33071, 1.125, WHITE), (33071, -0.125, RED),
        (33648, 1.125, WHITE), (33648, -0.375, GREEN), (33648, 2.125, RED), (None, 1.375, GREEN),
    ],
)  # fmt: skip
@pytest.mark.parametrize("axis", [0, 1])
def test_textures_wrap_as_their_sampler_says(
    tmp_path: Path, wrap: int | None, place: float, expected: tuple[int, ...], axis: int
) -> None:
    cube = Gltf()
    pixels = np.array([[RED, GREEN, BLUE, WHITE]], dtype=np.uint8)
    Image.fromarray(pixels if axis == 0 else pixels.transpose(1, 0, 2)).save(tmp_path / "four.png")
    places = everywhere(place, 0.5) if axis == 0 else everywhere(0.5, place)
    cube.paint((tmp_path / "four.png").read_bytes(), places)
    if wrap is not None:
        cube.json["samplers"] = [{"wrapS" if axis == 0 else "wrapT": wrap}]
        cube.json["textures"][0]["sampler"] = 0
    assert color(cube.write(tmp_path)) == list(expected)


def test_specular_glossiness_gives_the_diffuse_color_and_texture(tmp_path: Path) -> None:
    cube = Gltf()
    cube.paint(FOUR, everywhere(0.875))
    gloss: dict[str, Any] = {"diffuseFactor": [0, 1, 0, 1]}
    cube.json["materials"][0]["extensions"] = {"KHR_materials_pbrSpecularGlossiness": gloss}
    assert color(cube.write(tmp_path)) == list(GREEN)
    gloss |= {"diffuseTexture": {"index": 0}, "diffuseFactor": [1, 1, 0.2, 1]}
    assert color(cube.write(tmp_path)) == [255, 255, 51]


@pytest.mark.parametrize("name", ["EXT_texture_webp", "EXT_texture_avif", "KHR_texture_basisu", "MSFT_texture_dds"])
def test_images_that_extensions_name_are_read_or_refused_by_name(tmp_path: Path, name: str) -> None:
    cube = Gltf()
    cube.paint(FOUR, everywhere(0.125))
    cube.json["textures"] = [{"extensions": {name: {"source": 0}}}]
    assert color(cube.write(tmp_path)) == list(RED)
    cube.json["images"] = [{"bufferView": cube.view(b"\xabKTX 20\xbb\r\n\x1a\n" + bytes(80)), "name": "bark"}]
    assert load_mesh(cube.write(tmp_path)).albedo is None
    refused(cube.write(tmp_path), r"texture 'bark \(image 0\)' cannot be read: no image that is read", colors=True)
    cube.json["textures"] = [{"extensions": {"VENDOR_texture": {}}}]
    refused(cube.write(tmp_path), "needs VENDOR_texture, which is not supported", colors=True)


def test_a_morph_target_of_colors_is_refused_where_colors_are_wanted(tmp_path: Path) -> None:
    cube = Gltf()
    cube.primitive["targets"] = [{"COLOR_0": cube.add(CUBE)}]
    cube.json["meshes"][0]["weights"] = [1.0]
    assert len(load_mesh(cube.write(tmp_path)).faces) == 12
    refused(cube.write(tmp_path), "morph target of it changes colors", colors=True)


# --- bounds ------------------------------------------------------------------------------------------------


def test_copies_nodes_and_values_are_counted_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cube = Gltf()
    places = {"TRANSLATION": cube.add(np.zeros((1000, 3), dtype=np.float32))}
    cube.json["nodes"][0]["extensions"] = {"EXT_mesh_gpu_instancing": {"attributes": places}}
    path = cube.write(tmp_path)
    monkeypatch.setattr("semrob_env.scene.mesh_files.MAX_FACES", 11_999)
    refused(path, "12000 faces are more than the 11999 allowed")
    cube.json["nodes"] = [{"translation": [k, 0, 0], "mesh": 0} for k in range(50)]
    cube.json["scenes"][0]["nodes"] = list(range(50))
    path = cube.write(tmp_path)
    with monkeypatch.context() as bounds:
        bounds.setattr(gltf, "MAX_NODES", 49)
        refused(path, "50 nodes are more than the 49 allowed")
        bounds.setattr(gltf_data, "MAX_JSON_VALUES", 200)
        refused(path, "values in its JSON are more than the 200 allowed")


def test_vertices_that_no_face_uses_are_no_way_around_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cube = Gltf(np.tile(CUBE, (20, 1)), CUBE_FACES[:1])
    cube.json["nodes"] = [{"mesh": 0} for _ in range(5)]
    cube.json["scenes"][0]["nodes"] = list(range(5))
    monkeypatch.setattr("semrob_env.scene.mesh_files.MAX_FACES", 100)
    refused(cube.write(tmp_path), "320 vertices of its nodes are more than the 300 allowed")


def test_textures_are_measured_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cube = Gltf()
    cube.paint(FOUR, everywhere(0.125))
    path = cube.write(tmp_path)
    with monkeypatch.context() as bounds:
        bounds.setattr(paint, "MAX_TEXTURE_PIXELS", 3)
        refused(path, "has 4 x 1 pixels; a texture may have 3", colors=True)
    monkeypatch.setattr(paint, "MAX_PIXELS", 3)
    refused(path, "all of a mesh 3; scale it down", colors=True)


def test_no_program_is_run_for_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("a program was run"))
    cube = Gltf()
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    cube.paint(script, everywhere(0.5))
    refused(cube.write(tmp_path), "cannot be read: no image that is read", colors=True)
