"""The command evaluate: its files, going on after a kill, its gate and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import trimesh

from baselines.commands import evaluate
from baselines.commands.program import BAD_INPUT, FAILED_GATE, run_command
from baselines.experiments.evaluation import asking
from baselines.experiments.evaluation.values import GATES
from semrob_env.metrics import shrink

QUICK = [
    "--survey-points",
    "32",
    "--budget",
    "30",
    "--judge-points",
    "8",
    "--goal",
    "reliability=0.8",
    "--certificate-points",
    "24",
    "--effect-points",
    "4",
    "--failures",
    "2",
]


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    folder = tmp_path / "meshes"
    folder.mkdir()
    trimesh.creation.annulus(0.4, 0.5, 1.0).export(str(folder / "<i>mug.obj"))
    trimesh.creation.box((1, 2, 1)).export(str(folder / "crate.obj"))
    return folder


def run(out: Path, *arguments: str) -> int:
    return run_command(evaluate.main, [*arguments, "--networks", "tiny", "--out", str(out), *QUICK])


@pytest.mark.slow
def test_it_writes_a_report_and_all_that_is_in_it(
    tiny: str, tmp_path: Path, meshes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(out, str(meshes), "--class", "cup") == 0
    shown = capsys.readouterr().out
    assert "<i>mug.obj: right in " in shown
    assert "at its best view (azimuth" in shown
    document = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert {own["name"] for own in document["shapes"]} == {"<i>mug.obj", "crate.obj"}
    assert document["gate"] is None
    assert document["network"]["name"] == "tiny"
    for name, key in (("shapes", "top1"), ("regions", "found_share")):
        with (out / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows
        assert all(0 <= float(row[key]) <= 1 for row in rows)
    failures = sum(len(own["failures"]) for own in document["shapes"])
    assert len(list((out / "pictures").glob("*.png"))) == failures
    with (out / "failures.csv").open(encoding="utf-8", newline="") as file:
        assert all((out / row["picture"]).is_file() for row in csv.DictReader(file))
    assert any("crate.obj" in path.name for path in (out / "pictures").iterdir())
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "&lt;i&gt;mug.obj" in page
    assert "<i>mug" not in page
    for name in ("failures.png", "rates.png", "runs.sqlite", "answers.sqlite"):
        assert (out / name).stat().st_size > 1000


def test_a_gate_ends_with_one_line_and_code_1_and_the_report_is_there(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(out, "cup:0", "--fail-below", "1", "--fail-on", "certified_worst_region") == FAILED_GATE == 1
    error = capsys.readouterr().err
    assert error.startswith("failed: certified_worst_region 0.")
    assert " is below 1 (" in error
    assert error.count("\n") == 1
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["gate"]["passed"] is False
    assert (out / "report.html").exists()
    assert run(out, "cup:0", "--fail-below", "0") == 0
    assert "is not below 0 (" in capsys.readouterr().out


@pytest.mark.slow
def test_an_interrupted_one_goes_on_and_ends_with_the_same_report(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    assert run(whole, "cup:0", "cup:3") == 0

    def interrupted(*arguments: object, **others: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(asking, "shrink", interrupted)
    assert run(halved, "cup:0", "cup:3") == 130
    assert "run the same command to go on" in capsys.readouterr().err
    assert not (halved / "report.json").exists()
    monkeypatch.setattr(asking, "shrink", shrink)
    assert run(halved, "cup:0", "cup:3") == 0
    both = [json.loads((folder / "report.json").read_text(encoding="utf-8")) for folder in (whole, halved)]
    assert {**both[0], "created": ""} == {**both[1], "created": ""}


def test_bad_input_is_one_line_before_any_work(
    tiny: str, tmp_path: Path, meshes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        ([str(meshes)], "or else the folder it is in); give --class NAME"),
        (["cup:0", "--fail-below", "30"], "--fail-below 30: give a share from 0 to 1"),
        (["cup:0", "--fail-on", "top1"], "--fail-on"),
        (["cup:0", "--networks", "tiny,other=tiny"], "2 networks; an evaluation is of one"),
    ):
        assert (
            run_command(evaluate.main, ["--networks", "tiny", "--out", str(tmp_path / "no"), *arguments]) == BAD_INPUT
        )
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "no").exists()


def test_the_help_names_every_figure_of_a_gate() -> None:
    text = str(evaluate.__doc__)
    assert all(f"  {name} " in text for name in GATES)


def test_points_that_could_certify_nothing_are_refused(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    for points, code in ((79, BAD_INPUT), (80, 0), (0, 0)):
        asked = ["cup:3", "--networks", tiny, "--dry-run", "--certificate-points", str(points)]
        assert run_command(evaluate.main, asked) == code
        told = capsys.readouterr()
        assert ("79 certificate points cannot certify" in told.err) == (code == BAD_INPUT)
        assert ("estimated time: " in told.out) == (code == 0)


def test_a_dry_run_ends_at_a_class_that_the_network_does_not_have(
    tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(evaluate.main, ["cup:0", "--class", "llama7", "--networks", tiny, "--dry-run"]) == BAD_INPUT
    assert "class 'llama7'" in capsys.readouterr().err
