"""Tables from the rows of a run store, and from recorded runs beside them."""

from semrob_env.tables.regions import RegionSet, convergence, method_difference, overlaps
from semrob_env.tables.srvr import ALL, SrvrTable, Subject, group, region_records, srvr_text

__all__ = [
    "ALL",
    "RegionSet",
    "SrvrTable",
    "Subject",
    "convergence",
    "group",
    "method_difference",
    "overlaps",
    "region_records",
    "srvr_text",
]
