"""The rasteriser's own check runs on any mesh file."""

from __future__ import annotations

from pathlib import Path

import pytest
import trimesh

from baselines.commands import check_rasterizer
from baselines.commands.program import BAD_INPUT, run_command


def test_a_mesh_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trimesh.creation.icosphere().export(tmp_path / "ball.ply")
    quick = ["--size", "48", "--views", "2", "--repeats", "1"]
    assert run_command(check_rasterizer.main, [*quick, str(tmp_path / "ball.ply")]) == 0
    lines = capsys.readouterr().out.splitlines()
    numbers = lines[1].split()[1:]
    assert numbers[0] == "1280"
    assert 0 < float(numbers[3]) < float(numbers[5]), "smoothed edges are nearer to the truth than plain samples"
    assert "the same bytes alone" in lines[-1]


def test_bad_input_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for extra, message in (
        (["nowhere.obj"], "nowhere.obj"),
        (["--views", "0"], "--views 0"),
        (["--size", "0"], "size 0"),
    ):
        assert run_command(check_rasterizer.main, extra) == BAD_INPUT
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
