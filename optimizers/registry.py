"""The list of methods: what tests, tables and scripts run over.

`import optimizers` fills it with the methods of that package; those of `baselines` and of other packages come by entry
points of the group `semrob.optimizers`, and are imported when they are asked for. In a checkout that is not installed
there are no entry points: there `import baselines` adds the baselines, as any import from that package does.
"""

from __future__ import annotations

from typing import Any, TypeVar

from optimizers.base import Optimizer
from semrob_env.registry import Registry

OPTIMIZERS: Registry[type[Optimizer[Any]]] = Registry(
    "method", "semrob.optimizers", accepts=lambda found: isinstance(found, type) and issubclass(found, Optimizer)
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
