"""The largest box that contains a point, with bounds on its mean (`least`) and variance (`most_variance`).

Mean constraint alone, no trap (all that counts at the default most_variance = 0.25): exact. E[f] = low + h prod_k m_k,
so for given widths each interval should hold as much of its bump as it can, which is known (the window of that width
nearest the centre), and what is left is to maximise sum_k log r_k under sum_k -log M_k(r_k) <= -log c, with
c = (least - low) / h. As the bumps are unimodal and log-concave, -log M_k falls to one minimum and is convex in
log r_k from there on, so the Karush-Kuhn-Tucker conditions are sufficient: at one multiplier, found by regula falsi,
all parameters have the same slope. Beyond the flanks a wider interval costs the same along every parameter; the rest
of the allowance is spent there in order. Relative error of the volume below 1e-9.

With a trap, or if that box breaks the variance constraint: a coarse global search, then local searches (SLSQP, exact
moments and slopes) from its best boxes and a few others (`search`). No proof that the best of them is the
global one; for up to 3 parameters tests hold it against brute force. The exact volume without trap and variance is an
upper bound, and the search stops when it reaches it. Relative error of a local search about 1e-7.

Cost: 5 to 500 ms for the exact method; 0.2 to 5 s for a search up to n = 6, 10 to 40 s at n = 20 (two busy cores).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from semrob_env.synthetic.landscape import Box, BoxProblem, Bumps
from semrob_env.types import BoolArray, FloatArray

_ROUNDING = 1e-12
_CLEAR = 1e-10
_STEPS = 100
_SECTIONS, _ROUNDS = 32, 10  # A bracket is cut into 32 parts 10 times: 2^-50 of the range is left


def widest_box(problem: BoxProblem) -> Box | None:
    """The largest feasible box, unwrapped on periodic parameters; None if there is none."""
    least, high = problem.least, problem.landscape.high
    relaxed = _widest_for_mean(problem, least)
    if relaxed is None:
        return None  # a trap or a variance constraint only takes away
    if problem.is_feasible(relaxed):
        return relaxed
    stricter = [_widest_for_mean(problem, high - (high - least) * share) for share in 1 - np.geomspace(0.03, 1.0, 3)]
    boxes = [relaxed, *(box for box in (_with_whole_trap(problem, relaxed), *stricter) if box is not None)]
    from semrob_env.synthetic.search import search  # it needs scipy.optimize, which is slow to import

    return search(problem, boxes)


def _with_whole_trap(problem: BoxProblem, relaxed: Box) -> Box | None:
    """Widest box for the mean among those that hold all of the trap; None without one.

    There the trap costs depth * K / volume with a fixed K, so the volume is the largest fixed point of a falling
    iteration that begins at the volume without the trap.
    """
    trap = problem.landscape.trap
    if trap is None:
        return None
    mean_only = problem.with_limits(problem.least, np.inf)
    box: Box | None = relaxed
    means = trap.box_moments(trap.center - trap.reach, trap.center + trap.reach)[0]
    for _ in range(_STEPS):
        if box is None or mean_only.is_feasible(box):
            break
        cost = problem.landscape.depth * float(np.prod(means * 2 * trap.reach / (box[1] - box[0])))
        box = _widest_for_mean(problem, problem.least + cost + _ROUNDING)
    return box


def _widest_for_mean(problem: BoxProblem, least: float) -> Box | None:
    """Widest box with low + h prod_k m_k >= least: trap and variance are left out."""
    landscape = problem.landscape
    needed = (least - landscape.low) / (landscape.high - landscape.low)
    if needed > 1:
        return None
    windows = Windows(landscape.bumps, problem.start, problem.low, problem.high)
    if needed <= 0:
        return windows.bounds(windows.widest)
    # A hair stricter, so that rounding leaves the box on the feasible side.
    allowance = float(-np.log(min(needed * (1 + _ROUNDING), 1.0)))
    if _cost(windows, windows.widest) <= allowance:
        return windows.bounds(windows.widest)
    widths = windows.widths_at(0.0)
    if allowance == 0:  # only the plateau itself is good enough: stay clear of its edge, where rounding decides
        widths = widths * (1 - _CLEAR)
    excess = _cost(windows, widths) - allowance
    if excess > 0:
        return None
    covering = windows.covering()
    excess_covering = _cost(windows, covering) - allowance
    if excess_covering > 0:
        return windows.bounds(_at_common_slope(windows, widths, allowance, excess, excess_covering))
    for k in range(len(covering)):  # beyond the flanks width and cost grow alike
        left = max(allowance - _cost(windows, covering), 0.0)
        covering[k] = min(covering[k] * np.exp(left), windows.widest[k])
    return windows.bounds(covering)


def _at_common_slope(
    windows: Windows, widths: FloatArray, allowance: float, excess_low: float, excess_high: float
) -> FloatArray:
    """Widths (A,) whose cost is just within the allowance, all at one slope in (0, 1): regula falsi (Illinois)."""
    low, high, last, left = 0.0, 1.0, 0, -excess_low
    for _ in range(_STEPS):
        if left <= _ROUNDING / 10 or high - low < _ROUNDING / 10:
            break
        steep = not np.isfinite(excess_high)
        slope = (low + high) / 2 if steep else (low * excess_high - high * excess_low) / (excess_high - excess_low)
        trial = windows.widths_at(slope)
        excess = _cost(windows, trial) - allowance
        side = -1 if excess <= 0 else 1
        if side < 0:
            low, excess_low, widths, left = slope, excess, trial, -excess
        else:
            high, excess_high = slope, excess
        if side == last:  # the end that stays counts half, or it would stay for ever
            excess_low, excess_high = (excess_low, excess_high / 2) if side < 0 else (excess_low / 2, excess_high)
        last = side
    return widths


def _cost(windows: Windows, widths: FloatArray) -> float:
    means = windows.means(widths)
    return float(-np.log(means).sum()) if (means > 0).all() else np.inf


@final
@dataclass(frozen=True, eq=False)
class Windows:
    """Along each parameter, the best window of a given width: it contains start and holds most of the bump."""

    bumps: Bumps  # the bumps along A parameters
    start: FloatArray  # point (A,) that every window contains
    low: FloatArray  # lower bounds (A,) of the space
    high: FloatArray  # upper bounds (A,) of the space

    @cached_property
    def widest(self) -> FloatArray:
        """Width of the space (A,)."""
        return self.high - self.low

    def bounds(self, widths: FloatArray) -> Box:
        """Ends (A,) of the best windows: centred on the bump, moved no more than start and space demand."""
        least, most = self._room(widths)
        lower = np.clip(self._center - widths / 2, least, most)
        # Rounding must not lose the start or leave the space.
        return np.minimum(lower, self.start), self._cut(np.maximum(lower + widths, self.start))

    def means(self, widths: FloatArray) -> FloatArray:
        """Means M_k of the bumps over the best windows, (A,)."""
        return self.bumps.box_moments(*self.bounds(widths))[0]

    def widths_at(self, slope: float) -> FloatArray:
        """Largest widths (A,) up to which d(-log M_k) / d(log r_k) <= slope, in [0, 1]."""
        # The slope is 1 - p(moving end) / M; where the window holds nothing yet, growing is free.
        floor = 1 - slope - _ROUNDING
        return self._bisect(lambda widths: self._moving(widths) >= floor * self.means(widths))

    def covering(self) -> FloatArray:
        """Smallest widths (A,) that hold all of the bump that is in reach."""
        return self._bisect(lambda widths: (self._moving(widths) > 0) | (self.means(widths) == 0))

    def _bisect(self, is_good: Callable[[FloatArray], BoolArray]) -> FloatArray:
        below, above = np.zeros_like(self.start), np.array(self.widest)
        all_good = is_good(above[None])[0]
        fractions = np.linspace(0, 1, _SECTIONS + 1)[:, None]
        rows = np.arange(len(below))
        for _ in range(_ROUNDS):
            trials = below + fractions * (above - below)
            good = is_good(trials[1:-1]).sum(axis=0)  # good up to one width, not beyond
            below, above = trials[good, rows], trials[good + 1, rows]
        return np.where(all_good, self.widest, below)

    def _moving(self, widths: FloatArray) -> FloatArray:
        """Values p (A,) at the end that moves outwards when the window grows."""
        lower, upper = self.bounds(widths)
        least, most = self._room(widths)
        wanted = self._center - widths / 2
        held_by_space = np.isfinite(self._wall_high) & (self._wall_high - widths <= self.start)
        lower_moves = np.where(wanted >= most, held_by_space, self.start - widths > self._wall_low)
        lower_moves = np.where((wanted > least) & (wanted < most), True, lower_moves)
        return self.bumps.values(np.where(lower_moves, lower, upper))

    @cached_property
    def _center(self) -> FloatArray:
        """Bump centres (A,), the copy nearest to start where periodic."""
        return self.start - self.bumps.distance(self.start)

    @cached_property
    def _wall_low(self) -> FloatArray:
        return np.where(np.isfinite(self.bumps.period), -np.inf, self.low)

    @cached_property
    def _wall_high(self) -> FloatArray:
        return np.where(np.isfinite(self.bumps.period), np.inf, self.high)

    def _room(self, widths: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Least and largest lower end (A,) of a window that contains start and stays inside the walls."""
        return np.maximum(self._wall_low, self.start - widths), np.minimum(self._wall_high - widths, self.start)

    def _cut(self, upper: FloatArray) -> FloatArray:
        return np.minimum(upper, self._wall_high)
