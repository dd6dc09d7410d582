"""Bayesian optimization by Optuna: both samplers repeat themselves, the attack keeps to its box, nothing is printed."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import baselines  # noqa: F401 - fills the registry
from optimizers.registry import OPTIMIZERS
from optimizers.run import run
from semrob_env.errors import InvalidParameterError, MissingExtraError, ProtocolError
from semrob_env.functions import CallableFunction
from semrob_env.oracle import QueryLog, QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Goal, MeanGoal, Questions
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

optuna = pytest.importorskip("optuna")

ROOT = Path(__file__).resolve().parents[2]
SPACE = SemanticSpace.of("azimuth,elevation")
LOWEST = np.array([310.0, 24.0])
METHODS = ("bayesian", "bayesian_attack")
CASES = [(name, algorithm) for name in METHODS for algorithm in ("tpe", "gp")]


def plateau(theta: FloatArray) -> FloatArray:
    """1 within 90 degrees of azimuth 130 and above elevation 0, 0 elsewhere."""
    return np.asarray(((np.abs(theta[:, 0] - 130) <= 90) & (theta[:, 1] >= 0)).astype(np.float64))


def bowl(theta: FloatArray) -> FloatArray:
    """Rises evenly from 0 at LOWEST; across the seam as well."""
    away = np.abs((theta - LOWEST + np.array([180.0, 0.0])) % np.array([360.0, 1e9]) - np.array([180.0, 0.0]))
    away[:, 1] = theta[:, 1] - LOWEST[1]
    return np.asarray(((away / np.array([180.0, 100.0])) ** 2).sum(axis=1) / 2)


def made(
    name: str, starts: int = 2, *, seed: int = 0, budget: float = 400, goal: Goal | None = None, **settings: Any
) -> Any:
    method = OPTIMIZERS[name]
    questions = Questions(SPACE, [[130.0, 30.0]] * starts, goal=goal, budget=budget)
    return method(questions, settings=method.settings_class.from_mapping(settings), seed=seed)


def played(optimizer: Any, steps: int, function: Any = plateau) -> Regions:
    return run(
        optimizer, QueryOracle(CallableFunction(SPACE, function), trajectories=len(optimizer)), max_steps=steps
    ).regions


@pytest.mark.parametrize(("name", "algorithm"), CASES)
def test_the_same_seed_repeats_itself_and_a_restart_goes_on_bit_for_bit(name: str, algorithm: str) -> None:
    whole = made(name, algorithm=algorithm, startup=2)
    expected = played(whole, 8)
    first = made(name, algorithm=algorithm, startup=2)
    played(first, 4)
    file = io.BytesIO()
    arrays: dict[str, Any] = first.save()
    np.savez(file, **{**arrays, "status": np.array(["running"] * 2)})
    file.seek(0)
    second = made(name, algorithm=algorithm, startup=2, seed=9)
    with np.load(file, allow_pickle=False) as saved:
        second.restore(saved)
    assert played(second, 8) == expected
    assert second.ask().theta.tobytes() == whole.ask().theta.tobytes()
    assert made(name, algorithm=algorithm, seed=9).save()["state.seed"].tolist() != whole.save()["state.seed"].tolist()


def test_global_generators_neither_matter_nor_move() -> None:
    expected = played(made("bayesian", algorithm="gp", startup=2), 6)
    np.random.seed(7)  # noqa: NPY002 - the global generator is what this is about
    before = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    assert played(made("bayesian", algorithm="gp", startup=2), 6) == expected
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]  # noqa: NPY002


@pytest.mark.slow
def test_it_finds_a_large_part_of_a_plateau() -> None:
    optimizer = made("bayesian", 3, goal=MeanGoal(0.2))
    oracle = QueryOracle(CallableFunction(SPACE, plateau), trajectories=3, budget=200)
    result = run(optimizer, oracle)
    assert np.median(result.regions.share()) > 0.2  # the plateau has a share of 0.45, the first guess 0.125
    assert (result.forward_queries > 200 - optimizer.settings.points).all()  # what is left pays no candidate


def asked_by(
    name: str, start: list[float], *, budget: float = 60, **settings: Any
) -> tuple[FloatArray, FloatArray, list[str]]:
    """All points that a run asks (N, n), the one that it recommends (n,), and how it ended."""
    method, log = OPTIMIZERS[name], QueryLog()
    questions = Questions(SPACE, [start], budget=budget)
    optimizer = method(questions, settings=method.settings_class.from_mapping(settings))
    result = run(optimizer, QueryOracle(CallableFunction(SPACE, bowl), budget=60, log=log))
    return log.arrays()["theta"].astype(np.float64), result.regions.lower[0], result.status


@pytest.mark.parametrize("start", [[5.0, -8.0], [355.0, 88.0]])
def test_the_attack_stays_in_its_box_across_the_seam_and_recommends_the_lowest_point(start: list[float]) -> None:
    points, found, status = asked_by("bayesian_attack", start, radius=0.1, budget=40)
    away = np.stack([(points[:, 0] - start[0] + 180) % 360 - 180, points[:, 1] - start[1]], axis=1)
    assert (abs(away) <= 0.1 * SPACE.width + 1e-9).all()
    assert SPACE.contains(points).all()
    assert bowl(found[None])[0] == bowl(points).min()
    assert (len(points), status) == (40, ["converged"])


def test_the_attack_begins_in_the_middle_and_looks_for_a_high_score_if_told() -> None:
    points, found, _ = asked_by("bayesian_attack", [130.0, 30.0], seeks="high")
    assert points[0].tolist() == [130.0, 30.0]
    assert bowl(found[None])[0] == bowl(points).max()


@pytest.mark.parametrize(
    ("algorithm", "starts", "budget"), [("tpe", 5, 30), pytest.param("gp", 3, 15, marks=pytest.mark.slow)]
)
def test_the_attack_goes_deeper_than_random_points(algorithm: str, starts: int, budget: int) -> None:
    depth = {}
    chosen: dict[str, dict[str, Any]] = {
        "bayesian_attack": {"algorithm": algorithm},
        "random_attack": {},
    }
    for name, settings in chosen.items():
        found = played(made(name, starts, budget=budget, radius=0.4, **settings), budget, bowl)
        depth[name] = np.median(bowl(found.lower))
    assert depth["bayesian_attack"] < depth["random_attack"]


@pytest.mark.parametrize("name", METHODS)
def test_a_state_that_the_library_would_not_have_reached_is_refused(name: str) -> None:
    first = made(name)
    played(first, 3)
    saved = first.save()
    second = made(name)
    candidate = saved["state.candidate"] / 2
    second.restore({**saved, "state.candidate": candidate, "status": np.array(["running", "running"])})
    with pytest.raises(ProtocolError, match="another version of its library"):
        played(second, 30)


@pytest.mark.parametrize(("name", "algorithm"), CASES)
def test_nothing_is_logged_or_warned_and_the_verbosity_stays_what_it_was(
    name: str, algorithm: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = optuna.logging.get_verbosity()
    played(made(name, algorithm=algorithm, startup=1), 3)
    assert optuna.logging.get_verbosity() == before == logging.INFO
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", METHODS)
def test_a_missing_library_is_told_with_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"optuna is not installed; pip install semrob\[baselines\]"):
        made(name)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("wrong", [{"algorithm": "cmaes"}, {"startup": 0}, {"budget": 10}])
def test_settings_out_of_their_limits_are_refused(name: str, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        OPTIMIZERS[name].settings_class.from_mapping(wrong)


def test_importing_the_baselines_loads_neither_optuna_nor_learning_libraries() -> None:
    code = "import sys, baselines; print(*{name.split('.')[0] for name in sys.modules})"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"optuna", "stable_baselines3", "gymnasium", "torch"} & set(printed.split())
