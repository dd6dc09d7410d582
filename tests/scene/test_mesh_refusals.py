"""Files that are no meshes, or too large to be meshes: one clear line each, and nothing is executed."""

from __future__ import annotations

import importlib
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semrob_env.errors import InvalidMeshError
from semrob_env.scene import mesh_files
from semrob_env.scene.mesh_files import load_mesh

trimesh: Any = importlib.import_module("trimesh")  # its annotations are incomplete

TETRAHEDRON_OBJ = """v 0 0 0
v 1 0 0
v 0 2 0
v 0 0 4
f 1 3 2
f 1 2 4
f 2 3 4
f 1 4 3
"""


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


BAD_FILES: dict[str, tuple[str, str | bytes, str]] = {
    "empty": ("empty.obj", "", "empty"),
    "only spaces": ("blank.obj", "  \n\n", "no faces|not a readable"),
    "unknown type": ("scan.xyz", "0 0 0\n", "not supported"),
    "no type": ("scan", "0 0 0\n", "not supported"),
    "points only": ("points.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no faces"),
    "lines only": ("lines.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nl 1 2 3\n", "no faces"),
    "no faces in ply": (
        "points.ply",
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
        "element face 0\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n",
        "no faces",
    ),
    "all degenerate": ("flat.obj", "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\nf 1 1 2\n", "no face has an area"),
    "one point": ("point.obj", "v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "no face has an area"),
    "nan": ("nan.obj", TETRAHEDRON_OBJ.replace("v 1 0 0", "v nan 0 0"), "NaN or infinite"),
    "infinite": ("inf.obj", TETRAHEDRON_OBJ.replace("v 1 0 0", "v 1e999 0 0"), "NaN or infinite"),
    "unknown vertex": ("index.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "not a readable OBJ"),
    "vertex zero": ("zero.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "count from 1"),
    "relative too far": ("far.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -1 -2 -4\n", "stand above"),
    "letters": ("letters.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf a b c\n", "not a readable OBJ"),
    "letters in a vertex": ("letters.obj", "v 0 0 0\nv x 0 0\nv 0 1 0\nf 1 2 3\n", "not a readable OBJ"),
    "broken ply": ("broken.ply", "ply\nformat binary_little_endian 1.0\nelement vertex 9\n", "not a readable PLY"),
    "broken stl": ("broken.stl", b"\x00" * 90, "not a readable STL|no faces"),
    "broken glb": ("broken.glb", b"glTF" + b"\x02" * 60, "not a readable GLB"),
    "broken gltf": ("broken.gltf", "{", "not a readable GLTF"),
    "picture": ("picture.glb", b"\x89PNG\r\n\x1a\n" + b"\x00" * 50, "not a readable GLB"),
    "ply that promises too much": (
        "bomb.ply",
        "ply\nformat binary_little_endian 1.0\nelement vertex 999999999999\nproperty float x\nend_header\n",
        "more than",
    ),
    "stl that promises too much": (
        "short.stl",
        b"\x00" * 80 + b"\xff\xff\xff\xff" + b"\x00" * 50,
        "not a readable|more",
    ),
    "gltf that promises too much": (
        "bomb.gltf",
        json.dumps({
            "asset": {"version": "2.0"},
            "accessors": [{"count": 10**12, "componentType": 5126, "type": "VEC3"}],
        }),
        "more than",
    ),
    "remote buffer": (
        "remote.gltf",
        json.dumps({"asset": {"version": "2.0"}, "buffers": [{"uri": "http://localhost/x.bin", "byteLength": 12}]}),
        "not a readable GLTF",
    ),
    "buffer outside the folder": (
        "outside.gltf",
        json.dumps({"asset": {"version": "2.0"}, "buffers": [{"uri": "../../../etc/hostname", "byteLength": 12}]}),
        "not a readable GLTF",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line_and_without_noise(
    case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    name, content, message = BAD_FILES[case]
    path = write(tmp_path, name, content)
    with caplog.at_level(logging.DEBUG), pytest.raises(InvalidMeshError, match=message) as caught:
        load_mesh(path, colors=True)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidMeshError, match="no such file"):
        load_mesh(tmp_path / "gone.obj")
    (tmp_path / "folder.obj").mkdir()
    with pytest.raises(InvalidMeshError, match="is a directory"):
        load_mesh(tmp_path / "folder.obj")


def test_files_beyond_the_bounds_are_refused_before_parsing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "solid.obj", TETRAHEDRON_OBJ)
    monkeypatch.setattr("semrob_env.scene.readers.obj.triangulate", lambda *_: pytest.fail("was parsed"))
    with monkeypatch.context() as bounds:
        bounds.setattr(mesh_files, "MAX_FILE_BYTES", 50)
        with pytest.raises(InvalidMeshError, match="bytes are more than the 50 allowed"):
            load_mesh(path)
    monkeypatch.setattr(mesh_files, "MAX_FACES", 3)
    with pytest.raises(InvalidMeshError, match="4 faces are more than the 3 allowed"):
        load_mesh(path)


def test_copies_in_a_scene_graph_count_before_they_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = trimesh.Scene()
    scene.add_geometry(trimesh.creation.box(), geom_name="solid")
    for copy in range(9):
        scene.graph.update(f"copy {copy}", matrix=np.eye(4), geometry="solid")
    path = tmp_path / "copies.glb"
    scene.export(path)
    monkeypatch.setattr(mesh_files, "MAX_FACES", 119)
    with pytest.raises(InvalidMeshError, match="120 faces are more than the 119 allowed"):
        load_mesh(path)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("exploded"),))


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".stl", ".glb", ".gltf"])
def test_a_pickle_in_disguise_is_not_executed(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, f"pickle{suffix}", pickle.dumps(Bomb()))
    with pytest.raises(InvalidMeshError):
        load_mesh(path)
    assert not (tmp_path / "exploded").exists()
