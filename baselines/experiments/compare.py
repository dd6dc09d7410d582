"""A comparison from its protocol to its tables: run what is missing, judge, and put it together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from baselines.experiments.answers import KeptAnswers
from baselines.experiments.judging_maps import map_points, with_maps
from baselines.experiments.pool import Workers
from baselines.experiments.protocols import Protocol
from baselines.experiments.quality import judge_runs
from baselines.experiments.runner import CHUNK, HERE, LIVE_CHUNK, OnRows, keys_of, run_tasks
from baselines.experiments.suites import Suite
from baselines.experiments.tables import Comparison
from semrob_env.errors import OutputError
from semrob_env.store import FAILED, RunStore


def compare(
    protocol: Protocol,
    suite: Suite,
    folder: str | PathLike[str],
    *,
    workers: Workers = HERE,
    modules: Sequence[str] = (),
    chunk: int = CHUNK,
    only_ends: bool = False,
    on_rows: OnRows | None = None,
    on_judged: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Run and judge a comparison; what the folder holds of it already does not run or get judged again.

    Args:
        protocol: What is compared.
        suite: Its questions (`protocol.make_suite`).
        folder: Holds `runs.sqlite`, `answers.sqlite` and, where maps judge, a folder `maps`.
        workers: Who runs; judging stays in this process.
        modules: As for `run_tasks`.
        chunk: Most tasks of one batch; on live functions at most `LIVE_CHUNK`.
        only_ends: Judge final regions only: runs then have one checkpoint, their end.
        on_rows: As for `run_tasks`.
        on_judged: Called with how many regions, or points of maps that judge them, of how many are done.

    Raises:
        OutputError: Every run failed.
        InvalidParameterError: The maps that are to judge have a step that does not fit.
        StoreError: A file in the folder cannot be read or written.
    """
    step, planned = protocol.judge_map_step, list(protocol.runs(suite))
    if step:
        map_points(suite, step)  # refuses a step that does not fit before anything runs
    tasks = list(dict.fromkeys(run.task for run in planned))
    store = RunStore(Path(folder) / "runs.sqlite")
    run_tasks(
        tasks,
        store,
        functions=suite.functions,
        chunk=min(chunk, LIVE_CHUNK) if suite.is_live else chunk,
        workers=workers,
        modules=modules,
        retry_failed=True,
        on_rows=on_rows,
    )
    keys = keys_of(tasks, suite.functions)
    rows = store.find(keys.values())
    if all(row.status == FAILED for row in rows.values()):
        raise OutputError(f"all {len(rows)} runs failed; the first one: {next(iter(rows.values())).error}")
    by_task = {task: rows[key] for task, key in keys.items()}
    traces = {} if only_ends else store.traces(rows)
    answers = KeptAnswers(Path(folder) / "answers.sqlite")
    judging = with_maps(suite, step, Path(folder) / "maps", on_judged) if step else None
    outcomes = judge_runs(protocol, suite, planned, by_task, traces, answers, on_judged, judging)
    return Comparison(protocol, suite, outcomes)
