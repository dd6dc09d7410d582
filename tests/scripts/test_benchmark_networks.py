"""The benchmark of networks runs on a small one, writes its table, and tells bad input in one line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from baselines.commands import benchmark_networks
from baselines.commands.program import BAD_INPUT, run_command
from baselines.commands.work import benchmark_networks as benchmark_networks_work
from semrob_env.scene.classifiers.torchvision_networks import torchvision_module


@pytest.mark.slow
def test_a_small_network_is_measured_and_its_answers_agree(tiny: str, tmp_path: Path) -> None:
    arguments = ["--networks", tiny, "--batch", "6", "--repeats", "1", "--out", str(tmp_path)]
    assert run_command(benchmark_networks.main, arguments) == 0
    (row,) = csv.DictReader((tmp_path / "networks.csv").read_text().splitlines())
    assert (row["values_by"], row["gradients_by"]) == ("openvino", "torch")  # its pooling has no rule
    assert 0 <= float(row["largest_difference"]) <= 1e-4
    assert (float(row["same_top1"]), float(row["moved_in_use"]), float(row["moved_torch_chunks"])) == (1.0, 0.0, 0.0)
    assert float(row["f_gradient_of_value_n6"]) > 0
    assert "| largest difference" in (tmp_path / "networks.md").read_text()


@pytest.mark.slow
def test_random_weights_are_seeded_and_spread_their_logits(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first, second = (
        torch.load(benchmark_networks_work.random_weights("torchvision/squeezenet1_1", folder, 3), weights_only=True)
        for folder in (tmp_path, tmp_path / "again")
    )
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    module = torchvision_module("squeezenet1_1").eval()
    module.load_state_dict(first)
    shown = torch.from_numpy(benchmark_networks_work.renders(224, 4))
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        spread = float(module((shown - mean) / std).std())
    assert spread == pytest.approx(benchmark_networks_work.SPREAD, rel=0.5)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--networks", "lenet"], "unknown network 'lenet'"),
        (["--networks", "torchvision/resnet51"], "unknown network 'torchvision/resnet51'"),
        (["--repeats", "0"], "--repeats 0"),
        (["--batch", "-1"], "--batch -1"),
        (["--networks", "AlexNet", "--weights", "none.pth"], "there is no file none.pth"),
        (["--networks", "tiny", "--device", "tpu"], "network 'tiny' takes no device"),
    ],
)
def test_bad_input_is_one_line(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    arguments = [*extra, "--random-weights", "--out", str(tmp_path)]
    assert run_command(benchmark_networks.main, arguments) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
