"""The rasteriser against DEODR, a renderer by others: same outline, same shades.

DEODR is given screen coordinates from a textbook look-at camera written here, three vertices per face and no edge
smoothing, so that nothing but the rule "pixel centre in face" decides.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semrob_env.scene.camera import Scenes
from semrob_env.scene.mesh import Mesh, normalize
from semrob_env.scene.mesh_files import load_mesh
from semrob_env.scene.renderers import Rasterizer
from semrob_env.types import FloatArray

pytest.importorskip("deodr")

SIZE = 448
SHAPES = ["aeroplane", "bench", "chair", "cup", "toilet"]
VIEWS = [(0.0, 10.0), (130.0, 30.0), (250.0, -10.0), (310.0, 75.0)]


def deodr_image(mesh: Mesh, azimuth_deg: float, elevation_deg: float) -> FloatArray:
    """Grey picture (SIZE, SIZE) in the paper's protocol."""
    a, e = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
    eye = 2.732 * np.array([np.cos(e) * np.sin(a), np.sin(e), -np.cos(e) * np.cos(a)])
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    towards = np.sign(((eye - corners[:, 0]) * normals).sum(axis=1))
    shade = 0.5 + 0.5 * np.maximum(0.0, towards * normals[:, 1])
    points = corners.reshape(-1, 3) - eye
    depths = points @ forward
    focal = SIZE / 2 / np.tan(np.pi / 6)
    columns, rows = SIZE / 2 + focal * (points @ right) / depths, SIZE / 2 - focal * (points @ up) / depths
    faces = np.arange(len(depths), dtype=np.uint32).reshape(-1, 3)
    renderer: Any = importlib.import_module("deodr.differentiable_renderer")
    scene = renderer.Scene2D(
        faces=faces,
        faces_uv=faces,
        ij=np.stack([columns, rows], axis=1),
        depths=depths,
        textured=np.zeros(len(faces), dtype=bool),
        uv=np.zeros((len(depths), 2)),
        shade=np.zeros(len(depths)),
        colors=np.repeat(shade, 3)[:, None],
        shaded=np.zeros(len(faces), dtype=bool),
        edgeflags=np.zeros((len(faces), 3), dtype=bool),
        height=SIZE,
        width=SIZE,
        nb_colors=1,
        texture=np.zeros((0, 0, 1)),
        background_image=None,
        background_color=np.zeros(1),
        clockwise=False,
        backface_culling=False,
        strict_edge=True,
        perspective_correct=True,
        integer_pixel_centers=False,
    )
    image, depth = np.zeros((SIZE, SIZE, 1)), np.zeros((SIZE, SIZE))
    renderer.renderScene(scene, 1.0, image, depth)
    return image[:, :, 0]


def assert_same(mesh: Mesh) -> None:
    azimuth, elevation = np.array(VIEWS).T
    images = Rasterizer(SIZE, antialias=False).render(mesh, Scenes(azimuth, elevation))[:, 0]
    for view, image in zip(VIEWS, images, strict=True):
        other = deodr_image(mesh, *view)
        ours, theirs = image > 0, other > 0
        assert theirs.sum() > 1000
        assert (ours & theirs).sum() / (ours | theirs).sum() >= 0.98
        assert np.median(np.abs(image - other)[ours & theirs]) < 1e-3


def bowl() -> Mesh:
    """An open half sphere, seen from inside and outside, with a bar across that breaks its symmetry."""
    i, j = np.meshgrid(np.arange(13), np.arange(24), indexing="ij")
    u, v = np.pi / 2 * i / 12, 2 * np.pi * j / 24
    sphere = np.stack([np.cos(u) * np.cos(v), -np.sin(u), np.cos(u) * np.sin(v)], axis=-1).reshape(-1, 3)
    a, b = (i * 24 + j)[:-1].ravel(), (i * 24 + (j + 1) % 24)[:-1].ravel()
    faces = np.concatenate([np.stack([a, b, a + 24], axis=1), np.stack([b, b + 24, a + 24], axis=1)])
    bar = np.array([[0.2, 0.1, -0.9], [0.4, 0.1, -0.9], [0.4, 0.5, 0.9], [0.2, 0.5, 0.9]])
    count = len(sphere)
    sheet = np.array([[count, count + 1, count + 2], [count, count + 2, count + 3]])
    return Mesh(0.9 * np.concatenate([sphere, bar]), np.concatenate([faces, sheet]).astype(np.int32))


def wedge() -> Mesh:
    corners = np.array([[-0.9, -0.5, -0.4], [0.9, -0.5, -0.4], [-0.9, 0.8, -0.4], [-0.5, -0.5, 0.9]])
    return Mesh(corners, np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]], dtype=np.int32))


@pytest.mark.parametrize("make", [bowl, wedge])
def test_simple_meshes_look_as_in_deodr(make: Callable[[], Mesh]) -> None:
    assert_same(make())


@pytest.mark.parametrize("name", SHAPES)
def test_shapenet_meshes_look_as_in_deodr(shapes_folder: Path, name: str) -> None:
    path = sorted((shapes_folder / name).glob("*/models/*.obj"))[0]
    assert_same(normalize(load_mesh(path)))
