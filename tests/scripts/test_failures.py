"""Failing views as a command: what is written, that it goes on where it was, and bad input."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from baselines.commands import failures
from baselines.commands.program import BAD_INPUT, run_command
from baselines.experiments import failures as engine
from semrob_env.functions import make_function
from semrob_env.scene.classifiers.registry import NETWORKS, forget_networks, register_network
from semrob_env.scene.classifiers.score_kinds import ScoreKind
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from tests.scripts.conftest import make_tiny


def make_scored(unnormalized: bool, size: int | None, score: ScoreKind) -> TorchClassifier:
    own = make_tiny(unnormalized, size)
    return TorchClassifier(own.module, own.preprocessing, name="scored", score=score)


@pytest.fixture(autouse=True)
def scored() -> Iterator[None]:
    """The tiny network, that can tell margins."""
    register_network("scored", make_scored)
    forget_networks()
    yield
    del NETWORKS["scored"]
    forget_networks()


def run(folder: Path, *extra: str) -> int:
    common = ["--networks", "scored", "--search", "random_attack", "--budget", "40", "--region-budget", "15"]
    return run_command(failures.main, [*common, "--out", str(folder), *extra])


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.mark.slow
def test_failing_views_are_written_with_what_is_answered_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "cup:0", "chair:0", "--count", "3", "--certificate-points", "39", "--reliability", "0.9") == 0
    rows = rows_of(tmp_path / "failures.csv")
    assert {row["class"] for row in rows} <= {"cup", "chair"}
    assert rows
    for row in rows:
        function = make_function(row["function_id"])
        score = float(function.values([[[float(row["azimuth"]), float(row["elevation"])]]])[0, 0])
        assert score == float(row["score"]) < 0, "a margin: another class is answered"
        assert row["is_wrong"] == "1"
        assert row["predicted_1"] != row["class"]
        probabilities = [float(row[f"probability_{place}"]) for place in (1, 2, 3)]
        assert probabilities == sorted(probabilities, reverse=True)
        with Image.open(tmp_path / row["picture"]) as image:
            assert image.size == (32, 32)
    told = json.loads((tmp_path / "failures.json").read_text())
    assert (told["format"], told["version"]) == ("semrob failures", 1)
    assert [own["queries"]["search"] for own in told["functions"]] == [40, 40]
    regions = rows_of(tmp_path / "regions.csv")
    assert sum(own["queries"]["certificates"] for own in told["functions"]) == sum(
        int(region["certificate_queries"]) for region in regions
    )
    with Image.open(tmp_path / "failures.png") as image:
        assert min(image.size) > 200
    out = capsys.readouterr().out
    assert "is no rate of failing views" in out
    assert "80 forward and 0 gradient queries of searches" in out


def test_a_repeated_command_asks_nothing_again_and_removes_pictures_that_are_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, "cup:0", "--count", "3", "--regions", "0") == 0
    before, sheet = (tmp_path / "failures.csv").read_text(), len(list((tmp_path / "images").iterdir()))

    def never(*arguments: object, **named: object) -> None:
        raise AssertionError("asked again")

    more = ["--count", "3", "--regions", "0", "--workers", "2", "--backend", "threading"]
    assert run(tmp_path / "threads", "cup:0", *more) == 0
    for name in ("failures.csv", "failures.json", "failures.md", "failures.png"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "threads" / name).read_bytes()
    monkeypatch.setattr(engine, "ask", never)
    (tmp_path / "images" / "mine.png").touch()
    assert run(tmp_path, "cup:0", "--count", "3", "--regions", "0") == 0
    assert (tmp_path / "failures.csv").read_text() == before
    assert (tmp_path / "regions.csv").read_text() == ""
    assert run(tmp_path, "cup:0", "--count", "1", "--regions", "0") == 0
    assert len(list((tmp_path / "images").iterdir())) == 1 + 1 <= sheet + 1
    assert run(tmp_path, "cup:0", "--no-resume") == BAD_INPUT


def test_a_dry_run_tells_the_bill_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "out", "--classes", "cup,chair", "--shapes", "0-1", "--dry-run") == 0
    assert "160 of the search, 60 of failing regions" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--search", "naive"], "naive recommends regions"),
        (["--search", "pgd:descent=0"], "descent 0"),
        (["--level", "2"], "level"),
        (["--reliability", "2"], "reliability"),
        (["--regions=-1"], "-1 regions"),
        (["--budget", "0"], "--budget 0"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert run(tmp_path / "out", "cup:0", *extra) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
