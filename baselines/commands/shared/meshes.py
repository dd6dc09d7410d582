"""What commands say of the meshes of files before the work: other objects in a file, and meshes that seem to lie."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from glob import escape
from shlex import quote

import numpy as np

from semrob_env.errors import SemrobError
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.objects import object_note
from semrob_env.scene.pose import AXES, Pose
from semrob_env.scene.sources import ShapeInfo, load_shape

MOST_SHAPES = 4
"""Meshes that are looked at, of those given first: each costs `len(AXES) * AZIMUTHS` pictures."""

AZIMUTHS, ELEVATION_DEG = 6, 20.0
LEAST_GAIN, LEAST_RATIO = 0.15, 2.0
"""By how much, and how many times, a mesh must score better in another pose to be told of."""


def mesh_notes(
    shapes: Sequence[ShapeInfo], classifier: Classifier | None, places: Sequence[str], label: str = ""
) -> list[str]:
    """What is worth knowing of meshes of files, a line each.

    Args:
        shapes: Shapes of files.
        classifier: Of the network that is asked first; None: no pose is tried.
        places: Where shapes were looked for, for the command that shows them.
        label: What the network is called; empty: by its name.
    """
    found: list[str] = []
    for shape in shapes[:MOST_SHAPES]:
        with suppress(SemrobError):  # the command says of a shape that cannot be used what it is to say
            found += [object_note(shape), "" if classifier is None else pose_note(shape, classifier, places, label)]
    return list(filter(None, found))


def pose_note(shape: ShapeInfo, classifier: Classifier, places: Sequence[str], label: str = "") -> str:
    """One line on a mesh that scores far better with another axis up; empty where it does not, or a pose is given."""
    own = shape.pose
    if (own.up, own.front, own.rotate) != (Pose().up, Pose().front, Pose().rotate):
        return ""
    space = SemanticSpace.of("azimuth,elevation")
    theta = np.array([[360.0 * place / AZIMUTHS, ELEVATION_DEG] for place in range(AZIMUTHS)])
    index, name = classifier.classes.index(str(shape.class_name)), shape.class_name or ""
    meshes = [load_shape(name, shape.source, pose=replace(own, up=up)) for up in AXES]
    function = SceneFunction(classifier, meshes, [index] * len(meshes), space, names=list(AXES))
    every = np.broadcast_to(theta, (len(meshes), *theta.shape))
    scores = function.scale.unit(function.values(every, np.arange(len(meshes)))).mean(axis=1)
    score = dict(zip(AXES, scores.tolist(), strict=True))
    better = sorted((up for up in AXES if score[up] - score[own.up] >= LEAST_GAIN), key=lambda up: -score[up])
    if not better or score[better[0]] < LEAST_RATIO * score[own.up]:
        return ""
    best, *others = better
    beside = "".join(f", {score[up]:.2f} with --up {up}" for up in others)
    over = best.removeprefix("-") if best.startswith("-") else f"-{best}"
    pattern = escape(shape.name)
    look = " ".join(map(quote, [*places, "--columns", "views", "--no-scores", "--up", f"{pattern}={best}"]))
    return (
        f"{shape.label} has a mean score of {score[own.up]:.2f} as it stands, and {score[best]:.2f} with --up {best} "
        f"(the best){beside}: does it lie? A score cannot tell upside down from upright: look at semrob shape_gallery "
        f"{look}, and at {quote(f'{pattern}={over}')} ({len(AXES) * AZIMUTHS} views of it by "
        f"{label or classifier.name}, part of no bill)"
    )
