"""The acceptance rule: the mean over a regular grid, the map kept, and the file of maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semrob_env.errors import InvalidParameterError
from semrob_env.functions import CallableFunction
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.acceptance import GRID, judge_for_networks, judge_shape
from semrob_env.scene.classifiers.network_spec import network_specs
from semrob_env.scene.sources import ShapeInfo
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")


def tilted(theta: FloatArray) -> FloatArray:
    return np.asarray((theta[:, 0] + theta[:, 1] + 10.0) / 500.0)


def test_the_mean_is_taken_over_the_whole_grid_with_the_ends_of_the_elevation() -> None:
    seen: list[int] = []
    verdict = judge_shape(CallableFunction(SPACE, tilted), on_scores=seen.append)
    azimuth, elevation = np.arange(12) * 30.0, np.linspace(-10.0, 90.0, 7)
    np.testing.assert_allclose(verdict.axes[0], azimuth)
    np.testing.assert_allclose(verdict.axes[1], elevation)
    np.testing.assert_allclose(verdict.scores, (azimuth[:, None] + elevation + 10.0) / 500.0, rtol=1e-6)
    assert verdict.mean == pytest.approx((165.0 + 50.0) / 500.0)
    assert sum(seen) == GRID[0] * GRID[1]


@pytest.mark.parametrize(("level", "accepted"), [(0.1, True), (0.0999, False), (float("nan"), False)])
def test_a_shape_is_accepted_from_the_threshold_on(level: float, accepted: bool) -> None:
    function = CallableFunction(SPACE, lambda theta: np.full(len(theta), level))
    assert judge_shape(function, counts=(1, 1)).is_accepted is accepted
    assert judge_shape(function, counts=(4, 2), threshold=0.5).is_accepted is False


def test_a_space_may_have_any_number_of_parameters() -> None:
    space = SemanticSpace.of("elevation")
    verdict = judge_shape(CallableFunction(space, lambda theta: (theta[:, 0] + 10.0) / 100.0), counts=(5,))
    np.testing.assert_allclose(verdict.scores, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(verdict.axes[0], [-10, 15, 40, 65, 90])


def test_what_makes_no_grid_is_told() -> None:
    function = CallableFunction(SPACE, tilted)
    for counts in ((12,), (12, 0)):
        with pytest.raises(InvalidParameterError, match="grid counts"):
            judge_shape(function, counts=counts)
    with pytest.raises(InvalidParameterError, match="finite number"):
        judge_shape(function, threshold=float("nan"))


@pytest.mark.slow
def test_a_shape_that_cannot_be_judged_is_a_report_in_one_line(tmp_path: Path) -> None:
    unknown = judge_for_networks(ShapeInfo("file:x.obj", "x.obj", "x"), network_specs(["efficientnet_lite0"]))
    assert "tells no class of the paper" in unknown.error
    broken = tmp_path / "cup.obj"
    broken.write_text("v 0 0 0\n")
    report = judge_for_networks(
        ShapeInfo(f"file:{broken}", "cup.obj", "cup", "cup"), network_specs(["efficientnet_lite0"])
    )
    assert "has no faces" in report.error
    assert "\n" not in report.error
    assert (report.faces, report.verdicts) == (0, {})
