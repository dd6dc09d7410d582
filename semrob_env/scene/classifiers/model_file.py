"""The network `file`: a whole model from `--weights FILE` (in an id `weights=FILE`), by its ending.

- `.onnx` (weights in it or in files beside it), `.xml` (OpenVINO IR, weights beside it in a `.bin`): by OpenVINO,
  values only. They hold no code, what they may cost is bounded (see `openvino_bounds`), and a file that is not
  trusted is first tried in a process of its own, since a broken one can end the process that OpenVINO runs in.
- `.pt`, `.pth`, `.ts`, `.torchscript`: TorchScript; `.pt2`: torch.export. Values and gradients. Loading one can run
  code that is in the file, so it is done only where the user said so: `--trust-model-file`, or `trust_model_file`.

- `.pt`, `.pth`, `.bin`, `.safetensors` with `factory=module:function`: a state dict of a module of the user, which the
  function makes. Its tensors are read without running anything; the function is code, so it is called only where the
  user said so: `--factory`, or `trust_factory`. Values and gradients.

Few files tell how their images were made. Where nothing tells the size, it must be given; ImageNet's mean and std are
assumed, or none with `feed=unnormalized` or a `range`; an input of bytes gets round(255 * image) whatever the feed. All
of it is told by `Classifier.premises`. A module of the user may say it itself: by an attribute `preprocessing` (a
`Preprocessing`), or timm's `pretrained_cfg`. Images may be channels first or last. Of several outputs `--output NAME`
(`output=NAME`) says which one holds the classes, by name or by its place from 0. Answers that are probabilities already
(not negative, each row's sum 1, on all start-up images) get no second softmax; `answers=` says otherwise.

What is read is bounded: 16 GiB a file, zips by what they unpack to, ONNX and IR by `openvino_bounds` as well. How long
TorchScript, torch.export and a factory take is not: they are code, and were trusted.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import torch

from semrob_env.errors import InvalidParameterError, MissingFileError, RefusedFileError
from semrob_env.scene.classifiers.base import Classifier, Layout, Preprocessing
from semrob_env.scene.classifiers.names import FILE
from semrob_env.scene.classifiers.openvino_file import OpenVinoClassifier
from semrob_env.scene.classifiers.options import NetworkOptions, is_trusted
from semrob_env.scene.classifiers.own_modules import made_by, told_by
from semrob_env.scene.classifiers.premises import ASSUMED, GIVE_NUMBERS, GIVE_SIZE, Sources
from semrob_env.scene.classifiers.weights import classifier_of, refuse_size

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
    name, own = f"{FILE}:{path.name}", replace(own, size=size or own.size)
    if own.factory:
        made = made_by(own.factory, path)
        told = told_by(made) or _assumed(path, own, None)
        picked = _PickedOutput(made, own.output) if own.output else made
        rest = replace(own, output="", factory="")
        return classifier_of(picked, name, path, told, rest, unnormalized=unnormalized, has_own_code=True)
    if path.suffix in OPENVINO:
        if own.device != "cpu":
            raise InvalidParameterError(f"{path}: OpenVINO runs it on the CPU; leave device {own.device!r} away")
        return OpenVinoClassifier(
            path, unnormalized=unnormalized, name=name, options=own, is_trusted=is_trusted(own.weights)
        )
    module = _loaded(path, own.output)
    if module.is_exported and own.device != "cpu":
        raise InvalidParameterError(f"{path}: an exported program stays on its device; leave {own.device!r} away")
    chunk = 1  # an exported program may take one image only
    return classifier_of(
        module,
        name,
        path,
        _assumed(path, own, module.shape),
        replace(own, output=""),
        unnormalized=unnormalized,
        chunk=chunk,
    )


def _assumed(path: Path, options: NetworkOptions, shape: Sequence[int | None] | None) -> Preprocessing:
    """What a file tells of its images by a shape (N, 3, size, size), and what is assumed of the rest.

    Raises:
        RefusedFileError: Nobody tells the size.
    """
    numbers = f"{ASSUMED}, as the file says nothing; {GIVE_NUMBERS}"
    layout: Layout = "nhwc" if shape and len(shape) == 4 and shape[1] != 3 and shape[3] == 3 else "nchw"
    told = set(shape[1:3] if layout == "nhwc" else shape[2:]) if shape else set()
    (side,) = told if len(told) == 1 else (None,)
    if not options.size and side is None:
        raise RefusedFileError(f"{path}: does not tell the size of its images; {GIVE_SIZE}")
    source = f"from the shape {tuple(shape)} in the file" if shape and side else ""
    return Preprocessing(options.size or side or 0, layout=layout, sources=Sources(source, numbers))


def _loaded(path: Path, output: str) -> _LoadedModel:
    """The module of a trusted file."""
    if path.suffix not in (*TORCHSCRIPT, *EXPORTED):
        known = ", ".join((*OPENVINO, *TORCHSCRIPT, *EXPORTED))
        raise RefusedFileError(f"{path}: no known kind of model file; known endings are {known}")
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such model file; give its path")
    refuse_size(path)
    if not is_trusted(str(path)):
        raise RefusedFileError(
            f"{path}: loading TorchScript and torch.export files can run code in them; give --trust-model-file "
            "(in Python trust_model_file(path)) if you trust where it comes from, or save it as ONNX"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is an old format concerns who saved the file
            if path.suffix in EXPORTED:
                program = torch.export.load(path)
                return _LoadedModel(program.module(), output, is_exported=True, shape=_example_shape(program))
            scripted = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
            return _LoadedModel(scripted, output, is_exported=False).eval()
    except Exception as error:  # what a broken file makes torch raise
        kind = "a torch.export program" if path.suffix in EXPORTED else "a TorchScript model (a bare state dict is not)"
        raise RefusedFileError(f"{path}: cannot be read as {kind}, or is cut off; save it again") from error


def _example_shape(program: torch.export.ExportedProgram) -> tuple[int | None, ...] | None:
    """Shape of the one input of an exported program; None for what it leaves open."""
    wanted = program.graph_signature.user_inputs
    shapes = [
        node.meta["val"].shape for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted
    ]
    return tuple(n if isinstance(n, int) else None for n in shapes[0]) if len(shapes) == 1 else None


class _PickedOutput(torch.nn.Module):
    """A model, and of its outputs the one that is asked for, by key or place."""

    def __init__(self, model: torch.nn.Module | None, output: str) -> None:
        super().__init__()
        self.model, self.output = model, output

    def forward(self, images: torch.Tensor) -> Any:
        return self.picked(self.model(images))  # type: ignore[misc]

    def picked(self, answers: Any) -> Any:
        """The one output, or what is told as one that is no tensor."""
        if self.output and isinstance(answers, Mapping) and self.output in answers:
            return answers[self.output]
        parts = tuple(answers.values()) if isinstance(answers, Mapping) else answers
        if self.output.isdecimal() and isinstance(parts, tuple | list) and int(self.output) < len(parts):
            return parts[int(self.output)]
        return (answers,) if self.output else answers


@final
class _LoadedModel(_PickedOutput):
    """A loaded model; shape: of its images, where it tells one."""

    def __init__(
        self, model: torch.nn.Module, output: str, *, is_exported: bool, shape: tuple[int | None, ...] | None = None
    ) -> None:
        # An exported program refuses `eval` as a submodule; it was exported in one mode, on one device.
        super().__init__(None if is_exported else model, output)
        self._hidden = [model] if is_exported else []
        self.is_exported, self.shape = is_exported, shape
        for weight in model.parameters():  # one by one: TorchScript knows no requires_grad_
            weight.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> Any:
        return self.picked((self.model or self._hidden[0])(images))
