"""Which gradient of f tells where f goes, over which distance, and which one finds better regions per query?

Examples:
  semrob gradient_study --dry-run            what it would ask
  semrob gradient_study                      ten shapes, one a class
  semrob gradient_study cup:0 chair:3 --points 24 --emphasis 0.5
  semrob gradient_study --workers 2          shapes beside each other, the same bytes

The kinds of gradients:
  exact           the renderer's derivative times the classifier's: the slope of the picture formula
  smooth picture  the same of a supersampled and blurred picture (gradient_supersample, gradient_blur in an id)
  mean R deg      the mean of exact gradients over theta and neighbors within R degrees (NeighborhoodGradients)
  difference H    central differences over +-H degrees (FiniteDifferences)

Prediction: at random points, theta moves by some degrees along azimuth or elevation; the change of f is compared with
gradient times move by their correlation over the points of one shape. Regions: OIR_W with each kind of gradient and
the same budget, judged on held-out points. A value costs 1 and a gradient 1: an exact gradient with its value 2, a mean
over m neighbors 2 + 2m, a difference 1 + 2n.

Written to --out: prediction.csv, regions.csv, gradient_study.md and gradient_study.png.
"""

from dataclasses import dataclass
from typing import final

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count, Reals


@final
@dataclass(frozen=True, kw_only=True)
class GradientStudyOptions(shared.ShapeOptions, shared.LookOptions, shared.Networks, shared.WorkersOptions):
    networks: shared.OneNetwork = ("efficientnet_lite0",)
    numbers: shared.ObjectNumbers = (0,)
    starts: shared.Starts = shared.PAPER
    points: Count = 16
    """random points a shape"""
    budget: Count = 150
    """most queries a run, forward + gradient"""
    emphasis: Reals = (0.0009, 0.5)
    """emphasis factors beta of OIR_W"""
    goal: shared.GoalOption = shared.DEFAULT_GOAL
    judge_points: shared.JudgePoints = 32
    imports: shared.Imports = ()
    seed: shared.Seed = 0
    out: shared.Out = "results/gradients"
    dry_run: shared.DryRun = False


main = Command(GradientStudyOptions)
