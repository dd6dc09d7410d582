"""What commands say of the meshes of files before the work: other objects in a file, and meshes that seem to lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from baselines.commands.shared.terminal import Console
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


def tell_meshes(shapes: Sequence[ShapeInfo], classifier: Classifier | None, console: Console) -> None:
    """Say what is worth knowing of meshes of files, a line each.

    Args:
        shapes: Shapes of files.
        classifier: Of the network that is asked first; None: no pose is tried.
        console: Where it is said.
    """
    for shape in shapes[:MOST_SHAPES]:
        try:
            notes = [object_note(shape), "" if classifier is None else pose_note(shape, classifier)]
        except SemrobError:  # the command says of a shape that cannot be used what it is to say
            continue
        for note in filter(None, notes):
            console.say(f"note: {note}")


def pose_note(shape: ShapeInfo, classifier: Classifier) -> str:
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
    best = max(score, key=lambda up: score[up])
    if score[best] - score[own.up] < LEAST_GAIN or score[best] < LEAST_RATIO * score[own.up]:
        return ""
    return (
        f"{shape.label} has a mean score of {score[own.up]:.2f} as it stands, and {score[best]:.2f} with --up {best}: "
        f"does it lie? ({len(AXES) * AZIMUTHS} views of it, part of no bill)"
    )
