import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from baselines.commands.benchmark_envs import Options
from baselines.commands.shared.terminal import Bundle, Console, digits_table, progress_bar
from semrob_env.envs.point_search import PointSearchEnv, PointSearchVectorEnv
from semrob_env.envs.region_grow import RegionGrowEnv, RegionGrowVectorEnv
from semrob_env.errors import UnknownNameError
from semrob_env.functions import ScoreFunction, make_function

KINDS: dict[str, tuple[Any, Any]] = {
    "RegionGrow-v0": (RegionGrowEnv, RegionGrowVectorEnv),
    "PointSearch-v0": (PointSearchEnv, PointSearchVectorEnv),
}
"""Single and vector environment of each id."""


def run(options: Options, console: Console) -> None:
    unknown = [kind for kind in options.environments if kind not in KINDS]
    if unknown:
        raise UnknownNameError(f"unknown environment {unknown[0]!r}; there are {', '.join(KINDS)}")
    function = make_function(options.function)
    made = [
        (kind, size, environment(kind, function, size, options.budget))
        for kind in options.environments
        for size in options.num_envs
    ]
    bundle = Bundle(options.out, console)
    with progress_bar(console, "environments") as progress:
        lines = [measured(*each, options) for each in progress.track(made, description="measuring")]
    console.say(digits_table(lines))
    bundle.rows("envs.csv", lines)
    bundle.close()


def environment(kind: str, function: ScoreFunction, size: int, budget: int) -> Any:
    single, vector = KINDS[kind]
    return single(function, budget=budget) if size == 1 else vector(function, num_envs=size, budget=budget)


def measured(kind: str, size: int, env: Any, options: Options) -> dict[str, object]:
    """Medians of what a step takes, resets at the end of episodes included, and f alone for the queries of a step."""
    env.reset(seed=options.seed)
    env.action_space.seed(options.seed)
    actions = [env.action_space.sample() for _ in range(options.steps)]
    theta, member = env.game.queries(), env.play.member
    a_step, a_call = [], []
    for repeat in range(options.repeats + 1):
        stepping = seconds_each(lambda action: step(env, size, action), actions)
        asking = seconds_each(lambda _: env.function.values(theta, member), actions)
        if repeat:  # the first one warms up
            a_step.append(stepping)
            a_call.append(asking)
    whole, inside = float(np.median(a_step)), float(np.median(a_call))
    of_f = float(np.median(np.array(a_call) / np.array(a_step)))  # of neighbours in time: both as busy a machine
    return {
        "environment": kind,
        "num_envs": size,
        "steps_a_second": size / whole,
        "us_a_step": 1e6 * whole,
        "us_of_f": 1e6 * inside,
        "outside_f": 1 - of_f,
        "of_f": of_f,
    }


def seconds_each(call: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    started = time.perf_counter()
    for one in inputs:
        call(one)
    return (time.perf_counter() - started) / len(inputs)


def step(env: Any, size: int, action: Any) -> None:
    terminated = env.step(action)[2]
    if size == 1 and terminated:
        env.reset()
