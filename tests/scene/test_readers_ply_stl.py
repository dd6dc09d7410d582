"""PLY and STL files of every spelling: the solid that is written, or told."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.mesh_files import load_mesh
from tests.scene.gltf_maker import CUBE, CUBE_FACES

QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
"""The sides of the cube, counter-clockwise from outside."""

MIXED = [*QUADS[:4], (0, 2, 6), (0, 6, 4), QUADS[5]]
FORMATS = ("ascii", "binary_little_endian", "binary_big_endian")


def volume(mesh: Mesh) -> float:
    corners = mesh.vertices[mesh.faces]
    return float(np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))) / 6.0


def ply(
    form: str,
    faces: Sequence[Sequence[int]],
    *,
    vertex: Sequence[tuple[str, str, Sequence[float]]] = (),
    face: Sequence[tuple[str, str, Sequence[float]]] = (),
    first: Sequence[tuple[str, str, Sequence[float]]] = (),
    comments: str = "",
    counts: str = "uchar",
) -> bytes:
    """A cube: more columns of vertices and faces, as name, type and values; `first` stand before the corners."""
    kinds = {"uchar": "u1", "ushort": "u2", "int": "i4", "float": "f4", "double": "f8", "list": "f4"}
    order = ">" if "big" in form else "<"
    columns = [*((name, "float", CUBE[:, axis].tolist()) for axis, name in enumerate("xyz")), *vertex]
    head = [f"ply\nformat {form} 1.0", *filter(None, [comments]), f"element vertex {len(CUBE)}"]
    head += [f"property {kind} {name}" for name, kind, _ in columns]
    head += [f"element face {len(faces)}", *(f"property {kind} {name}" for name, kind, _ in first)]
    head += [f"property list {counts} int vertex_indices", *(f"property {kind} {name}" for name, kind, _ in face)]
    rows: list[list[tuple[float, str]]] = []
    for number in range(len(CUBE)):
        rows.append([(float(values[number]), kinds[kind]) for _, kind, values in columns])
    for number, corners in enumerate(faces):
        before, behind = ([(values[number], kinds[kind]) for _, kind, values in some] for some in (first, face))
        rows.append([*before, (len(corners), kinds[counts]), *((corner, "i4") for corner in corners), *behind])
    if form == "ascii":
        body = "".join(" ".join(f"{value:.9g}" for value, _ in row) + "\n" for row in rows).encode()
    else:
        body = b"".join(np.array(value, dtype=order + kind).tobytes() for row in rows for value, kind in row)
    return ("\n".join(head) + "\nend_header\n").encode() + body


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refused(path: Path, message: str, *, colors: bool = False) -> None:
    with pytest.raises(InvalidMeshError, match=message) as caught:
        load_mesh(path, colors=colors)
    assert "\n" not in str(caught.value)


def colors_of(path: Path) -> set[tuple[int, ...]]:
    albedo = load_mesh(path, colors=True).albedo
    assert albedo is not None
    return set(map(tuple, np.round(255 * albedo).astype(int).tolist()))


# --- PLY ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("counts", ["uchar", "int"])
def test_a_ply_file_may_mix_polygons(tmp_path: Path, form: str, counts: str) -> None:
    for faces in (CUBE_FACES.tolist(), QUADS, MIXED, [(5, 4), *MIXED]):
        mesh = load_mesh(write(tmp_path, "cube.ply", ply(form, faces, counts=counts)))
        assert len(mesh.faces) == 12
        assert volume(mesh) == pytest.approx(8.0)


@pytest.mark.parametrize("form", FORMATS)
def test_a_ply_file_that_is_cut_off_is_refused_wherever(tmp_path: Path, form: str) -> None:
    whole = ply(form, MIXED, face=[("quality", "float", range(7))])
    start = whole.index(b"end_header\n") + len(b"end_header\n")
    assert volume(load_mesh(write(tmp_path, "cube.ply", whole))) == pytest.approx(8.0)
    for size in range(start, len(whole) - 2, 5):
        refused(write(tmp_path, "cube.ply", whole[:size]), "not a readable PLY file: .*(cut off|no number)")
    for size in range(10, start - 1, 9):
        refused(write(tmp_path, "cube.ply", whole[:size]), "not a readable PLY file: no header")


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_behind_the_last_face_are_passed_over(tmp_path: Path, form: str) -> None:
    data = ply(form, MIXED)
    for more in (b"\n", b"\n\n", b"1 2 3\n", b"\0" * 7):
        if form != "ascii" or b"\0" not in more:
            assert volume(load_mesh(write(tmp_path, "cube.ply", data + more))) == pytest.approx(8.0)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("faces", [QUADS, MIXED, CUBE_FACES.tolist()])
def test_colors_of_faces_go_with_their_pieces(tmp_path: Path, form: str, faces: list[tuple[int, ...]]) -> None:
    on_top = [255 if all(CUBE[corner, 1] > 0 for corner in face) else 0 for face in faces]
    rest = [("green", "uchar", [0] * len(faces)), ("blue", "uchar", [51] * len(faces))]
    for where in ("face", "first"):
        data = ply(form, faces, **{where: [("red", "uchar", on_top), *rest]})  # type: ignore[arg-type]
        mesh = load_mesh(write(tmp_path, "cube.ply", data), colors=True)
        assert mesh.albedo is not None
        upper = (mesh.vertices[mesh.faces][:, :, 1] > 0).all(axis=1)
        assert np.round(255 * mesh.albedo[upper]).tolist() == [[255, 0, 51]] * 2
        assert np.round(255 * mesh.albedo[~upper]).tolist() == [[0, 0, 51]] * 10


@pytest.mark.parametrize(
    ("kind", "top"), [("uchar", 255.0), ("float", 1.0), ("float", 255.0), ("ushort", 65535.0), ("int", 255.0)]
)
@pytest.mark.parametrize("prefix", ["", "diffuse_"])
def test_colors_of_vertices_may_be_of_any_type(tmp_path: Path, kind: str, top: float, prefix: str) -> None:
    values = [("red", top), ("green", 0.0), ("blue", top)]
    columns = [(prefix + name, kind, [value] * 8) for name, value in values]
    assert colors_of(write(tmp_path, "cube.ply", ply(FORMATS[1], QUADS, vertex=columns))) == {(255, 0, 255)}


@pytest.mark.parametrize("names", [("s", "t"), ("u", "v"), ("texture_u", "texture_v")])
def test_a_texture_colors_the_faces(tmp_path: Path, names: tuple[str, str]) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.array([[(255, 0, 0), (0, 255, 0)]], dtype=np.uint8)).save(stream, "PNG")
    write(tmp_path, "my bark.png", stream.getvalue())
    columns = [(name, "float", [0.75] * 8) for name in names]
    data = ply(FORMATS[0], QUADS, vertex=columns, comments="comment TextureFile my bark.png")
    assert colors_of(write(tmp_path, "cube.ply", data)) == {(0, 255, 0)}
    twice = data.replace(b"element vertex", b"comment TextureFile other.png\nelement vertex")
    refused(write(tmp_path, "cube.ply", twice), "has 2 textures, and only one is read", colors=True)
    (tmp_path / "my bark.png").unlink()
    assert colors_of(write(tmp_path, "cube.ply", data)) == {(255, 255, 255)}


@pytest.mark.parametrize(
    "comment",
    ["comment element face 99999999", "obj_info element vertex 99999999", "comment", "comment end_header soon"],
)
def test_comments_promise_nothing(tmp_path: Path, comment: str) -> None:
    assert volume(load_mesh(write(tmp_path, "cube.ply", ply(FORMATS[1], QUADS, comments=comment)))) == pytest.approx(
        8.0
    )


@pytest.mark.parametrize(
    "change", [(b"\n", b"\r\n"), (b"ply\n", b"PLY \n"), (b"element", b"  element"), (b"ply", b"\xef\xbb\xbfply")]
)
def test_a_text_ply_may_be_spelt_in_many_ways(tmp_path: Path, change: tuple[bytes, bytes]) -> None:
    assert volume(load_mesh(write(tmp_path, "cube.ply", ply(FORMATS[0], MIXED).replace(*change)))) == pytest.approx(8.0)


def test_where_lines_end_with_a_carriage_return_a_line_feed_is_a_number(tmp_path: Path) -> None:
    head, _, body = ply(FORMATS[1], QUADS).partition(b"end_header\n")
    data = head.replace(b"\n", b"\r") + b"end_header\r\n" + body[1:]  # of the first number, the last digits
    assert volume(load_mesh(write(tmp_path, "cube.ply", data))) == pytest.approx(8.0, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((b"binary_little_endian", b"binary_middle_endian"), "its header has the line"),
        ((b"property float x", b"property float128 x"), "its header has the line"),
        ((b"property float x", b"property float y"), "a name twice"),
        ((b"list uchar int", b"list float int"), "its header has the line"),
        ((b"list uchar int vertex_indices", b"list uchar float vertex_indices"), "refers to none of its 8 vertices"),
        ((b"element face", b"element tristrips"), "holds 'tristrips', which are not read"),
        ((b"element vertex 8", b"element vertex -8"), "its header has the line"),
        ((b"float x", b"float px"), "no x, y and z"),
        ((b"\x04\0\0\0\0", b"\x04\xff\xff\xff\xff"), "refers to none of its 8 vertices"),
        ((b"\x04\0\0\0\0", b"\x04\x08\0\0\0"), "refers to none of its 8 vertices"),
        ((b"list uchar", b"list char"), ""),
    ],
)
def test_a_ply_file_that_cannot_be_is_told(tmp_path: Path, change: tuple[bytes, bytes], message: str) -> None:
    path = write(tmp_path, "cube.ply", ply(FORMATS[1], QUADS).replace(*change, 1))
    if message:
        refused(path, message)
    else:
        assert volume(load_mesh(path)) == pytest.approx(8.0)


# --- STL ---------------------------------------------------------------------------------------------------


def binary_stl(header: bytes = b"x", more: bytes = b"", count: int = 12) -> bytes:
    triangles = np.zeros(12, dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    triangles["corners"] = CUBE[CUBE_FACES]
    return header.ljust(80, b" ") + count.to_bytes(4, "little") + triangles.tobytes() + more


def text_stl(name: str = "a") -> str:
    facets = "".join(
        "  facet normal 0 0 0\n    outer loop\n"
        + "".join("      vertex {} {} {}\n".format(*corner) for corner in face.tolist())
        + "    endloop\n  endfacet\n"
        for face in CUBE[CUBE_FACES]
    )
    return f"solid {name}\n{facets}endsolid {name}\n"


STLS: dict[str, Callable[[], bytes]] = {
    "binary": binary_stl,
    "binary that begins with solid": lambda: binary_stl(b"solid cube\nfacet"),
    "trailing bytes": lambda: binary_stl(more=b"made by hand"),
    "solid and trailing bytes": lambda: binary_stl(b"solid cube", b"\0\0"),
    "text": lambda: text_stl().encode(),
    "upper case": lambda: text_stl().upper().encode(),
    "leading blanks": lambda: b"\n  \t\n " + text_stl().encode(),
    "byte order mark": lambda: text_stl().encode("utf-8-sig"),
    "utf-16": lambda: text_stl().encode("utf-16"),
    "windows lines": lambda: text_stl().replace("\n", "\r\n").encode(),
    "old mac lines": lambda: text_stl().replace("\n", "\r").encode(),
    "end loop in two words": lambda: re.sub("end(loop|facet)", r"end \1", text_stl()).encode(),
    "binary with a mark of text": lambda: binary_stl(b"\xff\xfe"),
    "latin-1 name": lambda: text_stl("W\xfcrfel").encode("latin-1"),
    "a name of many words": lambda: text_stl("facet vertex 1 2 3 outer loop").encode(),
    "no name": lambda: text_stl("").encode(),
    "one line a facet": lambda: text_stl().replace("\n    ", " ").replace("\n  end", " end").encode(),
    "several solids": lambda: (text_stl("a") + text_stl("b")).encode(),
    "exponents": lambda: text_stl().replace(" 1.0", " +1.0E+00").encode(),
}


@pytest.mark.parametrize("case", STLS)
def test_an_stl_file_may_be_spelt_in_many_ways(tmp_path: Path, case: str) -> None:
    mesh = load_mesh(write(tmp_path, "cube.stl", STLS[case]()))
    assert len(mesh.faces) == 12
    assert volume(mesh) == pytest.approx(8.0)


BAD_STLS: dict[str, tuple[bytes, str]] = {
    "cut off": (binary_stl()[:-1], "promises 12 faces and has room for 11"),
    "no count": (binary_stl(count=0), "promises 0 faces and has room for 12"),
    "text cut off": (text_stl().encode()[:-20], "a solid without its end"),
    "second solid cut off": ((text_stl() + text_stl()).encode()[:-300], "a solid without its end"),
    "a quadrangle": (text_stl().replace("endloop", "vertex 0 0 0\nendloop", 1).encode(), "no number"),
    "a letter": (text_stl().replace("vertex -1.0", "vertex one", 1).encode(), "no number"),
    "two numbers": (text_stl().replace("vertex -1.0", "vertex", 1).encode(), "no number"),
    "html": (b"<html><body>not found</body></html>" * 5, "neither with 'solid' nor"),
}


@pytest.mark.parametrize("case", BAD_STLS)
def test_an_stl_file_that_cannot_be_is_told(tmp_path: Path, case: str) -> None:
    data, message = BAD_STLS[case]
    refused(write(tmp_path, "cube.stl", data), f"not a readable STL file: .*{message}")


def test_an_stl_file_with_another_behind_it_is_refused(tmp_path: Path) -> None:
    refused(write(tmp_path, "two.stl", binary_stl() + binary_stl()), "a second solid behind the first")


def test_blank_lines_take_no_time(tmp_path: Path) -> None:
    data: Any = text_stl().replace("solid a\n", "solid a\n" + "\n \t" * 200_000, 1).encode()
    assert volume(load_mesh(write(tmp_path, "cube.stl", data))) == pytest.approx(8.0)
