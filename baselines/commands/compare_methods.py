"""Compare methods by their queries: how good is the region that each recommends, after how many?

Examples:
  semrob compare_methods --suite recorded --methods naive,oir_b,oir_w --shapes 2-3
  semrob compare_methods --suite synthetic --parameters 2,4 --methods naive,random_search --seeds 0-4
  semrob compare_methods --suite live --methods naive,oir_b --budgets 40,150 --goal mean=0.5,variance=0.05
  semrob compare_methods --suite recorded --methods naive,mine --import my_module
  semrob compare_methods --suite recorded --methods nevergrad:algorithm=DE,nevergrad:algorithm=CMA
  semrob compare_methods --protocol results/comparison/protocol.json --out again
  semrob compare_methods --protocol recorded --dry-run
  semrob compare_methods --protocol recorded --rows published
  semrob compare_methods --suite synthetic --parameters 2 --methods naive,grid --export ioh FOLDER
  semrob compare_methods --protocol failures
  semrob compare_methods --suite live --measure failures --methods random_attack,viewfool --goal mean=0.5 --budgets 60

--protocol takes a file, or the name of a published comparison (baselines/experiments/published); --freeze FILE writes a
protocol without running it, and with --protocol that one for the versions of methods and maps that are here.

--rows runs.csv, with the --protocol it is of, prints the tables again without maps, networks or runs.

--export ioh FOLDER also writes every run in the format of IOHprofiler, for iohinspector and IOHanalyzer; curves.csv has
the same as one long table, a row a checkpoint (its columns: baselines/experiments/ioh.py).

With --measure failures, point attacks are compared: how many failing views near a start point that is right (score at
least that of the goal), for how many queries, how far away, and how many of them are unlike each other. "+differences"
after a method that uses gradients estimates them from values. --protocol failures is the published one, on five shapes.

--import MODULE imports a module (of the current folder, too) that registers an optimizer; from Python, register it and
call baselines.commands.compare_methods.main(["--suite", "recorded", "--methods", "naive,mine"]).

Suites: maps of a file (recorded), formulas with known answers (synthetic), rendered scenes (live), and their
complements (failing), whose regions are those of failures. Each asks for the
largest region around a start point that meets each --goal. What is about the question (goal, budget) is no setting of a
method: it is told.

Written to --out: protocol.json (a frozen description: --protocol FILE repeats it), comparison.md, comparison.csv,
runs.csv, curves.csv, medians.png, profiles.png, runs.sqlite and answers.sqlite. The formats are described in
baselines/experiments.
The same command goes on where an interrupted one stopped.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, final

from cyclopts import Parameter

from baselines.commands.program import KEPT_TEXT, Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Counts, Names, Numbers, Reals
from baselines.experiments.protocols import published_protocols
from optimizers.registry import OPTIMIZERS
from semrob_env.metrics.certificates import CERTIFICATE_POINTS, CONFIDENCE
from semrob_env.recorded.function import DEFAULT_FILE


@final
@dataclass(frozen=True, kw_only=True)
class CompareMethodsOptions(shared.WorkersOptions):
    protocol: Annotated[
        str,
        Parameter(
            help=f"repeat a frozen comparison, with its own options but for --maps, --workers and --out: a file, or "
            f"{', '.join(published_protocols())}"
        ),
    ] = ""
    suite: Literal["recorded", "synthetic", "live", "failing"] | None = None
    """make a new one"""
    networks: Names = ()
    """recorded, live; recorded: all by default"""
    classes: Names = ()
    """recorded, live; recorded: all by default"""
    shapes: Numbers = ()
    """recorded, live: object numbers; recorded: all by default"""
    families: Names = ()
    """synthetic"""
    parameters: Counts = ()
    """synthetic: numbers of parameters"""
    instances: Numbers = ()
    """synthetic: seeds of the functions"""
    maps: shared.Maps = DEFAULT_FILE
    measure: Literal["regions", "failures"] = "regions"
    """regions around start points, or failing views found near them"""
    methods: Annotated[
        Names,
        Parameter(
            group=shared.METHOD,
            help="NAME or NAME:SETTING=VALUE:..., or all for every one of regions; known: " + ", ".join(OPTIMIZERS),
        ),
    ] = ("naive", "oir_b", "oir_w")
    imports: shared.Imports = ()
    goals: shared.Goals = shared.THREE_GOALS
    budgets: Counts = (40, 72, 150, 600)
    """most queries a run, a run for each"""
    seeds: Numbers = (0,)
    """of methods that draw something"""
    gradient_cost: shared.GradientCost = 1.0
    targets: Reals = (0.5, 0.8, 0.9)
    """shares of the optimum"""
    judge_points: shared.JudgePoints = 256
    judge_map_step: Annotated[float, Parameter(group=shared.QUESTION)] = 0.0
    """live: a map of each function with a line every so many degrees judges regions, not points; 0: points do"""
    certificate_points: shared.CertificatePoints = CERTIFICATE_POINTS
    confidence: shared.Confidence = CONFIDENCE
    seed: shared.Seed = 0
    out: shared.Out = "results/comparison"
    rows: str = ""
    """run nothing: the tables of these rows, the runs.csv of a --protocol; "published" for those of a published one"""
    freeze: str = ""
    """write the protocol to this file, by the methods as they are now, and stop"""
    export: tuple[Literal["ioh"], str] | None = None
    """also write this format to this folder: ioh, files of IOHprofiler (baselines/experiments/ioh.py)"""
    dry_run: shared.DryRun = False


main = Command(CompareMethodsOptions, after_interrupt=KEPT_TEXT)
