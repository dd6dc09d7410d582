"""A dummy: asks about the start point once, and whatever it hears answers with a box of fixed size around it.

The floor of every comparison. Of many questions the whole space is the answer, and of others a good part of a turn: a
method that is not ahead of these has found nothing out. Sides are moved inwards where a wall is in the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from optimizers.base import RegionOptimizer, Settings, State
from optimizers.limits import number
from optimizers.registry import register
from semrob_env.oracle import Answers
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True)
class FixedBoxSettings(Settings):
    """Hyperparameters.

    Attributes:
        side: Widths of the box as shares of the ranges, in [0, 1]; 0: the start point.
        turn: The same of periodic parameters; -1: as `side`.
    """

    side: float = field(default=1.0, metadata=number(0, 1))
    turn: float = field(default=-1.0, metadata=number(-1, 1))


@final
@register
class FixedBox(RegionOptimizer[FixedBoxSettings]):
    """A box of fixed size; see the module."""

    name = "fixed_box"
    title = "Fixed box (dummy)"
    paradigm = "dummy"
    finds = "nothing: a box of fixed size"
    uses_goal = False
    settings_class = FixedBoxSettings

    def _start(self) -> State:
        space, chosen = self.space, self.settings
        turn = chosen.side if chosen.turn < 0 else chosen.turn
        width = np.where(space.is_periodic, turn, chosen.side) * space.width
        lower = self.start - width / 2
        inside = np.clip(lower, space.low, space.high - width)
        lower = np.where(space.is_periodic, lower, inside)
        # Rounding must not lose the start point.
        lower, upper = np.minimum(lower, self.start), np.maximum(lower + width, self.start)
        return {"lower": lower, "upper": upper, "converged": np.zeros(len(self), dtype=np.bool_)}

    def _ask(self, state: State) -> FloatArray:
        return np.array(self.start[:, None, :])

    def _tell(self, state: State, answers: Answers) -> State:
        return {**state, "converged": np.ones(len(self), dtype=np.bool_)}
