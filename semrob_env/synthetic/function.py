"""Products of bumps, minus perhaps a second one, that know their exact box means and best boxes; and their families.

Ids are `synthetic:FAMILY?n=N&seed=S`, n from 1 to 20; options left out are n=2 and seed=0, and the id of the function
always names both, in this order. The space is azimuth, elevation, x2, x3, ... (the first n of them): azimuth
is periodic, x_k is a plain number in [0, 1]. The seed moves and scales the bumps.

| family  | what it is                                                                                      |
|---------|-------------------------------------------------------------------------------------------------|
| plateau | a box of score 0.95, straight flanks, background 0.05; does not touch 0/360                     |
| seam    | the same across azimuth 0/360                                                                   |
| ridge   | a plateau along one parameter (drawn by the seed), the same all along the others                |
| trap    | a plateau with a pocket of score 0.05 inside that high score encloses on all sides              |
| away    | a trap in a corner of the plateau; questions start in the opposite corner                       |
| empty   | a plateau of score 0.4: with epsilon_m < 0.6 nothing is robust anywhere                         |
| hill    | smooth: no plateau, curvature everywhere on the bump, top 0.95                                  |

Plateaus take 20 to 32 % of each range, each flank 20 % of the plateau's width; the hill's radius is 25 to 35 %.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import (
    InvalidParameterError,
    InvalidRegionError,
    NoGroundTruthError,
    ShapeMismatchError,
    UnknownNameError,
)
from semrob_env.functions import ScoreFunction, split_options
from semrob_env.parameters import AZIMUTH, ELEVATION, Parameter, SemanticSpace
from semrob_env.questions import Goal, MeanGoal, Moments, Truth
from semrob_env.regions import Regions
from semrob_env.synthetic.landscape import Box, BoxProblem, Bumps, Landscape
from semrob_env.synthetic.levels import MOST_ACTIVE, share_above, widest_reliable
from semrob_env.synthetic.optimum import widest_box
from semrob_env.types import FloatArray, IntArray


@final
@dataclass(frozen=True, eq=False)
class Optimum:
    """The largest feasible region that contains a start point."""

    volume: float  # its volume in the product of the native units; 0 where no region with a volume is feasible
    share: float  # its volume over the volume of the space
    region: Regions | None  # the region as a batch of one, canonical; None where there is none


AnswerT = TypeVar("AnswerT")


@final
@dataclass(frozen=True)
class Known(Generic[AnswerT]):
    """A `Truth` made of two functions: what is known of the score, and of where it is >= a level."""

    moments: Callable[[], AnswerT]
    above: Callable[[float], AnswerT]


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
        lower[chosen], upper[chosen] = bumps.center - bumps.half, bumps.center + bumps.half
        return Regions(self.space, lower, upper).clip()

    def truth(
        self, regions: Regions, member: npt.ArrayLike | None = None, *, complement: bool = False
    ) -> Truth[Moments]:
        """The exact moments (B,) over regions after clipping to the space, of f or of 1 - f; no query, no sampling.

        Exact up to rounding: about 1e-15 on a mean, 1e-16 on a variance; shares of smooth functions of two parameters
        as `semrob_env.synthetic.levels` says.

        Raises:
            InvalidRegionError: The regions belong to another space.
        """
        del member
        if regions.space != self.space:
            raise InvalidRegionError(
                f"regions over {', '.join(regions.space.names)} for {self.id} over {', '.join(self.space.names)}"
            )
        cut, chosen = regions.clip(), list(self.active)
        boxes = cut.lower[:, chosen], cut.upper[:, chosen]

        def moments() -> Moments:
            mean, variance = self.landscape.moments(*boxes)
            return (1 - mean if complement else mean), variance

        def above(level: float) -> Moments:
            self._require_few()
            share = share_above(self.landscape, *boxes, level, complement=complement)
            return share, share * (1 - share)

        return Known(moments, above)

    def exact_moments(self, regions: Regions, goal: Goal | None = None) -> Moments:
        """True mean (B,) and variance (B,) of what a goal counts, None: of f; see `truth`.

        Raises:
            InvalidRegionError: The regions belong to another space.
            NoGroundTruthError: The goal counts what is not known of so many active parameters.
        """
        return (MeanGoal() if goal is None else goal).exact(self.truth(regions))

    def optimum(
        self, start: npt.ArrayLike, goal: Goal | None = None, member: int = 0, *, complement: bool = False
    ) -> Optimum:
        """The largest region D that contains start (n,) and meets a goal; None: `MeanGoal()`.

        `widest_box` states method and error for means, `semrob_env.synthetic.levels` for shares of good views. What is
        returned meets the goal under `exact_moments`.

        Raises:
            NoGroundTruthError: It is not known: for the complement, a variance of 0, or shares of good views with a
                trap or with more than 2 active parameters.
            OutOfSpaceError, ShapeMismatchError: start is not a point (n,) of the space.
        """
        del member
        if complement:
            raise NoGroundTruthError(
                f"the best region of the complement of {self.id} is not known; only its moments are"
            )
        point = self.space.require(start, "start")
        if point.ndim != 1:
            raise ShapeMismatchError(f"start has shape {point.shape}, must be ({self.space.n},)")
        wanted, chosen = MeanGoal() if goal is None else goal, list(self.active)
        asked = point[chosen], self.space.low[chosen], self.space.high[chosen]

        def moments() -> Box | None:
            if not wanted.most_variance > 0:
                raise NoGroundTruthError(f"the best region of {self.id} with a variance of 0 is not known; allow some")
            return widest_box(BoxProblem(self.landscape, *asked, wanted.least, wanted.most_variance))

        def above(level: float) -> Box | None:
            self._require_few()
            if self.landscape.trap is not None:
                raise NoGroundTruthError(
                    f"the largest region of {self.id} with a share of good views is not known: it has a trap"
                )
            return widest_reliable(self.landscape, *asked, level, wanted.least)

        box = wanted.exact(Known(moments, above))
        if box is None:
            return Optimum(0.0, 0.0, None)
        lower, upper = np.array(self.space.low), np.array(self.space.high)
        lower[chosen], upper[chosen] = box
        region = Regions(self.space, lower, upper).clip()
        return Optimum(float(region.volume()[0]), float(region.share()[0]), region)

    def optima(
        self, start: npt.ArrayLike, goals: Sequence[Goal], member: int = 0, *, complement: bool = False
    ) -> tuple[Optimum, ...]:
        """`optimum` for each of G goals."""
        return tuple(self.optimum(start, goal, member, complement=complement) for goal in goals)

    def starts(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Points (count, n) on the plateau or low on its flanks, away from a trap: where questions may start."""
        bumps, chosen, trap = self.landscape.bumps, list(self.active), self.landscape.trap
        theta = self.space.sample(count, rng)
        fractions = 2 * rng.random((count, len(chosen))) - 1
        if trap is not None and _is_far(bumps, trap):
            fractions = -0.85 - 0.1 * np.abs(fractions)
        theta[:, chosen] = bumps.center + fractions * (bumps.half + _FLANK * bumps.flank)
        return self.space.project(theta)

    def optimal_volume(self, start: npt.ArrayLike, goal: Goal | None = None) -> float:
        """Native volume of `optimum(...)`."""
        return self.optimum(start, goal).volume

    def optimal_share(self, start: npt.ArrayLike, goal: Goal | None = None) -> float:
        """Volume share of the space of `optimum(...)`."""
        return self.optimum(start, goal).share

    def _require_few(self) -> None:
        if len(self.active) > MOST_ACTIVE:
            raise NoGroundTruthError(
                f"exact shares of good views are known up to {MOST_ACTIVE} active parameters; {self.id} has "
                f"{len(self.active)}; judge_regions estimates them"
            )

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        del member
        return self.landscape.values(theta[..., list(self.active)])

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        gradients = np.zeros(theta.shape)
        gradients[..., list(self.active)] = self.landscape.gradients(theta[..., list(self.active)])
        return self._values(theta, member), gradients


def _is_far(bumps: Bumps, trap: Bumps) -> bool:
    """Whether a trap fills a corner of the plateau."""
    return bool((trap.center + trap.reach >= bumps.center + bumps.half * (1 - 1e-9)).all())


_FLANK = 0.2
"""Share of a flank, besides the plateau, within which start points are drawn."""

MOST_PARAMETERS = 20
VERSION = "1"  # goes up when an id begins to mean another function
LOW, HIGH, EMPTY_HIGH = 0.05, 0.95, 0.4
_FAR_SHARE, _FAR_FLANK = 0.3, 0.1


@final
@dataclass(frozen=True)
class Family:
    """What makes one family differ from the plain plateau; the module docstring says it in words."""

    high: float = HIGH
    is_smooth: bool = False
    crosses_seam: bool = False
    is_ridge: bool = False
    has_trap: bool = False
    is_far: bool = False  # of the trap: in a corner of the plateau, as large as may be


FAMILIES = {
    "plateau": Family(),
    "seam": Family(crosses_seam=True),
    "ridge": Family(is_ridge=True),
    "trap": Family(has_trap=True),
    "away": Family(has_trap=True, is_far=True),
    "empty": Family(high=EMPTY_HIGH),
    "hill": Family(is_smooth=True),
}


def read_family(function_id: str, families: Collection[str]) -> tuple[str, int, int]:
    """Family, n and seed of an id `SCHEME:FAMILY?n=N&seed=S`.

    Raises:
        UnknownNameError: Unknown family or option.
        InvalidParameterError: n or seed is not a whole number in its range.
    """
    name, options = split_options(function_id)
    if name not in families:
        kind = function_id.partition(":")[0]
        raise UnknownNameError(f"unknown {kind} family {name!r} in {function_id!r}; known are {', '.join(families)}")
    unknown = [option for option in options if option not in {"n", "seed"}]
    if unknown:
        raise UnknownNameError(f"unknown option {unknown[0]!r} in {function_id!r}; known are n, seed")
    n = whole_option(function_id, "n", options.get("n", "2"), 1, MOST_PARAMETERS)
    return name, n, whole_option(function_id, "seed", options.get("seed", "0"), 0, 2**63 - 1)


def make_synthetic(function_id: str) -> SyntheticFunction:
    """The function of an id `synthetic:FAMILY?n=N&seed=S`.

    Raises:
        UnknownNameError: Unknown family or option.
        InvalidParameterError: n or seed is not a whole number in its range.
    """
    name, n, seed = read_family(function_id, FAMILIES)
    space = synthetic_space(n)
    active, landscape = _build(name, seed, space)
    return SyntheticFunction(space, f"synthetic:{name}?n={n}&seed={seed}", active, landscape, VERSION)


def synthetic_space(n: int) -> SemanticSpace:
    """Azimuth, elevation, x2, x3, ...: the first n."""
    more = (Parameter(f"x{k}", "", 0.0, 1.0, None, 0.5, "a number without a meaning in a scene") for k in range(2, n))
    return SemanticSpace((AZIMUTH, ELEVATION, *more)[:n])


def _build(name: str, seed: int, space: SemanticSpace) -> tuple[tuple[int, ...], Landscape]:
    family = FAMILIES[name]
    active = (int(_draw(name, seed, "axis", 1)[0] * space.n),) if family.is_ridge else tuple(range(space.n))
    chosen = list(active)
    low, width = space.low[chosen], space.width[chosen]
    size, place = (_draw(name, seed, what, space.n)[chosen] for what in ("size", "place"))
    half = np.zeros(len(active)) if family.is_smooth else width * (0.1 + 0.06 * size)
    flank = width * (0.25 + 0.1 * size) if family.is_smooth else 0.4 * half
    reach = half + flank
    center = low + reach + (width - 2 * reach) * place
    if family.crosses_seam:
        center[0] = np.mod((2 * place[0] - 1) * 0.8 * half[0], width[0])
    period = np.where(space.is_periodic[chosen], width, np.inf)
    bumps = Bumps(center, half, flank, period, family.is_smooth)
    if not family.has_trap:
        return active, Landscape(LOW, family.high, bumps)
    if family.is_far:
        # It takes _FAR_SHARE of the plateau, so that it counts whatever n, and no line from the far corner meets it.
        wide = min(_FAR_SHARE ** (1 / len(active)), 0.75)
        corner = half * (1 - wide - _FAR_FLANK)
        trap = Bumps(center + corner, wide * half, _FAR_FLANK * half, period)
        return active, Landscape(LOW, family.high, bumps, trap, depth=family.high - LOW)
    aside = _draw(name, seed, "trap", space.n)[chosen]
    trap = Bumps(center + (2 * aside - 1) * 0.3 * half, 0.3 * half, 0.2 * half, period)
    return active, Landscape(LOW, family.high, bumps, trap, depth=family.high - LOW)


def _draw(name: str, seed: int, what: str, count: int) -> FloatArray:
    """Numbers (count,) in [0, 1) from a hash: the same for ever, and the first ones the same for every n."""
    digest = hashlib.shake_128(f"{name}/{seed}/{what}".encode()).digest(8 * count)
    return np.asarray((np.frombuffer(digest, dtype="<u8") >> np.uint64(11)) * 2.0**-53)


def whole_option(function_id: str, option: str, text: str, least: int, most: int) -> int:
    """The value of an option of an id as a whole number in its range.

    Raises:
        InvalidParameterError: It is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and least <= int(text) <= most):
        raise InvalidParameterError(
            f"{option}={text:.40} in {function_id!r:.200}: give a whole number from {least} to {most}"
        )
    return int(text)
