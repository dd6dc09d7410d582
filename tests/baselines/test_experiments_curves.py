"""Curves of a comparison: what they show of its runs, and what a panel says that has nothing to show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from baselines.experiments.compare import compare
from baselines.experiments.curves import attainment, medians, profiles
from semrob_env.plotting.comparison import comparison_figure
from semrob_env.questions import MeanGoal
from semrob_env.recorded import save_maps
from tests.baselines.experiments_maker import small
from tests.recorded_maker import wavy_maps


def test_a_goal_without_an_open_question_says_so_instead_of_a_line_at_nothing(tmp_path: Path) -> None:
    maps = str(save_maps(wavy_maps(), tmp_path / "maps.npz"))
    protocol, suite = small(maps, ["naive", "fixed_box"], goals=(MeanGoal(0.3), MeanGoal(0.999)))
    comparison = compare(protocol, suite, tmp_path)
    hard, easy = protocol.goals
    assert (comparison.open(hard) > 0, comparison.open(easy)) == (True, 0)
    for panels in (medians(comparison), attainment(comparison), profiles(comparison)):
        shown, empty = panels
        assert [curve.label for curve in shown.curves] == ["naive", "fixed_box"]
        assert all(np.isfinite(curve.y).all() for curve in shown.curves)
        assert (empty.curves, empty.empty) == ((), "no open question")
        figure = comparison_figure([panels], title="two goals")
        told = [[text.get_text() for text in axis.texts] for axis in figure.axes]
        assert told == [[], ["no open question"]]
