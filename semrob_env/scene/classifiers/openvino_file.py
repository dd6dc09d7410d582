"""A model file that OpenVINO runs (ONNX, OpenVINO IR) as a classifier; loads no torch.

Run as a program with a path, a size (0: that of the file), an output and a layout, it makes the classifier and ends:
with 0 also where that raises an error, for the caller will meet the same.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, final

from semrob_env.errors import ClassifierError, MissingFileError, RefusedFileError, SemrobError
from semrob_env.files import file_digest, note_file
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.labels import read_labels
from semrob_env.scene.classifiers.onnx_external import model_files
from semrob_env.scene.classifiers.openvino_bounds import check_bounds
from semrob_env.scene.classifiers.openvino_requests import Requests
from semrob_env.scene.classifiers.options import BYTES, MOST_SIDE, RANGES, NetworkOptions
from semrob_env.scene.classifiers.premises import ASSUMED, GIVE_NUMBERS, GIVE_SIZE, Premise, Sources
from semrob_env.scene.classifiers.probes import PROBABILITIES, answers_kind, largest_difference, probe_images
from semrob_env.scene.classifiers.quiet_openvino import FrontEndManager, openvino
from semrob_env.scene.classifiers.score_kinds import logits_of, probabilities_of
from semrob_env.types import Float32Array, FloatArray

REPEATS: Final = 3
"""How often the start-up images are asked, to find a model that changes its answers."""

MOST_SECONDS: Final = 180
MOST_MEMORY: Final = 16 * 2**30, 16
"""What a trial may take: address space in bytes, and as many times the size of its files on top."""


@final
class OpenVinoClassifier(Classifier):
    """A file whose model answers logits or probabilities (1, labels) to one normalized image.

    In f32, one image a request: an image's answer does not depend on its neighbors.

    Args:
        path: The file.
        unnormalized: The model takes images in [0, 1].
        name: What messages and run keys call it.
        options: Input size, normalization, order and layout where the file does not tell them, or they are others; the
            output, score, labels, and what its answers are. Where nothing says so, ImageNet's mean and std are assumed;
            a model that takes bytes gets these, and no mean and std.
        is_trusted: Read it at once; else only if a process of its own survives that: see `_try_out`.

    Raises:
        MissingFileError: There is no such file.
        RefusedFileError: OpenVINO cannot read it, its weights lie outside its folder, it does not take one square
            image, takes any size and none is given, has several outputs, costs too much, or changes its answers.
        ClassifierError: It does not answer (1, labels), or the same image differently each time.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        unnormalized: bool = False,
        name: str = "file",
        options: NetworkOptions | None = None,
        is_trusted: bool = False,
    ) -> None:
        own = options or NetworkOptions()
        path = Path(path)
        files = _model_files(path)
        if not is_trusted:
            _try_out(path, files, own)
        model = _one_output(_read(path), path, own.output)
        told = _fit_input(model, path, own)
        check_bounds(model, str(path))
        self.preprocessing = own.feed(told, unnormalized=unnormalized and not told.is_bytes)
        if self.preprocessing.is_bytes != told.is_bytes:
            kind = model.inputs[0].get_element_type().get_type_name()
            raise RefusedFileError(f"{path}: takes {kind}, so range {own.range} is not its; give {_ranges_of(told)}")
        images = probe_images(told.size)
        try:
            self._requests = Requests(model)
            answers, *again = (self._requests.one_each(self.preprocessing.fed(images)) for _ in range(REPEATS))
        except Exception as error:  # OpenVINO raises many unrelated types
            raise RefusedFileError(f"{path}: OpenVINO cannot run it: {_last_line(error)}") from error
        if answers.ndim != 2:
            raise ClassifierError(f"{path} answers shape {(1, *answers.shape[1:])} to one image; must be (1, labels)")
        if not all(largest_difference(answers, other) <= 1.0 for other in again):
            raise ClassifierError(f"{path} answers the same image differently each time; export it for inference")
        self._kind = answers_kind(answers, own.answers)
        super().__init__(
            name,
            self.preprocessing,
            answers.shape[1],
            has_gradient=False,
            fingerprint={
                "weights": "+".join(map(file_digest, files)),
                "backend": "openvino-file",
                "answers": self._kind.value,
                **({"input": "bytes"} if told.is_bytes else {}),
                **({"output": own.output} if own.output else {}),
            },
            score=own.score,
            categories=read_labels(own.labels) if own.labels else None,
        )

    def _answers_premise(self) -> Premise:
        return self._kind

    def _answers(self, images: Float32Array) -> Float32Array | FloatArray:
        answers: Float32Array | FloatArray = self._requests.one_each(self.preprocessing.fed(images))
        if self._kind.value == PROBABILITIES:
            return answers if self.score == "softmax" else logits_of(answers)
        return probabilities_of(answers) if self.score == "softmax" else answers


def _model_files(path: Path) -> tuple[Path, ...]:
    """The files of a model, which are regular ones or not there."""
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such model file; give its path")
    files = model_files(path)
    for file in files:
        note_file(file)
        if not file.is_file():
            raise MissingFileError(f"{path}: its weights {file.name} are not beside it; put them there")
    return files


def _read(path: Path) -> openvino.Model:
    try:
        if path.suffix == ".xml":
            return openvino.Core().read_model(path)
        # The one front end: read_model tries all, and those of other formats write complaints to the terminal.
        front_end = FrontEndManager().load_by_framework("onnx")
        return front_end.convert(front_end.load(str(path)))
    except Exception as error:  # OpenVINO raises many unrelated types
        raise RefusedFileError(f"{path}: OpenVINO cannot read it, or it is cut off: {_last_line(error)}") from error


def _one_output(model: openvino.Model, path: Path, output: str) -> openvino.Model:
    """The model with the one output that is asked for."""
    names = [sorted(own.get_names()) or [str(place)] for place, own in enumerate(model.outputs)]
    places = [place for place, own in enumerate(names) if output in {*own, str(place)}]
    if not output and len(names) == 1:
        places = [0]
    if len(places) != 1:
        shown = ", ".join(f"{own[0]} {at.get_partial_shape()}" for own, at in zip(names, model.outputs, strict=True))
        told = f"output {output!r} is none of its" if output else "it has"
        raise RefusedFileError(
            f"{path}: {told} {len(names)} outputs ({shown}); say which one holds the classes: --output NAME (in an id "
            "output=NAME)"
        )
    chosen = model.outputs[places[0]]
    if not chosen.get_element_type().is_real():
        kind = chosen.get_element_type().get_type_name()
        raise RefusedFileError(f"{path}: answers whole numbers ({kind}); give a model that answers logits")
    return openvino.Model([chosen], model.get_parameters()) if len(names) > 1 else model


def _fit_input(model: openvino.Model, path: Path, options: NetworkOptions) -> Preprocessing:
    """Set the input to one image; gives what the file says of it, and what is assumed."""
    shown = " and ".join(
        f"{own.get_partial_shape()} of {own.get_element_type().get_type_name()}" for own in model.inputs
    )
    shape = model.inputs[0].get_partial_shape() if len(model.inputs) == 1 else None
    sizes = [] if shape is None or shape.rank.is_dynamic else [n.get_length() if n.is_static else None for n in shape]
    wanted = {"nchw": (False,), "nhwc": (True,)}.get(options.layout, (False, True))
    fits = [is_last for is_last in wanted if len(sizes) == 4 and sizes[3 if is_last else 1] in {3, None}]
    # Where both fit, a 3 that is told says which one; where none is, channels come first, as in most files of ONNX.
    fits.sort(key=lambda is_last: sizes[3 if is_last else 1] is None)
    kind = model.inputs[0].get_element_type().get_type_name() if model.inputs else ""
    if not fits or kind not in INPUTS:
        asked = f", which is not {options.layout}" if options.layout and len(sizes) == 4 else ""
        raise RefusedFileError(
            f"{path}: takes {shown}{asked}; must take one image (N, 3, size, size) or (N, size, size, 3) of "
            f"{', '.join(INPUTS)}"
        )
    is_last, size = fits[0], options.size
    sides = [length for length in (sizes[1:3] if is_last else sizes[2:]) if length is not None]
    if len(set(sides)) > 1 and not size:
        raise RefusedFileError(f"{path}: takes images of {sides[0]} x {sides[1]}; only square ones are rendered")
    if not sides and not size:
        raise RefusedFileError(f"{path}: takes images of any size, {shape}, and does not tell its own; {GIVE_SIZE}")
    side = int(size or sides[0])
    if side > MOST_SIDE:
        raise RefusedFileError(f"{path}: images of {side} x {side}; at most {MOST_SIDE} pixels a side are rendered")
    try:
        model.reshape([1, side, side, 3] if is_last else [1, 3, side, side])
    except Exception as error:  # OpenVINO raises many unrelated types
        raise RefusedFileError(f"{path}: does not take images of {side} x {side}: {_last_line(error)}") from error
    told = Preprocessing(
        side,
        layout="nhwc" if is_last else "nchw",
        sources=Sources(
            f"from the shape {shape} in the file" if sides else "",
            f"{ASSUMED}, as the file says nothing{_own_arithmetic(model)}; {GIVE_NUMBERS}",
        ),
    )
    if kind != "u8":
        return told
    told = replace(told, is_bytes=True, mean=(0.0,) * 3, std=(1.0,) * 3)
    return replace(told, sources=replace(told.sources, numbers="bytes, from the type in the file; rgb assumed"))


def _ranges_of(told: Preprocessing) -> str:
    return BYTES if told.is_bytes else ", ".join(RANGES)


def _own_arithmetic(model: openvino.Model) -> str:
    """A word of warning where the first thing that a model does to an image looks like a normalization."""
    value = model.inputs[0]
    for _ in range(4):
        targets = [target.get_node() for target in value.get_target_inputs()]
        kind = targets[0].get_type_name() if len(targets) == 1 else ""
        if kind in {"Subtract", "Multiply", "Divide", "Add"}:
            return f", but its first step is {kind}: it may normalize by itself, then give --range 0-1 or 0-255"
        if kind not in {"Convert", "Transpose", "Reshape"}:
            return ""
        value = targets[0].output(0)
    return ""


INPUTS = ("f32", "f16", "f64", "u8")
"""Types of inputs that images are fed to: numbers, or bytes."""


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


def _try_out(path: Path, files: Sequence[Path], options: NetworkOptions) -> None:
    """Make the classifier in a process of its own: readers of OpenVINO crash on some broken files.

    Raises:
        RefusedFileError: The process crashed, or took more than `MOST_SECONDS` or `MOST_MEMORY`.
    """
    if not sys.executable:  # an embedded interpreter
        return
    memory = MOST_MEMORY[0] + MOST_MEMORY[1] * sum(file.stat().st_size for file in files)
    folders = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", __name__, os.path.abspath(path), *_words(options), str(memory)],
            env={**os.environ, "PYTHONPATH": folders},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=MOST_SECONDS,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise RefusedFileError(f"{path}: OpenVINO took more than {MOST_SECONDS} s to read and ask it") from error
    if ended:
        raise RefusedFileError(
            f"{path}: a process that read it ended with {ended}: it is broken, or takes too much memory; save it again"
        )


def _words(options: NetworkOptions) -> tuple[str, str, str]:
    return str(options.size), options.output, options.layout


def _main(path: str, size: str, output: str, layout: str, memory: str) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # no such limits on this system
        import resource
        import signal

        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(MOST_SECONDS)  # where who started it is no more
    with contextlib.suppress(SemrobError):
        OpenVinoClassifier(path, options=NetworkOptions(size=int(size), output=output, layout=layout), is_trusted=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
