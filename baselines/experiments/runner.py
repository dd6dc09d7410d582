"""Tasks in, rows out: runs and judges tasks in batches, here or in worker processes, and keeps the rows in a run store.

The row of a task does not depend on the tasks beside it, nor on the number of workers: bit for bit, apart from wall
time, date and revision. Workers return rows; only the parent writes.

Workers are those of an engine (`baselines.experiments.pool`): they make functions by their ids, once each, and a row
that comes back under another key than the one expected here, because a worker has other weights, meshes, maps or code,
is a failed one.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar, final

import numpy as np

from baselines.experiments.functions import Functions
from baselines.experiments.methods import full_settings
from baselines.experiments.plugins import import_modules
from baselines.experiments.pool import Workers, finished
from optimizers.base import BUDGET, Optimizer
from optimizers.registry import OPTIMIZERS, get_optimizer
from optimizers.run import RunResult, run
from semrob_env.errors import InvalidBudgetError, InvalidParameterError, InvalidRowError, SemrobError, WorkerError
from semrob_env.functions import ScoreFunction
from semrob_env.metrics import Judge, certify_by_points, judge_regions
from semrob_env.oracle import FiniteDifferences, QueryOracle
from semrob_env.questions import Question, Questions
from semrob_env.scene.classifiers.options import (
    trust_factory,
    trust_model_file,
    trusted_factories,
    trusted_model_files,
)
from semrob_env.store import (
    FAILED,
    UNPAID,
    RunRow,
    RunStore,
    RunTask,
    TraceRow,
    canonical_json,
    package_revision,
    task_generator,
)

WorkT = TypeVar("WorkT")
ResultT = TypeVar("ResultT")

OnStep = Callable[[Optimizer[Any], QueryOracle], None]

HERE = Workers()
"""This process."""

CHUNK, LIVE_CHUNK = 64, 4
"""Tasks that run as one batch, on maps and formulas, and on live functions: what a kill can lose of each worker."""


@final
@dataclass(frozen=True)
class RunSummary:
    """Where a call of `run_tasks` stands."""

    total: int  # tasks given
    skipped: int = 0  # tasks that had a row in the store already, or were given twice
    done: int = 0  # tasks that ran and did not fail
    failed: int = 0  # tasks that ran and failed
    stale: int = 0  # rows of the same methods, but of another version of them, that the store holds and nobody mixes in


LIVE_MODULES = ("baselines.experiments.runner", "semrob_env.scene.classifiers.torch_module")
"""What workers need for live functions, and takes seconds to load; see `Workers.begin`."""

CHUNKS_A_WORKER = 8
"""At least so many chunks for each worker, where there are enough tasks."""

OnRows = Callable[[Sequence[RunRow], RunSummary], None]


def solve(
    question: Question,
    method: str = "box_quadrature",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    *,
    function: ScoreFunction | None = None,
) -> RunRow:
    """Answer one question and judge the answer.

    Args:
        question: With a budget.
        method: Registered name.
        settings: Hyperparameters; those that are missing keep the method's defaults.
        seed: Of the run.
        function: The function itself, where no id makes it: the question has the id of one of its members.

    Returns:
        Its bounds, whether they are feasible, their share of the space, the bill and more.

    Raises:
        SemrobError: The question cannot be asked of this function or method; or what the function raises.
    """
    known = Functions(given=() if function is None else (function,))
    job = _job(RunTask(question, method, canonical_json(dict(settings or {})), seed=seed), known)
    if job.error is not None:
        raise job.error
    return _run_batch([job], None)[0]


def execute(
    tasks: Sequence[RunTask], functions: Functions | None = None, on_step: OnStep | None = None
) -> list[RunRow]:
    """Run and judge tasks; those that share function, method and all but member, start and seed run as one batch.

    A task that raises gives a row with status failed and the error's class and text; the others are unaffected.

    Args:
        tasks: Any mix.
        functions: Where functions are found; None: made from the tasks' ids.
        on_step: Called after every step of every batch.

    Returns:
        One row a task, in order, with its trace. The row's task has its function id and settings written in full.

    Raises:
        UnknownNameError: A method that is not registered.
        InvalidParameterError: A hyperparameter that the method does not have.
    """
    known = functions or Functions()
    return _execute([_job(task, known) for task in tasks], on_step)


def run_tasks(
    tasks: Sequence[RunTask],
    store: RunStore,
    *,
    functions: Functions | None = None,
    chunk: int = CHUNK,
    workers: Workers = HERE,
    modules: Sequence[str] = (),
    retry_failed: bool = False,
    on_rows: OnRows | None = None,
    on_step: OnStep | None = None,
) -> RunSummary:
    """Run the tasks that the store does not hold yet, chunk by chunk, and add the rows of each chunk at once.

    A row that the store cannot keep becomes a failed one; the others of its chunk are kept as they are. After a kill or
    Ctrl-C, the same call goes on where the last finished chunk ended.

    Args:
        tasks: Any mix.
        store: Where rows go.
        functions: As for `execute`.
        chunk: Most tasks that run as one batch.
        workers: Who runs them.
        modules: Names of modules that workers import first: what they register (`--import`) is known there as here.
        retry_failed: Run tasks whose row says failed again.
        on_rows: Called after each chunk with all its rows and the summary so far, first for rows that were there.
        on_step: As for `execute`; only in this process.

    Raises:
        InvalidParameterError: Less than one task a chunk, functions that cannot travel to workers; else as `execute`,
            before anything has run.
        StoreError: The store cannot be read or written.
        WorkerError: As `pool.finished`.
    """
    if chunk < 1:
        raise InvalidParameterError(f"chunks of {chunk}: give at least 1")
    known = functions or Functions()
    if not (workers.is_here or workers.shares_memory or known.can_travel):
        raise InvalidParameterError(
            "functions made by hand cannot travel to other processes; give 1 worker, or backend threading"
        )
    distinct = list(dict.fromkeys(map(_in_full, tasks)))  # a typo fails before any work
    stale = store.stale({task.method: get_optimizer(task.method).version for task in distinct})
    summary = RunSummary(len(tasks), skipped=len(tasks) - len(distinct), stale=sum(stale.values()))
    open_chunks: list[dict[str, RunTask]] = []
    if not workers.is_here:  # small enough that no worker is left with a long one when the others have ended
        chunk = max(1, min(chunk, len(distinct) // (CHUNKS_A_WORKER * workers.local_count)))
    for part in _chunks(distinct, known, chunk, by_length=not workers.is_here):
        jobs = {job.key: job for job in (_job(task, known) for task in part)}
        missing = store.missing(jobs, retry_failed=retry_failed)
        summary = replace(summary, skipped=summary.skipped + len(part) - len(missing))
        if len(missing) < len(jobs) and on_rows is not None:
            on_rows(list(store.find(key for key in jobs if key not in missing).values()), summary)
        if missing and workers.is_here:  # at once: the first rows are there while later functions are not even made
            summary = _kept(_execute(list(missing.values()), on_step), store, summary, on_rows)
        elif missing:
            open_chunks.append({key: job.task for key, job in missing.items()})
    spread = _spread(open_chunks, workers.local_count)
    with closing(_by_workers(spread, known, workers, modules)) as chunks:
        for rows in chunks:
            summary = _kept(rows, store, summary, on_rows)
    return summary


def run_live(
    tasks: Sequence[RunTask],
    store: RunStore,
    functions: Functions,
    *,
    workers: Workers = HERE,
    modules: Sequence[str] = (),
    on_runs: Callable[[int, int], object] = lambda done, total: None,
) -> dict[RunTask, RunRow]:
    """The row of every task on live functions, in order, from the store or run now; those that failed run again.

    Args:
        tasks: Any mix.
        store: Where rows go.
        functions: Where functions are found.
        workers: Who runs.
        modules: As for `run_tasks`.
        on_runs: Called with how many runs are done, and of how many.

    Raises:
        SemrobError: As `run_tasks`.
    """
    done = 0

    def on_rows(rows: Sequence[RunRow], _: object) -> None:
        nonlocal done
        done += len(rows)
        on_runs(done, len(tasks))

    on_runs(0, len(tasks))
    run_tasks(
        tasks,
        store,
        functions=functions,
        chunk=LIVE_CHUNK,
        workers=workers,
        modules=modules,
        retry_failed=True,
        on_rows=on_rows,
    )
    keys = keys_of(tasks, functions)
    kept = store.find(keys.values())
    return {task: kept[key] for task, key in keys.items()}


def keys_of(tasks: Sequence[RunTask], functions: Functions) -> dict[RunTask, str]:
    """The key of each task, under which the store has its row.

    Raises:
        UnknownNameError, InvalidParameterError: As `run_tasks`.
    """
    return {task: _job(task, functions).key for task in tasks}


def _judge(task: RunTask) -> Judge:
    # A certificate that the budget pays is asked for beside the judge.
    points = 0 if task.pays_certificate else task.certificate_points
    return Judge(task.question.goal, task.judge_points, task.judge_seed, points, task.confidence)


@final
@dataclass(frozen=True)
class _Job:
    """A task with its function, member and method, or with the error that kept it from having them."""

    task: RunTask
    method: type[Optimizer[Any]]
    fingerprint: Mapping[str, str]
    function: ScoreFunction | None
    member: int
    error: Exception | None = None

    @property
    def key(self) -> str:
        """What its row is stored under."""
        return self.task.key(self.fingerprint, self.method.version)

    def row(self, status: str, **measures: Any) -> RunRow:
        """A row of this job."""
        parameters = () if self.function is None else self.function.space.parameters
        return RunRow(
            key=self.key,
            task=self.task,
            fingerprint=canonical_json(dict(self.fingerprint)),
            method_version=self.method.version,
            status=status,
            space=canonical_json([[p.name, p.unit, p.low, p.high, p.period] for p in parameters]),
            revision=package_revision(),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            **measures,
        )

    def failed(self, error: Exception, seconds: float) -> RunRow:
        """The row of a job that raised."""
        return self.row(FAILED, error=_error_text(error), seconds=seconds)


def _in_full(task: RunTask) -> RunTask:
    """The task with every hyperparameter written out; what is wrong with method or judge is told here."""
    _judge(task)
    return replace(task, settings=_settings_in_full(get_optimizer(task.method), task.settings))


@lru_cache(maxsize=4096)  # many tasks, few settings
def _settings_in_full(method: type[Optimizer[Any]], settings: str) -> str:
    return full_settings(method, json.loads(settings))


def _alike(task: RunTask) -> RunTask:
    """Equal for tasks on one function that may run in one batch."""
    return replace(task, question=replace(task.question, function_id="any", start=(0.0,)), seed=0)


def _job(task: RunTask, known: Functions) -> _Job:
    """The job of a task; an error of its function or start point goes into it, one of its method is raised."""
    method, task = get_optimizer(task.method), _in_full(task)
    try:
        function, member = known.member(task.question.function_id)
    except Exception as error:  # a user's factory may raise anything
        return _Job(task, method, {}, None, 0, error)
    # The id in full: one key however it was written.
    task = replace(task, question=replace(task.question, function_id=function.member_ids[member]))
    problem = None
    try:
        function.space.require([task.question.start], "start point")
    except SemrobError as error:
        problem = error
    return _Job(task, method, function.fingerprints[member], function, member, problem)


def _chunks(tasks: Sequence[RunTask], known: Functions, size: int, *, by_length: bool) -> Iterable[list[RunTask]]:
    """Tasks that may run in one batch, at most `size` at once, function by function in order of first appearance.

    With `by_length` the longest come first, so that no worker is left with one alone.
    """
    families: dict[object, dict[object, list[RunTask]]] = {}
    for task in tasks:
        families.setdefault(known.family(task.question.function_id), {}).setdefault(_alike(task), []).append(task)
    chunks = (
        group[at : at + size]
        for groups in families.values()
        for group in groups.values()
        for at in range(0, len(group), size)
    )
    return sorted(chunks, key=_length, reverse=True) if by_length else chunks


def _spread(chunks: Sequence[dict[str, RunTask]], count: int) -> list[dict[str, RunTask]]:
    """Chunks in an order by which as many workers begin at places far apart, where they are equally long.

    So they seldom make the same function, or its network, each for itself.
    """
    parts: dict[float, list[dict[str, RunTask]]] = {}
    for chunk in chunks:
        parts.setdefault(_length(list(chunk.values())), []).append(chunk)
    spread = []
    for part in parts.values():
        stride = -(-len(part) // count)
        spread += [chunk for first in range(stride) for chunk in part[first::stride]]
    return spread


def _length(chunk: Sequence[RunTask]) -> float:
    """Queries that the tasks of a chunk may ask in all."""
    return len(chunk) * (chunk[0].question.budget or 0.0)


def _by_workers(
    chunks: Sequence[Mapping[str, RunTask]], known: Functions, workers: Workers, modules: Sequence[str]
) -> Generator[list[RunRow], None, None]:
    """The rows of chunks, tasks by their keys here, as workers finish them."""
    parts = [list(chunk.values()) for chunk in chunks]
    is_over = threading.Event()

    def end(*_: object) -> None:
        if is_over.is_set():
            raise _Stop

    work: Callable[[Sequence[RunTask]], list[RunRow]]
    if workers.shares_memory:
        work = partial(execute, functions=known, on_step=end)
    else:
        methods = {name: get_optimizer(name) for name in {task.method for part in parts for task in part}}
        work = partial(_execute_there, methods, known.maps_file)
    with closing(each(workers, work, parts, modules)) as results:
        try:
            for index, rows in results:
                yield [
                    row if row.key == key else _of_another_function(task, row, known)
                    for (key, task), row in zip(chunks[index].items(), rows, strict=True)
                ]
        finally:  # after Ctrl-C, too: no thread goes on alone
            is_over.set()


class _Stop(BaseException):
    """Ends a chunk in a thread whose rows nobody waits for."""


def _of_another_function(task: RunTask, row: RunRow, known: Functions) -> RunRow:
    """The failed row of a task for which a worker made another function, method or none."""
    told = row.error or f"it has {row.fingerprint}, method version {row.method_version}"
    problem = WorkerError(f"a worker has not the function or method that is here ({told}); give it the same files")
    return _job(task, known).failed(problem, row.seconds)


def each(
    workers: Workers, call: Callable[[WorkT], ResultT], works: Sequence[WorkT], modules: Sequence[str] = ()
) -> Generator[tuple[int, ResultT], None, None]:
    """The result of a call for each work, with its index: one after the other here, or as workers finish them.

    Args:
        workers: Who does them.
        call: As for `pool.finished`; workers know by then what is known here.
        works: The first ones are begun first.
        modules: As for `run_tasks`.

    Raises:
        WorkerError: As `pool.finished`.
    """
    if workers.is_here:
        yield from enumerate(map(call, works))
        return
    told = call
    if not workers.shares_memory:
        told = _Told(call, tuple(modules), trusted_model_files(), trusted_factories())
    with closing(finished(workers, told, works)) as results:
        yield from results


@final
@dataclass(frozen=True)
class _Told(Generic[WorkT, ResultT]):
    """A call, and what a worker is told before it: it knows only what comes with the libraries."""

    call: Callable[[WorkT], ResultT]
    modules: tuple[str, ...]  # to import first
    trusted: tuple[str, ...]  # model files that may run code
    factories: tuple[str, ...]  # functions that make a user's own network

    def __call__(self, work: WorkT) -> ResultT:
        """The result of the call."""
        import_modules(self.modules)
        for path in filter(os.path.isfile, self.trusted):
            trust_model_file(path)
        for factory in self.factories:
            trust_factory(factory)
        return self.call(work)


def _execute_there(
    methods: Mapping[str, type[Optimizer[Any]]], maps_file: str | None, chunk: Sequence[RunTask]
) -> list[RunRow]:
    """The rows of a chunk, in a worker: methods by name, those of a script or notebook, too; maps as `Functions`."""
    for name, method in methods.items():
        OPTIMIZERS.setdefault(name, method)
    return execute(chunk, Functions((task.question.function_id for task in chunk), maps_file))


def _execute(jobs: Sequence[_Job], on_step: OnStep | None) -> list[RunRow]:
    rows = {index: job.failed(job.error, 0.0) for index, job in enumerate(jobs) if job.error is not None}
    groups: dict[tuple[int, RunTask], list[int]] = {}
    for index, job in enumerate(jobs):
        if index not in rows:
            groups.setdefault((id(job.function), _alike(job.task)), []).append(index)
    for indices in groups.values():
        rows.update(zip(indices, _run_batch_or_each([jobs[index] for index in indices], on_step), strict=True))
    return [rows[index] for index in range(len(jobs))]


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
    asked, members = task.question, np.array([job.member for job in jobs])
    differences = None if task.finite_difference is None else FiniteDifferences(task.finite_difference or None)
    oracle = QueryOracle(
        function,
        trajectories=len(jobs),
        budget=_method_budget(task, function),
        gradient_cost=asked.gradient_cost,
        finite_differences=differences,
    )
    planned = None if task.method_budget is None else oracle.answers(oracle.budget, wants_gradient=method.uses_gradient)
    questions = Questions(
        function.space,
        np.array([job.task.question.start for job in jobs]),
        member=members,
        goal=asked.goal,
        budget=planned,
        gradient_cost=asked.gradient_cost,
        levels=asked.levels,
    )
    optimizer = method(
        questions,
        settings=method.settings_class.from_mapping(task.settings_mapping),
        rngs=[task_generator(job.task) for job in jobs],
    )
    result = run(optimizer, oracle, max_steps=task.max_steps, on_step=on_step)
    answers = method.answers_goals or not method.uses_goal
    profile = optimizer.profile(asked.levels) if answers else []
    judged = judge_regions(function, result.regions, members, _judge(task))
    if task.pays_certificate:
        judged = judged.with_certificate(
            certify_by_points(
                function,
                result.regions,
                asked.goal,
                members,
                points=task.certificate_points,
                level=task.confidence,
                seed=task.judge_seed,
            )
        )
    paid = judged.certificate_queries * task.pays_certificate
    price = function.value_price
    seconds = time.perf_counter() - started
    queries = result.forward_queries + result.gradient_queries + judged.judge_queries + judged.certificate_queries
    return [
        job.row(
            UNPAID if result.status[row] == BUDGET and not result.steps[row] else result.status[row],
            lower=tuple(result.regions.lower[row].tolist()),
            upper=tuple(result.regions.upper[row].tolist()),
            **_billed(vars(judged.measures(row)), sum(price)),
            forward_queries=int(result.forward_queries[row] + price.forward * paid[row]),
            gradient_queries=int(result.gradient_queries[row] + price.gradient * paid[row]),
            steps=int(result.steps[row]),
            profile_lower=tuple(bound for regions in profile for bound in regions.lower[row].tolist()),
            profile_upper=tuple(bound for regions in profile for bound in regions.upper[row].tolist()),
            seconds=seconds * float(queries[row] / queries.sum()),
            trace=_trace(result, row),
        )
        for row, job in enumerate(jobs)
    ]


def _method_budget(task: RunTask, function: ScoreFunction) -> float | None:
    """What the method may spend on a function whose certificate may cost more than a query a point; None: no cap."""
    price, budget = function.value_price, task.method_budget
    if budget is None or not task.pays_certificate:
        return budget
    each = price.forward + task.question.gradient_cost * price.gradient
    rest = budget - task.certificate_points * (each - 1)
    if rest < each:
        raise InvalidBudgetError(
            f"a budget of {task.question.budget:g} cannot pay a certificate of {task.certificate_points} points at "
            f"{each:g} queries each; give at least {(task.certificate_points + 1) * each:g}, or fewer points"
        )
    return rest


def _billed(measures: Mapping[str, Any], price: int) -> dict[str, Any]:
    """Measures of a judgement, its points told as the queries that they cost."""
    return {name: value * price if name.endswith("_queries") else value for name, value in measures.items()}


def _trace(result: RunResult, row: int) -> tuple[TraceRow, ...]:
    trace = result.trace
    own = trace.trajectory == row
    columns = zip(trace.queries[own].tolist(), trace.lower[own].tolist(), trace.upper[own].tolist(), strict=True)
    return tuple(TraceRow(int(queries), tuple(lower), tuple(upper)) for queries, lower, upper in columns)


def _kept(rows: list[RunRow], store: RunStore, summary: RunSummary, on_rows: OnRows | None) -> RunSummary:
    """Add the rows of a chunk to the store, and tell of them.

    Raises:
        StoreError: The store cannot be written, or a row not even as a failed one: then all others were.
    """
    unkept: InvalidRowError | None = None
    try:
        store.add(rows)
    except InvalidRowError:  # one row that cannot be kept takes no other with it
        rows, each = [], rows
        for row in each:
            try:
                rows.append(_kept_or_failed(row, store))
            except InvalidRowError as error:
                unkept = error
    failed = sum(row.status == FAILED for row in rows)
    summary = replace(summary, done=summary.done + len(rows) - failed, failed=summary.failed + failed)
    if on_rows is not None:
        on_rows(rows, summary)
    if unkept is not None:
        raise unkept
    return summary


def _kept_or_failed(row: RunRow, store: RunStore) -> RunRow:
    try:
        store.add([row])
    except InvalidRowError as error:
        kept = ("key", "task", "fingerprint", "method_version", "space", "revision", "created")
        row = RunRow(status=FAILED, error=_error_text(error), **{name: getattr(row, name) for name in kept})
        store.add([row])
    return row


def _error_text(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # a user's error may not even have a text
        return type(error).__name__
