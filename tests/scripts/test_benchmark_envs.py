"""The benchmark of environments: its table has what it should, and bad input is one line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from baselines.commands import benchmark_envs
from baselines.commands.program import BAD_INPUT, run_command

SMALL = ["--function", "synthetic:plateau?n=2&seed=0", "--steps", "20", "--repeats", "2", "--budget", "36"]


def test_the_table_has_a_line_an_environment_and_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*SMALL, "--num-envs", "1,3", "--out", str(tmp_path)]
    assert run_command(benchmark_envs.main, arguments) == 0
    lines = list(csv.DictReader((tmp_path / "envs.csv").read_text().splitlines()))
    ids = ["RegionGrow-v0", "PointSearch-v0"]
    assert [(line["environment"], line["num_envs"]) for line in lines] == [
        (name, size) for name in ids for size in "13"
    ]
    for line in lines:
        numbers = {name: float(text) for name, text in line.items() if name != "environment"}
        assert numbers["steps_a_second"] == pytest.approx(1e6 * numbers["num_envs"] / numbers["us_a_step"])
        assert numbers["us_of_f"] > 0
        assert numbers["outside_f"] == pytest.approx(1 - numbers["of_f"])
        assert numbers["of_f"] > 0
    assert "steps_a_second" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--environments", "Chess-v0"], "unknown environment 'Chess-v0'; there are RegionGrow-v0, PointSearch-v0"),
        (["--num-envs", "0"], "--num-envs 0"),
        (["--num-envs", "many"], "cannot read 'many'"),
        (["--steps", "0"], "--steps 0"),
        (["--budget", "20"], "budget 20: the first observation and each step cost 12 queries"),
        (["--function", "nowhere:1"], "unknown function 'nowhere:1'"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_exit_code_2_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert run_command(benchmark_envs.main, [*SMALL, "--out", str(tmp_path / "out"), *extra]) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
