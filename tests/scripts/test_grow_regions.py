"""Regions on one shape: table, pictures, export, one's own mesh, and bad input."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import trimesh
from PIL import Image

from scripts import grow_regions
from semrob_env.cli import BAD_INPUT, run_script
from semrob_env.parameters import SemanticSpace
from semrob_env.regions import Regions


def run(folder: Path, *extra: str) -> int:
    common = ["--network", "tiny", "--budget", "40", "--map-step", "45", "--out", str(folder)]
    return run_script(grow_regions.main, [*common, *extra])


def test_regions_pictures_and_exports_are_written(tiny: str, tmp_path: Path) -> None:
    export = tmp_path / "inside"
    methods = ["--methods", "naive,oir_b", "--export", str(export), "--export-count", "3"]
    assert run(tmp_path, "--shape", "cup:0", *methods) == 0
    rows = list(csv.DictReader((tmp_path / "regions.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == ["naive"] * 4 + ["oir_b"] * 4
    assert all(int(row["forward_queries"]) == 40 for row in rows)
    for name in ("naive_regions", "naive_bounds", "oir_b_regions", "oir_b_bounds"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert min(picture.size) > 300
    space = SemanticSpace.of("azimuth,elevation")
    for row in csv.DictReader((export / "naive" / "theta.csv").read_text().splitlines()):
        bounds = rows[int(row["region"])]
        region = Regions(
            space,
            [[float(bounds["azimuth_low"]), float(bounds["elevation_low"])]],  # type: ignore[arg-type]
            [[float(bounds["azimuth_high"]), float(bounds["elevation_high"])]],  # type: ignore[arg-type]
        )
        assert region.contains([float(row["azimuth"]), float(row["elevation"])])[0]
        with Image.open(export / "naive" / row["picture"]) as picture:
            assert picture.size == (32, 32)


def test_ones_own_mesh_and_start_points_work(tiny: str, tmp_path: Path) -> None:
    mesh = tmp_path / "my mug.obj"
    trimesh.creation.annulus(0.4, 0.5, 1.0).export(mesh)
    starts = ["--starts", "azimuth=359,elevation=89; elevation=-10"]
    assert run(tmp_path, "--mesh", str(mesh), "--class", "cup", "--adversarial", *starts) == 0
    rows = list(csv.DictReader((tmp_path / "regions.csv").read_text().splitlines()))
    assert [row["start"] for row in rows] == ["azimuth=359,elevation=89", "azimuth=0,elevation=-10"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([], "give either --shape class:number, or --mesh FILE"),
        (["--shape", "cup:0", "--mesh", "x.obj"], "give either --shape"),
        (["--shape", "cup"], "write class:number"),
        (["--shape", "dragon:1"], "dragon"),
        (["--mesh", "nowhere.obj"], "--mesh needs --class"),
        (["--mesh", "nowhere.obj", "--class", "cup"], "nowhere.obj"),
        (["--shape", "cup:0", "--starts", "azimuth=400"], "azimuth=400"),
        (["--shape", "cup:0", "--starts", "zoom=1"], "unknown parameter 'zoom'"),
        (["--shape", "cup:0", "--starts", "azimuth"], "write azimuth=130,elevation=30"),
        (["--shape", "cup:0", "--starts", ";"], "names no point"),
        (["--shape", "cup:0", "--budget", "0"], "--budget 0"),
        (["--shape", "cup:0", "--max-steps", "0"], "--max-steps 0"),
        (["--shape", "cup:" + "9" * 5000], "write class:number"),
        (["--shape", "cup:0", "--methods", "magic"], "unknown method 'magic'"),
        (["--shape", "cup:0", "--map-step", "0"], "give at least 0.5 degrees"),
        (["--shape", "cup:0", "--budget", "3"], "cannot pay one step"),
        (["--shape", "cup:0", "--network", "lenet"], "unknown network 'lenet'"),
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
