"""Regret against known answers."""

from __future__ import annotations

import numpy as np
import pytest

from semrob_env.errors import NoGroundTruthError, OutOfSpaceError, SemrobError, ShapeMismatchError
from semrob_env.functions import CallableFunction, Complement
from semrob_env.ground_truth import optimum
from semrob_env.metrics import regret, regrets
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MeanGoal, ReliabilityGoal
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.regions import Regions
from semrob_env.synthetic import make_synthetic
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth")


def hill() -> RecordedMaps:
    """A line every 60 degrees: 1 at 60, 120 and 180, 0 at 0, 240 and 300; and a second map without any score."""
    scores = np.array([[0, 1, 1, 1, 0, 0], [0] * 6], dtype=np.float32)
    return RecordedMaps(ScoreMaps(SPACE, (np.linspace(0, 300, 6),), scores, ("N/c/hill", "N/c/flat")))


def intervals(*bounds: tuple[float, float]) -> Regions:
    lower, upper = np.array(bounds).T
    return Regions(SPACE, lower[:, None], upper[:, None])


@pytest.mark.parametrize(
    ("feasible", "best", "expected"),
    [(0.5, 0.5, 0.0), (0.25, 0.5, 0.5), (0.0, 0.5, 1.0), (0.55, 0.5, -0.1), (0.0, 0.0, np.nan), (0.2, 0.0, np.nan)],
)
def test_regret_is_the_share_of_the_optimum_that_is_missing(feasible: float, best: float, expected: float) -> None:
    assert regret(feasible, best) == pytest.approx(expected, nan_ok=True)
    assert regret([feasible] * 3, best) == pytest.approx([expected] * 3, nan_ok=True)


def test_an_optimum_has_no_regret_and_nothing_and_the_infeasible_have_all() -> None:
    function = hill()
    best = optimum(function, [100.0], MeanGoal(0.2))
    assert best.region is not None
    assert best.volume == 180
    parts = intervals((100, 100), (60, 180), (0, 300), (120, 180))
    every = Regions(
        SPACE, np.concatenate([best.region.lower, parts.lower]), np.concatenate([best.region.upper, parts.upper])
    )
    found = regrets(function, every, [100.0], goal=MeanGoal(0.2))
    assert found == pytest.approx([0, 1, 1 / 3, 1, 1])  # the last one is feasible but misses its start


def test_a_region_between_the_lines_may_beat_the_best_rectangle() -> None:
    assert regrets(hill(), intervals((30, 210)), [[100.0]], goal=MeanGoal(0.1))[0] == pytest.approx(1 - 180 / 120)


def test_there_is_no_regret_where_there_was_nothing_to_find() -> None:
    found = regrets(hill(), intervals((60, 180), (60, 180)), [[100.0], [100.0]], [1, 0])
    assert np.isnan(found[0])
    assert not np.isnan(found[1])


def test_a_region_is_judged_modulo_the_period_and_by_its_part_inside_the_space() -> None:
    adversarial = Complement(hill())
    assert optimum(adversarial, [300.0], MeanGoal(0.2)).volume == 180
    found = regrets(adversarial, intervals((240, 360), (-120, 0), (600, 660), (0, 60)), [300.0], goal=MeanGoal(0.2))
    assert found == pytest.approx([1 / 3, 1 / 3, 2 / 3, 1])


def test_each_row_is_judged_by_its_own_member_and_start() -> None:
    function = hill()
    regions, starts = intervals((60, 180), (200, 220), (60, 180)), np.array([[70.0], [210.0], [70.0]])
    member = np.array([0, 0, 1])
    together = regrets(function, regions, starts, member)
    alone = [regrets(function, regions[row], starts[row], member[[row]])[0] for row in range(3)]
    assert together == pytest.approx(alone, nan_ok=True)
    assert len(set(together[:2])) == 2


def test_synthetic_functions_have_regret_too() -> None:
    function = make_synthetic("synthetic:plateau?n=2&seed=0")
    center: FloatArray = function.plateau.center
    best = function.optimum(center[0])
    assert best.region is not None
    assert regrets(function, best.region, center) == pytest.approx([0])
    assert regrets(function, function.plateau, center)[0] == pytest.approx(1 - function.plateau.share()[0] / best.share)


def test_regret_by_good_views() -> None:
    goal = ReliabilityGoal(0.5, 0.75)
    assert optimum(hill(), [100.0], goal).volume == 240  # 180 degrees are good
    found = regrets(hill(), intervals((30, 210), (0, 240), (0, 250), (60, 120)), [100.0], goal=goal)
    assert found == pytest.approx([0.25, 0, 1, 0.75])


@pytest.mark.parametrize(
    ("starts", "error", "message"),
    [([[1.0], [2.0]], ShapeMismatchError, "one point"), ([400.0], OutOfSpaceError, "start has azimuth=400")],
)
def test_starts_must_fit(starts: list[object], error: type[SemrobError], message: str) -> None:
    with pytest.raises(error, match=message):
        regrets(hill(), intervals((1, 2)), np.array(starts))


def test_a_function_without_known_answer_has_no_regret() -> None:
    unknown = CallableFunction(SPACE, lambda theta: np.zeros(len(theta)))
    with pytest.raises(NoGroundTruthError):
        regrets(unknown, intervals((1, 2)), [1.0])
