"""What a method asks a step, by counting what the oracle charges for one, and what its settings allow.

Nothing here is a formula: every count is that of a `QueryOracle` after one ask on a synthetic function.
"""

from __future__ import annotations

import inspect
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, Literal, final, get_args, get_origin, get_type_hints

import numpy as np

from optimizers.base import Optimizer, RegionOptimizer, Settings
from optimizers.corner_method import CornerSettings
from optimizers.run import run
from semrob_env.errors import SemrobError
from semrob_env.functions import make_function
from semrob_env.oracle import QueryOracle
from semrob_env.synthetic import SyntheticFunction

_PLAIN = (RegionOptimizer, Optimizer, Generic, ABC, object)


@final
@dataclass(frozen=True)
class Count:
    """What a method was charged.

    Attributes:
        n: Number of parameters.
        steps: Steps told.
        forward: Forward queries.
        gradient: Gradient queries.
        refusal: Why it does not run at this n; empty if it does.
    """

    n: int
    steps: int = 0
    forward: int = 0
    gradient: int = 0
    refusal: str = ""

    @property
    def total(self) -> int:
        """Queries of both kinds."""
        return self.forward + self.gradient


def count_queries(method: type[Optimizer[Any]], settings: Settings, n: int, *, steps: int = 1) -> Count:
    """Run a method on a synthetic plateau of n parameters, from the middle of it, and read the oracle's counts.

    A method that ends by itself takes fewer steps. One that cannot run at this n has an empty count with the reason.
    """
    function = make_function(f"synthetic:plateau?n={n}&seed=0")
    assert isinstance(function, SyntheticFunction)
    try:
        optimizer = method(function.space, function.space.project(function.plateau.centre), settings=settings, seed=0)
        result = run(optimizer, QueryOracle(function), max_steps=steps)
    except SemrobError as error:
        return Count(n, refusal=f"{type(error).__name__}: {error}")
    return Count(n, int(result.steps[0]), int(result.forward_queries[0]), int(result.gradient_queries[0]))


def growth(counts: Sequence[Count]) -> str:
    """How the queries of one step grow with n, fitted: constant, c n^p or c b^n, whichever leaves the least residue.

    Least squares on log2 of the count; in brackets the largest miss of the fit, as a factor, where there is one.
    """
    told = [(count.n, count.total) for count in counts if count.total > 0]
    if len(told) < 2:
        return "-"
    n, total = (np.array(column, dtype=np.float64) for column in zip(*told, strict=True))
    if len(set(total.tolist())) == 1:
        return "constant"
    logs = np.log2(total)
    fits = {}
    for name, place in (("power", np.log2(n)), ("exponential", n)):
        slope, offset = np.polyfit(place, logs, 1)
        fits[name] = (float(np.abs(slope * place + offset - logs).max()), float(slope), float(offset))
    name = min(fits, key=lambda word: fits[word][0])
    miss, slope, offset = fits[name]
    factor = "" if abs(offset) < 1e-9 else f"{2**offset:.3g} * "
    text = f"{factor}{2**slope:.3g}^n" if name == "exponential" else f"{factor}n^{slope:.3g}"
    return text if miss < 1e-9 else f"{text} (within {2**miss:.2f}x)"


def paradigm(method: type[Optimizer[Any]]) -> str:
    """What kind of method it is: the first line about the family of methods it belongs to, else about itself."""
    families = [base for base in method.__mro__[1:] if base not in _PLAIN]
    return _first_line(families[0] if families else method).partition(";")[0].rstrip(".")


def summary(method: type[Optimizer[Any]]) -> str:
    """The first line of the method's module, which says what it does."""
    return _first_line(inspect.getmodule(method))


def hyper_parameters(method: type[Optimizer[Any]], settings: Settings, sizes: Sequence[int]) -> list[dict[str, str]]:
    """A line for every hyper-parameter: `name`, `default`, `limits` and `meaning`, read from the settings' class.

    Args:
        method: The method.
        settings: Where the values come from.
        sizes: Numbers of parameters at which limits that depend on n are told.
    """
    hints, meanings = get_type_hints(method.settings_class), _meanings(method.settings_class)
    return [
        {
            "name": field.name,
            "default": str(getattr(settings, field.name)),
            "limits": _limits(method.settings_class, field.metadata, hints[field.name], sizes),
            "meaning": meanings.get(field.name, ""),
        }
        for field in fields(method.settings_class)
    ]


def _limits(owner: type[Settings], metadata: Mapping[str, Any], hint: Any, sizes: Sequence[int]) -> str:
    words = metadata.get("words") or (get_args(hint) if get_origin(hint) is Literal else ())
    if words:
        return " or ".join(words)
    parts = []
    if issubclass(owner, CornerSettings):
        parts.append("0 or above" if metadata.get("may_be_zero") else "above 0")
    if "below" in metadata:
        limits = ", ".join(f"{metadata['below'](n):.4g}" for n in sizes)
        parts.append(f"below {limits} for n = {', '.join(map(str, sizes))}")
    return ", ".join(parts)


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").strip().partition("\n")[0]


def _meanings(owner: type[Settings]) -> dict[str, str]:
    """What docstrings say of each field, those of base classes too."""
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__):
        _, _, attributes = (inspect.getdoc(base) or "").partition("Attributes:\n")
        name = ""
        for line in attributes.splitlines():
            depth = len(line) - len(line.lstrip())
            if not line.strip() or depth == 0:
                if depth == 0 and line.strip():
                    break
                continue
            head, colon, rest = line.strip().partition(": ")
            if depth == 4 and colon:
                name = head
                found[name] = rest
            elif name:
                found[name] += f" {line.strip()}"
    return found
