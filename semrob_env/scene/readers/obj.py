"""OBJ files: vertices, polygons of any form, and the colors of their materials or vertices.

Lines are counted and parsed as arrays, a few million at a time, so that a large file takes seconds. Free-form
surfaces and included files are refused by name; points, lines and normals make no faces and are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.companions import Companions
from semrob_env.scene.polygons import triangulate
from semrob_env.scene.readers.materials import Material, read_materials, spellings
from semrob_env.scene.readers.paint import (
    Images,
    Sample,
    corner_means,
    covered,
    eight_bits,
    sample_textures,
    tell,
    whole_range,
)
from semrob_env.scene.readers.parts import Part, Wanted, check_count, count_words, numbers, plain_text
from semrob_env.scene.surface import Surface, Texture
from semrob_env.types import BoolArray, FloatArray, IntArray

Bytes = np.typing.NDArray[np.uint8]

CHUNK: Final = 4 * 2**20
"""Bytes of face lines that are parsed at once."""

LINES_PER_FACE: Final = 12
"""How many lines a file may have for each face that is allowed; ten are more than any needs."""

MAX_LIBRARY_LINES: Final = 10_000
"""Most `mtllib` lines."""

MOST_INDEX: Final = 2**50
"""Beyond, numbers of 64 bits are not exact."""

NOT_READ: Final = (b"surf", b"bzp", b"bsp", b"cdc", b"cdp", b"res", b"call", b"csh")
"""Statements that make geometry, include a file or run a command."""

GEOMETRY: Final = (b"v", b"vt", b"vn", b"vp", b"f", b"fo")
"""Statements whose loss would leave something out, or count what follows wrongly."""

MOST_ODD_LINES: Final = 10_000
"""Most lines that begin like a statement and are none, as far as they are looked at."""

IN_FACES: Final = np.isin(np.arange(256), np.frombuffer(b"0123456789-/ \n", dtype=np.uint8))
"""Which bytes face lines hold."""


@final
@dataclass(frozen=True, eq=False)
class Polygons:
    """The faces of a file.

    Attributes:
        vertices: Vertex (C,) of each corner, from 0.
        textures: Texture coordinate (C,) of each corner, from 0; below 0: none.
        normals: Normal (C,) of each corner, from 0; below 0: none.
        counts: Corners (F,) of each face.
        words: Numbers (F,) in each face's line.
    """

    vertices: IntArray
    textures: IntArray
    normals: IntArray
    counts: IntArray
    words: IntArray


@final
class ObjLines:
    """The lines of a file, by what they begin with.

    Attributes:
        text: All bytes; each line ends with a line feed.
        starts: Place of the first byte of each line (L,).
        sizes: Bytes of each line (L,), its end too.
        heads: First two bytes of each line (L, 2).
    """

    def __init__(self, text: bytes) -> None:
        self.text: Bytes = np.frombuffer(text, dtype=np.uint8)
        ends = np.flatnonzero(self.text == 10) + 1
        self.starts: IntArray = np.append(0, ends[:-1]).astype(np.int64)
        self.sizes: IntArray = ends - self.starts
        self.heads: Bytes = self._bytes(self.starts[:, None] + np.arange(2))

    def _bytes(self, places: IntArray) -> Bytes:
        return np.asarray(self.text[np.minimum(places, len(self.text) - 1)])

    def are(self, word: bytes) -> BoolArray:
        """Which lines (L,) begin with a word and a space."""
        start = np.frombuffer(word + b" ", dtype=np.uint8)
        found = (self.heads[:, 0] == start[0]) & (self.heads[:, 1] == start[1])
        for place in range(2, len(start)):
            found[found] = self._bytes(self.starts[found] + place) == start[place]
        return np.asarray(found)

    def take(self, which: BoolArray, word: bytes) -> tuple[Bytes, IntArray]:
        """Their bytes, with spaces for the word that they begin with, and the starts of the lines therein."""
        taken = self.text[np.repeat(which, self.sizes)]
        starts = np.cumsum(self.sizes[which]) - self.sizes[which]
        for place in range(len(word)):
            taken[starts + place] = 32
        return taken, starts

    def line(self, number: int) -> bytes:
        """One of them, without its end."""
        return self.text[self.starts[number] : self.starts[number] + self.sizes[number] - 1].tobytes()


def read_obj(data: bytes, companions: Companions, wanted: Wanted, most_faces: int) -> list[Part]:
    """The faces of an OBJ file, those of one material together; arguments as `Reader`.

    Raises:
        InvalidMeshError: It cannot be read, or holds what is not.
        RefusedFileError, OSError: As `Companions.find`, where colors are wanted.
    """
    text = _plain(data)
    check_count(text.count(b"\n"), "lines", LINES_PER_FACE * most_faces)
    lines = ObjLines(text)
    is_face = lines.are(b"f") | lines.are(b"fo")
    check_count(int(is_face.sum()), "faces", most_faces)
    for word in NOT_READ:
        if lines.are(word).any():
            raise InvalidMeshError(f"it holds '{word.decode()}', which is not read; save it as plain faces")
    _check_words(lines)
    points = _rows(lines, b"v", 3 * most_faces)
    polygons = _polygons(lines, is_face, most_faces)
    if not len(polygons.counts):
        return []
    last = int(polygons.vertices.max(initial=-1)) + 1
    if last > len(points):
        raise InvalidMeshError(f"not a readable OBJ file: a face refers to vertex {last}, but only {len(points)} exist")
    names, group = _groups(lines, is_face)
    corners, face, is_cut = triangulate(points[polygons.vertices, :3], polygons.counts)
    # Not the order of the file: that of the first reader that this house had, since meshes are known by their bytes.
    half = np.where(_are_stacked(polygons, group, is_cut)[face], np.append(0, (face[1:] == face[:-1])), 0)
    order = np.lexsort((face, half, -group[face]))
    corners, face = corners[order], face[order]
    if not len(face):
        return []
    used, places = np.unique(
        (len(names) - group[face])[:, None] * np.int64(len(points)) + polygons.vertices[corners], return_inverse=True
    )
    vertices = used % len(points)
    faces = places.reshape(-1, 3)
    albedo = surface = None
    if wanted is not Wanted.NOTHING:
        if lines.are(b"usemap").any():
            raise InvalidMeshError("it puts on textures by 'usemap', which is not read; use materials (usemtl)")
        heads = np.flatnonzero(lines.are(b"mtllib"))
        check_count(len(heads), "'mtllib' lines", MAX_LIBRARY_LINES)
        materials = read_materials([lines.line(place)[7:].decode() for place in heads.tolist()], companions)
        chosen = [next((materials[name] for name in spellings(text) if name in materials), None) for text in names]
        textures = _rows(lines, b"vt", 3 * most_faces)
    if wanted is Wanted.SURFACE:
        normals = _rows(lines, b"vn", 3 * most_faces)
        of_corners = _picked(textures[:, :2], polygons.textures[corners]), _picked(normals, polygons.normals[corners])
        has_texture = (polygons.textures[corners] >= 0).all(axis=1)
        albedo, surface = _surface(chosen, group[face], points[vertices][faces], *of_corners, has_texture)
    elif wanted is Wanted.COLORS:
        middles = _texture_middles(textures, polygons.textures[corners])
        albedo = _albedo(chosen, group[face], points[vertices], faces, middles, polygons.textures[corners])
    return [Part(points[vertices, :3], faces, albedo, surface)]


def _plain(data: bytes) -> bytes:
    """The file as `ObjLines` knows it: one statement a line, no indents, no comments after numbers, no tabs."""
    text = plain_text(data).translate(bytes.maketrans(b"\t\v\f", b"   "))
    if b"\\\n" in text:  # a comment, which may be the name of a folder, ends with its line
        text = re.sub(rb"(?m)^([^#\n]*)\\\n", rb"\1 ", text)
    if b"\n " in text or text.startswith(b" "):
        text = re.sub(rb"(?m)^ +", b"", text)
    if b"\nusemtl\n" in text:  # no material from here on
        text = text.replace(b"\nusemtl\n", b"\nusemtl \n")
    if text.count(b"#") > text.count(b"\n#") + text.startswith(b"#"):
        text = re.sub(rb"(?m)^((?:fo?|v[tn]?) [^#\n]*)#.*", rb"\1", text)
    return text + b"\n"


def _check_words(lines: ObjLines) -> None:
    """Refuse what is meant for a statement and is none: `F 1 2 3`, `v` without a number, a space of another kind."""
    first = lines.heads[:, 0]
    is_odd = (first >= 65) & (first <= 90)
    is_like = (first == 102) | (first == 118)  # f, v
    for word in GEOMETRY:
        is_like &= ~lines.are(word)
    known = {*GEOMETRY, *NOT_READ, b"usemtl", b"mtllib"}
    for place in np.flatnonzero(is_odd | is_like)[:MOST_ODD_LINES].tolist():
        line = lines.line(place)
        word = line.split(b" ", 1)[0]
        if word.lower() in known or not (is_odd[place] or word.isalpha()):
            raise InvalidMeshError(
                f"not a readable OBJ file: its line {line.decode()[:60]!r} is no statement; allowed are "
                f"{', '.join(sorted(name.decode() for name in known - set(NOT_READ)))}, a space, and what belongs there"
            )


def _rows(lines: ObjLines, word: bytes, most: int) -> FloatArray:
    """Numbers of the lines of a word (N, K), as many as the longest has; those that others lack are NaN."""
    which = lines.are(word)
    check_count(int(which.sum()), f"'{word.decode()}' lines", most)
    if not which.any():
        return np.zeros((0, 3))
    text, starts = lines.take(which, word)
    counts = count_words(text, starts)
    values = numbers(text.tobytes(), int(counts.sum()), f"OBJ file: lines of '{word.decode()}'")
    width, least = min(int(counts.max()), 6), int(counts.min())
    if word == b"v" and least < 3:
        raise InvalidMeshError("not a readable OBJ file: a vertex has fewer than three numbers")
    is_place = word == b"vt"  # its second number may be missing, and is 0
    if least == counts.max() and not (is_place and least < 2):
        return values.reshape(-1, least)[:, :width]
    rows = np.full((len(starts), max(width, 2)), 0.0 if is_place else np.nan)
    begins = np.cumsum(counts) - counts
    for place in range(width):
        has = counts > place
        rows[has, place] = values[begins[has] + place]
    return rows


def _polygons(lines: ObjLines, is_face: BoolArray, most_faces: int) -> Polygons:
    text, starts = lines.take(is_face, b"f")
    above: list[IntArray] = [np.cumsum(lines.are(word), dtype=np.int64)[is_face] for word in (b"v", b"vt", b"vn")]
    ends = np.append(starts[1:], len(text))[: len(starts)]
    parts, triangles, begin = [Polygons(*5 * [np.zeros(0, dtype=np.int64)])], 0, 0
    while begin < len(starts):
        end = max(begin + 1, int(np.searchsorted(ends, starts[begin] + CHUNK)))
        some = text[starts[begin] : ends[end - 1]]
        parts.append(_parse_faces(some, starts[begin:end] - starts[begin], *(rows[begin:end] for rows in above)))
        triangles += int(np.maximum(parts[-1].counts - 2, 0).sum())
        check_count(triangles, "triangles", most_faces)
        begin = end
    columns = zip(
        *((part.vertices, part.textures, part.normals, part.counts, part.words) for part in parts), strict=True
    )
    return Polygons(*map(np.concatenate, columns))


def _parse_faces(text: Bytes, starts: IntArray, *above_faces: IntArray) -> Polygons:
    """Faces from the bytes of their lines, and how many vertices, texture coordinates and normals stand above each."""
    text[starts + 1] = 32  # of the older word `fo`
    if not IN_FACES[text].all():
        raise InvalidMeshError("not a readable OBJ file: a face holds something that is no index")
    is_slash, is_digit = text == 47, (text >= 48) | (text == 45)
    begins_word, begins_number = text > 32, is_digit.copy()
    begins_word[1:] &= text[:-1] <= 32
    begins_number[1:] &= ~is_digit[:-1]
    words, places = np.flatnonzero(begins_word), np.flatnonzero(begins_number)
    indices = numbers(text.tobytes().replace(b"/", b" "), len(places), "OBJ file: faces")
    if np.abs(indices).max(initial=0) > MOST_INDEX:
        raise InvalidMeshError(
            f"not a readable OBJ file: a face refers to {np.abs(indices).max():.0f}, which no file holds"
        )
    flat = indices.astype(np.int64)
    slashes = np.cumsum(is_slash)
    word = np.searchsorted(words, places, side="right") - 1
    slot = slashes[places] - slashes[words[word]]
    if len(words) and (len(word) == 0 or (np.bincount(word[slot == 0], minlength=len(words)) != 1).any()):
        raise InvalidMeshError("not a readable OBJ file: a corner of a face has no vertex")
    if is_slash[words].any() or slot.max(initial=0) > 2:
        raise InvalidMeshError(
            "not a readable OBJ file: a corner of a face is not of the form v, v/vt, v//vn or v/vt/vn"
        )
    counts = np.add.reduceat(begins_word, starts, dtype=np.int64)
    face = np.repeat(np.arange(len(starts)), counts)
    vertices, textures = flat[slot == 0], np.zeros(len(words), dtype=np.int64)
    textures[word[slot == 1]] = flat[slot == 1]
    normals = np.zeros(len(words), dtype=np.int64)
    normals[word[slot == 2]] = flat[slot == 2]
    if (vertices == 0).any():
        raise InvalidMeshError("not a readable OBJ file: a face refers to vertex 0, but OBJ files count from 1")
    for kind, above in zip((vertices, textures, normals), (above[face] for above in above_faces), strict=True):
        too_far = kind < -above
        if too_far.any() and kind is not normals:  # which make no faces
            index, count = kind[too_far][0], above[too_far][0]
            raise InvalidMeshError(
                f"not a readable OBJ file: a face refers to {index}, but only {count} entries stand above it"
            )
        kind[kind < 0] += above[kind < 0] + 1
    return Polygons(
        vertices - 1, textures - 1, normals - 1, counts, np.add.reduceat(begins_number, starts, dtype=np.int64)
    )


def _groups(lines: ObjLines, is_face: BoolArray) -> tuple[list[str], IntArray]:
    """What stands behind the `usemtl`s that faces follow, in the order of their first faces, and that of each face."""
    places = np.flatnonzero(lines.are(b"usemtl"))
    check_count(len(places), "changes of material", 1_000_000)
    known: dict[str, int] = {}
    ranks = [known.setdefault(lines.line(place)[7:].decode().strip(), len(known) + 1) for place in places.tolist()]
    rank = np.array([0, *ranks])[np.searchsorted(places, np.flatnonzero(is_face))]
    ranks_in_use, first, group = np.unique(rank, return_index=True, return_inverse=True)
    order = np.argsort(first)
    texts = ["", *known]
    return [texts[place] for place in ranks_in_use[order].tolist()], np.argsort(order)[group]


def _are_stacked(polygons: Polygons, group: IntArray, is_cut: BoolArray) -> BoolArray:
    """Which faces (F,) are of a group of quadrangles of one form: their first triangles go before all second ones."""
    first = np.full(group.max() + 1, -1)
    first[group[::-1]] = polygons.words[::-1]
    other = (polygons.counts != 4) | is_cut | (polygons.words != first[group])
    return ~np.isin(group, group[other])


def _texture_middles(textures: FloatArray, corners: IntArray) -> FloatArray:
    """Texture coordinates (F, 2) of the middles of faces; NaN where a corner has none."""
    if not len(textures):
        return np.full((len(corners), 2), np.nan)
    flat = np.zeros((len(textures), 2))
    flat[:, : textures.shape[1]] = np.clip(np.nan_to_num(textures[:, :2]), -1e9, 1e9)
    middles = flat[np.clip(corners, 0, len(flat) - 1)].mean(axis=1)
    has_all = np.all((corners >= 0) & (corners < len(flat)), axis=1)
    return np.where(has_all[:, None], middles, np.nan)


def _picked(rows: FloatArray, indices: IntArray) -> FloatArray:
    """Rows (N, K) at indices (F, 3); NaN where there is none."""
    there = (indices >= 0) & (indices < len(rows))
    found = np.full((*indices.shape, rows.shape[1]), np.nan)
    found[there] = rows[indices[there]]
    return found


def _surface(
    materials: list[Material | None],
    group: IntArray,
    points: FloatArray,
    places: FloatArray,
    normals: FloatArray,
    has_texture: BoolArray,
) -> tuple[FloatArray | None, Surface | None]:
    """Colors (F, 3) of faces and what covers them: the color of the material times its texture times vertex colors.

    A diffuse color of black beside a texture does not count: programs write it where they mean the texture alone.

    Args:
        materials: Of each group, as far as it is known.
        group: Of each face (F,).
        points: What stands in the lines of the corners' vertices, (F, 3, 3 to 6).
        places: Texture coordinates of corners (F, 3, 2), up from the lower edge; NaN where there are none.
        normals: Of corners (F, 3, 3); NaN where there are none.
        has_texture: Whether a face (F,) names texture coordinates.

    Raises:
        InvalidMeshError: A texture is missing or cannot be read, or its coordinates are not there.
    """
    albedo, emission = np.ones((len(group), 3)), np.zeros((len(group), 3))
    texture_of = np.full(len(group), -1)
    textures: list[Texture] = []
    images, not_drawn = Images(), set[str]()
    for number, material in enumerate(materials):
        rows = np.flatnonzero(group == number)
        if not len(rows) or material is None:
            continue
        not_drawn |= material.not_drawn
        diffuse, texture = material.diffuse, material.texture
        if material.missing:
            images.texture(material.missing, None)
        if texture is not None:
            on = rows[has_texture[rows]]
            shade = texture.gain, texture.base
            own = images.texture(texture.name, texture.data, (texture.wrap, texture.wrap), 0.5, shade)
            textures += [] if own in textures else [own]
            texture_of[on] = textures.index(own)
            places[on] = places[on] * texture.scale + texture.offset
            diffuse = diffuse if diffuse is not None and diffuse.any() else None
        if diffuse is not None:
            albedo[rows] = diffuse
        if material.emission is not None:
            emission[rows] = material.emission
    if not_drawn:
        tell(", ".join(sorted(not_drawn)))
    places = np.stack([places[..., 0], 1.0 - places[..., 1]], axis=-1)  # down from the upper edge
    colors = None
    if points.shape[2] >= 6 and np.isfinite(points[..., 3:6]).any():
        colors = eight_bits(whole_range(points[..., 3:6])) / 255.0
        colors[~np.isfinite(points[..., 3:6]).all(axis=2)] = 1.0
    has_normals = np.isfinite(normals).any()
    return albedo, covered(places, texture_of, textures, colors, normals if has_normals else None, emission)


def _albedo(
    materials: list[Material | None],
    group: IntArray,
    points: FloatArray,
    faces: IntArray,
    middles: FloatArray,
    textures: IntArray,
) -> FloatArray | None:
    """Colors (F, 3): the texture of the material, else its diffuse color, else those of vertices; None: all white.

    Args:
        materials: Of each group, as far as it is known.
        group: Of each face (F,).
        points: What stands in the lines of vertices, (V, 3 to 6).
        faces: (F, 3).
        middles: Texture coordinates of the faces (F, 2).
        textures: Indices of texture coordinates (F, 3).

    Raises:
        InvalidMeshError: A texture cannot be read, or its coordinates are not there.
    """
    albedo = np.ones((len(faces), 3))
    has_vertex_colors = points.shape[1] >= 6 and bool(np.isfinite(points[:, 3:6]).all(axis=1).any())
    if has_vertex_colors:
        missing = np.isnan(points[:, 3:6]).any(axis=1)
        vertex_colors = eight_bits(whole_range(points[:, 3:6]))
        vertex_colors[missing] = 255
        albedo = corner_means(vertex_colors, faces)
    has_colors = has_vertex_colors
    samples: list[Sample] = []
    images: dict[Hashable, bytes] = {}
    order = np.argsort(group, kind="stable")
    bounds = np.searchsorted(group[order], np.arange(len(materials) + 1))
    for number, material in enumerate(materials):
        rows = order[bounds[number] : bounds[number + 1]]
        if not len(rows):
            continue
        if material is None:
            has_colors = has_colors or not np.isnan(middles[rows]).any()
            continue
        has_colors = True
        texture = material.texture
        if texture is not None:
            if (textures[rows].min(axis=1) >= 0)[np.isnan(middles[rows, 0])].any():
                raise InvalidMeshError(
                    "not a readable OBJ file: a face refers to a texture coordinate that is not there"
                )
            albedo[rows] = 1.0
            placed = rows[~np.isnan(middles[rows, 0])]
            shifted = middles[placed] * texture.scale + texture.offset
            wraps = (texture.wrap, texture.wrap)
            samples.append(Sample(texture.name, albedo, placed, shifted, wraps, texture.gain, texture.base))
            images[texture.name] = texture.data
        elif material.diffuse is not None:
            albedo[rows] = material.diffuse
    sample_textures(samples, images)
    return albedo if has_colors else None
