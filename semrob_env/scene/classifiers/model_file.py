"""The network `file`: a whole model from `--weights FILE` (in an id `weights=FILE`), by its ending.

- `.onnx` (weights in it or in files beside it), `.xml` (OpenVINO IR, weights beside it in a `.bin`): by OpenVINO,
  values only. They hold no code.
- `.pt`, `.pth`, `.ts`, `.torchscript`: TorchScript; `.pt2`: torch.export. Values and gradients. Loading one can run
  code that is in the file, so it is done only where the user said so: `--trust-model-file`, or `trust_model_file`.

No file tells how its pictures were normalized: ImageNet's mean and std are applied, or none with
`feed=unnormalized`. For other numbers make the classifier in Python and name it with `register_network`. Answers that
are probabilities already (not negative, each row's sum 1, on two start-up pictures) get no second softmax.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch

from semrob_env.containment import inside
from semrob_env.errors import ClassifierError, InvalidParameterError, MissingFileError, RefusedFileError
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.labels import read_labels
from semrob_env.scene.classifiers.names import FILE
from semrob_env.scene.classifiers.onnx_external import external_files
from semrob_env.scene.classifiers.openvino_graphs import Requests
from semrob_env.scene.classifiers.options import NetworkOptions, is_trusted
from semrob_env.scene.classifiers.quiet_openvino import FrontEndManager, openvino
from semrob_env.scene.classifiers.score_kinds import ScoreKind, logits_of, score_of
from semrob_env.scene.classifiers.weights import classifier_of, file_digest
from semrob_env.types import Float32Array, FloatArray, IntArray

OPENVINO = (".onnx", ".xml")
TORCHSCRIPT = (".pt", ".pth", ".ts", ".torchscript")
EXPORTED = (".pt2",)


def file_network(
    *, unnormalized: bool = False, size: int | None = None, options: NetworkOptions | None = None
) -> Classifier:
    """The classifier in `options.weights`.

    Args:
        unnormalized: Feed pictures in [0, 1] as they are.
        size: Input size in pixels; None: that of the file where it tells one, else 224.
        options: With `weights`; see `NetworkOptions`.

    Raises:
        InvalidParameterError: No file given, or a device for a file that OpenVINO runs.
        MissingFileError: There is no such file.
        RefusedFileError: Another kind of file, one that cannot be read, or one that can run code and is not trusted.
        ClassifierError: It does not answer (1, labels) to a picture.
    """
    own = options or NetworkOptions()
    if not own.weights:
        raise InvalidParameterError(f"network {FILE} is a whole model: give --weights FILE (in an id weights=FILE)")
    path = Path(own.weights)
    name = f"{FILE}:{path.name}"
    if path.suffix in OPENVINO:
        if own.device != "cpu":
            raise InvalidParameterError(f"{path}: OpenVINO runs it on the CPU; leave device {own.device!r} away")
        categories = read_labels(own.labels) if own.labels else None
        return OpenVinoClassifier(
            path, unnormalized=unnormalized, size=size, name=name, score=own.score, categories=categories
        )
    module = _loaded(path)
    if module.is_exported and own.device != "cpu":
        raise InvalidParameterError(f"{path}: an exported program stays on its device; leave {own.device!r} away")
    preprocessing = Preprocessing(size or Preprocessing().size)
    module.look_at_answers(preprocessing.size)
    chunk = 1  # an exported program may take one picture only
    return classifier_of(module, name, path, preprocessing, own, unnormalized=unnormalized, chunk=chunk)


@final
class OpenVinoClassifier(Classifier):
    """A file whose model answers logits or probabilities (1, labels) to a normalized picture (1, 3, size, size).

    In f32, one picture a request: a picture's answer does not depend on its neighbors.

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
        self._gives_probabilities = _are_probabilities(answers)
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

    def _scores(self, images: Float32Array, class_index: IntArray) -> Float32Array | FloatArray:
        feed = self.preprocessing
        mean, std = (np.array(numbers, dtype=np.float32).reshape(3, 1, 1) for numbers in (feed.mean, feed.std))
        answers: Float32Array | FloatArray = self._requests.one_each((images - mean) / std)
        if self._gives_probabilities:
            answers = answers if self.score == "softmax" else logits_of(answers)
        elif self.score == "softmax":
            powers = np.exp(answers.astype(np.float64) - answers.max(axis=1, keepdims=True, initial=-np.inf))
            answers = powers / powers.sum(axis=1, keepdims=True)
        return score_of(self.score, answers, class_index)


def _are_probabilities(answers: Float32Array) -> bool:
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


def _loaded(path: Path) -> _LoadedModel:
    """The module of a trusted file."""
    if path.suffix not in (*TORCHSCRIPT, *EXPORTED):
        known = ", ".join((*OPENVINO, *TORCHSCRIPT, *EXPORTED))
        raise RefusedFileError(f"{path}: no known kind of model file; known endings are {known}")
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such model file; give its path")
    if not is_trusted(str(path)):
        raise RefusedFileError(
            f"{path}: loading TorchScript and torch.export files can run code in them; give --trust-model-file "
            "(in Python trust_model_file(path)) if you trust where it comes from, or save it as ONNX"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is an old format concerns who saved the file
            if path.suffix in EXPORTED:
                return _LoadedModel(torch.export.load(path).module(), is_exported=True)
            scripted = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
            return _LoadedModel(scripted, is_exported=False).eval()
    except Exception as error:  # what a broken file makes torch raise
        kind = "a torch.export program" if path.suffix in EXPORTED else "a TorchScript model (a bare state dict is not)"
        raise RefusedFileError(f"{path}: cannot be read as {kind}, or is cut off; save it again") from error


@final
class _LoadedModel(torch.nn.Module):
    """A loaded model that answers logits: probabilities become their logarithms, whose softmax they are."""

    def __init__(self, model: torch.nn.Module, *, is_exported: bool) -> None:
        super().__init__()
        # An exported program refuses `eval` as a submodule; it was exported in one mode, on one device.
        self._hidden = [model] if is_exported else []
        self.model = None if is_exported else model
        self.is_exported = is_exported
        self.gives_probabilities = False
        for weight in model.parameters():  # one by one: TorchScript knows no requires_grad_
            weight.requires_grad_(False)

    def look_at_answers(self, size: int) -> None:
        """Find out whether the model answers probabilities; a failure is told elsewhere."""
        ramp = torch.linspace(-2.0, 2.0, size).expand(1, 3, size, size).contiguous()
        try:
            with torch.no_grad():
                answers = torch.cat([self(torch.zeros_like(ramp)), self(ramp)])
            self.gives_probabilities = answers.ndim == 2 and _are_probabilities(answers.numpy())
        except Exception:  # whatever a stranger's model raises; TorchClassifier asks it again, and tells
            self.gives_probabilities = False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = (self.model or self._hidden[0])(images)
        return answers.clamp_min(1e-30).log() if self.gives_probabilities else answers
