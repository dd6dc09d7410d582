"""The checker of environments: passes every environment, and names the broken promise of each broken one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from semrob_env.envs.check import PROMISES, check_semrob_env
from semrob_env.envs.check_case import Case, Watch, leaves
from semrob_env.envs.point_search import PointSearchVectorEnv
from semrob_env.envs.region_grow import RegionGrowVectorEnv
from semrob_env.envs.traits import Traits
from semrob_env.errors import ContractError
from semrob_env.functions import CallableFunction, ScoreFunction, make_function
from semrob_env.parameters import ELEVATION, Parameter, SemanticSpace
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.shapes import make_shape
from semrob_env.types import FloatArray
from tests.envs.bandit import bandit_env
from tests.envs.broken_envs import (
    BROKEN,
    BROKEN_VECTORS,
    BUDGET,
    FAMILY,
    PLATEAU,
    POINTS,
    REGION,
    asks_past_the_oracle,
    changed,
    draws_own_numbers,
    reuses_its_buffer,
    told,
)


def recorded() -> ScoreFunction:
    """Two recorded maps of random numbers."""
    space = SemanticSpace.of("azimuth,elevation")
    axes = tuple(np.array(line, dtype=np.float64) for line in (range(0, 360, 30), range(-10, 91, 20)))
    scores = np.random.default_rng(0).random((2, 12, 6)).astype(np.float32)
    return RecordedMaps(ScoreMaps(space, axes, scores, ("net/cup/0", "net/cup/1")))


def with_gaps() -> ScoreFunction:
    """Logits that are NaN here and there, over parameters of unlike ranges."""
    space = SemanticSpace((ELEVATION, Parameter("distance", "", 1.0, 5.0, None, 2.7, "grows away")))

    def scores(theta: FloatArray) -> FloatArray:
        waves = 4 * np.sin(theta[:, 0] / 9) * np.cos(2 * theta[:, 1])
        return np.where(waves > 3.5, np.nan, waves)

    return CallableFunction(space, scores, score_range=(-4.0, 4.0))


GOOD: dict[str, Callable[[], Any]] = {
    "regions over one parameter": lambda: REGION("synthetic:plateau?n=1&seed=0", budget=BUDGET),
    "regions over two": lambda: REGION(
        PLATEAU, budget=BUDGET, goal="mean=0.7,variance=0.1", start="random", claim_points=32
    ),
    "reliable regions": lambda: REGION(PLATEAU, budget=BUDGET, goal="reliability=0.9,level=0.6", render_mode="ansi"),
    "regions over seven, few corners": lambda: REGION("synthetic:ridge?n=7&seed=0", budget=150, corners=4),
    "adversarial regions of a family": lambda: REGION(FAMILY, budget=BUDGET, members=[0, 2], adversarial=True),
    "regions over recorded maps": lambda: REGION(recorded(), budget=BUDGET, largest_step=0.5),
    "regions over scores with NaN": lambda: REGION(with_gaps(), budget=BUDGET),
    "regions, drawn": lambda: REGION(PLATEAU, budget=BUDGET, render_mode="rgb_array"),
    "regions, as text": lambda: REGION(PLATEAU, budget=BUDGET, render_mode="ansi"),
    "points over two": lambda: POINTS(PLATEAU, budget=BUDGET),
    "points, strong views with a target": lambda: POINTS(FAMILY, budget=BUDGET, goal="high", target=0.9),
    "points over recorded maps": lambda: POINTS(recorded(), budget=BUDGET, adversarial=True),
    "points over scores with NaN": lambda: POINTS(with_gaps(), budget=BUDGET, start="random"),
    "points, as text": lambda: POINTS(PLATEAU, budget=BUDGET, render_mode="ansi"),
    "made by id": lambda: gymnasium.make("semrob_env.envs:semrob/RegionGrow-v0", function=PLATEAU, budget=BUDGET),
    "points made by id, cut short": lambda: gymnasium.make(
        "semrob_env.envs:semrob/PointSearch-v0", function=FAMILY, budget=BUDGET, max_episode_steps=5
    ),
    "with statistics": lambda: wrappers.RecordEpisodeStatistics(REGION(PLATEAU, budget=BUDGET)),
    "with other actions": lambda: wrappers.RescaleAction(
        REGION(PLATEAU, budget=BUDGET), np.zeros(4, np.float32), np.full(4, 9, np.float32)
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_an_environment_that_keeps_its_promises_passes(name: str) -> None:
    env = GOOD[name]()
    check_semrob_env(env)
    env.close()


def live() -> ScoreFunction:
    """A cup and a bottle by the brightness of their pictures."""
    classifier = BlackBoxClassifier(
        lambda shown: np.repeat(shown.mean(axis=(1, 2, 3))[:, None], 2, axis=1), labels=2, size=48, name="brightness"
    )
    meshes = [make_shape("cup", 0), make_shape("bottle", 0)]
    return SceneFunction(classifier, meshes, [0, 1], SemanticSpace.of("azimuth,elevation"))


@pytest.mark.parametrize(("make", "message"), BROKEN, ids=[message[:60] for _, message in BROKEN])
def test_each_broken_promise_is_named_with_its_cause(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_semrob_env(make())


@pytest.mark.slow
def test_live_functions_pass_with_and_without_images() -> None:
    check_semrob_env(REGION(live(), budget=68, render_mode="rgb_array"))
    check_semrob_env(POINTS(live(), budget=6, image=True))


def test_an_environment_with_a_buffer_agrees_with_itself_without_copies() -> None:
    """The known false pass: two episodes that differ look alike to whoever compares what was returned, not copies."""
    env = told(reuses_its_buffer, told(draws_own_numbers))
    with pytest.raises(ContractError, match="no buffer"):
        check_semrob_env(env)
    env.reset(seed=0)
    one, copy = env.step(env.action_space.high)[0], env.step(env.action_space.high)[0].copy()
    env.reset(seed=0)
    other = env.step(env.action_space.high)[0]
    assert np.array_equal(one, other)  # what a checker sees that compares what it was handed
    assert not np.array_equal(copy, other)
    with pytest.raises(ContractError, match="differs with the same seed"):
        PROMISES["repeat itself by its seed"](Case(env, {"objective"}))


def test_an_error_of_the_environment_is_told_with_the_promise() -> None:
    def step(self: Any, original: Any, action: Any) -> Any:
        result = original(action)
        return result if action[0] < 1 else 1 / 0

    with pytest.raises(
        ContractError, match="raised ZeroDivisionError where it should keep observations in their space"
    ):
        check_semrob_env(changed(step=step))


@pytest.mark.parametrize("thing", [gymnasium.Wrapper, "RegionGrow", gymnasium.Env(), SyncVectorEnv([bandit_env])])
def test_what_is_no_environment_over_an_oracle_is_refused(thing: Any) -> None:
    with pytest.raises(ContractError, match="is no environment over an oracle; give a single or vector environment"):
        check_semrob_env(thing)


VECTORS: dict[str, Callable[[], Any]] = {
    "regions": lambda: RegionGrowVectorEnv(FAMILY, num_envs=3, budget=BUDGET),
    "points without autoreset": lambda: PointSearchVectorEnv(PLATEAU, num_envs=2, budget=9, autoreset_mode="Disabled"),
    "one alone": lambda: RegionGrowVectorEnv(PLATEAU, num_envs=1, budget=BUDGET),
    "made by id, with statistics": lambda: RecordEpisodeStatistics(
        gymnasium.make_vec("semrob_env.envs:semrob/PointSearch-v0", num_envs=3, function=PLATEAU, budget=9)
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vector_environments_are_checked_as_they_are(name: str) -> None:
    check_semrob_env(VECTORS[name]())


@pytest.mark.parametrize(("make", "message"), BROKEN_VECTORS, ids=[message[:60] for _, message in BROKEN_VECTORS])
def test_each_broken_promise_of_a_vector_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_semrob_env(make())


def test_an_environment_of_another_author_passes() -> None:
    check_semrob_env(bandit_env())
    check_semrob_env(wrappers.TimeLimit(bandit_env(), 5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": asks_past_the_oracle}, "asked 2 points at step 1, 1 were charged: points are asked past"),
        ({"traits": Traits(objective_range=(0.0, 1.0), members=(0,))}, "info has no 'objective' at step"),
        ({"traits": Traits(members=(0,))}, "an episode is played on member None, not one of the 1 members"),
        ({"traits": Traits(clips_actions=True)}, "the action space is Discrete.* give a bounded Box of one axis"),
        ({"traits": Traits(sees_budget=True)}, "no entry of the observation is the share of the budget that is left"),
        ({"goes_on": True}, r"refuse a step before a reset: step\(\) works before any reset"),
    ],
)
def test_what_another_author_declares_is_checked(changes: dict[str, Any], message: str) -> None:
    env = bandit_env()
    step = changes.pop("step", None)
    vars(env).update(changes)
    with pytest.raises(ContractError, match=message):
        check_semrob_env(env if step is None else changed(env, step=step))


def test_watches_count_each_point_once_and_leave_the_function_as_it_was() -> None:
    function = make_function(f"complement({FAMILY})")
    theta, members = np.zeros((3, 4, 2)), [0, 2, 2]
    before = function.values(theta, members)
    with Watch(function) as outer:
        with Watch(function, 0.25) as inner:
            assert (function.values(theta, members) == 0.75).all()
        assert np.array_equal(function.values(theta, members), before)
    assert (outer.asked, inner.asked) == (24, 12)
    assert outer.member_ids[:3] == [PLATEAU, PLATEAU.replace("=0", "=2"), PLATEAU.replace("=0", "=2")]
    assert not any("_values" in vars(leaf) for leaf in leaves(function))


def test_the_function_answers_itself_after_a_check_that_fails() -> None:
    function = make_function(PLATEAU)
    with pytest.raises(ContractError):
        check_semrob_env(told(draws_own_numbers, REGION(function)))
    assert "_values" not in vars(function)


def test_the_checker_loads_no_heavy_library() -> None:
    code = "import sys; from semrob_env.envs.check import check_semrob_env; print(*sys.modules)"
    root = Path(__file__).parents[2]
    printed = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    modules = printed.split()
    assert "semrob_env.envs.check" in modules
    assert not {"torch", "numba", "openvino", "trimesh", "matplotlib"} & set(modules)
