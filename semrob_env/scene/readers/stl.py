"""STL files, binary or text. Colors that some programs hide in binary ones are not read."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.companions import Companions
from semrob_env.scene.readers.parts import Part, Wanted, check_count, numbers, plain_text

HEADER_BYTES: Final = 84
"""Eighty of any kind, and the number of triangles."""

TRIANGLE: Final = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])

SOLID: Final = re.compile(rb"(?m)^[ \t]*(end[ \t]*)?solid(?!\S).*$")
"""The line that begins or ends a solid, with any name."""

FACET: Final = re.compile(
    rb"facet(?:\s+normal(?:\s+\S+){3})?\s+outer\s+loop"
    + 3 * rb"\s+vertex\s+(\S+)\s+(\S+)\s+(\S+)"
    + rb"\s+end\s*loop\s+end\s*facet(?!\S)"
)
"""A triangle of a text file in lower case."""


def read_stl(data: bytes, companions: Companions, wanted: Wanted, most_faces: int) -> list[Part]:
    """The triangles of an STL file; arguments as `Reader`.

    A binary file has a zero byte in its count, which text has nowhere, whatever the two begin with. Bytes behind the
    last triangle that is promised are passed over.

    Raises:
        InvalidMeshError: It cannot be read or is cut off.
    """
    del companions, wanted
    is_text = b"solid" in plain_text(data[:HEADER_BYTES]).lower() and data.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\0" in data[HEADER_BYTES - 4 : HEADER_BYTES] and not is_text:
        corners = _binary(data, most_faces)
    else:
        corners = _text(plain_text(data).lower(), most_faces)
    points = corners.astype(np.float64).reshape(-1, 3)
    return [Part(points, np.arange(len(points)).reshape(-1, 3))] if len(points) else []


def _binary(data: bytes, most_faces: int) -> np.typing.NDArray[np.floating]:
    count = int.from_bytes(data[HEADER_BYTES - 4 : HEADER_BYTES], "little")
    held = (len(data) - HEADER_BYTES) // TRIANGLE.itemsize
    if count > held or (held and not count):
        raise InvalidMeshError(
            f"not a readable STL file: it promises {count} faces and has room for {held}; it is cut off or no STL file"
        )
    check_count(count, "faces", most_faces)
    rest = data[HEADER_BYTES + count * TRIANGLE.itemsize :]
    again = int.from_bytes(rest[HEADER_BYTES - 4 : HEADER_BYTES], "little")
    if again and len(rest) == HEADER_BYTES + again * TRIANGLE.itemsize:
        raise InvalidMeshError("it holds a second solid behind the first, which is not read; save them as one")
    corners: np.typing.NDArray[np.floating] = np.frombuffer(data, TRIANGLE, count, HEADER_BYTES)["corners"]
    return corners


def _text(text: bytes, most_faces: int) -> np.typing.NDArray[np.floating]:
    if not text.lstrip().startswith(b"solid"):
        raise InvalidMeshError("not a readable STL file: it begins neither with 'solid' nor with a binary header")
    names = SOLID.findall(text)
    if 2 * names.count(b"") != len(names):
        raise InvalidMeshError("not a readable STL file: a solid without its end; the file is cut off")
    bare = SOLID.sub(b"", text)
    count = len(re.findall(rb"(?<!\S)facet(?=\s+(?:normal|outer)(?!\S))", bare))
    check_count(count, "faces", most_faces)
    plain = FACET.sub(rb" \1 \2 \3 \4 \5 \6 \7 \8 \9 ", bare)
    return numbers(plain, 9 * count, "STL file: its facets, each with three vertices,")
