"""A whole model from an ONNX or OpenVINO IR file, run by OpenVINO: values only. Such files hold no code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np

from semrob_env.containment import inside
from semrob_env.errors import ClassifierError, MissingFileError, RefusedFileError
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.onnx_external import external_files
from semrob_env.scene.classifiers.openvino_graphs import Requests
from semrob_env.scene.classifiers.quiet_openvino import FrontEndManager, openvino
from semrob_env.scene.classifiers.score_kinds import ScoreKind, logits_of, score_of
from semrob_env.scene.classifiers.weights import file_digest
from semrob_env.types import Float32Array, FloatArray, IntArray

SUFFIXES = (".onnx", ".xml")
"""ONNX, with weights in it or in files beside it; OpenVINO IR, whose weights lie beside it in a `.bin`."""


@final
class OpenVinoClassifier(Classifier):
    """A file whose model answers logits or probabilities (1, labels) to a normalised picture (1, 3, size, size).

    In f32, one picture a request: a picture's answer does not depend on its neighbours. Answers that are
    probabilities already (not negative, each row's sum 1, on two start-up pictures) get no second softmax.

    Args:
        path: The file.
        unnormalized: The model takes pictures in [0, 1]; else ImageNet's mean and std are applied before it.
        size: Input size in pixels; None: that of the file, or 224 where it leaves it open.
        name: What messages and run keys call it.
        score: What a score is.
        categories: Name of each class; None: ImageNet's for 1000 labels.

    Raises:
        MissingFileError: There is no such file.
        RefusedFileError: OpenVINO cannot read it, its weights lie outside its folder, or it does not take one picture.
        ClassifierError: It does not answer (1, labels).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        unnormalized: bool = False,
        size: int | None = None,
        name: str = "file",
        score: ScoreKind = "softmax",
        categories: Sequence[str] | None = None,
    ) -> None:
        path = Path(path)
        files = (path, path.with_suffix(".bin")) if path.suffix == ".xml" else (path,)
        model = _read(path)
        side = _fit_input(model, path, size)
        try:
            self._requests = Requests(model)
            ramp = np.broadcast_to(np.linspace(-2.0, 2.0, side), (3, side, side))
            answers = self._requests.one_each(np.stack([np.zeros_like(ramp), ramp]).astype(np.float32))
        except Exception as error:  # OpenVINO raises many unrelated types
            raise RefusedFileError(f"{path}: OpenVINO cannot run it: {_last_line(error)}") from error
        if answers.ndim != 2:
            raise ClassifierError(f"{path} answers shape {(1, *answers.shape[1:])} to one picture; must be (1, labels)")
        self._gives_probabilities = are_probabilities(answers)
        preprocessing = Preprocessing(side)
        super().__init__(
            name,
            preprocessing.unnormalized() if unnormalized else preprocessing,
            answers.shape[1],
            has_gradient=False,
            fingerprint={
                "weights": "+".join(map(file_digest, files)),
                "backend": "openvino-file",
                "answers": "probabilities" if self._gives_probabilities else "logits",
            },
            score=score,
            categories=categories,
        )

    def _scores(self, pictures: Float32Array, class_index: IntArray) -> Float32Array | FloatArray:
        mean, std = (
            np.array(numbers, dtype=np.float32).reshape(3, 1, 1)
            for numbers in (self.preprocessing.mean, self.preprocessing.std)
        )
        answers: Float32Array | FloatArray = self._requests.one_each((pictures - mean) / std)
        if self._gives_probabilities:
            answers = answers if self.score == "softmax" else logits_of(answers)
        elif self.score == "softmax":
            powers = np.exp(answers.astype(np.float64) - answers.max(axis=1, keepdims=True, initial=-np.inf))
            answers = powers / powers.sum(axis=1, keepdims=True)
        return score_of(self.score, answers, class_index)


def are_probabilities(answers: Float32Array) -> bool:
    """Whether answers (N, labels) are probabilities: not negative, each row's sum 1."""
    return bool((answers >= 0).all() and np.allclose(answers.sum(axis=1), 1.0, atol=1e-3))


def _read(path: Path) -> openvino.Model:
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such model file; give its path")
    weights = path.with_suffix(".bin")
    if path.suffix != ".xml":
        external_files(path)  # newer OpenVINO checks paths as well, but reads any address of memory that a file names
    elif not weights.is_file():
        raise MissingFileError(f"{path}: its weights {weights.name} are not beside it; put them there")
    else:
        try:
            inside(path.parent, weights.name)
        except RefusedFileError as error:
            raise RefusedFileError(f"{path}: its weights {error}") from error
    try:
        if path.suffix == ".xml":
            return openvino.Core().read_model(path)
        # The one front end: read_model tries all, and those of other formats write complaints to the terminal.
        front_end = FrontEndManager().load_by_framework("onnx")
        return front_end.convert(front_end.load(str(path)))
    except Exception as error:  # OpenVINO raises many unrelated types
        raise RefusedFileError(f"{path}: OpenVINO cannot read it, or it is cut off: {_last_line(error)}") from error


def _fit_input(model: openvino.Model, path: Path, size: int | None) -> int:
    """Set the input to (1, 3, size, size); gives the size."""
    shape = model.inputs[0].get_partial_shape() if len(model.inputs) == 1 else None
    if shape is None or shape.rank.is_dynamic or len(shape) != 4 or (shape[1].is_static and shape[1].get_length() != 3):
        shown = [str(own.get_partial_shape()) for own in model.inputs]
        raise RefusedFileError(f"{path}: takes {' and '.join(shown)}; must take one picture (N, 3, size, size)")
    side = size or (shape[2].get_length() if shape[2].is_static else Preprocessing().size)
    try:
        model.reshape([1, 3, side, side])
    except Exception as error:  # as above
        raise RefusedFileError(f"{path}: does not take pictures of {side} x {side}: {_last_line(error)}") from error
    return int(side)


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
