"""How OBJ and MTL files are written in the wild: right, or told."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semrob_env.errors import InvalidMeshError
from semrob_env.scene import companions
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.mesh_files import load_mesh
from semrob_env.scene.readers import materials, obj

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
SOLID = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
PLACED = SOLID + "vt .125 .5\n"
FACES = "f 1/1 2/1 3/1\nf 1/1 2/1 4/1\n"
PAINT = "newmtl m\nKd 1 0 0\n"


def area(mesh: Mesh) -> float:
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(normals, axis=1).sum()) / 2


def write(folder: Path, obj: str | bytes, **others: str | bytes) -> Path:
    """`a.obj` and others; in their names, `_` stands for a dot."""
    for name, content in {"a_obj": obj, **others}.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.replace("_", ".")).write_bytes(data)
    return folder / "a.obj"


def image(*colors: tuple[int, int, int], mode: str = "RGB", kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.array([colors], dtype=np.uint8)).convert(mode).save(stream, kind)
    return stream.getvalue()


def color(path: Path) -> tuple[int, ...]:
    """The one color of all faces, of 255."""
    albedo = load_mesh(path, colors=True).albedo
    assert albedo is not None
    assert (albedo == albedo[0]).all()
    return tuple(np.round(255 * albedo[0]).astype(int).tolist())


def refused(path: Path, message: str, *, colors: bool = False) -> None:
    with pytest.raises(InvalidMeshError, match=message) as caught:
        load_mesh(path, colors=colors)
    assert "\n" not in str(caught.value)


# --- faces -------------------------------------------------------------------------------------------------

FORMS = ("{v}", "{v}/{t}", "{v}//{t}", "{v}/{t}/{t}")


def drum(bottom: str, sides: str, corners: int) -> tuple[str, float]:
    """A prism whose ends are polygons of one form, its sides quadrangles of another; and its area."""
    angles = 2 * np.pi * np.arange(corners) / corners
    lines = [f"v {np.cos(a):.9f} {y} {np.sin(a):.9f}" for y in (0, 2) for a in angles.tolist()]
    lines += [f"vt {k} 0\nvn 0 0 1" for k in range(2 * corners)]
    around = list(range(1, corners + 1))
    ends: list[list[int]] = [around, [k + corners for k in reversed(around)]]
    quads = [[k, k % corners + 1, k % corners + 1 + corners, k + corners] for k in around]
    for form, faces in ((bottom, ends), (sides, quads)):
        lines += ["f " + " ".join(form.format(v=k, t=7 * k % (2 * corners) + 1) for k in face) for face in faces]
    end = corners * np.sin(2 * np.pi / corners) / 2
    return "\n".join(lines) + "\n", float(2 * end + corners * 4 * np.sin(np.pi / corners))


@pytest.mark.parametrize("bottom", FORMS)
@pytest.mark.parametrize("sides", FORMS)
@pytest.mark.parametrize("corners", [3, 4, 6, 8, 12])
def test_faces_of_several_forms_and_sizes_make_the_solid_that_is_written(
    tmp_path: Path, bottom: str, sides: str, corners: int
) -> None:
    text, expected = drum(bottom, sides, corners)
    mesh = load_mesh(write(tmp_path, text))
    assert area(mesh) == pytest.approx(expected)
    assert len(mesh.faces) == 2 * (corners - 2) + 2 * corners


@pytest.mark.parametrize(
    ("face", "message"),
    [
        ("f 1 2 4000000000", "refers to vertex 4000000000, but only 4 exist"),
        ("f 1 2 99999999999999999999", "refers to 100000000000000000000"),
        ("f 1 2 3.5", "no index"),
        ("f 1 2 0x3", "no index"),
        ("f 1 2 3-1", "no number"),
        ("f 1 2 /3", "not of the form"),
        ("f 1 2 3/1/1/1", "not of the form"),
        ("f 1 2 --3", "no number"),
        ("f 1/-2 2 3", "only 1 entries stand above it"),
    ],
)
def test_a_face_that_cannot_be_is_told(tmp_path: Path, face: str, message: str) -> None:
    refused(write(tmp_path, f"{PLACED}f 1 2 3\n{face}\n"), f"not a readable OBJ file: .*{message}")


@pytest.mark.parametrize("line", ["surf 0 1 0 1 1 2 3", "call other.obj", "csh rm x", "bzp 1 2 3 4"])
def test_statements_that_are_not_read_are_refused_by_name(tmp_path: Path, line: str) -> None:
    refused(write(tmp_path, f"{SOLID}f 1 2 3\n{line}\n"), f"holds '{line.split()[0]}', which is not read")


@pytest.mark.parametrize("line", ["F 1 2 4", "f\u00a01 2 4", "f; 1 2 4", "V 1 1 1", "v", "vt", "SURF 0 1", "USEMTL a"])
def test_what_is_meant_for_a_statement_and_is_none_is_refused(tmp_path: Path, line: str) -> None:
    refused(write(tmp_path, f"{SOLID}f 1 2 3\n{line}\nf 1 3 4\n"), "is no statement")
    assert len(load_mesh(write(tmp_path, f"Made by hand\nversion 2\n{SOLID}vp 0 0\nf 1 2 3\nfoot note\n")).faces) == 1


def test_vertices_may_hold_more_than_places_or_too_little(tmp_path: Path) -> None:
    assert len(load_mesh(write(tmp_path, SOLID.replace("0 0 1", "0 0 1 1.0") + "f 1 2 3\nf 1 2 4\n")).faces) == 2
    refused(write(tmp_path, SOLID.replace("v 0 0 1", "v 0 0") + "f 1 2 3\n"), "fewer than three numbers")


# --- materials ---------------------------------------------------------------------------------------------

HEADS = {
    "several lines": "mtllib none.mtl\nmtllib a.mtl\n",
    "several in a line": "mtllib none.mtl a.mtl b.mtl\n",
    "behind a comment that speaks of mtllib": "# see mtllib docs\nmtllib a.mtl\n",
    "a comment behind the name": "mtllib a.mtl # of the mug\n",
    "quotes": 'mtllib "a.mtl"\n',
    "behind the faces' vertices": "o thing\nmtllib ./a.mtl\n",
    "backslashes": "mtllib .\\a.mtl\n",
    "a path of another machine": "mtllib C:\\mugs\\a.mtl\n",
    "tabs": "mtllib\ta.mtl\n",
    "percent": "mtllib %61.mtl\n",
}


@pytest.mark.parametrize("case", HEADS)
def test_libraries_of_materials_are_found(tmp_path: Path, case: str) -> None:
    assert color(write(tmp_path, f"{HEADS[case]}{PLACED}usemtl m\n{FACES}", a_mtl=PAINT, b_mtl="")) == RED


def test_names_of_libraries_may_hold_spaces_alone_or_among_others(tmp_path: Path) -> None:
    path = write(tmp_path, f"mtllib no.mtl my paint.mtl\n{PLACED}usemtl m\n{FACES}")
    (tmp_path / "my paint.mtl").write_text(PAINT)
    assert color(path) == RED
    path.write_text(path.read_text().replace("no.mtl ", ""))
    assert color(path) == RED


def test_of_two_materials_of_one_name_the_first_library_counts(tmp_path: Path) -> None:
    text = f"mtllib a.mtl\nmtllib b.mtl\n{PLACED}usemtl m\n{FACES}"
    assert color(write(tmp_path, text, a_mtl=PAINT, b_mtl=PAINT.replace("1 0 0", "0 1 0"))) == RED


MATERIALS = {
    "byte order mark": PAINT.encode("utf-8-sig"),
    "utf-16": PAINT.encode("utf-16"),
    "comment behind the color": PAINT.replace("1 0 0", "1 0 0 # red").encode(),
    "comment at once behind the color": PAINT.replace("1 0 0", "1 0 0#red").encode(),
    "comment behind the name": PAINT.replace("newmtl m", "newmtl m # the body").encode(),
    "windows lines": PAINT.replace("\n", "\r\n").encode(),
    "old mac lines": PAINT.replace("\n", "\r").encode(),
    "indented, in capitals": b"  NEWMTL m\n\tKD\t1  0   0\n",
    "latin-1 in another name": "newmtl \xe4\nKd 0 1 0\n".encode("latin-1") + PAINT.encode(),
    "transparency and more": (PAINT + "d 0.5\nNs 10\nillum 2\nKe 0 0 0\n").encode(),
    "color with opacity": PAINT.replace("1 0 0", "1 0 0 0.5").encode(),
}


@pytest.mark.parametrize("case", MATERIALS)
def test_materials_are_read_as_they_are_written(tmp_path: Path, case: str) -> None:
    assert color(write(tmp_path, f"mtllib a.mtl\n{PLACED}usemtl m\n{FACES}", a_mtl=MATERIALS[case])) == RED


@pytest.mark.parametrize("text", ["usemtl m # body", "usemtl  m  ", "usemtl\tm", "usemtl other # m\nusemtl m"])
def test_the_use_of_a_material_may_have_a_comment(tmp_path: Path, text: str) -> None:
    assert color(write(tmp_path, f"mtllib a.mtl\n{PLACED}{text}\n{FACES}", a_mtl=PAINT)) == RED


def test_a_use_of_no_material_ends_the_one_before_and_textures_put_on_by_usemap_are_refused(tmp_path: Path) -> None:
    text = f"mtllib a.mtl\n{PLACED}usemtl m\nusemtl\n{FACES}"
    assert color(write(tmp_path, text, a_mtl=PAINT)) == WHITE
    refused(write(tmp_path, text.replace("usemtl\n", "usemap bark\n"), a_mtl=PAINT), "'usemap'", colors=True)


def test_names_with_number_signs_and_foreign_letters_fit_whatever_their_encodings(tmp_path: Path) -> None:
    name = "Farbe #1 \xfc"
    text = f"mtllib a.mtl\n{PLACED}usemtl {name}\n{FACES}"
    for own, other in (("utf-8", "latin-1"), ("latin-1", "utf-8-sig"), ("utf-16", "latin-1")):
        paint = f"newmtl Farbe\nKd 0 1 0\nnewmtl {name}\nKd 1 0 0\n".encode(other)
        assert color(write(tmp_path, text.encode(own), a_mtl=paint)) == RED


def test_one_number_is_a_gray_and_what_is_no_color_is_told(tmp_path: Path) -> None:
    text = f"mtllib a.mtl\n{PLACED}usemtl m\n{FACES}"
    assert color(write(tmp_path, text, a_mtl="newmtl m\nKd 0.2\n")) == (51, 51, 51)
    for odd in ("1 0", "spectral red.rfl", "xyz 0.4 0.2 0.0", "1,0 0,0 0,0", "nan 0 0"):
        refused(write(tmp_path, text, a_mtl=f"newmtl m\nKd {odd}\n"), f"'Kd {odd}' is not understood", colors=True)
        assert load_mesh(tmp_path / "a.obj").albedo is None


@pytest.mark.parametrize("place", ["# from C:\\models\\\n", "v 9 9 9 # \\\n", "f 1 \\\n2 \\\n 3\n"])
def test_a_comment_ends_with_its_line_and_a_statement_goes_on_behind_a_backslash(tmp_path: Path, place: str) -> None:
    behind = "v 9 9 9\n" * (not place.startswith("v")) + "v 8 8 8\n"
    text = SOLID + place + behind + "f 1 2 3\nf 1 2 4\nf 5 6 1\n"
    assert area(load_mesh(write(tmp_path, text))) == pytest.approx(
        area(load_mesh(write(tmp_path, SOLID + "v 9 9 9\nv 8 8 8\nf 1 2 3\nf 1 2 4\nf 5 6 1\n")))
    )


def test_a_texture_coordinate_of_one_number_lies_on_the_lower_edge(tmp_path: Path) -> None:
    for places in ("vt .125\n", "vt .125\nvt 0 1\n"):
        text = f"mtllib a.mtl\n{SOLID}{places}usemtl m\n{FACES}"
        path = write(tmp_path, text, a_mtl="newmtl m\nmap_Kd t.png\n", t_png=image(RED, GREEN))
        surface = load_mesh(path, surface=True).surface
        assert surface is not None
        assert surface.places is not None
        np.testing.assert_allclose(surface.places, np.broadcast_to([0.125, 0.0], (2, 3, 2)), atol=1e-6)
        assert color(path) == RED


@pytest.mark.parametrize("mode", ["F", "I"])
def test_images_of_more_than_sixteen_bits_are_refused(tmp_path: Path, mode: str) -> None:
    stream = io.BytesIO()
    Image.new(mode, (1, 1), 2**20).save(stream, "TIFF")
    text = f"mtllib a.mtl\n{PLACED}usemtl m\n{FACES}"
    path = write(tmp_path, text, a_mtl="newmtl m\nmap_Kd t.tif\n", t_tif=stream.getvalue())
    refused(path, "neither of 8 nor of 16 bits", colors=True)


def test_colors_of_vertices_show_where_the_material_has_none(tmp_path: Path) -> None:
    text = "mtllib a.mtl\nusemtl m\nv 0 0 0 {0}\nv 1 0 0 {0}\nv 0 1 0 {0}\nvt 0 0\nf 1/1 2/1 3/1\n"
    assert color(write(tmp_path, text.format("1 0 0"), a_mtl="newmtl m\nNs 10\n")) == RED
    assert color(write(tmp_path, text.format("1 0 0"), a_mtl="newmtl other\n")) == RED
    assert color(write(tmp_path, text.format("255 0 0"), a_mtl="newmtl m\n")) == RED
    assert color(write(tmp_path, text.format("0 1 0"), a_mtl=PAINT)) == RED
    some = text.format("1 0 0").replace("0 1 0 1 0 0", "0 1 0")
    assert color(write(tmp_path, some, a_mtl="newmtl m\n")) == (255, 85, 85)  # a vertex without a color is white


# --- textures ----------------------------------------------------------------------------------------------

FOUR = image(RED, GREEN, BLUE, WHITE)
TEXTURES: dict[str, tuple[str, tuple[int, int, int]]] = {
    "plain": ("t.png", RED),
    "comment": ("t.png # bark", RED),
    "quotes": ('"t.png"', RED),
    "backslash": ("tex\\only.png", RED),
    "backslashes of another machine": ("D:\\art\\t.png", RED),
    "scale": ("-s 3 1 1 t.png", GREEN),
    "scale of one number": ("-s 3 t.png", GREEN),
    "offset": ("-o 0.25 0 t.png", GREEN),
    "scale and offset": ("-s 3 1 1 -o 0.25 0 0 t.png", BLUE),
    "others": ("-blendu on -blendv off -boost 2 -texres 64 -bm 0.5 -imfchan r t.png", RED),
    "clamped": ("-clamp on -o 3 0 0 t.png", WHITE),
    "not clamped": ("-clamp off -o 3.25 0 0 t.png", GREEN),
    "gain": ("-mm 0 0.2 t.png", (51, 0, 0)),
    "base": ("-mm 0.2 0.8 t.png", (255, 51, 51)),
    "no turbulence": ("-t 0 0 0 t.png", RED),
    "options and spaces": ("-s 1 1 1 my bark.png", RED),
    "options, quotes and a backslash": ('-s 3 1 1 "tex\\t.png"', GREEN),
}


@pytest.mark.parametrize("case", TEXTURES)
def test_textures_are_found_and_put_on_by_their_options(tmp_path: Path, case: str) -> None:
    text, expected = TEXTURES[case]
    (tmp_path / "tex").mkdir()
    for name in ("t.png", "my bark.png", "tex/t.png", "tex/only.png"):
        (tmp_path / name).write_bytes(FOUR)
    paint = f"newmtl m\nKd 0 0 0\nmap_Kd {text}\n"
    assert color(write(tmp_path, f"mtllib a.mtl\n{PLACED}usemtl m\n{FACES}", a_mtl=paint)) == expected


def test_a_texture_that_looks_like_options_is_found_by_its_whole_name(tmp_path: Path) -> None:
    path = write(tmp_path, f"mtllib a.mtl\n{PLACED}usemtl m\n{FACES}", a_mtl="newmtl m\nmap_Kd -s 3 1 1 t.png\n")
    (tmp_path / "-s 3 1 1 t.png").write_bytes(FOUR)
    assert color(path) == RED


@pytest.mark.parametrize(
    "text", ["-colorspace sRGB t.png", "-s 1,1,1 t.png", "-t 1 1 1 t.png", "-mm a b t.png", "-mm nan 1 t.png"]
)
def test_options_that_are_not_read_are_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, f"mtllib a.mtl\n{PLACED}usemtl m\n{FACES}", a_mtl=f"newmtl m\nmap_Kd {text}\n", t_png=FOUR)
    refused(path, "has options that are not understood", colors=True)


def test_an_image_that_is_broken_is_told_and_one_that_is_missing_is_not(tmp_path: Path) -> None:
    text, paint = f"mtllib a.mtl\n{PLACED}usemtl m\n{FACES}", f"{PAINT}map_Kd t.png\n"
    assert color(write(tmp_path, text, a_mtl=paint)) == RED
    for broken in (b"", FOUR[:50], b"no image"):
        refused(write(tmp_path, text, a_mtl=paint, t_png=broken), r"texture 't\.png' cannot be read", colors=True)
        assert load_mesh(tmp_path / "a.obj").albedo is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TGA", "TIFF", "WEBP", "DDS", "PPM"])
def test_images_of_many_formats_are_read(tmp_path: Path, kind: str) -> None:
    text = f"mtllib a.mtl\n{PLACED}usemtl m\n{FACES}"
    white = image(*8 * [(248, 248, 248)], kind=kind)
    found = color(write(tmp_path, text, a_mtl="newmtl m\nmap_Kd t.png\n", t_png=white))
    assert min(found) >= 246
    assert max(found) <= 250


def test_images_of_sixteen_bits_are_divided_not_cut_off(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((2, 2), 51 * 257, dtype=np.uint16)).save(stream, "PNG")
    text = f"mtllib a.mtl\n{PLACED}usemtl m\n{FACES}"
    path = write(tmp_path, text, a_mtl="newmtl m\nmap_Kd t.png\n", t_png=stream.getvalue())
    assert color(path) == (51, 51, 51)


def test_of_faces_of_several_forms_those_with_texture_coordinates_get_the_texture(tmp_path: Path) -> None:
    text = f"mtllib a.mtl\n{PLACED}vn 0 0 1\nusemtl m\nf 1/1 2/1 3/1\nf 1//1 2//1 4//1\n"
    mesh = load_mesh(write(tmp_path, text, a_mtl="newmtl m\nmap_Kd t.png\n", t_png=FOUR), colors=True)
    assert mesh.albedo is not None
    assert mesh.albedo.tolist() == [[1, 0, 0], [1, 1, 1]]
    wrong = text.replace("f 1/1 2/1", "f 1/1 2/9")
    refused(write(tmp_path, wrong), "texture coordinate that is not there", colors=True)


def test_a_mesh_may_name_so_many_files_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heads = "".join(f"mtllib none{k}.mtl\n" for k in range(60))
    path = write(tmp_path, f"{heads}mtllib a.mtl\n{PLACED}usemtl m\n{FACES}", a_mtl=PAINT)
    with monkeypatch.context() as bounds:
        bounds.setattr(companions, "MAX_NAMES", 50)
        refused(path, "names more than 50 files", colors=True)
    monkeypatch.setattr(companions, "MAX_BYTES", 10)
    refused(path, "more than 10 bytes together", colors=True)
    assert load_mesh(path).albedo is None


def test_lines_and_materials_are_counted_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, f"mtllib a.mtl\n{PLACED}usemtl m\n{FACES}", a_mtl=PAINT + "newmtl n\n" * 20)
    monkeypatch.setattr(materials, "MAX_MATERIALS", 1)
    refused(path, "2 names of materials are more than the 1 allowed", colors=True)
    monkeypatch.setattr(materials, "MAX_LIBRARY_BYTES", 100)
    refused(path, "198 bytes, more than the 100 allowed", colors=True)
    monkeypatch.setattr(obj, "MAX_LIBRARY_LINES", 0)
    refused(path, "1 'mtllib' lines are more than the 0 allowed", colors=True)
    assert len(load_mesh(path).faces) == 2
    monkeypatch.setattr(obj, "LINES_PER_FACE", 0)
    refused(path, "lines are more than the 0 allowed")


@pytest.mark.parametrize("text", ["a" * 300_000, "a " * 150_000, "# " * 150_000, "a.mtl" * 60_000, "x.mtl " * 50_000])
def test_lines_of_any_length_take_no_time(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, f"mtllib {text}\n{PLACED}usemtl {text}\n{FACES}", a_mtl=f"{PAINT}map_Kd {text}\n")
    begin = time.process_time()
    assert len(load_mesh(path, colors=True).faces) == 2
    assert time.process_time() - begin < 3.0
