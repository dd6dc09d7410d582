"""Front doors: names that a package offers at its top and imports when they are first asked for (PEP 562)."""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False  # as type checkers know it; `typing` is slow to load
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def front_door(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package; what has been asked for once is an attribute like any other.

    Args:
        package: Its `__name__`.
        names: Module to the names it defines, spaces between them. `__version__` is offered beside them.
    """
    module_of = {name: module for module, own in names.items() for name in own.split()}

    def get(name: str) -> object:
        if name == "__version__":
            return _version()
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; dir({package}) tells what it has")
        found: object = getattr(importlib.import_module(module_of[name]), name)
        setattr(sys.modules[package], name, found)
        return found

    return get, lambda: sorted([*module_of, "__doc__", "__version__"]), sorted(module_of)


def _version() -> str:
    from importlib import metadata  # slow to load

    try:
        return metadata.version("semrob")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return "0+unknown"
