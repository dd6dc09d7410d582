"""The speed benchmark runs on any network and mesh folder, and its tables hold what they promise."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import trimesh

from optimizers.registry import OPTIMIZERS
from scripts import benchmark_speed
from semrob_env.cli import BAD_INPUT, run_script


def test_stages_and_overhead_are_timed(tiny: str, tmp_path: Path) -> None:
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    for name, solid in (("ball", trimesh.creation.icosphere()), ("box", trimesh.creation.box())):
        solid.export(meshes / f"{name}.ply")
    arguments = ["--network", "tiny", "--meshes", str(meshes), "--repeats", "2", "--gradients", "--out", str(tmp_path)]
    assert run_script(benchmark_speed.main, arguments) == 0
    rows = list(csv.DictReader((tmp_path / "stages.csv").read_text().splitlines()))
    assert [(row["mesh"], row["faces"]) for row in rows] == [("ball", "1280"), ("box", "12")]
    for row in rows:
        numbers = [float(value) for name, value in row.items() if name not in ("mesh", "faces")]
        assert len(numbers) == 14
        assert min(numbers) > 0
    overhead = list(csv.DictReader((tmp_path / "overhead.csv").read_text().splitlines()))
    assert [row["method"] for row in overhead] == list(OPTIMIZERS)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--meshes", "nowhere"], "no mesh file"),
        (["--repeats", "0"], "--repeats 0"),
        (["--network", "lenet"], "unknown network"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert run_script(benchmark_speed.main, ["--network", "tiny", "--out", str(tmp_path), *extra]) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
