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
is followed by the opposite one, and they change from step to step.

**Points inside** continue an additive recurrence from a random shift that each episode draws once. Mean and variance
over the region are estimated from those asked in the last 4 steps, each weighed by how thick points lie around it; see
`semrob_env.envs.estimate`, also for how well that does on recorded maps. Corners are no part of it.
"""

from __future__ import annotations

import math
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.envs.corners import Corners
from semrob_env.envs.estimate import LEAST_SIDE, WINDOW, window_moments
from semrob_env.envs.lone_game import LoneRegion
from semrob_env.envs.region_rules import RegionRules
from semrob_env.envs.rules import Game, Rows, as_action
from semrob_env.parameters import SemanticSpace
from semrob_env.regions import Regions
from semrob_env.sequences import golden_ratios
from semrob_env.types import BoolArray, Float32Array, FloatArray

_WHOLE = 1 - 1e-12
"""Share of the space from which a region is all of it."""


__all__ = ["RegionGame", "RegionRules"]


@final
class RegionGame(Game):
    """B games of RegionGrow; see the module.

    The objective J is s where mean >= 1 - epsilon_m and variance <= epsilon_v, with s the region's share of the space;
    else -(max(0, 1 - epsilon_m - mean) + max(0, variance - epsilon_v)). It lies in [-1.25, 1].

    Args:
        space: The space of theta.
        rules: What is looked for and how it is played.
        count: Number B of games.
        score_range: Lowest and highest score of the function; thresholds and observations speak of scores in [0, 1].

    Raises:
        InvalidParameterError: More than 6 parameters and no `corners`.
        InvalidBudgetError: A budget that cannot pay the first observation and one step.
    """

    def __init__(
        self,
        space: SemanticSpace,
        rules: RegionRules,
        *,
        count: int = 1,
        score_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self._corners = Corners(space.n, rules.corners)
        super().__init__(space, count, score_range, cost=2 * self._corners.count + rules.points, budget=rules.budget)
        self.rules = rules
        n, points = space.n, rules.points
        shapes: dict[str, tuple[int, ...]] = {
            "start": (2 * n,),  # theta0, native units, twice: for lower and upper bounds
            "unit": (2 * n,),  # the same in the unit cube
            "limit": (2 * n,),  # how far each side may reach at most
            "reach": (2 * n,),  # down, then up
            "phase": (n, points),  # where in the region the points inside lie
            "flips": (n, self._corners.pairs),  # numbers of the same kind for sampled corners
            "window": (WINDOW, points * n + points + 2 * n + 1),  # see `_slots`
            "seen": (self._corners.seen,),
            **dict.fromkeys(("steps", "share", "mean", "variance", "objective"), ()),
        }
        self._arrays = {name: np.zeros((*shape, count)) for name, shape in shapes.items()}
        # What the window holds of each step, the newest first: points inside and the ends of the region, as shares of
        # the range from theta0, the scores of the points, and the volume of the region.
        ends = points * n + points
        self._slots = (slice(points * n), slice(points * n, ends), slice(ends, ends + 2 * n), ends + 2 * n)
        self._ratio = golden_ratios(n)[:, None, None]
        self._periodic = np.flatnonzero(space.is_periodic).tolist()
        self._range = space.width[:, None]
        bounds = [
            np.where(space.is_periodic, far, bound) for far, bound in ((-np.inf, space.low), (np.inf, space.high))
        ]
        self._lowest, self._highest = (np.tile(bound, 2)[:, None] for bound in bounds)

        lone = count == 1 and rules.corners is None
        self._lone = LoneRegion(space, rules, self.cost, score_range) if lone else None
        self._is_behind = False  # whether the lone game has gone on and the arrays have not
        self._changed()

    @property
    def _state(self) -> dict[str, FloatArray]:
        if self._is_behind and self._lone is not None:
            self._lone.write(self._arrays, self._slots)
            self._is_behind = False
        return self._arrays

    @property
    def _taken(self) -> FloatArray:
        return self._one("steps")

    def _changed(self) -> None:
        if self._lone is not None:
            self._lone.read(self._arrays, self._slots)
            self._is_behind = False

    def _again(self, count: int) -> RegionGame:
        return RegionGame(self.space, self.rules, count=count, score_range=self.score_range)

    @property
    def draws(self) -> int:
        """Random numbers in [0, 1) that `restart` takes for each game: 2n."""
        return 2 * self.space.n

    @property
    def action_size(self) -> int:
        """2n: of each lower bound, then of each upper one."""
        return 2 * self.space.n

    def restart(self, rows: Rows, start: FloatArray, draws: FloatArray) -> None:
        """Put games back to the region of no width at theta0.

        Args:
            rows: Which games, R of B.
            start: theta0 (R, n), inside the space.
            draws: Random numbers (R, 2n) in [0, 1): the shifts of the points inside and of sampled corners.
        """
        state, n, whole = self._state, self.space.n, self.space.is_periodic[:, None]
        unit = ((start - self.space.low) / self.space.width).T
        fresh: dict[str, FloatArray | float] = dict.fromkeys(state, 0.0)
        fresh["start"], fresh["unit"] = np.concatenate([start.T, start.T]), np.concatenate([unit, unit])
        fresh["limit"] = np.concatenate([np.where(whole, 1.0, unit), np.where(whole, 1.0, 1.0 - unit)])
        for name, shift in (("phase", draws.T[:n]), ("flips", draws.T[n:])):
            ahead = np.arange(1, state[name].shape[1] + 1)[:, None] * self._ratio
            fresh[name] = (shift[:, None] + ahead) % 1.0
        for name, values in fresh.items():
            state[name][..., rows] = values
        points, _, _, volume = self._slots  # an empty window: inf lies in no region and weighs nothing
        state["window"][:, points, rows] = state["window"][:, volume, rows] = math.inf
        self._enter(rows)
        self._changed()

    def move(self, action: npt.ArrayLike) -> None:
        """Move the bounds: +1 widens a side by `largest_step` of the range, -1 takes as much away; clipped to [-1, 1].

        Args:
            action: (B, 2n), of the lower bounds, then of the upper ones.

        Raises:
            InvalidActionError: Another shape, or NaN.
        """
        n = self.space.n
        moves = as_action(action, (self.count, 2 * n))
        if self._lone is not None:
            self._lone.move(moves[0].tolist())
            self._is_behind = True
            return
        state, before = self._arrays, self._arrays["reach"]
        after = moves.T * self.rules.largest_step
        after += before
        np.maximum(after, 0.0, out=after)
        np.minimum(after, state["limit"], out=after)
        for k in self._periodic:
            down, up = after[k], after[n + k]
            total = down + up
            if total.max() > 1.0:
                crossed, first = total > 1.0, before[k] + before[n + k]
                part = (1.0 - first) / np.where(crossed, total - first, 1.0)
                met = np.minimum(before[k] + part * (down - before[k]), 1.0)
                after[k], after[n + k] = np.where(crossed, met, down), np.where(crossed, 1.0 - met, up)
        state["reach"] = after
        window = np.empty_like(state["window"])
        window[1:] = state["window"][:-1]
        state["window"] = window
        _advance(state["phase"], self.rules.points * self._ratio)
        if self._corners.pairs:
            _advance(state["flips"], self._corners.pairs * self._ratio)
        self._enter(slice(None))

    def _enter(self, rows: Rows) -> None:
        """Write the regions of some games, and their points inside, to the front of the window."""
        state, n = self._state, self.space.n
        points, scores, ends, volume = self._slots
        newest = state["window"][0]
        reach = state["reach"][:, rows]
        low, high = -reach[:n], reach[n:]
        sides = high - low
        inside = state["phase"][..., rows] * sides[:, None]
        inside += low[:, None]
        np.minimum(inside, high[:, None], out=inside)  # rounding must not pass the bound
        newest[points, rows] = inside.swapaxes(0, 1).reshape(-1, inside.shape[2])
        newest[scores, rows] = 0.0
        newest[ends, rows] = np.concatenate([low, high])
        thick = np.maximum(sides, LEAST_SIDE)
        product, share = thick[0], sides[0]
        for k in range(1, n):
            product, share = product * thick[k], share * sides[k]
        newest[volume, rows] = product
        state["share"][rows] = np.minimum(share, 1.0)

    def queries(self) -> FloatArray:
        """Corners, outer corners and points inside, theta (B, m, n), m = `cost`; changes nothing."""
        if self._lone is not None:
            return self._lone.queries()
        state, n, points = self._state, self.space.n, self.rules.points
        newest = state["window"][0]
        asked = np.empty((n, self.cost, self.count))
        asked[:, :-points] = self._corners.places(newest[self._slots[2]], state["flips"])
        asked[:, -points:] = newest[self._slots[0]].reshape(points, n, self.count).swapaxes(0, 1)
        asked *= self._range[:, None]
        asked += state["start"][:n, None]
        return self.space.project(asked.T)

    def take(self, values: FloatArray) -> None:
        """Take the scores (B, m) at `queries()`, in the function's own range, without NaN."""
        if self._lone is not None:
            self._lone.take(values)
            self._is_behind = True
            return
        state, rules, window = self._state, self.rules, self._state["window"]
        low, high = self.score_range
        scores = np.array(values.T, order="C")
        if (low, high) != (0.0, 1.0):
            scores = (scores - low) / (high - low)
        points, at_scores, ends, volume = self._slots
        window[0, at_scores] = scores[-rules.points :]
        state["seen"] = self._corners.told(scores[: -rules.points], state["flips"])
        state["steps"] = state["steps"] + 1.0
        at = window[:, points].reshape(WINDOW, rules.points, self.space.n, self.count)
        mean, variance = window_moments(at, window[:, at_scores], window[:, ends], window[:, volume])
        missed = np.maximum((1.0 - rules.epsilon_m) - mean, 0.0)
        missed += np.maximum(variance - rules.epsilon_v, 0.0)
        state["mean"], state["variance"] = mean, variance
        state["objective"] = np.where(missed > 0.0, -missed, state["share"])

    def observation(self) -> Float32Array:
        """What agents see, (B, D): see `RegionGrowEnv` for the table."""
        if self._lone is not None:
            return self._lone.observation()
        state, n = self._state, self.space.n
        seen = np.empty((3 * n + len(state["seen"]) + 4, self.count), dtype=np.float32)
        np.add(state["unit"], state["window"][0, self._slots[2]], out=seen[: 2 * n], casting="same_kind")
        seen[2 * n : 3 * n] = state["unit"][:n]
        seen[3 * n : -4] = state["seen"]
        seen[-4] = state["mean"]
        np.multiply(state["variance"], 4.0, out=seen[-3], casting="same_kind")
        seen[-2] = state["share"]
        seen[-1] = self._left()
        return np.array(seen.T, order="C")

    def observation_limits(self) -> tuple[Float32Array, Float32Array]:
        """Lowest and highest observation, (D,) each: 0 and 1, but for the bounds of periodic parameters."""
        n = self.space.n
        low = np.zeros(3 * n + len(self._state["seen"]) + 4, dtype=np.float32)
        high = np.ones_like(low)
        low[:n][self.space.is_periodic] = -1.0
        high[n : 2 * n][self.space.is_periodic] = 2.0
        return low, high

    def facts(self) -> dict[str, FloatArray]:
        """`objective`, `mean`, `variance` and `region` (share of the space), (B,); `lower` and `upper` (B, n)."""
        if self._lone is not None:
            lower, upper = (np.array([side]) for side in self._lone.bounds())
        else:
            bounds = self._bounds()
            lower, upper = bounds[: self.space.n].T, bounds[self.space.n :].T
        own = {name: self._one(name) for name in ("objective", "mean", "variance")}
        return {**own, "region": self._one("share"), "lower": lower, "upper": upper}

    def _one(self, name: str) -> FloatArray:
        """A number of each game, (B,), newly made."""
        return np.array(self._arrays[name]) if self._lone is None else np.array([getattr(self._lone, name)])

    def _bounds(self) -> FloatArray:
        """Lower, then upper bounds (2n, B) in native units, unwrapped around theta0, newly made."""
        bounds = self._state["window"][0, self._slots[2]].reshape(2, self.space.n, -1) * self._range
        bounds = bounds.reshape(2 * self.space.n, -1)
        bounds += self._state["start"]
        np.maximum(bounds, self._lowest, out=bounds)  # rounding must not pass the bounds of the space
        return np.asarray(np.minimum(bounds, self._highest, out=bounds))

    @property
    def lower(self) -> FloatArray:
        """Lower bounds (B, n) in native units, unwrapped around theta0."""
        return np.asarray(self._bounds()[: self.space.n].T)

    @property
    def upper(self) -> FloatArray:
        """Upper bounds (B, n) in native units, unwrapped around theta0."""
        return np.asarray(self._bounds()[self.space.n :].T)

    @property
    def start(self) -> FloatArray:
        """The start points theta0, (B, n), in native units."""
        return np.array(self._state["start"][: self.space.n].T)

    @property
    def regions(self) -> Regions:
        """The regions in canonical form."""
        return Regions(self.space, self.lower, self.upper).clip()

    @property
    def looked_at(self) -> FloatArray:
        """The middle of each region (B, n), inside the space."""
        return self.space.project((self.lower + self.upper) / 2)

    @property
    def share(self) -> FloatArray:
        """The region's share s of the space, (B,)."""
        return self._one("share")

    @property
    def mean(self) -> FloatArray:
        """Estimated mean (B,) of scores scaled to [0, 1]."""
        return self._one("mean")

    @property
    def variance(self) -> FloatArray:
        """Estimated variance (B,) of scores scaled to [0, 1], at most 0.25."""
        return self._one("variance")

    @property
    def objective(self) -> FloatArray:
        """The objective J, (B,)."""
        return self._one("objective")

    @property
    def settled(self) -> BoolArray:
        """Which regions are the whole space: no side can move outward, (B,)."""
        return np.asarray(self._one("share") >= _WHOLE)


def _advance(phase: FloatArray, step: FloatArray) -> None:
    """The next numbers of an additive recurrence modulo 1, in place."""
    phase += step
    phase -= np.floor(phase)
