"""Evenly spread points, a plain Gaussian process, and its largest safe box: what is left without any adaptivity.

Points are those of a Sobol' sequence over the space (Sobol' 1967, scrambled with a fixed seed, by SciPy), whatever
the start point, goal and scores, so one set of samples serves every start point. Process, box and margin:
`optimizers.surrogate.method`.

Tuned on recorded objects 0 and 1 (ResNet50, three classes, mean >= 0.4, 100 queries): `caution` among 0, 1, 2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import final

import numpy as np

from optimizers.base import State
from optimizers.registry import register
from optimizers.surrogate.method import Model, SurrogateMethod, SurrogateSettings
from semrob_env.types import FloatArray


@final
@register
class SobolBox(SurrogateMethod[SurrogateSettings]):
    """Evenly spread points and a process; see the module."""

    name = "sobol_box"
    title = "Evenly spread points, Gaussian process, largest safe box"
    shares_samples = True
    settings_class = SurrogateSettings

    def _first(self, row: int, count: int) -> FloatArray:
        return sobol_points(self.space.n, count)

    def _choose(self, row: int, model: Model, state: State, count: int) -> FloatArray:
        told = int(state["told"][row])
        return sobol_points(self.space.n, told + count)[told:]


def sobol_points(n: int, count: int) -> FloatArray:
    """The first points (count, n) of a scrambled Sobol' sequence in the unit cube, the same for ever."""
    return _sobol(n, 1 << max(count - 1, 1).bit_length())[:count]


@lru_cache(maxsize=64)
def _sobol(n: int, count: int) -> FloatArray:
    from scipy.stats import qmc  # here, for it takes most of a second to import

    return np.asarray(qmc.Sobol(n, scramble=True, rng=np.random.default_rng(0)).random(count))
