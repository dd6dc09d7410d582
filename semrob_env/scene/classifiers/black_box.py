"""Any Python callable as a classifier: a remote service, another framework, a formula. No gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import ClassifierError
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.types import Float32Array, FloatArray, IntArray


@final
class BlackBoxClassifier(Classifier):
    """A callable `probabilities(pictures (N, 3, size, size) float32 in [0, 1]) -> (N, labels)`.

    The callable does its own normalisation. It must answer each picture alone.

    Args:
        probabilities: The callable.
        labels: Number of classes it answers.
        size: Height and width of the pictures it wants.
        name: What messages and run keys call it; name the version, as its weights cannot be hashed.
    """

    def __init__(
        self,
        probabilities: Callable[[Float32Array], npt.ArrayLike],
        *,
        labels: int = 1000,
        size: int = 224,
        name: str = "callable",
    ) -> None:
        preprocessing = Preprocessing(size).unnormalized()
        super().__init__(name, preprocessing, labels, has_gradient=False, fingerprint={"backend": "callable"})
        self._probabilities = probabilities

    def _scores(self, pictures: Float32Array, class_index: IntArray) -> FloatArray:
        answer = np.asarray(self._probabilities(pictures), dtype=np.float64)
        if answer.shape != (len(pictures), self.labels):
            raise ClassifierError(
                f"{self.name} answered shape {answer.shape} to {len(pictures)} pictures; "
                f"must be ({len(pictures)}, {self.labels})"
            )
        return np.asarray(answer[np.arange(len(pictures)), class_index])
