"""SRVR tables, their intervals and paired differences."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError, ShapeMismatchError, UnknownNameError
from semrob_env.metrics import RegionRecords, SrvrRow, paired_difference, srvr
from semrob_env.metrics.intervals import difference_interval
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


def test_the_last_shape_may_lack_the_last_method() -> None:
    shares = np.arange(12, dtype=float).reshape(3, 2, 2) / 12
    keep = np.ones((3, 2, 2), dtype=np.bool_)
    keep[2, :, 1] = False
    row = srvr(records_of(shares).rows(keep.ravel()), np.random.default_rng(0))[0]
    assert row.estimate == pytest.approx((shares[:, :, 0].mean() + shares[:2, :, 1].mean()) / 2)
    assert (row.runs, row.shapes) == (10, 3)


def test_a_method_that_a_class_lacks_does_not_count_there_as_zero() -> None:
    rng = np.random.default_rng(0)
    cup, chair = rng.random((4, 3, 2)), rng.random((5, 3, 1))
    records = join(records_of(cup, "A"), records_of(chair, "A", "chair"), records_of(cup / 2, "B"))
    rows = {row.class_name: row for row in srvr(records.only(networks=["A"]), rng)}
    assert rows["cup"].estimate == pytest.approx(cup.mean())
    assert rows["chair"].estimate == pytest.approx(chair.mean())
    assert rows[None].estimate == pytest.approx((cup.mean() + chair.mean()) / 2)
    one_method = join(records.only(networks=["A"]), records.only(networks=["B"], methods=["method 0"]))
    difference = paired_difference(one_method, "A", "B")[0]
    assert difference.estimate == pytest.approx(cup[:, :, 0].mean() / 2)


def test_columns_may_be_lists_and_become_arrays_of_their_kind() -> None:
    records = RegionRecords(
        *(["N", "N"], ["cup", "cup"], ["a", "a"], [0, 1], ["m", "m"], [0, 1], [1, 0], [False, True])  # type: ignore[arg-type]
    )
    kinds = {name: getattr(records, name).dtype.kind for name in records.__dataclass_fields__}
    assert kinds == {
        "network": "U",
        "class_name": "U",
        "shape": "U",
        "start": "i",
        "method": "U",
        "share": "f",
        "feasible": "b",
        "certified": "b",
    }
    row = srvr(records, np.random.default_rng(0))[0]
    assert (row.estimate, row.feasible_estimate, row.certified_estimate) == (0.5, 0.0, 0.5)  # a share may be 1


def test_methods_classes_and_networks_are_chosen_together_or_alone() -> None:
    shares = np.random.default_rng(0).random((2, 2, 2))
    records = join(records_of(shares, "A"), records_of(shares, "B"), records_of(shares, "B", "chair"))
    assert len(records.only()) == 24
    assert set(records.only(networks=["B"]).network) == {"B"}
    assert set(records.only(methods=["method 1"]).method) == {"method 1"}
    assert len(records.only(networks=["A", "B"], class_names=["chair", "none"], methods=["method 0"])) == 4
    assert len(records.only(networks=[])) == 0


def test_intervals_are_those_of_the_shapes_mean_shares_at_their_level() -> None:
    shares = np.random.default_rng(0).random((6, 4, 2))
    wide, narrow = (
        srvr(records_of(shares), np.random.default_rng(0), draws=20_000, level=level)[0] for level in (0.95, 0.5)
    )
    assert wide.low < narrow.low < wide.estimate < narrow.high < wide.high
    # Gaffke's bound, of weights that are uniform on the simplex: exponential ones over their sum.
    drawn = np.random.default_rng(1).exponential(size=(20_000, 7))
    drawn /= drawn.sum(axis=1, keepdims=True)
    low = drawn[:, :6] @ shares.mean(axis=(1, 2))
    for row, level in ((wide, 0.95), (narrow, 0.5)):
        assert row.low == pytest.approx(np.quantile(low, (1 - level) / 2), abs=0.006)
        assert row.high == pytest.approx(np.quantile(low + drawn[:, 6], (1 + level) / 2), abs=0.006)


def test_networks_draw_intervals_of_their_own_and_seeds_matter() -> None:
    shares = np.random.default_rng(0).random((6, 4, 2))
    records = records_of(shares)
    first, again, other = (srvr(records, np.random.default_rng(seed), draws=100)[0] for seed in (1, 1, 2))
    assert same(first, again)
    assert first.low != other.low
    classes = srvr(join(records, records_of(shares, class_name="chair")), np.random.default_rng(1), draws=100)
    assert classes[0].low != classes[1].low  # each class by draws of its own
    assert same(classes[1], first)


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


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_a_difference_has_the_interval_of_its_shapes_each_class_weighing_the_same(level: float) -> None:
    rng = np.random.default_rng(0)
    chair, cup = rng.random((8, 3, 2)) / 9, rng.random((4, 3, 2)) / 9
    records = join(*(records_of(of / part, name, kind) for part, name in ((1, "A"), (2, "B"))
                     for of, kind in ((chair, "chair"), (cup, "cup"))))  # fmt: skip
    overall = paired_difference(records, "A", "B", level=level)[-1]
    gaps = np.concatenate([chair.mean(axis=(1, 2)), cup.mean(axis=(1, 2))])[None] / 2
    weights = np.repeat([1 / 16, 1 / 8], [8, 4])
    low, high = difference_interval(gaps, weights, level=level)
    assert (overall.low, overall.high) == pytest.approx((low[0], high[0]))
    assert overall.estimate == pytest.approx(float(gaps[0] @ weights))


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
