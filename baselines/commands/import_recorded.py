"""Turn the release of the paper's authors, or a part of it, into one file of maps and one of traces.

Examples:
  semrob import_recorded ../shared/recorded
  semrob import_recorded path/to/release --out results/recorded --no-traces

SOURCE is the folder that holds checkpoint/NETWORK/CLASS/OBJECT/{map,optim}.pt (Hamdi & Ghanem 2020, arXiv 1904.04621).
The files are pickles of a stranger: nothing in them is executed, and what is no plain number, text, array or interval
is refused.

Written to --out: maps.npz (what functions recorded:* read), traces.npz (final regions and traces of the authors' runs)
and problems.txt (every file that is missing, damaged or refused, one a line; they are not fatal).
"""

from dataclasses import dataclass
from typing import Annotated, final

from cyclopts import Parameter

from baselines.commands.program import Command
from baselines.commands.shared import options as shared


@final
@dataclass(frozen=True, kw_only=True)
class ImportRecordedOptions:
    sources: shared.Sources = ()
    traces: Annotated[bool, Parameter(negative="--no-traces")] = True
    """also final regions and traces, which takes longer"""
    out: shared.Out = "results/recorded"


main = Command(ImportRecordedOptions)
