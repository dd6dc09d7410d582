"""Any torch module as a classifier: values and picture gradients by OpenVINO where it converts, else by torch."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast, final

import numpy as np
import torch

from semrob_env.errors import ClassifierError, InvalidParameterError, OtherProcessError
from semrob_env.processes import THIS, TORCH
from semrob_env.scene.classifiers import module_code
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.module_code import structure, tensor_bytes, tensors_of, told
from semrob_env.scene.classifiers.openvino_graphs import (
    ConversionError,
    DifferenceError,
    GradientGraph,
    value_requests,
)
from semrob_env.scene.classifiers.openvino_requests import Requests
from semrob_env.scene.classifiers.options import ANSWERS
from semrob_env.scene.classifiers.premises import Premise
from semrob_env.scene.classifiers.probes import (
    LEAST_PROBABILITY,
    PROBABILITIES,
    answers_kind,
    largest_difference,
    log_probabilities,
    probe_images,
)
from semrob_env.scene.classifiers.score_kinds import MARGIN_BOUND, ScoreKind
from semrob_env.types import Float32Array, IntArray

Backend = Literal["auto", "openvino", "torch"]
_GraphT = TypeVar("_GraphT", Requests, GradientGraph)

CHUNK, CUDA_CHUNK = 8, 32
"""Pictures a call of torch on the CPU and on another device, always filled up: kernels chosen by batch size may round
differently."""

REPEATS, MOST_REPEATS = 1, 12
"""How often a new network is asked for the same image again, to find one that changes its answers; and where its trace
does not tell whether it draws random numbers."""

MANY_REPEATS, MOST_REPEAT_SECONDS = 200, 10.0
"""How often, and how long at most, a network is asked for the same image that changes itself with every answer."""

STEADY_IMAGES = 32
"""After so many images torch is asked for a start-up image again."""

_LOOKS = "its code looks at numbers of the image, and a recorded graph would keep the branch that one image takes"


@final
class TorchClassifier(Classifier):
    """A torch module that answers logits (N, labels) to normalised pictures; its softmax is the score by default.

    Values and gradients come from OpenVINO in f32, one image a request, so that an image's score does not depend on its
    neighbors. Where OpenVINO cannot convert the module, or answers start-up images otherwise than torch, which is told
    in a warning, and on other devices, torch answers (channels_last, fixed chunks filled up with black images, on CUDA
    in full f32 with deterministic kernels; one by one where an answer depends on its neighbors). Converting and
    compiling takes seconds: for values when it is made, for gradients when the first is asked. Values and values with
    gradients are answers of two graphs: they differ by rounding, for softmax by less than 1e-5.

    The module stays the caller's: it is copied, and the copy is put into eval mode, frozen and moved. Before every
    answer the classifier takes over what has changed in weights, buffers or plain attributes of the module, graphs and
    fingerprint included; so one object serves a whole training run. Other code in its `forward` is not seen: then make
    a new classifier.

    The fingerprint holds a hash of the weights and one of the code: the traced graph, with all numbers and constants in
    it, and for a module without `weights_digest` the bytecode and plain attributes of its layers, where branches stand
    that the trace did not take. Where a module cannot be traced its `code` is `untraced`: then what its methods call
    elsewhere is not covered.

    Args:
        module: The network; one of lazy layers that has seen no image is shown one, which gives them their sizes. It
            answers logits, or probabilities: not negative, each row's sum 1 on all start-up images.
        preprocessing: Input size and the normalisation that its weights ask for; one of bytes has no gradient.
        name: What messages and run keys call it.
        backend: `openvino` insists on it, `torch` avoids it, `auto` falls back.
        weights_digest: Hash of the weights for run keys, as long as nothing changes; None: computed.
        score: What a score is.
        categories: Name of each class; None: ImageNet's for 1000 labels.
        device: Where torch answers; anything but `cpu` rules OpenVINO out.
        chunk: Images a call of torch; None: `CHUNK`, or `CUDA_CHUNK` on another device.
        is_own: The module belongs to nobody else: it is used itself, which saves memory, and only writes to its weights
            that torch counts are seen.
        answers: What it answers, `logits` or `probabilities`; empty: told by the sums of its answers.

    Attributes:
        module: The network as given.

    Raises:
        ClassifierError: The module does not answer (N, labels), answers the same image differently each time or after
            some calls, or cannot be copied.
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
        answers: str = "",
    ) -> None:
        if backend not in ("auto", "openvino", "torch"):
            raise InvalidParameterError(f"unknown backend {backend!r}; choose auto, openvino or torch")
        TORCH.enter()
        if THIS.is_forked:
            torch.set_num_threads(1)  # others that a parent has started itself stayed there
        self._device = _present_device(device)
        is_cpu = self._device.type == "cpu"
        if answers not in {"", *ANSWERS}:
            raise InvalidParameterError(f"answers {answers[:40]!r}: choose {' or '.join(ANSWERS)}")
        if not is_cpu and backend == "openvino":
            raise InvalidParameterError(f"device {device!r}: OpenVINO runs on the CPU here; use backend auto or torch")
        self.module, self.name, self.score, self.preprocessing = module, name, score, preprocessing
        self._is_own, self._asked = is_own, answers
        self._backend: Backend = backend if is_cpu else "torch"
        self._wanted_chunk = chunk or (CHUNK if is_cpu else CUDA_CHUNK)
        self._lock = threading.RLock()
        _give_sizes(module, preprocessing)
        self._take_over()
        self._seen = self._look()
        super().__init__(
            name,
            preprocessing,
            self._expected.shape[1],
            has_gradient=not preprocessing.is_bytes,
            fingerprint=self._facts_now(weights_digest),
            score=score,
            categories=categories,
        )

    def _facts_now(self, weights_digest: str | None = None) -> dict[str, str]:
        """Facts of the module as it is: its weights, its code, and who answers values, not who was asked for."""
        if weights_digest is None:
            parts = repr((structure(self.module), told(tensors_of(self.module)), self._code))
            weights_digest = hashlib.sha256(parts.encode()).hexdigest()
        asked = {"answers": self._asked} if self._asked else {}
        return {"weights": weights_digest, "code": self._code, "backend": self.backend_in_use("values"), **asked}

    def _answers_premise(self) -> Premise:
        return self._kind

    def __getstate__(self) -> object:
        raise OtherProcessError(
            f"the network {self.name} cannot leave its process; let both make it, by an id: register_network"
        )

    def _follow(self) -> None:
        TORCH.require()
        with self._lock:
            if self._look() == self._seen:
                return
            self._take_over()
            labels = self._expected.shape[1]
            if labels != self.labels:
                raise ClassifierError(f"{self.name} has {labels} classes now, not {self.labels}; make a new classifier")
            self._seen = self._look()  # taking over an own module may move it
            self._facts.update(self._facts_now())

    def _look(self) -> object:
        """What differs where the module may answer otherwise than before.

        Place and version of every tensor tell of a load, of an optimizer's step and of most else in microseconds.
        Writes through `.data` are not counted by torch: for the module of a caller a checksum of each tensor, and the
        structure, are looked at too: for EfficientNet-Lite0 less than the time of one picture.
        """
        tensors = tensors_of(self.module)
        places = [
            (name, tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version, tensor.shape)
            for name, tensor in tensors.items()
        ]
        if self._is_own:
            return places
        return places, [zlib.crc32(tensor_bytes(tensor)) for tensor in tensors.values()], structure(self.module)

    def _take_over(self) -> None:
        """Make the copy that answers, and look at its answers to start-up images, each asked alone."""
        try:
            with torch.no_grad():  # else weights of a copy of TorchScript are answers of a graph
                own = self.module if self._is_own else copy.deepcopy(self.module)
            for weight in own.parameters():  # one by one: TorchScript knows no requires_grad_
                weight.requires_grad_(False)
        except Exception as error:  # whatever a stranger's module raises
            raise ClassifierError(
                f"{self.name} cannot be copied ({_one_line(error)}); give a copy of your own with is_own=True"
            ) from error
        network = self._module = ImageNetwork(own, self.preprocessing, is_softmax=self.score == "softmax")
        network.eval().to(self._device)
        self._graphs: dict[str, Requests | GradientGraph | None] = {}
        self._chunk: int | None = None
        self._images = torch.from_numpy(probe_images(self.preprocessing.size)).to(self._device)
        first = self._images[:1]
        try:
            with torch.no_grad(), _full_precision(self._device):
                raw = [network.raw(image[None]) for image in self._images]
        except Exception as error:  # as above
            shape = tuple(first.shape)
            raise ClassifierError(f"{self.name} cannot answer an image of shape {shape}: {_one_line(error)}") from error
        if not all(isinstance(one, torch.Tensor) and one.ndim == 2 and one.shape[0] == 1 for one in raw):
            is_one = isinstance(raw[0], torch.Tensor)
            hint = (
                "" if is_one else ": of a model file, say which output by its place (--output 0), else wrap the module"
            )
            raise ClassifierError(f"{self.name} answers {_shapes(raw[0])} to one image; must be (1, labels){hint}")
        if not all(one.is_floating_point() for one in raw):
            raise ClassifierError(f"{self.name} answers numbers of {raw[0].dtype}; must be floating ones, of logits")
        answers = torch.cat(raw)
        self._kind = answers_kind(answers.cpu().numpy(), self._asked)
        network.gives_probabilities = self._kind.value == PROBABILITIES
        with torch.no_grad():
            self._expected = network.finished(answers).cpu()
        traced, draws = self._trace(first)
        with torch.no_grad(), _full_precision(self._device):
            again = [network(first).cpu() for _ in range(MOST_REPEATS if draws is None else REPEATS)]
        if draws or any(self._apart(one, self._expected[:1]) for one in again):
            raise ClassifierError(
                f"{self.name} answers the same image differently each time, as with dropout at work; export it after "
                "eval()"
            )
        if (calls := self._unsteady_after(first)) is not None:
            raise ClassifierError(
                f"{self.name} answers the same image differently after {calls} calls: its code changes what it holds; "
                "give one that does not"
            )
        self._since_check = 0
        if self._looks(first):
            self._chunk = 1  # a branch is taken for a whole call
            if self._backend == "openvino":
                raise self._no_graph("values", ConversionError(_LOOKS))
            if self._backend == "auto":
                self._say_torch("values", f"as {_LOOKS}")
            self._graphs = {"values": None, "gradients": None}
        elif traced is not None:
            images, expected, is_softmax = self._images, self._expected.numpy(), network.is_softmax
            self._graph("values", lambda: value_requests(traced, images, expected, is_softmax=is_softmax))

    def _trace(self, image: torch.Tensor) -> tuple[Any, bool | None]:
        """The network as torch records it, whose digest is kept, and whether it draws; None where that is not known."""
        try:
            traced = module_code.trace(self._module, image)
            graph = traced.inlined_graph
            self._code = module_code.graph_digest(graph)
        except Exception as error:  # as above
            if self._backend == "openvino":
                raise self._no_graph("values", error) from error
            self._code = "untraced"
            return None, None
        return traced, module_code.draws(graph)

    def _looks(self, image: torch.Tensor) -> bool:
        try:
            return module_code.looks_at_numbers(self._module, image)
        except Exception:  # some module that cannot be watched; it has answered before
            return False

    def _unsteady_after(self, image: torch.Tensor) -> int | None:
        """After how many answers to the same image a network that changes itself with each gives another; or None."""
        network, ends = self._module, time.monotonic() + MOST_REPEAT_SECONDS
        held = _held(network)
        with torch.no_grad(), _full_precision(self._device):
            for calls in range(1, MANY_REPEATS + 1):
                if self._apart(network(image).cpu(), self._expected[:1]):
                    return calls
                if (now := _held(network)) == held or time.monotonic() > ends:
                    break
                held = now
        return None

    def _check_steady(self, images: int) -> None:
        """Ask for a start-up image now and then: what a module keeps elsewhere is not seen.

        Raises:
            ClassifierError: It is answered otherwise than at first.
        """
        self._since_check += images
        if self._since_check < STEADY_IMAGES:
            return
        self._since_check = 0
        with torch.no_grad(), _full_precision(self._device):
            again = self._module(self._images[:1]).cpu()
        if self._apart(again, self._expected[:1]):
            raise ClassifierError(
                f"{self.name} answers a start-up image otherwise than when it was made: its answers change from call "
                "to call, and the last ones cannot be trusted"
            )

    def _apart(self, one: torch.Tensor, other: torch.Tensor) -> bool:
        """Whether two answers of the network differ by more than rounding."""
        told = [log_probabilities(own.numpy()) if self._module.is_softmax else own.numpy() for own in (one, other)]
        return not largest_difference(*told) <= 1.0

    def _chunk_size(self) -> int:
        """Images a call of torch: 1 where an answer is another one beside others, as if a layer looks at the batch."""
        if self._chunk is None:
            self._chunk = 1
            wanted, count = self._wanted_chunk, len(self._images)
            rows = [row % count for row in range(wanted)]
            try:
                with torch.no_grad(), _full_precision(self._device):
                    beside = self._module(self._images[rows].contiguous(memory_format=torch.channels_last)).cpu()
                if wanted > 1 and not self._apart(beside, self._expected[rows]):
                    self._chunk = wanted
            except Exception:  # made for one image only, for example when it was traced
                return self._chunk
        return self._chunk

    def backend_in_use(self, kind: Literal["values", "gradients"]) -> str:
        """`openvino` or `torch`: which one answers values, or gradients; converts the module if that is open."""
        graph = self._value_graph() if kind == "values" else self._gradient_graph()
        by_torch = "torch" if self._device.type == "cpu" else f"torch-{self._device.type}"
        return by_torch if graph is None else "openvino"

    def _answers(self, images: Float32Array) -> Float32Array:
        graph = self._value_graph()
        if graph is not None:
            return graph.one_each(images)
        answers = np.empty((len(images), self.labels), dtype=np.float32)
        with torch.inference_mode(), _full_precision(self._device):
            for rows, batch, _ in self._chunks(images, np.zeros(len(images), dtype=np.int64)):
                answers[rows] = self._module(batch).cpu().numpy()[: len(answers[rows])]
        self._check_steady(len(images))
        return answers

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
                try:
                    (slope,) = torch.autograd.grad(scores.sum(), batch)
                except RuntimeError as error:  # its answers do not come from the image by operators of torch alone
                    raise ClassifierError(
                        f"{self.name} has no gradient in the image ({_one_line(error)}); use finite differences"
                    ) from error
                kept = len(values[rows])
                values[rows] = scores.detach().cpu().numpy()[:kept]
                gradients[rows] = slope.contiguous().cpu().numpy()[:kept]
        self._check_steady(len(images))
        return values, gradients

    def _chunks(
        self, images: Float32Array, class_index: IntArray
    ) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
        """Rows, and of these batches of exactly `chunk` pictures in channels_last and their one-hot classes."""
        chunk = self._chunk_size()
        for first in range(0, len(images), chunk):
            rows = slice(first, first + chunk)
            missing = chunk - len(images[rows])
            filled = np.pad(np.asarray(images[rows], dtype=np.float32), ((0, missing), (0, 0), (0, 0), (0, 0)))
            batch = torch.from_numpy(filled).contiguous(memory_format=torch.channels_last).to(self._device)
            classes = torch.from_numpy(np.pad(np.asarray(class_index[rows], dtype=np.int64), (0, missing)))
            yield rows, batch, torch.nn.functional.one_hot(classes.to(self._device), self.labels)

    def _value_graph(self) -> Requests | None:
        return cast(Requests | None, self._graphs.get("values"))

    def _gradient_graph(self) -> GradientGraph | None:
        images, expected, pick = self._images, self._expected, _PICKS[self.score]
        return self._graph("gradients", lambda: GradientGraph(self._module, images, expected, pick))

    def _graph(self, kind: str, make: Callable[[], _GraphT]) -> _GraphT | None:
        """The graph of a kind, made when it is first asked for; None: torch answers."""
        if self._backend == "torch":
            return None
        if kind not in self._graphs:
            try:
                self._graphs[kind] = make()
            except ConversionError as error:
                if self._backend == "openvino":
                    raise self._no_graph(kind, error) from error
                if isinstance(error, DifferenceError):
                    self._say_torch(kind, f"as OpenVINO's differ: {error}")
                self._graphs[kind] = None
        return cast(_GraphT | None, self._graphs[kind])

    def _say_torch(self, kind: str, why: str) -> None:
        text = f"{self.name}: torch answers {kind}, {why}"
        warnings.warn_explicit(text, UserWarning, "<network>", 1)  # where it was noticed says nothing

    def _no_graph(self, kind: str, error: Exception) -> ClassifierError:
        return ClassifierError(f"{self.name}: no OpenVINO graph for {kind} ({error}); use backend auto or torch")


@final
class ImageNetwork(torch.nn.Module):
    """Normalize, classify and, if asked, softmax: images (N, 3, H, W) in [0, 1] to answers (N, labels).

    Attributes:
        is_softmax: Whether answers are probabilities; else logits.
        gives_probabilities: Whether those of the module are.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, module: torch.nn.Module, preprocessing: Preprocessing, *, is_softmax: bool) -> None:
        super().__init__()
        self.module = module
        self.is_softmax, self.gives_probabilities = is_softmax, False
        self.is_bgr, self.is_last = preprocessing.channels == "bgr", preprocessing.layout == "nhwc"
        self.is_bytes = preprocessing.is_bytes
        self.register_buffer("mean", torch.tensor(preprocessing.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).reshape(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (N, labels), or logits."""
        return self.finished(self.raw(images))

    def raw(self, images: torch.Tensor) -> torch.Tensor:
        """What the module says to images as it takes them."""
        fed = (255.0 * images).round().to(torch.uint8) if self.is_bytes else (images - self.mean) / self.std
        fed = fed.flip(1) if self.is_bgr else fed
        answers: torch.Tensor = self.module(fed.permute(0, 2, 3, 1) if self.is_last else fed)
        return answers

    def finished(self, answers: torch.Tensor) -> torch.Tensor:
        """Probabilities or logits of what the module says; logits of probabilities are their logarithms."""
        if self.is_softmax:
            return answers if self.gives_probabilities else torch.softmax(answers, dim=1)
        return answers.clamp_min(LEAST_PROBABILITY).log() if self.gives_probabilities else answers


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


def _held(module: torch.nn.Module) -> object:
    """What a module holds: its tensors and plain attributes."""
    sums = [(name, zlib.crc32(tensor_bytes(tensor))) for name, tensor in tensors_of(module).items()]
    return sums, structure(module)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _give_sizes(module: torch.nn.Module, preprocessing: Preprocessing) -> None:
    """Let lazy layers find their sizes from a picture; the modes of all layers stay."""
    if not any(torch.nn.parameter.is_lazy(tensor) for tensor in tensors_of(module).values()):
        return
    modes = [(layer, layer.training) for layer in module.modules()]
    try:
        with torch.no_grad():
            shown = np.zeros((1, 3, preprocessing.size, preprocessing.size), dtype=np.float32)
            module.eval()(torch.from_numpy(preprocessing.fed(shown)))
    except Exception:  # whatever a stranger's module raises; it is asked again, and then told
        return
    finally:
        for layer, mode in modes:
            layer.training = mode


def _shapes(answer: object) -> str:
    """Shape of an answer, or of each of several."""
    if isinstance(answer, Mapping):
        answer = tuple(answer.values())
    if isinstance(answer, tuple | list):
        return f"{len(answer)} outputs ({', '.join(map(_shapes, answer))})"
    return f"shape {tuple(answer.shape)}" if isinstance(answer, torch.Tensor) else f"a {type(answer).__name__}"
