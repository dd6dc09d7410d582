"""Sequences are the same numbers on any machine."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pytest

from semrob_env.sequences import evenly_spread, golden_ratios


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 13])
def test_golden_ratios_are_powers_rounded_once(n: int) -> None:
    steps = golden_ratios(n)
    first = 1 / Fraction(float(steps[0]))
    assert float(first ** (n + 1) - first) == pytest.approx(1.0, abs=1e-13)
    for power, step in enumerate(steps.tolist(), 1):
        assert step == pytest.approx(float(1 / first**power), rel=1e-15 * (n + 1))


def test_points_have_the_bits_that_published_questions_were_made_with() -> None:
    points = b"".join(evenly_spread(n, 0, 4096).tobytes() for n in range(1, 13))
    assert hashlib.sha256(points).hexdigest()[:16] == "6383871b4ce91223"


def test_points_that_are_kept_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        golden_ratios(2)[0] = 0.5
    assert np.array_equal(evenly_spread(2, 5, 3), evenly_spread(2, 0, 8)[5:])
