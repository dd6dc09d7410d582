"""Methods as commands, protocols and tasks write them: a name, and those hyperparameters that are not at defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from optimizers.base import Optimizer
from optimizers.registry import get_optimizer
from semrob_env.errors import InvalidParameterError
from semrob_env.store import canonical_json


def full_settings(method: type[Optimizer[Any]], given: Mapping[str, Any]) -> str:
    """All hyperparameters as canonical JSON, so that a changed default changes the key of a run.

    Raises:
        InvalidParameterError: A hyperparameter that the method does not have, or that is out of its limits.
    """
    own = method.settings_class
    is_real = {field.name for field in fields(own) if isinstance(field.default, float)}
    # 1 and 1.0 are one setting and one key.
    try:
        values = {name: float(val) if name in is_real and type(val) is int else val for name, val in given.items()}
    except OverflowError as error:
        raise InvalidParameterError(f"settings of {method.name}: a number is too large; give smaller ones") from error
    return canonical_json(own.from_mapping(values).to_mapping())


def read_method(text: str) -> tuple[type[Optimizer[Any]], str]:
    """The method and all its settings of a text like `naive` or `nevergrad:algorithm=DE:points=8`.

    Raises:
        UnknownNameError: No such method.
        InvalidParameterError: A setting that the method does not have.
    """
    name, *parts = text.split(":")
    method, changes = get_optimizer(name), dict[str, Any]()
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidParameterError(f"cannot read setting {part!r} of {text!r}; write NAME:SETTING=VALUE")
        try:
            changes[key] = json.loads(value)
        except ValueError:
            changes[key] = value  # a word
    return method, full_settings(method, changes)
