"""Grid sampling: every sample once, and exactly the best rectangle of the map that the samples span."""

from __future__ import annotations

import math

import numpy as np
import pytest

from baselines.grid import Grid, GridSettings
from optimizers.run import run
from semrob_env.errors import InvalidParameterError
from semrob_env.functions import CallableFunction
from semrob_env.ground_truth import exact_moments, optimum
from semrob_env.metrics import Thresholds
from semrob_env.oracle import QueryLog, QueryOracle
from semrob_env.parameters import AZIMUTH, ELEVATION, Parameter, SemanticSpace
from semrob_env.questions import Questions
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

DISTANCE = Parameter("distance", "", 1.0, 5.0, None, 2.7, "grows away from the object")
SPACES = {
    1: SemanticSpace((AZIMUTH,)),
    2: SemanticSpace((AZIMUTH, ELEVATION)),
    3: SemanticSpace((ELEVATION, AZIMUTH, DISTANCE)),
}


def random_map(space: SemanticSpace, lines: int, seed: int) -> RecordedMaps:
    """Smooth random scores on a grid of as many lines of each parameter."""
    rng = np.random.default_rng(seed)
    theta = space.to_unit(space.grid([lines] * space.n))
    waves = np.cos(2 * np.pi * (theta @ rng.integers(-2, 3, (space.n, 6))) + rng.uniform(0, 6, 6)).sum(axis=1)
    scores = 0.5 + 0.5 * waves / np.abs(waves).max()
    axes = [np.linspace(p.low, p.high, lines, endpoint=p.period is None) for p in space.parameters]
    return RecordedMaps(ScoreMaps(space, tuple(axes), scores.reshape(1, *[lines] * space.n), ("a/map/0",)))


def best(function: RecordedMaps, starts: FloatArray, settings: GridSettings) -> Regions:
    """What a grid recommends."""
    optimizer = Grid(Questions(function.space, starts), settings=settings)
    return run(optimizer, QueryOracle(function, trajectories=len(starts)), max_steps=1).regions


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("epsilon_v", [0.25, 0.03])
def test_a_grid_on_the_lines_of_a_map_finds_its_exact_optimum(n: int, epsilon_v: float) -> None:
    function, epsilon_m = random_map(SPACES[n], 6, n), 0.5
    starts = function.space.sample(12, np.random.default_rng(n))
    settings = GridSettings(epsilon_m, epsilon_v, lines=6, cuts=1, margin=0.0)
    found = best(function, starts, settings)
    for row, start in enumerate(starts):
        known = optimum(function, start, epsilon_m, epsilon_v)
        if known.region is None:
            assert found[row].share() == 0
        else:
            assert found[row] == known.region
    assert (found.share() > 0).sum() > 3


@pytest.mark.parametrize(("n", "epsilon_m"), [(1, 0.2), (2, 0.4), (3, 0.4)])
def test_finer_sides_are_feasible_and_larger_on_the_same_map(n: int, epsilon_m: float) -> None:
    function = random_map(SPACES[n], 5, 20 + n)
    starts = function.space.sample(12, np.random.default_rng(n))
    shares = []
    for cuts in (1, 3):
        settings = GridSettings(epsilon_m, lines=5, cuts=cuts, margin=1e-6)  # samples are rounded to 32 bits
        found = best(function, starts, settings)
        assert Thresholds(epsilon_m).feasible(*exact_moments(function, found[found.share() > 0])).all()
        shares.append(found.share())
    assert (shares[1] >= shares[0]).all()
    assert (shares[1] > shares[0]).any()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_every_point_of_the_grid_is_asked_once(n: int) -> None:
    function, log = random_map(SPACES[n], 4, n), QueryLog()
    optimizer = Grid(Questions(function.space, function.space.default[None]), settings=GridSettings(lines=4))
    result = run(optimizer, QueryOracle(function, log=log), max_steps=5)
    assert (result.status, result.forward_queries.tolist()) == (["converged"], [4**n])
    assert log.arrays()["theta"].tolist() == function.space.grid([4] * n).tolist()


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("budget", [8, 40, 72, 150, 600])
def test_the_lines_that_a_budget_pays_leave_little_of_it(n: int, budget: int) -> None:
    space = SPACES[n]
    asked = Grid(Questions(space, space.default[None]), settings=GridSettings(budget=budget)).ask().theta[0]
    lines = [len(np.unique(asked[:, k])) for k in range(n)]
    assert math.prod(lines) == len(asked) <= budget
    assert max(lines) - min(lines) <= 1
    assert len(asked) + len(asked) // min(lines) > budget


def test_a_budget_below_the_grid_pays_nothing_and_leaves_the_start() -> None:
    function = random_map(SPACES[2], 6, 0)
    optimizer = Grid(Questions(function.space, [[10.0, 20.0]]), settings=GridSettings(lines=6))
    result = run(optimizer, QueryOracle(function, budget=35))
    assert (result.status, result.forward_queries.tolist(), result.regions.share().tolist()) == (["budget"], [0], [0.0])


def test_a_margin_asks_for_more_than_the_thresholds() -> None:
    function = random_map(SPACES[2], 6, 3)
    starts = function.space.sample(20, np.random.default_rng(0))
    strict = best(function, starts, GridSettings(epsilon_m=0.4, epsilon_v=0.25, lines=6, cuts=1, margin=0.0))
    same = best(function, starts, GridSettings(epsilon_m=0.5, epsilon_v=0.25, lines=6, cuts=1, margin=0.1))
    assert strict == same
    tight = best(function, starts, GridSettings(epsilon_m=0.5, epsilon_v=0.02, lines=6, cuts=1, margin=0.0))
    wider = best(function, starts, GridSettings(epsilon_m=0.6, epsilon_v=0.12, lines=6, cuts=1, margin=0.1))
    assert tight == wider
    assert (tight.share() > 0).any()


def test_scores_out_of_range_are_cut_to_it() -> None:
    space = SPACES[2]
    function = CallableFunction(space, lambda theta: np.full(len(theta), 7.0), score_range=(-10.0, 10.0))
    result = run(Grid(Questions(space, [[10.0, 20.0]])), QueryOracle(function), max_steps=1)
    assert result.regions.share().tolist() == [1.0]


@pytest.mark.parametrize(
    ("n", "settings", "message"),
    [
        (
            12,
            GridSettings(),
            "a grid of 1 lines of 12 parameters: give a budget or `lines` for 2 or more, that is 4096",
        ),
        (2, GridSettings(lines=1), "a grid of 1 lines of 2 parameters"),
        (2, GridSettings(lines=2000), "at most 1048576 samples"),
        (5, GridSettings(lines=9), "59049 samples of 5 parameters make too many regions; give fewer lines"),
    ],
)
def test_a_grid_that_cannot_be_looked_through_is_refused(n: int, settings: GridSettings, message: str) -> None:
    parameters = tuple(Parameter(f"x{k}", "", 0.0, 1.0, 1.0, 0.0, "") for k in range(n))
    with pytest.raises(InvalidParameterError, match=message):
        Grid(SemanticSpace(parameters), np.zeros((1, n)), settings=settings)
