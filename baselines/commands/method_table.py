"""The method table (paper's Table 2) by counting: what each method asks a step and in all, and its hyperparameters.

Examples:
  semrob method_table
  semrob method_table --methods naive,oir_b,oir_w,grid:lines=3 --parameters 1-6
  semrob method_table --methods naive,mine --import my_module

Every number is the oracle's count after a run on a synthetic function of n parameters: means over ten steps for the
columns by n, and totals at n = 2. Methods with a paper's form are counted in it, for --steps steps in all (600 in the
paper's runs); the total at the defaults is that of the normalized form, to its end or for as many steps. Growth is
fitted to the counts a step. A dash: the method does not run at this n; the reason is in the file.

Written to --out: methods.md, methods.csv (a line for every method and n), hyperparameters.csv, methods.png.
"""

from dataclasses import dataclass
from typing import Annotated, final

from cyclopts import Parameter

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count, Counts, Names

PAPER_N = 2
"""Parameters in the paper's tables."""


@final
@dataclass(frozen=True, kw_only=True)
class MethodTableOptions:
    methods: Annotated[
        Names,
        Parameter(group=shared.METHOD, help="comma separated, NAME or NAME:SETTING=VALUE:...; none: all registered"),
    ] = ()
    imports: shared.Imports = ()
    parameters: Counts = tuple(range(1, 11))
    """numbers of parameters"""
    steps: Annotated[Count, Parameter(help=f"steps of the total at n = {PAPER_N}")] = 600
    out: shared.Out = "results/methods"


main = Command(MethodTableOptions)
