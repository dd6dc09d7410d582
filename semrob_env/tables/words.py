"""Findings in plain words: how often a network is right, where it fails, what is certified, which parameter ends it.

Nothing that rounding says is more than what was found: ends of intervals are rounded outwards, bounds of regions
inwards, least shares down, and 0 % and 100 % stand for none and all only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from semrob_env.errors import InvalidRegionError
from semrob_env.metrics.certificates import CONFIDENCE
from semrob_env.metrics.reach import Reach
from semrob_env.metrics.survey import RIGHT, Effects, Failing, Rate, Survey
from semrob_env.parameters import Parameter
from semrob_env.questions import Goal
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

_ROUNDING = 1e-9
"""Of products: 100 * 0.29 is below 29."""

_KEPT = 0.9
"""Part of a side that rounding inwards keeps at least."""

_GAP = 1 / 6
"""Part of a turn up to which what a side leaves out is told, and not the side."""

_SHORT = {"azimuth": "az", "elevation": "el", "distance": "dist"}
"""Parts of names of parameters where there is little room."""

_FINER = 3
"""How often the digits of a bound grow by one, at most, so that rounding takes little from a region."""


def percent(share: float) -> str:
    """A share as a whole percentage, to the nearest; `under 1 %` and `over 99 %` where 0 or 100 would be false."""
    if math.isnan(share):
        return "unknown"
    whole = round(100 * share)
    if whole == 0 and share > 0:
        return "under 1 %"
    if whole == 100 and share < 1:
        return "over 99 %"
    return f"{whole} %"


def least_percent(share: float) -> str:
    """A share that is a lower bound, rounded down: to whole percentages, or to tenths where these hide a tenth part."""
    whole = _floor(share)
    if share >= 0.9 and 100 * share - whole > 0.5:
        return f"{math.floor(1000 * share + _ROUNDING) / 10:.1f} %"
    return f"{whole} %"


def rate_words(rate: Rate, *, level: float = RIGHT, confidence: float = CONFIDENCE) -> str:
    """`right in 61 % (55 to 67) of all views`, the interval being the exact one; of another level, what that is."""
    if not rate.views:
        return "no view was asked"
    ends = interval_words(*rate.interval(confidence))
    return f"{_good(level)} in {percent(rate.share)} ({ends}) of all views"


def interval_words(low: float, high: float) -> str:
    """The ends of an interval of shares as whole percentages, rounded outwards: `55 to 67`."""
    return f"{_floor(low)} to {-_floor(-high)}"


def failing_words(stretch: Failing, *, level: float = RIGHT) -> str:
    """`mostly fails from elevation 50 deg upwards (right in 14 of 96 views there)`."""
    rate = stretch.rate
    return f"mostly fails {stretch_words(stretch)} ({_good(level)} in {rate.right} of {rate.views} views there)"


def stretch_words(stretch: Failing) -> str:
    """Where a stretch lies: `from elevation 50 deg upwards`."""
    own = stretch.parameter
    at_low, at_high = stretch.lower <= own.low, stretch.upper >= own.high
    if at_low and at_high:
        return f"at any {own.name}"
    if own.period is None and at_high:
        return f"from {_at(own, stretch.lower)} upwards"
    if own.period is None and at_low:
        return f"up to {_at(own, stretch.upper)}"
    return f"within {_side(own, stretch.lower, stretch.upper)}"


def worst_words(found: Survey) -> str:
    """`worst view: azimuth 210 deg, elevation 85 deg (score 0.02)`: the worst of those asked."""
    score = _floor(float(found.scores[found.worst])) / 100
    return f"worst view: {point_words(found.space.parameters, found.theta[found.worst])} (score {score:.2f})"


def point_words(parameters: Sequence[Parameter], theta: FloatArray) -> str:
    """A point (n,), rounded to what a person can tell apart: `azimuth 210 deg, elevation 85 deg`."""
    return ", ".join(_at(own, _rounded(own, float(value))) for own, value in zip(parameters, theta, strict=True))


def short_point_words(parameters: Sequence[Parameter], theta: FloatArray) -> str:
    """A point (n,) where there is little room, as under a picture: `az 210, el 85, light az 30`."""
    return ", ".join(
        f"{_short_name(own.name)} {_rounded(own, float(value)):.12g}"
        for own, value in zip(parameters, theta, strict=True)
    )


def count_words(count: int, what: str) -> str:
    """`1 shape`, `1,200 shapes`, `2 queries`."""
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{count:,} {what if count == 1 else plural}"


def total_effect_words(found: Effects) -> str:
    """`total effects: azimuth 0.97 ± 0.25, ...`, the largest first, of parameters that have one; empty: none has.

    A total effect counts what a parameter does alone and together with others (Saltelli et al., *Global Sensitivity
    Analysis*, 2008, chapter 4), so that they may add up to more than 1; the words say so.
    """
    shown = ", ".join(
        f"{found.space.names[k]} {found.total[k]:.2f} ± {found.standard_error[k]:.2f}"
        for k in np.argsort(-found.total, kind="stable")
        if found.largest_change[k] > 0
    )
    return f"total effects on the score (alone and with others, so they may add up to more than 1): {shown}" * bool(
        shown
    )


def region_words(region: Regions) -> str:
    """The bounds of one region, rounded inwards: `azimuth 120 to 260 deg and elevation -5 to 40 deg`.

    Across the seam: `azimuth 300 to 60 deg (through 0)`; almost a turn: `azimuth all but 342 to 347 deg`. Sides that
    are the whole range come last: `any azimuth`.

    Raises:
        InvalidRegionError: Not one region.
    """
    return _rounded_region(region, 0)[0]


def certified_words(
    region: Regions,
    least: float,
    *,
    level: float | None = RIGHT,
    confidence: float | None = CONFIDENCE,
    good: str = "",
    adversarial: bool = False,
) -> str:
    """What is certified of one region: `right in at least 95 % of the views within azimuth 120 to 260 deg (...)`.

    Words name a region that is rounded inwards, and what holds of the whole holds a little less of a part: if all that
    was cut off were good, the rest would have 1 - (1 - least) / part. So bounds get more digits where these keep the
    percentage, and else the percentage gives way.

    Args:
        region: A batch of one.
        least: Lower bound of the share of good views, or of the mean score; `goal_lower` of a certificate.
        level: Unit score from which on a view counts as good; None: it is the mean score that is bounded.
        confidence: Of the bound; None: it is the truth.
        good: What such a view is, in words; empty: as the level says.
        adversarial: Whether what was certified is the complement of f, which is told as f: `wrong in at least ...`.

    Raises:
        InvalidRegionError: Not one region.
    """
    for finer in range(_FINER + 1):
        bounds, part = _rounded_region(region, finer)
        held = max(1 - (1 - least) / part, 0.0)
        if _floor(held) == _floor(least):
            break
    is_whole = bool((region.clip().width >= region.space.width * (1 - _ROUNDING)).all())
    where = "all views" if is_whole else f"the views within {bounds}"
    how = "known exactly" if confidence is None else f"certified at {100 * confidence:g} %"
    if level is None:
        bound = f"most {(100 - _floor(held)) / 100:.2f}" if adversarial else f"least {_floor(held) / 100:.2f}"
        return f"mean score at {bound} over {where} ({how})"
    own = good or (bad_words(1 - level) if adversarial else _good(level))
    return f"{own} in at least {least_percent(held)} of {where} ({how})"


def goal_words(goal: Goal, score: str) -> str:
    """A goal and what its score is: `right in 95 % of the views`, `mean softmax score at least 0.5`.

    Args:
        goal: The goal.
        score: Kind of the score; all but `softmax` have the decision boundary at `RIGHT`.
    """
    if score != "softmax" and goal.threshold == RIGHT:
        return f"right in {100 * goal.least:g} % of the views"
    return goal.words.replace("score", f"{score} score", 1)


def uncertain_words(
    tried: Sequence[float],
    volumes: Sequence[float],
    goal: Goal,
    *,
    points: int,
    confidence: float = CONFIDENCE,
    is_feasible: bool,
    good: str = "",
) -> str:
    """Why no box of a region is certified, what is sure of them, and what would be.

    Args:
        tried: Lower bounds of what the goal counts in each box, all at once; `Shrunk.tried`.
        volumes: Part of the region that each box has.
        goal: What was to be shown.
        points: Points of each box; 0: no certificate was asked.
        confidence: Of all bounds together.
        is_feasible: Whether held-out points say that the region meets the goal.
        good: What a view that the goal counts is, in words; empty: as its level says.
    """
    if not points:
        return "nothing is certified, as no points were asked for"
    is_share, best = goal.threshold is not None, _floor(max(tried))
    bounds = _listed([least_percent(bound) if is_share else f"{_floor(bound) / 100:.2f}" for bound in tried])
    counted = f"{good or _good(goal.level)} in at least {bounds} of the views" if is_share else f"a mean of {bounds}"
    boxes = _listed([f"{100 * part:g}" for part in volumes])
    asked, most = (f"{100 * goal.least:g} %", f"{best} %") if is_share else (f"{goal.least:g}", f"{best / 100:.2f}")
    ways = ["more points"] * is_feasible + [f"a goal of at most {most}"] * (best > 0)
    advice = f"; to certify, give {' or '.join(ways)}" if ways else ""
    return (
        f"nothing is certified at {100 * confidence:g} %: {points} points in each of the boxes of {boxes} % of "
        f"what was found show {counted}, and the goal asks {asked}{advice}"
    )


def adversarial_words(goal: Goal) -> str:
    """What f has where its complement meets a goal: `mean score at most 0.5`."""
    return goal.words.replace(f"at least {goal.level:g}", f"at most {1 - goal.level:g}")


def reach_words(found: Reach) -> str:
    """`elevation is what ends it first: 12 % of its range on the upper side`; or that nothing does."""
    if found.first is None:
        return "nothing ends it: it is the whole space"
    k, side = found.first
    own = found.space.parameters[k]
    of = "its range" if own.period is None else "a turn"
    size = percent(float(found.sides[k, side]))
    return f"{own.name} is what ends it first: {size} of {of} on the {('lower', 'upper')[side]} side"


def effect_words(found: Effects) -> list[str]:
    """A sentence for each parameter without an effect: `light_azimuth has no effect (64 changes, no score moved)`."""
    return [f"{name} has no effect ({found.points} changes, no score moved)" for name in found.idle]


def frozen_words(parameter: Parameter, value: float, free: float | None, frozen: float | None) -> str:
    """What freezing a parameter at a value does, from two shares of the space of the others; None: nothing feasible."""
    at = _at(parameter, _rounded(parameter, value))
    with_it, without = (
        "no region that meets the goal" if share is None else percent(share) for share in (frozen, free)
    )
    return f"of what the others span, with {at}: {with_it}; with it free: {without}"


def survey_words(found: Survey, *, level: float = RIGHT, confidence: float = CONFIDENCE) -> list[str]:
    """The sentences of a survey: how often right, where it fails, the worst view."""
    stretches = found.failing(level=level, confidence=confidence)
    return [
        rate_words(found.rate(level), level=level, confidence=confidence),
        *(failing_words(stretch, level=level) for stretch in stretches),
        worst_words(found),
    ]


def _good(level: float) -> str:
    return "right" if level == RIGHT else f"score at least {level:g}"


def bad_words(level: float) -> str:
    """What a view whose score is below a level is: `wrong`."""
    return "wrong" if level == RIGHT else f"score at most {level:g}"


def _floor(share: float) -> int:
    """Whole percent of a share, rounded down."""
    return math.floor(100 * share + _ROUNDING)


def _rounded_region(region: Regions, finer: int) -> tuple[str, float]:
    """The bounds rounded inwards, to so many more digits than usual, in words; and the part of the region they keep."""
    if len(region) != 1:
        raise InvalidRegionError(f"{len(region)} regions in words: give a batch of one")
    cut, part = region.clip(), 1.0
    texts: list[str] = []
    whole: list[str] = []
    for own, lower, upper in zip(region.space.parameters, cut.lower[0].tolist(), cut.upper[0].tolist(), strict=True):
        first, last = _inwards(own, lower, upper, finer)
        if _is_whole(own, first, last):
            whole.append(own.name)
            continue
        texts.append(_side(own, first, last))
        if upper > lower:
            part *= (last - first) / (upper - lower)
    texts = [_listed(texts)] if texts else []
    return ", ".join([*texts, *([f"any {_listed(whole)}"] if whole else [])]), part


def _listed(texts: list[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if texts[1:] else texts)


def _is_whole(own: Parameter, lower: float, upper: float) -> bool:
    return upper - lower >= (own.high - own.low) * (1 - _ROUNDING)


def _inwards(own: Parameter, lower: float, upper: float, finer: int) -> tuple[float, float]:
    """A side rounded inwards: to a few hundred steps of the range, or more digits where these keep most of it."""
    if _is_whole(own, lower, upper):
        return lower, upper
    digits = _digits(own) + finer
    for more in range(digits, digits + 12):
        unit = 10.0**-more
        first = round(math.ceil(lower / unit - _ROUNDING) * unit, more)
        last = round(math.floor(upper / unit + _ROUNDING) * unit, more)
        if last - first >= _KEPT * (upper - lower) > 0:
            return first, last
    return lower, upper


def _digits(own: Parameter) -> int:
    """Digits after the point that a person can tell apart: 0 of angles, 2 of numbers in [0, 1]."""
    return -round(math.log10(own.high - own.low) - 2.3)


def _rounded(own: Parameter, value: float) -> float:
    near = round(value, _digits(own)) + 0.0
    return own.low if own.period is not None and near >= own.high else near


def _at(own: Parameter, value: float) -> str:
    return f"{own.name} {value:.12g} {own.unit}".rstrip()


def _side(own: Parameter, lower: float, upper: float) -> str:
    """Bounds of one parameter in words; an upper one beyond the range lies across the seam."""
    turn = own.period or 0.0
    if lower >= own.high and turn:
        lower, upper = lower - turn, upper - turn
    if lower == upper:
        return _at(own, lower)
    if upper > own.high:
        end = upper - turn
        if lower - end <= _GAP * turn:
            return f"{own.name} all but {end:.12g} to {lower:.12g} {own.unit}".rstrip()
        return f"{own.name} {lower:.12g} to {end:.12g} {own.unit}".rstrip() + f" (through {own.low:.12g})"
    return f"{own.name} {lower:.12g} to {upper:.12g} {own.unit}".rstrip()


def _short_name(name: str) -> str:
    for long, short in _SHORT.items():
        name = name.replace(long, short)
    return name.replace("_", " ")
