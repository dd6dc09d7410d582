"""One moment of an episode, as pictures and text show it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.functions import ScoreFunction
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

Frame = npt.NDArray[np.uint8]
"""(HEIGHT, WIDTH, 3)."""

WIDTH, HEIGHT = 960, 480
"""Of every frame, in pixels: multiples of 16, as encoders of video like them."""

BAR = 40
"""Letters of a bar in text."""


@final
@dataclass(frozen=True, eq=False)
class Moment:
    """What there is to see.

    Attributes:
        member: Member of the function's family.
        centre: The point (n,) whose scene is shown.
        marks: Points (n,) by name: `start`, `last`, `best`; the same names in every moment of a Painter.
        bounds: Lower and upper bounds (n,) of the region, native units, unwrapped or not; None: there is no region.
        spent: Budget spent in this episode, in queries ...
        budget: ... of so many.
        numbers: Named numbers to show, e.g. `objective` and `reward`; the same names in every moment of a Painter.
    """

    member: int
    centre: FloatArray
    marks: Mapping[str, FloatArray]
    bounds: tuple[FloatArray, FloatArray] | None
    spent: float
    budget: float
    numbers: Mapping[str, float]


def number(value: float) -> str:
    """A number as it is shown."""
    return f"{value + 0.0:.4f}"  # + 0.0: no minus before a zero


def as_text(function: ScoreFunction, moment: Moment) -> str:
    """The moment as lines: the function, a line a parameter (`=` region, `o` start, `x` last, `*` best), the meter."""
    space, letters = function.space, {"start": "o", "last": "x", "best": "*"}
    lines = [function.member_ids[moment.member]]
    longest = max(map(len, space.names))
    region = None if moment.bounds is None else Regions(space, *moment.bounds).clip()
    for k, parameter in enumerate(space.parameters):
        bar = ["-"] * BAR
        at = parameter.low + (np.arange(BAR) + 0.5) / BAR * space.width[k]
        told = []
        if region is not None:
            lower, upper = float(region.lower[0, k]), float(region.upper[0, k])
            turn = parameter.period or 0.0
            bar = ["=" if lower <= x <= upper or lower <= x + turn <= upper else "-" for x in at.tolist()]
            told.append(f"{lower:.4g} .. {upper:.4g}")
        for name, theta in moment.marks.items():
            place = int((theta[k] - parameter.low) / space.width[k] * BAR)
            bar[min(max(place, 0), BAR - 1)] = letters.get(name, "+")
            told.append(f"{name} {theta[k]:.4g}")
        unit = f" {parameter.unit}" if parameter.unit else ""
        bar_text = "".join(bar)
        lines.append(
            f"{parameter.name:<{longest}} {parameter.low:6.4g} |{bar_text}| {parameter.high:<6.4g} "
            f"{', '.join(told)}{unit}"
        )
    lines.append("  ".join(f"{name} {number(value)}" for name, value in moment.numbers.items()))
    full = min(BAR, math.floor(BAR * moment.spent / moment.budget))
    meter = "#" * full + "." * (BAR - full)
    lines.append(f"{'queries':<{longest}} {0:6d} |{meter}| {moment.budget:<6g} {moment.spent:g} spent")
    return "\n".join(lines)
