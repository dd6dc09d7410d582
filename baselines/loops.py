"""A question as a callable, for loops of others as they are: SciPy, Optuna, nevergrad, cma, pymoo, BoTorch, one's own.

`objective(question)` is what they minimize, on the house's meter. The context around a loop ends it, whatever loop it
is, when the budget is spent, and the best that was found is there afterwards. SciPy:

    >>> from scipy.optimize import differential_evolution
    >>> from baselines import objective
    >>> from semrob_env import Question, read_goal
    >>> question = Question("synthetic:hill?n=2&seed=0", (180.0, 40.0), read_goal("mean=0.5"), budget=400)
    >>> with objective(question) as f:
    ...     found = differential_evolution(f, f.bounds, rng=0)
    >>> f.best.lower, f.best.upper, f.best.share(), f.spent  # doctest: +SKIP

Optuna, by its names:

    >>> import optuna
    >>> study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    >>> with objective(question) as f:
    ...     study.optimize(lambda trial: f([trial.suggest_float(*one) for one in zip(f.names, f.low, f.high)]))
    >>> f.best.share(), len(study.trials)  # doctest: +SKIP

nevergrad:

    >>> import nevergrad
    >>> with objective(question, unit=True) as f:
    ...     cube = nevergrad.p.Array(init=f.size * [0.1], lower=0.0, upper=1.0)
    ...     cube.random_state.seed(0)
    ...     found = nevergrad.optimizers.OnePlusOne(cube, budget=10_000).minimize(f)
    >>> f.best.share()  # doctest: +SKIP

cma, a generation at once:

    >>> import cma
    >>> with objective(question, unit=True) as f:
    ...     strategy = cma.CMAEvolutionStrategy(f.size * [0.2], 0.2, {"bounds": [0, 1], "seed": 1, "verbose": -9})
    ...     while not strategy.stop():
    ...         candidates = strategy.ask()
    ...         strategy.tell(candidates, f(candidates).tolist())
    >>> f.best.share()  # doctest: +SKIP

pymoo:

    >>> from pymoo.algorithms.soo.nonconvex.pso import PSO
    >>> from pymoo.optimize import minimize
    >>> from pymoo.problems.functional import FunctionalProblem
    >>> with objective(question) as f:
    ...     found = minimize(FunctionalProblem(f.size, f, xl=f.low, xu=f.high), PSO(pop_size=10), seed=1)
    >>> f.best.share()  # doctest: +SKIP

BoTorch, where a loop may ask by itself whether the budget is over:

    >>> import torch
    >>> from botorch.acquisition import LogExpectedImprovement
    >>> from botorch.fit import fit_gpytorch_mll
    >>> from botorch.models import SingleTaskGP
    >>> from botorch.optim import optimize_acqf
    >>> from gpytorch.mlls import ExactMarginalLogLikelihood
    >>> _ = torch.manual_seed(0)
    >>> with objective(question, unit=True) as f:
    ...     cube = torch.tensor(f.bounds, dtype=torch.double).T
    ...     x = 0.3 * torch.rand(8, f.size, dtype=torch.double)
    ...     y = -torch.tensor(f(x))[:, None]
    ...     while not f.is_over:
    ...         model = SingleTaskGP(x, y)
    ...         _ = fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    ...         gain = LogExpectedImprovement(model, y.max())
    ...         new, _ = optimize_acqf(gain, cube, q=1, num_restarts=2, raw_samples=32)
    ...         x, y = torch.cat([x, new]), torch.cat([y, -torch.tensor(f(new))[:, None]])
    >>> f.best.share()  # doctest: +SKIP

`objective(question, of="point")` is f(theta) itself in place of a loss of regions.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Literal, NoReturn, final

import numpy as np
import numpy.typing as npt

from baselines.candidates import bounds, latin_hypercube, mean_side
from baselines.experiments.functions import Functions
from semrob_env.errors import (
    BudgetExhausted,
    InvalidParameterError,
    OtherProcessError,
    ShapeMismatchError,
)
from semrob_env.functions import ScoreFunction
from semrob_env.oracle import Queries, QueryOracle
from semrob_env.questions import MOST_VARIANCE, Question
from semrob_env.regions import Regions
from semrob_env.types import BoolArray, FloatArray


class _Stop(BaseException):
    """Ends the loop of a library inside `with objective(...)`; no `except Exception` on the way keeps it."""

    def __init__(self, owner: object) -> None:
        super().__init__("the budget is spent")
        self.owner = owner


class Objective(ABC):
    """What a loop minimizes: x (d,) gives a number, x (B, d) an array (B,), each asked of the meter of one question.

    Within `with` the end of the budget ends the loop, and nothing of it leaves the block; without, it is an error,
    BudgetExhausted. A call that cannot be paid in full pays for the first points of it, so that no query is lost.
    Numbers beyond the bounds are taken to the nearest inside (COBYLA steps over them); periodic ones of points
    wrap. Threads share it, one call at a time; other processes are refused. A copy of it is itself: a loop that copies
    what it minimizes gets no second budget.

    Attributes:
        question: The question.
        low, high: Bounds of x, (d,) each.
        names: What the numbers of x are.
        best: What it would answer now, one region: without volume for points and before anything is found.
        best_x: The x of the best, (d,); None: nothing is found.
        best_value: Its value; infinite: nothing is found.
        oracle: The meter.
    """

    def __init__(
        self,
        question: Question,
        function: ScoreFunction,
        member: int,
        native: tuple[FloatArray, FloatArray],
        names: tuple[str, ...],
        *,
        unit: bool,
        price: int,
    ) -> None:
        self.question, self.names = question, names
        self.oracle = QueryOracle(function, budget=question.budget)
        self.low, self.high = (np.zeros(len(names)), np.ones(len(names))) if unit else native
        self._start = function.space.require(question.start, "start point")
        self.best = Regions(function.space, self._start, self._start).clip()
        self.best_x: FloatArray | None = None
        self.best_value = np.inf
        self._member, self._unit, self._price = np.array([member]), unit, price
        self._is_within = False
        self._lock = threading.RLock()

    @property
    def size(self) -> int:
        """d, how many numbers x has."""
        return len(self.names)

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Bounds of x as pairs, as SciPy takes them."""
        return list(zip(self.low.tolist(), self.high.tolist(), strict=True))

    @property
    def spent(self) -> int:
        """Queries charged so far."""
        return int(self.oracle.forward_queries[0])

    @property
    def is_over(self) -> bool:
        """Whether the budget cannot pay another point."""
        return self._left < self._price

    @property
    def _left(self) -> float:
        return self.oracle.budget - self.spent

    def __enter__(self) -> Objective:
        self._is_within = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._is_within = False
        while error is not None:  # a library may have wrapped it
            if isinstance(error, _Stop) and error.owner is self:
                return True
            error = error.__cause__ or error.__context__
        return False

    @final
    def __call__(self, x: npt.ArrayLike) -> Any:
        """The value at x, a number for (d,) and (B,) for (B, d).

        Raises:
            BudgetExhausted: The budget is spent, outside of `with`.
            InvalidParameterError: A number that is not finite.
            ShapeMismatchError: Another shape, or no numbers.
            OtherProcessError: Asked in another process than its own.
        """
        with self._lock:
            points, is_one = self._read(x)
            payable = int(min(len(points), self._left // self._price))
            values = self._values(points[:payable]) if payable else np.zeros(0)
            if payable < len(points):
                self._end()
        return float(values[0]) if is_one else values

    @abstractmethod
    def _values(self, x: FloatArray) -> FloatArray:
        """Values (B,) at x (B, d), all of which can be paid; keeps the best."""

    @property
    @abstractmethod
    def _wraps(self) -> BoolArray:
        """Which numbers of x go round, (d,)."""

    def _asked(self, theta: FloatArray) -> FloatArray:
        """Unit scores (..., ) at theta (..., n), charged."""
        space = self.oracle.space
        flat = space.project(theta.reshape(1, -1, space.n))
        return self.oracle.query(Queries(flat, self._member, np.ones(flat.shape[:2], dtype=np.bool_))).values.reshape(
            theta.shape[:-1]
        )

    def _read(self, x: npt.ArrayLike) -> tuple[FloatArray, bool]:
        """X as (B, d) within its bounds, and whether it was one point."""
        try:
            points = np.array(x, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ShapeMismatchError(f"x is no array of numbers: {error}") from error
        if points.ndim not in (1, 2) or points.shape[-1] != self.size:
            raise ShapeMismatchError(f"x has shape {points.shape}, must be ({self.size},) or (B, {self.size})")
        if not np.isfinite(points).all():
            at = np.argwhere(~np.isfinite(points))[0]
            raise InvalidParameterError(f"{self.names[at[-1]]} is {points[tuple(at)]}; give finite numbers")
        kept = np.where(self._wraps, points, np.clip(points, self.low, self.high))
        return np.atleast_2d(kept), points.ndim == 1

    def _keep(self, x: FloatArray, value: float, lower: FloatArray, upper: FloatArray) -> None:
        self.best = Regions(self.oracle.space, lower, upper).clip()
        self.best_x, self.best_value = x.copy(), float(value)

    def _end(self) -> NoReturn:
        if self._is_within:
            raise _Stop(self)
        raise BudgetExhausted(
            f"the budget of {self.oracle.budget:g} is spent ({self.spent} queries); `with objective(...) as f:` around "
            "the loop ends it there, and f.best has the best so far"
        )

    def __copy__(self) -> Objective:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Objective:
        return self

    def __reduce__(self) -> NoReturn:
        raise OtherProcessError(
            "an objective stays in its process, for another one's queries would be on nobody's bill; give the loop "
            "one worker, threads, or points at once (SciPy: vectorized=True, lambda x: f(x.T))"
        )


@final
class _OfRegions(Objective):
    """Loss of the region that x spans; `objective` tells of it."""

    def __init__(
        self,
        question: Question,
        function: ScoreFunction,
        member: int,
        *,
        unit: bool,
        points: int,
        checks: int,
        confidence: float,
        seed: int,
    ) -> None:
        space, start = function.space, function.space.require(question.start, "start point")
        native = (
            np.concatenate([np.where(space.is_periodic, start - space.width, space.low), start]),
            np.concatenate([start, np.where(space.is_periodic, start + space.width, space.high)]),
        )
        names = tuple(f"{name}_{side}" for side in ("lower", "upper") for name in space.names)
        super().__init__(question, function, member, native, names, unit=unit, price=points)
        self._points, self._checks, self._confidence, self._seed = points, checks, confidence, seed
        self._side, self._told = 0.0, 0

    @property
    def _wraps(self) -> BoolArray:
        return np.zeros(self.size, dtype=np.bool_)

    def _values(self, x: FloatArray) -> FloatArray:
        space, goal, n = self.oracle.space, self.question.goal, self.oracle.space.n
        start = np.tile(self._start, (len(x), 1))
        lower, upper = bounds(space, start, x if self._unit else self._reach(x))
        side = mean_side(space, lower, upper)
        # Each candidate draws by its own number: what it is worth does not depend on what is asked with it.
        rngs = [np.random.default_rng((self._seed, self._told + row)) for row in range(len(x))]
        self._told += len(x)
        fractions = np.stack([latin_hypercube(self._points, n, rng) for rng in rngs])
        scores = goal.counted(self._asked(Regions(space, lower, upper).from_fractions(fractions)))
        values = np.zeros(len(x))
        for row, rng in enumerate(rngs):
            values[row] = self._loss(scores[row], lower[row], upper[row], side[row], rng)
            if values[row] < 0.0 and side[row] > self._side:
                self._side = float(side[row])
                self._keep(x[row], values[row], lower[row], upper[row])
        return values

    def _reach(self, x: FloatArray) -> FloatArray:
        """How far sides (B, 2n) in native units reach from the start point, as shares of the way to the walls."""
        n, room = self.oracle.space.n, np.maximum(self.high - self.low, np.finfo(np.float64).tiny)  # none at a wall
        reach: FloatArray = np.concatenate([self.high[:n] - x[:, :n], x[:, n:] - self.low[n:]], axis=1) / room
        return reach

    def _loss(
        self, scores: FloatArray, lower: FloatArray, upper: FloatArray, side: float, rng: np.random.Generator
    ) -> float:
        """The loss of a region from counted scores (m,); one that would be the best is asked again."""
        goal, region = self.question.goal, Regions(self.oracle.space, lower, upper)
        fresh = np.zeros(0)
        missed = _shortfall(self.question, scores, 0.0)
        if missed > 0.0 or side <= self._side:
            return missed or -side
        for _ in range(self._checks):
            if self._left < self._points:
                return 0.0  # neither short nor confirmed
            more = region.from_fractions(latin_hypercube(self._points, self.oracle.space.n, rng)[None])
            fresh = np.concatenate([fresh, goal.counted(self._asked(more))[0]])
            missed = _shortfall(self.question, np.concatenate([scores, fresh]), 0.0)
            if missed > 0.0:
                return missed
        return -side if _shortfall(self.question, fresh, self._confidence) == 0.0 else 0.0


@final
class _OfPoints(Objective):
    """f(theta), or its negative; `objective` tells of it."""

    def __init__(
        self, question: Question, function: ScoreFunction, member: int, *, unit: bool, seeks: Literal["low", "high"]
    ) -> None:
        space = function.space
        super().__init__(question, function, member, (space.low, space.high), space.names, unit=unit, price=1)
        self._sign = 1.0 if seeks == "low" else -1.0

    @property
    def _wraps(self) -> BoolArray:
        periodic: BoolArray = self.oracle.space.is_periodic
        return periodic

    def _values(self, x: FloatArray) -> FloatArray:
        space = self.oracle.space
        theta = space.from_unit(x) if self._unit else space.project(x)
        values = self._sign * self._asked(theta)
        row = int(np.argmin(values))
        if values[row] < self.best_value:
            self._keep(x[row], values[row], theta[row], theta[row])
        return values


def _shortfall(question: Question, counted: FloatArray, confidence: float) -> float:
    """By how much what is counted (m,) misses the goal; the mean by standard errors more."""
    variance = min(float(counted.var(ddof=1)), MOST_VARIANCE)
    mean = counted.mean() - confidence * np.sqrt(variance / len(counted))
    return float(question.goal.shortfall(mean, variance))


def objective(
    question: Question,
    *,
    of: Literal["region", "point"] = "region",
    unit: bool = False,
    seeks: Literal["low", "high"] = "low",
    points: int = 4,
    checks: int = 4,
    confidence: float = 1.0,
    seed: int = 0,
    function: ScoreFunction | None = None,
) -> Objective:
    """A question as a callable that other libraries minimize, with bounds, meter, budget and the best so far.

    `of="region"`: x are n lower and n upper bounds, in native units, around the start point; sides of a periodic
    parameter that pass each other meet. Each x is asked at `points` fresh points of its region (a Latin hypercube), and
    is worth -s if they meet the goal, s = (prod_k width_k / range_k)^(1/n), else the goal's shortfall, which is never
    below. A region that would be the best is asked again, `checks` times, and is the best only if the fresh points
    alone meet the goal, the mean by `confidence` standard errors: the largest of many estimates is a lucky one.

    `of="point"`: x is theta, periodic parameters wrap (azimuth 360 is 0), and is worth its unit score, one query each.

    Args:
        question: With a budget, or none for no cap.
        of: What x is.
        unit: Whether x is in the unit cube in place of native units; of regions, it is how far each side reaches from
            the start point, 0, to the wall, 1 (of a periodic parameter: a whole turn).
        seeks: Of points: minimize the score (`low`) or its negative.
        points: Fresh points of one x, of regions, at least 2.
        checks: How often a region that would be the best is asked again, at least once.
        confidence: Standard errors by which its mean must then exceed the bound, 0 or above.
        seed: Of the points inside regions.
        function: The function itself, where no id makes it: the question has the id of one of its members.

    Raises:
        SemrobError: The question cannot be asked of this function.
        InvalidParameterError: A number out of its limits.
    """
    for name, value, least in (("points", points, 2), ("checks", checks, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InvalidParameterError(f"{name} {value!r}: give a whole number, at least {least}")
    if not 0 <= confidence < np.inf:
        raise InvalidParameterError(f"confidence {confidence!r}: give a number of standard errors, 0 or above")
    if of not in ("region", "point") or seeks not in ("low", "high"):
        raise InvalidParameterError(f"of {of!r}, seeks {seeks!r}: of is region or point, seeks is low or high")
    asked, member = Functions(given=() if function is None else (function,)).member(question.function_id)
    if of == "point":
        return _OfPoints(question, asked, member, unit=unit, seeks=seeks)
    return _OfRegions(
        question, asked, member, unit=unit, points=points, checks=checks, confidence=confidence, seed=seed
    )
