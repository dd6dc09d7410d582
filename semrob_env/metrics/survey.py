"""Surveys: how a function does in its whole space, from independent uniform views that no method has seen.

How many views are right, which is the worst, along which parameter it fails; and which parameters have an effect at
all. A view is *right* where its unit score reaches a level; 0.5 is where a classifier's top answer is the right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError
from semrob_env.functions import ScoreFunction
from semrob_env.metrics.certificates import CONFIDENCE, require_confidence, share_lower_bound
from semrob_env.parameters import Parameter, SemanticSpace
from semrob_env.sequences import hashed_uniform
from semrob_env.types import BoolArray, FloatArray, IntArray

SURVEY_POINTS = 256
"""Views of a survey, unless told otherwise: its rate is then known to some 6 %, and 8 bins hold 32 views each."""

EFFECT_POINTS = 64
"""Views of a survey that `effects` changes, unless told otherwise."""

RIGHT = 0.5
"""Unit score from which on a view is right, unless told otherwise."""

BINS = 8
"""Bins of a rate curve, unless told otherwise."""

NO_EFFECT = 1e-6
"""Change of a unit score up to which it counts as unchanged: rounding, not the scene."""

_MOST_POINTS = 2**20
_CHUNK_NUMBERS = 2**20
"""Most numbers in the theta of one call to the function: 8 MiB."""


def exact_interval(
    right: npt.ArrayLike, views: npt.ArrayLike, confidence: float = CONFIDENCE
) -> tuple[FloatArray, FloatArray]:
    """Two-sided interval (...,) of a share from numbers of right views (...,) among independent ones (...,).

    Without views it is all of [0, 1]. Source: Clopper & Pearson 1934, Biometrika 26.

    Raises:
        InvalidParameterError: A confidence that is not in (0, 1).
    """
    alpha, found, total = (1 - require_confidence(confidence)) / 2, np.asarray(right), np.asarray(views)
    return share_lower_bound(found, total, alpha), 1 - share_lower_bound(total - found, total, alpha)


@final
@dataclass(frozen=True)
class Rate:
    """How many of some independent views are right."""

    right: int
    views: int

    @property
    def share(self) -> float:
        """The right ones over all, NaN without any."""
        return self.right / self.views if self.views else float("nan")

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The exact interval of the share among all views there are.

        Raises:
            InvalidParameterError: A confidence that is not in (0, 1).
        """
        low, high = exact_interval(self.right, self.views, confidence)
        return float(low), float(high)


@final
@dataclass(frozen=True)
class Failing:
    """A stretch of a parameter along which, surely, less than half of the views are right, in each bin of it.

    Attributes:
        parameter: The parameter; all others vary over the whole space.
        lower: Where the stretch begins.
        upper: Where it ends; above the end of the range where it goes on across the seam.
        rate: Of the views in it.
    """

    parameter: Parameter
    lower: float
    upper: float
    rate: Rate


@final
@dataclass(frozen=True, eq=False)
class RateCurve:
    """Right views along one parameter, in equal bins; all other parameters vary over the whole space.

    Attributes:
        parameter: The parameter.
        edges: Edges of K bins (K + 1,).
        right: Right views in each (K,).
        views: Views in each (K,).
    """

    parameter: Parameter
    edges: FloatArray
    right: IntArray
    views: IntArray

    @property
    def share(self) -> FloatArray:
        """Share of right views in each bin (K,), NaN without any."""
        return np.asarray(np.divide(self.right, self.views, out=np.full(len(self.views), np.nan), where=self.views > 0))

    def interval(self, confidence: float = CONFIDENCE) -> tuple[FloatArray, FloatArray]:
        """The exact interval of each bin alone, (K,) and (K,)."""
        return exact_interval(self.right, self.views, confidence)

    def fails(self, confidence: float = CONFIDENCE) -> BoolArray:
        """Bins (K,) in which surely less than half of the views are right: all at once with this confidence.

        Exact tests of each bin against one half, corrected for their number after S. Holm 1979, "A simple sequentially
        rejective multiple test procedure", Scandinavian Journal of Statistics 6.
        """
        from scipy.special import bdtr

        alpha, count = 1 - require_confidence(confidence), len(self.views)
        chance = np.where(self.views > 0, bdtr(self.right.astype(np.float64), np.maximum(self.views, 1), 0.5), 1.0)
        order = np.argsort(chance, kind="stable")
        is_sure = np.logical_and.accumulate(chance[order] <= alpha / np.arange(count, 0, -1))
        return np.isin(np.arange(count), order[is_sure])

    def varies(self, confidence: float = CONFIDENCE) -> bool:
        """Whether the rate surely is not the same in all bins: Pearson's test of homogeneity."""
        from scipy.special import chdtrc

        share = self.right.sum() / max(self.views.sum(), 1)
        if not 0 < share < 1:
            return False
        used = self.views > 0
        if used.sum() < 2:
            return False
        excess = (self.right - share * self.views)[used] ** 2 / (self.views[used] * share * (1 - share))
        return bool(chdtrc(used.sum() - 1, excess.sum()) <= 1 - require_confidence(confidence))

    def failing(self, confidence: float = CONFIDENCE) -> list[Failing]:
        """Stretches of neighboring bins that `fails` names, in order; across the seam where the parameter turns."""
        fails, count = self.fails(confidence), len(self.views)
        turns = self.parameter.period is not None
        is_first = fails & ~np.roll(fails, 1)
        is_first[0] |= fails[0] and (not turns or bool(fails.all()))
        found = []
        for first in np.flatnonzero(is_first).tolist():
            length = 1
            while length < count and fails[(first + length) % count] and (turns or first + length < count):
                length += 1
            bins = np.arange(first, first + length) % count
            last = first + length
            upper = self.edges[last] if last <= count else self.edges[last - count] + (self.parameter.period or 0.0)
            rate = Rate(int(self.right[bins].sum()), int(self.views[bins].sum()))
            found.append(Failing(self.parameter, float(self.edges[first]), float(upper), rate))
        return found


@final
@dataclass(frozen=True, eq=False)
class Survey:
    """Scores at independent uniform views of a whole space.

    Of one function, or of several with as many views each (`joined`): then rates are means over these, and intervals
    and tests hold all the same (W. Hoeffding 1956, "On the distribution of the number of successes in independent
    trials": unlike chances spread less than equal ones).

    Attributes:
        space: The space.
        theta: The views (N, n).
        scores: Their unit scores (N,); NaN counted as 0.
    """

    space: SemanticSpace
    theta: FloatArray
    scores: FloatArray

    @classmethod
    def joined(cls, surveys: Sequence[Survey]) -> Survey:
        """Surveys of several functions, say shapes, as one, in order.

        Raises:
            InvalidParameterError: No survey, several spaces, or not as many views each.
        """
        if len({(found.space, len(found)) for found in surveys}) != 1:
            raise InvalidParameterError(
                f"{len(surveys)} surveys to join: give some of one space, with as many views each"
            )
        theta, scores = (np.concatenate([getattr(f, name) for f in surveys]) for name in ("theta", "scores"))
        return cls(surveys[0].space, theta, scores)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def queries(self) -> int:
        """What it cost: one query a view."""
        return len(self)

    def rate(self, level: float = RIGHT) -> Rate:
        """How many views are right."""
        return Rate(int((self.scores >= level).sum()), len(self))

    @property
    def mean(self) -> float:
        """Mean unit score."""
        return float(self.scores.mean())

    @cached_property
    def worst(self) -> int:
        """Number of the view with the least score, the first of several."""
        return int(self.scores.argmin())

    def curve(self, parameter: str, *, level: float = RIGHT, bins: int = BINS) -> RateCurve:
        """The rate of right views along one parameter.

        Args:
            parameter: Its name.
            level: Unit score from which on a view is right.
            bins: How many equal bins.

        Raises:
            InvalidParameterError: No bin.
            UnknownNameError: No such parameter of the space.
        """
        k = self.space.index(parameter)
        if bins < 1:
            raise InvalidParameterError(f"{bins} bins: give at least 1, for example {BINS}")
        own = self.space.parameters[k]
        edges = np.linspace(own.low, own.high, bins + 1)
        place = np.clip(np.searchsorted(edges, self.theta[:, k], side="right") - 1, 0, bins - 1)
        views = np.bincount(place, minlength=bins)
        right = np.bincount(place[self.scores >= level], minlength=bins)
        return RateCurve(own, edges, right, views)

    def failing(self, *, level: float = RIGHT, bins: int = BINS, confidence: float = CONFIDENCE) -> list[Failing]:
        """Where along any parameter less than half of the views are surely right: all of it with this confidence.

        What is not said may be so all the same: few views support little. A stretch that ends at the end of the range
        stays below one half up to there. Parameters along which the rate may be the same everywhere are left out: there
        the rate of all views says it.
        """
        own = 1 - (1 - require_confidence(confidence)) / self.space.n
        curves = [self.curve(name, level=level, bins=bins) for name in self.space.names]
        return [stretch for curve in curves if curve.varies(own) for stretch in curve.failing(own)]


def survey(function: ScoreFunction, member: int = 0, *, points: int = SURVEY_POINTS, seed: int = 0) -> Survey:
    """Ask a function at independent uniform views of its whole space.

    The views come from a hash of the member's id and the seed: no method has seen them, and more of them begin with the
    same ones.

    Args:
        function: The function; it is asked directly, beside any oracle.
        member: Which of its members.
        points: Views, from 1 to 2^20; a query each.
        seed: 0 or above.

    Raises:
        InvalidParameterError: points or seed not as above.
        UnknownNameError: No such member.
    """
    theta = survey_views(function, member, points, seed)
    return Survey(function.space, theta, _unit_scores(function, theta, member))


def survey_views(function: ScoreFunction, member: int, points: int, seed: int) -> FloatArray:
    """The views (points, n) of a survey; no query.

    Raises:
        InvalidParameterError, UnknownNameError: As `survey`.
    """
    function.require_member(member)
    return function.space.from_unit(_fractions("survey", function, member, points, seed))


@final
@dataclass(frozen=True, eq=False)
class Effects:
    """How much of a function's variance each parameter has a part in.

    Attributes:
        space: The space.
        total: Total effect of each parameter (n,): what share of the variance would be left if all others were known;
            0 of a constant function. They add up to more than 1 where parameters act together.
        standard_error: Of `total` (n,), of the squared changes alone.
        largest_change: Largest change of the unit score that changing the parameter alone has made (n,).
        points: Views of which each parameter was changed once.
        queries: What that cost, beyond the survey.
    """

    space: SemanticSpace
    total: FloatArray
    standard_error: FloatArray
    largest_change: FloatArray
    points: int
    queries: int

    @property
    def idle(self) -> tuple[str, ...]:
        """Parameters whose changes changed no score."""
        return tuple(
            name for name, most in zip(self.space.names, self.largest_change, strict=True) if most <= NO_EFFECT
        )


def effects(
    function: ScoreFunction, found: Survey, member: int = 0, *, points: int = EFFECT_POINTS, seed: int = 0
) -> Effects:
    """The total effect of each parameter: views of a survey are asked again with one parameter drawn anew.

    Source: M. Jansen 1999, "Analysis of variance designs for model output", Computer Physics Communications 117; A.
    Saltelli et al. 2010, ibid. 181, table 2 (f). With 64 views the errors are large (`standard_error`): it tells what
    matters from what does not.

    Args:
        function: The function that was surveyed.
        found: Its survey.
        member: Which of its members was.
        points: The first so many views of the survey serve, at least 2; each costs n further queries.
        seed: Of the changes, 0 or above.

    Raises:
        InvalidParameterError: points or seed not as above, more points than views, or a survey of another space.
        UnknownNameError: No such member.
    """
    space, n = function.space, function.space.n
    function.require_member(member)
    if found.space != space:
        raise InvalidParameterError(
            f"a survey over {found.space.spec} for a function over {space.spec}; survey it anew"
        )
    if not 2 <= points <= len(found):
        raise InvalidParameterError(f"effects of {points} points: give from 2 to the {len(found)} of the survey")
    own = np.arange(n)
    theta = np.repeat(found.theta[:points, None], n, axis=1)  # (points, n changes, n)
    theta[:, own, own] = space.from_unit(_fractions("effects", function, member, points, seed))
    changed = _unit_scores(function, theta.reshape(-1, n), member).reshape(points, n)
    before = found.scores[:points]
    change = np.abs(changed - before[:, None])
    # Each score comes from a uniform point, so all of them tell the variance.
    variance = float(np.concatenate([before, changed.ravel()]).var())
    scale = 1 / (2 * variance) if variance else 0.0
    return Effects(
        space,
        scale * (change**2).mean(axis=0),
        scale * (change**2).std(axis=0) / np.sqrt(points),
        change.max(axis=0),
        points,
        points * n,
    )


def _fractions(purpose: str, function: ScoreFunction, member: int, points: int, seed: int) -> FloatArray:
    """Independent uniform points (points, n) of the unit cube, for one purpose."""
    if not 1 <= points <= _MOST_POINTS:
        raise InvalidParameterError(f"{points} points: give a whole number from 1 to 2^20, for example {SURVEY_POINTS}")
    if seed < 0:
        raise InvalidParameterError(f"seed {seed}: give a whole number, 0 or above")
    key = f"{purpose}/{seed}/{function.member_ids[member]}".encode(errors="surrogatepass")
    return hashed_uniform(key, (points, function.space.n))


def _unit_scores(function: ScoreFunction, theta: FloatArray, member: int) -> FloatArray:
    """Unit scores (N,) at points (N, n)."""
    step = max(1, _CHUNK_NUMBERS // function.space.n)
    parts = [theta[first : first + step] for first in range(0, len(theta), step)]
    return np.concatenate([function.scale.unit(function.values(part[None], [member])[0]) for part in parts])
