"""OIR_W: outer-inner ratio, white box: the band of OIR_B shrunk to nothing, its scores expanded by gradients.

Hamdi & Ghanem, *Towards Analyzing Semantic Robustness of Deep Neural Networks* (ECCV 2020 workshop, arXiv 1904.04621).

White box, 2^n values and 2^n gradients a step. The direction is the limit alpha -> 0 of that of
L = (beta/alpha) (int_Q f - (1 + alpha/beta) int_D f): derivatives of the two integrals by Leibniz' rule, faces by the
trapezoid rule. With Delta = prod_i r_i / 2^n, sigma_i(c) = +1 / -1 where corner c has i at its upper / lower bound, and
t(c) = sum_i sigma_i(c) r_i d_i f(d_c), twice the rate at which the score of a corner of Q changes with alpha:

    dL/da_k =  (Delta / r_k) [(2 - (2n-1) beta) Sigma_0k f - beta Sigma_1k f - beta Sigma_0k t]
    dL/db_k = -(Delta / r_k) [(2 - (2n-1) beta) Sigma_1k f - beta Sigma_0k f - beta Sigma_1k t]

The paper prints the terms of t with i = k and i != k apart; as sigma_k is constant on a face, they are one sum.
Normalised: integrals over the area of their own face, as in OIR_B: the factor 2 - (2n-1) beta is that of n = 1.

Growth. On a constant score F a side moves eta s_k F (1 - beta) a step (paper's form, n = 2: a width grows by the
factor 1 + 2 eta F (1 - 2 beta)), until the region fills the space. Only scores that rise outwards can hold it, where
beta r_k |d_k f| outweighs 2 F: never at the paper's beta, which makes OIR_W an unregularised ascent in practice.

beta = 0.0009 is the paper's; larger ones (0.05 to 0.8) returned less feasible volume on recorded maps at the
default eta and 150 queries.

Gradients are those of the score; the released code took them through a cross-entropy on top of the softmax. With the
other classes' scores small, that is -(1 - something small) times the gradient of the score: `gradient="cross_entropy"`
turns the sign, to see what it does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np

from optimizers.corner_method import CornerMethod, CornerSettings, Told
from optimizers.limits import number, one_of
from optimizers.registry import register
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True)
class OirWSettings(CornerSettings):
    """Hyperparameters: those of every corner method, and the emphasis of the band.

    Attributes:
        emphasis_factor: beta, 0 <= beta < 2 / (2n - 1) in the paper's form, 0 <= beta < 2 in the normalised form.
        gradient: `score`, or `cross_entropy` for what the released code fed, to first order.
    """

    emphasis_factor: float = field(
        default=0.0009, metadata=number(symbol="beta", below=(lambda n: 2 / (2 * n - 1), "2/(2n-1)"))
    )
    gradient: Literal["score", "cross_entropy"] = field(default="score", metadata=one_of("score", "cross_entropy"))


@final
@register
class OirW(CornerMethod[OirWSettings]):
    """The white-box outer-inner-ratio optimizer; formula and growth: see the module."""

    name = "oir_w"
    title = "OIR_W (Hamdi & Ghanem 2020)"
    uses_gradient = True
    finds = "strong and weak regions around theta0"
    settings_class = OirWSettings

    def _direction(self, told: Told) -> tuple[FloatArray, FloatArray]:
        beta = self.settings.emphasis_factor
        sign = 1.0 if self.settings.gradient == "score" else -1.0
        growth = np.zeros(told.gradients.shape[:2])  # t(c); summed term by term, so that no row depends on others
        for i in range(self.space.n):
            growth += sign * told.signs[..., i] * told.width[:, i, None] * told.gradients[:, :, i]
        low, high = told.lower_mean[:, 0], told.upper_mean[:, 0]
        low_growth, high_growth = told.face_means(growth)
        own = 1 - (2 * self._formula_n - 1) * beta / 2
        down = own * low - beta / 2 * (high + low_growth)
        up = -own * high + beta / 2 * (low + high_growth)
        return told.area * down, told.area * up
