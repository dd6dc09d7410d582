"""A classifier with another score: what it answers is the same, what a score is changes."""

from __future__ import annotations

from typing import final

import numpy as np

from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.premises import Premise
from semrob_env.scene.classifiers.score_kinds import ScoreKind, logits_of, probabilities_of
from semrob_env.types import Float32Array, FloatArray


@final
class RescoredClassifier(Classifier):
    """The answers of a classifier under another score; it has no gradient, and follows what the classifier follows.

    A margin is that of the logarithms of probabilities where the classifier answers these: the same but for rounding.

    Args:
        classifier: Who answers.
        score: What a score is.
    """

    def __init__(self, classifier: Classifier, score: ScoreKind) -> None:
        super().__init__(
            classifier.name,
            classifier.preprocessing,
            classifier.labels,
            has_gradient=False,
            fingerprint={},
            score=score,
            categories=classifier.classes.names,
        )
        self._classifier = classifier
        self._follow()

    def _answers_premise(self) -> Premise:
        return self._classifier._answers_premise()

    def _follow(self) -> None:
        # The answers differ by rounding from those of a classifier made with this score: another fingerprint.
        self._facts = {**self._classifier.fingerprint, "score": f"{self.score} of {self._classifier.score}"}

    def _answers(self, images: Float32Array) -> FloatArray | Float32Array:
        answers = np.asarray(self._classifier._told(images), dtype=np.float64)
        if (self._classifier.score == "softmax") == (self.score == "softmax"):
            return answers
        return probabilities_of(answers) if self.score == "softmax" else logits_of(answers)
