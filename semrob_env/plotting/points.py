"""Points and bounds as people write and read them, on command lines, in legends and in tables."""

from __future__ import annotations

import numpy as np

from semrob_env.errors import InvalidParameterError
from semrob_env.parameters import SemanticSpace
from semrob_env.regions import Regions
from semrob_env.types import FloatArray


def read_points(space: SemanticSpace, text: str) -> FloatArray:
    """Points (B, n) by name with ; between them: `azimuth=130,elevation=30;azimuth=50`.

    Raises:
        InvalidParameterError: No point, or one that cannot be read.
        UnknownNameError: A name that is not in the space.
        OutOfSpaceError: A value outside the bounds.
    """
    points = [space.point(part) for part in text.split(";") if part.strip()]
    if not points:
        raise InvalidParameterError("--starts names no point; write azimuth=130,elevation=30")
    return np.array(points)


def point_label(space: SemanticSpace, point: FloatArray) -> str:
    """A point (n,) for a legend: `azimuth 130, elevation 30`."""
    return ", ".join(f"{name} {value:g}" for name, value in zip(space.names, point, strict=True))


def bounds_columns(regions: Regions, row: int) -> dict[str, float]:
    """The bounds of one region as columns of a table: azimuth_low, azimuth_high, elevation_low, ..."""
    columns: dict[str, float] = {}
    for k, name in enumerate(regions.space.names):
        columns |= {f"{name}_low": float(regions.lower[row, k]), f"{name}_high": float(regions.upper[row, k])}
    return columns
