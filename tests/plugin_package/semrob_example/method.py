"""An optimizer that plugs in."""

from __future__ import annotations

from typing import final

import numpy as np

from optimizers.base import RegionOptimizer, Settings, State
from optimizers.registry import register
from semrob_env.oracle import Answers
from semrob_env.regions import Regions
from semrob_env.types import FloatArray


@final
@register  # its entry point names it as well: either is enough
class Sphere(RegionOptimizer[Settings]):
    """Grows on all sides while the middle of the region is robust."""

    name = "example_sphere"
    title = "Sphere"
    settings_class = Settings

    def _start(self) -> State:
        regions = Regions.around(self.space, self.start, 1.0)
        return {"lower": regions.lower.copy(), "upper": regions.upper.copy()}

    def _ask(self, state: State) -> FloatArray:
        return np.asarray(((state["lower"] + state["upper"]) / 2)[:, None, :])

    def _tell(self, state: State, answers: Answers) -> State:
        grown = answers.values * 0.05 * self.space.width
        return {"lower": state["lower"] - grown, "upper": state["upper"] + grown}
