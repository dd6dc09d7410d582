"""Where a synthetic function of 1 or 2 active parameters is at least a level: exact shares of boxes, and best boxes.

{f >= level} is {prod_k p_k >= c} without {prod_k t_k > e}. Along one parameter p >= c is an interval around the centre.
For two, seen from a centre, {p_1 p_2 >= c} lies below a falling curve w(x), the distance up to which p_2 >= c / p_1(x):
a logarithm gives its integral for straight flanks, Gauss-Legendre for smooth ones (error below 1e-9 for c >= 1e-3).

Best boxes, without a trap: of all intervals of one width, the one nearest the centre has the largest values of p, in
distribution, so the best box has such windows, and only widths are searched for: on a grid that is made finer around
the best. Where the volume has one maximum between two places of the first grid, the relative error is below 1e-8.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from semrob_env.synthetic.landscape import Box, Bumps, Landscape
from semrob_env.synthetic.optimum import Windows
from semrob_env.types import BoolArray, FloatArray

MOST_ACTIVE = 2  # active parameters up to which shares are known

_RULE = np.polynomial.legendre.leggauss(32)
_NODES, _WEIGHTS = (_RULE[0] + 1) / 2, _RULE[1] / 2
_NOWHERE = 2.0  # A value that no bump reaches
_SOME = 1e-300  # so that what is bad is not lost by rounding altogether
_BELOW_1 = 1 - 2.0**-53
_FAR = 2.0**500  # half a turn of what has none
_FIRST, _FINER, _ROUNDS = 96, 16, 9
_CLEAR = 1e-11
"""Share of a width by which a box that must be good all over stays clear of its edge, where rounding decides."""


def share_above(
    landscape: Landscape, lower: FloatArray, upper: FloatArray, level: float, *, complement: bool = False
) -> FloatArray:
    """Share (B,) of boxes (B, A), at most one turn long, where f >= level; complement: where 1 - f >= level."""

    def is_good(score: float) -> bool:
        return (1 - score if complement else score) >= level

    # The complement's share is that of what is not bad, f > 1 - level: plateaus at the level itself are good.
    bar = 1 - level if complement else level
    top, bottom = landscape.high, landscape.high - landscape.depth
    if is_good(top) == complement:  # f reaches the bar nowhere
        return np.full(len(lower), float(complement))
    reached = np.ones(len(lower))
    if is_good(landscape.low) == complement:
        reached = _product_share(landscape.bumps, lower, upper, (bar - landscape.low) / (top - landscape.low))
    if landscape.trap is not None and is_good(bottom) == complement:
        reached = reached - _product_share(landscape.trap, lower, upper, (top - bar) / landscape.depth)
    return 1 - reached if complement else reached


def _product_share(bumps: Bumps, lower: FloatArray, upper: FloatArray, least: float) -> FloatArray:
    """Share (B,) of boxes (B, A) on which 0 < prod_k p_k >= least."""
    count, active = lower.shape
    bar = np.full(count, min(max(least, 0.0), 1.0))
    is_point = upper <= lower
    values = bumps.values(lower)
    if active == 1:
        return _line_share(bumps, 0, lower, upper, bar)
    share = np.empty(count)
    for k in range(active):  # without width along k: what the other parameter makes of it
        rows = is_point[:, k] & (k == 0 or ~is_point[:, 0])
        share[rows] = _line_share(bumps, 1 - k, lower[rows], upper[rows], _over(bar, values[:, k])[rows])
    rows = np.asarray(~is_point.any(axis=1))
    share[rows] = _plane_share(bumps, lower[rows], upper[rows], bar[rows])
    return share


def _line_share(bumps: Bumps, k: int, lower: FloatArray, upper: FloatArray, bar: FloatArray) -> FloatArray:
    """Share (B,) of intervals k of boxes (B, A) on which p_k is at least a bar (B,)."""
    reach = bumps.distance_at(k, bar)
    good, bad = np.zeros(len(bar)), np.zeros(len(bar))
    for near, far in _pieces(bumps, k, lower, upper):
        end = np.clip(reach, near, far)
        good, bad = good + (end - near), bad + (far - end)
    holds = np.abs(bumps.distance(lower)[:, k]) <= reach
    return np.where(upper[:, k] > lower[:, k], _share(good, bad), holds)


def _plane_share(bumps: Bumps, lower: FloatArray, upper: FloatArray, bar: FloatArray) -> FloatArray:
    """Share (B,) of boxes (B, 2) with a volume on which p_1 p_2 is at least a bar (B,)."""
    good, bad = np.zeros(len(bar)), np.zeros(len(bar))
    second = list(_pieces(bumps, 1, lower, upper))
    for left, right in _pieces(bumps, 0, lower, upper):
        for near, far in second:
            # As x grows: all of near..far is good, then what is below the curve, then nothing.
            ends = (bumps.distance_at(0, _over(bar, bumps.value_at(1, y))) for y in (far, near))
            full, none = (np.clip(end, left, right) for end in ends)
            below = _below_curve(bumps, bar, full, none)
            good = good + (full - left) * (far - near) + np.maximum(below - (none - full) * near, 0.0)
            bad = bad + (right - none) * (far - near) + np.maximum((none - full) * far - below, (none - full) * _SOME)
    return _share(good, bad)


def _share(good: FloatArray, bad: FloatArray) -> FloatArray:
    """Share (B,) of what is good: 1 only where nothing is bad; 0 where there is neither."""
    share = np.divide(good, good + bad, out=np.zeros_like(good), where=good > 0)
    return np.where(bad > 0, np.minimum(share, _BELOW_1), share)


def _below_curve(bumps: Bumps, bar: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    """Integral (B,) over the distance x from the first centre of the distance up to which p_2 >= bar / p_1(x)."""
    if bumps.smooth:  # with x = flank sqrt(1 - sqrt(bar)) sin(phi) nothing is singular at the end of the curve
        most = np.sqrt(1 - np.sqrt(bar))
        first, last = (
            np.arcsin(np.clip(x / np.where(most > 0, bumps.flank[0] * most, 1.0), 0.0, 1.0)) for x in (start, end)
        )
        phi = first[:, None] + (last - first)[:, None] * _NODES
        square = (most * most)[:, None]
        bend = square * np.cos(phi) ** 2 / np.sqrt(np.maximum(1 - square * np.sin(phi) ** 2, np.finfo(float).tiny))
        return np.asarray(bumps.flank[0] * bumps.flank[1] * (last - first) * (bend * _WEIGHTS).sum(axis=1))
    ridge = np.clip(bumps.half[0], start, end)  # up to there p_1 = 1
    high, low = (np.maximum(bumps.value_at(0, x), np.where(bar > 0, bar, 1.0)) for x in (ridge, end))
    flat = (ridge - start) * bumps.distance_at(1, bar)
    sloped = bumps.reach[1] * (end - ridge) - bumps.flank[0] * bumps.flank[1] * bar * np.log(high / low)
    return np.asarray(flat + sloped)


def _over(bar: FloatArray, value: FloatArray) -> FloatArray:
    """What the other bump must reach (B,): bar / value."""
    return np.asarray(np.divide(bar, value, out=np.full(np.shape(value), _NOWHERE), where=value > 0))


def _pieces(bumps: Bumps, k: int, lower: FloatArray, upper: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Intervals k of boxes (B, A) in parts: the least and largest distance (B,) of each from the centre nearest to it.

    On either side of the centre in three turns; left out are parts that no interval has.
    """
    middle = (lower + upper) / 2
    offset = middle - bumps.distance(middle)
    left, right = (lower - offset)[:, k], (upper - offset)[:, k]
    half_turn = float(bumps.period[k]) / 2 if np.isfinite(bumps.period[k]) else _FAR
    for part in range(-3, 3):
        center = (part + 1) // 2 * 2 * half_turn
        start, end = (np.clip(bound, part * half_turn, (part + 1) * half_turn) - center for bound in (left, right))
        if (end > start).any():
            yield (start, end) if part % 2 == 0 else (-end, -start)


def widest_reliable(
    landscape: Landscape, start: FloatArray, low: FloatArray, high: FloatArray, level: float, reliability: float
) -> Box | None:
    """The largest box (A,) around start (A,) that is at least a level on a share of it; None if there is none.

    Unwrapped on periodic parameters.

    Args:
        landscape: The formula over A <= 2 parameters, without a trap.
        start: Point that the box must contain.
        low: Lower bounds (A,) of the space.
        high: Upper bounds (A,) of the space.
        level: Score from which on a point is good.
        reliability: Least share of good points, in (0, 1].
    """
    windows = Windows(landscape.bumps, start, low, high)
    least = min(reliability * (1 + 1e-12), 1.0)

    def is_good(widths: FloatArray) -> BoolArray:
        rows = widths.reshape(-1, widths.shape[-1])
        return (share_above(landscape, *windows.bounds(rows), level) >= least).reshape(widths.shape[:-1])

    def largest(first: FloatArray) -> FloatArray:
        """Largest good width of the last parameter (M,), given those of the others (M, A - 1); 0: none."""
        most = windows.widest[-1]
        below, above = np.zeros(len(first)), np.full(len(first), most)
        count = _FIRST
        for _ in range(_ROUNDS):
            trials = below[:, None] + np.linspace(0, 1, count + 1)[1:] * (above - below)[:, None]
            others = np.broadcast_to(first[:, None, :], (*trials.shape, first.shape[1]))
            good = is_good(np.concatenate([others, trials[..., None]], axis=-1))
            best = np.where(good.any(axis=1), count - good[:, ::-1].argmax(axis=1), 0)  # 0: below itself
            edges = np.concatenate([below[:, None], trials, trials[:, -1:]], axis=1)
            rows = np.arange(len(first))
            below, above, count = edges[rows, best], edges[rows, best + 1], _FINER
        return below

    if len(start) == 1:
        widths = largest(np.empty((1, 0)))
    else:
        least_first, most_first, count = 0.0, float(windows.widest[0]), _FIRST
        widths = np.zeros(2)
        for _ in range(_ROUNDS):
            trials = least_first + np.linspace(0, 1, count + 1)[1:] * (most_first - least_first)
            seconds = largest(trials[:, None])
            best = int((trials * seconds).argmax())
            if trials[best] * seconds[best] > widths.prod():
                widths = np.array([trials[best], seconds[best]])
            step = trials[1] - trials[0]
            least_first, most_first, count = max(trials[best] - step, 0.0), min(trials[best] + step, most_first), _FINER
    if not (widths > _CLEAR * windows.widest).all():
        return None
    return windows.bounds(widths * (1 - _CLEAR) if reliability == 1 else widths)
