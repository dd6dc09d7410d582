"""RegionGrow-v0: its rules, its numbers, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.utils.env_checker import check_env

import semrob_env.envs  # noqa: F401  (registers the environments)
from semrob_env.envs.region_grow import RegionGrowEnv
from semrob_env.functions import CallableFunction, Complement, ScoreFunction, make_function
from semrob_env.oracle import QueryLog
from semrob_env.parameters import Parameter, SemanticSpace
from semrob_env.questions import MeanGoal, ReliabilityGoal
from semrob_env.recorded import RecordedMaps
from semrob_env.regions import corner_masks
from tests.recorded_maker import SPACE, STARTS, flat_maps, wavy_maps

MAPS = RecordedMaps(wavy_maps())
ELEVATION = SemanticSpace.of("elevation")


def flat(score: float, space: SemanticSpace = SPACE, score_range: tuple[float, float] = (0.0, 1.0)) -> ScoreFunction:
    return CallableFunction(space, lambda theta: np.full(len(theta), score), score_range=score_range)


def plateau(n: int) -> ScoreFunction:
    return make_function(f"synthetic:plateau?n={n}&seed=0")


CASES: dict[str, Callable[[], RegionGrowEnv]] = {
    "recorded": lambda: RegionGrowEnv(MAPS),
    "adversarial": lambda: RegionGrowEnv(MAPS, adversarial=True, goal=MeanGoal(epsilon_v=0.02), start="random"),
    "n=1": lambda: RegionGrowEnv(plateau(1)),
    "n=3": lambda: RegionGrowEnv(plateau(3), members=[0], points=2),
    "n=6": lambda: RegionGrowEnv(plateau(6), budget=800),
    "n=7, sampled corners": lambda: RegionGrowEnv(plateau(7), corners=6),
}


@pytest.fixture(params=CASES)
def env(request: pytest.FixtureRequest) -> RegionGrowEnv:
    return CASES[request.param]()


def episode(env: RegionGrowEnv, seed: int = 0, bias: float = 0.3) -> list[tuple[Any, float, bool, dict[str, Any]]]:
    """Observation, reward, end and info of every step of an episode of biased random actions, the reset first."""
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    steps: list[tuple[Any, float, bool, dict[str, Any]]] = [(observation, 0.0, False, info)]
    while not steps[-1][2]:
        action = rng.uniform(-1, 1, env.game.action_size) + bias
        observation, reward, terminated, truncated, info = env.step(action.astype(np.float32))
        assert not truncated
        steps.append((observation, reward, terminated, info))
    return steps


def test_checkers_of_gymnasium_and_stable_baselines_find_nothing_and_warn_of_nothing(env: RegionGrowEnv) -> None:
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)
        sb3.check_env(env, warn=True, skip_render_check=True)


def test_it_is_made_by_its_id_and_by_module_and_id() -> None:
    for name in ("semrob/RegionGrow-v0", "semrob_env.envs:semrob/RegionGrow-v0"):
        made = gymnasium.make(name, function="synthetic:plateau?n=2&seed=0", budget=30)
        assert isinstance(made.unwrapped, RegionGrowEnv)
        assert made.unwrapped.game.rules.budget == 30
        assert made.unwrapped.function.id == "synthetic:plateau?n=2&seed=0"


@pytest.mark.parametrize(("name", "compiler"), [("RegionGrow", set()), ("PointSearch", {"numba"})])
def test_playing_on_a_synthetic_function_loads_nothing_heavy(project_root: Path, name: str, compiler: set[str]) -> None:
    code = (
        "import json, sys, gymnasium, semrob_env.envs\n"
        f"env = gymnasium.make('semrob/{name}-v0', function='synthetic:plateau?n=2&seed=0')\n"
        "env.reset(seed=0)\n"
        "env.step(env.action_space.sample())\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=project_root, capture_output=True, text=True, check=True, timeout=120)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert {"semrob_env", "gymnasium"} <= loaded
    assert not loaded & {"torch", "torchvision", "openvino", "trimesh", "matplotlib", *compiler}


def test_wrappers_of_gymnasium_work_together() -> None:
    made = gymnasium.make("semrob/RegionGrow-v0", function=MAPS, max_episode_steps=5)
    wrapped = wrappers.RecordEpisodeStatistics(
        wrappers.FlattenObservation(wrappers.RescaleAction(made, np.float32(0), np.float32(1)))
    )
    wrapped.reset(seed=0)
    total = 0.0
    for step in range(5):
        _, reward, terminated, truncated, info = wrapped.step(np.full(4, 0.9, dtype=np.float32))
        total += float(reward)
        assert not terminated
        assert truncated == (step == 4)
    assert info["episode"]["r"] == pytest.approx(total)
    assert info["episode"]["l"] == 5
    assert info["upper"][1] - info["lower"][1] > 0


def test_infos_agree_with_the_oracle_and_its_log_to_the_unit(env: RegionGrowEnv) -> None:
    for seed in range(3):
        env.oracle.log = QueryLog()
        steps = episode(env, seed)
        for number, (*_, info) in enumerate(steps):
            paid = env.game.cost * (number + 1) + env.game.claim * info["claimed"]
            assert info["forward_queries"] == info["spent"] == paid
            assert info["gradient_queries"] == 0
        assert env.oracle.forward_queries.tolist() == [info["forward_queries"]]
        assert env.oracle.spent.tolist() == [info["spent"]] == env.game.spent.tolist()
        assert len(env.oracle.log.arrays()["value"]) == info["forward_queries"] <= env.game.budget
        assert env.game.budget - info["spent"] < env.game.cost or info["region"] == pytest.approx(1)
        assert [taken["claimed"] for *_, taken in steps] == [0.0] * (len(steps) - 1) + [1.0]


def test_rewards_sum_to_the_gain_of_the_objective(env: RegionGrowEnv) -> None:
    for seed in range(3):
        steps = episode(env, seed)
        objectives = [info["objective"] for *_, info in steps]
        assert all(-1.5 <= objective <= 1 for objective in objectives)
        assert sum(reward for _, reward, *_ in steps) == pytest.approx(objectives[-1] - objectives[0], abs=1e-12)
        goal = env.game.rules.goal
        for *_, info in steps:
            missed = max(0.0, goal.least - info["mean"]) + max(0.0, info["variance"] - goal.most_variance)
            if info["claimed"]:
                refuted = -missed - 0.25 * info["region"]
                assert info["objective"] == pytest.approx(info["region"] if info["confirmed"] else refuted, abs=1e-12)
            else:
                assert info["objective"] == (info["region"] if missed == 0 else -missed)


def test_the_first_objective_is_that_of_the_start_point_alone() -> None:
    env = RegionGrowEnv(MAPS, goal="mean=0.7")
    for seed in range(8):
        _, info = env.reset(seed=seed)
        score = float(MAPS.values(env.game.start[:, None], [env.member])[0, 0])
        assert info["mean"] == pytest.approx(score, abs=1e-15)
        assert info["variance"] == info["region"] == 0
        assert info["objective"] == pytest.approx(-max(0.0, 0.7 - score), abs=1e-15)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_observations_are_what_the_table_says(n: int) -> None:
    function = plateau(n)
    env = RegionGrowEnv(function, budget=1000, start="random")
    corners, space = 2**n, function.space
    for number, (seen, _, _, info) in enumerate(episode(env, seed=n)[:6]):
        assert seen in env.observation_space
        assert seen.dtype == np.float32
        lower, upper = info["lower"], info["upper"]
        np.testing.assert_allclose(seen[:n], (lower - space.low) / space.width, atol=1e-6)
        np.testing.assert_allclose(seen[n : 2 * n], (upper - space.low) / space.width, atol=1e-6)
        np.testing.assert_allclose(seen[2 * n : 3 * n], space.to_unit(env.game.start[0]), atol=1e-6)
        margin = 0.1 * np.maximum(upper - lower, 0.02 * space.width)
        for first, (low, high) in ((0, (lower, upper)), (corners, (lower - margin, upper + margin))):
            points = space.project(np.where(corner_masks(n), high, low))
            scores = function.values(points[None])[0]
            part = seen[3 * n + first : 3 * n + first + corners]
            assert np.abs(part - scores).max() < 1e-4, "float32, and a rounding of the place"
        region = np.prod((upper - lower) / space.width)
        left = 1 - env.game.cost * (number + 1) / 1000
        np.testing.assert_allclose(seen[-4:], [info["mean"], 4 * info["variance"], region, left], atol=1e-6)


def test_sampled_corners_are_seen_as_means_over_faces() -> None:
    linear = CallableFunction(ELEVATION, lambda theta: (theta[:, 0] + 10) / 100)
    env = RegionGrowEnv(linear, corners=2, points=2, start="elevation=40", budget=60)
    for seen, _, _, info in episode(env)[1:]:
        lower, upper = (info["lower"][0] + 10) / 100, (info["upper"][0] + 10) / 100
        margin = 0.1 * max(upper - lower, 0.02)
        expected = np.clip([lower, upper, lower - margin, upper + margin], 0, 1)  # outer corners end at the space
        np.testing.assert_allclose(seen[3:7], expected, atol=1e-6)
    assert env.game.cost == 2 * 2 + 2


def test_an_action_of_one_moves_a_bound_by_the_largest_step_and_never_past_the_start() -> None:
    env = RegionGrowEnv(flat(0.8), start="azimuth=130,elevation=30", largest_step=0.05)
    env.reset(seed=0)
    *_, info = env.step([1, 0.5, 0, -1])
    np.testing.assert_allclose(info["lower"], [130 - 18, 30 - 2.5])
    np.testing.assert_allclose(info["upper"], [130, 30])
    *_, info = env.step([-0.5, -1, 7, 1])
    np.testing.assert_allclose(info["lower"], [130 - 9, 30])
    np.testing.assert_allclose(info["upper"], [130 + 18, 35])


def test_regions_hold_the_start_and_end_at_the_space_or_where_sides_meet() -> None:
    env = RegionGrowEnv(flat(0.8), largest_step=0.3, start="random", budget=600)
    rng, turns = np.random.default_rng(0), 0
    for seed in range(6):
        env.reset(seed=seed)
        terminated = False
        while not terminated:
            *_, terminated, _, info = env.step(rng.uniform(-1, 1, 4) + np.array([0.5, 0.1, 0.5, 0.1]))
            lower, upper, start = info["lower"], info["upper"], env.game.start[0]
            assert (lower <= start).all()
            assert (start <= upper).all()
            assert lower[1] >= -10
            assert upper[1] <= 90
            assert upper[0] - lower[0] <= 360 + 1e-9
            assert info["region"] == pytest.approx(env.game.regions.share()[0], abs=1e-12)
            turns += bool(upper[0] - lower[0] > 360 - 1e-9)
    assert turns > 20


def test_a_region_grows_over_the_seam_and_sees_the_same_scene_on_both_sides() -> None:
    env = RegionGrowEnv(MAPS, start="azimuth=350,elevation=30", largest_step=0.2)
    env.reset(seed=0)
    seen, *_, info = env.step([0.1, 0.1, 1, 0.1])
    assert info["upper"][0] == pytest.approx(350 + 72)
    assert seen[2] == pytest.approx(350 / 360 + 0.2)
    theta = np.array([[[350 + 72 - 360, info["upper"][1]]]])
    assert seen[6 + 3] == pytest.approx(MAPS.values(theta, [env.member])[0, 0], abs=1e-6)
    assert env.game.regions.contains(np.array([30.0, 30.0])).all()


def test_an_episode_ends_when_the_region_is_the_whole_space() -> None:
    env = RegionGrowEnv(flat(0.8), largest_step=1.0)
    env.reset(seed=0)
    seen, _, terminated, _, info = env.step([1, 1, 1, 1])
    assert terminated
    assert info["region"] == pytest.approx(1)
    assert info["objective"] == pytest.approx(1)
    assert seen in env.observation_space


@pytest.mark.parametrize(("budget", "steps"), [(24, 1), (35, 1), (36, 2), (200, 15)])
def test_an_episode_ends_when_the_budget_cannot_pay_the_next_step(budget: int, steps: int) -> None:
    env = RegionGrowEnv(MAPS, budget=budget, claim_points=0)
    assert len(episode(env)) == steps + 1
    assert env.oracle.forward_queries.tolist() == [12 * (steps + 1)]


def test_the_share_of_the_budget_that_is_left_ends_at_zero_exactly() -> None:
    for budget in range(24, 1200, 12 * 7):
        env = RegionGrowEnv(flat(0.1), budget=budget, start="azimuth=3", largest_step=0.001, claim_points=0)
        *_, (seen, _, _, info) = episode(env)
        assert info["spent"] == budget
        assert seen[-1] == 0
        assert seen in env.observation_space


def test_a_flat_function_has_no_variance_to_the_last_bit() -> None:
    for score in (0.3125, 0.75, 1.0):  # 1 - (1 - score) is exact
        env = RegionGrowEnv(flat(score), goal=MeanGoal(1 - score, 0.0), claim_points=0)
        for *_, info in episode(env):
            assert info["mean"] == score
            assert info["variance"] == 0
            assert info["objective"] == info["region"]


def test_scores_of_any_range_are_scaled_and_nan_counts_as_the_worst() -> None:
    env = RegionGrowEnv(flat(-3.0, score_range=(-5.0, 5.0)), claim_points=0)
    assert [info["mean"] for *_, info in episode(env)] == [0.2] * 16
    env = RegionGrowEnv(flat(np.nan, score_range=(-5.0, 5.0)), claim_points=0)
    for seen, _, _, info in episode(env):
        assert info["objective"] == -0.5
        assert (seen[6:14] == 0).all()


def test_for_a_reliability_goal_the_share_of_good_views_is_what_counts() -> None:
    env = RegionGrowEnv(MAPS, goal="reliability=0.8,level=0.55", budget=600, largest_step=0.2, claim_points=0)
    assert env.game.rules.goal == ReliabilityGoal(level=0.55, reliability=0.8)
    is_met = set()
    for seed in range(4):
        for seen, _, _, info in episode(env, seed):
            missed = max(0.0, 0.8 - info["mean"])
            assert info["objective"] == (-missed if missed else info["region"])
            assert seen[-4] == np.float32(info["mean"])
            fresh = MAPS.values(env.game.queries(), [env.member])[0]
            is_met.add(missed == 0)
        np.testing.assert_allclose(seen[6:14], fresh[:8], atol=1e-6)  # corners show scores
    assert is_met == {True, False}
    for seed in range(8):
        _, info = env.reset(seed=seed)
        score = MAPS.values(env.game.start[:, None], [env.member])[0, 0]
        assert (info["mean"], info["variance"]) == (float(score >= 0.55), 0.0), "a start point is right or wrong"


def test_both_goals_agree_where_every_score_is_right_or_wrong() -> None:
    steps = CallableFunction(SPACE, lambda theta: (theta[:, 0] < 200).astype(float))
    mean, reliability = (RegionGrowEnv(steps, goal=goal) for goal in ("mean=0.9", "reliability=0.9"))
    for mine, other in zip(episode(mean), episode(reliability), strict=True):
        np.testing.assert_array_equal(mine[0], other[0])
        assert mine[1:3] == other[1:3]


def test_adversarial_is_the_complement() -> None:
    ours, theirs = RegionGrowEnv(MAPS, adversarial=True), RegionGrowEnv(Complement(MAPS))
    for mine, other in zip(episode(ours), episode(theirs), strict=True):
        np.testing.assert_array_equal(mine[0], other[0])
        assert mine[1:3] == other[1:3]
    assert ours.function.member_ids[mine[3]["member"]].startswith("complement(recorded:")


def test_start_points_are_the_papers_random_or_those_given() -> None:
    def starts(start: Any, space: SemanticSpace = SPACE) -> set[tuple[float, ...]]:
        env = RegionGrowEnv(flat(0.5, space), start=start)
        found = set()
        for seed in range(40):
            env.reset(seed=seed)
            found.add(tuple(env.game.start[0].tolist()))
        return found

    assert starts(None) == {tuple(start) for start in STARTS.tolist()}
    assert starts(None, ELEVATION) == {(30.0,), (20.0,), (15.0,), (50.0,)}
    assert starts("azimuth=7") == {(7.0, 0.0)}
    assert starts(["azimuth=7", "elevation=9"]) == {(7.0, 0.0), (0.0, 9.0)}
    assert starts([7.0, 1.0]) == {(7.0, 1.0)}
    assert starts(STARTS[:2]) == {tuple(start) for start in STARTS[:2].tolist()}
    assert len(starts("random")) == 40
    assert starts(None, SemanticSpace.of("azimuth[90:180],elevation")) == {(130.0, 30.0)}
    assert starts(None, SemanticSpace.of("azimuth[-180:180]")) == {(130.0,), (50.0,), (-160.0,), (-50.0,)}
    assert len(starts(None, SemanticSpace.of("azimuth[-30:30]"))) == 40  # it holds none of the paper's
    x = Parameter("x", "", 0.0, 1.0, None, 0.5, "a number")
    assert len(starts(None, SemanticSpace((x,)))) == 40
    assert starts(None, SemanticSpace((x, *ELEVATION.parameters))) == {(0.5, e) for e in (30.0, 20.0, 15.0, 50.0)}


def test_episodes_draw_from_the_members_given_and_options_come_first() -> None:
    env = RegionGrowEnv(MAPS, members=[1, 5])
    drawn = []
    env.reset(seed=0)
    for _ in range(40):
        _, info = env.reset()
        assert info["member"] == env.member
        drawn.append(env.member)
    assert set(drawn) == {1, 5}
    assert 8 < drawn.count(1) < 32
    _, info = env.reset(options={"member": 2, "start": "azimuth=3,elevation=4"})
    assert info["member"] == 2
    assert env.game.start.tolist() == [[3, 4]]
    env.reset(seed=7)
    after = env.reset()[0]
    env.reset(seed=7, options={"member": 2, "start": "random"})
    np.testing.assert_array_equal(env.reset()[0], after, "options change one episode, not what is drawn after it")


def test_a_seed_fixes_everything_and_another_changes_it() -> None:
    runs = [episode(RegionGrowEnv(MAPS, start="random"), seed) for seed in (3, 3, 4)]
    for first, second in zip(*runs[:2], strict=True):
        assert first[0].tobytes() == second[0].tobytes()
        assert first[1] == second[1]
    assert runs[0][0][0].tobytes() != runs[2][0][0].tobytes()


def test_what_was_observed_stays_as_it_was() -> None:
    env = RegionGrowEnv(MAPS)
    seen, info = env.reset(seed=0)
    before, lower = seen.copy(), info["lower"].copy()
    for _ in range(4):
        env.step(np.ones(4))
    np.testing.assert_array_equal(seen, before)
    np.testing.assert_array_equal(info["lower"], lower)


def test_the_whole_map_is_worth_one_where_it_is_flat_and_high() -> None:
    env = RegionGrowEnv(RecordedMaps(flat_maps({"a/b/0": 0.75})), largest_step=0.2)
    steps = episode(env, bias=1.0)
    assert steps[-1][3]["objective"] == pytest.approx(1)
    assert len(steps) < 10
