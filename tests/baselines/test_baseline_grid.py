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
from semrob_env.oracle import QueryLog, QueryOracle
from semrob_env.parameters import AZIMUTH, ELEVATION, Parameter, SemanticSpace
from semrob_env.questions import Goal, MeanGoal, Questions, ReliabilityGoal
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


def best(function: RecordedMaps, starts: FloatArray, goal: Goal, settings: GridSettings) -> Regions:
    """What a grid recommends."""
    optimizer = Grid(Questions(function.space, starts, goal=goal, budget=1000), settings=settings)
    return run(optimizer, QueryOracle(function, trajectories=len(starts)), max_steps=1).regions


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("goal", [MeanGoal(), MeanGoal(0.5, 0.03), MeanGoal(0.6)], ids=str)
def test_a_grid_on_the_lines_of_a_map_finds_its_exact_optimum(n: int, goal: Goal) -> None:
    function = random_map(SPACES[n], 6, n)
    starts = function.space.sample(12, np.random.default_rng(n))
    found = best(function, starts, goal, GridSettings(lines=6, cuts=1, margin=0.0))
    for row, start in enumerate(starts):
        known = optimum(function, start, goal)
        if known.region is None:
            assert found[row].share() == 0
        else:
            assert found[row] == known.region
    assert (found.share() > 0).sum() > 3


@pytest.mark.parametrize(("n", "goal"), [(1, MeanGoal(0.2)), (2, MeanGoal(0.4)), (3, MeanGoal(0.4))], ids=str)
def test_finer_sides_are_feasible_and_larger_on_the_same_map(n: int, goal: Goal) -> None:
    function = random_map(SPACES[n], 5, 20 + n)
    starts = function.space.sample(12, np.random.default_rng(n))
    shares = []
    for cuts in (1, 3):
        settings = GridSettings(lines=5, cuts=cuts, margin=1e-6)  # samples are rounded to 32 bits
        found = best(function, starts, goal, settings)
        assert goal.is_met(*exact_moments(function, found[found.share() > 0], goal=goal)).all()
        shares.append(found.share())
    assert (shares[1] >= shares[0]).all()
    assert (shares[1] > shares[0]).any()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_every_point_of_the_grid_is_asked_once(n: int) -> None:
    function, log = random_map(SPACES[n], 4, n), QueryLog()
    optimizer = Grid(
        Questions(function.space, function.space.default[None], budget=100), settings=GridSettings(lines=4)
    )
    result = run(optimizer, QueryOracle(function, log=log), max_steps=5)
    assert (result.status, result.forward_queries.tolist()) == (["converged"], [4**n])
    assert log.arrays()["theta"].tolist() == function.space.grid([4] * n).tolist()


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("budget", [8, 40, 72, 150, 600])
def test_the_lines_that_a_budget_pays_leave_little_of_it(n: int, budget: int) -> None:
    space = SPACES[n]
    asked = Grid(Questions(space, space.default[None], budget=budget)).ask().theta[0]
    lines = [len(np.unique(asked[:, k])) for k in range(n)]
    assert math.prod(lines) == len(asked) <= budget
    assert max(lines) - min(lines) <= 1
    assert len(asked) + len(asked) // min(lines) > budget


def test_a_budget_below_the_grid_pays_nothing_and_leaves_the_start() -> None:
    function = random_map(SPACES[2], 6, 0)
    optimizer = Grid(Questions(function.space, [[10.0, 20.0]], budget=35), settings=GridSettings(lines=6))
    result = run(optimizer, QueryOracle(function, budget=35))
    assert (result.status, result.forward_queries.tolist(), result.regions.share().tolist()) == (["budget"], [0], [0.0])


def test_a_margin_asks_for_more_than_the_goal() -> None:
    function = random_map(SPACES[2], 6, 3)
    starts = function.space.sample(20, np.random.default_rng(0))
    exactly, by_more = (GridSettings(lines=6, cuts=1, margin=margin) for margin in (0.0, 0.1))
    strict = best(function, starts, MeanGoal(0.4), exactly)
    assert strict == best(function, starts, MeanGoal(0.5), by_more)
    tight = best(function, starts, MeanGoal(0.5, 0.02), exactly)
    assert tight == best(function, starts, MeanGoal(0.6, 0.12), by_more)
    assert (tight.share() > 0).any()


def test_scores_out_of_range_are_cut_to_it() -> None:
    space = SPACES[2]
    function = CallableFunction(space, lambda theta: np.full(len(theta), 7.0), score_range=(-10.0, 10.0))
    result = run(Grid(Questions(space, [[10.0, 20.0]], budget=100)), QueryOracle(function), max_steps=1)
    assert result.regions.share().tolist() == [1.0]


@pytest.mark.parametrize("n", [1, 2])
def test_a_reliable_share_of_the_map_is_found_where_its_exact_answer_is_known_and_where_it_is_not(n: int) -> None:
    function, goal = random_map(SPACES[n], 8, 40 + n), ReliabilityGoal(0.5, 0.8)
    starts = function.space.sample(8, np.random.default_rng(n))
    found = best(function, starts, goal, GridSettings(lines=8, margin=0.05))
    kept = found[found.share() > 0]
    assert len(kept) > 2
    theta = kept.from_fractions(np.random.default_rng(0).random((len(kept), 4000, n)))
    shares = goal.counted(function.values(theta)).mean(axis=1)
    assert (shares >= goal.least - 0.03).all()


@pytest.mark.parametrize(
    ("n", "settings", "message"),
    [
        (
            21,
            GridSettings(),
            "a grid of 2 lines of 21 parameters: give a budget or `lines` for 2 or more, that is 2097152",
        ),
        (2, GridSettings(lines=1), "a grid of 1 lines of 2 parameters"),
        (2, GridSettings(lines=2000), "at most 1048576 samples"),
        (5, GridSettings(lines=9), "59049 samples of 5 parameters make too many regions; give fewer lines"),
    ],
)
def test_a_grid_that_cannot_be_looked_through_is_refused(n: int, settings: GridSettings, message: str) -> None:
    parameters = tuple(Parameter(f"x{k}", "", 0.0, 1.0, 1.0, 0.0, "") for k in range(n))
    with pytest.raises(InvalidParameterError, match=message):
        Grid(Questions(SemanticSpace(parameters), np.zeros((1, n)), budget=100), settings=settings)
