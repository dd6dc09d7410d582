"""The loop: ask, charge, tell, until every trajectory has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from optimizers.base import BUDGET, STEPS, Optimizer
from semrob_env.checks import callable_of, instance_of, number, shown
from semrob_env.errors import InvalidBudgetError, ShapeMismatchError
from semrob_env.oracle import QueryOracle
from semrob_env.regions import Regions
from semrob_env.types import BoolArray, FloatArray, IntArray

CHECKPOINTS: IntArray = np.unique(np.round(10.0 ** (np.arange(71) / 10)).astype(np.int64))
"""Spent budgets at which the recommended region is kept: ten a decade, 1 to 10^7, the same for every run."""


@final
@dataclass(frozen=True, eq=False)
class Trace:
    """The recommended region of each trajectory at each checkpoint that its run has passed.

    A checkpoint holds the region after the last step whose bill is within it. A run that continues a saved one
    holds the checkpoints from there on. Rows are ordered by trajectory, then checkpoint.

    Attributes:
        trajectory: Trajectory of each row, (T,).
        queries: Checkpoint of each row, (T,).
        lower: Lower bounds, (T, n), canonical form.
        upper: Upper bounds, (T, n).
    """

    trajectory: IntArray
    queries: IntArray
    lower: FloatArray
    upper: FloatArray


@final
@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run leaves: one row a trajectory.

    Attributes:
        regions: Final regions, B of them.
        status: How each ended: converged, budget or steps.
        steps: Steps told, (B,).
        forward_queries: Charged, (B,).
        gradient_queries: Charged, (B,).
        trace: Regions at the checkpoints.
    """

    regions: Regions
    status: list[str]
    steps: IntArray
    forward_queries: IntArray
    gradient_queries: IntArray
    trace: Trace


def run(
    optimizer: Optimizer[Any],
    oracle: QueryOracle,
    *,
    max_steps: int | None = None,
    on_step: Callable[[Optimizer[Any], QueryOracle], None] | None = None,
) -> RunResult:
    """Run an optimizer on an oracle until every trajectory has converged, is out of budget or at the step limit.

    A trajectory that cannot pay its next ask ends with status `budget`; the others go on unchanged.

    Args:
        optimizer: One trajectory a row.
        oracle: With as many trajectories; a budget, or `max_steps`, bounds the run.
        max_steps: Most steps of each trajectory; None: no limit.
        on_step: Called after every step, for progress or to record states; it must not tell or query.

    Raises:
        InvalidBudgetError: Neither a budget nor a step limit above 0.
        ShapeMismatchError: Optimizer and oracle have different numbers of trajectories.
    """
    instance_of("optimizer", optimizer, Optimizer)
    instance_of("oracle", oracle, QueryOracle)
    if on_step is not None:
        callable_of("on_step", on_step)
    most = np.inf if max_steps is None else number(max_steps)
    if not most >= 1:
        raise InvalidBudgetError(f"max_steps {shown(max_steps)}: give at least 1, or none for no limit")
    if max_steps is None and not np.isfinite(oracle.budget):
        raise InvalidBudgetError("a run without an end: give the oracle a budget or the run max_steps")
    if len(optimizer) != oracle.trajectories:
        raise ShapeMismatchError(f"{len(optimizer)} trajectories to optimize, {oracle.trajectories} in the oracle")
    recorder = _Recorder(oracle.spent)
    while True:
        if max_steps is not None:
            optimizer.stop(optimizer.steps >= most, STEPS)
        if not optimizer.running.any():
            break
        queries = optimizer.ask()
        unpaid = ~oracle.affordable(queries)
        if unpaid.any():
            optimizer.stop(unpaid, BUDGET)
            queries = replace(queries, active=queries.active & ~unpaid[:, None])
            if not queries.active.any():
                break
        answers = oracle.query(queries)
        recorder.before_step(optimizer, oracle.spent)
        optimizer.tell(answers)
        if on_step is not None:
            on_step(optimizer, oracle)
    regions = optimizer.recommend()
    return RunResult(
        regions,
        optimizer.status,
        optimizer.steps.copy(),
        oracle.forward_queries,
        oracle.gradient_queries,
        recorder.finish(regions, oracle.spent),
    )


class _Recorder:
    """Collects trace rows; asks for the recommendation only in steps that pass a checkpoint."""

    def __init__(self, spent: FloatArray) -> None:
        # Index of each trajectory's first open checkpoint; a continued run has passed some.
        self._next: IntArray = np.searchsorted(CHECKPOINTS, spent, side="left")
        self._parts: list[tuple[IntArray, IntArray, FloatArray, FloatArray]] = []

    def before_step(self, optimizer: Optimizer[Any], spent_after: FloatArray) -> None:
        """Keep the region from before a step for the checkpoints that the step's bill passes."""
        if spent_after.max() <= CHECKPOINTS[min(int(self._next.min()), len(CHECKPOINTS) - 1)]:
            return  # most steps pass none
        passed = np.searchsorted(CHECKPOINTS, spent_after, side="left")  # checkpoints below the new bill
        if (passed > self._next).any():
            self._keep(optimizer.recommend(), passed)

    def finish(self, regions: Regions, spent: FloatArray) -> Trace:
        """Keep the final region for the checkpoint that equals the final bill or is the first above it, then sort."""
        reached = np.minimum(np.searchsorted(CHECKPOINTS, spent, side="left") + 1, len(CHECKPOINTS))
        self._keep(regions, reached)
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        order = np.lexsort((columns[1], columns[0]))
        trajectory, queries, lower, upper = (column[order] for column in columns)
        return Trace(trajectory, queries, lower, upper)

    def _keep(self, regions: Regions, until: IntArray) -> None:
        # One pass a checkpoint that any trajectory has open: few, as a step passes few checkpoints.
        for index in range(int(self._next.min()), int(until.max())):
            rows: BoolArray = (self._next <= index) & (index < until)
            if rows.any():
                at = np.flatnonzero(rows)
                checkpoint = np.full(len(at), CHECKPOINTS[index])
                self._parts.append((at, checkpoint, regions.lower[at], regions.upper[at]))
        self._next = np.maximum(self._next, until)
