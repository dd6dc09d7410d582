"""SRVR table: how much of the viewpoint space around each start point a network is robust in, by counted queries.

Examples:
  semrob srvr_table                               the default table, at most 40 queries a run
  semrob srvr_table --dry-run                     what would run, its queries and estimated time
  semrob srvr_table --classes cup,chair --shapes 0-4 --methods naive,oir_b,oir_w,grid --budget 300
  semrob srvr_table my_meshes/ --class cup --params azimuth,elevation,distance --goal mean=0.6
  semrob srvr_table --certificate-points 512 --together
  semrob srvr_table --protocol paper --shapes 0   the paper's exact updates, 600 steps
  semrob srvr_table --functions recorded --protocol paper --out results/srvr_recorded
  semrob srvr_table --networks AlexNet,ResNet-50,timm/convnext_tiny --score margin
  semrob srvr_table --networks before=efficientnet_lite0@epoch_1.pth,after=efficientnet_lite0@epoch_9.pth
  semrob srvr_table --networks mine=file:mine.onnx --labels names.txt

SRVR of a network for a class is the mean over shapes and start points of Vol(region) / Vol(space), over every returned
region cut to the space (Hamdi & Ghanem 2020, arXiv 1904.04621). "feasible only" counts a region as 0 unless it meets
the goal: exactly where the function knows its integrals, as recorded maps do, else judged on held-out points that no
method paid for. "certified only" counts it only if it surely does, by bounds from independent points that nobody has
seen. The 95 % intervals speak of other shapes, with the same start points: they need two shapes, and are wide for few.

Without a SOURCE, shapes are procedural: by default objects 0 and 3 of cup, chair, bottle and piano. --functions
recorded replays on a file of maps (semrob import_recorded, semrob semantic_map): all of it, or the --networks,
--classes and --shapes given. Networks whose accuracy is published get a table and a picture of it beside their SRVR,
and how far the ranks agree.

On scenes the answer comes first: by box_quadrature (or any method that answers all levels from the same queries), the
robustness profile of each network, and in words how many views are right and where they fail, by a survey of
--survey-points independent views of each function. A region at a level is certified by those that fall into it. The
paper's methods stand beside it. Without --starts there are two of the paper's start points; --starts highest looks for
the best of 64 views of each function. With more than two parameters: which of them ends a region first, which have no
effect.

With --adversarial, a region is one in which the network is wrong, around start points where it is most wrong.

Written to --out: srvr.md, srvr.csv, srvr.png, accuracy.png, profiles.csv and .png, views.png (right views along each
parameter), reach.png (n > 2), runs.csv with one row a run, runs.sqlite with its trace, answers.sqlite (kept surveys).
The same command goes on where an interrupted one stopped; a finished one only draws its tables again.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, final

from cyclopts import Parameter

from baselines.commands.program import KEPT_TEXT, Command
from baselines.commands.shared import options as shared
from semrob_env.recorded.function import DEFAULT_FILE


@final
@dataclass(frozen=True, kw_only=True)
class SrvrTableOptions(
    shared.ShapeOptions, shared.LookOptions, shared.Networks, shared.ViewOptions, shared.Asked, shared.WorkersOptions
):
    functions: Literal["scenes", "recorded"] = "scenes"
    """rendered scenes, or a file of maps"""
    numbers: shared.ObjectNumbers = ()
    networks: shared.NetworkNames = ()
    maps: shared.Maps = DEFAULT_FILE
    methods: shared.Methods = ()
    form: Annotated[
        Literal["normalized", "paper"],
        Parameter(
            name=("--protocol", "--form"),
            group=shared.METHOD,
            help="paper: the exact form, 600 steps, no budget; tells its cost first",
        ),
    ] = "normalized"
    levels: shared.Levels = ()
    judge_points: shared.JudgePoints = 16
    certificate_points: shared.CertificatePoints = 24
    survey_points: Annotated[
        int,
        Parameter(group=shared.QUESTION, help="independent views of each function, for words and profiles; 0: none"),
    ] = 64
    frozen: Annotated[
        bool,
        Parameter(
            group=shared.QUESTION,
            negative="",
            help="ask again, once a parameter, with it frozen at its start value: what that wins, told apart",
        ),
    ] = False
    out: shared.Out = "results/srvr"
    resume: shared.Resume = True
    dry_run: shared.DryRun = False
    usual_budget: ClassVar[int] = 100


main = Command(SrvrTableOptions, after_interrupt=KEPT_TEXT)
