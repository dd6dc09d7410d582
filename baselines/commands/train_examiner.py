"""Trains agents on PointSearch-v0 to find weak points of a network, and compares them with Bayesian search.

Examples:
  semrob train_examiner --function "recorded:*" --test-networks Inceptionv3 --test-shapes 3
  semrob train_examiner --function "recorded:*" --test-shapes 3 --budget 50 --methods bayesian_attack:algorithm=gp
  semrob train_examiner --function "synthetic:hill?n=2&seed=0 + synthetic:hill?n=2&seed=1" --test-members 1 --seeds 0

An examiner asks one network sequentially, each query after the answers to those before (Shu et al., AAAI 2020). Agents
are trained by PPO or SAC of stable-baselines3 (pip install semrob[agents]) on some members of a family and examine
others (--test-networks, --test-classes, --test-shapes, --test-members), from the paper's start points, beside point
methods that search the whole space, --budget queries each, on the same meter. What training asked is told apart.

Shown after each of a few numbers of queries: the lowest unit score found, and the share of runs that found a failure, a
score below --level; means over seeds and start points, with 95 % intervals over other test members.

Written to --out: ALGORITHM/seed_N with the agent and its curve, examiner.md, examiner.csv, examiner.png and plan.json.
The same command goes on where an interrupted one stopped, at the last finished round.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, final

from cyclopts import Parameter

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count, Names, Numbers
from baselines.commands.train_agent import HeldOutOptions


@final
@dataclass(frozen=True, kw_only=True)
class TrainExaminerOptions(HeldOutOptions):
    algorithm: Literal["ppo", "sac"] = "ppo"
    seeds: Numbers = (0, 1, 2, 3, 4)
    """one agent a seed; point methods run with the same"""
    steps: Count = 300_000
    """of training an agent, all environments together; each is a query"""
    rounds: Count = 10
    """of training; each ends with a checkpoint"""
    environments: Count = 128
    """asked at once"""
    methods: Annotated[
        Names, Parameter(group=shared.METHOD, help="point methods, of the whole space; NAME:SETTING=VALUE")
    ] = ("bayesian_attack", "random_attack")
    budget: shared.Budget = 30
    level: Annotated[float, Parameter(group=shared.QUESTION, help="unit score below which a view fails")] = 0.5
    imports: shared.Imports = ()
    out: shared.Out = "results/examiner"
    dry_run: shared.DryRun = False


main = Command(TrainExaminerOptions, after_interrupt="finished rounds are kept; run the same command to go on")
