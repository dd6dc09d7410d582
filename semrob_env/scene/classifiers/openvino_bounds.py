"""What a model that OpenVINO has read may cost where it runs: bounds that are checked before anything is computed.

Shapes are known then, for one image: reading and reshaping fold no constants. So a file of a few bytes that asks for
gigabytes or hours is refused by its numbers, not by a clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from semrob_env.errors import RefusedFileError

MOST_ELEMENTS: Final = 2**27
"""Most numbers in one tensor (512 MiB)."""

MOST_TOTAL: Final = 2**30
"""Most numbers in all tensors together, loops counted by their turns (4 GiB, were none of them used again)."""

MOST_WORK: Final = 2 * 10**12
"""Most multiplications for an image: half a minute or so on two cores. The largest vision transformers take 10^12."""

_CHANGING: Final = MappingProxyType({
    "ReadValue": "keeps a state from image to image",
    "Assign": "keeps a state from image to image",
    "RandomUniform": "draws random numbers",
    "Multinomial": "draws random numbers",
})
"""Operators whose model answers the same image differently each time."""

_STORED: Final = frozenset({"Constant", "Parameter", "Result"})
"""Operators that compute nothing: what they hold lies in the file, or is the image."""


def check_bounds(model: Any, label: str) -> None:
    """Refuse a model that would take too much memory or time, or that changes its answers.

    Args:
        model: An `openvino.Model` whose input has the shape of one image.
        label: What messages call it.

    Raises:
        RefusedFileError: See above; or its cost cannot be told before it runs.
    """
    total = work = 0
    for operator, turns in _operators(model, 1, label):
        kind = operator.get_type_name()
        if kind in _CHANGING:
            raise RefusedFileError(f"{label}: {kind} {_CHANGING[kind]}; export the model for inference")
        if reason := _passed_over(operator, kind):
            raise RefusedFileError(f"{label}: {reason}; export it anew without")
        outputs = [_elements(output, label) for output in operator.outputs()]
        if kind in _STORED:
            continue
        largest = max(outputs, default=0)
        if largest > MOST_ELEMENTS:
            raise RefusedFileError(f"{label}: {kind} makes {largest} numbers; at most {MOST_ELEMENTS} are allowed")
        total += turns * sum(outputs)
        work += turns * largest * _work_for_each(operator, kind, label)
        if total > MOST_TOTAL or work > MOST_WORK:
            raise RefusedFileError(
                f"{label}: takes more than {MOST_TOTAL} numbers or {MOST_WORK} multiplications for an image; give a "
                "smaller model"
            )


def _passed_over(operator: Any, kind: str) -> str:
    """What the CPU plugin of OpenVINO, 2026.4, answers otherwise than the operator says, without a word; or nothing."""
    told = operator.get_attributes() if kind in {"LRN", "Interpolate", "AvgPool", "MaxPool", "ROIAlign"} else {}
    if kind == "LRN":
        bias, size = float(told["bias"]), int(told["size"])
        if not bias.is_integer():
            return f"LRN of bias {bias:g}, of which OpenVINO takes the whole part"
        if size % 2 == 0:
            return f"LRN of size {size}, of which OpenVINO leaves out a channel"
    if told.get("antialias") and told["mode"] in {"linear_onnx", "cubic"}:
        before, after = (value.get_partial_shape() for value in (operator.input_value(0), operator.output(0)))
        if any(new.get_max_length() < old.get_max_length() for old, new in zip(before, after, strict=True)):
            return "Resize with antialias, which OpenVINO passes over"
    if kind == "ROIAlign" and told["mode"] == "max":
        return "RoiAlign by the maximum, which OpenVINO takes of other values than ONNX"
    if kind.endswith("Pool") and told and str(told["rounding_type"]).startswith("ceil"):
        return _overhanging(operator, kind, told)
    return ""


def _overhanging(operator: Any, kind: str, told: Mapping[str, Any]) -> str:
    """What of the last windows of a pool that rounds up is counted otherwise than ONNX says; or nothing."""
    before, after = (value.get_partial_shape() for value in (operator.input_value(0), operator.output(0)))
    windows = zip(
        (length.get_max_length() for length in list(before)[2:]),
        (length.get_max_length() for length in list(after)[2:]),
        *(told[name] for name in ("kernel", "strides", "dilations", "pads_begin", "pads_end")),
        strict=True,
    )
    for length, number, kernel, stride, dilation, begin, end in windows:
        start = (number - 1) * stride - begin
        if kind == "MaxPool" and start >= length:
            return "MaxPool with ceil_mode, a window of which OpenVINO lays into the padding alone"
        beyond = start + (kernel - 1) * dilation >= length + end
        if kind == "AvgPool" and not told["exclude-pad"] and beyond and any((*told["pads_begin"], *told["pads_end"])):
            return "AveragePool with ceil_mode and count_include_pad, of which OpenVINO counts too many or too few"
    return ""


def _operators(model: Any, turns: int, label: str) -> Iterator[tuple[Any, int]]:
    """Every operator of a model and of the bodies in it, and how often it runs."""
    for operator in model.get_ops():
        yield operator, turns
        kind = operator.get_type_name()
        if kind in {"Loop", "TensorIterator"}:
            repeats = operator.get_num_iterations()
            if not 0 <= repeats <= MOST_TOTAL:
                raise RefusedFileError(f"{label}: how often its {kind} turns is not told before it runs; unroll it")
            yield from _operators(operator.get_function(), turns * max(1, repeats), label)
        elif kind == "If":
            for body in (operator.get_then_body(), operator.get_else_body()):
                yield from _operators(body, turns, label)


def _elements(output: Any, label: str) -> int:
    """Most numbers in a tensor."""
    shape = output.get_partial_shape()
    lengths = [] if shape.rank.is_dynamic else [length.get_max_length() for length in shape]
    if shape.rank.is_dynamic or min(lengths, default=0) < 0:
        raise RefusedFileError(f"{label}: a tensor of shape {shape} has no bound, as it depends on the image")
    return int(math.prod(lengths))


def _work_for_each(operator: Any, kind: str, label: str) -> int:
    """Multiplications for each number of the output, at most."""
    inputs = [_elements(value, label) for value in operator.input_values()]
    if kind == "MatMul":
        left = operator.input_value(0).get_partial_shape()
        inner = left[-2 if operator.get_attributes()["transpose_a"] and len(left) > 1 else -1]
        return int(inner.get_max_length())
    if kind.endswith("Pool"):
        return int(math.prod(operator.get_attributes().get("kernel", [1])))
    if "Convolution" in kind:
        weights = operator.input_value(2 if "Deformable" in kind else 1).get_partial_shape()
        lengths = [length.get_max_length() for length in weights]
        lengths = lengths[1:] if "Group" in kind else lengths
        # Channels of the output, then of the input; the other way round in transposed ones.
        return int(math.prod(lengths) // max(1, lengths[1 if "Backprop" in kind else 0]))
    if kind.endswith("Sequence"):
        return max(inputs[1:])
    return 1 + max(inputs, default=0) // max(1, _elements(operator.output(0), label))
