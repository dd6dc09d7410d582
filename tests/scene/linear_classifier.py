"""A classifier of two classes whose logit is linear in the image, in float64: its gradients are known exactly."""

from __future__ import annotations

from typing import final

import numpy as np

from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.types import Float32Array, FloatArray, IntArray


@final
class LinearClassifier(Classifier):
    """Class 1 has the probability 1 / (1 + exp(-sum of weights * image)); weights are smooth and differ by channel."""

    def __init__(self, size: int = 48, preprocessing: Preprocessing | None = None, *, seed: int = 0) -> None:
        own = preprocessing or Preprocessing(size)
        super().__init__("linear", own, 2, has_gradient=True, fingerprint={"seed": str(seed)})
        rng = np.random.default_rng(seed)
        places = np.linspace(0, 2 * np.pi, own.size)
        phases = rng.uniform(0, 2 * np.pi, (3, 2))
        across, down = np.sin(places + phases[:, :1]), np.sin(1.5 * places + phases[:, 1:])
        self.weights: FloatArray = 6 / own.size**2 * (across[:, None, :] * down[:, :, None] + 0.1)

    def _answers(self, images: Float32Array) -> FloatArray:
        logits = np.array([np.sum(self.weights * image) for image in images.astype(np.float64)])
        one = 1 / (1 + np.exp(-logits))
        return np.stack([1 - one, one], axis=1)

    def _scores_and_gradients(self, images: Float32Array, class_index: IntArray) -> tuple[FloatArray, Float32Array]:
        one = self._answers(images)[:, 1]
        slopes = one * (1 - one) * np.where(class_index == 1, 1, -1)
        scores = np.where(class_index == 1, one, 1 - one)
        return scores, (slopes[:, None, None, None] * self.weights).astype(np.float32)
