from __future__ import annotations

import csv
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.mesh import Mesh, merge_meshes, normalize
from semrob_env.scene.mesh_files import load_mesh

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


def test_the_digest_tells_geometry_and_color_apart_but_not_names() -> None:
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
def test_normalising_centers_the_box_and_scales_its_largest_side_to_two(scale: float) -> None:
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

COLORED_OBJ = (
    "mtllib paint.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nvt 0.25 0.25\n"
    "usemtl red\nf 1/1 2/1 3/1\nusemtl plain\nf 1/1 2/1 4/1\nusemtl picture\nf 1/1 3/1 4/1\n"
)


def colors_by_normal_axis(mesh: Mesh) -> dict[int, list[float]]:
    assert mesh.albedo is not None
    corners = mesh.vertices[mesh.faces]
    normals = np.abs(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    return {int(axis): color.tolist() for axis, color in zip(normals.argmax(axis=1), mesh.albedo, strict=True)}


def test_materials_color_faces_only_on_request(tmp_path: Path) -> None:
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[1, 0] = [0, 0, 255]  # lower left, where the texture coordinate (0.25, 0.25) points
    Image.fromarray(image).save(tmp_path / "picture.png")
    write(tmp_path, "paint.mtl", "newmtl red\nKd 1 0 0\nnewmtl plain\nKs 1 1 1\nnewmtl picture\nmap_Kd picture.png\n")
    path = write(tmp_path, "coloured.obj", COLORED_OBJ)
    assert load_mesh(path).albedo is None
    assert colors_by_normal_axis(load_mesh(path, colors=True)) == {2: [1, 0, 0], 1: [1, 1, 1], 0: [0, 0, 1]}


def test_a_missing_material_or_image_leaves_faces_white(tmp_path: Path) -> None:
    path = write(tmp_path, "coloured.obj", COLORED_OBJ)
    white = {axis: [1.0, 1.0, 1.0] for axis in range(3)}
    assert load_mesh(path).albedo is None
    assert colors_by_normal_axis(load_mesh(path, colors=True)) == white
    write(tmp_path, "paint.mtl", "newmtl picture\nmap_Kd gone.png\n")
    assert colors_by_normal_axis(load_mesh(path, colors=True)) == white


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_colors_in_ply_and_glb_files_are_read(tmp_path: Path, suffix: str) -> None:
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
        colored = load_mesh(path, colors=True)
        assert colored.albedo is not None
        assert len(colored.faces) == len(mesh.faces)
        assert area(colored) == pytest.approx(area(mesh))
    assert len(rows) >= 1
