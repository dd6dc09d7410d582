"""Grand pianos (ImageNet 579): a curved case on three legs, its lid propped open towards the right, keys at the front.

The keyboard faces -z. Somebody who sits at it looks along +z and has the treble at the right, which is -x; the long
straight side and the hinges of the lid are at the bass, +x. Lengths are in units of about a meter.
"""

from __future__ import annotations

import numpy as np

from semrob_env.scene.shapes.base import register
from semrob_env.scene.shapes.curves import inset, smooth
from semrob_env.scene.shapes.kit import box, extrude, lathe, rim, rod
from semrob_env.scene.shapes.solid import Parts, Solid, pairs
from semrob_env.types import FloatArray

WHITE_KEYS = 52
BLACK_AFTER = (0, 2, 3, 5, 6)
"""White keys of the octave from A that a black key follows: A, C, D, F, G."""
KEYS_DEEP = 0.30
"""The case begins this far behind the front of the key bed."""
LOW, HIGH = 0.62, 0.95
"""Lower and upper edge of the rim of the case."""
WIDTH = 1.5


def case_outline(width: float, length: float) -> FloatArray:
    """Plan of the case in x and z, counter-clockwise: front, straight bass side (+x), round tail, bent treble side."""
    half = width / 2
    tail = [(0.80, 0.985), (0.45, 1.0), (0.02, 0.93), (-0.30, 0.74), (-0.62, 0.56), (-0.94, 0.43), (-1.0, 0.30)]
    bent = smooth(np.array(tail) * [half, length], 5)
    return np.concatenate([[(-half, KEYS_DEEP), (half, KEYS_DEEP), (half, 0.92 * length)], bent])


def keyboard(width: float) -> list[Solid]:
    """52 white keys, 36 black ones, the bed below and a cheek block at each end."""
    pitch = (width - 0.2) / WHITE_KEYS
    bass = (width - 0.2) / 2 - pitch / 2
    white = box(0.88 * pitch, 0.05, 0.24, bevel=0.006).move(bass, 0.78, 0.16)
    black = box(0.55 * pitch, 0.05, 0.15, bevel=0.008).move(bass - pitch / 2, 0.82, 0.215)
    keys = white.repeat(WHITE_KEYS, x=-pitch)
    keys += [black.move(-index * pitch) for index in range(WHITE_KEYS - 1) if index % 7 in BLACK_AFTER]
    bed = box(width, 0.14, 0.36, bevel=0.015).move(y=0.69, z=0.17)
    cheek = box(0.09, 0.20, 0.36, bevel=0.03).move(width / 2 - 0.045, 0.82, 0.17)
    fall_board = box(width - 0.16, 0.16, 0.03, bevel=0.01).turn("x", 12.0).move(y=0.87, z=0.30)
    return [*keys, bed, *cheek.pair(), fall_board]


def lid(outline: FloatArray, half: float, open_deg: float) -> list[Solid]:
    """The lid turned up about the bass side, its front flap folded back onto it, and the stick that props it."""
    hinge = HIGH - 0.01

    def lift(solid: Solid) -> Solid:
        return solid.move(-half).turn("z", -open_deg).move(half, hinge)

    fold = 0.52
    back = outline.copy()
    back[:2, 1] = fold
    flap = [(-half, fold + 0.02), (half - 0.03, fold + 0.02), (half - 0.03, fold + 0.24), (-half, fold + 0.24)]
    leaf, folded = extrude(back, 0.03), extrude(flap, 0.025, bevel=0.008).move(y=0.032)
    reach = 1.3 * half
    angle = np.radians(open_deg)
    tip = (half - reach * np.cos(angle), hinge + 0.005 + reach * np.sin(angle), 0.66)
    return [lift(leaf), lift(folded), rod((-0.90 * half, HIGH - 0.04, 0.50), tip, 0.014)]


def inside(outline: FloatArray, half: float, braces: int) -> list[Solid]:
    """Sound board, pin block and the braces of the iron plate under the open lid."""
    board = extrude(inset(outline, 0.03), 0.04).move(y=0.72)
    parts = [board, box(2 * half - 0.06, 0.16, 0.16, bevel=0.02).move(y=0.86, z=KEYS_DEEP + 0.12)]
    for x in np.linspace(-0.8, 0.8, braces) * half:
        far = float(np.interp(x, outline[:2:-1, 0], outline[:2:-1, 1])) - 0.03
        near = KEYS_DEEP + 0.15
        parts.append(box(0.03, 0.03, far - near, bevel=0.008).move(x, 0.86, (far + near) / 2))
    return parts


def leg(top: float, thick: float) -> Solid:
    """A turned leg with a cuff at its top and a caster."""
    shaft = [(0.02, 0.0), (0.05, 0.0), (0.05, 0.07), (0.6 * thick, 0.08), (0.75 * thick, 0.35), (thick, top - 0.14)]
    return lathe([*shaft, (1.25 * thick, top - 0.13), (1.25 * thick, top), (0.02, top)], segments=16)


def square_leg(top: float, thick: float) -> Solid:
    """A straight square leg that narrows downwards, on a caster."""
    square = np.array([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0]])
    return lathe([(0.03, 0.0), (0.04, 0.06), (0.6 * thick, 0.07), (thick, top), (0.02, top)], section=square)


def lyre() -> list[Solid]:
    """Two posts and a brace, a box near the ground and three pedals that point to the player."""
    posts = rod((0.09, 0.14, 0.42), (0.11, LOW + 0.02, 0.42), 0.02).pair()
    pedals = box(0.04, 0.015, 0.16, bevel=0.005).move(-0.07, 0.10, 0.30).repeat(3, x=0.07)
    brace = rod((0.0, 0.14, 0.44), (0.0, LOW + 0.02, 0.70), 0.014)
    return [*posts, *pedals, brace, box(0.30, 0.08, 0.12, bevel=0.015).move(y=0.12, z=0.42)]


def music_desk(width: float) -> list[Solid]:
    """A leaning board for the sheets on its shelf."""
    board = box(0.55 * width, 0.22, 0.02, bevel=0.006).turn("x", 20.0).move(y=HIGH + 0.10, z=KEYS_DEEP + 0.14)
    return [board, box(0.6 * width, 0.03, 0.14, bevel=0.006).move(y=HIGH, z=KEYS_DEEP + 0.10)]


def grand(rng: np.random.Generator, length: float, leg_solid: Solid) -> list[Solid]:
    """The whole instrument on three legs."""
    outline = case_outline(WIDTH, length)
    half = WIDTH / 2
    parts = [rim(outline, 0.05, LOW, HIGH), extrude(inset(outline, 0.02), 0.05).move(y=LOW)]
    parts += [*keyboard(WIDTH), *inside(outline, half, int(rng.integers(3, 7)))]
    parts += [*lid(outline, half, rng.uniform(35.0, 48.0)), *lyre(), *music_desk(WIDTH)]
    parts += leg_solid.move(half - 0.14, 0.0, 0.38).pair()
    return [*parts, leg_solid.move(0.45 * half, 0.0, 0.86 * length)]


def concert_grand(rng: np.random.Generator) -> Parts:
    """A long instrument on turned legs."""
    return grand(rng, rng.uniform(1.6, 1.95), leg(LOW + 0.02, rng.uniform(0.055, 0.075)))


def baby_grand(rng: np.random.Generator) -> Parts:
    """A very short instrument on square legs, a padded bench for two drawn up to the keys."""
    wide, away = rng.uniform(0.85, 1.0), rng.uniform(0.16, 0.24)
    stool = [box(wide, 0.07, 0.27, bevel=0.02).move(y=0.44, z=-away)]
    foot = rod((wide / 2 - 0.05, 0.0, 0.1), (wide / 2 - 0.05, 0.44, 0.1), 0.022)
    stool += pairs(side.move(z=-away) for side in foot.pair("z"))
    return [*grand(rng, rng.uniform(1.08, 1.2), square_leg(LOW + 0.02, rng.uniform(0.05, 0.065))), *stool]


PIANO = register("piano", concert_grand, baby_grand)
