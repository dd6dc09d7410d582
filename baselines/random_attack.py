"""Random attack: uniform points near theta0; the floor of every attack. Box, goal and answer: `baselines.attack`."""

from __future__ import annotations

from typing import final

import numpy as np

from baselines.attack import AttackSettings, PointAttack
from optimizers.registry import register
from semrob_env.types import BoolArray, FloatArray


@final
@register
class RandomAttack(PointAttack[AttackSettings]):
    """Uniform points near theta0; see the module."""

    name = "random_attack"
    title = "Random attack"
    is_stochastic = True
    settings_class = AttackSettings

    def _next(self, rows: BoolArray, theta: FloatArray, slope: FloatArray) -> tuple[FloatArray, BoolArray]:
        del theta, slope
        return self._drawn(rows), np.zeros(len(rows), dtype=np.bool_)
