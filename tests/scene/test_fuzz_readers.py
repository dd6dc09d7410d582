"""Files that nobody wrote: every input of a reader ends in a mesh or in one line, soon, within bounds, without a trace.

Seeded, and short by itself; `--fuzz-seconds 60` goes on for a minute with each reader. A case that fails names its
number, and `cases` gives its bytes again.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import resource
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semrob_env.errors import SemrobError
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.mesh_files import load_mesh
from semrob_env.scene.polygons import cut_ears
from semrob_env.scene.sources.libraries import CATALOG, list_library, load_piece
from tests.scene.gltf_maker import GREEN, RED, Gltf, everywhere, png
from tests.scene.test_readers_ply_stl import MIXED, binary_stl, ply, text_stl

CASES = 120
"""Cases of a short run."""

CASE_SECONDS = 3.0
"""Processor time that a case may take; what a reader of files of this size promises is far less."""

CASE_BYTES = 2**30
"""How much more memory than before any of them the cases may take."""

RUNS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "ctypes.dlopen", "socket.connect")
"""Audit events of programs that are started, libraries that are loaded and hosts that are called."""

TOKENS = (
    b"0", b"-1", b"1", b"7", b"nan", b"inf", b"1e999", b"-0.0", b"4294967295", b"4294967296", b"99999999999999999999",
    b"#", b"\\", b"\\\n", b"\n", b"\r", b" ", b"/", b"//", b'"', b"'", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe",
    b"../../etc/hostname", b"/etc/hostname", b"paint.mtl", b"bark.png", b"-s 2 2 2", b"mtllib", b"usemtl", b"f 1 2 3 4",
    b"v 1 2 3", b"%2e%2e%2f", b"..", b"file:///etc/hostname", b"http://localhost/x", b"end_header\n",
    b"property list uchar int x",
)  # fmt: skip
"""What is put into files beside bytes of chance."""

VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    5,
    2**31,
    2**64,
    1.5,
    1e308,
    "",
    "x",
    "data:,",
    "../../etc/hostname",
    [],
    [0],
    [[]],
    {},
)
"""What is put into JSON."""

_watched: list[tuple[str, list[str]]] = []
"""The folder of the case that runs, and what it did beyond reading there."""


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched:
        return
    folder, seen = _watched[-1]
    if event in RUNS:
        seen.append(f"{event} {arguments[0]!r}")
    elif event == "open" and isinstance(arguments[0], (str, bytes)):
        path, flags = os.path.abspath(os.fsdecode(arguments[0])), arguments[2]
        is_own = path.startswith((folder, sys.prefix, sys.base_prefix)) or path.endswith((".py", ".pyc"))
        if not is_own or (isinstance(flags, int) and flags & os.O_ACCMODE):
            seen.append(f"open {path!r}, {flags}")


sys.addaudithook(_note)


def mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """Some of the bytes changed, left out, doubled, or tokens put among them."""
    for _ in range(int(rng.integers(1, 5))):
        size = len(data)
        begin = int(rng.integers(0, size + 1))
        end = min(size, begin + int(rng.integers(0, 1 + min(size, int(2 ** rng.integers(1, 9))))))
        token = TOKENS[int(rng.integers(len(TOKENS)))]
        ways: tuple[bytes, ...] = (
            data[:begin] + rng.bytes(end - begin) + data[end:],
            data[:begin] + data[end:],
            data[:end] + data[begin:],
            data[:begin] + token + data[begin:],
            data[:begin] + token + data[end:],
            data[:begin],
            bytes(
                np.bitwise_xor(np.frombuffer(data, np.uint8), (rng.random(size) < 2 / max(1, size)).astype(np.uint8))
            ),
        )
        data = ways[int(rng.integers(len(ways)))]
    return data


def mutated_json(rng: np.random.Generator, text: bytes) -> bytes:
    """One or some values of JSON in the place of others, or missing."""
    value = json.loads(text)
    for _ in range(int(rng.integers(1, 4))):
        holders: list[Any] = [value]
        for holder in holders:
            inner = holder.values() if isinstance(holder, dict) else holder
            holders += [entry for entry in inner if isinstance(entry, (dict, list)) and entry]
        holder = holders[int(rng.integers(len(holders)))]
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            continue
        key, other = keys[int(rng.integers(len(keys)))], keys[int(rng.integers(len(keys)))]
        if rng.random() < 0.2:
            del holder[key]
        elif rng.random() < 0.3:
            holder[key] = holder[other]
        else:
            holder[key] = VALUES[int(rng.integers(len(VALUES)))]
    try:
        return json.dumps(value).encode()
    except (ValueError, RecursionError):  # it holds itself
        return text


OBJ = (
    b"# a house\nmtllib paint.mtl\no house\nv 0 0 0\nv 2 0 0 1 0 0\nv 2 1 0\nv 1 1 0\nv 1 2 0\nv 0 2 0\nv 0 0 2\n"
    b"vt 0 0\nvt 1 0\nvt 0.5 1\nvn 0 0 1\nusemtl bark\nf 1/1 2/2 7/3\ng side\nf 2 3 4 5 6 1\nusemtl plain # gray\n"
    b"f -1//1 -6//1 -5//1\nf 1/1/1 3/2/1 \\\n 7/3/1 6/1/1\nl 1 2\n"
)
MTL = b"newmtl bark\nKd 1 0 0\nmap_Kd -s 2 2 2 -o 0.1 0 bark.png\nnewmtl plain\nKd 0.5\n"
PLACES = [("s", "float", [0.2] * 8), ("t", "float", [0.7] * 8)]


def sample_gltf() -> Gltf:
    """A cube with about all that a file may hold."""
    cube = Gltf()
    cube.paint(
        png(RED, GREEN), everywhere(0.25), extensions={"KHR_texture_transform": {"offset": [0.5, 0], "rotation": 1}}
    )
    colors = cube.add(np.full((8, 4), 128, dtype=np.uint8), normalized=True)
    joints = cube.add(np.zeros((8, 4), dtype=np.uint8))
    weights = cube.add(np.tile(np.array([[1, 0, 0, 0]], dtype=np.float32), (8, 1)))
    cube.primitive["attributes"] |= {"COLOR_0": colors, "JOINTS_0": joints, "WEIGHTS_0": weights}
    cube.primitive["targets"] = [{"POSITION": 0}]
    moved = {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": cube.add(np.eye(3, dtype=np.float32))}}}
    cube.json["nodes"] = [
        {"mesh": 0, "children": [1, 2], "rotation": [0, 0, 0.6, 0.8], "weights": [0.5], "extensions": moved},
        {"mesh": 0, "skin": 0},
        {"camera": 0, "scale": [1, 2, 3], "children": [3]},
        {"mesh": 0, "matrix": np.diag([1, 1, -1, 1]).ravel().tolist()},
    ]
    cube.json |= {"skins": [{"joints": [2]}], "samplers": [{"wrapS": 33648}], "scene": 0, "extensionsRequired": []}
    return cube


def library(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


CATALOG_TEXT = (
    b"id=Test\nlicense=CC-BY \\u00a9\nname#1=Coffee mug\nmodel#1=/m/mug.obj\nid#1=T#mug\nwidth#1=8\nheight#1=9\n"
    b"depth#1=7\nmodelRotation#1=0 0 1 0 1 0 -1 0 0\nname#2=Oak\\\n chair\nmodel#2=m/mug.obj\ncreator#2=Ann\n"
)


def cases(kind: str) -> Iterator[bytes]:
    """Endless bytes of a kind of file, always the same."""
    rng = np.random.default_rng(list(kind.encode()))
    gltf = json.dumps(sample_gltf().json).encode()
    glb = Gltf().glb()
    seeds = {
        "obj": [OBJ, OBJ.replace(b"\n", b"\r\n"), OBJ.decode().encode("utf-16")],
        "mtl": [MTL, MTL.decode().encode("utf-16")],
        "png": [png(RED, GREEN)],
        "ply": [
            ply(form, MIXED, vertex=PLACES, face=[("red", "uchar", range(7))], comments="comment TextureFile bark.png")
            for form in ("ascii", "binary_big_endian")
        ],
        "stl": [binary_stl(), text_stl().encode()],
        "glb": [glb],
        "gltf": [gltf],
        "sh3f": [b""],
    }[kind]
    for number in itertools.count():
        seed = seeds[number % len(seeds)]
        if kind == "gltf":
            seed = mutated_json(rng, seed)
            yield mutated(rng, seed) if number % 4 == 0 else seed
        elif kind == "sh3f":
            parts = {CATALOG: CATALOG_TEXT, "m/mug.obj": OBJ, "m/paint.mtl": MTL, "m/bark.png": png(RED, GREEN)}
            chosen = list(parts)[int(rng.integers(len(parts)))]
            if number % 2:
                parts[chosen] = mutated(rng, parts[chosen])
            data = library(parts)
            yield data if number % 2 else mutated(rng, data)
        else:
            yield mutated(rng, seed)


def one_line(ask: Callable[[], object]) -> str:
    """What is said where there is no answer; empty: there is one."""
    try:
        ask()
    except SemrobError as error:
        if isinstance(error.__cause__, (Warning, MemoryError)):
            raise error.__cause__ from None
        return str(error)
    return ""


@pytest.mark.parametrize("kind", ["obj", "mtl", "png", "ply", "stl", "glb", "gltf", "sh3f"])
def test_any_bytes_end_in_a_mesh_or_in_one_line(kind: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    seconds: float = pytestconfig.getoption("--fuzz-seconds")
    files = {"paint.mtl": MTL, "bark.png": png(RED, GREEN), "mesh.obj": OBJ}
    files |= {"mtl": {"paint.mtl": b""}, "png": {"bark.png": b""}}.get(kind, {f"mesh.{kind}": b""})
    target = {"mtl": "paint.mtl", "png": "bark.png"}.get(kind, f"mesh.{kind}")
    mesh = tmp_path / (target if kind not in {"mtl", "png"} else "mesh.obj")
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    def read(colors: bool) -> Mesh:
        if kind != "sh3f":
            return load_mesh(mesh, colors=colors)
        return load_piece(str(mesh), list_library(str(mesh))[0].name, colors=colors)

    cut_ears(np.eye(4)[:, :2].copy(), 100)  # numba may write its cache now, and not later
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin, meshes, lines = time.perf_counter(), 0, 0
    for number, data in enumerate(cases(kind)):
        if number >= CASES and time.perf_counter() - begin >= seconds:
            break
        (tmp_path / target).write_bytes(data)
        _watched.append((str(tmp_path), []))
        started = time.process_time()
        try:
            told = one_line(lambda number=number: read(number % 3 > 0))  # type: ignore[misc]
        except Exception as error:
            raise AssertionError(f"case {number}: {error!r}") from error
        finally:
            _, seen = _watched.pop()
        taken = time.process_time() - started
        assert not seen, f"case {number}: {seen}"
        assert "\n" not in told, f"case {number}: {told}"
        assert len(told) < 3000, f"case {number}: {told}"
        assert taken < CASE_SECONDS, f"case {number}: {taken:.1f} s"
        meshes, lines = meshes + (not told), lines + bool(told)
    assert {path.name for path in tmp_path.iterdir()} == set(files) | {target}
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) < CASE_BYTES
    assert min(meshes, lines) > CASES / 50, "too few of one of both: the mutations are too strong or too weak"
