"""Frozen comparisons: what a method is told, and what a file must hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baselines.experiments.protocols import Entry, load_protocol
from semrob_env.errors import (
    InvalidBudgetError,
    InvalidParameterError,
    MissingFileError,
    SemrobError,
    UnknownNameError,
)
from semrob_env.questions import MeanGoal
from semrob_env.recorded import save_maps
from tests.baselines.experiments_maker import Planner, registered, small
from tests.recorded_maker import wavy_maps


@pytest.fixture
def maps(tmp_path: Path) -> str:
    return str(save_maps(wavy_maps(), tmp_path / "maps.npz"))


@pytest.fixture
def planner() -> Iterator[None]:
    with registered(Planner):
        yield


def test_a_file_gives_the_same_protocol_and_suite(maps: str, tmp_path: Path) -> None:
    protocol, suite = small(maps)
    path = tmp_path / "protocol.json"
    path.write_text(protocol.to_json())
    again = load_protocol(path)
    assert again == protocol
    assert again.digest() == protocol.digest()
    assert again.make_suite(maps).questions == suite.questions


def test_every_part_of_a_protocol_is_in_its_digest(maps: str) -> None:
    protocol, _ = small(maps)
    changes: list[dict[str, Any]] = [
        {"suite": "live"},
        {"measure": "failures", "goals": (MeanGoal(0.4),)},
        {"options": "{}"},
        {"goals": (MeanGoal(0.5),)},
        {"entries": protocol.entries[:1]},
        {"budgets": (20,)},
        {"seeds": (1,)},
        {"gradient_cost": 2.0},
        {"judge_points": 64},
        {"certificate_points": 65},
        {"confidence": 0.9},
        {"judge_seed": 1},
        {"judge_map_step": 5.0, "suite": "live"},
        {"targets": (0.5,)},
        {"resamples": 51},
        {"level": 0.9},
        {"bootstrap_seed": 1},
        {"questions": (protocol.questions[0], "other")},
    ]
    assert {name for change in changes for name in change} == set(vars(protocol))
    digests = {replace(protocol, **change).digest() for change in changes}
    assert len(digests | {protocol.digest()}) == len(changes) + 1


def test_maps_judge_live_suites_and_files_say_so(maps: str, tmp_path: Path) -> None:
    protocol, _ = small(maps)
    assert "map_step" not in protocol.to_json()  # digests of those without are as before
    live, path = replace(protocol, suite="live", judge_map_step=7.5), tmp_path / "live.json"
    path.write_text(live.to_json())
    assert load_protocol(path) == live
    for other in ({"suite": "recorded"}, {"suite": "live", "measure": "failures", "goals": (MeanGoal(0.4),)}):
        with pytest.raises(InvalidParameterError, match="maps judge regions of live suites"):
            replace(protocol, judge_map_step=7.5, **other)


@pytest.mark.usefixtures("planner")
def test_a_run_is_told_its_question_whole_with_the_budget_of_its_plan(maps: str) -> None:
    protocol, suite = small(maps, ["planner:rate=0.5"])
    for run in protocol.runs(suite):
        question, told = suite.questions[run.question], run.task.settings_mapping
        assert told == {"rate": 0.5}
        assert run.task.question == replace(question, budget=run.budget)
    assert json.loads(protocol.entries[0].settings) == {"rate": 0.5}
    assert protocol.entries[0].plans


def test_methods_that_do_not_use_the_goal_run_once_for_all_of_them(maps: str) -> None:
    protocol, suite = small(maps, ["naive"])
    runs = list(protocol.runs(suite))
    assert len(runs) == len(suite.questions) * len(protocol.budgets)
    places = {(question.function_id, question.start) for question in suite.questions}
    assert len({run.task for run in runs}) == len(places) * len(protocol.budgets) < len(runs)
    assert not protocol.entries[0].plans


@pytest.mark.usefixtures("planner")
def test_only_methods_that_draw_run_with_every_seed(maps: str) -> None:
    protocol, suite = small(maps, ["naive", "planner"], seeds=(3, 4))
    seeds = {index: {run.seed for run in protocol.runs(suite) if run.entry == index} for index in (0, 1)}
    assert seeds == {0: {3}, 1: {3, 4}}


def test_one_method_takes_part_twice_under_two_labels(maps: str) -> None:
    protocol, suite = small(maps, ["naive", "naive:step_size=1"])
    assert [entry.label for entry in protocol.entries] == ["naive", "naive:step_size=1"]
    assert {run.task.settings_mapping["step_size"] for run in protocol.runs(suite)} == {0.3, 1.0}


@pytest.mark.usefixtures("planner")
@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("magic", UnknownNameError, "unknown method 'magic'"),
        ("naive:speed=1", InvalidParameterError, "unknown hyper-?parameter 'speed'"),
        ("naive:step_size", InvalidParameterError, "NAME:SETTING=VALUE"),
        ("planner:budget=5", InvalidParameterError, "unknown hyper-?parameter 'budget'"),
        ("naive:form=odd", InvalidParameterError, "form 'odd'"),
    ],
)
def test_methods_that_cannot_be_read_are_told(text: str, error: type[SemrobError], message: str) -> None:
    with pytest.raises(error, match=message):
        Entry.of(text)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"budgets": ()}, InvalidBudgetError),
        ({"budgets": (0, 5)}, InvalidBudgetError),
        ({"budgets": (60, 20)}, InvalidBudgetError),
        ({"entries": ()}, InvalidParameterError),
        ({"seeds": (0, 0)}, InvalidParameterError),
        ({"seeds": (-1,)}, InvalidParameterError),
        ({"goals": ()}, InvalidParameterError),
        ({"targets": (0.0, 0.5)}, InvalidParameterError),
        ({"targets": (0.5, 1.1)}, InvalidParameterError),
        ({"resamples": 1}, InvalidParameterError),
        ({"level": 1.0}, InvalidParameterError),
        ({"judge_points": 3}, InvalidParameterError),
        ({"certificate_points": -1}, InvalidParameterError),
        ({"confidence": 1.0}, InvalidParameterError),
    ],
    ids=str,
)
def test_a_protocol_that_makes_no_sense_is_refused(maps: str, change: dict[str, Any], error: type[SemrobError]) -> None:
    protocol, _ = small(maps)
    with pytest.raises(error):
        replace(protocol, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "something"}, "is no protocol of format"),
        ({"version": 99}, "is no protocol of format"),
        ({"judge": None}, "is damaged"),
        ({"entries": [{"label": "naive"}]}, "is damaged: TypeError an entry has label, not"),
        ({"budgets": None}, "is damaged"),
    ],
    ids=str,
)
def test_a_file_that_is_no_protocol_is_told(maps: str, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "protocol.json"
    path.write_text(json.dumps({**json.loads(small(maps)[0].to_json()), **change}))
    with pytest.raises(InvalidParameterError, match=message):
        load_protocol(path)


def test_a_file_that_is_missing_or_no_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="cannot read protocol"):
        load_protocol(tmp_path / "nowhere.json")
    (tmp_path / "text.json").write_text("hello")
    with pytest.raises(InvalidParameterError, match="is no JSON"):
        load_protocol(tmp_path / "text.json")


def test_another_version_of_a_method_is_not_mixed_in(maps: str, tmp_path: Path) -> None:
    protocol, _ = small(maps)
    old = replace(protocol, entries=(replace(protocol.entries[0], method_version=0),))
    path = tmp_path / "protocol.json"
    path.write_text(old.to_json())
    with pytest.raises(InvalidParameterError, match="frozen on version 0 of naive"):
        load_protocol(path)


def test_other_maps_than_those_frozen_are_refused(maps: str, tmp_path: Path) -> None:
    protocol, _ = small(maps)
    fewer = save_maps(wavy_maps(["ResNet50/cup/0"]), tmp_path / "fewer.npz")
    with pytest.raises(InvalidParameterError, match="frozen on"):
        protocol.make_suite(str(fewer))
