"""A comparison from its protocol to its tables: run what is missing, judge, and put it together."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

from baselines.experiments.answers import Answers
from baselines.experiments.protocols import Protocol
from baselines.experiments.quality import judge_runs
from baselines.experiments.runner import CHUNK, LIVE_CHUNK, OnRows, keys_of, run_tasks
from baselines.experiments.suites import Suite
from baselines.experiments.tables import Comparison
from semrob_env.store import RunStore


def compare(
    protocol: Protocol,
    suite: Suite,
    folder: str | PathLike[str],
    *,
    workers: int = 1,
    on_rows: OnRows | None = None,
    on_judged: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Run and judge a comparison; what the folder holds of it already does not run or get judged again.

    Args:
        protocol: What is compared.
        suite: Its questions (`protocol.make_suite`).
        folder: Holds `runs.sqlite` and `answers.sqlite`.
        workers: Processes that run; judging stays in this one.
        on_rows: As for `run_tasks`.
        on_judged: Called with how many regions of how many have been judged by points.

    Raises:
        StoreError: A file in the folder cannot be read or written.
    """
    planned = list(protocol.runs(suite))
    tasks = list(dict.fromkeys(run.task for run in planned))
    store = RunStore(Path(folder) / "runs.sqlite")
    chunk = LIVE_CHUNK if suite.is_live else CHUNK
    run_tasks(tasks, store, functions=suite.functions, chunk=chunk, workers=workers, retry_failed=True, on_rows=on_rows)
    keys = keys_of(tasks, suite.functions)
    rows = store.find(keys.values())
    by_task = {task: rows[key] for task, key in keys.items()}
    answers = Answers(Path(folder) / "answers.sqlite")
    return Comparison(
        protocol, suite, judge_runs(protocol, suite, planned, by_task, store.traces(rows), answers, on_judged)
    )
