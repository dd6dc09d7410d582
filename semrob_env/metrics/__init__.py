"""Metrics: judging regions on held-out points, certificates, SRVR tables with intervals, regret of known answers."""

from semrob_env.metrics.bootstrap import ClusterMeans, cluster_means, cluster_weights, percentile_ends
from semrob_env.metrics.certificates import Certificate, certify, certify_by_points, goal_bounds
from semrob_env.metrics.judge import Judge, Judgement, judge_regions
from semrob_env.metrics.measures import Measures
from semrob_env.metrics.regret import regret, regrets
from semrob_env.metrics.shrink import Shrunk, shrink
from semrob_env.metrics.srvr import RegionRecords, SrvrRow, paired_difference, srvr

__all__ = [
    "Certificate",
    "ClusterMeans",
    "Judge",
    "Judgement",
    "Measures",
    "RegionRecords",
    "Shrunk",
    "SrvrRow",
    "certify",
    "certify_by_points",
    "cluster_means",
    "cluster_weights",
    "goal_bounds",
    "judge_regions",
    "paired_difference",
    "percentile_ends",
    "regret",
    "regrets",
    "shrink",
    "srvr",
]
