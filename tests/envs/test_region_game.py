"""The game of RegionGrow in plain arrays: what it asks, how well it estimates, and how games are taken apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from semrob_env.envs.game import RegionGame, RegionRules
from semrob_env.functions import ScoreFunction, make_function
from semrob_env.ground_truth import exact_moments
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.types import IntArray
from tests.recorded_maker import SPACE, STARTS, wavy_maps

MAPS = RecordedMaps(wavy_maps())


def test_sampled_corners_change_and_visit_all() -> None:
    game = RegionGame(
        make_function("synthetic:plateau?n=3&seed=0").space, RegionRules(claim_points=0, corners=2, points=2)
    )
    game.restart(np.arange(1), game.space.default[None], np.full((1, 6), 0.3))
    visited = set()
    for _ in range(40):
        game.move(np.full((1, 6), 0.1))
        corners = game.queries()[0, :2]
        is_high = np.abs(corners - game.space.project(game.upper)) < 1e-9
        assert (is_high[0] != is_high[1]).all(), "opposite ones"
        visited |= {tuple(row) for row in is_high.tolist()}
        game.take(np.zeros((1, game.cost)))
    assert len(visited) == 8


def rough_maps() -> RecordedMaps:
    """The wavy maps with noise between their lines, as real ones have."""
    maps = wavy_maps()
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, maps.scores.shape)
    return RecordedMaps(ScoreMaps(SPACE, maps.axes, np.clip(maps.scores + noise, 0, 1).astype(np.float32), maps.names))


def played(function: ScoreFunction, count: int, **numbers: Any) -> tuple[RegionGame, IntArray, np.random.Generator]:
    """Games after 7 steps of random widening, with the members asked and the Generator of the actions."""
    rng = np.random.default_rng(0)
    game = RegionGame(SPACE, RegionRules(claim_points=0, budget=10_000, **numbers), count=count)
    member = rng.integers(function.members, size=count)
    game.restart(np.arange(count), STARTS[rng.integers(4, size=count)], rng.random((count, game.draws)))
    for step in range(8):
        if step:
            game.move(rng.uniform(-0.4, 1, (count, 4)))
        game.take(function.values(game.queries(), member))
    return game, member, rng


def test_estimates_have_no_bias_and_less_error_than_the_fresh_points_alone() -> None:
    function = rough_maps()
    game, member, _ = played(function, 4000)
    mean, variance = exact_moments(function, game.regions, member)
    assert np.ptp(game.facts()["region"]) > 0.3
    fresh = function.values(game.queries(), member)[:, -4:].mean(axis=1)
    error, fresh_error = game.facts()["mean"] - mean, fresh - mean
    assert abs(error.mean()) < 0.002
    assert np.sqrt((error**2).mean()) < 0.9 * np.sqrt((fresh_error**2).mean())
    assert np.corrcoef(game.facts()["mean"], mean)[0, 1] > 0.93
    assert abs((game.facts()["variance"] - variance).mean()) < 0.003


@pytest.mark.parametrize("chosen", [[5, 2], [3]])
@pytest.mark.parametrize("corners", [None, 2])
def test_games_are_saved_taken_apart_and_put_together_bit_for_bit(corners: int | None, chosen: list[int]) -> None:
    game, member, rng = played(MAPS, 7, corners=corners)
    copy, rows = RegionGame(SPACE, game.rules, count=7), np.array(chosen)
    copy.load({**game.save(), "another": np.zeros(7)})
    part = game.part(rows)
    for _ in range(2):
        action = rng.uniform(-1, 1, (7, 4))
        for one, of in ((game, np.arange(7)), (copy, np.arange(7)), (part, rows)):
            one.move(action[of])
            one.take(MAPS.values(one.queries(), member[of]))
    for name, values in game.save().items():
        assert values.tobytes() == copy.save()[name].tobytes()
        assert values[rows].tobytes() == part.save()[name].tobytes(), name
    np.testing.assert_array_equal(game.observation()[rows], part.observation())
    np.testing.assert_array_equal(game.lower[rows], part.lower)
    game.restart(rows[:1], STARTS[:1], np.zeros((1, 4)))
    assert game.facts()["region"][rows[0]] == 0
    game.put(rows, part)
    for name, values in game.save().items():
        assert values.tobytes() == copy.save()[name].tobytes(), name
    part.put(np.arange(len(rows)), copy.part(rows))
    part.load(part.save())
    assert part.objective.tolist() == game.objective[rows].tolist()


def test_queries_change_nothing_and_a_game_begins_anew_from_nothing() -> None:
    for count in (1, 3):
        game, again = (RegionGame(SPACE, RegionRules(claim_points=0), count=count) for _ in range(2))
        start, draws = np.tile(STARTS[:1], (count, 1)), np.full((count, 4), 0.25)
        for one in (game, again):
            one.restart(np.arange(count), start, draws)
        game.take(np.full((count, 12), 0.9))
        for _ in range(6):
            game.move(np.ones((count, 4)))
            np.testing.assert_array_equal(game.queries(), game.queries())
            game.take(np.full((count, 12), 0.2))
        game.restart(np.arange(count), start, draws)
        for name, values in game.save().items():
            assert values.tobytes() == again.save()[name].tobytes(), name
