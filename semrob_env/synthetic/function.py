"""A product of bumps, minus perhaps a second one, as a ScoreFunction that knows its exact box means and best boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError, InvalidRegionError, ShapeMismatchError
from semrob_env.functions import ScoreFunction
from semrob_env.parameters import SemanticSpace
from semrob_env.regions import Regions
from semrob_env.synthetic.landscape import Landscape
from semrob_env.synthetic.optimum import widest_box
from semrob_env.synthetic.question import Question
from semrob_env.types import FloatArray, IntArray


@final
@dataclass(frozen=True, eq=False)
class Optimum:
    """The largest feasible region that contains a start point.

    Attributes:
        volume: Its volume in the product of the native units; 0 where no region with a volume is feasible.
        share: Its volume over the volume of the space.
        region: The region as a batch of one, canonical; None where there is none.
    """

    volume: float
    share: float
    region: Regions | None


@final
class SyntheticFunction(ScoreFunction):
    """f = low + (high - low) * prod_k p_k(theta_k) - depth * prod_k t_k(theta_k), one member, with gradients.

    p_k are the bumps of `Bumps` along the active parameters (f does not depend on the others), t_k those of an
    optional trap that lies where all p_k = 1. On straight flanks the gradient is exact and 0 at the kinks; it is 0
    on plateaus and in the background, so it tells something on the flanks only.

    Args:
        space: The space.
        member_id: The canonical id.
        active: Indices of the active parameters.
        landscape: The formula over the active parameters.
        version: Changes when the same id begins to mean another function.
    """

    def __init__(
        self, space: SemanticSpace, member_id: str, active: tuple[int, ...], landscape: Landscape, version: str
    ) -> None:
        super().__init__(space, (member_id,), has_gradient=True, fingerprints=[{"synthetic": version}])
        self.active = active
        self.landscape = landscape

    @property
    def plateau(self) -> Regions:
        """The box where all p_k = 1 (a batch of one), the trap included; all of every parameter that is not active."""
        lower, upper = np.array(self.space.low), np.array(self.space.high)
        chosen, bumps = list(self.active), self.landscape.bumps
        lower[chosen], upper[chosen] = bumps.centre - bumps.half, bumps.centre + bumps.half
        return Regions(self.space, lower, upper).clip()

    def exact_moments(self, regions: Regions) -> tuple[FloatArray, FloatArray]:
        """True mean (B,) and variance (B,) of f over regions, after clipping to the space; no query, no sampling.

        Exact up to rounding: about 1e-15 on the mean, 1e-16 on the variance.

        Raises:
            InvalidRegionError: The regions belong to another space.
        """
        if regions.space != self.space:
            raise InvalidRegionError(
                f"regions over {', '.join(regions.space.names)} for {self.id} over {', '.join(self.space.names)}"
            )
        cut, chosen = regions.clip(), list(self.active)
        return self.landscape.moments(cut.lower[:, chosen], cut.upper[:, chosen])

    def optimum(self, start: npt.ArrayLike, epsilon_m: float = 0.5, epsilon_v: float = 0.25) -> Optimum:
        """The largest region D that contains start (n,) with E_D[f] >= 1 - epsilon_m and Var_D[f] <= epsilon_v.

        `widest_box` states method and error. What is returned meets both constraints under `exact_moments`.

        Raises:
            InvalidParameterError: epsilon_m not in [0, 1] or epsilon_v not above 0.
            OutOfSpaceError, ShapeMismatchError: start is not a point (n,) of the space.
        """
        if not (0 <= epsilon_m <= 1 and 0 < epsilon_v < np.inf):
            raise InvalidParameterError(
                f"epsilon_m {epsilon_m} must be in [0, 1] and epsilon_v {epsilon_v} above 0 and finite"
            )
        point = self.space.require(start, "start")
        if point.ndim != 1:
            raise ShapeMismatchError(f"start has shape {point.shape}, must be ({self.space.n},)")
        chosen = list(self.active)
        low, high = self.space.low[chosen], self.space.high[chosen]
        box = widest_box(Question(self.landscape, point[chosen], low, high, 1 - epsilon_m, epsilon_v))
        if box is None:
            return Optimum(0.0, 0.0, None)
        lower, upper = np.array(self.space.low), np.array(self.space.high)
        lower[chosen], upper[chosen] = box
        region = Regions(self.space, lower, upper).clip()
        return Optimum(float(region.volume()[0]), float(region.share()[0]), region)

    def optimal_volume(self, start: npt.ArrayLike, epsilon_m: float = 0.5, epsilon_v: float = 0.25) -> float:
        """Native volume of `optimum(...)`."""
        return self.optimum(start, epsilon_m, epsilon_v).volume

    def optimal_share(self, start: npt.ArrayLike, epsilon_m: float = 0.5, epsilon_v: float = 0.25) -> float:
        """Volume share of the space of `optimum(...)`."""
        return self.optimum(start, epsilon_m, epsilon_v).share

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        del member
        return self.landscape.values(theta[..., list(self.active)])

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        gradients = np.zeros(theta.shape)
        gradients[..., list(self.active)] = self.landscape.gradients(theta[..., list(self.active)])
        return self._values(theta, member), gradients
