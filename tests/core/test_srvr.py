"""SRVR tables, their intervals and paired differences."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError, ShapeMismatchError, UnknownNameError
from semrob_env.metrics import RegionRecords, SrvrRow, paired_difference, srvr
from semrob_env.types import BoolArray, FloatArray


def records_of(
    shares: FloatArray,
    network: str = "N",
    class_name: str = "cup",
    feasible: BoolArray | None = None,
    certified: BoolArray | None = None,
) -> RegionRecords:
    """Records of shares (shapes, starts, methods)."""
    shape, start, method = (index.ravel() for index in np.indices(shares.shape))
    count = shares.size
    return RegionRecords(
        np.full(count, network),
        np.full(count, class_name),
        np.char.add("shape ", shape.astype(np.str_)),
        start,
        np.char.add("method ", method.astype(np.str_)),
        shares.ravel(),
        np.ones(count, dtype=np.bool_) if feasible is None else feasible.ravel().astype(np.bool_),
        np.zeros(count, dtype=np.bool_) if certified is None else certified.ravel().astype(np.bool_),
    )


def join(*parts: RegionRecords) -> RegionRecords:
    columns = ("network", "class_name", "shape", "start", "method", "share", "feasible", "certified")
    return RegionRecords(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def same(row: SrvrRow, other: SrvrRow) -> bool:
    """Equality that takes NaN for equal."""
    return repr(row) == repr(other)


def test_srvr_is_the_mean_over_methods_shapes_and_starts() -> None:
    rng = np.random.default_rng(0)
    shares, fits = rng.random((5, 4, 3)), rng.random((5, 4, 3)) < 0.6
    sure = fits & (rng.random((5, 4, 3)) < 0.5)
    row, overall = srvr(records_of(shares, feasible=fits, certified=sure), rng)
    assert (row.network, row.class_name, row.runs, row.shapes) == ("N", "cup", 60, 5)
    assert row.estimate == pytest.approx(shares.mean())
    assert row.feasible_estimate == pytest.approx((shares * fits).mean())
    assert row.certified_estimate == pytest.approx((shares * sure).mean())
    assert row.low < row.estimate < row.high
    assert row.certified_low < row.certified_estimate < row.certified_high < row.feasible_high
    assert row.feasible_low < row.feasible_estimate < row.feasible_high
    assert overall.class_name is None
    assert overall.estimate == row.estimate


def test_a_missing_run_leaves_its_mean_and_no_more() -> None:
    shares = np.arange(12, dtype=float).reshape(3, 2, 2) / 12
    records = records_of(shares)
    keep = np.ones(12, dtype=np.bool_)
    keep[[0, 4, 6]] = False  # shape 0 keeps one start of method 0; shape 1 has method 1 only
    row = srvr(records.rows(keep), np.random.default_rng(0))[0]
    first = np.mean([shares[0, 1, 0], shares[2, :, 0].mean()])
    second = np.mean([shares[0, :, 1].mean(), shares[1, :, 1].mean(), shares[2, :, 1].mean()])
    assert row.estimate == pytest.approx((first + second) / 2)


def test_methods_and_classes_can_be_singled_out() -> None:
    shares = np.random.default_rng(0).random((5, 4, 3))
    records = join(records_of(shares), records_of(shares / 2, class_name="chair"))
    rows = srvr(records.only(methods=["method 1"], class_names=["chair"]), np.random.default_rng(0))
    assert [row.class_name for row in rows] == ["chair", None]
    assert rows[0].estimate == pytest.approx(shares[:, :, 1].mean() / 2)


def test_overall_is_the_mean_over_classes_whatever_their_sizes() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.random((3, 4, 1)), rng.random((9, 4, 1)) / 5
    rows = srvr(join(records_of(small), records_of(large, class_name="chair")), rng)
    assert [row.class_name for row in rows] == ["chair", "cup", None]
    assert rows[2].estimate == pytest.approx((small.mean() + large.mean()) / 2)
    assert (rows[2].runs, rows[2].shapes) == (48, 12)


def test_a_single_shape_has_no_interval() -> None:
    rng = np.random.default_rng(0)
    rows = srvr(join(records_of(rng.random((1, 4, 2))), records_of(rng.random((5, 4, 2)), class_name="chair")), rng)
    assert [math.isnan(row.low) and math.isnan(row.certified_high) for row in rows] == [False, True, False]
    assert not any(math.isnan(row.estimate) for row in rows)
    assert rows[2].low < rows[2].estimate < rows[2].high


def test_rows_do_not_depend_on_order_or_on_other_networks() -> None:
    rng = np.random.default_rng(0)
    mine = join(records_of(rng.random((6, 4, 2))), records_of(rng.random((4, 4, 2)), class_name="chair"))
    other = records_of(rng.random((6, 4, 2)), network="A")
    together = join(other, mine)
    shuffled = together.rows(rng.permutation(len(together)))
    alone = srvr(mine, np.random.default_rng(5))
    for records in (together, shuffled):
        rows = [row for row in srvr(records, np.random.default_rng(5)) if row.network == "N"]
        assert all(same(row, expected) for row, expected in zip(rows, alone, strict=True))


def test_paired_differences_take_out_what_the_shapes_share() -> None:
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.1, 0.8, (20, 1, 1)) + np.zeros((20, 4, 2))
    better = hard + 0.05 + rng.normal(0, 0.01, hard.shape)
    records = join(records_of(better, "B"), records_of(hard, "A"))
    difference, overall = paired_difference(records, "B", "A")
    assert difference.network == "B - A"
    assert difference.estimate == pytest.approx(0.05, abs=0.01)
    assert difference.low < difference.estimate < difference.high
    assert overall.estimate == difference.estimate
    first, second = (row for row in srvr(records, rng) if row.class_name == "cup")
    assert difference.high - difference.low < 0.5 * (first.high - first.low + second.high - second.low)
    back = paired_difference(records, "A", "B")[0]
    assert back.estimate == pytest.approx(-difference.estimate)


def test_paired_differences_use_the_runs_in_common_only() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((6, 4, 1)), rng.random((4, 4, 1))
    second_records = records_of(second, "B")
    keep = np.ones(16, dtype=np.bool_)
    keep[5] = False
    row = paired_difference(join(records_of(first, "A"), second_records.rows(keep)), "A", "B")[0]
    gaps = first[:4, :, 0] - second[:, :, 0]
    gaps[1, 1] = np.nan
    assert (row.runs, row.shapes) == (15, 4)
    assert row.estimate == pytest.approx(np.nanmean(gaps, axis=1).mean())


def test_networks_without_common_runs_or_records_are_refused() -> None:
    shares = np.full((2, 2, 1), 0.5)
    records = join(records_of(shares, "A"), records_of(shares, "B", "chair"))
    with pytest.raises(InvalidParameterError, match="share no run"):
        paired_difference(records, "A", "B")
    with pytest.raises(UnknownNameError, match="no records of network 'C'; there are A, B"):
        paired_difference(records, "A", "C")


def test_bad_records_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match=r"share 1\.5"):
        records_of(np.array([[[0.5, 1.5]]]))
    with pytest.raises(InvalidParameterError, match="share nan"):
        records_of(np.array([[[0.5, np.nan]]]))
    one = records_of(np.array([[[0.5]]]))
    with pytest.raises(InvalidParameterError, match="run N/cup/shape 0/0/method 0 is there twice"):
        join(one, one)
    with pytest.raises(ShapeMismatchError, match="columns have shapes"):
        replace(one, share=np.zeros(2))


@pytest.mark.parametrize("shapes", [1, 2])
@pytest.mark.parametrize(("draws", "level"), [(1, 0.95), (10, 1.0), (10, 0.0)])
def test_intervals_are_checked(shapes: int, draws: int, level: float) -> None:
    records = records_of(np.full((shapes, 2, 1), 0.5))
    with pytest.raises(InvalidParameterError, match=r"^1 draws: give at least 2|^level [01]\.0: give one in \(0, 1\)"):
        srvr(records, np.random.default_rng(0), draws=draws, level=level)


def test_no_records_are_refused() -> None:
    empty = records_of(np.zeros((0, 1, 1)))
    with pytest.raises(InvalidParameterError, match="no records"):
        srvr(empty, np.random.default_rng(0))


def test_intervals_of_a_hundred_shapes_are_quick() -> None:
    records = join(*(records_of(np.full((100, 4, 3), 0.1), name) for name in ("A", "B")))
    begin = time.process_time()
    srvr(records, np.random.default_rng(0))
    assert time.process_time() - begin < 1.0
