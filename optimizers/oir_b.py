"""OIR_B: outer-inner ratio, black box: much score inside a region, little in a band around it.

Hamdi & Ghanem, *Towards Analyzing Semantic Robustness of Deep Neural Networks* (ECCV 2020 workshop, arXiv 1904.04621).

Black box, 2^(n+1) values a step. L = int_Q f - 2 int_D f (Dinkelbach factor 1), where the outer box Q reaches
(alpha/2) r beyond D on every side; Delta = prod_i r_i / 2^n, w = (1+alpha)^(n-1) the face area of Q over that of D:

    dL/da_k = (2 Delta / r_k) [ 2 Sigma_0k f_D - w ((1 + alpha/2) Sigma_0k f_Q + (alpha/2) Sigma_1k f_Q)]
    dL/db_k = (2 Delta / r_k) [-2 Sigma_1k f_D + w ((1 + alpha/2) Sigma_1k f_Q + (alpha/2) Sigma_0k f_Q)]

Normalised: every integral over a face is divided by the area of that face, so w = 1.

Growth. On a constant score F a side moves eta s_k F (1 - alpha) a step (paper's form, n = 2: a width grows by the
factor 1 + 2 eta F (2 - (1+alpha)^2)). Nothing pulls back: growth goes on over falling scores, faster at a drop, and
ends at the space, where the scores vanish, or before scores that double within the band (2 F_D = F_Q). So OIR_B also
finds weak regions, and what it returns may have a low mean score.

alpha = 0.05 is the paper's; wider bands (0.1 to 0.8) returned less feasible volume on recorded maps at the
default eta and 150 queries.

The corners of Q are projected as well: clamped, or wrapped along a periodic parameter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from optimizers.corner_method import CornerMethod, CornerSettings, Told
from optimizers.limits import number
from optimizers.registry import register
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True)
class OirBSettings(CornerSettings):
    """Hyperparameters: those of every corner method, and the width of the band.

    Attributes:
        boundary_factor: alpha, above 0.
    """

    boundary_factor: float = field(default=0.05, metadata=number(above=0, symbol="alpha"))


@final
@register
class OirB(CornerMethod[OirBSettings]):
    """The black-box outer-inner-ratio optimizer; formula and growth: see the module."""

    name = "oir_b"
    title = "OIR_B (Hamdi & Ghanem 2020)"
    finds = "strong and weak regions around theta0"
    settings_class = OirBSettings

    def _margins(self) -> tuple[float, ...]:
        return (0.0, self.settings.boundary_factor / 2)

    def _direction(self, told: Told) -> tuple[FloatArray, FloatArray]:
        alpha = self.settings.boundary_factor
        w = (1 + alpha) ** (self._formula_n - 1)
        inner_low, outer_low = told.lower_mean[:, 0], told.lower_mean[:, 1]
        inner_high, outer_high = told.upper_mean[:, 0], told.upper_mean[:, 1]
        down = 2 * inner_low - w * ((1 + alpha / 2) * outer_low + alpha / 2 * outer_high)
        up = -2 * inner_high + w * ((1 + alpha / 2) * outer_high + alpha / 2 * outer_low)
        return told.area * down, told.area * up
