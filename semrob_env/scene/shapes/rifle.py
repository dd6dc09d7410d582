"""Assault rifles (ImageNet 413): a carbine with a scope, a long rifle with wooden furniture, a bullpup on a bipod.

The muzzle points to -z. Outlines are pairs (z, y). Ribbed magazines and rails are what networks know a rifle by.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semrob_env.scene.shapes.base import register
from semrob_env.scene.shapes.curves import circle, rounded, superellipse
from semrob_env.scene.shapes.kit import box, lathe, plate, rod, sweep
from semrob_env.scene.shapes.solid import Parts, Solid


def soft_plate(outline: npt.ArrayLike, thick: float, *, corner: float = 0.015, bevel: float = 0.012) -> Solid:
    """A plate whose outline has rounded corners."""
    return plate(rounded(outline, corner, 2, closed=True), thick, bevel=bevel)


def turned(profile: npt.ArrayLike, y: float, *, segments: int = 16) -> Solid:
    """A turned piece along the bore: pairs (radius > 0, z)."""
    return lathe(np.asarray(profile) * np.array([1.0, -1.0]), segments=segments).turn("x", -90.0).move(y=y)


def barrel(muzzle: float, rear: float, radius: float, y: float) -> list[Solid]:
    """A barrel with a ringed flash hider."""
    steps = ((1.5, 0.0), (1.8, 0.02), (1.4, 0.03), (1.8, 0.04), (1.4, 0.05), (1.8, 0.06), (1.8, 0.09), (0.5, 0.09))
    hider = turned([(radius * wide, muzzle + at) for wide, at in ((0.5, 0.0), *steps)], y)
    return [rod((0.0, y, muzzle + 0.05), (0.0, y, rear), radius), hider]


def rail(front: float, rear: float, y: float) -> list[Solid]:
    """A toothed rail that faces up."""
    teeth = int((rear - front) / 0.032)
    pitch = (rear - front) / teeth
    tooth = box(0.04, 0.014, 0.55 * pitch, bevel=0.004).move(0.0, y + 0.02, front + pitch / 2)
    return [box(0.04, 0.014, rear - front).move(0.0, y + 0.007, (front + rear) / 2), *tooth.repeat(teeth, z=pitch)]


def magazine(z: float, y: float, length: float, bend: float, chord: float, ribs: int) -> Solid:
    """A ribbed box that goes down from (z, y) and curves forward by `bend` (radians), with a thicker foot."""
    count = 6 * ribs + 1
    angle = 0.1 + bend * np.linspace(0.0, 1.0, count - 1)
    steps = -length / (count - 1) * np.stack([np.zeros(count - 1), np.cos(angle), np.sin(angle)], axis=1)
    path = np.cumsum(np.insert(steps, 0, (0.0, y, z), axis=0), axis=0)
    taper = np.where(np.arange(count) % 6 < 3, 1.0, 0.9)
    taper[-3:] = 1.12
    return sweep(path, superellipse(6.0, 12) * np.array([0.022, chord / 2]), taper=taper, up=(0.0, 0.0, 1.0))


def scope(z: float, y: float, length: float, radius: float, bell: float) -> list[Solid]:
    """A telescopic sight over a rail at height y: tube, bell, eyepiece, two rings, two turrets."""
    axis = y + 1.5 * radius + 0.02
    tube = [(0.3, -0.5), (bell, -0.5), (bell, -0.3), (1, -0.18), (1, 0.22), (1.25, 0.32), (1.25, 0.5), (0.3, 0.5)]
    ring = box(2.2 * radius, radius + 0.04, 0.03, bevel=0.006).move(0.0, y + 0.015 + 0.3 * radius, z)
    turret = rod((0.0, axis, z), (0.0, axis + 1.7 * radius, z), 0.6 * radius)
    side = rod((0.5 * radius, axis, z), (1.8 * radius, axis, z), 0.5 * radius)
    body = turned([(radius * wide, z + length * at) for wide, at in tube], axis)
    return [body, turret, side, ring.move(z=-0.12 * length), ring.move(z=0.12 * length)]


def post(z: float, y: float) -> Solid:
    """A sight that narrows upwards."""
    half = [(z, y), (z + 0.015, y + 0.05), (z + 0.02, y + 0.1)]
    return plate([*half, *((2 * z + 0.065 - a, b) for a, b in half[::-1])], 0.026, bevel=0.004)


def grip(z: float, y: float, length: float, rake: float) -> list[Solid]:
    """The pistol grip, and in front of it the trigger within its guard."""
    back = rake * length
    front = [(z - 0.04 + back, y - 0.97 * length), (z - 0.04 + 0.55 * back, y - 0.5 * length), (z - 0.045, y + 0.01)]
    rear = [(z + 0.055, y + 0.01), (z + 0.05 + 0.2 * length, y - 0.25 * length), (z + 0.045 + back, y - length)]
    loop = rounded([(z - 0.15, y + 0.01), (z - 0.145, y - 0.055), (z - 0.04, y - 0.055), (z - 0.02, y)], 0.025, 3)
    trigger = plate([(z - 0.10, y + 0.01), (z - 0.085, y + 0.01), (z - 0.10, y - 0.04), (z - 0.11, y - 0.04)], 0.012)
    guard = sweep(np.insert(loop[:, ::-1], 0, 0.0, axis=1), circle(8) * np.array([0.007, 0.013]), up=(1.0, 0.0, 0.0))
    return [soft_plate([*front, *rear], 0.055, bevel=0.014), guard, trigger]


def carbine(rng: np.random.Generator) -> Parts:
    """Rails on all four sides of the hand guard, a scope, a sliding butt, a straight-sided well for the magazine."""
    muzzle, end, low = -rng.uniform(0.66, 0.74), 0.29 + rng.uniform(0.28, 0.34), 0.06 - rng.uniform(0.20, 0.25)
    guard, (well, long, bend) = muzzle + rng.uniform(0.13, 0.18), rng.uniform((0.12, 0.3, 0.5), (0.14, 0.4, 0.8))
    lower = [(-0.09, -0.01), (0.29, -0.01), (0.28, -0.06), (0.14, -0.08), (0.09, -0.09), (0.06, -0.15)]
    butt = [(end - 0.26, -0.03), (end - 0.26, 0.065), (end, 0.065), (end + 0.015, 0.05), (end, low), (end - 0.05, low)]
    parts = [
        *barrel(muzzle, -0.1, 0.019, 0.02),
        turned([(0.01, guard), (0.048, guard), (0.048, -0.1), (0.01, -0.1)], 0.02, segments=8),
        post(guard - 0.09, 0.02),
        soft_plate([(-0.12, 0.07), (0.27, 0.07), (0.29, 0.04), (0.29, -0.02), (-0.12, -0.02)], 0.062),
        soft_plate([*lower, (0.04 - well, -0.15), (-0.085, -0.09)], 0.054, corner=0.01, bevel=0.01),
        box(0.01, 0.03, 0.09, bevel=0.003).move(-0.032, 0.03, 0.06),
        rod((0.0, 0.02, 0.27), (0.0, 0.02, end - 0.06), 0.03),
        soft_plate([*butt, (end - 0.18, -0.03)], 0.055),
        magazine(0.05 - well / 2, -0.13, long, bend, 0.92 * well, int(rng.integers(5, 8))),
        *rail(-0.11, 0.25, 0.065),
        *grip(0.20, -0.06, rng.uniform(0.23, 0.27), rng.uniform(0.3, 0.4)),
        *scope(0.08, 0.08, rng.uniform(0.25, 0.4), rng.uniform(0.026, 0.033), rng.uniform(1.05, 1.35)),
    ]
    for angle in (0.0, 90.0, 180.0, 270.0):
        parts += [piece.turn("z", angle).move(y=0.02) for piece in rail(guard + 0.01, -0.12, 0.04)]
    return [part.scale(y=1.15) for part in parts]


def long_rifle(rng: np.random.Generator) -> Parts:
    """A long barrel under a gas tube, ribbed wooden furniture, a scope, a strongly curved magazine."""
    guard, end, hand = -0.12 - rng.uniform(0.31, 0.37), 0.3 + rng.uniform(0.39, 0.45), rng.uniform(0.05, 0.07)
    muzzle, high, low = guard - rng.uniform(0.22, 0.28), rng.uniform(-0.03, 0.03), -rng.uniform(0.18, 0.22)
    ribs = [(0.032 if k % 4 < 2 else 0.0275, z) for k, z in enumerate(np.linspace(guard + 0.03, -0.16, 25))]
    wood = [(guard, 0.035), (-0.13, 0.03), (-0.13, -0.5 * hand - 0.02), (-0.25, -hand), (guard + 0.03, -0.8 * hand)]
    butt = [(0.28, -0.06), (0.28, 0.045), (0.36, 0.02), (end, high + 0.02), (end + 0.02, high), (end, low)]
    parts = [
        *barrel(muzzle, -0.1, 0.021, 0.0),
        post(muzzle + 0.09, 0.01),
        plate([(guard - 0.07, -0.01), (guard - 0.05, 0.08), (-0.12, 0.08), (-0.12, -0.01)], 0.03, bevel=0.006),
        soft_plate([*wood, (guard, -0.02)], 0.07, bevel=0.016),
        turned([(0.01, ribs[0][1]), *ribs, (0.01, ribs[-1][1])], 0.065, segments=12),
        soft_plate([(-0.15, 0.05), (0.30, 0.045), (0.31, -0.06), (-0.15, -0.06)], 0.056, corner=0.01, bevel=0.006),
        sweep([(0.0, 0.04, -0.10), (0.0, 0.04, 0.29)], superellipse(3.0, 12) * np.array([0.028, 0.045])),
        plate([(-0.16, 0.08), (-0.05, 0.075), (-0.05, 0.1), (-0.12, 0.115), (-0.15, 0.115)], 0.034, bevel=0.005),
        soft_plate([*butt, (end - 0.02, low), (0.40, -0.055)], 0.052, bevel=0.014),
        *grip(0.22, -0.05, rng.uniform(0.22, 0.27), rng.uniform(0.2, 0.35)),
        magazine(-0.015, -0.04, rng.uniform(0.46, 0.54), rng.uniform(0.6, 1.0), 0.12, int(rng.integers(3, 6))),
        *scope(0.10, 0.085, rng.uniform(0.32, 0.40), rng.uniform(0.028, 0.034), rng.uniform(1.05, 1.35)),
    ]
    return [part.scale(x=1.15, y=1.02) for part in parts]


def bullpup(rng: np.random.Generator) -> Parts:
    """One housing from hand guard to butt, a magazine behind the grip that leans to the left, legs at the front."""
    front, end, low = -rng.uniform(0.32, 0.37), rng.uniform(0.44, 0.50), 0.05 - rng.uniform(0.18, 0.25)
    arch = [(-0.25, 0.07), (-0.2, 0.17), (0.15, 0.17), (0.2, 0.07), (0.16, 0.07), (0.12, 0.13), (-0.17, 0.13)]
    shell = [(front, -0.045), (front, 0.045), (0.1, 0.06), (end, 0.05), (end + 0.02, 0.03), (end, low)]
    shell += [(end - 0.07, low), (0.35, -0.09), (0.12, -0.07), (-0.05, -0.06)]
    handle = plate([*arch, (-0.21, 0.07)], 0.034, bevel=0.007)
    feed = magazine(0.26, -0.06, rng.uniform(0.48, 0.55), rng.uniform(0.75, 0.95), 0.12, int(rng.integers(4, 8)))
    parts = [
        *barrel(front - rng.uniform(0.18, 0.28), -0.1, 0.018, 0.0),
        soft_plate(shell, 0.07, corner=0.02, bevel=0.02),
        *rail(front + 0.02, 0.25, 0.055),
        *grip(-0.02, -0.05, rng.uniform(0.22, 0.28), rng.uniform(0.12, 0.3)),
        feed.turn("z", -rng.uniform(18.0, 25.0)),
        *rod((0.01, 0.0, front - 0.02), (0.16, -0.36, front - 0.08), 0.012).pair(),
        *([handle] if rng.random() < 0.5 else [post(-0.28, 0.07), post(0.15, 0.07)]),
    ]
    return [part.scale(y=1.1) for part in parts]


RIFLE = register("rifle", carbine, long_rifle, bullpup)
