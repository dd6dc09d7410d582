"""The native vector environments: the same numbers as single ones, in one call of f."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

import semrob_env.envs  # noqa: F401  (registers the environments)
from semrob_env.envs.point_search import PointSearchEnv, PointSearchVectorEnv
from semrob_env.envs.region_grow import RegionGrowEnv, RegionGrowVectorEnv
from semrob_env.errors import (
    InvalidActionError,
    InvalidBudgetError,
    InvalidParameterError,
    ResetNeededError,
    SemrobError,
    ShapeMismatchError,
    UnknownNameError,
)
from semrob_env.functions import CallableFunction, make_function
from semrob_env.parameters import AZIMUTH, Parameter, SemanticSpace
from semrob_env.recorded import RecordedMaps
from semrob_env.types import FloatArray
from tests.recorded_maker import SPACE, wavy_maps

MAPS = RecordedMaps(wavy_maps())
TURNING = SemanticSpace((
    Parameter("x", "", -1.0, 2.0, None, 0.5, "a number"),
    replace(AZIMUTH, name="roll", low=-180.0, high=180.0),
    AZIMUTH,
))


def waves(theta: FloatArray) -> FloatArray:
    """Scores in [-1, 3], NaN here and there."""
    x, roll, azimuth = theta.T
    scores = 1 + np.cos(3 * x) * np.sin(np.radians(roll)) + np.cos(np.radians(azimuth + 30 * x))
    return np.where(scores > 2.7, np.nan, scores)


COUNT = 5
KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "region": (RegionGrowEnv, RegionGrowVectorEnv, {"function": MAPS, "budget": 70}),
    "region to the end of the space": (
        RegionGrowEnv,
        RegionGrowVectorEnv,
        {"function": MAPS, "largest_step": 0.5, "adversarial": True, "members": [1, 2]},
    ),
    "sampled corners, n = 3": (
        RegionGrowEnv,
        RegionGrowVectorEnv,
        {"function": make_function("synthetic:ridge?n=3&seed=1"), "corners": 2, "budget": 50, "start": "random"},
    ),
    "two turns, another score range, NaN": (
        RegionGrowEnv,
        RegionGrowVectorEnv,
        {
            "function": CallableFunction(TURNING, waves, score_range=(-1.0, 3.0)),
            "largest_step": 0.8,
            "points": 3,
            "budget": 100,
            "goal": "mean=0.5,variance=0.03",
            "start": "random",
        },
    ),
    "n = 1": (RegionGrowEnv, RegionGrowVectorEnv, {"function": make_function("synthetic:plateau?n=1"), "budget": 50}),
    "point": (PointSearchEnv, PointSearchVectorEnv, {"function": MAPS, "budget": 6, "start": "random"}),
    "point with a target": (PointSearchEnv, PointSearchVectorEnv, {"function": MAPS, "budget": 9, "target": 0.45}),
}


def assert_same(mine: Any, other: Any, where: str) -> None:
    """The same keys, types, shapes and bytes, all the way down."""
    if isinstance(mine, dict):
        assert mine.keys() == other.keys(), where
        for key in mine:
            assert_same(mine[key], other[key], f"{where}/{key}")
    elif isinstance(mine, tuple | list) or (isinstance(mine, np.ndarray) and mine.dtype.kind == "O"):
        assert len(mine) == len(other), where
        for index, (one, two) in enumerate(zip(mine, other, strict=True)):
            assert_same(one, two, f"{where}[{index}]")
    elif isinstance(mine, np.ndarray):
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype), where
        assert mine.tobytes() == other.tobytes(), where
    else:
        assert mine == other, where


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("kind", KINDS)
def test_single_and_vector_give_the_same_bytes_in_every_autoreset_mode(kind: str, mode: AutoresetMode) -> None:
    single, vector, arguments = KINDS[kind]
    ours = vector(num_envs=COUNT, autoreset_mode=mode, max_episode_steps=4, **arguments)
    theirs: Any = SyncVectorEnv([lambda: TimeLimit(single(**arguments), 4)] * COUNT, autoreset_mode=mode)
    assert ours.metadata["autoreset_mode"] is mode
    assert ours.action_space == theirs.action_space
    assert ours.observation_space == theirs.observation_space
    assert_same(ours.reset(seed=2)[0], theirs.reset(seed=2)[0], "first reset")
    assert_same(ours.reset(seed=[7, 3, 9, 3, 0]), theirs.reset(seed=[7, 3, 9, 3, 0]), "reset")
    rng, ends, done = np.random.default_rng(0), 0, np.zeros(COUNT, dtype=np.bool_)
    for _ in range(25):
        if mode is AutoresetMode.DISABLED and done.any():
            resets = [envs.reset(options={"reset_mask": done.copy()}) for envs in (ours, theirs)]
            assert_same(resets[0], resets[1], "reset with a mask")
        actions = rng.uniform(-0.6, 1.3, ours.action_space.shape).astype(np.float32)
        mine = ours.step(actions)
        assert_same(mine, theirs.step(actions), "step")
        done = mine[2] | mine[3]
        ends += int(done.sum())
    assert ends > 2 * COUNT


def test_an_environment_does_not_depend_on_its_neighbors() -> None:
    few, many = (RegionGrowVectorEnv(MAPS, num_envs=count, start="random") for count in (2, 33))
    rng = np.random.default_rng(0)
    few.reset(seed=[4, 5])
    many.reset(seed=list(range(4, 37)))
    for _ in range(40):
        actions = rng.uniform(-1, 1, (33, 4))
        mine: tuple[Any, ...] = few.step(actions[:2])
        other: tuple[Any, ...] = many.step(actions)
        for part in range(4):
            assert_same(mine[part], other[part][:2], f"part {part}")


@pytest.mark.parametrize("name", ["RegionGrow", "PointSearch"])
def test_make_vec_makes_the_native_ones_without_a_warning(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        envs = gymnasium.make_vec(
            f"semrob/{name}-v0", num_envs=3, function="synthetic:plateau?n=2&seed=0", budget=90, max_episode_steps=2
        )
        assert type(envs.unwrapped).__name__ == f"{name}VectorEnv"
        assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
        assert envs.spec is not None
        envs.reset(seed=0)
        for _ in range(2):
            seen, *_, truncated, infos = envs.step(envs.action_space.sample())
            assert seen in envs.observation_space
        assert truncated.all()
        assert (infos["forward_queries"] < 60).all()
        envs.close()


def test_all_queries_of_all_environments_are_one_call() -> None:
    calls: list[int] = []

    def scores(theta: FloatArray) -> FloatArray:
        calls.append(len(theta))
        return np.full(len(theta), 0.6)

    function = CallableFunction(SPACE, scores)
    for mode in AutoresetMode:
        envs = RegionGrowVectorEnv(function, num_envs=7, budget=36, claim_points=0, autoreset_mode=mode)
        calls.clear()
        envs.reset(seed=0)
        for _ in range(2):
            envs.step(np.zeros((7, 4)))
        expected = [7 * 12] * 3
        if mode is AutoresetMode.SAME_STEP:
            expected.append(7 * 12)
        if mode is AutoresetMode.NEXT_STEP:
            envs.step(np.zeros((7, 4)))
            expected.append(7 * 12)
        assert calls == expected, mode


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_infos_agree_with_the_oracle_and_rewards_with_objectives(mode: AutoresetMode) -> None:
    envs = RegionGrowVectorEnv(MAPS, num_envs=6, budget=80, largest_step=0.6, autoreset_mode=mode)
    _, infos = envs.reset(seed=1)
    last, gained = infos["objective"].copy(), np.zeros(6)
    for _ in range(30):
        _, rewards, terminated, truncated, infos = envs.step(np.full((6, 4), 0.8))
        assert not truncated.any()
        assert infos["forward_queries"].tolist() == infos["spent"].tolist() == envs.oracle.forward_queries.tolist()
        assert infos["forward_queries"].tolist() == envs.game.spent.tolist()
        assert all(infos[f"_{name}"].all() for name in ("objective", "member", "lower"))
        begun = infos["forward_queries"] == envs.game.cost
        now = np.where(begun, last, infos["objective"])
        if mode is AutoresetMode.SAME_STEP and terminated.any():
            now = np.where(terminated, infos["final_info"]["objective"], infos["objective"])
        np.testing.assert_allclose(rewards, now - last, atol=1e-12)
        last = infos["objective"]
        gained += np.abs(rewards)
    assert (gained > 0).all()


def test_vector_wrappers_count_episodes() -> None:
    envs = RecordEpisodeStatistics(RegionGrowVectorEnv(MAPS, num_envs=4, budget=36, claim_points=0))
    envs.reset(seed=0)
    for _ in range(5):
        *_, infos = envs.step(np.zeros((4, 4)))
    assert infos["episode"]["l"].tolist() == [2] * 4
    listed = DictInfoToList(RegionGrowVectorEnv(MAPS, num_envs=2))
    rows: Any = listed.reset(seed=0)[1]
    assert [row["forward_queries"] for row in rows] == [12, 12]


def test_what_was_told_stays_as_it_was() -> None:
    envs = RegionGrowVectorEnv(MAPS, num_envs=3, budget=36)
    envs.reset(seed=0)
    told = envs.step(np.ones((3, 4)))
    kept = [np.array(part) for part in told[:4]], {name: np.array(values) for name, values in told[4].items()}
    for _ in range(5):
        envs.step(np.ones((3, 4)))
    assert_same(list(told[0]), list(kept[0][0]), "observations")
    assert_same(told[1], kept[0][1], "rewards")
    assert_same(told[4], kept[1], "infos")


def test_a_bad_action_changes_nothing() -> None:
    envs, same = (RegionGrowVectorEnv(MAPS, num_envs=2) for _ in range(2))
    for one in (envs, same):
        one.reset(seed=0)
    for wrong, message in (
        (np.full((2, 4), np.nan), r"NaN at \(0, 0\)"),
        (np.zeros((3, 4)), r"shape \(3, 4\), must be \(2, 4\)"),
        (np.zeros(4), r"shape \(4,\)"),
        ("up", "no array of numbers"),
    ):
        with pytest.raises(InvalidActionError, match=message):
            envs.step(wrong)
    assert_same(envs.step(np.ones((2, 4))), same.step(np.ones((2, 4))), "next step")


def test_actions_of_environments_that_begin_anew_are_ignored() -> None:
    envs = RegionGrowVectorEnv(MAPS, num_envs=2, budget=26)
    envs.reset(seed=0)
    assert envs.step(np.ones((2, 4)))[2].all()
    _, rewards, terminated, _, infos = envs.step(np.full((2, 4), np.nan))
    assert rewards.tolist() == [0, 0]
    assert not terminated.any()
    assert infos["region"].tolist() == [0, 0]


def test_a_step_needs_a_reset_first_and_without_autoreset_after_the_end() -> None:
    for mode in AutoresetMode:
        envs = PointSearchVectorEnv(MAPS, num_envs=2, budget=2, autoreset_mode=mode)
        with pytest.raises(ResetNeededError, match="environment 0 has no episode"):
            envs.step(np.zeros((2, 2)))
        envs.reset(seed=0, options={"reset_mask": np.array([True, False])})
        with pytest.raises(gymnasium.error.ResetNeeded, match="environment 1 has no episode"):
            envs.step(np.zeros((2, 2)))
    envs = PointSearchVectorEnv(MAPS, num_envs=2, budget=2, autoreset_mode="Disabled")
    envs.reset(seed=0)
    envs.step(np.zeros((2, 2)))
    with pytest.raises(ResetNeededError, match="environment 0"):
        envs.step(np.zeros((2, 2)))


def test_options_set_the_start_and_member_of_the_episodes_that_begin() -> None:
    envs = RegionGrowVectorEnv(MAPS, num_envs=3)
    envs.reset(seed=0, options={"start": "azimuth=5", "member": 3})
    assert envs.game.start.tolist() == [[5, 0]] * 3
    assert envs.play.member.tolist() == [3] * 3
    _, infos = envs.reset(options={"reset_mask": np.array([False, True, False]), "member": 6})
    assert envs.play.member.tolist() == [3, 6, 3]
    assert infos["_member"].tolist() == [False, True, False]
    assert infos["member"].tolist() == [0, 6, 0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num_envs": 0}, InvalidBudgetError, "num_envs 0"),
        ({"autoreset_mode": "Never"}, InvalidParameterError, "choose NextStep, SameStep, Disabled"),
        ({"max_episode_steps": 0}, InvalidParameterError, "max_episode_steps 0"),
        ({"render_mode": "rgb_array"}, InvalidParameterError, "draw nothing"),
        ({"budget": 20}, InvalidBudgetError, "budget 20"),
        ({"function": "nowhere:x"}, UnknownNameError, "unknown function"),
    ],
    ids=str,
)
def test_bad_arguments_are_one_clear_error(arguments: dict[str, Any], error: type[SemrobError], message: str) -> None:
    with pytest.raises(error, match=message):
        RegionGrowVectorEnv(**{"function": MAPS, "num_envs": 2, **arguments})


@pytest.mark.parametrize(
    ("seed", "options", "error"),
    [
        ([1], None, ShapeMismatchError),
        (0, {"reset_mask": np.array([True])}, InvalidParameterError),
        (0, {"reset_mask": np.array([False, False])}, InvalidParameterError),
        (0, {"reset_mask": np.array([1, 0])}, InvalidParameterError),
        (0, {"size": 1}, InvalidParameterError),
    ],
    ids=str,
)
def test_bad_seeds_and_options_are_one_clear_error(seed: Any, options: Any, error: type[SemrobError]) -> None:
    envs = RegionGrowVectorEnv(MAPS, num_envs=2)
    with pytest.raises(error):
        envs.reset(seed=seed, options=options)


def test_after_a_failure_of_the_function_all_episodes_begin_anew() -> None:
    fails = [False]

    def scores(theta: FloatArray) -> FloatArray:
        if fails[0]:
            raise OSError("no connection")
        return np.full(len(theta), 0.5)

    envs = RegionGrowVectorEnv(CallableFunction(SPACE, scores), num_envs=2)
    envs.reset(seed=0)
    fails[0] = True
    with pytest.raises(OSError, match="no connection"):
        envs.step(np.ones((2, 4)))
    fails[0] = False
    *_, infos = envs.step(np.ones((2, 4)))
    assert infos["spent"].tolist() == [12, 12]
