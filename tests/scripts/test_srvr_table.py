"""The main job: a table from live runs, resumed, interrupted, and refused in one line on bad input."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from baselines.commands import srvr_table
from baselines.commands.program import BAD_INPUT, INTERRUPTED, run_command
from baselines.commands.shared import options
from baselines.commands.shared.options import REGION_METHODS
from baselines.commands.shared.terminal import Bundle, make_console
from baselines.commands.work import srvr_table as srvr_table_work
from baselines.experiments.runner import RunSummary, execute, run_tasks
from optimizers.registry import get_optimizer
from semrob_env.functions import make_function
from semrob_env.recorded import save_maps
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.classifiers.registry import NETWORKS
from semrob_env.store import UNPAID, RunStore
from tests.recorded_maker import wavy_maps

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def maps_of_one(tmp_path: Path) -> Path:
    return save_maps(wavy_maps(["ResNet50/cup/0"]), tmp_path / "maps.npz")


def read(maps: Path, out: Path) -> srvr_table.SrvrTableOptions:
    arguments = ["--functions", "recorded", "--maps", str(maps), "--methods", "naive", "--out", str(out)]
    options = srvr_table.main.read(arguments)
    assert options is not None
    return options


def run(folder: Path, *extra: str) -> int:
    arguments = ["--networks", "tiny", "--classes", "cup,chair", "--shapes", "0-1", "--budget", "24"]
    arguments += [] if {"--starts", "--adversarial"} & {*extra} else ["--starts", "paper"]
    return run_command(srvr_table.main, [*arguments, "--judge-points", "8", "--out", str(folder), *extra])


def test_the_table_its_image_and_its_runs_are_written_and_a_second_run_only_reads(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--methods", "naive,oir_w") == 0
    first = capsys.readouterr().out
    assert "32 runs" in first
    text = (tmp_path / "srvr.md").read_text()
    assert "| tiny    | cup   | naive  |" in text
    rows = list(csv.DictReader((tmp_path / "srvr.csv").read_text().splitlines()))
    assert [(row["class_name"], row["method"], row["runs"]) for row in rows] == [
        ("cup", "naive", "8"),
        ("cup", "oir_w", "8"),
        ("chair", "naive", "8"),
        ("chair", "oir_w", "8"),
        ("all", "naive", "16"),
        ("all", "oir_w", "16"),
        ("all", "all", "32"),
    ]
    assert (rows[0]["forward_queries"], rows[0]["gradient_queries"]) == ("192", "0")
    assert 0 < int(rows[1]["forward_queries"]) == int(rows[1]["gradient_queries"]) <= 96
    assert all(0 < float(row["low"]) <= float(row["estimate"]) <= float(row["high"]) <= 1 for row in rows)
    with Image.open(tmp_path / "srvr.png") as image:
        assert min(image.size) > 300

    created = [row.created for row in RunStore(tmp_path / "runs.sqlite").rows()]
    assert len(created) == 32
    assert run(tmp_path, "--methods", "naive,oir_w") == 0
    assert [row.created for row in RunStore(tmp_path / "runs.sqlite").rows()] == created
    assert (tmp_path / "srvr.md").read_text() == text


def test_an_interrupted_run_keeps_what_is_finished_and_goes_on(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run(whole, "--methods", "naive") == 0

    def interrupted(*arguments: object, **options: object) -> None:
        def on_rows(rows: object, summary: object) -> None:
            raise KeyboardInterrupt

        run_tasks(*arguments, **{**options, "on_rows": on_rows})  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(srvr_table_work, "run_tasks", interrupted)
        assert run(broken, "--methods", "naive") == INTERRUPTED
    assert "interrupted" in capsys.readouterr().err
    assert 0 < len(RunStore(broken / "runs.sqlite").rows()) < 16
    assert run(broken, "--methods", "naive") == 0
    assert (broken / "srvr.csv").read_text() == (whole / "srvr.csv").read_text()


def test_the_answer_comes_first_in_words_and_profiles(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--methods", "box_quadrature,naive", "--levels", "0.2,0.5", "--survey-points", "96", "--goal", "mean=0.2"]
    assert run(tmp_path, *few, "--starts", "azimuth=130,elevation=30") == 0
    text = (tmp_path / "srvr.md").read_text()
    assert text.index("**tiny**: right in ") < text.index("Profile, certified") < text.index("| network | class")
    assert "its regions grow with the budget" in text
    assert "| all | all |" not in " ".join(text.split())
    lines = list(csv.DictReader((tmp_path / "profiles.csv").read_text().splitlines()))
    shares = {(line["regions"], line["level"]): float(line["estimate"]) for line in lines}
    for level in ("0.2", "0.5", "area"):
        assert 0 <= shares["certified", level] <= shares["all regions", level] + 1e-12
        assert shares["feasible", level] <= shares["all regions", level]
    for name in ("profiles.png", "views.png"):
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 300
    assert run(tmp_path, *few, "--starts", "azimuth=130,elevation=30") == 0
    assert (tmp_path / "srvr.md").read_text() == text
    rows = RunStore(tmp_path / "runs.sqlite").rows(method="box_quadrature")
    assert all(len(row.profile_lower) == 2 * 2 == len(row.profile_upper) for row in rows)


def test_with_more_parameters_it_says_which_ends_a_region_first_and_which_has_no_effect(
    tiny: str, tmp_path: Path
) -> None:
    few = ["--methods", "box_quadrature", "--goal", "mean=0", "--params", "azimuth,elevation,light_azimuth"]
    start = ["--starts", "azimuth=130,elevation=30", "--frozen", "--classes", "cup", "--shapes", "0"]
    assert run(tmp_path, *few, *start) == 0
    text = (tmp_path / "srvr.md").read_text()
    assert "light_azimuth has no effect" in text
    assert "is what ends it first" in text or "nothing ends it" in text
    assert "queries to find that out" in text
    assert (tmp_path / "reach.png").exists()


def test_any_region_method_space_start_and_source_makes_a_table(tiny: str, tmp_path: Path) -> None:
    mesh = tmp_path / "mine.obj"
    trimesh.creation.annulus(0.4, 0.5, 1.0).export(mesh)
    chosen = [
        "chair:1",
        str(mesh),
        "--classes",
        "chair,cup",
        "--class",
        "cup",
        "--params",
        "azimuth,elevation,distance",
    ]
    chosen += ["--params", "azimuth,elevation,distance"]
    starts = ["--starts", "azimuth=130;distance=2", "--methods", "naive,grid,random_search", "--goal", "mean=0.2"]
    assert run(tmp_path / "out", *chosen, *starts) == 0
    rows = RunStore(tmp_path / "out" / "runs.sqlite").rows()
    assert {row.task.method for row in rows} == {"naive", "grid", "random_search"}
    assert {len(row.task.question.start) for row in rows} == {3}
    assert len(rows) == 2 * 2 * 3
    assert {(row.task.question.goal.text, row.task.question.budget) for row in rows} == {("mean=0.2", 24)}
    assert "azimuth and elevation and distance" in (tmp_path / "out" / "srvr.md").read_text()
    assert run(tmp_path / "none", "--methods", "random_attack") == BAD_INPUT


@pytest.mark.slow
def test_every_region_method_has_a_column_on_recorded_maps(tmp_path: Path) -> None:
    maps = save_maps(wavy_maps(["ResNet50/cup/0"]), tmp_path / "maps.npz")
    known = [name for name in REGION_METHODS if name != "reinforcement"]  # which needs an agent
    recorded = ["--functions", "recorded", "--maps", str(maps), "--methods", ",".join(known), "--budget", "30"]
    recorded += ["--starts", "azimuth=180,elevation=40"]
    assert run_command(srvr_table.main, [*recorded, "--out", str(tmp_path / "out")]) == 0
    rows = csv.DictReader((tmp_path / "out" / "srvr.csv").read_text().splitlines())
    billed = {row["method"]: int(row["forward_queries"]) for row in rows if row["class_name"] == "all"}
    assert billed.keys() == {*known, "all"}
    answering = [name for name in known if get_optimizer(name).answers_goals]
    assert 1 < len(answering) < len(known)
    assert billed["all"] == sum(billed[name] for name in answering), "ours and the others are not averaged"
    assert (tmp_path / "out" / "srvr_2.png").exists()


def test_a_dry_run_tells_the_cost_and_writes_nothing(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    assert run(folder, "--methods", "naive,oir_b,oir_w", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "48 runs (normalized form, at most 24 queries each)" in out
    # 16 runs each: naive 6 steps of 4, oir_b 3 steps of 8, oir_w 3 steps of 4 + 4.
    assert "at most 960 forward and 192 gradient queries, and 384 forward queries of the judge" in out
    assert "estimated time" in out
    assert not folder.exists()


def test_the_paper_protocol_tells_its_cost_first_and_names_regions_that_have_not_grown(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(options, "PAPER_STEPS", 3)
    assert run(tmp_path, "--protocol", "paper", "--methods", "naive", "--classes", "cup") == 0
    out = capsys.readouterr().out
    assert out.index("estimated time") < out.index("SRVR")
    assert "at most 96 forward and 0 gradient queries" in out
    assert "the median region of naive has not left its start size of 2e-05" in out
    assert "start size" in (tmp_path / "srvr.md").read_text().split("naive", 1)[1].split("\n", 1)[0]


def test_a_goal_reaches_methods_and_judge(tiny: str, tmp_path: Path) -> None:
    few = ["--methods", "box_quadrature,oir_b", "--classes", "cup", "--shapes", "0", "--starts", "azimuth=130"]
    for goal in ("mean=0.2", "reliability=0.9,level=0.2"):
        assert run(tmp_path, *few, "--goal", goal) == 0
    rows = RunStore(tmp_path / "runs.sqlite").rows()
    assert {row.task.question.goal.text for row in rows} == {"mean=0.2", "reliability=0.9,level=0.2"}
    assert all(row.feasible == (row.goal_mean >= row.task.question.goal.least) for row in rows)
    assert "score at least 0.2 in 90 % of the views" in (tmp_path / "srvr.md").read_text()
    lines = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert [line["goal"] for line in lines] == ["reliability=0.9,level=0.2"] * 2
    assert lines[0].keys() >= {"least_half_width", "purity", "status", "lower"}


def test_adversarial_starts_are_where_the_network_is_most_wrong(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--methods", "naive", "--classes", "cup,chair", "--shapes", "0", "--adversarial") == 0
    assert "4 of lowest score among 64 evenly spread views of each function" in capsys.readouterr().out
    starts: dict[str, list[tuple[float, ...]]] = {}
    for row in RunStore(tmp_path / "runs.sqlite").rows():
        starts.setdefault(row.task.question.function_id, []).append(row.task.question.start)
    assert len({frozenset(points) for points in starts.values()}) == 2
    for function_id, points in starts.items():
        function = make_function(function_id.removeprefix("complement(").removesuffix(")"))
        everywhere = function.values(function.space.grid((8, 8))[None])
        assert function.values([points]).max() <= np.quantile(everywhere, 0.2)
    told = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    own = {row.key: row for row in RunStore(tmp_path / "runs.sqlite").rows()}
    for line in told:  # of f itself, not of its complement
        assert float(line["mean"]) == 1 - own[line["key"]].mean
        assert float(line["maximum"]) == 1 - own[line["key"]].minimum


def test_runs_in_workers_and_of_an_imported_method_are_the_same(tmp_path: Path) -> None:
    maps = save_maps(wavy_maps(["ResNet50/cup/0", "ResNet50/cup/1"]), tmp_path / "maps.npz")
    recorded = ["--functions", "recorded", "--maps", str(maps), "--methods", "naive,mine", "--budget", "30"]
    recorded += ["--import", "tests.scripts.mine"]
    texts = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        assert run_command(srvr_table.main, [*recorded, "--workers", workers, "--out", str(out)]) == 0
        texts.append((out / "srvr.csv").read_text())
    assert texts[0] == texts[1]
    assert ",mine," in texts[0]


def test_runs_that_could_not_pay_are_left_out_and_told(maps_of_one: Path, tmp_path: Path) -> None:
    # A later step may cost more than the first: here, the second run's only.
    plan = srvr_table_work.SrvrPlan.of(read(maps_of_one, tmp_path))
    rows = execute(plan.tasks, plan.functions)
    rows[0] = replace(rows[0], status=UNPAID)
    console = make_console()
    srvr_table_work.report(plan, rows, RunSummary(len(rows)), Bundle(str(tmp_path), console), console)
    text = (tmp_path / "srvr.md").read_text()
    assert "1 runs had a budget too small for one step and are left out" in text
    assert "of 3 " in text


def test_adversarial_and_unnormalized_runs_are_runs_of_their_own(tiny: str, tmp_path: Path) -> None:
    for extra in ([], ["--adversarial"], ["--unnormalized"]):
        assert run(tmp_path, "--methods", "naive", "--classes", "cup", "--shapes", "0", *extra) == 0
    ids = {row.task.question.function_id for row in RunStore(tmp_path / "runs.sqlite").rows()}
    plain = "scene:tiny/cup/procedural:0?params=azimuth,elevation"
    assert ids == {plain, f"complement({plain})", f"{plain}&feed=unnormalized"}


BAD_INPUT_CASES = [
    (["--networks", "lenet"], "unknown network 'lenet'"),
    (["--classes", "dragon"], "dragon"),
    (["--methods", "magic"], "unknown method 'magic'"),
    (["--shapes", "3-1"], "cannot read '3-1'"),
    (["--shapes", "-1"], "cannot read '-1'"),
    (["--networks", ","], "empty list"),
    (["--budget", "0"], "--budget 0: give a whole number of at least 1"),
    (["--budget", "-5"], "--budget -5"),
    (["--goal", "mean=2"], "mean 2 must be in [0, 1]"),
    (["--judge-points", "100"], "100 judge points"),
    (["--goal", "variance=0.5"], "unknown goal 'variance=0.5'"),
    (
        ["--budget", "3"],
        "--budget 3 cannot pay one step of naive, which costs 4 queries a start point; give at least 4",
    ),
    (["--starts", "zoom=1"], "unknown parameter 'zoom'"),
    (["--budget", "nan"], "--budget"),
    (["--budget", "9" * 400], "--budget 999"),
    (["--shapes", "0-999999999"], "long range"),
    (["--shapes", "9" * 5000], "cannot read"),
]


@pytest.mark.parametrize(("extra", "message"), BAD_INPUT_CASES, ids=lambda case: str(case))
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    folder = tmp_path / "out"
    assert run(folder, *extra) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not folder.exists()


def test_a_network_that_answers_nan_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(unnormalized: bool, size: int | None) -> BlackBoxClassifier:
        return BlackBoxClassifier(lambda shown: np.full((len(shown), 1000), np.nan), size=24, name="broken")

    monkeypatch.setitem(NETWORKS, "broken", broken)
    assert run(tmp_path / "out", "--networks", "broken", "--methods", "naive") == BAD_INPUT
    error = capsys.readouterr().err
    assert "scores the start-up picture nan" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_paths_and_names_are_never_read_as_markup(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out[red] :cat:"
    assert run(folder, "--methods", "naive", "--classes", "cup", "--shapes", "0") == 0
    assert "out[red] :cat:" in capsys.readouterr().out.replace("\n", "")


def test_a_folder_that_cannot_be_written_and_an_old_store_are_told(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    assert run(blocker / "out") == BAD_INPUT
    assert "cannot write to folder" in capsys.readouterr().err
    (tmp_path / "runs.sqlite").write_text("this is not a database, whatever its name says, and long enough to read")
    assert run(tmp_path) == BAD_INPUT
    assert "runs.sqlite" in capsys.readouterr().err
    assert run(tmp_path, "--no-resume") == BAD_INPUT
    assert "--no-resume wants an empty --out" in capsys.readouterr().err


def test_the_script_itself_ends_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "srvr_table.py"), "--networks", "lenet", "--out", str(tmp_path)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert ended.returncode == BAD_INPUT
    assert ended.stderr.startswith("error: unknown network 'lenet'; known are efficientnet_lite0")
    assert ended.stderr.count("\n") == 1
