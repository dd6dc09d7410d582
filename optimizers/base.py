"""What every optimizer shares: ask / tell / recommend over a batch of trajectories.

The base class owns shapes, projection into the space, who is still running, step counts and saved state. A method
overrides three small functions: `_start` (first state), `_ask` (points to query), `_tell` (next state).

A *state* is a dict of arrays whose first axis is the trajectory. Rows of trajectories that have ended are kept as
they were, whatever `_tell` computes for them, so that no trajectory depends on its neighbors.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast, final

import numpy as np
import numpy.typing as npt

from optimizers.limits import DRAWS, limits_of
from semrob_env.checks import instance_of, items, whole_number
from semrob_env.errors import (
    InvalidBudgetError,
    InvalidParameterError,
    ProtocolError,
    ShapeMismatchError,
    UnsupportedGoalError,
)
from semrob_env.oracle import Answers, Queries
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Goal, Questions
from semrob_env.regions import Regions
from semrob_env.types import BoolArray, FloatArray, IntArray

State = dict[str, npt.NDArray[Any]]
"""Arrays of a method by name, each with the trajectory as first axis."""

RUNNING, CONVERGED, BUDGET, STEPS = "running", "converged", "budget", "steps"
"""How a trajectory stands: still going, settled by itself, out of budget, or at the step limit of the run."""

MOST_SEED = 2**256
"""Larger numbers are no seeds."""

_STATUSES = (RUNNING, CONVERGED, BUDGET, STEPS)
_STATE = "state."  # of the names of arrays of a method among what is saved


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of a method: a frozen dataclass of numbers, words and tuples of numbers.

    Raises:
        InvalidParameterError: One outside the limits that its field declares (`optimizers.limits`).
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            if limits := limits_of(field.metadata):
                limits.check(field.name, getattr(self, field.name))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Any:
        """Settings with some fields changed, as a plain mapping (from a task or a command line).

        Raises:
            InvalidParameterError: A name that is not a hyperparameter of this method.
        """
        known = [field.name for field in fields(cls)]
        unknown = [name for name in values if name not in known]
        if unknown:
            raise InvalidParameterError(f"unknown hyperparameter {unknown[0]!r}; this method has {', '.join(known)}")
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return replace(cls(), **plain)

    def to_mapping(self) -> dict[str, Any]:
        """All fields as plain data."""
        return asdict(self)

    @final
    @property
    def draws(self) -> bool:
        """Whether they make any method stochastic: a field with the metadata `draws` is not None."""
        return any(field.metadata.get(DRAWS) and getattr(self, field.name) is not None for field in fields(self))


SettingsT = TypeVar("SettingsT", bound=Settings)


class Optimizer(ABC, Generic[SettingsT]):
    """B trajectories of one method, each with its own question, random generator and end.

    Class attributes are the method's traits; the contract tests and tables read them.

    Args:
        questions: What is asked: space, start points, members, goal and budget, one question a trajectory.
        settings: Hyperparameters; None: the method's defaults.
        rngs: One Generator a trajectory; None: `trajectory_generators(seed, B)`.
        seed: Seed used when no Generators are given.

    Raises:
        InvalidParameterError: Settings of another method.
        InvalidBudgetError: No budget for a method that plans by it.
        ShapeMismatchError: rngs are not one a trajectory.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    title: ClassVar[str]
    uses_gradient: ClassVar[bool] = False
    is_stochastic: ClassVar[bool] = False
    recommends: ClassVar[Literal["regions", "points"]] = "regions"
    """`points`: each region that is recommended is a point, without volume, and need not be theta0."""
    keeps_start: ClassVar[bool] = True
    """Whether every region that is recommended holds theta0; one that does not answers no question, but is judged."""
    paradigm: ClassVar[str] = "not told"
    """How it goes about it, in a word or two that related methods share, as in the paper's method table."""
    finds: ClassVar[str] = "not told"
    """What its answer is, in a few words."""
    shares_samples: ClassVar[bool] = False
    """Whether what it asks does not depend on theta0, so that one set of samples serves every start point."""
    answers_goals: ClassVar[bool] = False
    """Whether `recommend` answers other goals, and `profile` all levels of one, from the same queries."""
    uses_goal: ClassVar[bool] = True
    """Whether what it does depends on the goal; if not, one run answers the questions of every goal."""
    plans_by_budget: ClassVar[bool] = False
    """Whether what it does depends on the budget; if not, runs with a small one begin like those with a larger one."""
    settings_class: ClassVar[type[Settings]]

    @final
    def __init__(
        self,
        questions: Questions,
        *,
        settings: SettingsT | None = None,
        rngs: Sequence[np.random.Generator] | None = None,
        seed: int = 0,
    ) -> None:
        self.questions = instance_of("questions", questions, Questions)
        self.space: SemanticSpace = questions.space
        self.start: FloatArray = questions.start
        count = len(questions)
        self._rngs = None if rngs is None else list(items("rngs", rngs))
        self._seed = whole_number("seed", seed, 0, MOST_SEED)
        for rng in self._rngs or ():
            instance_of("a generator", rng, np.random.Generator)
        if self._rngs is not None and len(self._rngs) != count:
            raise ShapeMismatchError(f"{count} questions need as many generators, not {len(self._rngs)}")
        if self.plans_by_budget and not np.isfinite(questions.budget):
            raise InvalidBudgetError(f"{self.name} plans by its budget: ask questions with one")
        self.settings: SettingsT = cast(SettingsT, self.settings_class()) if settings is None else settings
        if not isinstance(self.settings, self.settings_class):
            raise InvalidParameterError(
                f"{self.name} takes {self.settings_class.__name__}, not {type(self.settings).__name__}"
            )
        self.steps: IntArray = np.zeros(count, dtype=np.int64)
        self._status = np.full(count, RUNNING, dtype="<U16")
        self._running: BoolArray = np.ones(count, dtype=np.bool_)  # which have that status: comparing texts is slow
        self._asked: Queries | None = None
        self._state = self._start()

    def __len__(self) -> int:
        return len(self.start)

    @property
    def rngs(self) -> list[np.random.Generator]:
        """One Generator a trajectory, made when first used: most methods draw nothing."""
        if self._rngs is None:
            self._rngs = trajectory_generators(self._seed, len(self))
        return self._rngs

    @property
    def running(self) -> BoolArray:
        """Which trajectories have not ended, (B,)."""
        return np.array(self._running)

    @property
    def status(self) -> list[str]:
        """How each trajectory stands: running, converged, budget or steps."""
        return [str(status) for status in self._status]

    @final
    def stop(self, rows: BoolArray, status: str) -> None:
        """End the running ones among the rows (B,) with a status; an open ask is forgotten."""
        ended = rows & self._running
        if ended.any():
            self._status[ended] = status
            self._running &= ~ended

    @final
    def ask(self) -> Queries:
        """The next queries: theta (B, m, n) inside the space, active only for running trajectories."""
        theta = self._ask(self._state)
        active = np.repeat(self._running, theta.shape[1]).reshape(theta.shape[:2])
        self._asked = Queries(self.space.project(theta), self.questions.member, active, self.uses_gradient)
        return self._asked

    @final
    def tell(self, answers: Answers) -> None:
        """Take the answers to the last ask; only trajectories that were answered in full and still run move on.

        Raises:
            ProtocolError: Nothing was asked.
            ShapeMismatchError: The answers do not fit the last ask, or lack the gradients it wanted.
        """
        instance_of("answers", answers, Answers)
        asked = self._asked
        if asked is None:
            raise ProtocolError("tell without ask: call ask() first and tell its answers once")
        if answers.values.shape != asked.theta.shape[:2]:
            raise ShapeMismatchError(f"answers {answers.values.shape} do not fit the ask {asked.theta.shape[:2]}")
        if self.uses_gradient and (answers.gradients is None or answers.gradients.shape != asked.theta.shape):
            raise ShapeMismatchError(f"{self.name} needs a gradient with each of its {asked.theta.shape[:2]} values")
        self._asked = None
        before = self._state
        after = self._tell(before, answers)
        moved = self._running
        if not answers.active.all():
            moved = moved & answers.active.all(axis=1)
        if not moved.all():
            after = {
                name: np.where(moved.reshape(-1, *[1] * (value.ndim - 1)), value, before[name])
                for name, value in after.items()
            }
        self._state = after
        self.steps += moved
        if "converged" in self._state:
            self.stop(self._state["converged"], CONVERGED)

    @final
    def recommend(self, goal: Goal | None = None) -> Regions:
        """The region that each trajectory answers with now, (B, n); works before any tell.

        Args:
            goal: None: that of the questions; another one: the answer to it from the same queries.

        Raises:
            UnsupportedGoalError: Another goal, and the method cannot answer it (`answers_goals`).
        """
        if goal is None or goal == self.questions.goal or not self.uses_goal:
            return self._recommend()
        return self._recommend_for(goal)

    @final
    def profile(self, levels: Sequence[float]) -> list[Regions]:
        """The robustness profile: for each level the regions (B, n) that meet the goal there, by the same queries.

        Args:
            levels: Unit scores in [0, 1], see `Goal.at`.

        Raises:
            UnsupportedGoalError: The method cannot answer other goals (`answers_goals`).
            InvalidParameterError: A level that the goal cannot have.
        """
        return [self.recommend(self.questions.goal.at(level)) for level in levels]

    @abstractmethod
    def _recommend(self) -> Regions:
        """The region of each trajectory for the goal of its question, (B, n); works before any tell."""

    def _recommend_for(self, goal: Goal) -> Regions:
        """The region of each trajectory for another goal, (B, n), from the same queries, where `answers_goals`."""
        raise UnsupportedGoalError(
            f"{self.name} answers the goal that it was asked for, {self.questions.goal}, not {goal}; run it again with "
            "that goal, or a method that answers every goal from the same queries, such as box_quadrature"
        )

    @abstractmethod
    def _start(self) -> State:
        """First state. A boolean `converged` (B,) in it ends trajectories by itself."""

    @abstractmethod
    def _ask(self, state: State) -> FloatArray:
        """Points to query, (B, m, n); the base class projects them into the space."""

    @abstractmethod
    def _tell(self, state: State, answers: Answers) -> State:
        """Next state of all rows, as new arrays."""

    @final
    def save(self) -> State:
        """All that a restart needs, as plain arrays that `numpy.savez` writes without pickling."""
        generators = [json.dumps(rng.bit_generator.state) for rng in self.rngs]
        return {
            **{f"{_STATE}{name}": value.copy() for name, value in self._state.items()},
            "start": self.start.copy(),
            "member": self.questions.member.copy(),
            "goal": np.array(self.questions.goal.text),
            "budget": np.array(self.questions.budget),
            "steps": self.steps.copy(),
            "status": self._status.copy(),
            "generators": np.array(generators),
            "settings": np.array(json.dumps(self.settings.to_mapping())),
            "method": np.array(f"{self.name}/{self.version}"),
        }

    @final
    def restore(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Continue from what `save` gave, bit for bit; after an error everything is as before.

        Raises:
            ProtocolError: Saved by another method, version or settings, of other questions, or no such thing at all.
        """
        own = self.save()
        try:
            kept = {name: np.asarray(saved[name]) for name in own}  # a foreign mapping may raise anything
            generators = [json.loads(str(text)) for text in kept["generators"]]
            settings = json.loads(str(kept["settings"]))
        except Exception as error:
            raise ProtocolError(
                f"no saved state of {self.name} ({type(error).__name__}: {str(error)[:80]}); give what save() gave"
            ) from error
        method = str(kept["method"])
        if method != f"{self.name}/{self.version}" or settings != json.loads(json.dumps(self.settings.to_mapping())):
            raise ProtocolError(
                f"state of {method[:80]} with {str(settings)[:400]} cannot continue as {self.name}/{self.version} with "
                f"{self.settings}"
            )
        for name, here in own.items():
            there = kept[name]
            if there.shape != here.shape or there.dtype.kind != here.dtype.kind:
                raise ProtocolError(
                    f"the saved {name} has shape {there.shape} and type {there.dtype}, here it is {here.shape} and "
                    f"{here.dtype}; give what save() gave for these questions"
                )
        for name in ("start", "member", "goal", "budget"):
            if not np.array_equal(kept[name], own[name]):
                raise ProtocolError("the saved state answers other questions; make the optimizer with those")
        if not np.isin(kept["status"], _STATUSES).all() or (kept["steps"] < 0).any():
            raise ProtocolError(
                "the saved state has a status or number of steps that there is not; give what save() gave"
            )
        before = [rng.bit_generator.state for rng in self.rngs]
        try:
            for rng, state in zip(self.rngs, generators, strict=True):
                rng.bit_generator.state = state
        except Exception as error:  # each kind of generator raises others
            for rng, state in zip(self.rngs, before, strict=True):
                rng.bit_generator.state = state
            raise ProtocolError(f"a saved generator is none ({type(error).__name__}); give what save() gave") from error
        self._state = {name: kept[f"{_STATE}{name}"].copy() for name in self._state}
        self.steps, self._status = kept["steps"].astype(np.int64), kept["status"].astype(self._status.dtype)
        self._running = np.asarray(self._status == RUNNING)
        self._asked = None


class RegionOptimizer(Optimizer[SettingsT]):
    """A method that answers with regions: its state holds `lower` and `upper`, (B, n)."""

    @final
    def _recommend(self) -> Regions:
        """The current regions, in canonical form."""
        return Regions(self.space, self._state["lower"], self._state["upper"]).clip()


def trajectory_generators(seed: int, count: int) -> list[np.random.Generator]:
    """One independent Generator a trajectory: number i depends on the seed and i alone."""
    return [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(row,))) for row in range(count)]
