"""Point attacks: formulas, boxes, bills, and how a point is judged."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import baselines  # noqa: F401 - fills the registry
from baselines.attack import AttackSettings
from baselines.experiments.runner import execute
from baselines.fgsm import Fgsm
from baselines.pgd import Pgd, PgdSettings
from baselines.random_attack import RandomAttack
from optimizers.check import check_optimizer
from optimizers.registry import OPTIMIZERS
from optimizers.run import run
from semrob_env.errors import ContractError, InvalidParameterError
from semrob_env.functions import CallableFunction, make_function
from semrob_env.oracle import FiniteDifferences, QueryLog, QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Question, Questions
from semrob_env.regions import Regions
from semrob_env.store import RunTask
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
ATTACKS = ["random_attack", "fgsm", "pgd", "grid_attack", "surrogate_attack", "nevergrad_attack", "viewfool"]
LOWEST = np.array([20.0, 24.0])


def bowl(theta: FloatArray) -> FloatArray:
    """Rises evenly from 0 at LOWEST; across the seam as well."""
    away = (theta - LOWEST + np.array([180.0, 0.0])) % np.array([360.0, 1e9]) - np.array([180.0, 0.0])
    away[:, 1] = theta[:, 1] - LOWEST[1]
    return np.asarray(((away / np.array([180.0, 100.0])) ** 2).sum(axis=1) / 2)


def slope(theta: FloatArray) -> FloatArray:
    away = np.stack([(theta[:, 0] - LOWEST[0] + 180) % 360 - 180, theta[:, 1] - LOWEST[1]], axis=1)
    return np.asarray(away / np.array([180.0, 100.0]) ** 2)


BOWL = CallableFunction(SPACE, bowl, gradients=slope)
BLACK_BOX = CallableFunction(SPACE, bowl)


def asked(name: str, start: list[float], budget: float, **settings: Any) -> tuple[FloatArray, FloatArray]:
    """All points that a run asks (N, n), and the one that it recommends (n,)."""
    method, log = OPTIMIZERS[name], QueryLog()
    optimizer = method(Questions(SPACE, [start], budget=budget), settings=method.settings_class.from_mapping(settings))
    result = run(optimizer, QueryOracle(BOWL, budget=budget, log=log))
    assert (result.regions.lower == result.regions.upper).all()
    return log.arrays()["theta"].astype(np.float64), result.regions.lower[0]


def test_fgsm_steps_from_the_start_against_the_sign_of_the_gradient() -> None:
    points, found = asked("fgsm", [200.0, 30.0], 100, radius=0.05)
    assert points.tolist() == [[200.0, 30.0], [218.0, 25.0]]  # up: around the back it is nearer to azimuth 20
    assert found.tolist() == [218.0, 25.0]


def test_fgsm_keeps_the_start_where_the_step_does_harm() -> None:
    points, found = asked("fgsm", [22.0, 30.0], 100, radius=0.2)
    assert points.tolist() == [[22.0, 30.0], [310.0, 10.0]]
    assert found.tolist() == [22.0, 30.0]


def test_fgsm_goes_up_where_a_high_score_is_the_goal() -> None:
    points, found = asked("fgsm", [100.0, 85.0], 100, radius=0.1, seeks="high")
    assert points.tolist() == [[100.0, 85.0], [136.0, 90.0]]
    assert found.tolist() == [136.0, 90.0]


def test_fgsm_pays_two_points_with_gradients() -> None:
    result = run(Fgsm(Questions(SPACE, [[200.0, 30.0]])), QueryOracle(BOWL, budget=100))
    assert (result.status, result.forward_queries.tolist(), result.gradient_queries.tolist()) == (
        ["converged"],
        [2],
        [2],
    )


def test_pgd_descends_to_the_lowest_point_across_the_seam() -> None:
    points, found = asked("pgd", [350.0, 30.0], 200, radius=0.1, descent=20)
    assert bowl(found[None]) < 2e-3
    assert ((points[:, 0] > 300) | (points[:, 0] < 30)).all()


def test_pgd_starts_again_elsewhere_after_each_descent() -> None:
    points, _ = asked("pgd", [200.0, 50.0], 48, radius=0.1, descent=3)
    moves = np.abs(np.diff(points, axis=0)) / SPACE.width
    pace = 2.5 * 0.1 / 3
    is_start = np.arange(1, 24) % 4 == 0
    assert moves[~is_start].max() <= pace + 1e-12, "three steps after each start"
    assert len(points) == 24
    assert len(np.unique(points[::4], axis=0)) == 6


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("start", [[5.0, -8.0], [355.0, 88.0], [0.0, 90.0]])
@pytest.mark.parametrize("radius", [0.05, 0.3])
def test_an_attack_stays_near_its_start_and_in_the_space(name: str, start: list[float], radius: float) -> None:
    points, _ = asked(name, start, 80, radius=radius)
    assert SPACE.contains(points).all()
    away = np.stack([(points[:, 0] - start[0] + 180) % 360 - 180, points[:, 1] - start[1]], axis=1)
    assert (abs(away) <= radius * SPACE.width + 1e-9).all()


def test_the_random_attack_fills_its_box_evenly() -> None:
    points, _ = asked("random_attack", [350.0, 40.0], 4000, radius=0.1)
    fractions = np.stack([(points[:, 0] - 314) % 360 / 72, (points[:, 1] - 30) / 20], axis=1)
    assert fractions.min() >= 0
    assert fractions.max() <= 1
    np.testing.assert_allclose(fractions.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(fractions.std(axis=0), 12**-0.5, atol=0.02)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_recommended_point_is_the_lowest_one_seen(name: str) -> None:
    points, found = asked(name, [200.0, 30.0], 60)
    assert bowl(found[None])[0] == bowl(points).min()


@pytest.mark.parametrize(("method", "points"), [(Fgsm, 2), (Pgd, 12)])
def test_by_finite_differences_an_attack_is_black_box_and_billed_so(method: type[Any], points: int) -> None:
    oracle = QueryOracle(BLACK_BOX, budget=5 * points, finite_differences=FiniteDifferences())
    exact = run(method(Questions(SPACE, [[150.0, 50.0]])), QueryOracle(BOWL, budget=2 * points))
    result = run(method(Questions(SPACE, [[150.0, 50.0]])), oracle)
    assert (result.forward_queries.tolist(), result.gradient_queries.tolist()) == ([5 * points], [0])
    assert result.regions == exact.regions  # on a bowl the signs are the same


@pytest.mark.parametrize("name", ATTACKS)
def test_a_point_is_judged_by_its_score_and_success_is_what_is_not_feasible(name: str) -> None:
    function = make_function("synthetic:hill?n=2")
    start = function.space.sample(4000, np.random.default_rng(0))
    scores = function.values(start[None])[0]
    near_edge = tuple(start[np.argmin(np.abs(scores - 0.52))].tolist())
    task = RunTask(
        Question("synthetic:hill?n=2", near_edge, budget=60),
        name,
        finite_difference=(),
        settings=json.dumps({"radius": 0.2}),
    )
    row = execute([task])[0]
    assert (row.error, row.share, row.feasible) == ("", 0.0, False)
    assert row.lower is not None
    assert row.mean is not None
    assert row.lower == row.upper
    assert row.mean == pytest.approx(function.values([[row.lower]]).item(), abs=1e-9)
    assert row.mean < 0.5 < function.values([[near_edge]]).item()


def test_a_method_of_points_that_recommends_a_volume_breaks_its_promise() -> None:
    def _recommend(self: Any) -> Regions:
        return Regions.whole(self.space, len(self))

    broken = type("Broken", (PointAttackOfOne,), {"_recommend": _recommend})
    with pytest.raises(ContractError, match="a method of points recommends a volume before any tell"):
        check_optimizer(broken)


class PointAttackOfOne(RandomAttack):  # type: ignore[misc]  # final for users; here something must break
    """The random attack, open to change."""


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("wrong", [{"radius": 0.0}, {"radius": 1.5}, {"radius": "far"}, {"seeks": "lowest"}])
def test_an_attack_refuses_settings_out_of_their_limits(name: str, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        OPTIMIZERS[name].settings_class.from_mapping(wrong)


def test_pgd_refuses_a_descent_without_a_step() -> None:
    with pytest.raises(InvalidParameterError, match="descent 0: give a whole number, 1 or above"):
        PgdSettings(descent=0)
    assert issubclass(PgdSettings, AttackSettings)
