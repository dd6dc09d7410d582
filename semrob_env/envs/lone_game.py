"""One game of RegionGrow in plain numbers: the operations of `RegionGame`, without arrays of one column.

A single environment takes one step at a time, and NumPy needs a microsecond for each of its many small operations. This
does the same operations in the same order on floats, in a third of the time and to the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, final

import numpy as np

from semrob_env.envs.corners import LEAST_OUTER_WIDTH, OUTER_MARGIN
from semrob_env.envs.estimate import LEAST_SIDE, MOST_VARIANCE, WINDOW
from semrob_env.envs.region_rules import RegionRules
from semrob_env.parameters import SemanticSpace
from semrob_env.regions import corner_masks
from semrob_env.sequences import golden_ratios
from semrob_env.types import Float32Array, FloatArray


class _Step(NamedTuple):
    """What the window holds of a step: points (P, n), their scores (P,), ends (n,) of the region, its volume."""

    points: list[list[float]]
    scores: list[float]
    low: list[float]
    high: list[float]
    volume: float


@final
class LoneRegion:
    """The state of one game of which all 2^n corners are asked; `RegionGame` says what each method does.

    Args:
        space: The space of theta.
        rules: What is looked for and how it is played.
        cost: Queries of a step.
        score_range: Lowest and highest score of the function.
    """

    def __init__(self, space: SemanticSpace, rules: RegionRules, cost: int, score_range: tuple[float, float]) -> None:
        self._n, self._rules, self._cost, self._score_range = space.n, rules, cost, score_range
        self._ratio: list[float] = (rules.points * golden_ratios(space.n)).tolist()
        # Of each parameter: its range, and the lowest and largest value allowed in a query.
        highest = np.where(space.is_periodic, np.nextafter(space.high, -np.inf), space.high)
        self._axes = list(
            zip(space.width.tolist(), space.low.tolist(), highest.tolist(), space.is_periodic.tolist(), strict=True)
        )
        self._masks = [list(enumerate(mask)) for mask in corner_masks(space.n).tolist()]
        self.steps = self.share = self.mean = self.variance = self.objective = 0.0

    def read(self, arrays: Mapping[str, FloatArray], slots: tuple[slice, slice, slice, int]) -> None:
        """Take the state from the arrays of a `RegionGame`, whose window has these slots."""
        n, (points, scores, ends, volume) = self._n, slots
        start, unit, self._limit, self._reach = (
            arrays[name][:, 0].tolist() for name in ("start", "unit", "limit", "reach")
        )
        self._start, self._unit = start[:n], unit[:n]
        self._phase: list[list[float]] = arrays["phase"][..., 0].T.tolist()
        self._seen: list[float] = arrays["seen"][:, 0].tolist()
        self._window = [
            _Step(
                step[points].reshape(-1, n).tolist(),
                step[scores].tolist(),
                step[ends][:n].tolist(),
                step[ends][n:].tolist(),
                float(step[volume]),
            )
            for step in arrays["window"][..., 0]
            if step[volume] < math.inf
        ]
        self.steps, self.share, self.mean, self.variance, self.objective = (
            arrays[name].item() for name in ("steps", "share", "mean", "variance", "objective")
        )

    def write(self, arrays: Mapping[str, FloatArray], slots: tuple[slice, slice, slice, int]) -> None:
        """Write into the arrays what changes within an episode."""
        points, scores, ends, volume = slots
        arrays["reach"][:, 0] = self._reach
        arrays["phase"][..., 0] = np.array(self._phase).T
        arrays["seen"][:, 0] = self._seen
        for into, step in zip(arrays["window"][..., 0], self._window, strict=False):
            into[points], into[scores] = np.ravel(step.points), step.scores
            into[ends], into[volume] = [*step.low, *step.high], step.volume
        for name in ("steps", "share", "mean", "variance", "objective"):
            arrays[name][0] = getattr(self, name)

    def move(self, action: list[float]) -> None:
        """Move the bounds by an action (2n,) that has been checked and clipped."""
        n, before, size = self._n, self._reach, self._rules.largest_step
        after = [min(max(a * size + b, 0.0), limit) for a, b, limit in zip(action, before, self._limit, strict=True)]
        for k, (*_, turns) in enumerate(self._axes):
            if turns and (total := after[k] + after[n + k]) > 1.0:
                first = before[k] + before[n + k]
                after[k] = min(before[k] + (1.0 - first) / (total - first) * (after[k] - before[k]), 1.0)
                after[n + k] = 1.0 - after[k]
        self._reach = after
        for point in self._phase:
            for k, step in enumerate(self._ratio):
                ahead = point[k] + step
                point[k] = ahead - math.floor(ahead)
        low, high = [-down for down in after[:n]], after[n:]
        sides = [h - lo for h, lo in zip(high, low, strict=True)]
        points = [
            [min(p * side + lo, h) for p, side, lo, h in zip(point, sides, low, high, strict=True)]
            for point in self._phase
        ]
        volume, share = max(sides[0], LEAST_SIDE), sides[0]
        for side in sides[1:]:
            volume, share = volume * max(side, LEAST_SIDE), share * side
        self.share = min(share, 1.0)
        self._window = [_Step(points, [0.0] * len(points), low, high, volume), *self._window[: WINDOW - 1]]

    def queries(self) -> FloatArray:
        """Corners, outer corners and points inside, theta (1, m, n), projected into the space."""
        newest = self._window[0]
        low, high = newest.low, newest.high
        margins = [
            max((h - lo) * OUTER_MARGIN, OUTER_MARGIN * LEAST_OUTER_WIDTH) for h, lo in zip(high, low, strict=True)
        ]
        outer_low = [lo - margin for lo, margin in zip(low, margins, strict=True)]
        outer_high = [h + margin for h, margin in zip(high, margins, strict=True)]
        columns = []
        for k, (width, least, most, turns) in enumerate(self._axes):
            start, turn = self._start[k], width
            ends = []
            for share in (low[k], high[k], outer_low[k], outer_high[k], *[point[k] for point in newest.points]):
                at = share * width + start
                if turns:
                    if not least <= at <= most:
                        away = at - least
                        if -turn <= away < 2 * turn:
                            at = least + (away + turn if away < 0 else away - turn)
                        else:
                            at = least + away % turn
                        if at > most:  # rounding may reach the end of the turn
                            at = least
                else:
                    at = min(max(at, least), most)
                ends.append(at)
            inner = [ends[mask[k][1]] for mask in self._masks]
            outer = [ends[2 + mask[k][1]] for mask in self._masks]
            columns.append(inner + outer + ends[4:])
        return np.asarray(np.array(columns).T[None])

    def take(self, values: FloatArray) -> None:
        """Take the scores (1, m) at `queries()`."""
        rules, (lowest, highest) = self._rules, self._score_range
        scores: list[float] = values[0].tolist()
        if (lowest, highest) != (0.0, 1.0):
            scores = [(score - lowest) / (highest - lowest) for score in scores]
        self._seen = scores[: -rules.points]
        self._window[0].scores[:] = scores[-rules.points :]
        self.steps += 1.0
        self._estimate()
        missed = max(1.0 - rules.epsilon_m - self.mean, 0.0) + max(self.variance - rules.epsilon_v, 0.0)
        self.objective = -missed if missed > 0.0 else self.share

    def _estimate(self) -> None:
        """Mean and variance, as `window_moments` has them."""
        newest = self._window[0]
        box, reference = list(zip(newest.low, newest.high, strict=True)), newest.scores[0]
        older = [
            (newest.volume / step.volume, list(zip(step.low, step.high, strict=True))) for step in self._window[1:]
        ]
        total = squares = sum_above = sum_squared = 0.0
        for step in self._window:
            for point, score in zip(step.points, step.scores, strict=True):
                for at, (low, high) in zip(point, box, strict=True):
                    if not low <= at <= high:
                        break
                else:
                    density = 1.0
                    for ratio, other in older:
                        for at, (low, high) in zip(point, other, strict=True):
                            if not low <= at <= high:
                                break
                        else:
                            density += ratio
                    weight, above = 1.0 / density, score - reference
                    first = weight * above
                    total += weight
                    squares += weight * weight
                    sum_above += first
                    sum_squared += first * above
        mean = sum_above / total
        spread = max(sum_squared / total - mean * mean, 0.0)
        effective = total * total
        self.mean = min(max(reference + mean, 0.0), 1.0)
        self.variance = min(spread * (effective / (effective - squares)), MOST_VARIANCE)

    def observation(self) -> Float32Array:
        """What agents see, (1, D)."""
        newest, unit = self._window[0], self._unit
        seen = [at + end for ends in (newest.low, newest.high) for at, end in zip(unit, ends, strict=True)]
        left = (self._rules.budget - self._cost * self.steps) / self._rules.budget
        seen += [*unit, *self._seen, self.mean, self.variance * 4.0, self.share, left]
        return np.array([seen], dtype=np.float32)

    def bounds(self) -> tuple[list[float], list[float]]:
        """Lower and upper bounds (n,) in native units, unwrapped around theta0."""
        newest, ends = self._window[0], []
        for shares in (newest.low, newest.high):
            side = []
            for share, start, (width, least, most, turns) in zip(shares, self._start, self._axes, strict=True):
                at = share * width + start
                side.append(at if turns else min(max(at, least), most))
            ends.append(side)
        return ends[0], ends[1]
