"""How much the paper's methods depend on their hyperparameters: sweeps of settings, judged exactly.

A sweep varies the hyperparameters that have a letter in the formulas (`optimizers.limits`): each alone, and each
together with the step size. Every setting runs on every place of a suite with known answers; what counts is the mean
*quality* over its questions: feasible volume over that of the optimum, 0 for an infeasible region.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, final

import numpy as np

from baselines.experiments.protocols import Entry
from optimizers.base import Optimizer
from optimizers.corner_method import CornerSettings, settings_of_form
from optimizers.limits import SYMBOL
from semrob_env.errors import InvalidParameterError
from semrob_env.functions import ScoreFunction
from semrob_env.metrics import cluster_means
from semrob_env.store import canonical_json
from semrob_env.types import FloatArray

STEP = "eta"
"""Letter of the step size: the hyperparameter that others are paired with."""

NEEDED_ERROR = 0.05
"""Root mean square error of scores at which a line of samples, joined linearly, is held for enough."""

_COUNTS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, 30, 40, 60, 80, 120)
_LINE = 720


@final
@dataclass(frozen=True)
class Setting:
    """One setting of a sweep."""

    values: tuple[tuple[str, float], ...]  # value of every swept hyperparameter, by its letter
    entry: Entry  # what runs

    def value(self, symbol: str) -> float:
        """The value of a letter."""
        return dict(self.values)[symbol]


@final
@dataclass(frozen=True)
class Sweep:
    """The settings of one method."""

    method: str  # its name
    defaults: Mapping[str, float]  # by letter, the step size first
    settings: tuple[Setting, ...]  # all settings, the defaults among them

    def along(self, symbol: str) -> list[Setting]:
        """Settings in which only this one differs from its default, rising."""
        own = [
            s for s in self.settings if all(s.value(name) == d for name, d in self.defaults.items() if name != symbol)
        ]
        return sorted(own, key=lambda setting: setting.value(symbol))

    def at_defaults(self) -> Setting:
        """The setting with all defaults."""
        return next(s for s in self.settings if dict(s.values) == dict(self.defaults))


def make_sweep(method: type[Optimizer[Any]], form: str, values: Mapping[str, Sequence[float]]) -> Sweep:
    """The sweep of a method around its defaults in a form.

    Args:
        method: One with letters, a corner method.
        form: `normalized` or `paper`.
        values: By letter; those of other methods are left out, and defaults come on top.

    Raises:
        InvalidParameterError: No corner method, or a value out of its limits.
    """
    if not issubclass(method.settings_class, CornerSettings):
        raise InvalidParameterError(f"{method.name} has no letters in the paper's formulas; choose one of its methods")
    base = settings_of_form(method, form).to_mapping()
    names = {own.metadata[SYMBOL]: own.name for own in fields(method.settings_class) if own.metadata.get(SYMBOL)}
    defaults = {symbol: float(base[name]) for symbol, name in names.items()}
    chosen = {symbol: sorted({*map(float, values.get(symbol, ())), defaults[symbol]}) for symbol in names}
    others = [symbol for symbol in names if symbol != STEP]
    points = {tuple({**defaults, STEP: step}.items()) for step in chosen[STEP]}
    for other in others:
        for step, value in itertools.product(chosen[STEP], chosen[other]):
            points.add(tuple({**defaults, STEP: step, other: value}.items()))
    settings = []
    for point in sorted(points):
        full = method.settings_class.from_mapping({**base, **{names[symbol]: value for symbol, value in point}})
        label = ":".join([method.name, *(f"{symbol}={value:g}" for symbol, value in point)])
        entry = Entry(label, method.name, method.version, canonical_json(full.to_mapping()))
        settings.append(Setting(point, entry))
    return Sweep(method.name, defaults, tuple(settings))


def samples_needed(function: ScoreFunction, member: int, start: Sequence[float]) -> list[int]:
    """For every parameter, how many even samples of it a line through a point needs: error at most `NEEDED_ERROR`."""
    space, needed = function.space, []
    for k, parameter in enumerate(space.parameters):
        periodic = parameter.period is not None
        places = np.arange(_LINE + (not periodic)) / _LINE
        theta = np.repeat(np.array([start], dtype=np.float64), len(places), axis=0)
        theta[:, k] = parameter.low + places * (parameter.high - parameter.low)
        line = function.scale.unit(function.values(theta[None], [member])[0])
        closed = np.append(line, line[0]) if periodic else line
        needed.append(
            next((count for count in _COUNTS if _error(closed, count, periodic) <= NEEDED_ERROR), _COUNTS[-1])
        )
    return needed


def _error(line: FloatArray, count: int, periodic: bool) -> float:
    """Root mean square error of a closed or open line, joined linearly between `count` of its points."""
    knots = np.linspace(0, len(line) - 1, count + 1 if periodic else count)
    at = np.arange(len(line), dtype=np.float64)
    return float(np.sqrt(np.mean((np.interp(at, knots, np.interp(knots, at, line)) - line) ** 2)))


def paired_interval(differences: FloatArray, groups: Sequence[str], rng: np.random.Generator) -> tuple[float, float]:
    """Percentile bootstrap interval (95 %) of the mean of differences (Q,), over their groups; NaN for a single one."""
    found = cluster_means(differences[None], np.array(groups), rng)
    return float(found.low[0]), float(found.high[0])
