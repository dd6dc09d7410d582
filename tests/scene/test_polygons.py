"""Polygons that are not convex cover their own area, whatever their turn, and the rest of the text stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semrob_env.scene.mesh import Mesh, load_mesh
from semrob_env.scene.polygons import cut_concave_polygons
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
