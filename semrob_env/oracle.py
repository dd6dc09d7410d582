"""The query oracle: the only place that counts, caps and logs queries. It answers in unit scores, in [0, 1].

What a query costs, each line tested:

- A value is 1 forward query. A value with its gradient is 1 forward + 1 gradient query, and weighs
  1 + `gradient_cost` against the budget.
- With `FiniteDifferences`, a value with its gradient is 1 + 2n forward queries, and no gradient query.
- With `NeighborhoodGradients` of m neighbors, a value with its gradient is 1 + m forward and 1 + m gradient queries.
- A function that asks its network several times for one answer, as under an attack on its pictures, tells the price
  (`ScoreFunction.value_price`, `gradient_price`): it stands for the 1 and the 1 + 1 of all lines above.
- A repeated theta is charged again: there is no cache.
- NaN is charged and told as 0, the worst score; a gradient that is not finite is told as 0.
- A theta outside the space raises OutOfSpaceError, and nothing is charged.
- An exception of the function, or an answer of the wrong shape or outside its range, charges nothing.
- A call that would overspend any trajectory's budget raises BudgetExhausted before the function is asked.
- Threads share one meter: a call reserves its price before it asks, and gets it back if the function raises.
- Processes do not: a meter that was forked or unpickled elsewhere raises OtherProcessError, for nobody would see its
  count. A copy within the process is a meter of its own.
"""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from semrob_env.checks import instance_of, items, number, shown, whole_array, whole_number
from semrob_env.errors import (
    BudgetExhausted,
    InvalidBudgetError,
    InvalidParameterError,
    OtherProcessError,
    ShapeMismatchError,
)
from semrob_env.functions import ScoreFunction
from semrob_env.parameters import SemanticSpace
from semrob_env.processes import THIS
from semrob_env.sequences import golden_ratios
from semrob_env.types import BoolArray, FloatArray, IntArray


@final
@dataclass(frozen=True, eq=False)
class Queries:
    """What B trajectories ask at once.

    Attributes:
        theta: Points (B, m, n) in native units.
        member: Member of the function's family that each row asks, (B,).
        active: Which entries to evaluate and charge, (B, m).
        wants_gradient: Whether gradients are asked as well.

    Raises:
        ShapeMismatchError: The shapes do not belong together.
        InvalidParameterError: theta is not an array of real numbers, member of whole numbers, or active of booleans:
            an integer `active` would be truth to the function and a count to the bill.
    """

    theta: FloatArray
    member: IntArray
    active: BoolArray
    wants_gradient: bool = False

    def __post_init__(self) -> None:
        for name, array, kinds, words in (
            ("theta", self.theta, "fiu", "real numbers"),
            ("member", self.member, "iu", "whole numbers"),
            ("active", self.active, "b", "booleans"),
        ):
            if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds:
                given = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise InvalidParameterError(f"queries with {name} of {given}: give a NumPy array of {words}")
        if self.theta.ndim != 3 or self.active.shape != self.theta.shape[:2]:
            raise ShapeMismatchError(f"theta {self.theta.shape} must be (B, m, n), active {self.active.shape} (B, m)")
        if self.member.shape != self.theta.shape[:1]:
            raise ShapeMismatchError(f"member {self.member.shape} must be ({len(self.theta)},), one a row of theta")


@final
@dataclass(frozen=True, eq=False)
class Answers:
    """What the oracle answers: entries that were not active hold the worst score, 0, and a zero gradient.

    Attributes:
        values: Unit scores (B, m), in [0, 1], never NaN.
        gradients: None, or their gradients (B, m, n) per native unit of theta, always finite.
        active: Which entries were evaluated, (B, m).
    """

    values: FloatArray
    gradients: FloatArray | None
    active: BoolArray


@final
@dataclass(frozen=True)
class FiniteDifferences:
    """Central differences for functions without a gradient, billed as the 2n forward queries a point they are.

    The two points are projected into the space (clamped at a plain bound: there the difference becomes one-sided),
    and the difference is divided by their true distance.

    Attributes:
        step: Half distance in native units, one number a parameter; None: `DEFAULT_SHARE` of each range.

    Raises:
        InvalidParameterError: A step that is not above 0, or (when used) not one a parameter, longer than half a turn
            of a periodic one, or lost in rounding.
    """

    step: tuple[float, ...] | None = None
    DEFAULT_SHARE = 0.005
    """1.8 degrees of azimuth, 0.5 degrees of elevation: a trend over a few pixels, not over one."""

    def __post_init__(self) -> None:
        _set_lengths(self, "step", "finite-difference step")

    def points(self, space: SemanticSpace, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The points (N, 2n, n) to ask around theta (N, n), upper ones first, and their distances (N, n)."""
        step = _lengths("finite-difference step", self.step, space)
        if (space.is_periodic & (2 * step > space.width)).any():
            raise InvalidParameterError(f"finite-difference step {tuple(step)}: at most half a turn of a periodic one")
        offsets = np.diag(step)
        ends = theta[:, None, None, :] + np.stack([offsets, -offsets])  # (N, 2, n, n)
        ends = np.where(space.is_periodic, ends, np.clip(ends, space.low, space.high))
        distance = np.diagonal(ends[:, 0] - ends[:, 1], axis1=1, axis2=2)
        if not (distance > 0).all():
            raise InvalidParameterError(f"finite-difference step {tuple(step)} is lost in rounding; give a longer one")
        return space.project(ends.reshape(len(theta), -1, space.n)), distance


@final
@dataclass(frozen=True)
class NeighborhoodGradients:
    """Gradients averaged over a small box around theta: what the function's own slopes have in common there.

    The mean is over theta and m neighbors at offsets that depend on n and m alone: m / 2 points of a Kronecker
    sequence in the box and their mirror images, so that a quadratic function keeps its gradient. Neighbors are
    projected into the space. Each is billed as the value with gradient that it is; the value told is theta's own.

    Attributes:
        radius: Half sides of the box in native units, one number a parameter; None: `FiniteDifferences.DEFAULT_SHARE`
            of each range.
        neighbors: m, an even number of at least 2.

    Raises:
        InvalidParameterError: A radius that is not above 0 or (when used) not one a parameter, or m odd or below 2.
    """

    radius: tuple[float, ...] | None = None
    neighbors: int = 4

    def __post_init__(self) -> None:
        _set_lengths(self, "radius", "neighborhood radius")
        if whole_number("neighbors", self.neighbors, -MOST_NEIGHBORS, MOST_NEIGHBORS) % 2 or self.neighbors < 2:
            raise InvalidParameterError(f"{self.neighbors} neighbors: give an even number of at least 2")

    def points(self, space: SemanticSpace, theta: FloatArray) -> FloatArray:
        """Points (N, 1 + m, n) to ask around theta (N, n), theta itself first."""
        radius = _lengths("neighborhood radius", self.radius, space)
        steps = golden_ratios(space.n)
        half = 2 * np.mod(0.5 + np.outer(np.arange(1, self.neighbors // 2 + 1), steps), 1.0) - 1
        offsets = np.concatenate([np.zeros((1, space.n)), half, -half]) * radius
        return space.project(theta[:, None, :] + offsets)


def _set_lengths(owner: object, name: str, words: str) -> None:
    """Numbers above 0 of a frozen dataclass as a tuple."""
    given = getattr(owner, name)
    if given is None:
        return
    lengths = tuple(map(number, items(words, given)))
    if not all(0 < length < np.inf for length in lengths):
        raise InvalidParameterError(f"{words} {shown(given)}: each must be above 0 and finite")
    object.__setattr__(owner, name, lengths)


def _lengths(words: str, given: tuple[float, ...] | None, space: SemanticSpace) -> FloatArray:
    lengths = FiniteDifferences.DEFAULT_SHARE * space.width if given is None else np.array(given)
    if lengths.shape != (space.n,):
        raise InvalidParameterError(f"{words} has {lengths.size} numbers; give {space.n}")
    return lengths


MOST_TRAJECTORIES: Final = 2**27
"""Most trajectories that a meter counts (2 GiB of counts)."""

MOST_NEIGHBORS: Final = 2**20

MOST_QUERIES: Final = 2**53
"""Most queries that a trajectory may have spent: beyond, sums with costs are not exact."""


@final
class QueryLog:
    """Every charged query in order, kept in memory: pass one to the oracle, read `arrays()`."""

    def __init__(self) -> None:
        self._parts: list[tuple[IntArray, FloatArray, FloatArray, BoolArray]] = []

    def add(self, trajectory: IntArray, theta: FloatArray, values: FloatArray, *, with_gradient: bool) -> None:
        """Append N queries: trajectory (N,), theta (N, n), native scores (N,) with NaN as it came."""
        flags = np.full(len(trajectory), with_gradient)
        self._parts.append((trajectory.copy(), theta.copy(), values.copy(), flags))

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """`trajectory` (N,), `theta` (N, n), `value` (N,), `with_gradient` (N,) in the order of asking."""
        names = ("trajectory", "theta", "value", "with_gradient")
        if not self._parts:
            return {name: np.zeros(0) for name in names}
        return {name: np.concatenate([part[k] for part in self._parts]) for k, name in enumerate(names)}


@final
class QueryOracle:
    """Counts, caps and logs the queries of B trajectories to one function.

    Args:
        function: The function asked.
        trajectories: Number B of trajectories that are counted apart.
        budget: Most that a trajectory may spend, forward + gradient_cost * gradients; None: no cap.
        gradient_cost: Weight of a gradient query against the budget.
        finite_differences: How to estimate gradients; None: the function's own.
        neighborhood: How to average the function's own gradients; None: not at all.
        log: Where every charged query is kept.

    Raises:
        InvalidBudgetError: A budget, count or cost that is zero, negative or not a number.
        InvalidParameterError: Both finite differences and a neighborhood.
    """

    def __init__(
        self,
        function: ScoreFunction,
        *,
        trajectories: int = 1,
        budget: float | None = None,
        gradient_cost: float = 1.0,
        finite_differences: FiniteDifferences | None = None,
        neighborhood: NeighborhoodGradients | None = None,
        log: QueryLog | None = None,
    ) -> None:
        instance_of("function", function, ScoreFunction)
        trajectories = whole_number("trajectories", trajectories, 1, MOST_TRAJECTORIES, InvalidBudgetError)
        if budget is not None and not number(budget) > 0:
            raise InvalidBudgetError(f"budget {shown(budget)}: give a number of queries above 0, or none for no cap")
        if not 0 <= number(gradient_cost) < np.inf:
            raise InvalidBudgetError(f"gradient cost {shown(gradient_cost)}: give a finite number, 0 or above")
        for what, given, kind in (
            ("finite_differences", finite_differences, FiniteDifferences),
            ("neighborhood", neighborhood, NeighborhoodGradients),
            ("log", log, QueryLog),
        ):
            if given is not None:
                instance_of(what, given, kind)
        self.function = function
        self.budget = np.inf if budget is None else float(budget)
        self.gradient_cost = float(gradient_cost)
        if finite_differences is not None and neighborhood is not None:
            raise InvalidParameterError("give finite differences or a neighborhood, not both")
        self.finite_differences, self.neighborhood, self.log = finite_differences, neighborhood, log
        self._forward = np.zeros(trajectories, dtype=np.int64)
        self._gradient = np.zeros(trajectories, dtype=np.int64)
        self._lock = threading.Lock()
        self._process = THIS.name

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def here(self) -> QueryOracle:
        """This meter; in another process than its own, a new one there that goes on from its counts.

        For who owns it alone and shows the bill itself, as an environment does.
        """
        if self._process == THIS.name:
            return self
        again = copy.copy(self)
        again._forward, again._gradient, again._process = self.forward_queries, self.gradient_queries, THIS.name
        return again

    @property
    def space(self) -> SemanticSpace:
        """The function's space."""
        return self.function.space

    @property
    def trajectories(self) -> int:
        """Number B of trajectories."""
        return len(self._forward)

    @property
    def forward_queries(self) -> IntArray:
        """Forward queries charged so far, (B,)."""
        return np.array(self._forward)

    @property
    def gradient_queries(self) -> IntArray:
        """Gradient queries charged so far, (B,)."""
        return np.array(self._gradient)

    @property
    def spent(self) -> FloatArray:
        """Budget spent, forward + gradient_cost * gradients, (B,)."""
        return self._forward + self.gradient_cost * self._gradient

    def restore(self, forward_queries: IntArray, gradient_queries: IntArray) -> None:
        """Continue from saved counts, both (B,), after a restart.

        Raises:
            ShapeMismatchError: Not one count a trajectory.
            InvalidBudgetError: Counts that are not whole numbers of 0 to `MOST_QUERIES`.
            OtherProcessError: As in `query`.
        """
        if self._process != THIS.name:
            raise _elsewhere()
        forward, gradient = (
            whole_array("saved counts", saved, InvalidBudgetError, f"whole numbers of 0 to {MOST_QUERIES}")
            for saved in (forward_queries, gradient_queries)
        )
        if forward.shape != self._forward.shape or gradient.shape != self._gradient.shape:
            raise ShapeMismatchError(f"give {self.trajectories} counts of each kind, one a trajectory")
        for saved in (forward, gradient):
            if (saved < 0).any() or (saved > MOST_QUERIES).any():
                raise InvalidBudgetError(f"saved counts {saved}: give whole numbers of 0 to {MOST_QUERIES}")
        with self._lock:
            self._forward, self._gradient = forward.astype(np.int64), gradient.astype(np.int64)

    def price(self, *, wants_gradient: bool) -> tuple[int, int]:
        """Forward and gradient queries that one point costs."""
        if wants_gradient and self.finite_differences is None:
            own, points = (
                self.function.gradient_price,
                1 if self.neighborhood is None else 1 + self.neighborhood.neighbors,
            )
        else:
            own, points = self.function.value_price, 1 + 2 * self.space.n if wants_gradient else 1
        return points * own.forward, points * own.gradient

    def answers(self, budget: float, *, wants_gradient: bool) -> float:
        """What a method should plan with: the budget of as many points of a function whose values are a query each."""
        forward, gradient = self.price(wants_gradient=wants_gradient)
        is_own = wants_gradient and self.finite_differences is None
        paid = forward + self.gradient_cost * gradient
        points = forward / (self.function.gradient_price if is_own else self.function.value_price).forward
        usual = points * (1 + self.gradient_cost * is_own)
        return budget if paid == usual else budget * usual / paid

    def affordable(self, queries: Queries) -> BoolArray:
        """Which trajectories can pay these queries in full, (B,)."""
        return self._payable(*self._bill(queries))

    def _bill(self, queries: Queries) -> tuple[IntArray | int, IntArray | int]:
        """Forward and gradient queries that each trajectory would pay, (B,); one number if all pay the same."""
        active = queries.active
        points = active.shape[1] if active.all() else active.sum(axis=1)
        forward, gradient = self.price(wants_gradient=queries.wants_gradient)
        return forward * points, gradient * points

    def _payable(self, forward: IntArray | int, gradient: IntArray | int) -> BoolArray:
        if self.budget == np.inf:
            return np.ones(self.trajectories, dtype=np.bool_)
        # Summed as `spent` will be, so that it never ends above the budget by a rounding.
        after = (self._forward + forward) + self.gradient_cost * (self._gradient + gradient)
        return np.asarray(after <= self.budget)

    def query(self, queries: Queries) -> Answers:
        """Ask the function once for all active entries, then charge them.

        Raises:
            BudgetExhausted: A trajectory cannot pay; nothing was asked or charged.
            OutOfSpaceError: An active theta outside the space; nothing was charged.
            ShapeMismatchError: Not one row a trajectory.
            OtherProcessError: The meter was forked or unpickled here: its owner would not see the count.
        """
        if self._process != THIS.name:
            raise _elsewhere()
        active = instance_of("queries", queries, Queries).active
        if len(active) != self.trajectories:
            raise ShapeMismatchError(f"{len(active)} rows of queries for {self.trajectories} trajectories")
        forward, gradient = self._bill(queries)
        # What is active, all of it or picked point by point, as theta (R, p, n) of the trajectories (R,).
        chosen = None if active.all() else np.nonzero(active)
        theta = queries.theta if chosen is None else queries.theta[chosen][:, None, :]
        member = queries.member if chosen is None else queries.member[chosen[0]]
        self._reserve(forward, gradient, active)
        try:
            asked, answered, scores, slopes = self._ask(theta, member, queries.wants_gradient)
        except BaseException:
            self._refund(forward, gradient)
            raise
        if self.log is not None:
            owner = np.repeat(np.arange(len(active)) if chosen is None else chosen[0], asked.shape[1])
            has_gradient = queries.wants_gradient and self.finite_differences is None
            with self._lock:
                self.log.add(owner, asked.reshape(-1, self.space.n), answered.ravel(), with_gradient=has_gradient)

        scale = self.function.scale
        if slopes is not None:
            slopes = np.where(np.isfinite(slopes), slopes, 0.0)
            if not scale.is_identity:
                slopes = slopes * np.nan_to_num(scale.slope(scores))[..., None]
        scores = scale.unit(scores)
        if chosen is None:
            return Answers(scores, slopes, active)
        values = np.zeros(active.shape)
        values[chosen] = scores[:, 0]
        gradients = None
        if slopes is not None:
            gradients = np.zeros(queries.theta.shape)
            gradients[chosen] = slopes[:, 0]
        return Answers(values, gradients, active)

    def value(self, theta: npt.ArrayLike, *, trajectory: int = 0, member: int = 0) -> float:
        """The unit score at theta (n,): the price of one value, charged to one trajectory.

        Raises:
            BudgetExhausted, OutOfSpaceError, OtherProcessError: As in `query`.
            ShapeMismatchError: theta is not (n,), or there is no such trajectory.
        """
        if self._process != THIS.name:
            raise _elsewhere()
        point = self.space.require(theta)
        if point.shape != (self.space.n,):
            raise ShapeMismatchError(f"theta has shape {point.shape}, must be ({self.space.n},)")
        row = whole_number("trajectory", trajectory, -(2**63), error=ShapeMismatchError)
        if not 0 <= row < self.trajectories:
            raise ShapeMismatchError(f"trajectory {row}: this oracle has 0..{self.trajectories - 1}")
        member = whole_number("member", member, 0)
        forward, gradient = self.function.value_price
        with self._lock:  # `_reserve` for one row, in plain numbers: arrays of one would cost as much as the answer
            after = int(self._forward[row]) + forward, int(self._gradient[row]) + gradient
            if after[0] + self.gradient_cost * after[1] > self.budget:
                raise self._exhausted(row, 1)
            self._forward[row], self._gradient[row] = after
        try:
            score = self.function.values(point[None, None, :], [member]).item()
        except BaseException:
            with self._lock:
                self._forward[row] -= forward
                self._gradient[row] -= gradient
            raise
        if self.log is not None:
            with self._lock:
                self.log.add(np.array([row]), point[None, :], np.array([score]), with_gradient=False)
        return float(self.function.scale.unit(np.array(score)))

    def _reserve(self, forward: IntArray | int, gradient: IntArray | int, active: BoolArray) -> None:
        """Charge before the function is asked, so that no two threads can spend the same budget."""
        with self._lock:
            payable = self._payable(forward, gradient)
            if not payable.all():
                row = int(np.flatnonzero(~payable)[0])
                raise self._exhausted(row, int(active[row].sum()))
            self._forward += forward
            self._gradient += gradient

    def _refund(self, forward: IntArray | int, gradient: IntArray | int) -> None:
        """Give back what `_reserve` took, after an exception of the function (Ctrl-C too)."""
        with self._lock:
            self._forward -= forward
            self._gradient -= gradient

    def _exhausted(self, row: int, points: int) -> BudgetExhausted:
        return BudgetExhausted(
            f"trajectory {row} has spent {self.spent[row]:g} of {self.budget:g} and "
            f"cannot pay {points} more points; nothing was asked or charged"
        )

    def _ask(
        self, theta: FloatArray, member: IntArray, wants_gradient: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray | None]:
        """All points asked (R, q, n) and their scores (R, q); scores (R, p) and gradients of theta (R, p, n) itself."""
        rows, columns, n = theta.shape
        if not theta.size:
            none = np.zeros((rows, columns))
            return theta, none, none, np.zeros(theta.shape) if wants_gradient else None
        if not wants_gradient:
            values = self.function.values(theta, member)
            return theta, values, values, None
        if self.finite_differences is None and self.neighborhood is None:
            values, gradients = self.function.values_and_gradients(theta, member)
            return theta, values, values, gradients
        self.space.require(theta)  # here, for the neighbors are projected and never outside
        if self.neighborhood is not None:
            asked = self.neighborhood.points(self.space, theta.reshape(-1, n)).reshape(rows, -1, n)
            answered, gradients = self.function.values_and_gradients(asked, member)
            own = answered.reshape(rows, columns, -1)[:, :, 0]
            return asked, answered, own, gradients.reshape(rows, columns, -1, n).mean(axis=2)
        assert self.finite_differences is not None
        points = theta.reshape(-1, 1, n)
        around, distance = self.finite_differences.points(self.space, points[:, 0])
        asked = np.concatenate([points, around], axis=1).reshape(rows, -1, n)
        answered = self.function.values(asked, member)
        scores = answered.reshape(-1, 1 + 2 * n)  # of each point, then of its upper and its lower neighbors
        slopes = (scores[:, 1 : 1 + n] - scores[:, 1 + n :]) / distance
        return asked, answered, scores[:, 0].reshape(rows, columns), slopes.reshape(theta.shape)


def _elsewhere() -> OtherProcessError:
    return OtherProcessError(
        "this meter belongs to another process, which would not see what is asked here; ask it there (one worker, or "
        "threads), or make a QueryOracle in each process, restore() its counts where it goes on, and add up the bills"
    )
