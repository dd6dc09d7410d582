"""What a method asks a step, by counting what the oracle charges for one, and what its settings allow.

Nothing here is a formula: every count is that of a `QueryOracle` after one ask on a synthetic function.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, final, get_args, get_origin, get_type_hints

import numpy as np

from optimizers.base import Optimizer, Settings
from optimizers.limits import SYMBOL, limits_of
from optimizers.run import run
from semrob_env.errors import SemrobError
from semrob_env.functions import make_function
from semrob_env.oracle import QueryOracle
from semrob_env.questions import Questions
from semrob_env.synthetic import SyntheticFunction
from semrob_env.types import FloatArray

PLANNED_BUDGET = 150
"""What methods that plan by their budget are told; nobody is held to it."""


@final
@dataclass(frozen=True)
class Count:
    """What a method was charged."""

    n: int  # number of parameters
    steps: int = 0  # steps told
    forward: int = 0  # forward queries
    gradient: int = 0  # gradient queries
    refusal: str = ""  # why it does not run at this n; empty if it does

    @property
    def total(self) -> int:
        """Queries of both kinds."""
        return self.forward + self.gradient

    @property
    def forward_a_step(self) -> float:
        """Mean over the steps."""
        return self.forward / max(self.steps, 1)

    @property
    def gradient_a_step(self) -> float:
        """Mean over the steps."""
        return self.gradient / max(self.steps, 1)


def count_queries(method: type[Optimizer[Any]], settings: Settings, n: int, *, steps: int = 1) -> Count:
    """Run a method on a synthetic plateau of n parameters, from the middle of it, and read the oracle's counts.

    A method that ends by itself takes fewer steps. One that cannot run at this n has an empty count with the reason.
    """
    function = make_function(f"synthetic:plateau?n={n}&seed=0")
    assert isinstance(function, SyntheticFunction)
    try:
        start = function.space.project(function.plateau.center)
        optimizer = method(Questions(function.space, start, budget=PLANNED_BUDGET), settings=settings, seed=0)
        result = run(optimizer, QueryOracle(function), max_steps=steps)
    except SemrobError as error:
        return Count(n, refusal=f"{type(error).__name__}: {error}")
    return Count(n, int(result.steps[0]), int(result.forward_queries[0]), int(result.gradient_queries[0]))


def growth(sizes: Sequence[int], queries: Sequence[float]) -> str:
    """How queries grow with n, fitted: constant, a n + b, c n^p or c b^n, the first that fits exactly.

    If none does, the first that fits exactly from a later n on, which is told; else the one with the least residue, and
    in brackets its largest miss as a factor. Less than three numbers say nothing about growth.

    Args:
        sizes: Numbers of parameters, rising.
        queries: Queries at each of them.
    """
    n, total = np.asarray(sizes, dtype=np.float64), np.asarray(queries, dtype=np.float64)
    if len(n) and (total == total[0]).all():
        return "0" if total[0] == 0 else "constant"
    if len(n) < _LEAST_POINTS or (total <= 0).any():
        return "-"
    for first in range(max(1, len(n) - _LEAST_POINTS)):
        exact = [fit for fit in _fits(n[first:], total[first:]) if fit.miss < 1 + 1e-9]
        if exact:
            return exact[0].text + (f" from n = {sizes[first]} on" if first else "")
    best = min(_fits(n, total), key=lambda fit: fit.miss)
    return f"{best.text} (within {best.miss:.2f}x)"


class _Fit(NamedTuple):
    """A law as text, and the largest factor by which it misses."""

    text: str
    miss: float


_LEAST_POINTS = 3
"""Fewer leave nothing to tell laws apart by."""


def _fits(n: FloatArray, total: FloatArray) -> list[_Fit]:
    """Laws fitted by least squares, simplest first; the linear one on relative residues, the others on logarithms."""
    found = []
    if (total == total[0]).all():
        found.append(_Fit("constant", 1.0))
    (slope, offset), *_ = np.linalg.lstsq(np.stack([n, np.ones_like(n)], axis=1) / total[:, None], np.ones_like(n))
    if (line := slope * n + offset).min() > 0:
        constant = "" if abs(offset) < 1e-6 else f" {'+' if offset > 0 else '-'} {abs(offset):.3g}"
        found.append(_Fit(f"{_factor(slope)}n{constant}", _miss(line, total)))
    logs = np.log2(total)
    slope, offset = np.polyfit(np.log2(n), logs, 1)
    found.append(_Fit(f"{_factor(2**offset)}n^{slope:.3g}", _miss(2 ** (slope * np.log2(n) + offset), total)))
    slope, offset = np.polyfit(n, logs, 1)
    shift = offset / slope if abs(slope) > 1e-9 else 0.5
    is_shifted = abs(shift - round(shift)) < 1e-9
    text = (
        f"{2**slope:.3g}^" + ("n" if round(shift) == 0 else f"(n{round(shift):+d})")
        if is_shifted
        else f"{_factor(2**offset)}{2**slope:.3g}^n"
    )
    found.append(_Fit(text, _miss(2 ** (slope * n + offset), total)))
    return found


def _factor(value: float) -> str:
    return "" if abs(value - 1) < 1e-9 else f"{value:.3g} "


def _miss(fitted: FloatArray, total: FloatArray) -> float:
    return float(2 ** np.abs(np.log2(fitted / total)).max())


def summary(method: type[Optimizer[Any]]) -> str:
    """The first line of the method's module, which says what it does."""
    return (inspect.getdoc(inspect.getmodule(method)) or "").strip().partition("\n")[0]


def hyperparameters(method: type[Optimizer[Any]], settings: Settings, sizes: Sequence[int]) -> list[dict[str, str]]:
    """A line for every hyperparameter: `name`, `symbol`, `default`, `limits` and `meaning`, read from the settings.

    Args:
        method: The method.
        settings: Where the values come from.
        sizes: Numbers of parameters at which limits that depend on n are told.
    """
    hints, meanings = get_type_hints(method.settings_class), _meanings(method.settings_class)
    return [
        {
            "name": field.name,
            "symbol": field.metadata.get(SYMBOL, ""),
            "default": str(getattr(settings, field.name)),
            "limits": _limits(field.metadata, hints[field.name], sizes),
            "meaning": meanings.get(field.name, ""),
        }
        for field in fields(method.settings_class)
    ]


def _limits(metadata: Mapping[str, Any], hint: Any, sizes: Sequence[int]) -> str:
    """What a field declares, else the words that its type allows."""
    limits = limits_of(metadata)
    if limits is None:
        return " or ".join(get_args(hint)) if get_origin(hint) is Literal else ""
    return limits.text(metadata.get(SYMBOL, ""), sizes)


def _meanings(owner: type[Settings]) -> dict[str, str]:
    """What docstrings say of each field, those of base classes too."""
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__):
        section = (inspect.getdoc(base) or "").partition("Attributes:\n")[2]
        own = re.split(r"^\S", section, maxsplit=1, flags=re.MULTILINE)[0]  # up to the next section
        for name, meaning in re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", own, re.MULTILINE):
            found[name] = " ".join(meaning.split())
    return found
