"""Trapezoidal: descend the trapezoid approximation of the integral itself ("unsuccessful formulation").

Hamdi & Ghanem, *Towards Analyzing Semantic Robustness of Deep Neural Networks* (ECCV 2020 workshop, arXiv 1904.04621),
appendix B.5.

White box, 2^n values and 2^n gradients a step. L = -Delta Sigma f_D + (lambda/2) |r|^2 with Delta = prod_i r_i / 2^n,
a discrete loss of which the direction is the exact derivative:

    dL/da_k =  (Delta / r_k) Sigma f_D - Delta Sigma_0k d_k f - lambda r_k
    dL/db_k = -(Delta / r_k) Sigma f_D - Delta Sigma_1k d_k f + lambda r_k

Normalised: dL/da_k = F - (r_k / 2) F'_0k - lambda r_k / s_k, with F the mean score of all corners and F'_0k the mean
slope d_k f on a face.

Growth. On a constant score as Naive: r*_k = s_k F / lambda. Else a side also feels r_k / 2 times the slope at its
corners: it stops where scores fall outwards by more than 2 F / r_k, while Naive stops where they are low. Slopes count
the more the wider the region is, so that the finest ripple of f rules wide regions: the reason why it is unsuccessful.
"""

from __future__ import annotations

from typing import final

import numpy as np

from optimizers.corner_method import CornerMethod, RegularizedSettings, Told
from optimizers.registry import register
from semrob_env.types import FloatArray


@final
@register
class Trapezoidal(CornerMethod[RegularizedSettings]):
    """The trapezoidal region optimizer; formula and growth: see the module."""

    name = "trapezoidal"
    title = "Trapezoidal (Hamdi & Ghanem 2020, B.5)"
    uses_gradient = True
    finds = "regions that the finest ripple of f ends"
    settings_class = RegularizedSettings

    def _direction(self, told: Told) -> tuple[FloatArray, FloatArray]:
        by_parameter = told.face_means(told.gradients.swapaxes(1, 2))  # mean of each derivative on each face, (B, n, n)
        low_slope, high_slope = (np.diagonal(means, axis1=1, axis2=2) for means in by_parameter)
        mean = (told.lower_mean[:, 0] + told.upper_mean[:, 0]) / 2
        pull = self.settings.regularization * told.width / told.scale
        down = told.area * (mean - told.width / 2 * low_slope) - pull
        up = told.area * (-mean - told.width / 2 * high_slope) + pull
        return down, up
