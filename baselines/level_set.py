"""Level sets: learn where the score passes the level of the goal, then take the largest safe box.

Straddle (Bryan et al., *Active learning for identifying function threshold boundaries*, NIPS 2005) asks where
c sd(x) - |mean(x) - level| is largest, so where the process is uncertain and close to the level; here with c drawn
anew for each step, c^2 from a chi-squared distribution with two degrees of freedom (randomized straddle, Inatsu et al.,
arXiv 2408.03144, which needs no c to be tuned). Process, box and margin: `optimizers.surrogate.method`. It tells what
is gained by learning the mean over boxes instead of the border of what is good.

Tuned on recorded objects 0 and 1 (ResNet50, three classes, mean >= 0.4, 100 queries): `caution` among 0.5, 1, 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from optimizers.base import State
from optimizers.limits import number
from optimizers.registry import register
from optimizers.surrogate.method import CANDIDATES, Model, SurrogateMethod, SurrogateSettings, greedy
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True)
class LevelSetSettings(SurrogateSettings):
    """Hyperparameters: those of every surrogate, with a default of its own."""

    caution: float = field(default=0.5, metadata=number(0, 10))


@final
@register
class LevelSet(SurrogateMethod[LevelSetSettings]):
    """Randomized straddle; see the module."""

    name = "level_set"
    title = "Level set, randomized straddle (Bryan et al. 2005, Inatsu et al. 2024)"
    is_stochastic = True
    settings_class = LevelSetSettings

    def _choose(self, row: int, model: Model, state: State, count: int) -> FloatArray:
        goal, reach = self.questions.goal, np.sqrt(self.rngs[row].chisquare(2))
        level = float(model.criterion.told(goal, np.asarray(goal.level)))
        places = model.places(int(self.rngs[row].integers(2**20)), CANDIDATES)
        chosen = greedy(model.process, places, count, lambda mean, deviation: reach * deviation - np.abs(mean - level))
        return self._absolute(row, chosen)
