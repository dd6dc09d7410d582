"""Sequences that any machine draws alike: points that fill a box evenly, and random numbers out of a hash."""

from __future__ import annotations

import hashlib
import math
from decimal import Context, Decimal, localcontext
from functools import lru_cache

import numpy as np

from semrob_env.types import FloatArray

_DIGITS = 40


@lru_cache
def golden_ratios(n: int) -> FloatArray:
    """Steps (n,) of an additive recurrence that fills the unit cube evenly: g^-1, ..., g^-n with g^(n+1) = g + 1.

    The generalised golden ratio of M. Roberts, *The unreasonable effectiveness of quasirandom sequences* (2018).
    """
    ratio = 2.0
    for _ in range(64):
        ratio = (1.0 + ratio) ** (1.0 / (n + 1))
    with localcontext(Context(prec=_DIGITS)):  # NumPy's powers end in other bits where a processor has wider registers
        steps = np.array([float(Decimal(ratio) ** -power) for power in range(1, n + 1)])
    steps.flags.writeable = False  # it is kept
    return steps


def evenly_spread(n: int, first: int, count: int) -> FloatArray:
    """Points number first, first + 1, ... (count, n) of a sequence that fills the unit cube evenly.

    The additive recurrence of `golden_ratios`.
    """
    return np.asarray(np.mod(0.5 + np.arange(first + 1, first + count + 1)[:, None] * golden_ratios(n), 1.0))


def hashed_uniform(key: bytes, shape: tuple[int, ...]) -> FloatArray:
    """Independent uniform numbers in (0, 1), 52 bits each of a hash of a key; more rows begin with the same."""
    bits = np.frombuffer(hashlib.shake_128(key).digest(8 * math.prod(shape)), dtype="<u8")
    return np.asarray(((bits >> np.uint64(12)) + 0.5) * 2.0**-52).reshape(shape)
