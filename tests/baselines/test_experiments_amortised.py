"""Samples that serve several start points: what they cost each of them, and who may say so."""

from __future__ import annotations

import math
from pathlib import Path
from typing import final

import numpy as np
import pytest
from baselines.experiments.pool import Pool

import baselines  # noqa: F401  (fills the registry)
from baselines.experiments.answers import Answers
from baselines.experiments.quality import judge_runs
from baselines.experiments.tables import Comparison
from optimizers.base import RegionOptimizer, Settings, State
from optimizers.check import check_optimizer
from optimizers.registry import OPTIMIZERS, get_optimizer
from semrob_env.errors import ContractError
from semrob_env.oracle import Answers as Told
from semrob_env.questions import Questions
from semrob_env.recorded import save_maps
from semrob_env.store import RunStore
from semrob_env.types import FloatArray
from tests.baselines.experiments_maker import small
from tests.recorded_maker import wavy_maps

SHARING = [name for name, method in OPTIMIZERS.items() if method.shares_samples]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("amortised")
    maps = str(save_maps(wavy_maps(), folder / "maps.npz"))
    protocol, suite = small(maps, ["naive", "grid", "grid:lines=3"])
    runs = list(protocol.runs(suite))
    pool = Pool(str(folder / "runs.sqlite"), maps)
    keys = pool.run(list(dict.fromkeys(run.task for run in runs)), suite.functions, lambda count: None)
    store = RunStore(pool.store)
    rows = store.find(keys.values())
    by_task = {task: rows[key] for task, key in keys.items()}
    answers = Answers(folder / "answers.sqlite")
    return Comparison(protocol, suite, judge_runs(protocol, suite, runs, by_task, store.traces(rows), answers))


def test_a_grid_is_shared_by_the_start_points_that_are_asked_about_at_its_function(comparison: Comparison) -> None:
    questions = comparison.suite.questions
    seen = set()
    for line in comparison.run_lines():
        same = {
            question.start
            for question in questions
            if (question.function_id, question.epsilon_m) == (line["function_id"], line["epsilon_m"])
        }
        assert line["sharers"] == (1 if line["label"] == "naive" else len(same))
        seen.add(line["sharers"])
    assert {1, 2} <= seen


def test_amortised_figures_are_those_of_shared_bills(comparison: Comparison) -> None:
    runs = comparison.run_lines()
    for line in comparison.lines:
        own = [
            row
            for row in runs
            if all(row[name] == line[name] for name in ("epsilon_m", "label", "budget")) and row["best"] > 0
        ]
        bills = [row["queries"] / row["sharers"] for row in own]
        assert line["amortised_queries"] == pytest.approx(np.mean(bills))
        times = [float(row["reached_50"]) / row["sharers"] for row in own]
        hits = sum(map(math.isfinite, times))
        total = sum(time if math.isfinite(time) else bill for time, bill in zip(times, bills, strict=True))
        assert line["amortised_ert_50"] == (pytest.approx(total / hits) if hits else "inf")
        if line["label"] == "naive":
            assert line["amortised_ert_50"] == line["ert_50"]


def test_the_table_tells_both_and_a_note_which_decides(comparison: Comparison) -> None:
    (first, *_) = comparison.protocol.thresholds
    table = {row["method"]: row for row in comparison.shown_amortised(first)}
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
    runs = list(protocol.runs(suite))
    keys = Pool(str(tmp_path / "r.sqlite"), maps).run([run.task for run in runs], suite.functions, lambda count: None)
    store = RunStore(tmp_path / "r.sqlite")
    rows = store.find(keys.values())
    by_task = {task: rows[key] for task, key in keys.items()}
    outcomes = judge_runs(protocol, suite, runs, by_task, store.traces(rows), Answers(tmp_path / "a.sqlite"))
    alone = Comparison(protocol, suite, outcomes)
    assert alone.shown_amortised(protocol.thresholds[0]) == []
    assert not any("amortised" in note for note in alone.notes())


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
    optimizer = get_optimizer(name)(Questions(space, space.sample(5, np.random.default_rng(0))))
    theta = optimizer.ask().theta
    assert (theta == theta[:1]).all()
