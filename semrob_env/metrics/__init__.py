"""Metrics: judging regions on held-out points, SRVR tables with intervals, and regret against known answers."""

from semrob_env.metrics.bootstrap import ClusterMeans, cluster_means, cluster_weights, percentile_ends
from semrob_env.metrics.judge import Judge, Judgement, judge_regions
from semrob_env.metrics.measures import Measures
from semrob_env.metrics.regret import regret, regrets
from semrob_env.metrics.srvr import RegionRecords, SrvrRow, paired_difference, srvr

__all__ = [
    "ClusterMeans",
    "Judge",
    "Judgement",
    "Measures",
    "RegionRecords",
    "SrvrRow",
    "cluster_means",
    "cluster_weights",
    "judge_regions",
    "paired_difference",
    "percentile_ends",
    "regret",
    "regrets",
    "srvr",
]
