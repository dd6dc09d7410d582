"""Backward passes of layers as plain operators that OpenVINO converts, for `openvino_graphs`.

torch keeps the backward pass of a convolution or a pooling layer as one operator of its own. Each rule here says the
same with forward operators: the gradient of a convolution in its image is the transposed convolution with the same
weights; average pooling is a convolution with equal weights; max pooling sends each slope back to where it came from.
"""

from __future__ import annotations

import math
from typing import Any

import torch

_aten = torch.ops.aten


class NoRuleError(Exception):
    """A layer of a kind that no rule covers."""


def convolution_backward(
    slope: torch.Tensor,
    image: torch.Tensor,
    weight: torch.Tensor,
    bias_sizes: list[int] | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
    wanted: list[bool],
) -> tuple[torch.Tensor | None, None, None]:
    """Gradient of a convolution in its image: the transposed convolution with the same weights."""
    del bias_sizes, output_padding
    if transposed or image.ndim != 4:
        raise NoRuleError("only plain 2-D convolutions have a rule")
    if not wanted[0]:
        return None, None, None
    return _spread(slope, image, weight, stride, padding, dilation, groups), None, None


def max_pool_backward(
    slope: torch.Tensor,
    image: torch.Tensor,
    kernel_size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
    indices: torch.Tensor,
) -> torch.Tensor:
    """Gradient of max pooling in its image: every slope added where its maximum was."""
    del kernel_size, stride, padding, dilation, ceil_mode
    planes = (image.shape[0], image.shape[1])
    flat = torch.zeros((*planes, math.prod(image.shape[2:])))
    added: torch.Tensor = _aten.scatter_add.default(flat, 2, indices.reshape(*planes, -1), slope.reshape(*planes, -1))
    return added.reshape(image.shape)


def average_pool_backward(
    slope: torch.Tensor,
    image: torch.Tensor,
    kernel_size: list[int],
    stride: list[int],
    padding: list[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> torch.Tensor:
    """Gradient of average pooling in its image: the transposed convolution with equal weights."""
    if ceil_mode or divisor_override is not None or (any(padding) and not count_include_pad):
        raise NoRuleError("average pooling with a changing divisor has no rule")
    channels = image.shape[1]
    weight = torch.full((channels, 1, *kernel_size), 1 / math.prod(kernel_size))
    return _spread(slope, image, weight, stride or kernel_size, padding, [1, 1], channels)


def adaptive_pool(image: torch.Tensor, size: list[int]) -> torch.Tensor:
    """Adaptive average pooling to a size (h, w) that divides the image's."""
    windows = _windows(image, size)
    if windows == (1, 1):
        return image * 1.0
    height, width = windows
    return image.reshape(*image.shape[:2], size[0], height, size[1], width).mean(dim=(3, 5))


def adaptive_pool_backward(slope: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Gradient of adaptive average pooling in its image: every slope shared out over its window."""
    rows, columns = slope.shape[2], slope.shape[3]
    height, width = _windows(image, [rows, columns])
    if (height, width) == (1, 1):
        return slope * 1.0
    weight = torch.full((image.shape[1], 1, height, width), 1 / (height * width))
    return _spread(slope, image, weight, [height, width], [0, 0], [1, 1], image.shape[1])


RULES: dict[Any, Any] = {
    _aten.convolution_backward.default: convolution_backward,
    _aten.max_pool2d_with_indices_backward.default: max_pool_backward,
    _aten.avg_pool2d_backward.default: average_pool_backward,
    _aten._adaptive_avg_pool2d.default: adaptive_pool,
    _aten._adaptive_avg_pool2d_backward.default: adaptive_pool_backward,
}
"""Rule of each operator, as `torch.fx` takes them."""


def _windows(image: torch.Tensor, size: list[int]) -> tuple[int, int]:
    height, width = image.shape[2], image.shape[3]
    if height % size[0] or width % size[1]:
        raise NoRuleError(f"adaptive pooling of {height} x {width} to {size[0]} x {size[1]} has no rule")
    return height // size[0], width // size[1]


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
        plain: torch.Tensor = _aten.convolution.default(
            slope, kernel, None, [1, 1], reach, dilation, False, [0, 0], groups
        )
        return plain
    # The part of the image that the strides of the forward pass never reached.
    missing = [
        image.shape[2 + axis]
        - ((slope.shape[2 + axis] - 1) * stride[axis] - 2 * padding[axis])
        - (dilation[axis] * (weight.shape[2 + axis] - 1) + 1)
        for axis in (0, 1)
    ]
    spread: torch.Tensor = _aten.convolution.default(
        slope, weight, None, stride, padding, dilation, True, missing, groups
    )
    return spread
