"""Metrics: regions judged, certificates, surveys, SRVR with intervals, profiles, regret against the best."""

from semrob_env.metrics.bootstrap import ClusterMeans, cluster_means, cluster_weights, percentile_ends
from semrob_env.metrics.certificates import Certificate, certify, certify_by_points, goal_bounds, least_points
from semrob_env.metrics.distinct import distances, distinct
from semrob_env.metrics.judge import Judge, Judgement, judge_regions
from semrob_env.metrics.measures import Measures
from semrob_env.metrics.paired import Flips, PairedViews, in_turn, shapes_needed
from semrob_env.metrics.profiles import (
    Crossing,
    MeanProfile,
    Profile,
    ProfileRecords,
    crossings,
    exact_profile,
    mean_profiles,
    profile_difference,
)
from semrob_env.metrics.reach import Reach, reach
from semrob_env.metrics.regret import regret, regrets
from semrob_env.metrics.shrink import Shrunk, shrink
from semrob_env.metrics.srvr import RegionRecords, SrvrRow, paired_difference, srvr
from semrob_env.metrics.survey import Effects, Failing, Rate, RateCurve, Survey, effects, exact_interval, survey

__all__ = [
    "Certificate",
    "ClusterMeans",
    "Crossing",
    "Effects",
    "Failing",
    "Flips",
    "Judge",
    "Judgement",
    "MeanProfile",
    "Measures",
    "PairedViews",
    "Profile",
    "ProfileRecords",
    "Rate",
    "RateCurve",
    "Reach",
    "RegionRecords",
    "Shrunk",
    "SrvrRow",
    "Survey",
    "certify",
    "certify_by_points",
    "cluster_means",
    "cluster_weights",
    "crossings",
    "distances",
    "distinct",
    "effects",
    "exact_interval",
    "exact_profile",
    "goal_bounds",
    "in_turn",
    "judge_regions",
    "least_points",
    "mean_profiles",
    "paired_difference",
    "percentile_ends",
    "profile_difference",
    "reach",
    "regret",
    "regrets",
    "shapes_needed",
    "shrink",
    "srvr",
    "survey",
]
