"""Attacks on pixels and on colors of faces beside a change of view, and robust regions under pixel noise.

Examples:
  semrob pixel_attacks cup:3
  semrob pixel_attacks procedural --classes cup,chair --shapes 0-4 --views 128 --region-answers 40
  semrob pixel_attacks cup:3 --attacks linf:0.5/255:1,linf:0.5/255:20,l2:0.2:20 --methods none
  semrob pixel_attacks mug.obj --class cup --epsilons 0,0.5,1,2 --steps 10 --methods box_quadrature,oir_b

An attack is NORM:EPSILON:STEPS on the pixels of a picture in [0, 1], or albedo:NORM:EPSILON:STEPS on the colors of the
object's faces, drawn anew at each step; linf bounds each number, l2 the length of the change. One step is FGSM, more
are PGD from the clean picture. It costs STEPS + 1 forward and STEPS gradient queries a view, which the oracle counts.

Success table: independent uniform views of each shape that are right (unit score of at least --level) are attacked,
by each of --attacks; by --semantic, a point method that looks within --radius of the range of each parameter around
the view for a lower score, with --budget queries; and by both: half of that budget for the view, the rest for pixels at
what was found. An attack succeeds where the score falls below --level.

Curve: the score at a view becomes the lowest that PGD with --steps finds within epsilon (linf, --epsilons in 255ths of
the range of a pixel). Shown are the share of right views, and SRVR: regions that --methods grow on that score with
--region-answers answers each, judged and certified on that score as well. All that is asked is told. Attacks are upper
bounds: a stronger one may show smaller regions.

Written to --out: attacks.md, attacks.csv, curve.csv, curve.png, views.png (a view of each shape clean, attacked, and
the difference), regions.csv and runs.sqlite, from which a command that was interrupted goes on.
"""

from dataclasses import dataclass
from typing import Annotated, final

from cyclopts import Parameter

from baselines.commands.program import KEPT_TEXT, Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count, Names, Reals
from semrob_env.metrics.certificates import CERTIFICATE_POINTS
from semrob_env.metrics.survey import RIGHT


@final
@dataclass(frozen=True, kw_only=True)
class PixelAttacksOptions(shared.ShapeOptions, shared.LookOptions, shared.Networks, shared.ViewOptions):
    """Options; the module's docstring is the help."""

    sources: shared.Sources = ("cup:0", "cup:1", "chair:0", "chair:1", "bottle:0", "piano:0")
    numbers: shared.ObjectNumbers = (0, 1)
    attacks: Annotated[Names, Parameter(help="comma separated, [albedo:]NORM:EPSILON:STEPS; norms: linf, l2")] = (
        "linf:0.5/255:1",
        "linf:0.5/255:10",
        "l2:0.3:10",
        "albedo:linf:0.1:10",
    )
    semantic: Annotated[str, Parameter(help="a point method that changes the view")] = "random_attack"
    radius: float = 0.05
    """share of each range that the view may change by"""
    budget: Count = 21
    """queries of the semantic attack on a view, and of both together"""
    views: Count = 64
    """independent uniform views of each shape"""
    level: float = RIGHT
    """unit score from which on a view is right"""
    epsilons: Reals = (0, 0.25, 0.5, 1, 2, 4, 8)
    """of the curve, in 255ths, rising"""
    steps: Count = 5
    """of each attack of the curve"""
    methods: Annotated[
        shared.MethodsOrNone, Parameter(group=shared.METHOD, help="that grow regions of the curve; none: no regions")
    ] = ("box_quadrature",)
    goal: shared.GoalOption = shared.DEFAULT_GOAL
    region_answers: Count = 40
    """most attacked scores that a method asks for one region"""
    judge_points: shared.JudgePoints = 64
    certificate_points: shared.CertificatePoints = CERTIFICATE_POINTS
    confidence: shared.Confidence = 0.95
    imports: shared.Imports = ()
    seed: shared.Seed = 0
    out: shared.Out = "results/attacks"
    dry_run: shared.DryRun = False


main = Command(PixelAttacksOptions, after_interrupt=KEPT_TEXT)
