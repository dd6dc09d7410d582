"""Seeded fuzzing of readers: every input ends in a value, or in one of our errors, soon and within little memory."""

from __future__ import annotations

import io
import json
import resource
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.commands.program import find_command
from baselines.commands.table import NAMES
from semrob_env.errors import InvalidMapsError, SemrobError
from semrob_env.functions import make_function
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import read_goal
from semrob_env.recorded import RecordedMaps, load_maps, save_maps
from semrob_env.recorded.pickles import parse_legacy
from semrob_env.scene.function import SceneId
from tests.recorded_maker import flat_maps
from tests.release_writer import legacy_file, map_value, optim_value

LONGEST_S, MOST_BYTES = 5.0, 2**29
"""What one input may take, in seconds of this process and in bytes on top of what it had."""

ODD = (
    *("\0", "\ud800", "9" * 5000, "1e999", "nan", "-1", "complement(" * 40, ")", "%00", "%FF", "&", "?", "=", "[", "]"),
    *(
        ",",
        ":",
        "/",
        " + ",
        "\n",
        "²",
        "杯",
        "--",
        "n=0",
        "file=/dev/zero",
        "size=3000",
        "*" * 50,
        "0.1" * 50,
        "'",
        "{",
    ),
)


def rngs(request: pytest.FixtureRequest, count: int) -> Iterator[np.random.Generator]:
    """A Generator a case: so many, and with --fuzz-seconds others until the time is over."""
    until = time.perf_counter() + request.config.getoption("--fuzz-seconds")
    case = 0
    while case < count or time.perf_counter() < until:
        yield np.random.default_rng(case)
        case += 1


def ends_well(read: Callable[[Any], object], given: Any) -> bool:
    """Whether it was read; what is refused has to be so by an error of ours."""
    began, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read(given)
    except SemrobError:
        return False
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error!s:.200} for {given!r:.2000}") from error
    finally:
        taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
        assert time.process_time() - began < LONGEST_S, f"slow: {given!r:.2000}"
        assert 1024 * taken < MOST_BYTES, f"large: {given!r:.2000}"
    return True


def changed_text(text: str, rng: np.random.Generator) -> str:
    for _ in range(rng.integers(1, 4)):
        at, end = sorted(rng.integers(0, len(text) + 1, 2).tolist())
        end = min(end, at + int(rng.integers(0, 9)))
        text = (
            text[:at]
            + [str(rng.choice(np.array(ODD, dtype=object))), "", 2 * text[at:end]][rng.integers(3)]
            + text[end:]
        )
    return text


def changed_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    kind = rng.integers(4)
    at = int(rng.integers(0, len(data)))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + rng.bytes(int(rng.integers(1, 9))) + data[at:]
    if kind == 2:
        end = at + int(rng.integers(1, 200))
        return data[:at] + data[at:end] + data[at:]
    flipped = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        flipped[rng.integers(0, len(data))] ^= 1 << int(rng.integers(8))
    return bytes(flipped)


def test_fuzz_ids_points_and_goals(request: pytest.FixtureRequest) -> None:
    space = SemanticSpace.of("azimuth,elevation")
    readers: list[tuple[Callable[[str], object], list[str]]] = [
        (
            make_function,
            ["synthetic:hill?n=2&seed=0", "complement(synthetic:trap?n=3&seed=1) + synthetic:seam?n=3&seed=2"],
        ),
        (make_function, ["recorded:ResNet50/cup/0?file=nowhere.npz", "complement(recorded:*)"]),
        (SceneId.parse, ["scene:efficientnet_lite0/cup/procedural:3?params=azimuth[90:180],roll&size=64&blur=0.5"]),
        (SemanticSpace.of, ["azimuth,elevation[0:20],roll[-180:180]", "paper6", "paper3,roll"]),
        (space.point, ["azimuth=130,elevation=30"]),
        (read_goal, ["mean=0.4,variance=0.05", "reliability=0.95,level=0.5"]),
    ]
    read = 0
    for rng in rngs(request, 3000):
        call, texts = readers[rng.integers(len(readers))]
        read += ends_well(call, changed_text(texts[rng.integers(len(texts))], rng))
    assert read > 50


ODD_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    10**400,
    float("nan"),
    "",
    "x",
    "\ud800",
    [],
    [[]],
    {},
    {"a": 1},
    [None],
    "9" * 5000,
]


def changed_header(header: Any, rng: np.random.Generator) -> Any:
    """A JSON value with an odd one somewhere in it."""
    if isinstance(header, dict | list) and header and rng.random() < 0.85:
        copy = dict(header) if isinstance(header, dict) else list(header)
        keys: list[Any] = list(header) if isinstance(header, dict) else list(range(len(header)))
        key = keys[rng.integers(len(keys))]
        copy[key] = changed_header(header[key], rng)
        return copy
    return ODD_VALUES[rng.integers(len(ODD_VALUES))]


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_header(members: dict[str, bytes], header: Any) -> bytes:
    text = json.dumps(header).encode()
    return zipped({**members, "header.npy": npy(np.frombuffer(text, dtype=np.uint8))})


def test_fuzz_maps(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    path = save_maps(flat_maps({"ResNet50/cup/0": 0.25, "ResNet50/cup/1": 0.75}), tmp_path / "maps.npz")
    data, members = path.read_bytes(), members_of(path)
    header = json.loads(np.load(path)["header"].tobytes())

    def read(given: bytes) -> None:
        path.write_bytes(given)
        maps = load_maps(path)
        function = RecordedMaps(maps)
        function.values(function.space.default[None, None])

    read_well = 0
    for case, rng in enumerate(rngs(request, 500)):
        kind = rng.integers(3)
        if kind == 0:
            given = changed_bytes(data, rng)
        elif kind == 1:
            given = with_header(members, changed_header(header, rng))
        else:
            name = list(members)[rng.integers(len(members))]
            given = zipped({**members, name: changed_bytes(members[name], rng)})
        path = tmp_path / f"maps{case % 2}.npz"  # what was read is kept until its file changes
        read_well += ends_well(read, given)
    assert read_well > 5


def test_maps_that_unpack_to_too_much_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    path = save_maps(flat_maps({"ResNet50/cup/0": 0.25}), tmp_path / "maps.npz")
    members = members_of(path)
    many = {f"a{k}.npy": npy(np.zeros(2)) for k in range(3000)}
    head = npy(np.zeros(0, dtype=np.float32)).replace(b"(0,)", b"(4,)")
    for bomb in (
        zipped({**members, "scores.npy": npy(np.zeros(2**28, dtype=np.uint8))}),
        zipped({**members, "scores.npy": head.replace(b"(4,), }   ", b"(2**62,),}")}),
        zipped({**members, **many}),
    ):
        path.write_bytes(bomb)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(InvalidMapsError):
            load_maps(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # 100 MiB
    with pytest.raises(InvalidMapsError, match="regular file"):
        load_maps("/dev/zero")


def test_fuzz_release_pickles(request: pytest.FixtureRequest) -> None:
    files = [legacy_file(map_value()), legacy_file(optim_value())]
    # A list of two times the list before, again and again: a thousand bytes that stand for 2^60 items.
    doubling = b"\x80\x02]q\x00" + b"".join(
        b"]q" + bytes([k]) + b"h" + bytes([k - 1]) + b"ah" + bytes([k - 1]) + b"a" for k in range(1, 60)
    )
    head, rest = files[0].split(b"\x80\x02}", 1)
    assert not ends_well(parse_legacy, head + doubling + b"." + rest)
    read = 0
    for rng in rngs(request, 400):
        given = changed_bytes(files[rng.integers(2)], rng)
        read += ends_well(parse_legacy, given)
    assert read > 5


def test_fuzz_options_of_commands(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    options = {
        "--networks": "efficientnet_lite0,x=y@z",
        "--params": "azimuth,elevation",
        "--goal": "mean=0.5",
        "--budget": "150",
        "--repeats": "7",
        "--seed": "3",
        "--methods": "naive,oir_b",
        "--shapes": "0-4,7",
        "--grid": "12x7",
        "--weights": "file.pth",
    }
    read = 0
    for rng in rngs(request, 120):
        command = find_command(NAMES[rng.integers(len(NAMES))])
        words = [list(options)[place] for place in rng.integers(0, len(options), rng.integers(1, 4))]
        given = [word for name in words for word in (name, options[name])]
        place = rng.integers(2 * len(given))
        if place < len(given):
            given[place] = changed_text(given[place], rng)
        read += ends_well(command.read, given)
        capsys.readouterr()
    assert read > 5
