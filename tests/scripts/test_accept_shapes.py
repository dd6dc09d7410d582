"""The acceptance report: every kind of source, shapes that fail beside those that do not, and bad input."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.commands import accept_shapes, grow_regions, program
from baselines.commands.program import BAD_INPUT, run_command
from baselines.commands.shared.terminal import make_console
from baselines.commands.work import accept_shapes as accept_shapes_work
from semrob_env.errors import InvalidMeshError
from semrob_env.functions import ScoreFunction, make_function
from semrob_env.parameters import SemanticSpace
from semrob_env.recorded import RecordedMaps, ScoreMaps, load_maps, save_maps
from semrob_env.scene import acceptance
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.scene.classifiers.registry import NETWORKS, forget_networks, register_network
from tests.scripts.conftest import make_tiny

WEDGE = "v 0 0 6\nv 2 0 0\nv 0 4 0\nv 0 0 0\nf 1 2 3\nf 1 3 4\nf 1 4 2\nf 2 4 3\n"
CATALOG = (
    "license=CC-BY 3.0\nname#1=Coffee cup\nmodel#1=/a.obj\ncreator#1=Ann | Bob\nid#1=M#coffee\n"
    "name#2=Chair\nmodel#2=/gone.obj\nid#2=M#oak\nname#3=Lamp\nmodel#3=/a.obj\nid#3=M#lamp\n"
)


@pytest.fixture
def library(tmp_path: Path) -> str:
    path = tmp_path / "my lib.sh3f"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", CATALOG)
        archive.writestr("a.obj", WEDGE)
    return str(path)


def run(folder: Path, *extra: str) -> int:
    return run_command(accept_shapes.main, ["--networks", "tiny", "--grid", "4x3", "--out", str(folder), *extra])


def test_a_report_has_a_row_a_shape_and_network_and_keeps_the_maps(
    tiny: str, tmp_path: Path, library: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(out, library, "cup:1", "--threshold", "0.2") == 0
    rows = {row["name"]: row for row in csv.DictReader((out / "acceptance.csv").read_text().splitlines())}
    assert list(rows) == ["coffee", "oak", "cup:1"]
    assert rows["oak"]["error"].endswith("my lib.sh3f#oak: its model 'gone.obj' is not in the library")
    assert rows["oak"]["mean"] == rows["oak"]["accepted"] == ""
    assert (rows["coffee"]["author"], rows["coffee"]["licence"]) == ("Ann | Bob", "CC-BY 3.0")
    maps = load_maps(out / "maps.npz")
    assert maps.scores.shape == (2, 4, 3)
    for name, scores in zip(("coffee", "cup:1"), maps.scores.astype(np.float64), strict=True):
        assert float(rows[name]["mean"]) == pytest.approx(scores.mean(), rel=1e-12)
        assert rows[name]["accepted"] == str(bool(scores.mean() >= 0.2))
    assert maps.names[1] == "tiny/cup/procedural:1"
    assert maps.facts[1]["function"] == "scene:tiny/cup/procedural:1?params=azimuth,elevation"
    report = (out / "acceptance.md").read_text()
    shown = capsys.readouterr().out
    for text in (report, shown):
        assert "1 could not be loaded" in text
        assert "is not in the library" in text
    assert "Ann \\| Bob" in report
    assert "- CC-BY 3.0" in report
    assert "1 shapes of no known class were left out" in report
    assert "1 shapes of no known class are left out: --class NAME" in shown


def test_what_was_scored_before_an_interrupt_is_not_scored_again(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes, whole, cut = ("cup:0", "cup:1", "chair:0"), tmp_path / "whole", tmp_path / "cut"
    assert run(whole, *shapes) == 0
    asked: list[str] = []
    judge = acceptance.judge_shape

    def interrupted(function: ScoreFunction, **options: Any) -> acceptance.Acceptance:
        asked.append(function.id)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return judge(function, **options)

    monkeypatch.setattr(acceptance, "judge_shape", interrupted)
    assert run(cut, *shapes) == 130
    assert run(cut, *shapes) == 0
    assert len(asked) == 4  # one done, one interrupted, then the two that were missing
    for name in ("acceptance.csv", "acceptance.md", "maps.npz"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


def maps_in(folder: Path) -> dict[str, bytes]:
    """Name and scores of each map in a folder."""
    maps = load_maps(folder / "maps.npz")
    return {name: scores.tobytes() for name, scores in zip(maps.names, maps.scores, strict=True)}


TEN = ("--classes", "cup,chair", "--numbers", "0-4")


def interrupt_the_second(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    """Let the second call of a function end the command."""
    calls, function = [], getattr(module, name)

    def called(*given: Any, **options: Any) -> Any:
        calls.append(name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return function(*given, **options)

    monkeypatch.setattr(module, name, called)


def test_an_interrupt_while_it_reads_what_is_there_loses_no_map(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, *TEN) == 0
    before = maps_in(tmp_path)
    assert len(before) == 10
    interrupt_the_second(monkeypatch, accept_shapes_work, "judge_for_networks")
    assert run(tmp_path, *TEN) == 130
    assert maps_in(tmp_path) == before


def test_an_interrupt_while_it_scores_what_is_new_loses_no_map(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, *TEN) == 0
    before = maps_in(tmp_path)
    interrupt_the_second(monkeypatch, acceptance, "judge_shape")
    assert run(tmp_path, "--classes", "cup,chair", "--numbers", "4-8") == 130
    after = maps_in(tmp_path)
    assert len(after) == 11
    assert {name: after[name] for name in before} == before


def test_other_classes_and_networks_come_beside_the_maps_that_are_there(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, *TEN) == 0
    before, kept = maps_in(tmp_path), (tmp_path / "maps.npz").read_bytes()
    asked: list[str] = []
    judge = acceptance.judge_shape

    def judged(function: ScoreFunction, **options: Any) -> acceptance.Acceptance:
        asked.append(function.id)
        return judge(function, **options)

    monkeypatch.setattr(acceptance, "judge_shape", judged)
    assert run(tmp_path, "--classes", "cup", "--numbers", "0-1") == 0
    assert (tmp_path / "maps.npz").read_bytes() == kept
    assert len((tmp_path / "acceptance.csv").read_text().splitlines()) == 1 + 2  # reports tell of what was asked
    assert asked == []
    assert run(tmp_path, "--classes", "vase", "--numbers", "0-1") == 0
    assert run(tmp_path, "--classes", "cup", "--numbers", "0-1", "--unnormalized") == 0
    after = maps_in(tmp_path)
    assert (len(asked), len(after)) == (4, 14)
    assert {name: after[name] for name in before} == before


def test_a_map_of_changed_weights_stays_until_the_new_one_is_there(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, "cup:0", "cup:1", "chair:0") == 0
    before, facts = maps_in(tmp_path), load_maps(tmp_path / "maps.npz").facts
    changed = acceptance.facts_of
    monkeypatch.setattr(acceptance, "facts_of", lambda *given: {**changed(*given), "weights": "others"})
    assert run(tmp_path, "cup:1") == 0
    assert maps_in(tmp_path) == before  # the scores are the same here
    now = load_maps(tmp_path / "maps.npz").facts
    assert [now[0], now[2]] == [facts[0], facts[2]]
    assert now[1] == {**facts[1], "weights": "others"}


def test_a_map_is_kept_where_the_next_network_fails_on_the_shape(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(function_id: str) -> ScoreFunction:
        if "other" in function_id:
            raise InvalidMeshError("no")
        return make_function(function_id)

    register_network("other", make_tiny)
    try:
        monkeypatch.setattr(acceptance, "make_scene_function", made)
        assert run(tmp_path, "cup:0", "--networks", "tiny,other") == BAD_INPUT  # no shape got all its verdicts
    finally:
        del NETWORKS["other"]
        forget_networks()
    assert list(maps_in(tmp_path)) == ["tiny/cup/procedural:0"]


def damaged(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:-40])
    return "or damaged"


def somebodys(path: Path) -> str:
    path.write_text("my notes")
    return "not a file of 'semrob maps'"


def imported(path: Path) -> str:
    maps = load_maps(path)
    save_maps(ScoreMaps(maps.space, maps.axes, maps.scores, maps.names), path)
    return "holds maps that this command did not make"


def of_another_space(path: Path) -> str:
    scores = np.zeros((1, 4), dtype=np.float32)
    save_maps(
        ScoreMaps(SemanticSpace.of("azimuth"), (np.array([0.0, 90.0, 180.0, 270.0]),), scores, ("a/cup/1",)), path
    )
    return "holds maps that this command did not make"


def of_another_grid(path: Path) -> str:
    path.unlink()
    assert run(path.parent, "cup:0", "--grid", "2x3") == 0
    return "holds maps of the grid 2x3, not 4x3"


def of_another_score(path: Path) -> str:
    maps = load_maps(path)
    save_maps(ScoreMaps(maps.space, maps.axes, maps.scores, maps.names, maps.facts, (-50.0, 50.0)), path)
    return "holds scores from -50 to 50, not 0 to 1"


@pytest.mark.parametrize("spoil", [damaged, somebodys, imported, of_another_space, of_another_grid, of_another_score])
def test_a_file_that_maps_cannot_be_added_to_is_one_line_before_any_work_and_stays(
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], str],
) -> None:
    assert run(tmp_path, "cup:0") == 0
    path = tmp_path / "maps.npz"
    message = spoil(path)
    before = path.read_bytes()
    capsys.readouterr()
    monkeypatch.setattr(acceptance, "judge_shape", None)  # nothing may be asked
    assert run(tmp_path, "cup:1") == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert "it stays as it is: choose another --out" in error
    assert error.count("\n") == 1
    assert path.read_bytes() == before


def run_forever(folder: str) -> None:
    """Resumes the ten shapes, then goes on to shapes that are new; tells when it has begun."""
    register_network("tiny", make_tiny)
    os.write(1, b"begun\n")
    run(Path(folder), "--numbers", "0-9", "--classes", "cup,chair,vase,bench")


@pytest.mark.slow
def test_killed_at_any_moment_of_a_resume_no_map_is_lost(tiny: str, tmp_path: Path) -> None:
    assert run(tmp_path, *TEN) == 0
    before = maps_in(tmp_path)
    root = str(Path(__file__).resolve().parents[2])
    code = f"import sys; sys.path.insert(0, {root!r}); from tests.scripts import test_accept_shapes as t; "
    for pause in (0.0, 0.1):
        written = (tmp_path / "maps.npz").stat().st_mtime_ns
        command = [sys.executable, "-c", f"{code}t.run_forever({str(tmp_path)!r})"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            while (tmp_path / "maps.npz").stat().st_mtime_ns == written and process.poll() is None:
                time.sleep(0.001)
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        after = maps_in(tmp_path)
        assert len(after) > len(before)
        assert {name: after.get(name) for name in before} == before
        before = after


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
def test_names_that_are_not_utf8_are_written_escaped(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "meshes"
    folder.mkdir()
    for name in (b"caf\xe9 cup.obj", b"plain cup.obj"):
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_text(WEDGE)
    assert run(tmp_path / "out", str(folder)) == 0
    for kind in ("csv", "md"):
        assert "caf\\udce9 cup" in (tmp_path / "out" / f"acceptance.{kind}").read_text()
    assert "caf\\udce9 cup" in capsys.readouterr().out
    assert len((tmp_path / "out" / "acceptance.csv").read_text().splitlines()) == 1 + 2


def test_a_name_that_the_encoding_of_the_output_lacks_is_printed_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, shown in (("ascii", rb"\u676f \udcff"), ("utf-8", "杯".encode() + rb" \udcff")):
        data = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(data, encoding=encoding, write_through=True))
        assert program.guarded(lambda: make_console().print("杯 \udcff"), "") == 0
        assert data.getvalue() == shown + b"\n"


def test_weights_and_score_reach_the_network_and_margins_keep_their_range(tmp_path: Path, squeezenet: Path) -> None:
    out, name = tmp_path / "out", "torchvision/squeezenet1_1"
    chosen = ["--networks", name, "--weights", str(squeezenet), "--score", "margin"]
    assert run(out, "cup:1", *chosen, "--grid", "2x2", "--threshold", "-50") == 0
    maps, escaped = load_maps(out / "maps.npz"), str(squeezenet).replace(" ", "%20")
    function_id = f"scene:{name}/cup/procedural:1?params=azimuth,elevation&score=margin&weights={escaped}"
    assert maps.facts[0]["function"] == function_id
    assert [(maps.score_range, part) for part in map(parts_of, maps.names)] == [
        ((-50.0, 50.0), (f"{name};score=margin;weights={escaped.replace('/', '%2F')}", "cup", "procedural:1"))
    ]
    theta = maps.space.grid((2, 2)).reshape(1, -1, 2)
    values = make_function(function_id).values(theta)
    assert maps.scores.ravel().tobytes() == values.astype(np.float32).tobytes()
    known = RecordedMaps(maps, file=str(out / "maps.npz"))
    assert make_function(known.id).values(theta).tobytes() == known.values(theta).tobytes()


def test_class_names_and_colors_choose_what_is_scored(tiny: str, tmp_path: Path, library: str) -> None:
    assert run(tmp_path, library, "--class", "vase", "--names", "Lamp,COFFEE", "--colors", "material") == 0
    rows = list(csv.DictReader((tmp_path / "acceptance.csv").read_text().splitlines()))
    assert [(row["name"], row["class"]) for row in rows] == [("lamp", "vase"), ("coffee", "vase")]


def test_a_dry_run_lists_the_shapes_and_writes_nothing(
    tiny: str, tmp_path: Path, library: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "out", library, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "2 shapes x 1 networks x 4x3 views = 24 scores" in shown
    assert "cup  coffee (Coffee cup)" in shown
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["nowhere"], "nowhere: there is no such file"),
        (["--grid", "12"], "write azimuths x elevations, at least 2 of each, e.g. 12x7"),
        (["--grid", "0x7"], "write azimuths x elevations"),
        (["--grid", "9999x9999"], "at most 1000 of each"),
        (["--networks", "lenet"], "unknown network 'lenet'"),
        (["--classes", "dragon"], "class 'dragon' is not known"),
        (["--threshold", "nan"], "give a finite number"),
        (["--weights", "none.pth"], "there is no file none.pth"),
        (["--score", "margin"], "network 'tiny' takes no score"),
        (["--numbers", "a"], "cannot read 'a'"),
        (["--names", "nothing"], "has no shape 'nothing'"),
        (["cup:0", "--colors", "material"], "none of 1 shapes could be scored; the first one: procedural shapes"),
    ],
    ids=lambda case: str(case),
)
def test_bad_input_is_one_line_and_exit_code_2(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert run(tmp_path / "out", *extra) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_shapes_whose_class_nobody_tells_want_a_class(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thing.obj").write_text(WEDGE)
    assert run(tmp_path, str(tmp_path / "thing.obj")) == BAD_INPUT
    assert "their names tell no class; give --class NAME" in capsys.readouterr().err


def test_regions_are_grown_on_shapes_of_libraries_as_well(library: str) -> None:
    options = grow_regions.main.read([f"{library}#Coffee Cup"])
    assert options is not None
    shape = options.one_shape()
    assert shape.class_name == "cup"
    assert shape.source.startswith("sh3f:")
    assert shape.source.endswith("my%20lib.sh3f#coffee")
    options = grow_regions.main.read([f"{library}#lamp", "--class", "vase"])
    assert options is not None
    assert options.one_shape().class_name == "vase"
