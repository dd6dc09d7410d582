"""Modules of a user that register what they bring: `--import MODULE` of the scripts."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from semrob_env.errors import MissingExtraError
from semrob_env.registry import warn_of_plugin


def import_modules(modules: Sequence[str]) -> None:
    """Import modules by name; those of the current folder are found as well.

    One that breaks while it is imported is told in one line (`PluginWarning`) and left out.

    Raises:
        MissingExtraError: There is no module of that name.
    """
    if modules and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    for name in modules:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # whatever a stranger's module raises
            if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
                raise MissingExtraError(f"--import {name}: {error}; give the name of an importable module") from error
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            warn_of_plugin(f"--import {name} cannot be used ({reason}) and is left out; mend it")
