"""Ranks: whether two figures order networks alike, and whether a score tells one kind of pictures from another.

Sources: M. Kendall 1938, "A new measure of rank correlation", Biometrika 30 (tau; b: with ties). E. Fieller,
H. Hartley & E. Pearson 1957, "Tests for rank correlation coefficients I", Biometrika 44: the variance of atanh(tau) is
near 0.437 / (n - 4), an approximation for n of 10 and more. K. Boyd, K. Eng & C. Page 2013, "Area under the
precision-recall curve: point estimates and confidence intervals", ECML: the logit interval.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError, ShapeMismatchError
from semrob_env.metrics.certificates import CONFIDENCE, require_confidence
from semrob_env.types import FloatArray

LEAST_FOR_INTERVAL: Final = 10
"""Networks from which an interval of tau is told."""

MOST_LISTED: Final = 8
"""Networks up to which all orders are tried where there are ties."""


@final
@dataclass(frozen=True)
class RankAgreement:
    """How two figures order the same n things.

    Attributes:
        count: n.
        tau: Kendall's tau-b; NaN where one figure is the same for all.
        same, other: Pairs in the same order, and in the other; of what is left one figure is equal.
        p: Two-sided: how often chance alone gives an absolute tau of at least this; NaN without a tau.
        is_exact: Whether p is, or by the normal approximation.
        low, high: 95 % interval of tau; NaN below `LEAST_FOR_INTERVAL`.
    """

    count: int
    tau: float
    same: int
    other: int
    p: float
    is_exact: bool
    low: float
    high: float

    @property
    def least_p(self) -> float:
        """The smallest p that so many things can give, all in the same order and without ties."""
        return min(1.0, 2 / math.factorial(self.count))

    @property
    def can_show(self) -> bool:
        """Whether so many things could agree by more than chance, and there is a tau."""
        return math.isfinite(self.tau) and self.least_p <= 0.05

    @property
    def words(self) -> str:
        """What may be concluded."""
        pairs = self.same + self.other
        if not math.isfinite(self.tau):
            return f"{self.count} networks: too few for a rank agreement"
        told = (
            f"Kendall's tau {self.tau:+.2f} over {self.count} networks, {self.same} of {pairs} pairs in the same "
            f"order, {'exact ' if self.is_exact else ''}p {self.p:.2g}"
        )
        if not self.can_show:
            return f"{told}: {self.count} networks cannot show anything (the least p is {self.least_p:.2g})"
        interval = f", 95 % interval {self.low:+.2f} to {self.high:+.2f}" if math.isfinite(self.low) else ""
        shown = "the orders agree" if self.tau > 0 else "the orders are opposed"
        return f"{told}{interval}: {shown if self.p < 0.05 else 'chance alone could explain it'}"


def rank_agreement(first: npt.ArrayLike, second: npt.ArrayLike) -> RankAgreement:
    """How two figures (n,) of the same things agree in order; p and interval take the things for independent.

    Raises:
        ShapeMismatchError: Not two of one length.
        InvalidParameterError: A figure that is not finite.
    """
    from scipy import stats  # here, so that the room is light to enter

    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ShapeMismatchError(f"figures of shapes {x.shape} and {y.shape}; give two of one length")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InvalidParameterError("a figure is not finite; leave out what is not known")
    count = len(x)
    above = np.triu_indices(count, 1)
    signs_x, signs_y = (np.sign(own[:, None] - own[None, :])[above] for own in (x, y))
    same, other = int((signs_x * signs_y > 0).sum()), int((signs_x * signs_y < 0).sum())
    if count < 2 or not signs_x.any() or not signs_y.any():
        return RankAgreement(count, np.nan, same, other, np.nan, True, np.nan, np.nan)
    has_ties = not (signs_x.all() and signs_y.all())
    is_listed = has_ties and count <= MOST_LISTED
    found = stats.kendalltau(x, y, method="asymptotic" if has_ties else "exact")
    p = _listed_p(x, y, abs(same - other)) if is_listed else float(found.pvalue)
    low, high = _tau_interval(float(found.statistic), count)
    return RankAgreement(count, float(found.statistic), same, other, p, is_listed or not has_ties, low, high)


def _listed_p(x: FloatArray, y: FloatArray, extreme: int) -> float:
    """Share of all orders of y that agree or differ with x by at least as many pairs."""
    above = np.triu_indices(len(x), 1)
    signs = np.sign(x[:, None] - x[None, :])[above]
    orders = y[np.array(list(itertools.permutations(range(len(y)))))]
    counted = np.zeros(len(orders))
    for sign, i, j in zip(signs, *above, strict=True):
        counted += sign * np.sign(orders[:, i] - orders[:, j])
    return float(np.mean(np.abs(counted) >= extreme))


def _tau_interval(tau: float, count: int) -> tuple[float, float]:
    if count < LEAST_FOR_INTERVAL or abs(tau) >= 1:
        return np.nan, np.nan
    half = 1.959964 * math.sqrt(0.437 / (count - 4))
    return math.tanh(math.atanh(tau) - half), math.tanh(math.atanh(tau) + half)


def average_precision(positives: FloatArray, negatives: FloatArray) -> float:
    """Area under precision and recall (AUPR) of scores (P,) of what should score high and (N,) of what should not.

    The sum over thresholds of the gain in recall times the precision, equal scores at once.

    Raises:
        InvalidParameterError: One of them is empty.
    """
    if not len(positives) or not len(negatives):
        raise InvalidParameterError(f"{len(positives)} positives and {len(negatives)} negatives; give some of both")
    scores = np.concatenate([positives, negatives])
    is_positive = np.arange(len(scores)) < len(positives)
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(is_positive[order])[ends]
    return float(np.sum(np.diff(found, prepend=0) / len(positives) * (found / (ends + 1))))


def average_precision_interval(estimate: float, positives: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Logit interval of an AUPR by its number of positives; NaN at 0 and 1, where it has none.

    Raises:
        InvalidParameterError: A confidence that is not in (0, 1).
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + require_confidence(confidence)) / 2))
    if not 0 < estimate < 1:
        return np.nan, np.nan
    middle, half = math.log(estimate / (1 - estimate)), z / math.sqrt(positives * estimate * (1 - estimate))
    low, high = (1 / (1 + math.exp(-(middle + sign * half))) for sign in (-1, 1))
    return low, high
