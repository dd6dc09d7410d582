"""What a comparison will take, from short trials: the queries of every plan, and seconds a query of every method."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from baselines.experiments.protocols import PlannedRun, Protocol
from baselines.experiments.suites import Suite
from optimizers.base import BUDGET, Optimizer
from optimizers.registry import get_optimizer
from optimizers.run import run
from semrob_env.errors import SemrobError
from semrob_env.oracle import QueryOracle
from semrob_env.questions import Questions

TRIAL_SECONDS = 1.0
"""After so long of processor time, the steps of a trial end."""


@final
@dataclass(frozen=True)
class Estimate:
    """What the runs of an entry will take."""

    label: str  # of the entry
    runs: int  # how many
    queries: float  # at most so many in all
    seconds: float  # about so long, in seconds of one core, for as many queries as trials suggest; NaN: no trial worked
    problem: str  # why a trial did not work; empty if all did


def estimates(
    protocol: Protocol, suite: Suite, runs: Sequence[PlannedRun], done: Callable[[], None] = lambda: None
) -> list[Estimate]:
    """An estimate an entry: for each number of parameters, one run at the largest budget is begun.

    A trial that is cut short counts as if all its queries took as long as its first ones, although a model-based
    method slows down: such estimates are low. One run alone, not a batch: for methods of the paper they are high.

    Args:
        protocol: The entries.
        suite: Its questions.
        runs: Planned runs.
        done: Called after every entry.
    """
    found = []
    for index, entry in enumerate(protocol.entries):
        own = list({run.task: run for run in runs if run.entry == index}.values())
        seconds, problem = 0.0, ""
        for n in dict.fromkeys(len(planned.task.question.start) for planned in own):
            chosen = [planned for planned in own if len(planned.task.question.start) == n]
            try:
                a_query, share = _trial(max(chosen, key=lambda planned: planned.budget), suite)
                seconds += a_query * share * sum(planned.budget for planned in chosen)
            except SemrobError as error:
                problem = f"{type(error).__name__}: {error}"
        queries = float(sum(planned.budget for planned in own))
        found.append(Estimate(entry.label, len(own), queries, seconds if seconds or not problem else np.nan, problem))
        done()
    return found


def _trial(planned: PlannedRun, suite: Suite) -> tuple[float, float]:
    """Seconds a query, and the share of its budget that a run spends."""
    task, asked = planned.task, planned.task.question
    function, member = suite.functions.member(asked.function_id)
    method = get_optimizer(task.method)
    settings = method.settings_class.from_mapping(task.settings_mapping)
    oracle = QueryOracle(function, budget=asked.budget, gradient_cost=asked.gradient_cost)
    times: list[float] = []  # of this process, after each step: a machine may be busy with something else
    spent: list[float] = []
    is_cut = False

    def clock(optimizer: Optimizer[Any], oracle: QueryOracle) -> None:
        nonlocal is_cut
        times.append(time.process_time())
        spent.append(float(oracle.spent[0]))
        if times[-1] - times[0] > TRIAL_SECONDS and optimizer.running.any():
            is_cut = True
            optimizer.stop(np.ones(len(optimizer), dtype=np.bool_), BUDGET)

    started = time.process_time()
    questions = Questions(function.space, asked.start, member=[member], goal=asked.goal, budget=asked.budget)
    run(method(questions, settings=settings), oracle, on_step=clock)
    if len(times) > 1:  # the first step may load a library
        a_query = (times[-1] - times[0]) / (spent[-1] - spent[0])
    else:
        a_query = (time.process_time() - started) / max(float(oracle.spent[0]), 1.0)
    return a_query, 1.0 if is_cut else float(oracle.spent[0]) / planned.budget
