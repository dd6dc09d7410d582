"""PointSearch-v0: its rules, its numbers, and what it refuses."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces, wrappers
from gymnasium.utils.env_checker import check_env

import semrob_env.envs  # noqa: F401  (registers the environments)
from semrob_env.envs.point_search import PointSearchEnv, PointSearchVectorEnv
from semrob_env.errors import (
    InvalidActionError,
    InvalidBudgetError,
    InvalidParameterError,
    ResetNeededError,
    SemrobError,
    UnknownNameError,
)
from semrob_env.functions import CallableFunction, Complement, Stack, make_function
from semrob_env.oracle import QueryLog
from semrob_env.recorded import RecordedMaps
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.sources import load_shape
from semrob_env.types import Float32Array
from tests.recorded_maker import SPACE, wavy_maps

MAPS = RecordedMaps(wavy_maps())


def episode(env: PointSearchEnv, seed: int = 0) -> list[tuple[Any, float, bool, dict[str, Any]]]:
    """Observation, reward, end and info of every step of an episode of random actions, the reset first."""
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    steps: list[tuple[Any, float, bool, dict[str, Any]]] = [(observation, 0.0, False, info)]
    while not steps[-1][2]:
        observation, reward, terminated, truncated, info = env.step(rng.uniform(-1, 1, env.game.action_size))
        assert not truncated
        steps.append((observation, reward, terminated, info))
    return steps


@pytest.mark.parametrize("goal", ["low", "high"])
def test_checkers_of_gymnasium_and_stable_baselines_find_nothing_and_warn_of_nothing(goal: Any) -> None:
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    env = PointSearchEnv(MAPS, goal=goal, start="random")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)
        sb3.check_env(env, warn=True, skip_render_check=True)


def test_it_is_made_by_its_id_and_wrappers_work() -> None:
    made = gymnasium.make("semrob/PointSearch-v0", function=MAPS, max_episode_steps=3)
    assert isinstance(made.unwrapped, PointSearchEnv)
    env = wrappers.RecordEpisodeStatistics(wrappers.RescaleAction(made, np.float32(0), np.float32(1)))
    env.reset(seed=0, options={"member": 0, "start": "elevation=30"})
    for _ in range(3):
        *_, truncated, info = env.step(np.array([0.25, 1.0], dtype=np.float32))
    assert truncated
    np.testing.assert_allclose(info["theta"], [90, 90])
    assert info["episode"]["l"] == 3


@pytest.mark.parametrize("goal", ["low", "high"])
def test_rewards_are_what_the_best_score_gains_and_infos_agree_with_the_oracle(goal: Any) -> None:
    env = PointSearchEnv(MAPS, goal=goal, budget=40, start="random")
    for seed in range(4):
        env.oracle.log = QueryLog()
        steps = episode(env, seed)
        scores = env.oracle.log.arrays()["value"].astype(np.float64)
        best = np.minimum.accumulate(scores) if goal == "low" else np.maximum.accumulate(scores)
        assert [info["score"] for *_, info in steps] == scores.tolist()
        assert [info["best_score"] for *_, info in steps] == best.tolist()
        assert [info["forward_queries"] for *_, info in steps] == list(range(1, 41))
        assert steps[-1][3]["spent"] == env.oracle.spent[0] == 40
        rewards = [reward for _, reward, *_ in steps]
        assert min(rewards) >= 0
        np.testing.assert_allclose(np.cumsum(rewards), np.abs(best - scores[0]), atol=1e-12)
        last = steps[-1][3]
        assert MAPS.values([[last["best_theta"]]], [env.member])[0, 0] == last["best_score"]


def test_observations_are_what_the_table_says() -> None:
    function = CallableFunction(SPACE, lambda theta: theta[:, 1] / 10 - 1, score_range=(-2.0, 8.0))
    env = PointSearchEnv(function, goal="high", start="azimuth=90,elevation=40", budget=4)
    seen, _ = env.reset(seed=0)
    np.testing.assert_allclose(seen, [0.25, 0.5, 0.25, 0.5, 0.5, 0.5, 0.75])
    seen, reward, _, _, info = env.step([0, -1])
    np.testing.assert_allclose(seen, [0.5, 0, 0.25, 0.5, 0, 0.5, 0.5])
    assert reward == 0
    assert info["score"] == 0
    seen, reward, _, _, info = env.step([1, 1])
    np.testing.assert_allclose(seen, [0, 1, 0, 1, 1, 1, 0.25])
    assert reward == pytest.approx(0.5)
    np.testing.assert_allclose(info["theta"], [0, 90])
    assert seen in env.observation_space


@pytest.mark.parametrize(("goal", "target"), [("low", 0.4), ("high", 0.75)])
def test_an_episode_ends_when_the_target_is_reached(goal: Any, target: float) -> None:
    ends = set()
    for seed in range(12):
        steps = episode(PointSearchEnv(MAPS, goal=goal, target=target, budget=60, start="random"), seed)
        reached = [(info["score"] <= target) if goal == "low" else (info["score"] >= target) for *_, info in steps]
        assert not any(reached[1:-1])
        assert any(reached) or len(steps) == 60
        ends.add(len(steps))
    assert len(ends) > 3


def test_an_episode_ends_with_the_budget() -> None:
    assert len(episode(PointSearchEnv(MAPS, budget=2))) == 2
    assert len(episode(PointSearchEnv(MAPS, budget=200))) == 200


def test_nan_is_the_worst_score_and_never_hides_a_start() -> None:
    env = PointSearchEnv(CallableFunction(SPACE, lambda theta: np.full(len(theta), np.nan)), goal="high", budget=3)
    for seen, reward, _, info in episode(env):
        assert np.isfinite(seen).all()
        assert reward == info["score"] == info["best_score"] == 0
        assert np.isfinite(info["best_theta"]).all()
    env.reset(seed=0, options={"start": "azimuth=7"})
    assert env.step([0, 0])[4]["best_theta"].tolist() == [7, 0]


def live(members: int = 2, size: int = 24) -> SceneFunction:
    """Procedural cups seen by a network that answers the brightness of the upper half."""

    def brightness(images: Float32Array) -> Float32Array:
        upper = images[:, :, : size // 2].mean(axis=(1, 2, 3))
        return np.stack([upper, 1 - upper], axis=1)

    network = BlackBoxClassifier(brightness, labels=2, size=size, categories=["bright", "dark"])
    meshes = [load_shape("cup", f"procedural:{seed}") for seed in range(members)]
    return SceneFunction(network, meshes, [0] * members, SPACE)


@pytest.mark.parametrize("wrap", [lambda f: f, Complement, lambda f: Stack([f, live(1)])])
def test_images_show_what_the_network_sees(wrap: Any) -> None:
    function = live()
    env = PointSearchEnv(wrap(function), image=True, budget=4, start="random", members=[0, 1])
    space = env.observation_space
    assert isinstance(space, spaces.Dict)
    assert space["image"].shape == (24, 24, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)
    for seen, _, _, info in episode(env):
        assert seen in space
        shown = function.images(info["theta"][None], env.member)[0]
        np.testing.assert_array_equal(seen["image"], np.rint(np.moveaxis(shown, 0, -1) * 255))
        assert seen["image"].any()


def test_images_of_vector_environments_are_those_of_single_ones() -> None:
    function = live()
    envs = PointSearchVectorEnv(function, num_envs=3, image=True, budget=3, autoreset_mode="SameStep")
    singles = [PointSearchEnv(function, image=True, budget=3) for _ in range(3)]
    seen, _ = envs.reset(seed=0)
    first = [env.reset(seed=seed)[0] for seed, env in enumerate(singles)]
    np.testing.assert_array_equal(seen["image"], [one["image"] for one in first])
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 2))
    for _ in range(2):
        seen, _, terminated, _, infos = envs.step(actions)
        last = [env.step(action)[0] for env, action in zip(singles, actions, strict=True)]
    assert terminated.all()
    for row in range(3):
        np.testing.assert_array_equal(infos["final_obs"][row]["image"], last[row]["image"])
    assert seen in envs.observation_space


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"function": "scene"}, UnknownNameError, "unknown function"),
        ({"budget": 1}, InvalidBudgetError, "budget 1: the first observation and each step cost 1 queries"),
        ({"goal": "best"}, InvalidParameterError, "goal 'best': choose low or high"),
        ({"target": 1.5}, InvalidParameterError, r"target 1.5: give a number in \[0, 1\]"),
        ({"target": "low"}, InvalidParameterError, "target 'low'"),
        ({"image": True}, InvalidParameterError, "needs a live function"),
        ({"members": [-1]}, UnknownNameError, "member -1"),
    ],
    ids=str,
)
def test_bad_arguments_are_one_clear_error(arguments: dict[str, Any], error: type[SemrobError], message: str) -> None:
    with pytest.raises(error, match=message):
        PointSearchEnv(**{"function": MAPS, **arguments})


def test_images_of_several_sizes_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match=r"pictures of one size, not \[16, 24\]"):
        PointSearchEnv(Stack([live(1), live(1, 16)]), image=True)


def test_bad_actions_and_steps_without_an_episode_are_one_clear_error() -> None:
    env = PointSearchEnv(make_function("synthetic:plateau?n=2&seed=0"), budget=2)
    with pytest.raises(ResetNeededError):
        env.step([0, 0])
    env.reset(seed=0)
    for action in ([np.nan, 0], [0], [[0, 0]], "ab"):
        with pytest.raises(InvalidActionError):
            env.step(action)
    assert env.step([9, -9])[4]["theta"].tolist() == [0, -10]
    with pytest.raises(ResetNeededError):
        env.step([0, 0])
