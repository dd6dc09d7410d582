"""Any optimizer of nevergrad's registry, by name: NGOpt, OnePlusOne, CMA, DE, TwoPointsDE, TBPSA, Powell, Cobyla, ...

Rapin & Teytaud, *Nevergrad - A gradient-free optimization platform*, 2018, https://github.com/facebookresearch/nevergrad
(optional: `pip install semrob[baselines]`). Objective, estimate and recommendation: `baselines.objective`.

NGOpt chooses among the others by the number of variables and the planned number of candidates. Those that nevergrad
wraps itself (Powell, Cobyla, parts of NGOpt) wait in threads which would keep the interpreter from ending; here a
daemon thread makes them, and so they are daemons (`baselines.solver`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from baselines.objective import FIRST, SearchSettings
from baselines.search import RegionSearch
from baselines.solver import Evaluate, library
from optimizers.registry import register
from semrob_env.errors import UnknownNameError


@final
@dataclass(frozen=True)
class NevergradSettings(SearchSettings):
    """Hyperparameters: those of every search, and the optimizer.

    Attributes:
        algorithm: Its name in nevergrad's registry.
    """

    algorithm: str = "NGOpt"


@final
@register
class Nevergrad(RegionSearch[NevergradSettings]):
    """An optimizer of nevergrad; see the module.

    Raises:
        MissingExtraError: nevergrad is not installed.
        UnknownNameError: nevergrad has no optimizer of that name.
    """

    name = "nevergrad"
    title = "nevergrad (Rapin & Teytaud 2018)"
    settings_class = NevergradSettings
    draws_globally = True

    @staticmethod
    def _minimize(settings: NevergradSettings, evaluate: Evaluate, size: int, plan: int, seed: int) -> None:
        minimize_by_nevergrad(evaluate, size, plan, seed, settings.algorithm, first=FIRST)


def minimize_by_nevergrad(
    evaluate: Evaluate, size: int, plan: int, seed: int, algorithm: str, *, first: float | None
) -> None:
    """Minimizes over the unit cube of `size` numbers, and does not return.

    Args:
        evaluate: The loss of a candidate (size,).
        size: Numbers of a candidate.
        plan: Candidates that it may count on.
        seed: Of the optimizer.
        algorithm: Its name in nevergrad's registry.
        first: Every coordinate of its first guess; None: uniform ones, so that no algorithm has one course only.

    Raises:
        MissingExtraError: nevergrad is not installed.
        UnknownNameError: nevergrad has no optimizer of that name.
    """
    package = library("nevergrad")
    known = package.optimizers.registry
    if algorithm not in known:
        raise UnknownNameError(
            f"nevergrad has no optimizer {algorithm!r}; it has {len(known)}, among them NGOpt, "
            "OnePlusOne, CMA, DE, TwoPointsDE, TBPSA"
        )
    random = np.random.RandomState(seed)
    guess = random.random_sample(size) if first is None else np.full(size, first)
    variables = package.p.Array(init=guess, lower=0.0, upper=1.0)
    variables.random_state = random
    optimizer = known[algorithm](variables, budget=plan, num_workers=1)
    while True:
        candidate = optimizer.ask()
        optimizer.tell(candidate, evaluate(candidate.value))
