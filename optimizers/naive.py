"""Naive: grow a region by the scores on its faces, against a quadratic regulariser.

Hamdi & Ghanem, *Towards Analyzing Semantic Robustness of Deep Neural Networks* (ECCV 2020 workshop, arXiv 1904.04621).

Black box, 2^n values a step. L = -int_D f + (lambda/2) |r|^2, faces by the trapezoid rule; Delta = prod_i r_i / 2^n:

    dL/da_k =  (2 Delta / r_k) Sigma_0k f_D - lambda r_k
    dL/db_k = -(2 Delta / r_k) Sigma_1k f_D + lambda r_k

The first term is the area of a face times the mean score F of its corners. Normalised: dL/da_k = F_0k - lambda r_k/s_k.

Growth. On a constant score F a width tends to r*_k = s_k F / lambda, as r* (1 - (1 - 2 eta lambda)^t) after t steps:
with the defaults F times the range, 90 % of it after 37 steps. Where opposite faces differ, the region moves towards
the higher score until they are equal or theta0 is on its side: Naive finds strong regions around theta0 only.
Paper's form: n = 1 tends to r = F / lambda; n = 2 grows by 1 + 2 eta (F - lambda) a step, so it vanishes if F < lambda.

lambda = 0.1 is kept for its meaning, not tuned: on recorded maps, at the default eta and 150 queries, less of it
returned more volume, feasible or not, down to none at all, which is the unregularised ascent.
"""

from __future__ import annotations

from typing import final

from optimizers.corner_method import CornerMethod, RegularizedSettings, Told
from optimizers.registry import register
from semrob_env.types import FloatArray


@final
@register
class Naive(CornerMethod[RegularizedSettings]):
    """The Naive region optimizer; formula and growth: see the module."""

    name = "naive"
    title = "Naive (Hamdi & Ghanem 2020)"
    finds = "strong regions around theta0"
    settings_class = RegularizedSettings

    def _direction(self, told: Told) -> tuple[FloatArray, FloatArray]:
        pull = self.settings.regularization * told.width / told.scale
        return told.area * told.lower_mean[:, 0] - pull, -told.area * told.upper_mean[:, 0] + pull
