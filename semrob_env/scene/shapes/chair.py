"""Folding chairs (ImageNet 559): frames of tubes or bars that cross below the seat; the sitter looks to -z."""

from __future__ import annotations

import numpy as np

from semrob_env.scene.shapes.base import register
from semrob_env.scene.shapes.curves import rounded
from semrob_env.scene.shapes.kit import box, rod, sheet, sweep
from semrob_env.scene.shapes.solid import Parts, Solid


def hoop(foot: tuple[float, float], top: tuple[float, float], half_width: float, radius: float) -> Solid:
    """A tube bent to an upside-down U, both feet on the ground; foot and top are (y, z)."""
    corners = [(side * half_width, y, z) for side, (y, z) in ((-1, foot), (-1, top), (1, top), (1, foot))]
    normal = (0.0, -(top[1] - foot[1]), top[0] - foot[0])
    return sweep(rounded(corners, 0.16, 5), radius, up=normal)


def curved_panel(width: float, height: float, bow: float, thickness: float) -> Solid:
    """A plate upright in x and y whose middle is bowed back to +z."""
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 15) * width, np.linspace(-0.5, 0.5, 5) * height, indexing="ij")
    return sheet(np.stack([x, y, -bow * (2.0 * x / width) ** 2], axis=2), thickness)


def square_bar(start: tuple[float, float, float], end: tuple[float, float, float], thick: float) -> Solid:
    """A wooden bar of rectangular section, deeper in z than it is wide."""
    section = thick * np.array([[-0.5, -0.8], [0.5, -0.8], [0.5, 0.8], [-0.5, 0.8]])
    return sweep([start, end], section, up=(0.0, 0.0, 1.0))


def tube_chair(rng: np.random.Generator) -> Parts:
    """Steel tubes with a padded plate for a seat and a bowed plate for a back."""
    half, seat_y, top_y = rng.uniform(0.37, 0.47), rng.uniform(0.82, 0.94), rng.uniform(1.55, 1.85)
    lean, radius = rng.uniform(0.26, 0.38), rng.uniform(0.024, 0.034)
    inner = half - 2.4 * radius
    foot_z, rear_z, knee_z = -0.46, rng.uniform(0.40, 0.50), -0.34
    slope, rear_slope = (lean - foot_z) / top_y, (knee_z - rear_z) / (seat_y - 0.04)
    parts = [
        hoop((0.0, foot_z), (top_y, lean), half, radius),
        hoop((0.0, rear_z), (seat_y - 0.04, knee_z), inner, radius),
    ]
    for x, y, z in ((half, 0.24, foot_z + 0.24 * slope), (inner, 0.2, rear_z + 0.2 * rear_slope)):
        parts.append(rod((-x, y, z), (x, y, z), 0.8 * radius))
    parts.append(box(2 * half - 0.08, 0.06, 0.78, bevel=0.02).turn("x", -3.0).move(y=seat_y, z=-0.03))
    high = rng.uniform(0.26, 0.46)
    back_y = top_y - 0.06 - high / 2
    back = curved_panel(2 * half, high, rng.uniform(0.02, 0.06), 0.035)
    parts.append(back.turn("x", np.degrees(np.arctan(slope))).move(y=back_y, z=foot_z + slope * back_y + 0.01))
    for x, z in ((half, foot_z), (inner, rear_z)):
        parts += rod((x, 0.0, z), (x, 0.07, z), 1.5 * radius).pair()
    return parts


def slat_chair(rng: np.random.Generator) -> Parts:
    """Wooden bars with slats across the seat and the back."""
    half, seat_y, top_y = rng.uniform(0.37, 0.47), rng.uniform(0.82, 0.94), rng.uniform(1.55, 1.85)
    lean, thick = rng.uniform(0.26, 0.38), rng.uniform(0.045, 0.06)
    foot_z, rear_z = -0.46, rng.uniform(0.40, 0.50)
    slope = (lean - foot_z) / top_y
    parts = square_bar((half, 0.0, foot_z), (half, top_y, lean), thick).pair()
    parts += square_bar((half - 0.07, 0.0, rear_z), (half - 0.07, seat_y, -0.34), thick).pair()
    parts += box(0.045, 0.07, 0.80).move(half - 0.13, seat_y - 0.03, -0.02).pair()
    slats = int(rng.integers(4, 9))
    pitch = 0.80 / slats
    slat = box(2 * half - 0.12, 0.035, 0.72 * pitch, bevel=0.01)
    parts += slat.move(y=seat_y + 0.02, z=-0.42 + pitch / 2).repeat(slats, z=pitch)
    rails = int(rng.integers(2, 5))
    rail = curved_panel(2 * half, 0.36 / rails, 0.04, 0.03).turn("x", float(np.degrees(np.arctan(slope))))
    for y in top_y - 0.10 - 0.56 / rails * np.arange(rails):
        parts.append(rail.move(y=y, z=foot_z + slope * y))
    for y, z in ((0.28, foot_z + slope * 0.28), (0.2, rear_z - (rear_z + 0.34) * 0.2 / seat_y)):
        parts.append(rod((-half, y, z), (half, y, z), 0.025))
    return parts


def director_chair(rng: np.random.Generator) -> Parts:
    """Canvas for a seat and a back, arm rests, legs that cross between left and right."""
    half, seat_y, top_y = rng.uniform(0.42, 0.50), rng.uniform(0.78, 0.90), rng.uniform(1.5, 1.7)
    thick, high = rng.uniform(0.045, 0.055), rng.uniform(0.34, 0.46)
    parts: list[Solid] = []
    for leg_z in (-0.34, 0.34):
        leg = square_bar((half, 0.03, leg_z), (-half, seat_y - 0.02, leg_z), thick)
        parts += [leg, leg.mirror().move(z=-1.2 * thick)]
    for y in (0.03, seat_y):
        parts += box(0.06, 0.06, 0.84, bevel=0.01).move(half, y).pair()
    x, z = np.meshgrid(np.linspace(-half, half, 13), np.linspace(-0.38, 0.38, 5), indexing="ij")
    parts.append(sheet(np.stack([x, seat_y + 0.03 - 0.06 * (1 - (x / half) ** 2), z], axis=2), 0.02))
    parts += rod((half, seat_y, 0.38), (half, top_y, 0.50), 0.03).pair()
    parts += rod((half, seat_y, -0.34), (half, seat_y + 0.37, -0.34), 0.028).pair()
    parts += box(0.09, 0.04, 0.86, bevel=0.012).move(half, seat_y + 0.38).pair()
    parts.append(curved_panel(2 * half, high, 0.03, 0.025).turn("x", 5.0).move(y=top_y - high / 2 - 0.02, z=0.47))
    return parts


CHAIR = register("chair", tube_chair, slat_chair, director_chair)
