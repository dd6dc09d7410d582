"""The synthetic families and their ids.

Ids are `synthetic:FAMILY?n=N&seed=S`, n from 1 to 20; options left out are n=2 and seed=0, and the id of the function
always names both, in this order. The space is azimuth, elevation, x2, x3, ... (the first n of them): azimuth
is periodic, x_k is a plain number in [0, 1]. The seed moves and scales the bumps.

| family  | what it is                                                                                      |
|---------|-------------------------------------------------------------------------------------------------|
| plateau | a box of score 0.95, straight flanks, background 0.05; does not touch 0/360                     |
| seam    | the same across azimuth 0/360                                                                   |
| ridge   | a plateau along one parameter (drawn by the seed), the same all along the others                |
| trap    | a plateau with a pocket of score 0.05 inside that high score encloses on all sides              |
| empty   | a plateau of score 0.4: with epsilon_m < 0.6 nothing is robust anywhere                         |
| hill    | smooth: no plateau, curvature everywhere on the bump, top 0.95                                  |

Plateaus take 20 to 32 % of each range, each flank 20 % of the plateau's width; the hill's radius is 25 to 35 %.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import final

import numpy as np

from semrob_env.errors import InvalidParameterError, UnknownNameError
from semrob_env.functions import split_options
from semrob_env.parameters import AZIMUTH, ELEVATION, Parameter, SemanticSpace
from semrob_env.synthetic.function import SyntheticFunction
from semrob_env.synthetic.landscape import Bumps, Landscape
from semrob_env.types import FloatArray

MOST_PARAMETERS = 20
VERSION = "1"  # goes up when an id begins to mean another function
LOW, HIGH, EMPTY_HIGH = 0.05, 0.95, 0.4


@final
@dataclass(frozen=True)
class Family:
    """What makes one family differ from the plain plateau; the module docstring says it in words."""

    high: float = HIGH
    is_smooth: bool = False
    crosses_seam: bool = False
    is_ridge: bool = False
    has_trap: bool = False


FAMILIES = {
    "plateau": Family(),
    "seam": Family(crosses_seam=True),
    "ridge": Family(is_ridge=True),
    "trap": Family(has_trap=True),
    "empty": Family(high=EMPTY_HIGH),
    "hill": Family(is_smooth=True),
}


def make_synthetic(function_id: str) -> SyntheticFunction:
    """The function of an id `synthetic:FAMILY?n=N&seed=S`.

    Raises:
        UnknownNameError: Unknown family or option.
        InvalidParameterError: n or seed is not a whole number in its range.
    """
    name, options = split_options(function_id)
    if name not in FAMILIES:
        raise UnknownNameError(f"unknown synthetic family {name!r} in {function_id!r}; known are {', '.join(FAMILIES)}")
    unknown = [option for option in options if option not in {"n", "seed"}]
    if unknown:
        raise UnknownNameError(f"unknown option {unknown[0]!r} in {function_id!r}; known are n, seed")
    n = _whole(function_id, "n", options.get("n", "2"), 1, MOST_PARAMETERS)
    seed = _whole(function_id, "seed", options.get("seed", "0"), 0, 2**63 - 1)
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
    centre = low + reach + (width - 2 * reach) * place
    if family.crosses_seam:
        centre[0] = np.mod((2 * place[0] - 1) * 0.8 * half[0], width[0])
    period = np.where(space.is_periodic[chosen], width, np.inf)
    bumps = Bumps(centre, half, flank, period, family.is_smooth)
    if not family.has_trap:
        return active, Landscape(LOW, family.high, bumps)
    aside = _draw(name, seed, "trap", space.n)[chosen]
    trap = Bumps(centre + (2 * aside - 1) * 0.3 * half, 0.3 * half, 0.2 * half, period)
    return active, Landscape(LOW, family.high, bumps, trap, depth=family.high - LOW)


def _draw(name: str, seed: int, what: str, count: int) -> FloatArray:
    """Numbers (count,) in [0, 1) from a hash: the same for ever, and the first ones the same for every n."""
    digest = hashlib.shake_128(f"{name}/{seed}/{what}".encode()).digest(8 * count)
    return np.asarray((np.frombuffer(digest, dtype="<u8") >> np.uint64(11)) * 2.0**-53)


def _whole(function_id: str, option: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise InvalidParameterError(f"{option}={text} in {function_id!r}: give a whole number from {least} to {most}")
    return int(text)
