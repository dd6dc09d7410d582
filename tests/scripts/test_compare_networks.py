"""compare_networks: the same questions of several networks, what is said of the difference, and the gate."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from baselines import compare_networks
from baselines.commands import compare_networks as command
from baselines.commands.program import BAD_INPUT, FAILED_GATE, run_command, semrob
from baselines.experiments.paired_networks import ALL, METRICS, RATE, SCORE
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.classifiers.registry import NETWORKS, forget_networks, register_network
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.store import RunStore
from semrob_env.types import Float32Array
from tests.scripts.conftest import make_tiny

QUICK = ["--classes", "cup", "--shapes", "0-1", "--views", "24", "--budget", "12", "--workers", "1"]


def make_other(noise: float, unnormalized: bool, size: int | None) -> TorchClassifier:
    """The small network with noise in its weights."""
    made = make_tiny(unnormalized, size)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in made.module.parameters():
            weights.add_(noise * weights.std() * torch.randn(weights.shape, generator=generator))
    return TorchClassifier(made.module, made.preprocessing, name="other")


@pytest.fixture
def other(tiny: str) -> Iterator[str]:
    register_network("other", partial(make_other, 0.5))
    register_network("third", partial(make_other, 0.1))
    yield tiny
    for name in ("other", "third"):
        del NETWORKS[name]
    forget_networks()


def run(folder: Path, *arguments: str) -> int:
    return run_command(command.main, [*arguments, *QUICK, "--out", str(folder)])


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_rows_and_pictures_have_the_names_of_the_user_and_the_table_is_that_of_the_views(
    other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, f"before={other}", "after=other") == 0
    said = capsys.readouterr().out
    assert "after beside before: " in said
    lines = rows_of(tmp_path / "comparison.csv")
    assert {(row["network"], row["against"]) for row in lines} == {("after", "before")}
    assert [row["group"] for row in lines] == [ALL] * 4 + ["cup 0"] * 4 + ["cup 1"] * 4
    views = rows_of(tmp_path / "views.csv")
    assert len(views) == 48
    lost = sum(float(row["before"]) >= 0.5 > float(row["after"]) for row in views)
    won = sum(float(row["before"]) < 0.5 <= float(row["after"]) for row in views)
    whole = next(row for row in lines if (row["group"], row["metric"]) == (ALL, RATE))
    assert (int(whole["lost"]), int(whole["won"])) == (lost, won)
    assert float(whole["difference"]) == pytest.approx((won - lost) / 48)
    assert f"{lost} of 48 views flipped from right to wrong, {won} from wrong to right" in said
    score = next(row for row in lines if (row["group"], row["metric"]) == (ALL, SCORE))
    assert float(score["after"]) == pytest.approx(np.mean([float(row["after"]) for row in views]))
    with Image.open(tmp_path / "comparison.png") as image:
        assert min(image.size) > 300
    runs = RunStore(tmp_path / "runs.sqlite").rows()
    starts = {(row.task.question.function_id.split("?")[0].split("/", 1)[1], row.task.question.start) for row in runs}
    assert len(runs) == 2 * len(starts) == 8  # the same shapes and start points for both


def test_a_network_beside_itself_is_called_the_same_and_differs_by_nothing(
    other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, f"before={other}", f"after={other}", "--fail-if-worse") == 0
    assert "after and before are the same network" in capsys.readouterr().out
    for row in rows_of(tmp_path / "comparison.csv"):
        assert float(row["difference"]) == float(row["low"]) == float(row["high"]) == 0


def test_all_networks_are_set_beside_the_first(other: str, tmp_path: Path) -> None:
    assert run(tmp_path, other, "other,third") == 0
    lines = rows_of(tmp_path / "comparison.csv")
    assert {(row["network"], row["against"]) for row in lines} == {("other", "tiny"), ("third", "tiny")}
    assert {path.name for path in tmp_path.glob("*.png")} == {"comparison_other.png", "comparison_third.png"}


def test_a_worse_network_fails_the_gate_with_one_line_and_without_it_does_not(
    other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_network("blind", partial(make_blind))
    try:
        arguments = [f"good={make_sure.__name__}", "bad=blind", "--fail-if-worse"]
        register_network(make_sure.__name__, make_sure)
        assert run(tmp_path / "a", *arguments) == FAILED_GATE == 1
        assert (
            capsys.readouterr().err == "failed: bad is worse than good on all shapes (-100.0 points of right views)\n"
        )
        assert run(tmp_path / "b", *arguments[:2]) == 0
        assert run(tmp_path / "c", "good=blind", f"bad={make_sure.__name__}", "--fail-if-worse") == 0
    finally:
        del NETWORKS["blind"], NETWORKS[make_sure.__name__]


def _constant(share: float, name: str, size: int | None) -> Classifier:
    def answer(images: Float32Array) -> Float32Array:
        found = np.full((len(images), 1000), (1 - share) / 999, dtype=np.float32)
        found[:, 968] = share
        return found

    return BlackBoxClassifier(answer, size=size or 32, name=name)


def make_sure(unnormalized: bool, size: int | None) -> Classifier:
    return _constant(0.9, "sure", size)


def make_blind(unnormalized: bool, size: int | None) -> Classifier:
    return _constant(0.05, "blind", size)


def test_the_command_goes_on_with_what_is_there_and_other_words_find_it(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"before={other}", "after=other", *QUICK, "--out", str(tmp_path)]
    assert semrob(["compare_networks", *arguments]) == 0
    text = (tmp_path / "comparison.md").read_text()
    asked: list[int] = []
    plain = TorchClassifier.scores

    def counted(self: TorchClassifier, images: Float32Array, index: object) -> object:
        asked.append(len(images))
        return plain(self, images, index)  # type: ignore[arg-type]

    monkeypatch.setattr(TorchClassifier, "scores", counted)
    assert semrob(["compare-networks", *arguments]) == 0
    assert (tmp_path / "comparison.md").read_text() == text
    assert sum(asked) == 0
    assert semrob(["compare-networks", *arguments, "--no-resume"]) == BAD_INPUT
    assert "--no-resume wants an empty --out" in capsys.readouterr().err


def test_one_network_or_a_shape_that_is_not_there_is_one_line(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, tiny) == BAD_INPUT
    assert "1 network to compare: give two or more" in capsys.readouterr().err
    assert run_command(command.main, [tiny, f"b={tiny}", "--shapes", "nowhere/", "--out", str(tmp_path)]) == BAD_INPUT
    assert "nowhere/: there is no such file" in capsys.readouterr().err


def test_python_takes_classifiers_by_label_and_more_parameters() -> None:
    found = compare_networks(
        {"one": make_tiny(False, None), "two": make_other(0.5, False, None)},
        ["cup:0", "chair:1"],
        params="azimuth,elevation,distance",
        views=24,
        budget=12,
    )
    assert [(own.before, own.after) for own in found] == [("one", "two")]
    assert {line.group for line in found[0].lines} == {ALL, "chair", "cup", "cup 0", "chair 1"}
    assert {line.metric for line in found[0].lines} == set(METRICS)
    whole = found[0].line()
    assert whole.views == 48
    assert whole.low <= whole.difference <= whole.high


@pytest.mark.slow
def test_workers_give_the_same_answers(other: str, tmp_path: Path) -> None:
    arguments = ["efficientnet_lite0", "x=efficientnet_lite0?score=margin", "--classes", "cup", "--shapes", "0"]
    arguments += ["--views", "8", "--budget", "10"]
    texts = []
    for workers in ("1", "2"):
        folder = tmp_path / workers
        assert run_command(command.main, [*arguments, "--workers", workers, "--out", str(folder)]) == 0
        texts.append([(folder / name).read_text() for name in ("comparison.md", "comparison.csv", "views.csv")])
    assert texts[0] == texts[1]
