"""Active area search: ask where the expected volume of boxes that surely meet the goal grows most.

Ma, Garnett & Schneider, *Active area search via Bayesian quadrature*, AISTATS 2014: a Gaussian process, the mean over
each of many regions known in closed form, and as the next point the one after which most regions are expected to have a
mean above the threshold L with probability p. With beta_g^2 the variance of the mean alpha_g over region g now,
b_g^2 the one after the answer, and nu_g^2 = beta_g^2 - b_g^2, that chance is Phi((alpha_g - L - b_g Phi^-1(p)) / nu_g).

Here regions are boxes around the start point, counted by volume, for the largest is wanted: some drawn at random, and
those that the process holds for the largest with several cautions. Process (that of box quadrature, without profiles)
and search for the box are ours, so it is also the ablation that tells what the rest of `box_quadrature` adds. Goals on
shares are told by the ramp of `Goal.smoothed`, as means are what it knows.

Tuned on recorded objects 0 and 1 (ResNet50, three classes, mean >= 0.4, 100 queries): `caution` among 1, 2; p as
published.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import NormalDist
from typing import final

import numpy as np

from optimizers.base import State
from optimizers.limits import number, whole_number
from optimizers.registry import register
from optimizers.surrogate.boxes import legal, log_volumes
from optimizers.surrogate.criteria import MeanCriterion
from optimizers.surrogate.method import CANDIDATES, STEPS, Model, SurrogateMethod, SurrogateSettings
from semrob_env.sequences import evenly_spread
from semrob_env.types import FloatArray, IntArray

_CAUTIONS = (1.0, 0.5, 0.0, -0.5, -1.0, -1.5)
_TINY = 1e-12


@final
@dataclass(frozen=True)
class AreaSearchSettings(SurrogateSettings):
    """Hyperparameters: those of every surrogate, and of the regions.

    Attributes:
        probability: p, with which a region must be above its bound to count, in (0.5, 1).
        regions: How many boxes are drawn at random.
    """

    probability: float = field(default=0.8, metadata=number(0.501, 0.9999))
    regions: int = field(default=192, metadata=whole_number(1, 5000))


@final
@register
class AreaSearch(SurrogateMethod[AreaSearchSettings]):
    """Active area search; see the module."""

    name = "area_search"
    title = "Active area search (Ma, Garnett & Schneider 2014)"
    is_plain = False
    settings_class = AreaSearchSettings

    def _choose(self, row: int, model: Model, state: State, count: int) -> FloatArray:
        process, goal, n = model.process, self.questions.goal, self.space.n
        told = int(state["told"][row])
        by_mean = MeanCriterion(process, goal)
        boxes = self._regions(model, told)
        least = float(model.criterion.told(goal, np.asarray(goal.least))) if goal.threshold is None else goal.least
        mean, deviation, _, _ = process.moments(boxes)
        volume = np.exp(log_volumes(process, boxes) / n)
        places, nothing = model.places(CANDIDATES * told, CANDIDATES), np.zeros(CANDIDATES)
        cross = process.cross(places, nothing)
        known = cross @ process.inverse
        variance = np.maximum(process.variance_at(nothing) - np.einsum("pi,pi->p", known, cross), _TINY) + process.noise
        box_cross, with_box = by_mean.covariances(boxes, places, nothing)
        gained = (with_box - box_cross @ known.T) ** 2 / variance  # nu^2 (G, P)
        worth = volume @ _chances(mean - least, deviation**2, gained, NormalDist().inv_cdf(self.settings.probability))
        return self._absolute(row, places[np.argsort(-worth, kind="stable")[:count]])

    def _regions(self, model: Model, told: int) -> IntArray:
        """Boxes (G, n, 2) that may be the answer."""
        n = self.space.n
        drawn = evenly_spread(2 * n, self.settings.regions * told, self.settings.regions).reshape(-1, n, 2)
        found = [box for box in model.bests(_CAUTIONS) if box is not None]
        boxes = np.concatenate([np.rint(drawn * STEPS).astype(np.int64), *(box[None] for box in found)])
        return legal(model.process, boxes)


def _chances(above: FloatArray, variance: FloatArray, gained: FloatArray, quantile: float) -> FloatArray:
    """Probability (G, P) that a box, `above` its bound (G,), is surely so after the answer at a place."""
    from scipy.special import ndtr  # here, for it takes a while to import

    left = np.sqrt(np.maximum(variance[:, None] - gained, _TINY))
    return np.asarray(ndtr((above[:, None] - left * quantile) / np.sqrt(np.maximum(gained, _TINY))))
