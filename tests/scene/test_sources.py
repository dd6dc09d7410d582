"""The text that names a shape, folders and ShapeNet layouts, what names tell of a class, and bad meshes in folders."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pytest

from semrob_env.errors import (
    AmbiguousNameError,
    InvalidMeshError,
    InvalidParameterError,
    LibraryError,
    SemrobError,
    UnknownNameError,
)
from semrob_env.functions import make_function
from semrob_env.scene.classes import CLASS_INDEX, IMAGENET_NAME
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.classifiers.registry import NETWORKS
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.shapes import SHAPES, make_shape
from semrob_env.scene.sources import (
    canonical_source,
    class_of,
    file_source,
    list_shapes,
    load_shape,
    resolve_shape,
    select_shapes,
)
from semrob_env.types import Float32Array

WEDGE = "v 0 0 6\nv 2 0 0\nv 0 4 0\nv 0 0 0\nf 1 2 3\nf 1 3 4\nf 1 4 2\nf 2 4 3\n"


def write(root: Path, *names: str, content: str = WEDGE) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


# --- names and classes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Coffee mug", "cup"),
        ("redMug_02", "cup"),
        ("RED-MUG", "cup"),
        ("Piano bench", "bench"),
        ("Chair with cushion", "chair"),
        ("Toilet brush", None),
        ("toilet-paper", None),
        ("Toilets unit", "toilet"),
        ("03001627", "chair"),
        ("n03452741", "piano"),
        ("03593526", "vase"),
        ("04460130", None),  # tower
        ("with", None),
        ("", None),
        ("4de5861211ad5b95e7ef9fff09638f8e", None),
        ("チェア", None),
    ],
)
def test_the_end_of_a_name_tells_the_class(name: str, expected: str | None) -> None:
    assert class_of(name) == expected


def test_the_names_of_the_ten_classes_and_of_imagenet_tell_them() -> None:
    for name in CLASS_INDEX:
        assert class_of(name) == class_of(IMAGENET_NAME[name]) == name


# --- folders -----------------------------------------------------------------------------------------------


def test_a_folder_lists_every_mesh_below_it_in_order(tmp_path: Path) -> None:
    write(
        tmp_path, "mugs/red one.obj", "mugs/blue.PLY", "Großes Bad 浴槽.obj", "thing.obj", "notes.txt", ".hidden/x.obj"
    )
    shapes = list_shapes(str(tmp_path))
    assert [(shape.name, shape.title, shape.class_name) for shape in shapes] == [
        ("Großes Bad 浴槽.obj", "Großes Bad 浴槽", None),
        ("mugs/blue.PLY", "blue", None),
        ("mugs/red one.obj", "red one", None),
        ("thing.obj", "thing", None),
    ]
    assert len(load_shape("cup", resolve_shape(f"{tmp_path}#RED ONE").source).faces) == 4
    assert len(load_shape("bathtub", resolve_shape(f"{tmp_path}#Großes Bad 浴槽").source).faces) == 4


def test_folders_tell_the_class_before_files_do(tmp_path: Path) -> None:
    write(tmp_path / "vase", "chair/bench.obj", "other/oak bench.obj", "x.obj")
    assert [shape.class_name for shape in list_shapes(str(tmp_path / "vase"))] == ["chair", "bench", "vase"]


def test_a_file_by_itself_takes_the_class_of_its_folder_where_its_name_tells_none(tmp_path: Path) -> None:
    for name in ("chair/scan.obj", "chair/red_mug.obj", "desk-lamp/scan.obj", "misc/scan.obj"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files = [str(file) for file in sorted(tmp_path.rglob("*.obj"))]
    assert [shape.class_name for shape in select_shapes(files)] == ["cup", "chair", None, None]
    labels = ["Desk lamp, lamp", "stool", "mug"]
    told = ["cup", "chair", "desk-lamp", None]
    assert [shape.class_name for shape in select_shapes(files, labels=labels)] == told
    listed = {shape.name: shape.class_name for shape in select_shapes([str(tmp_path)], labels=labels)}
    assert listed["desk-lamp/scan.obj"] == "desk-lamp"


def test_shapenet_layouts_of_both_versions_are_shapes_and_not_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        "03001627/abc/models/model_normalized.obj",
        "03001627/abc/models/model.obj",
        "03001627/abc/model.obj",
        "02876657/def/model.obj",
        "toilet/ghi/models/model.obj",
    )
    shapes = list_shapes(str(tmp_path))
    assert [(shape.name, shape.title, shape.class_name) for shape in shapes] == [
        ("02876657/def", "def", "bottle"),
        ("03001627/abc", "abc", "chair"),
        ("toilet/ghi", "ghi", "toilet"),
    ]
    (tmp_path / "03001627/abc/models/model.obj").write_text("not this one")
    for shape in shapes:
        assert len(load_shape("chair", shape.source).faces) == 4
    assert resolve_shape(f"{tmp_path}#ABC").name == "03001627/abc"
    single = list_shapes(str(tmp_path / "03001627/abc/models"))
    assert [shape.name for shape in single] == ["model.obj", "model_normalized.obj"]


def test_a_name_that_is_spelt_exactly_is_found_without_a_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "chair/abc/models/model_normalized.obj", "mugs/red.obj")
    monkeypatch.setattr("semrob_env.scene.sources.folders.os.walk", lambda _: pytest.fail("walked"))
    for name in ("chair/abc", "mugs/red.obj"):
        source = f"folder:{tmp_path}#{name}"
        assert canonical_source(source) == source
        assert len(load_shape("cup", source).faces) == 4


def test_names_of_a_folder_stay_inside_it(tmp_path: Path) -> None:
    write(tmp_path, "outside.obj", "inner/a.obj")
    for name in ("../outside.obj", str(tmp_path / "outside.obj")):
        with pytest.raises(UnknownNameError, match="has no shape"):
            load_shape("cup", f"folder:{tmp_path}/inner#{name}")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("nowhere", LibraryError, "nowhere: there is no such file, folder or library; give a folder"),
        ("nowhere#mug", LibraryError, "there is no such file"),
        ("a" * 5000, LibraryError, "there is no such file"),
        ("{folder}", LibraryError, r"holds 2 shapes; choose one by .*#NAME"),
        ("{folder}#chair", UnknownNameError, "has no shape 'chair'; it has a/mug.obj, b/mug.obj"),
        ("{folder}#mug", AmbiguousNameError, "has 2 shapes 'mug'; choose one of a/mug.obj, b/mug.obj"),
        ("{folder}/empty", LibraryError, "no mesh file .* it has libraries, give one of these: Lib.SH3F"),
        ("{folder}/notes.txt", InvalidMeshError, "file type '.txt' is not supported"),
        ("cup:x", UnknownNameError, "unknown shape source 'procedural:x'"),
        ("folder:x", UnknownNameError, "unknown shape source 'folder:x'; write procedural:3, file:PATH, folder:PATH"),
        ("sh3f:x%00#y", UnknownNameError, "zero byte"),
    ],
)
def test_what_is_not_there_is_one_clear_line(tmp_path: Path, text: str, error: type[SemrobError], message: str) -> None:
    write(tmp_path, "a/mug.obj", "b/mug.obj", "notes.txt")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "Lib.SH3F").touch()
    with pytest.raises(error, match=message) as caught:
        resolve_shape(text.format(folder=tmp_path))
    assert "\n" not in str(caught.value)


def test_shapes_are_selected_by_name_class_and_number(tmp_path: Path) -> None:
    write(tmp_path, "mug.obj", "chair.obj", "thing.obj")
    folder = str(tmp_path)
    assert [shape.name for shape in select_shapes([folder])] == ["chair.obj", "mug.obj", "thing.obj"]
    assert [shape.name for shape in select_shapes([folder], classes=["cup"])] == ["mug.obj"]
    assert [shape.name for shape in select_shapes([folder], names=["thing", "MUG", "mug"])] == ["thing.obj", "mug.obj"]
    assert {shape.class_name for shape in select_shapes([folder], as_class="vase")} == {"vase"}
    assert [shape.name for shape in select_shapes(["procedural"], classes=["cup"], numbers=[3, 12])] == [
        "cup:3",
        "cup:12",
    ]
    assert [shape.name for shape in select_shapes(["cup:07", f"{folder}#mug"])] == ["cup:7", "mug.obj"]
    assert len(list_shapes("procedural")) == 10 * len(SHAPES)
    with pytest.raises(UnknownNameError, match="class 'dragon' is not known"):
        select_shapes([folder], classes=["dragon"])
    with pytest.raises(UnknownNameError, match="no shape of the classes piano among 3"):
        select_shapes([folder], classes=["piano"])
    write(tmp_path / "more", "mug.obj")
    with pytest.raises(AmbiguousNameError, match=r"choose one of folder:.*#mug\.obj, folder:.*more#mug\.obj"):
        select_shapes([folder, f"{folder}/more"], names=["mug.obj"])


# --- ids ---------------------------------------------------------------------------------------------------


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> str:
    def answer(shown: Float32Array) -> Float32Array:
        return np.tile(shown.mean(axis=(1, 2, 3))[:, None], (1, 1000))

    def factory(unnormalized: bool, size: int | None) -> Classifier:
        del unnormalized
        return BlackBoxClassifier(answer, size=size or 24, name="bright_test_network")

    monkeypatch.setitem(NETWORKS, "bright_test_network", factory)
    return "bright_test_network"


@pytest.mark.parametrize("folder", ["plain", "a b & c?d=e#f (1) + g%20", "Möbel/家具"])
def test_ids_of_folders_give_the_same_function_again(tmp_path: Path, network: str, folder: str) -> None:
    root = write(tmp_path / folder, "Tea Cup (blue).obj", "chair/abc/models/model_normalized.obj")
    for name, spelt in (("tea cup (BLUE)", "Tea%20Cup%20%28blue%29.obj"), ("ABC", "chair/abc")):
        shape = resolve_shape(f"{root}#{name}")
        function = make_function(f"scene:{network}/cup/{shape.source}")
        assert function.id.endswith(f"#{spelt}?params=azimuth,elevation")
        again = make_function(f"{function.id} + complement({function.id})".partition(" + ")[0])
        assert (again.id, again.fingerprints) == (function.id, function.fingerprints)
        assert make_function(f"{function.id} + {function.id}").members == 2
        loose = f"scene:{network}/cup/{shape.source.partition('#')[0]}#{name.replace(' ', '%20')}"
        assert make_function(loose).id == function.id


def test_colors_are_an_option_of_the_id_and_change_the_fingerprint(tmp_path: Path, network: str) -> None:
    write(tmp_path, "paint.mtl", content="newmtl red\nKd 0.5 0 0\n")
    write(tmp_path, "mug.obj", content=f"mtllib paint.mtl\nusemtl red\n{WEDGE}")
    for source in (file_source(str(tmp_path / "mug.obj")), f"folder:{tmp_path}#mug.obj"):
        white = make_function(f"scene:{network}/cup/{source}?colors=white")
        red = make_function(f"scene:{network}/cup/{source}?params=azimuth,elevation&colors=material")
        assert "colors=" not in white.id
        assert red.id.endswith("&colors=material")
        assert make_function(red.id).fingerprints == red.fingerprints != white.fingerprints
        assert isinstance(red, SceneFunction)
        image = red.images(red.space.default[None])[0]
        assert image[0].max() > 0.2
        assert image[1:].max() == 0.0
    with pytest.raises(InvalidParameterError, match="colors 'pink': choose white, material or texture"):
        make_function(f"scene:{network}/cup/procedural:0?colors=pink")
    with pytest.raises(InvalidParameterError, match="procedural shapes have no materials"):
        make_function(f"scene:{network}/cup/procedural:0?colours=material")


def test_procedural_numbers_have_one_spelling(network: str) -> None:
    assert (
        make_function(f"scene:{network}/cup/procedural:003").id == make_function(f"scene:{network}/cup/procedural:3").id
    )
    assert load_shape("cup", "procedural:3").digest == make_shape("cup", 3).digest


# --- meshes of the wild ------------------------------------------------------------------------------------


def test_quads_and_polygons_of_any_form_in_a_file_with_lines_points_and_no_materials_load(tmp_path: Path) -> None:
    text = (
        "mtllib nowhere.mtl\no Täßchen\nv 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\nv 3 3 1\nv 4 2 1\nv 4 4 1\n"
        "usemtl gone\nf 1 2 3 4\nl 1 2 3\np 1\nf 5 6 7\nv 0 0 5\nv 2 0 5\nv 2 1 5\nv 1 1 5\nv 1 2 5\nv 0 2 5\n"
        "f 9 10 11 12 13 8\n"
    )
    write(tmp_path, "mixed polygons ä.obj", content=text)
    for colors in ("white", "material"):
        assert len(load_shape("cup", resolve_shape(str(tmp_path)).source, colors).faces) == 2 + 1 + 4


def test_ten_million_faces_are_refused_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "huge.obj"
    with path.open("wb") as file:
        file.write(b"v 0 0 0\nv 1 0 0\nv 0 1 0\n")
        for _ in range(100):
            file.write(b"f 1 2 3\n" * 100_000)
    started = time.perf_counter()
    with pytest.raises(InvalidMeshError, match="10000000 faces are more than the 2000000 allowed; simplify the mesh"):
        load_shape("cup", file_source(str(path)))
    assert time.perf_counter() - started < 20.0
    path.unlink()


def test_the_shapenet_examples_are_listed_by_class_and_load_by_id(shapes_folder: Path) -> None:
    rows = list(csv.DictReader((shapes_folder / "index.csv").read_text().splitlines()))
    shapes = {shape.name: shape for shape in list_shapes(str(shapes_folder))}
    assert {name: shape.class_name for name, shape in shapes.items()} == {
        f"{row['class']}/{row['shape_id']}": row["class"] for row in rows
    }
    mesh = load_shape("cup", resolve_shape(f"{shapes_folder}#1eaf8db2dd2b710c7d5b1b70ae595e60").source)
    assert np.abs(mesh.vertices).max() == pytest.approx(1.0)


def test_a_texture_that_is_painted_anew_gives_new_colors(tmp_path: Path) -> None:
    path = tmp_path / "mug.obj"
    path.write_text(
        "mtllib m.mtl\nusemtl own\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\nf 1 3 4\nf 2 3 4\n"
    )

    def color(text: str | None) -> list[float]:
        if text is not None:
            (tmp_path / "m.mtl").write_text(f"newmtl own\nKd {text}\n")
        albedo = load_shape("cup", f"file:{path}", "material").albedo
        return [1.0, 1.0, 1.0] if albedo is None else albedo[0].tolist()

    assert color(None) == [1.0, 1.0, 1.0]
    for wanted in ("1 0 0", "0 1 0"):
        assert color(wanted) == [float(number) for number in wanted.split()]
