"""Semantic parameters and the spaces they span.

A *parameter* is one thing a scene can change (azimuth, elevation, ...): it has a name, a unit, bounds, maybe a
period, a default and a sense of rotation. A *space* is an ordered choice of parameters; a point of it is theta,
an array (..., n) in native units. One pair of functions maps theta to the unit cube and back.
"""

from semrob_env.parameters.spaces import SemanticSpace, held_paper_starts, paper_starts
from semrob_env.parameters.table import (
    AZIMUTH,
    CORRUPTION_PARAMETERS,
    ELEVATION,
    NAMED_SPACES,
    PAPER_STARTS,
    PARAMETERS,
    PHOTO_PARAMETERS,
    POLES,
    STEPPED_PARAMETERS,
    Parameter,
    markdown_of_parameters,
)

__all__ = [
    "AZIMUTH",
    "CORRUPTION_PARAMETERS",
    "ELEVATION",
    "NAMED_SPACES",
    "PAPER_STARTS",
    "PARAMETERS",
    "PHOTO_PARAMETERS",
    "POLES",
    "STEPPED_PARAMETERS",
    "Parameter",
    "SemanticSpace",
    "held_paper_starts",
    "markdown_of_parameters",
    "paper_starts",
]
