"""What the released code must have been told, worked out from how its bounds moved.

Naive (Hamdi & Ghanem 2020, arXiv 1904.04621) moves a side by eta times (face area times mean score of the face's
corners, minus lambda times the width). With the bounds before and after a step, the mean score is known: so a recorded
trace tells true scores off the grid, and beyond the range that the maps cover.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from semrob_env.recorded.function import RecordedMaps
from semrob_env.recorded.traces import ReleaseTraces
from semrob_env.types import BoolArray, FloatArray

STEP_SIZE, REGULARIZATION = 0.1, 0.1  # eta and lambda of the released runs
LEAST_WIDTH = 0.01  # degrees: narrower regions move too little to tell a score


@final
@dataclass(frozen=True, eq=False)
class ImpliedScores:
    """Mean scores of the corners of faces, S of them."""

    recorded: FloatArray  # what the released code was told, (S,)
    interpolated: FloatArray  # what the maps say there, (S,); elevations beyond their range are held at its end
    is_inside: BoolArray  # whether both corners of the face lie within the range of elevation, (S,)


def implied_scores(traces: ReleaseTraces, function: RecordedMaps) -> ImpliedScores:
    """The mean scores of all four faces at every step of the traced Naive runs."""
    space = function.space
    parts: list[tuple[FloatArray, FloatArray, BoolArray]] = []
    known = traces.has_trace & np.isin(traces.names, function.maps.names) & (np.array(traces.methods) == "naive")
    for run in np.flatnonzero(known):
        lower, upper = _finite_part(*traces.trace_of(int(run)))
        member = function.maps.index(traces.names[run])
        ends = np.stack([lower[:-1], upper[:-1]])
        with np.errstate(over="ignore"):  # steps that are left out below
            moved = np.stack([lower[:-1] - lower[1:], upper[1:] - upper[:-1]])  # outwards, (2, T - 1, 2)
            width = upper[:-1] - lower[:-1]
        corners = np.stack(np.broadcast_arrays(ends[:, None, :, 0], ends[None, :, :, 1]), axis=-1)  # (2, 2, T - 1, 2)
        flat = space.project(corners.reshape(4, -1, 2))
        scores = function.values(flat, np.full(4, member)).reshape(2, 2, -1)
        within = ((corners[..., 1] >= space.low[1]) & (corners[..., 1] <= space.high[1])).reshape(2, 2, -1)
        for k in range(space.n):
            for side in range(2):
                own = (side, slice(None)) if k == 0 else (slice(None), side)
                with np.errstate(all="ignore"):  # steps that are left out below
                    told = (moved[side, :, k] / STEP_SIZE + REGULARIZATION * width[:, k]) / width[:, 1 - k]
                keep = np.isfinite(told) & (width.min(axis=1) >= LEAST_WIDTH)
                parts.append((told[keep], scores[own].mean(axis=0)[keep], within[own].all(axis=0)[keep]))
    if not parts:
        none = np.zeros(0)
        return ImpliedScores(none, none, none.astype(np.bool_))
    recorded, interpolated, inside = (np.concatenate(part) for part in zip(*parts, strict=True))
    return ImpliedScores(recorded, interpolated, inside)


def _finite_part(lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The bounds (T, n) of a run up to where it diverges."""
    is_finite = np.isfinite(lower).all(axis=1) & np.isfinite(upper).all(axis=1)
    end = len(lower) if is_finite.all() else int(np.argmin(is_finite))
    return lower[:end], upper[:end]
