"""Point attack by any optimizer of nevergrad's registry, by name: NGOpt, OnePlusOne, CMA, DE, ...

The first guess is a uniform point of the box. Library: `baselines.nevergrad`; loop, box and answer:
`baselines.library_attack`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import final

from baselines.attack import AttackSettings
from baselines.library_attack import LibraryAttack
from baselines.nevergrad import minimize_by_nevergrad
from optimizers.registry import register


@final
@dataclass(frozen=True)
class NevergradAttackSettings(AttackSettings):
    """Hyperparameters: those of every attack, and the optimizer.

    Attributes:
        algorithm: Its name in nevergrad's registry.
    """

    algorithm: str = "NGOpt"


@final
@register
class NevergradAttack(LibraryAttack[NevergradAttackSettings]):
    """A point attack by nevergrad; see the module.

    Raises:
        MissingExtraError: nevergrad is not installed.
        UnknownNameError: nevergrad has no optimizer of that name.
    """

    name = "nevergrad_attack"
    title = "nevergrad attack (Rapin & Teytaud 2018)"
    settings_class = NevergradAttackSettings
    draws_globally = True

    def _loop(self) -> Callable[..., None]:
        plan = max(1, int(self.questions.budget))
        algorithm = self.settings.algorithm
        return partial(minimize_by_nevergrad, size=self.space.n, plan=plan, algorithm=algorithm, first=None)
