"""The query oracle: every line of its price list, the hard budget, the log and its counts."""

from __future__ import annotations

import copy
import math
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, final

import numpy as np
import pytest

from semrob_env.errors import (
    BudgetExhausted,
    InvalidBudgetError,
    InvalidParameterError,
    NoGradientError,
    OtherProcessError,
    OutOfSpaceError,
    ScoreRangeError,
    ShapeMismatchError,
)
from semrob_env.functions import CallableFunction, Price, ScoreFunction, UnitScale, make_function
from semrob_env.oracle import FiniteDifferences, NeighborhoodGradients, Queries, QueryLog, QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.types import BoolArray, FloatArray, IntArray

BOTH = SemanticSpace.of("azimuth,elevation")


@final
class Counting(ScoreFunction):
    """A smooth periodic function that counts the points it is truly asked for."""

    def __init__(self, members: int = 1, score_range: tuple[float, float] = (0.0, 1.0)) -> None:
        names = tuple(f"counting:{k}" for k in range(members))
        super().__init__(BOTH, names, score_range=score_range, has_gradient=True)
        self.calls = 0
        self.points = 0
        self.replace: Callable[[FloatArray], FloatArray] = lambda values: values
        self.prices = Price(1, 0), Price(1, 1)

    @property
    def value_price(self) -> Price:
        return self.prices[0]

    @property
    def gradient_price(self) -> Price:
        return self.prices[1]

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        self.calls += 1
        self.points += theta.shape[0] * theta.shape[1]
        azimuth, elevation = np.deg2rad(theta[:, :, 0]), theta[:, :, 1]
        values = 0.5 + 0.2 * np.cos(azimuth) + 0.002 * elevation + 0.01 * member[:, None]
        return self.replace(values)

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        gradients = np.empty(theta.shape)
        gradients[:, :, 0] = -0.2 * np.sin(np.deg2rad(theta[:, :, 0])) * np.pi / 180
        gradients[:, :, 1] = 0.002
        return self._values(theta, member), gradients


def queries(
    *shape: int,
    active: Any = None,
    wants_gradient: bool = False,
    member: Any = None,
    theta: FloatArray | None = None,
) -> Queries:
    points = BOTH.from_unit(np.random.default_rng(0).random((*shape, 2))) if theta is None else theta
    flags: BoolArray = np.ones(points.shape[:2], dtype=np.bool_) if active is None else np.array(active, dtype=np.bool_)
    rows: IntArray = np.zeros(len(points), dtype=np.int64) if member is None else np.array(member, dtype=np.int64)
    return Queries(points, rows, flags, wants_gradient)


def counts(oracle: QueryOracle) -> tuple[list[int], list[int]]:
    return oracle.forward_queries.tolist(), oracle.gradient_queries.tolist()


def test_a_value_is_one_forward_query_per_active_entry() -> None:
    function = Counting()
    oracle = QueryOracle(function, trajectories=3)
    answers = oracle.query(queries(3, 4, active=[[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]))
    assert counts(oracle) == ([4, 1, 0], [0, 0, 0])
    assert answers.gradients is None
    assert (function.calls, function.points) == (1, 5)


def test_a_value_with_its_gradient_is_one_of_each_and_weighs_one_plus_the_cost() -> None:
    function = Counting()
    oracle = QueryOracle(function, trajectories=2, gradient_cost=2.5, budget=7.0)
    asked = queries(2, 2, active=[[1, 1], [1, 0]], wants_gradient=True)
    answers = oracle.query(asked)
    assert counts(oracle) == ([2, 1], [2, 1])
    assert oracle.spent.tolist() == [7.0, 3.5]
    assert answers.gradients is not None
    expected = function.values_and_gradients(asked.theta)[1]
    assert answers.gradients[asked.active].tolist() == expected[asked.active].tolist()
    assert answers.gradients[~asked.active].tolist() == [[0.0, 0.0]]


def test_finite_differences_are_billed_as_two_forward_queries_a_parameter() -> None:
    function = Counting()
    oracle = QueryOracle(function, trajectories=2, finite_differences=FiniteDifferences(), gradient_cost=100.0)
    oracle.query(queries(2, 3, active=[[1, 1, 1], [0, 1, 0]], wants_gradient=True))
    assert counts(oracle) == ([15, 5], [0, 0])
    assert oracle.spent.tolist() == [15.0, 5.0]
    assert function.points == 20
    oracle.query(queries(2, 1))  # a plain value stays one query
    assert counts(oracle) == ([16, 6], [0, 0])


def test_a_repeated_theta_is_charged_again() -> None:
    function = Counting()
    oracle = QueryOracle(function)
    asked = queries(1, 3, theta=np.full((1, 3, 2), 5.0))
    first, second = oracle.query(asked), oracle.query(asked)
    assert counts(oracle)[0] == [6]
    assert function.points == 6
    assert first.values.tobytes() == second.values.tobytes()


@pytest.mark.parametrize("score_range", [(0.0, 1.0), (-2.0, 1.0)])
def test_nan_is_charged_and_told_as_the_worst_score_and_its_gradient_as_zero(score_range: tuple[float, float]) -> None:
    function = Counting(score_range=score_range)
    function.replace = lambda values: np.where(np.arange(values.size).reshape(values.shape) == 1, np.nan, values)
    log = QueryLog()
    oracle = QueryOracle(function, log=log)
    answers = oracle.query(queries(1, 3))
    assert answers.values[0, 1] == 0
    assert (answers.values[0, [0, 2]] > 0).all()
    assert counts(oracle)[0] == [3]
    assert np.isnan(log.arrays()["value"].astype(float)).tolist() == [False, True, False]  # the log keeps what came


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_is_told_as_zero_number_by_number(wrong: float) -> None:
    function = CallableFunction(BOTH, lambda t: t[:, 0] * 0, gradients=lambda t: np.tile([wrong, 0.25], (len(t), 1)))
    oracle = QueryOracle(function)
    answers = oracle.query(queries(1, 2, wants_gradient=True))
    assert answers.gradients is not None
    assert answers.gradients.tolist() == [[[0.0, 0.25]] * 2]
    assert counts(oracle) == ([2], [2])


@pytest.mark.parametrize("theta", [[360.0, 0.0], [-1e-17, 0.0], [0.0, 90.0001], [0.0, math.nan], [math.inf, 0.0]])
@pytest.mark.parametrize("differences", [None, FiniteDifferences()])
def test_a_theta_outside_the_space_charges_nothing(theta: list[float], differences: FiniteDifferences | None) -> None:
    function, log = Counting(), QueryLog()
    oracle = QueryOracle(function, trajectories=2, finite_differences=differences, log=log)
    points = np.full((2, 2, 2), 5.0)
    points[1, 1] = theta
    for wants_gradient in (False, True):
        with pytest.raises(OutOfSpaceError):
            oracle.query(queries(theta=points, wants_gradient=wants_gradient))
    assert counts(oracle) == ([0, 0], [0, 0])
    assert function.points == 0
    assert log.arrays()["value"].size == 0


def test_an_entry_that_is_not_active_is_free_whatever_its_theta() -> None:
    oracle = QueryOracle(Counting(score_range=(-4.0, 1.0)), trajectories=2)
    points = np.full((2, 2, 2), 5.0)
    points[0, 1] = math.nan
    points[1] = 1e9
    answers = oracle.query(queries(theta=points, active=[[1, 0], [0, 0]], wants_gradient=True))
    assert counts(oracle) == ([1, 0], [1, 0])
    assert answers.values[0, 1] == answers.values[1, 0] == 0
    assert answers.gradients is not None
    assert not answers.gradients[1].any()
    assert answers.active.tolist() == [[True, False], [False, False]]


def test_a_query_without_any_active_entry_does_not_ask_the_function() -> None:
    for differences in (None, FiniteDifferences()):
        function = Counting()
        oracle = QueryOracle(function, trajectories=2, budget=1, finite_differences=differences)
        for wants_gradient in (False, True):
            answers = oracle.query(queries(2, 3, active=np.zeros((2, 3)), wants_gradient=wants_gradient))
            assert answers.values.tolist() == [[0.0] * 3] * 2
        assert function.calls == 0
        assert counts(oracle) == ([0, 0], [0, 0])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda values: values + 9.0, ScoreRangeError),
        (lambda values: values[:, :-1], ShapeMismatchError),
        (lambda values: 1 / 0, ZeroDivisionError),
    ],
)
def test_an_exception_or_a_wrong_answer_charges_nothing(answer: Any, error: type[Exception]) -> None:
    function, log = Counting(), QueryLog()
    function.replace = answer
    oracle = QueryOracle(function, trajectories=2, log=log)
    for wants_gradient in (False, True):
        with pytest.raises(error):
            oracle.query(queries(2, 2, wants_gradient=wants_gradient))
    assert counts(oracle) == ([0, 0], [0, 0])
    assert log.arrays()["value"].size == 0


def test_a_gradient_of_a_function_without_one_charges_nothing() -> None:
    oracle = QueryOracle(CallableFunction(BOTH, lambda t: t[:, 0] * 0))
    with pytest.raises(NoGradientError):
        oracle.query(queries(1, 1, wants_gradient=True))
    assert counts(oracle) == ([0], [0])


@pytest.mark.parametrize(
    ("budget", "cost", "wants_gradient", "affordable"),
    [
        (7, 1.0, False, 7),
        (7.9, 1.0, False, 7),
        (7, 1.0, True, 3),
        (7, 0.0, True, 7),
        (7, 6.0, True, 1),
        (7, 6.5, True, 0),
        (0.5, 1.0, False, 0),
        (0.3, 0.1, False, 0),
        (3.75, 0.25, True, 3),
    ],
)
def test_the_budget_is_hard_to_the_last_query(
    budget: float, cost: float, wants_gradient: bool, affordable: int
) -> None:
    function = Counting()
    oracle = QueryOracle(function, budget=budget, gradient_cost=cost)
    asked = queries(1, 1, wants_gradient=wants_gradient)
    for _ in range(affordable):
        oracle.query(asked)
    for _ in range(2):
        with pytest.raises(BudgetExhausted, match="nothing was asked or charged"):
            oracle.query(asked)
    assert function.points == affordable
    assert counts(oracle)[0] == [affordable]
    assert oracle.spent[0] <= budget


def test_rounding_of_an_odd_gradient_cost_never_lets_the_bill_pass_the_budget() -> None:
    rng = np.random.default_rng(0)
    asked = queries(1, 1, wants_gradient=True)
    for cost, budget in zip(rng.uniform(0, 3, 300), rng.uniform(1, 30, 300), strict=True):
        exact = round(budget / (1 + cost))
        oracle = QueryOracle(Counting(), gradient_cost=cost, budget=exact * (1 + cost) if exact else budget)
        while oracle.affordable(asked).all():
            oracle.query(asked)
        assert oracle.spent[0] <= oracle.budget
        assert abs(oracle.forward_queries[0] - oracle.budget // (1 + cost)) <= 1


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_no_size_of_query_overruns_the_budget_by_one(size: int) -> None:
    function = Counting()
    oracle = QueryOracle(function, budget=17)
    for _ in range(17 // size):
        oracle.query(queries(1, size))
    if 17 % size:
        with pytest.raises(BudgetExhausted):
            oracle.query(queries(1, size))
        oracle.query(queries(1, 17 % size))
    with pytest.raises(BudgetExhausted):
        oracle.value([0.0, 0.0])
    assert counts(oracle)[0] == [17]
    assert function.points == 17


def test_one_trajectory_that_cannot_pay_stops_the_whole_call_before_the_function_is_asked() -> None:
    function = Counting()
    oracle = QueryOracle(function, trajectories=2, budget=3)
    oracle.query(queries(2, 3, active=[[1, 0, 0], [1, 1, 0]]))
    asked = queries(2, 2)
    assert oracle.affordable(asked).tolist() == [True, False]
    with pytest.raises(BudgetExhausted, match="trajectory 1 has spent 2 of 3 and cannot pay 2 more"):
        oracle.query(asked)
    assert counts(oracle)[0] == [1, 2]
    assert function.calls == 1


def test_finite_differences_respect_the_budget() -> None:
    oracle = QueryOracle(Counting(), budget=9, finite_differences=FiniteDifferences())
    oracle.query(queries(1, 1, wants_gradient=True))
    with pytest.raises(BudgetExhausted):
        oracle.query(queries(1, 1, wants_gradient=True))
    oracle.query(queries(1, 4))
    assert oracle.spent.tolist() == [9.0]


def test_no_budget_is_no_cap() -> None:
    oracle = QueryOracle(Counting())
    assert oracle.budget == math.inf
    oracle.query(queries(1, 10_000))
    assert oracle.affordable(queries(1, 10_000)).all()


@pytest.mark.parametrize(
    "arguments",
    [
        {"budget": 0},
        {"budget": -1},
        {"budget": math.nan},
        {"trajectories": 0},
        {"trajectories": -2},
        {"gradient_cost": -0.1},
        {"gradient_cost": math.nan},
        {"gradient_cost": math.inf},
    ],
)
def test_a_budget_count_or_cost_that_makes_no_sense_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidBudgetError):
        QueryOracle(Counting(), **arguments)


def test_answers_stand_where_they_were_asked_and_come_from_the_member_of_the_row() -> None:
    function = Counting(members=3)
    oracle = QueryOracle(function, trajectories=3)
    asked = queries(3, 4, member=[2, 0, 1], active=np.random.default_rng(2).random((3, 4)) < 0.6)
    answers = oracle.query(asked)
    expected = function.values(asked.theta, asked.member)
    assert answers.values[asked.active].tolist() == expected[asked.active].tolist()
    assert oracle.forward_queries.tolist() == asked.active.sum(axis=1).tolist()


@pytest.mark.parametrize(
    ("theta", "member", "active"),
    [
        ((2, 3), (2,), (2, 3)),
        ((2, 3, 2), (3,), (2, 3)),
        ((2, 3, 2), (2,), (2, 2)),
        ((2, 3, 2), (2, 1), (2, 3)),
    ],
)
def test_queries_of_shapes_that_do_not_fit_are_refused(theta: Any, member: Any, active: Any) -> None:
    with pytest.raises(ShapeMismatchError):
        Queries(np.zeros(theta), np.zeros(member, dtype=np.int64), np.ones(active, dtype=np.bool_))


def test_queries_need_one_row_a_trajectory() -> None:
    with pytest.raises(ShapeMismatchError, match="2 rows of queries for 3 trajectories"):
        QueryOracle(Counting(), trajectories=3).query(queries(2, 1))


def test_a_single_value_is_charged_to_its_trajectory() -> None:
    function = Counting(members=2)
    oracle = QueryOracle(function, trajectories=3, budget=1)
    assert oracle.value([60.0, 0.0], trajectory=1, member=1) == pytest.approx(0.61)
    assert counts(oracle)[0] == [0, 1, 0]
    with pytest.raises(BudgetExhausted):
        oracle.value([60.0, 0.0], trajectory=1)
    with pytest.raises(OutOfSpaceError):
        oracle.value([360.0, 0.0])


@pytest.mark.parametrize(
    ("budget", "gradients", "affordable"), [(2.5, 0, 2), (0.5, 0, 0), (3.5, 1, 1), (5.9, 2, 1), (4, 2, 0)]
)
def test_single_values_never_overrun_a_budget_not_even_by_a_part_of_a_query(
    budget: float, gradients: int, affordable: int
) -> None:
    function = Counting()
    oracle = QueryOracle(function, budget=budget, gradient_cost=1.0)
    for _ in range(gradients):
        oracle.query(queries(1, 1, wants_gradient=True))
    for _ in range(affordable):
        oracle.value([0.0, 0.0])
    spent = f"trajectory 0 has spent {2 * gradients + affordable} of {budget:g} and cannot pay 1 more"
    with pytest.raises(BudgetExhausted, match=spent):
        oracle.value([0.0, 0.0])
    assert counts(oracle) == ([gradients + affordable], [gradients])
    assert function.points == gradients + affordable


@pytest.mark.parametrize("score_range", [(0.0, 1.0), (-2.0, 1.0), (-5.0, 0.9)])
def test_a_single_nan_is_charged_and_told_as_the_worst_score(score_range: tuple[float, float]) -> None:
    function = Counting(score_range=score_range)
    function.replace = lambda values: np.full(values.shape, np.nan)
    log = QueryLog()
    oracle = QueryOracle(function, log=log)
    assert oracle.value([0.0, 0.0]) == 0.0
    assert counts(oracle)[0] == [1]
    assert np.isnan(log.arrays()["value"].astype(float)).tolist() == [True]


def test_the_log_holds_single_values_in_order_with_their_trajectory() -> None:
    log = QueryLog()
    oracle = QueryOracle(Counting(), trajectories=2, log=log)
    told = [oracle.value([60.0, 0.0], trajectory=1), oracle.value([180.0, 10.0])]
    logged = log.arrays()
    assert {name: array.tolist() for name, array in logged.items()} == {
        "trajectory": [1, 0],
        "theta": [[60.0, 0.0], [180.0, 10.0]],
        "value": told,
        "with_gradient": [False, False],
    }
    assert logged["with_gradient"].dtype == np.bool_


def test_a_meter_of_another_process_refuses_every_use_and_its_copy_here_goes_on_from_its_counts() -> None:
    oracle = QueryOracle(Counting(), trajectories=2, budget=10)
    oracle.query(queries(2, 3, wants_gradient=True))
    assert oracle.here() is oracle
    oracle._process = b"another"
    uses: list[Callable[[], object]] = [
        lambda: oracle.value([0.0, 0.0]),
        lambda: oracle.query(queries(2, 1)),
        lambda: oracle.restore(oracle.forward_queries, oracle.gradient_queries),
    ]
    for use in uses:
        with pytest.raises(OtherProcessError, match="this meter belongs to another process"):
            use()
    again = oracle.here()
    assert (counts(again), again.budget) == (([3, 3], [3, 3]), 10.0)
    again.value([0.0, 0.0], trajectory=1)
    again.query(queries(2, 1, active=[[1], [0]], wants_gradient=True))
    assert counts(again) == ([4, 4], [4, 3])
    assert counts(oracle) == ([3, 3], [3, 3])


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64])
def test_restored_counts_may_be_whole_numbers_of_any_kind(kind: type[np.generic]) -> None:
    oracle = QueryOracle(Counting(), budget=300)
    oracle.restore(np.array([200], dtype=kind), np.array([50], dtype=kind))
    assert oracle.forward_queries.dtype == oracle.gradient_queries.dtype == np.int64
    oracle.query(queries(1, 10, wants_gradient=False))
    oracle.query(queries(1, 5, wants_gradient=True))
    oracle.query(queries(1, 30, wants_gradient=False))
    assert counts(oracle) == ([245], [55])


def test_counts_cannot_be_changed_from_outside_and_continue_after_a_restart() -> None:
    oracle = QueryOracle(Counting(), trajectories=2, budget=10)
    oracle.forward_queries[:] = -100
    oracle.query(queries(2, 3, wants_gradient=True))
    forward, gradient = oracle.forward_queries, oracle.gradient_queries
    again = QueryOracle(Counting(), trajectories=2, budget=10)
    again.restore(forward, gradient)
    forward[:] = 0
    assert again.spent.tolist() == [6.0, 6.0]
    with pytest.raises(BudgetExhausted):
        again.query(queries(2, 5))
    with pytest.raises(ShapeMismatchError):
        again.restore(forward[:1], gradient)


def test_the_log_holds_every_charged_query_in_order() -> None:
    log = QueryLog()
    oracle = QueryOracle(Counting(), trajectories=2, log=log, finite_differences=None)
    first = queries(2, 2, active=[[1, 0], [1, 1]])
    second = queries(2, 1, wants_gradient=True, theta=np.array([[[1.0, 2.0]], [[3.0, 4.0]]]))
    values = [oracle.query(first).values[first.active], oracle.query(second).values[second.active]]
    logged = log.arrays()
    assert logged["trajectory"].tolist() == [0, 1, 1, 0, 1]
    assert logged["theta"].tolist() == [*first.theta[first.active].tolist(), [1.0, 2.0], [3.0, 4.0]]
    assert logged["value"].tolist() == np.concatenate(values).tolist()
    assert logged["with_gradient"].tolist() == [False, False, False, True, True]


def test_the_log_holds_each_point_of_a_finite_difference_as_a_forward_query() -> None:
    log = QueryLog()
    oracle = QueryOracle(Counting(), log=log, finite_differences=FiniteDifferences((2.0, 4.0)))
    oracle.query(queries(theta=np.array([[[1.0, 88.0]]]), wants_gradient=True))
    logged = log.arrays()
    assert logged["theta"].tolist() == [[1.0, 88.0], [3.0, 88.0], [1.0, 90.0], [359.0, 88.0], [1.0, 84.0]]
    assert not logged["with_gradient"].any()
    assert len(logged["trajectory"]) == oracle.forward_queries[0] == 5


@pytest.mark.parametrize("theta", [[5.0], 5.0, [1.0, 2.0, 3.0], [[1.0, 2.0]], "azimuth"])
def test_a_theta_of_the_wrong_shape_is_refused_and_free(theta: object) -> None:
    oracle = QueryOracle(CallableFunction(SemanticSpace.of("azimuth,elevation"), lambda points: np.zeros(len(points))))
    with pytest.raises(ShapeMismatchError):
        oracle.value(theta)  # type: ignore[arg-type]
    with pytest.raises(ShapeMismatchError, match="trajectory 1: this oracle has"):
        oracle.value([5.0, 5.0], trajectory=1)
    assert oracle.spent[0] == 0


POINTS = np.tile(BOTH.default, (1, 3, 1))
ROW = np.zeros(1, dtype=np.int64)
FLAGS = np.ones((1, 3), dtype=np.bool_)


@pytest.mark.parametrize(
    ("theta", "member", "active", "words"),
    [
        (POINTS, ROW, np.array([[1, -1, 0]]), "active of int64.* booleans"),
        (POINTS, ROW, np.array([[-5, 0, 0]]), "active of int64"),
        (POINTS, ROW, np.array([[1.0, 0.0, math.nan]]), "active of float64"),
        (POINTS, ROW, FLAGS.astype(object), "active of object"),
        (POINTS, ROW, [[True, True, True]], "active of list"),
        (POINTS, np.array([0.7]), FLAGS, "member of float64.* whole numbers"),
        (POINTS, np.array([True]), FLAGS, "member of bool"),
        (POINTS, np.array(["0"]), FLAGS, "member of <U1"),
        (POINTS.astype("U"), ROW, FLAGS, "theta of <U.* real numbers"),
        (POINTS.astype(complex), ROW, FLAGS, "theta of complex128"),
        (POINTS.astype(bool), ROW, FLAGS, "theta of bool"),
        (POINTS.astype(object), ROW, FLAGS, "theta of object"),
    ],
)
def test_queries_of_the_wrong_kind_are_refused_before_anybody_pays(
    theta: Any, member: Any, active: Any, words: str
) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        Queries(theta, member, active)


def test_no_integer_active_is_free_or_refunds_what_was_spent() -> None:
    function = Counting()
    oracle = QueryOracle(function, budget=3)
    oracle.query(Queries(POINTS, ROW, FLAGS))
    for flags in ([[1, -1, 0]], [[-5, 0, 0]]):
        with pytest.raises(InvalidParameterError):
            oracle.query(Queries(POINTS, ROW, np.array(flags)))
    assert (function.points, counts(oracle)) == (3, ([3], [0]))


@pytest.mark.parametrize(
    "saved",
    [np.array([-5]), np.array([2.5]), np.array([math.nan]), np.array([2**63 - 1]), np.array([2**64 - 1], np.uint64)],
)
def test_restored_counts_are_whole_not_negative_and_can_be_added_up(saved: Any) -> None:
    oracle = QueryOracle(Counting(), budget=3)
    for pair in ((saved, ROW), (ROW, saved)):
        with pytest.raises(InvalidBudgetError, match=f"whole numbers of 0 to {2**53}"):
            oracle.restore(*pair)


def test_a_member_that_is_no_whole_number_is_refused() -> None:
    function = Counting(members=2)
    with pytest.raises(InvalidParameterError, match="whole numbers"):
        function.values(POINTS, [0.7])
    with pytest.raises(InvalidParameterError, match="whole number"):
        QueryOracle(function).value([0.0, 0.0], member=0.7)  # type: ignore[arg-type]  # what a caller may do


def test_answers_are_unit_scores_and_their_slopes() -> None:
    plain = QueryOracle(Counting()).query(queries(1, 3, wants_gradient=True))
    for is_logistic in (False, True):
        function = Counting()
        function.scale = UnitScale(-4.0, 6.0, is_logistic)
        function.score_range = (-4.0, 6.0)
        log = QueryLog()
        answers = QueryOracle(function, log=log).query(queries(1, 3, wants_gradient=True))
        native = log.arrays()["value"].astype(float).reshape(1, 3)
        assert native.tolist() == plain.values.tolist()
        unit = 1 / (1 + np.exp(1 - native)) if is_logistic else (native + 4) / 10
        assert answers.values == pytest.approx(unit)
        assert plain.gradients is not None
        assert answers.gradients is not None
        slope = unit * (1 - unit) if is_logistic else np.full_like(unit, 0.1)
        assert answers.gradients == pytest.approx(plain.gradients * slope[..., None])


@pytest.mark.parametrize("is_logistic", [False, True])
def test_the_unit_score_of_a_complement_is_what_is_left_to_1(is_logistic: bool) -> None:
    scale, scores = UnitScale(-50.0, 50.0, is_logistic), np.array([-50.0, -1.5, 0.0, 3.0, 50.0])
    assert scale.unit(-scores) == pytest.approx(1 - scale.unit(scores))
    assert scale.unit(np.array([math.nan]))[0] == pytest.approx(0, abs=1e-20)
    assert scale.unit(np.array([0.0]))[0] == 0.5


@pytest.mark.parametrize("ask", ["value", "query", "gradient"])
def test_threads_share_one_budget_to_the_last_query(ask: str) -> None:
    function = Counting()
    slow = threading.Lock()

    def answer_slowly(values: FloatArray) -> FloatArray:
        with slow:
            function.done = getattr(function, "done", 0) + values.size  # type: ignore[attr-defined]  # of this test
        time.sleep(0.002)  # long enough for every thread to have looked at the meter
        return values

    function.replace = answer_slowly
    oracle = QueryOracle(function, budget=10, log=QueryLog())

    def spend(_: int) -> int:
        answered = 0
        while True:
            try:
                if ask == "value":
                    oracle.value([0.0, 0.0])
                else:
                    oracle.query(queries(1, 1, wants_gradient=ask == "gradient"))
            except BudgetExhausted:
                return answered
            answered += 1

    with ThreadPoolExecutor(16) as pool:
        answered = sum(pool.map(spend, range(16)))
    assert answered == (5 if ask == "gradient" else 10)
    assert function.done == answered  # type: ignore[attr-defined]
    assert oracle.spent.tolist() == [10.0]
    assert oracle.log is not None
    assert len(oracle.log.arrays()["value"]) == answered


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("ask", ["value", "query"])
def test_what_was_reserved_is_given_back_when_the_function_raises(ask: str, error: type[BaseException]) -> None:
    function = Counting()
    oracle = QueryOracle(function, trajectories=2, budget=2)
    seen: list[list[int]] = []

    def fail(values: FloatArray) -> FloatArray:
        seen.append(oracle.forward_queries.tolist())
        raise error

    function.replace = fail
    asked: dict[str, Callable[[], object]] = {
        "value": lambda: oracle.value([0.0, 0.0], trajectory=1),
        "query": lambda: oracle.query(queries(2, 1, active=[[0], [1]])),
    }
    with pytest.raises(error):
        asked[ask]()
    assert seen == [[0, 1]]
    assert counts(oracle) == ([0, 0], [0, 0])


def test_an_oracle_can_be_copied_and_pickled() -> None:
    function = CallableFunction(BOTH, len)  # never asked; a builtin pickles
    oracle = QueryOracle(function, trajectories=2, budget=2)
    oracle.restore(np.array([1, 2]), np.array([0, 0]))
    for again in (copy.deepcopy(oracle), pickle.loads(pickle.dumps(oracle))):
        assert counts(again) == ([1, 2], [0, 0])
        with pytest.raises(BudgetExhausted):
            again.value([0.0, 0.0], trajectory=1)


def test_eight_threads_of_a_library_share_a_budget_of_twenty() -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    oracle = QueryOracle(make_function("synthetic:hill?n=2&seed=0"), budget=20)

    def objective(trial: Any) -> float:
        point = [trial.suggest_float("azimuth", 0.0, 359.0), trial.suggest_float("elevation", -10.0, 90.0)]
        return oracle.value(point)

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=48, n_jobs=8, catch=(BudgetExhausted,))
    assert sum(trial.value is not None for trial in study.trials) == 20
    assert oracle.forward_queries.tolist() == [20]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_meter_carried_into_another_process_is_refused_there() -> None:
    code = """
import multiprocessing, os, pickle
import numpy as np
from scipy.optimize import differential_evolution
from semrob_env import QueryOracle, make_function
oracle = QueryOracle(make_function("synthetic:hill?n=2&seed=0"), budget=50)
try:
    differential_evolution(oracle.value, [(0, 359), (-10, 90)], workers=2, updating="deferred", rng=0)
except Exception as error:
    print(type(error).__name__, str(error).partition(",")[0], flush=True)
print(oracle.forward_queries.tolist(), flush=True)
if not os.fork():
    zero = np.zeros(1, dtype=np.int64)
    for use in (lambda: oracle.value([1.0, 2.0]), lambda: oracle.restore(zero, zero)):
        try:
            use()
        except Exception as error:
            print(type(error).__name__, flush=True)
    print(oracle.here().value([1.0, 2.0]) > 0, oracle.here().forward_queries.tolist(), flush=True)
    os._exit(0)
os.wait()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [
        "OtherProcessError this meter belongs to another process",
        "[0]",
        "OtherProcessError",
        "OtherProcessError",
        "True [0]",
    ]


HIDING = Price(3, 2), Price(4, 5)
"""Of a function whose answers hide queries of their own, as an attack's do."""


def test_a_value_is_charged_what_it_hides_and_nothing_where_it_fails() -> None:
    function = Counting()
    function.prices = HIDING
    oracle = QueryOracle(function, trajectories=2, budget=20, gradient_cost=2.0)
    oracle.value([180.0, 40.0], trajectory=1)
    assert (oracle.forward_queries.tolist(), oracle.gradient_queries.tolist()) == ([0, 3], [0, 2])

    def broken(values: FloatArray) -> FloatArray:
        raise KeyboardInterrupt

    function.replace = broken
    with pytest.raises(KeyboardInterrupt):
        oracle.value([180.0, 40.0], trajectory=1)
    assert (oracle.forward_queries.tolist(), oracle.gradient_queries.tolist()) == ([0, 3], [0, 2])
    function.replace = lambda values: values
    assert oracle.value([180.0, 40.0], trajectory=1) > 0
    with pytest.raises(BudgetExhausted):  # 14 of 20 are spent, and a value costs 3 + 2 * 2
        oracle.value([180.0, 40.0], trajectory=1)
    assert oracle.spent.tolist() == [0.0, 14.0]


def test_a_method_plans_with_what_a_usual_function_would_answer_for_its_budget() -> None:
    usual, priced = Counting(), Counting()
    priced.prices = HIDING
    for own in (None, FiniteDifferences()):
        oracle = QueryOracle(usual, gradient_cost=2.0, finite_differences=own)
        assert oracle.answers(90.0, wants_gradient=False) == oracle.answers(90.0, wants_gradient=True) == 90.0
    oracle = QueryOracle(priced, gradient_cost=2.0)
    assert oracle.answers(70.0, wants_gradient=False) == 10.0  # 7 a value
    assert oracle.answers(70.0, wants_gradient=True) == 15.0  # 14 a gradient, 5 points of 3
    estimated = QueryOracle(priced, gradient_cost=2.0, finite_differences=FiniteDifferences())
    assert estimated.answers(70.0, wants_gradient=True) == 10.0  # 5 values, 7 each, for 5
    averaged = QueryOracle(priced, gradient_cost=2.0, neighborhood=NeighborhoodGradients(neighbors=2))
    assert averaged.answers(70.0, wants_gradient=True) == 15.0
