"""OpenVINO graphs of a torch module: its values, and its values with their gradient in the picture.

Both run in f32 on static shapes, one picture a request, several requests at once: that is as fast as a batch, and no
picture's answer depends on another. The gradient graph is the module's forward *and* backward pass, traced by
`torch.fx` as plain operators that OpenVINO knows; on small networks it answers several times faster than autograd.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any, final

import numpy as np
import torch
from torch._decomp import core_aten_decompositions, get_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from semrob_env.scene.classifiers.backward_rules import RULES
from semrob_env.scene.classifiers.quiet_openvino import FrontEndManager, TorchScriptPythonDecoder, openvino
from semrob_env.types import Float32Array, IntArray

_CONFIG = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
_aten = torch.ops.aten

Pick = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Scores (N,) from a module's answers (N, labels) and one-hot classes (N, labels), to be differentiated."""

LARGEST_DIFFERENCE = 0.05
"""Share of the norm by which a converted gradient may differ from autograd's: f32 rounding flips some ReLU kinks."""


class ConversionError(Exception):
    """OpenVINO cannot convert this module; torch must answer instead."""


@final
class ValueGraph:
    """Pictures (N, 3, size, size) to the module's answers (N, labels), compiled once.

    Raises:
        ConversionError: OpenVINO cannot convert the module.
    """

    def __init__(self, module: torch.nn.Module, size: int) -> None:
        example = torch.zeros(1, 3, size, size)
        self._requests = Requests(_compile(module, (example,)))

    def __call__(self, pictures: Float32Array) -> Float32Array:
        """Answers (N, labels)."""
        return self._requests.one_each(pictures)


@final
class GradientGraph:
    """Pictures (N, 3, size, size) and classes (N,) to scores (N,) and gradients (N, 3, size, size).

    Raises:
        ConversionError: The backward pass cannot be traced or converted.
    """

    def __init__(self, module: torch.nn.Module, size: int, labels: int, pick: Pick) -> None:
        examples = (torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)), torch.eye(1, labels))
        try:
            graph = _trace_gradient(module, examples, pick)
        except Exception as error:  # whatever a stranger's module makes the tracer raise
            raise ConversionError(f"its backward pass cannot be traced: {error}") from error
        self._requests = Requests(_compile(graph, examples))
        self._one_hot = np.eye(labels, dtype=np.float32)
        self._compare_with_autograd(module, examples, pick)

    def __call__(self, pictures: Float32Array, class_index: IntArray) -> tuple[Float32Array, Float32Array]:
        """Scores (N,) and gradients (N, 3, size, size)."""
        inputs = [
            {0: picture[None], 1: self._one_hot[index][None]}
            for picture, index in zip(pictures, class_index, strict=True)
        ]
        values, gradients = self._requests(inputs)
        return values, gradients

    def _compare_with_autograd(
        self, module: torch.nn.Module, examples: tuple[torch.Tensor, torch.Tensor], pick: Pick
    ) -> None:
        """Refuse a graph that answers otherwise than torch: a rule of the tracer may not fit a stranger's module."""
        picture, one_hot = examples
        leaf = picture.detach().requires_grad_(True)
        (expected,) = torch.autograd.grad(pick(module(leaf), one_hot).sum(), leaf)
        _, answered = self(picture.numpy(), np.zeros(1, dtype=np.int64))
        difference = float(np.linalg.norm(answered - expected.numpy()))
        if not difference <= LARGEST_DIFFERENCE * float(expected.norm()):
            raise ConversionError(f"its gradient differs from autograd's by {difference:g}")


@final
class Requests:
    """Runs one request a picture, as many at once as the device likes, and collects the answers in order."""

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self._shapes = [tuple(output.shape)[1:] for output in compiled.outputs]
        self._queue = openvino.AsyncInferQueue(compiled)
        self._queue.set_callback(_collect)
        self._lock = threading.Lock()  # functions in several threads may share a network

    def one_each(self, pictures: Float32Array) -> Float32Array:
        """The first output (N, ...) for pictures (N, 3, H, W)."""
        return self([{0: picture[None]} for picture in pictures])[0]

    def __call__(self, inputs: list[dict[int, Float32Array]]) -> list[Float32Array]:
        """Each output (N, ...) for N inputs by position, each of batch size 1."""
        answers = [np.empty((len(inputs), *shape), dtype=np.float32) for shape in self._shapes]
        with self._lock:
            try:
                for index, one in enumerate(inputs):
                    self._queue.start_async(one, (answers, index))
            finally:
                self._queue.wait_all()  # after Ctrl-C too: nothing may run on into the next call
        return answers


def _collect(request: Any, place: tuple[list[Float32Array], int]) -> None:
    answers, index = place
    for output, own in enumerate(answers):
        own[index] = request.get_output_tensor(output).data[0]


def _compile(module: torch.nn.Module, examples: tuple[torch.Tensor, ...]) -> openvino.CompiledModel:
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # tracing warns about things that do not concern fixed shapes
            traced = torch.jit.trace(module, examples, check_trace=False)  # type: ignore[no-untyped-call]
            # The front end itself: openvino.convert_model is the same plus usage reports.
            front_end = FrontEndManager().load_by_framework("pytorch")
            decoder = TorchScriptPythonDecoder(traced, example_input=examples)  # must outlive the conversion
            model = front_end.convert(front_end.load(decoder))
        model.reshape({index: list(example.shape) for index, example in enumerate(examples)})
        return compile_for_cpu(model)
    except Exception as error:  # OpenVINO raises many unrelated types
        raise ConversionError(str(error).strip().splitlines()[-1]) from error


def compile_for_cpu(model: openvino.Model) -> openvino.CompiledModel:
    """The model compiled for throughput in f32."""
    return openvino.Core().compile_model(model, "CPU", _CONFIG)


def _trace_gradient(module: torch.nn.Module, examples: tuple[torch.Tensor, ...], pick: Pick) -> torch.fx.GraphModule:
    """The module's forward and backward pass as one graph of plain operators."""

    def score_and_gradient(picture: torch.Tensor, one_hot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        picture = picture.detach().requires_grad_(True)
        score = pick(module(picture), one_hot)
        (gradient,) = torch.autograd.grad(score.sum(), picture)
        return score.detach(), gradient

    table: dict[Any, Any] = dict(core_aten_decompositions())
    wanted = [
        _aten.native_batch_norm,
        _aten._native_batch_norm_legit_no_training,
        _aten._softmax,
        _aten._softmax_backward_data,
        _aten.hardtanh_backward,
    ]
    table.update(get_decompositions(wanted))
    table.update(RULES)
    graph = make_fx(score_and_gradient, decomposition_table=table)(*examples)
    # These keep the numbers as they are, and OpenVINO knows no rule for some; other copies between types stay.
    identities = {_aten.clone.default, _aten.detach.default, _aten.alias.default}
    for node in list(graph.graph.nodes):
        if node.target in identities or (node.target is _aten._to_copy.default and _keeps_float32(graph, node)):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()  # the gradients of the weights
    graph.recompile()
    return graph


def _keeps_float32(graph: torch.fx.GraphModule, copy: torch.fx.Node) -> bool:
    source = copy.args[0]
    assert isinstance(source, torch.fx.Node)
    tensor = getattr(graph, str(source.target)) if source.op == "get_attr" else source.meta.get("val")
    return getattr(tensor, "dtype", None) == torch.float32 and copy.kwargs.get("dtype") in {None, torch.float32}
