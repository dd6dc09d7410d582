"""The acceptance report: every kind of source, shapes that fail beside those that do not, and bad input."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.commands import accept_shapes, grow_regions
from baselines.commands.program import BAD_INPUT, run_command
from semrob_env.functions import ScoreFunction, make_function
from semrob_env.recorded import RecordedMaps, load_maps
from semrob_env.scene import acceptance
from semrob_env.scene.classifiers.names import parts_of

WEDGE = "v 0 0 6\nv 2 0 0\nv 0 4 0\nv 0 0 0\nf 1 2 3\nf 1 3 4\nf 1 4 2\nf 2 4 3\n"
CATALOGUE = (
    "license=CC-BY 3.0\nname#1=Coffee cup\nmodel#1=/a.obj\ncreator#1=Ann | Bob\nid#1=M#coffee\n"
    "name#2=Chair\nmodel#2=/gone.obj\nid#2=M#oak\nname#3=Lamp\nmodel#3=/a.obj\nid#3=M#lamp\n"
)


@pytest.fixture
def library(tmp_path: Path) -> str:
    path = tmp_path / "my lib.sh3f"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", CATALOGUE)
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


def test_class_names_and_colours_choose_what_is_scored(tiny: str, tmp_path: Path, library: str) -> None:
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
        (["--weights", "none.pth"], "--weights none.pth: there is no such file"),
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
