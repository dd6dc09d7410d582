"""A plate and a network that knows one from above: a whole evaluation of them takes a second."""

from __future__ import annotations

from typing import final

import numpy as np

from baselines.experiments.evaluation import Evaluation, EvaluationSettings, evaluate
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.mesh import Mesh
from semrob_env.types import Float32Array, FloatArray

SMALL = EvaluationSettings(
    survey_points=96, budget=40, judge_points=16, certificate_points=96, effect_points=16, failures=4
)

HOSTILE = '<img src=x onerror=alert(1)> & "plate"\n</script><b>\''
"""A name that a page must not read."""


def plate(name: str = "plate", height: float = 0.05) -> Mesh:
    """A flat box: large from above, a line from the side."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-height, height) for z in (-1, 1)], dtype=np.float64)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in sides for face in ((a, b, c), (a, c, d))]
    return Mesh(corners, np.array(faces, dtype=np.int32), None, name)


@final
class Counted:
    """Probabilities of `line`, `plate` and `edge` by how much of a picture is not black; counts the pictures."""

    def __init__(self) -> None:
        self.pictures = 0

    def __call__(self, images: Float32Array) -> FloatArray:
        self.pictures += len(images)
        covered = (images > 0.05).mean(axis=(1, 2, 3), dtype=np.float64)
        own = 1 / (1 + np.exp(-60 * (covered - 0.2)))
        return np.stack([0.7 * (1 - own), own, 0.3 * (1 - own)], axis=1)


def network(told: Counted | None = None) -> BlackBoxClassifier:
    """The network, by its margin."""
    categories = ("line", "plate", "edge")
    answers = told or Counted()
    return BlackBoxClassifier(answers, labels=3, size=24, name="by area", score="margin", categories=categories)


def small(*names: str, space: str = "azimuth,elevation") -> Evaluation:
    """The evaluation of a plate for each name, each a little thicker than the one before."""
    meshes = [plate(name, 0.05 * (1 + number)) for number, name in enumerate(names)]
    return evaluate(network(), meshes, space, class_name="plate", settings=SMALL)
