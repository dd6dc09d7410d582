"""Semantic maps from the command line: live and recorded, tables, pictures, resuming, and bad input."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from baselines.commands import semantic_map
from baselines.commands.program import BAD_INPUT, INTERRUPTED, run_command
from baselines.commands.work import semantic_map as semantic_map_work
from semrob_env.functions import UnitScale, make_function
from semrob_env.maps import map_axes, unfinished_file
from semrob_env.parameters import SemanticSpace
from semrob_env.recorded import ScoreMaps, load_maps, save_maps
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.types import Float32Array, FloatArray, IntArray

SPACE = SemanticSpace.of("azimuth,elevation")


def run(folder: Path, *arguments: str) -> int:
    return run_command(semantic_map.main, [*arguments, "--out", str(folder)])


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def images(folder: Path) -> list[str]:
    """Names of all pictures, after opening each."""
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 150
    return sorted(path.stem for path in folder.glob("*.png"))


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Maps of two networks, two classes and two shapes; each cup has a trap at azimuth 90, elevation 40."""
    names = [f"{network}/{z}/{s}" for network in ("a", "b") for z in ("cup", "chair") for s in range(2)]
    axes = map_axes(SPACE, 10.0)
    scores = np.full((len(names), *(len(axis) for axis in axes)), 0.8, dtype=np.float32)
    for row, name in enumerate(names):
        if "/cup/" in name:
            scores[row, 8:11, 4:7] = 0.1
    return save_maps(ScoreMaps(SPACE, axes, scores, tuple(names)), tmp_path / "recorded.npz")


def test_recorded_maps_give_images_and_tables(recorded: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(out, "--maps", str(recorded), "--dsm", "--one-dimensional", "--traps") == 0
    assert images(out) == ["dsm", "maps", "nsm", "nsm_1d"]
    traps = rows_of(out / "traps.csv")
    assert [row["map"] for row in traps] == [
        "a/cup/0", "a/cup/1", "b/cup/0", "b/cup/1", "a/cup/mean", "b/cup/mean", "mean/cup/mean",
    ]  # fmt: skip
    assert {(float(row["azimuth"]), float(row["elevation"])) for row in traps} == {(90.0, 40.0)}
    assert (out / "traps.md").read_text().startswith("7 semantic traps")
    bias = rows_of(out / "bias.csv")
    assert [row["class_name"] for row in bias] == ["cup", "chair"]
    assert float(bias[0]["all_fail"]) == pytest.approx(9 * 100 / 36000)
    assert "| cup" in (out / "bias.md").read_text()


@pytest.mark.slow
def test_regions_grow_on_a_selected_map_with_renders_of_a_shape_at_hand(recorded: Path, tmp_path: Path) -> None:
    mesh, out = tmp_path / "my mug.obj", tmp_path / "out"
    trimesh.creation.annulus(0.4, 0.5, 1.0).export(mesh)
    choice = ["--maps", str(recorded), "--select", "b/chair/0", str(mesh)]
    assert run(out, *choice, "--methods", "naive,oir_b", "--budget", "48", "--starts", "azimuth=200") == 0
    methods = ("naive", "oir_b")
    single = [f"{method}_0_b-chair-0_{kind}" for method in methods for kind in ("bounds", "regions")]
    assert images(out) == sorted(["maps", *single, *(f"{method}_maps" for method in methods)])
    rows = rows_of(out / "regions.csv")
    assert [row["method"] for row in rows] == ["naive", "oir_b"]
    assert {row["map"] for row in rows} == {"b/chair/0"}
    assert all(0 < float(row["share"]) <= 1 and int(row["forward_queries"]) <= 48 for row in rows)
    assert all(float(row["mean"]) == pytest.approx(0.8) for row in rows)


def test_the_paper_form_runs_600_steps_on_every_selected_map(recorded: Path, tmp_path: Path) -> None:
    choice = ["--maps", str(recorded), "--select", "*/cup/0", "--starts", "azimuth=200"]
    assert run(tmp_path / "out", *choice, "--methods", "naive", "--form", "paper") == 0
    rows = rows_of(tmp_path / "out" / "regions.csv")
    assert [(row["map"], row["forward_queries"], row["status"]) for row in rows] == [
        ("a/cup/0", "2400", "steps"),
        ("b/cup/0", "2400", "steps"),
    ]


def test_adversarial_regions_grow_where_the_score_is_low(recorded: Path, tmp_path: Path) -> None:
    choice = ["--maps", str(recorded), "--select", "a/cup/0", "--starts", "azimuth=90,elevation=40;azimuth=200"]
    assert run(tmp_path / "out", *choice, "--methods", "naive", "--adversarial", "--budget", "40") == 0
    inside, outside = (float(row["mean"]) for row in rows_of(tmp_path / "out" / "regions.csv"))
    assert inside < 0.5 < outside


@pytest.mark.slow
def test_adversarial_starts_are_lows_of_each_map_and_tables_show_f(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = ["--maps", str(recorded), "--select", "a/cup/*", "--methods", "box_quadrature"]
    assert run(tmp_path / "out", *choice, "--adversarial", "--goal", "reliability=0.9", "--budget", "80") == 0
    rows = rows_of(tmp_path / "out" / "regions.csv")
    assert {row["goal"] for row in rows} == {"reliability=0.9,level=0.5"}
    best = [row for row in rows if row["feasible"] == "True" and float(row["least_half_width"]) > 0.01]
    assert {row["map"] for row in best} == {"a/cup/0", "a/cup/1"}
    told = capsys.readouterr().out
    assert "highest f" in told
    assert "4 of lowest score among 64" in told


def test_margins_are_searched_as_unit_scores() -> None:
    axes, margins = map_axes(SPACE, 45.0), np.zeros((1, 8, 3), dtype=np.float32)
    margins[0, 2:6] = 3.0
    maps = ScoreMaps(SPACE, axes, margins, ("a/cup/0",), score_range=(-50.0, 50.0))
    unit = semantic_map_work.in_units(maps, UnitScale(-50.0, 50.0, is_logistic=True))
    assert (unit.score_range, float(unit.scores[0, 0, 0])) == ((0.0, 1.0), 0.5)
    assert float(unit.scores[0, 3, 1]) == pytest.approx(1 / (1 + np.exp(-3.0)))
    assert semantic_map_work.in_units(maps, UnitScale(-50.0, 50.0)) is maps


def test_a_live_map_is_drawn_kept_and_not_asked_again(tiny: str, tmp_path: Path) -> None:
    live = ["cup:0", "--networks", tiny, "--map-step", "30"]
    assert run(tmp_path, *live, "--methods", "naive", "--budget", "20", "--starts", "azimuth=90") == 0
    shown = images(tmp_path)
    assert "naive_0_tiny-cup-procedural-0_regions" in shown
    file = tmp_path / semantic_map_work.LIVE_FILE
    maps = load_maps(file)
    assert maps.names == ("tiny/cup/procedural:0",)
    theta = [[[maps.axes[0][3], maps.axes[1][2]]]]
    known = make_function(f"recorded:tiny/cup/procedural:0?file={file}")
    scene = make_function("scene:tiny/cup/procedural:0")
    assert known.values(theta)[0, 0] == np.float32(scene.values(theta)[0, 0])
    changed = file.stat().st_mtime_ns
    assert run(tmp_path, *live) == 0
    assert file.stat().st_mtime_ns == changed


@pytest.mark.slow
def test_weights_and_score_reach_the_network_of_a_live_map(squeezenet: Path, tmp_path: Path) -> None:
    out, name = tmp_path / "out", "torchvision/squeezenet1_1"
    chosen = ["--networks", name, "--weights", str(squeezenet), "--score", "margin"]
    assert run(out, "cup:0", *chosen, "--params", "azimuth", "--map-step", "90") == 0
    assert images(out) == ["nsm_1d"]
    maps, escaped = load_maps(out / semantic_map_work.LIVE_FILE), str(squeezenet).replace(" ", "%20")
    assert maps.facts[0]["function"] == f"scene:{name}/cup/procedural:0?params=azimuth&score=margin&weights={escaped}"
    values = make_function(maps.facts[0]["function"]).values(maps.axes[0][None, :, None])
    assert maps.scores.tobytes() == values.astype(np.float32).tobytes()


def test_a_live_map_of_one_parameter_is_a_curve(tiny: str, tmp_path: Path) -> None:
    live = ["cup:0", "--networks", tiny, "--params", "azimuth", "--map-step", "45"]
    assert run(tmp_path, *live, "--methods", "oir_b", "--budget", "16") == 0
    assert images(tmp_path) == [
        "nsm_1d",
        *(f"oir_b_0_tiny-cup-procedural-0_{kind}" for kind in ("bounds", "regions")),
    ]
    assert len(rows_of(tmp_path / "regions.csv")) == 4


def test_after_an_interrupt_the_same_command_goes_on(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, asked = TorchClassifier.scores, [0]

    def counted(self: TorchClassifier, images: Float32Array, classes: IntArray) -> FloatArray:
        asked[0] += len(classes)
        if asked[0] == limit:
            raise KeyboardInterrupt
        return scores(self, images, classes)

    monkeypatch.setattr(TorchClassifier, "scores", counted)
    live = ["cup:0", "--networks", tiny, "--map-step", "20"]
    limit = 65 + 32  # a probe, then chunks of 32
    assert run(tmp_path, *live) == INTERRUPTED
    file = tmp_path / semantic_map_work.LIVE_FILE
    assert unfinished_file(file).exists()
    limit, before, asked[0] = -1, 64, 0
    assert run(tmp_path, *live) == 0
    assert asked[0] <= 18 * 6 - before + 1
    assert not unfinished_file(file).exists()


def test_a_dry_run_tells_the_cost_and_writes_nothing(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(out, "cup:0", "chair:1", "--networks", tiny, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "2 maps of 120 x 34 scores: 8160 queries" in said
    assert "ms a query" in said
    assert not out.exists()


def test_any_functions_can_be_mapped(tmp_path: Path) -> None:
    functions = [part for seed in (0, 1) for part in ("--function", f"synthetic:trap?n=2&seed={seed}")]
    assert run(tmp_path, *functions, "--map-step", "6", "--traps", "--trap-low", "0.4") == 0
    found = {row["map"] for row in rows_of(tmp_path / "traps.csv")}
    assert found >= {"synthetic/trap/n=2;seed=0", "synthetic/trap/n=2;seed=1"}


def test_tables_of_an_earlier_run_do_not_stay(recorded: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(out, "--maps", str(recorded), "--select", "a/cup/0", "--traps") == 0
    assert (out / "traps.csv").exists()
    assert run(out, "--maps", str(recorded), "--select", "a/chair/0", "--traps") == 0
    assert not (out / "traps.csv").exists()
    assert (out / "traps.md").read_text().startswith("No semantic traps")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a SOURCE"),
        (["cup:0", "--function", "synthetic:trap?n=2"], "give a SOURCE"),
        (["cup:0", "--select", "a/*"], "--select chooses among --maps"),
        (["cup:0", "--networks", "lenet"], "unknown network 'lenet'"),
        (["cup:0", "--weights", "none.pth"], "there is no file none.pth"),
        (["cup:0", "--score", "margin"], "network 'tiny' takes no score"),
        (["--maps", "FILE", "--score", "margin"], "--score is for --network"),
        (["--function", "synthetic:trap?n=2", "--device", "cuda"], "--device is for --network"),
        (["dragon:1"], "dragon"),
        (["cup:0", "--map-step", "0"], "at least 0.5"),
        (["cup:0", "--map-step", "90"], "at most half"),
        (["--function", "synthetic:trap?n=3"], "1 or 2 parameters"),
        (["--function", "nonsense"], "unknown function"),
        (["--maps", "nowhere.npz"], "nowhere.npz"),
        (["--maps", "FILE", "--select", "c/*"], "no map fits --select"),
        (["--maps", "FILE", "--function", "synthetic:trap?n=2"], "--maps takes no --function"),
        (["--maps", "FILE", "--methods", "magic"], "unknown method 'magic'"),
        (["--maps", "FILE", "--methods", "naive", "--budget", "3"], "cannot pay one step"),
        (["--maps", "FILE", "--methods", "naive", "--starts", "zoom=1"], "unknown parameter 'zoom'"),
        (["--maps", "FILE", "--methods", "naive", "--max-steps", "0"], "--max-steps 0"),
        (["--maps", "FILE", "--trap-low", "0.7"], "--trap-low"),
        (["--maps", "FILE", "--traps", "--trap-high", "1.5"], "trap thresholds"),
        (["--maps", "FILE", "--bias-low", "nan"], "--bias-low"),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, list) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(
    recorded: Path,
    tiny: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: Sequence[str],
    message: str,
) -> None:
    given = [str(recorded) if part == "FILE" else part for part in arguments]
    network = [] if "--networks" in given else ["--networks", tiny]
    assert run(tmp_path / "out", *given, *network) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("out/*"))
