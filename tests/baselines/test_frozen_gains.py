"""A question asked again with one parameter frozen: shares that compare, and the bill."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.experiments.frozen import frozen_gains
from baselines.experiments.runner import execute, solve
from semrob_env.errors import InvalidParameterError, UnknownNameError
from semrob_env.functions import CallableFunction, Frozen, Stack, make_function
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MeanGoal, Question, ReliabilityGoal
from semrob_env.store import FAILED, RunTask
from semrob_env.synthetic import make_synthetic
from semrob_env.types import FloatArray

PLATEAU = "synthetic:plateau?n=3&seed=0"
SPACE = SemanticSpace.of("azimuth,elevation,distance")


def make_start() -> tuple[float, ...]:
    return tuple(make_synthetic(PLATEAU).plateau.center[0].tolist())


def test_the_frozen_question_is_the_same_question_of_the_frozen_function() -> None:
    function, start = make_function(PLATEAU), make_start()
    goal = MeanGoal(0.85)
    row = solve(Question(PLATEAU, start, goal, budget=125), "grid", seed=3)
    assert 0 < row.share < 1
    gains = frozen_gains(function, row)
    assert [gain.parameter for gain in gains] == list(function.space.names)
    for at, gain in enumerate(gains):
        rest = start[:at] + start[at + 1 :]
        asked = Question(Frozen(function, gain.parameter, start[at]).id, rest, goal, budget=125)
        # By its id alone, as any other process would find it.
        alone = execute([RunTask(asked, "grid", seed=3)])[0]
        assert (gain.row.key, gain.row.lower, gain.row.upper) == (alone.key, alone.lower, alone.upper)
        assert gain.frozen == alone.share == gain.row.share
        assert 0 < gain.row.forward_queries <= 125
        width = np.delete((np.array(row.upper) - np.array(row.lower)) / function.space.width, at)
        assert gain.free == pytest.approx(width.prod())
        assert gain.gain == gain.frozen - gain.free


def test_the_parameter_that_breaks_the_network_is_the_one_whose_freezing_gains() -> None:
    """A mean that only elevation lowers: with elevation free no region is whole, with it frozen every region is."""

    def scores(theta: FloatArray) -> FloatArray:
        unit = SPACE.to_unit(theta)
        return np.asarray(np.where(np.abs(unit[:, 1] - 0.5) + 0.4 * np.abs(unit[:, 2] - 0.5) < 0.2, 0.9, 0.1))

    function = CallableFunction(SPACE, scores, name="narrow")
    start = tuple(SPACE.from_unit(np.full(3, 0.5)).tolist())
    row = solve(Question("narrow", start, ReliabilityGoal(), budget=120), "grid", function=function)
    gains = {gain.parameter: gain for gain in frozen_gains(function, row)}
    assert gains["elevation"].gain > 0.05
    assert gains["elevation"].gain > max(gains["azimuth"].gain, gains["distance"].gain)


def test_members_and_a_choice_of_parameters() -> None:
    family = Stack([make_function(f"synthetic:plateau?n=2&seed={seed}") for seed in range(2)])
    second = family.member_ids[1]
    row = solve(Question(second, (180.0, 40.0), budget=30), "grid", function=family)
    (gain,) = frozen_gains(family, row, parameters=["elevation"])
    assert gain.row.task.question.function_id == f"frozen(elevation=40.0, {second})"
    assert gain.row.task.question.start == (180.0,)
    with pytest.raises(UnknownNameError):
        frozen_gains(family, row, parameters=["distance"])


def test_steps_of_differences_lose_the_one_of_the_frozen_parameter() -> None:
    function = make_function("synthetic:hill?n=2&seed=0")
    question = Question(function.id, (180.0, 40.0), budget=30)
    (row,) = execute([RunTask(question, "naive", finite_difference=(1.8, 0.5))])
    gains = frozen_gains(function, row)
    assert [gain.row.task.finite_difference for gain in gains] == [(0.5,), (1.8,)]
    assert all(gain.row.status != FAILED for gain in gains)


def test_what_leaves_nothing_to_vary_is_refused() -> None:
    line = make_function("synthetic:plateau?n=1&seed=0")
    row = solve(Question(line.id, (180.0,), budget=20), "grid")
    with pytest.raises(InvalidParameterError, match="nothing is left"):
        frozen_gains(line, row)
    (failed,) = execute([RunTask(Question(PLATEAU, (1.0,), budget=9), "grid")])
    with pytest.raises(InvalidParameterError, match="failed"):
        frozen_gains(make_function(PLATEAU), failed)
