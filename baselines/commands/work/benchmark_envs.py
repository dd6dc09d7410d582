"""Times steps of the environments beside the calls of f that they make."""

import itertools
from typing import Any

from baselines.commands.benchmark_envs import BenchmarkEnvsOptions
from baselines.commands.shared.terminal import Bundle, Console, digits_table, interleaved, progress_bar
from semrob_env.envs.point_search import PointSearchEnv, PointSearchVectorEnv
from semrob_env.envs.region_grow import RegionGrowEnv, RegionGrowVectorEnv
from semrob_env.errors import UnknownNameError
from semrob_env.functions import make_function

KINDS: dict[str, tuple[Any, Any]] = {
    "RegionGrow-v0": (RegionGrowEnv, RegionGrowVectorEnv),
    "PointSearch-v0": (PointSearchEnv, PointSearchVectorEnv),
}
"""Single and vector environment of each id."""


def run(options: BenchmarkEnvsOptions, console: Console) -> None:
    unknown = [kind for kind in options.environments if kind not in KINDS]
    if unknown:
        raise UnknownNameError(f"unknown environment {unknown[0]!r}; there are {', '.join(KINDS)}")
    function = make_function(options.function)
    made: list[tuple[str, int, Any]] = []
    for kind, size in itertools.product(options.environments, options.num_envs):
        single, vector = KINDS[kind]
        given: dict[str, Any] = {"num_envs": size} if size > 1 else {}
        made.append((kind, size, (vector if given else single)(function, budget=options.budget, **given)))
    bundle = Bundle(options.out, console)
    with progress_bar(console, "environments") as progress:
        lines = [measured(*each, options) for each in progress.track(made, description="measuring")]
    console.say(digits_table(lines))
    bundle.rows("envs.csv", lines)
    bundle.close()


def measured(kind: str, size: int, env: Any, options: BenchmarkEnvsOptions) -> dict[str, object]:
    """Medians of what a step takes, resets at the end of episodes included, and f alone for the queries of a step."""
    env.reset(seed=options.seed)
    env.action_space.seed(options.seed)
    actions = [env.action_space.sample() for _ in range(options.steps)]
    theta, member = env.game.queries(), env.play.member

    def steps() -> None:
        for action in actions:
            terminated = env.step(action)[2]
            if size == 1 and terminated:  # a vector of environments begins anew by itself
                env.reset()

    def alone() -> None:
        for _ in actions:
            env.function.values(theta, member)

    times = interleaved({"steps": steps, "f": alone}, options.repeats)
    whole, inside = (times.median(name) / len(actions) for name in ("steps", "f"))
    of_f = times.ratio("f", "steps")
    return {
        "environment": kind,
        "num_envs": size,
        "steps_a_second": size / whole,
        "us_a_step": 1e6 * whole,
        "us_of_f": 1e6 * inside,
        "outside_f": 1 - of_f,
        "of_f": of_f,
    }
