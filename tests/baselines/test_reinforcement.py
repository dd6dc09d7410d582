"""Policies behind ask / tell / recommend: the same game as the environment, any policy, one bill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.agents import Actor, SavedAgent, save_agent
from baselines.agents.policies import game_rules, lent_policy, plain_rules, register_policy
from baselines.experiments.runner import execute
from baselines.reinforcement import Reinforcement, ReinforcementSettings
from optimizers.run import run
from semrob_env.envs.game import RegionGame, RegionRules
from semrob_env.errors import (
    InvalidActionError,
    InvalidParameterError,
    NameClashError,
    RefusedFileError,
    UnknownNameError,
)
from semrob_env.functions import CallableFunction, make_function
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MeanGoal, Question, Questions
from semrob_env.regions import Regions
from semrob_env.store import RunTask
from semrob_env.types import Float32Array, FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
STARTS = [[130.0, 30.0], [5.0, -8.0], [310.0, 50.0]]
OBSERVED = 18
"""Numbers of an observation over two parameters."""


def waves(theta: FloatArray) -> FloatArray:
    return np.asarray(0.5 + 0.4 * np.cos(np.radians(theta[:, 0])) * np.cos(np.radians(2 * theta[:, 1])))


WAVES = CallableFunction(SPACE, waves)


def some_actor(seed: int = 0, size: int = OBSERVED, actions: int = 4) -> Actor:
    rng = np.random.default_rng(seed)
    shapes = ((8, size), (actions, 8))
    return Actor(
        tuple(
            (rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[0]).astype(np.float32))
            for shape in shapes
        )
    )


def played(policy: str, budget: int = 200, function: Any = WAVES, starts: Any = STARTS, seed: int = 0) -> Any:
    optimizer = Reinforcement(
        Questions(SPACE, starts, budget=budget), settings=ReinforcementSettings(policy), seed=seed
    )
    return run(optimizer, QueryOracle(function, trajectories=len(starts), budget=1000))


def test_a_policy_sees_what_the_game_of_the_environment_shows_and_gets_its_regions() -> None:
    seen: list[list[float]] = []

    def policy(observation: Float32Array) -> FloatArray:
        seen.append(observation.tolist())
        return np.asarray(np.sin(np.arange(4) + 10 * observation[-1]))

    with lent_policy("waving", policy) as name:
        optimizer = Reinforcement(
            Questions(SPACE, STARTS[:1], budget=200), settings=ReinforcementSettings(name), seed=4
        )
        draws = optimizer.save()["state.phase"]
        result = run(optimizer, QueryOracle(WAVES, budget=1000))
    game = RegionGame(SPACE, RegionRules(claim_points=0))
    rng = np.random.default_rng(np.random.SeedSequence(4, spawn_key=(0,)))
    game.restart(np.arange(1), np.array(STARTS[:1]), rng.random((1, game.draws)))
    assert game.save()["phase"].tolist() == draws.tolist()
    expected = []
    while True:
        game.take(WAVES.values(game.queries()))
        if game.finished.all():
            break
        expected.append(game.observation()[0].tolist())
        game.move(np.sin(np.arange(4) + 10 * game.observation()[:, -1:]))
    assert seen == expected
    assert result.regions == Regions(SPACE, game.lower, game.upper).clip()
    assert result.forward_queries.tolist() == game.spent.tolist() == [192]
    assert result.status == ["converged"]


def test_widening_everywhere_ends_with_the_whole_space_and_less_than_the_budget() -> None:
    with lent_policy("widen", lambda observation: np.ones(4)) as name:
        result = played(name)
    assert result.regions.share().tolist() == [1.0] * 3
    assert (result.forward_queries < 192).all()


def test_the_random_policy_depends_on_its_seed_alone() -> None:
    one, again, other = played("random"), played("random"), played("random", seed=1)
    assert one.regions == again.regions
    assert one.regions != other.regions


def test_beyond_six_parameters_the_random_policy_samples_corners() -> None:
    function = make_function("synthetic:hill?n=8")
    start = function.space.default
    result = run(Reinforcement(Questions(function.space, start, budget=200)), QueryOracle(function, budget=1000))
    assert 0 < result.forward_queries[0] <= 200


def test_an_actor_answers_each_row_alone() -> None:
    observations = np.random.default_rng(0).random((257, OBSERVED)).astype(np.float32)
    for squashes in (False, True):
        actor = Actor(some_actor().layers, squashes)
        together = actor.actions(observations)
        assert np.abs(together).max() <= 1
        for rows in (slice(0, 1), slice(7, 40), slice(100, 257)):
            assert actor.actions(observations[rows]).tobytes() == together[rows].tobytes()


def test_any_policy_of_stable_baselines3_plugs_in() -> None:
    library = pytest.importorskip("stable_baselines3")
    import torch

    from baselines.agents.actor import actor_of
    from semrob_env.envs.region_grow import RegionGrowEnv

    env = RegionGrowEnv(WAVES)
    relu = {"activation_fn": torch.nn.ReLU, "net_arch": [8]}
    models = {
        "ppo": library.PPO("MlpPolicy", env, policy_kwargs=relu, device="cpu", seed=0),
        "sac": library.SAC("MlpPolicy", env, policy_kwargs=relu, device="cpu", seed=0, buffer_size=10),
        "td3": library.TD3("MlpPolicy", env, device="cpu", seed=0, buffer_size=10),
    }
    for name, model in models.items():
        with lent_policy(name, model), lent_policy(f"{name} policy", model.policy):
            assert played(name).regions == played(f"{name} policy").regions
        if name == "td3":
            with pytest.raises(InvalidParameterError, match="TD3Policy with layers unknown cannot be saved"):
                actor_of(model)
            continue
        observation = env.reset(seed=0)[0][None]
        expected = model.predict(observation, deterministic=True)[0]
        np.testing.assert_allclose(actor_of(model).actions(observation), expected, atol=1e-5)
    tanh = library.PPO("MlpPolicy", env, device="cpu", seed=0)
    with pytest.raises(InvalidParameterError, match="Linear, Tanh, Linear, Tanh, Linear cannot be saved"):
        actor_of(tanh)


def test_a_saved_agent_plays_by_its_own_rules_and_its_hash_is_in_the_key(tmp_path: Path) -> None:
    rules = {"largest_step": 0.05, "points": 6}
    for seed in (0, 1):
        save_agent(tmp_path / str(seed), SavedAgent(some_actor(seed), "PPO", SPACE.names, rules))
    with lent_policy("the same", some_actor(), rules=rules) as name:
        assert played(str(tmp_path / "0")).regions == played(name).regions
    tasks = [
        RunTask(
            Question("synthetic:hill?n=2", (100.0, 20.0), budget=200),
            "reinforcement",
            settings=f'{{"policy": "{path}"}}',
        )
        for path in (tmp_path / "0", tmp_path / "1")
    ]
    rows = execute(tasks)
    assert [row.error for row in rows] == ["", ""]
    assert rows[0].forward_queries == 14 * 14  # 200 pays 14 steps of 8 corners and 6 points
    digests = [row.task.settings_mapping["digest"] for row in rows]
    assert len({*digests, ""}) == 3
    with pytest.raises(RefusedFileError, match=f"has the hash {digests[0]}, not {digests[1]}"):
        ReinforcementSettings(str(tmp_path / "0"), digest=digests[1])


def test_an_agent_of_another_space_is_refused(tmp_path: Path) -> None:
    save_agent(tmp_path, SavedAgent(some_actor(), "PPO", ("elevation", "azimuth"), {}))
    with pytest.raises(InvalidParameterError, match="plays over elevation, azimuth, not azimuth, elevation"):
        played(str(tmp_path))


def test_rules_that_there_are_not_are_told(tmp_path: Path) -> None:
    save_agent(tmp_path, SavedAgent(some_actor(), "PPO", SPACE.names, {"pace": 1}))
    with pytest.raises(InvalidParameterError, match="give fields of RegionRules"):
        played(str(tmp_path))


def test_agents_from_before_there_were_goals_are_read() -> None:
    rules = game_rules({"epsilon_m": 0.3, "epsilon_v": 0.1, "largest_step": 0.2}, 100)
    assert rules == RegionRules(100, MeanGoal(0.3, 0.1), 0.2)
    assert game_rules(plain_rules(rules), 100) == rules
    assert game_rules(json.loads(json.dumps(plain_rules(rules))), 100).goal == MeanGoal(0.3, 0.1)
    with pytest.raises(InvalidParameterError, match="epsilon_m"):
        game_rules({"epsilon_m": "all"}, 100)


@pytest.mark.parametrize("answer", [None, np.zeros(3), "abcd", np.zeros(4) * 1j, np.full(4, np.nan)])
def test_answers_of_a_policy_that_are_no_actions_are_told(answer: Any) -> None:
    with lent_policy("odd", lambda _: answer) as name, pytest.raises(InvalidActionError):
        played(name)


def test_names_of_policies_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="unknown policy 'nobody'; give random"):
        ReinforcementSettings("nobody")
    with lent_policy("mine", some_actor()), pytest.raises(NameClashError, match="'mine' is registered already"):
        register_policy("mine", some_actor())
    with pytest.raises(NameClashError, match="'random' is registered already"):
        register_policy("random", some_actor())
    with pytest.raises(InvalidParameterError, match="give a model, an Actor or a function, not int"):
        register_policy("number", 3)


def test_a_budget_below_the_first_observation_pays_nothing_and_leaves_the_start() -> None:
    optimizer = Reinforcement(Questions(SPACE, STARTS, budget=11))
    result = run(optimizer, QueryOracle(WAVES, trajectories=len(STARTS), budget=11))
    assert set(result.status) == {"budget"}
    assert not result.forward_queries.any()
    assert not result.regions.share().any()


def test_a_policy_that_only_widens_downward_keeps_its_start_across_the_seam() -> None:
    starts = SPACE.sample(200, np.random.default_rng(0))
    with lent_policy("downward", lambda _: np.array([0.77, 0.77, -1.0, -1.0])) as name:
        regions = played(name, budget=60, starts=starts).regions
    assert (regions.upper[:, 0] > 360).sum() > 20
    assert regions.contains(starts).all()
