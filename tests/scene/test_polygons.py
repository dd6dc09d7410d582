"""Polygons that are not convex cover their own area, whatever their turn, in bounded work."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semrob_env.errors import InvalidMeshError
from semrob_env.scene import polygons
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.mesh_files import load_mesh
from semrob_env.scene.polygons import cut_ears, triangulate
from semrob_env.types import FloatArray

L_SHAPE = "v 0 0 0\nv 2 0 0\nv 2 1 0\nv 1 1 0\nv 1 2 0\nv 0 2 0\n"
ARROW = "v 0 0 0\nv 2 1 0\nv 0 2 0\nv 1 1 0\n"
ARROW_POINTS: list[Any] = [(0, 0, 0), (2, 1, 0), (0, 2, 0), (1, 1, 0)]
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


def test_materials_go_with_the_pieces(tmp_path: Path) -> None:
    (tmp_path / "paint.mtl").write_text("newmtl red\nKd 1 0 0\nnewmtl blue\nKd 0 0 1\n")
    path = tmp_path / "painted.obj"
    path.write_text(f"mtllib paint.mtl\n{L_SHAPE}v 0 0 3\nusemtl red\nf 2 3 4 5 6 1\nusemtl blue\nf 1 2 7\n")
    mesh = load_mesh(path, colors=True)
    assert mesh.albedo is not None
    assert sorted(map(tuple, mesh.albedo.tolist())) == [(0, 0, 1)] + 4 * [(1, 0, 0)]


CONVEX: dict[str, list[Any]] = {
    "flat": [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)],
    "bent": [(0, 0, 0), (1, 0, 0), (1, 1, 0.1), (0, 1, 0)],
    "triangle": [(0, 0, 0), (1, 0, 0), (1, 1, 0)],
    "point": 5 * [(0.0, 0.0, 0.0)],
    "not finite": [(0, 0, 0), (2, 0, 0), (2, np.nan, 0), (1, 1, 0), (1, 2, 0), (0, 2, 0)],
}


@pytest.mark.parametrize("name", CONVEX)
def test_what_needs_no_other_cut_is_a_fan(name: str) -> None:
    points = np.array(CONVEX[name], dtype=np.float64)
    triangles, owner, is_cut = triangulate(points, np.array([len(points)]))
    fan = [(0, 1, 2), (2, 3, 0)] if len(points) == 4 else [(0, k, k + 1) for k in range(1, len(points) - 1)]
    assert list(map(tuple, triangles.tolist())) == fan
    assert not is_cut.any()
    assert owner.tolist() == [0] * len(fan)


def test_polygons_of_all_sizes_keep_their_order_and_those_of_two_corners_are_none() -> None:
    flat, line = CONVEX["flat"], CONVEX["flat"][:2]
    points = np.array(flat + CONVEX["triangle"] + line + ARROW_POINTS + flat)
    triangles, owner, is_cut = triangulate(points.astype(np.float64), np.array([4, 3, 2, 4, 4]))
    assert owner.tolist() == [0, 0, 1, 3, 3, 4, 4]
    assert is_cut.tolist() == [False, False, False, True, False]
    assert triangles[3:5].tolist() == [[10, 11, 12], [10, 12, 9]]
    assert triangles[-1].tolist() == [15, 16, 13]


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
    path = tmp_path / "tangled.obj"
    path.write_bytes(tangled(1))
    assert len(load_mesh(path).faces) > 1
    path.write_bytes(tangled(20))
    with pytest.raises(InvalidMeshError, match=r"tangled.obj: its polygons take more than 1800000 looks"):
        load_mesh(path)


def outline(radii: FloatArray) -> FloatArray:
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return np.asarray(radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def test_many_polygons_of_very_many_corners_take_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines, total, count = [], 0.0, 1900
    for number in range(40):
        flat = outline(rng.uniform(0.1, 1.0, count)).round(6)
        after = np.roll(flat, -1, axis=0)
        total += float((flat[:, 0] * after[:, 1] - flat[:, 1] * after[:, 0]).sum()) / 2
        lines += [f"v {x} {y} {number}" for x, y in flat.tolist()]
        lines.append("f " + " ".join(f"{count * number + k + 1}" for k in range(count)))
    path = tmp_path / "stars.obj"
    path.write_text("\n".join(lines))
    begin = time.process_time()
    assert area(load_mesh(path)) == pytest.approx(total)
    assert time.process_time() - begin < 5.0  # 40 times 1900² / 2 looks at each corner would be some 2 s of them alone


@pytest.mark.parametrize("count", [501, 1500])
def test_a_polygon_of_very_many_corners_is_cut_with_few_looks(count: int) -> None:
    star = outline(np.random.default_rng(count).uniform(0.1, 1.0, count))
    triangles, left = cut_ears(star, 10**9)
    edges = star[triangles][:, 1:] - star[triangles][:, :1]
    areas = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]
    after = np.roll(star, -1, axis=0)
    assert (areas > 0).all()
    assert areas.sum() == pytest.approx(float((star[:, 0] * after[:, 1] - star[:, 1] * after[:, 0]).sum()))
    assert 10**9 - left < count**2 / 4


def test_ears_of_one_outline_stop_where_the_looks_end() -> None:
    angles = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    triangles, left = cut_ears(circle, 5000)
    assert 0 <= left < 1000
    assert len(triangles) == 98
    assert cut_ears(circle, 1000)[1] < 0
