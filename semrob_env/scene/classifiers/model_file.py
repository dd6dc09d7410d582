"""The network `file`: a whole model from `--weights FILE` (in an id `weights=FILE`), by its ending.

- `.onnx` (weights in it or in files beside it), `.xml` (OpenVINO IR, weights beside it in a `.bin`): by OpenVINO,
  values only. They hold no code, what they may cost is bounded (see `openvino_bounds`), and a file that is not
  trusted is first tried in a process of its own, since a broken one can end the process that OpenVINO runs in.
- `.pt`, `.pth`, `.ts`, `.torchscript`: TorchScript; `.pt2`: torch.export. Values and gradients. Loading one can run
  code that is in the file, so it is done only where the user said so: `--trust-model-file`, or `trust_model_file`.

No file tells how its images were normalized: ImageNet's mean and std are applied, or none with `feed=unnormalized`; an
input of bytes gets round(255 * image) whatever the feed. For other numbers make the classifier in Python and name it
with `register_network`. Images may be channels first or last. Of several outputs `--output NAME` (`output=NAME`) says
which one holds the classes, by name or by its place from 0. Answers that are probabilities already (not negative, each
row's sum 1, on all start-up images) get no second softmax.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import torch

from semrob_env.errors import InvalidParameterError, MissingFileError, RefusedFileError
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.labels import read_labels
from semrob_env.scene.classifiers.names import FILE
from semrob_env.scene.classifiers.openvino_file import OpenVinoClassifier
from semrob_env.scene.classifiers.options import NetworkOptions, is_trusted
from semrob_env.scene.classifiers.weights import classifier_of

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
            path,
            unnormalized=unnormalized,
            size=size,
            name=name,
            score=own.score,
            categories=categories,
            output=own.output,
            is_trusted=is_trusted(own.weights),
        )
    module = _loaded(path, own.output)
    if module.is_exported and own.device != "cpu":
        raise InvalidParameterError(f"{path}: an exported program stays on its device; leave {own.device!r} away")
    preprocessing = Preprocessing(size or Preprocessing().size)
    chunk = 1  # an exported program may take one image only
    return classifier_of(
        module, name, path, preprocessing, replace(own, output=""), unnormalized=unnormalized, chunk=chunk
    )


def _loaded(path: Path, output: str) -> _LoadedModel:
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
                return _LoadedModel(torch.export.load(path).module(), output, is_exported=True)
            scripted = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
            return _LoadedModel(scripted, output, is_exported=False).eval()
    except Exception as error:  # what a broken file makes torch raise
        kind = "a torch.export program" if path.suffix in EXPORTED else "a TorchScript model (a bare state dict is not)"
        raise RefusedFileError(f"{path}: cannot be read as {kind}, or is cut off; save it again") from error


@final
class _LoadedModel(torch.nn.Module):
    """A loaded model, and of its outputs the one that is asked for, by key or place."""

    def __init__(self, model: torch.nn.Module, output: str, *, is_exported: bool) -> None:
        super().__init__()
        # An exported program refuses `eval` as a submodule; it was exported in one mode, on one device.
        self._hidden = [model] if is_exported else []
        self.model = None if is_exported else model
        self.is_exported, self.output = is_exported, output
        for weight in model.parameters():  # one by one: TorchScript knows no requires_grad_
            weight.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> Any:
        answers = (self.model or self._hidden[0])(images)
        if self.output and isinstance(answers, Mapping) and self.output in answers:
            return answers[self.output]
        parts = tuple(answers.values()) if isinstance(answers, Mapping) else answers
        if self.output.isdecimal() and isinstance(parts, tuple | list) and int(self.output) < len(parts):
            return parts[int(self.output)]
        return (answers,) if self.output else answers  # which is told as one output that is no tensor
