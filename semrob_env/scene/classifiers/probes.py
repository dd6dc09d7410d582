"""What a new network is asked before any query, and what its answers to that tell about it."""

from __future__ import annotations

import numpy as np

from semrob_env.scene.classifiers.premises import ASSUMED, Premise
from semrob_env.types import Float32Array, FloatArray

ROUNDING = 2e-4
"""Share of the span of its logits by which an answer of a network may differ from one computed in another order."""

LEAST_PROBABILITY = 1e-30
"""Smaller ones are taken for this, so that their logarithms are finite."""


def probe_images(size: int) -> Float32Array:
    """Images (4, 3, size, size) in [0, 1], the same everywhere: mid-gray, a render, bright, and dark; none constant.

    A branch on brightness goes both ways, the least and the largest value of all are those of single images, and what
    divides by the brightness of an image has some to divide by.
    """
    noise = np.random.default_rng(0).random((4, 3, size, size), dtype=np.float32)
    ramp = np.linspace(0.0, 1.0, size, dtype=np.float32)
    across, down = ramp[None, :] - 0.5, ramp[:, None] - 0.5
    disc = across**2 + down**2 < 0.1
    middle = 0.5 + 0.3 * (across + down) + 0.2 * (noise[0] - 0.5)
    render = disc * (0.7 + 0.3 * across + 0.1 * (noise[1] - 0.5))
    images: Float32Array = np.stack([middle, render, 0.6 + 0.4 * noise[2], 0.25 * noise[3]]).astype(np.float32)
    images[2, :, 0, 0] = 1.0
    return images


def are_probabilities(answers: Float32Array | FloatArray) -> bool:
    """Whether the finite ones of answers (N, labels) are probabilities: not negative, each row's sum 1."""
    told = answers[np.isfinite(answers).all(axis=1)]
    return bool(len(told) and (told >= 0).all() and np.allclose(told.sum(axis=1), 1.0, atol=1e-3))


LOGITS, PROBABILITIES = "logits", "probabilities"


def answers_kind(answers: Float32Array | FloatArray, asked: str = "") -> Premise:
    """What answers (N, labels) to start-up images are: as asked, else as their sums tell.

    Args:
        answers: Of a network.
        asked: `LOGITS`, `PROBABILITIES`, or empty.
    """
    told = answers[np.isfinite(answers).all(axis=1)]
    sums = f"rows sum to {told.sum(axis=1).min():.3g} to {told.sum(axis=1).max():.3g}" if len(told) else "none finite"
    are_shares = bool(len(told) and (told >= 0).all() and (told <= 1).all())
    if asked:
        return Premise("answers", asked, f"as asked; {sums}")
    if are_probabilities(answers):
        return Premise("answers", PROBABILITIES, "their rows sum to 1")
    if are_shares:
        told_more = f"{ASSUMED}, though all lie in 0 to 1, as of sigmoids; {sums}: --answers probabilities"
        return Premise("answers", LOGITS, told_more)
    return Premise("answers", LOGITS, f"{sums}, not to 1")


def largest_difference(one: Float32Array | FloatArray, other: Float32Array | FloatArray) -> float:
    """Largest difference of logits (N, labels), as a share of what may round: above 1, they are different answers.

    What is not finite must be the same in both; else the difference is infinite.
    """
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    told = np.isfinite(one)
    if one.shape != other.shape or not np.array_equal(told, np.isfinite(other)):
        return np.inf
    if not np.array_equal(one[~told], other[~told], equal_nan=True):
        return np.inf
    if not told.any():
        return 0.0
    first, second = np.where(told, one, 0.0), np.where(told, other, 0.0)
    # A bias that all classes share rounds as well, if it is large.
    allowed = ROUNDING * np.ptp(first, axis=1) + 1e-6 * np.abs(first).max(axis=1) + 1e-9
    return float((np.abs(first - second).max(axis=1) / allowed).max())


def log_probabilities(probabilities: Float32Array | FloatArray) -> FloatArray:
    """Logits of probabilities (N, labels) up to a constant a row, all finite where those are."""
    return np.asarray(np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), LEAST_PROBABILITY)))
