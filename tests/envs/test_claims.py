"""Claims at the end of RegionGrow: no policy is paid more than the true feasible volume, lotteries and learners too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from semrob_env import CallableFunction, exact_moments
from semrob_env.envs.game import CLAIM_ALPHA, CLAIM_STAKE
from semrob_env.envs.region_grow import RegionGrowEnv, RegionGrowVectorEnv
from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.functions import ScoreFunction
from semrob_env.metrics.certificates import goal_bounds, goal_is_supported
from semrob_env.questions import MeanGoal, ReliabilityGoal
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.types import FloatArray
from tests.recorded_maker import SPACE, wavy_maps

Policy = Callable[[Any, RegionGrowVectorEnv], FloatArray]


def near_threshold() -> ScoreFunction:
    """Noisy maps whose means over large regions are just below or above 0.5: what lotteries live on."""
    maps, rng = wavy_maps(), np.random.default_rng(0)
    scores = 0.45 + 0.06 * maps.scores + rng.uniform(-0.45, 0.45, maps.scores.shape)
    return RecordedMaps(ScoreMaps(SPACE, maps.axes, np.clip(scores, 0, 1).astype(np.float32), maps.names))


FUNCTION = near_threshold()


def greedy(seen: Any, envs: RegionGrowVectorEnv) -> FloatArray:
    return np.ones((envs.num_envs, 4))


def lottery(seen: Any, envs: RegionGrowVectorEnv) -> FloatArray:
    """Grow to most of the space, then move a little for as long as the estimate is bad."""
    is_met, is_large = seen[:, -4] >= 0.5, seen[:, -2] > 0.6
    jitter = np.where(is_met, 0.0, 0.05)[:, None] * np.array([1.0, -1.0, -1.0, 1.0])
    return np.where(is_large[:, None], jitter, 1.0)


def paid_and_true(policy: Policy, *, episodes: int = 1024, **arguments: Any) -> tuple[FloatArray, FloatArray]:
    """What one episode each of many was paid at its end, and the true feasible volume of its final region."""
    envs = RegionGrowVectorEnv(FUNCTION, num_envs=episodes, autoreset_mode="Disabled", largest_step=0.2, **arguments)
    seen, infos = envs.reset(seed=0)
    first, total, ended = infos["objective"], np.zeros(episodes), np.zeros(episodes, dtype=np.bool_)
    paid, true = np.zeros(episodes), np.zeros(episodes)
    while not ended.all():
        seen, rewards, over, _, infos = envs.step(np.clip(policy(seen, envs), -1, 1))
        total += np.where(ended, 0.0, rewards)
        now = over & ~ended
        if now.any():
            mean, variance = exact_moments(FUNCTION, envs.game.regions, infos["member"])
            volume = np.where(envs.game.rules.goal.is_met(mean, variance), infos["region"], 0.0)
            paid, true = np.where(now, first + total, paid), np.where(now, volume, true)
            ended |= over
            if not ended.all():  # none is asked beyond its end: here all end together
                pytest.fail("policies of this test end together")
    return paid, true


@pytest.mark.parametrize("policy", [greedy, lottery])
@pytest.mark.parametrize("goal", ["mean=0.5", "reliability=0.5,level=0.5", "mean=0.5,variance=0.1"])
def test_a_fixed_policy_is_paid_no_more_than_its_exact_volume(policy: Policy, goal: str) -> None:
    keeps = policy if policy is lottery else lambda seen, envs: 0.5 * greedy(seen, envs) * (seen[:, -2:-1] < 0.6)
    paid, true = paid_and_true(keeps, goal=goal)
    error = (paid - true).std(ddof=1) / np.sqrt(len(paid))
    assert paid.mean() <= true.mean() + 2 * error


def test_the_last_estimate_alone_would_pay_a_lottery() -> None:
    claimed, true = paid_and_true(lottery, claim_points=0, points=2)
    error = (claimed - true).std(ddof=1) / np.sqrt(len(true))
    assert claimed.mean() > true.mean() + 5 * error, "what the claim is there for"
    paid, true = paid_and_true(lottery, points=2)
    assert paid.mean() <= true.mean() + 2 * (paid - true).std(ddof=1) / np.sqrt(len(true))


@pytest.mark.slow
def test_a_freshly_trained_agent_is_paid_no_more_than_its_exact_volume() -> None:
    pytest.importorskip("stable_baselines3")
    from baselines.agents.training import Recipe, Trainer

    trainer = Trainer(
        Recipe(steps=20_000, rounds=2, environments=64), FUNCTION, np.arange(FUNCTION.members), rules={"points": 2}
    )
    while not trainer.is_done:
        trainer.round()
    actor = trainer.actor
    paid, true = paid_and_true(lambda seen, envs: actor.actions(seen), points=2)
    error = (paid - true).std(ddof=1) / np.sqrt(len(paid))
    assert paid.mean() <= true.mean() + 2 * error


def test_a_region_that_surely_meets_the_goal_is_paid_in_full() -> None:
    env = RegionGrowEnv(CallableFunction(SPACE, lambda theta: np.full(len(theta), 0.8)), start="azimuth=90")
    env.reset(seed=0)
    over = False
    while not over:
        _, _, over, _, info = env.step(np.full(4, 0.2))
    assert info["claimed"] == info["confirmed"] == 1.0
    assert info["objective"] == info["region"] > 0.1
    assert env.oracle.log is None
    assert info["spent"] == env.game.cost * env.game.steps[0] + 32 <= 200


def test_where_a_claim_is_tested_no_observation_tells_and_every_episode_draws_it_anew() -> None:
    env = RegionGrowEnv(FUNCTION)
    places = []
    for seed in (0, 0, 1):
        env.reset(seed=seed)
        env.step(np.ones(4))
        places.append(env.game.claims())
    assert places[0].tobytes() == places[1].tobytes() != places[2].tobytes()


@pytest.mark.parametrize("goal", [MeanGoal(0.4), MeanGoal(0.5, 0.05), ReliabilityGoal(0.5, 0.8)])
def test_support_is_what_the_bounds_say(goal: Any) -> None:
    rng = np.random.default_rng(0)
    counted = goal.counted(np.clip(rng.normal(rng.uniform(0.4, 0.9, (400, 1)), 0.1, (400, 128)), 0, 1))
    lower, variance = goal_bounds(goal, counted, CLAIM_ALPHA)
    expected = goal.is_met(lower, variance)
    assert 20 < expected.sum() < 380
    np.testing.assert_array_equal(goal_is_supported(goal, counted, CLAIM_ALPHA), expected)


@pytest.mark.parametrize("goal", [MeanGoal(0.5), ReliabilityGoal(0.5, 0.9)])
def test_a_region_at_the_edge_of_the_goal_is_a_losing_bet(goal: Any) -> None:
    good = np.random.default_rng(0).random((20_000, 32)) < goal.least - 1e-3
    passes = goal_is_supported(goal, good.astype(np.float64), CLAIM_ALPHA).mean()
    assert passes * 1.0 - (1 - passes) * CLAIM_STAKE <= 0.01


def test_start_points_are_chosen_by_their_scores_where_that_is_asked() -> None:
    for start in (None, "random"):
        env = RegionGrowEnv(FUNCTION, start=start, least_start=0.5)
        plain = RegionGrowEnv(FUNCTION, start=start)
        scores: dict[Any, list[float]] = {env: [], plain: []}
        for one, found in scores.items():
            for seed in range(40):
                _, info = one.reset(seed=seed)
                found.append(info["mean"])
        assert min(scores[env]) >= 0.5 > min(scores[plain])
        assert env.play.episodes.start_queries == FUNCTION.members * (4 if start is None else 64)
        assert plain.play.episodes.start_queries == 0
        assert env.oracle.forward_queries[0] == env.game.cost, "of the choice nothing is on the meter"
    env.reset(options={"member": 1, "start": "azimuth=3"})
    assert env.game.start.tolist() == [[3.0, 0.0]]
    with pytest.raises(InvalidParameterError, match=r"least_start 1: the best of \d+ start points scores"):
        RegionGrowEnv(FUNCTION, least_start=1)


def test_ready_ids_and_numbers_of_numpy_are_taken() -> None:
    for name in ("RegionGrow", "PointSearch"):
        env = gymnasium.make(f"semrob/{name}-v0")
        env.reset(seed=0)
        env.step(env.action_space.sample())
        assert env.unwrapped.function.id == "synthetic:hill?n=2&seed=0"  # type: ignore[attr-defined]
        vector = gymnasium.make_vec(f"semrob/{name}-v0", num_envs=2)
        vector.reset(seed=0)
    numbers = {"budget": 120.0, "largest_step": np.float32(0.25), "points": np.int64(4), "least_start": np.float64(0.1)}
    game = RegionGrowEnv("synthetic:hill?n=2&seed=0", **numbers).game
    assert (game.rules.budget, game.rules.largest_step, game.rules.points) == (120, 0.25, 4)
    assert type(game.rules.budget) is int
    with pytest.raises(InvalidBudgetError, match=r"budget 120\.5: give a whole number"):
        RegionGrowEnv(FUNCTION, budget=120.5)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="claim_points 1"):
        RegionGrowEnv(FUNCTION, claim_points=1)


def test_numpy_to_torch_takes_the_native_vector_environment() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("array_api_compat")
    from gymnasium.wrappers.vector import NumpyToTorch

    for name in ("RegionGrow", "PointSearch"):
        envs = NumpyToTorch(gymnasium.make_vec(f"semrob/{name}-v0", num_envs=3))
        seen, infos = envs.reset(seed=0)
        assert isinstance(seen, torch.Tensor)
        assert infos["member"].tolist() == [0, 0, 0]
        _, rewards, *_ = envs.step(torch.zeros(envs.action_space.shape))
        assert rewards.shape == (3,)


def test_the_seed_of_a_vector_environment_is_told_as_gymnasiums_own_tell_it() -> None:
    theirs = gymnasium.make_vec("CartPole-v1", num_envs=2, vectorization_mode="vector_entry_point")
    ours = gymnasium.make_vec("semrob/RegionGrow-v0", num_envs=2)
    for envs in (theirs, ours):
        envs.reset(seed=7)
        assert envs.unwrapped.np_random_seed == 7
    ours.reset(seed=np.int64(8))  # NumPy's whole numbers are seeds as well
    assert ours.unwrapped.np_random_seed == 8


def test_infos_are_numbers_that_readers_of_torchrl_take() -> None:
    env = gymnasium.make("semrob/RegionGrow-v0")
    _, info = env.reset(seed=0)
    kinds = {name: np.asarray(value).dtype.kind for name, value in info.items()}
    assert set(kinds.values()) <= set("biuf"), kinds
    torchrl = pytest.importorskip("torchrl.envs")
    wrapped = torchrl.GymWrapper(env, device="cpu")
    wrapped.auto_register_info_dict()
    rolled = wrapped.rollout(3)
    assert rolled["next", "member"].shape[0] == rolled["next", "objective"].shape[0] == 3
