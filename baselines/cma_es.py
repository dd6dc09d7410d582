"""CMA-ES, by the `cma` package of its author.

Hansen & Ostermeier, *Completely derandomized self-adaptation in evolution strategies*, Evolutionary Computation 9,
2001; Hansen, Akimoto & Baudis, pycma, https://github.com/CMA-ES/pycma (optional: `pip install semrob[baselines]`).
Objective, estimate and recommendation: `baselines.candidates`.

The package itself rather than nevergrad's wrapping of it: that one (`algorithm="CMA"` there) hands on neither its
handling of bounds nor its restarts. The first step size is `FIRST`, so that the first candidates spread from a point to
half the cube. When it ends, it starts again from a random point.
"""

from __future__ import annotations

from typing import final

import numpy as np

from baselines.candidates import FIRST, SearchSettings
from baselines.search import RegionSearch
from baselines.solver import Evaluate, library
from optimizers.registry import register


@final
@register
class CmaEs(RegionSearch[SearchSettings]):
    """CMA-ES; see the module.

    Raises:
        MissingExtraError: The `cma` package is not installed.
    """

    name = "cma_es"
    title = "CMA-ES (Hansen & Ostermeier 2001)"
    settings_class = SearchSettings
    draws_globally = True

    @staticmethod
    def _minimize(settings: SearchSettings, evaluate: Evaluate, size: int, plan: int, seed: int) -> None:
        package = library("cma")
        del settings, plan
        rng, first = np.random.default_rng(seed), np.full(size, FIRST)
        # randn: its own stream, for by default it seeds and draws from numpy's global one.
        options = {"bounds": [0, 1], "randn": lambda *shape: rng.standard_normal(shape), "seed": np.nan, "verbose": -9}
        while True:
            strategy = package.CMAEvolutionStrategy(first, FIRST, options)
            while not strategy.stop():
                candidates = strategy.ask()
                strategy.tell(candidates, [evaluate(candidate) for candidate in candidates])
            first = rng.random(size)
