"""What a score is: softmax of the class, its logit margin, or whether it is the top answer.

- `softmax` (default): probability of the class, in [0, 1]; the paper's score.
- `margin`: logit of the class minus the largest logit of any other. Above 0 the class is the top answer. Cut at
  +-`MARGIN_BOUND`, so that it has a score range; there its gradient is 0. Where a softmax is flat because it is full,
  the margin still tells how far away the next class is. Its unit score is 1/(1+exp(-margin)), so that 0.5 is the
  decision boundary, as it is for the softmax of two classes.
- `top1`: 1 where the class is the top answer, else 0. A step, so it has no gradient.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal, cast

import numpy as np

from semrob_env.errors import InvalidParameterError
from semrob_env.types import Float32Array, FloatArray, IntArray

ScoreKind = Literal["softmax", "margin", "top1"]

MARGIN_BOUND = 50.0
"""Largest margin told, in logits: a softmax differs from 1 by less than 1000 * exp(-50), about 2e-19, there."""

SCORE_RANGES: Final = MappingProxyType({
    "softmax": (0.0, 1.0),
    "margin": (-MARGIN_BOUND, MARGIN_BOUND),
    "top1": (0.0, 1.0),
})
"""Lowest and highest score of each kind."""

LOGISTIC_SCORES: Final = frozenset({"margin"})
"""Kinds whose unit score is 1 / (1 + exp(-score)), so that 0.5 is the decision boundary; the others' is linear."""

SCORE_WORDS: Final = MappingProxyType({
    "softmax": "softmax of the class",
    "margin": f"logit margin of the class, cut at +-{MARGIN_BOUND:g} (judged as 1/(1+exp(-margin)); 0.5: no margin)",
    "top1": "1 where the class is the top answer, else 0",
})
"""Each kind in a few words."""


def score_kind(text: str) -> ScoreKind:
    """A kind by its name.

    Raises:
        InvalidParameterError: No such kind.
    """
    if text not in SCORE_RANGES:
        raise InvalidParameterError(f"score {text!r}: choose {', '.join(SCORE_RANGES)}")
    return cast(ScoreKind, text)


def score_of(kind: ScoreKind, answers: Float32Array | FloatArray, class_index: IntArray) -> Float32Array | FloatArray:
    """Scores (N,) of classes (N,) from a network's answers (N, labels).

    Args:
        kind: `softmax` takes probabilities; `margin` and `top1` take logits, or the logarithms of probabilities.
        answers: What the network says to each picture; a row with NaN scores NaN.
        class_index: The class that each picture is scored for.
    """
    rows = np.arange(len(answers))
    own: Float32Array | FloatArray = np.asarray(answers[rows, class_index])
    if kind == "softmax":
        return own
    others = np.array(answers, dtype=np.float64)
    others[rows, class_index] = -np.inf
    best = others.max(axis=1, initial=-np.inf)
    if kind == "top1":
        return np.where(np.isnan(own) | np.isnan(best), np.nan, (own >= best).astype(np.float64))
    with np.errstate(invalid="ignore"):  # the logarithms of two probabilities of 0 have no difference: NaN
        return np.asarray(np.clip(own - best, -MARGIN_BOUND, MARGIN_BOUND))


def logits_of(probabilities: FloatArray | Float32Array) -> FloatArray:
    """Logits up to a constant a row: logarithms of probabilities (N, labels); their differences are the logits'."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.asarray(probabilities, dtype=np.float64))


def probabilities_of(logits: FloatArray | Float32Array) -> FloatArray:
    """Softmax of logits (N, labels), each row alone, in float64; a row with NaN or +inf is NaN."""
    shifted = np.asarray(logits, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # inf - inf
        powers = np.exp(shifted - shifted.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
