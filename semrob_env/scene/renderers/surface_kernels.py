"""The compiled loops for meshes with a `Surface`: textures, smooth normals and highlights, and their derivatives.

Which face is nearest at a pixel, and where its edges run, is found as for plain meshes (`kernels`). Then every pixel is
colored by itself: corners are interpolated perspective-correctly, the texture is read from the two levels that fit the
pixel's footprint, in linear light, and light is multiplied to the display value, as to plain colors.

Derivatives: what a pixel shows moves over the picture with the velocity of the point that it hits, so its color changes
by minus that velocity times the color's slope in the picture, and by what the light does to that point. That leaves
out how the footprint changes, which turns one level of the texture into the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from semrob_env.compiled import cached_njit
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.renderers.kernels import (
    DEPTH,
    FACE,
    Topology,
    _bounds,
    _compiled,
    _finish,
    _pack,
    _project,
    _project_tangent,
    _rasterize,
    _shares,
    crossing,
    edge_in_picture,
    is_worth_a_look,
)
from semrob_env.scene.surface import LINEAR, WRAPS, Surface, display_values, goes_on, lit_normals
from semrob_env.types import Float32Array, FloatArray, Int32Array, IntArray

UInt8Array = npt.NDArray[np.uint8]
Int8Array = npt.NDArray[np.int8]
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

SHININESS: Final = 24.0
"""Exponent of highlights (Blinn 1977): as of satin paint."""

_STEPS: Final = 4096
_ENCODED: Final = display_values(np.arange(_STEPS + 2) / _STEPS).astype(np.float32)
"""Display values of equal steps of linear light; straight lines between them are off by less than 2e-5."""

_EDGE_ON = 1e-12
_ON_EDGE = 1e-9  # pixels
_ZERO, _ONE, _TWO, _HALF_TEXEL = np.float32(0.0), np.float32(1.0), np.float32(2.0), np.float32(0.5)

# Places in the row of numbers that is known of a point of a surface.
_COLOR, _SLOPE_X, _SLOPE_Y, _BASE, _NORMAL, _POINT, _HALF, _VIEW = 0, 3, 6, 9, 12, 15, 18, 21
_LIT, _SHINE, _SHINE_SLOPE, _REACH, _RANGE, _INVERSE, _ALPHA, _OPEN = 24, 25, 26, 27, 28, 29, 30, 31
_WIDTH = 34


class Coat(NamedTuple):
    """What the kernels need to know of a surface; a named tuple because numba can read that."""

    opaque: Int32Array  # (F, 3) faces; those with holes are shrunk to a point
    corners: Float32Array  # (F, 3, 8) color, place in the texture, normal
    emission: Float32Array  # (F, 3)
    texture_of: Int32Array  # (F,)
    cut: Int32Array  # faces with holes
    texels: UInt8Array  # (N, 4) of all levels of all textures, each framed by what it repeats
    levels: IntArray  # (T, L, 3) first texel, that of the frame; height and width without the frame
    counts: IntArray  # (T,) levels
    wraps: IntArray  # (T, 2) places in WRAPS
    cutoffs: FloatArray  # (T,)
    joined: Int8Array  # (E,) 1 where the surface goes on across an edge, -1 where its faces are wound unlike each other
    gloss: float
    is_blended: bool  # whether corners of a face differ in color
    is_glowing: bool

    @classmethod
    def of(cls, mesh: Mesh, surface: Surface, topology: Topology) -> Coat:
        """Lay out what covers a mesh."""
        count = len(mesh.faces)
        colors = np.ones((count, 3, 3), dtype=np.float32) if surface.colors is None else surface.colors
        joined = np.zeros(len(topology.edges), dtype=np.int8)
        pairs = np.flatnonzero(np.diff(topology.starts) == 2)
        sides, begins = [], []
        for step in (0, 1):
            face, apex = topology.incident[topology.starts[pairs] + step].T.astype(np.int64)
            corner = (mesh.faces[face] == apex[:, None]).argmax(axis=1)
            sides.append(3 * face + corner)
            begins.append(mesh.faces[face, (corner + 1) % 3])
        joined[pairs] = np.where(begins[0] == begins[1], -1, 1) * goes_on(
            surface, topology.albedo, topology.normals, topology.faces, (sides[0], sides[1])
        )
        texels, levels = [np.full((1, 4), 255, dtype=np.uint8)], []
        for texture in surface.textures:
            modes: list[Literal["wrap", "edge"]] = ["wrap" if wrap == "repeat" else "edge" for wrap in texture.wraps]
            rows = []
            for level in texture.levels:
                rows.append((sum(map(len, texels)), *level.shape[:2]))
                framed = np.pad(level, ((1, 1), (0, 0), (0, 0)), mode=modes[1])
                framed = np.pad(framed, ((0, 0), (1, 1), (0, 0)), mode=modes[0])
                texels.append(framed.reshape(-1, 4))
            levels.append(rows)
        table = np.zeros((len(levels), max(map(len, levels), default=1), 3), dtype=np.int64)
        for number, rows in enumerate(levels):
            table[number, : len(rows)] = rows
        cutoffs = np.array([*(texture.cutoff for texture in surface.textures), 0.0])  # the last one is of no texture
        is_cut = cutoffs[surface.texture_of] > 0
        places = np.zeros((count, 3, 2), dtype=np.float32) if surface.places is None else surface.places
        parts = [topology.albedo[:, None] * colors, places, lit_normals(surface, topology.normals)]
        opaque = mesh.faces.copy()
        opaque[is_cut] = opaque[is_cut, :1]
        return cls(
            opaque,
            np.ascontiguousarray(np.concatenate(parts, axis=2), dtype=np.float32),
            np.zeros((count, 3), dtype=np.float32) if surface.emission is None else surface.emission.copy(),
            surface.texture_of.copy(),
            np.flatnonzero(is_cut).astype(np.int32),
            np.concatenate(texels),
            table,
            np.array(list(map(len, levels)), dtype=np.int64),
            np.array([WRAPS.index(wrap) for own in surface.textures for wrap in own.wraps], np.int64).reshape(-1, 2),
            cutoffs,
            joined,
            float(surface.gloss),
            bool((colors != colors[:, :1]).any()),
            surface.emission is not None,
        )


# For what is called for every pixel: references to arrays are not counted, for the caller holds them, and counting is
# atomic, so that threads would wait for one another.
_UNCOUNTED: Final[dict[str, Any]] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"nsz", "contract"},
    "_nrt": False,
}


def _uncounted(function: FunctionT) -> FunctionT:
    compiled: FunctionT = njit(**_UNCOUNTED)(function)
    return compiled


@_compiled
def _level(footprint: float, count: int) -> float:
    """The level of a texture of `count` in which a pixel is a texel wide: half of log2, off by less than 0.05."""
    bits = np.float32(min(max(np.float32(footprint), _ONE), np.float32(1e18))).view(np.int32)  # exponent, then mantissa
    level: float = min(np.float32(bits) * np.float32(2.0**-24) - np.float32(63.5), np.float32(count - 1))
    return level


@_compiled
def _inside(place: float, wrap: int) -> tuple[float, float]:
    """Where in [0, 1] a texture has what it shows at a place, and -1 where that runs the other way, else 1."""
    if wrap == 0:
        return place - np.floor(place), _ONE
    if wrap == 1:
        return min(max(place, _ZERO), _ONE), _ONE
    place -= _TWO * np.floor(place / _TWO)
    return (_TWO - place, -_ONE) if place > _ONE else (place, _ONE)


@_uncounted
def _read_level(
    texels: UInt8Array,
    levels: IntArray,
    texture: int,
    level: int,
    u: float,
    v: float,
    share: float,
    found: FloatArray,
    with_slopes: bool,
) -> None:
    """Add `share` of a level at (u, v) to `found`: linear light and alpha (4), their slopes in u (4) and in v (4)."""
    start, height, width = levels[texture, level, 0], levels[texture, level, 1], levels[texture, level, 2]
    x, y = u * width + 0.5, v * height + 0.5
    column, row = int(x), int(y)
    right, down = x - column, y - row
    a = np.uint64(start + row * (width + 2) + column)
    b, c = a + np.uint64(1), a + np.uint64(width + 2)
    d = c + np.uint64(1)
    for k in range(4):
        if k < 3:
            first, second = LINEAR[texels[a, k]], LINEAR[texels[b, k]]
            third, fourth = LINEAR[texels[c, k]], LINEAR[texels[d, k]]
        else:
            first, second = texels[a, k] * np.float32(1 / 255), texels[b, k] * np.float32(1 / 255)
            third, fourth = texels[c, k] * np.float32(1 / 255), texels[d, k] * np.float32(1 / 255)
        upper, lower = first + right * (second - first), third + right * (fourth - third)
        found[k] += share * (upper + down * (lower - upper))
        if with_slopes:
            found[4 + k] += share * width * ((second - first) * (1 - down) + (fourth - third) * down)
            found[8 + k] += share * height * (lower - upper)


@_uncounted
def _read_texture(
    texels: UInt8Array,
    levels: IntArray,
    counts: IntArray,
    wraps: IntArray,
    texture: int,
    u: float,
    v: float,
    footprint: float,
    found: FloatArray,
    with_slopes: bool,
) -> None:
    """Linear light and alpha of a texture, and their slopes; `footprint` is the pixel's side in texels, squared."""
    for k in range(12):
        found[k] = 0.0
    u, along_u = _inside(u, wraps[texture, 0])
    v, along_v = _inside(v, wraps[texture, 1])
    level = _level(footprint, counts[texture])
    whole = int(level)
    part = level - whole
    _read_level(texels, levels, texture, whole, u, v, 1.0 - part, found, with_slopes)
    if part > 0.0:
        _read_level(texels, levels, texture, whole + 1, u, v, part, found, with_slopes)
    for k in range(4):
        found[4 + k] *= along_u
        found[8 + k] *= along_v


@_compiled
def _encode(light: float) -> tuple[float, float]:
    """Display value of linear light in [0, 1], and its slope."""
    place = min(max(light, np.float32(0.0)), np.float32(1.0)) * np.float32(_STEPS)
    step = np.int64(place)
    low = _ENCODED[np.uint64(step)]
    rise = _ENCODED[np.uint64(step + 1)] - low
    return low + rise * (place - np.float32(step)), rise * np.float32(_STEPS)


@_uncounted
def _look(
    vertices: FloatArray,
    faces: Int32Array,
    corners: Float32Array,
    emission: Float32Array,
    texture_of: Int32Array,
    texels: UInt8Array,
    levels: IntArray,
    counts: IntArray,
    wraps: IntArray,
    gloss: float,
    screen: FloatArray,
    facing: Float32Array,
    light: FloatArray,
    eye: FloatArray,
    face: int,
    x: float,
    y: float,
    with_slopes: bool,
    found: FloatArray,
    texel: FloatArray,
) -> None:
    """What a face shows at (x, y) of the picture, and all that its change is made of, into `found`."""
    f = np.uint64(face)
    a, b, c = np.uint64(faces[f, 0]), np.uint64(faces[f, 1]), np.uint64(faces[f, 2])
    xa, ya, wa = screen[a, 0] - x, screen[a, 1] - y, screen[a, 2]
    xb, yb, wb = screen[b, 0] - x, screen[b, 1] - y, screen[b, 2]
    xc, yc, wc = screen[c, 0] - x, screen[c, 1] - y, screen[c, 2]
    # Shares of the corners: areas opposite to them in the picture, times inverse depths.
    share_a, share_b, share_c = (xb * yc - xc * yb) * wa, (xc * ya - xa * yc) * wb, (xa * yb - xb * ya) * wc
    whole = share_a + share_b + share_c
    if abs(whole) < _EDGE_ON * 1e-3:
        share_a, share_b, share_c, whole = 1.0, 1.0, 1.0, 3.0
        wa = wb = wc = 0.0
    scale = 1.0 / whole
    share_a, share_b, share_c = share_a * scale, share_b * scale, share_c * scale
    ax, ay = (yb - yc) * wa * scale, (xc - xb) * wa * scale
    bx, by = (yc - ya) * wb * scale, (xa - xc) * wb * scale
    cx, cy = (ya - yb) * wc * scale, (xb - xa) * wc * scale
    total_x, total_y = ax + bx + cx, ay + by + cy
    ax, bx, cx = ax - share_a * total_x, bx - share_b * total_x, cx - share_c * total_x
    ay, by, cy = ay - share_a * total_y, by - share_b * total_y, cy - share_c * total_y

    # The normal towards the camera, and what falls on it.
    sense = facing[f]
    length = cosine = turn_x = turn_y = 0.0
    for k in range(3):
        na, nb, nc = corners[f, 0, 5 + k], corners[f, 1, 5 + k], corners[f, 2, 5 + k]
        normal = sense * (share_a * na + share_b * nb + share_c * nc)
        found[_NORMAL + k] = normal
        length += normal * normal
    inverse = 1.0 / np.sqrt(length) if length > 0.0 else 0.0
    along_x = along_y = 0.0
    for k in range(3):
        found[_NORMAL + k] *= inverse
        normal = found[_NORMAL + k]
        cosine += normal * light[2, k]
        if with_slopes:
            na, nb, nc = corners[f, 0, 5 + k], corners[f, 1, 5 + k], corners[f, 2, 5 + k]
            change_x = sense * inverse * (ax * na + bx * nb + cx * nc)
            change_y = sense * inverse * (ay * na + by * nb + cy * nc)
            turn_x += change_x * light[2, k]
            turn_y += change_y * light[2, k]
            along_x += change_x * normal
            along_y += change_y * normal
    lit = max(cosine, 0.0)
    lit_x = turn_x - along_x * cosine if cosine > 1e-9 else 0.0
    lit_y = turn_y - along_y * cosine if cosine > 1e-9 else 0.0
    found[_LIT] = lit if cosine > 1e-9 else 0.0

    # Where it is.
    shine = shine_x = shine_y = 0.0
    if with_slopes or gloss > 0.0:
        for k in range(3):
            pa, pb, pc = vertices[a, k], vertices[b, k], vertices[c, k]
            found[_POINT + k] = share_a * pa + share_b * pb + share_c * pc
        # Depth is linear on the face, its inverse in the picture.
        depth = (
            share_a / max(screen[a, 2], 1e-9) + share_b / max(screen[b, 2], 1e-9) + share_c / max(screen[c, 2], 1e-9)
        )
        found[_INVERSE] = 1.0 / depth if depth > 0.0 else 0.0
    if gloss > 0.0:
        distance = reach = facing_half = 0.0
        for k in range(3):
            found[_VIEW + k] = eye[k] - found[_POINT + k]
            distance += found[_VIEW + k] ** 2
        distance = np.sqrt(distance)
        for k in range(3):
            found[_VIEW + k] /= distance
            found[_HALF + k] = found[_VIEW + k] + light[2, k]
            reach += found[_HALF + k] ** 2
        reach = max(np.sqrt(reach), 1e-9)
        for k in range(3):
            found[_HALF + k] /= reach
            facing_half += found[_HALF + k] * found[_NORMAL + k]
        found[_RANGE], found[_REACH] = distance, reach
        facing_half = max(facing_half, 0.0) if cosine > 0.0 else 0.0
        shine = facing_half**SHININESS
        found[_SHINE], found[_SHINE_SLOPE] = shine, SHININESS * facing_half ** (SHININESS - 1.0)
        if with_slopes:
            half_x = half_y = toward_x = toward_y = 0.0
            for k in range(3):  # moves of the point along the line of sight and along the bisector
                pa, pb, pc = vertices[a, k], vertices[b, k], vertices[c, k]
                toward_x += found[_VIEW + k] * (ax * pa + bx * pb + cx * pc)
                toward_y += found[_VIEW + k] * (ay * pa + by * pb + cy * pc)
            for k in range(3):
                pa, pb, pc = vertices[a, k], vertices[b, k], vertices[c, k]
                na, nb, nc = corners[f, 0, 5 + k], corners[f, 1, 5 + k], corners[f, 2, 5 + k]
                view_x = (found[_VIEW + k] * toward_x - (ax * pa + bx * pb + cx * pc)) / distance
                view_y = (found[_VIEW + k] * toward_y - (ay * pa + by * pb + cy * pc)) / distance
                leaning = (found[_NORMAL + k] - found[_HALF + k] * facing_half) / reach
                upright = found[_HALF + k] - found[_NORMAL + k] * facing_half
                half_x += view_x * leaning + upright * sense * inverse * (ax * na + bx * nb + cx * nc)
                half_y += view_y * leaning + upright * sense * inverse * (ay * na + by * nb + cy * nc)
            shine_x, shine_y = found[_SHINE_SLOPE] * half_x, found[_SHINE_SLOPE] * half_y

    # What is printed on it.
    texture = texture_of[f]
    u_x = u_y = v_x = v_y = 0.0
    found[_ALPHA] = 1.0
    if texture >= 0:
        ua, ub, uc = corners[f, 0, 3], corners[f, 1, 3], corners[f, 2, 3]
        va, vb, vc = corners[f, 0, 4], corners[f, 1, 4], corners[f, 2, 4]
        u, v = share_a * ua + share_b * ub + share_c * uc, share_a * va + share_b * vb + share_c * vc
        u_x, u_y = ax * ua + bx * ub + cx * uc, ay * ua + by * ub + cy * uc
        v_x, v_y = ax * va + bx * vb + cx * vc, ay * va + by * vb + cy * vc
        height, width = levels[texture, 0, 1], levels[texture, 0, 2]
        side_x = (u_x * width) ** 2 + (v_x * height) ** 2
        side_y = (u_y * width) ** 2 + (v_y * height) ** 2
        _read_texture(texels, levels, counts, wraps, texture, u, v, 0.5 * (side_x + side_y), texel, with_slopes)
        found[_ALPHA] = texel[3]
    for k in range(3):
        ta, tb, tc = corners[f, 0, k], corners[f, 1, k], corners[f, 2, k]
        tint = share_a * ta + share_b * tb + share_c * tc
        printed, steepness = 1.0, 0.0
        if texture >= 0:
            printed, steepness = _encode(texel[k])
        base = tint * printed
        bright = light[0, k] + light[1, k] * lit
        color = base * bright + gloss * light[1, k] * shine + emission[f, k]
        is_open = color < 1.0 + 1e-9
        found[_BASE + k], found[_OPEN + k] = base, 1.0 if is_open else 0.0
        found[_COLOR + k] = min(color, 1.0)
        if with_slopes:
            print_x = steepness * (texel[4 + k] * u_x + texel[8 + k] * v_x)
            print_y = steepness * (texel[4 + k] * u_y + texel[8 + k] * v_y)
            tint_x, tint_y = ax * ta + bx * tb + cx * tc, ay * ta + by * tb + cy * tc
            slope_x = (tint_x * printed + tint * print_x) * bright + base * light[1, k] * lit_x
            slope_y = (tint_y * printed + tint * print_y) * bright + base * light[1, k] * lit_y
            found[_SLOPE_X + k] = slope_x + gloss * light[1, k] * shine_x if is_open else 0.0
            found[_SLOPE_Y + k] = slope_y + gloss * light[1, k] * shine_y if is_open else 0.0


@_uncounted
def _change(
    found: FloatArray,
    x: float,
    y: float,
    gloss: float,
    light: FloatArray,
    matrix_change: FloatArray,
    light_change: FloatArray,
    eye_change: FloatArray,
    change: FloatArray,
) -> None:
    """Derivative (3,) of the color at a fixed point of the picture, given those of matrix, light table and eye."""
    px, py, pz = found[_POINT], found[_POINT + 1], found[_POINT + 2]
    depth = matrix_change[2, 0] * px + matrix_change[2, 1] * py + matrix_change[2, 2] * pz + matrix_change[2, 3]
    right = matrix_change[0, 0] * px + matrix_change[0, 1] * py + matrix_change[0, 2] * pz + matrix_change[0, 3]
    down = matrix_change[1, 0] * px + matrix_change[1, 1] * py + matrix_change[1, 2] * pz + matrix_change[1, 3]
    move_x, move_y = (right - x * depth) * found[_INVERSE], (down - y * depth) * found[_INVERSE]
    brightening = shining = 0.0
    for k in range(3):
        brightening += found[_NORMAL + k] * light_change[2, k]
    brightening = brightening if found[_LIT] > 0.0 else 0.0
    if gloss > 0.0:
        toward = facing_half = 0.0
        for k in range(3):
            toward += found[_VIEW + k] * eye_change[k]
            facing_half += found[_NORMAL + k] * found[_HALF + k]
        for k in range(3):
            view = (eye_change[k] - found[_VIEW + k] * toward) / found[_RANGE]
            leaning = (found[_NORMAL + k] - found[_HALF + k] * facing_half) / found[_REACH]
            shining += leaning * (view + light_change[2, k])
        shining *= found[_SHINE_SLOPE]
    for k in range(3):
        own = found[_BASE + k] * (light_change[0, k] + light_change[1, k] * found[_LIT] + light[1, k] * brightening)
        if gloss > 0.0:
            own += gloss * (light_change[1, k] * found[_SHINE] + light[1, k] * shining)
        change[k] = own * found[_OPEN + k] - found[_SLOPE_X + k] * move_x - found[_SLOPE_Y + k] * move_y


_look_at_color: Any = njit(forceinline=True, **_UNCOUNTED)(cast(Any, _look).py_func)
"""The same built into its caller, for pictures alone: a call costs as much as what it does then."""


@_compiled
def _rasterize_cut(
    screen: FloatArray,
    mesh: Topology,
    coat: Coat,
    light: FloatArray,
    eye: FloatArray,
    nearest: IntArray,
    facing: Float32Array,
    live: UInt8Array,
    found: FloatArray,
    texel: FloatArray,
) -> None:
    """As `kernels._rasterize`, for faces with holes: a pixel center in a hole does not belong to them."""
    limit = float(len(nearest))
    for index in range(len(coat.cut)):
        face = coat.cut[index]
        cutoff = coat.cutoffs[coat.texture_of[face]]
        a, b, c = np.uint64(mesh.faces[face, 0]), np.uint64(mesh.faces[face, 1]), np.uint64(mesh.faces[face, 2])
        xa, ya, wa = screen[a, 0], screen[a, 1], screen[a, 2]
        xb, yb, wb = screen[b, 0], screen[b, 1], screen[b, 2]
        xc, yc, wc = screen[c, 0], screen[c, 1], screen[c, 2]
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if abs(area) < _EDGE_ON or min(wa, wb, wc) == 0.0:
            continue
        sense = 1.0 if area < 0.0 else -1.0
        facing[face] = sense
        gradient_x = ((wb - wa) * (yc - ya) - (wc - wa) * (yb - ya)) * (DEPTH / area)
        gradient_y = ((wc - wa) * (xb - xa) - (wb - wa) * (xc - xa)) * (DEPTH / area)
        base = wa * DEPTH - gradient_x * (xa - 0.5) - gradient_y * ya
        farthest, closest = min(wa, wb, wc) * DEPTH, max(wa, wb, wc) * DEPTH
        low_1, low_slope_1, high_1, high_slope_1 = _bounds(xa, ya, xb, yb, sense)
        low_2, low_slope_2, high_2, high_slope_2 = _bounds(xb, yb, xc, yc, sense)
        low_3, low_slope_3, high_3, high_slope_3 = _bounds(xc, yc, xa, ya, sense)
        first_row = int(np.ceil(max(min(ya, yb, yc), 0.0) - 0.5))
        last_row = int(np.ceil(min(max(ya, yb, yc), limit) - 0.5))
        missed = 1
        for row in range(first_row, last_row):
            y = row + 0.5
            low = max(low_1 + y * low_slope_1, low_2 + y * low_slope_2, low_3 + y * low_slope_3, 0.0)
            high = min(high_1 + y * high_slope_1, high_2 + y * high_slope_2, high_3 + y * high_slope_3, limit)
            for column in range(int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))):
                missed = 0
                key = _pack(base + gradient_y * y + gradient_x * column, farthest, closest, face)
                if key > nearest[row, column]:
                    _look(
                        mesh.vertices,
                        mesh.faces,
                        coat.corners,
                        coat.emission,
                        coat.texture_of,
                        coat.texels,
                        coat.levels,
                        coat.counts,
                        coat.wraps,
                        coat.gloss,
                        screen,
                        facing,
                        light,
                        eye,
                        face,
                        column + 0.5,
                        y,
                        False,
                        found,
                        texel,
                    )
                    if found[_ALPHA] >= cutoff:
                        nearest[row, column] = key
        live[face] = missed


@_compiled
def _add_level(
    texels: UInt8Array, levels: IntArray, texture: np.uint64, level: np.uint64, u: float, v: float, weight: float,
    light: tuple[float, float, float],
) -> tuple[float, float, float]:  # fmt: skip
    """Linear light, and `weight` of what a level has of it: `_read_level` in single precision."""
    width, height = levels[texture, level, 2], levels[texture, level, 1]
    x, y = u * np.float32(width) + _HALF_TEXEL, v * np.float32(height) + _HALF_TEXEL
    column, row = np.int64(x), np.int64(y)
    x, y = x - np.float32(column), y - np.float32(row)
    a = np.uint64(levels[texture, level, 0] + row * (width + 2) + column)
    c = a + np.uint64(width + 2)
    b, d = a + np.uint64(1), c + np.uint64(1)
    lower = weight * y
    upper = weight - lower
    share_b, share_d = upper * x, lower * x
    share_a, share_c = upper - share_b, lower - share_d
    red, green, blue = light
    red += share_a * LINEAR[texels[a, 0]] + share_b * LINEAR[texels[b, 0]]
    green += share_a * LINEAR[texels[a, 1]] + share_b * LINEAR[texels[b, 1]]
    blue += share_a * LINEAR[texels[a, 2]] + share_b * LINEAR[texels[b, 2]]
    red += share_c * LINEAR[texels[c, 0]] + share_d * LINEAR[texels[d, 0]]
    green += share_c * LINEAR[texels[c, 1]] + share_d * LINEAR[texels[d, 1]]
    blue += share_c * LINEAR[texels[c, 2]] + share_d * LINEAR[texels[d, 2]]
    return red, green, blue


@_compiled
def _paint_colors(
    mesh: Topology,
    coat: Coat,
    screen: FloatArray,
    nearest: IntArray,
    light: FloatArray,
    image: Float32Array,
    live: UInt8Array,
) -> None:
    """Give every pixel of `image` (3, S, S) the color that `_look` finds without gloss, and set `live` of its face.

    Here because most of the time of a picture goes by here: a call of `_look` costs as much as what it does. In single
    precision but for the shares of the corners, and in three loops a row, because each step of a pixel waits for the
    one before it: so the processor has other pixels to go on with.
    """
    size = len(nearest)
    # Taken out of the tuples here: within the loop their references would be counted.
    faces, corners, emission, texture_of = mesh.faces, coat.corners, coat.emission, coat.texture_of
    texels, levels, counts, wraps = coat.texels, coat.levels, coat.counts, coat.wraps
    background, table = np.uint64(len(faces)), light.astype(np.float32)
    is_blended, is_glowing = coat.is_blended, coat.is_glowing
    columns, levels_of = np.empty(size, np.int64), np.empty(size, np.int32)
    tints, lits, places = np.empty((size, 3), np.float32), np.empty(size, np.float32), np.empty((size, 2), np.float32)
    footprints, parts, tops = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    for row in range(size):
        for c in range(3):
            image[c, row] = table[3, c]
        count = 0
        for column in range(size):
            columns[count] = column
            count += np.uint64(nearest[row, column]) != background
        if count < size:
            live[background] = 1
        y = row + 0.5
        for k in range(count):
            column = np.uint64(columns[k])
            f = np.uint64(nearest[row, column] & FACE)
            live[f] = 1
            x = np.int64(column) + 0.5
            a, b, c = np.uint64(faces[f, 0]), np.uint64(faces[f, 1]), np.uint64(faces[f, 2])
            xa, ya, wa = screen[a, 0] - x, screen[a, 1] - y, screen[a, 2]
            xb, yb, wb = screen[b, 0] - x, screen[b, 1] - y, screen[b, 2]
            xc, yc, wc = screen[c, 0] - x, screen[c, 1] - y, screen[c, 2]
            to_a, to_b, to_c = (xb * yc - xc * yb) * wa, (xc * ya - xa * yc) * wb, (xa * yb - xb * ya) * wc
            whole = to_a + to_b + to_c
            scale = 1.0 / whole
            if abs(whole) < _EDGE_ON * 1e-3:
                to_a, to_b, to_c, scale, wa, wb, wc = 1.0, 1.0, 1.0, 1.0 / 3.0, 0.0, 0.0, 0.0
            share_a, share_b, share_c = np.float32(to_a * scale), np.float32(to_b * scale), np.float32(to_c * scale)
            nx = share_a * corners[f, 0, 5] + share_b * corners[f, 1, 5] + share_c * corners[f, 2, 5]
            ny = share_a * corners[f, 0, 6] + share_b * corners[f, 1, 6] + share_c * corners[f, 2, 6]
            nz = share_a * corners[f, 0, 7] + share_b * corners[f, 1, 7] + share_c * corners[f, 2, 7]
            cosine = nx * table[2, 0] + ny * table[2, 1] + nz * table[2, 2]
            cosine = max(cosine if whole < 0.0 else -cosine, _ZERO)  # the side that is seen; y runs down
            lits[k] = cosine / np.sqrt(max(nx * nx + ny * ny + nz * nz, np.float32(1e-30)))
            if is_blended:
                tints[k, 0] = share_a * corners[f, 0, 0] + share_b * corners[f, 1, 0] + share_c * corners[f, 2, 0]
                tints[k, 1] = share_a * corners[f, 0, 1] + share_b * corners[f, 1, 1] + share_c * corners[f, 2, 1]
                tints[k, 2] = share_a * corners[f, 0, 2] + share_b * corners[f, 1, 2] + share_c * corners[f, 2, 2]
            texture = texture_of[f]
            if texture >= 0:
                t = np.uint64(texture)
                ua, ub, uc = corners[f, 0, 3], corners[f, 1, 3], corners[f, 2, 3]
                va, vb, vc = corners[f, 0, 4], corners[f, 1, 4], corners[f, 2, 4]
                u, v = share_a * ua + share_b * ub + share_c * uc, share_a * va + share_b * vb + share_c * vc
                wa, wb, wc = wa * scale, wb * scale, wc * scale
                ax, ay = np.float32((yb - yc) * wa), np.float32((xc - xb) * wa)
                bx, by = np.float32((yc - ya) * wb), np.float32((xa - xc) * wb)
                cx, cy = np.float32((ya - yb) * wc), np.float32((xb - xa) * wc)
                ua, ub, uc, va, vb, vc = ua - u, ub - u, uc - u, va - v, vb - v, vc - v
                u_x, u_y = ax * ua + bx * ub + cx * uc, ay * ua + by * ub + cy * uc
                v_x, v_y = ax * va + bx * vb + cx * vc, ay * va + by * vb + cy * vc
                wide, high = np.float32(levels[t, 0, 2]), np.float32(levels[t, 0, 1])
                footprint = wide * wide * (u_x * u_x + u_y * u_y) + high * high * (v_x * v_x + v_y * v_y)
                footprints[k], tops[k] = _HALF_TEXEL * footprint, np.float32(counts[t])
                places[k, 0], places[k, 1] = _inside(u, wraps[t, 0])[0], _inside(v, wraps[t, 1])[0]
        for k in range(count):
            level = _level(footprints[k], tops[k])
            whole_level = np.floor(level)
            levels_of[k], parts[k] = np.int32(whole_level), level - whole_level
        for k in range(count):
            column = np.uint64(columns[k])
            f = np.uint64(nearest[row, column] & FACE)
            red, green, blue = corners[f, 0, 0], corners[f, 0, 1], corners[f, 0, 2]
            if is_blended:
                red, green, blue = tints[k, 0], tints[k, 1], tints[k, 2]
            texture = texture_of[f]
            if texture >= 0:
                t, level_of, part = np.uint64(texture), np.uint64(levels_of[k]), parts[k]
                u, v = places[k, 0], places[k, 1]
                shown = _add_level(texels, levels, t, level_of, u, v, _ONE - part, (_ZERO, _ZERO, _ZERO))
                if part > _ZERO:
                    shown = _add_level(texels, levels, t, level_of + np.uint64(1), u, v, part, shown)
                red, green, blue = red * _encode(shown[0])[0], green * _encode(shown[1])[0], blue * _encode(shown[2])[0]
            lit = lits[k]
            red, green = red * (table[0, 0] + table[1, 0] * lit), green * (table[0, 1] + table[1, 1] * lit)
            blue *= table[0, 2] + table[1, 2] * lit
            if is_glowing:
                red, green, blue = red + emission[f, 0], green + emission[f, 1], blue + emission[f, 2]
            image[0, row, column], image[1, row, column] = min(red, _ONE), min(green, _ONE)
            image[2, row, column] = min(blue, _ONE)


@_compiled
def _paint_changes(
    mesh: Topology,
    coat: Coat,
    screen: FloatArray,
    facing: Float32Array,
    nearest: IntArray,
    light: FloatArray,
    eye: FloatArray,
    matrix_changes: FloatArray,
    light_changes: FloatArray,
    eye_changes: FloatArray,
    image: Float32Array,
    derivative: Float32Array,
    found: FloatArray,
    texel: FloatArray,
) -> None:
    """Give every pixel of `derivative` (K, 3, S, S) its change, and of `image` its color where surfaces have gloss."""
    size, count = len(nearest), len(derivative)
    change = np.empty(3)
    vertices, faces, corners, emission = mesh.vertices, mesh.faces, coat.corners, coat.emission
    texture_of, texels, levels, counts, wraps = coat.texture_of, coat.texels, coat.levels, coat.counts, coat.wraps
    gloss, background = coat.gloss, len(faces)
    for row in range(size):
        for column in range(size):
            face = nearest[row, column] & FACE
            if face == background:
                for k in range(count):
                    for c in range(3):
                        derivative[k, c, row, column] = light_changes[k, 3, c]
                continue
            x, y = column + 0.5, row + 0.5
            _look(
                vertices, faces, corners, emission, texture_of, texels, levels, counts, wraps, gloss, screen, facing,
                light, eye, face, x, y, count > 0, found, texel,
            )  # fmt: skip
            if gloss > 0.0:
                for c in range(3):
                    image[c, row, column] = found[_COLOR + c]
            for k in range(count):
                _change(found, x, y, gloss, light, matrix_changes[k], light_changes[k], eye_changes[k], change)
                for c in range(3):
                    derivative[k, c, row, column] = change[c]


@_compiled
def _beside(screen: FloatArray, a: np.uint64, b: np.uint64, vertex: int) -> float:
    """How far a vertex is from an edge (a, b) of the picture, across its longer axis, by its side with a sign."""
    x, y = screen[np.uint64(vertex), 0] - screen[a, 0], screen[np.uint64(vertex), 1] - screen[a, 1]
    width, height = screen[b, 0] - screen[a, 0], screen[b, 1] - screen[a, 1]
    distance: float = (x * height - y * width) / max(abs(width), abs(height))
    return distance


@_compiled
def _choose_surface_edges(
    screen: FloatArray,
    mesh: Topology,
    joined: Int8Array,
    facing: Float32Array,
    live: UInt8Array,
    nearest: IntArray,
    chosen: Int32Array,
) -> int:
    """As `kernels._choose_edges`, without those of two faces on which the surface goes on to either side."""
    edges, starts, incident = mesh.edges, mesh.starts, mesh.incident
    count = 0
    for e in range(len(edges)):
        first = starts[e]
        if (
            joined[e] != 0
            and joined[e] * facing[np.uint64(incident[first, 0])] * facing[np.uint64(incident[first + 1, 0])] > 0
        ):
            continue
        chosen[count] = e
        count += is_worth_a_look(screen, edges, starts, incident, live, nearest, e)
    return count


@_compiled
def _smooth_surface_edges(
    screen: FloatArray,
    mesh: Topology,
    coat: Coat,
    facing: Float32Array,
    live: UInt8Array,
    nearest: IntArray,
    light: FloatArray,
    eye: FloatArray,
    tangents: FloatArray,
    matrix_changes: FloatArray,
    light_changes: FloatArray,
    eye_changes: FloatArray,
    image: Float32Array,
    derivative: Float32Array,
    found: FloatArray,
    texel: FloatArray,
) -> None:
    """As `kernels._smooth_edges`, where a face on a side of an edge has the color that it shows on the edge there.

    What lies behind an edge has the color of its pixel, and so has the face before it where its pixel shows it. Edges
    across which the surface goes on make no step.
    """
    size, count = len(nearest), len(tangents)
    plain, plain_changes = image.copy(), derivative.copy()
    # Taken out of the tuples here: within the loop their references would be counted.
    vertices, faces, corners, emission = mesh.vertices, mesh.faces, coat.corners, coat.emission
    edges, starts, incident, joined = mesh.edges, mesh.starts, mesh.incident, coat.joined
    texture_of, texels, levels, counts, wraps = coat.texture_of, coat.texels, coat.levels, coat.counts, coat.wraps
    cutoffs, gloss = coat.cutoffs, coat.gloss
    colors, slopes, changes, change = np.empty((2, 3)), np.empty((2, 3)), np.empty((2, count, 3)), np.empty(3)
    chosen = np.empty(len(mesh.edges), np.int32)
    for e in chosen[: _choose_surface_edges(screen, mesh, joined, facing, live, nearest, chosen)]:
        a, b = np.uint64(edges[e, 0]), np.uint64(edges[e, 1])
        if joined[e] != 0:  # of faces that are edge-on, or behind the camera
            one = _beside(screen, a, b, incident[starts[e], 1])
            other = _beside(screen, a, b, incident[starts[e] + 1, 1])
            if min(one, other) < -_ON_EDGE and max(one, other) > _ON_EDGE:
                continue  # a face on either side: no need of `_sides`
        edge = edge_in_picture(screen, edges, starts, incident, e, size)
        a, b, across, along, slope, length = edge.a, edge.b, edge.across, 1 - edge.across, edge.slope, edge.length
        left, right, sweep = edge.left, edge.right, abs(edge.slope)
        if left < 0 and right < 0:
            continue
        for v in range(edge.first, edge.last):
            at = crossing(edge, v, nearest, faces)
            if not at.is_visible:
                continue
            row_p, column_p, row_q, column_q = at.row_p, at.column_p, at.row_q, at.column_q
            x, y = (v + 0.5, at.u) if across else (at.u, v + 0.5)
            is_outline = left < 0 or right < 0
            shown = 0
            for side in range(2):
                face = left if side == 0 else right
                row, column = (row_p, column_p) if side == 0 else (row_q, column_q)
                is_seen = face == nearest[row, column] & FACE
                if is_outline and is_seen:
                    shown += 1
                    face = -1
                if face >= 0:
                    if count == 0:
                        _look_at_color(
                            vertices, faces, corners, emission, texture_of, texels, levels, counts, wraps, gloss,
                            screen, facing, light, eye, face, x, y, False, found, texel,
                        )  # fmt: skip
                    else:
                        _look(
                            vertices, faces, corners, emission, texture_of, texels, levels, counts, wraps, gloss,
                            screen, facing, light, eye, face, x, y, True, found, texel,
                        )  # fmt: skip
                    texture = texture_of[face]
                    if texture >= 0 and found[_ALPHA] < cutoffs[texture]:
                        face = -1
                if face >= 0:
                    shown += 1
                    for c in range(3):
                        colors[side, c] = found[_COLOR + c]
                        slopes[side, c] = found[(_SLOPE_Y if across else _SLOPE_X) + c]
                    for k in range(count):
                        _change(found, x, y, gloss, light, matrix_changes[k], light_changes[k], eye_changes[k], change)
                        for c in range(3):
                            changes[side, k, c] = change[c]
                else:
                    for c in range(3):
                        colors[side, c], slopes[side, c] = plain[c, row, column], 0.0
                        for k in range(count):
                            changes[side, k, c] = plain_changes[k, c, row, column]
            if shown == 0:
                continue
            share_p, share_q, slide_p, slide_q, widen = _shares(at.u, sweep, at.q)
            for c in range(3):
                jump = colors[1, c] - colors[0, c]
                image[c, row_p, column_p] += jump * share_p
                image[c, row_q, column_q] += jump * share_q
            for k in range(count):
                slope_change = (
                    tangents[k, b, across]
                    - tangents[k, a, across]
                    - slope * (tangents[k, b, along] - tangents[k, a, along])
                ) / length
                slide = tangents[k, a, across] - slope * tangents[k, a, along] + at.beyond * slope_change
                widening = widen * (slope_change if slope > 0.0 else -slope_change)
                for c in range(3):
                    jump = colors[1, c] - colors[0, c]
                    turn = changes[1, k, c] - changes[0, k, c] + (slopes[1, c] - slopes[0, c]) * slide
                    derivative[k, c, row_p, column_p] += jump * (slide_p * slide + widening) + turn * share_p
                    derivative[k, c, row_q, column_q] += jump * (slide_q * slide - widening) + turn * share_q


@_compiled
def _draw_surface(
    mesh: Topology,
    coat: Coat,
    matrix: FloatArray,
    light: FloatArray,
    eye: FloatArray,
    matrix_changes: FloatArray,
    light_changes: FloatArray,
    eye_changes: FloatArray,
    antialias: bool,
    image: Float32Array,
    derivative: Float32Array,
) -> None:
    """Draw one view into `image` (3, S, S) and its derivatives into `derivative` (K, 3, S, S)."""
    size, count, vertices, faces = image.shape[1], len(matrix_changes), len(mesh.vertices), len(mesh.faces)
    screen = np.empty((vertices, 3))
    nearest = np.full((size, size), faces, np.int64)
    facing = np.empty(faces, np.float32)
    live = np.empty(faces + 1, np.uint8)
    found, texel = np.zeros(_WIDTH), np.zeros(12)
    _project(mesh.vertices, matrix, screen)
    _rasterize(screen, coat.opaque, nearest, facing, live)
    if len(coat.cut):
        _rasterize_cut(screen, mesh, coat, light, eye, nearest, facing, live, found, texel)
    _paint_colors(mesh, coat, screen, nearest, light, image, live)
    if count or coat.gloss > 0.0:
        _paint_changes(
            mesh, coat, screen, facing, nearest, light, eye, matrix_changes, light_changes, eye_changes, image,
            derivative, found, texel,
        )  # fmt: skip
    if antialias:
        tangents = np.zeros((count, vertices, 2))
        for k in range(count):
            if np.any(matrix_changes[k] != 0.0):
                _project_tangent(mesh.vertices, matrix_changes[k], screen, tangents[k])
        _smooth_surface_edges(
            screen, mesh, coat, facing, live, nearest, light, eye, tangents, matrix_changes, light_changes, eye_changes,
            image, derivative, found, texel,
        )  # fmt: skip
    values = image.reshape(-1)
    for index in range(len(values)):
        values[index] = min(max(values[index], np.float32(0.0)), np.float32(1.0))


@cached_njit(nogil=True, error_model="numpy", parallel=True)
def draw_surfaces(
    mesh: Topology,
    coat: Coat,
    matrices: FloatArray,
    lights: FloatArray,
    eyes: FloatArray,
    matrix_tangents: FloatArray,
    light_tangents: FloatArray,
    eye_tangents: FloatArray,
    antialias: bool,
    supersample: int,
    weights: Float32Array,
    images: Float32Array,
    derivatives: Float32Array,
) -> None:
    """As `kernels.draw_views`, of a mesh with a surface; eyes (B, 3) and their derivatives (B, K, 3) in the world."""
    count = derivatives.shape[1]
    fine = supersample * images.shape[2]
    for view in prange(len(matrices)):
        image = np.empty((3, fine, fine), np.float32)
        derivative = np.empty((count, 3, fine, fine), np.float32)
        _draw_surface(
            mesh, coat, matrices[view], lights[view], eyes[view], matrix_tangents[view], light_tangents[view],
            eye_tangents[view], antialias, image, derivative,
        )  # fmt: skip
        _finish(image, weights, images[view])
        for k in range(count):
            _finish(derivative[k], weights, derivatives[view, k])
