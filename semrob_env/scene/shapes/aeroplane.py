"""Airliners (ImageNet 404) on their wheels: a twin jet, a four-engined jumbo with a hump, a T-tail with rear engines.

The nose points to -z; the fuselage is 2 long. Windows, a tall fin and long legs are what networks know them by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from semrob_env.scene.shapes.base import register
from semrob_env.scene.shapes.curves import smooth
from semrob_env.scene.shapes.kit import box, lathe, loft, rod, superellipsoid
from semrob_env.scene.shapes.solid import Parts, Solid, pairs
from semrob_env.types import FloatArray

NOSE = [(0, 0.02, -0.30), (0.012, 0.30, -0.27), (0.035, 0.52, -0.20), (0.065, 0.72, -0.13), (0.10, 0.87, -0.07)]
WAIST = [(0.15, 0.97, -0.02), (0.20, 1, 0), (0.43, 1, 0), (0.66, 1, 0), (0.74, 0.93, 0.06)]
HULL = smooth([*NOSE, *WAIST, (0.83, 0.72, 0.24), (0.92, 0.42, 0.48), (0.98, 0.18, 0.66), (1, 0.04, 0.74)], 2)
"""Share of the length from the nose, radius, and height of the center, both in units of the radius amidships."""
TALL = 1.12  # a fuselage is higher than wide
CASE_OUTSIDE = [(0.86, 0), (0.94, -0.03), (0.99, -0.14), (1, -0.3), (0.97, -0.5), (0.9, -0.7), (0.78, -1)]
CASE_INSIDE = [(0.70, -1), (0.74, -0.4), (0.76, -0.08)]
FAN_AND_CORE = [(0.02, -0.12), (0.2, -0.25), (0.78, -0.27), (0.78, -0.35), (0.5, -0.9), (0.42, -1.15), (0.1, -1.35)]
"""Profiles of an engine: radius, and distance from its mouth."""


class Wing(NamedTuple):
    """Height, reach, chord at the root, z of the root's leading edge, slopes of that edge backwards and upwards."""

    height: float
    span: float
    chord: float
    lead: float
    sweep: float
    dihedral: float

    def at(self, share: float) -> tuple[float, float, float, float]:
        """x, y, z of the leading edge, and chord at a share of the span; the trailing edge has a kink at 0.35."""
        chord = float(np.interp(share, [0.0, 0.35, 1.0], [self.chord, 0.66 * self.chord, 0.08]))
        x = share * self.span
        return x, self.height + self.dihedral * x, self.lead + self.sweep * x, chord


def blade(stations: Sequence[tuple[float, float, float, float]], thick: float, *, belly: float = 0.6) -> Solid:
    """A wing through stations (x, y, z of the leading edge, chord): NACA 4-digit foil, its lower half times belly."""
    back = (1.0 - np.cos(np.linspace(0.0, np.pi, 9))) / 2.0
    half = 5 * thick * (0.2969 * np.sqrt(back) + np.polyval([-0.1015, 0.2843, -0.3516, -0.126, 0.0], back)) + 0.001
    foil = np.column_stack([np.append(half, -belly * half[::-1]), np.append(back, back[::-1])])
    return loft([np.insert(np.array([y, z]) + chord * foil, 0, x, axis=1) for x, y, z, chord in stations])


def skin(radius: float, share: FloatArray | float, angle_deg: FloatArray | float) -> FloatArray:
    """Points (..., 3) of the fuselage at shares of its length and angles from +x upwards."""
    wide, middle = (radius * np.interp(share, HULL[:, 0], HULL[:, k]) for k in (1, 2))
    x, y = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return np.stack(np.broadcast_arrays(wide * x, middle + TALL * wide * y, 2.0 * share - 1.0), axis=-1)


def windows(radius: float, count: int) -> list[Solid]:
    """Frames of the cabin windows, of two doors a side and of the panes of the cockpit."""
    frame, door, pane = box(0.014, 0.03, 0.022), box(0.014, 0.11, 0.05), box(0.014, 0.04, 0.05, bevel=0.004)
    cabin = [frame.move(*skin(radius, share, 8.0)) for share in np.linspace(0.21, 0.65, count)]
    cabin += [door.move(*skin(radius, share, 0.0)) for share in (0.175, 0.68)]
    front = pane.turn("z", 62.0).turn("y", 70.0).move(*skin(radius, 0.055, 62.0))
    return pairs([*cabin, front, pane.turn("z", 35.0).turn("y", 40.0).move(*skin(radius, 0.068, 35.0))])


def pods(x: float, y: float, z: float, radius: float, length: float) -> list[Solid]:
    """On either side a case open at both ends, its mouth at a point, around a fan and a core that ends in a cone."""
    size = np.array([radius, length])
    case = lathe(np.array(CASE_OUTSIDE + CASE_INSIDE) * size, segments=20, hollow=True)
    core = lathe(np.array(FAN_AND_CORE) * size, segments=16)
    return pairs([part.turn("x", -90.0).move(x, y, z) for part in (case, core)])


def under_wing(wing: Wing, share: float, radius: float, length: float) -> list[Solid]:
    """An engine on its pylon under either wing."""
    x, y, z, _ = wing.at(share)
    pylon = box(0.02, 0.4 * radius + 0.02, 0.9 * length, bevel=0.005).move(x, y - 0.15 * radius, z)
    return pairs([pylon]) + pods(x, y - 1.15 * radius - 0.01, z - 0.75 * length, radius, length)


def undercarriage(radius: float, wing: Wing, height: float, wheel: float, axles: int) -> list[Solid]:
    """Twin wheels under the nose, and under each wing a leg with pairs of wheels, one behind another."""
    low, x, z = -TALL * radius - height + wheel, 0.16, wing.lead + 0.75 * wing.chord
    tread = np.array([(0.3, -0.5), (0.8, -0.5), (1.0, -0.3), (1.0, 0.3), (0.8, 0.5), (0.3, 0.5)]) * [wheel, 0.03]
    tire = lathe(tread, segments=14).turn("z", 90.0).move(y=low)
    leg = rod((x, wing.height + wing.dihedral * x, z), (x, low, z), 0.016)
    beam = box(0.04, 0.02, 0.02 + 2.1 * wheel * (axles - 1)).move(x, low, z)
    rows = z + 2.1 * wheel * (np.arange(axles) - (axles - 1) / 2)
    tires = [tire.move(0.025, z=-0.72), *(tire.move(x + side, z=row) for row in rows for side in (-0.028, 0.028))]
    return [rod((0.0, -0.6 * radius, -0.72), (0.0, low, -0.72), 0.012), *pairs([leg, beam, *tires])]


def airframe(rng: np.random.Generator, radius: float, wing: Wing, *, tail: float = 0.0, axles: int = 1) -> list[Solid]:
    """All but the engines; tail: where on the fin the tail plane sits, 0 at its foot, 1 at its top."""
    high, chord, slope, reach, deep = rng.uniform((0.38, 0.25, 0.70, 0.30, 0.15), (0.46, 0.31, 0.95, 0.36, 0.18))
    foot, lead = 0.6 * radius, 0.9 - chord
    fin = blade([(0.0, 0.0, 0.0, chord), (high, 0.0, slope * high, 0.42 * chord)], 0.1, belly=1.0).turn("z", 90.0)
    y, z = foot + tail * (high - 0.02), max(0.92 - deep, lead + tail * slope * high)
    plane = blade([(0.0, y, z, deep), (reach, y + 0.03, z + 0.55 * reach, 0.42 * deep)], 0.1)
    main = blade([wing.at(share) for share in (0.0, 0.35, 1.0)], rng.uniform(0.08, 0.12))
    parts = undercarriage(radius, wing, rng.uniform(0.11, 0.14), rng.uniform(0.03, 0.04), axles)
    hull = loft(skin(radius, HULL[:, :1], np.arange(28) * 360.0 / 28))
    parts += [hull, fin.move(y=foot, z=lead), *pairs([main, plane])]
    return parts + windows(radius, int(rng.integers(20, 27)))


def twin_jet(rng: np.random.Generator) -> Parts:
    """A low wing with tips bent up and an engine under each."""
    radius = rng.uniform(0.125, 0.15)
    wing = Wing(-0.55 * radius, *rng.uniform((0.85, 0.33, -0.26, 0.40, 0.06), (1.0, 0.40, -0.16, 0.55, 0.14)))
    x, y, z, _ = wing.at(1.0)
    bend = [(-0.01, -0.003, 0.0, 0.08), (0.02, 0.05, 0.05, 0.064), (0.035, 0.14, 0.13, 0.032)]
    tip = blade([(x + out, y + up, z + back, chord) for out, up, back, chord in bend], 0.06)
    engines = under_wing(wing, 0.36, rng.uniform(0.055, 0.065), rng.uniform(0.19, 0.23))
    return [*airframe(rng, radius, wing), *tip.pair(), *engines]


def jumbo(rng: np.random.Generator) -> Parts:
    """Four engines, a deck above the deck at the front, four wheels a leg."""
    radius = rng.uniform(0.14, 0.16)
    wing = Wing(-0.6 * radius, *rng.uniform((0.92, 0.36, -0.30, 0.50, 0.06), (1.0, 0.44, -0.20, 0.65, 0.14)))
    deck = superellipsoid(1.5 * radius, 1.2 * radius, rng.uniform(0.6, 0.8), rings=10, segments=20)
    size = rng.uniform(0.046, 0.054), rng.uniform(0.15, 0.19)
    engines = under_wing(wing, 0.34, *size) + under_wing(wing, 0.62, *size)
    return [*airframe(rng, radius, wing, axles=2), deck.move(y=0.7 * radius, z=-0.48), *engines]


def tee_tail(rng: np.random.Generator) -> Parts:
    """A clean wing, engines on both sides of the tail and the tail plane on top of the fin."""
    radius = rng.uniform(0.115, 0.14)
    wing = Wing(-0.6 * radius, *rng.uniform((0.80, 0.33, -0.14, 0.35, 0.05), (0.95, 0.40, -0.04, 0.50, 0.12)))
    size, length = rng.uniform(0.05, 0.06), rng.uniform(0.22, 0.27)
    reach = 0.06 + 0.42 * size  # from within the hull into the wall of the case
    stub = box(reach, 0.025, 0.6 * length, bevel=0.01).move(radius - 0.06 + reach / 2, 0.3 * radius)
    engines = pods(radius + 1.3 * size, 0.3 * radius, 0.5, size, length)
    return [*airframe(rng, radius, wing, tail=1.0), *stub.move(z=0.5 + 0.45 * length).pair(), *engines]


AEROPLANE = register("aeroplane", twin_jet, jumbo, tee_tail)
