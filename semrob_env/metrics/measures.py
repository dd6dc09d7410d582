"""What is measured of one judged region: the names that rows, stores, CSV files and tables share.

A new measure is a field here and a column in `semrob_env.metrics.judge.Judgement`; stores and CSV files follow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Measures:
    """Measures of one region; scores are unit scores. Without a region, numbers are NaN.

    Attributes:
        share: Volume of the region over that of the space, clipped to it.
        feasible: Whether it meets the goal, exactly.
        certified: Whether it meets the goal by its bounds below, which hold with the confidence of the judge.
        goal_mean: Mean of what the goal counts: exact where it is known, else by the judge's points.
        goal_variance: Variance of that.
        goal_lower: Lower bound of the mean of what the goal counts (`semrob_env.metrics.certificates`); the mean itself
            where it is known.
        goal_variance_upper: Upper bound of its variance; 0.25 where the goal bounds none.
        mean: Mean score.
        variance: Variance of the score; an estimate is divided by the number of points, so never above 0.25.
        purity: Share of the points with a score of at least 0.5.
        quantile_05: 5 % quantile of the scores of the points, linear between order statistics.
        minimum: Lowest score that the judge saw.
        least_half_width: Smallest half width as a share of the parameter's range; 0.5 is all of it.
        judge_queries: Forward queries of the judge, never charged to a method.
        certificate_queries: Forward queries of the certificate, points that no estimate has seen; 0: bounds are exact.
        is_exact: Whether feasible, means and variances are the truth, else estimates from the judge's points.
    """

    share: float = math.nan
    feasible: bool = False
    certified: bool = False
    goal_mean: float = math.nan
    goal_variance: float = math.nan
    goal_lower: float = math.nan
    goal_variance_upper: float = math.nan
    mean: float = math.nan
    variance: float = math.nan
    purity: float = math.nan
    quantile_05: float = math.nan
    minimum: float = math.nan
    least_half_width: float = math.nan
    judge_queries: int = 0
    certificate_queries: int = 0
    is_exact: bool = False
