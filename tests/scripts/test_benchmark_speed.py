"""The speed benchmark runs on any network and mesh folder, and its tables hold what they promise."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import trimesh

from baselines.commands import benchmark_speed
from baselines.commands.program import BAD_INPUT, run_command
from baselines.commands.work import benchmark_speed as benchmark_speed_work
from optimizers.registry import OPTIMIZERS


@pytest.fixture(autouse=True)
def few_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_speed_work, "TRAJECTORIES", (1, 3))
    monkeypatch.setattr(benchmark_speed_work, "MOST_SECONDS", 0.1)
    monkeypatch.setattr(benchmark_speed_work, "STEPS", 5)


def test_the_overhead_alone_needs_no_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(benchmark_speed.main, ["--overhead", "--repeats", "1", "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"overhead.csv"}
    rows = {row["method"]: row for row in csv.DictReader((tmp_path / "overhead.csv").read_text().splitlines())}
    assert list(rows) == list(OPTIMIZERS)
    for row in rows.values():
        for count in (1, 3):
            alone, together = (float(row[f"{kind}_B={count}"]) for kind in ("optimizer", "with_oracle"))
            assert 0 < alone < together
    assert "goal of the paper's methods: 0.2" in capsys.readouterr().out


def test_textured_meshes_are_timed_beside_flat_ones(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_speed_work, "AROUND", (8, 12))
    monkeypatch.setattr(benchmark_speed_work, "TEXELS", 16)
    arguments = ["--surfaces", "--networks", "tiny", "--repeats", "1", "--out", str(tmp_path)]
    assert run_command(benchmark_speed.main, arguments) == 0
    rows = list(csv.DictReader((tmp_path / "surfaces.csv").read_text().splitlines()))
    assert [int(row["faces"]) for row in rows] == [64, 144]
    for row in rows:
        for name in ("textured_of_flat", "f_throughput_flat", "f_throughput_textured"):
            assert float(row[name]) > 0


@pytest.mark.slow
def test_stages_and_overhead_are_timed(tiny: str, tmp_path: Path) -> None:
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    for name, solid in (("ball", trimesh.creation.icosphere()), ("box", trimesh.creation.box())):
        solid.export(meshes / f"{name}.ply")
    arguments = [str(meshes), "--class", "cup", "--networks", "tiny", "--repeats", "2", "--gradients"]
    assert run_command(benchmark_speed.main, [*arguments, "--out", str(tmp_path)]) == 0
    rows = list(csv.DictReader((tmp_path / "stages.csv").read_text().splitlines()))
    found = [(row["shape"].rpartition("#")[2], row["faces"]) for row in rows]
    assert found == [("ball.ply", "1280"), ("box.ply", "12")]
    for row in rows:
        numbers = [float(value) for name, value in row.items() if name not in ("network", "shape", "faces")]
        assert len(numbers) == 14
        assert min(numbers) > 0
    overhead = list(csv.DictReader((tmp_path / "overhead.csv").read_text().splitlines()))
    assert [row["method"] for row in overhead] == list(OPTIMIZERS)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["nowhere"], "nowhere: there is no such file"),
        (["--repeats", "0"], "--repeats 0"),
        (["--networks", "lenet"], "unknown network"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert run_command(benchmark_speed.main, ["--networks", "tiny", "--out", str(tmp_path), *extra]) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
