"""Recorded runs: right ones are kept as recorded, wrong ones told; their file comes back, or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semrob_env.errors import InvalidMapsError, MissingFileError
from semrob_env.recorded import save_maps
from semrob_env.recorded.file import write_arrays
from semrob_env.recorded.release import Release, read_release
from semrob_env.recorded.traces import join_runs, load_traces, save_traces
from tests.release_writer import NInterval, legacy_file, optim_value, write_object

COLUMNS = "network,class,object,method,start,azimuth_low,azimuth_high,elevation_low,elevation_high,steps_recorded"


def wrong(release: Release) -> list[str]:
    """What is there but cannot be used."""
    return [str(problem) for problem in release.problems if not problem.is_missing]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A release of two objects of one network."""
    write_object(tmp_path, number=0)
    write_object(tmp_path, number=1)
    return tmp_path


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda value: value.pop(key)


def having(key: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    return lambda value: value.update({key: change(value[key])})


def test_runs_hold_final_regions_traces_and_losses(folder: Path) -> None:
    traces = read_release(folder).traces
    assert len(traces) == 2 * 3 * 4
    assert traces.methods[:12] == ("naive",) * 4 + ("oir_b",) * 4 + ("oir_w",) * 4
    run = 13
    assert (traces.names[run], traces.methods[run], traces.start[run]) == ("ResNet50/chair/1", "naive", 1)
    assert traces.start_point[run].tolist() == [50, 20]
    assert traces.lower[run].tolist() == [47, 17]
    assert traces.upper[run].tolist() == [53, 23]
    lower, upper = traces.trace_of(run)
    np.testing.assert_allclose(lower, [[50, 20], [49, 19], [48, 18]], atol=1e-4)
    np.testing.assert_allclose(upper, [[50, 20], [51, 21], [52, 22]], atol=1e-4)
    assert traces.loss_of(run).tolist() == [0, -1, -2]
    assert traces.steps.tolist() == [3] * 24
    assert traces.has_trace.all()


def write_optim(folder: Path, change: Callable[[dict[str, Any]], None]) -> Release:
    """The release after a change of one optim.pt."""
    value = optim_value(number=1)
    change(value)
    (folder / "checkpoint/ResNet50/4/1/optim.pt").write_bytes(legacy_file(value))
    return read_release(folder)


def in_method(key: str, part: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    return lambda value: value[key].update({part: change(value[key][part])})


OPTIM_FAULTS = {
    "no start points": (without("initial_point"), 12, "initial_point must be"),
    "start points of text": (having("initial_point", lambda _: ["a"] * 4), 12, "initial_point must be"),
    "another class": (having("class_nb", lambda _: 5), 12, "class_nb is 5"),
    "a method less": (without("OIR_W"), 20, "no method OIR_W"),
    "a start less": (in_method("OIR_B", "regions", lambda regions: regions[:3]), 20, "OIR_B does not hold"),
    "no regions": (in_method("naive", "regions", lambda _: None), 20, "naive does not hold"),
    "a region that is none": (in_method("naive", "regions", lambda r: [None, *r[1:]]), 23, "naive, start 0: no final"),
    "a region of three": (
        in_method("naive", "regions", lambda r: [*r[:3], NInterval([1, 2, 3], [2, 3, 4])]),
        23,
        "naive, start 3: no final region of 2 parameters",
    ),
    "a trace of text": (in_method("OIR_B", "optim_trace", lambda _: ["a"] * 4), 24, "the trace is no list"),
    "a trace of points": (
        in_method("OIR_B", "optim_trace", lambda t: [[(np.zeros(3), np.zeros(3))], *t[1:]]),
        24,
        "oir_b, start 0: the trace is no list",
    ),
    "a loss of text": (in_method("OIR_B", "loss_trace", lambda t: [["a"], *t[1:]]), 24, "the losses are no list"),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "runs", "reason"), OPTIM_FAULTS.values(), ids=OPTIM_FAULTS)
def test_runs_that_are_not_right_are_told_and_the_others_kept(
    folder: Path, fault: Callable[[dict[str, Any]], None], runs: int, reason: str
) -> None:
    release = write_optim(folder, fault)
    assert len(release.traces) == runs
    assert any(reason in line for line in wrong(release))


def test_diverged_runs_and_empty_traces_are_kept_as_recorded(folder: Path) -> None:
    regions = [
        NInterval([np.nan, np.nan], [np.nan, np.nan]),
        NInterval([-1e5, -np.inf], [1e5, 40]),
        NInterval([-20, 0], [341, 80]),
        NInterval([-20, -10], [340, 90]),
    ]

    def change(value: dict[str, Any]) -> None:
        value["OIR_W"] |= {"regions": regions, "optim_trace": [[], [], [], []]}

    release = write_optim(folder, change)
    assert not wrong(release)
    traces = release.traces
    rows = [run for run in range(24) if traces.methods[run] == "oir_w" and traces.names[run].endswith("/1")]
    assert traces.is_finite[rows].tolist() == [False, False, True, True]
    assert traces.is_inside[rows].tolist() == [False, False, False, True]
    assert not traces.has_trace[rows].any()
    assert traces.steps[rows].tolist() == [0] * 4
    assert traces.trace_of(rows[1])[0].shape == (0, 2)
    assert traces.loss_of(rows[1]).tolist() == [0, -1, -2]
    assert traces.trace_of(rows[0] - 1)[0].shape == (3, 2)
    np.testing.assert_array_equal(traces.lower[rows], [region.a for region in regions])


def csv_rows(folder: Path, *rows: str) -> Release:
    (folder / "regions_part.csv").write_text("\n".join((COLUMNS, *rows)) + "\n", encoding="utf-8")
    return read_release(folder)


def test_a_table_of_regions_stands_in_where_a_file_of_traces_is_absent(folder: Path) -> None:
    (folder / "checkpoint/ResNet50/4/1/optim.pt").unlink()
    release = csv_rows(folder, "ResNet50,chair,1,OIR_B,2,190.5,nan,-inf,20,600", "VGG,cup,0,naive,0,1,2,3,4,0")
    assert not wrong(release)
    reasons = {problem.path: problem.reason for problem in release.problems}
    assert "regions_part.csv" in reasons["checkpoint/ResNet50/4/1/optim.pt"]
    traces = release.traces
    assert traces.names == ("VGG/cup/0", *("ResNet50/chair/0",) * 12, "ResNet50/chair/1")
    assert traces.sources[-1] == "regions_part.csv"
    assert traces.start_point[-1].tolist() == [200, 15]
    np.testing.assert_array_equal(traces.lower[-1], [190.5, -np.inf])
    np.testing.assert_array_equal(traces.upper[-1], [np.nan, 20])
    assert traces.steps[[0, -1]].tolist() == [0, 600]
    assert not traces.has_trace[[0, -1]].any()


def test_a_table_of_regions_must_agree_with_the_files_of_traces(folder: Path) -> None:
    right = "ResNet50,chair,1,naive,1,47,53,17,23,3"
    assert not wrong(csv_rows(folder, right))
    for differing in ("ResNet50,chair,1,naive,1,47,53,17,23.1,3", "ResNet50,chair,1,naive,1,47,53,17,23,600"):
        release = csv_rows(folder, right, differing)
        (line,) = wrong(release)
        assert line == "regions_part.csv: line 3: differs from checkpoint/ResNet50/4/1/optim.pt, which is kept"
        assert release.traces.upper[13].tolist() == [53, 23]


@pytest.mark.parametrize(
    "row",
    [
        "ResNet50,sofa,1,naive,1,47,53,17,23,3",
        "ResNet50,chair,10,naive,1,47,53,17,23,3",
        "ResNet50,chair,1,newton,1,47,53,17,23,3",
        "ResNet50,chair,1,naive,4,47,53,17,23,3",
        "ResNet50,chair,1,naive,-1,47,53,17,23,3",
        "ResNet50,chair,1,naive,1,low,53,17,23,3",
        "ResNet50,chair,1,naive,1,47,53,17,23",
        "ResNet50,chair,1,naive,1,47,53,17,23,1e3",
        "../../x,chair,1,naive,1,47,53,17,23,3",
    ],
)
def test_a_line_that_cannot_be_read_is_told(folder: Path, row: str) -> None:
    release = csv_rows(folder, "ResNet50,chair,1,naive,1,47,53,17,23,3", row)
    (line,) = wrong(release)
    assert line == "regions_part.csv: line 3 cannot be read, 1 of 2 in all; left out"


def test_a_table_of_something_else_is_told(folder: Path) -> None:
    for number, data in enumerate((b"a,b\n1,2\n", b"", b"\xff\xfe", b'"' * 200_001)):
        (folder / f"regions{number}.csv").write_bytes(data)
    assert len(wrong(read_release(folder))) == 4


def test_traces_come_back_from_their_file(folder: Path, tmp_path: Path) -> None:
    traces = read_release(folder).traces
    path = save_traces(traces, tmp_path / "traces.npz")
    again = load_traces(path)
    for field, values in vars(traces).items():
        np.testing.assert_array_equal(getattr(again, field), values)
    assert save_traces(again, tmp_path / "again.npz").read_bytes() == path.read_bytes()
    nothing = load_traces(save_traces(join_runs([]), tmp_path / "nothing.npz"))
    assert len(nothing) == 0
    with pytest.raises(ValueError, match="read-only"):
        again.lower[0] = 0


def test_a_damaged_or_other_file_of_traces_is_refused(folder: Path, tmp_path: Path) -> None:
    release = read_release(folder)
    assert release.maps is not None
    path = save_traces(release.traces, tmp_path / "traces.npz")
    data = path.read_bytes()
    for broken in (b"", data[: len(data) // 2], data.replace(b"PK", b"KP"), b"\x80\x02N."):
        path.write_bytes(broken)
        with pytest.raises(InvalidMapsError):
            load_traces(path)
    with pytest.raises(InvalidMapsError, match="semrob traces"):
        load_traces(save_maps(release.maps, tmp_path / "maps.npz"))
    with pytest.raises(MissingFileError):
        load_traces(tmp_path / "nowhere.npz")


FIELD_FAULTS = {
    "a number less": lambda arrays: arrays.update(start=arrays["start"][1:]),
    "an end before its begin": lambda arrays: arrays.update(trace_end=arrays["trace_end"][::-1].copy()),
    "a trace too short": lambda arrays: arrays.update(trace=arrays["trace"][1:]),
    "losses too short": lambda arrays: arrays.update(loss=arrays["loss"][1:]),
    "other types": lambda arrays: arrays.update(lower=arrays["lower"].astype(np.float32)),
    "text": lambda arrays: arrays.update(trace_end=arrays["trace_end"].astype("U")),
    "steps below 0": lambda arrays: arrays.update(steps=-arrays["steps"]),
    "other steps": lambda arrays: arrays.update(steps=arrays["steps"] + 1),
    "an array less": lambda arrays: arrays.pop("upper"),
    "a run twice": lambda arrays: arrays.update(start=np.zeros_like(arrays["start"])),
}


@pytest.mark.parametrize("fault", FIELD_FAULTS.values(), ids=FIELD_FAULTS)
def test_arrays_that_do_not_fit_each_other_are_refused(
    folder: Path, tmp_path: Path, fault: Callable[[dict[str, Any]], None]
) -> None:
    path = save_traces(read_release(folder).traces, tmp_path / "traces.npz")
    with np.load(path) as archive:
        arrays: dict[str, Any] = dict(archive)
    header = json.loads(arrays.pop("header").tobytes())
    load_traces(write_arrays(path, header, arrays))
    fault(arrays)
    with pytest.raises(InvalidMapsError, match="damaged"):
        load_traces(write_arrays(path, header, arrays))
    for key, value in (("methods", ["newton"] * 24), ("names", ["a"]), ("sources", [1] * 24), ("version", 2)):
        with pytest.raises(InvalidMapsError):
            load_traces(write_arrays(path, header | {key: value}, arrays))
