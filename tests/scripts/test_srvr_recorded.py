"""SRVR tables from a file of maps: which maps are taken, that nothing depends on batches, and what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from baselines.commands import srvr_table
from baselines.commands.program import BAD_INPUT, run_command
from baselines.commands.shared import options
from baselines.commands.work import srvr_table as srvr_table_work
from optimizers.corner_method import settings_of_form
from optimizers.registry import get_optimizer
from optimizers.run import run
from semrob_env.functions import Complement, ScoreFunction
from semrob_env.ground_truth import truth
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Questions
from semrob_env.recorded import RecordedMaps, ScoreMaps, save_maps
from semrob_env.regions import Regions
from semrob_env.store import RunRow, RunStore
from semrob_env.tables import Subject
from tests.recorded_maker import AZIMUTHS, ELEVATIONS, NAMES, SPACE, STARTS, wavy_maps

FUNCTION = RecordedMaps(wavy_maps())
METHODS = ("naive", "oir_b", "oir_w")


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    return save_maps(FUNCTION.maps, tmp_path / "maps.npz")


def table(maps: Path, out: Path, *extra: str) -> int:
    return run_command(
        srvr_table.main,
        ["--functions", "recorded", "--maps", str(maps), "--judge-points", "8", "--out", str(out), *extra],
    )


def rows_of(out: Path) -> list[RunRow]:
    return RunStore(out / "runs.sqlite").rows()


def by_method(rows: list[RunRow], names: tuple[str, ...] = NAMES) -> dict[str, list[RunRow]]:
    """The rows of each method, map by map and start by start."""
    places = {(name, tuple(start)): index for index, (name, start) in enumerate((n, s) for n in names for s in STARTS)}
    ordered: dict[str, list[RunRow]] = {}
    for row in rows:
        ordered.setdefault(row.task.method, []).append(row)
    for own in ordered.values():
        own.sort(
            key=lambda row: places[
                "/".join(vars(Subject.of(row.task.question.function_id)).values()), row.task.question.start
            ]
        )
    return ordered


def direct(function: ScoreFunction, method: str, budget: float | None, steps: int | None, form: str) -> Regions:
    members = np.repeat(np.arange(function.members), len(STARTS))
    chosen = get_optimizer(method)
    questions = Questions(SPACE, np.tile(STARTS, (function.members, 1)), member=members, budget=budget)
    optimizer = chosen(questions, settings=settings_of_form(chosen, form))
    oracle = QueryOracle(function, trajectories=len(members), budget=budget)
    return run(optimizer, oracle, max_steps=steps).regions


def require_same(rows: list[RunRow], function: ScoreFunction, regions: Regions, epsilon_m: float = 0.5) -> None:
    """Rows hold the bits of these regions, their shares, and what is exactly feasible."""
    members = np.repeat(np.arange(function.members), len(STARTS))
    mean, variance = truth(function, regions, members).moments()
    assert [row.lower for row in rows] == [tuple(bound) for bound in regions.lower.tolist()]
    assert [row.upper for row in rows] == [tuple(bound) for bound in regions.upper.tolist()]
    assert [row.share for row in rows] == regions.share().tolist()
    assert [row.mean for row in rows] == mean.tolist()
    assert [row.variance for row in rows] == variance.tolist()
    assert [row.feasible for row in rows] == (mean >= 1 - epsilon_m).tolist()


def test_the_numbers_are_those_of_plain_runs_and_feasible_is_decided_exactly(maps: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert table(maps, out) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "accuracy.png",
        "runs.csv",
        "runs.sqlite",
        "srvr.csv",
        "srvr.md",
        "srvr.png",
    ]
    rows = by_method(rows_of(out))
    lines = list(csv.DictReader((out / "srvr.csv").read_text().splitlines()))
    assert len(lines) == 2 * (3 * 3 + 1)
    for method in METHODS:
        regions = direct(FUNCTION, method, 100, None, "normalized")
        require_same(rows[method], FUNCTION, regions)
        assert 0 < sum(bool(row.feasible) for row in rows[method]) < 32
        line = next(
            line
            for line in lines
            if (line["network"], line["class_name"], line["method"]) == ("Inceptionv3", "chair", method)
        )
        assert float(line["estimate"]) == pytest.approx(regions.share()[24:].mean(), rel=1e-12)
        assert (line["runs"], line["shapes"]) == ("8", "2")


def test_points_do_not_decide_what_is_feasible(tmp_path: Path) -> None:
    # Scores swing around 0.49 from line to line: few points may all lie above 0.5 where the mean does not.
    plain = wavy_maps(NAMES[:4])
    swing = np.where(np.arange(24) % 2, 0.59, 0.39).astype(np.float32)[:, None]
    scores = ScoreMaps(SPACE, plain.axes, np.broadcast_to(swing, (4, 24, 11)), plain.names)
    maps = save_maps(scores, tmp_path / "maps.npz")
    assert table(maps, tmp_path / "out", "--methods", "naive", "--judge-points", "2") == 0
    rows = by_method(rows_of(tmp_path / "out"), NAMES[:4])["naive"]
    require_same(rows, RecordedMaps(scores), direct(RecordedMaps(scores), "naive", 100, None, "normalized"))
    assert any(row.purity == 1 and not row.feasible for row in rows)


def test_the_paper_protocol_is_600_plain_steps(
    maps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert options.PAPER_STEPS == 600
    monkeypatch.setattr(options, "PAPER_STEPS", 130)
    out = tmp_path / "out"
    assert table(maps, out, "--protocol", "paper", "--goal", "mean=0.8") == 0
    assert "estimated time" in capsys.readouterr().out
    rows = by_method(rows_of(out))
    for method in METHODS:
        assert {(row.status, row.steps) for row in rows[method]} == {("steps", 130)}
        require_same(rows[method], FUNCTION, direct(FUNCTION, method, None, 130, "paper"), 0.2)


def test_adversarial_regions_are_those_of_the_complement(maps: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert table(maps, out, "--adversarial", "--starts", "paper", "--methods", "oir_w") == 0
    rows, function = rows_of(out), Complement(FUNCTION)
    assert {row.task.question.function_id for row in rows} == {f"complement(recorded:{name})" for name in NAMES}
    require_same(by_method(rows)["oir_w"], function, direct(function, "oir_w", 100, None, "normalized"))
    assert "Feasible: mean score at most 0.5" in (out / "srvr.md").read_text()


def test_the_result_does_not_depend_on_the_size_of_batches(
    maps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = []
    for size in (4096, 5):
        monkeypatch.setattr(srvr_table_work, "BATCH", size)
        out = tmp_path / str(size)
        assert table(maps, out, "--networks", "ResNet50", "--methods", "oir_b,oir_w") == 0
        texts.append((out / "srvr.csv").read_text())
        texts.append((out / "srvr.md").read_text())
    assert texts[:2] == texts[2:]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ([], NAMES),
        (["--networks", "Inceptionv3"], NAMES[4:]),
        (
            ["--classes", "chair"],
            ("ResNet50/chair/0", "ResNet50/chair/1", "Inceptionv3/chair/0", "Inceptionv3/chair/1"),
        ),
        (["--shapes", "1"], NAMES[1::2]),
        (["--shapes", "0-1", "--networks", "Inceptionv3,ResNet50", "--classes", "cup"], (*NAMES[:2], *NAMES[4:6])),
        (["--networks", "ResNet50", "--classes", "cup", "--shapes", "1"], NAMES[1:2]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_networks_classes_and_shapes_choose_maps(maps: Path, extra: list[str], expected: tuple[str, ...]) -> None:
    arguments = ["--functions", "recorded", "--maps", str(maps), *extra]
    read = srvr_table.main.read(arguments)
    assert read is not None
    plan = srvr_table_work.SrvrPlan.of(read)
    ids = list(dict.fromkeys(task.question.function_id for task in plan.tasks))
    assert ids == [f"recorded:{name}" for name in expected]
    assert len(plan.tasks) == len(expected) * 3 * 4
    assert plan.functions.member(ids[0])[0].member_ids == tuple(ids)


def test_a_network_of_a_family_is_chosen_by_its_whole_name(tmp_path: Path) -> None:
    maps = save_maps(wavy_maps(["timm/r50/cup/0", "timm/other/cup/0", *NAMES]), tmp_path / "maps.npz")
    out = tmp_path / "out"
    assert table(maps, out, "--networks", "timm/r50,ResNet50", "--classes", "cup", "--methods", "naive") == 0
    assert {row.task.question.function_id for row in rows_of(out)} == {
        f"recorded:{name}" for name in ("timm/r50/cup/0", "ResNet50/cup/0", "ResNet50/cup/1")
    }
    assert "| timm/r50 " in (out / "srvr.md").read_text()


def test_a_second_run_only_reads_and_a_dry_run_writes_nothing(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, extra = tmp_path / "out", ("--classes", "cup", "--shapes", "0", "--methods", "naive")
    assert table(maps, out, *extra, "--dry-run") == 0
    assert "8 runs (normalized form, at most 100 queries each)" in capsys.readouterr().out
    assert not out.exists()
    assert table(maps, out, *extra) == 0
    created = [(row.key, row.created) for row in rows_of(out)]
    assert len(created) == 8
    assert table(maps, out, *extra) == 0
    assert [(row.key, row.created) for row in rows_of(out)] == created


def test_budgets_pay_certificates_and_all_regions_can_be_certified_together(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certify = ["--certify", "budget", "--certificate-points", "40", "--together"]
    assert table(maps, tmp_path / "out", "--methods", "naive", *certify) == 0
    rows = rows_of(tmp_path / "out")
    regions = direct(FUNCTION, "naive", 60, None, "normalized")
    require_same(by_method(rows)["naive"], FUNCTION, regions)
    assert {(row.forward_queries <= 100, row.forward_queries > 60, row.certificate_queries) for row in rows} == {
        (True, True, 40)
    }
    assert {row.task.confidence for row in rows} == {1 - 0.05 / len(rows)}
    assert 0 < sum(row.certified for row in rows) < sum(row.feasible for row in rows)
    line = list(csv.DictReader((tmp_path / "out/srvr.csv").read_text().splitlines()))[-1]
    assert float(line["certified_estimate"]) < float(line["feasible_estimate"])
    assert (
        "certified: meets the goal with 95 % confidence for all 32 regions together, by 40" in capsys.readouterr().out
    )


def test_networks_without_a_common_shape_give_a_table_without_a_difference(tmp_path: Path) -> None:
    maps = save_maps(wavy_maps(["ResNet50/cup/0", "Inceptionv3/chair/1"]), tmp_path / "maps.npz")
    assert table(maps, tmp_path / "out", "--methods", "naive") == 0
    text = (tmp_path / "out/srvr.md").read_text()
    assert "minus that of" not in text
    assert "no intervals: one shape tells nothing of others" in text


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--networks", "VGG"], "--networks VGG: not in"),
        (["--networks", "ResNet50,VGG"], "--networks VGG: not in"),
        (["--classes", "dragon"], "which has cup, chair"),
        (["--shapes", "0-2"], "--shapes 2: not in"),
        (["--shapes", "one"], "cannot read 'one'"),
        (["--unnormalized"], "--unnormalized is for scenes; recorded maps are as they were recorded"),
        (["--methods", "magic"], "unknown method 'magic'"),
        (["--maps", "nowhere.npz"], "no file of maps at nowhere.npz"),
        (["--budget", "0"], "--budget 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_misspelt_is_one_line_and_exit_code_2_and_nothing_written(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert table(maps, tmp_path / "out", *extra) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_maps_of_another_space_and_choices_that_exclude_each_other_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = SemanticSpace.of("elevation,azimuth")
    turned = ScoreMaps(space, (ELEVATIONS, AZIMUTHS), np.zeros((1, 6, 12), dtype=np.float32), ("a/b/0",))
    assert table(save_maps(turned, tmp_path / "turned.npz"), tmp_path / "out") == BAD_INPUT
    assert "is over elevation, azimuth, not azimuth, elevation" in capsys.readouterr().err
    apart = save_maps(wavy_maps(["ResNet50/cup/0", "Inceptionv3/chair/1"]), tmp_path / "apart.npz")
    assert table(apart, tmp_path / "out", "--networks", "ResNet50", "--classes", "chair") == BAD_INPUT
    assert "is of all the --networks, --classes and --shapes given" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
