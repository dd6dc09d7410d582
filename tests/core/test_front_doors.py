"""The front doors: what the three packages offer at their tops, lazily, and that their pages teach what is true."""

from __future__ import annotations

import ast
import doctest
import importlib
import pydoc
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import semrob_env
from baselines import solve
from optimizers import run
from semrob_env import CallableFunction, Question, SemanticSpace, lazy, read_goal
from semrob_env.errors import InvalidBudgetError, OutOfSpaceError, UnknownNameError

DOORS = ("semrob_env", "optimizers", "baselines")


def in_fresh_interpreter(root: Path, code: str) -> None:
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=60)


@pytest.mark.parametrize("door", DOORS)
def test_what_types_promise_is_what_is_there(door: str) -> None:
    package = importlib.import_module(door)
    (typed,) = (
        block.body
        for block in ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8")).body
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name)
    )
    promised = [(alias.name, node.module) for node in typed if isinstance(node, ast.ImportFrom) for alias in node.names]
    offered = {name for name, _ in promised} | ({"run"} if door == "optimizers" else set())
    assert set(package.__all__) == offered
    assert set(package.__all__) | {"__version__"} <= set(dir(package))
    for name, module in promised:
        assert getattr(package, name) is getattr(importlib.import_module(str(module)), name)


@pytest.mark.parametrize("door", DOORS)
def test_the_page_of_a_package_teaches_by_examples_that_run(door: str) -> None:
    package = importlib.import_module(door)
    tried = doctest.testmod(package)
    assert tried.failed == 0
    assert tried.attempted >= 5
    page = pydoc.plain(pydoc.render_doc(package))
    assert all(name in page for name in package.__all__)


def test_an_unknown_name_is_told_as_python_does() -> None:
    with pytest.raises(AttributeError, match=r"module 'semrob_env' has no attribute 'Typo'; dir\(semrob_env\)"):
        semrob_env.Typo  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="Typo"):
        exec("from semrob_env import Typo")


def test_the_version_is_that_of_what_is_installed_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert semrob_env.__version__[0].isdigit()
    monkeypatch.setattr("importlib.metadata.version", lambda name: (_ for _ in ()).throw(_not_found()))
    assert lazy._version() == "0+unknown"


def _not_found() -> Exception:
    from importlib.metadata import PackageNotFoundError

    return PackageNotFoundError("semrob")


def test_run_is_the_function_whatever_was_imported_before(project_root: Path) -> None:
    assert callable(run)
    in_fresh_interpreter(project_root, "import optimizers.run\nfrom optimizers import run\nassert callable(run)")


def test_methods_of_the_house_are_found_in_a_checkout_that_is_not_installed(project_root: Path) -> None:
    code = (
        "import importlib.metadata as metadata\nmetadata.entry_points = lambda **group: ()\n"
        "import sys\nfrom optimizers import OPTIMIZERS, get_optimizer\n"
        "assert {'naive', 'grid', 'scipy'} <= set(OPTIMIZERS.names())\n"
        "assert not {'baselines', 'optimizers.naive'} & sys.modules.keys()\n"
        "assert get_optimizer('grid').name == 'grid' and get_optimizer('oir_b').name == 'oir_b'\n"
        "assert 'baselines.bayesian' not in sys.modules"
    )
    in_fresh_interpreter(project_root, code)


def test_one_question_is_answered_and_judged() -> None:
    space = SemanticSpace.of("azimuth,elevation")
    mine = CallableFunction(space, lambda theta: 1 - np.abs(theta[:, 0] - 180) / 180, name="mine")
    question = Question("mine", (180.0, 40.0), read_goal("mean=0.7"), budget=80)
    row = solve(question, function=mine)
    assert (row.task.question, row.feasible, row.error) == (question, True, "")
    assert 0.5 < row.share < 0.62  # 0.6 is the best
    assert row.forward_queries <= 80
    hasty = replace(question, budget=16)  # with more, all seeds find the same
    again = [solve(hasty, "random_search", seed=seed, function=mine) for seed in (3, 3, 4)]
    assert again[0].lower == again[1].lower != again[2].lower
    assert solve(question, "grid", {"lines": 3}, function=mine).forward_queries <= 10


def test_what_cannot_be_answered_is_raised() -> None:
    hill = "synthetic:hill?n=2&seed=0"
    with pytest.raises(InvalidBudgetError, match="without an end"):
        solve(Question(hill, (180.0, 40.0)))
    with pytest.raises(UnknownNameError, match="unknown method 'nobody'"):
        solve(Question(hill, (180.0, 40.0), budget=9), "nobody")
    with pytest.raises(OutOfSpaceError):
        solve(Question(hill, (180.0, 400.0), budget=9))
    fails = CallableFunction(SemanticSpace.of("azimuth"), lambda theta: [1 / 0], name="fails")
    with pytest.raises(ZeroDivisionError):
        solve(Question("fails", (1.0,), budget=9), function=fails)
