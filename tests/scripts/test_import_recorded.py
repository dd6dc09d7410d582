"""The import script: files, summary, exit codes, and nothing half-written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from baselines.commands.import_recorded import main
from baselines.commands.program import run_command
from baselines.commands.work import import_recorded as import_recorded_work
from semrob_env.recorded import load_maps
from semrob_env.recorded.release import read_release
from semrob_env.recorded.traces import load_traces
from tests.release_writer import legacy_file, map_value, write_object


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A release of two objects, one map of them broken."""
    root = tmp_path / "release"
    write_object(root, number=0)
    write_object(root, "VGG", 5, 3)
    (write_object(root, number=1) / "map.pt").write_bytes(legacy_file(map_value(number=1))[:9000])
    return root


def test_the_release_becomes_two_files_a_list_of_problems_and_a_summary(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run_command(main, [str(folder), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["maps.npz", "problems.txt", "traces.npz"]
    assert load_maps(out / "maps.npz").names == ("VGG/cup/3", "ResNet50/chair/0")
    assert len(load_traces(out / "traces.npz")) == 36
    text = capsys.readouterr().out
    assert "maps: 2 (VGG 1, ResNet50 1), 8160 scores" in text
    assert "mean absolute error 0.0" in text
    assert "runs: 36 final regions (naive 12, oir_b 12, oir_w 12); traces: 36 here, 0 runs have none" in text
    assert "diverged: 0 final regions are no numbers, 0 reach out" in text
    assert "problems: 1 damaged or refused, 37 missing (networks 2, classes 18, objects 17)" in text
    shown = [line for line in text.splitlines() if line.startswith("  ")]
    assert "ResNet50/4/1/map.pt: byte" in shown[0], "what is damaged comes before what is missing"
    assert len(shown) == 11
    assert shown[-1].startswith("  and 28 more in ")
    lines = (out / "problems.txt").read_text(encoding="utf-8").splitlines()
    assert lines == [str(problem) for problem in read_release(folder).problems]
    assert f"maps.npz: {(out / 'maps.npz').stat().st_size / 1e6:.2f} MB" in text


def test_the_same_release_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        main([str(folder), "--out", str(out)])
    for name in ("maps.npz", "traces.npz", "problems.txt"):
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()


def test_without_traces_only_maps_are_read(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(folder), "--out", str(tmp_path / "out"), "--no-traces"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["maps.npz", "problems.txt"]
    text = capsys.readouterr().out
    assert "runs:" not in text
    assert "earlier import" not in text
    (tmp_path / "out/traces.npz").write_bytes(b"kept")
    main([str(folder), "--out", str(tmp_path / "out"), "--no-traces"])
    assert "traces.npz of an earlier import as it was" in capsys.readouterr().out
    assert (tmp_path / "out/traces.npz").read_bytes() == b"kept"


def test_traces_alone_are_kept(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in folder.rglob("map.pt"):
        path.unlink()
    main([str(folder), "--out", str(tmp_path / "out")])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["problems.txt", "traces.npz"]
    assert "maps: none" in capsys.readouterr().out


def test_a_folder_without_a_release_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty/checkpoint").mkdir(parents=True)
    for given in ("nowhere", "empty"):
        assert run_command(main, [str(tmp_path / given), "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: no ")
        assert error.count("\n") == 1
    assert not list((tmp_path / "out").iterdir())


def test_an_interrupt_leaves_nothing_half_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_recorded_work, "save_traces", interrupted)
    assert run_command(main, [str(folder), "--out", str(tmp_path / "out")]) == 130
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["maps.npz"], "whole, and nothing else"
    assert len(load_maps(tmp_path / "out/maps.npz")) == 2
    assert "nothing half-written" in capsys.readouterr().err


def test_the_real_maps_are_imported(recorded_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(recorded_folder), "--out", str(tmp_path), "--no-traces"])
    maps = load_maps(tmp_path / "maps.npz")
    assert len(maps) >= 0.99 * len(list(recorded_folder.rglob("map.pt")))
    assert np.isfinite(maps.scores).all()
    assert (tmp_path / "maps.npz").stat().st_size < 10e6 / 400 * len(maps)
    assert f"maps: {len(maps)} (" in capsys.readouterr().out
