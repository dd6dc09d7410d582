"""Bathtubs (ImageNet 435): a tub with a rolled rim on claw feet, a slipper tub on a plinth, a built-in whirlpool.

The long side lies along x, as in ShapeNet. The bather leans against the end at +x; the taps are at -x or behind, at
+z. Lengths are half lengths in units of about a meter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semrob_env.scene.shapes.base import register
from semrob_env.scene.shapes.curves import rounded, smooth, superellipse
from semrob_env.scene.shapes.kit import lathe, loft, rod, sweep
from semrob_env.scene.shapes.solid import Parts, Solid, pairs
from semrob_env.types import FloatArray

WALL = 0.05


def level(foot: float, head: float, width: float, y: float, exponent: float) -> FloatArray:
    """A level outline from x = -foot to x = head, (64, 3); a large exponent makes it square."""
    plan = superellipse(exponent, 64)
    x = 0.5 * (head - foot) + 0.5 * (head + foot) * plan[:, 0]
    return np.column_stack([x, np.full(64, y), width * plan[:, 1]])


def shell(levels: npt.ArrayLike, exponent: float, inner_exponent: float | None = None, *, lip: int = 0) -> Solid:
    """A solid of levels (foot, head, width, y): up the outside, from number `lip` on down the inside of a basin."""
    rows = np.asarray(levels, dtype=np.float64).tolist()
    plans = [exponent] * lip + [inner_exponent or exponent] * (len(rows) - lip)
    return loft([level(foot, head, width, y, plan) for (foot, head, width, y), plan in zip(rows, plans, strict=True)])


def basin(length: float, width: float, low: float, high: float, exponent: float, head: float) -> Solid:
    """A free-standing tub with steep walls, rounded below; the end at the head slants in to a share of the length."""
    deep, foot, side = high - low, 0.9 * length, 0.95 * width
    turn = [(0.60, 0.60, 0.0), (0.90, 0.88, 0.02), (1.0, 1.0, 0.06)]
    below = [(share * foot, share * head * length, wide * side, low + rise * deep) for share, wide, rise in turn]
    wall = (0.95 * length, (0.5 + 0.5 * head) * length, 0.99 * width, low + 0.5 * deep)
    outside = smooth([*below, wall, (length, length, width, high)], 4)
    inside = outside[outside[:, 3] > low + WALL + 0.03][::-1] - np.array([WALL, WALL, WALL, 0.0])
    floor = [*(inside[-1, :3] * np.array([0.85, 0.85, 0.80])), low + WALL]
    return shell(np.concatenate([outside, inside, [floor]]), exponent)


def rolled_rim(length: float, width: float, high: float, exponent: float, radius: float) -> Solid:
    """A thick round bead that runs around the lip."""
    return sweep(level(length, length, width, high, exponent), radius, closed=True, segments=12)


def faucet(height: float) -> list[Solid]:
    """A swan-neck spout over +x and two cross handles on a bar; it stands at the origin."""
    neck = [(0.0, -0.01, 0.0), (0.0, height, 0.0), (0.16, height, 0.0), (0.16, 0.6 * height, 0.0)]
    spout = sweep(rounded(neck, 0.07, 6), 0.02, up=(0.0, 0.0, 1.0))
    bar = rod((0.0, 0.04, -0.10), (0.0, 0.04, 0.10), 0.016)
    cross = [rod((-0.045, 0.1, 0.1), (0.045, 0.1, 0.1), 0.012), rod((0.0, 0.1, 0.055), (0.0, 0.1, 0.145), 0.012)]
    return [spout, bar, *pairs([rod((0.0, -0.01, 0.1), (0.0, 0.11, 0.1), 0.02), *cross], "z")]


def drain(x: float, y: float) -> Solid:
    """The ring of the waste, with a plug in it."""
    ring = [(0.02, -0.01), (0.05, -0.01), (0.05, 0.015), (0.035, 0.02), (0.03, 0.008), (0.01, 0.008)]
    return lathe(ring, segments=16).move(x, y)


def nozzles(count: int, spread: float, y: float, z: float) -> list[Solid]:
    """Rows of round jets, set into both long walls at a height."""
    jet = lathe([(0.01, -0.02), (0.035, -0.02), (0.035, 0.03), (0.02, 0.035), (0.015, 0.02), (0.01, 0.02)], segments=14)
    return pairs(jet.turn("x", -90.0).move(-spread, y, z).repeat(count, x=2.0 * spread / (count - 1)), "z")


def claw_feet(x: float, z: float, top: float) -> list[Solid]:
    """Four legs that curl outwards from the belly to balls on the ground."""
    away, height = smooth([(0.04, top), (0.05, 0.75 * top), (0.03, 0.4 * top), (0.07, 0.16 * top), (0.1, 0.04)], 4).T
    diagonal = np.sqrt(0.5)
    path = np.column_stack([x + diagonal * away, height, z + diagonal * away])
    leg = sweep(path, 0.055, taper=np.linspace(1.2, 0.7, len(path)), up=(diagonal, 0.0, -diagonal))
    ball = lathe([(0.02, 0.0), (0.05, 0.015), (0.065, 0.05), (0.05, 0.09), (0.02, 0.1)], segments=16)
    return pairs(pairs([leg, ball.move(x + 0.07, 0.0, z + 0.07)], "z"))


def swept(solid: Solid, length: float, high: float, rise: float) -> Solid:
    """The solid with its ends drawn up, the one at the head by rise and the other by a third of it."""
    points = solid.vertices.copy()
    points[:, 1] += rise * points[:, 1] / high * (points[:, 0] / length) ** 2 * np.where(points[:, 0] > 0.0, 1.0, 0.35)
    return Solid(points, solid.faces)


def roll_top(rng: np.random.Generator) -> Parts:
    """A cast-iron tub with a rolled rim on four claw feet, the taps at its foot end."""
    length, width = rng.uniform(0.74, 0.84), rng.uniform(0.49, 0.55)
    low, high, exponent = rng.uniform(0.14, 0.20), rng.uniform(0.74, 0.84), rng.uniform(4.0, 6.0)
    return [
        basin(length, width, low, high, exponent, rng.uniform(0.76, 0.86)),
        rolled_rim(length, width, high, exponent, rng.uniform(0.04, 0.05)),
        drain(-0.35 * length, low + WALL),
        *claw_feet(0.62 * length, 0.68 * width, low + 0.02),
        *(part.move(-length, high) for part in faucet(rng.uniform(0.16, 0.22))),
    ]


def slipper(rng: np.random.Generator) -> Parts:
    """A tub on a plinth whose lip sweeps up at the head, taps in the middle of its far side."""
    length, width, exponent = rng.uniform(0.72, 0.82), rng.uniform(0.48, 0.54), rng.uniform(3.6, 5.5)
    low, high, rise = 0.06, rng.uniform(0.58, 0.68), rng.uniform(0.16, 0.28)
    tub = [
        basin(length, width, low, high, exponent, 0.86),
        rolled_rim(length, width, high, exponent, rng.uniform(0.04, 0.05)),
        drain(-0.3 * length, low + WALL),
        *nozzles(int(rng.integers(2, 5)), rng.uniform(0.26, 0.34), 0.66 * high, 0.96 * width - WALL),
    ]
    plinth = shell([(0.78, 0.78, 0.84, 0.0), (0.78, 0.78, 0.84, 0.05), (0.70, 0.70, 0.76, 0.08)], exponent)
    return [
        *(swept(part, length, high, rise) for part in tub),
        plinth.scale(length, 1.0, width),
        *(part.turn("y", 90.0).move(0.0, high, width) for part in faucet(rng.uniform(0.16, 0.22))),
    ]


def whirlpool(rng: np.random.Generator) -> Parts:
    """A square case with a broad deck around a rounded basin with jets in its walls, the taps on the deck."""
    length, width, high = rng.uniform(0.76, 0.86), rng.uniform(0.50, 0.58), rng.uniform(0.60, 0.72)
    deck, floor, back, exponent = rng.uniform(0.09, 0.13), 0.12, rng.uniform(0.20, 0.32), rng.uniform(3.6, 5.0)
    edge = [(0.04, 0.0, 0.0), (0.04, 0.0, high - 0.07), (0.0, 0.0, high - 0.06), (0.0, 0.0, high - 0.015)]
    edge += [(0.015, 0.0, high), (deck, 0.0, high), (deck + 0.03, 0.02, high - 0.04)]
    edge += [(deck + 0.09, back, floor + 0.03), (deck + 0.16, back + 0.08, floor)]
    levels = [(length - inset, length - inset - slant, width - inset, y) for inset, slant, y in edge]
    jets = nozzles(int(rng.integers(3, 5)), rng.uniform(0.28, 0.36), 0.62 * high, width - deck - 0.05)
    taps = [part.move(0.06 - length, high) for part in faucet(rng.uniform(0.16, 0.22))]
    return [shell(levels, 12.0, exponent, lip=5), *jets, *taps, drain(0.35 - length + deck, floor)]


BATHTUB = register("bathtub", roll_top, slipper, whirlpool)
