"""Bayesian point attack: Optuna's model of f near theta0 says where a score is likely to be the lowest.

What Shu et al., *Identifying model weakness with adversarial examiner*, AAAI 2020, do with a Gaussian process, beside a
reinforced policy, to find the renderings that a network fails on. Library and samplers: `baselines.bayesian`; box, goal
and answer: `baselines.attack`. f has the same score each time it is asked, so the process has no noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import final

from baselines.attack import AttackSettings
from baselines.bayesian import ALGORITHM_LIMITS, Algorithm, minimize_by_optuna
from baselines.library_attack import CENTER, LibraryAttack
from optimizers.limits import whole_number
from optimizers.registry import register


@final
@dataclass(frozen=True)
class BayesianAttackSettings(AttackSettings):
    """Hyperparameters: those of every attack, and of the sampler.

    Attributes:
        algorithm: `tpe`, or `gp`.
        startup: Points before its model is used: the middle of the box (theta0, inside the space), then uniform ones.
    """

    algorithm: Algorithm = field(default="tpe", metadata=ALGORITHM_LIMITS)
    startup: int = field(default=5, metadata=whole_number(1))


@final
@register
class BayesianAttack(LibraryAttack[BayesianAttackSettings]):
    """A Bayesian point attack; see the module.

    Raises:
        MissingExtraError: Optuna is not installed.
    """

    name = "bayesian_attack"
    title = "Bayesian attack (Shu et al. 2020; Optuna)"
    settings_class = BayesianAttackSettings

    def _loop(self) -> Callable[..., None]:
        chosen = self.settings
        return partial(
            minimize_by_optuna,
            size=self.space.n,
            algorithm=chosen.algorithm,
            startup=chosen.startup,
            first=CENTER,
            is_exact=True,
        )
