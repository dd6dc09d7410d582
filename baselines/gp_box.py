"""A plain Gaussian process, asked where it knows least, and its largest safe box: what anybody would build first.

Uncertainty sampling (MacKay, *Information-based objective functions for active data selection*, Neural Computation 4,
1992): each point is the one at which the score is least certain, over the whole space up to two parameters, from three
on over the box that may be feasible (`optimizers.surrogate.method.HOPE`). Process, box and margin: there, too.

Tuned on recorded objects 0 and 1 (ResNet50, three classes, mean >= 0.4, 100 queries): `caution` among 0.5, 1, 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from optimizers.base import State
from optimizers.limits import number
from optimizers.registry import register
from optimizers.surrogate.method import CANDIDATES, Model, SurrogateMethod, SurrogateSettings, greedy
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True)
class GpBoxSettings(SurrogateSettings):
    """Hyperparameters: those of every surrogate, with a default of its own."""

    caution: float = field(default=2.0, metadata=number(0, 10))


@final
@register
class GpBox(SurrogateMethod[GpBoxSettings]):
    """Uncertainty sampling; see the module."""

    name = "gp_box"
    title = "Gaussian process, uncertainty sampling (MacKay 1992)"
    settings_class = GpBoxSettings

    def _choose(self, row: int, model: Model, state: State, count: int) -> FloatArray:
        places = model.places(CANDIDATES * int(state["told"][row]), CANDIDATES)
        chosen = greedy(model.process, places, count, lambda mean, deviation: deviation.copy())
        return self._absolute(row, chosen)
