"""The best rectangle against brute force over every rectangle, with integrals by quadrature of the function itself."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest

from semrob_env.errors import (
    InvalidRegionError,
    NoGroundTruthError,
    OutOfSpaceError,
    SemrobError,
    ShapeMismatchError,
    UnknownNameError,
)
from semrob_env.functions import CallableFunction, Complement, ScoreFunction, Stack
from semrob_env.ground_truth import GroundTruth, exact_moments, ground_truth, optima, optimum
from semrob_env.parameters import AZIMUTH, ELEVATION, Parameter, SemanticSpace
from semrob_env.questions import Goal, MeanGoal, ReliabilityGoal
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.recorded.integrals import exact_moments as moments_of_maps
from semrob_env.regions import Regions
from semrob_env.synthetic import make_synthetic
from semrob_env.types import FloatArray

HEIGHT = Parameter("height", "", -1.0, 2.0, None, 0.0, "0: middle")
TURN = Parameter("turn", "deg", -180.0, 180.0, 360.0, 0.0, "0: front")

AXES = {
    "turn": (AZIMUTH, np.linspace(0, 300, 6)),
    "turn begun late": (TURN, -170.0 + 90 * np.arange(4)),
    "turn in tenths": (AZIMUTH, 0.1 + 72 * np.arange(5)),
    "long turn": (AZIMUTH, np.linspace(0, 350, 36)),
    "plain": (ELEVATION, np.linspace(-10, 90, 5)),
    "ends inside": (ELEVATION, -10 + 13.0 * np.arange(5)),
    "both ends inside": (HEIGHT, np.array([-0.25, 0.5, 1.25])),
    "short": (HEIGHT, np.linspace(-1, 2, 2)),
}
KINDS = [
    ("turn",),
    ("long turn",),
    ("plain",),
    ("both ends inside",),
    ("turn", "plain"),
    ("turn in tenths", "ends inside"),
    ("ends inside", "turn"),
    ("plain", "both ends inside"),
    ("short", "turn begun late"),
    ("turn begun late", "plain", "both ends inside"),
    ("short", "ends inside", "turn begun late"),
]
EVERY_KIND = pytest.mark.parametrize("kinds", KINDS, ids=" x ".join)

Box = tuple[FloatArray, FloatArray]


def make_maps(
    kinds: tuple[str, ...], seed: int = 0, count: int = 2, score_range: tuple[float, float] = (0.0, 1.0)
) -> ScoreMaps:
    """Maps with a hill, so that some boxes of all sizes are feasible."""
    rng = np.random.default_rng(seed)
    parameters, axes = zip(*(AXES[kind] for kind in kinds), strict=True)
    scores = rng.random((count, *map(len, axes)))
    for k in range(1, scores.ndim):
        scores = scores + np.sin(rng.uniform(0, 6) + np.arange(scores.shape[k])).reshape(
            -1, *[1] * (scores.ndim - k - 1)
        )
    scores = (scores - scores.min()) / np.ptp(scores) * (score_range[1] - score_range[0]) + score_range[0]
    names = tuple(f"N/c/{row}" for row in range(count))
    clipped = np.clip(scores.astype(np.float32), *score_range)
    return ScoreMaps(SemanticSpace(parameters), axes, clipped, names, score_range=score_range)


def some_starts(maps: ScoreMaps, count: int, seed: int) -> FloatArray:
    """Points (count, n), some of their coordinates on grid lines or bounds."""
    rng = np.random.default_rng(seed)
    starts = maps.space.sample(count, rng)
    for k, axis in enumerate(maps.axes):
        places = (
            axis if maps.space.is_periodic[k] else np.concatenate([axis, maps.space.low[[k]], maps.space.high[[k]]])
        )
        chosen = rng.random(count) < 0.4
        starts[chosen, k] = rng.choice(places, chosen.sum())
    return maps.space.project(starts)


class BruteForce:
    """Every rectangle on the lines of one map, judged by 2 Gauss nodes a cell and axis, exact for degree 3."""

    def __init__(self, maps: ScoreMaps, member: int) -> None:
        self.space = maps.space
        self.lines, nodes, self.weights = [], [], []
        points, shares = np.polynomial.legendre.leggauss(2)
        for axis, parameter in zip(maps.axes, maps.space.parameters, strict=True):
            if parameter.period is None:
                lines = np.unique(np.concatenate([[parameter.low], axis, [parameter.high]]))
            else:
                lines = np.concatenate([axis, axis + parameter.period, axis[:1] + 2 * parameter.period])
            middle, half = (lines[1:] + lines[:-1]) / 2, np.diff(lines) / 2
            nodes.append((middle[:, None] + half[:, None] * points).ravel())
            self.weights.append((half[:, None] * shares).ravel())
            self.lines.append(lines)
        theta = np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1)
        values = RecordedMaps(maps).values(self.space.project(theta).reshape(1, -1, self.space.n), [member])
        low, high = maps.score_range
        self.values = (values.reshape(theta.shape[:-1]) - low) / (high - low)

    def intervals(self, k: int, start: float) -> list[tuple[int, int]]:
        """Pairs of line numbers whose interval contains start, modulo the period."""
        lines, period = self.lines[k], self.space.parameters[k].period
        pairs = itertools.combinations(range(len(lines)), 2)
        if period is None:
            return [(i, j) for i, j in pairs if lines[i] <= start <= lines[j]]
        count = len(lines) // 2
        return [
            (i, j)
            for i, j in pairs
            if i < count
            and j - i <= count
            and any(lines[i] <= turned <= lines[j] for turned in (start, start + period))
        ]

    def moments(self, box: tuple[tuple[int, int], ...]) -> tuple[float, float, float]:
        """Mean, variance and volume of a rectangle."""
        part = tuple(slice(2 * i, 2 * j) for i, j in box)
        values, weight = self.values[part], np.ones(())
        for weights, own in zip(self.weights, part, strict=True):
            weight = np.multiply.outer(weight, weights[own])
        volume = float(weight.sum())
        mean = float((weight * values).sum() / volume)
        return mean, float((weight * (values - mean) ** 2).sum() / volume), volume

    def best(self, start: FloatArray, goals: list[MeanGoal], mirrored: bool) -> list[float]:
        """The largest volume for each goal; 0 where nothing is feasible."""
        best = [0.0] * len(goals)
        for box in itertools.product(*(self.intervals(k, at) for k, at in enumerate(start.tolist()))):
            mean, variance, volume = self.moments(box)
            mean = 1 - mean if mirrored else mean
            for q, goal in enumerate(goals):
                if mean >= 1 - goal.epsilon_m and variance <= goal.epsilon_v:
                    best[q] = max(best[q], volume)
        return best


GOALS = [
    *(MeanGoal(epsilon_m) for epsilon_m in (0.5, 0.35, 0.2, 0.05, 1.0)),
    *(MeanGoal(*epsilons) for epsilons in ((0.5, 0.03), (0.4, 0.01), (1.0, 0.005))),
]


@EVERY_KIND
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_optimum_is_the_largest_of_all_rectangles(
    kinds: tuple[str, ...], mirrored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semrob_env.ground_truth.cells._BLOCK", 7)
    maps = make_maps(kinds, seed=len(kinds))
    truth, brute = GroundTruth(maps), BruteForce(maps, 1)
    function: ScoreFunction = Complement(RecordedMaps(maps)) if mirrored else RecordedMaps(maps)
    seen = set()
    for start in some_starts(maps, {1: 30, 2: 8, 3: 2}[len(kinds)], 3):
        together = truth.optima(start, GOALS, 1, complement=mirrored)
        for goal, volume, same in zip(GOALS, brute.best(start, GOALS, mirrored), together, strict=True):
            found = truth.optimum(start, goal, 1, complement=mirrored)
            assert vars(same) == vars(found)
            assert found.volume == pytest.approx(volume, rel=1e-12)
            assert found.share == pytest.approx(volume / maps.space.volume, rel=1e-12)
            seen.add(round(found.share, 6))
            if found.region is None:
                assert volume == 0
                continue
            assert found.region.contains(start)[0]
            assert found.region == found.region.clip()
            mean, variance = exact_moments(function, found.region, [1])
            assert mean[0] >= 1 - goal.epsilon_m
            assert variance[0] <= goal.epsilon_v
    assert {0.0, 1.0} < seen  # and others


@pytest.mark.parametrize("score_range", [(-2.0, 3.0), (0.0, 100.0)])
def test_goals_speak_of_scores_mapped_to_0_and_1(score_range: tuple[float, float]) -> None:
    maps = make_maps(("turn", "ends inside"), seed=4, score_range=score_range)
    truth, brute = GroundTruth(maps), BruteForce(maps, 0)
    for start in some_starts(maps, 6, 0):
        for goal, volume in zip(GOALS, brute.best(start, GOALS, False), strict=True):
            assert truth.optimum(start, goal).volume == pytest.approx(volume, rel=1e-12)


@pytest.mark.parametrize(("steps", "different"), [(1000, 10), (4, 5), (1, 3)])
def test_optima_for_many_goals_are_those_for_one_to_the_last_bit(steps: int, different: int) -> None:
    maps = smooth_maps(3)
    truth = GroundTruth(replace(maps, scores=(np.rint(steps * maps.scores) / steps).astype(np.float32)))
    levels = [0.0, *np.linspace(0.1, 0.9, 5), 1.0]
    bases = [MeanGoal(), MeanGoal(0.5, 0.04), ReliabilityGoal(0.5, 0.9), ReliabilityGoal(0.5, 1.0)]
    goals = [base.at(level) for base in bases for level in levels if level or base.name == "mean"]
    shares = set[float]()
    for start in some_starts(maps, 2, 4):
        together = truth.optima(start, goals, 1)
        asked = optima(RecordedMaps(truth.maps), start, goals, 1)
        for goal, one, other in zip(goals, together, asked, strict=True):
            assert vars(one) == vars(other) == vars(truth.optimum(start, goal, 1))
        shares |= {found.share for found in together}
    assert len(shares) >= different


def test_optima_of_a_formula_are_its_optimum_for_each_goal() -> None:
    hill = make_synthetic("synthetic:hill?n=2&seed=0")
    start, goals = [180.0, 40.0], [MeanGoal().at(level) for level in (0.2, 0.5, 0.99)]
    found = optima(hill, start, goals)
    assert [one.share for one in found] == [hill.optimal_share(start, goal) for goal in goals]
    assert found[0].share > found[1].share > found[2].share == 0


def smooth_maps(seed: int) -> ScoreMaps:
    """Three maps of the size of the recorded ones, from a few waves."""
    rng = np.random.default_rng(seed)
    axes = (np.linspace(0, 357, 120), np.linspace(-10, 89, 34))
    azimuth, elevation = np.meshgrid(np.radians(axes[0]), axes[1] / 30, indexing="ij")
    scores = np.zeros((3, 120, 34))
    for row in range(3):
        for wave in range(6):
            scores[row] += rng.normal() * np.sin(wave * azimuth + rng.uniform(0, 6)) * np.cos(rng.normal() * elevation)
    scores = 1 / (1 + np.exp(-2 * scores))
    space = SemanticSpace.of("azimuth,elevation")
    return ScoreMaps(space, axes, scores.astype(np.float32), ("N/c/0", "N/c/1", "N/c/2"))


def largest_by_summed_areas(maps: ScoreMaps, member: int, start: FloatArray, least: float, most: float) -> float:
    """The largest volume on a 120 x 34 map by plain loops over elevation intervals and a summed-area table."""
    brute = BruteForce(maps, member)
    weight = np.multiply.outer(*brute.weights)
    tables = []
    for values in (np.ones_like(weight), brute.values, brute.values**2):
        table = np.zeros((481 // 2 + 1, brute.lines[1].size))
        summed = (weight * values).cumsum(axis=0).cumsum(axis=1)
        table[1:, 1:] = summed[1::2, 1::2]
        tables.append(table)
    first, last = np.array(brute.intervals(0, float(start[0]))).T
    best = 0.0
    for i, j in brute.intervals(1, float(start[1])):
        volume, total, square = (
            table[last, j] - table[first, j] - table[last, i] + table[first, i] for table in tables
        )
        mean = total / volume
        fits = (mean >= least) & (square / volume - mean * mean <= most)
        best = max(best, float(volume[fits].max(initial=0)))
    return best


@pytest.mark.parametrize("seed", [0, 1])
def test_the_optimum_of_a_large_map_is_that_of_a_plain_search(seed: int) -> None:
    maps = smooth_maps(seed)
    truth = GroundTruth(maps)
    starts = np.concatenate([some_starts(maps, 2, seed), [[130.0, 30.0], [310.0, 50.0]]])
    for start, (epsilon_m, epsilon_v) in itertools.product(starts, [(0.5, 0.25), (0.4, 0.25), (0.6, 0.05)]):
        volume = largest_by_summed_areas(maps, 2, start, 1 - epsilon_m, epsilon_v)
        assert truth.optimum(start, MeanGoal(epsilon_m, epsilon_v), 2).volume == pytest.approx(volume, rel=1e-12)


@pytest.mark.parametrize("lines", [1, 17, 60, 119])
def test_turning_a_map_and_its_start_turns_the_answer(lines: int) -> None:
    maps = smooth_maps(5)
    turned = ScoreMaps(maps.space, maps.axes, np.roll(maps.scores, lines, axis=1), maps.names)
    goals: list[Goal] = [MeanGoal(), MeanGoal(0.4, 0.05), ReliabilityGoal(0.5, 0.9)]
    for start, goal in itertools.product(some_starts(maps, 6, 1), goals):
        here = GroundTruth(maps).optimum(start, goal)
        there = GroundTruth(turned).optimum(maps.space.project(start + np.array([3.0 * lines, 0.0])), goal)
        assert there.volume == pytest.approx(here.volume, rel=1e-12)
        if here.region is not None and there.region is not None and here.region.width[0, 0] < 360:
            turn = np.array([3.0 * lines, 0.0])
            expected = Regions(maps.space, here.region.lower + turn, here.region.upper + turn)
            assert there.region.iou(expected)[0] == pytest.approx(1)


def test_laxer_thresholds_never_give_a_smaller_optimum() -> None:
    truth = GroundTruth(smooth_maps(6))
    for start in some_starts(truth.maps, 3, 2):
        for epsilon_v in (0.25, 0.02):
            volumes = [
                truth.optimum(start, MeanGoal(epsilon_m, epsilon_v)).volume for epsilon_m in np.linspace(0, 1, 9)
            ]
            assert volumes == sorted(volumes)
        volumes = [truth.optimum(start, MeanGoal(0.6, epsilon_v)).volume for epsilon_v in np.linspace(0, 0.25, 6)]
        assert volumes == sorted(volumes)


def one_axis(scores: list[float], kind: str = "turn") -> GroundTruth:
    """A 1-D map with a line every 60 degrees, or every 25 on a plain axis."""
    parameter = AZIMUTH if kind == "turn" else ELEVATION
    low, step = (0.0, 360 / len(scores)) if kind == "turn" else (-10.0, 100 / (len(scores) - 1))
    axis = np.array([low + step * line for line in range(len(scores))])
    return GroundTruth(
        ScoreMaps(SemanticSpace((parameter,)), (axis,), np.array([scores], dtype=np.float32), ("N/c/0",))
    )


@pytest.mark.parametrize("complement", [False, True])
@pytest.mark.parametrize("epsilon_v", [0.25, 0.0])
def test_a_map_at_the_threshold_everywhere_is_feasible_everywhere(complement: bool, epsilon_v: float) -> None:
    truth = one_axis([0.5] * 6)
    found = truth.optimum([77.0], MeanGoal(0.5, epsilon_v), complement=complement)
    assert found.share == 1
    assert found.region == Regions.whole(truth.maps.space)


def test_a_mean_at_the_threshold_is_feasible_and_a_hair_below_it_is_not() -> None:
    truth = one_axis([1.0, 1.0, 0.0, 0.0])
    assert truth.optimum([0.0], MeanGoal(0.5)).share == 1
    assert truth.optimum([0.0], MeanGoal(0.5 - 2**-52)).share == 0.75


def test_a_map_that_misses_the_threshold_by_less_than_rounding_is_nowhere_feasible_and_told_soon() -> None:
    maps = smooth_maps(0)
    flat = GroundTruth(ScoreMaps(maps.space, maps.axes, np.full_like(maps.scores, 0.5), maps.names))
    began = time.perf_counter()
    assert flat.optimum([130.0, 30.0], MeanGoal(0.5 - 1e-14)).region is None
    assert flat.optimum([130.0, 30.0], MeanGoal(0.5 - 1e-14, 0.1)).region is None
    assert time.perf_counter() - began < 10


def test_rectangles_of_one_volume_the_one_that_reaches_further_down_is_taken() -> None:
    over_seam = one_axis([1.0, 1.0, 0.0, 0.0, 0.0, 1.0]).optimum([350.0], MeanGoal(0.2))
    assert over_seam.region is not None
    assert (over_seam.region.lower[0, 0], over_seam.region.upper[0, 0]) == (240.0, 420.0)
    middle = one_axis([0.2, 0.8, 1.0, 0.8, 0.2], "plain").optimum([40.0], MeanGoal(0.25))
    assert middle.region is not None
    assert (middle.region.lower[0, 0], middle.region.upper[0, 0]) == (-10.0, 65.0)


def test_of_boxes_of_one_volume_the_one_with_more_cells_along_the_longest_axis_is_taken() -> None:
    scores = np.zeros((1, 6, 5), dtype=np.float32)
    scores[0, :5, :2] = scores[0, :3, :3] = 1.0  # four cells by one, and two by two
    space, axes = SemanticSpace.of("azimuth,elevation"), (np.linspace(0, 300, 6), np.linspace(-10, 90, 5))
    found = GroundTruth(ScoreMaps(space, axes, scores, ("N/c/0",))).optimum([30.0, 0.0], MeanGoal(0.0))
    assert found.region is not None
    assert found.region.width.tolist() == [[240.0, 25.0]]


def test_a_start_on_a_line_may_have_the_cells_of_either_side_only() -> None:
    truth = one_axis([0.0, 0.0, 1.0, 1.0, 1.0], "plain")
    found = truth.optimum([40.0], MeanGoal(0.0))
    assert found.region is not None
    assert (found.region.lower[0, 0], found.region.upper[0, 0]) == (40.0, 90.0)
    assert truth.optimum([39.9], MeanGoal(0.0)).region is None
    assert truth.optimum([90.0], MeanGoal(0.0)).volume == 50


def test_answers_are_remembered_and_tables_that_were_dropped_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = GroundTruth(maps := smooth_maps(2))
    assert usual.optimum([50.0, 20.0]) is usual.optimum(np.array([50.0, 20.0]), MeanGoal(0.5, 0.25), 0)
    monkeypatch.setattr("semrob_env.ground_truth.grid.TABLE_BYTES", 1)
    forgetful = GroundTruth(maps)
    for start, member in itertools.product([[50.0, 20.0], [200.0, 15.0]], range(3)):
        assert forgetful.optimum(start, member=member).volume == usual.optimum(start, member=member).volume
    assert ground_truth(maps) is ground_truth(maps)


def test_functions_of_every_known_kind_have_an_optimum_and_moments() -> None:
    maps = make_maps(("turn", "plain"), count=3)
    recorded, plateau = RecordedMaps(maps), make_synthetic("synthetic:plateau?n=2&seed=0")
    truth, start, goal = GroundTruth(maps), [100.0, 20.0], MeanGoal(0.6)
    mixed = Stack([Complement(recorded), plateau, Complement(Complement(recorded))])
    for member in range(3):
        adversarial = truth.optimum(start, goal, member, complement=True)
        assert optimum(recorded, start, goal, member=member).volume == truth.optimum(start, goal, member=member).volume
        assert optimum(Complement(recorded), start, goal, member=member).volume == adversarial.volume
        assert optimum(mixed, start, goal, member=member).volume == adversarial.volume
        assert optimum(mixed, start, goal, member=4 + member).volume == truth.optimum(start, goal, member=member).volume
    center = plateau.plateau.center[0]
    assert optimum(mixed, center, member=3).volume == optimum(plateau, center).volume == plateau.optimum(center).volume
    assert plateau.optimum(center).volume > 0

    regions = Regions.around(maps.space, maps.space.sample(7, np.random.default_rng(0)), 20.0)
    mean, variance = exact_moments(mixed, regions, np.arange(7))
    for row in range(7):
        own = regions[row]
        if row == 3:
            expected = plateau.exact_moments(own)
        else:
            expected = moments_of_maps(maps, own, [row % 4])
            expected = (1 - expected[0], expected[1]) if row < 3 else expected
        assert (mean[row], variance[row]) == (expected[0][0], expected[1][0])
    turned, same = exact_moments(Complement(plateau), regions)
    assert turned == pytest.approx(1 - plateau.exact_moments(regions)[0])
    assert np.array_equal(same, plateau.exact_moments(regions)[1])


def test_moments_of_the_complement_are_mirrored_in_the_score_range() -> None:
    maps = make_maps(("turn",), score_range=(-2.0, 3.0))
    regions = Regions.whole(maps.space)
    (mean,), (variance,) = exact_moments(RecordedMaps(maps), regions)
    (turned,), (same,) = exact_moments(Complement(RecordedMaps(maps)), regions)
    assert turned == pytest.approx(1 - mean)
    assert same == variance
    native = moments_of_maps(maps, regions)
    assert (mean, variance) == pytest.approx(((native[0][0] + 2) / 5, native[1][0] / 25))


def test_functions_without_a_known_answer_are_refused() -> None:
    space = SemanticSpace.of("azimuth")
    unknown = CallableFunction(space, lambda theta: np.zeros(len(theta)), name="mine")
    with pytest.raises(NoGroundTruthError, match=r"exact answers about mine are not known"):
        optimum(unknown, [0.0])
    with pytest.raises(NoGroundTruthError, match=r"about mine are not known.*judge_regions"):
        exact_moments(unknown, Regions.whole(space))
    with pytest.raises(NoGroundTruthError, match="complement of synthetic:plateau"):
        optimum(Complement(make_synthetic("synthetic:plateau?n=2&seed=0")), [0.0, 0.0])


@pytest.mark.parametrize(
    ("start", "member", "error", "message"),
    [
        ([400.0, 0.0], 0, OutOfSpaceError, "start has azimuth=400"),
        ([[40.0, 0.0]], 0, ShapeMismatchError, r"must be \(2,\)"),
        ([40.0, 0.0], 2, UnknownNameError, r"0(\.\.| to )1"),
        ([40.0, 0.0], -1, UnknownNameError, r"0(\.\.| to )1"),
    ],
)
def test_wrong_questions_say_what_is_allowed(
    start: list[float], member: int, error: type[SemrobError], message: str
) -> None:
    maps = make_maps(("turn", "plain"))
    for asked in (GroundTruth(maps).optimum, lambda *given: optimum(RecordedMaps(maps), *given)):
        with pytest.raises(error, match=message):
            asked(start, MeanGoal(), member)


def test_regions_and_members_that_do_not_fit_a_function_are_refused() -> None:
    maps = make_maps(("turn", "plain"))
    whole = Regions.whole(maps.space)
    with pytest.raises(InvalidRegionError, match="regions over elevation for recorded:"):
        exact_moments(RecordedMaps(maps), Regions.whole(SemanticSpace.of("elevation")))
    with pytest.raises(ShapeMismatchError, match="one a region"):
        exact_moments(RecordedMaps(maps), whole, [0, 1])
    with pytest.raises(UnknownNameError, match=r"members 0\.\.1"):
        exact_moments(RecordedMaps(maps), whole, [2])
