"""Runs the tasks of a comparison that the store lacks, in this process or in several, with the same rows either way.

Workers are processes of joblib (https://joblib.readthedocs.io, BSD; a pure Python wheel). It, and not the standard
library's pool: it carries classes that were defined in a script or notebook to the workers, so that anybody's method
takes part, and it keeps the numeric libraries of all workers together from using more threads than there are cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, final

from joblib import Parallel, delayed

from baselines.benchmark.functions import Functions
from optimizers.base import Optimizer
from optimizers.execute import run_tasks
from optimizers.registry import OPTIMIZERS, get_optimizer
from semrob_env.errors import InvalidParameterError
from semrob_env.store import RunStore, RunTask

CHUNK, LIVE_CHUNK = 64, 4
"""Tasks of one method and settings that run as one batch, on maps and formulas, and on live functions."""


@final
@dataclass(frozen=True)
class Pool:
    """Where tasks run.

    Attributes:
        store: File of the run store.
        maps_file: File of maps, for recorded functions.
        workers: Processes; 1: this one.
        chunk: Most tasks of one batch: what a kill can lose of each worker.

    Raises:
        InvalidParameterError: Less than one worker or task.
    """

    store: str
    maps_file: str
    workers: int = 1
    chunk: int = CHUNK

    def __post_init__(self) -> None:
        if self.workers < 1 or self.chunk < 1:
            raise InvalidParameterError(f"{self.workers} workers, chunks of {self.chunk}: give at least 1 of each")

    def run(self, tasks: Sequence[RunTask], functions: Functions, done: Callable[[int], None]) -> dict[RunTask, str]:
        """Run what is missing, failed tasks again, and return the key of every task.

        Args:
            tasks: Any mix, with function ids and settings in full.
            functions: Their functions.
            done: Called with the number of tasks that have a row, first with those that had one before.

        Raises:
            StoreError: The store cannot be read or written.
        """
        keys = {task: _key(task, functions) for task in tasks}
        store = RunStore(self.store)
        missing = store.missing({key: task for task, key in keys.items()}, retry_failed=True)
        done(len(keys) - len(missing))
        chunks = _chunks(list(missing.values()), self.chunk)
        if self.workers == 1 or len(chunks) <= 1:
            for chunk in chunks:
                run_tasks(chunk, store, functions=functions.families, unit_size=self.chunk, retry_failed=True)
                done(len(chunk))
            return keys
        methods = {name: OPTIMIZERS[name] for name in {task.method for task in missing.values()}}
        workers = Parallel(n_jobs=min(self.workers, len(chunks)), return_as="generator_unordered")
        work = (delayed(_work)(chunk, methods, self) for chunk in chunks)
        with closing(workers(work)) as finished:  # closed after Ctrl-C, too: no worker goes on alone
            for count in finished:
                done(count)
        return keys


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _key(task: RunTask, functions: Functions) -> str:
    return task.key(functions.fingerprint(task.function_id), get_optimizer(task.method).version)


def _work(chunk: Sequence[RunTask], methods: Mapping[str, type[Optimizer[Any]]], pool: Pool) -> int:
    """One chunk in a worker, which knows the methods of the libraries only until it is told others."""
    for name, method in methods.items():
        OPTIMIZERS.setdefault(name, method)
    functions = Functions((task.function_id for task in chunk), pool.maps_file)
    run_tasks(chunk, RunStore(pool.store), functions=functions.families, unit_size=pool.chunk, retry_failed=True)
    return len(chunk)


def _chunks(tasks: Sequence[RunTask], size: int) -> list[list[RunTask]]:
    """Tasks that may run in one batch together; the longest ones first, so that no worker is left with one alone."""
    groups: dict[tuple[object, ...], list[RunTask]] = {}
    for task in tasks:
        family = task.function_id.partition(":")[0] if task.function_id.startswith("recorded:") else task.function_id
        groups.setdefault((task.method, task.settings, task.budget, family), []).append(task)
    chunks = [group[at : at + size] for group in groups.values() for at in range(0, len(group), size)]
    return sorted(chunks, key=lambda chunk: -len(chunk) * (chunk[0].budget or 0.0))
