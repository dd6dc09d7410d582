"""Examiners: bills and answers beside plain loops, a small training that goes on where it was, and bad input."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from baselines.agents.actor import Actor
from baselines.agents.examiner import Examination, Examined, examined_by_agent, examined_by_method
from baselines.commands import train_examiner
from baselines.commands.program import BAD_INPUT, run_command
from semrob_env.functions import Stack, make_function

HILLS = "synthetic:hill?n=2&seed=0 + synthetic:hill?n=2&seed=1 + synthetic:hill?n=2&seed=2"


def examination(budget: int = 7) -> Examination:
    function = make_function(HILLS)
    assert isinstance(function, Stack)
    starts = function.space.sample(3, np.random.default_rng(0))
    return Examination(function, np.array([0, 2]), starts, budget)


def test_an_agent_asks_the_start_point_and_then_what_its_actions_say() -> None:
    asked = examination()
    actor = Actor(((np.zeros((2, 7), dtype=np.float32), np.array([0.5, -1.0], dtype=np.float32)),))
    lowest = examined_by_agent(asked, actor)
    member, starts = asked.pairs
    space = asked.function.space
    point = space.from_unit(np.array([0.75, 0.0]))
    first, then = (
        asked.function.scale.unit(asked.function.values(theta[:, None], member)[:, 0])
        for theta in (starts, np.repeat(point[None], len(starts), axis=0))
    )
    np.testing.assert_array_equal(lowest[:, 0], first)
    np.testing.assert_array_equal(lowest[:, 1:], np.repeat(np.minimum(first, then)[:, None], 6, axis=1))


@pytest.mark.parametrize("method", ["random_attack", "bayesian_attack"])
def test_a_point_method_is_judged_by_what_it_was_told(method: str) -> None:
    asked = examination(9)
    lowest = examined_by_method(asked, method, {"radius": 1.0}, seed=1)
    assert lowest.shape == (6, 9)
    assert (np.diff(lowest, axis=1) <= 0).all()
    assert lowest[:, -1].mean() < lowest[:, 0].mean()
    np.testing.assert_array_equal(lowest, examined_by_method(asked, method, {"radius": 1.0}, seed=1))


def test_means_are_over_seeds_and_starts_and_intervals_over_members() -> None:
    asked = examination(4)
    scores = np.ones((6, 4))
    scores[:3, 2:] = 0.2  # the first member, from the third query on
    found = Examined.of("mine", asked, [scores, scores])
    early, late = found.row(0.5, 2), found.row(0.5, 4)
    assert (early["lowest_score"], early["failures_found"]) == (1.0, 0.0)
    assert (late["lowest_score"], late["failures_found"]) == (pytest.approx(0.6), 0.5)
    assert late["failures_low"] < 0.05
    assert late["failures_high"] > 0.95  # two members tell little


SMALL = ["--function", HILLS, "--test-members", "2", "--seeds", "0,1", "--steps", "256", "--rounds", "2"]


def test_a_small_training_is_compared_with_search_and_goes_on(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "out"), "--environments", "8", "--budget", "8", "--methods", "random_attack"]
    assert run_command(train_examiner.main, [*SMALL, *out]) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "examiner.csv").read_text().splitlines()))
    assert {(row["examiner"], row["queries"]) for row in rows} == {
        (who, count) for who in ("ppo agents", "random_attack") for count in ("1", "2", "4", "8")
    }
    first = (tmp_path / "out" / "examiner.csv").read_bytes()
    agent = (tmp_path / "out" / "ppo" / "seed_0" / "policy.pt").stat().st_mtime_ns
    assert run_command(train_examiner.main, [*SMALL, *out]) == 0
    assert (tmp_path / "out" / "examiner.csv").read_bytes() == first
    assert (tmp_path / "out" / "ppo" / "seed_0" / "policy.pt").stat().st_mtime_ns == agent
    assert "forward queries more, to learn" in (tmp_path / "out" / "examiner.md").read_text()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--methods", "oir_b"],
        ["--methods", "random_attack:radius=7"],
        ["--methods", "random_attack:radius"],
        ["--budget", "1"],
        ["--test-members", "9"],
    ],
)
def test_bad_input_is_one_line(wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(train_examiner.main, [*SMALL, *wrong, "--out", str(tmp_path / "out")]) == BAD_INPUT
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
