"""Introduces networks before a command asks them: what they are taken to be, who says so, and their first answers.

A wrong size, normalization, order of channels or list of labels is seen here at once, not in a table an hour later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from baselines.commands.shared.terminal import Console, seconds_of
from semrob_env.errors import SemrobError
from semrob_env.parameters import paper_starts
from semrob_env.questions import Question
from semrob_env.scene.classifiers.base import Answer, Classifier
from semrob_env.scene.classifiers.network_spec import NetworkSpec
from semrob_env.scene.image_function import ImageFunction, ImageId, make_image_function
from semrob_env.scene.image_ids import image_id_of, read_image_id
from semrob_env.scene.sources import ShapeInfo
from semrob_env.types import FloatArray

TRIAL = 8
"""Views of the trial that tells how long a query takes."""

FIRST, MOST_SHAPES, MOST_VIEWS = 3, 4, 4
"""Answers that are shown of a view; shapes, of different classes before others, and views of each that are asked."""


def introduce(console: Console, asked: Mapping[str, FloatArray | None]) -> None:
    """Tell of each network once what it is taken to be, and its first answers; nobody is charged.

    Args:
        console: Where to.
        asked: Ids of what will be asked, and the views (S, n) that its questions begin with; None: the paper's.
            Complements count as what they are of; maps and other functions are passed over.

    Raises:
        SemrobError: As `make_image_function` and `Classifier.top`.
    """
    networks: dict[ImageId, dict[ImageId, FloatArray | None]] = {}
    for text, starts in asked.items():
        scene: Any = read_image_id(text.removeprefix("complement(").removesuffix(")"))
        if scene is not None:
            network = replace(scene, class_name="", source="", label="")
            networks.setdefault(network, {})[scene] = starts
    for scenes in networks.values():
        _introduce(console, scenes)


def _introduce(console: Console, scenes: Mapping[ImageId, FloatArray | None]) -> None:
    firsts: dict[tuple[str, str], ImageId] = {}
    for scene in scenes:
        firsts.setdefault((scene.class_name, scene.label), scene)
    chosen = list(dict.fromkeys([*firsts.values(), *scenes]))[:MOST_SHAPES]  # one of each class before others
    functions = [make_image_function(str(scene)) for scene in chosen]
    classifier, alias = functions[0].classifier, chosen[0].alias
    tell(console, alias, classifier)
    seen: dict[str, bool] = {}
    for scene, function in zip(chosen, functions, strict=True):
        space, index = function.space, int(function.class_indices[0])
        starts = scenes[scene]
        points = paper_starts(space) if starts is None else starts
        views = np.asarray(points[:: -(-len(points) // MOST_VIEWS)])  # spread over all
        answers, wanted = classifier.top(function.images(views), FIRST), classifier.classes.name(index)
        for view, row in list(zip(views, answers, strict=True))[: MOST_VIEWS if len(chosen) == 1 else 1]:
            place = ", ".join(f"{name} {value:g}" for name, value in zip(space.names, view, strict=True))
            console.say(f"    {scene.source} as {wanted} at {place}: {shown(row)}")
        is_seen = any(answer.index == index for row in answers for answer in row)
        seen[wanted] = seen.get(wanted, False) or is_seen
    if lost := [name for name, is_seen in seen.items() if not is_seen]:
        console.say(
            f"  WARNING: {', '.join(lost)}: not among the first {FIRST} answers at any start view of these shapes; a "
            "wrong size, normalization, order of channels or list of labels looks like that"
        )


def check(asked: Iterable[ImageId]) -> None:
    """Make the functions: a shape, a network, its size or a class that cannot be used ends here; nothing is asked.

    Raises:
        SemrobError: As `make_image_function`.
    """
    for own in asked:
        make_image_function(str(own))


def estimate(queries: Mapping[str, int]) -> str:
    """How long queries take, by a short trial of each network, whatever else is not tried.

    Args:
        queries: Most queries of each id of pictures; all of them are made, so that a shape, a network, its size or a
            class that cannot be used ends here.

    Raises:
        SemrobError: As `make_image_function`.
    """
    functions = {name: make_image_function(name) for name in queries}
    firsts = {id(function.classifier): function for function in reversed(functions.values())}
    seconds = {key: _trial(function) for key, function in firsts.items()}
    total = sum(count * seconds[id(functions[name].classifier)] for name, count in queries.items())
    each = 1e3 * total / max(sum(queries.values()), 1)
    return f"estimated time: {total / 60:.1f} minutes ({each:.1f} ms a query, mean over networks)"


def _trial(function: ImageFunction) -> float:
    """Seconds of a query."""
    theta = function.space.sample(TRIAL, np.random.default_rng(0))[None]
    return seconds_of(partial(function.values, theta)) / TRIAL


def tell(console: Console, label: str, classifier: Classifier) -> None:
    """What a network is taken to be, and who says so."""
    named = f"{label} = " if label not in {"", classifier.name} else ""
    console.say(f"network {named}{classifier.name}; ! is a guess")
    for premise in classifier.premises:
        console.say(f"  {'!' if premise.is_assumed else ' '} {premise}")


def starts_by_function(questions: Sequence[Question]) -> dict[str, FloatArray | None]:
    """What `introduce` takes, of questions: the start points of each function, in order."""
    found: dict[str, dict[tuple[float, ...], None]] = {}
    for question in questions:
        found.setdefault(question.function_id, {})[tuple(question.start)] = None
    return {name: np.array(list(points)) for name, points in found.items()}


def asked_of(
    shapes: Sequence[ShapeInfo], networks: Sequence[NetworkSpec], feed: str, looks: Mapping[str, Any]
) -> dict[str, FloatArray | None]:
    """What `introduce` takes, for the first shapes that each network can see; of others the command tells why not.

    The looks are fields of a `SceneId`.
    """
    found: dict[str, FloatArray | None] = {}
    for network in networks:
        own: dict[str, FloatArray | None] = {}
        for shape in shapes:
            with suppress(SemrobError):
                scene = image_id_of(shape, network, feed=feed, **looks)
                own[make_image_function(str(scene)).id] = None
            if len(own) == MOST_SHAPES:
                break
        found |= own
    return found


def shown(answers: Sequence[Answer]) -> str:
    """Answers of a view in a line."""
    return ", ".join(f"{answer.name} {answer.probability:.2f}" for answer in answers)
