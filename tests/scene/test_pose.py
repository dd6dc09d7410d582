"""Poses of meshes, named parts of files, and what is said of files that hold more than one object."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.commands.shared.meshes import pose_note
from semrob_env.errors import InvalidMeshError, InvalidParameterError
from semrob_env.functions import make_function
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.function import SceneId
from semrob_env.scene.images import render
from semrob_env.scene.mesh import Mesh, normalize
from semrob_env.scene.mesh_files import load_mesh, mesh_node_names
from semrob_env.scene.objects import object_note
from semrob_env.scene.pose import AXES, Pose
from semrob_env.scene.sources import load_shape, posed, select_shapes
from semrob_env.types import Float32Array, FloatArray

BOX = np.array([[x, y, z] for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0)])
SIDES = np.array([
    [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
    [1, 5, 7], [1, 7, 3],
])  # fmt: skip


def write_obj(path: Path, parts: dict[str, FloatArray], word: str = "o") -> Path:
    """Boxes by name, each in a line of `word`."""
    lines = []
    for number, (name, points) in enumerate(parts.items()):
        lines += [f"{word} {name}"] * bool(name)
        lines += [f"v {x} {y} {z}" for x, y, z in points.tolist()]
        lines += [f"f {a} {b} {c}" for a, b, c in (SIDES + 1 + number * len(BOX)).tolist()]
    path.write_text("\n".join(lines))
    return path


def write_glb(path: Path) -> Path:
    """A root that moves by 10 along x: a table with a leg below it, and a lamp; all are the same triangle."""
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4").tobytes()
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": len(points)}],
        "bufferViews": [{"buffer": 0, "byteLength": len(points)}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "nodes": [
            {"name": "root", "translation": [10, 0, 0], "children": [1, 3]},
            {"name": "table", "mesh": 0, "children": [2]},
            {"name": "leg", "mesh": 0, "translation": [0, -2, 0]},
            {"name": "lamp", "mesh": 0, "translation": [0, 5, 0]},
        ],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(points), 0x004E4942) + points
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return path


@pytest.mark.parametrize("up", AXES)
def test_up_and_front_become_y_and_minus_z_by_a_rotation(up: str) -> None:
    for front in ["", *(axis for axis in AXES if axis[-1] != up[-1])]:
        turns = Pose(up, front).turns
        np.testing.assert_allclose(turns @ turns.T, np.eye(3), atol=1e-15)
        assert np.linalg.det(turns) == pytest.approx(1)
        np.testing.assert_array_equal(turns @ AXES[up], [0, 1, 0])
        if front:
            np.testing.assert_array_equal(turns @ AXES[front], [0, 0, -1])
    assert np.trace(Pose(up).turns) == pytest.approx({"y": 3, "-y": -1}.get(up, 1))  # no longer a turn than needed


def test_turns_are_right_handed_degrees_one_after_the_other() -> None:
    np.testing.assert_allclose(Pose(rotate="z=90").turns @ [1, 0, 0], [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(Pose(rotate="x=90,z=-30").turns, Pose(rotate="z=-30").turns @ Pose(rotate="x=90").turns)
    np.testing.assert_array_equal(Pose(rotate="x=-90").turns, Pose("z").turns)
    np.testing.assert_allclose(Pose(rotate="y=17").turns @ Pose(rotate="y=-17").turns, np.eye(3), atol=1e-15)


def test_a_mesh_is_turned_then_centered_then_scaled_or_not() -> None:
    mesh = Mesh(BOX * [0.2, 0.4, 0.6] + 5, SIDES)
    assert Pose().applied(mesh).digest == normalize(mesh).digest
    stood = Pose("z").applied(mesh).vertices
    np.testing.assert_allclose(stood.max(axis=0), [1 / 3, 1, 2 / 3])
    kept = Pose("z", scale="keep").applied(mesh).vertices
    np.testing.assert_allclose(kept.max(axis=0), [0.1, 0.3, 0.2])
    np.testing.assert_allclose(kept.min(axis=0), [-0.1, -0.3, -0.2])
    for size, told in ((1000.0, "600 units wide"), (0.01, "0.006 units wide")):
        with pytest.raises(InvalidMeshError, match=told):
            Pose(scale="keep").applied(Mesh(BOX * [0.2, 0.4, 0.6] * size, SIDES))


@pytest.mark.parametrize(
    "wrong", [{"up": "q"}, {"up": ""}, {"front": "y"}, {"up": "z", "front": "-z"}, {"rotate": "x"}, {"rotate": "w=3"},
              {"rotate": "x=nan"}, {"rotate": ",".join(["x=1"] * 9)}, {"scale": "half"}]
)  # fmt: skip
def test_a_pose_that_is_none_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidParameterError):
        Pose(**wrong)


def test_an_id_holds_the_pose_and_nothing_of_it_by_default(tmp_path: Path) -> None:
    file = write_obj(tmp_path / "cup.obj", {"the cup": BOX * [1, 2, 3], "other": BOX + 9})
    source = f"file:{file}"
    pose = Pose("z", "x", "x=90.0,z=-30", node="the cup")
    scene = SceneId("efficientnet_lite0", "cup", source, **pose.in_ids())
    assert str(scene).endswith("&up=z&front=x&rotate=x=90,z=-30&node=the%20cup")
    assert SceneId.parse(str(scene)) == scene
    assert SceneId.parse(str(scene)).pose == pose
    assert str(SceneId("efficientnet_lite0", "cup", source)).endswith("?params=azimuth,elevation")
    alone = normalize(load_mesh(file, node="the cup"))
    assert load_shape("cup", source, pose=Pose(node="the cup")).digest == alone.digest
    assert load_shape("cup", source).digest != alone.digest
    with pytest.raises(InvalidParameterError, match="built-in shapes stand as they are"):
        make_function("scene:efficientnet_lite0/cup/procedural:3?params=azimuth&up=z")


def test_a_node_of_a_gltf_file_comes_with_what_is_below_it_and_where_it_stands(tmp_path: Path) -> None:
    file = write_glb(tmp_path / "room.glb")
    assert mesh_node_names(file) == ["table", "lamp"]
    assert len(load_mesh(file).faces) == 3
    np.testing.assert_allclose(load_mesh(file, node="lamp").vertices.min(axis=0), [10, 5, 0])
    table = load_mesh(file, node="table").vertices
    np.testing.assert_allclose([table.min(axis=0), table.max(axis=0)], [[10, -2, 0], [11, 1, 0]])
    np.testing.assert_allclose(load_mesh(file, node="leg").vertices.min(axis=0), [10, -2, 0])
    assert load_mesh(file, node="root").digest == load_mesh(file).digest
    with pytest.raises(InvalidMeshError, match=r"no part is called 'lamb'.*there are root, table, leg, lamp"):
        load_mesh(file, node="lamb")


@pytest.mark.parametrize("word", ["o", "g"])
def test_an_object_or_group_of_an_obj_file_is_picked_by_name(word: str, tmp_path: Path) -> None:
    file = write_obj(tmp_path / "two.obj", {"first": BOX, "second": BOX + 5}, word)
    assert mesh_node_names(file) == ["first", "second"]
    np.testing.assert_allclose(load_mesh(file, node="second").vertices.min(axis=0), 5)
    file.write_text(file.read_text().replace(" ", "\t"))
    assert mesh_node_names(file) == ["first", "second"]
    np.testing.assert_allclose(load_mesh(file, node="first").vertices.max(axis=0), 1)
    with pytest.raises(InvalidMeshError, match="there are first, second"):
        load_mesh(file, node="third")


def test_stl_files_have_no_nodes(tmp_path: Path) -> None:
    file = tmp_path / "one.stl"
    corners = "vertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0"
    file.write_text(f"solid a\nfacet normal 0 0 1\nouter loop\n{corners}\nendloop\nendfacet\nendsolid a")
    assert mesh_node_names(file) == []
    with pytest.raises(InvalidMeshError, match="STL files have no names of parts"):
        load_mesh(file, node="a")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"cup": BOX}, ""),
        ({"body": BOX, "handle": BOX * 0.3 + [1, 0.3, 0.3]}, ""),  # they touch
        (
            {"cup": BOX, "floor": (BOX - 0.5) * [12, 0.01, 12]},
            "a floor perhaps: floor (12 x 0.01 x 12); all else is 1 wide",
        ),
        ({"cup": BOX, "can": BOX + 4}, "holds 2 objects that stand apart: cup (1 x 1 x 1), can (1 x 1 x 1)"),
        ({"": np.concatenate([BOX])}, ""),
    ],
)
def test_files_with_several_objects_or_a_floor_are_told(
    parts: dict[str, FloatArray], told: str, tmp_path: Path
) -> None:
    shape = select_shapes([str(write_obj(tmp_path / "cup.obj", parts))], as_class="cup")[0]
    note = object_note(shape)
    assert (told in note) if told else not note
    if told:
        assert note.endswith("--node NAME picks one")


def test_objects_without_names_are_told_by_what_hangs_together(tmp_path: Path) -> None:
    file = write_obj(tmp_path / "cup.obj", {"": BOX})
    text = file.read_text().replace("o \n", "")
    more = "\n".join(f"v {x + 4} {y} {z}" for x, y, z in BOX.tolist())
    faces = "\n".join(f"f {a} {b} {c}" for a, b, c in (SIDES + 9).tolist())
    file.write_text(f"{text}\n{more}\n{faces}")
    note = object_note(select_shapes([str(file)], as_class="cup")[0])
    assert "2 objects that stand apart" in note
    assert "its parts have no names" in note


def test_a_mesh_that_scores_far_better_with_another_axis_up_is_told(tmp_path: Path) -> None:
    def tall(images: Float32Array) -> Float32Array:
        """Sure of pictures whose object is higher than wide."""
        seen = images.max(axis=1) > 0.05
        is_tall = seen.any(axis=2).sum(axis=1) > 1.3 * seen.any(axis=1).sum(axis=1)
        found = np.full((len(images), 1000), 0.0005, dtype=np.float32)
        found[:, 968] = np.where(is_tall, 0.5, 0.0005)
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    classifier = BlackBoxClassifier(tall, size=32)
    lying = select_shapes([str(write_obj(tmp_path / "cup.obj", {"a": BOX * [1, 1, 3]}))], as_class="cup")[0]
    standing = select_shapes([str(write_obj(tmp_path / "mug.obj", {"a": BOX * [1, 3, 1]}))], as_class="cup")[0]
    told = pose_note(lying, classifier, ["my meshes"])
    for words in (
        "with --up z",
        "with --up -z",
        "upside down from upright",
        "(the best)",
        "look at semrob shape_gallery",
    ):
        assert words in told
    assert "'my meshes' --columns views --no-scores --up cup.obj=" in told
    assert pose_note(standing, classifier, ["my meshes"]) == ""


def test_a_pose_is_for_all_or_for_names_that_fit_a_pattern(tmp_path: Path) -> None:
    for name in ("mugs/a.stl", "mugs/b.obj", "c.obj"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    shapes = select_shapes([str(tmp_path), "cup:0"], as_class="cup")
    put_up = posed(
        shapes,
        up="-z, *.stl=z,mugs/*=x",
        front=["*.stl=-y"],
        rotate=["z=30,x=5", "c.*=y=90"],
        scale=["*.stl=keep"],
        node=["*.obj=a b"],
    )
    assert {shape.name: shape.pose for shape in put_up} == {
        "c.obj": Pose("-z", rotate="y=90", node="a b"),
        "mugs/a.stl": Pose("x", "-y", "z=30,x=5", "keep"),
        "mugs/b.obj": Pose("x", rotate="z=30,x=5", node="a b"),
        "cup:0": Pose(),
    }
    with pytest.raises(
        InvalidParameterError, match=r"--up \*\.stp: fits the name of no shape; there are c.obj, mugs/a"
    ):
        posed(shapes, up=["z", "*.stp=z"])
    with pytest.raises(InvalidParameterError, match="up 'q': choose x, -x"):
        posed(shapes, up="c.obj=q")
    with pytest.raises(InvalidParameterError, match="are for meshes of files"):
        posed(select_shapes(["cup:0"]), up="z")


def test_what_python_loads_and_draws_is_put_up_as_commands_put_it(tmp_path: Path) -> None:
    file = write_obj(tmp_path / "cup.obj", {"a": BOX * [1, 2, 3]})
    lying, standing = load_mesh(file), load_mesh(file, up="z", front="-y")
    assert np.allclose(standing.vertices, lying.vertices @ Pose("z", "-y").turns.T)
    drawn = render(str(file), "azimuth=30,elevation=20", size=32, up="z", front="-y")
    assert np.array_equal(drawn, render(standing, "azimuth=30,elevation=20", size=32))
    assert np.array_equal(drawn, render(lying, "azimuth=30,elevation=20", size=32, up="z", front="-y"))
    assert not np.array_equal(drawn, render(str(file), "azimuth=30,elevation=20", size=32))
