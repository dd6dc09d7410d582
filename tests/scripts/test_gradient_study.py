"""The study of gradients: its tables and picture, its bill, correlations of known answers, and bad input."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baselines.commands import gradient_study
from baselines.commands.program import BAD_INPUT, run_command
from baselines.commands.work import gradient_study as gradient_study_work


def run(folder: Path, *extra: str) -> int:
    small = ["cup:0", "--points", "4", "--budget", "24", "--judge-points", "2", "--emphasis", "0.5"]
    return run_command(gradient_study.main, [*small, "--networks", "tiny", "--out", str(folder), *extra])


def test_both_tables_and_the_image_are_written(tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 0
    kinds = list(gradient_study_work.KINDS)
    predictions = list(csv.DictReader((tmp_path / "prediction.csv").read_text().splitlines()))
    assert [row["kind"] for row in predictions[:: len(gradient_study_work.MOVES_DEG)]] == kinds
    assert all(-1 <= float(row["correlation"]) <= 1 for row in predictions)
    bills = {row["kind"]: float(row["queries_a_point"]) for row in predictions}
    assert (bills["exact"], bills["smooth picture"], bills["mean 3 deg"], bills["difference 3"]) == (2, 2, 10, 5)
    regions = list(csv.DictReader((tmp_path / "regions.csv").read_text().splitlines()))
    assert len(regions) == 4 * sum(kind.grows for kind in gradient_study_work.KINDS.values())
    assert all(0 < int(row["queries"]) <= 24 or row["kind"] == "mean 3 deg" for row in regions)
    text = (tmp_path / "gradient_study.md").read_text()
    assert "median over 1 shape (quartiles)" in text
    assert text.strip() in capsys.readouterr().out
    with Image.open(tmp_path / "gradient_study.png") as image:
        assert min(image.size) > 300


@pytest.mark.slow
def test_workers_give_the_same_bytes(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = {name: gradient_study_work.KINDS[name] for name in ("exact", "difference 3")}
    monkeypatch.setattr(gradient_study_work, "KINDS", some)
    for workers in ("1", "2"):
        more = ["chair:0", "--points", "3", "--budget", "8", "--workers", workers, "--backend", "threading"]
        assert run(tmp_path / workers, *more) == 0
    for name in ("prediction.csv", "regions.csv", "gradient_study.md", "gradient_study.png"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_dry_run_tells_what_it_would_ask_and_writes_nothing(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "out", "--dry-run") == 0
    per_point = 2 + 2 + 10 + 10 + 5 + 5 + 5
    assert f"1 shapes: {4 * per_point + 40} queries each" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_correlation_and_cosine_of_known_numbers() -> None:
    told = np.array([1.0, 2.0, 3.0])
    assert gradient_study_work.correlation(told, 2 * told + 1) == pytest.approx(1.0)
    assert gradient_study_work.correlation(told, -told) == pytest.approx(-1.0)
    assert gradient_study_work.correlation(told, np.ones(3)) == 0.0
    assert gradient_study_work.cosine(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(np.sqrt(0.5))
    assert gradient_study_work.cosine(np.zeros(2), np.ones(2)) == 0.0


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--points", "2"], "needs at least 3"),
        (["--points", "0"], "--points 0"),
        (["--budget", "0"], "--budget 0"),
        (["--emphasis", "big"], "--emphasis big"),
        (["--emphasis", "-1"], "emphasis_factor"),
        (["cup"], "unknown shape source"),
        (["--judge-points", "3"], "power of two"),
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
    assert not (tmp_path / "out").exists()
