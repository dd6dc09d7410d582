"""Tables from the rows of a run store, and from recorded runs beside them."""

from semrob_env.tables.accuracy import AccuracyTable
from semrob_env.tables.regions import Convergence, RegionSet, convergence, diverged, method_difference, overlaps
from semrob_env.tables.release import RECORDED, RELEASED, REPLAY, ReleaseReport
from semrob_env.tables.srvr import ALL, SrvrTable, Subject, group, region_records, srvr_text

__all__ = [
    "ALL",
    "RECORDED",
    "RELEASED",
    "REPLAY",
    "AccuracyTable",
    "Convergence",
    "RegionSet",
    "ReleaseReport",
    "SrvrTable",
    "Subject",
    "convergence",
    "diverged",
    "group",
    "method_difference",
    "overlaps",
    "region_records",
    "srvr_text",
]
