"""The report on recorded maps: its files, its numbers by another way, redrawing, and bad input."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baselines.commands import recorded_report
from baselines.commands.program import BAD_INPUT, INTERRUPTED, run_command
from baselines.commands.work import recorded_report as recorded_report_work
from optimizers.naive import Naive
from optimizers.oir_b import OirB, OirBSettings
from optimizers.run import run
from semrob_env.ground_truth import exact_moments, optimum
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MeanGoal, Questions, ReliabilityGoal
from semrob_env.recorded import RecordedMaps, ScoreMaps, save_maps
from semrob_env.recorded.traces import METHODS, join_runs, load_traces, save_traces
from semrob_env.regions import Regions
from semrob_env.store import RunStore
from semrob_env.tables.profiles import level_words
from tests.recorded_maker import AZIMUTHS, NAMES, SPACE, STARTS, flat_maps, recorded_runs, run_of, wavy_maps

FUNCTION = RecordedMaps(wavy_maps())
STEPS = 150
"""A quarter of the released runs', so that tests are quick; regions of these maps leave the space all the same."""

ALONE = ["profiles.csv", "profiles.png", "report.csv", "report.md", "runs.sqlite", "srvr.png"]
FILES = sorted([*ALONE, "bounds.png", "overlap.png"])


def report(maps: Path, traces: Path | str, out: Path, *extra: str) -> int:
    arguments = ["--maps", str(maps), "--traces", str(traces), "--out", str(out), "--levels", "0.3,0.6,0.9", *extra]
    return run_command(recorded_report.main, arguments)


@pytest.fixture(scope="module", autouse=True)
def fewer_steps() -> Iterator[None]:
    """A quarter of the steps in all replays."""
    given = recorded_report_work.variants()
    assert given["replay"].steps == 4 * STEPS
    fewer = {name: replace(variant, steps=variant.steps // 4) for name, variant in given.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded_report_work, "variants", lambda: fewer)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps, traces and a finished report in `out`. The traces are our own runs with the released code's choices.

    Of them one has no trace, one diverged, one is of another map.
    """
    root = tmp_path_factory.mktemp("report")
    runs = recorded_runs(FUNCTION, STEPS, traced=[0])
    lost = [
        run_of(NAMES[0], [0, 0], [1, 1], start=1, steps=0),
        run_of(NAMES[0], [np.nan, 0], [np.inf, 1], start=2, steps=STEPS),
        run_of("VGG/cup/0", [100, 10], [160, 60], trace=np.array([[100.0, 10, 160, 60]] * 3)),
    ]
    replaced = {(one.name, one.method, one.start) for one in lost}
    kept = [one for one in runs if (one.name, one.method, one.start) not in replaced]
    save_maps(FUNCTION.maps, root / "maps.npz")
    save_traces(join_runs([*kept, *lost]), root / "traces.npz")
    assert report(root / "maps.npz", root / "traces.npz", root / "out") == 0
    return root


@pytest.fixture(scope="module")
def lines(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "out/report.csv").read_text().splitlines()))


def chosen(lines: Sequence[dict[str, str]], network: str, method: str, kind: str) -> dict[str, str]:
    (line,) = [line for line in lines if (line["network"], line["method"], line["kind"]) == (network, method, kind)]
    return line


def test_the_report_writes_its_tables_images_and_runs(folder: Path, lines: list[dict[str, str]]) -> None:
    assert sorted(path.name for path in (folder / "out").iterdir()) == FILES
    kinds = ("replay", "replay as released", "recorded")
    assert [(line["network"], line["method"], line["kind"]) for line in lines] == [
        (network, method, kind) for network in ("ResNet50", "Inceptionv3") for method in METHODS for kind in kinds
    ]
    text = (folder / "out/report.md").read_text()
    for title in (
        "## SRVR",
        "## Why replays differ",
        "## What the released code",
        "## The paper's claims",
        "## The best",
        "## Robustness profiles",
        "## The headline claim, level by level",
    ):
        assert text.count(title) == 1
    assert "8 maps of ResNet50, Inceptionv3; 4 start points each" in text
    assert "97 recorded runs: 1 without a trace, 1 diverged" in text
    for name in FILES:
        if name.endswith(".png"):
            with Image.open(folder / "out" / name) as image:
                assert min(image.size) > 300
    # 16 replays of 32 runs each, of which two are the same runs: black-box methods that are cut at the end only.
    assert len(RunStore(folder / "out/runs.sqlite").rows()) == (16 - 2) * 32


@pytest.mark.parametrize(
    ("network", "method"), [("ResNet50", "naive"), ("Inceptionv3", "oir_b")], ids=lambda value: str(value)
)
def test_a_line_of_replays_is_what_a_plain_run_gives(lines: list[dict[str, str]], network: str, method: str) -> None:
    members = np.repeat([row for row, name in enumerate(NAMES) if name.startswith(network)], 4)
    starts = np.tile(STARTS, (4, 1))
    questions = Questions(SPACE, starts, member=members)
    optimizer = (
        Naive(questions, settings=Naive.settings_class.from_mapping(PAPER))
        if method == "naive"
        else OirB(questions, settings=OirBSettings.paper())
    )
    regions = run(optimizer, QueryOracle(FUNCTION, trajectories=16), max_steps=STEPS).regions
    mean, _ = exact_moments(FUNCTION, regions, members)
    line = chosen(lines, network, method, "replay")
    assert line["runs"] == "16"
    assert float(line["estimate"]) == pytest.approx(regions.share().mean(), rel=1e-12)
    assert float(line["feasible_estimate"]) == pytest.approx(
        np.where(mean >= 0.5, regions.share(), 0).mean(), rel=1e-12
    )
    assert int(line["feasible_runs"]) == (mean >= 0.5).sum()
    assert float(line["low"]) <= float(line["estimate"]) <= float(line["high"])


PAPER = {"form": "paper", "step_size": 0.1, "tolerance": 0.0, "regularization": 0.1}


def test_a_line_of_recorded_regions_is_cut_and_averaged_without_lost_runs(
    folder: Path, lines: list[dict[str, str]]
) -> None:
    traces = load_traces(folder / "traces.npz")
    rows = [
        row
        for row, (name, method) in enumerate(zip(traces.names, traces.methods, strict=True))
        if name.startswith("ResNet50")
        and method == "naive"
        and np.isfinite(traces.lower[row]).all()
        and traces.steps[row] > 0
    ]
    share = Regions(SPACE, traces.lower[rows], traces.upper[rows]).share()
    by_class = [
        np.mean([share[[traces.names[row] == f"ResNet50/{name}/{shape}" for row in rows]].mean() for shape in (0, 1)])
        for name in ("cup", "chair")
    ]
    line = chosen(lines, "ResNet50", "naive", "recorded")
    assert (line["runs"], line["no_trace"], line["diverged"]) == ("14", "1", "1")
    assert float(line["estimate"]) == pytest.approx(np.mean(by_class), rel=1e-12)


def test_replays_as_released_are_the_regions_of_runs_with_the_released_choices(lines: list[dict[str, str]]) -> None:
    for network, method, runs in (("ResNet50", "naive", 14), ("Inceptionv3", "naive", 16), ("ResNet50", "oir_w", 16)):
        own = chosen(lines, network, method, "replay as released")
        assert 8 <= int(own["overlap_pairs"]) <= runs, "those that have grown"
        assert float(own["overlap_with_recorded"]) == pytest.approx(1.0, abs=1e-9)
        other = chosen(lines, network, method, "replay")
        assert float(other["overlap_with_recorded"]) < 0.999


def test_drawn_bounds_are_those_before_each_step_on_both_sides(folder: Path) -> None:
    panels = recorded_report_work.traced(load_traces(folder / "traces.npz"), FUNCTION)
    assert {(panel.network, panel.method) for panel in panels} == {
        (network, method) for network in ("ResNet50", "Inceptionv3") for method in METHODS
    }
    for panel in panels:
        np.testing.assert_array_equal(panel.recorded, panel.replayed)
        assert len(panel.recorded[0]) == STEPS


def test_the_same_command_again_only_redraws(folder: Path) -> None:
    out = folder / "out"
    store, text = RunStore(out / "runs.sqlite"), (out / "report.md").read_text()
    before = [(row.key, row.created) for row in store.rows()]
    (out / "report.csv").unlink()
    (out / "srvr.png").unlink()
    assert report(folder / "maps.npz", folder / "traces.npz", out) == 0
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert [(row.key, row.created) for row in store.rows()] == before
    assert (out / "report.md").read_text() == text


def test_profiles_are_means_of_exact_optima(folder: Path) -> None:
    profiles = list(csv.DictReader((folder / "out/profiles.csv").read_text().splitlines()))
    assert {line["regions"] for line in profiles} == {"exact optimum", "exact, not across the seam"}
    lines = {(line["regions"], line["goal"], line["network"], line["level"]): line for line in profiles}
    members = [row for row, name in enumerate(NAMES) if name.startswith("ResNet50")]
    for goal in (MeanGoal(epsilon_v=0.05), ReliabilityGoal(reliability=0.9)):
        shares = [optimum(FUNCTION, start, goal.at(0.6), member).share for member in members for start in STARTS]
        line = lines["exact optimum", level_words(goal), "ResNet50", "0.6"]
        assert float(line["estimate"]) == pytest.approx(np.mean(shares), rel=1e-12)
        assert 0 < float(line["low"]) < float(line["high"])
        assert line["runs"] == "16"
    whole, cut = (
        float(lines[regions, "mean score at least the level", "ResNet50", "0.6"]["estimate"])
        for regions in ("exact optimum", "exact, not across the seam")
    )
    assert 0 < cut < whole


@pytest.mark.slow
def test_profiles_by_queries_stand_beside_the_exact_ones(tmp_path: Path) -> None:
    maps, out = save_maps(FUNCTION.maps.only([0]), tmp_path / "maps.npz"), tmp_path / "out"
    assert report(maps, "none", out, "--levels", "0.3,0.6", "--queries", "6") == 0
    lines = list(csv.DictReader((out / "profiles.csv").read_text().splitlines()))
    found = {(line["goal"], line["level"]): line for line in lines if line["regions"] == "6 queries"}
    assert len(found) == 2 * 3
    rows = [row for row in RunStore(out / "runs.sqlite").rows() if row.task.method == "box_quadrature"]
    assert len(rows) == 2 * 4, "one run a goal and start point answers all levels"
    assert {row.forward_queries for row in rows} == {6}
    own = [row for row in rows if row.task.question.goal == MeanGoal()]
    for place, level in enumerate(("0.3", "0.6")):
        bounds = [[side[2 * place : 2 * place + 2] for side in (row.profile_lower, row.profile_upper)] for row in own]
        lower, upper = np.moveaxis(np.array(bounds), 1, 0)
        mean = float(found["mean score at least the level", level]["estimate"])
        assert mean == pytest.approx(Regions(SPACE, lower, upper).share().mean(), rel=1e-12)
    assert "mean feasible share over that of the exact profile" in (out / "report.md").read_text()
    created = [row.created for row in rows]
    assert report(maps, "none", out, "--levels", "0.3,0.6", "--queries", "6") == 0
    again = [row.created for row in RunStore(out / "runs.sqlite").rows() if row.task.method == "box_quadrature"]
    assert again == created, "a second call only redraws"


def test_without_traces_replays_stand_alone(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps = save_maps(FUNCTION.maps.only([0, 1]), tmp_path / "maps.npz")
    assert report(maps, "none", tmp_path / "out") == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ALONE
    text = capsys.readouterr().out
    assert "replays stand alone" in text
    assert "Why replays differ" not in text
    rows = list(csv.DictReader((tmp_path / "out/report.csv").read_text().splitlines()))
    assert {row["kind"] for row in rows} == {"replay", "replay as released"}
    assert {row["overlap_with_recorded"] for row in rows} == {"nan"}


ODD_MAPS = {
    "nothing grows": flat_maps({"N/cup/0": 0.05}),
    "networks without a common shape": wavy_maps(["ResNet50/cup/0", "Inceptionv3/chair/1"]),
}


@pytest.mark.parametrize("name", ODD_MAPS)
def test_maps_with_little_to_compare_and_traces_of_other_maps_give_a_report(
    folder: Path, tmp_path: Path, name: str
) -> None:
    maps = save_maps(ODD_MAPS[name], tmp_path / "maps.npz")
    traces = save_traces(
        join_runs([run_of("VGG/cup/0", [0, 0], [1, 1], trace=np.ones((3, 4)))]), tmp_path / "traces.npz"
    )
    assert report(maps, traces, tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ALONE
    assert "SRVR of ResNet50 above" not in (tmp_path / "out/report.md").read_text()


def test_an_interrupted_report_goes_on_where_it_stopped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, out = save_maps(FUNCTION.maps.only([0]), tmp_path / "maps.npz"), tmp_path / "out"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recorded_report_work, "write", interrupted)
        assert report(maps, "none", out) == INTERRUPTED
    assert "what was finished is kept" not in capsys.readouterr().out
    assert [path.name for path in out.iterdir()] == ["runs.sqlite"]
    before = [row.created for row in RunStore(out / "runs.sqlite").rows()]
    assert report(maps, "none", out) == 0
    assert [row.created for row in RunStore(out / "runs.sqlite").rows()] == before


def one_parameter() -> ScoreMaps:
    space = SemanticSpace.of("azimuth")
    return ScoreMaps(space, (AZIMUTHS,), np.zeros((1, 12), dtype=np.float32), ("a/b/0",))


@pytest.mark.parametrize(
    ("maps", "traces", "extra", "message"),
    [
        ("nowhere.npz", "none", [], "no file of maps at"),
        ("one.npz", "none", [], "is over azimuth, not azimuth, elevation"),
        ("traces.npz", "none", [], "not a file of 'semrob maps'"),
        ("maps.npz", "damaged.npz", [], "not a file of 'semrob traces', or damaged"),
        ("maps.npz", "maps.npz", [], "not a file of 'semrob traces'"),
        ("maps.npz", "nowhere.npz", [], "no such file"),
        ("maps.npz", "none", ["--goal", "mean=2"], "mean 2 must be in [0, 1]"),
        ("maps.npz", "none", ["--goal", "mean=0.5,variance=nan"], "cannot read 'variance=nan'"),
        ("maps.npz", "none", ["--levels", "0.5,0.4"], "each larger than the one before"),
        ("maps.npz", "none", ["--levels", "0,0.5"], "level 0: every region meets that"),
        ("maps.npz", "none", ["--queries", "0"], "a whole number of at least 1"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_and_nothing_written(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    maps: str,
    traces: str,
    extra: list[str],
    message: str,
) -> None:
    save_maps(one_parameter(), tmp_path / "one.npz")
    for name in ("maps.npz", "traces.npz"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "damaged.npz").write_bytes((folder / "traces.npz").read_bytes()[:-1000])
    capsys.readouterr()
    given = traces if traces == "none" else tmp_path / traces
    assert report(tmp_path / maps, given, tmp_path / "out", *extra) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
