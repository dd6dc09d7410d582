"""Modules of a user that register methods: `--import MODULE` of the scripts."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from semrob_env.errors import MissingExtraError


def import_modules(modules: Sequence[str]) -> None:
    """Import modules by name; those of the current folder are found as well.

    Raises:
        MissingExtraError: One cannot be imported.
    """
    if modules and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MissingExtraError(f"--import {name}: {error}; give the name of an importable module") from error
