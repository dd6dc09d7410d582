"""Regions as values: canonical form, the seam, overlap against Monte Carlo, corners and sampling."""

from __future__ import annotations

import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError, InvalidRegionError, ShapeMismatchError
from semrob_env.parameters import Parameter, SemanticSpace
from semrob_env.regions import MOST_CORNER_PARAMETERS, Regions, corner_masks

BOTH = SemanticSpace.of("azimuth,elevation")
AZIMUTH = SemanticSpace.of("azimuth")
SHIFTED = SemanticSpace((
    Parameter("turn", "deg", -180.0, 180.0, 360.0, 0.0, "0: front"),
    Parameter("size", "", 0.1, 0.7, None, 0.1, "0: none"),
    Parameter("phase", "", 0.3, 1.0, 1.0 - 0.3, 0.3, "0: none"),
))
BELOW = SemanticSpace((
    Parameter("turn", "deg", -1080.0, -720.0, 360.0, -1080.0, "0: front"),
    Parameter("size", "", 0.1, 0.7, None, 0.1, "0: none"),
))
"""A turn of negative numbers alone."""


def random_regions(space: SemanticSpace, count: int, seed: int, reach: float = 1.2) -> Regions:
    """Regions that may lie anywhere near the space, be longer than a turn, or hang over its edge."""
    rng = np.random.default_rng(seed)
    lower = space.low + space.width * rng.uniform(-reach, 1 + reach, (count, space.n))
    return Regions(space, lower, lower + space.width * rng.uniform(0, 1.2, (count, space.n)))


def cube(n: int) -> SemanticSpace:
    return SemanticSpace(tuple(Parameter(f"p{k}", "", 0.0, 1.0, None, 0.5, "0: none") for k in range(n)))


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        ([1.0], [2.0], r"both must be \(B, 2\)"),
        ([[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]], "both must be"),
        (np.zeros((1, 1, 2)), np.ones((1, 1, 2)), "both must be"),
        ([math.nan, 0.0], [1.0, 1.0], "finite"),
        ([0.0, 0.0], [math.inf, 1.0], "finite"),
        ([0.0, 5.0], [1.0, 4.0], "region 0: lower elevation 5 is above upper 4"),
        ([350.0, 0.0], [10.0, 4.0], "add a period"),
    ],
)
def test_bounds_that_make_no_region_are_refused(lower: Any, upper: Any, message: str) -> None:
    with pytest.raises(InvalidRegionError, match=message):
        Regions(BOTH, lower, upper)


def test_a_region_keeps_its_own_read_only_copy_of_the_bounds() -> None:
    lower, upper = np.zeros((1, 2)), np.ones((1, 2))
    regions = Regions(BOTH, lower, upper)
    lower[:] = upper[:] = 99.0
    assert (regions.lower.tolist(), regions.upper.tolist()) == ([[0.0, 0.0]], [[1.0, 1.0]])
    for bound in (regions.lower, regions.upper):
        with pytest.raises(ValueError, match="read-only"):
            bound[0, 0] = 1.0


def test_bounds_are_floats_whatever_numbers_are_given() -> None:
    small = np.array([[5, 8]], dtype=np.uint8)
    regions = Regions(BOTH, small, small)  # type: ignore[arg-type]  # the very thing that must not matter
    assert regions.lower.dtype == regions.upper.dtype == np.float64
    assert regions.outer(0.5).lower.tolist() == [[5.0, 8.0]]
    around = Regions.around(BOTH, small, np.array([10, 20], dtype=np.uint8))  # of which 5 - 10 is 251
    assert (around.lower.tolist(), around.upper.tolist()) == ([[355.0, -10.0]], [[375.0, 28.0]])


def test_the_refused_side_is_told_by_its_name_beside_one_without_width() -> None:
    with pytest.raises(InvalidRegionError, match="region 1: lower elevation 5 is above upper 4"):
        Regions(BOTH, np.array([[5.0, 5.0], [5.0, 5.0]]), np.array([[5.0, 5.0], [5.0, 4.0]]))


@pytest.mark.parametrize("space", [BOTH, SHIFTED], ids=["paper", "shifted"])
def test_bounds_that_need_not_move_keep_their_bits(space: SemanticSpace) -> None:
    rng = np.random.default_rng(11)
    lower, upper = np.sort(space.from_unit(rng.random((2, 5000, space.n))), axis=0)
    assert (lower + (upper - lower) != upper).any()  # else adding the width would do as well
    cut = Regions(space, lower, upper).clip()
    assert (cut.lower.tobytes(), cut.upper.tobytes()) == (lower.tobytes(), upper.tobytes())


@pytest.mark.parametrize("space", [BOTH, SHIFTED, cube(3)], ids=["paper", "shifted", "cube"])
def test_the_canonical_form_is_exact_and_stays_as_it_is(space: SemanticSpace) -> None:
    regions = random_regions(space, 5000, seed=1).clip()
    periodic = space.is_periodic
    assert (regions.lower >= space.low).all()
    assert (regions.lower[:, periodic] < space.high[periodic]).all()
    assert (regions.upper[:, ~periodic] <= space.high[~periodic]).all()
    assert (regions.upper >= regions.lower).all()
    assert (regions.width <= space.width).all()
    assert (regions.share() <= 1).all()
    again = regions.clip()
    assert (again.lower.tobytes(), again.upper.tobytes()) == (regions.lower.tobytes(), regions.upper.tobytes())


@pytest.mark.parametrize(
    ("lower", "upper", "canonical"),
    [
        (10.0, 30.0, (10.0, 30.0)),
        (350.0, 370.0, (350.0, 370.0)),
        (-10.0, 10.0, (350.0, 370.0)),
        (370.0, 380.0, (10.0, 20.0)),
        (360.0, 365.0, (0.0, 5.0)),
        (350.0, 360.0, (350.0, 360.0)),
        (-1e-17, 5.0, (0.0, 5.0)),
        (0.0, 360.0, (0.0, 360.0)),
        (90.0, 450.0, (90.0, 450.0)),
        (-100.0, 500.0, (20.0, 380.0)),  # one turn around the same centre
        (7.0, 7.0, (7.0, 7.0)),
        (360.0, 360.0, (0.0, 0.0)),
        (-1e5, 1e5, (180.0, 540.0)),
        (0.0, 1080.0, (0.0, 360.0)),  # three turns, the middle one of which begins where the region does
    ],
)
def test_azimuth_bounds_take_their_canonical_form(lower: float, upper: float, canonical: tuple[float, float]) -> None:
    regions = Regions(AZIMUTH, [[lower]], [[upper]]).clip()  # type: ignore[arg-type]  # plain lists are taken too
    assert (regions.lower[0, 0], regions.upper[0, 0]) == canonical


def test_a_plain_side_is_clamped_and_vanishes_outside() -> None:
    regions = Regions(BOTH, np.array([[0, -50.0], [0, 95.0], [0, -50.0]]), np.array([[9, 20.0], [9, 99.0], [9, 400.0]]))
    assert regions.clip().lower[:, 1].tolist() == [-10.0, 90.0, -10.0]
    assert regions.clip().upper[:, 1].tolist() == [20.0, 90.0, 90.0]
    assert regions.share().tolist() == [9 / 360 * 30 / 100, 0.0, 9 / 360]
    assert regions.volume().tolist() == [9 * 70.0, 9 * 4.0, 9 * 450.0]  # of the region itself, not cut


def test_the_whole_space_has_share_one_and_around_is_cut_to_the_space() -> None:
    assert Regions.whole(BOTH, 3).share().tolist() == [1.0, 1.0, 1.0]
    around = Regions.around(BOTH, [5.0, 88.0], [10.0, 4.0])
    assert (around.lower.tolist(), around.upper.tolist()) == ([[355.0, 84.0]], [[375.0, 90.0]])
    assert len(Regions.around(BOTH, BOTH.sample(6, np.random.default_rng(0)), 1e-5)) == 6


def test_regions_are_equal_when_their_canonical_forms_are() -> None:
    one = Regions(BOTH, np.array([[-10.0, -50.0]]), np.array([[10.0, 5.0]]))
    same = Regions(BOTH, np.array([[350.0, -10.0]]), np.array([[370.0, 5.0]]))
    assert one == same
    assert hash(one) == hash(same)
    assert len({one, same}) == 1
    assert one != Regions(BOTH, np.array([[350.0, -10.0]]), np.array([[370.0, 5.1]]))
    assert one != one[[0, 0]]
    assert one != "region"
    assert Regions(AZIMUTH, np.zeros((1, 1)), np.ones((1, 1))) != Regions(cube(1), np.zeros((1, 1)), np.ones((1, 1)))
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_negative_zero_is_the_zero_it_equals() -> None:
    zero = Regions(BOTH, np.array([[0.0, 0.0]]), np.array([[1.0, 1.0]]))
    minus = Regions(BOTH, np.array([[-0.0, -0.0]]), np.array([[1.0, 1.0]]))
    assert zero == minus
    assert hash(zero) == hash(minus)
    below = [Regions(BOTH, np.array([[5.0, -5.0]]), np.array([[6.0, upper]])) for upper in (0.0, -0.0)]
    assert below[0] == below[1]
    assert hash(below[0]) == hash(below[1])


def test_regions_that_differ_have_hashes_that_differ() -> None:
    regions = random_regions(BOTH, 200, seed=12)
    assert len({hash(regions[row]) for row in range(200)}) == 200


def test_rows_are_chosen_as_batches() -> None:
    regions = random_regions(BOTH, 5, seed=2)
    assert regions[2].lower.tolist() == [regions.lower[2].tolist()]
    assert regions[np.int64(-1)] == regions[4]
    assert len(regions[1:3]) == 2
    assert regions[np.array([True, False, False, False, True])] == regions[[0, 4]]
    assert len(regions[[]]) == 0


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_bit_k_of_a_corner_says_whether_parameter_k_is_at_its_upper_bound(n: int) -> None:
    lower = np.arange(n)[None] / 10
    corners = Regions(cube(n), lower, lower + 0.5).corners()
    assert corners.shape == (1, 2**n, n)
    for c, k in itertools.product(range(2**n), range(n)):
        assert corners[0, c, k] == k / 10 + (0.5 if c >> k & 1 else 0.0)


def test_full_corner_sets_end_at_twelve_parameters() -> None:
    assert corner_masks(MOST_CORNER_PARAMETERS).shape == (4096, 12)
    assert corner_masks(2).dtype == np.bool_
    with pytest.raises(InvalidParameterError, match="13 parameters have 2\\^13 corners"):
        Regions.whole(cube(13)).corners()
    with pytest.raises(InvalidParameterError):
        corner_masks(64)
    assert Regions.whole(cube(20)).share().tolist() == [1.0]  # all else works at any n


def test_the_outer_region_reaches_half_alpha_r_further_on_every_side() -> None:
    regions = Regions(BOTH, np.array([[350.0, 80.0]]), np.array([[370.0, 90.0]]))
    outer = regions.outer(0.1)
    assert outer.lower == pytest.approx(np.array([[349.0, 79.5]]))
    assert outer.upper == pytest.approx(np.array([[371.0, 90.5]]))  # not cut to the space
    for alpha in (0.0, -0.1, math.nan):
        with pytest.raises(InvalidParameterError, match="boundary factor"):
            regions.outer(alpha)


def test_contains_works_across_the_seam_for_every_shape_of_points() -> None:
    regions = Regions(BOTH, np.array([[350.0, 0.0], [10.0, 0.0]]), np.array([[370.0, 90.0], [20.0, 90.0]]))
    assert regions.contains([355.0, 5.0]).tolist() == [True, False]
    assert regions.contains([[10.0, 0.0], [20.0, 90.0]]).tolist() == [True, True]
    points = [[[0.0, 0.0], [10.0, 0.0], [10.001, 0.0], [349.99, 0.0], [0.0, -1.0], [math.nan, 0.0]]] * 2
    assert regions.contains(points).tolist() == [
        [True, True, False, False, False, False],
        [False, True, True] + [False] * 3,
    ]
    with pytest.raises(ShapeMismatchError):
        regions.contains([[1.0, 2.0, 3.0]])


def test_contains_takes_points_and_bounds_of_any_turn() -> None:
    regions = Regions(AZIMUTH, np.array([[-20.0]]), np.array([[10.0]]))
    inside = regions.contains(np.array([[[345.0], [-15.0], [705.0], [370.0], [10.0], [340.0], [11.0], [339.0]]]))
    assert inside.tolist() == [[True] * 6 + [False] * 2]


@pytest.mark.parametrize("bounds", [(0.0, 360.0), (90.0, 450.0), (-500.0, 500.0)])
def test_a_full_turn_contains_every_angle_but_not_nan(bounds: tuple[float, float]) -> None:
    regions = Regions(AZIMUTH, np.array([[bounds[0]]]), np.array([[bounds[1]]]))
    angles = np.concatenate([np.linspace(0, 360, 721)[:-1], [1e-300, np.nextafter(360, 0)]])
    assert regions.contains(angles[None, :, None]).all()
    assert not regions.contains([math.nan]).any()


@pytest.mark.parametrize("space", [BOTH, SHIFTED], ids=["paper", "shifted"])
def test_rounding_at_the_seam_loses_no_corner_and_no_sample(space: SemanticSpace) -> None:
    regions = random_regions(space, 3000, seed=3)
    cut, turns = regions.clip(), space.is_periodic  # the raw regions are cut along plain sides only
    raw = Regions(space, np.where(turns, regions.lower, cut.lower), np.where(turns, regions.upper, cut.upper))
    ends = np.random.default_rng(0).integers(0, 2, (3000, 8, space.n)).astype(np.float64)
    for chosen in (raw, cut):
        assert chosen.contains(space.project(chosen.corners())).all()
        assert chosen.contains(chosen.from_fractions(ends)).all()


@pytest.mark.parametrize("space", [BOTH, SHIFTED, BELOW], ids=["paper", "shifted", "below"])
@pytest.mark.parametrize(("down", "up"), [(1.0, 0.0), (0.0, 1.0), (0.7, 1e-14), (0.0, 0.0), (1.3, 0.0)])
def test_a_region_that_ends_at_its_start_holds_it_across_the_seam(space: SemanticSpace, down: float, up: float) -> None:
    rng = np.random.default_rng(0)
    start = space.sample(3000, rng)
    edges = (space.low, np.nextafter(space.low, np.inf), np.nextafter(space.high, -np.inf), space.low + 1e-9)
    start[: len(edges)] = [space.project(edge) for edge in edges]
    reach = space.width * np.minimum(1.0, rng.uniform(0, 1.2, start.shape))
    raw = Regions(space, start - down * reach, start + up * reach)
    cut = raw.clip()
    assert (raw.lower < space.low)[:, space.is_periodic].any() or not down
    assert raw.contains(start).all()
    assert cut.contains(start).all()
    # By no more than rounding: what lies a billionth of a turn beyond is outside, where the region is shorter.
    beyond = space.project(start + (up * reach + 1e-9 * space.width) * space.is_periodic)
    is_short = (cut.width < 0.9 * space.width).all(axis=1) & (beyond != start).any(axis=1)
    assert not cut.contains(beyond)[is_short].any()
    assert is_short.any()


@pytest.mark.parametrize("space", [BOTH, SHIFTED, BELOW], ids=["paper", "shifted", "below"])
@pytest.mark.parametrize("turns", [-40, -3, -1, 1, 2, 40])
def test_a_region_whole_turns_away_holds_the_point_it_ends_at(space: SemanticSpace, turns: int) -> None:
    rng = np.random.default_rng(5)
    told = space.sample(3000, rng) + turns * space.width * space.is_periodic
    reach = space.width * rng.choice([0.0, 1e-12, 0.2, 0.5, 0.999], told.shape)
    start = space.project(told)
    for raw in (Regions(space, told - reach, told), Regions(space, told, told + reach)):
        cut = raw.clip()
        assert raw.contains(start).all()
        assert cut.contains(start).all()
        assert (cut.width <= space.width).all()
        assert np.allclose(cut.width[:, space.is_periodic], raw.width[:, space.is_periodic], rtol=0, atol=1e-10)
        assert cut.clip().upper.tobytes() == cut.upper.tobytes()


@pytest.mark.parametrize("space", [BOTH, SHIFTED], ids=["paper", "shifted"])
def test_a_region_without_width_contains_its_point_and_no_other(space: SemanticSpace) -> None:
    points = space.sample(300, np.random.default_rng(13))
    points[:2] = [space.low, space.project(np.where(space.is_periodic, np.nextafter(space.high, 0), space.high))]
    for turns in (-1, 0, 1):
        bounds = points + turns * space.width * space.is_periodic
        regions = Regions(space, bounds, bounds)
        held = regions.clip().contains(np.tile(space.project(bounds), (300, 1, 1)))
        assert held.diagonal().all()
        assert held.sum() == 300
        assert regions.contains(space.project(points + 1e-6 * space.width * space.is_periodic)).sum() == 0


def test_contains_agrees_with_counting_turns_by_hand() -> None:
    regions = random_regions(AZIMUTH, 200, seed=4)
    points = AZIMUTH.sample(500, np.random.default_rng(5))
    turned = points.ravel() + 360.0 * np.arange(-4, 5)[:, None]
    by_hand = ((turned >= regions.lower[:, None]) & (turned <= regions.upper[:, None])).any(axis=1)
    assert (regions.contains(np.tile(points, (200, 1, 1))) == by_hand).all()


@pytest.mark.parametrize("space", [BOTH, SHIFTED], ids=["paper", "shifted"])
def test_overlap_modulo_the_period_agrees_with_monte_carlo(space: SemanticSpace) -> None:
    one, other = random_regions(space, 60, seed=6, reach=0.2), random_regions(space, 60, seed=7, reach=0.2)
    points = np.tile(space.sample(20_000, np.random.default_rng(8)), (60, 1, 1))
    in_one, in_other = one.contains(points), other.contains(points)
    shared, either = (in_one & in_other).mean(axis=1), (in_one | in_other).mean(axis=1)
    assert one.intersection_volume(other) / space.volume == pytest.approx(shared, abs=0.015)
    assert one.share() == pytest.approx(in_one.mean(axis=1), abs=0.015)
    ratio = np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
    assert one.iou(other) == pytest.approx(ratio, abs=0.04)
    assert one.iou(other) == pytest.approx(other.iou(one), abs=1e-12)
    assert (shared > 0.01).sum() > 10  # the comparison is about something


@pytest.mark.parametrize(
    ("one", "other", "volume", "iou"),
    [
        ((350.0, 370.0), (0.0, 20.0), 10.0, 1 / 3),
        ((350.0, 370.0), (-10.0, 10.0), 20.0, 1.0),
        ((350.0, 370.0), (10.0, 350.0), 0.0, 0.0),
        ((10.0, 350.0), (340.0, 380.0), 20.0, 20 / 360),  # two pieces
        ((0.0, 360.0), (350.0, 370.0), 20.0, 20 / 360),
        ((0.0, 360.0), (90.0, 450.0), 360.0, 1.0),
        ((-700.0, 700.0), (5.0, 6.0), 1.0, 1 / 360),
        ((5.0, 5.0), (5.0, 5.0), 0.0, 0.0),
        ((350.0, 360.0), (0.0, 10.0), 0.0, 0.0),
    ],
)
def test_overlaps_of_arcs(one: tuple[float, float], other: tuple[float, float], volume: float, iou: float) -> None:
    a, b = (Regions(AZIMUTH, np.array([[low]]), np.array([[high]])) for low, high in (one, other))
    for x, y in ((a, b), (b, a)):
        assert x.intersection_volume(y)[0] == pytest.approx(volume, abs=1e-12)
        assert x.iou(y)[0] == pytest.approx(iou, abs=1e-12)


@pytest.mark.parametrize("space", [BOTH, SHIFTED, cube(20)], ids=["paper", "shifted", "cube"])
def test_a_region_overlaps_itself_wholly(space: SemanticSpace) -> None:
    regions = random_regions(space, 300, seed=9, reach=0.3)
    regions = regions[regions.share() > 0]
    assert regions.iou(regions) == pytest.approx(np.ones(len(regions)), abs=1e-12)


@pytest.mark.parametrize("space", [BOTH, SHIFTED], ids=["paper", "shifted"])
def test_an_overlap_is_never_larger_than_either_region(space: SemanticSpace) -> None:
    rng = np.random.default_rng(14)
    lower = space.low + space.width * rng.random((5000, space.n))
    lower[:, ~space.is_periodic] = space.low[~space.is_periodic]
    turns = Regions(space, lower, lower + space.width)  # whole turns, whose ends meet but for a rounding
    parts = random_regions(space, 5000, seed=15)
    for one, other in ((turns, turns), (turns, turns[::-1]), (turns, parts), (parts, parts)):
        least = np.minimum(one.clip().volume(), other.clip().volume())
        assert (one.intersection_volume(other) <= least).all()
        assert (one.iou(other) <= 1).all()


def test_the_overlap_of_nothing_with_nothing_is_no_share_of_it() -> None:
    points = Regions(BOTH, np.full((50, 2), 5.0), np.full((50, 2), 5.0))
    assert points.iou(points).tolist() == [0.0] * 50


def test_samples_lie_in_their_region_and_in_the_space_and_are_uniform() -> None:
    regions = Regions(
        BOTH,
        np.array([[350.0, 0.0], [5.0, 85.0], [100.0, 3.0]]),
        np.array([[370.0, 10.0], [365.0, 90.0], [100.0, 3.0]]),
    )
    points = regions.sample(4000, [np.random.default_rng(seed) for seed in range(3)])
    assert points.shape == (3, 4000, 2)
    assert BOTH.contains(points).all()
    assert regions.contains(points).all()
    unwrapped = np.where(points[0, :, 0] < 180, points[0, :, 0] + 360, points[0, :, 0])
    assert (unwrapped.mean(), unwrapped.var()) == pytest.approx((360.0, 400 / 12), rel=0.05)
    assert (points[2] == [100.0, 3.0]).all()
    alone = regions[1].sample(4000, [np.random.default_rng(1)])
    assert alone[0].tobytes() == points[1].tobytes()  # whatever stands beside it


def test_sampling_wants_one_generator_a_region_and_takes_no_region_at_all() -> None:
    with pytest.raises(InvalidRegionError, match="1 generators for 2 regions"):
        Regions.whole(BOTH, 2).sample(5, [np.random.default_rng(0)])
    assert Regions.whole(BOTH, 0).sample(5, []).shape == (0, 5, 2)


def test_the_center_lies_inside_along_a_turn() -> None:
    regions = Regions(BOTH, np.array([[350.0, 0.0]]), np.array([[374.0, 10.0]]))
    assert regions.center.tolist() == [[2.0, 5.0]]
