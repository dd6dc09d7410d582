"""A run as plain data: its checks, its key and its random stream."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from semrob_env.errors import InvalidBudgetError, InvalidParameterError, SemrobError
from semrob_env.questions import MeanGoal, Question, ReliabilityGoal
from semrob_env.store import RunRow, RunTask, canonical_json, task_generator

TASK = RunTask(
    Question("synthetic:plateau?n=2&seed=0", (130.0, 30.0), budget=1000),
    "naive",
    settings='{"rate": 0.1, "form": "paper"}',
)


def changed(**changes: Any) -> RunTask:
    """The task with some fields of it, or of its question, changed."""
    asked = {name: changes.pop(name) for name in [*changes] if hasattr(TASK.question, name)}
    return replace(TASK, question=replace(TASK.question, **asked), **changes)


CHANGES: list[dict[str, Any]] = [
    {"function_id": "synthetic:plateau?n=2&seed=1"},
    {"method": "oir_b"},
    {"start": (130.0, 30.000000000000004)},
    {"settings": '{"rate":0.10000000000000002,"form":"paper"}'},
    {"budget": 1001},
    {"budget": None, "max_steps": 1000},
    {"gradient_cost": 2.0},
    {"finite_difference": ()},
    {"finite_difference": (1.0, 1.0)},
    {"max_steps": 600},
    {"seed": 1},
    {"goal": MeanGoal(0.4)},
    {"goal": MeanGoal(0.5, 0.2)},
    {"goal": ReliabilityGoal()},
    {"judge_points": 512},
    {"judge_seed": 1},
    {"certificate_points": 128},
    {"confidence": 0.99},
    {"certify": "budget"},
]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"function_id": ""}, InvalidParameterError, "function_id"),
        ({"function_id": 5}, InvalidParameterError, "function_id"),
        ({"method": " "}, InvalidParameterError, "method"),
        ({"start": ()}, InvalidParameterError, "start is empty"),
        ({"start": 5.0}, InvalidParameterError, "give a tuple"),
        ({"start": ("a", 1.0)}, InvalidParameterError, "give a finite number"),
        ({"start": (math.nan, 1.0)}, InvalidParameterError, "finite"),
        ({"settings": "rate=1"}, InvalidParameterError, "not JSON"),
        ({"settings": {"rate": 1}}, InvalidParameterError, "canonical_json"),
        ({"settings": "[1]"}, InvalidParameterError, "JSON object"),
        ({"settings": '{"rate": NaN}'}, InvalidParameterError, "plain data"),
        ({"budget": 0}, InvalidBudgetError, "above 0"),
        ({"budget": -5}, InvalidBudgetError, "above 0"),
        ({"budget": math.nan}, InvalidBudgetError, "above 0"),
        ({"budget": math.inf}, InvalidBudgetError, "none for no cap"),
        ({"budget": "many"}, InvalidBudgetError, "give a number of queries"),
        ({"budget": None}, InvalidBudgetError, "without an end"),
        ({"max_steps": 0}, InvalidBudgetError, "from 1"),
        ({"max_steps": 1.5}, InvalidBudgetError, "whole number"),
        ({"gradient_cost": -1}, InvalidBudgetError, "gradient_cost"),
        ({"gradient_cost": math.inf}, InvalidBudgetError, "gradient_cost"),
        ({"finite_difference": (0.0, 1.0)}, InvalidParameterError, "above 0"),
        ({"finite_difference": (math.inf, 1.0)}, InvalidParameterError, "finite"),
        ({"seed": -1}, InvalidParameterError, "from 0"),
        ({"seed": 2**63}, InvalidParameterError, "2\\^63"),
        ({"seed": 1.0}, InvalidParameterError, "whole number"),
        ({"goal": "mean=0.5"}, InvalidParameterError, "give a Goal"),
        ({"judge_points": 0}, InvalidParameterError, "from 1"),
        ({"judge_seed": -1}, InvalidParameterError, "from 0"),
        ({"certificate_points": -1}, InvalidParameterError, "from 0"),
        ({"certificate_points": 2**21}, InvalidParameterError, "from 0 to 2"),
        ({"confidence": 1}, InvalidParameterError, "in \\(0, 1\\)"),
        ({"certify": "nobody"}, InvalidParameterError, "give judge or budget"),
        ({"certify": "budget", "budget": 64}, InvalidBudgetError, "give at least 65, or fewer points"),
        ({"certify": "budget", "budget": None, "max_steps": 9}, InvalidBudgetError, "a budget of none"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(change: dict[str, Any], error: type[SemrobError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        changed(**change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"finite_difference": "0.5"}, "task finite_difference"),
        ({"finite_difference": (1j, 1.0)}, "task finite_difference"),
        ({"confidence": "sure"}, "task confidence"),
        *(({name: 1.5}, f"task {name} 1.5") for name in ("max_steps", "seed", "judge_seed", "judge_points")),
    ],
)
def test_the_field_that_is_wrong_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SemrobError) as caught:
        changed(**change)
    assert str(caught.value).startswith(words)


def test_fields_are_plain_numbers_whatever_they_were_given_as() -> None:
    task = changed(
        finite_difference=np.array([1, 2]), max_steps=np.int32(7), confidence=np.float32(0.5), seed=2**63 - 1
    )
    assert repr((task.finite_difference, task.max_steps, task.confidence)) == "((1.0, 2.0), 7, 0.5)"
    assert task.seed == 2**63 - 1


def test_a_budget_that_pays_the_certificate_and_one_query_is_enough() -> None:
    task = changed(certify="budget", certificate_points=64, budget=65)
    assert task.method_budget == 1.0
    with pytest.raises(InvalidBudgetError, match="give at least 65"):
        changed(certify="budget", certificate_points=64, budget=64.5)


def test_a_row_is_flat_and_its_error_can_be_written() -> None:
    row = RunRow(key="k", task=TASK, fingerprint="{}", method_version=1, status="failed", error="file\udcff")
    assert row.error == "file\\udcff"
    record = row.record()
    assert not {"task", "trace", "question"} & record.keys()
    assert record.keys() >= {"key", "error", "function_id", "method", "share"}


def test_a_task_needs_a_question() -> None:
    with pytest.raises(InvalidParameterError, match="give a Question"):
        RunTask("which?", "naive")  # type: ignore[arg-type]  # the very thing that must not work


def test_a_task_is_a_small_value() -> None:
    assert hash(TASK) == hash(replace(TASK))
    assert pickle.loads(pickle.dumps(TASK)) == TASK
    assert len(pickle.dumps(TASK)) < 700
    assert TASK.settings_mapping == {"rate": 0.1, "form": "paper"}
    with pytest.raises(FrozenInstanceError):
        TASK.seed = 3  # type: ignore[misc]  # the very thing that must not work


def test_the_same_task_written_in_other_ways_is_the_same() -> None:
    settings = json.dumps({"form": "paper", "rate": 0.1}, indent=2)
    start: Any = np.array([130, 30])
    other = RunTask(
        Question(TASK.question.function_id, start, budget=1000.0, gradient_cost=1),
        "naive",
        seed=int(np.int64(0)),
        settings=settings,
    )
    assert other == TASK
    assert other.key({}, 1) == TASK.key({}, 1)
    minus = changed(start=(-0.0, 0.0))
    assert minus.key({}, 1) == changed(start=(0.0, -0.0)).key({}, 1)
    assert [type(number) for number in other.question.start] == [float, float]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: ",".join(change))
def test_all_that_defines_a_run_enters_its_key(change: dict[str, Any]) -> None:
    assert changed(**change).key({}, 1) != TASK.key({}, 1)


def test_fingerprint_and_method_version_enter_the_key_in_any_order() -> None:
    keys = {
        TASK.key({}, 1),
        TASK.key({}, 2),
        TASK.key({"weights": "a", "mesh": "b"}, 1),
        TASK.key({"weights": "b", "mesh": "a"}, 1),
        TASK.key({"weights": "a"}, 1),
    }
    assert len(keys) == 5
    assert TASK.key({"mesh": "b", "weights": "a"}, 1) in keys


def test_a_key_never_changes_from_one_release_to_the_next() -> None:
    # A store is worth nothing if tomorrow's program cannot find today's rows: a change here needs a new STORE_VERSION.
    assert TASK.key({"mesh": "b"}, 1) == "a6f4b6321a5094b994e2db4134c881a13968924f1413828b590152bc3a6f9e82"


def test_the_random_stream_depends_on_what_defines_the_run_and_not_on_budget_or_judge() -> None:
    first = task_generator(TASK).random(4).tolist()
    same = [change for change in CHANGES if not change.keys() & {"function_id", "method", "start", "settings", "seed"}]
    for change in CHANGES:
        stream = task_generator(changed(**change)).random(4).tolist()
        assert (stream == first) == (change in same), change
    assert 0 < len(same) < len(CHANGES)


def test_the_random_stream_never_changes_from_one_release_to_the_next() -> None:
    assert task_generator(TASK).integers(0, 2**32, 3).tolist() == [1109420712, 1634233072, 134269049]


def test_canonical_json_is_one_exact_text_per_value() -> None:
    assert canonical_json({"b": [1, 0.1, None], "a": (True, "é")}) == '{"a":[true,"\\u00e9"],"b":[1,0.1,null]}'
    numbers = np.random.default_rng(0).normal(size=200) * 10.0 ** np.arange(-100, 100)
    assert json.loads(canonical_json(numbers.tolist())) == numbers.tolist()
    for wrong in (math.nan, math.inf, [math.nan], {1, 2}, np.float32(1), object()):
        with pytest.raises(InvalidParameterError, match="not plain data"):
            canonical_json(wrong)
