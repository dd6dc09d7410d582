"""Attacks that follow gradients in what is seen, pictures or colors of faces: FGSM and PGD, in a ball of two norms.

FGSM: Goodfellow, Shlens & Szegedy, *Explaining and harnessing adversarial examples*, arXiv 1412.6572; it is PGD of one
step. PGD: Madry et al., *Towards deep learning models resistant to adversarial attacks*, arXiv 1706.06083: steps of 2.5
epsilon / steps, at most epsilon, from the clean picture, not from a random one: the same bytes each time.

An attack only shows what fails: the lowest score that it finds is an upper bound of the lowest in the ball.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast, final, get_args

import numpy as np

from semrob_env.errors import InvalidParameterError
from semrob_env.functions import Price
from semrob_env.types import Float32Array, FloatArray

Norm = Literal["linf", "l2"]
NORMS: tuple[Norm, ...] = get_args(Norm)

ALBEDO: Literal["albedo"] = "albedo"
Target = Literal["pixels", "albedo"]
TARGETS: tuple[Target, ...] = get_args(Target)

STEPS, MOST_STEPS = 5, 1000
"""Steps where nobody says how many, and most of them."""

STEP_LENGTH = 2.5
"""Length of all steps together, in epsilons."""

Ask = Callable[[Float32Array, bool], tuple[FloatArray, Float32Array | None]]
"""Scores (N,) of what is seen (N, ...), and their gradients (N, ...) in it, or None where they are not wanted."""


@final
@dataclass(frozen=True, eq=False)
class Attacked:
    """What an attack found for N starts.

    Attributes:
        seen: What has the lowest score (N, ...); the start itself where nothing is lower.
        scores: Its scores (N,).
        clean: Scores of the starts (N,).
        gradients: Gradients at `seen` (N, ...), or None if they were not asked for.
    """

    seen: Float32Array
    scores: FloatArray
    clean: FloatArray
    gradients: Float32Array | None = None


@final
@dataclass(frozen=True)
class PictureAttack:
    """PGD to a low score within a ball around each start, all numbers in [0, 1].

    It asks for a score and a gradient each step, the start first, and for the score where it ends: steps + 1 forward
    queries and as many gradient queries as steps. Nothing is to be attacked with an epsilon of 0: 1 forward query.

    Attributes:
        norm: `linf`: no number changes by more than epsilon; `l2`: the root of the sum of squared changes does not.
        epsilon: Radius of the ball, in units of a picture or albedo in [0, 1].
        steps: How many; 1: FGSM.
        target: What changes: `pixels` of the picture, or `albedo`, the colors of the object's faces.

    Raises:
        InvalidParameterError: Another norm or target, an epsilon that is no finite number of at least 0, or steps
            not in 1..1000.
    """

    norm: Norm = "linf"
    epsilon: float = 2 / 255
    steps: int = STEPS
    target: Target = "pixels"

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise InvalidParameterError(f"norm {self.norm!r}: choose {' or '.join(NORMS)}")
        if self.target not in TARGETS:
            raise InvalidParameterError(f"target {self.target!r}: choose {' or '.join(TARGETS)}")
        if not (math.isfinite(self.epsilon) and self.epsilon >= 0):
            raise InvalidParameterError(f"epsilon {self.epsilon}: give a finite number, 0 or above, as 2/255")
        if not 1 <= self.steps <= MOST_STEPS:
            raise InvalidParameterError(f"{self.steps} steps of an attack: give 1 to {MOST_STEPS}")

    @classmethod
    def parse(cls, text: str) -> PictureAttack:
        """Read NORM:EPSILON or NORM:EPSILON:STEPS, `linf:2/255:5`, after `albedo:` where that is what changes.

        Raises:
            InvalidParameterError: It is neither.
        """
        bare = text.removeprefix(f"{ALBEDO}:")
        norm, *numbers = bare.split(":")
        try:
            above, *below = (float(part) for part in numbers[0].split("/"))
            epsilon = above / below[0] if below else above
            steps = int(numbers[1]) if len(numbers) > 1 else STEPS
            if len(numbers) > 2 or len(below) > 1:
                raise ValueError
        except (ValueError, IndexError, ZeroDivisionError):
            raise InvalidParameterError(f"attack {text!r:.60}: write NORM:EPSILON:STEPS, as linf:2/255:5") from None
        return cls(cast("Norm", norm), epsilon, steps, "pixels" if bare == text else ALBEDO)

    @property
    def text(self) -> str:
        """What `parse` reads."""
        before = "" if self.target == "pixels" else f"{self.target}:"
        return f"{before}{self.norm}:{epsilon_text(self.epsilon)}:{self.steps}"

    @property
    def value_price(self) -> Price:
        """What the lowest score costs."""
        return Price(self.steps + 1, self.steps) if self.epsilon else Price(1, 0)

    @property
    def gradient_price(self) -> Price:
        """What the lowest score costs with the gradient where it is."""
        return Price(self.steps + 1, self.steps + 1) if self.epsilon else Price(1, 1)

    def lowest(self, start: Float32Array, ask: Ask, *, with_gradients: bool = False) -> Attacked:
        """Attack N starts (N, ...) in [0, 1], each alone; NaN is the lowest score there is.

        Args:
            start: What is seen without an attack.
            ask: The scores, `value_price` times.
            with_gradients: Whether gradients at what is found are wanted: then `gradient_price` says the bill.
        """
        steps = self.steps if self.epsilon else 0
        seen, found, lowest = start, start.copy(), np.full(len(start), np.inf)
        clean = scores = np.empty(len(start))
        gradients = np.zeros_like(start) if with_gradients else None
        for step in range(steps + 1):
            told, slopes = ask(seen, step < steps or with_gradients)
            rank = np.where(np.isnan(told), -np.inf, told)
            is_lower = rank < lowest
            found[is_lower], lowest = seen[is_lower], np.minimum(rank, lowest)
            clean, scores = (told, told) if step == 0 else (clean, np.where(is_lower, told, scores))
            if gradients is not None and slopes is not None:
                gradients[is_lower] = slopes[is_lower]
            if step < steps:
                assert slopes is not None
                seen = self._moved(start, seen, np.nan_to_num(slopes))
        return Attacked(found, scores, clean, gradients)

    def _moved(self, start: Float32Array, seen: Float32Array, slopes: Float32Array) -> Float32Array:
        """One step down, back in the ball and in [0, 1]."""
        length, epsilon = np.float32(min(1.0, STEP_LENGTH / self.steps) * self.epsilon), np.float32(self.epsilon)
        if self.norm == "linf":
            moved = np.clip(seen - length * np.sign(slopes), start - epsilon, start + epsilon)
        else:
            change = seen - length * slopes / np.maximum(_lengths(slopes), np.float32(1e-30)) - start
            moved = start + change * np.minimum(np.float32(1), epsilon / np.maximum(_lengths(change), epsilon))
        return np.asarray(np.clip(moved, 0.0, 1.0), dtype=np.float32)


def epsilon_text(epsilon: float) -> str:
    """An epsilon as `PictureAttack.parse` reads it: as it is where that is short, else in 255ths, else in full."""
    short, shades = f"{epsilon:.6g}", f"{255 * epsilon:.6g}"
    if float(short) == epsilon:
        return short
    return f"{shades}/255" if float(shades) / 255 == epsilon else repr(float(epsilon))


def _lengths(changes: Float32Array) -> Float32Array:
    """Euclidean lengths (N, 1, ...), each summed alone: they must not depend on the neighbors."""
    lengths = [np.sqrt(np.sum(np.square(own, dtype=np.float64))) for own in changes]
    return np.array(lengths, dtype=np.float32).reshape(-1, *[1] * (changes.ndim - 1))
