"""What attacks break at single views: on pixels, on colors of faces, on the view, and on view and pixels together.

Every attack is billed by an oracle; views are independent, uniform, and the same for all attacks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from optimizers.registry import get_optimizer
from optimizers.run import run
from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.functions import ScoreFunction
from semrob_env.metrics.survey import RIGHT, survey_views
from semrob_env.oracle import Queries, QueryOracle
from semrob_env.questions import Questions
from semrob_env.scene.function import SceneId, make_scene_function
from semrob_env.scene.picture_attack import PictureAttack
from semrob_env.types import FloatArray

SEMANTIC, BOTH = "semantic", "both"


@final
@dataclass(frozen=True, eq=False)
class AttackedViews:
    """Views of one scene.

    Attributes:
        scene: The scene, without an attack.
        theta: Views (V, n).
        scores: Clean unit scores (V,).
        level: From which on one is right.
    """

    scene: SceneId
    theta: FloatArray
    scores: FloatArray
    level: float

    @classmethod
    def drawn(cls, scene: SceneId, count: int, *, level: float = RIGHT, seed: int = 0) -> AttackedViews:
        """Uniform views of a scene, each scored once."""
        function = make_scene_function(str(scene))
        theta = survey_views(function, 0, count, seed)
        return cls(scene, theta, function.scale.unit(function.values(theta[None])[0]), level)

    @property
    def right(self) -> FloatArray:
        """The right ones (N, n)."""
        return self.theta[self.scores >= self.level]


@final
@dataclass(frozen=True)
class ViewAttacks:
    """One attack on the right views of one scene.

    Attributes:
        label: The attack in words.
        scene: The scene, without it.
        views: Right views that were attacked.
        broken: How many are wrong now.
        forward_queries: For all of them.
        gradient_queries: For all of them.
        mean_score: Mean unit score that is left, NaN without views.
    """

    label: str
    scene: str
    views: int
    broken: int
    forward_queries: int
    gradient_queries: int
    mean_score: float


def pixel_attacks(views: AttackedViews, attack: PictureAttack) -> ViewAttacks:
    """An attack on pixels or albedo at each right view."""
    function = _attacked(views.scene, attack)
    scores, forward, gradient = _asked(function, views.right)
    return _outcome(attack.text, views, scores, forward, gradient)


def semantic_attacks(views: AttackedViews, method: str, radius: float, budget: int, seed: int = 0) -> ViewAttacks:
    """A point method that changes each right view.

    Raises:
        InvalidParameterError: A method that recommends regions.
    """
    _, scores, forward, gradient = _moved(views, method, radius, budget, seed)
    return _outcome(SEMANTIC, views, scores, forward, gradient)


def both_attacks(
    views: AttackedViews, method: str, radius: float, budget: int, epsilon: float, seed: int = 0
) -> ViewAttacks:
    """Half of a budget for the view, the rest for PGD (linf) on the pixels at what that found.

    Raises:
        InvalidBudgetError: Less than 4 queries.
        InvalidParameterError: A method that recommends regions.
    """
    steps = (budget - budget // 2 - 1) // 2
    if steps < 1:
        raise InvalidBudgetError(f"a budget of {budget} queries for view and pixels: give at least 5")
    moved, _, forward, gradient = _moved(views, method, radius, budget // 2, seed)
    scores, more_forward, more_gradient = _asked(_attacked(views.scene, PictureAttack("linf", epsilon, steps)), moved)
    return _outcome(BOTH, views, scores, forward + more_forward, gradient + more_gradient)


def _attacked(scene: SceneId, attack: PictureAttack) -> ScoreFunction:
    return make_scene_function(str(replace(scene, attack=attack.text)))


def _asked(function: ScoreFunction, theta: FloatArray) -> tuple[FloatArray, int, int]:
    """Unit scores at theta (N, n), and the bill of all."""
    oracle = QueryOracle(function)
    active = np.ones((1, len(theta)), dtype=np.bool_)
    answers = oracle.query(Queries(theta[None], np.zeros(1, dtype=np.int64), active))
    return answers.values[0], int(oracle.forward_queries[0]), int(oracle.gradient_queries[0])


def _moved(
    views: AttackedViews, method: str, radius: float, budget: int, seed: int
) -> tuple[FloatArray, FloatArray, int, int]:
    """Where a point method went from each right view, the unit scores there, and the bill of all."""
    kind, function, starts = get_optimizer(method), make_scene_function(str(views.scene)), views.right
    if kind.recommends != "points":
        raise InvalidParameterError(f"--semantic {method} recommends regions; what is asked for here is points")
    if not len(starts):
        return starts, np.zeros(0), 0, 0
    settings = kind.settings_class.from_mapping({"radius": radius})
    optimizer = kind(Questions(function.space, starts, budget=budget), settings=settings, seed=seed)
    oracle = QueryOracle(function, trajectories=len(starts), budget=budget)
    found = run(optimizer, oracle).regions.lower
    # No method need ask the view itself, which is the lowest where nothing lower was found.
    scores, clean = function.scale.unit(function.values(found[None])[0]), views.scores[views.scores >= views.level]
    is_lower = scores < clean
    moved = np.where(is_lower[:, None], found, starts)
    bill = int(oracle.forward_queries.sum()), int(oracle.gradient_queries.sum())
    return moved, np.where(is_lower, scores, clean), *bill


def _outcome(label: str, views: AttackedViews, scores: FloatArray, forward: int, gradient: int) -> ViewAttacks:
    broken = int((scores < views.level).sum())
    mean = float(scores.mean()) if len(scores) else float("nan")
    return ViewAttacks(label, str(views.scene), len(scores), broken, forward, gradient, mean)
