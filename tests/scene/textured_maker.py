"""Five textured mesh files for tests: a box, a sphere, a lathe, a scan-like blob, and a mug of two materials."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.scene.gltf_maker import Gltf

Numbers = npt.NDArray[Any]
Grid = tuple[Numbers, Numbers, Numbers]
"""Vertices (V, 3), faces (F, 3), and texture coordinates (V, 2) from the upper edge."""


def encoded(pixels: Numbers, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, form)
    return stream.getvalue()


def label(size: int = 256) -> Numbers:
    """Print as on a box: soft patches, a disc, bars, and a dark corner that tells up from down and left from right."""
    y, x = np.mgrid[:size, :size] / size
    pixels = np.stack([150 + 60 * np.sin(7 * x), 130 + 60 * np.cos(5 * y + 2 * x), 110 + 70 * x * y], axis=-1)
    pixels[(x - 0.55) ** 2 + (y - 0.4) ** 2 < 0.05] = (210, 60, 50)
    pixels[(y > 0.72) & (y < 0.9) & (np.floor(x * 12) % 2 == 0)] = (60, 70, 140)
    pixels[(y < 0.25) & (x < 0.25)] = (40, 40, 60)
    return pixels


def checker(cells: int, size: int, dark: int = 40, light: int = 220) -> Numbers:
    place = np.arange(size) * cells // size
    odd = (place[:, None] + place) % 2
    return np.repeat(np.where(odd, light, dark)[..., None], 3, axis=2)


def lathe(profile: Numbers, around: int) -> Grid:
    """A profile (N, 2: radius, height) turned about y, its first ring twice, so that the texture has a seam."""
    turn = np.linspace(0, 2 * np.pi, around + 1)
    radius, height = profile[:, None, 0], profile[:, None, 1]
    vertices = np.stack([radius * np.cos(turn), np.broadcast_to(height, (len(profile), len(turn))),
                         radius * np.sin(turn)], axis=-1)  # fmt: skip
    vertices[:, -1] = vertices[:, 0]
    i, j = np.meshgrid(np.arange(len(profile) - 1), np.arange(around), indexing="ij")
    a = i * (around + 1) + j
    b, c, d = a + 1, a + around + 2, a + around + 1
    faces = np.stack([np.stack([a, d, c], -1), np.stack([a, c, b], -1)], axis=2).reshape(-1, 3)
    along = np.broadcast_to(np.linspace(0, 1, len(profile))[:, None], vertices.shape[:2])
    places = np.stack([np.broadcast_to(turn / (2 * np.pi), vertices.shape[:2]), 1 - along], axis=-1)
    return vertices.reshape(-1, 3), faces, places.reshape(-1, 2)


def ball(around: int = 48) -> Grid:
    turn = np.linspace(-np.pi / 2, np.pi / 2, around // 2 + 1)
    profile = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    profile[[0, -1], 0] = 0.0
    return lathe(profile, around)


def vase(around: int = 64) -> Grid:
    height = np.linspace(-1, 1, 41)
    return lathe(np.stack([0.45 + 0.2 * np.sin(3 * height + 0.5) + 0.05 * height, height], axis=1), around)


def blob(around: int = 60, seed: int = 0) -> Grid:
    """A ball with bumps, as a scan is."""
    vertices, faces, places = ball(around)
    random = np.random.default_rng(seed)
    bumps = sum(0.06 * np.cos(vertices @ random.normal(0, 4, 3) + random.uniform(0, 6)) for _ in range(8))
    return vertices * (1 + np.asarray(bumps)[:, None]), faces, places


def box() -> Grid:
    """Six sides, each with the whole texture, upright."""
    points, faces, places = [], [], []
    for axis in range(3):
        for side in (-1, 1):
            right, up = (axis + 1) % 3, (axis + 2) % 3
            for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                point = np.zeros(3)
                point[[axis, right, up]] = side, x * side, y
                points.append(point * (0.7, 1.0, 0.4))
                places.append(((x + 1) / 2, (1 - y) / 2))
            first = len(points) - 4
            faces += [(first, first + 1, first + 2), (first, first + 2, first + 3)]
    return np.array(points), np.array(faces), np.array(places)


def write_glb(path: Path, grid: Grid, image: bytes, **more: Any) -> Path:
    vertices, faces, places = grid
    gltf = Gltf(vertices.astype(np.float32), faces.astype(np.uint32))
    gltf.paint(image, places.astype(np.float32), **more)
    path.write_bytes(gltf.glb())
    return path


def obj_lines(grid: Grid, first: int = 1) -> str:
    """Vertices and texture coordinates, then faces; `first` is the number of the first vertex."""
    vertices, faces, places = grid
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in vertices]
    lines += [f"vt {u:.9g} {1 - v:.9g}" for u, v in places]
    lines += ["f " + " ".join(f"{corner + first}/{corner + first}" for corner in face) for face in faces]
    return "\n".join(lines) + "\n"


def write_obj(path: Path, grid: Grid, image: bytes) -> Path:
    path.with_suffix(".mtl").write_text(f"newmtl paint\nKd 1 1 1\nmap_Kd {path.stem}.png\n")
    path.with_suffix(".png").write_bytes(image)
    path.write_text(f"mtllib {path.stem}.mtl\nusemtl paint\n{obj_lines(grid)}")
    return path


def write_mug(path: Path, image: bytes) -> Path:
    """A printed cup and a plain handle, of two materials."""
    body = lathe(np.array([(0.0, -0.8), (0.6, -0.8), (0.62, 0.8), (0.55, 0.8), (0.53, -0.7), (0.0, -0.7)]), 64)
    turn = np.linspace(0, 2 * np.pi, 25)
    ring = lathe(np.stack([0.4 + 0.08 * np.cos(turn), 0.08 * np.sin(turn)], axis=1), 48)
    handle = ring[0][:, [0, 2, 1]] + (0.75, 0.0, 0.0), ring[1], ring[2]
    path.with_suffix(".mtl").write_text(
        f"newmtl print\nKd 0.9 0.9 0.9\nmap_Kd {path.stem}.png\nnewmtl glaze\nKd 0.2 0.5 0.3\n"
    )
    path.with_suffix(".png").write_bytes(image)
    parts = f"usemtl print\n{obj_lines(body)}usemtl glaze\n{obj_lines(handle, len(body[0]) + 1)}"
    path.write_text(f"mtllib {path.stem}.mtl\n{parts}")
    return path


def write_ply(path: Path, grid: Grid, image: bytes) -> Path:
    """Binary, with texture coordinates of vertices."""
    vertices, faces, places = grid
    path.with_suffix(".png").write_bytes(image)
    header = "ply\nformat binary_little_endian 1.0\n" + f"comment TextureFile {path.stem}.png\n"
    header += f"element vertex {len(vertices)}\n" + "".join(f"property float {name}\n" for name in "xyzst")
    header += f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    rows = np.concatenate([vertices, places[:, :1], 1 - places[:, 1:]], axis=1).astype("<f4")
    record = np.zeros(len(faces), dtype=[("n", "u1"), ("corners", "<i4", 3)])
    record["n"], record["corners"] = 3, faces
    path.write_bytes(header.encode() + rows.tobytes() + record.tobytes())
    return path


MESHES: dict[str, Callable[[Path], Path]] = {
    "box": lambda folder: write_glb(folder / "box.glb", box(), encoded(label())),
    "sphere": lambda folder: write_obj(folder / "sphere.obj", ball(), encoded(label(512))),
    "lathe": lambda folder: write_glb(folder / "lathe.glb", vase(), encoded(checker(16, 256), "JPEG")),
    "scan": lambda folder: write_ply(folder / "scan.ply", blob(), encoded(label(512))),
    "mug": lambda folder: write_mug(folder / "mug.obj", encoded(label())),
}
"""Each writes its file into a folder."""
