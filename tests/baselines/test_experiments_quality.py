"""What a comparison says of runs, against the plain way through the library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import semrob_env.functions
from baselines.experiments import quality
from baselines.experiments.answers import KeptAnswers, answer_key
from baselines.experiments.compare import compare
from baselines.experiments.functions import Functions
from baselines.experiments.judging_maps import map_points
from baselines.experiments.protocols import PlannedRun, Protocol
from baselines.experiments.quality import Outcomes
from baselines.experiments.suites import Suite
from baselines.experiments.tables import ALL, OPEN, TRIVIAL, Comparison
from optimizers.registry import get_optimizer
from optimizers.run import CHECKPOINTS, run
from semrob_env.errors import InvalidParameterError, StoreError
from semrob_env.functions import CallableFunction, ScoreFunction
from semrob_env.metrics import Judge, certify, judge_regions, regrets
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MeanGoal, Question, Questions
from semrob_env.recorded import ScoreMaps, save_maps
from semrob_env.regions import Regions
from semrob_env.store import RunStore
from semrob_env.types import FloatArray
from tests.baselines.experiments_maker import Planner, registered, small
from tests.recorded_maker import wavy_maps


@pytest.fixture
def maps(tmp_path: Path) -> str:
    return str(save_maps(wavy_maps(), tmp_path / "maps.npz"))


def judged(protocol: Protocol, suite: Suite, folder: Path) -> tuple[Outcomes, list[PlannedRun]]:
    return compare(protocol, suite, folder).outcomes, list(protocol.runs(suite))


def test_quality_is_one_minus_the_exact_regret_of_the_same_run(maps: str, tmp_path: Path) -> None:
    protocol, suite = small(maps, ["oir_b"], budgets=(20, 400))
    outcomes, runs = judged(protocol, suite, tmp_path)
    seen = set()
    for row, planned in enumerate(runs):
        question = suite.questions[planned.question]
        function, member = suite.functions.member(question.function_id)
        oracle = QueryOracle(function, budget=planned.budget)
        optimizer = get_optimizer("oir_b")(Questions(function.space, question.start, member=[member]))
        regions = run(optimizer, oracle).regions
        lost = regrets(function, regions, question.start, [member], question.goal)[0]
        assert outcomes.quality[row] == pytest.approx(1 - lost, rel=1e-12)
        assert outcomes.queries[row] == oracle.spent[0]
        assert outcomes.feasible[row] == outcomes.certified[row] == (lost < 1)
        judge = Judge(question.goal, protocol.judge_points, protocol.judge_seed)
        by_points = judge_regions(function, regions, [member], judge)
        assert outcomes.purity[row] == by_points.purity[0]
        assert outcomes.goal_mean[row] == by_points.mean[0]
        seen.add(bool(outcomes.feasible[row]))
    assert seen == {False, True}
    assert outcomes.is_exact.all()


def test_final_regions_of_functions_that_nobody_knows_are_certified_by_points_once(tmp_path: Path) -> None:
    asked: list[int] = []

    def scores(theta: FloatArray) -> FloatArray:
        asked.append(len(theta))
        return 0.2 + 0.7 * np.abs(theta[:, 0] - 180) / 180

    ramp = CallableFunction(SemanticSpace.of("azimuth,elevation"), scores, name="ramp")
    suite = Suite("live", {}, (Question("ramp", (20.0, 10.0), MeanGoal(0.35)),), ("one",), Functions(given=[ramp]))
    goal, options = suite.questions[0].goal, {"parameters": ("1",)}
    protocol, _ = small("", ["naive"], suite="synthetic", options=options, goals=(goal,), budgets=(60, 400))
    comparison = compare(protocol, suite, tmp_path)
    rows = sorted(RunStore(tmp_path / "runs.sqlite").rows(), key=lambda row: row.forward_queries)
    assert [row.certificate_queries for row in rows] == [0, 0], "a comparison judges by itself"
    regions = Regions(ramp.space, np.array([row.lower for row in rows]), np.array([row.upper for row in rows]))
    certified = certify(ramp, regions, goal, points=64).certified
    assert certified.tolist() == [True, False]
    assert np.array_equal(comparison.outcomes.certified, certified)
    assert [line["certified"] for line in comparison.lines] == [1.0, 0.0]
    assert comparison.shown(goal)[0]["certified % @400"] == "0"
    asked.clear()
    assert np.array_equal(compare(protocol, suite, tmp_path).outcomes.certified, certified)
    assert not asked, "what was certified is kept"


def test_maps_judge_live_functions_that_alone_certify(tmp_path: Path) -> None:
    asked = [0]

    def scores(theta: FloatArray) -> FloatArray:
        asked[0] += len(theta)
        return 0.2 + 0.7 * np.abs(theta[:, 0] - 180) / 180

    ramp = CallableFunction(SemanticSpace.of("azimuth,elevation"), scores, name="ramp")
    suite = Suite("live", {}, (Question("ramp", (20.0, 10.0), MeanGoal(0.4)),), ("one",), Functions(given=[ramp]))
    goal, options = suite.questions[0].goal, {"parameters": ("1",)}
    protocol, _ = small("", ["naive", "box_quadrature"], suite="synthetic", options=options, goals=(goal,))
    protocol = replace(protocol, suite="live", judge_map_step=10.0)
    told: list[tuple[int, int]] = []
    compare(replace(protocol, judge_map_step=0.0), suite, tmp_path)
    asked[0] = 0
    comparison = compare(protocol, suite, tmp_path, on_judged=lambda done, total: told.append((done, total)))
    outcomes = comparison.outcomes
    assert map_points(suite, 10.0) == 36 * 11
    assert told[-1] == (36 * 11, 36 * 11)
    assert asked[0] == 36 * 11, "runs and certificates were kept, no region was judged by points"
    # The mean of 0.2 + 0.7 |a - 180| / 180 from -h to h around 0 is 0.9 - 0.35 h / 180: 0.6 up to 154.3 degrees.
    assert outcomes.is_exact.all()
    assert outcomes.best == pytest.approx(0.3 / 0.35, abs=0.03)  # the best of those that end at lines
    rows = {row.key: row for row in RunStore(tmp_path / "runs.sqlite").rows()}
    for row in rows.values():
        away = np.abs(np.linspace(row.lower[0], row.upper[0], 100_001) % 360 - 180)
        near = np.abs(outcomes.goal_mean - (0.2 + 0.7 * away / 180).mean())
        assert near.min() < 1e-3, "on lines at every kink the map is the function"
    assert (outcomes.certified <= outcomes.feasible).all()
    assert any("maps of the functions with lines every 10 degrees" in note for note in comparison.notes())
    asked[0] = 0
    with pytest.raises(InvalidParameterError, match="map step 400 of azimuth"):
        compare(replace(protocol, judge_map_step=400.0), suite, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert asked[0] == 0
    other = replace(protocol, certificate_points=0)
    assert not compare(other, suite, tmp_path).outcomes.certified.any()


def test_a_target_is_reached_at_the_first_checkpoint_that_is_good_enough(maps: str, tmp_path: Path) -> None:
    protocol, suite = small(maps, ["naive"])
    outcomes, runs = judged(protocol, suite, tmp_path)
    some = 0
    for row in range(len(runs)):
        queries, own = outcomes.checkpoints[row]
        assert (np.diff(queries) > 0).all()
        assert queries[-1] == outcomes.queries[row]
        assert set(queries[:-1].tolist()) <= set(CHECKPOINTS.tolist())
        for place, target in enumerate(protocol.targets):
            good = [float(at) for at, value in zip(queries, own, strict=True) if value >= target]
            assert outcomes.reached[row, place] == (good[0] if good else math.inf)
            missed = [float(at) for at, value in zip(queries, own, strict=True) if value < target]
            later = [at for at in good if at > max(missed, default=0.0)]
            assert outcomes.held[row, place] == (later[0] if later else math.inf)
            some += bool(good)
    assert 0 < some < outcomes.reached.size


def test_a_region_without_theta0_or_too_low_counts_0(maps: str) -> None:
    _, suite = small(maps)
    question = suite.questions[0]
    space = suite.functions.member(question.function_id)[0].space
    speck = Regions.around(space, question.start, 1e-3)
    aside = Regions.around(space, space.project(np.add(question.start, (20.0, 0.0))), 1e-3)
    path = [
        (float(at), tuple(found.lower[0].tolist()), tuple(found.upper[0].tolist()))
        for at, found in enumerate((speck, aside, Regions.whole(space)))
    ]
    bounds = [(question.goal.counts, question.function_id, lower, upper) for _, lower, upper in path]
    columns = np.array([[1e-9, 0.9, 0.0], [1e-9, 0.9, 0.0], [1.0, question.goal.least - 1e-9, 0.0]]).T
    share, mean, variance = columns
    judgement = quality._Judged({own: row for row, own in enumerate(bounds)}, share, mean, variance, np.ones(3))
    _, shares = quality._qualify(question, path, judgement, suite.functions)
    assert shares.tolist() == [1e-9, 0.0, 0.0]


def test_where_the_optimum_is_unknown_the_best_region_seen_takes_its_place(tmp_path: Path) -> None:
    function_id = "complement(synthetic:plateau?n=2&seed=0)"
    functions = Functions()
    start = tuple(functions.member(function_id)[0].space.point("azimuth=10,elevation=80").tolist())
    suite = Suite("synthetic", {}, (Question(function_id, start),), ("one",), functions)
    protocol, _ = small("", ["naive", "oir_b"], suite="synthetic", options={"parameters": ("1",)})
    outcomes, _ = judged(protocol, suite, tmp_path)
    assert not outcomes.is_exact.any()
    assert max(own.max() for _, own in outcomes.checkpoints) == 1.0
    feasible = np.where(outcomes.feasible, outcomes.share, 0.0)
    np.testing.assert_allclose(outcomes.quality, feasible / outcomes.best[0])
    assert any("is not known" in note for note in Comparison(protocol, suite, outcomes).notes())


def test_without_exact_moments_regions_are_judged_once_by_the_protocols_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, asked = SemanticSpace.of("azimuth,elevation"), [0]

    def scores(theta: FloatArray) -> FloatArray:
        asked[0] += len(theta)
        return np.asarray(0.5 + 0.4 * np.cos(np.radians(theta[:, 0])))

    def factory(function_id: str) -> ScoreFunction:
        return CallableFunction(space, scores, name=function_id)

    monkeypatch.setitem(semrob_env.functions.SCHEMES, "wave", factory)
    suite = Suite("live", {}, (Question("wave:0", (0.0, 40.0)),), ("one",), Functions())
    protocol, _ = small("", ["naive"], suite="synthetic", options={"parameters": ("1",)})
    first, _ = judged(protocol, suite, tmp_path)
    assert asked[0] > 0
    at_first, asked[0] = asked[0], 0
    second, _ = judged(protocol, suite, tmp_path)
    assert asked[0] == 0 < at_first  # runs and judgements were kept
    np.testing.assert_array_equal(first.quality, second.quality)
    assert not first.is_exact.any()
    assert np.isfinite(first.purity).all()


def test_a_failed_run_finds_nothing_at_full_cost(maps: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Planner, state: object) -> FloatArray:
        raise RuntimeError("no ask today")

    with registered(Planner):
        monkeypatch.setattr(Planner, "_ask", broken)
        protocol, suite = small(maps, ["naive", "planner"])
        outcomes, runs = judged(protocol, suite, tmp_path)
        notes = Comparison(protocol, suite, outcomes).notes()
    own = outcomes.entry == 1
    assert (outcomes.quality[own] == 0).all()
    np.testing.assert_array_equal(outcomes.queries[own], outcomes.budget[own])
    assert np.isinf(outcomes.reached[own]).all()
    assert len(outcomes.errors) == len({run.task for run in runs if run.entry == 1})
    assert any("RuntimeError: no ask today" in note for note in notes)


def lines_of(maps: str, folder: Path, methods: Sequence[str]) -> Comparison:
    protocol, suite = small(maps, methods)
    return Comparison(protocol, suite, judged(protocol, suite, folder)[0])


def middle(values: list[float], *, worse: int) -> float:
    """The median; of two in the middle the lower (-1) or the higher one (1)."""
    return sorted(values)[len(values) // 2 if worse > 0 else (len(values) - 1) // 2]


def test_questions_that_the_whole_space_answers_are_apart_and_the_dummies_win_only_these(tmp_path: Path) -> None:
    maps = wavy_maps()
    scores = np.concatenate([maps.scores, np.full_like(maps.scores[:1], 0.9)])
    more = str(
        save_maps(ScoreMaps(maps.space, maps.axes, scores, (*maps.names, "ResNet50/sofa/9")), tmp_path / "m.npz")
    )
    protocol, suite = small(more, ["fixed_box", "box_quadrature"], goals=(MeanGoal(0.3),))
    comparison = compare(protocol, suite, tmp_path)
    (goal,) = protocol.goals
    count = sum(question.function_id.endswith("sofa/9") for question in suite.questions)
    assert comparison.trivial(goal) == count > 0
    for part, feasible in ((OPEN, 0.0), (TRIVIAL, 1.0)):
        own = [line for line in comparison.lines if (line["label"], line["part"]) == ("fixed_box", part)]
        assert {line["feasible"] for line in own} == {feasible}
        assert {line["ert_50"] for line in own} == {1.0 if feasible else "inf"}
        assert {row["method"] for row in comparison.shown(goal, part)} == {"fixed_box", "box_quadrature"}
    assert any(f"{count} that the whole space answers" in note for note in comparison.notes())


def test_the_lines_of_a_table_are_those_of_its_runs(maps: str, tmp_path: Path) -> None:
    comparison = lines_of(maps, tmp_path, ["naive", "oir_b"])
    runs = comparison.run_lines()
    assert len(comparison.lines) == 2 * 2 * 2
    for line in comparison.lines:
        own = [
            row
            for row in runs
            if all(row[name] == line[name] for name in ("goal", "label", "budget"))
            and row["best"] > 0
            and row["trivial"] == (line["part"] == TRIVIAL)
        ]
        assert line["n"] == ALL
        assert line["runs"] == len(own)
        assert line["median_quality"] == middle([row["quality"] for row in own], worse=-1)
        assert line["feasible"] == np.mean([row["feasible"] for row in own])
        # One run a question, for these draw nothing: no failure is anybody's restart.
        for name, column in (("ert_10", "held_10"), ("first_10", "reached_10")):
            time = middle([float(row[column]) for row in own], worse=1)
            assert line[name] == ("inf" if math.isinf(time) else time)
        assert line["final_10"] == np.mean([row["quality"] >= 0.1 for row in own])
        assert float(line["first_10"]) <= float(line["ert_10"])
    by_rank = {line["label"]: line["rank"] for line in comparison.lines[:4:2]}
    assert sum(by_rank.values()) == pytest.approx(3.0)


def test_answers_are_kept_once_and_other_files_are_refused(tmp_path: Path) -> None:
    answers = KeptAnswers(tmp_path / "answers.sqlite")
    one, two = answer_key("a", 1), answer_key("a", 2)
    answers.add({one: [0.1, 1 / 3]})
    answers.add({one: [9.0], two: []})
    assert KeptAnswers(tmp_path / "answers.sqlite").find([two, one, "none"]) == {one: [0.1, 1 / 3], two: []}
    RunStore(tmp_path / "runs.sqlite")
    with pytest.raises(StoreError, match="no file of answers"):
        KeptAnswers(tmp_path / "runs.sqlite")
    (tmp_path / "text").write_text("hello " * 100)
    with pytest.raises(StoreError, match="remove it"):
        KeptAnswers(tmp_path / "text")
