"""Names in files lead nowhere but into the folder of the file: every reader, every way out."""

from __future__ import annotations

import importlib
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semrob_env.containment import inside, is_plain, is_relative
from semrob_env.errors import InvalidMeshError, LibraryError, RefusedFileError, SemrobError
from semrob_env.recorded.release import read_release
from semrob_env.scene.classifiers import openvino_file
from semrob_env.scene.classifiers.onnx_external import external_files
from semrob_env.scene.classifiers.openvino_file import OpenVinoClassifier
from semrob_env.scene.classifiers.quiet_openvino import openvino
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.mesh_files import load_mesh
from semrob_env.scene.sources import file_source, list_shapes, load_shape
from tests.release_writer import legacy_file, map_value

SECRETS = ("secret.obj", "secret.mtl", "secret.png", "secret.bin")
WEDGE = "v 0 0 6\nv 2 0 0\nv 0 4 0\nv 0 0 0\nf 1 2 3\nf 1 3 4\nf 1 4 2\nf 2 4 3\n"
TEXTURED = "vt 0.5 0.5\nusemtl paint\n" + "".join(
    f"{line}\n" if line[0] == "v" else "f " + " ".join(f"{corner}/1" for corner in line.split()[1:]) + "\n"
    for line in WEDGE.splitlines()
)
BUFFER = np.array([0, 0, 0, 1, 0, 0, 0, 1, 0, *[0.5] * 6], dtype=np.float32).tobytes()
RED = "newmtl paint\nKd 1 0 0\n"
MAP = "newmtl paint\nmap_Kd "

WAYS_OUT: dict[str, str] = {
    "up": "../outside/{}",
    "down and up": "inner/../../outside/{}",
    "absolute": "{outside}/{}",
    "double slash": "/{outside}/{}",
    "drive": "C:/outside/{}",
    "drive without slash": "C:{}",
    "share": r"\\server\outside\{}",
    "scheme": "file://{outside}/{}",
    "link": "link to {}",
    "linked folder": "door/{}",
}
"""Names that are told about; `{}` stands for the file."""

ODD_WAYS: dict[str, str] = {
    "folder and double slash": "inner/{outside}/{}",
    "backslashes": r"..\outside\{}",
    "dot leaders": "\u2024\u2024/outside/{}",
    "two dot leader": "\u2025/outside/{}",
    "full width": "\uff0e\uff0e\uff0foutside\uff0f{}",
    "division slashes": "..\u2215outside\u2215{}",
    "percent": "%2e%2e%2foutside%2f{}",
    "percent and up": "..%2foutside%2f{}",
}
"""Names of nothing as they are, which something might decode; they are ignored as any missing file."""

EVERY_WAY = {**WAYS_OUT, **ODD_WAYS}

_opened: list[list[str]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened and event == "open" and isinstance(arguments[0], (str, bytes)):
        _opened[-1].append(os.path.realpath(os.fsdecode(arguments[0])))


sys.addaudithook(_note)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with files in it, beside the folder `house` that holds links to them."""
    folder, house = tmp_path / "outside", tmp_path / "house"
    folder.mkdir()
    (house / "inner").mkdir(parents=True)
    (folder / "secret.obj").write_text(WEDGE)
    (folder / "secret.mtl").write_text(RED)
    Image.fromarray(np.full((2, 2, 3), [255, 0, 0], dtype=np.uint8)).save(folder / "secret.png")
    (folder / "secret.bin").write_bytes(BUFFER)
    (house / "door").symlink_to(folder)
    for name in SECRETS:
        (house / f"link to {name}").symlink_to(folder / name)
    return folder


@contextmanager
def opened_below(folder: Path) -> Iterator[list[str]]:
    """The files of a folder that Python opened, by their path in it, once the block has ended."""
    below: list[str] = []
    _opened.append([])
    try:
        yield below
    finally:
        start = f"{os.path.realpath(folder)}{os.sep}"
        below += [path.removeprefix(start) for path in _opened.pop() if path.startswith(start)]


@contextmanager
def untouched(outside: Path) -> Iterator[None]:
    """Fails where a file of the folder is opened or changed."""
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    with opened_below(outside) as opened:
        yield
    assert not opened
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before


def spell(way: str, outside: Path, file: str) -> str:
    return EVERY_WAY[way].format(file, outside=outside)


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def is_red(mesh: Mesh) -> bool:
    return mesh.albedo is not None and bool((mesh.albedo == [1, 0, 0]).all(axis=1).any())


# --- the function ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", EVERY_WAY)
def test_a_name_that_leads_outside_is_one_line(outside: Path, way: str) -> None:
    house, name = outside.parent / "house", spell(way, outside, "secret.bin")
    if way == "folder and double slash":
        assert inside(house, name).is_relative_to(house)
        return
    with pytest.raises(RefusedFileError, match="leads out of the folder") as caught:
        inside(house, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", ".", "./", "..", "a/..", "a\0b", " ../x", "x/.. /y", "a/%2E%2E", "\\x", "z:", "/"]
)
def test_other_names_of_nothing_inside_are_refused(tmp_path: Path, name: str) -> None:
    assert not is_plain(name)
    with pytest.raises(RefusedFileError):
        inside(tmp_path, name)


@pytest.mark.parametrize(
    "name", ["a", "./a", "a//b", "a b/c.png", "..a", "a..", "...", "100%.obj", "ä/花瓶", r"a\b", "ab:c", "bad\udcff"]
)
def test_plain_names_are_found(tmp_path: Path, name: str) -> None:
    assert is_plain(name)
    assert is_relative(name)
    assert inside(tmp_path, name) == Path(os.path.realpath(tmp_path / name))


def test_steps_upwards_count_from_the_start(tmp_path: Path) -> None:
    assert inside(tmp_path, "../images/a.png", start="models") == tmp_path.resolve() / "images/a.png"
    with pytest.raises(RefusedFileError):
        inside(tmp_path, "../../a.png", start="models")


def test_a_folder_may_be_a_link_and_links_within_it_are_followed(outside: Path) -> None:
    door = outside.parent / "house" / "door"
    (outside / "again.bin").symlink_to(outside / "secret.bin")
    assert inside(door, "again.bin") == outside.resolve() / "secret.bin"


# --- meshes ------------------------------------------------------------------------------------------------


def obj_materials(house: Path, name: str) -> Path:
    return put(house, "mesh.obj", f"mtllib {name}\n{TEXTURED}")


def mtl_texture(house: Path, name: str) -> Path:
    put(house, "own.mtl", MAP + name)
    return put(house, "mesh.obj", f"mtllib own.mtl\n{TEXTURED}")


def ply_texture(house: Path, name: str) -> Path:
    header = (
        f"ply\nformat ascii 1.0\ncomment TextureFile {name}\nelement vertex 3\nproperty float x\nproperty float y\n"
        "property float z\nproperty float s\nproperty float t\nelement face 1\nproperty list uchar int vertex_indices\n"
    )
    return put(house, "mesh.ply", f"{header}end_header\n0 0 0 0 0\n1 0 0 0 0\n0 1 0 0 0\n3 0 1 2\n")


def gltf(house: Path, buffer: str, image: str = "") -> Path:
    tree: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "buffers": [{"uri": buffer, "byteLength": 60}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}, {"buffer": 0, "byteOffset": 36, "byteLength": 24}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": 3, "type": "VEC2"},
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
    }
    if image:
        tree["images"] = [{"uri": image}]
        tree["textures"] = [{"source": 0}]
        tree["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
        tree["meshes"][0]["primitives"][0]["material"] = 0
    return put(house, "mesh.gltf", json.dumps(tree))


def gltf_buffer(house: Path, name: str) -> Path:
    return gltf(house, name)


def gltf_image(house: Path, name: str) -> Path:
    put(house, "own.bin", BUFFER)
    return gltf(house, "own.bin", name)


MESHES: dict[Callable[[Path, str], Path], str] = {
    obj_materials: "secret.mtl",
    mtl_texture: "secret.png",
    ply_texture: "secret.png",
    gltf_buffer: "secret.bin",
    gltf_image: "secret.png",
}
"""What writes a mesh that names a file, and the file that it would like to read."""


@pytest.mark.parametrize("make", MESHES)
def test_a_mesh_reads_what_lies_beside_it(outside: Path, make: Callable[[Path, str], Path]) -> None:
    house, file = outside.parent / "house", MESHES[make]
    (house / file).write_bytes((outside / file).read_bytes())
    with opened_below(house) as opened:
        mesh = load_mesh(make(house, f"./{file}"), colors=True)
    assert file in opened
    assert is_red(mesh) or make in (gltf_buffer, ply_texture)  # textures of PLY are read, but not shown yet
    by_its_end = load_mesh(make(house, f"C:/somebody/else/{file}"), colors=True)  # of the machine it was made on
    assert by_its_end.digest == mesh.digest


@pytest.mark.parametrize("way", EVERY_WAY)
@pytest.mark.parametrize("make", MESHES)
def test_a_mesh_reads_nothing_outside(outside: Path, make: Callable[[Path, str], Path], way: str) -> None:
    path = make(outside.parent / "house", spell(way, outside, MESHES[make]))
    with untouched(outside):
        if way in WAYS_OUT or make is gltf_buffer:
            told = "leads out of the folder" if way in WAYS_OUT else "not a readable GLTF"
            with pytest.raises(InvalidMeshError, match=told) as caught:
                load_mesh(path, colors=True)
            assert str(caught.value).startswith(f"{path}: ")
            assert "\n" not in str(caught.value)
        else:
            assert not is_red(load_mesh(path, colors=True))


@pytest.mark.parametrize("way", WAYS_OUT)
@pytest.mark.parametrize("make", [make for make in MESHES if make is not gltf_buffer])
def test_names_of_colors_do_not_matter_where_none_are_wanted(
    outside: Path, make: Callable[[Path, str], Path], way: str
) -> None:
    path = make(outside.parent / "house", spell(way, outside, MESHES[make]))
    with untouched(outside):
        assert load_mesh(path).albedo is None


def test_a_step_upwards_to_nothing_is_a_missing_texture(tmp_path: Path) -> None:
    path = mtl_texture(tmp_path / "models", "../images/gone.png")  # as ShapeNet has them
    assert not is_red(load_mesh(path, colors=True))


def test_a_mesh_that_is_a_link_has_its_materials_beside_the_link(outside: Path) -> None:
    house = outside.parent / "house"
    (outside / "mesh.obj").write_text(f"mtllib secret.mtl\n{TEXTURED}")
    (house / "mesh.obj").symlink_to(outside / "mesh.obj")
    assert not is_red(load_shape("cup", file_source(str(house / "mesh.obj")), "material"))
    (house / "secret.mtl").write_text(RED)
    assert is_red(load_mesh(house / "mesh.obj", colors=True))


# --- libraries ---------------------------------------------------------------------------------------------


def library(house: Path, model: str, members: dict[str, str | bytes], *, links: str = "") -> str:
    with zipfile.ZipFile(house / "library.sh3f", "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if name == links else 0o100644) << 16
            archive.writestr(info, content)
        catalog = f"name#1=Cup\nmodel#1={model.replace(chr(92), chr(92) * 2)}\nid#1=x#box\n"
        archive.writestr("PluginFurnitureCatalog.properties", catalog)
    return f"sh3f:{house}/library.sh3f#box"


def refused(source: str) -> str:
    """The line that refuses a painted shape; empty where it loads, white."""
    try:
        mesh = load_shape("cup", source, "material")
    except (LibraryError, InvalidMeshError) as error:
        return str(error)
    assert not is_red(mesh)
    return ""


@pytest.mark.parametrize("folder", ["b/", ""])
@pytest.mark.parametrize("way", EVERY_WAY)
def test_a_member_is_written_nowhere(outside: Path, way: str, folder: str) -> None:
    name = folder + spell(way, outside, "secret.png")
    source = library(outside.parent / "house", f"/{folder}box.obj", {f"{folder}box.obj": WEDGE, name: b"overwritten"})
    files = sorted(outside.parent.rglob("*"))
    with untouched(outside):
        refusal = refused(source)
        if refusal:
            assert "lies outside the folder of its model" in refusal
        else:
            assert way in ("link", "linked folder", "folder and double slash") or (
                folder and way in ("up", "down and up")
            )
        assert not load_shape("cup", source).albedo
    assert sorted(outside.parent.rglob("*")) == files


@pytest.mark.parametrize("way", EVERY_WAY)
def test_a_model_of_a_library_lies_in_it(outside: Path, way: str) -> None:
    source = library(outside.parent / "house", "/" + spell(way, outside, "secret.obj"), {"box.obj": WEDGE})
    with untouched(outside), pytest.raises(LibraryError, match=r"lies outside the library|is not in the library"):
        load_shape("cup", source)


@pytest.mark.parametrize("key", ["mtllib", "map_Kd"])
@pytest.mark.parametrize("way", EVERY_WAY)
def test_a_piece_names_nothing_outside_its_library(outside: Path, way: str, key: str) -> None:
    name = spell(way, outside, "secret.mtl" if key == "mtllib" else "secret.png")
    members: dict[str, str | bytes] = {"b/box.obj": f"mtllib {name if key == 'mtllib' else 'own.mtl'}\n{TEXTURED}"}
    members["b/own.mtl"] = MAP + name
    source = library(outside.parent / "house", "/b/box.obj", members)
    with untouched(outside):
        refusal = refused(source)
        if refusal:
            assert "leads out of the folder of its model" in refusal
        else:
            assert way not in ("absolute", "double slash", "drive", "drive without slash", "share", "scheme")


def test_a_piece_names_nothing_beside_its_folder_in_the_library(outside: Path) -> None:
    members: dict[str, str | bytes] = {
        "b/box.obj": f"mtllib ../c/paint.mtl\n{TEXTURED}",
        "c/paint.mtl": RED,
        "b/gone.obj": f"mtllib ../c/gone.mtl\n{TEXTURED}",
    }
    with pytest.raises(InvalidMeshError, match=r"'\.\./c/paint\.mtl' leads out of the folder of its model"):
        load_shape("cup", library(outside.parent / "house", "/b/box.obj", members), "material")
    members.pop("c/paint.mtl")
    assert not is_red(load_shape("cup", library(outside, "/b/box.obj", members), "material"))


def test_a_member_that_is_a_link_is_just_its_text(outside: Path) -> None:
    house = outside.parent / "house"
    members: dict[str, str | bytes] = {"box.obj": f"mtllib own.mtl\n{TEXTURED}", "own.mtl": f"{outside}/secret.mtl"}
    source = library(house, "/box.obj", members, links="own.mtl")
    with untouched(outside):
        assert not is_red(load_shape("cup", source, "material"))
        with pytest.raises(InvalidMeshError, match="no faces"):
            load_shape(
                "cup", library(house / "inner", "/own.obj", {"own.obj": f"{outside}/secret.obj"}, links="own.obj")
            )


# --- folders of shapes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", EVERY_WAY)
def test_a_name_of_a_folder_stays_in_it(outside: Path, way: str) -> None:
    house = outside.parent / "house"
    put(house, "own.obj", WEDGE)
    name = spell(way, outside, "secret.obj").replace("%", "%25").replace("\\", "%5C").replace(" ", "%20")
    with untouched(outside), pytest.raises(SemrobError, match=r"has no shape|leads out of the folder") as caught:
        load_shape("cup", f"folder:{house}#{name}")
    assert isinstance(caught.value, LibraryError) == (way in ("link", "linked folder"))
    assert "\n" not in str(caught.value)


def test_a_shape_of_a_shapenet_layout_is_no_link_to_outside(outside: Path) -> None:
    house = outside.parent / "house"
    for path in ("chair/abc/models/model.obj", "chair/def/model_normalized.obj"):
        put(house, path, "").unlink()
        (house / path).symlink_to(outside / "secret.obj")
    for name in ("chair/abc", "chair/def"):
        with untouched(outside), pytest.raises(LibraryError, match="leads out of the folder"):
            load_shape("chair", f"folder:{house}#{name}")


def test_a_listing_leaves_links_to_outside_away(outside: Path) -> None:
    house = outside.parent / "house"
    with pytest.raises(LibraryError, match=r"no mesh file .*, links to outside left out"):
        list_shapes(str(house))
    put(house, "own.obj", WEDGE)
    (house / "again.obj").symlink_to("own.obj")
    with untouched(outside):
        assert [shape.name for shape in list_shapes(str(house))] == ["again.obj", "own.obj"]
    assert [shape.name for shape in list_shapes(str(house / "door"))] == ["secret.obj"]  # the user names the link


def test_a_shape_of_a_folder_may_name_what_the_folder_holds(outside: Path) -> None:
    house = outside.parent / "house"
    mtl_texture(house / "chair/abc/models", "../images/red.png")
    put(house, "chair/abc/images/red.png", (outside / "secret.png").read_bytes())
    assert is_red(load_shape("chair", f"folder:{house}#chair/abc/models/mesh.obj", "material"))
    mtl_texture(house / "chair/abd/models", "../../../../outside/secret.png")
    with untouched(outside), pytest.raises(InvalidMeshError, match="leads out of the folder"):
        load_shape("chair", f"folder:{house}#chair/abd/models/mesh.obj", "material")


# --- whole models ------------------------------------------------------------------------------------------


def onnx_model(house: Path, location: str, *, where: str = "initializer", **more: str) -> Path:
    onnx: Any = importlib.import_module("onnx")
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[15], data_location=1)
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    helper = onnx.helper
    info = [helper.make_tensor_value_info(name, 1, [15]) for name in ("x", "y")]
    node = helper.make_node("Add", ["x", "w"], ["y"])
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    inner = helper.make_graph([constant], "inner", [], [info[1]])
    graph = helper.make_graph([node], "outer", info[:1], info[1:])
    if where == "initializer":
        graph.initializer.append(tensor)
    elif where == "sparse":
        graph.sparse_initializer.add(values=tensor)
    elif where == "constant":
        graph.node.append(constant)
    elif where == "graph":
        graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if where == "function":
        opsets = [helper.make_opsetid("", 17)]
        model.functions.append(helper.make_function("own", "f", [], ["w"], [constant], opsets))
    return put(house, "model.onnx", bytes(model.SerializeToString()))


@pytest.mark.parametrize("way", EVERY_WAY)
def test_weights_of_an_onnx_model_lie_beside_it(outside: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = onnx_model(outside.parent / "house", spell(way, outside, "secret.bin"))
    monkeypatch.setattr(openvino_file, "FrontEndManager", lambda: pytest.fail("OpenVINO was asked"))
    if way == "folder and double slash":
        assert external_files(path)[0].is_relative_to(path.parent)
        return
    with untouched(outside), pytest.raises(RefusedFileError, match=r"model\.onnx: its weights .* leads out") as caught:
        OpenVinoClassifier(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("where", ["initializer", "constant", "graph", "function"])
def test_weights_are_found_wherever_a_tensor_may_be(tmp_path: Path, where: str) -> None:
    path = onnx_model(tmp_path, "w/model.data", where=where)
    assert external_files(path) == (tmp_path.resolve() / "w/model.data",)


def test_sparse_weights_are_refused_as_their_size_has_no_bound(tmp_path: Path) -> None:
    with pytest.raises(RefusedFileError, match="holds sparse weights, which are not read"):
        external_files(onnx_model(tmp_path, "w/model.data", where="sparse"))


def test_weights_of_an_onnx_model_are_no_address_in_memory(tmp_path: Path) -> None:
    secret = np.arange(15, dtype=np.float32)
    path = onnx_model(tmp_path, "*/_ORT_MEM_ADDR_/*", offset=str(secret.ctypes.data), length="60")
    with pytest.raises(RefusedFileError, match="its weights lie at an address in memory"):
        OpenVinoClassifier(path)


@pytest.mark.parametrize(
    "data", [b"", b"\x3a", b"\x3a\x7f", b"\x3b", b"\x39", b"\xff" * 12, b"\xf8\xff\xff\xff\xff\x7f\x00"]
)
def test_what_is_no_protobuf_is_no_onnx_model(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(RefusedFileError, match="is no ONNX file, or it is cut off"):
        external_files(put(tmp_path, "model.onnx", data))


def test_weights_of_an_openvino_model_are_no_link_to_outside(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(outside.parent / "house", "model.xml", "<net/>")
    path.with_suffix(".bin").symlink_to(outside / "secret.bin")
    monkeypatch.setattr(openvino, "Core", lambda: pytest.fail("OpenVINO was asked"))
    with untouched(outside), pytest.raises(RefusedFileError, match=r"its weights 'model\.bin' leads out of the folder"):
        OpenVinoClassifier(path)


# --- the release -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("linked", ["AlexNet", "AlexNet/0", "AlexNet/0/1", "AlexNet/0/1/map.pt"])
def test_a_release_reads_nothing_outside(outside: Path, linked: str) -> None:
    own, other = outside.parent / "house" / "checkpoint", outside / "AlexNet"
    put(own, "VGG/0/0/map.pt", legacy_file(map_value("VGG", 0)))
    put(other, "0/1/map.pt", legacy_file(map_value("AlexNet", 0, 1)))
    (own / linked).parent.mkdir(parents=True, exist_ok=True)
    (own / linked).symlink_to(outside / linked)
    with untouched(outside):
        release = read_release(own.parent)
    assert release.maps is not None
    assert release.maps.names == ("VGG/aeroplane/0",)
    assert any("leads out of the folder" in problem.reason for problem in release.problems)
