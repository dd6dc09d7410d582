"""Samples that serve several start points: what they cost each of them, and who may say so."""

from __future__ import annotations

import math
from pathlib import Path
from typing import final

import numpy as np
import pytest

import baselines  # noqa: F401  (fills the registry)
from baselines.experiments.compare import compare
from baselines.experiments.tables import TRIVIAL, Comparison
from optimizers.base import RegionOptimizer, Settings, State
from optimizers.check import check_optimizer
from optimizers.registry import OPTIMIZERS, get_optimizer
from semrob_env.errors import ContractError
from semrob_env.oracle import Answers as Told
from semrob_env.questions import Questions
from semrob_env.recorded import save_maps
from semrob_env.types import FloatArray
from tests.baselines.experiments_maker import small
from tests.recorded_maker import wavy_maps

SHARING = [name for name, method in OPTIMIZERS.items() if method.shares_samples]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("amortized")
    maps = str(save_maps(wavy_maps(), folder / "maps.npz"))
    protocol, suite = small(maps, ["naive", "grid", "grid:lines=3"])
    return compare(protocol, suite, folder)


def test_a_grid_is_shared_by_the_start_points_that_are_asked_about_at_its_function(comparison: Comparison) -> None:
    questions = comparison.suite.questions
    seen = set()
    for line in comparison.run_lines():
        same = {
            question.start
            for question in questions
            if (question.function_id, question.goal.text) == (line["function_id"], line["goal"])
        }
        assert line["sharers"] == (1 if line["label"] == "naive" else len(same))
        seen.add(line["sharers"])
    assert {1, 2} <= seen


def test_amortized_figures_are_those_of_shared_bills(comparison: Comparison) -> None:
    runs = comparison.run_lines()
    for line in comparison.lines:
        own = [
            row
            for row in runs
            if all(row[name] == line[name] for name in ("goal", "label", "budget"))
            and row["best"] > 0
            and row["trivial"] == (line["part"] == TRIVIAL)
        ]
        bills = [row["queries"] / row["sharers"] for row in own]
        assert line["amortized_queries"] == pytest.approx(np.mean(bills))
        times = sorted(float(row["held_50"]) / row["sharers"] for row in own)
        time = times[len(times) // 2]
        assert line["amortized_ert_50"] == ("inf" if math.isinf(time) else time)
        if line["label"] == "naive":
            assert line["amortized_ert_50"] == line["ert_50"]


def test_the_table_tells_both_and_a_note_which_decides(comparison: Comparison) -> None:
    (*_, last) = comparison.protocol.goals
    table = {row["method"]: row for row in comparison.shown_amortized(last)}
    assert (
        float(table["grid"]["start points a set of samples"])
        > 1
        == float(table["naive"]["start points a set of samples"])
    )
    name = "queries a start point @60"
    assert float(table["grid:lines=3"][name]) < 9 < float(table["naive"][name])
    assert any("The figures per start point decide" in note for note in comparison.notes())


def test_without_a_method_that_shares_there_is_no_such_table(tmp_path: Path) -> None:
    maps = str(save_maps(wavy_maps(["ResNet50/cup/0"]), tmp_path / "maps.npz"))
    protocol, suite = small(maps, ["naive"])
    alone = compare(protocol, suite, tmp_path)
    assert alone.shown_amortized(protocol.goals[0]) == []
    assert not any("amortized" in note for note in alone.notes())


@final
class Boastful(RegionOptimizer[Settings]):
    """Asks its start point, and says that this serves everybody."""

    name = "boastful"
    title = "Boastful"
    shares_samples = True
    settings_class = Settings

    def _start(self) -> State:
        return {"lower": self.start.copy(), "upper": self.start.copy()}

    def _ask(self, state: State) -> FloatArray:
        return np.array(self.start[:, None, :])

    def _tell(self, state: State, answers: Told) -> State:
        return {name: value.copy() for name, value in state.items()}


def test_the_checker_refuses_a_claim_to_share_samples_that_is_not_true() -> None:
    with pytest.raises(ContractError, match="set shares_samples = False"):
        check_optimizer(Boastful)


@pytest.mark.parametrize("name", SHARING)
def test_who_shares_samples_asks_the_same_wherever_it_starts(name: str) -> None:
    space = wavy_maps().space
    optimizer = get_optimizer(name)(Questions(space, space.sample(5, np.random.default_rng(0)), budget=150))
    theta = optimizer.ask().theta
    assert (theta == theta[:1]).all()
