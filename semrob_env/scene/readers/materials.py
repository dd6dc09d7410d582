"""MTL files: the diffuse color and texture of each material of an OBJ file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.companions import MAX_NAME_LENGTH, Companions
from semrob_env.scene.readers.paint import eight_bits
from semrob_env.scene.readers.parts import check_count, is_number, plain_text
from semrob_env.scene.surface import Wrap
from semrob_env.types import FloatArray

MAX_LIBRARY_BYTES: Final = 16 * 2**20
MAX_MATERIALS: Final = 100_000
"""Most names of materials in a library."""

OPTIONS: Final = {
    "blendu": 1, "blendv": 1, "bm": 1, "boost": 1, "cc": 1, "clamp": 1, "imfchan": 1, "mm": 2, "o": 3, "s": 3, "t": 3,
    "texres": 1, "type": 1,
}  # fmt: skip
"""Options of a texture, and how many words each takes at most; o, s and t may do with fewer."""


@final
@dataclass(frozen=True, eq=False)
class DiffuseTexture:
    """The texture of a material: where it lies, and how it is put on.

    Attributes:
        name: As the file says it.
        data: The bytes of the image.
        scale, offset: Texture coordinates are multiplied by the one and moved by the other.
        wrap: Beyond [0, 1].
        gain, base: The color is base + gain times what the image holds.
    """

    name: str
    data: bytes
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    wrap: Wrap = "repeat"
    gain: float = 1.0
    base: float = 0.0


@final
@dataclass(eq=False)
class Material:
    """What a material is, as far as the file says.

    Attributes:
        diffuse: Color (3,).
        texture: Of that.
        missing: The name of the texture, where it is not there.
        emission: Color (3,) that it gives off.
        not_drawn: What else the file says, in words.
    """

    diffuse: FloatArray | None = None
    texture: DiffuseTexture | None = None
    missing: str = ""
    emission: FloatArray | None = None
    not_drawn: set[str] = field(default_factory=set)


NOT_DRAWN: Final = {
    "map_bump": "bump maps", "bump": "bump maps", "norm": "normal maps", "map_kn": "normal maps", "map_d": "map_d",
    "map_ks": "specular maps", "map_ke": "emissive textures", "map_pm": "metalness", "map_pr": "roughness maps",
}  # fmt: skip
"""Statements of a material that are passed over."""


def spellings(text: str) -> tuple[str, ...]:
    """What a name at the end of a line may be: all of it, else without a comment, else without quotes too."""
    whole = " ".join(text.split())
    bare = re.split(r"(?:^|\s)#", text, maxsplit=1)[0]
    bare = " ".join(bare.split())
    return tuple(dict.fromkeys(name for name in (whole, bare, bare.strip("\"'")) if name))


def read_materials(lines: Iterable[str], companions: Companions) -> dict[str, Material]:
    """The materials of all libraries that an OBJ file names; of two of one name that of the first library counts.

    Args:
        lines: What stands behind each `mtllib`: a name, or several.
        companions: Where libraries and textures lie; those that are missing are left out.

    Raises:
        InvalidMeshError: A color or an option that is not understood.
    """
    materials: dict[str, Material] = {}
    for line in lines:
        for name in _library_names(line, companions):
            data = companions.find(name)
            for found, material in _parse_library(b"" if data is None else data, companions).items():
                materials.setdefault(found, material)
    return materials


def _library_names(line: str, companions: Companions) -> tuple[str, ...]:
    """The names in a line: one that may hold spaces, else several, each up to its `.mtl`, else several words."""
    for name in spellings(line):
        if companions.find(name) is not None:
            return (name,)
    rest = spellings(line[:MAX_NAME_LENGTH])[-1] if line[:MAX_NAME_LENGTH].strip(" #") else ""
    names = [found.strip("\"' ") for found in re.findall(r"\S.*?\.mtl(?=[\"']?(?:\s|$))", rest, re.IGNORECASE)]
    missing = [word.strip("\"'") for name in names for word in name.split() if companions.find(name) is None]
    return tuple([*names, *missing] or rest.split())


def _parse_library(data: bytes, companions: Companions) -> dict[str, Material]:
    materials: dict[str, Material] = {}
    if len(data) > MAX_LIBRARY_BYTES:
        raise InvalidMeshError(
            f"a material library of it has {len(data)} bytes, more than the {MAX_LIBRARY_BYTES} allowed"
        )
    material = None
    for line in plain_text(data).decode().split("\n"):
        key, _, rest = line.strip().replace("\t", " ").partition(" ")
        names = spellings(rest)
        if not names or key.startswith("#"):
            continue
        if key.lower() == "newmtl":
            material = Material()
            materials.update(dict.fromkeys(names, material))
            check_count(len(materials), "names of materials", MAX_MATERIALS)
        elif key.lower() == "kd" and material is not None:
            material.diffuse = _color(names[-1])
        elif key.lower() == "map_kd" and material is not None:
            material.texture = _texture(names, companions)
            material.missing = "" if material.texture else names[-1]
        elif key.lower() == "ke" and material is not None:
            words = names[-1].split()[:3]
            is_read = len(words) == 3 and all(map(is_number, words))
            material.emission = np.clip(np.array(words, dtype=np.float64), 0.0, 1.0) if is_read else None
        elif key.lower() in NOT_DRAWN and material is not None:
            material.not_drawn.add(NOT_DRAWN[key.lower()])
        elif key.lower() in {"d", "tr"} and material is not None:
            last = names[-1].split()[-1]
            if is_number(last) and float(last) != float(key.lower() == "d"):
                material.not_drawn.add("transparency")
    return materials


def _color(text: str) -> FloatArray:
    """RGB (3,) in steps of 1/255; one number is a gray."""
    words = text.partition("#")[0].split()
    values = [float(word) for word in words] if all(map(is_number, words)) else []
    if len(values) in {0, 2} or not np.isfinite(values).all():
        raise InvalidMeshError(f"its material color 'Kd {text[:100]}' is not understood; write Kd and three numbers")
    return eight_bits(np.array(values[:3] if len(values) > 1 else 3 * values)) / 255.0


def _texture(names: tuple[str, ...], companions: Companions) -> DiffuseTexture | None:
    """The texture that a line names behind its options; None: it is missing.

    Args:
        names: Spellings of the line, the barest last; where nothing is found behind options, they may be names.
        companions: Where it lies.

    Raises:
        InvalidMeshError: Its options are not understood.
    """
    words = names[-1].split()
    options: dict[str, list[str]] = {}
    while words and words[0].startswith("-") and words[0][1:].lower() in OPTIONS:
        option = words.pop(0)[1:].lower()
        taken = options.setdefault(option, [])
        while words and len(taken) < OPTIONS[option] and (option not in {"o", "s", "t"} or is_number(words[0])):
            taken.append(words.pop(0))
    name = " ".join(words).strip("\"'")
    data = companions.find(name) if options and name else None
    if data is None:
        found = next(((name, data) for name in names if (data := companions.find(name)) is not None), None)
        if found is None and names[-1].startswith("-") and companions.find(names[-1].split()[-1].strip("\"'")):
            raise _not_understood(names[-1])
        return None if found is None else DiffuseTexture(*found)
    given = {key: options.get(key, []) for key in ("o", "s", "t", "mm")}
    if not all(is_number(word) for words in given.values() for word in words) or any(map(float, given["t"])):
        raise _not_understood(names[-1])
    offset, scale, _, shade = (np.clip(np.array(words, dtype=np.float64), -1e9, 1e9) for words in given.values())
    (across, along), (right, up) = (*scale, 1.0, 1.0)[:2], (*offset, 0.0, 0.0)[:2]
    base, gain = shade if len(shade) == 2 else (0.0, 1.0)
    wrap: Wrap = "clamp" if options.get("clamp", [""])[0].lower() == "on" else "repeat"
    return DiffuseTexture(name, data, (across, along), (right, up), wrap, float(gain), float(base))


def _not_understood(line: str) -> InvalidMeshError:
    return InvalidMeshError(f"its texture 'map_Kd {line[:200]}' has options that are not understood")
