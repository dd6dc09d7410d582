"""Sweet Home 3D libraries: catalogue, picking, placing, colours, and zips that are not what they say."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semrob_env.errors import AmbiguousNameError, InvalidMeshError, LibraryError, SemrobError, UnknownNameError
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.sources import archives, list_shapes, load_shape, resolve_shape
from semrob_env.scene.sources.libraries import list_library, load_piece, parse_properties

CATALOG = "PluginFurnitureCatalog.properties"

# 2 wide, 4 high, 6 deep; one corner in front (+z) at the lower left.
WEDGE = "v 0 0 6\nv 2 0 0\nv 0 4 0\nv 0 0 0\nf 1 2 3\nf 1 3 4\nf 1 4 2\nf 2 4 3\n"

HEAD = "id=Test\nlicense=CC-BY 3.0\\u00a9 Somebody\nprovider=www.example.org\n"


def entry(number: int, name: str, model: str, **keys: str) -> str:
    lines = {"id": f"Maker#{name.replace(' ', '-').lower()}", "name": name, "model": model, **keys}
    return "".join(f"{key}#{number}={value}\n" for key, value in lines.items())


def library(folder: Path, catalog: str | bytes | None, members: dict[str, str | bytes], name: str = "lib.sh3f") -> str:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if catalog is not None:
            archive.writestr(CATALOG, catalog)
        for member, content in members.items():
            archive.writestr(member, content)
    return str(path)


def small(folder: Path, **keys: str) -> str:
    catalog = HEAD + entry(1, "Coffee mug", "/mugs/mug.obj", **keys)
    return library(folder, catalog, {"mugs/mug.obj": WEDGE})


def sides(mesh: Mesh) -> list[float]:
    return [round(float(side), 6) for side in np.ptp(mesh.vertices, axis=0)]


def test_a_catalog_gives_names_classes_license_and_author(tmp_path: Path) -> None:
    catalog = HEAD + "".join([
        entry(2, "Piano bench", "/b.obj", creator="Ann"),
        entry(10, "Vase", "/v.obj", creator="Bob & Co", license="CC-0"),
        entry(1, "Caf\\u00e9 cup", "/a.obj"),
        "name#3=Without a model\nnonsense#x=1\n",
    ])
    shapes = list_shapes(library(tmp_path, catalog, {}))
    assert [(shape.name, shape.title, shape.class_name) for shape in shapes] == [
        ("caf\u00e9-cup", "Café cup", "cup"),
        ("piano-bench", "Piano bench", "bench"),
        ("vase", "Vase", "vase"),
    ]
    assert [shape.license for shape in shapes] == ["CC-BY 3.0© Somebody", "CC-BY 3.0© Somebody", "CC-0"]
    assert [shape.author for shape in shapes] == ["www.example.org", "Ann", "Bob & Co"]


def test_pieces_without_an_id_or_with_a_taken_one_get_names_of_their_own(tmp_path: Path) -> None:
    catalog = "name#1=Chair\nmodel#1=/x/oak.obj\n" + entry(2, "oak", "/y.obj") + entry(3, "oak", "/z.obj")
    assert [shape.name for shape in list_library(library(tmp_path, catalog, {}))] == ["oak", "oak-2", "oak-3"]


def test_a_shape_is_picked_by_name_or_title_and_its_case_where_that_is_unique(tmp_path: Path) -> None:
    catalog = (
        entry(1, "Chair", "/1.obj", id="M#oak")
        + entry(2, "Chair", "/2.obj", id="M#pine")
        + entry(3, "Deck chair", "/3.obj", id="M#deck")
    )
    path = library(tmp_path, catalog, {})
    assert resolve_shape(f"{path}#oak").name == "oak"
    assert resolve_shape(f"{path}#PINE").name == "pine"
    assert resolve_shape(f"{path}#deck CHAIR").name == "deck"
    with pytest.raises(AmbiguousNameError, match=r"2 shapes 'chair'; choose one of oak \(Chair\), pine \(Chair\)"):
        resolve_shape(f"{path}#chair")
    with pytest.raises(UnknownNameError, match="no shape 'pin'; alike are pine"):
        resolve_shape(f"{path}#pin")
    with pytest.raises(LibraryError, match=r"holds 3 shapes; choose one by .*#NAME"):
        resolve_shape(path)


def test_a_piece_stands_as_its_catalog_says_with_its_front_towards_azimuth_0(tmp_path: Path) -> None:
    plain = load_piece(small(tmp_path), "coffee-mug")
    assert sides(plain) == [2, 4, 6]
    assert plain.vertices[:, 2].min() == -6.0  # the corner in front
    stretched = load_piece(small(tmp_path, width="10", depth="30", height="8.5"), "coffee-mug")
    assert sides(stretched) == [10, 8.5, 30]
    upright = load_piece(small(tmp_path, modelRotation="1 0 0 0 0 1 0 -1 0"), "coffee-mug")
    assert sides(upright) == [2, 6, 4]
    assert upright.vertices[:, 1].max() == 6.0  # what was in front is up
    mirrored = load_piece(small(tmp_path, modelRotation="-1 0 0 0 1 0 0 0 1"), "coffee-mug")
    assert volume(mirrored) == pytest.approx(volume(plain))


def volume(mesh: Mesh) -> float:
    corners = mesh.vertices[mesh.faces]
    return float(np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))) / 6.0


@pytest.mark.parametrize(
    "keys",
    [
        {"modelRotation": "1 0 0"},
        {"modelRotation": "1 0 0 0 1 0 0 0 0"},
        {"modelRotation": "2 0 0 0 0.5 0 0 0 1"},
        {"modelRotation": "1 0.5 0 0 1 0 0 0 1"},
        {"modelRotation": "1 0 0 0 1 0 0 0 nan"},
        {"width": "1_0", "height": "1", "depth": "1"},
        {"width": "ten", "height": "1", "depth": "1"},
        {"width": "1", "height": "-1", "depth": "1"},
        {"width": "nan", "height": "1", "depth": "1"},
    ],
)
def test_a_placing_that_cannot_be_is_told(tmp_path: Path, keys: dict[str, str]) -> None:
    with pytest.raises(LibraryError, match=r"lib\.sh3f#coffee-mug: .*(no rotation|cannot read)"):
        load_piece(small(tmp_path, **keys), "coffee-mug")


PAINTED = "mtllib mug.mtl\nusemtl red\n" + WEDGE.replace("f 2 4 3", "vt 0.5 0.5\nusemtl picture\nf 2/1 4/1 3/1")


def test_colors_come_from_materials_and_textures_in_the_zip_only_where_wanted(tmp_path: Path) -> None:
    image = tmp_path / "green.png"
    Image.fromarray(np.full((2, 2, 3), [0, 255, 0], dtype=np.uint8)).save(image)
    members: dict[str, str | bytes] = {
        "mugs/mug.obj": PAINTED,
        "mugs/mug.mtl": "newmtl red\nKd 1 0 0\nnewmtl picture\nmap_Kd pictures/green.png\n",
        "mugs/pictures/green.png": image.read_bytes(),
        "mugs/../outside.png": b"never unpacked",
    }
    path = library(tmp_path, entry(1, "Mug", "mugs/mug.obj"), members)
    source = resolve_shape(f"{path}#mug").source
    white, painted = load_shape("cup", source), load_shape("cup", source, "material")
    assert white.albedo is None
    assert painted.albedo is not None
    assert sorted(painted.albedo.tolist()) == [[0, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert white.digest != painted.digest
    np.testing.assert_array_equal(white.vertices[white.faces], painted.vertices[painted.faces])


def test_missing_materials_leave_a_piece_white(tmp_path: Path) -> None:
    path = library(tmp_path, entry(1, "Mug", "/mugs/mug.obj"), {"mugs/mug.obj": PAINTED})
    painted = load_piece(path, "mug", colors=True)
    assert painted.albedo is None or (painted.albedo == 1.0).all()


@pytest.mark.parametrize("name", ["my library.sh3f", "Möbel #1 (50%) & 家具?.sh3f"])
def test_libraries_and_models_may_have_any_name(tmp_path: Path, name: str) -> None:
    catalog = entry(1, "Vase", "/vasen/Schöne Vase 花瓶.obj", id="Möbel#schöne vase").encode()
    path = library(tmp_path, catalog, {"vasen/Schöne Vase 花瓶.obj": WEDGE}, name)
    shape = resolve_shape(f"{path}#schöne vase")
    assert not set(shape.source.partition(":")[2]) & set("?& (+)ö")
    assert resolve_shape(shape.source) == shape
    assert len(load_shape("vase", shape.source).faces) == 4


# --- what is not a library ---------------------------------------------------------------------------------


def refused(path: str, message: str, error: type[SemrobError] = LibraryError, *, load: str = "") -> None:
    with pytest.raises(error, match=message) as caught:
        load_piece(path, load) if load else list_library(path)
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_library_is_one_clear_line(tmp_path: Path) -> None:
    refused(str(tmp_path / "gone.sh3f"), "no such file")
    refused(library(tmp_path, None, {"a.obj": WEDGE}), "holds no PluginFurnitureCatalog.properties")
    refused(library(tmp_path, "id=x\n", {}), "names no model")
    whole = Path(small(tmp_path)).read_bytes()
    for damaged in (b"", b"PK\x03\x04 and then nothing", whole[: len(whole) // 2], whole[:-30], b"\0" * 1000):
        (tmp_path / "broken.sh3f").write_bytes(damaged)
        refused(str(tmp_path / "broken.sh3f"), "not a readable zip")


def test_every_damaged_byte_is_one_line_or_the_same_mesh(tmp_path: Path) -> None:
    image = tmp_path / "green.png"
    Image.fromarray(np.full((2, 2, 3), [0, 255, 0], dtype=np.uint8)).save(image)
    members: dict[str, str | bytes] = {
        "mugs/mug.obj": PAINTED,
        "mugs/mug.mtl": "newmtl red\nKd 1 0 0\nnewmtl picture\nmap_Kd green.png\n",
        "mugs/green.png": image.read_bytes(),
    }
    whole = Path(library(tmp_path, entry(1, "Mug", "mugs/mug.obj"), members)).read_bytes()
    path = tmp_path / "bent.sh3f"
    path.write_bytes(whole)
    good = load_piece(str(path), "mug", colors=True).digest
    refusals = []
    for place in range(0, len(whole), 4):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (0x55 if place % 8 else 1)]) + whole[place + 1 :])
        try:
            assert load_piece(str(path), "mug", colors=True).digest == good, place
        except SemrobError as error:
            refusals.append(str(error))
    assert len(refusals) > 50
    assert not [message for message in refusals if "\n" in message]


def test_a_zip_that_hides_members_or_holds_one_twice_is_refused(tmp_path: Path) -> None:
    path = Path(library(tmp_path, entry(1, "Mug", "m.obj"), {"m.obj": WEDGE, "m.mtl": "newmtl red\n"}))
    whole = bytearray(path.read_bytes())
    end = whole.rindex(b"PK\5\6")
    last = whole.rindex(b"PK\1\2")
    size = int.from_bytes(whole[end + 12 : end + 16], "little") - (end - last)
    whole[end + 12 : end + 16] = size.to_bytes(4, "little")  # one entry less than it promises, and than it holds
    path.write_bytes(bytes(whole[:last] + whole[end:]))
    refused(str(path), "lists 2 files and promises others")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(CATALOG, entry(1, "Mug", "m.obj"))
        archive.writestr("m.obj", WEDGE)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("m.obj", WEDGE.replace("6", "7"))
    refused(str(path), "holds 'm.obj' twice")


def test_no_piece_is_lost_where_names_and_numbers_meet(tmp_path: Path) -> None:
    catalog = "".join(
        entry(number, "oak", "/a.obj", id=f"M#{name}") for number, name in ((1, "oak-3"), (2, "oak"), (3, "oak"))
    )
    assert [shape.name for shape in list_library(library(tmp_path, catalog, {}))] == ["oak-3", "oak", "oak-3-3"]


def test_a_catalog_of_too_many_keys_or_pieces_is_refused_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semrob_env.scene.sources.libraries.MAX_LINES", 1000)
    for end in ("\n", "\r", "\r\n"):
        refused(library(tmp_path, f"a=1{end}" * 1001, {}), "holds more than the 1000 lines allowed")
        refused(library(tmp_path, f"a=1{end}" * 1000, {}), "names no model")
    monkeypatch.setattr("semrob_env.scene.sources.libraries.MAX_PIECES", 3)
    refused(library(tmp_path, "".join(entry(k, f"v{k}", "/v.obj") for k in range(4)), {}), "more than the 3 pieces")


def test_a_member_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = b"v 0 0 0\n" * (400 * 2**10)
    refused(library(tmp_path, HEAD + " " * 2**22, {}), "taken for a zip bomb")
    path = library(tmp_path, entry(1, "Bomb", "/b.obj") + entry(2, "Vase", "/v.obj"), {"b.obj": bomb, "v.obj": WEDGE})
    refused(path, r"'b\.obj' unpacks to \d+ times its size, more than 200 times", load="bomb")
    assert len(load_piece(path, "vase").faces) == 4  # a bomb that nobody asks for does no harm


def test_bounds_on_members_and_bytes_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = library(tmp_path, entry(1, "Mug", "/mug.obj"), {"mug.obj": PAINTED, "mug.mtl": "newmtl red\n"})
    with monkeypatch.context() as bounds:
        bounds.setattr(archives, "MAX_MEMBERS", 2)
        refused(path, "3 files are more than the 2 allowed")
        bounds.setattr(archives, "MAX_ARCHIVE_BYTES", 10)
        refused(path, "bytes are more than the 10 allowed")
    monkeypatch.setattr("semrob_env.scene.sources.libraries.MAX_CATALOG_BYTES", 5)
    refused(path, "unpacks to .* bytes, more than 5 allowed")
    monkeypatch.setattr("semrob_env.scene.sources.libraries.MAX_CATALOG_BYTES", 500)
    monkeypatch.setattr("semrob_env.scene.sources.libraries.MAX_MATERIAL_BYTES", 5)
    with pytest.raises(LibraryError, match="its materials are 11 bytes, more than the 5 allowed"):
        load_piece(path, "mug", colors=True)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        ("/gone.obj", LibraryError, "model 'gone.obj' is not in the library"),
        ("/../../etc/passwd.obj", LibraryError, "lies outside the library"),
        ("/a/../../b.obj", LibraryError, "lies outside the library"),
        ("C\\:\\\\models\\\\b.obj", LibraryError, "lies outside the library"),
        ("http\\://example.org/b.obj", LibraryError, "lies outside the library"),
        ("/real/scan.dae", InvalidMeshError, r"scan\.dae\): file type '\.dae' is not supported"),
        ("/real/scan.3ds", InvalidMeshError, r"file type '\.3ds' is not supported"),
        ("/real/points.obj", InvalidMeshError, r"points\.obj\): has no faces"),
        ("/real/lines.obj", InvalidMeshError, r"lines\.obj\): has no faces"),
        ("/real/nan.obj", InvalidMeshError, "NaN or infinite"),
        ("/real/empty.obj", InvalidMeshError, "the file is empty"),
    ],
)
def test_a_model_that_cannot_be_used_is_one_line_that_names_it(
    tmp_path: Path, model: str, error: type[SemrobError], message: str
) -> None:
    members: dict[str, str | bytes] = {
        "real/scan.dae": "<COLLADA/>",
        "real/scan.3ds": b"MM",
        "real/points.obj": "v 0 0 0\n",
        "real/lines.obj": "v 0 0 0\nv 1 0 0\nl 1 2\n",
        "real/nan.obj": WEDGE.replace("6", "nan"),
        "real/empty.obj": "",
    }
    path = library(tmp_path, entry(1, "Thing", model), members)
    refused(path, message, error, load="thing")


# --- Java properties ---------------------------------------------------------------------------------------


def test_properties_are_read_as_java_reads_them() -> None:
    text = (
        "# comment\n! another=1\n\n  key = value with  spaces \ncolon:1\nspace 2\nempty\n"
        "long=one, \\\n   two\\\\\nk\\=e\\:y=v\\=w\nescapes=\\t\\n\\u00e9\\uD83C\\uDF75\\q\nlast=x\\"
    )
    assert parse_properties(text.encode()) == {
        "key": "value with  spaces ",
        "colon": "1",
        "space": "2",
        "empty": "",
        "long": "one, two\\",
        "k=e:y": "v=w",
        "escapes": "\t\né🍵q",
        "last": "x",
    }


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_properties_may_be_latin_1_or_utf_8(encoding: str) -> None:
    assert parse_properties("licence=© Übung\r\nname=é\r".encode(encoding)) == {"licence": "© Übung", "name": "é"}


@pytest.mark.parametrize("text", ["k" * 4_000_000, "\\u0041" * 200_000, "a=\\\n" * 200_000, " \t" * 2_000_000])
def test_long_lines_take_no_time(text: str) -> None:
    begin = time.process_time()
    assert len(parse_properties(text.encode())) <= 1
    assert time.process_time() - begin < 4.0


def test_half_an_escape_is_no_error() -> None:
    assert set(parse_properties(b"a=\\uD83C\nb=\\u12\nc=\\uXYZW\n=\n\\")) == {"a", "b", "c", ""}
