"""Replay the paper's methods on the recorded maps, beside the regions that its authors recorded: tables and pictures.

Examples:
  semrob import_recorded RELEASE_DIR && semrob recorded_report
  semrob recorded_report --maps maps.npz --traces none --out results/report

Replays use the paper's exact updates and hyperparameters, 600 steps, on maps interpolated between their grid points.
What the released code did otherwise is switched on and off, where that can be replayed: bounds that leave the space and
are cut at the end only, a "gradient" through a cross-entropy on top of the softmax, and the number of steps. Its
un-normalized pictures are in the recorded scores; `semrob srvr_table --unnormalized` shows what they change, live.

The robustness profiles of the networks stand beside them: the largest region by the level that is asked, exact, and
the paper's headline claim told level by level. The 160 maps of 4 shapes take 1.5 minutes of one core. `--queries 150`
adds what box_quadrature finds with at most so many queries: one run for each of two goals, map and start point answers
all levels, 1280 runs of 1 to 2 s each, some 15 minutes on two cores (`--workers 2`).

Written to --out: report.md, report.csv (one line a network, method and kind of region), profiles.csv (one a goal,
network and level), profiles.png, srvr.png, overlap.png, bounds.png (recorded bounds over the steps with the replayed
ones) and runs.sqlite. The same command goes on where an interrupted one stopped.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, final

from cyclopts import Parameter

from baselines.commands.program import KEPT_TEXT, Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import OptionalCount, Reals
from semrob_env.metrics.profiles import LEVELS
from semrob_env.recorded.function import DEFAULT_FILE

NO_TRACES = "none"


@final
@dataclass(frozen=True, kw_only=True)
class RecordedReportOptions(shared.WorkersOptions):
    maps: shared.Maps = DEFAULT_FILE
    traces: Annotated[str, Parameter(help=f"file of the recorded runs, or {NO_TRACES}")] = str(
        Path(DEFAULT_FILE).with_name("traces.npz")
    )
    goal: shared.GoalOption = shared.DEFAULT_GOAL
    levels: Annotated[Reals, Parameter(help="levels of the profiles, rising")] = LEVELS
    queries: Annotated[OptionalCount, Parameter(help="most queries of box_quadrature a profile; none: exact only")] = (
        None
    )
    seed: shared.Seed = 0
    out: shared.Out = "results/recorded_report"


main = Command(RecordedReportOptions, after_interrupt=KEPT_TEXT)
