"""Evaluation: how robust a network is on your meshes, where it fails, what is certified; a report, files and a gate.

Examples:
  semrob evaluate meshes/ --class cup --networks mine=file:model.onnx
  semrob evaluate cup:3 chair:0 --params azimuth,elevation,distance,light_azimuth
  semrob evaluate meshes/ --goal reliability=0.9 --starts 3 --budget 300
  semrob evaluate meshes/ --networks efficientnet_lite0@epoch_9.pth --fail-below 0.3
  semrob evaluate meshes/ --fail-below 0.1 --fail-on certified_worst_region
  semrob evaluate meshes/ --dry-run               what would be asked of each shape

Per shape and over all: how many of --survey-points independent views of the whole space are right (the class is the
first answer), with the exact 95 % interval; the views that fail worst, unlike each other, with what was predicted
instead; the largest robust region around the views of the survey that score best with their neighbors, and the
largest failing one around the view that fails with most around it, by box_quadrature; of each the largest box that is
certified, by fresh points that no method has seen; which parameter ends the region first, and the total effect of
each on the score; and f over each pair of parameters.

--score margin is the default here: a unit score of 0.5 is then exactly where the class becomes the first answer, so
that right means one thing in rates and in regions. Without a SOURCE, shapes are those of srvr_table.

--fail-below F ends with exit code 1 and one line if a certified figure (--fail-on) is below F; 2 stays for bad input.
  certified_top1          lower end of the interval of the share of right views, over all shapes
  certified_worst_top1    the same of the shape where it is lowest
  certified_region        share of the space of the largest certified robust region, mean over the shapes
  certified_worst_region  the same of the shape where it is smallest

Written to --out: report.html (one file, offline), report.json (schema 1: report.schema.json), shapes.csv, failures.csv,
regions.csv, failures.png, rates.png, reach.png, pictures/ (one PNG a failing view, named in failures.csv), runs.sqlite
and answers.sqlite (what was asked). The same command goes on where an interrupted one stopped; a finished one only
writes its report again.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, final

from cyclopts import Parameter

from baselines.commands.program import KEPT_TEXT, Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import GoalValue, by, count
from semrob_env.questions import GOAL_EXAMPLES, Goal, ReliabilityGoal

ROBUST: Goal = ReliabilityGoal()


@final
@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(shared.ShapeOptions, shared.LookOptions, shared.Networks, shared.WorkersOptions):
    numbers: shared.ObjectNumbers = ()
    networks: shared.OneNetwork = ("efficientnet_lite0",)
    score: Annotated[
        Literal["softmax", "margin", "top1"],
        Parameter(
            group=shared.NETWORK, help="what a score is; margin, top1: 0.5 is where the class is the first answer"
        ),
    ] = "margin"
    params: shared.Params = "azimuth,elevation"
    goal: Annotated[
        GoalValue, Parameter(group=shared.QUESTION, help=f"what makes a region robust: {GOAL_EXAMPLES}")
    ] = ROBUST
    starts: Annotated[
        int,
        by(count, "N"),
        Parameter(group=shared.QUESTION, help="start points of each shape: the best views of its survey"),
    ] = 1
    budget: shared.Budget = 100
    survey_points: Annotated[
        int, by(count, "N"), Parameter(group=shared.QUESTION, help="independent views of each shape")
    ] = 256
    judge_points: shared.JudgePoints = 32
    certificate_points: Annotated[
        int,
        Parameter(
            group=shared.QUESTION, help="independent points of each box that is tried for a certificate; 0: none"
        ),
    ] = 128
    effect_points: Annotated[
        int, Parameter(group=shared.QUESTION, help="views of which each parameter is changed once; 0: none")
    ] = 32
    failures: Annotated[
        int, by(count, "N"), Parameter(group=shared.QUESTION, help="most failing views that are told of each shape")
    ] = 6
    confidence: shared.Confidence = 0.95
    together: shared.Together = False
    imports: shared.Imports = ()
    seed: shared.Seed = 0
    fail_below: Annotated[
        float | None, Parameter(group=shared.RUN, help="end with exit code 1 if the figure of --fail-on is below")
    ] = None
    fail_on: Annotated[
        Literal["certified_top1", "certified_worst_top1", "certified_region", "certified_worst_region"],
        Parameter(group=shared.RUN, help="which certified figure --fail-below asks"),
    ] = "certified_top1"
    out: shared.Out = "results/evaluate"
    dry_run: shared.DryRun = False


main = Command(EvaluateOptions, after_interrupt=KEPT_TEXT)
