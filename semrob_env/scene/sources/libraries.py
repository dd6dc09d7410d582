"""Sweet Home 3D furniture libraries (.sh3f): a zip with a catalogue, models and textures, each with its author.

The catalogue is `PluginFurnitureCatalog.properties` with keys `name#k`, `model#k`, `creator#k`, `id#k`; see
"How to create a furniture library", https://www.sweethome3d.com/support/developer-guide/ . A piece is put up as the
program does it: turned by `modelRotation#k`, then stretched to `width#k`, `height#k` and `depth#k`. Its front, +z
there, is turned to -z, where the camera of azimuth 0 stands.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, final

import numpy as np

from semrob_env.containment import is_plain
from semrob_env.errors import LibraryError
from semrob_env.scene.classes import class_of
from semrob_env.scene.companions import MemberCompanions
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.mesh_files import parse_mesh
from semrob_env.scene.readers.parts import is_number
from semrob_env.scene.sources.archives import Archive, open_archive
from semrob_env.scene.sources.base import ShapeInfo, ShapeSource, pick
from semrob_env.scene.sources.texts import source_text
from semrob_env.types import FloatArray

CATALOG: Final = "PluginFurnitureCatalog.properties"
"""The member that lists the pieces; its translations (`..._fr.properties`) are not read."""

MAX_CATALOG_BYTES: Final = 16 * 2**20
MAX_LINES: Final = 500_000
"""Most lines of a catalogue; the largest that are known have some 50,000."""

MAX_PIECES: Final = 20_000
"""Most pieces of a library."""

MAX_MATERIAL_BYTES: Final = 256 * 2**20
"""Most bytes of materials and textures of one piece, together."""

MATERIAL_SUFFIXES: Final = (
    ".mtl", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tga", ".tif", ".tiff", ".webp", ".dds",
)  # fmt: skip
"""What is read beside a model whose colors are wanted."""

SKEW: Final = 0.01
"""How far the axes of a rotation, or of a mirror, may be from unit ones at right angles."""

FRONT_TO_CAMERA: Final = np.diag([-1.0, 1.0, -1.0])
"""Half a turn about the vertical axis."""

_MARK = re.compile(r"\\.|[=:\s]", re.DOTALL)
"""An escape, or what ends a key."""

_SEPARATOR = re.compile(r"[ \t\f]*[=:]?[ \t\f]*")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@final
@dataclass(frozen=True)
class Piece:
    """An entry of a catalogue: its shape, its member of the zip, and all that is said of it, without the number."""

    info: ShapeInfo
    model: str
    keys: Mapping[str, str]


def list_library(path: str) -> tuple[ShapeInfo, ...]:
    """The shapes of a library in the order of its catalogue.

    Raises:
        LibraryError: Not a zip, damaged, beyond the bounds of `archives`, or without catalogue or pieces.
    """
    with open_archive(path) as archive:
        return tuple(piece.info for piece in _pieces(archive, path))


def load_piece(path: str, name: str, *, colors: bool = False, surface: bool = False) -> Mesh:
    """The mesh of a piece, in centimeters where the catalogue states its size. Nothing is unpacked to disk.

    Args:
        path: The .sh3f file.
        name: See `pick`.
        colors: As `load_mesh`; textures are looked for in the folder of the model and below it.
        surface: As `load_mesh`.

    Raises:
        LibraryError: As `list_library`; the model is not in the zip, or a file of its folder would land outside.
        InvalidMeshError: The model cannot be used.
        UnknownNameError, AmbiguousNameError: As `pick`.
    """
    with open_archive(path) as archive:
        pieces = _pieces(archive, path)
        chosen = pick([piece.info for piece in pieces], name, f"library {path}")
        piece = next(piece for piece in pieces if piece.info is chosen)
        label = f"{path}#{chosen.name}"
        member = posixpath.normpath(piece.model)
        if not is_plain(member) or re.search(r"[\\:]", member):
            raise LibraryError(f"{label}: its model {piece.model!r} lies outside the library")
        if member not in archive.names:
            raise LibraryError(f"{label}: its model {piece.model!r} is not in the library")
        companions = _companions(archive, member, label, colors or surface)
        whole = f"{label} ({PurePosixPath(piece.model).name})"
        suffix = PurePosixPath(member).suffix
        mesh = parse_mesh(archive.read(member), suffix, companions, label=whole, colors=colors, surface=surface)
    return _put_up(mesh, piece, label)


def _pieces(archive: Archive, path: str) -> list[Piece]:
    if CATALOG not in archive.names:
        raise LibraryError(f"{path}: holds no {CATALOG}, so it is no furniture library; give a .sh3f file")
    data = archive.read(CATALOG, limit=MAX_CATALOG_BYTES)
    if data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n") > MAX_LINES:
        raise LibraryError(f"{path}: its {CATALOG} holds more than the {MAX_LINES} lines allowed; split it")
    values = parse_properties(data)
    numbered: dict[int, dict[str, str]] = {}
    for key, value in values.items():
        match = re.fullmatch(r"(\w+)#([0-9]{1,9})", key)
        if match:
            numbered.setdefault(int(match.group(2)), {})[match.group(1)] = value.strip()
    pieces: dict[str, Piece] = {}
    for number, keys in sorted(numbered.items()):
        if not keys.get("model"):
            continue
        model = keys["model"].lstrip("/")
        name = keys.get("id", "").rpartition("#")[2] or PurePosixPath(model).stem
        while name in pieces:
            name = f"{name}-{number}"
        title = " ".join(keys.get("name", name).split())
        owner = keys.get("creator", values.get("creator", values.get("provider", "")))
        terms = " ".join(keys.get("license", values.get("license", "")).split())
        info = ShapeInfo(source_text("sh3f", path, name), name, title, class_of(title), terms, owner)
        pieces[name] = Piece(info, model, keys)
        if len(pieces) > MAX_PIECES:
            raise LibraryError(f"{path}: its {CATALOG} names more than the {MAX_PIECES} pieces allowed; split it")
    if not pieces:
        raise LibraryError(f"{path}: its {CATALOG} names no model; give another library")
    return list(pieces.values())


def _companions(archive: Archive, model: str, label: str, colors: bool) -> MemberCompanions:
    """The materials and textures below the folder of the model; none where no colors are wanted."""
    if colors:
        archive.check_names()  # a material under another name would only be missing
    folder = posixpath.dirname(model)
    start = f"{folder}/".lstrip("/")
    beside = sorted(
        name
        for name in archive.names
        if colors and name.startswith(start) and posixpath.normpath(name).startswith(start)
        if name.lower().endswith(MATERIAL_SUFFIXES)
    )
    for name in beside:
        if not is_plain(name[len(start) :]):  # what is left may be absolute where the whole name is not: b//etc/x.png
            raise LibraryError(f"{label}: its file {name!r} lies outside the folder of its model; take it out")
    total = sum(map(archive.size, beside))
    if total > MAX_MATERIAL_BYTES:
        raise LibraryError(f"{label}: its materials are {total} bytes, more than the {MAX_MATERIAL_BYTES} allowed")
    members = {posixpath.normpath(name[len(start) :]): name for name in beside}
    return MemberCompanions(f"model{PurePosixPath(model).suffix}", members, archive.read, folder, archive.names)


def _put_up(mesh: Mesh, piece: Piece, label: str) -> Mesh:
    turn = _numbers(piece, ("modelRotation",), label)
    rotation = np.eye(3) if turn is None else turn.reshape(3, 3)
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > SKEW:
        raise LibraryError(f"{label}: modelRotation {piece.keys['modelRotation']!r} is no rotation")
    vertices = mesh.vertices @ rotation.T
    size = _numbers(piece, ("width", "height", "depth"), label)
    scale = np.ones(3)
    if size is not None:
        sides = np.ptp(vertices, axis=0)
        scale = np.where(sides > 0, size / np.where(sides > 0, sides, 1.0), 1.0)
        vertices = vertices * scale
    is_mirrored = np.linalg.det(rotation) <= 0
    faces = mesh.faces[:, ::-1] if is_mirrored else mesh.faces
    surface = mesh.surface
    if surface is not None:
        surface = surface.moved(FRONT_TO_CAMERA.T @ (scale[:, None] * rotation))
        surface = surface.turned_over() if is_mirrored else surface
    return Mesh(vertices @ FRONT_TO_CAMERA, faces, mesh.albedo, piece.info.name, surface)


def _numbers(piece: Piece, names: tuple[str, ...], label: str) -> FloatArray | None:
    """Numbers of the catalogue: nine of one key, or one positive of each; None where a key is missing."""
    texts = [piece.keys.get(name, "") for name in names]
    if not all(texts):
        return None
    words = " ".join(texts).split()
    values = np.array([float(word) if is_number(word) else np.nan for word in words])
    count, least = (9, -np.inf) if len(names) == 1 else (len(names), 0.0)
    if len(values) != count or not (np.isfinite(values) & (values > least)).all():
        raise LibraryError(f"{label}: cannot read {', '.join(names)} = {', '.join(texts)!r} of the catalogue")
    return values


def parse_properties(data: bytes) -> dict[str, str]:
    """Keys and values of Java properties (java.util.Properties.load): `key=value`, escapes, comments, continued lines.

    The text is UTF-8 where it can be, else ISO-8859-1, as Java reads resource bundles since version 9. Of a repeated
    key the last value counts. No text is an error: odd lines give odd keys.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    values: dict[str, str] = {}
    pieces: list[str] = []
    for line in [*re.split(r"\r\n|\r|\n", text), ""]:
        natural = line.lstrip(" \t\f")
        if not pieces and natural.startswith(("#", "!")):
            continue
        if (len(natural) - len(natural.rstrip("\\"))) % 2:  # an odd number of backslashes: the line goes on
            pieces.append(natural[:-1])
            continue
        whole = "".join([*pieces, natural])
        if whole:
            end = next((mark.start() for mark in _MARK.finditer(whole) if mark.group()[0] != "\\"), len(whole))
            value = _SEPARATOR.sub("", whole[end:], count=1)
            values[_plain(whole[:end])] = _plain(value)
        pieces.clear()
    return values


def _plain(text: str) -> str:
    r"""Escapes undone; a pair of \uD83C \uDF75 is one character."""

    def letter(match: re.Match[str]) -> str:
        escaped = match.group(1)
        return chr(int(escaped[1:], 16)) if len(escaped) == 5 else _LETTERS.get(escaped, escaped)

    return _ESCAPE.sub(letter, text).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@final
class Library(ShapeSource):
    """Furniture libraries, by the ends of their pieces' ids."""

    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        """As `list_library`."""
        return list_library(path)

    def mesh(self, path: str, name: str, *, class_name: str, colors: bool) -> Mesh:
        """As `load_piece`."""
        return load_piece(path, name, colors=colors)

    def covered_mesh(self, path: str, name: str, *, class_name: str, node: str = "") -> Mesh:
        """The same with its surface."""
        return load_piece(path, name, surface=True)

    def canonical_name(self, path: str, name: str) -> str:
        """The end of the id."""
        return pick(list_library(path), name, f"library {path}").name
