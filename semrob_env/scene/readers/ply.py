"""PLY files: text or binary of either order, polygons of any number of corners, colors of vertices or faces, a texture.

Every element of the header is walked through, those that are not used too, so that a file that is cut off is found.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, final

import numpy as np

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.companions import Companions
from semrob_env.scene.polygons import triangulate
from semrob_env.scene.readers.paint import (
    Images,
    Sample,
    corner_means,
    covered,
    eight_bits,
    sample_textures,
    whole_range,
)
from semrob_env.scene.readers.parts import Part, Wanted, check_count, count_words, numbers, plain_text
from semrob_env.scene.surface import Surface, Texture
from semrob_env.types import FloatArray, IntArray

Numbers = np.typing.NDArray[Any]

MAX_HEADER_BYTES: Final = 2**20

TYPES: Final = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "int64": "i8", "uint64": "u8", "float16": "f2", "float32": "f4", "float64": "f8",
}  # fmt: skip
HEADER_END: Final = re.compile(rb"[\r\n][ \t]*end_header[ \t]*(?:\r\n|\n|\r)")
ORDERS: Final = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
CORNERS: Final = ("vertex_index", "vertex_indices")
TEXTURES: Final = (("texture_u", "texture_v"), ("u", "v"), ("s", "t"))
"""What programs call the texture coordinates of vertices."""

COLORS: Final = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))
"""What programs call colors."""


NORMAL: Final = ("nx", "ny", "nz")


@final
@dataclass(frozen=True)
class Property:
    """A column of an element: its type, and that of the count before each row where the rows are lists."""

    name: str
    kind: np.dtype[Any]
    count_kind: np.dtype[Any] | None = None


@final
@dataclass(eq=False)
class Element:
    """A table of the file.

    Attributes:
        name: As the header says it.
        count: Its rows.
        properties: Its columns.
        values: Numbers of each column (N,), of lists those of all rows in turn.
        lengths: Of lists, how many numbers each row has (N,).
    """

    name: str
    count: int
    properties: list[Property] = field(default_factory=list)
    values: dict[str, Numbers] = field(default_factory=dict)
    lengths: dict[str, IntArray] = field(default_factory=dict)

    def uses(self, column: Property) -> bool:
        """Whether a column is read: all but lists, of which only those of corners and of their textures are."""
        lists = [found.name for found in self.properties if found.count_kind is not None]
        wanted = {*CORNERS, "texcoord"} if set(lists) & set(CORNERS) else {*lists[:1], "texcoord"}
        return self.name in {"vertex", "face"} and (column.count_kind is None or column.name in wanted)

    def columns(self, choices: Sequence[tuple[str, ...]]) -> Numbers | None:
        """The columns (N, K) of the first choice that are all there, and no lists."""
        for names in choices:
            if all(name in self.values and name not in self.lengths for name in names):
                return np.stack([self.values[name] for name in names], axis=1)
        return None


def read_ply(data: bytes, companions: Companions, wanted: Wanted, most_faces: int) -> list[Part]:
    """The faces of a PLY file; arguments as `Reader`.

    Raises:
        InvalidMeshError: It cannot be read, is cut off, or holds what is not read.
        RefusedFileError, OSError: As `Companions.find`, where colors are wanted.
    """
    order, elements, textures, body = _header(data)
    for element in elements:
        check_count(element.count, f"{element.name} elements", most_faces * (1 if element.name == "face" else 3))
    check_count(sum(element.count for element in elements), "elements", 12 * most_faces)
    (_read_text if order == "ascii" else _read_binary)(body, elements, 6 * most_faces)
    tables = {element.name: element for element in elements}
    if "tristrips" in tables:
        raise InvalidMeshError("it holds 'tristrips', which are not read; save it as faces")
    if "face" not in tables or "vertex" not in tables or not tables["face"].count:
        return []
    vertex, face = tables["vertex"], tables["face"]
    points = vertex.columns([("x", "y", "z")])
    lists: list[str] = [name for name in CORNERS if name in face.lengths] or [*face.lengths]
    if points is None or not lists:
        raise InvalidMeshError("its vertices have no x, y and z, or its faces no list of corners")
    corners, counts = face.values[lists[0]], face.lengths[lists[0]]
    corners, points = corners.astype(np.int64), points.astype(np.float64)
    if face.values[lists[0]].dtype.kind == "f" or corners.min(initial=0) < 0 or corners.max(initial=-1) >= len(points):
        raise InvalidMeshError(f"not a readable PLY file: a face refers to none of its {len(points)} vertices")
    check_count(int(np.maximum(counts - 2, 0).sum()), "triangles", most_faces)
    places, owner, _ = triangulate(points[corners], counts)
    # As the first reader of this house had them, since meshes are known by their bytes: triangles, then quadrangles,
    # their first halves before all second ones, then all others.
    half = np.append(0, owner[1:] == owner[:-1])[: len(owner)] * (counts[owner] == 4)
    sequence = np.lexsort((owner, half, np.minimum(counts[owner], 5)))
    places, owner = places[sequence], owner[sequence]
    faces = corners[places]
    coordinates = _texture_coordinates(vertex, face, corners, counts)
    if coordinates is not None:  # so has the first reader left out what no face uses
        used, faces = np.unique(faces, return_inverse=True)
        points = points[used]
    albedo = surface = None
    if wanted is Wanted.SURFACE:
        of_corners = None if coordinates is None else coordinates[places]
        albedo, surface = _surface(vertex, face, corners[places], owner, of_corners, textures, companions)
    elif wanted is Wanted.COLORS:
        middles = None
        if coordinates is not None:
            middles = np.asarray(np.clip(np.nan_to_num(coordinates), -1e9, 1e9)[places].mean(axis=1))
        albedo = _albedo(vertex, face, corners[places], owner, middles, textures, companions)
    return [Part(points, faces.reshape(-1, 3), albedo, surface)]


def _header(data: bytes) -> tuple[str, list[Element], list[str], bytes]:
    """Byte order, elements without their values, names of textures, and what stands behind the header."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    end = HEADER_END.search(data, 0, MAX_HEADER_BYTES)
    lines = plain_text(data[: end.start()]).decode().split("\n") if end else []
    if end is None or lines[0].strip().lower() != "ply":
        limit = f"{MAX_HEADER_BYTES} bytes"
        raise InvalidMeshError(f"not a readable PLY file: no header from 'ply' to 'end_header' within {limit}")
    order, elements, textures = "", [], []
    for line in lines[1:]:
        words = line.split()
        key = words[0].lower() if words else "comment"
        if key in {"comment", "obj_info"}:
            if len(words) > 2 and words[1].lower() == "texturefile":
                textures.append(line.split(None, 2)[2].strip())
        elif key == "format" and len(words) > 1 and words[1].lower() in ORDERS:
            order = words[1].lower()
        elif key == "element" and len(words) == 3 and re.fullmatch("[0-9]{1,18}", words[2]):
            elements.append(Element(words[1], int(words[2])))
        elif key == "property" and order and elements and all(word in TYPES for word in words[1:-1] if word != "list"):
            elements[-1].properties.append(_property(words, ORDERS[order]))
        else:
            raise InvalidMeshError(f"not a readable PLY file: its header has the line {line[:100]!r}")
    names = [(element.name, column.name) for element in elements for column in element.properties]
    if not order or len(set(names)) < len(names) or len({element.name for element in elements}) < len(elements):
        raise InvalidMeshError("not a readable PLY file: its header has no format, or a name twice")
    # Where lines end with a carriage return, a line feed behind the last one belongs to the numbers.
    first = end.end() - (end[0].endswith(b"\r\n") and b"\n" not in data[: end.end() - 1])
    return order, elements, textures, data[first:]


def _property(words: list[str], order: str) -> Property:
    kinds = [np.dtype(order + TYPES[word]) for word in words[1:-1] if word != "list"]
    if [word for word in words[1:-1] if word == "list"] == ["list"] and words[1] == "list" and len(kinds) == 2:
        if kinds[0].kind in "iu":
            return Property(words[-1], kinds[1], kinds[0])
    elif len(kinds) == 1 and len(words) == 3:
        return Property(words[-1], kinds[0])
    raise InvalidMeshError(f"not a readable PLY file: its header has the line {' '.join(words)[:100]!r}")


def _cut_off(element: Element) -> InvalidMeshError:
    return InvalidMeshError(
        f"not a readable PLY file: it promises {element.count} {element.name} elements and holds fewer; it is cut off"
    )


def _read_text(body: bytes, elements: list[Element], most: int) -> None:
    """One line a row; words behind the last column, and lines behind the last row, are passed over."""
    check_count(body.count(b"\n") + body.count(b"\r"), "lines", 2 * most)
    text = np.frombuffer(re.sub(rb"\n[ \t\n]*\n", b"\n", b"\n" + plain_text(body) + b"\n")[1:], dtype=np.uint8)
    ends = np.flatnonzero(text == 10) + 1
    starts, row = np.append(0, ends[:-1])[: len(ends)], 0
    for element in elements:
        if not element.count or not element.properties:
            continue
        if row + element.count > len(starts):
            raise _cut_off(element)
        first, last = starts[row], ends[row + element.count - 1]
        words = count_words(text[first:last], starts[row : row + element.count] - first)
        flat = numbers(text[first:last].tobytes(), int(words.sum()), f"PLY file: its {element.name} elements")
        place = np.cumsum(words) - words
        end = place + words
        for column in element.properties:
            lengths = np.ones(element.count, dtype=np.int64)
            if column.count_kind is not None:
                if (place >= end).any():
                    raise _cut_off(element)
                lengths, place = _lengths(flat[place], element), place + 1
                element.lengths[column.name] = lengths
            if (place + lengths > end).any():
                raise _cut_off(element)
            if element.uses(column):
                check_count(int(lengths.sum()), f"numbers in '{column.name}'", most)
                element.values[column.name] = _as_promised(flat[_runs(place, lengths)], column.kind)
            place = place + lengths
        row += element.count


def _as_promised(values: FloatArray, kind: np.dtype[Any]) -> Numbers:
    """Numbers of the type that the header promises; all as they are where one does not fit a whole one."""
    found = values.astype(kind)
    return found if kind.kind == "f" or (found == values).all() else values


def _lengths(values: Numbers, element: Element) -> IntArray:
    if (values < 0).any() or (values > 10**9).any() or (values % 1 != 0).any():
        raise InvalidMeshError(f"not a readable PLY file: a list of its {element.name} elements has no length")
    return np.asarray(values, dtype=np.int64)


def _runs(starts: IntArray, lengths: IntArray) -> IntArray:
    """start, start + 1, ... of each run in turn."""
    ends = np.cumsum(lengths)
    return np.asarray(np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths))


def _read_binary(body: bytes, elements: list[Element], most: int) -> None:
    """Rows of one length at once; others one by one. Bytes behind the last row are passed over."""
    place = 0
    for element in elements:
        if not element.count or not element.properties:
            continue
        starts, place = _row_starts(body, element, place)
        for column in element.properties:
            lengths = np.ones(element.count, dtype=np.int64)
            if column.count_kind is not None:
                counts = _gathered(body, starts, column.count_kind)
                lengths, starts = _lengths(counts, element), starts + column.count_kind.itemsize
                element.lengths[column.name] = lengths
            size = column.kind.itemsize
            if element.uses(column):
                check_count(int(lengths.sum()), f"numbers in '{column.name}'", most)
                places = np.repeat(starts, lengths) + size * _runs(np.zeros_like(lengths), lengths)
                element.values[column.name] = _gathered(body, places, column.kind)
            starts = starts + size * lengths


def _gathered(body: bytes, places: IntArray, kind: np.dtype[Any]) -> Numbers:
    """Numbers (N,) that begin at any places (N,)."""
    raw = np.frombuffer(body, dtype=np.uint8)
    if len(places) and places[-1] + kind.itemsize > len(raw):
        raise InvalidMeshError("not a readable PLY file: it is cut off")
    joined = raw[places[:, None] + np.arange(kind.itemsize)]
    return np.ascontiguousarray(joined).view(kind).reshape(-1)


def _row_starts(body: bytes, element: Element, place: int) -> tuple[IntArray, int]:
    """Where each row of an element begins, and where the last one ends."""
    lists, before = [], 0  # bytes before each list's length, type of the length, bytes of a number
    for column in element.properties:
        if column.count_kind is None:
            before += column.kind.itemsize
        else:
            lists.append((before, column.count_kind, column.kind.itemsize))
            before = 0
    if place + element.count * (before + sum(skipped + kind.itemsize for skipped, kind, _ in lists)) > len(body):
        raise _cut_off(element)

    def walk(start: int) -> tuple[list[int], int]:
        """The places of the lengths in a row, and its end."""
        places = []
        for skipped, kind, size in lists:
            places.append(start + skipped)
            end = places[-1] + kind.itemsize
            order: Literal["big", "little"] = "big" if kind.str.startswith(">") else "little"
            length = int.from_bytes(body[places[-1] : end], order, signed=kind.kind == "i")
            if length < 0 or end > len(body):
                raise _cut_off(element)
            start = end + length * size
        return places, start + before

    places, end = walk(place)
    starts = place + (end - place) * np.arange(element.count)
    if int(starts[-1]) + end - place > len(body) or any(
        (counts != counts[0]).any()
        for counts in (
            _gathered(body, starts - place + at, kind) for at, (_, kind, _) in zip(places, lists, strict=True)
        )
    ):
        ends = itertools.accumulate(range(element.count), lambda start, _: walk(start)[1], initial=place)
        starts = np.fromiter(ends, dtype=np.int64, count=element.count + 1)
        end, starts = int(starts[-1]), starts[:-1]
    else:
        end = int(starts[-1]) + end - place
    if end > len(body):
        raise _cut_off(element)
    return starts, end


def _texture_coordinates(vertex: Element, face: Element, corners: IntArray, counts: IntArray) -> FloatArray | None:
    """Texture coordinates (C, 2) of the corners of faces, up from the lower edge; None: the file has none."""
    if "texcoord" in face.lengths and face.lengths["texcoord"].any():
        if (face.lengths["texcoord"] != 2 * counts).any():
            raise InvalidMeshError("some of its faces have another number of texture coordinates than of corners")
        return face.values["texcoord"].reshape(-1, 2).astype(np.float64)
    of_vertices = vertex.columns(TEXTURES)
    return None if of_vertices is None else of_vertices[corners].astype(np.float64)


def _surface(
    vertex: Element,
    face: Element,
    triangles: IntArray,
    owner: IntArray,
    places: FloatArray | None,
    textures: list[str],
    companions: Companions,
) -> tuple[FloatArray | None, Surface | None]:
    """Colors (T, 3) of faces and what covers triangles (T, 3) of faces `owner` (T,): texture times vertex colors."""
    albedo = colors = normals = None
    found: list[Texture] = []
    of_vertices, of_faces, directions = vertex.columns(COLORS), face.columns(COLORS), vertex.columns([NORMAL])
    if of_vertices is not None:
        colors = eight_bits(whole_range(of_vertices))[triangles] / 255.0
    elif of_faces is not None:
        albedo = np.asarray(eight_bits(whole_range(of_faces))[owner] / 255.0)
    if directions is not None:
        normals = directions.astype(np.float64)[triangles]
    if textures and places is not None:
        if len(set(textures)) > 1:
            raise InvalidMeshError(f"it has {len(textures)} textures, and only one is read; save it as OBJ or GLB")
        found = [Images().texture(textures[0], companions.find(textures[0]), cutoff=0.5)]
        places = np.stack([places[..., 0], 1.0 - places[..., 1]], axis=-1)
    texture_of = np.full(len(triangles), len(found) - 1)
    return albedo, covered(places, texture_of, found, colors, normals)


def _albedo(
    vertex: Element,
    face: Element,
    triangles: IntArray,
    owner: IntArray,
    middles: FloatArray | None,
    textures: list[str],
    companions: Companions,
) -> FloatArray | None:
    """Colors (T, 3) of triangles (T, 3) of faces `owner` (T,): of a texture, of vertices, of faces; None: none."""
    albedo = np.ones((len(triangles), 3))
    image = companions.find(textures[0]) if textures and middles is not None else None
    if image is not None and middles is not None:
        if len(set(textures)) > 1:
            raise InvalidMeshError(f"it has {len(textures)} textures, and only one is read; save it as OBJ or GLB")
        sample_textures([Sample(textures[0], albedo, np.arange(len(albedo)), middles)], {textures[0]: image})
        return albedo
    of_vertices, of_faces = vertex.columns(COLORS), face.columns(COLORS)
    if of_vertices is not None:
        return corner_means(whole_range(of_vertices), triangles)
    if of_faces is not None:
        return np.asarray(eight_bits(whole_range(of_faces))[owner] / 255.0)
    return None if middles is None else albedo
