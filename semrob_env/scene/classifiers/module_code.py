"""What a torch module computes beside its weights: its traced graph, and what its layers hold and run, as text.

The graph is what torch records while the module answers one image: operators, their order, numbers and constant
tensors, whatever Python they came from. A branch that the image did not take is not in it; for that there is the
bytecode of the layers. Neither text depends on the process, on memory addresses or on where files lie.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial
from types import CellType, CodeType, FunctionType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def trace(module: torch.nn.Module, *examples: torch.Tensor) -> Any:
    """The module as torch records it; whatever the module or torch raises where that cannot be."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about branches: answers to other images are compared
        return torch.jit.trace(module, examples, check_trace=False)  # type: ignore[no-untyped-call]


def looks_at_numbers(module: torch.nn.Module, image: torch.Tensor) -> bool:
    """Whether the Python of a module takes a number out of a tensor that an image (1, 3, H, W) has gone into.

    Branches and loops on such numbers are frozen in a trace as that image took them.
    """
    watch = _Watch(image)
    with torch.no_grad(), watch:
        module(image)
    return watch.has_looked


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows what is computed of a tensor, by its storages, which are kept so that no other one takes their place."""

    def __init__(self, tensor: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.has_looked = False
        self._kept = {tensor.untyped_storage().data_ptr(): tensor}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Not for what nobody compiles: torch would import its compiler first, which takes seconds."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if any(leaf.untyped_storage().data_ptr() in self._kept for leaf in given if leaf.layout == torch.strided):
            made = tree_leaves(result)
            self.has_looked |= any(isinstance(leaf, bool | int | float | complex) for leaf in made)
            fresh = (leaf for leaf in made if isinstance(leaf, torch.Tensor) and leaf.numel())
            self._kept.update((leaf.untyped_storage().data_ptr(), leaf) for leaf in fresh)
        return result


def graph_digest(graph: Any) -> str:
    """SHA-256 of the operators of a trace, in order, with their numbers, constant tensors and names of weights.

    Args:
        graph: The `inlined_graph` of a trace.
    """
    digest, numbers = hashlib.sha256(), dict[int, int]()
    for node in _nodes(graph):
        inputs = [numbers.setdefault(value.unique(), len(numbers)) for value in node.inputs()]
        outputs = [numbers.setdefault(value.unique(), len(numbers)) for value in node.outputs()]
        held = [(name, _attribute(node, name)) for name in sorted(node.attributeNames())]
        digest.update(repr((node.kind(), inputs, outputs, held)).encode())
    return digest.hexdigest()


def draws(graph: Any) -> bool | None:
    """Whether an operator of a trace draws random numbers, as dropout does while it trains; None: it may.

    Args:
        graph: As `graph_digest`.
    """
    found: bool | None = False
    for node in _nodes(graph):
        if not node.isNondeterministic():
            continue
        share: Any = 1.0
        is_training: Any = True
        if "dropout" in node.kind():
            _, share, is_training = (value.toIValue() for value in node.inputs())
        elif node.kind() == "aten::rrelu":
            is_training = list(node.inputs())[_TRAINING_OF_RRELU].toIValue()
        elif node.kind() == "aten::scaled_dot_product_attention":
            share = list(node.inputs())[_SHARE_OF_ATTENTION].toIValue()
        if is_training is None or share is None:
            found = None
        elif is_training and share:
            return True
    return found


_SHARE_OF_ATTENTION, _TRAINING_OF_RRELU = 4, 3
"""Places of the share that attention drops, after query, key, value and mask; and of whether a ReLU draws its slopes,
after image, least and largest slope."""


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.nodes():
        yield node
        inner = [*node.blocks(), *(node.g(name) for name in node.attributeNames() if node.kindOf(name) == "g")]
        for block in inner:
            yield from _nodes(block)


def _attribute(node: Any, name: str) -> object:
    kind = node.kindOf(name)
    if kind in {"s", "i", "f", "c", "ss", "is", "fs", "t", "ts"}:
        return told(getattr(node, kind)(name))
    return told(node.output().toIValue()) if kind == "ival" else kind


def structure(module: torch.nn.Module, depth: int = 0) -> list[tuple[object, ...]]:
    """Type, code and attributes of every layer, but for its weights and whether it trains."""
    return [
        (
            name,
            _code_of_type(layer.__class__),
            *((own, told(held[own], depth)) for own in sorted(held.keys() - _TORCHS)),
        )
        for name, layer in module.named_modules()
        for held in (vars(layer),)
    ]


_TORCHS = frozenset(vars(torch.nn.Module()))
"""Attributes that torch keeps; users' may begin with an underscore as well."""


def tensors_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers, those that are not saved included."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def told(value: object, depth: int = 0) -> object:
    """What stands for a value: itself, its numbers or its code, of containers their items; of all else its type."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return value
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), hashlib.sha256(tensor_bytes(value)).hexdigest()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest()
    kind = type(value).__qualname__
    if isinstance(value, torch.nn.Module) and depth < _DEEPEST_MODULE:  # hidden in a list, and so no layer
        return kind, told(tensors_of(value), depth + 1), structure(value, depth + 1)
    if depth >= _DEEPEST:
        return kind
    inner = partial(told, depth=depth + 1)
    if isinstance(value, list | tuple):
        return kind, *map(inner, value)
    if isinstance(value, set | frozenset):
        return kind, *sorted(repr(inner(item)) for item in value)
    if isinstance(value, Mapping):
        return kind, *sorted(repr((inner(key), inner(item))) for key, item in value.items())
    if is_dataclass(value) or isinstance(value, SimpleNamespace):
        if is_dataclass(value) and not hasattr(value, "__dict__"):  # it has slots
            return kind, inner({field.name: getattr(value, field.name, None) for field in fields(value)})
        return kind, inner(dict(vars(value)))
    if isinstance(value, partial):
        return kind, *map(inner, (value.func, value.args, value.keywords))
    if isinstance(value, FunctionType):
        held = [value.__defaults__, value.__kwdefaults__, *map(_contents, value.__closure__ or ())]
        return kind, _code(value.__code__), inner(held)
    return kind, getattr(value, "__qualname__", "")


_DEEPEST, _DEEPEST_MODULE = 6, 2
"""Containers within containers that are looked into, and modules within them."""


def tensor_bytes(tensor: torch.Tensor) -> memoryview:
    """The numbers of a tensor, whatever its order in memory."""
    plain = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    return plain.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _contents(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # nothing yet
        return None


@lru_cache(maxsize=1024)
def _code_of_type(kind: Any) -> tuple[str, ...]:
    """Name of a class, and digests of the functions of it and its bases; torch's own are known by name."""
    owners = [owner for owner in kind.__mro__ if not owner.__module__.startswith(("torch.", "builtins"))]
    functions = [(name, own) for owner in owners for name, own in vars(owner).items() if isinstance(own, FunctionType)]
    return kind.__qualname__, *(f"{name}:{_code(own.__code__)}" for name, own in functions)


def _code(code: CodeType) -> str:
    """Digest of bytecode, names and constants, without lines and files."""
    constants = [_code(value) if isinstance(value, CodeType) else told(value) for value in code.co_consts]
    return hashlib.sha256(repr((code.co_code, code.co_names, constants)).encode()).hexdigest()
