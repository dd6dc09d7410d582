"""Cups (ImageNet 968, "cup"): a tea cup and a coffee cup on saucers, a tapered cup, each with a handle at its side."""

from __future__ import annotations

import numpy as np

from semrob_env.scene.shapes.base import register
from semrob_env.scene.shapes.curves import circle, rounded, smooth, unit
from semrob_env.scene.shapes.kit import lathe, sweep
from semrob_env.scene.shapes.solid import Parts, Solid
from semrob_env.types import FloatArray

WALL = 0.07


def vessel(outside: FloatArray, floor: float) -> Solid:
    """A pot with a thick rounded lip: its profile runs up the outside to the lip, then down inside to the floor."""
    lip = float(outside[-1, 0]), float(outside[-1, 1]) + 0.45 * WALL
    edge = [(lip[0] - 0.2 * WALL, lip[1]), (lip[0] - 0.8 * WALL, lip[1])]
    inside = outside[outside[:, 1] > floor + WALL][::-1] - np.array([WALL, 0.0])
    end = [[max(0.6 * inside[-1, 0], 0.05), floor + 0.2 * WALL], [0.05, floor]]
    return lathe(np.concatenate([[[0.05, outside[0, 1]]], outside, edge, inside, end]), segments=56)


def handle(outside: FloatArray, low: float, high: float, reach: float, thick: float) -> Solid:
    """An ear on the right of the cup (-x for somebody who looks along +z), its ends set square into the wall."""

    def wall(y: float) -> tuple[FloatArray, FloatArray]:
        below, here, above = np.interp([y - 0.03, y, y + 0.03], outside[:, 1], outside[:, 0])
        return np.array([here, y]), unit(np.array([1.0, (below - above) / 0.06]))

    (top, top_normal), (bottom, bottom_normal) = wall(high), wall(low)
    far, span = max(top[0], bottom[0]) + reach, high - low
    above = [top - 0.02 * top_normal, top + 0.5 * reach * top_normal + np.array([0.0, 0.10 * reach])]
    grip = [(far - 0.08 * reach, low + 0.80 * span), (far, low + 0.55 * span), (far - 0.2 * reach, low + 0.24 * span)]
    below = [bottom + 0.4 * reach * bottom_normal, bottom - 0.02 * bottom_normal]
    curve = smooth(np.stack([*above, *map(np.array, grip), *below]), 6)
    path = np.column_stack([-curve[:, 0], curve[:, 1], np.zeros(len(curve))])
    return sweep(path, circle(12) * np.array([0.7, 1.25]) * thick, up=(0.0, 0.0, 1.0))


def saucer(radius: float, well: float) -> Solid:
    """A shallow plate with a raised rim and a sunken well that the cup stands in."""
    bottom = [(0.05, 0.0), (0.55 * radius, 0.0), (0.60 * radius, 0.03), (radius, 0.14), (radius, 0.17)]
    top = [(radius - 0.03, 0.19), (0.72 * radius, 0.09), (well + 0.06, 0.08), (well, 0.05), (0.05, 0.05)]
    return lathe(rounded([*bottom, *top], 0.02, 2), segments=64)


def tea_cup(rng: np.random.Generator) -> Parts:
    """A wide bowl that flares to the lip, on a foot ring and a saucer."""
    height, lip = rng.uniform(0.85, 1.05), rng.uniform(0.78, 0.92)
    foot = 0.42 * lip
    wall = [(0.95 * foot, 0.10), (0.72 * lip, 0.30 * height), (0.86 * lip, 0.60 * height), (lip, height)]
    outside = np.concatenate([[(foot, 0.0), (foot, 0.07)], smooth(wall, 7)])
    cup = [vessel(outside, 0.16), handle(outside, 0.36 * height, 0.80 * height, rng.uniform(0.34, 0.44), 0.06)]
    return [saucer(rng.uniform(1.25, 1.4) * lip, foot + 0.05), *(part.move(y=0.045) for part in cup)]


def coffee_cup(rng: np.random.Generator) -> Parts:
    """A round-bottomed cup with steep walls, on a saucer."""
    height, lip = rng.uniform(0.95, 1.15), rng.uniform(0.68, 0.78)
    foot = 0.55 * lip
    wall = [(foot, 0.07), (0.88 * lip, 0.24 * height), (0.98 * lip, 0.55 * height), (lip, height)]
    outside = np.concatenate([[(foot, 0.0), (foot, 0.05)], smooth(wall, 7)])
    cup = [vessel(outside, 0.13), handle(outside, 0.30 * height, 0.80 * height, rng.uniform(0.32, 0.42), 0.07)]
    return [saucer(rng.uniform(1.45, 1.6) * lip, foot + 0.05), *(part.move(y=0.045) for part in cup)]


def tapered_cup(rng: np.random.Generator) -> Parts:
    """A cup without a saucer, wider at the lip than at the foot."""
    height, lip = rng.uniform(1.05, 1.25), rng.uniform(0.68, 0.8)
    foot = rng.uniform(0.55, 0.65) * lip
    wall = [(foot + 0.03, 0.03), (0.55 * foot + 0.45 * lip, 0.4 * height), (lip, height)]
    outside = np.concatenate([[(foot, 0.0)], smooth(wall, 8)])
    return [vessel(outside, 0.08), handle(outside, 0.25 * height, 0.80 * height, rng.uniform(0.36, 0.46), 0.07)]


CUP = register("cup", tea_cup, coffee_cup, tapered_cup)
