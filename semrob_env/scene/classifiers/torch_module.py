"""Any torch module as a classifier: values and picture gradients by OpenVINO where it converts, else by torch."""

from __future__ import annotations

import hashlib
from typing import Literal, final

import numpy as np
import torch

from semrob_env.errors import ClassifierError, InvalidParameterError
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.openvino_graphs import ConversionError, GradientGraph, ValueGraph
from semrob_env.types import Float32Array, IntArray

Backend = Literal["auto", "openvino", "torch"]

CHUNK = 8
"""Pictures a call of torch, always filled up to this number: a kernel chosen by batch size may round differently."""


@final
class TorchClassifier(Classifier):
    """A torch module that answers logits (N, labels) to normalised pictures; its softmax is the score.

    Values and gradients come from OpenVINO in f32, one picture a request, so that a picture's score does not depend
    on its neighbours. Where OpenVINO cannot convert the module, torch answers (channels_last, fixed chunks).
    Converting and compiling takes seconds: for values when it is made, for gradients when the first is asked.

    Args:
        module: The network; put into eval mode, its weights are frozen.
        preprocessing: Input size and the normalisation that its weights ask for.
        name: What messages and run keys call it.
        backend: `openvino` insists on it, `torch` avoids it, `auto` falls back.
        weights_digest: Hash of the weights for run keys; None: computed from the state dict.

    Attributes:
        module: The network as given.

    Raises:
        ClassifierError: The module does not answer logits (N, labels).
        InvalidParameterError: An unknown backend.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        preprocessing: Preprocessing,
        *,
        name: str,
        backend: Backend = "auto",
        weights_digest: str | None = None,
    ) -> None:
        if backend not in ("auto", "openvino", "torch"):
            raise InvalidParameterError(f"unknown backend {backend!r}; choose auto, openvino or torch")
        self.module = module
        self._module = Softmaxed(module, preprocessing).eval()
        self._backend: Backend = backend
        self._value_graph: ValueGraph | None = None
        self._gradient_graph: GradientGraph | None = None
        self._failed: set[str] = set()
        shape = (1, 3, preprocessing.size, preprocessing.size)
        try:
            with torch.no_grad():
                answer = self._module(torch.zeros(shape))
        except Exception as error:  # a stranger's module may raise anything
            raise ClassifierError(f"{name} cannot answer a picture of shape {shape}: {error}") from error
        module.requires_grad_(False)
        if answer.ndim != 2 or answer.shape[0] != 1:
            raise ClassifierError(f"{name} answers shape {tuple(answer.shape)} to one picture; must be (1, labels)")
        digest = _digest(module) if weights_digest is None else weights_digest
        super().__init__(
            name,
            preprocessing,
            int(answer.shape[1]),
            has_gradient=True,
            fingerprint={"weights": digest},
        )
        # Which one answers values, not which was asked for: runs of both must not share a key.
        self.fingerprint["backend"] = self.backend_in_use("values")

    def backend_in_use(self, kind: Literal["values", "gradients"]) -> str:
        """`openvino` or `torch`: which one answers values, or gradients; converts the module if that is open."""
        if kind == "values":
            return "torch" if self._values_by_openvino() is None else "openvino"
        return "torch" if self._gradients_by_openvino() is None else "openvino"

    def _scores(self, pictures: Float32Array, class_index: IntArray) -> Float32Array:
        graph = self._values_by_openvino()
        if graph is not None:
            return np.asarray(graph(pictures)[np.arange(len(pictures)), class_index])
        parts = []
        with torch.inference_mode():
            for batch, kept, classes in _chunks(pictures, class_index):
                parts.append(self._module(batch).numpy()[np.arange(kept), classes[:kept]])
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)

    def _scores_and_gradients(self, pictures: Float32Array, class_index: IntArray) -> tuple[Float32Array, Float32Array]:
        graph = self._gradients_by_openvino()
        if graph is not None:
            return graph(pictures, class_index)
        values, gradients = [np.zeros(0, dtype=np.float32)], [np.zeros((0, *pictures.shape[1:]), dtype=np.float32)]
        for batch, kept, classes in _chunks(pictures, class_index):
            batch.requires_grad_(True)
            scores = self._module(batch)[torch.arange(len(batch)), torch.from_numpy(classes)]
            (slope,) = torch.autograd.grad(scores.sum(), batch)
            values.append(scores.detach().numpy()[:kept])
            gradients.append(slope.contiguous().numpy()[:kept])
        return np.concatenate(values), np.concatenate(gradients)

    def _values_by_openvino(self) -> ValueGraph | None:
        if self._value_graph is None and self._may_convert("values"):
            try:
                self._value_graph = ValueGraph(self._module, self.preprocessing.size)
            except ConversionError as error:
                self._give_up("values", error)
        return self._value_graph

    def _gradients_by_openvino(self) -> GradientGraph | None:
        if self._gradient_graph is None and self._may_convert("gradients"):
            try:
                self._gradient_graph = GradientGraph(self._module, self.preprocessing.size, self.labels)
            except ConversionError as error:
                self._give_up("gradients", error)
        return self._gradient_graph

    def _may_convert(self, kind: str) -> bool:
        return self._backend != "torch" and kind not in self._failed

    def _give_up(self, kind: str, error: ConversionError) -> None:
        if self._backend == "openvino":
            raise ClassifierError(f"{self.name}: no OpenVINO graph for {kind} ({error}); use backend auto or torch")
        self._failed.add(kind)


@final
class Softmaxed(torch.nn.Module):
    """Normalise, classify, softmax: pictures (N, 3, H, W) in [0, 1] to probabilities (N, labels)."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, module: torch.nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("mean", torch.tensor(preprocessing.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).reshape(1, 3, 1, 1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Probabilities (N, labels)."""
        return torch.softmax(self.module((pictures - self.mean) / self.std), dim=1)


def _chunks(pictures: Float32Array, class_index: IntArray) -> list[tuple[torch.Tensor, int, IntArray]]:
    """Batches of exactly CHUNK pictures in channels_last, how many of each are real, and their classes."""
    chunks = []
    for first in range(0, len(pictures), CHUNK):
        part, classes = pictures[first : first + CHUNK], class_index[first : first + CHUNK]
        kept = len(part)
        filled = np.zeros((CHUNK, *pictures.shape[1:]), dtype=np.float32)
        filled[:kept] = part
        padded = np.zeros(CHUNK, dtype=np.int64)
        padded[:kept] = classes
        chunks.append((torch.from_numpy(filled).contiguous(memory_format=torch.channels_last), kept, padded))
    return chunks


def _digest(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
