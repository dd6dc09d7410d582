"""Regions on one shape: table, pictures, export, one's own mesh, and bad input."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from baselines.commands import grow_regions
from baselines.commands.program import BAD_INPUT, run_command
from semrob_env.functions import make_function
from semrob_env.parameters import SemanticSpace
from semrob_env.regions import Regions
from semrob_env.scene.classifiers.score_kinds import MARGIN_BOUND


def run(folder: Path, *extra: str) -> int:
    common = ["--networks", "tiny", "--budget", "40", "--map-step", "45", "--out", str(folder)]
    return run_command(grow_regions.main, [*common, *extra])


def test_regions_images_and_exports_are_written(tiny: str, tmp_path: Path) -> None:
    export = tmp_path / "inside"
    methods = ["--methods", "naive,oir_b", "--certificate-points", "8", "--export", str(export), "--export-count", "3"]
    assert run(tmp_path, "cup:0", *methods) == 0
    rows = list(csv.DictReader((tmp_path / "regions.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == ["naive"] * 4 + ["oir_b"] * 4
    assert all(int(row["forward_queries"]) == 40 for row in rows)
    for name in ("naive_regions", "naive_bounds", "oir_b_regions", "oir_b_bounds"):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert min(image.size) > 300
    space = SemanticSpace.of("azimuth,elevation")
    for row in csv.DictReader((export / "naive" / "theta.csv").read_text().splitlines()):
        bounds = rows[int(row["region"])]
        region = Regions(
            space,
            [[float(bounds["azimuth_low"]), float(bounds["elevation_low"])]],  # type: ignore[arg-type]
            [[float(bounds["azimuth_high"]), float(bounds["elevation_high"])]],  # type: ignore[arg-type]
        )
        assert region.contains([float(row["azimuth"]), float(row["elevation"])])[0]
        with Image.open(export / "naive" / row["picture"]) as image:
            assert image.size == (32, 32)


def test_ones_own_mesh_and_start_points_work(tiny: str, tmp_path: Path) -> None:
    mesh = tmp_path / "my mug.obj"
    trimesh.creation.annulus(0.4, 0.5, 1.0).export(mesh)
    starts = ["--starts", "azimuth=359,elevation=89; elevation=-10"]
    assert run(tmp_path, str(mesh), "--class", "cup", "--adversarial", *starts) == 0
    rows = list(csv.DictReader((tmp_path / "regions.csv").read_text().splitlines()))
    assert [row["start"] for row in rows] == ["azimuth=359,elevation=89", "azimuth=0,elevation=-10"]


@pytest.mark.slow
def test_more_than_two_parameters_get_projections_and_images_along_the_sides(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = ["cup:0", "--params", "paper6", "--corners", "4", "--methods", "naive,oir_w"]
    assert run(tmp_path, *extra, "--starts", "azimuth=130,elevation=30;azimuth=355,light_elevation=60") == 0
    assert "naive, n = 6: queries a step 64 with all corners, 4 with 4; 40 pay 10 steps" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "regions.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == ["naive"] * 2 + ["oir_w"] * 2
    assert all(int(row["forward_queries"]) + int(row["gradient_queries"]) == 40 for row in rows)
    assert {"azimuth_low", "light_elevation_high", "ambient_low"} <= rows[0].keys()
    for name in ("projections", "sides", "bounds"):
        with Image.open(tmp_path / f"naive_{name}.png") as image:
            assert min(image.size) > 300
    assert not (tmp_path / "naive_regions.png").exists()


def test_weights_and_score_reach_the_network(
    squeezenet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--networks", "torchvision/squeezenet1_1", "--weights", str(squeezenet), "--score", "margin"]
    shape = ["cup:0", "--params", "azimuth", "--starts", "azimuth=130", "--max-steps", "2"]
    assert run(tmp_path / "out", *shape, *chosen, "--methods", "naive") == 0
    escaped = str(squeezenet).replace(" ", "%20")
    function_id = f"scene:{chosen[1]}/cup/procedural:0?params=azimuth&score=margin&weights={escaped}"
    assert f"{function_id}: " in capsys.readouterr().out
    (row,) = csv.DictReader((tmp_path / "out" / "regions.csv").read_text().splitlines())
    # Two steps leave a speck around the start, whose mean is the margin there as a unit score.
    margin = make_function(function_id).values([[[130.0]]])[0, 0]
    assert float(row["mean"]) == pytest.approx(1 / (1 + np.exp(-margin)), abs=0.01)
    assert -0.9 * MARGIN_BOUND < margin < -0.1


@pytest.mark.slow
def test_a_goal_reaches_the_method_and_the_judge(tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for goal in ("mean=0.3", "reliability=0.9,level=0.3"):
        assert run(tmp_path, "cup:0", "--methods", "box_quadrature", "--goal", goal, "--shrink", "16") == 0
        rows = list(csv.DictReader((tmp_path / "regions.csv").read_text().splitlines()))
        assert {row["goal"] for row in rows} == {goal}
        least = float(goal.split("=")[1].split(",")[0])
        assert all((row["feasible"] == "True") == (float(row["goal_mean"]) >= least) for row in rows)
        assert all((row["certified"] == "True") == (float(row["goal_lower"]) >= least) for row in rows)
        assert all((float(row["sure_share"]) > 0) == (float(row["sure_goal_lower"]) >= least) for row in rows)
        assert {int(row["sure_queries"]) for row in rows} <= {16, 32, 48, 64, 80}
    told = capsys.readouterr().out
    assert "goal: score at least 0.3 in 90 % of the views" in told
    assert "certified: meets the goal with 95 % confidence for each region, by 64 independent points a region" in told


def test_adversarial_regions_start_at_failures_show_f_and_export_only_failures(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = tmp_path / "failures"
    few = ["--adversarial", "--methods", "box_quadrature", "--export", str(export), "--export-count", "4"]
    assert run(tmp_path, "cup:0", *few) == 0
    told = capsys.readouterr().out
    assert "start points: the 4 of lowest score among 64" in told
    assert "highest f" in told
    rows = list(csv.DictReader((tmp_path / "regions.csv").read_text().splitlines()))
    assert any(row["feasible"] == "True" and float(row["share"]) > 1e-3 for row in rows)
    views = list(csv.DictReader((export / "box_quadrature" / "theta.csv").read_text().splitlines()))
    assert views
    assert all(float(view["score"]) <= 0.5 for view in views)
    assert len(list((export / "box_quadrature").glob("*.png"))) == len(views)
    assert f"wrote {len(views)} failures" in told
    assert f"; {16 - len(views)} other views" in told


def test_a_start_that_does_not_meet_the_goal_has_no_region(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    function = make_function("scene:tiny/cup/procedural:0")
    score = float(function.values([[[10.0, 30.0]]])[0, 0])
    start = ["--starts", "azimuth=10,elevation=30", "--methods", "box_quadrature"]
    assert run(tmp_path, "cup:0", *start, "--goal", f"mean={score + 0.4 * (1 - score):.2f}", "--map-step", "90") == 0
    assert f"no region: f(start) is {score:.3g}" in capsys.readouterr().out
    assert run(tmp_path, "cup:0", *start, "--adversarial", "--goal", f"mean={min(1 - score + 0.05, 1):.2f}") == 0
    assert f"no region: f(start) is {score:.3g}" in capsys.readouterr().out


def test_one_parameter_and_a_part_of_a_range_get_a_curve(tiny: str, tmp_path: Path) -> None:
    assert run(tmp_path, "cup:0", "--params", "distance[2:3]") == 0
    assert run(tmp_path, "cup:0", "--params", "azimuth[90:180],elevation") == 0
    rows = list(csv.DictReader((tmp_path / "regions.csv").read_text().splitlines()))
    assert [row["start"] for row in rows] == ["azimuth=130,elevation=30"]


def test_a_dry_run_tells_the_bill_of_a_step_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["cup:0", "--params", "paper10", "--budget", "3000", "--methods", "naive,oir_b,oir_w"]
    out = ["--out", str(tmp_path / "out"), "--dry-run"]
    assert run_command(grow_regions.main, [*arguments, *out]) == 0
    told = capsys.readouterr().out
    for line in ("naive, n = 10: queries a step 1024", "oir_b, n = 10: queries a step 2048", "3000 pay 1 steps"):
        assert line in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([], "0 shapes; give one: cup:3, a mesh file with --class"),
        (["cup:0", "cup:1"], "2 shapes; give one"),
        (["cup"], "unknown shape source"),
        (["dragon:1"], "dragon"),
        (["nowhere.obj"], "nowhere.obj: there is no such file"),
        (["nowhere.obj", "--class", "cup"], "nowhere.obj"),
        (["cup:0", "--starts", "azimuth=400"], "azimuth=400"),
        (["cup:0", "--starts", "zoom=1"], "unknown parameter 'zoom'"),
        (["cup:0", "--starts", "azimuth"], "write azimuth=130,elevation=30"),
        (["cup:0", "--starts", ";"], "names no point"),
        (["cup:0", "--budget", "0"], "--budget 0"),
        (["cup:0", "--max-steps", "0"], "--max-steps 0"),
        (["cup:" + "9" * 5000], "999"),
        (["cup:0", "--methods", "magic"], "unknown method 'magic'"),
        (["cup:0", "--map-step", "0"], "give at least 0.5 degrees"),
        (["cup:0", "--budget", "3"], "cannot pay one step"),
        (["cup:0", "--budget", "50", "--certify", "budget"], "cannot pay --certificate-points 64; give at least 65"),
        (["cup:0", "--budget", "67", "--certify", "budget"], "give at least 72"),
        (["cup:0", "--certificate-points", "-1"], "certificate points -1"),
        (["cup:0", "--confidence", "95"], "confidence 95.0"),
        (["cup:0", "--shrink", "0"], "--shrink 0"),
        (["cup:0", "--networks", "lenet"], "unknown network 'lenet'"),
        (["cup:0", "--weights", "none.pth"], "there is no file none.pth"),
        (["cup:0", "--score", "margin"], "network 'tiny' takes no score"),
        (["cup:0", "--params", "zoom"], "unknown parameter 'zoom'"),
        (["cup:0", "--params", "azimuth,azimuth"], "named twice"),
        (["cup:0", "--params", "azimuth[180:90]"], "must be below high"),
        (["cup:0", "--params", "paper10"], "fewer --corners"),
        (["cup:0", "--corners", "3"], "corners 3"),
    ],
    ids=lambda case: str(case),
)
def test_bad_input_is_one_line_and_exit_code_2(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert run(tmp_path / "out", *extra) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
