"""Members to train on and members to test on, by what their ids name: networks, classes and shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final, get_args

import numpy as np

from semrob_env.errors import InvalidParameterError, UnknownNameError
from semrob_env.functions import ScoreFunction
from semrob_env.scene.classifiers.names import split_subject
from semrob_env.types import IntArray

Part = Literal["network", "class", "shape"]
PARTS: tuple[Part, ...] = get_args(Part)


@final
@dataclass(frozen=True, eq=False)
class Split:
    """Members of a family.

    Attributes:
        train: To learn from, (M,): they have none of the held-out parts.
        test: To be judged on, (T,): of every kind that is held out, they have a held-out part.
        held_out: The held-out parts by kind, shapes with their class: `{"shape": ("chair/1", "cup/0")}`.
    """

    train: IntArray
    test: IntArray
    held_out: dict[Part, tuple[str, ...]]


def split_members(
    function: ScoreFunction,
    held_out: Sequence[str] | Mapping[str, Sequence[str]] = ("shape",),
    *,
    share: float = 0.25,
    seed: int = 0,
) -> Split:
    """Split a family by the parts NETWORK/CLASS/SHAPE of its ids, so that tests are on parts never trained on.

    With `("shape", "network")`, members to test have both a new shape and a new network. Members that have only one of
    them are in neither part.

    Args:
        function: A family whose ids name network, class and shape: recorded or live ones, or complements.
        held_out: Kinds of parts, of `network`, `class` and `shape`, of which `share` is drawn; or the parts to hold out
            by kind, e.g. `{"network": ["ResNet50"], "shape": ["chair/1"]}`.
        share: How many parts of a kind are drawn, rounded up, but never all; of shapes in each class, where a class has
            several.
        seed: Of the draw.

    Raises:
        InvalidParameterError: Ids without such parts, no kind or an unknown one, a share out of (0, 1), or nothing is
            left to train or test on.
        UnknownNameError: A part that no member has.
    """
    if not 0 < share < 1:
        raise InvalidParameterError(f"share {share}: give a number between 0 and 1, such as 0.25")
    names = [parts_of_member(name) for name in function.member_ids]
    kinds = list(dict.fromkeys(held_out))
    wrong = [kind for kind in kinds if kind not in PARTS]
    if wrong or not kinds or isinstance(held_out, str):
        raise InvalidParameterError(f"held_out {held_out!r}: give a list of {', '.join(PARTS)}")
    chosen: dict[Part, tuple[str, ...]] = {}
    for kind in (part for part in PARTS if part in kinds):
        known = list(dict.fromkeys(name[kind] for name in names))
        if isinstance(held_out, Mapping):
            unknown = [part for part in held_out[kind] if part not in known]
            if unknown:
                raise UnknownNameError(f"no member has {kind} {unknown[0]!r}; there are {', '.join(known[:8])}")
            chosen[kind] = tuple(held_out[kind])
        else:
            chosen[kind] = _drawn(kind, known, share, np.random.default_rng((seed, PARTS.index(kind))))
    new = np.array([[name[kind] in parts for kind, parts in chosen.items()] for name in names])
    train, test = np.flatnonzero(~new.any(axis=1)), np.flatnonzero(new.all(axis=1))
    if not len(train) or not len(test):
        raise InvalidParameterError(
            f"holding out {', '.join(chosen)} leaves {len(train)} members to train and {len(test)} to test on; "
            "give a family with several of each kind, or name the parts to hold out"
        )
    return Split(train, test, chosen)


def _drawn(kind: Part, known: list[str], share: float, rng: np.random.Generator) -> tuple[str, ...]:
    """A share of the parts; of shapes, which are named CLASS/SHAPE, in each class that has several."""
    groups: dict[str, list[str]] = {}
    for part in known:
        groups.setdefault(part.partition("/")[0] if kind == "shape" else "", []).append(part)
    if max(map(len, groups.values())) < 2:  # a shape a class, or one part in all
        groups = {"": known}
    drawn = []
    for own in groups.values():
        count = min(int(np.ceil(share * len(own))), len(own) - 1)
        drawn += [own[index] for index in sorted(rng.permutation(len(own))[:count].tolist())]
    return tuple(drawn)


def parts_of_member(member_id: str) -> dict[Part, str]:
    """The parts that an id names: `recorded:ResNet50/chair/1?file=...` has the shape `chair/1`.

    Raises:
        InvalidParameterError: It names none.
    """
    name = member_id
    while name.startswith("complement(") and name.endswith(")"):
        name = name[len("complement(") : -1]
    parts = split_subject(name.partition(":")[2].partition("?")[0])
    if parts is None:
        raise InvalidParameterError(
            f"{member_id} names no NETWORK/CLASS/SHAPE; give `members` yourself instead of a split"
        )
    network, class_name, shape = parts
    return {"network": network, "class": class_name, "shape": f"{class_name}/{shape}"}
