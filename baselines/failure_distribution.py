"""Distributions of failures: learns by samples alone where scores are high, and answers with the box that holds most.

On a complement, high scores are failures. Two models, both of points theta and nothing else:

- `gaussian`: ViewFool's Gaussian with entropy (`baselines.viewfool`, where the formulas are), L = -log(1 - score).
- `induced`: in kind SADA's (Hamdi, Mueller & Ghanem, *SADA: semantic adversarial diagnostic attacks for autonomous
  applications*, AAAI 2020, arXiv 1812.02132), whose BBGAN learns to draw from the *induced set*, the samples of highest
  score among many. Here a kernel density on that set (Scott's bandwidth) takes the place of the network, which a few
  hundred samples cannot train; half of each population is uniform over the space, half is drawn from the density.

The answer is the smallest box that holds `mass` of the distribution: of `BOX_POINTS` even points of it, those are given
up one by one whose loss shrinks the box the most, the side of a periodic parameter being cut at its widest gap. No
query is spent on that. The box need not hold theta0, where `gaussian` begins, and nothing says that its views meet a
goal: the goal is not used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np

from baselines.viewfool import LEAST_SCORE, gaussian_start, gaussian_step
from optimizers.base import RegionOptimizer, Settings, State
from optimizers.limits import number, one_of, whole_number
from optimizers.registry import register
from semrob_env.oracle import Answers
from semrob_env.parameters import SemanticSpace
from semrob_env.sequences import evenly_spread
from semrob_env.types import FloatArray

BOX_POINTS = 400
"""Points of the learned distribution by which its box is found."""


@final
@dataclass(frozen=True)
class FailureDistributionSettings(Settings):
    """Hyperparameters.

    Attributes:
        model: `gaussian`, or `induced`.
        mass: Share of the distribution that the box holds, in (0, 1).
        population: Points a step, at least 2.
        elite: Share of all samples that are the induced set, above 0, at most 1; never fewer than 5.
        rate: Of Adam, for `gaussian`.
        entropy: Weight of the entropy, for `gaussian`.
        spread: First sigma, for `gaussian`.
        most_queries: Scores that a trajectory takes before it ends as converged; 10 or more.
    """

    model: Literal["gaussian", "induced"] = field(default="gaussian", metadata=one_of("gaussian", "induced"))
    mass: float = field(default=0.9, metadata=number(above=0, most=0.999))
    population: int = field(default=10, metadata=whole_number(2))
    elite: float = field(default=0.2, metadata=number(above=0, most=1))
    rate: float = field(default=0.2, metadata=number(above=0, most=10))
    entropy: float = field(default=0.01, metadata=number(0, 100))
    spread: float = field(default=1.0, metadata=number(above=0, most=3))
    most_queries: int = field(default=2000, metadata=whole_number(10, 20_000))


@final
@register
class FailureDistribution(RegionOptimizer[FailureDistributionSettings]):
    """Learns a distribution of high scores, and answers with the box that holds most of it; see the module."""

    name = "failure_distribution"
    title = "Distribution of failures (ViewFool, SADA in kind)"
    paradigm = "distribution"
    finds = "the box that holds most of a learned distribution"
    is_stochastic = True
    uses_goal = False
    keeps_start = False
    settings_class = FailureDistributionSettings

    def _start(self) -> State:
        n, count, own = self.space.n, len(self), self.settings
        most = -(-own.most_queries // own.population) * own.population
        state = {
            **gaussian_start(self.start, self._reach(), own.spread),
            "points": np.zeros((count, most, n)),  # theta of all samples, unwrapped around theta0
            "scores": np.full((count, most), -np.inf),
            "drawn": np.zeros((count, own.population, n)),
            "lower": np.zeros((count, n)),
            "upper": np.zeros((count, n)),
            "converged": np.zeros(count, dtype=np.bool_),
        }
        for row in range(count):
            state["drawn"][row] = self._draw(state, row, 0)
            state["lower"][row], state["upper"][row] = self._box(state, row, 0)
        return state

    def _reach(self) -> tuple[FloatArray, FloatArray]:
        """Bounds (B, n) of the space, or half a turn to both sides of the start point."""
        turns, half = self.space.is_periodic, self.space.width / 2
        return np.where(turns, self.start - half, self.space.low), np.where(turns, self.start + half, self.space.high)

    def _ask(self, state: State) -> FloatArray:
        return self._thetas(state, state["drawn"])

    def _thetas(self, state: State, drawn: FloatArray) -> FloatArray:
        """Points (B, K, n) of what was drawn: normal numbers of the Gaussian, or theta itself."""
        if self.settings.model == "induced":
            return drawn
        return np.stack([self._turned(state, row, own) for row, own in enumerate(drawn)])

    def _turned(self, state: State, row: int, normal: FloatArray) -> FloatArray:
        """Points (K, n) of the Gaussian of a trajectory at standard normal numbers (K, n)."""
        lower, upper = (bound[row] for bound in self._reach())
        shares = (1 + np.tanh(state["mu"][row] + np.exp(state["log_sigma"][row]) * normal)) / 2
        return np.asarray(lower + shares * (upper - lower))

    def _tell(self, state: State, answers: Answers) -> State:
        own, size = self.settings, self.settings.population
        after = {name: value.copy() for name, value in state.items()}
        theta = self._thetas(state, state["drawn"])
        for row in np.flatnonzero(self.running & answers.active.all(axis=1)):
            first = int(self.steps[row]) * size
            told = first + size
            after["points"][row, first:told], after["scores"][row, first:told] = theta[row], answers.values[row]
            if own.model == "gaussian":
                gains = -np.log(np.maximum(1 - answers.values[row], LEAST_SCORE))
                one = {name: state[name][row] for name in ("mu", "log_sigma", "moments")}
                step = int(self.steps[row]) + 1
                moved = gaussian_step(one, state["drawn"][row], gains, step=step, rate=own.rate, entropy=own.entropy)
                for name, value in moved.items():
                    after[name][row] = value
            after["drawn"][row] = self._draw(after, row, told)
            after["lower"][row], after["upper"][row] = self._box(after, row, told)
            after["converged"][row] = told >= state["points"].shape[1]
        return after

    def _draw(self, state: State, row: int, told: int) -> FloatArray:
        """What a trajectory asks next (K, n)."""
        size, n, rng = self.settings.population, self.space.n, self.rngs[row]
        if self.settings.model == "gaussian":
            return np.asarray(rng.standard_normal((size, n)))
        uniform, near = rng.random((size, n)), rng.random((size, n + 1))
        theta = self.space.low + uniform * self.space.width
        if told:
            theta[size // 2 :] = self._dense(state, row, told, near)[size // 2 :]
        return theta

    def _dense(self, state: State, row: int, told: int, uniform: FloatArray) -> FloatArray:
        """Points (K, n) of the kernel density on the induced set, at uniform numbers (K, n + 1); unwrapped."""
        from scipy.special import ndtri  # here, for it takes a while to import

        n, space = self.space.n, self.space
        count = min(told, max(5, round(self.settings.elite * told)))
        best = np.argsort(-state["scores"][row, :told], kind="stable")[:count]
        points = _unwrapped(space, state["points"][row, best])
        bandwidth = points.std(axis=0) * count ** (-1 / (n + 4))
        chosen = points[np.minimum((uniform[:, n] * count).astype(np.int64), count - 1)]
        theta = chosen + ndtri(np.clip(uniform[:, :n], 1e-9, 1 - 1e-9)) * bandwidth
        return np.asarray(np.where(space.is_periodic, theta, np.clip(theta, space.low, space.high)))

    def _box(self, state: State, row: int, told: int) -> tuple[FloatArray, FloatArray]:
        """The smallest box (n,) that holds most of the distribution of a trajectory."""
        from scipy.special import ndtri

        uniform = evenly_spread(self.space.n + 1, 0, BOX_POINTS)
        if self.settings.model == "gaussian":
            points = self._turned(state, row, ndtri(uniform[:, : self.space.n]))
        elif told:
            points = self._dense(state, row, told, uniform)
        else:
            points = self.space.low + uniform[:, : self.space.n] * self.space.width
        return smallest_box(self.space, points, self.settings.mass)


def smallest_box(space: SemanticSpace, points: FloatArray, mass: float) -> tuple[FloatArray, FloatArray]:
    """A small box (n,) that holds a share of some points (N, n): the greedy one, which is the smallest for n = 1.

    Points are given up one by one: always the outermost one of the side whose loss takes the largest part of its length
    a point, looking ahead to all points that may still be given up.
    """
    points = _unwrapped(space, points)
    spare = len(points) - int(np.ceil(mass * len(points)))
    kept = points
    while spare > 0:
        ordered = np.sort(kept, axis=0)
        ahead = np.arange(1, min(spare, len(kept) - 1) + 1)
        length = np.maximum(ordered[-1] - ordered[0], 1e-300)
        cut = np.stack([ordered[ahead] - ordered[0], ordered[-1] - ordered[-1 - ahead]])  # (2, ahead, n)
        rates = -np.log(np.maximum(1 - cut / length, 1e-12)) / ahead[:, None]
        side, most, k = np.unravel_index(int(rates.argmax()), rates.shape)
        if not rates[side, most, k] > 0:
            break
        own = kept[:, k]
        inside = own >= ordered[ahead[most], k] if side == 0 else own <= ordered[-1 - ahead[most], k]
        spare -= int((~inside).sum())
        kept = kept[inside]
    return kept.min(axis=0), kept.max(axis=0)


def _unwrapped(space: SemanticSpace, points: FloatArray) -> FloatArray:
    """Points (N, n) of one turn, that of a periodic parameter beginning after its widest gap."""
    whole = np.array(points)
    for k in np.flatnonzero(space.is_periodic):
        turn = space.width[k]
        angles = np.sort(space.project_along(int(k), points[:, k]))
        gaps = np.diff(np.append(angles, angles[0] + turn))
        first = angles[(int(gaps.argmax()) + 1) % len(angles)]
        own = space.project_along(int(k), points[:, k])
        whole[:, k] = np.where(own < first, own + turn, own)
    return whole
