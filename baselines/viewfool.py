"""ViewFool: a natural evolution strategy on a Gaussian over theta that is kept wide by its entropy.

Dong et al., *ViewFool: evaluating the robustness of visual recognition to adversarial viewpoints*, NeurIPS 2022, arXiv
2210.03895, equations 3 to 7, with our theta for its viewpoints:

    theta = center + half * tanh(u),  u ~ N(mu, diag(sigma^2)),  max E[L(theta) - entropy * log p(theta)]
    slope of mu    = E[L r / sigma - 2 entropy tanh(u)],                      u = mu + sigma r, r ~ N(0, I)
    slope of sigma = E[L (r^2 - 1) / sigma + entropy (1 - 2 sigma r tanh(u)) / sigma]

by Adam, means over `population` points; L = -log f, the cross entropy of the class, less its mean over the population
(which changes no expectation much and the noise a lot). sigma is stepped as its logarithm, so that it stays above 0.
The authors take 51 points a step and 100 steps; the population here is smaller, for budgets of a few hundred queries.
Along a periodic parameter the box reaches half a turn to both sides of theta0, and the seam lies there. The lowest
score seen is recommended: box and answer in `baselines.attack`. As a region: `baselines.failure_distribution`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from baselines.attack import Attack, AttackSettings
from optimizers.base import State
from optimizers.limits import number, whole_number
from optimizers.registry import register
from semrob_env.oracle import Answers
from semrob_env.types import BoolArray, FloatArray

LEAST_SCORE: Final = 1e-6
"""Scores below count as this one in a logarithm."""

_ADAM: Final = (0.9, 0.999, 1e-8)
_LEAST_SPREAD, _MOST_SPREAD = 0.02, 3.0
_EDGE = 0.95
"""Farthest that the mean begins from the middle of the box, as a share of its half: tanh never reaches 1."""


def gaussian_start(theta: FloatArray, box: tuple[FloatArray, FloatArray], spread: float) -> State:
    """The Gaussian (B, n) around points (B, n) of a box, and no steps of Adam yet.

    Args:
        theta: The points.
        box: Bounds (B, n).
        spread: First sigma.
    """
    lower, upper = box
    half = np.maximum((upper - lower) / 2, 1e-300)
    mean = np.arctanh(np.clip((theta - (lower + upper) / 2) / half, -_EDGE, _EDGE))
    moments = np.zeros((len(theta), 2, 2, theta.shape[1]))  # of Adam: first and second, of mu and log sigma
    return {"mu": mean, "log_sigma": np.full_like(mean, np.log(spread)), "moments": moments}


def gaussian_step(
    state: State, drawn: FloatArray, gains: FloatArray, *, step: int, rate: float, entropy: float
) -> State:
    """The Gaussian of one trajectory after a population, by the formulas of the module.

    Args:
        state: Its `mu`, `log_sigma` (n,) and `moments` (2, 2, n).
        drawn: Standard normal numbers r (K, n) of the population.
        gains: L (K,).
        step: Number of the step, from 1 on.
        rate: Of Adam.
        entropy: Weight of the entropy.
    """
    sigma = np.exp(state["log_sigma"])
    turned, own = np.tanh(state["mu"] + sigma * drawn), (gains - gains.mean())[:, None]
    by_mu = (own * drawn / sigma - 2 * entropy * turned).mean(axis=0)
    by_sigma = (own * (drawn**2 - 1) / sigma + entropy * (1 - 2 * sigma * drawn * turned) / sigma).mean(axis=0)
    slopes = np.stack([by_mu, by_sigma * sigma])
    first, second, tiny = _ADAM
    moments = np.stack([
        first * state["moments"][0] + (1 - first) * slopes,
        second * state["moments"][1] + (1 - second) * slopes**2,
    ])
    moved = rate * (moments[0] / (1 - first**step)) / (np.sqrt(moments[1] / (1 - second**step)) + tiny)
    log_sigma = np.clip(state["log_sigma"] + moved[1], np.log(_LEAST_SPREAD), np.log(_MOST_SPREAD))
    return {"mu": state["mu"] + moved[0], "log_sigma": log_sigma, "moments": moments}


@final
@dataclass(frozen=True)
class ViewFoolSettings(AttackSettings):
    """Hyperparameters: those of every attack, and of the evolution strategy.

    Attributes:
        population: Points a step, at least 2.
        rate: Learning rate of Adam, above 0.
        entropy: Weight of the entropy, 0 or above.
        spread: First sigma, above 0; with 1 the first points fill most of the box.
    """

    population: int = field(default=10, metadata=whole_number(2))
    rate: float = field(default=0.2, metadata=number(above=0, most=10))
    entropy: float = field(default=0.01, metadata=number(0, 100))
    spread: float = field(default=1.0, metadata=number(above=0, most=_MOST_SPREAD))


@final
@register
class ViewFool(Attack[ViewFoolSettings]):
    """ViewFool's evolution strategy; see the module."""

    name = "viewfool"
    title = "ViewFool (Dong et al. 2022)"
    is_stochastic = True
    settings_class = ViewFoolSettings

    def _first(self) -> State:
        size, n = self.settings.population, self.space.n
        return {
            **gaussian_start(self.start, self._box, self.settings.spread),
            "drawn": np.array([rng.standard_normal((size, n)) for rng in self.rngs]).reshape(len(self), size, n),
            "gains": np.zeros((len(self), size)),
        }

    def _theta(self, state: State) -> FloatArray:
        lower, upper = self._box
        drawn = state["drawn"][np.arange(len(self)), self.steps % self.settings.population]
        shares = (1 + np.tanh(state["mu"] + np.exp(state["log_sigma"]) * drawn)) / 2
        return self._boxed(lower + shares * (upper - lower))

    def _after(self, state: State, loss: FloatArray, rows: BoolArray, answers: Answers) -> State:
        own, size = self.settings, self.settings.population
        after = {name: state[name].copy() for name in ("mu", "log_sigma", "moments", "drawn", "gains")}
        score = loss if self._sign > 0 else 1 + loss
        for row in np.flatnonzero(rows):
            place = int(self.steps[row]) % size
            after["gains"][row, place] = -np.log(max(float(score[row]), LEAST_SCORE))
            if place + 1 == size:
                one = {name: after[name][row] for name in ("mu", "log_sigma", "moments")}
                step = int(self.steps[row]) // size + 1
                moved = gaussian_step(
                    one, after["drawn"][row], after["gains"][row], step=step, rate=own.rate, entropy=own.entropy
                )
                for name, value in moved.items():
                    after[name][row] = value
                after["drawn"][row] = self.rngs[row].standard_normal((size, self.space.n))
        return {**after, "converged": np.zeros(len(self), dtype=np.bool_)}
