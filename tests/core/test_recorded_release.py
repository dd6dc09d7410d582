"""The release, whole or broken: what is right is kept, what is not is told in one line each."""

from __future__ import annotations

import csv
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from semrob_env.errors import MissingFileError, RefusedFileError
from semrob_env.recorded import RecordedMaps, ScoreMaps, load_maps, save_maps
from semrob_env.recorded.release import AZIMUTHS, ELEVATIONS, Release, read_release
from semrob_env.recorded.traces import METHODS, SPACE, ReleaseTraces
from tests.release_writer import legacy_file, map_value, write_object


def wrong(release: Release) -> list[str]:
    """What is there but cannot be used."""
    return [str(problem) for problem in release.problems if not problem.is_missing]


def missing(release: Release) -> list[str]:
    return [problem.path for problem in release.problems if problem.is_missing]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A release of two objects of one network."""
    write_object(tmp_path, number=0)
    write_object(tmp_path, number=1)
    return tmp_path


def test_maps_lie_with_azimuth_first_under_the_names_of_their_classes(folder: Path) -> None:
    maps = read_release(folder).maps
    assert maps is not None
    assert maps.names == ("ResNet50/chair/0", "ResNet50/chair/1")
    assert maps.scores.shape == (2, 120, 34)
    for number in (0, 1):
        z = map_value(number=number)["z"]
        np.testing.assert_array_equal(maps.scores[number], z.T)
        value = RecordedMaps(maps.only([number])).values([[[21.0, 5.0]]])
        assert value == z[5, 7]
    assert maps.facts[1]["shape_id"] == "shape41"
    assert maps.facts[1]["feed"] == "unnormalized"
    assert maps.facts[1]["class_number"] == "4"
    assert maps.facts[1]["source"] == "checkpoint/ResNet50/4/1/map.pt"


@pytest.mark.parametrize("inner", ["", "checkpoint"])
def test_the_release_or_its_checkpoint_folder_may_be_given(folder: Path, inner: str) -> None:
    release = read_release(folder / inner)
    assert release.maps is not None
    assert release.maps.facts[0]["source"] == "checkpoint/ResNet50/4/0/map.pt"


def test_what_is_absent_is_told_and_not_fatal(folder: Path) -> None:
    (folder / "checkpoint/ResNet50/4/1/optim.pt").unlink()
    (folder / "checkpoint/ResNet50/4/0/map.pt").unlink()
    release = read_release(folder)
    told = missing(release)
    assert [path for path in told if path.endswith(".pt")] == [
        "checkpoint/ResNet50/4/0/map.pt",
        "checkpoint/ResNet50/4/1/optim.pt",
    ]
    assert {f"checkpoint/{name}" for name in ("AlexNet", "VGG", "Inceptionv3")} <= set(told)
    assert sum(path.startswith("checkpoint/ResNet50/4/") for path in told) == 8 + 2
    assert sum(path.startswith("checkpoint/ResNet50/") and path.count("/") == 2 for path in told) == 9
    assert not wrong(release)
    assert release.maps is not None
    assert release.maps.names == ("ResNet50/chair/1",)
    assert set(release.traces.names) == {"ResNet50/chair/0"}


def test_other_networks_are_read_and_other_folders_are_told(folder: Path) -> None:
    write_object(folder, "my-net_2.0", 9, 3)
    for other in ("ResNet50/10", "ResNet50/4/x", "a b"):
        (folder / "checkpoint" / other).mkdir()
    (folder / "checkpoint/.git").mkdir()
    release = read_release(folder)
    assert release.maps is not None
    assert release.maps.names[-1] == "my-net_2.0/toilet/3"
    assert sorted(line.split(":")[0] for line in wrong(release)) == [
        "checkpoint/ResNet50/10",
        "checkpoint/ResNet50/4/x",
        "checkpoint/a b",
    ]


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda value: value.pop(key)


def having(key: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    return lambda value: value.update({key: change(value[key])})


def with_score(score: float) -> Callable[[Any], Any]:
    def change(z: Any) -> Any:
        z[3, 4] = score
        return z

    return change


MAP_FAULTS = {
    "no scores": (without("z"), "z is a NoneType"),
    "no axis": (without("xx"), "xx is a NoneType"),
    "scores of another shape": (having("z", lambda z: z.T), r"z is an array (120, 34), must be an array (34, 120)"),
    "half of the scores": (having("z", lambda z: z[:17]), r"z is an array (17, 120)"),
    "scores as a list": (having("z", lambda z: z.tolist()), "z is a list"),
    "double precision": (having("z", lambda z: z.astype(float)), "z holds float64"),
    "NaN": (having("z", with_score(np.nan)), "no numbers between 0 and 1"),
    "a score above 1": (having("z", with_score(1.01)), "no numbers between 0 and 1"),
    "a score below 0": (having("z", with_score(-0.01)), "no numbers between 0 and 1"),
    "another azimuth": (having("xx", lambda xx: xx + 3), "xx holds other grid lines"),
    "another elevation": (having("yy", lambda yy: yy[::-1]), "yy holds other grid lines"),
    "axes swapped": (lambda value: value.update(xx=value["yy"], yy=value["xx"]), "xx holds other grid lines"),
    "another class": (having("class_nb", lambda _: 3), "class_nb is 3, its folder says 4"),
    "a class that is no number": (having("class_nb", lambda _: True), "class_nb is True"),
    "another network": (having("network_name", lambda _: "VGG"), "network_name is 'VGG'"),
    "no shape": (without("shape_id"), "shape_id is a NoneType"),
    "a shape of two lines": (having("shape_id", lambda _: "a\nb"), "shape_id is 'a\\nb'"),
}


@pytest.mark.parametrize(("fault", "reason"), MAP_FAULTS.values(), ids=MAP_FAULTS)
def test_a_map_that_is_not_right_is_told_and_left_out(
    folder: Path, fault: Callable[[dict[str, Any]], None], reason: str
) -> None:
    value = map_value(number=1)
    fault(value)
    (folder / "checkpoint/ResNet50/4/1/map.pt").write_bytes(legacy_file(value))
    release = read_release(folder, with_traces=False)
    assert release.maps is not None
    assert release.maps.names == ("ResNet50/chair/0",)
    (line,) = wrong(release)
    assert line.startswith("checkpoint/ResNet50/4/1/map.pt: ")
    assert reason in line
    assert "\n" not in line


@pytest.mark.parametrize("file", ["map.pt", "optim.pt"])
@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"text", legacy_file([1, 2]), legacy_file(map_value())[:5000]])
def test_a_file_of_something_else_is_told_and_left_out(folder: Path, file: str, data: bytes) -> None:
    (folder / "checkpoint/ResNet50/4/1" / file).write_bytes(data)
    release = read_release(folder)
    assert release.maps is not None
    assert len(release.maps) == (1 if file == "map.pt" else 2)
    assert len(release.traces) == (24 if file == "map.pt" else 12)
    (line,) = wrong(release)
    assert line.startswith(f"checkpoint/ResNet50/4/1/{file}: ")


def test_a_softmax_that_rounds_beyond_1_is_1(folder: Path) -> None:
    value = map_value()
    value["z"][3, 4] = np.nextafter(np.float32(1), np.float32(2))
    (folder / "checkpoint/ResNet50/4/0/map.pt").write_bytes(legacy_file(value))
    release = read_release(folder, with_traces=False)
    assert release.maps is not None
    assert release.maps.scores[0, 4, 3] == 1


def test_networks_that_speak_of_different_shapes_are_told(folder: Path) -> None:
    other = write_object(folder, "AlexNet", 4, 0)
    (other / "map.pt").write_bytes(legacy_file(map_value("AlexNet") | {"shape_id": "another"}))
    release = read_release(folder)
    assert release.maps is not None
    assert len(release.maps) == 3
    assert any("is of shape" in line and "shape another" in line for line in wrong(release))


def test_what_holds_no_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no folder 'checkpoint'"):
        read_release(tmp_path)
    with pytest.raises(MissingFileError, match="no folder 'checkpoint'"):
        read_release(tmp_path / "nowhere/checkpoint")
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(RefusedFileError, match=r"no map or run in .* the first problem: checkpoint/AlexNet: absent"):
        read_release(tmp_path)


def test_progress_is_told_after_each_object(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    read_release(folder, on_object=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_all_maps_fit_into_ten_megabytes_and_load_quickly_into_little_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((400, 120, 34), dtype=np.float32)  # noise: no compression helps
    names = tuple(f"network{k // 100}/class{k % 100 // 10}/{k % 10}" for k in range(400))
    facts = tuple({"shape_id": f"{k:032x}", "source_sha256": f"{k:064x}"} for k in range(400))
    path = save_maps(ScoreMaps(SPACE, (AZIMUTHS, ELEVATIONS), scores, names, facts), tmp_path / "maps.npz")
    assert path.stat().st_size < 10e6
    begin = perf_counter()
    load_maps(path)
    assert perf_counter() - begin < 1
    other = shutil.copy(path, tmp_path / "other.npz")
    tracemalloc.start()
    load_maps(other)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


def test_every_real_file_is_read_or_told_of(release: Release, recorded_folder: Path) -> None:
    assert release.maps is not None
    files = [path.name for path in recorded_folder.rglob("*.pt")]
    told = [Path(problem.path).name for problem in release.problems if not problem.is_missing]
    assert len(release.maps) == files.count("map.pt") - told.count("map.pt") > 0
    traced = {name for name, has in zip(release.traces.names, release.traces.has_trace, strict=True) if has}
    assert len(traced) == files.count("optim.pt") - told.count("optim.pt") > 0
    assert len(told) < len(files) / 100
    assert release.traces.is_finite.mean() > 0.99
    assert set(release.traces.methods) == set(METHODS)


def test_the_real_table_holds_the_final_regions_one_step_after_the_last_row(
    release: Release, recorded_folder: Path
) -> None:
    traces: ReleaseTraces = release.traces
    keys = zip(traces.names, traces.methods, traces.start.tolist(), strict=True)
    runs = {key: run for run, key in enumerate(keys)}
    with (recorded_folder / "regions_objects_0-3.csv").open(encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    steps: list[tuple[float, float]] = []
    for row in table:
        run = runs[f"{row['network']}/{row['class']}/{row['object']}", row["method"].lower(), int(row["start"])]
        found = [*traces.lower[run], *traces.upper[run]]
        told = [float(row[f"{name}_{end}"]) for end in ("low", "high") for name in ("azimuth", "elevation")]
        np.testing.assert_array_equal(found, told)
        if traces.has_trace[run]:
            lower, upper = traces.trace_of(run)
            np.testing.assert_allclose(lower[0], traces.start_point[run] - 1e-5)
            assert len(lower) == traces.steps[run]
            last = np.abs([*lower[-1] - found[:2], *upper[-1] - found[2:]])
            before = np.abs([*lower[-2] - found[:2], *upper[-2] - found[2:]])
            steps.append((last.max(), before.max()))
    compared = np.array([step for step in steps if np.isfinite(step).all()])
    assert len(compared) > 0
    assert (compared[:, 0] > 0).all()  # the last row is not the final region, ...
    assert (compared[:, 0] < compared[:, 1]).mean() > 0.7  # ... but nearer to it than the one before
