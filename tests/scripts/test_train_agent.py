"""train_agent.py: trains, goes on after an interruption, compares on held-out members, refuses what does not fit."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("stable_baselines3")

from baselines.agents import load_agent
from baselines.agents.training import Trainer
from baselines.commands.program import run_command
from baselines.commands.train_agent import main
from baselines.commands.work.train_agent import split
from semrob_env.functions import make_function
from semrob_env.recorded import save_maps
from tests.recorded_maker import wavy_maps

SMALL = ["--steps", "512", "--rounds", "2", "--environments", "16", "--seeds", "0,3", "--episodes", "2"]
SPLIT = ["--function", "recorded:*", "--test-networks", "Inceptionv3", "--test-shapes", "1"]


@pytest.fixture(autouse=True)
def maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "maps.npz"
    save_maps(wavy_maps(), path)
    monkeypatch.setenv("SEMROB_MAPS", str(path))
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def agents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*/policy.pt"))}


@pytest.mark.slow
def test_agents_are_trained_saved_and_compared_on_members_that_they_never_met(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main([*SPLIT, *SMALL, "--algorithms", "ppo,sac", "--methods", "oir_b,solution_box", "--out", str(out)])
    printed = capsys.readouterr().out
    assert "learn on 2 members and are tested on 2 others x 4 start points" in printed
    assert "judged exactly" in printed
    rows = {row["method"]: row for row in rows_of(out / "training.csv")}
    assert list(rows) == ["ppo agents", "sac agents", "random policy", "oir_b", "solution_box"]
    assert [row["seeds"] for row in rows.values()] == ["2", "2", "2", "1", "2"]
    assert float(rows["random policy"]["ratio"]) == 1
    assert all(0 < float(row["queries"]) <= 200 for row in rows.values())
    assert len(rows_of(out / "curves.csv")) == 2 * 2 * 2
    assert (out / "learning.png").read_bytes().startswith(b"\x89PNG")
    agent = load_agent(out / "sac" / "seed_3")
    assert (agent.algorithm, agent.training["recipe"]["seed"], agent.rules["budget"]) == ("SAC", 3, 200)
    assert len(agent.training["members"]) == 2
    assert all("Inceptionv3" not in name and not name.endswith("/1") for name in agent.training["members"])
    assert len(agents(out)) == 4
    assert len(set(agents(out).values())) == 4
    assert not list(out.rglob("checkpoint.pt"))


def test_what_was_interrupted_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*SPLIT, *SMALL, "--methods", ""]
    main([*command, "--out", str(tmp_path / "whole")])
    train, calls = Trainer.round, []

    def interrupted(self: Trainer, *arguments: Any) -> None:
        calls.append(self.done)
        if len(calls) == 4:
            raise KeyboardInterrupt
        train(self, *arguments)

    monkeypatch.setattr(Trainer, "round", interrupted)
    again = [*command, "--out", str(tmp_path / "parts")]
    assert run_command(main, again) == 130
    assert "finished rounds are kept" in capsys.readouterr().err
    assert (tmp_path / "parts" / "ppo" / "seed_3" / "checkpoint.pt").exists()
    main(again)
    assert calls == [0, 1, 0, 1, 1]
    assert agents(tmp_path / "parts") == agents(tmp_path / "whole")
    for name in ("training.csv", "curves.csv", "training.md"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    main(again)
    assert len(calls) == 5
    assert run_command(main, [*again, "--budget", "150"]) == 2
    assert "is of another training; give an --out of its own" in capsys.readouterr().err


def test_synthetic_functions_are_split_by_number_and_judged(tmp_path: Path) -> None:
    function = " + ".join(f"synthetic:hill?n=3&seed={seed}" for seed in range(3))
    options = ["--function", function, "--test-members", "1", "--seeds", "0", "--start", "random", "--budget", "60"]
    main([*options, *SMALL[:6], "--methods", "oir_b", "--out", str(tmp_path)])
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert (len(plan["train"]), len(plan["test"])) == (2, 1)
    rows = rows_of(tmp_path / "training.csv")
    assert [row["method"] for row in rows] == ["ppo agents", "random policy", "oir_b"]
    assert rows[0]["low"] == "nan"  # one seed has no interval


def test_a_dry_run_tells_what_would_run_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([*SPLIT, "--dry-run", "--environments", "64", "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "5 agents (ppo 1,013,760 steps each, 15 rounds)" in printed
    assert "estimated time of training" in printed
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("function", ["recorded:*", "complement(recorded:*)"])
def test_a_network_of_a_family_is_held_out_by_its_whole_name(function: str, maps: Path) -> None:
    save_maps(wavy_maps(["timm/a/cup/0", "timm/a/cup/1", "timm/b/cup/0", "timm/b/cup/1"]), maps)
    options = main.read(["--function", function, "--test-networks", "timm/b", "--test-shapes", "1"])
    assert options is not None
    train, test = split(make_function(function), options)
    assert (train.tolist(), test.tolist()) == ([0], [3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--algorithms", "dqn"], "unknown algorithm 'dqn'; choose ppo, sac"),
        (["--steps", "0"], "--steps 0: give a whole number of at least 1"),
        (["--rounds", "0"], "--rounds 0"),
        (["--budget", "20"], "give at least 26"),
        (["--goal", "mean=2"], "mean 2 must be in [0, 1]"),
        (["--largest-step", "0"], "largest_step 0.0"),
        (["--methods", "nobody"], "unknown method 'nobody'"),
        (["--methods", "random_attack"], "random_attack recommends points"),
        (["--test-networks", "Nobody"], "no member has network 'Nobody'"),
        (["--test-shapes", "7"], "--test-shapes 7: no member of recorded:* has such an object"),
        (["--test-members", "3"], "not both"),
        (["--seeds", "x"], "cannot read 'x'"),
        (["--function", "nothing"], "unknown function 'nothing'"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(main, [*SPLIT, *options, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing is held out"),
        (["--test-members", "8"], "there are 0..7"),
        (["--test-members", "0-7"], "leave some"),
    ],
)
def test_a_split_without_a_test_or_a_training_is_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(main, ["--function", "recorded:*", *options]) == 2
    assert message in capsys.readouterr().err
