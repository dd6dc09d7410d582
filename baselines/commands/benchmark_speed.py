"""Measure each stage of the live score function, and f itself, as ratios taken side by side in one run.

Examples:
  semrob benchmark_speed
  semrob benchmark_speed FOLDER --gradients --params paper6
  semrob benchmark_speed --overhead
  semrob benchmark_speed --surfaces

For every shape: milliseconds a view of the renderer, of the classifier alone (on pictures drawn before) and of
f = render + classify, in batches of 32 views; then the throughput of f over that of the classifier alone. Times vary
between machines and runs, ratios much less: each is the median over repeats in which both sides are timed in turn.
--gradients adds the derivative pictures, the classifier's gradient and values with gradients, each as a multiple
of its plain counterpart, and torch beside OpenVINO.

--surfaces times bumpy balls of 5,000 and of 20,000 faces that are made here, each white and flat, and textured and
smooth, in processor time of all threads, so that other programs count little: what a textured view costs of a flat one
(goal: 1.5), and the throughput of f over that of the classifier alone (goal: 0.85). Nothing else is timed then.

The last table, with --overhead the only one, is what a step of every registered method takes besides f, at n = 2: the
optimizer alone (ask and tell), and with the oracle, for one trajectory and for 64. Methods take turns, so all medians
are of one run; the goal for the paper's methods is 0.2 ms.
"""

from dataclasses import dataclass
from typing import final

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Repeats


@final
@dataclass(frozen=True, kw_only=True)
class BenchmarkSpeedOptions(shared.ShapeOptions, shared.LookOptions, shared.Networks):
    numbers: shared.ObjectNumbers = (0, 1)
    params: shared.Params = "azimuth,elevation"
    repeats: Repeats = 7
    """repeats that medians are taken over"""
    gradients: bool = False
    """time derivatives and gradients as well"""
    overhead: bool = False
    """only the overhead of oracle and optimizers"""
    surfaces: bool = False
    """only textured and smooth meshes beside flat ones"""
    imports: shared.Imports = ()
    seed: shared.Seed = 0
    out: shared.Out = "results/speed"


main = Command(BenchmarkSpeedOptions)
