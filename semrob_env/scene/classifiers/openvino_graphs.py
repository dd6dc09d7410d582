"""OpenVINO graphs of a torch module: its values, and its values with their gradient in the picture.

Both run in f32 on static shapes, one picture a request, several requests at once: that is as fast as a batch, and no
picture's answer depends on another. The gradient graph is the module's forward *and* backward pass, traced by
`torch.fx` as plain operators that OpenVINO knows; on small networks it answers several times faster than autograd.

torch keeps the backward pass of a convolution or a pooling layer as one operator of its own. The rules here say the
same with forward operators: the gradient of a convolution in its image is the transposed convolution with the same
weights; average pooling is a convolution with equal weights; max pooling sends each slope back to where it came from.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, final

import numpy as np
import torch
from torch._decomp import core_aten_decompositions, get_decompositions
from torch._guards import TracingContext, tracing
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from semrob_env.scene.classifiers.module_code import trace
from semrob_env.scene.classifiers.openvino_requests import Requests
from semrob_env.scene.classifiers.probes import largest_difference, log_probabilities
from semrob_env.scene.classifiers.quiet_openvino import FrontEndManager
from semrob_env.types import Float32Array, IntArray

_aten = torch.ops.aten

Pick = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Scores (N,) from a module's answers (N, labels) and one-hot classes (N, labels), to be differentiated."""

LARGEST_DIFFERENCE = 0.05
"""Share of the norm by which a converted gradient may differ from autograd's: f32 rounding flips some ReLU kinks."""


class ConversionError(Exception):
    """OpenVINO cannot convert this module; torch must answer instead."""


class DifferenceError(ConversionError):
    """OpenVINO converts the module to something that answers otherwise."""


def value_requests(traced: Any, images: torch.Tensor, expected: Float32Array, *, is_softmax: bool) -> Requests:
    """Requests whose only output is a module's answers (N, labels) to images (N, 3, size, size).

    Args:
        traced: The module as torch recorded it.
        images: Some (N, 3, size, size) that the graph must answer as torch does: the front end leaves out what it does
            not know, as the `beta` of a softplus, and a branch that the record did not take is not in it.
        expected: What torch says to these (N, labels).
        is_softmax: Whether answers are probabilities; else logits.

    Raises:
        ConversionError: OpenVINO cannot convert the module.
        DifferenceError: The graph answers otherwise.
    """
    requests = _converted(traced, (images[:1],))
    answered = requests.one_each(images.numpy())
    told = [log_probabilities(answers) if is_softmax else answers for answers in (expected, answered)]
    if not largest_difference(*told) <= 1.0:
        apart = float(np.abs(expected - answered).max())
        raise DifferenceError(f"its answers to start-up images differ by up to {apart:.2g}")
    return requests


@final
class GradientGraph:
    """Pictures (N, 3, size, size) and classes (N,) to scores (N,) and gradients (N, 3, size, size).

    Args:
        module: The module.
        images: Some (N, 3, size, size) that the graph must answer as torch does.
        expected: What torch says to these (N, labels).
        pick: The score.

    Raises:
        ConversionError: The backward pass cannot be traced or converted.
        DifferenceError: The graph answers otherwise.
    """

    def __init__(self, module: torch.nn.Module, images: torch.Tensor, expected: torch.Tensor, pick: Pick) -> None:
        labels = expected.shape[1]
        image, one_hot = images[:1], torch.eye(1, labels)
        try:
            graph = trace(_trace_gradient(module, (image, one_hot), pick), image, one_hot)
        except Exception as error:  # whatever a stranger's module makes the tracer raise
            raise ConversionError(f"its backward pass cannot be traced: {error}") from error
        self._requests = _converted(graph, (image, one_hot))
        self._one_hot = np.eye(labels, dtype=np.float32)
        values, gradients = self(images.numpy(), np.zeros(len(images), dtype=np.int64))
        scores = pick(expected, one_hot.expand(len(images), -1)).numpy()
        if not np.allclose(values, scores, rtol=1e-3, atol=1e-6, equal_nan=True):
            raise DifferenceError(f"its scores of start-up images differ by up to {np.abs(values - scores).max():.2g}")
        # A rule of the tracer may not fit a stranger's module. Two images are enough, and a backward pass takes long.
        for row in (0, -1):
            leaf = images[row][None].detach().clone().requires_grad_(True)
            (slope,) = torch.autograd.grad(pick(module(leaf), one_hot).sum(), leaf)
            difference = float(np.linalg.norm(gradients[row] - slope[0].numpy()))
            if not difference <= LARGEST_DIFFERENCE * float(slope.norm()):
                raise DifferenceError(f"its gradient differs from autograd's by {difference:g}")

    def __call__(self, images: Float32Array, class_index: IntArray) -> tuple[Float32Array, Float32Array]:
        """Scores (N,) and gradients (N, 3, size, size)."""
        one_hot = self._one_hot[class_index]
        values, gradients = self._requests([
            {0: image[None], 1: row[None]} for image, row in zip(images, one_hot, strict=True)
        ])
        return values, gradients


def _converted(traced: Any, examples: tuple[torch.Tensor, ...]) -> Requests:
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # about things that do not concern fixed shapes
            # The front end itself: openvino.convert_model is the same plus usage reports.
            from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # after the quiet import

            front_end = FrontEndManager().load_by_framework("pytorch")
            decoder = TorchScriptPythonDecoder(traced, example_input=examples)  # must outlive the conversion
            model = front_end.convert(front_end.load(decoder))
        model.reshape({index: list(example.shape) for index, example in enumerate(examples)})
        return Requests(model)
    except Exception as error:  # OpenVINO raises many unrelated types
        raise ConversionError(str(error).strip().splitlines()[-1]) from error


def _trace_gradient(module: torch.nn.Module, examples: tuple[torch.Tensor, ...], pick: Pick) -> torch.fx.GraphModule:
    """The module's forward and backward pass as one graph of plain operators."""

    def score_and_gradient(image: torch.Tensor, one_hot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        image = image.detach().requires_grad_(True)
        score = pick(module(image), one_hot)
        (gradient,) = torch.autograd.grad(score.sum(), image)
        return score.detach(), gradient

    wanted = [
        _aten.native_batch_norm,
        _aten._native_batch_norm_legit_no_training,
        _aten._softmax,
        _aten._softmax_backward_data,
        _aten.hardtanh_backward,
    ]
    table: dict[Any, Any] = {**core_aten_decompositions(), **get_decompositions(wanted), **_RULES}
    # One fake mode for all that the tracer notes of tensors, which else makes one for each: a quarter of its time.
    with tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
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


class _NoRuleError(Exception):
    """A layer of a kind that no rule covers; tracing then fails."""


def _convolution_backward(slope: torch.Tensor, image: torch.Tensor, weight: torch.Tensor, *settings: Any) -> Any:
    """Gradients in the image, and none in weight and bias."""
    _, stride, padding, dilation, transposed, _, groups, wanted = settings
    if transposed or image.ndim != 4:
        raise _NoRuleError("only plain 2-D convolutions have a rule")
    return _spread(slope, image, weight, stride, padding, dilation, groups) if wanted[0] else None, None, None


_batch_norm_backward_in_full = core_aten_decompositions()[_aten.native_batch_norm_backward.default]


def _batch_norm_backward(slope: torch.Tensor, image: torch.Tensor, weight: torch.Tensor | None, *settings: Any) -> Any:
    """Gradients in the image; where mean and variance are those that were learned, without the sums for the weights."""
    _, variance, _, _, is_training, epsilon, _ = settings
    if is_training:
        return _batch_norm_backward_in_full(slope, image, weight, *settings)
    scale = torch.rsqrt(variance + epsilon)
    scale = scale if weight is None else scale * weight
    return slope * scale.reshape(-1, *[1] * (image.ndim - 2)), None, None


def _max_pool_backward(slope: torch.Tensor, image: torch.Tensor, *settings: Any) -> torch.Tensor:
    """Every slope added where its maximum was."""
    *_, indices = settings
    planes = (image.shape[0], image.shape[1])
    flat = torch.zeros((*planes, math.prod(image.shape[2:])))
    added: torch.Tensor = _aten.scatter_add.default(flat, 2, indices.reshape(*planes, -1), slope.reshape(*planes, -1))
    return added.reshape(image.shape)


def _average_pool_backward(slope: torch.Tensor, image: torch.Tensor, *settings: Any) -> torch.Tensor:
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override = settings
    if ceil_mode or divisor_override is not None or (any(padding) and not count_include_pad):
        raise _NoRuleError("average pooling with a changing divisor has no rule")
    return _shared_out(slope, image, kernel_size, stride or kernel_size, padding)


def _adaptive_pool(image: torch.Tensor, size: list[int]) -> torch.Tensor:
    height, width = _windows(image, size)
    if height == width == 1:
        return image * 1.0
    return image.reshape(*image.shape[:2], size[0], height, size[1], width).mean(dim=(3, 5))


def _adaptive_pool_backward(slope: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    windows = _windows(image, slope.shape[2:])
    return slope * 1.0 if windows == [1, 1] else _shared_out(slope, image, windows, windows, [0, 0])


_RULES: dict[Any, Any] = {
    _aten.convolution_backward.default: _convolution_backward,
    _aten.native_batch_norm_backward.default: _batch_norm_backward,
    _aten.max_pool2d_with_indices_backward.default: _max_pool_backward,
    _aten.avg_pool2d_backward.default: _average_pool_backward,
    _aten._adaptive_avg_pool2d.default: _adaptive_pool,
    _aten._adaptive_avg_pool2d_backward.default: _adaptive_pool_backward,
}
"""Rule of each operator, called with the operator's arguments in its order."""


def _windows(image: torch.Tensor, size: Any) -> list[int]:
    """Height and width of the windows of adaptive pooling to a size (h, w) that must divide the image's."""
    height, width = image.shape[2], image.shape[3]
    if height % size[0] or width % size[1]:
        raise _NoRuleError(f"adaptive pooling of {height} x {width} to {size[0]} x {size[1]} has no rule")
    return [height // size[0], width // size[1]]


def _shared_out(
    slope: torch.Tensor, image: torch.Tensor, window: list[int], stride: list[int], padding: list[int]
) -> torch.Tensor:
    """Every slope in equal parts over its window: the transposed convolution with equal weights."""
    channels = image.shape[1]
    weight = torch.full((channels, 1, *window), 1 / math.prod(window))
    return _spread(slope, image, weight, stride, padding, [1, 1], channels)


def _spread(
    slope: torch.Tensor,
    image: torch.Tensor,
    weight: torch.Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> torch.Tensor:
    """The transposed convolution that undoes the shape of a convolution.

    Where nothing was stepped over it is a plain convolution with turned weights, which OpenVINO runs faster, and
    rightly: its 2026.4 answers some transposed ones of equal channels (256 to 256 on 13 x 13, as in AlexNet) wrongly.
    """
    reach = [dilation[axis] * (weight.shape[2 + axis] - 1) - padding[axis] for axis in (0, 1)]
    if stride[0] == stride[1] == 1 and min(reach) >= 0:
        kernel, outs = weight.flip((2, 3)), weight.shape[0] // groups
        if outs > 1 or weight.shape[1] > 1:  # else depthwise: in and out are one
            kernel = torch.cat([kernel[first : first + outs].transpose(0, 1) for first in range(0, len(kernel), outs)])
        settings: tuple[Any, ...] = ([1, 1], reach, dilation, False, [0, 0], groups)
    else:
        # The part of the image that the strides of the forward pass never reached.
        missing = [
            image.shape[2 + axis] - (slope.shape[2 + axis] - 1) * stride[axis] + padding[axis] - reach[axis] - 1
            for axis in (0, 1)
        ]
        kernel, settings = weight, (stride, padding, dilation, True, missing, groups)
    spread: torch.Tensor = _aten.convolution.default(slope, kernel, None, *settings)
    return spread
