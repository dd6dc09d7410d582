"""The benchmark of replays: both sides end with the same regions, and its tables have what they should."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from baselines.commands import benchmark_recorded
from baselines.commands.program import BAD_INPUT, run_command
from baselines.commands.work import benchmark_recorded as benchmark_recorded_work
from semrob_env.parameters import SemanticSpace
from semrob_env.recorded import RecordedMaps, ScoreMaps, save_maps
from tests.recorded_maker import AZIMUTHS, ELEVATIONS, NAMES, SPACE, STARTS, wavy_maps

STEPS = 150


def benchmark(maps: Path, out: Path, *extra: str) -> int:
    sizes = ["--shapes", "2", "--repeats", "1", "--reference-runs", "2"]
    return run_command(benchmark_recorded.main, ["--maps", str(maps), "--out", str(out), *sizes, *extra])


def test_replays_and_the_plain_loop_end_with_the_same_regions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark_recorded_work, "STEPS", STEPS)
    maps = save_maps(wavy_maps(), tmp_path / "maps.npz")
    assert benchmark(maps, tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["queries.csv", "replays.csv"]
    lines = list(csv.DictReader((tmp_path / "out/replays.csv").read_text().splitlines()))
    assert [line["method"] for line in lines] == ["naive", "oir_b"]
    for line, corners in zip(lines, (4, 8), strict=True):
        assert line["runs"] == str(2 * 2 * 4)
        assert line["queries"] == str(2 * 2 * 4 * STEPS * corners)
        assert float(line["largest_difference"]) < 1e-6
        parts = {name: float(line[name]) for name in ("ratio", "plain_for_all_s", "batch_s", "plain_us_a_query")}
        assert all(part > 0 for part in parts.values())
        assert parts["ratio"] == pytest.approx(parts["plain_for_all_s"] / parts["batch_s"])
        assert parts["plain_for_all_s"] == pytest.approx(1e-6 * parts["plain_us_a_query"] * int(line["queries"]))
    ways = list(csv.DictReader((tmp_path / "out/queries.csv").read_text().splitlines()))
    assert len(ways) == 3
    assert all(float(way["queries_a_second"]) > 0 for way in ways)
    assert "largest_difference" in capsys.readouterr().out


@pytest.mark.parametrize("method", list(benchmark_recorded_work.DIRECTIONS))
def test_the_plain_loop_agrees_with_the_batch_on_every_run(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_recorded_work, "STEPS", STEPS)
    plan = benchmark_recorded_work.Replays.of(RecordedMaps(wavy_maps(NAMES[:3])), 3)
    result = plan.run(method)
    assert (result.regions.share() > 1e-3).sum() >= 4, "some have grown"
    line = benchmark_recorded_work.replay_line(plan, method, 1, 12, lambda: None)
    assert line["runs"] == 12
    assert 0 <= float(str(line["largest_difference"])) < 1e-6


def test_maps_are_taken_again_where_a_network_has_fewer_shapes() -> None:
    plan = benchmark_recorded_work.Replays.of(RecordedMaps(wavy_maps(["A/cup/0", "B/cup/0", "B/cup/1"])), 3)
    assert plan.member[::4].tolist() == [0, 0, 0, 1, 2, 1]
    assert plan.member.shape == (24,)
    np.testing.assert_array_equal(plan.start, np.tile(STARTS, (6, 1)))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--methods", "oir_w"], "no plain loop for 'oir_w'; there is one for naive, oir_b"),
        (["--methods", "naive,magic"], "no plain loop for 'magic'"),
        (["--shapes", "0"], "--shapes 0: give a whole number of at least 1"),
        (["--reference-runs", "-1"], "--reference-runs -1"),
        (["--repeats", "0"], "--repeats 0"),
        (["--maps", "nowhere.npz"], "no file of maps at nowhere.npz"),
        (["--maps", "turned.npz"], "is over elevation, azimuth, not azimuth, elevation"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_exit_code_2_and_nothing_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    extra: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    maps = save_maps(wavy_maps(NAMES[:1]), tmp_path / "maps.npz")
    turned = SemanticSpace(SPACE.parameters[::-1])
    save_maps(
        ScoreMaps(turned, (ELEVATIONS, AZIMUTHS), np.zeros((1, 6, 12), dtype=np.float32), ("a/b/0",)),
        tmp_path / "turned.npz",
    )
    assert benchmark(maps, tmp_path / "out", *extra) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
