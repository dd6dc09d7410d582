from __future__ import annotations

import csv
import importlib
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from semrob_env.errors import InvalidMeshError
from semrob_env.scene import mesh as mesh_module
from semrob_env.scene.mesh import Mesh, load_mesh, merge_meshes, normalize

trimesh: Any = importlib.import_module("trimesh")  # its annotations are incomplete
SHARED = Path(__file__).resolve().parents[3] / "shared" / "shapes"

TETRAHEDRON_VERTICES = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 4]], dtype=np.float64)
TETRAHEDRON_FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], dtype=np.int32)
TETRAHEDRON_OBJ = """v 0 0 0
v 1 0 0
v 0 2 0
v 0 0 4
f 1 3 2
f 1 2 4
f 2 3 4
f 1 4 3
"""


def tetrahedron(**changes: Any) -> Mesh:
    fields: dict[str, Any] = {"vertices": TETRAHEDRON_VERTICES, "faces": TETRAHEDRON_FACES, **changes}
    return Mesh(**fields)


def volume(mesh: Mesh) -> float:
    corners = mesh.vertices[mesh.faces]
    return float(np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))) / 6.0


def area(mesh: Mesh) -> float:
    corners = mesh.vertices[mesh.faces]
    return (
        float(np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()) / 2
    )


def triangles(mesh: Mesh) -> set[frozenset[tuple[float, ...]]]:
    return {frozenset(tuple(corner.tolist()) for corner in face) for face in mesh.vertices[mesh.faces]}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- the value ---------------------------------------------------------------------------------------------


def test_a_mesh_keeps_read_only_copies() -> None:
    vertices = TETRAHEDRON_VERTICES.copy()
    mesh = tetrahedron(vertices=vertices, albedo=np.full((4, 3), 0.5))
    vertices[0] = 9.0
    assert mesh.vertices[0].tolist() == [0.0, 0.0, 0.0]
    assert mesh.albedo is not None
    assert [array.dtype.name for array in (mesh.vertices, mesh.faces, mesh.albedo)] == ["float64", "int32", "float32"]
    for array in (mesh.vertices, mesh.faces, mesh.albedo):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vertices": np.zeros((4, 2))}, "shape"),
        ({"vertices": np.full((4, 3), np.nan)}, "NaN"),
        ({"vertices": np.full((4, 3), np.inf)}, "infinite"),
        ({"vertices": np.array([["a"] * 3] * 4)}, "numbers"),
        ({"faces": np.zeros((0, 3), dtype=np.int32)}, "no faces"),
        ({"faces": np.array([[0, 1, 4]])}, "0..3 exist"),
        ({"faces": np.array([[0, 1, -1]])}, "-1..1"),
        ({"faces": np.array([[0, 1, 2, 3]])}, "shape"),
        ({"faces": np.array([[0.0, 1.0, 2.0]])}, "integers"),
        ({"albedo": np.ones((3, 3))}, "one RGB per face"),
        ({"albedo": np.full((4, 3), 1.5)}, "0, 1"),
        ({"albedo": np.full((4, 3), np.nan)}, "0, 1"),
    ],
)
def test_a_malformed_mesh_is_refused_in_one_line(changes: dict[str, npt.NDArray[Any]], message: str) -> None:
    with pytest.raises(InvalidMeshError, match=message) as caught:
        tetrahedron(name="teapot", **changes)
    assert "teapot" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_digest_tells_geometry_and_colour_apart_but_not_names() -> None:
    plain = tetrahedron()
    assert plain.digest == tetrahedron(name="other").digest
    assert plain.digest == tetrahedron(vertices=TETRAHEDRON_VERTICES * 1.0 - 0.0).digest
    assert plain.digest == tetrahedron(vertices=np.where(TETRAHEDRON_VERTICES == 0, -0.0, TETRAHEDRON_VERTICES)).digest
    different = [
        tetrahedron(vertices=TETRAHEDRON_VERTICES + 1e-12),
        tetrahedron(faces=TETRAHEDRON_FACES[:, [1, 2, 0]]),
        tetrahedron(albedo=np.ones((4, 3))),
        tetrahedron(albedo=np.full((4, 3), 0.5)),
    ]
    assert len({plain.digest, *(mesh.digest for mesh in different)}) == 5


def test_merging_shifts_indices_and_writes_white_out() -> None:
    red = tetrahedron(vertices=TETRAHEDRON_VERTICES + 10.0, albedo=np.tile([1.0, 0.0, 0.0], (4, 1)))
    merged = merge_meshes([tetrahedron(), red], name="both")
    assert (len(merged.vertices), len(merged.faces), merged.name) == (8, 8, "both")
    assert triangles(merged) == triangles(tetrahedron()) | triangles(red)
    assert merged.albedo is not None
    assert merged.albedo.tolist() == [[1, 1, 1]] * 4 + [[1, 0, 0]] * 4
    assert merge_meshes([tetrahedron(), tetrahedron()]).albedo is None
    with pytest.raises(InvalidMeshError, match="no mesh"):
        merge_meshes([])


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e300])
def test_normalising_centres_the_box_and_scales_its_largest_side_to_two(scale: float) -> None:
    mesh = normalize(tetrahedron(vertices=scale * (TETRAHEDRON_VERTICES + 1.0)))
    np.testing.assert_allclose(mesh.vertices.min(axis=0), [-0.25, -0.5, -1.0], atol=1e-12)
    np.testing.assert_allclose(mesh.vertices.max(axis=0), [0.25, 0.5, 1.0], atol=1e-12)


def test_normalising_ignores_vertices_that_no_face_uses() -> None:
    stray = np.concatenate([TETRAHEDRON_VERTICES, [[100.0, 0.0, 0.0]]])
    mesh = normalize(tetrahedron(vertices=stray))
    np.testing.assert_array_equal(mesh.vertices[:4], normalize(tetrahedron()).vertices)


def test_a_single_point_cannot_be_normalised() -> None:
    with pytest.raises(InvalidMeshError, match="single point"):
        normalize(tetrahedron(vertices=np.ones((4, 3))))


# --- reading -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".obj", ".OBJ", ".ply", ".stl", ".glb", ".gltf"])
def test_every_format_gives_the_same_solid(tmp_path: Path, suffix: str) -> None:
    source = trimesh.Trimesh(TETRAHEDRON_VERTICES, TETRAHEDRON_FACES, process=False)
    path = tmp_path / f"solid{suffix}"
    if suffix == ".gltf":
        for name, content in source.scene().export(file_type="gltf").items():
            write(tmp_path, "solid.gltf" if name == "model.gltf" else name, content)
    else:
        source.export(path, file_type=suffix.lower()[1:])
    mesh = load_mesh(path)
    assert triangles(mesh) == triangles(tetrahedron())
    assert (len(mesh.vertices), len(mesh.faces), mesh.albedo, mesh.name) == (4, 4, None, "solid")
    assert volume(mesh) == pytest.approx(8.0 / 6.0)
    assert load_mesh(path).digest == mesh.digest


@pytest.mark.parametrize("name", ["my tea cup.obj", "Täßchen-杯.obj", "a#b%20c.obj"])
def test_names_with_spaces_and_foreign_letters_work(tmp_path: Path, name: str) -> None:
    assert load_mesh(write(tmp_path, name, TETRAHEDRON_OBJ)).name == name[:-4]
    assert load_mesh(str(tmp_path / name)).digest == load_mesh(tmp_path / name).digest


def test_polygons_are_cut_into_triangles(tmp_path: Path) -> None:
    text = "v 0 0 0\nv 2 0 0\nv 2 1 0\nv 0 1 0\nv 0 0 1\nv 2 0 1\nv 3 1 1\nv 1 2 1\nv -1 1 1\nf 1 2 3 4\nf 5 6 7 8 9\n"
    mesh = load_mesh(write(tmp_path, "polygons.obj", text))
    assert len(mesh.faces) == 2 + 3
    assert area(mesh) == pytest.approx(2.0 + 5.0)


SPELLINGS = {
    "latin-1": ("# Täßchen\n" + TETRAHEDRON_OBJ).encode("latin-1"),
    "byte order mark": TETRAHEDRON_OBJ.encode("utf-8-sig"),
    "windows lines": TETRAHEDRON_OBJ.replace("\n", "\r\n").encode(),
    "old mac lines": TETRAHEDRON_OBJ.replace("\n", "\r").encode(),
    "tabs": TETRAHEDRON_OBJ.replace(" ", "\t").encode(),
    "indented": TETRAHEDRON_OBJ.replace("v", "  v").replace("f", " f").encode(),
    "continued lines": TETRAHEDRON_OBJ.replace("f 1 ", "f 1 \\\n").encode(),
    "comments after faces": TETRAHEDRON_OBJ.replace("f 1 3 2", "f 1 3 2 # 0 -1").encode(),
    "slashes": TETRAHEDRON_OBJ.replace("f 1 3 2", "vn 0 0 1\nf 1//1 3//1 2//1").encode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_obj_file_may_be_spelt_in_many_ways(tmp_path: Path, spelling: str) -> None:
    assert triangles(load_mesh(write(tmp_path, "solid.obj", SPELLINGS[spelling]))) == triangles(tetrahedron())


@pytest.mark.parametrize("suffix", [".ply", ".stl"])
def test_headers_may_hold_foreign_letters(tmp_path: Path, suffix: str) -> None:
    source = trimesh.Trimesh(TETRAHEDRON_VERTICES, TETRAHEDRON_FACES, process=False)
    text = source.export(file_type="ply" if suffix == ".ply" else "stl_ascii")
    data = text if isinstance(text, bytes) else text.encode()
    first, rest = data.split(b"\n", 1)
    first += b"\ncomment K\xf6rper" if suffix == ".ply" else b" K\xf6rper"
    assert triangles(load_mesh(write(tmp_path, f"solid{suffix}", first + b"\n" + rest))) == triangles(tetrahedron())


def test_relative_indices_count_back_from_their_own_line(tmp_path: Path) -> None:
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 0 0 5\nv 1 0 5\nv 0 1 5\nf -3 -2 -1\n"
    mesh = load_mesh(write(tmp_path, "relative.obj", text))
    assert sorted(mesh.vertices[mesh.faces][:, 0, 2].tolist()) == [0.0, 5.0]


def test_doubled_faces_split_vertices_and_faces_without_area_are_removed(tmp_path: Path) -> None:
    twice = TETRAHEDRON_OBJ + "".join(f"v {x} {y} {z}\n" for x, y, z in TETRAHEDRON_VERTICES)
    twice += "f 5 6 7\nf 6 5 8\nf 7 6 8\nf 8 5 7\n"  # the same four, most of them wound the other way
    twice += "f 1 1 2\nf 1 2 6\nv 0.5 0 0\nf 1 9 2\n"  # repeated corner, repeated place, three in a row
    mesh = load_mesh(write(tmp_path, "twice.obj", twice))
    assert (len(mesh.vertices), len(mesh.faces)) == (4, 4)
    assert volume(mesh) == pytest.approx(8.0 / 6.0)  # the first winding wins


def test_a_scene_graph_is_merged_with_its_transforms(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    solid = trimesh.Trimesh(TETRAHEDRON_VERTICES, TETRAHEDRON_FACES, process=False)
    shift = trimesh.transformations.translation_matrix([10.0, 0.0, 0.0])
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    scene.add_geometry(solid, geom_name="solid", node_name="plain")
    scene.graph.update("moved", matrix=shift, geometry="solid")
    scene.graph.update("mirrored", frame_from="moved", matrix=mirror, geometry="solid")
    path = tmp_path / "scene.glb"
    scene.export(path)
    mesh = load_mesh(path)
    assert len(mesh.faces) == 4 + 4 + 4 - 1  # the mirror image shares the face x = 10 with its original
    assert mesh.vertices[:, 0].min() == pytest.approx(0.0)
    assert mesh.vertices[:, 0].max() == pytest.approx(11.0)
    mirrored = mesh.vertices[:, 0] < 10.0 - 1e-6
    assert mirrored.sum() == 4 + 1


def test_a_mirroring_transform_keeps_the_winding_outward(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    solid = trimesh.Trimesh(TETRAHEDRON_VERTICES, TETRAHEDRON_FACES, process=False)
    scene.add_geometry(solid, transform=np.diag([-1.0, 1.0, 1.0, 1.0]))
    path = tmp_path / "mirror.glb"
    scene.export(path)
    assert volume(load_mesh(path)) == pytest.approx(8.0 / 6.0)


# --- colours -----------------------------------------------------------------------------------------------

COLOURED_OBJ = (
    "mtllib paint.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nvt 0.25 0.25\n"
    "usemtl red\nf 1/1 2/1 3/1\nusemtl plain\nf 1/1 2/1 4/1\nusemtl picture\nf 1/1 3/1 4/1\n"
)


def colours_by_normal_axis(mesh: Mesh) -> dict[int, list[float]]:
    assert mesh.albedo is not None
    corners = mesh.vertices[mesh.faces]
    normals = np.abs(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    return {int(axis): colour.tolist() for axis, colour in zip(normals.argmax(axis=1), mesh.albedo, strict=True)}


def test_materials_colour_faces_only_on_request(tmp_path: Path) -> None:
    picture = np.zeros((2, 2, 3), dtype=np.uint8)
    picture[1, 0] = [0, 0, 255]  # lower left, where the texture coordinate (0.25, 0.25) points
    Image.fromarray(picture).save(tmp_path / "picture.png")
    write(tmp_path, "paint.mtl", "newmtl red\nKd 1 0 0\nnewmtl plain\nKs 1 1 1\nnewmtl picture\nmap_Kd picture.png\n")
    path = write(tmp_path, "coloured.obj", COLOURED_OBJ)
    assert load_mesh(path).albedo is None
    assert colours_by_normal_axis(load_mesh(path, colors=True)) == {2: [1, 0, 0], 1: [1, 1, 1], 0: [0, 0, 1]}


def test_a_missing_material_or_picture_leaves_faces_white(tmp_path: Path) -> None:
    path = write(tmp_path, "coloured.obj", COLOURED_OBJ)
    white = {axis: [1.0, 1.0, 1.0] for axis in range(3)}
    assert load_mesh(path).albedo is None
    assert colours_by_normal_axis(load_mesh(path, colors=True)) == white
    write(tmp_path, "paint.mtl", "newmtl picture\nmap_Kd gone.png\n")
    assert colours_by_normal_axis(load_mesh(path, colors=True)) == white


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_colours_in_ply_and_glb_files_are_read(tmp_path: Path, suffix: str) -> None:
    solid = trimesh.Trimesh(TETRAHEDRON_VERTICES, TETRAHEDRON_FACES, process=False)
    if suffix == ".ply":
        solid.visual = trimesh.visual.ColorVisuals(solid, face_colors=np.tile([0, 255, 0, 255], (4, 1)))
    else:
        green = trimesh.visual.material.PBRMaterial(baseColorFactor=[0.0, 1.0, 0.0, 1.0])
        solid.visual = trimesh.visual.TextureVisuals(uv=np.zeros((4, 2)), material=green)
    path = tmp_path / f"green{suffix}"
    solid.export(path)
    albedo = load_mesh(path, colors=True).albedo
    assert albedo is not None
    assert albedo.tolist() == [[0.0, 1.0, 0.0]] * 4


# --- refusals ----------------------------------------------------------------------------------------------

BAD_FILES: dict[str, tuple[str, str | bytes, str]] = {
    "empty": ("empty.obj", "", "empty"),
    "only spaces": ("blank.obj", "  \n\n", "no faces|not a readable"),
    "unknown type": ("scan.xyz", "0 0 0\n", "not supported"),
    "no type": ("scan", "0 0 0\n", "not supported"),
    "points only": ("points.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no faces"),
    "lines only": ("lines.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nl 1 2 3\n", "no faces"),
    "no faces in ply": (
        "points.ply",
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
        "element face 0\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n",
        "no faces",
    ),
    "all degenerate": ("flat.obj", "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\nf 1 1 2\n", "no face has an area"),
    "one point": ("point.obj", "v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "no face has an area"),
    "nan": ("nan.obj", TETRAHEDRON_OBJ.replace("v 1 0 0", "v nan 0 0"), "NaN or infinite"),
    "infinite": ("inf.obj", TETRAHEDRON_OBJ.replace("v 1 0 0", "v 1e999 0 0"), "NaN or infinite"),
    "unknown vertex": ("index.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "not a readable OBJ"),
    "vertex zero": ("zero.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "count from 1"),
    "relative too far": ("far.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -1 -2 -4\n", "stand above"),
    "letters": ("letters.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf a b c\n", "not a readable OBJ"),
    "letters in a vertex": ("letters.obj", "v 0 0 0\nv x 0 0\nv 0 1 0\nf 1 2 3\n", "not a readable OBJ"),
    "broken ply": ("broken.ply", "ply\nformat binary_little_endian 1.0\nelement vertex 9\n", "not a readable PLY"),
    "broken stl": ("broken.stl", b"\x00" * 90, "not a readable STL|no faces"),
    "broken glb": ("broken.glb", b"glTF" + b"\x02" * 60, "not a readable GLB"),
    "broken gltf": ("broken.gltf", "{", "not a readable GLTF"),
    "picture": ("picture.glb", b"\x89PNG\r\n\x1a\n" + b"\x00" * 50, "not a readable GLB"),
    "ply that promises too much": (
        "bomb.ply",
        "ply\nformat binary_little_endian 1.0\nelement vertex 999999999999\nproperty float x\nend_header\n",
        "more than",
    ),
    "stl that promises too much": (
        "short.stl",
        b"\x00" * 80 + b"\xff\xff\xff\xff" + b"\x00" * 50,
        "not a readable|more",
    ),
    "gltf that promises too much": (
        "bomb.gltf",
        json.dumps({
            "asset": {"version": "2.0"},
            "accessors": [{"count": 10**12, "componentType": 5126, "type": "VEC3"}],
        }),
        "more than",
    ),
    "remote buffer": (
        "remote.gltf",
        json.dumps({"asset": {"version": "2.0"}, "buffers": [{"uri": "http://localhost/x.bin", "byteLength": 12}]}),
        "not a readable GLTF",
    ),
    "buffer outside the folder": (
        "outside.gltf",
        json.dumps({"asset": {"version": "2.0"}, "buffers": [{"uri": "../../../etc/hostname", "byteLength": 12}]}),
        "not a readable GLTF",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line_and_without_noise(
    case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    name, content, message = BAD_FILES[case]
    path = write(tmp_path, name, content)
    with caplog.at_level(logging.DEBUG), pytest.raises(InvalidMeshError, match=message) as caught:
        load_mesh(path, colors=True)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidMeshError, match="no such file"):
        load_mesh(tmp_path / "gone.obj")
    (tmp_path / "folder.obj").mkdir()
    with pytest.raises(InvalidMeshError, match="is a directory"):
        load_mesh(tmp_path / "folder.obj")


def test_files_beyond_the_bounds_are_refused_before_parsing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "solid.obj", TETRAHEDRON_OBJ)
    monkeypatch.setattr("trimesh.load_scene", lambda *_, **__: pytest.fail("was parsed"))
    with monkeypatch.context() as bounds:
        bounds.setattr(mesh_module, "MAX_FILE_BYTES", 50)
        with pytest.raises(InvalidMeshError, match="bytes are more than the 50 allowed"):
            load_mesh(path)
    monkeypatch.setattr(mesh_module, "MAX_FACES", 3)
    with pytest.raises(InvalidMeshError, match="4 faces are more than the 3 allowed"):
        load_mesh(path)


def test_copies_in_a_scene_graph_count_before_they_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = trimesh.Scene()
    scene.add_geometry(trimesh.Trimesh(TETRAHEDRON_VERTICES, TETRAHEDRON_FACES, process=False), geom_name="solid")
    for copy in range(9):
        scene.graph.update(f"copy {copy}", matrix=np.eye(4), geometry="solid")
    path = tmp_path / "copies.glb"
    scene.export(path)
    monkeypatch.setattr(mesh_module, "MAX_FACES", 39)
    with pytest.raises(InvalidMeshError, match="40 faces are more than the 39 allowed"):
        load_mesh(path)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("exploded"),))


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".stl", ".glb", ".gltf"])
def test_a_pickle_in_disguise_is_not_executed(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, f"pickle{suffix}", pickle.dumps(Bomb()))
    with pytest.raises(InvalidMeshError):
        load_mesh(path)
    assert not (tmp_path / "exploded").exists()


# --- real files --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the ShapeNet examples are not beside the project")
def test_shapenet_files_lose_their_second_half() -> None:
    rows = list(csv.DictReader((SHARED / "index.csv").read_text().splitlines()))
    for row in rows:
        path = SHARED / row["class"] / row["shape_id"] / "models" / "model_normalized.obj"
        mesh = load_mesh(path)
        stored = sum(line.startswith("f ") for line in path.read_text().splitlines())
        assert 0.45 < len(mesh.faces) / stored < 0.52, path
        assert np.abs(normalize(mesh).vertices).max() == pytest.approx(1.0)
        coloured = load_mesh(path, colors=True)
        assert coloured.albedo is not None
        assert len(coloured.faces) == len(mesh.faces)
        assert area(coloured) == pytest.approx(area(mesh))
    assert len(rows) >= 1
