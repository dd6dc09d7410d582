"""Known answers: exact moments of any region, and the best region around a start point."""

from semrob_env.ground_truth.grid import GroundTruth
from semrob_env.ground_truth.moments import KnowsTruth, exact_moments, ground_truth, members_of, optima, optimum, truth
from semrob_env.synthetic.function import Optimum

__all__ = [
    "GroundTruth",
    "KnowsTruth",
    "Optimum",
    "exact_moments",
    "ground_truth",
    "members_of",
    "optima",
    "optimum",
    "truth",
]
