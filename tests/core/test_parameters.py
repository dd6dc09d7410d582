"""Parameters and spaces: validation, points by name, projection and the unit cube."""

from __future__ import annotations

import math
import pickle
import warnings
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from semrob_env.errors import (
    InvalidParameterError,
    NameClashError,
    OutOfSpaceError,
    SemrobError,
    ShapeMismatchError,
    UnknownNameError,
)
from semrob_env.parameters import (
    AZIMUTH,
    ELEVATION,
    NAMED_SPACES,
    PAPER_STARTS,
    PARAMETERS,
    Parameter,
    SemanticSpace,
    markdown_of_parameters,
    paper_starts,
)

BOTH = SemanticSpace.of("azimuth,elevation")


def plain(name: str = "size", low: float = -1.0, high: float = 3.0, default: float = 0.5) -> Parameter:
    return Parameter(name, "", low, high, None, default, "0: small")


def turning(low: float = -180.0, high: float = 180.0) -> Parameter:
    return Parameter("turn", "deg", low, high, high - low, low, "0: front")


def mixed_space(n: int) -> SemanticSpace:
    """n parameters, plain and periodic by turns, with odd bounds."""
    rng = np.random.default_rng(n)
    parameters = []
    for k in range(n):
        low = float(rng.uniform(-300, 200))
        high = low + float(rng.uniform(0.01, 400))
        parameters.append(Parameter(f"p{k}", "", low, high, high - low if k % 2 else None, low, "0: none"))
    return SemanticSpace(tuple(parameters))


def test_the_known_parameters_have_the_bounds_of_the_paper() -> None:
    assert (AZIMUTH.low, AZIMUTH.high, AZIMUTH.period, AZIMUTH.unit) == (0.0, 360.0, 360.0, "deg")
    assert (ELEVATION.low, ELEVATION.high, ELEVATION.period, ELEVATION.unit) == (-10.0, 90.0, None, "deg")
    assert all(name == parameter.name and parameter.sense for name, parameter in PARAMETERS.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Size"}, "lower-case"),
        ({"name": ""}, "lower-case"),
        ({"name": "a b"}, "lower-case"),
        ({"name": "a,b"}, "lower-case"),
        ({"name": "a=b"}, "lower-case"),
        ({"low": math.nan}, "finite"),
        ({"high": math.inf}, "finite"),
        ({"low": 3.0}, "below high"),
        ({"low": 4.0}, "below high"),
        ({"period": 2.0}, "must equal high - low"),
        ({"period": math.nan}, "must equal high - low"),
        ({"default": 3.1}, "outside"),
        ({"default": math.nan}, "outside"),
        ({"period": 4.0, "default": 3.0}, r"outside \[-1, 3\)"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        replace(plain(), **change)


def test_parameters_and_spaces_are_values() -> None:
    assert SemanticSpace((plain(),)) == SemanticSpace((plain(),))
    assert hash(BOTH) == hash(SemanticSpace.of(["azimuth", "elevation"]))
    assert SemanticSpace.of("elevation,azimuth") != BOTH
    with pytest.raises(FrozenInstanceError):
        BOTH.parameters = ()  # type: ignore[misc]  # the very thing that must not work
    for array in (BOTH.low, BOTH.high, BOTH.width, BOTH.default, BOTH.is_periodic):
        assert not array.flags.writeable
    assert pickle.loads(pickle.dumps(BOTH)) == BOTH


def test_a_space_of_a_list_has_its_order_and_facts() -> None:
    space = SemanticSpace.of(" elevation , azimuth")
    assert space.names == ("elevation", "azimuth")
    assert space.n == 2
    assert space.volume == 36000.0
    assert space.low.tolist() == [-10.0, 0.0]
    assert space.high.tolist() == [90.0, 360.0]
    assert space.width.tolist() == [100.0, 360.0]
    assert space.is_periodic.tolist() == [False, True]
    assert SemanticSpace([plain()]).parameters == (plain(),)  # type: ignore[arg-type]  # a list becomes a tuple


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ("azimuth,altitude", UnknownNameError),
        ("", UnknownNameError),
        ([], InvalidParameterError),
        ("azimuth,azimuth", NameClashError),
        ("Azimuth", UnknownNameError),
    ],
)
def test_a_space_of_wrong_names_is_refused(names: str | list[str], error: type[SemrobError]) -> None:
    with pytest.raises(error):
        SemanticSpace.of(names)


def test_a_point_by_name_fills_in_defaults_in_any_order() -> None:
    assert BOTH.point("elevation=30, azimuth=130").tolist() == [130.0, 30.0]
    assert BOTH.point("elevation=30").tolist() == [AZIMUTH.default, 30.0]
    assert BOTH.point("").tolist() == BOTH.default.tolist()
    assert BOTH.point({"azimuth": 12}).tolist() == [12.0, ELEVATION.default]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("azimuth", InvalidParameterError),
        ("azimuth=", InvalidParameterError),
        ("azimuth=ten", InvalidParameterError),
        ("130", InvalidParameterError),
        ("azimuth=1,azimuth=2", InvalidParameterError),
        ("size=1", UnknownNameError),
        ("=5", UnknownNameError),
        ("azimuth=360", OutOfSpaceError),
        ("azimuth=nan", OutOfSpaceError),
        ("elevation=inf", OutOfSpaceError),
        ("elevation=-10.000001", OutOfSpaceError),
    ],
)
def test_a_point_that_cannot_be_read_is_refused(text: str, error: type[SemrobError]) -> None:
    with pytest.raises(error):
        BOTH.point(text)


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_a_formatted_point_reads_back_to_the_bit(n: int) -> None:
    space = mixed_space(n)
    for theta in space.sample(20, np.random.default_rng(0)):
        assert space.point(space.format_point(theta)).tobytes() == theta.tobytes()


@pytest.mark.parametrize(
    ("azimuth", "expected"),
    [
        (0.0, 0.0),
        (360.0, 0.0),
        (-360.0, 0.0),
        (720.0, 0.0),
        (-1e-17, 0.0),  # mod rounds up to the period itself
        (-5e-324, 0.0),
        (np.nextafter(360.0, 0.0), np.nextafter(360.0, 0.0)),
        (np.nextafter(360.0, 400.0), np.nextafter(360.0, 400.0) - 360.0),
        (-10.0, 350.0),
        (370.5, 10.5),
        (1e17, math.fmod(1e17, 360.0)),
    ],
)
def test_projection_wraps_azimuth_into_the_half_open_turn(azimuth: float, expected: float) -> None:
    theta = BOTH.project([azimuth, 5.0])
    assert theta.tolist() == [expected, 5.0]
    assert BOTH.contains(theta)


@pytest.mark.parametrize(("elevation", "expected"), [(-10.5, -10.0), (90.0, 90.0), (1e300, 90.0), (-math.inf, -10.0)])
def test_projection_clamps_elevation(elevation: float, expected: float) -> None:
    assert BOTH.project([7.0, elevation]).tolist() == [7.0, expected]


def test_projection_keeps_nan_and_makes_it_of_an_endless_angle_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theta = BOTH.project([[math.nan, 0.0], [math.inf, 0.0], [0.0, math.nan]])
    assert np.isnan(theta).tolist() == [[True, False], [True, False], [False, True]]
    assert not BOTH.contains(theta).any()


@pytest.mark.parametrize("n", range(1, 21))
def test_projection_lands_inside_moves_nothing_that_is_inside_and_shifts_by_whole_turns(n: int) -> None:
    space = mixed_space(n)
    rng = np.random.default_rng(n)
    far = space.low + space.width * rng.uniform(-5, 6, (200, n))
    projected = space.project(far)
    assert space.contains(projected).all()
    assert space.project(projected).tobytes() == projected.tobytes()
    periodic = (far - projected) / space.width
    assert np.abs(periodic - np.round(periodic))[:, space.is_periodic].max(initial=0.0) < 1e-12
    inside = space.sample(200, rng)
    assert space.project(inside).tobytes() == inside.tobytes()
    edges = np.stack([space.low, np.nextafter(space.high, -np.inf), np.nextafter(space.low, np.inf)])
    assert space.project(edges).tobytes() == edges.tobytes()
    assert space.contains(space.project(np.nextafter(space.low, -np.inf)))
    assert space.contains(space.project(space.high))


@pytest.mark.parametrize("n", range(1, 21))
def test_the_unit_cube_and_back_is_the_same_point(n: int) -> None:
    space = mixed_space(n)
    theta = space.sample(300, np.random.default_rng(n))
    unit = space.to_unit(theta)
    assert ((unit >= 0) & (unit <= 1)).all()
    back = space.from_unit(unit)
    assert space.contains(back).all()
    assert np.abs(space.project(back) - theta).max() <= 1e-12 * max(1.0, float(np.abs(theta).max()))
    assert space.to_unit(space.low).tolist() == [0.0] * n
    assert space.to_unit(space.high).tolist() == [1.0] * n
    assert space.contains(space.from_unit(np.ones(n)))
    assert space.from_unit(np.ones(n))[space.is_periodic].tolist() == space.low[space.is_periodic].tolist()
    assert space.from_unit(np.zeros(n)).tolist() == space.low.tolist()


def test_the_unit_cube_keeps_any_leading_axes() -> None:
    unit = np.random.default_rng(0).random((3, 4, 2))
    assert BOTH.to_unit(BOTH.from_unit(unit)) == pytest.approx(unit, abs=1e-15)
    assert BOTH.project(np.zeros((0, 5, 2))).shape == (0, 5, 2)


def test_contains_says_for_each_point_whether_all_its_numbers_are_allowed() -> None:
    points = [[0, 0], [360, 0], [np.nextafter(360, 0), 90], [5, 90.1], [math.nan, 0], [-1e-17, 0], [0, -10]]
    assert BOTH.contains(points).tolist() == [True, False, True, False, False, False, True]


def test_require_names_the_first_wrong_number_and_what_is_allowed() -> None:
    with pytest.raises(OutOfSpaceError, match=r"start has elevation=91 deg, allowed is \[-10, 90\]; project"):
        BOTH.require([[0, 0], [10, 91], [400, 0]], "start")
    with pytest.raises(OutOfSpaceError, match=r"azimuth=360 deg, allowed is \[0, 360\)"):
        BOTH.require([360.0, 0.0])
    with pytest.raises(OutOfSpaceError, match=r"size=9, allowed"):
        SemanticSpace((plain(),)).require([9.0])


@pytest.mark.parametrize("theta", [1.0, [1.0], [1.0, 2.0, 3.0], np.zeros((2, 3))])
def test_a_theta_of_the_wrong_length_is_refused_everywhere(theta: Any) -> None:
    for method in (BOTH.contains, BOTH.require, BOTH.project, BOTH.to_unit, BOTH.from_unit, BOTH.format_point):
        with pytest.raises(ShapeMismatchError, match="last axis must be 2"):
            method(theta)


def test_samples_are_uniform_inside_and_depend_on_the_generator_alone() -> None:
    points = BOTH.sample(20_000, np.random.default_rng(3))
    assert BOTH.contains(points).all()
    assert BOTH.sample(20_000, np.random.default_rng(3)).tobytes() == points.tobytes()
    assert points.mean(axis=0) == pytest.approx([180.0, 40.0], abs=2.0)
    assert points.var(axis=0) == pytest.approx([360**2 / 12, 100**2 / 12], rel=0.03)


def test_the_grid_has_both_ends_of_a_plain_parameter_and_one_of_a_turn() -> None:
    grid = BOTH.grid([120, 34])
    assert grid.shape == (4080, 2)
    assert BOTH.contains(grid).all()
    assert np.unique(grid[:, 0]).tolist() == [3.0 * k for k in range(120)]
    assert (grid[:, 1].min(), grid[:, 1].max()) == (-10.0, 90.0)
    assert grid[0].tolist() == [0.0, -10.0]
    assert (grid[1, 0], grid[34, 0]) == (0.0, 3.0)  # the last parameter runs fastest


@pytest.mark.parametrize("counts", [[3], [3, 3, 3], [3, 0], []])
def test_a_grid_of_wrong_counts_is_refused(counts: list[int]) -> None:
    with pytest.raises(InvalidParameterError, match="give 2 counts"):
        BOTH.grid(counts)


def test_a_turn_need_not_begin_at_zero() -> None:
    space = SemanticSpace((turning(),))
    assert space.project([[180.0], [-190.0], [539.0]]).ravel().tolist() == [-180.0, 170.0, 179.0]


@pytest.mark.parametrize("low", [0.0, -90.0, 0.1])
def test_a_value_wraps_to_the_same_bits_whatever_is_projected_beside_it(low: float) -> None:
    high = low + 360.0
    space = SemanticSpace((Parameter("phase", "deg", low, high, high - low, low, "turns"),))
    ends = np.array([low - 360, low, low + 360, low + 720])
    near = np.concatenate([np.nextafter(ends, -np.inf), ends, np.nextafter(ends, np.inf)])
    values = np.concatenate([np.random.default_rng(0).uniform(low - 360, low + 720, 5000), near[1:-1]])
    alone = space.project(values[:, None])
    for other in (1e7, -1e7, np.nan, np.inf):
        np.testing.assert_array_equal(space.project(np.append(values, other)[:, None])[:-1], alone)
    one_by_one = [space.project([value]).item() for value in values]
    np.testing.assert_array_equal(alone[:, 0], one_by_one)
    assert space.contains(alone).all()


def test_the_papers_spaces_have_names_and_can_be_part_of_a_list() -> None:
    assert [SemanticSpace.of(name).n for name in NAMED_SPACES] == [1, 2, 3, 6, 10]
    assert list(NAMED_SPACES) == ["paper1", "paper2", "paper3", "paper6", "paper10"]
    assert SemanticSpace.of("paper2") == BOTH
    assert SemanticSpace.of("paper3, roll").names == ("azimuth", "elevation", "distance", "roll")
    for smaller, larger in (("paper1", "paper2"), ("paper2", "paper3"), ("paper3", "paper6"), ("paper6", "paper10")):
        assert NAMED_SPACES[larger][: len(NAMED_SPACES[smaller])] == NAMED_SPACES[smaller]


@pytest.mark.parametrize(
    "names", ["azimuth", "paper10", "azimuth[90:180],roll", "shift_x[-0.25:0.1],azimuth[-30:30]", "azimuth[-180:180]"]
)
def test_the_spec_of_a_space_reads_back_to_the_same_space(names: str) -> None:
    space = SemanticSpace.of(names)
    assert SemanticSpace.of(space.spec) == space
    assert SemanticSpace.of(SemanticSpace.of(space.spec).spec).spec == space.spec


def test_a_part_of_a_range_keeps_all_but_its_bounds_and_the_default_comes_inside() -> None:
    (part,) = SemanticSpace.of("azimuth[90:180]").parameters
    assert (part.low, part.high, part.period, part.default) == (90.0, 180.0, None, 90.0)
    assert (part.name, part.unit, part.sense) == (AZIMUTH.name, AZIMUTH.unit, AZIMUTH.sense)
    (across,) = SemanticSpace.of("azimuth[330:390]").parameters
    assert (across.period, across.default) == (None, 360.0)  # the front, by its name in this part
    (turn,) = SemanticSpace.of("azimuth[-180:180]").parameters
    assert (turn.period, turn.default) == (360.0, 0.0)
    assert SemanticSpace.of("azimuth[0:360]") == SemanticSpace.of("azimuth")
    (low,) = SemanticSpace.of("light_elevation[0:45]").parameters
    assert low.default == 45.0


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ("azimuth[180:90]", InvalidParameterError, "low 180 must be below high 90"),
        ("azimuth[90:90]", InvalidParameterError, "low 90 must be below high 90"),
        ("elevation[-20:50]", InvalidParameterError, r"leaves the range \[-10, 90\]"),
        ("azimuth[0:400]", InvalidParameterError, "one turn at most"),
        ("azimuth[-400:-380]", InvalidParameterError, "leaves the range"),
        ("azimuth[a:b]", InvalidParameterError, r"write a part of a range as azimuth\[0:360\]"),
        ("azimuth[nan:90]", InvalidParameterError, "cannot read"),
        ("azimuth[90]", InvalidParameterError, "cannot read"),
        ("azimuth[90:180", InvalidParameterError, "cannot read"),
        ("azimuth[90:180]x", InvalidParameterError, "cannot read"),
        ("zoom[1:2]", UnknownNameError, "unknown parameter 'zoom'.*paper6"),
        ("paper6[1:2]", UnknownNameError, "unknown parameter 'paper6'"),
        ("azimuth[0:90],azimuth[90:180]", NameClashError, "azimuth is named twice"),
        ("paper3,distance", NameClashError, "distance is named twice"),
    ],
)
def test_a_range_that_makes_no_sense_is_one_clear_line(names: str, error: type[SemrobError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        SemanticSpace.of(names)
    assert "\n" not in str(caught.value)


def test_the_papers_start_points_fit_every_space() -> None:
    assert paper_starts(BOTH).tolist() == [BOTH.point(start).tolist() for start in PAPER_STARTS]
    for names in [*NAMED_SPACES, *PARAMETERS, "azimuth[90:180],elevation"]:
        space = SemanticSpace.of(names)
        starts = paper_starts(space)
        assert space.contains(starts).all()
        assert len(np.unique(starts, axis=0)) == len(starts)
    assert paper_starts(SemanticSpace.of("paper1")).ravel().tolist() == [130.0, 50.0, 200.0, 310.0]
    assert paper_starts(SemanticSpace.of("azimuth[90:180],elevation")).tolist() == [[130.0, 30.0]]
    assert paper_starts(SemanticSpace.of("azimuth[-180:0]")).ravel().tolist() == [-160.0, -50.0]
    assert paper_starts(SemanticSpace.of("elevation[80:90]")).tolist() == [[80.0]]
    assert (
        paper_starts(SemanticSpace.of("paper10"))[:, 2:].tolist()
        == [SemanticSpace.of("paper10").default[2:].tolist()] * 4
    )


def test_the_table_of_parameters_has_a_row_each_with_unit_bounds_and_sense() -> None:
    lines = markdown_of_parameters().splitlines()
    assert len(lines) == 2 + len(PARAMETERS)
    assert all(
        len({line.count("|") for line in lines}) == 1 and parameter.sense in text
        for line, (parameter, text) in zip(lines, zip(PARAMETERS.values(), lines[2:], strict=True), strict=False)
    )
