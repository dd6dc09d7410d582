"""Metrics: judging regions on held-out points, and SRVR tables with intervals."""

from semrob_env.metrics.judge import Judge, Judgement, Thresholds, judge_regions
from semrob_env.metrics.srvr import RegionRecords, SrvrRow, paired_difference, srvr

__all__ = [
    "Judge",
    "Judgement",
    "RegionRecords",
    "SrvrRow",
    "Thresholds",
    "judge_regions",
    "paired_difference",
    "srvr",
]
