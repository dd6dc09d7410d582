"""Any Python callable as a classifier: a remote service, another framework, a formula. No gradient.

A service behind HTTP that takes images as JSON, (N, 3, size, size) in [0, 1], and answers N rows of probabilities:

    import json
    import urllib.request
    from semrob_env.scene.classifiers.black_box import BlackBoxClassifier

    def ask(images):
        request = urllib.request.Request("http://127.0.0.1:8000/classify", json.dumps(images.tolist()).encode())
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    service = BlackBoxClassifier(ask, labels=3, size=32, name="service-v3", categories=["lamp", "seat", "table"])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import ClassifierError
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.premises import Sources
from semrob_env.scene.classifiers.score_kinds import ScoreKind, logits_of
from semrob_env.types import Float32Array, FloatArray


@final
class BlackBoxClassifier(Classifier):
    """A callable `probabilities(images (N, 3, size, size) float32 in [0, 1]) -> (N, labels)`.

    The callable does its own normalization: it gets images in [0, 1], whatever `preprocessing` says for run keys and
    people. It must answer each picture alone. What it raises becomes one
    ClassifierError: the oracle then charges nothing of that call.

    Args:
        probabilities: The callable.
        labels: Number of classes it answers.
        size: Height and width of the pictures it wants.
        name: What messages and run keys call it; name the version, as its weights cannot be hashed.
        score: What a score is; `margin` is that of the logarithms of its probabilities.
        categories: Name of each class; None: ImageNet's for 1000 labels.
        preprocessing: What the callable does with images, its size in place of `size`; None: nothing is told.
    """

    def __init__(
        self,
        probabilities: Callable[[Float32Array], npt.ArrayLike],
        *,
        labels: int = 1000,
        size: int = 224,
        name: str = "callable",
        score: ScoreKind = "softmax",
        categories: Sequence[str] | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        if preprocessing is None:
            sources = Sources("as made in Python: size=...", "its callable gets images so, and does the rest")
            preprocessing = replace(Preprocessing(size).unnormalized(), sources=sources)
        super().__init__(
            name,
            preprocessing,
            labels,
            has_gradient=False,
            fingerprint={"backend": "callable"},
            score=score,
            categories=categories,
        )
        self._probabilities = probabilities

    def _answers(self, images: Float32Array) -> FloatArray:
        try:
            answer = np.asarray(self._probabilities(images), dtype=np.float64)
        except Exception as error:  # a remote service, or a stranger's code, may raise anything
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ClassifierError(f"{self.name} failed on {len(images)} pictures, none is charged: {reason}") from error
        # Of another shape, it is told as it is: the base class says which.
        return answer if self.score == "softmax" or answer.ndim != 2 else logits_of(answer)
