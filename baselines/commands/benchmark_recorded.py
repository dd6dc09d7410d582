"""Measure replays on recorded maps against a plain loop that asks one corner at a time, and queries through the oracle.

Examples:
  semrob benchmark_recorded
  semrob benchmark_recorded --maps maps.npz --shapes 40 --reference-runs 32

Replays: networks x shapes x 4 start points x 600 steps of a method in the paper's form, all in one batch through the
oracle (maps are taken again where a file holds fewer shapes). The reference does the same with plain NumPy from the
formulas of the method, one corner after the other, without an oracle, on a part of the same runs: its time is told per
query, and both must end with the same regions. Every number is the median of --repeats, both sides in turn.
"""

from dataclasses import dataclass
from typing import Annotated, final

from cyclopts import Parameter

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count, Names, Repeats
from semrob_env.recorded.function import DEFAULT_FILE

KNOWN = ("naive", "oir_b")
"""Methods that have a plain loop."""


@final
@dataclass(frozen=True, kw_only=True)
class BenchmarkRecordedOptions:
    maps: shared.Maps = DEFAULT_FILE
    methods: Annotated[Names, Parameter(help=f"comma separated; of {', '.join(KNOWN)}")] = KNOWN
    shapes: Count = 100
    """shapes of each network"""
    reference_runs: Count = 8
    """runs that the plain loop does"""
    repeats: Repeats = 5
    """repeats that medians are taken over"""
    out: shared.Out = "results/recorded_speed"


main = Command(BenchmarkRecordedOptions)
