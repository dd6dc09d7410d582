"""Tasks in, rows out: runs and judges tasks in batches, and keeps what is done in a run store.

The row of a task does not depend on the tasks beside it: bit for bit, apart from wall time, date and revision.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from typing import Any, final

import numpy as np

from optimizers.base import Optimizer
from optimizers.registry import get_optimizer
from optimizers.run import RunResult, run
from semrob_env.errors import InvalidParameterError, InvalidRowError, NameClashError, SemrobError
from semrob_env.functions import ScoreFunction, make_function
from semrob_env.metrics import Judge, Thresholds, judge_regions
from semrob_env.oracle import FiniteDifferences, QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.store import (
    FAILED,
    RunRow,
    RunStore,
    RunTask,
    TraceRow,
    canonical_json,
    package_revision,
    task_generator,
)

OnStep = Callable[[Optimizer[Any], QueryOracle], None]


@final
@dataclass(frozen=True)
class RunSummary:
    """Where a call of `run_tasks` stands.

    Attributes:
        total: Tasks given.
        skipped: Tasks that had a row in the store already, or were given twice.
        done: Tasks that ran and did not fail.
        failed: Tasks that ran and failed.
        stale: Rows of the same methods, but of another version of them, that the store holds and nobody mixes in.
    """

    total: int
    skipped: int = 0
    done: int = 0
    failed: int = 0
    stale: int = 0


OnRows = Callable[[Sequence[RunRow], RunSummary], None]


def execute(
    tasks: Sequence[RunTask],
    functions: Mapping[str, ScoreFunction] | None = None,
    on_step: OnStep | None = None,
) -> list[RunRow]:
    """Run and judge tasks; those that share function, method and all settings but start and seed run as one batch.

    A task that raises gives a row with status failed and the error's class and text; the others are unaffected.

    Args:
        tasks: Any mix.
        functions: Functions already made, by id (families and stacks too: a task names one of their members). Other
            functions are made from the task's id.
        on_step: Called after every step of every batch.

    Returns:
        One row a task, in order, with its trace. The row's task has its function id and settings written in full.

    Raises:
        UnknownNameError: A method that is not registered.
        InvalidParameterError: A hyper-parameter that the method does not have.
        NameClashError: A member is given by two of the functions.
    """
    known = _Functions(functions)
    return _execute([known.job(task) for task in tasks], on_step)


def run_tasks(
    tasks: Sequence[RunTask],
    store: RunStore,
    *,
    functions: Mapping[str, ScoreFunction] | None = None,
    unit_size: int = 16,
    retry_failed: bool = False,
    on_rows: OnRows | None = None,
    on_step: OnStep | None = None,
) -> RunSummary:
    """Run the tasks that the store does not hold yet, unit by unit, and add the rows of each unit at once.

    A row that the store cannot keep becomes a failed one; the others of its unit are kept as they are. After a kill or
    Ctrl-C, the same call goes on where the last finished unit ended.

    Args:
        tasks: Any mix; they run grouped by function, then method.
        store: Where rows go.
        functions: As for `execute`.
        unit_size: Most tasks of one function and method that run as one batch: what a kill can lose.
        retry_failed: Run tasks whose row says failed again.
        on_rows: Called after each unit with all its rows, those found in the store first, and the summary so far.
        on_step: As for `execute`.

    Raises:
        InvalidParameterError: A unit size below 1; else as `execute`, before anything has run.
        StoreError: The store cannot be read or written.
    """
    if unit_size < 1:
        raise InvalidParameterError(f"unit size {unit_size}: give at least 1")
    known = _Functions(functions)
    methods = {task.method: get_optimizer(task.method) for task in tasks}
    tasks = [_with_full_settings(task, methods[task.method]) for task in tasks]  # a typo must fail before any work
    stale = store.stale({name: method.version for name, method in methods.items()})
    summary = RunSummary(len(tasks), stale=sum(stale.values()))
    for unit in _units(tasks, known, unit_size):
        jobs = {job.key: job for job in map(known.job, unit)}
        missing = store.missing(jobs, retry_failed=retry_failed)
        new = _keep(_execute(list(missing.values()), on_step), store)
        failed = sum(row.status == FAILED for row in new)
        summary = replace(
            summary,
            skipped=summary.skipped + len(unit) - len(new),
            done=summary.done + len(new) - failed,
            failed=summary.failed + failed,
        )
        if on_rows is not None:
            found = store.find(key for key in jobs if key not in missing)
            on_rows([*found.values(), *new], summary)
    return summary


@final
@dataclass(frozen=True, eq=False)
class _Job:
    """A task with its settings in full, and what it needs to run; `error` says why it cannot."""

    task: RunTask
    method: type[Optimizer[Any]]
    fingerprint: Mapping[str, str]
    function: ScoreFunction | None
    member: int
    error: Exception | None

    @property
    def key(self) -> str:
        return self.task.key(self.fingerprint, self.method.version)

    @property
    def group(self) -> tuple[object, ...]:
        """Equal for jobs that may run in one batch."""
        return id(self.function), replace(self.task, function_id="any", start=(0.0,), seed=0)

    def row(self, status: str, **measures: Any) -> RunRow:
        """A row of this job."""
        return RunRow(
            key=self.key,
            task=self.task,
            fingerprint=canonical_json(dict(self.fingerprint)),
            method_version=self.method.version,
            status=status,
            space="[]" if self.function is None else _space_text(self.function.space),
            revision=package_revision(),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            **measures,
        )

    def failed(self, error: Exception, seconds: float) -> RunRow:
        """The row of a job that raised."""
        return self.row(FAILED, error=_error_text(error), seconds=seconds)


@final
class _Functions:
    """Finds the function and member of a task; makes each function once until told to forget."""

    def __init__(self, given: Mapping[str, ScoreFunction] | None) -> None:
        self._given: dict[str, tuple[ScoreFunction, int]] = {}
        self._made: dict[str, ScoreFunction] = {}
        for name, function in (given or {}).items():
            if name != function.id:
                raise InvalidParameterError(
                    f"the function given as {name!r} has the id {function.id!r}; give it by that"
                )
            for member, member_id in enumerate(function.member_ids):
                if member_id in self._given:
                    raise NameClashError(f"member {member_id!r} is given twice; give each function once")
                self._given[member_id] = function, member

    def family(self, function_id: str) -> object:
        """Equal for tasks whose functions are one object."""
        return id(self._given[function_id][0]) if function_id in self._given else function_id

    def forget(self) -> None:
        """Drop the functions made so far."""
        self._made.clear()

    def job(self, task: RunTask) -> _Job:
        """The job of a task; an error of its function or start point goes into it, one of its method is raised."""
        method = get_optimizer(task.method)
        task = _with_full_settings(task, method)
        try:
            function, member = self._find(task.function_id)
        except Exception as error:  # a user's factory may raise anything
            return _Job(task, method, {}, None, 0, error)
        task = replace(task, function_id=function.member_ids[member])  # the id in full: one key however it was written
        problem = None
        try:
            function.space.require([task.start], "start point")
        except SemrobError as error:
            problem = error
        return _Job(task, method, function.fingerprints[member], function, member, problem)

    def _find(self, function_id: str) -> tuple[ScoreFunction, int]:
        if function_id in self._given:
            return self._given[function_id]
        if function_id not in self._made:
            made = make_function(function_id)
            if made.members != 1:
                raise InvalidParameterError(
                    f"{function_id!r} has {made.members} members; a task names one, the family goes into functions"
                )
            self._made[function_id] = made
        return self._made[function_id], 0


def _with_full_settings(task: RunTask, method: type[Optimizer[Any]]) -> RunTask:
    """The task with every hyper-parameter written out, so that a changed default changes the key."""
    given = task.settings_mapping
    for field in fields(method.settings_class):
        if isinstance(field.default, float) and type(given.get(field.name)) is int:
            given[field.name] = float(given[field.name])  # 1 and 1.0 are one setting and one key
    _judge(task)  # what is wrong with it must be told before any work, too
    return replace(task, settings=canonical_json(method.settings_class.from_mapping(given).to_mapping()))


def _judge(task: RunTask) -> Judge:
    return Judge(Thresholds(task.epsilon_m, task.epsilon_v), task.judge_points, task.judge_seed)


def _units(tasks: Sequence[RunTask], known: _Functions, size: int) -> Iterator[list[RunTask]]:
    """Tasks by function, then method, in order of first appearance, at most `size` at once."""
    families: dict[object, dict[str, list[RunTask]]] = {}
    for task in tasks:
        families.setdefault(known.family(task.function_id), {}).setdefault(task.method, []).append(task)
    for methods in families.values():
        for chosen in methods.values():
            for at in range(0, len(chosen), size):
                yield chosen[at : at + size]
        known.forget()


def _execute(jobs: Sequence[_Job], on_step: OnStep | None) -> list[RunRow]:
    rows: dict[int, RunRow] = {}
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, job in enumerate(jobs):
        if job.error is not None:
            rows[index] = job.failed(job.error, 0.0)
        else:
            groups.setdefault(job.group, []).append(index)
    for indices in groups.values():
        rows.update(zip(indices, _run_batch_or_each([jobs[index] for index in indices], on_step), strict=True))
    return [rows[index] for index in range(len(jobs))]


def _keep(rows: list[RunRow], store: RunStore) -> list[RunRow]:
    """Add rows to the store; the rows as they were kept: one that cannot be takes no other with it and is a failed one.

    Raises:
        StoreError: The store cannot be written, or a row not even as a failed one: then all others were.
    """
    try:
        store.add(rows)
    except InvalidRowError:
        pass
    else:
        return rows
    kept, unkept = [], None
    for row in rows:
        try:
            kept.append(_keep_or_fail(row, store))
        except InvalidRowError as error:
            unkept = error
    if unkept is not None:
        raise unkept
    return kept


def _keep_or_fail(row: RunRow, store: RunStore) -> RunRow:
    try:
        store.add([row])
    except InvalidRowError as error:
        defined = row.key, row.task, row.fingerprint, row.method_version
        row = RunRow(*defined, FAILED, _error_text(error), row.space, revision=row.revision, created=row.created)
        store.add([row])
    return row


def _error_text(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # a user's error may not even have a text
        return type(error).__name__


def _run_batch_or_each(jobs: Sequence[_Job], on_step: OnStep | None) -> list[RunRow]:
    """The rows of a batch; if it raises, of each job alone, so that only the one to blame fails."""
    started = time.perf_counter()
    try:
        return _run_batch(jobs, on_step)
    except Exception as error:  # a user's function or network may raise anything
        if len(jobs) == 1:
            return [jobs[0].failed(error, time.perf_counter() - started)]
    return [row for job in jobs for row in _run_batch_or_each([job], on_step)]


def _run_batch(jobs: Sequence[_Job], on_step: OnStep | None) -> list[RunRow]:
    started = time.perf_counter()
    function, method, task = jobs[0].function, jobs[0].method, jobs[0].task
    assert function is not None
    members = np.array([job.member for job in jobs])
    optimizer = method(
        function.space,
        np.array([job.task.start for job in jobs]),
        member=members,
        settings=method.settings_class.from_mapping(task.settings_mapping),
        rngs=[task_generator(job.task) for job in jobs],
    )
    differences = None if task.finite_difference is None else FiniteDifferences(task.finite_difference or None)
    oracle = QueryOracle(
        function,
        trajectories=len(jobs),
        budget=task.budget,
        gradient_cost=task.gradient_cost,
        finite_differences=differences,
    )
    result = run(optimizer, oracle, max_steps=task.max_steps, on_step=on_step)
    judged = judge_regions(function, result.regions, members, _judge(task))
    seconds = time.perf_counter() - started
    queries = result.forward_queries + result.gradient_queries + judged.judge_queries
    traces = _traces(result, len(jobs))
    return [
        job.row(
            result.status[row],
            lower=_plain(result.regions.lower[row]),
            upper=_plain(result.regions.upper[row]),
            share=float(judged.share[row]),
            feasible=bool(judged.feasible[row]),
            mean=float(judged.mean[row]),
            variance=float(judged.variance[row]),
            purity=float(judged.purity[row]),
            quantile_05=float(judged.quantile_05[row]),
            minimum=float(judged.minimum[row]),
            judge_queries=int(judged.judge_queries[row]),
            forward_queries=int(result.forward_queries[row]),
            gradient_queries=int(result.gradient_queries[row]),
            steps=int(result.steps[row]),
            seconds=seconds * float(queries[row] / queries.sum()),
            trace=traces[row],
        )
        for row, job in enumerate(jobs)
    ]


def _traces(result: RunResult, count: int) -> list[tuple[TraceRow, ...]]:
    traces: list[list[TraceRow]] = [[] for _ in range(count)]
    trace = result.trace
    for row, queries, lower, upper in zip(trace.trajectory, trace.queries, trace.lower, trace.upper, strict=True):
        traces[row].append(TraceRow(int(queries), _plain(lower), _plain(upper)))
    return [tuple(rows) for rows in traces]


def _plain(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _space_text(space: SemanticSpace) -> str:
    return canonical_json([[p.name, p.unit, p.low, p.high, p.period] for p in space.parameters])
