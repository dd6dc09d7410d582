"""Looks: what a network says to some views of a shape, its score and its first answers, asked once and kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import final

import numpy as np

from baselines.experiments.answers import KeptAnswers, answer_key
from baselines.experiments.functions import Functions
from semrob_env.errors import InvalidParameterError
from semrob_env.metrics.distinct import distances
from semrob_env.metrics.survey import Rate, Survey
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classifiers.base import Answer
from semrob_env.scene.classifiers.labels import Labels
from semrob_env.scene.image_function import LARGEST_CHUNK, ImageFunction
from semrob_env.types import BoolArray, FloatArray, IntArray

TOLD = 3
"""First answers that are kept of each view."""

NEIGHBORS = 8
"""Views that stand for the surroundings of one."""

_VERSION = 1
"""Goes up when kept looks must be made again."""


@final
@dataclass(frozen=True, eq=False)
class Looks:
    """What a network says to N views of one shape.

    Attributes:
        space: The space of the views.
        theta: The views (N, n).
        class_index: The class that the shape is scored for.
        scores: Unit scores (N,); NaN counted as 0.
        probability: Of the class (N,).
        top_index: The classes of highest probability (N, T), the highest first; T is `TOLD`, or all there are.
        top_probability: Their probabilities (N, T).
    """

    space: SemanticSpace
    theta: FloatArray
    class_index: int
    scores: FloatArray
    probability: FloatArray
    top_index: IntArray
    top_probability: FloatArray

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def is_right(self) -> BoolArray:
        """Where the class is the first answer (N,)."""
        return np.asarray((self.top_index[:, 0] == self.class_index) & (self.top_probability[:, 0] > 0))

    @cached_property
    def around(self) -> FloatArray:
        """Mean of the unit score of each view and the mean of its `NEIGHBORS` nearest ones (N,).

        A start point should be good itself, and not alone.
        """
        means = [
            self.scores[np.argsort(distances(self.space, self.theta, point), kind="stable")[1 : NEIGHBORS + 1]].mean()
            for point in self.theta
        ]
        return np.asarray((self.scores + np.array(means)) / 2)

    @cached_property
    def best(self) -> IntArray:
        """All views (N,), those first that score best together with their neighbors."""
        return np.asarray(np.lexsort((-self.scores, -self.around)))

    @cached_property
    def worst(self) -> IntArray:
        """The failing views (F,), the lowest score first."""
        order = np.argsort(self.scores, kind="stable")
        return np.asarray(order[~self.is_right[order]])

    @property
    def rate(self) -> Rate:
        """How many views are right."""
        return Rate(int(self.is_right.sum()), len(self))

    @property
    def survey(self) -> Survey:
        """The views as a survey of right answers: 1 where the class is the first answer, else 0."""
        return Survey(self.space, self.theta, self.is_right.astype(np.float64))


def answers_at(function: ImageFunction, looks: Looks, view: int) -> tuple[Answer, ...]:
    """The first answers at one view, with their names."""
    pairs = zip(looks.top_index[view].tolist(), looks.top_probability[view].tolist(), strict=True)
    labels = function.classifier.classes
    return tuple(Answer(index, class_words(labels, index), probability) for index, probability in pairs)


@lru_cache(maxsize=4096)
def class_words(labels: Labels, index: int) -> str:
    """The name of a class; where another class has the same, its number stands behind it: `rifle (764)`."""
    name, known = labels.name(index), labels.known
    return f"{known[index].partition(',')[0]} ({index})" if name == str(index) and known is not None else name


def scene_of(functions: Functions, function_id: str) -> tuple[ImageFunction, int]:
    """The scene or photo of an id, and which of its members.

    Raises:
        InvalidParameterError: It has no pictures, as maps and formulas do.
    """
    function, member = functions.member(function_id)
    if not isinstance(function, ImageFunction):
        raise InvalidParameterError(
            f"{function_id}: an evaluation needs pictures; give scene:NETWORK/CLASS/SHAPE or photo:…"
        )
    return function, member


def look(function: ImageFunction, member: int, theta: FloatArray, kept: KeptAnswers) -> Looks:
    """Ask a network at views theta (N, n) of one shape, or take what was kept of the same views.

    Args:
        function: The scene; it is asked directly, beside any oracle, one query a view.
        member: Which of its members.
        theta: The views.
        kept: Where answers are kept.
    """
    index, name = int(function.class_indices[member]), function.member_ids[member]
    key = answer_key("looks", _VERSION, name, function.fingerprints[member], theta.tolist())
    numbers = kept.find([key]).get(key)
    if numbers is None:
        parts = [
            _asked(function, member, index, theta[first : first + LARGEST_CHUNK])
            for first in range(0, len(theta), LARGEST_CHUNK)
        ]
        numbers = np.concatenate(parts).ravel().tolist() if parts else []
        kept.add({key: numbers})
    table = np.array(numbers, dtype=np.float64).reshape(len(theta), -1 if len(theta) else 2)
    told = (table.shape[1] - 2) // 2
    return Looks(
        function.space,
        theta,
        index,
        table[:, 0],
        table[:, 1],
        table[:, 2 : 2 + told].astype(np.int64),
        table[:, 2 + told :],
    )


def _asked(function: ImageFunction, member: int, index: int, theta: FloatArray) -> FloatArray:
    """Rows (N, 2 + 2 T): unit score, probability, first classes, their probabilities; NaN is told as 0."""
    images = function.images(theta, member)
    scores, probabilities = function.classifier.scores_and_probabilities(images, np.full(len(theta), index))
    known = np.nan_to_num(probabilities, nan=0.0)
    top = np.argsort(-known, axis=1, kind="stable")[:, :TOLD]
    first = np.take_along_axis(known, top, axis=1)
    unit = function.scale.unit(scores)
    return np.column_stack([unit, known[:, index], top.astype(np.float64), first])
