"""The dummy: one query, a box of fixed size around the start point, whatever the scores."""

from __future__ import annotations

import numpy as np

from baselines.fixed_box import FixedBox, FixedBoxSettings
from optimizers.run import run
from semrob_env.functions import make_function
from semrob_env.oracle import QueryOracle
from semrob_env.questions import Questions


def test_it_asks_once_and_moves_its_box_inwards_at_a_wall() -> None:
    function = make_function("synthetic:hill?n=3&seed=1")
    space = function.space
    starts = np.array([[10.0, space.high[1], 0.5], [200.0, space.low[1], 0.1]])
    for settings, share in ((FixedBoxSettings(0.5), 0.125), (FixedBoxSettings(0.5, turn=1.0), 0.25)):
        oracle = QueryOracle(function, trajectories=2)
        result = run(FixedBox(Questions(space, starts), settings=settings), oracle, max_steps=3)
        assert result.forward_queries.tolist() == [1, 1]
        np.testing.assert_allclose(result.regions.share(), share)
        assert result.regions.contains(starts).all()
