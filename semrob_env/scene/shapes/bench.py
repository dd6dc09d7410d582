"""Park benches (ImageNet 703): boards on cast iron with curled arms, on bent steel tube, on crossed wooden trestles.

The sitter looks to -z; the long side runs along x. Lengths are in units of about a meter, curves are pairs (z, y).
Broad boards with narrow gaps and a high back are what networks know a park bench by.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from semrob_env.scene.shapes.base import register
from semrob_env.scene.shapes.curves import rounded, smooth, superellipse
from semrob_env.scene.shapes.kit import box, sweep
from semrob_env.scene.shapes.solid import Parts, Solid, pairs
from semrob_env.types import FloatArray


class BenchPlan(NamedTuple):
    """Half the distance of the ends, heights of seat and back, z of the seat's edges, how far the back leans."""

    half: float
    seat: float
    top: float
    front: float
    rear: float
    lean: float
    cover: float


def draw_plan(rng: np.random.Generator) -> BenchPlan:
    """Sizes of a bench for two or three; cover: share of a board in a board and the gap beside it."""
    half, seat, depth, back = rng.uniform((0.62, 0.40, 0.40, 0.50), (0.78, 0.47, 0.50, 0.60))
    return BenchPlan(
        half, seat, seat + back, -0.55 * depth, 0.45 * depth, rng.uniform(0.10, 0.20), rng.uniform(0.84, 0.90)
    )


def bar(curve: npt.ArrayLike, thick: float, wide: float) -> Solid:
    """A bar with soft edges along a curve, wide across x."""
    path = np.insert(np.asarray(curve, dtype=np.float64)[:, ::-1], 0, 0.0, axis=1)
    return sweep(path, superellipse(4.0, 12) * np.array([thick / 2, wide / 2]), up=(1.0, 0.0, 0.0))


def curl(z: float, y: float, radius: float, turn_deg: float) -> FloatArray:
    """A spiral that starts above its center, turns forward and down, and draws in."""
    share = np.linspace(0.0, 1.0, 22)
    angle, away = np.radians(90.0 + turn_deg * share), radius * (1.0 - 0.7 * share)
    return np.column_stack([z + away * np.cos(angle), y + away * np.sin(angle)])


def boards(curve: FloatArray, count: int, cover: float, length: float, thick: float) -> list[Solid]:
    """Boards from left to right, laid side by side on top of a curve."""
    traveled = np.insert(np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1)), 0, 0.0)
    pitch = traveled[-1] / count
    board = box(length, thick, cover * pitch, bevel=0.3 * thick).move(y=thick / 2)
    parts = []
    for middle in (np.arange(count) + 0.5) * pitch:
        (z0, z1), (y0, y1) = (np.interp([middle - 0.01, middle + 0.01], traveled, curve[:, k]) for k in (0, 1))
        tilt_deg = float(np.degrees(np.arctan2(y1 - y0, z1 - z0)))
        parts.append(board.turn("x", -tilt_deg).move(0.0, (y0 + y1) / 2, (z0 + z1) / 2))
    return parts


def seat_and_back(rng: np.random.Generator, plan: BenchPlan, hollow: float, over: float, thick: float) -> list[Solid]:
    """The boards of the seat, hollow by some depth, and of the back; they reach over the ends."""
    seat, front, rear, lean = plan.seat, plan.front, plan.rear, plan.lean
    dip = smooth([(front - 0.02, seat - hollow / 2), (front + 0.03, seat), (0.0, seat - hollow), (rear, seat)], 6)
    bow = (rear - 0.02 + 0.5 * lean, (seat + plan.top) / 2)
    back = smooth([(rear - 0.01, seat + 0.07), bow, (rear - 0.01 + lean, plan.top)], 6)
    length = 2 * plan.half + over
    parts = boards(dip, int(rng.integers(5, 9)), plan.cover, length, thick)
    return parts + boards(back, int(rng.integers(3, 6)), plan.cover, length, thick)


def cast_bench(rng: np.random.Generator) -> Parts:
    """Ends of cast iron: curved legs, arms that end in a curl, a ring below each arm."""
    plan = draw_plan(rng)
    half, seat, top, front, rear, lean, _ = plan
    arm, kick, radius = seat + rng.uniform(0.17, 0.23), rng.uniform(0.04, 0.12), rng.uniform(0.035, 0.06)
    reach, middle = front + rng.uniform(0.0, 0.04), rear + 0.5 * lean
    tip = curl(reach, arm - radius, radius, float(rng.choice([200.0, 400.0])))
    turn = np.linspace(0.0, 2.0 * np.pi, 15)
    ring = (arm - seat) / 2 * np.column_stack([np.cos(turn), np.sin(turn)])
    waist = (middle, (seat + top) / 2)
    curves = [
        smooth([(rear + kick, 0.0), (rear + 0.05, 0.4 * seat), (rear, seat), waist, (rear + lean, top)], 6),
        smooth([(front - 0.03, 0.0), (front + 0.05, 0.33 * seat), (front, 0.66 * seat), (front + 0.04, seat)], 6),
        smooth([(front + 0.04, seat - 0.05), (front + 0.02, seat + 0.08), (reach, arm - 0.05)], 5),
        np.concatenate([smooth([(middle, arm - 0.02), (0.0, arm + 0.01), (reach, arm)], 5)[:-1], tip]),
        smooth([(front + 0.02, seat - 0.03), (0.0, seat - 0.06), (rear + 0.02, seat - 0.02)], 5),
        smooth([(front + 0.04, 0.55 * seat), (0.0, 0.75 * seat), (rear + 0.05, 0.5 * seat)], 6),
        np.array([0.02, (seat + arm) / 2]) + ring,
    ]
    foot = box(0.08, 0.025, 0.10, bevel=0.008).move(half, 0.012)
    end = [foot.move(z=front - 0.03), foot.move(z=rear + kick), *(bar(line, 0.045, 0.04).move(half) for line in curves)]
    return [*seat_and_back(rng, plan, rng.uniform(0.02, 0.05), 0.10, 0.025), *pairs(end)]


def tube_bench(rng: np.random.Generator) -> Parts:
    """Two bent steel tubes carry the boards; no arms."""
    plan = draw_plan(rng)
    half, seat, top, front, rear, lean, _ = plan
    tube = rng.uniform(0.05, 0.065)
    back_leg = rounded([(rear + 0.08, 0.0), (rear + 0.02, seat + 0.02), (rear + lean, top)], 0.05)
    front_leg = rounded([(front, 0.0), (front, seat - 0.03), (rear + 0.02, seat - 0.03)], 0.08, 5)
    parts = seat_and_back(rng, plan, 0.0, 0.02, 0.03)
    return parts + pairs(bar(leg, tube, tube).move(half - 0.05) for leg in (back_leg, front_leg))


def trestle_bench(rng: np.random.Generator) -> Parts:
    """Wooden legs that cross below the seat at each end; a third runs up as the back's post."""
    plan = draw_plan(rng)
    half, seat, top, front, rear, lean, _ = plan
    wide = rng.uniform(0.06, 0.08)
    legs = [
        bar(np.linspace((front - 0.05, 0.0), (rear, seat - 0.02), 5), wide, 0.05).move(half - 0.10),
        bar(np.linspace((rear + 0.12, 0.0), (front, seat - 0.02), 5), wide, 0.05).move(half - 0.15),
        bar(smooth([(rear + 0.10, 0.0), (rear, seat), (rear + lean, top)], 4), wide, 0.05).move(half - 0.20),
    ]
    return [*seat_and_back(rng, plan, 0.0, 0.04, 0.022), *pairs(legs)]


BENCH = register("bench", cast_bench, tube_bench, trestle_bench)
