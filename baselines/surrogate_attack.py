"""Surrogate attack (ours): evenly spread points, then those that a Gaussian process holds for new failures.

The process is that of box quadrature (`optimizers.surrogate.process`), told every score so far. After `startup` evenly
spread points, the next one is the candidate with the largest

    P(f(theta) < level) * (old + novelty),   novelty = min(1, distance to the nearest failure found / apart)

with the distance of `semrob_env.metrics.distinct`, and in each third step the likeliest failure among the candidates
that are unlike all those found, so that every part of the box has its turn, however much there is beside them. Other
attacks look for the lowest score; this one for many failures. Candidates are the next points of the same even sequence,
shifted by the seed. Box and answer: `baselines.attack`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np

from baselines.attack import Attack, AttackSettings
from optimizers.base import State
from optimizers.limits import number, whole_number
from optimizers.registry import register
from optimizers.surrogate.process import Lattice, Process, fit, prior_of_logs
from semrob_env.metrics.distinct import LEAST_DISTANCE, distances
from semrob_env.oracle import Answers
from semrob_env.sequences import evenly_spread
from semrob_env.types import BoolArray, FloatArray

CANDIDATES = 384
"""Points that the process is asked about in each step."""

REFIT = 4
"""Steps after which its numbers are fitted again."""

OLD = 0.02
"""What a failure is worth that is no new one."""

NEW_ONLY = 3
"""Each step of this number asks for a new failure alone."""


@final
@dataclass(frozen=True)
class SurrogateAttackSettings(AttackSettings):
    """Hyperparameters: those of every attack, and of the process.

    Attributes:
        level: Unit score below which a view fails (above it, where high scores are sought), in (0, 1).
        startup: Evenly spread points before the process is asked, at least 2.
        most_queries: Scores that a trajectory takes before it ends as converged, for the work grows; 10 or more.
    """

    level: float = field(default=0.5, metadata=number(above=0, most=0.999))
    startup: int = field(default=12, metadata=whole_number(2))
    most_queries: int = field(default=400, metadata=whole_number(10, 5000))


@final
@register
class SurrogateAttack(Attack[SurrogateAttackSettings]):
    """Looks for many failures that are unlike each other; see the module."""

    name = "surrogate_attack"
    version = 3
    title = "Surrogate attack (ours)"
    is_stochastic = True
    finds = "many views of low score that are unlike each other"
    settings_class = SurrogateAttackSettings

    def _first(self) -> State:
        n, count, most = self.space.n, len(self), self.settings.most_queries
        shift = np.array([rng.random(n) for rng in self.rngs]).reshape(count, n)
        return {
            "shift": shift,
            "next": self._spread(shift, 0, 1)[:, 0],
            "points": np.zeros((count, most, n)),  # shares of the box
            "losses": np.full((count, most), np.nan),
            "logs": np.tile(prior_of_logs(n, with_feature=False)[0], (count, 1)),
        }

    def _theta(self, state: State) -> FloatArray:
        lower, upper = self._box
        return self._boxed(lower + state["next"] * (upper - lower))

    def _after(self, state: State, loss: FloatArray, rows: BoolArray, answers: Answers) -> State:
        after = {name: state[name].copy() for name in ("shift", "next", "points", "losses", "logs")}
        for row in np.flatnonzero(rows):
            told = int(self.steps[row])
            after["points"][row, told], after["losses"][row, told] = state["next"][row], loss[row]
            if told + 1 < self.settings.startup:
                after["next"][row] = self._spread(after["shift"][row : row + 1], told + 1, 1)[0, 0]
            elif told + 1 < self.settings.most_queries:
                after["next"][row], after["logs"][row] = self._chosen(after, row, told + 1)
        return {**after, "converged": self.steps + 1 >= self.settings.most_queries}

    def _spread(self, shift: FloatArray, first: int, count: int) -> FloatArray:
        """Points of the even sequence, shifted (B, n), as shares of the box (B, count, n)."""
        return np.asarray(np.mod(evenly_spread(self.space.n, first, count) + shift[:, None], 1.0))

    @cached_property
    def _turns(self) -> BoolArray:
        """Parameters (n,) along which the box is a whole turn."""
        return np.asarray(self.space.is_periodic & (self.settings.radius >= 0.5))

    def _chosen(self, state: State, row: int, told: int) -> tuple[FloatArray, FloatArray]:
        """The next point (n,) of a trajectory as shares of its box, and the numbers of the process."""
        points, scores = state["points"][row, :told], state["losses"][row, :told] * self._sign
        turns, logs, none = self._turns, state["logs"][row], np.zeros(CANDIDATES)
        if told % REFIT == 0 or told == self.settings.startup:
            logs = fit(logs, points, scores, turns, None)
        process = Process(logs, points, scores, Lattice.around(points[0], turns, 1), None)
        candidates = self._spread(state["shift"][row : row + 1], told * CANDIDATES, CANDIDATES)[0]
        mean, deviation = process.marginals(none, process.cross(candidates, none))
        level, low = self.settings.level, self._sign > 0
        from scipy.special import ndtr  # here, for it takes a while to import

        chance = ndtr(self._sign * (level - mean) / deviation)
        fails = scores < level if low else scores > level
        lower, upper = (bound[row] for bound in self._box)
        there, known = (self.space.project(lower + own * (upper - lower)) for own in (candidates, points[fails]))
        novelty = np.ones(CANDIDATES)
        if fails.any():
            novelty = np.minimum(distances(self.space, there[:, None], known).min(axis=1) / LEAST_DISTANCE, 1.0)
        worth = novelty >= 1 if told % NEW_ONLY == 0 and (novelty >= 1).any() else OLD + novelty
        return candidates[int((chance * worth).argmax())], logs
