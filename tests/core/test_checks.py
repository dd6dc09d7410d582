"""What callers give that is not what is asked for: an error of ours, and never a wrong number in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizers.naive import Naive
from optimizers.registry import get_optimizer
from optimizers.run import run
from semrob_env import checks
from semrob_env.errors import (
    InvalidBudgetError,
    InvalidParameterError,
    InvalidRegionError,
    SemrobError,
    ShapeMismatchError,
)
from semrob_env.functions import CallableFunction, make_function
from semrob_env.ground_truth import exact_moments, optimum
from semrob_env.metrics import Judge, judge_regions
from semrob_env.oracle import FiniteDifferences, NeighborhoodGradients, Queries, QueryLog, QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MeanGoal, Question, Questions, ReliabilityGoal, read_goal
from semrob_env.regions import Regions

HILL = make_function("synthetic:hill?n=2&seed=0")
SPACE, START = HILL.space, [180.0, 40.0]
BOX = Regions(SPACE, np.array([[10.0, 10.0]]), np.array([[20.0, 20.0]]))
POINTS, NONE, ALL = np.full((1, 1, 2), 20.0), np.zeros(1, dtype=np.int64), np.ones((1, 1), dtype=np.bool_)

ODD: tuple[Any, ...] = (
    1j, np.complex128(1), "x", b"x", object(), set, lambda: 1, {"a": 1}, [None, None], ["a", "b"], [[1, 2], [3]],
    [10**400, 1], 10**400, np.array(None, dtype=object), np.array([None, 1.0]), np.array([180 + 1j, 40]),
    np.array(["2020-01-01"] * 2, dtype="M8[D]"), np.timedelta64(3, "D"),
    np.ma.masked_less([180.0, 40.0], 90.0),  # type: ignore[no-untyped-call]
    np.array([(1, 2)], dtype=[("a", int), ("b", int)]), "\ud800", ..., float("nan"), slice(1), [1.0] * 3,
)  # fmt: skip
"""Nothing of this is what any of the calls takes."""


def asked() -> Questions:
    return Questions(SPACE, START, budget=20)


def oracle(**more: Any) -> QueryOracle:
    return QueryOracle(HILL, **{"budget": 20, **more})


CALLS: dict[str, Callable[[Any], object]] = {
    "function": QueryOracle,
    "trajectories": lambda odd: oracle(trajectories=odd),
    "budget": lambda odd: oracle(budget=odd),
    "cost": lambda odd: oracle(gradient_cost=odd),
    "differences": lambda odd: oracle(finite_differences=odd),
    "neighborhood": lambda odd: oracle(neighborhood=odd),
    "log": lambda odd: oracle(log=odd),
    "value": lambda odd: oracle().value(odd),
    "trajectory": lambda odd: oracle().value(START, trajectory=odd),
    "member": lambda odd: oracle().value(START, member=odd),
    "restore": lambda odd: oracle().restore(odd, odd),
    "query": lambda odd: oracle().query(odd),
    "theta": lambda odd: Queries(odd, NONE, ALL),
    "step": lambda odd: oracle(finite_differences=FiniteDifferences(odd)).query(Queries(POINTS, NONE, ALL, True)),
    "radius": lambda odd: oracle(neighborhood=NeighborhoodGradients(odd)).query(Queries(POINTS, NONE, ALL, True)),
    "neighbors": lambda odd: NeighborhoodGradients(neighbors=odd),
    "space of questions": lambda odd: Questions(odd, START),
    "start": lambda odd: Questions(SPACE, odd),
    "member of questions": lambda odd: Questions(SPACE, START, member=odd),
    "goal of questions": lambda odd: Questions(SPACE, START, goal=odd),
    "budget of questions": lambda odd: Questions(SPACE, START, budget=odd),
    "levels": lambda odd: Questions(SPACE, START, levels=odd),
    "goal of a question": lambda odd: Question(HILL.id, (180.0, 40.0), goal=odd),
    "lower": lambda odd: Regions(SPACE, odd, np.array([[380.0, 40.0]])),
    "upper": lambda odd: Regions(SPACE, np.zeros((1, 2)), odd),
    "space of regions": lambda odd: Regions(odd, np.zeros((1, 2)), np.ones((1, 2))),
    "around": lambda odd: Regions.around(SPACE, odd, 10.0),
    "half width": lambda odd: Regions.around(SPACE, START, odd),
    "whole": lambda odd: Regions.whole(SPACE, odd),
    "space of a whole": Regions.whole,
    "contains": BOX.contains,
    "outer": BOX.outer,
    "sample": lambda odd: BOX.sample(odd, [np.random.default_rng(0)]),
    "generators": lambda odd: BOX.sample(2, odd),
    "iou": BOX.iou,
    "id": make_function,
    "goal": read_goal,
    "least mean": MeanGoal,
    "method": get_optimizer,
    "questions": Naive,
    "settings": lambda odd: Naive(asked(), settings=odd),
    "rngs": lambda odd: Naive(asked(), rngs=odd),
    "seed": lambda odd: Naive(asked(), seed=odd),
    "optimizer": lambda odd: run(odd, oracle()),
    "oracle": lambda odd: run(Naive(asked()), odd),
    "steps": lambda odd: run(Naive(asked()), oracle(), max_steps=odd),
    "tell": lambda odd: Naive(asked()).tell(odd),
    "saved": lambda odd: Naive(asked()).restore(odd),
    "parameters": SemanticSpace,
    "names": SemanticSpace.of,
    "point": SPACE.point,
    "named": lambda odd: SPACE.point({"azimuth": odd}),
    "project": SPACE.project,
    "grid": SPACE.grid,
    "count": lambda odd: SPACE.sample(odd, np.random.default_rng(0)),
    "index": SPACE.index,
    "text": SPACE.format_point,
    "space of a function": lambda odd: CallableFunction(odd, lambda theta: theta[:, 0]),
    "answer": lambda odd: CallableFunction(SPACE, lambda theta: odd).values(POINTS),
    "range": lambda odd: CallableFunction(SPACE, lambda theta: theta[:, 0], score_range=odd),
    "values": HILL.values,
    "member of values": lambda odd: HILL.values(POINTS, odd),
    "optimum": lambda odd: optimum(HILL, odd),
    "goal of an optimum": lambda odd: optimum(HILL, START, odd),
    "moments": lambda odd: exact_moments(HILL, odd),
    "goal of a judge": Judge,
    "points": lambda odd: Judge(points=odd),
    "seed of a judge": lambda odd: Judge(seed=odd),
    "points of a certificate": lambda odd: Judge(certificate_points=odd),
    "confidence": lambda odd: Judge(confidence=odd),
    "margin": MeanGoal(0.5).tightened,
    "margin of reliability": ReliabilityGoal(0.5).tightened,
    "regions": lambda odd: judge_regions(HILL, odd),
    "judge": lambda odd: judge_regions(HILL, BOX, judge=odd),
}


NAMED: dict[str, tuple[type[SemrobError], str]] = {
    "function": (InvalidParameterError, "function is"),
    "trajectories": (InvalidBudgetError, "trajectories "),
    "budget": (InvalidBudgetError, "budget "),
    "trajectory": (ShapeMismatchError, "trajectory "),
    "member": (InvalidParameterError, "member "),
    "restore": (InvalidBudgetError, "saved counts "),
    "query": (InvalidParameterError, "queries is"),
    "step": (InvalidParameterError, "finite-difference step is"),
    "radius": (InvalidParameterError, "neighborhood radius is"),
    "neighbors": (InvalidParameterError, "neighbors "),
    "whole": (InvalidRegionError, "count "),
    "space of a whole": (InvalidParameterError, "space is"),
    "contains": (ShapeMismatchError, "theta is"),
    "sample": (InvalidParameterError, "count "),
    "generators": (InvalidRegionError, "rngs is"),
    "iou": (InvalidRegionError, "the other is"),
    "goal": (InvalidParameterError, "goal is"),
    "margin": (InvalidParameterError, "margin "),
    "margin of reliability": (InvalidParameterError, "margin "),
    "goal of a judge": (InvalidParameterError, "goal is"),
    "points": (InvalidParameterError, "judge points "),
    "seed of a judge": (InvalidParameterError, "judge seed "),
    "points of a certificate": (InvalidParameterError, "certificate points "),
    "confidence": (InvalidParameterError, "confidence "),
    "judge": (InvalidParameterError, "judge is"),
}
"""What a call's error is, and how its message begins."""


@pytest.mark.parametrize("call", NAMED)
def test_what_is_wrong_is_named(call: str) -> None:
    error, words = NAMED[call]
    with pytest.raises(SemrobError) as caught:
        CALLS[call](object())
    assert type(caught.value) is error
    assert str(caught.value).startswith(words)


TOO_MUCH: dict[str, tuple[type[SemrobError], Callable[[], object]]] = {
    "trajectory below": (ShapeMismatchError, lambda: oracle().value(START, trajectory=-1)),
    "trajectory far below": (ShapeMismatchError, lambda: oracle().value(START, trajectory=-(2**64))),
    "neighbors": (InvalidParameterError, lambda: NeighborhoodGradients(neighbors=2**20 + 2)),
    "regions": (InvalidRegionError, lambda: Regions.whole(SPACE, 2**40 + 1)),
    "negative regions": (InvalidRegionError, lambda: Regions.whole(SPACE, -1)),
    "samples": (InvalidParameterError, lambda: BOX.sample(2**40 + 1, [np.random.default_rng(0)])),
    "infinite factor": (InvalidParameterError, lambda: BOX.outer(np.inf)),
    "judge points": (InvalidParameterError, lambda: Judge(points=2**21)),
    "one judge point": (InvalidParameterError, lambda: Judge(points=1)),
    "no power of two": (InvalidParameterError, lambda: Judge(points=6)),
    "judge seed": (InvalidParameterError, lambda: Judge(seed=2**256 + 1)),
    "certificate points": (InvalidParameterError, lambda: Judge(certificate_points=2**20 + 1)),
    "sure": (InvalidParameterError, lambda: Judge(confidence=1.0)),
    "surer": (InvalidParameterError, lambda: Judge(confidence=1.5)),
    "unsure": (InvalidParameterError, lambda: Judge(confidence=0.0)),
    "saved counts": (InvalidBudgetError, lambda: oracle().restore(np.array([2**53 + 1]), np.array([0]))),
    "long goal": (InvalidParameterError, lambda: read_goal("mean=0.5," + 190 * " " + "variance=0.05")),
}


@pytest.mark.parametrize("call", TOO_MUCH)
def test_what_is_out_of_bounds_is_refused(call: str) -> None:
    error, made = TOO_MUCH[call]
    with pytest.raises(error) as caught:
        made()
    assert type(caught.value) is error


def test_what_is_at_a_bound_is_taken() -> None:
    assert Judge(points=2, seed=2**256, certificate_points=2**20, confidence=1e-9).points == 2
    assert Judge(points=2**20, certificate_points=0).points == 2**20
    assert NeighborhoodGradients(neighbors=2**20).neighbors == 2**20
    assert Regions.whole(SPACE, 0).lower.shape == (0, 2)
    assert BOX.sample(0, [np.random.default_rng(0)]).shape == (1, 0, 2)
    kept = oracle(budget=None)
    kept.restore(np.array([2**53]), np.array([2**53]))
    assert (kept.forward_queries.item(), kept.gradient_queries.item()) == (2**53, 2**53)
    assert read_goal("mean=0.5".ljust(200)) == MeanGoal(0.5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("call", CALLS)
def test_odd_values_end_in_one_line_of_ours(call: str) -> None:
    for odd in ODD:
        with pytest.raises(SemrobError) as caught:
            CALLS[call](odd)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 800


def test_numbers_of_other_types_are_what_they_are() -> None:
    for given in ((100, 40), np.array([100, 40], np.int8), np.array([100, 40], np.float16), range(100, 201, 100)[:1]):
        expected = np.array(given, dtype=np.float64)
        np.testing.assert_array_equal(checks.real_array("theta", given), expected)
    fixed = np.array([[100.0, 40.0]] * 4)[::2, ::-1][:, ::-1]
    fixed.setflags(write=False)
    assert oracle().value(fixed[0]) == oracle().value([100, 40]) == oracle().value(np.array([100, 40], np.float16))
    assert Questions(SPACE, fixed, member=np.array([0, 0], np.uint8)).member.dtype == np.int64
    assert checks.whole_array("member", []).tolist() == []
    assert checks.whole_number("seed", np.uint8(3), 0) == 3
    for odd in (True, 3.0, np.float64(3.0), "3", -1):
        with pytest.raises(InvalidParameterError, match="whole number"):
            checks.whole_number("seed", odd, 0)


def test_members_that_are_no_whole_numbers_are_not_cut_off() -> None:
    with pytest.raises(InvalidParameterError, match="whole numbers"):
        Questions(SPACE, [START, START], member=[0.0, 1.7])
    with pytest.raises(InvalidParameterError, match="start"):
        Question(HILL.id, "38")  # type: ignore[arg-type]  # the digits of a text are no point
    with pytest.raises(InvalidParameterError, match="lowest and highest"):
        CallableFunction(SPACE, lambda theta: theta[:, 0], score_range=(0.0, 1.0, 2.0))  # type: ignore[arg-type]


def test_regions_of_two_spaces_have_nothing_in_common() -> None:
    other = SemanticSpace.of("roll,elevation")
    with pytest.raises(InvalidRegionError, match="of one space"):
        BOX.iou(Regions(other, BOX.lower, BOX.upper))
    with pytest.raises(InvalidRegionError, match="of one space"):
        BOX.intersection_volume(BOX[[0, 0]])


def test_what_has_no_words_is_shown_in_some(tmp_path: Path) -> None:
    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError

    assert checks.shown(Mute()).endswith("of Mute")
    assert checks.shown("a\nb\ud800") == "'a\\nb\\ud800' of str"
    assert checks.instance_of("log", log := QueryLog(), QueryLog) is log
    assert checks.instance_of("path", tmp_path, (str, Path)) is tmp_path
