"""Challenges of hidden maps: what is given away tells no score of them, and regions are scored exactly."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from baselines.commands import challenge
from baselines.commands.program import BAD_INPUT, run_command
from semrob_env import optimum, read_goal
from semrob_env.files import csv_text
from semrob_env.recorded import RecordedMaps, load_maps, save_maps
from tests.recorded_maker import wavy_maps

GOALS = ["--goal", "mean=0.5", "--goal", "reliability=0.8,level=0.5"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    maps = save_maps(wavy_maps(), tmp_path / "maps.npz")
    made = ["--maps", str(maps), "--hidden-shapes", "1", *GOALS, "--out", str(tmp_path / "made")]
    assert run_command(challenge.main, made) == 0
    return tmp_path / "made"


def lines_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def scores(folder: Path, submission: str) -> list[dict[str, str]]:
    path = folder.parent / "mine.csv"
    path.write_text(submission, encoding="utf-8")
    out = folder.parent / "scores"
    assert run_command(challenge.main, ["--score", str(path), "--challenge", str(folder), "--out", str(out)]) == 0
    return lines_of(out / "scores.csv")


def test_the_public_part_has_questions_and_hashes_of_hidden_maps_and_nothing_else_of_them(folder: Path) -> None:
    assert {path.name for path in (folder / "public").iterdir()} == {
        "answers.csv",
        "maps.npz",
        "questions.csv",
        "regions.csv",
    }
    public, hidden = load_maps(folder / "public" / "maps.npz"), load_maps(folder / "hidden" / "maps.npz")
    assert {name[-1] for name in hidden.names} == {"1"}
    assert {name[-1] for name in public.names} == {"0"}
    questions = lines_of(folder / "public" / "questions.csv")
    assert set(questions[0]) == {"question", "map", "map_sha256", "goal", "start_azimuth", "start_elevation"}
    for line in questions:
        assert line["map_sha256"] == hidden.digests[hidden.index(line["map"])]
    function = RecordedMaps(public)
    for line in lines_of(folder / "public" / "answers.csv"):
        start = np.array([float(line["start_azimuth"]), float(line["start_elevation"])])
        best = optimum(function, start, read_goal(line["goal"]), member=public.index(line["map"]))
        assert float(line["share"]) == best.share


def test_the_optimum_scores_one_and_what_is_no_answer_zero(folder: Path) -> None:
    maps, questions = load_maps(folder / "hidden" / "maps.npz"), lines_of(folder / "public" / "questions.csv")
    function, submission = RecordedMaps(maps), []
    for line in questions:
        start = np.array([float(line["start_azimuth"]), float(line["start_elevation"])])
        best = optimum(function, start, read_goal(line["goal"]), member=maps.index(line["map"]))
        assert best.region is not None
        submission.append({
            "question": line["question"],
            "azimuth_lower": best.region.lower[0, 0],
            "azimuth_upper": best.region.upper[0, 0],
            "elevation_lower": best.region.lower[0, 1],
            "elevation_upper": best.region.upper[0, 1],
        })
    told = scores(folder, csv_text(submission))
    assert [float(line["quality"]) for line in told] == pytest.approx([1.0] * len(questions))
    assert set(told[0]) == {"question", "goal", "answered", "feasible", "share", "quality"}
    nothing = scores(folder, csv_text(submission[:1]))
    assert [line["answered"] for line in nothing] == ["1"] + ["0"] * (len(questions) - 1)
    away = [{**line, "elevation_lower": 88.0, "elevation_upper": 90.0} for line in submission]  # without the start
    assert {line["feasible"] for line in scores(folder, csv_text(away))} == {"0"}
    example = (folder / "public" / "regions.csv").read_text(encoding="utf-8")
    assert {line["quality"] for line in scores(folder, example)} == {"0.0"}, "a point has no volume"


def test_what_cannot_be_scored_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = "question,azimuth_lower,elevation_lower,azimuth_upper,elevation_upper\n"
    for text, message in (
        (head + "q9999,0,0,1,1\n", "no question 'q9999'"),
        (head + "q0001,9,0,1,1\n", "question 'q0001': region 0: lower azimuth 9 is above"),
        (head + "q0001,nan,0,1,1\n", "question 'q0001': not finite"),
        (head + "q0001,,0,1,1\n", "question 'q0001': could not convert"),
    ):
        path = folder.parent / "bad.csv"
        path.write_text(text, encoding="utf-8")
        assert run_command(challenge.main, ["--score", str(path), "--challenge", str(folder)]) == BAD_INPUT
        assert message in capsys.readouterr().err
    save_maps(load_maps(folder / "public" / "maps.npz"), folder / "hidden" / "maps.npz")
    example = str(folder / "public" / "regions.csv")
    assert run_command(challenge.main, ["--score", example, "--challenge", str(folder)]) == BAD_INPUT
    nowhere = ["--maps", str(folder / "public" / "maps.npz"), "--hidden-shapes", "7"]
    assert run_command(challenge.main, nowhere) == BAD_INPUT
    assert "hides 0 of 4 maps" in capsys.readouterr().err


def test_a_hidden_map_that_was_changed_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "public" / "questions.csv"
    text = path.read_text(encoding="utf-8")
    digest = lines_of(path)[0]["map_sha256"]
    path.write_text(text.replace(digest, "0" * 64), encoding="utf-8")
    example = str(folder / "public" / "regions.csv")
    assert run_command(challenge.main, ["--score", example, "--challenge", str(folder)]) == BAD_INPUT
    assert "is not the one of questions.csv" in capsys.readouterr().err
