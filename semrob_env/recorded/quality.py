"""How well a grid of scores tells the scores between its lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from semrob_env.recorded.maps import ScoreMaps


@final
@dataclass(frozen=True)
class HeldOutError:
    """Interpolation error where every second grid line of each axis is held out and interpolated from the others.

    The maps themselves are twice as fine as what is tested here.
    """

    mean_absolute: float  # mean absolute error of the scores
    # Share of held-out points that interpolation puts on the other side of the middle of the score range (0.5).
    flips: float
    points: int  # number of held-out points, all maps together


def held_out_error(maps: ScoreMaps) -> HeldOutError:
    """The error of interpolation between every second grid line; points beyond the last kept line are left out."""
    true = maps.scores.astype(np.float64)
    turns = maps.space.is_periodic
    for k in range(maps.space.n):
        if not turns[k] and true.shape[k + 1] % 2 == 0:
            true = np.delete(true, -1, axis=k + 1)
    guess, is_held = true.copy(), np.zeros(true.shape[1:], dtype=np.bool_)
    for k in range(maps.space.n):
        lines, count = np.moveaxis(guess, k + 1, 0), true.shape[k + 1]
        odd = np.arange(1, count, 2)
        lines[odd] = (lines[odd - 1] + lines[(odd + 1) % count]) / 2
        np.moveaxis(is_held, k, 0)[odd] = True
    true, guess = true[:, is_held], guess[:, is_held]
    middle = sum(maps.score_range) / 2
    flips = (true >= middle) != (guess >= middle)
    return HeldOutError(float(np.abs(true - guess).mean()), float(flips.mean()), true.size)
