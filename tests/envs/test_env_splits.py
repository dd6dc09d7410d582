"""Members to train on and to test on share no held-out part."""

from __future__ import annotations

from typing import Any

import pytest

from semrob_env.envs.region_grow import RegionGrowEnv
from semrob_env.envs.splits import split_members
from semrob_env.errors import InvalidParameterError, SemrobError, UnknownNameError
from semrob_env.functions import Complement, ScoreFunction, make_function
from semrob_env.recorded import RecordedMaps
from tests.recorded_maker import flat_maps

NAMES = [
    f"{network}/{name}/{number}" for network in ("A", "B", "C") for name in ("cup", "chair") for number in range(4)
]
FAMILY = RecordedMaps(flat_maps(dict.fromkeys(NAMES, 0.5)))


def parts(members: Any) -> tuple[set[str], set[str], set[str]]:
    """Networks, classes, and shapes with their class, of members."""
    split = [NAMES[member].split("/", 1) for member in members]
    return {one[0] for one in split}, {one[1].split("/")[0] for one in split}, {one[1] for one in split}


def test_shapes_are_held_out_in_every_class() -> None:
    split = split_members(FAMILY, ["shape"])
    train, test = parts(split.train), parts(split.test)
    assert len(split.train) + len(split.test) == 24
    assert not train[2] & test[2]
    assert test[:2] == train[:2] == ({"A", "B", "C"}, {"cup", "chair"})
    assert len(test[2]) == 2
    assert {kind: set(held) for kind, held in split.held_out.items()} == {"shape": test[2]}


def test_with_networks_and_shapes_held_out_tests_are_on_new_ones_of_both() -> None:
    split = split_members(FAMILY, ["shape", "network"], share=0.5)
    train, test = parts(split.train), parts(split.test)
    assert not train[0] & test[0]
    assert not train[2] & test[2]
    assert (len(split.train), len(split.test)) == (1 * 4, 2 * 4)
    assert list(split.held_out) == ["network", "shape"]


def test_parts_can_be_named() -> None:
    split = split_members(FAMILY, {"network": ["B"], "class": ["cup"]})
    assert [NAMES[member] for member in split.test] == [f"B/cup/{number}" for number in range(4)]
    assert parts(split.train)[:2] == ({"A", "C"}, {"chair"})


def test_a_seed_fixes_the_split_and_another_changes_it() -> None:
    splits = [split_members(FAMILY, seed=seed).test.tolist() for seed in (0, 0, 1, 2, 3)]
    assert splits[0] == splits[1]
    assert len(set(map(tuple, splits))) > 1


def test_ids_of_complements_files_and_live_shapes_are_read() -> None:
    assert split_members(Complement(FAMILY)).test.tolist() == split_members(FAMILY).test.tolist()
    with_file = RecordedMaps(FAMILY.maps, file="some folder/maps.npz")
    assert split_members(with_file).test.tolist() == split_members(FAMILY).test.tolist()


def test_a_network_of_a_family_is_one_part() -> None:
    names = [f"{network}/cup/{number}" for network in ("timm/a", "timm/b", "C") for number in range(2)]
    for function in (maps := RecordedMaps(flat_maps(dict.fromkeys(names, 0.5))), Complement(maps)):
        split = split_members(function, {"network": ["timm/a"], "shape": ["cup/1"]})
        assert split.test.tolist() == [1]
        assert split.train.tolist() == [2, 4]


def test_an_environment_draws_from_its_part_alone() -> None:
    split = split_members(FAMILY)
    env = RegionGrowEnv(FAMILY, members=split.test)
    env.reset(seed=0)
    drawn = set()
    for _ in range(30):
        env.reset()
        drawn.add(env.member)
    assert drawn <= set(split.test.tolist())
    assert len(drawn) > 2


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (FAMILY, {"held_out": []}, InvalidParameterError, "give a list of network, class, shape"),
        (FAMILY, {"held_out": "shape"}, InvalidParameterError, "give a list"),
        (FAMILY, {"held_out": ["colour"]}, InvalidParameterError, "give a list"),
        (FAMILY, {"held_out": {"network": ["Z"]}}, UnknownNameError, "no member has network 'Z'; there are A, B, C"),
        (FAMILY, {"held_out": {"network": ["A", "B", "C"]}}, InvalidParameterError, "leaves 0 members to train"),
        (FAMILY, {"share": 0}, InvalidParameterError, "share 0"),
        (FAMILY, {"share": float("nan")}, InvalidParameterError, "share nan"),
        (make_function("synthetic:plateau"), {}, InvalidParameterError, "names no NETWORK/CLASS/SHAPE"),
        (RecordedMaps(flat_maps({"A/cup/0": 0.5})), {}, InvalidParameterError, "1 members to train and 0 to test"),
    ],
)
def test_what_cannot_be_split_is_one_clear_error(
    function: ScoreFunction, arguments: dict[str, Any], error: type[SemrobError], message: str
) -> None:
    with pytest.raises(error, match=message):
        split_members(function, **arguments)
