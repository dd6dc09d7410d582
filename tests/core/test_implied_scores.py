"""Scores worked out from how bounds moved: those that a run of our own was told come back."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.naive import Naive
from semrob_env.oracle import QueryOracle
from semrob_env.questions import Questions
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.recorded.implied import LEAST_WIDTH, implied_scores
from semrob_env.recorded.release import Release
from semrob_env.recorded.traces import ReleaseTraces, join_runs
from semrob_env.types import BoolArray, FloatArray
from tests.recorded_maker import SPACE, STARTS, recorded_runs, released_settings, run_of, wavy_maps

STEPS = 140
"""From 1e-5 degrees to beyond the range of elevation."""

FUNCTION = RecordedMaps(wavy_maps(["N/cup/0"]))


def naive_traces(function: RecordedMaps, steps: int = STEPS) -> ReleaseTraces:
    return join_runs(recorded_runs(function, steps, ["naive"]))


def told_to_naive(start: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Bounds before each step (T, 2) and the scores at the four corners (T, 4), as the run itself met them."""
    optimizer = Naive(Questions(SPACE, STARTS[start]), settings=released_settings("naive"))
    oracle, parts = QueryOracle(FUNCTION), []
    for _ in range(STEPS - 1):  # what moved in the last step is the final region's to tell, which is no row of a trace
        state, answers = optimizer.save(), oracle.query(optimizer.ask())
        parts.append((state["state.lower"][0], state["state.upper"][0], answers.values[0].copy()))
        optimizer.tell(answers)
    lower, upper, values = (np.array(part) for part in zip(*parts, strict=True))
    return lower, upper, values


def expected_of_run(start: int) -> tuple[FloatArray, BoolArray]:
    """Mean score and place of each face: lower and upper azimuth, then lower and upper elevation, step by step."""
    lower, upper, values = told_to_naive(start)
    wide = (upper - lower).min(axis=1) >= LEAST_WIDTH
    below, above = lower[:, 1] >= -10, upper[:, 1] <= 90
    corners = ([0, 2], [1, 3], [0, 1], [2, 3])  # bit 0 of a corner: azimuth at its upper bound; bit 1: elevation
    inside = (below & above, below & above, below, above)
    means = [values[wide][:, own].mean(axis=1) for own in corners]
    return np.concatenate(means), np.concatenate([face[wide] for face in inside])


def test_what_a_run_was_told_comes_back_from_its_bounds() -> None:
    implied = implied_scores(naive_traces(FUNCTION), FUNCTION)
    expected = [expected_of_run(start) for start in range(4)]
    scores, inside = (np.concatenate(part) for part in zip(*expected, strict=True))
    assert len(scores) > 700
    np.testing.assert_allclose(implied.recorded, scores, rtol=0, atol=1e-6)
    np.testing.assert_allclose(implied.interpolated, scores, rtol=0, atol=1e-12)
    assert 500 < inside.sum() < len(inside) - 50
    np.testing.assert_array_equal(implied.is_inside, inside)


def test_what_is_told_is_the_recorded_score_and_not_that_of_the_map() -> None:
    maps = FUNCTION.maps
    darker = RecordedMaps(ScoreMaps(SPACE, maps.axes, 0.75 * maps.scores, maps.names))
    implied = implied_scores(naive_traces(darker), FUNCTION)
    assert len(implied.recorded) > 100
    np.testing.assert_allclose(implied.recorded, 0.75 * implied.interpolated, rtol=0, atol=1e-6)


def test_only_naive_runs_on_known_maps_with_a_trace_are_looked_at() -> None:
    two = RecordedMaps(wavy_maps(["N/cup/0", "N/cup/1"]))
    alone = implied_scores(naive_traces(FUNCTION), FUNCTION)
    runs = recorded_runs(two, STEPS, ["naive", "oir_b"])
    both = implied_scores(join_runs(runs), FUNCTION)
    np.testing.assert_array_equal(both.recorded, alone.recorded)
    untraced = recorded_runs(two, STEPS, ["naive"], traced=[])
    assert len(implied_scores(join_runs(untraced), two).recorded) == 0
    assert len(implied_scores(join_runs([]), two).recorded) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e308])
def test_a_trace_that_diverges_counts_up_to_there(bad: float) -> None:
    rows = np.array([[120, 20, 140, 40], [119, 19, 141, 41], [-bad, -bad, bad, bad], [-bad, -bad, bad, bad]])
    traces = join_runs([run_of("N/cup/0", [0, 0], [1, 1], trace=rows)])
    implied = implied_scores(traces, FUNCTION)
    # Each side moved by 1 from a width of 20: (1 / 0.1 + 0.1 * 20) / 20.
    np.testing.assert_allclose(implied.recorded[np.abs(implied.recorded) < 10], [0.6] * 4)
    assert implied.is_inside[:1].all()


def test_steps_from_a_region_too_narrow_or_upside_down_tell_nothing() -> None:
    rows = np.array([[130, 30, 130.001, 50], [130, 20, 140, 40], [145, 20, 140, 40], [120, 20, 140, 40]])
    implied = implied_scores(join_runs([run_of("N/cup/0", [0, 0], [1, 1], trace=rows.astype(float))]), FUNCTION)
    assert len(implied.recorded) == 4, "only the second row is wide enough on both sides"


@pytest.mark.slow
def test_the_recorded_runs_were_told_about_what_the_maps_say_within_their_range(release: Release) -> None:
    assert release.maps is not None
    implied = implied_scores(release.traces, RecordedMaps(release.maps))
    within, gap = implied.is_inside, np.abs(implied.interpolated - implied.recorded)
    assert within.sum() > 5000
    assert gap[within].mean() < 0.06
    assert np.corrcoef(implied.recorded[within], implied.interpolated[within])[0, 1] > 0.9
    assert gap[~within].mean() > 0.2, "beyond the range the released code rendered something else"
