"""Water bottles (ImageNet 898): ribbed, fluted and squat ones with a screw cap, a sports bottle with a spout."""

from __future__ import annotations

import numpy as np

from semrob_env.scene.shapes.base import register
from semrob_env.scene.shapes.curves import circle, lobes, smooth
from semrob_env.scene.shapes.kit import lathe
from semrob_env.scene.shapes.solid import Parts, Solid
from semrob_env.types import FloatArray

NECK = 0.14
CAP = 0.165


def ribs(low: float, high: float, radius: float, count: int, depth: float) -> list[tuple[float, float]]:
    """Profile of a wall with `count` grooves of a depth between two heights."""
    pitch = (high - low) / count
    groove = [(0.0, 0.12), (0.0, 0.50), (depth, 0.66), (depth, 0.94)]
    return [(radius - deep, low + (index + share) * pitch) for index in range(count) for deep, share in groove]


def screw_cap(low: float, high: float) -> list[Solid]:
    """A knurled cap above the ring of the neck."""
    ring = lathe([(0.05, low - 0.07), (CAP + 0.03, low - 0.07), (CAP + 0.03, low - 0.03), (0.05, low - 0.03)])
    body = [(0.05, low), (CAP, low), (CAP, high - 0.02), (CAP - 0.02, high), (0.05, high)]
    return [ring, lathe(body, section=lobes(24, 0.05, 96))]


def flask(radius: float, wall: list[tuple[float, float]], shoulder: float, top: float, section: FloatArray) -> Solid:
    """The body: a rounded base, the wall up to the shoulder, a dome that narrows to the neck."""
    base = [(0.05, 0.06), (0.6 * radius, 0.0), (0.9 * radius, 0.02), (radius, 0.10)]
    bend = [(0.9 * radius, shoulder + 0.3 * (top - shoulder)), (0.5 * radius, shoulder + 0.75 * (top - shoulder))]
    dome = smooth([(radius, shoulder), *bend, (NECK, top - 0.04)], 6)
    return lathe(np.concatenate([base, wall, dome, [(NECK, top), (0.05, top)]]), section=section)


def ribbed_bottle(rng: np.random.Generator) -> Parts:
    """Deep ribs below and above a waist."""
    radius, waist, shoulder = rng.uniform(0.36, 0.43), rng.uniform(0.70, 0.84), rng.uniform(1.30, 1.42)
    depth = rng.uniform(0.035, 0.055)
    wall = ribs(0.14, waist - 0.08, radius, int(rng.integers(3, 6)), depth)
    wall += [(rng.uniform(0.84, 0.96) * radius, waist), (radius, waist + 0.08)]
    wall += ribs(waist + 0.10, shoulder, radius, int(rng.integers(3, 6)), depth)
    return [flask(radius, wall, shoulder, 1.84, circle(48)), *screw_cap(1.84, rng.uniform(1.97, 2.03))]


def fluted_bottle(rng: np.random.Generator) -> Parts:
    """Ribs, and flutes that run up the whole body."""
    radius, waist, shoulder = rng.uniform(0.37, 0.42), rng.uniform(0.70, 0.84), rng.uniform(1.28, 1.40)
    count, flutes = int(rng.integers(3, 5)), int(rng.integers(8, 13))
    wall = ribs(0.14, waist - 0.08, radius, count, 0.035)
    wall += [(0.88 * radius, waist), (radius, waist + 0.08)]
    wall += ribs(waist + 0.10, shoulder, radius, count, 0.035)
    section = lobes(flutes, rng.uniform(0.05, 0.08), 7 * flutes)
    return [flask(radius, wall, shoulder, 1.84, section), *screw_cap(1.84, rng.uniform(1.97, 2.03))]


def squat_bottle(rng: np.random.Generator) -> Parts:
    """A low waist and a long slender shoulder above a smooth label."""
    radius, waist, shoulder = rng.uniform(0.36, 0.42), rng.uniform(0.48, 0.58), rng.uniform(1.10, 1.22)
    wall = ribs(0.14, waist - 0.06, radius, int(rng.integers(2, 4)), 0.035)
    wall += [(0.88 * radius, waist), (radius, waist + 0.07), (radius + 0.012, waist + 0.09)]
    wall += [(radius + 0.012, shoulder - 0.05), (radius, shoulder - 0.03)]
    return [flask(radius, wall, shoulder, 1.84, circle(48)), *screw_cap(1.84, rng.uniform(1.97, 2.03))]


def sports_bottle(rng: np.random.Generator) -> Parts:
    """A squeeze bottle with a ribbed foot, a grip, a wide screwed lid and a push-pull spout."""
    radius, grip = rng.uniform(0.40, 0.46), rng.uniform(0.78, 0.88)
    foot = [(0.05, 0.0), (0.88 * radius, 0.0), (0.94 * radius, 0.04), (radius, 0.1)]
    foot += ribs(0.12, 0.62, radius, int(rng.integers(3, 5)), 0.035)
    held = [(radius, 0.64), (grip * radius, 0.82), (grip * radius, 1.0), (radius, 1.2)]
    waist = smooth([*held, (0.98 * radius, 1.34), (0.84 * radius, 1.44)], 5)
    body = lathe(np.concatenate([foot, waist, [(0.05, 1.44)]]))
    wide = 0.92 * radius
    lid = [(0.05, 1.44), (wide, 1.44), (wide, 1.60), (0.84 * radius, 1.66), (0.3 * radius, 1.72), (0.05, 1.72)]
    spout = [(0.05, 1.70), (0.11, 1.70), (0.11, 1.82), (0.15, 1.83), (0.15, 1.88), (0.10, 1.96), (0.05, 1.96)]
    return [body, lathe(lid, section=lobes(30, 0.04, 120)), lathe(spout, segments=32)]


BOTTLE = register("bottle", ribbed_bottle, fluted_bottle, squat_bottle, sports_bottle)
