"""Two networks at the same views: how many views one gets right that the other does not, and by how much scores differ.

Intervals here speak of all views of the shapes that were asked, not of other shapes: the shapes are given, their views
are drawn. For other shapes see `semrob_env.metrics.intervals`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from semrob_env.errors import InvalidParameterError, ShapeMismatchError
from semrob_env.metrics.certificates import CONFIDENCE, mean_lower_bound, require_confidence
from semrob_env.metrics.survey import RIGHT, Failing, Survey, exact_interval
from semrob_env.types import BoolArray, FloatArray

SIGN_PART: Final = 0.8
"""Part of the error that the sign of a difference may take; the rest is for how many views flip at all."""

MOST_SHAPES: Final = 10_000
"""Most that `shapes_needed` tells of: more is no plan."""


@final
@dataclass(frozen=True)
class Flips:
    """How many of some independent views changed.

    Attributes:
        lost: Right before, wrong after.
        won: Wrong before, right after.
        views: All of them.
    """

    lost: int
    won: int
    views: int

    @property
    def difference(self) -> float:
        """Rate of right views after minus before; NaN without views."""
        return (self.won - self.lost) / self.views if self.views else float("nan")

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """An exact interval of the difference among all views there are: no normal approximation, whatever the counts.

        The difference is q (2 p - 1), where q is the share of views that flip, and p of flipped ones the share that is
        won. Given how many flip, the won ones are binomial, and p = 1/2 is the exact test of McNemar (1947, "Note on
        the sampling error of the difference between correlated proportions or percentages", Psychometrika 12). Both
        shares get an interval of Clopper & Pearson, `SIGN_PART` of the error goes to p, so that what holds of p and q
        together holds of the difference. Views of several shapes, equally many of each, spread less than views that
        are drawn from all of them (W. Hoeffding 1956).

        Raises:
            InvalidParameterError: A confidence that is not in (0, 1).
        """
        alpha, flipped = 1 - require_confidence(confidence), self.won + self.lost
        signs = [2 * float(end) - 1 for end in exact_interval(self.won, flipped, 1 - SIGN_PART * alpha)]
        parts = [float(end) for end in exact_interval(flipped, self.views, 1 - (1 - SIGN_PART) * alpha)]
        return min(signs[0] * part for part in parts), max(signs[1] * part for part in parts)


@final
@dataclass(frozen=True, eq=False)
class PairedViews:
    """Unit scores of two networks at the same independent uniform views of a space.

    Attributes:
        before: Survey of the one.
        after: Of the other, at the same views.

    Raises:
        ShapeMismatchError: Other views.
    """

    before: Survey
    after: Survey

    def __post_init__(self) -> None:
        if self.before.space != self.after.space or not np.array_equal(self.before.theta, self.after.theta):
            raise ShapeMismatchError("paired views: both surveys must be of the same space at the same views")

    def __len__(self) -> int:
        return len(self.before)

    @property
    def lost(self) -> BoolArray:
        """Views (N,) that were right before, and are wrong after."""
        return np.asarray((self.before.scores >= RIGHT) & (self.after.scores < RIGHT))

    @property
    def won(self) -> BoolArray:
        """Views (N,) that were wrong before, and are right after."""
        return np.asarray((self.before.scores < RIGHT) & (self.after.scores >= RIGHT))

    @property
    def flips(self) -> Flips:
        """How many of each."""
        return Flips(int(self.lost.sum()), int(self.won.sum()), len(self))

    @property
    def score_difference(self) -> float:
        """Mean score after minus before."""
        return self.after.mean - self.before.mean

    def score_interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """An interval of that difference among all views there are: two betting bounds, that need no distribution.

        Views of several shapes are to stand in turn, one of each, as `in_turn` puts them.

        Raises:
            InvalidParameterError: A confidence that is not in (0, 1).
        """
        alpha = (1 - require_confidence(confidence)) / 2
        half = (self.after.scores - self.before.scores + 1) / 2
        low, high = mean_lower_bound(half[None], alpha)[0], 1 - mean_lower_bound(1 - half[None], alpha)[0]
        return float(2 * low - 1), float(2 * high - 1)

    def worse(self, confidence: float = CONFIDENCE) -> list[Failing]:
        """Stretches of a parameter in each bin of which surely more views were lost than won, in order.

        All of them with this confidence, as `Survey.failing`; `rate` counts the won ones among those that flipped.
        Parameters along which as many may be lost everywhere are left out: there the rate of all views says it.

        Raises:
            InvalidParameterError: A confidence that is not in (0, 1).
        """
        return self._stretches(self.lost, self.won, confidence)

    def better(self, confidence: float = CONFIDENCE) -> list[Failing]:
        """The same where surely more views were won than lost; `rate` counts the lost ones among those that flipped.

        Raises:
            InvalidParameterError: A confidence that is not in (0, 1).
        """
        return self._stretches(self.won, self.lost, confidence)

    def _stretches(self, many: BoolArray, few: BoolArray, confidence: float) -> list[Failing]:
        space, theta, flipped = self.before.space, self.before.theta, many | few
        own = 1 - (1 - require_confidence(confidence)) / space.n
        every = Survey(space, theta, many.astype(np.float64))
        part = Survey(space, theta[flipped], few[flipped].astype(np.float64))
        return [
            found for name in space.names if every.curve(name).varies(own) for found in part.curve(name).failing(own)
        ]


def in_turn(surveys: list[Survey]) -> Survey:
    """Surveys of several shapes with as many views each as one: the first view of each, then the second, ..."""
    joined = Survey.joined(surveys)
    order = np.arange(len(joined)).reshape(len(surveys), -1).T.ravel()
    return Survey(joined.space, joined.theta[order], joined.scores[order])


def shapes_needed(differences: FloatArray, smallest: float, *, confidence: float = CONFIDENCE) -> int | None:
    """About how many shapes show a mean difference of this size, if those seen (N,) are like the others.

    Half of such comparisons show it: a rough number for planning, from the spread between shapes and the interval
    that `difference_interval` gives. None for fewer than two shapes, or more than `MOST_SHAPES`.

    Raises:
        InvalidParameterError: A size that is not above 0, or a confidence not in (0, 1).
    """
    from semrob_env.metrics.intervals import DOUBT

    if not smallest > 0:
        raise InvalidParameterError(f"a difference of {smallest}: give one above 0")
    alpha = 1 - require_confidence(confidence)
    if len(differences) < 2:
        return None
    from scipy.special import stdtrit

    spread = float(np.var(differences, ddof=1))
    count = 2
    while count <= MOST_SHAPES:
        half = float(stdtrit(count - 1, 1 - alpha / 2)) * math.sqrt(count * spread + DOUBT**2) / count
        if half < smallest:
            return count
        count = max(count + 1, math.ceil(1.05 * count))
    return None
