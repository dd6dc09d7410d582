"""Tables of a whole run store: SRVR and bills of all that is in it, by goal, budget, method, network and class.

Examples:
  semrob store_table results/srvr/runs.sqlite
  semrob store_table results/*/runs.sqlite --out results/all

Every command that runs questions keeps its runs in such a file. Nothing runs again, and no network is loaded: a million
runs take seconds. Runs that were asked otherwise (goal, budget, hyperparameters, parameters of the space) stand in
lines of their own; start points and seeds of a shape are averaged first, and 95 % intervals speak of other shapes. Runs
of older versions of a method are left out, and counted.

Written to --out: store.md, store.csv (full precision).
"""

from dataclasses import dataclass
from typing import final

from baselines.commands.program import Command
from baselines.commands.shared import options as shared


@final
@dataclass(frozen=True, kw_only=True)
class StoreTableOptions:
    sources: shared.Sources = ()
    out: shared.Out = "results/store"
    seed: shared.Seed = 0


main = Command(StoreTableOptions)
