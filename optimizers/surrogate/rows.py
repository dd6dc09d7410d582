"""What box quadrature knows of a trajectory, as a value, and as rows of arrays of one size for all trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt

from semrob_env.types import FloatArray, IntArray


@final
@dataclass(frozen=True, eq=False)
class Row:
    """All that a trajectory knows; N scores so far.

    Attributes:
        centre: The start point (n,).
        points: Points asked (N, n).
        scores: Their scores (N,) in [0, 1].
        logs: Numbers of the process.
        fitted: How many scores they were fitted to.
        brackets: Per parameter and side, shares of the way to the wall (n, 2, 2): score still high, score fallen.
        box: Recommended box (n, 2), in steps of the lattice.
        is_known: Whether there is one.
        drawn: How many points of the even spread were used.
        upcoming: Points to ask next (m, n).
    """

    centre: FloatArray
    points: FloatArray
    scores: FloatArray
    logs: FloatArray
    fitted: int
    brackets: FloatArray
    box: IntArray
    is_known: bool
    drawn: int
    upcoming: FloatArray


def packed(rows: Sequence[Row], most_points: int, widest_ask: int) -> dict[str, npt.NDArray[Any]]:
    """Rows as arrays with the trajectory as first axis; points and upcoming points are filled up with zeros."""
    count, n = len(rows), len(rows[0].centre)
    points, scores = np.zeros((count, most_points, n)), np.zeros((count, most_points))
    upcoming, told = np.zeros((count, widest_ask, n)), np.zeros(count, dtype=np.int64)
    for index, row in enumerate(rows):
        told[index] = len(row.scores)
        points[index, : told[index]], scores[index, : told[index]] = row.points, row.scores
        upcoming[index, : len(row.upcoming)] = row.upcoming
    return {
        "told": told,
        "points": points,
        "scores": scores,
        "upcoming": upcoming,
        "asked": np.array([len(row.upcoming) for row in rows], dtype=np.int64),
        "centre": np.stack([row.centre for row in rows]),
        "logs": np.stack([row.logs for row in rows]),
        "fitted": np.array([row.fitted for row in rows], dtype=np.int64),
        "brackets": np.stack([row.brackets for row in rows]),
        "box": np.stack([row.box for row in rows]),
        "is_known": np.array([row.is_known for row in rows], dtype=np.bool_),
        "drawn": np.array([row.drawn for row in rows], dtype=np.int64),
    }


def unpacked(state: dict[str, npt.NDArray[Any]], index: int) -> Row:
    """One of the rows that were packed."""
    told, asked = int(state["told"][index]), int(state["asked"][index])
    return Row(
        centre=state["centre"][index],
        points=state["points"][index, :told],
        scores=state["scores"][index, :told],
        logs=state["logs"][index],
        fitted=int(state["fitted"][index]),
        brackets=state["brackets"][index],
        box=state["box"][index],
        is_known=bool(state["is_known"][index]),
        drawn=int(state["drawn"][index]),
        upcoming=state["upcoming"][index, :asked],
    )
