"""SciPy's minimisers: differential evolution, dual annealing, and three local ones, restarted at random points.

Virtanen et al., *SciPy 1.0*, Nature Methods 17, 2020. Objective, estimate and recommendation: `baselines.candidates`.

- `differential_evolution`: Storn & Price 1997, best1bin, five candidates a variable, every one told as it comes.
- `dual_annealing`: Xiang et al. 1997, without its local search, which takes differences over 1e-8: noise here.
- `nelder_mead`, `powell`, `cobyla`: local searches, first from `baselines.candidates.FIRST`, then, whenever one ends,
  from a random point.

SciPy holds the loop; `baselines.solver` turns it into one candidate at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, final, get_args

import numpy as np

from baselines.candidates import FIRST, SearchSettings
from baselines.search import RegionSearch
from baselines.solver import Evaluate
from optimizers.limits import one_of
from optimizers.registry import register

Algorithm = Literal["differential_evolution", "dual_annealing", "nelder_mead", "powell", "cobyla"]

_LOCAL: dict[str, tuple[str, dict[str, Any]]] = {
    "nelder_mead": ("Nelder-Mead", {"adaptive": True, "xatol": 0.02, "fatol": 0.01}),
    "powell": ("Powell", {"xtol": 0.02, "ftol": 0.01}),
    "cobyla": ("COBYLA", {"rhobeg": FIRST, "tol": 0.02}),
}
"""SciPy's names of the local ones, and their options: they end where steps are finer than the noise allows."""

_ENDLESS = 10**6


@final
@dataclass(frozen=True)
class ScipySettings(SearchSettings):
    """Hyperparameters: those of every search, and the minimiser.

    Attributes:
        algorithm: Which minimiser; see the module.
    """

    algorithm: Algorithm = field(default="differential_evolution", metadata=one_of(*get_args(Algorithm)))


@final
@register
class ScipySearch(RegionSearch[ScipySettings]):
    """A minimiser of SciPy; see the module."""

    name = "scipy"
    title = "SciPy (Virtanen et al. 2020)"
    settings_class = ScipySettings

    @staticmethod
    def _minimize(settings: ScipySettings, evaluate: Evaluate, size: int, plan: int, seed: int) -> None:
        from scipy import optimize  # here, for it takes most of a second to import

        del plan
        rng, box, first = np.random.default_rng(seed), [(0.0, 1.0)] * size, np.full(size, FIRST)
        while True:
            if settings.algorithm == "differential_evolution":
                optimize.differential_evolution(
                    evaluate, box, x0=first, popsize=5, maxiter=_ENDLESS, tol=0, polish=False, rng=rng
                )
            elif settings.algorithm == "dual_annealing":
                optimize.dual_annealing(
                    evaluate, box, x0=first, maxiter=_ENDLESS, maxfun=_ENDLESS, no_local_search=True, rng=rng
                )
            else:
                name, options = _LOCAL[settings.algorithm]
                optimize.minimize(evaluate, first, method=name, bounds=box, options=options)
            first = rng.random(size)
