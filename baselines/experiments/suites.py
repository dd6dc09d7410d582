"""Suites of questions by name: recorded maps, synthetic functions, live scenes.

A suite lists places, a function and a start point theta0 each. A place is asked for a goal if the unit score at theta0
is at least the goal's level: elsewhere, often no region is feasible.

| suite     | functions                                                     | start points                            |
|-----------|---------------------------------------------------------------|-----------------------------------------|
| recorded  | maps of a file: `networks`, `classes`, `shapes`; all if empty | the paper's four                        |
| synthetic | `families` x `parameters` (n) x `instances` (seeds)           | one, drawn where the score is high      |
| live      | scenes: `networks`, `classes`, `shapes` (procedural)          | the paper's four                        |
| failing   | the complements of the same scenes: regions of failures       | those where the network fails           |
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from baselines.experiments.functions import RECORDED, Functions
from semrob_env.errors import InvalidParameterError, UnknownNameError
from semrob_env.functions import make_function
from semrob_env.parameters import SemanticSpace, paper_starts
from semrob_env.questions import Goal, Question
from semrob_env.recorded import load_maps
from semrob_env.scene.classifiers.names import parts_of, split_subject
from semrob_env.store import canonical_json
from semrob_env.synthetic import FAMILIES, TANGLED, SyntheticFunction, TangledFunction

Options = Mapping[str, tuple[str, ...]]
"""What a suite is made of: lists of words by name."""

_DRAWS = 4096


@final
@dataclass(frozen=True)
class Place:
    """A function and a start point; `group` is what intervals resample: a shape, or a synthetic function."""

    function_id: str
    start: tuple[float, ...]
    group: str


@final
@dataclass(frozen=True)
class SuiteKind:
    """A kind of suite."""

    defaults: Options  # its options
    places: Callable[[Options, str], list[Place]]  # lists the places of options, given the file of maps
    is_live: bool = False  # whether a query takes milliseconds
    is_adversarial: bool = False  # whether its functions are complements, whose high scores are failures


@final
@dataclass(frozen=True, eq=False)
class Suite:
    """The questions of a comparison, without budgets, the group of each, and their functions."""

    name: str
    options: Options
    questions: tuple[Question, ...]
    groups: tuple[str, ...]
    functions: Functions

    @property
    def is_live(self) -> bool:
        """Whether a query takes milliseconds."""
        return SUITES[self.name].is_live

    def digest(self) -> str:
        """SHA-256 (hex) of all questions, with what pins the answers of their functions.

        But the code of a network: other releases of torch trace the same module otherwise, and its id and weights are
        there.
        """
        facts = []
        for question, group in zip(self.questions, self.groups, strict=True):
            pins = self.functions.fingerprint(question.function_id).items()
            pinned = {name: value for name, value in pins if name != "code"}
            facts.append([question.function_id, question.start, question.goal.text, group, pinned])
        return hashlib.sha256(canonical_json(facts).encode()).hexdigest()

    def frozen(self) -> dict[str, Any]:
        """What a protocol holds of it."""
        options = canonical_json({name: list(words) for name, words in self.options.items()})
        return {"suite": self.name, "options": options, "questions": (len(self.questions), self.digest())}


def told_options(given: object) -> Options:
    """Options of suites that a command line tells, from its attributes of these names."""
    return {name: tuple(map(str, words)) for name in OPTION_NAMES if (words := getattr(given, name, ()))}


def suite_kind(name: str) -> SuiteKind:
    """The kind of suite of that name.

    Raises:
        UnknownNameError: No such suite.
    """
    _require([name], SUITES, "unknown suite", "; known are")
    return SUITES[name]


def make_suite(name: str, options: Options, goals: Sequence[Goal], maps_file: str) -> Suite:
    """The suite of that name.

    Args:
        name: One of `SUITES`.
        options: What differs from the suite's defaults.
        goals: Questions are listed goal by goal.
        maps_file: File of maps, for recorded ones.

    Raises:
        UnknownNameError: No such suite, or option, or what an option names.
        InvalidParameterError: No question at all, or a word that would say more than its part of an id.
    """
    kind = suite_kind(name)
    _require(options, kind.defaults, f"suite {name} has no option", "; it has")
    full = {**kind.defaults, **options}
    for word in itertools.chain(*full.values()):
        # Protocols come from strangers: no word may smuggle a path or an option into an id.
        if any(mark in word for mark in ":?#&"):
            raise InvalidParameterError(f"suite {name}: {word[:40]!r} is no plain name; leave : ? # and & out")
    places = kind.places(full, maps_file)
    functions = Functions((place.function_id for place in places), maps_file)
    scores = functions.unit_scores([place.function_id for place in places], [place.start for place in places])
    asked = [
        (Question(place.function_id, place.start, goal), place.group)
        for goal in goals
        for place, score in zip(places, scores.tolist(), strict=True)
        if score >= goal.level
    ]
    if not asked:
        raise InvalidParameterError(
            f"suite {name} has no question: at none of {len(places)} start points is the score at least the level of "
            f"{'; '.join(map(str, goals))}; choose others"
        )
    questions, groups = zip(*asked, strict=True)
    return Suite(name, full, questions, groups, functions)


def _require(words: Iterable[str], known: Mapping[str, object], before: str, after: str) -> None:
    """Raise for the first word that is not known; the rest of the message stands around it."""
    for word in words:
        if word not in known:
            raise UnknownNameError(f"{before} {word!r}{after} {', '.join(known)}")


def _recorded(options: Options, maps_file: str) -> list[Place]:
    maps = load_maps(maps_file)
    parts = [parts_of(name) for name in maps.names]
    wanted = [options["networks"], options["classes"], options["shapes"]]
    for index, allowed in enumerate(wanted):
        _require(allowed, dict.fromkeys(part[index] for part in parts), "no map of", f" in {maps_file}, which has")
    return [
        place
        for name, part in zip(maps.names, parts, strict=True)
        if all(not allowed or own in allowed for own, allowed in zip(part, wanted, strict=True))
        for place in _from_paper_starts(f"{RECORDED}{name}", maps.space, "/".join(part[1:]))
    ]


def _from_paper_starts(function_id: str, space: SemanticSpace, group: str) -> list[Place]:
    return [Place(function_id, tuple(start), group) for start in paper_starts(space).tolist()]


def _synthetic(options: Options, maps_file: str) -> list[Place]:
    del maps_file
    known = {**dict.fromkeys(FAMILIES, "synthetic"), **dict.fromkeys(TANGLED, "tangled")}
    _require(options["families"], known, "unknown synthetic family", "; known are")
    places = []
    for family, n, seed in itertools.product(options["families"], options["parameters"], options["instances"]):
        function = make_function(f"{known[family]}:{family}?n={n}&seed={seed}")
        assert isinstance(function, SyntheticFunction | TangledFunction)
        places.append(Place(function.id, _inside(function), function.id))
    return places


def _inside(function: SyntheticFunction | TangledFunction) -> tuple[float, ...]:
    """A point of high score, the first of the function's own draws with 0.8 or more.

    The draws come from a hash of the function's id; without such a point, it is the best of them.
    """
    digest = hashlib.sha256(f"start/{function.id}".encode()).digest()
    theta = function.starts(_DRAWS, np.random.default_rng(int.from_bytes(digest, "big")))
    scores = function.values(theta[None])[0]
    first = np.flatnonzero(scores >= 0.8)
    return tuple(theta[first[0] if len(first) else scores.argmax()].tolist())


def _live(options: Options, maps_file: str) -> list[Place]:
    from semrob_env.scene.function import SceneId  # here, for it loads torch

    del maps_file
    space, places = SemanticSpace.of("azimuth,elevation"), list[Place]()
    for parts in itertools.product(options["networks"], options["classes"], options["shapes"]):
        if split_subject("/".join(parts)) != parts:
            raise InvalidParameterError(f"suite live: {'/'.join(parts)[:80]!r} is no NETWORK/CLASS/OBJECT")
        network, class_name, shape = parts
        scene = str(SceneId(network, class_name, f"procedural:{shape}"))
        places += _from_paper_starts(scene, space, f"{class_name}/{shape}")
    return places


def _failing(options: Options, maps_file: str) -> list[Place]:
    return [replace(own, function_id=f"complement({own.function_id})") for own in _live(options, maps_file)]


_FAMILIES, _SIZES = ("plateau", "seam", "ridge", "trap", "away", "hill", *TANGLED), ("1", "2", "4", "6", "8", "10")
_CLASSES = ("cup", "chair", "bottle", "piano", "toilet")
_SCENES = {"networks": ("efficientnet_lite0",), "classes": _CLASSES, "shapes": ("0",)}
SUITES = {
    "recorded": SuiteKind({"networks": (), "classes": (), "shapes": ()}, _recorded),
    "synthetic": SuiteKind({"families": _FAMILIES, "parameters": _SIZES, "instances": ("0", "1", "2")}, _synthetic),
    "live": SuiteKind(_SCENES, _live, is_live=True),
    "failing": SuiteKind(_SCENES, _failing, is_live=True, is_adversarial=True),
}
"""Every suite by name."""

OPTION_NAMES = tuple(dict.fromkeys(itertools.chain(*(kind.defaults for kind in SUITES.values()))))
"""Options of any suite."""
