"""Score functions that are no product of one function a parameter, for tests of methods that hope for one.

Ids are `tangled:FAMILY?n=N&seed=S`, n from 1 to 20, over the spaces of `semrob_env.synthetic.function`.

| family    | what it is                                                                          | means     |
|-----------|-------------------------------------------------------------------------------------|-----------|
| turned    | a box of score 0.95, rotated against the axes, straight flanks, background 0.05       | by points |
| ellipsoid | a smooth ellipsoid whose axes are rotated                                            | by points |
| sum       | background + mean of one bump a parameter: low in one parameter alone is not low      | exact     |
| tree      | a tree of decisions, each on one parameter, a score a leaf; the middle one: 0.95      | exact     |
| net       | a network of random weights: 32 units of tanh, then a logistic one                   | by points |

*By points*: `POINTS` evenly spread ones in the box, the same for every box; the error of a mean is below 0.01 where
tests hold it against 2^18 random points (n = 2 to 6). Judges, optimum and tables all use the same points, so a region
is feasible or not for everybody.

**Optimum.** No formula: the largest feasible box found by a search that sees the formula, from several small boxes,
moving single sides and pairs; for two parameters also from the best box of a grid, and tests hold it against brute
force. From three on what it states is a lower bound: a region that a method finds may have a quality above 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidRegionError, NoGroundTruthError
from semrob_env.functions import ScoreFunction
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Goal, MeanGoal, Moments, Truth
from semrob_env.regions import Regions
from semrob_env.sequences import evenly_spread, hashed_uniform
from semrob_env.synthetic.function import Known, Optimum, read_family, synthetic_space
from semrob_env.types import BoolArray, FloatArray, IntArray

POINTS = 4096
"""Of a box, where means are known by points only."""

LOW, HIGH = 0.05, 0.95
VERSION = "1"  # goes up when an id begins to mean another function
_SEARCHED = 512
"""Points of a box while the optimum is searched for."""
_STEPS = (0.16, 0.06, 0.02, 0.006, 0.002)
_SEEDS = (0.01, 0.05, 0.15)
_CELLS = 48
"""Of a grid a parameter, on which the best box of two parameters is looked up."""
_UNITS, _LEVELS = 32, 5
_NEAR = 0.12
_AT_ONCE = 2**21
"""Numbers of an array of points at once."""


class Formula(ABC):
    """A score at points of the unit cube; along periodic parameters coordinates may be on any turn."""

    is_periodic: BoolArray
    middle: FloatArray

    @abstractmethod
    def values(self, points: FloatArray) -> FloatArray:
        """Scores (...,) at points (..., n)."""

    def moments(self, lower: FloatArray, upper: FloatArray, count: int = POINTS) -> Moments:
        """Mean and variance (B,) over boxes (B, n)."""
        return self.counted(lower, upper, lambda scores: scores, count)

    @final
    def counted(
        self, lower: FloatArray, upper: FloatArray, count_of: Callable[[FloatArray], FloatArray], count: int = POINTS
    ) -> Moments:
        """Mean and variance (B,) of what is counted of scores, by evenly spread points."""
        fractions, mean, variance = evenly_spread(lower.shape[1], 0, count), np.empty(len(lower)), np.empty(len(lower))
        for row in range(len(lower)):  # box by box: the same bits in any batch
            found = count_of(self.values(lower[row] + fractions * (upper[row] - lower[row])))
            mean[row], variance[row] = found.mean(), found.var()
        return mean, variance

    @final
    def away(self, points: FloatArray) -> FloatArray:
        """Points (..., n) relative to the middle, the shorter way round."""
        apart = points - self.middle
        return np.asarray(np.where(self.is_periodic, apart - np.round(apart), apart))


@final
@dataclass(frozen=True, eq=False)
class Turned(Formula):
    """A rotated box with straight flanks, or a smooth rotated ellipsoid."""

    is_periodic: BoolArray
    middle: FloatArray
    rotation: FloatArray  # (n, n)
    half: FloatArray  # half widths or axes (n,)
    is_smooth: bool

    def values(self, points: FloatArray) -> FloatArray:
        """Scores (...,) at points (..., n)."""
        away = self.away(points)
        along = np.abs(sum(away[..., k, None] * self.rotation[k] for k in range(len(self.half)))) / self.half
        if self.is_smooth:
            radius = np.minimum(sum(along[..., k] ** 2 for k in range(len(self.half))), 1.0)
            return np.asarray(LOW + (HIGH - LOW) * (1 - radius) ** 2)
        outside = np.clip((along.max(axis=-1) - 0.8) / 0.4, 0.0, 1.0)
        return np.asarray(HIGH - (HIGH - LOW) * outside)


@final
@dataclass(frozen=True, eq=False)
class Sum(Formula):
    """The mean of one trapezoid a parameter."""

    is_periodic: BoolArray
    middle: FloatArray
    half: FloatArray  # half widths of plateaus (n,); each flank is as wide

    def values(self, points: FloatArray) -> FloatArray:
        """Scores (...,) at points (..., n)."""
        bumps = np.clip(2 - np.abs(self.away(points)) / self.half, 0.0, 1.0)
        return np.asarray(LOW + (HIGH - LOW) * sum(bumps[..., k] for k in range(len(self.half))) / len(self.half))

    def moments(self, lower: FloatArray, upper: FloatArray, count: int = POINTS) -> Moments:
        """Exact: integrals of the trapezoid and its square, parameter by parameter."""
        del count
        first = self._up_to(upper, 1) - self._up_to(lower, 1)
        second = self._up_to(upper, 2) - self._up_to(lower, 2)
        width, n = upper - lower, lower.shape[1]
        points = np.clip(2 - np.abs(self.away(lower)) / self.half, 0.0, 1.0)
        has_width = width > 1e-12
        safe = np.where(has_width, width, 1.0)
        mean, square = np.where(has_width, first / safe, points), np.where(has_width, second / safe, points**2)
        height = (HIGH - LOW) / n
        return LOW + height * mean.sum(axis=1), height**2 * np.maximum(square - mean**2, 0.0).sum(axis=1)

    def _up_to(self, x: FloatArray, power: int) -> FloatArray:
        """Integral (B, n) of the trapezoid's power from the middle to x (B, n), over whole turns too."""
        apart = x - self.middle
        turns = np.where(self.is_periodic, np.round(apart), 0.0)
        rest = apart - turns
        near, far = np.minimum(np.abs(rest), self.half), np.clip(np.abs(rest) - self.half, 0.0, self.half)
        flank = far - far**2 / (2 * self.half) if power == 1 else (1 - (1 - far / self.half) ** 3) * self.half / 3
        whole = 2 * (self.half + self.half / (power + 1))
        return np.asarray(turns * whole + np.sign(rest) * (near + flank))


@final
@dataclass(frozen=True, eq=False)
class Tree(Formula):
    """Leaves that tile the unit cube, a score each."""

    is_periodic: BoolArray
    middle: FloatArray
    lower: FloatArray  # of leaves (L, n)
    upper: FloatArray  # of leaves (L, n)
    scores: FloatArray  # of leaves (L,)

    def values(self, points: FloatArray) -> FloatArray:
        """Scores (...,) at points (..., n)."""
        turned = np.where(self.is_periodic, np.mod(points, 1.0), points)[..., None, :]
        inside = ((turned >= self.lower) & ((turned < self.upper) | (self.upper == 1.0))).all(axis=-1)
        return np.asarray(self.scores[inside.argmax(axis=-1)])

    def moments(self, lower: FloatArray, upper: FloatArray, count: int = POINTS) -> Moments:
        """Exact: by the volumes that leaves share with a box."""
        del count
        mean, square = np.empty(len(lower)), np.empty(len(lower))
        for row in range(len(lower)):
            width = np.maximum(upper[row] - lower[row], 1e-12)
            shared = np.zeros(self.lower.shape)
            for turn in (-1.0, 0.0, 1.0):
                shift = np.where(self.is_periodic, turn, 0.0)
                part = np.minimum(upper[row], self.upper + shift) - np.maximum(lower[row], self.lower + shift)
                shared += np.where(self.is_periodic | (turn == 0), np.maximum(part, 0.0), 0.0)
            weights = (shared / width).prod(axis=1)
            if not weights.sum() > 0.5:  # a box without a width
                weights = (self.scores == self.values(lower[row])).astype(np.float64)
            weights /= weights.sum()
            mean[row] = weights @ self.scores
            square[row] = weights @ (self.scores - mean[row]) ** 2
        return mean, square


@final
@dataclass(frozen=True, eq=False)
class Net(Formula):
    """A layer of tanh on the parameters, periodic ones as cosine and sine, and a logistic unit on top."""

    is_periodic: BoolArray
    middle: FloatArray
    inner: FloatArray  # (2n, U)
    bias: FloatArray  # (U,)
    outer: FloatArray  # (U,)
    offset: float
    gain: float

    def values(self, points: FloatArray) -> FloatArray:
        """Scores (...,) at points (..., n)."""
        return np.asarray(1 / (1 + np.exp(-self.gain * (self._top(points) - self.offset))))

    def _top(self, points: FloatArray) -> FloatArray:
        n, total = len(self.is_periodic), self.bias
        turn, plain = 2 * np.pi * points, 2 * points - 1
        first = np.where(self.is_periodic, np.cos(turn), plain)
        second = np.where(self.is_periodic, np.sin(turn), 0.0)
        for k in range(n):  # parameter by parameter: the same bits in any batch
            total = total + first[..., k, None] * self.inner[k] + second[..., k, None] * self.inner[n + k]
        hidden = np.tanh(total)
        return np.asarray(sum(hidden[..., unit] * self.outer[unit] for unit in range(len(self.outer))))


@final
class TangledFunction(ScoreFunction):
    """A formula over a space, one member, no gradients; it knows its means and a large feasible box.

    Args:
        space: The space.
        member_id: The canonical id.
        formula: Over the unit cube.
    """

    def __init__(self, space: SemanticSpace, member_id: str, formula: Formula) -> None:
        super().__init__(space, (member_id,), has_gradient=False, fingerprints=[{"tangled": VERSION}])
        self.formula = formula

    def starts(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Points (count, n) near the middle of what is high: where questions may start."""
        points = self.formula.middle + (2 * rng.random((count, self.space.n)) - 1) * _NEAR
        points = np.where(self.formula.is_periodic, np.mod(points, 1.0), np.clip(points, 0.0, 1.0))
        return self.space.project(self.space.low + points * self.space.width)

    def truth(
        self, regions: Regions, member: npt.ArrayLike | None = None, *, complement: bool = False
    ) -> Truth[Moments]:
        """Moments (B,) over regions after clipping to the space, of f or of 1 - f; exact or by points, see the module.

        Raises:
            InvalidRegionError: The regions belong to another space.
        """
        del member
        if regions.space != self.space:
            raise InvalidRegionError(f"regions over {', '.join(regions.space.names)} for {self.id}")
        cut = regions.clip()
        lower, upper = ((side - self.space.low) / self.space.width for side in (cut.lower, cut.upper))

        def moments() -> Moments:
            mean, variance = self.formula.moments(lower, upper)
            return (1 - mean if complement else mean), variance

        def above(level: float) -> Moments:
            def good(scores: FloatArray) -> FloatArray:
                return np.asarray((1 - scores if complement else scores) >= level, dtype=np.float64)

            return self.formula.counted(lower, upper, good)

        return Known(moments, above)

    def optimum(
        self, start: npt.ArrayLike, goal: Goal | None = None, member: int = 0, *, complement: bool = False
    ) -> Optimum:
        """The largest region that contains start (n,) and meets a goal that a search found; None: `MeanGoal()`.

        Raises:
            NoGroundTruthError: For the complement.
            OutOfSpaceError: start is not a point of the space.
        """
        del member
        if complement:
            raise NoGroundTruthError(
                f"the best region of the complement of {self.id} is not known; only its moments are"
            )
        point = self.space.require(start, "start")
        box = _largest(self, point, MeanGoal() if goal is None else goal)
        if box is None:
            return Optimum(0.0, 0.0, None)
        return Optimum(float(box.volume()[0]), float(box.share()[0]), box)

    def optima(
        self, start: npt.ArrayLike, goals: Sequence[Goal], member: int = 0, *, complement: bool = False
    ) -> tuple[Optimum, ...]:
        """`optimum` for each of G goals."""
        return tuple(self.optimum(start, goal, member, complement=complement) for goal in goals)

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        del member
        return self.formula.values(self.space.to_unit(theta))


def _largest(function: TangledFunction, point: FloatArray, goal: Goal) -> Regions | None:
    """Climbs from small boxes around a point (n,): single sides, then pairs of one out and one in, then finer steps."""
    space, formula = function.space, function.formula
    start, n = space.to_unit(point), space.n
    walls = np.where(formula.is_periodic, 1.0, np.stack([start, 1 - start]))  # (2, n): how far sides may be

    def short_by(ways: FloatArray, count: int) -> FloatArray:
        """By how much boxes (B, 2, n) of ways from the start point miss the goal (B,)."""
        lower, upper = start - ways[:, 0], start + ways[:, 1]
        if goal.threshold is None:
            return goal.shortfall(*formula.moments(lower, upper, count))
        return goal.shortfall(*formula.counted(lower, upper, goal.counted, count))

    def legal(ways: FloatArray) -> FloatArray:
        ways = np.clip(ways, 0.0, walls)
        over = np.where(formula.is_periodic, np.maximum(ways.sum(axis=1) - 1.0, 0.0), 0.0)
        return np.stack([np.maximum(ways[:, 0] - over, 0.0), ways[:, 1]], axis=1)

    def volume(ways: FloatArray) -> FloatArray:
        return np.asarray(np.log(np.maximum(ways.sum(axis=1), 1e-300)).sum(axis=1))

    sides = np.eye(2 * n).reshape(2 * n, 2, n)
    singles = np.concatenate([sides, -sides])
    pairs = np.array([out - inn for out in sides for inn in sides if (out != inn).any()])
    best, most = None, -np.inf
    small = [np.minimum(walls, seed) for seed in _SEEDS]
    for seed in (*small, *([_coarse(formula, start, goal)] if n == 2 else [])):
        ways = legal(seed[None])[0]
        while ways.max() > _SEEDS[0] and short_by(ways[None], _SEARCHED)[0] > 0:
            ways = 0.97 * ways
        if short_by(ways[None], _SEARCHED)[0] > 0:
            continue
        for step in _STEPS:
            while True:
                for moves in (singles[: 2 * n], pairs):
                    tried = legal(ways + step * moves)
                    gains = np.where(volume(tried) > volume(ways[None]) + 1e-9, volume(tried), -np.inf)
                    order = np.argsort(-gains, kind="stable")
                    chosen = next(
                        (
                            one
                            for one in order
                            if np.isfinite(gains[one]) and not short_by(tried[one : one + 1], _SEARCHED)[0]
                        ),
                        None,
                    )
                    if chosen is not None:
                        break
                if chosen is None:
                    break
                ways = tried[chosen]
        if volume(ways[None])[0] > most:
            best, most = ways, float(volume(ways[None])[0])
    while best is not None and best.sum() > 1e-6:
        bounds = (start - best[0], start + best[1])
        region = Regions(space, *(space.low + side * space.width for side in bounds)).clip()
        if goal.is_met(*goal.exact(function.truth(region)))[0] and region.contains(point[None])[0]:
            return region
        best = best * 0.995
    return None


def _coarse(formula: Formula, start: FloatArray, goal: Goal) -> FloatArray:
    """How far the sides (2, 2) of the best box of two parameters are from start (2,), by sums over cells of a grid."""
    origin = np.where(formula.is_periodic, start - 0.5, 0.0)
    middle = (np.arange(_CELLS) + 0.5) / _CELLS
    grid = np.stack(np.meshgrid(*(origin[:, None] + middle), indexing="ij"), axis=-1)
    counted = goal.counted(formula.values(grid))
    sums = np.zeros((2, _CELLS + 1, _CELLS + 1))
    sums[:, 1:, 1:] = np.stack([counted, counted**2]).cumsum(axis=1).cumsum(axis=2)
    first, second = ((start - origin) * _CELLS).astype(np.int64).clip(0, _CELLS - 1).tolist()
    low, high = np.arange(second + 1)[:, None], np.arange(second + 1, _CELLS + 1)
    best, most = np.zeros((2, 2)), 0
    for left in range(first + 1):
        for right in range(first + 1, _CELLS + 1):
            count, strip = (right - left) * (high - low), sums[:, right] - sums[:, left]
            mean, square = (strip[:, None, high] - strip[:, low]) / count
            size = np.where(goal.is_met(mean, square - mean**2), count, 0)
            if size.max() > most:
                below, above = np.unravel_index(int(size.argmax()), size.shape)
                ends = np.array([[left, low[below, 0]], [right, high[above]]]) / _CELLS + origin
                best, most = np.stack([start - ends[0], ends[1] - start]), int(size.max())
    return best


def _formula(name: str, seed: int, space: SemanticSpace) -> Formula:
    """The formula of a family, drawn from hashes: the same for ever."""
    n, periodic = space.n, np.array(space.is_periodic)

    def draw(what: str, *shape: int) -> FloatArray:
        return hashed_uniform(f"tangled/{name}/{seed}/{what}".encode(), shape)

    middle = 0.3 + 0.4 * draw("middle", n)
    if name in {"turned", "ellipsoid"}:
        rotation, _ = np.linalg.qr(draw("rotation", n, n) - 0.5)
        half = (0.14 + 0.1 * draw("half", n)) * (np.sqrt(n) if name == "ellipsoid" else 1.0)
        return Turned(periodic, middle, rotation, half, name == "ellipsoid")
    if name == "sum":
        return Sum(periodic, middle, 0.08 + 0.06 * draw("half", n))
    if name == "tree":
        return _tree(periodic, middle, draw)
    inner, bias, outer = (
        3 * (draw("inner", 2 * n, _UNITS) - 0.5),
        draw("bias", _UNITS) - 0.5,
        draw("outer", _UNITS) - 0.5,
    )
    probe = Net(periodic, middle, inner, bias, outer, 0.0, 1.0)
    spread = evenly_spread(n, 0, POINTS)
    top = probe._top(spread)
    offset, gain = float(np.quantile(top, 0.75)), 3.0 / float(top.std())
    return Net(periodic, np.asarray(spread[top.argmax()]), inner, bias, outer, offset, gain)


def _tree(periodic: BoolArray, middle: FloatArray, draw: Callable[..., FloatArray]) -> Tree:
    """Leaves cut one after the other: always the one in the middle, and one more, near their middles."""
    n = len(middle)
    leaves = [(np.zeros(n), np.ones(n))]
    cuts = draw("cuts", 2 * (n + _LEVELS), 2)
    for turn, (where, which) in enumerate(cuts):
        own = next(i for i, (low, high) in enumerate(leaves) if ((low <= middle) & (middle < high)).all())
        place = own if turn % 2 == 0 else int(which * len(leaves))
        low, high = leaves.pop(place)
        k = int((turn // 2) % n) if place == own else int((high - low).argmax())
        cut = low[k] + (high[k] - low[k]) * (0.25 + 0.5 * where)
        if place == own:  # off the middle, to either side
            cut = middle[k] + (0.12 + 0.12 * where) * (1 if which < 0.5 else -1)
            cut = float(np.clip(cut, low[k] + 0.2 * (high[k] - low[k]), high[k] - 0.2 * (high[k] - low[k])))
        below, above = high.copy(), low.copy()
        below[k] = above[k] = cut
        leaves += [(low, below), (above, high)]
    lower, upper = (np.stack(side) for side in zip(*leaves, strict=True))
    scores = LOW + 0.6 * draw("scores", len(leaves))
    scores[((lower <= middle) & (middle < upper)).all(axis=1)] = HIGH
    return Tree(periodic, middle, lower, upper, scores)


TANGLED = ("turned", "ellipsoid", "sum", "tree", "net")


def make_tangled(function_id: str) -> TangledFunction:
    """The function of an id `tangled:FAMILY?n=N&seed=S`.

    Raises:
        UnknownNameError: Unknown family or option.
        InvalidParameterError: n or seed is not a whole number in its range.
    """
    name, n, seed = read_family(function_id, TANGLED)
    space = synthetic_space(n)
    return TangledFunction(space, f"tangled:{name}?n={n}&seed={seed}", _formula(name, seed, space))
