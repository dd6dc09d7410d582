"""What RegionGrow-v0 refuses: bad actions, steps without an episode, bad arguments and options."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from semrob_env.envs.region_grow import RegionGrowEnv
from semrob_env.errors import (
    InvalidActionError,
    InvalidBudgetError,
    InvalidParameterError,
    OutOfSpaceError,
    ResetNeededError,
    SemrobError,
    ShapeMismatchError,
    UnknownNameError,
)
from semrob_env.functions import CallableFunction
from semrob_env.recorded import RecordedMaps
from semrob_env.types import FloatArray
from tests.recorded_maker import SPACE, wavy_maps

MAPS = RecordedMaps(wavy_maps())


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([np.nan, 0, 0, 0], "NaN"),
        ([0, 0, 0], r"shape \(3,\), must be \(4,\)"),
        (0.5, r"shape \(\), must be"),
        (np.zeros((1, 4)), r"shape \(1, 4\), must be"),
        (["a", "b", "c", "d"], "no array of numbers"),
        ([None] * 4, "NaN|no array of numbers"),
    ],
)
def test_a_bad_action_is_one_clear_error_and_changes_nothing(action: Any, message: str) -> None:
    env, same = RegionGrowEnv(MAPS), RegionGrowEnv(MAPS)
    for one in (env, same):
        one.reset(seed=0)
        one.step(np.full(4, 0.7))
    with pytest.raises(InvalidActionError, match=message):
        env.step(action)
    for _ in range(2):
        np.testing.assert_array_equal(env.step(np.ones(4))[0], same.step(np.ones(4))[0])


def test_actions_out_of_range_are_clipped() -> None:
    env, same = RegionGrowEnv(MAPS), RegionGrowEnv(MAPS)
    env.reset(seed=0)
    same.reset(seed=0)
    np.testing.assert_array_equal(env.step([np.inf, -np.inf, 1e300, 1.5])[0], same.step([1, -1, 1, 1])[0])


def test_a_step_before_reset_or_after_the_end_says_so() -> None:
    env = RegionGrowEnv(MAPS, budget=26)
    for error in (ResetNeededError, gymnasium.error.ResetNeeded, RuntimeError):
        with pytest.raises(error, match=r"call reset\(\) before the first step"):
            env.step(np.zeros(4))
    env.reset(seed=0)
    assert env.step(np.zeros(4))[2]
    spent = env.oracle.forward_queries
    with pytest.raises(ResetNeededError):
        env.step(np.zeros(4))
    assert env.oracle.forward_queries.tolist() == spent.tolist()
    env.reset()
    env.step(np.zeros(4))


def test_after_a_failure_of_the_function_the_episode_is_over() -> None:
    fails = [False]

    def scores(theta: FloatArray) -> FloatArray:
        if fails[0]:
            raise OSError("no connection")
        return np.full(len(theta), 0.5)

    env = RegionGrowEnv(CallableFunction(SPACE, scores))
    env.reset(seed=0)
    fails[0] = True
    with pytest.raises(OSError, match="no connection"):
        env.step(np.ones(4))
    fails[0] = False
    with pytest.raises(ResetNeededError):
        env.step(np.ones(4))
    _, info = env.reset()
    assert info["spent"] == 12


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"function": "nothing:here"}, UnknownNameError, "unknown function 'nothing:here'"),
        ({"function": 3}, InvalidParameterError, "give the id of a function"),
        (
            {"budget": 23},
            InvalidBudgetError,
            "budget 23: the first observation and each step cost 12 queries and .* 26",
        ),
        ({"budget": 0}, InvalidBudgetError, "at least 1"),
        ({"budget": 99.5}, InvalidBudgetError, "whole number"),
        ({"goal": "mean=1.5"}, InvalidParameterError, r"goal 'mean=1.5': mean 1.5 must be in \[0, 1\]"),
        ({"goal": "mean=0.5,variance=0.3"}, InvalidParameterError, r"epsilon_v 0.3: give a number in \[0, 0.25\]"),
        ({"goal": "variance=nan"}, InvalidParameterError, "variance=nan"),
        ({"goal": 0.5}, InvalidParameterError, "goal 0.5: give a Goal, or its text such as mean=0.5"),
        ({"epsilon_m": 0.3}, TypeError, "unexpected keyword argument 'epsilon_m'"),
        ({"largest_step": 0}, InvalidParameterError, r"in \(0, 1\]"),
        ({"points": 1}, InvalidParameterError, "points 1"),
        ({"corners": 3}, InvalidParameterError, "corners 3: give an even number"),
        ({"function": "synthetic:plateau?n=7"}, InvalidParameterError, "7 parameters have 128 corners.*corners=16"),
        ({"members": []}, InvalidParameterError, "at least one"),
        ({"members": [8]}, UnknownNameError, r"members 0\.\.7"),
        ({"members": [0.5]}, InvalidParameterError, "whole numbers"),
        ({"start": "roll=3"}, UnknownNameError, "unknown parameter 'roll'"),
        ({"start": "elevation=99"}, OutOfSpaceError, "elevation=99"),
        ({"start": [1.0, 2.0, 3.0]}, ShapeMismatchError, "last axis must be 2"),
        ({"start": np.zeros((0, 2))}, ShapeMismatchError, "at least 1"),
        ({"start": ["azimuth=1", 3]}, InvalidParameterError, "not both"),
        ({"adversarial": "yes"}, InvalidParameterError, "True or False"),
        ({"render_mode": "video"}, InvalidParameterError, "render_mode 'video': choose rgb_array"),
    ],
    ids=str,
)
def test_bad_arguments_are_one_clear_error(arguments: dict[str, Any], error: type[SemrobError], message: str) -> None:
    with pytest.raises(error, match=message):
        RegionGrowEnv(**{"function": MAPS, **arguments})


@pytest.mark.parametrize(
    ("options", "error"),
    [({"shape": 1}, InvalidParameterError), ({"member": 99}, UnknownNameError), ({"start": "x=1"}, UnknownNameError)],
)
def test_bad_reset_options_are_one_clear_error(options: dict[str, Any], error: type[SemrobError]) -> None:
    env = RegionGrowEnv(MAPS)
    with pytest.raises(error):
        env.reset(options=options)
