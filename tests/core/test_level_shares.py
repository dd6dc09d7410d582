"""Exact shares of good views on maps, and the best rectangle by them, against integrals of chords and brute force."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest
from scipy.integrate import IntegrationWarning, quad

from semrob_env.errors import NoGroundTruthError
from semrob_env.functions import Complement, ScoreFunction, Stack
from semrob_env.ground_truth import GroundTruth, exact_moments, optimum
from semrob_env.ground_truth.levels import share_above
from semrob_env.parameters import AZIMUTH, ELEVATION, Parameter, SemanticSpace
from semrob_env.questions import MeanGoal, ReliabilityGoal
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.recorded.release import Release
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

HEIGHT = Parameter("height", "", -1.0, 2.0, None, 0.0, "0: middle")
TURN = Parameter("turn", "deg", -180.0, 180.0, 360.0, 0.0, "0: front")

AXES = {
    "turn": (AZIMUTH, np.linspace(0, 300, 6)),
    "turn of two": (AZIMUTH, np.array([0.0, 180.0])),
    "turn begun late": (TURN, -170.0 + 90 * np.arange(4)),
    "turn in tenths": (AZIMUTH, 0.1 + 72 * np.arange(5)),
    "plain": (ELEVATION, np.linspace(-10, 90, 5)),
    "ends inside": (ELEVATION, -10 + 13.0 * np.arange(5)),
    "both ends inside": (HEIGHT, np.array([-0.25, 0.5, 1.25])),
}
KINDS = [
    *((name,) for name in AXES),
    ("turn", "plain"),
    ("turn in tenths", "ends inside"),
    ("ends inside", "turn"),
    ("plain", "both ends inside"),
    ("turn begun late", "turn of two"),
]
EVERY_KIND = pytest.mark.parametrize("kinds", KINDS, ids=" x ".join)


def make_maps(kinds: tuple[str, ...], seed: int = 0, *, plateaus: bool = False) -> ScoreMaps:
    """Two maps; with plateaus, of whole quarters and exactly at levels on many cells."""
    rng = np.random.default_rng(seed)
    parameters, axes = zip(*(AXES[kind] for kind in kinds), strict=True)
    scores = rng.random((2, *map(len, axes)))
    if plateaus:
        scores = np.round(rng.choice([2, 3, 4], scores.shape, p=[0.2, 0.4, 0.4]) + 0 * scores) / 4
    return ScoreMaps(SemanticSpace(parameters), axes, scores.astype(np.float32), ("N/c/0", "N/c/1"))


def some_regions(maps: ScoreMaps, count: int, seed: int, *, flat: bool = False) -> Regions:
    """Regions of all sizes, of a full turn, across seams, on grid lines; flat: some without width."""
    rng = np.random.default_rng(seed)
    space = maps.space
    lower = space.low + rng.random((count, space.n)) * space.width
    sizes = [1e-5, 0.01, 0.3, 1.0, *([0.0] if flat else [])]
    width = rng.choice(sizes, (count, space.n)) * rng.random((count, space.n)) * space.width
    for k, axis in enumerate(maps.axes):
        on_line = rng.random(count) < 0.3
        lower[on_line, k] = rng.choice(axis, on_line.sum())
        width[on_line, k] = rng.integers(1, len(axis), on_line.sum()) * maps.steps[k]
        width[rng.random(count) < 0.1, k] = space.width[k]
    regions = Regions(space, lower, lower + width).clip()
    return regions if flat else regions[np.flatnonzero((regions.width > 0).all(axis=1))]


def crossings(ends: FloatArray, values: FloatArray) -> FloatArray:
    """Where values, linear between ends (K,), are 0."""
    before, after = values[:-1], values[1:]
    found = np.flatnonzero((before < 0) != (after < 0))
    share = before[found] / (before[found] - after[found])
    return np.asarray(ends[found] + share * np.diff(ends)[found])


def good_length(ends: FloatArray, values: FloatArray) -> float:
    """Length of where values, linear between ends (K,), are 0 or above."""
    before, after = values[:-1], values[1:]
    mixed = (before < 0) != (after < 0)
    part = np.where(mixed, np.maximum(before, after) / np.where(mixed, np.abs(before - after), 1.0), before >= 0)
    return float((part * np.diff(ends)).sum())


def pieces(maps: ScoreMaps, k: int, lower: float, upper: float) -> FloatArray:
    """Ends of an interval and the grid lines between them."""
    lines = np.unique(np.concatenate([maps.axes[k] + turn * maps.space.width[k] for turn in range(-2, 3)]))
    lines = lines if maps.space.is_periodic[k] else maps.axes[k]
    return np.concatenate([[lower], lines[(lines > lower) & (lines < upper)], [upper]])


def share_by_chords(function: ScoreFunction, maps: ScoreMaps, box: Regions, member: int, level: float) -> float:
    """The share of one region with a volume where the function is at least a level, from its values alone.

    Chords along the last parameter are exact; over the other one they are integrated adaptively between all kinks.
    """
    sides = [pieces(maps, k, float(box.lower[0, k]), float(box.upper[0, k])) for k in range(maps.space.n)]

    def excess(*theta: npt.ArrayLike) -> FloatArray:
        points = np.stack(np.broadcast_arrays(*theta), axis=-1)
        return np.asarray(function.values(maps.space.project(points)[None], [member])[0] - level)

    if len(sides) == 1:
        return good_length(sides[0], excess(sides[0])) / float(np.ptp(sides[0]))
    first, second = sides
    kinks = [first, *(crossings(first, excess(first, np.full(len(first), at))) for at in second)]
    ends = np.unique(np.concatenate(kinks))
    total = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IntegrationWarning)  # of roundoff, near saddles
        for start, end in itertools.pairwise(ends):
            total += quad(
                lambda x: good_length(second, excess(np.full(len(second), x), second)), start, end, epsabs=1e-12
            )[0]
    return total / float(np.ptp(first) * np.ptp(second))


def exact_share_of_square(corners: FloatArray) -> float:
    """`share_above` of one square in plain rational numbers and logarithms, by quadrature of exact chords."""

    def chord(u: float) -> float:
        ends = corners[0] + (corners[1] - corners[0]) * u
        return good_length(np.array([0.0, 1.0]), ends)

    inner = [
        start / (start - end) for start, end in zip(corners[0], corners[1], strict=True) if (start < 0) != (end < 0)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IntegrationWarning)
        return float(
            sum(
                quad(chord, a, b, epsabs=1e-13, epsrel=1e-13, limit=200)[0]
                for a, b in itertools.pairwise([0.0, *sorted(inner), 1.0])
                if b > a
            )
        )


def some_squares(kind: str, count: int) -> FloatArray:
    rng = np.random.default_rng(list(map(ord, kind)))
    corners = rng.normal(size=(2, 2, count))
    if kind == "nearly flat across":
        twist = rng.normal(size=count) * 10.0 ** -rng.integers(1, 17, count)
        corners[1, 1] = corners[1, 0] + corners[0, 1] - corners[0, 0] + twist
    elif kind == "corner at the level":
        corners[rng.integers(2), rng.integers(2)] = 0
    elif kind == "of all sizes":
        corners *= 10.0 ** -rng.integers(0, 14, (2, 2, count))
    elif kind == "whole numbers":
        corners = np.round(corners)
    elif kind == "nearly a saddle":
        cross = np.array([[1.0, -1.0], [-1.0, 1.0]])[..., None]
        corners = corners[:1, :1] * cross * (1 + corners * 10.0 ** -rng.integers(1, 17, count))
    return corners


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["any", "nearly flat across", "corner at the level", "of all sizes", "whole numbers", "nearly a saddle"]
)
def test_the_share_of_a_cell_is_the_integral_of_its_chords(kind: str) -> None:
    corners = some_squares(kind, 200)
    shares = share_above(corners)
    assert shares == pytest.approx([exact_share_of_square(corners[..., i]) for i in range(200)], abs=2e-12)
    for turned in (corners[::-1], corners[:, ::-1], corners.transpose(1, 0, 2)):
        assert share_above(turned) == pytest.approx(shares, abs=1e-14)
    off = (corners != 0).all(axis=(0, 1))
    assert share_above(-corners)[off] == pytest.approx(1 - shares[off], abs=1e-14)


@pytest.mark.parametrize(
    ("corners", "share"),
    [
        ([[0, 0], [0, 0]], 1),  # a plateau at the level is good
        ([[0, 0], [-1, -1]], 0),  # its edge alone has no area
        ([[0, 0], [0, -1]], 0),
        ([[0, 0], [0, 1]], 1),
        ([[1, 1], [-1, -1]], 0.5),
        ([[1, 0], [0, -1]], 0.5),
        ([[1, -1], [-1, 1]], 0.5),  # a saddle whose borders cross in the middle
        ([[2, -1], [-1, -1]], (2 - math.log(3)) / 3),
        ([[-1e-300, 1], [1, 1]], 1),
    ],
)
def test_shares_of_cells_that_can_be_told_by_hand(corners: list[list[float]], share: float) -> None:
    assert share_above(np.array(corners, dtype=float)[..., None])[0] == pytest.approx(share, abs=1e-15)


@EVERY_KIND
@pytest.mark.parametrize("plateaus", [False, True])
def test_shares_of_regions_are_integrals_of_chords(kinds: tuple[str, ...], plateaus: bool) -> None:
    maps = make_maps(kinds, 3, plateaus=plateaus)
    recorded = RecordedMaps(maps)
    regions = some_regions(maps, 25, 4)
    for function, level in (
        (recorded, 0.5),
        (recorded, 0.75),
        (Complement(recorded), 0.3),
        (Complement(recorded), 0.5),
    ):
        mean, variance = exact_moments(function, regions, np.ones(len(regions), int), ReliabilityGoal(level, 0.9))
        expected = [share_by_chords(function, maps, regions[row], 1, level) for row in range(len(regions))]
        assert mean == pytest.approx(expected, abs=1e-9)
        assert np.array_equal(variance, mean * (1 - mean))


@EVERY_KIND
def test_shares_agree_with_dense_points(kinds: tuple[str, ...]) -> None:
    maps = make_maps(kinds, 5)
    regions = some_regions(maps, 20, 6, flat=True)
    for function in (RecordedMaps(maps), Complement(RecordedMaps(maps))):
        share = exact_moments(function, regions, goal=ReliabilityGoal(0.45, 0.9))[0]
        side = (np.arange(400) + 0.5) / 400 if len(kinds) == 2 else (np.arange(100_000) + 0.5) / 100_000
        grid = np.stack(np.meshgrid(*[side] * len(kinds), indexing="ij"), axis=-1).reshape(-1, len(kinds))
        seen = [(function.values(regions[row].from_fractions(grid)) >= 0.45).mean() for row in range(len(regions))]
        assert share == pytest.approx(seen, abs=0.004)


def test_regions_without_width_have_the_share_of_their_face() -> None:
    maps = make_maps(("turn", "ends inside"), 7)
    function, rng = RecordedMaps(maps), np.random.default_rng(8)
    points = maps.space.sample(50, rng)
    share = exact_moments(function, Regions(maps.space, points, points), goal=ReliabilityGoal(0.5, 0.9))[0]
    assert np.array_equal(share, function.values(points[:, None])[:, 0] >= 0.5)
    thin = Regions(maps.space, points, points + np.array([1e-7, 20.0])).clip()
    face = Regions(maps.space, points, points + np.array([0.0, 20.0])).clip()
    shares = (exact_moments(function, regions, goal=ReliabilityGoal(0.5, 0.9))[0] for regions in (thin, face))
    assert next(shares) == pytest.approx(next(shares), abs=1e-6)


@EVERY_KIND
def test_a_row_has_the_same_bits_whatever_the_batch(kinds: tuple[str, ...]) -> None:
    maps, goal = make_maps(kinds, 9), ReliabilityGoal(0.55, 0.9)
    function = Stack([RecordedMaps(maps), Complement(RecordedMaps(maps))])
    regions = some_regions(maps, 700, 10, flat=True)
    member = np.random.default_rng(1).integers(0, 4, len(regions))
    together = exact_moments(function, regions, member, goal)[0]
    order = np.random.default_rng(2).permutation(len(regions))
    assert np.array_equal(exact_moments(function, regions[order], member[order], goal)[0], together[order])
    for row in range(0, 700, 13):
        assert exact_moments(function, regions[row], member[[row]], goal)[0] == together[row]


def test_what_is_good_all_over_has_the_share_1_and_its_complement_counts_plateaus_at_the_level_too() -> None:
    maps = make_maps(("turn in tenths", "ends inside"))
    flat = RecordedMaps(ScoreMaps(maps.space, maps.axes, np.full_like(maps.scores, 0.4), maps.names))
    regions = some_regions(maps, 300, 11, flat=True)
    score = float(np.float32(0.4))
    for function, level in ((flat, score), (Complement(flat), 1 - score)):
        assert (exact_moments(function, regions, goal=ReliabilityGoal(level, 1.0))[0] == 1).all()
        above = float(np.nextafter(level, 1))
        assert (exact_moments(function, regions, goal=ReliabilityGoal(above, 1.0))[0] == 0).all()


def cell_shares(
    function: ScoreFunction, maps: ScoreMaps, member: int, level: float
) -> tuple[list[FloatArray], FloatArray]:
    """All lines, over two turns of a periodic axis, and the good area of every cell between them, by chords."""
    lines = []
    for axis, parameter in zip(maps.axes, maps.space.parameters, strict=True):
        if parameter.period is None:
            lines.append(np.unique(np.concatenate([[parameter.low], axis, [parameter.high]])))
        else:
            lines.append(np.concatenate([axis, axis + parameter.period, axis[:1] + 2 * parameter.period]))
    areas = np.empty([len(own) - 1 for own in lines])
    for cell in np.ndindex(*areas.shape):
        lower, upper = ([own[i + up] for own, i in zip(lines, cell, strict=True)] for up in (0, 1))
        box = Regions(maps.space, np.array(lower), np.array(upper))
        areas[cell] = share_by_chords(function, maps, box, member, level) * box.volume()[0]
    return lines, areas


@EVERY_KIND
@pytest.mark.parametrize("plateaus", [False, True])
def test_the_optimum_is_the_largest_of_all_rectangles(kinds: tuple[str, ...], plateaus: bool) -> None:
    maps = make_maps(kinds, 12, plateaus=plateaus)
    rng = np.random.default_rng(13)
    starts = maps.space.sample(8, rng)
    for k, axis in enumerate(maps.axes):
        starts[:3, k] = rng.choice(axis, 3)
    for function, level in ((RecordedMaps(maps), 0.5), (Complement(RecordedMaps(maps)), 0.4)):
        lines, areas = cell_shares(function, maps, 1, level)
        periodic = maps.space.is_periodic
        for start, reliability in itertools.product(
            maps.space.project(starts), (0.3137, 0.7091, 0.9519, 1.0)
        ):  # no ties but at 1
            best = 0.0
            choices = []
            for own, turn, at, width in zip(lines, periodic, start, maps.space.width, strict=True):
                pairs = itertools.combinations(range(len(own)), 2)
                most = len(own) // 2 if turn else len(own)
                places = (at, at + width) if turn else (at,)
                choices.append([
                    (i, j) for i, j in pairs if j - i <= most and any(own[i] <= x <= own[j] for x in places)
                ])
            for box in itertools.product(*choices):
                volume = math.prod(own[j] - own[i] for own, (i, j) in zip(lines, box, strict=True))
                good = areas[tuple(slice(i, j) for i, j in box)].sum()
                if good / volume >= reliability - 1e-11:
                    best = max(best, volume)
            goal = ReliabilityGoal(level, reliability)
            found = optimum(function, start, goal, 1)
            assert found.volume == pytest.approx(best, rel=1e-9)
            if found.region is not None:
                assert found.region.contains(start)[0]
                assert goal.is_met(*exact_moments(function, found.region, [1], goal)).all()


def test_a_speck_below_the_level_costs_a_reliability_of_1_its_cells_and_a_lower_one_nothing() -> None:
    axes = np.linspace(0, 357, 120), np.linspace(-10, 89, 34)
    scores = np.full((1, 120, 34), 0.9, dtype=np.float32)
    scores[0, 40, 17] = np.nextafter(np.float32(0.5), np.float32(0))
    truth = GroundTruth(ScoreMaps(SemanticSpace.of("azimuth,elevation"), axes, scores, ("N/c/0",)))
    assert truth.optimum([130.0, 30.0], ReliabilityGoal(0.5, 1 - 1e-9)).share == 1
    found = truth.optimum([130.0, 30.0], ReliabilityGoal(0.5, 1.0))
    assert found.region is not None
    assert found.region.width.tolist() == [[354.0, 100.0]]  # all but the two cells on either side


def test_maps_of_three_parameters_have_moments_but_no_shares() -> None:
    parameters, axes = zip(*(AXES[kind] for kind in ("turn", "plain", "both ends inside")), strict=True)
    scores = np.random.default_rng(0).random((1, *map(len, axes))).astype(np.float32)
    function = RecordedMaps(ScoreMaps(SemanticSpace(parameters), axes, scores, ("N/c/0",)))
    whole = Regions.whole(function.space)
    assert exact_moments(function, whole, goal=MeanGoal(0.1))[0][0] > 0
    for ask in (
        lambda: exact_moments(function, whole, goal=ReliabilityGoal()),
        lambda: optimum(function, whole.center[0], ReliabilityGoal()),
    ):
        with pytest.raises(NoGroundTruthError, match="maps of 1 or 2 parameters, not of 3"):
            ask()


@pytest.mark.slow
def test_shares_and_optima_of_the_released_maps(release: Release) -> None:
    assert release.maps is not None
    maps = release.maps.only(range(0, len(release.maps), 53))
    recorded, truth = RecordedMaps(maps), GroundTruth(maps)
    regions = some_regions(maps, 5, 14)
    for member in range(len(maps)):
        mean = exact_moments(recorded, regions, [member] * len(regions), ReliabilityGoal(0.5))[0]
        expected = [share_by_chords(recorded, maps, regions[row], member, 0.5) for row in range(2)]
        assert mean[:2] == pytest.approx(expected, abs=1e-9)
        for start, reliability in itertools.product(([130.0, 30.0], [50.0, 20.0]), (0.9, 0.95)):
            goal = ReliabilityGoal(0.5, reliability)
            best = truth.optimum(start, goal, member)
            assert best.volume <= truth.optimum(start, ReliabilityGoal(0.5, reliability - 0.1), member).volume
            if best.region is not None:
                assert goal.is_met(*exact_moments(recorded, best.region, [member], goal)).all()
