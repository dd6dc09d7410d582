"""SRVR tables of other networks: options of networks, model files, and accuracy beside robustness."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image

from baselines.commands import srvr_table
from baselines.commands.program import BAD_INPUT, run_command
from baselines.commands.shared.options import Networks
from semrob_env.scene.classifiers.accuracy import Accuracy
from semrob_env.scene.classifiers.quiet_openvino import openvino
from semrob_env.scene.classifiers.registry import NETWORKS, forget_networks
from semrob_env.store import RunStore
from semrob_env.tables import accuracy
from tests.scripts.conftest import make_tiny

SIZE = 224


def run(folder: Path, *extra: str) -> int:
    arguments = ["--classes", "cup", "--shapes", "0-1", "--methods", "naive", "--budget", "16", "--judge-points", "4"]
    return run_command(srvr_table.main, [*arguments, "--out", str(folder), *extra])


def model_file(path: Path) -> Path:
    """The small network of these tests as OpenVINO IR."""
    module = make_tiny(False, None).module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls the format that OpenVINO traces to an old one
        model = openvino.convert_model(module, input=[-1, 3, SIZE, SIZE], example_input=torch.zeros(1, 3, SIZE, SIZE))
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


def test_accuracy_stands_beside_srvr_with_a_image_and_the_agreement_of_ranks(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"tiny": Accuracy(50.0, 80.0, "a paper"), "other": Accuracy(60.0, None, "a page")}
    monkeypatch.setattr(accuracy, "published_accuracy", figures.get)
    monkeypatch.setitem(NETWORKS, "other", make_tiny)
    assert run(tmp_path, "--networks", "tiny,other") == 0
    text = (tmp_path / "srvr.md").read_text()
    assert "| tiny    | 50.0    | 80.0    |" in text
    assert "| other   | 60.0    | -       |" in text
    assert "rank agreement: 0 of 1 pairs of networks are in the same order by top-1 and by SRVR" in text
    assert "accuracy: published, on ImageNet-1k: a paper; a page" in text
    rows = list(csv.DictReader((tmp_path / "srvr.csv").read_text().splitlines()))
    assert {(row["network"], row["published_top1"], row["published_top5"]) for row in rows} == {
        ("tiny", "50.0", "80.0"),
        ("other", "60.0", ""),
    }
    with Image.open(tmp_path / "accuracy.png") as image:
        assert min(image.size) > 300
    assert "srvr.png, accuracy.png, views.png, runs.sqlite and answers.sqlite" in capsys.readouterr().out


def test_a_network_without_published_accuracy_gets_no_such_table(tiny: str, tmp_path: Path) -> None:
    assert run(tmp_path, "--networks", "tiny") == 0
    assert "top-1" not in (tmp_path / "srvr.md").read_text()
    assert not (tmp_path / "accuracy.png").exists()


@pytest.mark.slow
def test_a_model_file_gets_a_table_of_margins(tmp_path: Path) -> None:
    forget_networks()
    path = model_file(tmp_path / "mine.xml")
    assert run(tmp_path / "out", "--networks", "file", "--weights", str(path), "--score", "margin") == 0
    ids = {row.task.question.function_id for row in RunStore(tmp_path / "out" / "runs.sqlite").rows()}
    assert ids == {
        f"scene:file/cup/procedural:{number}?params=azimuth,elevation&score=margin&weights={path}" for number in (0, 1)
    }
    assert "Score f: logit margin of the class" in (tmp_path / "out" / "srvr.md").read_text()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--networks", "file"], "network file is a whole model: give --weights FILE"),
        (["--networks", "file", "--weights", "none.onnx"], "there is no file none.onnx"),
        (["--networks", "tiny,efficientnet_lite0", "--weights", __file__], "2 networks; write NETWORK@WEIGHTS"),
        (["--networks", f"a=tiny,a=tiny@{__file__}"], "two networks are called 'a'"),
        (["--networks", "tiny", "--score", "margin"], "network 'tiny' takes no score"),
        (["--networks", "tiny", "--score", "best"], "--score"),
        (["--networks", "efficientnet_lite0", "--device", "tpu"], "device 'tpu' cannot be used"),
        (["--networks", "file", "--weights", __file__], "no known kind of model file"),
        (["--functions", "recorded", "--score", "margin"], "--score is for scenes"),
        (["--functions", "recorded", "--trust-model-file"], "--trust-model-file is for scenes"),
    ],
)
def test_bad_input_about_networks_is_one_line_exit_code_2_and_nothing_written(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert run(tmp_path / "out", *extra) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_two_files_of_weights_of_one_network_are_two_rows(tiny: str, tmp_path: Path) -> None:
    paths = [model_file(tmp_path / f"{name}.xml") for name in "ab"]
    two = ",".join(f"{label}=file:{path}" for label, path in zip(("before", "after"), paths, strict=True))
    more = ["--shapes", "0", "--starts", "azimuth=0", "--size", str(SIZE)]
    assert run(tmp_path / "out", "--networks", two, *more) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "srvr.csv").read_text().splitlines()))
    assert [row["network"] for row in rows if row["class_name"] == "all"] == ["before", "after"]
    assert "| before " in (tmp_path / "out" / "srvr.md").read_text()


def test_weights_belong_to_the_network_that_they_name(tmp_path: Path) -> None:
    for name in ("one.pth", "a=b.pth"):
        (tmp_path / name).write_bytes(b"x")
    two = ("efficientnet_lite0", f"efficientnet_lite1@{tmp_path / 'one.pth'}")
    made = Networks(networks=two, score="margin").specs()
    assert [spec.options.weights for spec in made] == ["", str(tmp_path / "one.pth")]
    assert {spec.options.score for spec in made} == {"margin"}
    (one,) = Networks(networks=two[:1], weights=str(tmp_path / "a=b.pth")).specs()
    assert one.options.weights == str(tmp_path / "a=b.pth")


def test_pairs_of_networks_are_counted_by_their_paired_difference() -> None:
    table = accuracy.AccuracyTable((), pairs=3, same_order=1, clear_pairs=1, clear_same_order=0)
    assert "1 of 3 pairs" in table.notes()[0]
    assert "Kendall's tau -0.33" in table.notes()[0]
