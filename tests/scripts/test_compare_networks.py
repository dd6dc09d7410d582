"""compare_networks: the same questions of several networks, what is said of the difference, and the gate."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from baselines import compare_networks
from baselines.commands import compare_networks as command
from baselines.commands.program import BAD_INPUT, FAILED_GATE, run_command, semrob
from baselines.commands.work import compare_networks as work
from baselines.experiments.paired_networks import ALL, METRICS, RATE, SCORE
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.classifiers.module_code import trace
from semrob_env.scene.classifiers.registry import NETWORKS, forget_networks, register_network
from semrob_env.store import RunStore
from semrob_env.types import Float32Array

QUICK = ["--classes", "cup", "--shapes", "0", "--views", "24", "--budget", "8", "--workers", "1"]


def by_brightness(name: str, least: float, unnormalized: bool, size: int | None) -> Classifier:
    """A network that takes bright pictures for cups."""
    del unnormalized

    def answer(images: Float32Array) -> Float32Array:
        cup = 1 / (1 + np.exp(-80 * (images.mean(axis=(1, 2, 3), dtype=np.float64) - least)))
        found = np.repeat((1 - cup[:, None]) / 999, 1000, axis=1)
        found[:, 968] = cup
        return found.astype(np.float32)

    return BlackBoxClassifier(answer, size=size or 32, name=name)


DIM, BRIGHT, BLIND = (partial(by_brightness, *own) for own in (("dim", 0.06), ("bright", 0.1), ("blind", 2.0)))


@pytest.fixture
def networks() -> Iterator[None]:
    known = {"dim": DIM, "bright": BRIGHT, "blind": BLIND}
    for name, make in known.items():
        register_network(name, make)
    forget_networks()
    yield
    for name in known:
        del NETWORKS[name]
    forget_networks()


def run(folder: Path, *arguments: str) -> int:
    return run_command(command.main, [*arguments, *QUICK, "--out", str(folder)])


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_rows_and_pictures_have_the_names_of_the_user_and_tables_are_those_of_the_views(
    networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "before=dim", "after=bright") == 0
    said = capsys.readouterr().out
    assert "after beside before: " in said
    lines = rows_of(tmp_path / "comparison.csv")
    assert {(row["network"], row["against"], row["group"]) for row in lines} == {("after", "before", ALL)}
    views = rows_of(tmp_path / "views.csv")
    lost = sum(float(row["before"]) >= 0.5 > float(row["after"]) for row in views)
    won = sum(float(row["before"]) < 0.5 <= float(row["after"]) for row in views)
    assert len(views) == 24
    assert lost > 0 == won
    whole = next(row for row in lines if row["metric"] == RATE)
    assert (int(whole["lost"]), int(whole["won"])) == (lost, won)
    assert float(whole["difference"]) == pytest.approx(-lost / 24)
    assert f"{lost} of 24 views flipped from right to wrong, 0 from wrong to right; for example cup 0 at" in said
    score = next(row for row in lines if row["metric"] == SCORE)
    assert float(score["after"]) == pytest.approx(np.mean([float(row["after"]) for row in views]))
    with Image.open(tmp_path / "comparison.png") as image:
        assert min(image.size) > 300
    runs = list(RunStore(tmp_path / "runs.sqlite").rows())
    assert len(runs) == 4
    assert len({row.task.question.start for row in runs}) == 2  # the same start points for both


def test_words_are_shapes_where_networks_are_an_option_and_networks_are_introduced(
    networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--views", "8", "--budget", "4", "--workers", "1", "--out", str(tmp_path)]
    assert run_command(command.main, ["cup:1", "--networks", "before=dim,after=bright", *quick]) == 0
    said = capsys.readouterr().out
    assert "after beside before: 1 shape, " in said
    for label, name in (("before", "dim"), ("after", "bright")):
        assert f"network {label} = {name}; ! is a guess" in said
    assert {row["shape"] for row in rows_of(tmp_path / "views.csv")} == {"procedural:1"}


def test_a_worse_network_fails_the_gate_with_one_line(
    networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "good=dim", "bad=blind", "--fail-if-worse") == FAILED_GATE == 1
    told = capsys.readouterr().err
    assert told.startswith("failed: bad is worse than good on all shapes (-")
    assert told.count("\n") == 1


def test_all_networks_are_set_beside_the_first_and_only_worse_ones_are_called_so(networks: None) -> None:
    found = compare_networks(["dim", "again=dim", "bright", "blind"], ["cup:0"], views=24, budget=8)
    assert [(own.before, own.after) for own in found] == [("dim", "again"), ("dim", "bright"), ("dim", "blind")]
    same, bright, blind = found
    assert same.is_same
    assert same.words() == ["again and dim are the same network: the same weights and code, no difference"]
    assert all(line.difference == line.low == line.high == 0 for line in same.lines if line.metric == RATE)
    assert same.worse == ()
    assert blind.worse == (ALL,)
    assert blind.line().verdict == "worse on these shapes"
    assert bright.flips.won == 0 < bright.flips.lost < blind.flips.lost
    reverse = compare_networks(["blind", "dim"], ["cup:0"], views=24, budget=8)[0]
    assert reverse.worse == ()
    assert reverse.line().difference == pytest.approx(-blind.line().difference)


def test_the_command_goes_on_with_what_is_there_however_it_is_written(
    networks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(work, "picture_of", lambda _: Figure())
    monkeypatch.setattr(work, "introduce", lambda *_: None)  # which looks at every start
    arguments = ["before=dim", "after=bright", *QUICK, "--out", str(tmp_path)]
    assert semrob(["compare_networks", *arguments]) == 0
    text = (tmp_path / "comparison.md").read_text()

    def refuse(*_: object) -> None:
        raise AssertionError("a view was asked again")

    monkeypatch.setattr(BlackBoxClassifier, "_answers", refuse)
    assert semrob(["compare-networks", *arguments]) == 0
    assert (tmp_path / "comparison.md").read_text() == text
    assert semrob(["compare-networks", *arguments, "--no-resume"]) == BAD_INPUT
    assert "--no-resume wants an empty --out" in capsys.readouterr().err


def test_one_network_or_a_shape_that_is_not_there_is_one_line(
    networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "dim") == BAD_INPUT
    assert "1 network to compare: give two or more" in capsys.readouterr().err
    assert run_command(command.main, ["dim", "b=dim", "--shapes", "nowhere/", "--out", str(tmp_path)]) == BAD_INPUT
    assert "nowhere/: there is no such file" in capsys.readouterr().err


def test_python_takes_classifiers_by_label_and_more_parameters() -> None:
    found = compare_networks(
        {"one": DIM(False, None), "two": BRIGHT(False, None)},
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


def test_two_callables_of_one_name_are_not_taken_for_the_same_network() -> None:
    pair = {"one": by_brightness("callable", 0.06, False, 32), "two": by_brightness("callable", 2.0, False, 32)}
    found = compare_networks(pair, ["cup:0"], views=16, budget=8)[0]
    assert not found.is_same
    assert found.flips.lost > 0


@pytest.mark.slow
def test_workers_give_the_same_answers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    module = torch.nn.Sequential(*layers, torch.nn.Linear(8, 1000)).eval()
    trace(module, torch.zeros(1, 3, 32, 32)).save(str(tmp_path / "own.pt"))
    arguments = [f"file:{tmp_path}/own.pt?size=32", f"x=file:{tmp_path}/own.pt?size=32&score=margin"]
    arguments += ["--trust-model-file", "--classes", "cup", "--shapes", "0"]
    arguments += ["--views", "8", "--budget", "10"]
    texts = []
    for workers in ("1", "2"):
        folder = tmp_path / workers
        assert run_command(command.main, [*arguments, "--workers", workers, "--out", str(folder)]) == 0
        texts.append([(folder / name).read_text() for name in ("comparison.md", "comparison.csv", "views.csv")])
    assert texts[0] == texts[1]
