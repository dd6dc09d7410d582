"""Any torch module as a classifier: values and picture gradients by OpenVINO where it converts, else by torch."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeVar, cast, final

import numpy as np
import torch

from semrob_env.errors import ClassifierError, InvalidParameterError
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.openvino_graphs import ConversionError, GradientGraph, Requests, value_requests
from semrob_env.scene.classifiers.score_kinds import MARGIN_BOUND, ScoreKind, score_of
from semrob_env.types import Float32Array, FloatArray, IntArray

Backend = Literal["auto", "openvino", "torch"]
_GraphT = TypeVar("_GraphT", Requests, GradientGraph)

CHUNK, CUDA_CHUNK = 8, 32
"""Pictures a call of torch on the CPU and on another device, always filled up: kernels chosen by batch size may round
differently."""

REPEATS = 3
"""How often a new network is asked for the same picture, to find one that draws random numbers."""


@final
class TorchClassifier(Classifier):
    """A torch module that answers logits (N, labels) to normalised pictures; its softmax is the score by default.

    Values and gradients come from OpenVINO in f32, one picture a request, so that a picture's score does not depend on
    its neighbors. Where OpenVINO cannot convert the module, and on other devices, torch answers (channels_last, fixed
    chunks filled up with black pictures, on CUDA in full f32 with deterministic kernels). Converting and compiling
    takes seconds: for values when it is made, for gradients when the first is asked.

    The module stays the caller's: it is copied, and the copy is put into eval mode, frozen and moved. Before every
    answer the classifier takes over what has changed in weights, buffers or plain attributes of the module, graphs and
    fingerprint included; so one object serves a whole training run. Other code in its `forward` is not seen: then make
    a new classifier.

    Args:
        module: The network; one of lazy layers that has seen no picture is shown one, which gives them their sizes.
        preprocessing: Input size and the normalisation that its weights ask for.
        name: What messages and run keys call it.
        backend: `openvino` insists on it, `torch` avoids it, `auto` falls back.
        weights_digest: Hash of weights and code for run keys, as long as nothing changes; None: computed from
            parameters, buffers, and types and plain attributes of the layers.
        score: What a score is.
        categories: Name of each class; None: ImageNet's for 1000 labels.
        device: Where torch answers; anything but `cpu` rules OpenVINO out.
        chunk: Pictures a call of torch; None: `CHUNK`, or `CUDA_CHUNK` on another device.
        is_own: The module belongs to nobody else: it is used itself, which saves memory, and only writes to its weights
            that torch counts are seen.

    Attributes:
        module: The network as given.

    Raises:
        ClassifierError: The module does not answer logits (N, labels), answers the same picture differently each time,
            or cannot be copied.
        InvalidParameterError: An unknown backend, or a device that is not there.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        preprocessing: Preprocessing,
        *,
        name: str,
        backend: Backend = "auto",
        weights_digest: str | None = None,
        score: ScoreKind = "softmax",
        categories: Sequence[str] | None = None,
        device: str = "cpu",
        chunk: int | None = None,
        is_own: bool = False,
    ) -> None:
        if backend not in ("auto", "openvino", "torch"):
            raise InvalidParameterError(f"unknown backend {backend!r}; choose auto, openvino or torch")
        self._device = _present_device(device)
        is_cpu = self._device.type == "cpu"
        if not is_cpu and backend == "openvino":
            raise InvalidParameterError(f"device {device!r}: OpenVINO runs on the CPU here; use backend auto or torch")
        self.module, self.name, self.score, self.preprocessing = module, name, score, preprocessing
        self._is_own = is_own
        self._backend: Backend = backend if is_cpu else "torch"
        self._wanted_chunk = chunk or (CHUNK if is_cpu else CUDA_CHUNK)
        self._lock = threading.RLock()
        _give_sizes(module, preprocessing.size)
        answer = self._take_over()
        self._seen = self._look()
        super().__init__(
            name,
            preprocessing,
            int(answer.shape[1]),
            has_gradient=True,
            fingerprint={"weights": _digest(module) if weights_digest is None else weights_digest},
            score=score,
            categories=categories,
        )
        # Which one answers values, not which was asked for: runs of both must not share a key.
        self._facts["backend"] = self.backend_in_use("values")

    def _follow(self) -> None:
        with self._lock:
            if self._look() == self._seen:
                return
            labels = self._take_over().shape[1]
            if labels != self.labels:
                raise ClassifierError(f"{self.name} has {labels} classes now, not {self.labels}; make a new classifier")
            self._seen = self._look()  # taking over an own module may move it
            self._facts.update(weights=_digest(self.module), backend=self.backend_in_use("values"))

    def _look(self) -> object:
        """What differs where the module may answer otherwise than before.

        Place and version of every tensor tell of a load, of an optimizer's step and of most else in microseconds.
        Writes through `.data` are not counted by torch: for the module of a caller a checksum of each tensor, and the
        structure, are looked at too: for EfficientNet-Lite0 less than the time of one picture.
        """
        tensors = _tensors(self.module)
        places = [
            (name, tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version, tensor.shape)
            for name, tensor in tensors.items()
        ]
        if self._is_own:
            return places
        return places, [zlib.crc32(_bytes(tensor)) for tensor in tensors.values()], _structure(self.module)

    def _take_over(self) -> torch.Tensor:
        """Make the copy that answers, and ask it for a picture: answers (1, labels)."""
        try:
            own = self.module if self._is_own else copy.deepcopy(self.module)
        except Exception as error:  # whatever a stranger's module raises
            raise ClassifierError(
                f"{self.name} cannot be copied ({_one_line(error)}); give a copy of your own with is_own=True"
            ) from error
        own.requires_grad_(False)
        self._module = ImageNetwork(own, self.preprocessing, is_softmax=self.score == "softmax")
        self._module.eval().to(self._device)
        self._graphs: dict[str, Requests | GradientGraph | None] = {}
        size = self.preprocessing.size
        ramp = torch.linspace(0.0, 1.0, size, device=self._device).expand(1, 3, size, size).contiguous()
        try:
            with torch.no_grad(), _full_precision(self._device):
                answer, *again = (self._module(ramp) for _ in range(REPEATS))
        except Exception as error:  # as above
            raise ClassifierError(
                f"{self.name} cannot answer a picture of shape {tuple(ramp.shape)}: {_one_line(error)}"
            ) from error
        if not isinstance(answer, torch.Tensor) or answer.ndim != 2 or answer.shape[0] != 1:
            shape = tuple(getattr(answer, "shape", ())) or type(answer).__name__
            raise ClassifierError(f"{self.name} answers shape {shape} to one picture; must be (1, labels)")
        if not all(torch.allclose(answer, other, rtol=1e-3, atol=1e-5, equal_nan=True) for other in again):
            raise ClassifierError(
                f"{self.name} answers the same picture differently each time, as with dropout at work; export it after "
                "eval()"
            )
        self._chunk = self._wanted_chunk if self._answers_each_alone(ramp, answer) else 1
        return answer

    def _answers_each_alone(self, image: torch.Tensor, answer: torch.Tensor) -> bool:
        """Whether a picture's answer is the same beside another: not where a layer normalises over the batch."""
        if self._wanted_chunk == 1:
            return False
        try:
            with torch.no_grad(), _full_precision(self._device):
                beside = self._module(torch.cat([image, *(torch.zeros_like(image),) * 3]))[:1]
        except Exception:  # made for one picture only, for example when it was traced
            return False
        return torch.allclose(answer, beside, rtol=1e-4, atol=1e-6, equal_nan=True)

    def backend_in_use(self, kind: Literal["values", "gradients"]) -> str:
        """`openvino` or `torch`: which one answers values, or gradients; converts the module if that is open."""
        graph = self._value_graph() if kind == "values" else self._gradient_graph()
        by_torch = "torch" if self._device.type == "cpu" else f"torch-{self._device.type}"
        return by_torch if graph is None else "openvino"

    def answers(self, images: Float32Array) -> Float32Array:
        """What the network says to pictures (N, 3, H, W): probabilities (N, labels), or logits for other scores."""
        graph = self._value_graph()
        if graph is not None:
            return graph.one_each(images)
        answers = np.empty((len(images), self.labels), dtype=np.float32)
        with torch.inference_mode(), _full_precision(self._device):
            for rows, batch, _ in self._chunks(images, np.zeros(len(images), dtype=np.int64)):
                answers[rows] = self._module(batch).cpu().numpy()[: len(answers[rows])]
        return answers

    def _scores(self, images: Float32Array, class_index: IntArray) -> Float32Array | FloatArray:
        return score_of(self.score, self.answers(images), class_index)

    def _scores_and_gradients(self, images: Float32Array, class_index: IntArray) -> tuple[Float32Array, Float32Array]:
        graph = self._gradient_graph()
        if graph is not None:
            return graph(images, class_index)
        values, gradients = np.empty(len(images), dtype=np.float32), np.empty(images.shape, dtype=np.float32)
        with _full_precision(self._device):
            for rows, batch, one_hot in self._chunks(images, class_index):
                batch.requires_grad_(True)
                answers = self._module(batch)
                scores = _PICKS[self.score](answers, one_hot.to(answers.dtype))
                (slope,) = torch.autograd.grad(scores.sum(), batch)
                kept = len(values[rows])
                values[rows] = scores.detach().cpu().numpy()[:kept]
                gradients[rows] = slope.contiguous().cpu().numpy()[:kept]
        return values, gradients

    def _chunks(
        self, images: Float32Array, class_index: IntArray
    ) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
        """Rows, and of these batches of exactly `chunk` pictures in channels_last and their one-hot classes."""
        for first in range(0, len(images), self._chunk):
            rows = slice(first, first + self._chunk)
            missing = self._chunk - len(images[rows])
            filled = np.pad(np.asarray(images[rows], dtype=np.float32), ((0, missing), (0, 0), (0, 0), (0, 0)))
            batch = torch.from_numpy(filled).contiguous(memory_format=torch.channels_last).to(self._device)
            classes = torch.from_numpy(np.pad(np.asarray(class_index[rows], dtype=np.int64), (0, missing)))
            yield rows, batch, torch.nn.functional.one_hot(classes.to(self._device), self.labels)

    def _value_graph(self) -> Requests | None:
        return self._graph("values", lambda: value_requests(self._module, self.preprocessing.size))

    def _gradient_graph(self) -> GradientGraph | None:
        pick, size = _PICKS[self.score], self.preprocessing.size
        return self._graph("gradients", lambda: GradientGraph(self._module, size, self.labels, pick))

    def _graph(self, kind: str, make: Callable[[], _GraphT]) -> _GraphT | None:
        """The graph of a kind, made when it is first asked for; None: torch answers."""
        if self._backend == "torch":
            return None
        if kind not in self._graphs:
            try:
                self._graphs[kind] = make()
            except ConversionError as error:
                if self._backend == "openvino":
                    raise ClassifierError(
                        f"{self.name}: no OpenVINO graph for {kind} ({error}); use backend auto or torch"
                    ) from error
                self._graphs[kind] = None
        return cast(_GraphT | None, self._graphs[kind])


@final
class ImageNetwork(torch.nn.Module):
    """Normalise, classify and, if asked, softmax: pictures (N, 3, H, W) in [0, 1] to answers (N, labels)."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, module: torch.nn.Module, preprocessing: Preprocessing, *, is_softmax: bool) -> None:
        super().__init__()
        self.module = module
        self.is_softmax = is_softmax
        self.register_buffer("mean", torch.tensor(preprocessing.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).reshape(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (N, labels), or logits."""
        logits: torch.Tensor = self.module((images - self.mean) / self.std)
        return torch.softmax(logits, dim=1) if self.is_softmax else logits


def _present_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).strip().splitlines() or ["it is not there"])[0]
        raise InvalidParameterError(f"device {name!r} cannot be used ({reason}); leave it away for cpu") from error
    return device


def _full_precision(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """On CUDA no TF32 and no kernels that differ from run to run."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    return torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False)


def _own_answer(answers: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
    return (answers * one_hot).sum(dim=1)


def _margin(answers: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
    others = (answers - 1e9 * one_hot).amax(dim=1)  # so far below that the class is never the largest of the others
    return (_own_answer(answers, one_hot) - others).clamp(-MARGIN_BOUND, MARGIN_BOUND)


_PICKS = {"softmax": _own_answer, "margin": _margin, "top1": _own_answer}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _give_sizes(module: torch.nn.Module, size: int) -> None:
    """Let lazy layers find their sizes from a picture; the modes of all layers stay."""
    if not any(torch.nn.parameter.is_lazy(tensor) for tensor in _tensors(module).values()):
        return
    modes = [(layer, layer.training) for layer in module.modules()]
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(1, 3, size, size))
    except Exception:  # whatever a stranger's module raises; it is asked again, and then told
        return
    finally:
        for layer, mode in modes:
            layer.training = mode


def _tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers, those that are not saved included."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _structure(module: torch.nn.Module) -> list[tuple[object, ...]]:
    """Type and plain attributes of every layer: a ReLU is no Tanh, and a temperature counts."""
    return [
        (name, type(layer).__module__, type(layer).__qualname__, *sorted(filter(_is_plain, vars(layer).items())))
        for name, layer in module.named_modules()
    ]


def _is_plain(attribute: tuple[str, object]) -> bool:
    name, value = attribute
    parts = value if isinstance(value, tuple) else (value,)
    return (
        name != "training"
        and not name.startswith("_")
        and all(part is None or isinstance(part, bool | int | float | str) for part in parts)
    )


def _bytes(tensor: torch.Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _digest(module: torch.nn.Module) -> str:
    """SHA-256 of parameters, buffers and structure."""
    digest = hashlib.sha256(repr(_structure(module)).encode())
    for name, tensor in sorted(_tensors(module).items()):
        digest.update(name.encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()
