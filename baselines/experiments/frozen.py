"""What each parameter costs: the share that a method finds with the parameter frozen, beside that with it free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from baselines.experiments.functions import Functions
from baselines.experiments.runner import execute
from semrob_env.errors import InvalidParameterError
from semrob_env.functions import Frozen, ScoreFunction
from semrob_env.store import RunRow


@final
@dataclass(frozen=True)
class FrozenGain:
    """One question with a parameter free, and with it frozen at the start point's value.

    Both shares are of the space of the other parameters, so that they compare; the free region's is that of its shadow,
    without the parameter's own side. Where the frozen one is larger, the parameter keeps the region small along them.

    Attributes:
        parameter: The parameter.
        free: Share of the others' space that the shadow of the free region takes.
        frozen: Share of it that the frozen region takes; NaN where the run failed.
        row: The frozen run: bounds over the other parameters, feasibility, bill.
    """

    parameter: str
    free: float
    frozen: float
    row: RunRow

    @property
    def gain(self) -> float:
        """What freezing gains, in shares of the others' space; below 0 by what the method misses, or by the goal."""
        return self.frozen - self.free


def frozen_gains(function: ScoreFunction, row: RunRow, *, parameters: Sequence[str] | None = None) -> list[FrozenGain]:
    """Answer the question of a row again, each time with one parameter frozen at its start value.

    Method, settings, seed, goal, budget and judge are the row's. So each parameter costs at most the budget once again,
    and the judge's points; `forward_queries`, `gradient_queries` and `judge_queries` of its row are the bill.

    Args:
        function: The function that the row's question names, or a family with that member.
        row: The run with all parameters free.
        parameters: Which are frozen; None: each in turn.

    Raises:
        InvalidParameterError: The run failed, or the space has one parameter: nothing is left to vary.
        UnknownNameError: No such parameter or member.
    """
    space, task = function.space, row.task
    if not row.lower:
        raise InvalidParameterError(f"the run on {task.question.function_id} found no region: it ended as {row.status}")
    member = Functions(given=[function]).member(task.question.function_id)[1]
    shares = (np.array(row.upper) - np.array(row.lower)) / space.width
    found = []
    for name in space.names if parameters is None else parameters:
        at = space.index(name)
        frozen = Frozen(function, name, task.question.start[at])
        question = replace(
            task.question, function_id=frozen.member_ids[member], start=_without(task.question.start, at)
        )
        steps = None if task.finite_difference is None else _without(task.finite_difference, at)
        own = execute([replace(task, question=question, finite_difference=steps)], Functions(given=[frozen]))[0]
        found.append(FrozenGain(name, float(np.delete(shares, at).prod()), own.share, own))
    return found


def _without(values: tuple[float, ...], at: int) -> tuple[float, ...]:
    return values[:at] + values[at + 1 :]
