"""The list of methods: what tests, tables and scripts run over.

A method is imported when it is asked for: those of this package, which are named here, those of `baselines` and those
of other packages, which come by entry points of the group `semrob.optimizers`.
"""

from __future__ import annotations

from typing import Any, TypeVar

from optimizers.base import Optimizer
from semrob_env.registry import Registry

OPTIMIZERS: Registry[type[Optimizer[Any]]] = Registry(
    "method",
    "semrob.optimizers",
    {
        "box_quadrature": "optimizers.box_quadrature:BoxQuadrature",
        "naive": "optimizers.naive:Naive",
        "oir_b": "optimizers.oir_b:OirB",
        "oir_w": "optimizers.oir_w:OirW",
        "shared_quadrature": "optimizers.shared_quadrature:SharedQuadrature",
        "trapezoidal": "optimizers.trapezoidal:Trapezoidal",
        "unregularized": "optimizers.unregularized:Unregularized",
    },
    accepts=lambda found: isinstance(found, type) and issubclass(found, Optimizer),
)
"""Every method by name."""

OptimizerT = TypeVar("OptimizerT", bound=type[Optimizer[Any]])


def register(method: OptimizerT, *, replace: bool = False) -> OptimizerT:
    """Put a method on the list under its `name`; as a class decorator, `@register`.

    Args:
        method: The class.
        replace: Take the place of a method of that name: `register(Mine, replace=True)` in a notebook.

    Raises:
        NameClashError: The name is taken.
    """
    OPTIMIZERS.register(method.name, method, replace=replace)
    return method


def get_optimizer(name: str) -> type[Optimizer[Any]]:
    """The method class of that name.

    Raises:
        UnknownNameError: No such method.
        PluginError: Its plug-in cannot be imported.
    """
    return OPTIMIZERS[name]
