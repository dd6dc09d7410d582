"""Polygons that are not convex cover their own area, whatever their turn, and the rest of the text stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semrob_env.errors import InvalidMeshError
from semrob_env.scene import polygons
from semrob_env.scene.mesh import Mesh, load_mesh
from semrob_env.scene.polygons import cut_concave_polygons, cut_ears
from semrob_env.types import FloatArray

L_SHAPE = "v 0 0 0\nv 2 0 0\nv 2 1 0\nv 1 1 0\nv 1 2 0\nv 0 2 0\n"
ARROW = "v 0 0 0\nv 2 1 0\nv 0 2 0\nv 1 1 0\n"
FRAME = "v 0 0 0\nv 4 0 0\nv 4 4 0\nv 0 4 0\nv 1 1 0\nv 1 3 0\nv 3 3 0\nv 3 1 0\n"


def area(mesh: Mesh) -> float:
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(normals, axis=1).sum()) / 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((f"{L_SHAPE}f {' '.join(str((k + start) % 6 + 1) for k in range(6))}\n", 3.0) for start in range(6)),
        (L_SHAPE + "f 6 5 4 3 2 1\n", 3.0),
        (L_SHAPE + "f -5//1 -4//1 -3//1 -2//1 -1//1 -6//1 # an L\n", 3.0),
        *((f"{ARROW}f {' '.join(str((k + start) % 4 + 1) for k in range(4))}\n", 1.0) for start in range(4)),
        (FRAME + "f 1 2 3 4 1 5 6 7 8 5\n", 12.0),  # a hole, joined to the outside by a bridge
    ],
)
def test_a_polygon_covers_its_own_area(tmp_path: Path, text: str, expected: float) -> None:
    path = tmp_path / "shape.obj"
    path.write_text(text)
    assert area(load_mesh(path)) == pytest.approx(expected)


def star(rng: np.random.Generator) -> tuple[FloatArray, float]:
    """A star-shaped polygon (n, 3) that is turned in space, and its area."""
    angles = (np.arange(40) + rng.random(40)) * 2 * np.pi / 40
    flat = rng.uniform(0.1, 1.0, 40)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    after = np.roll(flat, -1, axis=0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return np.pad(flat, ((0, 0), (0, 1))) @ turn, float((flat[:, 0] * after[:, 1] - flat[:, 1] * after[:, 0]).sum()) / 2


def test_random_polygons_cover_their_own_area(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines, total = [], 0.0
    for number in range(30):
        points, covered = star(rng)
        total += covered
        lines += [f"v {x!r} {y!r} {z!r}" for x, y, z in (points + 3.0 * number).tolist()]
        lines.append("f " + " ".join(f"{40 * number + k + 1}" for k in range(40)))
    path = tmp_path / "stars.obj"
    path.write_text("\n".join(lines))
    mesh = load_mesh(path)
    assert area(mesh) == pytest.approx(total)
    assert len(mesh.faces) == 30 * 38


def test_materials_and_texture_coordinates_go_with_the_pieces() -> None:
    text = f"{L_SHAPE}vt 0 0\nusemtl red\nf 2/1/1 3/1/1 4/1/1 5/1/1 6/1/1 1/1/1\nusemtl blue\nf 1 2 3 4\nf 1 2 3\n"
    lines = cut_concave_polygons(text.encode(), most_triangles=100).decode().splitlines()
    red = lines[lines.index("usemtl red") + 1 : lines.index("usemtl blue")]
    assert len(red) == 4
    assert all(line.startswith("f ") and line.count("/1/1") == 3 for line in red)
    assert lines[-2:] == ["f 1 2 3 4", "f 1 2 3"]


@pytest.mark.parametrize(
    "text",
    [
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n",  # convex
        "v 0 0 0\nv 1 0 0\nv 1 1 0.1\nv 0 1 0\nf 1 2 3 4\n",  # bent
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3\n",
        f"{L_SHAPE}f a b c d e\n",
        f"{L_SHAPE}f 2 3 4 5 6 99\n",
        f"{L_SHAPE.replace('2 1 0', '2 x 0')}f 2 3 4 5 6 1\n",
        f"{L_SHAPE.replace('2 1 0', '2 nan 0')}f 2 3 4 5 6 1\n",
        "v 0 0 0\nf 1 1 1 1 1\n",
    ],
)
def test_what_needs_no_cut_or_cannot_be_read_stays(text: str) -> None:
    assert cut_concave_polygons(text.encode(), most_triangles=100).decode() == text


def test_more_triangles_than_allowed_are_left_to_the_count() -> None:
    text = f"{L_SHAPE}f 2 3 4 5 6 1\n".encode()
    assert cut_concave_polygons(text, most_triangles=3) == text
    assert cut_concave_polygons(text, most_triangles=4) != text


def test_a_polygon_that_crosses_itself_still_gives_triangles(tmp_path: Path) -> None:
    path = tmp_path / "bow.obj"
    path.write_text("v 0 0 0\nv 2 2 0\nv 2 0 0\nv 0 2 0\nv -1 1 0.5\nf 1 2 3 4 5\n")
    assert 1 <= len(load_mesh(path).faces) <= 3


def tangled(count: int) -> bytes:
    """Polygons of 300 corners that cross themselves."""
    vertices = "".join(f"v {k % 50} {k * 37 % 61} 0\n" for k in range(300))
    return (vertices + count * f"f {' '.join(str(k + 1) for k in range(300))}\n").encode()


def test_polygons_that_take_too_much_work_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polygons, "MOST_LOOKS", 20 * 300**2)
    assert cut_concave_polygons(tangled(1), most_triangles=10_000).count(b"f ") in {1, 298}
    path = tmp_path / "tangled.obj"
    path.write_bytes(tangled(20))
    with pytest.raises(InvalidMeshError, match=r"tangled.obj: its polygons take more than 1800000 looks"):
        load_mesh(path)


def test_ears_of_one_outline_stop_where_the_looks_end() -> None:
    angles = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    triangles, left = cut_ears(circle, 5000)
    assert 0 <= left < 1000
    assert len(triangles) == 98
    assert cut_ears(circle, 1000)[1] < 0
