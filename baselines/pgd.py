"""Semantic PGD: steps against the sign of the gradient, projected into the box around theta0, from random starts.

Madry et al., *Towards deep learning models resistant to adversarial attacks*, ICLR 2018, with theta for pixels:

    theta <- P(theta - pace * range * sign(grad f(theta))),  pace = 2.5 * radius / descent

from a uniform point of the box; after `descent` steps from another one, until the budget ends. The lowest score seen is
recommended. Box, goal and gradients by finite differences: `baselines.attack`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from baselines.attack import AttackSettings, PointAttack
from optimizers.limits import whole_number
from optimizers.registry import register
from semrob_env.types import BoolArray, FloatArray


@final
@dataclass(frozen=True)
class PgdSettings(AttackSettings):
    """Hyperparameters: those of every attack, and the length of a descent.

    Attributes:
        descent: Steps from one random start, at least 1.
    """

    descent: int = field(default=10, metadata=whole_number(1))


@final
@register
class Pgd(PointAttack[PgdSettings]):
    """Semantic PGD; formula: see the module."""

    name = "pgd"
    title = "Semantic PGD (Madry et al. 2018)"
    uses_gradient = True
    is_stochastic = True
    settings_class = PgdSettings

    @classmethod
    def points_of_start(cls, settings: PgdSettings) -> int | None:
        """A random start and the steps of its descent."""
        return settings.descent + 1

    def _next(self, rows: BoolArray, theta: FloatArray, slope: FloatArray) -> tuple[FloatArray, BoolArray]:
        settings = self.settings
        pace = 2.5 * settings.radius / settings.descent * self.space.width
        is_over = (self.steps + 1) % (settings.descent + 1) == 0  # the last point of a descent has been told
        moved = self._boxed(theta - pace * np.sign(slope))
        after = np.where(is_over[:, None], self._drawn(rows & is_over), moved)
        return after, np.zeros(len(rows), dtype=np.bool_)
