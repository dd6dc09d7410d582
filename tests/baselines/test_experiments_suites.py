"""Which questions a suite asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from baselines.experiments.suites import SUITES, make_suite
from semrob_env.errors import InvalidParameterError, MissingFileError, SemrobError, UnknownNameError
from semrob_env.ground_truth import optimum
from semrob_env.questions import MeanGoal
from semrob_env.recorded import RecordedMaps, ScoreMaps, save_maps
from tests.recorded_maker import NAMES, STARTS, wavy_maps

GOALS = (MeanGoal(0.5), MeanGoal(0.3))


@pytest.fixture
def maps(tmp_path: Path) -> str:
    return str(save_maps(wavy_maps(), tmp_path / "maps.npz"))


def test_recorded_asks_every_start_point_that_meets_its_threshold(maps: str) -> None:
    suite, function = make_suite("recorded", {}, GOALS, maps), RecordedMaps(wavy_maps())
    scores = function.values(np.tile(STARTS, (len(NAMES), 1, 1)), np.arange(len(NAMES)))
    expected = {
        (f"recorded:{name}", tuple(start.tolist()), goal)
        for goal in GOALS
        for name, own in zip(NAMES, scores, strict=True)
        for start, score in zip(STARTS, own, strict=True)
        if score >= goal.level
    }
    asked = [(q.function_id, q.start, q.goal) for q in suite.questions]
    assert len(asked) == len(expected)
    assert set(asked) == expected
    assert 0 < len(expected) < 2 * scores.size  # both ways are taken
    assert set(suite.groups) <= {"cup/0", "cup/1", "chair/0", "chair/1"}


def test_shapes_networks_and_classes_choose_maps(maps: str) -> None:
    options = {"networks": ("ResNet50",), "shapes": ("1",)}
    suite = make_suite("recorded", options, (MeanGoal(0.9),), maps)
    assert {q.function_id for q in suite.questions} == {"recorded:ResNet50/cup/1", "recorded:ResNet50/chair/1"}


def test_a_network_of_a_family_is_chosen_by_its_whole_name(tmp_path: Path) -> None:
    maps = str(save_maps(wavy_maps(["timm/r50/cup/0", "timm/other/cup/0", *NAMES]), tmp_path / "maps.npz"))
    suite = make_suite("recorded", {"networks": ("timm/r50",), "classes": ("cup",)}, (MeanGoal(0.9),), maps)
    assert {q.function_id for q in suite.questions} == {"recorded:timm/r50/cup/0"}
    assert set(suite.groups) == {"cup/0"}


def test_the_digest_tells_other_maps_and_not_another_place_of_the_file(maps: str, tmp_path: Path) -> None:
    plain, other = wavy_maps(), wavy_maps()
    scores = np.array(other.scores)
    scores[0, 3, 3] += 1e-3
    changed = save_maps(ScoreMaps(other.space, other.axes, scores, other.names), tmp_path / "changed.npz")
    moved = save_maps(plain, tmp_path / "moved.npz")
    digests = [make_suite("recorded", {}, GOALS, path).digest() for path in (maps, str(moved), str(changed))]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("family", ["plateau", "seam", "ridge", "trap", "hill"])
def test_synthetic_starts_lie_where_there_is_something_to_find(family: str) -> None:
    options = {"families": (family,), "parameters": ("1", "2", "4"), "instances": ("0",)}
    suite = make_suite("synthetic", options, (MeanGoal(0.5),), "")
    assert len(suite.questions) == 3
    for question in suite.questions:
        function, member = suite.functions.member(question.function_id)
        assert function.values([[question.start]], [member])[0, 0] >= 0.5
        assert optimum(function, question.start, question.goal, member).share > 0
    again = make_suite("synthetic", options, (MeanGoal(0.5),), "")
    assert again.questions == suite.questions
    assert again.digest() == suite.digest()


def test_the_live_suite_has_five_shapes() -> None:
    defaults = SUITES["live"].defaults
    assert len(defaults["classes"]) * len(defaults["shapes"]) == 5


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("dragons", {}, UnknownNameError, "unknown suite 'dragons'"),
        ("recorded", {"families": ("hill",)}, UnknownNameError, "no option 'families'"),
        ("recorded", {"classes": ("dragon",)}, UnknownNameError, "no map of 'dragon'"),
        ("synthetic", {"families": ("dragon",)}, UnknownNameError, "unknown synthetic family 'dragon'"),
        ("synthetic", {"families": ("empty",)}, InvalidParameterError, "no question"),
        ("synthetic", {"parameters": ("0",)}, InvalidParameterError, "n=0"),
        ("synthetic", {"parameters": ("1&seed=5",)}, InvalidParameterError, "is no plain name"),
        ("live", {"networks": ("file/x?weights=/etc/passwd",)}, InvalidParameterError, "is no plain name"),
        ("live", {"classes": ("cup/procedural:0#x",)}, InvalidParameterError, "is no plain name"),
        ("live", {"shapes": ("0?params=x",)}, InvalidParameterError, "is no plain name"),
        ("live", {"classes": ("cup/etc/passwd",)}, InvalidParameterError, "is no NETWORK/CLASS/OBJECT"),
        ("live", {"networks": ("..",), "classes": ("",)}, InvalidParameterError, "is no NETWORK/CLASS/OBJECT"),
    ],
)
def test_what_is_misspelt_is_told(
    maps: str, name: str, options: dict[str, tuple[str, ...]], error: type[SemrobError], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_suite(name, options, (MeanGoal(0.3),), maps)


def test_a_missing_file_of_maps_is_told() -> None:
    with pytest.raises(MissingFileError, match="no file of maps"):
        make_suite("recorded", {}, GOALS, "nowhere.npz")
