"""Corners of a region and of its outer region: where they are asked, and what of their scores is seen."""

from __future__ import annotations

from typing import final

import numpy as np

from semrob_env.errors import InvalidParameterError
from semrob_env.regions import corner_masks
from semrob_env.types import BoolArray, FloatArray

OUTER_MARGIN = 0.1
"""How far the outer region reaches beyond the region, on each side, as a share of the width: alpha / 2 ..."""
LEAST_OUTER_WIDTH = 0.02
"""... which is taken for at least so much of the range: so a region without width looks around as well."""
MOST_CORNERS_N = 6
"""Largest n whose 2^n corners are all asked."""


@final
class Corners:
    """Which corners of a region are asked in a step: all 2^n, or m sampled ones that change from step to step.

    Sampled corners come in pairs, one and the opposite one, so that each face has half of them. Which ones, m / 2
    numbers in [0, 1) a parameter say (`flips`): from 0.5 the first corner of the pair has the upper bound.

    Args:
        n: Number of parameters.
        sampled: None: all corners; or m, an even number.

    Attributes:
        count: Corners asked, of the region and as many of the outer one.
        pairs: m / 2; 0 where all corners are asked.
        seen: Numbers that are seen of their scores: one a corner, or one a face.

    Raises:
        InvalidParameterError: All corners of more than 6 parameters.
    """

    def __init__(self, n: int, sampled: int | None) -> None:
        if sampled is None and n > MOST_CORNERS_N:
            raise InvalidParameterError(
                f"{n} parameters have {2**n} corners, all are asked up to n = {MOST_CORNERS_N}; give corners=m for m "
                "sampled ones, for example corners=16"
            )
        self._n = n
        self.pairs = (sampled or 0) // 2
        self.count = 2**n if sampled is None else sampled
        self.seen = 2 * self.count if sampled is None else 4 * n
        if sampled is None:
            # Where in [bounds, outer bounds] those of each corner and outer corner stand, (n, 2 * 2^n).
            inner = np.where(corner_masks(n).T, n, 0) + np.arange(n)[:, None]
            self._ends = np.concatenate([inner, inner + 2 * n], axis=1)

    def places(self, ends: FloatArray, flips: FloatArray) -> FloatArray:
        """Corners, then outer corners (n, 2 * count, B) of regions with the ends (2n, B), lower ones first."""
        n, size = self._n, ends.shape[1]
        margin = (ends[n:] - ends[:n]) * OUTER_MARGIN
        np.maximum(margin, OUTER_MARGIN * LEAST_OUTER_WIDTH, out=margin)
        boxes = np.empty((4 * n, size))
        boxes[: 2 * n] = ends
        np.subtract(ends[:n], margin, out=boxes[2 * n : 3 * n])
        np.add(ends[n:], margin, out=boxes[3 * n :])
        if not self.pairs:
            return np.asarray(boxes.take(self._ends, axis=0))
        is_high, bounds = self._is_high(flips), boxes.reshape(2, 2, n, 1, size)
        return np.concatenate([np.where(is_high, high, low) for low, high in bounds], axis=1)

    def told(self, scores: FloatArray, flips: FloatArray) -> FloatArray:
        """What is seen (`seen`, B) of the scores (2 * count, B): they, or means on lower, upper and outer faces."""
        if not self.pairs:
            return scores
        is_high = self._is_high(flips)
        means = [
            # Added one by one, in order: the bits of a game never depend on the games around it.
            np.add.accumulate(np.where(chosen, box, 0.0), axis=1)[:, -1] / self.pairs
            for box in scores.reshape(2, self.count, -1)
            for chosen in (~is_high, is_high)
        ]
        return np.concatenate(means)

    def _is_high(self, flips: FloatArray) -> BoolArray:
        """Which corners have the upper bound of each parameter, (n, count, B)."""
        first = flips >= 0.5
        return np.stack([first, ~first], axis=2).reshape(self._n, self.count, -1)
