"""Box quadrature whose samples serve every start point: many questions about one function for one bill.

Process, search for the box and growing caution are those of `box_quadrature`; what is asked does not depend on the
start point. First evenly spread points. Then two questions in turn: where the score is least certain at all, and which
points tell most about the largest box that may be feasible around one of the places that are held for good, a place a
step, evenly spread ones. So it learns the border of whatever box may be asked for, and no more than that where nothing
is good.

The idea to share samples is that of grids and of the evenly spread points of `baselines.sobol_box`, which was ahead of
`box_quadrature` by amortized bills; new is that they are chosen by what they tell about boxes. Useful up to n = 3: in
more parameters there are too many places to know about.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from optimizers.base import State
from optimizers.limits import number
from optimizers.registry import register
from optimizers.surrogate.method import CANDIDATES, STEPS, Model, SurrogateMethod, SurrogateSettings, greedy, safest
from optimizers.surrogate.plan import grown_caution, most_telling
from optimizers.surrogate.process import Lattice, Process
from semrob_env.sequences import evenly_spread
from semrob_env.types import FloatArray

_PLACES = 64
"""Places that may stand for start points."""


@final
@dataclass(frozen=True)
class SharedQuadratureSettings(SurrogateSettings):
    """Hyperparameters: those of every surrogate, but for `caution`, which is added to what `confidence` says.

    Attributes:
        confidence: As in `box_quadrature`.
        optimism: Standard deviations beyond its bounds that the hopeful boxes may be.
    """

    caution: float = field(default=0.0, metadata=number(0, 10))
    confidence: float = field(default=0.99, metadata=number(0.501, 0.9999))
    optimism: float = field(default=1.0, metadata=number(0, 10))


@final
@register
class SharedQuadrature(SurrogateMethod[SharedQuadratureSettings]):
    """Box quadrature for many start points; see the module."""

    name = "shared_quadrature"
    title = "Box quadrature with shared samples (ours)"
    finds = "the largest region that is feasible with a stated probability"
    shares_samples = True
    is_plain = False
    settings_class = SharedQuadratureSettings

    def _caution(self, told: int) -> float:
        return self.settings.caution + grown_caution(told, self.settings.confidence)

    def _first(self, row: int, count: int) -> FloatArray:
        return evenly_spread(self.space.n, 0, count)

    def _choose(self, row: int, model: Model, state: State, count: int) -> FloatArray:
        """In all of this the start point must not enter, not by a rounding."""
        goal, kind, periodic = self.questions.goal, type(model.criterion), np.array(self.space.is_periodic)
        told, logs = int(state["told"][row]), state["logs"][row]
        points, scores = state["points"][row, :told], kind.told(goal, state["scores"][row, :told])

        def process_around(center: FloatArray) -> Process:
            near = np.where(periodic, points - center, points)
            near = np.where(periodic, near - np.round(near), near)
            own = np.where(periodic, 0.0, center)
            return Process(logs, near, scores, Lattice.around(own, periodic, STEPS), None)

        every = process_around(np.full(self.space.n, 0.5))
        places = evenly_spread(self.space.n, 0, _PLACES)
        seen = np.where(periodic, places - 0.5, places)
        mean, _ = every.marginals(np.zeros(_PLACES), every.cross(seen, np.zeros(_PLACES)))
        good = np.flatnonzero(mean >= float(kind.told(goal, np.asarray(goal.level))))
        if told % 2 and len(good):
            center = places[good[(told // 2) % len(good)]]
            criterion = kind(process_around(center), goal)
            hopeful = safest(criterion, (-self.settings.optimism,), None)[0]
            if hopeful is not None:
                spread = evenly_spread(self.space.n, CANDIDATES * told, CANDIDATES)
                found = most_telling(criterion, hopeful[None], spread, count)
                return np.asarray(np.where(periodic, np.mod(found + center, 1.0), found))
        spread = evenly_spread(self.space.n, CANDIDATES * told, CANDIDATES)
        around = np.where(periodic, spread - 0.5, spread)
        found = greedy(every, around, count, lambda mean, deviation: deviation.copy())
        return np.asarray(np.where(periodic, np.mod(found + 0.5, 1.0), found))
