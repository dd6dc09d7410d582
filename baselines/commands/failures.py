"""Which views of a shape fail: finds, ranks and exports them, and certifies regions in which most views fail.

Examples:
  semrob failures cup:3
  semrob failures meshes/ --class cup --params azimuth,elevation,distance --budget 200
  semrob failures cup:0 chair:0 --networks before=efficientnet_lite0,after=efficientnet_lite1
  semrob failures cup:3 --search viewfool --count 12
  semrob failures cup:3 --search pgd+differences:radius=0.1 --regions 0
  semrob failures --classes cup,chair --shapes 0-4 --dry-run
  semrob failures --classes cup,chair --shapes 0-4 --workers 2      shapes beside each other, the same bytes

A view fails where the network answers another class: --score margin, the default here, has unit score 0.5 at that
boundary. With --score softmax, which is what a registered network wants whose factory takes no score, a view fails
below a softmax of --level, whatever the first answer is. Start points are chosen by the search.

--search is a point method and, after colons, its settings. surrogate_attack (ours) looks for many failures that are
unlike each other, by evenly spread views and a Gaussian process; random_attack, grid_attack, bayesian_attack (Optuna),
nevergrad_attack and viewfool (an evolution strategy) search the whole space for low scores; fgsm and pgd follow
gradients from many start points, "+differences" after the name estimates these from values, billed as such. Most views
that one finds may be neighbors: shown are those that differ by 15 % of a range or more, the worst first. What share
of the asked views fails is no rate of failing views, for a search looks where it expects them.

A failing region is found by box_quadrature on low + high - f, with at most --region-budget queries from a failing view,
and shrunk until --certificate-points independent views a box show, with --confidence, that at least --reliability of
its views fail. All queries are counted and told: of the search, the regions and the certificates.

Written to --out: failures.png (contact sheet; more shapes go on in failures_2.png), failures.md, failures.csv (a
failing view a line: parameters by name, score, first three answers, picture), regions.csv, failures.json (all of it,
with settings and bills), images/ and answers.sqlite, from which a command that was interrupted goes on.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, final

from cyclopts import Parameter

from baselines.commands.program import KEPT_TEXT, Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count
from baselines.experiments.failures import FAILING, REGION_BUDGET, SEARCH
from semrob_env.metrics.certificates import CONFIDENCE
from semrob_env.metrics.shrink import SHRINK_POINTS
from semrob_env.metrics.survey import RIGHT


@final
@dataclass(frozen=True, kw_only=True)
class FailuresOptions(shared.ShapeOptions, shared.LookOptions, shared.Networks, shared.WorkersOptions):
    numbers: shared.ObjectNumbers = (0,)
    params: shared.Params = "azimuth,elevation"
    score: Annotated[
        Literal["softmax", "margin", "top1"],
        Parameter(group=shared.NETWORK, help="what a score is; margin: a view fails where another class is answered"),
    ] = "margin"
    search: Annotated[
        str, Parameter(group=shared.METHOD, help="NAME, NAME+differences, and :SETTING=VALUE after it")
    ] = SEARCH
    imports: shared.Imports = ()
    budget: Count = 100
    """most queries of the search for each shape"""
    level: Annotated[float, Parameter(group=shared.QUESTION, help="unit score below which a view fails")] = RIGHT
    count: Count = 6
    """failing views shown of each shape, unlike each other"""
    regions: Annotated[int, Parameter(group=shared.QUESTION, help="failing regions of each shape; 0: none")] = 1
    region_budget: Count = REGION_BUDGET
    """most queries of the search for one region"""
    reliability: Annotated[float, Parameter(group=shared.QUESTION, help="share of its views that fail")] = (
        FAILING.reliability
    )
    certificate_points: Annotated[
        int, Parameter(group=shared.QUESTION, help="independent views of each box that is tried; 0: none")
    ] = SHRINK_POINTS
    confidence: shared.Confidence = CONFIDENCE
    seed: shared.Seed = 0
    out: shared.Out = "results/failures"
    resume: shared.Resume = True
    dry_run: shared.DryRun = False


main = Command(FailuresOptions, after_interrupt=KEPT_TEXT)
