"""Methods of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optimizers.base import Optimizer
from optimizers.registry import get_optimizer
from semrob_env.errors import InvalidParameterError


def region_methods(names: Sequence[str]) -> dict[str, type[Optimizer[Any]]]:
    """Methods by name, in the order given.

    Raises:
        InvalidParameterError: One recommends points.
        UnknownNameError: One is not registered.
    """
    methods = {name: get_optimizer(name) for name in names}
    for name, method in methods.items():
        if method.recommends != "regions":
            raise InvalidParameterError(f"--methods {name} recommends points; what is asked for here is regions")
    return methods
