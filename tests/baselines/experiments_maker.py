"""Small protocols and methods for tests of comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import numpy as np

import optimizers  # noqa: F401  (fills the registry)
from baselines.experiments.protocols import Entry, Protocol
from baselines.experiments.suites import Options, Suite, make_suite
from optimizers.base import Optimizer, RegionOptimizer, Settings, State
from optimizers.registry import OPTIMIZERS, register
from semrob_env.oracle import Answers
from semrob_env.questions import Goal, MeanGoal
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True)
class PlannerSettings(Settings):
    """One of its own.

    Attributes:
        rate: Of growth.
    """

    rate: float = 0.01


@final
class Planner(RegionOptimizer[PlannerSettings]):
    """Widens by a random part of the range while the centre is above the threshold, and ends at half its budget."""

    name = "planner"
    title = "Planner"
    is_stochastic = True
    plans_by_budget = True
    settings_class = PlannerSettings

    def _start(self) -> State:
        return {"lower": self.start.copy(), "upper": self.start.copy(), "converged": np.zeros_like(self.running)}

    def _ask(self, state: State) -> FloatArray:
        return np.asarray(((state["lower"] + state["upper"]) / 2)[:, None, :])

    def _tell(self, state: State, answers: Answers) -> State:
        draw = np.array([rng.random(self.space.n) for rng in self.rngs])
        step = self.settings.rate * draw * self.space.width * (answers.values >= self.questions.goal.level)
        lower, upper = (state["lower"] - step).clip(self.space.low), (state["upper"] + step).clip(max=self.space.high)
        return {"lower": lower, "upper": upper, "converged": self.steps + 1 >= self.questions.budget / 2}


@contextmanager
def registered(method: type[Optimizer[Any]]) -> Iterator[None]:
    """A method on the list, for a while."""
    register(method)
    try:
        yield
    finally:
        del OPTIMIZERS[method.name]


def small(
    maps: str,
    methods: Sequence[str] = ("naive", "oir_w"),
    *,
    suite: str = "recorded",
    options: Options | None = None,
    goals: tuple[Goal, ...] = (MeanGoal(0.5), MeanGoal(0.3)),
    budgets: tuple[int, ...] = (20, 60),
    seeds: tuple[int, ...] = (0,),
) -> tuple[Protocol, Suite]:
    """A protocol and its suite, by default on all of a file of maps."""
    made = make_suite(suite, options or {}, goals, maps)
    protocol = Protocol(
        **made.frozen(),
        goals=goals,
        entries=tuple(map(Entry.of, methods)),
        budgets=budgets,
        seeds=seeds,
        judge_points=32,
        targets=(0.1, 0.5),
        resamples=50,
    )
    return protocol, made
