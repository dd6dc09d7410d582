"""Bayesian optimization of regions by Optuna: TPE, or a Gaussian process with (log) expected improvement.

Jones, Schonlau & Welch, *Efficient global optimization of expensive black-box functions*, J. Global Optimization 13,
1998; Ament et al., *Unexpected improvements to expected improvement*, NeurIPS 2023 (what `gp` maximises); Bergstra et
al., *Algorithms for hyperparameter optimization*, NIPS 2011 (`tpe`, here over all bounds jointly); Akiba et al.,
*Optuna*, KDD 2019, https://github.com/optuna/optuna (optional: `pip install semrob[baselines]`). Objective, estimate
and recommendation: `baselines.objective`.

Why Optuna: kept, MIT, ask and tell, a pure wheel of 0.4 MB that brings SQLAlchemy and alembic along; its process needs
torch and SciPy only, which are here already. BoTorch (MIT, 6 MB) brings GPyTorch, linear_operator and ninja; SMAC (BSD,
a source archive) scikit-learn and Dask.

Why `tpe`: `gp` takes 15 times its time.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, final, get_args

import numpy as np

from baselines.objective import FIRST, SearchSettings
from baselines.search import RegionSearch
from baselines.solver import Evaluate, library
from optimizers.limits import one_of, whole_number
from optimizers.registry import register

Algorithm = Literal["tpe", "gp"]
ALGORITHM_LIMITS = one_of(*get_args(Algorithm))

_WORST = 1e6
"""Told in place of a loss that is not finite."""


@final
@dataclass(frozen=True)
class BayesianSettings(SearchSettings):
    """Hyperparameters: those of every search, and of the sampler.

    Attributes:
        algorithm: `tpe`, or `gp`.
        startup: Candidates before its model is used: the first guess, then uniform ones.
    """

    algorithm: Algorithm = field(default="tpe", metadata=ALGORITHM_LIMITS)
    startup: int = field(default=5, metadata=whole_number(1))


@final
@register
class Bayesian(RegionSearch[BayesianSettings]):
    """Bayesian optimization; see the module.

    Raises:
        MissingExtraError: Optuna is not installed.
    """

    name = "bayesian"
    title = "Bayesian optimization (Optuna, Akiba et al. 2019)"
    settings_class = BayesianSettings

    @staticmethod
    def _minimize(settings: BayesianSettings, evaluate: Evaluate, size: int, plan: int, seed: int) -> None:
        del plan
        minimize_by_optuna(evaluate, size, seed, settings.algorithm, settings.startup, first=FIRST)


def minimize_by_optuna(
    evaluate: Evaluate,
    size: int,
    seed: int,
    algorithm: Algorithm,
    startup: int,
    *,
    first: float,
    is_exact: bool = False,
) -> None:
    """Minimises over the unit cube of `size` numbers, and does not return.

    Args:
        evaluate: The loss of a candidate (size,).
        size: Numbers of a candidate.
        seed: Of the sampler.
        algorithm: Which sampler.
        startup: Candidates before its model is used.
        first: Every coordinate of the first candidate.
        is_exact: Whether a candidate has the same loss each time: the process then has no noise.

    Raises:
        MissingExtraError: Optuna is not installed.
    """
    package = library("optuna")
    if algorithm == "gp":
        sampler = package.samplers.GPSampler(seed=seed, n_startup_trials=startup, deterministic_objective=is_exact)
    else:
        sampler = package.samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=True)
    with _quiet(package.logging):
        study = package.create_study(sampler=sampler)
    axes = {f"u{k:0{len(str(size))}d}": package.distributions.FloatDistribution(0.0, 1.0) for k in range(size)}
    study.enqueue_trial(dict.fromkeys(axes, first))
    while True:
        with _quiet(package.logging):
            trial = study.ask(axes)
        loss = evaluate(np.array([trial.params[name] for name in axes]))
        study.tell(trial, loss if math.isfinite(loss) else _WORST)


@contextlib.contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """Without the library's notes and warnings, which it logs to the standard error; afterwards as before."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
