"""Data sets of rendered views: what reads them, whose views they are, that an end costs nothing."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image

from baselines import make_dataset
from baselines.dataset import DatasetRecipe, read_mix, split_shapes, write_dataset
from baselines.experiments.pool import Workers
from baselines.failing import failing_regions, failing_views, spread_order
from semrob_env.errors import InvalidParameterError, OutputError
from semrob_env.parameters import SemanticSpace
from semrob_env.regions import Regions
from semrob_env.scene.camera import Scenes
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.shapes import make_shape
from semrob_env.scene.sources import select_shapes
from semrob_env.types import Float32Array, FloatArray

ROOT = Path(__file__).resolve().parents[2]
SHAPES = ["cup:0", "cup:1", "chair:0", "chair:1"]
SPACE = SemanticSpace.of("azimuth,distance")
SIZE = 24


def short_sighted() -> BlackBoxClassifier:
    def answer(images: Float32Array) -> FloatArray:
        covered = (images.max(axis=1) > 0.02).mean(axis=(1, 2))
        own = 1 / (1 + np.exp(-200.0 * (covered - 0.1)))
        return np.stack([own, 1 - own], axis=1)

    return BlackBoxClassifier(answer, labels=2, size=SIZE, name="short-sighted", categories=["cup", "nothing"])


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "factors.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_torchvision_reads_it_and_both_sides_number_the_classes_alike(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    made = make_dataset(SHAPES, tmp_path, views=5, size=SIZE, split=0.5)
    train, val = (ImageFolder(str(tmp_path / name)) for name in ("train", "val"))
    assert train.class_to_idx == val.class_to_idx == {"chair": 0, "cup": 1}
    assert (len(train), len(val)) == (10, 10)
    assert train[0][0].size == (SIZE, SIZE)
    assert made.views == {"train/cup": 5, "val/cup": 5, "train/chair": 5, "val/chair": 5}
    rows = rows_of(tmp_path)
    listed = {str(tmp_path / row["file"]) for row in rows}
    assert listed == {path for path, _ in [*train.samples, *val.samples]}
    sides = {(row["class"], row["shape"], row["split"]) for row in rows}
    assert len(sides) == 4, "a shape is on one side"


def test_a_picture_is_the_render_at_the_factors_beside_it(tmp_path: Path) -> None:
    make_dataset(["cup:0", "cup:1"], tmp_path, params="azimuth,distance,albedo_r", views=3, size=32, split=1, seed=4)
    for row in rows_of(tmp_path):
        names = {"azimuth": "azimuth_deg", "distance": "distance_half_sides", "albedo_r": "albedo_r"}
        scene = Scenes.from_parameters({name: np.array([float(row[column])]) for name, column in names.items()})
        image = Rasterizer(32).render(make_shape(row["shape"]), scene)[0]
        with Image.open(tmp_path / row["file"]) as picture:
            shown = np.asarray(picture, dtype=np.float64) / 255
        assert np.abs(shown - image.transpose(1, 2, 0)).max() <= 0.5 / 255 + 1e-6


def test_failing_views_are_failing_ones_and_lie_in_the_regions_that_are_told(tmp_path: Path) -> None:
    network = short_sighted()
    made = make_dataset(
        ["cup:0", "cup:1"], tmp_path, params=SPACE, views=12, mix="both:0.5", classifier=network, split=0.5
    )
    rows, told = rows_of(tmp_path), json.loads((tmp_path / "dataset.json").read_text())
    failing = [row for row in rows if row["origin"] == "failing"]
    assert (made.failing, len(failing), made.missing) == (12, 12, {})
    for row in rows:
        mesh = make_shape(row["shape"])
        function = SceneFunction(network, [mesh], [0], SPACE)
        theta = np.array([float(row["azimuth_deg"]), float(row["distance_half_sides"])])
        score = function.values(theta[None, None])[0, 0]
        assert score == pytest.approx(float(row["score"]), abs=1e-12)
        assert row["top"] == ("cup" if score > 0.5 else "nothing")
        if row["origin"] == "failing":
            assert score < 0.5
            regions = told["failing_regions"][row["shape"]]
            assert any(
                Regions(SPACE, np.array([own["lower"]]), np.array([own["upper"]])).contains(theta)[0] for own in regions
            )
    uniform = [float(row["score"]) >= 0.5 for row in rows if row["origin"] == "uniform"]
    assert 0 < np.mean(uniform) < 1
    assert np.mean(list(made.rate.values())) == pytest.approx(np.mean(uniform))
    assert told["search_queries"] >= 2 * 64


def test_failing_regions_are_where_brute_force_finds_failures() -> None:
    function = SceneFunction(short_sighted(), [make_shape("cup:0"), make_shape("cup:2")], [0, 0], SPACE)
    found = failing_regions(function, [0, 1], most=1, budget=25)
    grid = SPACE.grid((12, 60)).reshape(-1, 2)
    for member, own in enumerate(found):
        fails = function.values(grid[None], np.array([member]))[0] < 0.5
        inside = np.any([own.regions[row].contains(grid[None])[0] for row in range(len(own.regions))], axis=0)
        assert fails[inside].mean() > 0.85
        assert inside[fails].mean() > 0.6, "most of what fails is found"
    alone = failing_regions(function, [1], most=1, budget=25)[0]
    assert (alone.regions, alone.queries) == (found[1].regions, found[1].queries), "whatever else is asked with it"


def test_where_nothing_fails_nothing_is_drawn_and_that_is_told(tmp_path: Path) -> None:
    always = BlackBoxClassifier(
        lambda images: np.tile([0.9, 0.1], (len(images), 1)), labels=2, size=SIZE, categories=["cup", "nothing"]
    )
    assert make_dataset(["cup:0"], tmp_path / "none", views=2, mix="failing", classifier=always, split=1).views == {
        "train/cup": 0
    }
    assert rows_of(tmp_path / "none") == []
    folder = tmp_path / "both"
    made = make_dataset(["cup:0", "cup:1"], folder, views=6, mix="both:0.5", classifier=always, split=1)
    assert made.missing == {"cup:0": 3, "cup:1": 3}
    assert {row["origin"] for row in rows_of(folder)} == {"uniform"}
    function = SceneFunction(always, [make_shape("cup:0")], [0], SPACE)
    theta, scores, asked = failing_views(function, 0, None, 5, b"key")
    assert (theta.shape, scores.shape, asked) == ((0, 2), (0,), 64)


def test_an_end_in_between_costs_no_byte_and_workers_change_none(tmp_path: Path) -> None:
    shapes = select_shapes(SHAPES)
    recipe = DatasetRecipe(space=SPACE, views=7, size=SIZE, seed=3)
    whole, ended, shared = (tmp_path / name for name in ("whole", "ended", "shared"))
    for folder in (whole, ended, shared):
        folder.mkdir()
    write_dataset(shapes, whole, recipe)
    told: list[str] = []

    def end_at_the_second(name: str, count: int) -> None:
        told.append(name)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(shapes, ended, recipe, on_shape=end_at_the_second)
    assert not json.loads((ended / "dataset.json").read_text())["complete"]
    (ended / "train" / ".half.png.1.part").write_bytes(b"\x89PNG")
    made = write_dataset(shapes, ended, recipe)
    assert made.drawn == 14
    write_dataset(shapes, shared, recipe, workers=Workers(2, "threading"))
    assert bytes_of(whole) == bytes_of(ended) == bytes_of(shared)
    assert write_dataset(shapes, whole, recipe).drawn == 0
    next((whole / "train").rglob("*.png")).unlink()
    assert write_dataset(shapes, whole, recipe).drawn == 7
    assert bytes_of(whole) == bytes_of(shared)


@pytest.mark.slow
def test_a_kill_leaves_whole_pictures_and_the_next_call_goes_on(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom baselines import make_dataset\n"
        f"make_dataset({SHAPES!r}, sys.argv[1], views=400, size={SIZE}, split=0.5)"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([*command, str(tmp_path / "killed")], env=environment) as process:
        while process.poll() is None and len(list((tmp_path / "killed").rglob("*.png"))) < 500:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    there = list((tmp_path / "killed").rglob("*.png"))
    assert 500 <= len(there) < 1600
    for path in there:
        with Image.open(path) as picture:
            picture.load()
    subprocess.run([*command, str(tmp_path / "killed")], env=environment, check=True)
    subprocess.run([*command, str(tmp_path / "whole")], env=environment, check=True)
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    make_dataset(["cup:0", "cup:1"], tmp_path / "a", views=2, size=8)
    with pytest.raises(OutputError, match=r"another data set \(other settings, versions"):
        make_dataset(["cup:0", "cup:1"], tmp_path / "a", views=2, size=9)
    (tmp_path / "b" / "train" / "cup").mkdir(parents=True)
    (tmp_path / "b" / "train" / "cup" / "mine.png").touch()
    with pytest.raises(OutputError, match="pictures of something else"):
        make_dataset(["cup:0", "cup:1"], tmp_path / "b", views=2, size=8)


def test_a_mesh_that_is_there_twice_is_on_one_side_and_files_keep_apart(tmp_path: Path) -> None:
    for name, height in (("a/mug", 1.0), ("b/mug", 1.0), ("c/mug", 1.5), ("d/Mug", 2.0)):
        path = tmp_path / "meshes" / f"{name}.ply"
        path.parent.mkdir(parents=True)
        trimesh.creation.annulus(0.4, 0.5, height).export(path)
    (tmp_path / "meshes" / "broken.ply").write_text("ply\n")
    shapes = select_shapes([str(tmp_path / "meshes")], as_class="cup")
    for seed in range(6):
        chosen, left_out = split_shapes(shapes, 0.5, DatasetRecipe(space=SPACE, seed=seed))
        side = {shape.info.name: shape.split for shape in chosen}
        assert side["a/mug.ply"] == side["b/mug.ply"]
        assert set(side.values()) == {"train", "val"}
        assert len({shape.stem.casefold() for shape in chosen}) == 4
        assert list(left_out) == ["broken.ply"]
    made = make_dataset(shapes, tmp_path / "out", views=2, size=8, split=0.5)
    assert "broken.ply" in made.left_out
    assert list(json.loads((tmp_path / "out" / "dataset.json").read_text())["left_out"]) == ["broken.ply"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shapes": ["cup:0"]}, "has one shape"),
        ({"split": 1.5}, "from 0 to 1"),
        ({"views": 0}, "0 views"),
        ({"mix": "failing"}, "need a network"),
        ({"mix": "both:2"}, "write uniform, failing"),
        ({"size": 5000}, "at most 1024"),
    ],
)
def test_what_cannot_be_is_refused_before_any_picture(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"shapes": ["cup:0", "cup:1"], "views": 2, "size": 8, **changes}
    with pytest.raises(InvalidParameterError, match=message):
        make_dataset(arguments.pop("shapes"), tmp_path / "new", **arguments)
    assert not list(tmp_path.iterdir())


def test_a_finished_set_holds_its_own_files_and_no_side_without_shapes(tmp_path: Path) -> None:
    make_dataset(["cup:0", "cup:1"], tmp_path, views=2, size=8, split=1)
    assert {path.name for path in tmp_path.iterdir()} == {"train", "factors.csv", "dataset.json"}


def test_views_are_spread_by_directions_and_farthest_first() -> None:
    space = SemanticSpace.of("azimuth,elevation")
    above = [[azimuth, 90.0] for azimuth in (0.0, 90.0, 180.0, 270.0)]
    order = spread_order(space, np.array([*above, [0.0, 0.0], [180.0, 0.0]]))
    assert order[0] == 0
    assert set(order[1:3].tolist()) == {4, 5}, "all azimuths straight from above are one view"
    assert sorted(order.tolist()) == list(range(6))
    plain = SemanticSpace.of("roll,distance")
    assert spread_order(plain, np.array([[-179.0, 2.0], [179.0, 2.0], [0.0, 2.0]])).tolist() == [0, 2, 1]


def test_mixes_are_read_as_shares() -> None:
    assert [read_mix(text) for text in ("uniform", "failing", "both", "both:0.25")] == [0, 1, 0.5, 0.25]


def test_more_views_begin_with_the_same_ones(tmp_path: Path) -> None:
    few = DatasetRecipe(space=SPACE, views=2, size=8)
    for folder, recipe in (("few", few), ("many", replace(few, views=4))):
        (tmp_path / folder).mkdir()
        write_dataset(select_shapes(["cup:0", "cup:1"]), tmp_path / folder, recipe)
    few_rows = {row["file"]: row for row in rows_of(tmp_path / "few")}
    many_rows = {row["file"]: row for row in rows_of(tmp_path / "many")}
    assert few_rows.items() <= many_rows.items()
