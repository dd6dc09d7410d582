"""Questions and goals: what is asked of a function, as plain data that everybody is given whole.

A *question*: around this start point of this function, which is the largest region that meets this goal, for at most
this many queries? A *goal* says what makes a region good. Optimizers, baselines, environments, judges and ground truth
take it from the question; no method has thresholds or budgets among its hyperparameters.

Goals speak of **unit scores** in [0, 1] (`ScoreFunction.unit`), so they mean the same for every function. Each counts
something of the scores of a region and bounds the mean and the variance of that:

| goal                                | counts                      | mean at least       | variance at most      |
|-------------------------------------|-----------------------------|---------------------|-----------------------|
| `MeanGoal(epsilon_m, epsilon_v)`    | the score                   | 1 - epsilon_m       | epsilon_v             |
| `ReliabilityGoal(level, reliability)` | 1 where it is >= level, else 0 | reliability      | no bound              |

As text, in commands, stores and protocols: `mean=0.5`, `mean=0.4,variance=0.05`, `reliability=0.95,level=0.5`.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar, final

import numpy as np
import numpy.typing as npt

from semrob_env.checks import instance_of, items, number, shown, whole_array
from semrob_env.errors import InvalidBudgetError, InvalidParameterError, ShapeMismatchError
from semrob_env.parameters import SemanticSpace
from semrob_env.types import BoolArray, FloatArray, IntArray

MOST_VARIANCE = 0.25
"""Of scores in [0, 1]: as a bound it is none."""

SMOOTHING = 0.2
"""Width in unit scores over which `ReliabilityGoal.smoothed` rises from 0 to 1."""

Moments = tuple[FloatArray, FloatArray]
"""Mean and variance, both of one shape."""

T_co = TypeVar("T_co", covariant=True)


def plain_number(name: str, value: object) -> float:
    """A finite number as a float, -0.0 as 0.0.

    Raises:
        InvalidParameterError: It is none.
    """
    found = number(value)
    if not math.isfinite(found):
        raise InvalidParameterError(f"{name} {shown(value)}: give a finite number")
    return found


def plain_numbers(name: str, values: object) -> tuple[float, ...]:
    """Finite numbers as a tuple of floats.

    Raises:
        InvalidParameterError: They are not.
    """
    return tuple(plain_number(name, value) for value in items(name, values))


def checked_budget(budget: object) -> float | None:
    """A budget as a float, None for none.

    Raises:
        InvalidBudgetError: It is not a number above 0.
    """
    if budget is None:
        return None
    found = number(budget)
    if not 0 < found < math.inf:
        raise InvalidBudgetError(f"budget {shown(budget)}: give a number of queries above 0, or none for no cap")
    return found


def checked_cost(cost: object) -> float:
    """The weight of a gradient query as a float.

    Raises:
        InvalidBudgetError: It is not a finite number, 0 or above.
    """
    found = number(cost)
    if not 0 <= found < math.inf:
        raise InvalidBudgetError(f"gradient_cost {shown(cost)}: give a finite number, 0 or above")
    return found


def checked_levels(levels: Iterable[float], goal: Goal) -> tuple[float, ...]:
    """Levels of a profile of a goal as a tuple of floats.

    Raises:
        InvalidParameterError: They do not rise, or the goal cannot have one of them.
    """
    numbers = plain_numbers("levels", levels)
    if any(low >= high for low, high in itertools.pairwise(numbers)):
        raise InvalidParameterError(f"levels {shown(numbers)}: each must be larger than the one before")
    for level in numbers:
        goal.at(level)
    return numbers


def _share(name: str, value: object, most: float = 1.0) -> float:
    found = number(value)
    if not 0 <= found <= most:
        raise InvalidParameterError(f"{name} {found}: give a number in [0, {most:g}]")
    return found


def _set_share(goal: object, name: str, most: float) -> None:
    object.__setattr__(goal, name, _share(name, getattr(goal, name), most))


def _shortest(value: float, read: Callable[[str], float], shown: float) -> str:
    """The shortest decimal text of `shown` from which `read` gives the value to the last bit."""
    return next((text for digits in range(1, 18) if read(text := f"{shown:.{digits}g}") == value), repr(shown))


class Truth(Protocol[T_co]):
    """What knows exact answers, in unit scores: a goal asks it for the one that it needs."""

    def moments(self) -> T_co:
        """Of the score."""

    def above(self, level: float) -> T_co:
        """Of what is 1 where the score is >= level, else 0."""


class Goal(ABC):
    """What makes a region good: a bound on the mean, and one on the variance, of what it counts of unit scores.

    A subclass is a frozen dataclass of plain numbers, registered in `GOALS` under its `name`.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def least(self) -> float:
        """Least mean of what is counted."""

    @property
    def most_variance(self) -> float:
        """Largest variance of what is counted; `MOST_VARIANCE` is no bound."""
        return MOST_VARIANCE

    @final
    @property
    def bounds_variance(self) -> bool:
        """Whether the largest variance is a bound at all."""
        return self.most_variance < MOST_VARIANCE

    @property
    @abstractmethod
    def level(self) -> float:
        """Unit score from which on a single view is good: start points below it are hopeless."""

    @property
    def threshold(self) -> float | None:
        """What is counted is 1 where the unit score is at least this, else 0; None: the score itself is counted."""
        return None

    @property
    @abstractmethod
    def text(self) -> str:
        """The goal as `read_goal` reads it."""

    @property
    @abstractmethod
    def counts(self) -> str:
        """What it counts, as a text: goals that count the same differ in their bounds only."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What a region that meets it is, in plain words."""

    @abstractmethod
    def counted(self, scores: FloatArray) -> FloatArray:
        """What is counted of unit scores (...,), in [0, 1]."""

    def smoothed(self, scores: FloatArray) -> FloatArray:
        """A continuous stand-in (...,) for `counted`, for methods that model it; its bounds are the same."""
        return self.counted(scores)

    @abstractmethod
    def exact(self, truth: Truth[T_co]) -> T_co:
        """What a truth knows of `counted`."""

    @abstractmethod
    def at(self, level: float) -> Goal:
        """The goal with another `level`, all else the same: goals along a robustness profile.

        Args:
            level: Unit score in [0, 1].

        Raises:
            InvalidParameterError: It is none, or one that every region meets.
        """

    @abstractmethod
    def tightened(self, margin: float) -> Goal:
        """The goal with bounds harder by a margin, a share of what they can be, and at most as hard as they can be."""

    @final
    def is_met(self, mean: npt.ArrayLike, variance: npt.ArrayLike) -> BoolArray:
        """Whether mean and variance (...,) of what is counted keep both bounds, exactly; NaN does not."""
        return np.asarray((np.asarray(mean) >= self.least) & (np.asarray(variance) <= self.most_variance))

    @final
    def shortfall(self, mean: npt.ArrayLike, variance: npt.ArrayLike) -> FloatArray:
        """By how much mean and variance (...,) miss the bounds, added up; 0 where they keep both."""
        missed = np.maximum(self.least - np.asarray(mean), 0.0)
        missed += np.maximum(np.asarray(variance) - self.most_variance, 0.0)
        return np.asarray(missed)

    def __str__(self) -> str:
        return self.text


@final
@dataclass(frozen=True)
class MeanGoal(Goal):
    """E_D[f] >= 1 - epsilon_m and Var_D[f] <= epsilon_v, no tolerance.

    Source: Hamdi & Ghanem, arXiv 1904.04621, the operator Phi_robust.

    Attributes:
        epsilon_m: In [0, 1].
        epsilon_v: In [0, 0.25]; 0.25, the default, is no constraint for scores in [0, 1].

    Raises:
        InvalidParameterError: One is outside its range.
    """

    name = "mean"
    epsilon_m: float = 0.5
    epsilon_v: float = MOST_VARIANCE

    def __post_init__(self) -> None:
        _set_share(self, "epsilon_m", 1.0)
        _set_share(self, "epsilon_v", MOST_VARIANCE)
        # As the bound says it: 0.3 and 1 - 0.7 differ by a rounding, and are one goal.
        object.__setattr__(self, "epsilon_m", 1 - (1 - self.epsilon_m))

    @property
    def least(self) -> float:
        """1 - epsilon_m."""
        return 1 - self.epsilon_m

    @property
    def most_variance(self) -> float:
        """epsilon_v."""
        return self.epsilon_v

    @property
    def level(self) -> float:
        """1 - epsilon_m: around a start point below it, often no region meets the goal."""
        return self.least

    @property
    def text(self) -> str:
        """`mean=M`, with `,variance=V` where that is a bound."""
        least = _shortest(self.epsilon_m, lambda text: 1 - float(text), self.least)
        return f"mean={least}" + (f",variance={self.epsilon_v!r}" if self.bounds_variance else "")

    @property
    def counts(self) -> str:
        """The score."""
        return "score"

    @property
    def words(self) -> str:
        """What a region that meets it is."""
        bound = f", variance at most {self.epsilon_v:g}" if self.bounds_variance else ""
        return f"mean score at least {self.least:g}{bound}"

    def counted(self, scores: FloatArray) -> FloatArray:
        """The scores (...,) themselves."""
        return scores

    def exact(self, truth: Truth[T_co]) -> T_co:
        """What a truth knows of the score."""
        return truth.moments()

    def at(self, level: float) -> MeanGoal:
        """Another least mean."""
        return MeanGoal(1 - _share("level", level), self.epsilon_v)

    def tightened(self, margin: float) -> MeanGoal:
        """A larger least mean and, where it is a bound, a smaller variance."""
        margin = plain_number("margin", margin)
        variance = max(self.epsilon_v - margin * MOST_VARIANCE, 0.0) if self.bounds_variance else self.epsilon_v
        return MeanGoal(max(self.epsilon_m - margin, 0.0), variance)


@final
@dataclass(frozen=True)
class ReliabilityGoal(Goal):
    """P_{theta ~ U(D)}(f(theta) >= level) >= reliability: the chance constraint of reliability engineering.

    Unlike a high mean, it cannot hide many views at which the network fails. See A. Ben-Tal, L. El Ghaoui, A.
    Nemirovski, *Robust Optimization*, Princeton 2009, chapter 2, for chance constraints.

    Attributes:
        level: Unit score from which on a view is good, in (0, 1].
        reliability: Least share of good views, in (0, 1].

    Raises:
        InvalidParameterError: One is outside its range.
    """

    name = "reliability"
    level: float = 0.5
    reliability: float = 0.95

    def __post_init__(self) -> None:
        for field in ("level", "reliability"):
            _set_share(self, field, 1.0)
            if not getattr(self, field):
                raise InvalidParameterError(f"{field} 0: every region meets that; give a number in (0, 1]")

    @property
    def least(self) -> float:
        """The reliability."""
        return self.reliability

    @property
    def threshold(self) -> float:
        """The level."""
        return self.level

    @property
    def text(self) -> str:
        """`reliability=R,level=L`."""
        return f"reliability={self.reliability!r},level={self.level!r}"

    @property
    def counts(self) -> str:
        """Scores that are at least the level."""
        return f"score>={self.level!r}"

    @property
    def words(self) -> str:
        """What a region that meets it is."""
        return f"score at least {self.level:g} in {100 * self.reliability:g} % of the views"

    def counted(self, scores: FloatArray) -> FloatArray:
        """1.0 where scores (...,) are at least the level, else 0.0; NaN counts 0."""
        return np.asarray(np.asarray(scores) >= self.level, dtype=np.float64)

    def smoothed(self, scores: FloatArray) -> FloatArray:
        """A ramp of width `SMOOTHING` (...,) around the level: 0/1 answers tell a model too little of its border."""
        return np.asarray(np.clip((np.asarray(scores) - self.level) / SMOOTHING + 0.5, 0.0, 1.0))

    def exact(self, truth: Truth[T_co]) -> T_co:
        """What a truth knows of where the score is at least the level."""
        return truth.above(self.level)

    def at(self, level: float) -> ReliabilityGoal:
        """Another score from which on a view is good."""
        return ReliabilityGoal(level, self.reliability)

    def tightened(self, margin: float) -> ReliabilityGoal:
        """A larger reliability."""
        margin = plain_number("margin", margin)
        return ReliabilityGoal(self.level, min(self.reliability + margin, 1.0))


GOALS: Mapping[str, tuple[Callable[..., Goal], Mapping[str, tuple[str, Callable[[float], float]]]]] = {
    MeanGoal.name: (MeanGoal, {"mean": ("epsilon_m", lambda m: 1 - m), "variance": ("epsilon_v", float)}),
    ReliabilityGoal.name: (ReliabilityGoal, {"reliability": ("reliability", float), "level": ("level", float)}),
}
"""Every goal by the first word of its text: its class, and which field each word of the text sets, and how."""

GOAL_EXAMPLES = "mean=0.5, mean=0.4,variance=0.05 or reliability=0.95,level=0.5"
"""For messages and help."""


def read_goal(text: str) -> Goal:
    """The goal of a text such as `mean=0.5,variance=0.05` or `reliability=0.95`; what is left out is at its default.

    Raises:
        InvalidParameterError: It cannot be read, or a number is out of its range.
    """
    if len(instance_of("goal", text, str)) > 200:
        raise InvalidParameterError(f"goal {text[:40]!r}... of {len(text)} letters; write {GOAL_EXAMPLES}")
    words: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, written = (piece.strip() for piece in part.partition("="))
        try:
            value = float(written)
        except ValueError:
            value = math.nan
        if name in words or not math.isfinite(value):
            raise InvalidParameterError(f"cannot read {part!r} of goal {text!r}; write {GOAL_EXAMPLES}")
        words[name] = value
    first = next(iter(words), "")
    if first not in GOALS:
        raise InvalidParameterError(f"unknown goal {text!r}; write {GOAL_EXAMPLES}")
    made, known = GOALS[first]
    unknown = [name for name in words if name not in known]
    if unknown:
        raise InvalidParameterError(f"goal {text!r}: {first} knows {', '.join(known)}, not {unknown[0]}")
    for name, value in words.items():
        if not 0 <= value <= 1:
            raise InvalidParameterError(f"goal {text!r}: {name} {value:g} must be in [0, 1]")
    return made(**{known[name][0]: known[name][1](value) for name, value in words.items()})


@final
@dataclass(frozen=True)
class Question:
    """Which is the largest region around a start point of a function that meets a goal?

    Plain data: hashable, comparable, picklable to a few hundred bytes.

    Attributes:
        function_id: Id of a function with one member, or of one member of a family.
        start: Start point theta0 (n,) in native units, in the order of the function's space.
        goal: What makes a region good.
        budget: Most that an answer may cost, forward + gradient_cost * gradients; None: no cap.
        gradient_cost: Weight of a gradient query against the budget.
        levels: Levels of the goal (`Goal.at`) that a robustness profile is wanted at beside; rising. Methods that
            answer other goals from the same queries may spend some of them on these.

    Raises:
        InvalidBudgetError: A budget or gradient cost that is zero (budget), negative or not a number.
        InvalidParameterError: Any other field that is not well formed.
    """

    function_id: str
    start: tuple[float, ...]
    goal: Goal = MeanGoal()
    budget: float | None = None
    gradient_cost: float = 1.0
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.function_id, str) or not self.function_id.strip():
            raise InvalidParameterError(
                f"question with function_id {shown(self.function_id)}: give the id of a function"
            )
        if not isinstance(self.goal, Goal):
            raise InvalidParameterError(
                f"question with goal {shown(self.goal)}: give a Goal, or read_goal({GOAL_EXAMPLES})"
            )
        object.__setattr__(self, "start", plain_numbers("start", self.start))
        if not self.start:
            raise InvalidParameterError("start is empty: give one number a parameter")
        object.__setattr__(self, "budget", checked_budget(self.budget))
        object.__setattr__(self, "gradient_cost", checked_cost(self.gradient_cost))
        object.__setattr__(self, "levels", checked_levels(self.levels, self.goal))


@final
@dataclass(frozen=True, eq=False, init=False)
class Questions:
    """B questions about one family of functions that share goal and budget: what an optimizer is given.

    Attributes:
        space: The space of theta.
        start: Start points theta0 (B, n), read only; parameter by parameter in memory.
        member: Member of the family that each question is about, (B,), read only.
        goal: What makes a region good.
        budget: Most that each answer may cost; infinite: no cap.
        gradient_cost: Weight of a gradient query against the budget.
        levels: Levels of the goal that a profile is wanted at, beside the answer; none: no profile.
    """

    space: SemanticSpace
    start: FloatArray
    member: IntArray
    goal: Goal
    budget: float
    gradient_cost: float
    levels: tuple[float, ...]

    def __init__(
        self,
        space: SemanticSpace,
        start: npt.ArrayLike,
        *,
        member: npt.ArrayLike | None = None,
        goal: Goal | None = None,
        budget: float | None = None,
        gradient_cost: float = 1.0,
        levels: Sequence[float] = (),
    ) -> None:
        """Put questions together.

        Args:
            space: The space of theta.
            start: Start points theta0, (n,) or (B, n), inside the space.
            member: Member of the family, (B,); None: all 0.
            goal: None: `MeanGoal()`.
            budget: None: no cap.
            gradient_cost: Weight of a gradient query.
            levels: Levels of the goal that a profile is wanted at, rising.

        Raises:
            OutOfSpaceError: A start point outside the space.
            ShapeMismatchError: start is not (n,) or (B, n), or member is not one a start point.
            InvalidBudgetError, InvalidParameterError: As `Question`.
        """
        # Arrays (B, n) lie in memory parameter by parameter: loops over trajectories are long, over parameters short.
        instance_of("space", space, SemanticSpace)
        points = np.array(np.atleast_2d(space.require(start, "start point")), order="F")
        if points.ndim != 2:
            raise ShapeMismatchError(f"start points {points.shape} must be (n,) or (B, n)")
        rows: IntArray = np.zeros(len(points), np.int64) if member is None else np.array(whole_array("member", member))
        if rows.shape != points.shape[:1]:
            raise ShapeMismatchError(f"{len(points)} start points need as many members, not {rows.shape}")
        for array in (points, rows):
            array.setflags(write=False)  # handed out
        cap = checked_budget(budget)
        asked: Goal = MeanGoal() if goal is None else instance_of("goal", goal, Goal)
        for name, value in (
            ("space", space),
            ("start", points),
            ("member", rows),
            ("goal", asked),
            ("levels", checked_levels(levels, asked)),
            ("budget", math.inf if cap is None else cap),
            ("gradient_cost", checked_cost(gradient_cost)),
        ):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.start)
