"""RegionGrow as a game: the rules of growing a region by moving its bounds, for B games at once, in plain arrays.

A *game* knows no function and no oracle: it says which points it asks (`queries`), takes their scores (`take`), and
then knows its objective, what an agent sees (`observation`) and whether it has ended. The environments and agents
behind ask / tell play the same one, so all of them see the same numbers.

**Region.** A game is at theta0 and reaches from there by shares of the range of each parameter: down_k below and up_k
above theta0, both 0 at the beginning. So lower_k = theta0_k - down_k * range_k <= theta0_k <= upper_k always holds. A
plain parameter ends at the bounds of the space; a periodic one is kept unwrapped around theta0, and its sides end where
they meet, after one turn, in proportion of the last move.

**Asked** in each step: the corners of the region; the corners of an outer region, with a margin of alpha / 2 = 0.1 of
the width on each side, as Hamdi & Ghanem 2020 have it, but of at least 0.002 of the range, so that a region without
width looks around as well; and `points` points inside. With `corners` = m, m corners of either stand for all 2^n: each
is followed by the opposite one, so that each face has half of them, and they change from step to step.

**Points inside** continue an additive recurrence from a random shift that each episode draws once. Mean and variance
over the region, of what the goal counts, are estimated from those asked in the last 4 steps. Corners are no part of it.

**Estimate.** Each point weighs 1 / (sum over the last regions of 1 / volume of those that hold the point): the balance
heuristic for samples from several densities of Veach & Guibas (*Optimally combining sampling techniques*, SIGGRAPH
1995). So points of small regions, which crowd around theta0, count for as little as they cover.

Chosen on the recorded maps (n = 2, 4 points a step, 16 steps of three policies, against the exact moments). The error
of the mean (root mean square) is 0.02 to 0.04 with a window of 4 steps, 0.03 to 0.07 from the fresh points alone; its
bias is 0.0004 at most. Correlation of the objective with the exact one by policy: 0.985, 0.909, 0.999; from the fresh
points 0.978, 0.810, 0.998. Plain means of all answers inside have a bias of up to 0.009, of all points inside up to
0.023, and of fresh points with corners up to -0.031. Longer windows take less than 0.004 from the error. (On
functions without detail between the points, the fresh ones alone do better: they spread evenly.)

**Claim.** An agent that reads its own noisy estimates can wait for a lucky one. So `claim_points` queries are kept for
the end: independent uniform points of the final region, whose places no observation tells. The volume s is paid only
if they support the goal with 1 - `CLAIM_ALPHA` confidence (`semrob_env.metrics.certificates`: Clopper-Pearson for
shares, betting bounds for means and variances); else J is minus their shortfall and minus `CLAIM_STAKE` * s. A region
that does not meet the goal passes with a chance of at most alpha, and the stake is alpha / (1 - alpha): so whatever a
policy claims, it is paid no more than the true feasible volume in expectation, for lotteries too. With 0 points the
last estimate is taken at its word.

Each game is reckoned alone by compiled loops, in one order of operations: its numbers have the same bits in a batch of
any size. All lengths are shares of the range from theta0. Arrays of a window have the newest step first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.compiled import cached_njit
from semrob_env.envs.rules import Game, number_within, whole_number
from semrob_env.envs.traits import Traits
from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.metrics.certificates import goal_is_supported
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import GOAL_EXAMPLES, MOST_VARIANCE, Goal, MeanGoal, read_goal
from semrob_env.regions import Regions, corner_masks
from semrob_env.sequences import golden_ratios
from semrob_env.types import BoolArray, Float32Array, FloatArray, IntArray

CLAIM_POINTS = 32
"""Points that test a claim, if the budget has them: with no failure they support a share of 95 % at `CLAIM_ALPHA`."""

VARIANCE_CLAIM_POINTS = 128
"""The same for goals that bound the variance: fewer never support one of 0.05, the paper's."""

CLAIM_ALPHA = 0.2
"""Most chance that a region is paid that does not meet the goal."""

CLAIM_STAKE = CLAIM_ALPHA / (1 - CLAIM_ALPHA)
"""Share of its volume that a claim costs if it is not supported: so that no lottery is worth playing."""

WINDOW = 4
"""Steps whose points serve an estimate."""

MOST_CORNERS_N = 6
"""Largest n whose 2^n corners are all asked."""

_WHOLE = 1 - 1e-12
"""Share of the space from which a region is all of it."""


_OUTER_MARGIN = 0.1
"""How far the outer region reaches beyond the region, on each side, as a share of the width: alpha / 2 ..."""
_LEAST_OUTER_WIDTH = 0.02
"""... which is taken for at least so much of the range: so a region without width looks around as well."""
_LEAST_SIDE = 1e-6
"""Side, as a share of the range, from which the volume of a thin region is reckoned."""

_compiled = cached_njit(nogil=True, error_model="numpy")  # no fast math: the bits are a promise


@final
@dataclass(frozen=True)
class RegionRules:
    """What is looked for and how it is played: `RegionGrowEnv` tells of the fields.

    Raises:
        InvalidParameterError: A number out of its limits, or no goal.
        InvalidBudgetError: A budget that is no whole number of at least 1.
    """

    budget: int = 200
    goal: Goal = field(default_factory=MeanGoal)
    largest_step: float = 0.1
    points: int = 4
    corners: int | None = None
    claim_points: int | None = None

    def __post_init__(self) -> None:
        budget = whole_number("budget", self.budget, 1, error=InvalidBudgetError)
        goal: object = read_goal(self.goal) if isinstance(self.goal, str) else self.goal
        if not isinstance(goal, Goal):
            raise InvalidParameterError(f"goal {goal!r}: give a Goal, or its text such as {GOAL_EXAMPLES}")
        object.__setattr__(self, "goal", goal)
        corners = None if self.corners is None else whole_number("corners", self.corners, 2)
        if corners is not None and corners % 2:
            raise InvalidParameterError(f"corners {self.corners}: give an even number, or None for all 2^n")
        claim = None if self.claim_points is None else whole_number("claim_points", self.claim_points, 0)
        if claim == 1:
            raise InvalidParameterError("claim_points 1: give at least 2, or 0 to take the last estimate at its word")
        plain = {
            "budget": budget,
            "largest_step": number_within("largest_step", self.largest_step, 0.0, 1.0, above=True),
            "points": whole_number("points", self.points, 2),
            "corners": corners,
            "claim_points": claim,
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)


@final
class RegionGame(Game):
    """B games of RegionGrow; see the module.

    The objective J is s where the goal is met, with s the region's share of the space; else minus the goal's shortfall:
    for bounds on mean and variance -(max(0, least - mean) + max(0, variance - most)). It lies in [-1.25, 1], and after
    the claim in [-1.25 - `CLAIM_STAKE`, 1].

    Args:
        space: The space of theta.
        rules: What is looked for and how it is played.
        count: Number B of games.

    Raises:
        InvalidParameterError: More than 6 parameters and no `corners`.
        InvalidBudgetError: A budget that cannot pay the first observation and one step.
    """

    def __init__(self, space: SemanticSpace, rules: RegionRules, *, count: int = 1) -> None:
        n, points, sampled = space.n, rules.points, rules.corners
        if sampled is None and n > MOST_CORNERS_N:
            raise InvalidParameterError(
                f"{n} parameters have {2**n} corners, all are asked up to n = {MOST_CORNERS_N}; give corners=m for m "
                "sampled ones, for example corners=16"
            )
        self.rules = rules
        corners = sampled or 2**n
        cost = 2 * corners + points
        claim = rules.claim_points
        if claim is None:
            most = VARIANCE_CLAIM_POINTS if rules.goal.bounds_variance else CLAIM_POINTS
            claim = min(most, max(rules.budget - 2 * cost, 2))
        lowest = -1.25 - (CLAIM_STAKE if claim else 0.0)
        self.traits = Traits(
            objective_range=(lowest, 1.0), goal=rules.goal, clips_actions=True, sees_budget=True, stake=CLAIM_STAKE
        )
        self.action_size, self.draws = 2 * n, (2 + claim) * n
        shapes = {
            "start": (n,),  # theta0, native units
            "unit": (n,),  # the same in the unit cube
            "limit": (2 * n,),  # how far each side may reach at most
            "reach": (2 * n,),  # down, then up
            "phase": (points, n),  # where in the region the points inside lie
            "flips": ((sampled or 0) // 2, n),  # numbers of the same kind for sampled corners
            # Of each step, the newest first: points inside, as shares of the range from theta0; what the goal counts of
            # their scores; lower, then upper ends of the region; its volume.
            "window": (WINDOW, points * n + points + 2 * n + 1),
            "seen": (2 * corners if sampled is None else 4 * n,),
            "places": (claim, n),  # where in the final region the claim is tested
            **dict.fromkeys(("share", "mean", "variance", "confirmed"), ()),
        }
        super().__init__(space, count, shapes, cost=cost, budget=rules.budget, claim=claim)
        self._corners = corner_masks(n) if sampled is None else np.zeros((0, n), dtype=np.bool_)
        self._ratio = golden_ratios(n)
        self._most = np.where(space.is_periodic, np.nextafter(space.high, -np.inf), space.high)
        self._lowest, self._highest = (
            np.where(space.is_periodic, far, bound) for far, bound in ((-np.inf, space.low), (np.inf, space.high))
        )

    def restart(self, rows: IntArray, start: FloatArray, draws: FloatArray) -> None:
        """Put games back to the region of no width at theta0.

        Args:
            rows: Which games, (R,).
            start: theta0 (R, n), inside the space.
            draws: Random numbers (R, draws) in [0, 1): the shifts of the points inside and of sampled corners, and the
                places where a claim is tested.
        """
        state, n, whole = self._state, self.space.n, self.space.is_periodic
        unit = (start - self.space.low) / self.space.width
        fresh: dict[str, FloatArray | float] = {**dict.fromkeys(state, 0.0), "start": start, "unit": unit}
        fresh["limit"] = np.concatenate([np.where(whole, 1.0, unit), np.where(whole, 1.0, 1.0 - unit)], axis=1)
        fresh["places"] = draws[:, 2 * n :].reshape(len(rows), self.claim, n)
        for name, shift in (("phase", draws[:, :n]), ("flips", draws[:, n : 2 * n])):
            ahead = np.arange(1, state[name].shape[1] + 1)[:, None] * self._ratio
            fresh[name] = (shift[:, None] + ahead) % 1.0
        # An empty window: inf lies in no region, and weighs nothing as a volume.
        fresh["window"] = window = np.full(state["window"].shape[1:], math.inf)
        window[:, self._ends] = 0.0
        for name, values in fresh.items():
            state[name][rows] = values
        self._enter(rows)

    def move(self, action: npt.ArrayLike) -> None:
        """Move the bounds: +1 widens a side by `largest_step` of the range, -1 takes as much away; clipped to [-1, 1].

        Args:
            action: (B, 2n), of the lower bounds, then of the upper ones.

        Raises:
            InvalidActionError: Another shape, or NaN.
        """
        moves, state, rules = self._actions(action), self._state, self.rules
        size, whole = rules.largest_step, self.space.is_periodic
        _widen(moves, size, whole, state["limit"], state["reach"], state["window"])
        _advance(state["phase"], rules.points * self._ratio)
        if rules.corners is not None:
            _advance(state["flips"], rules.corners // 2 * self._ratio)
        self._enter(np.arange(self.count))

    def _enter(self, rows: IntArray) -> None:
        state = self._state
        _enter(rows, state["reach"], state["phase"], state["window"], state["share"])

    def queries(self) -> FloatArray:
        """Corners, outer corners and points inside, theta (B, m, n), m = `cost`; changes nothing."""
        state, space = self._state, self.space
        asked = np.empty((space.n, self.cost, self.count))  # parameter by parameter, as score functions like it
        _place(
            state["start"],
            space.width,
            space.low,
            self._most,
            space.is_periodic,
            self._corners,
            state["flips"],
            state["window"],
            asked,
        )
        return np.asarray(asked.T)

    def take(self, values: FloatArray) -> None:
        """Take the unit scores (B, m) at `queries()`, without NaN."""
        state, goal, points = self._state, self.rules.goal, self.rules.points
        counted = slice(points * self.space.n, points * (self.space.n + 1))
        state["window"][:, 0, counted] = goal.counted(values[:, -points:])
        if self.rules.corners is None:
            state["seen"][:] = values[:, :-points]
        else:
            _faces(np.ascontiguousarray(values[:, :-points]), state["flips"], state["seen"])
        state["steps"] += 1.0
        _estimate(points, self.space.n, state["window"], state["mean"], state["variance"])
        missed = goal.shortfall(state["mean"], state["variance"])
        state["objective"] = np.where(missed > 0.0, -missed, state["share"])

    def claims(self) -> FloatArray:
        """Independent uniform points of the regions, theta (B, claim, n)."""
        return Regions(self.space, *self._bounds()).from_fractions(self._state["places"])

    def settle(self, rows: IntArray, values: FloatArray) -> None:
        """Pay what the unit scores (R, claim) at `claims()` support; mean and variance are theirs from now on."""
        state, goal = self._state, self.rules.goal
        counted = goal.counted(values)
        mean = np.clip(counted.mean(axis=1), 0.0, 1.0)
        variance = np.minimum(counted.var(axis=1, ddof=1), MOST_VARIANCE)
        confirmed = goal_is_supported(goal, counted, CLAIM_ALPHA)
        share = state["share"][rows]
        state["mean"][rows], state["variance"][rows], state["confirmed"][rows] = mean, variance, confirmed
        state["claimed"][rows] = 1.0
        state["objective"][rows] = np.where(confirmed, share, -goal.shortfall(mean, variance) - CLAIM_STAKE * share)

    def observation(self) -> Float32Array:
        """What agents see, (B, D): see `RegionGrowEnv` for the table."""
        state, n = self._state, self.space.n
        seen = np.empty((self.count, 3 * n + state["seen"].shape[1] + 4), dtype=np.float32)
        ends = state["window"][:, 0, self._ends]
        seen[:, :n], seen[:, n : 2 * n] = state["unit"] + ends[:, :n], state["unit"] + ends[:, n:]
        seen[:, 2 * n : 3 * n], seen[:, 3 * n : -4] = state["unit"], state["seen"]
        seen[:, -4], seen[:, -3], seen[:, -2] = state["mean"], state["variance"] * 4.0, state["share"]
        seen[:, -1] = self._left()
        return seen

    def observation_limits(self) -> tuple[Float32Array, Float32Array]:
        """Lowest and highest observation, (D,) each: 0 and 1, but for the bounds of periodic parameters."""
        n = self.space.n
        low = np.zeros(3 * n + self._state["seen"].shape[1] + 4, dtype=np.float32)
        high = np.ones_like(low)
        low[:n][self.space.is_periodic] = -1.0
        high[n : 2 * n][self.space.is_periodic] = 2.0
        return low, high

    def facts(self) -> dict[str, FloatArray]:
        """`objective`, `mean`, `variance`, `region` (share of the space), `claimed` and `confirmed`; bounds (B, n)."""
        state, (lower, upper) = self._state, self._bounds()
        own = {name: state[name].copy() for name in ("objective", "mean", "variance", "claimed", "confirmed")}
        return {**own, "region": state["share"].copy(), "lower": lower, "upper": upper}

    def shown(self) -> tuple[dict[str, FloatArray], tuple[FloatArray, FloatArray] | None, dict[str, float]]:
        """The start point; the region; mean, variance and region."""
        facts = {name: values[0] for name, values in self.facts().items()}
        numbers = {name: float(facts[name]) for name in ("mean", "variance", "region")}
        return {"start": self.start[0]}, (facts["lower"], facts["upper"]), numbers

    @property
    def _ends(self) -> slice:
        """Where in a step of the window the ends of the region are."""
        first = self.rules.points * (self.space.n + 1)
        return slice(first, first + 2 * self.space.n)

    def _bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds (B, n) in native units, unwrapped around theta0, newly made."""
        n, ends = self.space.n, self._state["window"][:, 0, self._ends]
        lower, upper = (side * self.space.width + self._state["start"] for side in (ends[:, :n], ends[:, n:]))
        for side in (lower, upper):  # rounding must not pass the bounds of the space
            np.minimum(np.maximum(side, self._lowest, out=side), self._highest, out=side)
        return lower, upper

    @property
    def lower(self) -> FloatArray:
        """Lower bounds (B, n) in native units, unwrapped around theta0."""
        return self._bounds()[0]

    @property
    def upper(self) -> FloatArray:
        """Upper bounds (B, n) in native units, unwrapped around theta0."""
        return self._bounds()[1]

    @property
    def start(self) -> FloatArray:
        """The start points theta0, (B, n), in native units."""
        return np.array(self._state["start"])

    @property
    def regions(self) -> Regions:
        """The regions in canonical form."""
        return Regions(self.space, self.lower, self.upper).clip()

    @property
    def looked_at(self) -> FloatArray:
        """The middle of each region (B, n), inside the space."""
        lower, upper = self._bounds()
        return self.space.project((lower + upper) / 2)

    @property
    def settled(self) -> BoolArray:
        """Which regions are the whole space: no side can move outward, (B,)."""
        return np.asarray(self._state["share"] >= _WHOLE)


@_compiled
def _advance(phase: FloatArray, step: FloatArray) -> None:
    """The next numbers (B, m, n) of an additive recurrence modulo 1, in place."""
    for b in range(phase.shape[0]):
        for i in range(phase.shape[1]):
            for k in range(phase.shape[2]):
                ahead = phase[b, i, k] + step[k]
                phase[b, i, k] = ahead - math.floor(ahead)


@_compiled
def _widen(
    action: FloatArray, size: float, is_periodic: BoolArray, limit: FloatArray, reach: FloatArray, window: FloatArray
) -> None:
    """Move the bounds (B, 2n) by actions (B, 2n) of that size, and make room at the front of the window (B, W, ...)."""
    n = len(is_periodic)
    for b in range(len(action)):
        for k in range(n):
            before, other = reach[b, k], reach[b, n + k]
            down = min(max(action[b, k] * size + before, 0.0), limit[b, k])
            up = min(max(action[b, n + k] * size + other, 0.0), limit[b, n + k])
            if is_periodic[k] and down + up > 1.0:  # the sides end where they meet
                down = min(before + (1.0 - (before + other)) / (down + up - (before + other)) * (down - before), 1.0)
                up = 1.0 - down
            reach[b, k], reach[b, n + k] = down, up
        for w in range(window.shape[1] - 1, 0, -1):
            window[b, w] = window[b, w - 1]


@_compiled
def _enter(rows: IntArray, reach: FloatArray, phase: FloatArray, window: FloatArray, share: FloatArray) -> None:
    """Write the regions of some games (R,), and their points inside, to the front of the window; see `slots`."""
    points, n = phase.shape[1], phase.shape[2]
    for b in rows:
        newest, ends = window[b, 0], points * (n + 1)
        product, whole = 1.0, 1.0
        for k in range(n):
            low, high = -reach[b, k], reach[b, n + k]
            side = high - low
            for i in range(points):
                newest[i * n + k] = min(phase[b, i, k] * side + low, high)  # rounding must not pass the bound
            newest[ends + k], newest[ends + n + k] = low, high
            product, whole = product * max(side, _LEAST_SIDE), whole * side
        for i in range(points):
            newest[points * n + i] = 0.0
        newest[ends + 2 * n] = product
        share[b] = min(whole, 1.0)


@_compiled
def _place(
    start: FloatArray,
    width: FloatArray,
    low: FloatArray,
    most: FloatArray,
    is_periodic: BoolArray,
    corners: BoolArray,
    flips: FloatArray,
    window: FloatArray,
    asked: FloatArray,
) -> None:
    """Corners, outer corners and points inside into `asked` (n, m, B), native units, inside the space.

    Corners are those of the table (2^n, n), or, where there are flips (B, m / 2, n), pairs of opposite ones: from 0.5
    the first of a pair has the upper bound.
    """
    n, pairs = len(width), flips.shape[1]
    count = 2 * pairs if pairs else len(corners)
    points = asked.shape[1] - 2 * count
    for b in range(len(start)):
        newest, ends = window[b, 0], points * (n + 1)
        for k in range(n):
            lower, upper = newest[ends + k], newest[ends + n + k]
            margin = max((upper - lower) * _OUTER_MARGIN, _OUTER_MARGIN * _LEAST_OUTER_WIDTH)
            for i in range(2 * count + points):
                if i >= 2 * count:
                    at = newest[(i - 2 * count) * n + k]
                else:
                    j = i % count
                    is_high = (flips[b, j // 2, k] >= 0.5) != (j % 2 == 1) if pairs else corners[j, k]
                    at = upper if is_high else lower
                    if i >= count:
                        at = at + margin if is_high else at - margin
                at = at * width[k] + start[b, k]
                if not is_periodic[k]:
                    at = min(max(at, low[k]), most[k])
                elif not low[k] <= at <= most[k]:
                    away, turn = at - low[k], width[k]
                    if -turn <= away < 2 * turn:
                        at = low[k] + (away + turn if away < 0 else away - turn)
                    else:
                        at = low[k] + away % turn
                    if at > most[k]:  # rounding may reach the end of the turn
                        at = low[k]
                asked[k, i, b] = at


@_compiled
def _faces(scores: FloatArray, flips: FloatArray, seen: FloatArray) -> None:
    """Means of scores (B, 2m) of sampled corners on lower and upper faces, then on outer ones, into `seen` (B, 4n)."""
    pairs, n = flips.shape[1], flips.shape[2]
    for b in range(len(scores)):
        for box in range(2):
            for side in range(2):
                for k in range(n):
                    total = 0.0
                    for j in range(2 * pairs):
                        if ((flips[b, j // 2, k] >= 0.5) != (j % 2 == 1)) == (side == 1):
                            total += scores[b, 2 * pairs * box + j]
                    seen[b, (2 * box + side) * n + k] = total / pairs


@_compiled
def _estimate(points: int, n: int, window: FloatArray, mean: FloatArray, variance: FloatArray) -> None:
    """Mean and variance (B,) over the newest region of the window (B, W, ...) from the points of all its steps."""
    values, ends = points * n, points * (n + 1)
    for b in range(len(window)):
        steps = window[b]
        newest = steps[0]
        # Less one score of the region: so a plateau has its own score as mean and no variance, to the last bit.
        reference = newest[values]
        total = squares = sum_above = sum_squared = 0.0
        for w in range(len(steps)):
            for i in range(points):
                density = 0.0  # how thick points lie, in units of the newest region: at least 1 inside it
                for v in range(len(steps)):
                    is_inside = True
                    for k in range(n):
                        at = steps[w, i * n + k]
                        is_inside &= steps[v, ends + k] <= at <= steps[v, ends + n + k]
                    if is_inside:
                        density += newest[ends + 2 * n] / steps[v, ends + 2 * n]
                    elif v == 0:
                        break
                else:
                    weight, above = 1.0 / density, steps[w, values + i] - reference
                    total += weight
                    squares += weight * weight
                    sum_above += weight * above
                    sum_squared += weight * above * above
        about = sum_above / total
        spread = max(sum_squared / total - about * about, 0.0)
        effective = total * total  # over `squares`: the number of points that the weights are worth
        mean[b] = min(max(reference + about, 0.0), 1.0)
        variance[b] = min(spread * (effective / (effective - squares)), MOST_VARIANCE)
