"""Comparisons in the format of IOHprofiler and as one long table: read back, they say what the runs say."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.commands import compare_methods
from baselines.commands.program import run_command
from baselines.experiments.ioh import curve, plain_name


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ioh")
    words = "--suite synthetic --parameters 2 --families hill,plateau --instances 0 --goal mean=0.5 --budgets 40,80"
    out = ["--methods", "naive,grid", "--workers", "1", "--out", str(folder), "--export", "ioh", str(folder / "root")]
    assert run_command(compare_methods.main, [*words.split(), *out]) == 0
    return folder


def runs_of(path: Path) -> list[list[tuple[int, float]]]:
    """Runs of a data file as readers split them: a run begins where evaluations is 1."""
    header, *lines = path.read_text().splitlines()
    assert header == "evaluations raw_y"
    runs: list[list[tuple[int, float]]] = []
    for line in lines:
        evaluations, share = line.split(" ")
        if evaluations == "1":
            runs.append([])
        runs[-1].append((int(evaluations), float(share)))
    return runs


def test_every_file_has_the_written_schema_and_the_shares_of_the_runs(exported: Path) -> None:
    with (exported / "runs.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    described: list[dict[str, Any]] = [json.loads(path.read_text()) for path in (exported / "root").rglob("*.json")]
    assert {one["algorithm"]["name"] for one in described} >= {"naive", "grid@40", "grid@80"}
    for path in (exported / "root").rglob("*.json"):
        one = json.loads(path.read_text())
        assert path.name == f"IOHprofiler_f{one['function_id']}_{one['function_name']}.json"
        assert 1 <= one["function_id"] < 2**16
        assert (one["maximization"], one["attributes"]) == (True, ["evaluations", "raw_y"])
        (scenario,) = one["scenarios"]
        assert scenario["dimension"] == 2
        runs = runs_of(path.parent / scenario["path"])
        assert len(runs) == len(scenario["runs"])
        name, _, budget = one["algorithm"]["name"].partition("@")
        own = [
            line
            for line in lines
            if line["label"] == name
            and int(line["budget"]) == int(budget or 80)
            and plain_name(f"{line['function_id']} {line['goal']}") == one["function_name"]
        ]
        assert len(own) == len(runs)
        finals = sorted(float(line["share"]) * int(line["feasible"]) for line in own)
        assert sorted(run[-1][1] for run in runs) == pytest.approx(finals, abs=1e-9)
        for run, told in zip(runs, scenario["runs"], strict=True):
            assert [evaluations for evaluations, _ in run] == sorted({evaluations for evaluations, _ in run})
            assert run[-1][0] == told["evals"] == int(budget or 80)
            assert told["best"]["y"] == pytest.approx(max(share for _, share in run), abs=1e-9)


def test_the_long_table_has_the_same_curves(exported: Path) -> None:
    with (exported / "curves.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    naive = [line for line in lines if line["label"] == "naive" and line["budget"] == "80"]
    told = sorted((int(line["evaluations"]), round(float(line["share"]), 9)) for line in naive)
    found = [point for path in (exported / "root" / "naive").rglob("*.dat") for run in runs_of(path) for point in run]
    assert told == sorted((evaluations, round(share, 9)) for evaluations, share in found)


def test_iohinspector_reads_the_same(exported: Path) -> None:
    inspector = pytest.importorskip("iohinspector")  # no extra: what it needs installs a package named `tests`
    manager = inspector.DataManager()
    manager.add_folder(str(exported / "root"))
    best = {
        (row["algorithm_name"], row["function_id"], row["run_id"]): row["best_y"]
        for row in manager.overview.iter_rows(named=True)
    }
    assert len(best) == sum(len(runs_of(path)) for path in (exported / "root").rglob("*.dat"))
    loaded = manager.load(monotonic=False, include_meta_data=True)
    assert loaded.height == sum(len(run) for path in (exported / "root").rglob("*.dat") for run in runs_of(path))
    assert loaded["raw_y"].max() == pytest.approx(max(best.values()), abs=1e-9)


def test_a_curve_begins_at_one_query_and_ends_at_its_budget() -> None:
    steps, quality = np.array([12.0, 24.5]), np.array([0.5, 1.0])
    assert curve(steps, quality, 0.4, 40) == [(1, 0.0), (12, 0.2), (25, 0.4), (40, 0.4)]
    assert curve(np.zeros(0), np.zeros(0), 0.4, 40) == [(1, 0.0), (40, 0.0)]
    assert curve(np.array([1.0, 40.0]), np.array([np.nan, np.nan]), 0.0, 40) == [(1, 0.0), (40, 0.0)]


def test_names_of_files_are_plain() -> None:
    assert plain_name("recorded:ResNet50/chair/1?file=a b mean=0.4,variance=0.05") == (
        "recorded_ResNet50_chair_1_file=a_b_mean=0.4_variance=0.05"
    )
    assert len(plain_name("x" * 400)) == 100
