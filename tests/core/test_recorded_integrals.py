"""Exact moments of interpolated maps against Gauss-Legendre quadrature of the function itself, piece by piece."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from semrob_env.errors import InvalidRegionError, SemrobError, ShapeMismatchError, UnknownNameError
from semrob_env.parameters import AZIMUTH, ELEVATION, Parameter, SemanticSpace
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.recorded.integrals import exact_moments
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

HEIGHT = Parameter("height", "", -1.0, 2.0, None, 0.0, "0: middle")
TURN = Parameter("turn", "deg", -180.0, 180.0, 360.0, 0.0, "0: front")

AXES = {
    "turn": (AZIMUTH, np.arange(7) * (360 / 7)),
    "turn of two": (AZIMUTH, np.array([0.0, 180.0])),
    "turn begun late": (TURN, -170.0 + 60 * np.arange(6)),
    "plain": (ELEVATION, np.linspace(-10, 90, 5)),
    "ends inside": (ELEVATION, -10 + 13.0 * np.arange(6)),
    "begins and ends inside": (HEIGHT, np.array([0.25, 0.75, 1.25])),
}
KINDS = [
    *((name,) for name in AXES),
    ("turn", "ends inside"),
    ("turn of two", "plain"),
    ("turn begun late", "begins and ends inside"),
    ("ends inside", "turn"),
    ("plain", "begins and ends inside"),
    ("turn", "ends inside", "begins and ends inside"),
    ("begins and ends inside", "turn of two", "ends inside"),
    ("ends inside", "begins and ends inside", "turn begun late"),
]
EVERY_KIND = pytest.mark.parametrize("kinds", KINDS, ids=" x ".join)


def make_maps(kinds: tuple[str, ...], count: int = 3, seed: int = 0) -> ScoreMaps:
    parameters, axes = zip(*(AXES[kind] for kind in kinds), strict=True)
    scores = np.random.default_rng(seed).random((count, *map(len, axes))).astype(np.float32)
    return ScoreMaps(SemanticSpace(parameters), axes, scores, tuple(f"N/c/{row}" for row in range(count)))


def some_regions(maps: ScoreMaps, count: int, seed: int) -> Regions:
    """Regions of all sizes, some without width along a parameter, some of a full turn, some on grid lines."""
    rng = np.random.default_rng(seed)
    space = maps.space
    lower = space.low + rng.random((count, space.n)) * space.width
    width = rng.choice([0.0, 1e-5, 0.01, 0.3, 1.0], (count, space.n)) * rng.random((count, space.n)) * space.width
    for k, axis in enumerate(maps.axes):
        on_line = rng.random(count) < 0.3
        lower[on_line, k] = rng.choice(axis, on_line.sum())
        width[on_line, k] = rng.integers(0, len(axis), on_line.sum()) * maps.steps[k]
        width[rng.random(count) < 0.1, k] = space.width[k]
    return Regions(space, lower, lower + width).clip()


def quadrature(function: RecordedMaps, lower: FloatArray, upper: FloatArray, member: int) -> tuple[float, float]:
    """Mean and variance over one region: 3 Gauss nodes in every piece between grid lines, exact for degree 5."""
    maps, nodes, weights = function.maps, [], []
    points, shares = np.polynomial.legendre.leggauss(3)
    for k, axis in enumerate(maps.axes):
        lines = np.concatenate([axis + turn * maps.space.width[k] for turn in range(-1, 3)])
        if not maps.space.is_periodic[k]:
            lines = axis
        inside = np.sort(lines[(lines > lower[k]) & (lines < upper[k])])
        ends = np.concatenate([[lower[k]], inside, [upper[k]]])
        middle, half = (ends[1:] + ends[:-1]) / 2, np.diff(ends) / 2
        nodes.append((middle[:, None] + half[:, None] * points).ravel())
        weight = (half[:, None] * shares).ravel() if upper[k] > lower[k] else np.ones(nodes[-1].size)
        weights.append(weight / weight.sum())
    theta = np.array(list(itertools.product(*nodes)))
    share = np.array([np.prod(row) for row in itertools.product(*weights)])
    values = function.values(maps.space.project(theta)[None], [member])[0]
    mean = float((share * values).sum())
    return mean, float((share * (values - mean) ** 2).sum())


@EVERY_KIND
def test_moments_agree_with_quadrature_of_the_function(kinds: tuple[str, ...]) -> None:
    maps = make_maps(kinds)
    function, regions = RecordedMaps(maps), some_regions(maps, 120 // len(kinds), 1)
    member = np.arange(len(regions)) % 3
    mean, variance = exact_moments(maps, regions, member)
    expected = np.array([
        quadrature(function, *ends) for ends in zip(regions.lower, regions.upper, member.tolist(), strict=True)
    ])
    assert np.abs(mean - expected[:, 0]).max() < 2e-13
    assert np.abs(variance - expected[:, 1]).max() < 2e-13
    assert np.ptp(variance) > 0.01


@EVERY_KIND
def test_a_region_without_width_has_the_value_of_the_point(kinds: tuple[str, ...]) -> None:
    maps = make_maps(kinds)
    theta = maps.space.sample(50, np.random.default_rng(3))
    theta[:10] = maps.space.project(np.stack([axis[np.arange(10) % len(axis)] for axis in maps.axes], axis=-1))
    mean, variance = exact_moments(maps, Regions(maps.space, theta, theta), np.full(50, 1))
    assert mean == pytest.approx(RecordedMaps(maps).values(theta[:, None], np.full(50, 1))[:, 0], abs=1e-13)
    assert np.abs(variance).max() < 1e-15


@EVERY_KIND
def test_rows_have_the_same_bits_whatever_the_batch(kinds: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    maps = make_maps(kinds)
    regions, member = some_regions(maps, 40, 5), np.arange(40) % 3
    together = np.stack(exact_moments(maps, regions, member))
    for size in (1, 2, 3, 7, 39):
        parts = [slice(first, first + size) for first in range(0, 40, size)]
        parted = [np.stack(exact_moments(maps, regions[part], member[part])) for part in parts]
        assert np.array_equal(np.concatenate(parted, axis=1), together)
    monkeypatch.setattr("semrob_env.recorded.integrals._CHUNK_NUMBERS", 3 * maps.scores[0].size)
    assert np.array_equal(np.stack(exact_moments(maps, regions, member)), together)
    backwards = np.stack(exact_moments(maps, regions[np.arange(40)[::-1]], member[::-1]))
    assert np.array_equal(backwards[:, ::-1], together)


def test_rows_of_large_maps_have_the_same_bits_whatever_the_batch() -> None:
    scores = np.random.default_rng(0).random((4, 120, 34)).astype(np.float32)
    space = SemanticSpace.of("azimuth,elevation")
    maps = ScoreMaps(
        space, (np.linspace(0, 357, 120), np.linspace(-10, 89, 34)), scores, ("a/b/1", "a/b/2", "a/b/3", "a/b/4")
    )
    regions, member = some_regions(maps, 50, 5), np.arange(50) % 4
    together = np.stack(exact_moments(maps, regions, member))
    alone = [np.stack(exact_moments(maps, regions[row], member[[row]])) for row in range(50)]
    assert np.array_equal(np.concatenate(alone, axis=1), together)


@pytest.mark.parametrize("score", [0.0, 0.1, 0.5, 1.0])
def test_a_constant_map_has_its_score_as_mean_and_no_variance_to_the_last_bit(score: float) -> None:
    maps = make_maps(("turn begun late", "begins and ends inside"))
    flat = ScoreMaps(maps.space, maps.axes, np.full_like(maps.scores, score), maps.names)
    mean, variance = exact_moments(flat, some_regions(maps, 200, 7))
    assert (mean == np.float32(score)).all()
    assert (variance == 0).all()


def test_a_full_turn_is_the_same_from_wherever_it_begins() -> None:
    maps = make_maps(("turn", "ends inside"))
    lower = np.array([[0.0, 3.0], [123.4, 3.0], [359.9, 3.0]])
    mean, variance = exact_moments(maps, Regions(maps.space, lower, lower + np.array([360.0, 40.0])))
    assert np.ptp(mean) < 1e-15
    assert np.ptp(variance) < 1e-15


def test_regions_are_clipped_and_wrapped_first() -> None:
    maps = make_maps(("turn", "ends inside"))
    wide = Regions(maps.space, np.array([[-30.0, -50.0], [700.0, 10.0]]), np.array([[40.0, 20.0], [760.0, 200.0]]))
    inside = Regions(maps.space, np.array([[330.0, -10.0], [340.0, 10.0]]), np.array([[400.0, 20.0], [400.0, 90.0]]))
    assert np.array_equal(exact_moments(maps, wide), exact_moments(maps, inside))


def test_no_region_has_no_moments() -> None:
    maps = make_maps(("plain",))
    mean, variance = exact_moments(maps, Regions(maps.space, np.empty((0, 1)), np.empty((0, 1))))
    assert mean.shape == variance.shape == (0,)


@pytest.mark.parametrize(
    ("space", "member", "error", "message"),
    [
        ("elevation", [0, 1], InvalidRegionError, "give regions of the maps' own space"),
        ("azimuth,elevation", [0], ShapeMismatchError, "one a region"),
        ("azimuth,elevation", [0, 3], UnknownNameError, "there are maps 0..2"),
        ("azimuth,elevation", [-1, 0], UnknownNameError, "there are maps 0..2"),
    ],
)
def test_wrong_questions_say_what_is_allowed(
    space: str, member: list[int], error: type[SemrobError], message: str
) -> None:
    with pytest.raises(error, match=message):
        exact_moments(make_maps(("turn", "ends inside")), Regions.whole(SemanticSpace.of(space), 2), member)
