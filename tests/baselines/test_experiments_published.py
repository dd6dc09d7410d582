"""Published comparisons: by name, frozen again, and what they would take."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

import baselines  # noqa: F401  (fills the registry)
from baselines.experiments.protocols import Entry, load_protocol, published_protocols, read_entries
from baselines.experiments.tables import FLOOR
from baselines.experiments.trial import estimates
from optimizers.registry import OPTIMIZERS
from semrob_env.errors import InvalidParameterError, MissingFileError
from semrob_env.recorded import save_maps
from semrob_env.recorded.release import Release
from semrob_env.synthetic import TANGLED
from tests.baselines.experiments_maker import small
from tests.recorded_maker import wavy_maps

NAMES = ("live", "recorded", "recorded-reliability", "recorded-variance", "synthetic")
MADE_FOR_THIS = {"sobol_box", "gp_box", "level_set", "solution_box"}
"""Rivals that answer the very question; the floor of every comparison is `FLOOR`."""


@pytest.fixture
def maps(tmp_path: Path) -> str:
    return str(save_maps(wavy_maps(), tmp_path / "maps.npz"))


def test_the_published_comparisons_are_listed() -> None:
    assert tuple(sorted(published_protocols())) == tuple(sorted([*NAMES, "failures"]))
    with pytest.raises(MissingFileError, match="published are failures, live, "):
        load_protocol("nowhere")


@pytest.mark.parametrize("name", NAMES)
def test_a_published_comparison_is_one_of_all_methods_of_regions(name: str) -> None:
    protocol = load_protocol(name, any_version=True)
    methods = {entry.method for entry in protocol.entries}
    assert {name for name, method in OPTIMIZERS.items() if method.recommends == "regions"} >= methods
    searches = {"random_search", "nevergrad", "scipy", "cma_es"}
    assert {"box_quadrature", "naive", "oir_b", "oir_w", *searches, *MADE_FOR_THIS} <= methods
    assert set(FLOOR) <= {entry.label for entry in protocol.entries}
    assert {goal.most_variance for goal in protocol.goals} == {0.05 if name == "recorded-variance" else 0.25}
    assert {goal.name for goal in protocol.goals} == {"reliability" if name == "recorded-reliability" else "mean"}
    for entry in protocol.entries:
        again = Entry.of(entry.label)  # labels say all
        assert again.method == entry.method
    if name.startswith("recorded"):
        assert {"shared_quadrature", "prim", "area_search", "bayesian", "grid"} <= methods
        assert json.loads(protocol.options)["shapes"] == ["2", "3"]


def test_the_questions_of_the_synthetic_one_are_those_of_today() -> None:
    protocol = load_protocol("synthetic", any_version=True)
    suite = protocol.make_suite("")
    assert {len(question.start) for question in suite.questions} == {2, 4, 6, 8, 10}
    families = {question.function_id.partition("?")[0] for question in suite.questions}
    assert {f"tangled:{family}" for family in TANGLED} | {"synthetic:plateau", "synthetic:away"} <= families


@pytest.mark.parametrize("name", ["recorded", "recorded-reliability", "recorded-variance"])
def test_the_questions_of_the_recorded_ones_are_those_of_the_released_maps(
    name: str, release: Release, tmp_path: Path
) -> None:
    maps = release.maps
    assert maps is not None
    chosen = [index for index, own in enumerate(maps.names) if own.endswith(("/2", "/3"))]
    path = save_maps(maps.only(chosen), tmp_path / "maps.npz")
    protocol = load_protocol(name, any_version=True)
    assert len(protocol.make_suite(str(path)).questions) == protocol.questions[0] >= 100


def test_a_protocol_is_frozen_again_for_the_methods_and_maps_of_today(maps: str, tmp_path: Path) -> None:
    protocol, _ = small(maps, ["naive", "oir_b:boundary_factor=0.1"])
    old = replace(protocol, entries=(replace(protocol.entries[0], method_version=0), protocol.entries[1]))
    path = tmp_path / "protocol.json"
    path.write_text(old.to_json())
    with pytest.raises(InvalidParameterError, match="--freeze FILE makes a new one"):
        load_protocol(path)
    fewer = str(save_maps(wavy_maps(["ResNet50/cup/0"]), tmp_path / "fewer.npz"))
    again, suite = load_protocol(path, any_version=True).frozen_again(fewer)
    assert again.entries == protocol.entries
    assert again.questions == (len(suite.questions), suite.digest()) != protocol.questions
    assert replace(again, questions=protocol.questions) == protocol


def test_all_stands_for_every_method_of_regions_once() -> None:
    entries = read_entries(["grid:lines=3", "naive", "all"])
    labels = [entry.label for entry in entries]
    assert labels[:2] == ["grid:lines=3", "naive"]
    assert len(set(labels)) == len(labels)
    assert set(labels[1:]) == {name for name, method in OPTIMIZERS.items() if method.recommends == "regions"}


def test_sampled_corners_draw_so_they_run_with_every_seed(maps: str) -> None:
    protocol, suite = small(maps, ["naive", "naive:corners=2"], seeds=(0, 1))
    seeds = {index: {run.seed for run in protocol.runs(suite) if run.entry == index} for index in (0, 1)}
    assert seeds == {0: {0}, 1: {0, 1}}


def test_estimates_tell_what_each_entry_takes_and_why_one_cannot_run(maps: str) -> None:
    protocol, suite = small(maps, ["naive", "grid:lines=2000"])
    runs = list(protocol.runs(suite))
    done: list[None] = []
    fine, refused = estimates(protocol, suite, runs, lambda: done.append(None))
    own = {run.task for run in runs if run.entry == 0}
    assert (fine.label, fine.runs, fine.problem) == ("naive", len(own), "")
    assert fine.queries == sum(task.question.budget or 0 for task in own)
    assert 0 < fine.seconds < 60
    assert math.isnan(refused.seconds)
    assert "at most" in refused.problem
    assert len(done) == 2
