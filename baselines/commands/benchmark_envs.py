"""Measure steps per second of the environments, single and vector, and the share of the time that f itself takes.

Examples:
  semrob benchmark_envs
  semrob benchmark_envs --function "synthetic:plateau?n=3&seed=0" --num-envs 1,16,256
  semrob benchmark_envs --function scene:efficientnet_lite0/cup/procedural:3 --num-envs 16 --steps 20

Each line: an environment, how many at once (1: the single one), and the medians over --repeats of: steps a second of
all environments together, microseconds a step, microseconds that f alone needs for as many queries, asked in one call
in turn with the steps, and the share of the time spent outside f. `of_f` is the throughput in queries a second through
the environment over that of f alone.
"""

from dataclasses import dataclass
from typing import final

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count, Counts, Names, Repeats


@final
@dataclass(frozen=True, kw_only=True)
class BenchmarkEnvsOptions:
    function: str = "recorded:*"
    """id of the function"""
    environments: Names = ("RegionGrow-v0", "PointSearch-v0")
    """comma separated"""
    num_envs: Counts = (1, 256)
    """how many at once; 1 is the single environment"""
    budget: Count = 200
    """queries of an episode"""
    steps: Count = 200
    """steps of one repeat"""
    repeats: Repeats = 15
    """repeats that medians are taken over"""
    imports: shared.Imports = ()
    seed: shared.Seed = 0
    out: shared.Out = "results/envs_speed"


main = Command(BenchmarkEnvsOptions)
