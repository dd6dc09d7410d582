"""Tasks in, rows out: the same row alone or in any batch, failures kept apart, resumed after any end."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest

from baselines.experiments.functions import Functions
from baselines.experiments.runner import RunSummary, execute, run_tasks
from optimizers.base import RegionOptimizer, Settings, State
from optimizers.registry import OPTIMIZERS
from semrob_env.errors import InvalidMeshError, InvalidParameterError, NameClashError, SemrobError, UnknownNameError
from semrob_env.functions import (
    SCHEMES,
    CallableFunction,
    ScoreFunction,
    make_function,
    register_scheme,
    split_options,
)
from semrob_env.oracle import Answers
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MeanGoal, Question, ReliabilityGoal
from semrob_env.regions import Regions
from semrob_env.store import FAILED, RunRow, RunStore, RunTask
from semrob_env.types import FloatArray, IntArray

ROOT = Path(__file__).resolve().parents[2]
BOTH = SemanticSpace.of("azimuth,elevation")
STARTS = ((130.0, 30.0), (50.0, 20.0), (200.0, 15.0), (310.0, 50.0))
ID = "hill:0?pause=0"


@final
class Hills(ScoreFunction):
    """A hill in azimuth on each member; beyond 300 degrees it answers nonsense, where told to."""

    def __init__(self, ids: tuple[str, ...], pause: float = 0.0, broken: bool = False) -> None:
        prints = [{"hill": name, "version": "1"} for name in ids]
        super().__init__(BOTH, ids, has_gradient=True, fingerprints=prints)
        self.shift = np.array([float(name.partition("?")[0].partition(":")[2]) for name in ids])
        self.pause, self.broken = pause, broken

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        time.sleep(self.pause)
        azimuth = np.deg2rad(theta[:, :, 0] - self.shift[member][:, None])
        values = 0.5 + 0.45 * np.cos(azimuth) * np.cos(np.deg2rad(theta[:, :, 1]))
        return np.where(theta[:, :, 0] > 300, 7.0, values) if self.broken else values

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        azimuth = np.deg2rad(theta[:, :, 0] - self.shift[member][:, None])
        elevation = np.deg2rad(theta[:, :, 1])
        slopes = [-np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.sin(elevation)]
        return self._values(theta, member), np.stack(slopes, axis=-1) * 0.45 * np.pi / 180


def make_hill(function_id: str) -> ScoreFunction:
    """`hill:SHIFT?pause=SECONDS`; the id in full has a pause; `hill:no` has a broken mesh."""
    body, options = split_options(function_id)
    if body == "no":
        raise InvalidMeshError("mesh no.obj has no face")
    pause = options.get("pause", "0")
    return Hills((f"hill:{body}?pause={pause}",), float(pause), broken=body == "9")


@final
class Wander(RegionOptimizer[Settings]):
    """Grows a little to a random side, by its own random stream."""

    name = "wander"
    title = "Wander"
    is_stochastic = True
    settings_class = Settings

    def _start(self) -> State:
        regions = Regions.around(self.space, self.start, 1.0)
        return {"lower": regions.lower.copy(), "upper": regions.upper.copy()}

    def _ask(self, state: State) -> FloatArray:
        return Regions(self.space, state["lower"], state["upper"]).sample(3, self.rngs)

    def _tell(self, state: State, answers: Answers) -> State:
        return {"lower": state["lower"], "upper": state["upper"] + answers.values.mean(axis=1, keepdims=True) * 0.1}


def register_tests() -> None:
    """What a process needs to know before it can run the tasks of this file."""
    register_scheme("hill", make_hill)
    OPTIMIZERS["wander"] = Wander


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "hill", make_hill)
    monkeypatch.setitem(OPTIMIZERS, "wander", Wander)


def make_tasks(method: str = "naive", function_id: str = ID, **changes: Any) -> list[RunTask]:
    asked = {name: changes.pop(name) for name in ("goal", "budget", "gradient_cost") if name in changes}
    questions = [Question(function_id, start, **{"budget": 120, **asked}) for start in STARTS]
    return [RunTask(question, method, **{"judge_points": 64, **changes}) for question in questions]


def changed(task: RunTask, **changes: Any) -> RunTask:
    """The task with some fields of it, or of its question, changed."""
    asked = {name: changes.pop(name) for name in [*changes] if hasattr(task.question, name)}
    return replace(task, question=replace(task.question, **asked), **changes)


def apart_from_time(rows: list[RunRow]) -> list[RunRow]:
    """Without the revision, too: a commit while tests run is another one to the next process."""
    return [replace(row, seconds=0.0, created="", revision="") for row in rows]


def stored(store: RunStore) -> list[RunRow]:
    return apart_from_time([replace(row, trace=store.trace(row.key)) for row in store.rows()])


def test_a_row_says_all_about_its_run() -> None:
    (row,) = execute(make_tasks()[:1])
    assert row.status in {"budget", "converged"}
    assert (row.error, row.method_version) == ("", OPTIMIZERS["naive"].version)
    assert row.key == row.task.key({"hill": ID, "version": "1"}, row.method_version)
    assert row.task.settings_mapping == OPTIMIZERS["naive"].settings_class().to_mapping()
    assert row.space == '[["azimuth","deg",0.0,360.0,360.0],["elevation","deg",-10.0,90.0,null]]'
    assert 0 < row.forward_queries <= 120
    assert (row.gradient_queries, row.steps * 4) == (0, row.forward_queries)
    assert row.judge_queries >= 64
    assert row.seconds > 0
    assert row.revision
    assert row.created.endswith("+00:00")
    region = Regions(BOTH, np.array([row.lower]), np.array([row.upper]))
    assert region.contains(row.task.question.start)
    assert row.share == region.share()[0]
    assert row.feasible == (row.mean >= 0.5 and row.variance <= 0.25)
    assert (row.goal_mean, row.goal_variance) == (row.mean, row.variance)
    assert row.least_half_width == min((region.width[0] / BOTH.width).tolist()) / 2
    queries = [entry.queries for entry in row.trace]
    assert queries == sorted(set(queries))
    assert (row.trace[-1].lower, row.trace[-1].upper) == (row.lower, row.upper)
    assert row.trace[-1].queries >= row.forward_queries


@pytest.mark.parametrize(
    "method",
    [
        *(
            pytest.param(name, marks=pytest.mark.slow) if own.answers_goals else name
            for name, own in OPTIMIZERS.items()
        ),
        "wander",
    ],
)
def test_a_task_gives_the_same_bits_alone_in_any_company_and_in_any_order(method: str) -> None:
    family = Hills(("hill:10", "hill:77", "hill:200", "hill:201"))
    short = make_tasks(method, budget=16)
    tasks = [
        *short[:2],
        replace(short[0], seed=1),
        *(make_tasks(method, member, budget=16)[0] for member in family.member_ids),
        make_tasks(method, budget=30)[0],
        *make_tasks("wander"),
    ]
    known = Functions(given=[family])
    together = apart_from_time(execute(tasks, known))
    assert [row.task.question.start for row in together] == [task.question.start for task in tasks]
    assert all(row.status != FAILED for row in together)
    shuffled = random.Random(1).sample(range(len(tasks)), len(tasks))
    again = apart_from_time(execute([tasks[index] for index in shuffled], known))
    assert again == [together[index] for index in shuffled]
    for index in (0, 2, 4, 7, len(tasks) - 1):
        assert apart_from_time(execute([tasks[index]], known)) == [together[index]]


def test_seeds_matter_to_a_stochastic_method_and_a_longer_budget_begins_with_the_shorter_one() -> None:
    task = make_tasks("wander")[0]
    row, other, longer = execute([task, replace(task, seed=1), changed(task, budget=300)])
    assert row.upper != other.upper
    assert longer.trace[: len(row.trace) - 1] == row.trace[:-1]
    assert longer.upper != row.upper


def test_own_gradients_and_estimated_ones_are_billed_as_asked() -> None:
    own = execute(make_tasks("oir_w", gradient_cost=2.0, budget=400))
    for row in own:
        assert row.forward_queries == row.gradient_queries > 0
        assert row.forward_queries + 2.0 * row.gradient_queries <= 400
    for differences in ((), (1.0, 0.5)):
        for row in execute(make_tasks("oir_w", finite_difference=differences, budget=400)):
            assert (row.forward_queries % (4 * 5), row.gradient_queries) == (0, 0)
            assert 0 < row.forward_queries <= 400


def test_max_steps_without_a_budget_ends_a_run() -> None:
    (row,) = execute([RunTask(Question(ID, STARTS[0]), "wander", max_steps=3, judge_points=16)])
    assert (row.status, row.steps, row.forward_queries) == ("steps", 3, 9)


def test_a_task_that_fails_leaves_the_others_of_its_batch_alone() -> None:
    tasks = make_tasks("wander", "hill:9")
    tasks = [*tasks, changed(tasks[0], start=(301.0, 0.0)), replace(tasks[0], seed=5)]
    rows = execute(tasks)
    assert [row.status == FAILED for row in rows] == [False, False, False, True, True, False]
    for task, row in zip(tasks, rows, strict=True):
        if row.status == FAILED:
            assert row.error.startswith("ScoreRangeError: hill:9?pause=0 answered 7")
            assert (row.lower, math.isnan(row.mean), row.feasible, row.trace) == ((), True, False, ())
        else:
            assert apart_from_time([row]) == apart_from_time(execute([task]))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"function_id": "hill:no"}, "InvalidMeshError: mesh no.obj has no face"),
        ({"function_id": "nothing:1"}, "UnknownNameError: unknown function 'nothing:1'"),
        ({"function_id": "hill:1 + hill:2"}, "InvalidParameterError: 'hill:1 + hill:2' has 2 members"),
        ({"start": (360.0, 0.0)}, "OutOfSpaceError: start point has azimuth=360"),
        ({"start": (1.0,)}, "ShapeMismatchError: theta has shape"),
        ({"finite_difference": (1.0,), "method": "oir_w"}, "InvalidParameterError: finite-difference step"),
    ],
)
def test_what_is_wrong_with_one_task_becomes_its_row(change: dict[str, Any], error: str) -> None:
    tasks = make_tasks()
    good, bad = execute([tasks[0], changed(tasks[1], **change)])
    assert good.status != FAILED
    assert bad.status == FAILED
    assert bad.error.startswith(error)
    assert bad.key == bad.task.key({} if bad.space == "[]" else {"hill": ID, "version": "1"}, 1)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"method": "nobody"}, UnknownNameError),
        ({"settings": '{"nothing": 1}'}, InvalidParameterError),
        ({"settings": '{"step_size": -1}'}, InvalidParameterError),
    ],
)
def test_a_wrong_method_or_hyper_parameter_is_an_error_before_any_run(
    change: dict[str, Any], error: type[SemrobError], tmp_path: Path
) -> None:
    tasks = make_tasks()
    tasks[-1] = replace(tasks[-1], **change)
    store = RunStore(tmp_path / "runs.sqlite")
    with pytest.raises(error):
        execute(tasks)
    with pytest.raises(error):
        run_tasks(tasks, store)
    assert store.rows() == []


def test_defaults_short_ids_and_whole_numbers_are_the_same_task_written_in_full() -> None:
    settings = OPTIMIZERS["naive"].settings_class().to_mapping()
    number = next(name for name, value in settings.items() if isinstance(value, float))
    task = make_tasks()[0]
    same = [
        task,
        changed(task, function_id="hill:0"),
        replace(task, settings=f'{{"{number}": {settings[number]}}}'),
    ]
    assert len({row.key for row in execute(same)}) == 1
    whole = [replace(task, settings=f'{{"{number}": {text}}}') for text in ("1", "1.0")]
    assert len({row.key for row in execute(whole)}) == 1


def test_each_member_is_given_once() -> None:
    hills = Hills(("hill:1", "hill:2"))
    with pytest.raises(NameClashError, match="'hill:2' is given twice"):
        Functions(given=[hills, Hills(("hill:2",))])
    assert execute([], None) == []


def test_a_repeated_command_runs_only_what_is_missing(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs.sqlite")
    tasks = [*make_tasks(), *make_tasks("wander"), *make_tasks(function_id="hill:33")]
    seen: list[tuple[int, RunSummary]] = []
    first = run_tasks(tasks[:6], store, chunk=3, on_rows=lambda rows, now: seen.append((len(rows), now)))
    assert (first.total, first.done, first.skipped, first.failed) == (6, 6, 0, 0)
    assert [count for count, _ in seen] == [3, 1, 2]
    assert seen[-1][1] == first
    second = run_tasks([*tasks, tasks[0]], store)
    assert (second.total, second.done, second.skipped) == (13, 6, 7)
    assert run_tasks(tasks, store).done == 0
    assert sorted(stored(store), key=str) == sorted(apart_from_time(execute(tasks)), key=str)
    with pytest.raises(InvalidParameterError, match="chunks of 0"):
        run_tasks(tasks, store, chunk=0)


def test_a_failed_task_is_tried_again_only_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RunStore(tmp_path / "runs.sqlite")
    tasks = [make_tasks(function_id="hill:no")[0], make_tasks()[0]]
    assert run_tasks(tasks, store) == RunSummary(total=2, done=1, failed=1)
    assert run_tasks(tasks, store) == RunSummary(total=2, skipped=2)
    assert run_tasks(tasks, store, retry_failed=True) == RunSummary(total=2, skipped=1, failed=1)
    monkeypatch.setitem(SCHEMES, "hill", lambda function_id: Hills(("hill:0?pause=0",)))
    monkeypatch.setattr(Hills, "__init__", _renamed_hill)
    assert run_tasks(tasks, store, retry_failed=True) == RunSummary(total=2, skipped=1, done=1)
    assert [row.status for row in store.rows() if row.status == FAILED] == []
    assert len(store.rows()) == 2


def _renamed_hill(self: Hills, ids: tuple[str, ...], pause: float = 0.0, broken: bool = False) -> None:
    """The mesh was mended: the function that could not be made now can."""
    del ids
    ScoreFunction.__init__(self, BOTH, ("hill:no",), has_gradient=True, fingerprints=[{"mesh": "mended"}])
    self.shift, self.pause, self.broken = np.zeros(1), pause, broken


def test_rows_of_another_method_version_are_counted_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RunStore(tmp_path / "runs.sqlite")
    run_tasks(make_tasks("wander"), store)
    monkeypatch.setattr(Wander, "version", 2)
    summary = run_tasks([*make_tasks("wander"), *make_tasks()], store)
    assert (summary.done, summary.skipped, summary.stale) == (8, 0, 4)
    assert {row.method_version for row in store.rows(method="wander")} == {2}


def test_ctrl_c_keeps_finished_units_and_the_next_call_completes_them(tmp_path: Path) -> None:
    tasks = [task for seed in range(3) for task in make_tasks("wander", seed=seed)]
    store, whole = RunStore(tmp_path / "cut.sqlite"), RunStore(tmp_path / "whole.sqlite")
    steps = 0

    def interrupt(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tasks(tasks, store, chunk=2, on_step=interrupt)
    assert len(store.rows()) == 4  # 40 steps a unit
    run_tasks(tasks, store, chunk=5)
    run_tasks(tasks, whole)
    assert stored(store) == stored(whole)
    assert len(stored(whole)) == 12


def test_tasks_run_the_same_in_a_pool_of_processes() -> None:
    tasks = [*make_tasks("wander"), *make_tasks("oir_b")]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=register_tests) as pool:
        rows = [row for part in pool.map(execute, [tasks[:3], tasks[3:]]) for row in part]
    assert apart_from_time(rows) == apart_from_time(execute(tasks))


def run_slowly(path: str) -> None:
    """A campaign in a process of its own, about a second long."""
    register_tests()
    store = RunStore(path)
    os.write(1, b"open\n")
    run_tasks(slow_tasks(), store, chunk=2)


def slow_tasks() -> list[RunTask]:
    slow = "hill:0?pause=0.001"
    return [task for seed in range(10) for task in make_tasks("wander", slow, seed=seed)]


@pytest.mark.slow
def test_killed_at_any_moment_a_campaign_ends_with_the_same_rows(tmp_path: Path) -> None:
    path, chance, sizes = tmp_path / "killed.sqlite", random.Random(3), []
    code = f"import sys; sys.path[:0] = {[str(ROOT), str(Path(__file__).parent)]!r}; import test_runner as t; "
    command = [sys.executable, "-c", f"{code}t.run_slowly({str(path)!r})"]
    for wanted in (0, 2, 10, 20):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            while len(RunStore(path).rows()) < wanted and process.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
        sizes.append(len(RunStore(path).rows()))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=100)
    assert sizes == sorted(sizes)
    assert 20 <= sizes[-1] < 40
    whole = RunStore(tmp_path / "whole.sqlite")
    run_tasks(slow_tasks(), whole)
    assert stored(RunStore(path)) == stored(whole)
    assert len(whole.rows()) == 40


def test_a_stack_made_beforehand_runs_as_one_batch() -> None:
    stack = make_function("hill:1?pause=0 + hill:2?pause=0 + complement(hill:1?pause=0)")
    tasks = [task for member in stack.member_ids for task in make_tasks("naive", member)]
    batches: set[int] = set()
    rows = execute(tasks, Functions(given=[stack]), on_step=lambda optimizer, oracle: batches.add(len(optimizer)))
    assert batches == {12}
    assert apart_from_time(rows) == apart_from_time(execute(tasks))


def test_a_function_that_raises_anything_fails_alone() -> None:
    def scores(theta: FloatArray) -> FloatArray:
        if (theta[:, 0] > 300).any():
            raise ConnectionError("the service is down")
        return np.full(len(theta), 0.5)

    function = CallableFunction(SemanticSpace.of("azimuth,elevation"), scores, name="service")
    tasks = [RunTask(Question("service", (azimuth, 30.0), budget=20), "naive") for azimuth in (50.0, 310.0, 130.0)]
    rows = execute(tasks, Functions(given=[function]))
    assert [row.status for row in rows] == ["budget", "failed", "budget"]
    assert rows[1].error == "ConnectionError: the service is down"


@pytest.mark.parametrize("wrong", [{"judge_points": 100}, {"judge_points": 1}])
def test_a_judge_that_cannot_be_is_told_before_any_work(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        execute([replace(task, **wrong) for task in make_tasks("naive")])


def test_a_budget_that_does_not_pay_one_step_is_told_by_the_row() -> None:
    (row,) = execute([changed(make_tasks()[0], budget=3)])
    assert (row.status, row.has_run, row.forward_queries) == ("unpaid", False, 0)


def test_a_budget_can_pay_the_certificate_of_its_region_and_the_method_gets_the_rest() -> None:
    by_judge, by_budget = (
        execute(make_tasks("oir_b", certificate_points=40, certify=payer)) for payer in ("judge", "budget")
    )
    smaller = execute(make_tasks("oir_b", budget=80))
    for free, paid, short in zip(by_judge, by_budget, smaller, strict=True):
        assert (paid.lower, paid.upper, paid.steps) == (short.lower, short.upper, short.steps)
        assert 80 < paid.forward_queries == short.forward_queries + 40 <= 120
        assert free.forward_queries > short.forward_queries
        assert paid.certificate_queries == free.certificate_queries == 40
        assert paid.judge_queries == free.judge_queries == 64
        assert paid.key != free.key


def test_a_method_that_certifies_itself_knows_no_truth() -> None:
    hill = "synthetic:hill?n=2&seed=0"
    tasks = make_tasks(function_id=hill)
    rows = execute([*tasks, *(replace(task, certify="budget") for task in tasks)])
    assert [row.is_exact for row in rows] == [True] * 8
    assert [row.certificate_queries for row in rows] == [0] * 4 + [64] * 4
    assert [row.certified for row in rows[:4]] == [row.feasible for row in rows[:4]]
    assert all(row.goal_lower == row.goal_mean for row in rows[:4])
    assert all(row.goal_lower < row.goal_mean for row in rows[4:])


def test_the_goal_of_the_question_reaches_method_and_judge() -> None:
    task = changed(make_tasks("box_quadrature", budget=30)[0], start=(10.0, 10.0))
    goals = [MeanGoal(0.5), MeanGoal(0.2), ReliabilityGoal(0.8, 0.95)]
    rows = execute([changed(task, goal=goal) for goal in goals])
    assert [row.feasible for row in rows] == [True, True, True]
    assert rows[0].share > rows[1].share > 0.01
    assert rows[1].goal_mean == rows[1].mean >= 0.8
    assert rows[2].goal_mean >= 0.95
    assert rows[2].goal_mean != rows[2].mean
    assert len({row.key for row in rows}) == 3
