"""Grid attack: the middles of the cells of a grid over the box around theta0, as fine as the budget pays for.

The same number of cells along each parameter where the budget allows, one more along the first ones else; with n = 10
and 100 queries that is one cell along most of them, which is what grids are worth there. Points are asked in an order
that spreads (steps of the golden ratio through the list), so that the first ones are no row. Box and answer:
`baselines.attack`.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import final

import numpy as np

from baselines.attack import AttackSettings, PointAttack
from optimizers.base import State
from optimizers.registry import register
from semrob_env.sequences import evenly_spread
from semrob_env.types import BoolArray, FloatArray, IntArray

MOST_POINTS = 2**16
"""Of a grid, whatever the budget."""


@final
@register
class GridAttack(PointAttack[AttackSettings]):
    """A grid of points near theta0; see the module."""

    name = "grid_attack"
    title = "Grid attack"
    plans_by_budget = True
    settings_class = AttackSettings

    @cached_property
    def _counts(self) -> IntArray:
        """Cells along each parameter (n,)."""
        most, counts = max(1, min(int(self.questions.budget), MOST_POINTS)), np.ones(self.space.n, dtype=np.int64)
        while True:
            finer = counts + (np.arange(self.space.n) == counts.argmin())
            if math.prod(finer.tolist()) > most:
                return counts
            counts = finer

    @cached_property
    def _order(self) -> IntArray:
        """Numbers of the cells in the order of asking."""
        return np.argsort(evenly_spread(1, 0, math.prod(self._counts.tolist()))[:, 0], kind="stable")

    def _first(self) -> State:
        return {"theta": self._point(np.zeros(len(self), dtype=np.int64))}

    def _next(self, rows: BoolArray, theta: FloatArray, slope: FloatArray) -> tuple[FloatArray, BoolArray]:
        del rows, theta, slope
        number = self.steps + 1
        return self._point(np.minimum(number, len(self._order) - 1)), number >= len(self._order)

    def _point(self, number: IntArray) -> FloatArray:
        """The middle (B, n) of a cell of each trajectory, by its place in the order (B,)."""
        cells = np.stack(np.unravel_index(self._order[number], tuple(self._counts.tolist())), axis=1)
        lower, upper = self._box
        return self._boxed(lower + (cells + 0.5) / self._counts * (upper - lower))
