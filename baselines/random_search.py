"""Random search: candidates uniform over all bounds around theta0, the largest confirmed one is recommended.

The floor of every comparison (Bergstra & Bengio, *Random search for hyperparameter optimization*, JMLR 13, 2012).
Objective, estimate and recommendation: `baselines.candidates`.
"""

from __future__ import annotations

from typing import final

import numpy as np

from baselines.candidates import SearchSettings
from baselines.search import RegionSearch
from baselines.solver import Evaluate
from optimizers.registry import register


@final
@register
class RandomSearch(RegionSearch[SearchSettings]):
    """Random search; see the module."""

    name = "random_search"
    title = "Random search"
    settings_class = SearchSettings

    @staticmethod
    def _minimize(settings: SearchSettings, evaluate: Evaluate, size: int, plan: int, seed: int) -> None:
        del settings, plan
        rng = np.random.default_rng(seed)
        while True:
            evaluate(rng.random(size))
