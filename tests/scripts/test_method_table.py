"""The method table: counts are those of the oracle, limits are those that the methods enforce."""

from __future__ import annotations

import csv
import math
from dataclasses import fields
from pathlib import Path

import pytest

import baselines  # noqa: F401  (fills the registry)
from baselines.commands import method_table
from baselines.commands.program import BAD_INPUT, run_command
from baselines.experiments.costs import Count, count_queries, growth, hyperparameters
from optimizers import Naive, OirB, OirW, Trapezoidal
from optimizers.limits import limits_of
from optimizers.oir_w import OirWSettings
from optimizers.registry import OPTIMIZERS
from semrob_env.errors import InvalidParameterError
from semrob_env.functions import make_function
from semrob_env.questions import Questions
from tests.baselines.experiments_maker import Planner, registered


@pytest.mark.parametrize(
    ("method", "base", "gradients"),
    [(Naive, 1, 0), (OirB, 2, 0), (OirW, 1, 1), (Trapezoidal, 1, 1)],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_the_papers_costs_are_counted(method: type[Naive], base: int, gradients: int, n: int) -> None:
    assert count_queries(method, method.settings_class(), n) == Count(n, 1, base * 2**n, gradients * 2**n)


def test_totals_are_those_of_the_steps_taken() -> None:
    assert count_queries(OirB, OirB.settings_class.paper(), 2, steps=30) == Count(2, 30, 240, 0)
    settled = count_queries(OirB, OirB.settings_class(), 1, steps=10000)  # fills the space, and stops there
    assert 0 < settled.steps < 10000
    assert settled.forward == 4 * settled.steps


def test_a_method_that_does_not_run_at_some_n_says_why() -> None:
    found = count_queries(Naive, Naive.settings_class(), 13)
    assert (found.steps, found.total) == (0, 0)
    assert found.refusal


@pytest.mark.parametrize(
    ("queries", "expected"),
    [
        ([2, 4, 8, 16], "2^n"),
        ([4, 8, 16, 32], "2^(n+1)"),
        ([3, 9, 27, 81], "3^n"),
        ([5, 15, 45, 135], "1.67 3^n"),
        ([5, 10, 15, 20], "5 n"),
        ([3, 5, 7, 9], "2 n + 1"),
        ([1, 4, 9, 16], "n^2"),
        ([7, 7, 7, 7], "constant"),
        ([0, 0, 0, 0], "0"),
        ([5, 5, 7, 9, 11], "2 n + 1 from n = 2 on"),
        ([0, 0, 0, 5], "-"),
        ([2, 4], "-"),
        ([], "-"),
    ],
)
def test_growth_is_fitted_to_the_counts(queries: list[float], expected: str) -> None:
    assert growth(list(range(1, len(queries) + 1)), queries) == expected


def test_a_fit_that_misses_tells_by_how_much() -> None:
    law, _, miss = growth([1, 2, 3, 4, 5, 6], [2, 4, 8, 16, 32, 70]).partition(" (within ")
    assert law.endswith("^n")
    assert 1.01 < float(miss.rstrip("x)")) < 1.1


@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_limit_of_beta_in_the_table_is_the_one_enforced(n: int) -> None:
    (line,) = [line for line in hyperparameters(OirW, OirWSettings.paper(), [n]) if line["name"] == "emphasis_factor"]
    assert line["limits"].startswith("0 <= beta < 2/(2n-1) (")
    limit = float(line["limits"].rpartition("(")[2].partition(" for")[0])
    assert limit == pytest.approx(2 / (2 * n - 1), rel=1e-3)
    space = make_function(f"synthetic:plateau?n={n}&seed=0").space
    exact = 2 / (2 * n - 1)
    questions = Questions(space, space.default)
    OirW(questions, settings=OirWSettings(form="paper", emphasis_factor=exact * 0.999))
    with pytest.raises(InvalidParameterError, match="must be below"):
        OirW(questions, settings=OirWSettings(form="paper", emphasis_factor=exact))


def test_hyperparameters_come_with_defaults_words_and_meaning() -> None:
    found = {line["name"]: line for line in hyperparameters(OirW, OirW.settings_class.paper(), [2])}
    assert found["gradient"]["limits"] == "score or cross_entropy"
    assert found["step_size"] == {
        "name": "step_size",
        "symbol": "eta",
        "default": "0.1",
        "limits": "above 0",
        "meaning": "eta, above 0.",
    }
    assert found["emphasis_factor"]["meaning"].startswith("beta, 0 <= beta")
    own = {line["name"]: line for line in hyperparameters(Planner, Planner.settings_class(), [2])}
    assert own["rate"] == {"name": "rate", "symbol": "", "default": "0.01", "limits": "", "meaning": "Of growth."}


def test_the_script_writes_tables_and_a_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["--methods", "naive,oir_w,grid:lines=3", "--parameters", "1-3", "--steps", "20", "--out", str(out)]
    assert run_command(method_table.main, arguments) == 0
    assert {path.name for path in out.iterdir()} == {"methods.md", "methods.csv", "hyperparameters.csv", "methods.png"}
    rows = list(csv.DictReader((out / "methods.csv").read_text().splitlines()))
    found = {(row["method"], int(row["n"])): (float(row["forward"]), float(row["backward"])) for row in rows}
    assert found["naive", 3] == (8.0, 0.0)
    assert found["oir_w", 2] == (4.0, 4.0)
    assert found["grid:lines=3", 3] == (27.0, 0.0)
    told = capsys.readouterr().out
    assert "80+80" in told  # 20 steps of oir_w at n = 2
    assert "3^n" in told
    assert "| top-down " in told
    grown = {row["method"]: (row["forward grows"], row["backward grows"]) for row in rows}
    assert grown == {"naive": ("2^n", "0"), "oir_w": ("2^n", "2^n"), "grid:lines=3": ("3^n", "0")}
    assert "9+0 (ended after 1)" in told


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_method_tells_its_paradigm_what_it_finds_and_the_limits_of_its_numbers(name: str) -> None:
    method = OPTIMIZERS[name]
    assert "not told" not in {method.paradigm, method.finds}
    defaults = method.settings_class().to_mapping()
    for line in hyperparameters(method, method.settings_class(), [2]):
        assert line["meaning"], line["name"]
        assert line["limits"] or isinstance(defaults[line["name"]], str), line["name"]  # free words are names


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_limits_in_the_table_are_those_that_settings_enforce(name: str) -> None:
    owner, tried = OPTIMIZERS[name].settings_class, 0
    for own in fields(owner):
        limits = limits_of(own.metadata)
        if limits is None or limits.words:
            continue
        step = limits.is_even + 1 if limits.is_whole else 1e-9
        outside = [limits.least if limits.is_open else limits.least - step]
        outside += [limits.most + step] if limits.most < math.inf else []
        inside = [limits.least + step if limits.is_open else limits.least]
        inside += [limits.most] if limits.most < math.inf else []
        kind = int if limits.is_whole else float
        for value in inside:
            assert getattr(owner.from_mapping({own.name: kind(value)}), own.name) == value
        for value in outside:
            with pytest.raises(InvalidParameterError, match=f"^{own.name} "):
                owner.from_mapping({own.name: kind(value)})
        tried += 1
    assert tried or all(isinstance(value, str) for value in owner().to_mapping().values())


def test_a_method_of_ones_own_has_its_row(tmp_path: Path) -> None:
    with registered(Planner):
        arguments = ["--methods", "planner", "--parameters", "1,2", "--out", str(tmp_path)]
        assert run_command(method_table.main, arguments) == 0
    text = (tmp_path / "methods.md").read_text()
    assert "constant" in text
    assert "75+0 (ended after 75)" in text  # half of its budget of 150


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--methods", "magic"], "unknown method 'magic'"),
        (["--methods", "naive", "--parameters", "0-2"], "give numbers of at least 1"),
        (["--methods", "naive", "--steps", "0"], "--steps 0"),
        (["--methods", "naive", "--parameters", "15"], "no method ran"),
        (["--methods", "naive", "--import", "no_such_module"], "--import no_such_module"),
    ],
    ids=" ".join,
)
def test_what_is_misspelt_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert run_command(method_table.main, [*extra, "--out", str(tmp_path / "out")]) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
