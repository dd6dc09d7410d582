"""What readers of mesh files share: the triangles that they give, bounds on counts, and text as they know it."""

from __future__ import annotations

import codecs
import enum
import re
import warnings
from dataclasses import dataclass
from typing import final

import numpy as np

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.surface import Surface
from semrob_env.types import FloatArray, IntArray

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, the longer of two that begin alike first."""


@final
class Wanted(enum.Enum):
    """What of a file is wanted beside its triangles."""

    NOTHING = "nothing"
    COLORS = "colors"
    SURFACE = "surface"

    @classmethod
    def of(cls, colors: bool, surface: bool) -> Wanted:
        """The more of two."""
        return cls.SURFACE if surface else cls.COLORS if colors else cls.NOTHING


@final
@dataclass(frozen=True, eq=False)
class Part:
    """Triangles of a file, in its coordinates; nothing is proven of them yet.

    Attributes:
        vertices: (V, 3).
        faces: (F, 3), indices into vertices.
        albedo: RGB per face (F, 3) in [0, 1]; None where the file gives none, or where none is wanted.
        surface: What covers the faces; None where the file gives nothing, or where it is not wanted.
    """

    vertices: FloatArray
    faces: IntArray
    albedo: FloatArray | None = None
    surface: Surface | None = None


def check_count(count: int, what: str, most: int) -> None:
    """Refuse more than is allowed, before it is made.

    Raises:
        InvalidMeshError: There is more.
    """
    if count > most:
        raise InvalidMeshError(f"{count} {what} are more than the {most} allowed; simplify the mesh")


def plain_text(data: bytes) -> bytes:
    """Text as UTF-8 without a byte order mark, lines ended by a line feed; what is not UTF-8 is taken for latin-1."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            text = data.decode(encoding, "replace").removeprefix("\ufeff").encode()
            break
    else:
        try:
            data.decode()
            text = data
        except UnicodeDecodeError:  # comments and names of older programs
            text = data.decode("latin-1").encode()
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def numbers(text: bytes, count: int, what: str) -> FloatArray:
    """All numbers (count,) of a text that holds nothing else.

    Raises:
        InvalidMeshError: It holds another number of them, or something else.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # given where the text is not read to its end
        try:
            values = np.fromstring(text, dtype=np.float64, sep=" ") if count else np.zeros(0)
        except ValueError:  # what is to take the place of the warning
            values = np.zeros(0)
    if len(values) != count:
        raise InvalidMeshError(f"not a readable {what} hold something that is no number")
    return values


def count_words(text: np.typing.NDArray[np.uint8], starts: IntArray) -> IntArray:
    """Words (L,) of each line of bytes; `starts` are the places of the lines' first bytes, ascending from 0."""
    begins = text > 32
    begins[1:] &= text[:-1] <= 32
    return np.add.reduceat(begins, starts, dtype=np.int64)


def is_number(word: str) -> bool:
    """Whether a word is a number as files write it; Python takes more for one."""
    return re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?", word, re.IGNORECASE) is not None
