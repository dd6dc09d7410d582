"""Environments that break one promise each, and the message that names it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import MethodType
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box

from semrob_env.envs.point_search import PointSearchEnv
from semrob_env.envs.region_grow import RegionGrowEnv, RegionGrowVectorEnv

PLATEAU = "synthetic:plateau?n=2&seed=0"
FAMILY = f"{PLATEAU} + synthetic:plateau?n=2&seed=1 + synthetic:plateau?n=2&seed=2"
REGION, POINTS = RegionGrowEnv, PointSearchEnv
BUDGET = 92


def changed(env: Any = None, **methods: Callable[..., Any]) -> Any:
    """An environment with other methods: each gets the environment, the method it stands for, and its arguments."""
    env = REGION(PLATEAU, budget=BUDGET) if env is None else env
    for name, method in methods.items():
        original = getattr(env, name)

        @wraps(getattr(type(env), name))
        def instead(self: Any, *given: Any, _own: Any = method, _original: Any = original, **named: Any) -> Any:
            return _own(self, _original, *given, **named)

        vars(env)[name] = MethodType(instead, env)
    return env


def told(
    change: Callable[[Any, Any, float, dict[str, Any]], tuple[Any, float, dict[str, Any]]], env: Any = None
) -> Any:
    """An environment that changes (observation, reward, info) before it tells them."""

    def reset(self: Any, original: Any, *, seed: int | None = None, options: Any = None) -> Any:
        observation, info = original(seed=seed, options=options)
        observation, _, info = change(self, observation, 0.0, info)
        return observation, info

    def step(self: Any, original: Any, action: Any) -> Any:
        observation, reward, terminated, truncated, info = original(action)
        observation, reward, info = change(self, observation, reward, info)
        return observation, reward, terminated, truncated, info

    return changed(env, reset=reset, step=step)


def acting(change: Callable[[Any, Any], Any], env: Any = None) -> Any:
    """An environment that changes the action that it is given."""
    return changed(env, step=lambda self, original, action: original(change(self, action)))


def starts_by_itself(self: Any, original: Any, action: Any) -> Any:
    if not self.game.steps.any():
        self.reset()
    return original(action)


def asks_first(self: Any, original: Any, action: Any) -> Any:
    self.function.values(self.function.space.default[None, None])
    return original(action)


def reuses_its_buffer(self: Any, observation: Any, reward: float, info: Any) -> Any:
    buffer = vars(self).setdefault("buffer", np.empty_like(observation))
    buffer[...] = observation
    return buffer, reward, info


def reuses_its_info(self: Any, observation: Any, reward: float, info: Any) -> Any:
    kept = vars(self).setdefault("kept", {})
    kept.update(info)
    return observation, reward, kept


def hands_out_its_state(self: Any, observation: Any, reward: float, info: Any) -> Any:
    if self.game.steps[0] > 1:
        observation[0] = (observation[0] + self.last[0]) / 2
    self.last = observation
    return observation, reward, info


def draws_own_numbers(self: Any, observation: Any, reward: float, info: Any) -> Any:
    observation[0] *= np.random.default_rng().random()
    return observation, reward, info


def remembers_episodes(self: Any, observation: Any, reward: float, info: Any) -> Any:
    self.turns = getattr(self, "turns", 0) + 1
    observation[0] /= self.turns
    return observation, reward, info


def draws_global_numbers(self: Any, original: Any, *, seed: int | None = None, options: Any = None) -> Any:
    observation, info = original(seed=seed, options=options)
    np.random.seed(seed or 0)  # noqa: NPY002 (what the checker is to find)
    observation[0] *= np.random.random()  # noqa: NPY002
    return observation, info


def asks_past_the_oracle(self: Any, original: Any, action: Any) -> Any:
    result = original(action)
    self.oracle.function.values(self.oracle.space.default[None, None])
    return result


def charges_for_nothing(self: Any, original: Any, action: Any) -> Any:
    observation, reward, terminated, truncated, info = original(action)
    self.oracle.restore(self.oracle.forward_queries + 1, self.oracle.gradient_queries)
    info["forward_queries"] += 1
    info["spent"] += 1.0
    return observation, reward, terminated, truncated, info


def keeps_the_meter(self: Any, original: Any, *, seed: int | None = None, options: Any = None) -> Any:
    before = self.oracle.forward_queries if self.game.steps.any() else np.zeros(1, dtype=np.int64)
    observation, info = original(seed=seed, options=options)
    self.oracle.budget = np.inf
    self.oracle.restore(self.oracle.forward_queries + before, self.oracle.gradient_queries)
    info["forward_queries"] += int(before[0])
    info["spent"] += float(before[0])
    return observation, info


def goes_on_without_seed(self: Any, original: Any, *, seed: int | None = None, options: Any = None) -> Any:
    if seed is None and options is None and self.game.steps.any():
        return self.first[0].copy(), {**self.first[1], **self._info()}
    self.first = original(seed=seed, options=options)
    return self.first[0].copy(), dict(self.first[1])


def without_cap() -> Any:
    env = REGION(PLATEAU, budget=BUDGET)
    env.oracle.budget = np.inf
    return env


def rewards_a_hundredfold(self: Any, observation: Any, reward: float, info: Any) -> Any:
    return observation, 100 * reward, {**info, "objective": 100 * info["objective"]}


def moves_the_objective(self: Any, observation: Any, reward: float, info: Any) -> Any:
    return observation, reward, {**info, "objective": info["objective"] + 0.1}


def judges_by_the_truth(self: Any, observation: Any, reward: float, info: Any) -> Any:
    exact = self.function.exact_moments(self.game.regions)
    info["mean"], info["variance"] = float(exact[0][0]), float(exact[1][0])
    missed = max(0.0, 0.5 - info["mean"]) + max(0.0, info["variance"] - 0.25)
    if info["claimed"]:
        return observation, reward, info
    before, info["objective"] = getattr(self, "before", 0.0), -missed if missed else info["region"]
    self.before = info["objective"]
    return observation, info["objective"] - before, info


def divides_by_scores(self: Any, observation: Any, reward: float, info: Any) -> Any:
    with np.errstate(invalid="ignore"):
        observation[6] /= observation[6]
    return observation, reward, info


def rewards_the_distance(self: Any, observation: Any, reward: float, info: Any) -> Any:
    step = 0.01 * self.game.steps[0]
    return observation, reward + 0.01 if step > 0.01 else 0.0, {**info, "objective": info["objective"] + step}


def ends_early(self: Any, original: Any, action: Any) -> Any:
    observation, reward, _, truncated, info = original(action)
    return observation, reward, bool(info["spent"] > 30), truncated, info


def truncates(self: Any, original: Any, action: Any) -> Any:
    observation, reward, terminated, _, info = original(action)
    return observation, reward, terminated, self.game.steps[0] > 3, info


def python_bools(result: Any) -> Any:
    return (*result[:2], bool(result[2]), bool(result[3]), result[4])


def goes_on_after_the_end(self: Any, original: Any, action: Any) -> Any:
    if self.game.finished[0]:
        return self.result
    self.result = original(action)
    return self.result


def asks_after_the_end(self: Any, original: Any, action: Any) -> Any:
    if self.game.finished[0] and self.game.steps[0]:
        self.function.values(self.function.space.default[None, None])
    return original(action)


def charges_refused_actions(self: Any, action: Any) -> Any:
    if np.shape(action) == (4,) and np.isnan(action).any():
        self.oracle.value(self.function.space.default)
    return action


def moves_before_it_refuses(self: Any, action: Any) -> Any:
    if np.shape(action) == (4,) and np.isnan(action).any():
        self.game.move(np.ones((1, 4)))
    return action


def bends_large_actions(self: Any, action: Any) -> Any:
    fits = np.shape(action) == (4,) and not np.isnan(action).any()
    return action / np.float32(max(1.0, np.abs(action).max())) if fits else action


def writes_into_actions(self: Any, action: Any) -> Any:
    if isinstance(action, np.ndarray) and action.shape == (4,):
        action *= np.float32(0.5)
    return action


def writes_into_actions_of_rows(self: Any, actions: Any) -> Any:
    if isinstance(actions, np.ndarray) and actions.shape == (3, 4):
        actions *= np.float32(0.5)
    return actions


def keeps_actions(self: Any, action: Any) -> Any:
    if np.shape(action) != (4,) or np.isnan(action).any():
        return action
    last, self.action = vars(self).get("action") if self.game.steps[0] > 1 else None, action
    return (
        np.clip(action, -1, 1) if last is None else np.clip((np.clip(action, -1, 1) + np.clip(last, -1, 1)) / 2, -1, 1)
    )


def turns_actions(self: Any, action: Any) -> Any:
    fits = np.shape(action) == (4,) and not np.isnan(action).any()
    return -action if fits else action


def mirrors_points(self: Any, action: Any) -> Any:
    return -action if np.shape(action) == (2,) and not np.isnan(action).any() else action


def shifts_the_region(self: Any, observation: Any, reward: float, info: Any) -> Any:
    shift = 0.5 * self.function.space.width * self.function.space.is_periodic
    return observation, reward, {**info, "lower": info["lower"] + shift, "upper": info["upper"] + shift}


def plays_member(member: int) -> Callable[..., Any]:
    def reset(self: Any, original: Any, *, seed: int | None = None, options: Any = None) -> Any:
        return original(seed=seed, options={"member": member})

    return reset


def names_another_member(self: Any, observation: Any, reward: float, info: Any) -> Any:
    return observation, reward, {**info, "member": info["member"] - 1}


def hides_the_budget(self: Any, observation: Any, reward: float, info: Any) -> Any:
    observation[-1] = 0.5
    return observation, reward, info


def charges_images(self: Any, original: Any) -> Any:
    self.oracle.value(self.function.space.default)
    return original()


def draws_for_images(self: Any, original: Any) -> Any:
    self.game.take(np.zeros((1, self.game.cost)))
    return original()


def of_growing_frames(self: Any, original: Any) -> Any:
    return original()[: 100 + int(self.game.steps[0])]


def one_frame(self: Any, original: Any) -> Any:
    vars(self).setdefault("frame", original())[...] = original()
    return self.frame


def in_a_vector(vector: Callable[..., Any]) -> Any:
    env = REGION(PLATEAU, budget=BUDGET, start="random")
    env.spec = EnvSpec("semrob/Changed-v0", vector_entry_point=vector, kwargs={"function": PLATEAU, "budget": BUDGET})
    return env


def seeded_alike(num_envs: int, **kwargs: Any) -> Any:
    envs = RegionGrowVectorEnv(num_envs=num_envs, start="random", **kwargs)
    return changed(envs, reset=lambda self, original, *, seed: original(seed=[seed] * num_envs))


def mixing_rewards(num_envs: int, **kwargs: Any) -> Any:
    def step(self: Any, original: Any, actions: Any) -> Any:
        observation, reward, *rest = original(actions)
        return observation, np.full_like(reward, reward.mean()), *rest

    return changed(RegionGrowVectorEnv(num_envs=num_envs, start="random", **kwargs), step=step)


def with_attribute(name: str, value: Any) -> Any:
    env = REGION(PLATEAU, budget=BUDGET)
    setattr(env, name, value)
    return env


ANYTHING = Box(-np.inf, np.inf, (18,), dtype=np.float32)

BROKEN: list[tuple[Callable[[], Any], str]] = [
    (lambda: changed(step=starts_by_itself), r"refuse a step before a reset: step\(\) works before any reset"),
    (lambda: changed(step=asks_first), r"step\(\) asks the function before it refuses"),
    (lambda: with_attribute("observation_space", ANYTHING), "the observation space is Box.*every entry has limits"),
    (
        lambda: with_attribute("action_space", gymnasium.spaces.Discrete(3)),
        r"the action space is Discrete\(3\); give a",
    ),
    (lambda: changed(reset=lambda self, original, **given: original(**given)[0]), r"reset\(\) returns ndarray"),
    (lambda: changed(step=lambda self, original, action: original(action)[:4]), r"step\(\) returns tuple"),
    (lambda: told(lambda s, o, r, i: (o, np.float32(r), i)), r"give a plain float and two plain bools"),
    (lambda: told(lambda s, o, r, i: (o.astype(float), r, i)), r"the observation is \(18,\) float64, must be an array"),
    (lambda: told(lambda s, o, r, i: (o[:5], r, i)), r"the observation is \(5,\) float32, must be an array"),
    (
        lambda: told(lambda s, o, r, i: (o + o[-1:], r, i)),
        r"the observation has .* at \(.*allowed is \[.*; widen the sp",
    ),
    (lambda: told(lambda s, o, r, i: (o, float("inf"), i)), "the reward is inf at step 1 with random actions"),
    (lambda: told(reuses_its_buffer), "the observation returned at call 0 changes later; return a new array each time"),
    (lambda: told(reuses_its_info), r"info\['claimed'\] returned at call 0 changes later"),
    (lambda: told(hands_out_its_state), "changes when arrays that were returned are overwritten"),
    (
        lambda: told(draws_own_numbers),
        "the observation of reset differs with the same seed and actions; draw from self",
    ),
    (lambda: told(remembers_episodes), "the observation of reset differs with the same seed and actions"),
    (lambda: changed(reset=draws_global_numbers), "it draws from, or seeds, the global random numbers"),
    (lambda: told(lambda s, o, r, i: (o, r, {**i, "spent": i["spent"] + 1})), "the oracle has counted .12, 0, 12.0."),
    (lambda: told(lambda s, o, r, i: (o, r, {})), r"info has no \['forward_queries'\] at step 0"),
    (lambda: changed(step=asks_past_the_oracle), "asked 13 points at step 1, 12 were charged: points are asked past"),
    (
        lambda: changed(without_cap(), step=charges_for_nothing),
        "13 queries were charged at step 1, .* asked 12 points: answers are",
    ),
    (lambda: changed(reset=keeps_the_meter), "the meter of the last episode goes on; begin each with a fresh one"),
    (without_cap, "12 of a budget of inf is spent at step 0; give the oracle the budget"),
    (
        lambda: changed(REGION(PLATEAU), reset=goes_on_without_seed),
        "is spent after a later reset, 12 after the first one",
    ),
    (lambda: told(lambda s, o, r, i: (o, 2 * r, i)), r"the reward is .*, info\['objective'\] has gained"),
    (lambda: told(rewards_a_hundredfold), "the reward is .* at step .*; the objective must stay in its limits"),
    (lambda: told(moves_the_objective), "objective of .* at step 0; by the bounds, mean and variance"),
    (lambda: told(moves_the_objective, POINTS(PLATEAU)), "the best of the scores so far is worth .* with the goal low"),
    (lambda: told(judges_by_the_truth), "they come from elsewhere; use charged answers only|has gained"),
    (lambda: told(divides_by_scores), "observation or info is not finite at step 0 if every score is 0"),
    (lambda: changed(step=ends_early), "terminated is True at step .*, but .* of the budget is left, a step costs 12"),
    (lambda: changed(step=lambda s, f, a: python_bools(truncates(s, f, a))), "leave that to the wrapper TimeLimit"),
    (lambda: changed(step=goes_on_after_the_end), r"step\(\) works after the end of an episode"),
    (lambda: changed(step=asks_after_the_end), "a step after the end asks or charges before it is refused"),
    (
        lambda: acting(lambda s, a: np.nan_to_num(a) if np.shape(a) == (4,) else a),
        r"step\(\) takes NaN as action; raise",
    ),
    (lambda: acting(lambda s, a: np.resize(a, 4) if np.size(a) > 4 else a), r"step\(\) takes a number too many as act"),
    (lambda: acting(charges_refused_actions), r"an action that is refused \(NaN\) asks or charges"),
    (lambda: acting(moves_before_it_refuses), r"goes on differently after an action was refused \(NaN\)"),
    (lambda: acting(bends_large_actions), "differs if actions beyond the action space are clipped first"),
    (lambda: acting(writes_into_actions), r"step\(\) changes the action that it is given; copy before writing"),
    (lambda: acting(keeps_actions), "changes when an action is overwritten after its step; keep a copy of it"),
    (lambda: acting(turns_actions), r"positive numbers widen the region, negative ones shrink it"),
    (lambda: acting(mirrors_points, POINTS(PLATEAU)), "-1 is the low end of a parameter and 1 the high end"),
    (lambda: told(shifts_the_region), "it must lie in the space, hold theta0 and end after one turn"),
    (lambda: changed(REGION(FAMILY, members=[0, 1]), reset=plays_member(2)), "not one of the 2 members of this env"),
    (lambda: changed(REGION(FAMILY), reset=plays_member(2)), "24 episodes all draw the same of 3 members"),
    (lambda: told(names_another_member, REGION(FAMILY)), "info tells member .*, but .* was asked; ask what you tell"),
    (lambda: told(hides_the_budget), "no entry of the observation is the share of the budget that is left"),
    (lambda: changed(REGION(PLATEAU, render_mode="ansi"), render=charges_images), r"render\(\) charges queries"),
    (lambda: changed(REGION(PLATEAU, render_mode="ansi"), render=draws_for_images), "differs when it is rendered"),
    (lambda: changed(REGION(PLATEAU, render_mode="ansi"), render=lambda s, f: None), "ansi frames must be text"),
    (lambda: changed(REGION(PLATEAU, render_mode="rgb_array"), render=of_growing_frames), "uint8 of one shape"),
    (lambda: changed(REGION(PLATEAU, render_mode="rgb_array"), render=one_frame), "two frames are one array"),
    (lambda: in_a_vector(seeded_alike), "environment 1 of 3 differs from one alone at step 0.*seed it with seed"),
    (lambda: in_a_vector(mixing_rewards), "environment 0 of 3 differs from one alone at step .*use nothing across"),
    (lambda: with_attribute("seed", lambda number: None), "check_env says: .*`seed` function is dropped"),
]


def changed_vector(**methods: Callable[..., Any]) -> Any:
    return changed(RegionGrowVectorEnv(PLATEAU, num_envs=3, budget=BUDGET), **methods)


def told_vector(change: Callable[..., Any], **arguments: Any) -> Any:
    """A vector environment that changes (observation, rewards, infos) of its steps before it tells them."""

    def step(self: Any, original: Any, actions: Any) -> Any:
        observation, rewards, terminated, truncated, infos = original(actions)
        observation, rewards, infos = change(self, observation, rewards, infos)
        return observation, rewards, terminated, truncated, infos

    return changed_vector(step=step, **arguments)


def rows_share_a_number(self: Any, original: Any, *, seed: Any = None, options: Any = None) -> Any:
    """All rows see the start of the first one."""
    observation, infos = original(seed=seed, options=options)
    observation[:, 5] = observation[0, 5]
    return observation, infos


BROKEN_VECTORS: list[tuple[Callable[[], Any], str]] = [
    (lambda: changed_vector(step=asks_first), r"step\(\) asks the function before it refuses"),
    (lambda: told_vector(lambda s, o, r, i: (o, 2 * r, i)), r"the reward is .*, info\['objective'\] has gained"),
    (lambda: told_vector(lambda s, o, r, i: (o, r.sum(), i)), "give arrays .3,. of rewards and of two kinds of ends"),
    (lambda: changed_vector(step=asks_past_the_oracle), "asked 12.3333 points at step 1, 12 were charged"),
    (lambda: told_vector(lambda s, o, r, i: (o.astype(float), r, i)), "the observation is .18,. float64"),
    (lambda: acting(writes_into_actions_of_rows, changed_vector()), r"step\(\) changes the action that it is given"),
    (lambda: changed_vector(reset=rows_share_a_number), "environment . of 3 differs from one alone at step 0"),
    (
        lambda: RegionGrowVectorEnv(PLATEAU, num_envs=3, budget=BUDGET, autoreset_mode="SameStep"),
        "begins a new episode in the step that ends one.* make it with autoreset_mode NextStep or Disabled",
    ),
]
