"""Toilets (ImageNet 861, "toilet seat"): with a cistern and the lid down or up, and a pan that stands alone.

The bowl points to -z, the cistern stands behind it at +z. Lengths in x and z are half lengths in units of a meter.
"""

from __future__ import annotations

import numpy as np

from semrob_env.scene.shapes.base import register
from semrob_env.scene.shapes.curves import superellipse
from semrob_env.scene.shapes.kit import level, loft, rod
from semrob_env.scene.shapes.solid import Parts, Solid
from semrob_env.types import FloatArray

BACK, HINGE = 0.24, 0.20
"""The bowl ends at z = BACK, and its lid turns about z = HINGE; the tip of the bowl is at negative z."""


def egg(width: float, front: float, back: float) -> FloatArray:
    """Plan of a seat or a bowl, (56, 2) in x and z: round to its tip at z = -front, squarer to z = back."""
    round_end, square_end = superellipse(2.0, 56), superellipse(2.6, 56)
    ahead = round_end[:, 1:] < 0.0
    plan: FloatArray = np.where(ahead, round_end, square_end) * np.where(ahead, [width, front], [width, back])
    return plan


def bowl(width: float, front: float, high: float, waist: float) -> Solid:
    """A pedestal on a flange with a bowl above its waist, hollow down to the water."""
    foot = [(1.24 * waist, 0.42, 0.95, 0.0), (1.24 * waist, 0.42, 0.95, 0.03), (1.08 * waist, 0.36, 0.92, 0.06)]
    belly = [(waist, 0.34, 0.90, 0.30), (0.5 + 0.25 * waist, 0.50, 0.92, 0.52), (0.86, 0.80, 0.97, 0.74)]
    lip = [(0.97, 0.96, 1.0, 0.88), (1.0, 1.0, 1.0, 0.93), (1.0, 1.0, 1.0, 1.0), (0.78, 0.84, 0.62, 1.0)]
    inside = [(0.74, 0.80, 0.58, 0.95), (0.70, 0.76, 0.52, 0.82), (0.36, 0.40, 0.28, 0.62), (0.20, 0.20, 0.20, 0.58)]
    levels = [*foot, *belly, *lip, *inside]
    return loft([level(egg(width * x, front * f, BACK * b), high * y) for x, f, b, y in levels])


def seat(width: float, front: float, thick: float) -> Solid:
    """A flat ring with rounded edges, its lower face at y = 0."""
    edge = [(0.99, 0.0), (1.0, 0.3), (0.99, 0.75), (0.96, 1.0), (0.72, 1.0), (0.66, 0.8), (0.65, 0.0)]
    return loft([level(share * egg(width, front, HINGE + 0.03), thick * y) for share, y in edge], ring_of_rings=True)


def lid(width: float, front: float, thick: float) -> Solid:
    """A slightly domed plate with rounded edges, its lower face at y = 0."""
    edge = [(0.97, 0.0), (1.0, 0.25), (1.0, 0.6), (0.96, 0.9), (0.90, 1.0), (0.5, 1.25), (0.1, 1.3)]
    return loft([level(share * egg(width, front, HINGE + 0.03), thick * y) for share, y in edge])


def pan(rng: np.random.Generator, *, lid_deg: float = 0.0) -> tuple[list[Solid], float]:
    """Bowl, seat, lid turned up by an angle, and hinges; and the height of the bowl."""
    width, front, high = rng.uniform(0.18, 0.22), rng.uniform(0.28, 0.33), rng.uniform(0.38, 0.43)
    seat_thick, lid_thick = rng.uniform(0.036, 0.05), rng.uniform(0.032, 0.045)
    cover = lid(width + 0.015, front + 0.02, lid_thick).move(z=-HINGE).turn("x", lid_deg)
    parts = [
        bowl(width, front, high, rng.uniform(0.46, 0.54)),
        seat(width + 0.01, front + 0.015, seat_thick).move(y=high),
        cover.move(y=high + seat_thick, z=HINGE),
        *rod((0.05, high + 0.02, HINGE), (0.11, high + 0.02, HINGE), 0.02).pair(),
    ]
    return parts, high


def cistern(rng: np.random.Generator, foot: float, near: float) -> list[Solid]:
    """A tank that widens upwards, its overhanging cover, a flush lever, and the shelf of the bowl that carries it."""
    width, deep, high = rng.uniform(0.20, 0.25), rng.uniform(0.085, 0.105), rng.uniform(0.28, 0.36)
    middle, face, plan = near + deep, near + 0.04 * deep - 0.005, superellipse(9.0, 48)
    tank = [(0.80, 0.80, 0.0), (0.88, 0.90, 0.04), (0.94, 0.96, 0.5), (0.97, 1.0, 1.0)]
    cover = [(-0.01, 0.0), (0.02, 0.005), (0.02, 0.04), (0.0, 0.06), (-0.06, 0.07)]
    shelf = [(0.55, 0.75, -0.16), (0.75, 0.90, -0.10), (0.85, 1.0, -0.05), (0.85, 1.0, 0.0)]
    long = 0.5 * (near + 1.85 * deep - 0.12)
    arm_y, arm_x = foot + 0.85 * high, 0.7 * width
    return [
        loft([level(plan * [width * x, deep * z], high * y) for x, z, y in tank]).move(y=foot, z=middle),
        loft([level(plan * [width + over, deep + over], high + y) for over, y in cover]).move(y=foot, z=middle),
        loft([level(superellipse(6.0, 48) * [0.2 * x, long * z], y) for x, z, y in shelf]).move(y=foot, z=0.12 + long),
        rod((arm_x, arm_y, face - 0.03), (arm_x, arm_y, face + 0.05), 0.022),
        rod((arm_x, arm_y, face - 0.02), (arm_x - 0.10, arm_y - 0.01, face - 0.03), 0.014),
    ]


def lid_down(rng: np.random.Generator) -> Parts:
    """A pan with its lid down and a cistern behind it."""
    parts, high = pan(rng)
    return [*parts, *cistern(rng, high, HINGE + rng.uniform(0.05, 0.07))]


def lid_up(rng: np.random.Generator) -> Parts:
    """A pan with its lid up in front of the cistern."""
    parts, high = pan(rng, lid_deg=rng.uniform(91.0, 93.0))
    return [*parts, *cistern(rng, high, HINGE + rng.uniform(0.115, 0.13))]


def lone_pan(rng: np.random.Generator) -> Parts:
    """A pan without a cistern, its lid down, the spigot for the flush pipe at its back."""
    parts, high = pan(rng)
    pipe = [rod((0.0, y, 0.16), (0.0, y, 0.26), radius) for y, radius in ((0.84 * high, 0.028), (0.35 * high, 0.05))]
    return [*parts, *pipe]


TOILET = register("toilet", lid_down, lid_up, lone_pan)
