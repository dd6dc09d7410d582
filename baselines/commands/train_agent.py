"""Train agents to grow regions, and see what they find on networks and shapes that they never met.

Examples:
  semrob train_agent --function "recorded:*" --test-networks Inceptionv3 --test-shapes 3
  semrob train_agent --function "recorded:*" --test-networks Inceptionv3 --test-shapes 3 --algorithms ppo,sac
  semrob train_agent --function "synthetic:hill?n=2&seed=0 + synthetic:hill?n=2&seed=1" --test-members 1
  semrob train_agent --function "recorded:*" --test-shapes 3 --dry-run
  semrob compare_methods --suite recorded --methods oir_b,reinforcement:policy=results/agents/ppo/seed_0

--function names a family: recorded maps, or functions joined by " + ". Members to train on and to test on are split by
what their ids name (--test-networks, --test-classes, --test-shapes: a test member has a held-out part of every kind
given, a train member of none), or by number (--test-members).

Agents are trained by PPO and SAC of stable-baselines3 (pip install semrob[agents]) on semrob/RegionGrow-v0, each with a
seed, and saved as agent.json and policy.pt: the method `reinforcement` plays them with policy=FOLDER. They are compared
by the feasible volume of the region they end with: its share of the space if it meets the goal, else 0; exactly where
the truth is known, else judged on held-out points that nobody paid for. Beside them, at the same budget: a random
policy, and other --methods. Nothing is chosen by what the test members tell: each agent is the one of its last round.

Written to --out: ALGORITHM/seed_N with the agent and its curve, training.md, training.csv, curves.csv, learning.png and
plan.json. The same command goes on where an interrupted one stopped, at the last finished round.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, final

from cyclopts import Parameter

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count, Names, Numbers, OptionalCount

STEPS = {"ppo": 1_000_000, "sac": 120_000}
"""Default steps of training: SAC learns from each several times."""


@dataclass(frozen=True, kw_only=True)
class HeldOutOptions:
    function: str = "recorded:*"
    """id of a family of functions"""
    test_networks: Names = ()
    """held out"""
    test_classes: Names = ()
    """held out"""
    test_shapes: Numbers = ()
    """object numbers held out in every class"""
    test_members: Numbers = ()
    """numbers of members held out, in place of the three above"""


@final
@dataclass(frozen=True, kw_only=True)
class TrainAgentOptions(HeldOutOptions):
    algorithms: Annotated[Names, Parameter(help=f"of {', '.join(STEPS)}")] = ("ppo",)
    seeds: Numbers = (0, 1, 2, 3, 4)
    """one agent of each algorithm a seed"""
    steps: Annotated[
        OptionalCount,
        Parameter(help=f"of training an agent, all environments together; none: {STEPS['ppo']}, sac {STEPS['sac']}"),
    ] = None
    rounds: Count = 15
    """of training; each ends with a checkpoint"""
    environments: Count = 256
    """asked at once"""
    largest_step: float = 0.1
    """share of its range that a bound moves at most"""
    start: Literal["paper", "random"] = "paper"
    """where episodes begin, in the test as well"""
    episodes: Count = 4
    """runs of each agent and seed on each test question"""
    goal: shared.GoalOption = shared.DEFAULT_GOAL
    budget: shared.Budget = 200
    judge_points: shared.JudgePoints = 256
    methods: shared.MethodsOrNone = ("oir_b",)
    imports: shared.Imports = ()
    out: shared.Out = "results/agents"
    dry_run: shared.DryRun = False


main = Command(TrainAgentOptions, after_interrupt="finished rounds are kept; run the same command to go on")
