"""A scheme of function ids that plugs in: `example_cone:0.5` has the score 0.5 at its tip."""

from __future__ import annotations

import numpy as np

from semrob_env.functions import CallableFunction, ScoreFunction
from semrob_env.parameters import SemanticSpace


def make_cone(function_id: str) -> ScoreFunction:
    """The function of an id."""
    tip = float(function_id.partition(":")[2])
    space = SemanticSpace.of("azimuth,elevation")
    return CallableFunction(
        space, lambda theta: tip * (1 - np.abs(space.to_unit(theta) - 0.5).max(axis=1)), name=f"example_cone:{tip}"
    )
