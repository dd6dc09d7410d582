"""Vases (ImageNet 883): a square jar, a slender one with twisted flutes, a flat pillow vase, a round one with two ears.

All are open at the top, with a thick lip. The broad side of the pillow vase and the pair of ears face -z.
"""

from __future__ import annotations

import numpy as np

from semrob_env.scene.shapes.base import register
from semrob_env.scene.shapes.curves import circle, lobes, smooth, superellipse
from semrob_env.scene.shapes.kit import lathe, sweep
from semrob_env.scene.shapes.solid import Parts, Solid
from semrob_env.types import FloatArray


def silhouette(
    foot: float, belly: tuple[float, float], neck: tuple[float, float, float], lip: tuple[float, float]
) -> FloatArray:
    """The outside as (radius, height): foot radius, widest place, neck (radius, from, to), lip; (K, 2)."""
    (wide, y), (narrow, low, high) = belly, neck
    below, above = 0.4 * foot + 0.6 * wide, 0.25 * narrow + 0.75 * wide
    curve = [(foot, 0.02), (below, 0.45 * y), belly, (above, 0.5 * (y + low)), (narrow, low), (narrow, high), lip]
    return np.concatenate([[(foot - 0.02, 0.0)], smooth(curve, 5)])


def vessel(outside: FloatArray, wall: float, section: FloatArray) -> Solid:
    """A hollow body: its profile runs up the outside, over a rounded lip and down the inside to the floor."""
    radius, top = outside[-1]
    lip = [(radius - 0.25 * wall, top + 0.35 * wall), (radius - 0.75 * wall, top + 0.35 * wall)]
    inside = outside[outside[:, 1] > 0.2][::-1] - np.array([wall, 0.0])
    floor = [(0.5 * inside[-1, 0], 0.2), (0.02, 0.2)]
    return lathe(np.concatenate([[(0.02, 0.0)], outside, lip, inside, floor]), section=section)


def twisted(solid: Solid, turns_deg: float) -> Solid:
    """The solid turned about the y axis by an angle that grows with the height, turns_deg at y = 1."""
    angle = np.radians(turns_deg) * solid.vertices[:, 1]
    x, y, z = solid.vertices.T
    turned = np.column_stack([np.cos(angle) * x + np.sin(angle) * z, y, np.cos(angle) * z - np.sin(angle) * x])
    return Solid(turned, solid.faces)


def ear(outside: FloatArray, low: float, high: float, reach: float, thick: float) -> Solid:
    """A handle at +x whose ends are set into the wall at two heights."""
    lower, upper = np.interp([low, high], outside[:, 1], outside[:, 0])
    far, span = max(lower, upper) + reach, high - low
    above = [(upper - 0.03, high), (upper + 0.6 * reach, high + 0.3 * reach), (far, high - 0.2 * span)]
    below = [(far - 0.1 * reach, low + 0.4 * span), (lower + 0.25 * reach, low + 0.05), (lower - 0.03, low)]
    curve = smooth([*above, *below], 6)
    return sweep(np.column_stack([curve, np.zeros(len(curve))]), thick, up=(0.0, 0.0, 1.0))


def square(rng: np.random.Generator) -> Parts:
    """A jar with four flat sides and soft edges."""
    neck, low = rng.uniform(0.30, 0.36), rng.uniform(1.0, 1.2)
    high = low + rng.uniform(0.28, 0.40)
    lip = (neck + rng.uniform(0.06, 0.10), high + rng.uniform(0.22, 0.30))
    belly = (rng.uniform(0.64, 0.70), rng.uniform(0.5, 0.7))
    outside = silhouette(rng.uniform(0.40, 0.47), belly, (neck, low, high), lip)
    return [vessel(outside, rng.uniform(0.06, 0.08), superellipse(rng.uniform(3.6, 5.5), 48))]


def fluted(rng: np.random.Generator) -> Parts:
    """Slender, with flutes that wind upwards."""
    neck, low = rng.uniform(0.22, 0.28), rng.uniform(1.5, 1.7)
    high = low + 0.12
    lip = (neck + rng.uniform(0.05, 0.13), high + rng.uniform(0.15, 0.22))
    belly = (rng.uniform(0.43, 0.48), rng.uniform(0.85, 1.05))
    outside = silhouette(rng.uniform(0.30, 0.38), belly, (neck, low, high), lip)
    flutes = int(rng.integers(8, 13))
    body = vessel(outside, 0.035, lobes(flutes, rng.uniform(0.045, 0.065), 6 * flutes))
    return [twisted(body, rng.choice([-1.0, 1.0]) * rng.uniform(50.0, 75.0))]


def pillow(rng: np.random.Generator) -> Parts:
    """A jar pressed flat: broad from the front, narrow from its sides."""
    neck, low = rng.uniform(0.30, 0.36), rng.uniform(1.0, 1.3)
    high = low + rng.uniform(0.28, 0.40)
    lip = (neck + rng.uniform(0.06, 0.12), high + rng.uniform(0.22, 0.30))
    belly = (rng.uniform(0.62, 0.70), rng.uniform(0.5, 0.7))
    outside = silhouette(rng.uniform(0.40, 0.47), belly, (neck, low, high), lip)
    return [vessel(outside, 0.07, circle(48)).scale(z=rng.uniform(0.32, 0.40))]


def eared(rng: np.random.Generator) -> Parts:
    """A jar with a handle on each side of its neck."""
    neck, low = rng.uniform(0.32, 0.36), rng.uniform(1.05, 1.2)
    high = low + 0.33
    lip = (neck + rng.uniform(0.06, 0.09), high + 0.26)
    belly = (rng.uniform(0.63, 0.69), rng.uniform(0.5, 0.65))
    outside = silhouette(rng.uniform(0.40, 0.46), belly, (neck, low, high), lip)
    handle = ear(outside, low - 0.08, high + 0.05, rng.uniform(0.15, 0.19), rng.uniform(0.036, 0.044))
    return [vessel(outside, 0.07, circle(48)), *handle.pair()]


VASE = register("vase", square, fluted, pillow, eared)
