"""Measure steps per second of the environments, single and vector, and the share of the time that f itself takes.

Examples:
  python scripts/benchmark_envs.py
  python scripts/benchmark_envs.py --function "synthetic:plateau?n=3&seed=0" --num-envs 1,16,256
  python scripts/benchmark_envs.py --function scene:efficientnet_lite0/cup/procedural:3 --num-envs 16 --steps 20

Each line: an environment, how many at once (1: the single one), and the medians over --repeats of: steps a second of
all environments together, microseconds a step, microseconds that f alone needs for as many queries, asked in one call
in turn with the steps, and the share of the time spent outside f. `of_f` is the throughput in queries a second through
the environment over that of f alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from semrob_env.cli import ArgumentParser, make_console, names, numbers, positive, progress_bar, run_script

from semrob_env.envs.point_search import PointSearchEnv
from semrob_env.envs.region_grow import RegionGrowEnv
from semrob_env.envs.vector import PointSearchVectorEnv, RegionGrowVectorEnv
from semrob_env.errors import UnknownNameError
from semrob_env.files import csv_text, markdown_table, output_folder, write_whole
from semrob_env.functions import ScoreFunction, make_function

KINDS: dict[str, tuple[Any, Any]] = {
    "RegionGrow-v0": (RegionGrowEnv, RegionGrowVectorEnv),
    "PointSearch-v0": (PointSearchEnv, PointSearchVectorEnv),
}
"""Single and vector environment of each id."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read arguments, measure, print and write the table."""
    options = parser().parse_args(arguments)
    console = make_console()
    for name in ("steps", "repeats", "budget"):
        positive(getattr(options, name), f"--{name}")
    sizes, kinds = [positive(size, "--num-envs") for size in numbers(options.num_envs)], names(options.environments)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise UnknownNameError(f"unknown environment {unknown[0]!r}; there are {', '.join(KINDS)}")
    function = make_function(options.function)
    made = [(kind, size, environment(kind, function, size, options.budget)) for kind in kinds for size in sizes]
    folder = output_folder(options.out)
    lines = []
    with progress_bar(console, "environments") as progress:
        bar = progress.add_task("measuring", total=len(made))
        for kind, size, env in made:
            lines.append(measured(kind, size, env, options.steps, options.repeats))
            progress.advance(bar)
    shown = [{name: f"{v:.3g}" if isinstance(v, float) else str(v) for name, v in line.items()} for line in lines]
    console.print(markdown_table(shown), soft_wrap=True)
    write_whole(folder / "envs.csv", csv_text(lines))
    console.print(f"wrote envs.csv to {folder}")


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument("--function", help="id of the function", default="recorded:*")
    made.add_argument("--environments", help=f"comma separated; of {', '.join(KINDS)}", default=",".join(KINDS))
    made.add_argument(
        "--num-envs", help="how many at once, e.g. 1,16,256; 1 is the single environment", default="1,256"
    )
    made.add_argument("--budget", type=int, help="queries of an episode", default=200)
    made.add_argument("--steps", type=int, help="steps of one repeat", default=200)
    made.add_argument("--repeats", type=int, help="repeats that medians are taken over", default=15)
    made.add_argument("--out", help="output folder", default="results/envs_speed")
    return made


def environment(kind: str, function: ScoreFunction, size: int, budget: int) -> Any:
    """One environment, or `size` at once."""
    single, vector = KINDS[kind]
    return single(function, budget=budget) if size == 1 else vector(function, num_envs=size, budget=budget)


def measured(kind: str, size: int, env: Any, steps: int, repeats: int) -> dict[str, object]:
    """Medians of what a step takes, resets at the end of episodes included, and f alone for the queries of a step."""
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(steps)]
    theta, member = env.game.queries(), env.play.member
    a_step, a_call = [], []
    for repeat in range(repeats + 1):
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
    """Mean seconds of a call over the inputs."""
    started = time.perf_counter()
    for one in inputs:
        call(one)
    return (time.perf_counter() - started) / len(inputs)


def step(env: Any, size: int, action: Any) -> None:
    """A step; a single environment that has ended begins anew."""
    terminated = env.step(action)[2]
    if size == 1 and terminated:
        env.reset()


if __name__ == "__main__":
    sys.exit(run_script(main))
