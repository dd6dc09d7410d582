"""The sensitivity sweep: what it runs, against the plain way through the library, and what it refuses."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from baselines.commands import sensitivity
from baselines.commands.program import BAD_INPUT, run_command
from baselines.experiments.sensitivity import make_sweep, paired_interval, samples_needed
from optimizers import BoxQuadrature, Naive, OirB, OirW, Unregularized
from optimizers.run import run
from semrob_env.errors import InvalidParameterError
from semrob_env.functions import CallableFunction
from semrob_env.metrics import regrets
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MeanGoal, Questions
from semrob_env.recorded import RecordedMaps, save_maps
from semrob_env.store import RunStore
from tests.recorded_maker import wavy_maps

GOAL = MeanGoal(0.3)
WRITTEN = {"sensitivity.md", "sensitivity.csv", "sensitivity.png", "runs.sqlite", "answers.sqlite"}


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    return save_maps(wavy_maps(), tmp_path / "maps.npz")


def sweep(maps: Path, out: Path, *extra: str) -> int:
    small = ["--eta", "0.1,1", "--lambda", "0", "--alpha", "0.2", "--beta", "0.1", "--budgets", "20,60"]
    fixed = ["--maps", str(maps), "--out", str(out), "--workers", "1", "--goal", "mean=0.5", "--goal", "mean=0.7"]
    return run_command(sensitivity.main, [*fixed, *small, *extra])


def lines(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "sensitivity.csv").read_text().splitlines()))


def test_a_sweep_is_the_step_size_with_each_other_letter() -> None:
    values = {"eta": [0.1, 1.0], "lambda": [0.0], "alpha": [0.2, 0.4], "beta": []}
    for method, count in ((Naive, 3 * 2), (OirB, 3 * 3), (OirW, 3 * 1), (Unregularized, 3)):
        made = make_sweep(method, "normalized", values)
        assert len(made.settings) == count == len({setting.entry.settings for setting in made.settings})
        assert json.loads(made.at_defaults().entry.settings) == method.settings_class().to_mapping()
        assert [s.value("eta") for s in made.along("eta")] == [0.1, 0.3, 1.0]
    paper = make_sweep(OirB, "paper", values).at_defaults()
    assert json.loads(paper.entry.settings) == OirB.settings_class.paper().to_mapping()


def test_only_methods_with_letters_have_a_sweep() -> None:
    with pytest.raises(InvalidParameterError, match="no letters in the paper's formulas"):
        make_sweep(BoxQuadrature, "normalized", {})


def test_every_line_is_one_minus_the_exact_regret_of_the_same_runs(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert sweep(maps, out, "--methods", "oir_b", "--budgets", "20,40") == 0
    assert {path.name for path in out.iterdir()} == WRITTEN
    told = capsys.readouterr().out
    assert "## oir_b: alpha, the others at their defaults" in told
    (line,) = [
        row
        for row in lines(out)
        if (row["eta"], row["alpha"], row["budget"], row["goal"]) == ("1.0", "0.2", "40", "mean=0.7")
    ]
    function, qualities = RecordedMaps(wavy_maps()), list[float]()
    settings = OirB.settings_class.from_mapping({"step_size": 1.0, "boundary_factor": 0.2})
    for member in range(function.members):
        for text in ("azimuth=130,elevation=30", "azimuth=50,elevation=20", "azimuth=200,elevation=15"):
            qualities += quality_of(function, member, text, settings)
        qualities += quality_of(function, member, "azimuth=310,elevation=50", settings)
    meets = [quality > 0 for quality in qualities]
    assert int(line["questions"]) == len(qualities)
    assert float(line["mean_quality"]) == pytest.approx(np.mean(qualities), rel=1e-12)
    assert float(line["median_quality"]) == pytest.approx(np.median(qualities), rel=1e-12)
    assert float(line["feasible"]) == np.mean(meets)
    assert 0 < np.mean(meets) < 1


def quality_of(function: RecordedMaps, member: int, text: str, settings: object) -> list[float]:
    """1 - regret of one run if its start point is asked about, else nothing."""
    start = function.space.point(text)
    if function.values([[start]], [member])[0, 0] < 0.7:
        return []
    assert isinstance(settings, OirB.settings_class)
    optimizer = OirB(Questions(function.space, start, member=[member], goal=GOAL, budget=40), settings=settings)
    regions = run(optimizer, QueryOracle(function, budget=40)).regions
    return [1 - float(regrets(function, regions, start, [member], GOAL)[0])]


def test_a_second_run_only_reads(maps: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert sweep(maps, out, "--methods", "naive") == 0
    created = [(row.key, row.created) for row in RunStore(out / "runs.sqlite").rows()]
    text = (out / "sensitivity.csv").read_text()
    assert sweep(maps, out, "--methods", "naive") == 0
    assert [(row.key, row.created) for row in RunStore(out / "runs.sqlite").rows()] == created
    assert (out / "sensitivity.csv").read_text() == text


@pytest.mark.slow
def test_without_a_file_of_maps_synthetic_functions_take_their_place(tmp_path: Path) -> None:
    out = tmp_path / "out"
    few = ["--eta", "1", "--lambda", "0", "--alpha", "0.2", "--beta", "0.1", "--budgets", "20", "--parameters", "1"]
    few += ["--maps", str(tmp_path / "nowhere.npz"), "--methods", "naive,unregularized", "--workers", "1"]
    few += ["--goal", "mean=0.5"]
    assert run_command(sensitivity.main, [*few, "--out", str(out)]) == 0
    assert "suite synthetic" in (out / "sensitivity.md").read_text()
    assert {row["method"] for row in lines(out)} == {"naive", "unregularized"}


def test_a_dry_run_writes_nothing(maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(maps, tmp_path / "out", "--dry-run") == 0
    assert "settings of naive, oir_b, oir_w at 20, 60 queries" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--methods", "magic"], "unknown method 'magic'"),
        (["--methods", "box_quadrature"], "box_quadrature has no letters"),
        (["--eta", "fast"], "--eta fast"),
        (["--eta", "-1"], "step_size -1.0: give a finite number above 0"),
        (["--budgets", "0"], "--budgets 0"),
        (["--classes", "dragon"], "no map of 'dragon'"),
    ],
    ids=" ".join,
)
def test_what_is_misspelt_is_one_line_and_exit_code_2(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert sweep(maps, tmp_path / "out", *extra) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_straight_line_needs_two_samples_and_a_wave_one_at_every_bend() -> None:
    space = SemanticSpace.of("elevation,azimuth")
    function = CallableFunction(
        space, lambda theta: (theta[:, 0] + 10) / 200 + 0.25 * (1 + np.cos(4 * np.radians(theta[:, 1])))
    )
    straight, wave = samples_needed(function, 0, [30.0, 0.0])
    assert straight == 2
    assert wave == 8  # one at every crest and trough of four waves; fewer miss some


def test_paired_intervals_hold_their_mean_and_need_two_groups() -> None:
    differences, groups = np.arange(20, dtype=np.float64), [str(i % 5) for i in range(20)]
    low, high = paired_interval(differences, groups, np.random.default_rng(0))
    assert low < differences.mean() < high
    assert (low, high) == paired_interval(differences, groups, np.random.default_rng(0))
    assert all(map(math.isnan, paired_interval(differences, ["one"] * 20, np.random.default_rng(0))))
