"""Networks are introduced before they are asked: what they are taken to be, their first answers, and a warning."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.commands import grow_regions, srvr_table
from baselines.commands.program import BAD_INPUT, run_command
from semrob_env.scene.classifiers import options as options_module
from semrob_env.scene.classifiers.registry import forget_networks

CODE = """
import torch

def make():
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, stride=4), torch.nn.Tanh(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 5),
    )
"""
FEW = ["--methods", "naive", "--budget", "8", "--judge-points", "4", "--certificate-points", "4"]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network of five classes that always says the second one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options_module, "_TRUSTED_FACTORIES", set())
    monkeypatch.syspath_prepend(str(tmp_path))
    forget_networks()
    (tmp_path / "my_own_network.py").write_text(CODE)
    names: dict[str, object] = {}
    exec(CODE, names)
    torch.manual_seed(0)
    module = names["make"]()  # type: ignore[operator]
    with torch.no_grad():
        module[-1].bias.copy_(torch.tensor([1.0, 9.0, 3.0, 2.0, -9.0]))
    torch.save(module.state_dict(), "own.pt")
    (tmp_path / "labels.txt").write_text("lamp\nseat\ntable\nbed\nshelf\n")
    return tmp_path


def test_the_premises_and_first_answers_come_before_the_work(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["cup:0", "cup:1", "chair:0", "--networks", tiny, "--levels", "0.5", "--starts", "azimuth=100", *FEW]
    assert run_command(srvr_table.main, [*run, "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert told.count("network tiny; ! is a guess") == 1
    assert "    input: 32 x 32 pixels (as made in Python)" in told
    assert "  ! classes: 1000, those of ImageNet (assumed for 1000 classes: --labels FILE)" in told
    places = [told.index(f"procedural:{shape} at azimuth 100") for shape in ("0 as cup", "0 as chair", "1 as cup")]
    assert sorted(places) == places  # one of each class first
    assert told.index("network tiny") < places[0] < places[-1] < told.index("| network")


def test_a_class_that_no_start_view_shows_is_a_warning_and_options_reach_the_run(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["chair:0", "--networks", "mine=file:own.pt", "--factory", "my_own_network:make", "--map-step", "60", *FEW]
    said = ["--size", "24", "--range", "-1-1", "--bgr", "--labels", "labels.txt"]
    assert run_command(grow_regions.main, [*run, *said, "--class", "4", "--out", "a"]) == 0
    told = capsys.readouterr().out
    assert "network mine = file:own.pt" in told
    assert "input: 24 x 24 pixels (as asked: size)" in told
    assert "numbers -1 to 1; bgr (as asked: range, channels)" in told
    assert "classes: 5: lamp, seat, table, ... (as asked: labels)" in told
    assert "as shelf at azimuth 130, elevation 30: seat " in told
    assert "WARNING: shelf: not among the first 3 answers at any start view" in told
    assert run_command(grow_regions.main, [*run, *said, "--class", "seat", "--out", "b"]) == 0
    assert "WARNING" not in capsys.readouterr().out
    rows = [next(csv.DictReader((own / name / "regions.csv").read_text().splitlines())) for name in "ab"]
    assert float(rows[1]["mean"]) > 0.9 > 0.1 > float(rows[0]["mean"])
    assert run_command(grow_regions.main, [*run, *said, "--class", "seet", "--out", "c"]) == BAD_INPUT
    assert "near: 1 seat" in capsys.readouterr().err
    assert run_command(grow_regions.main, [*run, "--class", "4", "--out", "c"]) == BAD_INPUT
    assert "does not tell the size of its images; give the size it was trained at: --size" in capsys.readouterr().err


@pytest.mark.slow
def test_workers_make_the_network_of_a_factory_as_well(own: Path) -> None:
    del own
    run = ["cup:0", "cup:1", "--class", "2", "--networks", "mine=file:own.pt", "--factory", "my_own_network:make"]
    for workers in ("1", "2"):
        more = ["--size", "24", "--levels", "0.5", "--workers", workers, "--out", workers]
        assert run_command(srvr_table.main, [*run, *FEW, *more]) == 0
    one, two = (list(csv.DictReader((Path(own) / "srvr.csv").read_text().splitlines())) for own in "12")
    assert one == two
    assert np.isfinite(float(one[0]["estimate"]))
