"""How much do the paper's methods depend on eta, lambda, alpha and beta, and which defaults follow from that?

Examples:
  semrob sensitivity
  semrob sensitivity --networks ResNet50 --shapes 0-1 --budgets 150,600 --methods naive,oir_b
  semrob sensitivity --form paper --eta 0.03,0.1,0.3,1 --budgets 2400,4800
  semrob sensitivity --suite synthetic --parameters 2,4 --goal mean=0.5

Each method runs with every step size together with every value of each of its other letters, on recorded maps, or on
synthetic functions where there is no file of maps. What is told is the mean over questions (function, start point,
goal) of the feasible volume over that of the exact optimum, infeasible regions counting 0.

Two rules of thumb of the paper are marked: a side moves about 0.001 of the range a step at score 1 (eta), and alpha is
about one over the samples a dimension needs; these are measured on lines through the start points.

Written to --out: sensitivity.md, sensitivity.csv (a line for every setting, budget and goal), sensitivity.png,
runs.sqlite and answers.sqlite. The same command goes on where an interrupted one stopped.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, final

from cyclopts import Parameter

from baselines.commands.program import KEPT_TEXT, Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Counts, Names, Numbers, Reals
from semrob_env.recorded.function import DEFAULT_FILE


@final
@dataclass(frozen=True, kw_only=True)
class SensitivityOptions(shared.WorkersOptions):
    suite: Literal["recorded", "synthetic"] | None = None
    """default: recorded, if the file is there"""
    maps: shared.Maps = DEFAULT_FILE
    networks: Names = ()
    """recorded: all by default"""
    classes: Names = ()
    """recorded: all by default"""
    shapes: Numbers = (0, 1)
    """recorded: object numbers"""
    parameters: Counts = (2,)
    """synthetic: numbers of parameters"""
    methods: shared.Methods = ("naive", "oir_b", "oir_w")
    form: shared.Form = "normalized"
    imports: shared.Imports = ()
    eta: Reals = (0.01, 0.03, 0.1, 0.2, 0.5, 1, 2, 4)
    """values besides its default"""
    lambda_: Annotated[Reals, Parameter(name="--lambda")] = (0, 0.03, 0.2, 0.3, 0.5)
    """values besides its default"""
    alpha: Reals = (0.0125, 0.1, 0.2, 0.4, 0.8)
    """values besides its default"""
    beta: Reals = (0, 0.01, 0.1, 0.5, 1, 1.5)
    """values besides its default"""
    goals: shared.Goals = shared.THREE_GOALS
    budgets: Counts = (150, 600, 2400)
    """most queries a run, a run for each"""
    gradient_cost: shared.GradientCost = 1.0
    out: shared.Out = "results/sensitivity"
    dry_run: shared.DryRun = False


main = Command(SensitivityOptions, after_interrupt=KEPT_TEXT)
