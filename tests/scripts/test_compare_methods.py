"""The comparison script: what it writes, that it repeats a frozen protocol, and what it refuses."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from baselines.commands import compare_methods
from baselines.commands.program import BAD_INPUT, INTERRUPTED, run_command
from baselines.experiments.protocols import Entry, load_protocol, published_protocols
from baselines.experiments.tables import FLOOR
from optimizers.registry import OPTIMIZERS
from semrob_env.recorded import save_maps
from semrob_env.store import RunStore
from tests.baselines.experiments_maker import Planner, registered
from tests.recorded_maker import wavy_maps

PLUGIN = '''
import numpy as np
from optimizers.base import RegionOptimizer, Settings
from optimizers.registry import register

@register
class Lazy(RegionOptimizer[Settings]):
    """Asks theta0, and recommends a speck around it."""
    name, title, settings_class = "lazy", "Lazy", Settings
    def _start(self):
        space = self.space
        lower = (self.start - 0.01 * space.width).clip(space.low)
        return {"lower": lower, "upper": (self.start + 0.01 * space.width).clip(max=space.high)}
    def _ask(self, state):
        return self.start[:, None, :]
    def _tell(self, state, answers):
        return dict(state)
'''

WRITTEN = {
    "answers.sqlite",
    "comparison.csv",
    "comparison.md",
    "curves.csv",
    "medians.png",
    "profiles.png",
    "protocol.json",
    "runs.csv",
    "runs.sqlite",
}


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    return save_maps(wavy_maps(), tmp_path / "maps.npz")


def compare(maps: Path, out: Path, *extra: str) -> int:
    fixed = ["--maps", str(maps), "--out", str(out), "--workers", "1"]
    return run_command(compare_methods.main, [*fixed, *extra])


def new(maps: Path, out: Path, *extra: str) -> int:
    goals = [] if "--goal" in extra else ["--goal", "mean=0.5", "--goal", "mean=0.7"]
    budgets = ["--suite", "recorded", "--budgets", "20,60", "--judge-points", "16"]
    return compare(maps, out, *budgets, *goals, *extra)


def lines(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_comparison_is_written_whole_and_its_protocol_gives_the_same_again(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    assert new(maps, out, "--methods", "naive,oir_b,solution_box:points=3", "--seeds", "0,1") == 0
    assert {path.name for path in out.iterdir()} == WRITTEN
    told = capsys.readouterr().out
    assert "## mean score at least 0.7: " in told
    assert "solution_box:points=3" in told
    assert compare(maps, again, "--protocol", str(out / "protocol.json")) == 0
    for name in ("comparison.csv", "runs.csv", "comparison.md", "protocol.json"):
        assert (again / name).read_text() == (out / name).read_text()
    digest = lines(out / "comparison.csv")[0]["protocol"]
    assert {line["protocol"] for line in lines(out / "runs.csv")} == {digest}
    assert digest in (out / "comparison.md").read_text()
    for name in ("medians.png", "profiles.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    packed = tmp_path / "rows.csv.gz"
    packed.write_bytes(gzip.compress((out / "runs.csv").read_bytes()))
    for rows in (out / "runs.csv", packed):  # neither maps nor runs are needed
        nowhere = tmp_path / "nowhere"
        assert compare(nowhere, nowhere, "--protocol", str(out / "protocol.json"), "--rows", str(rows)) == 0
        assert (out / "comparison.md").read_text().startswith(capsys.readouterr().out.strip())
        assert not nowhere.exists()


def test_rows_of_another_comparison_or_of_none_are_refused(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert new(maps, out, "--methods", "naive") == 0
    protocol, rows = ["--protocol", str(out / "protocol.json")], (out / "runs.csv").read_text()
    bad: dict[str, str | bytes] = {
        "another comparison": rows.replace(lines(out / "runs.csv")[0]["protocol"], 64 * "0"),
        "no runs.csv": rows.replace("held_80", "kept_80"),
        "of 12 questions; the comparison has": "\n".join(rows.splitlines()[:13]),
        "cut off": gzip.compress(rows.encode())[:-9],
        "or holds more than": gzip.compress(rows.encode() + bytes(2**25)),  # what unpacks to gigabytes ends as early
        "has more than the 240 rows": rows + "\n".join(rows.splitlines()[1:] * 2),
        "has no rows": rows.splitlines()[0],
        "is not there, or there twice": "\n".join(rows.splitlines()[:-1]),
        "there twice": "\n".join([*rows.splitlines()[:-1], rows.splitlines()[-2]]),
        "no text of UTF-8": b"\xff",
    }
    for told, text in bad.items():
        other = tmp_path / "other.csv"
        other.write_bytes(text if isinstance(text, bytes) else text.encode())
        capsys.readouterr()
        assert compare(maps, out, *protocol, "--rows", str(other)) == BAD_INPUT
        assert told in capsys.readouterr().err
    assert compare(maps, out, "--rows", str(out / "runs.csv")) == BAD_INPUT
    assert "--rows needs --protocol" in capsys.readouterr().err


def test_a_second_run_only_reads(maps: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert new(maps, out, "--methods", "naive") == 0
    created = [(row.key, row.created) for row in RunStore(out / "runs.sqlite").rows()]
    text = (out / "comparison.csv").read_text()
    assert new(maps, out, "--methods", "naive") == 0
    assert [(row.key, row.created) for row in RunStore(out / "runs.sqlite").rows()] == created
    assert (out / "comparison.csv").read_text() == text


def test_an_interrupt_is_told_and_the_same_command_goes_on(
    maps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    monkeypatch.setattr("baselines.experiments.compare.judge_runs", interrupt)
    assert new(maps, out, "--methods", "naive") == INTERRUPTED
    assert "interrupted" in capsys.readouterr().err
    created = [row.created for row in RunStore(out / "runs.sqlite").rows()]
    monkeypatch.undo()
    assert new(maps, out, "--methods", "naive") == 0
    assert [row.created for row in RunStore(out / "runs.sqlite").rows()] == created


def test_a_dry_run_tells_the_cost_and_writes_nothing(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert new(maps, out, "--methods", "naive,oir_b", "--dry-run") == 0
    told = capsys.readouterr().out
    assert f"{2 + len(FLOOR)} methods, budgets 20, 60" in told
    assert "estimated time" in told
    assert not out.exists()


def test_a_protocol_is_written_without_a_run_and_then_repeated(maps: Path, tmp_path: Path) -> None:
    frozen, out = tmp_path / "frozen.json", tmp_path / "out"
    assert new(maps, out, "--methods", "naive,naive:corners=2", "--freeze", str(frozen)) == 0
    assert not out.exists()
    assert compare(maps, out, "--protocol", str(frozen)) == 0
    assert (out / "protocol.json").read_text() == frozen.read_text()
    again = tmp_path / "again.json"
    assert compare(maps, out, "--protocol", str(frozen), "--freeze", str(again)) == 0
    assert again.read_text() == frozen.read_text()


def test_a_published_comparison_is_refused_on_other_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = save_maps(wavy_maps(["ResNet50/cup/2", "ResNet50/cup/3"]), tmp_path / "others.npz")
    assert compare(others, tmp_path / "out", "--protocol", "recorded", "--dry-run") == BAD_INPUT
    error = capsys.readouterr().err
    assert "frozen on" in error
    assert "--freeze FILE makes a new one" in error


@pytest.mark.parametrize("name", published_protocols())
def test_a_published_comparison_is_of_the_methods_of_today(name: str) -> None:
    protocol = load_protocol(name)
    assert tuple(Entry.of(entry.label, protocol.measure) for entry in protocol.entries) == protocol.entries


@pytest.mark.slow
@pytest.mark.parametrize("name", ["synthetic", "live"])
def test_a_published_comparison_is_of_the_functions_of_today(name: str) -> None:
    assert load_protocol(name).make_suite("").questions


def test_a_grid_is_told_per_start_point_and_amortized(maps: Path, tmp_path: Path) -> None:
    assert new(maps, tmp_path / "out", "--methods", "naive,grid") == 0
    text = (tmp_path / "out/comparison.md").read_text()
    assert "Amortized over the start points of a function:" in text
    assert "The figures per start point decide" in text
    rows = [line for line in lines(tmp_path / "out/comparison.csv") if line["label"] == "grid"]
    assert all(float(row["amortized_queries"]) < float(row["queries"]) for row in rows)


def test_every_goal_has_its_table(maps: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    goals = [part for mean in (0.5, 0.7) for part in ("--goal", f"mean={mean},variance=0.05")]
    assert new(maps, out, "--methods", "naive", *goals) == 0
    assert json.loads((out / "protocol.json").read_text())["goals"] == [
        "mean=0.5,variance=0.05",
        "mean=0.7,variance=0.05",
    ]
    assert {line["goal"] for line in lines(out / "runs.csv")} == {"mean=0.5,variance=0.05", "mean=0.7,variance=0.05"}
    assert "variance at most 0.05" in (out / "comparison.md").read_text()


def test_a_module_of_ones_own_takes_part_by_import(maps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lazy_module.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    out = tmp_path / "out"
    try:
        assert new(maps, out, "--methods", "naive,lazy", "--import", "lazy_module") == 0
    finally:
        OPTIMIZERS.pop("lazy", None)
    own = [line for line in lines(out / "runs.csv") if line["label"] == "lazy"]
    assert [float(line["share"]) for line in own] == pytest.approx([0.0004] * len(own))
    assert own
    assert all(float(line["quality"]) < 0.1 for line in own)


def test_a_registered_method_takes_part_from_python(maps: Path, tmp_path: Path) -> None:
    with registered(Planner):
        assert new(maps, tmp_path / "out", "--methods", "naive,planner:rate=0.2") == 0
    labels = {line["label"] for line in lines(tmp_path / "out/comparison.csv")}
    assert labels == {"naive", "planner:rate=0.2", *FLOOR}
    assert "@" in (tmp_path / "out/comparison.md").read_text().split("planner:rate=0.2")[1].splitlines()[0]


def test_synthetic_functions_of_several_sizes_have_a_table_by_size(maps: Path, tmp_path: Path) -> None:
    extra = ["--suite", "synthetic", "--families", "plateau", "--parameters", "1,3", "--instances", "0", "--methods"]
    out = tmp_path / "out"
    assert compare(maps, out, *extra, "naive", "--goal", "mean=0.5", "--budgets", "100", "--targets", "0.2,0.8") == 0
    assert "ERT 80 %, n=3" in (out / "comparison.md").read_text()
    by_size = {line["n"]: line for line in lines(out / "comparison.csv")}
    assert set(by_size) == {"all", "1", "3"}
    assert int(by_size["all"]["runs"]) == int(by_size["1"]["runs"]) + int(by_size["3"]["runs"]) == 2


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([], "give --suite NAME"),
        (["--suite", "recorded", "--protocol", "x.json"], "give --suite NAME"),
        (["--protocol", "nowhere.json"], "cannot read protocol nowhere.json"),
        (["--suite", "recorded", "--methods", "magic"], "unknown method 'magic'"),
        (["--suite", "recorded", "--families", "hill"], "suite recorded has no option 'families'"),
        (["--suite", "recorded", "--networks", "VGG"], "no map of 'VGG'"),
        (["--suite", "recorded", "--budgets", "0"], "--budgets 0"),
        (["--suite", "recorded", "--goal", "high"], "cannot read 'high' of goal"),
        (["--suite", "recorded", "--goal", "mean=1.5"], "mean 1.5 must be in [0, 1]"),
        (["--suite", "recorded", "--judge-points", "5"], "5 judge points"),
        (["--suite", "recorded", "--import", "no_such_module"], "--import no_such_module"),
        (["--suite", "recorded", "--workers", "-1"], "-1 workers"),
    ],
    ids=" ".join,
)
def test_what_is_misspelt_is_one_line_and_exit_code_2(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert compare(maps, tmp_path / "out", *extra) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out/runs.sqlite").exists()


def test_methods_of_points_are_refused(maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = next(name for name, method in OPTIMIZERS.items() if method.recommends == "points")
    assert new(maps, tmp_path / "out", "--methods", points) == BAD_INPUT
    assert "a comparison is one of regions" in capsys.readouterr().err


def test_results_of_two_protocols_do_not_share_a_folder(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(maps, tmp_path / "out", "--methods", "naive") == 0
    assert new(maps, tmp_path / "out", "--methods", "oir_b") == BAD_INPUT
    assert "is of another comparison; give an --out of its own" in capsys.readouterr().err


def test_other_maps_than_those_of_the_protocol_are_refused(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(maps, tmp_path / "out", "--methods", "naive") == 0
    fewer = save_maps(wavy_maps(["ResNet50/cup/0"]), tmp_path / "fewer.npz")
    assert compare(fewer, tmp_path / "again", "--protocol", str(tmp_path / "out/protocol.json")) == BAD_INPUT
    assert "the protocol was frozen on" in capsys.readouterr().err


def test_searches_for_failures_are_compared_and_go_on_where_they_were(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = ["--suite", "synthetic", "--families", "hill,plateau", "--parameters", "2", "--instances", "0-1"]
    methods = ["--methods", "random_attack:radius=0.3,grid_attack:radius=0.3,pgd+differences:radius=0.3"]
    asked = [*suite, "--measure", "failures", "--goal", "mean=0.5", "--budgets", "20", "--seeds", "0-1", *methods]
    assert compare(maps, tmp_path / "out", *asked) == 0
    told = capsys.readouterr().out
    assert "a view fails below 0.5" in told
    assert "Less random_attack:" in told
    runs = lines(tmp_path / "out/runs.csv")
    assert len(runs) == 4 * (2 + 1 + 2)
    for run in runs:
        assert float(run["queries"]) <= 20
        assert (int(run["failures"]) > 0) == (float(run["first"]) <= 20)
        assert int(run["distinct"]) <= int(run["failures"])
    found = [int(run["failures"]) > 0 for run in runs if run["label"].startswith("random")]
    (random,) = (line for line in lines(tmp_path / "out/comparison.csv") if line["label"].startswith("random"))
    assert float(random["success"]) == sum(found) / len(found)
    again = compare(maps, tmp_path / "again", "--protocol", str(tmp_path / "out/protocol.json"))
    assert again == 0
    assert (tmp_path / "again/runs.csv").read_text() == (tmp_path / "out/runs.csv").read_text()


def test_failures_are_compared_for_one_goal_and_by_methods_of_points(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = ["--suite", "synthetic", "--families", "hill", "--parameters", "1", "--measure", "failures"]
    goals = ["--goal", "mean=0.5", "--goal", "mean=0.4"]
    assert compare(maps, tmp_path, *suite, "--methods", "random_attack", *goals) == BAD_INPUT
    assert "failures are compared for one" in capsys.readouterr().err
    assert compare(maps, tmp_path, *suite, "--methods", "naive", "--goal", "mean=0.5") == BAD_INPUT
    assert "a comparison is one of points" in capsys.readouterr().err


def test_regions_of_a_distribution_are_told_whether_or_not_they_keep_their_start(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = ["--suite", "synthetic", "--families", "plateau", "--parameters", "2", "--instances", "0-1"]
    methods = ["--methods", "naive,failure_distribution", "--goal", "mean=0.5", "--budgets", "60"]
    assert compare(maps, tmp_path, *suite, *methods) == 0
    told = capsys.readouterr().out
    assert "Regions as they are" in told
    assert compare(maps, tmp_path / "other", *suite, "--methods", "naive", "--goal", "mean=0.5") == 0
    assert "Regions as they are" not in capsys.readouterr().out
