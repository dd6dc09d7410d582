"""Unregularised ascent: Naive without its regulariser, a baseline that shows why one is needed.

Hamdi & Ghanem, *Towards Analyzing Semantic Robustness of Deep Neural Networks* (ECCV 2020 workshop, arXiv 1904.04621),
Lemma 1: -f(a) and f(b) are ascent directions of int_a^b f.

Black box, 2^n values a step. L = -int_D f, faces by the trapezoid rule; Delta = prod_i r_i / 2^n:

    dL/da_k =  (2 Delta / r_k) Sigma_0k f_D
    dL/db_k = -(2 Delta / r_k) Sigma_1k f_D

the direction of OIR_W with beta = 0. Normalised: dL/da_k = F_0k, the mean score of the corners of the face.

Growth. A side moves eta s_k F a step and never back, for scores are not negative: it slows down where they are low
and ends at the space (paper's form, n = 2, constant F: a width grows by the factor 1 + 2 eta F a step).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from optimizers.corner_method import CornerMethod, CornerSettings, Told
from optimizers.registry import register
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True)
class UnregularizedSettings(CornerSettings):
    """Hyperparameters: those of every corner method."""


@final
@register
class Unregularized(CornerMethod[UnregularizedSettings]):
    """Unregularised region ascent; formula and growth: see the module."""

    name = "unregularized"
    title = "Unregularised ascent (Hamdi & Ghanem 2020, Lemma 1)"
    finds = "no region: it grows while f > 0"
    settings_class = UnregularizedSettings

    def _direction(self, told: Told) -> tuple[FloatArray, FloatArray]:
        return told.area * told.lower_mean[:, 0], -told.area * told.upper_mean[:, 0]
