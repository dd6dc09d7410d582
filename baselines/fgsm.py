"""Semantic FGSM: one step from theta0 against the sign of the gradient, by the whole radius.

Goodfellow, Shlens & Szegedy, *Explaining and harnessing adversarial examples*, ICLR 2015, with theta for pixels:

    theta1 = theta0 - radius * range * sign(grad f(theta0))

Two points are asked, theta0 and theta1, each with its gradient; the one with the lower score is recommended. Box, goal
and gradients by finite differences: `baselines.attack`.
"""

from __future__ import annotations

from typing import final

import numpy as np

from baselines.attack import AttackSettings, PointAttack
from optimizers.base import State
from optimizers.registry import register
from semrob_env.types import BoolArray, FloatArray


@final
@register
class Fgsm(PointAttack[AttackSettings]):
    """Semantic FGSM; formula: see the module."""

    name = "fgsm"
    title = "Semantic FGSM (Goodfellow et al. 2015)"
    uses_gradient = True
    settings_class = AttackSettings

    @classmethod
    def points_of_start(cls, settings: AttackSettings) -> int | None:
        """Theta0 and the one step from it."""
        del settings
        return 2

    def _first(self) -> State:
        return {"theta": np.array(self.start)}

    def _next(self, rows: BoolArray, theta: FloatArray, slope: FloatArray) -> tuple[FloatArray, BoolArray]:
        del rows
        step = self.settings.radius * self.space.width * np.sign(slope)
        return self._boxed(theta - step), self.steps >= 1
