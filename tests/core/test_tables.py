"""Tables from rows of a store and from recorded runs: known numbers from regions made by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError
from semrob_env.questions import MeanGoal, Question
from semrob_env.recorded import RecordedMaps
from semrob_env.recorded.traces import Run, join_runs
from semrob_env.regions import Regions
from semrob_env.store import RunRow, RunTask
from semrob_env.tables import (
    RECORDED,
    REPLAY,
    RegionSet,
    ReleaseReport,
    SrvrTable,
    Subject,
    convergence,
    diverged,
    method_difference,
    overlaps,
    srvr_text,
)
from tests.recorded_maker import SPACE, STARTS, flat_maps, run_of

POINTS = [tuple(point) for point in STARTS.tolist()]
START_SIZE = 2e-5


def row(
    subject: str,
    lower: tuple[float, float],
    upper: tuple[float, float],
    *,
    method: str = "naive",
    start: tuple[float, ...] = POINTS[0],
    feasible: bool = True,
) -> RunRow:
    """A finished run with these final bounds: 12 forward and 4 gradient queries, 2 of the judge."""
    task = RunTask(Question(f"recorded:{subject}", start), method, max_steps=3)
    share = float(Regions(SPACE, lower, upper).share()[0])  # type: ignore[arg-type]  # a tuple is an array of one row
    return RunRow(
        key=f"{subject} {method} {start}",
        task=task,
        fingerprint="{}",
        method_version=1,
        status="steps",
        lower=lower,
        upper=upper,
        share=share,
        feasible=feasible,
        judge_queries=2,
        forward_queries=12,
        gradient_queries=4,
    )


def sized(subject: str, share: float, *, method: str = "naive", start: int = 0, feasible: bool = True) -> RunRow:
    """A finished run whose region is all elevations and a share of the azimuths."""
    half, point = 180 * share, POINTS[start]
    lower = (point[0] - half) % 360
    return row(subject, (lower, -10.0), (lower + 2 * half, 90.0), method=method, start=point, feasible=feasible)


# Subjects


@pytest.mark.parametrize(
    ("function_id", "parts"),
    [
        ("scene:net/cup/procedural:3?params=azimuth,elevation", ("net", "cup", "procedural:3")),
        ("scene:net/cup/file:some/folder/a.obj?params=azimuth", ("net", "cup", "file:some/folder/a.obj")),
        ("scene:net/cup/folder:/a/b#c&feed=unnormalized?params=x", ("net", "cup", "folder:/a/b#c&feed=unnormalized")),
        ("scene:net/cup/file:a(1)", ("net", "cup", "file:a(1)")),
        ("recorded:ResNet50/chair/1", ("ResNet50", "chair", "1")),
        ("recorded:ResNet50/chair/1?file=my%20maps.npz", ("ResNet50", "chair", "1")),
        ("complement(recorded:ResNet50/chair/1)", ("ResNet50", "chair", "1")),
        ("complement(scene:net/cup/file:a(1)?params=azimuth)", ("net", "cup", "file:a(1)")),
        ("complement(complement(recorded:a/b/0))", ("a", "b", "0")),
        ("recorded:torchvision/resnet50/chair/1", ("torchvision/resnet50", "chair", "1")),
    ],
)
def test_an_id_tells_its_network_class_and_shape(function_id: str, parts: tuple[str, str, str]) -> None:
    assert Subject.of(function_id) == Subject(*parts)


@pytest.mark.parametrize("function_id", ["synthetic:hill?n=2", "complement(synthetic:hill)", "scene:net/cup", "cup"])
def test_an_id_without_network_class_and_shape_is_refused(function_id: str) -> None:
    with pytest.raises(InvalidParameterError, match="names no network, class and shape"):
        Subject.of(function_id)


# SRVR tables


SPECK = row("N/cup/0", (130 - 1e-5, 30 - 1e-5), (130 + 1e-5, 30 + 1e-5))
SLIVER = row("N/cup/0", (100.0, 30.0), (160.0, 30.0))


@pytest.mark.parametrize(
    ("share", "runs", "text"),
    [
        (0.12344, [SLIVER], "12.34"),
        (1e-4, [SLIVER], "0.01"),
        (3e-5, [SLIVER], "0.003"),
        (4e-24, [SLIVER], "4e-22"),
        (4e-24, [SPECK], "start size"),
        (4e-24, [SPECK, SPECK, SLIVER], "start size"),
        (4e-24, [SPECK, SLIVER, SLIVER], "4e-22"),
        (0.25, [SPECK, SPECK, SLIVER], "25.00"),
        (4e-24, [], "4e-22"),
    ],
)
def test_srvr_is_told_in_percent_and_in_words_where_the_median_region_has_not_grown(
    share: float, runs: list[RunRow], text: str
) -> None:
    assert srvr_text(share, runs, START_SIZE) == text


def table_rows(networks: Sequence[str] = ("A", "B")) -> list[RunRow]:
    """Two classes of two shapes, two methods; B is 0.1 below A everywhere."""
    return [
        sized(
            f"{network}/{name}/{shape}",
            0.2 + 0.3 * (name == "cup") + 0.1 * shape + 0.05 * (method == "oir_b") - 0.1 * (network == "B"),
            method=method,
            feasible=shape == 0,
        )
        for network in networks
        for name in ("cup", "chair")
        for shape in (0, 1)
        for method in ("naive", "oir_b")
    ]


def table_of(runs: Sequence[RunRow], networks: Sequence[str] = ("B", "A")) -> SrvrTable:
    return SrvrTable.of(runs, ["oir_b", "naive", "oir_w"], networks, ["cup", "chair"], start_size=START_SIZE, seed=0)


def test_a_table_has_a_line_a_class_and_method_then_all_classes_then_all_of_a_network() -> None:
    lines = list(table_of(table_rows()).lines())
    expected = {}
    for network, below in (("B", 0.1), ("A", 0.0)):
        for name, mean in (("cup", 0.55), ("chair", 0.25), (None, 0.4)):
            expected[network, name, "oir_b"] = mean + 0.05 - below
            expected[network, name, "naive"] = mean - below
        expected[network, None, "all"] = 0.425 - below
    assert [(line.network, line.class_name, method) for method, line in lines] == list(expected)
    np.testing.assert_allclose([line.estimate for _, line in lines], list(expected.values()), rtol=1e-12)
    first = lines[0][1]
    assert (first.runs, first.shapes) == (2, 2)
    assert first.feasible_estimate == pytest.approx(0.45 / 2)
    assert first.certified_estimate == 0
    assert first.low < 0.1
    assert first.high > 0.9, "two shapes tell little"


def test_lines_tell_how_many_runs_are_feasible_and_what_they_paid() -> None:
    table = table_of(table_rows())
    shown, exact = table.shown(), table.exact()
    assert (shown[0]["SRVR %"], shown[0]["feasible only %"], shown[0]["feasible"]) == ("50.00", "22.50", "1 of 2")
    assert (shown[0]["certified only %"], shown[0]["certified"]) == ("none", "0 of 2")
    assert (exact[0]["certified_estimate"], exact[0]["certified_runs"], exact[0]["certificate_queries"]) == (0, 0, 0)
    assert (shown[-1]["method"], shown[-1]["class"], shown[-1]["feasible"]) == ("all", "all", "4 of 8")
    assert (shown[-1]["forward queries"], shown[-1]["gradient queries"]) == ("96", "32")
    assert [line["forward_queries"] for line in exact] == [24, 24, 24, 24, 48, 48, 96] * 2
    assert [line["judge_queries"] for line in exact[:7]] == [4, 4, 4, 4, 8, 8, 16]
    assert exact[0]["class_name"] == "cup"
    assert exact[0]["estimate"] == pytest.approx(0.5)


def test_networks_are_compared_on_the_same_shapes_only() -> None:
    (found,) = table_of(table_rows()).differences()
    assert list(found.values())[:3] == ["B", "A", "-10.00"]
    assert (found["feasible only"], found["certified only"]) == ("-5.00", "+0.00")
    assert [word.count(" to ") for name, word in found.items() if "interval" in name] == [1, 1, 1]
    apart = [sized("A/cup/0", 0.5), sized("A/cup/1", 0.5), sized("B/chair/0", 0.5), sized("C/cup/1", 0.2)]
    (other,) = table_of(apart, ("A", "B", "C")).differences()
    assert list(other.values())[:3] == ["A", "C", "+30.00"]


def test_methods_whose_median_region_is_a_speck_are_named() -> None:
    assert table_of([*table_rows(["A"]), SPECK], ("A", "N")).not_grown() == []
    table = table_of([sized("N/cup/0", 0.2, method="oir_b"), SPECK], ("N",))
    assert table.not_grown() == ["naive"]
    assert [line["SRVR %"] for line in table.shown()] == ["20.00", "start size", "20.00", "start size", "10.00"]


# Sets of regions


def found_of(rows: Sequence[RunRow]) -> RegionSet:
    return RegionSet.of_runs(rows, SPACE, POINTS)


SEAM_CASES = [
    pytest.param((130.0, 30.0), (100.0, 160.0), 60, id="away from the seam"),
    pytest.param((50.0, 20.0), (350.0, 420.0), 60, id="reaches below 0"),
    pytest.param((310.0, 50.0), (300.0, 380.0), 60, id="reaches beyond 360"),
    pytest.param((200.0, 15.0), (100.0, 460.0), 260, id="a whole turn"),
    pytest.param((50.0, 20.0), (60.0, 100.0), 40, id="beside its start point"),
    pytest.param((50.0, 20.0), (340.0, 370.0), 10, id="beside its start point, across the seam"),
]


@pytest.mark.parametrize(("start", "azimuths", "left"), SEAM_CASES)
def test_a_region_that_ends_at_the_seam_loses_what_lies_beyond(
    start: tuple[float, float], azimuths: tuple[float, float], left: float
) -> None:
    found = found_of([row("N/cup/0", (azimuths[0], 10.0), (azimuths[1], 60.0), start=start)])
    assert found.seam_share[0] == pytest.approx(left / 360 / 2)
    assert found.share[0] == pytest.approx((azimuths[1] - azimuths[0]) / 360 / 2)
    assert found.keys == (("N/cup/0", "naive", POINTS.index(start)),)


def test_sets_are_narrowed_by_network_and_method() -> None:
    found = found_of(table_rows())
    assert len(found) == 16
    part = found.of(network="B", method="oir_b")
    assert [key[:2] for key in part.keys] == [
        (f"B/{name}", "oir_b") for name in ("cup/0", "cup/1", "chair/0", "chair/1")
    ]
    np.testing.assert_allclose(part.share, [0.45, 0.55, 0.15, 0.25])
    assert part.feasible.tolist() == [True, False, True, False]
    assert len(found.of(method="oir_w")) == 0


def test_the_network_of_a_region_may_be_of_a_family() -> None:
    found = found_of([sized(f"{network}/cup/0", 0.5) for network in ("timm/a", "timm/b", "A")])
    assert found.of(network="timm/b").keys == (("timm/b/cup/0", "naive", 0),)
    records = found.records()
    assert records.network.tolist() == ["timm/a", "timm/b", "A"]
    assert set(records.class_name.tolist()) == {"cup"}
    assert found.records(methods_as_networks=True).shape.tolist() == ["timm/a/0", "timm/b/0", "A/0"]


MAPS = RecordedMaps(flat_maps({"N/cup/0": 0.8, "N/cup/1": 0.2}))


def released(runs: Sequence[Run], keep: Sequence[bool] | None = None) -> RegionSet:
    kept = np.ones(len(runs), dtype=np.bool_) if keep is None else np.array(keep)
    return RegionSet.of_release(join_runs(runs), MAPS, kept, MeanGoal())


def test_recorded_regions_are_cut_to_the_space_and_judged_exactly() -> None:
    found = released([
        run_of("N/cup/0", [100, 10], [160, 60]),
        run_of("N/cup/1", [-30, 80], [60, 130], start=1),
        run_of("N/cup/0", [-400, -500], [700, 500], start=2, method="oir_b"),
        run_of("N/cup/0", [100, 95], [160, 130], start=3),
    ])
    np.testing.assert_allclose(found.share, [60 / 720, 90 / 3600, 1, 0])
    np.testing.assert_allclose(found.seam_share, [60 / 720, 60 / 3600, 1, 0])
    assert found.feasible.tolist() == [True, False, True, True]
    assert found.regions.lower[1].tolist() == [330, 80]
    assert found.keys[2] == ("N/cup/0", "oir_b", 2)


def test_runs_that_diverged_or_are_not_kept_or_have_no_map_are_left_out() -> None:
    runs = [
        run_of("N/cup/0", [100, 10], [160, 60]),
        run_of("N/cup/0", [np.nan, 10], [160, 60], start=1),
        run_of("N/cup/0", [-np.inf, 10], [np.inf, 60], start=2),
        run_of("N/cup/0", [160, 10], [100, 60], start=3),
        run_of("N/cup/1", [-1e308, 10], [1e308, 60]),
        run_of("N/chair/0", [100, 10], [160, 60]),
        run_of("N/cup/1", [100, 10], [160, 60], start=1),
        run_of("N/cup/1", [100, 10], [160, 60], start=2),
    ]
    assert diverged(join_runs(runs)).tolist() == [False, True, True, True, True, False, False, False]
    found = released(runs, [True] * 7 + [False])
    assert found.keys == (("N/cup/0", "naive", 0), ("N/cup/1", "naive", 1))
    assert len(released([])) == 0


def test_overlaps_are_those_of_equal_keys_in_the_order_of_the_first_without_specks() -> None:
    first = found_of([
        row("N/cup/0", (100.0, 10.0), (160.0, 60.0)),
        SPECK_OF_ONE,
        row("N/cup/2", (350.0, 10.0), (370.0, 60.0)),
        row("N/cup/3", (350.0, 10.0), (370.0, 60.0)),
    ])
    second = found_of([
        row("N/cup/2", (0.0, 10.0), (20.0, 60.0)),
        row("N/cup/0", (100.0, 10.0), (160.0, 60.0)),
        SPECK_OF_ONE,
        row("N/cup/3", (350.0, 10.0), (370.0, 60.0), method="oir_b"),
    ])
    np.testing.assert_allclose(overlaps(first, second), [1, 1 / 3])
    np.testing.assert_allclose(overlaps(first, second, grown=False), [1, 1, 1 / 3])
    np.testing.assert_allclose(overlaps(second, first), [1 / 3, 1])
    grown = found_of([row("N/cup/1", (100.0, 10.0), (160.0, 60.0))])
    assert overlaps(found_of([SPECK_OF_ONE]), grown) == pytest.approx([0.0], abs=1e-9), "one of the two has grown"
    assert len(overlaps(first, found_of(table_rows()))) == 0


SPECK_OF_ONE = row("N/cup/1", (130 - 1e-5, 30 - 1e-5), (130 + 1e-5, 30 + 1e-5))


def test_runs_converge_if_each_start_lies_in_the_region_of_the_other() -> None:
    wide = (40.0, 10.0), (140.0, 40.0)
    narrow = (40.0, 10.0), (70.0, 30.0)
    first, second, third = (50.0, 20.0), (60.0, 25.0), (130.0, 30.0)
    starts = [first, second, third]
    rows = [
        row("N/cup/0", *narrow, start=first),
        row("N/cup/0", *narrow, start=second),
        row("N/cup/0", *wide, start=third),
        row("N/cup/1", *wide, start=third),
        row("N/cup/0", *wide, start=third, method="oir_b"),
    ]
    found = convergence(RegionSet.of_runs(rows, SPACE, starts))
    assert (found.pairs, found.one_sided) == (1, 2)
    assert (found.median_overlap, found.same, found.one_sided_overlap) == pytest.approx((1.0, 1.0, 0.2))
    other = convergence(RegionSet.of_runs([rows[0], row("N/cup/0", *wide, start=second)], SPACE, starts))
    assert (other.pairs, other.same) == (1, 0.0)
    assert other.median_overlap == pytest.approx(0.2)


def test_convergence_is_looked_for_across_the_seam() -> None:
    starts = [(350.0, 20.0), (10.0, 20.0)]
    rows = [row("N/cup/0", (340.0, 10.0), (380.0, 30.0), start=start) for start in starts]
    assert convergence(RegionSet.of_runs(rows, SPACE, starts)).pairs == 1


@pytest.mark.parametrize("count", [0, 1])
def test_without_a_pair_nothing_is_told_about_convergence(count: int) -> None:
    found = convergence(found_of(table_rows()).only(np.arange(count)))
    assert (found.pairs, found.one_sided) == (0, 0)
    assert all(math.isnan(value) for value in (found.median_overlap, found.same, found.one_sided_overlap))


def test_methods_are_compared_shape_by_shape_over_all_networks() -> None:
    found = found_of(table_rows())
    difference = method_difference(found, "oir_b", "naive")
    assert difference is not None
    assert difference.estimate == pytest.approx(0.05)
    assert -0.3 < difference.low < 0.05 < difference.high < 0.4
    assert (difference.runs, difference.shapes) == (8, 8)
    assert method_difference(found, "oir_w", "naive") is None
    apart = found_of([sized("A/cup/0", 0.5), sized("B/cup/0", 0.5, method="oir_b")])
    assert method_difference(apart, "oir_b", "naive") is None


# The report


def test_a_report_counts_lost_runs_of_its_maps_and_compares_networks_with_runs_in_common() -> None:
    runs = [
        run_of("N/cup/0", [100, 10], [160, 60]),
        run_of("N/cup/0", [160, 10], [100, 60], start=1),
        run_of("N/cup/1", [100, 10], [160, 60], steps=0),
        run_of("N/cup/7", [100, 10], [160, 60], steps=0),
        run_of("N/cup/7", [160, 10], [100, 60], start=1),
    ]
    rows = [sized(f"N/cup/{shape}", 0.25, start=start) for shape in (0, 1) for start in range(4)]
    report = ReleaseReport(MAPS, join_runs(runs), {REPLAY: rows}, POINTS, MeanGoal(), seed=0)
    assert report.losses("N", "naive", RECORDED) == {"no_trace": 1, "diverged": 1}
    assert report.losses("N", "naive", REPLAY) == {"no_trace": 0, "diverged": 0}
    assert report.sets[RECORDED].keys == (("N/cup/0", "naive", 0),)
    assert report.difference(REPLAY, "N", "M") is None
    lines = report.lines()
    assert [(line["kind"], line["runs"]) for line in lines] == [(REPLAY, 8), (RECORDED, 1)]
    assert lines[0]["overlap_pairs"] == 1
    best = report.best_shares()["N"]
    assert best.tolist() == [1.0] * 4 + [0.0] * 4, "0.8 is feasible everywhere, 0.2 nowhere"
    regrets = report.regrets("N", "naive", best)
    assert regrets[:4] == pytest.approx([0.75] * 4)
    assert np.isnan(regrets[4:]).all()
