"""The list of methods: what tests, tables and scripts run over. `import optimizers` fills it."""

from __future__ import annotations

from typing import Any, TypeVar

from optimizers.base import Optimizer
from semrob_env.errors import NameClashError, UnknownNameError

OPTIMIZERS: dict[str, type[Optimizer[Any]]] = {}
"""Every registered method by name."""

OptimizerT = TypeVar("OptimizerT", bound=type[Optimizer[Any]])


def register(method: OptimizerT) -> OptimizerT:
    """Class decorator that puts a method on the list under its `name`.

    Raises:
        NameClashError: The name is taken.
    """
    if method.name in OPTIMIZERS:
        raise NameClashError(f"method {method.name!r} is registered already; choose another name")
    OPTIMIZERS[method.name] = method
    return method


def get_optimizer(name: str) -> type[Optimizer[Any]]:
    """The method class of that name.

    Raises:
        UnknownNameError: No such method.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError(f"unknown method {name!r}; known are {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name]
